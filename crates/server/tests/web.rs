//! The page that is built into the program is what its sources say. `npm run build` lists them with their hashes; no Node is needed to compare.
#![allow(clippy::unwrap_used)]
#![cfg(feature = "view")]

use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Made of `openapi.json`, and in no repository.
const MADE: &str = "src/api/schema.d.ts";

fn web() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web")
}

/// The files below a folder, by their paths from `web/`.
fn files(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(web().join(folder)).unwrap().map(|entry| entry.unwrap());
    let all = entries.flat_map(|entry| {
        let name = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() { files(&name) } else { [name].into() }
    });
    all.collect()
}

#[test]
fn the_built_page_is_not_stale() {
    let list = fs::read_to_string(web().join("dist/sources.sha256")).unwrap();
    let listed: Vec<(&str, &str)> = list.lines().filter_map(|line| line.split_once("  ")).collect();
    assert!(listed.len() > 10);
    for (hash, name) in &listed {
        let bytes =
            fs::read(web().join(name)).unwrap_or_else(|error| panic!("{name}: {error}; npm run build --prefix web"));
        let found: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(&found, hash, "{name} has changed since the page was built: npm run build --prefix web");
    }
    let sources: BTreeSet<String> = files("src").into_iter().filter(|name| name != MADE).collect();
    let built: BTreeSet<String> =
        listed.iter().map(|(_, name)| (*name).to_owned()).filter(|name| name.starts_with("src/")).collect();
    assert_eq!(sources, built, "npm run build --prefix web");
}

#[test]
fn the_built_page_asks_nobody_else_for_anything_and_has_nothing_inline() {
    let page = fs::read_to_string(web().join("dist/index.html")).unwrap();
    for inline in ["<style", "<script>", " style=", " onclick=", "://"] {
        assert!(!page.contains(inline), "{inline} in {page}");
    }
    for name in files("dist/assets") {
        // Svelte names its documentation in errors, and elements of SVG their namespace: neither is asked for.
        let text = fs::read_to_string(web().join(&name)).unwrap();
        let addresses = text.split("http").skip(1).filter(|rest| rest.starts_with("://") || rest.starts_with("s://"));
        for address in addresses {
            let known = ["://www.w3.org/", "s://svelte.dev/"].iter().any(|known| address.starts_with(known));
            assert!(known, "{name} names http{}", address.chars().take(60).collect::<String>());
        }
    }
}
