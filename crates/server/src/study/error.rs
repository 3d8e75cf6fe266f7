//! What can go wrong, by what the caller can do about it.

use crate::listen::ListenError;

/// Everything that serving a study refuses, and why.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database cannot be reached, or cannot write. What was not acknowledged can be sent again.
    #[error("the database does not answer: {0}")]
    Database(String),
    /// A database that cannot be opened.
    #[error("the database {place} cannot be opened: {because}")]
    Unreachable {
        /// The file, or host, port and name; no password is in it.
        place: String,
        /// Why.
        because: String,
    },
    /// A study that was never served has no answers.
    #[error("there are no answers of this study yet: {place} {because}")]
    NoAnswers {
        /// The file, or host, port and name; no password is in it.
        place: String,
        /// Whether there is no such database, or one of other studies.
        because: &'static str,
    },
    /// The database belongs to another build of the study.
    #[error(
        "the database has answers to another manifest of the study {study}: the manifest was changed after the study was first served. \
         Bring back the one that was served, or name another database"
    )]
    OtherManifest {
        /// The study's name.
        study: String,
    },
    /// What a database, a link or an option says cannot be understood.
    #[error("{0}")]
    Invalid(String),
    /// An address that cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A folder that the export cannot be written to.
    #[error("{path}: {because}", path = .path.display())]
    Output {
        /// The file or folder.
        path: std::path::PathBuf,
        /// Why.
        because: String,
    },
    /// The study refuses.
    #[error(transparent)]
    Study(#[from] hirescam_study::Error),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Error::Database(error.to_string())
    }
}
