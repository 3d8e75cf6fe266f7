//! Studies of a design alone, for tests.
#![allow(dead_code, clippy::unwrap_used)]

use hirescam_study::plan::stand_in;
use hirescam_study::{Design, Key, Manifest};

/// A design of a question, `more` being further lines of TOML.
pub fn design(question: &str, arms: usize, more: &str) -> Design {
    let arms: String = (0..arms)
        .map(|arm| format!("[[arms]]\nname = \"{}\"\nmodel = \"m.onnx\"\n", (b'A' + arm as u8) as char))
        .collect();
    toml::from_str(&format!(
        "title = \"Maps\"\nseed = 7\n{more}\n[question]\n{question}\n[items]\npractice = 2\nchecks = 2\n{arms}"
    ))
    .unwrap()
}

/// The same as a study of so many items.
pub fn study(question: &str, arms: usize, items: usize, more: &str) -> (Manifest, Key) {
    stand_in(&design(question, arms, more), items).unwrap()
}
