//! LayerCAM.

use super::input::rectify;
use super::{Guarantee, Method};

/// Σ_c relu(g_c) ⊙ A_c, in units of the score. Jiang et al. 2021, IEEE Transactions on Image Processing 30:5875–5888.
///
/// # Differs from the paper
/// The paper rectifies the map; for activations that are never negative this changes nothing. It also fuses maps of
/// several layers; this is the map of one.
pub const METHOD: Method = Method {
    name: "layercam",
    title: "LayerCAM",
    formula: "Σ_c relu(g_c) ⊙ A_c",
    source: "Jiang et al. 2021, IEEE TIP 30:5875",
    map: |s| Ok(s.weigh(rectify(s.gradient))),
    guarantee: |_| Guarantee::Local,
    but: "leaves out negative gradients, and with them a part of what places contribute",
    ..Method::BASE
};
