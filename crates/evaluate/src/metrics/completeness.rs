//! Completeness.

use super::{Better, Row, cells};
use crate::Error;
use crate::error::{argument, undefined};
use ndarray::ArrayViewD;

/// [`completeness_residual`] for people.
pub const RESIDUAL: Row = Row {
    name: "completeness-residual",
    what: "How much of the score the cells of the map and the bias leave over.",
    formula: "|s − b − Σ h|",
    range: "0 to ∞, in units of the score",
    better: Better::Lower,
    source: "Sundararajan et al. 2017, arXiv:1703.01365, proposition 1; Draelos & Carin 2020, arXiv:2011.08891",
    needs: "score s, bias b",
    blind: "where the cells lie: XGrad-CAM has HiResCAM's sum at other places",
};

/// [`completeness_error`] for people.
pub const ERROR: Row = Row {
    name: "completeness-error",
    what: "The completeness residual as a share of what the map had to explain.",
    formula: "|s − b − Σ h| / |s − b|",
    range: "0 to ∞",
    ..RESIDUAL
};

/// |s − b − Σ h|: what the cells of a raw, signed map leave over of the score s, in units of the score. b is the score where
/// nothing is there to be explained: of HiResCAM at a layer the score at an activation of 0, of integrated gradients that of
/// the baseline.
///
/// Sundararajan et al. 2017, arXiv:1703.01365, proposition 1; for HiResCAM with one linear layer after the target layer Draelos & Carin 2020,
/// arXiv:2011.08891. 0 up to rounding says that the map accounts for the whole score. It does not say that the cells
/// are at the right places: XGrad-CAM passes, too. Rectified, normalised or resized maps have lost the property.
///
/// # Differs from Quantus
/// Its `Completeness` asks for exact equality of floats, which hardly any map has.
///
/// # Errors
/// [`Error::NotFinite`].
pub fn completeness_residual(map: ArrayViewD<'_, f64>, score: f64, bias: f64) -> Result<f64, Error> {
    if !(score.is_finite() && bias.is_finite()) {
        return argument(format!("the score {score} and the bias {bias} have to be numbers"));
    }
    Ok((score - bias - cells("map", &map)?.iter().sum::<f64>()).abs())
}

/// [`completeness_residual`] / |s − b|, so that images can be compared.
///
/// # Errors
/// [`Error::Undefined`] where score and bias are the same.
pub fn completeness_error(map: ArrayViewD<'_, f64>, score: f64, bias: f64) -> Result<f64, Error> {
    let residual = completeness_residual(map, score, bias)?;
    if score == bias {
        return undefined(ERROR.name, format!("the score is the bias, {score}, and leaves nothing to be explained"));
    }
    Ok(residual / (score - bias).abs())
}
