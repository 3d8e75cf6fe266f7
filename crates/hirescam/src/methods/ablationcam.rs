//! Ablation-CAM.

use super::cut::{GradientUse, Setup};
use super::{MethodMap, NOTHING, PreparedMethod, SeveralRunsMethod, Subject, weigh};
use crate::Error;
use hirescam_core::cam::list::MethodRow;
use ndarray::{Axis, Zip};

/// Σ_c w_c · A_c with w_c = (s − s_c) / s, s_c the score with channel c of A set to 0. Desai & Ramaswamy 2020, WACV,
/// 10.1109/WACV45572.2020.9093360.
///
/// The weights are shares of the score, so that the map is not in units of it. Where s is negative, the division turns
/// every weight round, as the formula has it: a channel that speaks for the class then counts against it; the map says so.
///
/// Where the head is affine, s − s_c = Σ_places A_c ⊙ g_c exactly, and one run of the head with its gradient takes the
/// place of a run for each channel.
///
/// # Differs from the paper
/// The paper rectifies the map. Here that is a step of its own, on request.
pub(super) const METHOD: SeveralRunsMethod = SeveralRunsMethod {
    row: MethodRow {
        name: "ablationcam",
        title: "Ablation-CAM",
        formula: "Σ_c w_c · A_c, w_c = (s − s_c) / s, s_c the score with channel c of A set to 0",
        cost: "1, then the head once a channel; once in all where the head is affine",
        proven: NOTHING,
        source: "Desai & Ramaswamy 2020, WACV, 10.1109/WACV45572.2020.9093360",
        scored: false,
        additive: false,
    },
    but: "weighs whole channels by what the score loses without them, and lights up places where such a channel is active, used or not",
    at_image: |_| Ok(false),
    sums: false,
    gradient: GradientUse::WhereAffine,
    prepare: |_: &Setup| Ok(Box::new(AblationCam)),
};

struct AblationCam;

impl PreparedMethod for AblationCam {
    fn maps(&self, subject: &Subject, watch: &mut dyn FnMut(usize, usize)) -> Result<Vec<MethodMap>, Error> {
        if subject.scores.contains(&0.0) {
            return Err(Error::Argument("Ablation-CAM divides by the score, and it is 0 for this image".into()));
        }
        let (drops, how) = match subject.cut.has_gradient() {
            true => (
                from_gradient(subject, watch)?,
                "the head is affine: what a channel is worth follows from the gradient",
            ),
            false => (from_runs(subject, watch)?, "the head ran once for each channel, without it"),
        };
        let one = |(drops, &score): (Vec<f64>, &f64)| {
            let weights: Vec<f64> = drops.iter().map(|d| d / score).collect();
            let mut notes = vec![how.to_owned()];
            if score < 0.0 {
                notes.push("the score is negative, and dividing by it turns the sign of every weight".into());
            }
            MethodMap::at_layer(subject, weigh(&subject.state.activation, subject.cut.channels, &weights), notes)
        };
        Ok(drops.into_iter().zip(subject.scores).map(one).collect())
    }
}

/// s − s_c of each pick and channel: Σ_places A_c ⊙ g_c.
fn from_gradient(subject: &Subject, watch: &mut dyn FnMut(usize, usize)) -> Result<Vec<Vec<f64>>, Error> {
    let (activation, channels) = (&subject.state.activation, Axis(subject.cut.channels));
    let mut drops = vec![Vec::new(); subject.picks.len()];
    for (i, (pick, drops)) in subject.picks.iter().zip(&mut drops).enumerate() {
        subject.cut.gradients(
            subject.state,
            1,
            |_, _| {},
            &pick.weights,
            |_, gradient| {
                let both = activation.axis_iter(channels).zip(gradient.axis_iter(channels));
                let sum = |a: ndarray::ArrayViewD<f32>, g: ndarray::ArrayViewD<f32>| {
                    Zip::from(a).and(g).fold(0.0, |sum, &a, &g| sum + f64::from(a) * f64::from(g))
                };
                *drops = both.map(|(a, g)| sum(a, g)).collect();
            },
        )?;
        watch(i + 2, subject.picks.len() + 1);
    }
    Ok(drops)
}

/// The same by running the head without each channel.
fn from_runs(subject: &Subject, watch: &mut dyn FnMut(usize, usize)) -> Result<Vec<Vec<f64>>, Error> {
    let channels = subject.cut.channels;
    let n = subject.cut.dims.get(channels).copied().unwrap_or(0);
    let mut drops = vec![vec![0.0; n]; subject.picks.len()];
    subject.scores(
        n,
        |c, mut a| a.index_axis_mut(Axis(channels), c).fill(0.0),
        |c, scores| {
            for (drops, (with, without)) in drops.iter_mut().zip(subject.scores.iter().zip(scores)) {
                drops.iter_mut().skip(c).take(1).for_each(|d| *d = with - without);
            }
        },
        watch,
    )?;
    Ok(drops)
}
