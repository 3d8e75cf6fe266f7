//! A network's file, and what is asked of it.

use crate::explainer::Explainer;
use crate::image::Image;
use crate::spec::Spec;
use crate::{data, error, work};
use hirescam::check::Step;
use hirescam::record::{Mark, Origin, Record};
use hirescam::{Error, Sample};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::path::{Path, PathBuf};

/// A network's file with what lies beside it.
#[pyclass(frozen, module = "hirescam._hirescam")]
pub struct Network(pub(crate) hirescam::Network);

#[pymethods]
impl Network {
    /// Opens a file.
    #[staticmethod]
    fn open(py: Python, path: PathBuf) -> PyResult<Self> {
        work::done(py, || hirescam::Network::open(path)).map(Network)
    }

    /// Reads the bytes of one.
    #[staticmethod]
    fn from_bytes(py: Python, bytes: &[u8]) -> PyResult<Self> {
        let bytes = bytes.to_vec();
        work::done(py, || hirescam::Network::from_bytes(bytes)).map(Network)
    }

    /// The file; none for bytes.
    #[getter]
    fn path(&self) -> Option<&Path> {
        Some(self.0.path()).filter(|path| !path.as_os_str().is_empty())
    }

    /// The file's SHA-256.
    #[getter]
    fn sha256(&self) -> &str {
        self.0.sha256()
    }

    /// The file's bytes.
    #[getter]
    fn bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.bytes())
    }

    /// The input that carries the image: its name, its elements and its extents, none for those that are open.
    fn image(&self, py: Python, spec: &Spec) -> PyResult<(String, String, Vec<Option<usize>>)> {
        let input = self.0.image_input(spec.0.image_input.as_deref()).map_err(|e| error::raised(py, &e))?;
        Ok((input.name, input.kind.map_or_else(String::new, |kind| kind.to_string()), input.shape))
    }

    /// The labels that lie with the network.
    fn labels(&self, py: Python) -> PyResult<Option<Vec<String>>> {
        let labels = work::done(py, || self.0.labels())?;
        Ok(labels.map(|labels| labels.names().to_vec()))
    }

    /// The preprocessing that lies with the network, and where it comes from.
    fn preprocess<'py>(&self, py: Python<'py>) -> PyResult<Option<(Bound<'py, PyAny>, String)>> {
        let preprocess = work::done(py, || self.0.preprocess())?;
        preprocess.map(|(steps, from)| Ok((data::to_python(py, &steps)?, from))).transpose()
    }

    /// The layers as rows, and what there is to say of them all.
    fn layers<'py>(&self, py: Python<'py>, spec: &Spec, all: bool) -> PyResult<(Bound<'py, PyAny>, Option<String>)> {
        let layers = work::done(py, || self.0.layers(&spec.0, all))?;
        Ok((data::to_python(py, &layers.rows)?, layers.note))
    }

    /// The network made ready; its options have the engine that runs it, of which there may be something to say.
    fn explainer(&self, py: Python, spec: &Spec) -> PyResult<(Explainer, Option<String>)> {
        let mut spec = spec.0.clone();
        let engine = std::mem::take(&mut spec.engine);
        let (engine, note) = work::done(py, || Ok(engine.settled()))?;
        spec.engine = engine;
        Ok((Explainer::new(py, self.0.clone(), spec)?, note))
    }

    /// The bytes of the explaining model, and what was added in words.
    fn compile<'py>(
        &self,
        py: Python<'py>,
        spec: &Spec,
        heatmap: Option<&str>,
    ) -> PyResult<(Bound<'py, PyBytes>, Vec<String>)> {
        let made = work::done(py, || {
            let size = heatmap.map(str::parse).transpose()?;
            self.0.explaining_model(&spec.0, size)
        })?;
        Ok((PyBytes::new(py, &made.bytes), made.in_words()))
    }

    /// The network without the map that was added; none where it is no explaining model.
    fn strip<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let bare = work::done(py, || self.0.strip())?;
        Ok(bare.map(|bare| PyBytes::new(py, &bare)))
    }

    /// Several methods on one image, as a record.
    fn compare<'py>(
        &self,
        py: Python<'py>,
        spec: &Spec,
        image: &Image,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let record = work::watched(py, progress, |progress, stop| {
            let (input, hash) = image.read()?;
            let comparer = self.0.comparer(&spec.0)?.stopped_by(stop.clone());
            let made =
                comparer.compare(&[Sample::new(image.id(), input)], &mut |_, p| progress(p.sample, p.done, p.of)).pop();
            let origin = Origin::new(Path::new(image.id()), hash.as_deref(), Some(0));
            Ok(Record::comparison(&made.unwrap_or(Err(Error::Cancelled))?, origin, Err(String::new()), Mark::default()))
        })?;
        data::to_python(py, &record)
    }

    /// How far maps can be trusted: the report as data, as text and as a page.
    fn check<'py>(
        &self,
        py: Python<'py>,
        spec: &Spec,
        images: Vec<Bound<'py, Image>>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<(Bound<'py, PyAny>, String, String)> {
        let images: Vec<&Image> = images.iter().map(Bound::get).collect();
        let report = work::watched(py, progress, |progress, stop| {
            let read = |(i, image): (usize, &&Image)| {
                let name = if image.id().is_empty() { i.to_string() } else { image.id().to_owned() };
                let input = image.read().map(|(input, _)| input).map_err(|error| error.without(Path::new(&name)));
                (name, input)
            };
            let mut step = |step: Step| progress(0, step.done, step.of);
            self.0.check_until(&spec.0, &mut images.iter().enumerate().map(read), &mut step, stop)
        })?;
        Ok((data::to_python(py, &report)?, report.text(), report.html()))
    }
}
