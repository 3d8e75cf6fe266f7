//! A built study as it is served: what a rater sees next, and the files that may be shown.

use crate::study::Error;
use hirescam_study::Error as StudyError;
use hirescam_study::manifest::{Item, Manifest, Role, as_built};
use hirescam_study::schedule::{Schedule, Trial};
use std::path::{Path, PathBuf};

/// A built study.
pub struct Study {
    /// What it says.
    pub manifest: Manifest,
    schedule: Schedule,
    folder: PathBuf,
}

impl Study {
    /// Opens the study that was built into `folder`, and checks it and every picture against their hashes.
    ///
    /// # Errors
    /// [`Error::Study`] naming the file that is missing, broken or was changed, or where there is nothing to ask.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let manifest = Manifest::open(folder)?;
        let schedule = Schedule::of(&manifest);
        if schedule.slots() == 0 {
            return Err(StudyError::Design(format!("{}: the study asks nothing", folder.display())).into());
        }
        Ok(Study { manifest, schedule, folder: folder.to_owned() })
    }

    /// How many raters there is room for.
    pub fn slots(&self) -> usize {
        self.schedule.slots()
    }

    /// What the rater of a slot sees, in order.
    ///
    /// # Errors
    /// [`Error::Study`] where there is no such slot.
    pub fn trials(&self, slot: usize) -> Result<&[Trial], Error> {
        Ok(self.schedule.trials(slot)?)
    }

    /// What a trial is about.
    ///
    /// # Errors
    /// [`Error::Study`] where the manifest has no such item.
    pub fn item(&self, trial: &Trial) -> Result<&Item, Error> {
        let item = self.manifest.items.get(trial.item);
        Ok(item.ok_or_else(|| StudyError::Answer(format!("there is no item {}", trial.item)))?)
    }

    /// How many of a rater's trials are practice; they come first.
    pub fn practice(&self) -> usize {
        self.manifest.items.iter().filter(|item| item.role == Role::Practice).count()
    }

    /// The pictures of a trial, one list for each arm that is shown.
    pub fn pictures<'a>(&'a self, trial: &'a Trial) -> impl Iterator<Item = &'a [String]> {
        let pictures = self.manifest.items.get(trial.item).map_or(&[][..], |item| &item.pictures);
        trial.arms.iter().filter_map(|&arm| pictures.get(arm)).map(Vec::as_slice)
    }

    /// All files that the page of a trial shows.
    pub fn shown<'a>(&'a self, trial: &'a Trial) -> impl Iterator<Item = &'a String> {
        // Of what is uncovered step by step the photo would give all away.
        let photo = match self.manifest.question {
            hirescam_study::kinds::Question::Reveal(_) => None,
            _ => self.manifest.items.get(trial.item).map(|item| &item.photo),
        };
        photo.into_iter().chain(self.pictures(trial).flatten())
    }

    /// A file that the manifest names, as it was when the study was built. None for any other file.
    ///
    /// # Errors
    /// [`Error::Study`] where it is missing or was changed.
    pub async fn file(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let Some(sha256) = self.manifest.files.get(name) else { return Ok(None) };
        let path = self.folder.join(name);
        let bytes = tokio::fs::read(&path).await;
        Ok(Some(as_built(path, bytes, sha256)?))
    }
}
