//! How far raters agree.

use hirescam::random::Random;
use hirescam_evaluate::statistics::{Bootstrap, Interval};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What differences of answers mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Answers are the same or not.
    Nominal,
    /// Answers have an order.
    Ordinal,
    /// Answers have a distance.
    Interval,
}

/// Krippendorff's α and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Alpha {
    /// 1: all agree; 0: as by chance; below: less than by chance.
    pub alpha: f64,
    /// The quantiles of what was drawn again.
    pub interval: Option<Interval>,
    /// Of how many things that were judged twice or more.
    pub units: usize,
    /// By how many answers.
    pub values: usize,
}

/// Krippendorff's α = 1 − D_o / D_e of answers about several units; a unit has as many answers as it has, and those with one count for nothing.
/// Krippendorff 2011, *Computing Krippendorff's alpha-reliability*, repository.upenn.edu/asc_papers/43.
///
/// With o_ck the coincidences, of each unit with m answers its ordered pairs (c, k) of two answers by 1 / (m − 1), n_c = Σ_k o_ck and n = Σ n_c:
/// D_o = Σ o_ck δ²_ck / n and D_e = Σ n_c n_k δ²_ck / (n (n − 1)), where δ² is 0 or 1 (nominal), (Σ_{g=c..k} n_g − (n_c + n_k) / 2)² (ordinal), or (c − k)²
/// (interval). The interval draws units again, of the percentile kind; draws in which all answers are the same are left out.
///
/// Assumes that units are independent, and raters exchangeable. None without a unit with two answers, or where all answers are the same: then
/// nothing says what chance would do.
pub fn krippendorff(units: &[Vec<f64>], level: Level, how: &Bootstrap) -> Option<Alpha> {
    if units.iter().flatten().any(|v| !v.is_finite()) {
        return None;
    }
    let units: Vec<&Vec<f64>> = units.iter().filter(|unit| unit.len() > 1).collect();
    let alpha = of(&units, level)?;
    let resample = |b: usize| {
        let mut random = Random::of_sample(how.seed, b);
        let drawn: Vec<&Vec<f64>> =
            units.iter().filter_map(|_| units.get(random.below(units.len())).copied()).collect();
        of(&drawn, level)
    };
    let interval = match units.len() > 1 {
        true => how.percentile((0..how.resamples).into_par_iter().filter_map(resample).collect()),
        false => None,
    };
    Some(Alpha { alpha, interval, units: units.len(), values: units.iter().map(|unit| unit.len()).sum() })
}

fn of(units: &[&Vec<f64>], level: Level) -> Option<f64> {
    // Adding 0 makes the two zeros one value.
    let mut known: Vec<f64> = units.iter().flat_map(|unit| unit.iter().map(|v| v + 0.0)).collect();
    known.sort_by(f64::total_cmp);
    let n = known.len() as f64;
    let mut values: Vec<(f64, f64)> = Vec::new();
    for same in known.chunk_by(|a, b| a == b) {
        values.extend(same.first().map(|v| (*v, same.len() as f64)));
    }
    // How many answers lie below each value: the sum in the middle of the ordinal distance.
    let mut below = 0.0;
    let placed: Vec<(f64, f64, f64)> = values
        .iter()
        .map(|&(value, count)| {
            below += count;
            (value, count, below - count / 2.0)
        })
        .collect();
    let distance = |a: &(f64, f64, f64), b: &(f64, f64, f64)| match level {
        Level::Nominal => f64::from(a.0 != b.0),
        Level::Ordinal => (a.2 - b.2).powi(2),
        Level::Interval => (a.0 - b.0).powi(2),
    };
    let at = |value: f64| placed.get(placed.partition_point(|p| p.0 < value));
    let mut observed = 0.0;
    for unit in units {
        // Answers that are the same differ from others alike: they are counted together.
        let mut counts = BTreeMap::<u64, (f64, f64)>::new();
        for value in unit.iter() {
            counts.entry((value + 0.0).to_bits()).or_insert((*value, 0.0)).1 += 1.0;
        }
        let counted = || counts.values().filter_map(|(value, n)| Some((at(*value)?, n)));
        let pairs: f64 = counted().flat_map(|(a, n)| counted().map(move |(b, m)| n * m * distance(a, b))).sum();
        observed += pairs / (unit.len() as f64 - 1.0);
    }
    let expected: f64 = placed.iter().flat_map(|a| placed.iter().map(|b| a.1 * b.1 * distance(a, b))).sum();
    (expected > 0.0).then(|| 1.0 - observed * (n - 1.0) / expected)
}
