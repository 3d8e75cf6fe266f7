//! Images as they come from Python, to be read when they are explained.

use crate::{array, error};
use hirescam::engine::Array;
use hirescam::photo::Photo;
use hirescam::{Error, Input, source};
use image::{DynamicImage, ImageBuffer};
use ndarray::{ArrayD, Ix3};
use numpy::PyReadonlyArrayDyn;
use pyo3::prelude::*;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// An image of which it is settled what it is: a file, the bytes of one, pixels, or a tensor in the network's own shape.
#[pyclass(frozen, module = "hirescam._hirescam")]
pub struct Image {
    id: String,
    content: Content,
}

enum Content {
    File(PathBuf),
    Bytes(Vec<u8>),
    Photo(Photo),
    /// It is taken where it is read, and not copied.
    Tensor(Mutex<Option<Array>>),
}

#[pymethods]
impl Image {
    /// A file: a photo, or a tensor (.npy).
    #[staticmethod]
    fn file(path: PathBuf) -> Self {
        Image { id: path.to_string_lossy().into_owned(), content: Content::File(path) }
    }

    /// The bytes of such a file.
    #[staticmethod]
    fn bytes(bytes: &[u8]) -> Self {
        Image { id: String::new(), content: Content::Bytes(bytes.to_vec()) }
    }

    /// Pixels [height, width, channels] of 8 or 16 bits, with 1, 3 or 4 channels.
    #[staticmethod]
    fn pixels(array: &Bound<PyAny>) -> PyResult<Self> {
        let photo = photo(array).map_err(|e| error::raised(array.py(), &e))?;
        Ok(Image { id: String::new(), content: Content::Photo(photo) })
    }

    /// A tensor in the network's own shape.
    #[staticmethod]
    fn tensor(array: &Bound<PyAny>) -> PyResult<Self> {
        let tensor = Mutex::new(Some(array::from_numpy(array)?));
        Ok(Image { id: String::new(), content: Content::Tensor(tensor) })
    }
}

impl Image {
    /// What it is called.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The bytes of a file, where it was given as these.
    pub fn content(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The image, and the SHA-256 of its file where it is one.
    pub fn read(&self) -> Result<(Input, Option<String>), Error> {
        match &self.content {
            Content::File(path) => source::read(path).map(|(input, hash)| (input, Some(hash))),
            Content::Bytes(bytes) => Ok((source::decode(bytes)?, None)),
            Content::Photo(photo) => Ok((photo.clone().into(), None)),
            Content::Tensor(tensor) => {
                let taken = tensor.lock().unwrap_or_else(PoisonError::into_inner).take();
                let taken = taken.ok_or_else(|| Error::Argument("the tensor was explained already".into()))?;
                Ok((taken.into(), None))
            }
        }
    }
}

fn photo(array: &Bound<PyAny>) -> Result<Photo, Error> {
    let made = match array.extract::<PyReadonlyArrayDyn<u8>>() {
        Ok(array) => image(
            array.as_array().to_owned(),
            [
                |w, h, v| ImageBuffer::from_raw(w, h, v).map(DynamicImage::ImageLuma8),
                |w, h, v| ImageBuffer::from_raw(w, h, v).map(DynamicImage::ImageRgb8),
                |w, h, v| ImageBuffer::from_raw(w, h, v).map(DynamicImage::ImageRgba8),
            ],
        ),
        Err(_) => array.extract::<PyReadonlyArrayDyn<u16>>().ok().and_then(|array| {
            image(
                array.as_array().to_owned(),
                [
                    |w, h, v| ImageBuffer::from_raw(w, h, v).map(DynamicImage::ImageLuma16),
                    |w, h, v| ImageBuffer::from_raw(w, h, v).map(DynamicImage::ImageRgb16),
                    |w, h, v| ImageBuffer::from_raw(w, h, v).map(DynamicImage::ImageRgba16),
                ],
            )
        }),
    };
    let wanted =
        || Error::Argument("pixels are wanted: [height, width, 1, 3 or 4] of 8 or 16 bits without sign".into());
    Ok(Photo::from_image(made.ok_or_else(wanted)?)?)
}

/// The image of levels by row, column and channel, by what makes one of 1, of 3 and of 4 channels.
fn image<T: Copy>(pixels: ArrayD<T>, make: [fn(u32, u32, Vec<T>) -> Option<DynamicImage>; 3]) -> Option<DynamicImage> {
    let pixels = pixels.into_dimensionality::<Ix3>().ok()?;
    let (height, width, channels) = pixels.dim();
    let [grey, colours, with_alpha] = make;
    let make = match channels {
        1 => grey,
        3 => colours,
        4 => with_alpha,
        _ => return None,
    };
    let (width, height) = (width.try_into().ok()?, height.try_into().ok()?);
    make(width, height, pixels.iter().copied().collect())
}
