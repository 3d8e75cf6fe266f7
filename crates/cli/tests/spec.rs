//! What is to be explained and how, in a file: the same as by options, and taken from records.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{fails, fixture, ok};
use serde_json::Value;
use std::process::Command;

const MODEL: &str = "digits-cnn.onnx";
const PHOTO: &str = "photos/seven.png";

#[test]
fn a_file_says_what_options_say_and_options_count_more() {
    let folder = tempfile::tempdir().unwrap();
    let (model, photo) = (fixture(MODEL), fixture(PHOTO));
    let explain = |out: &str, more: &[&str]| -> Vec<Value> {
        let text = ok(folder.path(), &[&["explain", &model, &photo, "--json", "--out", out], more].concat());
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let toml =
        "class = [7, 1]\nmethod = 'gradcam'\n[engine]\nname = 'tract'\n[picture]\nlayout = 'plain'\nsigned = true";
    std::fs::write(folder.path().join("spec.toml"), toml).unwrap();
    let by_file = explain("a", &["--spec", "spec.toml"]);
    let by_options =
        explain("b", &["--class", "7,1", "--method", "gradcam", "--engine", "tract", "--plain", "--signed"]);
    assert_eq!(by_file.len(), 2);
    for (a, b) in by_file.iter().zip(&by_options) {
        for key in ["class", "method", "score", "sum", "certificate"] {
            assert_eq!(a[key], b[key], "{key}");
        }
        assert_eq!(a["spec"]["picture"], b["spec"]["picture"]);
        let read =
            |record: &Value, key: &str| std::fs::read(folder.path().join(record[key].as_str().unwrap())).unwrap();
        assert_eq!(read(a, "map"), read(b, "map"));
        assert_eq!(read(a, "overlay"), read(b, "overlay"));
    }
    // What is explained is one thing: the classes of the file are none where an option says another.
    let other = explain("c", &["--spec", "spec.toml", "--top", "1", "--method", "hirescam", "--beside"]);
    assert_eq!((other.len(), &other[0]["method"]), (1, &"hirescam".into()));
    assert_eq!((&other[0]["spec"]["class"], &other[0]["spec"]["top"]), (&Value::Array(Vec::new()), &1.into()));
    let picture = &other[0]["spec"]["picture"];
    assert_eq!((&picture["layout"], &picture["signed"]), (&"beside".into(), &true.into()));
}

#[test]
fn a_record_repeats_its_run() {
    let folder = tempfile::tempdir().unwrap();
    let (model, photo) = (fixture(MODEL), fixture(PHOTO));
    let explain = |out: &str, more: &[&str]| -> Value {
        let text = ok(folder.path(), &[&["explain", &model, &photo, "--json", "--out", out], more].concat());
        serde_json::from_str(text.lines().next().unwrap()).unwrap()
    };
    let options = ["--method", "smoothgrad", "--samples", "3", "--seed", "9", "--class", "2", "--opacity", "0.4"];
    let first = explain("a", &[&options[..], &["--engine", "tract"]].concat());
    let again = explain("b", &["--spec", "a/seven.json"]);
    assert_eq!(first["spec"], again["spec"]);
    for part in ["seven.npy", "seven.png"] {
        let read = |out: &str| std::fs::read(folder.path().join(out).join(part)).unwrap();
        assert_eq!(read("a"), read("b"), "{part}");
    }
    // It is the same run: its results are replaced.
    explain("a", &["--spec", "a/seven.json"]);
    // Other commands take the part that is theirs.
    let layers = |more: &[&str]| ok(folder.path(), &[&["layers", &model], more].concat());
    assert_eq!(layers(&[]), layers(&["--spec", "a/seven.json"]));
    let compared =
        ok(folder.path(), &["compare", &model, &photo, "--spec", "a/seven.json", "--method", "hirescam", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&compared).unwrap()["class"], 2);
}

#[test]
fn what_is_wrong_in_a_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (model, photo) = (fixture(MODEL), fixture(PHOTO));
    for (name, text, code, said) in [
        ("unknown.toml", "layr = 'a'", 2, "layer"),
        ("unknown.json", "{\"spec\": {\"engine\": {\"threds\": 2}}}", 2, "threads"),
        ("broken.toml", "layer = ", 3, "broken.toml"),
        ("broken.json", "[1", 3, "broken.json"),
        ("twice.toml", "top = 2\nclass = 3", 2, "once"),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
        let (exit, error) = fails(folder.path(), &["explain", &model, &photo, "--spec", name]);
        assert!(exit == code && error.contains(said), "{name}: {exit} {error}");
    }
    for class in [["--class", "cat"], ["--target", "class:cat"], ["--target", "contrast:cat,2"]] {
        let network = fixture("zoo/resnet.ts.onnx");
        let (exit, error) = fails(folder.path(), &["layers", &network, class[0], class[1]]);
        assert!(exit == 2 && error.contains("\"cat\"") && error.contains("--labels FILE"), "{class:?}: {exit} {error}");
    }
    let (exit, error) = fails(folder.path(), &["explain", &model, &photo, "--spec", "nowhere.toml"]);
    assert!(exit == 3 && error.contains("nowhere.toml"), "{error}");
}

#[test]
fn the_engine_is_the_one_that_is_there_and_the_record_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let (model, photo) = (fixture(MODEL), fixture(PHOTO));
    let explain = |out: &str, library: &str| -> (Value, String) {
        let done = Command::new(env!("CARGO_BIN_EXE_hirescam"))
            .current_dir(folder.path())
            .args(["explain", &model, &photo, "--json", "--out", out])
            .envs([("ORT_DYLIB_PATH", library), ("PATH", ""), ("VIRTUAL_ENV", "")])
            .output()
            .unwrap();
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(done.status.success(), "{said}");
        (serde_json::from_slice(&done.stdout).unwrap(), said)
    };
    let engine = |record: &Value| {
        assert_eq!(record["engine"], record["spec"]["engine"]["name"]);
        record["engine"].as_str().unwrap().to_owned()
    };
    // Nothing says that there is another: nothing is said.
    let (record, said) = explain("nowhere", "");
    assert_eq!((engine(&record).as_str(), said.as_str()), ("tract", ""));
    // One that is there and cannot be loaded.
    let broken = folder.path().join("libonnxruntime.so");
    std::fs::write(&broken, "no library").unwrap();
    let (record, said) = explain("broken", broken.to_str().unwrap());
    assert_eq!(engine(&record), "tract");
    assert!(
        said.starts_with("note: tract runs") && said.contains("libonnxruntime.so") && said.lines().count() == 1,
        "{said}"
    );
    // A library that is asked for by an option is no matter of choice.
    let (exit, error) = fails(folder.path(), &["layers", &model, "--spec", "nowhere/seven.json", "--onnxruntime", "x"]);
    assert!(exit == 2 && error.contains("--onnxruntime"), "{error}");
    let asked = ["explain", &model, &photo, "--engine", "auto", "--onnxruntime", broken.to_str().unwrap()];
    let (exit, error) = fails(folder.path(), &asked);
    assert!(exit == 5 && error.contains("cannot be loaded"), "{exit} {error}");
    // ONNX Runtime itself, where this machine has it.
    #[cfg(feature = "onnxruntime")]
    if let Ok(library) = hirescam::engine::onnxruntime::find_library(&Default::default()) {
        let (record, said) = explain("there", library.to_str().unwrap());
        assert_eq!(engine(&record), "onnxruntime");
        assert!(said.starts_with("note: ONNX Runtime") && said.lines().count() == 1, "{said}");
    }
}
