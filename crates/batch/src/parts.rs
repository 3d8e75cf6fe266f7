//! Images that an engine brings: explained where they are, published in parts, counted once.
//!
//! Engines of data (Ray Data, Spark) hand a function some images at a time, may do so twice, and cut them otherwise the next time. A part is
//! what came of one such batch. It is named after the images in it, and published as the shards of a job are: rows first, then the receipt, and
//! that only where there is none, so a batch that comes again is dropped. [`commit`] says which parts count, in a list that only grows: of parts
//! that share an image, the first. Readers go by that list ([`files`]), and whoever goes on leaves out what it has ([`done`]).
//!
//! ```text
//! OUT/parts.json                               what decides the rows: all parts are made alike
//! OUT/rows/part-<images>-<hash>.parquet        the rows of a part
//! OUT/receipts/part-<images>.json              says that they are whole, and of which images they are
//! OUT/commits/000000.json                      says which parts count
//! ```

use crate::error::{Error, Failure};
use crate::fingerprint::Fingerprint;
use crate::make::{Allowance, Decoded, Maker};
use crate::plan::Planned;
use crate::receipt::Receipts;
use crate::rows::{JOB_KEY, RowOptions, Rows};
use crate::runner::Runner;
use crate::shard::Model;
use crate::store::Store;
use crate::verify::{Problem, Verified, form};
use crate::{IN_NAMES, MaxErrors, hex, sha256};
use arrow_array::cast::AsArray;
use bytes::Bytes;
use hirescam::{Input, Network, Spec};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

const ABOUT: &str = "parts.json";
const RECEIPTS: &str = "receipts";
const COMMITS: &str = "commits";
const ROWS: &str = "rows";

/// What decides the rows of all parts.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    decides: Fingerprint,
    rows: RowOptions,
}

impl About {
    fn read(store: &Store) -> Result<Self, Error> {
        serde_json::from_slice(&store.get(ABOUT)?).map_err(|error| damaged(store, ABOUT, &error.to_string()))
    }
}

/// What stands for a uri: the first half of its SHA-256.
type Mark = [u8; 16];

fn mark(uri: &str) -> Mark {
    let mut mark = Mark::default();
    mark.iter_mut().zip(Sha256::digest(uri)).for_each(|(to, byte)| *to = byte);
    mark
}

/// The images that are done, by marks of 16 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done(Vec<Mark>);

impl Done {
    /// Reads what [`Done::to_bytes`] gave.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut marks: Vec<Mark> =
            bytes.chunks_exact(size_of::<Mark>()).filter_map(|mark| mark.try_into().ok()).collect();
        marks.sort_unstable();
        Done(marks)
    }

    /// As bytes, 16 an image.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.concat()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an image is done.
    pub fn contains(&self, uri: &str) -> bool {
        self.0.binary_search(&mark(uri)).is_ok()
    }
}

/// What says that the rows of a part are whole, and of which images they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The part's name, which follows from its images.
    pub name: String,
    /// The file of its rows.
    pub file: String,
    /// SHA-256 of that file.
    pub sha256: String,
    /// How many rows it has.
    pub rows: u64,
    /// How many images failed.
    pub failed: u64,
    /// The digest of the fingerprint.
    pub fingerprint: String,
    /// What ran the network, with its version.
    pub engine: String,
    /// Its images: of each uri the first half of the SHA-256, in hexadecimal, sorted.
    pub images: Vec<String>,
}

/// A part that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Counts {
    file: String,
    images: u64,
    rows: u64,
    failed: u64,
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

/// What came of the images that were brought together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Published {
    /// How many images there were.
    pub images: u64,
    /// How many of them failed.
    pub failed: u64,
    /// How many rows they have.
    pub rows: u64,
    /// Whether this is what was published; false where the same images were there already.
    pub first: bool,
}

/// An image that is brought.
pub enum Brought<'a> {
    /// The bytes of a file: a photo, or a tensor (`.npy`).
    File(&'a [u8]),
    /// An image that is decoded, with the SHA-256 of its file where that is known.
    Decoded(Input, Option<String>),
}

/// Explains what an engine brings, and publishes it.
pub struct Parts {
    store: Store,
    model: Model,
    decides: Fingerprint,
    maker: Maker,
    done: Done,
    /// How many images may fail, with what came of those before.
    allowance: Mutex<Allowance>,
}

impl Parts {
    /// Makes the network ready, for parts that lie in `out`, a folder or a URL. What is in `done` is left out.
    ///
    /// # Errors
    /// [`Error::Explain`] for the network and the spec; [`Error::Changed`] where parts that lie there were made otherwise;
    /// [`Error::Argument`] where a job lies there; of the store [`Error::Store`] and [`Error::Full`].
    pub fn open(out: &str, network: &Network, spec: &Spec, options: &RowOptions, done: Done) -> Result<Self, Error> {
        let store = Store::open(out)?;
        let model = Model::of(network.clone())?;
        let runner = Runner::new(network, spec)?;
        // Nobody knows which row of inputs beside the image would be whose.
        runner.explainer.served(&[], usize::MAX)?;
        let rows = Rows::of(&runner.explainer, options)?;
        let decides = Fingerprint::of(&runner.explainer, model.hashes(), rows.form(), None);
        if store.has(crate::plan::FILE)? {
            return Err(Error::Argument(format!(
                "{}: a job is planned there, and parts need a place of their own",
                store.name()
            )));
        }
        let about = json!(About { decides: decides.clone(), rows: options.clone() }).to_string();
        if !store.put_if_absent(ABOUT, about)? {
            let changes = About::read(&store)?.decides.changed(&decides);
            if !changes.is_empty() {
                return Err(Error::Changed { place: store.name().into(), changes });
            }
        }
        let shared = decides.shared(&network.path().to_string_lossy(), runner.explainer.engine());
        let maker = Maker { runner, rows, shared };
        Ok(Parts { store, model, decides, maker, done, allowance: Mutex::default() })
    }

    /// The same, which gives up once more images failed than may, of those that counted before and those that it publishes itself.
    pub fn allowing(self, most: MaxErrors, before: Counted) -> Self {
        let allowance = Allowance { most: Some(most), failed: before.failed, images: before.images };
        Parts { allowance: Mutex::new(allowance), ..self }
    }

    /// Which of the images are not done, by their numbers.
    ///
    /// # Errors
    /// [`Error::Argument`] where two are called the same.
    pub fn left(&self, uris: &[String]) -> Result<Vec<usize>, Error> {
        let mut seen = HashSet::new();
        if let Some(uri) = uris.iter().find(|uri| !seen.insert(uri.as_str())) {
            let what = format!("two images are called {uri:?}, and names are to tell images apart");
            return Err(Error::Argument(what));
        }
        Ok(uris.iter().enumerate().filter(|(_, uri)| !self.done.contains(uri)).map(|(number, _)| number).collect())
    }

    /// Explains images and publishes what comes of them as a part. `read` gives the image of a number, or why there is none; it is called from
    /// several threads, some images ahead of what is explained. `watch` is told how many are done.
    ///
    /// # Errors
    /// [`Error::Changed`] where the network's file is another by now; [`Error::Explain`] for what is wrong with all images; of the store
    /// [`Error::Store`] and [`Error::Full`]; [`Error::TooMany`]; [`Error::Stopped`] where `stop` is set. Nothing is published then.
    pub fn publish<'a>(
        &self,
        uris: &[String],
        read: &(dyn Fn(usize) -> Result<Brought<'a>, Failure> + Sync),
        stop: &AtomicBool,
        watch: &mut dyn FnMut(usize),
    ) -> Result<Published, Error> {
        if uris.is_empty() {
            return Ok(Published::default());
        }
        if let Some(hashes) = self.model.changed()? {
            let changes = self.decides.changed(&Fingerprint { model: hashes, ..self.decides.clone() });
            return Err(Error::Changed { place: self.store.name().into(), changes });
        }
        let named: Vec<(i64, &str)> = uris.iter().map(|uri| (id(uri), uri.as_str())).collect();
        let mut numbers = 0..uris.len();
        let next = |together: usize| -> Vec<Decoded> {
            let numbers: Vec<usize> = numbers.by_ref().take(together).collect();
            self.maker.runner.all(|| numbers.into_par_iter().map(|number| self.decoded(read(number))).collect())
        };
        let allowance = *self.allowance.lock().unwrap_or_else(PoisonError::into_inner);
        let mut made = self.maker.make(&named, next, allowance, stop, &mut |done| {
            watch(usize::try_from(done.images).unwrap_or(usize::MAX));
        })?;
        let mut marks: Vec<Mark> = uris.iter().map(|uri| mark(uri)).collect();
        marks.sort_unstable();
        let name = format!("part-{}", short(&sha256(&marks.concat())));
        let [engine, engine_version] = self.maker.runner.explainer.engine();
        let part = Part {
            file: format!("{ROWS}/{name}-{}.parquet", short(&made.sha256)),
            name,
            sha256: made.sha256,
            rows: made.rows,
            failed: made.done.failed,
            fingerprint: self.decides.digest(),
            engine: format!("{engine} {engine_version}"),
            images: marks.iter().map(|mark| hex(mark)).collect(),
        };
        crate::publish::rewound(&self.store, &part.file, &mut made.file)?;
        let first = self.store.put_if_absent(&receipt(&part.name), json!(part).to_string())?;
        // Where another was first, the rows are its own; and where a commit has left the part out, nobody's.
        let is_dropped = || -> Result<bool, Error> {
            Ok(read_part(&self.store, &part.name)?.file != part.file
                || Log::read(&self.store)?.left_out.contains(&part.name))
        };
        if !first && is_dropped()? {
            self.store.delete(&part.file)?;
        }
        let mut allowance = self.allowance.lock().unwrap_or_else(PoisonError::into_inner);
        allowance.failed += part.failed;
        allowance.images += uris.len() as u64;
        Ok(Published { images: uris.len() as u64, failed: part.failed, rows: part.rows, first })
    }

    fn decoded(&self, brought: Result<Brought, Failure>) -> Decoded {
        match brought {
            Ok(Brought::File(bytes)) => self.maker.decoded(Ok(bytes)),
            Ok(Brought::Decoded(input, sha256)) => self.maker.given(input, sha256),
            Err(failure) => self.maker.decoded(Err(failure)),
        }
    }
}

/// The number that stands in the rows of an image.
fn id(uri: &str) -> i64 {
    let bytes = mark(uri).first_chunk().copied().unwrap_or_default();
    // Numbers below 0 would be none of an image.
    i64::from_be_bytes(bytes) & i64::MAX
}

fn short(hash: &str) -> &str {
    hash.get(..IN_NAMES).unwrap_or(hash)
}

/// Says which parts count, of those that were published: all but those that share an image with others that do. It can be called at any time, from anywhere; the
/// list that comes of it only grows.
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
            return Ok(counted);
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
            return Ok(counted);
        }
        let (mut commit, mut unread) = (Commit::default(), Vec::new());
        each_part(&store, new, |part| {
            if part.images.iter().any(|image| images.contains(image)) {
                commit.left_out.insert(part.name);
                unread.push(part.file);
                return Ok(());
            }
            let counts =
                Counts { images: part.images.len() as u64, rows: part.rows, failed: part.failed, file: part.file };
            commit.parts.insert(part.name, counts);
            images.extend(part.images);
            Ok(())
        })?;
        // Where another was faster, its list comes first, and this one is made again.
        if store.put_if_absent(&format!("{COMMITS}/{:06}.json", log.commits), json!(commit).to_string())? {
            unread.iter().try_for_each(|file| store.delete(file))?;
        }
    }
}

/// The images of all parts that count.
///
/// # Errors
/// As those of [`commit`].
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

/// The files that hold the rows, as paths or URLs: of a job those that its receipts name, in the order of the shards; of parts those that count.
///
/// # Errors
/// [`Error::Argument`] where neither lies there; of the store [`Error::Store`]; [`Error::Damaged`] for a receipt or list that is none.
pub fn files(out: &str) -> Result<Vec<String>, Error> {
    let store = Store::open(out)?;
    let names: Vec<String> = match are_in(&store)? {
        true => Log::read(&store)?.counts.into_values().map(|counts| counts.file).collect(),
        false => Receipts::list(&store, &Planned::open(&store)?)?.read(&store)?.into_iter().map(|r| r.file).collect(),
    };
    Ok(names.iter().map(|name| store.place(name)).collect())
}

/// Whether parts lie in a store, and no job.
pub(crate) fn are_in(store: &Store) -> Result<bool, Error> {
    store.has(ABOUT)
}

/// Verifies parts: that those which count are the bytes that their receipts say, in the form that was asked for, of the images that they are to have, and that
/// no two share an image.
pub(crate) fn verify(store: &Store, stop: &AtomicBool, watch: &(dyn Fn() + Sync)) -> Result<Verified, Error> {
    let about = About::read(store)?;
    let log = Log::read(store)?;
    let counted = log.counted();
    let mut verified = Verified {
        shards: log.counts.len(),
        images: counted.images,
        rows: counted.rows,
        failed: counted.failed,
        ..Verified::default()
    };
    let names: Vec<&String> = log.counts.keys().collect();
    let looked_at = names.par_iter().map(|name| {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        let part = read_part(store, name).and_then(|part| {
            let bytes = store.get(&part.file)?;
            Ok((looked_at(bytes, &about, &part), part))
        });
        watch();
        match part {
            Ok((problem, part)) => Ok((problem.map(|what| (store.place(&part.file), what)), Some(part))),
            Err(Error::Missing { place }) => Ok((Some((place, "it is missing".to_owned())), None)),
            Err(Error::Damaged { place, what }) => Ok((Some((place, what)), None)),
            Err(error) => Err(error),
        }
    });
    let mut images = HashSet::new();
    for (problem, part) in looked_at.collect::<Result<Vec<_>, Error>>()? {
        verified.problems.extend(problem.map(|(place, what)| Problem { place, what }));
        let Some(part) = part else { continue };
        *verified.engines.entry(part.engine).or_default() += 1;
        let doubles = part.images.into_iter().filter(|image| !images.insert(image.clone())).count();
        if doubles > 0 {
            let what = format!("{doubles} of its images are in other parts, too");
            verified.problems.push(Problem { place: store.place(&part.file), what });
        }
    }
    let files: BTreeSet<&str> = log.counts.values().map(|part| part.file.as_str()).collect();
    for found in store.list(ROWS)?.into_iter().filter(|found| !files.contains(found.name.as_str())) {
        let what =
            "no part that counts has this file: whoever reads the files that count passes it over, others may not";
        verified.problems.push(Problem { place: store.place(&found.name), what: what.into() });
    }
    Ok(verified)
}

/// What is wrong with the rows of a part.
fn looked_at(bytes: Bytes, about: &About, part: &Part) -> Option<String> {
    if sha256(&bytes) != part.sha256 {
        return Some("its content is another than its receipt says".into());
    }
    let fingerprint = about.decides.digest();
    if part.fingerprint != fingerprint {
        return Some("its rows were made of something else: the fingerprint of its receipt is another".into());
    }
    let read = || -> Result<(u64, BTreeSet<String>), String> {
        let file = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|error| error.to_string())?;
        let pairs = file.metadata().file_metadata().key_value_metadata();
        let job = pairs.and_then(|pairs| pairs.iter().find(|pair| pair.key == JOB_KEY)?.value.as_deref());
        let job: Value = job.and_then(|job| serde_json::from_str(job).ok()).unwrap_or_default();
        if job.get("fingerprint").and_then(Value::as_str) != Some(&fingerprint) {
            return Err("it holds rows that were made of something else".into());
        }
        form(file.schema(), &about.rows)?;
        let mask = ProjectionMask::columns(file.parquet_schema(), ["uri"]);
        let (mut rows, mut images) = (0, BTreeSet::new());
        for batch in file.with_projection(mask).build().map_err(|error| error.to_string())? {
            let batch = batch.map_err(|error| error.to_string())?;
            let uris = batch.column_by_name("uri").and_then(|uris| uris.as_string_opt::<i32>());
            images.extend(uris.ok_or("there is no column \"uri\"")?.iter().flatten().map(|uri| hex(&mark(uri))));
            rows += batch.num_rows() as u64;
        }
        Ok((rows, images))
    };
    match read() {
        Ok((rows, images)) if rows == part.rows && images.iter().eq(&part.images) => None,
        Ok(_) => Some("its rows are of other images than its receipt says".into()),
        Err(what) => Some(what),
    }
}

/// What all commits say together.
#[derive(Default)]
struct Log {
    commits: usize,
    counts: BTreeMap<String, Counts>,
    left_out: BTreeSet<String>,
}

impl Log {
    fn read(store: &Store) -> Result<Self, Error> {
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

    fn counted(&self) -> Counted {
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

fn receipt(name: &str) -> String {
    format!("{RECEIPTS}/{name}.json")
}

fn read_part(store: &Store, name: &str) -> Result<Part, Error> {
    let name = receipt(name);
    serde_json::from_slice(&store.get(&name)?).map_err(|error| damaged(store, &name, &error.to_string()))
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

fn damaged(store: &Store, name: &str, what: &str) -> Error {
    Error::Damaged { place: store.place(name), what: what.to_owned() }
}

fn unhex(text: &str) -> Option<Mark> {
    let mut mark = Mark::default();
    let digits = text.as_bytes();
    if digits.len() != 2 * mark.len() {
        return None;
    }
    for (byte, pair) in mark.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(mark)
}
