//! Times calls of one network for `compare.py`, inside the process that makes them.
//!
//! `worker MODEL INPUT TENSOR ENGINE THREADS DEVICE`: the network's file, the name of its input, a float32 `.npy` file; the
//! device is cpu or cuda. Each line on stdin is a call, and each is answered with one JSON line on stdout:
//!
//! - `inference [N]`: the network in the engine as it is, from tensor to scores; N runs side by side.
//! - `explain METHOD TARGET [LAYER]`: the explainer, from tensor to raw maps.
//! - `save PATH`: writes the maps of the last call, `[N, M, …]`, as a `.npy` file.
//!
//! `prepared` is how long the call's file took to read and make ready, 0 from the second time on; `took` is the call
//! itself; both in nanoseconds. `peak` is the most memory that the process ever had, in kB; 0 where the system does not
//! tell.

use hirescam::engine::{Array, Session};
use hirescam::spec::EngineChoice;
use hirescam::{Explained, Explainer, Network, Spec, Watch};
use ndarray::{ArrayD, Axis, stack};
use ndarray_npy::{read_npy, write_npy};
use std::collections::HashMap;
use std::error::Error;
use std::io::{Write, stdin, stdout};
use std::time::Instant;

/// What a call is made with, once it is ready.
enum Call {
    Inference(Box<dyn Session>, usize),
    Explain(Box<Explainer>),
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, input, tensor, engine, threads, device] = arguments.as_slice() else {
        return Err("worker MODEL INPUT TENSOR ENGINE THREADS DEVICE".into());
    };
    let device = device.parse()?;
    let engine = EngineChoice { name: engine.clone(), threads: threads.parse()?, device, library: None };
    let options = Spec { engine, ..Spec::default() };
    let tensor: ArrayD<f32> = read_npy(tensor)?;
    let array = Array::from(tensor);
    let mut ready: HashMap<String, Call> = HashMap::new();
    let mut maps = ArrayD::zeros(vec![0]);
    for line in stdin().lines() {
        let line = line?;
        if let Some(path) = line.strip_prefix("save ") {
            write_npy(path, &maps)?;
            answer(0, 0)?;
            continue;
        }
        let start = Instant::now();
        if !ready.contains_key(&line) {
            ready.insert(line.clone(), prepare(&line, model, &options)?);
        }
        let prepared = start.elapsed().as_nanos();
        let start = Instant::now();
        let took = match ready.get(&line).ok_or("not ready")? {
            Call::Inference(session, runs) => {
                let run = || session.run(&[(input, &array)]);
                let scores = std::thread::scope(|scope| {
                    let others: Vec<_> = (1..*runs).map(|_| scope.spawn(run)).collect();
                    let mut all = vec![run()];
                    all.extend(others.into_iter().filter_map(|other| other.join().ok()));
                    all
                });
                let took = start.elapsed().as_nanos();
                scores.into_iter().collect::<Result<Vec<_>, _>>()?;
                took
            }
            Call::Explain(explainer) => {
                let samples = explainer.samples(input, array.clone())?;
                let made = explainer.explain(&samples, &mut Watch::default());
                let made = made.into_iter().collect::<Result<Vec<_>, _>>()?;
                let took = start.elapsed().as_nanos();
                maps = stacked(&made)?;
                took
            }
        };
        answer(prepared, took)?;
    }
    Ok(())
}

fn prepare(call: &str, model: &str, options: &Spec) -> Result<Call, Box<dyn Error>> {
    let words: Vec<&str> = call.split(' ').collect();
    let inference = |runs| -> Result<Call, Box<dyn Error>> {
        Ok(Call::Inference(options.engine.start()?.prepare(&std::fs::read(model)?)?, runs))
    };
    let (method, target, layers) = match words.as_slice() {
        ["inference"] => return inference(1),
        ["inference", runs] => return inference(runs.parse()?),
        ["explain", method, target] => (method, target, Vec::new()),
        ["explain", method, target, layer] => (method, target, vec![(*layer).to_owned()]),
        _ => return Err(format!("what is {call:?}?").into()),
    };
    let options = Spec { method: (*method).to_owned(), target: Some((*target).to_owned()), layers, ..options.clone() };
    Ok(Call::Explain(Box::new(Network::open(model)?.into_explainer(&options)?)))
}

fn answer(prepared: u128, took: u128) -> Result<(), Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()).unwrap_or("0");
    println!("{{\"prepared\": {prepared}, \"took\": {took}, \"peak\": {peak}}}");
    Ok(stdout().flush()?)
}

/// All maps as one array.
fn stacked(made: &[Explained]) -> Result<ArrayD<f32>, Box<dyn Error>> {
    let of_image = |explained: &Explained| {
        let maps: Vec<_> = explained.maps().iter().map(|e| e.map.view()).collect();
        stack(Axis(0), &maps)
    };
    let images = made.iter().map(of_image).collect::<Result<Vec<_>, _>>()?;
    Ok(stack(Axis(0), &images.iter().map(|i| i.view()).collect::<Vec<_>>())?)
}
