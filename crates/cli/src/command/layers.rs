//! `hirescam layers`: what one can explain at.

use crate::error::Error;
use crate::options::{self, Given};
use crate::output::{self, say};
use clap::Args;
use hirescam::Network;
use std::path::PathBuf;

/// List layers.
#[derive(Args)]
pub struct Layers {
    /// The network, an ONNX file
    model: PathBuf,
    #[command(flatten)]
    spec: Given<{ options::NETWORK }>,
    /// Every tensor, those inside branches too
    #[arg(long)]
    all: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

impl Layers {
    /// Runs the command, and gives the exit code.
    pub fn run(&self) -> Result<u8, Error> {
        let found = Network::open(&self.model)?.layers(&self.spec.spec()?, self.all)?;
        found.note.iter().for_each(|note| output::note(note));
        let width = found.rows.iter().map(|row| row.layer.len()).max().unwrap_or(0);
        for row in &found.rows {
            match self.json {
                true => output::json(row)?,
                false => say!("{}", row.in_words(width))?,
            }
        }
        Ok(0)
    }
}
