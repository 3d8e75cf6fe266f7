//! Networks of every element kind and of free size, on every engine, against closed forms in float64 (`fixtures/kinds/make.py`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod spec;

use hirescam::core::certify::Verdict;
use hirescam::engine::{Array, Error as EngineError, Kind};
use hirescam::photo::Photo;
use hirescam::preprocess::Preprocess;
use hirescam::{Error, Explainer, Explanation, Input, Network, Sample, Spec, Watch};
use hirescam_testing::engines;
use image::{Rgb, RgbImage};
use ndarray::{ArrayD, IxDyn};
use serde_json::Value;
use spec::tract;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/kinds");

struct Case {
    /// The image's levels, channels first.
    levels: ArrayD<f64>,
    class: usize,
    score: f64,
    map: ArrayD<f64>,
}

fn cases(file: &str) -> Vec<Case> {
    let golden: Value = serde_json::from_slice(&std::fs::read(format!("{FIXTURES}/golden.json")).unwrap()).unwrap();
    let array = |case: &Value, shape: &str, data: &str| {
        let shape: Vec<usize> = serde_json::from_value(case[shape].clone()).unwrap();
        ArrayD::from_shape_vec(shape, serde_json::from_value(case[data].clone()).unwrap()).unwrap()
    };
    let case = |case: &Value| Case {
        levels: array(case, "shape", "levels"),
        class: case["class"].as_u64().unwrap() as usize,
        score: case["score"].as_f64().unwrap(),
        map: array(case, "map_shape", "map"),
    };
    golden[file].as_array().unwrap().iter().map(case).collect()
}

impl Case {
    /// The image as numbers from 0 to 1.
    fn image(&self) -> Array {
        (&self.levels / 256.0).into()
    }

    /// The image's levels, channels last.
    fn channels_last(&self) -> Array {
        self.levels.clone().permuted_axes(IxDyn(&[0, 2, 3, 1])).into()
    }

    fn photo(&self) -> Photo {
        let [_, _, h, w] = *self.levels.shape() else { panic!() };
        let pixel = |x: u32, y: u32| Rgb([0, 1, 2].map(|c| self.levels[[0, c, y as usize, x as usize]] as u8));
        Photo::from_rgb(RgbImage::from_fn(w as u32, h as u32, pixel)).unwrap()
    }

    /// `tolerance` is a share of the largest cell, and of the score.
    fn holds(&self, what: &str, made: &Explanation, tolerance: f64) {
        assert_eq!((made.class, made.map.shape()), (Some(self.class), self.map.shape()), "{what}");
        let largest = self.map.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        let apart = made.map.iter().zip(&self.map).fold(0.0f64, |m, (a, b)| m.max((f64::from(*a) - b).abs()));
        assert!(apart <= tolerance * largest, "{what}: {apart:e} of {largest}");
        let apart = (made.score - self.score).abs();
        assert!(apart <= tolerance * self.score.abs(), "{what}: the score is {apart:e} off");
    }
}

fn options(engine: &str) -> Spec {
    let levels = Preprocess::from_toml("scale = 0.00390625").unwrap();
    Spec { engine: engine.into(), preprocess: Some(levels.into()), ..tract() }
}

fn one(explainer: &Explainer, input: Input) -> Result<Explanation, Error> {
    Ok(explainer.explain_one(input)?.into_maps().remove(0))
}

#[test]
fn every_kind_of_number_comes_in_and_goes_through() {
    // Float16 has eleven bits, and an engine may round each of a sum's terms to them.
    for (file, tolerance) in [("half.onnx", 1e-2), ("inside.onnx", 1e-2), ("double.onnx", 1e-5), ("free.onnx", 1e-5)] {
        for engine in engines::names() {
            let explainer = Network::open(format!("{FIXTURES}/{file}")).unwrap().explainer(&options(engine));
            if (file, engine) == ("double.onnx", "onnxruntime") {
                // It has no float64 convolution, and says so.
                assert!(matches!(explainer, Err(Error::Engine(EngineError::Unsupported { .. }))));
                continue;
            }
            let explainer = explainer.unwrap();
            for case in cases(file) {
                for kind in [Kind::F16, Kind::F32, Kind::F64] {
                    let what = format!("{file} on {engine}, fed {kind}");
                    let image = case.image().to_kind(kind).unwrap();
                    let made = one(&explainer, Input::Tensor(image)).unwrap();
                    case.holds(&what, &made, tolerance);
                }
                let photo = one(&explainer, Input::Photo(case.photo())).unwrap();
                case.holds(&format!("{file} on {engine}, a photo"), &photo, tolerance);
            }
        }
    }
}

#[test]
fn whole_numbers_are_fed_as_the_levels_they_are() {
    let case = &cases("levels.onnx")[0];
    let levels = Preprocess::from_toml("").unwrap();
    for engine in engines::names() {
        let options = Spec { preprocess: Some(levels.clone().into()), ..options(engine) };
        let explainer = Network::open(format!("{FIXTURES}/levels.onnx")).unwrap().explainer(&options).unwrap();
        case.holds(engine, &one(&explainer, Input::Photo(case.photo())).unwrap(), 1e-5);
        for kind in Kind::ALL.into_iter().filter(|kind| !matches!(kind, Kind::I8 | Kind::Bool)) {
            let image = case.channels_last().to_kind(kind).unwrap();
            case.holds(&format!("{engine}, {kind}"), &one(&explainer, Input::Tensor(image)).unwrap(), 1e-5);
        }
    }
}

#[test]
fn numbers_that_would_be_lost_are_refused() {
    let refused = |file: &str, case: &Case, image: Array| {
        let explainer = Network::open(format!("{FIXTURES}/{file}")).unwrap().explainer(&options("tract")).unwrap();
        match one(&explainer, Input::Tensor(image)) {
            Err(Error::Kind { kind, value, .. }) => (kind, value),
            other => panic!("{file}: {other:?} of {}", case.class),
        }
    };
    let case = &cases("levels.onnx")[0];
    for wrong in [0.5, -1.0, 256.0] {
        let mut image = case.channels_last().to_f64();
        image[[0, 1, 1, 1]] = wrong;
        assert_eq!(refused("levels.onnx", case, image.into()), (Kind::U8, wrong));
    }
    let half = &cases("half.onnx")[0];
    let mut image = half.image().to_f64();
    image[[0, 1, 1, 1]] = 1e5;
    assert_eq!(refused("half.onnx", half, image.into()), (Kind::F16, 1e5));
    // A photo whose preprocessing makes fractions is told what the network wants.
    let explainer = Network::open(format!("{FIXTURES}/levels.onnx")).unwrap().explainer(&options("tract")).unwrap();
    let error = one(&explainer, Input::Photo(case.photo())).unwrap_err();
    assert!(matches!(&error, Error::Preprocess(_)) && error.to_string().contains("uint8"), "{error}");
}

#[test]
fn methods_at_an_image_of_whole_numbers_begin_behind_its_cast() {
    let case = &cases("levels.onnx")[0];
    let made = |method: &str| {
        let options = Spec { method: method.into(), preprocess: None, ..options("tract") };
        let explainer = Network::open(format!("{FIXTURES}/levels.onnx"))?.explainer(&options)?;
        one(&explainer, Input::Tensor(case.channels_last()))
    };
    for method in ["gradient-x-input", "saliency", "integrated-gradients", "occlusion"] {
        assert_eq!(made(method).unwrap().layer(), "real", "{method}");
    }
    // The network is piecewise affine in the levels: it is x ⊙ ∂s/∂x and b, and the steps of the integral come near.
    let whole = made("gradient-x-input").unwrap();
    assert_eq!((whole.certificate().verdict, whole.map.shape()), (Verdict::LocallyLinear, &[14, 18][..]));
    let steps = made("integrated-gradients").unwrap();
    let (sum, b) = (steps.sum, steps.bias.unwrap());
    assert!((sum + b - steps.score).abs() <= 0.05 * (steps.score - b).abs(), "{sum} + {b} is not {}", steps.score);
    assert!(matches!(made("smoothgrad"), Err(Error::Argument(why)) if why.contains("uint8")));
}

#[test]
fn images_of_several_sizes_go_into_one_call() {
    let cases = cases("free.onnx");
    for engine in engines::names() {
        let explainer = Network::open(format!("{FIXTURES}/free.onnx")).unwrap().explainer(&options(engine)).unwrap();
        // More sizes than are kept, each twice, photos and tensors in turn.
        let mut samples: Vec<Sample> = cases.iter().map(|case| case.photo().into()).collect();
        for side in [12, 13, 16] {
            let two = Array::from(ArrayD::<f32>::from_elem(vec![2, 3, side, 10], 0.25));
            samples.extend(explainer.samples("", two).unwrap());
        }
        samples.extend(cases.iter().map(|case| case.image().into()));
        let made = explainer.explain(&samples, &mut Watch::default());
        let made: Vec<Explanation> = made.into_iter().map(|made| made.unwrap().into_maps().remove(0)).collect();
        assert_eq!(made.len(), 12);
        for (case, (first, last)) in cases.iter().zip(made.iter().zip(&made[9..])) {
            case.holds(engine, first, 1e-5);
            case.holds(engine, last, 1e-5);
        }
        for (i, side) in [12, 13, 16].into_iter().enumerate() {
            assert_eq!(made[3 + 2 * i].map.shape(), [usize::div_ceil(side, 2), 5]);
        }
    }
}

#[test]
fn a_size_that_was_asked_for_is_kept_to() {
    let case = &cases("free.onnx")[0];
    let options = Spec { shape: Some(case.levels.shape().to_vec()), ..options("tract") };
    let explainer = Network::open(format!("{FIXTURES}/free.onnx")).unwrap().explainer(&options).unwrap();
    case.holds("asked for", &one(&explainer, Input::Tensor(case.image())).unwrap(), 1e-5);
    let both = case.image().rows(&[0, 0]).unwrap();
    for made in explainer.explain(&explainer.samples("", both).unwrap(), &mut Watch::default()) {
        case.holds("two of them", &made.unwrap().maps()[0], 1e-5);
    }
    let other = ArrayD::<f32>::zeros(vec![1, 3, 9, 9]);
    assert!(matches!(one(&explainer, Input::Tensor(other.into())), Err(Error::Argument(_))));
}
