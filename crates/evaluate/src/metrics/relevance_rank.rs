//! Relevance rank accuracy.

use super::{Attention, Better, Row, attention, truth};
use crate::Error;
use crate::error::undefined;
use ndarray::ArrayViewD;

/// [`relevance_rank`] for people.
pub const ROW: Row = Row {
    name: "relevance-rank",
    what: "How many of the strongest places lie on the object, of as many as it has.",
    formula: "|top-k places of |h| within G| / k, k = |G|",
    range: "0 to 1",
    better: Better::Higher,
    source: "Arras et al. 2022, arXiv:2003.07258",
    needs: "a mask G of the object",
    blind: "how strong places are, beyond their order; whether the network used the object",
};

/// |top-k ∩ G| / |G| with k = |G| and top-k the places with the largest |h|: how well the order of places finds the object.
/// Arras et al. 2022, arXiv:2003.07258. Cells that are `void` are no places.
///
/// Where places with the same |h| do not all fit among the k, they count with the share of them that fits, which is the
/// mean over all ways to break the tie. So a map of zeros has |G| / n.
///
/// # Differs from Quantus
/// It breaks ties by the order of places, and takes the k largest h where it is not told to take |h|.
///
/// # Errors
/// [`Error::Undefined`] for an object without cells; [`Error::Argument`] for another shape.
pub fn relevance_rank(
    map: ArrayViewD<'_, f64>,
    object: ArrayViewD<'_, bool>,
    void: Option<ArrayViewD<'_, bool>>,
) -> Result<f64, Error> {
    let (shown, truth) = (attention(&map, Attention::Absolute)?, truth(&map, &object, void.as_ref())?);
    let mut places: Vec<(f64, bool)> = shown.into_iter().zip(truth).filter_map(|(v, t)| Some((v, t?))).collect();
    let inside = |places: &[(f64, bool)]| places.iter().filter(|(_, inside)| *inside).count();
    let wanted = inside(&places);
    if wanted == 0 {
        return undefined(ROW.name, "the object has no cells");
    }
    places.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut found, mut left) = (0.0, wanted);
    for ties in places.chunk_by(|a, b| a.0 == b.0) {
        let taken = left.min(ties.len());
        found += inside(ties) as f64 * taken as f64 / ties.len() as f64;
        left -= taken;
    }
    Ok(found / wanted as f64)
}
