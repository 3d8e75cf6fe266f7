//! Attention where nothing happens.

use super::{Attention, Better, Row, attention, beside, cells};
use crate::Error;
use crate::error::{argument, undefined};
use ndarray::ArrayViewD;

/// [`idle_share`] for people.
pub const ROW: Row = Row {
    name: "idle-share",
    what: "The share of the attention, of either sign, at places without which the score stays as it was.",
    formula: "Σ |h| where |c| ≤ tolerance / Σ |h|",
    range: "0 to 1",
    better: Better::Lower,
    source: "ours; Nguyen & Martínez 2020, arXiv:2007.07584, count such places (non-sensitivity)",
    needs: "contributions c: the score's drop when the place alone is set to 0, or HiResCAM at the same layer",
    blind: "attention of the wrong size or sign at places that matter; places that matter only together",
};

/// Σ |h| over places whose contribution is within ± `tolerance`, over Σ |h|: the share of a map's attention, of either sign,
/// at places that change nothing.
///
/// `contributions` has the map's shape: s − s(place set to 0) for each place by itself, or HiResCAM at the same layer.
/// `tolerance` is in units of the score and stands for rounding: 0 for a gradient that is 0, about 10⁻⁶ · |s| for
/// differences of scores in float32. Two places of which either alone suffices both change nothing by themselves.
///
/// # Errors
/// [`Error::Undefined`] for a map of zeros; [`Error::Argument`] for another shape or a negative tolerance.
pub fn idle_share(map: ArrayViewD<'_, f64>, contributions: ArrayViewD<'_, f64>, tolerance: f64) -> Result<f64, Error> {
    let shown = attention(&map, Attention::Absolute)?;
    beside(&map, "contributions", &contributions)?;
    if !(tolerance >= 0.0 && tolerance.is_finite()) {
        return argument(format!("the tolerance {tolerance} has to be a number of at least 0"));
    }
    let total: f64 = shown.iter().sum();
    if total == 0.0 {
        return undefined(ROW.name, "the map is 0 everywhere");
    }
    let idle = shown.iter().zip(cells("contributions", &contributions)?).filter(|(_, c)| c.abs() <= tolerance);
    Ok(idle.map(|(v, _)| v).sum::<f64>() / total)
}
