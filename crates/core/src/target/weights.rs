//! What a target is outside a graph: weights of the scores.

use super::{Target, class_of, entries, heaviest};
use crate::Error;
use crate::score::Score;

/// What one map of a target explains: Σ weight · score.
#[derive(Clone, Debug, PartialEq)]
pub struct Pick {
    /// The class; of a weighted sum that of the largest weight, of a part of a dense output the first. None for what is no
    /// class.
    pub class: Option<usize>,
    /// The scores that count, by their place in row-major order, with their weights.
    pub weights: Vec<(usize, f64)>,
}

impl Pick {
    /// Σ weight · score.
    pub fn score(&self, scores: &[f32]) -> f64 {
        self.weights.iter().map(|&(i, w)| w * scores.get(i).copied().map_or(f64::NAN, f64::from)).sum()
    }
}

impl Target {
    /// What each map explains, for an image with these `scores` in row-major order. The same as an explaining model
    /// chooses: of equal scores the first is the better one.
    ///
    /// # Errors
    /// As [`Target::check`]; [`Error::Argument`] for targets that come with each image, and for [`Target::Cosine`].
    pub fn picks(&self, score: &Score, scores: &[f32]) -> Result<Vec<Pick>, Error> {
        let one = |class: usize| Pick { class: Some(class), weights: vec![(class, 1.0)] };
        let at = |i: usize| scores.get(i).copied().unwrap_or(f32::NAN);
        let best_first = || {
            let mut order: Vec<usize> = (0..score.classes).collect();
            order.sort_by(|&a, &b| at(b).total_cmp(&at(a)));
            order
        };
        let target = self.on(score)?;
        Ok(match &target {
            Target::Top(k) => best_first().into_iter().take(*k).map(one).collect(),
            Target::Above(threshold) => {
                let all: Vec<f64> = (0..score.classes).map(|i| f64::from(at(i))).collect();
                let above =
                    |&i: &usize| all.get(i).is_some_and(|&s| score.probability.of(s, &all).unwrap_or(s) > *threshold);
                best_first().into_iter().filter(above).map(one).collect()
            }
            Target::Classes(classes) => classes.iter().copied().map(one).collect(),
            Target::All => (0..score.classes).map(one).collect(),
            Target::Weighted(weights) => {
                vec![Pick { class: Some(heaviest(weights)), weights: weights.clone() }]
            }
            Target::Part(spans) => {
                let entries = entries(spans, &score.dims).unwrap_or_default();
                vec![Pick { class: class_of(spans, score), weights: entries.into_iter().map(|i| (i, 1.0)).collect() }]
            }
            Target::Predicted(class) => {
                // Entries of one place are so far apart.
                let step: usize = score.dims.iter().skip(score.class_axis.map_or(0, |a| a + 1)).product();
                let along = score.class_axis.and_then(|a| score.dims.get(a)).copied().unwrap_or(1);
                let own = |i: &usize| (i / step.max(1)) % along.max(1) == score.first_class + class;
                let is_best = |i: &usize| {
                    if score.is_multi_label() {
                        return at(*i) > 0.0;
                    }
                    let first = i - class * step;
                    let all = (0..score.classes).map(|c| at(first + c * step));
                    // Of equal scores the first is the better one.
                    all.enumerate().all(|(c, other)| if c < *class { other < at(*i) } else { other <= at(*i) })
                };
                let places = (0..score.entries()).filter(|i| own(i) && is_best(i));
                vec![Pick { class: Some(*class), weights: places.map(|i| (i, 1.0)).collect() }]
            }
            Target::Dot(r) => vec![Pick { class: None, weights: r.values.iter().copied().enumerate().collect() }],
            Target::Cosine(_) => {
                return Err(Error::Argument(format!(
                    "the target {self} is no weighted sum of the scores: methods of several runs take dot in its place"
                )));
            }
            Target::Given(_) | Target::Seed => {
                return Err(Error::Argument(format!(
                    "the target {self} comes with each image: it is for methods of one run"
                )));
            }
        })
    }
}
