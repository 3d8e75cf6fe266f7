//! A model made ready for images of one size: what it is fed, and what comes of a batch.

use super::Error;
use super::prepare::{Parts, one_run, request, several_runs};
use super::run_once::run_once;
use crate::explanation::{Explanation, Found, Shared};
use crate::labels::Labels;
use crate::methods::{self, Any, Progress, Several};
use crate::model_file::ModelFile;
use crate::others::Others;
use crate::photo::Photo;
use crate::preprocess::{PreprocessError, Rect};
use crate::spec::Resolved;
use hirescam_core::analysis;
use hirescam_core::axes::Runs;
use hirescam_core::cam::{Explaining, Request};
use hirescam_core::certify::Certificate;
use hirescam_core::shape;
use hirescam_core::shape::Dim;
use hirescam_engine::{Array, Engine, Kind, Session};
use ndarray::ArrayD;
use std::sync::Arc;

/// A model made ready for images of one size.
pub(super) struct Ready {
    pub(super) work: Work,
    pub(super) image_dims: Vec<Dim>,
    pub(super) image_kind: Kind,
    /// The input that carries the image.
    pub(super) image: String,
    pub(super) image_channels: Option<usize>,
    /// What is assumed of the image, in words.
    pub(super) assumed: Option<String>,
    pub(super) runs: Runs,
    pub(super) others: Others,
    /// One for each layer.
    pub(super) shared: Vec<Arc<Shared>>,
}

/// What makes the maps.
pub(super) enum Work {
    /// One run of the explaining model, as each layer sees it.
    OneRun(Box<dyn Session>, Vec<Explaining>),
    /// Several runs, for each layer.
    SeveralRuns(Vec<Several>),
}

impl Ready {
    /// Makes the model in `file` ready, for the size that the spec tells where the file leaves it open.
    pub(super) fn of(file: ModelFile, options: &Resolved, engine: &dyn Engine) -> Result<Self, Error> {
        let (path, hash, request) = (file.path.clone(), file.sha256_once(), request(&file, options)?);
        let image = analysis::image_input(&file.model, options.spec.image_input.as_deref())?.name().to_owned();
        let (parts, work) = match methods::method(&options.spec.method)? {
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
            model_sha256: hash.known(),
        };
        let shared = layers.into_iter().map(|layer| Arc::new(shared(layer))).collect();
        let assumed = image_channels.filter(|_| !tells_channels).map(|axis| {
            format!(
                "which axis of the image counts channels the network does not tell: the axis {axis} was taken, {} long",
                image_dims.get(axis).map_or(0, |d| d.per_image())
            )
        });
        Ok(Ready { work, image, image_dims, image_kind, image_channels, assumed, runs, others, shared })
    }

    /// Whether an image of this shape is what was made ready, whatever the number of images where each is a sample.
    pub(super) fn takes(&self, shape: &[usize]) -> bool {
        let counted = usize::from(self.runs.one_sample.is_none());
        let wanted = self.image_dims.iter().skip(counted).map(|d| d.per_image());
        shape.len() == self.image_dims.len() && shape.iter().skip(counted).copied().eq(wanted)
    }

    /// As [`Ready::fed`], of what the preprocessing made of a photo.
    pub(super) fn fed_photo(&self, tensor: &Array) -> Result<Array, Error> {
        self.fed(tensor).map_err(|error| match error {
            Error::Kind { kind, value, .. } if !kind.is_float() => Error::Preprocess(PreprocessError::Mismatch(format!(
                "the network takes {kind}, and the preprocessing makes {value}: a network of whole numbers takes the photo's own levels, 0 to 255 (`scale = 1`, no `mean`, no `std`)"
            ))),
            error => error,
        })
    }

    /// Images as the network declares them: in its shape, and of its element kind.
    pub(super) fn fed(&self, tensor: &Array) -> Result<Array, Error> {
        if !self.takes(tensor.shape()) || rows(tensor) == 0 {
            let dims = shape::show(&self.image_dims);
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
    pub(super) fn parts(&self, tensor: &Array) -> Result<Vec<Part>, Error> {
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
    pub(super) fn run(
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
pub(super) struct Part {
    pub(super) array: Array,
    /// How many samples it holds, copies that fill it aside.
    pub(super) samples: usize,
    pub(super) notes: Vec<String>,
}

/// How many rows a batch has.
pub(super) fn rows(batch: &Array) -> usize {
    batch.shape().first().copied().unwrap_or(0)
}
