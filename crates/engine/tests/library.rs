//! Loading ONNX Runtime's library. One test, for a process loads only one.
#![cfg(feature = "onnxruntime")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};

use hirescam_engine::onnxruntime::find_library;
use hirescam_engine::{Device, Error, Options, engine};

fn load(library: PathBuf) -> Result<(), String> {
    let options = Options { library: Some(library), ..Options::default() };
    match engine("onnxruntime", &options) {
        Ok(_) => Ok(()),
        Err(Error::NotFound(message)) => Err(message),
        Err(error) => panic!("{error:?}"),
    }
}

#[test]
fn wrong_libraries_are_errors_and_the_right_one_loads_after_them() {
    let garbage = Path::new(env!("CARGO_TARGET_TMPDIR")).join("libonnxruntime.so");
    std::fs::write(&garbage, "no library at all").unwrap();
    let message = load(garbage.clone()).unwrap_err();
    assert!(message.contains("cannot be loaded as ONNX Runtime"), "{message}");
    let message = load("no/such/file.so".into()).unwrap_err();
    assert!(message.contains("no/such/file.so"), "{message}");

    let library = match find_library(&Options::default()) {
        Ok(library) => library,
        Err(why) => return hirescam_testing::engines::skipped("onnxruntime", &why.to_string()),
    };
    load(library.clone()).unwrap();
    load(library.clone()).unwrap();
    // With a build for GPUs and one at hand it loads; else it says what it takes.
    let cuda = Options { device: Device::Cuda(0), library: Some(library), ..Options::default() };
    match engine("onnxruntime", &cuda) {
        Ok(engine) => assert!(engine.version().ends_with("on cuda:0")),
        Err(Error::NotFound(message)) => {
            assert!(message.contains("cannot compute on cuda:0") && message.contains("onnxruntime-gpu"), "{message}");
        }
        Err(error) => panic!("{error:?}"),
    }
    let message = load(garbage).unwrap_err();
    assert!(message.contains("already"), "{message}");
}
