//! OrganIoU.

use super::iou::{Above, THRESHOLDS, check};
use super::{Better, Row};
use crate::Error;
use ndarray::ArrayViewD;

/// [`organ_iou`] for people.
pub const ROW: Row = Row {
    name: "organ-iou",
    what: "The share of the map, cut at a threshold, that lies where the network may look.",
    formula: "a / (a + b), a = |P ∩ G|, b = |P ∖ G|, P as for `iou`",
    range: "0 to 1",
    better: Better::Higher,
    source: "Draelos & Carin 2022, arXiv:2111.12215, as coded in github.com/rachellea/explainable-ct-ai, `iou_analysis.py`",
    needs: "a mask G of what is allowed; a threshold, chosen on other images than those measured",
    blind: "how much of the organ is covered: it is a precision and no intersection over union; one right cell is enough",
};

/// What a map gets of which nothing lies beyond what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Perfect {
    /// 1, as the formula says.
    One,
    /// 0, as in the author's code, which gives 0 unless there are cells on both sides.
    Zero,
}

/// a / (a + b), a and b being how many places of the map above a threshold lie inside and outside of what is allowed; 0 where
/// no place is above it. Draelos & Carin 2022, arXiv:2111.12215 (OrganIoU), as in the code of github.com/rachellea/explainable-ct-ai:
/// the map is normalised as for [`iou`](super::iou()), at the layer's resolution, with the truth shrunk to it.
///
/// `perfect` says what becomes of b = 0: the author's code gives 0 there, the formula 1.
///
/// # Errors
/// [`Error::Argument`] for another shape or a threshold that is not within 0 and 1.
pub fn organ_iou(
    map: ArrayViewD<'_, f64>,
    allowed: ArrayViewD<'_, bool>,
    void: Option<ArrayViewD<'_, bool>>,
    threshold: f64,
    perfect: Perfect,
) -> Result<f64, Error> {
    check(threshold)?;
    let above = Above::new(&map, &allowed, void.as_ref(), &[threshold])?;
    Ok(above.counts.first().map_or(0.0, |(a, b)| share(*a, *b, perfect)))
}

/// [`organ_iou`] at each of [`THRESHOLDS`](super::THRESHOLDS).
///
/// # Errors
/// As [`organ_iou`].
pub fn organ_ious(
    map: ArrayViewD<'_, f64>,
    allowed: ArrayViewD<'_, bool>,
    void: Option<ArrayViewD<'_, bool>>,
    perfect: Perfect,
) -> Result<Vec<f64>, Error> {
    let above = Above::new(&map, &allowed, void.as_ref(), &THRESHOLDS)?;
    Ok(above.counts.iter().map(|(a, b)| share(*a, *b, perfect)).collect())
}

fn share(inside: usize, outside: usize, perfect: Perfect) -> f64 {
    match (inside, outside, perfect) {
        (0, ..) | (_, 0, Perfect::Zero) => 0.0,
        (a, b, _) => a as f64 / (a + b) as f64,
    }
}
