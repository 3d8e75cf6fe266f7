//! Receipts: which shards are done, by which file of rows.

use crate::error::Error;
use crate::plan::Planned;
use crate::store::Store;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The folder of receipts.
pub(crate) const FOLDER: &str = "receipts";

/// Says that the rows of a shard are whole, and which they are. There is one of each shard and generation, and it never changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// The shard, from 0.
    pub shard: usize,
    /// How often it was made before, to mend what had failed. The highest counts.
    pub generation: u32,
    /// The file of rows, from the job's place on.
    pub file: String,
    /// Its SHA-256.
    pub sha256: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// How many rows it has.
    pub rows: u64,
    /// How many inputs the shard has.
    pub images: u64,
    /// How many of them failed, in whole or in part.
    pub failed: u64,
    /// What decided the rows.
    pub fingerprint: String,
    /// What ran the network.
    pub engine: String,
    /// Its version.
    pub engine_version: String,
    /// How long the shard took, in seconds.
    pub seconds: f64,
    /// When it was done, in seconds since 1970.
    pub finished: f64,
}

/// The name of a receipt.
pub(crate) fn name(shard: usize, generation: u32) -> String {
    format!("{FOLDER}/shard-{shard:06}.g{generation}.json")
}

/// The shard and generation that the name of a receipt, or of a file of rows, tells.
pub(crate) fn named(name: &str) -> Option<(usize, u32)> {
    let (shard, rest) = name.rsplit('/').next()?.strip_prefix("shard-")?.split_once(".g")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit())?;
    Some((shard.parse().ok()?, rest.get(..digits)?.parse().ok()?))
}

impl Receipt {
    /// The name that its generation and shard give it.
    pub fn name(&self) -> String {
        name(self.shard, self.generation)
    }

    pub(crate) fn read(out: &Store, name: &str, bytes: &[u8]) -> Result<Self, Error> {
        let damaged =
            |what: String| Error::Damaged { place: out.place(name), what: format!("{what}; {}", crate::MADE_AGAIN) };
        let receipt: Receipt = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        match named(name) == Some((receipt.shard, receipt.generation)) {
            true => Ok(receipt),
            false => Err(damaged(format!("it is that of the shard {}", receipt.shard))),
        }
    }
}

/// Which shards have receipts, and of which generation the last is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipts(BTreeMap<usize, u32>);

impl Receipts {
    /// Those of a job: one listing, and no receipt is read.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn list(out: &Store, planned: &Planned) -> Result<Self, Error> {
        let mut all = BTreeMap::new();
        for found in out.list(FOLDER)? {
            if let Some((shard, generation)) = named(&found.name).filter(|(shard, _)| *shard < planned.shards)
                && found.name == name(shard, generation)
            {
                let last = all.entry(shard).or_insert(generation);
                *last = generation.max(*last);
            }
        }
        Ok(Receipts(all))
    }

    /// The generation of a shard's last receipt; none where it has none.
    pub fn generation(&self, shard: usize) -> Option<u32> {
        self.0.get(&shard).copied()
    }

    /// How many shards are done.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no shard is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The receipts that count, in the order of the shards.
    ///
    /// # Errors
    /// [`Error::Damaged`] for one that is none, [`Error::Store`]; what `each` gives.
    pub fn each(&self, out: &Store, mut each: impl FnMut(Receipt) -> Result<(), Error>) -> Result<(), Error> {
        let names = self.0.iter().map(|(&shard, &generation)| name(shard, generation));
        out.get_each(names, |name, bytes| each(Receipt::read(out, name, &bytes)?))
    }

    /// The same as a list.
    ///
    /// # Errors
    /// As [`Receipts::each`].
    pub fn read(&self, out: &Store) -> Result<Vec<Receipt>, Error> {
        let mut all = Vec::with_capacity(self.len());
        self.each(out, |receipt| {
            all.push(receipt);
            Ok(())
        })?;
        Ok(all)
    }
}
