//! Intervals of a share of independent trials.

use hirescam_evaluate::statistics::Interval;
use statrs::distribution::{Beta, ContinuousCDF, Normal};

/// Wilson's interval of a share: (k + z²/2 ± z √(k (n − k) / n + z²/4)) / (n + z²), with z the normal quantile of (1 + level) / 2. Wilson 1927,
/// 10.1080/01621459.1927.10502953. `successes` may be a half where a tie counts as one.
///
/// Assumes that trials are independent. Answers of one rater, or about one item, are not: this is the interval of the answers at hand, and
/// is too narrow for raters and items at large. None without trials.
pub fn wilson(successes: f64, trials: usize, level: f64) -> Option<Interval> {
    let n = trials as f64;
    if trials == 0 || !(0.0..=n).contains(&successes) || !(0.0..1.0).contains(&level) {
        return None;
    }
    let z = Normal::standard().inverse_cdf(f64::midpoint(1.0, level));
    let middle = (successes + z * z / 2.0) / (n + z * z);
    let half = z * (successes * (n - successes) / n + z * z / 4.0).sqrt() / (n + z * z);
    Some(Interval { low: (middle - half).max(0.0), high: (middle + half).min(1.0) })
}

/// The exact interval of a share: from the (1 − level) / 2 quantile of Beta(k, n − k + 1) to the (1 + level) / 2 quantile of
/// Beta(k + 1, n − k). Clopper & Pearson 1934, 10.1093/biomet/26.4.404.
///
/// Assumes that trials are independent. It holds the share at least as often as `level` says. None without trials.
pub fn clopper_pearson(successes: usize, trials: usize, level: f64) -> Option<Interval> {
    if trials == 0 || successes > trials || !(0.0..1.0).contains(&level) {
        return None;
    }
    let (k, n, tail) = (successes as f64, trials as f64, (1.0 - level) / 2.0);
    let quantile = |a: f64, b: f64, share: f64| Beta::new(a, b).ok().map(|beta| beta.inverse_cdf(share));
    let low = if successes == 0 { 0.0 } else { quantile(k, n - k + 1.0, tail)? };
    let high = if successes == trials { 1.0 } else { quantile(k + 1.0, n - k, 1.0 - tail)? };
    Some(Interval { low, high })
}
