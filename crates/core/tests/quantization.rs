//! Cotangents through quantised values: the straight-through estimator, and what the certificate says of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::analysis::{Analysis, Hints};
use hirescam_core::build::Graph;
use hirescam_core::certify::{Verdict, certify};
use hirescam_core::onnx::attribute;
use hirescam_core::onnx::messages::{AttributeProto, NodeProto};
use hirescam_core::shape::Shapes;
use hirescam_core::tensor::DataType;
use hirescam_core::{Model, Tensor, flow, grad, head, reference};
use hirescam_testing::Random;
use hirescam_testing::by_hand::{info, model};
use std::collections::{HashMap, HashSet};

fn node(op: &str, inputs: &[&str], output: &str, attribute: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        name: Some(format!("the {op}")),
        op_type: Some(op.into()),
        input: inputs.iter().map(|&i| i.into()).collect(),
        output: vec![output.into()],
        attribute,
        ..Default::default()
    }
}

fn scalar(dtype: DataType, value: f64) -> Tensor {
    Tensor { dtype, data: ndarray::arr0(value).into_dyn() }
}

/// `y` from `x [1, 2, 4, 4]` with the operators between Q, which makes `q`, and DQ, which takes `r`, and then a global
/// average pool.
fn quantised(between: Vec<NodeProto>) -> Model {
    let parameters = |op: &str, from: &str, to: &str| node(op, &[from, "scale", "zero"], to, vec![]);
    let nodes = [
        vec![parameters("QuantizeLinear", "x", "q")],
        between,
        vec![parameters("DequantizeLinear", "r", "d"), node("GlobalAveragePool", &["d"], "p", vec![])],
        vec![node("Flatten", &["p"], "y", vec![])],
    ]
    .concat();
    let stored = [("scale", scalar(DataType::Float, 0.01)), ("zero", scalar(DataType::Int8, 3.0))];
    let (x, y) = (info("x", DataType::Float, &[1, 2, 4, 4]), info("y", DataType::Float, &[1, 2]));
    Model::new(model(17, nodes, vec![x], vec![y], &stored)).unwrap()
}

/// ∂⟨`dy`, `y`⟩/∂`x`, in whole.
fn gradient(model: &Model, x: &Tensor, dy: &Tensor) -> Tensor {
    let shapes = Shapes::infer(model, "x", None).unwrap();
    let dependence = flow::dependence(model, &shapes, "x");
    let graph = Graph::new(model, &shapes);
    let path: Vec<usize> = model.order().map(|(i, _)| i).collect();
    let dx = grad::vjp(model, &graph, &path, &dependence, ("y", graph.constant(dy.clone())), "x").unwrap();
    let nodes = graph.finish(&[(dx.expand_as(graph.value("x").unwrap()), "dx")], &HashSet::new()).unwrap();
    let mut proto = model.proto().clone();
    proto.graph.as_mut().unwrap().node.extend(nodes);
    let known = HashMap::from([("x".to_owned(), x.clone())]);
    reference::evaluate(&Model::new(proto).unwrap(), known, &["dx"]).unwrap().remove(0)
}

#[test]
fn the_cotangent_passes_where_nothing_saturates() {
    let model = quantised(vec![node("Identity", &["q"], "r", vec![])]);
    // With a step of 0.01 and a zero point of 3, int8 holds −1.31 to 1.24.
    let x = Random::new(1).tensor(&[1, 2, 4, 4], -2.0, 2.0);
    let dy = Tensor::new(DataType::Float, &[1, 2], vec![1.0, -3.0]).unwrap();
    let dx = gradient(&model, &x, &dy);
    for ((place, &x), &dx) in x.data.indexed_iter().zip(&dx.data) {
        let inside = (-1.315..1.245).contains(&x);
        let expected = if inside { dy.data[[0, place[1]]] / 16.0 } else { 0.0 };
        assert!((dx - expected).abs() < 1e-6, "{dx} and not {expected} at {x}");
    }
}

#[test]
fn operators_on_the_integers_pass_it_on() {
    let pool = vec![attribute("kernel_shape", [2, 2]), attribute("strides", [2, 2])];
    let turned = vec![attribute("perm", [0, 1, 3, 2])];
    let between = vec![node("MaxPool", &["q"], "m", pool), node("Transpose", &["m"], "r", turned)];
    let x = Random::new(2).tensor(&[1, 2, 4, 4], -1.0, 1.0);
    let dy = Tensor::new(DataType::Float, &[1, 2], vec![1.0, 2.0]).unwrap();
    let dx = gradient(&quantised(between), &x, &dy);
    assert!((dx.data.sum() - 3.0).abs() < 1e-5);
    assert_eq!(dx.data.iter().filter(|v| **v != 0.0).count(), 8, "one place of each window");
}

#[test]
fn a_map_through_a_staircase_is_only_a_gradient() {
    let model = quantised(vec![node("Identity", &["q"], "r", vec![])]);
    let analysis = Analysis::of(&model, &Hints::default()).unwrap();
    let certificate = certify(&analysis, &head::cut(&analysis, "x", None).unwrap(), false);
    assert_eq!(certificate.verdict, Verdict::GradientOnly);
    assert!(certificate.reason.unwrap().contains("the QuantizeLinear"));

    // After the staircase all is affine.
    let certificate = certify(&analysis, &head::cut(&analysis, "d", None).unwrap(), false);
    assert_eq!(certificate.verdict, Verdict::Exact);
}
