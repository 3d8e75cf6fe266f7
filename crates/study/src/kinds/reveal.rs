//! What an image shows that is uncovered bit by bit.

use crate::{Error, manifest::Item};
use serde::{Deserialize, Serialize};

/// Uncovering: the image is uncovered in the order of one arm's map, most important places first, until the rater names the class; the less had
/// to be uncovered, the better the map. As in Lu et al. 2021 (arXiv 2107.00456), after Peekaboom (von Ahn et al. 2006).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reveal {
    /// The question as raters read it. It cannot name the class.
    pub text: String,
    /// In how many steps the image is uncovered, 2 to 50; the last shows all of it.
    pub steps: u32,
    /// How many classes the rater chooses among, the right one and others, drawn for each item; 0 to have the name typed.
    pub options: usize,
}

impl Default for Reveal {
    fn default() -> Self {
        Reveal { text: "What does the picture show? Answer as soon as you know.".into(), steps: 20, options: 5 }
    }
}

impl Reveal {
    /// More than any class's name has, in bytes.
    const LONGEST: usize = 200;

    pub(super) fn check(&self) -> Result<(), Error> {
        super::text(&self.text)?;
        if self.text.contains("{class}") {
            return Err(Error::Design("question.text names the {class}, which is what raters are to find out".into()));
        }
        match (self.steps, self.options) {
            (2..=50, options) if options != 1 => Ok(()),
            (2..=50, _) => Err(Error::Design("question.options is 1: there would be nothing to choose".into())),
            (steps, _) => Err(Error::Design(format!("question.steps is {steps}: an image is uncovered in 2 to 50"))),
        }
    }

    pub(super) fn accepts(&self, item: &Item, class: &str, steps: u32) -> Result<(), Error> {
        if !(1..=self.steps).contains(&steps) {
            return Err(Error::Answer(format!("{steps} is no step among {}", self.steps)));
        }
        let known = class.is_empty() || item.options.is_empty() || item.options.iter().any(|option| option == class);
        match known && class.len() <= Self::LONGEST {
            true => Ok(()),
            false => Err(Error::Answer("the class is none of those to choose from".into())),
        }
    }
}
