//! The gradients of several classes from one sweep, where the head is not affine.

use super::constant::MOST_NUMBERS;
use super::pick::{Logits, Picked};
use crate::build::Value;
use crate::graph::standard;
use crate::head::{self, Head};
use crate::shape::{Dim, Shapes};
use crate::tensor::is_float;
use crate::{Error, Model, grad};

/// ∂s/∂A of each class that is picked, `[N, M, …]` with A's other axes. None where they cannot be found together.
///
/// The seeds of all classes lie one after the other along the batch, and so do the values that the rules read, each once
/// for every class. Every product with weights is then one, for which an engine keeps these weights once.
///
/// Convolutions are left out: tract is slower at batches of them than at one after the other.
pub(super) fn gradients<'g>(
    model: &Model,
    shapes: &Shapes,
    head: &Head,
    logits: &Logits<'g, '_>,
    picked: &Picked<'g>,
    image: &str,
) -> Option<Value<'g>> {
    let graph = logits.raw.graph();
    let nodes = head.path.iter().filter_map(|&i| model.graph().node.get(i));
    if head.score.is_dense() || nodes.into_iter().any(|n| matches!(standard(n), "Conv" | "ConvTranspose")) {
        return None;
    }
    let m = picked.scores.sizes().get(1).copied()?;
    let dims = graph.value(&head.layer).ok()?.dims();
    let batch = *dims.first()?;
    if dims.iter().try_fold(m, |p, d| p.checked_mul(d.per_image())).is_none_or(|p| p > MOST_NUMBERS) {
        return None;
    }
    let of_image = head::dependence(model, shapes, image);
    let repeated = |name: &str| -> Result<Value<'g>, Error> {
        let value = graph.value(name)?;
        if !of_image.contains_key(name) || !is_float(value.dtype()) {
            return Ok(value);
        }
        let (dims, of_batch) = (value.shaped()?.dims(), |d: &Dim| matches!(d, Dim::Batch(_)));
        let leads = match batch {
            Dim::Batch(_) => dims.first().is_some_and(of_batch),
            Dim::Fixed(_) => dims.first() == Some(&batch),
        };
        match leads {
            true => Ok(Value::concat(&vec![value; m], 0).unwrap_or(value)),
            false if dims.iter().any(of_batch) || matches!(batch, Dim::Fixed(_)) => {
                Err(Error::Argument(format!("the first axis of {name:?} is not the batch")))
            }
            false => Ok(value),
        }
    };
    let seed = (head.score.logits.as_str(), logits.seeds(picked));
    let made = grad::vjp_of(model, &head.path, &head.dependence, seed, &head.layer, &repeated);
    let gradient = made.ok()?.with_rank(dims.len());
    // What was emitted in vain is left out in the end.
    let gradient = graph.take_fault().map_or(Some(gradient), |_| None)?;
    let (first, rest) = gradient.dims().split_first().map(|(first, rest)| (*first, rest.to_vec()))?;
    if first != batch.times(m) {
        return None;
    }
    let apart = gradient.reshape(&[&[Dim::Fixed(m), batch], rest.as_slice()].concat());
    let perm: Vec<usize> = [1, 0].into_iter().chain(2..apart.rank()).collect();
    Some(apart.transpose(&perm))
}
