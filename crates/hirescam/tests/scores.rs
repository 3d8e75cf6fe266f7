//! What is said of scores, on every engine: probabilities, names of classes, and scores that are no output.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod spec;

use hirescam::Network;
use hirescam::core::Tensor;
use hirescam::core::onnx::AttributeValue;
use hirescam::core::onnx::messages::{NodeProto, OperatorSetIdProto};
use hirescam::core::score::Activation;
use hirescam::core::tensor::DataType;
use hirescam::engine::{Array, Kind};
use hirescam::labels::Labels;
use hirescam::{Error, Explanation, Spec};
use hirescam_testing::Random;
use hirescam_testing::by_hand::{info, model, node};
use hirescam_testing::engines;
use spec::tract;

/// A network of one image `x`, 2 channels of 4 rows and 6 columns, whose layer `a` has 3 channels and these nodes behind it.
fn network(behind: Vec<NodeProto>, outputs: &[&str], stored: &[(&str, Tensor)]) -> Network {
    let mut random = Random::new(5);
    let mut all = vec![("w", random.tensor(&[3, 2, 3, 3], -1.0, 1.0)), ("b", random.tensor(&[3], 0.0, 1.0))];
    all.extend(stored.iter().cloned());
    let mut nodes = vec![
        node("Conv", &["x", "w", "b"], "c", vec![("pads", AttributeValue::Ints(vec![1, 1, 1, 1]))]),
        node("Relu", &["c"], "a", vec![]),
    ];
    nodes.extend(behind);
    let outputs = outputs.iter().map(|name| info(name, DataType::Float, &[])).collect();
    let mut proto = model(17, nodes, vec![info("x", DataType::Float, &[1, 2, 4, 6])], outputs, &all);
    proto.graph.as_mut().unwrap().output.iter_mut().for_each(|o| o.r#type = None);
    proto.opset_import.push(OperatorSetIdProto { domain: Some("ai.onnx.ml".into()), version: Some(2) });
    hirescam::Network::from_bytes(hirescam::core::onnx::write(&proto)).unwrap()
}

/// 4 scores as `s`, of the layer's means.
fn classifier(behind: Vec<NodeProto>, outputs: &[&str]) -> Network {
    let stored = [("v", Random::new(6).tensor(&[3, 4], -3.0, 3.0))];
    let mut nodes = vec![
        node("GlobalAveragePool", &["a"], "m", vec![]),
        node("Flatten", &["m"], "f", vec![]),
        node("MatMul", &["f", "v"], "s", vec![]),
    ];
    nodes.extend(behind);
    network(nodes, outputs, &stored)
}

fn tensor() -> Array {
    Array::from(Random::new(7).tensor(&[1, 2, 4, 6], -1.0, 1.0).data).to_kind(Kind::F32).unwrap()
}

fn explain(file: &Network, options: &Spec) -> Result<Vec<Explanation>, Error> {
    Ok(file.explainer(options)?.explain_one(tensor())?.into_maps())
}

fn names() -> Labels {
    Labels::new(["cat", "dog", "eel", "fox"].map(str::to_owned).to_vec())
}

#[test]
fn a_probability_is_made_by_the_network_or_asked_for() {
    for engine in engines::names() {
        let of = |op: &str, activation| {
            let file = classifier(vec![node(op, &["s"], "y", vec![])], &["y"]);
            let target = Some("all".into());
            let options = Spec { engine: engine.into(), layers: vec!["a".into()], target, activation, ..tract() };
            explain(&file, &options).unwrap()
        };
        let all: Vec<f64> = of("Identity", None).iter().map(|e| e.score).collect();
        let sum: f64 = all.iter().map(|s| s.exp()).sum();
        let is = |made: Vec<Explanation>, expected: &dyn Fn(f64) -> Option<f64>| {
            assert_eq!(made.len(), 4);
            for (e, score) in made.iter().zip(&all) {
                match (e.probability, expected(*score)) {
                    (Some(a), Some(b)) => assert!((a - b).abs() < 1e-5, "{engine}: {a} {b}"),
                    (a, b) => assert_eq!(a, b, "{engine}"),
                }
            }
        };
        let (softmax, sigmoid) = (|s: f64| Some(s.exp() / sum), |s: f64| Some(1.0 / (1.0 + (-s).exp())));
        is(of("Identity", None), &|_| None);
        is(of("Softmax", None), &softmax);
        is(of("LogSoftmax", None), &softmax);
        is(of("Sigmoid", None), &sigmoid);
        is(of("Softmax", Some(Activation::None)), &|_| None);
        is(of("Identity", Some(Activation::Softmax)), &softmax);
        is(of("Identity", Some(Activation::Sigmoid)), &sigmoid);
    }
}

#[test]
fn every_class_above_a_threshold_has_a_map() {
    let file = classifier(vec![node("Sigmoid", &["s"], "y", vec![])], &["y"]);
    for engine in engines::names() {
        for method in ["hirescam", "occlusion"] {
            let of = |target: &str| {
                let (engine, method) = (engine.into(), method.into());
                let (target, labels) = (Some(target.into()), Some((&names()).into()));
                let layers = vec!["a".into()];
                explain(&file, &Spec { engine, method, target, labels, layers, ..tract() }).unwrap()
            };
            let mut all = of("all");
            all.sort_by(|a, b| b.score.total_cmp(&a.score));
            let limit = (all[1].probability.unwrap() + all[2].probability.unwrap()) / 2.0;
            let above = of(&format!("above:{limit}"));
            assert_eq!(above.len(), 2, "{engine} {method}");
            for (a, b) in above.iter().zip(&all) {
                assert_eq!((a.name(), a.class, a.map.shape()), (b.name(), b.class, b.map.shape()));
                assert!((a.score - b.score).abs() < 1e-5 && (&a.map - &b.map).iter().all(|v| v.abs() < 1e-5));
            }
            assert!(of("above:0.999999").is_empty());
        }
    }
}

#[test]
fn scores_behind_labels_and_maps_are_explained_by_every_engine() {
    let ml = |node: NodeProto| NodeProto { domain: Some("ai.onnx.ml".into()), ..node };
    let mut zip = node("ZipMap", &["p"], "loss", vec![]);
    let mut label = node("LabelEncoder", &["i"], "label", vec![]);
    let strings = |name: &str| {
        let words = ["cat", "dog", "eel", "fox"].map(|s| s.as_bytes().to_vec().into()).to_vec();
        hirescam::core::onnx::messages::AttributeProto {
            name: Some(name.into()),
            strings: words,
            r#type: Some(8),
            ..Default::default()
        }
    };
    zip.attribute.push(strings("classlabels_strings"));
    label.attribute.push(hirescam::core::onnx::attribute("keys_int64s", [0, 1, 2, 3]));
    label.attribute.push(strings("values_strings"));
    let nodes = vec![
        node("Softmax", &["s"], "p", vec![]),
        node("ArgMax", &["p"], "i", vec![("axis", AttributeValue::Int(1)), ("keepdims", AttributeValue::Int(0))]),
        ml(label),
        ml(zip),
    ];
    let file = classifier(nodes, &["label", "loss"]);
    let plain = classifier(vec![], &["s"]);
    for engine in engines::names() {
        for method in ["hirescam", "smoothgrad", "integrated-gradients"] {
            let options = Spec { engine: engine.into(), method: method.into(), layers: vec!["a".into()], ..tract() };
            let [a, b] = [&file, &plain].map(|file| explain(file, &options).unwrap().remove(0));
            assert_eq!((a.class, a.scores().logits.as_str()), (b.class, "s"), "{engine} {method}");
            // The graph names the classes itself.
            assert_eq!((a.label(), b.label()), (Some(["cat", "dog", "eel", "fox"][a.class.unwrap()]), None));
            assert!((&a.map - &b.map).iter().all(|v| v.abs() < 1e-5), "{engine} {method}");
            assert!(a.probability.is_some() && b.probability.is_none());
            let said = |e: &Explanation| e.in_words().iter().any(|line| line.contains("of which they are made"));
            assert!(said(&a) && !said(&b));
        }
    }
}

/// Scores of 5 classes at the 6 columns, with the columns or the image first.
fn steps(columns_first: bool) -> Network {
    let stored = [("v", Random::new(8).tensor(&[3, 5], -1.0, 1.0))];
    let perm = if columns_first { vec![2, 0, 1] } else { vec![0, 2, 1] };
    let mean = vec![("axes", AttributeValue::Ints(vec![2])), ("keepdims", AttributeValue::Int(0))];
    let nodes = vec![
        node("ReduceMean", &["a"], "m", mean),
        node("Transpose", &["m"], "t", vec![("perm", AttributeValue::Ints(perm))]),
        node("MatMul", &["t", "v"], "y", vec![]),
    ];
    network(nodes, &["y"], &stored)
}

#[test]
fn all_methods_find_the_steps_before_the_images() {
    let files = [true, false].map(steps);
    let best = (0..5).map(|class| format!("predicted:{class}")).find(|target| {
        let options = Spec { target: Some(target.into()), layers: vec!["a".into()], ..tract() };
        explain(&files[0], &options).unwrap()[0].score != 0.0
    });
    let best = best.unwrap();
    for engine in engines::names() {
        for method in ["hirescam", "occlusion", "scorecam", "smoothgrad", "integrated-gradients", "ablationcam"] {
            for target in ["element:3,2", "sum::,1", best.as_str()] {
                let of = |file: &Network| {
                    let (engine, method) = (engine.into(), method.into());
                    let (target, layers) = (Some(target.into()), vec!["a".into()]);
                    explain(file, &Spec { engine, method, target, layers, ..tract() }).unwrap().remove(0)
                };
                let [a, b] = files.each_ref().map(of);
                let what = format!("{engine} {method} {target}");
                assert_eq!((a.class, a.name()), (b.class, b.name()), "{what}");
                assert!((a.score - b.score).abs() < 1e-5, "{what}");
                assert!((&a.map - &b.map).iter().all(|v| v.abs() < 1e-5), "{what}");
            }
        }
    }
}

#[test]
fn names_follow_the_axis_of_classes_alone() {
    // As many boxes, 24, as there are labels in a wrong list; 4 numbers of a box and 3 classes.
    let stored = [
        ("v", Random::new(9).tensor(&[7, 3, 1, 1], -1.0, 1.0)),
        ("shape", Tensor::ints(&[0, 7, -1])),
        ("parts", Tensor::ints(&[4, 3])),
    ];
    let along = || vec![("axis", AttributeValue::Int(1))];
    let mut split = node("Split", &["r", "parts"], "boxes", along());
    split.output.push("classes".into());
    let nodes = vec![
        node("Conv", &["a", "v"], "s", vec![]),
        node("Reshape", &["s", "shape"], "r", vec![]),
        split,
        node("Sigmoid", &["classes"], "p", vec![]),
        node("Concat", &["boxes", "p"], "y", along()),
    ];
    let file = network(nodes, &["y"], &stored);
    let of = |target: &str, count: usize| {
        let labels = Labels::new((0..count).map(|i| format!("label {i}")).collect());
        let (target, layers) = (Some(target.into()), vec!["a".into()]);
        let options = Spec { target, layers, labels: Some((&labels).into()), ..tract() };
        explain(&file, &options).unwrap().remove(0)
    };
    let e = of("element:5,17", 3);
    assert_eq!((e.class, e.label(), e.name().as_str()), (Some(1), Some("label 1"), "label 1 (element:5,17)"));
    for (target, labels) in [("element:2,17", 3), ("sum::,17", 3)] {
        let e = of(target, labels);
        assert_eq!((e.class, e.label(), e.name().as_str()), (None, None, target));
    }
    let e = of("element:5,17", 24);
    assert_eq!((e.class, e.label()), (Some(1), None));
    assert!(e.in_words().iter().any(|line| line.contains("24 labels")));
}
