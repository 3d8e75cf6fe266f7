//! What a method sees, and the sums that methods are made of.

use crate::build::Value;
use crate::shape::Dim;

/// What a method sees. Axes that count neither channels nor places count images, or classes.
pub struct Site<'g, 'a> {
    /// A.
    pub activation: Value<'g>,
    /// g = ∂s/∂A; an extent of 1 stands for a gradient that is the same all along the axis.
    pub gradient: Value<'g>,
    /// The axis that counts channels.
    pub channels: usize,
    /// The axes that count places.
    pub space: &'a [usize],
}

impl<'g> Site<'g, '_> {
    /// How many places there are.
    pub fn places(&self) -> usize {
        let sizes = self.activation.sizes();
        self.space.iter().filter_map(|&a| sizes.get(a)).product()
    }

    /// Σ_c A_c ⊙ w_c, for weights whose extents of 1 stand for whole axes.
    pub fn weigh(&self, weights: Value<'g>) -> Value<'g> {
        (self.activation * weights).reduce_sum(&[self.channels], true)
    }

    /// The axes of space along which `v` is written out.
    fn spread(&self, v: Value<'g>) -> Vec<usize> {
        let dims = v.dims();
        self.space.iter().copied().filter(|&a| dims.get(a) != Some(&Dim::Fixed(1))).collect()
    }

    /// Whether `v` is the same at all places.
    pub fn is_uniform(&self, v: Value<'g>) -> bool {
        self.spread(v).is_empty()
    }

    /// The mean over places.
    pub fn mean(&self, v: Value<'g>) -> Value<'g> {
        // What has shrunk to an extent of 1 along an axis is its own mean there.
        if self.is_uniform(v) { v } else { v.mean(&self.spread(v), true) }
    }

    /// The sum over places.
    pub fn sum(&self, v: Value<'g>) -> Value<'g> {
        let (axes, sizes) = (self.spread(v), v.sizes());
        let summed: usize = axes.iter().filter_map(|&a| sizes.get(a)).product();
        let v = if axes.is_empty() { v } else { v.reduce_sum(&axes, true) };
        let times = self.places() / summed.max(1);
        if times == 1 { v } else { v * times as f64 }
    }

    /// A method's map written out over all places, without the channel axis.
    pub(super) fn finish(&self, map: Value<'g>) -> Value<'g> {
        let map = map.expand_as(self.activation.slice(self.channels, 0, 1, 1));
        let mut dims = map.dims();
        if self.channels < dims.len() {
            dims.remove(self.channels);
        }
        map.reshape(&dims)
    }
}

/// x where it is positive, else 0.
pub fn rectify(x: Value<'_>) -> Value<'_> {
    x.where_gt(0.0, x)
}

/// `over` / `under`, and 0 where `under` is 0.
pub fn ratio<'g>(over: Value<'g>, under: Value<'g>) -> Value<'g> {
    let (ratio, zero) = (over / under, over.scalar(0.0));
    under.gt(zero).select(ratio, under.lt(zero).select(ratio, zero))
}
