//! Inputs beside the image, as they stand on the command line.

use crate::error::Error;
use hirescam::engine::Array;
use hirescam::source;
use std::path::Path;

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
