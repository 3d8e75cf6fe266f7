//! The certificate: what is proven of a map, from the graph alone.
//!
//! With h the head as a function of the activation A, s = h(A) the score and g = ∂s/∂A:
//! - h affine: Σ g⊙A + b = s with b = h(0), the same for every image (Draelos & Carin 2020, arXiv:2011.08891, for one
//!   linear layer; here for any affine head);
//! - h piecewise affine: the same on the linear region that the image falls in, with a b of its own;
//! - otherwise: where g is 0 the map is 0, and nothing more.

use crate::analysis::Analysis;
use crate::flow::around;
use crate::graph::{Attributes, reads};
use crate::head::Head;
use crate::onnx::describe;
use crate::onnx::messages::NodeProto;
use crate::ops::{self, Dependence, Linearity};
use crate::shape::Shapes;
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
    /// Σ map + b = score, but a cell is not that place's contribution: the method spreads contributions.
    SumOnly,
    /// Nothing.
    Unproven,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Exact => "exact",
            Verdict::LocallyLinear => "locally-linear",
            Verdict::GradientOnly => "gradient-only",
            Verdict::SumOnly => "sum-only",
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
    /// How many times its contribution a cell is: the number of places for CAM, 1 for everything else. Σ map / scale
    /// is in units of the score.
    pub scale: usize,
    /// What the method does that costs it the head's certificate, in a sentence.
    pub but: Option<String>,
    /// What makes the method's formula weak at this layer, in a sentence.
    pub caution: Option<String>,
    /// That the layer's places are not those of the image, or that the graph does not tell, in a sentence.
    pub elsewhere: Option<String>,
}

/// Judges a head, that is, HiResCAM's map. `uniform` is what the reverse sweep found.
pub fn certify(analysis: &Analysis, head: &Head, uniform: bool) -> Certificate {
    let model = analysis.model();
    let around = around(model, |name| name == head.layer);
    let mut judgement = Judgement::default();
    for node in head.path.iter().rev().filter_map(|&i| model.graph().node.get(i)) {
        // A value can be reached both through the layer and around it; the join is where the two first meet.
        judgement.add(&analysis.shapes, model.attributes(node), &head.dependence, |input| around.contains(input));
    }
    judgement.certificate(uniform)
}

/// What is known of a head while it is gone through from its end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Judgement<'m> {
    worst: Option<(Linearity, &'m NodeProto)>,
    bypass: Option<&'m NodeProto>,
}

impl<'m> Judgement<'m> {
    /// Puts the node of `a` before what is judged already. `dependence` says how values depend on the layer, `around`
    /// which are reached by a path around it. A node that no card vouches for may be anything.
    pub(crate) fn add(
        &mut self,
        shapes: &Shapes,
        a: Attributes<'m>,
        dependence: &HashMap<String, Dependence>,
        around: impl Fn(&str) -> bool,
    ) {
        let on = |name: &str| dependence.get(name).copied().unwrap_or(Dependence::None);
        let node = a.node;
        let inputs: Vec<Dependence> = node.input.iter().map(|i| on(i)).collect();
        let linearity = match ops::find(&a) {
            Err(_) => Linearity::Smooth,
            // Steps alone have no slope, but they do choose between pieces.
            Ok(_) if reads(node).iter().all(|r| on(r) != Dependence::Smooth) => Linearity::Piecewise,
            Ok(card) if inputs.contains(&Dependence::Discrete) => {
                (card.linearity)(&a, &inputs).max(Linearity::Piecewise)
            }
            Ok(card) => (card.linearity)(&a, &inputs),
        };
        // b of one image is then not that of another.
        let linearity = if shapes.loses_samples(node) { linearity.max(Linearity::Piecewise) } else { linearity };
        if linearity > Linearity::Affine && self.worst.is_none_or(|(worst, _)| linearity >= worst) {
            self.worst = Some((linearity, node));
        }
        if reads(node).into_iter().any(around) {
            self.bypass = Some(node);
        }
    }

    pub(crate) fn certificate(&self, uniform: bool) -> Certificate {
        let bypass = self.bypass.map(describe);
        let (verdict, reason) = match (self.worst, &bypass) {
            (None, None) => (Verdict::Exact, None),
            // What comes by the bypass differs from image to image, and so does b.
            (None, Some(join)) => (Verdict::LocallyLinear, Some(join.clone())),
            (Some((Linearity::Piecewise, node)), _) => (Verdict::LocallyLinear, Some(describe(node))),
            (Some((_, node)), _) => (Verdict::GradientOnly, Some(describe(node))),
        };
        Certificate { verdict, reason, bypass, uniform, scale: 1, but: None, caution: None, elsewhere: None }
    }
}

/// Whether `value` can hold something negative, as far as the operators before it tell.
pub fn can_be_negative(analysis: &Analysis, value: &str) -> bool {
    let (model, shapes) = (analysis.model(), &analysis.shapes);
    let stored = |name: &str| shapes.constant(name).is_some_and(|t| t.data.iter().all(|&v| v >= 0.0));
    let mut positive: HashSet<&str> = HashSet::new();
    for (_, node) in model.order() {
        let is = |name: &String| positive.contains(name.as_str()) || stored(name);
        let made = model.card(node).is_some_and(|card| {
            let inputs: Vec<bool> = node.input.iter().map(is).collect();
            (card.never_negative)(&model.attributes(node), &inputs)
        });
        if made {
            positive.extend(node.output.iter().map(String::as_str).filter(|o| !o.is_empty()));
        }
    }
    !positive.contains(value) && !stored(value)
}
