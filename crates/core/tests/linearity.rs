//! Every card's claim to be affine or piecewise affine, by second differences of its own forward, and what it says of how its
//! outputs scale: a false claim would make a false certificate. Settings are the cards' own and ONNX's tests (`fixtures/node`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::ops::{Dependence, Linearity, Scaling};
use hirescam_core::tensor::is_float;
use hirescam_core::{Model, Tensor, reference};
use hirescam_testing::by_hand::single_node;
use hirescam_testing::each::{self, Completion, Failed, Tests, all_right};
use hirescam_testing::node_cases::{self, left_out};
use hirescam_testing::{Random, max_abs};
use ndarray::ArrayD;
use std::collections::HashMap;
use std::process::ExitCode;

type Values = HashMap<String, Tensor>;

/// A model of one node, values of its inputs, and which of them may depend on a layer.
struct Setting {
    about: String,
    model: Model,
    values: Values,
    varied: Vec<String>,
}

fn of_cards() -> impl Iterator<Item = Setting> {
    each::cards(|_| true).flat_map(|(name, card)| {
        (card.cases)().into_iter().enumerate().map(move |(n, case)| {
            let (model, values) = single_node(card, &case, &mut Random::new(5));
            let varied = values.keys().cloned().collect();
            Setting { about: format!("{name}_{n}"), model, values, varied }
        })
    })
}

fn of_onnx() -> impl Iterator<Item = Setting> {
    let wide = |t: &Tensor| is_float(t.dtype) && !t.data.is_empty() && t.data.len() < 2000;
    node_cases::named(|case| left_out(&case.name).is_none()).map(move |(about, case)| {
        let varied = case.inputs.iter().filter(|(_, t)| wide(t)).map(|(n, _)| n.clone()).collect();
        Setting { about, model: case.model.clone(), values: case.inputs.clone(), varied }
    })
}

/// With the names of tests; what no card vouches for claims nothing.
fn claiming(settings: impl Iterator<Item = Setting>) -> impl Iterator<Item = (String, Setting)> {
    let kept = settings.filter(|s| s.model.card(&s.model.graph().node[0]).is_some());
    kept.map(|mut s| {
        s.varied.sort();
        (s.about.clone(), s)
    })
}

/// What an output does along a random direction through a random point near the setting's own values.
struct Probe {
    /// f(x+v) + f(x−v) − 2f(x), for a v of the size of x.
    far: f64,
    /// The same over t² for the direction t·v with a small t.
    near: f64,
}

/// The largest of the entries that are defined; none where no entry is.
fn largest_defined(values: &ArrayD<f64>) -> Option<f64> {
    let defined: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    (!defined.is_empty()).then(|| max_abs(&defined))
}

/// Probes one output, all relative to its largest value; none where it is not defined, or of another shape.
fn probe(s: &Setting, y: &str, moving: &[&String], random: &mut Random) -> Option<Probe> {
    let (mut base, mut step) = (s.values.clone(), Values::new());
    for name in moving {
        let value = base.get_mut(*name).unwrap();
        let shape = value.shape().to_vec();
        value.data += &random.tensor(&shape, -0.05, 0.05).data;
        step.insert((*name).clone(), random.tensor(&shape, -0.3, 0.3));
    }
    let shape = reference::evaluate(&s.model, base.clone(), &[y]).ok()?.remove(0).shape().to_vec();
    let at = |t: f64| {
        let mut values = base.clone();
        for (name, v) in &step {
            values.get_mut(name).unwrap().data += &(&v.data * t);
        }
        Some(reference::evaluate(&s.model, values, &[y]).ok()?.remove(0).data).filter(|y| y.shape() == shape)
    };
    let middle = at(0.0)?;
    let size = largest_defined(&middle)?.max(1e-3);
    let bend = |t: f64| Some(largest_defined(&(at(t)? + at(-t)? - &middle * 2.0))? / size / t / t);
    let found = Probe { far: bend(1.0)?, near: bend(1e-4)? };
    (found.far.is_finite() && found.near.is_finite()).then_some(found)
}

fn card_claims_to_be_no_flatter_than_it_is(s: Setting) -> Result<Completion, Failed> {
    let (mut wrong, mut tried) = (Vec::new(), 0);
    let node = s.model.graph().node[0].clone();
    let card = s.model.card(&node).unwrap();
    let alone = s.varied.iter().map(|v| vec![v]);
    for moving in alone.chain((s.varied.len() > 1).then(|| s.varied.iter().collect())) {
        let depends = |n: &String| if moving.contains(&n) { Dependence::Smooth } else { Dependence::None };
        let claim = (card.linearity)(&s.model.attributes(&node), &node.input.iter().map(depends).collect::<Vec<_>>());
        for y in node.output.iter().filter(|y| !y.is_empty()) {
            let mut random = Random::new(9);
            // A point may happen to lie on a corner of a piecewise affine function: three do not.
            let probes: Vec<Probe> = (0..3).filter_map(|_| probe(&s, y, &moving, &mut random)).collect();
            if probes.is_empty() {
                continue;
            }
            tried += 1;
            let affine = probes.iter().all(|p| p.far < 1e-9);
            let piecewise = probes.iter().any(|p| p.near < 1e-6);
            let holds = match claim {
                Linearity::Affine => affine,
                Linearity::Piecewise => piecewise,
                Linearity::Smooth => true,
            };
            if !holds {
                let numbers: Vec<(f64, f64)> = probes.iter().map(|p| (p.far, p.near)).collect();
                wrong.push(format!("{}, {y} by {moving:?} is not {claim:?}: {numbers:?}", s.about));
            }
        }
    }
    all_right(&wrong)?;
    if tried == 0 {
        return Ok(Completion::ignored_with("nothing can be varied, or is defined there"));
    }
    Ok(Completion::Completed)
}

/// With the inputs `t` to the powers `degrees` times as large, each output is `t` to the power that the card says times what
/// it was. Where all are large, the ε of a normalisation does not count.
fn card_knows_how_what_it_makes_scales(s: Setting) -> Result<Completion, Failed> {
    let (mut wrong, mut tried) = (Vec::new(), 0);
    let node = s.model.graph().node[0].clone();
    let (a, card) = (s.model.attributes(&node), s.model.card(&node).unwrap());
    let stored = |name: &String| s.model.initializer(name).map(|t| Tensor::from_proto(t).unwrap());
    for degrees in
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0], [2.0, 1.0, 0.0], [1.0, 1.0, 1.0]]
    {
        let of = |i: usize| degrees.get(i).copied().unwrap_or(degrees[2]);
        let varies = |(i, name): (usize, &String)| of(i) != 0.0 && s.varied.contains(name);
        if !node.input.iter().enumerate().any(varies) {
            continue;
        }
        let values: Vec<Option<Tensor>> =
            node.input.iter().map(|name| s.values.get(name).cloned().or_else(|| stored(name))).collect();
        let scaling = |(i, name): (usize, &String)| {
            let value = values[i].as_ref()?;
            let degree = if s.varied.contains(name) { of(i) } else { 0.0 };
            Some(Scaling { degree, stored: Some(value).filter(|_| degree == 0.0) })
        };
        let inputs: Vec<Option<Scaling>> = node.input.iter().enumerate().map(scaling).collect();
        let Some(degree) = (card.degree)(&a, &inputs) else { continue };
        let at = |t: f64| {
            let mut values = s.values.clone();
            for (name, input) in node.input.iter().zip(&inputs) {
                let factor = input.map_or(1.0, |input| (1e3 * t).powf(input.degree));
                values.entry(name.clone()).and_modify(|value| value.data *= factor);
            }
            Some(reference::evaluate(&s.model, values, &[&node.output[0]]).ok()?.remove(0).data)
        };
        let (Some(once), Some(more)) = (at(1.0), at(3.0)) else { continue };
        if !is_float(s.values[&s.varied[0]].dtype) || !once.iter().chain(&more).all(|v| v.is_finite()) {
            continue;
        }
        tried += 1;
        let apart = max_abs(&(&more - &(&once * 3f64.powf(degree))));
        if apart > 1e-6 * max_abs(&more).max(1e-3) {
            wrong.push(format!("{}, inputs of {degrees:?} do not make {degree}: {apart}", s.about));
        }
    }
    all_right(&wrong)?;
    if tried == 0 {
        return Ok(Completion::ignored_with("nothing is claimed, or is defined there"));
    }
    Ok(Completion::Completed)
}

fn main() -> ExitCode {
    let sentence = "card_claims_to_be_no_flatter_than_it_is";
    let scales = "card_knows_how_what_it_makes_scales";
    Tests::default()
        .each_or_ignored(scales, 100, claiming(of_cards()), card_knows_how_what_it_makes_scales)
        .each_or_ignored(scales, 100, claiming(of_onnx()), card_knows_how_what_it_makes_scales)
        .each_or_ignored(sentence, 300, claiming(of_cards()), card_claims_to_be_no_flatter_than_it_is)
        .each_or_ignored(sentence, node_cases::FLOOR, claiming(of_onnx()), card_claims_to_be_no_flatter_than_it_is)
        .run()
        .exit_code()
}
