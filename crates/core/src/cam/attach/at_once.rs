//! The gradients of several classes from one sweep, where the head is not affine.

use super::constant::MOST_NUMBERS;
use crate::analysis::Analysis;
use crate::build::Value;
use crate::head::Head;
use crate::ops::{self, Entries};
use crate::shape::Dim;
use crate::target::{Logits, PickedValues};
use crate::tensor::is_float;
use crate::{Error, flow, grad};

/// ∂s/∂A of each class that is picked, `[N, M, …]` with A's other axes. None where they cannot be found together.
///
/// The seeds of an image's classes lie one after the other along the batch, and so do the values that the rules read, each
/// image's once for every class. Every product with weights is then one, for which an engine keeps these weights once.
///
/// Convolutions are left out: tract is slower at batches of them than at one after the other.
pub(super) fn gradients<'g>(
    analysis: &Analysis,
    head: &Head,
    logits: &Logits<'g, '_>,
    picked: &PickedValues<'g>,
) -> Option<Value<'g>> {
    let (model, shapes) = (analysis.model(), &analysis.shapes);
    let graph = logits.raw.graph();
    let mut cards = head.path.iter().filter_map(|&i| ops::named(model.graph().node.get(i)?));
    let first = head.score.batch == Some(0);
    if !first || head.score.is_dense() || cards.any(|card| card.entries == Entries::Convolved) {
        return None;
    }
    let m = picked.scores.sizes().get(1).copied()?;
    let dims = graph.value(&head.layer).ok()?.dims();
    let batch = *dims.first()?;
    if matches!(batch, Dim::Batch(2..)) {
        return None;
    }
    if dims.iter().try_fold(m, |p, d| p.checked_mul(d.per_image())).is_none_or(|p| p > MOST_NUMBERS) {
        return None;
    }
    let inputs: Vec<&str> = model.inputs().map(|input| input.name()).collect();
    let of_inputs = flow::dependence_on(model, shapes, &inputs);
    let repeated = |name: &str| -> Result<Value<'g>, Error> {
        let value = graph.value(name)?.wide();
        let of_layer = head.dependence.contains_key(name);
        // Integers may count places of the whole batch.
        if !is_float(value.dtype()) || !(of_layer || of_inputs.contains_key(name)) {
            return Ok(value);
        }
        let (dims, of_batch) = (value.shaped()?.dims(), |d: &Dim| matches!(d, Dim::Batch(_)));
        match (batch, dims.as_slice()) {
            (Dim::Batch(_), [Dim::Batch(_), rest @ ..]) => Ok(repeat(value, batch, rest, m)),
            (Dim::Fixed(_), [first, rest @ ..]) if *first == batch => Ok(repeat(value, batch, rest, m)),
            // What all images share is the same for all classes, unless the classes have derivatives by it.
            (Dim::Batch(_), dims) if !of_layer && !dims.iter().any(of_batch) => Ok(value),
            _ => Err(Error::Argument(format!("the first axis of {name:?} is not the batch"))),
        }
    };
    let seed = (head.score.logits.as_str(), logits.seeds(picked));
    let made = grad::vjp_of(model, &head.path, &head.dependence, seed, &head.layer, &repeated);
    let gradient = made.map(|gradient| gradient.with_rank(dims.len()));
    // What was emitted in vain is left out in the end.
    let gradient = graph.take_fault().map_or(gradient, Err).ok()?;
    let [first, rest @ ..] = &gradient.dims()[..] else { return None };
    if *first != batch.times(m) {
        return None;
    }
    Some(gradient.reshape(&[&[batch, Dim::Fixed(m)], rest].concat()))
}

/// Each image's part of a value `times` times, one after the other; the other axes have the extents `rest`.
fn repeat<'g>(value: Value<'g>, images: Dim, rest: &[Dim], times: usize) -> Value<'g> {
    let first = value.dims().first().copied().unwrap_or(images);
    let of_image = Dim::Fixed(first.per_image() / images.per_image().max(1));
    let apart = value.reshape(&[&[images, Dim::Fixed(1), of_image], rest].concat());
    let every: Vec<i64> = (0..apart.rank()).map(|axis| if axis == 1 { times as i64 } else { 1 }).collect();
    apart.expand(&every).reshape(&[&[first.times(times)], rest].concat())
}
