//! What is evaluated, and how, as data: read from a command line or JSON, and written beside the results.

use crate::Error;
use crate::changed::Fill;
use crate::classes::How;
use crate::data::Options;
use crate::error::argument;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// What is evaluated.
///
/// Layers, the engine and what is known of the network are those of a [`Spec`](hirescam::Spec). The seed of everything random that
/// belongs to methods and metrics is that of its settings, and so is the number of images that are scored at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
#[cfg_attr(feature = "clap", command(next_help_heading = "Evaluation"))]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// The methods; `hirescam methods` lists them
    #[cfg_attr(feature = "clap", arg(long, value_name = "METHODS", value_delimiter = ',', default_values_t = Plan::default().methods))]
    pub methods: Vec<String>,
    /// The metrics (docs/metrics.md), or groups of them: overlap, contributions, shape, faithfulness, robustness; cheap, those that need no
    /// further run of the network; all
    #[cfg_attr(feature = "clap", arg(long, value_name = "METRICS", value_delimiter = ',', default_values_t = Plan::default().metrics))]
    pub metrics: Vec<String>,
    /// The classes that are explained of an image: those that it shows, the one that the network predicts, or both
    #[cfg_attr(
        feature = "clap",
        arg(long = "classes", id = "evaluated", value_name = "WHICH", value_enum, default_value_t)
    )]
    pub classes: Classes,
    /// Which of the network's classes the data set's are: label, wordnet, order, voc-imagenet, coco-imagenet, or a TOML table; what fits
    /// where nothing is said
    #[cfg_attr(feature = "clap", arg(long, value_name = "HOW|FILE", default_value_t = How::Auto))]
    pub class_map: How,
    /// How many images are evaluated, at most
    #[cfg_attr(feature = "clap", arg(long, value_name = "N"))]
    pub limit: Option<usize>,
    /// The images are taken in a random order drawn from this seed, and not in the data set's: with a limit, a random sample
    #[cfg_attr(feature = "clap", arg(long, value_name = "SEED"))]
    pub sample_seed: Option<u64>,
    /// The threshold of area-over-threshold
    #[cfg_attr(feature = "clap", arg(long, value_name = "SHARE", default_value_t = Plan::default().area_threshold))]
    pub area_threshold: f64,
    /// How far from the object the pointing game allows the strongest place to lie, in pixels of the data set's image
    #[cfg_attr(feature = "clap", arg(long, value_name = "PIXELS", default_value_t = Plan::default().tolerance_pixels))]
    pub tolerance_pixels: f64,
    /// The places of the layer that the score cannot depend on, for dead-zone-ratio: a .npy file in the shape of its maps that is
    /// not 0 there
    #[cfg_attr(feature = "clap", arg(long, value_name = "FILE"))]
    pub dead_zone: Option<PathBuf>,
    /// What metrics that change the image read: the probability where the network makes one, else the score; or the score
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t))]
    pub reads: Reads,
    /// deletion, insertion, aopc: in how many steps places are filled
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = Plan::default().curve_steps))]
    pub curve_steps: usize,
    /// deletion, aopc, infidelity, mufidelity: what places are filled with: a number in the network's own input, mean, or blur
    #[cfg_attr(feature = "clap", arg(long, value_name = "FILL", default_value_t = Plan::default().fill))]
    pub fill: Filling,
    /// insertion: what places are filled with at first
    #[cfg_attr(feature = "clap", arg(long, value_name = "FILL", default_value_t = Plan::default().insertion_fill))]
    pub insertion_fill: Filling,
    /// infidelity, mufidelity: how many random changes
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = Plan::default().draws))]
    pub draws: usize,
    /// max-sensitivity: how many images close to the image
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = Plan::default().neighbours))]
    pub neighbours: usize,
    /// max-sensitivity: how far they are, each value, in units of the network's own input
    #[cfg_attr(feature = "clap", arg(long, value_name = "NUMBER", default_value_t = Plan::default().radius))]
    pub radius: f64,
    /// How the data set is read.
    #[cfg_attr(feature = "clap", command(flatten))]
    pub data: Options,
    /// What the report is made with; rows do not depend on it.
    #[cfg_attr(feature = "clap", command(flatten))]
    pub report: ReportPlan,
}

/// What a report is made with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
#[serde(default, deny_unknown_fields)]
pub struct ReportPlan {
    /// The evaluation ends once so many images have failed
    #[cfg_attr(feature = "clap", arg(long, value_name = "N"))]
    pub max_errors: Option<u64>,
    /// How many samples of images confidence intervals are found from
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = ReportPlan::default().resamples))]
    pub resamples: usize,
    /// The share of such samples that an interval holds
    #[cfg_attr(feature = "clap", arg(long, value_name = "SHARE", default_value_t = ReportPlan::default().confidence))]
    pub confidence: f64,
    /// The seed of such samples, and of the half of the images that thresholds are chosen on
    #[cfg_attr(feature = "clap", arg(long, value_name = "SEED", default_value_t = ReportPlan::default().report_seed))]
    pub report_seed: u64,
}

impl Default for ReportPlan {
    fn default() -> Self {
        ReportPlan { max_errors: None, resamples: 2000, confidence: 0.95, report_seed: 0 }
    }
}

impl Default for Plan {
    /// HiResCAM and Grad-CAM, by all metrics that need no further run of the network, for the classes that an image shows.
    fn default() -> Self {
        Plan {
            methods: ["hirescam", "gradcam"].map(str::to_owned).to_vec(),
            metrics: vec!["cheap".into()],
            classes: Classes::Present,
            class_map: How::Auto,
            limit: None,
            sample_seed: None,
            area_threshold: 0.5,
            tolerance_pixels: 15.0,
            dead_zone: None,
            reads: Reads::Probability,
            curve_steps: 224,
            fill: Filling(Fill::ZERO),
            insertion_fill: Filling(Fill::Blur { size: 11, sigma: 5.0 }),
            draws: 200,
            neighbours: 10,
            radius: 0.02,
            data: Options::default(),
            report: ReportPlan::default(),
        }
    }
}

/// Which classes are explained of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Classes {
    /// Those that it shows, as far as the network has them.
    #[default]
    #[cfg_attr(feature = "clap", value(help = None))]
    Present,
    /// The one with the largest score.
    #[cfg_attr(feature = "clap", value(help = None))]
    Predicted,
    /// Both.
    #[cfg_attr(feature = "clap", value(help = None))]
    Both,
}

impl Classes {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Classes::Present => "present",
            Classes::Predicted => "predicted",
            Classes::Both => "both",
        }
    }

    /// Whether those that the image shows are explained.
    pub fn present(self) -> bool {
        self != Classes::Predicted
    }

    /// Whether the one that is predicted is explained.
    pub fn predicted(self) -> bool {
        self != Classes::Present
    }
}

/// What metrics that change the image read of the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Reads {
    /// The class's probability where the network makes one, else its score.
    #[default]
    #[cfg_attr(feature = "clap", value(help = None))]
    Probability,
    /// The class's score.
    #[cfg_attr(feature = "clap", value(help = None))]
    Score,
}

/// What places are filled with, in a word: a number, `mean`, `blur` or `blur:SIZE:DEVIATION`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Filling(pub Fill);

impl FromStr for Filling {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || format!("{text:?}: wanted is a number, mean, blur, or blur:11:5 with its cells and deviation");
        let fill = match text.split(':').collect::<Vec<_>>().as_slice() {
            ["mean"] => Fill::Mean,
            ["blur"] => Fill::Blur { size: 11, sigma: 5.0 },
            ["blur", size, sigma] => {
                Fill::Blur { size: size.parse().map_err(|_| wanted())?, sigma: sigma.parse().map_err(|_| wanted())? }
            }
            [number] => Fill::Constant(number.parse().map_err(|_| wanted())?),
            _ => return Err(wanted()),
        };
        Ok(Filling(fill))
    }
}

impl fmt::Display for Filling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Fill::Constant(value) => write!(f, "{value}"),
            Fill::Mean => f.write_str("mean"),
            Fill::Blur { size, sigma } => write!(f, "blur:{size}:{sigma}"),
            // No word stands for it; ROAD alone fills places so.
            Fill::Imputed { noise, seed } => write!(f, "imputed:{noise}:{seed}"),
        }
    }
}

impl From<Filling> for String {
    fn from(filling: Filling) -> Self {
        filling.to_string()
    }
}

impl TryFrom<String> for Filling {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// What a metric belongs to, by what it needs beside the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// What the image shows.
    Overlap,
    /// The score, or what each place contributes to it.
    Contributions,
    /// Nothing.
    Shape,
    /// Scores of changed images.
    Faithfulness,
    /// Maps of changed images or networks.
    Robustness,
}

impl Family {
    const ALL: [Family; 5] =
        [Family::Overlap, Family::Contributions, Family::Shape, Family::Faithfulness, Family::Robustness];

    /// The word for all metrics of the family.
    pub fn word(self) -> &'static str {
        match self {
            Family::Overlap => "overlap",
            Family::Contributions => "contributions",
            Family::Shape => "shape",
            Family::Faithfulness => "faithfulness",
            Family::Robustness => "robustness",
        }
    }
}

/// What can be evaluated: the metrics, and variants of them behind a colon, with their families and whether they take further runs of the network.
const MEASURES: &[(&str, Family, bool)] = &[
    ("completeness-residual", Family::Contributions, false),
    ("completeness-error", Family::Contributions, false),
    ("unused-share", Family::Contributions, false),
    ("unused-share:ablation", Family::Contributions, true),
    ("idle-share", Family::Contributions, false),
    ("idle-share:ablation", Family::Contributions, true),
    ("dead-zone-ratio", Family::Contributions, false),
    ("pointing-game", Family::Overlap, false),
    ("energy-pointing-game", Family::Overlap, false),
    ("relevance-mass", Family::Overlap, false),
    ("relevance-rank", Family::Overlap, false),
    ("iou", Family::Overlap, false),
    ("organ-iou", Family::Overlap, false),
    ("organ-iou:zero", Family::Overlap, false),
    ("area-over-threshold", Family::Shape, false),
    ("total-variation", Family::Shape, false),
    ("sparseness", Family::Shape, false),
    ("entropy", Family::Shape, false),
    ("complexity", Family::Shape, false),
    ("deletion", Family::Faithfulness, true),
    ("insertion", Family::Faithfulness, true),
    ("aopc-morf", Family::Faithfulness, true),
    ("aopc-lerf", Family::Faithfulness, true),
    ("average-drop", Family::Faithfulness, true),
    ("confidence-increase", Family::Faithfulness, true),
    ("average-gain", Family::Faithfulness, true),
    ("road", Family::Faithfulness, true),
    ("infidelity", Family::Faithfulness, true),
    ("mufidelity", Family::Faithfulness, true),
    ("coherency", Family::Robustness, true),
    ("adcc", Family::Robustness, true),
    ("arcc", Family::Robustness, true),
    ("max-sensitivity", Family::Robustness, true),
    ("mprt", Family::Robustness, true),
];

/// The metric behind a measure's name: what stands before the colon.
pub fn metric_of(measure: &str) -> &str {
    measure.split(':').next().unwrap_or(measure)
}

/// Whether a measure takes further runs of the network.
pub(crate) fn takes_runs(measure: &str) -> bool {
    MEASURES.iter().any(|(name, _, runs)| *name == measure && *runs)
}

impl Plan {
    /// The metrics by their names, with groups spelled out, each once, in the order of [`METRICS`](crate::metrics::METRICS). Names of variants are those of their
    /// metric, a colon and a word.
    ///
    /// # Errors
    /// [`Error::NotFound`] for one that does not exist; [`Error::Argument`] for none.
    pub fn measures(&self) -> Result<Vec<&'static str>, Error> {
        let mut wanted = vec![false; MEASURES.len()];
        for given in &self.metrics {
            // A metric of places that nobody names is measured where it is asked for itself, and says so.
            let possible = |name: &str| name != "dead-zone-ratio" || self.dead_zone.is_some();
            let in_group = |(name, family, runs): &(&'static str, Family, bool)| match given.as_str() {
                "all" => possible(name),
                "cheap" => !runs && possible(name),
                word => *name == word || (family.word() == word && possible(name)),
            };
            if !MEASURES.iter().any(in_group) {
                return Err(unknown(given));
            }
            wanted.iter_mut().zip(MEASURES).for_each(|(wanted, measure)| *wanted |= in_group(measure));
        }
        let chosen: Vec<&str> = wanted.iter().zip(MEASURES).filter(|(w, _)| **w).map(|(_, m)| m.0).collect();
        if chosen.is_empty() { argument("no metric is asked for") } else { Ok(chosen) }
    }

    /// Whether its numbers are in their ranges.
    ///
    /// # Errors
    /// [`Error::Argument`] for one that is not.
    pub fn check(&self) -> Result<(), Error> {
        let counts = [
            ("curve-steps", self.curve_steps),
            ("draws", self.draws),
            ("neighbours", self.neighbours),
            ("resamples", self.report.resamples),
            ("limit", self.limit.unwrap_or(1)),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, n)| *n == 0) {
            return argument(format!("{name} has to be at least 1"));
        }
        if self.methods.is_empty() {
            return argument("no method is asked for");
        }
        if let Some(twice) =
            self.methods.iter().enumerate().find_map(|(i, m)| self.methods.iter().take(i).find(|o| *o == m))
        {
            return argument(format!("the method {twice:?} is asked for twice"));
        }
        if !(0.0..=1.0).contains(&self.area_threshold) {
            return argument(format!("the threshold {} of the area has to lie within 0 and 1", self.area_threshold));
        }
        if !(self.report.confidence > 0.0 && self.report.confidence < 1.0) {
            return argument(format!("a confidence of {}: wanted is a share between 0 and 1", self.report.confidence));
        }
        if !(self.radius > 0.0 && self.radius.is_finite()) {
            return argument(format!("a radius of {}: wanted is a number above 0", self.radius));
        }
        if self.tolerance_pixels.is_nan() {
            return argument("the tolerance of the pointing game has to be a number");
        }
        self.measures().map(drop)
    }
}

fn unknown(name: &str) -> Error {
    let words = ["all", "cheap"].into_iter().chain(Family::ALL.map(Family::word));
    let names = MEASURES.iter().map(|m| m.0).chain(words);
    Error::NotFound { what: "metric", name: name.to_owned(), near: hirescam::core::near(name, names) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::metrics::{METRICS, metric};

    fn of(metrics: &[&str]) -> Result<Vec<&'static str>, Error> {
        Plan { metrics: metrics.iter().map(|m| (*m).to_owned()).collect(), ..Plan::default() }.measures()
    }

    #[test]
    fn every_metric_can_be_evaluated_and_what_is_evaluated_is_a_metric() {
        for (name, ..) in MEASURES {
            assert!(metric(metric_of(name)).is_ok(), "{name}");
        }
        for row in METRICS {
            assert!(MEASURES.iter().any(|m| m.0 == row.name), "{}", row.name);
        }
    }

    #[test]
    fn groups_are_spelled_out_and_nothing_comes_twice() {
        // Where no dead zone is given, its metric is in no group; asked for itself it says so in its rows.
        assert_eq!(of(&["all", "dead-zone-ratio"]).unwrap().len(), MEASURES.len());
        let mut plan = Plan { metrics: vec!["all".into()], ..Plan::default() };
        assert_eq!(plan.measures().unwrap().len(), MEASURES.len() - 1);
        plan.dead_zone = Some("zone.npy".into());
        assert_eq!(plan.measures().unwrap().len(), MEASURES.len());
        assert_eq!(of(&["iou", "iou"]).unwrap(), ["iou"]);
        assert_eq!(of(&["shape", "entropy"]).unwrap().len(), 5);
        assert!(of(&["cheap"]).unwrap().iter().all(|m| !m.contains("ablation") && *m != "deletion"));
        assert!(matches!(of(&["deletoin"]), Err(Error::NotFound { near, .. }) if near == ["deletion"]));
        assert!(matches!(of(&[]), Err(Error::Argument(_))));
    }

    #[test]
    fn fillings_are_read_as_they_are_written() {
        for text in ["0", "-1.5", "mean", "blur:11:5"] {
            assert_eq!(text.parse::<Filling>().unwrap().to_string(), text);
        }
        assert_eq!("blur".parse::<Filling>().unwrap(), Plan::default().insertion_fill);
        assert!("blur:a:5".parse::<Filling>().is_err() && "grey".parse::<Filling>().is_err());
    }

    #[test]
    fn a_plan_is_the_same_from_its_json() {
        let plan = Plan { limit: Some(3), ..Plan::default() };
        assert_eq!(serde_json::from_str::<Plan>(&serde_json::to_string(&plan).unwrap()).unwrap(), plan);
        assert!(serde_json::from_str::<Plan>(r#"{"metods": []}"#).is_err());
    }
}
