//! The windows of a pool as shifts of grids, so that what each place of a kernel meets is cut out in whole rows.

use super::window::Window;
use crate::build::Value;
use crate::error::{Fault, unsupported};
use crate::shape::Dim;
use ndarray::IxDyn;

/// The most grids.
const MOST_GRIDS: usize = 4096;

/// The places of the windows on grids as coarse as the strides, one grid for each place within a stride: there, each place
/// of the kernel only shifts the windows, and no step is longer than 1.
pub(super) struct Grids<'w> {
    window: &'w Window,
    space: &'w [usize],
    out: &'w [usize],
    /// By how much the kernel's last place shifts the windows.
    shifts: Vec<usize>,
    /// Extents of one grid.
    coarse: Vec<usize>,
    /// Extents of all grids interleaved.
    fine: Vec<usize>,
}

impl<'w> Grids<'w> {
    pub(super) fn of(window: &'w Window, space: &'w [usize], out: &'w [usize]) -> Result<Self, Fault> {
        let strides = &window.strides;
        if strides.iter().fold(1usize, |p, &s| p.saturating_mul(s)) > MOST_GRIDS {
            return unsupported(format!("the largest of windows at every {strides:?} places"));
        }
        let shifts: Vec<usize> = (0..space.len()).map(|a| (window.reach(a) - 1) / strides[a]).collect();
        let coarse: Vec<usize> = out.iter().zip(&shifts).map(|(n, shift)| n + shift).collect();
        let fine = coarse.iter().zip(strides).map(|(n, s)| n * s).collect();
        Ok(Grids { window, space, out, shifts, coarse, fine })
    }

    /// The kernel's places in their order.
    pub(super) fn offsets(&self) -> Vec<IxDyn> {
        ndarray::indices(self.window.kernel.clone()).into_iter().collect()
    }

    /// The grid on which the kernel's place lies, and by how much it is shifted along each axis.
    fn at(&self, offset: &IxDyn) -> (usize, Vec<usize>) {
        let (strides, mut grid, mut shift) = (&self.window.strides, 0, Vec::new());
        for a in 0..self.space.len() {
            let place = offset[a] * self.window.dilations[a];
            grid = grid * strides[a] + place % strides[a];
            shift.push(place / strides[a]);
        }
        (grid, shift)
    }

    /// `x [P, 1, inputs…]` as `[P, grids, coarse…]`, padded with `value`.
    pub(super) fn split<'g>(&self, x: Value<'g>, value: f64) -> Value<'g> {
        let (rank, strides) = (self.space.len(), &self.window.strides);
        let lead: Vec<Dim> = x.dims().into_iter().take(1).collect();
        let (mut begin, mut end, mut ends) = (vec![0i64; rank + 2], vec![0i64; rank + 2], Vec::new());
        for a in 0..rank {
            let reached = self.window.begin[a] + self.space[a];
            begin[a + 2] = self.window.begin[a] as i64;
            end[a + 2] = self.fine[a].saturating_sub(reached) as i64;
            ends.push(self.fine[a] as i64);
        }
        let axes: Vec<usize> = (2..rank + 2).collect();
        let mut x = x.pad(&begin, &end, value).slices(&axes, &vec![0; rank], &ends, &vec![1; rank]);
        // Axis by axis: to move a single one is what engines do fastest.
        for a in (0..rank).filter(|&a| strides[a] > 1) {
            let own = [self.coarse[a], strides[a]];
            let shape = [&strides[..a], &self.coarse[..a], &own, &self.fine[a + 1..]].concat();
            let perm = (0..=a).chain([2 * a + 2]).chain(a + 1..2 * a + 2).chain(2 * a + 3..rank + a + 2);
            x = x.reshape(&with(&lead, &shape)).transpose(&perm.collect::<Vec<_>>());
        }
        x.reshape(&with(&lead, &[&[strides.iter().product()], self.coarse.as_slice()].concat()))
    }

    /// What lies at the kernel's place in each window, `[P, 1, outputs…]`, of a value that is split.
    pub(super) fn place<'g>(&self, split: Value<'g>, offset: &IxDyn) -> Value<'g> {
        let (grid, shift) = self.at(offset);
        let axes: Vec<usize> = (1..self.space.len() + 2).collect();
        let starts: Vec<i64> = [grid].into_iter().chain(shift).map(|s| s as i64).collect();
        let sizes = [1].into_iter().chain(self.out.iter().copied());
        let ends: Vec<i64> = starts.iter().zip(sizes).map(|(start, n)| start + n as i64).collect();
        split.slices(&axes, &starts, &ends, &vec![1; axes.len()])
    }

    /// What each of the kernel's places, `[P, 1, outputs…]` in their order, brings to the input's places:
    /// `[P, 1, inputs…]`. A transposed convolution with a kernel of one-hots, written without one.
    pub(super) fn join<'g>(&self, parts: Vec<Value<'g>>) -> Result<Value<'g>, Fault> {
        let (rank, strides, window) = (self.space.len(), &self.window.strides, self.window);
        let mut sums: Vec<Option<Value>> = vec![None; strides.iter().product()];
        for (part, offset) in parts.into_iter().zip(self.offsets()) {
            let (grid, shift) = self.at(&offset);
            let (mut begin, mut end) = (vec![0i64; rank + 2], vec![0i64; rank + 2]);
            for a in 0..rank {
                begin[a + 2] = shift[a] as i64;
                end[a + 2] = (self.shifts[a] - shift[a]) as i64;
            }
            let part = part.pad(&begin, &end, 0.0);
            sums[grid] = Some(sums[grid].map_or(part, |sum| sum + part));
        }
        // Where strides are wider than the kernel, some places belong to no window.
        let nothing = sums.iter().flatten().next().map(|sum| sum.zeros_like());
        let sums: Vec<Value> = sums.into_iter().filter_map(|sum| sum.or(nothing)).collect();
        let Some(mut x) = Value::concat(&sums, 1) else { return unsupported("the largest of no places") };
        let lead: Vec<Dim> = x.dims().into_iter().take(1).collect();
        // As in `split`, backwards.
        for a in (0..rank).rev().filter(|&a| strides[a] > 1) {
            let shape = [&strides[..=a], &self.coarse[..=a], &self.fine[a + 1..]].concat();
            let perm = (0..=a).chain(a + 2..2 * a + 3).chain([a + 1]).chain(2 * a + 3..rank + a + 2);
            x = x.reshape(&with(&lead, &shape)).transpose(&perm.collect::<Vec<_>>());
        }
        let axes: Vec<usize> = (2..rank + 2).collect();
        let starts: Vec<i64> = window.begin.iter().map(|&b| b as i64).collect();
        let reached = |a: usize| window.begin[a] + self.space[a];
        let ends: Vec<i64> = (0..rank).map(|a| self.fine[a].min(reached(a)) as i64).collect();
        let mut rest = vec![0i64; rank + 2];
        for a in 0..rank {
            rest[a + 2] = reached(a).saturating_sub(self.fine[a]) as i64;
        }
        let x = x.reshape(&with(&lead, &[&[1], self.fine.as_slice()].concat()));
        Ok(x.slices(&axes, &starts, &ends, &vec![1; rank]).pad(&vec![0; rank + 2], &rest, 0.0))
    }
}

/// The extents `fixed` behind `lead`.
fn with(lead: &[Dim], fixed: &[usize]) -> Vec<Dim> {
    lead.iter().copied().chain(fixed.iter().copied().map(Dim::Fixed)).collect()
}
