//! Intersection over union.

use super::{Better, Row, normalised, truth};
use crate::Error;
use crate::error::{argument, undefined};
use ndarray::ArrayViewD;

/// [`iou`] for people.
pub const ROW: Row = Row {
    name: "iou",
    what: "How well the map, cut at a threshold, covers the object and nothing else.",
    formula: "|P ∩ G| / |P ∪ G|, P = places with (h⁺ − min h⁺) / (max h⁺ − min h⁺) > threshold",
    range: "0 to 1",
    better: Better::Higher,
    source: "Jaccard 1912, 10.1111/j.1469-8137.1912.tb05611.x; the thresholds are Draelos & Carin's, github.com/rachellea/explainable-ct-ai",
    needs: "a mask G of the object; a threshold, chosen on other images than those measured",
    blind: "whether the network used the object: a map that shows the one part that decided is low",
};

/// The thresholds that the author of HiResCAM chooses from (github.com/rachellea/explainable-ct-ai, `iou_analysis.py`):
/// 0.004, 0.008, 0.012, 0.016, then 0.02, 0.04 … 0.98.
pub const THRESHOLDS: [f64; 53] = [
    0.004, 0.008, 0.012, 0.016, 0.02, 0.04, 0.06, 0.08, 0.10, 0.12, 0.14, 0.16, 0.18, 0.20, 0.22, 0.24, 0.26, 0.28,
    0.30, 0.32, 0.34, 0.36, 0.38, 0.40, 0.42, 0.44, 0.46, 0.48, 0.50, 0.52, 0.54, 0.56, 0.58, 0.60, 0.62, 0.64, 0.66,
    0.68, 0.70, 0.72, 0.74, 0.76, 0.78, 0.80, 0.82, 0.84, 0.86, 0.88, 0.90, 0.92, 0.94, 0.96, 0.98,
];

/// |P ∩ G| / |P ∪ G| of the places P where the map exceeds a threshold, and the object G. The map is rectified and brought to
/// 0 to 1 as the author of HiResCAM does: v = max(h, 0), (v − min v) / (max v − min v), 0 everywhere where no cell
/// is positive. Cells that are `void` are in neither.
///
/// # Errors
/// [`Error::Undefined`] for an object without cells; [`Error::Argument`] for another shape or a threshold that is not
/// within 0 and 1.
pub fn iou(
    map: ArrayViewD<'_, f64>,
    object: ArrayViewD<'_, bool>,
    void: Option<ArrayViewD<'_, bool>>,
    threshold: f64,
) -> Result<f64, Error> {
    check(threshold)?;
    let found = overlaps(&map, &object, void.as_ref(), &[threshold])?;
    Ok(found.first().copied().unwrap_or(0.0))
}

/// [`iou`] at each of [`THRESHOLDS`].
///
/// # Errors
/// As [`iou`].
pub fn ious(
    map: ArrayViewD<'_, f64>,
    object: ArrayViewD<'_, bool>,
    void: Option<ArrayViewD<'_, bool>>,
) -> Result<Vec<f64>, Error> {
    overlaps(&map, &object, void.as_ref(), &THRESHOLDS)
}

fn overlaps(
    map: &ArrayViewD<'_, f64>,
    object: &ArrayViewD<'_, bool>,
    void: Option<&ArrayViewD<'_, bool>>,
    thresholds: &[f64],
) -> Result<Vec<f64>, Error> {
    let above = Above::new(map, object, void, thresholds)?;
    if above.inside == 0 {
        return undefined(ROW.name, "the object has no cells");
    }
    let share = |(both, beside): &(usize, usize)| *both as f64 / (above.inside + beside) as f64;
    Ok(above.counts.iter().map(share).collect())
}

/// How many places of a map brought to 0 to 1 lie above thresholds.
pub(super) struct Above {
    /// For each threshold: inside of the truth, and outside.
    pub(super) counts: Vec<(usize, usize)>,
    /// How many places the truth has.
    pub(super) inside: usize,
}

impl Above {
    /// `thresholds` grow.
    pub(super) fn new(
        map: &ArrayViewD<'_, f64>,
        object: &ArrayViewD<'_, bool>,
        void: Option<&ArrayViewD<'_, bool>>,
        thresholds: &[f64],
    ) -> Result<Self, Error> {
        let (values, truth) = (normalised(map)?, truth(map, object, void)?);
        // By how many thresholds a place exceeds.
        let mut exceeding = vec![(0usize, 0usize); thresholds.len() + 1];
        for (value, inside) in values.iter().zip(truth).filter_map(|(v, t)| Some((v, t?))) {
            let exceeded = thresholds.partition_point(|t| value > t);
            for (within, beside) in exceeding.iter_mut().skip(exceeded).take(1) {
                *(if inside { within } else { beside }) += 1;
            }
        }
        let inside = exceeding.iter().map(|(within, _)| within).sum();
        let mut counts = Vec::with_capacity(thresholds.len());
        let mut total = (0, 0);
        for (within, beside) in exceeding.iter().skip(1).rev() {
            total = (total.0 + within, total.1 + beside);
            counts.push(total);
        }
        counts.reverse();
        Ok(Above { counts, inside })
    }
}

/// That a threshold of a map brought to 0 to 1 can cut anything.
pub(super) fn check(threshold: f64) -> Result<(), Error> {
    match (0.0..=1.0).contains(&threshold) {
        true => Ok(()),
        false => argument(format!("the threshold {threshold} has to lie within 0 and 1")),
    }
}

/// Which of [`THRESHOLDS`] has the highest mean over images: the index, of equal ones the lowest, as the author of HiResCAM
/// chooses it for each class. Each row holds what [`ious`] or [`organ_iou`](super::organ_iou()) gives for an image
/// at each threshold, of other images than those that are measured.
///
/// # Errors
/// [`Error::Argument`] for no rows, or rows of another length or that hold NaN.
pub fn best_threshold(rows: &[Vec<f64>]) -> Result<usize, Error> {
    if rows.is_empty() || rows.iter().any(|row| row.len() != THRESHOLDS.len() || row.iter().any(|v| v.is_nan())) {
        return argument(format!(
            "a threshold is chosen from rows of {} numbers, one row for each image, and there has to be one",
            THRESHOLDS.len()
        ));
    }
    let total = |i: usize| rows.iter().filter_map(|row| row.get(i)).sum::<f64>();
    let mut best = (0, total(0));
    for i in 1..THRESHOLDS.len() {
        let total = total(i);
        if total > best.1 {
            best = (i, total);
        }
    }
    Ok(best.0)
}
