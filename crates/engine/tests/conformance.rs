//! Every operator and every derivative rule on every engine, against the f64 reference.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::build::{Graph, Value};
use hirescam_core::ops::{self, Card, Case, Given};
use hirescam_core::shape::Shapes;
use hirescam_core::tensor::is_float;
use hirescam_core::{Model, Tensor, analysis, flow, grad, reference};
use hirescam_testing::Random;
use hirescam_testing::by_hand::{info, single_node};
use hirescam_testing::engines::compare;
use std::collections::{HashMap, HashSet};

type Values = HashMap<String, Tensor>;

/// The single-node model of a case, with its outputs declared.
fn forward(card: &Card, case: &Case) -> (Model, Values) {
    let (model, values) = single_node(card, case, &mut Random::new(7));
    let names = model.graph().node[0].output.clone();
    let made =
        reference::evaluate(&model, values.clone(), &names.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    let mut proto = model.proto().clone();
    proto.graph.as_mut().unwrap().output = names.iter().zip(&made).map(|(n, t)| info(n, t.dtype, t.shape())).collect();
    (Model::new(proto).unwrap(), values)
}

/// The same with the derivative of a random weighting of each float output by each varied input, as outputs.
fn backward(card: &Card, case: &Case) -> (Model, Values) {
    let (model, values) = forward(card, case);
    let mut random = Random::new(11);
    let image = analysis::image_input(&model, None).unwrap().name().to_owned();
    let shapes = Shapes::infer(&model, &image, None).unwrap();
    let graph = Graph::new(&model, &shapes);
    let mut made: Vec<(Value, String)> = Vec::new();
    for y in model.graph().output.iter().map(|o| o.name()).filter(|y| shapes.dtype(y).is_some_and(is_float)) {
        let sizes: Vec<usize> = shapes.dims(y).unwrap().iter().map(|d| d.per_image()).collect();
        let seed = graph.constant(random.tensor(&sizes, -1.0, 1.0));
        for (i, _) in case.inputs.iter().enumerate().filter(|(_, g)| matches!(g, Given::Varied(..))) {
            let x = format!("x{i}");
            let dependence = flow::dependence(&model, &shapes, &x);
            let dx = grad::vjp(&model, &graph, &[0], &dependence, (y, seed), &x).unwrap();
            made.push((dx.expand_as(graph.value(&x).unwrap()), format!("d{y}_d{x}")));
        }
    }
    let wanted: Vec<(Value, &str)> = made.iter().map(|(v, n)| (*v, n.as_str())).collect();
    let nodes = graph.finish(&wanted, &HashSet::new()).unwrap();
    let mut proto = model.proto().clone();
    let g = proto.graph.as_mut().unwrap();
    g.output = wanted.iter().map(|(v, n)| info(n, v.dtype(), &v.sizes())).collect();
    g.node.extend(nodes);
    (Model::new(proto).unwrap(), values)
}

/// What an engine cannot run of the operators themselves (not of what we emit): (engine, operator, part of its message).
const MISSING: &[(&str, &str, &str)] = &[
    // tract leaves out α.
    ("tract", "Celu", "alpha"),
    // An output without axes, an ellipsis in some terms only, axes of 1 that broadcast.
    ("tract", "Einsum", "inf from the reference"),
    ("tract", "Einsum", "cannot read the model"),
    // output_shape.
    ("tract", "ConvTranspose", "panicked"),
    ("tract", "DequantizeLinear", "y_scale must be a const"),
    // Indices counted from the end.
    ("tract", "GatherND", "tract panicked"),
    ("tract", "ScatterND", "tract panicked"),
    ("tract", "ScatterND", "out of bounds"),
    ("tract", "OneHot", "tract panicked"),
    ("tract", "GlobalLpPool", "does not support"),
    ("tract", "LpPool", "does not support"),
    // Inputs of fewer axes before those of more.
    ("tract", "Mean", "require rank match"),
    // The modes that ONNX added later.
    ("tract", "Pad", "mode"),
    // eˣ overflows.
    ("tract", "Softplus", "inf from the reference"),
    ("tract", "Swish", "alpha"),
    ("tract", "SpaceToDepth", "mode"),
    // How operator sets before 10 have them.
    ("tract", "TopK", "Wrong input number"),
    ("tract", "Upsample", "does not support"),
    // Windows over an even number of channels.
    ("onnxruntime", "LRN", "cannot read the model"),
];

#[test]
fn every_operator_gives_the_same_on_every_engine() {
    let mut wrong = Vec::new();
    let mut met = HashSet::new();
    for engine in hirescam_testing::engines::engines(1) {
        for card in ops::all() {
            for case in (card.cases)() {
                let (model, values) = forward(card, &case);
                if let Err(why) = compare(engine.as_ref(), &model, &values) {
                    let known = |(e, op, what): &&(&str, &str, &str)| {
                        *e == engine.name() && *op == card.name && why.contains(what)
                    };
                    match MISSING.iter().find(known) {
                        Some(known) => drop(met.insert(known)),
                        None => wrong.push(format!(
                            "{} {} {:?} opset {}: {why}",
                            engine.name(),
                            card.name,
                            case.attributes,
                            case.opset
                        )),
                    }
                }
            }
        }
        for row in MISSING.iter().filter(|(e, ..)| *e == engine.name()) {
            assert!(met.contains(row), "{row:?} is no longer missing");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_gives_the_same_on_every_engine() {
    let mut wrong = Vec::new();
    for engine in hirescam_testing::engines::engines(1) {
        for card in ops::all().filter(|c| c.vjp.is_some()) {
            for case in (card.cases)().iter().filter(|c| c.inputs.iter().any(|g| matches!(g, Given::Varied(..)))) {
                let (model, values) = backward(card, case);
                // A cotangent of integers is no output of a model.
                if model.graph().output.is_empty() {
                    continue;
                }
                let Err(why) = compare(engine.as_ref(), &model, &values) else { continue };
                // Where the engine lacks the operator itself, the test above says so.
                if compare(engine.as_ref(), &forward(card, case).0, &values).is_ok() {
                    wrong.push(format!(
                        "{} {} {:?} opset {}: {why}",
                        engine.name(),
                        card.name,
                        case.attributes,
                        case.opset
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
