//! Which scores are explained: what their axes count, what is made of them, and tensors inside the network.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::analysis::{Analysis, Hints};
use hirescam_core::cam::{self, Request};
use hirescam_core::certify::Verdict;
use hirescam_core::onnx::AttributeValue;
use hirescam_core::onnx::messages::NodeProto;
use hirescam_core::score::{self, Activation, Reading, Score};
use hirescam_core::shape::Shapes;
use hirescam_core::tensor::DataType;
use hirescam_core::{Error, Model, Tensor, reference};
use hirescam_testing::by_hand::{info, model, network, node};
use hirescam_testing::{Random, max_abs};
use ndarray::{ArrayD, Axis};
use std::collections::HashMap;

fn read(model: &Model, reading: &Reading) -> Result<Score, Error> {
    score::read(model, &Shapes::infer(model, "x", None).unwrap(), reading)
}

/// Map, score and b of each of `images`.
fn explain(model: &Model, request: &Request, images: &Tensor, given: Option<Tensor>) -> [ArrayD<f64>; 3] {
    let made = cam::attach(model, request).unwrap();
    let mut known = HashMap::from([(made.image.clone(), images.clone())]);
    known.extend(made.input.clone().zip(given));
    let whole = Model::new(made.model.as_ref().clone()).unwrap();
    let names = [&made.outputs.map, &made.outputs.score, &made.outputs.b].map(String::as_str);
    let found = reference::evaluate(&whole, known, &names).unwrap();
    <[Tensor; 3]>::try_from(found).unwrap().map(|t| t.data)
}

fn request(target: &str) -> Request {
    Request { layer: Some("a".into()), target: target.parse().unwrap(), ..Request::default() }
}

fn axes(perm: &[i64]) -> Vec<(&'static str, AttributeValue)> {
    vec![("perm", AttributeValue::Ints(perm.to_vec()))]
}

/// Scores of 7 classes at 6 steps along the width, `[6, N, 7]` or `[N, 6, 7]`; with `probabilities` a LogSoftmax comes
/// before the steps go to the front.
fn steps(batch: usize, time_major: bool, probabilities: bool) -> Model {
    let mut random = Random::new(21);
    let stored = [
        ("w", random.tensor(&[3, 2, 3, 3], -1.0, 1.0)),
        ("v", random.tensor(&[3, 7], -1.0, 1.0)),
        ("c", random.tensor(&[7], -1.0, 1.0)),
    ];
    let move_first = |from: &'static str, to: &'static str| match time_major {
        true => node("Transpose", &[from], to, axes(&[1, 0, 2])),
        false => node("Identity", &[from], to, vec![]),
    };
    let mut nodes = vec![
        node("Conv", &["x", "w"], "z", vec![("pads", AttributeValue::Ints(vec![1, 1, 1, 1]))]),
        node("Relu", &["z"], "a", vec![]),
        node(
            "ReduceMean",
            &["a"],
            "m",
            vec![("axes", AttributeValue::Ints(vec![2])), ("keepdims", AttributeValue::Int(0))],
        ),
        node("Transpose", &["m"], "t", axes(&[0, 2, 1])),
    ];
    nodes.extend(match probabilities {
        true => vec![
            node("MatMul", &["t", "v"], "p", vec![]),
            node("Add", &["c", "p"], "s", vec![]),
            node("LogSoftmax", &["s"], "l", vec![]),
            move_first("l", "y"),
        ],
        false => {
            vec![move_first("t", "r"), node("MatMul", &["r", "v"], "p", vec![]), node("Add", &["c", "p"], "y", vec![])]
        }
    });
    let mut made = network(nodes, &[batch, 2, 4, 6], &[("y", &[batch, 6, 7])], &stored).proto().clone();
    // Only the number of axes counts; which of them is open is found from the graph.
    made.graph.as_mut().unwrap().output = vec![info("y", DataType::Float, &[])];
    made.graph.as_mut().unwrap().output[0].r#type = None;
    Model::new(made).unwrap()
}

#[test]
fn scores_with_the_steps_first_are_those_with_the_images_first() {
    for (batch, probabilities) in [(0, false), (1, false), (0, true), (1, true)] {
        let [first, last] = [true, false].map(|time_major| steps(batch, time_major, probabilities));
        let images = Random::new(22).tensor(&[if batch == 0 { 3 } else { 1 }, 2, 4, 6], -1.0, 1.0);
        let n = images.shape()[0];
        let score = read(&first, &Reading::default()).unwrap();
        assert_eq!((score.dims.as_slice(), score.class_axis, score.classes), (&[6, 7][..], Some(1), 7));
        assert_eq!(score.output_axis, Some(2));
        assert_eq!(score.activation.is_some(), probabilities);
        for target in ["element:3,5", "sum::,2", "sum:1:4,:", "predicted:2", "seed-input"] {
            let seed = || Random::new(23).tensor(&[n, 6, 7], -1.0, 1.0);
            let given = || (target == "seed-input").then(seed);
            let made = [&first, &last].map(|model| explain(model, &request(target), &images, given()));
            for (a, b) in made[0].iter().zip(&made[1]) {
                assert_eq!(a.shape()[0], n, "{target}");
                let apart = max_abs(&(a - b));
                assert!(apart < 1e-6, "{target}, batch {batch}: {apart} apart");
            }
            let [map, score, b] = &made[0];
            let sum = map.sum_axis(Axis(2)).sum_axis(Axis(1)) + b;
            assert!((&sum - score).iter().all(|v| v.abs() < 1e-6), "{target}");
        }
        let scores = Reading { output: Some(score.output.clone()), ..Reading::default() };
        let analysis = Analysis::of(&first, &Hints { scores, ..Hints::default() }).unwrap();
        let layers = hirescam_core::layers::layers(&analysis, false).unwrap();
        assert!(layers.iter().any(|l| l.recommended && l.certificate.is_ok()));
    }
}

/// Scores as integers, and what else is made of them.
fn decided(outputs: &[(&str, DataType)]) -> Model {
    let mut random = Random::new(31);
    let stored = [
        ("w", random.tensor(&[3, 2, 3, 3], -1.0, 1.0)),
        ("v", random.tensor(&[4, 3, 1, 1], -1.0, 1.0)),
        ("two", Tensor::ints(&[2])),
        ("u", random.tensor(&[3, 5], -1.0, 1.0)),
    ];
    let along = |axis| vec![("axis", AttributeValue::Int(axis))];
    let mut best = node("TopK", &["z"], "values", along(1));
    best.input.push("two".into());
    best.output.push("places".into());
    let nodes = vec![
        node("Conv", &["x", "w"], "c", vec![]),
        node("Relu", &["c"], "a", vec![]),
        node("Conv", &["a", "v"], "s", vec![]),
        node("ArgMax", &["s"], "label", along(1)),
        node("Cast", &["label"], "byte", vec![("to", AttributeValue::Int(2))]),
        node("Softmax", &["s"], "p", along(1)),
        node("ReduceMax", &["p"], "sure", vec![("axes", AttributeValue::Ints(vec![1]))]),
        node("GlobalAveragePool", &["a"], "m", vec![]),
        node("Flatten", &["m"], "f", vec![]),
        node("MatMul", &["f", "u"], "z", vec![]),
        best,
    ];
    let outputs = outputs.iter().map(|(name, dtype)| info(name, *dtype, &[])).collect();
    let mut made = model(17, nodes, vec![info("x", DataType::Float, &[1, 2, 6, 6])], outputs, &stored);
    for output in &mut made.graph.as_mut().unwrap().output {
        output.r#type = None;
    }
    Model::new(made).unwrap()
}

#[test]
fn of_outputs_that_are_chosen_the_scores_are_explained() {
    use DataType::{Float, Int64, Uint8};
    let cases: [(&[(&str, DataType)], &str); 6] = [
        (&[("label", Int64)], "s"),
        (&[("byte", Uint8)], "s"),
        (&[("label", Int64), ("sure", Float)], "s"),
        (&[("sure", Float)], "s"),
        (&[("values", Float), ("places", Int64)], "z"),
        // Where scores are an output, they are taken.
        (&[("label", Int64), ("z", Float)], "z"),
    ];
    for (outputs, scores) in cases {
        let score = read(&decided(outputs), &Reading::default()).unwrap();
        assert_eq!(score.logits, scores, "{outputs:?}");
        assert_eq!(score.instead.is_some(), outputs.iter().all(|o| o.0 != scores), "{outputs:?}");
    }
    // The maps are those of the same scores as an output.
    let images = Random::new(32).tensor(&[1, 2, 6, 6], -1.0, 1.0);
    let integers = explain(&decided(&[("label", Int64)]), &request("sum:1,:,:"), &images, None);
    assert_eq!(integers, explain(&decided(&[("s", Float)]), &request("sum:1,:,:"), &images, None));
    // A choice does not explain itself: the layer comes before the scores that it is made of.
    let model = decided(&[("label", Int64), ("sure", Float)]);
    let scores = Reading { output: Some("sure".into()), ..Reading::default() };
    let analysis = Analysis::of(&model, &Hints { scores, ..Hints::default() }).unwrap();
    let layers = hirescam_core::layers::layers(&analysis, false).unwrap();
    assert_eq!(layers.iter().find(|l| l.recommended).map(|l| l.name.as_str()), Some("a"));
    // Several sources are named, and none is taken.
    let two = read(&decided(&[("label", Int64), ("places", Int64)]), &Reading::default());
    let Err(Error::NoScores { outputs, tensors, .. }) = two else { panic!("two") };
    assert!(outputs.contains("int64") && tensors.len() == 2, "{outputs}: {tensors:?}");
    assert!(tensors[0].contains("\"s\"") && tensors[1].contains("\"z\""), "{tensors:?}");
}

#[test]
fn any_tensor_of_floats_can_be_named() {
    let model = decided(&[("label", DataType::Int64)]);
    let reading = |name: &str| Reading { output: Some(name.to_owned()), ..Reading::default() };
    let of = |name| read(&model, &reading(name));
    assert_eq!(of("z").unwrap().dims, [5]);
    assert_eq!((of("p").unwrap().logits.as_str(), of("p").unwrap().output.as_str()), ("s", "p"));
    assert_eq!(of("sure").unwrap().logits, "sure");
    assert_eq!(of("c").unwrap().dims, [3, 4, 4]);
    assert!(matches!(of("zz"), Err(Error::NotFound { near, .. }) if near.contains(&"z".to_owned())));
    // The layer comes before what is explained.
    let behind = Analysis::of(&model, &Hints { scores: reading("c"), ..Hints::default() }).unwrap();
    let behind = cam::attach_to(&behind, &request("element:0,0,0"), &cam::Further::default());
    assert!(matches!(behind, Err(Error::Layer { why, .. }) if why.contains("does not lead")));
}

/// A table of `[N, 4 + 3, 12]` as detectors make it: boxes, and probabilities of classes.
fn detector(flat: bool) -> Model {
    let mut random = Random::new(41);
    let stored = [
        ("w", random.tensor(&[3, 2, 3, 3], -1.0, 1.0)),
        ("v", random.tensor(&[7, 3, 1, 1], -1.0, 1.0)),
        ("shape", Tensor::ints(&[0, 7, -1])),
        ("parts", Tensor::ints(&[4, 3])),
        ("eight", random.tensor(&[1], 8.0, 8.0)),
    ];
    let along = |axis| vec![("axis", AttributeValue::Int(axis))];
    let mut split = node("Split", &["r", "parts"], "boxes", along(1));
    split.output.push("classes".into());
    let mut nodes = vec![
        node("Conv", &["x", "w"], "c", vec![("pads", AttributeValue::Ints(vec![1, 1, 1, 1]))]),
        node("Relu", &["c"], "a", vec![]),
        node("Conv", &["a", "v"], "s", vec![]),
        node("Reshape", &["s", "shape"], "r", vec![]),
        split,
        node("Mul", &["boxes", "eight"], "b", vec![]),
        node("Sigmoid", &["classes"], "p", vec![]),
        node("Concat", &["b", "p"], "t", along(1)),
    ];
    nodes.push(match flat {
        true => node("Transpose", &["t"], "y", axes(&[0, 2, 1])),
        false => node("Identity", &["t"], "y", vec![]),
    });
    network(nodes, &[0, 2, 3, 4], &[("y", &[0, 7, 12])], &stored)
}

#[test]
fn classes_beside_boxes_are_counted_from_behind_the_boxes() {
    for (flat, class_axis, dims) in [(false, 0, [7, 12]), (true, 1, [12, 7])] {
        for labels in [None, Some(3)] {
            let score = read(&detector(flat), &Reading { labels, ..Reading::default() }).unwrap();
            assert_eq!((score.dims.as_slice(), score.class_axis), (&dims[..], Some(class_axis)));
            assert_eq!((score.first_class, score.classes), (4, 3));
            assert_eq!([0, 3, 4, 6, 7].map(|at| score.class_at(at)), [None, None, Some(0), Some(2), None]);
            assert_eq!(score.probability, Activation::None);
        }
        // Twelve labels are those of nothing here: the graph says where the classes are.
        let score = read(&detector(flat), &Reading { labels: Some(12), ..Reading::default() }).unwrap();
        assert_eq!((score.class_axis, score.first_class, score.classes), (Some(class_axis), 4, 3));
    }
    let model = detector(false);
    let images = Random::new(42).tensor(&[2, 2, 3, 4], -1.0, 1.0);
    // A label stands for its class, not for the entry of the same number, and only on the axis of classes.
    let label = |name: &str| if name == "cat" { Ok(1) } else { Err("no such class".to_owned()) };
    let target = |text| cam::Target::parse(text, label, |_| Err(String::new())).unwrap();
    let [by_label, by_entry] =
        [target("element:cat,3"), target("element:5,3")].map(|target| Request { target, ..request("all") });
    assert_eq!(explain(&model, &by_label, &images, None), explain(&model, &by_entry, &images, None));
    let wrong = cam::attach(&model, &Request { target: target("element:5,cat"), ..request("all") });
    assert!(matches!(wrong, Err(Error::Argument(why)) if why.contains("axis 1")));
}

#[test]
fn entries_are_classes_only_where_that_is_known() {
    // One number at each place, as [N, 12, 1]: twelve places, and no twelve classes.
    let mut random = Random::new(51);
    let stored = [
        ("w", random.tensor(&[3, 2, 3, 3], -1.0, 1.0)),
        ("v", random.tensor(&[1, 3, 1, 1], -1.0, 1.0)),
        ("shape", Tensor::ints(&[0, -1, 1])),
    ];
    let nodes = vec![
        node("Conv", &["x", "w"], "c", vec![("pads", AttributeValue::Ints(vec![1, 1, 1, 1]))]),
        node("Relu", &["c"], "a", vec![]),
        node("Conv", &["a", "v"], "s", vec![]),
        node("Transpose", &["s"], "t", axes(&[0, 2, 3, 1])),
        node("Reshape", &["t", "shape"], "y", vec![]),
    ];
    let model = network(nodes, &[0, 2, 3, 4], &[("y", &[0, 12, 1])], &stored);
    let open = read(&model, &Reading::default()).unwrap();
    assert_eq!((open.dims.as_slice(), open.class_axis, open.classes), (&[12][..], None, 12));
    // Unless it is said, or there are as many labels.
    let said = read(&model, &Reading { class_axis: Some(1), ..Reading::default() }).unwrap();
    assert_eq!((said.dims.as_slice(), said.class_axis), (&[12][..], Some(0)));
    let last = read(&model, &Reading { class_axis: Some(-1), ..Reading::default() }).unwrap();
    assert_eq!((last.dims.as_slice(), last.class_axis), (&[12, 1][..], Some(1)));
    let labelled = read(&model, &Reading { labels: Some(12), ..Reading::default() }).unwrap();
    assert_eq!(labelled.class_axis, Some(0));
    for (axis, hint) in [(0, "counts images"), (3, "does not exist")] {
        let wrong = read(&model, &Reading { class_axis: Some(axis), ..Reading::default() });
        assert!(matches!(wrong, Err(Error::Argument(why)) if why.contains(hint)));
    }
}

#[test]
fn a_probability_is_what_the_network_ends_in() {
    let activated = |op: &str, attributes: Vec<(&str, AttributeValue)>, shape: &[usize]| {
        let stored = [("w", Random::new(61).tensor(&[4, 2, 1, 1], -1.0, 1.0))];
        let nodes = vec![
            node("Conv", &["x", "w"], "a", vec![]),
            node("GlobalAveragePool", &["a"], "m", vec![]),
            node(op, &["m"], "y", attributes),
        ];
        network(nodes, &[0, 2, 3, 3], &[("y", shape)], &stored)
    };
    let along = |axis| vec![("axis", AttributeValue::Int(axis))];
    let kind = |model: &Model, activation| {
        read(model, &Reading { activation, ..Reading::default() }).map(|score| (score.probability, score.logits))
    };
    let (softmax, logits) = (activated("Softmax", along(1), &[0, 4, 1, 1]), "m".to_owned());
    assert_eq!(kind(&softmax, None).unwrap(), (Activation::Softmax, logits.clone()));
    assert_eq!(kind(&softmax, Some(Activation::None)).unwrap(), (Activation::None, logits.clone()));
    let log = activated("LogSoftmax", along(1), &[0, 4, 1, 1]);
    assert_eq!(kind(&log, None).unwrap(), (Activation::Softmax, logits.clone()));
    let sigmoid = activated("Sigmoid", vec![], &[0, 4, 1, 1]);
    assert_eq!(kind(&sigmoid, None).unwrap(), (Activation::Sigmoid, logits));
    // Along an axis of one number a softmax makes ones.
    let ones = activated("Softmax", along(3), &[0, 4, 1, 1]);
    assert_eq!(kind(&ones, None).unwrap(), (Activation::None, "y".to_owned()));
    let plain = activated("Identity", vec![], &[0, 4, 1, 1]);
    assert_eq!(kind(&plain, None).unwrap().0, Activation::None);
    assert_eq!(kind(&plain, Some(Activation::Sigmoid)).unwrap().0, Activation::Sigmoid);
    let kept = read(&softmax, &Reading { keep_activation: true, ..Reading::default() }).unwrap();
    assert_eq!((kept.probability, kept.logits.as_str()), (Activation::None, "y"));
    assert!(kind(&steps(0, true, false), Some(Activation::Softmax)).is_err());
}

#[test]
fn scores_without_a_batch_are_those_of_the_one_image() {
    let mut random = Random::new(71);
    let stored = [
        ("w", random.tensor(&[3, 2, 1, 1], -1.0, 1.0)),
        ("shape", Tensor::ints(&[12, 3])),
        ("u", random.tensor(&[3, 5], -1.0, 1.0)),
    ];
    let nodes = vec![
        node("Conv", &["x", "w"], "a", vec![]),
        node("Transpose", &["a"], "t", axes(&[0, 2, 3, 1])),
        node("Reshape", &["t", "shape"], "r", vec![]),
        node("MatMul", &["r", "u"], "y", vec![]),
    ];
    let model = network(nodes, &[1, 2, 3, 4], &[("y", &[12, 5])], &stored);
    let score = read(&model, &Reading::default()).unwrap();
    assert_eq!((score.batch, score.dims.as_slice(), score.class_axis), (None, &[12, 5][..], Some(1)));
    let images = random.tensor(&[1, 2, 3, 4], -1.0, 1.0);
    let made = cam::attach(&model, &request("element:7,2")).unwrap();
    assert_eq!(made.certificate.verdict, Verdict::Exact);
    let [map, score, b] = explain(&model, &request("element:7,2"), &images, None);
    assert_eq!((map.shape(), score.shape()), (&[1, 3, 4][..], &[1][..]));
    // Box 7 lies at row 1, column 3; no other place counts.
    assert_eq!(map.indexed_iter().filter(|(_, v)| **v != 0.0).map(|(i, _)| (i[1], i[2])).collect::<Vec<_>>(), [(1, 3)]);
    assert!((map.sum() + b[[0]] - score[[0]]).abs() < 1e-6);
}

#[test]
fn what_a_reduction_takes_is_what_its_card_says() {
    let logits = || {
        vec![
            node("Conv", &["x", "w"], "a", vec![("pads", AttributeValue::Ints(vec![1, 1, 1, 1]))]),
            node("Transpose", &["a"], "t", axes(&[0, 2, 3, 1])),
            node("MatMul", &["t", "v"], "z", vec![]),
        ]
    };
    let ending = |opset: i64, last: Vec<NodeProto>| {
        let mut random = Random::new(81);
        let stored = [("w", random.tensor(&[3, 2, 3, 3], -1.0, 1.0)), ("v", random.tensor(&[3, 5], -1.0, 1.0))];
        let nodes = logits().into_iter().chain(last).collect();
        let mut made = model(opset, nodes, vec![info("x", DataType::Float, &[1, 2, 3, 4])], vec![], &stored);
        made.graph.as_mut().unwrap().output = vec![info("y", DataType::Float, &[])];
        made.graph.as_mut().unwrap().output[0].r#type = None;
        read(&Model::new(made).unwrap(), &Reading::default()).unwrap()
    };
    let reduced = |attributes: Vec<(&str, AttributeValue)>| node("ReduceMax", &["z"], "y", attributes);
    // An axis that is named twice goes once.
    let twice = [("axes", AttributeValue::Ints(vec![1, 1, 2, 2, 1])), ("keepdims", AttributeValue::Int(0))];
    let score = ending(17, vec![reduced(twice.into())]);
    assert_eq!((score.output.as_str(), score.dims.as_slice(), score.class_axis), ("y", &[5][..], Some(0)));
    // No axis, said so: nothing is chosen.
    let score = ending(18, vec![reduced(vec![("noop_with_empty_axes", AttributeValue::Int(1))])]);
    assert_eq!((score.output.as_str(), score.class_axis), ("y", Some(2)));
    // The best of all classes is a choice among them.
    let score = ending(17, vec![reduced(vec![("axes", AttributeValue::Ints(vec![-1]))])]);
    assert_eq!(score.output.as_str(), "z");
}

#[test]
fn what_only_looks_like_a_final_activation_is_none() {
    // The same operators with an attribute that nobody knows.
    for op in ["Softmax", "Sigmoid", "Identity"] {
        let stored = [("w", Random::new(61).tensor(&[4, 2, 1, 1], -1.0, 1.0))];
        let nodes = vec![
            node("Conv", &["x", "w"], "a", vec![]),
            node("GlobalAveragePool", &["a"], "m", vec![]),
            node("Flatten", &["m"], "f", vec![]),
            node("Softmax", &["f"], "p", vec![]),
            node(op, &[if op == "Identity" { "p" } else { "f" }], "y", vec![("twisted", AttributeValue::Int(1))]),
        ];
        let score = read(&network(nodes, &[0, 2, 3, 3], &[("y", &[0, 4])], &stored), &Reading::default()).unwrap();
        assert_eq!((score.logits.as_str(), score.probability), ("y", Activation::None), "{op}");
    }
}

#[test]
fn what_is_said_of_the_scores_is_said_of_no_other_output() {
    let mut random = Random::new(91);
    let stored = [("w", random.tensor(&[4, 2, 1, 1], -1.0, 1.0)), ("v", random.tensor(&[4, 3], -1.0, 1.0))];
    let nodes = vec![
        node("Conv", &["x", "w"], "a", vec![]),
        node("Relu", &["a"], "mask", vec![]),
        node("GlobalAveragePool", &["a"], "m", vec![]),
        node("Flatten", &["m"], "f", vec![]),
        node("MatMul", &["f", "v"], "z", vec![]),
    ];
    // Masks of all places come first; neither axis nor activation can be theirs, or a list's.
    let outputs: [(&str, &[usize]); 2] = [("mask", &[0, 4, 3, 3]), ("z", &[0, 3])];
    let model = network(nodes, &[0, 2, 3, 3], &outputs, &stored);
    let said = Reading { activation: Some(Activation::Softmax), ..Reading::default() };
    let score = read(&model, &said).unwrap();
    assert_eq!((score.output.as_str(), score.probability), ("z", Activation::Softmax));
    let said = Reading { class_axis: Some(1), ..Reading::default() };
    assert_eq!(read(&model, &said).unwrap().output, "z");
    let mask = Reading { class_axis: Some(3), output: Some("mask".into()), ..Reading::default() };
    assert_eq!(read(&model, &mask).unwrap().class_axis, Some(2));
    assert!(read(&model, &Reading { class_axis: Some(3), ..Reading::default() }).is_err());
}
