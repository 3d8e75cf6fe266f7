//! Engines to test with, and their outputs held against the f64 reference.

use crate::Random;
use hirescam_core::{Model, Tensor, onnx, reference};
use hirescam_engine::{Array, Engine, Error, Options, Session, engine};
use std::collections::HashMap;

/// Every engine of this build that runs on this machine, each with `threads`.
pub fn engines(threads: usize) -> Vec<Box<dyn Engine>> {
    let options = Options { threads, ..Options::default() };
    let made = hirescam_engine::ENGINES.iter().filter_map(|entry| match engine(entry.name, &options) {
        Ok(engine) => Some(engine),
        Err(Error::NotFound(why)) => {
            skipped(entry.name, &why);
            None
        }
        Err(error) => panic!("{}: {error}", entry.name),
    });
    made.collect()
}

/// Their names.
pub fn names() -> Vec<&'static str> {
    engines(1).iter().map(|engine| engine.name()).collect()
}

/// One of them, with one thread.
pub fn named(name: &str) -> Box<dyn Engine> {
    engine(name, &Options { threads: 1, ..Options::default() }).unwrap()
}

/// Says that tests are skipped for `engine`, for a reason. `HIRESCAM_RUNTIMES` names what must be there: `onnxruntime`, with
/// commas between, or `all`.
pub fn skipped(engine: &str, why: &str) {
    let wanted = std::env::var("HIRESCAM_RUNTIMES").unwrap_or_default();
    let must = wanted.split(',').any(|name| name == engine || name == "all");
    assert!(!must, "`{engine}` is not there, and HIRESCAM_RUNTIMES={wanted} wants it: {why}");
    eprintln!("SKIPPED for `{engine}`: {why}");
}

/// An array of noise in −1..1 that is the same in every run.
pub fn noise(shape: &[usize], seed: u64) -> Array {
    Random::new(seed).tensor(shape, -1.0, 1.0).data.mapv(|v| v as f32).into()
}

/// The outputs without their names.
pub fn run(session: &dyn Session, inputs: &[(&str, &Array)]) -> Result<Vec<Array>, Error> {
    Ok(session.run(inputs)?.into_iter().map(|(_, array)| array).collect())
}

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
