//! Integrated gradients.

use super::cut::Wanted;
use super::{Made, Method, Prepared, Site};
use crate::Error;
use hirescam_core::cam::list;
use ndarray::{ArrayD, Axis, Zip};

/// Σ_c (x − x₀)_c ⊙ ∫₀¹ ∂s/∂x_c at x₀ + α (x − x₀) dα, at the image, or at a layer with its activation for x.
/// Sundararajan et al. 2017, arXiv:1703.01365, eq. 1.
///
/// Completeness: Σ map = s(x) − s(x₀), up to the error of the sum that stands for the integral; what is missing is
/// reported as delta. b is s(x₀), so that Σ map + b = s(x) − delta. The baseline x₀ is one number everywhere
/// ([`Settings::baseline`](super::Settings::baseline)). At a layer with an affine head and x₀ = 0 this is HiResCAM.
///
/// # Differs from the paper
/// The integral is summed by the midpoint rule, at α = (k − ½) / steps. The paper's rule (eq. 3) takes the right ends,
/// α = k / steps, whose error goes with 1 / steps and not with 1 / steps². Channels are summed.
pub(super) const METHOD: Method = Method {
    row: &list::INTEGRATED_GRADIENTS,
    but: "keeps the sum only up to the error of its steps, and follows inputs on the way from the baseline that are not this image",
    at_image: true,
    sums: true,
    gradient: Wanted::Always,
    prepare: |_| Ok(Box::new(IntegratedGradients)),
};

/// A delta of more than this share of what is to be added up is worth more steps: a hundredth, as good as the eye can tell.
const MUCH: f64 = 0.01;

struct IntegratedGradients;

impl Prepared for IntegratedGradients {
    fn maps(&self, site: &Site, watch: &mut dyn FnMut(usize, usize)) -> Result<Vec<Made>, Error> {
        let (cut, x) = (site.cut, &site.state.activation);
        let (steps, baseline) = (site.settings.steps, site.settings.baseline);
        let passes = 2 + steps * site.picks.len();
        let mut at_baseline = Vec::new();
        cut.scores(
            site.state,
            1,
            |_, mut a| a.fill(baseline),
            |_, logits| {
                at_baseline = site.picks.iter().map(|p| p.score(logits)).collect();
            },
        )?;
        watch(2, passes);
        let mut made = Vec::new();
        for (i, ((pick, score), b)) in site.picks.iter().zip(site.scores).zip(at_baseline).enumerate() {
            let mut mean = ArrayD::<f64>::zeros(x.raw_dim());
            let on_the_way = |k: usize, mut a: super::Changed| {
                let part = ((k as f64 + 0.5) / steps as f64) as f32;
                a.mapv_inplace(|v| baseline + part * (v - baseline));
            };
            cut.gradients(site.state, steps, on_the_way, &pick.weights, |k, gradient| {
                Zip::from(&mut mean).and(&gradient).for_each(|m, &g| *m += f64::from(g) / steps as f64);
                watch(3 + i * steps + k, passes);
            })?;
            Zip::from(&mut mean).and(x).for_each(|m, &x| *m *= f64::from(x) - f64::from(baseline));
            let map = mean.sum_axis(Axis(cut.channels));
            let delta = map.sum() - (score - b);
            let difference = score - b;
            let mut notes = vec![format!(
                "completeness: the cells add up to s(x) − s(baseline) = {difference:.4}, but for a delta of {delta:.1e} ({steps} steps, midpoint rule, baseline {baseline} everywhere); b is s(baseline)"
            )];
            if delta.abs() > MUCH * difference.abs() {
                notes.push("the delta is large: more steps make it smaller".into());
            }
            made.push(Made { bias: Some(b), ..Made::at_layer(site, map.mapv(|v| v as f32), notes) });
        }
        Ok(made)
    }
}
