//! The stream of files: while some are worked on, the next are read and those before are written.

use crate::error::Error;
use crate::sample::Input;
use crate::sink::{Claim, Folder};
use crate::source;
use crate::watch::Progress;
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

/// What is done with files.
pub(super) trait Work: Sync {
    /// What is made of a file.
    type Made: Send;
    /// What is written of it.
    type Written: Send;

    /// How many files are worked on together.
    fn together(&self) -> usize;

    /// What is made of files that were read. `seen` counts the images, those of files before too; `watch` is told the method
    /// that runs and how far it is.
    fn make(
        &self,
        read: Vec<(&Path, Result<Input, Error>)>,
        seen: &mut usize,
        watch: &mut dyn FnMut(&str, Progress),
    ) -> Vec<Result<Self::Made, Error>>;

    /// What tells the results of one file apart.
    fn suffixes(&self, made: &Self::Made) -> Vec<String>;

    /// Writes what was made of a file, whose SHA-256 is given, in the order of the suffixes.
    fn write(
        &self,
        made: Self::Made,
        file: (&Path, &str),
        claim: &Claim,
        folder: &Folder,
    ) -> Result<Self::Written, Error>;
}

/// What was made of files, each with its SHA-256 and the names of what is to be written of it.
type Waiting<'f, M> = Vec<(&'f Path, Result<(M, String, Claim), Error>)>;

/// Works on `files` and writes the results into `folder`; `each` is told what came of each file, in their order. A file that
/// fails spoils no other. Gives the number of images.
///
/// # Errors
/// [`Error::Protected`] and [`Error::Exists`] before anything is done, where results would replace what they must not; what
/// `each` gives.
pub(super) fn stream<W: Work, E: From<Error>>(
    work: &W,
    files: &[PathBuf],
    folder: &mut Folder,
    watch: &mut dyn FnMut(&str, Progress),
    each: &mut dyn FnMut(&Path, Result<W::Written, Error>) -> Result<(), E>,
) -> Result<usize, E> {
    let names = folder.names(files, source::hash)?;
    let samples: Vec<(&Path, &str)> =
        files.iter().map(PathBuf::as_path).zip(names.iter().map(String::as_str)).collect();
    let together = work.together();
    std::thread::scope(|scope| {
        let (send, reads) = mpsc::sync_channel::<Vec<Result<(Input, String), Error>>>(0);
        let parts = samples.chunks(together);
        scope.spawn(move || {
            for part in parts {
                let read = part.par_iter().map(|(file, _)| source::read(file)).collect();
                if send.send(read).is_err() {
                    return;
                }
            }
        });
        let (mut seen, mut waiting) = (0, Waiting::new());
        for (part, read) in samples.chunks(together).zip(reads) {
            let (mut inputs, mut hashes) = (Vec::new(), Vec::new());
            for (read, (file, _)) in read.into_iter().zip(part) {
                let (input, hash) =
                    read.map_or_else(|error| (Err(error), None), |(input, hash)| (Ok(input), Some(hash)));
                inputs.push((*file, input));
                hashes.push(hash.unwrap_or_default());
            }
            let (made, written) = std::thread::scope(|scope| {
                let folder = &*folder;
                let before = std::mem::take(&mut waiting);
                let writing = scope.spawn(move || write_all(work, before, folder));
                let made = work.make(inputs, &mut seen, watch);
                (made, writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            });
            written.into_iter().try_for_each(|(file, written)| each(file, written))?;
            // Names are given in the order of the files, whoever is done first.
            for ((made, hash), (file, name)) in made.into_iter().zip(hashes).zip(part) {
                let claimed = made.and_then(|made| {
                    let claim = folder.claim(name, &work.suffixes(&made), &hash)?;
                    Ok((made, hash, claim))
                });
                if claimed.is_err() {
                    folder.forget(name);
                }
                waiting.push((*file, claimed));
            }
        }
        write_all(work, waiting, folder).into_iter().try_for_each(|(file, written)| each(file, written))?;
        Ok(seen)
    })
}

fn write_all<'f, W: Work>(
    work: &W,
    files: Waiting<'f, W::Made>,
    folder: &Folder,
) -> Vec<(&'f Path, Result<W::Written, Error>)> {
    let write = |(file, claimed): (&'f Path, Result<(W::Made, String, Claim), Error>)| {
        (file, claimed.and_then(|(made, hash, claim)| work.write(made, (file, &hash), &claim, folder)))
    };
    files.into_par_iter().map(write).collect()
}
