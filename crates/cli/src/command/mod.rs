//! The commands, one a file.

pub mod check;
pub mod compare;
pub mod compile;
pub mod evaluate;
pub mod explain;
pub mod layers;
pub mod methods;
pub mod ops;
pub mod presets;
pub mod strip;
