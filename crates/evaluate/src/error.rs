//! What can go wrong, by what the caller can do about it.

/// Everything that metrics refuse, and why.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Arguments that do not go together, or an option out of its range.
    #[error("{0}")]
    Argument(String),
    /// An array holds NaN or an infinity.
    #[error("the {what} holds {value} at {at:?}")]
    NotFinite {
        /// The array.
        what: &'static str,
        /// What was found.
        value: f64,
        /// Where it was found.
        at: Vec<usize>,
    },
    /// The metric has no value for this map or truth; another map may well have one.
    #[error("{metric} is not defined here: {because}")]
    Undefined {
        /// The metric's name.
        metric: &'static str,
        /// What keeps it from having a value.
        because: String,
    },
    /// There is nothing of this name.
    #[error("there is no {what} {name:?}{}", did_you_mean(.near))]
    NotFound {
        /// What was looked for: a metric, a format of data.
        what: &'static str,
        /// The name as given.
        name: String,
        /// Names that exist and look alike.
        near: Vec<String>,
    },
    /// Data that are missing, broken, or do not go together.
    #[error("{}: {because}", .path.display())]
    Data {
        /// The file or folder.
        path: std::path::PathBuf,
        /// What is wrong with it.
        because: String,
    },
    /// A file that cannot be written.
    #[error("{} cannot be written: {because}", .path.display())]
    Output {
        /// The file or folder.
        path: std::path::PathBuf,
        /// Why.
        because: String,
    },
    /// An evaluation that was begun with something else lies in the folder.
    #[error("{}: an evaluation of something else lies there: {}", .path.display(), .differences.join("; "))]
    Differs {
        /// What says so.
        path: std::path::PathBuf,
        /// What differs, a sentence each.
        differences: Vec<String>,
    },
    /// The library refuses.
    #[error(transparent)]
    Explain(#[from] hirescam::Error),
    /// The function that scores images failed.
    #[error("the images could not be scored: {0}")]
    Scoring(Box<dyn std::error::Error + Send + Sync>),
}

/// Shorthand for arguments that do not go together.
pub(crate) fn argument<T>(what: impl Into<String>) -> Result<T, Error> {
    Err(Error::Argument(what.into()))
}

/// Shorthand for data that are missing or broken.
pub(crate) fn damaged(path: &std::path::Path, because: impl Into<String>) -> Error {
    Error::Data { path: path.to_owned(), because: because.into() }
}

/// Shorthand for a metric without a value.
pub(crate) fn undefined<T>(metric: &'static str, because: impl Into<String>) -> Result<T, Error> {
    Err(Error::Undefined { metric, because: because.into() })
}

fn did_you_mean(near: &[String]) -> String {
    match near {
        [] => String::new(),
        names => format!("; did you mean {}?", names.iter().map(|n| format!("{n:?}")).collect::<Vec<_>>().join(" or ")),
    }
}
