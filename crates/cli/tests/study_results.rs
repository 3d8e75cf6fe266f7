//! `hirescam study plan`, `simulate` and `results`.
#![cfg(feature = "study")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{fails, ok};
use hirescam_study::plan::stand_in;
use hirescam_study::{Design, Manifest};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn sha256(file: &Path) -> String {
    hirescam::source::hash(file).unwrap()
}

const DESIGN: &str = "title = 'Maps'
seed = 3
question = { kind = 'prefer' }
raters = { answers_per_item = 10 }
test = { effect = 0.8, resamples = 100 }
assume = { simulations = 20 }
[[arms]]
name = 'HiResCAM'
model = 'm.onnx'
[[arms]]
name = 'Grad-CAM'
model = 'm.onnx'
[items]
images = ['photos']
checks = 2
";

/// A study as it is built, but for what its pictures show.
fn study(folder: &Path) {
    fs::write(folder.join("study.toml"), DESIGN).unwrap();
    let design = Design::open(&folder.join("study.toml")).unwrap();
    let (mut manifest, key) = stand_in(&design, 6).unwrap();
    let panels = folder.join("study/panels");
    fs::create_dir_all(&panels).unwrap();
    fs::write(panels.join("one.png"), "a picture").unwrap();
    manifest.files.insert("panels/one.png".into(), sha256(&panels.join("one.png")));
    for item in &mut manifest.items {
        item.photo = "panels/one.png".into();
        item.pictures = vec![vec!["panels/one.png".into()]; 2];
    }
    let key_file = folder.join("study-key.json");
    fs::write(&key_file, serde_json::to_vec(&key).unwrap()).unwrap();
    manifest.key = sha256(&key_file);
    let file = folder.join("study").join(Manifest::FILE);
    fs::write(&file, serde_json::to_vec(&manifest).unwrap()).unwrap();
    fs::write(folder.join("study/preregistration.md"), format!("- manifest.json: `{}`", sha256(&file))).unwrap();
}

#[test]
fn a_design_is_planned_with_and_without_its_images() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("study.toml"), DESIGN).unwrap();
    let said = ok(folder.path(), &["study", "plan", "study.toml", "--items", "6"]);
    assert!(said.contains("6 items") && said.contains("with a power of") && said.contains("Assumed:"), "{said}");
    let (code, said) = fails(folder.path(), &["study", "plan", "study.toml"]);
    assert!(code == 3 && said.contains("m.onnx"), "{code} {said}");
    fs::write(folder.path().join("m.onnx"), "no network is opened").unwrap();
    let (code, said) = fails(folder.path(), &["study", "plan", "study.toml"]);
    assert!(code != 0 && said.contains("photos"), "{said}");
    fs::create_dir(folder.path().join("photos")).unwrap();
    for image in 0..7 {
        fs::write(folder.path().join(format!("photos/{image}.png")), "no image is read").unwrap();
    }
    let json: Value = serde_json::from_str(&ok(folder.path(), &["study", "plan", "study.toml", "--json"])).unwrap();
    assert_eq!(json["items"], 5);
}

#[test]
fn simulated_raters_answer_and_the_results_say_that_they_are_simulated() {
    let folder = tempfile::tempdir().unwrap();
    study(folder.path());
    let said = ok(folder.path(), &["study", "simulate", "study", "--effect", "0.85", "--seed", "2"]);
    assert!(said.contains("simulated raters, to whom HiResCAM is better by 0.85"), "{said}");
    let said = ok(folder.path(), &["study", "results", "study", "--answers", "simulated-answers.json"]);
    assert!(said.starts_with("SIMULATED RATERS") && said.contains("HiResCAM was preferred to Grad-CAM"), "{said}");
    let page = fs::read_to_string(folder.path().join("results/results.html")).unwrap();
    assert!(page.contains("No people were asked"));
    let record: Value = serde_json::from_str(&ok(
        folder.path(),
        &["study", "results", "study", "--answers", "simulated-answers.json", "--json"],
    ))
    .unwrap();
    let written: Value =
        serde_json::from_slice(&fs::read(folder.path().join("results/results.json")).unwrap()).unwrap();
    assert_eq!(record, written);
}

#[test]
fn what_was_changed_or_does_not_belong_together_is_refused_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    study(folder.path());
    let path = |name: &str| folder.path().join(name);
    ok(folder.path(), &["study", "simulate", "study"]);
    let results = ["study", "results", "study", "--answers", "simulated-answers.json"];
    let changed = |file: &str, from: &str, to: &str, says: &str| {
        let before = fs::read_to_string(path(file)).unwrap();
        assert!(before.contains(from), "{file} has no {from}");
        fs::write(path(file), before.replace(from, to)).unwrap();
        let (code, said) = fails(folder.path(), &results);
        assert!((2..=3).contains(&code) && said.contains(says), "{code} {said}");
        fs::write(path(file), before).unwrap();
    };
    changed("study/manifest.json", "\"failed_checks\":1", "\"failed_checks\":9", "preregistration.md");
    changed("study/panels/one.png", "picture", "painting", "was changed after the study was built");
    changed("study-key.json", "\"seed\":3", "\"seed\":4", "was changed after the study was built");
    changed("study-key.json", &"0".repeat(32), &"1".repeat(32), "the key of another study");
    changed("simulated-answers.json", "\"raters\"", "\"people\"", "these are no answers of a study");
    let (code, said) = fails(folder.path(), &["study", "simulate", "study", "--better", "nobody", "-o", "other.json"]);
    assert!(code == 2 && said.contains("it has HiResCAM, Grad-CAM"), "{said}");
    changed("simulated-answers.json", &"0".repeat(32), &"1".repeat(32), "the answers to another study");
    let none =
        format!(r#"{{"study": "{}", "running": false, "raters": [], "answers": [], "withdrawn": 0}}"#, "0".repeat(32));
    fs::write(path("simulated-answers.json"), none).unwrap();
    let (code, said) = fails(folder.path(), &results);
    assert!(code == 2 && said.contains("there are no answers yet"), "{said}");
}

#[test]
fn results_of_a_study_that_has_not_ended_are_shown_to_those_alone_who_ask_for_them() {
    let folder = tempfile::tempdir().unwrap();
    study(folder.path());
    ok(folder.path(), &["study", "links", "study", "-n", "1"]);
    let (code, said) = fails(folder.path(), &["study", "results", "study"]);
    assert!(code == 2 && said.contains("the study has not ended: 0 of 10 raters have finished"), "{code} {said}");
    // Nor does the way over a file lead round it.
    ok(folder.path(), &["study", "export", "study", "-o", "answers"]);
    let (code, said) = fails(folder.path(), &["study", "results", "study", "--answers", "answers/answers.json"]);
    assert!(code == 2 && said.contains("the study has not ended: 0 of 10 raters have finished"), "{code} {said}");
    let (code, said) = fails(folder.path(), &["study", "results", "study", "--early"]);
    assert!(code == 2 && said.contains("there are no answers yet"), "{code} {said}");
}

#[test]
fn simulated_answers_replace_no_file() {
    let folder = tempfile::tempdir().unwrap();
    study(folder.path());
    let (code, said) = fails(folder.path(), &["study", "simulate", "study", "--effect", "7"]);
    assert!(code == 2 && said.contains("--effect is 7: of prefer, 0.5"), "{code} {said}");
    fs::write(folder.path().join("answers.json"), "what people said").unwrap();
    let (code, said) = fails(folder.path(), &["study", "simulate", "study", "--out", "answers.json"]);
    assert!(code == 3 && said.contains("answers.json") && said.contains("is there already"), "{code} {said}");
    assert_eq!(fs::read_to_string(folder.path().join("answers.json")).unwrap(), "what people said");
}
