//! The options as one thing.

use crate::{data, error};
use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::path::PathBuf;

/// What to explain and how, as one thing: all options, those of the command line, by the same names.
///
/// An option that is not given is as when nothing is said. It is read as an attribute, and there in its plain form: `spec.layer` is a list of names.
/// Specs are equal where all their options are; they can be pickled.
///
/// >>> spec = hirescam.Spec(layer="relu2", top=3)
/// >>> spec.method
/// 'hirescam'
/// >>> hirescam.Spec.from_toml(spec.to_toml()) == spec
/// True
/// >>> spec.replace(engine="tract")
/// Spec(layer=['relu2'], top=3, engine='tract')
#[pyclass(frozen, eq, module = "hirescam")]
#[derive(PartialEq)]
pub struct Spec(pub hirescam::Spec);

#[pymethods]
impl Spec {
    #[new]
    #[pyo3(signature = (**options))]
    fn new(py: Python, options: Option<&Bound<PyDict>>) -> PyResult<Self> {
        Spec(hirescam::Spec::default()).replace(py, options)
    }

    /// Reads a spec from a file: JSON where its name ends so, else TOML. A record stands for the spec in it.
    #[staticmethod]
    fn open(py: Python, path: PathBuf) -> PyResult<Self> {
        Self::of(py, hirescam::Spec::open(path))
    }

    /// Reads a spec from TOML.
    #[staticmethod]
    fn from_toml(py: Python, text: &str) -> PyResult<Self> {
        Self::of(py, hirescam::Spec::from_toml(text))
    }

    /// Reads a spec from JSON. A record stands for the spec in it.
    #[staticmethod]
    fn from_json(py: Python, text: &str) -> PyResult<Self> {
        Self::of(py, hirescam::Spec::from_json(text))
    }

    /// The spec that a record has: what was asked for when it was made.
    #[staticmethod]
    fn from_record(py: Python, record: &Bound<PyDict>) -> PyResult<Self> {
        let text: String = py.import("json")?.call_method1("dumps", (record,))?.extract()?;
        Self::from_json(py, &text)
    }

    /// The same spec, with these options in the place of its own.
    #[pyo3(signature = (**options))]
    fn replace(&self, py: Python, options: Option<&Bound<PyDict>>) -> PyResult<Self> {
        Self::of(py, self.0.with(data::options(py, options)?))
    }

    /// As JSON.
    fn to_json(&self, py: Python) -> PyResult<String> {
        serde_json::to_string(&self.0).map_err(|e| error::argument(py, &e.to_string()))
    }

    /// As TOML.
    fn to_toml(&self, py: Python) -> PyResult<String> {
        toml::to_string(&self.0).map_err(|e| error::argument(py, &e.to_string()))
    }

    /// As a dictionary, as it stands in records: options of the engine, of methods and of pictures in dictionaries of their own.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        data::to_python(py, &self.0)
    }

    /// The options by their names.
    fn options<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let words = self.0.words().map_err(|e| error::raised(py, &e))?;
        data::to_python(py, &words)
    }

    fn __getattr__<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let mut words = self.0.words().map_err(|e| error::raised(py, &e))?;
        let value = words.remove(name.trim_end_matches('_')).filter(|_| !name.starts_with('_'));
        let value = value.ok_or_else(|| PyAttributeError::new_err(format!("a spec has no option {name:?}")))?;
        data::to_python(py, &value)
    }

    fn __dir__(&self, py: Python) -> PyResult<Vec<String>> {
        let names: Vec<String> = py.get_type::<Spec>().dir()?.extract()?;
        let words = self.0.words().map_err(|e| error::raised(py, &e))?;
        Ok(names.into_iter().chain(words.into_iter().map(|(word, _)| python_name(&word).to_owned())).collect())
    }

    fn __repr__(&self, py: Python) -> PyResult<String> {
        let (words, nothing) = (self.0.words(), hirescam::Spec::default().words());
        let (words, nothing) = words.and_then(|w| Ok((w, nothing?))).map_err(|e| error::raised(py, &e))?;
        let mut said = Vec::new();
        for (word, value) in words.iter().filter(|(word, value)| nothing.get(*word) != Some(value)) {
            said.push(format!("{}={}", python_name(word), data::to_python(py, value)?.repr()?));
        }
        Ok(format!("Spec({})", said.join(", ")))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let read = py.get_type::<Spec>().getattr("from_json")?;
        Ok((read, PyTuple::new(py, [self.to_json(py)?])?))
    }
}

impl Spec {
    fn of(py: Python, made: Result<hirescam::Spec, hirescam::Error>) -> PyResult<Self> {
        made.map(Spec).map_err(|e| error::raised(py, &e))
    }
}

/// An option's name as a keyword: that of the class is one of Python's own.
pub fn python_name(word: &str) -> &str {
    if word == "class" { "class_" } else { word }
}
