//! Numbers and sentences of a report.

use super::summary::{ALPHA, Comparison, Summary, known};
use crate::metrics::Better;
use crate::statistics::Estimate;

/// A value: four digits where they show anything.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    match size {
        0.0 => "0".into(),
        _ if !(1e-3..1e5).contains(&size) => format!("{value:.1e}"),
        _ if size >= 100.0 => format!("{value:.1}"),
        _ if size >= 10.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// `0.412 [0.398, 0.425]`.
pub(super) fn estimate(estimate: &Estimate) -> String {
    format!("{} {}", number(estimate.mean), interval(estimate))
}

/// `[0.398, 0.425]`, or why there is none.
pub(super) fn interval(estimate: &Estimate) -> String {
    match estimate.interval() {
        Some(i) => format!("[{}, {}]", number(i.low), number(i.high)),
        None => "[one image]".into(),
    }
}

/// A p value.
pub(super) fn p(p: f64) -> String {
    if p < 0.001 { "< 0.001".into() } else { format!("{p:.3}") }
}

/// `1 image`, `2 images`.
pub(super) fn count(n: usize, of: &str) -> String {
    let plural = match of {
        "class" => "classes".to_owned(),
        of => format!("{of}s"),
    };
    if n == 1 { format!("1 {of}") } else { format!("{n} {plural}") }
}

/// `a, b and c`.
pub(super) fn list(of: &[String]) -> String {
    match of {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Which way is better, as an arrow.
pub(super) fn arrow(metric: &str) -> &'static str {
    match known(metric).map(|m| m.better) {
        Some(Better::Higher) => "↑",
        Some(Better::Lower) => "↓",
        _ => "",
    }
}

/// How a test came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Better,
    Worse,
    Larger,
    Smaller,
    NotShown,
}

impl Outcome {
    pub fn of(comparison: &Comparison) -> Self {
        if comparison.corrected >= ALPHA || comparison.effect == 0.0 {
            return Outcome::NotShown;
        }
        let larger = comparison.effect > 0.0;
        match (known(&comparison.metric).map(|m| m.better), larger) {
            (Some(Better::Higher), true) | (Some(Better::Lower), false) => Outcome::Better,
            (Some(Better::Higher), false) | (Some(Better::Lower), true) => Outcome::Worse,
            (_, true) => Outcome::Larger,
            (_, false) => Outcome::Smaller,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Outcome::Better => "better",
            Outcome::Worse => "worse",
            Outcome::Larger => "larger",
            Outcome::Smaller => "smaller",
            Outcome::NotShown => "no difference shown",
        }
    }
}

/// What was evaluated, in sentences.
pub(super) fn lead(summary: &Summary) -> Vec<String> {
    let (manifest, counts) = (&summary.manifest, &summary.counts);
    let classes = match manifest.explained.as_str() {
        "present" => ", for the classes that they show",
        "predicted" => ", for the classes that the network predicts",
        "both" => ", for the classes that they show and those that the network predicts",
        _ => "",
    };
    let mut lines = Vec::new();
    if counts.images == 0 {
        lines.push("Nothing was evaluated: there are no rows.".into());
        return lines;
    }
    let of = match (manifest.images, manifest.limit) {
        (0, _) => String::new(),
        (all, Some(limit)) if limit < all => format!(" (of the data set's {all}, {limit} were asked for)"),
        (all, _) => format!(" (the data set has {all})"),
    };
    lines.push(format!("{} of {}{of} were explained{classes}.", counts.explained, count(counts.images, "image")));
    if counts.maps == 0 {
        lines.push("There is not a single map, so there is nothing to measure.".into());
        return lines;
    }
    lines.push(format!(
        "{} of {} by {} ({}) at {} ({}), measured by {}.",
        count(counts.maps, "map"),
        count(counts.classes, "class"),
        count(summary.methods.len(), "method"),
        list(&summary.methods),
        count(summary.layers.len(), "layer"),
        list(&summary.layers),
        count(summary.metrics.len(), "metric"),
    ));
    lines
}

/// What failed, in sentences.
pub(super) fn failures(summary: &Summary) -> Vec<String> {
    let counts = &summary.counts;
    let mut lines: Vec<String> = counts
        .failures
        .iter()
        .map(|f| {
            format!(
                "{}: {} in {}; the first is {}: {}",
                f.kind,
                count(f.rows, "row"),
                count(f.images, "image"),
                f.image,
                if f.reason.is_empty() { "no finite number" } else { &f.reason }
            )
        })
        .collect();
    let shown = |class: &str| counts.unmapped.iter().find(|u| u.class == class).map(|u| u.images);
    let mut unmapped: Vec<&str> = summary.manifest.unmapped.iter().map(String::as_str).collect();
    unmapped.extend(counts.unmapped.iter().map(|u| u.class.as_str()));
    unmapped.sort_unstable();
    unmapped.dedup();
    if !unmapped.is_empty() {
        let named: Vec<String> = unmapped
            .iter()
            .map(|class| match shown(class) {
                Some(images) => format!("{class} (in {})", count(images, "image")),
                None => (*class).to_owned(),
            })
            .collect();
        lines.push(format!(
            "{} of the data set that the network does not know, and that {} left out: {}",
            count(unmapped.len(), "class"),
            if unmapped.len() == 1 { "is" } else { "are" },
            list(&named)
        ));
    }
    if lines.is_empty() && counts.images > 0 {
        lines.push("Nothing failed, and every class of the data set is one of the network's.".into());
    }
    lines
}

/// How the tests of a method at a layer came out, in sentences.
pub(super) fn outcomes(summary: &Summary, layer: &str) -> Vec<String> {
    let methods = summary.methods.iter().filter(|m| Some(*m) != summary.baseline.as_ref());
    let line = |method: &String| {
        let of: Vec<&Comparison> =
            summary.comparisons.iter().filter(|c| c.layer == layer && c.method == *method).collect();
        let baseline = &of.first()?.baseline;
        if of.iter().all(|c| c.effect == 0.0 && c.difference.mean == 0.0) {
            return Some(format!(
                "{method} has {baseline}'s values in every image and metric: at this layer the two are the same map, as they are where the gradient is uniform"
            ));
        }
        let mut said = Vec::new();
        for outcome in [Outcome::Better, Outcome::Worse, Outcome::Larger, Outcome::Smaller] {
            let metrics: Vec<String> =
                of.iter().filter(|c| Outcome::of(c) == outcome).map(|c| c.metric.clone()).collect();
            if !metrics.is_empty() {
                said.push(format!("{} in {}", outcome.word(), list(&metrics)));
            }
        }
        let open = of.iter().filter(|c| Outcome::of(c) == Outcome::NotShown).count();
        if open > 0 {
            said.push(format!(
                "no difference shown in {}",
                count(open, if said.is_empty() { "metric" } else { "other metric" })
            ));
        }
        Some(format!("{method}, against {baseline}: {}", said.join("; ")))
    };
    methods.filter_map(line).collect()
}

/// What a verdict says of a map.
pub(super) fn verdict(verdict: &str) -> &'static str {
    match verdict {
        "exact" => {
            "the cells and b make the score, b is the same for every image, and each cell is that place's contribution"
        }
        "locally-linear" => {
            "the cells and a b of the image's own make the score; they are contributions to the linear form that the network follows there"
        }
        "gradient-only" => "a place that the score does not depend on gets 0; more is not proven",
        "sum-only" => "the cells and b make the score, but the map can show places that the network did not use",
        "unproven" => {
            "nothing is proven: the map can show places that the network did not use, and hide some that it did"
        }
        _ => "",
    }
}
