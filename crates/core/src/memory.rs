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
use crate::ops::constant::is_constant;
use crate::ops::{extents_by_attribute, rounds, shape_only};
use crate::shape::{Facts, Shapes};
use crate::{Error, Model};
use std::collections::{HashMap, HashSet};

/// How many bytes the values of a network may take, whatever its image and its weights.
pub const SPARE: u64 = 256 << 20;
/// How many bytes they may take beside that for each byte of the image, and of the weights. 2-D networks take 20 to 200 of
/// the first; weights are kept in float16 or int8, scaled and transposed before they are used.
const PER_IMAGE: u64 = 1024;
const PER_WEIGHTS: u64 = 8;
/// The most rounds of a loop whose number the file tells.
const MOST_ROUNDS: f64 = 1e6;

/// Whether running `model` stays within what its image and its weights explain, and `spare` bytes beside ([`SPARE`]).
///
/// Counted are all constants that nodes make, which engines make beforehand and keep, and of the other values the most
/// that are needed at a time when the nodes run in their order. Values of unknown shape are not counted.
///
/// # Errors
/// [`Error::Memory`] with the node that takes most, [`Error::Unsupported`] for a loop without end.
pub fn check(model: &Model, shapes: &Shapes, spare: u64) -> Result<(), Error> {
    let Some((_, facts)) = shapes.probes.first() else { return Ok(()) };
    for (_, node) in model.order() {
        let rounds = rounds(node).and_then(|rounds| facts.get(rounds)?.value.as_deref()?.scalar());
        if let Some(rounds) = rounds.filter(|&rounds| rounds > MOST_ROUNDS) {
            return Err(Error::Unsupported {
                at: describe(node),
                what: format!("it takes {rounds} rounds, and at most {MOST_ROUNDS} are run"),
                remedy: "Export the network without this loop".into(),
            });
        }
    }
    let weights = model.graph().initializer.iter().filter_map(|t| raw_bytes(t).ok()).fold(0, u64::saturating_add);
    let image = bytes(facts, &shapes.image);
    let explained = image.saturating_mul(PER_IMAGE).saturating_add(weights.saturating_mul(PER_WEIGHTS));
    let most = explained.saturating_add(spare);
    let Some((needed, largest)) = needed(model, facts).filter(|(needed, _)| *needed > most) else { return Ok(()) };
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

/// How many bytes running the network takes, and the node that makes the largest value.
fn needed<'m>(model: &'m Model, facts: &Facts) -> Option<(u64, &'m NodeProto)> {
    let last = last_uses(model);
    let mut varying: HashSet<&str> = model.inputs().map(|i| i.name()).collect();
    let (mut constants, mut alive, mut most) = (0u64, 0u64, 0u64);
    let mut ends: HashMap<usize, u64> = HashMap::new();
    let mut largest: Option<(u64, &NodeProto)> = None;
    for (at, (_, node)) in model.order().enumerate() {
        let varies = !shape_only(node) && reads(node).iter().any(|r| varying.contains(r));
        for output in node.output.iter().filter(|o| !o.is_empty()) {
            let size = bytes(facts, output).max(declared(node));
            if varies {
                varying.insert(output);
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
