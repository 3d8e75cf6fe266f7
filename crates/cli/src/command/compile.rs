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
        let made = cam::attach(&file.model, &request)?;
        std::fs::write(&self.output_file, made.to_bytes())
            .map_err(|e| Error::File { path: self.output_file.clone(), what: e.to_string() })?;
        let o = &made.outputs;
        println!(
            "{}: {} at {}, {}",
            self.output_file.display(),
            options.method,
            made.head.layer,
            made.certificate.verdict
        );
        println!("  added outputs: {}, {}, {}, {}", o.map, o.class, o.score, o.b);
        Ok(ExitCode::SUCCESS)
    }
}
