//! ADCC.

use super::average_drop::{both, drop_of};
use super::{Better, Row, coherency, complexity};
use crate::Error;
use crate::changed::{Image, Metric, Plan};
use ndarray::{ArrayD, ArrayViewD};

/// [`Adcc`] for people.
pub const ROW: Row = Row {
    name: "adcc",
    what: "Average drop, coherency and complexity in one number.",
    formula: "3 / (1 / coherency + 1 / (1 − complexity) + 1 / (1 − average drop))",
    range: "0 to 1",
    better: Better::Higher,
    source: "Poppi et al. 2021, arXiv:2104.10252",
    needs: "probabilities of 2 images; a heatmap within 0 and 1; the map of the image multiplied by it",
    blind: "which of the three it is; each can be had by maps that know nothing of the network, all three less easily",
};

/// The harmonic mean of [`coherency`](super::coherency()), 1 − [`complexity`](super::complexity()) and
/// 1 − [`AverageDrop`](super::AverageDrop); 0 where one of them is 0. Poppi et al. 2021, arXiv:2104.10252.
///
/// The scorer's column has to be a probability, and the map to lie within 0 and 1.
///
/// # Differs from the authors' code
/// github.com/aimagelab/ADCC multiplies by the sum of the reciprocals where the harmonic mean divides by it.
#[derive(Clone, Debug, PartialEq)]
pub struct Adcc {
    /// The map of the image multiplied by the map, for the same class.
    pub of_kept: ArrayD<f64>,
}

impl Metric for Adcc {
    fn plan(&self, image: &Image, map: ArrayViewD<'_, f64>) -> Result<Plan, Error> {
        let changes = both(image, &map)?;
        let coherent = coherency(map.view(), self.of_kept.view())?;
        let simple = 1.0 - complexity(map)?;
        let value = move |scores: &[f64]| Ok(harmonic([coherent, simple, 1.0 - drop_of(scores)?]));
        Ok(Plan { changes, value: Box::new(value) })
    }
}

/// The harmonic mean of numbers of at least 0; 0 where one of them is.
pub(super) fn harmonic(values: [f64; 3]) -> f64 {
    match values.iter().any(|v| *v <= 0.0) {
        true => 0.0,
        false => values.len() as f64 / values.iter().map(|v| 1.0 / v).sum::<f64>(),
    }
}
