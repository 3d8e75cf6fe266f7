//! What is done once for a network: reading it, and differentiating its head.
#![allow(missing_docs, clippy::unwrap_used)]

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use hirescam_core::cam::{self, Request, Target};
use hirescam_core::{Model, onnx};
use std::hint::black_box;

const NETWORK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/efficientnet-lite0.onnx");
/// The first layer: its head is the whole network.
const DEEPEST: &str = "/_conv_stem/Conv_output_0";

fn file() -> Bytes {
    std::fs::read(NETWORK).unwrap().into()
}

fn reading(c: &mut Criterion) {
    let file = file();
    c.bench_function("read a file", |b| b.iter(|| onnx::read(black_box(file.clone())).unwrap()));
    c.bench_function("index a model", |b| b.iter(|| Model::from_bytes(black_box(file.clone())).unwrap()));
}

fn differentiating(c: &mut Criterion) {
    let model = Model::from_bytes(file()).unwrap();
    let deepest = Request { layer: Some(DEEPEST.into()), ..Request::default() };
    let all = Request { target: Target::All, ..Request::default() };
    for (name, request) in [("last layer", Request::default()), ("deepest layer", deepest), ("all classes", all)] {
        c.bench_function(name, |b| b.iter(|| cam::attach(black_box(&model), black_box(&request)).unwrap()));
    }
    let made = cam::attach(&model, &Request::default()).unwrap();
    c.bench_function("write the explaining model", |b| b.iter(|| black_box(&made).to_bytes()));
}

criterion_group!(benches, reading, differentiating);
criterion_main!(benches);
