//! The bootstrap over raters and items.

use super::Observed;
use hirescam::random::Random;
use hirescam_evaluate::statistics::{Bootstrap, Interval};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// The interval of a mean of answers, by drawing raters and items again, each with replacement and apart from each other: an answer counts as
/// often as its rater times its item was drawn (the pigeonhole bootstrap: Owen 2007, arXiv 0709.4037, 10.1214/07-AOAS122). The ends are the (1 ∓ level) / 2
/// quantiles of the means.
///
/// It is conservative: the variance that it finds holds the answers' own spread up to three times (Owen 2007). With few raters
/// or items, what it misses by taking no account of how few they are makes up for some of that. It is shown beside the interval of
/// [`crossed`](super::crossed()), which is the one to go by.
///
/// Assumes that raters and items are drawn at random. None with fewer than two of either, or where a value is no number.
pub fn pigeonhole(observed: &[Observed], how: &Bootstrap) -> Option<Interval> {
    let places = |of: fn(&Observed) -> usize| -> BTreeMap<usize, usize> {
        let mut places: BTreeMap<usize, usize> = observed.iter().map(|o| (of(o), 0)).collect();
        places.values_mut().zip(0..).for_each(|(place, at)| *place = at);
        places
    };
    let (raters, items) = (places(|o| o.rater), places(|o| o.item));
    if raters.len() < 2 || items.len() < 2 || observed.iter().any(|o| !o.value.is_finite()) {
        return None;
    }
    let placed: Vec<(usize, usize, f64)> =
        observed.iter().filter_map(|o| Some((*raters.get(&o.rater)?, *items.get(&o.item)?, o.value))).collect();
    let resample = |b: usize| {
        let mut random = Random::of_sample(how.seed, b);
        let of_rater = counts(raters.len(), &mut random);
        let of_item = counts(items.len(), &mut random);
        let (mut sum, mut weight) = (0.0, 0.0);
        for (rater, item, value) in &placed {
            let times = of_rater.get(*rater).unwrap_or(&0.0) * of_item.get(*item).unwrap_or(&0.0);
            sum += times * value;
            weight += times;
        }
        (weight > 0.0).then(|| sum / weight)
    };
    how.percentile((0..how.resamples).into_par_iter().filter_map(resample).collect())
}

/// How often each of `n` was drawn in `n` draws.
pub(super) fn counts(n: usize, random: &mut Random) -> Vec<f64> {
    let mut counts = vec![0.0; n];
    for _ in 0..n {
        counts.iter_mut().skip(random.below(n)).take(1).for_each(|c| *c += 1.0);
    }
    counts
}
