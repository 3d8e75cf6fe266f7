//! CAM maps as ONNX: the bytes of a trained network in, the bytes of the same network with its map as one more output out.
//!
//! # What it is for
//!
//! A class activation map shows which places of an image a convolutional network used for its score. [HiResCAM] is A ⊙ ∂s/∂A,
//! summed over channels, of the activation A of a *target layer* and the class score s. Other CAM methods make other things
//! of the same two arrays.
//!
//! # Why in ONNX
//!
//! Only the *head*, what lies between the target layer and the score, must be differentiated. This crate cuts it out and
//! emits its derivative as ordinary ONNX nodes. Nothing is hooked or trained, no framework is needed, and whatever runs the
//! network runs the map too, in the same inference. And as all of the head is at hand, it can be said from the graph alone
//! what is [proven](certify) of such a map.
//!
//! ```text
//! bytes ─ onnx::read ─► Model ─ head::cut ─► Head ─ grad::vjp ─► gradient ─ cam::attach ─► Explaining ─ onnx::write ─► bytes
//! ```
//!
//! The crate is pure: no IO, no threads, no engine, and no panic on any file.
//!
//! # The shortest way
//!
//! ```
//! use hirescam_core::Model;
//! use hirescam_core::cam::{self, Request};
//! use hirescam_core::certify::Verdict;
//!
//! # let bytes = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/digits-cnn.onnx"))?;
//! let model = Model::from_bytes(bytes)?;
//! let explaining = cam::attach(&model, &Request::default())?;
//!
//! // A map of the best class, at the layer that is recommended, in the output `map` of the new file.
//! assert_eq!(explaining.outputs.map, "map");
//! // Of every image: Σ map + b is the score.
//! assert_eq!(explaining.certificate.verdict, Verdict::LocallyLinear);
//! let file: Vec<u8> = explaining.to_bytes();
//! # assert!(!file.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How to go on
//!
//! - Another layer, class, method or output: the fields of [`cam::Request`]. [`layers`] lists the layers, [`cam::Target`]
//!   says what can be explained, [`cam::METHODS`] how.
//! - What holds of a map: [`certify`], and [`probe`] where only numbers tell.
//! - The methods by themselves, beside another framework: [`cam::on_arrays`].
//! - Several questions about one network: [`analysis::Analysis`] is found once and passed on.
//! - Heads and bodies as models of their own, for methods that run them many times: [`head`].
//! - Derivatives of other things than scores: [`grad`], [`build`] for the nodes that are emitted, [`ops`] for what is known
//!   of each operator and how one is added.
//! - The file itself: [`onnx`], with the generated [messages](onnx::messages).
//!
//! An engine is in `hirescam-engine`; photos, labels, pictures and records in `hirescam`, which stands on both.
//!
//! [HiResCAM]: https://arxiv.org/abs/2011.08891
#![forbid(unsafe_code)]
// The tests of a file may index.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

pub mod analysis;
pub mod axes;
pub mod blind;
pub mod build;
pub mod cam;
pub mod certify;
mod error;
pub mod flow;
pub mod grad;
pub mod graph;
pub mod grid;
pub mod head;
pub mod layers;
pub mod memory;
pub mod onnx;
pub mod ops;
pub mod probe;
pub mod reference;
pub mod score;
pub mod shape;
mod strip;
pub mod target;
pub mod tensor;
pub mod weights;

pub use error::{Error, Fault, near};
pub use graph::Model;
pub use tensor::Tensor;
