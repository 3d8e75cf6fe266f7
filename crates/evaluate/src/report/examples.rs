//! Which maps to look at: by a rule, never by hand.

use super::compare::placed_pairs;
use super::measured::{Measured, Value};
use super::summary::{Example, Why, known};
use crate::metrics::Better;

/// The metrics that the best and the worst are chosen by: the first of them that was measured.
const JUDGES: [&str; 8] = [
    "energy-pointing-game",
    "iou",
    "relevance-mass",
    "relevance-rank",
    "organ-iou",
    "deletion",
    "insertion",
    "unused-share",
];
/// The metric that disagreements are chosen by, before the others: it says how much of a map lies where the network used nothing.
const FIDELITY: &str = "unused-share";
/// How many of the best, and of the worst.
const ENDS: usize = 3;
/// How many disagreements with each other method.
const DISAGREEMENTS: usize = 2;

/// The maps of `baseline` that are best and worst, and those in which each other method differs from it most, at the first layer. Of equal
/// ones the first images count.
pub(super) fn choose<'a>(baseline: &'a str, measured: &Measured<'a>) -> Vec<Example> {
    let Some(&layer) = measured.layers.first() else { return Vec::new() };
    let values = |method: &'a str, metric: &'static str| measured.values(layer, method, metric).unwrap_or_default();
    let judge = |others: bool| {
        let fidelity = others.then_some(FIDELITY);
        let mut judges = fidelity.into_iter().chain(JUDGES);
        judges.find(|&metric| !values(baseline, metric).is_empty())
    };
    let name = |index: u64| measured.images.get(&index).copied().unwrap_or_default().to_owned();
    let mut found = Vec::new();
    if let Some(metric) = judge(false) {
        let lower = known(metric).is_some_and(|m| m.better == Better::Lower);
        // Sorting is stable: of equal ones the first images come first.
        let sorted = |up: bool| {
            let mut order: Vec<&Value<'_>> = values(baseline, metric).iter().collect();
            order.sort_by(|a, b| if up { a.value.total_cmp(&b.value) } else { b.value.total_cmp(&a.value) });
            order
        };
        let (good, bad) = (sorted(lower), sorted(!lower));
        let example = |why, v: &Value<'_>| Example {
            why,
            metric: metric.to_owned(),
            layer: layer.to_owned(),
            method: baseline.to_owned(),
            other: None,
            index: v.index,
            image: name(v.index),
            class: v.class.to_owned(),
            class_index: v.class_index,
            value: v.value,
            other_value: None,
        };
        let (best, worst) = (good.len().div_ceil(2).min(ENDS), good.len() / 2);
        found.extend(good.iter().take(best).map(|v| example(Why::Best, v)));
        let kept = |v: &&&Value<'_>| !good.iter().take(best).any(|g| g.place() == v.place());
        found.extend(bad.iter().filter(kept).take(worst.min(ENDS)).map(|v| example(Why::Worst, v)));
    }
    if let Some(metric) = judge(true) {
        for &other in measured.methods.iter().filter(|m| **m != baseline) {
            let mut pairs = placed_pairs(values(baseline, metric), values(other, metric));
            let apart = |(v, other): &(Value<'_>, f64)| (v.value - other).abs();
            pairs.retain(|pair| apart(pair) > 0.0);
            pairs.sort_by(|x, y| apart(y).total_cmp(&apart(x)));
            found.extend(pairs.into_iter().take(DISAGREEMENTS).map(|(v, other_value)| Example {
                why: Why::Disagreement,
                metric: metric.to_owned(),
                layer: layer.to_owned(),
                method: baseline.to_owned(),
                other: Some(other.to_owned()),
                index: v.index,
                image: name(v.index),
                class: v.class.to_owned(),
                class_index: v.class_index,
                value: v.value,
                other_value: Some(other_value),
            }));
        }
    }
    found
}
