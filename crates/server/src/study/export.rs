//! A study's answers as files: JSON for programs, CSV for people, and a codebook that says what each column means.

use crate::study::Error;
use hirescam_study::answer::{Answers, Choice, Given, Mark};
use hirescam_study::manifest::{Manifest, Role};
use hirescam_study::schedule::{self, Schedule};
use hirescam_study::text::{count, harmless};
use std::path::Path;

/// How one of the files is made.
type Write = fn(&Manifest, &Answers) -> Result<Vec<u8>, Error>;

/// The files: name, kind, and how each is made.
pub(crate) const FILES: &[(&str, &str, Write)] = &[
    ("answers.json", "application/json", answers_json),
    ("answers.csv", "text/csv; charset=utf-8", answers_csv),
    ("raters.csv", "text/csv; charset=utf-8", raters_csv),
    ("codebook.md", "text/markdown; charset=utf-8", codebook),
];

/// Writes the answers of a study into `folder`: `answers.json`, which `hirescam study results` reads, `answers.csv`, `raters.csv` and
/// `codebook.md`. Files of an earlier export are replaced, each as a whole.
///
/// # Errors
/// [`Error::Output`] naming the file that cannot be written.
pub fn write(manifest: &Manifest, answers: &Answers, folder: &Path) -> Result<(), Error> {
    let failed = |path: &Path, e: std::io::Error| Error::Output { path: path.to_owned(), because: e.to_string() };
    std::fs::create_dir_all(folder).map_err(|e| failed(folder, e))?;
    for (name, _, write) in FILES {
        let bytes = write(manifest, answers)?;
        let (path, part) = (folder.join(name), folder.join(format!(".{name}.part")));
        std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, &path)).map_err(|e| failed(&path, e))?;
    }
    Ok(())
}

fn answers_json(_: &Manifest, answers: &Answers) -> Result<Vec<u8>, Error> {
    serde_json::to_vec_pretty(answers).map_err(|e| Error::Invalid(e.to_string()))
}

/// The columns of `answers.csv`, with what they mean.
const ANSWERS: &[(&str, &str)] = &[
    ("rater", "Who answered: a random name that says nothing of the person."),
    ("slot", "The rater's row in the schedule."),
    ("trial", "The trial's position in that row, from 0; practice comes first."),
    ("item", "The random name of the image and class."),
    ("role", "What the item is for: counts, practice, check."),
    ("repeat", "1 where the rater saw the item before."),
    ("arms", "The arms that were shown, first and second, by the numbers that the key explains."),
    ("kind", "The kind of question."),
    (
        "answer",
        "prefer: first, second, neither. rate: the step. trust: -2 (the first clearly) to 2 (the second clearly). reveal: the class \
        that was named, empty where the rater gave up. locate: point, box, brush, nothing.",
    ),
    ("x", "locate: the point, or the box's left border, as a share of the photo's width."),
    ("y", "locate: the point, or the box's upper border, as a share of the photo's height."),
    ("right", "locate by box: its right border, as a share of the photo's width."),
    ("bottom", "locate by box: its lower border, as a share of the photo's height."),
    ("steps", "reveal: how many steps were uncovered."),
    ("passed", "Of attention checks: 1 where the answer is the right one, else 0."),
    (
        "ms",
        "Milliseconds from the moment that all pictures were there (without scripts: that the page was sent) to the answer.",
    ),
    ("at", "When the answer was stored, UTC."),
    ("width", "The width of the rater's window in CSS pixels; empty without scripts."),
    ("height", "Its height."),
];

/// The columns of `raters.csv`, with what they mean.
const RATERS: &[(&str, &str)] = &[
    ("rater", "A random name that says nothing of the person."),
    (
        "slot",
        "The rater's row in the schedule. A slot can have several raters: one who stayed away, and one who came after.",
    ),
    ("source", "By which way the rater came: open, link, prolific, mturk, simulated."),
    ("began", "When the rater agreed to take part, UTC."),
    ("finished", "When the last answer was stored, UTC; empty for one who has not finished."),
    ("answers", "How many trials the rater has answered."),
];

fn answers_csv(manifest: &Manifest, answers: &Answers) -> Result<Vec<u8>, Error> {
    let schedule = Schedule::of(manifest);
    let rows = answers.answers.iter().map(|answer| {
        let trials = schedule.trials(answer.slot)?;
        let trial = trials.get(answer.trial);
        let item = trial.and_then(|trial| manifest.items.get(trial.item));
        let [said, x, y, right, bottom, steps] = said(&answer.given);
        let passed = trial.and_then(|trial| schedule::passed(manifest, trial, &answer.given));
        let role = item.map(|item| match item.role {
            Role::Counts => "counts",
            Role::Practice => "practice",
            Role::Check => "check",
        });
        let arms = trial.map(|trial| trial.arms.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
        Ok([
            answer.rater.clone(),
            answer.slot.to_string(),
            answer.trial.to_string(),
            item.map(|item| item.id.clone()).unwrap_or_default(),
            role.unwrap_or_default().into(),
            trial.map(|trial| u8::from(trial.repeat).to_string()).unwrap_or_default(),
            arms.unwrap_or_default(),
            manifest.question.word().into(),
            said,
            x,
            y,
            right,
            bottom,
            steps,
            passed.map(|passed| u8::from(passed).to_string()).unwrap_or_default(),
            answer.ms.to_string(),
            moment(answer.at),
            answer.window.map(|[width, _]| width.to_string()).unwrap_or_default(),
            answer.window.map(|[_, height]| height.to_string()).unwrap_or_default(),
        ])
    });
    table(ANSWERS, rows)
}

fn raters_csv(_: &Manifest, answers: &Answers) -> Result<Vec<u8>, Error> {
    let rows = answers.raters.iter().map(|rater| {
        let of_rater = answers.answers.iter().filter(|answer| answer.rater == rater.name).count();
        Ok([
            rater.name.clone(),
            rater.slot.to_string(),
            rater.source.clone(),
            moment(rater.began),
            rater.finished.map(moment).unwrap_or_default(),
            of_rater.to_string(),
        ])
    });
    table(RATERS, rows)
}

fn table<const N: usize>(
    columns: &[(&str, &str)],
    rows: impl Iterator<Item = Result<[String; N], Error>>,
) -> Result<Vec<u8>, Error> {
    let failed = |e: csv::Error| Error::Invalid(e.to_string());
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(columns.iter().map(|(name, _)| name)).map_err(failed)?;
    for row in rows {
        table.write_record(row?.iter().map(|field| harmless(field))).map_err(failed)?;
    }
    table.into_inner().map_err(|e| Error::Invalid(e.to_string()))
}

/// What was said, in words and numbers.
fn said(given: &Given) -> [String; 6] {
    let mut fields: [String; 6] = Default::default();
    let [said, x, y, right, bottom, steps] = &mut fields;
    match given {
        Given::Prefer { choice } => {
            *said = match choice {
                Choice::First => "first",
                Choice::Second => "second",
                Choice::Neither => "neither",
            }
            .into();
        }
        Given::Rate { points } => *said = points.to_string(),
        Given::Trust { leaning } => *said = leaning.to_string(),
        Given::Reveal { class, steps: uncovered } => {
            *said = class.clone();
            *steps = uncovered.to_string();
        }
        Given::Locate { mark: Mark::Nothing } => *said = "nothing".into(),
        Given::Locate { mark: Mark::Point { x: across, y: down } } => {
            (*said, *x, *y) = ("point".into(), across.to_string(), down.to_string());
        }
        Given::Locate { mark: Mark::Box { left, top, right: to, bottom: down } } => {
            (*said, *x, *y) = ("box".into(), left.to_string(), top.to_string());
            (*right, *bottom) = (to.to_string(), down.to_string());
        }
        Given::Locate { mark: Mark::Brush { .. } } => *said = "brush".into(),
    }
    fields
}

/// A moment as ISO 8601 in UTC, from milliseconds since 1970 (days to civil dates as in Howard Hinnant's `civil_from_days`).
pub(crate) fn moment(at: i64) -> String {
    let (days, ms) = (at.div_euclid(86_400_000), at.rem_euclid(86_400_000));
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (seconds, ms) = (ms / 1000, ms % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

fn codebook(manifest: &Manifest, answers: &Answers) -> Result<Vec<u8>, Error> {
    let rows = |columns: &[(&str, &str)]| {
        let row = |(name, meaning): &(&str, &str)| {
            format!("| `{name}` | {} |\n", meaning.split_whitespace().collect::<Vec<_>>().join(" "))
        };
        columns.iter().map(row).collect::<String>()
    };
    let text = format!(
        "# Codebook\n\n\
         The answers of the study \"{title}\" (`{study}`), a question of the kind `{kind}`: {raters}, {answers}; withdrawn, and not in the \
         files: {withdrawn}. Which arm is which only the study's key says.\n\n\
         ## answers.csv\n\nOne row an answer, by slot, rater and trial.\n\n| column | meaning |\n|---|---|\n{of_answers}\n\
         ## raters.csv\n\nOne row a rater.\n\n| column | meaning |\n|---|---|\n{of_raters}\n\
         ## answers.json\n\nThe same for programs (`hirescam study results` reads it): `study`, which they were given to, `running`, whether it still \
         took new raters, `raters`, `answers` and `withdrawn`; moments in milliseconds since 1970 UTC, what was painted by brush in full.\n\n\
         Fields of the CSV files that a spreadsheet would take for a formula begin with `'`; `answers.json` has them as they were typed.\n",
        title = manifest.title.replace('\n', " "),
        study = manifest.study,
        kind = manifest.question.word(),
        raters = count(answers.raters.len(), "rater"),
        answers = count(answers.answers.len(), "answer"),
        withdrawn = count(answers.withdrawn, "rater"),
        of_answers = rows(ANSWERS),
        of_raters = rows(RATERS),
    );
    Ok(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_utc() {
        // GNU date: date -u -d @… +%FT%TZ
        for (at, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_001, "2024-02-29T23:59:59.001Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(moment(at), text);
        }
    }
}
