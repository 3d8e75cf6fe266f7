//! Every operator and every derivative rule on every engine, against the f64 reference.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::build::{Graph, Value};
use hirescam_core::ops::{Card, Case, CaseInput};
use hirescam_core::shape::Shapes;
use hirescam_core::tensor::is_float;
use hirescam_core::{Model, Tensor, analysis, flow, grad, reference};
use hirescam_testing::Random;
use hirescam_testing::by_hand::{info, single_node};
use hirescam_testing::each::{Tests, all_right, cards};
use hirescam_testing::engines::{compare, named, names};
use std::collections::{HashMap, HashSet};
use std::process::ExitCode;

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
        for (i, _) in case.inputs.iter().enumerate().filter(|(_, g)| matches!(g, CaseInput::Varied(..))) {
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
    ("tract", "ConvTranspose", "does not support the output_shape"),
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

type OnEngine = (&'static str, &'static Card);

/// Every card on every engine.
fn on_engines(keep: fn(&Card) -> bool) -> impl Iterator<Item = (String, OnEngine)> {
    names()
        .into_iter()
        .flat_map(move |engine| cards(keep).map(move |(card, c)| (format!("{engine}::{card}"), (engine, c))))
}

fn operator_gives_the_same((name, card): OnEngine) -> Result<(), String> {
    let engine = named(name);
    let (mut wrong, mut met) = (Vec::new(), HashSet::new());
    for case in (card.cases)() {
        let (model, values) = forward(card, &case);
        if let Err(why) = compare(engine.as_ref(), &model, &values) {
            let known = |(e, op, what): &&(&str, &str, &str)| *e == name && *op == card.name && why.contains(what);
            match MISSING.iter().find(known) {
                Some(known) => drop(met.insert(known)),
                None => wrong.push(format!("{:?} opset {}: {why}", case.attributes, case.opset)),
            }
        }
    }
    let rows = MISSING.iter().filter(|(e, op, _)| *e == name && *op == card.name);
    wrong.extend(rows.filter(|row| !met.contains(row)).map(|row| format!("{row:?} is no longer missing")));
    all_right(&wrong)
}

fn rule_gives_the_same((name, card): OnEngine) -> Result<(), String> {
    let engine = named(name);
    let mut wrong = Vec::new();
    for case in (card.cases)().iter().filter(|c| c.inputs.iter().any(|g| matches!(g, CaseInput::Varied(..)))) {
        let (model, values) = backward(card, case);
        // A cotangent of integers is no output of a model.
        if model.graph().output.is_empty() {
            continue;
        }
        let Err(why) = compare(engine.as_ref(), &model, &values) else { continue };
        // Where the engine lacks the operator itself, the test above says so.
        if compare(engine.as_ref(), &forward(card, case).0, &values).is_ok() {
            wrong.push(format!("{:?} opset {}: {why}", case.attributes, case.opset));
        }
    }
    all_right(&wrong)
}

fn every_row_is_of_an_operator() {
    for (_, op, _) in MISSING {
        assert!(cards(|_| true).any(|(_, card)| card.name == *op), "{op} has no card");
    }
}

fn main() -> ExitCode {
    Tests::default()
        .each("operator_gives_the_same", 150, on_engines(|_| true), operator_gives_the_same)
        .each("rule_gives_the_same", 100, on_engines(|card| card.vjp.is_some()), rule_gives_the_same)
        .one("every_row_is_of_an_operator", every_row_is_of_an_operator)
        .run()
        .exit_code()
}
