//! The faithfulness report: what is proven of maps on a network, and how they fare on images of one's own.
//!
//! [`Network::check`] makes a [`Report`]. What its numbers mean is said in `docs/check.md`; they are the same as text
//! ([`Report::text`]), as a page ([`Report::html`]) and as JSON (by serde).

mod ablation;
mod html;
mod layer;
mod randomisation;
mod report;
mod text;
mod words;

pub use report::{
    Ablation, Correlation, ImageReport, LayerReport, MethodReport, Numbers, PictureReport, Randomisation, Report,
    Spread, Stage,
};

use crate::explainer::{open_image, shape_of, with_setup};
use crate::further_inputs::FurtherArrays;
use crate::layers::resolution;
use crate::methods;
use crate::methods::cut::Setup;
use crate::network::Network;
use crate::overlay::scaled;
use crate::record;
use crate::spec::Spec;
use crate::watch::{Stop, Watch};
use crate::{Error, Explainer, Input, Sample};
use hirescam_core::analysis::Analysis;
use hirescam_core::cam::{self, Target};
use hirescam_core::certify::certify;
use hirescam_core::{head, layers};
use hirescam_engine::Array;
use image::{ImageFormat, RgbImage};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::io::Cursor;
use std::sync::atomic::AtomicBool;

/// What is checked, and how much of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// All layers that `hirescam layers` lists; where neither this is said nor a layer is named, the recommended one and the
    /// last of each resolution, of these the last three
    #[cfg_attr(feature = "clap", arg(long, conflicts_with = "layers"))]
    pub all_layers: bool,
    /// The methods of one run that HiResCAM is held against
    #[cfg_attr(feature = "clap", arg(long, value_name = "METHODS", value_delimiter = ',', default_values_t = Plan::default().methods))]
    pub methods: Vec<String>,
    /// How many images are taken for what needs many runs: taking places out, and randomised weights
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = Plan::default().sample))]
    pub sample: usize,
    /// How many places are taken out of each of these; 0 for none
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = Plan::default().places))]
    pub places: usize,
    /// Leave out the networks with randomised weights
    #[cfg_attr(feature = "clap", arg(long = "no-randomisation", action = clap::ArgAction::SetFalse))]
    pub randomise: bool,
    /// How many photos are drawn at each layer on the page
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = Plan::default().pictures))]
    pub pictures: usize,
}

/// How many layers are checked when none are named.
const FEW: usize = 4;
/// More images than this make no report.
const MOST_IMAGES: usize = 256;
/// The longer side of a picture in pixels.
const SIDE: u32 = 280;

impl Default for Plan {
    fn default() -> Self {
        let methods = ["gradcam", "gradcam++", "xgradcam", "layercam", "eigencam"];
        Plan {
            all_layers: false,
            methods: methods.map(str::to_owned).to_vec(),
            sample: 4,
            places: 49,
            randomise: true,
            pictures: 2,
        }
    }
}

/// How far a check is.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Step<'a> {
    /// What it does.
    pub what: &'a str,
    /// How many steps are done.
    pub done: usize,
    /// How many there are, as far as it is known.
    pub of: usize,
}

/// Counts steps.
struct StepCounter<'w> {
    tell: &'w mut dyn FnMut(Step),
    stop: Stop<'w>,
    done: usize,
    of: usize,
}

impl StepCounter<'_> {
    /// Says that a step begins.
    ///
    /// # Errors
    /// [`Error::Cancelled`] where it is not to begin.
    fn step(&mut self, what: &str) -> Result<(), Error> {
        self.stop.check()?;
        self.of = self.of.max(self.done + 1);
        (self.tell)(Step { what, done: self.done, of: self.of });
        self.done += 1;
        Ok(())
    }
}

/// An image that the network takes.
struct CheckedImage {
    /// Which image of the report it is.
    index: usize,
    /// The sample: a photo where it is to be drawn, else a tensor.
    sample: Sample,
    /// As the network takes it, with a batch axis of 1.
    image: Array,
    /// What goes beside it.
    beside: FurtherArrays,
}

impl Network {
    /// Checks how far maps can be trusted on the network, and how they fare on `images`, named ones, if there are any. A layer, a method or an image that fails
    /// has its error in the report. Of the layers the spec's are checked, else those that its plan says.
    ///
    /// # Errors
    /// [`Error::Argument`] for a target of several maps or one that comes with each image, too many images, or methods of
    /// several runs; [`Error::Core`] for names that do not exist and networks that have no layers; [`Error::Labels`],
    /// [`Error::Preprocess`] and [`Error::Engine`] for what goes with them all.
    pub fn check(
        &self,
        spec: &Spec,
        images: &mut dyn Iterator<Item = (String, Result<Input, String>)>,
        watch: &mut dyn FnMut(Step),
    ) -> Result<Report, Error> {
        self.check_until(spec, images, watch, &AtomicBool::new(false))
    }

    /// As [`Network::check`], where no step begins once `stop` is true.
    ///
    /// # Errors
    /// [`Error::Cancelled`] then, else those of [`Network::check`].
    pub fn check_until(
        &self,
        spec: &Spec,
        images: &mut dyn Iterator<Item = (String, Result<Input, String>)>,
        watch: &mut dyn FnMut(Step),
        stop: &AtomicBool,
    ) -> Result<Report, Error> {
        let stop = Watch::default().stopped_by(stop).stop();
        let options = spec.resolve(self)?;
        options.spec.settings.check()?;
        let plan = &spec.check;
        let engine = options.spec.engine.start()?;
        let mut methods = vec![methods::one_run("hirescam")?];
        for name in &plan.methods {
            let method = methods::one_run(name)?;
            if methods.iter().all(|m| m.name != method.name) {
                methods.push(method);
            }
        }
        // Where the file leaves the size open and the spec does not say it, the first image does.
        let mut images = images.peekable();
        let shape = match (&options.spec.shape, images.peek()) {
            (None, Some((_, Ok(first)))) => shape_of(self, &options, first)?,
            (shape, _) => shape.clone(),
        };
        let options = options.of_shape(shape);
        with_setup(&*self.analysis(&options)?, &options, engine.as_ref(), |setup| {
            options.labels.as_ref().map_or(Ok(None), |labels| labels.of(&setup.analysis.score))?;
            let work = Checking { file: self, setup, plan, methods: &methods };
            work.report(&mut images, &mut StepCounter { tell: watch, stop, done: 0, of: 0 })
        })
    }
}

/// HiResCAM made ready at a layer.
struct ReadyLayer {
    layer: String,
    explainer: Explainer,
}

/// A check in progress.
struct Checking<'a> {
    file: &'a Network,
    setup: &'a Setup<'a>,
    plan: &'a Plan,
    methods: &'a [&'static cam::Method],
}

impl Checking<'_> {
    fn report(
        &self,
        images: &mut dyn Iterator<Item = (String, Result<Input, String>)>,
        watch: &mut StepCounter,
    ) -> Result<Report, Error> {
        let Setup { analysis, options, engine, .. } = self.setup;
        let Analysis { score, .. } = analysis;
        let listed = layers::layers(analysis, false)?;
        let candidates = listed.len();
        let chosen = self.choose(listed)?;
        let (mut named, seen, fed) = self.images(&chosen, images)?;
        let ablations = usize::from(self.plan.places > 0);
        watch.of = if seen.is_empty() { 0 } else { chosen.len() * (self.methods.len() + ablations) };
        let mut cut = None;
        let layer = |found| self.layer(found, &seen, &mut named, (fed.as_ref(), &mut cut), watch);
        let layers: Vec<LayerReport> = chosen.iter().map(layer).collect::<Result<_, _>>()?;
        let mut usable = layers.iter().filter(|l| l.error.is_none());
        let best = usable.clone().find(|l| l.recommended).or(usable.next_back()).map(|l| l.name.clone());
        let randomisation = best.filter(|_| self.plan.randomise && !seen.is_empty()).map(|layer| {
            let images: Vec<&CheckedImage> = seen.iter().take(self.plan.sample.max(1)).collect();
            let trial =
                randomisation::Trial { setup: self.setup, layer: &layer, methods: self.methods, images: &images };
            trial.run(cut.filter(|cut| cut.layer == layer), watch)
        });
        // What was left out is no part of a report.
        watch.stop.check()?;
        Ok(Report {
            schema: record::SCHEMA,
            version: env!("CARGO_PKG_VERSION").into(),
            provenance: options.provenance(self.file.path(), self.file.sha256().to_owned(), *engine),
            output: score.output.clone(),
            final_activation: score.activation.clone(),
            target: options.target.to_string(),
            error: None,
            images: named,
            candidates,
            layers,
            randomisation,
        }
        .with_error())
    }

    /// The layers to check, in the order of the network.
    fn choose(&self, listed: Vec<layers::Layer>) -> Result<Vec<layers::Layer>, Error> {
        let Setup { analysis, options, .. } = self.setup;
        match options.spec.layers.as_slice() {
            [] if self.plan.all_layers => Ok(listed),
            [] => {
                // From the end, with a place kept for the recommended layer.
                let mut left = FEW;
                let mut recommended = listed.iter().filter(|l| l.recommended).count();
                let (mut seen, mut taken) = (HashSet::new(), vec![false; listed.len()]);
                for (layer, taken) in listed.iter().zip(&mut taken).rev() {
                    let last = layer.certificate.is_ok()
                        && seen.insert(resolution(analysis, options.spec.channel_axis, layer));
                    *taken = layer.recommended || (last && left > recommended);
                    left -= usize::from(*taken);
                    recommended -= usize::from(layer.recommended);
                }
                if !taken.contains(&true) {
                    taken.iter_mut().rev().take(1).for_each(|t| *t = true);
                }
                Ok(listed.into_iter().zip(taken).filter(|(_, taken)| *taken).map(|(layer, _)| layer).collect())
            }
            names => {
                let mut every = layers::layers(analysis, true)?;
                if names.contains(&analysis.image) {
                    every.insert(0, self.image_as_layer()?);
                }
                for name in names {
                    // It has the nearest names, and says what is wrong with values that are no layers.
                    head::cut(analysis, name, options.spec.channel_axis)?;
                    if every.iter().all(|l| l.name != *name) {
                        let what = format!("{name:?} is none of the network's layers, those in branches included");
                        return Err(Error::Argument(what));
                    }
                }
                Ok(every.into_iter().filter(|l| names.contains(&l.name)).collect())
            }
        }
    }

    /// The image, for methods that are made there.
    fn image_as_layer(&self) -> Result<layers::Layer, Error> {
        let Setup { analysis, options, .. } = self.setup;
        let Analysis { image, shapes, .. } = analysis;
        let head = head::cut(analysis, image, options.spec.channel_axis)?;
        Ok(layers::Layer {
            name: image.clone(),
            dims: shapes.dims(image).unwrap_or_default(),
            place: "the image".into(),
            followed: true,
            why: "",
            receptive_field: None,
            grid: None,
            certificate: Ok(certify(analysis, &head, false)),
            on_every_path: true,
            ignores_scale: false,
            reads_one_place: false,
            recommended: false,
        })
    }

    /// The images by name, those that the network takes, and the explainer that was asked.
    fn images(
        &self,
        layers: &[layers::Layer],
        images: &mut dyn Iterator<Item = (String, Result<Input, String>)>,
    ) -> Result<(Vec<ImageReport>, Vec<CheckedImage>, Option<ReadyLayer>), Error> {
        let (mut named, mut seen): (Vec<ImageReport>, Vec<CheckedImage>) = (Vec::new(), Vec::new());
        let mut images = images.peekable();
        if images.peek().is_none() {
            return Ok((named, seen, None));
        }
        let target = &self.setup.options.target;
        target.check(&self.setup.analysis.score)?;
        if matches!(target, Target::Given(_) | Target::Seed) || target.maps(&self.setup.analysis.score) != 1 {
            return Err(Error::Argument(format!(
                "a check is made with one map for each image, and {target} is asked for"
            )));
        }
        // The network's own way to take an image is the same for all layers.
        let mut ready = Err("no layer can be explained".to_owned());
        for layer in layers.iter().rev() {
            let explainer = self.explainer(&layer.name, "hirescam").map_err(|error| error.to_string());
            ready = explainer.map(|explainer| ReadyLayer { layer: layer.name.clone(), explainer });
            if ready.is_ok() {
                break;
            }
        }
        let image = |name: String, error| ImageReport { name, explained: None, score: None, error, png: None };
        for (name, input) in images {
            let samples = match (&ready, input) {
                (_, Err(error)) => Err(error),
                (Err(error), _) => Err(error.clone()),
                (Ok(ReadyLayer { explainer, .. }), Ok(input)) => match &input {
                    Input::Tensor(tensor) => self.of_this_size(tensor.shape()),
                    Input::Photo(_) => Ok(()),
                }
                .and_then(|()| explainer.samples(&name, input))
                .map(|samples| (explainer, samples))
                .map_err(|error| error.to_string()),
            };
            let (explainer, samples) = match samples {
                Ok(samples) => samples,
                Err(error) => {
                    named.push(image(name, Some(error)));
                    continue;
                }
            };
            for mut sample in samples {
                let index = named.len();
                sample.row = Some(index);
                let (array, beside) = match explainer.prepared(&sample, &|shape| self.of_this_size(shape)) {
                    Ok(prepared) => prepared,
                    Err(error) => {
                        named.push(image(sample.id, Some(error.to_string())));
                        continue;
                    }
                };
                let photo = sample.image.photo().filter(|_| seen.len() < self.plan.pictures);
                let drawn = photo.and_then(|photo| png(&scaled(photo, (SIDE, SIDE))));
                named.push(ImageReport { png: drawn, ..image(sample.id.clone(), None) });
                if photo.is_none() {
                    sample.image = array.clone().into();
                }
                seen.push(CheckedImage { index, sample, image: array, beside });
            }
            if named.len() > MOST_IMAGES {
                return Err(Error::Argument(format!("more than {MOST_IMAGES} images: a check takes a sample of them")));
            }
        }
        self.setup.further.serve(&[], named.len())?;
        Ok((named, seen, ready.ok()))
    }

    /// Whether an image that comes to the network in this shape has the size that the check is made at, where the network takes
    /// any.
    fn of_this_size(&self, own: &[usize]) -> Result<(), Error> {
        let options = self.setup.options;
        match &options.spec.shape {
            Some(shape) if own.get(1..) != shape.get(1..) && open_image(self.file, options)?.is_some() => {
                Err(Error::Argument(format!(
                    "it comes to the network as {own:?}, and the check is made at {shape:?}: images of one size are checked together"
                )))
            }
            _ => Ok(()),
        }
    }

    fn explainer(&self, layer: &str, method: &str) -> Result<Explainer, Error> {
        let mut options = self.setup.options.clone();
        (options.spec.layers, options.spec.method) = (vec![layer.to_owned()], method.to_owned());
        Explainer::resolved(self.file.clone(), options)
    }
}

fn png(picture: &RgbImage) -> Option<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).ok()?;
    Some(bytes.into_inner())
}
