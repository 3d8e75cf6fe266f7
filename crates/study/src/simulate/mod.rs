//! Raters by a stated model, in place of people: to plan a study, to test its analysis, and to try one out.
//!
//! Each arm has for each rater and each item a *utility*, u = strength of the arm + the rater's own + the item's own, the latter two drawn for
//! each arm from normal distributions of deviation `rater_sd` / √2 and `item_sd` / √2 ([`Assume`]): so the difference of two arms, the *leaning*,
//! differs between raters by `rater_sd` and between items by `item_sd`. Then
//!
//! - `prefer`: "no difference" with the probability `neither`, else the first with the probability 1 / (1 + e^−leaning), leaning = u_first − u_second;
//! - `trust`: the same, the side being chosen clearly (−2, 2) with the probability with which it is chosen at all;
//! - `rate`: the middle of the scale + u + noise of deviation `noise_sd`, to the nearest step, not beyond the ends;
//! - `reveal`: the class is named at the first step that uncovers at least ½ − u + noise of the image; where that is more than all of it the
//!   rater gives up at the end;
//! - `locate`: a mark about the object's place, off by noise in both directions; "it is not there" with the probability `neither`.
//!
//! With the probability `lapse` an answer is drawn from all answers alike, to checks, too; else checks are passed. With the probability `dropout` a rater stops
//! at a trial drawn from all of theirs. An answer takes `seconds_per_answer` · e^(0.4 z), z normal, so that half of them take longer.

mod expected;

pub use expected::expected;

use crate::answer::{Answer, Answers, Choice, Given, Mark, Rater};
use crate::design::Assume;
use crate::kinds::{Question, Tool};
use crate::manifest::{Expected, Item, Key, Manifest, Role};
use crate::schedule::{Schedule, Trial};
use hirescam::random::Random;

/// What [`Rater::source`] says of simulated raters.
pub const SOURCE: &str = "simulated";

/// What is true in a simulated study.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    /// What raters are like.
    pub assume: Assume,
    /// The strength of each arm in the manifest's order: logits (`prefer`, `trust`), points (`rate`), shares of the image (`reveal`).
    pub strengths: Vec<f64>,
    /// Of `locate`: where each item's object is, in shares of the photo's width and height.
    pub places: Vec<[f64; 2]>,
}

/// How far times differ: the deviation of their logarithm.
const TIMES: f64 = 0.4;
/// Half of the side of a box that is marked, and the radius of a brush, in shares of the photo.
const REACH: f64 = 0.15;

impl World {
    /// A world in which the arm number `better` is better than all others by `effect`, as [`Test::effect`](crate::design::Test::effect) has it: for `prefer` and `trust` a typical
    /// rater who prefers one of two prefers it to another with the probability `effect` on a typical item; else the difference of strengths. Of `locate` the
    /// object is where the better arm's map is largest, if there is a key.
    pub fn one_better(manifest: &Manifest, key: Option<&Key>, assume: &Assume, better: usize, effect: f64) -> Self {
        let strength = match manifest.question {
            Question::Prefer(_) | Question::Trust(_) => logit(effect),
            _ => effect,
        };
        let strengths = (0..manifest.arms).map(|arm| if arm == better { strength } else { 0.0 }).collect();
        let of = |at: usize| key.and_then(|key| peak(key, at, better)).unwrap_or([0.5, 0.5]);
        let places = (0..manifest.items.len()).map(of).collect();
        World { assume: assume.clone(), strengths, places }
    }
}

fn logit(share: f64) -> f64 {
    let share = share.clamp(1e-6, 1.0 - 1e-6);
    (share / (1.0 - share)).ln()
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Where a map is largest, in shares of the photo.
fn peak(key: &Key, item: usize, arm: usize) -> Option<[f64; 2]> {
    let map = key.items.get(item)?.maps.get(arm)?;
    let (at, _) = map.map.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
    let [rows, columns] = map.shape;
    let [left, top, right, bottom] = map.view;
    let place = |at: usize, of: usize, from: f64, to: f64| from + (to - from) * (at as f64 + 0.5) / of as f64;
    let [row, column] = [at.checked_div(columns)?, at.checked_rem(columns)?];
    Some([place(column, columns, left, right), place(row, rows, top, bottom)])
}

/// The answers of as many raters as the schedule has slots. The same seed gives the same answers.
pub fn simulate(manifest: &Manifest, schedule: &Schedule, world: &World, seed: u64) -> Answers {
    let assume = &world.assume;
    // One stream for items, one for each rater.
    let half = std::f64::consts::FRAC_1_SQRT_2;
    let mut of_items = Random::of_sample(seed, 0);
    let items: Vec<Vec<f64>> =
        manifest.items.iter().map(|_| draws(manifest.arms, assume.item_sd * half, &mut of_items)).collect();
    let mut answers = Answers { study: manifest.study.clone(), ..Answers::default() };
    for slot in 0..schedule.slots() {
        let mut random = Random::of_sample(seed, slot + 1);
        let own = draws(manifest.arms, assume.rater_sd * half, &mut random);
        let trials = schedule.trials(slot).unwrap_or_default();
        let stays = random.unit() >= assume.dropout;
        let last = if stays { trials.len() } else { random.below(trials.len()) };
        let name = format!("simulated-{:04}", slot + 1);
        let mut at = 0;
        for (number, trial) in trials.iter().take(last).enumerate() {
            let Some(item) = manifest.items.get(trial.item) else { continue };
            let ms = 1000.0 * manifest.raters.seconds_per_answer * (TIMES * random.normal()).exp();
            at += ms as i64;
            let utility = |shown: usize| -> f64 {
                let arm = trial.arms.get(shown).copied().unwrap_or(0);
                let parts = [Some(&world.strengths), Some(&own), items.get(trial.item)];
                parts.into_iter().flatten().filter_map(|of| of.get(arm)).sum()
            };
            let place = world.places.get(trial.item).copied().unwrap_or([0.5, 0.5]);
            let given = answer(manifest, item, trial, [utility(0), utility(1)], place, assume, &mut random);
            answers.answers.push(Answer {
                rater: name.clone(),
                slot,
                trial: number,
                given,
                ms: ms as u64,
                at,
                window: Some([1280, 800]),
            });
        }
        answers.raters.push(Rater { name, slot, source: SOURCE.into(), began: 0, finished: stays.then_some(at) });
    }
    answers
}

fn draws(n: usize, sd: f64, random: &mut Random) -> Vec<f64> {
    (0..n).map(|_| sd * random.normal()).collect()
}

/// What a rater says to a trial whose arms have these utilities.
fn answer(
    manifest: &Manifest,
    item: &Item,
    trial: &Trial,
    [first, second]: [f64; 2],
    place: [f64; 2],
    assume: &Assume,
    random: &mut Random,
) -> Given {
    if random.unit() < assume.lapse {
        return by_chance(manifest, item, random);
    }
    if let Some(right) = item.expected.as_ref().filter(|_| item.role == Role::Check) {
        return passing(manifest, item, trial, right);
    }
    let noise = assume.noise_sd * random.normal();
    match &manifest.question {
        Question::Prefer(of) => {
            let neither = of.neither && random.unit() < assume.neither;
            let choice = match random.unit() < logistic(first - second) {
                _ if neither => Choice::Neither,
                true => Choice::First,
                false => Choice::Second,
            };
            Given::Prefer { choice }
        }
        Question::Trust(_) => {
            let neither = random.unit() < assume.neither;
            let p = logistic(first - second);
            let is_first = random.unit() < p;
            let steps = if random.unit() < (if is_first { p } else { 1.0 - p }) { 2 } else { 1 };
            Given::Trust { leaning: if neither { 0 } else { steps * if is_first { -1 } else { 1 } } }
        }
        Question::Rate(of) => {
            let points = f64::midpoint(1.0, f64::from(of.steps)) + first + noise;
            Given::Rate { points: points.round().clamp(1.0, f64::from(of.steps)) as u32 }
        }
        Question::Reveal(of) => {
            let needed = 0.5 - first + noise;
            let uncovered = trial.arms.first().and_then(|&arm| item.uncovered.get(arm));
            let share = |step: u32| uncovered_at(uncovered, step, of.steps);
            let step = (1..=of.steps).find(|&step| share(step) >= needed);
            let class = if step.is_some() { item.class.clone() } else { String::new() };
            Given::Reveal { class, steps: step.unwrap_or(of.steps) }
        }
        Question::Locate(of) if of.nothing && random.unit() < assume.neither => Given::Locate { mark: Mark::Nothing },
        Question::Locate(of) => {
            let [x, y] = [place[0] + noise, place[1] + assume.noise_sd * random.normal()].map(|v| v.clamp(0.0, 1.0));
            Given::Locate { mark: mark(of.tool, x, y) }
        }
    }
}

/// What share of an image a step uncovers; where no image was made yet, all steps uncover as much.
pub(crate) fn uncovered_at(uncovered: Option<&Vec<f64>>, step: u32, steps: u32) -> f64 {
    let known = uncovered.and_then(|shares| shares.get(step.checked_sub(1)? as usize));
    known.copied().unwrap_or(f64::from(step) / f64::from(steps))
}

fn mark(tool: Tool, x: f64, y: f64) -> Mark {
    match tool {
        Tool::Point => Mark::Point { x, y },
        Tool::Box => Mark::Box {
            left: (x - REACH).max(0.0),
            top: (y - REACH).max(0.0),
            right: (x + REACH).min(1.0),
            bottom: (y + REACH).min(1.0),
        },
        Tool::Brush => Mark::Brush { radius: REACH, strokes: vec![vec![[x, y]]] },
    }
}

/// One of all answers alike.
fn by_chance(manifest: &Manifest, item: &Item, random: &mut Random) -> Given {
    match &manifest.question {
        Question::Prefer(of) => {
            let choice = match random.below(if of.neither { 3 } else { 2 }) {
                0 => Choice::First,
                1 => Choice::Second,
                _ => Choice::Neither,
            };
            Given::Prefer { choice }
        }
        Question::Trust(_) => Given::Trust { leaning: random.below(5) as i8 - 2 },
        Question::Rate(of) => Given::Rate { points: random.below(of.steps as usize) as u32 + 1 },
        Question::Reveal(of) => {
            let class = item.options.get(random.below(item.options.len())).cloned().unwrap_or_default();
            Given::Reveal { class, steps: random.below(of.steps as usize) as u32 + 1 }
        }
        Question::Locate(of) => Given::Locate { mark: mark(of.tool, random.unit(), random.unit()) },
    }
}

/// The right answer to a check.
fn passing(manifest: &Manifest, item: &Item, trial: &Trial, right: &Expected) -> Given {
    let first = |picture: &usize| trial.arms.first() == Some(picture);
    match (&manifest.question, right) {
        (Question::Prefer(_), Expected::Picture(picture)) => {
            Given::Prefer { choice: if first(picture) { Choice::First } else { Choice::Second } }
        }
        (Question::Trust(_), Expected::Picture(picture)) => {
            Given::Trust { leaning: if first(picture) { -2 } else { 2 } }
        }
        (Question::Rate(_), Expected::AtLeast(points) | Expected::AtMost(points)) => Given::Rate { points: *points },
        (Question::Locate(of), Expected::Within([left, top, right, bottom])) => {
            Given::Locate { mark: mark(of.tool, f64::midpoint(*left, *right), f64::midpoint(*top, *bottom)) }
        }
        (Question::Reveal(of), Expected::Class(class)) => Given::Reveal { class: class.clone(), steps: of.steps },
        // A check of another kind of question cannot be passed by anybody.
        (Question::Prefer(_), _) => Given::Prefer { choice: Choice::First },
        (Question::Trust(_), _) => Given::Trust { leaning: 0 },
        (Question::Rate(_), _) => Given::Rate { points: 1 },
        (Question::Locate(_), _) => Given::Locate { mark: Mark::Nothing },
        (Question::Reveal(of), _) => Given::Reveal { class: item.class.clone(), steps: of.steps },
    }
}
