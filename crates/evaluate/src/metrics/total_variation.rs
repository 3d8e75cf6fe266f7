//! Total variation.

use super::{Better, Row, cells};
use crate::Error;
use crate::error::undefined;
use ndarray::{ArrayViewD, Axis, Slice};

/// [`total_variation`] for people.
pub const ROW: Row = Row {
    name: "total-variation",
    what: "How rough the map is: the mean difference of neighbouring places.",
    formula: "mean |h_p − h_q| / max |h| over neighbours p, q along an axis",
    range: "0 to 2 (0 to 1 for rectified maps)",
    better: Better::Neither,
    source: "Rudin et al. 1992, 10.1016/0167-2789(92)90242-F, with differences along the axes; the \"smoother\" of Draelos & Carin 2020, arXiv:2011.08891, as a number",
    needs: "nothing",
    blind: "whether smooth is right; maps of different resolutions cannot be compared, nor one with itself resized",
};

/// The mean of |h_p − h_q| over all pairs of neighbours along an axis, over max |h|: how rough a map is, whatever its scale.
/// The total variation of Rudin et al. 1992, 10.1016/0167-2789(92)90242-F, with the absolute differences along the axes
/// instead of the gradient's length, a pair. Draelos & Carin 2020, arXiv:2011.08891, say that Grad-CAM's maps are
/// smoother than HiResCAM's. A constant map has 0, a chessboard of 0 and 1 has 1, of −1 and 1 it has 2.
///
/// # Errors
/// [`Error::Undefined`] for a map of zeros or of a single cell.
pub fn total_variation(map: ArrayViewD<'_, f64>) -> Result<f64, Error> {
    let largest = cells("map", &map)?.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    if largest == 0.0 || map.len() == 1 {
        return undefined(ROW.name, "the map is 0 everywhere, or has one cell only");
    }
    let (mut sum, mut pairs) = (0.0, 0usize);
    for axis in (0..map.ndim()).map(Axis) {
        let before = map.slice_axis(axis, Slice::from(..map.len_of(axis) - 1));
        let after = map.slice_axis(axis, Slice::from(1..));
        sum += before.iter().zip(after.iter()).map(|(p, q)| (p / largest - q / largest).abs()).sum::<f64>();
        pairs += before.len();
    }
    Ok(sum / pairs as f64)
}
