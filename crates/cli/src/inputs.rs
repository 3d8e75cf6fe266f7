//! Images named on the command line: files, folders, patterns.

use crate::error::Error;
use hirescam::Input;
use hirescam::core::Model;
use hirescam::core::head::image_input;
use hirescam::core::shape::declared;
use hirescam::engine::Array;
use hirescam::model_file::sha256;
use hirescam::photo::{Limits, Photo};
use ndarray::ArrayD;
use ndarray_npy::{ReadNpyExt, ReadableElement};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The most bytes of an image or a tensor.
const MOST_BYTES: u64 = 1 << 32;
/// How a .npy file begins.
const NUMPY: &[u8] = b"\x93NUMPY";
/// Where the header of a .npy file has ended.
const LONGEST_HEADER: usize = 4096;

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

/// The bytes of an image or a tensor.
fn content(path: &Path) -> Result<Vec<u8>, Error> {
    let fail = |what: String| Error::File { path: path.to_owned(), what };
    let mut bytes = Vec::new();
    File::open(path).and_then(|f| f.take(MOST_BYTES + 1).read_to_end(&mut bytes)).map_err(|e| fail(e.to_string()))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(fail(format!("it has more than {MOST_BYTES} bytes")));
    }
    if bytes.starts_with(NUMPY) && !holds_its_shape(&bytes) {
        return Err(fail("not a .npy tensor that holds what its header says".into()));
    }
    Ok(bytes)
}

/// What an input beside the image is fed: `NAME=FILE.npy` or `NAME=NUMBER`.
pub fn beside(text: &str) -> Result<(String, Array), Error> {
    let Some((name, value)) = text.rsplit_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty())
    else {
        return Err(Error::Argument(format!("--input {text}: it takes NAME=FILE.npy or NAME=NUMBER")));
    };
    if let Ok(number) = value.parse::<f64>() {
        return Ok((name.to_owned(), Array::from(ndarray::arr0(number))));
    }
    Ok((name.to_owned(), array(Path::new(value))?))
}

/// A .npy file of numbers of any kind.
pub fn array(path: &Path) -> Result<Array, Error> {
    fn of<T: ReadableElement>(bytes: &[u8]) -> Option<Array>
    where
        Array: From<ArrayD<T>>,
    {
        ArrayD::<T>::read_npy(bytes).ok().map(Array::from)
    }
    let kinds = [
        of::<f32>, of::<f64>, of::<i64>, of::<i32>, of::<i16>, of::<i8>, of::<u8>, of::<u16>, of::<u32>, of::<u64>,
        of::<bool>,
    ];
    let bytes = content(path)?;
    let fail = || Error::File { path: path.to_owned(), what: "not a .npy tensor of numbers".into() };
    kinds.iter().find_map(|read| read(&bytes)).ok_or_else(fail)
}

/// An image file's content and hash.
pub fn read(path: &Path) -> Result<(Input, String), Error> {
    let fail = |what: String| Error::File { path: path.to_owned(), what };
    let bytes = content(path)?;
    let hash = sha256(&bytes);
    if bytes.starts_with(NUMPY) {
        let tensor = ArrayD::<f32>::read_npy(bytes.as_slice());
        return Ok((Input::Tensor(tensor.map_err(|e| fail(format!("not a float32 .npy tensor: {e}")))?), hash));
    }
    let photo = Photo::decode(&bytes, Limits::default());
    Ok((Input::Photo(photo.map_err(|e| fail(e.to_string()))?), hash))
}

/// The shape of the input `image` that a ready tensor in the file `path` tells, where the model leaves extents open.
pub fn shape(model: &Model, image: Option<&str>, path: &Path) -> Result<Option<Vec<usize>>, Error> {
    let declared = declared(image_input(model, image)?);
    Ok(match declared.iter().skip(1).any(Option::is_none).then(|| read(path)) {
        Some(Ok((Input::Tensor(t), _))) => Some(t.shape().to_vec()),
        _ => None,
    })
}

/// Whether a .npy file is at least as long as its shape says: the reader would allocate what it promises. A header that
/// is longer than any, or nested as none is, does not get to the reader either.
fn holds_its_shape(bytes: &[u8]) -> bool {
    let longest = bytes.get(..LONGEST_HEADER.min(bytes.len())).unwrap_or(bytes);
    let header = longest.split(|&b| b == b'\n').next().unwrap_or(&[]);
    let text = String::from_utf8_lossy(header);
    let shape =
        text.split_once("'shape'").and_then(|(_, rest)| rest.split_once('(')).and_then(|(_, s)| s.split_once(')'));
    let extents = shape.map(|(list, _)| list.split(',').map(str::trim).filter(|n| !n.is_empty()));
    let count = extents.and_then(|mut e| e.try_fold(1usize, |p, n| p.checked_mul(n.parse().ok()?)));
    let flat = text.matches(['(', '[', '{']).count() < 8;
    flat && header.len() < longest.len() && count.is_some_and(|n| n <= bytes.len())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn npy(shape: &str, data: usize) -> Vec<u8> {
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
        let header = format!("{header:<117}\n");
        [NUMPY, &[1, 0], &(header.len() as u16).to_le_bytes(), header.as_bytes(), &vec![0; data]].concat()
    }

    #[test]
    fn tensors_that_lie_about_their_shape_are_refused() {
        let path = std::env::temp_dir().join(format!("hirescam-lies-{}.npy", std::process::id()));
        let read = |bytes: Vec<u8>| {
            std::fs::write(&path, bytes).unwrap();
            read(&path)
        };
        let good = read(npy("(2, 3)", 24)).unwrap().0;
        assert!(matches!(good, Input::Tensor(t) if t.shape() == [2, 3]));
        assert!(read(npy("()", 4)).is_ok() && read(npy("(1,)", 4)).is_ok());
        for (shape, data) in
            [("(2, 3)", 20), ("(99999999999,)", 24), ("(4294967296, 4294967296)", 4), ("3", 12), ("(x,)", 4)]
        {
            assert!(read(npy(shape, data)).is_err(), "{shape}");
        }
        let nested = [NUMPY, &[2, 0, 0, 0, 1, 0], "(".repeat(65_536).as_bytes()].concat();
        assert!(read(nested).is_err());
        std::fs::remove_file(&path).unwrap();
    }
}
