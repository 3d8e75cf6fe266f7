//! Every card against ONNX's own tests of its operator (`fixtures/node`): values, shapes, derivatives.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::build::Graph;
use hirescam_core::graph::Attributes;
use hirescam_core::ops::{Card, Dependence};
use hirescam_core::shape::{Fact, Shapes};
use hirescam_core::tensor::DataType;
use hirescam_core::{Error, Model, Tensor, flow, grad, reference};
use hirescam_testing::Random;
use hirescam_testing::each::{Completion, Failed, Tests, all_right};
use hirescam_testing::node_cases::{self, NodeCase, left_out, verdict};
use std::collections::{HashMap, HashSet};
use std::process::ExitCode;

fn reference_passes(case: &NodeCase) -> Result<Completion, Failed> {
    match (verdict(case), left_out(&case.name)) {
        (Ok(()), None) => Ok(Completion::Completed),
        (Ok(()), Some(row)) => Err(format!("it passes: {row:?} can go").into()),
        (Err(_), Some((_, why))) => Ok(Completion::ignored_with(why)),
        (Err(why), None) => Err(why.into()),
    }
}

fn shape_rule_foretells_what_comes_out(case: &NodeCase) -> Result<(), String> {
    let mut wrong = Vec::new();
    let card = card(case).unwrap();
    let attributes = Attributes { node: case.node(), opset: case.model.opset() };
    // With the values at hand, and without: then a rule may say that it needs them.
    for known in [true, false] {
        let fact = |t: &Tensor| if known { Fact::constant(t.clone()) } else { Fact::new(t.dtype, t.shape()) };
        let facts: Vec<Option<Fact>> = case.node().input.iter().map(|n| case.inputs.get(n).map(fact)).collect();
        let facts: Vec<Option<&Fact>> = facts.iter().map(Option::as_ref).collect();
        let made = match (card.shape)(&attributes, &facts).map_err(|fault| fault.at(case.node())) {
            Ok(made) => made,
            Err(Error::Unsupported { .. }) if !known => continue,
            Err(error) => {
                wrong.push(format!("{}: {error}", case.name));
                continue;
            }
        };
        let told = case.node().output.iter().zip(&made).map(|(n, f)| (n, f.dtype, f.shape.as_slice()));
        let told: Vec<_> = told.filter(|(n, ..)| !n.is_empty()).collect();
        let given: Vec<_> = case.outputs.iter().map(|(n, t)| (n, t.dtype, t.shape())).collect();
        if told != given {
            wrong.push(format!("{}, values known: {known}: {told:?} and not {given:?}", case.name));
        }
    }
    all_right(&wrong)
}

/// The case's model with `x` as its only input, and the other values stored in it.
fn in_one_input(case: &NodeCase, x: &str) -> Option<Model> {
    let mut proto = case.model.proto().clone();
    let graph = proto.graph.as_mut()?;
    graph.input.retain(|i| i.name() == x);
    for (name, value) in case.inputs.iter().filter(|(name, _)| *name != x) {
        graph.initializer.push(value.to_proto(name).ok()?);
    }
    Model::new(proto).ok()
}

/// ∂⟨dy, y⟩/∂x as the rule emits it; none where it says that it does not cover the case.
fn gradient(model: &Model, values: &HashMap<String, Tensor>, (y, dy): (&str, &Tensor), x: &str) -> Option<Tensor> {
    let shapes = Shapes::infer(model, x, None).ok().filter(|s| s.fault.is_none())?;
    let dependence = flow::dependence(model, &shapes, x);
    if dependence.get(y) != Some(&Dependence::Smooth) {
        return None;
    }
    let graph = Graph::new(model, &shapes);
    let seed = graph.constant(dy.clone());
    let dx = match grad::vjp(model, &graph, &[0], &dependence, (y, seed), x) {
        Ok(dx) => dx.expand_as(graph.value(x).unwrap()),
        Err(Error::Unsupported { .. }) => return None,
        Err(error) => panic!("{error}"),
    };
    let mut proto = model.proto().clone();
    proto.graph.as_mut().unwrap().node.extend(graph.finish(&[(dx, "dx")], &HashSet::new()).unwrap());
    Some(reference::evaluate(&Model::new(proto).unwrap(), values.clone(), &["dx"]).unwrap().remove(0))
}

fn rule_matches_central_differences(case: &NodeCase) -> Result<Completion, Failed> {
    let (mut wrong, mut checked) = (Vec::new(), 0);
    let wide = |t: &Tensor| matches!(t.dtype, DataType::Float | DataType::Double) && !t.data.is_empty();
    for x in case.inputs.keys().filter(|x| wide(&case.inputs[*x])) {
        let Some(model) = in_one_input(case, x) else { continue };
        for (y, expected) in case.outputs.iter().filter(|(_, t)| wide(t)) {
            let mut random = Random::new(1);
            let mut values = case.inputs.clone();
            // Away from the ties and corners that whole numbers fall on.
            let shape = values[x].shape().to_vec();
            values.get_mut(x).unwrap().data += &random.tensor(&shape, -0.05, 0.05).data;
            let (dy, v) = (random.tensor(expected.shape(), -1.0, 1.0), random.tensor(&shape, -1.0, 1.0));
            let dy = Tensor { dtype: expected.dtype, ..dy };
            let Some(dx) = gradient(&model, &values, (y, &dy), x) else { continue };
            let at = |h: f64| {
                let mut values = values.clone();
                values.get_mut(x).unwrap().data += &(&v.data * h);
                (&reference::evaluate(&model, values, &[y]).unwrap()[0].data * &dy.data).sum()
            };
            let h = 1e-6;
            let numeric = (at(h) - at(-h)) / (2.0 * h);
            let rule = (&dx.data * &v.data).sum();
            checked += 1;
            // Values outside the domain, as of Log, have no slope.
            if numeric.is_finite() && (numeric - rule).abs() > 1e-5 * (1.0 + numeric.abs()) {
                wrong.push(format!("{}, {y} by {x}: {numeric} and not {rule}", case.name));
            }
        }
    }
    all_right(&wrong)?;
    if checked == 0 {
        return Ok(Completion::ignored_with("no derivative by a float is covered"));
    }
    Ok(Completion::Completed)
}

fn card(case: &NodeCase) -> Option<&'static Card> {
    case.model.card(case.node())
}

fn main() -> ExitCode {
    Tests::default()
        .each_or_ignored(
            "reference_passes",
            node_cases::FLOOR,
            node_cases::named(|c| card(c).is_some()),
            reference_passes,
        )
        .each(
            "shape_rule_foretells_what_comes_out",
            node_cases::FLOOR,
            node_cases::named(|c| card(c).is_some() && left_out(&c.name).is_none()),
            shape_rule_foretells_what_comes_out,
        )
        .each_or_ignored(
            "rule_matches_central_differences",
            node_cases::FLOOR / 2,
            node_cases::named(|c| card(c).is_some_and(|c| c.vjp.is_some()) && left_out(&c.name).is_none()),
            rule_matches_central_differences,
        )
        .run()
        .exit_code()
}
