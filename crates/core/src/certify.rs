//! The certificate: what is proven of a map, from the graph alone.
//!
//! With h the head as a function of the activation A, s = h(A) the score and g = ∂s/∂A:
//! - h affine: Σ g⊙A + b = s with b = h(0), the same for every image (Draelos & Carin 2020, arXiv:2011.08891, for one
//!   linear layer; here for any affine head);
//! - h piecewise affine: the same on the linear region that the image falls in, with a b of its own;
//! - otherwise: where g is 0 the map is 0, and nothing more.

use crate::error::describe;
use crate::graph::reads;
use crate::head::{Head, shape_only};
use crate::ops::{self, Dependence, Linearity};
use crate::reference;
use crate::shape::Shapes;
use crate::{Error, Model, Tensor};
use std::collections::{HashMap, HashSet};
use std::fmt;

/// What is proven of every map at a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The head is affine: Σ map + b = score, b the same for every image; each cell is that place's contribution.
    Exact,
    /// The head is affine on the region that the image falls in: Σ map + b(image) = score.
    LocallyLinear,
    /// Only this: a place that the score does not depend on gets 0.
    GradientOnly,
    /// Nothing: the method averages gradients, and the gradient differs from place to place.
    Unproven,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Exact => "exact",
            Verdict::LocallyLinear => "locally-linear",
            Verdict::GradientOnly => "gradient-only",
            Verdict::Unproven => "unproven",
        })
    }
}

/// What is proven of the maps at a layer, for every image.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The verdict.
    pub verdict: Verdict,
    /// The node that decides it: the first that keeps the head from being affine.
    pub reason: Option<String>,
    /// The node where a path that goes around the layer joins, if there is such a path.
    pub bypass: Option<String>,
    /// Whether the gradient is the same at all places, so that HiResCAM = Grad-CAM = CAM / places.
    pub uniform: bool,
}

/// Judges a head. `uniform` is what the reverse sweep found.
pub fn certify(model: &Model, head: &Head, uniform: bool) -> Certificate {
    let bypass = bypass(model, head);
    let (mut worst, mut reason) = (Linearity::Affine, None);
    for node in head.path.iter().filter_map(|&i| model.graph().node.get(i)) {
        let inputs = head.inputs(node);
        let smooth = inputs.contains(&Dependence::Smooth);
        let linearity = match ops::find(node) {
            // Steps alone have no slope, but they do choose between pieces.
            _ if !smooth => Linearity::Piecewise,
            None => Linearity::Smooth,
            Some(card) if inputs.contains(&Dependence::Discrete) => (card.linearity)(&inputs).max(Linearity::Piecewise),
            Some(card) => (card.linearity)(&inputs),
        };
        if linearity.min(Linearity::Smooth) > worst {
            worst = linearity.min(Linearity::Smooth);
            reason = Some(describe(node));
        }
    }
    let verdict = match (worst, &bypass) {
        (Linearity::Affine, None) => Verdict::Exact,
        // What comes by the bypass differs from image to image, and so does b.
        (Linearity::Affine, Some(join)) => {
            reason = Some(join.clone());
            Verdict::LocallyLinear
        }
        (Linearity::Piecewise, _) => Verdict::LocallyLinear,
        _ => Verdict::GradientOnly,
    };
    Certificate { verdict, reason, bypass, uniform }
}

/// The node at which a path from an input that avoids the layer meets the head.
fn bypass(model: &Model, head: &Head) -> Option<String> {
    let mut around: HashSet<&str> = model.inputs().map(|i| i.name()).filter(|n| *n != head.layer).collect();
    for (_, node) in model.order() {
        if !shape_only(node) && reads(node).iter().any(|r| around.contains(r)) {
            around.extend(node.output.iter().map(String::as_str).filter(|o| *o != head.layer));
        }
    }
    // A value can be reached both through the layer and around it; the join is where the two first meet.
    head.path
        .iter()
        .filter_map(|&i| model.graph().node.get(i))
        .find(|n| n.input.iter().any(|i| around.contains(i.as_str())))
        .map(describe)
}

/// b = h(0) for every class: the scores of a head without any activation.
///
/// # Errors
/// [`Error::Unsupported`] when a node of the head cannot be evaluated.
pub fn bias(model: &Model, shapes: &Shapes, head: &Head) -> Result<Vec<f64>, Error> {
    let zeros = layer_tensor(shapes, head, |_| 0.0)?;
    let logits = scores(model, shapes, head, zeros)?;
    Ok(logits.into_iter().take(head.score.classes).collect())
}

/// Whether the scores stay the same when the activation is scaled, as with a LayerNorm right after the layer: then
/// Σ g⊙A = 0 by Euler's theorem, whatever the score.
///
/// Only heads with a quotient are tried, on one pseudo-random activation A: h(2A) = h(A) to a thousandth of the spread
/// of the scores (the ε of normalisations keeps it from being exact).
///
/// # Errors
/// [`Error::Unsupported`] when a node of the head cannot be evaluated.
pub fn ignores_scale(model: &Model, shapes: &Shapes, head: &Head) -> Result<bool, Error> {
    let ratio = |i: &usize| {
        let node = model.graph().node.get(*i)?;
        Some((ops::find(node)?.linearity)(&head.inputs(node)) == Linearity::Ratio)
    };
    if !head.path.iter().any(|i| ratio(i) == Some(true)) {
        return Ok(false);
    }
    // A fixed, irregular sequence in (0, 1): multiples of the golden ratio, modulo 1.
    let value = |i: usize| (i as f64 * 0.618_033_988_749_895).fract();
    let once = scores(model, shapes, head, layer_tensor(shapes, head, value)?)?;
    let twice = scores(model, shapes, head, layer_tensor(shapes, head, |i| 2.0 * value(i))?)?;
    let largest = once.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let change = once.iter().zip(&twice).fold(0.0f64, |m, (a, b)| m.max((a - b).abs()));
    Ok(change <= 1e-3 * largest)
}

fn layer_tensor(shapes: &Shapes, head: &Head, value: impl Fn(usize) -> f64) -> Result<Tensor, Error> {
    let fact = shapes.probes.first().and_then(|(_, f)| f.get(&head.layer));
    let fact = fact.ok_or_else(|| Error::Argument(format!("the shape of {:?} is unknown", head.layer)))?;
    let values = (0..fact.shape.iter().product()).map(value).collect();
    Ok(Tensor::new(fact.dtype, &fact.shape, values)?)
}

fn scores(model: &Model, shapes: &Shapes, head: &Head, activation: Tensor) -> Result<Vec<f64>, Error> {
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
    Ok(logits.first().map(|t| t.data.iter().copied().collect()).unwrap_or_default())
}
