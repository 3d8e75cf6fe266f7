//! Explaining models in runtimes that know nothing of hirescam give what our own engine gives.
//!
//! What is not installed is skipped, loudly. `HIRESCAM_RUNTIMES` names those that must be there, with commas between:
//! `onnxruntime,onnxruntime-web,openvino`, or `all`. `--nocapture` prints the table of `docs/runtimes.md`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use common::{FIXTURES, fixture, ok};
use hirescam::Network;
use hirescam::core::onnx::messages::{ValueInfoProto, tensor_shape_proto::dimension, type_proto};
use hirescam::engine::{Array, engine};
use ndarray::{ArrayD, Axis};
use ndarray_npy::NpzReader;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A fixture and the options of `hirescam compile`.
type Case = (&'static str, &'static [&'static str]);

/// Several families, exporters and operator sets; every method; every kind of target; each with a heatmap where its map has
/// the image's axes.
const CASES: &[Case] = &[
    ("efficientnet-lite0", &["--heatmap"]),
    ("efficientnet-lite0", &["--target", "all"]),
    ("digits-cnn", &["--heatmap"]),
    ("digits-cnn", &["--top", "3", "--method", "xgradcam", "--heatmap", "9x61"]),
    ("digits-cnn", &["--method", "saliency", "--heatmap"]),
    ("zoo/resnet.ts", &["--target", "class-input:2", "--heatmap"]),
    ("zoo/resnet.dynamo", &["--target", "seed-input", "--heatmap"]),
    ("zoo/vgg.dynamo", &["--layer", "max_pool2d_1", "--method", "gradcam++", "--heatmap"]),
    ("zoo/flatten_fc.ts", &["--method", "layercam", "--heatmap"]),
    ("zoo/regnet.ts", &["--method", "elementwise-gradcam", "--top", "2", "--heatmap"]),
    ("zoo/mobilenet_v3.ts", &["--method", "gradcam", "--heatmap"]),
    ("zoo/mobilenet_v2.dynamo", &["--method", "cam", "--heatmap"]),
    ("zoo/inception.dynamo", &["--method", "eigencam", "--heatmap"]),
    ("zoo/densenet.ts", &["--method", "eigengradcam", "--heatmap"]),
    ("zoo/alexnet.ts", &["--method", "gradient-x-input", "--heatmap"]),
    ("zoo/keras_flatten", &["--target", "contrast:0,1", "--heatmap"]),
    // Groups with as many channels in as out: see "Shared weights" in docs/runtimes.md.
    ("zoo/conv_mix.ts", &["--layer", "/Relu_output_0", "--heatmap"]),
    ("zoo/cnn1d.dynamo", &["--target", "all", "--heatmap"]),
    ("zoo/cnn3d.ts", &["--heatmap"]),
    ("zoo/resnet3d.dynamo", &["--top", "2", "--heatmap", "7x8x9"]),
    ("zoo/quantised", &["--heatmap"]),
    ("zoo/groupnorm.dynamo", &["--heatmap"]),
    ("zoo/convnext.dynamo", &["--heatmap"]),
    ("zoo/gem.ts", &["--heatmap"]),
    ("zoo/spatial_transformer.ts", &["--heatmap"]),
    ("zoo/attention.ts", &[]),
    ("zoo/vit.dynamo", &[]),
    ("zoo/swin.ts", &["--heatmap"]),
    ("zoo/fcn.ts", &["--target", "sum:2,4:10,3:", "--heatmap"]),
    ("zoo/unet.dynamo", &["--target", "sum:1,:,:", "--heatmap"]),
    ("zoo/fpn.ts", &["--target", "element:40,1", "--heatmap"]),
    ("zoo/yolo.dynamo", &["--target", "element:70,5", "--heatmap"]),
];

/// The largest difference that is let pass, relative to the largest value of the output.
const TOLERANCE: f64 = 1e-4;

#[test]
fn in_python_s_onnxruntime() {
    agrees("onnxruntime", python("onnxruntime"));
}

#[test]
fn in_onnxruntime_web() {
    agrees("onnxruntime-web", node());
}

#[test]
fn in_openvino() {
    agrees("openvino", python("openvino"));
}

fn script(name: &str) -> String {
    format!("{FIXTURES}/../scripts/runtimes/{name}")
}

/// The command that runs jobs in a Python runtime, or how to install it.
fn python(module: &str) -> Result<Command, String> {
    let of_venv = std::env::var_os("VIRTUAL_ENV").map(|v| Path::new(&v).join("bin/python")).filter(|p| p.is_file());
    let python = of_venv.unwrap_or("python3".into());
    let found = Command::new(&python).args(["-c", &format!("import numpy, {module}")]).output();
    if !found.is_ok_and(|o| o.status.success()) {
        return Err(format!("{} -m pip install -r scripts/runtimes/requirements.txt", python.display()));
    }
    let mut command = Command::new(python);
    command.args([&script("run.py"), module]);
    Ok(command)
}

/// The command that runs jobs in Node, or how to install what it needs.
fn node() -> Result<Command, String> {
    let places = [format!("{FIXTURES}/../target/ci-node"), script("")];
    let modules = places.iter().map(|p| Path::new(p).join("node_modules")).find(|m| m.join("onnxruntime-web").is_dir());
    let found = Command::new("node").arg("--version").output().is_ok_and(|o| o.status.success());
    match modules.filter(|_| found) {
        Some(modules) => {
            let mut command = Command::new("node");
            command.env("NODE_PATH", modules).arg(script("run.mjs"));
            Ok(command)
        }
        None => Err("npm install --prefix scripts/runtimes (needs Node.js)".into()),
    }
}

/// Compiles every case, runs it in `runtime` and in our own engine, and compares all outputs.
fn agrees(runtime: &str, command: Result<Command, String>) {
    let mut command = match command {
        Ok(command) => command,
        Err(install) => {
            let wanted = std::env::var("HIRESCAM_RUNTIMES").unwrap_or_default();
            let must = wanted.split(',').any(|w| w == runtime || w == "all");
            assert!(!must, "{runtime} is not installed, and HIRESCAM_RUNTIMES={wanted} wants it: {install}");
            // Past the test harness, which would keep it to itself.
            let said = format!("SKIPPED: {runtime} is not installed. To try explaining models in it: {install}\n");
            std::io::stderr().write_all(said.as_bytes()).unwrap();
            return;
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let jobs: Vec<(PathBuf, Vec<(String, Array)>)> =
        CASES.iter().enumerate().map(|(i, case)| job(folder.path(), i, case)).collect();
    let done = command.args(jobs.iter().map(|(path, _)| path)).output().unwrap();
    assert!(done.status.success(), "{runtime}: {}", String::from_utf8_lossy(&done.stderr));
    let mut wrong = Vec::new();
    for (case, (path, ours)) in CASES.iter().zip(&jobs) {
        let result = fs::read(path.with_extension(format!("{runtime}.json"))).unwrap();
        let result: Value = serde_json::from_slice(&result).unwrap();
        let shown = format!("{} {}", case.0, case.1.join(" "));
        let worst = compare(&result, ours);
        println!(
            "| `{}` | `{}` | {runtime} {} | {} |",
            case.0,
            case.1.join(" "),
            result["version"].as_str().unwrap_or(""),
            match &worst {
                Ok(worst) => format!("{worst:.0e}"),
                Err(why) => why.clone(),
            }
        );
        match worst {
            Ok(worst) if worst <= TOLERANCE => {}
            other => wrong.push(format!("{shown}: {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{runtime}:\n{}", wrong.join("\n"));
}

/// Compiles a case into `folder`: the job, and what our own engine makes of it.
fn job(folder: &Path, number: usize, (network, options): &Case) -> (PathBuf, Vec<(String, Array)>) {
    let model = format!("{number}.onnx");
    ok(folder, &[&["compile", &fixture(&format!("{network}.onnx")), "-o", &model], *options].concat());
    let file = Network::open(folder.join(&model)).unwrap();
    let inputs: Vec<(&str, Array)> = file.model().inputs().map(|i| (i.name(), given(network, i))).collect();
    let inputs_json: Vec<Value> = inputs
        .iter()
        .map(|(name, array)| match array.as_i64() {
            Some(a) => json!({"name": name, "type": "int64", "shape": a.shape(), "data": a.iter().collect::<Vec<_>>()}),
            None => {
                let a = array.to_f32();
                json!({"name": name, "type": "float32", "shape": a.shape(), "data": a.iter().collect::<Vec<_>>()})
            }
        })
        .collect();
    let path = folder.join(format!("{number}.json"));
    fs::write(&path, json!({"model": model, "inputs": inputs_json}).to_string()).unwrap();
    let session = engine("tract", &Default::default()).unwrap().prepare(file.bytes()).unwrap();
    let inputs: Vec<(&str, &Array)> = inputs.iter().map(|(name, array)| (*name, array)).collect();
    (path, session.run(&inputs).unwrap())
}

/// What is fed to an input: the zoo's own images, which lie near no corner of the network; classes and weights for the
/// inputs that were added; else a pattern.
fn given(network: &str, input: &ValueInfoProto) -> Array {
    let Some(type_proto::Value::TensorType(t)) = &input.r#type.as_ref().unwrap().value else { panic!("{input:?}") };
    let extent =
        |d: &Option<dimension::Value>| if let Some(dimension::Value::DimValue(n)) = d { *n as usize } else { 2 };
    let shape: Vec<usize> = t.shape.as_ref().unwrap().dim.iter().map(|d| extent(&d.value)).collect();
    let count = shape.iter().product();
    if input.name() == "class" {
        return Array::from(ArrayD::from_shape_vec(shape, (0..count as i64).map(|i| i % 3).collect()).unwrap());
    }
    let npz = network.strip_prefix("zoo/").map(|n| n.split('.').next().unwrap());
    if let Some(npz) = npz.filter(|_| input.name() != "seed") {
        let images = NpzReader::new(File::open(fixture(&format!("zoo/{npz}.npz"))).unwrap()).unwrap().by_name("x");
        let images: ArrayD<f32> = images.unwrap();
        return Array::from(images.select(Axis(0), &(0..shape[0]).collect::<Vec<_>>()));
    }
    let pattern = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 504.5 - 1.0;
    Array::from(ArrayD::from_shape_vec(shape, (0..count).map(pattern).collect()).unwrap())
}

/// The largest difference of any output, relative to the output's largest value; integers must be the same.
fn compare(result: &Value, ours: &[(String, Array)]) -> Result<f64, String> {
    if let Some(error) = result["error"].as_str() {
        return Err(format!("refused: {}", error.lines().collect::<Vec<_>>().join(" ")));
    }
    let theirs = result["outputs"].as_array().ok_or("no outputs")?;
    let names: Vec<&str> = theirs.iter().filter_map(|o| o["name"].as_str()).collect();
    if names != ours.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>() {
        return Err(format!("outputs {names:?}"));
    }
    let mut worst = 0.0f64;
    for (theirs, (name, ours)) in theirs.iter().zip(ours) {
        if theirs["shape"] != json!(ours.shape()) {
            return Err(format!("{name}: the shape {}, not {:?}", theirs["shape"], ours.shape()));
        }
        // What is no number is written as null, or not at all.
        let numbers: Vec<f64> = theirs["data"].as_array().ok_or("no data")?.iter().filter_map(Value::as_f64).collect();
        let ours_f64 = ours.to_f64();
        if numbers.len() != ours_f64.len() {
            return Err(format!("{name}: NaN"));
        }
        let difference = numbers.iter().zip(&ours_f64).fold(0.0f64, |m, (a, b)| m.max((a - b).abs()));
        if ours.as_i64().is_some() && difference > 0.0 {
            return Err(format!("{name}: other integers"));
        }
        let largest = ours_f64.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        worst = worst.max(if difference == 0.0 { 0.0 } else { difference / largest });
    }
    Ok(worst)
}
