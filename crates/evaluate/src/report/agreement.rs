//! How far metrics agree with each other.

use super::compare::pairs;
use super::measured::{Key, Measured};
use super::summary::{Agreement, Part, Summary, by_image, known};
use crate::metrics::Better;
use crate::statistics::{mean, spearman};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Below so many a correlation of ranks says nothing.
const FEWEST: usize = 3;

/// Every two metrics, at each layer: over images (Tomsett et al. 2020, arXiv:1912.01451: internal consistency) and over methods.
pub(super) fn of<'a>(measured: &Measured<'a>, summary: &Summary) -> Vec<Agreement> {
    // Of all the cells only these are asked for, again and again.
    let means: BTreeMap<Key<'_>, f64> = summary
        .cells
        .iter()
        .filter(|c| c.part == Part::All)
        .filter_map(|c| Some((Key { layer: &c.layer, method: &c.method, metric: &c.metric }, c.mean?.mean)))
        .collect();
    let metrics = &measured.metrics;
    let two = metrics.iter().enumerate().flat_map(|(i, a)| metrics.iter().skip(i + 1).map(move |b| (*a, *b)));
    let two: Vec<(&'a str, &'a str, &'a str)> =
        measured.layers.iter().flat_map(|layer| two.clone().map(move |(a, b)| (*layer, a, b))).collect();
    let agreement = |(layer, a, b): (&'a str, &'a str, &'a str)| {
        let turned = sign(a) * sign(b);
        let correlations = measured.methods.iter().filter_map(|&method| {
            let pairs = pairs(measured.values(layer, method, a)?, measured.values(layer, method, b)?);
            let by = |of: fn(&(u64, f64, f64)) -> f64| -> Vec<f64> {
                by_image(pairs.iter().map(move |p| (p.0, of(p)))).into_iter().map(|v| v.1).collect()
            };
            correlation(&by(|p| p.1), &by(|p| p.2))
        });
        let correlations: Vec<f64> = correlations.collect();
        let of_method = |&method: &&str| {
            let value = |metric| means.get(&Key { layer, method, metric }).copied();
            Some((value(a)?, value(b)?))
        };
        let (x, y): (Vec<f64>, Vec<f64>) = measured.methods.iter().filter_map(of_method).unzip();
        Agreement {
            layer: layer.to_owned(),
            a: a.to_owned(),
            b: b.to_owned(),
            over_images: mean(&correlations).map(|r| r * turned),
            methods: correlations.len(),
            over_methods: correlation(&x, &y).map(|r| r * turned),
        }
    };
    two.into_par_iter().map(agreement).collect()
}

fn correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    (a.len() >= FEWEST).then(|| spearman(a, b)).flatten()
}

/// −1 for metrics of which less is better.
fn sign(metric: &str) -> f64 {
    if known(metric).is_some_and(|m| m.better == Better::Lower) { -1.0 } else { 1.0 }
}
