//! An evaluation: the images of a data set, explained by several methods and measured by many metrics, a row for each.
//!
//! Images are read and prepared ahead by a few workers, explained and measured a few at a time, and what came of them is added to the folder
//! of rows. What is there already is not made again: an evaluation that was killed goes on where it was, and has the same rows in the end.

mod changes;
mod failure;
mod image;
mod manifest;
mod methods;
mod ready;
mod report;
mod rows_of;
mod seen;
mod summary;

pub use manifest::{MANIFEST, Manifest};
pub use summary::summary;

use crate::data::DataSet;
use crate::plan::Plan;
use crate::rows::{Parts, Row};
use crate::{Error, rows};
use hirescam::random::Random;
use hirescam::{Network, Spec};
use image::Job;
use ready::Ready;
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

/// The folder of rows within that of an evaluation.
pub const ROWS: &str = "rows";

/// The file that keeps two processes from making the same evaluation at once.
const LOCK: &str = ".lock";

/// A part is written once so many images are done.
const IMAGES_A_PART: usize = 32;
/// And once so much time has passed, so that little is lost.
const TIME_A_PART: Duration = Duration::from_secs(5);

/// What is evaluated on what.
#[derive(Clone, Copy)]
pub struct Evaluation<'a> {
    /// The network.
    pub network: &'a Network,
    /// The layers, the engine, and what is known of the network. Method and target are the plan's.
    pub spec: &'a Spec,
    /// The images.
    pub data: &'a dyn DataSet,
    /// The network's classes that each class of the data set is; none for one that the network does not have.
    pub classes: &'a [Vec<usize>],
    /// What is measured.
    pub plan: &'a Plan,
}

/// How far an evaluation is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// How many images are done, with those of an earlier run.
    pub done: usize,
    /// How many there are.
    pub of: usize,
    /// How many of them failed.
    pub failed: u64,
    /// Of each method the mean of the first metric, over the images of this run.
    pub means: Vec<(String, Option<f64>)>,
    /// That metric.
    pub metric: &'static str,
}

impl Progress {
    /// The failures so far and the means, in a line.
    pub fn in_words(&self) -> String {
        let failed = (self.failed > 0).then(|| format!("{} failed", self.failed));
        let mean = |(method, mean): &(String, Option<f64>)| mean.map(|mean| format!("{method} {mean:.4}"));
        let means: Vec<String> = self.means.iter().filter_map(mean).collect();
        let means = (!means.is_empty()).then(|| format!("{}: {}", self.metric, means.join(", ")));
        failed.into_iter().chain(means).collect::<Vec<_>>().join("; ")
    }
}

/// What came of an evaluation.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// How many images are done.
    pub done: usize,
    /// How many there are.
    pub of: usize,
    /// How many were there before.
    pub found: usize,
    /// How many failed.
    pub failed: u64,
    /// Whether it was stopped before its end: by the caller, or by too many failures.
    pub stopped: bool,
    /// Whether too many images failed.
    pub too_many: bool,
    /// What of the network keeps methods or metrics from being had, a sentence each.
    pub notes: Vec<String>,
}

impl Evaluation<'_> {
    /// Evaluates, into the folder `out`: its rows, and beside them what was asked.
    ///
    /// # Errors
    /// [`Error::Argument`] and [`Error::NotFound`] for a plan that does not fit; [`Error::Differs`] where an evaluation of something else lies in the
    /// folder; [`Error::Explain`] where no method can be made ready, or nothing can be written. What goes wrong with an image is its row.
    pub fn run(&self, out: &Path, watch: &mut dyn FnMut(&Progress), stop: &AtomicBool) -> Result<Outcome, Error> {
        self.plan.check()?;
        if self.classes.len() != self.data.classes().len() {
            return crate::error::argument(format!(
                "{} classes are mapped, and the data set has {}",
                self.classes.len(),
                self.data.classes().len()
            ));
        }
        let order = self.order();
        if order.is_empty() {
            return crate::error::argument(format!("{} has no images", self.data.title()));
        }
        let ready = Ready::new(self)?;
        std::fs::create_dir_all(out).map_err(|e| crate::error::damaged(out, e.to_string()))?;
        let _lock = locked(out)?;
        Manifest::new(self, &order, &ready)?.claim(out)?;
        let mut parts = Parts::open(&out.join(ROWS))?;
        let there = parts.rows()?;
        let mut tally = Tally::new(self, order.len(), &there)?;
        let done: std::collections::BTreeSet<u64> = there.into_iter().map(|row| row.index).collect();
        let todo: VecDeque<Job> = (order.iter().enumerate())
            .filter(|(index, _)| !done.contains(&(*index as u64)))
            .map(|(index, position)| Job { index: index as u64, position: *position })
            .collect();
        watch(&tally.progress());
        let (halt, workers) = (AtomicBool::new(false), rayon::current_num_threads().clamp(1, 8));
        let todo = Mutex::new(todo);
        std::thread::scope(|scope| {
            // What is read ahead waits here: a worker goes on once there is room.
            let (sender, receiver) = sync_channel(workers);
            for _ in 0..workers {
                let (sender, todo, halt, ready) = (sender.clone(), &todo, &halt, &ready);
                scope.spawn(move || {
                    let next = || todo.lock().map_or(None, |mut todo| todo.pop_front());
                    while let Some(job) = next().filter(|_| !halt.load(Ordering::Relaxed)) {
                        if sender.send(ready.read(job)).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            let made = self.collect(&receiver, &ready, &mut parts, &mut tally, watch, stop);
            halt.store(true, Ordering::Relaxed);
            drop(receiver);
            made
        })?;
        Ok(Outcome {
            stopped: tally.done < tally.of,
            too_many: tally.too_many(),
            done: tally.done,
            of: tally.of,
            found: done.len(),
            failed: tally.failed,
            notes: ready.notes(),
        })
    }

    /// The positions of images in the data set, in the order in which they are evaluated.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.data.ids().len()).collect();
        if let Some(seed) = self.plan.sample_seed {
            // Fisher & Yates 1938, from the end.
            let mut random = Random::of_sample(seed, 0);
            for last in (1..order.len()).rev() {
                order.swap(last, random.below(last + 1));
            }
        }
        order.truncate(self.plan.limit.unwrap_or(usize::MAX));
        order
    }

    /// Explains and measures what the workers have read, and adds it to the rows.
    fn collect(
        &self,
        receiver: &Receiver<image::Read>,
        ready: &Ready,
        parts: &mut Parts,
        tally: &mut Tally,
        watch: &mut dyn FnMut(&Progress),
        stop: &AtomicBool,
    ) -> Result<(), Error> {
        let (mut waiting, mut images, mut since) = (Vec::new(), 0, Instant::now());
        while let Ok(first) = receiver.recv() {
            if stop.load(Ordering::Relaxed) || tally.too_many() {
                break;
            }
            let mut together = vec![first];
            while together.len() < ready.together() {
                let Ok(next) = receiver.try_recv() else { break };
                together.push(next);
            }
            let count = together.len();
            let made = ready.rows(together, stop)?;
            let Some(made) = made else { break };
            tally.add(count, &made);
            waiting.extend(made);
            images += count;
            watch(&tally.progress());
            if images >= IMAGES_A_PART || since.elapsed() >= TIME_A_PART {
                parts.add(&waiting)?;
                waiting.clear();
                (images, since) = (0, Instant::now());
            }
        }
        if waiting.is_empty() { Ok(()) } else { parts.add(&waiting) }
    }
}

/// Rows of an evaluation that lies in a folder.
///
/// # Errors
/// Those of [`rows::read`].
pub fn rows(out: &Path) -> Result<Vec<Row>, Error> {
    rows::read(&out.join(ROWS))
}

/// Holds the folder for this process. Who is killed lets go of it.
fn locked(out: &Path) -> Result<File, Error> {
    let path = out.join(LOCK);
    let file = File::create(&path).map_err(|e| crate::error::damaged(&path, e.to_string()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(crate::error::damaged(out, "another process makes this evaluation"))
        }
        // Where a file system has no locks, nobody else is kept out.
        Err(std::fs::TryLockError::Error(_)) => Ok(file),
    }
}

/// Counts what is done.
struct Tally {
    done: usize,
    of: usize,
    failed: u64,
    most: Option<u64>,
    metric: &'static str,
    /// Of each method the sum of the first metric, and how many values it has.
    sums: BTreeMap<String, (f64, usize)>,
    methods: Vec<String>,
}

impl Tally {
    fn new(evaluation: &Evaluation, of: usize, there: &[Row]) -> Result<Self, Error> {
        let mut tally = Tally {
            done: 0,
            of,
            failed: 0,
            most: evaluation.plan.report.max_errors,
            metric: evaluation.plan.measures()?.first().copied().unwrap_or_default(),
            sums: BTreeMap::new(),
            methods: evaluation.plan.methods.clone(),
        };
        let images: std::collections::BTreeSet<u64> = there.iter().map(|row| row.index).collect();
        tally.add(images.len(), there);
        Ok(tally)
    }

    fn add(&mut self, images: usize, made: &[Row]) {
        self.done += images;
        self.failed += made.iter().filter(|row| image_failed(row)).count() as u64;
        for row in made.iter().filter(|row| row.metric.as_deref() == Some(self.metric)) {
            if let (Some(method), Some(value)) = (&row.method, row.value) {
                let (sum, n) = self.sums.entry(method.clone()).or_default();
                (*sum, *n) = (*sum + value, *n + 1);
            }
        }
    }

    fn too_many(&self) -> bool {
        self.most.is_some_and(|most| self.failed >= most.max(1))
    }

    fn progress(&self) -> Progress {
        let mean = |method: &String| {
            let of = self.sums.get(method).filter(|(_, n)| *n > 0);
            (method.clone(), of.map(|(sum, n)| sum / *n as f64))
        };
        Progress {
            done: self.done,
            of: self.of,
            failed: self.failed,
            means: self.methods.iter().map(mean).collect(),
            metric: self.metric,
        }
    }
}

/// Whether a row says that a whole image failed.
pub fn image_failed(row: &Row) -> bool {
    row.error.is_some() && row.class.is_none() && row.method.is_none()
}
