//! Means of parts of the images: sizes of objects, verdicts, classes.

use super::plots::{dot, plot, with_legend};
use crate::report::elements::{NO_VALUE, folded, table, th};
use crate::report::summary::{Cell, Part, SIZES, Summary};
use crate::report::words::{self, number};
use crate::statistics::Estimate;
use hirescam::html::escape;
use std::collections::BTreeMap;

/// How many classes are shown one by one: those with the most images.
const MOST_CLASSES: usize = 30;
/// How many parts a plot shows before it is folded away.
const MOST_OPEN: usize = 6;

/// Means of parts of the images, as plots and as a table.
pub(super) fn divided(summary: &Summary, layer: &str, by: &str, kind: &str, is: fn(&Part) -> bool) -> String {
    let cells: Vec<&Cell> = summary.cells.iter().filter(|c| c.layer == layer && is(&c.part)).collect();
    let mut images: BTreeMap<&Part, usize> = BTreeMap::new();
    for cell in &cells {
        let n = images.entry(&cell.part).or_default();
        *n = (*n).max(cell.mean.map_or(0, |e| e.n));
    }
    let mut parts: Vec<(&Part, usize)> = images.into_iter().collect();
    match parts.as_slice() {
        [] => return String::new(),
        [(only, _)] => {
            let only = escape(only.words().1);
            return format!(
                "<h3>By {by}</h3>\n<p>All maps are of one {kind}, {only}: there is nothing to divide.</p>\n"
            );
        }
        _ => {}
    }
    let verdicts = |m: &String| summary.verdicts.iter().filter(|v| v.layer == layer && v.method == *m).count();
    if kind == "verdict" && summary.methods.iter().all(|m| verdicts(m) < 2) {
        return "<h3>By verdict</h3>\n<p>Each method's maps all have one verdict, which stands above: its means are those of all images.</p>\n".into();
    }
    let all = parts.len();
    let size = |part: &Part| SIZES.iter().position(|(name, _)| *name == part.words().1);
    if kind == "size" {
        parts.sort_by_key(|(part, _)| size(part));
    } else if all > MOST_CLASSES {
        parts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        parts.truncate(MOST_CLASSES);
    }
    let mut note = match kind {
        "size" => format!(
            "Objects by the share of the image that those of the class take up: {}.",
            SIZES.iter().map(|(name, most)| size_words(name, *most)).collect::<Vec<_>>().join(", ")
        ),
        "verdict" => "Maps by what is proven of them, image by image. Verdicts that differ between methods say as much of the methods as of the images.".into(),
        _ => "Images that show the class, or where it is predicted.".into(),
    };
    if all > parts.len() {
        note += &format!(" Shown are the {} with the most images of {all}; all are in summary.csv.", parts.len());
    }
    let found: BTreeMap<(&Part, &str, &str), Estimate> =
        cells.iter().filter_map(|c| Some(((&c.part, c.method.as_str(), c.metric.as_str()), c.mean?))).collect();
    let find = |part: &Part, method: &str, metric: &str| found.get(&(part, method, metric)).copied();
    let mut plots = Vec::new();
    let mut rows = String::new();
    for metric in &summary.metrics {
        let mut lines = Vec::new();
        for (part, n) in &parts {
            let name = format!("{} ({n})", part.words().1);
            let found: Vec<Option<Estimate>> = summary.methods.iter().map(|m| find(part, m, metric)).collect();
            if found.iter().all(Option::is_none) {
                continue;
            }
            let cells: String = found
                .iter()
                .map(|e| match e {
                    Some(e) => {
                        format!("<td>{}<br /><span class=\"small\">{}</span></td>", number(e.mean), words::interval(e))
                    }
                    None => NO_VALUE.into(),
                })
                .collect();
            rows += &format!(
                "<tr><td class=\"words\">{} {}</td><td class=\"words\">{}</td>{cells}</tr>\n",
                escape(metric),
                words::arrow(metric),
                escape(&name)
            );
            lines.push((name, found.into_iter().enumerate().filter_map(|(s, e)| Some(dot(s, e?))).collect()));
        }
        plots.extend(plot(metric, &format!("{metric} by {by} and method"), lines));
    }
    let head: String = [th("metric", true), th(&format!("{kind} (images)"), true)]
        .into_iter()
        .chain(summary.methods.iter().map(|m| th(m, false)))
        .collect();
    let plots = match parts.len() > MOST_OPEN {
        true => folded(&format!("Plots by {by}"), &with_legend(summary, &plots)),
        false => with_legend(summary, &plots),
    };
    format!(
        "<h3>By {by}</h3>\n<p class=\"small\">{}</p>\n{plots}{}",
        escape(&note),
        folded(&format!("The numbers by {by}"), &table(&head, &rows))
    )
}

fn size_words(name: &str, most: f64) -> String {
    let before = SIZES.iter().map(|(_, m)| *m).filter(|m| *m < most).fold(0.0, f64::max);
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    match (before, most) {
        (0.0, _) => format!("{name} below {}", percent(most)),
        (_, 1.0) => format!("{name} from {} on", percent(before)),
        _ => format!("{name} from {} to {}", percent(before), percent(most)),
    }
}
