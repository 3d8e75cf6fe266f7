//! Where in the image did the network look, and how far can that picture be trusted?
//!
//! An [`Explainer`] takes a trained convolutional network as an ONNX file and gives, for each image, an
//! [`Explanation`]: the raw signed map, the class and its score, and a certificate of what is proven about the map.
//!
//! ```
//! use hirescam::{Explainer, Spec, photo::Photo};
//!
//! let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");
//! let explainer = Explainer::new(format!("{fixtures}/digits-cnn.onnx"), &Spec::default())?;
//! let seven = Photo::open(format!("{fixtures}/photos/seven.png"))?;
//! let explained = explainer.explain_one(seven)?;
//! assert_eq!(explained.maps()[0].class, Some(7));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![recursion_limit = "256"] // Records are one long `json!` each.

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
pub mod photo;
pub mod pipeline;
pub mod preprocess;
pub mod record;
pub mod sample;
pub mod sink;
pub mod source;
pub mod spec;
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
