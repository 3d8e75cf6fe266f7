//! Where the outputs of a node lie in the image, from where its inputs do and what its card says of its entries.

use super::Places;
use super::places::{places_of, sizes};
use super::steps::{Counts, MOST_AXES, MOST_ENTRIES, Positions, in_common_units, regrouped, split, whole_axis};
use crate::error::unsupported;
use crate::graph::{Attributes, axis};
use crate::onnx::messages::NodeProto;
use crate::ops::{Card, Entries, Layout, Role, einsum, padding, reduction, slicing};
use crate::shape::Shapes;
use crate::{Model, Tensor};

impl Places {
    /// Where the output number `output` of `node`, of the extents `to`, lies; none where that is not known. `work` counts
    /// the steps that are gone through for it.
    pub(super) fn through(
        &self,
        model: &Model,
        shapes: &Shapes,
        node: &NodeProto,
        (output, to): (usize, &[usize]),
        work: &mut usize,
    ) -> Option<Positions> {
        let a = model.attributes(node);
        let card = model.card(node)?;
        let mut inputs = self.inputs(shapes, node)?;
        let whole = in_common_units(&mut inputs)?;
        let steps = |positions: &Positions| {
            positions.axes.iter().map(|a| if let Counts::Places(s) = a { s.len() } else { 0 }).sum::<usize>()
        };
        *work += inputs.iter().map(steps).sum::<usize>();
        let axes = match card.entries {
            Entries::Joined => joined(shapes, &a, &inputs, to)?,
            Entries::MatrixProduct => product(&inputs, to)?,
            Entries::GeneralProduct => general_product(&a, &inputs)?,
            Entries::Equation => by_equation(&a, &inputs, to)?,
            entries if card.layout == Layout::Same && !MOVING.contains(&entries) => entry_by_entry(&inputs, to),
            // All others move the entries of their first input.
            _ => {
                let from = sizes(shapes, node.input.first()?)?;
                return Move { shapes, a, from, to, output }.through(card, inputs.into_iter().next()?, work);
            }
        };
        Some(Positions { axes, whole })
    }

    /// Where the inputs of a node lie: nowhere, where they are not made of the image. None where one has no known shape.
    fn inputs(&self, shapes: &Shapes, node: &NodeProto) -> Option<Vec<Positions>> {
        let input = |name: &String| match self.of.get(name.as_str()) {
            Some(positions) => Some(positions.clone()),
            None => Some(Positions {
                axes: vec![Counts::Nothing; if name.is_empty() { 0 } else { shapes.dims(name)?.len() }],
                whole: [1; MOST_AXES],
            }),
        };
        node.input.iter().map(input).collect()
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

/// The axes of what is computed entry by entry of values that broadcast: shorter shapes are aligned at their end.
fn entry_by_entry(inputs: &[Positions], to: &[usize]) -> Vec<Counts> {
    let of_axis = |(i, &n): (usize, &usize)| {
        let own =
            inputs.iter().filter_map(|positions| positions.axes.get((i + positions.axes.len()).checked_sub(to.len())?));
        own.fold(Counts::Nothing, |known, axis| known.with(axis, n))
    };
    to.iter().enumerate().map(of_axis).collect()
}

/// The axes of a matrix product: rows of the first factor, columns of the second, and stacks of both.
fn product(inputs: &[Positions], to: &[usize]) -> Option<Vec<Counts>> {
    let [left, right] = inputs.first_chunk()?;
    let stacks = |positions: &Positions| Positions {
        axes: positions.axes.iter().rev().skip(2).rev().cloned().collect(),
        ..*positions
    };
    let row = left.axes.iter().rev().nth(1).cloned();
    let column = right.axes.last().filter(|_| right.axes.len() > 1).cloned();
    let lead = to.len().checked_sub(usize::from(row.is_some()) + usize::from(column.is_some()))?;
    let axes = entry_by_entry(&[stacks(left), stacks(right)], to.get(..lead)?);
    Some(axes.into_iter().chain(row).chain(column).collect())
}

/// The axes of a product of two matrices that may be transposed.
fn general_product(a: &Attributes, inputs: &[Positions]) -> Option<Vec<Counts>> {
    let [left, right] = inputs.first_chunk()?;
    let rows = left.axes.get(usize::from(a.int("transA", 0) != 0))?;
    let columns = right.axes.get(usize::from(a.int("transB", 0) == 0))?;
    Some(vec![rows.clone(), columns.clone()])
}

/// The axes of what an equation of letters makes.
fn by_equation(a: &Attributes, inputs: &[Positions], to: &[usize]) -> Option<Vec<Counts>> {
    let ranks: Vec<usize> = inputs.iter().map(|positions| positions.axes.len()).collect();
    let (terms, output) = einsum::letters(a, &ranks)?;
    let of_letter = |(letter, &n): (char, &usize)| {
        let own = terms.iter().zip(inputs).filter_map(|(t, positions)| positions.axes.get(t.find(letter)?));
        own.fold(Counts::Nothing, |known, axis| known.with(axis, n))
    };
    Some(output.chars().zip(to).map(of_letter).collect())
}

/// The axes of values one behind the other.
fn joined(shapes: &Shapes, a: &Attributes, inputs: &[Positions], to: &[usize]) -> Option<Vec<Counts>> {
    let at = axis(a.int("axis", 1), to.len()).ok()?;
    let mut axes = entry_by_entry(inputs, to);
    *axes.get_mut(at)? = joined_axis(shapes, a.node, inputs, at)?;
    Some(axes)
}

/// The axis along which values lie one behind the other. What is no place of the image has none there.
fn joined_axis(shapes: &Shapes, node: &NodeProto, inputs: &[Positions], at: usize) -> Option<Counts> {
    let own: Vec<&Counts> = inputs.iter().map(|positions| positions.axes.get(at)).collect::<Option<_>>()?;
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

/// A node that moves the entries of its first input.
struct Move<'a> {
    shapes: &'a Shapes,
    a: Attributes<'a>,
    /// The extents of its first input.
    from: Vec<usize>,
    /// The extents of the output, and its number.
    to: &'a [usize],
    output: usize,
}

impl Move<'_> {
    /// Where the output lies, from where the first input does.
    fn through(&self, card: &Card, first: Positions, work: &mut usize) -> Option<Positions> {
        let Positions { mut axes, mut whole } = first;
        match (card.entries, card.layout) {
            (Entries::Sliced, _) => self.sliced(&mut axes)?,
            (Entries::Parted, _) => self.parted(&mut axes)?,
            (Entries::Padded, _) => self.padded(&mut axes)?,
            (Entries::Indexed, _) => self.indexed(&mut axes)?,
            (Entries::Sorted, _) => *axes.get_mut(self.axis(-1)?)? = Counts::Lost,
            (Entries::PlaceOfBest, _) => self.reduced(&mut axes, &[self.axis(0)?]),
            (Entries::Reduced, _) => {
                let chosen = match self.list(1, "axes") {
                    None if self.given(1) => return None,
                    list => reduction::chosen(&self.a, list, self.from.len()).ok()?,
                };
                self.reduced(&mut axes, &chosen);
            }
            (_, Layout::Permuted) => {
                let back: Vec<i64> = (0..self.from.len() as i64).rev().collect();
                let perm = self.a.ints("perm").unwrap_or(&back);
                axes = perm.iter().map(|&p| axes.get(usize::try_from(p).ok()?).cloned()).collect::<Option<_>>()?;
            }
            (_, Layout::Reshaped) => axes = regrouped(&axes, &self.from, self.to, work)?,
            (Entries::Sampled, _) => return None,
            (Entries::Resized, _) | (_, Layout::ChannelsFirst) if self.from.len() == self.to.len() => {
                let first = card.layout == Layout::ChannelsFirst;
                if first && card.role != Role::Pooling && card.entries != Entries::Normalised {
                    *axes.get_mut(1)? = Counts::Nothing;
                }
                self.resized(&mut axes, &mut whole);
            }
            (Entries::Broadcast, _) => axes = entry_by_entry(&[Positions { axes, whole }], self.to),
            (Entries::Scattered, _) if axes.iter().any(places_of) => {}
            _ => return None,
        }
        Some(Positions { axes, whole })
    }

    /// Whether the node has the input `i`.
    fn given(&self, i: usize) -> bool {
        self.a.node.input.get(i).is_some_and(|name| !name.is_empty())
    }

    /// The integers of the input `i`, where they are known.
    fn stored(&self, i: usize) -> Option<Vec<i64>> {
        self.shapes.constant(self.a.node.input.get(i)?).map(Tensor::to_ints)
    }

    /// The integers of an attribute, or of the input `i`, where they are known.
    fn list(&self, i: usize, name: &str) -> Option<Vec<i64>> {
        self.a.ints(name).map(<[i64]>::to_vec).or_else(|| self.stored(i))
    }

    /// The axis of the first input that the attribute `axis` names.
    fn axis(&self, default: i64) -> Option<usize> {
        axis(self.a.int("axis", default), self.from.len()).ok()
    }

    fn sliced(&self, axes: &mut [Counts]) -> Option<()> {
        let known = |i: usize, name: &str| match self.list(i, name) {
            None if self.given(i) => unsupported("a range that is only known at run time"),
            list => Ok(list),
        };
        for r in slicing::slice_ranges(&self.from, known).ok()? {
            let at = |k: usize| usize::try_from(r.start + k as i64 * r.step).ok();
            let slot = axes.get_mut(r.axis)?;
            *slot = slot.take((0..r.count).map(at));
        }
        Some(())
    }

    fn parted(&self, axes: &mut [Counts]) -> Option<()> {
        let at = self.axis(0)?;
        let before = self.a.node.output.iter().take(self.output).map(|o| Some(*sizes(self.shapes, o)?.get(at)?));
        let start = before.sum::<Option<usize>>()?;
        let slot = axes.get_mut(at)?;
        *slot = slot.take((start..start.checked_add(*self.to.get(at)?)?).map(Some));
        Some(())
    }

    fn padded(&self, axes: &mut [Counts]) -> Option<()> {
        let pads = self.list(1, "pads")?;
        let padded = if self.given(3) { Some(self.stored(3)?) } else { None };
        let sizes = padding::pad_sizes(self.from.len(), &pads, padded).ok()?;
        for (slot, (begin, end)) in axes.iter_mut().zip(sizes).filter(|(_, pad)| *pad != (0, 0)) {
            *slot = slot.padded(begin, end);
        }
        Some(())
    }

    fn indexed(&self, axes: &mut Vec<Counts>) -> Option<()> {
        let at = self.axis(0)?;
        let of_indices = sizes(self.shapes, self.a.node.input.get(1)?)?;
        let taken = (at < axes.len()).then(|| axes.remove(at))?;
        let n = *self.from.get(at)? as i64;
        let entry = |i: i64| usize::try_from(if i < 0 { i.checked_add(n)? } else { i }).ok();
        let made = match (&taken, self.stored(1).map(|indices| taken.take(indices.into_iter().map(entry)))) {
            (Counts::Nothing, _) | (_, Some(Counts::Nothing)) => vec![Counts::Nothing; of_indices.len()],
            (_, Some(Counts::Places(steps))) => split(steps.to_vec(), &of_indices),
            _ => vec![Counts::Lost; of_indices.len()],
        };
        axes.splice(at..at, made);
        Some(())
    }

    /// Takes the axes away over which the node reduces.
    fn reduced(&self, axes: &mut Vec<Counts>, chosen: &[usize]) {
        let keep = self.a.int("keepdims", 1) != 0;
        let mut at = 0;
        axes.iter_mut().enumerate().filter(|(i, _)| chosen.contains(i)).for_each(|(_, slot)| *slot = Counts::Nothing);
        axes.retain(|_| {
            at += 1;
            keep || !chosen.contains(&(at - 1))
        });
    }

    /// Makes new places of axes that get longer or shorter, where they cover the image from end to end.
    fn resized(&self, axes: &mut [Counts], whole: &mut [usize; MOST_AXES]) {
        let before = *whole;
        for ((slot, _), &to) in axes.iter_mut().zip(&self.from).zip(self.to).filter(|((_, n), to)| n != to) {
            let Counts::Places(steps) = &slot else { continue };
            let along = whole_axis(steps, &before);
            *slot = along.map_or(Counts::Lost, |along| Counts::fresh(along, to));
            if let Some(extent) = along.and_then(|along| whole.get_mut(along)) {
                *extent = to;
            }
        }
    }
}
