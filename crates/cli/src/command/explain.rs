//! `hirescam explain`: overlay, raw map and record for each image and class.

use crate::error::Error;
use crate::inputs;
use crate::options::{Engine, Runs, What};
use crate::progress;
use clap::Args;
use hirescam::core::certify::Verdict;
use hirescam::methods::{self, Any};
use hirescam::model_file::ModelFile;
use hirescam::overlay::Style;
use hirescam::{Explainer, Explanation, Input, Options};
use indicatif::ProgressBar;
use ndarray_npy::write_npy;
use serde_json::{Value, json};
use std::collections::HashSet;
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
    /// Where pictures, maps and records go
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,
    /// Show negative evidence too, in diverging colours
    #[arg(long)]
    signed: bool,
    /// Print the records on stdout, one JSON object a line, and nothing else
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    runs: Runs,
}

impl Explain {
    /// Runs the command.
    pub fn run(&self) -> Result<ExitCode, Error> {
        let files = inputs::files(&self.images)?;
        let file = ModelFile::open(&self.model)?;
        let mut options = Options {
            engine: self.engine.engine.clone(),
            threads: self.engine.threads,
            library: self.engine.onnxruntime.clone(),
            settings: self.runs.settings(),
            ..self.what.options(&file)?
        };
        // Where neither file nor options say for which size, a ready tensor does.
        if let (None, Some(Ok((Input::Tensor(t), _)))) = (&options.image_shape, files.first().map(|f| inputs::read(f)))
        {
            let image = hirescam::core::head::image_input(&file.model, options.image.as_deref())?;
            let declared = hirescam::core::shape::declared(image);
            if declared.iter().skip(1).any(Option::is_none) {
                options.image_shape = Some(t.shape().to_vec());
            }
        }
        let explainer = Explainer::from_file(&file, &options)?;
        std::fs::create_dir_all(&self.out).map_err(|e| Error::File { path: self.out.clone(), what: e.to_string() })?;
        let several = matches!(methods::method(&options.method)?, Any::SeveralRuns(_));
        let bar = if several { progress::passes() } else { progress::images(files.len()) };
        let mut names = HashSet::new();
        let (mut failed, mut seen) = (0, 0);
        for (i, path) in files.iter().enumerate() {
            let stem = unique(path, &mut names);
            if several && files.len() > 1 {
                bar.set_message(format!("image {} of {}", i + 1, files.len()));
            }
            match self.explain(&explainer, seen, path, &stem, &bar) {
                Ok((text, images)) => {
                    seen += images;
                    bar.suspend(|| print!("{text}"));
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
        bar.finish_and_clear();
        explainer.check_rows(seen)?;
        Ok(ExitCode::from(u8::from(failed > 0)))
    }

    /// Explains one file, whose first image is the image number `first`, and writes what comes of it; returns what to
    /// print, and how many images there were.
    fn explain(
        &self,
        explainer: &Explainer,
        first: usize,
        path: &Path,
        stem: &str,
        bar: &ProgressBar,
    ) -> Result<(String, usize), Error> {
        let (input, hash) = inputs::read(path)?;
        let of_images = explainer.explain_from(first, &[input], &mut |p| progress::watch(bar, p))?;
        let mut text = String::new();
        let several = of_images.len() > 1;
        for (n, explanations) in of_images.iter().enumerate() {
            for (rank, explanation) in explanations.iter().enumerate() {
                let image = if several { format!("-{n}") } else { String::new() };
                let class = if explanations.len() > 1 { format!("-{}", rank + 1) } else { String::new() };
                let base = self.out.join(format!("{stem}{image}{class}"));
                let record = self.write(explanation, explainer, (path, &hash, n), &base)?;
                if self.json {
                    text += &format!("{record}\n");
                } else {
                    text += &summary(explanation, path, &record);
                }
            }
        }
        Ok((text, of_images.len()))
    }

    fn write(
        &self,
        e: &Explanation,
        explainer: &Explainer,
        image: (&Path, &str, usize),
        base: &Path,
    ) -> Result<Value, Error> {
        let ((image, hash, index), preprocess) = (image, explainer.preprocess().filter(|_| e.photo().is_some()));
        let file = |suffix: &str| PathBuf::from(format!("{}.{suffix}", base.display()));
        let (map, picture, record_path) = (file("npy"), file("png"), file("json"));
        write_npy(&map, &e.map).map_err(|err| Error::File { path: map.clone(), what: err.to_string() })?;
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
        let overlay = match e.overlay(self.signed, &style) {
            Ok(drawn) => {
                drawn.save(&picture).map_err(|err| Error::File { path: picture.clone(), what: err.to_string() })?;
                Some(picture)
            }
            // Tensors and maps of other than two axes have no picture; the map is written all the same.
            Err(hirescam::Error::Argument(_)) => None,
            Err(error) => return Err(error.into()),
        };
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
        let text = serde_json::to_string_pretty(&record).map_err(|err| Error::Argument(err.to_string()))?;
        std::fs::write(&record_path, text + "\n")
            .map_err(|err| Error::File { path: record_path, what: err.to_string() })?;
        Ok(record)
    }
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
    for key in ["overlay", "map"] {
        if let Some(path) = record.get(key).and_then(Value::as_str) {
            text += &format!("  {key}: {path}\n");
        }
    }
    text
}
