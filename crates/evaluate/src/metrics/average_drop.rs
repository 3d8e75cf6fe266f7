//! Average drop.

use super::{Better, Row, unit};
use crate::Error;
use crate::changed::{Change, Image, Metric, Plan};
use crate::error::undefined;
use ndarray::ArrayViewD;

/// [`AverageDrop`] for people.
pub const ROW: Row = Row {
    name: "average-drop",
    what: "Which share of the probability is lost when the image is multiplied by the map.",
    formula: "max(0, p(x) − p(x ⊙ h)) / p(x); the mean over images",
    range: "0 to 1",
    better: Better::Lower,
    source: "Chattopadhay et al. 2018 (Grad-CAM++), arXiv:1710.11063",
    needs: "probabilities of 2 images; a heatmap within 0 and 1",
    blind: "whether the map is a map: one of ones loses nothing",
};

/// max(0, p(x) − p(x ⊙ h)) / p(x): the share of the probability that is lost when the image is multiplied by the map, each channel
/// alike. Chattopadhay et al. 2018 (Grad-CAM++), arXiv:1710.11063; theirs is the mean over images, in percent.
///
/// The scorer's column has to be a probability, and the map to lie within 0 and 1. It is the image as the network takes it that is
/// multiplied, where 0 is the mean colour if preprocessing takes that off.
///
/// # Differs from pytorch-grad-cam
/// Its `DropInConfidence` is not divided by p(x). torch-cam adds 10⁻⁷ to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AverageDrop;

impl Metric for AverageDrop {
    fn plan(&self, image: &Image, map: ArrayViewD<'_, f64>) -> Result<Plan, Error> {
        Ok(Plan { changes: both(image, &map)?, value: Box::new(drop_of) })
    }
}

/// The image, and the image multiplied by the map.
pub(super) fn both(image: &Image, map: &ArrayViewD<'_, f64>) -> Result<Vec<Change>, Error> {
    image.check_map(map)?;
    Ok(vec![Change::None, Change::multiplied(&unit(map)?)])
}

/// The two scores of [`both`] as probabilities.
pub(super) fn probabilities(metric: &'static str, scores: &[f64]) -> Result<(f64, f64), Error> {
    match scores {
        [whole, kept, ..] if (0.0..=1.0).contains(whole) && (0.0..=1.0).contains(kept) => Ok((*whole, *kept)),
        _ => undefined(metric, format!("it is of probabilities, and the scores are {scores:?}")),
    }
}

/// The drop, of the two scores of [`both`].
pub(super) fn drop_of(scores: &[f64]) -> Result<f64, Error> {
    let (whole, kept) = probabilities(ROW.name, scores)?;
    if whole == 0.0 {
        return undefined(ROW.name, "the image's probability is 0, and nothing can be lost");
    }
    Ok((whole - kept).max(0.0) / whole)
}
