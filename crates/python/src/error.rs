//! Errors of the library as exceptions: one class a kind, with the data that the error carries, and remedies in Python's terms.

use crate::spec::python_name;
use hirescam::core::Error as Core;
use hirescam::labels::LabelsError;
use hirescam::photo::PhotoError;
use hirescam::preprocess::PreprocessError;
use hirescam::{Error, engine};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::io::ErrorKind;
use std::path::Path;

/// The exception for an error of the library.
pub fn raised(py: Python, error: &Error) -> PyErr {
    let fill = |about: &Bound<PyDict>| fill(about, error);
    exception(py, kind(error), &(text(error) + &remedy(error)), fill)
}

/// The error in words, with options by their names as keywords.
fn text(error: &Error) -> String {
    let text = error.to_string();
    match error {
        Error::Core(Core::NotFound { kind: "option", .. }) => text.replace("\"class\"", "\"class_\""),
        _ => text,
    }
}

/// The exception for arguments that the package refuses before the library sees them.
pub fn argument(py: Python, text: &str) -> PyErr {
    exception(py, "argument", text, |_| Ok(()))
}

/// The exception for an error of a metric.
pub fn of_metric(py: Python, error: &hirescam_evaluate::Error) -> PyErr {
    use hirescam_evaluate::Error;
    let kind = match error {
        Error::NotFinite { .. } => "not-finite",
        Error::Undefined { .. } => "undefined",
        Error::Scoring(_) => "engine",
        _ => "argument",
    };
    exception(py, kind, &error.to_string(), |_| Ok(()))
}

/// The exception for an error of a job.
pub fn of_batch(py: Python, error: &hirescam_batch::Error) -> PyErr {
    match error {
        hirescam_batch::Error::Explain(error) => raised(py, error),
        error => {
            let text = error.to_string().replace("(--max-errors)", "(max_errors=)");
            let text = text.replace("hirescam batch plan JOB.toml plans one", "hirescam.batch.plan() plans one");
            exception(py, error.kind(), &text, |_| Ok(()))
        }
    }
}

/// The exception for a panic: the library has an error for everything it knows.
pub fn panicked(py: Python, message: &str) -> PyErr {
    let text = format!("hirescam broke off, which deserves a report ({message})");
    exception(py, "internal", &text, |_| Ok(()))
}

fn exception(py: Python, kind: &str, text: &str, fill: impl FnOnce(&Bound<PyDict>) -> PyResult<()>) -> PyErr {
    let make = || {
        let class = py.import("hirescam._errors")?.getattr("BY_KIND")?.get_item(kind)?;
        let about = PyDict::new(py);
        fill(&about)?;
        class.call((text,), Some(&about))
    };
    make().map_or_else(|error| error, PyErr::from_value)
}

/// The kind of exception: the error's own, where that is not told more exactly by what it carries.
fn kind(error: &Error) -> &'static str {
    match error {
        Error::Core(Core::NotFound { .. })
        | Error::Labels(LabelsError::NotFound { .. } | LabelsError::Ambiguous { .. })
        | Error::Preprocess(PreprocessError::NotFound { .. }) => "not-found",
        Error::Core(Core::Memory { .. }) => "memory",
        Error::File { error, .. }
        | Error::Photo(PhotoError::Io { source: error, .. })
        | Error::Labels(LabelsError::Io { source: error, .. }) => match error.kind() {
            ErrorKind::NotFound => "missing-file",
            _ => "file",
        },
        Error::Engine(engine::Error::Argument(_) | engine::Error::Input(_)) => "argument",
        error => error.kind(),
    }
}

/// The data that an error carries.
fn fill(about: &Bound<PyDict>, error: &Error) -> PyResult<()> {
    let path = |path: &Path| about.set_item("path", path.to_string_lossy());
    let sought = |kind: &str, name: &str, near: Vec<&str>| {
        about.set_item("sought", kind)?;
        about.set_item("name", name)?;
        about.set_item("near", near)
    };
    match error {
        Error::File { path: file, .. } | Error::Protected { path: file } | Error::Exists { path: file, .. } => {
            path(file)
        }
        Error::Photo(PhotoError::Io { path: file, .. }) | Error::Labels(LabelsError::Io { path: file, .. }) => {
            path(file)
        }
        Error::Model { path: file, error, .. } => {
            path(file)?;
            node(about, error)
        }
        Error::Core(Core::NotFound { kind, name, near }) => {
            let name_of = |name| if *kind == "option" { python_name(name) } else { name };
            sought(kind, name, near.iter().map(|name| name_of(name.as_str())).collect())
        }
        Error::Labels(LabelsError::NotFound { text, near }) => {
            sought("class", text, near.iter().map(String::as_str).collect())
        }
        Error::Labels(LabelsError::Ambiguous { text, candidates }) => {
            sought("class", text, candidates.iter().map(|(_, name)| name.as_str()).collect())
        }
        Error::Preprocess(PreprocessError::NotFound { name, near }) => sought("preset", name, near.clone()),
        Error::MissingInput { input, .. } | Error::Rows { input, .. } => about.set_item("input", input),
        Error::Core(error) => node(about, error),
        _ => Ok(()),
    }
}

fn node(about: &Bound<PyDict>, error: &Core) -> PyResult<()> {
    match error {
        Core::Invalid { at, .. } | Core::Unsupported { at, .. } | Core::Memory { at, .. } => about.set_item("node", at),
        Core::OpenSample { node, image, .. } => {
            about.set_item("node", node)?;
            about.set_item("input", image)
        }
        Core::OpenShape { input, .. } => about.set_item("input", input),
        _ => Ok(()),
    }
}

/// What helps, in Python's terms.
fn remedy(error: &Error) -> String {
    let words = match error {
        Error::MissingInput { input, .. } => {
            return format!(": feed it (input={{{input:?}: array}}, or a number in the place of the array)");
        }
        Error::Exists { .. } | Error::Protected { .. } => ": choose another place for the result",
        Error::NoPreprocess { .. } => " (preprocess=, a preset's name or a file; a ready tensor is an array of floats)",
        Error::File { error, .. } if error.kind() == ErrorKind::IsADirectory => ": give the files that are in it",
        Error::Core(Core::NotFound { kind: "kind of target", near, .. }) if near.is_empty() => {
            ": a class is asked for by class_=, a target by a kind and what belongs to it, as target=\"contrast:cat,dog\""
        }
        Error::NoLabels { .. } => ": give labels=, a list or a file",
        Error::Core(Core::Layer { .. }) => "; Network.layers() lists those that can be explained",
        Error::Core(Core::NotFound { kind: "layer", near, .. }) if near.is_empty() => {
            "; Network.layers() lists those that can be explained"
        }
        Error::Core(Core::OpenShape { beside: false, .. }) => {
            ": say with which shape the network is to be explained (shape=(1, 3, 224, 224))"
        }
        Error::Core(Core::OpenShape { beside: true, .. }) => ": feed it (input={name: array})",
        Error::Core(Core::OpenSample { .. }) => {
            ": say it by the whole shape of one sample, for example shape=(6, 3, 224, 224) for six images"
        }
        Error::Core(Core::NoScores { .. }) => " (output=)",
        Error::Core(Core::OpenClasses { .. }) => ": name it with class_axis=",
        Error::Core(Core::Memory { .. }) => ". Where the network is to be trusted, allow it more: memory= (MiB)",
        Error::Engine(error) => match error.other_engine() {
            Some("onnxruntime") => "; ONNX Runtime may run it: engine=\"onnxruntime\"",
            Some(_) => "; tract may run it: engine=\"tract\"",
            None => "",
        },
        _ => "",
    };
    words.to_owned()
}
