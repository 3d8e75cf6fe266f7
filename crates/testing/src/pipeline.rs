//! Everything that is done with a model file, one after the other: the errors are let go, panics are not. Fuzz targets
//! and tests share it.

use hirescam_core::analysis::{self, Analysis, Hints};
use hirescam_core::cam::{self, HeatmapSize, Request, Target};
use hirescam_core::shape;
use hirescam_core::{Model, layers, onnx};

/// Reads, cuts, differentiates, certifies and writes.
pub fn run(bytes: &[u8]) {
    let Ok(model) = Model::from_bytes(bytes.to_vec()) else { return };
    let written = onnx::write(model.proto());
    assert!(onnx::read(written.clone()).is_ok_and(|again| onnx::write(&again) == written), "writing loses something");
    let Ok(image) = analysis::image_input(&model, None) else { return };
    let given: Vec<usize> = shape::declared(image).iter().map(|n| n.unwrap_or(16)).collect();
    let Ok(analysis) = Analysis::of(&model, &Hints { image_shape: Some(given), ..Hints::default() }) else { return };
    let listed = layers::layers(&analysis, true).unwrap_or_default();
    let named = listed.iter().step_by(listed.len() / 3 + 1).map(|l| Some(l.name.clone()));
    for (i, layer) in named.chain([None]).enumerate() {
        let target = if i % 2 == 0 { Target::Top(1) } else { Target::Classes(vec![0, 0]) };
        let heatmap = (i % 3 == 1).then_some(HeatmapSize::Image);
        let request = Request { layer, target, logits: true, heatmap, ..Request::default() };
        let Some(made) =
            cam::attach_to(&analysis, &request, &cam::Further::default()).ok().and_then(|mut all| all.pop())
        else {
            continue;
        };
        let bytes = made.to_bytes();
        assert!(onnx::read(bytes.clone()).is_ok_and(|again| onnx::write(&again) == onnx::write(&made.model)));
        assert!(cam::strip(&bytes).is_ok_and(|bare| bare.is_some_and(|bare| Model::from_bytes(bare).is_ok())));
        let valid = Model::from_bytes(bytes).map(drop);
        assert!(valid.is_ok(), "the explaining model is invalid: {valid:?}");
    }
}
