//! Metrics that score changed images, with a function of Python's that scores them.

use crate::{array, data, error, work};
use hirescam_evaluate::Error;
use hirescam_evaluate::changed::{Fill, Image, Metric, Places, Request, measure};
use hirescam_evaluate::metrics::{
    Adcc, AopcLerf, AopcMorf, Arcc, AverageDrop, AverageGain, ConfidenceIncrease, Curve, Deletion, Infidelity,
    Insertion, MuFidelity, Neighbours, Removed, Road, Taken,
};
use ndarray::{Array2, ArrayD, ArrayViewD};
use numpy::{PyArrayDyn, PyReadonlyArray2, PyReadonlyArrayDyn, ToPyArray};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use serde_json::json;

/// A metric's name, the map, which of the scores it reads, and the metric's options.
type Asked<'py> = (String, Bound<'py, PyAny>, usize, Bound<'py, PyDict>);

/// The values of metrics of maps of an image, or the exception in the place of one, and how many images were scored. `score` is called with
/// batches of changed images, and gives a row for each.
#[pyfunction]
pub fn scored<'py>(
    py: Python<'py>,
    asked: Vec<Asked<'py>>,
    image: PyReadonlyArrayDyn<f32>,
    channels: usize,
    score: Py<PyAny>,
    batch: usize,
) -> PyResult<(Bound<'py, PyList>, usize)> {
    let read = |(name, map, column, options): &Asked<'_>| {
        PyResult::Ok((of(name, options)?, array::from_numpy(map)?.to_f64(), *column))
    };
    let asked: Vec<_> = asked.iter().map(read).collect::<PyResult<_>>()?;
    let image = image.as_array().to_owned();
    let mut scores = |images: ArrayViewD<'_, f32>| {
        let rows = Python::attach(|py| -> PyResult<Array2<f64>> {
            let images: Bound<PyArrayDyn<f32>> = images.to_pyarray(py);
            let rows: PyReadonlyArray2<f64> = score.bind(py).call1((images,))?.extract()?;
            Ok(rows.as_array().to_owned())
        });
        Ok(rows?)
    };
    let measured = || {
        let requests: Vec<Request> = asked
            .iter()
            .map(|(metric, map, column)| Request { metric: metric.as_ref(), map: map.view(), column: *column })
            .collect();
        measure(&Image::new(image.view(), channels)?, &requests, &mut scores, batch)
    };
    let measured = work::alone(py, measured)?.map_err(|failed| match failed {
        // What the function raised goes on as it is.
        Error::Scoring(raised) => match raised.downcast::<PyErr>() {
            Ok(raised) => *raised,
            Err(raised) => error::of_metric(py, &Error::Scoring(raised)),
        },
        failed => error::of_metric(py, &failed),
    })?;
    let values = PyList::empty(py);
    for value in measured.values {
        match value {
            Ok(value) => values.append(value)?,
            Err(failed) => values.append(error::of_metric(py, &failed).into_value(py))?,
        }
    }
    Ok((values, measured.images))
}

/// The options of the metrics where nothing is said, by their names.
#[pyfunction]
pub fn metric_defaults(py: Python) -> PyResult<Bound<PyAny>> {
    let fill = |fill: Fill| match fill {
        Fill::Constant(value) => json!(value),
        Fill::Mean => json!("mean"),
        Fill::Blur { size, sigma } => json!(["blur", size, sigma]),
        Fill::Imputed { noise, seed } => json!(["imputed", noise, seed]),
    };
    let curve =
        |c: Curve| json!({"steps": c.steps, "share": c.share, "patch": c.patch, "fill": fill(c.fill), "seed": c.seed});
    let road = |r: Road| json!({"shares": r.shares, "noise": r.noise, "seed": r.seed});
    let (i, m, n) = (Infidelity::default(), MuFidelity::default(), Neighbours::default());
    let taken = match i.taken {
        Taken::Noise { sigma } => json!({"sigma": sigma, "patch": null}),
        Taken::Patch { size, fill: filled } => json!({"patch": size, "fill": fill(filled)}),
    };
    let all = json!({
        "deletion": curve(Curve::deletion()),
        "insertion": curve(Curve::insertion()),
        "aopc_morf": curve(Curve::deletion()),
        "aopc_lerf": curve(Curve::deletion()),
        "road": road(Road::default()),
        "arcc": road(Arcc::new(ArrayD::zeros(Vec::new())).road),
        "infidelity": [taken, {"samples": i.samples, "seed": i.seed, "scaled": i.scaled}],
        "mufidelity": {"samples": m.samples, "share": m.share, "grid": m.grid, "fill": fill(m.fill), "seed": m.seed},
        "neighbours": {"radius": n.radius, "samples": n.samples, "seed": n.seed},
    });
    data::to_python(py, &all)
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
        name => return Err(error::argument(options.py(), &format!("{name} scores no images"))),
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
