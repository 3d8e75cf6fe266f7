//! `hirescam compile`: the explaining model.

use crate::error::Error;
use crate::options::{self, Given};
use crate::output::say;
use crate::triton;
use clap::Args;
use hirescam::Network;
use hirescam::sink::{self, Protected};
use std::path::PathBuf;

/// Write the explaining model.
#[derive(Args)]
pub struct Compile {
    /// The network, an ONNX file
    model: PathBuf,
    /// Where the explaining model goes
    #[arg(short, long, value_name = "OUT.onnx", required_unless_present = "triton")]
    output_file: Option<PathBuf>,
    /// One more output, `heatmap`, for display: the map rectified, divided by its largest value and resized bilinearly, to
    /// the image's own size or to the one given; 0 to 1
    #[arg(long, value_name = "HEIGHTxWIDTH", num_args = 0..=1, default_missing_value = "image")]
    heatmap: Option<String>,
    /// Write an entry of a model repository of Triton Inference Server: DIR/NAME/config.pbtxt and DIR/NAME/1/model.onnx,
    /// NAME being the network's file name
    #[arg(long, value_name = "DIR")]
    triton: Option<PathBuf>,
    /// Replace files of these names, where they are others than explaining models
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    spec: Given<{ options::NETWORK }>,
}

impl Compile {
    /// Runs the command, and gives the exit code.
    pub fn run(&self) -> Result<u8, Error> {
        let (file, spec) = (Network::open(&self.model)?, self.spec.spec()?);
        let mut protected = Protected::new(file.files());
        spec.files().iter().for_each(|path| protected.read(path));
        if let Some(path) = &self.output_file {
            sink::claim(path, &mut protected, self.overwrite, triton::is_explaining)?;
        }
        let made = file.explaining_model(&spec, self.heatmap.as_deref().map(str::parse).transpose()?)?;
        if let Some(path) = &self.output_file {
            file.save(path, &made.bytes)?;
            say!("{}: {}", path.display(), made.methods())?;
        }
        if let Some(folder) = &self.triton {
            say!("{}: {}", triton::write(folder, &file, &made, self.overwrite)?.display(), made.methods())?;
        }
        made.in_words().iter().try_for_each(|line| say!("  {line}"))?;
        Ok(0)
    }
}
