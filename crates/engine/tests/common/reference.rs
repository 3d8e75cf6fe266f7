//! An engine's outputs held against the f64 reference.

use hirescam_core::{Model, Tensor, onnx, reference};
use hirescam_engine::{Array, Engine};
use std::collections::HashMap;

type Values = HashMap<String, Tensor>;

/// The largest difference between two tensors, relative to the largest value of the first (or 1).
fn difference(expected: &Tensor, got: &Array) -> f64 {
    let got = got.to_f64();
    if got.shape() != expected.shape() {
        return f64::INFINITY;
    }
    let scale = expected.data.iter().fold(1.0f64, |m, v| m.max(v.abs()));
    let apart = |(a, b): (&f64, &f64)| if a == b { 0.0 } else { (a - b).abs() };
    expected.data.iter().zip(&got).map(apart).fold(0.0f64, |m, d| if d.is_nan() { f64::INFINITY } else { m.max(d) })
        / scale
}

/// Runs `model` on an engine: what it gives for each output, beside what the reference gives.
pub fn compare(engine: &dyn Engine, model: &Model, values: &Values) -> Result<(), String> {
    let names: Vec<&str> = model.graph().output.iter().map(|o| o.name()).collect();
    let expected = reference::evaluate(model, values.clone(), &names).map_err(|e| format!("the reference: {e}"))?;
    let session = engine.prepare(&onnx::write(model.proto())).map_err(|e| e.to_string())?;
    let arrays: Vec<(&str, Array)> = model
        .inputs()
        .map(|i| {
            (
                i.name(),
                values
                    .get(i.name())
                    .map_or(ndarray::arr1(&[0.0]).into_dyn(), |t| t.data.clone())
                    .mapv(|v| v as f32)
                    .into(),
            )
        })
        .collect();
    let given: Vec<(&str, &Array)> = arrays.iter().map(|(n, a)| (*n, a)).collect();
    let made = session.run(&given).map_err(|e| e.to_string())?;
    for ((name, got), expected) in made.iter().zip(&expected) {
        let apart = difference(expected, got);
        if apart > 2e-5 {
            return Err(format!(
                "{name} is {apart:.1e} from the reference: {:?} and not {:?}",
                got.to_f64(),
                expected.data
            ));
        }
    }
    Ok(())
}
