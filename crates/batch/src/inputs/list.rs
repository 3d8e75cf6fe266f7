//! Finds inputs: folders, patterns, and what begins alike in a store.

use super::{At, InputFrom, Item, archive, ending, table};
use crate::error::Error;
use crate::store::{self, remote, wait};
use futures_util::TryStreamExt;
use glob::{MatchOptions, Pattern};
use hirescam::source;
use object_store::path::Path as Key;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Inputs that were found.
#[derive(Debug, Default)]
pub struct Listed {
    /// The inputs, sorted by their files and where they lie in these, each once.
    pub items: Vec<Item>,
    /// How many were named more than once.
    pub doubles: usize,
    /// What else was in folders and archives, and how often.
    pub passed_over: BTreeMap<String, usize>,
}

/// How many archives and tables are opened at a time: one waits for stores more than it computes.
const OPENED: usize = 16;
/// A pattern's `*` stands for no `/`, as in shells.
const AS_IN_SHELLS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// Finds inputs.
///
/// # Errors
/// [`Error::Input`] for what is not there, holds no images or cannot be read; [`Error::Store`]; [`Error::Stopped`].
pub fn list(inputs: &[InputFrom], stop: &AtomicBool) -> Result<Listed, Error> {
    let mut listed = Listed::default();
    let openers = rayon::ThreadPoolBuilder::new().num_threads(OPENED).build();
    let openers = openers.map_err(|error| Error::Argument(format!("no threads can be started: {error}")))?;
    for input in inputs {
        let files = match remote(&input.path) {
            Some(_) => of_store(input, &mut listed)?,
            None => of_machine(input, &mut listed)?,
        };
        // What opens a file takes a while, and does not depend on others.
        let found = files.into_par_iter().map(|(uri, length)| {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Stopped);
            }
            let name = uri.clone();
            let (items, mut passed_over) = match (ending(&uri).as_str(), &input.column) {
                ("tar", None) => archive::members(&uri),
                ("csv" | "tsv", column) => Ok((table::of_text(&uri, column.as_deref())?, BTreeMap::new())),
                ("parquet", column) => Ok((table::of_parquet(&uri, column.as_deref())?, BTreeMap::new())),
                (_, Some(_)) => Err(fail(&uri, "only tables have columns: .csv, .tsv and .parquet")),
                ("gz" | "tgz" | "zst" | "bz2" | "xz" | "zip", None) => {
                    Err(fail(&uri, "compressed archives are not read, for no image in them can be reached by itself: unpack it, or pack a .tar"))
                }
                _ => Ok((vec![Item { uri, at: At::File { length } }], BTreeMap::new())),
            }?;
            if items.is_empty() {
                passed_over.insert(format!("{name}, which holds no images"), 1);
            }
            Ok((items, passed_over))
        });
        for (items, passed_over) in openers.install(|| found.collect::<Result<Vec<_>, Error>>())? {
            listed.items.extend(items);
            for (what, count) in passed_over {
                *listed.passed_over.entry(what).or_default() += count;
            }
        }
    }
    // Of one that is named twice, that stays of which most is known.
    listed.items.par_sort_unstable_by(|a, b| a.key().cmp(&b.key()).then_with(|| b.length().cmp(&a.length())));
    let all = listed.items.len();
    listed.items.dedup_by(|a, b| a.key() == b.key());
    listed.doubles = all - listed.items.len();
    Ok(listed)
}

pub(super) fn fail(uri: &str, what: impl Into<String>) -> Error {
    Error::Input { uri: uri.to_owned(), what: what.into() }
}

/// What a path of this machine stands for.
fn of_machine(input: &InputFrom, listed: &mut Listed) -> Result<Vec<(String, Option<u64>)>, Error> {
    let path = store::local(&input.path)?;
    let files = match path.exists() || !is_pattern(&input.path) {
        true => {
            let found = source::files(std::slice::from_ref(&path), true).map_err(|error| {
                let entries = path.read_dir().into_iter().flatten().flatten();
                let endings = entries.map(|entry| (format!(".{}", ending(&entry.file_name().to_string_lossy())), 1));
                fail(&input.path, error.without(Path::new(&input.path)) + &holders(&input.path, &endings.collect()))
            })?;
            for (what, count) in found.passed_over {
                *listed.passed_over.entry(what).or_default() += count;
            }
            found.files
        }
        false => {
            let matches = glob::glob_with(&path.to_string_lossy(), AS_IN_SHELLS)
                .map_err(|error| fail(&input.path, error.to_string()))?;
            let mut files = Vec::new();
            for found in matches {
                match found {
                    Ok(path) if path.is_file() => files.push(path),
                    Ok(_) => {}
                    Err(_) => *listed.passed_over.entry(source::FOLDERS.into()).or_default() += 1,
                }
            }
            files
        }
    };
    if files.is_empty() {
        let hint =
            if input.path.ends_with("**") { "; `**` stands for folders, and `**/*` for the files in them" } else { "" };
        return Err(fail(&input.path, format!("nothing is there that it names{hint}")));
    }
    Ok(files.into_par_iter().map(|path| (name(&path), path.metadata().ok().map(|found| found.len()))).collect())
}

/// A path as a URI: as it is where it is text, else with the bytes that are none written out.
fn name(path: &Path) -> String {
    let text = path.to_str().map(str::to_owned);
    text.or_else(|| Some(url::Url::from_file_path(path).ok()?.into()))
        .unwrap_or_else(|| path.to_string_lossy().into_owned())
}

/// What a URL stands for: the object of the name, those that match a pattern, else the images that begin so.
fn of_store(input: &InputFrom, listed: &mut Listed) -> Result<Vec<(String, Option<u64>)>, Error> {
    let Some((bucket, key)) = remote(&input.path) else { return Ok(Vec::new()) };
    let store = store::connect(bucket)?;
    let fail_of_store = |error: object_store::Error| Error::of_store(&input.path, &error);
    let path =
        |text: &str| Key::parse(text.trim_end_matches('/')).map_err(|error| fail(&input.path, error.to_string()));
    let pattern =
        is_pattern(key).then(|| Pattern::new(key)).transpose().map_err(|error| fail(&input.path, error.to_string()))?;
    if pattern.is_none() && !key.is_empty() && !key.ends_with('/') {
        let path = path(key)?;
        match wait(async { Ok(object_store::ObjectStoreExt::head(&store, &path).await) })? {
            Ok(found) => return Ok(vec![(input.path.clone(), Some(found.size))]),
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(fail_of_store(error)),
        }
    }
    // Stores list by whole folders: the last one before the first sign of a pattern.
    let literal = key
        .find(is_sign)
        .map_or(key, |at| key.get(..at).and_then(|before| before.rsplit_once('/')).map_or("", |(folder, _)| folder));
    let under = path(literal)?;
    let found: Vec<(String, u64)> = wait(async {
        let all = store.list(Some(&under)).map_ok(|found| (found.location.to_string(), found.size));
        all.try_collect().await.map_err(fail_of_store)
    })?;
    let (mut files, mut passed_over) = (Vec::new(), BTreeMap::<String, usize>::new());
    for (key, length) in found {
        let wanted = match &pattern {
            Some(pattern) => pattern.matches_with(&key, AS_IN_SHELLS),
            None => source::is_named_as_image(&key),
        };
        match wanted {
            true => files.push((format!("{bucket}/{key}"), Some(length))),
            false if pattern.is_none() => *passed_over.entry(format!(".{}", ending(&key))).or_default() += 1,
            false => {}
        }
    }
    if files.is_empty() {
        return Err(fail(
            &input.path,
            format!("there are no images that it names{}", holders(&input.path, &passed_over)),
        ));
    }
    for (what, count) in passed_over {
        *listed.passed_over.entry(what).or_default() += count;
    }
    Ok(files)
}

/// What helps where a folder has no images, but files that hold some.
fn holders(folder: &str, endings: &BTreeMap<String, usize>) -> String {
    let found = [".tar", ".parquet", ".csv", ".tsv"].into_iter().find(|holder| endings.contains_key(*holder));
    found.map_or(String::new(), |holder| {
        let folder = folder.trim_end_matches('/');
        format!("; {holder} files are named one by one, or by a pattern: {folder}/**/*{holder}")
    })
}

fn is_sign(c: char) -> bool {
    matches!(c, '*' | '?' | '[')
}

fn is_pattern(text: &str) -> bool {
    text.contains(is_sign)
}
