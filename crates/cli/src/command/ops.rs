//! `hirescam ops`: the operators that are known.

use crate::error::Error;
use crate::output::{self, say};
use clap::Args;
use hirescam::core::ops::list;
use serde_json::json;

/// List operators.
#[derive(Args)]
pub struct Ops {
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

impl Ops {
    /// Runs the command, and gives the exit code.
    pub fn run(&self) -> Result<u8, Error> {
        for row in list::rows() {
            if self.json {
                let record = json!({
                    "operator": row.operator,
                    "domain": row.domain,
                    "since": row.since,
                    "until": row.until,
                    "derivative": row.derivative.to_string(),
                    "function": row.function,
                    "limits": row.limits,
                });
                output::json(&record)?;
                continue;
            }
            let sets = match (row.since, row.until) {
                (Some(since), Some(until)) => format!("{since}-{until}"),
                (Some(since), None) => format!("{since}-"),
                (None, _) => String::new(),
            };
            let derivative = format!("derivative {}", row.derivative);
            let line = format!("{:28} {sets:6} {derivative:21} {:26} {}", row.full_name(), row.function, row.limits);
            say!("{}", line.trim_end())?;
        }
        Ok(0)
    }
}
