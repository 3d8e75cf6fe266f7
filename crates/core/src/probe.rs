//! Numeric trials of heads: what is found by evaluating a head at activations that are made up.

use crate::analysis::Analysis;
use crate::certify::can_be_negative;
use crate::head::{self, Head};
use crate::onnx::messages::NodeProto;
use crate::onnx::{attribute, elements};
use crate::ops::{self, Entries, Linearity};
use crate::shape::{Dim, Shapes};
use crate::{Error, Model, Tensor, reference};
use ndarray::{ArrayD, Axis, Dimension, IxDyn, Slice};
use std::collections::{HashMap, HashSet};

/// b = h(0) for every logit, in row-major order: the scores of a head without any activation.
///
/// # Errors
/// [`Error::Unsupported`] when a node of the head cannot be evaluated, [`Error::Argument`] when the layer is too large.
pub fn bias(analysis: &Analysis, head: &Head) -> Result<Vec<f64>, Error> {
    let zeros = filled(&analysis.shapes, &head.layer, |_| 0.0)?;
    let logits = scores(analysis, head, zeros)?;
    Ok(logits.into_iter().take(head.score.entries()).collect())
}

/// Whether the scores stay the same when the activation is scaled, as with a LayerNorm right after the layer: then
/// Σ g⊙A = 0 by Euler's theorem, whatever the score. Of tokens, those are scaled that are places of the image: a class
/// token goes around the LayerNorm.
///
/// Only heads with a quotient are tried, at made-up activations: h(2A) = h(A) to a thousandth of what lies between one and
/// the one before. The ε of normalisations, which keeps it from being exact, is left out; one that is written out in nodes
/// stays, and counts for small activations. A head that goes by steps stays the same too, but whatever is done to it: where
/// the gradient is 0, nothing is said.
///
/// # Errors
/// As [`bias`], and those of [`head::model`] and [`head::gradient`].
pub fn ignores_scale(analysis: &Analysis, head: &Head) -> Result<bool, Error> {
    let (model, shapes) = (analysis.model(), &analysis.shapes);
    let ratio = |node: &NodeProto| {
        let linearity = |card: &ops::Card| (card.linearity)(&model.attributes(node), &head.inputs(node));
        model.card(node).is_some_and(|card| linearity(card) == Linearity::Ratio)
    };
    if !head.path.iter().filter_map(|&i| model.graph().node.get(i)).any(ratio) {
        return Ok(false);
    }
    let mut part = head::model(analysis, head)?;
    for node in part.graph.iter_mut().flat_map(|g| &mut g.node).filter(|node| ratio(node)) {
        let mut exact = node.clone();
        exact.attribute.retain(|a| a.name() != "epsilon");
        exact.attribute.push(attribute("epsilon", 1e-12f32));
        // Where the operator has one.
        if ops::find(&model.attributes(&exact)).is_ok() {
            *node = exact;
        }
    }
    let part = Model::new(part)?;
    let scores = |activation: Tensor| {
        let mut known = beside(&part, shapes, &head.layer)?;
        known.insert(head.layer.clone(), activation);
        let logits = reference::evaluate(&part, known, &[&head.score.logits])?;
        Ok::<_, Error>(logits.into_iter().next().map(|t| t.data).unwrap_or_default())
    };
    let of_image = of_image(analysis, head)?;
    let mut before: Option<ArrayD<f64>> = None;
    for (once, share) in activations(analysis, head)? {
        let mut twice = once.clone();
        twice.data.indexed_iter_mut().filter(|(at, _)| of_image(at)).for_each(|(_, v)| *v *= 2.0);
        let (once, twice) = (scores(once)?, scores(twice)?);
        let apart = |other: &ArrayD<f64>| once.iter().zip(other).fold(0.0f64, |m, (a, b)| m.max((a - b).abs()));
        // The first time it is the size of the scores that counts, for want of others.
        let spread = before.as_ref().map_or_else(|| once.iter().fold(0.0f64, |m, v| m.max(v.abs())), apart);
        let finite = once.iter().chain(&twice).all(|v| v.is_finite());
        if !finite || apart(&twice) > share * spread {
            return Ok(false);
        }
        before = Some(once);
    }
    let gradient = Gradient::of(&part, shapes, head)?;
    for (activation, _) in activations(analysis, head)? {
        if gradient.at(activation)?.iter().any(|g| *g != 0.0) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The gradient of a head at made-up weights of the scores.
struct Gradient<'a> {
    layer: &'a str,
    model: Model,
    output: String,
    known: HashMap<String, Tensor>,
}

impl<'a> Gradient<'a> {
    fn of(part: &Model, shapes: &Shapes, head: &'a Head) -> Result<Self, Error> {
        let sweep = head::gradient(part, &head.layer, &head.score.logits)?;
        let mut known = beside(part, shapes, &head.layer)?;
        known.insert(sweep.seed, made_up_image(shapes, &head.score.logits, head.score.batch)?);
        Ok(Gradient { layer: &head.layer, model: Model::new(sweep.model)?, output: sweep.gradient, known })
    }

    fn at(&self, activation: Tensor) -> Result<ArrayD<f64>, Error> {
        let mut known = self.known.clone();
        known.insert(self.layer.to_owned(), activation);
        let made = reference::evaluate(&self.model, known, &[&self.output])?;
        Ok(made.into_iter().next().map(|t| t.data).unwrap_or_default())
    }
}

/// Whether a single place of the layer decides the scores, or none of the image: behind the last attention of a
/// transformer, the class token that alone is classified. Then a map has at most one cell.
///
/// Only heads that take one entry of as many as the layer has along an axis of space are tried, or where tokens are no
/// places a few, by the gradient at made-up activations: where one is stopped by a ReLU, or a gate that is all open, another
/// passes.
///
/// # Errors
/// As [`bias`], and those of [`head::model`] and [`head::gradient`].
pub fn reads_one_place(analysis: &Analysis, head: &Head) -> Result<bool, Error> {
    let (model, shapes) = (analysis.model(), &analysis.shapes);
    let extents = |value: &str| -> Option<Vec<usize>> {
        Some(shapes.dims(value)?.iter().skip(1).map(|d| d.per_image()).collect())
    };
    let layer = extents(&head.layer).unwrap_or_default();
    let space: Vec<usize> = head.space.iter().filter_map(|&axis| layer.get(axis.checked_sub(1)?).copied()).collect();
    let tokens = head.grid(analysis, None)?.is_some_and(|grid| grid.others() > 0);
    let takes_few = |node: &NodeProto| {
        let (from, to) = (extents(node.input.first()?)?, extents(node.output.first()?)?);
        let (before, after): (usize, usize) = (from.iter().product(), to.iter().product());
        let few = |n: usize| after.checked_mul(n) == Some(before) || (tokens && after < before);
        let of_places = |n: &usize| *n > 1 && space.contains(n) && few(*n);
        let takes = |c: &ops::Card| TAKING.contains(&c.entries);
        Some(ops::named(node).is_some_and(takes) && from.iter().any(of_places))
    };
    if !head.path.iter().filter_map(|&i| model.graph().node.get(i)).any(|node| takes_few(node) == Some(true)) {
        return Ok(false);
    }
    let part = Model::new(head::model(analysis, head)?)?;
    let gradient = Gradient::of(&part, shapes, head)?;
    let place = |at: &IxDyn| head.space.iter().map(|&axis| at.as_array_view().get(axis).copied()).collect::<Vec<_>>();
    let of_image = of_image(analysis, head)?;
    let (mut read, mut places) = (false, HashSet::new());
    for (activation, _) in activations(analysis, head)? {
        for (at, _) in gradient.at(activation)?.indexed_iter().filter(|(_, g)| **g != 0.0) {
            read = true;
            places.extend(of_image(&at).then(|| place(&at)));
        }
        if places.len() > 1 {
            return Ok(false);
        }
    }
    Ok(read)
}

/// What takes some of the places out of many.
const TAKING: &[Entries] = &[Entries::Indexed, Entries::IndexedByLists, Entries::Sliced, Entries::Parted];

/// Whether an entry of the layer belongs to a place of the image, and not to a token that is none.
fn of_image(analysis: &Analysis, head: &Head) -> Result<impl Fn(&IxDyn) -> bool, Error> {
    let grid = head.grid(analysis, None)?;
    let dims = analysis.shapes.dims(&head.layer).unwrap_or_default();
    let space: Vec<(usize, usize)> =
        head.space.iter().filter_map(|&axis| Some((axis, dims.get(axis)?.per_image()))).collect();
    Ok(move |at: &IxDyn| {
        let place = space.iter().fold(0, |place, &(axis, n)| place * n + at.as_array_view().get(axis).unwrap_or(&0));
        grid.as_ref().is_none_or(|grid| grid.holds(place))
    })
}

/// Made-up activations of a layer, for one image where the batch is free. What a head does at all of them it is taken to do
/// everywhere: so they are large and small, come near 0 and keep away from it, and have both signs where the layer can be
/// negative. A layer of few numbers has more of them, for chance does more there.
///
/// With each goes how far the scores may move, as a share, for the ε of a normalisation: it counts for small ones.
fn activations(analysis: &Analysis, head: &Head) -> Result<impl Iterator<Item = (Tensor, f64)> + use<>, Error> {
    let signed = can_be_negative(analysis, &head.layer);
    let ways: [(fn(f64) -> f64, f64); 6] = [
        (|v| 1.0 + 0.75 * v, 1e-3),
        (if signed { |v| 1.5 - v } else { |v| 4.0 - v }, 1e-3),
        // Most near 0, some far from it: small enough for what is clipped.
        (if signed { |v| (v - 2.0).powi(3) / 2.0 } else { |v| (v - 2.0).abs().powi(3) / 2.0 }, 1e-3),
        (|v| v.powi(3) / 16.0, 1e-3),
        (|v| v / 4.0, 0.02),
        // The other way round, for what lies between this one and the last is compared.
        (|v| (4.0 - v) / 16.0, 0.1),
    ];
    let first = made_up_image(&analysis.shapes, &head.layer, Some(0))?;
    let count = first.data.len().max(1);
    let rounds = (256 / count).clamp(1, 16);
    Ok((0..rounds).flat_map(move |round| ways.map(|way| (round, way))).map(move |(round, (way, share))| {
        let mut activation = first.clone();
        activation.data.iter_mut().enumerate().for_each(|(i, v)| *v = way(number(round * count + i)));
        (activation, share)
    }))
}

/// A number of a fixed sequence in (0, 4): squares times the golden ratio, modulo 1. Multiples of it would be so even that
/// all means over places are the same; and with these too near to one another the ε of a normalisation would count.
fn number(i: usize) -> f64 {
    // From 1 on: nothing comes back through a power of 0.
    let i = (i % (1 << 20) + 1) as f64;
    4.0 * (i * i * 0.618_033_988_749_895).fract()
}

/// A made-up value.
pub(crate) fn made_up(shapes: &Shapes, value: &str) -> Result<Tensor, Error> {
    filled(shapes, value, number)
}

/// The same for one image, where the batch is free; `batch` is the axis that counts images.
fn made_up_image(shapes: &Shapes, value: &str, batch: Option<usize>) -> Result<Tensor, Error> {
    let mut tensor = made_up(shapes, value)?;
    if let Some(axis) = batch.filter(|&axis| shapes.free_batch() && tensor.shape().get(axis).is_some_and(|&n| n > 1)) {
        tensor.data.slice_axis_inplace(Axis(axis), Slice::from(..1));
    }
    Ok(tensor)
}

/// Made-up values of all that the head `part` of a layer takes beside that layer.
fn beside(part: &Model, shapes: &Shapes, layer: &str) -> Result<HashMap<String, Tensor>, Error> {
    let one = |name: &str| {
        let batch = shapes.dims(name).and_then(|dims| dims.iter().position(|d| matches!(d, Dim::Batch(_))));
        Ok((name.to_owned(), made_up_image(shapes, name, batch)?))
    };
    part.inputs().map(|i| i.name()).filter(|name| *name != layer).map(one).collect()
}

fn filled(shapes: &Shapes, name: &str, value: impl Fn(usize) -> f64) -> Result<Tensor, Error> {
    let fact = shapes.probes.first().and_then(|(_, f)| f.get(name));
    let fact = fact.ok_or_else(|| Error::Argument(format!("the shape of {name:?} is unknown")))?;
    let count = elements(&fact.shape)?;
    if count > reference::MOST_NUMBERS {
        return Err(Error::Argument(format!("{name:?} is too large to be evaluated here")));
    }
    let values = (0..count).map(value).collect();
    Ok(Tensor::new(fact.dtype, &fact.shape, values)?)
}

/// The logits of an activation, one image's after the other.
pub(crate) fn scores(analysis: &Analysis, head: &Head, activation: Tensor) -> Result<Vec<f64>, Error> {
    let (model, shapes) = (analysis.model(), &analysis.shapes);
    let mut known = HashMap::from([(head.layer.clone(), activation)]);
    if let Some((_, facts)) = shapes.probes.first() {
        for node in head.path.iter().filter_map(|&i| model.graph().node.get(i)) {
            for input in &node.input {
                if let Some(value) = facts.get(input).and_then(|f| f.value.as_deref()) {
                    known.insert(input.clone(), value.clone());
                }
            }
        }
    }
    let logits = reference::evaluate(model, known, &[&head.score.logits])?;
    let first = logits.into_iter().next().map(|t| head.score.images_first(t.data));
    Ok(first.map(|logits| logits.iter().copied().collect()).unwrap_or_default())
}
