//! What the tests of engines share.
#![allow(dead_code)]

pub mod reference;

use std::path::Path;

use hirescam_engine::{Array, Engine, Error, Options, Session, engine};

/// Every engine of this build that runs on this machine, each with `threads`.
pub fn engines(threads: usize) -> Vec<Box<dyn Engine>> {
    let options = Options { threads, ..Options::default() };
    let made = hirescam_engine::ENGINES.iter().filter_map(|entry| match engine(entry.name, &options) {
        Ok(engine) => Some(engine),
        Err(Error::NotFound(why)) => {
            eprintln!("SKIPPED for `{}`: {why}", entry.name);
            None
        }
        Err(error) => panic!("{}: {error}", entry.name),
    });
    made.collect()
}

/// The bytes of a model beside these tests, as `data/make.py` wrote it.
pub fn model(name: &str) -> Vec<u8> {
    read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name))
}

/// The bytes of a network in the repository's `fixtures/`.
pub fn fixture(name: &str) -> Vec<u8> {
    read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name))
}

fn read(path: impl AsRef<Path>) -> Vec<u8> {
    let path = path.as_ref();
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// An array of reproducible noise in -1..1.
pub fn noise(shape: &[usize], seed: u64) -> Array {
    // xorshift64: good enough to tell places apart, the same everywhere.
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let draw = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    ndarray::ArrayD::from_shape_fn(shape, draw).into()
}

/// The outputs without their names.
pub fn run(session: &dyn Session, inputs: &[(&str, &Array)]) -> Result<Vec<Array>, Error> {
    Ok(session.run(inputs)?.into_iter().map(|(_, array)| array).collect())
}
