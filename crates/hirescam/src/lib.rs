//! Where in the image did the network look, and how far can that picture be trusted?
//!
//! A [`Network`] is a trained convolutional network in an ONNX file. Its [`Explainer`] gives, for each image, an [`Explanation`]: the
//! raw signed map, the class and its score, and a certificate of what is proven about the map.
//!
//! ```
//! use hirescam::{Network, Spec, photo::Photo};
//!
//! let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");
//! let explainer = Network::open(format!("{fixtures}/digits-cnn.onnx"))?.explainer(&Spec::default())?;
//! let seven = Photo::open(format!("{fixtures}/photos/seven.png"))?;
//! let explained = explainer.explain_one(seven)?;
//! assert_eq!(explained.maps()[0].class, Some(7));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How to go on
//!
//! - [`Spec`] says what is explained and how: the target, the layer, the method, the engine. It is read from TOML and JSON, too.
//! - [`Network`] is a file with what lies beside it: [its layers](layers), [its explaining model](explaining_model), which is the same
//!   file with the map as one more output.
//! - [`Explained`] has the maps of one [`Sample`]; [`Explanation::in_words`] says what is proven of one,
//!   [`Explanation::overlay`] draws it.
//! - [`comparison`] shows several methods on one image, [`check`] holds maps against the network itself.
//! - [`pipeline`] explains files and folders, and writes pictures, maps and [records](record).
//!
//! What differentiates networks is [`hirescam_core`], as [`core`]; what runs them [`hirescam_engine`], as [`engine`]. Each engine is a
//! cargo feature: `tract` and `onnxruntime`, both on by default.

#![recursion_limit = "256"] // Records are one long `json!` each.

pub mod about;
mod analyses;
pub mod check;
pub mod colormap;
pub mod comparison;
mod error;
pub mod explained;
pub mod explainer;
pub mod explaining_model;
pub mod explanation;
mod further_inputs;
pub mod fusion;
pub mod heatmap;
pub mod html;
pub mod labels;
pub mod layers;
pub mod methods;
pub mod network;
pub mod overlay;
pub mod parts;
pub mod photo;
pub mod pipeline;
pub mod preprocess;
pub mod random;
pub mod record;
pub mod sample;
pub mod scorer;
pub mod sink;
pub mod source;
pub mod spec;
pub mod stats;
pub mod summary;
pub mod watch;

pub use error::Error;
pub use explained::Explained;
pub use explainer::Explainer;
pub use explanation::Explanation;
pub use hirescam_core as core;
pub use hirescam_engine as engine;
pub use network::Network;
pub use sample::{Input, Sample};
pub use spec::Spec;
pub use watch::{Progress, Watch};

/// The README's programs compile.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
