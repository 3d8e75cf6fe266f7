//! Methods against the baseline, image by image.

use super::measured::{Measured, Value};
use super::summary::{Comparison, Test, by_image};
use crate::statistics::{Bootstrap, holm, mcnemar, signed_rank};

/// Every other method against `baseline`, at each layer and by each metric. A pair is an image: of its classes that both have a value
/// for, the mean. Where all means are 0 or 1 the test is McNemar's, else Wilcoxon's. All tests are one family for Holm's correction.
pub(super) fn with<'a>(baseline: &'a str, bootstrap: &Bootstrap, measured: &Measured<'a>) -> Vec<Comparison> {
    let mut found = Vec::new();
    for &layer in &measured.layers {
        for &metric in &measured.metrics {
            let Some(of_baseline) = measured.values(layer, baseline, metric) else { continue };
            for &method in measured.methods.iter().filter(|m| **m != baseline) {
                let Some(of_method) = measured.values(layer, method, metric) else { continue };
                let pairs = pairs(of_method, of_baseline);
                let means = |of: fn(&(u64, f64, f64)) -> f64| by_image(pairs.iter().map(move |p| (p.0, of(p))));
                let (first, second) = (means(|p| p.1), means(|p| p.2));
                let differences: Vec<f64> = first.iter().zip(&second).map(|(a, b)| a.1 - b.1).collect();
                let (Some(difference), Some(ranked)) = (bootstrap.mean(&differences), signed_rank(&differences)) else {
                    continue;
                };
                let hits = first.iter().chain(&second).all(|(_, v)| *v == 0.0 || *v == 1.0);
                let count = |sign: f64| differences.iter().filter(|d| **d == sign).count() as u64;
                let (test, p) = match (hits, ranked.exact) {
                    (true, _) => (Test::Mcnemar, mcnemar(count(1.0), count(-1.0))),
                    (false, true) => (Test::SignedRank, ranked.p),
                    (false, false) => (Test::SignedRankNormal, ranked.p),
                };
                found.push(Comparison {
                    layer: layer.to_owned(),
                    method: method.to_owned(),
                    baseline: baseline.to_owned(),
                    metric: metric.to_owned(),
                    difference,
                    test,
                    p,
                    corrected: p,
                    effect: ranked.effect(),
                });
            }
        }
    }
    let p: Vec<f64> = found.iter().map(|f| f.p).collect();
    for (comparison, corrected) in found.iter_mut().zip(holm(&p).unwrap_or_default()) {
        comparison.corrected = corrected;
    }
    found
}

/// The values of what both have one for: image, value, other value.
pub(super) fn pairs(a: &[Value<'_>], b: &[Value<'_>]) -> Vec<(u64, f64, f64)> {
    placed_pairs(a, b).into_iter().map(|(a, b)| (a.index, a.value, b)).collect()
}

/// The same with all that is known of the first. Both are in the order of their places.
pub(super) fn placed_pairs<'a>(a: &[Value<'a>], b: &[Value<'_>]) -> Vec<(Value<'a>, f64)> {
    let mut others = b.iter().peekable();
    let pair = |v: &Value<'a>| {
        while others.next_if(|o| o.place() < v.place()).is_some() {}
        let other = others.next_if(|o| o.place() == v.place())?;
        Some((*v, other.value))
    };
    a.iter().filter_map(pair).collect()
}
