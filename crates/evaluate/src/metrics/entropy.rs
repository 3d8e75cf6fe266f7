//! Complexity as entropy.

use super::{Attention, Better, Row, attention};
use crate::Error;
use crate::error::undefined;
use ndarray::ArrayViewD;

/// [`entropy`] for people.
pub const ROW: Row = Row {
    name: "entropy",
    what: "Over how many places the attention is spread: the entropy of its shares (Bhatt's complexity).",
    formula: "− Σ p ln p, p = |h| / Σ |h|",
    range: "0 (one place) to ln n (all the same), in nats",
    better: Better::Neither,
    source: "Bhatt et al. 2020, arXiv:2005.00631",
    needs: "nothing",
    blind: "whether it is the right places; maps of different sizes cannot be compared",
};

/// − Σ p ln p with p = |h| / Σ |h|: the entropy of the shares of attention, in nats. 0 where one place has all of it, ln n where
/// all have the same. Bhatt et al. 2020, arXiv:2005.00631 (complexity). e to its power is the number of places
/// that as many equal ones would be.
///
/// # Errors
/// [`Error::Undefined`] for a map of zeros.
pub fn entropy(map: ArrayViewD<'_, f64>) -> Result<f64, Error> {
    let shown = attention(&map, Attention::Absolute)?;
    let total: f64 = shown.iter().sum();
    if total == 0.0 {
        return undefined(ROW.name, "the map is 0 everywhere");
    }
    // A place without attention has no part: p ln p goes to 0 with p. Adding 0 makes −0 a 0.
    let parts = shown.iter().map(|v| v / total).filter(|p| *p > 0.0).map(|p| -p * p.ln());
    Ok(parts.sum::<f64>() + 0.0)
}
