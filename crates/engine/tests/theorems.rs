//! What must hold of maps whatever the network: the sum, the equality on averaging heads, and that a place which the
//! network does not use gets nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::cam::{self, Request, Target};
use hirescam_core::certify::Verdict;
use hirescam_core::tensor::DataType;
use hirescam_core::{Model, Tensor, onnx};
use hirescam_engine::Engine;
use hirescam_testing::engines::{engines, noise};
use hirescam_testing::fixture;
use ndarray::ArrayD;

const DIGITS_LAYER: &str = "/conv_layers/conv_layers.7/Relu_output_0";

struct Made {
    map: ArrayD<f64>,
    score: f64,
    b: f64,
    verdict: Verdict,
    uniform: bool,
}

fn explain(
    engine: &dyn Engine,
    model: &Model,
    shape: &[usize],
    layer: Option<&str>,
    method: &str,
    target: Target,
) -> Made {
    let request =
        Request { layer: layer.map(str::to_owned), method: cam::method(method).unwrap(), target, ..Request::default() };
    let explaining = cam::attach(model, &request).unwrap();
    let session = engine.prepare(&onnx::write(&explaining.model)).unwrap();
    let made = session.run(&[(&explaining.image, &noise(shape, 5))]).unwrap();
    let get = |name: &str| made.iter().find(|(n, _)| n == name).unwrap().1.to_f64();
    let (score, b) = (get(&explaining.outputs.score), get(&explaining.outputs.b));
    Made {
        map: get(&explaining.outputs.map),
        score: score.iter().next().copied().unwrap(),
        b: b.iter().next().copied().unwrap(),
        verdict: explaining.certificate.verdict,
        uniform: explaining.certificate.uniform,
    }
}

fn read(name: &str) -> Model {
    Model::new(onnx::read(fixture(name)).unwrap()).unwrap()
}

/// digits-cnn with the weights zeroed that read the right half of the last pooling: the network cannot see there.
fn half_blind() -> Model {
    let mut proto = onnx::read(fixture("digits-cnn.onnx")).unwrap();
    let stored = &mut proto.graph.as_mut().unwrap().initializer;
    let weights = stored.iter_mut().find(|t| t.name() == "fc_layers.0.weight").unwrap();
    let mut tensor = Tensor::from_proto(weights).unwrap();
    // [256, 128 channels · 3 rows · 3 columns]: the last two columns.
    for ((_, at), value) in tensor.data.view_mut().into_dimensionality::<ndarray::Ix2>().unwrap().indexed_iter_mut() {
        if at % 3 >= 1 {
            *value = 0.0;
        }
    }
    *weights = tensor.to_proto("fc_layers.0.weight").unwrap();
    assert_eq!(tensor.dtype, DataType::Float);
    Model::new(proto).unwrap()
}

#[test]
fn a_place_that_the_network_does_not_use_gets_nothing_from_hirescam_and_something_from_grad_cam() {
    let model = half_blind();
    for engine in engines(1) {
        for class in 0..10 {
            let target = || Target::Classes(vec![class]);
            let hires = explain(engine.as_ref(), &model, &[1, 1, 28, 28], Some(DIGITS_LAYER), "hirescam", target());
            let grad = explain(engine.as_ref(), &model, &[1, 1, 28, 28], Some(DIGITS_LAYER), "gradcam", target());
            // Pooled columns 1 and 2 come from columns 2 to 5 of the layer; column 6 is pooled away.
            let dead = |m: &Made| m.map.slice(ndarray::s![0, .., 2..]).iter().filter(|&&v| v != 0.0).count();
            assert_eq!(dead(&hires), 0, "{} class {class}", engine.name());
            assert!(dead(&grad) > 0, "{} class {class}", engine.name());
            assert!(hires.map.iter().any(|&v| v != 0.0));
            assert_eq!((hires.verdict, grad.verdict), (Verdict::LocallyLinear, Verdict::Unproven));
        }
    }
}

#[test]
fn the_cells_and_b_add_up_to_the_score() {
    let efficientnet = read("efficientnet-lite0.onnx");
    let digits = read("digits-cnn.onnx");
    for engine in engines(1) {
        for (model, shape, verdict) in
            [(&efficientnet, [1usize, 3, 224, 224], Verdict::Exact), (&digits, [1, 1, 28, 28], Verdict::LocallyLinear)]
        {
            for target in [Target::Top(1), Target::Classes(vec![3])] {
                let made = explain(engine.as_ref(), model, &shape, None, "hirescam", target);
                assert_eq!(made.verdict, verdict);
                let gap = (made.map.sum() + made.b - made.score).abs();
                assert!(gap <= 1e-4 * made.score.abs().max(1.0), "{}: {gap}", engine.name());
            }
        }
    }
}

#[test]
fn b_is_the_same_for_every_class_choice_and_image_where_the_head_is_affine() {
    let model = read("efficientnet-lite0.onnx");
    for engine in engines(1) {
        let request = Request { target: Target::Top(3), ..Request::default() };
        let explaining = cam::attach(&model, &request).unwrap();
        let bias = explaining.bias.clone().unwrap();
        let session = engine.prepare(&onnx::write(&explaining.model)).unwrap();
        for seed in 1..3 {
            let made = session.run(&[(&explaining.image, &noise(&[1, 3, 224, 224], seed))]).unwrap();
            let get = |name: &str| made.iter().find(|(n, _)| n == name).unwrap().1.to_f64();
            let (classes, b) = (get(&explaining.outputs.class), get(&explaining.outputs.b));
            let (map, score) = (get(&explaining.outputs.map), get(&explaining.outputs.score));
            for i in 0..3 {
                assert!((b[[0, i]] - bias[classes[[0, i]] as usize]).abs() < 1e-6);
                let sum: f64 = map.slice(ndarray::s![0, i, .., ..]).sum();
                assert!((sum + b[[0, i]] - score[[0, i]]).abs() <= 1e-4 * score[[0, i]].abs());
            }
        }
    }
}

#[test]
fn hirescam_is_grad_cam_where_the_head_averages() {
    let model = read("efficientnet-lite0.onnx");
    for engine in engines(1) {
        let [hires, grad] = ["hirescam", "gradcam"]
            .map(|m| explain(engine.as_ref(), &model, &[1, 3, 224, 224], None, m, Target::Top(1)));
        assert!(hires.uniform && grad.uniform);
        assert_eq!(hires.map, grad.map);
    }
}
