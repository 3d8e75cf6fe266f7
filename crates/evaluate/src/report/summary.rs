//! The numbers of a report: what tables, plots and files show, and nothing else.

use super::measured::{Group, Key, Measured, UNMAPPED, Value};
use super::{Manifest, agreement, compare, examples, thresholds};
use crate::metrics::{Better, METRICS, Row as Metric};
use crate::plan::metric_of;
use crate::rows::Row;
use crate::statistics::{Bootstrap, Estimate, mean};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The version of these types.
pub const SCHEMA: u32 = 1;

/// Below which p value, corrected, a difference counts as shown.
pub const ALPHA: f64 = 0.05;

/// The sizes of objects: what they are called, and up to which share of the image they are of that size. A quarter is where the pointing
/// game's difficult subset ends (Zhang et al. 2018, arXiv:1608.00507); a twentieth is a fifth of that.
pub const SIZES: [(&str, f64); 3] = [("small", 0.05), ("medium", 0.25), ("large", 1.0)];

/// The method that others are tested against, where it is there; else the first.
pub const BASELINE: &str = "hirescam";

/// The numbers of a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Summary {
    /// The version of this form.
    pub schema: u32,
    /// What was asked for, and of what.
    pub manifest: Manifest,
    /// How much there was, and how much of it failed.
    pub counts: Counts,
    /// The layers, in the order in which they are shown.
    pub layers: Vec<String>,
    /// The methods, in the order in which they are shown.
    pub methods: Vec<String>,
    /// The metrics that measured something or were asked for, in the order in which they are shown.
    pub metrics: Vec<String>,
    /// The method that the others are tested against.
    pub baseline: Option<String>,
    /// How intervals were found.
    pub bootstrap: Bootstrap,
    /// The halves of the images, where a threshold was chosen.
    pub halves: Option<Halves>,
    /// The thresholds that were chosen.
    pub thresholds: Vec<Threshold>,
    /// Means of methods at layers by metrics, of all images and of parts of them.
    pub cells: Vec<Cell>,
    /// Methods against the baseline.
    pub comparisons: Vec<Comparison>,
    /// Metrics against each other.
    pub agreements: Vec<Agreement>,
    /// How many maps have which verdict.
    pub verdicts: Vec<Verdicts>,
    /// The maps to look at.
    pub examples: Vec<Example>,
}

/// How much there was, and how much of it failed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Counts {
    /// Images that there are rows of.
    pub images: usize,
    /// Images with at least one map.
    pub explained: usize,
    /// Maps: of an image, class, layer and method.
    pub maps: usize,
    /// Classes that were explained.
    pub classes: usize,
    /// What failed, by kind.
    pub failures: Vec<Failure>,
    /// The classes that the network does not know, with how many images show them.
    pub unmapped: Vec<Unmapped>,
}

/// What failed, of a kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Failure {
    /// The kind.
    pub kind: String,
    /// How often.
    pub rows: usize,
    /// In how many images.
    pub images: usize,
    /// The first of them.
    pub image: String,
    /// Its reason.
    pub reason: String,
}

/// A class that the network does not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Unmapped {
    /// The class.
    pub class: String,
    /// How many images show it.
    pub images: usize,
}

/// How images were halved to choose thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Halves {
    /// How many thresholds were chosen on.
    pub chosen_on: usize,
    /// How many are reported.
    pub reported_on: usize,
    /// The seed that halved them.
    pub seed: u64,
}

/// The threshold chosen for a class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Threshold {
    /// The layer.
    pub layer: String,
    /// The method.
    pub method: String,
    /// The metric.
    pub metric: String,
    /// The class.
    pub class: String,
    /// The threshold.
    pub threshold: f64,
    /// On how many maps it was chosen.
    pub maps: usize,
    /// What it was chosen by, where not by this class and metric.
    pub instead: Option<String>,
}

/// Which images a number is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "part", content = "of")]
pub enum Part {
    /// All.
    All,
    /// The difficult ones of the pointing game.
    Difficult,
    /// Of a class.
    Class(String),
    /// With objects of a size.
    Size(String),
    /// Whose maps have a verdict.
    Verdict(String),
}

impl Part {
    /// The kind of part, and which one.
    pub fn words(&self) -> (&'static str, &str) {
        match self {
            Part::All => ("all", ""),
            Part::Difficult => ("difficult", ""),
            Part::Class(of) => ("class", of),
            Part::Size(of) => ("size", of),
            Part::Verdict(of) => ("verdict", of),
        }
    }
}

/// What a metric gives for a method at a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Cell {
    /// The layer.
    pub layer: String,
    /// The method.
    pub method: String,
    /// The metric.
    pub metric: String,
    /// Which images.
    #[serde(flatten)]
    pub part: Part,
    /// How many maps have a value.
    pub maps: usize,
    /// For how many maps the metric has none; of all images only.
    pub undefined: Option<usize>,
    /// The mean over images, each image's value being the mean over its classes.
    pub mean: Option<Estimate>,
    /// The mean over classes, each class's value being the mean over its images; of all images and the difficult ones.
    pub over_classes: Option<Estimate>,
}

/// A method against the baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Comparison {
    /// The layer.
    pub layer: String,
    /// The method.
    pub method: String,
    /// The method that it is tested against.
    pub baseline: String,
    /// The metric.
    pub metric: String,
    /// The method's value less the baseline's, image by image.
    pub difference: Estimate,
    /// The test.
    pub test: Test,
    /// Its two-sided p value.
    pub p: f64,
    /// The same with Holm's correction for all tests of the report.
    pub corrected: f64,
    /// The matched-pairs rank-biserial correlation: positive where the method's values are larger.
    pub effect: f64,
}

/// A test of pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Test {
    /// McNemar's, exact: all values are 0 or 1.
    Mcnemar,
    /// Wilcoxon's signed-rank test, exact.
    SignedRank,
    /// The same by the normal approximation.
    SignedRankNormal,
}

impl Test {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Test::Mcnemar => "McNemar, exact",
            Test::SignedRank => "signed rank, exact",
            Test::SignedRankNormal => "signed rank, normal",
        }
    }
}

/// How two metrics agree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Agreement {
    /// The layer.
    pub layer: String,
    /// One metric.
    pub a: String,
    /// The other.
    pub b: String,
    /// Spearman's correlation over images of the values of a method's maps, the mean over methods. Metrics of which less is better
    /// are turned round.
    pub over_images: Option<f64>,
    /// Over how many methods the mean is.
    pub methods: usize,
    /// Spearman's correlation of the methods' means.
    pub over_methods: Option<f64>,
}

/// How many maps have a verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Verdicts {
    /// The layer.
    pub layer: String,
    /// The method.
    pub method: String,
    /// The verdict.
    pub verdict: String,
    /// How many maps.
    pub maps: usize,
}

/// A map to look at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Example {
    /// Why.
    pub why: Why,
    /// The metric that it was chosen by.
    pub metric: String,
    /// The layer.
    pub layer: String,
    /// The baseline, whose value it is.
    pub method: String,
    /// The other method, of a disagreement.
    pub other: Option<String>,
    /// The image's number.
    pub index: u64,
    /// Its name.
    pub image: String,
    /// The class.
    pub class: String,
    /// Its number among the network's, where the rows have it.
    pub class_index: Option<u64>,
    /// The value.
    pub value: f64,
    /// The other method's.
    pub other_value: Option<f64>,
}

/// Why a map is worth a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The baseline is best there.
    Best,
    /// The baseline is worst there.
    Worst,
    /// The baseline and another method differ most there.
    Disagreement,
}

impl Summary {
    /// What rows come to. It does not matter in which order they are.
    pub fn of(manifest: &Manifest, rows: &[Row]) -> Self {
        let mut measured = Measured::of(manifest, rows);
        let (halves, thresholds) = thresholds::choose(manifest.seed, &mut measured);
        let bootstrap = Bootstrap { seed: manifest.seed, ..manifest.bootstrap };
        let named = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let baseline = measured.methods.iter().find(|m| **m == BASELINE).or(measured.methods.first()).copied();
        let verdicts = measured.verdicts.iter().map(|((layer, method, verdict), maps)| Verdicts {
            layer: (*layer).to_owned(),
            method: (*method).to_owned(),
            verdict: (*verdict).to_owned(),
            maps: *maps,
        });
        let mut summary = Summary {
            schema: SCHEMA,
            manifest: manifest.clone(),
            counts: counts(&measured),
            layers: named(&measured.layers),
            methods: named(&measured.methods),
            metrics: named(&measured.metrics),
            baseline: baseline.map(str::to_owned),
            bootstrap,
            halves,
            thresholds,
            cells: cells(&bootstrap, &measured),
            comparisons: baseline.map_or(Vec::new(), |b| compare::with(b, &bootstrap, &measured)),
            agreements: Vec::new(),
            verdicts: verdicts.collect(),
            examples: baseline.map_or(Vec::new(), |b| examples::choose(b, &measured)),
        };
        summary.agreements = agreement::of(&measured, &summary);
        summary
    }

    /// The cell of a method at a layer by a metric, of a part of the images.
    pub fn cell(&self, layer: &str, method: &str, metric: &str, part: &Part) -> Option<&Cell> {
        self.cells.iter().find(|c| c.layer == layer && c.method == method && c.metric == metric && c.part == *part)
    }
}

/// What there is to say of a metric, if it is one of ours.
pub(super) fn known(metric: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|m| m.name == metric_of(metric))
}

fn counts(measured: &Measured<'_>) -> Counts {
    let mut failures: BTreeMap<&str, (Failure, BTreeSet<u64>)> = BTreeMap::new();
    let mut unmapped: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for row in &measured.failures {
        let kind = row.error.as_deref().unwrap_or(super::measured::NOT_FINITE);
        if kind == UNMAPPED {
            unmapped.entry(row.class.as_deref().unwrap_or_default()).or_default().insert(row.index);
            continue;
        }
        let first = || Failure {
            kind: kind.to_owned(),
            rows: 0,
            images: 0,
            image: row.image.clone(),
            reason: row.reason.clone().unwrap_or_default(),
        };
        let (failure, images) = failures.entry(kind).or_insert_with(|| (first(), BTreeSet::new()));
        failure.rows += 1;
        images.insert(row.index);
        failure.images = images.len();
    }
    let unmapped = unmapped.into_iter().map(|(class, images)| Unmapped { class: class.into(), images: images.len() });
    Counts {
        images: measured.images.len(),
        explained: measured.seen.len(),
        maps: measured.maps.len(),
        classes: measured.classes.len(),
        failures: failures.into_values().map(|(failure, _)| failure).collect(),
        unmapped: unmapped.collect(),
    }
}

/// The best of several means, where one way is better and they are not all the same.
pub(super) fn best(metric: &str, found: &[Option<Estimate>]) -> Option<f64> {
    let means = || found.iter().flatten().map(|e| e.mean);
    let (low, high) = (means().reduce(f64::min)?, means().reduce(f64::max)?);
    match known(metric)?.better {
        _ if low == high => None,
        Better::Higher => Some(high),
        Better::Lower => Some(low),
        Better::Neither => None,
    }
}

/// The mean of each image's values, in the order of the images.
pub(super) fn by_image<'v>(values: impl Iterator<Item = (u64, f64)> + 'v) -> Vec<(u64, f64)> {
    let mut images: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    values.for_each(|(index, value)| images.entry(index).or_default().push(value));
    images.into_iter().filter_map(|(index, values)| Some((index, mean(&values)?))).collect()
}

fn cells(bootstrap: &Bootstrap, measured: &Measured<'_>) -> Vec<Cell> {
    let position = |names: &[&str], name: &str| names.iter().position(|n| *n == name);
    let mut groups: Vec<(&Key<'_>, &Group<'_>)> = measured.groups.iter().collect();
    groups.sort_by_key(|(k, _)| {
        (
            position(&measured.layers, k.layer),
            position(&measured.metrics, k.metric),
            position(&measured.methods, k.method),
        )
    });
    let parts = groups.into_iter().flat_map(|(key, group)| {
        let mut parts: BTreeMap<Part, Vec<&Value<'_>>> = BTreeMap::from([(Part::All, Vec::new())]);
        for value in &group.values {
            let size = value.object_share.and_then(|s| SIZES.iter().find(|(_, most)| s < *most).or(SIZES.last()));
            let of = [
                Some(Part::All),
                value.difficult.filter(|d| *d).map(|_| Part::Difficult),
                Some(Part::Class(value.class.to_owned())),
                size.map(|(name, _)| Part::Size((*name).to_owned())),
                value.verdict.map(|v| Part::Verdict(v.to_owned())),
            ];
            of.into_iter().flatten().for_each(|part| parts.entry(part).or_default().push(value));
        }
        parts.into_iter().map(move |(part, values)| (key, group, part, values))
    });
    let parts: Vec<_> = parts.collect();
    let cell = |(key, group, part, values): (&Key<'_>, &Group<'_>, Part, Vec<&Value<'_>>)| {
        let images: Vec<f64> = by_image(values.iter().map(|v| (v.index, v.value))).into_iter().map(|v| v.1).collect();
        let mut classes: BTreeMap<&str, Vec<(u64, f64)>> = BTreeMap::new();
        values.iter().for_each(|v| classes.entry(v.class).or_default().push((v.index, v.value)));
        let classes: Vec<Vec<(u64, f64)>> = classes.into_values().collect();
        Cell {
            layer: key.layer.to_owned(),
            method: key.method.to_owned(),
            metric: key.metric.to_owned(),
            maps: values.len(),
            undefined: (part == Part::All).then_some(group.undefined),
            mean: bootstrap.mean(&images),
            over_classes: match part {
                Part::All | Part::Difficult => bootstrap.macro_mean(&classes),
                _ => None,
            },
            part,
        }
    };
    parts.into_par_iter().map(cell).collect()
}
