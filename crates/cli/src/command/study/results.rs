//! `hirescam study results`: what came of a study.

use super::database::Database;
use crate::error::Error;
use crate::output::{self, say};
use clap::Args;
use hirescam_study::answer::Answers;
use hirescam_study::schedule::Schedule;
use hirescam_study::text::count;
use hirescam_study::{Key, Manifest, results};
use std::path::PathBuf;

/// Analyse a study.
#[derive(Args)]
pub struct Results {
    /// The study's folder, as `hirescam study build` made it
    study: PathBuf,
    /// The key, which tells the arms [default: beside the folder, DIR-key.json]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    database: Database,
    /// The answers as `hirescam study export` wrote them, in the place of the database's
    #[arg(long, value_name = "FILE", conflicts_with = "address")]
    answers: Option<PathBuf>,
    /// Look although the study has not ended. Whoever looks at results and then decides whether to go on finds too much: the level of
    /// the test holds for one look, at the end
    #[arg(long)]
    early: bool,
    /// Where page, tables and record go; those of an earlier look at the same study are replaced
    #[arg(short, long, value_name = "DIR", default_value = "results")]
    out: PathBuf,
    /// Say the record as JSON
    #[arg(long)]
    json: bool,
}

impl Results {
    /// Runs the command, and gives the exit code.
    pub fn run(&self) -> Result<u8, Error> {
        let key = self.key.clone().unwrap_or_else(|| Key::beside(&self.study));
        let (manifest, key) = results::open(&self.study, &key)?;
        let answers = self.answers(&manifest)?;
        let found = results::analyse(&manifest, &key, &answers)?;
        results::write(&self.out, &found)?;
        if self.json {
            output::json(&found)?;
            return Ok(0);
        }
        say!("{}", found.sentence)?;
        for excluded in &found.excluded {
            say!("excluded: {} ({}): {}", excluded.rater, excluded.rule, excluded.because)?;
        }
        say!("page: {}", self.out.join("results.html").display())?;
        say!("record: {}", self.out.join(results::FILE).display())?;
        Ok(0)
    }

    /// The answers, where the study has ended: all its places are answered, or its owner stopped it.
    fn answers(&self, manifest: &Manifest) -> Result<Answers, Error> {
        let answers = match &self.answers {
            Some(file) => Answers::open(file)?,
            None => self.database.with_existing(&self.study, manifest, async |store| Ok(store.export().await?))?,
        };
        let finished = answers.raters.iter().filter(|rater| rater.finished.is_some()).count();
        let places = Schedule::of(manifest).slots();
        let so_far = format!("{finished} of {} have finished", count(places, "rater"));
        if finished >= places || answers.study != manifest.study {
            return Ok(answers);
        }
        if answers.running && !self.early {
            return Err(Error::Argument(format!(
                "the study has not ended: {so_far}. Stop it on the owner's page, or look all the same with --early, which makes it likelier to find what is not there"
            )));
        }
        output::note(&so_far);
        Ok(answers)
    }
}
