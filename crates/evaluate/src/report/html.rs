//! The report as one page: no scripts, nothing from elsewhere.

use super::plot::{self, Dot, Dots};
use super::summary::{Agreement, Cell, Example, Part, SIZES, Summary, Why, known};
use super::words::{self, Outcome, count, number};
use super::{Pictures, Wanted};
use crate::metrics::Better;
use crate::statistics::Estimate;
use hirescam::html::{END, base64, escape, start};
use std::collections::BTreeMap;

/// How many classes are shown one by one: those with the most images.
const MOST_CLASSES: usize = 30;
const NO_VALUE: &str = "<td class=\"none\">no value</td>";
/// How many parts a plot shows before it is folded away.
const MOST_OPEN: usize = 6;

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
    sections.retain(|(_, content)| !content.is_empty());
    let links =
        sections.iter().enumerate().map(|(i, (title, _))| format!("<a href=\"#part-{i}\">{}</a>", escape(title)));
    page += &format!("<p class=\"small\">{}</p>\n", links.collect::<Vec<_>>().join(" · "));
    for (i, (title, content)) in sections.iter().enumerate() {
        page += &format!("<section id=\"part-{i}\">\n<h2>{}</h2>\n{content}</section>\n", escape(title));
    }
    page + END
}

fn of_layer(summary: &Summary, layer: &str) -> String {
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

fn mean_plot(summary: &Summary, layer: &str, metric: &str) -> Option<String> {
    let line = |(series, method): (usize, &String)| {
        let dot = dot(series, summary.cell(layer, method, metric, &Part::All)?.mean?);
        Some((method.clone(), vec![dot]))
    };
    let lines = summary.methods.iter().enumerate().filter_map(line).collect();
    plot(metric, &format!("{metric} of all images, by method"), lines)
}

/// Which mark is whose.
fn legend(summary: &Summary) -> String {
    let methods = summary.methods.iter().enumerate();
    let signs = methods.filter_map(|(i, m)| Some(format!("<span>{} {}</span>", plot::sign(i, m)?, escape(m))));
    format!("<p class=\"legend\">{}</p>\n", signs.collect::<Vec<_>>().join(" "))
}

fn plot(metric: &str, what: &str, lines: Vec<(String, Vec<Dot>)>) -> Option<String> {
    let axis = match known(metric).map(|m| m.better) {
        Some(Better::Higher) => format!("{metric} → better"),
        Some(Better::Lower) => format!("better ← {metric}"),
        _ => metric.to_owned(),
    };
    Dots { alt: format!("Means and intervals: {what}"), axis, lines }.svg()
}

fn dot(series: usize, estimate: Estimate) -> Dot {
    Dot { series, mean: estimate.mean, interval: estimate.interval().map(|i| (i.low, i.high)) }
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

/// Means of parts of the images, as plots and as a table.
fn divided(summary: &Summary, layer: &str, by: &str, kind: &str, is: fn(&Part) -> bool) -> String {
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

fn agreement(summary: &Summary, layer: &str) -> String {
    let of: Vec<&Agreement> = summary.agreements.iter().filter(|a| a.layer == layer).collect();
    if !of.iter().any(|a| a.over_images.is_some() || a.over_methods.is_some()) {
        return match summary.metrics.len() {
            0 | 1 => String::new(),
            _ => "<h3>Do the metrics agree?</h3>\n<p>Fewer than three images and three methods have values of two metrics: their order says nothing.</p>\n".into(),
        };
    }
    let find = |a: &str, b: &str| of.iter().find(|x| (x.a == a && x.b == b) || (x.a == b && x.b == a));
    let matrix = |value: &dyn Fn(&Agreement) -> Option<f64>| {
        let shown: Vec<&String> = summary
            .metrics
            .iter()
            .filter(|m| of.iter().any(|x| (x.a == **m || x.b == **m) && value(x).is_some()))
            .collect();
        let head: String = [th("", true), th("mean", false)]
            .into_iter()
            .chain(shown.iter().map(|m| format!("<th class=\"turned\" scope=\"col\"><span>{}</span></th>", escape(m))))
            .collect();
        let rows: String = shown
            .iter()
            .map(|a| {
                let judges = |m: &str| known(m).is_some_and(|m| m.better != Better::Neither);
                let others = shown.iter().filter(|b| judges(a) && judges(b));
                let values: Vec<f64> = others.filter_map(|b| value(find(a, b)?)).collect();
                let mean = crate::statistics::mean(&values).map_or(String::new(), |m| format!("{m:.2}"));
                let cells: String = shown
                    .iter()
                    .map(|b| match (a == b, find(a, b).and_then(|x| value(x))) {
                        (true, _) => "<td class=\"none\">·</td>".into(),
                        (false, Some(r)) => shaded(r),
                        (false, None) => "<td></td>".to_owned(),
                    })
                    .collect();
                format!("<tr><th class=\"words\" scope=\"row\">{}</th><td>{mean}</td>{cells}</tr>\n", escape(a))
            })
            .collect();
        if shown.is_empty() { None } else { Some(table(&head, &rows)) }
    };
    let mut text = "<h3>Do the metrics agree?</h3>\n<p class=\"small\">Spearman's rank correlation of two metrics, turned so that 1 means that both find the same maps good. A metric that agrees with no other of its kind measures something else, or little. Metrics without a better direction are taken as they are, and count in no mean.</p>\n".to_owned();
    if let Some(matrix) = matrix(&|a| a.over_images) {
        text += &format!(
            "<h4>Over images: do they find the same images' maps good?</h4>\n<p class=\"small\">The mean over methods.</p>\n{matrix}"
        );
    }
    text + &match matrix(&|a| a.over_methods) {
        Some(matrix) => format!(
            "<h4>Over methods: do they put the methods in the same order?</h4>\n<p class=\"small\">Of {}: few, so that large numbers come easily.</p>\n{matrix}",
            count(summary.methods.len(), "method")
        ),
        None => {
            "<p class=\"small\">Fewer than three methods, or methods with equal means, have no order to agree on.</p>\n"
                .into()
        }
    }
}

/// A correlation in a cell that is tinted by it.
fn shaded(r: f64) -> String {
    let colour = if r < 0.0 { "213, 94, 0" } else { "0, 114, 178" };
    format!("<td style=\"background: rgba({colour}, {:.2})\">{r:.2}</td>", 0.55 * r.abs())
}

fn examples(summary: &Summary, pictures: Option<&Pictures<'_>>) -> String {
    let mut html = String::new();
    let baseline = summary.baseline.as_deref().unwrap_or_default();
    let groups: [(Why, &str); 3] = [
        (Why::Best, "where {baseline} is best by {metric}"),
        (Why::Worst, "where {baseline} is worst by {metric}"),
        (Why::Disagreement, "where {baseline} and another method differ most in {metric}"),
    ];
    for (why, title) in groups {
        let of: Vec<&Example> = summary.examples.iter().filter(|e| e.why == why).collect();
        let Some(first) = of.first() else { continue };
        let title = title.replace("{baseline}", baseline).replace("{metric}", &first.metric);
        html += &format!("<h3>{}</h3>\n", escape(&capital(&title)));
        let (mut figures, mut lines) = (String::new(), Vec::new());
        for example in of {
            let arms = [
                Some((&example.method, Some(example.value))),
                example.other.as_ref().map(|o| (o, example.other_value)),
            ];
            let mut drawn = 0;
            for (method, value) in arms.into_iter().flatten() {
                let wanted = Wanted {
                    index: example.index,
                    image: &example.image,
                    class: &example.class,
                    method,
                    layer: &example.layer,
                };
                let value = value.map_or(String::new(), |v| format!("{} {}", example.metric, number(v)));
                if let Some(png) = pictures.and_then(|draw| draw(&wanted)) {
                    drawn += 1;
                    let lines = [method.clone(), format!("{}, {}", example.image, example.class), value];
                    figures += &figure(&png, &format!("{method} for {} on {}", example.class, example.image), &lines);
                }
            }
            if drawn == 0 {
                let against = match (&example.other, example.other_value) {
                    (Some(other), Some(value)) => format!(", {other} {}", number(value)),
                    _ => String::new(),
                };
                lines.push(format!(
                    "{}, {}: {} {}{against}",
                    example.image,
                    example.class,
                    example.method,
                    number(example.value)
                ));
            }
        }
        if !figures.is_empty() {
            html += &format!("<div class=\"pictures wider\">\n{figures}</div>\n");
        }
        html += &list(&lines);
    }
    let Some(layer) = summary.examples.first().map(|e| e.layer.as_str()) else { return html };
    html + &format!(
        "<p class=\"small\">Chosen by rule from the rows at {}, never by hand: the three best, the three worst, and for each other method the two images and classes with the largest difference; of equal ones the first images.</p>\n",
        escape(layer)
    )
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

/// Text in which names stand between backticks.
fn coded(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts.map(|(i, part)| if i % 2 == 1 { format!("<code>{}</code>", escape(part)) } else { escape(part) }).collect()
}

fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

fn folded(title: &str, content: &str) -> String {
    format!("<details>\n<summary>{}</summary>\n{content}</details>\n", escape(title))
}

fn grid(plots: &[String]) -> String {
    let plots: String = plots.iter().map(|svg| format!("<figure>{svg}</figure>\n")).collect();
    if plots.is_empty() { plots } else { format!("<div class=\"plots\">\n{plots}</div>\n") }
}

/// Plots whose dots are told by their marks.
fn with_legend(summary: &Summary, plots: &[String]) -> String {
    match plots.is_empty() {
        true => String::new(),
        false => legend(summary) + &grid(plots),
    }
}

fn figure(png: &[u8], alt: &str, lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().filter(|l| !l.is_empty()).map(|l| escape(l)).collect();
    format!(
        "<figure><img alt=\"{}\" src=\"data:image/png;base64,{}\" /><figcaption>{}</figcaption></figure>\n",
        escape(alt),
        base64(png),
        lines.join("<br />")
    )
}

fn list(lines: &[String]) -> String {
    let items: String = lines.iter().map(|line| format!("<li>{}</li>\n", escape(line))).collect();
    if items.is_empty() { items } else { format!("<ul>\n{items}</ul>\n") }
}

fn th(text: &str, words: bool) -> String {
    let class = if words { " class=\"words\"" } else { "" };
    format!("<th{class} scope=\"col\">{}</th>", escape(text))
}

fn table(head: &str, rows: &str) -> String {
    format!(
        "<div class=\"wide\" tabindex=\"0\">\n<table>\n<thead>\n<tr>{head}</tr>\n</thead>\n<tbody>\n{rows}</tbody>\n</table>\n</div>\n"
    )
}
