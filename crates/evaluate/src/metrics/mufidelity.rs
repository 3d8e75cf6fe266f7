//! MuFidelity.

use super::{Better, Row, cells, countable};
use crate::Error;
use crate::changed::{Change, Fill, Image, Metric, Places, Plan};
use crate::error::{argument, undefined};
use hirescam::random::Random;
use hirescam::stats::pearson;
use ndarray::{ArrayViewD, Dimension};

/// [`MuFidelity`] for people.
pub const ROW: Row = Row {
    name: "mufidelity",
    what: "Whether sets of places that the map gives more are those that the score falls more without.",
    formula: "Pearson over random sets S of (Σ_S h, s(x) − s(x with S filled))",
    range: "−1 to 1",
    better: Better::Higher,
    source: "Bhatt et al. 2020, arXiv:2005.00631, definition 3",
    needs: "scores of 1 + sets changed images",
    blind: "the map's scale; it depends on the sets' size and on what they are filled with",
};

/// The correlation, over random sets S of places, of what the map gives them and of what the score loses without them. Bhatt et al.
/// 2020, arXiv:2005.00631, definition 3 (faithfulness). 1 for the contributions to a linear score.
///
/// Places are the cells of a coarse `grid`, for sets of single pixels of a large image hardly differ.
///
/// # Differs from Xplique
/// It takes the rank correlation, and each place with the probability `share`; here each set has the same size, as in the definition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MuFidelity {
    /// How many sets.
    pub samples: usize,
    /// The share of places in a set.
    pub share: f64,
    /// How many places there are along each axis, at most.
    pub grid: usize,
    /// With what places are filled.
    pub fill: Fill,
    /// The seed.
    pub seed: u64,
}

impl Default for MuFidelity {
    /// 200 sets of a fifth of 9 × 9 places, filled with 0, as Xplique.
    fn default() -> Self {
        Self { samples: 200, share: 0.2, grid: 9, fill: Fill::ZERO, seed: 0 }
    }
}

impl Metric for MuFidelity {
    fn plan(&self, image: &Image, map: ArrayViewD<'_, f64>) -> Result<Plan, Error> {
        image.check_map(&map)?;
        let values = cells("map", &map)?;
        let grid: Vec<usize> = map.shape().iter().map(|n| self.grid.min(*n)).collect();
        let patches: usize = grid.iter().product();
        let size = (self.share * patches as f64).round();
        if self.samples < 2 || !(size >= 1.0 && size < patches as f64) {
            return argument(format!(
                "{} sets of a share of {} of {patches} places: wanted are at least two sets that hold something and leave something",
                self.samples, self.share
            ));
        }
        countable(self.samples)?;
        let patch = |at: &[usize]| {
            let along = at.iter().zip(map.shape()).zip(&grid);
            along.fold(0, |number, ((i, n), g)| number * g + i * g / n)
        };
        let patch_of: Vec<usize> = map.indexed_iter().map(|(at, _)| patch(at.slice())).collect();
        let draw = |sample| {
            let chosen = Places::new(patches, chosen(patches, size as usize, self.seed, sample));
            let cells = || patch_of.iter().enumerate().filter(|(_, patch)| chosen.contains(**patch)).map(|(i, _)| i);
            let given: f64 = cells().filter_map(|i| values.get(i)).sum();
            (Change::filled(Places::new(values.len(), cells()), self.fill), given)
        };
        let (changes, given): (Vec<Change>, Vec<f64>) = (0..self.samples).map(draw).unzip();
        let value = move |scores: &[f64]| {
            let (whole, without) = scores.split_first().unwrap_or((&0.0, &[]));
            let lost: Vec<f64> = without.iter().map(|s| whole - s).collect();
            match pearson(&given, &lost) {
                Some(r) => Ok(r),
                None => undefined(ROW.name, "the map, or the score, is the same for all sets"),
            }
        };
        Ok(Plan { changes: std::iter::once(Change::None).chain(changes).collect(), value: Box::new(value) })
    }
}

/// So many different numbers below `n`: the first of a shuffle (Fisher & Yates 1938).
fn chosen(n: usize, size: usize, seed: u64, sample: usize) -> Vec<usize> {
    let mut random = Random::of_sample(seed, sample);
    let mut numbers: Vec<usize> = (0..n).collect();
    for i in 0..size {
        numbers.swap(i, i + random.below(n - i));
    }
    numbers.truncate(size);
    numbers
}
