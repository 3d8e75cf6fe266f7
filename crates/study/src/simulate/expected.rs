//! What a study of endless raters and items would find.

use super::{World, logistic};
use crate::kinds::Question;
use statrs::distribution::{ContinuousCDF, Normal};

/// What the analysis estimates of two arms (docs/study-results.md), if endless raters answered about endless items in `world`: the share
/// that prefers the first, "no difference" counting half (`prefer`, `trust`); the difference of mean points (`rate`), or of mean shares uncovered by
/// steps of one size (`reveal`), first less second. None of `locate`, where it follows from maps.
///
/// - `prefer`, `trust`: lapse / 2 + (1 − lapse) (neither / 2 + (1 − neither) E[1 / (1 + e^−(d + s z))]), with d the difference of strengths, s² = rater_sd² + item_sd² and z
///   normal, by the trapezoid rule;
/// - `rate`, `reveal`: the sums over steps of the probability of at least that step, the spread of an answer being s² = (rater_sd² + item_sd²) / 2 + noise_sd².
pub fn expected(question: &Question, world: &World, first: usize, second: usize) -> Option<f64> {
    let strength = |arm: usize| world.strengths.get(arm).copied();
    let (a, b) = (strength(first)?, strength(second)?);
    let assume = &world.assume;
    let square = assume.rater_sd.powi(2) + assume.item_sd.powi(2);
    let graded = (square / 2.0 + assume.noise_sd.powi(2)).sqrt();
    // The probability of a normal number of that spread being at least this.
    let at_least = |x: f64| match graded > 0.0 {
        true => Normal::standard().sf(x / graded),
        false => f64::from(x <= 0.0),
    };
    let kept = 1.0 - assume.lapse;
    match question {
        Question::Prefer(_) | Question::Trust(_) => {
            let neither = match question {
                Question::Prefer(of) if !of.neither => 0.0,
                _ => assume.neither,
            };
            let share = normal_mean(|z| logistic(a - b + square.sqrt() * z));
            Some(assume.lapse / 2.0 + kept * (neither / 2.0 + (1.0 - neither) * share))
        }
        Question::Rate(of) => {
            let middle = f64::midpoint(1.0, f64::from(of.steps));
            let mean =
                |strength: f64| (2..=of.steps).map(|k| at_least(f64::from(k) - 0.5 - middle - strength)).sum::<f64>();
            Some(kept * (mean(a) - mean(b)))
        }
        Question::Reveal(of) => {
            // Each step not reached costs its share; what is given up counts as all uncovered.
            let steps = f64::from(of.steps);
            let mean =
                |strength: f64| (1..of.steps).map(|k| at_least(f64::from(k) / steps - 0.5 + strength)).sum::<f64>();
            Some(kept * (mean(a) - mean(b)) / steps)
        }
        Question::Locate(_) => None,
    }
}

/// The mean of f(z), z normal.
fn normal_mean(f: impl Fn(f64) -> f64) -> f64 {
    let (steps, end) = (2000, 8.0);
    let at = |i: i32| f64::from(i) * end / f64::from(steps);
    let (sum, weight) = (-steps..=steps).fold((0.0, 0.0), |(sum, weight), i| {
        let density = (-at(i).powi(2) / 2.0).exp();
        (sum + density * f(at(i)), weight + density)
    });
    sum / weight
}
