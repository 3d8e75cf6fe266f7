//! `hirescam compare`: methods side by side.

use crate::error::Error;
use crate::options::{Engine, Runs, What};
use crate::output::{self, say};
use crate::progress;
use clap::Args;
use hirescam::Options;
use hirescam::comparison::{Comparison, compare};
use hirescam::model_file::ModelFile;
use hirescam::source;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Compare methods.
#[derive(Args)]
pub struct Compare {
    /// The network, an ONNX file
    model: PathBuf,
    /// A photo, or a ready float32 tensor (.npy) in the network's own shape
    image: PathBuf,
    /// The methods; `hirescam methods` lists them
    #[arg(long, value_name = "METHODS", value_delimiter = ',', default_values = METHODS)]
    methods: Vec<String>,
    /// A colour scale for each picture, instead of one for all that are in units of the score
    #[arg(long)]
    own_scale: bool,
    /// Show negative evidence too, in diverging colours
    #[arg(long)]
    signed: bool,
    /// Where the picture and the record go
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,
    /// Print the record on stdout, one JSON object, and nothing else
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    engine: Engine,
    #[command(flatten)]
    runs: Runs,
}

/// What people compare with, as far as one run is enough for it.
const METHODS: [&str; 6] = ["hirescam", "gradcam", "gradcam++", "xgradcam", "layercam", "eigencam"];

impl Compare {
    /// Runs the command.
    pub fn run(&self) -> Result<ExitCode, Error> {
        if self.what.method != "hirescam" {
            return Err(Error::Argument(format!("methods are compared by --methods {}", self.what.method)));
        }
        let file = ModelFile::open(&self.model)?;
        let mut options = Options {
            engine: self.engine.engine.clone(),
            threads: self.engine.threads,
            device: self.engine.device,
            library: self.engine.onnxruntime.clone(),
            settings: self.runs.settings(),
            ..self.what.options(&file)?
        };
        if options.image_shape.is_none() {
            options.image_shape = source::shape(&file.model, options.image.as_deref(), &self.image)?;
        }
        let (input, hash) = source::read(&self.image)?;
        let bar = progress::passes();
        let compared = compare(&file, &options, &self.methods, &input, &mut |method, p| {
            bar.set_message(method.to_owned());
            progress::watch(&bar, p);
        });
        bar.finish_and_clear();
        let compared = compared?;
        let picture = self.picture(&compared)?;
        let record = self.record(&compared, &hash, picture.as_deref());
        let path = self.file("json");
        let text = serde_json::to_string_pretty(&record).map_err(|e| Error::Argument(e.to_string()))?;
        std::fs::write(&path, text + "\n").map_err(|e| Error::File { path, what: e.to_string() })?;
        if self.json {
            output::json(&record)?;
        } else {
            self.table(&compared, picture.as_deref()).iter().try_for_each(|line| say!("{line}"))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn file(&self, suffix: &str) -> PathBuf {
        let stem = self.image.file_stem().map_or("image".into(), |s| s.to_string_lossy());
        self.out.join(format!("{stem}-compared.{suffix}"))
    }

    /// Writes the picture, where there can be one.
    fn picture(&self, compared: &Comparison) -> Result<Option<PathBuf>, Error> {
        std::fs::create_dir_all(&self.out).map_err(|e| Error::File { path: self.out.clone(), what: e.to_string() })?;
        match compared.picture(self.signed, self.own_scale) {
            Ok(drawn) => {
                let path = self.file("png");
                drawn.save(&path).map_err(|e| Error::File { path: path.clone(), what: e.to_string() })?;
                Ok(Some(path))
            }
            // Tensors and maps of other than two axes have no picture.
            Err(hirescam::Error::Argument(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn record(&self, compared: &Comparison, hash: &str, picture: Option<&Path>) -> Value {
        let e = &compared.hirescam;
        let method = |m: &hirescam::comparison::Compared| {
            let of = &m.explanation;
            json!({
                "method": of.shared.method.name,
                "layer": of.shared.layer,
                "map_shape": of.map.shape(),
                "sum": of.sum,
                "bias": of.bias,
                "residual": of.residual,
                "in_units_of_the_score": of.shared.method.scored,
                "share_where_hirescam_is_zero": m.unused,
                "share_where_hirescam_is_not_positive": m.outside,
                "verdict": of.shared.certificate.verdict.to_string(),
                "certificate": of.in_words(),
            })
        };
        json!({
            "model": self.model,
            "model_sha256": e.shared.model_sha256,
            "image": self.image,
            "image_sha256": hash,
            "layer": e.shared.layer,
            "class": e.class,
            "label": e.label(),
            "score": e.score,
            "uniform": e.shared.certificate.uniform,
            "equal": compared.why_equal(),
            "methods": compared.methods.iter().map(method).collect::<Vec<_>>(),
            "picture": picture,
            "engine": e.shared.engine,
            "engine_version": e.shared.engine_version,
            "version": env!("CARGO_PKG_VERSION"),
            "options": { "what": self.what, "engine": self.engine, "runs": self.runs, "signed": self.signed, "own_scale": self.own_scale },
        })
    }

    fn table(&self, compared: &Comparison, picture: Option<&Path>) -> Vec<String> {
        let e = &compared.hirescam;
        let mut lines = vec![
            format!("{}: {} (score {:.4}) at {}", self.image.display(), e.name(), e.score, e.shared.layer),
            format!("  {:21} {:>11} {:>11} {:>13}  {}", "method", "sum", "residual", "HiResCAM ≤ 0", "proven"),
        ];
        for m in &compared.methods {
            let of = &m.explanation;
            let outside = m.outside.map_or("-".into(), |share| format!("{:.1} %", 100.0 * share));
            let place =
                if of.shared.layer == e.shared.layer { String::new() } else { format!(", at {}", of.shared.layer) };
            lines.push(format!(
                "  {:21} {:>11.4} {:>11.4} {outside:>13}  {}{place}",
                of.shared.method.name, of.sum, of.residual, of.shared.certificate.verdict
            ));
        }
        lines.push("  HiResCAM ≤ 0: the share of |map| that lies where HiResCAM is zero or negative".into());
        lines.extend(compared.why_equal().map(|why| format!("  {why}")));
        lines.extend(picture.map(|path| format!("  picture: {}", path.display())));
        lines
    }
}
