//! `hirescam compile`: the explaining model.

use crate::error::Error;
use crate::options::What;
use clap::Args;
use hirescam::core::cam::{self, Request};
use hirescam::explainer::request;
use hirescam::methods;
use hirescam::model_file::ModelFile;
use std::path::PathBuf;
use std::process::ExitCode;

/// Write the explaining model.
#[derive(Args)]
pub struct Compile {
    /// The network, an ONNX file
    model: PathBuf,
    /// Where the explaining model goes
    #[arg(short, long, value_name = "OUT.onnx")]
    output_file: PathBuf,
    #[command(flatten)]
    what: What,
}

impl Compile {
    /// Runs the command.
    pub fn run(&self) -> Result<ExitCode, Error> {
        let file = ModelFile::open(&self.model)?;
        let options = self.what.options(&file)?;
        let preprocess = match &options.preprocess {
            Some(p) => Some(p.clone()),
            None => file.preprocess()?.map(|(p, _)| p),
        };
        let method = methods::one_run(&options.method)?;
        let request = Request { method, ..request(&file, &options, preprocess.as_ref())? };
        let all = cam::attach_all(&file.model, &request, &options.further_layers)?;
        let Some(made) = all.first() else { return Err(Error::Argument("no layer is asked for".into())) };
        std::fs::write(&self.output_file, made.to_bytes())
            .map_err(|e| Error::File { path: self.output_file.clone(), what: e.to_string() })?;
        println!("{}: {}", self.output_file.display(), options.method);
        for e in &all {
            println!("  {} and {}: at {}, {}", e.outputs.map, e.outputs.b, e.head.layer, e.certificate.verdict);
        }
        println!("  {} and {}: of the same", made.outputs.class, made.outputs.score);
        Ok(ExitCode::SUCCESS)
    }
}
