//! Networks that take more than an image, against PyTorch in float64 (`fixtures/inputs/make.py`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod spec;

use hirescam::core::certify::Verdict;
use hirescam::engine::Array;
use hirescam::methods::{METHODS, Settings};
use hirescam::spec::FurtherInput;
use hirescam::{Error, Explanation, Network, Sample, Spec, Watch};
use ndarray::{ArrayD, Axis, arr0};
use serde_json::Value;
use spec::tract;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/inputs");

fn array(value: &Value) -> ArrayD<f64> {
    let shape: Vec<usize> = serde_json::from_value(value["shape"].clone()).unwrap();
    ArrayD::from_shape_vec(shape, serde_json::from_value(value["data"].clone()).unwrap()).unwrap()
}

/// A network, its golden, its images, and options with what else it is fed.
struct Case {
    file: String,
    golden: Value,
    images: ArrayD<f32>,
    options: Spec,
}

fn cases() -> Vec<Case> {
    let golden: Value = serde_json::from_slice(&std::fs::read(format!("{FIXTURES}/golden.json")).unwrap()).unwrap();
    let case = |(file, golden): (&String, &Value)| {
        let image = if file.starts_with("pair") { "after" } else { "image" };
        let inputs = golden["inputs"].as_object().unwrap();
        let others = inputs.iter().filter(|(name, _)| *name != image);
        Case {
            file: format!("{FIXTURES}/{file}"),
            golden: golden.clone(),
            images: array(&inputs[image]).mapv(|v| v as f32),
            options: Spec {
                layers: vec![golden["layer"].as_str().unwrap().into()],
                image_input: Some(image.into()),
                inputs: others.map(|(name, v)| FurtherInput::new(name, array(v))).collect(),
                target: Some("class:1".into()),
                ..tract()
            },
        }
    };
    golden.as_object().unwrap().iter().map(case).collect()
}

fn explain(case: &Case, options: &Spec) -> Result<Vec<Explanation>, Error> {
    let explainer = Network::open(&case.file)?.explainer(options)?;
    let samples = explainer.samples("", Array::from(case.images.clone()))?;
    let samples: Vec<Sample> = samples.into_iter().enumerate().map(|(i, sample)| sample.with_row(i)).collect();
    let made = explainer.explain(&samples, &mut Watch::default());
    made.into_iter().map(|made| Ok(made?.into_maps().remove(0))).collect()
}

fn near(what: &str, a: &ArrayD<f32>, b: &ArrayD<f64>) {
    assert_eq!(a.shape(), b.shape(), "{what}");
    let largest = b.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let apart = a.iter().zip(b).fold(0.0f64, |m, (a, b)| m.max((f64::from(*a) - b).abs()));
    assert!(apart <= 1e-5 * largest, "{what}: {apart:e} of {largest}");
}

#[test]
fn each_image_is_explained_with_what_comes_beside_it() {
    for case in cases() {
        for engine in hirescam_testing::engines::names() {
            let made = explain(&case, &Spec { engine: engine.into(), ..case.options.clone() }).unwrap();
            let [maps, scores, b] = ["map", "score", "b"].map(|key| array(&case.golden[key]));
            let all = made.iter().zip(maps.axis_iter(Axis(0)).zip(scores.iter().zip(&b)));
            for (e, (map, (score, b))) in all {
                near(&case.file, &e.map, &map.to_owned());
                assert!((e.score - score).abs() < 1e-4 && (e.bias.unwrap() - b).abs() < 1e-4, "{}", case.file);
            }
            let pair = case.file.contains("pair");
            let certificate = made[0].certificate();
            assert_eq!(certificate.verdict, if pair { Verdict::Exact } else { Verdict::LocallyLinear });
            assert_eq!(certificate.bypass.is_none(), pair, "{}", case.file);
        }
    }
}

#[test]
fn methods_of_several_runs_feed_the_same() {
    for case in cases() {
        for method in METHODS {
            let settings =
                Settings { batch: 3, samples: Some(4), steps: Some(3), base: "hirescam".into(), ..Settings::default() };
            let options = Spec { method: method.row.name.into(), settings, ..case.options.clone() };
            // At the layer, and at the image, where what comes beside it goes around all of the network.
            for layers in [case.options.layers.clone(), Vec::new()] {
                let made = explain(&case, &Spec { layers, ..options.clone() }).unwrap();
                for (e, score) in made.iter().zip(&array(&case.golden["score"])) {
                    assert!((e.score - score).abs() < 1e-4, "{} of {}", method.row.name, case.file);
                }
            }
            // Without noise SmoothGrad is its method itself.
            if method.row.name == "smoothgrad" {
                let quiet = Settings { noise: 0.0, ..options.settings.clone() };
                let made = explain(&case, &Spec { settings: quiet, ..options.clone() }).unwrap();
                for (e, map) in made.iter().zip(array(&case.golden["map"]).axis_iter(Axis(0))) {
                    near(&case.file, &e.map, &map.to_owned());
                }
            }
        }
    }
}

#[test]
fn one_row_or_a_number_serves_all_images() {
    let case = cases().into_iter().find(|c| c.file.contains("patient")).unwrap();
    let fed = |age: Array| {
        let mut options = case.options.clone();
        options.inputs.retain(|input| input.name != "age");
        options.inputs.push(FurtherInput::new("age", age.clone()));
        explain(&case, &options)
    };
    let rows = fed(Array::from(ndarray::arr2(&[[0.5f32], [0.5], [0.5]]))).unwrap();
    for same in [fed(Array::from(ndarray::arr2(&[[0.5f32]]))), fed(Array::from(arr0(0.5f64)))] {
        assert!(rows.iter().zip(&same.unwrap()).all(|(a, b)| a.map == b.map && a.score == b.score));
    }
    for wrong in [
        Array::from(ndarray::arr2(&[[0.5f32], [0.5]])),
        Array::from(ndarray::arr2(&[[0.5f32, 0.5]])),
        Array::from(arr0(f64::NAN)),
    ] {
        assert!(matches!(fed(wrong), Err(Error::Argument(why)) if why.contains("age")));
    }
}

#[test]
fn what_is_missing_or_unknown_is_named() {
    let case = cases().into_iter().find(|c| c.file.contains("patient")).unwrap();
    let with = |change: &dyn Fn(&mut Spec)| {
        let mut options = case.options.clone();
        change(&mut options);
        explain(&case, &options).unwrap_err().to_string()
    };
    let missing = with(&|o| o.inputs.retain(|input| input.name != "sex"));
    assert!(missing.contains("\"sex\", int64 [N]") && !missing.contains("--"), "{missing}");
    let unknown = with(&|o| o.inputs.push(FurtherInput::new("agee", Array::from(arr0(1f32)))));
    assert!(unknown.contains("agee") && unknown.contains("age"), "{unknown}");
    let fraction = with(&|o| o.inputs.push(FurtherInput::new("sex", Array::from(arr0(0.5f64)))));
    assert!(fraction.contains("sex") && fraction.contains("int64"), "{fraction}");
    let image = with(&|o| o.image_input = Some("imag".into()));
    assert!(image.contains("imag") && image.contains("image"), "{image}");
    // The input that the network reads first is no image: it has no axes of space.
    let table = with(&|o| o.image_input = Some("age".into()));
    assert!(table.contains("image"), "{table}");
}
