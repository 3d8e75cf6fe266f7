//! Where results go: files that are whole or not there, under names that lose nothing.

mod folder;
mod gallery;
mod protected;
mod table;
mod whole;

pub(crate) use folder::is_result;
pub use folder::{Claim, Folder, part_of, put};
pub use gallery::Gallery;
pub use protected::Protected;
pub(crate) use protected::{Identity, identity};
pub use table::Table;
pub use whole::{Whole, write};

use crate::error::Error;
use crate::network::sha256;
use crate::record::Record;
use image::{ImageFormat, RgbImage};
use ndarray::ArrayD;
use ndarray_npy::WriteNpyExt;
use serde_json::Value;
use std::io::Cursor;
use std::path::Path;

/// Sees to it that a file may be written at `path`, before the work that makes it: it is none of the `protected`, and one that
/// is there is `ours`, by its content, or may be overwritten. It is protected from then on.
///
/// # Errors
/// [`Error::Protected`] and [`Error::Exists`] where it may not, [`Error::File`] when what is there cannot be read.
pub fn claim(
    path: &Path,
    protected: &mut Protected,
    overwrite: bool,
    ours: impl FnOnce(&[u8]) -> bool,
) -> Result<(), Error> {
    protected.claim(path)?;
    if overwrite || !path.is_file() {
        return Ok(());
    }
    let there = std::fs::read(path).map_err(|error| Error::File { path: path.to_owned(), error })?;
    match ours(&there) {
        true => Ok(()),
        false => Err(Error::Exists { path: path.to_owned(), others: 0 }),
    }
}

/// Stands for all that decides what is made of an image, but for the image.
pub fn fingerprint(all: &Value) -> String {
    sha256(all.to_string().as_bytes())
}

/// A picture as the bytes of a PNG file.
///
/// # Errors
/// [`Error::Argument`] when it cannot be one.
pub fn png(picture: &RgbImage) -> Result<Vec<u8>, Error> {
    let mut bytes = Cursor::new(Vec::new());
    let written = picture.write_to(&mut bytes, ImageFormat::Png);
    written.map_err(|error| Error::Argument(format!("the picture cannot be written: {error}")))?;
    Ok(bytes.into_inner())
}

/// A map as the bytes of a `.npy` file.
///
/// # Errors
/// [`Error::Argument`] when it cannot be one.
pub fn npy(map: &ArrayD<f32>) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    map.write_npy(&mut bytes).map_err(|error| Error::Argument(format!("the map cannot be written: {error}")))?;
    Ok(bytes)
}

/// A record by the names of its fields.
fn fields(record: &Record) -> Result<Value, Error> {
    serde_json::to_value(record).map_err(|error| Error::Argument(error.to_string()))
}
