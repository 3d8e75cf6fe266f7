//! What becomes of the score when the image is changed.
//!
//! A [`Metric`] says which [`Change`]s of an image it wants to be scored, and what it makes of the scores. [`measure`] takes any
//! number of requests, of several metrics, maps and classes, and scores each changed image once, whoever asks for it: deletion
//! and AOPC of one map want the same images, and the image as it is everyone.
//!
//! ```
//! use hirescam_evaluate::changed::{Image, Request, measure};
//! use hirescam_evaluate::metrics::{AverageDrop, Curve, Deletion};
//! use ndarray::{Array2, ArrayViewD, Axis, array};
//!
//! // A network of one class, whose score is the sum of the left half.
//! let mut network = |images: ArrayViewD<'_, f32>| {
//!     Ok(Array2::from_shape_fn((images.len_of(Axis(0)), 1), |(n, _)| {
//!         f64::from(images[[n, 0, 0, 0]] + images[[n, 0, 0, 1]])
//!     }))
//! };
//! let image = array![[[0.25f32, 0.5, 0.75, 1.0]]].into_dyn();
//! let map = array![[0.5, 1.0, 0.0, 0.0]].into_dyn();
//! let deletion = Deletion(Curve { steps: 4, ..Curve::deletion() });
//! let requests = [
//!     Request { metric: &deletion, map: map.view(), column: 0 },
//!     Request { metric: &AverageDrop, map: map.view(), column: 0 },
//! ];
//! let measured = measure(&Image::new(image.view(), 0)?, &requests, &mut network, 32)?;
//! let values: Vec<f64> = measured.values.into_iter().collect::<Result<_, _>>()?;
//! // Scores of 0.75, 0.25, 0, 0 and 0 as places go; 0.75 and 0.125 + 0.5 of the image and what the map leaves of it.
//! assert_eq!(values, [(0.375 + 0.25) / 4.0, 0.125 / 0.75]);
//! // Five images of the deletion and one that the map multiplies; the image itself is shared.
//! assert_eq!(measured.images, 6);
//! # Ok::<(), hirescam_evaluate::Error>(())
//! ```

mod blur;
mod change;
mod image;
mod impute;

pub use change::{Change, Fill, Places};
pub use image::Image;

use crate::Error;
use crate::error::argument;
use ndarray::{Array2, ArrayD, ArrayViewD, Axis};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;

/// What scores images: a network, or whatever stands for one.
pub trait Scorer {
    /// A row of scores for each image of a batch `[N, …]`. The columns are what the caller's requests count them as: classes, or
    /// the probability and the logit of one.
    ///
    /// # Errors
    /// Whatever keeps the images from being scored.
    fn scores(&mut self, images: ArrayViewD<'_, f32>) -> Result<Array2<f64>, Box<dyn std::error::Error + Send + Sync>>;
}

impl<F> Scorer for F
where
    F: FnMut(ArrayViewD<'_, f32>) -> Result<Array2<f64>, Box<dyn std::error::Error + Send + Sync>>,
{
    fn scores(&mut self, images: ArrayViewD<'_, f32>) -> Result<Array2<f64>, Box<dyn std::error::Error + Send + Sync>> {
        self(images)
    }
}

/// A metric that asks for scores of changed images.
pub trait Metric {
    /// What it asks for, and what it makes of it.
    ///
    /// # Errors
    /// [`Error::Argument`] and [`Error::Undefined`] where map, image and options make no plan.
    fn plan(&self, image: &Image, map: ArrayViewD<'_, f64>) -> Result<Plan, Error>;
}

/// What a metric asks for, and what it makes of it.
pub struct Plan {
    /// The images to be scored.
    pub changes: Vec<Change>,
    /// The metric's value, from the scores of the changes in their order.
    pub value: Box<dyn Fn(&[f64]) -> Result<f64, Error> + Send + Sync>,
}

/// A metric of a map.
pub struct Request<'a> {
    /// The metric.
    pub metric: &'a dyn Metric,
    /// The map.
    pub map: ArrayViewD<'a, f64>,
    /// Which of the scorer's columns the metric reads.
    pub column: usize,
}

/// What came of requests.
#[derive(Debug)]
pub struct Measured {
    /// The values, in the order of the requests. A request that fails spoils no other.
    pub values: Vec<Result<f64, Error>>,
    /// How many images were scored.
    pub images: usize,
}

/// Measures everything that is requested of one image, with each changed image scored once, `batch` of them at a time.
///
/// # Errors
/// [`Error::Scoring`] where the scorer fails, [`Error::Argument`] for a batch of 0 or scores of the wrong shape. What keeps one
/// request from having a value is that request's result.
pub fn measure(
    image: &Image,
    requests: &[Request<'_>],
    scorer: &mut dyn Scorer,
    batch: usize,
) -> Result<Measured, Error> {
    if batch == 0 {
        return argument("images cannot be scored in batches of 0");
    }
    let mut distinct: Vec<Rc<Change>> = Vec::new();
    let mut known: HashMap<Rc<Change>, usize> = HashMap::new();
    let mut plans = Vec::new();
    for request in requests {
        let plan = request.metric.plan(image, request.map.view());
        let checked =
            plan.and_then(|plan| plan.changes.iter().try_for_each(|change| image.check(change)).map(|()| plan));
        plans.push(checked.map(|plan| {
            let number = |change: Change| {
                let change = Rc::new(change);
                match known.entry(Rc::clone(&change)) {
                    Entry::Occupied(there) => *there.get(),
                    Entry::Vacant(free) => {
                        distinct.push(change);
                        *free.insert(distinct.len() - 1)
                    }
                }
            };
            (plan.changes.into_iter().map(number).collect::<Vec<usize>>(), plan.value)
        }));
    }
    drop(known);
    let columns = requests.iter().map(|r| r.column.saturating_add(1)).max().unwrap_or(0);
    let mut scores: Vec<Vec<f64>> = Vec::with_capacity(distinct.len());
    let mut fills = HashMap::new();
    for changes in distinct.chunks(batch) {
        let changes: Vec<&Change> = changes.iter().map(AsRef::as_ref).collect();
        let images = image.changed(&changes, &mut fills)?;
        let rows = scorer.scores(images.view()).map_err(Error::Scoring)?;
        if rows.nrows() != changes.len() || rows.ncols() < columns {
            return argument(format!(
                "{} images have scores {:?}, and wanted are a row for each with at least {columns} columns",
                changes.len(),
                rows.shape()
            ));
        }
        scores.extend(rows.axis_iter(Axis(0)).map(|row| row.to_vec()));
    }
    let value = |(plan, request): (Result<(Vec<usize>, _), Error>, &Request<'_>)| {
        let (numbers, value): (_, Box<dyn Fn(&[f64]) -> Result<f64, Error> + Send + Sync>) = plan?;
        let own = numbers.into_iter().filter_map(|i| scores.get(i)?.get(request.column).copied());
        let own: Vec<f64> = own.collect();
        match own.iter().enumerate().find(|(_, s)| !s.is_finite()) {
            Some((at, &value)) => Err(Error::NotFinite { what: "scores of changed images", value, at: vec![at] }),
            None => value(&own),
        }
    };
    let values = plans.into_iter().zip(requests).map(value).collect();
    Ok(Measured { values, images: distinct.len() })
}

/// The images of changes as the scorer gets them: `[N, …]`.
pub fn images(image: &Image, changes: &[Change]) -> Result<ArrayD<f32>, Error> {
    image.changed(&changes.iter().collect::<Vec<_>>(), &mut HashMap::new())
}
