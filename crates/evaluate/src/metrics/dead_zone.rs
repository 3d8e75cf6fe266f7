//! The dead-zone ratio.

use super::{Better, Row, beside, cells};
use crate::Error;
use crate::error::undefined;
use ndarray::ArrayViewD;

/// [`dead_zone_ratio`] for people.
pub const ROW: Row = Row {
    name: "dead-zone-ratio",
    what: "How much of the map lies where the network provably cannot see.",
    formula: "‖h[D]‖₂ / ‖h‖₂",
    range: "0 to 1",
    better: Better::Lower,
    source: "Taimeskhanov et al. 2024, arXiv:2404.01964",
    needs: "a mask D of places that the score cannot depend on",
    blind: "anything about places that the network can see; resizing carries a map over D's border",
};

/// ‖h\[D\]‖₂ / ‖h‖₂ with D the places that the score cannot depend on, whatever the image: the share of the map, in the
/// Euclidean norm, at places that the network cannot see. Taimeskhanov et al. 2024, arXiv:2404.01964.
///
/// HiResCAM has 0 at the layer's resolution, for any head. The paper measures resized maps, where what lies beside D leaks
/// over its border.
///
/// # Errors
/// [`Error::Undefined`] for a map of zeros; [`Error::Argument`] for another shape.
pub fn dead_zone_ratio(map: ArrayViewD<'_, f64>, dead: ArrayViewD<'_, bool>) -> Result<f64, Error> {
    let (values, dead) = (cells("map", &map)?, beside(&map, "dead zone", &dead)?);
    // Over the largest, so that no square overflows or vanishes.
    let largest = values.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    if largest == 0.0 {
        return undefined(ROW.name, "the map is 0 everywhere");
    }
    let squares = values.iter().map(|v| (v / largest).powi(2));
    let within: f64 = squares.clone().zip(dead).filter(|(_, dead)| *dead).map(|(v, _)| v).sum();
    Ok((within / squares.sum::<f64>()).sqrt())
}
