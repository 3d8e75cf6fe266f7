//! `hirescam study links`: links that work once.

use super::database::Database;
use crate::error::Error;
use crate::output::say;
use clap::Args;
use hirescam_server::study::{authority, now, ways};
use hirescam_study::Manifest;
use std::path::PathBuf;

/// Write links that work once.
#[derive(Args)]
pub struct Links {
    /// The study's folder, as `hirescam study build` made it
    study: PathBuf,
    #[command(flatten)]
    database: Database,
    /// How many
    #[arg(short = 'n', long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    number: u32,
    /// For how many days they can be used
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// The address by which raters reach the server
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: String,
}

impl Links {
    /// Runs the command, and gives the exit code.
    pub fn run(&self) -> Result<u8, Error> {
        authority(&self.url)?;
        let manifest = Manifest::open(&self.study)?;
        let expires = now() + i64::from(self.days) * 24 * 3600 * 1000;
        let links = self
            .database
            .with(&self.study, &manifest, async |store| Ok(ways::links(&store, self.number as usize, expires)?))?;
        for link in links {
            say!("{}{link}", self.url.trim_end_matches('/'))?;
        }
        Ok(0)
    }
}
