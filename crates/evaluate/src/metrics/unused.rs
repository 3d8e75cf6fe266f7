//! Attention beyond what the network used.

use super::{Attention, Better, Row, attention, beside, cells};
use crate::Error;
use crate::error::undefined;
use ndarray::ArrayViewD;

/// [`unused_share`] for people.
pub const ROW: Row = Row {
    name: "unused-share",
    what: "The share of the positive attention at places that did not raise the score.",
    formula: "Σ h⁺ where c ≤ 0 / Σ h⁺",
    range: "0 to 1",
    better: Better::Lower,
    source: "ours; the claim of Draelos & Carin 2020, arXiv:2011.08891, as a number",
    needs: "contributions c: HiResCAM at the same layer, or the score's drop when the place alone is set to 0",
    blind: "attention of the wrong size at used places; and it is only as true as c, which HiResCAM is where its verdict is `exact`",
};

/// Σ h⁺ over places whose contribution is 0 or less, over Σ h⁺: the share of what a map shows as speaking for the class at
/// places that did not raise the score. h⁺ = max(h, 0).
///
/// `contributions` has the map's shape: HiResCAM at the same layer, or, as ground truth for any head, s − s(place set to 0)
/// for each place by itself. Against HiResCAM, HiResCAM has 0 by definition; Grad-CAM shares it where the gradient is the
/// same at all places. Both arrays at the layer's resolution: resizing carries attention to neighbouring places.
///
/// # Errors
/// [`Error::Undefined`] for a map without positive cells; [`Error::Argument`] for another shape.
pub fn unused_share(map: ArrayViewD<'_, f64>, contributions: ArrayViewD<'_, f64>) -> Result<f64, Error> {
    let shown = attention(&map, Attention::Positive)?;
    beside(&map, "contributions", &contributions)?;
    let total: f64 = shown.iter().sum();
    if total == 0.0 {
        return undefined(ROW.name, "no cell of the map is positive");
    }
    let unused = shown.iter().zip(cells("contributions", &contributions)?).filter(|(_, c)| *c <= 0.0);
    Ok(unused.map(|(v, _)| v).sum::<f64>() / total)
}
