//! The heatmap as one more output: a map made for display inside of the graph, for programs that only want to show it.

use crate::Error;
use crate::build::Value;
use crate::cam::methods::input::rectify;
use crate::error::short;
use crate::shape::Dim;
use ndarray::Array1;

/// How many cells a heatmap has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeatmapSize {
    /// As many as the image has pixels.
    Image,
    /// So many along each axis of space.
    Cells(Vec<usize>),
}

impl std::str::FromStr for HeatmapSize {
    type Err = Error;

    /// `image`, or a number for each axis: `224x224`.
    fn from_str(text: &str) -> Result<Self, Error> {
        if text == "image" {
            return Ok(HeatmapSize::Image);
        }
        let cells: Result<_, _> = text.split('x').map(str::parse).collect();
        cells.map(HeatmapSize::Cells).map_err(|_| {
            Error::Argument(format!("{:?} is no size of a heatmap: HEIGHTxWIDTH, as 224x224, or image", short(text)))
        })
    }
}

/// More cells than this are nothing to look at.
const MOST_CELLS: usize = 1 << 24;

impl HeatmapSize {
    /// The extents for a map with `axes` axes of space, of an image of so many pixels along each of its own.
    ///
    /// # Errors
    /// [`Error::Argument`] where the numbers of axes differ, and for a size of 0 or beyond reason.
    pub(super) fn cells(&self, axes: usize, image: &[usize]) -> Result<Vec<usize>, Error> {
        let cells = match self {
            HeatmapSize::Image => image,
            HeatmapSize::Cells(cells) => cells,
        };
        let shown = shown(cells);
        if cells.len() != axes {
            let whose = if *self == HeatmapSize::Image { "the image" } else { "the size asked for" };
            return Err(Error::Argument(format!(
                "the map has {axes} axes of space, {whose} {} ({shown}): a heatmap needs one number for each axis of the map, as 224x224",
                cells.len()
            )));
        }
        match cells.iter().try_fold(1usize, |n, &c| n.checked_mul(c)) {
            Some(1..=MOST_CELLS) => Ok(cells.to_vec()),
            _ => Err(Error::Argument(format!("a heatmap of {shown} cells cannot be made"))),
        }
    }
}

/// A size as people write it: `224x224`.
pub(super) fn shown(cells: &[usize]) -> String {
    cells.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}

/// The heatmap of maps that lie behind `lead` axes, whose last axes are resized to `cells`: rectified, divided by the map's
/// largest value, resized. Maps of several frames are divided by the largest value of all of them.
///
/// The values lie in 0…1. They are divided before they are resized, as in an overlay: 1 is the strongest cell's centre,
/// which no pixel need lie on. A map with nothing positive gives 0 everywhere.
///
/// Cell centres lie at half-integers: along each axis, pixel i takes the value at (i + ½) · from / to − ½, clamped to the
/// first and last centre, between the two cells next to it.
pub(super) fn heatmap<'g>(map: Value<'g>, lead: usize, cells: &[usize]) -> Value<'g> {
    let (dims, sizes) = (map.dims(), map.sizes());
    let first = dims.len().saturating_sub(cells.len());
    let (ahead, behind) = (dims.get(..lead).unwrap_or(&[]), sizes.get(lead..).unwrap_or(&[]));
    let places = sizes.get(first..).unwrap_or(&[]);
    let positive = rectify(map);
    let (largest, _) = positive.reshape(&[ahead, &[Dim::Fixed(behind.iter().product())]].concat()).top_k(1);
    // Nothing positive stays 0 when it is divided by 1.
    let divisor = largest.gt(largest.scalar(0.0)).select(largest, largest.scalar(1.0));
    let mut heat = positive / divisor.reshape(&[ahead, vec![Dim::Fixed(1); behind.len()].as_slice()].concat());
    for (axis, (&from, &to)) in (first..).zip(places.iter().zip(cells)).filter(|(_, (from, to))| from != to) {
        let (low, share) = between(from, to);
        let high: Vec<i64> = low.iter().map(|&cell| (cell + 1).min(from.saturating_sub(1) as i64)).collect();
        let [left, right] = [low, high].map(|cells| heat.gather(map.graph().ints(&cells), axis));
        let mut shape = vec![Dim::Fixed(1); dims.len() - axis];
        shape.iter_mut().take(1).for_each(|along| *along = Dim::Fixed(to));
        let share = map.tensor(share.into_dyn()).reshape(&shape);
        heat = left * (share.scalar(1.0) - share) + right * share;
    }
    heat
}

/// For each of `to` pixels the cell out of `from` at whose centre or behind it the pixel lies, and the next cell's share.
fn between(from: usize, to: usize) -> (Vec<i64>, Array1<f64>) {
    let last = from.saturating_sub(1) as f64;
    let at = |i: usize| ((i as f64 + 0.5) * from as f64 / to as f64 - 0.5).clamp(0.0, last);
    ((0..to).map(|i| at(i) as i64).collect(), (0..to).map(|i| at(i).fract()).collect())
}
