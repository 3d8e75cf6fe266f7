//! From a raw map to one for display: rectify, normalise, resize, each only when asked for.

use ndarray::{Array, Array2, Axis, RemoveAxis, Zip};

/// Why a map could not be made into a heatmap.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HeatmapError {
    /// The map has no cells, or a size of 0 or beyond reason was asked for.
    #[error("a map of {0:?} cells cannot be made or resized")]
    Size(Vec<usize>),
    /// The map holds NaN or an infinity.
    #[error("the map holds {0} at {1:?}: the network overflowed or divided by zero there")]
    NotFinite(f32, Vec<usize>),
    /// The normalisation does not suit the map.
    #[error("{0}")]
    Normalize(String),
}

/// How values are brought into a fixed range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Normalize {
    /// v / max v, into [0, 1]: for rectified maps. A map that is 0 everywhere stays so; no epsilon is added.
    Max,
    /// v / max |v|, into [-1, 1]: keeps signs and the zero. A map that is 0 everywhere stays so.
    Symmetric,
    /// (v − min v) / (max v − min v), into [0, 1]: moves the zero. A constant map becomes 0 everywhere.
    MinMax,
    /// (v − lo) / (hi − lo), clipped to [0, 1]: one scale for several maps.
    Range(f32, f32),
}

/// The most cells a resized map may have.
const MAX_CELLS: usize = 1 << 28;

/// A map on its way to display: finite values `[H,W]`, signed and in units of the score until a step changes that.
///
/// An all-negative map is a result: nothing speaks for the class. It stays visible until it is rectified.
#[derive(Debug, Clone, PartialEq)]
pub struct Heatmap {
    values: Array2<f32>,
    rectified: bool,
}

impl Heatmap {
    /// Takes a raw map `[H,W]`.
    ///
    /// # Errors
    /// [`HeatmapError::Size`] if it is empty, [`HeatmapError::NotFinite`] if it holds NaN or an infinity.
    pub fn new(map: Array2<f32>) -> Result<Self, HeatmapError> {
        if map.is_empty() {
            return Err(HeatmapError::Size(map.shape().to_vec()));
        }
        if let Some(((y, x), v)) = map.indexed_iter().find(|(_, v)| !v.is_finite()) {
            return Err(HeatmapError::NotFinite(*v, vec![y, x]));
        }
        Ok(Self { values: map, rectified: false })
    }

    /// The values, `[H,W]`.
    pub fn values(&self) -> &Array2<f32> {
        &self.values
    }

    /// Takes the values out, `[H,W]`.
    pub fn into_values(self) -> Array2<f32> {
        self.values
    }

    /// Whether negative values were removed: such maps are drawn with a sequential colour map, others with a diverging one.
    pub fn is_rectified(&self) -> bool {
        self.rectified
    }

    /// The smallest value.
    pub fn min(&self) -> f32 {
        self.values.fold(f32::INFINITY, |a, b| a.min(*b))
    }

    /// The largest value.
    pub fn max(&self) -> f32 {
        self.values.fold(f32::NEG_INFINITY, |a, b| a.max(*b))
    }

    /// max(v, 0): only what speaks for the class.
    #[must_use]
    pub fn rectify(mut self) -> Self {
        self.values.mapv_inplace(|v| v.max(0.0));
        self.rectified = true;
        self
    }

    /// Brings the values into a fixed range.
    ///
    /// # Errors
    /// [`HeatmapError::Normalize`] if `Max` is asked of a map with negative values or a `Range` is not lo < hi, both finite.
    pub fn normalize(mut self, how: Normalize) -> Result<Self, HeatmapError> {
        let (min, max) = (self.min(), self.max());
        // In f64, for max − min may exceed the largest f32.
        let (zero, one) = match how {
            Normalize::Max if min < 0.0 => {
                let message = format!(
                    "v / max v needs a map without negative values, this one goes down to {min}: rectify it first, or normalise symmetrically"
                );
                return Err(HeatmapError::Normalize(message));
            }
            Normalize::Range(lo, hi) if !(lo < hi && lo.is_finite() && hi.is_finite()) => {
                return Err(HeatmapError::Normalize(format!(
                    "the range {lo} to {hi} is not one: two numbers, the lower first"
                )));
            }
            Normalize::Max => (0.0, f64::from(max)),
            Normalize::Symmetric => (0.0, f64::from(max.max(-min))),
            Normalize::MinMax => (f64::from(min), f64::from(max)),
            Normalize::Range(lo, hi) => (f64::from(lo), f64::from(hi)),
        };
        let clip = matches!(how, Normalize::Range(..));
        self.values.mapv_inplace(|v| {
            // one = zero only for a map of zeros or a constant one, where v = zero too.
            let t = if one == zero { 0.0 } else { ((f64::from(v) - zero) / (one - zero)) as f32 };
            if clip { t.clamp(0.0, 1.0) } else { t }
        });
        Ok(self)
    }

    /// The value at a place, 0 to 1 from top to bottom and from left to right, interpolated as [`resize_linear`] does.
    pub fn at(&self, down: f64, across: f64) -> f32 {
        let (height, width) = self.values.dim();
        let (top, bottom, v) = between(down, height);
        let (left, right, u) = between(across, width);
        let row = |y| (1.0 - u) * f64::from(self.values[[y, left]]) + u * f64::from(self.values[[y, right]]);
        ((1.0 - v) * row(top) + v * row(bottom)) as f32
    }

    /// The value of the cell that lies at a place of the image: `down` and `across` from 0 to 1.
    pub fn cell(&self, down: f64, across: f64) -> f32 {
        let (height, width) = self.values.dim();
        // A cast cuts off at 0.
        let at = |share: f64, cells: usize| ((share * cells as f64) as usize).min(cells - 1);
        self.values[[at(down, height), at(across, width)]]
    }

    /// Resizes to `height` × `width` cells, see [`resize_linear`].
    ///
    /// # Errors
    /// As [`resize_linear`].
    pub fn resize(self, height: usize, width: usize) -> Result<Self, HeatmapError> {
        Ok(Self { values: resize_linear(&self.values, &[height, width])?, rectified: self.rectified })
    }
}

/// Linear interpolation along every axis (bilinear for `[H,W]`, trilinear for `[D,H,W]`), cell centres at half-integers:
/// output cell i takes the value at (i + ½) · in / out − ½, clamped to the first and last centre.
///
/// The same as `torch.nn.functional.interpolate(align_corners=False)`, without antialiasing when shrinking.
///
/// # Errors
/// [`HeatmapError::Size`] if `size` has another number of axes, a 0, or too many cells.
pub fn resize_linear<D: RemoveAxis>(map: &Array<f32, D>, size: &[usize]) -> Result<Array<f32, D>, HeatmapError> {
    let cells = size.iter().try_fold(1usize, |n, s| n.checked_mul(*s));
    if map.is_empty() || size.len() != map.ndim() || cells.is_none_or(|n| n == 0 || n > MAX_CELLS) {
        return Err(HeatmapError::Size(size.to_vec()));
    }
    let mut map = map.clone();
    for (axis, &to) in size.iter().enumerate() {
        let from = map.len_of(Axis(axis));
        if from == to {
            continue;
        }
        let mut shape = map.raw_dim();
        shape.slice_mut()[axis] = to;
        let mut out = Array::zeros(shape);
        for (i, mut cell) in out.axis_iter_mut(Axis(axis)).enumerate() {
            let (low, high, t) = between((i as f64 + 0.5) / to as f64, from);
            Zip::from(&mut cell)
                .and(&map.index_axis(Axis(axis), low))
                .and(&map.index_axis(Axis(axis), high))
                .for_each(|o, a, b| *o = ((1.0 - t) * f64::from(*a) + t * f64::from(*b)) as f32);
        }
        map = out;
    }
    Ok(map)
}

/// The two cells out of `from` between whose centres a place lies (0 to 1 along the axis), and the weight of the second.
fn between(place: f64, from: usize) -> (usize, usize, f64) {
    let last = from - 1;
    let at = (place * from as f64 - 0.5).clamp(0.0, last as f64);
    let low = at as usize;
    (low, (low + 1).min(last), at - low as f64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use ndarray::{ArrayD, array};

    const GOLDENS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/heatmap");

    #[test]
    fn resizing_is_torch_interpolate() {
        let cases: Vec<[Vec<usize>; 2]> =
            serde_json::from_slice(&std::fs::read(format!("{GOLDENS}/cases.json")).unwrap()).unwrap();
        for (i, [_, size]) in cases.iter().enumerate() {
            let input: ArrayD<f32> = ndarray_npy::read_npy(format!("{GOLDENS}/input_{i}.npy")).unwrap();
            let torch: ArrayD<f32> = ndarray_npy::read_npy(format!("{GOLDENS}/output_{i}.npy")).unwrap();
            let ours = resize_linear(&input, size).unwrap();
            assert_eq!(ours.shape(), torch.shape());
            // torch computes weights in f32.
            let error = Zip::from(&ours).and(&torch).fold(0.0f32, |e, a, b| e.max((a - b).abs()));
            assert!(error < 3e-6, "case {i}: {error}");
        }
    }

    #[test]
    fn resizing_keeps_linear_functions_inside_and_constants_everywhere() {
        let ramp = Array2::from_shape_fn((1, 10), |(_, x)| x as f32 + 0.5);
        let wide = resize_linear(&ramp, &[3, 40]).unwrap();
        for x in 2..38 {
            assert!((wide[[1, x]] - (x as f32 + 0.5) / 4.0).abs() < 1e-6);
        }
        assert!(resize_linear(&Array2::from_elem((3, 3), -2.0f32), &[5, 4]).unwrap().iter().all(|v| *v == -2.0));
    }

    #[test]
    fn single_places_are_those_of_the_resized_map() {
        let map = Heatmap::new(array![[1.0, -2.0, 0.5], [3.0, 0.0, 7.0]]).unwrap();
        let large = map.clone().resize(9, 10).unwrap();
        for ((y, x), v) in large.values().indexed_iter() {
            assert!((map.at((y as f64 + 0.5) / 9.0, (x as f64 + 0.5) / 10.0) - v).abs() < 1e-6);
        }
        assert_eq!((map.at(-1.0, -1.0), map.at(9.0, 9.0)), (1.0, 7.0));
    }

    #[test]
    fn normalisations() {
        let map = || Heatmap::new(array![[-4.0, 0.0], [1.0, 2.0]]).unwrap();
        let with = |h: Heatmap, how| h.normalize(how).unwrap().into_values();
        assert_eq!(with(map().rectify(), Normalize::Max), array![[0.0, 0.0], [0.5, 1.0]]);
        assert_eq!(with(map(), Normalize::Symmetric), array![[-1.0, 0.0], [0.25, 0.5]]);
        assert_eq!(with(map(), Normalize::MinMax), array![[0.0, 4.0 / 6.0], [5.0 / 6.0, 1.0]]);
        assert_eq!(with(map(), Normalize::Range(0.0, 1.0)), array![[0.0, 0.0], [1.0, 1.0]]);
        assert!(map().normalize(Normalize::Max).is_err());
        assert!(map().normalize(Normalize::Range(1.0, 1.0)).is_err());
        assert!(map().normalize(Normalize::Range(f32::NAN, 1.0)).is_err());
    }

    #[test]
    fn maps_of_zeros_stay_zeros_and_huge_ones_stay_finite() {
        let zeros = Heatmap::new(Array2::zeros((2, 3))).unwrap();
        for how in [Normalize::Max, Normalize::Symmetric, Normalize::MinMax] {
            assert_eq!(zeros.clone().normalize(how).unwrap(), zeros);
        }
        let huge = Heatmap::new(array![[f32::MIN, f32::MAX]]).unwrap();
        assert_eq!(huge.normalize(Normalize::MinMax).unwrap().into_values(), array![[0.0, 1.0]]);
    }

    #[test]
    fn an_all_negative_map_is_seen_until_rectified() {
        let map = Heatmap::new(array![[-1.0, -3.0]]).unwrap();
        assert_eq!(map.clone().normalize(Normalize::Symmetric).unwrap().max(), -1.0 / 3.0);
        assert_eq!(map.rectify().max(), 0.0);
    }

    #[test]
    fn bad_maps_and_sizes_are_errors() {
        assert!(matches!(Heatmap::new(array![[0.0, f32::NAN]]), Err(HeatmapError::NotFinite(_, at)) if at == [0, 1]));
        assert!(Heatmap::new(array![[f32::INFINITY]]).is_err());
        assert!(Heatmap::new(Array2::zeros((0, 3))).is_err());
        let map = Array2::<f32>::zeros((2, 2));
        for size in [&[0, 3][..], &[3], &[1, 2, 3], &[usize::MAX, 2], &[1 << 20, 1 << 20]] {
            assert!(resize_linear(&map, size).is_err(), "{size:?}");
        }
    }
}
