//! What a rater said.

use crate::Error;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What a rater said to one trial, as it is stored, exported and analysed.
///
/// A rater and a trial have one answer: what comes again for them changes nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Who answered: a random name that says nothing of the person.
    pub rater: String,
    /// The rater's row in the [schedule](crate::schedule).
    pub slot: usize,
    /// The trial's position in that row.
    pub trial: usize,
    /// What was said.
    pub given: Given,
    /// From the moment that all pictures of the page were there (without JavaScript: that the page was sent) to the answer, in milliseconds.
    pub ms: u64,
    /// When the answer was stored, in milliseconds since 1970 UTC.
    pub at: i64,
    /// Width and height of the rater's window in CSS pixels; none without JavaScript.
    pub window: Option<[u32; 2]>,
}

/// What was said, by kind of question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum Given {
    /// One of two pictures, or neither.
    Prefer {
        /// Which one.
        choice: Choice,
    },
    /// A step of a scale.
    Rate {
        /// From 1, the lowest, to the number of steps.
        points: u32,
    },
    /// Where something is.
    Locate {
        /// What was marked.
        mark: Mark,
    },
    /// What a partly uncovered image shows.
    Reveal {
        /// The class that was named, as one of the options, or as it was typed; empty where the rater gave up.
        class: String,
        /// How many steps were uncovered when it was named, from 1 to their number.
        steps: u32,
    },
    /// Which of two models is the more reliable.
    Trust {
        /// From −2, the first clearly, over 0, both alike, to 2, the second clearly.
        leaning: i8,
    },
}

/// Which of two pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// The one that stands first: on the left, or above on a narrow window.
    First,
    /// The one that stands second.
    Second,
    /// No difference.
    Neither,
}

/// What was marked, in shares of the photo's width and height: 0 is its left or upper border, 1 its right or lower one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "with")]
pub enum Mark {
    /// A point.
    Point {
        /// From the left.
        x: f64,
        /// From above.
        y: f64,
    },
    /// A rectangle.
    Box {
        /// Its left border.
        left: f64,
        /// Its upper border.
        top: f64,
        /// Its right border.
        right: f64,
        /// Its lower border.
        bottom: f64,
    },
    /// What was painted over.
    Brush {
        /// The brush's radius, as a share of the photo's width.
        radius: f64,
        /// Strokes: lists of points `[x, y]`.
        strokes: Vec<Vec<[f64; 2]>>,
    },
    /// The rater says that it is not there.
    Nothing,
}

/// A rater, as far as an analysis needs one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rater {
    /// A random name that says nothing of the person.
    pub name: String,
    /// The rater's row in the [schedule](crate::schedule).
    pub slot: usize,
    /// By which way the rater came: `open`, `link`, `prolific`, `mturk`, `simulated`.
    pub source: String,
    /// When the rater agreed to take part, in milliseconds since 1970 UTC.
    pub began: i64,
    /// When the last answer was in; none for one who has not finished.
    pub finished: Option<i64>,
}

/// All that a study has collected: what the server exports and what is analysed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    /// The study that they were given to, as its [manifest](crate::manifest::Manifest::study) calls it.
    pub study: String,
    /// Whether the study still took new raters when they were written down.
    pub running: bool,
    /// The raters, without those who withdrew.
    pub raters: Vec<Rater>,
    /// Their answers, by rater and trial.
    pub answers: Vec<Answer>,
    /// How many raters withdrew, whose answers were deleted.
    pub withdrawn: usize,
}

impl Answers {
    /// Reads answers as they were exported.
    ///
    /// # Errors
    /// [`Error::Damaged`] where the file cannot be read or is none of this form.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let damaged = |because: String| Error::Damaged { path: path.to_owned(), because };
        let bytes = std::fs::read(path).map_err(|e| damaged(e.to_string()))?;
        serde_json::from_slice(&bytes).map_err(|e| damaged(format!("these are no answers of a study: {e}")))
    }
}
