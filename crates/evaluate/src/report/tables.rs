//! The numbers as CSV and as LaTeX.

use super::summary::{Cell, Part, Summary, best, known};
use super::words::{self, Outcome, number};
use crate::metrics::Better;
use crate::statistics::Estimate;

/// A table in CSV: its head, then rows.
fn csv<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(head)?;
    rows.into_iter().try_for_each(|row| writer.write_record(row))?;
    writer.into_inner().map_err(|e| csv::Error::from(std::io::Error::other(e.to_string())))
}

/// All digits, as it is read again; empty where there is none.
fn full(value: Option<f64>) -> String {
    value.map_or(String::new(), |v| v.to_string())
}

fn ends(estimate: Option<Estimate>) -> [String; 2] {
    let interval = estimate.and_then(|e| e.interval());
    [full(interval.map(|i| i.low)), full(interval.map(|i| i.high))]
}

/// Means of all images and of parts of them.
pub(super) fn summary_csv(summary: &Summary) -> Result<Vec<u8>, csv::Error> {
    let head = [
        "layer",
        "method",
        "metric",
        "part",
        "of",
        "images",
        "maps",
        "undefined",
        "mean",
        "low",
        "high",
        "classes",
        "mean_over_classes",
        "low_over_classes",
        "high_over_classes",
    ];
    let row = |c: &Cell| {
        let (part, of) = c.part.words();
        let ([low, high], [class_low, class_high]) = (ends(c.mean), ends(c.over_classes));
        [
            c.layer.clone(),
            c.method.clone(),
            c.metric.clone(),
            part.to_owned(),
            of.to_owned(),
            c.mean.map_or(0, |e| e.n).to_string(),
            c.maps.to_string(),
            c.undefined.map_or(String::new(), |n| n.to_string()),
            full(c.mean.map(|e| e.mean)),
            low,
            high,
            c.over_classes.map_or(String::new(), |e| e.n.to_string()),
            full(c.over_classes.map(|e| e.mean)),
            class_low,
            class_high,
        ]
    };
    csv(head, summary.cells.iter().map(row))
}

/// Tests against the baseline.
pub(super) fn tests_csv(summary: &Summary) -> Result<Vec<u8>, csv::Error> {
    let head = [
        "layer",
        "metric",
        "method",
        "baseline",
        "images",
        "difference",
        "low",
        "high",
        "effect",
        "test",
        "p",
        "p_holm",
        "outcome",
    ];
    let rows = summary.comparisons.iter().map(|c| {
        let [low, high] = ends(Some(c.difference));
        [
            c.layer.clone(),
            c.metric.clone(),
            c.method.clone(),
            c.baseline.clone(),
            c.difference.n.to_string(),
            full(Some(c.difference.mean)),
            low,
            high,
            full(Some(c.effect)),
            c.test.words().to_owned(),
            full(Some(c.p)),
            full(Some(c.corrected)),
            Outcome::of(c).word().to_owned(),
        ]
    });
    csv(head, rows)
}

/// How far metrics agree.
pub(super) fn agreement_csv(summary: &Summary) -> Result<Vec<u8>, csv::Error> {
    let head = ["layer", "metric", "other", "spearman_over_images", "methods", "spearman_over_methods"];
    let rows = summary.agreements.iter().map(|a| {
        let (images, methods) = (full(a.over_images), full(a.over_methods));
        [a.layer.clone(), a.a.clone(), a.b.clone(), images, a.methods.to_string(), methods]
    });
    csv(head, rows)
}

/// The thresholds that were chosen.
pub(super) fn thresholds_csv(summary: &Summary) -> Result<Vec<u8>, csv::Error> {
    let head = ["layer", "method", "metric", "class", "threshold", "maps", "instead"];
    let rows = summary.thresholds.iter().map(|t| {
        let instead = t.instead.clone().unwrap_or_default();
        let (threshold, maps) = (t.threshold.to_string(), t.maps.to_string());
        [t.layer.clone(), t.method.clone(), t.metric.clone(), t.class.clone(), threshold, maps, instead]
    });
    csv(head, rows)
}

/// The tables of means and of tests, for papers: `\usepackage{booktabs}`.
pub(super) fn latex(summary: &Summary) -> String {
    let mut text = "% Made by hirescam evaluate. Needs \\usepackage{booktabs}.\n".to_owned();
    if summary.layers.is_empty() {
        return text + "% There is nothing in it: no map was measured.\n";
    }
    for (i, layer) in summary.layers.iter().enumerate() {
        text += &means(summary, layer, i);
        text += &tests(summary, layer, i);
    }
    text
}

fn means(summary: &Summary, layer: &str, i: usize) -> String {
    let row = |metric: &String| {
        let of = |m: &String| summary.cell(layer, m, metric, &Part::All).and_then(|c| c.mean);
        let found: Vec<Option<Estimate>> = summary.methods.iter().map(of).collect();
        let best = best(metric, &found);
        let n = found.iter().flatten().map(|e| e.n).max().unwrap_or(0);
        let cells: String = found
            .iter()
            .map(|e| match e {
                None => " & --".into(),
                Some(e) => {
                    let mean = math(e.mean);
                    let mean = if Some(e.mean) == best { format!("\\textbf{{{mean}}}") } else { mean };
                    let interval = e
                        .interval()
                        .map_or(String::new(), |i| format!(" {{\\scriptsize [{}, {}]}}", math(i.low), math(i.high)));
                    format!(" & {mean}{interval}")
                }
            })
            .collect();
        format!("{}{}{cells} & {n} \\\\\n", tex(metric), arrow(metric))
    };
    let rows: String = summary.metrics.iter().map(row).collect();
    let methods: String = summary.methods.iter().map(|m| format!(" & {}", tex(m))).collect();
    format!(
        "\\begin{{table}}\n\\centering\n\\caption{{Means over images with {:.0}\\,\\% bootstrap intervals at layer {}. Bold: best mean.}}\n\\label{{tab:means-{i}}}\n\\begin{{tabular}}{{l{}r}}\n\\toprule\nmetric{methods} & $n$ \\\\\n\\midrule\n{rows}\\bottomrule\n\\end{{tabular}}\n\\end{{table}}\n",
        100.0 * summary.bootstrap.level,
        tex(layer),
        "r".repeat(summary.methods.len())
    )
}

fn tests(summary: &Summary, layer: &str, i: usize) -> String {
    let rows: String = summary
        .comparisons
        .iter()
        .filter(|c| c.layer == layer)
        .map(|c| {
            format!(
                "{}{} & {} & {} & {} & {} & {} \\\\\n",
                tex(&c.metric),
                arrow(&c.metric),
                tex(&c.method),
                math(c.difference.mean),
                format_args!("${:.2}$", c.effect),
                words::p(c.corrected).replace('<', "$<$"),
                c.difference.n
            )
        })
        .collect();
    if rows.is_empty() {
        return rows;
    }
    format!(
        "\\begin{{table}}\n\\centering\n\\caption{{Differences from {} at layer {}: mean, matched-pairs rank-biserial correlation, $p$ with Holm's correction.}}\n\\label{{tab:tests-{i}}}\n\\begin{{tabular}}{{llrrrr}}\n\\toprule\nmetric & method & difference & $r$ & $p$ & $n$ \\\\\n\\midrule\n{rows}\\bottomrule\n\\end{{tabular}}\n\\end{{table}}\n",
        tex(summary.baseline.as_deref().unwrap_or_default()),
        tex(layer)
    )
}

fn arrow(metric: &str) -> &'static str {
    match known(metric).map(|m| m.better) {
        Some(Better::Higher) => " $\\uparrow$",
        Some(Better::Lower) => " $\\downarrow$",
        _ => "",
    }
}

/// A number in mathematics, so that its sign is one.
fn math(value: f64) -> String {
    match number(value).split_once('e') {
        Some((digits, power)) => format!("${digits}\\cdot 10^{{{power}}}$"),
        None => format!("${}$", number(value)),
    }
}

/// Text as it stands in LaTeX.
fn tex(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => escaped += "\\textbackslash{}",
            '~' => escaped += "\\textasciitilde{}",
            '^' => escaped += "\\textasciicircum{}",
            '<' => escaped += "\\textless{}",
            '>' => escaped += "\\textgreater{}",
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => escaped.extend(['\\', c]),
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}
