//! Methods of several runs: what must hold by their formulas, and numbers from PyTorch in float64
//! (`fixtures/methods/several.py`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod spec;

use hirescam::Network;
use hirescam::core::Tensor;
use hirescam::core::cam::METHODS as ONE_RUN;
use hirescam::core::certify::Verdict;
use hirescam::core::onnx::messages::NodeProto;
use hirescam::engine::Array;
use hirescam::methods::{self, METHODS, Settings};
use hirescam::spec::EngineChoice;
use hirescam::{Error, Explainer, Explanation, Spec, Watch};
use hirescam_testing::by_hand::{free, model, node};
use ndarray::{ArrayD, Axis, IxDyn};
use serde_json::Value;
use spec::tract;
use std::path::PathBuf;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

fn fixture() -> Value {
    serde_json::from_slice(&std::fs::read(format!("{FIXTURES}/methods/several.json")).unwrap()).unwrap()
}

fn array(value: &Value) -> ArrayD<f64> {
    let shape: Vec<usize> = value["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
    let data = value["data"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    ArrayD::from_shape_vec(shape, data).unwrap()
}

/// Multiples of the golden ratio, modulo 1, within ±1.
fn image(shape: &[usize]) -> ArrayD<f32> {
    let values = (0..shape.iter().product()).map(|i| ((i as f64 * 0.618_033_988_749_895) % 1.0 * 2.0 - 1.0) as f32);
    ArrayD::from_shape_vec(shape, values.collect()).unwrap()
}

fn options(method: &str, layer: Option<&str>, settings: &Settings) -> Spec {
    Spec {
        method: method.into(),
        layers: layer.map(str::to_owned).into_iter().collect(),
        settings: settings.clone(),
        target: Some("class:1".into()),
        engine: EngineChoice { threads: 1, ..tract().engine },
        ..tract()
    }
}

fn zoo(file: &str) -> PathBuf {
    format!("{FIXTURES}/zoo/{file}").into()
}

/// The one explanation of one image.
fn explain(file: &str, x: &ArrayD<f32>, options: &Spec) -> Explanation {
    let explainer = Network::open(zoo(file)).unwrap().explainer(options).unwrap();
    explainer.explain_one(Array::from(x.clone())).unwrap().into_maps().remove(0)
}

/// The maps of each image of a tensor.
fn all(explainer: &Explainer, images: ArrayD<f32>) -> Vec<Vec<Explanation>> {
    let samples = explainer.samples("", Array::from(images)).unwrap();
    let made = explainer.explain(&samples, &mut Watch::default());
    made.into_iter().map(|made| made.unwrap().into_maps()).collect()
}

/// The largest difference, relative to the largest value of `b`.
fn apart(a: &ArrayD<f32>, b: &ArrayD<f64>) -> f64 {
    assert_eq!(a.shape(), b.shape());
    let worst = a.iter().zip(b).fold(0.0f64, |m, (a, b)| {
        let apart = (f64::from(*a) - b).abs();
        if apart.is_nan() { f64::NAN } else { m.max(apart) }
    });
    worst / b.iter().fold(f64::MIN_POSITIVE, |m, v| m.max(v.abs()))
}

fn wide(map: &ArrayD<f32>) -> ArrayD<f64> {
    map.mapv(f64::from)
}

/// float32 networks against float64 ones: twenty times the rounding of the zoo's own maps.
const ROUNDING: f64 = 2e-5;

#[test]
fn maps_agree_with_pytorch() {
    let fixture = fixture();
    let s = |key: &str| fixture["settings"][key].as_f64().unwrap();
    let settings = Settings {
        batch: 5,
        seed: s("seed") as u64,
        steps: Some(s("steps") as usize),
        baseline: s("baseline") as f32,
        stride: Some(s("stride") as usize),
        window: Some(s("window") as usize),
        cells: s("cells") as usize,
        keep: s("keep"),
        noise: s("noise"),
        ..Settings::default()
    };
    let mut tried = 0;
    for network in fixture["networks"].as_array().unwrap() {
        let file = network["file"].as_str().unwrap();
        let shape: Vec<usize> = serde_json::from_value(network["image"].clone()).unwrap();
        let x = image(&shape);
        for (place, layer) in [("layer", network["tensor"].as_str()), ("image", None)] {
            for (method, expected) in network[format!("{place}_maps")].as_object().unwrap() {
                let samples = if method == "rise" { "rise_samples" } else { "smooth_samples" };
                let base = if layer.is_some() { "hirescam" } else { "saliency" };
                let settings = Settings { samples: Some(s(samples) as usize), base: base.into(), ..settings.clone() };
                let made = explain(file, &x, &options(method, layer, &settings));
                let apart = apart(&made.map, &array(expected));
                assert!(apart < ROUNDING, "{method} at the {place} of {file}: {apart:.1e}");
                assert!((made.score - network["score"].as_f64().unwrap()).abs() < 1e-4, "{file}");
                if method == "integrated-gradients" {
                    let b = network["b"][place].as_f64().unwrap();
                    assert!((made.bias.unwrap() - b).abs() < 1e-4, "{file}");
                }
                tried += 1;
            }
        }
    }
    assert_eq!(tried, 6 * 9);
}

#[test]
fn ablation_follows_from_the_gradient_where_the_head_is_affine() {
    let settings = Settings::default();
    for (file, layer, closed) in
        [("flatten_fc.ts.onnx", "/Relu_1_output_0", true), ("squashed.ts.onnx", "/Relu_1_output_0", false)]
    {
        let x = image(&[1, 3, 32, 32]);
        let explainer =
            Network::open(zoo(file)).unwrap().explainer(&options("ablationcam", Some(layer), &settings)).unwrap();
        let mut passes = 0;
        let mut watch = Watch::new(|p| {
            assert!(p.done <= p.of && p.done > passes && p.sample == 0, "{p:?}");
            passes = p.done;
        });
        let made = explainer.explain(&[Array::from(x).into()], &mut watch).remove(0).unwrap();
        drop(watch);
        assert_eq!(passes == 2, closed, "{file}: {passes} passes");
        assert_eq!(made.maps()[0].notes[0].contains("affine"), closed);
        assert_eq!(made.maps()[0].certificate().verdict, Verdict::Unproven);
    }
}

#[test]
fn behind_global_average_pooling_reciprocam_is_hirescam_and_b() {
    let (x, layer) = (image(&[1, 3, 32, 32]), Some("/Relu_2_output_0"));
    let [recipro, hirescam, cam] = ["reciprocam", "hirescam", "cam"]
        .map(|m| explain("resnet.ts.onnx", &x, &options(m, layer, &Settings::default())));
    let b = hirescam.bias.unwrap();
    assert!(apart(&recipro.map, &(wide(&hirescam.map) + b)) < 1e-5);
    assert!(apart(&recipro.map, &(wide(&cam.map) / hirescam.map.len() as f64 + b)) < 1e-5);
}

#[test]
fn integrated_gradients_at_an_affine_head_are_hirescam() {
    for (file, layer) in [
        ("flatten_fc.ts.onnx", "/Relu_1_output_0"),
        ("resnet.dynamo.onnx", "relu_4"),
        ("affine_tail.ts.onnx", "/Relu_1_output_0"),
    ] {
        let x = image(&[1, 3, 32, 32]);
        let settings = Settings { steps: Some(3), ..Settings::default() };
        let [ig, hirescam] =
            ["integrated-gradients", "hirescam"].map(|m| explain(file, &x, &options(m, Some(layer), &settings)));
        assert!(apart(&ig.map, &wide(&hirescam.map)) < 1e-5, "{file}");
        assert!((ig.bias.unwrap() - hirescam.bias.unwrap()).abs() < 1e-4, "{file}");
        let residual = ig.residual.unwrap();
        assert!(residual.abs() < 1e-4 * ig.score.abs().max(1.0), "{file}: {residual}");
        assert_eq!(ig.certificate().verdict, Verdict::SumOnly);
    }
}

#[test]
fn integrated_gradients_are_complete_up_to_an_error_that_shrinks_with_the_steps() {
    let x = image(&[1, 3, 32, 32]);
    let delta = |steps: usize| {
        let settings = Settings { steps: Some(steps), ..Settings::default() };
        explain("squashed.ts.onnx", &x, &options("integrated-gradients", None, &settings)).residual.unwrap().abs()
    };
    let (few, many) = (delta(2), delta(64));
    assert!(many < 0.1 * few && many < 1e-2, "{few} {many}");
}

#[test]
fn smoothgrad_without_noise_is_the_method_itself() {
    let x = image(&[1, 3, 32, 32]);
    for m in ONE_RUN {
        let settings = Settings { noise: 0.0, samples: Some(3), base: m.name.into(), ..Settings::default() };
        let layer = (!m.at_image).then_some("/Relu_2_output_0");
        let [smooth, plain] =
            ["smoothgrad", m.name].map(|name| explain("resnet.ts.onnx", &x, &options(name, layer, &settings)));
        assert!(apart(&smooth.map, &wide(&plain.map)) < 1e-6, "{}", m.name);
        assert_eq!((smooth.layer(), smooth.score), (plain.layer(), plain.score));
    }
}

/// x [N, 2, 4, 6] → Flatten → one linear layer with 3 classes, with the batch that the file fixes, if any.
fn linear(batch: Option<usize>) -> Network {
    let value = |name: &str, rest: &[usize]| free(name, &[&[batch.unwrap_or(0)], rest].concat());
    let stored = |shape: &[usize]| Tensor::float(image(shape).mapv(f64::from));
    let nodes = vec![node("Flatten", &["x"], "flat", vec![]), node("Gemm", &["flat", "w", "b"], "scores", vec![])];
    let weights = [("w", stored(&[48, 3])), ("b", stored(&[3]))];
    let proto = model(17, nodes, vec![value("x", &[2, 4, 6])], vec![value("scores", &[3])], &weights);
    hirescam::Network::from_bytes(hirescam::core::onnx::write(&proto)).unwrap()
}

fn explain_linear(batch: Option<usize>, method: &str, settings: &Settings, x: &ArrayD<f32>) -> Explanation {
    let explainer = linear(batch).explainer(&options(method, Some("x"), settings)).unwrap();
    explainer.explain_one(Array::from(x.clone())).unwrap().into_maps().remove(0)
}

#[test]
fn on_a_linear_network_windows_that_meet_are_worth_what_their_pixels_contribute() {
    let x = image(&[1, 2, 4, 6]).mapv(|v| v * v);
    for baseline in [0.0, 0.5] {
        let settings = Settings { baseline, stride: Some(2), window: Some(2), steps: Some(1), ..Settings::default() };
        // Σ_c (x − baseline) ⊙ g: the map of gradient × input there.
        let shifted = explain_linear(None, "gradient-x-input", &settings, &x.mapv(|v| v - baseline));
        let pixels = wide(&shifted.map);
        let windows = ArrayD::from_shape_fn(IxDyn(&[2, 3]), |at| {
            let (y, x) = (2 * at[0], 2 * at[1]);
            pixels.slice(ndarray::s![y..y + 2, x..x + 2]).sum()
        });
        let occlusion = explain_linear(None, "occlusion", &settings, &x);
        assert!(apart(&occlusion.map, &windows) < 1e-5);
        let integrated = explain_linear(None, "integrated-gradients", &settings, &x);
        assert!(apart(&integrated.map, &pixels) < 1e-5);
        assert!(integrated.residual.unwrap().abs() < 1e-4);
    }
}

#[test]
fn rise_with_masks_that_keep_everything_is_the_score_everywhere() {
    let x = image(&[1, 2, 4, 6]);
    let settings = Settings { samples: Some(3), keep: 1.0, ..Settings::default() };
    let made = explain_linear(None, "rise", &settings, &x);
    assert!(apart(&made.map, &ArrayD::from_elem(IxDyn(&[4, 6]), made.score)) < 1e-5);
}

#[test]
fn rise_of_two_seeds_agrees_the_better_the_more_masks() {
    // Two seeds agree to the error of the mean, which goes with 1/√samples.
    let x = image(&[1, 2, 4, 6]);
    let make = |seed: u64, samples: usize| {
        let settings = Settings { samples: Some(samples), seed, batch: 500, ..Settings::default() };
        wide(&explain_linear(None, "rise", &settings, &x).map)
    };
    let spread = |samples: usize| (make(1, samples) - make(2, samples)).mapv(|v| v * v).mean().unwrap().sqrt();
    let (few, many) = (spread(40), spread(4000));
    assert!(many < 0.3 * few, "{few} {many}");
}

#[test]
fn the_batch_changes_nothing_but_rounding_and_the_seed_everything_that_is_random() {
    let x = image(&[1, 3, 32, 32]);
    for m in METHODS {
        let make = |batch: usize, seed: u64| {
            let settings = Settings { batch, seed, samples: Some(5), steps: Some(5), ..Settings::default() };
            explain("resnet.ts.onnx", &x, &options(m.row.name, None, &settings)).map
        };
        let (a, again, one, other) = (make(4, 1), make(4, 1), make(1, 1), make(4, 2));
        assert_eq!(a, again, "{}", m.row.name);
        assert!(apart(&a, &wide(&one)) < 1e-5, "{}", m.row.name);
        let random = matches!(m.row.name, "rise" | "smoothgrad");
        assert_eq!(a != other, random, "{}", m.row.name);
    }
}

#[test]
fn networks_without_derivative_rules_are_explained_by_methods_that_need_none() {
    use hirescam::core::onnx::attribute;
    // The image modulo 0.7 before the linear layer.
    let file = linear(None);
    let mut proto = file.model().proto().clone();
    let graph = proto.graph.as_mut().unwrap();
    graph.node[0].input[0] = "rest".into();
    graph.node.insert(
        0,
        NodeProto {
            op_type: Some("Mod".into()),
            input: vec!["x".into(), "m".into()],
            output: vec!["rest".into()],
            attribute: vec![attribute("fmod", 1)],
            ..Default::default()
        },
    );
    graph.initializer.push(Tensor::float(ArrayD::from_elem(IxDyn(&[1]), 0.7)).to_proto("m").unwrap());
    let file = hirescam::Network::from_bytes(hirescam::core::onnx::write(&proto)).unwrap();
    let x = image(&[1, 2, 4, 6]);
    for m in METHODS {
        let settings = Settings { samples: Some(4), stride: Some(2), window: Some(2), ..Settings::default() };
        let made = file.explainer(&options(m.row.name, Some("x"), &settings));
        if matches!(m.row.name, "integrated-gradients" | "smoothgrad") {
            let error = made.err().unwrap().to_string();
            assert!(error.contains("Mod"), "{}: {error}", m.row.name);
            continue;
        }
        let map = made.unwrap().explain_one(Array::from(x.clone())).unwrap().into_maps().remove(0).map;
        if m.row.name == "occlusion" {
            let rest = x.mapv(|v| v % 0.7);
            assert!(apart(&map, &wide(&explain_linear(None, "occlusion", &settings, &rest).map)) < 1e-5);
        }
    }
}

#[test]
fn files_with_a_fixed_batch_give_the_same_maps() {
    let x = image(&[1, 2, 4, 6]);
    for m in METHODS.iter().filter(|m| m.row.name != "scorecam" && m.row.name != "ablationcam") {
        let settings = Settings { samples: Some(5), base: "hirescam".into(), ..Settings::default() };
        let [free, one] = [None, Some(1)].map(|batch| explain_linear(batch, m.row.name, &settings, &x).map);
        assert!(apart(&free, &wide(&one)) < 1e-5, "{}", m.row.name);
        let four = linear(Some(4)).explainer(&options(m.row.name, Some("x"), &settings)).unwrap();
        let images = ndarray::concatenate(Axis(0), &vec![x.view(); 4]).unwrap();
        let made = all(&four, images);
        assert_eq!(made.len(), 4);
        for of_image in made {
            assert!(apart(&of_image[0].map, &wide(&free)) < 1e-5, "{}", m.row.name);
        }
    }
}

#[test]
fn every_target_of_one_network_is_explained() {
    let x = image(&[1, 3, 32, 32]);
    for target in ["top:2", "all", "contrast:2,1", "weights:0=0.5,1=2"] {
        let options = |method: &str| Spec {
            target: Some(target.into()),
            ..options(method, Some("/Relu_2_output_0"), &Settings::default())
        };
        let [ig, hirescam] = ["integrated-gradients", "hirescam"].map(|method| {
            let explainer = Network::open(zoo("resnet.ts.onnx")).unwrap().explainer(&options(method)).unwrap();
            explainer.explain_one(Array::from(x.clone())).unwrap().into_maps()
        });
        assert_eq!(ig.len(), hirescam.len());
        for (a, b) in ig.iter().zip(&hirescam) {
            assert_eq!((a.class, a.name()), (b.class, b.name()));
            assert!((a.score - b.score).abs() < 1e-5);
            assert!(apart(&a.map, &wide(&b.map)) < 1e-4, "{target}");
        }
    }
}

#[test]
fn settings_out_of_range_and_unknown_methods_are_refused() {
    let refused = |settings: Settings| {
        matches!(
            Network::open(zoo("resnet.ts.onnx")).unwrap().explainer(&options("rise", None, &settings)),
            Err(Error::Argument(_))
        )
    };
    assert!(refused(Settings { batch: 0, ..Settings::default() }));
    assert!(refused(Settings { samples: Some(0), ..Settings::default() }));
    assert!(refused(Settings { samples: Some(usize::MAX), ..Settings::default() }));
    assert!(refused(Settings { noise: f64::NAN, ..Settings::default() }));
    assert!(refused(Settings { keep: 0.0, ..Settings::default() }));
    assert!(refused(Settings { baseline: f32::INFINITY, ..Settings::default() }));
    let fine = Settings { cells: 1 << 20, samples: Some(1), ..Settings::default() };
    let explainer = Network::open(zoo("resnet.ts.onnx")).unwrap().explainer(&options("rise", None, &fine)).unwrap();
    let made = explainer.explain_one(Array::from(image(&[1, 3, 32, 32])));
    assert!(matches!(made, Err(Error::Argument(_))));
    let says = |name: &str| methods::method(name).err().unwrap().to_string();
    assert!(says("scorcam").contains("scorecam"));
    assert!(says("grad-cam").contains("gradcam"));
    let error = methods::one_run("rise").err().unwrap().to_string();
    assert!(error.contains("RISE takes several runs"), "{error}");
}

#[test]
fn a_batch_is_explained_as_its_images_are_on_any_number_of_threads() {
    let images = image(&[5, 3, 32, 32]);
    let alone = |n: usize| Array::from(images.slice_axis(Axis(0), (n..n + 1).into()).to_owned());
    let one = Network::open(zoo("resnet.ts.onnx"))
        .unwrap()
        .explainer(&options("hirescam", None, &Settings::default()))
        .unwrap();
    let expected: Vec<_> = (0..5).map(|n| one.explain_one(alone(n)).unwrap().into_maps()).collect();
    for threads in [1, 2, 3] {
        let engine = EngineChoice { threads, ..tract().engine };
        let options = Spec { engine, ..options("hirescam", None, &Settings::default()) };
        let explainer = Network::open(zoo("resnet.ts.onnx")).unwrap().explainer(&options).unwrap();
        let made = all(&explainer, images.clone());
        assert_eq!(made.len(), 5);
        for (made, expected) in made.iter().zip(&expected) {
            assert_eq!((made.len(), made[0].class), (1, expected[0].class));
            assert_eq!(made[0].map, expected[0].map);
        }
    }
}

#[test]
fn every_method_has_a_name_of_its_own_and_says_what_it_loses() {
    let mut names: Vec<&str> = methods::rows().iter().map(|r| r.name).collect();
    assert_eq!(names.len(), ONE_RUN.len() + METHODS.len());
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), methods::rows().len(), "two methods have one name");
    assert!(METHODS.iter().all(|m| !m.but.is_empty()));
}

#[test]
fn at_tokens_every_method_has_their_grid_or_says_why_not() {
    let x = image(&[1, 3, 32, 32]);
    let layer = Some("/b1/Add_output_0");
    let settings = Settings { samples: Some(3), ..Settings::default() };
    let names = ONE_RUN.iter().map(|m| m.name).chain(METHODS.iter().map(|m| m.row.name));
    for name in names.filter(|name| *name != "cam") {
        let made = Network::open(zoo("vit.ts.onnx"))
            .unwrap()
            .explainer(&options(name, layer, &settings))
            .and_then(|explainer| explainer.explain_one(Array::from(x.clone())));
        if matches!(name, "occlusion" | "rise") {
            let why = made.err().map(|e| e.to_string()).unwrap_or_default();
            assert!(why.contains("lie in a row and not as [4, 4]"), "{name}: {why}");
            continue;
        }
        let e = made.unwrap_or_else(|e| panic!("{name}: {e}")).into_maps().remove(0);
        assert_eq!(e.map.shape(), [4, 4], "{name}");
        assert_eq!(e.other_tokens.is_some(), name != "smoothgrad", "{name}");
        if name == "integrated-gradients" {
            // All that is missing is the delta of the integral, which the normalisation makes large.
            let delta = format!("a delta of {:.1e}", -e.residual.unwrap());
            assert!(e.notes[0].contains(&delta), "{delta}: {}", e.notes[0]);
            assert!(e.other_tokens.unwrap().abs() > 0.1);
        }
    }
    // Behind the last attention the class token has it all, and a map of nothing says so.
    let e = explain("vit.ts.onnx", &x, &options("hirescam", Some("/norm/LayerNormalization_output_0"), &settings));
    assert!(e.map.iter().all(|&v| v == 0.0) && e.residual.unwrap().abs() < 1e-5);
    assert!((e.other_tokens.unwrap() + e.bias.unwrap() - e.score).abs() < 1e-5);
    assert!(e.in_words()[0].contains("of the tokens that are no places and b ="), "{}", e.in_words()[0]);
}

#[test]
fn tokens_that_the_graph_does_not_lay_out_are_a_row_until_someone_does() {
    // Rows and columns are mixed up by a matrix: that of an attention's keys.
    let file = "attention.ts.onnx";
    let x = image(&[1, 3, 32, 32]);
    let at = |grid: Option<Vec<usize>>| {
        let grid = grid.map(hirescam::spec::Grid);
        let options = Spec { grid, ..options("hirescam", Some("/Transpose_1_output_0"), &Settings::default()) };
        Network::open(zoo(file))
            .unwrap()
            .explainer(&options)
            .map(|e| e.explain_one(Array::from(x.clone())).unwrap().into_maps().remove(0))
    };
    let laid = at(None).unwrap();
    assert_eq!(laid.map.shape(), [8, 8]);
    assert!(laid.heatmap().is_ok());
    let Err(Error::Core(error)) = at(Some(vec![4, 16])) else { panic!() };
    assert!(error.to_string().contains("by the graph its places are a grid [8, 8]"), "{error}");
}
