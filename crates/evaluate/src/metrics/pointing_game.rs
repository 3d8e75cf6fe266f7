//! The pointing game.

use super::{Better, Row, beside, cells};
use crate::Error;
use crate::error::{argument, undefined};
use ndarray::{ArrayViewD, Dimension};

/// [`pointing_game`] for people.
pub const ROW: Row = Row {
    name: "pointing-game",
    what: "Whether the map's strongest place lies on the object or close to it.",
    formula: "1 if ‖argmax h − g‖₂ < tolerance for a g of G, else 0; the mean over images for a class, then over classes",
    range: "0 to 1",
    better: Better::Higher,
    source: "Zhang et al. 2018, arXiv:1608.00507; Fong et al. 2019 (TorchRay), arXiv:1910.08485",
    needs: "a mask G of the object, in pixels of the image",
    blind: "all but one place of the map; large objects are hit by chance; and whether the network used the object at all",
};

/// The strongest place of a map: the indices of its largest value, of equal ones the first in row-major order.
///
/// # Errors
/// [`Error::Undefined`] for a map that is the same everywhere: it points nowhere.
pub fn point(map: ArrayViewD<'_, f64>) -> Result<Vec<usize>, Error> {
    let values = cells("map", &map)?;
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if values.len() > 1 && values.iter().all(|v| *v == largest) {
        return undefined(ROW.name, format!("the map is {largest} everywhere and points nowhere"));
    }
    let first = map.indexed_iter().find(|(_, v)| **v == largest);
    Ok(first.map(|(at, _)| at.slice().to_vec()).unwrap_or_default())
}

/// Whether the strongest [`point`] of a map lies less than `tolerance` cells from a cell of the object, in Euclid's
/// distance. Zhang et al. 2018, arXiv:1608.00507, with the rule of TorchRay (Fong et al. 2019, arXiv:1910.08485).
///
/// The usual tolerance is 15 pixels, of the image as the data set has it: the map is resized to that first. 0 or less
/// asks for the object itself.
///
/// # Differs from Quantus
/// It has no tolerance. A tolerance of 1 is its rule, for no two cells are closer than that.
///
/// # Differs from TorchRay
/// A map that is the same everywhere is no hit at its first cell, but has no value.
///
/// # Errors
/// [`Error::Undefined`] for a map that is the same everywhere or an object without cells; [`Error::Argument`] for another
/// shape.
pub fn pointing_game(map: ArrayViewD<'_, f64>, object: ArrayViewD<'_, bool>, tolerance: f64) -> Result<bool, Error> {
    if !beside(&map, "object", &object)?.contains(&true) {
        return undefined(ROW.name, "the object has no cells");
    }
    if tolerance.is_nan() {
        return argument("the tolerance has to be a number");
    }
    let point = point(map)?;
    let distance = |at: &[usize]| point.iter().zip(at).map(|(p, a)| (*p as f64 - *a as f64).powi(2)).sum::<f64>();
    let hit = |at: &[usize]| at == point || (tolerance > 0.0 && distance(at) < tolerance.powi(2));
    Ok(object.indexed_iter().any(|(at, &inside)| inside && hit(at.slice())))
}

/// Whether an image counts to the *difficult* subset for a class: its boxes cover less than a quarter of the image, and
/// there is another class beside it. Zhang et al. 2018, arXiv:1608.00507.
///
/// `area` is the summed area of the class's boxes. TorchRay reads the same from lists for VOC 2007 and COCO 2014, where
/// images that are in no list count as difficult.
pub fn is_difficult(area: f64, image_area: f64, other_classes: usize) -> bool {
    area < image_area / 4.0 && other_classes > 0
}

/// The pointing game over a data set: hits and misses by class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PointingGame {
    classes: Vec<(u64, u64)>,
}

impl PointingGame {
    /// A game over so many classes that nobody has played.
    pub fn new(classes: usize) -> Self {
        Self { classes: vec![(0, 0); classes] }
    }

    /// Counts what came of an image for a class. An image whose objects of the class are all marked difficult (VOC's own
    /// mark, which is another thing than the difficult subset) is not counted, as in TorchRay.
    ///
    /// # Errors
    /// [`Error::Argument`] for a class that is not in the game.
    pub fn count(&mut self, class: usize, hit: bool) -> Result<(), Error> {
        let classes = self.classes.len();
        match self.classes.get_mut(class) {
            Some((hits, _)) if hit => *hits += 1,
            Some((_, misses)) => *misses += 1,
            None => return argument(format!("there is no class {class} in a game of {classes}")),
        }
        Ok(())
    }

    /// hits / (hits + misses) of each class; none of a class that never came.
    pub fn accuracies(&self) -> Vec<Option<f64>> {
        let accuracy = |&(hits, misses): &(u64, u64)| {
            let all = hits + misses;
            (all > 0).then(|| hits as f64 / all as f64)
        };
        self.classes.iter().map(accuracy).collect()
    }

    /// The mean of the classes' accuracies; none where no class came.
    ///
    /// # Differs from TorchRay
    /// A class that never came is left out here; there it counts as 0. On the whole of a data set, where every class comes,
    /// both are the same.
    pub fn accuracy(&self) -> Option<f64> {
        let known: Vec<f64> = self.accuracies().into_iter().flatten().collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    }
}
