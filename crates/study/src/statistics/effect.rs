//! The difference of two arms that each answer shows one of.

use super::Observed;
use std::collections::BTreeSet;

/// An answer about an item that was shown under one of two arms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Graded {
    /// Who answered.
    pub rater: usize,
    /// About what.
    pub item: usize,
    /// Whether the arm was the first of the two.
    pub first: bool,
    /// The answer as a number.
    pub value: f64,
}

/// More than any pattern of answers takes.
const ROUNDS: usize = 10_000;
/// Relative to the largest value: what is left after a round is nothing but rounding.
const ROUNDING: f64 = 1e-12;

/// The difference first − second, rater's and item's own level taken out: the least-squares estimate δ of y = level of the rater + level of
/// the item + δ · x, with x = ±½. For each answer it gives its share in that estimate, s = δ + N x̃ e / Σ x̃², where x̃ is x without levels and e what is
/// left of y, times √(N / (N − R − I)) for what R raters' and I items' levels took of its spread (MacKinnon & White 1985, HC1,
/// 10.1016/0304-4076(85)90158-7): the mean of s is δ, and s has the spread that δ has between raters and between items, so that [`crossed`](super::crossed())
/// and [`pigeonhole`](super::pigeonhole()) of them are those of δ.
///
/// Levels are taken out by turns until nothing changes (Frisch & Waugh 1933, 10.2307/1907330, for each step that all else is taken out of
/// both sides alike). None where the arms cannot be told from raters or items, as where each rater saw one arm only, or there are no
/// more answers than raters and items.
pub fn effect(answers: &[Graded]) -> Option<Vec<Observed>> {
    if answers.is_empty() || answers.iter().any(|a| !a.value.is_finite()) {
        return None;
    }
    let n = answers.len() as f64;
    let x = without_levels(answers, answers.iter().map(|a| if a.first { 0.5 } else { -0.5 }).collect());
    let y = without_levels(answers, answers.iter().map(|a| a.value).collect());
    let square: f64 = x.iter().map(|x| x * x).sum();
    if square < n * ROUNDING {
        return None;
    }
    let levels = |of: fn(&Graded) -> usize| answers.iter().map(of).collect::<BTreeSet<_>>().len();
    let free = answers.len().checked_sub(levels(|a| a.rater) + levels(|a| a.item)).filter(|free| *free > 0)?;
    let wider = (n / free as f64).sqrt();
    let delta = x.iter().zip(&y).map(|(x, y)| x * y).sum::<f64>() / square;
    let of = |((answer, x), y): ((&Graded, &f64), &f64)| Observed {
        rater: answer.rater,
        item: answer.item,
        value: delta + wider * n * x * (y - delta * x) / square,
    };
    Some(answers.iter().zip(&x).zip(&y).map(of).collect())
}

/// What is left when the means of raters and of items are taken out by turns.
fn without_levels(answers: &[Graded], mut values: Vec<f64>) -> Vec<f64> {
    let size = values.iter().fold(0.0f64, |most, v| most.max(v.abs()));
    let levels = |of: fn(&Graded) -> usize| answers.iter().map(of).max().map_or(0, |most| most + 1);
    let factors: [(fn(&Graded) -> usize, usize); 2] =
        [(|a| a.rater, levels(|a| a.rater)), (|a| a.item, levels(|a| a.item))];
    for _ in 0..ROUNDS {
        let mut moved = 0.0f64;
        for (of, count) in factors {
            let mut sums = vec![(0.0, 0.0); count];
            for (answer, value) in answers.iter().zip(&values) {
                sums.iter_mut().skip(of(answer)).take(1).for_each(|(n, sum)| {
                    *n += 1.0;
                    *sum += value;
                });
            }
            let means: Vec<f64> = sums.into_iter().map(|(n, sum)| if n > 0.0 { sum / n } else { 0.0 }).collect();
            moved = means.iter().fold(moved, |most, mean| most.max(mean.abs()));
            for (answer, value) in answers.iter().zip(&mut values) {
                *value -= means.get(of(answer)).copied().unwrap_or(0.0);
            }
        }
        if moved <= size * ROUNDING {
            break;
        }
    }
    values
}
