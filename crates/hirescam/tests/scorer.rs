//! Scores of changed images, of layers with places taken out, and networks with random weights.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use hirescam::photo::Photo;
use hirescam::{Explanation, Network, Sample, Spec};
use ndarray::{ArrayD, Axis, concatenate};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

fn spec(target: &str) -> Spec {
    Spec { engine: "tract".into(), target: Some(target.into()), ..Spec::default() }
}

fn network() -> Network {
    Network::open(format!("{FIXTURES}/digits-cnn.onnx")).unwrap()
}

fn photo(name: &str) -> Photo {
    Photo::open(format!("{FIXTURES}/photos/{name}.png")).unwrap()
}

/// The photo as the network takes it.
fn prepared(network: &Network, name: &str) -> ArrayD<f32> {
    network.explainer(&spec("top:1")).unwrap().prepare(&photo(name)).unwrap().tensor
}

#[test]
fn scores_of_images_are_those_of_their_explanations() {
    let network = network();
    let scorer = network.scorer(&spec("top:1"), None).unwrap();
    let images = ["seven", "three"].map(|name| prepared(&network, name));
    let sample = Sample::from(hirescam::engine::Array::from(images[0].clone()));
    let both = concatenate(Axis(0), &images.each_ref().map(|image| image.view())).unwrap();
    let logits = scorer.logits(&sample, both.view()).unwrap();
    assert_eq!(logits.shape(), [2, 10]);
    for (row, name) in logits.rows().into_iter().zip(["seven", "three"]) {
        let all = network.explainer(&spec("all")).unwrap().explain_one(photo(name)).unwrap();
        for (score, e) in row.iter().zip(all.maps()) {
            assert!((f64::from(*score) - e.score).abs() < 1e-4);
        }
    }
    assert_eq!(
        (scorer.activation(&sample).unwrap(), scorer.channels()),
        (images[0].index_axis(Axis(0), 0).to_owned(), 0)
    );
    assert!(scorer.logits(&sample, ArrayD::zeros(vec![1, 1, 28, 27]).view()).is_err());
    assert!(scorer.logits(&Sample::from(photo("seven")), both.view()).is_err());
}

#[test]
fn what_cells_contribute_to_an_affine_head_is_hirescam() {
    let network = Network::open(format!("{FIXTURES}/efficientnet-lite0.onnx")).unwrap();
    let explainer = network.explainer(&spec("class:504,281")).unwrap();
    let explained = explainer.explain_one(photo("coffee")).unwrap();
    let maps: &[Explanation] = explained.maps();
    assert_eq!(maps[0].certificate().verdict.to_string(), "exact");
    let scorer = network.scorer(&spec("top:1"), Some(maps[0].layer())).unwrap();
    let image = explainer.prepare(&photo("coffee")).unwrap().tensor;
    let sample = Sample::from(hirescam::engine::Array::from(image));
    let lost = scorer.contributions(&sample, &[504, 281], maps[0].map.shape()).unwrap();
    for (lost, e) in lost.iter().zip(maps) {
        let size = e.score.abs() + e.map.iter().map(|v| f64::from(v.abs())).sum::<f64>();
        assert!(lost.iter().zip(&e.map).all(|(a, b)| (a - f64::from(*b)).abs() < 1e-5 * size));
    }
}

#[test]
fn randomised_networks_keep_their_scores_shape_and_differ_more_and_more() {
    let network = network();
    let random = network.randomised(&spec("top:1")).unwrap();
    // 1, 2, 4 and all five of its weight tensors.
    assert_eq!(random.len(), 4);
    let of = |network: &Network| {
        let scorer = network.scorer(&spec("top:1"), None).unwrap();
        let image = prepared(&self::network(), "seven");
        scorer.logits(&Sample::from(hirescam::engine::Array::from(image.clone())), image.view()).unwrap()
    };
    let all: Vec<_> = [&network].into_iter().chain(&random).map(of).collect();
    assert!(all.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn each_class_has_its_label_or_a_blank_one() {
    let labels = |file: &str| {
        let network = Network::open(format!("{FIXTURES}/{file}")).unwrap();
        network.class_labels(&Spec { engine: "tract".into(), ..Spec::default() }).unwrap()
    };
    let digits = labels("digits-cnn.onnx");
    assert_eq!((digits.len(), digits.iter().any(String::is_empty)), (10, false));
    assert!(labels("zoo/resnet.ts.onnx").iter().all(String::is_empty));
    let named = Spec { labels: Some(hirescam::spec::LabelsFrom::Names(vec!["a".into()])), ..spec("top:1") };
    assert!(network().class_labels(&named).is_err());
}
