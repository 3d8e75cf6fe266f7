//! What the program reports, and the exit code that goes with it.

use std::path::{Path, PathBuf};

/// An error of the command line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The library refuses.
    #[error("{0}{remedy}", remedy = remedy(.0))]
    Explain(#[from] hirescam::Error),
    /// A job refuses.
    #[cfg(feature = "batch")]
    #[error("{0}{remedy}", remedy = job_remedy(.0))]
    Batch(#[from] hirescam_batch::Error),
    /// The evaluation refuses.
    #[cfg(feature = "evaluate")]
    #[error("{0}")]
    Evaluate(hirescam_evaluate::Error),
    /// The study refuses.
    #[cfg(feature = "study")]
    #[error("{0}")]
    Study(hirescam_study::Error),
    /// A study cannot be served, or its answers cannot be reached.
    #[cfg(feature = "study")]
    #[error("{0}{remedy}", remedy = server_remedy(.0))]
    Server(hirescam_server::study::Error),
    /// Nothing can be served.
    #[cfg(feature = "view")]
    #[error("{0}{remedy}", remedy = listen_remedy(.0))]
    Listen(#[from] hirescam_server::ListenError),
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

/// What helps a job, in the words of its file.
#[cfg(feature = "batch")]
fn job_remedy(error: &hirescam_batch::Error) -> String {
    use hirescam::core::Error as C;
    let error = match error {
        hirescam_batch::Error::Explain(error) => error,
        hirescam_batch::Error::Changed { place, changes } if changes.iter().all(|c| c.what == "list of inputs") => {
            return format!(". To go on with those that were planned: hirescam batch run {place}");
        }
        _ => return String::new(),
    };
    let words = match error {
        hirescam::Error::NoPreprocess { .. } => ". In the job's file: preprocess = \"PRESET\" under [spec]",
        hirescam::Error::NoLabels { .. } => ": name them in the job's file, labels = \"FILE\" under [spec]",
        hirescam::Error::MissingInput { .. } => ": feed it in the job's file, input = { NAME = NUMBER } under [spec]",
        hirescam::Error::Core(C::Layer { .. }) => "; `hirescam layers` lists those that can be explained",
        hirescam::Error::Core(C::OpenShape { .. }) => {
            ": say with which shape the network is to be explained, shape = [1, 3, 224, 224] under [spec]"
        }
        hirescam::Error::Engine(error) => match error.other_engine() {
            Some("onnxruntime") => "; ONNX Runtime may run it: name = \"onnxruntime\" under [spec.engine]",
            Some(_) => "; tract may run it: name = \"tract\" under [spec.engine]",
            None => "",
        },
        _ => "",
    };
    words.to_owned()
}

/// What helps serving, in this program's words.
#[cfg(feature = "study")]
fn server_remedy(error: &hirescam_server::study::Error) -> String {
    use hirescam_server::study::Error as E;
    match error {
        E::Listen(error) => listen_remedy(error),
        E::NoAnswers { .. } => {
            ". Serve the study first (hirescam study serve), or name where its answers are (--database FILE|URL, of results also --answers FILE)".into()
        }
        _ => String::new(),
    }
}

/// What helps where an address cannot be listened on.
#[cfg(any(feature = "study", feature = "view"))]
fn listen_remedy(error: &hirescam_server::ListenError) -> String {
    use hirescam_server::ListenError as E;
    match error {
        E::Taken(address) => {
            let port = address.port().checked_add(1).unwrap_or(8080);
            format!(": choose another port, for example --listen {}", std::net::SocketAddr::new(address.ip(), port))
        }
        E::NoUrl(_) => " (--url https://explain.example.org)".into(),
        _ => String::new(),
    }
}

/// The exit code where an address cannot be listened on.
#[cfg(any(feature = "study", feature = "view"))]
fn listen_code(error: &hirescam_server::ListenError) -> u8 {
    use hirescam_server::ListenError as E;
    if matches!(error, E::NoUrl(_) | E::Url(_)) { 2 } else { 3 }
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
        match self {
            Error::Argument(_) => 2,
            #[cfg(feature = "batch")]
            Error::Batch(
                hirescam_batch::Error::Input { .. }
                | hirescam_batch::Error::Store { .. }
                | hirescam_batch::Error::Full { .. }
                | hirescam_batch::Error::Missing { .. }
                | hirescam_batch::Error::Damaged { .. },
            ) => 3,
            #[cfg(feature = "batch")]
            Error::Batch(hirescam_batch::Error::Explain(error)) => code(error),
            #[cfg(feature = "batch")]
            Error::Batch(hirescam_batch::Error::Stopped) => crate::interrupt::CODE,
            #[cfg(feature = "batch")]
            Error::Batch(_) => 2,
            #[cfg(feature = "evaluate")]
            Error::Evaluate(hirescam_evaluate::Error::Data { .. }) => 3,
            #[cfg(feature = "evaluate")]
            Error::Evaluate(_) => 2,
            #[cfg(feature = "study")]
            Error::Study(
                hirescam_study::Error::Damaged { .. }
                | hirescam_study::Error::WrongKey { .. }
                | hirescam_study::Error::Output { .. },
            ) => 3,
            #[cfg(feature = "study")]
            Error::Study(_) => 2,
            #[cfg(feature = "study")]
            Error::Server(hirescam_server::study::Error::Listen(error)) => listen_code(error),
            #[cfg(feature = "study")]
            Error::Server(hirescam_server::study::Error::Invalid(_)) => 2,
            #[cfg(feature = "study")]
            Error::Server(_) => 3,
            #[cfg(feature = "view")]
            Error::Listen(error) => listen_code(error),
            Error::File { .. } => 3,
            Error::Explain(error) => code(error),
        }
    }
}

/// The exit code of what the library refuses.
fn code(error: &hirescam::Error) -> u8 {
    use hirescam::{Error as E, core::Error as C, labels::LabelsError};
    match error {
        E::Core(C::Unsupported { .. } | C::Memory { .. }) | E::Model { error: C::Unsupported { .. }, .. } => 4,
        E::File { .. } | E::Model { .. } | E::Photo(_) | E::Core(C::Decode(_) | C::Invalid { .. }) => 3,
        E::Labels(LabelsError::Io { .. }) => 3,
        E::Engine(hirescam::engine::Error::Argument(_)) => 2,
        E::Engine(_) => 5,
        _ => 2,
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

#[cfg(feature = "study")]
impl From<hirescam_study::Error> for Error {
    fn from(error: hirescam_study::Error) -> Self {
        match error {
            // What others say has their remedies and exit codes.
            hirescam_study::Error::Explain(error) => Error::Explain(error),
            hirescam_study::Error::Evaluate(error) => error.into(),
            error => Error::Study(error),
        }
    }
}

#[cfg(feature = "view")]
impl From<hirescam_server::view::Error> for Error {
    fn from(error: hirescam_server::view::Error) -> Self {
        match error {
            hirescam_server::view::Error::Explain(error) => Error::Explain(error),
            hirescam_server::view::Error::Listen(error) => Error::Listen(error),
        }
    }
}

#[cfg(feature = "study")]
impl From<hirescam_server::study::Error> for Error {
    fn from(error: hirescam_server::study::Error) -> Self {
        match error {
            hirescam_server::study::Error::Study(error) => error.into(),
            hirescam_server::study::Error::Output { path, because } => Error::File { path, what: because },
            error => Error::Server(error),
        }
    }
}
