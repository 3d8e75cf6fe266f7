//! The energy-based pointing game.

use super::{Attention, Better, Row, attention, truth};
use crate::Error;
use crate::error::undefined;
use ndarray::ArrayViewD;

/// [`energy_pointing_game`] for people.
pub const ROW: Row = Row {
    name: "energy-pointing-game",
    what: "The share of the positive attention that lies on the object.",
    formula: "Σ_G h⁺ / Σ h⁺",
    range: "0 to 1",
    better: Better::Higher,
    source: "Wang et al. 2020 (Score-CAM), arXiv:1910.01279",
    needs: "a mask G of the object",
    blind: "whether the network used the object: a faithful map of a network that looks at the background is rightly low; large objects are easy",
};

/// Σ_G h⁺ / Σ h⁺: the share of the positive attention that lies on the object. h⁺ = max(h, 0), so the map can be raw or
/// rectified, and its scale does not matter. Wang et al. 2020 (Score-CAM), arXiv:1910.01279.
///
/// Cells that are `void` (VOC's borders, 255) count neither as object nor as attention. Against masks instead of boxes
/// this is also called attribution localisation; see [`relevance_mass`](super::relevance_mass()) for |h|.
///
/// # Errors
/// [`Error::Undefined`] for a map without positive cells or an object without cells; [`Error::Argument`] for another shape.
pub fn energy_pointing_game(
    map: ArrayViewD<'_, f64>,
    object: ArrayViewD<'_, bool>,
    void: Option<ArrayViewD<'_, bool>>,
) -> Result<f64, Error> {
    share(ROW.name, &map, &object, void.as_ref(), Attention::Positive)
}

/// The share of the attention that lies inside.
pub(super) fn share(
    metric: &'static str,
    map: &ArrayViewD<'_, f64>,
    object: &ArrayViewD<'_, bool>,
    void: Option<&ArrayViewD<'_, bool>>,
    which: Attention,
) -> Result<f64, Error> {
    let (shown, truth) = (attention(map, which)?, truth(map, object, void)?);
    if !truth.contains(&Some(true)) {
        return undefined(metric, "the object has no cells");
    }
    let sum = |wanted: fn(Option<bool>) -> bool| {
        shown.iter().zip(&truth).filter(|(_, t)| wanted(**t)).map(|(v, _)| v).sum::<f64>()
    };
    let all = sum(|t| t.is_some());
    if all == 0.0 {
        return undefined(metric, "the map shows no attention");
    }
    Ok(sum(|t| t == Some(true)) / all)
}
