//! Planning: inputs in shards, and a fingerprint of all that decides their rows, written down before any is made.

use crate::error::Error;
use crate::fingerprint::LIST;
use crate::inputs::{self, At, InputFrom, Item, ending};
use crate::job::Job;
use crate::rows::{RowOptions, Rows};
use crate::shard::{ModelFiles, settled};
use crate::store::Store;
use crate::{Fingerprint, IN_NAMES, MaxErrors, hex, sha256};
use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray, UInt64Array};
use arrow_schema::{DataType, Field, Schema};
use hirescam::Spec;
use hirescam::engine::caught;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The version of the files of a job.
const JOB: u32 = 1;
/// The job's own file.
pub(crate) const FILE: &str = "job.json";
/// How many shards a part of the plan holds: whoever runs one reads what the part says of all of them first.
const SHARDS_OF_PART: usize = 1000;

/// A job with its plan: all that is needed to make its rows, and to make them again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// The version of this form.
    pub job: u32,
    /// All that decides the rows, as one SHA-256.
    pub fingerprint: String,
    /// The parts of it.
    pub decides: Fingerprint,
    /// The network.
    pub model: String,
    /// The spec, with what its files held: labels, preprocessing and numbers.
    pub spec: Spec,
    /// What stands in the rows.
    pub rows: RowOptions,
    /// How many images may fail.
    pub max_errors: Option<MaxErrors>,
    /// Where the inputs came from.
    pub inputs: Vec<InputFrom>,
    /// How many inputs there are.
    pub images: u64,
    /// How many make a shard.
    pub shard_size: usize,
    /// How many shards there are.
    pub shards: usize,
    /// The files that say which inputs are in which shard.
    pub plan: Vec<Part>,
    /// How many inputs were named more than once.
    pub doubles: usize,
    /// What else was in folders and archives, and how often.
    pub passed_over: BTreeMap<String, usize>,
}

/// A part of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The file: a row group for each shard.
    pub file: String,
    /// Its SHA-256.
    pub sha256: String,
}

/// Plans a job: finds its inputs, tries whether the network can be explained as asked, and writes both down where the job lies. A job
/// that is planned there already is given as it is, where it is the same.
///
/// # Errors
/// [`Error::Changed`] where another job is planned there; [`Error::Argument`] for a job that makes none; [`Error::Input`] for inputs that cannot
/// be found, [`Error::Explain`] for a network that cannot be explained so; [`Error::Store`], [`Error::Full`] and [`Error::Stopped`].
pub fn plan(job: &Job, stop: &AtomicBool) -> Result<Planned, Error> {
    job.has_a_size()?;
    let out = Store::open(&job.out)?;
    let (network, model) = ModelFiles::open(&job.model)?;
    let (explainer, spec) = settled(network, &job.spec)?;
    let listed = inputs::list(&job.inputs, stop)?;
    if listed.items.is_empty() {
        let passed_over: Vec<&str> = listed.passed_over.keys().map(String::as_str).collect();
        return Err(Error::Argument(match passed_over.is_empty() {
            true => "the job has no inputs: name folders, patterns, archives or tables".into(),
            false => format!("the job has no inputs; there is only {}", passed_over.join("; ")),
        }));
    }
    explainer.served(&[], listed.items.len())?;
    // Another number of rows fits only where all images have the same.
    let apart = explainer.served(&[], listed.items.len() + 1).is_err();
    let is_table = |input: &InputFrom| ["csv", "tsv", "parquet"].contains(&ending(&input.path).as_str());
    if apart && (job.inputs.len() > 1 || job.inputs.iter().any(is_table)) {
        return Err(Error::Argument(
            "an input beside the image has a row for each image, and which is whose is told by one folder, pattern or archive alone: \
             images are put in the order of their paths, whatever the order of a table or of several inputs"
                .into(),
        ));
    }
    let is_photo = |item: &Item| matches!(item.at, At::File { .. } | At::Member { .. }) && ending(&item.uri) != "npy";
    if explainer.preprocess().is_none() && explainer.image().is_some() && listed.items.iter().any(is_photo) {
        let kind = explainer.image_kind();
        return Err(hirescam::Error::NoPreprocess { network: job.model.clone().into(), kind }.into());
    }
    let form = Rows::of(&explainer, &job.rows)?.form();
    let mut hash = Sha256::new();
    listed.items.iter().for_each(|item| note(&mut hash, item));
    let images = listed.items.len() as u64;
    let inputs = format!("{images} in shards of {}, SHA-256 {}", job.shard_size, hex(&hash.finalize()));
    let decides = Fingerprint::of(&explainer, model.hashes(), form, Some(inputs));
    let fingerprint = decides.digest();
    let planned = Planned {
        job: JOB,
        fingerprint,
        decides,
        model: job.model.clone(),
        spec,
        rows: job.rows.clone(),
        max_errors: job.max_errors,
        inputs: job.inputs.clone(),
        images,
        shard_size: job.shard_size,
        shards: listed.items.len().div_ceil(job.shard_size),
        plan: Vec::new(),
        doubles: listed.doubles,
        passed_over: listed.passed_over,
    };
    if let Some(before) = planned.before(&out, &listed.items)? {
        return Ok(before);
    }
    let mut parts = Vec::new();
    for (number, items) in listed.items.chunks(SHARDS_OF_PART.saturating_mul(job.shard_size)).enumerate() {
        let bytes = part(items, job.shard_size)?;
        let sha256 = sha256(&bytes);
        let file = format!("plan/part-{number:05}-{}.parquet", sha256.get(..IN_NAMES).unwrap_or(&sha256));
        out.put(&file, bytes)?;
        parts.push(Part { file, sha256 });
    }
    let planned = Planned { plan: parts, ..planned };
    let text = serde_json::to_vec_pretty(&planned).map_err(|error| Error::Argument(error.to_string()))?;
    match out.put_if_absent(FILE, text)? {
        true => Ok(planned),
        // Somebody else was planning there, too.
        false => planned.before(&out, &listed.items)?.ok_or(Error::Missing { place: out.place(FILE) }),
    }
}

impl Planned {
    /// The job that is planned in a place.
    ///
    /// # Errors
    /// [`Error::Argument`] where there is none, or it is of another version; [`Error::Damaged`] where it cannot be read.
    pub fn open(out: &Store) -> Result<Self, Error> {
        let damaged = |what: String| Error::Damaged { place: out.place(FILE), what };
        let bytes = out.get(FILE).map_err(|error| match error {
            Error::Missing { place } => Error::Argument(format!(
                "no job is planned there: there is no {place}; hirescam batch plan JOB.toml plans one"
            )),
            error => error,
        })?;
        let version =
            serde_json::from_slice::<serde_json::Value>(&bytes).map_err(|error| damaged(error.to_string()))?;
        match version.get("job").and_then(serde_json::Value::as_u64) {
            Some(version) if version == u64::from(JOB) => {}
            Some(other) => {
                return Err(Error::Argument(format!(
                    "{} was written by another version of hirescam: its form is {other}, and this program reads {JOB}. Go on with that version, or plan a new job",
                    out.place(FILE)
                )));
            }
            None => return Err(damaged("it does not say of which form it is".into())),
        }
        let planned: Planned = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        let size = planned.shard_size as u64;
        let shards = if size > 0 { Some(planned.images.div_ceil(size)) } else { None };
        let parts = planned.shards.div_ceil(SHARDS_OF_PART);
        if shards != Some(planned.shards as u64) || planned.plan.len() != parts {
            return Err(damaged("its numbers of images, shards and parts do not go together".into()));
        }
        match planned.decides.digest() == planned.fingerprint {
            true => Ok(planned),
            false => Err(damaged("its fingerprint is not that of what stands in it".into())),
        }
    }

    /// The job that is planned there already, where it is this one, whose inputs are `items`.
    fn before(&self, out: &Store, items: &[Item]) -> Result<Option<Self>, Error> {
        if !out.has(FILE)? {
            return Ok(None);
        }
        let before = Planned::open(out)?;
        let mut changes = before.decides.changed(&self.decides);
        if changes.is_empty() {
            return Ok(Some(before));
        }
        if let Some(inputs) = changes.iter_mut().find(|change| change.what == LIST)
            && let Some(first) = before.first_change(out, items)
        {
            inputs.is += &format!(" ({first})");
        }
        Err(Error::Changed { place: out.name().into(), changes })
    }

    /// The first input that is another among `items`, in words; none where the plan cannot be read.
    fn first_change(&self, out: &Store, items: &[Item]) -> Option<String> {
        let mut rest = items.iter();
        for shard in 0..self.shards {
            for was in self.items(out, shard).ok()? {
                let length = |item: &Item| item.length().map_or("an unknown number of".into(), |n| n.to_string());
                match rest.next() {
                    Some(is) if *is == was => {}
                    Some(is) if is.uri == was.uri => {
                        return Some(format!("{} had {} bytes, and has {}", is.uri, length(&was), length(is)));
                    }
                    Some(is) if is.key() < was.key() => return Some(format!("{} is new", is.uri)),
                    _ => return Some(format!("{} is gone", was.uri)),
                }
            }
        }
        rest.next().map(|is| format!("{} is new", is.uri))
    }

    /// The number of the first input of a shard.
    pub fn first(&self, shard: usize) -> u64 {
        shard as u64 * self.shard_size as u64
    }

    /// How many inputs a shard has.
    pub fn images_of(&self, shard: usize) -> u64 {
        self.images.saturating_sub(self.first(shard)).min(self.shard_size as u64)
    }

    /// The inputs of a shard.
    ///
    /// # Errors
    /// [`Error::Damaged`] where the plan is not as it was written, [`Error::Argument`] for a shard that there is not.
    pub fn items(&self, out: &Store, shard: usize) -> Result<Vec<Item>, Error> {
        // What reads Parquet may panic at what is none.
        let read = caught(|| self.items_unguarded(out, shard));
        read.unwrap_or_else(|what| Err(Error::Damaged { place: out.place("plan"), what }))
    }

    fn items_unguarded(&self, out: &Store, shard: usize) -> Result<Vec<Item>, Error> {
        let none = || Error::Argument(format!("the job has {} shards, from 0 on, and none is {shard}", self.shards));
        let part = self.plan.get(shard / SHARDS_OF_PART).filter(|_| shard < self.shards).ok_or_else(none)?;
        let damaged = |what: String| Error::Damaged { place: out.place(&part.file), what };
        let file = ParquetRecordBatchReaderBuilder::try_new(out.file(&part.file)?)
            .map_err(|error| damaged(error.to_string()))?;
        let group = shard % SHARDS_OF_PART;
        if group >= file.metadata().num_row_groups() {
            return Err(damaged(format!("it has no row group {group}")));
        }
        let read = file
            .with_row_groups(vec![group])
            .with_batch_size(8192)
            .build()
            .map_err(|error| damaged(error.to_string()))?;
        let mut items = Vec::new();
        for batch in read {
            items.extend(
                items_of(&batch.map_err(|error| damaged(error.to_string()))?)
                    .ok_or_else(|| damaged("its columns are others".into()))?,
            );
        }
        match items.len() as u64 == self.images_of(shard) {
            true => Ok(items),
            false => Err(damaged(format!("it has {} inputs for the shard {shard}", items.len()))),
        }
    }
}

/// Adds an input to a hash, so that no two lists give the same.
fn note(hash: &mut Sha256, item: &Item) {
    let mut text = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    text(&item.uri);
    let numbers = match &item.at {
        At::File { length } => [0, length.map_or(0, |_| 1), length.unwrap_or(0), 0],
        At::Member { archive, offset, length, whole } => {
            text(archive);
            [1, *offset, *length, *whole]
        }
        At::Cell { table, column, row } => {
            text(table);
            text(column);
            [2, *row, 0, 0]
        }
        At::Blank { table, row } => {
            text(table);
            [3, *row, 0, 0]
        }
    };
    numbers.iter().for_each(|number| hash.update(number.to_le_bytes()));
}

/// The columns of a plan: where an input lies. `file` is none where the URI names it.
fn columns() -> Schema {
    let number = |name: &str| Field::new(name, DataType::UInt64, true);
    let text = |name: &str, none: bool| Field::new(name, DataType::Utf8, none);
    Schema::new(vec![
        text("uri", false),
        text("file", true),
        number("length"),
        number("offset"),
        number("file_length"),
        text("column", true),
        number("row"),
    ])
}

/// A part of the plan as the bytes of its file.
fn part(items: &[Item], shard_size: usize) -> Result<Vec<u8>, Error> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true)
        .set_column_dictionary_enabled("uri".into(), false)
        .build();
    let wrong = |error: parquet::errors::ParquetError| Error::Argument(error.to_string());
    let schema = Arc::new(columns());
    let mut writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties)).map_err(wrong)?;
    for shard in items.chunks(shard_size) {
        let number = |of: fn(&At) -> Option<u64>| -> ArrayRef {
            Arc::new(shard.iter().map(|item| of(&item.at)).collect::<UInt64Array>())
        };
        let text =
            |of: fn(&Item) -> Option<&str>| -> ArrayRef { Arc::new(shard.iter().map(of).collect::<StringArray>()) };
        let all = vec![
            text(|item| Some(&item.uri)),
            text(|item| match &item.at {
                At::File { .. } => None,
                At::Member { archive: file, .. } | At::Cell { table: file, .. } | At::Blank { table: file, .. } => {
                    Some(file)
                }
            }),
            Arc::new(shard.iter().map(Item::length).collect::<UInt64Array>()),
            number(|at| if let At::Member { offset, .. } = at { Some(*offset) } else { None }),
            number(|at| if let At::Member { whole, .. } = at { Some(*whole) } else { None }),
            text(|item| if let At::Cell { column, .. } = &item.at { Some(column) } else { None }),
            number(|at| if let At::Cell { row, .. } | At::Blank { row, .. } = at { Some(*row) } else { None }),
        ];
        let batch = RecordBatch::try_new(schema.clone(), all).map_err(|error| Error::Argument(error.to_string()))?;
        writer.write(&batch).and_then(|()| writer.flush()).map_err(wrong)?;
    }
    writer.into_inner().map_err(wrong)
}

/// The inputs in a batch of a plan; none where its columns are others.
fn items_of(batch: &RecordBatch) -> Option<Vec<Item>> {
    let text = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
    let number = |name: &str| batch.column_by_name(name)?.as_primitive_opt::<UInt64Type>();
    let (uri, file, column) = (text("uri")?, text("file")?, text("column")?);
    let (length, offset, whole, row) = (number("length")?, number("offset")?, number("file_length")?, number("row")?);
    let one = |i: usize| {
        let number = |of: &UInt64Array| of.is_valid(i).then(|| of.value(i));
        let at = match (file.is_valid(i), number(offset), number(row)) {
            (false, ..) => At::File { length: number(length) },
            (true, Some(offset), None) => {
                At::Member { archive: file.value(i).into(), offset, length: number(length)?, whole: number(whole)? }
            }
            (true, None, Some(row)) if !column.is_valid(i) => At::Blank { table: file.value(i).into(), row },
            (true, None, Some(row)) => At::Cell { table: file.value(i).into(), column: column.value(i).into(), row },
            _ => return None,
        };
        Some(Item { uri: uri.value(i).to_owned(), at })
    };
    (0..batch.num_rows()).map(one).collect()
}
