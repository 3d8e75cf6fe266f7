//! XGrad-CAM.

use super::input::ratio;
use super::{Guarantee, Method};

/// Σ_c w_c · A_c with w_c = Σ_places (A_c ⊙ g_c) / Σ_places A_c, raw and signed, in units of the score. Fu et al. 2020,
/// arXiv:2008.02312.
///
/// Each channel keeps its total, so Σ map is HiResCAM's; but the total is spread over the channel's whole footprint.
/// A channel that is 0 everywhere has no weight and needs none.
///
/// # Differs from the paper
/// Where the gradient is the same at all places, w_c is that gradient, also for a channel whose activations cancel to
/// a sum of 0. Elsewhere such a channel gets the weight 0, and its total is lost.
pub const METHOD: Method = Method {
    name: "xgradcam",
    title: "XGrad-CAM",
    formula: "Σ_c w_c · A_c, w_c = Σ_places (A_c ⊙ g_c) / Σ_places A_c",
    source: "Fu et al. 2020, arXiv:2008.02312",
    map: |s| {
        if s.is_uniform(s.gradient) {
            return Ok(s.weigh(s.gradient));
        }
        Ok(s.weigh(ratio(s.sum(s.activation * s.gradient), s.sum(s.activation))))
    },
    guarantee: |uniform| if uniform { Guarantee::Faithful } else { Guarantee::Total },
    but: "spreads a channel's contribution over all places where the channel is active, used or not",
    caution: "XGrad-CAM divides by a channel's sum, which is near 0 where its values cancel; a few channels can then drown the rest. Take a layer after a ReLU",
    ..Method::BASE
};
