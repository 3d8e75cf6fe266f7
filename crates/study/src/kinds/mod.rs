//! The kinds of question, one file each: what is shown, what may be answered.

mod locate;
mod prefer;
mod rate;
mod reveal;
mod trust;

pub use locate::{Locate, Tool};
pub use prefer::Prefer;
pub use rate::Rate;
pub use reveal::Reveal;
pub use trust::Trust;

use crate::answer::Given;
use crate::{Error, manifest::Item};
use serde::{Deserialize, Serialize};

/// What is asked of each item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum Question {
    /// Which of two pictures is better, or no difference.
    Prefer(Prefer),
    /// How good one picture is, on a scale.
    Rate(Rate),
    /// Where the object is; the rater sees no map.
    Locate(Locate),
    /// What the image shows, while it is uncovered in the order of a map.
    Reveal(Reveal),
    /// Which of two models is the more reliable, by their explanations.
    Trust(Trust),
}

/// What a trial of a question shows of the arms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// Two arms at once.
    Two,
    /// One arm.
    One,
    /// None: only the photo.
    None,
}

impl Question {
    /// In a word, as in the file.
    pub fn word(&self) -> &'static str {
        match self {
            Question::Prefer(_) => "prefer",
            Question::Rate(_) => "rate",
            Question::Locate(_) => "locate",
            Question::Reveal(_) => "reveal",
            Question::Trust(_) => "trust",
        }
    }

    /// What a trial shows of the arms.
    pub fn shows(&self) -> Shows {
        match self {
            Question::Prefer(_) | Question::Trust(_) => Shows::Two,
            Question::Rate(_) | Question::Reveal(_) => Shows::One,
            Question::Locate(_) => Shows::None,
        }
    }

    /// What [`Test::effect`](crate::design::Test::effect) lies between: no difference, and more than any two arms could differ by.
    pub fn effects(&self) -> [f64; 2] {
        match self {
            Question::Prefer(_) | Question::Trust(_) => [0.5, 1.0],
            Question::Rate(of) => [0.0, f64::from(of.steps.saturating_sub(1))],
            Question::Reveal(_) | Question::Locate(_) => [0.0, 1.0],
        }
    }

    /// The question as raters read it; `{class}` stands for the class's name.
    pub fn text(&self) -> &str {
        match self {
            Question::Prefer(of) => &of.text,
            Question::Rate(of) => &of.text,
            Question::Locate(of) => &of.text,
            Question::Reveal(of) => &of.text,
            Question::Trust(of) => &of.text,
        }
    }

    /// Refuses parameters out of their range.
    ///
    /// # Errors
    /// [`Error::Design`] naming the field.
    pub fn check(&self) -> Result<(), Error> {
        match self {
            Question::Prefer(of) => of.check(),
            Question::Rate(of) => of.check(),
            Question::Locate(of) => of.check(),
            Question::Reveal(of) => of.check(),
            Question::Trust(of) => of.check(),
        }
    }

    /// Refuses what is no answer to it.
    ///
    /// # Errors
    /// [`Error::Answer`] with the reason.
    pub fn accepts(&self, item: &Item, given: &Given) -> Result<(), Error> {
        match (self, given) {
            (Question::Prefer(of), Given::Prefer { choice }) => of.accepts(*choice),
            (Question::Rate(of), Given::Rate { points }) => of.accepts(*points),
            (Question::Locate(of), Given::Locate { mark }) => of.accepts(mark),
            (Question::Reveal(of), Given::Reveal { class, steps }) => of.accepts(item, class, *steps),
            (Question::Trust(of), Given::Trust { leaning }) => of.accepts(*leaning),
            _ => Err(Error::Answer(format!("the question is of the kind {}", self.word()))),
        }
    }
}

/// Refuses a question without words, or with something in braces that nothing stands for.
fn text(text: &str) -> Result<(), Error> {
    if text.trim().is_empty() {
        return Err(Error::Design("question.text is empty".into()));
    }
    match text.replace("{class}", "").contains(['{', '}']) {
        true => Err(Error::Design(format!("question.text is {text:?}: nothing but {{class}} is known in braces"))),
        false => Ok(()),
    }
}
