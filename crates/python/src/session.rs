//! Models that are run as they are, and networks in parts: for callers who make their own of activations and gradients.

use crate::network::Network;
use crate::spec::Spec;
use crate::work::{self, PerProcess};
use crate::{array, error};
use hirescam::core::onnx::messages::ModelProto;
use hirescam::core::{Model, onnx};
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

impl Session {
    fn of(py: Python, model: ModelProto, spec: &Spec) -> PyResult<Self> {
        let inputs = work::done(py, || {
            let read = Model::new(model.clone())?;
            Ok(read.inputs().map(|input| input.name().to_owned()).collect())
        })?;
        let engine = spec.0.engine.clone();
        let ready = PerProcess::new(py, move || Ok(engine.start()?.prepare(&onnx::write(&model))?))?;
        Ok(Session { ready, inputs })
    }
}

#[pymethods]
impl Session {
    #[new]
    fn new(py: Python, model: Vec<u8>, spec: &Spec) -> PyResult<Self> {
        let model = work::done(py, || Ok(onnx::read(model)?))?;
        Session::of(py, model, spec)
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
        Array::F16(a) => PyArrayDyn::from_owned_array(py, a.into_owned()).into_any(),
        Array::F64(a) => PyArrayDyn::from_owned_array(py, a.into_owned()).into_any(),
        Array::I8(a) => PyArrayDyn::from_owned_array(py, a.into_owned()).into_any(),
        Array::I16(a) => PyArrayDyn::from_owned_array(py, a.into_owned()).into_any(),
        Array::I32(a) => PyArrayDyn::from_owned_array(py, a.into_owned()).into_any(),
        Array::I64(a) => PyArrayDyn::from_owned_array(py, a.into_owned()).into_any(),
        Array::U8(a) => PyArrayDyn::from_owned_array(py, a.into_owned()).into_any(),
        Array::U16(a) => PyArrayDyn::from_owned_array(py, a.into_owned()).into_any(),
        Array::U32(a) => PyArrayDyn::from_owned_array(py, a.into_owned()).into_any(),
        Array::U64(a) => PyArrayDyn::from_owned_array(py, a.into_owned()).into_any(),
        Array::Bool(a) => PyArrayDyn::from_owned_array(py, a.into_owned()).into_any(),
        other => PyArrayDyn::from_owned_array(py, other.into_f32()).into_any(),
    };
    of(array)
}

/// A network cut at the layers of a spec. Its sessions are made when they are asked for.
#[pyclass(frozen, module = "hirescam._hirescam")]
pub struct Parts {
    parts: hirescam::parts::Parts,
    spec: Spec,
}

#[pymethods]
impl Parts {
    #[new]
    fn new(py: Python, network: &Network, spec: &Spec) -> PyResult<Self> {
        let parts = work::done(py, || network.0.parts(&spec.0))?;
        Ok(Parts { parts, spec: Spec(spec.0.clone()) })
    }

    /// The output with the scores.
    #[getter]
    fn scores(&self) -> &str {
        &self.parts.scores
    }

    /// What each score counts for: an input of the gradient.
    #[getter]
    fn seed(&self) -> &str {
        &self.parts.seed
    }

    /// The outputs of the gradient with the gradients, one for each layer.
    #[getter]
    fn gradients(&self) -> Vec<String> {
        self.parts.gradients.clone()
    }

    /// From the network's inputs to the layer; none where nothing is cut.
    fn body(&self, py: Python) -> PyResult<Option<Session>> {
        self.parts.body.as_ref().map(|body| Session::of(py, body.clone(), &self.spec)).transpose()
    }

    /// From there to the scores.
    fn head(&self, py: Python) -> PyResult<Session> {
        Session::of(py, self.parts.head.clone(), &self.spec)
    }

    /// The same with the gradients.
    fn gradient(&self, py: Python) -> PyResult<Session> {
        Session::of(py, self.parts.gradient.clone(), &self.spec)
    }

    /// The gradient, of a network cut at one layer, differentiated once more; and its names: the input with the direction, the outputs
    /// with the derivatives by the activation and by the seed.
    fn second(&self, py: Python) -> PyResult<(Session, String, Option<String>, Option<String>)> {
        let layer = self.spec.0.layers.first().map_or("", String::as_str);
        let made = work::done(py, || self.parts.second(layer))?;
        Ok((Session::of(py, made.model, &self.spec)?, made.direction, made.by_activation, made.by_seed))
    }
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
