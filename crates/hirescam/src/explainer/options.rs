//! What to explain, and how.

use crate::labels::Labels;
use crate::methods::Settings;
use crate::preprocess::Preprocess;
use hirescam_core::cam::Target;
use hirescam_core::memory;
use hirescam_core::score::Activation;
use hirescam_engine::{Array, Device};
use std::path::PathBuf;

/// What to explain, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The target layer; the recommended one when none is named.
    pub layer: Option<String>,
    /// More layers, whose maps come from the same run.
    pub further_layers: Vec<String>,
    /// What is explained: the best class of each image when nothing else is said.
    pub target: Target,
    /// The method: a name in [`cam::METHODS`](hirescam_core::cam::METHODS) or in [`methods::METHODS`](crate::methods::METHODS).
    pub method: String,
    /// How methods of several runs work.
    pub settings: Settings,
    /// What is explained: an output of the model, or a floating-point tensor inside it; the output that looks like class
    /// scores when none is named.
    pub output: Option<String>,
    /// Whether the output itself is the score, and not the logits before its final activation.
    pub keep_activation: bool,
    /// The axis of the output that counts classes, where neither the graph nor the labels tell it.
    pub class_axis: Option<i64>,
    /// What makes a probability of a score; what the graph ends in when nothing is said.
    pub activation: Option<Activation>,
    /// The layer's channel axis, where the graph does not tell it.
    pub channels: Option<i64>,
    /// How the layer's tokens lie in the image, rows and columns, where the graph does not tell it.
    pub grid: Option<Vec<usize>>,
    /// The engine: `tract` or `onnxruntime`.
    pub engine: String,
    /// The engine's threads; 0 lets it choose.
    pub threads: usize,
    /// Where the engine computes.
    pub device: Device,
    /// ONNX Runtime's library.
    pub library: Option<PathBuf>,
    /// The preprocessing of photos; what goes with the model when none is given.
    pub preprocess: Option<Preprocess>,
    /// Class labels; what goes with the model when none are given.
    pub labels: Option<Labels>,
    /// The input that carries the image; the one that looks like one when none is named.
    pub image: Option<String>,
    /// The image's channel axis, where the graph does not tell it.
    pub image_channels: Option<i64>,
    /// The network's input shape, where the file leaves extents open.
    pub image_shape: Option<Vec<usize>>,
    /// What inputs beside the image are fed: one row for all images or a row for each; a scalar fills an input.
    pub inputs: Vec<(String, Array)>,
    /// How many bytes the network's values may take beside what goes with its image and its weights; see [`memory`].
    pub memory: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            layer: None,
            further_layers: Vec::new(),
            target: Target::Top(1),
            method: "hirescam".into(),
            settings: Settings::default(),
            output: None,
            keep_activation: false,
            class_axis: None,
            activation: None,
            channels: None,
            grid: None,
            engine: "tract".into(),
            threads: 0,
            device: Device::Cpu,
            library: None,
            preprocess: None,
            labels: None,
            image: None,
            image_channels: None,
            image_shape: None,
            inputs: Vec::new(),
            memory: memory::SPARE,
        }
    }
}
