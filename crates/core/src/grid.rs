//! Where the places of a layer lie in the image: tokens as rows and columns.
//!
//! A transformer makes a row of tokens of the places of an image, in its own order, and puts others beside them that are
//! no places: a class token, registers. What was done to get there is in the graph. So each axis of a value is followed
//! from the image on as a list of steps: how far down, across … an entry lies. An element lies where the steps of its
//! indices add up to; a list entry of none stands for no place at all. To merge axes is to add their steps, to split one
//! is to take them apart again, and slices, joins and permutations do to the list what they do to the axis.

use crate::Error;
use crate::build::Value;
use crate::error::short;
use crate::shape::{Dim, Shapes};
use ndarray::{ArrayD, IxDyn};

mod channels;
mod fields;
mod places;
mod steps;
mod through;

pub(crate) use channels::channel_axes;
pub(crate) use fields::Fields;
pub use fields::ReceptiveField;
pub(crate) use places::{Placement, Places};

/// How the places of a layer lie in the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    /// The extents of the grid: rows and columns, of a volume slices first.
    pub sides: Vec<usize>,
    /// For each cell, in row-major order, the number of its place among all of the layer.
    cells: Vec<usize>,
    /// The numbers of the places that are none in the image: class tokens, registers.
    others: Vec<usize>,
}

impl Grid {
    /// How many of the layer's places are no places of the image.
    pub fn others(&self) -> usize {
        self.others.len()
    }

    /// The number of the place, among all of the layer, that lies in the grid's cell `cell`.
    pub fn place(&self, cell: &[usize]) -> Option<usize> {
        let number = cell.iter().zip(&self.sides).fold(0, |number, (i, n)| number * n + i);
        self.cells.get(number).copied()
    }

    /// Whether the place `number` of the layer is one of the image.
    pub fn holds(&self, number: usize) -> bool {
        !self.others.contains(&number)
    }

    /// A map's cells, `[…, places]` behind `lead` axes, as the grid; and the sum of those that are no places of the
    /// image, where there are such.
    pub(crate) fn lay<'g>(&self, map: Value<'g>, lead: usize) -> (Value<'g>, Option<Value<'g>>) {
        let dims = map.dims();
        let ahead = dims.get(..lead).unwrap_or(&[]);
        let with = |extents: &[usize]| -> Vec<Dim> {
            ahead.iter().copied().chain(extents.iter().map(|&n| Dim::Fixed(n))).collect()
        };
        let flat = map.reshape(&with(&[self.cells.len() + self.others.len()]));
        let take = |places: &[usize]| match places {
            [first, .., last] if places.windows(2).all(|w| matches!(w, [a, b] if a + 1 == *b)) => {
                flat.slice(lead, *first as i64, *last as i64 + 1, 1)
            }
            _ => flat.gather(flat.graph().ints(&places.iter().map(|&p| p as i64).collect::<Vec<_>>()), lead),
        };
        let others = (!self.others.is_empty()).then(|| take(&self.others).reduce_sum(&[lead], false));
        (take(&self.cells).reshape(&with(&self.sides)), others)
    }

    /// The same for the map of one image.
    pub fn lay_out(&self, map: &ArrayD<f32>) -> (ArrayD<f32>, Option<f64>) {
        let flat: Vec<f32> = map.iter().copied().collect();
        let at = |place: &usize| flat.get(*place).copied().unwrap_or(0.0);
        let cells = self.cells.iter().map(at).collect();
        let others = (!self.others.is_empty()).then(|| self.others.iter().map(|p| f64::from(at(p))).sum());
        (ArrayD::from_shape_vec(IxDyn(&self.sides), cells).unwrap_or_else(|_| map.clone()), others)
    }
}

/// The grid of a layer whose axes of space are `space`; none where these are those of the image already, in their order, or
/// where the graph does not tell.
///
/// `given` are the extents of the grid for where the graph does not tell. Tokens that it leaves over are the first ones.
///
/// # Errors
/// [`Error::Argument`] when `given` does not fit the layer, or contradicts the graph.
pub(crate) fn grid(
    shapes: &Shapes,
    places: Option<&Places>,
    (layer, space): (&str, &[usize]),
    given: Option<&[usize]>,
) -> Result<Option<Grid>, Error> {
    let known = match places.map(|places| places.placement(shapes, layer, space)) {
        Some(Placement::As(grid)) => Some(grid),
        _ => None,
    };
    let Some(given) = given else { return Ok(known) };
    let dims = shapes.dims(layer).unwrap_or_default();
    let extents: Vec<usize> = space.iter().filter_map(|&a| dims.get(a)).map(|d| d.per_image()).collect();
    let refuse = |why: String| {
        let asked = given.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
        Err(Error::Argument(format!("the grid {asked} does not fit the layer {:?}: {why}", short(layer))))
    };
    let own = known.as_ref().map_or(extents.as_slice(), |g| g.sides.as_slice());
    if own == given {
        return Ok(known);
    }
    let cells = given.iter().try_fold(1usize, |p, &n| p.checked_mul(n)).unwrap_or(usize::MAX);
    match (&known, extents.as_slice()) {
        (Some(grid), _) => refuse(format!("by the graph its places are a grid {:?}", grid.sides)),
        (None, &[tokens]) if given.len() > 1 && (1..=tokens).contains(&cells) => Ok(Some(Grid {
            sides: given.to_vec(),
            cells: (tokens - cells..tokens).collect(),
            others: (0..tokens - cells).collect(),
        })),
        (None, [tokens]) => refuse(format!("it has {tokens} places")),
        (None, extents) => refuse(format!("its places have {} axes already: {extents:?}", extents.len())),
    }
}

/// What to say of a layer whose axes of space are `space` where its places are not those of the image, as channels after a
/// pooling, or where the graph does not tell; none where they are.
pub(crate) fn elsewhere(shapes: &Shapes, places: Option<&Places>, layer: &str, space: &[usize]) -> Option<String> {
    if layer == shapes.image {
        return None;
    }
    match places?.placement(shapes, layer, space) {
        Placement::AsIs | Placement::As(_) => None,
        Placement::Unknown => Some("the graph does not tell where in the image the layer's places lie".into()),
        Placement::Elsewhere => Some(
            "the layer does not lie in the image: its axes count something else, or several places at once, so the map does not show where".into(),
        ),
    }
}
