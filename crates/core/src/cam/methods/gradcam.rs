//! Grad-CAM.

use super::{Guarantee, Method};

/// Σ_c mean_places(∂s/∂A_c) · A_c, raw and signed, in units of the score. Selvaraju et al. 2017, arXiv:1610.02391, eq. 1–2.
///
/// # Differs from the paper
/// The paper rectifies the map (eq. 2). Here that is a step of its own, on request.
pub const METHOD: Method = Method {
    name: "gradcam",
    title: "Grad-CAM",
    formula: "Σ_c mean_places(g_c) · A_c",
    source: "Selvaraju et al. 2017, arXiv:1610.02391, eq. 1–2",
    map: |s| Ok(s.weigh(s.mean(s.gradient))),
    guarantee: |uniform| if uniform { Guarantee::Faithful } else { Guarantee::None },
    but: "averages the gradient over places, and here nothing says that it is the same at all of them",
    ..Method::BASE
};
