//! Methods that take several runs of the network, or of its head.
//!
//! Those of one run are in [`hirescam_core::cam`], inside the explaining model; these here change images or activations
//! and look at what becomes of the scores. Each is a file with its formula and source, and a row in [`METHODS`]. An [`Explainer`](crate::Explainer) takes the names of
//! both kinds.

mod ablationcam;
pub(crate) mod cut;
mod integrated_gradients;
mod occlusion;
mod reciprocam;
mod rise;
mod scorecam;
mod several;
mod smoothgrad;

pub(crate) use several::{Given, SeveralRuns};

use crate::Error;
use crate::explanation::Integral;
use cut::{BodyOutput, Changed, CutNetwork, Setup};
use hirescam_core::cam::list::{self, MethodRow};
use hirescam_core::cam::{self, Pick};
use hirescam_core::near;
use hirescam_engine::Array;
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// How methods of several runs work; each reads what concerns it.
///
/// The result does not depend on the batch, up to the engine's rounding; where the file fixes the batch, that is taken. The same
/// seed gives the same map, whatever other images are explained beside it. Of integrated gradients, the steps are doubled until
/// the tolerance is reached; a baseline of 0 is the mean colour where preprocessing takes the mean off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
#[cfg_attr(feature = "clap", command(next_help_heading = "Methods of several runs"))]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How many changed images or activations are run at once; the memory goes with it
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = Settings::default().batch))]
    pub batch: usize,
    /// The seed of what is random
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = Settings::default().seed))]
    pub seed: u64,
    /// smoothgrad: noisy images (50); rise: masks (4000)
    #[cfg_attr(feature = "clap", arg(long, value_name = "N"))]
    pub samples: Option<usize>,
    /// smoothgrad: the noise's deviation, as a share of the image's range
    #[cfg_attr(feature = "clap", arg(long, value_name = "SHARE", default_value_t = Settings::default().noise))]
    pub noise: f64,
    /// smoothgrad: the method whose maps are averaged
    #[cfg_attr(feature = "clap", arg(long, value_name = "METHOD", default_value_t = Settings::default().base))]
    pub base: String,
    /// integrated-gradients: the steps of the integral (50, doubled until the tolerance is reached)
    #[cfg_attr(feature = "clap", arg(long, value_name = "N"))]
    pub steps: Option<usize>,
    /// integrated-gradients: the share of score − baseline score that may be missing; the steps are doubled until it is
    /// reached, four times at most (0.01, or no doubling where the steps are given)
    #[cfg_attr(feature = "clap", arg(long, value_name = "SHARE"))]
    pub tolerance: Option<f64>,
    /// integrated-gradients, occlusion: the number that stands for nothing, in the network's own input or in the layer
    #[cfg_attr(feature = "clap", arg(long, value_name = "NUMBER", default_value_t = Settings::default().baseline, allow_negative_numbers = true))]
    pub baseline: f32,
    /// occlusion: the sides of the grid's cells in pixels (a 14th of the image)
    #[cfg_attr(feature = "clap", arg(long, value_name = "PIXELS"))]
    pub stride: Option<usize>,
    /// occlusion: the sides of the window in pixels (two cells)
    #[cfg_attr(feature = "clap", arg(long, value_name = "PIXELS"))]
    pub window: Option<usize>,
    /// rise: the cells of a mask along each axis
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = Settings::default().cells))]
    pub cells: usize,
    /// rise: the share of cells that a mask keeps
    #[cfg_attr(feature = "clap", arg(long, value_name = "SHARE", default_value_t = Settings::default().keep))]
    pub keep: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            batch: 16,
            seed: 0,
            samples: None,
            noise: 0.15,
            base: "saliency".into(),
            steps: None,
            tolerance: None,
            baseline: 0.0,
            stride: None,
            window: None,
            cells: 7,
            keep: 0.5,
        }
    }
}

/// No setting that counts something is larger.
const MOST: usize = 1 << 24;

impl Settings {
    /// Whether all are in their ranges.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let counts = [
            ("batch", Some(self.batch)),
            ("samples", self.samples),
            ("steps", self.steps),
            ("stride", self.stride),
            ("window", self.window),
            ("cells", Some(self.cells)),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, n)| n.is_some_and(|n| !(1..=MOST).contains(&n))) {
            return Err(Error::Argument(format!("{name} must be from 1 to {MOST}")));
        }
        if !(self.noise >= 0.0 && self.noise.is_finite()) {
            return Err(Error::Argument(format!(
                "noise is {}; it is a share of the image's range, 0 or more",
                self.noise
            )));
        }
        if let Some(tolerance) = self.tolerance.filter(|t| !(*t >= 0.0 && t.is_finite())) {
            return Err(Error::Argument(format!("the tolerance is {tolerance}; it is a share, 0 or more")));
        }
        if !(self.keep > 0.0 && self.keep <= 1.0) {
            return Err(Error::Argument(format!("keep is {}; it is a share above 0 and up to 1", self.keep)));
        }
        match self.baseline.is_finite() {
            true => Ok(()),
            false => Err(Error::Argument(format!("the baseline is {}, which is no number", self.baseline))),
        }
    }
}

/// A method that takes several runs.
pub struct SeveralRunsMethod {
    /// What there is to say of it.
    pub row: MethodRow,
    /// What it does that costs it the head's certificate: the rest of a sentence that begins with its title.
    pub but: &'static str,
    /// Whether it works at the image itself when no layer is named: a method that makes use of another works where that one does.
    ///
    /// # Errors
    /// Those of [`one_run`], for the method that it makes use of.
    pub at_image: fn(&Settings) -> Result<bool, Error>,
    /// Whether its cells add up to s(x) − b, with a b that it finds.
    sums: bool,
    /// What it needs to know of gradients.
    gradient: cut::GradientUse,
    /// Makes it ready for a network.
    prepare: fn(&Setup) -> Result<Box<dyn PreparedMethod>, Error>,
}

/// A method made ready for a network.
trait PreparedMethod: Send + Sync {
    /// The layer that is explained, where it is not the one that the network is cut at.
    fn layer(&self) -> Option<&str> {
        None
    }

    /// The method of one run that it makes use of.
    fn base(&self) -> Option<&'static cam::Method> {
        None
    }

    /// The maps of one image, one for each of its picks. `watch` is told how many passes of how many are done.
    fn maps(&self, subject: &Subject, watch: &mut dyn FnMut(usize, usize)) -> Result<Vec<MethodMap>, Error>;
}

/// What a method sees of an image.
struct Subject<'a> {
    /// The network, cut at the layer.
    cut: &'a CutNetwork,
    /// The activation there, and what goes around it.
    state: &'a BodyOutput<'a>,
    /// The image, with a batch axis of 1.
    image: &'a Array,
    /// What is explained.
    picks: &'a [Pick],
    /// The scores of the image, one for each pick.
    scores: &'a [f64],
    settings: &'a Settings,
}

impl Subject<'_> {
    /// The scores of `n` changed activations: `each` is given the number and the score of every pick.
    fn scores(
        &self,
        n: usize,
        change: impl FnMut(usize, Changed),
        mut each: impl FnMut(usize, &[f64]),
        watch: &mut dyn FnMut(usize, usize),
    ) -> Result<(), Error> {
        let mut scores = vec![0.0; self.picks.len()];
        self.cut.scores(self.state, n, change, |i, logits| {
            scores.iter_mut().zip(self.picks).for_each(|(score, pick)| *score = pick.score(logits));
            each(i, &scores);
            watch(i + 2, n + 1);
        })
    }
}

/// What a method makes for one pick.
struct MethodMap {
    /// The raw map.
    map: ArrayD<f32>,
    /// b, for methods whose cells add up.
    bias: Option<f64>,
    /// What tokens that are no places of the image have.
    other_tokens: Option<f64>,
    /// How well a sum stands for an integral.
    integral: Option<Integral>,
    /// What there is to say of this map, a sentence each.
    notes: Vec<String>,
}

impl MethodMap {
    fn new(map: ArrayD<f32>, notes: Vec<String>) -> Self {
        MethodMap { map, bias: None, other_tokens: None, integral: None, notes }
    }

    /// Of a map of the places that the network is cut at: laid out as they lie in the image.
    fn at_layer(subject: &Subject, map: ArrayD<f32>, notes: Vec<String>) -> Self {
        let laid = subject.cut.grid.as_ref().map(|grid| grid.lay_out(&map));
        let (map, other_tokens) = laid.unwrap_or((map, None));
        MethodMap { map, bias: None, other_tokens, integral: None, notes }
    }
}

/// What is proven of most of them.
const NOTHING: Cow<'static, str> = Cow::Borrowed("nothing");

/// All methods that take several runs.
pub const METHODS: &[SeveralRunsMethod] = &[
    ablationcam::METHOD,
    reciprocam::METHOD,
    scorecam::METHOD,
    integrated_gradients::METHOD,
    smoothgrad::METHOD,
    occlusion::METHOD,
    rise::METHOD,
];

/// A method of either kind.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum AnyMethod {
    /// It is a part of the explaining model.
    OneRun(&'static cam::Method),
    /// It runs the network, or its head, several times.
    SeveralRuns(&'static SeveralRunsMethod),
}

impl AnyMethod {
    /// The name in options and records.
    pub fn name(&self) -> &'static str {
        match self {
            AnyMethod::OneRun(method) => method.name,
            AnyMethod::SeveralRuns(method) => method.row.name,
        }
    }

    /// The name in prose.
    pub fn title(&self) -> &'static str {
        match self {
            AnyMethod::OneRun(method) => method.title,
            AnyMethod::SeveralRuns(method) => method.row.title,
        }
    }

    /// Whether it works at the image where no layer is named.
    ///
    /// # Errors
    /// Those of [`one_run`], for the method that SmoothGrad smooths.
    pub fn is_at_image(&self, settings: &Settings) -> Result<bool, Error> {
        Ok(match self {
            AnyMethod::OneRun(method) => method.at_image,
            AnyMethod::SeveralRuns(method) => (method.at_image)(settings)?,
        })
    }

    /// Whether it takes several runs.
    pub fn is_of_several_runs(&self) -> bool {
        matches!(self, AnyMethod::SeveralRuns(_))
    }
}

/// What there is to say of all methods, those of one run first.
pub fn rows() -> Vec<MethodRow> {
    list::one_run().into_iter().chain(several_runs()).collect()
}

/// What there is to say of the methods that take several runs.
pub fn several_runs() -> Vec<MethodRow> {
    METHODS.iter().map(|m| m.row.clone()).collect()
}

/// The method called `name`.
///
/// # Errors
/// [`Error::Core`] with near names.
pub fn method(name: &str) -> Result<AnyMethod, Error> {
    if let Some(method) = METHODS.iter().find(|m| m.row.name == name) {
        return Ok(AnyMethod::SeveralRuns(method));
    }
    cam::method(name).map(AnyMethod::OneRun).map_err(|_| {
        let near = near(name, rows().iter().map(|r| r.name));
        hirescam_core::Error::NotFound { kind: "method", name: name.to_owned(), near }.into()
    })
}

/// The method of one run called `name`.
///
/// # Errors
/// [`Error::Argument`] for a method that takes several, [`Error::Core`] for an unknown one.
pub fn one_run(name: &str) -> Result<&'static cam::Method, Error> {
    match method(name)? {
        AnyMethod::OneRun(method) => Ok(method),
        AnyMethod::SeveralRuns(method) => Err(Error::Argument(format!(
            "{} takes several runs of the network; this is for methods that one run is enough for ({})",
            method.row.title,
            list::one_run().iter().map(|r| r.name).collect::<Vec<_>>().join(", ")
        ))),
    }
}

/// Σ_c w_c · A_c of an activation of one image with its channels on the axis `channels`, summed in f64.
fn weigh(activation: &ArrayD<f32>, channels: usize, weights: &[f64]) -> ArrayD<f32> {
    let axis = ndarray::Axis(channels);
    let mut map = ArrayD::<f64>::zeros(ndarray::RemoveAxis::remove_axis(&activation.raw_dim(), axis));
    for (channel, weight) in activation.axis_iter(axis).zip(weights) {
        map.zip_mut_with(&channel, |m, &a| *m += weight * f64::from(a));
    }
    map.mapv(|v| v as f32)
}
