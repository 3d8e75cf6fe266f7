//! A model made ready for images of one size: what it is fed, and what comes of samples.

use super::Error;
use super::prepare::{AboutMap, OneRun, Preparation, one_run, several_runs};
use super::run_once::OfSample;
use crate::error::INPUT;
use crate::explained::Explained;
use crate::explanation::{Explanation, FoundMap, Shared};
use crate::further_inputs::{FurtherArrays, FurtherInputs};
use crate::labels::Labels;
use crate::methods::{AnyMethod, Given, SeveralRuns};
use crate::network::Network;
use crate::photo::Photo;
use crate::preprocess::{PreprocessError, Rect};
use crate::sample::Sample;
use crate::spec::Resolved;
use crate::watch::{Progress, Watch};
use hirescam_core::analysis;
use hirescam_core::axes::Runs;
use hirescam_core::shape;
use hirescam_core::shape::Dim;
use hirescam_engine::{Array, Engine, Kind};
use ndarray::ArrayD;
use std::sync::Arc;

/// A model made ready for images of one size.
pub(super) struct Ready {
    /// What one run makes, where methods are among them that one run is enough for.
    once: Option<OneRun>,
    /// What takes several runs.
    several: Vec<SeveralRuns>,
    pub(super) image_dims: Vec<Dim>,
    pub(super) image_kind: Kind,
    /// The input that carries the image.
    pub(super) image: String,
    pub(super) image_channels: Option<usize>,
    /// What is assumed of the image, in words.
    pub(super) assumed: Option<String>,
    pub(super) runs: Runs,
    pub(super) further: FurtherInputs,
    pub(super) map_shape: Option<Vec<usize>>,
    /// How many methods there are.
    methods: usize,
    /// One for each map of a class: of one method after the other the layers.
    pub(super) shared: Vec<Arc<Shared>>,
    /// Where each of these stands among what is made, one run's first.
    order: Vec<usize>,
}

impl Ready {
    /// Makes the model in `file` ready, for the size that the spec tells where the file leaves it open.
    pub(super) fn of(file: Network, options: &Resolved, engine: &dyn Engine) -> Result<Self, Error> {
        let (path, hash) = (file.path().to_owned(), file.sha256_once());
        let image = analysis::image_input(file.model(), options.spec.image_input.as_deref())?.name().to_owned();
        let methods = options.methods()?;
        let (mut of_one_run, mut of_several) = (Vec::new(), Vec::new());
        for method in &methods {
            match method {
                AnyMethod::OneRun(method) => of_one_run.push(*method),
                AnyMethod::SeveralRuns(method) => of_several.push(*method),
            }
        }
        let (mut parts, mut several) = (Vec::new(), Vec::new());
        if !of_several.is_empty() {
            let (part, made) = several_runs(&file, options, &of_several, engine)?;
            (parts, several) = (vec![part], made);
        }
        let mut once = None;
        if let [first, further @ ..] = of_one_run.as_slice() {
            let (part, made) = one_run(file, options, (first, further), engine)?;
            parts.insert(0, part);
            once = Some(made);
        }
        let made: Vec<AboutMap> = parts.iter_mut().flat_map(|part| std::mem::take(&mut part.maps)).collect();
        let order = methods.iter().flat_map(|method| {
            let of_method = move |(_, (row, ..)): &(usize, &AboutMap)| row.name == method.name();
            made.iter().enumerate().filter(of_method).map(|(at, _)| at)
        });
        let order: Vec<usize> = order.collect();
        let map_shape = match parts.as_slice() {
            [part] => part.map_shape.clone(),
            _ => None,
        };
        let Some(part) = parts.into_iter().next() else { return Err(Error::Argument("no method is asked for".into())) };
        let Preparation {
            score, target, image_dims, image_kind, image_channels, tells_channels, runs, further, ..
        } = part;
        let labels = options.labels.as_ref().map(|labels| labels.of(&score)).transpose()?.flatten();
        let unused_labels = options.labels.as_ref().filter(|_| labels.is_none()).map(Labels::len);
        let provenance = options.provenance(&path, hash.known(), engine);
        let shared = |(method, layer, certificate): &AboutMap| Shared {
            method: method.clone(),
            target: target.clone(),
            layer: layer.clone(),
            score: score.clone(),
            unused_labels,
            certificate: certificate.clone(),
            image_axes: image_dims.len().saturating_sub(2),
            labels: labels.clone(),
            preprocess: options.preprocess.clone(),
            provenance: provenance.clone(),
        };
        let shared = order.iter().filter_map(|&at| made.get(at)).map(|map| Arc::new(shared(map))).collect();
        let assumed = image_channels.filter(|_| !tells_channels).map(|axis| {
            format!(
                "which axis of the image counts channels the network does not tell: the axis {axis} was taken, {} long",
                image_dims.get(axis).map_or(0, |d| d.per_image())
            )
        });
        let methods = methods.len();
        Ok(Ready {
            once,
            several,
            image,
            image_dims,
            image_kind,
            image_channels,
            assumed,
            runs,
            further,
            map_shape,
            methods,
            shared,
            order,
        })
    }

    /// Whether an image of this shape is what was made ready, whatever the number of images where each is a sample.
    pub(super) fn takes(&self, shape: &[usize]) -> bool {
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

    /// Whether a tensor is what was made ready.
    ///
    /// # Errors
    /// [`Error::Argument`] where it is not.
    pub(super) fn check_shape(&self, tensor: &Array) -> Result<(), Error> {
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
        Ok(())
    }

    /// Images as the network declares them: in its shape, and of its element kind.
    pub(super) fn fed(&self, tensor: &Array) -> Result<Array, Error> {
        self.check_shape(tensor)?;
        let kind = self.image_kind;
        if tensor.kind() != kind
            && let Some(value) = tensor.first_lost(kind)
        {
            return Err(Error::Kind { kind, given: tensor.kind(), value });
        }
        tensor.to_kind(kind).ok_or(Error::Kind { kind, given: tensor.kind(), value: f64::NAN })
    }

    /// The sample of this number as the network takes it, of what it is shown.
    ///
    /// # Errors
    /// [`Error::Argument`] for a tensor of several samples or another shape, [`Error::NotFinite`] for NaN and infinities, which some engines
    /// lose on the way to a map that looks like any; what inputs beside the image are not fed.
    pub(super) fn feed<'a>(&self, number: usize, sample: &'a Sample, shown: Shown) -> Result<Fed<'a>, Error> {
        let Shown { array, photo } = shown;
        let array = if photo.is_some() { self.fed_photo(&array)? } else { self.fed(&array)? };
        if self.runs.one_sample.is_none() && rows(&array) != 1 {
            let n = rows(&array);
            return Err(Error::Argument(format!("the tensor holds {n} images, each a sample of its own")));
        }
        if let Some(value) = array.not_finite() {
            return Err(Error::NotFinite { what: INPUT, value });
        }
        Ok(Fed { sample, number, array, beside: self.further.of(sample)?, photo })
    }

    /// Explains samples, up to `at_once` in a run where that may be. One that fails spoils no other.
    pub(super) fn run(&self, samples: &[Fed], at_once: usize, watch: &mut Watch) -> Vec<Result<Explained, Error>> {
        let stop = watch.stop();
        // Of each sample the maps, of each of these the classes.
        let mut found: Vec<OfSample> = match &self.once {
            Some((session, maps)) => self.run_once(session.as_ref(), maps, (samples, at_once), stop),
            None => samples.iter().map(|_| Ok(Vec::new())).collect(),
        };
        for (found, fed) in found.iter_mut().zip(samples) {
            let mut tell = |done, of| watch.tell(Progress { sample: fed.number, done, of });
            match self.several.len() {
                0 => tell(1, 1),
                count => {
                    for (at, several) in self.several.iter().enumerate() {
                        let Ok(before) = found else { break };
                        // All methods explain the same classes, where rounding decides between two as well.
                        let classes = before.first().map(|first| first.iter().filter_map(|f| f.class).collect());
                        let given = Given { image: &fed.array, beside: &fed.beside, classes };
                        let mut tell = |done, of| tell(at * of + done, count * of);
                        match several.explain(&given, stop, &mut tell) {
                            Ok(made) => before.push(made),
                            Err(error) => *found = Err(error),
                        }
                    }
                }
            }
        }
        found.into_iter().zip(samples).map(|(found, fed)| self.explained(found?, fed)).collect()
    }

    /// What was made of a sample, of the classes of each map.
    fn explained(&self, found: Vec<Vec<FoundMap>>, fed: &Fed) -> Result<Explained, Error> {
        for of_map in &found {
            for found in of_map {
                finite("map", &found.map)?;
                if !found.score.is_finite() {
                    return Err(Error::NotFinite { what: "score", value: found.score });
                }
            }
            // An infinite score of another class is one; NaN among them makes the choice of the class void.
            if of_map.first().is_some_and(|found| found.logits.has_nan()) {
                return Err(Error::NotFinite { what: "list of class scores", value: f64::NAN });
            }
        }
        // All axes of the image but that of samples, and that of channels.
        let sides = fed.array.shape().iter().enumerate().skip(1).filter(|(axis, _)| Some(*axis) != self.image_channels);
        let sides: Vec<usize> = sides.map(|(_, &extent)| extent).collect();
        let layers = found.len() / self.methods.max(1);
        let mut found: Vec<_> = found.into_iter().map(Vec::into_iter).collect();
        let mut maps = Vec::new();
        while found.iter().any(|of_map| of_map.len() > 0) {
            for (&at, shared) in self.order.iter().zip(&self.shared) {
                let Some(found) = found.get_mut(at).and_then(Iterator::next) else { continue };
                // It shows in what is made of photos, and in maps of pixels.
                let matters = fed.photo.is_some() || shared.layer == self.image;
                let notes = found.notes.iter().chain(self.assumed.iter().filter(|_| matters)).cloned().collect();
                maps.push(Explanation::new(
                    shared.clone(),
                    FoundMap { notes, ..found },
                    sides.clone(),
                    fed.photo.clone(),
                ));
            }
        }
        Ok(Explained::new(fed.sample.id.clone(), (self.methods, layers), maps))
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

/// An image in the shape in which it comes to the network, and the photo that it was made of.
pub(super) struct Shown {
    pub(super) array: Array,
    /// What the network sees of it, and where that lies in what is drawn.
    pub(super) photo: Option<(Photo, Rect)>,
}

/// A sample as the network takes it.
pub(super) struct Fed<'a> {
    pub(super) sample: &'a Sample,
    /// Which of the samples it is, those that fail counted too.
    pub(super) number: usize,
    pub(super) array: Array,
    pub(super) beside: FurtherArrays,
    photo: Option<(Photo, Rect)>,
}

/// How many rows a batch has.
pub(super) fn rows(batch: &Array) -> usize {
    batch.shape().first().copied().unwrap_or(0)
}
