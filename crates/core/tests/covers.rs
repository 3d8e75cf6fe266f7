//! What a card does not cover is refused wherever the card would be asked, whatever shapes the file brings.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::analysis::{Analysis, Hints};
use hirescam_core::cam::{self, Request, Target};
use hirescam_core::certify::{Verdict, can_be_negative, certify};
use hirescam_core::onnx::attribute;
use hirescam_core::onnx::messages::{
    AttributeProto, GraphProto, ModelProto, NodeProto, attribute_proto::AttributeType,
};
use hirescam_core::ops::list::NEWEST_OPSET;
use hirescam_core::tensor::DataType;
use hirescam_core::{Error, Model, Tensor, head, layers, reference};
use hirescam_testing::Random;
use hirescam_testing::by_hand::{info, model};
use std::collections::HashMap;

fn node(op: &str, inputs: &[&str], outputs: &[&str], attributes: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        op_type: Some(op.into()),
        name: Some(format!("the {op}")),
        input: inputs.iter().map(|&s| s.into()).collect(),
        output: outputs.iter().map(|&s| s.into()).collect(),
        attribute: attributes,
        ..Default::default()
    }
}

fn in_domain(domain: &str, node: NodeProto) -> NodeProto {
    NodeProto { domain: Some(domain.into()), ..node }
}

/// `x [1, 4, 3, 3]`, a Relu `a`, the nodes, which make `y` of it in the same shape, a mean over space, and scores. The file
/// says all shapes.
fn around(opset: i64, nodes: Vec<NodeProto>) -> ModelProto {
    let mut random = Random::new(4);
    let stored = [
        ("scale", random.tensor(&[4], 0.5, 1.5)),
        ("bias", random.tensor(&[4], -0.5, 0.5)),
        ("mean", random.tensor(&[4], -0.5, 0.5)),
        ("var", random.tensor(&[4], 0.5, 1.5)),
        ("w", random.tensor(&[4, 5], -1.0, 1.0)),
        ("low", Tensor::float(ndarray::arr0(0.25).into_dyn())),
        ("yes", Tensor { dtype: DataType::Bool, data: ndarray::arr0(1.0).into_dyn() }),
        ("no", Tensor { dtype: DataType::Bool, data: ndarray::arr0(0.0).into_dyn() }),
    ];
    let mut all = vec![node("Relu", &["x"], &["a"], vec![])];
    all.extend(nodes);
    all.push(node("GlobalAveragePool", &["y"], &["g"], vec![]));
    all.push(node("Flatten", &["g"], &["f"], vec![]));
    all.push(node("MatMul", &["f", "w"], &["s"], vec![]));
    let shapes: [(&str, &[usize]); 4] =
        [("a", &[1, 4, 3, 3]), ("y", &[1, 4, 3, 3]), ("g", &[1, 4, 1, 1]), ("f", &[1, 4])];
    let mut proto = model(
        opset,
        all,
        vec![info("x", DataType::Float, &[1, 4, 3, 3])],
        vec![info("s", DataType::Float, &[1, 5])],
        &stored,
    );
    proto.graph.as_mut().unwrap().value_info = shapes.map(|(name, shape)| info(name, DataType::Float, shape)).into();
    proto
}

const NORM: [&str; 5] = ["a", "scale", "bias", "mean", "var"];

/// Nodes that look like what a card knows, and mean something else or nothing.
fn uncovered() -> Vec<(i64, Vec<NodeProto>)> {
    let one = |opset, op: &str, attributes| (opset, vec![node(op, &["a"], &["y"], attributes)]);
    let norm =
        |opset, outputs: &[&str], attributes| (opset, vec![node("BatchNormalization", &NORM, outputs, attributes)]);
    let then = AttributeProto {
        name: Some("then_branch".into()),
        r#type: Some(AttributeType::Graph as i32),
        g: Some(GraphProto {
            node: vec![node("Neg", &["a"], &["n"], vec![])],
            output: vec![info("n", DataType::Float, &[1, 4, 3, 3])],
            ..Default::default()
        }),
        ..Default::default()
    };
    let otherwise = AttributeProto { name: Some("else_branch".into()), ..then.clone() };
    vec![
        norm(15, &["y"], vec![attribute("training_mode", 1)]),
        norm(14, &["y", "m", "v"], vec![attribute("training_mode", 1)]),
        norm(13, &["y", "m", "v", "sm", "sv"], vec![]),
        norm(9, &["y", "m", "v", "sm", "sv"], vec![]),
        norm(7, &["y", "m", "v", "sm", "sv"], vec![]),
        norm(8, &["y"], vec![attribute("spatial", 0)]),
        norm(13, &["y"], vec![attribute("training_mode", 1)]),
        norm(15, &["y"], vec![attribute("is_test", 1)]),
        (13, vec![node("Dropout", &["a", "low", "yes"], &["y"], vec![])]),
        (22, vec![node("Dropout", &["a", "low", "yes"], &["y", "mask"], vec![])]),
        one(17, "Relu", vec![attribute("alpha", 0.1f32)]),
        one(17, "Identity", vec![attribute("factor", 2.0f32)]),
        one(13, "Clip", vec![attribute("min", 0.0f32)]),
        one(17, "LeakyRelu", vec![attribute("alpha", 1)]),
        one(17, "LeakyRelu", vec![attribute("alpha", 0.1f32), attribute("alpha", 0.2f32)]),
        one(20, "Gelu", vec![attribute("approximate", "sigmoid")]),
        (17, vec![node("Add", &["a", "x", "x"], &["y"], vec![])]),
        (17, vec![node("Identity", &["a"], &["y", "z"], vec![])]),
        (17, vec![node("Mul", &["a", ""], &["y"], vec![])]),
        (17, vec![in_domain("com.example", node("Neg", &["a"], &["y"], vec![]))]),
        (17, vec![in_domain("com.microsoft", node("Neg", &["a"], &["y"], vec![]))]),
        (17, vec![in_domain("com.microsoft", node("Gelu", &["a"], &["y"], vec![attribute("approximate", "tanh")]))]),
        (17, vec![node("If", &["yes"], &["y"], vec![then, otherwise])]),
        one(17, "NoSuchOperator", vec![]),
    ]
}

#[test]
fn what_no_card_covers_is_never_proven() {
    for (opset, nodes) in uncovered() {
        let what = format!("operator set {opset}, {:?}", nodes[0]);
        let proto = around(opset, nodes);
        let model = Model::new(proto).unwrap();
        let analysis = Analysis::of(&model, &Hints::default()).unwrap();
        let cut = head::cut(&analysis, "a", None).unwrap();
        let judged = certify(&analysis, &cut, false);
        assert_eq!(judged.verdict, Verdict::GradientOnly, "{what}");
        assert!(judged.reason.is_some_and(|r| r.contains(&format!("makes {:?}", "y"))), "{what}");
        let at = |layer: &str| {
            let request = Request { layer: Some(layer.into()), target: Target::Classes(vec![1]), ..Request::default() };
            cam::attach(&model, &request)
        };
        match at("a") {
            Err(Error::Unsupported { at, .. } | Error::Invalid { at, .. }) => {
                assert!(at.contains("\"y\""), "{what}: {at}")
            }
            other => panic!("{what}: {other:?}"),
        }
        let listed = layers::layers(&analysis, true).unwrap_or_default();
        assert!(listed.iter().all(|l| l.name != "a" || l.certificate.is_err()), "{what}");
        // Behind it all is as ever.
        assert_eq!(at("y").unwrap().certificate.verdict, Verdict::Exact, "{what}");
    }
}

#[test]
fn what_has_no_derivative_is_named_before_a_target_that_does_not_fit() {
    // All images are one sample for this node, and so there are several scores a class.
    let nodes = vec![node("BatchNormalization", &NORM, &["y"], vec![attribute("training_mode", 1)])];
    let model = Model::new(around(15, nodes)).unwrap();
    let request = |target| Request { layer: Some("a".into()), target, ..Request::default() };
    for target in [Target::Top(1), Target::Classes(vec![4096])] {
        let error = cam::attach(&model, &request(target)).unwrap_err();
        assert!(matches!(&error, Error::Unsupported { at, .. } if at.contains("BatchNormalization")), "{error}");
    }
    let error = cam::attach(&model, &Request { layer: Some("y".into()), ..request(Target::Classes(vec![4096])) });
    assert!(matches!(error, Err(Error::Argument(_))), "{error:?}");
}

#[test]
fn nothing_is_known_of_operator_sets_to_come() {
    let model = Model::new(around(NEWEST_OPSET + 1, vec![node("Neg", &["a"], &["y"], vec![])])).unwrap();
    assert!(model.graph().node.iter().all(|n| model.card(n).is_none()));
    let error = cam::attach(&model, &Request { layer: Some("a".into()), ..Request::default() }).unwrap_err();
    assert!(error.to_string().contains(&format!("operator set {}", NEWEST_OPSET + 1)), "{error}");
}

#[test]
fn what_changes_nothing_is_let_pass() {
    let one = |opset, op: &str, attributes| (opset, vec![node(op, &["a"], &["y"], attributes)]);
    let norm =
        |opset, outputs: &[&str], attributes| (opset, vec![node("BatchNormalization", &NORM, outputs, attributes)]);
    for (opset, nodes) in [
        norm(15, &["y"], vec![attribute("training_mode", 0), attribute("momentum", 0.5f32)]),
        norm(13, &["y", "", ""], vec![]),
        // What newer operator sets take for granted.
        norm(12, &["y"], vec![attribute("spatial", 1)]),
        norm(12, &["y"], vec![attribute("training_mode", 0)]),
        (13, vec![in_domain("ai.onnx", node("Neg", &["a"], &["y"], vec![]))]),
        (11, vec![node("Dropout", &["a"], &["y"], vec![attribute("ratio", 0.5f32)])]),
        (13, vec![node("Dropout", &["a", "low"], &["y"], vec![])]),
        (13, vec![node("Dropout", &["a", "low", "no"], &["y"], vec![])]),
        (22, vec![node("Dropout", &["a", "low", "no"], &["y", "mask"], vec![])]),
        one(13, "Cast", vec![attribute("to", 1), attribute("saturate", 1)]),
    ] {
        let what = format!("operator set {opset}, {:?}", nodes[0]);
        let made = cam::attach(
            &Model::new(around(opset, nodes)).unwrap(),
            &Request { layer: Some("a".into()), ..Request::default() },
        );
        assert_eq!(made.unwrap_or_else(|e| panic!("{what}: {e}")).certificate.verdict, Verdict::Exact, "{what}");
    }
}

#[test]
fn weights_standardised_in_training_mode_stop_nothing() {
    for (opset, attributes, outputs) in
        [(17, vec![attribute("training_mode", 1)], vec!["n", "m", "v"]), (12, vec![], vec!["n", "m", "v", "sm", "sv"])]
    {
        let shape = Tensor::ints(&[4, 4, 1, 1]);
        let raw = Random::new(8).tensor(&[1, 4, 4], -1.0, 1.0);
        let nodes = vec![
            node("BatchNormalization", &["raw", "scale", "bias", "mean", "var"], &outputs, attributes),
            node("Reshape", &["n", "shape"], &["k"], vec![]),
            node("Conv", &["a", "k"], &["y"], vec![]),
        ];
        let mut proto = around(opset, nodes);
        let graph = proto.graph.as_mut().unwrap();
        graph.value_info.clear();
        graph.initializer.push(raw.to_proto("raw").unwrap());
        graph.initializer.push(shape.to_proto("shape").unwrap());
        let model = Model::new(proto).unwrap();
        let request = Request { layer: Some("a".into()), target: Target::Classes(vec![2]), ..Request::default() };
        let made = cam::attach(&model, &request).unwrap();
        assert_eq!(made.certificate.verdict, Verdict::Exact);
        assert!(made.bias.is_some(), "b is not known beforehand");
        // The standardised weights have mean 0 and variance 1 in each of their channels, before scale and bias.
        let normal = reference::evaluate(&model, HashMap::new(), &["n"]).unwrap().remove(0).data;
        let stored = |name: &str| Tensor::from_proto(model.initializer(name).unwrap()).unwrap().data;
        for c in 0..4 {
            let plane = normal.index_axis(ndarray::Axis(1), c).mapv(|v| (v - stored("bias")[c]) / stored("scale")[c]);
            let (mean, square) = (plane.mean().unwrap(), plane.mapv(|v| v * v).mean().unwrap());
            assert!(mean.abs() < 1e-9 && (square - 1.0).abs() < 1e-3, "{mean} {square}");
        }
    }
}

#[test]
fn shapes_in_the_file_do_not_win_over_what_cards_find() {
    let mut proto = around(17, vec![node("Neg", &["a"], &["y"], vec![])]);
    proto.graph.as_mut().unwrap().value_info =
        vec![info("y", DataType::Float, &[1, 4, 6, 6]), info("g", DataType::Float, &[1, 4, 3, 1])];
    let made = |proto: ModelProto| {
        let request = Request { layer: Some("a".into()), ..Request::default() };
        cam::attach(&Model::new(proto).unwrap(), &request).unwrap()
    };
    let (lied, told) = (made(proto), made(around(17, vec![node("Neg", &["a"], &["y"], vec![])])));
    let added = |made: &cam::Explaining| made.model.graph.as_ref().unwrap().node.clone();
    assert_eq!(added(&lied), added(&told));
}

#[test]
fn what_is_drawn_at_random_goes_around_the_layer() {
    let nodes = vec![
        node("RandomNormal", &[], &["noise"], vec![attribute("shape", [1, 4, 3, 3])]),
        node("Add", &["a", "noise"], &["y"], vec![]),
    ];
    let mut proto = around(17, nodes);
    proto.graph.as_mut().unwrap().value_info.push(info("noise", DataType::Float, &[1, 4, 3, 3]));
    let model = Model::new(proto).unwrap();
    let made = cam::attach(&model, &Request { layer: Some("a".into()), ..Request::default() }).unwrap();
    assert_eq!(made.certificate.verdict, Verdict::LocallyLinear);
    assert!(made.certificate.bypass.is_some_and(|join| join.contains("the Add")));
}

#[test]
fn the_sign_of_what_no_card_covers_is_open() {
    let sign = |nodes: Vec<NodeProto>, opset: i64| {
        let model = Model::new(around(opset, nodes)).unwrap();
        can_be_negative(&Analysis::of(&model, &Hints::default()).unwrap(), "y")
    };
    let relu = |attributes| vec![node("Neg", &["a"], &["b"], vec![]), node("Relu", &["b"], &["y"], attributes)];
    assert!(!sign(relu(vec![]), 17));
    assert!(sign(relu(vec![attribute("alpha", 0.1f32)]), 17));
    // What is left out is no value, and of no sign: a MaxPool without the places of the largest, a Clip without a minimum.
    let pooled = vec![
        node("MaxPool", &["a"], &["b", ""], vec![attribute("kernel_shape", [1, 1])]),
        node("Neg", &["b"], &["c"], vec![]),
        node("Clip", &["c", "", "low"], &["y"], vec![]),
    ];
    assert!(sign(pooled, 17));
}
