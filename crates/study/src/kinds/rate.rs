//! How good a picture is.

use crate::Error;
use serde::{Deserialize, Serialize};

/// A rating: the photo and one arm's map of it, on a scale of steps (Likert 1932).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rate {
    /// The question as raters read it; `{class}` stands for the class's name.
    pub text: String,
    /// How many steps the scale has, 2 to 11.
    pub steps: u32,
    /// What the lowest step means.
    pub lowest: String,
    /// What the highest step means.
    pub highest: String,
}

impl Default for Rate {
    fn default() -> Self {
        Rate {
            text: "How well does the picture show where the {class} is?".into(),
            steps: 5,
            lowest: "not at all".into(),
            highest: "very well".into(),
        }
    }
}

impl Rate {
    pub(super) fn check(&self) -> Result<(), Error> {
        super::text(&self.text)?;
        match self.steps {
            2..=11 => Ok(()),
            steps => Err(Error::Design(format!("question.steps is {steps}: a scale has 2 to 11"))),
        }
    }

    pub(super) fn accepts(&self, points: u32) -> Result<(), Error> {
        match (1..=self.steps).contains(&points) {
            true => Ok(()),
            false => Err(Error::Answer(format!("{points} is no step of a scale from 1 to {}", self.steps))),
        }
    }
}
