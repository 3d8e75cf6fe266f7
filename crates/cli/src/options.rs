//! The options that several commands share.

use crate::error::Error;
use crate::inputs;
use crate::output;
use clap::Args;
use hirescam::Options;
use hirescam::colormap::colormap;
use hirescam::core::cam::Target;
use hirescam::core::memory;
use hirescam::core::score::Activation;
use hirescam::engine::Device;
use hirescam::labels::Labels;
use hirescam::methods::Settings;
use hirescam::model_file::ModelFile;
use hirescam::overlay::{Font, Layout, OverlayError, Style};
use hirescam::preprocess::{Preprocess, preset};
use hirescam::source;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Once;

/// What to explain.
#[derive(Args, Serialize)]
pub struct What {
    /// The target layer, by the name of its tensor; see `hirescam layers`. Given several times, or several between commas: the
    /// maps of all of them from one run
    #[arg(long = "layer", value_name = "LAYER")]
    pub layers: Vec<String>,
    /// A class, by number (from 0) or label; may be given several times, or several between commas
    #[arg(long = "class", value_name = "CLASS")]
    pub classes: Vec<String>,
    /// The K best classes of each image
    #[arg(long, value_name = "K", conflicts_with = "classes")]
    pub top: Option<usize>,
    /// What is explained, in one word: top:5, class:cat, all, above:0.5, contrast:cat,dog, element:0,3,17, sum:1,10:20,:, …;
    /// docs/targets.md lists them
    #[arg(long, conflicts_with_all = ["classes", "top"])]
    pub target: Option<String>,
    /// The method: hirescam, gradcam, scorecam, …; `hirescam methods` lists them
    #[arg(long, default_value = "hirescam")]
    pub method: String,
    /// What is explained: an output of the model, or any floating-point tensor inside it
    #[arg(long, value_name = "NAME")]
    pub output: Option<String>,
    /// What the score is: the logits before a final Softmax or Sigmoid, or the output as it is
    #[arg(long, value_parser = ["logits", "output"], default_value = "logits")]
    pub score: String,
    /// The axis of the output that counts classes, where neither the graph nor the number of labels tells it (from 0, the
    /// batch included; -1 for the last)
    #[arg(long, value_name = "AXIS", allow_negative_numbers = true)]
    pub class_axis: Option<i64>,
    /// What makes a probability of a score: softmax, sigmoid or none; what the network ends in when nothing is said
    #[arg(long, value_name = "softmax|sigmoid|none")]
    #[serde(serialize_with = "as_text_if_any")]
    pub activation: Option<Activation>,
    /// The axis of the layer that counts channels, where the graph does not tell it (-1 for channels last)
    #[arg(long, value_name = "AXIS", allow_negative_numbers = true)]
    pub channel_axis: Option<i64>,
    /// The axis of the image that counts channels, where the operators that read it leave it open (-1 for channels last)
    #[arg(long, value_name = "AXIS", allow_negative_numbers = true)]
    pub image_channels: Option<i64>,
    /// The input that carries the image, where it is not the first that could
    #[arg(long, value_name = "NAME")]
    pub image_input: Option<String>,
    /// What an input beside the image is fed: a .npy file with one row for all images or a row for each, or a number; may
    /// be given several times
    #[arg(long = "input", value_name = "NAME=FILE|NUMBER")]
    pub inputs: Vec<String>,
    /// How the layer's tokens lie in the image, for example 14x14, where the graph does not tell it; tokens left over are the
    /// first ones
    #[arg(long, value_name = "HEIGHTxWIDTH", value_parser = grid)]
    pub grid: Option<Grid>,
    /// The network's input shape where the file leaves it open, for example 1,3,224,224
    #[arg(long, value_name = "N,C,H,W", value_delimiter = ',')]
    pub shape: Option<Vec<usize>>,
    /// Mebibytes that the network's values may take beside what goes with its image and its weights; what takes more is
    /// refused before it runs
    #[arg(long, value_name = "MIB", default_value_t = memory::SPARE >> 20)]
    pub memory: u64,
    /// Class labels: a text file with one a line, or a JSON file
    #[arg(long, value_name = "FILE")]
    #[serde(serialize_with = "as_path")]
    pub labels: Option<PathBuf>,
    /// How photos are prepared: a preset's name (`hirescam presets` lists them) or a TOML or preprocessor_config.json file
    /// (docs/preprocessing.md)
    #[arg(long, value_name = "PRESET|FILE")]
    pub preprocess: Option<String>,
}

impl What {
    /// The files that are named.
    pub fn files(&self) -> Vec<PathBuf> {
        let values = self.inputs.iter().filter_map(|text| Some(text.rsplit_once('=')?.1));
        let target = self.target.iter().filter_map(|text| Some(text.split_once(':')?.1.trim()));
        let named = values.chain(target).chain(self.preprocess.as_deref()).map(PathBuf::from);
        named.chain(self.labels.clone()).collect()
    }

    /// The layers: what stands between commas, but for a name that has some itself.
    pub fn layers(&self, file: &ModelFile) -> Vec<String> {
        let graph = file.model.graph();
        let known = |name: &str| {
            graph.input.iter().any(|i| i.name() == name)
                || graph.node.iter().any(|n| n.output.iter().any(|o| o == name))
        };
        let of = |text: &String| match known(text) {
            true => vec![text.clone()],
            false => text.split(',').map(|name| name.trim().to_owned()).collect(),
        };
        self.layers.iter().flat_map(of).collect()
    }

    /// The classes: what stands between commas, but for a label that has some itself.
    fn chosen(&self, classes: &[String], labels: Option<&Labels>) -> Result<Vec<usize>, Error> {
        let mut chosen = Vec::new();
        for text in classes {
            match class(text, labels) {
                Err(_) if text.contains(',') => {
                    let each = text.split(',').map(|name| class(name.trim(), labels));
                    chosen.extend(each.collect::<Result<Vec<_>, _>>()?);
                }
                one => chosen.push(one?),
            }
        }
        Ok(chosen)
    }

    /// What stands for the contents of the files that are read beside the model and the images: SHA-256 of those that are
    /// named, length and time of files of weights.
    pub fn contents(&self, file: &ModelFile) -> Value {
        let named: Vec<Option<String>> = self.files().iter().map(|path| source::hash(path).ok()).collect();
        let weights = file.weights.iter().map(|location| {
            let found = file.path.with_file_name(location).metadata().ok();
            found.map(|found| (found.len(), format!("{:?}", found.modified().ok())))
        });
        json!([named, weights.collect::<Vec<_>>()])
    }

    /// The library's options for a model.
    pub fn options(&self, file: &ModelFile) -> Result<Options, Error> {
        let labels = match &self.labels {
            Some(path) => Some(Labels::open(path).map_err(hirescam::Error::from)?),
            None => file.labels()?,
        };
        let target = match (&self.target, &self.classes[..], self.top) {
            (Some(text), ..) => {
                let class = |name: &str| class(name, labels.as_ref()).map_err(|error| error.to_string());
                let numbers = |file: &str| source::array(Path::new(file)).map_err(|error| error.to_string());
                Target::parse(text, class, |file| Ok(numbers(file)?.to_f64().iter().copied().collect()))?
            }
            (None, [], top) => Target::Top(top.unwrap_or(1)),
            (None, classes, _) => Target::Classes(self.chosen(classes, labels.as_ref())?),
        };
        let mut layers = self.layers(file).into_iter();
        Ok(Options {
            layer: layers.next(),
            further_layers: layers.collect(),
            target,
            method: self.method.clone(),
            output: self.output.clone(),
            keep_activation: self.score == "output",
            class_axis: self.class_axis,
            activation: self.activation,
            channels: self.channel_axis,
            image_channels: self.image_channels,
            grid: self.grid.clone().map(|g| g.0),
            preprocess: self.preprocess.as_deref().map(preprocess).transpose()?,
            labels,
            image: self.image_input.clone(),
            image_shape: self.shape.clone(),
            inputs: self.inputs.iter().map(|text| inputs::beside(text)).collect::<Result<_, _>>()?,
            memory: self.memory.saturating_mul(1 << 20),
            ..Options::default()
        })
    }
}

/// The sides of a grid.
#[derive(Clone, Serialize)]
pub struct Grid(Vec<usize>);

fn grid(text: &str) -> Result<Grid, String> {
    let sides: Option<Vec<usize>> = text.split('x').map(|n| n.trim().parse().ok().filter(|&n| n > 0)).collect();
    sides.filter(|s| s.len() > 1).map(Grid).ok_or_else(|| "wanted are height and width, as in 14x14".into())
}

fn class(text: &str, labels: Option<&Labels>) -> Result<usize, Error> {
    match (text.parse(), labels) {
        (Ok(number), _) => Ok(number),
        (Err(_), Some(labels)) => Ok(labels.find(text).map_err(hirescam::Error::from)?),
        (Err(_), None) => Err(Error::Argument(format!(
            "the class {text:?} is no number, and no labels are known: give --labels FILE"
        ))),
    }
}

fn preprocess(name: &str) -> Result<Preprocess, Error> {
    let path = PathBuf::from(name);
    if !path.is_file() {
        return Ok(preset(name).map_err(hirescam::Error::from)?);
    }
    let text = std::fs::read_to_string(&path).map_err(|e| Error::File { path: path.clone(), what: e.to_string() })?;
    let json = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
    let read = if json { Preprocess::from_hugging_face(&text) } else { Preprocess::from_toml(&text) };
    Ok(read.map_err(hirescam::Error::from)?)
}

/// The colours and the letters of pictures.
#[derive(Args, Serialize)]
#[command(next_help_heading = "Pictures")]
pub struct Colours {
    /// How much of the photo the strongest colours cover, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = Style::default().opacity)]
    pub opacity: f32,
    /// The colour map, by matplotlib's name: viridis, inferno, magma, plasma, cividis, turbo, gray, jet; for signed maps glow (ours,
    /// for dark and light photos), coolwarm, RdBu_r, seismic, bwr [default: inferno, or with --signed glow]
    #[arg(long, value_name = "NAME")]
    pub colormap: Option<String>,
    /// Let the colours end at this percentile of the cells that are not 0, instead of at the largest: for maps of pixels, 99 or so
    #[arg(long, value_name = "PERCENTILE")]
    pub clip: Option<f32>,
    /// A font (.ttf, .otf) for labels that the bundled ones cannot write, as Chinese ones
    #[arg(long, value_name = "FILE")]
    pub font: Option<PathBuf>,
}

impl Colours {
    /// The library's style.
    pub fn style(&self) -> Result<Style, Error> {
        let refused = |error: OverlayError| Error::from(hirescam::Error::from(error));
        let font = self.font.as_ref().map(|path| {
            let bytes = std::fs::read(path).map_err(|e| Error::File { path: path.clone(), what: e.to_string() })?;
            Font::read(bytes).map_err(|e| Error::File { path: path.clone(), what: e.to_string() })
        });
        Ok(Style {
            opacity: self.opacity,
            colormap: self.colormap.as_deref().map(colormap).transpose().map_err(|e| refused(e.into()))?,
            clip: self.clip,
            font: font.transpose()?,
            ..Style::default()
        })
    }
}

/// How a picture of one map looks.
#[derive(Args, Serialize)]
#[command(next_help_heading = "Pictures")]
pub struct Look {
    #[command(flatten)]
    #[serde(flatten)]
    pub colours: Colours,
    /// The overlay alone in the photo's own pixels, without colour bar and words
    #[arg(long, conflicts_with = "beside")]
    pub plain: bool,
    /// The photo as it is, and the overlay to the right of it
    #[arg(long)]
    pub beside: bool,
}

impl Look {
    /// The library's style.
    pub fn style(&self) -> Result<Style, Error> {
        let layout = match (self.plain, self.beside) {
            (true, _) => Layout::Plain,
            (false, true) => Layout::Beside,
            (false, false) => Layout::Figure,
        };
        Ok(Style { layout, ..self.colours.style()? })
    }
}

/// Says once what a picture's words hold that no font can write.
pub fn note_missing(style: &Style, words: &str) -> Result<(), Error> {
    static SAID: Once = Once::new();
    let missing = if style.layout == Layout::Plain {
        String::new()
    } else {
        style.missing(words).map_err(hirescam::Error::from)?
    };
    if !missing.is_empty() {
        SAID.call_once(|| {
            output::note(&format!("pictures have boxes for {missing}: a font that can write it can be given with --font (not for scripts that run from right to left, or whose letters join)"));
        });
    }
    Ok(())
}

/// How methods of several runs work.
#[derive(Args, Serialize)]
#[command(next_help_heading = "Methods of several runs")]
pub struct Runs {
    /// How many changed images or activations are run at once; the memory goes with it
    #[arg(long, value_name = "N", default_value_t = Settings::default().batch)]
    pub batch: usize,
    /// The seed of what is random
    #[arg(long, value_name = "N", default_value_t = Settings::default().seed)]
    pub seed: u64,
    /// smoothgrad: noisy images (50); rise: masks (4000)
    #[arg(long, value_name = "N")]
    pub samples: Option<usize>,
    /// smoothgrad: the noise's deviation, as a share of the image's range
    #[arg(long, value_name = "SHARE", default_value_t = Settings::default().noise)]
    pub noise: f64,
    /// smoothgrad: the method whose maps are averaged
    #[arg(long, value_name = "METHOD", default_value_t = Settings::default().base)]
    pub base: String,
    /// integrated-gradients: the steps of the integral (50, doubled until the tolerance is reached)
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,
    /// integrated-gradients: the share of score − baseline score that may be missing; the steps are doubled until it is
    /// reached, four times at most (0.01, or no doubling where --steps is given)
    #[arg(long, value_name = "SHARE")]
    pub tolerance: Option<f64>,
    /// integrated-gradients, occlusion: the number that stands for nothing, in the network's own input or in the layer
    #[arg(long, value_name = "NUMBER", default_value_t = Settings::default().baseline, allow_negative_numbers = true)]
    pub baseline: f32,
    /// occlusion: the sides of the grid's cells in pixels (a 14th of the image)
    #[arg(long, value_name = "PIXELS")]
    pub stride: Option<usize>,
    /// occlusion: the sides of the window in pixels (two cells)
    #[arg(long, value_name = "PIXELS")]
    pub window: Option<usize>,
    /// rise: the cells of a mask along each axis
    #[arg(long, value_name = "N", default_value_t = Settings::default().cells)]
    pub cells: usize,
    /// rise: the share of cells that a mask keeps
    #[arg(long, value_name = "SHARE", default_value_t = Settings::default().keep)]
    pub keep: f64,
}

impl Runs {
    /// The library's settings.
    pub fn settings(&self) -> Settings {
        Settings {
            batch: self.batch,
            seed: self.seed,
            samples: self.samples,
            noise: self.noise,
            base: self.base.clone(),
            steps: self.steps,
            tolerance: self.tolerance,
            baseline: self.baseline,
            stride: self.stride,
            window: self.window,
            cells: self.cells,
            keep: self.keep,
        }
    }
}

/// Where results go.
#[derive(Args)]
pub struct Out {
    /// Where pictures, maps and records go
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,
    /// Replace what another run left there. Results of the same image and options are replaced anyway, and what the command
    /// reads never is
    #[arg(long)]
    pub overwrite: bool,
}

/// What runs the network.
#[derive(Args, Serialize)]
pub struct Engine {
    /// The engine: tract (pure Rust) or onnxruntime
    #[arg(long, default_value = "tract")]
    pub engine: String,
    /// Threads of the engine; 0 lets it choose
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// Where the engine computes: cpu, or with onnxruntime a GPU of NVIDIA: cuda, or cuda:1 for the second
    #[arg(long, default_value_t)]
    #[serde(serialize_with = "as_text")]
    pub device: Device,
    /// ONNX Runtime's library (libonnxruntime.so), where it is not found by itself
    #[arg(long, value_name = "FILE")]
    #[serde(serialize_with = "as_path")]
    pub onnxruntime: Option<PathBuf>,
}

fn as_text<S: Serializer>(device: &Device, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(device)
}

/// Paths need not be text.
fn as_path<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.to_string_lossy()).serialize(serializer)
}

fn as_text_if_any<S: Serializer>(given: &Option<Activation>, serializer: S) -> Result<S::Ok, S::Error> {
    match given {
        Some(given) => serializer.collect_str(given),
        None => serializer.serialize_none(),
    }
}
