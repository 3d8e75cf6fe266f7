//! Running the shards of a job: all that are not done, one, or every so many.

use crate::MaxErrors;
use crate::error::Error;
use crate::make::InShard;
use crate::plan::Planned;
use crate::publish;
use crate::receipt::{Receipt, Receipts, name};
use crate::shard::Worker;
use crate::store::Store;
use crate::verify::of_shard;
use rayon::prelude::*;
use serde::Serialize;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// How a run works.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunOptions {
    /// Which shards it runs.
    pub shards: Shards,
    /// How many images may fail in it; what the job says where nothing is said.
    pub max_errors: Option<MaxErrors>,
    /// Where the network lies on this machine, where that is elsewhere than where the job was planned.
    pub model: Option<String>,
    /// How many threads work; what the job says where nothing is said, else as many as there are cores.
    pub threads: Option<usize>,
}

/// Which shards are run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shards {
    /// All that are not done.
    #[default]
    All,
    /// One.
    One(usize),
    /// Those that fall to one worker of several: `index`, `index + of`, and so on.
    Every {
        /// The worker, from 0.
        index: usize,
        /// How many workers there are.
        of: usize,
    },
}

/// What array jobs are numbered by, and from which number on.
const INDICES: [(&str, usize); 3] = [("JOB_COMPLETION_INDEX", 0), ("SLURM_ARRAY_TASK_ID", 0), ("SGE_TASK_ID", 1)];

impl Shards {
    /// What an array job's environment says: the shard of its number, or with `workers` the shards that fall to that worker. Kubernetes
    /// (`JOB_COMPLETION_INDEX`) and Slurm (`SLURM_ARRAY_TASK_ID`) count from 0, Grid Engine (`SGE_TASK_ID`) from 1.
    ///
    /// # Errors
    /// [`Error::Argument`] where there is no such variable, or it is no number.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>, workers: Option<usize>) -> Result<Self, Error> {
        // Grid Engine says "undefined" where there is no array.
        let found =
            INDICES.iter().find_map(|(name, first)| Some((name, first, variable(name).filter(|v| v != "undefined")?)));
        let (name, first, value) = found.ok_or_else(|| {
            Error::Argument(format!(
                "no variable tells the number of this task: {} are looked for",
                INDICES.map(|(name, _)| name).join(", ")
            ))
        })?;
        let number = value.trim().parse::<usize>().ok().and_then(|number| number.checked_sub(*first));
        let index = number
            .ok_or_else(|| Error::Argument(format!("{name} is {value:?}, and tasks are numbered from {first} on")))?;
        match workers {
            None => Ok(Shards::One(index)),
            Some(of) if index < of => Ok(Shards::Every { index, of }),
            Some(of) => Err(Error::Argument(format!("{name} is {value}, and there are {of} workers (--workers)"))),
        }
    }

    /// The shards of a job, in the order in which they are run.
    fn of(self, shards: usize) -> Result<Vec<usize>, Error> {
        match self {
            Shards::All => {
                // Each worker in an order of its own: in the same one, those that meet once would meet at every shard that follows.
                let (mut all, chance): (Vec<usize>, _) = ((0..shards).collect(), RandomState::new());
                all.sort_by_cached_key(|shard| chance.hash_one(shard));
                Ok(all)
            }
            Shards::One(shard) if shard < shards => Ok(vec![shard]),
            Shards::One(shard) => {
                Err(Error::Argument(format!("the job has {shards} shards, from 0 on, and none is {shard}")))
            }
            Shards::Every { index, of } if of > 0 => Ok((index..shards).step_by(of).collect()),
            Shards::Every { .. } => Err(Error::Argument("there is at least one worker".into())),
        }
    }
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Ran {
    /// How many shards it was to run.
    pub shards: usize,
    /// How many of them were done before.
    pub before: usize,
    /// How many it made.
    pub made: usize,
    /// How many it made in vain, for another worker was first.
    pub lost: usize,
    /// How many images are in those that it made.
    pub images: u64,
    /// How many of these failed.
    pub failed: u64,
    /// How many rows they have.
    pub rows: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// How many files it cleared away that belong to no receipt.
    pub removed: usize,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunProgress {
    /// How many shards there are to run.
    pub shards: usize,
    /// How many of them are done.
    pub done: usize,
    /// How many images these and the one at hand have.
    pub images: u64,
    /// How many images all shards have that were not done at the start.
    pub of: u64,
    /// How many images failed.
    pub failed: u64,
}

/// Runs the shards of a planned job that are not done. Any number of processes may do so at the same time, on any machines.
///
/// # Errors
/// Those of [`Worker::open`] and [`Worker::run_shard`]; [`Error::TooMany`]. What was finished counts.
pub fn run(
    out: &str,
    options: &RunOptions,
    stop: &AtomicBool,
    watch: &mut dyn FnMut(RunProgress),
) -> Result<Ran, Error> {
    run_in(&Store::open(out)?, options, stop, watch)
}

/// As [`run`], of a job in a store that is open.
///
/// # Errors
/// As [`run`].
pub fn run_in(
    out: &Store,
    options: &RunOptions,
    stop: &AtomicBool,
    watch: &mut dyn FnMut(RunProgress),
) -> Result<Ran, Error> {
    let planned = Planned::open(out)?;
    let shards = options.shards.of(planned.shards)?;
    let waiting: Vec<(usize, u32)> = match shards.as_slice() {
        // Of many tasks that run a shard each, none lists the receipts of all.
        &[shard] => {
            if out.has(&name(shard, 0))? {
                Vec::new()
            } else {
                vec![(shard, 0)]
            }
        }
        shards => {
            let receipts = Receipts::list(out, &planned)?;
            shards.iter().filter(|&&shard| receipts.generation(shard).is_none()).map(|&shard| (shard, 0)).collect()
        }
    };
    let mut ran = all(out, &planned, &waiting, options, stop, watch)?;
    ran.before += shards.len() - waiting.len();
    ran.shards = shards.len();
    if options.shards == Shards::All {
        ran.removed = publish::clean(out, &planned)?;
    }
    Ok(ran)
}

/// Makes those shards again in which images failed, or whose receipt or rows are not as they were written: all of their rows, as a new
/// generation, which counts once it is whole. Files are taken as they are at present, also where they have another length than was planned:
/// whoever has mended an image has its rows. What failed for good fails again. All rows are looked at, as in [`verify`](crate::verify).
///
/// # Errors
/// As [`run`].
pub fn retry(
    out: &str,
    options: &RunOptions,
    stop: &AtomicBool,
    watch: &mut dyn FnMut(RunProgress),
) -> Result<Ran, Error> {
    let out = Store::open(out)?;
    let planned = Planned::open(&out)?;
    let receipts = Receipts::list(&out, &planned)?;
    let shards = options.shards.of(planned.shards)?;
    let last = shards.into_iter().filter_map(|shard| Some((shard, receipts.generation(shard)?)));
    let wanted = last.collect::<Vec<_>>().into_par_iter().map(|(shard, generation)| {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        let found = of_shard(&out, &planned, shard, generation)?;
        Ok((found.failed > 0 || !found.problems.is_empty()).then_some((shard, generation + 1)))
    });
    let waiting: Vec<(usize, u32)> = wanted.collect::<Result<Vec<_>, Error>>()?.into_iter().flatten().collect();
    let mut ran = all(&out, &planned, &waiting, options, stop, watch)?;
    ran.shards = waiting.len();
    ran.removed = publish::clean(&out, &planned)?;
    Ok(ran)
}

/// Runs shards as generations.
fn all(
    out: &Store,
    planned: &Planned,
    waiting: &[(usize, u32)],
    options: &RunOptions,
    stop: &AtomicBool,
    watch: &mut dyn FnMut(RunProgress),
) -> Result<Ran, Error> {
    let (mut ran, started) = (Ran::default(), Instant::now());
    // Where nothing is left to do, no network is opened.
    if waiting.is_empty() {
        return Ok(ran);
    }
    let worker = Worker::open(out, options)?;
    let of = waiting.iter().map(|(shard, _)| planned.images_of(*shard)).sum();
    let mut images = 0;
    for (at, &(shard, generation)) in waiting.iter().enumerate() {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        // Another worker may have made it since they were listed. The first is as fresh as the list.
        if at > 0 && out.has(&name(shard, generation))? {
            ran.before += 1;
            images += planned.images_of(shard);
            continue;
        }
        let failed = ran.failed;
        let mut of_shard = |in_shard: InShard| {
            watch(RunProgress {
                shards: waiting.len(),
                done: at,
                images: images + in_shard.images,
                of,
                failed: failed + in_shard.failed,
            });
        };
        let (receipt, mine) = worker.run(shard, generation, &ran, stop, &mut of_shard)?;
        images += receipt.images;
        match mine {
            true => {
                ran.made += 1;
                ran.images += receipt.images;
                ran.failed += receipt.failed;
                ran.rows += receipt.rows;
            }
            false => ran.lost += 1,
        }
        watch(RunProgress { shards: waiting.len(), done: at + 1, images, of, failed: ran.failed });
    }
    ran.seconds = started.elapsed().as_secs_f64();
    Ok(ran)
}

/// Makes one shard of a planned job, unless it is done, and gives its receipt: the unit of work that any scheduler can place, as often
/// as it likes.
///
/// # Errors
/// As [`run`].
pub fn run_shard(out: &str, shard: usize) -> Result<Receipt, Error> {
    let out = Store::open(out)?;
    let receipts = Receipts::list(&out, &Planned::open(&out)?)?;
    if let Some(generation) = receipts.generation(shard) {
        let name = name(shard, generation);
        return Receipt::read(&out, &name, &out.get(&name)?);
    }
    let worker = Worker::open(&out, &RunOptions::default())?;
    Ok(worker.run_shard(shard, &AtomicBool::new(false), &mut |_| {})?.0)
}
