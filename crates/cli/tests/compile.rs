//! What `hirescam compile` promises of the files that it writes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use common::{FIXTURES, fails, fixture, ok};
use hirescam::Network;
use hirescam::core::cam::{self, Request, Target};
use hirescam::core::onnx;
use hirescam::core::onnx::messages::{
    ModelProto, StringStringEntryProto, ValueInfoProto, tensor_proto::DataLocation, tensor_shape_proto::dimension,
    type_proto,
};
use hirescam::core::{Model, analysis};
use hirescam::engine::{Array, engine};
use ndarray::ArrayD;
use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// The outputs for `images` images of noise, by name and in order; further inputs as given.
fn run(path: &Path, images: usize, others: &[(&str, Array)]) -> Vec<(String, Array)> {
    let file = Network::open(path).unwrap();
    let input = analysis::image_input(file.model(), None).unwrap();
    let shape: Vec<usize> = extents(input).iter().map(|&n| usize::try_from(n).unwrap_or(images)).collect();
    let noise = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 504.5 - 1.0;
    let count = shape.iter().product();
    let image = Array::from(ArrayD::from_shape_vec(shape, (0..count).map(noise).collect()).unwrap());
    let session = engine("tract", &Default::default()).unwrap().prepare(file.bytes()).unwrap();
    let mut given = vec![(input.name(), &image)];
    given.extend(others.iter().map(|(name, array)| (*name, array)));
    session.run(&given).unwrap()
}

/// The declared extents, -1 where one is open.
fn extents(value: &ValueInfoProto) -> Vec<i64> {
    let Some(type_proto::Value::TensorType(t)) = &value.r#type.as_ref().unwrap().value else { panic!("{value:?}") };
    let dims = t.shape.as_ref().unwrap().dim.iter();
    dims.map(|d| if let Some(dimension::Value::DimValue(n)) = d.value { n } else { -1 }).collect()
}

fn shape(array: &Array) -> Vec<usize> {
    array.shape().to_vec()
}

#[test]
fn own_outputs_come_first_and_keep_their_values_and_the_batch_stays_free() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("explaining.onnx");
    let classes =
        |shape: &[usize], values: Vec<i64>| Array::from(ArrayD::from_shape_vec(shape.to_vec(), values).unwrap());
    for (network, own, map) in
        [("resnet.ts", 1, vec![8, 8]), ("twohead.ts", 2, vec![8, 8]), ("cnn3d.dynamo", 1, vec![4, 4, 4])]
    {
        let path = fixture(&format!("zoo/{network}.onnx"));
        let before = run(Path::new(&path), 3, &[]);
        assert_eq!(before.len(), own);
        for (target, maps) in [
            ("top", vec![]),
            ("top:2", vec![2]),
            ("class:1", vec![]),
            ("class:2,0", vec![2]),
            ("all", vec![usize::MAX]),
            ("contrast:0,1", vec![]),
            ("class-input", vec![]),
            ("class-input:2", vec![2]),
        ] {
            let output = &before[0].0;
            ok(
                folder.path(),
                &["compile", &path, "-o", "explaining.onnx", "--target", target, "--output", output, "--heatmap"],
            );
            let given = match target {
                "class-input" => vec![("class", classes(&[3], vec![0, 1, 2]))],
                "class-input:2" => vec![("class", classes(&[3, 2], vec![0, 1, 2, 1, 1, 0]))],
                _ => vec![],
            };
            let after = run(&out, 3, &given);
            let names: Vec<&str> = after.iter().map(|(name, _)| name.as_str()).collect();
            // The input has the name already.
            let class = if given.is_empty() { "class" } else { "hirescam_class" };
            assert_eq!(names[own..], ["map", class, "score", "b", "heatmap"], "{network} {target}");
            for ((name, old), (new_name, new)) in before.iter().zip(&after) {
                assert_eq!(name, new_name);
                assert_eq!(old.to_f32(), new.to_f32(), "{network} {target}: {name}");
            }
            let maps: Vec<usize> =
                maps.into_iter().map(|m| if m == usize::MAX { shape(&after[0].1)[1] } else { m }).collect();
            let of = |i: usize| shape(&after[own + i].1);
            assert_eq!(of(0), [&[3], maps.as_slice(), &map].concat(), "{network} {target}");
            (1..4).for_each(|i| assert_eq!(of(i), [&[3], maps.as_slice()].concat(), "{network} {target}"));
            assert_eq!(of(4).len(), of(0).len());
            // The file declares what comes out.
            let declared = Network::open(&out).unwrap();
            for (info, (_, array)) in declared.model().graph().output.iter().zip(&after) {
                let found = shape(array).into_iter().enumerate().map(|(i, n)| if i == 0 { -1 } else { n as i64 });
                assert_eq!(extents(info), found.collect::<Vec<_>>(), "{network} {target} {}", info.name());
            }
        }
    }
}

#[test]
fn every_fixture_is_compiled_the_same_twice_and_stripped_byte_for_byte() {
    let mut seen = 0;
    for entry in fs::read_dir(format!("{FIXTURES}/zoo")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "onnx") {
            continue;
        }
        let file = Network::open(&path).unwrap();
        // Dense outputs are asked for one entry.
        let targets = ["top", "element:0,0", "element:0,0,0", "element:0,0,0,0"].map(|t| t.parse::<Target>().unwrap());
        let made = targets.into_iter().find_map(|target| {
            let request = Request { target, heatmap: Some(cam::HeatmapSize::Cells(vec![5, 7])), ..Request::default() };
            let made = cam::attach(file.model(), &request)
                .or_else(|_| cam::attach(file.model(), &Request { heatmap: None, ..request.clone() }));
            made.ok().map(|made| (made, request))
        });
        let (made, request) = made.unwrap_or_else(|| panic!("{}", path.display()));
        let bytes = made.added_to(file.bytes()).unwrap();
        assert!(cam::strip(&bytes).unwrap().unwrap() == *file.bytes(), "{}", path.display());
        let explaining = Model::from_bytes(bytes.clone()).unwrap();
        let request = Request { heatmap: request.heatmap.filter(|_| made.outputs.heatmap.is_some()), ..request };
        let again = cam::attach(&explaining, &request).unwrap();
        assert!(again.added_to(&bytes).unwrap() == bytes, "{}", path.display());
        let wanted = ["version", "method", "layer", "verdict", "target"].map(|key| format!("hirescam.{key}"));
        assert!(wanted.iter().all(|key| explaining.metadata(key).is_some_and(|v| !v.is_empty())));
        assert_eq!(explaining.metadata("hirescam.version"), Some(env!("CARGO_PKG_VERSION")));
        seen += 1;
    }
    assert!(seen > 80);
}

/// The digits network with its two largest tensors in files beside it, one in a folder of its own.
fn with_weights_outside(folder: &Path) {
    let mut proto: ModelProto = onnx::read(fs::read(fixture("digits-cnn.onnx")).unwrap()).unwrap();
    let tensors = &mut proto.graph.as_mut().unwrap().initializer;
    tensors.sort_by_key(|t| std::cmp::Reverse(t.raw_data().len()));
    fs::create_dir_all(folder.join("more")).unwrap();
    for (tensor, location) in tensors.iter_mut().zip(["weights.bin", "more/weights.bin"]) {
        fs::write(folder.join(location), tensor.raw_data.take().unwrap()).unwrap();
        let entry = StringStringEntryProto { key: Some("location".into()), value: Some(location.into()) };
        tensor.external_data = vec![entry];
        tensor.data_location = Some(DataLocation::External as i32);
    }
    fs::write(folder.join("net.onnx"), onnx::write(&proto)).unwrap();
}

#[test]
fn weights_in_files_of_their_own_stay_there_and_are_copied_to_other_folders() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("net")).unwrap();
    with_weights_outside(&at("net"));
    let network = fs::read(at("net/net.onnx")).unwrap();
    let photo = fixture("photos/seven.png");
    let options = ["--preprocess", &fixture("digits-cnn.toml"), "--json"];
    let map = |model: &str| {
        let arguments = [&["explain", model, &photo, "--overwrite", "--out", "maps"], &options[..]].concat();
        ok(folder.path(), &arguments);
        fs::read(at("maps/seven.npy")).unwrap()
    };
    let expected = map("net/net.onnx");

    ok(folder.path(), &["compile", "net/net.onnx", "-o", "net/explaining.onnx"]);
    let explaining = fs::read(at("net/explaining.onnx")).unwrap();
    assert!(explaining.len() < network.len() + 60_000, "weights were put into the file");
    ok(folder.path(), &["compile", "net/explaining.onnx", "-o", "net/again.onnx"]);
    assert!(fs::read(at("net/again.onnx")).unwrap() == explaining);
    assert!(map("net/explaining.onnx") == expected);

    // Elsewhere they go with it, once.
    fs::create_dir(at("there")).unwrap();
    for _ in 0..2 {
        ok(folder.path(), &["compile", "net/net.onnx", "-o", "there/explaining.onnx"]);
    }
    for weights in ["weights.bin", "more/weights.bin"] {
        assert!(fs::read(at("there").join(weights)).unwrap() == fs::read(at("net").join(weights)).unwrap());
    }
    assert!(fs::read(at("there/explaining.onnx")).unwrap() == explaining);
    assert!(map("there/explaining.onnx") == expected);
    fs::create_dir(at("back")).unwrap();
    ok(folder.path(), &["strip", "there/explaining.onnx", "-o", "back/net.onnx"]);
    assert!(fs::read(at("back/net.onnx")).unwrap() == network);
    assert!(map("back/net.onnx") == expected);

    // Nothing is overwritten.
    fs::write(at("there/weights.bin"), "somebody else's").unwrap();
    let (code, error) = fails(folder.path(), &["compile", "net/net.onnx", "-o", "there/other.onnx"]);
    assert!(code == 2 && error.contains("there/weights.bin") && error.contains("another folder"), "{error}");
    assert!(!at("there/other.onnx").exists());
    let (code, error) = fails(folder.path(), &["compile", "net/net.onnx", "-o", "net/weights.bin"]);
    assert!(code == 2 && error.contains("must not be replaced"), "{error}");
    assert!(map("net/net.onnx") == expected);
}

#[test]
fn sizes_of_heatmaps_are_told_from_other_words() {
    let folder = tempfile::tempdir().unwrap();
    let model = fixture("digits-cnn.onnx");
    ok(folder.path(), &["compile", &model, "--heatmap", "9x11", "-o", "x.onnx"]);
    let made = run(&folder.path().join("x.onnx"), 1, &[]);
    assert_eq!(shape(&made.last().unwrap().1), [1, 9, 11]);
    let (code, error) = fails(folder.path(), &["compile", "--heatmap", &model, "-o", "x.onnx"]);
    assert!(code == 2, "{error}");
    let (code, error) = fails(folder.path(), &["compile", &model, "--heatmap", "9", "-o", "x.onnx"]);
    assert!(code == 2 && error.contains("the map has 2 axes"), "{error}");
    let (code, error) = fails(folder.path(), &["compile", &model]);
    assert!(code == 2 && error.contains("--output-file"), "{error}");
}

/// The blocks of a configuration: `input` or `output`, and its fields.
fn blocks(config: &str) -> Vec<(String, HashMap<String, String>)> {
    let mut blocks = Vec::new();
    for line in config.lines() {
        if let Some(kind) = line.strip_suffix(" {") {
            blocks.push((kind.to_owned(), HashMap::new()));
        } else if let Some((key, value)) = line.strip_prefix("  ").and_then(|l| l.split_once(": ")) {
            blocks.last_mut().unwrap().1.insert(key.into(), value.into());
        }
    }
    blocks
}

#[test]
fn triton_gets_a_repository_entry_that_agrees_with_the_file() {
    let folder = tempfile::tempdir().unwrap();
    for (network, name, batch, target, labels) in [
        ("digits-cnn", "digits-cnn", 0, "top", true),
        ("zoo/resnet.ts", "resnet.ts", 8, "top", false),
        ("zoo/cnn3d.ts", "cnn3d.ts", 8, "top:2", false),
        ("zoo/twohead.ts", "twohead.ts", 8, "class-input", false),
    ] {
        let path = fixture(&format!("{network}.onnx"));
        ok(
            folder.path(),
            &["compile", &path, "--triton", "repository", "--target", target, "--heatmap", "-o", "x.onnx"],
        );
        let entry = folder.path().join("repository").join(name);
        let model = entry.join("1/model.onnx");
        assert!(fs::read(&model).unwrap() == fs::read(folder.path().join("x.onnx")).unwrap());
        let config = fs::read_to_string(entry.join("config.pbtxt")).unwrap();
        let head = format!("name: \"{name}\"\nplatform: \"onnxruntime_onnx\"\nmax_batch_size: {batch}\n");
        assert!(config.starts_with(&head), "{config}");
        assert_eq!(config.matches('{').count(), config.matches('}').count());
        assert_eq!(config.contains("\ndynamic_batching { }\n"), batch > 0);

        let graph = Network::open(&model).unwrap().model().clone();
        let declared: Vec<(&str, &ValueInfoProto)> =
            graph.inputs().map(|i| ("input", i)).chain(graph.graph().output.iter().map(|o| ("output", o))).collect();
        let images = if batch == 0 { 1 } else { 3 };
        let classes = Array::from(ArrayD::from_shape_vec(vec![images], vec![0i64; images]).unwrap());
        let given = if target == "class-input" { vec![("class", classes)] } else { vec![] };
        let made: HashMap<String, Array> = run(&model, images, &given).into_iter().collect();
        let blocks = blocks(&config);
        assert_eq!(blocks.len(), declared.len());
        for ((kind, fields), (declared_kind, info)) in blocks.iter().zip(declared) {
            assert_eq!((kind.as_str(), &fields["name"]), (declared_kind, &format!("{:?}", info.name())));
            let Some(type_proto::Value::TensorType(t)) = &info.r#type.as_ref().unwrap().value else { panic!() };
            let known = [(1, "TYPE_FP32"), (7, "TYPE_INT64")];
            assert!(known.contains(&(t.elem_type(), fields["data_type"].as_str())), "{fields:?}");
            let numbers = fields["dims"].trim_matches(['[', ']', ' ']);
            let dims: Vec<i64> = numbers.split(", ").map(|n| n.parse().unwrap()).collect();
            // What the server sends on: without the batch, and by `reshape` without the 1 that stands for no axis.
            let whole = match fields.get("reshape").map(String::as_str) {
                Some(reshape) => {
                    assert_eq!((reshape, dims.as_slice()), ("{ shape: [ ] }", &[1][..]));
                    vec![]
                }
                None => dims,
            };
            let whole = [if batch == 0 { vec![] } else { vec![-1] }, whole].concat();
            assert_eq!(whole, extents(info), "{network} {}", info.name());
            if let Some(array) = made.get(info.name()) {
                let fits = |(&n, &d): (&usize, &i64)| d == -1 || d == n as i64;
                assert!(array.shape().len() == whole.len() && array.shape().iter().zip(&whole).all(fits));
            }
            let labelled = labels && info.name() == "logits";
            assert_eq!(fields.get("label_filename").map(String::as_str), labelled.then_some("\"labels.txt\""));
        }
        assert_eq!(entry.join("labels.txt").exists(), labels);
    }
    let labels = fs::read_to_string(folder.path().join("repository/digits-cnn/labels.txt")).unwrap();
    assert_eq!(labels, fs::read_to_string(fixture("digits-cnn.labels.txt")).unwrap());
}
