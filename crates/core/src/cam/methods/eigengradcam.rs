//! Eigen-Grad-CAM.

use super::eigencam::principal;
use super::{Guarantee, Method};

/// M · v with M = A ⊙ g as a matrix `[places, channels]` and v its first right singular vector: Eigen-CAM of the
/// contributions instead of the activation. Known from the library pytorch-grad-cam (Gildenblat and contributors,
/// 2021), without a paper.
///
/// The sign is the one for which Σ_c v_c ≥ 0, so that the map goes with HiResCAM, M · 1; where Σ_c v_c is near 0 it is
/// only a convention. Where the two largest singular values differ by less than 1 %, the map is a mixture of two.
///
/// # Differs from the library
/// It takes each channel's mean off first, so that places without any contribution get something else than 0. Here
/// they get 0.
pub const METHOD: Method = Method {
    name: "eigengradcam",
    title: "Eigen-Grad-CAM",
    formula: "M · v, v the first right singular vector of M = A ⊙ g [places × channels]",
    source: "pytorch-grad-cam, EigenGradCAM",
    map: |s| Ok(principal(s, s.activation * s.gradient)),
    guarantee: |_| Guarantee::Local,
    but: "shows one component of the contributions, scaled to length 1, instead of their sum",
    ..Method::BASE
};
