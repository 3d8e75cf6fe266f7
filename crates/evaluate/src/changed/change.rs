//! Changes of an image, such that equal ones can be told.

use crate::Error;
use crate::error::argument;
use hirescam::random::Random;
use std::hash::{Hash, Hasher};

/// A set of places of an image, by their number in row-major order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Places {
    words: Vec<u64>,
    of: usize,
}

impl Places {
    /// The places among 0 … `of` − 1 that `chosen` names; others are left out.
    pub fn new(of: usize, chosen: impl IntoIterator<Item = usize>) -> Self {
        let mut places = Self { words: vec![0; of.div_ceil(64)], of };
        for place in chosen.into_iter().filter(|p| *p < of) {
            places.words.iter_mut().skip(place / 64).take(1).for_each(|word| *word |= 1 << (place % 64));
        }
        places
    }

    /// Whether a place is among them.
    pub fn contains(&self, place: usize) -> bool {
        self.words.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Among how many places they are.
    pub fn of(&self) -> usize {
        self.of
    }
}

/// The longest kernel of a blur: wider than any image that a network takes.
const MOST_CELLS: usize = 4095;

/// What stands where the image was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fill {
    /// One value in every channel, in units of the image as the network takes it. 0 is the mean colour of the training
    /// images where preprocessing takes that off.
    Constant(f64),
    /// The mean of each channel over the image.
    Mean,
    /// The image blurred by a Gauss kernel of `size` cells along each axis of places, and deviation `sigma`. At borders the
    /// last value goes on.
    Blur {
        /// Cells of the kernel along an axis: an odd number.
        size: usize,
        /// The deviation, in cells.
        sigma: f64,
    },
    /// The mean of the eight places around, which may be filled themselves, so that all follow from what is left of the image
    /// (noisy linear imputation, Rong et al. 2022, arXiv:2202.00449): weights 1/6 along the axes and 1/12 across, and normal noise.
    Imputed {
        /// The noise's deviation, in units of the image as the network takes it.
        noise: f64,
        /// The noise's seed.
        seed: u64,
    },
}

impl Fill {
    /// Zero in every channel.
    pub const ZERO: Fill = Fill::Constant(0.0);

    pub(super) fn check(&self) -> Result<(), Error> {
        match *self {
            Fill::Constant(value) if !value.is_finite() => argument(format!("places cannot be filled with {value}")),
            Fill::Blur { size, sigma } if size % 2 == 0 || size > MOST_CELLS || !(sigma > 0.0 && sigma.is_finite()) => {
                argument(format!(
                    "a blur of {size} cells and a deviation of {sigma}: wanted are an odd size of at most {MOST_CELLS} and a deviation above 0"
                ))
            }
            Fill::Imputed { noise, .. } if !(noise >= 0.0 && noise.is_finite()) => {
                argument(format!("noise with a deviation of {noise}: wanted is a number of at least 0"))
            }
            _ => Ok(()),
        }
    }
}

impl Eq for Fill {}

impl Hash for Fill {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        // Adding 0 makes −0 a 0, which it equals.
        let bits = |v: f64| (v + 0.0).to_bits();
        match *self {
            Fill::Constant(value) => bits(value).hash(state),
            Fill::Mean => {}
            Fill::Blur { size, sigma } => (size, bits(sigma)).hash(state),
            Fill::Imputed { noise, seed } => (bits(noise), seed).hash(state),
        }
    }
}

/// A change of an image. Equal changes make equal images.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// The image as it is.
    None,
    /// Some places filled with something else.
    Filled {
        /// Which.
        places: Places,
        /// With what.
        fill: Fill,
    },
    /// Every place multiplied by a number, given by its bits.
    Multiplied(Vec<u64>),
    /// Normal noise taken off, each value with its own.
    Noise {
        /// The deviation, by its bits.
        sigma: u64,
        /// The seed.
        seed: u64,
        /// Which of the seed's streams.
        sample: usize,
    },
}

impl Change {
    /// Places filled, where there are any.
    pub fn filled(places: Places, fill: Fill) -> Self {
        match places.count() {
            0 => Change::None,
            _ => Change::Filled { places, fill },
        }
    }

    /// Every place multiplied by a number.
    pub fn multiplied(by: &[f64]) -> Self {
        Change::Multiplied(by.iter().map(|v| (v + 0.0).to_bits()).collect())
    }

    /// What [`Change::Noise`] takes off, value by value and without end; nothing of other changes.
    pub(crate) fn noise(&self) -> impl Iterator<Item = f64> + use<> {
        let (sigma, mut random) = match *self {
            Change::Noise { sigma, seed, sample } => (Some(f64::from_bits(sigma)), Random::of_sample(seed, sample)),
            _ => (None, Random::of_sample(0, 0)),
        };
        std::iter::from_fn(move || sigma.map(|sigma| sigma * random.normal()))
    }
}
