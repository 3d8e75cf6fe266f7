//! What the tests of several crates share: networks made by hand and by chance, ONNX's own tests of operators, the zoo, engines,
//! and tests that are made of data.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

pub mod by_chance;
pub mod by_hand;
#[cfg(feature = "each")]
pub mod each;
#[cfg(feature = "engines")]
pub mod engines;
mod in_type;
pub mod mutate;
pub mod node_cases;
pub mod pipeline;
mod random;

use hirescam_core::Model;

pub use in_type::in_type;
pub use random::Random;

/// The largest of some numbers without their signs; 0 of none.
///
/// # Panics
/// Where one is no number at all: such a one is within no bound, and no bound can be had of it.
pub fn max_abs<'a>(values: impl IntoIterator<Item = &'a f64>) -> f64 {
    values.into_iter().fold(0.0, |largest: f64, v| {
        assert!(!v.is_nan(), "no number");
        largest.max(v.abs())
    })
}

/// The repository's folder `fixtures`.
pub const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

/// The bytes of a file in `fixtures`.
pub fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{FIXTURES}/{name}")).unwrap_or_else(|error| panic!("fixtures/{name}: {error}"))
}

/// A miniature network of `fixtures/zoo`.
pub fn zoo(file: &str) -> Model {
    Model::from_bytes(fixture(&format!("zoo/{file}"))).unwrap()
}
