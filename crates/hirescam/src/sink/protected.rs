//! Files that no result may replace: what the command reads, and what else it writes.

use crate::error::Error;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Files that no result may replace, whatever the names they are reached by: links of both kinds lead to the same file.
#[derive(Clone, Debug, Default)]
pub struct Protected {
    files: HashSet<Identity>,
    places: HashSet<PathBuf>,
}

/// What tells one file from another: device and number.
#[cfg(unix)]
pub(crate) type Identity = (u64, u64);
/// What tells one file from another: the path without links.
#[cfg(not(unix))]
pub(crate) type Identity = PathBuf;

#[cfg(unix)]
pub(crate) fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    path.metadata().ok().map(|found| (found.dev(), found.ino()))
}

#[cfg(not(unix))]
pub(crate) fn identity(path: &Path) -> Option<Identity> {
    path.canonicalize().ok()
}

/// Where a file is or would be, the way there without links. In lower case: some systems take no note of it, and on the
/// others two names that differ in nothing else are no help.
fn place(path: &Path) -> Option<PathBuf> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder.canonicalize().ok()?,
        _ => std::env::current_dir().ok()?.canonicalize().ok()?,
    };
    Some(folder.join(path.file_name()?.to_string_lossy().to_lowercase()))
}

impl Protected {
    /// These files, as far as they are there.
    pub fn new<P: AsRef<Path>>(files: impl IntoIterator<Item = P>) -> Self {
        let mut protected = Protected::default();
        files.into_iter().for_each(|file| protected.read(file.as_ref()));
        protected
    }

    /// Protects a file that is read.
    pub fn read(&mut self, file: &Path) {
        // Devices and pipes hold nothing that could be lost.
        if file.is_file() {
            self.files.extend(identity(file));
            self.places.extend(place(file));
        }
    }

    /// Whether a file is protected.
    pub fn holds(&self, file: &Path) -> bool {
        identity(file).is_some_and(|identity| self.files.contains(&identity))
            || place(file).is_some_and(|place| self.places.contains(&place))
    }

    /// Protects the place of a file that is to be written from all others.
    ///
    /// # Errors
    /// [`Error::Protected`] where another has it.
    pub fn claim(&mut self, file: &Path) -> Result<(), Error> {
        if self.holds(file) {
            return Err(Error::Protected { path: file.to_owned() });
        }
        if file.is_file() || !file.exists() {
            self.files.extend(identity(file));
            self.places.extend(place(file));
        }
        Ok(())
    }
}
