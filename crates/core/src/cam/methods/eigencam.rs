//! Eigen-CAM, and the principal component that it takes.

use super::{Guarantee, Method, MethodInput};
use crate::build::Value;
use crate::shape::Dim;

/// A · v with A as a matrix `[places, channels]` and v its first right singular vector. Muhammad & Yeasin 2020,
/// arXiv:2008.00299.
///
/// The map is the same for every class. Its sign is the one for which Σ_c v_c ≥ 0, so that the map goes with the plain
/// sum over channels; after a ReLU no cell is negative. Where the two largest singular values differ by less than 1 %,
/// the component is not well defined, and the map is a mixture of two.
///
/// # Differs from the paper
/// Nothing. (pytorch-grad-cam takes each channel's mean off first, which the paper does not.)
pub const METHOD: Method = Method {
    name: "eigencam",
    title: "Eigen-CAM",
    formula: "A · v, v the first right singular vector of A [places × channels]",
    source: "Muhammad & Yeasin 2020, arXiv:2008.00299",
    map: |s| Ok(principal(s, s.activation)),
    guarantee: |_| Guarantee::None,
    but: "does not look at the score at all: the map is the same for every class",
    caution: "the sign of Eigen-CAM's map is only a convention",
    scored: false,
    ..Method::BASE
};

/// How often the Gram matrix is squared. (σ₂/σ₁)^(2·2¹⁰) is below f32's rounding, 6·10⁻⁸, for singular values that
/// differ by 1 %.
const SQUARINGS: usize = 10;

/// The projection of `m`, as a matrix `[places, channels]`, on its first right singular vector; 0 where `m` is 0.
///
/// The Gram matrix of the smaller side is squared again and again: after n squarings its second eigenvalue is smaller
/// than its first by (σ₂/σ₁)^(2·2ⁿ), and any column is the first eigenvector. The longest one is taken.
pub fn principal<'g>(s: &MethodInput<'g, '_>, m: Value<'g>) -> Value<'g> {
    // [images, channels, places]
    let turned = s.channels_first(m);
    let mut dims = turned.dims();
    let (lead, rest) = dims.split_at(dims.len().saturating_sub(s.space.len() + 1));
    let (channels, places) = (rest.first().map_or(1, |d| d.per_image()), s.places());
    let x = turned.reshape(&[lead, &[Dim::Fixed(channels), Dim::Fixed(places)]].concat());
    let (row, column) = (lead.len(), lead.len() + 1);

    let square = |v: Value<'g>| (v * v).reduce_sum(&[row, column], true);
    // Sums of squares are 0 only where all is 0.
    let nonzero = |v: Value<'g>| v.gt(v.scalar(0.0)).select(v, v.scalar(1.0));
    let few_channels = channels <= places;
    let mut gram = if few_channels { x.matmul(x.swap_last()) } else { x.swap_last().matmul(x) };
    // With a trace of 1 the largest eigenvalue neither vanishes nor overflows; the trace of G·G is Σ G².
    gram = gram / nonzero(square(x));
    for _ in 0..SQUARINGS {
        gram = gram.matmul(gram) / nonzero(square(gram));
    }
    let longest = (gram * gram).reduce_sum(&[row], true).arg_max(column);
    let chosen = longest.equal(longest.iota(channels.min(places))).cast(gram.dtype());
    let vector = (gram * chosen).reduce_sum(&[column], true);
    let v = if few_channels { vector } else { x.matmul(vector) };
    let v = v / nonzero(square(v)).sqrt();
    let v = v.reduce_sum(&[row], true).lt(v.scalar(0.0)).select(-v, v);

    if let Some(d) = dims.get_mut(row) {
        *d = Dim::Fixed(1);
    }
    s.channels_back(v.swap_last().matmul(x).reshape(&dims))
}
