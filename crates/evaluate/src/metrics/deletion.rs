//! Deletion.

use super::curve::{Curve, area};
use super::{Better, Row};
use crate::Error;
use crate::changed::{Image, Metric, Plan};
use ndarray::ArrayViewD;

/// [`Deletion`] for people.
pub const ROW: Row = Row {
    name: "deletion",
    what: "How long the score lasts while places are taken out, the strongest first.",
    formula: "the area below the score over the share of places taken out, 0 to 1",
    range: "of the scores: 0 to 1 for probabilities",
    better: Better::Lower,
    source: "Petsiuk et al. 2018 (RISE), arXiv:1806.07421",
    needs: "scores of 1 + steps changed images",
    blind: "how strong places are, beyond their order; images with holes are unlike any that the network learnt from; the holes' shape itself can be telling",
};

/// The area below the score over the share of places that is taken out, the strongest first, by the trapezoidal rule: low where the
/// map knows what the score rests on. Petsiuk et al. 2018 (RISE), arXiv:1806.07421, with 224 steps and 0 for the default.
///
/// Where steps cannot all be of the same size, their widths count. Of places with the same value, the order is drawn from
/// the seed: rectified maps are 0 at many places, and any fixed order would favour a corner.
///
/// # Differs from Quantus
/// `PixelFlipping` leaves out the score of the image as it is, sorts channels of a pixel as if they were pixels, and its area is a
/// sum over steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deletion(pub Curve);

impl Metric for Deletion {
    fn plan(&self, image: &Image, map: ArrayViewD<'_, f64>) -> Result<Plan, Error> {
        let steps = self.0.most_first(image, &map)?;
        Ok(Plan { changes: steps.changes, value: Box::new(move |scores| Ok(area(&steps.counts, scores))) })
    }
}
