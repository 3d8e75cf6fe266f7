//! `hirescam compare`: methods side by side.

use crate::error::Error;
use crate::options::{self, Given, Out, note_missing};
use crate::output::{self, say};
use crate::{inputs, progress};
use clap::Args;
use hirescam::Network;
use hirescam::comparison::Comparison;
use hirescam::overlay::Scales;
use hirescam::record::{Origin, Record};
use hirescam::sink::{self, Folder, Protected};
use hirescam::{Explanation, Sample, Spec, source};
use indicatif::ProgressBar;
use serde_json::json;
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
    /// The methods; `hirescam methods` lists them
    #[arg(long, value_name = "METHODS", value_delimiter = ',', default_values = METHODS)]
    methods: Vec<String>,
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
    spec: Given<{ options::ALL }>,
}

/// What people compare with, as far as one run is enough for it.
const METHODS: [&str; 6] = ["hirescam", "gradcam", "gradcam++", "xgradcam", "layercam", "eigencam"];

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
        let run = json!([env!("CARGO_PKG_VERSION"), file.sha256(), spec.contents(&file), self.methods, spec,]);
        let mut folder =
            Folder::open(&self.out.out, "compare", sink::fingerprint(&run), protected, self.out.overwrite)?;
        let names = folder.names(&files, source::hash)?;
        let (bar, mut failed) = (progress::passes(), 0);
        for (number, (path, name)) in files.iter().zip(&names).enumerate() {
            let made = self.one((number, path, name), &file, &spec, &mut folder, &bar);
            match made {
                Ok((record, lines)) => bar.suspend(|| match self.json {
                    true => output::json(&record),
                    false => lines.iter().try_for_each(|line| say!("{line}")),
                })?,
                Err(error) => {
                    if let (true, Error::Explain(error)) = (self.json, &error) {
                        output::json(&Record::failed(path, None, error))?;
                    }
                    if files.len() == 1 {
                        return Err(error);
                    }
                    failed += 1;
                    bar.suspend(|| output::failed(path, None, &error));
                }
            }
        }
        bar.finish_and_clear();
        Ok(u8::from(failed > 0))
    }

    /// Compares the methods on one image and writes what comes of it: the record, and what to say.
    fn one(
        &self,
        (number, path, name): (usize, &Path, &str),
        file: &Network,
        spec: &Spec,
        folder: &mut Folder,
        bar: &ProgressBar,
    ) -> Result<(Record, Vec<String>), Error> {
        let (input, hash) = source::read(path)?;
        let sample = Sample::new(path.to_string_lossy(), input).with_row(number);
        let compared = file.compare(spec, &self.methods, &sample, &mut |method, p| {
            bar.set_message(method.to_owned());
            progress::watch(bar, p);
        })?;
        let claim = folder.claim(name, &["-compared".into()], &hash)?;
        let Some(base) = claim.bases.first() else { return Err(Error::Argument("there is no name".into())) };
        let mut parts = Vec::new();
        let (mut picture, mut no_picture) = (None, None);
        let style = spec.picture.style()?;
        bar.suspend(|| note_missing(&style, &compared.caption(spec.picture.scale)))?;
        match compared.picture(spec.picture.signed, spec.picture.scale, &style) {
            Ok(drawn) => {
                parts.push(("png", sink::png(&drawn)?));
                picture = Some(sink::part_of(base, "png"));
            }
            // Tensors and maps of other than two axes have no picture.
            Err(hirescam::Error::Argument(why)) => no_picture = Some(why),
            Err(error) => return Err(error.into()),
        }
        let made = picture.as_deref().ok_or_else(|| no_picture.clone().unwrap_or_default());
        let origin = Origin::new(path, Some(&hash), Some(0));
        let record = Record::comparison(&compared, origin, spec, made, folder.mark(&claim.sample));
        parts.push(("json", record.to_json()?));
        sink::put(base, &parts)?;
        claim.clear();
        let lines = table(&compared, path, picture.as_deref(), no_picture.as_deref());
        Ok((record, lines))
    }
}

/// What is said of a comparison, a line each.
fn table(compared: &Comparison, path: &Path, picture: Option<&Path>, no_picture: Option<&str>) -> Vec<String> {
    let e = &compared.hirescam;
    let mut lines = vec![
        format!("{}: {} (score {:.4}) at {}", path.display(), e.name(), e.score, e.shared.layer),
        format!("  {:21} {:>11} {:>11} {:>11} {:>13}  {}", "method", "sum", "b", "residual", "HiResCAM ≤ 0", "proven"),
    ];
    for m in &compared.methods {
        let of = &m.explanation;
        let shown = |value: Option<f64>| value.map_or("-".into(), |v| format!("{v:.4}"));
        let (sum, b, residual) = (shown(of.residual.map(|_| of.sum)), shown(of.bias), shown(of.tested()));
        let outside = m.outside.map_or("-".into(), |share| format!("{:.1} %", 100.0 * share));
        let place = if of.shared.layer == e.shared.layer { String::new() } else { format!(", at {}", of.shared.layer) };
        lines.push(format!(
            "  {:21} {sum:>11} {b:>11} {residual:>11} {outside:>13}  {}{place}",
            of.shared.method.name, of.shared.certificate.verdict
        ));
    }
    let no = |missing: &dyn Fn(&Explanation) -> bool| compared.methods.iter().any(|m| missing(&m.explanation));
    if no(&|e| e.residual.is_none()) {
        lines.push("  sum -: the cells are not meant to add up to the score".into());
    }
    if no(&|e| e.residual.is_some() && e.tested().is_none()) {
        lines.push("  residual -: b is what the cells leave of the score, so that there is none".into());
    }
    lines.push("  HiResCAM ≤ 0: the share of |map| that lies where HiResCAM is zero or negative".into());
    lines.extend(compared.why_equal().map(|why| format!("  {why}")));
    lines.extend(picture.map(|path| format!("  picture: {}", path.display())));
    lines.extend(no_picture.map(|why| format!("  no picture: {why}")));
    lines
}
