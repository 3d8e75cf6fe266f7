//! `hirescam panels` as a user meets it.
#![cfg(feature = "evaluate")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use common::{fails, fixture, ok};
use serde_json::Value;

#[test]
fn panels_and_their_key_lie_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (model, photo) = (fixture("efficientnet-lite0.onnx"), fixture("photos/chelsea.png"));
    let asked = ["panels", &model, &photo, "--top", "2", "--layer", "/_blocks.10/Add_output_0", "--side", "64"];
    let said = ok(folder.path(), &[&asked[..], &["--sides", "3"]].concat());
    assert!(said.contains("2 panels in panels") && said.contains("panels-key.json"), "{said}");
    let mut names: Vec<String> = std::fs::read_dir(folder.path().join("panels"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["panel-0001.png", "panel-0002.png", "panels.csv", "panels.json"]);
    let key: Value = serde_json::from_slice(&std::fs::read(folder.path().join("panels-key.json")).unwrap()).unwrap();
    let left: Vec<&str> = key["panels"].as_array().unwrap().iter().map(|p| p["left"].as_str().unwrap()).collect();
    assert!(left == ["hirescam", "gradcam"] || left == ["gradcam", "hirescam"], "{left:?}");
    // What is there is not replaced, for a key that is lost is lost.
    let (code, says) = fails(folder.path(), &[&asked[..], &["--sides", "4"]].concat());
    assert!(code == 2 && says.contains("is there already"), "{says}");
}

#[test]
fn arms_can_be_specs_and_are_two() {
    let folder = tempfile::tempdir().unwrap();
    let (model, photo) = (fixture("digits-cnn.onnx"), fixture("photos/seven.png"));
    std::fs::write(folder.path().join("early.toml"), "method = 'layercam'").unwrap();
    std::fs::write(folder.path().join("late.toml"), "method = 'saliency'").unwrap();
    let arms = ["panels", &model, &photo, "--sides", "1", "--out", "a", "--arms", "early.toml,late.toml"];
    ok(folder.path(), &arms);
    let key: Value = serde_json::from_slice(&std::fs::read(folder.path().join("a-key.json")).unwrap()).unwrap();
    let arm = |i: usize| (key["arms"][i]["name"].clone(), key["arms"][i]["provenance"]["spec"]["method"].clone());
    assert_eq!((arm(0), arm(1)), (("early".into(), "layercam".into()), ("late".into(), "saliency".into())));
    for (wrong, said) in [
        (&["--methods", "hirescam"][..], "two arms, not 1"),
        (&["--methods", "hirescam,gradcan"], "gradcam"),
        (&["--method", "gradcam"], "--methods gradcam"),
        (&["--key", "b/key.json"], "within the panels' folder"),
        (&["--scale", "both"], "own or shared"),
    ] {
        let (code, says) =
            fails(folder.path(), &[&["panels", &model, &photo, "--sides", "1", "--out", "b"][..], wrong].concat());
        assert!(code == 2 && says.contains(said), "{wrong:?}: {says}");
    }
    assert!(!folder.path().join("b").exists());
}
