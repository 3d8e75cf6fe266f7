//! Average gain.

use super::average_drop::{both, probabilities};
use super::{Better, Row};
use crate::Error;
use crate::changed::{Image, Metric, Plan};
use crate::error::undefined;
use ndarray::ArrayViewD;

/// [`AverageGain`] for people.
pub const ROW: Row = Row {
    name: "average-gain",
    what: "Which share of the probability that is missing is gained when the image is multiplied by the map.",
    formula: "max(0, p(x ⊙ h) − p(x)) / (1 − p(x)); the mean over images",
    range: "0 to 1",
    better: Better::Higher,
    source: "Zhang et al. 2023 (Opti-CAM), arXiv:2301.07002",
    needs: "probabilities of 2 images; a heatmap within 0 and 1",
    blind: "whether the places are those that the network used for the whole image; maps can be made for it",
};

/// max(0, p(x ⊙ h) − p(x)) / (1 − p(x)): the counterpart of [`AverageDrop`](super::AverageDrop), by how much of what is missing to 1 the
/// probability rises when the image is multiplied by the map. Zhang et al. 2023 (Opti-CAM), arXiv:2301.07002; theirs is the
/// mean over images, in percent. The map has to lie within 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AverageGain;

impl Metric for AverageGain {
    fn plan(&self, image: &Image, map: ArrayViewD<'_, f64>) -> Result<Plan, Error> {
        let gain = |scores: &[f64]| {
            let (whole, kept) = probabilities(ROW.name, scores)?;
            if whole == 1.0 {
                return undefined(ROW.name, "the image's probability is 1, and nothing can be gained");
            }
            Ok((kept - whole).max(0.0) / (1.0 - whole))
        };
        Ok(Plan { changes: both(image, &map)?, value: Box::new(gain) })
    }
}
