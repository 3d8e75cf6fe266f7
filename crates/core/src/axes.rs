//! What an axis of a value means: which counts the samples, which the channels of the image.
//!
//! Nothing is told from how long an axis is. The axes of the image are followed through the graph, as the cards say
//! ([`Along`](crate::ops::Along)), to the operators that read them.
//!
//! A *sample* is what one score belongs to: an image of a batch, all frames of a clip, a whole bag of images. Samples lie
//! along one axis of a value, each some entries long, as the frames of clips that are folded into the batch.

use crate::error::short;
use crate::graph::reads;
use crate::onnx::describe;
use crate::onnx::messages::{NodeProto, ValueInfoProto};
use crate::shape::{Dim, Shapes};
use crate::{Error, Model};
use follow::{Known, samples};
use inputs::{InputAxes, input_axes};
use std::collections::HashMap;

mod follow;
mod inputs;
pub(crate) mod reshape;
mod samples;

pub use samples::Samples;

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

/// Of so many inputs beside the image the axes are followed.
const MOST_INPUTS: usize = 8;

/// What the axes of a model's values mean.
#[derive(Clone, Debug, Default)]
pub struct Axes {
    samples: HashMap<String, Known>,
    /// What the axes of the inputs are, where the operators that read them tell.
    inputs: HashMap<String, InputAxes>,
}

impl Axes {
    /// Follows the axes of the inputs of `model`.
    pub(crate) fn follow(model: &Model, shapes: &Shapes) -> Self {
        let mut axes = Axes { samples: samples(model, shapes), inputs: HashMap::new() };
        let is_image = |input: &&ValueInfoProto| input.name() == shapes.image;
        let others = model.inputs().filter(|i| !is_image(i)).take(MOST_INPUTS);
        for input in model.inputs().filter(is_image).chain(others) {
            if let Some(found) = input_axes(model, shapes, input.name()) {
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
            // In a batch of fixed size a shape does not tell samples that were read for one another apart again.
            Some(Known::Mixed(_)) => None,
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

    /// Whether what a node makes of an image may go by the place of that image in a batch of fixed size: where the images lie
    /// is known before it, and not behind.
    pub(crate) fn loses_samples(&self, node: &NodeProto) -> bool {
        let known = |name: &str| matches!(self.axes.samples.get(name), Some(Known::There(_) | Known::Taken(_)));
        let several = !self.free_batch() && self.count() != Dim::Fixed(1);
        let made = node.output.iter().filter(|output| !output.is_empty());
        several && reads(node).into_iter().any(known) && !made.map(String::as_str).all(known)
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
                let read = InputAxes { channels: Some(axis), frames: Vec::new() };
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
