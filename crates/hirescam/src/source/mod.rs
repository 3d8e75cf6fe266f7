//! Where images come from: files, folders and patterns of photos and tensors.

mod kinds;
pub mod npy;

pub(crate) use kinds::no_network;

use crate::error::Error;
use crate::network::sha256;
use crate::photo::{Limits, Photo, PhotoError};
use crate::sample::Input;
use crate::sink::{Identity, identity, is_result};
use hirescam_engine::Array;
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The most bytes of an image or a tensor.
const MOST_BYTES: u64 = 1 << 32;

/// How the names of images end.
const SUFFIXES: &[&str] = &["png", "jpg", "jpeg", "webp", "tif", "tiff", "bmp", "gif", "npy"];

/// Whether a file's name ends as those of images do.
pub fn is_named_as_image(name: &str) -> bool {
    let ending = Path::new(name).extension().map(|e| e.to_string_lossy().to_lowercase());
    ending.is_some_and(|ending| SUFFIXES.contains(&ending.as_str()))
}

fn fail(path: &Path, kind: ErrorKind, what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::File { path: path.to_owned(), error: io::Error::new(kind, what) }
}

/// Images that were found, and what was passed over on the way.
#[derive(Debug, Default)]
pub struct FoundFiles {
    /// The files, in the order of the arguments, those of a folder or a pattern sorted.
    pub files: Vec<PathBuf>,
    /// What else was in the folders, and how often: other kinds of files by their ending, results of earlier runs, folders.
    pub passed_over: BTreeMap<String, usize>,
}

/// What folders within folders are called among what was passed over.
pub const FOLDERS: &str = "folders";

/// The files that `arguments` name: a folder stands for its images, with `recursive` also for those of the folders in it, a
/// pattern for its matches. In folders, hidden files and results of earlier runs are passed over; a folder that is reached
/// twice, by a link, is entered once.
///
/// # Errors
/// [`Error::File`] for what is not there and folders without images.
pub fn files(arguments: &[PathBuf], recursive: bool) -> Result<FoundFiles, Error> {
    let mut found = FoundFiles::default();
    for argument in arguments {
        if argument.is_dir() {
            let before = found.files.len();
            found.folder(argument, recursive, &mut HashSet::new())?;
            if found.files.len() == before {
                let what = format!("the folder holds no images ({})", SUFFIXES.join(", "));
                return Err(fail(argument, ErrorKind::NotFound, what));
            }
        } else if argument.exists() {
            found.files.push(argument.clone());
        } else {
            // What is no pattern has no matches.
            let matches = glob::glob(&argument.to_string_lossy()).into_iter().flatten();
            let mut matches: Vec<PathBuf> = matches.filter_map(Result::ok).filter(|p| p.is_file()).collect();
            if matches.is_empty() {
                return Err(fail(argument, ErrorKind::NotFound, "there is no such file"));
            }
            matches.sort();
            found.files.extend(matches);
        }
    }
    Ok(found)
}

impl FoundFiles {
    fn folder(&mut self, path: &Path, recursive: bool, entered: &mut HashSet<Identity>) -> Result<(), Error> {
        if !identity(path).is_none_or(|folder| entered.insert(folder)) {
            return Ok(());
        }
        let entries = std::fs::read_dir(path).map_err(|error| Error::File { path: path.to_owned(), error })?;
        let hidden = |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let entries = entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| !hidden(path));
        let mut entries: Vec<PathBuf> = entries.collect();
        entries.sort();
        for path in entries {
            let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
            let passed_over = if path.is_dir() {
                if recursive && self.folder(&path, recursive, entered).is_ok() {
                    continue;
                }
                FOLDERS.to_owned()
            } else if is_result(&path) {
                "results of earlier runs".to_owned()
            } else if !path.exists() {
                "links that lead nowhere".to_owned()
            } else {
                match ending {
                    Some(ending) if SUFFIXES.contains(&ending.as_str()) && path.is_file() => {
                        self.files.push(path);
                        continue;
                    }
                    Some(ending) => format!(".{ending}"),
                    None => "files without an ending".to_owned(),
                }
            };
            *self.passed_over.entry(passed_over).or_default() += 1;
        }
        Ok(())
    }
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

/// What is in the bytes of an image file or a `.npy` file.
///
/// # Errors
/// [`Error::Photo`] and [`Error::Argument`] for what is neither.
pub fn decode(bytes: &[u8]) -> Result<Input, Error> {
    if npy::is_npy(bytes) {
        return npy::read(bytes).map(Input::Tensor).map_err(|error| Error::Argument(error.to_string()));
    }
    Ok(Photo::decode(bytes, Limits::default()).map(Input::Photo)?)
}

/// The images in `files` by name, each read when its turn comes; or why it cannot be.
pub fn inputs(files: &[PathBuf]) -> impl Iterator<Item = (String, Result<Input, String>)> {
    files.iter().map(|path| {
        let input = read(path).map(|(input, _)| input).map_err(|error| error.without(path));
        (path.display().to_string(), input)
    })
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
    match Photo::decode(&bytes, Limits::default()) {
        Ok(photo) => Ok((Input::Photo(photo), hash)),
        Err(PhotoError::Unsupported(_)) if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("onnx")) => {
            let what = "this looks like a network, and an image is wanted here: the network comes first";
            Err(fail(path, ErrorKind::InvalidData, what))
        }
        Err(error) => Err(fail(path, ErrorKind::InvalidData, error)),
    }
}
