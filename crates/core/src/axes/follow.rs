//! Where the samples lie in each value: followed from the inputs on, through the nodes.

use super::Samples;
use crate::Model;
use crate::graph::{Attributes, reads};
use crate::onnx::messages::NodeProto;
use crate::ops::{self, Along, Card, Entries, Layout, shape_only};
use crate::shape::{Dim, Fact, Shapes, of_inputs};
use crate::tensor::{DataType, Tensor, is_float};
use ndarray::{Axis, Dimension, IxDyn};
use std::borrow::Cow;
use std::collections::HashMap;

/// What is known of where the samples lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// There, and no sample is read for another.
    There(Samples),
    /// There, as the shape tells, but behind a node that is not known: that one may read them for one another.
    Taken(Samples),
    /// The node of this number reads several samples for each entry, or goes by a sample's place in the batch.
    Mixed(usize),
    /// A node that is not known stands before.
    Unknown,
}

/// Where the samples lie in all values that depend on them.
pub(super) fn samples(model: &Model, shapes: &Shapes) -> HashMap<String, Known> {
    let Some((n, facts)) = shapes.probes.first() else { return HashMap::new() };
    let mut known: HashMap<String, Known> = HashMap::new();
    for input in model.inputs().map(|i| i.name()) {
        let Some(dims) = shapes.dims(input) else { continue };
        if input == shapes.image || dims.first() == Some(&shapes.count()) {
            known.insert(input.to_owned(), Known::There(if dims.is_empty() { Samples::One } else { Samples::FIRST }));
        }
    }
    let mut follower = Follower { shapes, n: *n, facts };
    for (i, node) in model.order().filter(|(_, node)| !shape_only(node)) {
        let before: Vec<Known> = reads(node).iter().filter_map(|r| known.get(*r).copied()).collect();
        if before.is_empty() {
            continue;
        }
        let mixed = before.iter().find(|k| matches!(k, Known::Mixed(_)));
        let taken = before.iter().any(|k| matches!(k, Known::Taken(_)));
        for (number, output) in node.output.iter().enumerate().filter(|(_, o)| !o.is_empty()) {
            let made = match mixed {
                Some(mixed) => *mixed,
                None => match follower.through(model, (i, node), number, &known) {
                    Known::There(samples) if taken && follower.n > 1 => Known::Taken(samples),
                    made => made,
                },
            };
            known.insert(output.clone(), made);
        }
    }
    known
}

struct Follower<'a> {
    shapes: &'a Shapes,
    /// The batch at which the facts hold.
    n: usize,
    facts: &'a HashMap<String, Fact>,
}

impl Follower<'_> {
    /// Where the samples lie in the output number `number` of a node.
    fn through(
        &mut self,
        model: &Model,
        (index, node): (usize, &NodeProto),
        number: usize,
        known: &HashMap<String, Known>,
    ) -> Known {
        let Some(output) = node.output.get(number) else { return Known::Unknown };
        let (Some(dims), Some(fact)) = (self.shapes.dims(output), self.facts.get(output)) else {
            return Known::Unknown;
        };
        let made = self.made(model, (index, node), number, known, &fact.shape);
        let fits = |samples: &Samples| match samples {
            Samples::One => true,
            Samples::Along { axis, outer, inner } => dims.get(*axis) == Some(&self.shapes.count().times(outer * inner)),
        };
        let elsewhere = |name: &str| match known.get(name) {
            Some(Known::There(samples) | Known::Taken(samples)) => *samples != Samples::FIRST,
            _ => false,
        };
        match made {
            Known::There(samples) if fits(&samples) && (self.n > 1 || samples.lead() == 1) => made,
            // One sample is not mixed with others, whatever a node does.
            _ if self.n == 1 => Known::There(match dims.first() {
                Some(Dim::Fixed(1)) => Samples::FIRST,
                _ => Samples::One,
            }),
            Known::Mixed(_) | Known::Taken(_) => made,
            // In a batch of fixed size the shape tells nothing of samples that came from elsewhere than the first axis.
            _ if !self.shapes.free_batch() && reads(node).into_iter().any(elsewhere) => Known::Mixed(index),
            // Of an operator that nobody knows the shape tells all there is: so what comes behind it can still mix samples.
            _ if model.card(node).is_none() && dims.first() == Some(&self.shapes.count()) => {
                Known::Taken(Samples::FIRST)
            }
            _ => Known::Unknown,
        }
    }

    fn made(
        &self,
        model: &Model,
        (index, node): (usize, &NodeProto),
        number: usize,
        known: &HashMap<String, Known>,
        to: &[usize],
    ) -> Known {
        let (Some(card), Some(facts)) = (model.card(node), of_inputs(self.facts, node)) else { return Known::Unknown };
        let a = model.attributes(node);
        let mut found: Option<Samples> = None;
        // What a joined axis has so far.
        let mut joined: Option<(usize, usize)> = None;
        for (input, name) in node.input.iter().enumerate() {
            let samples = match known.get(name) {
                Some(Known::There(samples) | Known::Taken(samples)) => *samples,
                Some(_) => return Known::Unknown,
                None => continue,
            };
            let (Samples::Along { axis, outer, inner }, Some(Some(fact))) = (samples, facts.get(input)) else {
                return Known::Unknown;
            };
            let made = match card.layout {
                Layout::Reshaped if input == 0 => relocated(&fact.shape, (axis, outer, inner), self.n, to),
                _ if input == 0
                    && outer == 1
                    && card.entries == Entries::Indexed
                    && looked_up(&a, &facts, (axis, inner), self.n).is_some() =>
                {
                    looked_up(&a, &facts, (axis, inner), self.n)
                }
                _ => match (card.along)(&a, &facts, input, axis) {
                    Along::To(axis) => Some(Samples::Along { axis, outer, inner }),
                    Along::Moved(to_axis) => {
                        match self.moved(card, &a, &facts, (to_axis, outer, inner), (number, to)) {
                            Some((outer, true)) => {
                                let sum = joined.map_or(0, |(sum, _)| sum) + outer;
                                if joined.is_some_and(|(_, own)| own != inner) {
                                    return Known::Mixed(index);
                                }
                                joined = Some((sum, inner));
                                found = None;
                                Some(Samples::Along { axis: to_axis, outer: sum, inner })
                            }
                            Some((outer, false)) => Some(Samples::Along { axis: to_axis, outer, inner }),
                            None => return Known::Mixed(index),
                        }
                    }
                    Along::Across => return Known::Mixed(index),
                    Along::Unknown => return Known::Unknown,
                },
            };
            match (made, found) {
                (None, _) => return Known::Unknown,
                (Some(made), Some(found)) if made != found => return Known::Mixed(index),
                _ => found = made,
            }
        }
        let told_apart = |(input, name): (usize, &String)| {
            !known.contains_key(name) && self.differs(model, card, &a, &facts, (input, name), found)
        };
        if node.input.iter().enumerate().any(told_apart) {
            return Known::Mixed(index);
        }
        // A join with what has no samples is not theirs alone.
        let all = joined.is_none() || node.input.iter().all(|i| known.contains_key(i));
        found.filter(|_| all).map_or(Known::Unknown, Known::There)
    }

    /// Whether a constant has other numbers for one sample than for the next, where the output's samples are `made`: what the
    /// network computes of a sample then depends on its place in the batch.
    fn differs(
        &self,
        model: &Model,
        card: &Card,
        a: &Attributes,
        facts: &[Option<&Fact>],
        (input, name): (usize, &str),
        made: Option<Samples>,
    ) -> bool {
        let (Some(fact), Some(Samples::Along { axis, outer, inner })) = (facts.get(input).copied().flatten(), made)
        else {
            return false;
        };
        // Indices are what samples are found by, but not where there is one for each entry.
        let each = matches!(card.entries, Entries::IndexedEach | Entries::IndexedByLists | Entries::Scattered);
        if !is_float(fact.dtype) && fact.dtype != DataType::Bool && !each {
            return false;
        }
        let whole = outer.saturating_mul(self.n).saturating_mul(inner);
        let of_samples =
            |&own: &usize| fact.shape.get(own) == Some(&whole) && (card.along)(a, facts, input, own) == Along::To(axis);
        let Some(own) = (0..fact.shape.len()).find(of_samples).filter(|_| self.n > 1) else { return false };
        let stored = || Tensor::from_proto(model.initializer(name)?).ok();
        let value = fact.value.as_deref().map(Cow::Borrowed).or_else(|| stored().map(Cow::Owned));
        value.is_some_and(|t| {
            let of_first = |entry: usize| entry - entry / inner % self.n * inner;
            let entry = |at: usize| t.data.index_axis(Axis(own), at);
            !t.data.is_empty() && (0..whole).any(|at| entry(at) != entry(of_first(at)))
        })
    }

    /// How often all samples come in the output of a node that takes whole runs of them, and whether inputs are joined: a
    /// Concat, and the Split or Slice that undoes it, or a Tile.
    fn moved(
        &self,
        card: &Card,
        a: &Attributes,
        facts: &[Option<&Fact>],
        (axis, outer, inner): (usize, usize, usize),
        (number, to): (usize, &[usize]),
    ) -> Option<(usize, bool)> {
        let run = self.n.checked_mul(inner).filter(|&run| run > 0)?;
        let runs = |n: usize| (n > 0 && n.is_multiple_of(run)).then(|| n / run);
        let whole = *to.get(axis)?;
        match card.entries {
            Entries::Joined => Some((outer, true)),
            Entries::Repeated => Some((runs(whole)?, false)),
            // The parts of a Split that lie before this one must be whole runs too.
            Entries::Parted => {
                let list = (a.ints("split").map(<[i64]>::to_vec))
                    .or_else(|| facts.get(1).copied().flatten().and_then(|f| f.value.as_deref()).map(|t| t.to_ints()));
                let first = list.map_or(whole * number, |l| {
                    l.iter().take(number).fold(0, |sum: usize, &n| sum.saturating_add(n.max(0) as usize))
                });
                first.is_multiple_of(run).then(|| runs(whole)).flatten().map(|n| (n, false))
            }
            Entries::Sliced => {
                let shape = &facts.first().copied().flatten()?.shape;
                let list = |i: usize, name: &str| ops::ints_of(a, name, facts, i);
                let ranges = ops::slicing::slice_ranges(shape, list).ok()?;
                let own = ranges.iter().find(|r| r.axis == axis)?;
                let start = usize::try_from(own.start).ok().filter(|s| own.step == 1 && s % run == 0);
                start.and(runs(whole)).map(|n| (n, false))
            }
            _ => None,
        }
    }
}

/// Where samples lie after a Gather of them by a table that is known, where each row of it takes entries of one sample:
/// `inner` entries a sample lie along the axis `axis`. So exporters write a view of memory by strides.
fn looked_up(a: &Attributes, facts: &[Option<&Fact>], (axis, inner): (usize, usize), n: usize) -> Option<Samples> {
    let (data, table) = (facts.first().copied().flatten()?, facts.get(1).copied().flatten()?);
    let at = crate::graph::axis(a.int("axis", 0), data.shape.len()).ok()?;
    let table = table.value.as_deref().filter(|_| at == axis)?;
    let rows = |of: usize| {
        let own = |(place, entry): (IxDyn, &f64)| {
            place.slice().get(of).is_some_and(|&place| (entry / inner as f64).floor() == place as f64)
        };
        table.shape().get(of) == Some(&n) && table.data.indexed_iter().all(own)
    };
    let of = (0..table.shape().len()).find(|&of| rows(of))?;
    Some(Samples::Along { axis: axis + of, outer: 1, inner: 1 })
}

/// Where samples lie after a Reshape: as many entries before and after them as there were.
fn relocated(from: &[usize], (axis, outer, inner): (usize, usize, usize), n: usize, to: &[usize]) -> Option<Samples> {
    let product = |sizes: &[usize]| sizes.iter().try_fold(1usize, |p, &s| p.checked_mul(s));
    let before = product(from.get(..axis)?)?.checked_mul(outer)?;
    let after = product(from.get(axis + 1..)?)?.checked_mul(inner)?;
    let at = |axis: usize| {
        let (ahead, behind) = (product(to.get(..axis)?)?, product(to.get(axis + 1..)?)?);
        let (own, whole) = (*to.get(axis)?, |n: usize, by: usize| (by > 0 && n.is_multiple_of(by)).then(|| n / by));
        let (outer, inner) = (whole(before, ahead)?, whole(after, behind)?);
        (outer.checked_mul(n)?.checked_mul(inner)? == own).then_some(Samples::Along { axis, outer, inner })
    };
    let found: Vec<Samples> = (0..to.len()).filter_map(at).collect();
    let alone = |s: &&Samples| matches!(s, Samples::Along { outer: 1, inner: 1, .. });
    found.iter().find(alone).or(found.first()).copied()
}
