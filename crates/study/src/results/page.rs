//! Results as one page: no scripts, nothing from elsewhere.

use super::record::*;
use super::words::{self, capital, number, percent, planned, range, said, sure, value};
use crate::statistics::Level;
use crate::text::count;
use hirescam::html::{END, escape, start};
use hirescam_evaluate::report::elements::{self, folded, grid, list, table, th};
use hirescam_evaluate::report::plot::{Dot, Dots, sign};
use hirescam_evaluate::statistics::Interval;

/// How many parts are shown before they are folded away.
const MOST_OPEN: usize = 12;
const NOTHING: &str = "<td class=\"none\">none</td>";
/// The two analyses, as the plots' series.
const SERIES: [&str; 2] = ["planned: without what the rules exclude", "all answers"];

/// The page.
pub(super) fn page(results: &Results) -> String {
    let title = format!("Results: {}", results.title);
    let mut page = start(&title);
    page += &format!("<h1>{}</h1>\n", escape(&title));
    if results.simulated {
        page += "<p><b>Simulated raters.</b> These answers were drawn by a program from a stated model. No people were asked, and nothing here says what people think.</p>\n";
    }
    if let Some(early) = words::early(results) {
        page += &format!("<p><b>{}</b></p>\n", escape(&early));
    }
    page += &format!("<p>{}</p>\n", escape(&results.sentence));
    let sections = vec![
        ("The planned comparison".to_owned(), comparison(results)),
        ("Strengths of all arms".to_owned(), ranking(results)),
        ("Each arm by itself".to_owned(), means(results)),
        ("By class".to_owned(), parts(results, &results.planned.classes)),
        ("By what is proven of the maps".to_owned(), parts(results, &results.planned.verdicts)),
        ("Do answers follow the metrics?".to_owned(), relations(results)),
        ("Raters, from first to last".to_owned(), flow(results)),
        ("How good the answers are".to_owned(), quality(results)),
        ("Other intervals and tests of the same".to_owned(), further(results)),
        ("How the numbers were found".to_owned(), list(&found(results))),
    ];
    page + &elements::sections(sections) + END
}

fn words_cell(text: &str) -> String {
    format!("<th class=\"words\" scope=\"row\">{}</th>", escape(text))
}

fn cell(text: &str) -> String {
    format!("<td>{}</td>", escape(text))
}

/// The same, `none` of nothing.
fn maybe(text: Option<String>) -> String {
    text.map_or(NOTHING.into(), |text| cell(&text))
}

fn row(cells: &[String]) -> String {
    format!("<tr>{}</tr>\n", cells.concat())
}

fn heads(first: &[&str], others: &[&str]) -> String {
    let heads = first.iter().map(|h| th(h, true)).chain(others.iter().map(|h| th(h, false)));
    heads.collect::<Vec<_>>().concat()
}

fn pair(first: &str, second: &str) -> String {
    format!("{first} against {second}")
}

fn dot(series: usize, mean: f64, interval: Option<Interval>) -> Dot {
    Dot { series, mean, interval: interval.map(|i| (i.low, i.high)) }
}

/// What an axis counts, for a comparison.
fn axis(measure: &Measure, first: &str, second: &str) -> String {
    match (words::is_share(measure), measure.more_is_better) {
        (true, _) => format!("← {second} · share · {first} →"),
        (false, true) => format!("← {second} · {} · {first} →", measure.name),
        (false, false) => format!("← {first} · {} · {second} →", measure.name),
    }
}

fn comparison(results: &Results) -> String {
    let head = heads(
        &["arms"],
        &["estimate", &format!("{} interval", words::level(results)), "p", "answers", "raters", "items"],
    );
    let mut parts =
        format!("<p>Raters were asked: “{}”</p>\n", escape(&results.question.replace("{class}", "[class]")));
    if let Some(first) = planned(&results.planned).next() {
        parts += &format!(
            "<p>{} No difference: {}. {} The smallest effect of interest, as it was laid down: {}.</p>\n",
            escape(&first.measure.what),
            if words::is_share(&first.measure) { "50 %" } else { "0" },
            if words::is_share(&first.measure) {
                ""
            } else if first.measure.more_is_better {
                "Above, the first arm is the better."
            } else {
                "Below, the first arm is the better."
            },
            escape(&crate::plan::effect(&results.kind, "the better arm", "the other", results.effect, None))
        );
    }
    if results.arms.len() == 1 {
        return parts + "<p>There is one arm: nothing is compared.</p>\n";
    }
    let nothing_excluded = results.planned.answers == results.everyone.answers;
    let mut analyses = vec![(&results.planned, "Planned: without what the rules exclude")];
    analyses.extend((!nothing_excluded).then_some((&results.everyone, "All answers")));
    for (analysis, what) in analyses {
        let rows: String = planned(analysis)
            .map(|c| {
                row(&[
                    words_cell(&pair(&c.first, &c.second)),
                    cell(&value(&c.measure, c.estimate)),
                    maybe(c.interval.map(|i| range(&c.measure, i))),
                    maybe(c.corrected.or(c.p).map(words::p)),
                    cell(&c.answers.to_string()),
                    cell(&c.raters.to_string()),
                    cell(&c.items.to_string()),
                ])
            })
            .collect();
        parts += &format!("<h3>{what}</h3>\n");
        parts +=
            &if rows.is_empty() { "<p>Too few answers tell the arms apart.</p>\n".into() } else { table(&head, &rows) };
    }
    if nothing_excluded {
        parts += "<p>The rules exclude nothing: the analysis of all answers is the same.</p>\n";
    }
    if planned(&results.planned).count() > 1 {
        parts += "<p class=\"small\">p values are corrected for being several (Holm).</p>\n";
    }
    let plots = planned(&results.planned).filter_map(|c| {
        let all = planned(&results.everyone)
            .filter(|_| !nothing_excluded)
            .find(|a| a.first == c.first && a.second == c.second);
        let dots = std::iter::once(dot(0, c.estimate, c.interval)).chain(all.map(|a| dot(1, a.estimate, a.interval)));
        let alt = format!("{} {}", capital(&said(&results.kind, c)), sure(results, c));
        let lines = vec![(String::new(), dots.collect())];
        Dots { alt, axis: axis(&c.measure, &c.first, &c.second), reference: Some(c.measure.null), lines }.svg()
    });
    let plots = grid(&plots.collect::<Vec<_>>());
    if !plots.is_empty() {
        let shown = if nothing_excluded { 1 } else { SERIES.len() };
        let signs = SERIES
            .iter()
            .take(shown)
            .enumerate()
            .filter_map(|(i, name)| Some(format!("<span>{} {name}</span>", sign(i, name)?)));
        parts += &format!("<p class=\"legend\">{}</p>\n{plots}", signs.collect::<Vec<_>>().join(" "));
        parts += "<p class=\"small\">The line down is no difference. An interval that does not touch it is a difference at the level laid down (before any correction for several arms).</p>\n";
    }
    parts
}

fn ranking(results: &Results) -> String {
    let Some(ranking) = &results.planned.ranking else { return String::new() };
    let head = heads(
        &["arm"],
        &[
            "strength θ (logits)",
            &format!("{} interval", words::level(results)),
            "preferred to an arm of mean strength",
        ],
    );
    let rows: String = ranking
        .arms
        .iter()
        .map(|arm| {
            let interval = arm.interval.map(|i| format!("{} to {}", number(i.low), number(i.high)));
            row(&[words_cell(&arm.arm), cell(&number(arm.strength)), maybe(interval), cell(&percent(arm.share))])
        })
        .collect();
    let lines = ranking.arms.iter().map(|arm| (arm.arm.clone(), vec![dot(0, arm.strength, arm.interval)])).collect();
    let plot = Dots {
        alt: "Strengths of the arms with their intervals".into(),
        axis: "strength θ (logits) → preferred".into(),
        reference: Some(0.0),
        lines,
    };
    let mut parts = table(&head, &rows) + &grid(&plot.svg().into_iter().collect::<Vec<_>>());
    parts += &format!(
        "<p class=\"small\">The model of Bradley and Terry with ties (Davidson). The last column is of those who prefer one of the two. Between equal arms \"no difference\" has odds of {} against either.</p>\n",
        number(ranking.ties)
    );
    parts
}

fn means(results: &Results) -> String {
    let means = &results.planned.means;
    if means.is_empty() {
        return String::new();
    }
    let head = heads(&["arm", "measure"], &["mean", &format!("{} interval", words::level(results)), "answers"]);
    let rows: String = means
        .iter()
        .map(|m| {
            let interval = m.interval.map(|i| format!("{} to {}", number(i.low), number(i.high)));
            let measure = format!("<td class=\"words\">{}</td>", escape(&m.measure.name));
            row(&[words_cell(&m.arm), measure, cell(&number(m.mean)), maybe(interval), cell(&m.answers.to_string())])
        })
        .collect();
    let mut kinds: Vec<&Measure> = means.iter().map(|m| &m.measure).collect();
    kinds.dedup_by(|a, b| a.name == b.name);
    let what: Vec<String> = kinds.iter().map(|m| format!("{}: {}", m.name, m.what)).collect();
    let plots = kinds.iter().filter_map(|measure| {
        let of = means.iter().filter(|m| m.measure.name == measure.name);
        let lines = of.map(|m| (m.arm.clone(), vec![dot(0, m.mean, m.interval)])).collect();
        let axis = if measure.more_is_better {
            format!("{} → better", measure.name)
        } else {
            format!("better ← {}", measure.name)
        };
        Dots { alt: format!("Means of {} by arm", measure.name), axis, reference: None, lines }.svg()
    });
    list(&what)
        + &table(&head, &rows)
        + &grid(&plots.collect::<Vec<_>>())
        + "<p class=\"small\">Intervals of means hold how far raters and items differ in level. That is the same for all arms, so that intervals of two arms may overlap where their difference is clear: go by the comparison.</p>\n"
}

fn parts(results: &Results, parts: &[Part]) -> String {
    let Some(measure) = planned(&results.planned).next().map(|c| &c.measure) else { return String::new() };
    if parts.is_empty() {
        return String::new();
    }
    let head =
        heads(&["items", "arms"], &["estimate", &format!("{} interval", words::level(results)), "items", "answers"]);
    let rows: String = parts
        .iter()
        .map(|p| {
            row(&[
                words_cell(&p.part),
                format!("<td class=\"words\">{}</td>", escape(&pair(&p.first, &p.second))),
                cell(&value(measure, p.estimate)),
                maybe(p.interval.map(|i| range(measure, i))),
                cell(&p.items.to_string()),
                cell(&p.answers.to_string()),
            ])
        })
        .collect();
    let mut pairs: Vec<(&str, &str)> = parts.iter().map(|p| (p.first.as_str(), p.second.as_str())).collect();
    pairs.dedup();
    let plots = pairs.iter().filter_map(|(first, second)| {
        let of = parts.iter().filter(|p| p.first == *first && p.second == *second);
        let lines = of.map(|p| (p.part.clone(), vec![dot(0, p.estimate, p.interval)])).collect();
        let alt = format!("{} by part of the items", pair(first, second));
        Dots { alt, axis: axis(measure, first, second), reference: Some(measure.null), lines }.svg()
    });
    let shown = table(&head, &rows) + &grid(&plots.collect::<Vec<_>>());
    let note = "<p class=\"small\">Not planned, and not corrected for being many: to look at, not to conclude from. A part with one item has no interval.</p>\n";
    if parts.len() > MOST_OPEN { folded(&format!("{} parts", parts.len()), &(shown + note)) } else { shown + note }
}

fn relations(results: &Results) -> String {
    let relations = &results.planned.relations;
    if relations.is_empty() {
        return String::new();
    }
    let head =
        heads(&["metric"], &["Spearman's ρ", &format!("{} interval", words::level(results)), "items × pairs of arms"]);
    let name = |r: &Relation| if r.turned { format!("{} (turned round)", r.metric) } else { r.metric.clone() };
    let rows: String = relations
        .iter()
        .map(|r| {
            let interval = r.correlation.interval.map(|i| format!("{} to {}", number(i.low), number(i.high)));
            row(&[
                words_cell(&name(r)),
                cell(&number(r.correlation.rho)),
                maybe(interval),
                cell(&r.correlation.n.to_string()),
            ])
        })
        .collect();
    let lines =
        relations.iter().map(|r| (r.metric.clone(), vec![dot(0, r.correlation.rho, r.correlation.interval)])).collect();
    let plot = Dots {
        alt: "Correlations of answers with metrics".into(),
        axis: "ρ → answers follow the metric".into(),
        reference: Some(0.0),
        lines,
    };
    let text = "<p>For each item: by how much the metric holds the first arm's map for the better one, and by how much answers do. ρ above 0 says that people prefer what the metric calls better; metrics of which less is better are turned round for that. Not planned: to look at.</p>\n";
    text.to_owned() + &table(&head, &rows) + &grid(&plot.svg().into_iter().collect::<Vec<_>>())
}

fn flow(results: &Results) -> String {
    let flow = &results.flow;
    let of = &flow.answers;
    let line = |what: &str, n: usize| row(&[words_cell(what), cell(&n.to_string())]);
    let raters = [
        ("are to finish, as it was laid down", flow.places),
        ("agreed to take part", flow.began),
        ("withdrew; their answers were deleted", flow.withdrew),
        ("neither finished nor withdrew", flow.unfinished),
        ("finished", flow.finished),
        ("are excluded by the rules (listed below)", flow.excluded),
        ("have answers in the planned analysis", flow.counted),
    ];
    let answers = [
        ("are stored", of.all),
        ("− to practice items", of.practice),
        ("− to attention checks", of.checks),
        ("− to items that came again", of.repeats),
        ("− to items of which all maps are the same", of.same),
        ("− of excluded raters", of.excluded),
        ("− too fast", of.fast),
        ("− without a value (\"it is not there\", a map without positive values)", of.without),
        ("= in the planned analysis", of.counted),
    ];
    let lines = |all: &[(&str, usize)]| all.iter().map(|(what, n)| line(what, *n)).collect::<String>();
    let mut parts = table(&heads(&["raters who"], &["number"]), &lines(&raters));
    parts += &table(&heads(&["answers that"], &["number"]), &lines(&answers));
    if flow.same > 0 {
        parts += &format!(
            "<p>Of {} items the maps of all arms are the same. Nobody can tell anything there, and they are left out; {} are left.</p>\n",
            flow.same, flow.items
        );
    }
    match results.excluded.as_slice() {
        [] => parts += "<p>No rater is excluded.</p>\n",
        excluded => {
            let lines: Vec<String> =
                excluded.iter().map(|e| format!("{} ({}): {}", e.rater, e.rule, e.because)).collect();
            let title = format!("{} excluded, with the rule and the reason", count(excluded.len(), "rater"));
            parts += &if excluded.len() > MOST_OPEN {
                folded(&title, &list(&lines))
            } else {
                format!("<h3>{title}</h3>\n{}", list(&lines))
            };
        }
    }
    parts
}

fn quality(results: &Results) -> String {
    let analysis = &results.planned;
    let level = words::level(results);
    let share = |s: &Share| {
        let interval = s
            .interval
            .map_or(String::new(), |i| format!(" ({level} interval {:.1} to {})", 100.0 * i.low, percent(i.high)));
        format!("{} of {}{interval}", percent(s.share), count(s.answers, "answer"))
    };
    let mut lines = Vec::new();
    if let Some(agreement) = &analysis.agreement {
        let of = &agreement.alpha;
        let interval = of
            .interval
            .map_or(String::new(), |i| format!(" ({level} interval {} to {})", number(i.low), number(i.high)));
        let kind = match agreement.level {
            Level::Nominal => "nominal",
            Level::Ordinal => "ordinal",
            Level::Interval => "interval",
        };
        lines.push(format!(
            "Raters agree: Krippendorff's α ({kind}) = {}{interval}, of {} answers about {} things judged. 1 is full agreement, 0 what chance would give.",
            number(of.alpha),
            of.values,
            of.units
        ));
    }
    if let Some(consistency) = &analysis.consistency {
        lines.push(format!(
            "Raters agree with themselves when an item comes again: {}, which is {}.",
            share(consistency),
            consistency.what
        ));
    }
    if let Some(sides) = &analysis.sides {
        lines.push(format!(
            "Side: {} {}. Sides are balanced, so that a habit of choosing one of them cannot favour an arm.",
            share(sides),
            sides.what
        ));
    }
    for time in &analysis.times {
        let of = if time.of == "all" { String::new() } else { format!(" about {}", time.of) };
        let seconds = |ms: f64| format!("{:.1}", ms / 1000.0);
        lines.push(format!(
            "Half of {}{of} took less than {} s; the middle half took {} to {} s.",
            count(time.answers, "answer"),
            seconds(time.median),
            seconds(time.lower),
            seconds(time.upper)
        ));
    }
    list(&lines)
}

fn further(results: &Results) -> String {
    let head = heads(
        &["arms", "measure"],
        &[
            "estimate",
            "crossed model",
            "bootstrap",
            "Wilson",
            "items: first, equal, second",
            "raters: first, equal, second",
            "Wilcoxon over items",
            "spread of raters",
            "spread of items",
        ],
    );
    let line = |c: &Comparison| {
        let signs = |s: &Signs| format!("{}, {}, {} ({})", s.first, s.neither, s.second, words::p(s.p));
        row(&[
            words_cell(&pair(&c.first, &c.second)),
            format!("<td class=\"words\">{}</td>", escape(&c.measure.name)),
            cell(&value(&c.measure, c.estimate)),
            maybe(c.interval.map(|i| range(&c.measure, i))),
            maybe(c.bootstrap.map(|i| range(&c.measure, i))),
            maybe(c.wilson.map(|i| range(&c.measure, i))),
            cell(&signs(&c.by_item)),
            cell(&signs(&c.by_rater)),
            maybe(c.signed_rank.map(|s| words::p(s.p))),
            maybe(c.rater_sd.map(number)),
            maybe(c.item_sd.map(number)),
        ])
    };
    let rows: String = results.planned.comparisons.iter().map(line).collect();
    if rows.is_empty() {
        return String::new();
    }
    let counts = planned(&results.planned).filter_map(|c| {
        let [first, neither, second] = c.counts?;
        Some(format!(
            "{}: {first} for {}, {neither} for neither, {second} for {}",
            pair(&c.first, &c.second),
            c.first,
            c.second
        ))
    });
    let about = [
        "The interval of the crossed model is the one to go by.",
        "The bootstrap over raters and items is wider than need be with as few raters and items as studies have.",
        "Wilson's interval is that of the answers at hand, as if they were independent: it says nothing of other raters or items, and is too narrow for them.",
        "The sign test over items asks whether items' means lie on one side as often as on the other, with these raters; that over raters, the same with these items. Wilcoxon's test weighs items by how far they lie off.",
        "Spreads are standard deviations in units of the measure, beyond what answers differ by anyway.",
    ];
    let about: Vec<String> = about.iter().map(|line| (*line).to_owned()).collect();
    list(&counts.collect::<Vec<_>>()) + &table(&head, &rows) + &list(&about)
}

fn found(results: &Results) -> Vec<String> {
    let mut lines = vec![
        "What is estimated is one number over all raters and all items that could have been drawn, not over those at hand alone: raters and items both count as random.".to_owned(),
        format!("Intervals hold {}. They come from a crossed mixed-effects model by moments (Gao and Owen 2017) with Student's t and Satterthwaite's degrees of freedom; docs/study-results.md has the formulas, and how often such intervals held the truth in simulated studies.", words::level(results)),
        "Answers to practice, to checks and to items that came again do not count. Rules of exclusion were laid down before the first answer; both analyses are shown.".to_owned(),
    ];
    if results.kind == "rate" || results.kind == "reveal" {
        lines.push("A rater sees an item under one arm only. Each rater's and each item's own level is taken out by least squares before arms are compared.".into());
    }
    lines.push(format!("Made by hirescam {} of the study {}.", results.version, results.study));
    lines
}
