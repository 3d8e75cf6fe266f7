//! The windows of a pool as shifts of grids, so that what each place of a kernel meets is cut out in whole rows.

use super::window::{Side, Window};
use crate::build::Value;
use crate::error::{Fault, unsupported};
use crate::shape::Dim;
use ndarray::{Dimension, IxDyn};
use std::collections::BTreeMap;

/// The most grids.
const MOST_GRIDS: usize = 4096;

/// The places of the windows on grids as coarse as the strides, one grid for each place within a stride: there, each place
/// of the kernel only shifts the windows, and no step is longer than 1.
pub(super) struct Grids {
    kernel: Vec<usize>,
    axes: Vec<GridAxis>,
}

/// The grids along one axis.
struct GridAxis {
    side: Side,
    /// How many places of the input there are, and how many windows.
    inputs: usize,
    outputs: usize,
    /// By how much the kernel's last place shifts the windows.
    shift: usize,
    /// Extent of one grid.
    coarse: usize,
    /// Extent of all grids interleaved.
    fine: usize,
}

impl GridAxis {
    /// Where the input ends, counted from the beginning of its pad.
    fn reached(&self) -> usize {
        self.side.begin + self.inputs
    }
}

impl Grids {
    pub(super) fn of(window: &Window, space: &[usize], out: &[usize]) -> Result<Self, Fault> {
        let strides = window.strides();
        if strides.iter().fold(1usize, |p, &s| p.saturating_mul(s)) > MOST_GRIDS {
            return unsupported(format!("the largest of windows at every {strides:?} places"));
        }
        let axis = |((&side, &inputs), &outputs): ((&Side, &usize), &usize)| {
            let shift = (side.reach() - 1) / side.stride;
            let coarse = outputs + shift;
            GridAxis { side, inputs, outputs, shift, coarse, fine: coarse * side.stride }
        };
        let axes = window.sides.iter().zip(space).zip(out).map(axis).collect();
        Ok(Grids { kernel: window.kernel(), axes })
    }

    /// The kernel's places in their order.
    pub(super) fn offsets(&self) -> Vec<IxDyn> {
        ndarray::indices(self.kernel.clone()).into_iter().collect()
    }

    /// The grid on which the kernel's place lies, and by how much it is shifted along each axis.
    fn at(&self, offset: &IxDyn) -> (usize, Vec<usize>) {
        let (mut grid, mut shift) = (0, Vec::new());
        for (GridAxis { side, .. }, offset) in self.axes.iter().zip(offset.slice()) {
            let place = offset * side.dilation;
            grid = grid * side.stride + place % side.stride;
            shift.push(place / side.stride);
        }
        (grid, shift)
    }

    /// A number for each axis of space, behind a 0 for each of the two axes before.
    fn behind(&self, of: impl Fn(&GridAxis) -> usize) -> Vec<i64> {
        [0, 0].into_iter().chain(self.axes.iter().map(|a| of(a) as i64)).collect()
    }

    /// The axes of space, cut from `starts` to `ends`.
    fn cut<'g>(
        &self,
        x: Value<'g>,
        starts: impl Fn(&GridAxis) -> usize,
        ends: impl Fn(&GridAxis) -> usize,
    ) -> Value<'g> {
        let rank = self.axes.len();
        let list = |of: &dyn Fn(&GridAxis) -> usize| self.axes.iter().map(|a| of(a) as i64).collect::<Vec<_>>();
        x.slices(&(2..rank + 2).collect::<Vec<_>>(), &list(&starts), &list(&ends), &vec![1; rank])
    }

    /// Extents where the grids of the first `apart` axes lie apart, then `own`, and those from the axis `joined` on interleaved.
    fn halfway(&self, apart: usize, own: &[usize], joined: usize) -> Vec<usize> {
        let (first, last) = (self.axes.iter().take(apart), self.axes.iter().skip(joined));
        let strides = first.clone().map(|a| a.side.stride);
        strides.chain(first.map(|a| a.coarse)).chain(own.iter().copied()).chain(last.map(|a| a.fine)).collect()
    }

    /// `x [P, 1, inputs…]` as `[P, grids, coarse…]`, padded with `value`.
    pub(super) fn split<'g>(&self, x: Value<'g>, value: f64) -> Value<'g> {
        let rank = self.axes.len();
        let lead: Vec<Dim> = x.dims().into_iter().take(1).collect();
        let (begin, end) = (self.behind(|a| a.side.begin), self.behind(|a| a.fine.saturating_sub(a.reached())));
        let mut x = self.cut(x.pad(&begin, &end, value), |_| 0, |a| a.fine);
        // Axis by axis: to move a single one is what engines do fastest.
        for (a, axis) in self.axes.iter().enumerate().filter(|(_, axis)| axis.side.stride > 1) {
            let shape = self.halfway(a, &[axis.coarse, axis.side.stride], a + 1);
            let perm = (0..=a).chain([2 * a + 2]).chain(a + 1..2 * a + 2).chain(2 * a + 3..rank + a + 2);
            x = x.reshape(&with(&lead, shape)).transpose(&perm.collect::<Vec<_>>());
        }
        let grids = self.axes.iter().map(|a| a.side.stride).product();
        x.reshape(&with(&lead, [grids].into_iter().chain(self.axes.iter().map(|a| a.coarse))))
    }

    /// What lies at the kernel's place in each window, `[P, 1, outputs…]`, of a value that is split.
    pub(super) fn place<'g>(&self, split: Value<'g>, offset: &IxDyn) -> Value<'g> {
        let (grid, shift) = self.at(offset);
        let axes: Vec<usize> = (1..self.axes.len() + 2).collect();
        let starts: Vec<i64> = [grid].into_iter().chain(shift).map(|s| s as i64).collect();
        let sizes = [1].into_iter().chain(self.axes.iter().map(|a| a.outputs));
        let ends: Vec<i64> = starts.iter().zip(sizes).map(|(start, n)| start + n as i64).collect();
        split.slices(&axes, &starts, &ends, &vec![1; axes.len()])
    }

    /// What each of the kernel's places, `[P, 1, outputs…]` in their order, brings to the input's places:
    /// `[P, 1, inputs…]`. A transposed convolution with a kernel of one-hots, written without one.
    pub(super) fn join<'g>(&self, parts: Vec<Value<'g>>) -> Result<Value<'g>, Fault> {
        let rank = self.axes.len();
        let mut sums: BTreeMap<usize, Value> = BTreeMap::new();
        for (part, offset) in parts.into_iter().zip(self.offsets()) {
            let (grid, shift) = self.at(&offset);
            let shifts = self.axes.iter().zip(&shift).map(|(axis, shift)| (*shift as i64, (axis.shift - shift) as i64));
            let (begin, end): (Vec<i64>, Vec<i64>) = [(0, 0), (0, 0)].into_iter().chain(shifts).unzip();
            let part = part.pad(&begin, &end, 0.0);
            sums.entry(grid).and_modify(|sum| *sum = *sum + part).or_insert(part);
        }
        // Where strides are wider than the kernel, some places belong to no window.
        let nothing = sums.first_key_value().map(|(_, sum)| sum.zeros_like());
        let grids: usize = self.axes.iter().map(|a| a.side.stride).product();
        let sums: Vec<Value> = (0..grids).filter_map(|grid| sums.get(&grid).copied().or(nothing)).collect();
        let Some(mut x) = Value::concat(&sums, 1) else { return unsupported("the largest of no places") };
        let lead: Vec<Dim> = x.dims().into_iter().take(1).collect();
        // As in `split`, backwards.
        for (a, _) in self.axes.iter().enumerate().rev().filter(|(_, axis)| axis.side.stride > 1) {
            let shape = self.halfway(a + 1, &[], a + 1);
            let perm = (0..=a).chain(a + 2..2 * a + 3).chain([a + 1]).chain(2 * a + 3..rank + a + 2);
            x = x.reshape(&with(&lead, shape)).transpose(&perm.collect::<Vec<_>>());
        }
        let x = x.reshape(&with(&lead, [1].into_iter().chain(self.axes.iter().map(|a| a.fine))));
        let rest = self.behind(|a| a.reached().saturating_sub(a.fine));
        Ok(self.cut(x, |a| a.side.begin, |a| a.fine.min(a.reached())).pad(&vec![0; rank + 2], &rest, 0.0))
    }
}

/// The extents `fixed` behind `lead`.
fn with(lead: &[Dim], fixed: impl IntoIterator<Item = usize>) -> Vec<Dim> {
    lead.iter().copied().chain(fixed.into_iter().map(Dim::Fixed)).collect()
}
