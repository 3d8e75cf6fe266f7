//! Which parts count: a list that only grows.

use super::done::{Done, unhex};
use super::{COMMITS, Part, RECEIPTS, ROWS, damaged, receipt};
use crate::error::Error;
use crate::store::Store;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// A part that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    pub(super) file: String,
    pub(super) images: u64,
    pub(super) rows: u64,
    pub(super) failed: u64,
}

/// What a commit adds.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Commit {
    /// Parts that count, by name.
    parts: BTreeMap<String, Counts>,
    /// Parts that do not, for they share images with others.
    left_out: BTreeSet<String>,
}

/// How much counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counted {
    /// Parts.
    pub parts: u64,
    /// Images in them.
    pub images: u64,
    /// Images that failed.
    pub failed: u64,
    /// Rows.
    pub rows: u64,
    /// Images that are in parts which do not count, and in no other.
    pub left: u64,
}

/// Says which parts count, of those that were published: all but those that share an image with others that do. It can be called at any time, from anywhere; the
/// list that comes of it only grows. Files of rows that nobody will count are cleared away.
///
/// # Errors
/// Of the store [`Error::Store`] and [`Error::Full`]; [`Error::Damaged`] for a receipt or list that is none.
pub fn commit(out: &str) -> Result<Counted, Error> {
    let store = Store::open(out)?;
    loop {
        let log = Log::read(&store)?;
        let found = store.list(RECEIPTS)?.into_iter();
        let names: Vec<String> = found
            .filter_map(|found| {
                Some(found.name.strip_suffix(".json")?.strip_prefix(RECEIPTS)?.strip_prefix('/')?.to_owned())
            })
            .collect();
        let known = |name: &String| log.counts.contains_key(name) || log.left_out.contains(name);
        let (old, new): (Vec<String>, Vec<String>) =
            names.into_iter().filter(|name| name.starts_with("part-")).partition(known);
        let mut counted = log.counted();
        if new.is_empty() && log.left_out.is_empty() {
            return clear(&store, &log).map(|()| counted);
        }
        let mut images = HashSet::new();
        let mut left = HashSet::new();
        each_part(&store, old, |part| {
            let to = if log.counts.contains_key(&part.name) { &mut images } else { &mut left };
            to.extend(part.images);
            Ok(())
        })?;
        if new.is_empty() {
            counted.left = left.difference(&images).count() as u64;
            return clear(&store, &log).map(|()| counted);
        }
        let mut commit = Commit::default();
        each_part(&store, new, |part| {
            if part.images.iter().any(|image| images.contains(image)) {
                commit.left_out.insert(part.name);
                return Ok(());
            }
            let counts =
                Counts { images: part.images.len() as u64, rows: part.rows, failed: part.failed, file: part.file };
            commit.parts.insert(part.name, counts);
            images.extend(part.images);
            Ok(())
        })?;
        // Where another was faster, its list comes first, and this one is made again.
        store.put_if_absent(&format!("{COMMITS}/{:06}.json", log.commits), json!(commit).to_string())?;
    }
}

/// Removes files of rows that nobody will count: of parts that are left out, of attempts that were not the first, and what killed ones left long ago.
fn clear(store: &Store, log: &Log) -> Result<(), Error> {
    store.clear();
    for found in store.list(ROWS)? {
        let Some(part) = part_of(&found.name) else { continue };
        let is_over = match log.counts.get(part) {
            Some(counts) => counts.file != found.name,
            None => log.left_out.contains(part) || store.is_abandoned(&found.name)?,
        };
        if is_over {
            store.delete(&found.name)?;
        }
    }
    Ok(())
}

/// The part that a file of rows is of, by its name.
pub(super) fn part_of(file: &str) -> Option<&str> {
    let name = file.strip_prefix(ROWS)?.strip_prefix('/')?.strip_suffix(".parquet")?;
    name.rsplit_once('-').map(|(part, _)| part).filter(|part| part.starts_with("part-"))
}

/// The images of all parts that count.
///
/// # Errors
/// As those of [`commit()`].
pub fn done(out: &str) -> Result<Done, Error> {
    let store = Store::open(out)?;
    let mut marks = Vec::new();
    each_part(&store, Log::read(&store)?.counts.into_keys(), |part| {
        for image in &part.images {
            marks.push(
                unhex(image).ok_or_else(|| damaged(&store, &receipt(&part.name), "it names an image that is none"))?,
            );
        }
        Ok(())
    })?;
    marks.sort_unstable();
    Ok(Done(marks))
}

/// What all commits say together.
#[derive(Default)]
pub(super) struct Log {
    pub(super) commits: usize,
    pub(super) counts: BTreeMap<String, Counts>,
    pub(super) left_out: BTreeSet<String>,
}

impl Log {
    pub(super) fn read(store: &Store) -> Result<Self, Error> {
        let names: Vec<String> =
            store.list(COMMITS)?.into_iter().map(|found| found.name).filter(|name| name.ends_with(".json")).collect();
        let mut log = Log { commits: names.len(), ..Log::default() };
        store.get_each(names, |name, bytes| {
            let commit: Commit =
                serde_json::from_slice(&bytes).map_err(|error| damaged(store, name, &error.to_string()))?;
            log.counts.extend(commit.parts);
            log.left_out.extend(commit.left_out);
            Ok(())
        })?;
        Ok(log)
    }

    pub(super) fn counted(&self) -> Counted {
        let sum = |of: fn(&Counts) -> u64| self.counts.values().map(of).sum();
        Counted {
            parts: self.counts.len() as u64,
            images: sum(|part| part.images),
            failed: sum(|part| part.failed),
            rows: sum(|part| part.rows),
            left: 0,
        }
    }
}

/// Reads receipts, one after the other.
fn each_part(
    store: &Store,
    names: impl IntoIterator<Item = String>,
    mut each: impl FnMut(Part) -> Result<(), Error>,
) -> Result<(), Error> {
    store.get_each(names.into_iter().map(|name| receipt(&name)), |name, bytes| {
        each(serde_json::from_slice(&bytes).map_err(|error| damaged(store, name, &error.to_string()))?)
    })
}
