//! AOPC.

use super::curve::{Curve, Steps};
use super::{Better, Row};
use crate::Error;
use crate::changed::{Image, Metric, Plan};
use ndarray::ArrayViewD;

/// [`AopcMorf`] for people.
pub const MORF: Row = Row {
    name: "aopc-morf",
    what: "How far the score falls, on average over the steps, while places are taken out, the most relevant first.",
    formula: "1/(L+1) Σ_{k=0…L} (s(x) − s(x_k)), x_k with the places of k steps taken out",
    range: "of the scores; −1 to 1 for probabilities",
    better: Better::Higher,
    source: "Samek et al. 2015, arXiv:1509.06321",
    needs: "scores of 1 + steps changed images",
    blind: "how strong places are, beyond their order; images with holes are unlike any that the network learnt from",
};

/// [`AopcLerf`] for people.
pub const LERF: Row = Row {
    name: "aopc-lerf",
    what: "How far the score falls, on average over the steps, while places are taken out, the least relevant first.",
    better: Better::Lower,
    ..MORF
};

/// The mean over k = 0 … L of s(x) − s(x_k), where the most relevant places of k steps are taken out of x_k: the area over the
/// perturbation curve. Samek et al. 2015, arXiv:1509.06321; the mean over images is theirs, too.
///
/// # Differs from the paper
/// They take out 100 patches of 9×9 pixels, with random values: `Curve { steps: 100, patch: 9, share, … }`, with the share that 100
/// patches are, comes close. The default is that of [`Deletion`](super::Deletion), so that both share all images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AopcMorf(pub Curve);

/// [`AopcMorf`] with the least relevant places first, which should cost nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AopcLerf(pub Curve);

impl Metric for AopcMorf {
    fn plan(&self, image: &Image, map: ArrayViewD<'_, f64>) -> Result<Plan, Error> {
        Ok(over(self.0.most_first(image, &map)?))
    }
}

impl Metric for AopcLerf {
    fn plan(&self, image: &Image, map: ArrayViewD<'_, f64>) -> Result<Plan, Error> {
        Ok(over(self.0.least_first(image, &map)?))
    }
}

fn over(steps: Steps) -> Plan {
    let mean = |scores: &[f64]| {
        let whole = scores.first().copied().unwrap_or(0.0);
        Ok(scores.iter().map(|s| whole - s).sum::<f64>() / scores.len() as f64)
    };
    Plan { changes: steps.changes, value: Box::new(mean) }
}
