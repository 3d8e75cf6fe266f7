//! Correlations of ranks with an interval.

use hirescam::random::Random;
use hirescam_evaluate::statistics::{self, Bootstrap, Interval};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// A correlation and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Correlation {
    /// Spearman's ρ, −1 to 1.
    pub rho: f64,
    /// The quantiles of what was drawn again; none where too little of it has a value.
    pub interval: Option<Interval>,
    /// Of how many pairs.
    pub n: usize,
}

/// Fewer groups than this have no interval: of three or four, most of what is drawn again holds a tie or two values only.
const FEWEST: usize = 5;

/// Spearman's correlation ([`hirescam_evaluate::statistics::spearman`]) of all pairs, with an interval by drawing groups of pairs again, of the percentile
/// kind: pairs of one group, as those of one item under several arms, belong together. Draws in which one side is the same everywhere have no correlation, and are
/// left out.
///
/// Assumes that groups are independent. None where there is no correlation: fewer than two pairs, or one side the same everywhere.
pub fn spearman(groups: &[Vec<(f64, f64)>], how: &Bootstrap) -> Option<Correlation> {
    let of = |groups: &[&Vec<(f64, f64)>]| {
        let (a, b): (Vec<f64>, Vec<f64>) = groups.iter().flat_map(|group| group.iter()).copied().unzip();
        statistics::spearman(&a, &b)
    };
    let groups: Vec<&Vec<(f64, f64)>> = groups.iter().filter(|group| !group.is_empty()).collect();
    let rho = of(&groups)?;
    let resample = |b: usize| {
        let mut random = Random::of_sample(how.seed, b);
        let drawn: Vec<_> = groups.iter().filter_map(|_| groups.get(random.below(groups.len())).copied()).collect();
        of(&drawn)
    };
    let interval = match groups.len() < FEWEST {
        true => None,
        false => how.percentile((0..how.resamples).into_par_iter().filter_map(resample).collect()),
    };
    Some(Correlation { rho, interval, n: groups.iter().map(|group| group.len()).sum() })
}
