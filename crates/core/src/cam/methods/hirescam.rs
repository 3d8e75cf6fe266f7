//! HiResCAM.

use super::Method;

/// Σ_c A_c ⊙ ∂s/∂A_c, raw and signed, in units of the score. Draelos & Carin 2020, arXiv:2011.08891.
///
/// # Differs from the paper
/// The paper rectifies the map for display. Here that is a step of its own, on request.
pub const METHOD: Method = Method {
    name: "hirescam",
    title: "HiResCAM",
    formula: "Σ_c A_c ⊙ g_c",
    source: "Draelos & Carin 2020, arXiv:2011.08891",
    ..Method::BASE
};
