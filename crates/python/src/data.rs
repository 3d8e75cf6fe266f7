//! Data between Python and the library: both sides read and write JSON.

use crate::error;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde::Serialize;
use serde_json::{Map, Value};

/// A value of the library as dictionaries, lists, numbers and text.
pub fn to_python<'py>(py: Python<'py>, value: &impl Serialize) -> PyResult<Bound<'py, PyAny>> {
    let text = serde_json::to_string(value).map_err(|e| error::argument(py, &e.to_string()))?;
    py.import("json")?.call_method1("loads", (text,))
}

/// Options as the library reads them. What has another form in Python is brought into that of data there.
pub fn options(py: Python, options: Option<&Bound<PyDict>>) -> PyResult<Map<String, Value>> {
    let Some(options) = options.filter(|options| !options.is_empty()) else { return Ok(Map::new()) };
    let text: String = py.import("hirescam._options")?.call_method1("to_json", (options,))?.extract()?;
    serde_json::from_str(&text).map_err(|e| error::argument(py, &e.to_string()))
}
