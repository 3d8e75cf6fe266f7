//! Lists of methods for people. Those that take several runs need an engine, and add their rows where they have one.

use super::methods::{Guarantee, METHODS, Method};
use std::borrow::Cow;
use std::fmt::Write;

/// A method in the list.
#[derive(Clone, Debug)]
pub struct MethodRow {
    /// The name in options and records.
    pub name: &'static str,
    /// The name in prose.
    pub title: &'static str,
    /// The formula of the raw map.
    pub formula: &'static str,
    /// Forward passes for an image.
    pub cost: &'static str,
    /// What is proven of the map.
    pub proven: Cow<'static, str>,
    /// Author, year, where.
    pub source: &'static str,
    /// Whether the map is in units of the score, so that it can be compared with others of which that is true.
    pub scored: bool,
    /// Whether Σ map (of CAM, over the number of places) is to be held against the score. Where each cell is a score or a
    /// difference of scores for itself, the sum means nothing.
    pub additive: bool,
}

impl Method {
    /// What there is to say of the method.
    pub fn row(&self) -> MethodRow {
        let (uniform, other) = ((self.guarantee)(true), (self.guarantee)(false));
        let proven = match uniform == other {
            true => other.words().into(),
            false => format!("{}; where the gradient is uniform, {}", other.words(), uniform.words()).into(),
        };
        MethodRow {
            name: self.name,
            title: self.title,
            formula: self.formula,
            cost: "1",
            proven,
            source: self.source,
            scored: self.scored,
            additive: self.scored || uniform == Guarantee::Mean,
        }
    }
}

/// The methods that one run is enough for.
pub fn one_run() -> Vec<MethodRow> {
    METHODS.iter().map(Method::row).collect()
}

/// Methods as a table in Markdown.
pub fn table(rows: &[MethodRow]) -> String {
    let mut text = "| method | formula | forward passes | proven | source |\n|---|---|---|---|---|\n".to_owned();
    for r in rows {
        let formula = r.formula.replace('|', "\\|");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| `{}` {} | {formula} | {} | {} | {} |", r.name, r.title, r.cost, r.proven, r.source);
    }
    text
}
