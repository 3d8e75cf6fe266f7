//! Runs of a network on all threads.

use crate::error::Error;
use hirescam::engine::Device;
use hirescam::{Explained, Explainer, Network, Sample, Spec, Watch};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::atomic::AtomicBool;
use std::thread::available_parallelism;

/// So many inputs share a run where that pays, on a processor and on a GPU. It must not depend on the machine either: which images share a run may show
/// in the last digits.
const IN_A_RUN: [usize; 2] = [4, 32];
/// So many runs' inputs are decoded together, at least.
const RUNS: [usize; 2] = [4, 2];
/// How many bytes the copies of a network's weights may take.
const COPIES: u64 = 1 << 30;

/// An explainer, and the threads that it is given.
pub(crate) struct Runner {
    pub(crate) explainer: Explainer,
    threads: ThreadPool,
    /// Whether each of them has runs of its own.
    apart: bool,
}

impl Runner {
    /// On a processor each thread has runs of its own: many images are done sooner so than with all threads in each run, and no digit depends on how many threads there
    /// are. An engine may need a copy of the weights for each; where these would take too much memory, one run has all threads.
    ///
    /// # Errors
    /// Those of [`Network::explainer`]; [`Error::Argument`] where no threads can be started.
    pub(crate) fn new(network: &Network, spec: &Spec) -> Result<Self, Error> {
        let cores = available_parallelism().map_or(1, usize::from);
        let threads = if spec.engine.threads == 0 { cores } else { spec.engine.threads.min(cores) };
        let weights = network.weights().iter().filter_map(|name| network.path().with_file_name(name).metadata().ok());
        let bytes = weights.map(|file| file.len()).sum::<u64>() + network.bytes().len() as u64;
        let apart = spec.engine.device == Device::Cpu && bytes * threads as u64 <= COPIES;
        let mut spec = spec.clone();
        if apart {
            spec.engine.threads = 1;
        }
        let explainer = network.explainer(&spec)?;
        let threads = ThreadPoolBuilder::new().num_threads(threads).build();
        let threads = threads.map_err(|error| Error::Argument(format!("no threads can be started: {error}")))?;
        Ok(Runner { explainer, threads, apart })
    }

    /// What holds for the device that the engine computes on, of what holds for a processor and for a GPU.
    fn of_device(&self, [processor, gpu]: [usize; 2]) -> usize {
        if self.explainer.spec().engine.device == Device::Cpu { processor } else { gpu }
    }

    /// What work gives that is done in parallel, on all threads.
    pub(crate) fn all<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.threads.install(work)
    }

    /// How many inputs are decoded together, which is a multiple of those that share a run. Photos that are kept to be drawn on may be much larger than what is made of
    /// them: of these, about as many as there are threads.
    pub(crate) fn together(&self, draw: bool) -> usize {
        let (in_a_run, threads) = (self.of_device(IN_A_RUN), self.threads.current_num_threads());
        in_a_run
            * match (draw, self.apart) {
                (true, _) => threads.div_ceil(in_a_run),
                (false, true) => threads.max(self.of_device(RUNS)),
                (false, false) => self.of_device(RUNS),
            }
    }

    /// Explains samples, of which there are so many of each input.
    pub(crate) fn explain(
        &self,
        samples: &[Sample],
        counts: &[usize],
        stop: &AtomicBool,
    ) -> Vec<Result<Explained, hirescam::Error>> {
        let in_a_run = self.of_device(IN_A_RUN);
        let run = |samples: &[Sample]| {
            self.explainer.explain_at_once(samples, in_a_run, &mut Watch::default().stopped_by(stop))
        };
        if !self.apart {
            return run(samples);
        }
        let mut rest = samples;
        let runs = counts.chunks(in_a_run).map(|counts| {
            let (first, others) = rest.split_at(counts.iter().sum::<usize>().min(rest.len()));
            rest = others;
            first
        });
        let runs: Vec<&[Sample]> = runs.collect();
        self.all(|| runs.into_par_iter().flat_map_iter(run).collect())
    }
}
