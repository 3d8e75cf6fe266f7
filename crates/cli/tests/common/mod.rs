//! Running the program in a folder.
#![allow(dead_code, clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

pub const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

pub fn fixture(name: &str) -> String {
    format!("{FIXTURES}/{name}")
}

/// Results must not depend on which engines the machine has: it is tract where nothing else is said.
pub fn hirescam(folder: &Path, arguments: &[&str]) -> Output {
    let runs = matches!(arguments.first(), Some(&("explain" | "compare" | "check" | "evaluate")));
    let said = arguments.iter().any(|argument| ["--engine", "--spec"].contains(argument));
    let engine: &[&str] = if runs && !said { &["--engine", "tract"] } else { &[] };
    by_default(folder, &[arguments, engine].concat())
}

/// As [`hirescam`], on the engine that the program takes by itself.
pub fn by_default(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hirescam")).current_dir(folder).args(arguments).output().unwrap()
}

/// Runs a command that must succeed: its stdout.
pub fn ok(folder: &Path, arguments: &[&str]) -> String {
    let done = hirescam(folder, arguments);
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8(done.stdout).unwrap()
}

/// Runs a command that must fail: its exit code and what it says.
pub fn fails(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let done = hirescam(folder, arguments);
    assert_eq!(String::from_utf8_lossy(&done.stdout), "", "{arguments:?}");
    (done.status.code().unwrap(), String::from_utf8(done.stderr).unwrap())
}
