//! A network made ready for any number of images.

use crate::explanation::Explanation;
use crate::image::Image;
use crate::spec::Spec;
use crate::work::{self, OfProcess};
use crate::{array, error};
use hirescam::{Error, Progress, Sample, Watch};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use rayon::prelude::*;
use std::sync::{Arc, Mutex, PoisonError};

/// What is ready, in the process in which it was made so.
pub type Ready = Arc<OfProcess<hirescam::Explainer>>;

/// A network made ready to explain images.
#[pyclass(frozen, module = "hirescam._hirescam")]
pub struct Explainer {
    network: hirescam::Network,
    spec: hirescam::Spec,
    ready: Mutex<Ready>,
}

/// What came of an image: of each sample in it the maps or an error, and its file's SHA-256.
type OfImage = Result<(Vec<Result<hirescam::Explained, Error>>, Option<String>), Error>;

impl Explainer {
    /// Makes a network ready.
    pub fn new(py: Python, network: hirescam::Network, spec: hirescam::Spec) -> PyResult<Self> {
        let ready = Mutex::new(make_ready(py, &network, &spec)?);
        Ok(Explainer { network, spec, ready })
    }

    /// What is ready in this process.
    fn ready(&self, py: Python) -> PyResult<Ready> {
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if ready.here().is_some() {
            return Ok(ready);
        }
        let ready = make_ready(py, &self.network, &self.spec)?;
        *self.ready.lock().unwrap_or_else(PoisonError::into_inner) = ready.clone();
        Ok(ready)
    }
}

fn make_ready(py: Python, network: &hirescam::Network, spec: &hirescam::Spec) -> PyResult<Ready> {
    let made = work::done(py, || network.explainer(spec))?;
    Ok(Arc::new(OfProcess::new(made)))
}

#[pymethods]
impl Explainer {
    /// The options.
    #[getter]
    fn spec(&self) -> Spec {
        Spec(self.spec.clone())
    }

    /// Whether all rows of a tensor make one sample.
    #[getter]
    fn takes_all_rows(&self, py: Python) -> PyResult<bool> {
        Ok(self.ready(py)?.here().is_some_and(hirescam::Explainer::takes_all_rows))
    }

    /// Whether each sample gets one map.
    #[getter]
    fn makes_one_map(&self, py: Python) -> PyResult<bool> {
        Ok(self.ready(py)?.here().is_some_and(hirescam::Explainer::makes_one_map))
    }

    /// How many images are explained together.
    #[getter]
    fn together(&self, py: Python) -> PyResult<usize> {
        Ok(self.ready(py)?.here().map_or(1, hirescam::Explainer::together))
    }

    /// Explains images: of each a list of its samples, of each of these a list of its maps, or the error in the place of any. `inputs` is
    /// what each is fed beside it, `progress` is called with the number of the sample, the passes done and all of them.
    fn explain<'py>(
        &self,
        py: Python<'py>,
        images: Vec<Bound<'py, Image>>,
        inputs: Vec<Option<Bound<'py, PyDict>>>,
        row: usize,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let ready = self.ready(py)?;
        let mut beside = Vec::new();
        for inputs in &inputs {
            let each = |(name, value): (Bound<PyAny>, Bound<PyAny>)| Ok((name.extract()?, array::from_numpy(&value)?));
            beside.push(inputs.iter().flat_map(|inputs| inputs.iter()).map(each).collect::<PyResult<Vec<_>>>()?);
        }
        let read: Vec<&Image> = images.iter().map(Bound::get).collect();
        let made = work::watched(py, progress, |progress, stop| {
            let Some(explainer) = ready.here() else { return Err(Error::Cancelled) };
            let tell = |p: Progress| progress(p.sample, p.done, p.of);
            Ok(explained(explainer, &read, &beside, row, &mut Watch::new(tell).stopped_by(stop)))
        })?;
        let failed = |error: &Error| error::raised(py, error).into_value(py).into_bound(py).into_any();
        let all = PyList::empty(py);
        for (of_image, image) in made.into_iter().zip(&read) {
            let (samples, hash) = match of_image {
                Ok(samples) => samples,
                Err(error) => {
                    all.append(failed(&error))?;
                    continue;
                }
            };
            let of_image = PyList::empty(py);
            for (index, sample) in samples.into_iter().enumerate() {
                match sample {
                    Ok(explained) => {
                        let of = |map| Explanation::new(map, image.id(), hash.clone(), index);
                        let maps = explained.into_maps().into_iter().map(|map| Bound::new(py, of(map)));
                        of_image.append(PyList::new(py, maps.collect::<PyResult<Vec<_>>>()?)?)?;
                    }
                    Err(error) => of_image.append(failed(&error))?,
                }
            }
            all.append(of_image)?;
        }
        Ok(all)
    }
}

/// Reads images and explains them all together. Of inputs that have a row for each sample, the first has the number `row`.
fn explained(
    explainer: &hirescam::Explainer,
    images: &[&Image],
    beside: &[Vec<(String, hirescam::engine::Array)>],
    row: usize,
    watch: &mut Watch,
) -> Vec<OfImage> {
    let read: Vec<_> = images.par_iter().map(|image| image.read()).collect();
    let mut all = Vec::new();
    let counts: Vec<Result<(usize, Option<String>), Error>> = read
        .into_iter()
        .zip(images)
        .zip(beside)
        .map(|((read, image), beside)| {
            let (input, hash) = read?;
            let samples = explainer.samples(image.id(), input)?;
            let count = samples.len();
            // An input with as many rows as there are samples has one for each.
            let of = |array: &hirescam::engine::Array, i| match array.shape().first() {
                Some(&rows) if rows == count && count > 1 => array.rows(&[i]).unwrap_or_else(|| array.clone()),
                _ => array.clone(),
            };
            let rows = row + all.len()..;
            all.extend(samples.into_iter().zip(rows).enumerate().map(|(i, (sample, row))| {
                beside
                    .iter()
                    .fold(sample.with_row(row), |sample: Sample, (name, array)| sample.with_input(name, of(array, i)))
            }));
            Ok((count, hash))
        })
        .collect();
    let mut made = explainer.explain(&all, watch).into_iter();
    counts.into_iter().map(|count| count.map(|(count, hash)| (made.by_ref().take(count).collect(), hash))).collect()
}
