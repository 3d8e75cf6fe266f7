//! ONNX's own tests of single operators (`fixtures/node`) on every engine, where the f64 reference passes them.
//!
//! That an engine lacks an operator is no fault: it is counted. A wrong result is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use half::f16;
use hirescam_core::tensor::DataType;
use hirescam_core::{Tensor, onnx};
use hirescam_engine::{Array, Engine, Kind};
use hirescam_testing::node_cases;
use hirescam_testing::node_cases::{NodeCase, agree, tolerance};
use std::collections::{BTreeMap, HashSet};

/// Wrong results of engines: (engine, case or its start before a `*`, why).
const WRONG: &[(&str, &str, &str)] = &[(
    "onnxruntime",
    "maxunpool_export_with_output_shape",
    "it counts the indices in the shape asked for, ONNX in the one without it",
)];

/// How far an engine may be off, relative to each value: what ONNX itself allows.
const RELATIVE: f64 = 1e-3;

fn array(t: &Tensor) -> Option<Array> {
    Some(match t.dtype {
        DataType::Float => t.data.mapv(|v| v as f32).into(),
        DataType::Double => t.data.clone().into(),
        DataType::Float16 => t.data.mapv(f16::from_f64).into(),
        DataType::Bool => t.data.mapv(|v| v != 0.0).into(),
        DataType::Int8 => t.data.mapv(|v| v as i8).into(),
        DataType::Int16 => t.data.mapv(|v| v as i16).into(),
        DataType::Int32 => t.data.mapv(|v| v as i32).into(),
        DataType::Int64 => t.data.mapv(|v| v as i64).into(),
        DataType::Uint8 => t.data.mapv(|v| v as u8).into(),
        DataType::Uint16 => t.data.mapv(|v| v as u16).into(),
        DataType::Uint32 => t.data.mapv(|v| v as u32).into(),
        DataType::Uint64 => t.data.mapv(|v| v as u64).into(),
        _ => return None,
    })
}

fn kind(dtype: DataType) -> Option<Kind> {
    array(&Tensor { dtype, data: ndarray::ArrayD::zeros(vec![0]) }).map(|a| a.kind())
}

enum Outcome {
    Right,
    /// An error: what it says.
    Refused(String),
    Wrong(String),
}

fn run(engine: &dyn Engine, case: &NodeCase) -> Outcome {
    let given: Option<Vec<(&str, Array)>> =
        case.model.inputs().map(|i| Some((i.name(), array(&case.inputs[i.name()])?))).collect();
    let Some(given) = given else { return Outcome::Refused("an element type that arrays do not have".into()) };
    let given: Vec<(&str, &Array)> = given.iter().map(|(n, a)| (*n, a)).collect();
    let made = match engine.prepare(&onnx::write(case.model.proto())).and_then(|session| session.run(&given)) {
        Ok(made) => made,
        Err(error) => return Outcome::Refused(error.to_string()),
    };
    for ((name, expected), (_, got)) in case.outputs.iter().zip(&made) {
        if kind(expected.dtype).is_some_and(|k| k != got.kind()) {
            return Outcome::Wrong(format!("{name} is {} and not {:?}", got.kind(), expected.dtype));
        }
        // What cancels to nearly nothing is rounded like what it comes from.
        let largest = expected.data.iter().filter(|v| v.is_finite()).fold(1.0f64, |m, v| m.max(v.abs()));
        let relative = RELATIVE.max(tolerance(case, expected.dtype));
        let (a, b) = (expected.data.mapv(|v| v / largest), got.to_f64().mapv(|v| v / largest));
        if let Err(what) = agree(&Tensor { dtype: expected.dtype, data: a }, &b, relative, 1e-6) {
            return Outcome::Wrong(format!("{name}, in units of {largest}: {what}"));
        }
    }
    Outcome::Right
}

#[test]
fn engines_pass_onnx_s_own_tests_or_refuse_them() {
    let cases: Vec<NodeCase> = node_cases::all()
        .into_iter()
        .filter(|c| {
            c.model.card(c.node()).is_some()
                && node_cases::left_out(&c.name).is_none()
                && node_cases::verdict(c).is_ok()
        })
        .collect();
    let mut wrong = Vec::new();
    for engine in hirescam_testing::engines::engines(1) {
        let (mut right, mut refused, mut stale) = (0, BTreeMap::<&str, Vec<String>>::new(), HashSet::new());
        for case in &cases {
            let fits = |pattern: &str| match pattern.strip_suffix('*') {
                Some(start) => case.name.starts_with(start),
                None => case.name == pattern,
            };
            let known = WRONG.iter().find(|(e, pattern, _)| *e == engine.name() && fits(pattern));
            match (run(engine.as_ref(), case), known) {
                (Outcome::Wrong(_), Some(_)) => {}
                (Outcome::Wrong(what), None) => wrong.push(format!("{} {}: {what}", engine.name(), case.name)),
                (_, Some(row)) => drop(stale.insert(row)),
                (Outcome::Right, None) => right += 1,
                (Outcome::Refused(why), None) => {
                    refused.entry(case.node().op_type()).or_default().push(format!("{}: {why}", case.name));
                }
            }
        }
        println!("{}: {right} of {} right; refused:", engine.name(), cases.len());
        for (operator, cases) in &refused {
            println!("  {operator} {}, as {}", cases.len(), cases[0]);
        }
        assert!(right > cases.len() / 2, "{} passes only {right} of {}", engine.name(), cases.len());
        wrong.extend(stale.iter().map(|row| format!("{row:?} is no longer wrong")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
