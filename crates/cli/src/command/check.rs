//! `hirescam check`: how far maps can be trusted on a network, and on images of one's own.

use crate::error::Error;
use crate::options::{self, Given};
use crate::output::{self, folder_of, say};
use crate::{inputs, progress};
use clap::Args;
use hirescam::Network;
use hirescam::record::Record;
use hirescam::sink::{self, Protected};
use hirescam::{html, source};
use std::path::PathBuf;

/// Check a network.
#[derive(Args)]
pub struct Check {
    /// The network, an ONNX file
    model: PathBuf,
    /// Photos, folders of photos, patterns, or ready tensors (.npy) of numbers in the network's own shape; without any, only
    /// what is proven is reported
    images: Vec<PathBuf>,
    /// Also take the images of the folders within folders
    #[arg(short, long)]
    recursive: bool,
    /// The seed of the randomised weights [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How many activations are run at once; the memory goes with it [default: 16]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Print the report on stdout as one JSON object
    #[arg(long)]
    json: bool,
    /// Write the report as one HTML page, with pictures, too
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Replace the file of that name, where it is another than a page that was made here
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    spec: Given<{ options::ENGINE | options::CHECK }>,
}

impl Check {
    /// Runs the command, and gives the exit code.
    pub fn run(&self) -> Result<u8, Error> {
        let mut spec = self.spec.spec()?;
        if spec.method != "hirescam" {
            return Err(Error::Argument(format!("methods are checked by --methods {}", spec.method)));
        }
        spec.settings.seed = self.seed.unwrap_or(spec.settings.seed);
        spec.settings.batch = self.batch.unwrap_or(spec.settings.batch);
        let file = Network::open(&self.model)?;
        let files = if self.images.is_empty() { Vec::new() } else { inputs::images(&self.images, self.recursive)? };
        let mut protected = Protected::new(file.files().iter().chain(&files));
        spec.files().iter().for_each(|path| protected.read(path));
        // Before the work, not after it.
        if let Some(path) = &self.html {
            folder_of(path)?;
            sink::claim(path, &mut protected, self.overwrite, html::is_ours)?;
        }
        let bar = progress::steps();
        let report = file.check(&spec, &mut source::inputs(&files), &mut |step| {
            bar.set_message(step.what.to_owned());
            bar.set_length(step.of as u64);
            bar.set_position(step.done as u64);
        });
        bar.finish_and_clear();
        let report = report?;
        if let Some(path) = &self.html {
            sink::write(path, report.html().as_bytes())?;
        }
        if self.json {
            output::json(&Record::Check(Box::new(report.clone())))?;
        } else {
            report.lines().iter().try_for_each(|line| say!("{line}"))?;
        }
        report.error.iter().for_each(|error| output::error(error));
        Ok(u8::from(report.has_failures()))
    }
}
