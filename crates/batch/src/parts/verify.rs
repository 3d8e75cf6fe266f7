//! Whether parts are what their receipts say.

use super::commit::{Log, part_of};
use super::done::mark;
use super::{About, Part, ROWS, read_part, receipt};
use crate::error::Error;
use crate::rows::JOB_KEY;
use crate::store::Store;
use crate::verify::{Problem, Verified, form};
use crate::{hex, sha256};
use arrow_array::cast::AsArray;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rayon::prelude::*;
use serde_json::Value;
use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

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
        let what = match part_of(&found.name) {
            None => "this is no file of parts: readers of all files would take it for rows; move it away",
            Some(part) if log.counts.contains_key(part) || log.left_out.contains(part) => {
                "its images count elsewhere: readers of the files that count pass it over, others may not; hirescam.ray.explain, called again, clears it away"
            }
            Some(part) if store.has(&receipt(part))? => {
                "it is published and not counted yet: hirescam.ray.explain, called again, counts it"
            }
            Some(_) => {
                "an attempt that was ended left it, or is not done yet: hirescam.ray.explain, called again, clears it away once it is an hour old"
            }
        };
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
