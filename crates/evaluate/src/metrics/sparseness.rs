//! Sparseness.

use super::{Attention, Better, Row, attention};
use crate::Error;
use crate::error::undefined;
use ndarray::ArrayViewD;

/// [`sparseness`] for people.
pub const ROW: Row = Row {
    name: "sparseness",
    what: "How unequally the attention is shared among places: the Gini index.",
    formula: "Σ_i (2i − n − 1) a_i / (n Σ a), a = |h| in ascending order, i = 1 … n",
    range: "0 (all the same) to 1 − 1/n (one place)",
    better: Better::Neither,
    source: "Chalasani et al. 2020, arXiv:1810.06583",
    needs: "nothing",
    blind: "whether it is the right few places; the order of places does not matter",
};

/// The Gini index of |h|: Σ_i (2i − n − 1) a_i / (n Σ a) with a = |h| in ascending order, i = 1 … n. 0 where all places have
/// the same attention, 1 − 1/n where one has all. Chalasani et al. 2020, arXiv:1810.06583.
///
/// # Differs from Quantus
/// It adds 10⁻⁷ to every value, which makes weak maps less sparse than they are, and takes the values as they come where it
/// is not told to take |h|.
///
/// # Errors
/// [`Error::Undefined`] for a map of zeros.
pub fn sparseness(map: ArrayViewD<'_, f64>) -> Result<f64, Error> {
    let mut values = attention(&map, Attention::Absolute)?;
    values.sort_by(f64::total_cmp);
    let (n, total) = (values.len() as f64, values.iter().sum::<f64>());
    if total == 0.0 {
        return undefined(ROW.name, "the map is 0 everywhere");
    }
    let weighted: f64 = values.iter().zip(1..).map(|(a, i)| (2.0 * f64::from(i) - n - 1.0) * (a / total)).sum();
    Ok(weighted / n)
}
