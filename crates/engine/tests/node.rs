//! ONNX's own tests of single operators (`fixtures/node`) on every engine, where the f64 reference passes them.
//!
//! That an engine lacks an operator is no fault: the test is counted as ignored. A wrong result is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use half::f16;
use hirescam_core::tensor::DataType;
use hirescam_core::{Tensor, onnx};
use hirescam_engine::{Array, Engine, Kind};
use hirescam_testing::each::{Completion, Failed, Tests};
use hirescam_testing::engines::{named, names};
use hirescam_testing::node_cases::{self, NodeCase, agree, left_out, tolerance, verdict};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Wrong results of engines: (engine, case, why).
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

fn refused(why: impl std::fmt::Display) -> Result<Completion, String> {
    Ok(Completion::ignored_with(format!("refused: {why}")))
}

/// An error says what is wrong.
fn run(engine: &dyn Engine, case: &NodeCase) -> Result<Completion, String> {
    let given: Option<Vec<(&str, Array)>> =
        case.model.inputs().map(|i| Some((i.name(), array(&case.inputs[i.name()])?))).collect();
    let Some(given) = given else { return refused("an element type that arrays do not have") };
    let given: Vec<(&str, &Array)> = given.iter().map(|(n, a)| (*n, a)).collect();
    let made = match engine.prepare(&onnx::write(case.model.proto())).and_then(|session| session.run(&given)) {
        Ok(made) => made,
        Err(error) => return refused(error),
    };
    for ((name, expected), (_, got)) in case.outputs.iter().zip(&made) {
        if kind(expected.dtype).is_some_and(|k| k != got.kind()) {
            return Err(format!("{name} is {} and not {:?}", got.kind(), expected.dtype));
        }
        // What cancels to nearly nothing is rounded like what it comes from.
        let largest = expected.data.iter().filter(|v| v.is_finite()).fold(1.0f64, |m, v| m.max(v.abs()));
        let relative = RELATIVE.max(tolerance(case, expected.dtype));
        let (a, b) = (expected.data.mapv(|v| v / largest), got.to_f64().mapv(|v| v / largest));
        if let Err(what) = agree(&Tensor { dtype: expected.dtype, data: a }, &b, relative, 1e-6) {
            return Err(format!("{name}, in units of {largest}: {what}"));
        }
    }
    Ok(Completion::Completed)
}

fn passes_or_refuses(
    (engine, case): (&'static str, &'static NodeCase),
    right: &AtomicUsize,
) -> Result<Completion, Failed> {
    if verdict(case).is_err() {
        return Ok(Completion::ignored_with("the reference does not pass it"));
    }
    let known = WRONG.iter().find(|(e, name, _)| *e == engine && *name == case.name);
    match (run(named(engine).as_ref(), case), known) {
        (Err(_), Some((_, _, why))) => Ok(Completion::ignored_with(why)),
        (Err(what), None) => Err(what.into()),
        (Ok(_), Some(row)) => Err(format!("{row:?} is no longer wrong").into()),
        (Ok(done), None) => {
            right.fetch_add(usize::from(matches!(done, Completion::Completed)), Relaxed);
            Ok(done)
        }
    }
}

fn main() -> ExitCode {
    let keep = |case: &NodeCase| case.model.card(case.node()).is_some() && left_out(&case.name).is_none();
    let (mut tests, mut counts) = (Tests::default(), Vec::new());
    for engine in names() {
        let right = Arc::new(AtomicUsize::new(0));
        counts.push((engine, right.clone()));
        let cases = node_cases::named(keep).map(|(name, case)| (name, (engine, case)));
        tests = tests.each_or_ignored(engine, node_cases::FLOOR, cases, move |case| passes_or_refuses(case, &right));
    }
    let done = tests.run();
    // What an engine refuses is no fault, but it must not refuse everything.
    let whole = done.num_filtered_out == 0 && done.num_passed > 0;
    let poor = counts.iter().find(|(_, right)| whole && right.load(Relaxed) * 2 < node_cases::FLOOR);
    if let Some((engine, right)) = poor {
        eprintln!("{engine} passes only {} cases", right.load(Relaxed));
        return ExitCode::FAILURE;
    }
    done.exit_code()
}
