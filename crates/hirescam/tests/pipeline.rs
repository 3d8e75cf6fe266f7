//! Many files: each has its own result and number, and what decides the results is known again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod spec;

use hirescam::core::Tensor;
use hirescam::core::onnx::messages::{NodeProto, ValueInfoProto};
use hirescam::core::tensor::DataType;
use hirescam::fusion::Fuse;
use hirescam::pipeline::{Comparing, Made, OfImage, Outcome, Pipeline};
use hirescam::sink::{Folder, Protected};
use hirescam::spec::{FurtherInput, Picture};
use hirescam::{Error, Network, Spec, comparison, source};
use hirescam_testing::by_hand::{free, info, model};
use ndarray::ArrayD;
use ndarray_npy::write_npy;
use spec::tract;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

fn digits() -> Network {
    Network::open(format!("{FIXTURES}/digits-cnn.onnx")).unwrap()
}

fn folder(path: &Path, run: String) -> Folder {
    Folder::open(path, "explain", run, Protected::new(std::iter::empty::<&PathBuf>()), false).unwrap()
}

/// What came of each file, and the numbers that were told.
fn explain(network: &Network, spec: &Spec, files: &[PathBuf]) -> (Vec<Result<Vec<OfImage>, Error>>, BTreeSet<usize>) {
    let (out, told) = (tempfile::tempdir().unwrap(), RefCell::new(BTreeSet::new()));
    let explainer = network.explainer(spec).unwrap();
    let pipeline = Pipeline { explainer: &explainer, pictures: false, thumbnails: false, style: Default::default() };
    let (mut folder, mut all) = (folder(out.path(), pipeline.run()), Vec::new());
    let mut each = |outcome: Outcome| {
        all.push(outcome.images);
        Ok::<(), Error>(())
    };
    let mut watch = |p: hirescam::Progress| {
        told.borrow_mut().insert(p.sample);
    };
    pipeline.explain(files, &mut folder, &mut watch, &mut each).unwrap();
    (all, told.into_inner())
}

#[test]
fn a_run_is_another_where_anything_that_decides_its_results_is() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let write = |name: &str, text: &str| std::fs::write(at(name), text).unwrap();
    std::fs::copy(format!("{FIXTURES}/digits-cnn.onnx"), at("net.onnx")).unwrap();
    let picture = Picture { font: Some(at("font.ttf")), ..Picture::default() };
    let spec = Spec { picture, ..tract() };
    let runs = || {
        let network = Network::open(at("net.onnx")).unwrap();
        let (explainer, comparer) = (network.explainer(&spec).unwrap(), network.comparer(&spec).unwrap());
        let pipeline = Pipeline { explainer: &explainer, pictures: true, thumbnails: false, style: Default::default() };
        [pipeline.run(), Comparing { comparer: &comparer, style: Default::default() }.run()]
    };
    let labels = |first: &str| write("net.labels.txt", &format!("{first}\n1\n2\n3\n4\n5\n6\n7\n8\n9\n"));
    write("font.ttf", "a");
    write("net.toml", "scale = 1.0");
    labels("0");
    let mut seen: Vec<[String; 2]> = vec![runs()];
    assert_eq!(runs(), seen[0]);
    let changes: [(&str, &dyn Fn()); 3] = [
        ("a file that the spec names", &|| write("font.ttf", "b")),
        ("the preprocessing beside the network", &|| write("net.toml", "scale = 2.0")),
        ("the labels beside the network", &|| labels("nought")),
    ];
    for (what, change) in changes {
        change();
        let now = runs();
        for (i, run) in now.iter().enumerate() {
            assert!(seen.iter().all(|before| before[i] != *run), "{what}, {}", ["explain", "compare"][i]);
        }
        seen.push(now);
    }
}

/// Files of which some come to nothing, and the numbers of the others.
fn files(folder: &Path) -> (Vec<PathBuf>, BTreeSet<usize>) {
    let npy =
        |name: &str, value: f32| write_npy(folder.join(name), &ArrayD::from_elem(vec![1, 1, 28, 28], value)).unwrap();
    npy("nan.npy", f32::NAN);
    npy("half.npy", 0.5);
    std::fs::write(folder.join("bad.png"), "no photo").unwrap();
    let seven = PathBuf::from(format!("{FIXTURES}/photos/seven.png"));
    let at = |name: &str| folder.join(name);
    (vec![at("bad.png"), seven.clone(), at("nan.npy"), at("bad.png"), at("half.npy"), seven], [1, 4, 5].into())
}

#[test]
fn progress_is_told_of_the_image_that_it_is_of() {
    let folder = tempfile::tempdir().unwrap();
    let (files, numbers) = files(folder.path());
    for method in ["hirescam", "reciprocam"] {
        let (_, told) = explain(&digits(), &Spec { method: method.into(), ..tract() }, &files);
        assert_eq!(told, numbers, "{method}");
    }
    let compare = comparison::Plan { methods: ["hirescam", "gradcam", "reciprocam"].map(str::to_owned).to_vec() };
    let comparer = digits().comparer(&Spec { compare, ..tract() }).unwrap();
    let comparing = Comparing { comparer: &comparer, style: Default::default() };
    let out = tempfile::tempdir().unwrap();
    let mut told = BTreeSet::new();
    let mut watch = |_: &str, p: hirescam::Progress| {
        told.insert(p.sample);
    };
    let mut each = |_: &Path, _: Result<hirescam::pipeline::WrittenComparison, Error>| Ok::<(), Error>(());
    comparing.compare(&files, &mut self::folder(out.path(), comparing.run()), &mut watch, &mut each).unwrap();
    assert_eq!(told, numbers);
}

#[test]
fn rows_for_another_number_of_images_are_refused_whoever_asks() {
    let golden: serde_json::Value =
        serde_json::from_slice(&std::fs::read(format!("{FIXTURES}/inputs/golden.json")).unwrap()).unwrap();
    let (file, golden) = golden.as_object().unwrap().iter().find(|(name, _)| name.contains("patient")).unwrap();
    let array = |value: &serde_json::Value| {
        let shape: Vec<usize> = serde_json::from_value(value["shape"].clone()).unwrap();
        ArrayD::from_shape_vec(shape, serde_json::from_value::<Vec<f64>>(value["data"].clone()).unwrap()).unwrap()
    };
    let network = Network::open(format!("{FIXTURES}/inputs/{file}")).unwrap();
    let inputs = golden["inputs"].as_object().unwrap();
    let spec = Spec {
        layers: vec![golden["layer"].as_str().unwrap().into()],
        image_input: Some("image".into()),
        inputs: inputs
            .iter()
            .filter(|(name, _)| *name != "image")
            .map(|(n, v)| FurtherInput::new(n, array(v)))
            .collect(),
        compare: comparison::Plan { methods: vec!["hirescam".into()] },
        ..tract()
    };
    let spec = Spec { check: hirescam::check::Plan { places: 0, randomise: false, ..Default::default() }, ..spec };
    let folder = tempfile::tempdir().unwrap();
    let images = array(&inputs["image"]).mapv(|v| v as f32);
    let files: Vec<PathBuf> = (0..3).map(|i| folder.path().join(format!("{i}.npy"))).collect();
    for (file, image) in files.iter().zip(images.axis_chunks_iter(ndarray::Axis(0), 1)) {
        write_npy(file, &image.to_owned()).unwrap();
    }
    let explainer = network.explainer(&spec).unwrap();
    let comparer = network.comparer(&spec).unwrap();
    let pipeline = Pipeline { explainer: &explainer, pictures: false, thumbnails: false, style: Default::default() };
    let comparing = Comparing { comparer: &comparer, style: Default::default() };
    let explain = |files: &[PathBuf]| {
        let out = tempfile::tempdir().unwrap();
        let mut folder = self::folder(out.path(), pipeline.run());
        pipeline.explain(files, &mut folder, &mut |_| {}, &mut |_: Outcome| Ok::<(), Error>(()))
    };
    let compare = |files: &[PathBuf]| {
        let out = tempfile::tempdir().unwrap();
        let mut folder = self::folder(out.path(), comparing.run());
        comparing.compare(files, &mut folder, &mut |_, _| {}, &mut |_: &Path, _| Ok::<(), Error>(()))
    };
    let check = |files: &[PathBuf]| network.check(&spec, &mut source::inputs(files), &mut |_| {}).map(drop);
    let each: [(&str, &dyn Fn(&[PathBuf]) -> Result<(), Error>); 3] =
        [("explain", &explain), ("compare", &compare), ("check", &check)];
    for (what, run) in each {
        run(&files).unwrap();
        let refused = run(&files[..2]);
        assert!(matches!(refused, Err(Error::Rows { rows: 3, samples: 2, .. })), "{what}: {refused:?}");
    }
}

/// Volumes: ReLU "volume" → the means over places → 24 numbers of these, as a picture, ReLU "picture" → its means → three scores.
fn volumes() -> Network {
    let node = |op: &str, input: &[&str], output: &str| NodeProto {
        op_type: Some(op.into()),
        input: input.iter().map(|&name| name.to_owned()).collect(),
        output: vec![output.into()],
        ..Default::default()
    };
    let weights = |shape: &[usize]| Tensor::float(ArrayD::from_shape_fn(shape, |i| (1 + i[0] + 2 * i[1]) as f64));
    let nodes = vec![
        node("Relu", &["image"], "volume"),
        node("GlobalAveragePool", &["volume"], "means"),
        node("Flatten", &["means"], "list"),
        node("MatMul", &["list", "up"], "numbers"),
        node("Reshape", &["numbers", "shape"], "laid"),
        node("Relu", &["laid"], "picture"),
        node("GlobalAveragePool", &["picture"], "pooled"),
        node("Flatten", &["pooled"], "flat"),
        node("MatMul", &["flat", "w"], "scores"),
    ];
    let stored = [("up", weights(&[2, 24])), ("shape", Tensor::ints(&[-1, 2, 3, 4])), ("w", weights(&[2, 3]))];
    let output = ValueInfoProto { r#type: None, ..info("scores", DataType::Float, &[]) };
    let proto = model(13, nodes, vec![free("image", &[0, 2, 3, 4, 5])], vec![output], &stored);
    Network::from_bytes(hirescam::core::onnx::write(&proto)).unwrap()
}

#[test]
fn maps_that_cannot_be_fused_are_there_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scan.npy");
    write_npy(&file, &ArrayD::from_elem(vec![2, 2, 3, 4, 5], 1.0f32)).unwrap();
    let picture = Picture { fuse: Some(Fuse::Mean), ..Picture::default() };
    let spec = Spec { layers: ["volume", "picture"].map(str::to_owned).to_vec(), picture, ..tract() };
    let (made, _) = explain(&volumes(), &spec, &[file]);
    let images = made.into_iter().next().unwrap().unwrap();
    assert_eq!(images.len(), 2);
    for image in images {
        let maps = image.iter().flatten().filter(|written| matches!(&written.made, Made::Map(_))).count();
        assert_eq!((maps, image.len()), (2, 3));
        let fused = image[2].as_ref().map(|written| written.record.clone());
        assert!(matches!(&fused, Err(Error::Argument(why)) if why.contains("cannot be fused")), "{fused:?}");
    }
}
