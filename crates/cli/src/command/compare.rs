//! `hirescam compare`: methods side by side.

use crate::error::Error;
use crate::options::{self, Given, Out, note_missing};
use crate::output::{self, say};
use crate::{inputs, progress};
use clap::Args;
use hirescam::Network;
use hirescam::overlay::Scales;
use hirescam::pipeline::{Comparing, WrittenComparison};
use hirescam::record::Record;
use hirescam::sink::{Folder, Protected};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Compare methods.
#[derive(Args)]
pub struct Compare {
    /// The network, an ONNX file
    model: PathBuf,
    /// Photos, folders of photos, patterns, or ready tensors (.npy) of numbers in the network's own shape, each compared on its
    /// own
    #[arg(required = true)]
    images: Vec<PathBuf>,
    /// Also take the images of the folders within folders
    #[arg(short, long)]
    recursive: bool,
    /// The colour scales: shared, one for all maps in units of the score; own, one for each map; both, in two rows [default: both]
    #[arg(long, value_name = "shared|own|both", value_parser = Scales::from_str)]
    scale: Option<Scales>,
    /// The same as --scale own
    #[arg(long, hide = true, conflicts_with = "scale")]
    own_scale: bool,
    #[command(flatten)]
    out: Out,
    /// Print the record on stdout, one JSON object, and nothing else
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    spec: Given<{ options::ENGINE | options::RUNS | options::COMPARE }>,
}

impl Compare {
    /// Runs the command, and gives the exit code.
    pub fn run(&self) -> Result<u8, Error> {
        let mut spec = self.spec.spec()?;
        let scale = if self.own_scale { Some(Scales::Own) } else { self.scale };
        spec.picture.scale = scale.unwrap_or(spec.picture.scale);
        if spec.method != "hirescam" {
            return Err(Error::Argument(format!("methods are compared by --methods {}", spec.method)));
        }
        let file = Network::open(&self.model)?;
        let files = inputs::images(&self.images, self.recursive)?;
        let mut protected = Protected::new(file.files().iter().chain(&files));
        spec.files().iter().for_each(|path| protected.read(path));
        let comparer = file.comparer(&spec)?;
        let comparing = Comparing { comparer: &comparer, style: spec.picture.style()? };
        let mut folder = Folder::open(&self.out.out, "compare", comparing.run(), protected, self.out.overwrite)?;
        let (bar, mut failed) = (progress::passes(), 0);
        let mut watch = |method: &str, p| {
            bar.set_message(method.to_owned());
            progress::watch(&bar, p);
        };
        let mut each = |path: &Path, made: Result<WrittenComparison, hirescam::Error>| {
            bar.suspend(|| match made {
                Ok(written) => {
                    note_missing(&comparing.style, &written.comparison.caption(spec.picture.scale))?;
                    self.tell(path, &written)
                }
                Err(error) => {
                    if self.json {
                        output::json(&Record::failed(path, None, &error))?;
                    }
                    if files.len() == 1 {
                        return Err(error.into());
                    }
                    failed += 1;
                    output::failed(path, None, &error.into());
                    Ok(())
                }
            })
        };
        comparing.compare(&files, &mut folder, &mut watch, &mut each)?;
        bar.finish_and_clear();
        Ok(u8::from(failed > 0))
    }

    /// Tells what came of an image.
    fn tell(&self, path: &Path, written: &WrittenComparison) -> Result<(), Error> {
        if self.json {
            return output::json(&written.record);
        }
        let mut lines = written.comparison.in_words().into_iter();
        say!("{}: {}", path.display(), lines.next().unwrap_or_default())?;
        lines.try_for_each(|line| say!("{line}"))?;
        match &written.picture {
            Ok(path) => say!("  picture: {}", path.display()),
            Err(why) => say!("  no picture: {why}"),
        }
    }
}
