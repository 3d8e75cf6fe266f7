//! Coherency.

use super::{Better, Row, beside, cells};
use crate::Error;
use crate::error::undefined;
use hirescam::stats::pearson;
use ndarray::ArrayViewD;

/// [`coherency`] for people.
pub const ROW: Row = Row {
    name: "coherency",
    what: "Whether the map of the image that the map leaves is the map again.",
    formula: "(Pearson(h(x ⊙ h), h(x)) + 1) / 2",
    range: "0 to 1",
    better: Better::Higher,
    source: "Poppi et al. 2021, arXiv:2104.10252",
    needs: "the map of the image multiplied by the map (which lies within 0 and 1 for that)",
    blind: "whether the map is right: a map that depends on the image little is coherent",
};

/// (r + 1) / 2 with r the correlation of two maps: of the image x, and of x ⊙ h, the image multiplied by the first, for the
/// same class. 1 where both are the same up to scale and shift, ½ where nothing connects them. Poppi et al. 2021,
/// arXiv:2104.10252.
///
/// # Differs from pytorch-grad-cam
/// It adds 10⁻⁸ to the denominator, so that a map of one value everywhere has ½. Poppi's code has 0 there. Here it has no
/// value.
///
/// # Errors
/// [`Error::Undefined`] where one of the maps is the same everywhere; [`Error::Argument`] for another shape.
pub fn coherency(map: ArrayViewD<'_, f64>, of_kept: ArrayViewD<'_, f64>) -> Result<f64, Error> {
    beside(&map, "map of the multiplied image", &of_kept)?;
    let (a, b) = (cells("map", &map)?, cells("map of the multiplied image", &of_kept)?);
    match pearson(&a, &b) {
        Some(r) => Ok((r + 1.0) / 2.0),
        None => undefined(ROW.name, "one of the two maps is the same everywhere"),
    }
}
