//! `hirescam study plan`: what a study will cost, and its power.

use crate::error::Error;
use crate::output::{self, say};
use clap::Args;
use hirescam_study::{Design, plan};
use std::path::{Path, PathBuf};

/// Plan a study.
#[derive(Args)]
pub struct Plan {
    /// The design, a TOML file
    design: PathBuf,
    /// Plan for so many items that count, instead of those that the design's images make; neither images nor networks have to be there then
    #[arg(long, value_name = "N")]
    items: Option<usize>,
    /// Say it as JSON
    #[arg(long)]
    json: bool,
}

impl Plan {
    /// Runs the command, and gives the exit code.
    pub fn run(&self) -> Result<u8, Error> {
        let design = Design::open(&self.design)?;
        let plan = match self.items {
            Some(items) => plan::Plan::with(&design, items)?,
            None => plan::Plan::of(&design, self.design.parent().unwrap_or(Path::new("")))?,
        };
        match self.json {
            true => output::json(&plan)?,
            false => plan.in_words().iter().try_for_each(|line| say!("{line}"))?,
        }
        Ok(0)
    }
}
