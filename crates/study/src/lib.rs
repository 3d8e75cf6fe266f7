//! Studies with human raters: which of several explanations of a network do people prefer, rate higher, or learn more from?
//!
//! A study is [designed](design) in a file, [planned](plan) before anybody is asked, [built](build) into a folder of blinded pictures with a
//! key that lies apart, answered by raters, and [analysed](results) by what was laid down beforehand. The protocol is this project's own,
//! put together from the literature that each part names; it is not that of the HiResCAM paper, which is not known.
//!
//! Nothing here opens a socket or a database: the crate `hirescam-server` serves a built study and keeps the answers.
#![forbid(unsafe_code)]

pub mod answer;
pub mod build;
pub mod design;
mod error;
pub mod kinds;
pub mod manifest;
pub mod plan;
pub mod results;
pub mod schedule;
pub mod simulate;
pub mod statistics;
pub mod text;

pub use answer::Answer;
pub use design::Design;
pub use error::Error;
pub use manifest::{Key, Manifest};
