//! What is said of an evaluation in a few lines.

use super::{Outcome, image_failed};
use crate::metrics::best_threshold;
use crate::rows::Row;
use std::collections::{BTreeMap, BTreeSet};

/// No more examples of a failure are named.
const EXAMPLES: usize = 3;

/// The lines of a summary: how many images and rows there are, what failed and why, which classes the network does not have, and
/// the mean of each metric for each method.
///
/// A mean is over all rows of images and classes that have a value. Of a metric whose threshold is chosen afterwards it is the best of the
/// thresholds' means on these very images.
pub fn summary(rows: &[Row], outcome: &Outcome) -> Vec<String> {
    let mut lines = Vec::new();
    let stopped = match (outcome.stopped, outcome.too_many) {
        (false, _) => String::new(),
        (true, true) => "; stopped, for too many failed".into(),
        (true, false) => "; stopped before the end: the same command goes on".into(),
    };
    let found =
        if outcome.found > 0 { format!(", {} of them from an earlier run", outcome.found) } else { String::new() };
    lines.push(format!("{} of {} images{found}, {} rows{stopped}", outcome.done, outcome.of, rows.len()));
    lines.extend(outcome.notes.iter().map(|note| format!("  cannot be had on this network: {note}")));
    lines.extend(failures(rows));
    let unmapped: Vec<&Row> = rows.iter().filter(|row| row.error.as_deref() == Some("unmapped")).collect();
    if !unmapped.is_empty() {
        let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
        for row in &unmapped {
            *classes.entry(row.class.as_deref().unwrap_or_default()).or_default() += 1;
        }
        let named: Vec<String> = classes.iter().map(|(name, n)| format!("{name} ({n})")).collect();
        lines
            .push(format!("  classes that the network does not have, and images that show them: {}", named.join(", ")));
    }
    lines.extend(table(rows));
    lines
}

/// What failed, by kind: whole images, methods, and values.
fn failures(rows: &[Row]) -> Vec<String> {
    let mut kinds: BTreeMap<(usize, String, &str), Vec<&Row>> = BTreeMap::new();
    for row in rows {
        let Some(kind) = row.error.as_deref().filter(|kind| *kind != "unmapped") else { continue };
        let (rank, what) = match (image_failed(row), &row.metric, &row.method) {
            (true, ..) => (0, "images".to_owned()),
            (false, Some(metric), _) => (2, format!("values of {metric}")),
            (false, None, Some(method)) => (1, format!("maps of {method}")),
            (false, None, None) => (1, "classes".to_owned()),
        };
        kinds.entry((rank, what, kind)).or_default().push(row);
    }
    let of_kind = |((_, what, kind), rows): ((usize, String, &str), Vec<&Row>)| {
        let images: BTreeSet<&str> = rows.iter().map(|row| row.image.as_str()).collect();
        let some: Vec<&str> = images.iter().copied().take(EXAMPLES).collect();
        let more = if images.len() > some.len() { ", …" } else { "" };
        // Each reason once, by the first that has it.
        let mut reasons: Vec<(&str, &str)> = Vec::new();
        for row in &rows {
            let reason = row.reason.as_deref().unwrap_or_default();
            if reasons.len() < EXAMPLES && reasons.iter().all(|(_, known)| *known != reason) {
                reasons.push((&row.image, reason));
            }
        }
        let mut reasons = reasons.into_iter();
        let first = reasons.next().map_or("", |(_, reason)| reason);
        let line = format!("  without {what}: {} ({kind}; {}{more}): {first}", rows.len(), some.join(", "));
        [line].into_iter().chain(reasons.map(|(image, reason)| format!("    {image}: {reason}"))).collect::<Vec<_>>()
    };
    kinds.into_iter().flat_map(of_kind).collect()
}

/// The means of metrics, a column for each method and layer.
fn table(rows: &[Row]) -> Vec<String> {
    let (mut columns, mut metrics) = (Vec::new(), Vec::new());
    let mut cells: BTreeMap<(usize, usize), Vec<&Row>> = BTreeMap::new();
    let place = |list: &mut Vec<(String, String)>, what: (String, String)| match list.iter().position(|w| *w == what) {
        Some(at) => at,
        None => {
            list.push(what);
            list.len() - 1
        }
    };
    for row in rows.iter().filter(|row| row.error.is_none()) {
        let (Some(method), Some(layer), Some(metric)) = (&row.method, &row.layer, &row.metric) else { continue };
        let at = place(&mut columns, (method.clone(), layer.clone()));
        cells.entry((place(&mut metrics, (metric.clone(), String::new())), at)).or_default().push(row);
    }
    if cells.is_empty() {
        return Vec::new();
    }
    let several = columns.iter().any(|(_, layer)| columns.first().is_some_and(|(_, first)| first != layer));
    let names: Vec<String> = columns
        .iter()
        .map(|(method, layer)| if several { format!("{method} at {layer}") } else { method.clone() })
        .collect();
    let width = |name: &String| name.chars().count().max(9);
    let head: Vec<String> = names.iter().map(|name| format!("{name:>w$}", w = width(name))).collect();
    let mut lines = vec![format!("  {:24} {}", "mean of", head.join("  "))];
    let mut chosen = false;
    for (i, (metric, _)) in metrics.iter().enumerate() {
        let of = |j: usize| {
            let rows = cells.get(&(i, j))?;
            let values: Vec<f64> = rows.iter().filter_map(|row| row.value).collect();
            let lists: Vec<Vec<f64>> = rows.iter().filter_map(|row| row.values.clone()).collect();
            if let (true, Ok(best)) = (values.is_empty(), best_threshold(&lists)) {
                let at = lists.iter().filter_map(|list| list.get(best));
                return Some((at.sum::<f64>() / lists.len() as f64, true));
            }
            (!values.is_empty()).then(|| (values.iter().sum::<f64>() / values.len() as f64, false))
        };
        let found: Vec<Option<(f64, bool)>> = (0..columns.len()).map(of).collect();
        let of_threshold = found.iter().flatten().any(|(_, chosen)| *chosen);
        chosen |= of_threshold;
        let shown = names.iter().zip(&found).map(|(name, found)| {
            format!("{:>w$}", found.map_or("-".to_owned(), |(mean, _)| number(mean)), w = width(name))
        });
        let star = if of_threshold { "*" } else { "" };
        lines.push(format!("  {:24} {}", format!("{metric}{star}"), shown.collect::<Vec<_>>().join("  ")));
    }
    if chosen {
        lines.push(
            "  * at the threshold that is best on these images; the report chooses it on others than it measures"
                .into(),
        );
    }
    lines
}

fn number(value: f64) -> String {
    if value != 0.0 && !(1e-3..1e5).contains(&value.abs()) { format!("{value:.2e}") } else { format!("{value:.4}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(image: &str, method: &str, metric: &str, value: f64) -> Row {
        let some = |text: &str| Some(text.to_owned());
        Row {
            image: image.into(),
            class: some("cat"),
            method: some(method),
            layer: some("features"),
            metric: some(metric),
            value: Some(value),
            ..Row::default()
        }
    }

    #[test]
    fn a_summary_counts_names_and_averages() {
        let mut rows = vec![row("a", "hirescam", "entropy", 1.0), row("b", "hirescam", "entropy", 2.0)];
        rows.push(Row {
            value: None,
            error: Some("undefined".into()),
            reason: Some("it is 0".into()),
            ..row("c", "gradcam", "entropy", 0.0)
        });
        let unmapped = Some("unmapped".to_owned());
        rows.push(Row { image: "a".into(), class: Some("cow".into()), error: unmapped, ..Row::default() });
        rows.push(Row {
            image: "d".into(),
            error: Some("data".into()),
            reason: Some("it is cut".into()),
            ..Row::default()
        });
        let many = Row { value: None, values: Some(vec![0.5; 53]), ..row("a", "hirescam", "iou", 0.0) };
        rows.push(many);
        for (image, reason) in [("e", "it is cut"), ("f", "it is missing")] {
            let [error, reason] = ["data", reason].map(|text| Some(text.to_owned()));
            rows.push(Row { image: image.into(), error, reason, ..Row::default() });
        }
        let outcome =
            Outcome { done: 4, of: 9, found: 0, failed: 1, stopped: true, too_many: false, notes: Vec::new() };
        let text = summary(&rows, &outcome).join("\n");
        for part in [
            "4 of 9 images, 8 rows; stopped before the end",
            "without images: 3 (data; d, e, f): it is cut\n    f: it is missing\n",
            "without values of entropy: 1 (undefined; c): it is 0",
            "cow (1)",
            "entropy                     1.5000",
            "iou*                        0.5000",
        ] {
            assert!(text.contains(part), "{part:?} in\n{text}");
        }
    }
}
