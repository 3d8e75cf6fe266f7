//! What was asked for, and what it was asked of.

use crate::statistics::Bootstrap;
use serde::{Deserialize, Serialize};

/// What an evaluation was asked for, and of what, beside its rows: all that is needed to repeat it. [`Manifest::for_report`](crate::evaluation::Manifest::for_report)
/// makes it of an evaluation's own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Manifest {
    /// The version of the program.
    pub version: String,
    /// The command line, word by word.
    pub command: Vec<String>,
    /// The network's file.
    pub model: String,
    /// Its SHA-256.
    pub model_sha256: String,
    /// The engine that ran it.
    pub engine: String,
    /// The engine's version.
    pub engine_version: String,
    /// What the data set is, for people: the format and where it lies.
    pub data: String,
    /// Stands for the data set's content, where that is known.
    pub data_sha256: Option<String>,
    /// How many images the data set has.
    pub images: u64,
    /// How many of them were to be evaluated, where not all.
    pub limit: Option<u64>,
    /// Which classes of an image are explained: `present`, `predicted` or `both`.
    pub explained: String,
    /// The data set's classes that the network does not know.
    pub unmapped: Vec<String>,
    /// The layers, in the order in which they are shown.
    pub layers: Vec<String>,
    /// The methods, in the order in which they are shown.
    pub methods: Vec<String>,
    /// The metrics.
    pub metrics: Vec<String>,
    /// The seed by which images are chosen and halved, resamples drawn, and all else that is left to chance.
    pub seed: u64,
    /// How intervals are found; the seed is that above.
    pub bootstrap: Bootstrap,
    /// All other options, as they are read again.
    pub options: serde_json::Map<String, serde_json::Value>,
    /// What is proven of the maps.
    pub certificates: Vec<Certificate>,
}

/// What is proven of a method's maps at a layer, whatever the image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Certificate {
    /// The layer.
    pub layer: String,
    /// The method.
    pub method: String,
    /// The verdict.
    pub verdict: String,
    /// What it says, in sentences.
    pub words: Vec<String>,
}
