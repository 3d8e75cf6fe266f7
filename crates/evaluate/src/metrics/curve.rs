//! How a score goes as places are filled one after the other: what deletion, insertion and AOPC share.

use super::{countable, descending};
use crate::Error;
use crate::changed::{Change, Fill, Image, Places};
use crate::error::argument;
use ndarray::ArrayViewD;

/// In which steps places are filled, and with what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Curve {
    /// How many steps there are, at most: as many places are filled in each, up to one.
    pub steps: usize,
    /// The share of places that is filled at the end.
    pub share: f64,
    /// How many cells along each axis make a place that is filled as one: the map's mean over them counts. 1 for single
    /// pixels.
    pub patch: usize,
    /// With what places are filled.
    pub fill: Fill,
    /// The seed of the order of places where the map has the same value.
    pub seed: u64,
}

impl Curve {
    /// 224 steps to the whole image, pixel by pixel, filled with 0: what RISE does for images of 224².
    pub fn deletion() -> Self {
        Self { steps: 224, share: 1.0, patch: 1, fill: Fill::ZERO, seed: 0 }
    }

    /// 224 steps from the whole image, pixel by pixel, blurred by a kernel of 11 cells and a deviation of 5.
    pub fn insertion() -> Self {
        Self { fill: Fill::Blur { size: 11, sigma: 5.0 }, ..Self::deletion() }
    }

    /// The places in their order, each with its cells, and how many of them are filled after each step, from 0 on.
    fn order(&self, image: &Image, map: &ArrayViewD<'_, f64>) -> Result<(Vec<Vec<usize>>, Vec<usize>), Error> {
        image.check_map(map)?;
        if self.steps == 0 || self.patch == 0 || !(self.share > 0.0 && self.share <= 1.0) {
            return argument(format!(
                "{} steps with patches of {} to a share of {}: wanted are at least 1 and 1, and a share above 0 and up to 1",
                self.steps, self.patch, self.share
            ));
        }
        let patches = patches(map, self.patch)?;
        let means: Vec<f64> =
            patches.iter().map(|cells| cells.iter().map(|(_, v)| v).sum::<f64>() / cells.len() as f64).collect();
        let cells = |i: usize| patches.get(i).into_iter().flatten().map(|(cell, _)| *cell).collect();
        let order: Vec<Vec<usize>> = descending(&means, self.seed).into_iter().map(cells).collect();
        let filled = ((self.share * order.len() as f64).round() as usize).max(1);
        let steps = self.steps.min(filled);
        countable(steps)?;
        Ok((order, (0..=steps).map(|step| step * filled / steps).collect()))
    }

    /// What is filled after each step, from nothing on, and how many places that is: the first of the order first.
    pub(super) fn most_first(&self, image: &Image, map: &ArrayViewD<'_, f64>) -> Result<Steps, Error> {
        let (order, counts) = self.order(image, map)?;
        let changes = counts.iter().map(|n| self.filled(map.len(), order.iter().take(*n))).collect();
        Ok(Steps { changes, counts })
    }

    /// The same, the last of the order first. At each count what [`Self::most_first`] leaves is what this fills.
    pub(super) fn least_first(&self, image: &Image, map: &ArrayViewD<'_, f64>) -> Result<Steps, Error> {
        let (order, mut counts) = self.order(image, map)?;
        let filled = counts.last().copied().unwrap_or(0);
        counts = counts.into_iter().rev().map(|n| filled - n).collect();
        let changes = counts.iter().map(|n| self.filled(map.len(), order.iter().rev().take(*n))).collect();
        Ok(Steps { changes, counts })
    }

    fn filled<'a>(&self, of: usize, places: impl Iterator<Item = &'a Vec<usize>>) -> Change {
        Change::filled(Places::new(of, places.flatten().copied()), self.fill)
    }
}

/// Changes of growing size.
pub(super) struct Steps {
    pub(super) changes: Vec<Change>,
    /// How many places each fills.
    pub(super) counts: Vec<usize>,
}

/// The area below the scores over the share of places that is filled, 0 to 1, by the trapezoidal rule.
pub(super) fn area(counts: &[usize], scores: &[f64]) -> f64 {
    let whole = counts.last().copied().unwrap_or(0).max(1) as f64;
    let widths = counts.windows(2).map(|pair| pair.iter().rev().copied().reduce(|after, before| after - before));
    let heights = scores.windows(2).map(|pair| pair.iter().sum::<f64>() / 2.0);
    widths.zip(heights).map(|(width, height)| width.unwrap_or(0) as f64 * height).sum::<f64>() / whole
}

/// The cells of a map with their values, by patches of so many cells along each axis, both in row-major order. Those at the end of an
/// axis are as small as they have to be.
fn patches(map: &ArrayViewD<'_, f64>, size: usize) -> Result<Vec<Vec<(usize, f64)>>, Error> {
    let values = super::cells("map", map)?;
    let grid: Vec<usize> = map.shape().iter().map(|n| n.div_ceil(size)).collect();
    let mut patches = vec![Vec::new(); grid.iter().product()];
    for (cell, ((at, _), value)) in map.indexed_iter().zip(values).enumerate() {
        let at = ndarray::Dimension::slice(&at);
        let patch = at.iter().zip(&grid).fold(0, |number, (i, n)| number * n + i / size);
        patches.iter_mut().skip(patch).take(1).for_each(|cells| cells.push((cell, value)));
    }
    Ok(patches)
}
