//! Strengths of several arms from answers about two of them at a time.

use super::{Crossed, Observed, crossed};

/// An answer about two arms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// Who answered.
    pub rater: usize,
    /// About what.
    pub item: usize,
    /// The two arms.
    pub arms: [usize; 2],
    /// 1 where the first of the two was preferred, 0 where the second, ½ where neither.
    pub outcome: f64,
}

/// What [`bradley_terry`] finds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BradleyTerry {
    /// The arms' strengths θ in logits, less their mean.
    pub strengths: Vec<f64>,
    /// ν: how readily "no difference" is said; between equal arms its odds against either are ν. 0 where it never was.
    pub ties: f64,
    /// For each answer, and for each arm, the answer's share in the strength.
    shares: Vec<(usize, usize, Vec<f64>)>,
}

/// Strengths further apart than this, in logits, are no estimates: the likelihood grows without end.
const FURTHEST: f64 = 15.0;
/// More than Newton's method takes.
const ROUNDS: usize = 100;
/// In logits.
const STEP: f64 = 1e-10;

/// The model of Bradley & Terry (1952, 10.2307/2334029) with ties by Davidson (1970, 10.1080/01621459.1970.10481082): with π = e^θ,
///
/// P(a before b) = π_a / D, P(no difference) = ν √(π_a π_b) / D, D = π_a + π_b + ν √(π_a π_b).
///
/// Maximum likelihood by Newton's method in θ and ln ν, in which the likelihood is concave. How sure strengths are is found from each answer's share in
/// them, θ + N H⁻¹ g with g the gradient of the answer and H the information, taken for crossed raters and items:
/// [`difference`](BradleyTerry::difference).
///
/// Assumes that one order of strengths holds for all, and no side is favoured (the schedule turns sides). None for fewer than two arms, where an arm
/// was never shown, or was always or never preferred, or arms fall into groups that were never compared: then there is no estimate.
pub fn bradley_terry(arms: usize, matches: &[Match]) -> Option<BradleyTerry> {
    let valid = |m: &Match| {
        let [a, b] = m.arms;
        a < arms && b < arms && a != b && [0.0, 0.5, 1.0].contains(&m.outcome)
    };
    if arms < 2 || matches.is_empty() || !matches.iter().all(valid) {
        return None;
    }
    let ties = matches.iter().any(|m| m.outcome == 0.5);
    // θ of all arms but the first, which is 0, then ln ν.
    let parameters = arms - 1 + usize::from(ties);
    let mut at = vec![0.0; parameters];
    let mut converged = false;
    for _ in 0..ROUNDS {
        let (gradient, information) = sums(matches, arms, ties, &at);
        let step = product(&inverse(information)?, &gradient);
        // A step of more than a few logits is taken in part: far from the maximum the information says little.
        let longest = step.iter().fold(0.0f64, |most, s| most.max(s.abs()));
        let part = if longest > 2.0 { 2.0 / longest } else { 1.0 };
        at.iter_mut().zip(&step).for_each(|(a, s)| *a += part * s);
        if at.iter().any(|a| !a.is_finite() || a.abs() > FURTHEST) {
            return None;
        }
        if longest < STEP {
            converged = true;
            break;
        }
    }
    if !converged {
        return None;
    }
    let (_, information) = sums(matches, arms, ties, &at);
    let inverse = inverse(information)?;
    let centred = |of: &[f64]| -> Vec<f64> {
        let all: Vec<f64> = std::iter::once(0.0).chain(of.iter().take(arms - 1).copied()).collect();
        let mean = all.iter().sum::<f64>() / arms as f64;
        all.into_iter().map(|v| v - mean).collect()
    };
    let strengths = centred(&at);
    let n = matches.len() as f64;
    let share = |m: &Match| {
        let (gradient, _) = parts(m, arms, ties, &at);
        let moved = centred(&product(&inverse, &gradient));
        (m.rater, m.item, strengths.iter().zip(moved).map(|(s, d)| s + n * d).collect())
    };
    let shares = matches.iter().map(share).collect();
    let ties = if ties { at.last().map_or(0.0, |v| v.exp()) } else { 0.0 };
    Some(BradleyTerry { strengths, ties, shares })
}

impl BradleyTerry {
    /// θ_a − θ_b with its error, raters and items both drawn from many. The logistic function of it is the probability that a is preferred to
    /// b by those who prefer one.
    pub fn difference(&self, a: usize, b: usize) -> Option<Crossed> {
        let of = |(rater, item, all): &(usize, usize, Vec<f64>)| {
            Some(Observed { rater: *rater, item: *item, value: all.get(a)? - all.get(b)? })
        };
        crossed(&self.shares.iter().filter_map(of).collect::<Vec<_>>())
    }

    /// θ_a, less the mean of all arms, with its error.
    pub fn strength(&self, a: usize) -> Option<Crossed> {
        let of = |(rater, item, all): &(usize, usize, Vec<f64>)| {
            Some(Observed { rater: *rater, item: *item, value: *all.get(a)? })
        };
        crossed(&self.shares.iter().filter_map(of).collect::<Vec<_>>())
    }
}

/// Gradient and information of all answers.
fn sums(matches: &[Match], arms: usize, ties: bool, at: &[f64]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let mut gradient = vec![0.0; at.len()];
    let mut information = vec![vec![0.0; at.len()]; at.len()];
    for m in matches {
        let (g, i) = parts(m, arms, ties, at);
        gradient.iter_mut().zip(g).for_each(|(sum, v)| *sum += v);
        let cells = information.iter_mut().flatten().zip(i.into_iter().flatten());
        cells.for_each(|(sum, v)| *sum += v);
    }
    (gradient, information)
}

/// Gradient and information of one answer. The model is an exponential family: with T = (½ (1 + outcome's sign) for a, the rest for b, 1 for
/// a tie) they are T − E T and Cov T.
fn parts(m: &Match, arms: usize, ties: bool, at: &[f64]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let [a, b] = m.arms;
    let theta = |arm: usize| arm.checked_sub(1).and_then(|i| at.get(i)).copied().unwrap_or(0.0);
    let middle = f64::midpoint(theta(a), theta(b));
    let tie = if ties { at.last().map_or(0.0, |v| v.exp()) } else { 0.0 };
    let weights = [(theta(a) - middle).exp(), tie, (theta(b) - middle).exp()];
    let all: f64 = weights.iter().sum();
    // T of the three answers, in the parameters.
    let of = |outcome: f64| -> Vec<f64> {
        let place = |i: usize| match i + 1 {
            arm if arm == a && i + 1 < arms => outcome,
            arm if arm == b && i + 1 < arms => 1.0 - outcome,
            _ if i + 1 >= arms => f64::from(outcome == 0.5),
            _ => 0.0,
        };
        (0..at.len()).map(place).collect()
    };
    let answers = [of(1.0), of(0.5), of(0.0)];
    let mut mean = vec![0.0; at.len()];
    for (answer, weight) in answers.iter().zip(weights) {
        mean.iter_mut().zip(answer).for_each(|(sum, t)| *sum += weight / all * t);
    }
    let gradient = of(m.outcome).iter().zip(&mean).map(|(t, mean)| t - mean).collect();
    let mut information = vec![vec![0.0; at.len()]; at.len()];
    for (answer, weight) in answers.iter().zip(weights) {
        let off: Vec<f64> = answer.iter().zip(&mean).map(|(t, mean)| t - mean).collect();
        for (row, left) in information.iter_mut().zip(&off) {
            row.iter_mut().zip(&off).for_each(|(cell, right)| *cell += weight / all * left * right);
        }
    }
    (gradient, information)
}

fn product(matrix: &[Vec<f64>], vector: &[f64]) -> Vec<f64> {
    matrix.iter().map(|row| row.iter().zip(vector).map(|(a, b)| a * b).sum()).collect()
}

/// The inverse of a symmetric positive matrix of a few rows, by Gauss and Jordan with the largest pivot; none where there is none.
fn inverse(mut matrix: Vec<Vec<f64>>) -> Option<Vec<Vec<f64>>> {
    let n = matrix.len();
    for (i, row) in matrix.iter_mut().enumerate() {
        row.extend((0..n).map(|j| f64::from(i == j)));
    }
    for column in 0..n {
        let size = |row: &Vec<f64>| row.get(column).copied().unwrap_or(0.0).abs();
        let best = (column..n).max_by(|&a, &b| {
            let of = |i: usize| matrix.get(i).map_or(0.0, size);
            of(a).total_cmp(&of(b))
        })?;
        matrix.swap(column, best);
        let pivot = matrix.get(column)?.clone();
        let by = *pivot.get(column)?;
        // Informations are sums of probabilities: what is smaller than this is rounding.
        if by.abs() < 1e-12 {
            return None;
        }
        for (i, row) in matrix.iter_mut().enumerate() {
            let factor = row.get(column).copied().unwrap_or(0.0) / by;
            for (cell, p) in row.iter_mut().zip(&pivot) {
                *cell = if i == column { *p / by } else { *cell - factor * p };
            }
        }
    }
    Some(matrix.into_iter().map(|row| row.into_iter().skip(n).collect()).collect())
}
