//! All rows of a job in one file.

use crate::error::Error;
use crate::plan::Planned;
use crate::publish;
use crate::receipt::{Receipt, Receipts};
use crate::rows::{self, JOB_KEY, MAPS_KEY, SCHEMA_KEY, shared_by};
use crate::store::{Store, local, remote};
use crate::{MADE_AGAIN, sha256};
use hirescam::engine::caught;
use hirescam::sink::Whole;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use serde::Serialize;
use std::io::{Seek, Write};

/// Where a merged file says of how many shards it is.
const MERGED_KEY: &str = "hirescam.merged";

/// What was put into one file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Merged {
    /// How many shards.
    pub shards: usize,
    /// How many rows.
    pub rows: u64,
    /// How many shards there are that are not done, whose rows are missing.
    pub missing: usize,
}

/// Puts all rows of a job into one Parquet file, in the order of the inputs: a file of this machine, or in a store by its URL. The
/// files of the shards stay; together they are the same data set. A file that is there is replaced where it was merged before.
///
/// # Errors
/// [`Error::Argument`] where another file is in the way, or the place lies in the job; [`Error::Damaged`] for rows that are not what their
/// receipt says; [`Error::Store`] and [`Error::Full`].
pub fn merge(out: &str, to: &str) -> Result<Merged, Error> {
    let out = Store::open(out)?;
    let planned = Planned::open(&out)?;
    let receipts = Receipts::list(&out, &planned)?.read(&out)?;
    let shards = receipts.len();
    if receipts.is_empty() {
        return Err(Error::Argument(format!("{}: no shard is done yet", out.name())));
    }
    let whole = match remote(to) {
        Some(_) => to.to_owned(),
        None => local(to)?.to_string_lossy().into_owned(),
    };
    let (folder, name) = whole.rsplit_once('/').unwrap_or_default();
    if name.is_empty() || to.ends_with('/') || remote(to).is_some_and(|(_, key)| key.is_empty()) {
        return Err(Error::Argument(format!("{to} names no file: rows.parquet in it would")));
    }
    let place = Store::open(if folder.is_empty() { "/" } else { folder })?;
    if place.is_within(&out) {
        return Err(Error::Argument(format!("{to} lies in the job itself: choose another place")));
    }
    if place.has(name)? && !is_merged(&place, name) {
        let what = format!("{to} is there already, and is none that merge wrote: choose another name");
        return Err(Error::Argument(what));
    }
    let rows = match remote(to) {
        None => {
            let mut file = Whole::create(&local(to)?)?;
            let rows = write(&out, &planned, &receipts, to, &mut file)?;
            file.finish()?;
            rows
        }
        Some(_) => {
            let mut file = tempfile::tempfile().map_err(|error| Error::of_system("a temporary file", &error))?;
            let rows = write(&out, &planned, &receipts, to, &mut file)?;
            file.rewind().map_err(|error| Error::of_system("a temporary file", &error))?;
            place.upload(name, &mut file)?;
            rows
        }
    };
    Ok(Merged { shards, rows, missing: planned.shards - shards })
}

/// Whether a file was written by merging, and may be replaced.
fn is_merged(place: &Store, name: &str) -> bool {
    let merged = caught(|| {
        let read = ParquetRecordBatchReaderBuilder::try_new(place.file(name).ok()?).ok()?;
        let pairs = read.metadata().file_metadata().key_value_metadata()?;
        pairs.iter().any(|pair| pair.key == MERGED_KEY).then_some(())
    });
    matches!(merged, Ok(Some(())))
}

fn write(
    out: &Store,
    planned: &Planned,
    receipts: &[Receipt],
    to: &str,
    file: &mut (impl Write + Send),
) -> Result<u64, Error> {
    // What reads Parquet may panic at what is none.
    let written = caught(|| write_unguarded(out, planned, receipts, to, file));
    written.unwrap_or_else(|what| Err(Error::Damaged { place: out.place(publish::FOLDER), what }))
}

fn write_unguarded(
    out: &Store,
    planned: &Planned,
    receipts: &[Receipt],
    to: &str,
    file: &mut (impl Write + Send),
) -> Result<u64, Error> {
    let fail = |error: ParquetError| match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(io) => Error::of_system(to, &io),
            Err(source) => Error::Store { place: to.into(), what: source.to_string() },
        },
        error => Error::Store { place: to.into(), what: error.to_string() },
    };
    let mut writer: Option<ArrowWriter<&mut _>> = None;
    let (mut rows, mut maps) = (0, Vec::new());
    let mut file = Some(file);
    for receipt in receipts {
        let damaged = |error: &dyn std::fmt::Display| Error::Damaged {
            place: out.place(&receipt.file),
            what: format!("{error}; {MADE_AGAIN}"),
        };
        let bytes = out.get(&receipt.file).map_err(|error| match error {
            Error::Missing { .. } => damaged(&format!("it is missing, and {} names it", receipt.name())),
            error => error,
        })?;
        if receipt.fingerprint != planned.fingerprint || sha256(&bytes) != receipt.sha256 {
            return Err(damaged(&format!("it is not what {} says", receipt.name())));
        }
        let read = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|error| damaged(&error))?;
        let known = read.metadata().file_metadata().key_value_metadata().cloned().unwrap_or_default();
        let of_maps = known.iter().find(|pair| pair.key == MAPS_KEY).and_then(|pair| pair.value.as_deref());
        maps = shared_by([maps, of_maps.and_then(|maps| serde_json::from_str(maps).ok()).unwrap_or_default()]);
        if let Some(file) = file.take() {
            let kept = |pair: &KeyValue| [SCHEMA_KEY, JOB_KEY].contains(&pair.key.as_str());
            let merged = KeyValue::new(MERGED_KEY.to_owned(), receipts.len().to_string());
            let properties = rows::properties(known.into_iter().filter(kept).chain([merged]).collect());
            writer = Some(ArrowWriter::try_new(file, read.schema().clone(), Some(properties)).map_err(fail)?);
        }
        let Some(writer) = &mut writer else { continue };
        for batch in read.build().map_err(|error| damaged(&error))? {
            let batch = batch.map_err(|error| damaged(&error))?;
            rows += batch.num_rows() as u64;
            writer.write(&batch).map_err(fail)?;
        }
    }
    if let Some(mut writer) = writer {
        writer.append_key_value_metadata(KeyValue::new(MAPS_KEY.to_owned(), serde_json::json!(maps).to_string()));
        writer.close().map_err(fail)?;
    }
    Ok(rows)
}
