//! An explainer: a model prepared once, for any number of images.

mod prepare;

use prepare::{Parts, image_kind, one_run, open_image, several_runs};
pub use prepare::{image_shape, request};
pub(crate) use prepare::{shape_of, with_setup};

use crate::explanation::{Explanation, Found, Logits, Shared};
use crate::labels::{Labels, LabelsError};
use crate::methods::{self, Any, Progress, Settings, Several};
use crate::model_file::{ModelFile, sha256};
use crate::others::Others;
use crate::photo::{Photo, PhotoError};
use crate::preprocess::{ImageInput, Prepared, Preprocess, PreprocessError, Rect};
use hirescam_core::axes::Runs;
use hirescam_core::cam::{Explaining, Request, Target};
use hirescam_core::certify::Certificate;
use hirescam_core::head::Activation;
use hirescam_core::shape::Dim;
use hirescam_core::{head, memory};
use hirescam_engine::{self as engine, Array, Device, Engine, Kind, Session};
use ndarray::{ArrayD, ArrayViewD, Axis};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What can go wrong between a model file and a picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read.
    #[error("{path}: {error}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The model file is not one that can be used.
    #[error("{}", model_error(.path, .error, *.other))]
    Model {
        /// The file.
        path: PathBuf,
        /// Why.
        error: hirescam_core::Error,
        /// What else the file is, where that is known, and what helps.
        other: Option<(&'static str, &'static str)>,
    },
    /// The model cannot be explained as asked.
    #[error(transparent)]
    Core(#[from] hirescam_core::Error),
    /// The engine refuses.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// A photo cannot be read.
    #[error(transparent)]
    Photo(#[from] PhotoError),
    /// The preprocessing does not fit.
    #[error(transparent)]
    Preprocess(#[from] PreprocessError),
    /// The labels do not fit.
    #[error(transparent)]
    Labels(#[from] LabelsError),
    /// The picture cannot be drawn.
    #[error(transparent)]
    Overlay(#[from] crate::overlay::OverlayError),
    /// The map cannot be shown.
    #[error(transparent)]
    Heatmap(#[from] crate::heatmap::HeatmapError),
    /// The network's input cannot stand for a number of an image.
    #[error(
        "the network takes {kind}, which cannot stand for the {given} number {value}{whole}",
        whole = range(*kind)
    )]
    Kind {
        /// The element kind of the network's input.
        kind: Kind,
        /// That of the image.
        given: Kind,
        /// The first number that would be another one.
        value: f64,
    },
    /// The network computes no numbers for an image.
    #[error(
        "the {what} holds {value}: the network overflows or divides by zero on this image, or the image is damaged"
    )]
    NotFinite {
        /// The image, the map, the score or the class scores.
        what: &'static str,
        /// What was found: NaN or an infinity.
        value: f64,
    },
    /// A result would replace a file that the same command reads, or another that it writes.
    #[error("{path} is read or written by this command, and must not be replaced", path = .path.display())]
    Protected {
        /// The file.
        path: PathBuf,
    },
    /// A result would replace what another run made, or what is no result at all.
    #[error("{path}{more} there already, and this command would not make the same again", path = .path.display(), more = more(*.others))]
    Exists {
        /// The file, the first of them.
        path: PathBuf,
        /// How many more there are.
        others: usize,
    },
    /// The arguments do not go together.
    #[error("{0}")]
    Argument(String),
}

fn model_error(path: &Path, error: &hirescam_core::Error, other: Option<(&str, &str)>) -> String {
    match other {
        Some((what, helps)) => format!("{} is {what}, no ONNX file: {helps}", path.display()),
        None => format!("{}: {error}", path.display()),
    }
}

fn more(others: usize) -> String {
    match others {
        0 => " is".into(),
        n => format!(" and results of {n} more images are"),
    }
}

impl Error {
    /// The kind of error, in a word for machines.
    pub fn kind(&self) -> &'static str {
        use hirescam_core::Error as Core;
        match self {
            Error::File { .. } | Error::Photo(_) => "file",
            Error::Core(Core::Unsupported { .. }) | Error::Model { error: Core::Unsupported { .. }, .. } => {
                "unsupported"
            }
            Error::Model { .. } | Error::Core(Core::Decode(_) | Core::Invalid { .. }) => "model",
            Error::Engine(_) => "engine",
            Error::NotFinite { .. } => "not-finite",
            Error::Protected { .. } | Error::Exists { .. } => "exists",
            Error::Core(_) | Error::Kind { .. } | Error::Argument(_) => "argument",
            Error::Preprocess(_) => "preprocess",
            Error::Labels(_) => "labels",
            Error::Overlay(_) | Error::Heatmap(_) => "picture",
        }
    }

    /// The text where `path` is said already.
    pub fn without(&self, path: &Path) -> String {
        match self {
            Error::File { path: own, error } if own == path => error.to_string(),
            error => error.to_string(),
        }
    }
}

/// What to explain, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The target layer; the recommended one when none is named.
    pub layer: Option<String>,
    /// More layers, whose maps come from the same run.
    pub further_layers: Vec<String>,
    /// What is explained: the best class of each image when nothing else is said.
    pub target: Target,
    /// The method: a name in [`cam::METHODS`] or in [`methods::METHODS`].
    pub method: String,
    /// How methods of several runs work.
    pub settings: Settings,
    /// What is explained: an output of the model, or a floating-point tensor inside it; the output that looks like class
    /// scores when none is named.
    pub output: Option<String>,
    /// Whether the output itself is the score, and not the logits before its final activation.
    pub keep_activation: bool,
    /// The axis of the output that counts classes, where neither the graph nor the labels tell it.
    pub class_axis: Option<i64>,
    /// What makes a probability of a score; what the graph ends in when nothing is said.
    pub activation: Option<Activation>,
    /// The layer's channel axis, where the graph does not tell it.
    pub channels: Option<i64>,
    /// How the layer's tokens lie in the image, rows and columns, where the graph does not tell it.
    pub grid: Option<Vec<usize>>,
    /// The engine: `tract` or `onnxruntime`.
    pub engine: String,
    /// The engine's threads; 0 lets it choose.
    pub threads: usize,
    /// Where the engine computes.
    pub device: Device,
    /// ONNX Runtime's library.
    pub library: Option<PathBuf>,
    /// The preprocessing of photos; what goes with the model when none is given.
    pub preprocess: Option<Preprocess>,
    /// Class labels; what goes with the model when none are given.
    pub labels: Option<Labels>,
    /// The input that carries the image; the one that looks like one when none is named.
    pub image: Option<String>,
    /// The image's channel axis, where the graph does not tell it.
    pub image_channels: Option<i64>,
    /// The network's input shape, where the file leaves extents open.
    pub image_shape: Option<Vec<usize>>,
    /// What inputs beside the image are fed: one row for all images or a row for each; a scalar fills an input.
    pub inputs: Vec<(String, Array)>,
    /// How many bytes the network's values may take beside what goes with its image and its weights; see [`memory`].
    pub memory: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            layer: None,
            further_layers: Vec::new(),
            target: Target::Top(1),
            method: "hirescam".into(),
            settings: Settings::default(),
            output: None,
            keep_activation: false,
            class_axis: None,
            activation: None,
            channels: None,
            grid: None,
            engine: "tract".into(),
            threads: 0,
            device: Device::Cpu,
            library: None,
            preprocess: None,
            labels: None,
            image: None,
            image_channels: None,
            image_shape: None,
            inputs: Vec::new(),
            memory: memory::SPARE,
        }
    }
}

/// An image to explain.
#[derive(Clone, Debug)]
pub enum Input {
    /// A photo, to be preprocessed.
    Photo(Photo),
    /// A tensor in the network's own shape, of numbers of any kind: they are fed as the network's, and none may change by
    /// that but for floating-point numbers that are rounded. Its first axis may hold several images where the network's batch
    /// is free.
    Tensor(Array),
}

impl Input {
    /// The photo, where it is one.
    fn photo(&self) -> Option<&Photo> {
        match self {
            Input::Photo(photo) => Some(photo),
            Input::Tensor(_) => None,
        }
    }
}

/// A model prepared to explain images.
///
/// Where the file leaves the size of the image open, and neither options nor preprocessing say it, the model is prepared for
/// each size that comes, and the last few are kept.
pub struct Explainer {
    about: About,
    preprocess: Option<Preprocess>,
    /// How photos come into the network; none where it takes no photos.
    image: Option<ImageInput>,
    /// The latest first; one where the size is known beforehand.
    ready: Mutex<Vec<Arc<Ready>>>,
    /// What is made ready for one size after the other, where it is not.
    open: Option<Open>,
}

/// What is known of an explainer before the first image.
pub(crate) struct About {
    title: &'static str,
    several_runs: bool,
    image_kind: Kind,
    /// How many layers are explained.
    pub(crate) layers: usize,
    pub(crate) labels: Option<Labels>,
    pub(crate) engine_version: String,
    model: PathBuf,
    pub(crate) model_sha256: String,
}

/// How many sizes are kept ready. Each holds its own copy of the weights.
const SIZES_KEPT: usize = 4;

/// A model whose image can be of any size.
struct Open {
    file: ModelFile,
    options: Options,
    engine: Box<dyn Engine>,
}

/// A model made ready for images of one size.
struct Ready {
    work: Work,
    image_dims: Vec<Dim>,
    image_kind: Kind,
    /// The input that carries the image.
    image: String,
    image_channels: Option<usize>,
    /// What is assumed of the image, in words.
    assumed: Option<String>,
    runs: Runs,
    others: Others,
    /// One for each layer.
    shared: Vec<Arc<Shared>>,
}

/// What makes the maps.
enum Work {
    /// One run of the explaining model, as each layer sees it.
    OneRun(Box<dyn Session>, Vec<Explaining>),
    /// Several runs, for each layer.
    SeveralRuns(Vec<Several>),
}

impl Explainer {
    /// Prepares the model in the file `model`.
    ///
    /// # Errors
    /// One [`Error`] for each thing that can be wrong: the file, the layer, the class, the method, the engine.
    pub fn new(model: impl AsRef<Path>, options: &Options) -> Result<Self, Error> {
        Self::of(ModelFile::open(model)?, options)
    }

    /// Prepares a model that has been read.
    ///
    /// # Errors
    /// As [`Explainer::new`].
    pub fn from_file(file: &ModelFile, options: &Options) -> Result<Self, Error> {
        Self::of(file.clone(), options)
    }

    /// As [`Explainer::from_file`]. Where nobody else holds the file, its memory is used again while the engine gets ready.
    ///
    /// # Errors
    /// As [`Explainer::new`].
    pub fn of(file: ModelFile, options: &Options) -> Result<Self, Error> {
        let preprocess = match &options.preprocess {
            Some(p) => Some(p.clone()),
            None => file.preprocess()?.map(|(p, _)| p),
        };
        let labels = match &options.labels {
            Some(l) => Some(l.clone()),
            None => file.labels()?,
        };
        let engine = engine::engine(
            &options.engine,
            &engine::Options { device: options.device, threads: options.threads, library: options.library.clone() },
        )?;
        let (title, several_runs) = match methods::method(&options.method)? {
            Any::OneRun(method) => (method.title, false),
            Any::SeveralRuns(method) => (method.row.title, true),
        };
        let options = Options { preprocess: preprocess.clone(), labels: labels.clone(), ..options.clone() };
        let image_kind = image_kind(&file.model, &options)?;
        let about = |model: PathBuf, model_sha256: String| About {
            title,
            several_runs,
            image_kind,
            layers: 1 + options.further_layers.len(),
            labels,
            engine_version: engine.version(),
            model,
            model_sha256,
        };
        if let (None, Some(image)) = (&options.image_shape, open_image(&file, &options, preprocess.as_ref())?) {
            let about = about(file.path.clone(), sha256(&file.bytes));
            // What is wrong with the options is found early, where there is a size to try.
            let image_shape = image_shape(&file, &options, preprocess.as_ref())?;
            let ready = match image_shape.is_some() {
                true => {
                    vec![Arc::new(Ready::of(file.clone(), &Options { image_shape, ..options.clone() }, &*engine)?.0)]
                }
                false => Vec::new(),
            };
            let open = Some(Open { file, options, engine });
            return Ok(Explainer { about, preprocess, image, ready: Mutex::new(ready), open });
        }
        if prepare::open_sample(&file, &options)? {
            let about = about(file.path.clone(), sha256(&file.bytes));
            let open = Some(Open { file, options, engine });
            return Ok(Explainer { about, preprocess, image: None, ready: Mutex::default(), open });
        }
        let path = file.path.clone();
        let (ready, sha256) = Ready::of(file, &options, engine.as_ref())?;
        let image = ImageInput::from_dims(&ready.image_dims, ready.image_channels).ok();
        let (about, ready) = (about(path, sha256), Mutex::new(vec![Arc::new(ready)]));
        Ok(Explainer { about, preprocess, image, ready, open: None })
    }

    /// What is known before the first image.
    pub(crate) fn about(&self) -> &About {
        &self.about
    }

    /// Whether the method takes several runs for an image.
    pub(crate) fn takes_several_runs(&self) -> bool {
        self.about.several_runs
    }

    /// The method, in prose.
    pub fn title(&self) -> &'static str {
        self.about.title
    }

    /// What is ready for images of the shape `shape`; it is made ready where the file leaves the size open.
    fn ready(&self, shape: &[usize]) -> Result<Arc<Ready>, Error> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |ready: &Arc<Ready>| self.open.is_none() || ready.takes(shape);
        let found = match (ready.iter().position(fits), &self.open) {
            (Some(at), _) => ready.remove(at),
            (None, Some(Open { file, options, engine })) => {
                let options = Options { image_shape: Some(shape.to_vec()), ..options.clone() };
                Arc::new(Ready::of(file.clone(), &options, engine.as_ref())?.0)
            }
            (None, None) => return Err(Error::Argument("no size of the image is ready".into())),
        };
        ready.insert(0, found.clone());
        ready.truncate(SIZES_KEPT);
        Ok(found)
    }

    /// How many images or other samples an input holds, once images were explained.
    pub(crate) fn samples(&self, input: &Input) -> usize {
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        match input {
            Input::Tensor(tensor) if ready.first().is_none_or(|r| r.runs.one_sample.is_none()) => rows(tensor),
            _ => 1,
        }
    }

    /// How photos are prepared, where that is known.
    pub fn preprocess(&self) -> Option<&Preprocess> {
        self.preprocess.as_ref()
    }

    /// Explains images: for each, one explanation a class, or one a class and layer, classes first. A tensor that holds
    /// several images counts as several. Photos next to each other are prepared on all cores and explained together.
    ///
    /// # Errors
    /// [`Error::Preprocess`] when a photo does not fit, [`Error::Argument`] for a tensor of another shape,
    /// [`Error::Engine`] when the engine fails, [`Error::NotFinite`] when the network's numbers do.
    pub fn explain(&self, images: &[Input]) -> Result<Vec<Vec<Explanation>>, Error> {
        self.explain_watched(images, &mut |_| {})
    }

    /// As [`Explainer::explain`]; `watch` is told how far it is, which matters for methods of several runs.
    ///
    /// # Errors
    /// As [`Explainer::explain`].
    pub fn explain_watched(
        &self,
        images: &[Input],
        watch: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Vec<Explanation>>, Error> {
        self.explain_from(0, images, watch)
    }

    /// As [`Explainer::explain_watched`] for a part of many images: the first is the image number `first`, and inputs
    /// beside the image give it the row of that number.
    ///
    /// # Errors
    /// As [`Explainer::explain`].
    pub fn explain_from(
        &self,
        first: usize,
        images: &[Input],
        watch: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Vec<Explanation>>, Error> {
        let mut explanations: Vec<Vec<Explanation>> = Vec::new();
        let both_photos = |a: &Input, b: &Input| matches!((a, b), (Input::Photo(_), Input::Photo(_)));
        for together in images.chunk_by(both_photos) {
            let start = first + explanations.len();
            if let [Input::Tensor(tensor)] = together {
                let ready = self.ready(tensor.shape())?;
                explanations.extend(ready.run(ready.parts(&ready.fed(tensor)?)?, &[], start, watch)?);
                continue;
            }
            let prepared = together.par_iter().filter_map(Input::photo).map(|photo| {
                let Prepared { tensor, view } = self.prepare(photo)?;
                // What is drawn is what the network saw.
                let seen = self.preprocess.as_ref().map_or_else(|| photo.clone(), |p| p.seen(photo));
                Ok((Array::from(tensor), (seen, view)))
            });
            let prepared = prepared.collect::<Result<Vec<_>, Error>>()?;
            for same in prepared.chunk_by(|(a, _), (b, _)| a.shape() == b.shape()) {
                let Some((one, _)) = same.first() else { continue };
                let (ready, start) = (self.ready(one.shape())?, first + explanations.len());
                let parts = same.iter().map(|(tensor, _)| ready.parts(&ready.fed_photo(tensor)?));
                let parts: Vec<Vec<Part>> = parts.collect::<Result<_, Error>>()?;
                let photos: Vec<_> = same.iter().map(|(_, photo)| photo.clone()).collect();
                explanations.extend(ready.run(parts.into_iter().flatten().collect(), &photos, start, watch)?);
            }
        }
        Ok(explanations)
    }

    fn prepare(&self, photo: &Photo) -> Result<Prepared, Error> {
        match (&self.preprocess, self.image) {
            (Some(preprocess), Some(image)) => Ok(preprocess.apply(photo, image)?),
            _ => Err(self.no_preprocess()),
        }
    }

    /// Whether inputs beside the image have a row for each of so many images, or one for all.
    ///
    /// # Errors
    /// [`Error::Argument`] for an input that has another number of rows.
    pub fn check_rows(&self, images: usize) -> Result<(), Error> {
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        ready.first().map_or(Ok(()), |ready| ready.others.check_rows(images))
    }

    fn no_preprocess(&self) -> Error {
        let kind = self.about.image_kind;
        Error::Argument(if self.image.is_none() {
            "the network's input is no 2-D image: give a tensor (.npy) in its own shape".into()
        } else if !kind.is_float() {
            format!(
                "how are photos prepared for this network? It takes {kind}, a photo's own levels as a rule: give a TOML file, which may be empty where nothing is to be resized, or a ready tensor (.npy)"
            )
        } else {
            format!(
                "how are photos prepared for this network? Nothing goes with {}: name a preset (--preprocess imagenet), give a TOML file, or a ready tensor (.npy)",
                self.about.model.display()
            )
        })
    }

    /// An image as the network takes it.
    pub(crate) fn prepared(&self, input: &Input) -> Result<Array, Error> {
        let tensor = self.shown(input)?;
        let ready = self.ready(tensor.shape())?;
        if input.photo().is_some() { ready.fed_photo(&tensor) } else { ready.fed(&tensor) }
    }

    /// An image in the shape in which it comes to the network.
    fn shown(&self, input: &Input) -> Result<Array, Error> {
        match input {
            Input::Photo(photo) => Ok(self.prepare(photo)?.tensor.into()),
            Input::Tensor(tensor) => Ok(tensor.clone()),
        }
    }
}

impl Ready {
    /// Makes the model in `file` ready, for the size that `options` tell where the file leaves it open. With the file's
    /// SHA-256.
    fn of(file: ModelFile, options: &Options, engine: &dyn Engine) -> Result<(Self, String), Error> {
        let (path, request) = (file.path.clone(), request(&file, options, options.preprocess.as_ref())?);
        let image = head::image_input(&file.model, options.image.as_deref())?.name().to_owned();
        let (parts, work, sha256) = match methods::method(&options.method)? {
            Any::OneRun(method) => one_run(file, options, &Request { method, ..request }, engine)?,
            Any::SeveralRuns(method) => several_runs(&file, options, &request, engine, method)?,
        };
        let Parts { score, target, row, layers, image_dims, image_kind, image_channels, tells_channels, runs, others } =
            parts;
        let labels = options.labels.as_ref().map(|labels| labels.of(&score)).transpose()?.flatten();
        let unused_labels = options.labels.as_ref().filter(|_| labels.is_none()).map(Labels::len);
        let shared = |(layer, certificate): (String, Certificate)| Shared {
            method: row.clone(),
            target: target.clone(),
            layer,
            score: score.clone(),
            unused_labels,
            certificate,
            image_axes: image_dims.len().saturating_sub(2),
            labels: labels.clone(),
            engine: engine.name().to_owned(),
            engine_version: engine.version(),
            model: path.clone(),
            model_sha256: sha256.clone(),
        };
        let shared = layers.into_iter().map(|layer| Arc::new(shared(layer))).collect();
        let assumed = image_channels.filter(|_| !tells_channels).map(|axis| {
            format!(
                "which axis of the image counts channels the network does not tell: the axis {axis} was taken, {} long",
                image_dims.get(axis).map_or(0, |d| d.per_image())
            )
        });
        Ok((Ready { work, image, image_dims, image_kind, image_channels, assumed, runs, others, shared }, sha256))
    }

    /// Whether an image of this shape is what was made ready, whatever the number of images where each is a sample.
    fn takes(&self, shape: &[usize]) -> bool {
        let counted = usize::from(self.runs.one_sample.is_none());
        let wanted = self.image_dims.iter().skip(counted).map(|d| d.per_image());
        shape.len() == self.image_dims.len() && shape.iter().skip(counted).copied().eq(wanted)
    }

    /// As [`Ready::fed`], of what the preprocessing made of a photo.
    fn fed_photo(&self, tensor: &Array) -> Result<Array, Error> {
        self.fed(tensor).map_err(|error| match error {
            Error::Kind { kind, value, .. } if !kind.is_float() => Error::Preprocess(PreprocessError::Mismatch(format!(
                "the network takes {kind}, and the preprocessing makes {value}: a network of whole numbers takes the photo's own levels, 0 to 255 (`scale = 1`, no `mean`, no `std`)"
            ))),
            error => error,
        })
    }

    /// Images as the network declares them: in its shape, and of its element kind.
    fn fed(&self, tensor: &Array) -> Result<Array, Error> {
        if !self.takes(tensor.shape()) || rows(tensor) == 0 {
            let dims = head::show(&self.image_dims);
            let of = self
                .runs
                .one_sample
                .as_ref()
                .map_or(String::new(), |why| format!(" as one sample ({why} reads all of it)"));
            let what = format!("the network takes {dims}{of}, the tensor has the shape {:?}", tensor.shape());
            return Err(Error::Argument(what));
        }
        let kind = self.image_kind;
        if tensor.kind() != kind
            && let Some(value) = tensor.first_lost(kind)
        {
            return Err(Error::Kind { kind, given: tensor.kind(), value });
        }
        tensor.to_kind(kind).ok_or(Error::Kind { kind, given: tensor.kind(), value: f64::NAN })
    }

    /// A batch as the network takes it: whole, image by image where the engine is slow at batches, or in parts of the size
    /// that the file fixes.
    ///
    /// # Errors
    /// [`Error::Argument`] where images are missing to such a part, and it is not proven that the network keeps images apart.
    fn parts(&self, tensor: &Array) -> Result<Vec<Part>, Error> {
        if self.runs.one_sample.is_some() {
            return Ok(vec![Part { array: tensor.clone(), samples: 1, notes: Vec::new() }]);
        }
        let n = rows(tensor);
        // Methods of several runs take image by image, and fill runs by themselves.
        let (size, least) = match (&self.work, self.runs.count) {
            (Work::SeveralRuns(_), _) => (1, 1),
            (Work::OneRun(session, _), Dim::Batch(_)) if session.is_slow_at_batches() => (1, self.runs.least()),
            (_, Dim::Batch(_)) => (n.max(1), self.runs.least()),
            (_, Dim::Fixed(size)) => (size.max(1), size),
        };
        let part = |start: usize| {
            let samples = size.min(n - start);
            let missing = least.saturating_sub(samples);
            if missing > 0 && !self.runs.apart {
                return Err(Error::Argument(format!(
                    "the network takes {least} images at once, and {samples} are given: that it keeps them apart is not proven, so no copies can stand for those that are missing"
                )));
            }
            let which: Vec<usize> = (start..start + samples).chain(std::iter::repeat_n(start, missing)).collect();
            let array = if which.iter().copied().eq(0..n) { Some(tensor.clone()) } else { tensor.rows(&which) };
            let array = array.ok_or_else(|| Error::Argument("a batch cannot be taken apart".into()))?;
            let filled = || match &self.runs.alone {
                Some(node) => format!(
                    "the {node} gives a single image other axes than several: it was run beside a copy of itself"
                ),
                None => format!("the network takes {least} images at once: copies filled the run"),
            };
            Ok(Part { array, samples, notes: (missing > 0).then(filled).into_iter().collect() })
        };
        (0..n).step_by(size).map(part).collect()
    }

    /// Explains batches, whose first image is the image number `start`; `photos` are what the images were made of, where
    /// they were.
    fn run(
        &self,
        batches: Vec<Part>,
        photos: &[(Photo, Rect)],
        start: usize,
        watch: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Vec<Explanation>>, Error> {
        // Some engines lose a NaN on the way, and give a map that looks like any.
        if let Some(value) = batches.iter().find_map(|part| part.array.not_finite()) {
            return Err(Error::NotFinite { what: "network's input", value });
        }
        // For each layer the images, for each of these the classes.
        let found: Vec<Vec<Vec<Found>>> = match &self.work {
            Work::OneRun(session, layers) => {
                let images: usize = batches.iter().map(|b| b.samples).sum();
                let found = run_once(session.as_ref(), layers, batches, &self.others, start)?;
                (0..images).for_each(|i| watch(Progress { image: start + i, done: 1, of: 1 }));
                found
            }
            Work::SeveralRuns(layers) => {
                let of_layer = |(l, several): (usize, &Several)| {
                    let image = |(i, image): (usize, Array)| {
                        let image_number = start + i;
                        let mut watch = |done, of| {
                            watch(Progress { image: image_number, done: l * of + done, of: layers.len() * of });
                        };
                        several.explain(&image, self.others.beside(image_number), &mut watch)
                    };
                    let images = batches.iter().map(|b| b.array.clone());
                    images.enumerate().map(image).collect::<Result<_, Error>>()
                };
                layers.iter().enumerate().map(of_layer).collect::<Result<_, _>>()?
            }
        };
        for of_image in found.iter().flatten() {
            for found in of_image {
                finite("map", &found.map)?;
                if !found.score.is_finite() {
                    return Err(Error::NotFinite { what: "score", value: found.score });
                }
            }
            // An infinite score of another class is one; NaN among them makes the choice of the class void.
            if of_image.first().is_some_and(|found| found.logits.has_nan()) {
                return Err(Error::NotFinite { what: "list of class scores", value: f64::NAN });
            }
        }
        let images = found.first().map_or(0, Vec::len);
        let mut all: Vec<Vec<(usize, Explanation)>> = (0..images).map(|_| Vec::new()).collect();
        for (of_layer, shared) in found.into_iter().zip(&self.shared) {
            for (i, (all, of_image)) in all.iter_mut().zip(of_layer).enumerate() {
                for (rank, found) in of_image.into_iter().enumerate() {
                    let photo = photos.get(i).cloned();
                    // It shows in what is made of photos, and in maps of pixels.
                    let matters = photo.is_some() || shared.layer == self.image;
                    let notes = found.notes.iter().chain(self.assumed.iter().filter(|_| matters)).cloned().collect();
                    let found = Found { notes, ..found };
                    all.push((rank, Explanation::new(shared.clone(), found, photo)));
                }
            }
        }
        let classes_first = |mut of_image: Vec<(usize, Explanation)>| {
            of_image.sort_by_key(|(rank, _)| *rank);
            of_image.into_iter().map(|(_, e)| e).collect()
        };
        Ok(all.into_iter().map(classes_first).collect())
    }
}

fn finite(what: &'static str, values: &ArrayD<f32>) -> Result<(), Error> {
    // Looking at all of them is faster than stopping at the first.
    if values.fold(true, |all, v| all & v.is_finite()) {
        return Ok(());
    }
    let value = values.iter().copied().find(|v| !v.is_finite()).unwrap_or(f32::NAN).into();
    Err(Error::NotFinite { what, value })
}

/// What one run is given.
struct Part {
    array: Array,
    /// How many samples it holds, copies that fill it aside.
    samples: usize,
    notes: Vec<String>,
}

/// What elements of a kind can stand for, where these are whole numbers.
fn range(kind: Kind) -> String {
    let [least, largest]: [i128; 2] = match kind {
        Kind::I8 => [i8::MIN.into(), i8::MAX.into()],
        Kind::I16 => [i16::MIN.into(), i16::MAX.into()],
        Kind::I32 => [i32::MIN.into(), i32::MAX.into()],
        Kind::I64 => [i64::MIN.into(), i64::MAX.into()],
        Kind::U8 => [0, u8::MAX.into()],
        Kind::U16 => [0, u16::MAX.into()],
        Kind::U32 => [0, u32::MAX.into()],
        Kind::U64 => [0, u64::MAX.into()],
        Kind::Bool => [0, 1],
        _ => return String::new(),
    };
    format!(": it takes whole numbers from {least} to {largest}")
}

/// How many rows a batch has.
fn rows(batch: &Array) -> usize {
    batch.shape().first().copied().unwrap_or(0)
}

/// Runs the explaining model on batches, whose first image is the image number `start`: what each layer makes of each image
/// and class.
fn run_once(
    session: &dyn Session,
    layers: &[Explaining],
    batches: Vec<Part>,
    others: &Others,
    start: usize,
) -> Result<Vec<Vec<Vec<Found>>>, Error> {
    let image = layers.first().map_or("", |e| &e.image);
    let (mut first, mut fed, mut taken) = (start, Vec::new(), Vec::new());
    for Part { array, samples, notes } in batches {
        let copies = if samples == 1 && notes.is_empty() { 0 } else { rows(&array).saturating_sub(samples) };
        let images: Vec<usize> = (first..first + samples).chain(std::iter::repeat_n(first, copies)).collect();
        first += samples;
        let mut arrays = others.of(&images)?;
        arrays.push((image, array));
        fed.push(arrays);
        taken.push((samples, notes));
    }
    let lists: Vec<Vec<(&str, &Array)>> =
        fed.iter().map(|arrays| arrays.iter().map(|(name, array)| (*name, array)).collect()).collect();
    let mut all: Vec<Vec<Vec<Found>>> = layers.iter().map(|_| Vec::new()).collect();
    for (made, (samples, notes)) in session.run_all(&lists)?.iter().zip(taken) {
        for (all, layer) in all.iter_mut().zip(layers) {
            let mut found = of_layer(layer, made)?;
            found.truncate(samples);
            found.iter_mut().flatten().for_each(|found| found.notes.extend(notes.iter().cloned()));
            all.extend(found);
        }
    }
    Ok(all)
}

/// What one layer makes of each image and class.
fn of_layer(explaining: &Explaining, made: &[(String, Array)]) -> Result<Vec<Vec<Found>>, Error> {
    let names = &explaining.outputs;
    let find = |name: &str| {
        let found = made.iter().find(|(n, _)| n == name).map(|(_, a)| a);
        found.ok_or_else(|| Error::Argument(format!("the engine gave no output {name:?}")))
    };
    let (map, class, score) = (find(&names.map)?.to_f32(), find(&names.class)?.to_i64(), find(&names.score)?.to_f64());
    let other_tokens = names.other_tokens.as_deref().map(find).transpose()?.map(Array::to_f32);
    let logits = names.logits.as_deref().map(find).transpose()?.map(Array::to_f32);
    let m = explaining.maps;
    let (mut classes, mut scores) = (class.iter(), score.iter());
    let mut rows = logits.as_ref().map(|l| l.axis_iter(Axis(0)));
    let mut others = other_tokens.as_ref().map(|o| o.iter());
    let mut of_image = |image_map: ArrayViewD<f32>| {
        let row = rows.as_mut().and_then(Iterator::next);
        let logits = Arc::new(Logits::new(row.iter().flatten().copied()));
        let one = |i: usize| {
            let map = if m == 1 { image_map.to_owned() } else { image_map.index_axis(Axis(0), i).to_owned() };
            let class = classes.next().and_then(|&c| usize::try_from(c).ok());
            let score = scores.next().copied().unwrap_or(f64::NAN);
            let other_tokens = others.as_mut().and_then(Iterator::next).copied().map(f64::from);
            let (logits, bias) = (logits.clone(), explaining.b(class.unwrap_or(0)));
            Found { map, class, score, logits, bias, other_tokens, integral: None, notes: Vec::new() }
        };
        let all = (0..m).map(one);
        // What is not above the threshold has no class.
        let is_wanted = |found: &Found| found.class.is_some() || !matches!(explaining.target, Target::Above(_));
        all.filter(is_wanted).collect()
    };
    Ok(map.axis_iter(Axis(0)).map(&mut of_image).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use hirescam_core::{Model, onnx::read};

    const DIGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/digits-cnn.onnx");

    /// What comes of the digits network when the first value of its stored tensor number `index` is another one.
    fn with(index: usize, value: f32) -> Result<Vec<Vec<Explanation>>, Error> {
        let file = ModelFile::open(DIGITS).unwrap();
        let mut proto = read(std::fs::read(DIGITS).unwrap()).unwrap();
        let tensor = &mut proto.graph.as_mut().unwrap().initializer[index];
        let mut raw = tensor.raw_data().to_vec();
        raw[..4].copy_from_slice(&value.to_le_bytes());
        tensor.raw_data = Some(raw.into());
        let file = ModelFile { model: Model::new(proto).unwrap(), ..file };
        let explainer = Explainer::from_file(&file, &Options::default())?;
        let image = explainer.ready(&[])?.image_dims.iter().map(|d| d.per_image()).collect::<Vec<_>>();
        explainer.explain(&[Input::Tensor(ArrayD::from_elem(image, 0.5f32).into())])
    }

    #[test]
    fn images_explained_together_are_explained_as_alone() {
        let fixture = |name: &str| format!("{}/../../fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
        let explainer = Explainer::new(fixture("efficientnet-lite0.onnx"), &Options::default()).unwrap();
        let photo = |name: &str| Input::Photo(Photo::open(fixture(&format!("photos/{name}.png"))).unwrap());
        let (coffee, chelsea) = (photo("coffee"), photo("chelsea"));
        let both = [&coffee, &chelsea].map(|photo| explainer.prepared(photo).unwrap().into_f32());
        let both = ndarray::concatenate(Axis(0), &both.each_ref().map(|t| t.view())).unwrap().into();
        let inputs = [chelsea.clone(), coffee.clone(), Input::Tensor(both), coffee];
        let together = explainer.explain(&inputs).unwrap();
        let labels: Vec<Option<&str>> = together.iter().map(|of_image| of_image[0].label()).collect();
        let (cat, cup) = (Some("tiger cat"), Some("espresso"));
        assert_eq!(labels, [cat, cup, cup, cat, cup]);
        let alone: Vec<_> = inputs.iter().flat_map(|i| explainer.explain(std::slice::from_ref(i)).unwrap()).collect();
        assert_eq!(inputs.iter().map(|input| explainer.samples(input)).sum::<usize>(), alone.len());
        for (a, b) in together.iter().flatten().zip(alone.iter().flatten()) {
            assert_eq!((&a.map, a.score, a.photo().is_some()), (&b.map, b.score, b.photo().is_some()));
        }
        assert_eq!(together[1][0].map, together[2][0].map);
    }

    #[test]
    fn a_network_that_computes_no_numbers_has_no_map() {
        let floats: Vec<usize> = {
            let model = ModelFile::open(DIGITS).unwrap().model;
            let stored = model.graph().initializer.iter().enumerate();
            stored.filter(|(_, t)| t.data_type == Some(1) && t.raw_data().len() >= 4).map(|(i, _)| i).collect()
        };
        assert!(floats.len() > 4);
        for &index in &floats {
            assert!(with(index, 0.25).is_ok());
            for value in [f32::NAN, f32::INFINITY] {
                assert!(matches!(with(index, value), Err(Error::Core(hirescam_core::Error::Invalid { .. }))));
            }
            match with(index, 3e38) {
                Err(Error::NotFinite { .. }) => {}
                Err(error) => panic!("{error}"),
                Ok(made) => assert!(made.iter().flatten().all(|e| e.map.iter().all(|v| v.is_finite()))),
            }
        }
        let explainer = Explainer::new(DIGITS, &Options::default()).unwrap();
        let image = explainer.ready(&[]).unwrap().image_dims.iter().map(|d| d.per_image()).collect::<Vec<_>>();
        for value in [f32::NAN, f32::NEG_INFINITY, f32::MAX] {
            let made = explainer.explain(&[Input::Tensor(ArrayD::from_elem(image.clone(), value).into())]);
            assert!(matches!(made, Err(Error::NotFinite { .. })), "{value}");
        }
    }
}
