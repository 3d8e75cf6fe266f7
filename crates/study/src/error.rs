//! What can go wrong, by what the caller can do about it.

use std::path::PathBuf;

/// Everything that studies refuse, and why.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A design that cannot be followed: a field out of its range, fields that do not go together.
    #[error("{0}")]
    Design(String),
    /// A file of a study that is missing, broken, or was changed after the study was built.
    #[error("{}: {because}", .path.display())]
    Damaged {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        because: String,
    },
    /// A key that belongs to another study.
    #[error("{}: the key of another study: it was made with the study {found}, and this is {wanted}", .path.display())]
    WrongKey {
        /// The key's file.
        path: PathBuf,
        /// The study that the key names.
        found: String,
        /// The study at hand.
        wanted: String,
    },
    /// An answer that the question does not allow, or to a trial that there is not.
    #[error("this is no answer to the question: {0}")]
    Answer(String),
    /// Answers that cannot be analysed.
    #[error("{0}")]
    Results(String),
    /// A file that cannot be written.
    #[error("{} cannot be written: {because}", .path.display())]
    Output {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        because: String,
    },
    /// Data sets and metrics refuse.
    #[error(transparent)]
    Evaluate(#[from] hirescam_evaluate::Error),
    /// The library refuses.
    #[error(transparent)]
    Explain(#[from] hirescam::Error),
}
