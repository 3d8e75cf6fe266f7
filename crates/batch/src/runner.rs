//! Runs of a network on all threads, in lanes; what comes of them goes on in order.

use crate::error::Error;
use hirescam::engine::Device;
use hirescam::{Explained, Explainer, Network, Sample, Spec, Watch};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, available_parallelism};

/// So many inputs share a run where that pays, on a processor and on a GPU. It must not depend on the machine either: which images share a run may show
/// in the last digits.
const IN_A_RUN: [usize; 2] = [4, 32];
/// Where runs take turns, the inputs of one are decoded while those of another are explained.
const TAKING_TURNS: usize = 2;
/// So many runs of each lane may be done before the first that is not.
const AHEAD: usize = 8;

/// An explainer, and the threads that it is given.
pub(crate) struct Runner {
    pub(crate) explainer: Explainer,
    lanes: Vec<Lane>,
}

/// Works on the inputs of one run at a time.
pub(crate) struct Lane {
    threads: Arc<ThreadPool>,
    /// Held while a run has all threads, or the GPU.
    turn: Option<Arc<Mutex<()>>>,
}

impl Lane {
    /// The lanes of so many threads: one each, or a few that take turns with all of them.
    fn all_of(threads: usize, apart: bool) -> Result<Vec<Self>, Error> {
        let pool = |threads: usize| {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build();
            pool.map(Arc::new).map_err(|error| Error::Argument(format!("no threads can be started: {error}")))
        };
        if apart {
            return (0..threads).map(|_| Ok(Lane { threads: pool(1)?, turn: None })).collect();
        }
        let (threads, turn) = (pool(threads)?, Arc::default());
        Ok((0..TAKING_TURNS).map(|_| Lane { threads: threads.clone(), turn: Some(Arc::clone(&turn)) }).collect())
    }

    /// What work gives that is done on the lane's threads.
    pub(crate) fn all<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.threads.install(work)
    }
}

impl Runner {
    /// On a processor each thread is a lane: many images are done sooner so than with all threads in each run, and no digit depends on how many threads there
    /// are. On a GPU runs take turns.
    ///
    /// # Errors
    /// Those of [`Network::into_explainer`]; [`Error::Argument`] where no threads can be started.
    pub(crate) fn new(network: Network, spec: &Spec) -> Result<Self, Error> {
        let cores = available_parallelism().map_or(1, usize::from);
        let threads = if spec.engine.threads == 0 { cores } else { spec.engine.threads.min(cores) };
        let apart = spec.engine.device == Device::Cpu;
        let mut spec = spec.clone();
        if apart {
            spec.engine.threads = 1;
        }
        let explainer = network.into_explainer(&spec)?;
        let lanes = Lane::all_of(threads, apart)?;
        Ok(Runner { explainer, lanes })
    }

    /// How many inputs share a run.
    fn in_a_run(&self) -> usize {
        let [processor, gpu] = IN_A_RUN;
        if self.explainer.spec().engine.device == Device::Cpu { processor } else { gpu }
    }

    /// Takes inputs from `next`, as many at a time as share a run, and none at their end. Each lane does `work` on those that it took, which
    /// begin with the input of that number. `each` is given what comes of them, in their order.
    ///
    /// # Errors
    /// Those of `each`. Nothing more is taken then.
    pub(crate) fn in_order<T: Send, M: Send>(
        &self,
        next: impl FnMut(usize) -> Vec<T> + Send,
        work: impl Fn(&Lane, usize, Vec<T>) -> M + Sync,
        mut each: impl FnMut(M) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let in_a_run = self.in_a_run();
        let ahead = AHEAD * self.lanes.len();
        let (permit, permits) = sync_channel(ahead);
        let (give, done) = sync_channel(self.lanes.len());
        let (queue, ended) = (Mutex::new((next, permits, 0)), AtomicBool::new(false));
        let take = || {
            let (next, permits, taken) = &mut *queue.lock().unwrap_or_else(PoisonError::into_inner);
            permits.recv().ok().filter(|()| !ended.load(Ordering::Relaxed))?;
            let part = Some(next(in_a_run)).filter(|part| !part.is_empty())?;
            let number = *taken;
            *taken += 1;
            Some((number, part))
        };
        let run = &|lane: &Lane, give: SyncSender<(usize, thread::Result<M>)>| {
            while let Some((number, part)) = take() {
                let made = catch_unwind(AssertUnwindSafe(|| work(lane, number * in_a_run, part)));
                if give.send((number, made)).is_err() {
                    return;
                }
            }
        };
        // Each of these is for one run; as many come again as are done with.
        (0..ahead).for_each(|_| _ = permit.send(()));
        thread::scope(|scope| {
            for lane in &self.lanes {
                let give = give.clone();
                scope.spawn(move || run(lane, give));
            }
            drop(give);
            // They are dropped before the lanes are waited for, which end then.
            let (permit, done) = (permit, done);
            let (mut waiting, mut first) = (BTreeMap::new(), 0);
            for (number, made) in done {
                waiting.insert(number, made);
                while let Some(made) = waiting.remove(&first) {
                    first += 1;
                    let given = made.map(&mut each);
                    ended.store(!matches!(given, Ok(Ok(()))), Ordering::Relaxed);
                    given.unwrap_or_else(|panic| resume_unwind(panic))?;
                    _ = permit.send(());
                }
            }
            Ok(())
        })
    }

    /// Explains samples. Those that share a run are given together.
    pub(crate) fn explain(
        &self,
        lane: &Lane,
        samples: &[Sample],
        stop: &AtomicBool,
    ) -> Vec<Result<Explained, hirescam::Error>> {
        // Whoever waits for it is none of the lane's threads, which take each other's work while they wait.
        let _turn = lane.turn.as_ref().map(|turn| turn.lock().unwrap_or_else(PoisonError::into_inner));
        lane.all(|| self.explainer.explain_at_once(samples, self.in_a_run(), &mut Watch::default().stopped_by(stop)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    const DIGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/digits-cnn.onnx");

    fn runner() -> Runner {
        let spec = Spec { engine: "tract".into(), ..Spec::default() };
        Runner::new(Network::open(DIGITS).unwrap(), &spec).unwrap()
    }

    /// Gives the numbers below `end`, and counts them.
    fn numbers(end: usize, given: &AtomicUsize) -> impl FnMut(usize) -> Vec<usize> + Send {
        move |count| {
            let first = given.load(Ordering::SeqCst);
            let part: Vec<usize> = (first..end.min(first + count)).collect();
            given.fetch_add(part.len(), Ordering::SeqCst);
            part
        }
    }

    #[test]
    fn what_is_made_comes_in_order_and_nobody_is_far_ahead() {
        let (runner, given) = (runner(), AtomicUsize::new(0));
        let (mut all, most) = (Vec::new(), AHEAD * runner.lanes.len() * runner.in_a_run());
        let work = |_: &Lane, first: usize, part: Vec<usize>| {
            // The first is slow; those that follow it have to wait.
            std::thread::sleep(Duration::from_millis(if first == 0 { 50 } else { 0 }));
            assert_eq!(part[0], first);
            part
        };
        let each = |part: Vec<usize>| {
            assert!(given.load(Ordering::SeqCst) <= all.len() + most);
            all.extend(part);
            Ok(())
        };
        runner.in_order(numbers(1001, &given), work, each).unwrap();
        assert!(all.iter().copied().eq(0..1001));
    }

    #[test]
    fn after_an_error_nothing_more_is_taken() {
        let (runner, given, mut then) = (runner(), AtomicUsize::new(0), 0);
        let work = |_: &Lane, _, part| {
            std::thread::sleep(Duration::from_millis(5));
            part
        };
        let each = |part: Vec<usize>| match part[0] {
            8 => {
                then = given.load(Ordering::SeqCst);
                Err(Error::Stopped)
            }
            _ => Ok(()),
        };
        let ended = runner.in_order(numbers(100_000, &given), work, each);
        assert!(matches!(ended, Err(Error::Stopped)));
        // But for those that lanes were just about to take.
        assert!(given.load(Ordering::SeqCst) <= then + runner.lanes.len() * runner.in_a_run());
    }

    #[test]
    fn a_panic_on_a_thread_is_one_of_whoever_waits_for_it() {
        let (runner, given) = (runner(), AtomicUsize::new(0));
        let work = |_: &Lane, first: usize, part: Vec<usize>| if first == 8 { panic!("eight") } else { part };
        let ended = catch_unwind(AssertUnwindSafe(|| runner.in_order(numbers(1000, &given), work, |_| Ok(()))));
        assert_eq!(ended.unwrap_err().downcast_ref::<&str>(), Some(&"eight"));
        // Its threads serve the next.
        let mut count = 0;
        let counted = runner.in_order(
            numbers(1000, &AtomicUsize::new(0)),
            |_, _, part| part.len(),
            |n| {
                count += n;
                Ok(())
            },
        );
        assert!(counted.is_ok() && count == 1000);
    }
    #[test]
    fn lanes_that_take_turns_explain_the_same() {
        let apart = runner();
        let turns = Runner { lanes: Lane::all_of(2, false).unwrap(), ..runner() };
        let scores = |runner: &Runner| {
            let mut scores = Vec::new();
            let image = |n: usize| {
                let tensor = ndarray::ArrayD::<f32>::from_shape_fn(vec![1, 1, 28, 28], |at| (at[2] * n % 7) as f32);
                Sample::new(n.to_string(), hirescam::Input::Tensor(tensor.into()))
            };
            let work = |lane: &Lane, _, part: Vec<usize>| {
                let samples: Vec<Sample> = part.into_iter().map(image).collect();
                let made = runner.explain(lane, &samples, &AtomicBool::new(false));
                made.into_iter().map(|made| made.unwrap().maps()[0].score).collect::<Vec<f64>>()
            };
            let each = |part: Vec<f64>| {
                scores.extend(part);
                Ok(())
            };
            runner.in_order(numbers(50, &AtomicUsize::new(0)), work, each).unwrap();
            scores
        };
        let all = scores(&apart);
        assert!(all.len() == 50 && all[1] != all[2]);
        assert_eq!(scores(&turns), all);
    }
}
