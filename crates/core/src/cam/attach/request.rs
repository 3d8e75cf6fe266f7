//! What to attach.

use super::heatmap::Size;
use crate::analysis::Hints;
use crate::cam::methods::{Method, hirescam};
use crate::memory;
use crate::score::{Activation, Reading};
use crate::target::Target;

/// What to attach.
#[derive(Clone, Debug)]
pub struct Request {
    /// The target layer; the recommended one when none is named.
    pub layer: Option<String>,
    /// What is explained.
    pub target: Target,
    /// The method.
    pub method: &'static Method,
    /// The tensor to explain, an output of the model or one inside; the output that looks like class scores when none is named.
    pub output: Option<String>,
    /// Whether to explain the output itself and not the logits before its final activation.
    pub keep_activation: bool,
    /// The axis of the explained output that counts classes, where neither the graph nor the labels tell it.
    pub class_axis: Option<i64>,
    /// What makes a probability of a score; what the graph ends in when nothing is said.
    pub activation: Option<Activation>,
    /// How many labels there are.
    pub labels: Option<usize>,
    /// The layer's channel axis, where the graph does not tell it.
    pub channels: Option<i64>,
    /// The input that carries the image; the one that looks like one when none is named.
    pub image: Option<String>,
    /// The image's channel axis, where the graph does not tell it.
    pub image_channels: Option<i64>,
    /// How the layer's tokens lie in the image, rows and columns, where the graph does not tell it.
    pub grid: Option<Vec<usize>>,
    /// The image's whole shape, where the file leaves extents open.
    pub image_shape: Option<Vec<usize>>,
    /// The shapes of inputs beside the image, where the file leaves extents open.
    pub other_shapes: Vec<(String, Vec<usize>)>,
    /// How many bytes the network's values may take beside what goes with its image and its weights; see [`memory`].
    pub memory: u64,
    /// Whether the logits become an output too, where they are one a class.
    pub logits: bool,
    /// Whether the map made for display becomes an output too, and of what size.
    pub heatmap: Option<Size>,
}

impl Default for Request {
    fn default() -> Self {
        Request {
            layer: None,
            target: Target::Top(1),
            method: &hirescam::METHOD,
            output: None,
            keep_activation: false,
            class_axis: None,
            activation: None,
            labels: None,
            channels: None,
            image: None,
            image_channels: None,
            grid: None,
            image_shape: None,
            other_shapes: Vec::new(),
            memory: memory::SPARE,
            logits: false,
            heatmap: None,
        }
    }
}

impl Request {
    /// What is said of the network.
    pub fn hints(&self) -> Hints<'_> {
        Hints {
            image: self.image.as_deref(),
            image_shape: self.image_shape.as_deref(),
            image_channels: self.image_channels,
            other_shapes: &self.other_shapes,
            memory: self.memory,
            scores: Reading {
                output: self.output.as_deref(),
                keep_activation: self.keep_activation,
                class_axis: self.class_axis,
                activation: self.activation,
                labels: self.labels,
            },
        }
    }
}
