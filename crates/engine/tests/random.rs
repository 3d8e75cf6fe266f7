//! Random networks on every engine against the reference: it is right about what a network computes, wherever a card
//! vouches for a node.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::graph::standard;
use hirescam_core::shape::declared;
use hirescam_core::tensor::DataType;
use hirescam_core::{Model, Tensor, onnx, reference};
use hirescam_engine::Array;
use hirescam_testing::engines::engines;
use hirescam_testing::{Random, by_chance, max_abs};
use std::collections::{HashMap, HashSet};
use std::path::Path;

const NETWORKS: u64 = 300;

/// What an engine computes wrong, by the number of a network: a row goes when it is right again.
const WRONG: &[(&str, u64, &str)] = &[
    (
        "onnxruntime",
        121,
        "MeanVarianceNormalization of a single value: the root of a variance that rounding took below 0",
    ),
    ("tract", 92, "Softplus is infinite above 88"),
];

/// Engines have their own opinion of batch normalisation in training mode, and add up in float32.
fn comparable(model: &Model) -> bool {
    let training = |a: &onnx::messages::AttributeProto| a.name() == "training_mode" && a.i() != 0;
    let trains = |n: &onnx::messages::NodeProto| {
        standard(n) == "BatchNormalization" && (n.output.len() > 1 || n.attribute.iter().any(training))
    };
    model.graph().node.iter().all(|n| model.card(n).is_some() && !trains(n))
}

#[test]
fn the_reference_computes_what_engines_compute() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("random");
    let engines = engines(1);
    let mut compared: HashMap<&str, u64> = engines.iter().map(|engine| (engine.name(), 0)).collect();
    let (mut wrong, mut met) = (Vec::new(), HashSet::new());
    for seed in 0..NETWORKS {
        let model = Model::new(by_chance::truth(&by_chance::network(seed))).unwrap();
        if !comparable(&model) {
            continue;
        }
        let input = model.inputs().next().unwrap();
        let shape: Vec<usize> = declared(input).iter().map(|n| n.unwrap_or(2)).collect();
        let double = model.graph().initializer.iter().any(|t| t.data_type() == DataType::Double as i32);
        let dtype = if double { DataType::Double } else { DataType::Float };
        let image = Tensor { dtype, ..Random::new(seed).tensor(&shape, -2.0, 2.0) };
        let outputs: Vec<&str> = model.graph().output.iter().map(|o| o.name()).collect();
        let known = HashMap::from([("x".to_owned(), image.clone())]);
        let Ok(expected) = reference::evaluate(&model, known, &outputs) else { continue };
        if expected.iter().any(|t| t.data.iter().any(|v| v.is_nan() || v.abs() > 1e4)) {
            continue;
        }
        let array = if double { Array::from(image.data.clone()) } else { image.data.mapv(|v| v as f32).into() };
        for engine in &engines {
            // What an engine does not run at all is no matter of the reference.
            let Ok(session) = engine.prepare(&onnx::write(model.proto())) else { continue };
            let Ok(made) = session.run(&[("x", &array)]) else { continue };
            *compared.get_mut(engine.name()).unwrap() += 1;
            for ((name, got), expected) in made.iter().zip(&expected) {
                let size = max_abs(&expected.data).max(1.0);
                let got = got.to_f64();
                assert_eq!(got.shape(), expected.shape(), "{} {seed} {name}", engine.name());
                // One that is no number is not as near as all that.
                let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-3 * size;
                let Some(far) = expected.data.iter().zip(&got).find(|pair| !near(*pair)) else { continue };
                if let Some(known) = WRONG.iter().find(|(e, number, _)| (*e, *number) == (engine.name(), seed)) {
                    met.insert(known);
                } else {
                    std::fs::create_dir_all(&folder).unwrap();
                    std::fs::write(folder.join(format!("{seed}.onnx")), onnx::write(model.proto())).unwrap();
                    wrong.push(format!("{} {seed} {name}: {far:?} of {size}", engine.name()));
                }
            }
        }
    }
    println!("{compared:?} networks compared");
    // None is left out by refusing all.
    assert!(!compared.is_empty() && compared.values().all(|&n| n * 4 > NETWORKS), "{compared:?}");
    for row in WRONG {
        assert!(met.contains(row) || !compared.contains_key(row.0), "{row:?} is no longer wrong");
    }
    assert!(wrong.is_empty(), "networks in {}:\n{}", folder.display(), wrong.join("\n"));
}
