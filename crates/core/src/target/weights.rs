//! What a target is outside a graph: weights of the scores.

use super::Target;
use crate::Error;
use crate::head::Score;

/// What one map of a target explains: Σ weight · score.
#[derive(Clone, Debug, PartialEq)]
pub struct Pick {
    /// The class; of a weighted sum that of the largest weight, of a part of a dense output the first.
    pub class: usize,
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
        self.check(score)?;
        let one = |class: usize| Pick { class, weights: vec![(class, 1.0)] };
        Ok(match self {
            Target::Top(k) => {
                let mut order: Vec<usize> = (0..score.classes).collect();
                let at = |i: &usize| scores.get(*i).copied().unwrap_or(f32::NAN);
                order.sort_by(|a, b| at(b).total_cmp(&at(a)));
                order.into_iter().take(*k).map(one).collect()
            }
            Target::Classes(classes) => classes.iter().copied().map(one).collect(),
            Target::All => (0..score.classes).map(one).collect(),
            Target::Weighted(weights) => {
                let heaviest = weights.iter().rev().max_by(|a, b| a.1.total_cmp(&b.1));
                vec![Pick { class: heaviest.map_or(0, |(class, _)| *class), weights: weights.clone() }]
            }
            Target::Part(spans) => {
                let mut entries = vec![0];
                for (span, &n) in spans.iter().zip(&score.dims) {
                    let (start, end) = span.on(n).unwrap_or((0, 0));
                    entries = entries.iter().flat_map(|before| (start..end).map(move |i| before * n + i)).collect();
                }
                let class = spans.get(score.class_axis).map_or(0, |s| s.start);
                vec![Pick { class, weights: entries.into_iter().map(|i| (i, 1.0)).collect() }]
            }
            Target::Dot(r) => vec![Pick { class: 0, weights: r.values.iter().copied().enumerate().collect() }],
            Target::Cosine(_) => {
                return Err(Error::Argument(format!(
                    "the target {self} is no weighted sum of the scores: methods of several runs take dot in its place"
                )));
            }
            Target::Given(_) | Target::Seed => {
                return Err(Error::Argument(format!(
                    "the target {self} comes with each image: it is for compiled models"
                )));
            }
        })
    }
}
