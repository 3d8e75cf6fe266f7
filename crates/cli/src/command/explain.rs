//! `hirescam explain`: overlay, raw map and record for each image and class.

use crate::error::Error;
use crate::options::{Engine, Look, Out, Runs, What, note_missing};
use crate::output::{self, say};
use crate::progress;
use clap::Args;
use hirescam::fusion::Fuse;
use hirescam::methods::{self, Any};
use hirescam::model_file::ModelFile;
use hirescam::pipeline::{Made, Outcome, Pipeline, Written};
use hirescam::sink::{Folder, Protected};
use hirescam::{Explainer, Explanation, Options, source};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Explain images.
#[derive(Args)]
pub struct Explain {
    /// The network, an ONNX file
    model: PathBuf,
    /// Photos, folders of photos, patterns, or ready float32 tensors (.npy) in the network's own shape
    #[arg(required = true)]
    images: Vec<PathBuf>,
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    engine: Engine,
    #[command(flatten)]
    out: Out,
    /// Show negative evidence too, in diverging colours
    #[arg(long)]
    signed: bool,
    #[command(flatten)]
    look: Look,
    /// Draw no pictures: maps and records only
    #[arg(long)]
    no_overlay: bool,
    /// With several layers, put their maps into one more picture: the mean or the max of the maps, each rectified and
    /// divided by its maximum. It is for the eye: nothing that is proven of the maps holds for it
    #[arg(long, value_name = "mean|max")]
    fuse: Option<Fuse>,
    /// Print the records on stdout, one JSON object a line, and nothing else
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    runs: Runs,
}

impl Explain {
    /// Runs the command.
    pub fn run(&self) -> Result<ExitCode, Error> {
        if self.fuse.is_some() && self.what.layers.len() < 2 {
            return Err(Error::Argument("--fuse takes the maps of several layers: give --layer more than once".into()));
        }
        let files = source::files(&self.images)?;
        let file = ModelFile::open(&self.model)?;
        let options = Options {
            engine: self.engine.engine.clone(),
            threads: self.engine.threads,
            device: self.engine.device,
            library: self.engine.onnxruntime.clone(),
            settings: self.runs.settings(),
            ..self.what.options(&file)?
        };
        let mut protected = Protected::new(file.files().iter().chain(&files));
        self.what.files().iter().chain(&self.look.colours.font).for_each(|path| protected.read(path));
        let explainer = Explainer::of(file, &options)?;
        let pipeline = Pipeline {
            explainer: &explainer,
            pictures: !self.no_overlay,
            signed: self.signed,
            style: self.look.style()?,
            fuse: self.fuse,
            options: json!({
                "what": self.what, "engine": self.engine, "runs": self.runs, "look": self.look, "signed": self.signed,
            }),
        };
        let mut folder = Folder::open(&self.out.out, "explain", pipeline.run(), protected, self.out.overwrite)?;
        let several = matches!(methods::method(&options.method)?, Any::SeveralRuns(_));
        let bar = if several { progress::passes() } else { progress::images(files.len()) };
        let mut failed = 0;
        pipeline.explain(
            &files,
            &mut folder,
            &mut |p| {
                if several && files.len() > 1 {
                    bar.set_message(format!("image {}", p.image + 1));
                }
                progress::watch(&bar, p);
            },
            &mut |Outcome { file, images }| {
                match images {
                    Ok(images) => {
                        for written in images.iter().flatten() {
                            if let Made::Map(e) = &written.made {
                                bar.suspend(|| note_missing(&pipeline.style, &e.caption()))?;
                            }
                            bar.suspend(|| match self.json {
                                true => output::json(&written.record),
                                false => lines(written, file).iter().try_for_each(|line| say!("{line}")),
                            })?;
                        }
                    }
                    Err(error) if files.len() == 1 => return Err(error.into()),
                    Err(error) => {
                        failed += 1;
                        bar.suspend(|| output::failed(file, &error.into()));
                    }
                }
                if !several {
                    bar.inc(1);
                }
                Ok::<(), Error>(())
            },
        )?;
        bar.finish_and_clear();
        Ok(ExitCode::from(u8::from(failed > 0)))
    }
}

/// What is said of a result, a line each.
fn lines(written: &Written, file: &Path) -> Vec<String> {
    let mut lines = match &written.made {
        Made::Map(e) => of_map(e, file),
        Made::Fused(fused) => vec![format!("  {}", fused.in_words())],
    };
    let line = |(key, says): (&str, &str)| Some(format!("  {says}: {}", written.record.get(key)?.as_str()?));
    lines.extend([("overlay", "overlay"), ("no_overlay", "no picture"), ("map", "map")].into_iter().filter_map(line));
    lines
}

fn of_map(e: &Explanation, file: &Path) -> Vec<String> {
    // Only classes have one.
    let probability = match e.probability.is_nan() {
        true => String::new(),
        false => format!(", probability {:.1} %", 100.0 * e.probability),
    };
    let mut lines = vec![
        format!("{}: {} (score {:.4}{probability})", file.display(), e.name(), e.score),
        format!("  {} at {}", e.shared.method.title, e.shared.layer),
    ];
    lines.extend(e.in_words().iter().map(|line| format!("  {line}")));
    lines
}
