//! What came of a study: exclusions by the rules that were laid down, the planned analysis and the same with all answers, and what a paper can
//! say of it. docs/study-results.md has the formulas.
//!
//! What is estimated is always one number for two arms: the share of answers that prefer the first, "no difference" counting half (`prefer`,
//! `trust`), or a mean difference (`rate`, `reveal`, `locate`), over all raters and all items that could have been drawn. So raters and items both count as
//! random, and the interval is that of the crossed mixed-effects model ([`crossed`](crate::statistics::crossed())).

mod analysis;
mod measures;
mod overlap;
mod page;
mod record;
mod screen;
mod tables;
mod words;

pub use record::*;

use crate::Error;
use crate::answer::Answers;
use crate::manifest::{Key, Manifest};
use crate::schedule::Schedule;
use analysis::Context;
use hirescam_evaluate::statistics::holm;
use measures::{Row, against, rows};
use screen::Screened;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Opens a built study and its key for analysis.
///
/// # Errors
/// As [`Manifest::open`] and [`Key::open`].
pub fn open(folder: &Path, key: &Path) -> Result<(Manifest, Key), Error> {
    let manifest = Manifest::open(folder)?;
    let key = Key::open(key, &manifest)?;
    Ok((manifest, key))
}

/// Analyses what raters said.
///
/// # Errors
/// [`Error::Results`] where key and manifest do not go together, answers do not fit the study, or there is none that counts.
pub fn analyse(manifest: &Manifest, key: &Key, answers: &Answers) -> Result<Results, Error> {
    go_together(manifest, key)?;
    if answers.study != manifest.study {
        return Err(Error::Results(format!(
            "these are the answers to another study: they were given to {}, and this is {}",
            answers.study, manifest.study
        )));
    }
    let schedule = Schedule::of(manifest);
    let screened = Screened::of(manifest, key, &schedule, answers)?;
    let context = Context::of(manifest, key);
    let all = rows(manifest, key, &screened.asked, |a| screened.stays(a));
    let of = |repeat: bool, planned: bool| -> Vec<Row> {
        all.iter().filter(|row| row.repeat == repeat && (row.planned || !planned)).cloned().collect()
    };
    let everyone = of(false, false);
    if everyone.is_empty() {
        let because = match answers.answers.is_empty() {
            true => "there are no answers yet".to_owned(),
            false => {
                let of = screened.flow(manifest, key, answers, schedule.slots(), |_| false).answers;
                let why = [
                    (of.practice, "to practice items"),
                    (of.checks, "to attention checks"),
                    (of.repeats, "to items that came again"),
                    (of.same, "to items of which all arms' maps are the same, which are left out"),
                    (of.excluded + of.fast + of.without, "without a value"),
                ];
                let why = why.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}"));
                format!("none of the {} answers counts: {}", of.all, why.collect::<Vec<_>>().join(", "))
            }
        };
        return Err(Error::Results(because));
    }
    let with_value: BTreeSet<(usize, usize)> = everyone.iter().map(|r| (r.rater, r.item)).collect();
    let flow =
        screened.flow(manifest, key, answers, schedule.slots(), |a| with_value.contains(&(a.rater, a.trial.item)));
    let mut results = Results {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION").into(),
        study: manifest.study.clone(),
        title: manifest.title.clone(),
        kind: manifest.question.word().into(),
        question: manifest.question.text().into(),
        simulated: screened.simulated,
        running: answers.running,
        alpha: key.design.test.alpha,
        effect: key.design.test.effect,
        arms: context.arms.iter().map(|&arm| context.name(arm)).collect(),
        flow,
        planned: context.analyse(&of(false, true), &of(true, true)),
        everyone: context.analyse(&everyone, &of(true, false)),
        excluded: screened.excluded,
        sentence: String::new(),
    };
    results.sentence = words::sentence(&results);
    Ok(results)
}

/// Writes results into a folder, which is made if need be: `results.html`, `results.json`, `comparisons.csv`, `parts.csv`, `excluded.csv`.
/// Earlier results of the same study are replaced.
///
/// # Errors
/// [`Error::Output`] where a file cannot be written, or one of these names is there that is not of this study's results.
pub fn write(folder: &Path, results: &Results) -> Result<(), Error> {
    let fail = |path: PathBuf, because: String| Error::Output { path, because };
    std::fs::create_dir_all(folder).map_err(|e| fail(folder.to_owned(), e.to_string()))?;
    let mut json = serde_json::to_vec_pretty(results).map_err(|e| fail(folder.join(FILE), e.to_string()))?;
    json.push(b'\n');
    let csv = |table: Result<Vec<u8>, csv::Error>| table.map_err(|e| fail(folder.to_owned(), e.to_string()));
    let files = [
        ("results.html", page(results).into_bytes()),
        (FILE, json),
        ("comparisons.csv", csv(tables::comparisons(results))?),
        ("parts.csv", csv(tables::parts(results))?),
        ("excluded.csv", csv(tables::excluded(results))?),
    ];
    match std::fs::read(folder.join(FILE))
        .ok()
        .and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok())
    {
        Some(record) if record.get("study").and_then(|study| study.as_str()) == Some(&results.study) => {}
        Some(_) => {
            return Err(fail(
                folder.to_owned(),
                "it has the results of another study, and they are not replaced".into(),
            ));
        }
        None => {
            if let Some((name, _)) = files.iter().find(|(name, _)| folder.join(name).symlink_metadata().is_ok()) {
                let because = "it is there already, and is no result of this study: name another folder";
                return Err(fail(folder.join(name), because.into()));
            }
        }
    }
    for (name, bytes) in files {
        let path = folder.join(name);
        hirescam::sink::write(&path, &bytes).map_err(|e| fail(path.clone(), e.to_string()))?;
    }
    Ok(())
}

/// The record's name in a folder of results.
pub const FILE: &str = "results.json";

/// Results as one HTML page that holds all it shows.
pub fn page(results: &Results) -> String {
    page::page(results)
}

/// The p values of the planned test for each two arms, corrected for being several: all that a plan needs of an analysis.
pub(crate) fn p_values(
    manifest: &Manifest,
    key: &Key,
    schedule: &Schedule,
    answers: &Answers,
) -> Result<Vec<((usize, usize), Option<f64>)>, Error> {
    let screened = Screened::of(manifest, key, schedule, answers)?;
    let mut rows = rows(manifest, key, &screened.asked, |a| screened.stays(a));
    rows.retain(|row| row.planned && !row.repeat);
    let context = Context::of(manifest, key);
    let Some(measure) = context.measures.first() else { return Ok(Vec::new()) };
    let p = |(a, b)| {
        let found = crate::statistics::crossed(&against(measure, 0, a, b, &rows)?)?;
        found.p(measure.null)
    };
    let found: Vec<Option<f64>> = context.pairs().into_iter().map(p).collect();
    let mut corrected = holm(&found.iter().flatten().copied().collect::<Vec<_>>()).unwrap_or_default().into_iter();
    Ok(context.pairs().into_iter().zip(found.into_iter().map(|p| p.and_then(|_| corrected.next()))).collect())
}

/// Refuses a manifest that does not say what the key's design says.
fn go_together(manifest: &Manifest, key: &Key) -> Result<(), Error> {
    let refuse = |what: &str| {
        Err(Error::Results(format!(
            "{what} in the manifest and in the key's design are not the same: one of them was changed after the study was built"
        )))
    };
    let design = &key.design;
    if key.study != manifest.study {
        return refuse("the study's names");
    }
    if design.question != manifest.question {
        return refuse("the questions");
    }
    if design.exclude != manifest.exclude {
        return refuse("the rules of exclusion");
    }
    if design.raters != manifest.raters {
        return refuse("the numbers of raters, answers and items");
    }
    let names = |arm: &crate::design::Arm| key.arms.iter().any(|known| known.name == arm.name);
    if manifest.arms != key.arms.len() || design.arms.len() != key.arms.len() || !design.arms.iter().all(names) {
        return refuse("the arms");
    }
    if !manifest.items.iter().map(|item| &item.id).eq(key.items.iter().map(|item| &item.id)) {
        return refuse("the items");
    }
    Ok(())
}
