//! Explaining models of networks whose image can be of any size: right at the size they declare, refused at any other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::Model;
use hirescam_core::analysis::{Analysis, Hints};
use hirescam_core::cam::{self, HeatmapSize, Request};
use hirescam_engine::Array;
use hirescam_testing::engines::engines;
use hirescam_testing::fixture;
use hirescam_testing::max_abs;
use ndarray::ArrayD;
use serde_json::Value;

#[test]
fn explaining_models_keep_to_the_size_that_their_derivative_holds_for() {
    let file = fixture("kinds/free.onnx");
    let golden: Value = serde_json::from_slice(&fixture("kinds/golden.json")).unwrap();
    let shape = |case: &Value| -> Vec<usize> { serde_json::from_value(case["shape"].clone()).unwrap() };
    for case in golden["free.onnx"].as_array().unwrap() {
        let attach = |bytes: &[u8], image_shape: Vec<usize>, heatmap: Option<HeatmapSize>| {
            let hints = Hints { image_shape: Some(image_shape), ..Hints::default() };
            let analysis = Analysis::of(Model::from_bytes(bytes.to_vec()).unwrap(), &hints).unwrap();
            cam::attach_to(&analysis, &Request { heatmap, ..Request::default() }, &cam::Further::default())
                .unwrap()
                .remove(0)
        };
        let made = attach(&file, shape(case), Some(HeatmapSize::Image));
        let closed: Vec<_> = made.closed().collect();
        let size: Vec<Option<usize>> = shape(case).iter().map(|&n| Some(n)).collect();
        assert_eq!(closed, [("image", [&[None], &size[1..]].concat())]);
        let bytes = made.to_bytes();
        assert!(cam::strip(&bytes).unwrap().unwrap() == file, "stripping does not give the file back");
        // What was attached to is open again, so another size can be attached for.
        let again = attach(&bytes, vec![1, 3, 8, 8], None);
        assert!(cam::strip(&again.to_bytes()).unwrap().unwrap() == file);

        let levels: Vec<f32> = serde_json::from_value(case["levels"].clone()).unwrap();
        let levels = ArrayD::from_shape_vec(shape(case), levels).unwrap() / 256.0;
        let expected: Vec<f64> = serde_json::from_value(case["map"].clone()).unwrap();
        let largest = max_abs(&expected);
        let two = Array::from(levels).rows(&[0, 0]).unwrap();
        for engine in engines(1) {
            let session = engine.prepare(&bytes).unwrap();
            let outputs = session.run(&[("image", &two)]).unwrap();
            let find = |name: &str| outputs.iter().find(|(n, _)| n == name).unwrap().1.to_f64();
            let map = find(&made.outputs.map);
            for (got, expected) in map.iter().zip(expected.iter().chain(&expected)) {
                assert!((got - expected).abs() <= 1e-5 * largest, "{}", engine.name());
            }
            assert_eq!(find(made.outputs.heatmap.as_ref().unwrap()).shape()[1..], shape(case)[2..]);
            let other = Array::from(ArrayD::<f32>::zeros(vec![1, 3, 40, 40]));
            assert!(session.run(&[("image", &other)]).is_err(), "{}", engine.name());
        }
    }
}
