//! `hirescam explain`: overlay, raw map and record for each image and class.

use crate::error::Error;
use crate::options::{self, Given, Out, note_missing};
use crate::report::Report;
use crate::{inputs, output, progress};
use clap::Args;
use hirescam::Network;
use hirescam::fusion::Fuse;
use hirescam::overlay::Arrangement;
use hirescam::pipeline::{Outcome, Pipeline};
use hirescam::sink::{Folder, Gallery, Protected, Table};
use hirescam::summary::Summary;
use hirescam::{Progress, Spec};
use std::path::PathBuf;

/// Explain images.
#[derive(Args)]
pub struct Explain {
    /// The network, an ONNX file
    model: PathBuf,
    /// Photos, folders of photos, patterns, or ready tensors (.npy) of numbers in the network's own shape
    #[arg(required = true)]
    images: Vec<PathBuf>,
    #[command(flatten)]
    out: Out,
    /// Also take the images of the folders within folders
    #[arg(short, long)]
    recursive: bool,
    /// A page with all images, too: overlay, class, score, Σ map and verdict of each. It holds all it shows
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// A table of all results, too, a line each
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Draw no overlays: maps and records only
    #[arg(long)]
    no_overlay: bool,
    /// With several layers, put their maps into one more picture: the mean or the max of the maps, each rectified and
    /// divided by its maximum. It is for the eye: nothing that is proven of the maps holds for it
    #[arg(long, value_name = "mean|max")]
    fuse: Option<Fuse>,
    /// Print the records on stdout, one JSON object a line, and nothing else
    #[arg(long)]
    json: bool,
    /// The overlay alone in the photo's own pixels, without colour bar and words
    #[arg(long, conflicts_with = "beside", help_heading = "Pictures")]
    plain: bool,
    /// The photo as it is, and the overlay to the right of it
    #[arg(long, help_heading = "Pictures")]
    beside: bool,
    #[command(flatten)]
    spec: Given<{ options::ENGINE | options::RUNS }>,
}

impl Explain {
    /// The spec, with the options that other commands do not have.
    fn spec(&self) -> Result<Spec, Error> {
        let mut spec = self.spec.spec()?;
        spec.picture.fuse = self.fuse.or(spec.picture.fuse);
        if self.plain || self.beside {
            spec.picture.layout = if self.plain { Arrangement::Plain } else { Arrangement::Beside };
        }
        Ok(spec)
    }

    /// Runs the command, and gives the exit code.
    pub fn run(&self) -> Result<u8, Error> {
        let file = Network::open(&self.model)?;
        let spec = self.spec()?;
        if spec.picture.fuse.is_some() && spec.layers_of(&file).len() < 2 {
            return Err(Error::Argument("--fuse takes the maps of several layers: give --layer more than once".into()));
        }
        let files = inputs::images(&self.images, self.recursive)?;
        let mut protected = Protected::new(file.files().iter().chain(&files));
        spec.files().iter().for_each(|path| protected.read(path));
        [&self.csv, &self.html].into_iter().flatten().try_for_each(|path| output::folder_of(path))?;
        let table =
            self.csv.as_ref().map(|path| Table::create(path, &mut protected, self.out.overwrite)).transpose()?;
        let title = format!("Explained by {}", self.model.display());
        let page = |path: &PathBuf| Gallery::create(path, &title, &mut protected, self.out.overwrite);
        let gallery = self.html.as_ref().map(page).transpose()?;
        let explainer = file.into_explainer(&spec)?;
        let pipeline = Pipeline {
            explainer: &explainer,
            pictures: !self.no_overlay,
            thumbnails: gallery.is_some(),
            style: spec.picture.style()?,
        };
        let mut folder = Folder::open(&self.out.out, "explain", pipeline.run(), protected, self.out.overwrite)?;
        let several = explainer.takes_several_runs();
        let bar = if several { progress::passes() } else { progress::images(files.len()) };
        let one = files.len() == 1;
        let mut report = Report { json: self.json, one, table, gallery, summary: Summary::default() };
        let mut watch = |p: Progress| {
            if several && !one {
                bar.set_message(format!("image {}", p.sample + 1));
            }
            progress::watch(&bar, p);
        };
        let mut each = |outcome: Outcome| {
            bar.suspend(|| {
                outcome.captions().try_for_each(|caption| note_missing(&pipeline.style, &caption))?;
                report.tell(outcome)
            })?;
            if !several {
                bar.inc(1);
            }
            Ok::<(), Error>(())
        };
        let explained = pipeline.explain(&files, &mut folder, &mut watch, &mut each);
        bar.finish_and_clear();
        // What was told before an error stays told; where nothing was, nothing is replaced.
        let ended = match explained.is_ok() || !report.is_empty() {
            true => report.end(folder.path(), folder.replaced()),
            false => Ok(0),
        };
        explained?;
        Ok(u8::from(ended? > 0))
    }
}
