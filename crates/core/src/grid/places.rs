//! The places of the image, followed through the graph from value to value.

use super::Grid;
use super::steps::{
    Counts, Laid, MOST_AXES, MOST_ENTRIES, covers, in_common_units, line, merged, regrouped, split, whole_axis,
};
use crate::graph::{Attributes, axis, reads};
use crate::onnx::messages::NodeProto;
use crate::ops::{Entries, Kind, Layout, einsum, padding, reduction, shape_only, slicing};
use crate::shape::Shapes;
use crate::{Model, Tensor};
use std::collections::HashMap;

/// How many steps all of a graph's axes together may have.
const MOST_STEPS: usize = 1 << 26;

/// Whether a value lies in the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lies {
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
    of: HashMap<String, Laid>,
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
        let mut places = Places { of: HashMap::from([(image.to_owned(), Laid { axes, whole })]), rank: space.len() };
        let mut work = 0usize;
        for (_, node) in model.order().filter(|(_, node)| !shape_only(node)) {
            let sources: Vec<&Laid> = reads(node).iter().filter_map(|value| places.of.get(*value)).collect();
            let Some(first) = sources.first() else { continue };
            // What is made of values without places has none, whatever makes it.
            let nowhere = sources.iter().all(|laid| laid.axes.iter().all(|a| *a == Counts::Nothing));
            let unknown = Laid { axes: Vec::new(), whole: first.whole };
            for (i, output) in node.output.iter().enumerate() {
                let Some(to) = sizes(shapes, output) else { continue };
                let followed = if nowhere { None } else { places.through(model, shapes, node, (i, &to), &mut work) };
                let mut laid = followed.filter(|laid| laid.axes.len() == to.len()).unwrap_or_else(|| Laid {
                    axes: vec![if nowhere { Counts::Nothing } else { Counts::Lost }; to.len()],
                    ..unknown.clone()
                });
                // What does not have an entry for each index was not understood.
                for (slot, &n) in laid.axes.iter_mut().zip(&to) {
                    match slot {
                        Counts::Places(steps) if steps.len() != n => *slot = Counts::Lost,
                        _ => {}
                    }
                    if n == 1 && *slot == Counts::Lost {
                        *slot = Counts::Nothing;
                    }
                }
                places.of.insert(output.clone(), laid);
                if work > MOST_STEPS {
                    return None;
                }
            }
        }
        (!space.is_empty()).then_some(places)
    }

    /// Where the output number `output` of `node`, of the extents `to`, lies; none where that is not known. `work` counts
    /// the steps that are gone through for it.
    fn through(
        &self,
        model: &Model,
        shapes: &Shapes,
        node: &NodeProto,
        (output, to): (usize, &[usize]),
        work: &mut usize,
    ) -> Option<Laid> {
        let a = model.attributes(node);
        let card = model.card(node)?;
        let mut inputs = self.inputs(shapes, node)?;
        let whole = in_common_units(&mut inputs)?;
        let steps =
            |laid: &Laid| laid.axes.iter().map(|a| if let Counts::Places(s) = a { s.len() } else { 0 }).sum::<usize>();
        *work += inputs.iter().map(steps).sum::<usize>();
        match card.entries {
            Entries::Joined => {
                let at = axis(a.int("axis", 1), to.len()).ok()?;
                let mut axes = entry_by_entry(&inputs, to);
                *axes.get_mut(at)? = self.joined(shapes, node, &inputs, at)?;
                return Some(Laid { axes, whole });
            }
            Entries::MatrixProduct => return Some(Laid { axes: product(&inputs, to)?, whole }),
            Entries::GeneralProduct => {
                let [left, right] = inputs.first_chunk()?;
                let rows = left.axes.get(usize::from(a.int("transA", 0) != 0))?;
                let columns = right.axes.get(usize::from(a.int("transB", 0) == 0))?;
                return Some(Laid { axes: vec![rows.clone(), columns.clone()], whole });
            }
            Entries::Equation => {
                let ranks: Vec<usize> = inputs.iter().map(|laid| laid.axes.len()).collect();
                let (terms, output) = einsum::letters(&a, &ranks)?;
                let of_letter = |(letter, &n): (char, &usize)| {
                    let own = terms.iter().zip(&inputs).filter_map(|(t, laid)| laid.axes.get(t.find(letter)?));
                    own.fold(Counts::Nothing, |known, axis| known.with(axis, n))
                };
                return Some(Laid { axes: output.chars().zip(to).map(of_letter).collect(), whole });
            }
            _ => {}
        }
        if card.layout == Layout::Same && !MOVING.contains(&card.entries) {
            return Some(Laid { axes: entry_by_entry(&inputs, to), whole });
        }
        // All others move the entries of their first input.
        let from = sizes(shapes, node.input.first()?)?;
        let on = |at: i64| axis(at, from.len()).ok();
        let mut axes = inputs.into_iter().next()?.axes;
        let stored = |i: usize| shapes.constant(node.input.get(i)?).map(Tensor::to_ints);
        let list = |i: usize, name: &str| a.ints(name).map(<[i64]>::to_vec).or_else(|| stored(i));
        let given = |i: usize| node.input.get(i).is_some_and(|name| !name.is_empty());
        let mut extents = whole;
        match (card.entries, card.layout) {
            (Entries::Sliced, _) => {
                let known = |i: usize, name: &str| match list(i, name) {
                    None if given(i) => Err(crate::error::Fault::Unsupported(String::new())),
                    list => Ok(list),
                };
                for r in slicing::slice_ranges(&from, known).ok()? {
                    let at = |k: usize| usize::try_from(r.start + k as i64 * r.step).ok();
                    let slot = axes.get_mut(r.axis)?;
                    *slot = slot.take((0..r.count).map(at));
                }
            }
            (Entries::Parted, _) => {
                let at = on(a.int("axis", 0))?;
                let before = node.output.iter().take(output).map(|o| Some(*sizes(shapes, o)?.get(at)?));
                let start = before.sum::<Option<usize>>()?;
                let slot = axes.get_mut(at)?;
                *slot = slot.take((start..start.checked_add(*to.get(at)?)?).map(Some));
            }
            (Entries::Padded, _) => {
                let pads = list(1, "pads")?;
                let sizes =
                    padding::pad_sizes(from.len(), &pads, if given(3) { Some(stored(3)?) } else { None }).ok()?;
                for (slot, (begin, end)) in axes.iter_mut().zip(sizes).filter(|(_, pad)| *pad != (0, 0)) {
                    *slot = slot.padded(begin, end);
                }
            }
            (Entries::Indexed, _) => {
                let at = on(a.int("axis", 0))?;
                let of_indices = sizes(shapes, node.input.get(1)?)?;
                let taken = axes.remove(at);
                let entry =
                    |i: i64| usize::try_from(if i < 0 { i.checked_add(*from.get(at)? as i64)? } else { i }).ok();
                let made = match (&taken, stored(1).map(|indices| taken.take(indices.into_iter().map(entry)))) {
                    (Counts::Nothing, _) => vec![Counts::Nothing; of_indices.len()],
                    (_, Some(Counts::Places(steps))) => split(steps.to_vec(), &of_indices),
                    (_, Some(Counts::Nothing)) => vec![Counts::Nothing; of_indices.len()],
                    _ => vec![Counts::Lost; of_indices.len()],
                };
                axes.splice(at..at, made);
            }
            (Entries::Sorted, _) => *axes.get_mut(on(a.int("axis", -1))?)? = Counts::Lost,
            (Entries::PlaceOfBest, _) => reduced(&mut axes, &[on(a.int("axis", 0))?], &a),
            (Entries::Reduced, _) => {
                let chosen = match list(1, "axes") {
                    None if given(1) => return None,
                    list => reduction::chosen(&a, list, from.len()).ok()?,
                };
                reduced(&mut axes, &chosen, &a);
            }
            (_, Layout::Permuted) => {
                let back: Vec<i64> = (0..from.len() as i64).rev().collect();
                let perm = a.ints("perm").unwrap_or(&back);
                axes = perm.iter().map(|&p| axes.get(usize::try_from(p).ok()?).cloned()).collect::<Option<_>>()?;
            }
            (_, Layout::Reshaped) => axes = regrouped(&axes, &from, to, work)?,
            (Entries::Sampled, _) => return None,
            (Entries::Resized, _) | (_, Layout::ChannelsFirst) if from.len() == to.len() => {
                if card.layout == Layout::ChannelsFirst
                    && card.kind != Kind::Pooling
                    && card.entries != Entries::Normalised
                {
                    *axes.get_mut(1)? = Counts::Nothing;
                }
                for ((slot, _), &to) in axes.iter_mut().zip(&from).zip(to).filter(|((_, n), to)| n != to) {
                    let Counts::Places(steps) = &slot else { continue };
                    let along = whole_axis(steps, &whole);
                    *slot = along.map_or(Counts::Lost, |along| Counts::fresh(along, to));
                    if let Some(extent) = along.and_then(|along| extents.get_mut(along)) {
                        *extent = to;
                    }
                }
            }
            (Entries::Broadcast, _) => axes = entry_by_entry(&[Laid { axes, whole }], to),
            (Entries::Scattered, _) if axes.iter().any(places_of) => {}
            _ => return None,
        }
        Some(Laid { axes, whole: extents })
    }

    /// Where the inputs of a node lie: nowhere, where they are not made of the image. None where one has no known shape.
    fn inputs(&self, shapes: &Shapes, node: &NodeProto) -> Option<Vec<Laid>> {
        let input = |name: &String| match self.of.get(name.as_str()) {
            Some(laid) => Some(laid.clone()),
            None => Some(Laid {
                axes: vec![Counts::Nothing; if name.is_empty() { 0 } else { shapes.dims(name)?.len() }],
                whole: [1; MOST_AXES],
            }),
        };
        node.input.iter().map(input).collect()
    }

    /// The axis along which a Concat puts its inputs one behind the other. What is no place of the image has none there.
    fn joined(&self, shapes: &Shapes, node: &NodeProto, inputs: &[Laid], at: usize) -> Option<Counts> {
        let own: Vec<&Counts> = inputs.iter().map(|laid| laid.axes.get(at)).collect::<Option<_>>()?;
        if own.iter().all(|axis| **axis == Counts::Nothing) {
            return Some(Counts::Nothing);
        }
        let mut joined = Vec::new();
        for (input, axis) in node.input.iter().zip(own) {
            match axis {
                Counts::Places(steps) => joined.extend(steps.iter().copied()),
                Counts::Nothing => joined.extend(std::iter::repeat_n(None, *sizes(shapes, input)?.get(at)?)),
                Counts::Lost => return Some(Counts::Lost),
            }
            if joined.len() > MOST_ENTRIES {
                return Some(Counts::Lost);
            }
        }
        Some(Counts::of(joined))
    }

    /// The axis of `value` that counts channels, if all others make places of the whole image.
    pub(crate) fn channels(&self, shapes: &Shapes, value: &str) -> Option<usize> {
        let rank = self.of.get(value)?.axes.len();
        let others = |channels: usize| (1..rank).filter(|&a| a != channels).collect::<Vec<_>>();
        let lies = |a: usize| matches!(self.lie(shapes, value, &others(a)), Lies::AsIs | Lies::As(_));
        let mut found = (1..rank).filter(|&a| lies(a));
        found.next().filter(|_| found.next().is_none())
    }

    /// Whether the axis `axis` of `value` counts places of the image, as windows that are folded into the batch.
    pub(crate) fn counts_places(&self, value: &str, axis: usize) -> bool {
        self.of.get(value).and_then(|laid| laid.axes.get(axis)).is_some_and(places_of)
    }

    /// How a value lies in the image whose axes of space are `space`.
    pub(crate) fn lie(&self, shapes: &Shapes, value: &str, space: &[usize]) -> Lies {
        let (Some(laid), Some(extents)) = (self.of.get(value), sizes(shapes, value)) else { return Lies::Unknown };
        let axes: Option<Vec<&Counts>> = space.iter().map(|&a| laid.axes.get(a)).collect();
        let extents: Option<Vec<usize>> = space.iter().map(|&a| extents.get(a).copied()).collect();
        let (Some(axes), Some(extents)) = (axes, extents) else { return Lies::Unknown };
        if extents.iter().all(|&n| n == 1) || axes.iter().zip(&extents).any(|(a, &n)| **a == Counts::Nothing && n > 1) {
            return Lies::Elsewhere;
        }
        if axes.contains(&&Counts::Lost) {
            return Lies::Unknown;
        }
        if self.as_is(&axes) {
            return Lies::AsIs;
        }
        let Some(steps) = merged(&axes, &extents) else { return Lies::Unknown };
        self.grid_of(&steps, &extents, &laid.whole)
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
    fn grid_of(&self, steps: &[Option<[i64; MOST_AXES]>], extents: &[usize], whole: &[usize; MOST_AXES]) -> Lies {
        let mut own: Vec<&[i64; MOST_AXES]> = steps.iter().flatten().collect();
        let count = own.len();
        own.sort_unstable();
        own.dedup();
        // A place that there are two of is no cell; and a single one is no map.
        if own.len() < count || count < 2 {
            return Lies::Elsewhere;
        }
        // The places along each axis of the image.
        let mut along: Vec<Vec<i64>> = Vec::new();
        for (d, &whole) in whole.iter().enumerate() {
            let mut values: Vec<i64> = own.iter().filter_map(|s| s.get(d).copied()).collect();
            values.sort_unstable();
            values.dedup();
            if !covers(&values, whole) {
                return Lies::Unknown;
            }
            along.push(values);
        }
        let sides: Vec<usize> = along.iter().take(self.rank).map(Vec::len).collect();
        if sides.iter().try_fold(1usize, |p, &n| p.checked_mul(n)) != Some(count) {
            return Lies::Unknown;
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
        if as_is { Lies::AsIs } else { Lies::As(Grid { sides, cells, others }) }
    }
}

/// What moves entries along the axes of the first input, whose layout stays.
const MOVING: &[Entries] = &[
    Entries::Sliced,
    Entries::Parted,
    Entries::Padded,
    Entries::Repeated,
    Entries::Resized,
    Entries::Broadcast,
    Entries::Scattered,
];

fn sizes(shapes: &Shapes, value: &str) -> Option<Vec<usize>> {
    Some(shapes.dims(value)?.iter().map(|d| d.per_image()).collect())
}

/// Whether an axis counts places, more than one.
fn places_of(axis: &Counts) -> bool {
    matches!(axis, Counts::Places(steps) if steps.len() > 1)
}

/// The axes of what is computed entry by entry of values that broadcast: shorter shapes are aligned at their end.
fn entry_by_entry(inputs: &[Laid], to: &[usize]) -> Vec<Counts> {
    let of_axis = |(i, &n): (usize, &usize)| {
        let own = inputs.iter().filter_map(|laid| laid.axes.get((i + laid.axes.len()).checked_sub(to.len())?));
        own.fold(Counts::Nothing, |known, axis| known.with(axis, n))
    };
    to.iter().enumerate().map(of_axis).collect()
}

/// The axes of a matrix product: rows of the first factor, columns of the second, and stacks of both.
fn product(inputs: &[Laid], to: &[usize]) -> Option<Vec<Counts>> {
    let [left, right] = inputs.first_chunk()?;
    let stacks = |laid: &Laid| Laid { axes: laid.axes.iter().rev().skip(2).rev().cloned().collect(), ..*laid };
    let row = left.axes.iter().rev().nth(1).cloned();
    let column = right.axes.last().filter(|_| right.axes.len() > 1).cloned();
    let lead = to.len().checked_sub(usize::from(row.is_some()) + usize::from(column.is_some()))?;
    let axes = entry_by_entry(&[stacks(left), stacks(right)], to.get(..lead)?);
    Some(axes.into_iter().chain(row).chain(column).collect())
}

/// Takes the axes away over which a node reduces.
fn reduced(axes: &mut Vec<Counts>, chosen: &[usize], a: &Attributes) {
    let keep = a.int("keepdims", 1) != 0;
    let mut at = 0;
    axes.iter_mut().enumerate().filter(|(i, _)| chosen.contains(i)).for_each(|(_, slot)| *slot = Counts::Nothing);
    axes.retain(|_| {
        at += 1;
        keep || !chosen.contains(&(at - 1))
    });
}
