//! Explaining models in an engine, and those who wait for a run.

use super::tensor::Tensor;
use crate::view::cache::Cache;
use crate::view::failure::Failure;
use crate::view::models::Held;
use hirescam::Spec;
use hirescam::core::onnx;
use hirescam::core::onnx::messages::ValueInfoProto;
use hirescam::core::shape::Dim;
use hirescam::engine::{Array, Session};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// No more samples are run together.
const MOST_TOGETHER: usize = 32;

/// The explaining models that are served, by network.
pub(crate) struct Served(Cache<Explaining>);

impl Served {
    pub(crate) fn new(most_bytes: u64) -> Self {
        Served(Cache::new(most_bytes))
    }

    /// Gives up that of a network.
    pub(crate) fn forget(&self, model: &str) {
        self.0.forget(|key| key.starts_with(model));
    }

    /// That of a network, where it is made already.
    pub(super) fn peek(&self, model: &Held) -> Option<Arc<Explaining>> {
        self.0.peek(&model.key())
    }

    /// The explaining model of a network.
    ///
    /// # Errors
    /// Those of [`hirescam::Network::explaining_model`], and of the engine.
    pub(super) fn get(&self, model: &Held, spec: &Spec) -> Result<Arc<Explaining>, Failure> {
        // Twice the weights: the file, and an engine's own.
        self.0.get(&model.key(), || Ok((Explaining::new(model, spec)?, 2 * model.bytes())))
    }
}

/// An explaining model in an engine.
pub(super) struct Explaining {
    session: Box<dyn Session>,
    pub(super) inputs: Vec<Tensor>,
    pub(super) outputs: Vec<Tensor>,
    /// The names of the outputs that make the explanation.
    pub(super) added: Vec<String>,
    /// Whether any number of samples can be run at once.
    free_batch: bool,
    /// Those who wait.
    waiting: Mutex<VecDeque<Waiting>>,
}

/// A request that waits for its run.
struct Waiting {
    inputs: Vec<(String, Array)>,
    reply: oneshot::Sender<Result<Outputs, Failure>>,
}

/// What comes of a request: each output by its name.
pub(super) type Outputs = Vec<(String, Array)>;

impl Waiting {
    /// How many samples it brings, where all its inputs bring as many.
    fn samples(&self) -> Option<usize> {
        let mut samples = self.inputs.iter().map(|(_, array)| array.shape().first().copied());
        let first = samples.next()??;
        samples.all(|n| n == Some(first)).then_some(first)
    }

    /// Whether two can be run together: they bring the same inputs, for samples of the same shape.
    fn goes_with(&self, other: &Waiting) -> bool {
        let alike = |((a, x), (b, y)): (&(String, Array), &(String, Array))| {
            a == b
                && x.kind() == y.kind()
                && x.shape().len() == y.shape().len()
                && x.shape().get(1..) == y.shape().get(1..)
        };
        self.inputs.len() == other.inputs.len() && self.inputs.iter().zip(&other.inputs).all(alike)
    }
}

impl Explaining {
    fn new(model: &Held, spec: &Spec) -> Result<Self, Failure> {
        let made = model.network.explaining_model(spec, None)?;
        let explaining = &made.first;
        let graph = explaining.model.graph.as_ref().ok_or_else(Failure::broken)?;
        let stored = |info: &&ValueInfoProto| !graph.initializer.iter().any(|tensor| tensor.name() == info.name());
        let mut inputs: Vec<Tensor> = graph.input.iter().filter(stored).map(Tensor::of).collect();
        for input in inputs.iter_mut().filter(|input| input.name == explaining.image) {
            let extent = |dim: &Dim| if let Dim::Fixed(n) = dim { i64::try_from(*n).unwrap_or(-1) } else { -1 };
            input.shape = explaining.image_dims.iter().map(extent).collect();
        }
        let alone = explaining.for_maps().map_err(hirescam::Error::from)?;
        let bytes = alone.as_ref().map_or_else(|| explaining.to_bytes(), onnx::write);
        let left = alone.as_ref().and_then(|model| model.graph.as_ref()).unwrap_or(graph);
        let mut added = Vec::new();
        for (i, map) in made.maps().enumerate() {
            let of = &map.outputs;
            let shared = [&of.class, &of.score].into_iter().filter(|_| i == 0);
            added.extend([&of.map].into_iter().chain(shared).chain([&of.b]).chain(of.other_tokens.as_ref()).cloned());
        }
        Ok(Explaining {
            session: spec.engine.start().and_then(|engine| engine.prepare(&bytes)).map_err(hirescam::Error::from)?,
            inputs,
            outputs: left.output.iter().map(Tensor::of).collect(),
            added,
            free_batch: explaining.free_batch,
            waiting: Mutex::default(),
        })
    }

    /// Puts a request among those that wait; what comes of it is told by what is given.
    pub(super) fn wait(&self, inputs: Vec<(String, Array)>) -> oneshot::Receiver<Result<Outputs, Failure>> {
        let (reply, made) = oneshot::channel();
        self.queue().push_back(Waiting { inputs, reply });
        made
    }

    /// Runs those that wait, together where they can be, until nobody is left or `stop` is true.
    pub(super) fn run(&self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            match self.next() {
                together if together.is_empty() => return,
                together => self.run_together(together),
            }
        }
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first of those that wait, with those behind it that can be run with it.
    fn next(&self) -> Vec<Waiting> {
        let mut queue = self.queue();
        // Nobody waits for them any more.
        queue.retain(|waiting| !waiting.reply.is_closed());
        let Some(first) = queue.pop_front() else { return Vec::new() };
        let mut samples = first.samples().unwrap_or(MOST_TOGETHER);
        let mut together = vec![first];
        if self.free_batch && !self.session.is_slow_at_batches() {
            let mut left = VecDeque::new();
            for waiting in queue.drain(..) {
                match (waiting.samples(), together.first()) {
                    (Some(n), Some(first)) if samples + n <= MOST_TOGETHER && first.goes_with(&waiting) => {
                        samples += n;
                        together.push(waiting);
                    }
                    _ => left.push_back(waiting),
                }
            }
            *queue = left;
        }
        together
    }

    fn run_together(&self, together: Vec<Waiting>) {
        let run = |inputs: &[(String, Array)]| {
            let inputs: Vec<(&str, &Array)> = inputs.iter().map(|(name, array)| (name.as_str(), array)).collect();
            self.session.run(&inputs).map_err(|error| match error {
                // What is wrong with the inputs is the caller's.
                hirescam::engine::Error::Input(_) => Failure::argument(error.to_string()),
                error => hirescam::Error::from(error).into(),
            })
        };
        if together.len() > 1
            && let Some(made) = self.run_as_one(&together, &run)
        {
            for (waiting, made) in together.into_iter().zip(made) {
                let _ = waiting.reply.send(Ok(made));
            }
            return;
        }
        for Waiting { inputs, reply } in together {
            let _ = reply.send(run(&inputs));
        }
    }

    /// What one run makes of all: of each its own rows. None where it fails, and each has to be run alone.
    fn run_as_one(
        &self,
        together: &[Waiting],
        run: &impl Fn(&[(String, Array)]) -> Result<Outputs, Failure>,
    ) -> Option<Vec<Outputs>> {
        let first = together.first()?;
        let mut inputs = Vec::new();
        for (at, (name, _)) in first.inputs.iter().enumerate() {
            let all: Option<Vec<&Array>> =
                together.iter().map(|waiting| waiting.inputs.get(at).map(|(_, array)| array)).collect();
            inputs.push((name.clone(), Array::concatenate(&all?)?));
        }
        let made = run(&inputs).ok()?;
        let (mut start, mut all) = (0, Vec::new());
        let total: usize = together.iter().filter_map(Waiting::samples).sum();
        for waiting in together {
            let rows = start..start + waiting.samples()?;
            start = rows.end;
            let own = |(name, array): &(String, Array)| {
                let part = if array.shape().first() == Some(&total) { array.part(rows.clone())? } else { return None };
                Some((name.clone(), part))
            };
            all.push(made.iter().map(own).collect::<Option<Vec<_>>>()?);
        }
        Some(all)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use hirescam::engine::{Error, Kind};

    /// Gives its input back, and notes how many samples it was given; it takes no sevens.
    #[derive(Clone, Default)]
    struct Noting(Arc<Mutex<Vec<usize>>>);

    impl Session for Noting {
        fn run(&self, inputs: &[(&str, &Array)]) -> Result<Vec<(String, Array)>, Error> {
            let (_, array) = inputs.first().unwrap();
            self.0.lock().unwrap().push(array.shape()[0]);
            match array.to_f64().iter().any(|&v| v == 7.0) {
                true => Err(Error::Input("no sevens".into())),
                false => Ok(vec![("y".into(), (*array).clone())]),
            }
        }
    }

    fn explaining(session: &Noting, free_batch: bool) -> Explaining {
        let (inputs, outputs, added) = Default::default();
        Explaining { session: Box::new(session.clone()), inputs, outputs, added, free_batch, waiting: Mutex::default() }
    }

    fn array(values: &[f32], columns: usize) -> Array {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Array::from_le_bytes(Kind::F32, &[values.len() / columns, columns], &bytes).unwrap()
    }

    /// What comes of requests that wait together, and how many samples each run had.
    fn made(free_batch: bool, all: &[Array]) -> (Vec<Option<Array>>, Vec<usize>) {
        let session = Noting::default();
        let explaining = explaining(&session, free_batch);
        let wait = |array: &Array| explaining.wait(vec![("x".into(), array.clone())]);
        let mut waiting: Vec<_> = all.iter().map(wait).collect();
        explaining.run(&AtomicBool::new(false));
        let made = waiting.iter_mut().map(|made| Some(made.try_recv().unwrap().ok()?.remove(0).1)).collect();
        (made, session.0.lock().unwrap().clone())
    }

    #[test]
    fn those_that_wait_together_are_run_together_and_get_each_its_own_rows() {
        let all = [array(&[1.0, 2.0], 2), array(&[3.0, 4.0, 5.0, 6.0], 2), array(&[8.0, 9.0], 2)];
        let own: Vec<Option<Array>> = all.iter().cloned().map(Some).collect();
        assert_eq!(made(true, &all), (own.clone(), vec![4]));
        assert_eq!(made(false, &all), (own, vec![1, 2, 1]));
        // Of other shapes, and more than are run together.
        let mixed = [array(&[1.0, 2.0], 2), array(&[1.0, 2.0, 3.0], 3), array(&[3.0, 4.0], 2), array(&[0.0; 62], 2)];
        let (made, runs) = made(true, &mixed);
        assert_eq!((made, runs), (mixed.iter().cloned().map(Some).collect(), vec![2, 1, 31]));
    }

    #[test]
    fn a_request_that_fails_spoils_no_other() {
        let all = [array(&[1.0, 2.0], 2), array(&[7.0, 7.0], 2), array(&[3.0, 4.0], 2)];
        let (made, runs) = made(true, &all);
        assert_eq!(made, [Some(all[0].clone()), None, Some(all[2].clone())]);
        assert_eq!(runs, [3, 1, 1, 1]);
    }

    #[test]
    fn nothing_is_run_for_those_who_have_gone_away() {
        let session = Noting::default();
        let explaining = explaining(&session, true);
        drop(explaining.wait(vec![("x".into(), array(&[1.0], 1))]));
        let mut waiting = explaining.wait(vec![("x".into(), array(&[2.0], 1))]);
        explaining.run(&AtomicBool::new(false));
        assert!(waiting.try_recv().unwrap().is_ok());
        assert_eq!(*session.0.lock().unwrap(), [1]);
        let mut late = explaining.wait(vec![("x".into(), array(&[2.0], 1))]);
        explaining.run(&AtomicBool::new(true));
        assert!(late.try_recv().is_err());
    }
}
