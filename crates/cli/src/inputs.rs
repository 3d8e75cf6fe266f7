//! Images and inputs beside them, as they stand on the command line.

use crate::error::Error;
use crate::output;
use hirescam::engine::Array;
use hirescam::source;
use std::path::{Path, PathBuf};

/// What an input beside the image is fed: `NAME=FILE.npy` or `NAME=NUMBER`.
pub fn beside(text: &str) -> Result<(String, Array), Error> {
    let Some((name, value)) = text.rsplit_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty())
    else {
        return Err(Error::Argument(format!("--input {text}: it takes NAME=FILE.npy or NAME=NUMBER")));
    };
    if let Ok(number) = value.parse::<f64>() {
        return Ok((name.to_owned(), Array::from(ndarray::arr0(number))));
    }
    Ok((name.to_owned(), source::array(Path::new(value))?))
}

/// The images that are named; says what was passed over in folders.
pub fn images(arguments: &[PathBuf], recursive: bool) -> Result<Vec<PathBuf>, Error> {
    let found = source::files(arguments, recursive)?;
    let passed_over: Vec<String> = found.passed_over.iter().map(|(what, n)| format!("{what} {n}")).collect();
    if !passed_over.is_empty() {
        let folders = found.passed_over.contains_key(source::FOLDERS) && !recursive;
        let remedy = if folders { "; -r takes the images in those folders" } else { "" };
        output::note(&format!("passed over in folders: {}{remedy}", passed_over.join(", ")));
    }
    Ok(found.files)
}
