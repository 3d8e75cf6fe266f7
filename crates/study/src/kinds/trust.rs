//! Which of two models is the more reliable.

use crate::Error;
use serde::{Deserialize, Serialize};

/// Trust: two models' explanations of the same class of one photo side by side; which model is the more reliable, on five steps from the
/// one clearly to the other clearly. As in Grad-CAM's study of trust (Selvaraju et al. 2017, arXiv 1610.02391, section 5.2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Trust {
    /// The question as raters read it; `{class}` stands for the class's name.
    pub text: String,
}

impl Default for Trust {
    fn default() -> Self {
        Trust {
            text: "Two programs both say that this is a {class}, and show where they looked. Which one is the more reliable?"
                .into(),
        }
    }
}

impl Trust {
    pub(super) fn check(&self) -> Result<(), Error> {
        super::text(&self.text)
    }

    pub(super) fn accepts(&self, leaning: i8) -> Result<(), Error> {
        match leaning {
            -2..=2 => Ok(()),
            _ => Err(Error::Answer(format!("{leaning} is none of the five steps from -2 to 2"))),
        }
    }
}
