//! That imports between modules go down the list in ARCHITECTURE.md, so that no circle comes about by accident.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};

/// The rows of the list, from the top; each with its modules as paths (`cam/methods`).
fn rows() -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ARCHITECTURE.md")).unwrap();
    let list = text.split("### The order of core's modules").nth(1).unwrap().split("```").nth(1).unwrap();
    let row = |line: &str| line.split('·').map(|module| module.trim().to_owned()).collect();
    list.lines().skip(1).filter(|line| !line.trim().is_empty()).map(row).collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push(path),
        }
    }
}

/// What the crate's root gives again, by the modules that have it.
fn at_home(module: &str) -> &str {
    match module {
        "Error" | "near" => "error",
        "Model" => "graph",
        "Tensor" => "tensor",
        other => other,
    }
}

/// The paths that a file imports from the crate: `use` with braces written out, and paths in the code.
fn imports(code: &str, own: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let path = |text: &str| -> Vec<String> { text.split("::").map(|part| part.trim().to_owned()).collect() };
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            // A `super` within a path belongs to what stands before it; a visibility imports nothing.
            if code[..at].ends_with("super::")
                || code[..at].ends_with("in ")
                || code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
            {
                continue;
            }
            let end =
                code[at..].find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(code.len() - at);
            let mut whole = path(code[at..at + end].trim_end_matches(':'));
            let mut base: Vec<String> = if whole[0] == "crate" { Vec::new() } else { own.to_vec() };
            while !whole.is_empty() && (whole[0] == "super" || whole[0] == "crate") {
                if whole.remove(0) == "super" {
                    base.pop();
                }
            }
            let listed = code[at + end..].strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(list, _)| list);
            match listed.filter(|_| code[..at + end].ends_with("::")) {
                Some(list) => {
                    for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
                        found.push([base.clone(), whole.clone(), path(item)].concat());
                    }
                }
                None => found.push([base, whole].concat()),
            }
        }
    }
    found
}

#[test]
fn imports_go_down_the_list() {
    let rows = rows();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    // The row of the module, or of the one that it lies in.
    let row_of = |path: &[String]| {
        let listed = |depth: usize| rows.iter().position(|row| row.contains(&path[..depth].join("/")));
        (1..=path.len()).rev().find_map(listed)
    };
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut checked = 0;
    for file in files {
        let relative = file.strip_prefix(&root).unwrap().with_extension("");
        let mut own: Vec<String> = relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        if own == ["lib"] {
            continue;
        }
        if own.last().unwrap() == "mod" {
            own.pop();
        }
        let row = row_of(&own).unwrap_or_else(|| panic!("{own:?} is not in the list"));
        let text = std::fs::read_to_string(&file).unwrap();
        let code: Vec<&str> = text.split("#[cfg(test)]").next().unwrap().lines().collect();
        let code: Vec<&str> = code.into_iter().map(|line| line.split("//").next().unwrap()).collect();
        for mut import in imports(&code.join("\n"), &own) {
            if let Some(first) = import.first_mut() {
                *first = at_home(first).to_owned();
            }
            let Some(to) = row_of(&import) else { continue };
            // A folder's own file takes together what lies in it.
            let takes_together = import.len() >= own.len() && import[..own.len()] == own;
            assert!(to >= row || takes_together, "{}: {} lies above it", file.display(), import.join("::"));
            checked += 1;
        }
    }
    assert!(checked > 300, "{checked} imports");
    assert!(rows.len() > 10, "{rows:?}");
}
