//! What running a network asks of a machine's memory: an estimate from its shapes, before any engine sees it.
//!
//! A file of a few hundred bytes can ask for a constant of many gigabytes, and engines make constants while they get ready.
//! Honest networks ask for what goes with their image and their weights.

use crate::error::short;
use crate::graph::reads;
use crate::onnx::describe;
use crate::onnx::elements;
use crate::onnx::messages::NodeProto;
use crate::onnx::size::{bits, raw_bytes};
use crate::ops::constant::{is_constant, stored};
use crate::ops::{extents_by_attribute, rounds, shape_only};
use crate::shape::{Facts, Shapes};
use crate::{Error, Model, Tensor};
use std::collections::{HashMap, HashSet};

/// How many bytes the values of a network may take, whatever its image and its weights.
pub const SPARE: u64 = 256 << 20;
/// How many bytes they may take beside that for each byte of the image, and of the weights. 2-D networks take 20 to 200 of
/// the first; weights are kept in float16 or int8, scaled and transposed before they are used.
const PER_IMAGE: u64 = 1024;
const PER_WEIGHTS: u64 = 8;
/// The most rounds of a loop whose number the file tells.
const MOST_ROUNDS: f64 = 1e6;
const NO_COUNT: &str = "it tells no number of rounds, and may never end";

/// Whether running `model` stays within what its image and its weights explain, and `spare` bytes beside ([`SPARE`]).
///
/// Counted are all constants that nodes make, which engines make beforehand and keep, and of the other values the most
/// that are needed at a time when the nodes run in their order. Values of unknown shape are not counted.
///
/// # Errors
/// [`Error::Memory`] with the node that takes most, [`Error::Unsupported`] for a loop without end.
pub fn check(model: &Model, shapes: &Shapes, spare: u64) -> Result<(), Error> {
    let Some((_, facts)) = shapes.probes.first() else { return Ok(()) };
    let varying = varying(model);
    let known = |value: &str| match facts.get(value).and_then(|fact| fact.value.as_deref()?.scalar()) {
        Some(known) => Some(known),
        // How many they are is up to what the network is given.
        None if varying.contains(value) => None,
        None => Some(f64::INFINITY),
    };
    if let Some((node, rounds)) = endless(model.order().map(|(_, node)| node), &known, 1.0) {
        let takes = if rounds.is_finite() { format!("it takes {rounds} rounds") } else { NO_COUNT.into() };
        return Err(Error::Unsupported {
            at: describe(node),
            what: format!("{takes}, and at most {MOST_ROUNDS} are run"),
            remedy: "Export the network without this loop".into(),
        });
    }
    let weights = model.graph().initializer.iter().filter_map(|t| raw_bytes(t).ok()).fold(0, u64::saturating_add);
    let image = bytes(facts, &shapes.image);
    let explained = image.saturating_mul(PER_IMAGE).saturating_add(weights.saturating_mul(PER_WEIGHTS));
    let most = explained.saturating_add(spare);
    let Some((needed, largest)) = needed(model, facts, &varying).filter(|(needed, _)| *needed > most) else {
        return Ok(());
    };
    let shown =
        largest.output.first().and_then(|o| facts.get(o)).map(|fact| format!("{:?} {:?}", fact.dtype, fact.shape));
    Err(Error::Memory {
        at: describe(largest),
        what: format!(
            "running the network would take {} of memory for its values, most of them for this one ({}); its image and its \
             weights explain {}, and {} may be taken beside",
            readable(needed),
            short(&shown.unwrap_or_default()),
            readable(explained),
            readable(spare)
        ),
    })
}

/// The values that depend on what the network is given, and not only on how large it is.
fn varying(model: &Model) -> HashSet<&str> {
    let mut varying: HashSet<&str> = model.inputs().map(|i| i.name()).collect();
    for (_, node) in model.order() {
        if !shape_only(node) && reads(node).iter().any(|r| varying.contains(r)) {
            varying.extend(node.output.iter().map(String::as_str).filter(|o| !o.is_empty()));
        }
    }
    varying
}

/// The first loop that takes too many rounds, those of loops around it counted, and how many. `known` says the number that a
/// value holds; none where that is not known before the network runs.
fn endless<'m>(
    nodes: impl Iterator<Item = &'m NodeProto>,
    known: &dyn Fn(&str) -> Option<f64>,
    around: f64,
) -> Option<(&'m NodeProto, f64)> {
    for node in nodes {
        // A loop that is not given a number runs as long as its condition holds.
        let own = rounds(node).map(|value| if value.is_empty() { Some(f64::INFINITY) } else { known(value) });
        let all = around * own.flatten().unwrap_or(1.0).max(1.0);
        if all > MOST_ROUNDS {
            return Some((node, all));
        }
        for body in node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs)) {
            let inside = |value: &str| {
                let given = body.initializer.iter().find(|t| t.name() == value);
                let maker = body.node.iter().find(|n| n.output.iter().any(|o| o == value));
                match given.or_else(|| stored(maker?)) {
                    Some(t) => Tensor::from_proto(t).ok()?.scalar(),
                    None if maker.is_some() || body.input.iter().any(|i| i.name() == value) => None,
                    None => known(value),
                }
            };
            if let Some(found) = endless(body.node.iter(), &inside, all) {
                return Some(found);
            }
        }
    }
    None
}

/// How many bytes running the network takes, and the node that makes the largest value.
fn needed<'m>(model: &'m Model, facts: &Facts, varying: &HashSet<&str>) -> Option<(u64, &'m NodeProto)> {
    let last = last_uses(model);
    let (mut constants, mut alive, mut most) = (0u64, 0u64, 0u64);
    let mut ends: HashMap<usize, u64> = HashMap::new();
    let mut largest: Option<(u64, &NodeProto)> = None;
    for (at, (_, node)) in model.order().enumerate() {
        for output in node.output.iter().filter(|o| !o.is_empty()) {
            let size = bytes(facts, output).max(declared(node));
            if varying.contains(output.as_str()) {
                alive = alive.saturating_add(size);
                let end = ends.entry(last.get(output.as_str()).copied().unwrap_or(at)).or_default();
                *end = end.saturating_add(size);
            } else if !is_constant(node) {
                constants = constants.saturating_add(size);
            }
            if largest.is_none_or(|(before, _)| size > before) {
                largest = Some((size, node));
            }
        }
        most = most.max(alive);
        alive = alive.saturating_sub(ends.remove(&at).unwrap_or(0));
    }
    largest.map(|(_, node)| (constants.saturating_add(most), node))
}

/// The place among the nodes, in their order, up to which each value is needed.
fn last_uses(model: &Model) -> HashMap<&str, usize> {
    let mut last = HashMap::new();
    for (at, (_, node)) in model.order().enumerate() {
        last.extend(reads(node).into_iter().map(|r| (r, at)));
    }
    last.extend(model.graph().output.iter().map(|o| (o.name(), usize::MAX)));
    last
}

fn bytes(facts: &Facts, value: &str) -> u64 {
    let size = |fact: &crate::shape::Fact| {
        (elements(&fact.shape).unwrap_or(usize::MAX) as u64).saturating_mul(bits(fact.dtype).unwrap_or(8)).div_ceil(8)
    };
    facts.get(value).map_or(0, size)
}

/// The bytes of what a node makes by an attribute alone, as random numbers.
fn declared(node: &NodeProto) -> u64 {
    extents_by_attribute(node)
        .map_or(0, |s| s.iter().fold(4, |n: u64, &d| n.saturating_mul(u64::try_from(d).unwrap_or(1))))
}

/// `8.6 GB`.
fn readable(bytes: u64) -> String {
    match bytes {
        0..10_000_000 => format!("{} kB", bytes / 1000),
        10_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
