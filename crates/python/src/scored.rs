//! Metrics that score changed images, with a function of Python's that scores them.

use crate::{array, error, work};
use hirescam_evaluate::Error;
use hirescam_evaluate::changed::{Fill, Image, Metric, Places, Request, measure};
use hirescam_evaluate::metrics::{
    self, Adcc, AopcLerf, AopcMorf, Arcc, AverageDrop, AverageGain, ConfidenceIncrease, Curve, Deletion, Infidelity,
    Insertion, MuFidelity, Removed, Road, Taken,
};
use ndarray::{Array2, ArrayD, ArrayViewD};
use numpy::{PyArrayDyn, PyReadonlyArray2, PyReadonlyArrayDyn, ToPyArray};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The value of a metric of a map of an image, by its name. `score` is called with batches of changed images, and gives a row for each.
#[pyfunction]
#[allow(clippy::too_many_arguments)]
pub fn scored(
    py: Python,
    metric: &str,
    map: &Bound<PyAny>,
    image: PyReadonlyArrayDyn<f32>,
    channels: usize,
    score: Py<PyAny>,
    column: usize,
    batch: usize,
    options: &Bound<PyDict>,
) -> PyResult<f64> {
    let (metric, map) = (of(metric, options)?, array::from_numpy(map)?.to_f64());
    let image = image.as_array().to_owned();
    let mut scores = |images: ArrayViewD<'_, f32>| {
        let rows = Python::attach(|py| -> PyResult<Array2<f64>> {
            let images: Bound<PyArrayDyn<f32>> = images.to_pyarray(py);
            let rows: PyReadonlyArray2<f64> = score.bind(py).call1((images,))?.extract()?;
            Ok(rows.as_array().to_owned())
        });
        Ok(rows?)
    };
    let value = || {
        let request = Request { metric: metric.as_ref(), map: map.view(), column };
        let measured = measure(&Image::new(image.view(), channels)?, &[request], &mut scores, batch)?;
        measured.values.into_iter().sum::<Result<f64, Error>>()
    };
    work::alone(py, value)?.map_err(|failed| match failed {
        // What the function raised goes on as it is.
        Error::Scoring(raised) => match raised.downcast::<PyErr>() {
            Ok(raised) => *raised,
            Err(raised) => error::of_metric(py, &Error::Scoring(raised)),
        },
        failed => error::of_metric(py, &failed),
    })
}

/// An image `[channels, height, width]` whose missing places are imputed, without noise.
#[pyfunction]
pub fn imputed<'py>(
    py: Python<'py>,
    image: PyReadonlyArrayDyn<f32>,
    missing: PyReadonlyArray2<bool>,
) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
    let (image, missing) = (image.as_array().to_owned(), missing.as_array().to_owned());
    let made = work::alone(py, || {
        let gone = missing.iter().enumerate().filter(|(_, missing)| **missing).map(|(place, _)| place);
        Image::new(image.view(), 0)?.imputed(Places::new(missing.len(), gone))
    })?;
    Ok(PyArrayDyn::from_owned_array(py, made.map_err(|failed| error::of_metric(py, &failed))?))
}

/// A metric with its options, which are all there.
fn of(name: &str, options: &Bound<PyDict>) -> PyResult<Box<dyn Metric + Send + Sync>> {
    let curve = || {
        Ok::<_, PyErr>(Curve {
            steps: option(options, "steps")?,
            share: option(options, "share")?,
            patch: option(options, "patch")?,
            fill: fill(options)?,
            seed: option(options, "seed")?,
        })
    };
    let road = |removed| {
        Ok::<_, PyErr>(Road {
            shares: option(options, "shares")?,
            noise: option(options, "noise")?,
            seed: option(options, "seed")?,
            removed,
        })
    };
    let of_kept = || -> PyResult<ArrayD<f64>> { Ok(array::from_numpy(&item(options, "of_kept")?)?.to_f64()) };
    Ok(match name {
        "deletion" => Box::new(Deletion(curve()?)),
        "insertion" => Box::new(Insertion(curve()?)),
        "aopc-morf" => Box::new(AopcMorf(curve()?)),
        "aopc-lerf" => Box::new(AopcLerf(curve()?)),
        "average-drop" => Box::new(AverageDrop),
        "confidence-increase" => Box::new(ConfidenceIncrease),
        "average-gain" => Box::new(AverageGain),
        "road" => Box::new(road(match option::<String>(options, "removed")?.as_str() {
            "strongest" => Removed::Strongest,
            "weakest" => Removed::Weakest,
            "both" => Removed::Both,
            other => {
                let text = format!("removed={other:?}: it takes \"strongest\", \"weakest\" or \"both\"");
                return Err(error::argument(options.py(), &text));
            }
        })?),
        "infidelity" => Box::new(Infidelity {
            taken: match option::<Option<usize>>(options, "patch")? {
                Some(size) => Taken::Patch { size, fill: fill(options)? },
                None => Taken::Noise { sigma: option(options, "sigma")? },
            },
            samples: option(options, "samples")?,
            seed: option(options, "seed")?,
            scaled: option(options, "scaled")?,
        }),
        "mufidelity" => Box::new(MuFidelity {
            samples: option(options, "samples")?,
            share: option(options, "share")?,
            grid: option(options, "grid")?,
            fill: fill(options)?,
            seed: option(options, "seed")?,
        }),
        "adcc" => Box::new(Adcc { of_kept: of_kept()? }),
        "arcc" => Box::new(Arcc { of_kept: of_kept()?, road: road(Removed::Both)? }),
        name => {
            let text = match metrics::metric(name) {
                Ok(_) => format!("{name} scores no images"),
                Err(missing) => missing.to_string(),
            };
            return Err(error::argument(options.py(), &text));
        }
    })
}

fn item<'py>(options: &Bound<'py, PyDict>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    options.get_item(name)?.ok_or_else(|| error::argument(options.py(), &format!("{name}= is missing")))
}

fn option<'py, T>(options: &Bound<'py, PyDict>, name: &str) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py, Error = PyErr>,
{
    let value = item(options, name)?;
    value
        .extract()
        .map_err(|failed: PyErr| error::argument(value.py(), &format!("{name}={value}: {}", failed.value(value.py()))))
}

/// With what places are filled.
fn fill(options: &Bound<PyDict>) -> PyResult<Fill> {
    let value = item(options, "fill")?;
    if let Ok(constant) = value.extract() {
        return Ok(Fill::Constant(constant));
    }
    let word: Option<String> = value.extract().ok();
    let blur: Option<(String, usize, f64)> = value.extract().ok();
    let imputed: Option<(String, f64, u64)> = value.extract().ok();
    match (word.as_deref(), blur, imputed) {
        (Some("mean"), ..) => Ok(Fill::Mean),
        (_, Some((word, size, sigma)), _) if word == "blur" => Ok(Fill::Blur { size, sigma }),
        (.., Some((word, noise, seed))) if word == "imputed" => Ok(Fill::Imputed { noise, seed }),
        _ => {
            let text = format!(
                "fill={value}: it takes a number, \"mean\", (\"blur\", size, sigma) or (\"imputed\", noise, seed)"
            );
            Err(error::argument(value.py(), &text))
        }
    }
}
