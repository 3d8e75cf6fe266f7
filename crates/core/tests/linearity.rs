//! Every card's claim to be affine or piecewise affine, by second differences of its own forward: a false claim would
//! make a false certificate. Settings are the cards' own and ONNX's tests (`fixtures/node`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::ops::{self, Dependence, Linearity};
use hirescam_core::tensor::is_float;
use hirescam_core::{Model, Tensor, reference};
use hirescam_testing::Random;
use hirescam_testing::by_hand::single_node;
use hirescam_testing::node_cases;
use ndarray::ArrayD;
use std::collections::HashMap;

type Values = HashMap<String, Tensor>;

/// A model of one node, values of its inputs, and which of them may depend on a layer.
struct Setting {
    about: String,
    model: Model,
    values: Values,
    varied: Vec<String>,
}

fn settings() -> Vec<Setting> {
    let mut all = Vec::new();
    for card in ops::all() {
        for (n, case) in (card.cases)().into_iter().enumerate() {
            let (model, values) = single_node(card, &case, &mut Random::new(5));
            let varied = values.keys().cloned().collect();
            let about = format!("{}, case {n}", card.name);
            all.push(Setting { about, model, values, varied });
        }
    }
    for case in node_cases::all().into_iter().filter(|c| node_cases::left_out(&c.name).is_none()) {
        let wide = |t: &Tensor| is_float(t.dtype) && !t.data.is_empty() && t.data.len() < 2000;
        let varied = case.inputs.iter().filter(|(_, t)| wide(t)).map(|(n, _)| n.clone()).collect();
        all.push(Setting { about: case.name, model: case.model, values: case.inputs, varied });
    }
    all.retain(|s| s.model.card(&s.model.graph().node[0]).is_some());
    all.iter_mut().for_each(|s| s.varied.sort());
    all
}

fn largest(data: &ArrayD<f64>) -> f64 {
    data.iter().fold(0.0, |m, v| m.max(v.abs()))
}

/// What an output does along a random direction through a random point near the setting's own values.
struct Probe {
    /// f(x+v) + f(x−v) − 2f(x), for a v of the size of x.
    far: f64,
    /// The same over t² for the direction t·v with a small t.
    near: f64,
    /// f(2x) − f(x).
    doubled: f64,
    /// f(x+v) − f(x).
    moved: f64,
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
    let at = |scale: f64, t: f64| {
        let mut values = base.clone();
        for (name, v) in &step {
            let x = &mut values.get_mut(name).unwrap().data;
            *x = &*x * scale + &v.data * t;
        }
        Some(reference::evaluate(&s.model, values, &[y]).ok()?.remove(0).data).filter(|y| y.shape() == shape)
    };
    let middle = at(1.0, 0.0)?;
    let size = largest(&middle).max(1e-3);
    let bend = |t: f64| Some(largest(&(at(1.0, t)? + at(1.0, -t)? - &middle * 2.0)) / size / t / t);
    let change = |scale: f64, t: f64| Some(largest(&(at(scale, t)? - &middle)) / size);
    let small = 1e-4;
    let found = Probe { far: bend(1.0)?, near: bend(small)?, doubled: change(2.0, 0.0)?, moved: change(1.0, 1.0)? };
    [found.far, found.near, found.doubled, found.moved].iter().all(|v| v.is_finite()).then_some(found)
}

#[test]
fn no_card_claims_to_be_flatter_than_it_is() {
    let mut wrong = Vec::new();
    for s in settings() {
        let node = s.model.graph().node[0].clone();
        let card = s.model.card(&node).unwrap();
        let alone = s.varied.iter().map(|v| vec![v]);
        for moving in alone.chain((s.varied.len() > 1).then(|| s.varied.iter().collect())) {
            let depends = |n: &String| if moving.contains(&n) { Dependence::Smooth } else { Dependence::None };
            let claim =
                (card.linearity)(&s.model.attributes(&node), &node.input.iter().map(depends).collect::<Vec<_>>());
            for y in node.output.iter().filter(|y| !y.is_empty()) {
                let mut random = Random::new(9);
                // A point may happen to lie on a corner of a piecewise affine function: three do not.
                let probes: Vec<Probe> = (0..3).filter_map(|_| probe(&s, y, &moving, &mut random)).collect();
                if probes.is_empty() {
                    continue;
                }
                let affine = probes.iter().all(|p| p.far < 1e-9);
                let piecewise = probes.iter().any(|p| p.near < 1e-6);
                let blind = probes.iter().all(|p| p.doubled < 1e-2 && p.moved > 0.1) && !piecewise;
                let holds = match claim {
                    Linearity::Affine => affine,
                    Linearity::Piecewise => piecewise,
                    Linearity::Smooth => !blind,
                    Linearity::Ratio => true,
                };
                if !holds {
                    let numbers: Vec<(f64, f64)> = probes.iter().map(|p| (p.far, p.near)).collect();
                    wrong.push(format!("{}, {y} by {moving:?} is not {claim:?}: {numbers:?}", s.about));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
