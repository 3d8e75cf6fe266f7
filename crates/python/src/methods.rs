//! Methods of one run as functions of arrays.

use crate::{array, error, work};
use hirescam::core::cam;
use numpy::{IntoPyArray, PyArrayDyn};
use pyo3::prelude::*;

/// The methods of one run: name, title, formula and source of each.
#[pyfunction]
pub fn one_run() -> Vec<(&'static str, &'static str, &'static str, &'static str)> {
    cam::METHODS.iter().map(|m| (m.name, m.title, m.formula, m.source)).collect()
}

/// The map of a method, of an activation and the gradient by it.
#[pyfunction]
pub fn on_arrays<'py>(
    py: Python<'py>,
    method: &str,
    activation: &Bound<'py, PyAny>,
    gradient: &Bound<'py, PyAny>,
    channels: isize,
) -> PyResult<Bound<'py, PyArrayDyn<f64>>> {
    let (activation, gradient) = (array::from_numpy(activation)?.to_f64(), array::from_numpy(gradient)?.to_f64());
    let axis = if channels < 0 { channels + activation.ndim() as isize } else { channels };
    let axis = usize::try_from(axis).map_err(|_| error::argument(py, &format!("there is no axis {channels}")))?;
    let map = work::done(py, || Ok(cam::on_arrays(cam::method(method)?, &activation, &gradient, axis)?))?;
    Ok(map.into_pyarray(py))
}
