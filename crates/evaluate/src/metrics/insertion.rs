//! Insertion.

use super::curve::{Curve, area};
use super::{Better, Row};
use crate::Error;
use crate::changed::{Image, Metric, Plan};
use ndarray::ArrayViewD;

/// [`Insertion`] for people.
pub const ROW: Row = Row {
    name: "insertion",
    what: "How soon the score comes while places are put into a blurred image, the strongest first.",
    formula: "the area below the score over the share of places put in, 0 to 1",
    range: "of the scores: 0 to 1 for probabilities",
    better: Better::Higher,
    source: "Petsiuk et al. 2018 (RISE), arXiv:1806.07421",
    needs: "scores of 1 + steps changed images",
    blind: "how strong places are, beyond their order; smooth maps put in what belongs together and are favoured",
};

/// The area below the score over the share of places that is put into an image of which nothing was left, the strongest first, by the
/// trapezoidal rule: high where the map knows what makes the score. Petsiuk et al. 2018 (RISE), arXiv:1806.07421; the
/// default starts with the image blurred (11 cells, deviation 5), as they do.
///
/// With a share below 1, as many of the weakest places are filled at first, and put in. Steps and ties are as for
/// [`Deletion`](super::Deletion).
///
/// # Differs from RISE
/// Their code blurs with zeros beyond the border, which darkens it. Here the last value goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Insertion(pub Curve);

impl Metric for Insertion {
    fn plan(&self, image: &Image, map: ArrayViewD<'_, f64>) -> Result<Plan, Error> {
        // What is not yet put in are the weakest.
        let steps = self.0.least_first(image, &map)?;
        Ok(Plan { changes: steps.changes, value: Box::new(move |scores| Ok(area(&steps.counts, scores))) })
    }
}
