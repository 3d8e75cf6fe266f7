//! Runs ONNX models: bytes and named arrays in, named arrays out.
//!
//! An [`Engine`] reads a model once and gives a [`Session`] that runs it as often as one likes,
//! from as many threads as one likes. Which engines there are stands in [`ENGINES`]:
//!
//! - `tract`: pure Rust, there wherever this crate is built.
//! - `onnxruntime`: faster; its library is looked for when the engine is asked for, so that nothing has to be installed to
//!   build or to use tract.
//!
//! Each is a cargo feature of its name, and both are on by default.
//!
//! ```
//! use hirescam_engine::{Array, Options, engine};
//! use ndarray::array;
//!
//! // y = 2 x + 1
//! let model = include_bytes!("../tests/data/affine.onnx");
//! let session = engine("tract", &Options::default())?.prepare(model)?;
//! let x = Array::from(array![[1f32, 2., 3.]]);
//! let outputs = session.run(&[("x", &x)])?;
//! assert_eq!(outputs, [("y".to_owned(), Array::from(array![[3f32, 5., 7.]]))]);
//! # Ok::<(), hirescam_engine::Error>(())
//! ```
// What one engine alone uses.
#![cfg_attr(not(all(feature = "tract", feature = "onnxruntime")), allow(dead_code, unused_imports, unused_macros))]

mod array;
mod error;
#[cfg(feature = "onnxruntime")]
mod library;
#[cfg(feature = "onnxruntime")]
pub mod onnxruntime;
mod panics;
mod port;
#[cfg(feature = "tract")]
mod tract;

use std::path::PathBuf;

pub use array::{Array, Kind, Shared};
pub use error::Error;
pub use panics::{WORKERS, caught};

/// Something that runs ONNX models.
pub trait Engine: Send + Sync {
    /// Its name in [`ENGINES`].
    fn name(&self) -> &'static str;

    /// Which version of it runs, and on which device where it is not the processor; for the record.
    fn version(&self) -> String;

    /// Makes the model in the ONNX bytes `model` ready to run. Weights must lie in the bytes.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the bytes are no sound model, [`Error::Unsupported`] where the
    /// engine lacks what the model uses, [`Error::Panicked`] where the engine broke on it.
    fn prepare(&self, model: &[u8]) -> Result<Box<dyn Session>, Error>;
}

/// A model made ready to run by an [`Engine`].
pub trait Session: Send + Sync {
    /// Runs the model on arrays given by name, in any order: every output by name, in the order
    /// in which the model lists them.
    ///
    /// Inputs that the model has a value for itself may be left out. Several threads may run one
    /// session at a time; the same inputs give the same outputs whoever runs beside them.
    ///
    /// # Errors
    /// [`Error::Input`] where names, kinds or shapes are not what the model declares;
    /// [`Error::Run`] where it cannot be run on such shapes although it does not say so, or
    /// fails while running; [`Error::Panicked`] where the engine broke.
    fn run(&self, inputs: &[(&str, &Array)]) -> Result<Vec<(String, Array)>, Error>;

    /// Runs the model on each of several lists of inputs; what [`Session::run`] gives of each, in their order.
    fn run_all(&self, lists: &[Vec<(&str, &Array)>]) -> Vec<Result<Vec<(String, Array)>, Error>> {
        lists.iter().map(|inputs| self.run(inputs)).collect()
    }

    /// Whether several images are done sooner one by one, by [`Session::run_all`], than as a batch.
    fn is_slow_at_batches(&self) -> bool {
        false
    }
}

/// Where an engine computes. Written `cpu`, `cuda` or `cuda:1`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// A GPU of NVIDIA, by its number from 0; for engines that have it.
    Cuda(u16),
}

impl std::str::FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = match text {
            "cpu" => return Ok(Device::Cpu),
            "cuda" => Some(0),
            _ => text.strip_prefix("cuda:").and_then(|number| number.parse().ok()),
        };
        number
            .map(Device::Cuda)
            .ok_or_else(|| format!("{text:?} is no device; there are cpu, cuda and cuda:1, cuda:2, …"))
    }
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Device::Cpu => f.write_str("cpu"),
            Device::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

/// What one can choose about an engine.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where it computes.
    pub device: Device,
    /// How many threads one run may use; 0: about as many as the machine has cores.
    pub threads: usize,
    /// The engine's library file, for engines that load one; `None`: look for it.
    pub library: Option<PathBuf>,
}

/// The most threads that are started for each core, and how many at least may be started on any machine.
const THREADS_A_CORE: usize = 4;
const LEAST_THREADS: usize = 64;

/// An engine's row in [`ENGINES`].
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// What to ask for it by.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub about: &'static str,
    new: fn(&Options) -> Result<Box<dyn Engine>, Error>,
}

/// The engines of this build, the one that is built in first.
pub const ENGINES: &[Entry] = &[
    #[cfg(feature = "tract")]
    Entry { name: TRACT, about: "Pure Rust, built in.", new: |options| Ok(Box::new(tract::Tract::new(options)?)) },
    #[cfg(feature = "onnxruntime")]
    Entry {
        name: onnxruntime::NAME,
        about: "Microsoft's ONNX Runtime, from a library on this machine; the fastest.",
        new: |options| Ok(Box::new(onnxruntime::OnnxRuntime::new(options)?)),
    },
];

/// The engine that is built in.
const TRACT: &str = "tract";

/// The name that stands for one of the engines, see [`settle`].
pub const AUTO: &str = "auto";

/// Which engine [`AUTO`] stands for on this machine, and a sentence where there is something to say of it: ONNX Runtime where
/// its library is found and can be loaded, else tract. Where a library or a GPU is asked for it is ONNX Runtime in any case:
/// tract has neither.
pub fn settle(options: &Options) -> (&'static str, Option<String>) {
    #[cfg(feature = "onnxruntime")]
    {
        let asked = !cfg!(feature = "tract") || options.library.is_some() || options.device != Device::Cpu;
        match onnxruntime::OnnxRuntime::new(options) {
            Ok(engine) => (onnxruntime::NAME, Some(format!("ONNX Runtime {} runs the network", engine.version()))),
            Err(_) if asked => (onnxruntime::NAME, None),
            Err(_) if library::is_nowhere() => (TRACT, None),
            Err(error) => (TRACT, Some(format!("tract runs the network, and not ONNX Runtime: {error}"))),
        }
    }
    #[cfg(not(feature = "onnxruntime"))]
    {
        let _ = options;
        (TRACT, None)
    }
}

/// The engine called `name` in [`ENGINES`], or the one that [`AUTO`] stands for.
///
/// # Errors
/// [`Error::NotFound`] where none is called so, or where its library is not found or cannot be
/// loaded; [`Error::Argument`] for more threads than can be of use; [`Error::Panicked`] where the engine breaks on being set up.
pub fn engine(name: &str, options: &Options) -> Result<Box<dyn Engine>, Error> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let most = (THREADS_A_CORE * cores).max(LEAST_THREADS);
    if options.threads > most {
        return Err(Error::Argument(format!(
            "{} threads are asked for; at most {most} are started on this machine, which has {cores} cores",
            options.threads
        )));
    }
    let name = if name == AUTO { settle(options).0 } else { name };
    match ENGINES.iter().find(|entry| entry.name == name) {
        Some(entry) => (entry.new)(options),
        None => Err(Error::NotFound(unknown(name))),
    }
}

/// Says that there is no engine `name`, which one may be meant, and which there are.
fn unknown(name: &str) -> String {
    let wanted = name.to_lowercase();
    let near = |entry: &&Entry| strsim::jaro_winkler(&wanted, entry.name) > 0.75 || entry.name.contains(&*wanted);
    let meant = ENGINES
        .iter()
        .filter(|_| !wanted.is_empty())
        .find(near)
        .map_or(String::new(), |entry| format!("; did you mean `{}`?", entry.name));
    let names: Vec<_> = ENGINES.iter().map(|entry| entry.name).collect();
    format!(
        "there is no engine `{name}`{meant} (this build has: {}; {AUTO} is the fastest of them that is there)",
        names.join(", ")
    )
}
