//! The report as one page: no scripts, nothing from elsewhere.

mod agreement;
mod examples;
mod layer;
mod parts;
mod plots;

use super::Pictures;
use super::elements::{self, capital, coded, folded, list, table, th};
use super::summary::{Summary, known};
use super::words::{self, count};
use crate::metrics::Better;
use examples::examples;
use hirescam::html::{END, escape, start};
use layer::of_layer;

/// The page.
pub(super) fn page(summary: &Summary, pictures: Option<&Pictures<'_>>) -> String {
    let model = file_name(&summary.manifest.model);
    let title = match (model, summary.manifest.data.as_str()) {
        ("", "") => "Evaluation of maps".to_owned(),
        (model, "") => format!("Evaluation of maps of {model}"),
        (model, data) => format!("Evaluation of maps of {model} on {data}"),
    };
    let mut page = start(&title);
    page += &format!("<h1>{}</h1>\n{}", escape(&title), list(&words::lead(summary)));
    let mut sections = vec![("What failed".to_owned(), list(&words::failures(summary)))];
    sections.extend(summary.layers.iter().map(|layer| (format!("Layer {layer}"), of_layer(summary, layer))));
    sections.extend([
        ("Maps to look at".to_owned(), examples(summary, pictures)),
        ("Thresholds".to_owned(), thresholds(summary)),
        ("What the metrics measure, and what they cannot show".to_owned(), metrics(summary)),
        ("How the numbers were found".to_owned(), list(&found(summary))),
        ("How to repeat it".to_owned(), repeat(summary)),
    ]);
    page + &elements::sections(sections) + END
}

fn thresholds(summary: &Summary) -> String {
    let mut text = String::new();
    if let Some(halves) = summary.halves {
        text += &format!(
            "<p>Metrics that need a threshold do not choose it on the images that they are reported on. The images were halved by the seed {}: on {} each method's threshold was chosen for each class, the one of the author's 53 with the highest mean; what is reported is of the other {}.</p>\n",
            halves.seed, halves.chosen_on, halves.reported_on,
        );
        if halves.chosen_on == 0 {
            text +=
                "<p>There are too few images to halve: no threshold could be chosen, and nothing is reported.</p>\n";
        }
    }
    let head: String = [
        ("metric", true),
        ("class", true),
        ("layer", true),
        ("method", true),
        ("threshold", false),
        ("maps", false),
        ("chosen by", true),
    ]
    .map(|(text, words)| th(text, words))
    .concat();
    let rows: String = summary
        .thresholds
        .iter()
        .map(|t| {
            format!(
                "<tr><td class=\"words\">{}</td><td class=\"words\">{}</td><td class=\"words\">{}</td><td class=\"words\">{}</td><td>{}</td><td>{}</td><td class=\"words\">{}</td></tr>\n",
                escape(&t.metric),
                escape(&t.class),
                escape(&t.layer),
                escape(&t.method),
                t.threshold,
                t.maps,
                escape(t.instead.as_deref().unwrap_or("this class"))
            )
        })
        .collect();
    if !rows.is_empty() {
        text += &folded(&format!("The {} thresholds", summary.thresholds.len()), &table(&head, &rows));
    }
    text
}

fn metrics(summary: &Summary) -> String {
    let row = |name: &String| {
        let Some(m) = known(name) else {
            return format!("<dt>{}</dt><dd>not one of this program's metrics</dd>\n", escape(name));
        };
        let better = match m.better {
            Better::Higher => "more is better",
            Better::Lower => "less is better",
            Better::Neither => "it describes, and does not judge",
        };
        format!(
            "<dt>{} {}</dt><dd>{} {}; {}; {better}. <b>Cannot show:</b> {}. {}.</dd>\n",
            escape(name),
            words::arrow(name),
            coded(m.what),
            coded(m.formula),
            escape(m.range),
            coded(m.blind),
            coded(&capital(m.source))
        )
    };
    if summary.metrics.is_empty() {
        return String::new();
    }
    format!("<dl>\n{}</dl>\n", summary.metrics.iter().map(row).collect::<String>())
}

/// How the numbers were found, in sentences.
fn found(summary: &Summary) -> Vec<String> {
    let b = summary.bootstrap;
    vec![
        "Means over images: an image's value is the mean over its explained classes, so that images, which are independent, are what is counted".into(),
        format!(
            "Intervals: {:.0} %, by {} bootstrap resamples of the images with the seed {}, BCa (Efron 1987) where it can be found, else percentile; over classes the pigeonhole bootstrap of images and classes (Owen 2007), percentile",
            100.0 * b.level, b.resamples, b.seed
        ),
        "Tests: pairs are images. Where all values are 0 or 1 McNemar's exact test, else Wilcoxon's signed-rank test, two-sided, zeros by Pratt, exact up to 50 pairs that differ, beyond by the normal approximation. Effect: matched-pairs rank-biserial correlation".into(),
        format!("Holm's correction: all {} of this report are one family", count(summary.comparisons.len(), "test")),
        "Undefined: maps for which a metric has no value, such as a map of zeros. They are counted, and count in no mean".into(),
    ]
}

fn repeat(summary: &Summary) -> String {
    let m = &summary.manifest;
    let mut rows: Vec<(&str, String)> = Vec::new();
    if !m.command.is_empty() {
        rows.push(("command", m.command.iter().map(|w| quoted(w)).collect::<Vec<_>>().join(" ")));
    }
    rows.push(("program", format!("hirescam {}", m.version)));
    rows.push(("network", m.model.clone()));
    rows.push(("its SHA-256", m.model_sha256.clone()));
    rows.push(("engine", format!("{} {}", m.engine, m.engine_version)));
    rows.push(("data set", m.data.clone()));
    rows.push(("its SHA-256", m.data_sha256.clone().unwrap_or_default()));
    rows.push(("seed", m.seed.to_string()));
    rows.extend(m.options.iter().map(|(name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (name.as_str(), value)
    }));
    rows.push((
        "numbers",
        "summary.json, summary.csv, tests.csv, agreement.csv, thresholds.csv and tables.tex beside this page".into(),
    ));
    let rows: String = rows
        .into_iter()
        .filter(|(_, value)| !value.trim().is_empty())
        .map(|(name, value)| {
            format!(
                "<tr><th class=\"words\" scope=\"row\">{}</th><td class=\"words breaks\">{}</td></tr>\n",
                escape(name),
                escape(&value)
            )
        })
        .collect();
    format!("<div class=\"wide\" tabindex=\"0\">\n<table>\n<tbody>\n{rows}</tbody>\n</table>\n</div>\n")
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:=+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}
