//! The miniature networks of `fixtures/zoo` on every engine, against maps that PyTorch's autograd gave in f64.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use hirescam_core::cam::{self, METHODS, Request, Target};
use hirescam_core::{Model, onnx};
use hirescam_engine::{Array, Engine};
use ndarray::{ArrayD, OwnedRepr};
use ndarray_npy::NpzReader;
use serde_json::Value;
use std::fs::File;

const ZOO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/zoo");

struct Golden(NpzReader<File>);

impl Golden {
    fn open(name: &str) -> Self {
        Golden(NpzReader::new(File::open(format!("{ZOO}/{name}")).unwrap()).unwrap())
    }
    fn f32(&mut self, name: &str) -> ArrayD<f32> {
        self.0.by_name::<OwnedRepr<f32>, _>(name).unwrap()
    }
    fn f64(&mut self, name: &str) -> ArrayD<f64> {
        self.0.by_name::<OwnedRepr<f64>, _>(name).unwrap()
    }
    fn i64(&mut self, name: &str) -> ArrayD<i64> {
        self.0.by_name::<OwnedRepr<i64>, _>(name).unwrap()
    }
}

fn largest(values: &ArrayD<f64>) -> f64 {
    values.iter().fold(0.0, |m, v| m.max(v.abs()))
}

/// One layer, one choice of class, one method, on one engine.
fn check(
    engine: &dyn Engine,
    model: &Model,
    file: &Value,
    layer: &Value,
    choice: &str,
    fixed: usize,
    golden: &mut Golden,
) -> Result<(), String> {
    let key = format!("{}_{choice}", layer["key"].as_str().unwrap().replace('@', "_at_"));
    let image: Array = golden.f32("x").into();
    for method in METHODS.iter().filter(|m| ["hirescam", "gradcam"].contains(&m.name)) {
        let request = Request {
            layer: Some(layer["tensor"].as_str().unwrap().to_owned()),
            target: if choice == "top1" { Target::Top(1) } else { Target::Classes(vec![fixed]) },
            method,
            output: Some(layer["output"].as_str().unwrap().to_owned()),
            ..Request::default()
        };
        let explaining = cam::attach(model, &request).map_err(|e| e.to_string())?;
        if method.name == "hirescam" {
            let c = &explaining.certificate;
            let claims = [
                ("verdict", layer["verdict"].clone(), c.verdict.to_string().into()),
                ("bypass", layer["bypass"].clone(), c.bypass.is_some().into()),
                ("uniform", layer["uniform"].clone(), c.uniform.into()),
                ("logits", layer["logits"].clone(), explaining.head.score.logits.clone().into()),
                ("channel axis", layer["channel_axis"].clone(), explaining.head.channels.into()),
            ];
            for (what, expected, got) in claims {
                let got: Value = got;
                if got != expected {
                    return Err(format!("{what} is {got} and not {expected}"));
                }
            }
        }
        let session = engine.prepare(&onnx::write(&explaining.model)).map_err(|e| e.to_string())?;
        let made = session.run(&[(file["input"].as_str().unwrap(), &image)]).map_err(|e| e.to_string())?;
        let get = |name: &str| made.iter().find(|(n, _)| n == name).unwrap().1.to_f64();
        let expected = golden.f64(&format!("{key}_{}", method.name));
        let map = get(&explaining.outputs.map);
        if map.shape() != expected.shape() {
            return Err(format!("the map has the shape {:?} and not {:?}", map.shape(), expected.shape()));
        }
        let scale =
            if layer["vanishing"] == true { layer["terms"][choice].as_f64().unwrap() } else { largest(&expected) };
        let apart = largest(&(&map - &expected)) / scale;
        if apart.is_nan() || apart > 1e-4 {
            return Err(format!("{} is {apart:.1e} of its largest cell from PyTorch's", method.name));
        }
        let (class, score) = (get(&explaining.outputs.class), get(&explaining.outputs.score));
        if class.mapv(|c| c as i64) != golden.i64(&format!("{key}_class")) {
            return Err(format!("the class is {class}"));
        }
        let expected_score = golden.f64(&format!("{key}_score"));
        if largest(&(&score - &expected_score)) > 1e-4 * largest(&expected_score).max(1.0) {
            return Err(format!("the score is {score} and not {expected_score}"));
        }
        if method.name == "hirescam" && layer["verdict"] != "gradient-only" {
            let (b, expected_b) = (get(&explaining.outputs.b), golden.f64(&format!("{key}_bias")));
            if largest(&(&b - &expected_b)) > 1e-3 * largest(&expected_b).max(1.0) {
                return Err(format!("b is {b} and not {expected_b}"));
            }
        }
    }
    Ok(())
}

#[test]
fn the_zoo_agrees_with_pytorch_on_every_engine() {
    let golden: Value = serde_json::from_slice(&std::fs::read(format!("{ZOO}/golden.json")).unwrap()).unwrap();
    let fixed = golden["fixed_class"].as_u64().unwrap() as usize;
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for engine in common::engines(1) {
        for file in golden["files"].as_array().unwrap() {
            let name = file["file"].as_str().unwrap();
            let bytes = std::fs::read(format!("{ZOO}/{name}")).unwrap();
            let model = Model::new(onnx::read(bytes).unwrap()).unwrap();
            let mut npz = Golden::open(file["golden"].as_str().unwrap());
            for layer in file["layers"].as_array().unwrap() {
                for choice in layer["classes"].as_array().unwrap() {
                    let choice = choice.as_str().unwrap();
                    checked += 1;
                    if let Err(why) = check(engine.as_ref(), &model, file, layer, choice, fixed, &mut npz) {
                        wrong.push(format!("{} {name} {} {choice}: {why}", engine.name(), layer["key"]));
                    }
                }
            }
        }
    }
    assert!(checked > 100);
    assert!(wrong.is_empty(), "{} of {checked}:\n{}", wrong.len(), wrong.join("\n"));
}
