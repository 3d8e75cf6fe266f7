//! Tables of images: CSV with paths, Parquet with paths or with the images themselves.

use super::list::fail;
use super::{At, Item, ending};
use crate::error::{Error, Failure};
use crate::store::{Ranged, Reader, remote};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Field, Schema};
use bytes::Bytes;
use hirescam::engine::caught;
use hirescam::source;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// What columns of images are called, the first that is there where nothing is said.
const NAMES: &[&str] =
    &["image", "path", "uri", "url", "file", "filename", "file_name", "file_path", "image_path", "filepath"];
/// How many images of a table are read at a time.
const AT_ONCE: usize = 16;

/// The images whose paths stand in a table of text.
///
/// # Errors
/// [`Error::Input`] for what is no table, has no such column, or a row without a path.
pub(super) fn of_text(uri: &str, column: Option<&str>) -> Result<Vec<Item>, Error> {
    let delimiter = if ending(uri) == "tsv" { b'\t' } else { b',' };
    let mut table = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .from_reader(std::io::BufReader::new(Reader::new(Ranged::of_uri(uri)?, 0)));
    let wrong = |error: csv::Error| fail(uri, error.to_string());
    let mut record = csv::StringRecord::new();
    if !table.read_record(&mut record).map_err(wrong)? {
        return Err(fail(uri, "the table is empty"));
    }
    // A spreadsheet may put a mark of the order of bytes before the first name.
    let names: Vec<String> = record.iter().map(|name| name.trim_start_matches('\u{feff}').trim().to_owned()).collect();
    let is_list = column.is_none() && matches!(names.as_slice(), [only] if source::is_named_as_image(only));
    let at = if is_list { 0 } else { pick(uri, &names, column)? };
    let mut items = Vec::new();
    if is_list {
        items.push(path_in(uri, names.first().map_or("", String::as_str))?);
    }
    while table.read_record(&mut record).map_err(wrong)? {
        let row = items.len() as u64;
        items.push(match record.get(at).map(str::trim).filter(|path| !path.is_empty()) {
            Some(path) => path_in(uri, path)?,
            None => blank(uri, row),
        });
    }
    Ok(items)
}

/// The column that holds images.
fn pick(uri: &str, names: &[String], column: Option<&str>) -> Result<usize, Error> {
    let at = |wanted: &str| names.iter().position(|name| name.eq_ignore_ascii_case(wanted));
    let found = match column {
        Some(column) => names.iter().position(|name| name == column),
        None => NAMES.iter().find_map(|name| at(name)).or(if names.len() == 1 { Some(0) } else { None }),
    };
    found.ok_or_else(|| {
        let all = names.join(", ");
        fail(
            uri,
            match column {
                Some(column) => format!("there is no column {column:?} among {all}"),
                None => format!(
                    "which column holds the images? Name it in the job: {{ path = …, column = … }}. There are {all}"
                ),
            },
        )
    })
}

/// A row that names no image: it is an input all the same, one that fails.
fn blank(table: &str, row: u64) -> Item {
    Item { uri: format!("{table}#{row}"), at: At::Blank { table: table.into(), row } }
}

/// The image of which a table gives the path: seen from the table's folder.
fn path_in(table: &str, path: &str) -> Result<Item, Error> {
    let uri = match remote(table) {
        _ if remote(path).is_some() => path.to_owned(),
        Some((bucket, key)) if !path.starts_with('/') && !path.starts_with("file://") => {
            let folder = key.rsplit_once('/').map_or("", |(folder, _)| folder);
            match plain_key(folder, path) {
                Some(key) => format!("{bucket}/{key}"),
                // It fails when it is read.
                None => format!("{bucket}/{folder}/{path}"),
            }
        }
        Some(_) => path.to_owned(),
        None => {
            let table = crate::store::local(table)?;
            // What cannot be a path fails when it is read.
            crate::job::seen_from(table.parent().unwrap_or(Path::new("")), path).unwrap_or_else(|_| path.to_owned())
        }
    };
    Ok(Item { uri, at: At::File { length: None } })
}

/// A key without `.` and `..`; none where it leads out of the bucket.
fn plain_key(folder: &str, path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in folder.split('/').chain(path.split('/')).filter(|part| !part.is_empty() && *part != ".") {
        match part {
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

type Opened = ParquetRecordBatchReaderBuilder<Ranged>;

/// What is wrong with a Parquet file, and what helps.
fn wrong(uri: &str, error: impl ToString) -> Error {
    let said = error.to_string();
    match said.contains("Disabled feature") {
        true => fail(
            uri,
            format!("its compression is none that this program reads; write it again with Snappy or without ({said})"),
        ),
        false => fail(uri, said),
    }
}

fn open(uri: &str) -> Result<Opened, Error> {
    // Without Arrow's own notes columns have the plain types.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    Opened::try_new_with_options(Ranged::of_uri(uri)?, options).map_err(|error| wrong(uri, error))
}

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Paths,
    Images,
}

fn holds(field: &Field) -> Option<Holds> {
    match field.data_type() {
        DataType::Utf8 => Some(Holds::Paths),
        DataType::Binary => Some(Holds::Images),
        DataType::Struct(fields)
            if fields.iter().any(|f| f.name() == "bytes" && f.data_type() == &DataType::Binary) =>
        {
            Some(Holds::Images)
        }
        _ => None,
    }
}

/// The column of images.
fn column_of(uri: &str, schema: &Schema, column: Option<&str>) -> Result<(usize, Holds), Error> {
    let usable: Vec<(usize, Holds)> =
        schema.fields().iter().enumerate().filter_map(|(at, f)| Some((at, holds(f)?))).collect();
    let images: Vec<&(usize, Holds)> = usable.iter().filter(|(_, holds)| *holds == Holds::Images).collect();
    if let (None, [only]) = (column, images.as_slice()) {
        return Ok(**only);
    }
    let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let at = pick(uri, &names, column)?;
    let found = usable.into_iter().find(|(usable, _)| *usable == at);
    found.ok_or_else(|| {
        let (name, kind) = names
            .get(at)
            .zip(schema.fields().get(at))
            .map_or(("", String::new()), |(n, f)| (n, f.data_type().to_string()));
        fail(
            uri,
            format!("a column of images holds bytes, paths, or a struct of bytes and path, and {name:?} holds {kind}"),
        )
    })
}

/// The images of a Parquet file.
///
/// # Errors
/// [`Error::Input`] for what is no such file or has no such column.
pub(super) fn of_parquet(uri: &str, column: Option<&str>) -> Result<Vec<Item>, Error> {
    guarded(uri, || of_parquet_unguarded(uri, column))
}

/// What reads Parquet may panic at what is none.
fn guarded<T>(uri: &str, read: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    caught(read).unwrap_or_else(|what| Err(fail(uri, format!("the file is damaged: {what}"))))
}

fn of_parquet_unguarded(uri: &str, column: Option<&str>) -> Result<Vec<Item>, Error> {
    let table = open(uri)?;
    let (at, holds) = column_of(uri, table.schema(), column)?;
    let rows = u64::try_from(table.metadata().file_metadata().num_rows()).unwrap_or(0);
    let (name, column) = (
        Arc::<str>::from(uri),
        table.schema().fields().get(at).map_or("".into(), |f| Arc::<str>::from(f.name().as_str())),
    );
    let cell = |row: u64| Item {
        uri: format!("{uri}#{row}"),
        at: At::Cell { table: name.clone(), column: column.clone(), row },
    };
    if holds == Holds::Images {
        return Ok((0..rows).map(cell).collect());
    }
    let mask = ProjectionMask::roots(table.parquet_schema(), [at]);
    let read = table.with_projection(mask).build().map_err(|error| wrong(uri, error))?;
    let mut items = Vec::new();
    for batch in read {
        let batch = batch.map_err(|error| wrong(uri, error))?;
        let paths = batch.column(0).as_string_opt::<i32>().ok_or_else(|| fail(uri, "its paths are no text"))?;
        for path in paths {
            // A row without a path is an input all the same: one that fails.
            items.push(match path {
                Some(path) => path_in(uri, path)?,
                None => blank(uri, items.len() as u64),
            });
        }
    }
    Ok(items)
}

/// What stands in a cell.
pub(super) enum Cell {
    /// An image.
    Image(Bytes),
    /// The path of one.
    Path(String),
}

/// Reads cells of a column, whose rows go up, and gives them to `each` in their order; it says whether to go on.
///
/// # Errors
/// [`Error::Input`] where the table is not as it was listed.
pub(super) fn cells(
    uri: &str,
    column: &str,
    rows: &[u64],
    each: &mut dyn FnMut(Result<Cell, Failure>) -> bool,
) -> Result<(), Error> {
    guarded(uri, || cells_unguarded(uri, column, rows, each))
}

fn cells_unguarded(
    uri: &str,
    column: &str,
    rows: &[u64],
    each: &mut dyn FnMut(Result<Cell, Failure>) -> bool,
) -> Result<(), Error> {
    let table = open(uri)?;
    let (at, _) = column_of(uri, table.schema(), Some(column))?;
    let all = usize::try_from(table.metadata().file_metadata().num_rows()).unwrap_or(0);
    let wanted: Vec<Range<usize>> =
        rows.iter().filter_map(|&row| usize::try_from(row).ok()).map(|row| row..row + 1).collect();
    if wanted.len() != rows.len() || wanted.last().is_some_and(|last| last.end > all) {
        return Err(fail(uri, format!("the table has {all} rows, and had more when the job was planned")));
    }
    let mask = ProjectionMask::roots(table.parquet_schema(), [at]);
    let selection = RowSelection::from_consecutive_ranges(wanted.into_iter(), all);
    let read = table.with_projection(mask).with_row_selection(selection).with_batch_size(AT_ONCE).build();
    for batch in read.map_err(|error| wrong(uri, error))? {
        let batch = batch.map_err(|error| wrong(uri, error))?;
        for row in 0..batch.num_rows() {
            if !each(cell(batch.column(0), row, uri)) {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn cell(column: &ArrayRef, row: usize, uri: &str) -> Result<Cell, Failure> {
    let none = || Failure::new("argument", "the row has no image: it is null");
    let of = |array: &ArrayRef| {
        let bytes = array.as_binary_opt::<i32>().filter(|bytes| bytes.is_valid(row));
        bytes.map(|bytes| Cell::Image(Bytes::copy_from_slice(bytes.value(row))))
    };
    let Some(parts) = column.as_struct_opt() else { return of(column).ok_or_else(none) };
    if parts.is_null(row) {
        return Err(none());
    }
    let path = || {
        let paths = parts.column_by_name("path")?.as_string_opt::<i32>()?;
        paths.is_valid(row).then(|| paths.value(row))
    };
    match (parts.column_by_name("bytes").and_then(of), path()) {
        (Some(image), _) => Ok(image),
        (None, Some(path)) => match path_in(uri, path) {
            Ok(item) => Ok(Cell::Path(item.uri)),
            Err(error) => Err(Failure::new(error.kind(), error.to_string())),
        },
        (None, None) => Err(none()),
    }
}
