//! What the program reports, and the exit code that goes with it.

use std::path::{Path, PathBuf};

/// An error of the command line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The library refuses.
    #[error("{0}{remedy}", remedy = remedy(.0))]
    Explain(#[from] hirescam::Error),
    /// The evaluation refuses.
    #[cfg(feature = "evaluate")]
    #[error("{0}")]
    Evaluate(hirescam_evaluate::Error),
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

/// What helps, in this program's words.
fn remedy(error: &hirescam::Error) -> String {
    use hirescam::core::Error as C;
    let words = match error {
        hirescam::Error::MissingInput { input, .. } => {
            return format!(": feed it (--input {input}=FILE.npy, or --input {input}=NUMBER)");
        }
        hirescam::Error::Exists { .. } => ": choose another place for the results, or replace them with --overwrite",
        hirescam::Error::Protected { .. } => ": choose another place for the results (--out DIR, or another file name)",
        hirescam::Error::NoPreprocess { .. } => " (--preprocess PRESET|FILE)",
        hirescam::Error::NoLabels { .. } => ": give --labels FILE",
        hirescam::Error::Core(C::Layer { .. }) => "; `hirescam layers` lists those that can be explained",
        hirescam::Error::Core(C::OpenShape { beside: false, .. }) => {
            ": say with which shape the network is to be explained (--shape 1,3,224,224)"
        }
        hirescam::Error::Core(C::OpenShape { beside: true, .. }) => ": feed it (--input NAME=FILE.npy)",
        hirescam::Error::Core(C::OpenSample { .. }) => {
            ": say it by the whole shape of one sample, for example --shape 6,3,224,224 for six images"
        }
        hirescam::Error::Core(C::NoScores { .. }) => " (--output NAME)",
        hirescam::Error::Core(C::OpenClasses { .. }) => ": name it with --class-axis",
        hirescam::Error::Core(C::Memory { .. }) => ". Where the network is to be trusted, allow it more: --memory MIB",
        hirescam::Error::Engine(error) => match error.other_engine() {
            Some("onnxruntime") => "; ONNX Runtime may run it: --engine onnxruntime",
            Some(_) => "; tract may run it: --engine tract",
            None => "",
        },
        _ => "",
    };
    words.to_owned()
}

impl Error {
    /// The text where `path` is said already.
    pub fn without(&self, path: &Path) -> String {
        match self {
            Error::Explain(error) => error.without(path) + &remedy(error),
            error => error.to_string(),
        }
    }

    /// The program's exit code.
    pub fn exit_code(&self) -> u8 {
        use hirescam::{Error as E, core::Error as C};
        match self {
            Error::Argument(_) => 2,
            #[cfg(feature = "evaluate")]
            Error::Evaluate(hirescam_evaluate::Error::Data { .. }) => 3,
            #[cfg(feature = "evaluate")]
            Error::Evaluate(_) => 2,
            Error::File { .. } => 3,
            Error::Explain(
                E::Core(C::Unsupported { .. } | C::Memory { .. }) | E::Model { error: C::Unsupported { .. }, .. },
            ) => 4,
            Error::Explain(
                E::File { .. } | E::Model { .. } | E::Photo(_) | E::Core(C::Decode(_) | C::Invalid { .. }),
            ) => 3,
            Error::Explain(E::Engine(hirescam::engine::Error::Argument(_))) => 2,
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

#[cfg(feature = "evaluate")]
impl From<hirescam_evaluate::Error> for Error {
    fn from(error: hirescam_evaluate::Error) -> Self {
        match error {
            // What the library says has its remedies and exit codes.
            hirescam_evaluate::Error::Explain(error) => Error::Explain(error),
            error => Error::Evaluate(error),
        }
    }
}
