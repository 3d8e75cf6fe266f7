//! ARCC.

use super::adcc::harmonic;
use super::{Better, Removed, Road, Row, coherency, complexity};
use crate::Error;
use crate::changed::{Image, Metric, Plan};
use crate::error::undefined;
use ndarray::{ArrayD, ArrayViewD};

/// [`Arcc`] for people.
pub const ROW: Row = Row {
    name: "arcc",
    what: "ROAD, coherency and complexity in one number.",
    formula: "3 / (1 / coherency + 1 / (1 − complexity) + 1 / ROAD'), ROAD' = 2 ROAD, within 0 and 1",
    range: "0 to 1",
    better: Better::Higher,
    source: "Domeniconi et al. 2026, arXiv:2605.14641, as in pytorch-grad-cam",
    needs: "probabilities of 2 images for each share; a heatmap within 0 and 1; the map of the image multiplied by it",
    blind: "which of the three it is; what ROAD cannot show",
};

/// The harmonic mean of [`coherency`](super::coherency()), 1 − [`complexity`](super::complexity()) and twice
/// [`Road`], brought within 0 and 1; 0 where one of them is 0. Domeniconi et al. 2026, arXiv:2605.14641, as coded in
/// pytorch-grad-cam by the authors: there the text speaks of a geometric mean, and the code has a harmonic one.
///
/// The scorer's column has to be a probability, and the map to lie within 0 and 1.
///
/// # Differs from pytorch-grad-cam
/// It adds 10⁻⁸ to each of the three, so that a map of zeros has a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Arcc {
    /// The map of the image multiplied by the map, for the same class.
    pub of_kept: ArrayD<f64>,
    /// How ROAD is made; both ends are removed, whatever it says.
    pub road: Road,
}

impl Arcc {
    /// With shares of 0.2, 0.4, 0.6 and 0.8, as the authors have it.
    pub fn new(of_kept: ArrayD<f64>) -> Self {
        Self { of_kept, road: Road { shares: vec![0.2, 0.4, 0.6, 0.8], ..Road::default() } }
    }
}

impl Metric for Arcc {
    fn plan(&self, image: &Image, map: ArrayViewD<'_, f64>) -> Result<Plan, Error> {
        let road = Road { removed: Removed::Both, ..self.road.clone() }.plan(image, map.view())?;
        let coherent = coherency(map.view(), self.of_kept.view())?;
        let simple = 1.0 - complexity(map)?;
        let value = move |scores: &[f64]| {
            if let Some(score) = scores.iter().find(|s| !(0.0..=1.0).contains(*s)) {
                return undefined(ROW.name, format!("it is of probabilities, and a score is {score}"));
            }
            let faithful = (2.0 * (road.value)(scores)?).clamp(0.0, 1.0);
            Ok(harmonic([coherent, simple, faithful]))
        };
        Ok(Plan { changes: road.changes, value: Box::new(value) })
    }
}
