//! A network made ready for any number of images.

use crate::explanation::Explanation;
use crate::image::Image;
use crate::spec::Spec;
use crate::work::{self, PerProcess};
use crate::{array, error};
use hirescam::engine::Array;
use hirescam::{Error, Progress, Sample, Watch};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use rayon::prelude::*;
use std::sync::Arc;

/// What inputs beside the image are fed, by name, in the place of what the options say.
#[pyclass(frozen, module = "hirescam._hirescam")]
pub struct Inputs(Vec<(String, Arc<Array>)>);

#[pymethods]
impl Inputs {
    #[new]
    fn new(given: &Bound<PyDict>) -> PyResult<Self> {
        let each =
            |(name, value): (Bound<PyAny>, Bound<PyAny>)| Ok((name.extract()?, Arc::new(array::from_numpy(&value)?)));
        given.iter().map(each).collect::<PyResult<_>>().map(Inputs)
    }
}

/// A network made ready to explain images.
#[pyclass(frozen, module = "hirescam._hirescam")]
pub struct Explainer {
    spec: hirescam::Spec,
    ready: PerProcess<hirescam::Explainer>,
}

/// What came of an image: of each sample in it the maps or an error, and its file's SHA-256.
type OfImage = Result<(Vec<Result<hirescam::Explained, Error>>, Option<String>), Error>;

impl Explainer {
    /// Makes a network ready.
    pub fn new(py: Python, network: hirescam::Network, spec: hirescam::Spec) -> PyResult<Self> {
        let of = spec.clone();
        let ready = PerProcess::new(py, move || network.explainer(&of))?;
        Ok(Explainer { spec, ready })
    }
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
        Ok(self.ready.get(py)?.takes_all_rows())
    }

    /// Whether each sample gets one map.
    #[getter]
    fn makes_one_map(&self, py: Python) -> PyResult<bool> {
        Ok(self.ready.get(py)?.makes_one_map())
    }

    /// The extents of a map, where all have the same.
    #[getter]
    fn map_shape(&self, py: Python) -> PyResult<Option<Vec<usize>>> {
        Ok(self.ready.get(py)?.map_shape())
    }

    /// How many images are explained together.
    #[getter]
    fn together(&self, py: Python) -> PyResult<usize> {
        Ok(self.ready.get(py)?.together())
    }

    /// Explains images: of each a list of its samples, of each of these a list of its maps, or the error in the place of any; None
    /// for an image that is None. `seen` is how many samples there were before, and it gives how many there are now. `progress` is
    /// called with the number of the sample, the passes done and all of them.
    fn explain<'py>(
        &self,
        py: Python<'py>,
        images: Vec<Option<Bound<'py, Image>>>,
        inputs: &Inputs,
        seen: usize,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<(Bound<'py, PyList>, usize)> {
        let explainer = self.ready.get(py)?;
        let read: Vec<Option<&Image>> = images.iter().map(|image| image.as_ref().map(Bound::get)).collect();
        let (made, seen) = work::watched(py, progress, |progress, stop| {
            let tell = |p: Progress| progress(p.sample, p.done, p.of);
            Ok(explained(&explainer, &read, &inputs.0, seen, &mut Watch::new(tell).stopped_by(stop)))
        })?;
        let failed = |error: &Error| error::raised(py, error).into_value(py).into_bound(py).into_any();
        let all = PyList::empty(py);
        for (of_image, image) in made.into_iter().zip(&read) {
            let (Some(of_image), Some(image)) = (of_image, image) else {
                all.append(py.None())?;
                continue;
            };
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
        Ok((all, seen))
    }

    /// Whether inputs beside the image have a row for each of so many samples, or one for all.
    fn served(&self, py: Python, inputs: &Inputs, seen: usize) -> PyResult<()> {
        let explainer = self.ready.get(py)?;
        explainer.served(&inputs.0, seen).map_err(|e| error::raised(py, &e))
    }
}

/// Reads images and explains them all together: what came of each, and how many samples there were till then, of which `seen` came
/// before. An image that fails, or is none, counts as one sample.
fn explained(
    explainer: &hirescam::Explainer,
    images: &[Option<&Image>],
    inputs: &[(String, Arc<Array>)],
    mut seen: usize,
    watch: &mut Watch,
) -> (Vec<Option<OfImage>>, usize) {
    let read: Vec<_> = images.par_iter().map(|image| image.map(Image::read)).collect();
    let (mut all, mut found): (Vec<Sample>, _) = (Vec::new(), Vec::new());
    for (read, image) in read.into_iter().zip(images) {
        let samples = read.zip(*image).map(|(read, image)| {
            let (input, hash) = read?;
            Ok((explainer.samples(image.id(), input)?, hash))
        });
        found.push(samples.map(|samples: Result<_, Error>| {
            let (samples, hash) = samples?;
            let count = samples.len();
            all.extend(samples.into_iter().zip(seen..).map(|(sample, row)| {
                inputs.iter().fold(sample.with_row(row), |s, (name, array)| s.with_input(name, array.clone()))
            }));
            Ok((count, hash))
        }));
        seen += found.last().and_then(|found| Some(found.as_ref()?.as_ref().ok()?.0)).unwrap_or(1);
    }
    let mut made = explainer.explain(&all, watch).into_iter();
    let mut of_image = |(count, hash)| (made.by_ref().take(count).collect(), hash);
    (found.into_iter().map(|found| found.map(|found| found.map(&mut of_image))).collect(), seen)
}
