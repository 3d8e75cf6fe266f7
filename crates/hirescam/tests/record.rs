//! Records: what stands in them (`fixtures/records`, made by this test with `RECORDS=write`), that they are read again, and that
//! the schema in `docs/` knows every field.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam::fusion::Fuse;
use hirescam::photo::Photo;
use hirescam::pipeline::Pipeline;
use hirescam::record::{Mark, Origin, Record, SCHEMA};
use hirescam::sink::{Folder, Protected};
use hirescam::spec::Picture;
use hirescam::{Error, Network, Sample, Spec, check, comparison};
use serde_json::Value;
use std::path::{Path, PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Numbers of engines differ in their last digits.
const CLOSE: f64 = 1e-4;

fn spec(layers: &[&str]) -> Spec {
    let layers = layers.iter().map(|&layer| layer.to_owned()).collect();
    let picture = Picture { fuse: Some(Fuse::Mean), ..Picture::default() };
    Spec { engine: "tract".into(), layers, top: Some(2), picture, ..Spec::default() }
}

/// The records of all kinds, each by its name.
fn records() -> Vec<(&'static str, Record)> {
    let (network, seven) = (format!("{ROOT}/fixtures/digits-cnn.onnx"), format!("{ROOT}/fixtures/photos/seven.png"));
    let layers: Vec<String> = {
        let file = Network::open(&network).unwrap();
        let relus = file.model().graph().node.iter().filter(|n| n.op_type() == "Relu").map(|n| n.output[0].clone());
        relus.take(2).collect()
    };
    let spec = spec(&[&layers[0], &layers[1]]);
    let explainer = Network::open(&network).unwrap().explainer(&spec).unwrap();
    let pipeline = Pipeline { explainer: &explainer, pictures: true, thumbnails: false, style: Default::default() };
    let out = tempfile::tempdir().unwrap();
    let protected = Protected::new(std::iter::empty::<&PathBuf>());
    let mut folder = Folder::open(out.path(), "explain", pipeline.run(), protected, false).unwrap();
    let mut made = Vec::new();
    let mut each = |outcome: hirescam::pipeline::Outcome| {
        made.extend(outcome.images.unwrap().into_iter().flatten().map(|written| written.unwrap().record));
        Ok::<(), Error>(())
    };
    pipeline.explain(&[PathBuf::from(&seven)], &mut folder, &mut |_| {}, &mut each).unwrap();
    assert_eq!(made.len(), 6);
    for record in &made {
        let file = Path::new(&record.files().unwrap().map).with_extension("json");
        let written: Record = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        assert_eq!(&written, record);
    }
    let file = Network::open(&network).unwrap();
    let methods = ["hirescam", "gradcam"].map(str::to_owned).to_vec();
    let compare = comparison::Plan { methods };
    let one = Spec { top: None, layers: vec![layers[1].clone()], compare, ..self::spec(&[]) };
    let sample = Sample::from(Photo::open(&seven).unwrap());
    let compared = file.comparer(&one).unwrap().compare(&[sample], &mut |_, _| {}).remove(0).unwrap();
    let origin = Origin::new(Path::new(&seven), Some("sha"), Some(0));
    let comparison = Record::comparison(&compared, origin, Err("none".into()), Mark::default());
    let plan = check::Plan { methods: vec!["gradcam".into()], sample: 1, places: 4, ..check::Plan::default() };
    let images = [PathBuf::from(&seven)];
    let report = file.check(&Spec { check: plan, ..one }, &mut hirescam::source::inputs(&images), &mut |_| {}).unwrap();
    let missing = hirescam::source::read(Path::new("missing.png")).unwrap_err();
    vec![
        ("map", made[0].clone()),
        ("fused", made[2].clone()),
        ("comparison", comparison),
        ("check", Record::Check(Box::new(report))),
        ("nothing", Record::nothing(Path::new("photos/dark.png"), 3)),
        ("failed", Record::failed(Path::new("missing.png"), None, &missing)),
    ]
}

/// What is the same on all machines and in all versions.
fn lasting(record: &Record) -> Value {
    let mut value = serde_json::to_value(record).unwrap();
    for key in ["version", "engine_version", "run"] {
        if let Some(field) = value.get_mut(key) {
            assert!(field.is_string());
            *field = "…".into();
        }
    }
    let name = |path: &mut Value| {
        if let Value::String(path) = path {
            *path = Path::new(&path).file_name().unwrap().to_string_lossy().into_owned();
        }
    };
    for key in ["model", "image", "map", "overlay"] {
        value.get_mut(key).map(name);
    }
    let images = value.get_mut("images").and_then(Value::as_array_mut);
    images.into_iter().flatten().filter_map(|image| image.get_mut("name")).for_each(name);
    value
}

/// Whether two texts have the same words, and numbers in the same places that are close: to the last digit that is written.
fn is_close(made: &str, kept: &str) -> bool {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let (made, kept) = (words(made), words(kept));
    let bare = |word: &str| word.trim_matches(|c| "(),;:".contains(c)).to_owned();
    let same = |(made, kept): (&String, &String)| {
        let (a, b) = (bare(made), bare(kept));
        let (Ok(x), Ok(y)) = (a.parse::<f64>(), b.parse::<f64>()) else { return made == kept };
        let (digits, power) =
            b.split_once('e').map_or((b.as_str(), 0), |(digits, power)| (digits, power.parse().unwrap()));
        let decimals = digits.split_once('.').map_or(0, |(_, decimals)| decimals.len() as i32);
        let last = 10f64.powi(power - decimals);
        made.replace(&a, "") == kept.replace(&b, "") && (x - y).abs() <= CLOSE * y.abs().max(1.0) + 1.01 * last
    };
    made.len() == kept.len() && made.iter().zip(&kept).all(same)
}

#[test]
fn sentences_are_close_where_their_words_are_the_same_and_their_numbers_close() {
    let kept = "exact: \u{3a3} map 1.5000 + b (-2.25) = score 3.1e-7, at /features/features.7/Relu_output_0";
    assert!(is_close(kept, kept));
    assert!(is_close(&kept.replace("1.5000", "1.5001").replace("3.1e-7", "-8.2e-7"), kept));
    let others =
        [("exact", "unproven"), ("1.5000", "1.5100"), ("(-2.25)", "-2.25"), ("features.7", "features.8"), ("map ", "")];
    for (from, to) in others {
        assert!(!is_close(&kept.replace(from, to), kept), "{from} and {to}");
    }
}

fn assert_close(made: &Value, kept: &Value, at: &str) {
    match (made, kept) {
        (Value::Object(made), Value::Object(kept)) => {
            let names = |fields: &serde_json::Map<String, Value>| fields.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(made), names(kept), "{at}");
            made.iter().for_each(|(key, made)| assert_close(made, &kept[key], &format!("{at}.{key}")));
        }
        (Value::Array(made), Value::Array(kept)) => {
            assert_eq!(made.len(), kept.len(), "{at}");
            made.iter().zip(kept).for_each(|(made, kept)| assert_close(made, kept, at));
        }
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            // A residual is all rounding.
            assert!((a - b).abs() <= CLOSE * b.abs().max(1.0), "{at}: {a}, not {b}");
        }
        (Value::String(made), Value::String(kept)) => {
            assert!(is_close(made, kept), "{at}: {made:?}, not {kept:?}");
        }
        (made, kept) => assert_eq!(made, kept, "{at}"),
    }
}

#[test]
fn records_are_what_they_were_and_are_read_again() {
    let schema: Value =
        serde_json::from_slice(&std::fs::read(format!("{ROOT}/docs/record.schema.json")).unwrap()).unwrap();
    let known = schema.to_string();
    for (name, record) in records() {
        let again: Record = serde_json::from_slice(&record.to_json().unwrap()).unwrap();
        let made = lasting(&record);
        // To the last digit of every number.
        assert!(again.to_json().unwrap() == record.to_json().unwrap(), "{name}");
        assert_eq!((&made["schema"], &made["record"]), (&SCHEMA.into(), &name.into()));
        for key in made.as_object().unwrap().keys() {
            assert!(known.contains(&format!("\"{key}\":")), "{key} is not in the schema");
        }
        let path = format!("{ROOT}/fixtures/records/{name}.json");
        if std::env::var_os("RECORDS").is_some_and(|value| value == "write") {
            std::fs::create_dir_all(format!("{ROOT}/fixtures/records")).unwrap();
            std::fs::write(&path, serde_json::to_string_pretty(&made).unwrap() + "\n").unwrap();
        }
        let kept: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_close(&made, &kept, name);
    }
}

#[test]
fn a_spec_in_a_record_repeats_the_run() {
    let (_, record) = records().remove(0);
    let Record::Map(map) = record else { panic!() };
    let read: Spec = serde_json::from_value(serde_json::to_value(&map.provenance.spec).unwrap()).unwrap();
    assert_eq!(read, map.provenance.spec);
    let explainer = Network::open(&map.provenance.model).unwrap().explainer(&read).unwrap();
    let again = explainer.explain_one(Photo::open(&map.origin.image).unwrap()).unwrap();
    let e = again.at(0, &map.numbers.method, &map.numbers.layer).unwrap();
    assert_eq!((e.score, e.sum, e.class), (map.score, map.numbers.sum, map.class));
}
