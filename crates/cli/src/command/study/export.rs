//! `hirescam study export`: a study's answers as files.

use super::database::Database;
use crate::error::Error;
use crate::output::say;
use clap::Args;
use hirescam_server::study::export;
use hirescam_study::Manifest;
use hirescam_study::text::count;
use std::path::PathBuf;

/// Write a study's answers.
#[derive(Args)]
pub struct Export {
    /// The study's folder, as `hirescam study build` made it
    study: PathBuf,
    #[command(flatten)]
    database: Database,
    /// Where the files go: answers.json, answers.csv, raters.csv and codebook.md. Those of an earlier export are replaced
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
}

impl Export {
    /// Runs the command, and gives the exit code.
    pub fn run(&self) -> Result<u8, Error> {
        let manifest = Manifest::open(&self.study)?;
        let answers = self.database.with_existing(&self.study, &manifest, async |store| Ok(store.export().await?))?;
        export::write(&manifest, &answers, &self.out)?;
        say!(
            "{} of {} in {} ({} withdrew)",
            count(answers.answers.len(), "answer"),
            count(answers.raters.len(), "rater"),
            self.out.display(),
            count(answers.withdrawn, "rater")
        )?;
        Ok(0)
    }
}
