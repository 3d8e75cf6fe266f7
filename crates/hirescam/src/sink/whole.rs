//! Files that are whole or not there.

use crate::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A file that is written under a name of its own beside its place, and takes its place once it is whole. One that is not
/// finished is gone, and what was in its place before stays.
pub struct Whole {
    to: PathBuf,
    /// None where the place is no file but a device or a pipe, which is written to as it is.
    temporary: Option<PathBuf>,
    file: BufWriter<File>,
}

impl Whole {
    /// Begins a file at `to`. Behind a symbolic link the file that it names is replaced, and the link stays.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be made.
    pub fn create(to: &Path) -> Result<Self, Error> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let fail = |error| Error::File { path: to.to_owned(), error };
        match to.metadata() {
            Ok(there) if there.is_dir() => return Err(fail(std::io::ErrorKind::IsADirectory.into())),
            Ok(there) if !there.is_file() => {
                let file = File::options().write(true).open(to).map_err(fail)?;
                return Ok(Whole { to: to.to_owned(), temporary: None, file: BufWriter::new(file) });
            }
            _ => {}
        }
        let place = if to.is_symlink() { to.canonicalize().unwrap_or_else(|_| to.to_owned()) } else { to.to_owned() };
        // Short, so that it fits where the name does.
        let name = format!(".hirescam-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let temporary = place.with_file_name(name);
        let file = File::create_new(&temporary).map_err(fail)?;
        Ok(Whole { to: place, temporary: Some(temporary), file: BufWriter::new(file) })
    }

    /// The file's place.
    pub fn path(&self) -> &Path {
        &self.to
    }

    /// Writes all that was kept back.
    fn flushed(&mut self) -> Result<(), Error> {
        self.file.flush().map_err(|error| Error::File { path: self.to.clone(), error })
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be written to its end or put there.
    pub fn finish(mut self) -> Result<(), Error> {
        self.flushed()?;
        if let Some(temporary) = &self.temporary {
            std::fs::rename(temporary, &self.to).map_err(|error| Error::File { path: self.to.clone(), error })?;
            self.temporary = None;
        }
        Ok(())
    }
}

impl Write for Whole {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // There is nothing more to be done about one that cannot be removed.
            let _ = std::fs::remove_file(temporary);
        }
    }
}

/// Writes a file whole, or not at all.
///
/// # Errors
/// [`Error::File`] when it cannot be written.
pub fn write(to: &Path, bytes: &[u8]) -> Result<(), Error> {
    write_all([(to.to_owned(), bytes)])
}

/// Writes files that belong together: none of them takes its place before all are written.
///
/// # Errors
/// As [`write`].
pub(super) fn write_all<B: AsRef<[u8]>>(files: impl IntoIterator<Item = (PathBuf, B)>) -> Result<(), Error> {
    let written = files.into_iter().map(|(to, bytes)| {
        let mut file = Whole::create(&to)?;
        file.write_all(bytes.as_ref()).map_err(|error| Error::File { path: to, error })?;
        file.flushed()?;
        Ok(file)
    });
    let written: Vec<Whole> = written.collect::<Result<_, Error>>()?;
    written.into_iter().try_for_each(Whole::finish)
}
