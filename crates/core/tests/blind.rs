//! What a head is blind to is claimed only where it is so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::analysis::{Analysis, Hints};
use hirescam_core::onnx::messages::NodeProto;
use hirescam_core::tensor::DataType;
use hirescam_core::{Model, Tensor, blind, head};
use hirescam_testing::Random;
use hirescam_testing::by_hand::{info, network, node};

fn random(shape: &[usize], seed: u64) -> Tensor {
    Random::new(seed).tensor(shape, -1.0, 1.0)
}

/// From the layer `a [N, 4, 3, 3]` by `rest` to `y` of the same extents, and to three scores of its means.
fn of_a(rest: Vec<NodeProto>, stored: Vec<(&str, Tensor)>) -> Model {
    let mut all = vec![("w", random(&[4, 2, 1, 1], 1)), ("v", random(&[4, 3], 2)), ("gain", random(&[3], 3))];
    all.extend(stored);
    let mut nodes = vec![node("Conv", &["x", "w"], "a", vec![])];
    nodes.extend(rest);
    nodes.extend([
        node("GlobalAveragePool", &["y"], "m", vec![]),
        node("Flatten", &["m"], "f", vec![]),
        node("MatMul", &["f", "v"], "s", vec![]),
    ]);
    network(nodes, &[0, 2, 3, 3], &[("s", &[0, 3])], &all)
}

fn ignores_scale(model: &Model) -> bool {
    let analysis = Analysis::of(model, &Hints::default()).unwrap();
    blind::ignores_scale(&analysis, &head::cut(&analysis, "a", None).unwrap()).unwrap()
}

/// A LayerNormalization of `a` with its mean and deviation.
fn normed() -> NodeProto {
    let mut made = node("LayerNormalization", &["a", "gain"], "n", vec![]);
    made.output.extend(["mean".into(), "deviation".into()]);
    made
}

#[test]
fn the_mean_of_a_normalisation_keeps_the_scale_that_it_takes() {
    let half = || ("half", Tensor::float(ndarray::arr0(0.1).into_dyn()));
    assert!(ignores_scale(&of_a(vec![normed(), node("Identity", &["n"], "y", vec![])], vec![])));
    for further in ["mean", "deviation"] {
        // By steps alone, so that there is a derivative.
        let by_steps = vec![
            normed(),
            node("Greater", &[further, "half"], "large", vec![]),
            node("Neg", &["n"], "turned", vec![]),
            node("Where", &["large", "n", "turned"], "y", vec![]),
        ];
        assert!(!ignores_scale(&of_a(by_steps, vec![half()])), "{further}");
        let product = vec![normed(), node("Mul", &["n", further], "y", vec![])];
        assert!(!ignores_scale(&of_a(product, vec![])), "{further}");
    }
}

#[test]
fn of_an_input_of_which_nothing_is_known_nothing_is_claimed() {
    // Which axes are sliced nobody knows: were they left out, the first place alone would be read.
    let sliced = |axes: &str| {
        let made = NodeProto { domain: Some("com.example".into()), ..node("Axes", &["one"], "axes", vec![]) };
        let nodes = vec![
            node("Conv", &["x", "w"], "a", vec![]),
            node("Transpose", &["a"], "t", vec![("perm", [2i64, 3, 0, 1].into())]),
            made,
            node("Slice", &["t", "zeros", "ones", axes], "c", vec![]),
            node("Transpose", &["c"], "u", vec![("perm", [2i64, 3, 0, 1].into())]),
            node("GlobalAveragePool", &["u"], "m", vec![]),
            node("Flatten", &["m"], "f", vec![]),
            node("MatMul", &["f", "v"], "s", vec![]),
        ];
        let stored = [
            ("w", random(&[4, 2, 1, 1], 1)),
            ("v", random(&[4, 3], 2)),
            ("one", Tensor::ints(&[1])),
            ("zeros", Tensor::ints(&[0, 0])),
            ("ones", Tensor::ints(&[1, 1])),
        ];
        let mut proto = network(nodes, &[1, 2, 3, 3], &[("s", &[1, 3])], &stored).proto().clone();
        proto.graph.as_mut().unwrap().value_info.push(info("c", DataType::Float, &[1, 1, 1, 4]));
        Model::new(proto).unwrap()
    };
    for (axes, known) in [("", true), ("axes", false)] {
        let model = sliced(axes);
        let analysis = Analysis::of(&model, &Hints::default()).unwrap();
        let head = head::cut(&analysis, "a", None).unwrap();
        assert_eq!(blind::reads_one_place(&analysis, &head).unwrap(), known, "{axes:?}");
    }
}
