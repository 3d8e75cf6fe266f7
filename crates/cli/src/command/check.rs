//! `hirescam check`: how far maps can be trusted on a network, and on images of one's own.

use crate::error::Error;
use crate::options::{self, Given};
use crate::output::{self, folder_of, say};
use crate::{inputs, progress};
use clap::Args;
use hirescam::Network;
use hirescam::check::{Layers, Plan};
use hirescam::sink::{self, Protected};
use hirescam::{Input, html, source};
use std::path::PathBuf;

/// Check a network.
#[derive(Args)]
pub struct Check {
    /// The network, an ONNX file
    model: PathBuf,
    /// Photos, folders of photos, patterns, or ready tensors (.npy) of numbers in the network's own shape; without any, only
    /// what is proven is reported
    images: Vec<PathBuf>,
    /// Also take the images of the folders within folders
    #[arg(short, long)]
    recursive: bool,
    /// All layers that `hirescam layers` lists; without this and --layer, the recommended one and the last of each
    /// resolution, of these the last three
    #[arg(long, conflicts_with = "layers")]
    all_layers: bool,
    /// The methods of one run that HiResCAM is held against
    #[arg(long, value_name = "METHODS", value_delimiter = ',', default_values_t = Plan::default().methods)]
    methods: Vec<String>,
    /// How many images are taken for what needs many runs: taking places out, and randomised weights
    #[arg(long, value_name = "N", default_value_t = Plan::default().sample)]
    sample: usize,
    /// How many places are taken out of each of these; 0 for none
    #[arg(long, value_name = "N", default_value_t = Plan::default().places)]
    places: usize,
    /// Leave out the networks with randomised weights
    #[arg(long)]
    no_randomisation: bool,
    /// The seed of the randomised weights [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How many activations are run at once; the memory goes with it [default: 16]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Print the report on stdout as one JSON object
    #[arg(long)]
    json: bool,
    /// Write the report as one HTML page, with pictures, too
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Replace the file of that name, where it is another than a page that was made here
    #[arg(long)]
    overwrite: bool,
    /// How many photos are drawn at each layer on that page
    #[arg(long, value_name = "N", default_value_t = Plan::default().pictures)]
    pictures: usize,
    #[command(flatten)]
    spec: Given<{ options::ENGINE }>,
}

impl Check {
    /// Runs the command, and gives the exit code.
    pub fn run(&self) -> Result<u8, Error> {
        let mut spec = self.spec.spec()?;
        if spec.method != "hirescam" {
            return Err(Error::Argument(format!("methods are checked by --methods {}", spec.method)));
        }
        spec.settings.seed = self.seed.unwrap_or(spec.settings.seed);
        spec.settings.batch = self.batch.unwrap_or(spec.settings.batch);
        let file = Network::open(&self.model)?;
        let files = if self.images.is_empty() { Vec::new() } else { inputs::images(&self.images, self.recursive)? };
        let mut protected = Protected::new(file.files().iter().chain(&files));
        spec.files().iter().for_each(|path| protected.read(path));
        // Before the work, not after it.
        if let Some(path) = &self.html {
            folder_of(path)?;
            sink::claim(path, &mut protected, self.overwrite, html::is_ours)?;
        }
        let plan = Plan {
            layers: match (spec.layers_of(&file).as_slice(), self.all_layers) {
                ([], true) => Layers::All,
                ([], false) => Layers::Few,
                (layers, _) => Layers::Named(layers.to_vec()),
            },
            methods: self.methods.clone(),
            sample: self.sample,
            places: self.places,
            randomise: !self.no_randomisation,
            pictures: if self.html.is_some() { self.pictures } else { 0 },
        };
        let read = |path: &PathBuf| -> (String, Result<Input, String>) {
            let input = source::read(path).map(|(input, _)| input).map_err(|error| error.without(path));
            (path.display().to_string(), input)
        };
        let bar = progress::steps();
        let report = file.check(&spec, &plan, &mut files.iter().map(read), &mut |step| {
            bar.set_message(step.what.to_owned());
            bar.set_length(step.of as u64);
            bar.set_position(step.done as u64);
        });
        bar.finish_and_clear();
        let report = report?;
        if let Some(path) = &self.html {
            sink::write(path, report.html().as_bytes())?;
        }
        if self.json {
            output::json(&report)?;
        } else {
            report.lines().iter().try_for_each(|line| say!("{line}"))?;
        }
        report.error.iter().for_each(|error| output::error(error));
        Ok(u8::from(report.has_failures()))
    }
}
