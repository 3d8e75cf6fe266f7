//! Single-use links: a random name and a moment, signed. They are used when somebody begins, not when they are opened: what looks at links
//! before people do uses none up.

use crate::study::Error;
use crate::study::store::Store;
use crate::study::token::{self, For, Signer};

/// The paths of `count` new links that can be used until `expires`, in milliseconds since 1970 UTC.
///
/// # Errors
/// [`Error::Invalid`] where the system has no random numbers.
pub fn links(store: &Store, count: usize, expires: i64) -> Result<Vec<String>, Error> {
    let signer = Signer::new(store.secret())?;
    let link = |_| Ok(format!("/link/{}", signer.sign(For::Link, &format!("{}.{expires}", token::random()?))));
    (0..count).map(link).collect()
}

/// What a link is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// One of ours, by name.
    Link(String),
    /// One of ours, and too old.
    Expired,
    /// None of ours.
    Forged,
}

pub(crate) fn read(signer: &Signer, link: &str, now: i64) -> Found {
    let parts = signer.open(For::Link, link).and_then(|text| text.split_once('.'));
    match parts.and_then(|(id, expires)| Some((id, expires.parse::<i64>().ok()?))) {
        Some((id, expires)) if now < expires => Found::Link(id.to_owned()),
        Some(_) => Found::Expired,
        None => Found::Forged,
    }
}
