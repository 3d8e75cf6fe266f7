//! An explainer: a model prepared once, for any number of images.

mod prepare;
mod ready;
mod run_once;

use prepare::{image_kind, open_image};
pub(crate) use prepare::{image_shape, request, shape_of, with_setup};
use ready::{Part, Ready, rows};

use crate::error::Error;
use crate::explanation::Explanation;
use crate::labels::Labels;
use crate::methods::{self, Any, Progress};
use crate::model_file::ModelFile;
use crate::photo::Photo;
use crate::preprocess::{ImageInput, Prepared, Preprocess};
use crate::spec::{Resolved, Spec};
use hirescam_engine::{Array, Engine, Kind};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

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
/// Where the file leaves the size of the image open, and neither spec nor preprocessing say it, the model is prepared for
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
    options: Resolved,
    engine: Box<dyn Engine>,
}

impl Explainer {
    /// Prepares the model in the file `model`.
    ///
    /// # Errors
    /// One [`Error`] for each thing that can be wrong: the file, the layer, the class, the method, the engine.
    pub fn new(model: impl AsRef<Path>, spec: &Spec) -> Result<Self, Error> {
        Self::of(ModelFile::open(model)?, spec)
    }

    /// Prepares a model that has been read.
    ///
    /// # Errors
    /// As [`Explainer::new`].
    pub fn from_file(file: &ModelFile, spec: &Spec) -> Result<Self, Error> {
        Self::of(file.clone(), spec)
    }

    /// As [`Explainer::from_file`]. Where nobody else holds the file, its memory is used again while the engine gets ready.
    ///
    /// # Errors
    /// As [`Explainer::new`].
    pub fn of(file: ModelFile, spec: &Spec) -> Result<Self, Error> {
        let options = spec.resolve(&file)?;
        Self::resolved(file, options)
    }

    /// Prepares a model for a spec of which all is read.
    pub(crate) fn resolved(file: ModelFile, options: Resolved) -> Result<Self, Error> {
        let engine = options.spec.engine.start()?;
        let (preprocess, labels) = (options.preprocess.clone(), options.labels.clone());
        let (title, several_runs) = match methods::method(&options.spec.method)? {
            Any::OneRun(method) => (method.title, false),
            Any::SeveralRuns(method) => (method.row.title, true),
        };
        let image_kind = image_kind(&file.model, &options)?;
        let about = |model: PathBuf, model_sha256: String| About {
            title,
            several_runs,
            image_kind,
            layers: 1 + options.further_layers().len(),
            labels,
            engine_version: engine.version(),
            model,
            model_sha256,
        };
        if let (None, Some(image)) = (&options.spec.shape, open_image(&file, &options)?) {
            let about = about(file.path.clone(), file.sha256().to_owned());
            // What is wrong with the spec is found early, where there is a size to try.
            let image_shape = image_shape(&file, &options)?;
            let ready = match image_shape.is_some() {
                true => {
                    vec![Arc::new(Ready::of(file.clone(), &options.of_shape(image_shape), &*engine)?)]
                }
                false => Vec::new(),
            };
            let open = Some(Open { file, options, engine });
            return Ok(Explainer { about, preprocess, image, ready: Mutex::new(ready), open });
        }
        if prepare::open_sample(&file, &options)? {
            let about = about(file.path.clone(), file.sha256().to_owned());
            let open = Some(Open { file, options, engine });
            return Ok(Explainer { about, preprocess, image: None, ready: Mutex::default(), open });
        }
        let path = file.path.clone();
        let hash = file.sha256_once();
        let ready = Ready::of(file, &options, engine.as_ref())?;
        let image = ImageInput::from_dims(&ready.image_dims, ready.image_channels).ok();
        let (about, ready) = (about(path, hash.known()), Mutex::new(vec![Arc::new(ready)]));
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
                let options = options.of_shape(Some(shape.to_vec()));
                Arc::new(Ready::of(file.clone(), &options, engine.as_ref())?)
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use hirescam_core::onnx::{read, write};
    use ndarray::{ArrayD, Axis};

    fn tract() -> Spec {
        Spec { engine: "tract".into(), ..Spec::default() }
    }

    const DIGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/digits-cnn.onnx");

    /// What comes of the digits network when the first value of its stored tensor number `index` is another one.
    fn with(index: usize, value: f32) -> Result<Vec<Vec<Explanation>>, Error> {
        let mut proto = read(std::fs::read(DIGITS).unwrap()).unwrap();
        let tensor = &mut proto.graph.as_mut().unwrap().initializer[index];
        let mut raw = tensor.raw_data().to_vec();
        raw[..4].copy_from_slice(&value.to_le_bytes());
        tensor.raw_data = Some(raw.into());
        let file = crate::Network::from_bytes(write(&proto)).unwrap();
        let explainer = Explainer::from_file(&file, &tract())?;
        let image = explainer.ready(&[])?.image_dims.iter().map(|d| d.per_image()).collect::<Vec<_>>();
        explainer.explain(&[Input::Tensor(ArrayD::from_elem(image, 0.5f32).into())])
    }

    #[test]
    fn images_explained_together_are_explained_as_alone() {
        let fixture = |name: &str| format!("{}/../../fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
        let explainer = Explainer::new(fixture("efficientnet-lite0.onnx"), &tract()).unwrap();
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
        let explainer = Explainer::new(DIGITS, &tract()).unwrap();
        let image = explainer.ready(&[]).unwrap().image_dims.iter().map(|d| d.per_image()).collect::<Vec<_>>();
        for value in [f32::NAN, f32::NEG_INFINITY, f32::MAX] {
            let made = explainer.explain(&[Input::Tensor(ArrayD::from_elem(image.clone(), value).into())]);
            assert!(matches!(made, Err(Error::NotFinite { .. })), "{value}");
        }
    }
}
