//! Complexity as a mean.

use super::{Better, Row, unit};
use crate::Error;
use ndarray::ArrayViewD;

/// [`complexity`] for people.
pub const ROW: Row = Row {
    name: "complexity",
    what: "How much of the image the heatmap keeps: its mean (Poppi's complexity).",
    formula: "Σ h / n, h within 0 and 1",
    range: "0 to 1",
    better: Better::Lower,
    source: "Poppi et al. 2021, arXiv:2104.10252",
    needs: "a heatmap within 0 and 1",
    blind: "whether it keeps the right places; a map of zeros is best",
};

/// Σ |h| / n of a heatmap within 0 and 1: how much of the image it keeps when it multiplies it. Poppi et al. 2021,
/// arXiv:2104.10252.
///
/// # Errors
/// [`Error::Argument`] for a map with values below 0 or above 1.
pub fn complexity(map: ArrayViewD<'_, f64>) -> Result<f64, Error> {
    let values = unit(&map)?;
    Ok(values.iter().sum::<f64>() / values.len() as f64)
}
