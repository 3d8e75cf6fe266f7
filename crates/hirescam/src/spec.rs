//! What is to be explained and how, as data: read from TOML, JSON or a command line, written into records, and read from
//! them again.
//!
//! Every field may be left out. An option is declared here, once: its doc comment is also the help of the command line.
//!
//! ```
//! use hirescam::Spec;
//!
//! let spec = Spec::from_toml("layer = 'features'\ntop = 3\n[engine]\nname = 'tract'")?;
//! assert_eq!(spec, Spec { layers: vec!["features".into()], top: Some(3), engine: "tract".into(), ..Spec::default() });
//! # Ok::<(), hirescam::Error>(())
//! ```

mod command_line;
mod engine;
mod given;
mod picture;
mod read;
mod resolve;
mod words;

pub use command_line::{CommandLine, quoted};
pub use engine::EngineChoice;
pub use given::{FurtherInput, Grid, InputValue, LabelsFrom, PreprocessFrom, ScoreFrom};
pub use picture::Picture;
pub(crate) use resolve::Resolved;

use crate::methods::Settings;
use crate::{check, comparison};
use hirescam_core::memory;
use hirescam_core::score::Activation;
use serde::{Deserialize, Serialize};

/// What to explain, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
#[serde(default, deny_unknown_fields)]
pub struct Spec {
    /// The target layer, by the name of its tensor; see `hirescam layers`. Given several times, or several between commas: the
    /// maps of all of them from one run
    #[cfg_attr(feature = "clap", arg(long = "layer", value_name = "LAYER"))]
    #[serde(rename = "layer", deserialize_with = "read::one_or_many")]
    pub layers: Vec<String>,
    /// A class, by number (from 0) or label; may be given several times, or several between commas
    #[cfg_attr(feature = "clap", arg(long = "class", value_name = "CLASS"))]
    #[serde(rename = "class", deserialize_with = "read::one_or_many")]
    pub classes: Vec<String>,
    /// The K best classes of each image
    #[cfg_attr(feature = "clap", arg(long, value_name = "K", conflicts_with = "classes"))]
    pub top: Option<usize>,
    /// What is explained, in one word: top:5, class:cat, all, above:0.5, contrast:cat,dog, element:0,3,17, sum:1,10:20,:, …;
    /// docs/targets.md lists them
    #[cfg_attr(feature = "clap", arg(long, conflicts_with_all = ["classes", "top"]))]
    pub target: Option<String>,
    /// The method: hirescam, gradcam, scorecam, …; `hirescam methods` lists them. Several between commas: the maps of all of
    /// them, and those that one run is enough for from one run
    #[cfg_attr(feature = "clap", arg(long, default_value_t = Spec::default().method))]
    #[serde(deserialize_with = "read::one_or_joined")]
    pub method: String,
    /// What is explained: an output of the model, or any floating-point tensor inside it
    #[cfg_attr(feature = "clap", arg(long, value_name = "NAME"))]
    pub output: Option<String>,
    /// What the score is: the logits before a final Softmax or Sigmoid, or the output as it is
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t))]
    pub score: ScoreFrom,
    /// The axis of the output that counts classes, where neither the graph nor the number of labels tells it (from 0, the
    /// batch included; -1 for the last)
    #[cfg_attr(feature = "clap", arg(long, value_name = "AXIS", allow_negative_numbers = true))]
    pub class_axis: Option<i64>,
    /// What makes a probability of a score: softmax, sigmoid or none; what the network ends in when nothing is said
    #[cfg_attr(feature = "clap", arg(long, value_name = "softmax|sigmoid|none"))]
    #[serde(with = "read::as_text")]
    pub activation: Option<Activation>,
    /// The axis of the layer that counts channels, where the graph does not tell it (-1 for channels last)
    #[cfg_attr(feature = "clap", arg(long, value_name = "AXIS", allow_negative_numbers = true))]
    pub channel_axis: Option<i64>,
    /// The axis of the image that counts channels, where the operators that read it leave it open (-1 for channels last)
    #[cfg_attr(feature = "clap", arg(long, value_name = "AXIS", allow_negative_numbers = true))]
    pub image_channels: Option<i64>,
    /// The input that carries the image, where it is not the first that could
    #[cfg_attr(feature = "clap", arg(long, value_name = "NAME"))]
    pub image_input: Option<String>,
    /// What an input beside the image is fed: a .npy file with one row for all images or a row for each, or a number; may
    /// be given several times
    #[cfg_attr(feature = "clap", arg(long = "input", value_name = "NAME=FILE|NUMBER"))]
    #[serde(rename = "input", with = "given::by_name")]
    pub inputs: Vec<FurtherInput>,
    /// How the layer's tokens lie in the image, for example 14x14, where the graph does not tell it; tokens left over are the
    /// first ones
    #[cfg_attr(feature = "clap", arg(long, value_name = "HEIGHTxWIDTH"))]
    pub grid: Option<Grid>,
    /// The network's input shape where the file leaves it open, for example 1,3,224,224
    #[cfg_attr(feature = "clap", arg(long, value_name = "N,C,H,W", value_delimiter = ','))]
    pub shape: Option<Vec<usize>>,
    /// Mebibytes that the network's values may take beside what goes with its image and its weights; what takes more is
    /// refused before it runs
    #[cfg_attr(feature = "clap", arg(long, value_name = "MIB", default_value_t = Spec::default().memory))]
    pub memory: u64,
    /// Class labels: a text file with one a line, or a JSON file
    #[cfg_attr(feature = "clap", arg(long, value_name = "FILE"))]
    pub labels: Option<LabelsFrom>,
    /// How photos are prepared: a preset's name (`hirescam presets` lists them) or a TOML or preprocessor_config.json file
    /// (docs/preprocessing.md)
    #[cfg_attr(feature = "clap", arg(long, value_name = "PRESET|FILE"))]
    pub preprocess: Option<PreprocessFrom>,
    /// What runs the network.
    #[cfg_attr(feature = "clap", arg(skip))]
    pub engine: EngineChoice,
    /// How methods of several runs work.
    #[cfg_attr(feature = "clap", arg(skip))]
    pub settings: Settings,
    /// How pictures look.
    #[cfg_attr(feature = "clap", arg(skip))]
    pub picture: Picture,
    /// What a comparison compares.
    #[cfg_attr(feature = "clap", arg(skip))]
    pub compare: comparison::Plan,
    /// What a check checks.
    #[cfg_attr(feature = "clap", arg(skip))]
    pub check: check::Plan,
}

impl Default for Spec {
    fn default() -> Self {
        Spec {
            layers: Vec::new(),
            classes: Vec::new(),
            top: None,
            target: None,
            method: "hirescam".into(),
            output: None,
            score: ScoreFrom::default(),
            class_axis: None,
            activation: None,
            channel_axis: None,
            image_channels: None,
            image_input: None,
            inputs: Vec::new(),
            grid: None,
            shape: None,
            memory: memory::SPARE >> 20,
            labels: None,
            preprocess: None,
            engine: EngineChoice::default(),
            settings: Settings::default(),
            picture: Picture::default(),
            compare: comparison::Plan::default(),
            check: check::Plan::default(),
        }
    }
}
