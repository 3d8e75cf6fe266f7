//! Taking places out: what the score loses without them, found by running the head and not from any gradient.

use crate::Error;
use crate::methods::cut::{BodyOutput, CutNetwork, at_mut};
use crate::stats::spearman;
use hirescam_core::cam::Pick;
use ndarray::{ArrayD, Dimension, IxDyn};

/// A change of the score by less than this many roundings of float32 is none. What is rounded has the size of
/// |score| + Σ |cell|.
const ROUNDINGS: f64 = 16.0;

/// Places that were taken out of one image's activation.
pub(super) struct Ablated {
    places: Vec<IxDyn>,
    /// The score less the score without the place.
    changes: Vec<f64>,
    /// The largest change that can be rounding.
    rounding: f64,
}

/// `most` places of a map, or all: spread evenly over the cells in the order of |cell|, the strongest and the weakest
/// among them.
fn choose(map: &ArrayD<f32>, most: usize) -> Vec<IxDyn> {
    let mut order: Vec<(f32, IxDyn)> = map.indexed_iter().map(|(at, v)| (v.abs(), at)).collect();
    // A stable sort: of equal cells the first in the map comes first.
    order.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (n, k) = (order.len(), most.min(order.len()));
    let last = (n.saturating_sub(1), k.saturating_sub(1).max(1));
    let chosen = (0..k).filter_map(|i| order.get(i * last.0 / last.1));
    chosen.map(|(_, at)| at.clone()).collect()
}

/// Sets the activation to 0 at `most` places, one at a time, and runs the head. `hirescam` is the map of what `pick`
/// explains.
pub(super) fn ablate(
    cut: &CutNetwork,
    state: &BodyOutput,
    pick: &Pick,
    hirescam: &ArrayD<f32>,
    most: usize,
) -> Result<Ablated, Error> {
    let places = choose(hirescam, most);
    let mut scores = Vec::new();
    cut.scores(
        state,
        // The first is left as it is, so that one session makes both sides of each difference.
        places.len() + 1,
        |i, a| {
            if let Some(place) = i.checked_sub(1).and_then(|i| places.get(i)) {
                at_mut(a, &cut.space, &cut.place(place)).fill(0.0);
            }
        },
        |_, logits| scores.push(pick.score(logits)),
    )?;
    let (whole, without) = scores.split_first().unwrap_or((&f64::NAN, &[]));
    if let Some(&value) = scores.iter().find(|s| !s.is_finite()) {
        return Err(Error::NotFinite { what: "score without a place", value });
    }
    let size = whole.abs() + hirescam.iter().map(|v| f64::from(v.abs())).sum::<f64>();
    let changes = without.iter().map(|s| whole - s).collect();
    Ok(Ablated { places, changes, rounding: ROUNDINGS * f64::from(f32::EPSILON) * size })
}

impl Ablated {
    /// The cells of a map at the places, with the changes.
    pub(super) fn cells(&self, map: &ArrayD<f32>) -> Vec<(f64, f64)> {
        let cells = self.places.iter().map(|at| map.get(at.slice()).copied().map_or(f64::NAN, f64::from));
        cells.zip(self.changes.iter().copied()).collect()
    }

    /// The rank correlation of a map's cells with the changes.
    pub(super) fn agreement(&self, map: &ArrayD<f32>) -> Option<f64> {
        let (cells, changes): (Vec<f64>, Vec<f64>) = self.cells(map).into_iter().unzip();
        spearman(&cells, &changes)
    }

    /// The share of Σ |cell| that lies at places without which the score stays as it was.
    pub(super) fn idle(&self, map: &ArrayD<f32>) -> Option<f64> {
        let cells = self.cells(map);
        let all: f64 = cells.iter().map(|(cell, _)| cell.abs()).sum();
        let idle = cells.iter().filter(|(_, change)| change.abs() <= self.rounding);
        (all > 0.0).then(|| idle.map(|(cell, _)| cell.abs()).sum::<f64>() / all)
    }

    /// The largest change that can be rounding.
    pub(super) fn rounding(&self) -> f64 {
        self.rounding
    }

    /// How many places there are.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn places_are_spread_from_the_strongest_to_the_weakest() {
        let map = array![[1.0f32, -9.0, 3.0], [0.0, 5.0, -7.0]].into_dyn();
        let cells = |most| choose(&map, most).iter().filter_map(|at| map.get(at.slice()).copied()).collect::<Vec<_>>();
        assert!(cells(0).is_empty());
        assert_eq!(cells(1), [-9.0]);
        assert_eq!(cells(2), [-9.0, 0.0]);
        assert_eq!(cells(3), [-9.0, 5.0, 0.0]);
        assert_eq!(cells(6), [-9.0, -7.0, 5.0, 3.0, 1.0, 0.0]);
        assert_eq!(cells(100), cells(6));
    }

    #[test]
    fn cells_are_held_against_the_changes() {
        let map = array![4.0f32, -2.0, 1.0, 0.0].into_dyn();
        let places = choose(&map, 4);
        let ablated = |changes: [f64; 4]| Ablated { places: places.clone(), changes: changes.to_vec(), rounding: 0.1 };
        let same = ablated([4.0, -2.0, 1.0, 0.0]);
        assert_eq!((same.agreement(&map), same.idle(&map), same.len()), (Some(1.0), Some(0.0), 4));
        assert_eq!(ablated([-4.0, 2.0, -1.0, 0.0]).agreement(&map), Some(-1.0));
        assert_eq!(ablated([0.05, -2.0, 1.0, 3.0]).idle(&map), Some(4.0 / 7.0));
        assert_eq!(ablated([0.0; 4]).agreement(&map), None);
        assert_eq!(same.idle(&array![0.0f32, 0.0, 0.0, 0.0].into_dyn()), None);
    }
}
