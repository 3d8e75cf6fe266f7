//! What answers come to as numbers, by kind of question.

use super::overlap::Overlap;
use super::record::Measure;
use super::screen::Asked;
use crate::answer::{Choice, Given};
use crate::kinds::{Question, Shows};
use crate::manifest::{Key, Manifest};
use crate::simulate::uncovered_at;
use crate::statistics::{Graded, Observed, effect};
use std::collections::BTreeMap;

/// An answer as numbers, one for each measure of its kind.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub rater: usize,
    pub item: usize,
    pub ms: u64,
    /// Whether the item came again.
    pub repeat: bool,
    /// Whether the planned analysis counts it.
    pub planned: bool,
    pub about: About,
}

/// What the numbers are of. Arms are numbered as in the manifest.
#[derive(Clone, Debug)]
pub(super) enum About {
    /// Two arms, the first of which stood first; numbers are the first one's.
    Two([usize; 2], Vec<f64>),
    /// One arm.
    One(usize, Vec<f64>),
    /// Each arm.
    All(Vec<Vec<f64>>),
}

/// The measures of a kind of question; the first is the one that the test is planned for.
pub(super) fn measures(question: &Question) -> Vec<Measure> {
    let measure = |name: &str, what: &str, null: f64, more_is_better: bool| Measure {
        name: name.into(),
        what: what.into(),
        null,
        more_is_better,
    };
    let share = |what| measure("share", what, 0.5, true);
    match question {
        Question::Prefer(_) => {
            vec![share("The share of answers that prefer the first arm; \"no difference\" counts half.")]
        }
        Question::Trust(_) => vec![
            share("The share of answers that find the first arm's model the more reliable; both alike counts half."),
            measure("leaning", "The mean step towards the first arm's model, from −2 to 2.", 0.0, true),
        ],
        Question::Rate(of) => {
            let what = format!("The points on the scale from 1, {}, to {}, {}.", of.lowest, of.steps, of.highest);
            vec![measure("points", &what, 0.0, true)]
        }
        Question::Reveal(_) => vec![
            measure(
                "uncovered",
                "The share of the image that was uncovered when the class was named; all of it where a wrong class was named or the rater gave up.",
                0.0,
                false,
            ),
            measure("named", "The share of answers that name the class.", 0.0, true),
        ],
        Question::Locate(_) => vec![
            measure("energy", "The share of the map's positive values that lies within the rater's mark.", 0.0, true),
            measure("hit", "The share of answers whose mark holds the map's largest place.", 0.0, true),
            measure(
                "iou",
                "The overlap (intersection over union) of the mark and the places where the map is above half of its largest value.",
                0.0,
                true,
            ),
        ],
    }
}

/// Answers about the arms as numbers; those without a value are left out. `planned` says which of them the planned analysis counts.
pub(super) fn rows(manifest: &Manifest, key: &Key, asked: &[Asked], planned: impl Fn(&Asked) -> bool) -> Vec<Row> {
    let mut overlaps = BTreeMap::<usize, Overlap>::new();
    let mut overlap = |item: usize, given: &Given| {
        let known = overlaps.entry(item).or_insert_with(|| Overlap::of(manifest, key, item));
        match given {
            Given::Locate { mark } => known.with(mark),
            _ => None,
        }
    };
    asked
        .iter()
        .filter(|a| a.about_arms())
        .filter_map(|a| {
            let about = about(manifest, a, &mut overlap)?;
            let (repeat, planned) = (a.trial.repeat, planned(a));
            Some(Row { rater: a.rater, item: a.trial.item, ms: a.answer.ms, repeat, planned, about })
        })
        .collect()
}

fn about(
    manifest: &Manifest,
    asked: &Asked,
    overlap: &mut impl FnMut(usize, &Given) -> Option<Vec<Vec<f64>>>,
) -> Option<About> {
    let shown = |at: usize| asked.trial.arms.get(at).copied();
    let two = |values: Vec<f64>| Some(About::Two([shown(0)?, shown(1)?], values));
    match &asked.answer.given {
        Given::Prefer { choice } => two(vec![match choice {
            Choice::First => 1.0,
            Choice::Neither => 0.5,
            Choice::Second => 0.0,
        }]),
        Given::Trust { leaning } => {
            let first = -f64::from(*leaning);
            two(vec![if *leaning == 0 { 0.5 } else { f64::from(*leaning < 0) }, first])
        }
        Given::Rate { points } => Some(About::One(shown(0)?, vec![f64::from(*points)])),
        Given::Reveal { class, steps } => {
            let Question::Reveal(of) = &manifest.question else { return None };
            let (item, arm) = (manifest.items.get(asked.trial.item)?, shown(0)?);
            let named = class.trim().eq_ignore_ascii_case(item.class.trim());
            let uncovered = if named { uncovered_at(item.uncovered.get(arm), *steps, of.steps) } else { 1.0 };
            Some(About::One(arm, vec![uncovered, f64::from(named)]))
        }
        given @ Given::Locate { .. } => Some(About::All(overlap(asked.trial.item, given)?)),
    }
}

/// What each answer says of the arm `a` against `b` by a measure: shares of a, or differences a − b. None where answers about one arm each do
/// not tell arms from raters and items.
pub(super) fn against(measure: &Measure, number: usize, a: usize, b: usize, rows: &[Row]) -> Option<Vec<Observed>> {
    let shows = match rows.first()?.about {
        About::Two(..) => Shows::Two,
        About::One(..) => Shows::One,
        About::All(_) => Shows::None,
    };
    if shows == Shows::One {
        let graded = |row: &Row| match &row.about {
            About::One(arm, values) if *arm == a || *arm == b => {
                Some(Graded { rater: row.rater, item: row.item, first: *arm == a, value: *values.get(number)? })
            }
            _ => None,
        };
        return effect(&rows.iter().filter_map(graded).collect::<Vec<_>>());
    }
    let of = |row: &Row| {
        let value = match &row.about {
            About::Two([first, second], values) if [*first, *second] == [a, b] => *values.get(number)?,
            // Seen from the other arm a share is the rest, a difference the opposite.
            About::Two([first, second], values) if [*second, *first] == [a, b] => {
                2.0 * measure.null - values.get(number)?
            }
            About::All(values) => values.get(a)?.get(number)? - values.get(b)?.get(number)?,
            _ => return None,
        };
        Some(Observed { rater: row.rater, item: row.item, value })
    };
    Some(rows.iter().filter_map(of).collect())
}

/// What each answer says of one arm by itself, where it does.
pub(super) fn alone(number: usize, arm: usize, rows: &[Row]) -> Vec<Observed> {
    let of = |row: &Row| {
        let value = match &row.about {
            About::One(of, values) if *of == arm => *values.get(number)?,
            About::All(values) => *values.get(arm)?.get(number)?,
            _ => return None,
        };
        Some(Observed { rater: row.rater, item: row.item, value })
    };
    rows.iter().filter_map(of).collect()
}
