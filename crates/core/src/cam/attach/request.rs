//! What to attach.

use super::heatmap::HeatmapSize;
use crate::cam::methods::{Method, hirescam};
use crate::target::Target;

/// What to attach to a network of which all else is known: [`Hints`](crate::analysis::Hints) say what its file leaves open.
#[derive(Clone, Debug)]
pub struct Request {
    /// The target layer; the recommended one when none is named.
    pub layer: Option<String>,
    /// What is explained.
    pub target: Target,
    /// The method.
    pub method: &'static Method,
    /// The layer's channel axis, where the graph does not tell it.
    pub channels: Option<i64>,
    /// How the layer's tokens lie in the image, rows and columns, where the graph does not tell it.
    pub grid: Option<Vec<usize>>,
    /// Whether the logits become an output too, where they are one a class.
    pub logits: bool,
    /// Whether the map made for display becomes an output too, and of what size.
    pub heatmap: Option<HeatmapSize>,
}

/// What one run makes beside the map of a [`Request`].
#[derive(Clone, Debug, Default)]
pub struct Further {
    /// Layers beside the request's: each method explains all of them.
    pub layers: Vec<String>,
    /// Methods beside the request's. Where no layer is named, each works where it does alone: at the recommended layer, or at
    /// the image.
    pub methods: Vec<&'static Method>,
}

impl Further {
    /// The maps of one method at several layers.
    pub fn layers(layers: &[String]) -> Self {
        Further { layers: layers.to_vec(), methods: Vec::new() }
    }
}

impl Default for Request {
    fn default() -> Self {
        Request {
            layer: None,
            target: Target::Top(1),
            method: &hirescam::METHOD,
            channels: None,
            grid: None,
            logits: false,
            heatmap: None,
        }
    }
}
