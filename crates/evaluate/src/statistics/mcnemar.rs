//! McNemar's test.

use statrs::distribution::{Binomial, DiscreteCDF};

/// McNemar's test of paired hits and misses, exact and two-sided: of the pairs that one of the two alone hits, are as many the first's
/// (`first`) as the second's (`second`)? p = 2 · P(X ≤ min(first, second)), at most 1, with X binomial of first + second trials with
/// a half. McNemar 1947, 10.1007/BF02295996.
///
/// Assumes that pairs are independent. 1 where the two hit the same.
pub fn mcnemar(first: u64, second: u64) -> f64 {
    // A half is a probability, so there always is such a distribution.
    let cdf = |x: u64| Binomial::new(0.5, first.saturating_add(second)).map_or(1.0, |b| b.cdf(x));
    (2.0 * cdf(first.min(second))).min(1.0)
}
