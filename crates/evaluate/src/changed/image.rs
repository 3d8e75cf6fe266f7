//! Images, and how they are changed.

use super::blur::blurred;
use super::change::{Change, Fill, Places};
use super::impute::System;
use crate::Error;
use crate::error::argument;
use hirescam::random::Random;
use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn};
use rayon::prelude::*;
use std::collections::HashMap;

/// One image as a network takes it, preprocessed, without an axis of samples: its channels lie on one axis, all other axes are
/// places.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    values: Vec<f32>,
    shape: Vec<usize>,
    channels: usize,
}

impl Image {
    /// Takes an image `[C, H, W]`, or of any other order and number of axes; `channels` is the axis that counts channels.
    ///
    /// # Errors
    /// [`Error::Argument`] for an image without values or without that axis; [`Error::NotFinite`].
    pub fn new(image: ArrayViewD<'_, f32>, channels: usize) -> Result<Self, Error> {
        if image.is_empty() || channels >= image.ndim() {
            return argument(format!(
                "an image {:?} whose channels lie on axis {channels}: wanted is [C, places…], in any order",
                image.shape()
            ));
        }
        if let Some((at, v)) = image.indexed_iter().find(|(_, v)| !v.is_finite()) {
            let at = ndarray::Dimension::slice(&at).to_vec();
            return Err(Error::NotFinite { what: "image", value: f64::from(*v), at });
        }
        Ok(Self { values: image.iter().copied().collect(), shape: image.shape().to_vec(), channels })
    }

    /// The image's shape.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The extents of its places: the shape without the channels, which is a map's shape.
    pub fn places(&self) -> Vec<usize> {
        self.shape.iter().enumerate().filter(|(axis, _)| *axis != self.channels).map(|(_, n)| *n).collect()
    }

    /// That a map has a cell for each place, or what to do about it.
    pub(crate) fn check_map(&self, map: &ArrayViewD<'_, f64>) -> Result<(), Error> {
        match self.places() == map.shape() {
            true => Ok(()),
            false => argument(format!(
                "the map has the shape {:?} and the image's places are {:?}: resize the map to the image first",
                map.shape(),
                self.places()
            )),
        }
    }

    /// That a change can be made of this image.
    pub(super) fn check(&self, change: &Change) -> Result<(), Error> {
        let places = self.places();
        let count: usize = places.iter().product();
        let fits = |n: usize| match n == count {
            true => Ok(()),
            false => argument(format!("a change of {n} places of an image that has {count}")),
        };
        match change {
            Change::None => Ok(()),
            Change::Filled { places: filled, fill } => {
                fits(filled.of())?;
                fill.check()?;
                match fill {
                    Fill::Imputed { .. } if places.len() != 2 => argument(format!(
                        "places are imputed from the eight around them, which an image with places {places:?} does not have: fill them with something else"
                    )),
                    Fill::Imputed { .. } if filled.count() == count => argument(
                        "an image of which nothing is left cannot be imputed: take out a smaller share, or fill it with something else",
                    ),
                    _ => Ok(()),
                }
            }
            Change::Multiplied(by) => fits(by.len()),
            Change::Noise { .. } => Ok(()),
        }
    }

    /// The image with these places imputed, without noise: each is the weighted mean of the eight around it, all at once.
    ///
    /// # Errors
    /// [`Error::Argument`] for places of another image, for one whose places have not two axes, and where nothing is left.
    pub fn imputed(&self, places: Places) -> Result<ArrayD<f32>, Error> {
        let change = Change::Filled { places, fill: Fill::Imputed { noise: 0.0, seed: 0 } };
        Ok(self.changed(&[&change], &mut HashMap::new())?.index_axis_move(Axis(0), 0))
    }

    /// The place of each value, in the order of the values.
    fn place_of(&self) -> impl Iterator<Item = usize> + use<> {
        let (outer, channels, inner) = self.split();
        (0..outer).flat_map(move |o| (0..channels).flat_map(move |_| o * inner..(o + 1) * inner))
    }

    /// The channel of each value, in the order of the values.
    fn channel_of(&self) -> impl Iterator<Item = usize> + use<> {
        let (outer, channels, inner) = self.split();
        (0..outer).flat_map(move |_| (0..channels).flat_map(move |c| std::iter::repeat_n(c, inner)))
    }

    /// How many values lie along the axes before that of the channels, along it, and along those after.
    fn split(&self) -> (usize, usize, usize) {
        let (before, rest) = self.shape.split_at(self.channels);
        let (channels, after) = rest.split_first().unwrap_or((&1, &[]));
        (before.iter().product(), *channels, after.iter().product())
    }

    /// The images of changes, `[N, …]`. What fills places and is the same for all changes is kept in `fills`.
    pub(super) fn changed(
        &self,
        changes: &[&Change],
        fills: &mut HashMap<Fill, Vec<f32>>,
    ) -> Result<ArrayD<f32>, Error> {
        for change in changes {
            self.check(change)?;
            if let Change::Filled { fill, .. } = change
                && !fills.contains_key(fill)
                && let Some(values) = self.fill(fill)
            {
                fills.insert(*fill, values);
            }
        }
        let mut values = vec![0.0; changes.len() * self.values.len()];
        let rows = values.par_chunks_mut(self.values.len()).zip(changes);
        rows.try_for_each(|(row, change)| self.apply(change, fills, row))?;
        let shape: Vec<usize> = std::iter::once(changes.len()).chain(self.shape.iter().copied()).collect();
        ArrayD::from_shape_vec(IxDyn(&shape), values).map_err(|e| Error::Argument(e.to_string()))
    }

    /// What fills places, where it does not depend on which.
    fn fill(&self, fill: &Fill) -> Option<Vec<f32>> {
        match *fill {
            Fill::Constant(value) => Some(vec![value as f32; self.values.len()]),
            Fill::Mean => {
                let (_, channels, _) = self.split();
                let mut sums = vec![0.0; channels];
                for (v, c) in self.values.iter().zip(self.channel_of()) {
                    sums.iter_mut().skip(c).take(1).for_each(|sum| *sum += f64::from(*v));
                }
                let n = (self.values.len() / channels) as f64;
                Some(self.channel_of().filter_map(|c| sums.get(c)).map(|sum| (sum / n) as f32).collect())
            }
            Fill::Blur { size, sigma } => Some(blurred(&self.values, &self.shape, self.channels, size, sigma)),
            Fill::Imputed { .. } => None,
        }
    }

    fn apply(&self, change: &Change, fills: &HashMap<Fill, Vec<f32>>, row: &mut [f32]) -> Result<(), Error> {
        row.copy_from_slice(&self.values);
        match change {
            Change::None => {}
            Change::Filled { places, fill: Fill::Imputed { noise, seed } } => {
                self.impute(places, *noise, *seed, row)?;
            }
            Change::Filled { places, fill } => {
                let fill = fills.get(fill).map_or(&[][..], Vec::as_slice);
                let (_, channels, inner) = self.split();
                // By runs of places of one channel: this is done for every value of every changed image.
                for (n, (values, fill)) in row.chunks_mut(inner).zip(fill.chunks(inner)).enumerate() {
                    let first = n / channels * inner;
                    for (i, (v, f)) in values.iter_mut().zip(fill).enumerate() {
                        if places.contains(first + i) {
                            *v = *f;
                        }
                    }
                }
            }
            Change::Multiplied(by) => {
                let by: Vec<f64> = by.iter().map(|bits| f64::from_bits(*bits)).collect();
                for (v, place) in row.iter_mut().zip(self.place_of()) {
                    *v = (f64::from(*v) * by.get(place).copied().unwrap_or(1.0)) as f32;
                }
            }
            Change::Noise { .. } => {
                for (v, noise) in row.iter_mut().zip(change.noise()) {
                    *v = (f64::from(*v) - noise) as f32;
                }
            }
        }
        Ok(())
    }

    /// Fills places from those around them, with noise.
    fn impute(&self, places: &Places, noise: f64, seed: u64, row: &mut [f32]) -> Result<(), Error> {
        let [height, width] = self.places()[..] else { return argument("places are imputed along two axes") };
        let system = System::new(places, height, width)?;
        let (_, channels, _) = self.split();
        let mut random = Random::of_sample(seed, places.count());
        for channel in 0..channels {
            let own: Vec<usize> =
                self.channel_of().enumerate().filter(|(_, c)| *c == channel).map(|(i, _)| i).collect();
            let known: Vec<f64> = own.iter().filter_map(|i| self.values.get(*i)).map(|v| f64::from(*v)).collect();
            for (place, value) in system.solve(&known) {
                let value = value + noise * random.normal();
                if let Some(v) = own.get(place).and_then(|i| row.get_mut(*i)) {
                    *v = value as f32;
                }
            }
        }
        Ok(())
    }
}
