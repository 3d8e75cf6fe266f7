//! ONNX bytes → head → derivative → map → ONNX bytes.
//!
//! A trained network comes in as the bytes of an ONNX file. This crate cuts out its *head* (what lies between a
//! target layer and the class score), emits the head's derivative as ordinary ONNX nodes, adds the map that a
//! [CAM method](cam) makes of activation and gradient, and hands the network back with the map as one more output.
//! It also says, from the graph alone, what is [proven](certify) of such a map.
//!
//! The crate is pure: no IO, no threads, no engine, and no panic on any file.
//!
//! ```text
//! bytes ─ onnx::read ─► Model ─ head::cut ─► Head ─ grad::vjp ─► gradient ─ cam::attach ─► Explaining ─ onnx::write ─► bytes
//! ```
#![forbid(unsafe_code)]

pub mod analysis;
pub mod axes;
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
