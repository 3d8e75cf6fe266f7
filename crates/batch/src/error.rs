//! What can go wrong with a job, and with one image of it.

use crate::fingerprint::Change;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;

/// What stops a job. What was finished before is kept: the same command goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The library refuses: the network, the spec, the engine.
    #[error(transparent)]
    Explain(#[from] hirescam::Error),
    /// The job's file or an argument does not fit.
    #[error("{0}")]
    Argument(String),
    /// An input cannot be listed or read.
    #[error("{uri}: {what}")]
    Input {
        /// The input.
        uri: String,
        /// Why.
        what: String,
    },
    /// A store cannot be reached, or refuses.
    #[error("{place}: {what}. What was finished is kept: run the same again to go on")]
    Store {
        /// What was to be read or written.
        place: String,
        /// Why.
        what: String,
    },
    /// There is no room left where rows go.
    #[error("{place}: no space is left there. What was finished is kept: make room, and run the same again to go on")]
    Full {
        /// What was to be written.
        place: String,
    },
    /// There is no such thing in the store.
    #[error("{place}: there is nothing there")]
    Missing {
        /// What was to be read.
        place: String,
    },
    /// What decides the rows is other than when the job was planned.
    #[error("{place} was planned otherwise: {changes}. Put it back as it was, or plan a new job with another `out`; where nothing is lost by it, remove this one", changes = words(.changes))]
    Changed {
        /// The job.
        place: String,
        /// What changed.
        changes: Vec<Change>,
    },
    /// A file of the job is not what it was written as.
    #[error("{place} is damaged: {what}")]
    Damaged {
        /// The file.
        place: String,
        /// What is wrong.
        what: String,
    },
    /// More images failed than were allowed to.
    #[error(
        "{failed} of {images} images failed, and {allowed} may (--max-errors). The last one, {uri}: {text}. The shard it was in is not \
         written; those before are kept"
    )]
    TooMany {
        /// How many failed.
        failed: u64,
        /// Of how many.
        images: u64,
        /// What was allowed.
        allowed: String,
        /// The last that failed.
        uri: String,
        /// Why.
        text: String,
    },
    /// The work was stopped. Nothing half done is left.
    #[error("stopped before its end; what was finished is kept")]
    Stopped,
}

fn words(changes: &[Change]) -> String {
    changes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Error {
    /// The kind of error, in a word for machines.
    pub fn kind(&self) -> &'static str {
        match self {
            Error::Explain(error) => error.kind(),
            Error::Argument(_) => "argument",
            Error::Input { .. } => "file",
            Error::Store { .. } => "store",
            Error::Full { .. } => "full",
            Error::Missing { .. } => "missing-file",
            Error::Changed { .. } => "changed",
            Error::Damaged { .. } => "damaged",
            Error::TooMany { .. } => "too-many-errors",
            Error::Stopped => "cancelled",
        }
    }

    /// What a store said of `place`.
    pub(crate) fn of_store(place: impl Into<String>, error: &object_store::Error) -> Self {
        let place = place.into();
        match error {
            object_store::Error::NotFound { .. } => Error::Missing { place },
            error if is_full(error) => Error::Full { place },
            error => Error::Store { place, what: said(error) },
        }
    }

    /// The same for what the system says of a file that is written.
    pub(crate) fn of_system(place: impl Into<String>, error: &std::io::Error) -> Self {
        let place = place.into();
        match error.kind() {
            ErrorKind::NotFound => Error::Missing { place },
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Error::Full { place },
            _ => Error::Store { place, what: error.to_string() },
        }
    }
}

/// Whether an error has to do with room that there is not.
fn is_full(error: &object_store::Error) -> bool {
    sources(error).any(|error| {
        let io = error.downcast_ref::<std::io::Error>();
        io.is_some_and(|io| matches!(io.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded))
    })
}

/// An error with those that it comes of, each said once.
fn said(error: &object_store::Error) -> String {
    let mut said = error.to_string();
    for source in sources(error) {
        let text = source.to_string();
        if !said.contains(&text) {
            said += &format!(": {text}");
        }
    }
    said
}

fn sources<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

/// Why there is no map of an image: what stands in its row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind of error, in a word.
    pub kind: String,
    /// The error in words.
    pub text: String,
}

impl Failure {
    pub(crate) fn new(kind: &str, text: impl Into<String>) -> Self {
        Failure { kind: kind.into(), text: text.into() }
    }
}

impl From<&hirescam::Error> for Failure {
    fn from(error: &hirescam::Error) -> Self {
        Failure::new(error.kind(), error.to_string())
    }
}
