//! Integrated gradients.

use super::cut::GradientUse;
use super::{MethodMap, PreparedMethod, SeveralRunsMethod, Subject};
use crate::Error;
use crate::explanation::{Integral, number, percent};
use hirescam_core::cam::list::MethodRow;
use ndarray::{ArrayD, Axis, Zip};
use std::borrow::Cow;

/// Σ_c (x − x₀)_c ⊙ ∫₀¹ ∂s/∂x_c at x₀ + α (x − x₀) dα, at the image, or at a layer with its activation for x.
/// Sundararajan et al. 2017, arXiv:1703.01365, eq. 1.
///
/// Completeness: Σ map = s(x) − s(x₀), up to the error of the sum that stands for the integral; what is missing is
/// reported as delta. b is s(x₀), so that Σ map + b = s(x) + delta. Where no number of steps is given, they are doubled until
/// the delta is small ([`Settings::tolerance`](super::Settings::tolerance)), four times at most. The baseline x₀ is one number everywhere
/// ([`Settings::baseline`](super::Settings::baseline)). At a layer with an affine head and x₀ = 0 this is HiResCAM.
///
/// # Differs from the paper
/// The integral is summed by the midpoint rule, at α = (k − ½) / steps. The paper's rule (eq. 3) takes the right ends,
/// α = k / steps, whose error goes with 1 / steps and not with 1 / steps². Channels are summed.
pub(super) const METHOD: SeveralRunsMethod = SeveralRunsMethod {
    row: MethodRow {
        name: "integrated-gradients",
        title: "Integrated Gradients",
        formula: "Σ_c (x − x₀)_c ⊙ mean_k ∂s/∂x_c at x₀ + (k − ½)/steps · (x − x₀), at the image or at a layer",
        cost: "2 + steps, with a backward pass each (50, doubled until the sum is right, 1550 in all at most)",
        proven: Cow::Borrowed("the sum: s(x) − s(x₀), up to a delta that is reported"),
        source: "Sundararajan et al. 2017, arXiv:1703.01365, eq. 1 and 3",
        scored: true,
        additive: true,
    },
    but: "keeps the sum only up to the error of its steps, and follows inputs on the way from the baseline that are not this image",
    at_image: |_| Ok(true),
    sums: true,
    gradient: GradientUse::Always,
    prepare: |_| Ok(Box::new(IntegratedGradients)),
};

/// The steps when no number is given, to begin with.
const STEPS: usize = 50;
/// The share of s(x) − s(x₀) that may be missing when nothing is said: a hundredth, as good as the eye can tell.
const TOLERANCE: f64 = 0.01;
/// How often the steps are doubled at most.
const DOUBLINGS: u32 = 4;

struct IntegratedGradients;

impl PreparedMethod for IntegratedGradients {
    fn maps(&self, subject: &Subject, watch: &mut dyn FnMut(usize, usize)) -> Result<Vec<MethodMap>, Error> {
        let (cut, x, baseline) = (subject.cut, &subject.state.activation, subject.settings.baseline);
        let first = subject.settings.steps.unwrap_or(STEPS);
        let tolerance = match subject.settings.steps {
            None => Some(subject.settings.tolerance.unwrap_or(TOLERANCE)),
            Some(_) => subject.settings.tolerance,
        };
        let mut at_baseline = Vec::new();
        cut.scores(
            subject.state,
            1,
            |_, mut a| a.fill(baseline),
            |_, logits| {
                at_baseline = subject.picks.iter().map(|p| p.score(logits)).collect();
            },
        )?;
        let mut done = 2;
        let mut made = Vec::new();
        for (i, ((pick, score), b)) in subject.picks.iter().zip(subject.scores).zip(at_baseline).enumerate() {
            let difference = score - b;
            let mut steps = first;
            let (map, integral) = loop {
                // As far as is known now: nothing is doubled from here on.
                let of = done + steps + first * (subject.picks.len() - i - 1);
                watch(done, of);
                let mut mean = ArrayD::<f64>::zeros(x.raw_dim());
                let on_the_way = |k: usize, mut a: super::Changed| {
                    let part = ((k as f64 + 0.5) / steps as f64) as f32;
                    a.mapv_inplace(|v| baseline + part * (v - baseline));
                };
                cut.gradients(subject.state, steps, on_the_way, &pick.weights, |k, gradient| {
                    Zip::from(&mut mean).and(&gradient).for_each(|m, &g| *m += f64::from(g) / steps as f64);
                    watch(done + k + 1, of);
                })?;
                done += steps;
                Zip::from(&mut mean).and(x).for_each(|m, &x| *m *= f64::from(x) - f64::from(baseline));
                let map = mean.sum_axis(Axis(cut.channels));
                let delta = map.sum() - difference;
                let converged = tolerance.is_none_or(|t| delta.abs() <= t * difference.abs());
                if converged || steps >= first << DOUBLINGS || !delta.is_finite() {
                    break (map, Integral { steps, delta, tolerance, converged });
                }
                steps *= 2;
            };
            let notes = notes(&integral, difference, baseline);
            let made_here = MethodMap::at_layer(subject, map.mapv(|v| v as f32), notes);
            made.push(MethodMap { bias: Some(b), integral: Some(integral), ..made_here });
        }
        Ok(made)
    }
}

/// How the integral came out, a sentence each.
fn notes(integral: &Integral, difference: f64, baseline: f32) -> Vec<String> {
    let Integral { steps, delta, tolerance, converged } = *integral;
    let share = match difference == 0.0 {
        true => String::new(),
        false => format!("{} of it; ", percent(delta.abs() / difference.abs())),
    };
    let counted = if steps == 1 { "1 step".into() } else { format!("{steps} steps") };
    let mut notes = vec![format!(
        "completeness: the cells should add up to s(x) − s(baseline) = {}, and do so but for a delta of {delta:.1e} ({share}{counted}, midpoint rule, baseline {baseline} everywhere)",
        number(difference)
    )];
    if !converged {
        notes.push(format!(
            "the integral has not converged: with {counted}, the most that are tried by themselves, the delta is more than {} of that difference. More steps usually make it less",
            percent(tolerance.unwrap_or(TOLERANCE))
        ));
    } else if delta.abs() > TOLERANCE * difference.abs() {
        notes.push("the delta is large: more steps usually make it smaller".into());
    }
    notes
}
