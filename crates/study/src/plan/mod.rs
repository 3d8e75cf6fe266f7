//! What a study will cost, and its power, by simulation: from its design alone, before anything is built.
//!
//! Power is the share of simulated studies in which the planned test, with the planned exclusions, tells the first arm of the design from the second at the
//! level laid down. Raters are those of [`simulate`](crate::simulate); of `locate`, where overlaps follow from maps that are not there yet, the
//! differences of overlap themselves are simulated: effect + the rater's own + the item's own + noise.

mod stand_in;
mod words;

pub use stand_in::stand_in;
pub(crate) use words::effect;

use crate::Error;
use crate::design::Design;
use crate::kinds::Question;
use crate::manifest::{Key, Manifest, Role};
use crate::results::p_values;
use crate::schedule::Schedule;
use crate::simulate::{World, expected, simulate};
use crate::statistics::{Observed, crossed, wilson};
use hirescam::random::Random;
use hirescam::source;
use hirescam_evaluate::data::{self, DataSet};
use hirescam_evaluate::statistics::Interval;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What a study will cost, and its power.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Plan {
    /// What the study is called.
    pub title: String,
    /// The kind of question.
    pub kind: String,
    /// The arms.
    pub arms: Vec<String>,
    /// How many items count.
    pub items: usize,
    /// How many raters it takes.
    pub raters: usize,
    /// How many answers count.
    pub answers: usize,
    /// How many answers are given in all, to practice, checks and repeats, too.
    pub all_answers: usize,
    /// How many of a rater's items come again: as the design asks, and as there are enough items for.
    pub repeats: [usize; 2],
    /// How many answers a rater gives, the fewest and the most.
    pub of_rater: [usize; 2],
    /// How long that takes the rater who gives the most, in minutes.
    pub minutes_of_rater: f64,
    /// How long it takes all raters together, in minutes.
    pub minutes: f64,
    /// What all raters are paid together, in the currency of the design.
    pub pay: Option<f64>,
    /// The level of significance.
    pub alpha: f64,
    /// The power that was asked for.
    pub wanted: f64,
    /// The smallest effect of interest; none of one arm (`locate`), where there is nothing to test.
    pub effect: Option<Found>,
    /// How often a difference is found where there is none.
    pub no_effect: Option<Found>,
    /// The smallest effect that is found with the power asked for; none where no effect within reach is.
    pub smallest: Option<Found>,
    /// How many studies were simulated for each.
    pub simulations: usize,
    /// What was assumed of raters, in words.
    pub assumed: String,
}

/// How often an effect is found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Found {
    /// The effect, as the design has it: of a typical rater and a typical item.
    pub effect: f64,
    /// What the analysis would find with endless raters and items; none of `locate`.
    pub expected: Option<f64>,
    /// The share of simulated studies that find it.
    pub power: f64,
    /// The interval of that share by the number of simulated studies (Wilson, 95 %).
    pub interval: Interval,
}

/// How often the range of effects is halved to find the smallest.
const HALVINGS: usize = 7;

impl Plan {
    /// Plans a study. Paths of the design are relative to `base`.
    ///
    /// # Errors
    /// [`Error::Design`] where there would be no item, or a network's file is missing; those of the data set or of the images, where they cannot be listed.
    pub fn of(design: &Design, base: &Path) -> Result<Self, Error> {
        if let Some(arm) = design.arms.iter().find(|arm| !base.join(&arm.model).is_file()) {
            let because = format!("the network of the arm {:?} is no file that is there", arm.name);
            return Err(Error::Damaged { path: base.join(&arm.model), because });
        }
        Self::with(design, items(design, base)?)
    }

    /// Plans a study of so many items that count. Neither images nor networks have to be there.
    ///
    /// # Errors
    /// [`Error::Design`] for no item, and for arms that the question cannot be asked of.
    pub fn with(design: &Design, items: usize) -> Result<Self, Error> {
        if items == 0 {
            return Err(Error::Design("there is no item to plan for".into()));
        }
        design.check_arms()?;
        let (manifest, key) = stand_in(design, items)?;
        let schedule = Schedule::of(&manifest);
        let rows: Vec<_> = (0..schedule.slots()).filter_map(|slot| schedule.trials(slot).ok()).collect();
        let counts = |item: usize| manifest.items.get(item).is_some_and(|item| item.role == Role::Counts);
        let answers = rows.iter().flat_map(|row| row.iter()).filter(|t| !t.repeat && counts(t.item)).count();
        let lengths = || rows.iter().map(|row| row.len());
        let (all, fewest, most) =
            (lengths().sum::<usize>(), lengths().min().unwrap_or(0), lengths().max().unwrap_or(0));
        let minutes = |answers: usize| answers as f64 * design.raters.seconds_per_answer / 60.0;
        let study = Study { design, manifest: &manifest, key: &key, schedule: &schedule };
        let compares = design.arms.len() > 1;
        let [none, _] = design.question.effects();
        Ok(Plan {
            title: design.title.clone(),
            kind: design.question.word().into(),
            arms: design.arms.iter().map(|arm| arm.name.clone()).collect(),
            items,
            raters: rows.len(),
            answers,
            all_answers: all,
            repeats: [design.raters.repeats, design.raters.repeated(items)],
            of_rater: [fewest, most],
            minutes_of_rater: minutes(most),
            minutes: minutes(all),
            pay: design.raters.pay_per_hour.map(|pay| pay * minutes(all) / 60.0),
            alpha: design.test.alpha,
            wanted: design.test.power,
            effect: compares.then(|| study.found(design.test.effect)),
            no_effect: compares.then(|| study.found(none)),
            smallest: if compares { study.smallest(design.question.effects()) } else { None },
            simulations: design.assume.simulations,
            assumed: words::assumed(design),
        })
    }

    /// The plan in sentences.
    pub fn in_words(&self) -> Vec<String> {
        words::sentences(self)
    }
}

/// How many items count: those that the design's images make, less those for practice and checks, up to the limit. An image of a data set makes
/// an item for each class that it shows, where these are asked for; that a network may lack a class of the data set, and predict one that the
/// image does not show, is not known before it runs. In `reveal` an image makes one.
fn items(design: &Design, base: &Path) -> Result<usize, Error> {
    let of = &design.items;
    let further = of.practice + of.checks;
    let made = match &of.data {
        Some(path) => {
            let beside = |path: &PathBuf| base.join(path);
            let options = data::Options {
                class_names: of.options.class_names.as_ref().map(beside),
                images: of.options.images.as_ref().map(beside),
                sbd: of.options.sbd.as_ref().map(beside),
                ..of.options.clone()
            };
            let data = data::open(&base.join(path), &options)?;
            let images = data.ids().len();
            let enough = of.limit.is_some_and(|limit| images >= limit + further);
            match of.classes.present() && !enough && !matches!(design.question, Question::Reveal(_)) {
                true => {
                    let counts = (0..images).into_par_iter().map(|image| classes(data.as_ref(), image));
                    counts.sum::<Result<usize, Error>>()?
                }
                false => images,
            }
        }
        None => {
            let named: Vec<_> = of.images.iter().map(|path| base.join(path)).collect();
            source::files(&named, false)?.files.len()
        }
    };
    match made.saturating_sub(further) {
        0 => Err(Error::Design(format!(
            "the images make {made} items, and items.practice and items.checks take {further}: none is left that counts"
        ))),
        left => Ok(of.limit.map_or(left, |limit| left.min(limit))),
    }
}

/// How many classes an image shows.
fn classes(data: &dyn DataSet, image: usize) -> Result<usize, Error> {
    let example = data.read(image)?;
    Ok(example.objects.iter().map(|object| object.class).collect::<BTreeSet<_>>().len())
}

/// A study to be simulated.
struct Study<'a> {
    design: &'a Design,
    manifest: &'a Manifest,
    key: &'a Key,
    schedule: &'a Schedule,
}

impl Study<'_> {
    /// How often an effect is found. The same studies are simulated for each effect, so that a larger one is found more often.
    fn found(&self, effect: f64) -> Found {
        let simulations = self.design.assume.simulations.max(1);
        let world = World::one_better(self.manifest, None, &self.design.assume, 0, effect);
        let significant = |number: &usize| self.p(&world, effect, *number).is_some_and(|p| p < self.design.test.alpha);
        let found = (0..simulations).into_par_iter().filter(significant).count();
        let interval = wilson(found as f64, simulations, 0.95);
        Found {
            effect,
            expected: expected(&self.design.question, &world, 0, 1),
            power: found as f64 / simulations as f64,
            interval: interval.unwrap_or(Interval { low: 0.0, high: 1.0 }),
        }
    }

    /// The p value of the first arm against the second in the simulated study of this number.
    fn p(&self, world: &World, effect: f64, number: usize) -> Option<f64> {
        // Each study has a seed of its own, drawn by the design's.
        let seed = (Random::of_sample(self.design.seed, number).unit() * (1u64 << 53) as f64) as u64;
        if let Question::Locate(_) = self.design.question {
            let found = crossed(&self.differences(effect, seed))?;
            return found.p(0.0);
        }
        let answers = simulate(self.manifest, self.schedule, world, seed);
        let all = p_values(self.manifest, self.key, self.schedule, &answers).ok()?;
        all.into_iter().find(|(pair, _)| *pair == (0, 1))?.1
    }

    /// Differences of overlap, one an answer.
    fn differences(&self, effect: f64, seed: u64) -> Vec<Observed> {
        let assume = &self.design.assume;
        let mut random = Random::of_sample(seed, 0);
        let of_item: Vec<f64> = self.manifest.items.iter().map(|_| assume.item_sd * random.normal()).collect();
        let mut made = Vec::new();
        for slot in 0..self.schedule.slots() {
            let mut random = Random::of_sample(seed, slot + 1);
            let own = assume.rater_sd * random.normal();
            let trials = self.schedule.trials(slot).unwrap_or_default();
            let last = if random.unit() < assume.dropout { random.below(trials.len()) } else { trials.len() };
            for trial in trials.iter().take(last).filter(|t| !t.repeat) {
                let noise = assume.noise_sd * random.normal();
                let (chance, nothing) = (random.unit() < assume.lapse, random.unit() < assume.neither);
                let counts = self.manifest.items.get(trial.item).is_some_and(|item| item.role == Role::Counts);
                let Some(of_item) = of_item.get(trial.item).filter(|_| counts && !nothing) else { continue };
                let value = noise + if chance { 0.0 } else { effect + own + of_item };
                made.push(Observed { rater: slot, item: trial.item, value });
            }
        }
        made
    }

    /// The smallest effect that is found with the power asked for, by halving.
    fn smallest(&self, [none, largest]: [f64; 2]) -> Option<Found> {
        // Odds of a certain preference are endless.
        let largest = if none == 0.5 { 0.99 } else { largest };
        let enough = |found: &Found| found.power >= self.design.test.power;
        let (mut low, mut high) = (none, largest);
        let mut best = Some(self.found(high)).filter(enough)?;
        for _ in 0..HALVINGS {
            let middle = self.found(f64::midpoint(low, high));
            if enough(&middle) {
                (high, best) = (middle.effect, middle);
            } else {
                low = middle.effect;
            }
        }
        Some(best)
    }
}
