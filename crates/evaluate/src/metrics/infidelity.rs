//! Infidelity.

use super::{Better, Row, cells, countable};
use crate::Error;
use crate::changed::{Change, Fill, Image, Metric, Places, Plan};
use crate::error::{argument, undefined};
use hirescam::random::Random;
use ndarray::{ArrayViewD, Dimension};

/// [`Infidelity`] for people.
pub const ROW: Row = Row {
    name: "infidelity",
    what: "How far the map is from foretelling how the score falls when something is taken off the image.",
    formula: "mean over draws of (β Σ I ⊙ h − (s(x) − s(x − I)))²; β = 1, or where scaled the best",
    range: "0 to ∞, in units of the score, squared",
    better: Better::Lower,
    source: "Yeh et al. 2019, arXiv:1901.09392, definition 2.1",
    needs: "scores of 1 + draws changed images; a map in units of the score, or of the score over the image's",
    blind: "changes of other kinds than those drawn: small noise tests the gradient, patches test contributions",
};

/// What is taken off the image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Taken {
    /// Normal noise of this deviation, each value of the image with its own. The map has the image's shape, channels and all, and is
    /// in units of the score over the image's, as a gradient is: Σ I ⊙ h is what it foretells.
    Noise {
        /// The deviation, in units of the image as the network takes it.
        sigma: f64,
    },
    /// A patch of so many cells along each axis, filled with something else. The map has a cell for each place and is in
    /// units of the score, as HiResCAM and gradient × input are: the sum of the patch is what it foretells.
    Patch {
        /// Cells along each axis; not more than there are.
        size: usize,
        /// With what the patch is filled.
        fill: Fill,
    },
}

/// The mean of (Σ I ⊙ h − (s(x) − s(x − I)))² over random I: how far a map is from foretelling how the score falls. Yeh et al. 2019,
/// arXiv:1901.09392, definition 2.1. 0 for the gradient of a linear score, and for its gradient × input with patches set to 0.
///
/// captum's `infidelity` is that of noise, scaled where it is told to normalise.
///
/// # Differs from Quantus
/// It goes on from the image that the last patch left, so that I is all patches so far, and spreads a map over all channels
/// as if it were a gradient by each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Infidelity {
    /// What is taken off.
    pub taken: Taken,
    /// How many draws.
    pub samples: usize,
    /// The seed.
    pub seed: u64,
    /// Whether the map is multiplied by the β that makes the value smallest, so that its scale does not matter: Σ ab / Σ a² with a what
    /// the map foretells and b what happens.
    pub scaled: bool,
}

impl Default for Infidelity {
    /// A thousand noises with a deviation of 0.2, not scaled.
    fn default() -> Self {
        Self { taken: Taken::Noise { sigma: 0.2 }, samples: 1000, seed: 0, scaled: false }
    }
}

impl Metric for Infidelity {
    fn plan(&self, image: &Image, map: ArrayViewD<'_, f64>) -> Result<Plan, Error> {
        if self.samples == 0 {
            return argument("there is nothing to be averaged over 0 draws");
        }
        countable(self.samples)?;
        let drawn: Vec<(Change, f64)> = match self.taken {
            Taken::Noise { sigma } => self.noises(image, &map, sigma)?,
            Taken::Patch { size, fill } => self.patches(image, &map, size, fill)?,
        };
        let (changes, foretold): (Vec<Change>, Vec<f64>) = drawn.into_iter().unzip();
        let scaled = self.scaled;
        let value = move |scores: &[f64]| {
            let (whole, changed) = scores.split_first().unwrap_or((&0.0, &[]));
            let pairs = || foretold.iter().zip(changed).map(|(a, s)| (*a, whole - s));
            let beta = match (scaled, pairs().map(|(a, _)| a * a).sum::<f64>()) {
                (false, _) => 1.0,
                (true, 0.0) => return undefined(ROW.name, "the map foretells no change, whatever its scale"),
                (true, squares) => pairs().map(|(a, b)| a * b).sum::<f64>() / squares,
            };
            Ok(pairs().map(|(a, b)| (beta * a - b).powi(2)).sum::<f64>() / changed.len() as f64)
        };
        Ok(Plan { changes: std::iter::once(Change::None).chain(changes).collect(), value: Box::new(value) })
    }
}

impl Infidelity {
    fn noises(&self, image: &Image, map: &ArrayViewD<'_, f64>, sigma: f64) -> Result<Vec<(Change, f64)>, Error> {
        if map.shape() != image.shape() {
            return argument(format!(
                "noise on the image {:?} is held against a gradient of that shape, and the map has {:?}: take patches for a map of places",
                image.shape(),
                map.shape()
            ));
        }
        if !(sigma > 0.0 && sigma.is_finite()) {
            return argument(format!("noise with a deviation of {sigma}: wanted is a number above 0"));
        }
        let values = cells("map", map)?;
        let draw = |sample| {
            let change = Change::Noise { sigma: sigma.to_bits(), seed: self.seed, sample };
            let foretold = values.iter().zip(change.noise()).map(|(h, i)| h * i).sum();
            (change, foretold)
        };
        Ok((0..self.samples).map(draw).collect())
    }

    fn patches(
        &self,
        image: &Image,
        map: &ArrayViewD<'_, f64>,
        size: usize,
        fill: Fill,
    ) -> Result<Vec<(Change, f64)>, Error> {
        image.check_map(map)?;
        if size == 0 || map.shape().iter().any(|n| *n < size) {
            return argument(format!("patches of {size} cells in a map {:?}", map.shape()));
        }
        cells("map", map)?;
        let draw = |sample| {
            let mut random = Random::of_sample(self.seed, sample);
            let start: Vec<usize> = map.shape().iter().map(|n| random.below(n - size + 1)).collect();
            let within = |at: &[usize]| at.iter().zip(&start).all(|(i, s)| (*s..s + size).contains(i));
            let cells = || map.indexed_iter().enumerate().filter(|(_, (at, _))| within(at.slice()));
            let places = Places::new(map.len(), cells().map(|(place, _)| place));
            (Change::filled(places, fill), cells().map(|(_, (_, v))| v).sum())
        };
        Ok((0..self.samples).map(draw).collect())
    }
}
