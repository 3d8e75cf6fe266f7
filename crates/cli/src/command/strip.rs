//! `hirescam strip`: the network without its map.

use crate::error::Error;
use clap::Args;
use hirescam::Network;
use hirescam::sink::{self, Protected};
use std::path::PathBuf;

/// Take all that was added off an explaining model again: the network's own file, byte for byte.
#[derive(Args)]
pub struct Strip {
    /// The explaining model, an ONNX file
    model: PathBuf,
    /// Where the network goes; weights in files of their own are copied beside it
    #[arg(short, long, value_name = "OUT.onnx")]
    output_file: PathBuf,
    /// Replace the file of that name, where it is another one
    #[arg(long)]
    overwrite: bool,
}

impl Strip {
    /// Runs the command, and gives the exit code.
    pub fn run(&self) -> Result<u8, Error> {
        let file = Network::open(&self.model)?;
        let Some(bare) = file.strip()? else {
            return Err(Error::Argument(format!(
                "{} is no explaining model: nothing can be taken off",
                self.model.display()
            )));
        };
        let mut protected = Protected::new(file.files());
        sink::claim(&self.output_file, &mut protected, self.overwrite, |there| there == bare)?;
        file.save(&self.output_file, &bare)?;
        Ok(0)
    }
}
