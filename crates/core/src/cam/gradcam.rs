//! Grad-CAM.

use super::{Method, Site};
use crate::build::Value;
use crate::shape::Dim;

/// Σ_c mean_places(∂s/∂A_c) · A_c, raw and signed, in units of the score. Selvaraju et al. 2017, arXiv:1610.02391, eq. 1–2.
///
/// # Differs from the paper
/// The paper rectifies the map (eq. 2). Here that is a step of its own, on request.
pub const METHOD: Method = Method {
    name: "gradcam",
    title: "Grad-CAM",
    formula: "Σ_c mean_places(∂s/∂A_c) · A_c",
    source: "Selvaraju et al. 2017, arXiv:1610.02391",
    map,
    faithful: false,
};

fn map<'g>(s: &Site<'g, '_>) -> Value<'g> {
    // A gradient that has shrunk to an extent of 1 along an axis is its own mean there.
    let dims = s.gradient.dims();
    let spread: Vec<usize> = s.space.iter().copied().filter(|&a| dims.get(a) != Some(&Dim::Fixed(1))).collect();
    let weights = if spread.is_empty() { s.gradient } else { s.gradient.mean(&spread, true) };
    (s.activation * weights).reduce_sum(&[s.channels], true)
}
