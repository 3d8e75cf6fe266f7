//! Operators without a card of which something is known all the same.

use crate::graph::{Attributes, standard};
use crate::onnx::messages::NodeProto;
use std::ops::Range;

/// Those that draw numbers: what they give differs from run to run as an input does.
const DRAWING: &[&str] =
    &["Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"];

/// Those that choose among their inputs, or bundle them: domain and name, and the inputs that they choose by.
const CHOOSING: &[(&str, &str, Range<usize>)] = &[
    ("", "NonMaxSuppression", 1..2),
    ("", "SequenceConstruct", 0..usize::MAX),
    ("ai.onnx.ml", "ZipMap", 0..usize::MAX),
];

/// Whether a node draws numbers.
pub(crate) fn draws(node: &NodeProto) -> bool {
    DRAWING.contains(&standard(node))
}

/// The extents of what a node draws, where an attribute alone gives them.
pub(crate) fn extents_by_attribute(node: &NodeProto) -> Option<&[i64]> {
    Attributes { node, opset: 0 }.ints("shape").filter(|_| draws(node))
}

/// The inputs by which a node without a card chooses; none of one of which nothing is known.
pub(crate) fn chooses_by(node: &NodeProto) -> Option<Range<usize>> {
    let is = |domain: &str, op: &str| match domain {
        "" => op == standard(node),
        _ => (domain, op) == (node.domain(), node.op_type()),
    };
    CHOOSING.iter().find(|(domain, op, _)| is(domain, op)).map(|(.., inputs)| inputs.clone())
}

/// The input that says how often a node runs the graph that it holds, where there is one.
pub(crate) fn rounds(node: &NodeProto) -> Option<&str> {
    (standard(node) == "Loop").then(|| node.input.first().map_or("", String::as_str))
}
