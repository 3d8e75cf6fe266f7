//! What can go wrong between a model file and a picture.

use crate::labels::LabelsError;
use crate::photo::PhotoError;
use crate::preprocess::PreprocessError;
use hirescam_engine::{self as engine, Kind};
use std::io;
use std::path::{Path, PathBuf};

/// What [`Error::NotFinite`] calls what comes to the network.
pub(crate) const INPUT: &str = "network's input";

/// What can go wrong between a model file and a picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read.
    #[error("{path}: {error}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The model file is not one that can be used.
    #[error("{}", model_error(.path, .error, *.other))]
    Model {
        /// The file.
        path: PathBuf,
        /// Why.
        error: hirescam_core::Error,
        /// What else the file is, where that is known, and what helps.
        other: Option<(&'static str, &'static str)>,
    },
    /// The model cannot be explained as asked.
    #[error(transparent)]
    Core(#[from] hirescam_core::Error),
    /// The engine refuses.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// A photo cannot be read.
    #[error(transparent)]
    Photo(#[from] PhotoError),
    /// Nothing says how photos are prepared.
    #[error("how are photos prepared for this network? {}", no_preprocess(.network, *.kind))]
    NoPreprocess {
        /// The network's file.
        network: PathBuf,
        /// The element kind of its image.
        kind: Kind,
    },
    /// The preprocessing does not fit.
    #[error(transparent)]
    Preprocess(#[from] PreprocessError),
    /// A class is asked for by its label, and there are none.
    #[error("the class {class:?} is no number, and no labels are known")]
    NoLabels {
        /// The label.
        class: String,
    },
    /// The labels do not fit.
    #[error(transparent)]
    Labels(#[from] LabelsError),
    /// The picture cannot be drawn.
    #[error(transparent)]
    Overlay(#[from] crate::overlay::OverlayError),
    /// The map cannot be shown.
    #[error(transparent)]
    Heatmap(#[from] crate::heatmap::HeatmapError),
    /// The network's input cannot stand for a number of an image.
    #[error(
        "the network takes {kind}, which cannot stand for the {given} number {value}{whole}",
        whole = range(*kind)
    )]
    Kind {
        /// The element kind of the network's input.
        kind: Kind,
        /// That of the image.
        given: Kind,
        /// The first number that would be another one.
        value: f64,
    },
    /// The network takes something beside the image that it is not given.
    #[error("beside the image the network takes {input:?}, {kind} {shape}, and it is given nothing")]
    MissingInput {
        /// The input.
        input: String,
        /// Its element kind.
        kind: Kind,
        /// Its extents.
        shape: String,
    },
    /// An input beside the image has more or fewer rows than there are samples.
    #[error("the input {input:?} has {rows} rows, and there are {samples} images")]
    Rows {
        /// The input.
        input: String,
        /// How many rows there are.
        rows: usize,
        /// How many samples.
        samples: usize,
    },
    /// The work was stopped before it came to this sample.
    #[error("stopped before its end")]
    Cancelled,
    /// The network computes no numbers for an image.
    #[error("the {what} holds {value}: {}", why_not_finite(.what))]
    NotFinite {
        /// The image, the map, the score or the class scores.
        what: &'static str,
        /// What was found: NaN or an infinity.
        value: f64,
    },
    /// A result would replace a file that the same command reads, or another that it writes.
    #[error("{path} is read or written by this command, and must not be replaced", path = .path.display())]
    Protected {
        /// The file.
        path: PathBuf,
    },
    /// A result would replace what another run made, or what is no result at all.
    #[error("{path}{more} there already, and this command would not make the same again", path = .path.display(), more = more(*.others))]
    Exists {
        /// The file, the first of them.
        path: PathBuf,
        /// How many more there are.
        others: usize,
    },
    /// The arguments do not go together.
    #[error("{0}")]
    Argument(String),
}

/// What makes numbers infinite or none.
fn why_not_finite(what: &str) -> &'static str {
    match what {
        INPUT => "the image is damaged, or what prepared it divides by zero",
        _ => "the network overflows or divides by zero on this image",
    }
}

fn model_error(path: &Path, error: &hirescam_core::Error, other: Option<(&str, &str)>) -> String {
    match other {
        Some((what, helps)) => format!("{} is {what}, no ONNX file: {helps}", path.display()),
        None => format!("{}: {error}", path.display()),
    }
}

fn no_preprocess(network: &Path, kind: Kind) -> String {
    let path = network.display().to_string();
    match kind.is_float() {
        true => format!(
            "Nothing goes with {}: name a preset, give a TOML file, or a ready tensor (.npy)",
            if path.is_empty() { "its file" } else { &path }
        ),
        false => format!(
            "It takes {kind}, a photo's own levels as a rule: give a TOML file, which may be empty where nothing is to be resized, or a ready tensor (.npy)"
        ),
    }
}

fn more(others: usize) -> String {
    match others {
        0 => " is".into(),
        n => format!(" and results of {n} more images are"),
    }
}

impl Error {
    /// The kind of error, in a word for machines.
    pub fn kind(&self) -> &'static str {
        use hirescam_core::Error as Core;
        match self {
            Error::File { .. } | Error::Photo(_) => "file",
            Error::Core(Core::Unsupported { .. }) | Error::Model { error: Core::Unsupported { .. }, .. } => {
                "unsupported"
            }
            Error::Model { .. } | Error::Core(Core::Decode(_) | Core::Invalid { .. }) => "model",
            Error::Engine(_) => "engine",
            Error::NotFinite { .. } => "not-finite",
            Error::Protected { .. } | Error::Exists { .. } => "exists",
            Error::Cancelled => "cancelled",
            Error::Core(_)
            | Error::Kind { .. }
            | Error::MissingInput { .. }
            | Error::NoPreprocess { .. }
            | Error::Rows { .. }
            | Error::Argument(_) => "argument",
            Error::Preprocess(_) => "preprocess",
            Error::Labels(_) | Error::NoLabels { .. } => "labels",
            Error::Overlay(_) | Error::Heatmap(_) => "picture",
        }
    }

    /// The same error once more, for another sample of the same run.
    pub(crate) fn again(&self) -> Self {
        match self {
            Error::File { path, error } => Error::File { path: path.clone(), error: same(error) },
            Error::Model { path, error, other } => {
                Error::Model { path: path.clone(), error: error.clone(), other: *other }
            }
            Error::Core(error) => Error::Core(error.clone()),
            Error::Engine(error) => Error::Engine(error.clone()),
            Error::Photo(error) => Error::Photo(error.again()),
            Error::NoPreprocess { network, kind } => Error::NoPreprocess { network: network.clone(), kind: *kind },
            Error::Preprocess(error) => Error::Preprocess(error.clone()),
            Error::NoLabels { class } => Error::NoLabels { class: class.clone() },
            Error::Labels(error) => Error::Labels(error.again()),
            Error::Overlay(error) => Error::Overlay(error.clone()),
            Error::Heatmap(error) => Error::Heatmap(error.clone()),
            &Error::Kind { kind, given, value } => Error::Kind { kind, given, value },
            Error::MissingInput { input, kind, shape } => {
                Error::MissingInput { input: input.clone(), kind: *kind, shape: shape.clone() }
            }
            Error::Rows { input, rows, samples } => {
                Error::Rows { input: input.clone(), rows: *rows, samples: *samples }
            }
            Error::Cancelled => Error::Cancelled,
            &Error::NotFinite { what, value } => Error::NotFinite { what, value },
            Error::Protected { path } => Error::Protected { path: path.clone() },
            Error::Exists { path, others } => Error::Exists { path: path.clone(), others: *others },
            Error::Argument(what) => Error::Argument(what.clone()),
        }
    }

    /// The text where `path` is said already.
    pub fn without(&self, path: &Path) -> String {
        match self {
            Error::File { path: own, error } if own == path => error.to_string(),
            error => error.to_string(),
        }
    }
}

/// The same error of the system: of its own ones the number, of others kind and text.
pub(crate) fn same(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| io::Error::new(error.kind(), error.to_string()), io::Error::from_raw_os_error)
}

/// What elements of a kind can stand for, where these are whole numbers.
fn range(kind: Kind) -> String {
    let [least, largest]: [i128; 2] = match kind {
        Kind::I8 => [i8::MIN.into(), i8::MAX.into()],
        Kind::I16 => [i16::MIN.into(), i16::MAX.into()],
        Kind::I32 => [i32::MIN.into(), i32::MAX.into()],
        Kind::I64 => [i64::MIN.into(), i64::MAX.into()],
        Kind::U8 => [0, u8::MAX.into()],
        Kind::U16 => [0, u16::MAX.into()],
        Kind::U32 => [0, u32::MAX.into()],
        Kind::U64 => [0, u64::MAX.into()],
        Kind::Bool => [0, 1],
        _ => return String::new(),
    };
    format!(": it takes whole numbers from {least} to {largest}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Network;
    use crate::labels::Labels;

    #[test]
    fn an_error_is_the_same_for_every_sample_of_a_run() {
        let path = PathBuf::from("photo.png");
        let of_system = Network::open("missing.onnx").unwrap_err();
        let kind = Kind::U8;
        let all = [
            of_system,
            Error::File { path: path.clone(), error: io::Error::new(io::ErrorKind::InvalidData, "no image") },
            Error::Model { path: path.clone(), error: hirescam_core::Error::Argument("cut".into()), other: None },
            Error::Photo(PhotoError::Invalid("cut".into())),
            Error::NoPreprocess { network: path.clone(), kind },
            Error::NoLabels { class: "cat".into() },
            Error::Labels(Labels::open("missing.txt").unwrap_err()),
            Error::Labels(LabelsError::Count { labels: 3, classes: 4 }),
            Error::Kind { kind, given: Kind::F32, value: 0.5 },
            Error::MissingInput { input: "age".into(), kind, shape: "[N]".into() },
            Error::Rows { input: "age".into(), rows: 3, samples: 2 },
            Error::NotFinite { what: "map", value: f64::INFINITY },
            Error::Protected { path: path.clone() },
            Error::Exists { path, others: 2 },
        ];
        for error in &all {
            let again = error.again();
            assert_eq!(
                (format!("{again:?}"), again.to_string(), again.kind()),
                (format!("{error:?}"), error.to_string(), error.kind())
            );
        }
    }
}
