//! What an axis of a value means: which counts the samples, which the channels of the image.
//!
//! Nothing is told from how long an axis is. The axes of the image are followed through the graph, as the cards say
//! ([`Along`]), to the operators that read them.
//!
//! A *sample* is what one score belongs to: an image of a batch, all frames of a clip, a whole bag of images. Samples lie
//! along one axis of a value, each some entries long, as the frames of clips that are folded into the batch.

use crate::build::Value;
use crate::error::short;
use crate::graph::{Attributes, reads};
use crate::onnx::describe;
use crate::onnx::{NodeProto, ValueInfoProto};
use crate::ops::{self, Along, Card, Entries, Layout, shape_only};
use crate::shape::{Dim, Fact, Shapes};
use crate::tensor::{DataType, is_float};
use crate::{Error, Model, Tensor};
use ndarray::Axis;
use std::borrow::Cow;
use std::collections::HashMap;

/// How the samples lie in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Samples {
    /// Along an axis: all samples `outer` times one after the other, each with `inner` entries next to one another.
    Along {
        /// The axis.
        axis: usize,
        /// How often all samples come.
        outer: usize,
        /// How many entries a sample has each time.
        inner: usize,
    },
    /// There is but one, and all of the value belongs to it.
    One,
}

impl Samples {
    /// The first axis counts samples, and nothing else.
    pub const FIRST: Samples = Samples::Along { axis: 0, outer: 1, inner: 1 };

    /// The extents that belong to one sample, of a value of the extents `dims`.
    pub fn of_one(self, dims: &[Dim]) -> Vec<usize> {
        let mut sizes: Vec<usize> = dims.iter().map(|d| d.per_image()).collect();
        if let Samples::Along { axis, outer, inner } = self
            && axis < sizes.len()
        {
            match outer * inner {
                1 => drop(sizes.remove(axis)),
                n => sizes[axis] = n,
            }
        }
        sizes
    }

    /// The axis along which samples lie, or their frames.
    pub fn axis(self) -> usize {
        match self {
            Samples::Along { axis, .. } => axis,
            Samples::One => 0,
        }
    }

    /// The axes of a value of `rank` axes that count places, where `channels` counts channels.
    pub fn places(self, rank: usize, channels: Option<usize>) -> Vec<usize> {
        (0..rank).filter(|&axis| axis != self.axis() && Some(axis) != channels).collect()
    }

    /// How many axes in front of the channels and places a value has once its samples come first: that of the samples and
    /// those of their frames.
    pub(crate) fn lead(self) -> usize {
        match self {
            Samples::Along { outer, inner, .. } => 1 + usize::from(outer > 1) + usize::from(inner > 1),
            Samples::One => 2,
        }
    }

    /// Where the axis `axis` of a value is once its samples come first.
    pub(crate) fn moved(self, axis: usize) -> usize {
        match self {
            Samples::Along { axis: own, .. } => self.lead() + axis - usize::from(axis > own),
            Samples::One => axis + 1,
        }
    }

    /// `v`, of a value with these samples or a gradient by it, with the `n` samples along the first axis, and the frames of
    /// each behind it. An extent of 1 that stands for a whole axis stays one.
    pub(crate) fn first<'g>(self, v: Value<'g>, n: Dim) -> Value<'g> {
        let dims = v.dims();
        let Samples::Along { axis, outer, inner } = self else {
            return v.reshape(&[&[Dim::Fixed(1)], dims.as_slice()].concat());
        };
        let (Some(&own), Some(ahead), Some(behind)) = (dims.get(axis), dims.get(..axis), dims.get(axis + 1..)) else {
            return v;
        };
        let all = match own {
            Dim::Fixed(1) => [Dim::Fixed(1); 3],
            _ => [Dim::Fixed(outer), n, Dim::Fixed(inner)],
        };
        let has = [outer > 1, true, inner > 1];
        let parts: Vec<Dim> = all.into_iter().zip(has).filter(|(_, has)| *has).map(|(d, _)| d).collect();
        let apart = v.reshape(&[ahead, parts.as_slice(), behind].concat());
        let at = axis + usize::from(outer > 1);
        let own = axis..axis + parts.len();
        let frames = own.clone().filter(|&a| a != at);
        let rest = (0..apart.rank()).filter(|a| !own.contains(a));
        apart.transpose(&[at].into_iter().chain(frames).chain(rest).collect::<Vec<_>>())
    }
}

/// How a run of a model takes samples.
#[derive(Clone, Debug)]
pub struct Runs {
    /// How many it takes.
    pub count: Dim,
    /// Why a single one cannot be run alone, where it cannot: the node that drops its axis.
    pub alone: Option<String>,
    /// Whether it is proven that no sample is read for another's scores.
    pub apart: bool,
    /// Why all images of a run are one sample, where they are: the node that reads several for one score.
    pub one_sample: Option<String>,
}

impl Runs {
    /// The fewest samples of a run.
    pub fn least(&self) -> usize {
        match self.count {
            Dim::Fixed(n) => n.max(1),
            Dim::Batch(_) => 1 + usize::from(self.alone.is_some()),
        }
    }
}

/// What is known of where the samples lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// There, and no sample is read for another.
    There(Samples),
    /// There, as the shape tells, but behind a node that is not known: that one may read them for one another.
    Taken(Samples),
    /// The node of this number reads several samples for each entry, or goes by a sample's place in the batch.
    Mixed(usize),
    /// A node that is not known stands before.
    Unknown,
}

/// Of so many inputs beside the image the axes are followed.
const MOST_INPUTS: usize = 8;

/// What the axes of a model's values mean.
#[derive(Clone, Debug, Default)]
pub struct Axes {
    samples: HashMap<String, Known>,
    /// What the axes of the inputs are, where the operators that read them tell.
    inputs: HashMap<String, Read>,
}

/// What the axes of an input are.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Read {
    /// The axis that counts channels; none where there is no such axis.
    channels: Option<usize>,
    /// The axes of frames: they are read like the samples, one frame apart from the others.
    frames: Vec<usize>,
}

impl Axes {
    /// Follows the axes of the inputs of `model`.
    pub(crate) fn follow(model: &Model, shapes: &Shapes) -> Self {
        let mut axes = Axes { samples: samples(model, shapes), inputs: HashMap::new() };
        let is_image = |input: &&ValueInfoProto| input.name() == shapes.image;
        let others = model.inputs().filter(|i| !is_image(i)).take(MOST_INPUTS);
        for input in model.inputs().filter(is_image).chain(others) {
            if let Some(found) = read(model, shapes, input.name()) {
                axes.inputs.insert(input.name().to_owned(), found);
            }
        }
        axes
    }
}

impl Shapes {
    /// How the samples lie in `value`, as far as it is known.
    pub fn samples(&self, value: &str) -> Option<Samples> {
        let dims = self.dims(value)?;
        if self.one_sample.is_some() {
            return Some(Samples::One);
        }
        match self.axes.samples.get(value) {
            Some(Known::There(samples) | Known::Taken(samples)) => Some(*samples),
            // What follows the batch alone along one axis has a row for each sample there, even if a node is not known.
            _ if self.free_batch() => {
                let mut follow = dims.iter().enumerate().filter(|(_, d)| matches!(d, Dim::Batch(_)));
                match (follow.next(), follow.next()) {
                    (Some((axis, Dim::Batch(1))), None) => Some(Samples::Along { axis, outer: 1, inner: 1 }),
                    _ => None,
                }
            }
            _ => dims.first().filter(|d| **d == self.count()).map(|_| Samples::FIRST),
        }
    }

    /// How many samples a run has.
    pub fn count(&self) -> Dim {
        match self.probes.as_slice() {
            _ if self.one_sample.is_some() => Dim::Fixed(1),
            [(batch, _)] => Dim::Fixed(*batch),
            _ => Dim::Batch(1),
        }
    }

    /// How a run takes samples to make `logits`.
    pub fn runs(&self, logits: &str) -> Runs {
        Runs {
            count: self.count(),
            alone: self.alone.clone(),
            apart: self.keeps_samples_apart(logits),
            one_sample: self.one_sample.clone(),
        }
    }

    /// Whether it is proven that no sample is read for another's entries of `value`.
    pub fn keeps_samples_apart(&self, value: &str) -> bool {
        matches!(self.axes.samples.get(value), Some(Known::There(_)))
    }

    /// The node that reads several samples for one entry of `value`, in words.
    pub(crate) fn mixing(&self, model: &Model, value: &str) -> Option<String> {
        match self.axes.samples.get(value) {
            Some(Known::Mixed(node)) => model.graph().node.get(*node).map(describe),
            _ => None,
        }
    }

    /// The axis of an input that counts channels, and none where it has no such axis. Where the operators that read it leave
    /// it open, the last of an extent of 1, 3 or 4 is taken, else the second: [`Shapes::tells_channels`] says so.
    pub fn image_channels(&self, input: &str) -> Option<usize> {
        match self.axes.inputs.get(input) {
            Some(read) => read.channels,
            None => self.dims(input).filter(|d| d.len() >= 3).map(|dims| assumed(&dims)),
        }
    }

    /// The axes of the image that count places, without those of frames.
    pub fn image_places(&self) -> Vec<usize> {
        let rank = self.dims(&self.image).map_or(0, |d| d.len());
        let frames = self.axes.inputs.get(&self.image).map_or(&[][..], |read| &read.frames);
        let mut places = Samples::FIRST.places(rank, self.image_channels(&self.image));
        places.retain(|axis| !frames.contains(axis));
        places
    }

    /// Whether the graph, or the caller, tells which axis of an input counts channels.
    pub fn tells_channels(&self, input: &str) -> bool {
        self.axes.inputs.contains_key(input)
    }

    /// Takes the caller's word for the channel axis of the image, where the graph does not tell it.
    ///
    /// # Errors
    /// [`Error::Argument`] for an axis that the image lacks, that counts samples, or that the graph contradicts.
    pub(crate) fn with_image_channels(mut self, axis: Option<i64>) -> Result<Self, Error> {
        let Some(given) = axis else { return Ok(self) };
        let dims = self.dims(&self.image).unwrap_or_default();
        let refuse = |why: String| {
            let image = short(&self.image);
            Err(Error::Argument(format!("the axis {given} of the image {image:?} cannot count its channels: {why}")))
        };
        let axis = match crate::graph::axis(given, dims.len()) {
            Ok(0) if self.one_sample.is_none() => return refuse("it counts images".into()),
            Ok(axis) => axis,
            Err(_) => return refuse(format!("it has {} axes", dims.len())),
        };
        match self.axes.inputs.get(&self.image).map(|read| read.channels) {
            Some(Some(own)) if own != axis => return refuse(format!("the network reads the axis {own} as channels")),
            Some(None) => return refuse("the network reads all of its axes as places".into()),
            Some(_) => {}
            None => {
                let read = Read { channels: Some(axis), frames: Vec::new() };
                self.axes.inputs.insert(self.image.clone(), read);
            }
        }
        Ok(self)
    }
}

/// What is assumed of an image whose channels the graph leaves open: the last axis if that alone looks like colours, else
/// the second.
fn assumed(dims: &[Dim]) -> usize {
    let colours = |d: Option<&Dim>| matches!(d, Some(Dim::Fixed(1 | 3 | 4)));
    if dims.len() >= 3 && colours(dims.last()) && !colours(dims.get(1)) { dims.len() - 1 } else { 1 }
}

// ---- samples ---------------------------------------------------------------------------------------------------

/// Where the samples lie in all values that depend on them.
fn samples(model: &Model, shapes: &Shapes) -> HashMap<String, Known> {
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
        match made {
            Known::There(samples) if fits(&samples) && (self.n > 1 || samples.lead() == 1) => made,
            // One sample is not mixed with others, whatever a node does.
            _ if self.n == 1 => Known::There(match dims.first() {
                Some(Dim::Fixed(1)) => Samples::FIRST,
                _ => Samples::One,
            }),
            Known::There(_) => Known::Unknown,
            // Of an operator that nobody knows the shape tells all there is: so what comes behind it can still mix samples.
            _ if model.card(node).is_none() && dims.first() == Some(&self.shapes.count()) => {
                Known::Taken(Samples::FIRST)
            }
            _ => made,
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
        let (Some(card), Some(facts)) = (model.card(node), self.inputs(node)) else { return Known::Unknown };
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
        let (Some(fact), Some(Samples::Along { axis, outer: 1, inner: 1 })) =
            (facts.get(input).copied().flatten(), made)
        else {
            return false;
        };
        // Indices are what samples are found by.
        if !is_float(fact.dtype) && fact.dtype != DataType::Bool {
            return false;
        }
        let of_samples = |&own: &usize| {
            fact.shape.get(own) == Some(&self.n) && (card.along)(a, facts, input, own) == Along::To(axis)
        };
        let Some(own) = (0..fact.shape.len()).find(of_samples).filter(|_| self.n > 1) else { return false };
        let stored = || Tensor::from_proto(model.initializer(name)?).ok();
        let value = fact.value.as_deref().map(Cow::Borrowed).or_else(|| stored().map(Cow::Owned));
        value.is_some_and(|t| {
            let first = t.data.index_axis(Axis(own), 0);
            t.data.axis_iter(Axis(own)).any(|other| other != first)
        })
    }

    fn inputs(&self, node: &NodeProto) -> Option<Vec<Option<&Fact>>> {
        node.input.iter().map(|i| if i.is_empty() { Some(None) } else { self.facts.get(i).map(Some) }).collect()
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
        let own = |(place, entry): (ndarray::IxDyn, &f64)| (entry / inner as f64).floor() == place[of] as f64;
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

// ---- channels --------------------------------------------------------------------------------------------------

/// Of each axis of a value the axes of the image that are in it, and whether they are in it whole.
type Origins = Vec<Vec<(usize, bool)>>;

/// What the axes of the input `image` are, as the first operator reads it that tells channels from places. None where no
/// operator tells.
fn read(model: &Model, shapes: &Shapes, image: &str) -> Option<Read> {
    let rank = shapes.dims(image)?.len();
    let facts = &shapes.probes.first()?.1;
    let mut origins: HashMap<&str, Origins> = HashMap::from([(image, (0..rank).map(|a| vec![(a, true)]).collect())]);
    let (mut product, mut hint) = (None, None);
    for (_, node) in model.order().filter(|(_, node)| !shape_only(node)) {
        let Some((input, own)) =
            node.input.iter().enumerate().find_map(|(i, n)| Some((i, origins.get(n.as_str())?.clone())))
        else {
            continue;
        };
        let inputs: Option<Vec<Option<&Fact>>> =
            node.input.iter().map(|i| if i.is_empty() { Some(None) } else { facts.get(i).map(Some) }).collect();
        let (Some(card), Some(inputs)) = (model.card(node), inputs) else { continue };
        let a = model.attributes(node);
        match card.layout {
            Layout::ChannelsFirst if input == 0 && own.len() >= 3 => return told(rank, &own, 1),
            // A product with a matrix can be one along an axis of space, as long as no operator says more.
            Layout::ChannelsLast if input == 0 && own.len() >= 3 && product.is_none() => {
                product = told(rank, &own, own.len() - 1);
            }
            _ => {}
        }
        hint = hint.or_else(|| hinted(card, &a, &inputs, (input, &own), rank));
        for output in node.output.iter().filter(|o| !o.is_empty()) {
            let Some(to) = facts.get(output).map(|f| f.shape.as_slice()) else { continue };
            let made = match (card.layout, inputs.get(input).copied().flatten()) {
                (Layout::Reshaped, Some(from)) if input == 0 => regrouped(&own, &from.shape, to),
                _ => carried_along(card, &a, &inputs, (input, &own), to.len()),
            };
            if made.iter().any(|o| !o.is_empty()) {
                origins.insert(output, made);
            }
        }
    }
    product.or(hint.map(|axis| Read { channels: Some(axis), frames: Vec::new() }))
}

/// What the axes of an image of `rank` axes are, where an operator reads the axis `read` of a value with these origins as
/// channels, those behind the first as places and the first as samples.
fn told(rank: usize, origins: &Origins, read: usize) -> Option<Read> {
    let of = |axis: usize| origins.get(axis).into_iter().flatten().map(|(axis, _)| *axis).filter(|&axis| axis > 0);
    let places: Vec<usize> = (1..origins.len()).filter(|&a| a != read).flat_map(of).collect();
    let frames: Vec<usize> = of(0).filter(|a| !places.contains(a) && of(read).all(|own| own != *a)).collect();
    // Of several that are read as one, frames come before the channels of each.
    if let Some(last) = of(read).rfind(|a| !places.contains(a)) {
        return Some(Read { channels: Some(last), frames });
    }
    // What is read as channels was made on the way: those of the image are the axis that is left.
    let mut left = (1..rank).filter(|a| !places.contains(a) && !frames.contains(a));
    match (left.next(), left.next()) {
        (channels, None) if !places.is_empty() => Some(Read { channels, frames }),
        _ => None,
    }
}

/// Which axis of the image looks like channels to an operator that does not tell them from places: what has a constant for
/// each entry of one axis, what is normalised along one, what is left by a resize or a pooling.
fn hinted(
    card: &Card,
    a: &Attributes,
    inputs: &[Option<&Fact>],
    (input, own): (usize, &Origins),
    rank: usize,
) -> Option<usize> {
    let single = |axis: usize| match own.get(axis)?.as_slice() {
        [(axis, true)] if *axis > 0 => Some(*axis),
        _ => None,
    };
    let own_rank = own.len();
    match card.name {
        "Sub" | "Add" | "Mul" | "Div" => {
            let shape = &inputs.get(1 - input.min(1)).copied().flatten()?.shape;
            let lead = own_rank.checked_sub(shape.len())?;
            let wide: Vec<usize> = (0..shape.len()).filter(|&i| shape.get(i) != Some(&1)).map(|i| i + lead).collect();
            match wide.as_slice() {
                [axis] => single(*axis),
                _ => None,
            }
        }
        "LayerNormalization" | "RMSNormalization"
            if crate::graph::axis(a.int("axis", -1), own_rank).ok()? + 1 == own_rank =>
        {
            single(own_rank - 1)
        }
        "Resize" | "Upsample" | "Pad" | "ReduceMean" | "ReduceMax" | "ReduceSum" if input == 0 => {
            let kept = |axis: &usize| matches!((card.along)(a, inputs, 0, *axis), Along::To(_));
            let places: Vec<usize> = (0..own_rank).filter(|axis| !kept(axis)).filter_map(single).collect();
            let mut left = (1..rank).filter(|axis| !places.contains(axis));
            left.next().filter(|_| places.len() > 1 && left.next().is_none())
        }
        _ => None,
    }
}

/// The origins of the axes of an output of `rank` axes.
fn carried_along(
    card: &Card,
    a: &Attributes,
    inputs: &[Option<&Fact>],
    (input, own): (usize, &Origins),
    rank: usize,
) -> Origins {
    let mut made: Origins = vec![Vec::new(); rank];
    for (axis, origins) in own.iter().enumerate() {
        if let Along::To(to) | Along::Moved(to) = (card.along)(a, inputs, input, axis)
            && let Some(slot) = made.get_mut(to)
        {
            slot.extend(origins);
        }
    }
    made
}

/// The origins of the axes of a Reshape: of the shortest stretches of axes with as many elements.
fn regrouped(own: &Origins, from: &[usize], to: &[usize]) -> Origins {
    let mut made: Origins = Vec::new();
    let (mut i, mut j) = (0, 0);
    while j < to.len() {
        let (first, second) = (i, j);
        let (mut before, mut after) = (1usize, 1usize);
        while before != after || (i, j) == (first, second) {
            let (count, list, at) = match before <= after && i < from.len() {
                true => (&mut before, from, &mut i),
                false => (&mut after, to, &mut j),
            };
            let Some(n) = list.get(*at).filter(|n| **n > 0) else { return vec![Vec::new(); to.len()] };
            *count = count.saturating_mul(*n);
            *at += 1;
        }
        // An axis that is taken apart is in none of its parts whole.
        let wide = (second..j).filter(|&k| to.get(k) != Some(&1)).count();
        for k in second..j {
            let here = wide == 0 || to.get(k) != Some(&1);
            let parts = own.get(first..i).unwrap_or(&[]).iter().flatten();
            let wide_origin = |(axis, whole): &(usize, bool)| (*axis, *whole && wide <= 1);
            made.push(if here { parts.map(wide_origin).collect() } else { Vec::new() });
        }
    }
    made
}
