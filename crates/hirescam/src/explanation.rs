//! One explanation: a raw map and all that is known of it.

mod region;
mod words;

pub(crate) use words::{number, percent};

use crate::error::Error;
use crate::heatmap::Heatmap;
use crate::labels::Labels;
use crate::overlay::{Style, bare, overlay, svg};
use crate::photo::Photo;
use crate::preprocess::{Preprocess, Rect};
use crate::record::Provenance;
use hirescam_core::cam::Target;
use hirescam_core::cam::list::MethodRow;
use hirescam_core::certify::{Certificate, Verdict};
use hirescam_core::score::{Activation, Score};
use image::RgbImage;
use ndarray::{ArrayD, Ix2};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::sync::Arc;

/// What all explanations at one layer share, whatever the image.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) method: MethodRow,
    pub(crate) target: Target,
    pub(crate) layer: String,
    pub(crate) score: Score,
    /// How many labels there are that are not those of the scores' classes.
    pub(crate) unused_labels: Option<usize>,
    pub(crate) certificate: Certificate,
    /// How many axes of space the image has.
    pub(crate) image_axes: usize,
    pub(crate) labels: Option<Labels>,
    /// How photos are prepared, where that is known.
    pub(crate) preprocess: Option<Preprocess>,
    pub(crate) provenance: Provenance,
}

impl Shared {
    /// The label of a class; a blank one is none.
    fn label(&self, class: usize) -> Option<&str> {
        self.labels.as_ref()?.get(class).filter(|label| !label.trim().is_empty())
    }
}

/// Where the network saw a class in an image, and what is proven about that map.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// The raw map: signed, at the layer's resolution, in units of the score.
    pub map: ArrayD<f32>,
    /// The class; of several that of the largest weight. None where the target is about no single class, or what it asks for
    /// is none: a number of a box, or an entry of an output of which nobody knows which axis counts classes.
    pub class: Option<usize>,
    /// Which of a list of scores is explained; of several that of the largest weight. The same as the class where these are
    /// known.
    pub entry: Option<usize>,
    /// What the target makes of the scores: the logit of the class, or the output itself where that was asked for.
    pub score: f64,
    /// The score's probability, where the network ends in what makes one of its scores, or it was asked for: a Sigmoid of the
    /// score or its share in the softmax over all classes. None where nothing makes one, as in a regression, and where
    /// the target is not a single score.
    pub probability: Option<f64>,
    /// Σ map, in f64.
    pub sum: f64,
    /// What the method gives those tokens that are no places of the image, as a class token: the sum of their cells, which
    /// are not in the map. Absent where there are none.
    pub other_tokens: Option<f64>,
    /// What has to be added to Σ map and the other tokens to give the score: measured as h(0) where the verdict is exact, the rest of the
    /// score where it is locally linear, absent where nothing of the kind is proven.
    pub bias: Option<f64>,
    /// Whether the bias was found apart from score and map, so that the residual is a test. Where it is the rest of the
    /// score, the residual is 0 by construction.
    pub bias_is_known: bool,
    /// score − (Σ map + other tokens) / scale − bias, with the certificate's scale; absent for methods whose cells are not
    /// meant to add up.
    pub residual: Option<f64>,
    /// How the integral came out, for integrated gradients.
    pub integral: Option<Integral>,
    /// What else there is to say of this map, a sentence each: how a method of several runs came to it.
    pub notes: Vec<String>,
    shared: Arc<Shared>,
    logits: Arc<ImageLogits>,
    image: Vec<usize>,
    photo: Option<(Photo, Rect)>,
}

/// The score of a class of an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClassScore {
    /// The class; an entry, where it is open whether entries are classes.
    pub class: usize,
    /// Its label, where it has one.
    pub label: Option<String>,
    /// Its score.
    pub score: f64,
    /// The score's probability, where something makes one of it.
    pub probability: Option<f64>,
}

/// How well a sum of steps stands for an integral.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Integral {
    /// The steps of the sum.
    pub steps: usize,
    /// Σ map less what the cells are to add up to, s(x) − s(baseline).
    pub delta: f64,
    /// The share of that difference which the delta was to stay below; none where the number of steps was given.
    pub tolerance: Option<f64>,
    /// Whether it did; true where there is no tolerance.
    pub converged: bool,
}

/// What was found of an image.
pub(crate) struct FoundMap {
    pub(crate) map: ArrayD<f32>,
    pub(crate) class: Option<usize>,
    pub(crate) score: f64,
    /// The scores of all classes, which the explanations of an image share.
    pub(crate) logits: Arc<ImageLogits>,
    pub(crate) bias: Option<f64>,
    pub(crate) other_tokens: Option<f64>,
    pub(crate) integral: Option<Integral>,
    pub(crate) notes: Vec<String>,
}

/// The scores of all classes of an image; none where they are not one a class.
#[derive(Debug)]
pub(crate) struct ImageLogits {
    all: Vec<f64>,
    largest: f64,
    /// Σ exp(score − largest).
    sum: f64,
}

impl ImageLogits {
    pub(crate) fn new(all: impl Iterator<Item = f32>) -> Self {
        let all: Vec<f64> = all.map(f64::from).collect();
        let largest = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum = all.iter().map(|l| (l - largest).exp()).sum();
        ImageLogits { all, largest, sum }
    }

    pub(crate) fn has_nan(&self) -> bool {
        self.all.iter().any(|l| l.is_nan())
    }

    /// What `activation` makes of a score among them.
    fn probability(&self, score: f64, activation: Activation) -> Option<f64> {
        match activation {
            Activation::None => None,
            Activation::Sigmoid => Some(1.0 / (1.0 + (-score).exp())),
            Activation::Softmax => Some((score - self.largest).exp() / self.sum).filter(|_| !self.all.is_empty()),
        }
    }
}

impl Explanation {
    pub(crate) fn new(shared: Arc<Shared>, found: FoundMap, image: Vec<usize>, photo: Option<(Photo, Rect)>) -> Self {
        let FoundMap { map, class, score, logits, bias, other_tokens, integral, notes } = found;
        let sum: f64 = map.iter().copied().map(f64::from).sum();
        let total = (sum + other_tokens.unwrap_or(0.0)) / shared.certificate.scale as f64;
        let bias_is_known = bias.is_some() && matches!(shared.certificate.verdict, Verdict::Exact | Verdict::SumOnly);
        let bias = match shared.certificate.verdict {
            Verdict::Exact | Verdict::SumOnly => bias.or(Some(score - total)),
            Verdict::LocallyLinear => Some(score - total),
            Verdict::GradientOnly | Verdict::Unproven => None,
        };
        let of = &shared.score;
        let entry = class.filter(|_| shared.target.names_class(of) || !of.is_dense());
        let class = entry.filter(|_| of.class_axis.is_some() && shared.target.names_class(of));
        let single = shared.target.is_single();
        let probability = logits.probability(score, of.probability).filter(|_| single);
        let residual = shared.method.additive.then(|| score - total - bias.unwrap_or(0.0));
        Explanation {
            map,
            class,
            entry,
            score,
            probability,
            sum,
            other_tokens,
            bias,
            bias_is_known,
            residual,
            integral,
            notes,
            shared,
            logits,
            image,
            photo,
        }
    }

    /// The extents of the image as it came to the network, without that which counts samples and that of its channels: rows and columns; none
    /// where there are other than two.
    pub fn image_sides(&self) -> Option<[usize; 2]> {
        self.image.as_slice().try_into().ok()
    }

    /// The `most` best classes of the image, the best first; of equal scores the lower class. Empty where the scores are not one a class.
    pub fn best(&self, most: usize) -> Vec<ClassScore> {
        let scores = &self.logits.all;
        let mut order: Vec<usize> = (0..scores.len()).collect();
        let better =
            |a: &usize, b: &usize| scores.get(*b).zip(scores.get(*a)).map_or(Ordering::Equal, |(b, a)| b.total_cmp(a));
        order.sort_by(better);
        let one = |class: usize| {
            let score = *scores.get(class)?;
            let probability = self.logits.probability(score, self.scores().probability);
            let label = self.shared.label(class).map(str::to_owned);
            Some(ClassScore { class, label, score, probability })
        };
        order.into_iter().take(most).filter_map(one).collect()
    }

    /// The target layer.
    pub fn layer(&self) -> &str {
        &self.shared.layer
    }

    /// The method that made the map.
    pub fn method(&self) -> &MethodRow {
        &self.shared.method
    }

    /// What was asked for.
    pub fn target(&self) -> &Target {
        &self.shared.target
    }

    /// Where the scores stand in the network, and what is known of them.
    pub fn scores(&self) -> &Score {
        &self.shared.score
    }

    /// What is proven of the maps of every image at this layer.
    pub fn certificate(&self) -> &Certificate {
        &self.shared.certificate
    }

    /// How the photo was prepared; none for a tensor.
    pub fn preprocess(&self) -> Option<&Preprocess> {
        self.shared.preprocess.as_ref().filter(|_| self.photo.is_some())
    }

    /// What made the map, and all that was asked for.
    pub fn provenance(&self) -> &Provenance {
        &self.shared.provenance
    }

    /// The photo that was explained; none where the image was given as a tensor.
    pub fn photo(&self) -> Option<&Photo> {
        self.photo.as_ref().map(|(photo, _)| photo)
    }

    /// The photo that was explained, and the part of it that the network saw.
    pub fn seen(&self) -> Option<(&Photo, Rect)> {
        self.photo.as_ref().map(|(photo, view)| (photo, *view))
    }

    /// The class's label, where labels are known and this one is not blank.
    pub fn label(&self) -> Option<&str> {
        self.shared.label(self.class?)
    }

    /// What the map is about: the label, or `class 3`, or `entry 3` where it is open whether entries are classes; `cat − dog`
    /// for a contrast.
    pub fn name(&self) -> String {
        let what = if self.scores().class_axis.is_some() { "class" } else { "entry" };
        let name = |class: usize| self.shared.label(class).map_or(format!("{what} {class}"), str::to_owned);
        let target = self.target();
        target.describe(self.entry.filter(|_| target.names_class(self.scores()) || target.is_class()), name)
    }

    /// The map as a heatmap, for 2-D images: nothing rectified, normalised or resized yet.
    ///
    /// # Errors
    /// [`Error::Argument`] for maps of other than two axes, [`Error::Heatmap`] for values that are no numbers.
    pub fn heatmap(&self) -> Result<Heatmap, Error> {
        let axes = self.map.ndim();
        match self.map.clone().into_dimensionality::<Ix2>() {
            Ok(map) => Ok(Heatmap::new(map)?),
            Err(_) => Err(Error::Argument(match self.without_grid() {
                Some(why) => why,
                None => format!("a map with {axes} axes of space is no picture"),
            })),
        }
    }

    /// The heatmap over the photo. Without `signed`, negative values are left out (rectified).
    ///
    /// # Errors
    /// [`Error::Argument`] when the image was given as a tensor, otherwise as [`Explanation::heatmap`].
    pub fn overlay(&self, signed: bool, style: &Style) -> Result<RgbImage, Error> {
        let Some((photo, view)) = &self.photo else {
            return Err(Error::Argument("a tensor has no photo to draw on".into()));
        };
        let heatmap = self.heatmap()?;
        let heatmap = if signed { heatmap } else { heatmap.rectify() };
        Ok(overlay(photo, *view, &heatmap, style)?)
    }

    /// As [`Explanation::overlay`], as an SVG file: the frame and its numbers in vectors, and with the style's `sharp` the cells, too.
    ///
    /// # Errors
    /// As [`Explanation::overlay`].
    pub fn svg(&self, signed: bool, style: &Style) -> Result<String, Error> {
        let Some((photo, view)) = &self.photo else {
            return Err(Error::Argument("a tensor has no photo to draw on".into()));
        };
        let heatmap = self.heatmap()?;
        let heatmap = if signed { heatmap } else { heatmap.rectify() };
        Ok(svg(photo, *view, &heatmap, style)?)
    }

    /// The heatmap over the photo without colour bar and words, its longer side `side` pixels.
    ///
    /// # Errors
    /// As [`Explanation::overlay`].
    pub fn thumbnail(&self, signed: bool, style: &Style, side: u32) -> Result<RgbImage, Error> {
        let Some((photo, view)) = &self.photo else {
            return Err(Error::Argument("a tensor has no photo to draw on".into()));
        };
        let heatmap = self.heatmap()?;
        let heatmap = if signed { heatmap } else { heatmap.rectify() };
        Ok(bare(photo, *view, &heatmap, style, side)?)
    }
}
