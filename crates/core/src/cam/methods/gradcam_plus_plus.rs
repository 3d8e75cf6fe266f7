//! Grad-CAM++.

use super::input::ratio;
use super::{Guarantee, Method};

/// Σ_c w_c · A_c with w_c = Σ_places α_c ⊙ relu(g_c) and α_c = g_c² / (2 g_c² + g_c³ · Σ_places A_c). Chattopadhyay et
/// al. 2018, arXiv:1710.11063, eq. 19.
///
/// Σ A in the denominator is the channel's sum, not Σ A·g³ as in some implementations. Divided through by g², α is
/// 1 / (2 + g · Σ A); where g = 0 the weight is 0. For activations that are never negative the denominator is then at
/// least 2 wherever relu(g) is not 0, so nothing needs guarding.
///
/// # Differs from the paper
/// - The paper explains Y = exp(s). In α the exponential cancels; in ∂Y/∂A it is one positive factor, exp(s), for the
///   whole map, which overflows f32 at s > 88. It is left out.
/// - A denominator of exactly 0, which needs a negative Σ A, gives the weight 0.
/// - The paper rectifies the map. Here that is a step of its own, on request.
pub const METHOD: Method = Method {
    name: "gradcam++",
    title: "Grad-CAM++",
    formula: "Σ_c w_c · A_c, w_c = Σ_places α_c ⊙ relu(g_c), α_c = g_c² / (2 g_c² + g_c³ · Σ_places A_c)",
    source: "Chattopadhyay et al. 2018, arXiv:1710.11063, eq. 19",
    map: |s| {
        let alpha_g = ratio(s.gradient, s.gradient * s.sum(s.activation) + 2.0);
        Ok(s.weigh(s.sum(s.gradient.where_gt(0.0, alpha_g))))
    },
    guarantee: |_| Guarantee::None,
    but: "weighs whole channels, by positive gradients only, and not in units of the score",
    caution: "Grad-CAM++ divides by 2 + g · Σ A, which a negative channel brings near 0; a few channels can then drown the rest. Take a layer after a ReLU",
    scored: false,
    ..Method::BASE
};
