//! Increase in confidence.

use super::average_drop::both;
use super::{Better, Row};
use crate::Error;
use crate::changed::{Image, Metric, Plan};
use crate::error::argument;
use ndarray::ArrayViewD;

/// [`ConfidenceIncrease`] for people.
pub const ROW: Row = Row {
    name: "confidence-increase",
    what: "Whether the image multiplied by the map scores higher than the image.",
    formula: "1 if p(x ⊙ h) > p(x), else 0; the mean over images",
    range: "0 or 1; 0 to 1 as a mean",
    better: Better::Higher,
    source: "Chattopadhay et al. 2018 (Grad-CAM++), arXiv:1710.11063",
    needs: "scores of 2 images; a heatmap within 0 and 1",
    blind: "by how much; images of which the network is sure hardly can",
};

/// 1 where p(x ⊙ h) > p(x), else 0: whether the image multiplied by the map scores higher than the image. Chattopadhay et al. 2018
/// (Grad-CAM++), arXiv:1710.11063; theirs is the share of such images, in percent. The map has to lie within 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfidenceIncrease;

impl Metric for ConfidenceIncrease {
    fn plan(&self, image: &Image, map: ArrayViewD<'_, f64>) -> Result<Plan, Error> {
        let increase = |scores: &[f64]| match scores {
            [whole, kept, ..] => Ok(if kept > whole { 1.0 } else { 0.0 }),
            _ => argument("two scores are compared"),
        };
        Ok(Plan { changes: both(image, &map)?, value: Box::new(increase) })
    }
}
