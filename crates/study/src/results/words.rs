//! Numbers and sentences.

use super::record::*;
use crate::text::count;
use hirescam_evaluate::statistics::Interval;

/// A share as a percentage: `63.2 %`.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// A number with three digits where they show anything.
pub(super) fn number(value: f64) -> String {
    // Adding 0 makes −0 what it is.
    match value.abs() {
        size if size >= 100.0 => format!("{:.1}", value + 0.0),
        size if size >= 10.0 => format!("{:.2}", value + 0.0),
        _ => format!("{:.3}", value + 0.0),
    }
}

/// A value of a measure.
pub(super) fn value(measure: &Measure, value: f64) -> String {
    if is_share(measure) { percent(value) } else { number(value) }
}

/// Whether a measure is a share of answers for one of two.
pub(super) fn is_share(measure: &Measure) -> bool {
    measure.null == 0.5
}

/// `55.1 to 71.3 %`.
pub(super) fn range(measure: &Measure, interval: Interval) -> String {
    match is_share(measure) {
        true => format!("{:.1} to {}", 100.0 * interval.low, percent(interval.high)),
        false => format!("{} to {}", number(interval.low), number(interval.high)),
    }
}

/// `p = 0.012`.
pub(super) fn p(p: f64) -> String {
    if p < 0.001 { "p < 0.001".into() } else { format!("p = {p:.3}") }
}

/// `95 %`, of intervals.
pub(super) fn level(results: &Results) -> String {
    let level = 100.0 * (1.0 - results.alpha);
    if (level - level.round()).abs() < 1e-9 { format!("{level:.0} %") } else { format!("{level:.1} %") }
}

/// What an estimate says of two arms, as the beginning of a sentence.
pub(super) fn said(kind: &str, comparison: &Comparison) -> String {
    let (first, second) = (&comparison.first, &comparison.second);
    let estimate = comparison.estimate;
    let share = percent(estimate);
    let by = number(estimate.abs());
    let which = |more: &'static str, less: &'static str| if estimate >= 0.0 { more } else { less };
    match kind {
        "prefer" => format!("{first} was preferred to {second} in {share} of answers, \"no difference\" counting half"),
        "trust" => format!(
            "the model of {first} was found more reliable than that of {second} in {share} of answers, both alike counting half"
        ),
        "rate" => format!("{first} was rated {by} points {} than {second}", which("higher", "lower")),
        "reveal" => format!(
            "with {first}, raters needed to see {by} {} of the image than with {second} to name the class, as a share of it",
            which("more", "less")
        ),
        _ => format!(
            "of the positive values of {first}'s maps a share that was {by} {} than that of {second}'s lay within raters' marks",
            which("larger", "smaller")
        ),
    }
}

/// The interval and the test, in brackets.
pub(super) fn sure(results: &Results, comparison: &Comparison) -> String {
    let mut parts = Vec::new();
    match (comparison.interval, comparison.interval_by) {
        (Some(interval), IntervalBy::Exact) => parts.push(format!(
            "{} interval {}, exact, for all answers are the same",
            level(results),
            range(&comparison.measure, interval)
        )),
        (Some(interval), _) => {
            let of = if is_share(&comparison.measure) { "" } else { "of the difference " };
            parts.push(format!("{} interval {of}{}", level(results), range(&comparison.measure, interval)));
        }
        (None, _) => parts.push("no interval: too few raters or items".into()),
    }
    let t = comparison
        .error
        .zip(comparison.df)
        .map(|(error, df)| format!("t({df:.1}) = {:.2}, ", (comparison.estimate - comparison.measure.null) / error));
    if let Some(found) = comparison.corrected.or(comparison.p) {
        let pairs = results.planned.comparisons.iter().filter(|c| c.corrected.is_some()).count();
        let corrected = if comparison.corrected.is_some() && pairs > 1 { ", corrected by Holm" } else { "" };
        parts.push(format!("{}{}{corrected}", t.unwrap_or_default(), p(found)));
    }
    format!("({})", parts.join("; "))
}

/// The comparisons that the test was planned for.
pub(super) fn planned(analysis: &Analysis) -> impl Iterator<Item = &Comparison> {
    let measure = analysis.comparisons.first().map(|c| c.measure.name.clone());
    analysis.comparisons.iter().filter(move |c| Some(&c.measure.name) == measure.as_ref())
}

/// That not all raters who were laid down had finished; none where they had.
pub(super) fn early(results: &Results) -> Option<String> {
    let Flow { finished, places, .. } = results.flow;
    let so_far = format!("{finished} of {} had finished", count(places, "rater"));
    results.is_early().then(|| match results.running {
        true => format!(
            "The study had not ended: it was looked at when only {so_far}, so that the level of the test does not hold."
        ),
        false => format!("The study was stopped when only {so_far}."),
    })
}

/// What a paper can say of a study.
pub(super) fn sentence(results: &Results) -> String {
    let flow = &results.flow;
    let mut text = String::new();
    if results.simulated {
        text += "SIMULATED RATERS, no people: ";
    }
    text += &format!(
        "{} about {} came from {}",
        count(results.planned.answers, "answer"),
        count(results.planned.items, "item"),
        count(results.planned.raters, "rater"),
    );
    let left: Vec<String> = [
        (flow.withdrew, "withdrew"),
        (flow.unfinished, "did not finish"),
        (flow.excluded, "excluded by rules laid down beforehand"),
    ]
    .into_iter()
    .filter(|(n, _)| *n > 0)
    .map(|(n, what)| format!("{n} {what}"))
    .collect();
    text += &format!(
        " ({} began{}{}).",
        flow.began,
        if left.is_empty() { String::new() } else { ", ".into() },
        left.join(", ")
    );
    if let Some(early) = early(results) {
        text += &format!(" {early}");
    }
    for comparison in planned(&results.planned) {
        text += &format!(" {} {}.", capital(&said(&results.kind, comparison)), sure(results, comparison));
        if let Some(all) =
            planned(&results.everyone).find(|c| c.first == comparison.first && c.second == comparison.second)
            && results.everyone.answers != results.planned.answers
        {
            let estimate = value(&all.measure, all.estimate);
            text += &format!(" With all {} answers: {estimate} {}.", results.everyone.answers, sure(results, all));
        }
    }
    let by_itself = results.planned.means.first().filter(|_| results.arms.len() == 1);
    if let Some(mean) = by_itself {
        let interval = mean.interval.map(|i| format!(" ({} interval {})", level(results), range(&mean.measure, i)));
        text += &format!(
            " Of the positive values of {}'s maps a share of {}{} lay within raters' marks; with one arm there is nothing to compare.",
            mean.arm,
            number(mean.mean),
            interval.unwrap_or_default()
        );
    } else if planned(&results.planned).next().is_none() {
        text += " What is left after the exclusions does not tell the arms apart.";
    }
    let modelled = planned(&results.planned).any(|c| c.interval_by == IntervalBy::Crossed)
        || by_itself.is_some_and(|mean| mean.interval.is_some());
    if modelled {
        text += " Raters and items both count as drawn at random (crossed mixed-effects model).";
    }
    text
}

/// With a capital at its beginning, unless it begins with a name.
pub(super) fn capital(text: &str) -> String {
    for start in ["the ", "with ", "of "] {
        if let Some(rest) = text.strip_prefix(start) {
            let mut letters = start.chars();
            let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
            return format!("{first}{}{rest}", letters.as_str());
        }
    }
    text.to_owned()
}
