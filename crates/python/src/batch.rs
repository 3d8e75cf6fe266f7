//! Jobs of many images, and parts that engines bring: functions of `hirescam_batch`.

use crate::image::Image;
use crate::network::Network;
use crate::spec::Spec;
use crate::{data, error, work};
use hirescam_batch::parts::{self, Brought, Counted, Done, Parts};
use hirescam_batch::rows::RowOptions;
use hirescam_batch::store::Store;
use hirescam_batch::{self as batch, Error, Failure, Job, MaxErrors, Named, Planned, Receipts, RunOptions};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What `work` gives as data of Python, while other threads go on; it is stopped by signals.
fn made<'py, T: Serialize + Send>(
    py: Python<'py>,
    progress: Option<Py<PyAny>>,
    work: impl FnOnce(&mut work::Tell, &Arc<AtomicBool>) -> Result<T, Error> + Send,
) -> PyResult<Bound<'py, PyAny>> {
    let made = work::watched(py, progress, |tell, stop| Ok(work(tell, stop)))?;
    data::to_python(py, &made.map_err(|error| error::of_batch(py, &error))?)
}

/// How a run works, as Python says it.
#[derive(Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    model: Option<String>,
    threads: Option<usize>,
    max_errors: Option<MaxErrors>,
}

impl Options {
    fn read(options: &str) -> Result<RunOptions, Error> {
        let Options { model, threads, max_errors } = read(options)?;
        Ok(RunOptions { model, threads, max_errors, ..RunOptions::default() })
    }
}

fn read<T: DeserializeOwned>(json: &str) -> Result<T, Error> {
    serde_json::from_str(json).map_err(|error| Error::Argument(error.to_string()))
}

/// Where a job lies that is named by its file or its place, as it can be reached from any folder; and how it is run, with what its file says.
#[pyfunction]
pub fn batch_named(py: Python, name: &str, options: &str) -> PyResult<(String, String)> {
    let named = || -> Result<_, Error> {
        let named = Named::open(name)?;
        let RunOptions { model, threads, max_errors, .. } = named.options(Options::read(options)?);
        Ok((named.place()?, serde_json::json!(Options { model, threads, max_errors }).to_string()))
    };
    named().map_err(|error| error::of_batch(py, &error))
}

/// Plans a job: of a file, or of what is said as JSON.
#[pyfunction]
pub fn batch_plan<'py>(py: Python<'py>, file: Option<PathBuf>, said: Option<&str>) -> PyResult<Bound<'py, PyAny>> {
    made(py, None, |_, stop| {
        let job = match (file, said) {
            (Some(file), _) => Job::open(file)?,
            (None, said) => read::<Job>(said.unwrap_or_default())?.seen_from(Path::new(""))?,
        };
        batch::plan(&job, stop)
    })
}

/// Runs all shards of a job that are not done.
#[pyfunction]
pub fn batch_run<'py>(
    py: Python<'py>,
    out: &str,
    options: &str,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    made(py, progress, |tell, stop| {
        batch::run(out, &Options::read(options)?, stop, &mut |p| tell(0, images(p.images), images(p.of)))
    })
}

/// Runs those again in which images failed.
#[pyfunction]
pub fn batch_retry<'py>(
    py: Python<'py>,
    out: &str,
    options: &str,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    made(py, progress, |tell, stop| {
        batch::retry(out, &Options::read(options)?, stop, &mut |p| tell(0, images(p.images), images(p.of)))
    })
}

fn images(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// How far a job is.
#[pyfunction]
pub fn batch_status<'py>(py: Python<'py>, out: &str) -> PyResult<Bound<'py, PyAny>> {
    made(py, None, |_, _| batch::status(out))
}

/// The shards of a job that are not done.
#[pyfunction]
pub fn batch_missing<'py>(py: Python<'py>, out: &str) -> PyResult<Bound<'py, PyAny>> {
    made(py, None, |_, _| {
        let out = Store::open(out)?;
        let planned = Planned::open(&out)?;
        let receipts = Receipts::list(&out, &planned)?;
        Ok((0..planned.shards).filter(|&shard| receipts.generation(shard).is_none()).collect::<Vec<_>>())
    })
}

/// The files of rows that count.
#[pyfunction]
pub fn batch_files<'py>(py: Python<'py>, out: &str) -> PyResult<Bound<'py, PyAny>> {
    made(py, None, |_, _| batch::files(out))
}

/// The rows of a job as one file.
#[pyfunction]
pub fn batch_merge<'py>(py: Python<'py>, out: &str, to: &str) -> PyResult<Bound<'py, PyAny>> {
    made(py, None, |_, _| batch::merge(out, to))
}

/// What is not as it should be.
#[pyfunction]
pub fn batch_verify<'py>(py: Python<'py>, out: &str) -> PyResult<Bound<'py, PyAny>> {
    made(py, None, |_, stop| batch::verify(out, stop, &|| {}))
}

/// A process that runs shards of a job, with the network ready.
#[pyclass(frozen, module = "hirescam._hirescam")]
pub struct Worker(work::OfProcess<batch::Worker>);

#[pymethods]
impl Worker {
    #[new]
    fn new(py: Python, out: &str, options: &str) -> PyResult<Self> {
        let open = || batch::Worker::open(&Store::open(out)?, &Options::read(options)?);
        let worker = work::alone(py, open)?.map_err(|error| error::of_batch(py, &error))?;
        Ok(Worker(work::OfProcess::new(worker)))
    }

    /// Makes the rows of a shard that is not done; the receipt that counts.
    fn run<'py>(&self, py: Python<'py>, shard: usize, progress: Option<Py<PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        let of = images(self.0.planned().images_of(shard));
        made(py, progress, |tell, stop| {
            if let Some(receipt) = self.0.receipt(shard)? {
                return Ok(receipt);
            }
            let (receipt, _) = self.0.run_shard(shard, stop, &mut |p| tell(0, images(p.images), of))?;
            Ok(receipt)
        })
    }
}

/// How parts are made, as Python says it.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PartsOptions {
    rows: RowOptions,
    array: Option<String>,
    max_errors: Option<MaxErrors>,
    before: Counted,
}

/// Explains images that an engine brings, and publishes what comes of them in parts.
#[pyclass(frozen, module = "hirescam._hirescam")]
pub struct Publisher(work::OfProcess<Parts>);

#[pymethods]
impl Publisher {
    #[new]
    fn new(py: Python, out: &str, network: &Network, spec: &Spec, options: &str, done: &[u8]) -> PyResult<Self> {
        let done = Done::from_bytes(done);
        let open = || {
            let PartsOptions { rows, array, max_errors, before } = read(options)?;
            let parts = Parts::open(out, network.0.clone(), &spec.0, &rows, done, array.as_deref())?;
            Ok(match max_errors {
                Some(most) => parts.allowing(most, before),
                None => parts,
            })
        };
        let parts = work::alone(py, open)?.map_err(|error| error::of_batch(py, &error))?;
        Ok(Publisher(work::OfProcess::new(parts)))
    }

    /// Which of the images are not done, by their numbers.
    fn left(&self, py: Python, uris: Vec<String>) -> PyResult<Vec<usize>> {
        self.0.left(&uris).map_err(|error| error::of_batch(py, &error))
    }

    /// Explains images and publishes the part that they make: how much is in it. In the place of an image may stand why there is none.
    fn publish<'py>(&self, py: Python<'py>, uris: Vec<String>, images: Vec<Given<'py>>) -> PyResult<Bound<'py, PyAny>> {
        let images: Vec<Result<&Image, &(String, String)>> = images
            .iter()
            .map(|image| match image {
                Given::Image(image) => Ok(image.get()),
                Given::Failed(why) => Err(why),
            })
            .collect();
        let read = |number: usize| match images.get(number) {
            Some(Ok(image)) => match image.content() {
                Some(bytes) => Ok(Brought::File(bytes)),
                None => image
                    .read()
                    .map(|(input, hash)| Brought::Decoded(input, hash))
                    .map_err(|error| Failure::from(&error)),
            },
            Some(Err((kind, text))) => Err(Failure { kind: kind.clone(), text: text.clone() }),
            None => Err(Failure { kind: "argument".into(), text: "there is no such image".into() }),
        };
        made(py, None, |tell, stop| {
            let of = uris.len() + 1;
            self.0.publish(&uris, &read, stop, &mut |done| tell(0, done, of))
        })
    }
}

/// An image, or the kind of error and the error in words.
#[derive(FromPyObject)]
enum Given<'py> {
    Image(Bound<'py, Image>),
    Failed((String, String)),
}

/// Says which parts count; how much does.
#[pyfunction]
pub fn parts_commit<'py>(py: Python<'py>, out: &str) -> PyResult<Bound<'py, PyAny>> {
    made(py, None, |_, _| parts::commit(out))
}

/// The images of all parts that count, 16 bytes each.
#[pyfunction]
pub fn parts_done<'py>(py: Python<'py>, out: &str) -> PyResult<Bound<'py, PyBytes>> {
    let done = work::alone(py, || parts::done(out))?.map_err(|error| error::of_batch(py, &error))?;
    Ok(PyBytes::new(py, &done.to_bytes()))
}
