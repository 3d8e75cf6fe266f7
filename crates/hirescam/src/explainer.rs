//! An explainer: a model prepared once, for any number of images.

use crate::explanation::{Explanation, Shared};
use crate::labels::{Labels, LabelsError};
use crate::model_file::ModelFile;
use crate::photo::{Photo, PhotoError};
use crate::preprocess::{ImageInput, Preprocess, PreprocessError, Rect, Resize};
use hirescam_core::cam::{self, Explaining, Request, Target};
use hirescam_core::head;
use hirescam_core::shape::declared;
use hirescam_engine::{self as engine, Array, Session};
use ndarray::{ArrayD, Axis, Slice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
    #[error("{path}: {error}", path = .path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// Why.
        error: hirescam_core::Error,
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
    /// The arguments do not go together.
    #[error("{0}")]
    Argument(String),
}

/// What to explain, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The target layer; the recommended one when none is named.
    pub layer: Option<String>,
    /// What is explained: the best class of each image when nothing else is said.
    pub target: Target,
    /// The method: a name in [`cam::METHODS`].
    pub method: String,
    /// The model's output; the one that looks like class scores when none is named.
    pub output: Option<String>,
    /// Whether the output itself is the score, and not the logits before its final activation.
    pub keep_activation: bool,
    /// The layer's channel axis, where the graph does not tell it.
    pub channels: Option<i64>,
    /// The engine: `tract` or `onnxruntime`.
    pub engine: String,
    /// The engine's threads; 0 lets it choose.
    pub threads: usize,
    /// ONNX Runtime's library.
    pub library: Option<PathBuf>,
    /// The preprocessing of photos; what goes with the model when none is given.
    pub preprocess: Option<Preprocess>,
    /// Class labels; what goes with the model when none are given.
    pub labels: Option<Labels>,
    /// The network's input shape, where the file leaves extents open.
    pub image_shape: Option<Vec<usize>>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            layer: None,
            target: Target::Top(1),
            method: "hirescam".into(),
            output: None,
            keep_activation: false,
            channels: None,
            engine: "tract".into(),
            threads: 0,
            library: None,
            preprocess: None,
            labels: None,
            image_shape: None,
        }
    }
}

/// An image to explain.
#[derive(Clone, Debug)]
pub enum Input {
    /// A photo, to be preprocessed.
    Photo(Photo),
    /// A tensor in the network's own shape, taken as it is; its first axis may hold several images where the network's
    /// batch is free.
    Tensor(ArrayD<f32>),
}

/// A model prepared to explain images.
pub struct Explainer {
    session: Box<dyn Session>,
    explaining: Explaining,
    preprocess: Option<Preprocess>,
    image: Option<ImageInput>,
    shared: Arc<Shared>,
}

impl Explainer {
    /// Prepares the model in the file `model`.
    ///
    /// # Errors
    /// One [`Error`] for each thing that can be wrong: the file, the layer, the class, the engine.
    pub fn new(model: impl AsRef<Path>, options: &Options) -> Result<Self, Error> {
        Self::from_file(&ModelFile::open(model)?, options)
    }

    /// Prepares a model that has been read.
    ///
    /// # Errors
    /// As [`Explainer::new`].
    pub fn from_file(file: &ModelFile, options: &Options) -> Result<Self, Error> {
        let preprocess = match &options.preprocess {
            Some(p) => Some(p.clone()),
            None => file.preprocess()?.map(|(p, _)| p),
        };
        let labels = match &options.labels {
            Some(l) => Some(l.clone()),
            None => file.labels()?,
        };
        let request = Request { logits: true, ..request(file, options, preprocess.as_ref())? };
        let explaining = cam::attach(&file.model, &request)?;
        if let Some(input) = &explaining.input {
            return Err(Error::Argument(format!(
                "the target {} takes the input {input:?} with each image: compile the model and run it in an engine",
                request.target
            )));
        }
        if let Some(labels) = labels.as_ref().filter(|_| !explaining.head.score.is_dense()) {
            labels.check(explaining.head.score.classes)?;
        }
        let engine = engine::engine(
            &options.engine,
            &engine::Options { threads: options.threads, library: options.library.clone() },
        )?;
        let session = engine.prepare(&explaining.to_bytes())?;
        let sizes: Vec<Option<usize>> = explaining.image_dims.iter().map(|d| Some(d.per_image())).collect();
        let shared = Shared {
            method: request.method,
            target: request.target,
            layer: explaining.head.layer.clone(),
            output: explaining.head.score.output.clone(),
            activation: explaining.head.score.activation.clone(),
            certificate: explaining.certificate.clone(),
            labels,
            engine: engine.name().to_owned(),
            engine_version: engine.version(),
            model: file.path.clone(),
            model_sha256: file.sha256.clone(),
        };
        Ok(Explainer {
            session,
            image: ImageInput::from_shape(&sizes).ok(),
            explaining,
            preprocess,
            shared: Arc::new(shared),
        })
    }

    /// The layer that is explained.
    pub fn layer(&self) -> &str {
        &self.shared.layer
    }

    /// How photos are prepared, where that is known.
    pub fn preprocess(&self) -> Option<&Preprocess> {
        self.preprocess.as_ref()
    }

    /// Explains images: for each, one explanation a class. A tensor that holds several images counts as several.
    ///
    /// # Errors
    /// [`Error::Preprocess`] when a photo does not fit, [`Error::Argument`] for a tensor of another shape,
    /// [`Error::Engine`] when the engine fails, [`Error::NotFinite`] when the network's numbers do.
    pub fn explain(&self, images: &[Input]) -> Result<Vec<Vec<Explanation>>, Error> {
        let mut explanations = Vec::new();
        for image in images {
            match image {
                Input::Photo(photo) => {
                    let (Some(preprocess), Some(input)) = (&self.preprocess, self.image) else {
                        return Err(self.no_preprocess());
                    };
                    let prepared = preprocess.apply(photo, input)?;
                    explanations.extend(self.run(prepared.tensor, Some((photo, prepared.view)))?);
                }
                Input::Tensor(tensor) => {
                    self.check(tensor)?;
                    for part in self.parts(tensor) {
                        explanations.extend(self.run(part, None)?);
                    }
                }
            }
        }
        Ok(explanations)
    }

    fn no_preprocess(&self) -> Error {
        Error::Argument(if self.image.is_none() {
            "the network's input is no 2-D image: give a tensor (.npy) in its own shape".into()
        } else {
            format!(
                "how are photos prepared for this network? Nothing goes with {}: name a preset (--preprocess imagenet), give a TOML file, or a ready tensor (.npy)",
                self.shared.model.display()
            )
        })
    }

    fn check(&self, tensor: &ArrayD<f32>) -> Result<(), Error> {
        let wanted: Vec<usize> = self.explaining.image_dims.iter().skip(1).map(|d| d.per_image()).collect();
        if tensor.shape().get(1..) == Some(&wanted) && tensor.shape().first().is_some_and(|&n| n > 0) {
            return Ok(());
        }
        let dims = head::show(&self.explaining.image_dims);
        Err(Error::Argument(format!("the network takes {dims}, the tensor has the shape {:?}", tensor.shape())))
    }

    /// A batch as the network takes it: whole, or image by image where the file fixes the batch.
    fn parts(&self, tensor: &ArrayD<f32>) -> Vec<ArrayD<f32>> {
        let fixed = self.explaining.image_dims.first().map_or(1, |d| d.per_image()).max(1);
        let n = tensor.shape().first().copied().unwrap_or(0);
        if self.explaining.free_batch || n == fixed {
            return vec![tensor.clone()];
        }
        let part = |start: usize| tensor.slice_axis(Axis(0), Slice::from(start..(start + fixed).min(n))).to_owned();
        (0..n).step_by(fixed).map(part).collect()
    }

    fn run(&self, tensor: ArrayD<f32>, photo: Option<(&Photo, Rect)>) -> Result<Vec<Vec<Explanation>>, Error> {
        // Some engines lose a NaN on the way, and give a map that looks like any.
        finite("network's input", tensor.iter().copied())?;
        let names = &self.explaining.outputs;
        let tensor_array = Array::from(tensor.clone());
        let made = self.session.run(&[(&self.explaining.image, &tensor_array)])?;
        let find = |name: &str| {
            let found = made.iter().find(|(n, _)| n == name).map(|(_, a)| a);
            found.ok_or_else(|| Error::Argument(format!("the engine gave no output {name:?}")))
        };
        let (map, class, score) =
            (find(&names.map)?.to_f32(), find(&names.class)?.to_i64(), find(&names.score)?.to_f32());
        let logits = names.logits.as_deref().map(find).transpose()?.map(Array::to_f32);
        // An infinite score of another class is one; NaN among them makes the choice of the class void.
        finite("map", map.iter().copied())?;
        finite("score", score.iter().copied())?;
        finite("list of class scores", logits.iter().flatten().copied().filter(|v| v.is_nan()))?;
        let m = self.explaining.maps;
        let mut all = Vec::new();
        for (n, image_map) in map.axis_iter(Axis(0)).enumerate() {
            let mut of_image = Vec::new();
            for i in 0..m {
                let map = if m == 1 { image_map.to_owned() } else { image_map.index_axis(Axis(0), i).to_owned() };
                let at = n * m + i;
                let class = class.iter().nth(at).and_then(|&c| usize::try_from(c).ok()).unwrap_or(0);
                let score = score.iter().nth(at).copied().map_or(f64::NAN, f64::from);
                let row = logits.as_ref().and_then(|l| l.axis_iter(Axis(0)).nth(n));
                let row = row.map(|r| r.iter().copied().map(f64::from).collect()).unwrap_or_default();
                let bias = self.explaining.b(class);
                let photo = photo.map(|(p, view)| (p.clone(), view));
                of_image.push(Explanation::new(self.shared.clone(), map, class, score, row, bias, photo));
            }
            all.push(of_image);
        }
        Ok(all)
    }
}

fn finite(what: &'static str, mut values: impl Iterator<Item = f32>) -> Result<(), Error> {
    match values.find(|v| !v.is_finite()) {
        Some(value) => Err(Error::NotFinite { what, value: value.into() }),
        None => Ok(()),
    }
}

/// The request that `options` make of a model, with the shape of its image where the file leaves it open.
///
/// # Errors
/// [`Error::Core`] for an unknown method.
pub fn request(file: &ModelFile, options: &Options, preprocess: Option<&Preprocess>) -> Result<Request, Error> {
    Ok(Request {
        layer: options.layer.clone(),
        target: options.target.clone(),
        method: cam::method(&options.method)?,
        output: options.output.clone(),
        keep_activation: options.keep_activation,
        channels: options.channels,
        image_shape: image_shape(file, options, preprocess)?,
        logits: false,
    })
}

/// The input's shape: as given, else with the size that the preprocessing makes.
///
/// # Errors
/// [`Error::Core`] for a model without inputs.
pub fn image_shape(
    file: &ModelFile,
    options: &Options,
    preprocess: Option<&Preprocess>,
) -> Result<Option<Vec<usize>>, Error> {
    if options.image_shape.is_some() {
        return Ok(options.image_shape.clone());
    }
    let declared = declared(head::image_input(&file.model)?);
    let size = preprocess.and_then(|p| match (p.crop, &p.resize) {
        (Some(crop), _) => Some(crop),
        (None, Some(Resize::Exact(size))) => Some(*size),
        _ => None,
    });
    let Some(([height, width], [_, a, b, c])) = size.zip(declared.first_chunk::<4>()) else { return Ok(None) };
    if declared.len() != 4 || declared.iter().skip(1).all(Option::is_some) {
        return Ok(None);
    }
    let colours = preprocess.map_or(3, |p| p.channels.count());
    let (height, width) = (height as usize, width as usize);
    let last = c.is_some_and(|n| n <= 4) && a.is_none_or(|n| n > 4);
    let mut shape =
        if last { vec![1, height, width, c.unwrap_or(colours)] } else { vec![1, a.unwrap_or(colours), height, width] };
    if let (false, Some(h), Some(w)) = (last, *b, *c) {
        shape = vec![1, a.unwrap_or(colours), h, w];
    }
    Ok(Some(shape))
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
        let image = explainer.explaining.image_dims.iter().map(|d| d.per_image()).collect::<Vec<_>>();
        explainer.explain(&[Input::Tensor(ArrayD::from_elem(image, 0.5))])
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
        let image = explainer.explaining.image_dims.iter().map(|d| d.per_image()).collect::<Vec<_>>();
        for value in [f32::NAN, f32::NEG_INFINITY, f32::MAX] {
            let made = explainer.explain(&[Input::Tensor(ArrayD::from_elem(image.clone(), value))]);
            assert!(matches!(made, Err(Error::NotFinite { .. })), "{value}");
        }
    }
}
