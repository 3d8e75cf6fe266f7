//! Area over a threshold.

use super::iou::check;
use super::{Better, Row, normalised};
use crate::Error;
use ndarray::ArrayViewD;

/// [`area_over_threshold`] for people.
pub const ROW: Row = Row {
    name: "area-over-threshold",
    what: "How big what the map shows is.",
    formula: "|P| / n, P as for `iou`",
    range: "0 to 1",
    better: Better::Neither,
    source: "ours; the \"bigger\" of Draelos & Carin 2020, arXiv:2011.08891, as a number",
    needs: "a threshold",
    blind: "whether the area is the right one",
};

/// The share of places where the map, normalised as for [`iou`](super::iou()), exceeds a threshold: how big what it shows is.
/// Draelos & Carin 2020, arXiv:2011.08891, say that Grad-CAM's attention is bigger than HiResCAM's. 0 where no cell is
/// positive.
///
/// # Errors
/// [`Error::Argument`] for a threshold that is not within 0 and 1.
pub fn area_over_threshold(map: ArrayViewD<'_, f64>, threshold: f64) -> Result<f64, Error> {
    check(threshold)?;
    let values = normalised(&map)?;
    Ok(values.iter().filter(|v| **v > threshold).count() as f64 / values.len() as f64)
}
