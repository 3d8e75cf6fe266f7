//! `hirescam study simulate`: answers of raters by a stated model, in place of people.

use crate::error::Error;
use crate::output::{self, say};
use clap::Args;
use hirescam::sink;
use hirescam_study::schedule::Schedule;
use hirescam_study::simulate::{World, simulate};
use hirescam_study::text::count;
use hirescam_study::{Key, results};
use std::path::PathBuf;

/// Simulate raters.
#[derive(Args)]
pub struct Simulate {
    /// The study's folder, as `hirescam study build` made it
    study: PathBuf,
    /// The key, which tells the arms [default: beside the folder, DIR-key.json]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// By how much the better arm is better, in the units of test.effect in the design [default: test.effect]
    #[arg(long, value_name = "NUMBER")]
    effect: Option<f64>,
    /// The better arm, by name [default: the design's first]
    #[arg(long, value_name = "ARM")]
    better: Option<String>,
    /// The seed that draws the answers
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where the answers go, in the form of `hirescam study export`: a file that is not there yet
    #[arg(short, long, value_name = "FILE", default_value = "simulated-answers.json")]
    out: PathBuf,
}

impl Simulate {
    /// Runs the command, and gives the exit code.
    pub fn run(&self) -> Result<u8, Error> {
        if self.out.symlink_metadata().is_ok() {
            let what = "it is there already, and may hold answers of people: nothing is replaced".into();
            return Err(Error::File { path: self.out.clone(), what });
        }
        let key = self.key.clone().unwrap_or_else(|| Key::beside(&self.study));
        let (manifest, key) = results::open(&self.study, &key)?;
        let first = || key.design.arms.first().map_or(String::new(), |arm| arm.name.clone());
        let better = self.better.clone().unwrap_or_else(first);
        let Some(arm) = key.arms.iter().position(|arm| arm.name == better) else {
            let names: Vec<&str> = key.arms.iter().map(|arm| arm.name.as_str()).collect();
            return Err(Error::Argument(format!("{better} is no arm of the study: it has {}", names.join(", "))));
        };
        let effect = self.effect.unwrap_or(key.design.test.effect);
        let [none, most] = manifest.question.effects();
        if !(none..most).contains(&effect) {
            let kind = manifest.question.word();
            return Err(Error::Argument(format!(
                "--effect is {effect}: of {kind}, {none} (no difference) up to, but not, {most} is wanted"
            )));
        }
        let world = World::one_better(&manifest, Some(&key), &key.design.assume, arm, effect);
        let answers = simulate(&manifest, &Schedule::of(&manifest), &world, self.seed);
        let json = serde_json::to_vec_pretty(&answers).map_err(|e| Error::Argument(e.to_string()))?;
        output::folder_of(&self.out)?;
        sink::write(&self.out, &json).map_err(|e| Error::File { path: self.out.clone(), what: e.to_string() })?;
        say!(
            "{} of {}, to whom {better} is better by {effect}: {}",
            count(answers.answers.len(), "answer"),
            count(answers.raters.len(), "simulated rater"),
            self.out.display()
        )?;
        Ok(0)
    }
}
