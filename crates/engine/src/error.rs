//! What can go wrong, by what the caller can do about it.

use crate::ENGINES;
use crate::panics::caught;

/// An engine could not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are no model, or a model that contradicts itself: mend the model.
    #[error("{engine} cannot read the model: {reason}")]
    Invalid {
        /// The engine that refused.
        engine: &'static str,
        /// What it said.
        reason: String,
    },
    /// The model asks for something the engine does not have: take another engine.
    #[error("{engine} does not support {what}")]
    Unsupported {
        /// The engine that refused.
        engine: &'static str,
        /// The operators or the element kind it lacks.
        what: String,
    },
    /// An array was given that the model does not take: mend its name, kind or shape.
    #[error("{0}")]
    Input(String),
    /// What was asked of the engine is beyond all measure.
    #[error("{0}")]
    Argument(String),
    /// No such engine, or its library is not there: the message says how to get it.
    #[error("{0}")]
    NotFound(String),
    /// The engine broke on this model: report it, and take another engine.
    #[error("{engine} panicked: {message}")]
    Panicked {
        /// The engine that broke.
        engine: &'static str,
        /// The message of the panic.
        message: String,
    },
    /// The model could not be run on these inputs.
    #[error("{engine} failed to run the model: {reason}")]
    Run {
        /// The engine that failed.
        engine: &'static str,
        /// What it said.
        reason: String,
    },
}

impl Error {
    /// The engine of this build that may run what this one did not.
    pub fn other_engine(&self) -> Option<&'static str> {
        let (Error::Invalid { engine, .. }
        | Error::Unsupported { engine, .. }
        | Error::Panicked { engine, .. }
        | Error::Run { engine, .. }) = self
        else {
            return None;
        };
        ENGINES.iter().map(|entry| entry.name).find(|name| name != engine)
    }
}

/// The value of `work`, where a panic inside it is an [`Error::Panicked`].
pub(crate) fn guard<T>(engine: &'static str, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    // What `work` can reach and a panic may leave half-made is a plan cache that is only written
    // to once a plan is whole, and engine states that are dropped with the unwinding.
    caught(work).unwrap_or_else(|message| Err(Error::Panicked { engine, message }))
}
