//! Models that are run as they are, and networks in parts: for callers who make their own of activations and gradients.

use crate::network::Network;
use crate::spec::Spec;
use crate::work::{self, PerProcess};
use crate::{array, error};
use hirescam::engine::{Array, Session as Runs};
use numpy::PyArrayDyn;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::collections::HashMap;

/// A model made ready to run, with the engine of a spec.
#[pyclass(frozen, module = "hirescam._hirescam")]
pub struct Session {
    ready: PerProcess<Box<dyn Runs>>,
    inputs: Vec<String>,
}

#[pymethods]
impl Session {
    #[new]
    fn new(py: Python, model: Vec<u8>, spec: &Spec) -> PyResult<Self> {
        let inputs = work::done(py, || {
            let read = hirescam::core::Model::from_bytes(model.clone())?;
            Ok(read.inputs().map(|input| input.name().to_owned()).collect())
        })?;
        let engine = spec.0.engine.clone();
        let ready = PerProcess::new(py, move || Ok(engine.start()?.prepare(&model)?))?;
        Ok(Session { ready, inputs })
    }

    /// What the model has to be fed.
    #[getter]
    fn inputs(&self) -> Vec<String> {
        self.inputs.clone()
    }

    /// Runs the model: all outputs by their names.
    fn run<'py>(&self, py: Python<'py>, inputs: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyDict>> {
        let session = self.ready.get(py)?;
        let each = |(name, value): (Bound<PyAny>, Bound<PyAny>)| Ok((name.extract()?, array::from_numpy(&value)?));
        let fed: Vec<(String, Array)> = inputs.iter().map(each).collect::<PyResult<_>>()?;
        let made = work::done(py, || {
            let fed: Vec<(&str, &Array)> = fed.iter().map(|(name, array)| (name.as_str(), array)).collect();
            Ok(session.run(&fed)?)
        })?;
        let all = PyDict::new(py);
        for (name, array) in made {
            all.set_item(name, to_numpy(py, array))?;
        }
        Ok(all)
    }
}

/// An array as NumPy's, without a copy.
fn to_numpy(py: Python, array: Array) -> Bound<PyAny> {
    let of = |array: Array| match array {
        Array::F16(a) => PyArrayDyn::from_owned_array(py, a).into_any(),
        Array::F64(a) => PyArrayDyn::from_owned_array(py, a).into_any(),
        Array::I8(a) => PyArrayDyn::from_owned_array(py, a).into_any(),
        Array::I16(a) => PyArrayDyn::from_owned_array(py, a).into_any(),
        Array::I32(a) => PyArrayDyn::from_owned_array(py, a).into_any(),
        Array::I64(a) => PyArrayDyn::from_owned_array(py, a).into_any(),
        Array::U8(a) => PyArrayDyn::from_owned_array(py, a).into_any(),
        Array::U16(a) => PyArrayDyn::from_owned_array(py, a).into_any(),
        Array::U32(a) => PyArrayDyn::from_owned_array(py, a).into_any(),
        Array::U64(a) => PyArrayDyn::from_owned_array(py, a).into_any(),
        Array::Bool(a) => PyArrayDyn::from_owned_array(py, a).into_any(),
        other => PyArrayDyn::from_owned_array(py, other.into_f32()).into_any(),
    };
    of(array)
}

/// The network cut at the layers of a spec: models as bytes, and names.
#[pyfunction]
pub fn parts<'py>(py: Python<'py>, network: &Network, spec: &Spec) -> PyResult<Bound<'py, PyDict>> {
    let made = work::done(py, || network.0.parts(&spec.0))?;
    let all = PyDict::new(py);
    all.set_item("body", made.body.map(|bytes| PyBytes::new(py, &bytes)))?;
    all.set_item("head", PyBytes::new(py, &made.head))?;
    all.set_item("gradient", PyBytes::new(py, &made.gradient))?;
    all.set_item("image", made.image)?;
    all.set_item("scores", made.scores)?;
    all.set_item("seed", made.seed)?;
    all.set_item("gradients", made.gradients)?;
    Ok(all)
}

/// The gradient of a head cut at one layer, differentiated once more: the model as bytes, and names.
#[pyfunction]
pub fn second<'py>(py: Python<'py>, network: &Network, spec: &Spec) -> PyResult<Bound<'py, PyDict>> {
    let made = work::done(py, || {
        let parts = network.0.parts(&spec.0)?;
        parts.second(spec.0.layers.first().map_or("", String::as_str))
    })?;
    let all = PyDict::new(py);
    all.set_item("model", PyBytes::new(py, &made.model))?;
    all.set_item("direction", made.direction)?;
    all.set_item("by_activation", made.by_activation)?;
    all.set_item("by_seed", made.by_seed)?;
    Ok(all)
}

/// The values that the network's nodes make: each with its node, and with the scopes that PyTorch's exporter wrote.
#[pyfunction]
pub fn values(network: &Network) -> Vec<(String, String, Option<String>)> {
    network.0.values().into_iter().map(|made| (made.value, made.node, made.scopes)).collect()
}

/// The bytes of the network with these values as its outputs.
#[pyfunction]
pub fn with_outputs<'py>(py: Python<'py>, network: &Network, values: Vec<String>) -> PyResult<Bound<'py, PyBytes>> {
    let made = network.0.with_outputs(&values).map_err(|e| error::raised(py, &e))?;
    Ok(PyBytes::new(py, &made))
}

/// The bytes of the network with other names for values.
#[pyfunction]
pub fn renamed<'py>(
    py: Python<'py>,
    network: &Network,
    names: HashMap<String, String>,
) -> PyResult<Bound<'py, PyBytes>> {
    let made = network.0.renamed(&names).map_err(|e| error::raised(py, &e))?;
    Ok(PyBytes::new(py, &made))
}
