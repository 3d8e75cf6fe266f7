//! `hirescam study build` as a user meets it.
#![cfg(feature = "study")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use common::{fails, fixture, hirescam, ok};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// A study of digits in a folder of its own, with the photos that are named.
fn laid_out(folder: &Path, photos: &[&str], more: &str) {
    for file in ["digits-cnn.onnx", "digits-cnn.toml", "digits-cnn.labels.txt"] {
        fs::copy(fixture(file), folder.join(file)).unwrap();
    }
    fs::create_dir(folder.join("photos")).unwrap();
    for photo in photos {
        fs::copy(fixture(&format!("photos/{photo}")), folder.join("photos").join(photo)).unwrap();
    }
    let study = format!(
        "title = 'Digits'
        seed = 11
        metrics = []
        question = {{ kind = 'prefer' }}
        arms = [
            {{ name = 'hirescam', model = 'digits-cnn.onnx', spec = {{ engine = {{ name = 'tract' }} }} }},
            {{ name = 'gradcam', model = 'digits-cnn.onnx', spec = {{ method = 'gradcam', engine = {{ name = 'tract' }} }} }},
        ]
        picture = {{ side = 64 }}
        items = {{ images = ['photos'] }}
        {more}"
    );
    fs::write(folder.join("study.toml"), study).unwrap();
}

#[test]
fn a_study_is_built_and_its_key_lies_apart() {
    let folder = tempfile::tempdir().unwrap();
    laid_out(folder.path(), &["seven.png", "three.png"], "");
    // From another folder: paths are seen from the study's file.
    let away = tempfile::tempdir().unwrap();
    let file = folder.path().join("study.toml");
    let asked = ["study", "build", file.to_str().unwrap(), "--out", "made"];
    let said = ok(away.path(), &asked);
    for words in
        ["2 items, 0 for practice and 0 checks, 2 arms, 6 pictures in made", "made-key.json", "preregistration.md"]
    {
        assert!(said.contains(words), "{said}");
    }
    let key: Value = serde_json::from_slice(&fs::read(away.path().join("made-key.json")).unwrap()).unwrap();
    let mut classes: Vec<u64> =
        key["items"].as_array().unwrap().iter().map(|item| item["class"].as_u64().unwrap()).collect();
    classes.sort_unstable();
    assert_eq!(classes, [3, 7]);
    // Nothing says where it was made.
    let place = folder.path().to_str().unwrap();
    for file in ["made-key.json", "made/manifest.json", "made/preregistration.md"] {
        assert!(!fs::read_to_string(away.path().join(file)).unwrap().contains(place), "{file}");
    }
    let (code, said) = fails(away.path(), &asked);
    assert!(code == 3 && said.contains("made cannot be written: it is there already"), "{said}");
    let (code, said) = fails(away.path(), &[&asked[..4], &["b", "--key", "b/key.json"]].concat());
    assert!(code == 3 && said.contains("within the study's folder"), "{said}");
}

#[test]
fn a_broken_image_is_said_and_the_rest_is_built() {
    let folder = tempfile::tempdir().unwrap();
    laid_out(folder.path(), &["seven.png"], "");
    fs::write(folder.path().join("photos/empty.png"), "").unwrap();
    let done = hirescam(folder.path(), &["study", "build", "study.toml"]);
    let (said, stderr) = (String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap());
    assert_eq!(done.status.code(), Some(1), "{stderr}");
    assert!(
        said.contains("1 item, 0 for practice and 0 checks") && stderr.contains("photos/empty.png: "),
        "{said}{stderr}"
    );
    assert!(folder.path().join("study/manifest.json").is_file() && folder.path().join("study-key.json").is_file());
}

#[test]
fn what_is_wrong_with_a_design_is_a_sentence_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    laid_out(folder.path(), &["seven.png"], "");
    let right = fs::read_to_string(folder.path().join("study.toml")).unwrap();
    let before = fs::read_dir(folder.path()).unwrap().count();
    let with = |more: &str| format!("{right}\n{more}");
    for (text, code, words) in [
        (with("test = { alpha = 2.0 }"), 2, "test.alpha is 2"),
        (with("[consnt]"), 3, "unknown field `consnt`"),
        (with("["), 3, "study.toml: TOML parse error"),
        (with("[exclude]\nfailed_checks = -1"), 3, "failed_checks"),
        (right.replace("'photos'", "'fotos'"), 3, "fotos"),
        (right.replace("'gradcam', engine", "'gradcan', engine"), 2, "gradcam"),
        (right.replace("digits-cnn.onnx", "digits.onnx"), 3, "digits.onnx"),
    ] {
        fs::write(folder.path().join("study.toml"), text).unwrap();
        let (found, said) = fails(folder.path(), &["study", "build", "study.toml"]);
        assert!(found == code && said.contains(words), "{words}: {found} {said}");
    }
    let (code, said) = fails(folder.path(), &["study", "build", "absent.toml"]);
    assert!(code == 3 && said.contains("absent.toml"), "{said}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), before);
}

#[test]
fn arms_that_could_be_told_by_what_they_saw_or_not_at_all_are_said() {
    let folder = tempfile::tempdir().unwrap();
    laid_out(folder.path(), &["seven.png"], "");
    let study = fs::read_to_string(folder.path().join("study.toml")).unwrap();
    let built = |name: &str, spec: &str| {
        let text = study.replace("spec = { method = 'gradcam',", &format!("spec = {{ {spec},"));
        fs::write(folder.path().join("other.toml"), text).unwrap();
        let done = hirescam(folder.path(), &["study", "build", "other.toml", "-o", name]);
        let stderr = String::from_utf8(done.stderr).unwrap();
        assert!(done.status.success(), "{stderr}");
        stderr
    };
    let one = built("a", "method = 'gradcam'");
    assert!(one.contains("raters.repeats is 2, and a rater sees too few items: 1 come again"), "{one}");
    assert_eq!(one.lines().count(), 1, "{one}");
    let same = study.replace("spec = { method = 'gradcam',", "spec = { method = 'hirescam',");
    fs::write(folder.path().join("same.toml"), same).unwrap();
    let (code, same) = fails(folder.path(), &["study", "build", "same.toml", "-o", "b"]);
    assert!(code == 2 && same.contains("there is nothing to compare"), "{same}");
    assert!(!folder.path().join("b").exists() && !folder.path().join("b-key.json").exists());
    let cropped =
        fs::read_to_string(fixture("digits-cnn.toml")).unwrap() + "\nresize = { shorter = 36 }\ncrop = [28, 28]\n";
    fs::write(folder.path().join("cropped.toml"), cropped).unwrap();
    let apart = built("c", "method = 'gradcam', preprocess = 'cropped.toml'");
    assert!(apart.contains("the arms' networks see different parts of the photos"), "{apart}");
}

#[cfg(unix)]
#[test]
fn a_disk_that_takes_no_more_is_a_sentence_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    laid_out(folder.path(), &["seven.png", "three.png"], "");
    let before = fs::read_dir(folder.path()).unwrap().count();
    // Files end at a few blocks; the signal that would kill the program is passed over, so that writing fails as on a full disk.
    let limited = format!("trap '' XFSZ; ulimit -f 1; exec {} study build study.toml", env!("CARGO_BIN_EXE_hirescam"));
    let done = std::process::Command::new("sh").current_dir(folder.path()).args(["-c", &limited]).output().unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.code() == Some(3) && said.contains("cannot be written"), "{said}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), before);
}
