//! Data sets: images with what is known of them.
//!
//! A [`DataSet`] knows the names of its images and reads one at a time, so that none of them need fit into memory. What an image
//! shows is a list of [`Object`]s, each of a class, with the places that it takes up.

use crate::Error;
use hirescam::photo::Photo;
use ndarray::Array2;

/// Images with what is known of them.
pub trait DataSet: Send + Sync {
    /// What it is, for people: the format and where it lies.
    fn title(&self) -> String;

    /// The names of its classes.
    fn classes(&self) -> &[String];

    /// The names of its images, in its own order.
    fn ids(&self) -> &[String];

    /// Reads the image number `index`, and what is known of it.
    ///
    /// # Errors
    /// [`Error::Data`] where a file is missing, broken, or does not go with the others.
    fn read(&self, index: usize) -> Result<Example, Error>;
}

/// An image and what is known of it.
#[derive(Clone, Debug)]
pub struct Example {
    /// The image.
    pub photo: Photo,
    /// What it shows.
    pub objects: Vec<Object>,
    /// Pixels of which nothing is known, `[height, width]`: VOC's boundaries. They count neither as object nor as background.
    pub void: Option<Array2<bool>>,
}

/// Something that an image shows.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its class, as a position in [`DataSet::classes`].
    pub class: usize,
    /// Where it lies; none where only the image is labelled.
    pub region: Option<Region>,
    /// VOC's mark for objects that are hard to recognise.
    pub difficult: bool,
    /// Whether parts of it lie outside of the image.
    pub truncated: bool,
    /// Whether it stands for many objects that were not told apart: COCO's crowds.
    pub crowd: bool,
}

/// The places that an object takes up.
#[derive(Clone, Debug, PartialEq)]
pub enum Region {
    /// A rectangle in pixels of the image: from `left`, `top` up to, and without, `right`, `bottom`.
    Rectangle {
        /// The first column.
        left: f64,
        /// The first row.
        top: f64,
        /// The end of the columns.
        right: f64,
        /// The end of the rows.
        bottom: f64,
    },
    /// Pixels, `[height, width]` of the image.
    Mask(Array2<bool>),
}
