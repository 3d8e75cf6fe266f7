//! `hirescam compile`: the explaining model.

use crate::error::Error;
use crate::options::What;
use crate::output::say;
use crate::triton;
use clap::Args;
use hirescam::core::cam::{self, Request};
use hirescam::core::shape::show_open;
use hirescam::explainer::request;
use hirescam::methods;
use hirescam::model_file::ModelFile;
use hirescam::sink::{self, Protected};
use std::path::PathBuf;
use std::process::ExitCode;

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
    what: What,
}

impl Compile {
    /// Runs the command.
    pub fn run(&self) -> Result<ExitCode, Error> {
        let file = ModelFile::open(&self.model)?;
        let options = self.what.options(&file)?;
        let mut protected = Protected::new(file.files());
        self.what.files().iter().for_each(|path| protected.read(path));
        if let Some(path) = &self.output_file {
            sink::claim(path, &mut protected, self.overwrite, triton::is_explaining)?;
        }
        let preprocess = match &options.preprocess {
            Some(p) => Some(p.clone()),
            None => file.preprocess()?.map(|(p, _)| p),
        };
        let (method, heatmap) =
            (methods::one_run(&options.method)?, self.heatmap.as_deref().map(str::parse).transpose()?);
        let request = Request { method, heatmap, ..request(&file, &options, preprocess.as_ref())? };
        let layers = cam::attach_all(&file.model, &request, &options.further_layers)?;
        let Some(made) = layers.first() else { return Err(Error::Argument("no layer is asked for".into())) };
        let bytes = made.added_to(&file.bytes)?;
        if let Some(path) = &self.output_file {
            file.save(path, &bytes)?;
            say!("{}: {}", path.display(), method.name)?;
        }
        if let Some(folder) = &self.triton {
            let path = triton::write(folder, &file, made, &bytes, options.labels.as_ref(), self.overwrite)?;
            say!("{}: {}", path.display(), method.name)?;
        }
        if let Some(instead) = &made.head.score.instead {
            say!("  {instead}")?;
        }
        for e in &layers {
            let (o, at, verdict) = (&e.outputs, &e.head.layer, e.certificate.verdict);
            let own: Vec<&str> =
                [Some(&o.map), Some(&o.b), o.heatmap.as_ref()].into_iter().flatten().map(String::as_str).collect();
            say!("  added at {at}, {verdict}: {}", own.join(", "))?;
        }
        say!("  added outputs: {}, {}", made.outputs.class, made.outputs.score)?;
        if let Some(input) = &made.input {
            say!("  added input: {input}")?;
        }
        if let Some(node) = &made.alone {
            say!("  it takes two images or more at once: the {node} gives a single image other axes")?;
        }
        for (name, extents) in made.closed() {
            say!(
                "  {name} takes {} only: the network takes any size there, a derivative holds for one",
                show_open(&extents)
            )?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
