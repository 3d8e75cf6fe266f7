//! `hirescam study build`: blinded pictures in a folder, and the key that lies apart.

use crate::error::Error;
use crate::output::{self, say};
use crate::progress;
use clap::Args;
use hirescam_study::build::{Progress, build};
use hirescam_study::manifest::{KeyItem, Role};
use hirescam_study::schedule::Schedule;
use hirescam_study::{Design, Key, Manifest, text};
use std::path::{Path, PathBuf};

/// Build a study.
#[derive(Args)]
pub struct Build {
    /// The design, a TOML file (docs/study.md); paths in it are relative to it
    study: PathBuf,
    /// Where the study goes: a folder that is not there yet
    #[arg(short, long, value_name = "DIR", default_value = "study")]
    out: PathBuf,
    /// Where the key goes, which says which arm is which: outside of the folder [default: beside it, DIR-key.json]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

impl Build {
    /// Runs the command, and gives the exit code.
    pub fn run(&self) -> Result<u8, Error> {
        let design = Design::open(&self.study)?;
        let base = self.study.parent().unwrap_or_else(|| Path::new(""));
        let key_file = self.key.clone().unwrap_or_else(|| Key::beside(&self.out));
        let bar = progress::steps();
        let (manifest, key) = build(&design, base, &self.out, &key_file, &mut |progress: &Progress| {
            bar.set_message(progress.what);
            bar.set_length(progress.of as u64);
            bar.set_position(progress.done as u64);
        })?;
        bar.finish_and_clear();
        self.tell(&manifest, &key, &key_file)?;
        Ok(u8::from(!key.failed.is_empty()))
    }

    fn tell(&self, manifest: &Manifest, key: &Key, key_file: &Path) -> Result<(), Error> {
        for (image, why) in &key.failed {
            output::error(&format!("{image}: {why}"));
        }
        let count = |role: Role| manifest.items.iter().filter(|item| item.role == role).count();
        let views = |item: &KeyItem| -> Vec<[f64; 4]> { item.maps.iter().map(|map| map.view).collect() };
        if key.items.iter().any(|item| views(item).windows(2).any(|two| two.first() != two.last())) {
            output::note(
                "the arms' networks see different parts of the photos, and raters could tell arms by the pale border: give all arms one `spec.preprocess`, or photos of the networks' shape",
            );
        }
        let (repeats, again) = (manifest.raters.repeats, manifest.raters.repeated(count(Role::Counts)));
        if again < repeats {
            output::note(&format!("raters.repeats is {repeats}, and a rater sees too few items: {again} come again"));
        }
        say!(
            "{}, {} for practice and {}, {}, {} in {}",
            text::count(count(Role::Counts), "item"),
            count(Role::Practice),
            text::count(count(Role::Check), "check"),
            text::count(manifest.arms, "arm"),
            text::count(manifest.files.len(), "picture"),
            self.out.display()
        )?;
        say!("raters that it takes: {}", Schedule::of(manifest).slots())?;
        say!("the key, which nobody opens before the answers are in: {}", key_file.display())?;
        say!("to be registered before the first answer: {}", self.out.join(Manifest::PREREGISTRATION).display())?;
        say!("next: hirescam study serve {}", self.out.display())?;
        // Last, where it is read: raters' time goes into these items for nothing.
        let counting = manifest.items.iter().zip(&key.items).filter(|(item, _)| item.role == Role::Counts);
        let same = counting.filter(|(_, of_key)| of_key.same).count();
        if same > 0 {
            output::note(&format!(
                "of {same} of {} all arms' maps look the same, so that raters can tell nothing there, and results leave them out; where the gradient is uniform HiResCAM and Grad-CAM are one map",
                text::count(count(Role::Counts), "item")
            ));
        }
        Ok(())
    }
}
