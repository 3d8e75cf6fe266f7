//! `hirescam study`: studies with human raters, from the design to the results; one file a step.

mod build;
mod database;
mod export;
mod links;
mod plan;
mod results;
mod serve;
mod simulate;

use crate::error::Error;
use clap::{Args, Subcommand};

/// Studies with human raters.
#[derive(Args)]
pub struct Study {
    #[command(subcommand)]
    step: Step,
}

#[derive(Subcommand)]
enum Step {
    /// Say what a study will cost, and its power, before anything is built.
    Plan(plan::Plan),
    /// Build a study: blinded pictures in a folder, and the key that lies apart.
    Build(build::Build),
    /// Serve a built study to raters.
    Serve(serve::Serve),
    /// Write links to a study that work once.
    Links(links::Links),
    /// Write a study's answers as CSV and JSON.
    Export(export::Export),
    /// Answer a built study by simulated raters, to try it out.
    Simulate(simulate::Simulate),
    /// Analyse a study's answers.
    Results(results::Results),
}

impl Study {
    /// Runs the step, and gives the exit code.
    pub fn run(&self) -> Result<u8, Error> {
        match &self.step {
            Step::Plan(step) => step.run(),
            Step::Build(step) => step.run(),
            Step::Serve(step) => step.run(),
            Step::Links(step) => step.run(),
            Step::Export(step) => step.run(),
            Step::Simulate(step) => step.run(),
            Step::Results(step) => step.run(),
        }
    }
}
