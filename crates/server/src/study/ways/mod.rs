//! The ways by which raters come: the open address, single-use links, crowd platforms.

pub(crate) mod link;
pub(crate) mod mturk;
pub(crate) mod prolific;

pub use link::links;
pub use mturk::Mturk;
pub use prolific::Prolific;

use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// How somebody came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// By the study's address.
    Open,
    /// By a single-use link.
    Link {
        /// The link's name.
        id: String,
    },
    /// From Prolific.
    Prolific(Prolific),
    /// From Amazon Mechanical Turk.
    Mturk(Mturk),
}

impl Way {
    /// The word for Mechanical Turk, whose raters see the pages in a frame.
    pub(crate) const MTURK: &str = "mturk";

    /// In a word, as answers have it.
    pub fn word(&self) -> &'static str {
        match self {
            Way::Open => "open",
            Way::Link { .. } => "link",
            Way::Prolific(_) => "prolific",
            Way::Mturk(_) => Way::MTURK,
        }
    }

    /// Platform, the person's id there, and what the platform wants back as JSON.
    pub(crate) fn platform_id(&self) -> Option<(&'static str, &str, String)> {
        match self {
            Way::Open | Way::Link { .. } => None,
            Way::Prolific(came) => Some((self.word(), &came.pid, json(came))),
            Way::Mturk(came) => Some((self.word(), &came.worker, json(came))),
        }
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// A way that an owner opens. Single-use links work always: who has one was given it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// Anybody who knows the address.
    Address,
    /// Prolific.
    Prolific,
    /// Amazon Mechanical Turk.
    Mturk,
    /// Nobody but those with a single-use link.
    Links,
}

impl FromStr for Open {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "open" => Ok(Open::Address),
            "links" => Ok(Open::Links),
            "prolific" => Ok(Open::Prolific),
            "mturk" => Ok(Open::Mturk),
            _ => Err(format!("{text} is no way in: one of open, links, prolific, mturk")),
        }
    }
}

/// Whether something can be a platform's id.
fn is_id(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}
