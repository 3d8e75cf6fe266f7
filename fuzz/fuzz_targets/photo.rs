//! An image file to pixels.
#![no_main]

#[path = "../../crates/hirescam/src/photo.rs"]
#[allow(dead_code)]
mod photo;

use libfuzzer_sys::fuzz_target;
use photo::{Limits, Photo};

const LIMITS: Limits = Limits { file_bytes: 1 << 20, pixels: 1 << 22, memory_bytes: 1 << 26 };

// Panics of the decoders are caught by `decode`; any other ends the run all the same.
fuzz_target!(init: std::panic::set_hook(Box::new(|_| {})), |bytes: &[u8]| {
    if let Ok(photo) = Photo::decode(bytes, LIMITS) {
        assert!(u64::from(photo.width()) * u64::from(photo.height()) <= LIMITS.pixels);
    }
});
