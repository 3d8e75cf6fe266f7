//! `hirescam explain`: overlay, raw map and record for each image and class.

use crate::error::Error;
use crate::inputs;
use crate::options::{Engine, Runs, What};
use crate::output::say;
use crate::progress;
use clap::Args;
use hirescam::core::certify::Verdict;
use hirescam::fusion::{Fuse, fuse};
use hirescam::methods::{self, Any, Progress};
use hirescam::model_file::ModelFile;
use hirescam::overlay::Style;
use hirescam::{Explainer, Explanation, Input, Options};
use image::RgbImage;
use indicatif::ProgressBar;
use ndarray::ArrayD;
use ndarray_npy::write_npy;
use rayon::prelude::*;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// No more files are held in memory at a time.
const MOST_TOGETHER: usize = 32;

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
    /// Where pictures, maps and records go
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,
    /// Show negative evidence too, in diverging colours
    #[arg(long)]
    signed: bool,
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
        let files = inputs::files(&self.images)?;
        let file = ModelFile::open(&self.model)?;
        let mut options = Options {
            engine: self.engine.engine.clone(),
            threads: self.engine.threads,
            device: self.engine.device,
            library: self.engine.onnxruntime.clone(),
            settings: self.runs.settings(),
            ..self.what.options(&file)?
        };
        // Where neither file nor options say for which size, a ready tensor does.
        if let (None, Some(path)) = (&options.image_shape, files.first()) {
            options.image_shape = inputs::shape(&file.model, options.image.as_deref(), path)?;
        }
        let explainer = Explainer::of(file, &options)?;
        std::fs::create_dir_all(&self.out).map_err(|e| Error::File { path: self.out.clone(), what: e.to_string() })?;
        let several = matches!(methods::method(&options.method)?, Any::SeveralRuns(_));
        let bar = if several { progress::passes() } else { progress::images(files.len()) };
        let mut names = HashSet::new();
        let (mut failed, mut seen) = (0, 0);
        // Methods of several runs tell how far they are with each image.
        let together = if several { 1 } else { (2 * rayon::current_num_threads()).min(MOST_TOGETHER) };
        for (i, part) in files.chunks(together).enumerate() {
            if several && files.len() > 1 {
                bar.set_message(format!("image {} of {}", i + 1, files.len()));
            }
            let part: Vec<(&Path, String)> = part.iter().map(|p| (p.as_path(), unique(p, &mut names))).collect();
            for ((path, _), made) in part.iter().zip(self.explain(&explainer, seen, &part, &bar)) {
                match made {
                    Ok((text, images)) => {
                        seen += images;
                        bar.suspend(|| say!("{}", text.trim_end()))?;
                    }
                    Err(error) if files.len() == 1 => return Err(error),
                    Err(error) => {
                        // Its row counts all the same.
                        seen += 1;
                        failed += 1;
                        bar.suspend(|| eprintln!("error: {}: {error}", path.display()));
                    }
                }
                if !several {
                    bar.inc(1);
                }
            }
        }
        bar.finish_and_clear();
        explainer.check_rows(seen)?;
        Ok(ExitCode::from(u8::from(failed > 0)))
    }

    /// Explains files, whose first image is the image number `first`, and writes what comes of them; returns of each what to
    /// print, and how many images there were.
    fn explain(
        &self,
        explainer: &Explainer,
        first: usize,
        files: &[(&Path, String)],
        bar: &ProgressBar,
    ) -> Vec<Result<(String, usize), Error>> {
        let read: Vec<_> = files.par_iter().map(|(path, _)| inputs::read(path)).collect();
        let explained = explained(explainer, first, read, &mut |p| progress::watch(bar, p));
        let written = explained.into_par_iter().zip(files).map(|(made, (path, stem))| {
            let (of_images, hash) = made?;
            Ok((self.write_all(explainer, &of_images, (path, &hash), stem)?, of_images.len()))
        });
        written.collect()
    }

    /// Writes what was made of the images in one file; returns what to print.
    fn write_all(
        &self,
        explainer: &Explainer,
        of_images: &[Vec<Explanation>],
        (path, hash): (&Path, &str),
        stem: &str,
    ) -> Result<String, Error> {
        let mut text = String::new();
        let several = of_images.len() > 1;
        for (n, explanations) in of_images.iter().enumerate() {
            let image = if several { format!("-{n}") } else { String::new() };
            let layers = explainer.layers().count();
            for (rank, of_class) in explanations.chunks(layers).enumerate() {
                let class = if explanations.len() > layers { format!("-{}", rank + 1) } else { String::new() };
                for (i, explanation) in of_class.iter().enumerate() {
                    let layer = if layers > 1 { format!("-layer{}", i + 1) } else { String::new() };
                    let base = self.out.join(format!("{stem}{image}{class}{layer}"));
                    let record = self.write(explanation, explainer, (path, hash, n), &base)?;
                    text += &if self.json { format!("{record}\n") } else { summary(explanation, path, &record) };
                }
                if let Some(how) = self.fuse {
                    let base = self.out.join(format!("{stem}{image}{class}-fused"));
                    let record = self.write_fused(of_class, how, (path, hash, n), &base)?;
                    text += &if self.json { format!("{record}\n") } else { of_fused(&record) };
                }
            }
        }
        Ok(text)
    }

    fn write(
        &self,
        e: &Explanation,
        explainer: &Explainer,
        image: (&Path, &str, usize),
        base: &Path,
    ) -> Result<Value, Error> {
        let ((image, hash, index), preprocess) = (image, explainer.preprocess().filter(|_| e.photo().is_some()));
        let map = write_map(&e.map, base)?;
        let style = Style {
            title: match (e.shared.certificate.verdict, e.shared.certificate.scale) {
                (Verdict::Exact | Verdict::LocallyLinear, 1) => "contribution to the score".into(),
                (Verdict::Exact | Verdict::LocallyLinear, places) => format!("{places} × contribution to the score"),
                _ if e.shared.method.scored => format!("{}, in units of the score", e.shared.method.title),
                _ => e.shared.method.title.into(),
            },
            caption: format!(
                "{} {:.2} · {} at {} · {}",
                e.name(),
                e.score,
                e.shared.method.title,
                e.shared.layer,
                e.shared.certificate.verdict
            ),
            ..Style::default()
        };
        let overlay = write_picture(e.overlay(self.signed, &style), base)?;
        let c = &e.shared.certificate;
        let record = json!({
            "model": self.model,
            "model_sha256": e.shared.model_sha256,
            "image": image,
            "image_sha256": hash,
            "image_index": index,
            "method": e.shared.method.name,
            "layer": e.shared.layer,
            "output": e.shared.output,
            "final_activation": e.shared.activation,
            "target": e.shared.target.to_string(),
            "class": e.class,
            "label": e.label(),
            "score": e.score,
            "probability": e.probability,
            "sum": e.sum,
            "other_tokens": e.other_tokens,
            "bias": e.bias,
            "residual": e.residual,
            "residual_relative": e.residual.abs() / e.score.abs().max(f64::MIN_POSITIVE),
            "verdict": c.verdict.to_string(),
            "reason": c.reason,
            "bypass": c.bypass,
            "uniform": c.uniform,
            "scale": c.scale,
            "caution": c.caution,
            "certificate": e.in_words(),
            "note": "locality holds at the layer's resolution; resizing to the image spreads it, and receptive fields overlap",
            "map": map,
            "map_shape": e.map.shape(),
            "overlay": overlay,
            "engine": e.shared.engine,
            "engine_version": e.shared.engine_version,
            "version": env!("CARGO_PKG_VERSION"),
            "preprocess": preprocess,
            "options": { "what": self.what, "engine": self.engine, "runs": self.runs, "signed": self.signed },
        });
        write_record(&record, base)?;
        Ok(record)
    }

    /// Writes the maps of one class at several layers as one.
    fn write_fused(
        &self,
        explanations: &[Explanation],
        how: Fuse,
        (image, hash, index): (&Path, &str, usize),
        base: &Path,
    ) -> Result<Value, Error> {
        let fused = fuse(&explanations.iter().collect::<Vec<_>>(), how)?;
        let map = write_map(&fused.map, base)?;
        let name = explanations.first().map_or(String::new(), Explanation::name);
        let method = explanations.first().map_or("", |e| e.shared.method.title);
        let style = Style {
            title: "for the eye, without a unit".into(),
            caption: format!("{name} · {method} · {how} of {} layers, each divided by its maximum", fused.layers.len()),
            range: Some((0.0, 1.0)),
            ..Style::default()
        };
        let overlay = write_picture(fused.overlay(&style), base)?;
        let record = json!({
            "model": self.model,
            "image": image,
            "image_sha256": hash,
            "image_index": index,
            "fused": how.to_string(),
            "layers": fused.layers,
            "name": name,
            "certificate": [fused.in_words()],
            "map": map,
            "map_shape": fused.map.shape(),
            "overlay": overlay,
            "version": env!("CARGO_PKG_VERSION"),
            "options": { "what": self.what, "engine": self.engine, "runs": self.runs, "signed": self.signed },
        });
        write_record(&record, base)?;
        Ok(record)
    }
}

/// What was made of the images in a file, and the file's hash.
type Explained = Result<(Vec<Vec<Explanation>>, String), Error>;

/// Explains files that were read, whose first image is the image number `first`: together, or where that fails one after the
/// other, so that one which fails keeps no other from its maps.
fn explained(
    explainer: &Explainer,
    mut first: usize,
    read: Vec<Result<(Input, String), Error>>,
    watch: &mut dyn FnMut(Progress),
) -> Vec<Explained> {
    let inputs: Option<Vec<Input>> = read.iter().map(|r| Some(r.as_ref().ok()?.0.clone())).collect();
    let inputs = inputs.filter(|inputs| inputs.len() > 1);
    let made = inputs.and_then(|inputs| explainer.explain_from(first, &inputs, watch).ok());
    let mut made = made.map(Vec::into_iter);
    let one = |read: Result<(Input, String), Error>| {
        let explained = read.and_then(|(input, hash)| match &mut made {
            Some(made) => Ok((made.by_ref().take(input.images()).collect::<Vec<_>>(), hash)),
            None => Ok((explainer.explain_from(first, &[input], watch)?, hash)),
        });
        // The row of one that failed counts all the same.
        first += explained.as_ref().map_or(1, |(images, _)| images.len());
        explained
    };
    read.into_iter().map(one).collect()
}

fn of_base(base: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}.{suffix}", base.display()))
}

fn write_map(map: &ArrayD<f32>, base: &Path) -> Result<PathBuf, Error> {
    let path = of_base(base, "npy");
    write_npy(&path, map).map_err(|error| Error::File { path: path.clone(), what: error.to_string() })?;
    Ok(path)
}

/// Writes a picture where there is one: tensors and maps of other than two axes have none; the map is written all the same.
fn write_picture(drawn: Result<RgbImage, hirescam::Error>, base: &Path) -> Result<Option<PathBuf>, Error> {
    let path = of_base(base, "png");
    match drawn {
        Ok(drawn) => {
            drawn.save(&path).map_err(|error| Error::File { path: path.clone(), what: error.to_string() })?;
            Ok(Some(path))
        }
        Err(hirescam::Error::Argument(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn write_record(record: &Value, base: &Path) -> Result<(), Error> {
    let path = of_base(base, "json");
    let text = serde_json::to_string_pretty(record).map_err(|error| Error::Argument(error.to_string()))?;
    std::fs::write(&path, text + "\n").map_err(|error| Error::File { path, what: error.to_string() })
}

/// A name for an image's files that no other image of this run has.
fn unique(path: &Path, taken: &mut HashSet<String>) -> String {
    let stem = path.file_stem().map_or("image".into(), |s| s.to_string_lossy().into_owned());
    let mut name = stem.clone();
    let mut n = 2;
    while !taken.insert(name.clone()) {
        name = format!("{stem}_{n}");
        n += 1;
    }
    name
}

fn summary(e: &Explanation, path: &Path, record: &Value) -> String {
    // Only classes have one.
    let probability = match e.probability.is_nan() {
        true => String::new(),
        false => format!(", probability {:.1} %", 100.0 * e.probability),
    };
    let mut text = format!("{}: {} (score {:.4}{probability})\n", path.display(), e.name(), e.score);
    text += &format!("  {} at {}\n", e.shared.method.title, e.shared.layer);
    for line in e.in_words() {
        text += &format!("  {line}\n");
    }
    text += &files(record);
    text
}

fn of_fused(record: &Value) -> String {
    let words = record.pointer("/certificate/0").and_then(Value::as_str).unwrap_or("");
    format!("  {words}\n{}", files(record))
}

/// The files that were written.
fn files(record: &Value) -> String {
    let path = |key: &&str| Some(format!("  {key}: {}\n", record.get(key)?.as_str()?));
    ["overlay", "map"].iter().filter_map(path).collect()
}
