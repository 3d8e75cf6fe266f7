//! The options that several commands share.

use crate::error::Error;
use crate::output;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, value_parser};
use hirescam::methods::Settings;
use hirescam::overlay::{Arrangement, Style};
use hirescam::spec::{EngineChoice, Picture};
use hirescam::{Spec, check, comparison};
use std::path::PathBuf;
use std::sync::Once;

/// The network, the target and what they need: every command has these.
pub const NETWORK: u8 = 0;
/// What runs the network.
pub const ENGINE: u8 = 1;
/// What pictures look like, and how methods of several runs work.
pub const RUNS: u8 = 2;
/// What is compared.
pub const COMPARE: u8 = 4;
/// What is checked.
pub const CHECK: u8 = 8;
/// How methods of several runs work.
#[cfg(feature = "evaluate")]
pub const SETTINGS: u8 = 16;
#[cfg(not(feature = "evaluate"))]
const SETTINGS: u8 = 16;

/// A spec as a command takes it: from a file, and from options, which count more.
pub struct Given<const PARTS: u8>(ArgMatches);

impl<const PARTS: u8> Given<PARTS> {
    /// The spec.
    ///
    /// # Errors
    /// Those of [`Spec::open`].
    pub fn spec(&self) -> Result<Spec, Error> {
        let mut given = self.0.clone();
        let mut spec = match given.remove_one::<PathBuf>("spec") {
            Some(path) => Spec::open(path)?,
            None => Spec::default(),
        };
        // Defaults are the spec's own.
        let ids: Vec<String> = given.ids().map(|id| id.to_string()).collect();
        for id in &ids {
            if given.value_source(id) != Some(ValueSource::CommandLine) {
                given.try_clear_id(id).map_err(|error| Error::Argument(error.to_string()))?;
            }
        }
        if ["classes", "top", "target"].into_iter().any(|id| given.contains_id(id)) {
            (spec.classes, spec.top, spec.target) = (Vec::new(), None, None);
        }
        let mut update = || {
            spec.update_from_arg_matches_mut(&mut given)?;
            if PARTS & ENGINE > 0 {
                spec.engine.update_from_arg_matches_mut(&mut given)?;
            }
            if PARTS & RUNS > 0 {
                spec.picture.update_from_arg_matches_mut(&mut given)?;
            }
            if PARTS & (RUNS | SETTINGS) > 0 {
                spec.settings.update_from_arg_matches_mut(&mut given)?;
            }
            if PARTS & COMPARE > 0 {
                spec.compare.update_from_arg_matches_mut(&mut given)?;
            }
            if PARTS & CHECK > 0 {
                spec.check.update_from_arg_matches_mut(&mut given)?;
            }
            Ok(())
        };
        update().map_err(|error: clap::Error| Error::Argument(error.to_string()))?;
        if PARTS & ENGINE > 0 {
            let (engine, note) = spec.engine.settled();
            spec.engine = engine;
            note.iter().for_each(|note| output::note(note));
        }
        Ok(spec)
    }
}

impl<const PARTS: u8> FromArgMatches for Given<PARTS> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Given(matches.clone()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0 = matches.clone();
        Ok(())
    }
}

impl<const PARTS: u8> Args for Given<PARTS> {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new("spec").long("spec").value_name("FILE").value_parser(value_parser!(PathBuf)).help(
            "A file that says all this: TOML or JSON, or the record of an explanation (.json), which is repeated; options given \
             beside it count more",
        );
        let mut command = Spec::augment_args_for_update(command).arg(file);
        if PARTS & ENGINE > 0 {
            command = EngineChoice::augment_args_for_update(command);
        }
        if PARTS & COMPARE > 0 {
            command = comparison::Plan::augment_args_for_update(command);
        }
        if PARTS & CHECK > 0 {
            command = check::Plan::augment_args_for_update(command);
        }
        if PARTS & RUNS > 0 {
            command = Picture::augment_args_for_update(command);
        }
        if PARTS & (RUNS | SETTINGS) > 0 {
            command = Settings::augment_args_for_update(command);
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// Says once what a picture's words hold that no font can write.
pub fn note_missing(style: &Style, words: &str) -> Result<(), Error> {
    static SAID: Once = Once::new();
    let missing = if style.layout == Arrangement::Plain {
        String::new()
    } else {
        style.missing(words).map_err(hirescam::Error::from)?
    };
    if !missing.is_empty() {
        SAID.call_once(|| {
            output::note(&format!("pictures have boxes for {missing}: a font that can write it can be given with --font (not for scripts that run from right to left, or whose letters join)"));
        });
    }
    Ok(())
}

/// Where results go.
#[derive(Args)]
pub struct Out {
    /// Where pictures, maps and records go
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,
    /// Replace what another run left there. Results of the same image and options are replaced anyway, and what the command
    /// reads never is
    #[arg(long)]
    pub overwrite: bool,
}
