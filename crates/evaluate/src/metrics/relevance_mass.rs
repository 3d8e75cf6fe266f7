//! Relevance mass accuracy.

use super::energy::share;
use super::{Attention, Better, Row};
use crate::Error;
use ndarray::ArrayViewD;

/// [`relevance_mass`] for people.
pub const ROW: Row = Row {
    name: "relevance-mass",
    what: "The share of the attention, of either sign, that lies on the object.",
    formula: "Σ_G |h| / Σ |h|",
    range: "0 to 1",
    better: Better::Higher,
    source: "Arras et al. 2022, arXiv:2003.07258",
    needs: "a mask G of the object",
    blind: "whether the network used the object; the sign of what lies on it; large objects are easy",
};

/// Σ_G |h| / Σ |h|: the share of the attention, of either sign, that lies on the object. Arras et al. 2022,
/// arXiv:2003.07258, where relevance is pooled over channels to values of no sign; of a map with one value a place
/// that is |h|. Cells that are `void` count for neither.
///
/// # Errors
/// [`Error::Undefined`] for a map of zeros or an object without cells; [`Error::Argument`] for another shape.
pub fn relevance_mass(
    map: ArrayViewD<'_, f64>,
    object: ArrayViewD<'_, bool>,
    void: Option<ArrayViewD<'_, bool>>,
) -> Result<f64, Error> {
    share(ROW.name, &map, &object, void.as_ref(), Attention::Absolute)
}
