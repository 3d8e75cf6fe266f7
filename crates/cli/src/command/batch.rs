//! `hirescam batch`: large data sets in resumable jobs.

use crate::error::Error;
use crate::output::{self, say};
use crate::{interrupt, progress};
use clap::{Args, Subcommand};
use hirescam_batch::{
    Job, MaxErrors, Named, Planned, Ran, RunOptions, RunProgress, Shards, merge, plan, retry, run, status, verify,
};
use std::sync::atomic::AtomicBool;

/// Explain large data sets.
#[derive(Args)]
pub struct Batch {
    #[command(subcommand)]
    step: Step,
}

#[derive(Subcommand)]
enum Step {
    /// Find a job's inputs and put them in shards: nothing is explained yet.
    Plan(PlanStep),
    /// Run the shards that are not done, all or some of them. Any number of processes may run the same job at once.
    Run(RunStep),
    /// Say how far a job is.
    Status(StatusStep),
    /// Make those shards again in which images failed.
    Retry(RetryStep),
    /// Put all rows into one Parquet file.
    Merge(MergeStep),
    /// See whether every input has its rows, once, and every file is what it was written as.
    Verify(VerifyStep),
}

#[derive(Args)]
struct PlanStep {
    /// The job: a TOML file with model, inputs, out and spec (docs/batch.md)
    job: String,
}

/// A job that is run.
#[derive(Args)]
struct How {
    /// The job's file, or where a planned job lies: a folder or a URL. To run a file plans its job first
    #[arg(value_name = "JOB.toml|OUT")]
    job: String,
    /// Stop where more images fail: a number, or a share as 5%
    #[arg(long, value_name = "N|P%")]
    max_errors: Option<MaxErrors>,
    /// Where the network lies on this machine, where that is elsewhere than where the job was planned
    #[arg(long, value_name = "FILE|URL")]
    model: Option<String>,
    /// Threads that work, for several processes on one machine
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

#[derive(Args)]
struct RunStep {
    #[command(flatten)]
    how: How,
    /// One shard, from 0
    #[arg(long, value_name = "K", conflicts_with = "index_from_env")]
    shard: Option<usize>,
    /// The shard whose number an array job's environment tells: JOB_COMPLETION_INDEX, SLURM_ARRAY_TASK_ID or SGE_TASK_ID
    #[arg(long)]
    index_from_env: bool,
    /// With --index-from-env: there are so many workers, and each runs every so many shards
    #[arg(long, value_name = "N", requires = "index_from_env")]
    workers: Option<usize>,
}

#[derive(Args)]
struct RetryStep {
    #[command(flatten)]
    how: How,
}

#[derive(Args)]
struct StatusStep {
    /// The job's file, or where the planned job lies
    #[arg(value_name = "JOB.toml|OUT")]
    job: String,
    /// Print it as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct MergeStep {
    /// The job's file, or where the planned job lies
    #[arg(value_name = "JOB.toml|OUT")]
    job: String,
    /// The file to write, or its URL
    #[arg(value_name = "FILE|URL")]
    to: String,
}

#[derive(Args)]
struct VerifyStep {
    /// The job's file, or where the planned job lies
    #[arg(value_name = "JOB.toml|OUT")]
    job: String,
    /// Print what was found as one JSON object
    #[arg(long)]
    json: bool,
}

impl Batch {
    /// Runs the step, and gives the exit code.
    pub fn run(&self) -> Result<u8, Error> {
        let stop = interrupt::flag()?;
        match &self.step {
            Step::Plan(step) => step.run(&stop),
            Step::Run(step) => step.run(&stop),
            Step::Status(step) => step.run(),
            Step::Retry(step) => step.run(&stop),
            Step::Merge(step) => step.run(),
            Step::Verify(step) => step.run(&stop),
        }
    }
}

fn say_planned(planned: &Planned) {
    if planned.doubles > 0 {
        output::note(&format!("{} images were named more than once, and are taken once", planned.doubles));
    }
    let passed_over: Vec<String> = planned.passed_over.iter().map(|(what, n)| format!("{what} {n}")).collect();
    if !passed_over.is_empty() {
        output::note(&format!("passed over in folders and archives: {}", passed_over.join(", ")));
    }
}

impl PlanStep {
    fn run(&self, stop: &AtomicBool) -> Result<u8, Error> {
        let job = Job::open(&self.job)?;
        let planned = plan(&job, stop)?;
        say_planned(&planned);
        say!("{} images in {} shards: {}", planned.images, planned.shards, job.out)?;
        say!("fingerprint: {}", planned.fingerprint)?;
        Ok(0)
    }
}

impl How {
    /// How the job is run, as the command and its file say.
    fn options(&self, named: &Named, shards: Shards) -> RunOptions {
        let given =
            RunOptions { shards, max_errors: self.max_errors, model: self.model.clone(), threads: self.threads };
        named.options(given)
    }

    /// Shows how far a run is, or one that makes shards `again`, and what came of it.
    fn watched(
        &self,
        out: &str,
        again: bool,
        work: impl FnOnce(&mut dyn FnMut(RunProgress)) -> Result<Ran, hirescam_batch::Error>,
    ) -> Result<u8, Error> {
        let bar = progress::images_with_rate();
        let ran = work(&mut |progress| {
            bar.set_length(progress.of);
            bar.set_position(progress.images);
            bar.set_message(match progress.failed {
                0 => String::new(),
                failed => format!("{failed} failed"),
            });
        });
        bar.finish_and_clear();
        let ran = ran?;
        let Ran { shards, made, images, failed, rows, seconds, before, lost, .. } = ran;
        let made_of_it = format!("{images} images, {failed} failed, {rows} rows, {seconds:.1} s");
        match again {
            true if shards == 0 => say!("nothing to make again: no image failed in the shards that are done")?,
            true => say!("{made} shards made again: {made_of_it}")?,
            false => say!("{made} shards made: {made_of_it}; {before} were done before")?,
        }
        if failed > 0 {
            output::note(&format!(
                "why images failed stands in their rows (uri, error); hirescam batch retry {out} makes them again once they are mended"
            ));
        }
        if lost > 0 {
            output::note(&format!(
                "{lost} shards were made by another worker first: what was made of them here is dropped"
            ));
        }
        say!("rows: {out}/rows/*.parquet")?;
        Ok(u8::from(failed > 0))
    }
}

impl RunStep {
    fn run(&self, stop: &AtomicBool) -> Result<u8, Error> {
        let shards = match (self.shard, self.index_from_env) {
            (Some(shard), _) => Shards::One(shard),
            (None, true) => Shards::from_environment(|name| std::env::var(name).ok(), self.workers)?,
            (None, false) => Shards::All,
        };
        let named = Named::open(&self.how.job)?;
        let options = self.how.options(&named, shards);
        // One that a file says is planned, which changes nothing where it is already.
        if let Some(job) = &named.job {
            let model = options.model.clone().unwrap_or_else(|| job.model.clone());
            say_planned(&plan(&Job { model, ..job.clone() }, stop)?);
        }
        self.how.watched(&named.out, false, |watch| run(&named.out, &options, stop, watch))
    }
}

impl RetryStep {
    fn run(&self, stop: &AtomicBool) -> Result<u8, Error> {
        // It is not planned again: an image that was mended has another length than it had then.
        let named = Named::open(&self.how.job)?;
        let options = self.how.options(&named, Shards::All);
        self.how.watched(&named.out, true, |watch| retry(&named.out, &options, stop, watch))
    }
}

impl StatusStep {
    fn run(&self) -> Result<u8, Error> {
        let status = status(&Named::open(&self.job)?.out)?;
        if self.json {
            output::json(&status)?;
            return Ok(0);
        }
        say!("shards: {} of {} done", status.done, status.shards)?;
        say!("images: {} of {} done, {} failed", status.images_done, status.images, status.failed)?;
        say!("rows: {} ({:.1} MB)", status.rows, status.bytes as f64 / 1e6)?;
        if let Some(rate) = status.rate {
            let left = status.seconds_left.map_or(String::new(), |left| format!(", {} left at that", in_words(left)));
            say!("rate: {rate:.1} images/s over the last shards{left}")?;
        }
        Ok(0)
    }
}

/// A time in the unit that suits it.
fn in_words(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} days", s / 86_400.0),
    }
}

impl MergeStep {
    fn run(&self) -> Result<u8, Error> {
        let merged = merge(&Named::open(&self.job)?.out, &self.to)?;
        if merged.missing > 0 {
            output::note(&format!("{} shards are not done, and their rows are missing", merged.missing));
        }
        say!("{} rows of {} shards: {}", merged.rows, merged.shards, self.to)?;
        Ok(u8::from(merged.missing > 0))
    }
}

impl VerifyStep {
    fn run(&self, stop: &AtomicBool) -> Result<u8, Error> {
        let bar = progress::steps();
        let found = verify(&Named::open(&self.job)?.out, stop, &|| bar.inc(1));
        bar.finish_and_clear();
        let found = found?;
        if self.json {
            output::json(&found)?;
            return Ok(u8::from(!found.is_whole()));
        }
        for problem in &found.problems {
            output::error(&format!("{}: {}", problem.place, problem.what));
        }
        if found.engines.len() > 1 {
            let engines: Vec<String> =
                found.engines.iter().map(|(engine, shards)| format!("{engine} ({shards} shards)")).collect();
            output::note(&format!(
                "rows were made with several engines, which may round otherwise: {}",
                engines.join(", ")
            ));
        }
        let done = found.shards - found.missing;
        say!("{done} of {} shards done, {} rows looked at, {} images failed", found.shards, found.rows, found.failed)?;
        match (found.problems.len(), found.missing) {
            (0, 0) => say!("whole: every one of {} images has its rows, once", found.images)?,
            (0, missing) => say!("not whole: {missing} shards are missing; hirescam batch run makes them")?,
            (problems, _) => say!("not whole: {problems} problems")?,
        }
        Ok(u8::from(!found.is_whole()))
    }
}
