//! The mean of answers of raters about items, both drawn from many.

use hirescam_evaluate::statistics::Interval;
use statrs::distribution::{ContinuousCDF, StudentsT};
use std::collections::BTreeMap;

/// What one rater's answer about one item comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observed {
    /// Who answered.
    pub rater: usize,
    /// About what.
    pub item: usize,
    /// The answer as a number.
    pub value: f64,
}

/// How much of what answers alone bring to the variance is left to it, at least, where rater's and item's variances come out below 0. Without a
/// bound such intervals are too narrow, with 1 too wide; this holds both kinds of studies, those in which raters and items differ
/// and those in which they do not, near their level: docs/study-results.md has the table.
const LEAST: f64 = 0.7;

/// What [`crossed`] finds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Crossed {
    /// The mean of all answers.
    pub mean: f64,
    /// How many answers there are.
    pub n: usize,
    /// Of how many raters.
    pub raters: usize,
    /// About how many items.
    pub items: usize,
    /// How far raters differ: an unbiased estimate of the variance, which may come out below 0.
    pub rater_variance: f64,
    /// How far items differ, the same way.
    pub item_variance: f64,
    /// How far answers differ beyond that.
    pub residual_variance: f64,
    /// The standard error of the mean.
    pub error: f64,
    /// The degrees of freedom of that error.
    pub df: f64,
}

/// The mean of a crossed mixed-effects model, y = μ + rater + item + rest, with raters and items drawn at random from many: μ is the mean
/// over all raters and items that could have been asked, and the error says how well it is known if both were drawn anew.
///
/// The variances σ²_R, σ²_I, σ²_E are found by moments, for any pattern of who answered what (Gao & Owen 2017, arXiv 1602.00346): with n_r
/// answers of a rater, n_i about an item and N in all, the sums U_R of squares within raters, U_I within items and U_E within
/// all have the means
///
/// - E U_R = (N − R) (σ²_I + σ²_E)
/// - E U_I = (N − I) (σ²_R + σ²_E)
/// - E U_E = (N² − Σ n_r²) σ²_R + (N² − Σ n_i²) σ²_I + (N² − N) σ²_E, with U_E = N Σ y² − (Σ y)²,
///
/// and V = σ²_R Σ n_r² / N² + σ²_I Σ n_i² / N² + σ²_E / N. Where each rater answers about each item these are the mean squares of the analysis of
/// variance, V = (MS_R + MS_I − MS_E) / N, and where none of the three is below 0 they are those of restricted maximum likelihood. The degrees of
/// freedom are Satterthwaite's (1946, 10.2307/3002019), V² / (V_R² / (R − 1) + V_I² / (I − 1) + V_E² / (N − R − I + 1)) with V_R = σ²_R Σ n_r² / N² + σ²_E / N, V_I likewise and V_E = σ²_E / N.
///
/// Departures: a variance below 0 stays so in V, for setting it to 0 makes intervals too wide; but V is not less than 0.7 V_E, and V_R and
/// V_I not less than 0. The degrees of freedom are not less than those of the factor with fewer levels. How often intervals then hold is
/// measured: docs/study-results.md.
///
/// Assumes that raters, items and the rest are independent draws, and a rater answers about an item once. None with fewer than two
/// raters or items, or where the pattern does not tell raters from items (each rater with one item).
pub fn crossed(observed: &[Observed]) -> Option<Crossed> {
    if observed.is_empty() || observed.iter().any(|o| !o.value.is_finite()) {
        return None;
    }
    let n = observed.len() as f64;
    let mean = observed.iter().map(|o| o.value).sum::<f64>() / n;
    // Of each level: how many answers, and their sum; about the mean, so that nothing cancels.
    let mut of_rater = BTreeMap::<usize, (f64, f64)>::new();
    let mut of_item = BTreeMap::<usize, (f64, f64)>::new();
    let mut squares = 0.0;
    for o in observed {
        let value = o.value - mean;
        squares += value * value;
        for level in [of_rater.entry(o.rater).or_default(), of_item.entry(o.item).or_default()] {
            level.0 += 1.0;
            level.1 += value;
        }
    }
    let (raters, items) = (of_rater.len() as f64, of_item.len() as f64);
    let within =
        |levels: &BTreeMap<usize, (f64, f64)>| squares - levels.values().map(|(n, sum)| sum * sum / n).sum::<f64>();
    let pairs = |levels: &BTreeMap<usize, (f64, f64)>| levels.values().map(|(n, _)| n * n).sum::<f64>();
    let (pairs_r, pairs_i) = (pairs(&of_rater), pairs(&of_item));
    let (free, told_apart) = (n - raters - items + 1.0, n * n - pairs_r - pairs_i + n);
    if raters < 2.0 || items < 2.0 || n <= raters || n <= items || free < 1.0 || told_apart <= 0.0 {
        return None;
    }
    let item_and_rest = within(&of_rater).max(0.0) / (n - raters);
    let rater_and_rest = within(&of_item).max(0.0) / (n - items);
    let all = n * squares;
    let (between_r, between_i) = (n * n - pairs_r, n * n - pairs_i);
    let residual = ((between_r * rater_and_rest + between_i * item_and_rest - all) / told_apart).max(0.0);
    let (rater_variance, item_variance) = (rater_and_rest - residual, item_and_rest - residual);
    let of_rest = residual / n;
    let of_raters = (rater_variance * pairs_r / (n * n) + of_rest).max(0.0);
    let of_items = (item_variance * pairs_i / (n * n) + of_rest).max(0.0);
    let v = (rater_variance * pairs_r / (n * n) + item_variance * pairs_i / (n * n) + of_rest).max(LEAST * of_rest);
    let spread = of_raters.powi(2) / (raters - 1.0) + of_items.powi(2) / (items - 1.0) + of_rest.powi(2) / free;
    let fewest = raters.min(items) - 1.0;
    let df = if spread > 0.0 { (v * v / spread).max(fewest) } else { fewest };
    Some(Crossed {
        mean,
        n: observed.len(),
        raters: of_rater.len(),
        items: of_item.len(),
        rater_variance,
        item_variance,
        residual_variance: residual,
        error: v.sqrt(),
        df,
    })
}

impl Crossed {
    /// mean ± t · error, with the quantile of Student's t. None where the answers do not differ: then they do not tell their spread.
    pub fn interval(&self, level: f64) -> Option<Interval> {
        if self.error <= 0.0 || !(0.0..1.0).contains(&level) {
            return None;
        }
        let t = self.student()?.inverse_cdf(f64::midpoint(1.0, level));
        Some(Interval { low: self.mean - t * self.error, high: self.mean + t * self.error })
    }

    /// (mean − null) / error.
    pub fn t(&self, null: f64) -> Option<f64> {
        (self.error > 0.0).then(|| (self.mean - null) / self.error)
    }

    /// The two-sided p value of the mean being `null`: below 1 − level exactly where the interval of that level leaves it out.
    pub fn p(&self, null: f64) -> Option<f64> {
        let t = self.t(null)?;
        Some((2.0 * self.student()?.sf(t.abs())).min(1.0))
    }

    fn student(&self) -> Option<StudentsT> {
        StudentsT::new(0.0, 1.0, self.df).ok()
    }
}
