//! A preprocessing file, and a small photo through what it says.
#![no_main]

#[path = "../../crates/hirescam/src"]
#[allow(dead_code, unused_imports)]
mod source {
    pub mod photo;
    pub mod preprocess;
}

use libfuzzer_sys::fuzz_target;
use source::{photo, preprocess};

use photo::Photo;
use preprocess::{ImageInput, Layout, Preprocess};

fuzz_target!(|text: &str| {
    let Ok(photo) = Photo::from_rgb(image::RgbImage::from_fn(7, 5, |x, y| image::Rgb([x as u8, y as u8, 99]))) else {
        return;
    };
    let input = ImageInput { layout: Layout::ChannelsLast, channels: None, height: None, width: None };
    for read in [Preprocess::from_toml(text), Preprocess::from_hugging_face(text)].into_iter().flatten() {
        // The largest sizes that are allowed would only take time.
        let small = match read.resize {
            Some(preprocess::Resize::Shorter(n)) => n <= 64,
            Some(preprocess::Resize::Exact([h, w])) => h.max(w) <= 64,
            None => true,
        };
        if small && let Ok(prepared) = read.apply(&photo, input) {
            assert!(prepared.tensor.iter().all(|v| !v.is_nan()));
        }
    }
});
