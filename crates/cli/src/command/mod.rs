//! The commands, one a file.

pub mod compile;
pub mod explain;
pub mod layers;
pub mod ops;
pub mod strip;
