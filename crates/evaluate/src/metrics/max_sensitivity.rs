//! Max-sensitivity.

use super::{Better, Row, beside, cells};
use crate::Error;
use crate::error::{argument, undefined};
use hirescam::random::Random;
use ndarray::{ArrayD, ArrayViewD};

/// [`max_sensitivity`] for people.
pub const ROW: Row = Row {
    name: "max-sensitivity",
    what: "How far the map moves when the image is hardly changed.",
    formula: "max_y ‖h(y) − h(x)‖₂ over images y with |y − x| ≤ r everywhere; / ‖h(x)‖₂ where relative",
    range: "0 to ∞; absolute in the map's units",
    better: Better::Lower,
    source: "Yeh et al. 2019, arXiv:1901.09392, definition 3.1",
    needs: "maps of changed images",
    blind: "whether the map is right: a map that never changes is best; it is a maximum over a few draws, and below the true one",
};

/// max ‖h(y) − h(x)‖₂ over maps of images y close to x: how far the map moves when the image is hardly changed. Where
/// `relative`, over ‖h(x)‖₂. Yeh et al. 2019, arXiv:1901.09392, definition 3.1; [`Neighbours`] draws the images.
///
/// captum's `sensitivity_max` is the relative one, with radius 0.02 and 10 images. The class stays that of x.
///
/// # Differs from captum
/// It divides by 1 where the map is 0 everywhere. Here the relative one has no value then. Where the explaining function gives it a
/// tensor and no tuple, captum 0.9 divides by the norm of one channel.
///
/// # Errors
/// [`Error::Undefined`] for a relative one of a map of zeros; [`Error::Argument`] for no maps or maps of another shape.
pub fn max_sensitivity(
    map: ArrayViewD<'_, f64>,
    of_neighbours: &[ArrayViewD<'_, f64>],
    relative: bool,
) -> Result<f64, Error> {
    let own = cells("map", &map)?;
    if of_neighbours.is_empty() {
        return argument("there are no maps of changed images");
    }
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let mut furthest: f64 = 0.0;
    for other in of_neighbours {
        beside(&map, "map of a changed image", other)?;
        let other = cells("map of a changed image", other)?;
        furthest = furthest.max(norm(&mut own.iter().zip(other).map(|(a, b)| b - a)));
    }
    match (relative, norm(&mut own.iter().copied())) {
        (false, _) => Ok(furthest),
        (true, 0.0) => undefined(ROW.name, "the map is 0 everywhere, and nothing is relative to that"),
        (true, size) => Ok(furthest / size),
    }
}

/// Images close to one image: each value moved by a random amount within ± `radius`, uniformly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbours {
    /// The largest move, in units of the image as the network takes it.
    pub radius: f64,
    /// How many images.
    pub samples: usize,
    /// The seed. Each image has a stream of its own.
    pub seed: u64,
}

impl Default for Neighbours {
    /// 10 images within ± 0.02, as captum draws them.
    fn default() -> Self {
        Self { radius: 0.02, samples: 10, seed: 0 }
    }
}

impl Neighbours {
    /// The image number `sample`, of the image's shape.
    pub fn image(&self, image: ArrayViewD<'_, f32>, sample: usize) -> ArrayD<f32> {
        let mut random = Random::of_sample(self.seed, sample);
        image.mapv(|v| (f64::from(v) + self.radius * (2.0 * random.unit() - 1.0)) as f32)
    }

    /// All of the images.
    pub fn images(&self, image: ArrayViewD<'_, f32>) -> Vec<ArrayD<f32>> {
        (0..self.samples).map(|sample| self.image(image.view(), sample)).collect()
    }
}
