//! Every derivative rule against central differences of its card's own forward, in f64, in one random direction;
//! and every rule on a cotangent that stands for a whole axis against the same cotangent written out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use common::{Random, single_node};
use hirescam_core::build::Graph;
use hirescam_core::ops::{self, Card, Case, Given};
use hirescam_core::shape::Shapes;
use hirescam_core::tensor::is_float;
use hirescam_core::{Model, Tensor, grad, head, reference};
use std::collections::{HashMap, HashSet};

type Values = HashMap<String, Tensor>;

fn run(model: &Model, values: &Values, wanted: &str) -> Tensor {
    reference::evaluate(model, values.clone(), &[wanted]).unwrap().remove(0)
}

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    (&a.data * &b.data).sum()
}

/// ⟨Jᵀȳ, v⟩ from the emitted nodes, for input `x` and output `y`, with the cotangent `dy`.
fn symbolic(model: &Model, values: &Values, x: &str, y: &str, dy: &Tensor) -> Tensor {
    let image = head::image_input(model).unwrap().name();
    let shapes = Shapes::infer(model, image, None).unwrap();
    let dependence = head::dependence(model, &shapes, x);
    let graph = Graph::new(model, &shapes);
    let seed = graph.constant(dy.clone());
    let dx = grad::vjp(model, &graph, &[0], &dependence, (y, seed), x).unwrap();
    let dx = dx.expand_as(graph.value(x).unwrap());
    let mut proto = model.proto().clone();
    proto.graph.as_mut().unwrap().node.extend(graph.finish(&[(dx, "dx")], &HashSet::new()).unwrap());
    run(&Model::new(proto).unwrap(), values, "dx")
}

fn check(card: &Card, case: &Case, seed: u64) {
    let mut random = Random::new(seed);
    let (model, values) = single_node(card, case, &mut random);
    let context = || format!("{} {:?} {:?}", card.name, case.attributes, case.inputs);
    for y in model.graph().node[0].output.clone() {
        let out = run(&model, &values, &y);
        if !is_float(out.dtype) {
            continue;
        }
        let bar = random.tensor(out.shape(), -1.0, 1.0);
        for (i, given) in case.inputs.iter().enumerate() {
            let Given::Varied(shape, ..) = given else { continue };
            let x = format!("x{i}");
            let v = random.tensor(shape, -1.0, 1.0);
            let h = 1e-6;
            let at = |h: f64| {
                let mut values = values.clone();
                values.get_mut(&x).unwrap().data += &(&v.data * h);
                dot(&run(&model, &values, &y), &bar)
            };
            let numeric = (at(h) - at(-h)) / (2.0 * h);
            let rule = dot(&symbolic(&model, &values, &x, &y, &bar), &v);
            assert!(
                (numeric - rule).abs() < 1e-6 * (1.0 + numeric.abs()),
                "{}: numeric {numeric}, rule {rule}, input {i}",
                context()
            );
            // Along any set of axes, a cotangent of extent 1 must mean the same as one written out.
            for mask in 1..1u32 << out.shape().len().min(5) {
                let one: Vec<usize> =
                    out.shape().iter().enumerate().map(|(a, &n)| if mask >> a & 1 == 1 { 1 } else { n }).collect();
                let short = random.tensor(&one, -1.0, 1.0);
                let long = Tensor { dtype: short.dtype, data: short.data.broadcast(out.shape()).unwrap().to_owned() };
                let [a, b] = [short, long].map(|dy| symbolic(&model, &values, &x, &y, &dy));
                let worst = (&a.data - &b.data).iter().fold(0.0f64, |m, v| m.max(v.abs()));
                // Constants are stored in f32.
                assert!(
                    worst < 1e-6,
                    "{}: a cotangent of the shape {one:?} gives {worst} more than the whole",
                    context()
                );
            }
        }
    }
}

#[test]
fn every_rule_matches_central_differences() {
    for card in ops::all().filter(|c| c.vjp.is_some()) {
        for case in (card.cases)() {
            for seed in 0..3 {
                check(card, &case, seed);
            }
        }
    }
}

#[test]
fn every_rule_has_a_case_that_differentiates() {
    for card in ops::all().filter(|c| c.vjp.is_some() && c.domain.is_empty()) {
        let varied = |c: &Case| c.inputs.iter().any(|g| matches!(g, Given::Varied(..)));
        assert!((card.cases)().iter().any(varied), "{} has no case", card.name);
    }
}

#[test]
fn each_operator_has_one_card() {
    let mut seen = HashSet::new();
    assert!(ops::all().all(|c| seen.insert((c.domain, c.name))));
}
