//! The commands, one a file.

pub mod check;
pub mod compare;
pub mod compile;
pub mod evaluate;
pub mod explain;
pub mod layers;
pub mod methods;
pub mod ops;
#[cfg(feature = "evaluate")]
pub mod panels;
#[cfg(not(feature = "evaluate"))]
pub mod panels {
    //! What a program without it says.
    pub use super::evaluate::Evaluate as Panels;
}
pub mod presets;
pub mod strip;
