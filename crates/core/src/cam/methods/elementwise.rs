//! Element-wise Grad-CAM.

use super::input::rectify;
use super::{Guarantee, Method};

/// Σ_c relu(A_c ⊙ g_c), in units of the score: HiResCAM rectified before the sum over channels instead of after it.
/// Known from the library pytorch-grad-cam (Gildenblat and contributors, 2021), without a paper.
///
/// For activations that are never negative it is LayerCAM.
pub const METHOD: Method = Method {
    name: "elementwise-gradcam",
    title: "Element-wise Grad-CAM",
    formula: "Σ_c relu(A_c ⊙ g_c)",
    source: "pytorch-grad-cam, GradCAMElementWise",
    map: |s| Ok(rectify(s.activation * s.gradient).reduce_sum(&[s.channels], true)),
    guarantee: |_| Guarantee::Local,
    but: "leaves out negative contributions before it sums over channels, so it shows evidence for the class only, and too much of it",
    ..Method::BASE
};
