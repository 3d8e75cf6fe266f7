//! Tables and sentences, the same in text and page.

use super::report::{Ablation, LayerReport, MethodReport, Randomisation, Report, Spread};
use crate::overlay;

/// A table: some columns of words, then numbers.
pub(super) struct TextTable {
    /// Headings over so many columns each.
    pub(super) groups: Vec<(String, usize)>,
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
    /// How many columns are words.
    pub(super) words: usize,
}

/// What stands where there is no number.
const NONE: &str = "–";

fn number(value: f64) -> String {
    overlay::number(value as f32)
}

/// An exact 0 is told from what rounds to it.
fn percent(share: f64) -> String {
    if share == 0.0 { "0 %".into() } else { format!("{:.1} %", 100.0 * share) }
}

fn correlation(value: f64) -> String {
    match format!("{value:.2}").as_str() {
        "-0.00" => "0.00".into(),
        text => text.replace('-', "−"),
    }
}

fn of(value: Option<f64>, show: fn(f64) -> String) -> String {
    value.map_or(NONE.into(), show)
}

fn shares(spread: Option<Spread>) -> [String; 3] {
    [spread.map(|s| s.mean), spread.map(|s| s.median), spread.map(|s| s.worst)].map(|value| of(value, percent))
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|t| (*t).to_owned()).collect()
}

/// `7×7`.
pub(super) fn resolution(layer: &LayerReport) -> String {
    layer.resolution.iter().map(usize::to_string).collect::<Vec<_>>().join("×")
}

/// How the methods fared at a layer.
pub(super) fn methods(layer: &LayerReport) -> TextTable {
    let row = |m: &MethodReport| {
        let proven = m.verdict.clone().unwrap_or_else(|| "failed".into());
        let residual = [
            of(m.residual.map(|r| r.mean), number),
            of(m.residual.map(|r| r.worst), number),
            of(m.residual_relative.map(|r| r.worst), percent),
        ];
        let taken_out = [of(m.idle.map(|s| s.mean), percent), of(m.agreement.map(|s| s.mean), correlation)];
        let places = [shares(m.unused), shares(m.outside)].concat();
        [&[m.method.clone(), proven][..], &residual, &places, &taken_out].concat()
    };
    let groups = [("", 2), ("residual", 3), ("where HiResCAM is 0", 3), ("where HiResCAM ≤ 0", 3), ("taken out", 2)];
    let shares = ["mean", "median", "worst"];
    let head = [&["method", "proven", "mean", "worst", "of score"][..], &shares, &shares, &["idle", "rank"]].concat();
    TextTable {
        groups: groups.map(|(text, columns)| (text.to_owned(), columns)).to_vec(),
        head: strings(&head),
        rows: layer.methods.iter().map(row).collect(),
        words: 2,
    }
}

/// How the maps of randomised networks are like the original's: of the maps, or of |map|.
pub(super) fn correlations(found: &Randomisation, absolute: bool) -> TextTable {
    let stages = || found.stages.iter().filter(|s| s.error.is_none());
    let first = stages().next().map(|s| s.methods.as_slice()).unwrap_or_default();
    let row = |(i, method): (usize, &super::Correlation)| {
        let cell = |stage: &super::Stage| {
            let c = stage.methods.get(i);
            of(c.and_then(|c| if absolute { c.absolute } else { c.signed }), correlation)
        };
        [method.method.clone()].into_iter().chain(stages().map(cell)).collect()
    };
    let what = if absolute { "rank correlation of |map|" } else { "rank correlation of the maps" };
    TextTable {
        groups: vec![(what.to_owned(), 1), ("weight tensors randomised".into(), stages().count())],
        head: ["method".to_owned()].into_iter().chain(stages().map(|s| s.randomised.to_string())).collect(),
        rows: first.iter().enumerate().map(row).collect(),
        words: 1,
    }
}

/// What there is to say of the whole, a sentence each.
pub(super) fn about(report: &Report) -> Vec<String> {
    let usable = report.images.iter().filter(|i| i.error.is_none()).count();
    let images = match (report.images.len(), usable) {
        (0, _) => "No images: verdicts only.".into(),
        (1, 1) => "1 image.".into(),
        (all, usable) if all == usable => format!("{all} images."),
        (all, usable) => format!("{usable} of {all} images; the others failed."),
    };
    let score = match &report.final_activation {
        Some(activation) => format!("the logit of {:?}, before its {activation}", report.output),
        None => format!("the output {:?}", report.output),
    };
    let made = &report.provenance;
    let mut lines: Vec<String> = report.error.iter().cloned().collect();
    lines.extend([
        format!("{} of {} layers. {images}", report.layers.len(), report.candidates),
        match report.images.is_empty() {
            true => format!("The score is {score}."),
            false => format!("Explained: {}; the score is {score}.", report.target),
        },
        format!("{} {}, seed {}.", made.engine, made.engine_version, made.spec.settings.seed),
    ]);
    lines
}

/// What is proven at a layer, a sentence each.
pub(super) fn proven(layer: &LayerReport) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(verdict) = &layer.verdict {
        let because = layer.reason.as_ref().map_or(String::new(), |reason| format!(" because of the {reason}"));
        let means = match verdict.as_str() {
            "exact" => "each cell of HiResCAM is its place's contribution to the score",
            "locally-linear" => {
                "a cell of HiResCAM is a contribution to the linear form that the network follows for an image"
            }
            _ => "HiResCAM is 0 where the score does not depend on a place; its cells need not add up to the score",
        };
        lines.push(format!("{verdict}{because}: {means}"));
    }
    lines.extend(layer.error.as_ref().map(|error| format!("cannot be explained: {error}")));
    lines.extend(layer.bypass.as_ref().map(|join| {
        format!("a path goes around the layer and joins at the {join}: maps explain only what flows through the layer")
    }));
    match &layer.equal {
        Some(equal) => lines.push(equal.clone()),
        None if layer.uniform == Some(true) => {
            lines.push(
                "The gradient is the same at all places here, so HiResCAM and Grad-CAM must be the same map".into(),
            );
        }
        None => {}
    }
    lines.extend(
        layer
            .ignores_scale
            .then(|| "the head hardly changes with the layer's scale: the map sums to 0, or nearly".into()),
    );
    lines.extend(layer.reads_one_place.then(|| "the head reads one place: the map has one cell, or none".into()));
    lines
}

/// What went wrong with the methods at a layer.
pub(super) fn failures(layer: &LayerReport) -> Vec<String> {
    let failed = layer.methods.iter().filter_map(|m| Some(format!("{}: {}", m.method, m.error.as_ref()?)));
    let ablation = layer.ablation.iter().filter_map(|a| Some(format!("taking places out: {}", a.error.as_ref()?)));
    failed.chain(ablation).collect()
}

/// What taking places out showed, a sentence each.
pub(super) fn taken_out(layer: &LayerReport, found: &Ablation) -> Vec<String> {
    if found.images == 0 {
        return Vec::new();
    }
    let all: usize = layer.resolution.iter().product();
    let of = if found.images == 1 { "an image".into() } else { format!("each of {} images", found.images) };
    let (absolute, relative) = (number(found.deviation), percent_or_power(found.deviation_relative));
    let taken = format!("{} of {all} places taken out of {of}, one at a time: what the score lost", found.places);
    let differs = format!("{taken} differs from the cell by up to {relative} of the largest cell ({absolute})");
    let rounding = found.deviation <= found.rounding;
    let mut lines = vec![match (layer.verdict.as_deref(), rounding) {
        (_, true) => {
            format!("{taken} was the cell, up to {relative} of the largest cell ({absolute}), which is rounding")
        }
        (Some("exact"), false) => format!(
            "{differs}; behind an affine head it should not, but for rounding (about {} of the score's own)",
            number(found.rounding)
        ),
        _ => format!("{differs}; behind this head nothing forbids it"),
    }];
    if let Some(change) = found.change_at_zeros {
        lines.push(match change == 0.0 {
            true => format!("HiResCAM was 0 at {} of them; taking those out left the score as it was", found.zeros),
            false => format!(
                "HiResCAM was 0 at {} of them; taking those out changed the score by up to {} of the largest cell",
                found.zeros,
                percent_or_power(change)
            ),
        });
    }
    lines
}

/// Roundings are told from percents.
fn percent_or_power(share: f64) -> String {
    if share == 0.0 || share >= 1e-3 { percent(share) } else { number(share) }
}

/// What was randomised, a sentence each.
pub(super) fn randomised(found: &Randomisation) -> Vec<String> {
    let images = if found.images == 1 { "1 image".into() } else { format!("{} images", found.images) };
    let mut lines = vec![format!(
        "At {}, on {images}: {} weight tensors, more and more of them randomised from the score downwards",
        found.layer, found.weights
    )];
    lines.extend(found.error.as_ref().map(|error| format!("failed: {error}")));
    let failed =
        found.stages.iter().filter_map(|s| Some(format!("{} randomised: {}", s.randomised, s.error.as_ref()?)));
    lines.extend(failed);
    lines
}

/// What the columns are.
pub(super) const LEGEND: &[(&str, &str)] = &[
    (
        "residual",
        "|score − Σ map − b|, b as far as one is proven; 0 by construction where b is the rest of the score (locally-linear)",
    ),
    ("where HiResCAM is 0", "the share of Σ |map| at places with HiResCAM 0: the network did not use them"),
    ("where HiResCAM ≤ 0", "the same, with places that speak against what is explained"),
    ("idle", "of the places taken out, the share of Σ |map| at those without which the score stayed the same"),
    ("rank", "the rank correlation of the cells with what the score lost without their places"),
    (
        "rank correlation",
        "1: the map does not depend on those weights, so it cannot show what they learnt; 0: it depends on them",
    ),
];
