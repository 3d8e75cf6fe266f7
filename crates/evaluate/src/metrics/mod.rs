//! Metrics: how good a map is. Each is a file with its formula and source, and a row in [`METRICS`].
//!
//! Maps are raw and signed, of any number of axes, and what stands beside a map (truth, another map) has its shape: nothing is
//! resized here. What of a signed map counts is said by name, see [`Attention`]. Sums are in f64.
//!
//! Metrics of arrays are plain functions. Those that change the image and look at what becomes of the score implement
//! [`Metric`](crate::changed::Metric); [`measure`](crate::changed::measure) runs any number of them together. Where a metric has
//! no value (a map of zeros, an object without cells), that is [`Error::Undefined`], never a number that stands for nothing.

mod adcc;
mod aopc;
mod arcc;
mod area;
mod arrays;
mod average_drop;
mod average_gain;
mod coherency;
mod completeness;
mod complexity;
mod confidence_increase;
mod curve;
mod dead_zone;
mod deletion;
mod energy;
mod entropy;
mod idle;
mod infidelity;
mod insertion;
mod iou;
mod max_sensitivity;
mod mprt;
mod mufidelity;
mod organ_iou;
mod pointing_game;
mod relevance_mass;
mod relevance_rank;
mod road;
mod sparseness;
mod total_variation;
mod unused;

pub(crate) use arrays::*;

pub use adcc::Adcc;
pub use aopc::{AopcLerf, AopcMorf};
pub use arcc::Arcc;
pub use area::area_over_threshold;
pub use arrays::{Attention, mask_of_boxes};
pub use average_drop::AverageDrop;
pub use average_gain::AverageGain;
pub use coherency::coherency;
pub use completeness::{completeness_error, completeness_residual};
pub use complexity::complexity;
pub use confidence_increase::ConfidenceIncrease;
pub use curve::Curve;
pub use dead_zone::dead_zone_ratio;
pub use deletion::Deletion;
pub use energy::energy_pointing_game;
pub use entropy::entropy;
pub use idle::idle_share;
pub use infidelity::{Infidelity, Taken};
pub use insertion::Insertion;
pub use iou::{THRESHOLDS, best_threshold, iou, ious};
pub use max_sensitivity::{Neighbours, max_sensitivity};
pub use mprt::mprt;
pub use mufidelity::MuFidelity;
pub use organ_iou::{Perfect, organ_iou, organ_ious};
pub use pointing_game::{PointingGame, is_difficult, point, pointing_game};
pub use relevance_mass::relevance_mass;
pub use relevance_rank::relevance_rank;
pub use road::{Removed, Road};
pub use sparseness::sparseness;
pub use total_variation::total_variation;
pub use unused::unused_share;

use crate::Error;
use hirescam::core::near;
use std::fmt::Write;

/// What there is to say of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The name in options, tables and records.
    pub name: &'static str,
    /// What it measures, as a sentence.
    pub what: &'static str,
    /// The formula: h is the map, h⁺ = max(h, 0), G the places inside of the truth, n the number of places, s the score.
    pub formula: &'static str,
    /// Between which values it lies, and in which unit where it has one.
    pub range: &'static str,
    /// Which way is better.
    pub better: Better,
    /// Author, year, where.
    pub source: &'static str,
    /// What is needed beside the map.
    pub needs: &'static str,
    /// What it cannot show.
    pub blind: &'static str,
}

/// Which way a metric is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
    /// It describes, and does not judge.
    Neither,
}

impl Better {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Better::Higher => "higher",
            Better::Lower => "lower",
            Better::Neither => "neither",
        }
    }
}

/// All metrics.
pub const METRICS: &[Row] = &[
    completeness::RESIDUAL,
    completeness::ERROR,
    unused::ROW,
    idle::ROW,
    dead_zone::ROW,
    pointing_game::ROW,
    energy::ROW,
    relevance_mass::ROW,
    relevance_rank::ROW,
    iou::ROW,
    organ_iou::ROW,
    area::ROW,
    total_variation::ROW,
    sparseness::ROW,
    entropy::ROW,
    complexity::ROW,
    coherency::ROW,
    max_sensitivity::ROW,
    mprt::ROW,
    deletion::ROW,
    insertion::ROW,
    aopc::MORF,
    aopc::LERF,
    average_drop::ROW,
    confidence_increase::ROW,
    average_gain::ROW,
    road::ROW,
    infidelity::ROW,
    mufidelity::ROW,
    adcc::ROW,
    arcc::ROW,
];

/// The row of the metric called `name`.
///
/// # Errors
/// [`Error::NotFound`] with near names.
pub fn metric(name: &str) -> Result<&'static Row, Error> {
    let missing =
        || Error::NotFound { what: "metric", name: name.to_owned(), near: near(name, METRICS.iter().map(|m| m.name)) };
    METRICS.iter().find(|m| m.name == name).ok_or_else(missing)
}

/// The metrics as a table in Markdown.
pub fn table() -> String {
    let mut text =
        "| metric | what it measures | range | better | needs beside the map |\n|---|---|---|---|---|\n".to_owned();
    for row in METRICS {
        let Row { name, what, range, needs, .. } = row;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| `{name}` | {what} | {range} | {} | {needs} |", row.better.word());
    }
    text
}

/// The metrics one by one in Markdown: formula, what each cannot show, source.
pub fn details() -> String {
    let mut text = String::new();
    for Row { name, formula, blind, source, .. } in METRICS {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "- **`{name}`**: {formula}.<br>Cannot show: {blind}.<br>{source}.");
    }
    text
}
