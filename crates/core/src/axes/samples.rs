//! How samples lie in a value.

use crate::build::Value;
use crate::shape::Dim;

/// How the samples lie in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Samples {
    /// Along an axis: all samples `outer` times one after the other, each with `inner` entries next to one another.
    Along {
        /// The axis.
        axis: usize,
        /// How often all samples come.
        outer: usize,
        /// How many entries a sample has each time.
        inner: usize,
    },
    /// There is but one, and all of the value belongs to it.
    One,
}

impl Samples {
    /// The first axis counts samples, and nothing else.
    pub const FIRST: Samples = Samples::Along { axis: 0, outer: 1, inner: 1 };

    /// The extents that belong to one sample, of a value of the extents `dims`.
    pub fn of_one(self, dims: &[Dim]) -> Vec<usize> {
        let mut sizes: Vec<usize> = dims.iter().map(|d| d.per_image()).collect();
        if let Samples::Along { axis, outer, inner } = self
            && let Some(extent) = sizes.get_mut(axis)
        {
            match outer * inner {
                1 => drop(sizes.remove(axis)),
                n => *extent = n,
            }
        }
        sizes
    }

    /// The axis along which samples lie, or their frames.
    pub fn axis(self) -> usize {
        match self {
            Samples::Along { axis, .. } => axis,
            Samples::One => 0,
        }
    }

    /// The axes of a value of `rank` axes that count places, where `channels` counts channels.
    pub fn places(self, rank: usize, channels: Option<usize>) -> Vec<usize> {
        (0..rank).filter(|&axis| axis != self.axis() && Some(axis) != channels).collect()
    }

    /// How many axes in front of the channels and places a value has once its samples come first: that of the samples and
    /// those of their frames.
    pub(crate) fn lead(self) -> usize {
        match self {
            Samples::Along { outer, inner, .. } => 1 + usize::from(outer > 1) + usize::from(inner > 1),
            Samples::One => 2,
        }
    }

    /// Where the axis `axis` of a value is once its samples come first.
    pub(crate) fn moved(self, axis: usize) -> usize {
        match self {
            Samples::Along { axis: own, .. } => self.lead() + axis - usize::from(axis > own),
            Samples::One => axis + 1,
        }
    }

    /// `v`, of a value with these samples or a gradient by it, with the `n` samples along the first axis, and the frames of
    /// each behind it. An extent of 1 that stands for a whole axis stays one.
    pub(crate) fn first<'g>(self, v: Value<'g>, n: Dim) -> Value<'g> {
        let dims = v.dims();
        let Samples::Along { axis, outer, inner } = self else {
            return v.reshape(&[&[Dim::Fixed(1)], dims.as_slice()].concat());
        };
        let (Some(&own), Some(ahead), Some(behind)) = (dims.get(axis), dims.get(..axis), dims.get(axis + 1..)) else {
            return v;
        };
        let all = match own {
            Dim::Fixed(1) => [Dim::Fixed(1); 3],
            _ => [Dim::Fixed(outer), n, Dim::Fixed(inner)],
        };
        let has = [outer > 1, true, inner > 1];
        let parts: Vec<Dim> = all.into_iter().zip(has).filter(|(_, has)| *has).map(|(d, _)| d).collect();
        let apart = v.reshape(&[ahead, parts.as_slice(), behind].concat());
        let at = axis + usize::from(outer > 1);
        let own = axis..axis + parts.len();
        let frames = own.clone().filter(|&a| a != at);
        let rest = (0..apart.rank()).filter(|a| !own.contains(a));
        apart.transpose(&[at].into_iter().chain(frames).chain(rest).collect::<Vec<_>>())
    }
}
