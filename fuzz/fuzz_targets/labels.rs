//! Class names in any of their forms.
#![no_main]

#[path = "../../crates/hirescam/src/labels.rs"]
#[allow(dead_code)]
mod labels;

use labels::Labels;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for labels in [Labels::parse(text), Labels::lines(text)].into_iter().flatten() {
        assert!(!labels.is_empty());
        let _ = labels.find(text.get(..9).unwrap_or(text));
    }
});
