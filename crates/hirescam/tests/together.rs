//! Several methods and layers by one explainer: the same maps as of each alone, and classes that come with each image.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod spec;

use hirescam::core::cam;
use hirescam::core::cam::METHODS;
use hirescam::engine::Array;
use hirescam::{Error, Explanation, Network, Sample, Spec, Watch};
use hirescam_testing::{Random, engines, zoo};
use ndarray::{ArrayD, arr1};
use spec::tract;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

/// A network, and a layer of it that is not the recommended one; none for the recommended.
const NETWORKS: &[(&str, Option<&str>)] = &[
    ("digits-cnn.onnx", None),
    ("efficientnet-lite0.onnx", None),
    ("zoo/resnet.ts.onnx", Some("/Relu_1_output_0")),
    ("zoo/flatten_fc.ts.onnx", None),
    ("zoo/vit.dynamo.onnx", Some("layer_norm_2")),
    ("zoo/cnn3d.ts.onnx", None),
    ("zoo/mobilenet_v3.ts.onnx", None),
];

fn open(file: &str) -> Network {
    Network::open(format!("{FIXTURES}/{file}")).unwrap()
}

/// An image of noise in the shape that the file declares.
fn image(file: &Network, seed: u64) -> Sample {
    let info = hirescam::core::analysis::image_input(file.model(), None).unwrap();
    let shape: Vec<usize> = hirescam::core::shape::declared(info).iter().map(|d| d.unwrap_or(1)).collect();
    Sample::from(Array::from(Random::new(seed).tensor(&shape, -1.0, 1.0).data.mapv(|v| v as f32)))
}

/// The largest difference of two maps, relative to the largest cell.
fn apart(a: &ArrayD<f32>, b: &ArrayD<f32>) -> f32 {
    assert_eq!(a.shape(), b.shape());
    let largest = b.iter().fold(f32::MIN_POSITIVE, |m, v| m.max(v.abs()));
    a.iter().zip(b).fold(0.0f32, |m, (a, b)| m.max((a - b).abs())) / largest
}

#[test]
fn maps_of_one_run_are_those_of_each_method_alone() {
    for engine in engines::names() {
        for &(file, layer) in NETWORKS {
            let network = open(file);
            let sample = image(&network, 5);
            let layers: Vec<String> = layer.into_iter().map(str::to_owned).collect();
            let layers = match layers.is_empty() {
                true => {
                    let spec = Spec { engine: engine.into(), ..tract() };
                    let made = network.explainer(&spec).unwrap().explain_one(sample.clone()).unwrap();
                    vec![made.first().unwrap().layer().to_owned()]
                }
                false => layers,
            };
            let spec = |method: &str| Spec {
                method: method.to_owned(),
                layers: layers.clone(),
                target: Some("top:2".into()),
                engine: engine.into(),
                ..tract()
            };
            let alone =
                |m: &cam::Method| network.explainer(&spec(m.name)).map(|e| e.explain_one(sample.clone()).unwrap());
            // CAM is for some heads only.
            let alone: Vec<_> = METHODS.iter().filter_map(|m| Some((m.name, alone(m).ok()?))).collect();
            assert!(alone.len() >= METHODS.len() - 1, "{file}");
            let names: Vec<&str> = alone.iter().map(|(name, _)| *name).collect();
            let together = network.explainer(&spec(&names.join(","))).unwrap();
            let made = together.explain_one(sample.clone()).unwrap();
            assert_eq!((made.methods(), made.classes().len()), (names.len(), 2));
            for (at, (name, alone)) in alone.iter().enumerate() {
                for (of_class, alone) in made.classes().zip(alone.maps()) {
                    let e: &Explanation = &of_class[at];
                    let context = format!("{name} of {file} with {engine}");
                    assert_eq!((e.method().name, e.class, e.layer()), (*name, alone.class, alone.layer()), "{context}");
                    assert_eq!(e.certificate().verdict, alone.certificate().verdict, "{context}");
                    let apart = apart(&e.map, &alone.map);
                    // What ONNX Runtime fuses of a value with one reader it computes by itself where there are more.
                    let most = if engine == "tract" { 0.0 } else { ROUNDING };
                    assert!(apart <= most, "{context}: {apart}");
                }
            }
        }
    }
}

const ROUNDING: f32 = 1e-5;

#[test]
fn classes_that_come_with_each_image_are_explained_by_all_methods() {
    let network = open("digits-cnn.onnx");
    for engine in engines::names() {
        for method in ["hirescam,layercam", "hirescam,reciprocam", "ablationcam,saliency", "occlusion"] {
            let spec = |target: &str| Spec {
                method: method.into(),
                target: Some(target.into()),
                engine: engine.into(),
                ..tract()
            };
            let explainer = network.explainer(&spec("class-input")).unwrap();
            let with =
                |seed, class: i64| image(&network, seed).with_input("class", Array::from(arr1(&[class]).into_dyn()));
            let given = [(1, 3), (2, 0), (3, -1)];
            let mut samples: Vec<Sample> = given.iter().map(|&(seed, class)| with(seed, class)).collect();
            samples.extend([with(4, 10), image(&network, 5)]);
            let made = explainer.explain(&samples, &mut Watch::default());
            for (made, (seed, class)) in made.iter().zip(given) {
                let made = made.as_ref().unwrap();
                let class = usize::try_from(class).unwrap_or(9);
                let named = network.explainer(&spec(&format!("class:{class}"))).unwrap();
                let named = named.explain_one(image(&network, seed)).unwrap();
                assert_eq!(made.maps().len(), named.maps().len());
                for (e, named) in made.maps().iter().zip(named.maps()) {
                    let context = format!("{} for {class} with {engine}", named.method().name);
                    assert_eq!((e.class, e.label()), (Some(class), named.label()), "{context}");
                    assert!(apart(&e.map, &named.map) < ROUNDING, "{context}");
                    assert!(
                        (e.score - named.score).abs() < 1e-5 && e.bias.is_some() == named.bias.is_some(),
                        "{context}"
                    );
                }
            }
            assert!(made[3].is_err());
            // By what it is, whatever the input is called; said twice, this counts.
            let by_target = image(&network, 1).with_target(Array::from(arr1(&[3i64]).into_dyn()));
            let twice = by_target.clone().with_input("class", Array::from(arr1(&[7i64]).into_dyn()));
            for sample in [&by_target, &twice] {
                let own = explainer.explain_one(sample.clone()).unwrap();
                let first = made[0].as_ref().unwrap();
                assert!(own.maps().iter().zip(first.maps()).all(|(a, b)| a.map == b.map && a.class == b.class));
            }
            let named = network.explainer(&spec("class:3")).unwrap();
            let refused = named.explain_one(by_target).unwrap_err();
            assert!(refused.to_string().contains("the same for all"), "{refused}");
            assert!(matches!(&made[4], Err(Error::MissingInput { input, .. }) if input == "class"), "{:?}", made[4]);
        }
    }
    let unknown = Spec { method: "hirescam,gradcam,hirescam".into(), ..tract() };
    assert!(matches!(network.explainer(&unknown), Err(Error::Argument(why)) if why.contains("asked for twice")));
}

#[test]
fn methods_are_compared_for_classes_that_come_with_each_image() {
    let network = open("digits-cnn.onnx");
    let mut spec = Spec { target: Some("class-input".into()), ..tract() };
    spec.compare.methods = ["gradcam", "hirescam", "saliency", "reciprocam", "layercam"].map(str::to_owned).to_vec();
    let comparer = network.comparer(&spec).unwrap();
    let samples: Vec<Sample> = [(1, 3i64), (2, 8)]
        .map(|(seed, class)| image(&network, seed).with_input("class", Array::from(arr1(&[class]).into_dyn())))
        .to_vec();
    let made = comparer.compare(&samples, &mut |_, _| {});
    for (made, class) in made.into_iter().zip([3, 8]) {
        let made = made.unwrap();
        assert_eq!(made.hirescam.class, Some(class));
        assert!(made.methods.iter().all(|m| m.explanation.class == Some(class)));
        let names: Vec<&str> = made.methods.iter().map(|m| m.explanation.method().name).collect();
        assert_eq!(names, spec.compare.methods);
    }
}

#[test]
fn an_explaining_model_has_the_maps_of_several_methods() {
    let network = Network::from_bytes(hirescam::core::onnx::write(zoo("resnet.ts.onnx").proto())).unwrap();
    let spec = Spec { method: "hirescam, gradcam++".into(), ..tract() };
    let made = network.explaining_model(&spec, None).unwrap();
    assert_eq!((made.maps().count(), made.methods().as_str()), (2, "hirescam, gradcam++"));
    let words = made.in_words();
    assert!(
        words.iter().any(|line| line.contains("by Grad-CAM++") && line.contains("map_gradcam_plus_plus")),
        "{words:?}"
    );
    assert!(cam::strip(&made.bytes).unwrap().unwrap() == **network.bytes());
    let several = Spec { method: "hirescam,rise".into(), ..tract() };
    assert!(
        matches!(network.explaining_model(&several, None), Err(Error::Argument(why)) if why.contains("several runs"))
    );
}
