//! Where the places of a layer lie in the image: tokens as rows and columns.
//!
//! A transformer makes a row of tokens of the places of an image, in its own order, and puts others beside them that are
//! no places: a class token, registers. What was done to get there is in the graph. So each axis of a value is followed
//! from the image on as a list of steps: how far down, across … an entry lies. An element lies where the steps of its
//! indices add up to; a list entry of none stands for no place at all. To merge axes is to add their steps, to split one
//! is to take them apart again, and slices, joins and permutations do to the list what they do to the axis.

use crate::build::Value;
use crate::error::short;
use crate::graph::axis;
use crate::head::Head;
use crate::onnx::NodeProto;
use crate::ops::{Layout, slicing};
use crate::shape::{Dim, Shapes};
use crate::{Error, Model};
use ndarray::{ArrayD, IxDyn};
use std::collections::HashMap;
use std::rc::Rc;

/// The most axes of space an image has.
const MOST_AXES: usize = 3;
/// Axes with more entries than this are not followed.
const MOST_ENTRIES: usize = 1 << 20;
/// How many steps all of a graph's axes together may have.
const MOST_STEPS: usize = 1 << 26;

/// How far along each axis of the image; none for what is no place.
type Step = Option<[i64; MOST_AXES]>;
/// The steps of an axis; none where it does not count places.
type Steps = Option<Rc<[Step]>>;

/// Where the elements of a value lie.
#[derive(Clone)]
struct Laid {
    axes: Vec<Steps>,
    /// The extents of the image in units of the steps.
    whole: [usize; MOST_AXES],
}

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

/// The grid of the layer that `head` starts from; none where its axes of space are those of the image already, in their
/// order, or where the graph does not tell.
///
/// `given` are the extents of the grid for where the graph does not tell. Tokens that it leaves over are the first ones.
///
/// # Errors
/// [`Error::Argument`] when `given` does not fit the layer, or contradicts the graph.
pub fn grid(model: &Model, shapes: &Shapes, head: &Head, given: Option<&[usize]>) -> Result<Option<Grid>, Error> {
    let found = Places::follow(model, shapes);
    let known = found.as_ref().and_then(|places| places.grid(shapes, &head.layer, &head.space));
    let Some(given) = given else { return Ok(known) };
    let dims = shapes.dims(&head.layer).unwrap_or_default();
    let extents: Vec<usize> = head.space.iter().filter_map(|&a| dims.get(a)).map(|d| d.per_image()).collect();
    let refuse = |why: String| {
        let asked = given.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
        Err(Error::Argument(format!("the grid {asked} does not fit the layer {:?}: {why}", short(&head.layer))))
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

/// Where the elements of all values lie in the image.
pub(crate) struct Places<'m> {
    of: HashMap<&'m str, Laid>,
    /// How many axes of space the image has.
    rank: usize,
}

impl<'m> Places<'m> {
    /// Follows the axes of space from the image on. None for an image without such axes, or with too many.
    pub(crate) fn follow(model: &'m Model, shapes: &Shapes) -> Option<Self> {
        let image = model.inputs().find(|i| i.name() == shapes.image)?.name();
        let dims = shapes.dims(image)?;
        let space = shapes.image_places();
        let mut whole = [1; MOST_AXES];
        let mut axes = vec![None; dims.len()];
        for (along, &axis) in space.iter().enumerate() {
            let n = dims.get(axis)?.per_image();
            *whole.get_mut(along)? = n;
            *axes.get_mut(axis)? = fresh(along, n);
        }
        let mut places = Places { of: HashMap::from([(image, Laid { axes, whole })]), rank: space.len() };
        let mut work = 0usize;
        for (_, node) in model.order() {
            for (i, output) in node.output.iter().enumerate().filter(|(_, o)| !o.is_empty()) {
                let laid = places.through(model, shapes, node, i, &mut work);
                if let Some(laid) = laid.filter(|laid| laid.axes.iter().any(Option::is_some)) {
                    places.of.insert(output, laid);
                }
                if work > MOST_STEPS {
                    return None;
                }
            }
        }
        (!space.is_empty()).then_some(places)
    }

    /// Where the output number `output` of `node` lies. `work` counts the steps that are gone through for it.
    fn through(
        &self,
        model: &Model,
        shapes: &Shapes,
        node: &NodeProto,
        output: usize,
        work: &mut usize,
    ) -> Option<Laid> {
        let sizes =
            |value: &str| -> Option<Vec<usize>> { Some(shapes.dims(value)?.iter().map(|d| d.per_image()).collect()) };
        let to = sizes(node.output.get(output)?)?;
        // Of several inputs the first that has places decides.
        let (value, laid) = node.input.iter().find_map(|i| Some((i, self.of.get(i.as_str())?)))?;
        let from = sizes(value)?;
        let is_first = node.input.first() == Some(value);
        let a = model.attributes(node);
        let on = |at: i64| axis(at, from.len()).ok();
        let mut axes = laid.axes.clone();
        let mut whole = laid.whole;
        *work += axes.iter().flatten().map(|s| s.len()).sum::<usize>();
        let card = model.card(node)?;
        match (card.name, card.layout) {
            ("Concat", _) => {
                let at = on(a.int("axis", 1))?;
                let mut joined: Vec<Step> = Vec::new();
                for input in &node.input {
                    let n = *sizes(input)?.get(at)?;
                    let part = self.of.get(input.as_str());
                    match part.and_then(|l| l.axes.get(at)?.as_deref()) {
                        Some(steps) => joined.extend(steps),
                        // All at one place, or no places at all.
                        None => {
                            let step = part.map(|_| [0; MOST_AXES]);
                            joined.extend(std::iter::repeat_n(step, n.min(MOST_ENTRIES)));
                        }
                    }
                    *work += n;
                }
                *axes.get_mut(at)? = list(joined);
            }
            ("Slice", _) => {
                let ints = |i: usize, name: &str| {
                    let stored = node.input.get(i).filter(|i| !i.is_empty()).map(|i| shapes.constant(i));
                    Ok(match (a.ints(name), stored) {
                        (Some(list), _) => Some(list.to_vec()),
                        (None, Some(stored)) => stored.map(crate::Tensor::to_ints),
                        (None, None) => None,
                    })
                };
                for r in slicing::slice_ranges(&from, ints).ok()? {
                    let slot = axes.get_mut(r.axis)?;
                    let at = |k: usize| usize::try_from(r.start + k as i64 * r.step).ok();
                    *slot = slot.as_ref().and_then(|s| list((0..r.count).map(|k| *s.get(at(k)?)?)));
                }
            }
            ("Split", _) => {
                let at = on(a.int("axis", 0))?;
                let before = node.output.iter().take(output).map(|o| Some(*sizes(o)?.get(at)?));
                let (start, n) = (before.sum::<Option<usize>>()?, *to.get(at)?);
                let slot = axes.get_mut(at)?;
                *slot = slot.as_ref().and_then(|s| list(s.get(start..start.checked_add(n)?)?.iter().copied()));
            }
            ("Gather", _) if is_first => {
                let at = on(a.int("axis", 0))?;
                let indices = shapes.constant(node.input.get(1)?)?;
                let entry = |i: i64| usize::try_from(if i < 0 { i + *from.get(at)? as i64 } else { i }).ok();
                let taken = axes.get(at)?.as_ref();
                let taken = taken.and_then(|s| list(indices.to_ints().into_iter().map(|i| *s.get(entry(i)?)?)));
                axes.remove(at);
                match indices.shape().len() {
                    0 => {}
                    1 => axes.insert(at, taken),
                    _ => return None,
                }
            }
            (_, Layout::Permuted) => {
                let back: Vec<i64> = (0..from.len() as i64).rev().collect();
                let perm = a.ints("perm").unwrap_or(&back);
                axes = perm.iter().map(|&p| laid.axes.get(usize::try_from(p).ok()?).cloned()).collect::<Option<_>>()?;
            }
            (_, Layout::Reshaped) if is_first => axes = regrouped(laid, &from, &to, work)?,
            (_, Layout::ChannelsLast) if is_first && a.int("transA", 0) == 0 && from.len() == to.len() => {
                *axes.last_mut()? = None;
            }
            ("Resize" | "Upsample", _) | (_, Layout::ChannelsFirst) if is_first && from.len() == to.len() => {
                if card.layout == Layout::ChannelsFirst {
                    *axes.get_mut(1)? = None;
                }
                for ((slot, _), &to) in axes.iter_mut().zip(&from).zip(&to).filter(|((_, n), to)| n != to) {
                    let along = slot.as_deref().and_then(|s| whole_axis(s, &laid.whole));
                    *slot = along.and_then(|along| fresh(along, to));
                    if let Some(extent) = along.and_then(|along| whole.get_mut(along)) {
                        *extent = to;
                    }
                }
            }
            ("ScatterElements" | "ScatterND", _) if !is_first => return None,
            (_, Layout::Same) if from.len() <= to.len() => {
                // Shorter shapes are aligned at their end.
                axes.splice(..0, std::iter::repeat_n(None, to.len() - from.len()));
            }
            _ => return None,
        }
        // What does not have an entry for each index was not understood.
        for (slot, &n) in axes.iter_mut().zip(&to) {
            *slot = slot.take().filter(|s| s.len() == n);
        }
        (axes.len() == to.len()).then_some(Laid { axes, whole })
    }

    /// The axis of `value` that counts channels, if all others make places of the whole image.
    pub(crate) fn channels(&self, shapes: &Shapes, value: &str) -> Option<usize> {
        let rank = self.of.get(value)?.axes.len();
        let others = |channels: usize| (1..rank).filter(|&a| a != channels).collect::<Vec<_>>();
        let mut found = (1..rank).filter(|&a| self.lie(shapes, value, &others(a)).is_some());
        found.next().filter(|_| found.next().is_none())
    }

    /// How the places of a layer lie, where `space` are its axes of space. None where they lie as these axes say, and
    /// where it is not known.
    pub(crate) fn grid(&self, shapes: &Shapes, layer: &str, space: &[usize]) -> Option<Grid> {
        let (grid, as_is) = self.lie(shapes, layer, space)?;
        (!as_is).then_some(grid)
    }

    /// Whether no element of a value is a place of the image, as far as it could be followed: as where of all tokens those
    /// are taken that stand for detected objects.
    pub(crate) fn elsewhere(&self, value: &str) -> bool {
        let nowhere = |steps: &Rc<[Step]>| steps.iter().all(Option::is_none);
        self.of.get(value).is_some_and(|laid| laid.axes.iter().flatten().any(nowhere))
    }

    /// Whether the axis `axis` of `value` counts places of the image, as windows that are folded into the batch.
    pub(crate) fn counts_places(&self, value: &str, axis: usize) -> bool {
        self.of.get(value).and_then(|laid| laid.axes.get(axis)).is_some_and(Option::is_some)
    }

    /// How the places of a layer lie, and whether they lie as the axes `space` say.
    fn lie(&self, shapes: &Shapes, layer: &str, space: &[usize]) -> Option<(Grid, bool)> {
        let laid = self.of.get(layer)?;
        let dims = shapes.dims(layer)?;
        let extents: Vec<usize> = space.iter().map(|&a| dims.get(a).map(|d| d.per_image())).collect::<Option<_>>()?;
        let axes: Vec<&Steps> = space.iter().map(|&a| laid.axes.get(a)).collect::<Option<_>>()?;
        if axes.iter().zip(&extents).any(|(steps, &n)| steps.is_none() && n > 1) {
            return None;
        }
        let steps = merged(&axes, &extents)?;
        // The places along each axis of the image.
        let mut along: Vec<Vec<i64>> = Vec::new();
        for (d, &whole) in laid.whole.iter().enumerate() {
            let mut values: Vec<i64> = steps.iter().flatten().filter_map(|s| s.get(d).copied()).collect();
            values.sort_unstable();
            values.dedup();
            along.push(Some(values).filter(|v| covers(v, whole))?);
        }
        let sides: Vec<usize> = along.iter().take(self.rank).map(Vec::len).collect();
        if sides.iter().try_fold(1usize, |p, &n| p.checked_mul(n)) > Some(steps.len()) {
            return None;
        }
        let mut cells = vec![None; sides.iter().product()];
        let mut others = Vec::new();
        for (place, step) in steps.iter().enumerate() {
            let Some(step) = step else {
                others.push(place);
                continue;
            };
            let mut cell = 0;
            for (values, at) in along.iter().zip(step) {
                cell = cell * values.len() + values.binary_search(at).ok()?;
            }
            // A place that there are two of is no cell.
            if cells.get_mut(cell)?.replace(place).is_some() {
                return None;
            }
        }
        let cells: Vec<usize> = cells.into_iter().collect::<Option<_>>()?;
        let as_is = sides == extents && cells.iter().copied().eq(0..steps.len());
        Some((Grid { sides, cells, others }, as_is))
    }
}

/// Steps as an axis keeps them: none where all are the same place.
fn list(steps: impl IntoIterator<Item = Step>) -> Steps {
    let steps: Rc<[Step]> = steps.into_iter().collect();
    let places = steps.iter().flatten().any(|s| *s != [0; MOST_AXES]);
    (places || steps.contains(&None)).then_some(steps)
}

/// The axis number `along` of an image that has `n` places there.
fn fresh(along: usize, n: usize) -> Steps {
    let step = |k: usize| Some(std::array::from_fn(|d| if d == along { k as i64 } else { 0 }));
    if n > MOST_ENTRIES { None } else { list((0..n).map(step)) }
}

/// Whether places lie equally far apart, from end to end of an axis of the image.
fn covers(places: &[i64], whole: usize) -> bool {
    let Some(&first) = places.first() else { return false };
    let apart = places.get(1).map_or(whole as i64, |second| second - first);
    let spare = whole as i64 - apart * places.len() as i64;
    let regular = places.windows(2).all(|w| matches!(w, [a, b] if b - a == apart));
    regular && (0..apart).contains(&first) && spare.abs() < apart
}

/// Which axis of the image these steps are all of.
fn whole_axis(steps: &[Step], whole: &[usize; MOST_AXES]) -> Option<usize> {
    whole.iter().enumerate().position(|(along, &whole)| {
        let only =
            |s: &Step| s.filter(|s| s.iter().enumerate().all(|(d, &at)| d == along || at == 0)).map(|s| s[along]);
        steps.iter().map(only).collect::<Option<Vec<i64>>>().is_some_and(|places| covers(&places, whole))
    })
}

/// The steps of several axes of the given extents taken as one.
fn merged(axes: &[&Steps], extents: &[usize]) -> Option<Vec<Step>> {
    let count = extents.iter().try_fold(1usize, |p, &n| p.checked_mul(n)).filter(|n| (1..=MOST_ENTRIES).contains(n))?;
    if axes.iter().all(|a| a.is_none()) {
        return None;
    }
    let mut all: Vec<Step> = vec![Some([0; MOST_AXES])];
    for (steps, &n) in axes.iter().zip(extents) {
        let add = |a: Step, b: Step| {
            let (a, b) = (a?, b?);
            Some(std::array::from_fn(|d| a[d].wrapping_add(b[d])))
        };
        let at = |k: usize| steps.as_ref().map_or(Some([0; MOST_AXES]), |s| s.get(k).copied().flatten());
        all = all.iter().flat_map(|&a| (0..n).map(move |k| (a, k))).map(|(a, k)| add(a, at(k))).collect();
    }
    (all.len() == count).then_some(all)
}

/// One axis taken apart into axes of the given extents; nothing is known of them where its steps are no sums.
fn split(steps: Vec<Step>, extents: &[usize]) -> Vec<Steps> {
    let count = steps.len();
    let strides: Vec<usize> =
        extents.iter().scan(count, |left, &n| Some(std::mem::replace(left, *left / n) / n)).collect();
    // One of the axes alone: this keeps what is no place.
    for (i, (&n, &stride)) in extents.iter().zip(&strides).enumerate().filter(|(_, (n, _))| **n > 1) {
        if steps.iter().enumerate().all(|(k, step)| steps.get(k / stride % n * stride) == Some(step)) {
            let mut axes = vec![None; extents.len()];
            let own = list((0..n).map(|k| steps.get(k * stride).copied().flatten()));
            axes.iter_mut().skip(i).take(1).for_each(|slot| *slot = own.clone());
            return axes;
        }
    }
    // Or their sum, where the first axis carries where all of it begins.
    let mut axes = Vec::new();
    for (i, (&n, &stride)) in extents.iter().zip(&strides).enumerate() {
        let begin = if i == 0 { Some([0; MOST_AXES]) } else { steps.first().copied().flatten() };
        let from_begin = |step: Step| {
            let (step, begin) = (step?, begin?);
            Some(std::array::from_fn(|d| step[d].wrapping_sub(begin[d])))
        };
        axes.push(list((0..n).map(|k| from_begin(steps.get(k * stride).copied().flatten()))));
    }
    let whole = !steps.contains(&None) && merged(&axes.iter().collect::<Vec<_>>(), extents) == Some(steps);
    if whole { axes } else { vec![None; extents.len()] }
}

/// The axes of a Reshape, each from those that it is made of.
fn regrouped(laid: &Laid, from: &[usize], to: &[usize], work: &mut usize) -> Option<Vec<Steps>> {
    let mut axes = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < from.len() || j < to.len() {
        // The shortest stretches of axes with as many elements.
        let (first, second) = (i, j);
        let (mut before, mut after) = (1usize, 1usize);
        while before != after || (i, j) == (first, second) {
            let (count, list, at) = match before <= after && i < from.len() {
                true => (&mut before, from, &mut i),
                false => (&mut after, to, &mut j),
            };
            *count = count.checked_mul(*list.get(*at)?).filter(|&n| n > 0)?;
            *at += 1;
        }
        let parts: Vec<&Steps> = laid.axes.get(first..i)?.iter().collect();
        let extents = to.get(second..j)?;
        *work += if before <= MOST_ENTRIES { before } else { 0 };
        match merged(&parts, from.get(first..i)?) {
            Some(steps) => axes.extend(split(steps, extents)),
            None => axes.extend(vec![None; extents.len()]),
        }
    }
    Some(axes)
}
