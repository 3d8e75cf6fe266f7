//! Images that an engine brings: explained where they are, published in parts, counted once.
//!
//! Engines of data (Ray Data, Spark) hand a function some images at a time, may do so twice, and cut them otherwise the next time. A part is
//! what came of one such batch. It is named after the images in it, and published as the shards of a job are: rows first, then the receipt, and
//! that only where there is none, so a batch that comes again is dropped. [`commit()`] says which parts count, in a list that only grows: of parts
//! that share an image, the first. Readers go by that list ([`files`]), and whoever goes on leaves out what it has ([`done()`]).
//!
//! ```text
//! OUT/parts.json                               what decides the rows: all parts are made alike
//! OUT/rows/part-<images>-<hash>.parquet        the rows of a part
//! OUT/receipts/part-<images>.json              says that they are whole, and of which images they are
//! OUT/commits/000000.json                      says which parts count
//! ```

mod commit;
mod done;
mod verify;

pub use commit::{Counted, commit, done};
pub use done::Done;
pub(crate) use verify::verify;

use crate::error::{Error, Failure};
use crate::fingerprint::Fingerprint;
use crate::make::{Allowance, Decoded, Maker};
use crate::plan::Planned;
use crate::receipt::Receipts;
use crate::rows::{RowOptions, Rows};
use crate::runner::Runner;
use crate::shard::ModelFiles;
use crate::store::Store;
use crate::{IN_NAMES, MaxErrors, hex, sha256};
use commit::Log;
use done::{Mark, mark};
use hirescam::{Input, Network, Spec};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::HashSet;
use std::sync::atomic::AtomicBool;
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
    model: ModelFiles,
    decides: Fingerprint,
    maker: Maker,
    done: Done,
    /// How many images may fail, with what came of those before.
    allowance: Mutex<Allowance>,
}

impl Parts {
    /// Makes the network ready, for parts that lie in `out`, a folder or a URL. What is in `done` is left out. `read_as` says how that is read which is brought,
    /// where it can be read in several ways: rows of one way are not put beside those of another.
    ///
    /// # Errors
    /// [`Error::Explain`] for the network and the spec; [`Error::Changed`] where parts that lie there were made otherwise;
    /// [`Error::Argument`] where a job lies there; of the store [`Error::Store`] and [`Error::Full`].
    pub fn open(
        out: &str,
        network: Network,
        spec: &Spec,
        options: &RowOptions,
        done: Done,
        read_as: Option<&str>,
    ) -> Result<Self, Error> {
        let store = Store::open(out)?;
        let model = ModelFiles::of(&network)?;
        let path = network.path().to_string_lossy().into_owned();
        let runner = Runner::new(network, spec)?;
        // Nobody knows which row of inputs beside the image would be whose.
        runner.explainer.served(&[], usize::MAX)?;
        let rows = Rows::of(&runner.explainer, options)?;
        let inputs = read_as.map(|way| format!("arrays read as {way}"));
        let decides = Fingerprint::of(&runner.explainer, model.hashes(), rows.form(), inputs);
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
        let shared = decides.shared(&path, runner.explainer.engine());
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
        let next = |count: usize| numbers.by_ref().take(count).collect();
        let decode = |number: usize| self.decoded(read(number));
        let allowance = *self.allowance.lock().unwrap_or_else(PoisonError::into_inner);
        let mut made = self.maker.make(&named, next, decode, allowance, stop, &mut |done| {
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

fn receipt(name: &str) -> String {
    format!("{RECEIPTS}/{name}.json")
}

fn read_part(store: &Store, name: &str) -> Result<Part, Error> {
    let name = receipt(name);
    serde_json::from_slice(&store.get(&name)?).map_err(|error| damaged(store, &name, &error.to_string()))
}

fn damaged(store: &Store, name: &str, what: &str) -> Error {
    Error::Damaged { place: store.place(name), what: what.to_owned() }
}
