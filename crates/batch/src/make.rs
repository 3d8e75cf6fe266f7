//! From images as they come to a file of rows: decoded, explained and written, a part at a time. Shards and what engines bring are made the same way.

use crate::error::{Error, Failure};
use crate::rows::{self, OfInput, Row, Rows, Writer};
use crate::runner::{Lane, Runner};
use crate::{MaxErrors, hex, sha256};
use hirescam::{Explained, Input, source};
use rayon::prelude::*;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::SpooledTempFile;

/// The rows of so many inputs are written together. It must not depend on the machine: the same rows make the same file.
const WRITTEN: usize = 64;
/// How many inputs that were read wait to be taken.
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
    /// `next` gives so many of them, and none at their end; `decode` makes them images, on all threads. `watch` is told how far it is.
    ///
    /// # Errors
    /// [`Error::Stopped`] and [`Error::TooMany`]; [`Error::Explain`] for what is wrong with all images; [`Error::Full`] where there is no room
    /// for a temporary file.
    pub(crate) fn make<T: Send>(
        &self,
        named: &[(i64, &str)],
        next: impl FnMut(usize) -> Vec<T> + Send,
        decode: impl Fn(T) -> Decoded + Sync,
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
        let explain = |lane: &Lane, first: usize, part: Vec<T>| {
            let decoded = lane.all(|| part.into_par_iter().map(&decode).collect());
            self.explain(lane, decoded, named.get(first..).unwrap_or_default(), stop)
        };
        self.runner.in_order(next, explain, |explained| {
            made.add(explained?)?;
            made.is_allowed(allowance, named.len())?;
            watch(made.done);
            Ok(())
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
        lane: &Lane,
        part: Vec<Decoded>,
        named: &[(i64, &str)],
        stop: &AtomicBool,
    ) -> Result<OfPart, Error> {
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
        let explained = self.runner.explain(lane, &samples, stop);
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        let shared = rows::shared_of(explained.iter().flatten());
        let (mut explained, mut images) = (explained.into_iter(), Vec::new());
        for (of_input, count) in of_inputs {
            let own = match count {
                Ok(count) => Ok(explained.by_ref().take(count).map(of_image).collect::<Result<Vec<_>, Error>>()?),
                Err(failure) => Err(failure),
            };
            images.push((of_input, own));
        }
        let rows = |(of_input, own): (OfInput, Result<Vec<Result<Explained, Failure>>, Failure>)| match own {
            Ok(own) => (0..)
                .zip(own)
                .flat_map(|(index, made)| {
                    self.rows.rows_of(&of_input, Some(index), made.as_ref().map_err(Clone::clone))
                })
                .collect(),
            Err(failure) => self.rows.rows_of(&of_input, None, Err(failure)),
        };
        let rows = lane.all(|| images.into_par_iter().map(rows).collect());
        Ok(OfPart { rows, shared })
    }
}

/// What came of an image: the explanation, or what is wrong with it alone.
fn of_image(made: Result<Explained, hirescam::Error>) -> Result<Result<Explained, Failure>, Error> {
    match made {
        Ok(made) => Ok(Ok(made)),
        Err(error) => Wrong::from(error).of_image().map(Err),
    }
}

/// What was made of images that were explained together.
struct OfPart {
    /// The rows of each.
    rows: Vec<Vec<Row>>,
    /// What their maps share.
    shared: Vec<Value>,
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
    /// Adds what was made of the next inputs.
    fn add(&mut self, part: OfPart) -> Result<(), Error> {
        self.writer.share(part.shared);
        for rows in part.rows {
            let failed = rows.iter().rev().find_map(|row| Some((row.uri.clone(), row.failure()?.clone())));
            self.waiting.extend(rows);
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
