//! The heatmap in the graph against its definition: rectify, divide by the largest, resize.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::build::OLDEST_OPSET;
use hirescam_core::cam::{self, HeatmapSize, Request, Target};
use hirescam_core::onnx::attribute;
use hirescam_core::onnx::messages::NodeProto;
use hirescam_core::tensor::DataType;
use hirescam_core::{Error, Model, Tensor, reference};
use hirescam_testing::by_hand::{info, model};
use hirescam_testing::{Random, max_abs};
use ndarray::{ArrayD, Axis};
use std::collections::HashMap;

/// A convolution that halves every axis of space, a mean over places and a linear layer of 3 classes. The last class has
/// only negative weights; what comes out of the convolution is positive.
fn network(opset: i64, dtype: DataType, space: &[usize]) -> Model {
    let node = |op: &str, input: &[&str], output: &str, attribute| NodeProto {
        op_type: Some(op.into()),
        input: input.iter().map(|&s| s.into()).collect(),
        output: vec![output.into()],
        attribute,
        ..Default::default()
    };
    let mut random = Random::new(5);
    let mut kernel = vec![4, 2];
    kernel.extend(vec![2; space.len()]);
    let stored = |t: Tensor| Tensor { dtype, ..t };
    let mut weight = random.tensor(&[4, 3], -1.0, 1.0);
    weight.data.index_axis_mut(Axis(1), 2).mapv_inplace(|w| -w.abs());
    let nodes = vec![
        node("Conv", &["x", "k"], "c", vec![attribute("strides", vec![2i64; space.len()])]),
        node("Relu", &["c"], "r", vec![]),
        node("GlobalAveragePool", &["r"], "g", vec![]),
        node("Flatten", &["g"], "f", vec![]),
        node("MatMul", &["f", "w"], "y", vec![]),
    ];
    let weights = [("k", stored(random.tensor(&kernel, -0.5, 1.0))), ("w", stored(weight))];
    let input = info("x", dtype, &[&[0, 2], space].concat());
    Model::new(model(opset, nodes, vec![input], vec![info("y", dtype, &[0, 3])], &weights)).unwrap()
}

/// Map and heatmap of two images.
fn run(model: &Model, target: Target, size: HeatmapSize) -> [ArrayD<f64>; 2] {
    let request = Request { layer: Some("r".into()), target, heatmap: Some(size), ..Request::default() };
    let made = cam::attach(model, &request).unwrap();
    let shape: Vec<usize> =
        made.image_dims.iter().enumerate().map(|(i, d)| if i == 0 { 2 } else { d.per_image() }).collect();
    let image = Random::new(9).tensor(&shape, -1.0, 1.0);
    let explaining = Model::from_bytes(made.to_bytes()).unwrap();
    let names = [made.outputs.map.as_str(), made.outputs.heatmap.as_deref().unwrap()];
    let known = HashMap::from([("x".to_owned(), Tensor { dtype: DataType::Float, ..image })]);
    let made = reference::evaluate(&explaining, known, &names).unwrap();
    let [map, heatmap] = made.try_into().unwrap();
    [map.data, heatmap.data]
}

/// The definition, for a map without batch and classes: one pixel after the other.
fn defined(map: &ArrayD<f64>, cells: &[usize]) -> ArrayD<f64> {
    let largest = map.iter().copied().fold(0.0, f64::max);
    let value = |v: f64| if largest > 0.0 { v.max(0.0) / largest } else { 0.0 };
    ArrayD::from_shape_fn(cells, |pixel| {
        let corners = 1usize << cells.len();
        let of_corner = |corner: usize| {
            let (mut at, mut weight) = (Vec::new(), 1.0);
            for (axis, &to) in cells.iter().enumerate() {
                let from = map.shape()[axis];
                let place = (pixel[axis] as f64 + 0.5) * from as f64 / to as f64 - 0.5;
                let place = place.max(0.0).min((from - 1) as f64);
                let high = corner >> axis & 1 == 1;
                let share = place - place.floor();
                weight *= if high { share } else { 1.0 - share };
                at.push((place as usize + usize::from(high)).min(from - 1));
            }
            weight * value(map[at.as_slice()])
        };
        (0..corners).map(of_corner).sum()
    })
}

fn close(heatmap: &ArrayD<f64>, map: &ArrayD<f64>, cells: &[usize], what: &str) {
    let expected = defined(map, cells);
    assert_eq!(heatmap.shape(), cells, "{what}");
    assert!(heatmap.iter().all(|v| (0.0..=1.0 + 1e-6).contains(v)), "{what}: {heatmap}");
    let worst = max_abs(&(heatmap - &expected));
    assert!(worst < 1e-6, "{what}: {worst}");
}

#[test]
fn it_is_as_defined_along_any_number_of_axes_and_for_every_map() {
    for (space, size, cells) in [
        (vec![8], HeatmapSize::Image, vec![8]),
        (vec![8], HeatmapSize::Cells(vec![3]), vec![3]),
        (vec![6, 10], HeatmapSize::Image, vec![6, 10]),
        (vec![6, 10], HeatmapSize::Cells(vec![7, 1]), vec![7, 1]),
        (vec![6, 10], HeatmapSize::Cells(vec![3, 5]), vec![3, 5]),
        (vec![4, 6, 10], HeatmapSize::Image, vec![4, 6, 10]),
        (vec![4, 6, 10], HeatmapSize::Cells(vec![2, 9, 11]), vec![2, 9, 11]),
    ] {
        let model = network(17, DataType::Float, &space);
        let [map, heatmap] = run(&model, Target::All, size.clone());
        for image in 0..2 {
            for class in 0..3 {
                let of = |a: &ArrayD<f64>| a.index_axis(Axis(0), image).index_axis(Axis(0), class).to_owned();
                close(&of(&heatmap), &of(&map), &cells, &format!("{space:?} {size:?} {image} {class}"));
            }
        }
        let [map, heatmap] = run(&model, Target::Top(1), size);
        let of = |a: &ArrayD<f64>| a.index_axis(Axis(0), 1).to_owned();
        close(&of(&heatmap), &of(&map), &cells, "one map an image");
    }
}

#[test]
fn every_operator_set_and_float_type_gives_it() {
    let types = [DataType::Float16, DataType::Bfloat16, DataType::Double].map(|dtype| (22, dtype));
    for (opset, dtype) in (OLDEST_OPSET..=25).map(|opset| (opset, DataType::Float)).chain(types) {
        let model = network(opset, dtype, &[6, 10]);
        let [map, heatmap] = run(&model, Target::Classes(vec![0]), HeatmapSize::Image);
        let of = |a: &ArrayD<f64>| a.index_axis(Axis(0), 0).to_owned();
        // The weights of cells are rounded to the network's own type.
        let error = max_abs(&(&of(&heatmap) - &defined(&of(&map), &[6, 10])));
        let most = match dtype {
            DataType::Float16 => 1e-3,
            DataType::Bfloat16 => 1e-2,
            _ => 1e-6,
        };
        assert!(error < most, "operator set {opset}, {dtype:?}: {error}");
    }
}

#[test]
fn a_map_with_nothing_positive_is_0_everywhere() {
    let [map, heatmap] = run(&network(17, DataType::Float, &[6, 10]), Target::Classes(vec![2]), HeatmapSize::Image);
    assert!(map.iter().all(|&v| v <= 0.0) && map.iter().any(|&v| v < 0.0));
    assert!(heatmap.iter().all(|&v| v == 0.0));
    // Without a Where, too: what is not chosen must not be 0/0 there.
    let [_, heatmap] =
        run(&network(OLDEST_OPSET, DataType::Float, &[6, 10]), Target::Classes(vec![2]), HeatmapSize::Image);
    assert!(heatmap.iter().all(|&v| v == 0.0));
}

#[test]
fn sizes_that_make_no_heatmap_are_refused() {
    let model = network(17, DataType::Float, &[6, 10]);
    let attach = |size: &str| {
        let heatmap = Some(size.parse()?);
        cam::attach(&model, &Request { heatmap, ..Request::default() }).map(drop)
    };
    for size in ["", "x", "7", "7x7x7", "0x5", "4000000000x4000000000", "-1x3", "7 x 7", "net.onnx"] {
        assert!(matches!(attach(size), Err(Error::Argument(_))), "{size}");
    }
    attach("7x9").unwrap();
    attach("image").unwrap();
}
