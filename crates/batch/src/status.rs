//! How far a job is.

use crate::error::Error;
use crate::plan::Planned;
use crate::receipt::{Receipt, Receipts};
use crate::store::Store;
use serde::Serialize;

/// The rate is that of so many shards that were done last.
const LAST: usize = 20;

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// How many shards there are.
    pub shards: usize,
    /// How many are done.
    pub done: usize,
    /// How many images there are.
    pub images: u64,
    /// How many are in shards that are done.
    pub images_done: u64,
    /// How many of these failed.
    pub failed: u64,
    /// How many rows there are.
    pub rows: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// Images a second of all workers together, over the last shards; none where nothing is done.
    pub rate: Option<f64>,
    /// How many seconds are left at that rate; none where there is none, or nothing is left.
    pub seconds_left: Option<f64>,
    /// When the last shard was done, in seconds since 1970.
    pub last: Option<f64>,
    /// The fingerprint.
    pub fingerprint: String,
}

/// How far a job is, as its receipts say.
///
/// # Errors
/// Those of [`Planned::open`] and [`Receipts::each`].
pub fn status(out: &str) -> Result<Status, Error> {
    let out = Store::open(out)?;
    let planned = Planned::open(&out)?;
    let receipts = Receipts::list(&out, &planned)?.read(&out)?;
    let sum = |of: fn(&Receipt) -> u64| receipts.iter().map(of).sum();
    let images_done: u64 = sum(|receipt| receipt.images);
    let rate = rate(&receipts);
    let left = planned.images.saturating_sub(images_done);
    Ok(Status {
        shards: planned.shards,
        done: receipts.len(),
        images: planned.images,
        images_done,
        failed: sum(|receipt| receipt.failed),
        rows: sum(|receipt| receipt.rows),
        bytes: sum(|receipt| receipt.bytes),
        rate,
        seconds_left: rate.filter(|_| left > 0).map(|rate| left as f64 / rate),
        last: receipts.iter().map(|receipt| receipt.finished).reduce(f64::max),
        fingerprint: planned.fingerprint,
    })
}

/// Images a second over the last shards, from when the first of them was begun.
fn rate(receipts: &[Receipt]) -> Option<f64> {
    let mut last: Vec<&Receipt> = receipts.iter().collect();
    last.sort_by(|a, b| b.finished.total_cmp(&a.finished));
    last.truncate(LAST);
    let begun = last.iter().map(|receipt| receipt.finished - receipt.seconds).reduce(f64::min)?;
    let images: u64 = last.iter().map(|receipt| receipt.images).sum();
    let seconds = last.first()?.finished - begun;
    Some(images as f64 / seconds).filter(|rate| rate.is_finite() && *rate > 0.0)
}
