//! What the program reports, and the exit code that goes with it.

use std::path::PathBuf;

/// An error of the command line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The library refuses.
    #[error(transparent)]
    Explain(#[from] hirescam::Error),
    /// An input that is neither photo nor tensor.
    #[error("{0}")]
    Argument(String),
    /// A file cannot be read or written.
    #[error("{path}: {what}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        what: String,
    },
}

impl Error {
    /// The program's exit code.
    pub fn exit_code(&self) -> u8 {
        use hirescam::{Error as E, core::Error as C};
        match self {
            Error::Argument(_) => 2,
            Error::File { .. } => 3,
            Error::Explain(E::Core(C::Unsupported { .. }) | E::Model { error: C::Unsupported { .. }, .. }) => 4,
            Error::Explain(
                E::File { .. } | E::Model { .. } | E::Photo(_) | E::Core(C::Decode(_) | C::Invalid { .. }),
            ) => 3,
            Error::Explain(E::Engine(_)) => 5,
            Error::Explain(_) => 2,
        }
    }
}

impl From<hirescam::core::Error> for Error {
    fn from(error: hirescam::core::Error) -> Self {
        Error::Explain(error.into())
    }
}
