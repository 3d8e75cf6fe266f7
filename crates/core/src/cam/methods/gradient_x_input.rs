//! Gradient × input.

use super::Method;

/// Σ_c x_c ⊙ ∂s/∂x_c over the image's channels, raw and signed, in units of the score: HiResCAM at the image. Shrikumar
/// et al. 2016, arXiv:1605.01713.
///
/// # Differs from the paper
/// The paper gives one value for each channel of the image; here they are summed. The image is the network's input
/// after preprocessing: what the preprocessing makes 0 gets 0.
pub const METHOD: Method = Method {
    name: "gradient-x-input",
    title: "Gradient × input",
    formula: "Σ_c x_c ⊙ ∂s/∂x_c, at the image x",
    source: "Shrikumar et al. 2016, arXiv:1605.01713",
    at_image: true,
    ..Method::BASE
};
