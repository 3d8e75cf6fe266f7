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

/// A source without the items that only tests have: each begins with its attribute, and ends with a line that has the
/// attribute's own indentation and closes it.
fn without_tests(text: &str) -> String {
    let (mut kept, mut until) = (Vec::new(), None);
    for line in text.lines() {
        let indented = line.len() - line.trim_start().len();
        match until {
            None if line.trim() == "#[cfg(test)]" => until = Some(indented),
            None => kept.push(line),
            Some(start)
                if indented == start && !line.trim_start().starts_with('#') && line.ends_with(['}', ';', ',']) =>
            {
                until = None
            }
            Some(_) => {}
        }
    }
    kept.join("\n")
}

/// Whether a text has an option of a command line.
fn has_an_option(text: &str) -> bool {
    text.split("--").skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
}

/// Whether a line of a library names one: in a text, or in what is said of an item, which is documentation for all who use it.
fn names_an_option(line: &str) -> bool {
    let line = line.trim_start();
    match line.strip_prefix("///").or(line.strip_prefix("//!")) {
        // What is between ticks is a whole command.
        Some(words) => words.split('`').step_by(2).any(has_an_option),
        None if line.starts_with("//") => false,
        None => line.split('"').skip(1).step_by(2).any(|text| !text.contains("python ") && has_an_option(text)),
    }
}

#[test]
fn the_library_names_no_options_of_this_program() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (name, least) in [("core", 80), ("engine", 8), ("hirescam", 60), ("evaluate", 10)] {
        let sources = sources(&crates.join(name).join("src"));
        assert!(sources.len() > least, "{name}: {}", sources.len());
        for source in sources {
            for line in without_tests(&fs::read_to_string(&source).unwrap()).lines() {
                assert!(!names_an_option(line), "{}: {line}", source.display());
            }
        }
    }
}

#[test]
fn an_option_is_found_wherever_it_is_named() {
    for named in ["fail(\"give --labels FILE\")", "    /// with --signed another", "//! as --top does"] {
        assert!(names_an_option(named), "{named}");
    }
    for none in ["a -- b // \"--\"", "/// see `hirescam methods --json`", "// --flags in a comment"] {
        assert!(!names_an_option(none), "{none}");
    }
    let text = "a\n#[cfg(test)]\nuse b;\nc\n    #[cfg(test)]\n    #[allow(x)]\n    fn d() {\n        e;\n    }\n    f\n#[cfg(test)]\nmod g {\n    h\n}\n";
    assert_eq!(without_tests(text), "a\nc\n    f");
}
