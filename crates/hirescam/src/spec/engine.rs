//! What runs the network.

use super::read;
use hirescam_engine::{self as engine, Device};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What runs the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
#[serde(default, deny_unknown_fields)]
pub struct EngineChoice {
    /// The engine: tract (pure Rust, built in), onnxruntime, or auto: ONNX Runtime where its library is found, else tract
    #[cfg_attr(feature = "clap", arg(long = "engine", id = "engine", value_name = "ENGINE", default_value_t = EngineChoice::default().name))]
    pub name: String,
    /// Threads of the engine; 0 lets it choose
    #[cfg_attr(feature = "clap", arg(long, default_value_t = 0))]
    pub threads: usize,
    /// Where the engine computes: cpu, or with onnxruntime a GPU of NVIDIA: cuda, or cuda:1 for the second
    #[cfg_attr(feature = "clap", arg(long, default_value_t))]
    #[serde(with = "read::as_text")]
    pub device: Device,
    /// ONNX Runtime's library (libonnxruntime.so), where it is not found by itself
    #[cfg_attr(feature = "clap", arg(long = "onnxruntime", value_name = "FILE"))]
    #[serde(rename = "onnxruntime", serialize_with = "read::path")]
    pub library: Option<PathBuf>,
}

impl Default for EngineChoice {
    fn default() -> Self {
        EngineChoice { name: engine::AUTO.into(), threads: 0, device: Device::Cpu, library: None }
    }
}

impl From<&str> for EngineChoice {
    fn from(name: &str) -> Self {
        EngineChoice { name: name.into(), ..EngineChoice::default() }
    }
}

impl EngineChoice {
    /// The engine.
    ///
    /// # Errors
    /// Those of [`engine::engine`].
    pub fn start(&self) -> Result<Box<dyn engine::Engine>, engine::Error> {
        engine::engine(&self.name, &self.options())
    }

    /// The same with the name of one engine where any will do, and a sentence where there is something to say of it.
    pub fn settled(self) -> (Self, Option<String>) {
        if self.name != engine::AUTO {
            return (self, None);
        }
        let (name, note) = engine::settle(&self.options());
        (EngineChoice { name: name.into(), ..self }, note)
    }

    fn options(&self) -> engine::Options {
        engine::Options { device: self.device, threads: self.threads, library: self.library.clone() }
    }
}
