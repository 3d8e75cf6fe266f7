//! The heatmap that an explaining model computes is the one that the library makes of the map.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam::Network;
use hirescam::core::cam::{self, HeatmapSize, Request, Target};
use hirescam::core::shape::Dim;
use hirescam::heatmap::{Heatmap, Normalize, resize_linear};
use hirescam_engine::{Array, engine};
use ndarray::{ArrayD, Axis, Ix2};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

/// Map and heatmap `[N, M, …]` of two images of noise.
fn run(file: &str, layer: Option<&str>, heatmap: HeatmapSize) -> [ArrayD<f32>; 2] {
    let file = Network::open(format!("{FIXTURES}/{file}")).unwrap();
    let request = Request {
        layer: layer.map(str::to_owned),
        target: Target::Top(2),
        heatmap: Some(heatmap),
        ..Request::default()
    };
    let made = cam::attach(file.model(), &request).unwrap();
    let shape: Vec<usize> = made.image_dims.iter().map(|d| if let Dim::Fixed(n) = d { *n } else { 2 }).collect();
    let mut state = 1u32;
    let noise = ArrayD::from_shape_simple_fn(shape, || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    });
    let session = engine("tract", &Default::default()).unwrap().prepare(&made.to_bytes()).unwrap();
    let image = Array::from(noise);
    let outputs = session.run(&[(&made.image, &image)]).unwrap();
    let find = |name: &str| outputs.iter().find(|(n, _)| n == name).unwrap().1.to_f32();
    [find(&made.outputs.map), find(made.outputs.heatmap.as_ref().unwrap())]
}

#[test]
fn pictures_are_those_of_the_library() {
    let cases = [
        ("digits-cnn.onnx", None, HeatmapSize::Image, [28, 28]),
        ("digits-cnn.onnx", None, HeatmapSize::Cells(vec![5, 61]), [5, 61]),
        ("zoo/resnet.ts.onnx", None, HeatmapSize::Image, [32, 32]),
        ("zoo/keras_flatten.onnx", None, HeatmapSize::Cells(vec![17, 33]), [17, 33]),
    ];
    for (file, layer, size, [height, width]) in cases {
        let [map, heatmap] = run(file, layer, size);
        assert_eq!(heatmap.shape(), [&map.shape()[..2], &[height, width]].concat(), "{file}");
        for (map, heatmap) in map.outer_iter().zip(heatmap.outer_iter()) {
            for class in 0..2 {
                let one = map.index_axis(Axis(0), class).into_dimensionality::<Ix2>().unwrap().to_owned();
                let made = Heatmap::new(one).unwrap().rectify().normalize(Normalize::Max).unwrap();
                let made = made.resize(height, width).unwrap().into_values();
                assert!(made.iter().any(|&v| v > 0.5), "{file}: nothing to see");
                let error = (&made - &heatmap.index_axis(Axis(0), class)).iter().fold(0.0f32, |m, d| m.max(d.abs()));
                assert!(error < 1e-6, "{file}: {error}");
            }
        }
    }
}

#[test]
fn volumes_are_those_of_the_library() {
    let size = [9, 20, 13];
    let [map, heatmap] = run("zoo/cnn3d.ts.onnx", None, HeatmapSize::Cells(size.to_vec()));
    for (map, heatmap) in map.outer_iter().zip(heatmap.outer_iter()) {
        for (map, heatmap) in map.outer_iter().zip(heatmap.outer_iter()) {
            let largest = map.iter().copied().fold(0.0, f32::max);
            let made = resize_linear(&map.mapv(|v| v.max(0.0) / largest), &size).unwrap();
            let error = (&made - &heatmap).iter().fold(0.0f32, |m, d| m.max(d.abs()));
            assert!(error < 1e-6, "{error}");
        }
    }
}
