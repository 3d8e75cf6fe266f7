//! A network in parts: what body and head make together is what the network makes, and gradients are those of an explanation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod spec;

use hirescam::core::Model;
use hirescam::core::onnx::messages::ModelProto;
use hirescam::core::onnx::{read, write};
use hirescam::engine::{Array, Session};
use hirescam::{Error, Network, Spec};
use ndarray::{ArrayD, Axis, IxDyn};
use spec::tract;
use std::collections::HashMap;

const DIGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/digits-cnn.onnx");
const EARLY: &str = "/conv_layers/conv_layers.4/Relu_output_0";
const LATE: &str = "/conv_layers/conv_layers.7/Relu_output_0";

const ZOO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/zoo");

/// Networks and layers whose heads bend.
const SMOOTH: [(&str, &str); 4] = [
    ("efficientnet", "/Add_output_0"),
    ("convnext", "/stage1/Add_1_output_0"),
    ("attention", "/Relu_1_output_0"),
    ("vit", "/b2/Add_output_0"),
];

fn ready(model: &ModelProto) -> Box<dyn Session> {
    let model = &write(model);
    hirescam::engine::engine("tract", &hirescam::engine::Options::default()).unwrap().prepare(model).unwrap()
}

fn image() -> Array {
    let values = (0..28 * 28).map(|i| ((i as f64 * 0.618_033_988_749_895) % 1.0) as f32);
    ArrayD::from_shape_vec(IxDyn(&[1, 1, 28, 28]), values.collect()).unwrap().into()
}

fn at(layers: &[&str]) -> Spec {
    Spec { layers: layers.iter().map(|&layer| layer.to_owned()).collect(), target: Some("class:7".into()), ..tract() }
}

/// What a model makes of these values, of which it takes those that it needs.
fn run(model: &ModelProto, values: &HashMap<String, Array>) -> HashMap<String, Array> {
    let read = Model::new(model.clone()).unwrap();
    let names: Vec<String> = read.inputs().map(|input| input.name().to_owned()).collect();
    let fed: Vec<(&str, &Array)> = names.iter().map(|name| (name.as_str(), &values[name])).collect();
    ready(model).run(&fed).unwrap().into_iter().collect()
}

/// HiResCAM of class 7 by the parts, for each layer, and the scores.
fn by_parts(network: &Network, layers: &[&str]) -> (Vec<ArrayD<f32>>, ArrayD<f32>) {
    let parts = network.parts(&at(layers)).unwrap();
    let mut values = HashMap::from([(parts.image.clone(), image())]);
    if let Some(body) = &parts.body {
        values.extend(run(body, &values));
    }
    let scores = run(&parts.head, &values)[&parts.scores].to_f32();
    let mut seed = ArrayD::<f32>::zeros(scores.raw_dim());
    seed[IxDyn(&[0, 7])] = 1.0;
    values.insert(parts.seed.clone(), seed.into());
    let made = run(&parts.gradient, &values);
    assert_eq!(made[&parts.scores].to_f32(), scores);
    let of = |(layer, gradient): (&&str, &String)| {
        let activation = made.get(*layer).or_else(|| values.get(*layer)).unwrap().to_f32();
        (activation * made[gradient].to_f32()).sum_axis(Axis(1)).index_axis_move(Axis(0), 0)
    };
    (layers.iter().zip(&parts.gradients).map(of).collect(), scores)
}

#[test]
fn products_of_activation_and_gradient_are_the_maps() {
    let network = Network::open(DIGITS).unwrap();
    for layers in [&[EARLY][..], &[LATE], &[LATE, EARLY]] {
        let (maps, scores) = by_parts(&network, layers);
        let explained = network.explainer(&at(layers)).unwrap().explain_one(image()).unwrap();
        for (map, e) in maps.iter().zip(explained.maps()) {
            let most = e.map.iter().fold(0.0f32, |most, v| most.max(v.abs()));
            assert!(map.iter().zip(&e.map).all(|(a, b)| (a - b).abs() <= 1e-5 * most), "{layers:?}");
            assert!((f64::from(scores[IxDyn(&[0, 7])]) - e.score).abs() < 1e-4);
        }
    }
}

#[test]
fn second_derivatives_are_how_gradients_change() {
    for (file, layer) in SMOOTH {
        let network = Network::open(format!("{ZOO}/{file}.ts.onnx")).unwrap();
        let spec = at(&[layer]);
        let parts = network.parts(&spec).unwrap();
        let second = parts.second(layer).unwrap();
        let input = network.model().inputs().next().unwrap().name().to_owned();
        let declared = network.image_input(None).unwrap().shape;
        let shape: Vec<usize> = declared.iter().map(|n| n.unwrap_or(1)).collect();
        let count: usize = shape.iter().product();
        let image = (0..count).map(|i| ((i as f64 * 0.618_033_988_749_895) % 1.0) as f32 - 0.5).collect();
        let mut values = HashMap::from([(input, ArrayD::from_shape_vec(IxDyn(&shape), image).unwrap().into())]);
        values.extend(run(parts.body.as_ref().unwrap(), &values));
        let activation = values[layer].to_f32();
        let mut seed = run(&parts.head, &values)[&parts.scores].to_f32();
        seed.iter_mut().enumerate().for_each(|(i, s)| *s = 1.0 + i as f32 / 4.0);
        values.insert(parts.seed.clone(), seed.clone().into());
        let moved = |by: f32| {
            let mut values = values.clone();
            values.insert(layer.into(), activation.mapv(|a| a * (1.0 + by)).into());
            let made = run(&parts.gradient, &values);
            (made[&parts.gradients[0]].to_f32(), made[&parts.scores].to_f32())
        };
        // Central differences along the activation, in float32.
        const STEP: f32 = 1.0 / 64.0;
        let (after, before) = (moved(STEP), moved(-STEP));
        values.insert(second.direction.clone(), activation.clone().into());
        let made = run(&second.model, &values);
        let compare = |name: &Option<String>, after: ArrayD<f32>, before: ArrayD<f32>| {
            let found = made[name.as_ref().unwrap()].to_f32();
            let largest = |values: &ArrayD<f32>| values.iter().fold(0.0f32, |most, v| most.max(v.abs()));
            // Scores that do not hang on the activation's scale change by no more than rounding.
            let rounding = 1e-6 * largest(&after) / STEP;
            let expected = (after - before) / (2.0 * STEP);
            assert_eq!(found.shape(), expected.shape());
            let (worst, allowed) = (largest(&(&found - &expected)), 5e-3 * largest(&expected) + rounding);
            assert!(worst <= allowed, "{file}: {worst}, and {allowed} is allowed");
        };
        compare(&second.by_activation, after.0, before.0);
        compare(&second.by_seed, after.1, before.1);
    }
    let digits = Network::open(DIGITS).unwrap();
    let second = digits.parts(&at(&[LATE])).unwrap().second(LATE).unwrap();
    assert!(second.by_activation.is_none() && second.by_seed.is_some(), "the head is piecewise linear");
}

#[test]
fn any_value_can_be_an_output() {
    let network = Network::open(DIGITS).unwrap();
    let made = network.values();
    assert!(made.iter().any(|value| value.value == EARLY) && made.iter().all(|value| value.scopes.is_none()));
    let model = network.with_outputs(&[EARLY.into()]).unwrap();
    let input = network.model().inputs().next().unwrap().name().to_owned();
    let found = run(&read(model).unwrap(), &HashMap::from([(input, image())]));
    assert_eq!(found.keys().collect::<Vec<_>>(), [EARLY]);
    let error = network.with_outputs(&["relu9".into()]).unwrap_err();
    assert!(matches!(error, Error::Core(hirescam::core::Error::NotFound { .. })), "{error}");
}

#[test]
fn other_names_change_nothing_else() {
    let network = Network::open(DIGITS).unwrap();
    let names = HashMap::from([(LATE.to_owned(), "features".to_owned())]);
    let renamed = Network::from_bytes(network.renamed(&names).unwrap()).unwrap();
    let map = |network: &Network, layer: &str| by_parts(network, &[layer]);
    assert_eq!(map(&renamed, "features"), map(&network, LATE));
    let taken = HashMap::from([(LATE.to_owned(), EARLY.to_owned())]);
    assert!(network.renamed(&taken).unwrap_err().to_string().contains(EARLY));
}

#[test]
fn layers_that_are_none_are_told() {
    let network = Network::open(DIGITS).unwrap();
    for layers in [&["relu9"][..], &[LATE, "relu9"]] {
        let error = network.parts(&at(layers)).unwrap_err();
        assert!(error.to_string().contains("relu9"), "{error}");
    }
    assert!(network.parts(&at(&[])).is_err());
}
