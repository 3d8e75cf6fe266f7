//! Wilcoxon's signed-rank test.

use super::ranks;
use statrs::distribution::{ContinuousCDF, Normal};

/// Up to how many pairs that differ the p value is exact.
pub const MOST_EXACT: usize = 50;

/// What [`signed_rank`] finds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct SignedRank {
    /// How many pairs differ.
    pub n: usize,
    /// How many do not.
    pub zeros: usize,
    /// R₊: the ranks of pairs that differ upwards, added up.
    pub plus: f64,
    /// R₋: the same of those that differ downwards.
    pub minus: f64,
    /// The two-sided p value.
    pub p: f64,
    /// Whether p is exact, or from the normal approximation.
    pub exact: bool,
}

impl SignedRank {
    /// (R₊ − R₋) / (R₊ + R₋), see [`rank_biserial`](super::rank_biserial).
    pub fn effect(&self) -> f64 {
        let all = self.plus + self.minus;
        if all > 0.0 { (self.plus - self.minus) / all } else { 0.0 }
    }
}

/// Wilcoxon's signed-rank test of paired differences, two-sided: is it as likely for a pair to differ upwards as downwards, by any
/// amount? Wilcoxon 1945, 10.2307/3001968.
///
/// R₊ = Σ of the ranks of |d| where d > 0; equal |d| share the mean of their ranks. Differences of 0 are ranked with the others and then
/// left out (Pratt 1959, 10.1080/01621459.1959.10501526). With up to [`MOST_EXACT`] pairs that differ, p counts all 2ⁿ ways to give signs to the ranks
/// as they are, ties and all: 2 · min(P(≤ R₊), P(≥ R₊)), at most 1. Beyond, R₊ is taken for normal with mean Σ r / 2 and variance
/// Σ r² / 4, which holds the corrections for ties and zeros, without a correction for continuity.
///
/// Assumes that pairs are independent, and of the differences that they lie symmetrically where there is no effect. None where there
/// is no pair, or one is no number.
///
/// # Differs from scipy
/// `wilcoxon(method="exact")` takes the ranks for 1 … n though there are ties or zeros; here p is exact with these, too, as scipy's
/// `PermutationMethod` has it.
pub fn signed_rank(differences: &[f64]) -> Option<SignedRank> {
    if differences.is_empty() || differences.iter().any(|d| !d.is_finite()) {
        return None;
    }
    let sizes: Vec<f64> = differences.iter().map(|d| d.abs()).collect();
    let ranked = ranks(&sizes);
    let signed: Vec<(bool, f64)> =
        differences.iter().zip(ranked).filter(|(d, _)| **d != 0.0).map(|(d, r)| (*d > 0.0, r)).collect();
    let sum = |up: bool| signed.iter().filter(|(u, _)| *u == up).map(|(_, r)| r).sum::<f64>();
    let (n, plus, minus) = (signed.len(), sum(true), sum(false));
    let exact = n <= MOST_EXACT;
    let p = match exact {
        true => exact_p(signed.iter().map(|(_, r)| *r), plus),
        false => {
            let squares: f64 = signed.iter().map(|(_, r)| r * r).sum();
            let z = (plus - minus) / squares.sqrt();
            2.0 * Normal::standard().sf(z.abs())
        }
    };
    Some(SignedRank { n, zeros: differences.len() - n, plus, minus, p: p.min(1.0), exact })
}

/// 2 · min(P(T ≤ `plus`), P(T ≥ `plus`)), T being the sum of the ranks that get a plus from a fair coin.
fn exact_p(ranks: impl Iterator<Item = f64>, plus: f64) -> f64 {
    // Shared ranks are halves: twice a rank is a whole number.
    let twice = |rank: f64| (2.0 * rank) as usize;
    let (mut ways, mut n) = (vec![1.0f64], 0);
    for rank in ranks.map(twice) {
        let mut with = vec![0.0; rank];
        with.extend(&ways);
        ways.resize(with.len(), 0.0);
        ways.iter_mut().zip(with).for_each(|(w, more)| *w += more);
        n += 1;
    }
    let at = twice(plus);
    let (below, above) = (ways.iter().take(at + 1).sum::<f64>(), ways.iter().skip(at).sum::<f64>());
    2.0 * below.min(above) / 2f64.powi(n)
}
