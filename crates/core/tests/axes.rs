//! What axes mean: where the cards say that an axis goes, where the samples lie, which axis of the image counts channels.
//! Networks that lay the same thing out in other ways must have the same maps.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::analysis::{Analysis, Hints};
use hirescam_core::axes::Samples;
use hirescam_core::cam::{self, Request, Target};
use hirescam_core::certify::Verdict;
use hirescam_core::graph::Attributes;
use hirescam_core::onnx::attribute;
use hirescam_core::onnx::messages::{AttributeProto, ModelProto, NodeProto, ValueInfoProto};
use hirescam_core::ops::{self, Along, CaseInput};
use hirescam_core::shape::{Dim, Fact, Shapes};
use hirescam_core::tensor::DataType;
use hirescam_core::{Error, Model, Tensor, head, reference};
use hirescam_testing::by_hand;
use hirescam_testing::by_hand::{info, single_node};
use hirescam_testing::{Random, max_abs};
use ndarray::{ArrayD, Axis, Slice};
use std::collections::HashMap;

/// The places of an axis that two values differ in.
fn touched(a: &ArrayD<f64>, b: &ArrayD<f64>, axis: usize) -> Vec<usize> {
    (0..a.len_of(Axis(axis))).filter(|&i| a.index_axis(Axis(axis), i) != b.index_axis(Axis(axis), i)).collect()
}

#[test]
fn an_entry_of_an_axis_goes_where_its_card_says_and_nowhere_else() {
    let mut tried = HashMap::new();
    for card in ops::all() {
        for (n, case) in (card.cases)().into_iter().enumerate() {
            let (model, values) = single_node(card, &case, &mut Random::new(11));
            let facts: Vec<Option<Fact>> = (case.inputs.iter())
                .map(|given| match given {
                    CaseInput::Varied(shape, ..) | CaseInput::Weight(shape, ..) => {
                        Some(Fact::new(DataType::Float, shape.as_slice()))
                    }
                    CaseInput::Fixed(tensor) => Some(Fact::constant(tensor.clone())),
                    CaseInput::Absent => None,
                })
                .collect();
            let facts: Vec<Option<&Fact>> = facts.iter().map(Option::as_ref).collect();
            let node = &model.graph().node[0];
            let a = Attributes { node, opset: case.opset };
            let outputs: Vec<&str> = node.output.iter().map(String::as_str).collect();
            let run = |values: &HashMap<String, Tensor>| reference::evaluate(&model, values.clone(), &outputs).unwrap();
            let before = run(&values);
            for (i, given) in case.inputs.iter().enumerate() {
                let CaseInput::Varied(shape, low, high) = given else { continue };
                for (axis, &extent) in shape.iter().enumerate() {
                    let Along::To(to) = (card.along)(&a, &facts, i, axis) else { continue };
                    for entry in 0..extent {
                        let mut values = values.clone();
                        let x = &mut values.get_mut(&format!("x{i}")).unwrap().data;
                        let mut part = x.slice_axis_mut(Axis(axis), Slice::from(entry..=entry));
                        part.mapv_inplace(|v| low + high - v + 1e-3 * (high - low));
                        for (made, before) in run(&values).iter().zip(&before) {
                            // An axis of 1 is broadcast.
                            if made.shape()[to] == extent && extent > 1 {
                                let touched = touched(&made.data, &before.data, to);
                                let context = format!("{}, case {n}: axis {axis} of input {i}", card.name);
                                assert!(touched.iter().all(|&t| t == entry), "{context}: {entry} touches {touched:?}");
                                *tried.entry(card.name).or_insert(0) += 1;
                            }
                        }
                    }
                }
            }
        }
    }
    for name in ["Conv", "MatMul", "Gemm", "Einsum", "Softmax", "Transpose", "Concat", "Gather", "ReduceMean", "Where"]
    {
        assert!(tried.contains_key(name), "{name}");
    }
}

fn node(op: &str, inputs: &[&str], output: &str, attributes: &[AttributeProto]) -> NodeProto {
    NodeProto {
        op_type: Some(op.into()),
        name: Some(format!("the {op}")),
        input: inputs.iter().map(|&i| i.into()).collect(),
        output: vec![output.into()],
        attribute: attributes.to_vec(),
        ..Default::default()
    }
}

/// A declaration whose first extent is open where it is 0.
fn open(name: &str, shape: &[usize]) -> ValueInfoProto {
    let mut info = info(name, DataType::Float, shape);
    use hirescam_core::onnx::messages::{tensor_shape_proto::dimension, type_proto};
    if let Some(type_proto::Value::TensorType(tensor)) = &mut info.r#type.as_mut().unwrap().value {
        for dim in
            tensor.shape.as_mut().unwrap().dim.iter_mut().filter(|d| d.value == Some(dimension::Value::DimValue(0)))
        {
            dim.value = Some(dimension::Value::DimParam("n".into()));
        }
    }
    info
}

const CHANNELS: usize = 3;
const HEIGHT: usize = 6;
const WIDTH: usize = 5;
const CLASSES: usize = 4;

/// From images `f` of the shape `[…, 3, 6, 5]` to the layer `a` and scores `y` of each, with the same weights always.
fn images_to_scores() -> Vec<NodeProto> {
    vec![
        node("Conv", &["f", "w", "b"], "c", &[attribute("pads", [1, 1, 1, 1])]),
        node("Relu", &["c"], "a", &[]),
        node("GlobalAveragePool", &["a"], "p", &[]),
        node("Flatten", &["p"], "q", &[]),
        node("Gemm", &["q", "v"], "y", &[]),
    ]
}

/// A network of the nodes `before` and `after` those of [`images_to_scores`].
fn network(shape: &[usize], before: Vec<NodeProto>, after: Vec<NodeProto>, ints: &[(&str, &[i64])]) -> Model {
    let mut random = Random::new(3);
    let mut stored = vec![
        ("w", random.tensor(&[7, CHANNELS, 3, 3], -1.0, 1.0)),
        ("b", random.tensor(&[7], -0.5, 0.5)),
        ("v", random.tensor(&[7, CLASSES], -1.0, 1.0)),
    ];
    stored.extend(ints.iter().map(|(name, list)| (*name, Tensor::ints(list))));
    let output = after.last().map_or("y", |n| n.output[0].as_str()).to_owned();
    let nodes = before.into_iter().chain(images_to_scores()).chain(after).collect();
    model(nodes, open("x", shape), &output, &stored)
}

fn model(nodes: Vec<NodeProto>, input: ValueInfoProto, output: &str, stored: &[(&str, Tensor)]) -> Model {
    let proto: ModelProto = by_hand::model(13, nodes, vec![input], vec![open(output, &[0, 0])], stored);
    Model::new(proto).unwrap()
}

/// The map of the class 1 at `layer` for an image, in f64.
fn map(model: &Model, request: &Request, image: &Tensor) -> ArrayD<f64> {
    map_of(&Analysis::of(model, &Hints::default()).unwrap(), request, image)
}

fn map_of(analysis: &Analysis, request: &Request, image: &Tensor) -> ArrayD<f64> {
    let request = Request { target: Target::Classes(vec![1]), ..request.clone() };
    let made = cam::attach_to(analysis, &request, &cam::Further::default()).unwrap().remove(0);
    let known = HashMap::from([("x".to_owned(), image.clone())]);
    let proto = ModelProto::clone(&made.model);
    let made = reference::evaluate(&Model::new(proto).unwrap(), known, &[&made.outputs.map]).unwrap();
    made[0].data.clone()
}

fn at(layer: &str) -> Request {
    Request { layer: Some(layer.into()), ..Request::default() }
}

fn assert_near(a: &ArrayD<f64>, b: &ArrayD<f64>, context: &str) {
    assert_eq!(a.shape(), b.shape(), "{context}");
    let (apart, largest) = (max_abs(&(a - b)), max_abs(b));
    assert!(largest > 0.0 && apart <= 1e-6 * largest, "{context}: {apart} apart, of {largest}");
}

/// `frames` images for each of two samples, `[2, frames, 3, 6, 5]`, and the map of each image alone, `[2, frames, 6, 5]`.
fn frames_and_maps(frames: usize) -> (Tensor, ArrayD<f64>) {
    let plain = network(&[0, CHANNELS, HEIGHT, WIDTH], vec![node("Identity", &["x"], "f", &[])], vec![], &[]);
    let all = Random::new(8).tensor(&[2 * frames, CHANNELS, HEIGHT, WIDTH], -1.0, 1.0);
    let maps = map(&plain, &at("a"), &all).into_shape_with_order(vec![2, frames, HEIGHT, WIDTH]).unwrap();
    (shaped(&all, &[2, frames, CHANNELS, HEIGHT, WIDTH]), maps)
}

fn shaped(t: &Tensor, shape: &[usize]) -> Tensor {
    let data = t.data.as_standard_layout().into_owned().into_shape_with_order(shape.to_vec()).unwrap();
    Tensor { dtype: t.dtype, data }
}

const FRAMES: usize = 4;

/// What a mean over frames makes of a frame's map.
fn share(maps: &ArrayD<f64>) -> ArrayD<f64> {
    maps / FRAMES as f64
}

#[test]
fn frames_that_are_folded_into_the_batch_have_a_map_each() {
    let (frames, maps) = frames_and_maps(FRAMES);
    let last = |axis: i64| node("ReduceMean", &["z"], "o", &[attribute("axes", [axis]), attribute("keepdims", 0)]);
    let fold = node("Reshape", &["x", "images"], "f", &[]);
    let images: &[i64] = &[-1, CHANNELS as i64, HEIGHT as i64, WIDTH as i64];
    let clips = [("images", images), ("clips", &[-1, FRAMES as i64, CLASSES as i64][..])];
    let apart = node("Reshape", &["y", "clips"], "z", &[]);
    for free in [0, 2] {
        // One after the other along the channels.
        let shape = [free, FRAMES * CHANNELS, HEIGHT, WIDTH];
        let clip = network(&shape, vec![fold.clone()], vec![apart.clone(), last(1)], &clips);
        let x = shaped(&frames, &[2, FRAMES * CHANNELS, HEIGHT, WIDTH]);
        assert_near(&map(&clip, &at("a"), &x), &share(&maps), "along the channels");
        // On an axis of their own.
        let shape = [free, FRAMES, CHANNELS, HEIGHT, WIDTH];
        let clip = network(&shape, vec![fold.clone()], vec![apart.clone(), last(1)], &clips);
        assert_near(&map(&clip, &at("a"), &frames), &share(&maps), "an axis of their own");
        // The frames before the clips.
        let before = vec![
            node("Transpose", &["x"], "t", &[attribute("perm", [1, 0, 2, 3, 4])]),
            node("Reshape", &["t", "images"], "f", &[]),
        ];
        let clips = [("images", images), ("clips", &[FRAMES as i64, -1, CLASSES as i64][..])];
        let clip = network(&shape, before, vec![apart.clone(), last(0)], &clips);
        assert_near(&map(&clip, &at("a"), &frames), &share(&maps), "frames before clips");
    }
}

#[test]
fn images_that_make_one_score_are_one_sample() {
    let (frames, maps) = frames_and_maps(FRAMES);
    let bag = shaped(&frames, &[2 * FRAMES, CHANNELS, HEIGHT, WIDTH]);
    let maps = maps.into_shape_with_order(vec![1, 2 * FRAMES, HEIGHT, WIDTH]).unwrap() / (2 * FRAMES) as f64;
    let mean = |keep: i64| node("ReduceMean", &["y"], "o", &[attribute("axes", [0]), attribute("keepdims", keep)]);
    let same = || vec![node("Identity", &["x"], "f", &[])];
    for keep in [0, 1] {
        let fixed = network(&[2 * FRAMES, CHANNELS, HEIGHT, WIDTH], same(), vec![mean(keep)], &[]);
        assert_near(&map(&fixed, &at("a"), &bag), &maps, "a bag of eight");
        let free = network(&[0, CHANNELS, HEIGHT, WIDTH], same(), vec![mean(keep)], &[]);
        let refused = cam::attach(&free, &at("a"));
        assert!(
            matches!(&refused, Err(Error::OpenSample { node, .. }) if node.contains("the ReduceMean")),
            "{refused:?}"
        );
        let hints = Hints { image_shape: Some(bag.shape().to_vec()), ..Hints::default() };
        let analysis = Analysis::of(&free, &hints).unwrap();
        assert_near(&map_of(&analysis, &at("a"), &bag), &maps, "a bag of as many as are given");
        let Analysis { shapes, score, .. } = analysis;
        let runs = shapes.runs(&score.logits);
        assert_eq!((runs.count, shapes.samples("a")), (Dim::Fixed(1), Some(Samples::One)));
        assert!(runs.one_sample.unwrap().contains("the ReduceMean"));
    }
}

#[test]
fn samples_are_kept_apart_or_it_is_not_said() {
    let shape = [0, CHANNELS, HEIGHT, WIDTH];
    let same = || vec![node("Identity", &["x"], "f", &[])];
    let apart = |after: Vec<NodeProto>, ints: &[(&str, &[i64])]| {
        let model = network(&shape, same(), after, ints);
        let analysis = Analysis::of(&model, &Hints::default());
        analysis.map(|a| a.shapes.runs(&a.score.logits).apart)
    };
    assert!(apart(vec![], &[]).unwrap());
    assert!(apart(vec![node("Softmax", &["y"], "o", &[attribute("axis", 1)])], &[]).unwrap());
    // Twice the batch, as of images and their mirror images, and back.
    let twice = vec![
        node("Concat", &["y", "y"], "d", &[attribute("axis", 0)]),
        node("Reshape", &["d", "pairs"], "e", &[]),
        node("ReduceMean", &["e"], "o", &[attribute("axes", [0]), attribute("keepdims", 0)]),
    ];
    assert!(apart(twice, &[("pairs", &[2, -1, CLASSES as i64])]).unwrap());
    let mixed = [
        vec![node("Softmax", &["y"], "s", &[attribute("axis", 0)]), node("Relu", &["s"], "o", &[])],
        vec![node("CumSum", &["y", "zero"], "o", &[])],
        vec![node("ReduceMax", &["y"], "m", &[attribute("axes", [0])]), node("Sub", &["y", "m"], "o", &[])],
        vec![
            node("Transpose", &["y"], "t", &[]),
            node("MatMul", &["y", "t"], "g", &[]),
            node("MatMul", &["g", "y"], "o", &[]),
        ],
    ];
    for after in mixed {
        let name = after[0].op_type().to_owned();
        let made = apart(after, &[("zero", &[0])]);
        assert!(matches!(made, Err(Error::OpenSample { .. })), "{name}: {made:?}");
    }
    // What is not known is not proven, and stops nothing.
    let unknown = vec![NodeProto { domain: Some("elsewhere".into()), ..node("Mystery", &["y"], "o", &[]) }];
    let mut proto = network(&shape, same(), unknown, &[]).proto().clone();
    proto.graph.as_mut().unwrap().output = vec![open("o", &[0, CLASSES])];
    let analysis = Analysis::of(Model::new(proto).unwrap(), &Hints::default()).unwrap();
    assert!(!analysis.shapes.runs("o").apart);
    assert_eq!(analysis.shapes.samples("o"), Some(Samples::FIRST));
}

#[test]
fn a_batch_that_is_no_first_axis_is_followed() {
    let tokens = (HEIGHT * WIDTH) as i64;
    let build = |first: bool| {
        let perm = if first { [2, 0, 1] } else { [0, 2, 1] };
        let mean = [attribute("axes", [i64::from(!first)]), attribute("keepdims", 0)];
        let mut random = Random::new(4);
        let stored = [
            ("w", random.tensor(&[7, CHANNELS, 3, 3], -1.0, 1.0)),
            ("m", random.tensor(&[7, 7], -1.0, 1.0)),
            ("v", random.tensor(&[7, CLASSES], -1.0, 1.0)),
            ("s", Tensor::ints(&[0, 7, tokens])),
        ];
        let nodes = vec![
            node("Conv", &["x", "w"], "c", &[attribute("pads", [1, 1, 1, 1])]),
            node("Reshape", &["c", "s"], "r", &[]),
            node("Transpose", &["r"], "t", &[attribute("perm", perm)]),
            node("Relu", &["t"], "a", &[]),
            node("MatMul", &["a", "m"], "d", &[]),
            node("Relu", &["d"], "e", &[]),
            node("ReduceMean", &["e"], "p", &mean),
            node("MatMul", &["p", "v"], "o", &[]),
        ];
        model(nodes, open("x", &[0, CHANNELS, HEIGHT, WIDTH]), "o", &stored)
    };
    let x = Random::new(9).tensor(&[3, CHANNELS, HEIGHT, WIDTH], -1.0, 1.0);
    let [batch_first, tokens_first] = [false, true].map(|first| map(&build(first), &at("a"), &x));
    assert_eq!(batch_first.shape(), [3, HEIGHT, WIDTH]);
    assert_near(&tokens_first, &batch_first, "tokens before the batch");
}

#[test]
fn a_squeeze_of_all_axes_is_that_of_several_images() {
    let shape = [0, CHANNELS, HEIGHT, WIDTH];
    let x = Random::new(6).tensor(&[2, CHANNELS, HEIGHT, WIDTH], -1.0, 1.0);
    let same = || vec![node("Identity", &["x"], "f", &[])];
    let plain = map(&network(&shape, same(), vec![], &[]), &at("a"), &x);
    let squeezed = network(&shape, same(), vec![node("Squeeze", &["y"], "o", &[])], &[]);
    assert_near(&map(&squeezed, &at("a"), &x), &plain, "of two images");
    let runs = |model: &Model| {
        let a = Analysis::of(model, &Hints::default()).unwrap();
        a.shapes.runs(&a.score.logits)
    };
    let alone = runs(&squeezed);
    assert!(alone.alone.as_deref().is_some_and(|node| node.contains("the Squeeze")) && alone.least() == 2);
    // Of one image the classes are left, and no images.
    let fixed = network(&[1, CHANNELS, HEIGHT, WIDTH], same(), vec![node("Squeeze", &["y"], "o", &[])], &[]);
    let one = Tensor { dtype: x.dtype, data: x.data.slice_axis(Axis(0), Slice::from(..1)).to_owned() };
    let first = plain.slice_axis(Axis(0), Slice::from(..1)).to_owned();
    assert_near(&map(&fixed, &at("a"), &one), &first, "of one");
    assert_eq!(Analysis::of(&fixed, &Hints::default()).unwrap().score.classes, CLASSES);
    assert_eq!(runs(&network(&shape, same(), vec![], &[])).least(), 1);
}

#[test]
fn the_channels_of_an_image_are_those_that_its_readers_take_for_channels() {
    // Three wide, and one wide, and ten channels last: lengths tell nothing.
    let conv = |input: &str| node("Conv", &[input, "w"], "a", &[]);
    let pool = || {
        let (flat, last) = (node("Flatten", &["p"], "q", &[]), node("Gemm", &["q", "v"], "o", &[]));
        vec![node("GlobalAveragePool", &["a"], "p", &[]), flat, last]
    };
    let channels = |shape: &[usize], before: Vec<NodeProto>, read: usize, ints: &[(&str, &[i64])]| {
        let input = before.last().map_or("x", |n| n.output[0].as_str()).to_owned();
        let mut random = Random::new(2);
        let mut stored = vec![
            ("w", random.tensor(&[4, read, 1, 1], -1.0, 1.0)),
            ("v", random.tensor(&[4, CLASSES], -1.0, 1.0)),
            ("mean", random.tensor(&[3], -1.0, 1.0)),
        ];
        stored.extend(ints.iter().map(|(name, list)| (*name, Tensor::ints(list))));
        let nodes = before.into_iter().chain([conv(&input)]).chain(pool()).collect();
        let model = model(nodes, open("x", shape), "o", &stored);
        let shapes = Shapes::infer(&model, "x", None).unwrap();
        assert!(shapes.tells_channels("x"), "{shape:?}");
        shapes.image_channels("x")
    };
    let turned = || node("Transpose", &["x"], "t", &[attribute("perm", [0, 3, 1, 2])]);
    let moved = |shape: &str| node("Reshape", &["x", shape], "t", &[]);
    assert_eq!(channels(&[0, 6, 40, 3], vec![], 6, &[]), Some(1));
    assert_eq!(channels(&[0, 11, 60, 1], vec![], 11, &[]), Some(1));
    assert_eq!(channels(&[0, 16, 20, 10], vec![turned()], 10, &[]), Some(3));
    assert_eq!(channels(&[0, 3, 20, 4], vec![turned()], 4, &[]), Some(3));
    let normalised = vec![
        node("Sub", &["x", "mean"], "d", &[]),
        node("Relu", &["d"], "e", &[]),
        node("Transpose", &["e"], "t", &[attribute("perm", [0, 3, 1, 2])]),
    ];
    assert_eq!(channels(&[0, 3, 20, 3], normalised, 3, &[]), Some(3));
    // One channel can be moved by a Reshape, or made.
    assert_eq!(channels(&[0, 8, 9, 1], vec![moved("s")], 1, &[("s", &[-1, 1, 8, 9])]), Some(3));
    assert_eq!(channels(&[0, 8, 9], vec![node("Unsqueeze", &["x", "s"], "t", &[])], 1, &[("s", &[1])]), None);
    // Frames are read as channels too, and come before the channels of each.
    assert_eq!(channels(&[0, 12, 8, 9], vec![moved("s")], 3, &[("s", &[-1, 3, 8, 9])]), Some(1));
    assert_eq!(channels(&[0, 4, 3, 8, 9], vec![moved("s")], 12, &[("s", &[-1, 12, 8, 9])]), Some(2));
    // Grey, as a mean over colours.
    let grey = vec![
        node("ReduceMean", &["x"], "g", &[attribute("axes", [3]), attribute("keepdims", 0)]),
        node("Unsqueeze", &["g", "s"], "t", &[]),
    ];
    assert_eq!(channels(&[0, 8, 9, 3], grey, 1, &[("s", &[1])]), Some(3));
}

#[test]
fn where_the_graph_leaves_the_channels_open_they_can_be_said() {
    let stored = [("v", Random::new(2).tensor(&[6 * 5 * 4, CLASSES], -1.0, 1.0))];
    let nodes = vec![node("Flatten", &["x"], "q", &[]), node("MatMul", &["q", "v"], "o", &[])];
    let dense = model(nodes, open("x", &[0, 6, 5, 4]), "o", &stored);
    let channels = |given: Option<i64>| {
        let hints = Hints { image_channels: given, ..Hints::default() };
        Analysis::of(&dense, &hints).map(|a| (a.shapes.tells_channels("x"), a.shapes.image_channels("x")))
    };
    assert_eq!(channels(None).unwrap(), (false, Some(3)));
    assert_eq!(channels(Some(1)).unwrap(), (true, Some(1)));
    assert_eq!(channels(Some(-1)).unwrap(), (true, Some(3)));
    assert!(channels(Some(0)).is_err() && channels(Some(4)).is_err());
    let conv = network(&[0, CHANNELS, HEIGHT, WIDTH], vec![node("Identity", &["x"], "f", &[])], vec![], &[]);
    let contradicted = Hints { image_channels: Some(3), ..Hints::default() };
    assert!(matches!(Analysis::of(&conv, &contradicted), Err(Error::Argument(_))));
}

/// A network of two clips of three frames each, folded into one axis, where each frame gets its entry of `each [6]` added.
fn clips_with(each: &[f64]) -> Model {
    let mut random = Random::new(5);
    let frames = [6, CHANNELS as i64, HEIGHT as i64, WIDTH as i64];
    let stored = [
        ("images", Tensor::ints(&frames)),
        (
            "each",
            Tensor { dtype: DataType::Float, data: ArrayD::from_shape_vec(vec![6, 1, 1, 1], each.to_vec()).unwrap() },
        ),
        ("w", random.tensor(&[7, CHANNELS, 3, 3], -1.0, 1.0)),
        ("v", random.tensor(&[7, CLASSES], -1.0, 1.0)),
        ("clips", Tensor::ints(&[2, 3, CLASSES as i64])),
    ];
    let nodes = vec![
        node("Reshape", &["x", "images"], "f", &[]),
        node("Conv", &["f", "w"], "a", &[attribute("pads", [1, 1, 1, 1])]),
        node("Add", &["a", "each"], "d", &[]),
        node("GlobalAveragePool", &["d"], "p", &[]),
        node("Flatten", &["p"], "q", &[]),
        node("MatMul", &["q", "v"], "y", &[]),
        node("Reshape", &["y", "clips"], "z", &[]),
        node("ReduceMean", &["z"], "o", &[attribute("axes", [1]), attribute("keepdims", 0)]),
    ];
    model(nodes, open("x", &[2, 3, CHANNELS, HEIGHT, WIDTH]), "o", &stored)
}

#[test]
fn what_differs_from_sample_to_sample_makes_them_one_where_frames_are_folded_into_the_batch() {
    let verdict = |each: &[f64]| {
        let model = clips_with(each);
        let analysis = Analysis::of(&model, &Hints::default()).unwrap();
        let one = analysis.shapes.one_sample.clone();
        let request = Request { target: Target::Classes(vec![1]), ..at("a") };
        (one, cam::attach_to(&analysis, &request, &cam::Further::default()).map(|made| made[0].certificate.verdict))
    };
    // The same for the frames of each clip: an encoding of time.
    let (one, made) = verdict(&[0.1, 0.2, 0.3, 0.1, 0.2, 0.3]);
    assert!(one.is_none() && made.unwrap() == Verdict::Exact);
    let (one, _) = verdict(&[0.1, 0.1, 0.1, 0.2, 0.2, 0.2]);
    assert!(one.is_some_and(|node| node.contains("the Add")));
}

#[test]
fn images_that_lie_elsewhere_are_not_found_again_by_a_shape() {
    // Two channels and two images: behind an operator that nobody knows, which are which?
    let mystery = |input: &str| NodeProto { domain: Some("elsewhere".into()), ..node("Mystery", &[input], "m", &[]) };
    let shapes = |batch: usize, turned: bool| {
        let mut random = Random::new(12);
        let stored = [("v", random.tensor(&[HEIGHT, CLASSES], -1.0, 1.0))];
        let perm: &[i64] = if turned { &[1, 0, 2] } else { &[0, 1, 2] };
        let nodes = vec![
            node("Transpose", &["x"], "t", &[attribute("perm", perm.to_vec())]),
            mystery("t"),
            node("ReduceMean", &["m"], "r", &[attribute("axes", [1]), attribute("keepdims", 0)]),
            node("MatMul", &["r", "v"], "o", &[]),
        ];
        let mut proto = model(nodes, open("x", &[batch, 2, HEIGHT]), "o", &stored).proto().clone();
        proto.graph.as_mut().unwrap().value_info.push(open("m", &[batch, 2, HEIGHT]));
        let model = Model::new(proto).unwrap();
        Analysis::of(&model, &Hints::default()).unwrap().shapes
    };
    assert_eq!(shapes(2, false).samples("m"), Some(Samples::FIRST));
    let lost = shapes(2, true);
    assert!(lost.one_sample.as_ref().is_some_and(|node| node.contains("the Mystery")), "{:?}", lost.one_sample);
    assert_eq!(lost.samples("m"), Some(Samples::One));
    // A free batch can be told by its extent.
    assert_eq!(shapes(0, false).samples("m"), Some(Samples::FIRST));
}

#[test]
fn an_axis_that_counts_images_counts_no_channels() {
    let tokens = (HEIGHT * WIDTH) as i64;
    let mut random = Random::new(4);
    let stored = [
        ("w", random.tensor(&[7, CHANNELS, 3, 3], -1.0, 1.0)),
        ("m", random.tensor(&[7, 9], -1.0, 1.0)),
        ("v", random.tensor(&[9, CLASSES], -1.0, 1.0)),
        ("s", Tensor::ints(&[0, 7, tokens])),
    ];
    let nodes = vec![
        node("Conv", &["x", "w"], "c", &[attribute("pads", [1, 1, 1, 1])]),
        node("Reshape", &["c", "s"], "r", &[]),
        node("Transpose", &["r"], "t", &[attribute("perm", [2, 0, 1])]),
        // The letters say nothing of channels.
        node("Einsum", &["t", "m"], "a", &[attribute("equation", "tnc,cd->tnd")]),
        node("ReduceMean", &["a"], "p", &[attribute("axes", [0]), attribute("keepdims", 0)]),
        node("MatMul", &["p", "v"], "o", &[]),
    ];
    let model = model(nodes, open("x", &[0, CHANNELS, HEIGHT, WIDTH]), "o", &stored);
    let analysis = Analysis::of(&model, &Hints::default()).unwrap();
    assert_eq!(analysis.shapes.samples("a"), Some(Samples::Along { axis: 1, outer: 1, inner: 1 }));
    let cut = |channels| head::cut(&analysis, "a", channels).map(|head| (head.channels, head.space));
    assert_eq!(cut(None).unwrap(), (Some(2), vec![0]));
    assert_eq!(cut(Some(0)).unwrap(), (Some(0), vec![2]));
    for images in [1, -2] {
        assert!(matches!(cut(Some(images)), Err(Error::Argument(why)) if why.contains("counts images")));
    }
}
