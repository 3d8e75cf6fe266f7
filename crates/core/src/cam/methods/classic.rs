//! CAM, the method that the others descend from.

use super::{Guarantee, Method};
use crate::error::unsupported;

/// Σ_c w_c · A_c with w_c the weight that the last layer gives to the mean of channel c. Zhou et al. 2016,
/// arXiv:1512.04150, eq. 2.
///
/// The weight is read off the gradient: where s = Σ_c w_c · mean(A_c) + b, ∂s/∂A_c is w_c / places. So CAM is HiResCAM
/// times the number of places, and the *mean* of the map plus b is the score.
///
/// # Differs from the paper
/// The head may be several linear layers and batch normalisations, which are one linear layer together. Any other head
/// is refused, as in the paper.
pub const METHOD: Method = Method {
    name: "cam",
    title: "CAM",
    formula: "Σ_c w_c · A_c, w_c = places · g_c",
    source: "Zhou et al. 2016, arXiv:1512.04150, eq. 2",
    map: |s| match s.is_uniform(s.gradient) {
        true => Ok(s.weigh(s.gradient) * s.places() as f64),
        false => unsupported(
            "CAM is defined for a score that is linear in the layer's means (global average pooling, then linear layers), and here the gradient differs from place to place. hirescam needs no such head",
        ),
    },
    guarantee: |_| Guarantee::Mean,
    scored: false,
    ..Method::BASE
};
