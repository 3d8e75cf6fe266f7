//! A program that knows where the package onnxruntime is says so once, for the whole process.
#![cfg(feature = "onnxruntime")]
#![allow(clippy::unwrap_used)]

use hirescam_engine::Options;
use hirescam_engine::onnxruntime::{find_library, found_package};

#[test]
fn the_library_is_looked_for_in_the_package_that_is_named() {
    if std::env::var_os("ORT_DYLIB_PATH").is_some() {
        eprintln!("SKIPPED: ORT_DYLIB_PATH names a library, which comes first");
        return;
    }
    let package = std::env::temp_dir().join(format!("hirescam-package-{}", std::process::id()));
    let library = package.join("capi").join("libonnxruntime.so.1.32.0");
    std::fs::create_dir_all(package.join("capi")).unwrap();
    std::fs::write(&library, "").unwrap();
    found_package(Some(package.clone()));
    found_package(None);
    let found = find_library(&Options::default());
    std::fs::remove_dir_all(package).unwrap();
    assert_eq!(found.unwrap(), library);
}
