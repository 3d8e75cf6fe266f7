//! How far a study is, and how good its answers are; never which arm they are for: the server does not know the arms.

use crate::study::Error;
use crate::study::folder::Study;
use hirescam_study::answer::Answers;
use hirescam_study::manifest::Role;
use hirescam_study::schedule;
use serde::Serialize;
use std::collections::BTreeMap;

/// Numbers for the owner.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Progress {
    /// How many raters there is room for.
    pub slots: usize,
    /// Raters who have begun, finished ones among them.
    pub began: usize,
    /// Raters who have answered all.
    pub finished: usize,
    /// Raters who have not, and whose last answer is longer ago than a slot is kept.
    pub away: usize,
    /// Raters who withdrew.
    pub withdrawn: usize,
    /// Answers that count, and how many are wanted.
    pub answers: usize,
    /// How many are wanted.
    pub wanted: usize,
    /// Each item that counts, by its random name, with its answers and how many are wanted.
    pub items: Vec<(String, usize, usize)>,
    /// Answers that took less than the design's limit.
    pub too_fast: usize,
    /// All answers, those of practice and checks among them.
    pub all: usize,
    /// Answers to attention checks, and how many of them were wrong.
    pub checks: usize,
    /// How many of these were wrong.
    pub failed: usize,
    /// Raters who failed more checks than the design allows.
    pub inattentive: usize,
    /// The median time of an answer that counts, in milliseconds.
    pub median_ms: Option<u64>,
    /// Raters by the way they came.
    pub sources: BTreeMap<String, usize>,
}

impl Progress {
    pub(crate) fn of(study: &Study, answers: &Answers, away_since: i64) -> Result<Self, Error> {
        let manifest = &study.manifest;
        let mut wanted: BTreeMap<usize, usize> = BTreeMap::new();
        for slot in 0..study.slots() {
            let counts = study.trials(slot)?.iter().filter(|trial| !trial.repeat);
            counts.for_each(|trial| *wanted.entry(trial.item).or_default() += 1);
        }
        let (mut of_item, mut times) = (BTreeMap::<usize, usize>::new(), Vec::new());
        let (mut checks, mut failed, mut too_fast) = (0, BTreeMap::<&str, usize>::new(), 0);
        let mut last: BTreeMap<&str, i64> = BTreeMap::new();
        for answer in &answers.answers {
            let Some(trial) = study.trials(answer.slot)?.get(answer.trial) else { continue };
            last.insert(&answer.rater, answer.at);
            too_fast += usize::from(answer.ms < manifest.exclude.fastest_ms);
            match study.item(trial)?.role {
                Role::Counts if !trial.repeat => {
                    *of_item.entry(trial.item).or_default() += 1;
                    times.push(answer.ms);
                }
                _ => {}
            }
            if let Some(passed) = schedule::passed(manifest, trial, &answer.given) {
                checks += 1;
                if !passed {
                    *failed.entry(&answer.rater).or_default() += 1;
                }
            }
        }
        let counting = manifest.items.iter().enumerate().filter(|(_, item)| item.role == Role::Counts);
        let of = |counts: &BTreeMap<usize, usize>, at: usize| counts.get(&at).copied().unwrap_or(0);
        let items: Vec<(String, usize, usize)> =
            counting.map(|(at, item)| (item.id.clone(), of(&of_item, at), of(&wanted, at))).collect();
        let mut sources = BTreeMap::new();
        answers.raters.iter().for_each(|rater| *sources.entry(rater.source.clone()).or_default() += 1);
        let is_away = |rater: &&hirescam_study::answer::Rater| {
            let heard = last.get(rater.name.as_str()).copied().unwrap_or(rater.began);
            rater.finished.is_none() && heard < away_since
        };
        times.sort_unstable();
        Ok(Progress {
            slots: study.slots(),
            began: answers.raters.len(),
            finished: answers.raters.iter().filter(|rater| rater.finished.is_some()).count(),
            away: answers.raters.iter().filter(is_away).count(),
            withdrawn: answers.withdrawn,
            answers: items.iter().map(|(_, there, _)| there).sum(),
            wanted: items.iter().map(|(.., wanted)| wanted).sum(),
            items,
            too_fast,
            all: answers.answers.len(),
            checks,
            failed: failed.values().sum(),
            inattentive: failed.values().filter(|&&failed| failed > manifest.exclude.failed_checks).count(),
            median_ms: times.get(times.len() / 2).copied(),
            sources,
        })
    }
}
