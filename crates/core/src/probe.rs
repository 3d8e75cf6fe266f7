//! Heads evaluated at activations that are made up.

use crate::analysis::Analysis;
use crate::head::Head;
use crate::onnx::elements;
use crate::shape::Shapes;
use crate::{Error, Tensor, reference};
use std::collections::HashMap;

/// b = h(0) for every logit, in row-major order: the scores of a head without any activation.
///
/// # Errors
/// [`Error::Unsupported`] when a node of the head cannot be evaluated, [`Error::Argument`] when the layer is too large.
pub fn bias(analysis: &Analysis, head: &Head) -> Result<Vec<f64>, Error> {
    let zeros = filled(&analysis.shapes, &head.layer, |_| 0.0)?;
    let logits = scores(analysis, head, zeros)?;
    Ok(logits.into_iter().take(head.score.entries()).collect())
}

/// A number of a fixed sequence in (0, 4): squares times the golden ratio, modulo 1. Multiples of it would be so even that
/// all means over places are the same.
fn number(i: usize) -> f64 {
    // From 1 on: nothing comes back through a power of 0.
    let i = (i % (1 << 20) + 1) as f64;
    4.0 * (i * i * 0.618_033_988_749_895).fract()
}

/// A made-up value.
pub(crate) fn made_up(shapes: &Shapes, value: &str) -> Result<Tensor, Error> {
    filled(shapes, value, number)
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
