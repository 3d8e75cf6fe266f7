//! Means with intervals, by the bootstrap.

use super::mean;
use hirescam::random::Random;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};
use std::collections::BTreeMap;

/// How intervals are found: by drawing what was measured again, with replacement. Efron 1979, 10.1214/aos/1176344552.
///
/// The draws depend on the seed and on nothing else, so the same values have the same interval on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// How often all is drawn again.
    pub resamples: usize,
    /// How often the interval is to hold what is estimated, 0 to 1.
    pub level: f64,
    /// The seed of what is drawn.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Bootstrap { resamples: 2000, level: 0.95, seed: 0 }
    }
}

/// From where to where.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// A mean and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Of how many values.
    pub n: usize,
    /// The quantiles of what was drawn again. None of fewer than two values.
    pub percentile: Option<Interval>,
    /// The same, corrected for bias and skewness. None where that cannot be found: of fewer than two values, of values that are
    /// all the same, where the mean lies beyond all that was drawn, and of means over classes.
    pub bca: Option<Interval>,
}

impl Estimate {
    /// The interval to show: the corrected one, where there is one.
    pub fn interval(&self) -> Option<Interval> {
        self.bca.or(self.percentile)
    }
}

impl Bootstrap {
    /// The mean of values with its intervals: percentile, and BCa (Efron 1987, 10.1080/01621459.1987.10478410).
    ///
    /// Percentile: the (1 ∓ level) / 2 quantiles of the means of the resamples, by linear interpolation. BCa: the quantiles Φ(z₀ + (z₀ ± z) / (1 − a (z₀ ± z))),
    /// where z₀ = Φ⁻¹ of the share of resamples below the mean (of those equal to it, half), and a = Σ d³ / 6 (Σ d²)^1.5 with d the
    /// mean of the means that leave one value out, less each of them.
    ///
    /// Assumes that the values are independent: one value an image, not one a class of an image. None where there are no values, or one
    /// is no number.
    pub fn mean(&self, values: &[f64]) -> Option<Estimate> {
        let (n, mean) = (values.len(), mean(values)?);
        if !mean.is_finite() {
            return None;
        }
        let mut estimate = Estimate { mean, n, percentile: None, bca: None };
        if n < 2 {
            return Some(estimate);
        }
        // A sum of equal values can differ from n times the value, and their mean from them, by rounding.
        if values.iter().all(|v| values.first() == Some(v)) {
            estimate.mean = values.first().copied()?;
            estimate.percentile = Some(Interval { low: estimate.mean, high: estimate.mean });
            return Some(estimate);
        }
        let resample = |b: usize| {
            let mut random = Random::of_sample(self.seed, b);
            let drawn = (0..n).filter_map(|_| values.get(random.below(n)));
            drawn.sum::<f64>() / n as f64
        };
        let drawn = sorted((0..self.resamples).into_par_iter().map(resample).collect());
        estimate.percentile = self.quantiles(&drawn);
        estimate.bca = self.bca(values, mean, &drawn);
        Some(estimate)
    }

    /// The mean over classes of each class's mean over images, each class counting the same. `classes` has, for each class,
    /// the images that were measured, each by its number, with the value.
    ///
    /// The interval is of the percentile kind, by drawing classes and images again, each with replacement and apart from each other
    /// (the pigeonhole bootstrap: Owen 2007, 10.1214/07-AOAS122): a cell counts as often as its class times its image was drawn. An image
    /// is drawn for all its classes together, for what it shows of them is not independent. A class of which no image was drawn
    /// is left out of the resample.
    ///
    /// Assumes that images are independent, and takes the classes for a sample of classes that could have been asked for. None
    /// where there is no value, or one is no number.
    pub fn macro_mean(&self, classes: &[Vec<(u64, f64)>]) -> Option<Estimate> {
        let classes: Vec<&Vec<(u64, f64)>> = classes.iter().filter(|c| !c.is_empty()).collect();
        let means: Vec<f64> = classes.iter().filter_map(|c| mean(&c.iter().map(|v| v.1).collect::<Vec<_>>())).collect();
        let (n, mean) = (means.len(), mean(&means)?);
        if !mean.is_finite() {
            return None;
        }
        // The images by their place in a list, so that weights are an array.
        let mut places: BTreeMap<u64, usize> = classes.iter().flat_map(|c| c.iter().map(|v| (v.0, 0))).collect();
        places.values_mut().zip(0..).for_each(|(place, at)| *place = at);
        let placed = |class: &Vec<(u64, f64)>| -> Vec<(usize, f64)> {
            class.iter().filter_map(|(image, value)| Some((*places.get(image)?, *value))).collect()
        };
        let placed: Vec<Vec<(usize, f64)>> = classes.into_iter().map(placed).collect();
        let images = places.len();
        let mut estimate = Estimate { mean, n, percentile: None, bca: None };
        if images < 2 {
            return Some(estimate);
        }
        let resample = |b: usize| {
            let mut random = Random::of_sample(self.seed, b);
            let mut draw = |n: usize| {
                let mut counts = vec![0.0; n];
                for _ in 0..n {
                    counts.iter_mut().skip(random.below(n)).take(1).for_each(|c| *c += 1.0);
                }
                counts
            };
            let (of_image, of_class) = (draw(images), draw(n));
            let (mut sum, mut count) = (0.0, 0.0);
            for (class, times) in placed.iter().zip(of_class).filter(|(_, times)| *times > 0.0) {
                let weights = || class.iter().filter_map(|(at, value)| Some((of_image.get(*at)?, value)));
                let weight: f64 = weights().map(|(w, _)| w).sum();
                if weight > 0.0 {
                    sum += times * weights().map(|(w, v)| w * v).sum::<f64>() / weight;
                    count += times;
                }
            }
            (count > 0.0).then(|| sum / count)
        };
        let drawn: Vec<f64> = (0..self.resamples).into_par_iter().filter_map(resample).collect();
        estimate.percentile = self.percentile(drawn);
        Some(estimate)
    }

    /// The interval of what was drawn again, in any order: its (1 ∓ level) / 2 quantiles, by linear interpolation. None of nothing.
    pub fn percentile(&self, drawn: Vec<f64>) -> Option<Interval> {
        self.quantiles(&sorted(drawn))
    }

    fn quantiles(&self, drawn: &[f64]) -> Option<Interval> {
        let tail = (1.0 - self.level) / 2.0;
        Some(Interval { low: quantile(drawn, tail)?, high: quantile(drawn, 1.0 - tail)? })
    }

    fn bca(&self, values: &[f64], mean: f64, drawn: &[f64]) -> Option<Interval> {
        let normal = Normal::standard();
        let below = drawn.iter().filter(|d| **d < mean).count() as f64;
        let equal = drawn.iter().filter(|d| **d == mean).count() as f64;
        let share = (below + equal / 2.0) / drawn.len() as f64;
        if !(share > 0.0 && share < 1.0) {
            return None;
        }
        let z0 = normal.inverse_cdf(share);
        let n = values.len() as f64;
        let without: Vec<f64> = values.iter().map(|v| (n * mean - v) / (n - 1.0)).collect();
        let middle = super::mean(&without)?;
        let (square, cube) =
            without.iter().map(|w| middle - w).fold((0.0, 0.0), |(s, c), d| (s + d * d, c + d * d * d));
        let a = cube / (6.0 * square.powf(1.5));
        let end = |share: f64| {
            let z = z0 + normal.inverse_cdf(share);
            let at = normal.cdf(z0 + z / (1.0 - a * z));
            at.is_finite().then(|| quantile(drawn, at)).flatten()
        };
        let tail = (1.0 - self.level) / 2.0;
        Some(Interval { low: end(tail)?, high: end(1.0 - tail)? })
    }
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// The quantile of sorted values by linear interpolation (Hyndman & Fan 1996, type 7), as numpy has it.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let at = share.clamp(0.0, 1.0) * sorted.len().checked_sub(1)? as f64;
    let (low, high) = (*sorted.get(at.floor() as usize)?, *sorted.get(at.ceil() as usize)?);
    Some(low + (high - low) * (at - at.floor()))
}
