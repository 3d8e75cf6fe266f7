//! Derivatives at corners and ties, where differences see nothing, against PyTorch's (`fixtures/kinks`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::build::Graph;
use hirescam_core::onnx::messages::NodeProto;
use hirescam_core::onnx::{AttributeValue, attribute};
use hirescam_core::shape::Shapes;
use hirescam_core::tensor::DataType;
use hirescam_core::{Error, Model, Tensor, analysis, flow, grad, reference};
use hirescam_testing::by_hand::{info, model};
use serde_json::Value;
use std::collections::{HashMap, HashSet};

const KINKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/kinks/kinks.json");

/// Cases in which PyTorch contradicts itself and the rule follows its other answer.
const OTHER_ANSWER: &[&str] = &[
    // Half at a bound instead of nothing.
    "clip_tensor_bounds",
    // The first of those that tie instead of even shares.
    "reduce_max_dim",
    "reduce_min_dim",
    // Even shares instead of the first of those that tie.
    "global_max_1d_negative_amax",
    "global_max_1d_ties_amax",
    "global_max_1d_zeros_amax",
    "global_max_2d_negative_amax",
    "global_max_2d_ties_amax",
    "global_max_2d_zeros_amax",
    "global_max_3d_negative_amax",
    "global_max_3d_ties_amax",
    "global_max_3d_zeros_amax",
];

fn tensor(value: &Value) -> Tensor {
    let shape: Vec<usize> = value["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
    let data = value["data"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    Tensor::new(DataType::Double, &shape, data).unwrap()
}

fn setting(value: &Value) -> AttributeValue {
    match value {
        Value::Array(list) => list.iter().map(|v| v.as_i64().unwrap()).collect::<Vec<_>>().into(),
        Value::String(text) => text.as_str().into(),
        Value::Number(n) if n.is_i64() => n.as_i64().unwrap().into(),
        other => (other.as_f64().unwrap() as f32).into(),
    }
}

#[test]
fn corners_and_ties_are_as_in_pytorch() {
    let kinks: Value = serde_json::from_slice(&std::fs::read(KINKS).unwrap()).unwrap();
    let mut wrong = Vec::new();
    for case in kinks["cases"].as_array().unwrap() {
        let (name, op) = (case["name"].as_str().unwrap(), case["op"].as_str().unwrap());
        let attributes: Vec<_> =
            case["attributes"].as_object().unwrap().iter().map(|(k, v)| attribute(k, setting(v))).collect();
        let inputs: Vec<Tensor> = case["inputs"].as_array().unwrap().iter().map(tensor).collect();
        let names: Vec<String> = (0..inputs.len()).map(|i| format!("x{i}")).collect();
        let node = NodeProto {
            op_type: Some(op.into()),
            input: names.clone(),
            output: vec!["y".into()],
            attribute: attributes,
            ..Default::default()
        };
        if OTHER_ANSWER.contains(&name) {
            let others = case["others"].as_array().unwrap();
            assert!(!others.is_empty(), "PyTorch has one answer for {name}");
            assert!(others.iter().all(|o| !OTHER_ANSWER.contains(&o.as_str().unwrap())), "no answer for {name}");
            continue;
        }
        // What has no derivative is a constant of the node, as bounds and exponents are.
        let varied: Vec<usize> = (0..inputs.len()).filter(|&i| !case["dx"][i].is_null()).collect();
        let stored: Vec<(&str, Tensor)> =
            (0..inputs.len()).filter(|i| !varied.contains(i)).map(|i| (names[i].as_str(), inputs[i].clone())).collect();
        let infos = varied.iter().map(|&i| info(&names[i], DataType::Double, inputs[i].shape())).collect();
        let opset = if op.starts_with("Reduce") { 12 } else { 17 };
        let proto = model(opset, vec![node], infos, vec![], &stored);
        let model = Model::new(proto).unwrap();
        let values: HashMap<String, Tensor> = names.iter().cloned().zip(inputs).collect();
        let image = analysis::image_input(&model, None).unwrap().name().to_owned();
        let shapes = Shapes::infer(&model, &image, None).unwrap();
        for i in varied {
            let graph = Graph::new(&model, &shapes);
            let dependence = flow::dependence(&model, &shapes, &names[i]);
            let seed = graph.constant(tensor(&case["dy"]));
            let dx = match grad::vjp(&model, &graph, &[0], &dependence, ("y", seed), &names[i]) {
                Ok(dx) => dx,
                // Slopes and the like: what a card's `limits` leave out.
                Err(Error::Unsupported { .. }) if i > 0 => continue,
                Err(error) => panic!("{name}: {error}"),
            };
            let dx = dx.expand_as(graph.value(&names[i]).unwrap());
            let mut proto = model.proto().clone();
            proto.graph.as_mut().unwrap().node.extend(graph.finish(&[(dx, "dx")], &HashSet::new()).unwrap());
            let made = reference::evaluate(&Model::new(proto).unwrap(), values.clone(), &["y", "dx"]).unwrap();
            for (what, made, expected) in
                [("y", &made[0], tensor(&case["y"])), ("dx", &made[1], tensor(&case["dx"][i]))]
            {
                // PyTorch's HardSigmoid has a float32 sixth inside even in float64, ONNX's Selu float32 constants.
                let close = made.shape() == expected.shape()
                    && made
                        .data
                        .iter()
                        .zip(&expected.data)
                        .all(|(a, b)| a == b || (a - b).abs() <= 1e-7 * b.abs().max(1.0));
                if !close {
                    wrong.push(format!("{name}: {what} by input {i} is {:?} and not {:?}", made.data, expected.data));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
