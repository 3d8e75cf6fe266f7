//! The places of the image, followed through the graph from value to value.

use super::Grid;
use super::steps::{Counts, MOST_AXES, Positions, covers, line, merged};
use crate::Model;
use crate::axes::Samples;
use crate::graph::reads;
use crate::ops::shape_only;
use crate::shape::Shapes;
use std::collections::HashMap;

/// How many steps all of a graph's axes together may have.
const MOST_STEPS: usize = 1 << 26;

/// Whether a value lies in the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Its axes of space are those of the image, in their order.
    AsIs,
    /// Each of its places is one of the image, as the grid says, or none at all.
    As(Grid),
    /// The graph does not tell.
    Unknown,
    /// Its axes of space count something else: channels, heads, detected objects; or several things at once.
    Elsewhere,
}

/// Where the elements of all values lie in the image.
#[derive(Debug)]
pub(crate) struct Places {
    /// All values that are made of the image and have a known shape.
    pub(super) of: HashMap<String, Positions>,
    /// How many axes of space the image has.
    rank: usize,
}

impl Places {
    /// Follows the axes of space from the image on. None for an image without such axes, or with too many.
    pub(crate) fn follow(model: &Model, shapes: &Shapes) -> Option<Self> {
        let image = model.inputs().find(|i| i.name() == shapes.image)?.name();
        let dims = shapes.dims(image)?;
        let space = shapes.image_places();
        let mut whole = [1; MOST_AXES];
        let mut axes = vec![Counts::Nothing; dims.len()];
        for (along, &axis) in space.iter().enumerate() {
            let n = dims.get(axis)?.per_image();
            *whole.get_mut(along)? = n;
            *axes.get_mut(axis)? = Counts::fresh(along, n);
        }
        let mut places =
            Places { of: HashMap::from([(image.to_owned(), Positions { axes, whole })]), rank: space.len() };
        let mut work = 0usize;
        for (_, node) in model.order().filter(|(_, node)| !shape_only(node)) {
            let sources: Vec<&Positions> = reads(node).iter().filter_map(|value| places.of.get(*value)).collect();
            let Some(first) = sources.first() else { continue };
            // What is made of values without places has none, whatever makes it.
            let nowhere = sources.iter().all(|positions| positions.axes.iter().all(|a| *a == Counts::Nothing));
            let unknown = Positions { axes: Vec::new(), whole: first.whole };
            for (i, output) in node.output.iter().enumerate() {
                let Some(to) = sizes(shapes, output) else { continue };
                let followed = if nowhere { None } else { places.through(model, shapes, node, (i, &to), &mut work) };
                let mut positions =
                    followed.filter(|positions| positions.axes.len() == to.len()).unwrap_or_else(|| Positions {
                        axes: vec![if nowhere { Counts::Nothing } else { Counts::Lost }; to.len()],
                        ..unknown.clone()
                    });
                // What does not have an entry for each index was not understood.
                for (slot, &n) in positions.axes.iter_mut().zip(&to) {
                    match slot {
                        Counts::Places(steps) if steps.len() != n => *slot = Counts::Lost,
                        _ => {}
                    }
                    if n == 1 && *slot == Counts::Lost {
                        *slot = Counts::Nothing;
                    }
                }
                places.of.insert(output.clone(), positions);
                if work > MOST_STEPS {
                    return None;
                }
            }
        }
        (!space.is_empty()).then_some(places)
    }

    /// The axis of `value` that counts channels, if all others make places of the whole image.
    pub(crate) fn channels(&self, shapes: &Shapes, value: &str) -> Option<usize> {
        let rank = self.of.get(value)?.axes.len();
        let samples = shapes.samples(value).unwrap_or(Samples::FIRST);
        let lies = |channels: &usize| {
            let others = samples.places(rank, Some(*channels));
            matches!(self.placement(shapes, value, &others), Placement::AsIs | Placement::As(_))
        };
        let mut found = samples.places(rank, None).into_iter().filter(lies);
        found.next().filter(|_| found.next().is_none())
    }

    /// Whether the axis `axis` of `value` counts places of the image, as windows that are folded into the batch.
    pub(crate) fn counts_places(&self, value: &str, axis: usize) -> bool {
        self.of.get(value).and_then(|positions| positions.axes.get(axis)).is_some_and(places_of)
    }

    /// How a value lies in the image whose axes of space are `space`.
    pub(crate) fn placement(&self, shapes: &Shapes, value: &str, space: &[usize]) -> Placement {
        let (Some(positions), Some(extents)) = (self.of.get(value), sizes(shapes, value)) else {
            return Placement::Unknown;
        };
        let axes: Option<Vec<&Counts>> = space.iter().map(|&a| positions.axes.get(a)).collect();
        let extents: Option<Vec<usize>> = space.iter().map(|&a| extents.get(a).copied()).collect();
        let (Some(axes), Some(extents)) = (axes, extents) else { return Placement::Unknown };
        if extents.iter().all(|&n| n == 1) || axes.iter().zip(&extents).any(|(a, &n)| **a == Counts::Nothing && n > 1) {
            return Placement::Elsewhere;
        }
        if axes.contains(&&Counts::Lost) {
            return Placement::Unknown;
        }
        if self.as_is(&axes) {
            return Placement::AsIs;
        }
        let Some(steps) = merged(&axes, &extents) else { return Placement::Unknown };
        self.grid_of(&steps, &extents, &positions.whole)
    }

    /// Whether axes follow those of the image, each its own, in their order. They need not do so from end to end.
    fn as_is(&self, axes: &[&Counts]) -> bool {
        let mut next = 0;
        let own = |axis: &&Counts| match axis {
            Counts::Places(steps) if steps.len() > 1 => {
                let line = line(steps).filter(|&(along, _, apart)| along >= next && apart > 0);
                next = line.map_or(next, |(along, ..)| along + 1);
                line.is_some()
            }
            _ => true,
        };
        axes.len() == self.rank && axes.iter().all(own)
    }

    /// How places of these steps lie.
    fn grid_of(&self, steps: &[Option<[i64; MOST_AXES]>], extents: &[usize], whole: &[usize; MOST_AXES]) -> Placement {
        let mut own: Vec<&[i64; MOST_AXES]> = steps.iter().flatten().collect();
        let count = own.len();
        own.sort_unstable();
        own.dedup();
        // A place that there are two of is no cell; and a single one is no map.
        if own.len() < count || count < 2 {
            return Placement::Elsewhere;
        }
        // The places along each axis of the image.
        let mut along: Vec<Vec<i64>> = Vec::new();
        for (d, &whole) in whole.iter().enumerate() {
            let mut values: Vec<i64> = own.iter().filter_map(|s| s.get(d).copied()).collect();
            values.sort_unstable();
            values.dedup();
            if !covers(&values, whole) {
                return Placement::Unknown;
            }
            along.push(values);
        }
        let sides: Vec<usize> = along.iter().take(self.rank).map(Vec::len).collect();
        if sides.iter().try_fold(1usize, |p, &n| p.checked_mul(n)) != Some(count) {
            return Placement::Unknown;
        }
        let mut cells = vec![0; count];
        let mut others = Vec::new();
        for (place, step) in steps.iter().enumerate() {
            let Some(step) = step else {
                others.push(place);
                continue;
            };
            let number = |cell: usize, (values, at): (&Vec<i64>, &i64)| {
                cell * values.len() + values.binary_search(at).unwrap_or_default()
            };
            let cell = along.iter().zip(step).fold(0, number);
            cells.iter_mut().skip(cell).take(1).for_each(|slot| *slot = place);
        }
        let as_is = sides == extents && cells.iter().copied().eq(0..steps.len());
        if as_is { Placement::AsIs } else { Placement::As(Grid { sides, cells, others }) }
    }
}

pub(super) fn sizes(shapes: &Shapes, value: &str) -> Option<Vec<usize>> {
    Some(shapes.dims(value)?.iter().map(|d| d.per_image()).collect())
}

/// Whether an axis counts places, more than one.
pub(super) fn places_of(axis: &Counts) -> bool {
    matches!(axis, Counts::Places(steps) if steps.len() > 1)
}
