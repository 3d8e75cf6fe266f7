//! `hirescam layers`: what one can explain at.

use crate::error::Error;
use crate::options::What;
use crate::output::{self, say};
use clap::Args;
use hirescam::core::analysis::Analysis;
use hirescam::core::grid::Grid;
use hirescam::core::shape::Dim;
use hirescam::core::{cam, layers, shape};
use hirescam::explainer::request;
use hirescam::model_file::ModelFile;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// List layers.
#[derive(Args)]
pub struct Layers {
    /// The network, an ONNX file
    model: PathBuf,
    #[command(flatten)]
    what: What,
    /// Every tensor, those inside branches too
    #[arg(long)]
    all: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

impl Layers {
    /// Runs the command.
    pub fn run(&self) -> Result<ExitCode, Error> {
        let file = ModelFile::open(&self.model)?;
        let options = self.what.options(&file)?;
        let preprocess = match &options.preprocess {
            Some(p) => Some(p.clone()),
            None => file.preprocess()?.map(|(p, _)| p),
        };
        let request = request(&file, &options, preprocess.as_ref())?;
        let bare = cam::bare(&file.model)?;
        let model = bare.as_ref().unwrap_or(&file.model);
        model.check_weights()?;
        let Analysis { image, shapes, score } = Analysis::of(model, &request)?;
        score.instead.iter().for_each(|instead| output::note(instead));
        let found = layers::layers(model, &shapes, &score, &image, self.all)?;
        let width = found.iter().map(|l| l.name.len()).max().unwrap_or(0);
        for layer in &found {
            let certificate = layer.certificate.as_ref();
            if self.json {
                let shape: Vec<Option<usize>> =
                    layer.dims.iter().map(|d| if let Dim::Fixed(n) = d { Some(*n) } else { None }).collect();
                let record = json!({
                    "layer": layer.name,
                    "shape": shape,
                    "grid": layer.grid.as_ref().map(|g| &g.sides),
                    "followed": layer.followed,
                    "other_tokens": layer.grid.as_ref().map(|g| g.others()),
                    "place": layer.place,
                    "verdict": certificate.ok().map(|c| c.verdict.to_string()),
                    "reason": certificate.ok().and_then(|c| c.reason.clone()),
                    "bypass": certificate.ok().and_then(|c| c.bypass.clone()),
                    "uniform": certificate.ok().map(|c| c.uniform),
                    "on_every_path": layer.on_every_path,
                    "ignores_scale": layer.ignores_scale,
                    "reads_one_place": layer.reads_one_place,
                    "recommended": layer.recommended,
                    "error": certificate.err(),
                });
                output::json(&record)?;
                continue;
            }
            let mut notes: Vec<String> = Vec::new();
            match certificate {
                Ok(c) => {
                    notes.push(c.verdict.to_string());
                    notes.extend(c.uniform.then(|| "uniform gradient (HiResCAM = Grad-CAM)".into()));
                    notes.extend(c.bypass.as_ref().map(|j| format!("bypassed at the {j}")));
                }
                Err(error) => notes.push(format!("cannot be explained: {error}")),
            }
            notes.extend(layer.grid.as_ref().map(laid_out));
            notes.extend(
                layer
                    .ignores_scale
                    .then(|| "its head hardly changes with its scale: the map sums to 0, or nearly".into()),
            );
            notes.extend(
                layer.reads_one_place.then(|| "its head reads one place: the map has one cell, or none".into()),
            );
            notes.extend((!layer.followed).then(|| "the graph does not tell where its places lie in the image".into()));
            notes.extend(layer.recommended.then(|| format!("recommended: {}", layer.why)));
            let mark = if layer.recommended { '*' } else { ' ' };
            say!(
                "{mark} {:width$}  {:18} {:28} {}",
                layer.name,
                shape::show(&layer.dims),
                layer.place,
                notes.join("; ")
            )?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// `a grid 14×14 and 1 other token`.
fn laid_out(grid: &Grid) -> String {
    let sides = grid.sides.iter().map(usize::to_string).collect::<Vec<_>>().join("×");
    match grid.others() {
        0 => format!("a grid {sides}"),
        1 => format!("a grid {sides} and 1 other token"),
        n => format!("a grid {sides} and {n} other tokens"),
    }
}
