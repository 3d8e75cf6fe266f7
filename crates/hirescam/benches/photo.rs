//! What is done for each photo beside running the network.
#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{Criterion, criterion_group, criterion_main};
use hirescam::Network;
use hirescam::Spec;
use hirescam::overlay::Style;
use hirescam::photo::Photo;
use hirescam::preprocess::InputShape;
use std::hint::black_box;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

fn photo(c: &mut Criterion) {
    let (path, network) = (format!("{FIXTURES}/photos/coffee.png"), format!("{FIXTURES}/efficientnet-lite0.onnx"));
    c.bench_function("decode a photo", |b| b.iter(|| Photo::open(black_box(&path)).unwrap()));

    let (file, photo) = (Network::open(&network).unwrap(), Photo::open(&path).unwrap());
    let (preprocess, _) = file.preprocess().unwrap().unwrap();
    let input = InputShape::from_shape(&[Some(1), Some(3), Some(224), Some(224)], Some(1)).unwrap();
    c.bench_function("preprocess a photo", |b| b.iter(|| preprocess.apply(black_box(&photo), input).unwrap()));

    let explainer = file.explainer(&Spec { engine: "tract".into(), ..Spec::default() }).unwrap();
    let made = explainer.explain_one(photo).unwrap().into_maps().remove(0);
    c.bench_function("draw an overlay", |b| b.iter(|| black_box(&made).overlay(false, &Style::default()).unwrap()));
    c.bench_function("open a model file", |b| b.iter(|| Network::open(black_box(&network)).unwrap()));
}

criterion_group!(benches, photo);
criterion_main!(benches);
