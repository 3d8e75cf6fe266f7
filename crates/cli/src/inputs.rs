//! Images named on the command line: files, folders, patterns.

use crate::error::Error;
use hirescam::Input;
use hirescam::model_file::sha256;
use hirescam::photo::{Limits, Photo};
use ndarray::ArrayD;
use ndarray_npy::ReadNpyExt;
use std::path::{Path, PathBuf};

const SUFFIXES: &[&str] = &["png", "jpg", "jpeg", "webp", "tif", "tiff", "bmp", "gif", "npy"];

/// The files that the arguments name: a folder stands for its images, a pattern for its matches, each sorted.
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
                return Err(Error::File { path: argument.clone(), what: "there is no such file".into() });
            }
            matches.sort();
            files.extend(matches);
        }
    }
    Ok(files)
}

fn folder(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = std::fs::read_dir(path).map_err(|e| Error::File { path: path.to_owned(), what: e.to_string() })?;
    let suffix =
        |p: &PathBuf| p.extension().is_some_and(|e| SUFFIXES.contains(&e.to_string_lossy().to_lowercase().as_str()));
    let mut files: Vec<PathBuf> =
        entries.filter_map(Result::ok).map(|e| e.path()).filter(|p| p.is_file() && suffix(p)).collect();
    files.sort();
    if files.is_empty() {
        return Err(Error::File {
            path: path.to_owned(),
            what: format!("the folder holds no images ({})", SUFFIXES.join(", ")),
        });
    }
    Ok(files)
}

/// An image file's content and hash.
pub fn read(path: &Path) -> Result<(Input, String), Error> {
    let bytes = std::fs::read(path).map_err(|e| Error::File { path: path.to_owned(), what: e.to_string() })?;
    let hash = sha256(&bytes);
    if bytes.starts_with(b"\x93NUMPY") {
        let tensor = ArrayD::<f32>::read_npy(bytes.as_slice());
        let what = |e: ndarray_npy::ReadNpyError| format!("not a float32 .npy tensor: {e}");
        return Ok((Input::Tensor(tensor.map_err(|e| Error::File { path: path.to_owned(), what: what(e) })?), hash));
    }
    let photo = Photo::decode(&bytes, Limits::default());
    Ok((Input::Photo(photo.map_err(|e| Error::File { path: path.to_owned(), what: e.to_string() })?), hash))
}
