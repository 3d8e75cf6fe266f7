//! Saliency.

use super::{Guarantee, Method};

/// max_c |∂s/∂x_c| over the image's channels: how fast the score changes with each place, in units of the score for
/// one unit of the image. Simonyan et al. 2014, arXiv:1312.6034, section 3.1.
///
/// # Differs from the paper
/// Nothing.
pub const METHOD: Method = Method {
    name: "saliency",
    title: "Saliency",
    formula: "max_c |∂s/∂x_c|, at the image x",
    source: "Simonyan et al. 2014, arXiv:1312.6034, section 3.1",
    map: |s| {
        let g = s.gradient;
        let size = g.gt(g.scalar(0.0)).select(g, -g);
        // The largest along an axis is taken of the last.
        let mut perm: Vec<usize> = (0..g.rank()).collect();
        perm.swap(s.channels, g.rank().saturating_sub(1));
        Ok(size.transpose(&perm).top_k(1).0.transpose(&perm))
    },
    guarantee: |_| Guarantee::Local,
    but: "shows how fast the score changes with a place, not what the place contributes",
    at_image: true,
    scored: false,
    ..Method::BASE
};
