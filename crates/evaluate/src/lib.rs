//! How good is a map?
//!
//! [Metrics](metrics) answer that: against what is known of the image (boxes, masks), against what the network does when the
//! image is [changed], or of the map alone. A metric sees arrays and at most a function that scores images, never a model or an
//! engine, so maps from anywhere can be measured.
//!
//! ```
//! use hirescam_evaluate::metrics::{energy_pointing_game, pointing_game};
//! use ndarray::array;
//!
//! // A map of 2×3 places and where the object is.
//! let map = array![[0.5, -1.0, 0.0], [3.0, 0.5, 0.0]].into_dyn();
//! let object = array![[true, false, false], [true, false, false]].into_dyn();
//! assert!(pointing_game(map.view(), object.view(), 1.0)?);
//! assert_eq!(energy_pointing_game(map.view(), object.view(), None)?, 3.5 / 4.0);
//! # Ok::<(), hirescam_evaluate::Error>(())
//! ```
#![forbid(unsafe_code)]

pub mod changed;
pub mod classes;
pub mod data;
mod error;
pub mod evaluation;
pub mod metrics;
pub mod panels;
pub mod plan;
pub mod report;
pub mod rows;
pub mod statistics;

pub use error::Error;
pub use evaluation::Evaluation;
pub use plan::Plan;
