//! Verifying: whether every input has its rows, once, and every file is what its receipt says.

use crate::error::Error;
use crate::inputs::Item;
use crate::parts;
use crate::plan::Planned;
use crate::receipt::{Receipt, Receipts, named};
use crate::rows::{self, JOB_KEY, RowOptions, SCHEMA, SCHEMA_KEY};
use crate::store::Store;
use crate::{MADE_AGAIN, publish, sha256};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Schema};
use bytes::Bytes;
use hirescam::engine::caught;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

/// Something that is wrong with a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, or the shard.
    pub place: String,
    /// What is wrong.
    pub what: String,
}

/// What was found of a job.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Verified {
    /// How many shards there are.
    pub shards: usize,
    /// How many inputs there are.
    pub images: u64,
    /// How many rows were looked at.
    pub rows: u64,
    /// How many inputs have a row that says that they failed, in whole or in part.
    pub failed: u64,
    /// How many shards are not done.
    pub missing: usize,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// With which engines the rows were made, and how many shards with each.
    pub engines: BTreeMap<String, usize>,
}

impl Verified {
    /// Whether every input has its rows, once, and all that was looked at is as it is to be.
    pub fn is_whole(&self) -> bool {
        self.missing == 0 && self.problems.is_empty()
    }
}

/// Verifies a job: its fingerprint and plan, that every shard has a receipt with that fingerprint, that its rows are the bytes that the
/// receipt says, in the form that was asked for, and that every input of the plan has its rows there, once and in order. It also finds files
/// of rows that no receipt names, which readers of all files would take for rows.
///
/// # Errors
/// [`Error::Argument`] where no job is planned there, [`Error::Damaged`] where its own file cannot be read, [`Error::Store`] and
/// [`Error::Stopped`]. What is wrong with the rest is among the problems.
pub fn verify(out: &str, stop: &AtomicBool, watch: &(dyn Fn() + Sync)) -> Result<Verified, Error> {
    verify_in(&Store::open(out)?, stop, watch)
}

/// As [`verify`], of a job in a store that is open; `watch` is called after each shard.
///
/// # Errors
/// As [`verify`].
pub fn verify_in(out: &Store, stop: &AtomicBool, watch: &(dyn Fn() + Sync)) -> Result<Verified, Error> {
    if parts::are_in(out)? {
        return parts::verify(out, stop, watch);
    }
    let planned = Planned::open(out)?;
    let mut verified = Verified { shards: planned.shards, images: planned.images, ..Verified::default() };
    for part in &planned.plan {
        match out.get(&part.file) {
            Ok(bytes) if sha256(&bytes) == part.sha256 => {}
            Ok(_) => verified.problems.push(Problem {
                place: out.place(&part.file),
                what: "the plan's content is another than was planned".into(),
            }),
            Err(Error::Missing { place }) => {
                verified.problems.push(Problem { place, what: "a part of the plan is missing".into() })
            }
            Err(error) => return Err(error),
        }
    }
    let receipts = Receipts::list(out, &planned)?;
    verified.missing = planned.shards - receipts.len();
    let numbers: Vec<(usize, u32)> =
        (0..planned.shards).filter_map(|shard| Some((shard, receipts.generation(shard)?))).collect();
    let all = numbers.par_iter().map(|&(shard, generation)| {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        let found = of_shard(out, &planned, shard, generation);
        watch();
        found
    });
    let mut files = BTreeSet::new();
    for of_shard in all.collect::<Result<Vec<_>, Error>>()? {
        verified.problems.extend(of_shard.problems);
        verified.rows += of_shard.rows;
        verified.failed += of_shard.failed;
        if let Some(receipt) = of_shard.receipt {
            *verified.engines.entry(format!("{} {}", receipt.engine, receipt.engine_version)).or_default() += 1;
            files.insert(receipt.file);
        }
    }
    for found in out.list(publish::FOLDER)? {
        if !files.contains(&found.name) {
            let what = match named(&found.name).filter(|(shard, _)| *shard < planned.shards) {
                // Its shard is missing, and that is said already.
                Some((shard, _)) if receipts.generation(shard).is_none() => continue,
                Some((shard, generation)) if Some(generation) > receipts.generation(shard) => {
                    "an attempt to make its shard again was ended, or is not done yet: readers of receipts pass this file over, others may not; hirescam batch retry takes it up, and hirescam batch run clears it away once it is an hour old"
                }
                Some(_) => {
                    "no receipt names this file: readers of receipts pass it over, others may not; hirescam batch run clears it away"
                }
                None => "this is no file of the job: readers of all files would take it for rows; move it away",
            };
            verified.problems.push(Problem { place: out.place(&found.name), what: what.into() });
        }
    }
    Ok(verified)
}

/// What was found of a shard.
#[derive(Default)]
pub(crate) struct OfShard {
    receipt: Option<Receipt>,
    rows: u64,
    pub(crate) failed: u64,
    pub(crate) problems: Vec<Problem>,
}

/// Looks at the receipt and the rows of a shard.
pub(crate) fn of_shard(out: &Store, planned: &Planned, shard: usize, generation: u32) -> Result<OfShard, Error> {
    let mut found = OfShard::default();
    let mut wrong = |place: String, what: String| found.problems.push(Problem { place, what });
    let name = crate::receipt::name(shard, generation);
    let receipt = match out.get(&name).and_then(|bytes| Receipt::read(out, &name, &bytes)) {
        Ok(receipt) => receipt,
        Err(Error::Damaged { place, what }) => {
            wrong(place, what);
            return Ok(found);
        }
        Err(error) => return Err(error),
    };
    if receipt.fingerprint != planned.fingerprint {
        let what = format!("its fingerprint is not the job's: the rows were made of something else; {MADE_AGAIN}");
        wrong(out.place(&name), what);
    }
    if receipt.images != planned.images_of(shard) {
        wrong(
            out.place(&name),
            format!("it tells of {} images, and the shard has {}", receipt.images, planned.images_of(shard)),
        );
    }
    let place = out.place(&receipt.file);
    let bytes = match out.get(&receipt.file) {
        Ok(bytes) => bytes,
        Err(Error::Missing { place }) => {
            wrong(place, format!("the rows are missing that {name} names; {MADE_AGAIN}"));
            return Ok(OfShard { receipt: Some(receipt), ..found });
        }
        Err(error) => return Err(error),
    };
    if bytes.len() as u64 != receipt.bytes || sha256(&bytes) != receipt.sha256 {
        wrong(place.clone(), format!("its content is another than {name} says; {MADE_AGAIN}"));
    }
    let items = match planned.items(out, shard) {
        Ok(items) => items,
        Err(Error::Damaged { place, what }) => {
            wrong(place, what);
            return Ok(OfShard { receipt: Some(receipt), ..found });
        }
        // That it is missing is said already.
        Err(Error::Missing { .. }) => return Ok(OfShard { receipt: Some(receipt), ..found }),
        Err(error) => return Err(error),
    };
    // What reads Parquet may panic at what is none.
    match caught(|| looked_at(bytes, planned, shard, &items)).and_then(|found| found) {
        Ok((rows, failed)) => {
            if (rows, failed) != (receipt.rows, receipt.failed) {
                let what = format!(
                    "it has {rows} rows and {failed} failed images, and {name} tells of {} and {}",
                    receipt.rows, receipt.failed
                );
                wrong(place, what);
            }
            (found.rows, found.failed) = (rows, failed);
        }
        Err(what) => wrong(place, what),
    }
    Ok(OfShard { receipt: Some(receipt), ..found })
}

/// Whether the rows are those of the inputs: how many there are, and of how many inputs one says that it failed.
fn looked_at(bytes: Bytes, planned: &Planned, shard: usize, items: &[Item]) -> Result<(u64, u64), String> {
    let file =
        ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|error| format!("it is no Parquet file: {error}"))?;
    let metadata = file.metadata().file_metadata();
    let value = |key: &str| metadata.key_value_metadata()?.iter().find(|pair| pair.key == key)?.value.clone();
    if value(SCHEMA_KEY) != Some(SCHEMA.to_string()) {
        return Err(format!(
            "its columns are those of the version {}, and not {SCHEMA}",
            value(SCHEMA_KEY).unwrap_or("none".into())
        ));
    }
    let shared: serde_json::Value =
        value(JOB_KEY).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    if shared.get("fingerprint").and_then(serde_json::Value::as_str) != Some(&planned.fingerprint) {
        return Err("it holds the rows of another job".into());
    }
    form(file.schema(), &planned.rows)?;
    let looked_at = ["id", "uri", "index", "number", "error_kind", "error"];
    let mask = ProjectionMask::columns(file.parquet_schema(), looked_at);
    let read = file.with_projection(mask).build().map_err(|error| error.to_string())?;
    let mut walk = Walk { first: i64::try_from(planned.first(shard)).unwrap_or(i64::MAX), items, ..Walk::default() };
    for batch in read {
        let batch = batch.map_err(|error| format!("it is damaged: {error}"))?;
        walk.batch(&batch)?;
    }
    match walk.inputs == items.len() {
        true => Ok((walk.rows, walk.failed)),
        false => Err(format!("{} of {} inputs have rows", walk.inputs, items.len())),
    }
}

/// Whether the columns are those that were asked for. How large maps are is the network's.
pub(crate) fn form(schema: &Schema, options: &RowOptions) -> Result<(), String> {
    let size = schema.field_with_name("map").ok().and_then(|map| match map.data_type() {
        DataType::FixedSizeList(_, size) => usize::try_from(*size).ok(),
        _ => None,
    });
    let wanted = rows::schema(options, size.as_ref().map(std::slice::from_ref));
    let same = schema.fields().len() == wanted.fields().len()
        && schema
            .fields()
            .iter()
            .zip(wanted.fields())
            .all(|(is, wanted)| is.name() == wanted.name() && is.data_type() == wanted.data_type());
    if same { Ok(()) } else { Err("its columns are others than the job asks for".into()) }
}

/// Goes through the rows of a shard.
#[derive(Default)]
struct Walk<'i> {
    /// The number of the shard's first input.
    first: i64,
    items: &'i [Item],
    /// How many inputs had rows.
    inputs: usize,
    rows: u64,
    failed: u64,
    /// Image and map of the row before; of one that failed as a whole, nothing.
    before: (Option<i32>, Option<i32>),
    /// Whether a row of the input at hand says that it failed.
    input_failed: bool,
}

impl Walk<'_> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), String> {
        let column = |name: &str| batch.column_by_name(name).ok_or_else(|| format!("there is no column {name:?}"));
        let other = |name: &str| format!("the column {name:?} holds something else");
        let id = column("id")?.as_primitive_opt::<Int64Type>().ok_or_else(|| other("id"))?;
        let uri = column("uri")?.as_string_opt::<i32>().ok_or_else(|| other("uri"))?;
        let index = column("index")?.as_primitive_opt::<Int32Type>().ok_or_else(|| other("index"))?;
        let number = column("number")?.as_primitive_opt::<Int32Type>().ok_or_else(|| other("number"))?;
        let error = column("error")?;
        for row in 0..batch.num_rows() {
            let at = |column: &arrow_array::Int32Array| column.is_valid(row).then(|| column.value(row));
            let here = (at(index), at(number));
            let same = self.inputs > 0 && id.value(row) == self.first + self.inputs as i64 - 1;
            if !same {
                let next = self.first + self.inputs as i64;
                if id.value(row) != next {
                    return Err(format!("the row of the input {} stands where that of {next} is to be", id.value(row)));
                }
                self.inputs += 1;
                self.input_failed = false;
            } else if here <= self.before {
                return Err(format!("the input {} has the same row twice, or in another order", id.value(row)));
            }
            if self.items.get(self.inputs - 1).is_none_or(|item| item.uri != uri.value(row)) {
                return Err(format!("the input {} is not {}", id.value(row), uri.value(row)));
            }
            if error.is_valid(row) && !self.input_failed {
                self.input_failed = true;
                self.failed += 1;
            }
            self.before = here;
            self.rows += 1;
        }
        Ok(())
    }
}
