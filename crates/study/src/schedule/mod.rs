//! Which rater sees what, when, on which side: a pure function of the manifest.
//!
//! A *slot* is a row of the schedule: all that one rater sees. A server gives each rater the lowest slot that nobody has; the slot of one who
//! withdrew or stayed away is given again.
//!
//! All balance is exact to one, over all slots: how often each item is seen, how often under each arm (or pair of arms), how often each arm of
//! a pair stands first, how often the item comes at each position; and for each rater how often each arm is seen and stands first. Such a
//! schedule always exists: raters and items are the two sides of a bipartite graph, and each of these is an equitable colouring of
//! its edges (de Werra 1971, 10.1016/0012-365X(71)90023-X).

mod equitable;

use crate::Error;
use crate::answer::{Choice, Given, Mark};
use crate::kinds::Shows;
use crate::manifest::{Expected, Manifest, Role};
use equitable::equitable;
use hirescam::random::Random;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One thing that a rater is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// The item, as a position in [`Manifest::items`].
    pub item: usize,
    /// The arms that are shown, first and second, as positions in the item's pictures; one of questions that show one, none of those that show
    /// none.
    pub arms: Vec<usize>,
    /// Whether the item came before; two arms are turned round then.
    pub repeat: bool,
}

/// What the raters of all slots see.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    rows: Vec<Vec<Trial>>,
}

/// What the seed draws, each from a stream of its own.
#[derive(Clone, Copy)]
enum Draw {
    Items,
    Arms,
    Sides,
    Order,
    Row,
}

impl Schedule {
    /// The schedule of a study. Slots are as many as bring each item its answers under each arm or pair of arms.
    pub fn of(manifest: &Manifest) -> Self {
        let of_role = |role: Role| -> Vec<usize> {
            let items = manifest.items.iter().enumerate();
            items.filter(|(_, item)| item.role == role).map(|(at, _)| at).collect()
        };
        let (items, practice, checks) = (of_role(Role::Counts), of_role(Role::Practice), of_role(Role::Check));
        if items.is_empty() {
            return Schedule { rows: Vec::new() };
        }
        let conditions = conditions(manifest.question.shows(), manifest.arms);
        let of_rater = manifest.raters.items_per_rater.unwrap_or(items.len()).clamp(1, items.len());
        let answers = items.len() * conditions.len() * manifest.raters.answers_per_item.max(1);
        let slots = answers.div_ceil(of_rater);

        let seed = |draw: Draw| manifest.seed.wrapping_add(draw as u64);
        let edges = seen(slots, items.len(), of_rater, &mut Random::of_sample(seed(Draw::Items), 0));
        let condition = equitable(&edges, conditions.len(), &mut Random::of_sample(seed(Draw::Arms), 0));
        // Sides are balanced for each pair of arms by itself: a rater and an item are another vertex for each.
        let pairs = conditions.len();
        let by_pair = |((rater, item), pair): (&(usize, usize), &usize)| (rater * pairs + pair, item * pairs + pair);
        let split: Vec<(usize, usize)> = edges.iter().zip(&condition).map(by_pair).collect();
        let turned = equitable(&split, 2, &mut Random::of_sample(seed(Draw::Sides), 0));
        let order = equitable(&edges, of_rater, &mut Random::of_sample(seed(Draw::Order), 0));

        let mut rows: Vec<BTreeMap<usize, Trial>> = vec![BTreeMap::new(); slots];
        for (((slot, item), condition), (turned, at)) in edges.iter().zip(condition).zip(turned.into_iter().zip(order))
        {
            let mut arms = conditions.get(condition).cloned().unwrap_or_default();
            if turned == 1 {
                arms.reverse();
            }
            if let (Some(row), Some(&item)) = (rows.get_mut(*slot), items.get(*item)) {
                row.insert(at, Trial { item, arms, repeat: false });
            }
        }
        let rows = rows.into_iter().enumerate().map(|(slot, row)| {
            let mut random = Random::of_sample(seed(Draw::Row), slot);
            let row = row.into_values().collect();
            around(row, manifest, &practice, &checks, &conditions, &mut random)
        });
        Schedule { rows: rows.collect() }
    }

    /// How many slots there are: the raters that the study needs.
    pub fn slots(&self) -> usize {
        self.rows.len()
    }

    /// What the rater of a slot sees, in order: practice first.
    ///
    /// # Errors
    /// [`Error::Answer`] where the study has no such slot.
    pub fn trials(&self, slot: usize) -> Result<&[Trial], Error> {
        let missing = || Error::Answer(format!("there is no slot {slot} among {}", self.slots()));
        self.rows.get(slot).map(Vec::as_slice).ok_or_else(missing)
    }
}

/// What can be shown of the arms: each pair, each one, or nothing.
fn conditions(shows: Shows, arms: usize) -> Vec<Vec<usize>> {
    match shows {
        Shows::Two => (0..arms).flat_map(|a| (a + 1..arms).map(move |b| vec![a, b])).collect(),
        Shows::One => (0..arms).map(|arm| vec![arm]).collect(),
        Shows::None => vec![Vec::new()],
    }
}

/// Which slot sees which items, as pairs: each slot those that were seen least so far, drawn among equals.
fn seen(slots: usize, items: usize, of_rater: usize, random: &mut Random) -> Vec<(usize, usize)> {
    let mut counts = vec![0usize; items];
    let mut edges = Vec::with_capacity(slots * of_rater);
    for slot in 0..slots {
        let mut order: Vec<(usize, f64, usize)> =
            counts.iter().enumerate().map(|(item, &count)| (count, random.unit(), item)).collect();
        order.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        for (_, _, item) in order.into_iter().take(of_rater) {
            counts.iter_mut().skip(item).take(1).for_each(|count| *count += 1);
            edges.push((slot, item));
        }
    }
    edges
}

/// A row with practice before it, checks within it, and repeats after it.
fn around(
    mut row: Vec<Trial>,
    manifest: &Manifest,
    practice: &[usize],
    checks: &[usize],
    conditions: &[Vec<usize>],
    random: &mut Random,
) -> Vec<Trial> {
    // What was seen early is asked again: as much as possible lies between.
    let repeats: Vec<Trial> = row.iter().take(manifest.raters.repeats).cloned().collect();
    row.extend(shuffled(repeats, random).into_iter().map(|mut trial| {
        trial.arms.reverse();
        Trial { repeat: true, ..trial }
    }));
    // Of a check the arms are the positions of its pictures, whatever they show.
    let first = random.below(2);
    let shown = if manifest.question.shows() == Shows::Two { 2 } else { conditions.first().map_or(0, Vec::len) };
    let between = row.len() + 1;
    for (number, &item) in checks.iter().enumerate() {
        let mut arms: Vec<usize> = (0..shown).collect();
        if !(number + first).is_multiple_of(2) {
            arms.reverse();
        }
        // One in each part of the row, so that no stretch of it is without.
        let (from, to) = (number * between / checks.len(), (number + 1) * between / checks.len());
        let at = (from + random.below((to - from).max(1)) + number).clamp(0, row.len());
        row.insert(at, Trial { item, arms, repeat: false });
    }
    let practised = practice.iter().enumerate().map(|(number, &item)| {
        let mut arms = conditions.get(random.below(conditions.len())).cloned().unwrap_or_default();
        if (number + first).is_multiple_of(2) {
            arms.reverse();
        }
        Trial { item, arms, repeat: false }
    });
    practised.collect::<Vec<_>>().into_iter().chain(row).collect()
}

/// In an order drawn by chance (Fisher & Yates 1938).
fn shuffled<T>(mut all: Vec<T>, random: &mut Random) -> Vec<T> {
    for last in (1..all.len()).rev() {
        all.swap(last, random.below(last + 1));
    }
    all
}

/// Whether the answer to a check is the right one; none where the trial is no check.
pub fn passed(manifest: &Manifest, trial: &Trial, given: &Given) -> Option<bool> {
    let expected = manifest.items.get(trial.item)?.expected.as_ref()?;
    Some(match (expected, given) {
        (Expected::Picture(right), Given::Prefer { choice }) => match choice {
            Choice::First => trial.arms.first() == Some(right),
            Choice::Second => trial.arms.get(1) == Some(right),
            Choice::Neither => false,
        },
        (Expected::Picture(right), Given::Trust { leaning }) => match leaning.signum() {
            -1 => trial.arms.first() == Some(right),
            1 => trial.arms.get(1) == Some(right),
            _ => false,
        },
        (Expected::AtLeast(least), Given::Rate { points }) => points >= least,
        (Expected::AtMost(most), Given::Rate { points }) => points <= most,
        (Expected::Within(place), Given::Locate { mark }) => reaches(mark, *place),
        (Expected::Class(right), Given::Reveal { class, .. }) => class.trim().eq_ignore_ascii_case(right.trim()),
        _ => false,
    })
}

/// Whether a mark reaches into `[left, top, right, bottom]`.
fn reaches(mark: &Mark, place: [f64; 4]) -> bool {
    let [x0, y0, x1, y1] = place;
    let inside = |x: f64, y: f64| (x0..=x1).contains(&x) && (y0..=y1).contains(&y);
    match mark {
        Mark::Point { x, y } => inside(*x, *y),
        Mark::Box { left, top, right, bottom } => *left < x1 && *right > x0 && *top < y1 && *bottom > y0,
        Mark::Brush { strokes, .. } => strokes.iter().flatten().any(|&[x, y]| inside(x, y)),
        Mark::Nothing => false,
    }
}
