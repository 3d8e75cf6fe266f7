//! Metrics as functions of arrays.

use crate::{array, error, work};
use hirescam_evaluate::Error;
use hirescam_evaluate::metrics::{self, Attention, Neighbours, Perfect, Row};
use ndarray::{ArrayD, ArrayViewD};
use numpy::{IntoPyArray, PyArrayDyn, PyReadonlyArrayDyn};
use pyo3::prelude::*;
use std::collections::BTreeMap;

/// The metrics of arrays, each by its name. The library's own functions, with arrays that are read before.
#[pyclass(frozen, module = "hirescam._hirescam")]
pub struct Metrics;

#[pymethods]
impl Metrics {
    /// What there is to say of each metric.
    #[staticmethod]
    fn rows() -> Vec<BTreeMap<&'static str, &'static str>> {
        let row = |row: &Row| {
            let Row { name, what, formula, range, better, source, needs, blind } = *row;
            let better = better.word();
            BTreeMap::from([
                ("name", name),
                ("what", what),
                ("formula", formula),
                ("range", range),
                ("better", better),
                ("source", source),
                ("needs", needs),
                ("blind", blind),
            ])
        };
        metrics::METRICS.iter().map(row).collect()
    }

    #[staticmethod]
    fn thresholds() -> Vec<f64> {
        metrics::THRESHOLDS.to_vec()
    }

    #[staticmethod]
    fn completeness_residual(map: &Bound<PyAny>, score: f64, bias: f64) -> PyResult<f64> {
        alone(map, |map| metrics::completeness_residual(map, score, bias))
    }

    #[staticmethod]
    fn completeness_error(map: &Bound<PyAny>, score: f64, bias: f64) -> PyResult<f64> {
        alone(map, |map| metrics::completeness_error(map, score, bias))
    }

    #[staticmethod]
    fn unused_share(map: &Bound<PyAny>, contributions: &Bound<PyAny>) -> PyResult<f64> {
        let contributions = numbers(contributions)?;
        alone(map, |map| metrics::unused_share(map, contributions.view()))
    }

    #[staticmethod]
    fn idle_share(map: &Bound<PyAny>, contributions: &Bound<PyAny>, tolerance: f64) -> PyResult<f64> {
        let contributions = numbers(contributions)?;
        alone(map, |map| metrics::idle_share(map, contributions.view(), tolerance))
    }

    #[staticmethod]
    fn dead_zone_ratio(map: &Bound<PyAny>, dead: &Bound<PyAny>) -> PyResult<f64> {
        let dead = mask(dead)?;
        alone(map, |map| metrics::dead_zone_ratio(map, dead.view()))
    }

    #[staticmethod]
    fn point(map: &Bound<PyAny>) -> PyResult<Vec<usize>> {
        alone(map, metrics::point)
    }

    #[staticmethod]
    fn pointing_game(map: &Bound<PyAny>, object: &Bound<PyAny>, tolerance: f64) -> PyResult<bool> {
        let object = mask(object)?;
        alone(map, |map| metrics::pointing_game(map, object.view(), tolerance))
    }

    #[staticmethod]
    fn is_difficult(area: f64, image_area: f64, other_classes: usize) -> bool {
        metrics::is_difficult(area, image_area, other_classes)
    }

    #[staticmethod]
    fn energy_pointing_game(map: &Bound<PyAny>, object: &Bound<PyAny>, void: Option<&Bound<PyAny>>) -> PyResult<f64> {
        located(map, object, void, metrics::energy_pointing_game)
    }

    #[staticmethod]
    fn relevance_mass(map: &Bound<PyAny>, object: &Bound<PyAny>, void: Option<&Bound<PyAny>>) -> PyResult<f64> {
        located(map, object, void, metrics::relevance_mass)
    }

    #[staticmethod]
    fn relevance_rank(map: &Bound<PyAny>, object: &Bound<PyAny>, void: Option<&Bound<PyAny>>) -> PyResult<f64> {
        located(map, object, void, metrics::relevance_rank)
    }

    #[staticmethod]
    fn iou(map: &Bound<PyAny>, object: &Bound<PyAny>, void: Option<&Bound<PyAny>>, threshold: f64) -> PyResult<f64> {
        located(map, object, void, |map, object, void| metrics::iou(map, object, void, threshold))
    }

    #[staticmethod]
    fn ious(map: &Bound<PyAny>, object: &Bound<PyAny>, void: Option<&Bound<PyAny>>) -> PyResult<Vec<f64>> {
        located(map, object, void, metrics::ious)
    }

    #[staticmethod]
    fn best_threshold(py: Python, rows: Vec<Vec<f64>>) -> PyResult<usize> {
        value(py, || metrics::best_threshold(&rows))
    }

    #[staticmethod]
    fn organ_iou(
        map: &Bound<PyAny>,
        allowed: &Bound<PyAny>,
        void: Option<&Bound<PyAny>>,
        threshold: f64,
        perfect: u8,
    ) -> PyResult<f64> {
        let perfect = match perfect {
            1 => Perfect::One,
            0 => Perfect::Zero,
            other => return Err(error::argument(map.py(), &format!("perfect={other}: a perfect map gets 1 or 0"))),
        };
        located(map, allowed, void, |map, allowed, void| metrics::organ_iou(map, allowed, void, threshold, perfect))
    }

    #[staticmethod]
    fn area_over_threshold(map: &Bound<PyAny>, threshold: f64) -> PyResult<f64> {
        alone(map, |map| metrics::area_over_threshold(map, threshold))
    }

    #[staticmethod]
    fn total_variation(map: &Bound<PyAny>) -> PyResult<f64> {
        alone(map, metrics::total_variation)
    }

    #[staticmethod]
    fn sparseness(map: &Bound<PyAny>) -> PyResult<f64> {
        alone(map, metrics::sparseness)
    }

    #[staticmethod]
    fn entropy(map: &Bound<PyAny>) -> PyResult<f64> {
        alone(map, metrics::entropy)
    }

    #[staticmethod]
    fn complexity(map: &Bound<PyAny>) -> PyResult<f64> {
        alone(map, metrics::complexity)
    }

    #[staticmethod]
    fn coherency(map: &Bound<PyAny>, of_kept: &Bound<PyAny>) -> PyResult<f64> {
        let of_kept = numbers(of_kept)?;
        alone(map, |map| metrics::coherency(map, of_kept.view()))
    }

    #[staticmethod]
    fn max_sensitivity(map: &Bound<PyAny>, of_neighbours: Vec<Bound<PyAny>>, relative: bool) -> PyResult<f64> {
        let others = all(&of_neighbours)?;
        alone(map, |map| metrics::max_sensitivity(map, &views(&others), relative))
    }

    #[staticmethod]
    fn neighbours<'py>(
        image: PyReadonlyArrayDyn<'py, f32>,
        radius: f64,
        samples: usize,
        seed: u64,
    ) -> Vec<Bound<'py, PyArrayDyn<f32>>> {
        let images = Neighbours { radius, samples, seed }.images(image.as_array());
        images.into_iter().map(|moved| moved.into_pyarray(image.py())).collect()
    }

    #[staticmethod]
    fn mprt(map: &Bound<PyAny>, randomised: Vec<Bound<PyAny>>, attention: Option<&str>) -> PyResult<Vec<Option<f64>>> {
        let which = match attention {
            None => None,
            Some("positive") => Some(Attention::Positive),
            Some("absolute") => Some(Attention::Absolute),
            Some(other) => {
                let text = format!("attention={other:?}: it takes \"positive\", \"absolute\" or None");
                return Err(error::argument(map.py(), &text));
            }
        };
        let others = all(&randomised)?;
        alone(map, |map| metrics::mprt(map, &views(&others), which))
    }
}

/// The pointing game over a data set: hits and misses by class.
///
/// >>> game = hirescam.metrics.PointingGame(classes=3)
/// >>> for class_, hit in [(0, True), (0, False), (2, True)]:
/// ...     game.count(class_, hit)
/// >>> game.accuracies, game.accuracy
/// ([0.5, None, 1.0], 0.75)
#[pyclass(module = "hirescam.metrics")]
pub struct PointingGame(metrics::PointingGame);

#[pymethods]
impl PointingGame {
    /// A game over so many classes that nobody has played.
    #[new]
    fn new(classes: usize) -> Self {
        PointingGame(metrics::PointingGame::new(classes))
    }

    /// Counts what came of an image for a class, as `pointing_game` says it.
    fn count(&mut self, py: Python, class_: usize, hit: &Bound<PyAny>) -> PyResult<()> {
        self.0.count(class_, hit.is_truthy()?).map_err(|error| error::of_metric(py, &error))
    }

    /// hits / (hits + misses) of each class; None of a class that never came.
    #[getter]
    fn accuracies(&self) -> Vec<Option<f64>> {
        self.0.accuracies()
    }

    /// The mean of the classes' accuracies; None where no class came.
    #[getter]
    fn accuracy(&self) -> Option<f64> {
        self.0.accuracy()
    }
}

fn numbers(array: &Bound<PyAny>) -> PyResult<ArrayD<f64>> {
    Ok(array::from_numpy(array)?.to_f64())
}

/// Which cells are inside: what holds anything but true and false, 1 and 0, is no mask.
fn mask(array: &Bound<PyAny>) -> PyResult<ArrayD<bool>> {
    let values = numbers(array)?;
    match values.iter().find(|v| **v != 0.0 && **v != 1.0) {
        Some(v) => {
            let text = format!(
                "a mask holds true and false, or 1 and 0, and this one holds {v}: compare it, as in labels == 7"
            );
            Err(error::argument(array.py(), &text))
        }
        None => Ok(values.mapv(|v| v == 1.0)),
    }
}

fn all(arrays: &[Bound<PyAny>]) -> PyResult<Vec<ArrayD<f64>>> {
    arrays.iter().map(numbers).collect()
}

fn views(arrays: &[ArrayD<f64>]) -> Vec<ArrayViewD<'_, f64>> {
    arrays.iter().map(|array| array.view()).collect()
}

/// The value of a metric of a map.
fn alone<T: Send>(
    map: &Bound<PyAny>,
    metric: impl FnOnce(ArrayViewD<'_, f64>) -> Result<T, Error> + Send,
) -> PyResult<T> {
    let values = numbers(map)?;
    value(map.py(), || metric(values.view()))
}

/// The value of a metric of a map and a truth, in which some cells may not count.
fn located<T: Send>(
    map: &Bound<PyAny>,
    object: &Bound<PyAny>,
    void: Option<&Bound<PyAny>>,
    metric: impl FnOnce(ArrayViewD<'_, f64>, ArrayViewD<'_, bool>, Option<ArrayViewD<'_, bool>>) -> Result<T, Error> + Send,
) -> PyResult<T> {
    let (object, void) = (mask(object)?, void.map(mask).transpose()?);
    alone(map, |map| metric(map, object.view(), void.as_ref().map(|void| void.view())))
}

fn value<T: Send>(py: Python, work: impl FnOnce() -> Result<T, Error> + Send) -> PyResult<T> {
    work::alone(py, work)?.map_err(|error| error::of_metric(py, &error))
}
