//! `hirescam strip`: the network without its map.

use crate::error::Error;
use clap::Args;
use hirescam::core::{cam, onnx};
use hirescam::model_file::ModelFile;
use std::path::PathBuf;
use std::process::ExitCode;

/// Take map, class, score and b off an explaining model again.
#[derive(Args)]
pub struct Strip {
    /// The explaining model, an ONNX file
    model: PathBuf,
    /// Where the network goes
    #[arg(short, long, value_name = "OUT.onnx")]
    output_file: PathBuf,
}

impl Strip {
    /// Runs the command.
    pub fn run(&self) -> Result<ExitCode, Error> {
        let file = ModelFile::open(&self.model)?;
        let Some(bare) = cam::strip(file.model.proto())? else {
            return Err(Error::Argument(format!(
                "{} is no explaining model: nothing can be taken off",
                self.model.display()
            )));
        };
        std::fs::write(&self.output_file, onnx::write(&bare))
            .map_err(|e| Error::File { path: self.output_file.clone(), what: e.to_string() })?;
        Ok(ExitCode::SUCCESS)
    }
}
