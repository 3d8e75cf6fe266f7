//! Who counts: answers that fit the study, and exclusions by the rules that were laid down.

use super::record::{Answered, Exclusion, Flow};
use crate::answer::{Answer, Answers, Given, Rater};
use crate::manifest::{Key, Manifest, Role};
use crate::schedule::{Schedule, Trial, passed};
use crate::text::count;
use crate::{Error, simulate};
use std::collections::{BTreeMap, BTreeSet};

/// An answer with what was asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// The rater, by position.
    pub rater: usize,
    pub trial: &'a Trial,
    pub answer: &'a Answer,
    pub role: Role,
    /// Whether all maps of its item are the same.
    pub same: bool,
    /// Whether it took less than the least time.
    pub fast: bool,
}

impl Asked<'_> {
    /// Whether it says something of the arms: for the first time, or again.
    pub fn about_arms(&self) -> bool {
        self.role == Role::Counts && !self.same
    }
}

/// All answers with what was asked, and who is excluded.
pub(super) struct Screened<'a> {
    pub asked: Vec<Asked<'a>>,
    pub excluded: Vec<Exclusion>,
    /// The excluded raters, by position.
    pub out: BTreeSet<usize>,
    pub simulated: bool,
}

impl<'a> Screened<'a> {
    /// # Errors
    /// [`Error::Results`] for answers that do not fit the study.
    pub fn of(manifest: &Manifest, key: &Key, schedule: &'a Schedule, answers: &'a Answers) -> Result<Self, Error> {
        let refuse = |because: String| Err(Error::Results(because));
        let mut raters = BTreeMap::<&str, usize>::new();
        for (at, rater) in answers.raters.iter().enumerate() {
            if raters.insert(&rater.name, at).is_some() {
                return refuse(format!("the rater {} stands twice in the answers", rater.name));
            }
        }
        let mut asked = Vec::with_capacity(answers.answers.len());
        let mut seen = BTreeSet::new();
        for answer in &answers.answers {
            let which = || format!("the answer of {} to trial {}", answer.rater, answer.trial);
            let Some((&rater, known)) =
                raters.get(answer.rater.as_str()).and_then(|at| Some((at, answers.raters.get(*at)?)))
            else {
                return refuse(format!("{}: no such rater is in the answers", which()));
            };
            if answer.slot != known.slot {
                return refuse(format!(
                    "{} is of slot {}, and the rater has slot {}",
                    which(),
                    answer.slot,
                    known.slot
                ));
            }
            let trials = schedule.trials(answer.slot).map_err(|e| Error::Results(format!("{}: {e}", which())))?;
            let Some(trial) = trials.get(answer.trial) else {
                return refuse(format!("{}: slot {} has {} trials", which(), answer.slot, trials.len()));
            };
            let Some(item) = manifest.items.get(trial.item) else {
                return refuse(format!("{}: the study has no such item", which()));
            };
            manifest.question.accepts(item, &answer.given).map_err(|e| Error::Results(format!("{}: {e}", which())))?;
            if !seen.insert((rater, answer.trial)) {
                return refuse(format!("{} stands twice in the answers", which()));
            }
            let same = key.items.get(trial.item).is_some_and(|item| item.same);
            let fast = answer.ms < key.design.exclude.fastest_ms;
            asked.push(Asked { rater, trial, answer, role: item.role, same, fast });
        }
        asked.sort_by_key(|a| (a.rater, a.answer.trial));
        let mut of_rater = vec![Vec::new(); answers.raters.len()];
        for a in &asked {
            of_rater.iter_mut().skip(a.rater).take(1).for_each(|all| all.push(*a));
        }
        let mut excluded = Vec::new();
        let mut out = BTreeSet::new();
        for (at, (rater, theirs)) in answers.raters.iter().zip(&of_rater).enumerate() {
            if let Some((rule, because)) = broken(manifest, key, rater, theirs) {
                excluded.push(Exclusion { rater: rater.name.clone(), rule: rule.into(), because });
                out.insert(at);
            }
        }
        let simulated = answers.raters.iter().any(|r| r.source == simulate::SOURCE);
        Ok(Screened { asked, excluded, out, simulated })
    }

    /// Whether the planned analysis counts an answer.
    pub fn stays(&self, asked: &Asked) -> bool {
        !self.out.contains(&asked.rater) && !asked.fast
    }

    /// Raters and answers from first to last. `counted` says whether an answer has a value.
    pub fn flow(
        &self,
        manifest: &Manifest,
        key: &Key,
        answers: &Answers,
        places: usize,
        counted: impl Fn(&Asked) -> bool,
    ) -> Flow {
        let finished = answers.raters.iter().filter(|r| r.finished.is_some()).count();
        let mut of = Answered { all: self.asked.len(), ..Answered::default() };
        let mut raters = BTreeSet::new();
        for asked in &self.asked {
            let place = match asked.role {
                Role::Practice => &mut of.practice,
                Role::Check => &mut of.checks,
                Role::Counts if asked.trial.repeat => &mut of.repeats,
                Role::Counts if asked.same => &mut of.same,
                Role::Counts if self.out.contains(&asked.rater) => &mut of.excluded,
                Role::Counts if asked.fast => &mut of.fast,
                Role::Counts if !counted(asked) => &mut of.without,
                Role::Counts => {
                    raters.insert(asked.rater);
                    &mut of.counted
                }
            };
            *place += 1;
        }
        let items = manifest.items.iter().zip(&key.items).filter(|(item, _)| item.role == Role::Counts);
        let (same, different): (Vec<_>, Vec<_>) = items.partition(|(_, key)| key.same);
        Flow {
            places,
            began: answers.raters.len() + answers.withdrawn,
            withdrew: answers.withdrawn,
            unfinished: answers.raters.len() - finished,
            finished,
            excluded: self.excluded.len(),
            counted: raters.len(),
            answers: of,
            items: different.len(),
            same: same.len(),
        }
    }
}

/// The first rule that a rater breaks, and how.
fn broken(manifest: &Manifest, key: &Key, rater: &Rater, theirs: &[Asked]) -> Option<(&'static str, String)> {
    let rules = &key.design.exclude;
    if !rules.keep_unfinished && rater.finished.is_none() {
        return Some(("keep_unfinished", format!("stopped after {} answers", theirs.len())));
    }
    let failed = theirs.iter().filter(|a| passed(manifest, a.trial, &a.answer.given) == Some(false)).count();
    if failed > rules.failed_checks {
        return Some((
            "failed_checks",
            format!("failed {} (allowed: {})", count(failed, "attention check"), rules.failed_checks),
        ));
    }
    // Practice is there to be slow and to be careless.
    let real: Vec<&Asked> = theirs.iter().filter(|a| a.role != Role::Practice).collect();
    let fast = real.iter().filter(|a| a.fast).count();
    if !real.is_empty() && fast as f64 / real.len() as f64 > rules.too_fast_share {
        let because = format!(
            "{fast} of {} answers took less than {} ms (allowed: a share of {})",
            real.len(),
            rules.fastest_ms,
            rules.too_fast_share
        );
        return Some(("too_fast_share", because));
    }
    let given: Vec<&Given> = real.iter().map(|a| &a.answer.given).collect();
    let longest = given.chunk_by(|a, b| a == b).map(<[_]>::len).max().unwrap_or(0);
    if rules.same_in_a_row > 0 && longest > rules.same_in_a_row {
        let because = format!("gave the same answer {longest} times in a row (allowed: {})", rules.same_in_a_row);
        return Some(("same_in_a_row", because));
    }
    None
}
