//! Where something is.

use crate::Error;
use crate::answer::Mark;
use serde::{Deserialize, Serialize};

/// Finding the object: the rater sees the photo alone and marks it; the overlap with each arm's map is found afterwards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Locate {
    /// The question as raters read it; `{class}` stands for the class's name.
    pub text: String,
    /// What is marked with.
    pub tool: Tool,
    /// Whether "it is not there" may be answered.
    pub nothing: bool,
}

/// What is marked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tool {
    /// A point.
    Point,
    /// A rectangle.
    Box,
    /// A brush, which needs JavaScript.
    Brush,
}

impl Default for Locate {
    fn default() -> Self {
        Locate { text: "Mark the {class}.".into(), tool: Tool::Box, nothing: true }
    }
}

impl Locate {
    /// More than anybody paints.
    const MOST_POINTS: usize = 20_000;

    pub(super) fn check(&self) -> Result<(), Error> {
        super::text(&self.text)
    }

    pub(super) fn accepts(&self, mark: &Mark) -> Result<(), Error> {
        let inside = |values: &[f64]| values.iter().all(|v| (0.0..=1.0).contains(v));
        let refuse = |why: &str| Err(Error::Answer(why.into()));
        match (mark, self.tool) {
            (Mark::Nothing, _) if !self.nothing => refuse("something has to be marked"),
            (Mark::Nothing, _) => Ok(()),
            (Mark::Point { x, y }, Tool::Point) if inside(&[*x, *y]) => Ok(()),
            (Mark::Box { left, top, right, bottom }, Tool::Box) => {
                match inside(&[*left, *top, *right, *bottom]) && left < right && top < bottom {
                    true => Ok(()),
                    false => refuse("the rectangle has to lie within the photo and to have a size"),
                }
            }
            (Mark::Brush { radius, strokes }, Tool::Brush) => {
                let points = strokes.iter().map(Vec::len).sum::<usize>();
                match inside(&[*radius]) && *radius > 0.0 && (1..=Self::MOST_POINTS).contains(&points) {
                    true if strokes.iter().flatten().all(|at| inside(at)) => Ok(()),
                    _ => refuse("strokes have to lie within the photo"),
                }
            }
            (Mark::Point { .. }, Tool::Point) => refuse("the point has to lie within the photo"),
            _ => refuse("it was marked with another tool than was asked for"),
        }
    }
}
