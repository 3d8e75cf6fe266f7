//! What is said of one layer: what is proven there, means, tests.

use super::agreement::agreement;
use super::parts::divided;
use super::plots::{dot, plot, with_legend};
use crate::report::elements::{NO_VALUE, grid, list, table, th};
use crate::report::plot::Dot;
use crate::report::summary::{Cell, Part, Summary, best};
use crate::report::words::{self, Outcome, count, number};
use crate::statistics::Estimate;
use hirescam::html::escape;

pub(super) fn of_layer(summary: &Summary, layer: &str) -> String {
    let mut parts = String::new();
    let outcomes = words::outcomes(summary, layer);
    if !outcomes.is_empty() {
        parts += &format!("<h3>In short</h3>\n{}", list(&outcomes));
        parts += "<p class=\"small\">Sizes of differences stand in the tables. A metric that measures agreement with people (the pointing games, relevance, IoU) can rightly be low for a faithful map of a network that looks elsewhere.</p>\n";
    }
    parts += &format!("<h3>What is proven of the maps</h3>\n{}", certificates(summary, layer));
    parts += &format!("<h3>Means over images</h3>\n{}", means(summary, layer, true));
    parts += "<p class=\"small\">Mean with its interval below; ↑ more is better, ↓ less is better, without an arrow: it describes. Bold: the best mean, whether or not a test tells it from the others. n: images with a value; where a method has fewer, its cell says so. Undefined: maps for which the metric has no value, by method.</p>\n";
    let plots = summary.metrics.iter().filter_map(|metric| mean_plot(summary, layer, metric));
    parts += &grid(&plots.collect::<Vec<_>>());
    if summary.counts.classes > 1 {
        parts += &format!("<h3>Means over classes</h3>\n{}", means(summary, layer, false));
        parts += "<p class=\"small\">Each class counts the same, whatever the number of its images, as the pointing game and the IoU are usually reported. The intervals draw images and classes again.</p>\n";
    }
    let tests = comparisons(summary, layer);
    if !tests.is_empty() {
        let baseline = summary.baseline.as_deref().unwrap_or_default();
        parts += &format!("<h3>Tests against {}</h3>\n{tests}", escape(baseline));
    }
    parts += &pointing(summary, layer);
    let kinds: [(&str, &str, fn(&Part) -> bool); 3] = [
        ("size of the object", "size", |p| matches!(p, Part::Size(_))),
        ("verdict", "verdict", |p| matches!(p, Part::Verdict(_))),
        ("class", "class", |p| matches!(p, Part::Class(_))),
    ];
    for (by, kind, is) in kinds {
        parts += &divided(summary, layer, by, kind, is);
    }
    parts += &agreement(summary, layer);
    parts
}

fn certificates(summary: &Summary, layer: &str) -> String {
    let mut lines = Vec::new();
    for method in &summary.methods {
        let counted: Vec<_> = summary.verdicts.iter().filter(|v| v.layer == layer && v.method == *method).collect();
        let of_network = summary.manifest.certificates.iter().find(|c| c.layer == layer && c.method == *method);
        if let Some(certificate) = of_network {
            let said = match certificate.words.as_slice() {
                [] => words::verdict(&certificate.verdict).to_owned(),
                sentences => sentences.join("; "),
            };
            let said = said.strip_prefix(&format!("{}: ", certificate.verdict)).unwrap_or(&said);
            lines.push(format!("{method}, {}: {said}", certificate.verdict));
        }
        for v in counted.iter().filter(|v| of_network.is_none_or(|c| c.verdict != v.verdict)) {
            lines.push(format!("{method}, {} in {}: {}", v.verdict, count(v.maps, "map"), words::verdict(&v.verdict)));
        }
    }
    if lines.is_empty() {
        return "<p>The rows have no verdicts, and the evaluation's manifest no certificates.</p>\n".into();
    }
    list(&lines)
}

/// A table of metrics by methods; with `of_images`, of what has no value, too.
fn means(summary: &Summary, layer: &str, of_images: bool) -> String {
    let mut head = vec![th("metric", true)];
    head.extend(summary.methods.iter().map(|m| th(m, false)));
    head.push(th(if of_images { "n" } else { "classes" }, false));
    head.extend(of_images.then(|| th("undefined", false)));
    let (mut rows, mut nowhere, mut unmeasured) = (String::new(), Vec::new(), Vec::new());
    for metric in &summary.metrics {
        let cells: Vec<Option<&Cell>> =
            summary.methods.iter().map(|m| summary.cell(layer, m, metric, &Part::All)).collect();
        let of = |c: &Cell| if of_images { c.mean } else { c.over_classes };
        let found: Vec<Option<Estimate>> = cells.iter().map(|c| c.and_then(of)).collect();
        let undefined: Vec<usize> = cells.iter().flatten().filter_map(|c| c.undefined).collect();
        let Some(most) = found.iter().flatten().map(|e| e.n).max() else {
            let of = if undefined.iter().sum::<usize>() > 0 { &mut nowhere } else { &mut unmeasured };
            of.push(metric.clone());
            continue;
        };
        let best = best(metric, &found);
        let mut row = format!(
            "<th class=\"words\" scope=\"row\">{} <span class=\"better\">{}</span></th>",
            escape(metric),
            words::arrow(metric)
        );
        for estimate in &found {
            row += &match estimate {
                None => NO_VALUE.to_owned(),
                Some(e) => {
                    let mean = number(e.mean);
                    let mean = if Some(e.mean) == best { format!("<b>{mean}</b>") } else { mean };
                    let n = if e.n == most { String::new() } else { format!(" n {}", e.n) };
                    format!("<td>{mean}<br /><span class=\"small\">{}{n}</span></td>", words::interval(e))
                }
            };
        }
        row += &format!("<td>{most}</td>");
        if of_images {
            row += &match (undefined.iter().min(), undefined.iter().max()) {
                (Some(a), Some(b)) if a != b => format!("<td>{a} to {b}</td>"),
                (a, _) => format!("<td>{}</td>", a.unwrap_or(&0)),
            };
        }
        rows += &format!("<tr>{row}</tr>\n");
    }
    let table = if rows.is_empty() { "<p>No metric has a value.</p>\n".into() } else { table(&head.concat(), &rows) };
    let without = [("Defined for no map", nowhere), ("Without a value in any row", unmeasured)];
    let without = without.iter().filter(|(_, metrics)| of_images && !metrics.is_empty());
    let lines = without.map(|(why, metrics)| format!("<p>{why}: {}.</p>\n", escape(&words::list(metrics))));
    table + &lines.collect::<String>()
}

fn mean_plot(summary: &Summary, layer: &str, metric: &str) -> Option<String> {
    let line = |(series, method): (usize, &String)| {
        let dot = dot(series, summary.cell(layer, method, metric, &Part::All)?.mean?);
        Some((method.clone(), vec![dot]))
    };
    let lines = summary.methods.iter().enumerate().filter_map(line).collect();
    plot(metric, &format!("{metric} of all images, by method"), lines)
}

fn comparisons(summary: &Summary, layer: &str) -> String {
    let head: String = [
        ("metric", true),
        ("method", true),
        ("difference", false),
        ("effect r", false),
        ("p", false),
        ("p, Holm", false),
        ("n", false),
        ("test", true),
        ("the method is", true),
    ]
    .map(|(text, words)| th(text, words))
    .concat();
    let rows: String = summary
        .comparisons
        .iter()
        .filter(|c| c.layer == layer)
        .map(|c| {
            let outcome = Outcome::of(c);
            format!(
                "<tr><td class=\"words\">{} {}</td><td class=\"words\">{}</td><td>{}</td><td>{:.2}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"words\">{}</td><td class=\"words{}\">{}</td></tr>\n",
                escape(&c.metric),
                words::arrow(&c.metric),
                escape(&c.method),
                words::estimate(&c.difference),
                c.effect,
                escape(&words::p(c.p)),
                escape(&words::p(c.corrected)),
                c.difference.n,
                c.test.words(),
                if outcome == Outcome::NotShown { " none" } else { "" },
                outcome.word()
            )
        })
        .collect();
    if rows.is_empty() {
        return rows;
    }
    let note = "<p class=\"small\">Difference: the method less the baseline, the mean over images with its interval. Effect r: the matched-pairs rank-biserial correlation, −1 to 1, positive where the method's values are larger. What is said in the last column follows p with Holm's correction for all tests of this report, below 0.05.</p>\n";
    table(&head, &rows) + note
}

/// The pointing game as TorchRay counts it.
fn pointing(summary: &Summary, layer: &str) -> String {
    let metric = crate::metrics::metric("pointing-game").map_or("", |m| m.name);
    let of = |part: &Part, method: &String| summary.cell(layer, method, metric, part).and_then(|c| c.over_classes);
    let parts = [("all images", Part::All), ("difficult images", Part::Difficult)];
    if !summary.methods.iter().any(|m| of(&Part::All, m).is_some()) {
        return String::new();
    }
    let difficult = summary.methods.iter().any(|m| of(&Part::Difficult, m).is_some());
    let lines: Vec<(String, Vec<Dot>)> = parts
        .iter()
        .filter(|(_, part)| difficult || *part == Part::All)
        .map(|(name, part)| {
            let dots = summary.methods.iter().enumerate();
            ((*name).to_owned(), dots.filter_map(|(s, m)| Some(dot(s, of(part, m)?))).collect())
        })
        .collect();
    let head: String = [th("method", true)].into_iter().chain(parts.iter().map(|(name, _)| th(name, false))).collect();
    let rows: String = summary
        .methods
        .iter()
        .map(|method| {
            let cells: String = parts
                .iter()
                .map(|(_, part)| match of(part, method) {
                    Some(e) => format!(
                        "<td>{} <span class=\"small\">of {}</span></td>",
                        words::estimate(&e),
                        count(e.n, "class")
                    ),
                    None => NO_VALUE.into(),
                })
                .collect();
            format!("<tr><td class=\"words\">{}</td>{cells}</tr>\n", escape(method))
        })
        .collect();
    let drawn = plot(metric, "pointing game, all and difficult images", lines);
    let note = "<p class=\"small\">Hits over hits and misses for each class, then the mean over classes, as TorchRay has it. Difficult images for a class: its boxes cover less than a quarter of the image and there is another class beside it (Zhang et al. 2018).</p>\n";
    format!(
        "<h3>Pointing game</h3>\n{}{}{note}",
        table(&head, &rows),
        with_legend(summary, &drawn.into_iter().collect::<Vec<_>>())
    )
}
