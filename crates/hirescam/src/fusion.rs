//! The maps of several layers in one.

use crate::error::Error;
use crate::explanation::Explanation;
use crate::heatmap::{Heatmap, resize_linear};
use crate::overlay::{Style, overlay};
use crate::photo::Photo;
use crate::preprocess::Rect;
use image::RgbImage;
use ndarray::{ArrayD, Ix2, Zip};
use std::fmt;
use std::str::FromStr;

/// What is taken of the maps at each place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fuse {
    /// Their mean.
    Mean,
    /// The largest.
    Max,
}

impl fmt::Display for Fuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fuse::Mean => "mean",
            Fuse::Max => "max",
        })
    }
}

impl FromStr for Fuse {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "mean" => Ok(Fuse::Mean),
            "max" => Ok(Fuse::Max),
            _ => Err(Error::Argument(format!("maps are fused by their mean or their max, not by {text:?}"))),
        }
    }
}

/// The maps of several layers in one, for display.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Fused {
    /// Values from 0 to 1 without a unit, at the resolution of the finest layer.
    pub map: ArrayD<f32>,
    /// How it was made.
    pub how: Fuse,
    /// The layers.
    pub layers: Vec<String>,
    photo: Option<(Photo, Rect)>,
}

/// Fuses the maps of one image and class at several layers: each is rectified, divided by its maximum and resized
/// linearly to the finest, then the mean or the largest value is taken at each place. A map with nothing positive counts
/// as 0 everywhere.
///
/// Maps of different layers are in different units, so to speak: each splits the same score anew. That is why they are
/// normalised, and why nothing that is proven of them holds for what comes out.
///
/// # Errors
/// [`Error::Argument`] for no map, or maps with other axes of space.
pub fn fuse(explanations: &[&Explanation], how: Fuse) -> Result<Fused, Error> {
    let Some(first) = explanations.first() else { return Err(Error::Argument("no maps to fuse".into())) };
    let mut finest = first.map.shape().to_vec();
    for e in explanations {
        if e.map.ndim() != finest.len() {
            return Err(Error::Argument(format!(
                "maps of {} and of {} axes of space cannot be fused: {} and {}",
                finest.len(),
                e.map.ndim(),
                first.layer(),
                e.layer()
            )));
        }
        finest.iter_mut().zip(e.map.shape()).for_each(|(n, &own)| *n = own.max(*n));
    }
    let mut fused = ArrayD::<f32>::zeros(finest.clone());
    for e in explanations {
        let largest = e.map.iter().fold(0.0f32, |m, &v| m.max(v));
        let map = e.map.mapv(|v| if largest > 0.0 { v.max(0.0) / largest } else { 0.0 });
        let map = resize_linear(&map, &finest)?;
        Zip::from(&mut fused).and(&map).for_each(|f, &v| match how {
            Fuse::Mean => *f += v / explanations.len() as f32,
            Fuse::Max => *f = f.max(v),
        });
    }
    let layers = explanations.iter().map(|e| e.layer().to_owned()).collect();
    Ok(Fused { map: fused, how, layers, photo: first.seen().map(|(photo, view)| (photo.clone(), view)) })
}

impl Fused {
    /// What it is, and what is lost.
    pub fn in_words(&self) -> String {
        format!(
            "fused: the {} of the maps at {}, each rectified and divided by its maximum; it shows places, not contributions, and nothing adds up to the score",
            self.how,
            self.layers.join(", ")
        )
    }

    /// The fused map over the photo.
    ///
    /// # Errors
    /// [`Error::Argument`] when the image was given as a tensor or the map is no picture, [`Error::Overlay`].
    pub fn overlay(&self, style: &Style) -> Result<RgbImage, Error> {
        let Some((photo, view)) = &self.photo else {
            return Err(Error::Argument("a tensor has no photo to draw on".into()));
        };
        let axes = self.map.ndim();
        let map = self.map.clone().into_dimensionality::<Ix2>();
        let map = map.map_err(|_| Error::Argument(format!("a map with {axes} axes of space is no picture")))?;
        Ok(overlay(photo, *view, &Heatmap::new(map)?.rectify(), style)?)
    }
}
