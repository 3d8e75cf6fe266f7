//! Score-CAM.

use super::cut::{CutNetwork, GradientUse};
use super::{MethodMap, NOTHING, PreparedMethod, SeveralRunsMethod, Subject, weigh};
use crate::Error;
use crate::heatmap::resize_linear;
use hirescam_core::cam::list::MethodRow;
use ndarray::{ArrayD, Axis};

/// Σ_c w_c · A_c with w = softmax over channels of the scores of x ⊙ M_c, where M_c is A_c resized linearly to the image
/// and brought to 0…1 by its least and largest value. Wang et al. 2020, arXiv:1910.01279, algorithm 1.
///
/// The weights are positive and add up to 1: no channel can speak against the class, and the map is in units of the
/// activation, not of the score. Channels that are constant have no mask and get the weight 0.
///
/// # Differs from the paper
/// The score of a baseline image, which the paper takes off every score, is left out: the softmax takes it off again.
/// The paper rectifies the map; here that is a step of its own, on request.
pub(super) const METHOD: SeveralRunsMethod = SeveralRunsMethod {
    row: MethodRow {
        name: "scorecam",
        title: "Score-CAM",
        formula: "Σ_c w_c · A_c, w = softmax_c s(x ⊙ M_c), M_c = A_c resized to the image and brought to 0…1",
        cost: "1, then 1 a channel",
        proven: NOTHING,
        source: "Wang et al. 2020, arXiv:1910.01279",
        scored: false,
        additive: false,
    },
    but: "weighs whole channels by scores of images that were multiplied with them, and lights up places where such a channel is active, used or not",
    at_image: |_| Ok(false),
    sums: false,
    gradient: GradientUse::Nothing,
    prepare: |setup| {
        Ok(Box::new(ScoreCam {
            whole: CutNetwork::new(setup, &setup.analysis.image, (None, None), GradientUse::Nothing)?,
        }))
    },
};

struct ScoreCam {
    /// The network from the image on.
    whole: CutNetwork,
}

impl PreparedMethod for ScoreCam {
    fn maps(&self, subject: &Subject, watch: &mut dyn FnMut(usize, usize)) -> Result<Vec<MethodMap>, Error> {
        let laid = laid_out(subject);
        let (activation, channels) =
            laid.as_ref().map_or((&subject.state.activation, subject.cut.channels), |l| (l, 0));
        let (size, channels) = (self.whole.places(), Axis(channels));
        if size.len() + 1 != activation.ndim() {
            return Err(Error::Argument(format!(
                "Score-CAM lays the layer's channels over the image, but {:?} has {} axes of space and the image {}: say in which grid its tokens lie",
                subject.cut.layer,
                activation.ndim() - 1,
                size.len()
            )));
        }
        let mut masks = Vec::new();
        for channel in 0..activation.len_of(channels) {
            masks.extend(Mask::new(activation, channels, channel, &size)?);
        }
        let image = self.whole.state(subject.image, subject.state.beside, subject.state.stop)?;
        let mut scores = vec![Vec::new(); subject.picks.len()];
        let mut fault = None;
        self.whole.scores(
            &image,
            masks.len(),
            |i, mut x| match masks.get(i).map(|m| m.of(activation, channels, &size)) {
                Some(Ok(mask)) => {
                    x.axis_iter_mut(Axis(self.whole.channels)).for_each(|mut colour| colour *= &mask);
                }
                Some(Err(error)) => fault = Some(error),
                None => {}
            },
            |i, logits| {
                scores.iter_mut().zip(subject.picks).for_each(|(scores, pick)| scores.push(pick.score(logits)));
                watch(i + 2, masks.len() + 1);
            },
        )?;
        if let Some(error) = fault {
            return Err(error);
        }
        let all = activation.len_of(channels);
        let skipped = all - masks.len();
        let one = |scores: Vec<f64>| {
            let mut weights = vec![0.0; all];
            for (mask, weight) in masks.iter().zip(softmax(&scores)) {
                weights.iter_mut().skip(mask.channel).take(1).for_each(|w| *w = weight);
            }
            let largest = weights.iter().copied().fold(0.0, f64::max);
            let heaviest = || format!("the heaviest of {all} channels has {:.0} % of the weight", 100.0 * largest);
            let notes = match skipped {
                0 => vec![heaviest()],
                1 if all > 1 => vec![heaviest(), "1 channel is constant for this image and was left out".into()],
                n if n < all => {
                    vec![heaviest(), format!("{n} channels are constant for this image and were left out")]
                }
                _ => vec!["every channel is constant for this image, and so none has a weight".into()],
            };
            MethodMap::at_layer(subject, weigh(&subject.state.activation, subject.cut.channels, &weights), notes)
        };
        Ok(scores.into_iter().map(one).collect())
    }
}

/// The channels of tokens as they lie in the image, `[channels, rows, columns]`.
fn laid_out(subject: &Subject) -> Option<ArrayD<f32>> {
    let grid = subject.cut.grid.as_ref()?;
    let channels = subject.state.activation.axis_iter(Axis(subject.cut.channels));
    let laid: Vec<ArrayD<f32>> = channels.map(|channel| grid.lay_out(&channel.to_owned()).0).collect();
    ndarray::stack(Axis(0), &laid.iter().map(|l| l.view()).collect::<Vec<_>>()).ok()
}

/// A channel as a mask of the image.
struct Mask {
    channel: usize,
    /// The least and the largest value of the resized channel.
    low: f32,
    high: f32,
}

impl Mask {
    /// The mask that a channel makes; none where it is constant.
    fn new(activation: &ArrayD<f32>, channels: Axis, channel: usize, size: &[usize]) -> Result<Option<Self>, Error> {
        let resized = resize_linear(&activation.index_axis(channels, channel).to_owned(), size)?;
        let (low, high) = resized.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), &v| (l.min(v), h.max(v)));
        Ok((high > low).then_some(Mask { channel, low, high }))
    }

    /// Made anew each time: the masks of all channels together could be large.
    fn of(&self, activation: &ArrayD<f32>, channels: Axis, size: &[usize]) -> Result<ArrayD<f32>, Error> {
        let mut mask = resize_linear(&activation.index_axis(channels, self.channel).to_owned(), size)?;
        mask.mapv_inplace(|v| (v - self.low) / (self.high - self.low));
        Ok(mask)
    }
}

fn softmax(scores: &[f64]) -> Vec<f64> {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = scores.iter().map(|s| (s - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|p| p / sum).collect()
}
