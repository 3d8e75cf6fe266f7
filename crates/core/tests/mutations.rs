//! Damaged model files through all of the crate: whatever they hold, an error in words and no panic, in bounded time. The
//! twin of the fuzz target `model`; `PROPTEST_CASES` says how many are tried.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::analysis::{self, Analysis, Hints};
use hirescam_core::cam::{self, Request};
use hirescam_core::shape::declared;
use hirescam_core::{Error, Model, onnx};
use hirescam_testing::mutate::mutate;
use hirescam_testing::{Random, pipeline};
use proptest::prelude::*;
use prost::encoding::{WireType, encode_key, encode_varint};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Far more than any small file takes, even on a slow machine.
const LONGEST: Duration = Duration::from_secs(60);

/// The files of the zoo, and what was once found to break something.
static FILES: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let folders = ["fixtures/zoo", "fixtures", "fixtures/hostile"].map(|f| std::fs::read_dir(format!("{root}/{f}")));
    let mut paths: Vec<_> = folders.into_iter().flatten().flatten().map(|e| e.unwrap().path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "onnx") && p.metadata().unwrap().len() < 1 << 20);
    paths.sort();
    paths.into_iter().map(|p| (p.display().to_string(), std::fs::read(&p).unwrap())).collect()
});

fn run(bytes: &[u8], what: impl Fn() -> String) {
    let start = Instant::now();
    pipeline::run(bytes);
    let took = start.elapsed();
    assert!(took < LONGEST, "{} took {took:?}", what());
}

/// The image's shape with 32 where the file leaves extents open.
fn image_shape(model: &Model) -> Option<Vec<usize>> {
    Some(declared(analysis::image_input(model, None).ok()?).iter().map(|n| n.unwrap_or(32)).collect())
}

#[test]
fn every_file_goes_through() {
    assert!(FILES.len() > 40);
    FILES.iter().for_each(|(name, bytes)| run(bytes, || name.clone()));
}

proptest! {
    // What fails is kept as a file in fixtures/hostile instead.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn noise_is_refused(bytes: Vec<u8>) {
        run(&bytes, || "noise".into());
    }

    #[test]
    fn changed_fields_panic_nowhere(file: prop::sample::Index, seed: u64, edits in 1usize..6) {
        let (name, bytes) = file.get(&FILES);
        let mut model = onnx::read(bytes.clone()).unwrap();
        let mut random = Random::new(seed);
        (0..edits).for_each(|_| mutate(&mut model, &mut |n| random.below(n)));
        run(&onnx::write(&model), || format!("{name} with seed {seed} and {edits} edits"));
    }

    #[test]
    fn flipped_bytes_panic_nowhere(file: prop::sample::Index, flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let (name, bytes) = file.get(&FILES);
        let mut bytes = bytes.clone();
        flips.iter().for_each(|(at, byte)| *at.get_mut(&mut bytes) = *byte);
        run(&bytes, || format!("{name} with {flips:?}"));
    }

    #[test]
    fn unknown_fields_outlive_explaining(file: prop::sample::Index, payload in prop::collection::vec(any::<u8>(), 24..64), tag in 100u32..1000) {
        let (name, bytes) = file.get(&FILES);
        let Ok(model) = Model::from_bytes(bytes.clone()) else { return Ok(()) };
        let mut unknown = Vec::new();
        encode_key(tag, WireType::LengthDelimited, &mut unknown);
        encode_varint(payload.len() as u64, &mut unknown);
        unknown.extend(&payload);
        // In the graph, by a second graph that is merged into the first; and in the model.
        let mut graph = Vec::new();
        encode_key(7, WireType::LengthDelimited, &mut graph);
        encode_varint(unknown.len() as u64, &mut graph);
        let longer = [bytes.as_slice(), &graph, &unknown, &unknown].concat();
        let hints = Hints { image_shape: image_shape(&model), ..Hints::default() };
        let attach = |model: &Model| {
            let made = cam::attach_to(&Analysis::of(model, &hints)?, &Request::default(), &cam::Further::default())?;
            Ok::<_, Error>(made.into_iter().next().unwrap())
        };
        let Ok(plain) = attach(&model) else { return Ok(()) };
        let made = attach(&Model::from_bytes(longer.clone()).unwrap()).unwrap();
        let written = made.to_bytes();
        prop_assert_eq!(written.windows(unknown.len()).filter(|w| *w == unknown).count(), 2, "{}", name);
        prop_assert!(cam::strip(&written).unwrap().unwrap() == longer);
        prop_assert!(onnx::read(written).unwrap() == *plain.model);
    }

    #[test]
    fn cut_files_panic_nowhere(file: prop::sample::Index, end: prop::sample::Index) {
        let (name, bytes) = file.get(&FILES);
        let end = end.index(bytes.len());
        run(&bytes[..end], || format!("{name} cut to {end} bytes"));
    }
}
