//! The CAM methods: what must hold for every activation and gradient, and numbers from numpy, torch and captum
//! (`fixtures/methods`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::cam::{self, Guarantee, METHODS, Method, Request, Target, method, on_arrays};
use hirescam_core::certify::Verdict;
use hirescam_core::{Error, Model, Tensor, reference};
use hirescam_testing::{Random, max_abs, zoo};
use ndarray::{ArrayD, Axis, IxDyn};
use serde_json::Value;
use std::collections::HashMap;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn fixture() -> Value {
    serde_json::from_slice(&std::fs::read(format!("{ROOT}/fixtures/methods/methods.json")).unwrap()).unwrap()
}

fn array(value: &Value) -> ArrayD<f64> {
    let shape: Vec<usize> = value["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
    let data = value["data"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    ArrayD::from_shape_vec(shape, data).unwrap()
}

/// The largest difference, relative to the largest value of `b`.
fn apart(a: &ArrayD<f64>, b: &ArrayD<f64>) -> f64 {
    assert_eq!(a.shape(), b.shape());
    max_abs(&(a - b)) / max_abs(b).max(f64::MIN_POSITIVE)
}

fn named(name: &str) -> &'static Method {
    method(name).unwrap()
}

/// An activation and a gradient of two images with 3 channels and 4×5 places, on which some places have no gradient.
fn pair(seed: u64, low: f64) -> (ArrayD<f64>, ArrayD<f64>) {
    let mut random = Random::new(seed);
    let a = random.tensor(&[2, 3, 4, 5], low, 1.0).data;
    let mut g = random.tensor(&[2, 3, 4, 5], -1.0, 1.0).data;
    g.index_axis_mut(Axis(2), 1).fill(0.0);
    (a, g)
}

#[test]
fn arrays_agree_with_numpy() {
    for case in fixture()["cases"].as_array().unwrap() {
        let (a, g) = (array(&case["activation"]), array(&case["gradient"]));
        let channels = case["channels"].as_u64().unwrap() as usize;
        for (name, expected) in case["maps"].as_object().unwrap() {
            let map = on_arrays(named(name), &a, &g, channels).unwrap();
            let apart = apart(&map, &array(expected));
            assert!(apart < 1e-9, "{name} of {}: {apart:.1e} of the largest cell apart", case["name"]);
        }
    }
}

#[test]
fn layers_and_images_of_networks_agree_with_torch_and_captum() {
    for network in fixture()["networks"].as_array().unwrap() {
        let file = network["file"].as_str().unwrap();
        let model = zoo(file);
        let shape: Vec<usize> =
            network["image"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
        let pixels = (0..shape.iter().product()).map(|i| (i as f64 * 0.618_033_988_749_895) % 1.0 * 2.0 - 1.0);
        let image = ArrayD::from_shape_vec(shape, pixels.collect()).unwrap();
        for layer in network["layers"].as_array().unwrap() {
            for (name, expected) in layer["maps"].as_object().unwrap() {
                let request = Request {
                    layer: layer["tensor"].as_str().map(str::to_owned),
                    target: Target::Classes(vec![network["class"].as_u64().unwrap() as usize]),
                    method: named(name),
                    ..Request::default()
                };
                let made = cam::attach(&model, &request).unwrap();
                let known = HashMap::from([(made.image.clone(), Tensor::float(image.clone()))]);
                let explaining = Model::new(made.model.as_ref().clone()).unwrap();
                let out = reference::evaluate(&explaining, known, &["map", "score", "b"]).unwrap();
                // Constants of the graph are float32, which alone rounds to 6·10⁻⁸.
                let apart = apart(&out[0].data, &array(expected));
                assert!(apart < 1e-6, "{name} at {} of {file}: {apart:.1e}", layer["tensor"]);
                if matches!(made.certificate.verdict, Verdict::Exact | Verdict::SumOnly) {
                    let sum = out[0].data.sum() / made.certificate.scale as f64;
                    let rest = out[1].data.sum() - sum - out[2].data.sum();
                    assert!(rest.abs() < 1e-5, "{name} at {} of {file}: residual {rest}", layer["tensor"]);
                }
            }
        }
    }
}

#[test]
fn a_cotangent_that_stands_for_a_whole_axis_means_the_same_as_one_written_out() {
    let (a, _) = pair(1, 0.0);
    for (seed, shape) in
        [[1, 3, 4, 5], [2, 1, 4, 5], [1, 3, 1, 1], [2, 3, 4, 1], [1, 1, 1, 1], [2, 3, 1, 1]].iter().enumerate()
    {
        let short = Random::new(seed as u64).tensor(shape, -1.0, 1.0).data;
        let long = short.broadcast(IxDyn(&[2, 3, 4, 5])).unwrap().to_owned();
        for m in METHODS.iter().filter(|m| m.name != "cam" || shape[2..] == [1, 1]) {
            let [short, long] = [&short, &long].map(|g| on_arrays(m, &a, g, 1).unwrap());
            assert!(apart(&short, &long) < 1e-12, "{} with a gradient {shape:?}", m.name);
        }
    }
}

#[test]
fn guarantees_hold() {
    for seed in 0..4 {
        let (a, g) = pair(seed, if seed % 2 == 0 { 0.0 } else { -1.0 });
        let uniform =
            g.mean_axis(Axis(3)).unwrap().mean_axis(Axis(2)).unwrap().insert_axis(Axis(2)).insert_axis(Axis(3));
        for m in METHODS {
            for (is_uniform, g) in [(false, &g), (true, &uniform)] {
                let guarantee = (m.guarantee)(is_uniform);
                if guarantee == Guarantee::Mean && !is_uniform {
                    assert!(on_arrays(m, &a, g, 1).is_err());
                    continue;
                }
                let map = on_arrays(m, &a, g, 1).unwrap();
                let hirescam = on_arrays(named("hirescam"), &a, g, 1).unwrap();
                let context = format!("{} with a gradient that is uniform: {is_uniform}", m.name);
                match guarantee {
                    Guarantee::Faithful => assert!(apart(&map, &hirescam) < 1e-12, "{context}"),
                    Guarantee::Mean => assert!(apart(&(map / 20.0), &hirescam) < 1e-12, "{context}"),
                    Guarantee::Total => {
                        let total = |m: ArrayD<f64>| m.sum_axis(Axis(2)).sum_axis(Axis(1));
                        assert!(apart(&total(map), &total(hirescam)) < 1e-9, "{context}");
                    }
                    Guarantee::Local if !is_uniform => {
                        assert_eq!(max_abs(&map.index_axis(Axis(1), 1).to_owned()), 0.0, "{context}")
                    }
                    Guarantee::Local | Guarantee::None => {}
                }
            }
        }
    }
}

#[test]
fn for_activations_that_are_never_negative_layercam_and_elementwise_gradcam_are_one_and_overcount() {
    let (a, g) = pair(5, 0.0);
    let [layer, element, hirescam] =
        ["layercam", "elementwise-gradcam", "hirescam"].map(|m| on_arrays(named(m), &a, &g, 1).unwrap());
    assert!(apart(&layer, &element) < 1e-12);
    assert!(layer.iter().zip(&hirescam).all(|(l, h)| *l >= h.max(0.0) - 1e-12));
}

#[test]
fn the_principal_component_of_one_pattern_is_that_pattern() {
    // A = p ⊗ w has the one singular vector w / |w|, and A · v = p |w|, with the sign of Σ w.
    let (places, weights) = ([1.0, -2.0, 0.5], [3.0, -4.0]);
    let a = ArrayD::from_shape_fn(IxDyn(&[1, 2, 3]), |i| weights[i[1]] * places[i[2]]);
    let map = on_arrays(named("eigencam"), &a, &a, 1).unwrap();
    for (cell, place) in map.iter().zip(places) {
        assert!((cell + 5.0 * place).abs() < 1e-12, "{map}");
    }
    // It goes with the scale of A, whatever that is, and nothing comes of nothing.
    for scale in [1e-150, 1e150] {
        assert!(apart(&on_arrays(named("eigencam"), &(&a * scale), &a, 1).unwrap(), &(&map * scale)) < 1e-12);
    }
    assert_eq!(max_abs(&on_arrays(named("eigencam"), &(&a * 0.0), &a, 1).unwrap()), 0.0);
}

#[test]
fn no_method_divides_by_zero() {
    // Σ A = 0 in the first channel and −2 in the second, where g = 1 makes the denominator of Grad-CAM++ 0.
    let a = ArrayD::from_shape_vec(IxDyn(&[1, 2, 2]), vec![1.0, -1.0, -1.5, -0.5]).unwrap();
    let g = ArrayD::from_shape_vec(IxDyn(&[1, 2, 2]), vec![0.5, 0.25, 1.0, 0.0]).unwrap();
    for (a, g) in [(&a, &g), (&(&a * 0.0), &g), (&a, &(&g * 0.0))] {
        for m in METHODS.iter().filter(|m| m.name != "cam") {
            assert!(on_arrays(m, a, g, 1).unwrap().iter().all(|v| v.is_finite()), "{}", m.name);
        }
    }
}

#[test]
fn cam_is_refused_where_the_head_is_not_linear_in_the_means() {
    let attach = |file: &str, layer: &str| {
        let request = Request { layer: Some(layer.into()), method: named("cam"), ..Request::default() };
        cam::attach(&zoo(file), &request)
    };
    let made = attach("resnet.ts.onnx", "/Relu_2_output_0").unwrap();
    assert_eq!((made.certificate.verdict, made.certificate.scale), (Verdict::Exact, 64));
    for layer in ["/Add_1_output_0", "/Relu_1_output_0"] {
        let Err(Error::Argument(why)) = attach("resnet.ts.onnx", layer) else { panic!("CAM at {layer}") };
        assert!(why.contains("global average pooling"), "{why}");
    }
}

#[test]
fn weak_formulas_are_told_where_the_layer_can_be_negative() {
    let caution = |method: &str, layer: &str| {
        let request = Request { layer: Some(layer.into()), method: named(method), ..Request::default() };
        cam::attach(&zoo("resnet.ts.onnx"), &request).unwrap().certificate.caution
    };
    for method in ["gradcam++", "xgradcam", "eigencam"] {
        assert!(caution(method, "/Add_1_output_0").is_some(), "{method} before the ReLU");
        assert_eq!(caution(method, "/Relu_2_output_0"), None, "{method} after the ReLU");
        assert_eq!(caution(method, "/pool/MaxPool_output_0"), None, "{method} after ReLU and MaxPool");
    }
    assert_eq!(caution("hirescam", "/Add_1_output_0"), None);
}

#[test]
fn what_is_proven_of_a_method_is_in_the_certificate() {
    let certificate = |method: &str| {
        let request = Request { layer: Some("/Relu_1_output_0".into()), method: named(method), ..Request::default() };
        cam::attach(&zoo("flatten_fc.ts.onnx"), &request).unwrap().certificate
    };
    let verdicts = [
        ("hirescam", Verdict::Exact),
        ("gradcam", Verdict::Unproven),
        ("gradcam++", Verdict::Unproven),
        ("xgradcam", Verdict::SumOnly),
        ("layercam", Verdict::GradientOnly),
        ("eigencam", Verdict::Unproven),
        ("eigengradcam", Verdict::GradientOnly),
    ];
    for (method, verdict) in verdicts {
        let made = certificate(method);
        assert_eq!(made.verdict, verdict, "{method}");
        assert_eq!(made.but.is_some(), method != "hirescam", "{method}");
    }
}

#[test]
fn methods_at_the_image_go_there_by_themselves() {
    for (name, verdict) in [("gradient-x-input", Verdict::LocallyLinear), ("saliency", Verdict::GradientOnly)] {
        let made = cam::attach(&zoo("cnn1d.ts.onnx"), &Request { method: named(name), ..Request::default() }).unwrap();
        assert_eq!(made.head.layer, made.image);
        assert_eq!(made.certificate.verdict, verdict);
    }
    // An image with its colours on the last axis has its channels there.
    let request = Request { method: named("saliency"), ..Request::default() };
    assert_eq!(cam::attach(&zoo("keras_mean.onnx"), &request).unwrap().head.channels, Some(3));
}

#[test]
fn what_loses_something_says_what() {
    for m in METHODS {
        let loses = (m.guarantee)(false) != Guarantee::Faithful && (m.guarantee)(false) != Guarantee::Mean;
        assert_eq!(loses, !m.but.is_empty(), "{} loses something and says what, or neither", m.name);
    }
}
