//! Images as they stand on the command line.

use crate::error::Error;
use crate::output;
use hirescam::source;
use std::path::PathBuf;

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
