//! Pictures are the right way round, however the network keeps its channels, rows and columns.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod spec;

use hirescam::Network;
use hirescam::core::Tensor;
use hirescam::core::onnx::attribute;
use hirescam::core::onnx::messages::{AttributeProto, NodeProto};
use hirescam::core::tensor::DataType;
use hirescam::overlay::Style;
use hirescam::photo::Photo;
use hirescam::preprocess::{Preprocess, Resize};
use hirescam::{Error, Explanation, Spec};
use hirescam_testing::by_hand::{info, model};
use image::{Rgb, RgbImage};
use ndarray::{ArrayD, IxDyn};
use spec::tract;

/// The image, wider than high, and the cells of its pooled layer.
const SIZE: [usize; 2] = [32, 64];
const CELLS: [usize; 2] = [4, 8];
/// The cell that the score reads.
const READ: [usize; 2] = [0, 6];

/// How a layer keeps its places: the steps from `[1,3,4,8]`, its shape, and the row and column of an entry.
struct Kept {
    what: &'static str,
    steps: &'static [(&'static str, &'static [i64])],
    shape: &'static [usize],
    place: fn(&[usize]) -> [usize; 2],
    channels: i64,
}

const KEPT: &[Kept] = &[
    Kept { what: "channels first", steps: &[], shape: &[1, 3, 4, 8], place: |i| [i[2], i[3]], channels: 1 },
    Kept {
        what: "channels last",
        steps: &[("Transpose", &[0, 2, 3, 1])],
        shape: &[1, 4, 8, 3],
        place: |i| [i[1], i[2]],
        channels: -1,
    },
    Kept {
        what: "columns before rows",
        steps: &[("Transpose", &[0, 3, 2, 1])],
        shape: &[1, 8, 4, 3],
        place: |i| [i[2], i[1]],
        channels: -1,
    },
    Kept {
        what: "tokens",
        steps: &[("Reshape", &[1, 3, 32]), ("Transpose", &[0, 2, 1])],
        shape: &[1, 32, 3],
        place: |i| [i[1] / 8, i[1] % 8],
        channels: -1,
    },
    Kept {
        what: "tokens behind a class token",
        steps: &[("Reshape", &[1, 3, 32]), ("Transpose", &[0, 2, 1]), ("Concat", &[1])],
        shape: &[1, 33, 3],
        place: |i| if i[1] == 0 { [9, 9] } else { [(i[1] - 1) / 8, (i[1] - 1) % 8] },
        channels: -1,
    },
];

/// Image, mean over 8×8 pixels, "layer" kept as said, a linear layer that reads one cell of it. With `last` the image has
/// its channels last.
fn network(kept: &Kept, last: bool) -> Network {
    let (mut nodes, mut stored) = (Vec::new(), Vec::new());
    let mut at = "image".to_owned();
    let mut step = |op: &str, with: Option<Tensor>, attributes: Vec<AttributeProto>, nodes: &mut Vec<NodeProto>| {
        let mut input = vec![at.clone()];
        if let Some(tensor) = with {
            let name = format!("stored{}", nodes.len());
            input.insert(if op == "Concat" { 0 } else { 1 }, name.clone());
            stored.push((name, tensor));
        }
        at = format!("value{}", nodes.len());
        nodes.push(NodeProto {
            op_type: Some(op.into()),
            input,
            output: vec![at.clone()],
            attribute: attributes,
            ..Default::default()
        });
    };
    if last {
        step("Transpose", None, vec![attribute("perm", [0, 3, 1, 2])], &mut nodes);
    }
    let window = vec![attribute("kernel_shape", [8, 8]), attribute("strides", [8, 8])];
    step("AveragePool", None, window, &mut nodes);
    for (op, list) in kept.steps {
        match *op {
            "Transpose" => step(op, None, vec![attribute("perm", list.to_vec())], &mut nodes),
            "Reshape" => step(op, Some(Tensor::ints(list)), vec![], &mut nodes),
            _ => {
                let token = Tensor::float(ArrayD::from_elem(IxDyn(&[1, 1, 3]), 1.0));
                step(op, Some(token), vec![attribute("axis", 1)], &mut nodes);
            }
        }
    }
    let reads = |i: IxDyn| if (kept.place)(ndarray::Dimension::slice(&i)) == READ { 1.0 } else { 0.0 };
    step("Mul", Some(Tensor::float(ArrayD::from_shape_fn(IxDyn(kept.shape), reads))), vec![], &mut nodes);
    step("Flatten", None, vec![], &mut nodes);
    let weights = ArrayD::from_shape_fn(IxDyn(&[kept.shape.iter().product(), 2]), |i| [1.0, -1.0][i[1]]);
    step("MatMul", Some(Tensor::float(weights)), vec![], &mut nodes);
    let [height, width] = SIZE;
    let shape = if last { [1, height, width, 3] } else { [1, 3, height, width] };
    let stored: Vec<(&str, Tensor)> = stored.iter().map(|(name, t)| (name.as_str(), t.clone())).collect();
    let float = |name: &str, shape: &[usize]| info(name, DataType::Float, shape);
    let proto = model(17, nodes, vec![float("image", &shape)], vec![float(&at, &[1, 2])], &stored);
    hirescam::Network::from_bytes(hirescam::core::onnx::write(&proto)).unwrap()
}

fn explain(kept: &Kept, last: bool, channels: Option<i64>) -> Result<Explanation, Error> {
    let layer = 1 + usize::from(last) + kept.steps.len() - 1;
    let [height, width] = SIZE.map(|n| n as u32);
    let options = Spec {
        layers: vec![format!("value{layer}")],
        target: Some("class:0".into()),
        channel_axis: channels,
        preprocess: Some(Preprocess { resize: Some(Resize::Exact([height, width])), ..Preprocess::default() }.into()),
        ..tract()
    };
    let photo = Photo::from_rgb(RgbImage::from_pixel(720, 360, Rgb([90; 3]))).unwrap();
    Ok(network(kept, last).explainer(&options)?.explain_one(photo)?.into_maps().remove(0))
}

#[test]
fn the_cell_that_is_read_lights_up_where_it_lies_in_the_photo() {
    for (kept, last) in KEPT.iter().flat_map(|kept| [(kept, false), (kept, true)]) {
        for channels in [None, Some(kept.channels)] {
            let what = format!("{}, image with channels last: {last}, channels {channels:?}", kept.what);
            let e = explain(kept, last, channels).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(e.map.shape(), CELLS, "{what}");
            let lit: Vec<_> = e.map.indexed_iter().filter(|(_, v)| **v != 0.0).map(|(i, _)| [i[0], i[1]]).collect();
            assert_eq!(lit, [READ], "{what}");
            let picture = e.overlay(false, &Style::default()).unwrap();
            // The photo keeps its size; colours lie about the middle of the cell, 585 across and 45 down.
            let hue = |[r, g, b]: [u8; 3]| r.max(g).max(b) - r.min(g).min(b);
            let coloured = picture.enumerate_pixels().filter(|(x, _, p)| *x < 720 && hue(p.0) > 60);
            let places: Vec<_> = coloured.map(|(x, y, _)| (f64::from(x), f64::from(y))).collect();
            let n = places.len() as f64;
            let (x, y) = places.iter().fold((0.0, 0.0), |m, p| (m.0 + p.0 / n, m.1 + p.1 / n));
            assert!(n > 100.0 && (x - 585.0).abs() < 40.0 && (y - 45.0).abs() < 40.0, "{what}: {x} {y} of {n}");
        }
    }
}
