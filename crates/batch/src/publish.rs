//! Publishing: rows first, then the receipt, once.

use crate::error::Error;
use crate::receipt::{self, Receipt, Receipts};
use crate::store::Store;
use crate::{IN_NAMES, plan::Planned};
use std::collections::BTreeMap;
use std::io::{Read, Seek};

/// The folder of rows.
pub(crate) const FOLDER: &str = "rows";

/// The name of a file of rows: after its content, so that what another attempt made lies elsewhere or is the same.
pub(crate) fn name(shard: usize, generation: u32, sha256: &str) -> String {
    format!("{FOLDER}/shard-{shard:06}.g{generation}-{}.parquet", sha256.get(..IN_NAMES).unwrap_or(sha256))
}

/// Publishes the rows of a shard: true where they are the ones that count, false where somebody else was first. Gives the receipt that
/// counts.
///
/// # Errors
/// [`Error::Full`] and [`Error::Store`]. Then nothing counts, and the same shard may be published again.
pub(crate) fn publish(out: &Store, mine: &Receipt, rows: &mut (impl Read + Seek)) -> Result<(Receipt, bool), Error> {
    rewound(out, &mine.file, rows)?;
    let text = serde_json::to_vec_pretty(mine).map_err(|error| Error::Argument(error.to_string()))?;
    if out.put_if_absent(&mine.name(), text)? {
        return Ok((mine.clone(), true));
    }
    let theirs = Receipt::read(out, &mine.name(), &out.get(&mine.name())?)?;
    // Where the shard was made once more since, what is the same as theirs was cleared away, and is not to come back.
    if theirs.file != mine.file || out.has(&receipt::name(mine.shard, mine.generation + 1))? {
        out.delete(&mine.file)?;
    }
    Ok((theirs, false))
}

/// Writes a file of rows from its beginning on.
///
/// # Errors
/// [`Error::Full`] and [`Error::Store`].
pub(crate) fn rewound(out: &Store, name: &str, rows: &mut (impl Read + Seek)) -> Result<(), Error> {
    rows.rewind().map_err(|error| Error::of_system("the file of rows", &error))?;
    out.upload(name, rows)
}

/// Removes files of rows that no receipt names: what killed attempts left whose content was another, and what was mended since. Those of
/// generations that may still be made stay, until they are so old that they are not.
///
/// # Errors
/// [`Error::Store`].
pub(crate) fn clean(out: &Store, planned: &Planned) -> Result<usize, Error> {
    out.clear();
    let mut files: BTreeMap<usize, Vec<(u32, String)>> = BTreeMap::new();
    for found in out.list(FOLDER)? {
        if let Some((shard, generation)) = receipt::named(&found.name) {
            files.entry(shard).or_default().push((generation, found.name));
        }
    }
    let receipts = Receipts::list(out, planned)?;
    let mut removed = 0;
    for (shard, files) in files.into_iter().filter(|(_, files)| files.len() > 1) {
        let Some(last) = receipts.generation(shard) else { continue };
        let name = receipt::name(shard, last);
        let receipt = match Receipt::read(out, &name, &out.get(&name)?) {
            Ok(receipt) => receipt,
            // Whose rows are whose it does not tell.
            Err(Error::Damaged { .. }) => continue,
            Err(error) => return Err(error),
        };
        for (generation, file) in files {
            if file != receipt.file && (generation <= last || out.is_abandoned(&file)?) {
                out.delete(&file)?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}
