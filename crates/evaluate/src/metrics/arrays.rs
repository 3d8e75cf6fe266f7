//! What metrics ask of arrays.

use crate::Error;
use crate::error::argument;
use hirescam::random::Random;
use ndarray::ArrayViewD;

/// What of a signed map counts as attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attention {
    /// max(v, 0): what speaks for the class.
    Positive,
    /// |v|: what matters for the class, one way or the other.
    Absolute,
}

impl Attention {
    fn of(self, value: f64) -> f64 {
        match self {
            Attention::Positive => value.max(0.0),
            Attention::Absolute => value.abs(),
        }
    }
}

/// The cells of an array in row-major order, all of them finite.
pub(crate) fn cells(what: &'static str, map: &ArrayViewD<'_, f64>) -> Result<Vec<f64>, Error> {
    if map.is_empty() {
        return argument(format!("the {what} {:?} has no cells", map.shape()));
    }
    if let Some((at, &value)) = map.indexed_iter().find(|(_, v)| !v.is_finite()) {
        return Err(Error::NotFinite { what, value, at: ndarray::Dimension::slice(&at).to_vec() });
    }
    Ok(map.iter().copied().collect())
}

/// What counts as attention of a map, in row-major order. Metrics ask for shares and orders of it: where the cells would not add up to a
/// finite number, all are scaled down alike.
pub(crate) fn attention(map: &ArrayViewD<'_, f64>, which: Attention) -> Result<Vec<f64>, Error> {
    let shown: Vec<f64> = cells("map", map)?.into_iter().map(|v| which.of(v)).collect();
    let largest = shown.iter().copied().fold(0.0, f64::max);
    Ok(match largest > f64::MAX / shown.len() as f64 {
        true => shown.into_iter().map(|v| v / largest).collect(),
        false => shown,
    })
}

/// More images than this are not asked for by one metric.
const MOST_IMAGES: usize = 1 << 20;

/// That a metric asks for no more changed images than can be scored.
pub(crate) fn countable(images: usize) -> Result<(), Error> {
    match images <= MOST_IMAGES {
        true => Ok(()),
        false => argument(format!("{images} changed images of one image: at most {MOST_IMAGES} can be asked for")),
    }
}

/// The cells of an array that has to have the map's shape.
pub(crate) fn beside<'a, T: Copy>(
    map: &ArrayViewD<'_, f64>,
    what: &str,
    other: &ArrayViewD<'a, T>,
) -> Result<Vec<T>, Error> {
    if map.shape() != other.shape() {
        return argument(format!(
            "the map has the shape {:?} and the {what} {:?}: bring one of them to the other's size first",
            map.shape(),
            other.shape()
        ));
    }
    Ok(other.iter().copied().collect())
}

/// Which cells lie inside of the truth; none where the cell is void and counts for neither side.
pub(crate) fn truth(
    map: &ArrayViewD<'_, f64>,
    inside: &ArrayViewD<'_, bool>,
    void: Option<&ArrayViewD<'_, bool>>,
) -> Result<Vec<Option<bool>>, Error> {
    let inside = beside(map, "truth", inside)?;
    let void = void.map(|void| beside(map, "void", void)).transpose()?;
    let void = void.unwrap_or_else(|| vec![false; inside.len()]);
    Ok(inside.into_iter().zip(void).map(|(inside, void)| (!void).then_some(inside)).collect())
}

/// The map as the author of HiResCAM thresholds it: rectified, less its smallest value, over its largest. A map without a
/// positive cell becomes 0 everywhere; no epsilon is added.
pub(crate) fn normalised(map: &ArrayViewD<'_, f64>) -> Result<Vec<f64>, Error> {
    let rectified = attention(map, Attention::Positive)?;
    let least = rectified.iter().copied().fold(f64::INFINITY, f64::min);
    let range = rectified.iter().copied().fold(0.0, f64::max) - least;
    Ok(rectified.into_iter().map(|v| if range > 0.0 { (v - least) / range } else { 0.0 }).collect())
}

/// The cells of a map that has to lie within 0 and 1.
pub(crate) fn unit(map: &ArrayViewD<'_, f64>) -> Result<Vec<f64>, Error> {
    let cells = cells("map", map)?;
    match cells.iter().find(|v| !(0.0..=1.0).contains(*v)) {
        Some(v) => argument(format!(
            "the map holds {v}, and this metric multiplies or weighs by it: rectify and normalise it to 0 to 1 first"
        )),
        None => Ok(cells),
    }
}

/// The indices of `values`, the largest first. Equal values come in an order drawn from the seed, the same for every call.
pub(crate) fn descending(values: &[f64], seed: u64) -> Vec<usize> {
    let mut random = Random::of_sample(seed, 0);
    let mut keyed: Vec<(f64, f64, usize)> =
        values.iter().enumerate().map(|(i, &v)| (v + 0.0, random.unit(), i)).collect();
    keyed.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
    keyed.into_iter().map(|(_, _, i)| i).collect()
}

/// A mask that is true within boxes: each box is a range of indices for every axis, from its first to before its last.
/// What lies beyond the mask is cut off.
///
/// ```
/// use hirescam_evaluate::metrics::mask_of_boxes;
/// use ndarray::array;
///
/// let mask = mask_of_boxes(&[2, 3], &[vec![0..1, 1..5]])?;
/// assert_eq!(mask, array![[false, true, true], [false, false, false]].into_dyn());
/// # Ok::<(), hirescam_evaluate::Error>(())
/// ```
///
/// # Errors
/// [`Error::Argument`] for a box of other axes than the mask's.
pub fn mask_of_boxes(shape: &[usize], boxes: &[Vec<std::ops::Range<usize>>]) -> Result<ndarray::ArrayD<bool>, Error> {
    if let Some(other) = boxes.iter().find(|b| b.len() != shape.len()) {
        return argument(format!("a box of {} axes in a mask {shape:?}", other.len()));
    }
    Ok(ndarray::ArrayD::from_shape_fn(shape, |at| {
        let at = ndarray::Dimension::slice(&at);
        boxes.iter().any(|b| b.iter().zip(at).all(|(range, i)| range.contains(i)))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_are_broken_by_the_seed_and_not_by_place() {
        let values = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.0, 2.0];
        let order = descending(&values, 1);
        assert_eq!(&order[..2], &[8, 0]);
        assert_ne!(&order[2..], &[1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(order, descending(&values, 1));
        assert_ne!(order, descending(&values, 2));
    }
}
