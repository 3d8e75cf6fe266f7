//! Results as CSV.

use super::record::*;
use crate::text::harmless;
use hirescam_evaluate::statistics::Interval;

type Table = Result<Vec<u8>, csv::Error>;

fn text(value: Option<f64>) -> String {
    value.map_or(String::new(), |v| v.to_string())
}

fn ends(interval: Option<Interval>) -> [String; 2] {
    [text(interval.map(|i| i.low)), text(interval.map(|i| i.high))]
}

fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(head)?;
    for row in rows {
        writer.write_record(row.iter().map(|field| harmless(field)))?;
    }
    writer.into_inner().map_err(|e| e.into_error().into())
}

/// How many raters had finished, how many were laid down, and 1 where the study still ran.
fn stage(results: &Results) -> [String; 3] {
    [results.flow.finished, results.flow.places, usize::from(results.running)].map(|n| n.to_string())
}

/// The two analyses by name.
fn analyses(results: &Results) -> [(&'static str, &Analysis); 2] {
    [("planned", &results.planned), ("everyone", &results.everyone)]
}

/// One row for each analysis, measure and two arms.
pub(super) fn comparisons(results: &Results) -> Table {
    let head = [
        "analysis",
        "measure",
        "first",
        "second",
        "answers",
        "raters",
        "items",
        "for_first",
        "for_neither",
        "for_second",
        "estimate",
        "null",
        "error",
        "df",
        "interval_by",
        "low",
        "high",
        "p",
        "p_corrected",
        "rater_sd",
        "item_sd",
        "bootstrap_low",
        "bootstrap_high",
        "wilson_low",
        "wilson_high",
        "items_first",
        "items_equal",
        "items_second",
        "items_p",
        "raters_first",
        "raters_equal",
        "raters_second",
        "raters_p",
        "wilcoxon_p",
        "wilcoxon_effect",
        "finished",
        "places",
        "running",
    ];
    let rows = analyses(results).into_iter().flat_map(|(name, analysis)| {
        analysis.comparisons.iter().map(move |c| {
            let by = match c.interval_by {
                IntervalBy::Crossed => "crossed",
                IntervalBy::Exact => "exact",
                IntervalBy::Nothing => "nothing",
            };
            let mut row: Vec<String> = vec![name.into(), c.measure.name.clone(), c.first.clone(), c.second.clone()];
            row.extend([c.answers, c.raters, c.items].map(|n| n.to_string()));
            row.extend(c.counts.map_or([const { String::new() }; 3], |counts| counts.map(|n| n.to_string())));
            row.extend([Some(c.estimate), Some(c.measure.null), c.error, c.df].map(text));
            row.push(by.into());
            row.extend(ends(c.interval));
            row.extend([c.p, c.corrected, c.rater_sd, c.item_sd].map(text));
            row.extend(ends(c.bootstrap));
            row.extend(ends(c.wilson));
            for signs in [c.by_item, c.by_rater] {
                row.extend([signs.first, signs.neither, signs.second].map(|n| n.to_string()));
                row.push(signs.p.to_string());
            }
            row.extend([c.signed_rank.map(|s| s.p), c.signed_rank.map(|s| s.effect)].map(text));
            row.extend(stage(results));
            row
        })
    });
    table(head, rows)
}

/// One row for each rater who is excluded.
pub(super) fn excluded(results: &Results) -> Table {
    let rows = results.excluded.iter().map(|e| vec![e.rater.clone(), e.rule.clone(), e.because.clone()]);
    table(["rater", "rule", "because"], rows)
}

/// One row for each analysis, part of the items and two arms.
pub(super) fn parts(results: &Results) -> Table {
    let rows = analyses(results).into_iter().flat_map(|(name, analysis)| {
        let by = [("class", &analysis.classes), ("verdict", &analysis.verdicts)];
        by.into_iter().flat_map(move |(by, parts)| {
            parts.iter().map(move |p| {
                let mut row: Vec<String> =
                    vec![name.into(), by.into(), p.part.clone(), p.first.clone(), p.second.clone()];
                row.extend([p.items, p.answers].map(|n| n.to_string()));
                row.push(p.estimate.to_string());
                row.extend(ends(p.interval));
                row.extend(stage(results));
                row
            })
        })
    });
    table(
        [
            "analysis", "by", "part", "first", "second", "items", "answers", "estimate", "low", "high", "finished",
            "places", "running",
        ],
        rows,
    )
}
