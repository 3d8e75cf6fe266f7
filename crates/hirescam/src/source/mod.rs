//! Where images come from: files, folders and patterns of photos and tensors.

pub mod npy;

use crate::explainer::{Error, Input};
use crate::model_file::sha256;
use crate::photo::{Limits, Photo};
use hirescam_engine::Array;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The most bytes of an image or a tensor.
const MOST_BYTES: u64 = 1 << 32;

/// How the names of images end.
const SUFFIXES: &[&str] = &["png", "jpg", "jpeg", "webp", "tif", "tiff", "bmp", "gif", "npy"];

fn fail(path: &Path, kind: ErrorKind, what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::File { path: path.to_owned(), error: io::Error::new(kind, what) }
}

/// The files that `arguments` name: a folder stands for its images, a pattern for its matches, each sorted.
///
/// # Errors
/// [`Error::File`] for what is not there and folders without images, [`Error::Argument`] for what is no pattern.
pub fn files(arguments: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for argument in arguments {
        if argument.is_dir() {
            files.extend(folder(argument)?);
        } else if argument.is_file() {
            files.push(argument.clone());
        } else {
            let pattern = argument.to_string_lossy();
            let matches =
                glob::glob(&pattern).map_err(|e| Error::Argument(format!("{pattern:?} is no pattern: {e}")))?;
            let mut matches: Vec<PathBuf> = matches.filter_map(Result::ok).filter(|p| p.is_file()).collect();
            if matches.is_empty() {
                return Err(fail(argument, ErrorKind::NotFound, "there is no such file"));
            }
            matches.sort();
            files.extend(matches);
        }
    }
    Ok(files)
}

fn folder(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = std::fs::read_dir(path).map_err(|error| Error::File { path: path.to_owned(), error })?;
    let suffix =
        |p: &PathBuf| p.extension().is_some_and(|e| SUFFIXES.contains(&e.to_string_lossy().to_lowercase().as_str()));
    let mut files: Vec<PathBuf> =
        entries.filter_map(Result::ok).map(|e| e.path()).filter(|p| p.is_file() && suffix(p)).collect();
    files.sort();
    if files.is_empty() {
        let what = format!("the folder holds no images ({})", SUFFIXES.join(", "));
        return Err(fail(path, ErrorKind::NotFound, what));
    }
    Ok(files)
}

/// The bytes of an image or a tensor.
fn content(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|f| f.take(MOST_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|error| Error::File { path: path.to_owned(), error })?;
    match bytes.len() as u64 > MOST_BYTES {
        true => Err(fail(path, ErrorKind::FileTooLarge, format!("it has more than {MOST_BYTES} bytes"))),
        false => Ok(bytes),
    }
}

/// A `.npy` file of numbers of any kind.
///
/// # Errors
/// [`Error::File`] when it cannot be read.
pub fn array(path: &Path) -> Result<Array, Error> {
    npy::read(&content(path)?).map_err(|e| fail(path, ErrorKind::InvalidData, e))
}

/// An image file's SHA-256.
///
/// # Errors
/// [`Error::File`] when it cannot be read.
pub fn hash(path: &Path) -> Result<String, Error> {
    Ok(sha256(&content(path)?))
}

/// An image file's content and SHA-256.
///
/// # Errors
/// [`Error::File`] when it cannot be read or is neither photo nor tensor.
pub fn read(path: &Path) -> Result<(Input, String), Error> {
    let bytes = content(path)?;
    let hash = sha256(&bytes);
    if npy::is_npy(&bytes) {
        let tensor = npy::read(&bytes).map_err(|e| fail(path, ErrorKind::InvalidData, e))?;
        return Ok((Input::Tensor(tensor), hash));
    }
    let photo = Photo::decode(&bytes, Limits::default()).map_err(|e| fail(path, ErrorKind::InvalidData, e))?;
    Ok((Input::Photo(photo), hash))
}
