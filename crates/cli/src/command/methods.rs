//! `hirescam methods`: how maps can be made.

use crate::error::Error;
use crate::output::{self, say};
use clap::Args;
use hirescam::methods;
use serde_json::json;

/// List methods.
#[derive(Args)]
pub struct Methods {
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

impl Methods {
    /// Runs the command, and gives the exit code.
    pub fn run(&self) -> Result<u8, Error> {
        for row in methods::rows() {
            if self.json {
                let record = json!({
                    "method": row.name,
                    "title": row.title,
                    "formula": row.formula,
                    "forward_passes": row.cost,
                    "proven": row.proven,
                    "in_units_of_the_score": row.scored,
                    "source": row.source,
                });
                output::json(&record)?;
                continue;
            }
            say!("{:21} {}", row.name, row.title)?;
            say!("    map      {}", row.formula)?;
            say!("    passes   {}", row.cost)?;
            say!("    proven   {}", row.proven)?;
            say!("    source   {}", row.source)?;
        }
        Ok(0)
    }
}
