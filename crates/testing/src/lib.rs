//! What the tests of several crates share: networks made by hand and by chance, ONNX's own tests of operators, the zoo, engines,
//! and tests that are made of data.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

pub mod by_chance;
pub mod by_hand;
#[cfg(feature = "each")]
pub mod each;
#[cfg(feature = "engines")]
pub mod engines;
pub mod mutate;
pub mod node_cases;
pub mod pipeline;
mod random;

use hirescam_core::Model;

pub use random::Random;

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
