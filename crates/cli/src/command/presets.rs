//! `hirescam presets`: how photos can be prepared, by name.

use crate::error::Error;
use crate::output::{self, say};
use clap::Args;
use hirescam::preprocess::PRESETS;
use serde_json::json;

/// List presets.
#[derive(Args)]
pub struct Presets {
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

impl Presets {
    /// Runs the command, and gives the exit code.
    pub fn run(&self) -> Result<u8, Error> {
        for preset in PRESETS.iter() {
            if self.json {
                let record = json!({ "preset": preset.name, "source": preset.source, "preprocess": preset.preprocess });
                output::json(&record)?;
                continue;
            }
            say!("{}", preset.name)?;
            preset.preprocess.lines().iter().try_for_each(|line| say!("    {line}"))?;
            say!("    # {}", preset.source)?;
        }
        Ok(0)
    }
}
