//! The layer that is taken lies in the image; and where none is found, what hides them is named.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::analysis::{Analysis, Hints};
use hirescam_core::cam::{self, Request};
use hirescam_core::layers::{Layer, layers};
use hirescam_core::onnx::messages::NodeProto;
use hirescam_core::tensor::DataType;
use hirescam_core::{Error, Model, Tensor};
use hirescam_testing::Random;
use hirescam_testing::by_hand::{network, node};

const IMAGE: [usize; 4] = [0, 2, 16, 16];

fn random(shape: &[usize], seed: u64) -> Tensor {
    Random::new(seed).tensor(shape, -1.0, 1.0)
}

/// `to = Relu(Conv(from))` of so many channels, with a kernel as wide as its stride.
fn convolved(from: &str, to: &str, [inp, out]: [usize; 2], side: usize) -> (Vec<NodeProto>, (String, Tensor)) {
    let (weight, sum) = (format!("{to}.weight"), format!("{to}.sum"));
    let strides = [side as i64; 2];
    let conv = node("Conv", &[from, &weight], &sum, vec![("strides", strides.into())]);
    let stored = random(&[out, inp, side, side], to.len() as u64 + inp as u64);
    (vec![conv, node("Relu", &[&sum], to, vec![])], (weight, stored))
}

fn scalar(value: i64) -> Tensor {
    Tensor::new(DataType::Int64, &[], vec![value as f64]).unwrap()
}

fn listed(model: &Model, all: bool) -> Result<Vec<Layer>, Error> {
    layers(&Analysis::of(model, &Hints::default())?, all)
}

fn recommended(model: &Model) -> Layer {
    listed(model, false).unwrap().into_iter().find(|l| l.recommended).unwrap()
}

fn names(layers: &[Layer]) -> Vec<&str> {
    layers.iter().map(|l| l.name.as_str()).collect()
}

/// A network of a first layer `a [N, 4, 8, 8]`, what `rest` makes of it, and three scores.
fn of_a(rest: Vec<NodeProto>, score: &str, stored: Vec<(&str, Tensor)>) -> Model {
    let (mut nodes, (weight, kernel)) = convolved("x", "a", [2, 4], 2);
    nodes.extend(rest);
    let mut all = vec![(weight.as_str(), kernel)];
    all.extend(stored);
    network(nodes, &IMAGE, &[(score, &[0, 3])], &all)
}

#[test]
fn channels_that_are_normalised_after_pooling_are_no_places() {
    // As PyTorch's exporter writes a mean that is read through strides: its axes come out of a Gather with a table of places.
    for spelt in [false, true] {
        let mut nodes = vec![node("ReduceMean", &["a"], "mean", vec![("axes", [2i64, 3].into())])];
        if spelt {
            nodes.extend([
                node("Reshape", &["mean", "flat"], "row", vec![]),
                node("Shape", &["x"], "first", vec![("start", 0i64.into()), ("end", 1i64.into())]),
                node("Squeeze", &["first"], "images", vec![]),
                node("Range", &["zero", "images", "one"], "numbers", vec![]),
                node("Mul", &["numbers", "four"], "begins", vec![]),
                node("Unsqueeze", &["begins", "behind"], "rows", vec![]),
                node("Add", &["rows", "table"], "places", vec![]),
                node("Gather", &["row", "places"], "pooled", vec![("axis", 0i64.into())]),
            ]);
        } else {
            nodes.push(node("Identity", &["mean"], "pooled", vec![]));
        }
        nodes.extend([
            node("Transpose", &["pooled"], "last", vec![("perm", [0i64, 2, 3, 1].into())]),
            node("LayerNormalization", &["last", "gain"], "normed", vec![("axis", (-1i64).into())]),
            node("Flatten", &["normed"], "vector", vec![]),
            node("MatMul", &["vector", "classes"], "s", vec![]),
        ]);
        let stored = vec![
            ("flat", Tensor::ints(&[-1])),
            ("zero", scalar(0)),
            ("one", scalar(1)),
            ("four", scalar(4)),
            ("behind", Tensor::ints(&[1, 2, 3])),
            ("table", Tensor::new(DataType::Int64, &[1, 4, 1, 1], vec![0.0, 1.0, 2.0, 3.0]).unwrap()),
            ("gain", random(&[4], 3)),
            ("classes", random(&[4, 3], 4)),
        ];
        assert_eq!(names(&listed(&of_a(nodes, "s", stored), true).unwrap()), ["a.sum", "a"], "{spelt}");
    }
}

#[test]
fn a_normalisation_that_flattens_space_holds_no_layer() {
    let nodes = vec![
        node("Reshape", &["a", "groups"], "grouped", vec![]),
        node("InstanceNormalization", &["grouped", "ones", "zeros"], "flat", vec![]),
        node("Reshape", &["flat", "back"], "normed", vec![]),
        node("GlobalAveragePool", &["normed"], "mean", vec![]),
        node("Flatten", &["mean"], "vector", vec![]),
        node("MatMul", &["vector", "classes"], "s", vec![]),
    ];
    let stored = vec![
        ("groups", Tensor::ints(&[0, 2, -1])),
        ("back", Tensor::ints(&[0, 4, 8, 8])),
        ("ones", Tensor::float(ndarray::ArrayD::ones(vec![2]))),
        ("zeros", Tensor::float(ndarray::ArrayD::zeros(vec![2]))),
        ("classes", random(&[4, 3], 4)),
    ];
    let model = of_a(nodes, "s", stored);
    assert_eq!(names(&listed(&model, true).unwrap()), ["a.sum", "a", "normed"]);
    // Asked for by name it is explained all the same.
    assert!(cam::attach(&model, &Request { layer: Some("flat".into()), ..Request::default() }).is_ok());
}

#[test]
fn scores_in_another_dress_do_not_explain_themselves() {
    // Scores of every place, to which a bias is added, of which a Sigmoid is taken, that are laid out anew.
    type Dress = fn() -> Vec<NodeProto>;
    let dresses: [Dress; 4] = [
        || vec![node("Add", &["map", "bias"], "s", vec![])],
        || vec![node("Transpose", &["map"], "s", vec![("perm", [0i64, 3, 2, 1].into())])],
        || vec![node("Mul", &["map", "bias"], "m", vec![]), node("Softmax", &["m"], "s", vec![("axis", 1i64.into())])],
        || vec![node("Sigmoid", &["map"], "gate", vec![]), node("Mul", &["map", "gate"], "s", vec![])],
    ];
    for (i, dress) in dresses.iter().enumerate() {
        let (mut nodes, (weight, kernel)) = convolved("x", "a", [2, 4], 2);
        nodes.push(node("Conv", &["a", "classes"], "map", vec![]));
        nodes.extend(dress());
        let stored =
            [(weight.as_str(), kernel), ("classes", random(&[8, 4, 1, 1], 5)), ("bias", random(&[1, 1, 1, 1], 6))];
        let model = network(nodes, &IMAGE, &[("s", &[0, 8, 8, 8])], &stored);
        assert_eq!(recommended(&model).name, "a", "{i}");
    }
}

/// A network whose image is read by two branches, of 8×8 and of 4×4 places.
fn two_branches() -> Model {
    let (mut nodes, (fine, fine_kernel)) = convolved("x", "fine", [2, 4], 2);
    let (coarse, (weight, kernel)) = convolved("x", "coarse", [2, 4], 4);
    nodes.extend(coarse);
    for branch in ["fine", "coarse"] {
        let [mean, flat, scores] = ["mean", "flat", "scores"].map(|what| format!("{branch}.{what}"));
        nodes.push(node("GlobalAveragePool", &[branch], &mean, vec![]));
        nodes.push(node("Flatten", &[&mean], &flat, vec![]));
        nodes.push(node("MatMul", &[&flat, "classes"], &scores, vec![]));
    }
    nodes.push(node("Add", &["fine.scores", "coarse.scores"], "s", vec![]));
    let stored = [(fine.as_str(), fine_kernel), (weight.as_str(), kernel), ("classes", random(&[4, 3], 4))];
    network(nodes, &IMAGE, &[("s", &[0, 3])], &stored)
}

#[test]
fn of_two_branches_from_the_image_one_has_the_layer() {
    let layer = recommended(&two_branches());
    let certificate = layer.certificate.unwrap();
    assert_eq!((layer.name.as_str(), layer.on_every_path, layer.followed), ("fine", false, true));
    assert!(certificate.bypass.is_some_and(|join| join.contains("Add")) && layer.why.contains("branch"));
    let made = cam::attach(&two_branches(), &Request::default()).unwrap();
    assert_eq!(made.head.layer, "fine");
}

#[test]
fn scales_in_a_row_are_no_layer() {
    // Two scales of scores, each a row of places, joined to one row.
    let (coarse, (weight, kernel)) = convolved("a", "b", [4, 4], 2);
    let mut nodes = coarse;
    for (scale, from) in [("fine", "a"), ("coarse", "b")] {
        let map = format!("{scale}.map");
        nodes.push(node("Conv", &[from, "classes"], &map, vec![]));
        nodes.push(node("Reshape", &[&map, "row"], scale, vec![]));
    }
    nodes.extend([
        node("Concat", &["fine", "coarse"], "rows", vec![("axis", 2i64.into())]),
        node("Relu", &["rows"], "kept", vec![]),
        node("MatMul", &["mixing", "kept"], "mixed", vec![]),
        node("ReduceMax", &["mixed"], "s", vec![("axes", [2i64].into()), ("keepdims", 0i64.into())]),
    ]);
    let stored = vec![
        (weight.as_str(), kernel),
        ("classes", random(&[5, 4, 1, 1], 7)),
        ("row", Tensor::ints(&[0, 5, -1])),
        ("mixing", random(&[3, 5], 8)),
    ];
    let model = of_a(nodes, "s", stored);
    let found = listed(&model, true).unwrap();
    assert!(["rows", "kept", "mixed"].iter().all(|name| !names(&found).contains(name)), "{:?}", names(&found));
    assert!(["fine", "coarse", "b"].iter().all(|name| names(&found).contains(name)));
    assert_eq!(recommended(&model).name, "a");
}

#[test]
fn patches_that_a_table_cuts_out_are_followed() {
    // PyTorch's unfold: windows of 4×4 at every fourth place, rows and columns by a table [window, place] each.
    let nodes = vec![
        node("Gather", &["a", "table"], "rows", vec![("axis", 2i64.into())]),
        node("Gather", &["rows", "table"], "windows", vec![("axis", 4i64.into())]),
        node("Transpose", &["windows"], "turned", vec![("perm", [0i64, 1, 2, 4, 3, 5].into())]),
        node("Reshape", &["turned", "columns"], "unfolded", vec![]),
        node("Transpose", &["unfolded"], "tokens", vec![("perm", [0i64, 2, 1].into())]),
        node("MatMul", &["tokens", "weight"], "projected", vec![]),
        node("ReduceMean", &["projected"], "s", vec![("axes", [1i64].into()), ("keepdims", 0i64.into())]),
    ];
    let table: Vec<f64> = (0..4).flat_map(|k| [k, k + 4]).map(f64::from).collect();
    let stored = vec![
        ("table", Tensor::new(DataType::Int64, &[4, 2], table).unwrap()),
        ("columns", Tensor::ints(&[0, 64, -1])),
        ("weight", random(&[64, 3], 9)),
    ];
    let found = listed(&of_a(nodes, "s", stored), true).unwrap();
    let tokens = found.iter().find(|l| l.name == "tokens").unwrap();
    assert_eq!(tokens.grid.as_ref().unwrap().sides, [2, 2]);
}

#[test]
fn places_that_cannot_be_followed_are_taken_where_there_are_no_others() {
    // The most active columns of the image, in the order of their activity.
    let nodes = vec![
        node("TopK", &["x", "two"], "best", vec![("axis", 3i64.into())]),
        node("Conv", &["best", "kernel"], "seen", vec![]),
        node("GlobalAveragePool", &["seen"], "mean", vec![]),
        node("Flatten", &["mean"], "vector", vec![]),
        node("MatMul", &["vector", "classes"], "s", vec![]),
    ];
    let mut nodes = nodes;
    nodes[0].output.push("indices".into());
    let stored = [("two", Tensor::ints(&[2])), ("kernel", random(&[4, 2, 1, 1], 2)), ("classes", random(&[4, 3], 4))];
    let layer = recommended(&network(nodes, &IMAGE, &[("s", &[0, 3])], &stored));
    assert_eq!((layer.name.as_str(), layer.followed), ("seen", false));
}

#[test]
fn an_operator_that_is_not_known_is_named_as_the_cause() {
    let unknown = |op: &str, domain: &str| {
        let mut first = node(op, &["x"], "hidden", vec![]);
        first.domain = Some(domain.into());
        let nodes = vec![
            first,
            node("Relu", &["hidden"], "r", vec![]),
            node("GlobalAveragePool", &["r"], "mean", vec![]),
            node("Flatten", &["mean"], "s", vec![]),
        ];
        network(nodes, &IMAGE, &[("s", &[0, 2])], &[])
    };
    for (op, domain) in [("Relux", ""), ("FusedConv", "com.microsoft"), ("If", "")] {
        let model = unknown(op, domain);
        let errors = [
            listed(&model, false).unwrap_err(),
            cam::attach(&model, &Request::default()).unwrap_err(),
            cam::attach(&model, &Request { layer: Some("r".into()), ..Request::default() }).unwrap_err(),
        ];
        for error in errors {
            let text = error.to_string();
            assert!(text.contains(&format!("{op} node \"make hidden\"")) && !text.contains("invalid"), "{text}");
            assert!(text.contains(domain), "{text}");
        }
    }
    // Behind the layers it is what keeps each from being explained.
    let (mut nodes, (weight, kernel)) = convolved("x", "a", [2, 4], 2);
    nodes.push(node("Relux", &["a"], "hidden", vec![]));
    nodes.push(node("Relu", &["hidden"], "r", vec![]));
    nodes.push(node("ReduceMean", &["r"], "s", vec![("axes", [2i64, 3].into()), ("keepdims", 0i64.into())]));
    let model = network(nodes, &IMAGE, &[("s", &[0, 4])], &[(weight.as_str(), kernel)]);
    let found = listed(&model, false).unwrap();
    assert_eq!(names(&found), ["a.sum", "a"]);
    let names_it = |why: &Error| why.to_string().contains("Relux node \"make hidden\"");
    assert!(found.iter().all(|l| l.certificate.as_ref().is_err_and(names_it)));
}
