//! What the workspace stands on: the licences that may be linked, where packages come from, and how many versions of one.
//! It takes a second and nothing but cargo.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// A package may be used under each of these. `OR` and `/` leave a choice, `AND` does not.
const LICENCES: &[&str] = &[
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Zlib",
];
/// Where every package comes from that is not of this workspace.
const SOURCE: &str = "registry+https://github.com/rust-lang/crates.io-index";
/// Where releases are tested: what other platforms add is not looked at, nor downloaded.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";
/// Packages of which our dependencies want several versions.
const SEVERAL: &[&str] = &[
    "base64",
    "block-buffer",
    "cpufeatures",
    "crypto-common",
    "digest",
    "foldhash",
    "getrandom",
    "hashbrown",
    "hmac",
    "itertools",
    "minijinja",
    "miniz_oxide",
    "num-bigint",
    "quick-xml",
    "rand",
    "rand_core",
    "sha2",
    "spin",
    "syn",
    "tower-http",
    "unicode-width",
];

fn packages() -> Vec<Value> {
    let made = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", PLATFORM])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let metadata: Value = serde_json::from_slice(&made.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().clone();
    assert!(packages.len() > 100);
    packages
}

fn is_allowed(licence: &str) -> bool {
    let licence = licence.replace(['(', ')'], "").replace('/', " OR ");
    let one = |one: &str| LICENCES.contains(&one.trim());
    licence.split(" AND ").all(|all| all.split(" OR ").any(one))
}

#[test]
fn licences_are_those_that_we_may_link() {
    let refused = |p: &Value| !p["license"].as_str().is_some_and(is_allowed);
    let refused: Vec<String> =
        packages().iter().filter(|p| refused(p)).map(|p| format!("{} {}", p["name"], p["license"])).collect();
    assert!(refused.is_empty(), "{refused:?}");
    for (licence, allowed) in [("MIT OR GPL-3.0", true), ("MIT AND GPL-3.0", false), ("GPL-3.0", false)] {
        assert_eq!(is_allowed(licence), allowed, "{licence}");
    }
}

#[test]
fn packages_come_from_one_registry_and_in_one_version() {
    let mut versions = BTreeMap::<String, BTreeSet<String>>::new();
    for p in packages().iter().filter(|p| !p["source"].is_null()) {
        assert_eq!(p["source"], SOURCE, "{}", p["name"]);
        let version = p["version"].as_str().unwrap().to_owned();
        versions.entry(p["name"].as_str().unwrap().to_owned()).or_default().insert(version);
    }
    let several: Vec<&str> = versions.iter().filter(|(_, v)| v.len() > 1).map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        several, SEVERAL,
        "another version of a package is built twice; what is no longer doubled can go from the list"
    );
}
