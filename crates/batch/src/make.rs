//! From images as they come to a file of rows: decoded, explained and written, a part at a time. Shards and what engines bring are made the same way.

use crate::error::{Error, Failure};
use crate::rows::{OfInput, Row, Rows, Writer};
use crate::runner::Runner;
use crate::{MaxErrors, hex, sha256};
use hirescam::{Explained, Input, source};
use rayon::prelude::*;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use tempfile::SpooledTempFile;

/// The rows of so many inputs are written together. It must not depend on the machine: the same rows make the same file.
const WRITTEN: usize = 64;
/// How many inputs wait to be decoded.
pub(crate) const READ_AHEAD: usize = 16;
/// How many bytes of rows are kept in memory before they go to a temporary file.
const IN_MEMORY: usize = 64 << 20;

/// How far a shard is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InShard {
    /// How many of its inputs are done.
    pub images: u64,
    /// How many of these failed.
    pub failed: u64,
}

/// How many images may fail, and how many have before this shard.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowance {
    pub(crate) most: Option<MaxErrors>,
    pub(crate) failed: u64,
    pub(crate) images: u64,
}

/// Makes rows of images.
pub(crate) struct Maker {
    pub(crate) runner: Runner,
    pub(crate) rows: Rows,
    /// What stands in each file of rows of all of them.
    pub(crate) shared: Value,
}

/// A file of rows that is whole.
pub(crate) struct Finished {
    pub(crate) done: InShard,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    pub(crate) file: SpooledTempFile,
}

impl Maker {
    /// Makes a file of rows of images, whose ids and uris are given in their order. The id is also the row that an image has of inputs beside it.
    /// `next` gives so many of them, decoded, and none at their end; while a part is explained, the next one is decoded. `watch` is told how far it is.
    ///
    /// # Errors
    /// [`Error::Stopped`] and [`Error::TooMany`]; [`Error::Explain`] for what is wrong with all images; [`Error::Full`] where there is no room
    /// for a temporary file.
    pub(crate) fn make(
        &self,
        named: &[(i64, &str)],
        mut next: impl FnMut(usize) -> Vec<Decoded> + Send,
        allowance: Allowance,
        stop: &AtomicBool,
        watch: &mut dyn FnMut(InShard),
    ) -> Result<Finished, Error> {
        let file = Hashing::new(SpooledTempFile::new(IN_MEMORY));
        let mut made = Made {
            writer: Writer::new(&self.rows, file, &self.shared)?,
            waiting: Vec::new(),
            inputs: 0,
            rows: 0,
            done: InShard::default(),
            last_failed: None,
        };
        std::thread::scope(|scope| {
            let (give, parts) = sync_channel(0);
            scope.spawn(move || {
                loop {
                    let part = next(self.runner.together(self.rows.draw()));
                    if part.is_empty() || give.send(part).is_err() {
                        return;
                    }
                }
            });
            // It ends when it is taken from no more.
            for part in parts {
                let done = usize::try_from(made.done.images).unwrap_or(usize::MAX);
                self.explain(part, named.get(done..).unwrap_or_default(), &mut made, stop)?;
                made.is_allowed(allowance, named.len())?;
                watch(made.done);
            }
            Ok::<_, Error>(())
        })?;
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        let (done, rows, file) = made.finish()?;
        Ok(Finished { done, rows, bytes: file.bytes, sha256: file.sha256(), file: file.to })
    }

    /// An image of the bytes of its file, or of none.
    pub(crate) fn decoded(&self, read: Result<&[u8], Failure>) -> Decoded {
        match read {
            Ok(bytes) => match source::decode(bytes) {
                Ok(input) => self.given(input, Some(sha256(bytes))),
                Err(error) => Decoded { sha256: Some(sha256(bytes)), note: None, input: Err(error.into()) },
            },
            Err(failure) => Decoded { sha256: None, note: None, input: Err(Wrong::Image(failure)) },
        }
    }

    /// An image that is decoded already, with the SHA-256 of its file.
    pub(crate) fn given(&self, input: Input, sha256: Option<String>) -> Decoded {
        let notes = if let Input::Photo(photo) = &input { photo.notes() } else { Vec::new() };
        Decoded { sha256, note: Some(notes.join("; ")).filter(|note| !note.is_empty()), input: self.ready(input) }
    }

    /// An image as it is explained. Where nothing is drawn on photos, they are made what the network takes, which is smaller than most.
    fn ready(&self, input: Input) -> Result<Input, Wrong> {
        Ok(match input {
            Input::Photo(photo) if !self.rows.draw() => {
                Input::Tensor(self.runner.explainer.prepare(&photo)?.tensor.into())
            }
            input => input,
        })
    }

    /// Explains images that were decoded, and makes rows of what comes of them.
    fn explain(
        &self,
        part: Vec<Decoded>,
        named: &[(i64, &str)],
        made: &mut Made<'_, Hashing<SpooledTempFile>>,
        stop: &AtomicBool,
    ) -> Result<(), Error> {
        let (mut samples, mut of_inputs) = (Vec::new(), Vec::new());
        for (decoded, &(id, uri)) in part.into_iter().zip(named) {
            let row = usize::try_from(id).unwrap_or(usize::MAX);
            let count = match decoded.input.and_then(|input| Ok(self.runner.explainer.samples(uri, input)?)) {
                Ok(own) => {
                    let count = own.len();
                    samples.extend(own.into_iter().map(|sample| sample.with_row(row)));
                    Ok(count)
                }
                Err(wrong) => Err(wrong.of_image()?),
            };
            of_inputs.push((OfInput { id, uri, sha256: decoded.sha256, note: decoded.note }, count));
        }
        let counts: Vec<usize> = of_inputs.iter().map(|(_, count)| count.as_ref().map_or(0, |count| *count)).collect();
        let mut explained = self.runner.explain(&samples, &counts, stop).into_iter();
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        let mut images: Vec<(&OfInput, Option<usize>, Result<Explained, Failure>)> = Vec::new();
        for (of_input, count) in &of_inputs {
            match count {
                Ok(count) => {
                    for (index, explained) in (0..*count).zip(explained.by_ref()) {
                        let explained = match explained {
                            Ok(explained) => Ok(explained),
                            Err(error) => Err(Wrong::from(error).of_image()?),
                        };
                        images.push((of_input, Some(index), explained));
                    }
                }
                Err(failure) => images.push((of_input, None, Err(failure.clone()))),
            }
        }
        let rows = images.par_iter().map(|(of_input, index, explained)| {
            self.rows.rows_of(of_input, *index, explained.as_ref().map_err(Clone::clone))
        });
        let rows: Vec<Vec<Row>> = self.runner.all(|| rows.collect());
        images
            .iter()
            .filter_map(|(.., explained)| explained.as_ref().ok())
            .for_each(|explained| made.writer.share(explained));
        made.add(rows.into_iter().flatten(), of_inputs.iter().map(|(of_input, _)| of_input.id))
    }
}

/// An input that was read.
pub(crate) struct Decoded {
    input: Result<Input, Wrong>,
    sha256: Option<String>,
    note: Option<String>,
}

/// What is wrong with an image.
enum Wrong {
    Image(Failure),
    /// It would be the same with all of them.
    All(hirescam::Error),
}

impl From<hirescam::Error> for Wrong {
    fn from(error: hirescam::Error) -> Self {
        use hirescam::Error as E;
        match error {
            error @ (E::NoPreprocess { .. } | E::MissingInput { .. } | E::Rows { .. }) => Wrong::All(error),
            error => Wrong::Image(Failure::from(&error)),
        }
    }
}

impl Wrong {
    /// What is wrong with this image alone.
    fn of_image(self) -> Result<Failure, Error> {
        match self {
            Wrong::Image(failure) => Ok(failure),
            Wrong::All(error) => Err(error.into()),
        }
    }
}

/// What is made of a shard so far.
struct Made<'r, W: Write + Send> {
    writer: Writer<'r, W>,
    /// Rows that are not written yet, and of how many inputs they are.
    waiting: Vec<Row>,
    inputs: usize,
    rows: u64,
    done: InShard,
    last_failed: Option<(String, Failure)>,
}

impl<W: Write + Send> Made<'_, W> {
    /// Adds the rows of inputs, whose numbers are given in their order.
    fn add(&mut self, rows: impl Iterator<Item = Row>, ids: impl Iterator<Item = i64>) -> Result<(), Error> {
        let mut rows = rows.peekable();
        for id in ids {
            let mut failed = None;
            while let Some(row) = rows.next_if(|row| row.id == id) {
                failed = row.failure().cloned().map(|failure| (row.uri.clone(), failure)).or(failed);
                self.waiting.push(row);
            }
            self.done.images += 1;
            self.inputs += 1;
            if failed.is_some() {
                self.done.failed += 1;
                self.last_failed = failed;
            }
            if self.inputs == WRITTEN {
                self.write()?;
            }
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), Error> {
        self.writer.write(&self.waiting)?;
        self.rows += self.waiting.len() as u64;
        self.inputs = 0;
        self.waiting.clear();
        Ok(())
    }

    /// Whether no more of `images` failed than may.
    fn is_allowed(&self, allowance: Allowance, images: usize) -> Result<(), Error> {
        let (failed, images) = (allowance.failed + self.done.failed, allowance.images + images as u64);
        match (allowance.most, &self.last_failed) {
            (Some(most), Some((uri, failure))) if most.is_passed(failed, images) => Err(Error::TooMany {
                failed,
                images: allowance.images + self.done.images,
                allowed: most.to_string(),
                uri: uri.clone(),
                text: failure.text.clone(),
            }),
            _ => Ok(()),
        }
    }

    fn finish(mut self) -> Result<(InShard, u64, W), Error> {
        if !self.waiting.is_empty() {
            self.write()?;
        }
        Ok((self.done, self.rows, self.writer.finish()?))
    }
}

/// Counts and hashes what is written.
pub(crate) struct Hashing<W> {
    to: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Hashing<W> {
    pub(crate) fn new(to: W) -> Self {
        Hashing { to, hash: Sha256::new(), bytes: 0 }
    }

    /// SHA-256 of what was written so far, in hexadecimal.
    pub(crate) fn sha256(&self) -> String {
        hex(&self.hash.clone().finalize())
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.to.write(bytes)?;
        self.hash.update(bytes.get(..count).unwrap_or_default());
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
