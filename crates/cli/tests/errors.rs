//! Whose words errors are: the library says what is wrong, this program what to type.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// The Rust sources in a folder and in those within it.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = entries.into_iter().partition(|path| path.is_dir());
    let files = files.into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs"));
    files.chain(folders.iter().flat_map(|folder| sources(folder))).collect()
}

/// Whether a line of code has an option of a command line in its text.
fn names_an_option(line: &str) -> bool {
    let text = line.split('"').skip(1).step_by(2);
    let after = |text: &str| text.split("--").skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()));
    text.filter(|text| !text.contains("python ")).any(after)
}

#[test]
fn the_library_names_no_options_of_this_program() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut seen = 0;
    for source in ["core", "engine", "hirescam"].into_iter().flat_map(|name| sources(&crates.join(name).join("src"))) {
        let text = fs::read_to_string(&source).unwrap();
        let code = text.split("#[cfg(test)]\n").next().unwrap_or_default();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            assert!(!names_an_option(line), "{}: {line}", source.display());
        }
        seen += 1;
    }
    assert!(seen > 100, "{seen}");
    assert!(names_an_option("fail(\"give --labels FILE\")") && !names_an_option("a -- b // \"--\""));
}
