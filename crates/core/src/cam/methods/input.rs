//! What a method sees, and the sums that methods are made of.

use crate::build::Value;
use crate::shape::Dim;

/// What a method sees. Of the axes that count neither channels nor places, the first counts images; a second, where the
/// activation has an extent of 1, counts classes.
pub struct MethodInput<'g, 'a> {
    /// A.
    pub activation: Value<'g>,
    /// g = ∂s/∂A; an extent of 1 stands for a gradient that is the same all along the axis.
    pub gradient: Value<'g>,
    /// The axis that counts channels.
    pub channels: usize,
    /// The axes that count places.
    pub space: &'a [usize],
}

impl<'g> MethodInput<'g, '_> {
    /// How many places there are.
    pub fn places(&self) -> usize {
        let sizes = self.activation.sizes();
        self.space.iter().filter_map(|&a| sizes.get(a)).product()
    }

    /// Σ_c A_c ⊙ w_c, for weights whose extents of 1 stand for whole axes.
    pub fn weigh(&self, weights: Value<'g>) -> Value<'g> {
        let sum = || (self.activation * weights).reduce_sum(&[self.channels], true);
        self.product(weights).unwrap_or_else(sum)
    }

    /// The same as one matrix product, where there are several classes: `A ⊙ w` of all classes would be large.
    fn product(&self, weights: Value<'g>) -> Option<Value<'g>> {
        let [a, w] = [self.activation, weights].map(|v| self.channels_first(v));
        let (dims, of_w) = (a.dims(), w.dims());
        let [images, Dim::Fixed(1), Dim::Fixed(c), space @ ..] = dims.as_slice() else { return None };
        let [lead, Dim::Fixed(m), Dim::Fixed(of_c), of_space @ ..] = of_w.as_slice() else { return None };
        if self.space.len() + 3 != dims.len() || *m == 1 || of_c != c {
            return None;
        }
        let (p, c, m) = (Dim::Fixed(self.places()), Dim::Fixed(*c), Dim::Fixed(*m));
        let a = a.reshape(&[*images, c, p]);
        let map = if self.is_uniform(weights) {
            w.reshape(&[*lead, m, c]).matmul(a)
        } else if *lead == Dim::Fixed(1) && of_space == space {
            let by_place = w.reshape(&[m, c, p]).transpose(&[2, 1, 0]);
            a.transpose(&[2, 0, 1]).matmul(by_place).transpose(&[1, 2, 0])
        } else {
            return None;
        };
        Some(self.channels_back(map.reshape(&[&[*images, m, Dim::Fixed(1)], space].concat())))
    }

    /// The axes in order: those that count neither channels nor places, then channels, then places.
    fn order(&self) -> Vec<usize> {
        let lead = (0..self.activation.rank()).filter(|a| *a != self.channels && !self.space.contains(a));
        lead.chain([self.channels]).chain(self.space.iter().copied()).collect()
    }

    /// `v` with the channels before the places.
    pub fn channels_first(&self, v: Value<'g>) -> Value<'g> {
        v.transpose(&self.order())
    }

    /// The way back from [`MethodInput::channels_first`].
    pub fn channels_back(&self, v: Value<'g>) -> Value<'g> {
        let order = self.order();
        let back: Vec<usize> = (0..order.len()).filter_map(|a| order.iter().position(|&o| o == a)).collect();
        v.transpose(&back)
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
    pub(in crate::cam) fn finish(&self, map: Value<'g>) -> Value<'g> {
        let whole = self.activation.slice(self.channels, 0, 1, 1);
        let short = map.dims().iter().zip(&whole.dims()).any(|(m, a)| *m == Dim::Fixed(1) && m != a);
        let map = if short { map.spread_over(whole) } else { map };
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
