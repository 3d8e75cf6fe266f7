//! `hirescam study serve`: a built study on pages that raters answer.

use super::database::Database;
use crate::error::Error;
use crate::output::{self, say};
use clap::Args;
use hirescam_server::study::ways::Open;
use hirescam_server::study::{App, Options, Served, Study};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Serve a built study.
#[derive(Args)]
pub struct Serve {
    /// The study's folder, as `hirescam study build` made it
    study: PathBuf,
    #[command(flatten)]
    database: Database,
    /// Where to listen. Others than this machine need --url, and a server in front that speaks TLS (docs/study-serving.md)
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The address by which raters reach the server, where it is another one: https://study.example.org
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Where raters may come from, beside the links of `hirescam study links`: open, links, prolific, mturk
    #[arg(long, value_name = "WAY,…", value_delimiter = ',', default_value = "open", value_parser = Open::from_str)]
    from: Vec<Open>,
    /// For how many minutes a place is kept for a rater of whom nothing is heard
    #[arg(long, value_name = "MINUTES", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    hold: u32,
}

impl Serve {
    /// Runs the command, and gives the exit code.
    pub fn run(&self) -> Result<u8, Error> {
        let study = Study::open(&self.study)?;
        let slots = study.slots();
        let options = Options {
            ways: self.from.clone(),
            hold: Duration::from_secs(u64::from(self.hold) * 60),
            url: self.url.clone(),
            trouble: output::error,
        };
        self.database.with(&self.study, &study.manifest.clone(), async |store| {
            let app = App::new(study, store, options)?;
            let mut said = Ok(());
            hirescam_server::study::serve(app, self.listen, |served| said = self.tell(served, slots)).await?;
            said
        })?;
        Ok(0)
    }

    fn tell(&self, served: &Served, slots: usize) -> Result<(), Error> {
        let Served { url, address, owner_token, .. } = served;
        say!("the study, with {slots} places: {url}/")?;
        for (open, path) in [
            (
                Open::Prolific,
                "prolific?PROLIFIC_PID={{%PROLIFIC_PID%}}&STUDY_ID={{%STUDY_ID%}}&SESSION_ID={{%SESSION_ID%}}",
            ),
            (Open::Mturk, "mturk"),
        ] {
            if self.from.contains(&open) {
                say!("raters come by {url}/{path}")?;
            }
        }
        say!("the owner's page: {url}/owner")?;
        say!("its token, which changes at each start: {owner_token}")?;
        if !address.ip().is_loopback() && !url.starts_with("https://") {
            output::note(
                "raters' answers and the owner's token go over the network in the clear: put a server that speaks TLS in front, and name its address by --url https://… (docs/study-serving.md)",
            );
        }
        say!("Ctrl-C ends it; every answer that was acknowledged is on the disk")
    }
}
