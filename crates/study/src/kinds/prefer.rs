//! Which of two pictures is better.

use crate::Error;
use crate::answer::Choice;
use serde::{Deserialize, Serialize};

/// Paired preference: the photo, and two arms' maps of it side by side. As in Grad-CAM's study of two visualisations (Selvaraju et al. 2017,
/// arXiv 1610.02391, section 5), with a third answer for no difference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prefer {
    /// The question as raters read it; `{class}` stands for the class's name.
    pub text: String,
    /// Whether "no difference" may be answered.
    pub neither: bool,
}

impl Default for Prefer {
    fn default() -> Self {
        Prefer { text: "Which picture shows better where the {class} is?".into(), neither: true }
    }
}

impl Prefer {
    pub(super) fn check(&self) -> Result<(), Error> {
        super::text(&self.text)
    }

    pub(super) fn accepts(&self, choice: Choice) -> Result<(), Error> {
        match choice {
            Choice::Neither if !self.neither => Err(Error::Answer("one of the two has to be chosen".into())),
            _ => Ok(()),
        }
    }
}
