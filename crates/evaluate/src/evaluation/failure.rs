//! Why there is no value: a word for machines and a sentence for people, as rows have them.

use crate::Error;

/// Why there is no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) kind: &'static str,
    pub(super) reason: String,
}

impl Failure {
    pub(super) fn new(kind: &'static str, reason: impl Into<String>) -> Self {
        Failure { kind, reason: reason.into() }
    }
}

impl From<&hirescam::Error> for Failure {
    fn from(error: &hirescam::Error) -> Self {
        Failure::new(error.kind(), error.to_string())
    }
}

impl From<hirescam::Error> for Failure {
    fn from(error: hirescam::Error) -> Self {
        Failure::from(&error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Undefined { .. } => "undefined",
            Error::NotFinite { .. } => "not-finite",
            Error::Data { .. } => "data",
            Error::Output { .. } => "file",
            Error::Scoring(_) => "engine",
            Error::Explain(error) => error.kind(),
            Error::Argument(_) | Error::NotFound { .. } | Error::Differs { .. } => "argument",
        };
        Failure::new(kind, error.to_string())
    }
}
