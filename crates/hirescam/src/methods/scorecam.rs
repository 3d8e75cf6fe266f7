//! Score-CAM.

use super::cut::{Cut, Wanted};
use super::{Made, Method, Prepared, Site, weigh};
use crate::Error;
use crate::heatmap::resize_linear;
use hirescam_core::cam::list;
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
pub(super) const METHOD: Method = Method {
    row: &list::SCORE_CAM,
    but: "weighs whole channels by scores of images that were multiplied with them, and lights up places where such a channel is active, used or not",
    at_image: false,
    sums: false,
    gradient: Wanted::Nothing,
    prepare: |setup| Ok(Box::new(ScoreCam { whole: Cut::new(setup, setup.image, Wanted::Nothing)? })),
};

struct ScoreCam {
    /// The network from the image on.
    whole: Cut,
}

impl Prepared for ScoreCam {
    fn maps(&self, site: &Site, watch: &mut dyn FnMut(usize, usize)) -> Result<Vec<Made>, Error> {
        let (activation, channels) = (&site.state.activation, Axis(site.cut.channels));
        let size = self.whole.places();
        if size.len() != site.cut.space.len() {
            return Err(Error::Argument(format!(
                "Score-CAM lays the layer's channels over the image, but {:?} has {} axes of space and the image {}",
                site.cut.layer,
                site.cut.space.len(),
                size.len()
            )));
        }
        let varied: Vec<usize> = (0..activation.len_of(channels))
            .filter(|&c| {
                let channel = activation.index_axis(channels, c);
                channel.iter().zip(channel.iter().skip(1)).any(|(a, b)| a != b)
            })
            .collect();
        let masks: Vec<Mask> = varied.iter().map(|&c| Mask { channel: c, size: &size }).collect();
        let image = self.whole.state(site.image)?;
        let mut scores = vec![Vec::new(); site.picks.len()];
        let mut fault = None;
        self.whole.scores(
            &image,
            masks.len(),
            |i, mut x| match masks.get(i).map(|m| m.of(activation, channels)) {
                Some(Ok(mask)) => {
                    x.axis_iter_mut(Axis(self.whole.channels)).for_each(|mut colour| colour *= &mask);
                }
                Some(Err(error)) => fault = Some(error),
                None => {}
            },
            |i, logits| {
                scores.iter_mut().zip(site.picks).for_each(|(scores, pick)| scores.push(pick.score(logits)));
                watch(i + 2, masks.len() + 1);
            },
        )?;
        if let Some(error) = fault {
            return Err(error);
        }
        let all = activation.len_of(channels);
        let skipped = all - varied.len();
        let one = |scores: Vec<f64>| {
            let mut weights = vec![0.0; all];
            for (&c, weight) in varied.iter().zip(softmax(&scores)) {
                weights.iter_mut().skip(c).take(1).for_each(|w| *w = weight);
            }
            let largest = weights.iter().copied().fold(0.0, f64::max);
            let mut notes = vec![format!("the heaviest of {all} channels has {:.0} % of the weight", 100.0 * largest)];
            if skipped > 0 {
                notes.push(format!("{skipped} channels are constant for this image and were left out"));
            }
            Made::new(weigh(activation, site.cut.channels, &weights), notes)
        };
        Ok(scores.into_iter().map(one).collect())
    }
}

/// A channel as a mask of the image.
struct Mask<'a> {
    channel: usize,
    size: &'a [usize],
}

impl Mask<'_> {
    fn of(&self, activation: &ArrayD<f32>, channels: Axis) -> Result<ArrayD<f32>, Error> {
        let channel = activation.index_axis(channels, self.channel).to_owned();
        let mut mask = resize_linear(&channel, self.size)?;
        let (low, high) = mask.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), &v| (l.min(v), h.max(v)));
        // Resizing to fewer places can miss all that varies.
        mask.mapv_inplace(|v| if high > low { (v - low) / (high - low) } else { 0.0 });
        Ok(mask)
    }
}

fn softmax(scores: &[f64]) -> Vec<f64> {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = scores.iter().map(|s| (s - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|p| p / sum).collect()
}
