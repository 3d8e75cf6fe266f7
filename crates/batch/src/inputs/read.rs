//! Reads inputs when their turn comes, some of them ahead.

use super::table::{self, Cell};
use super::{At, Item};
use crate::error::{Error, Failure};
use crate::store::{self, remote, runtime};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::mpsc::SyncSender;

/// How many requests for inputs are under way at a time.
const AHEAD: usize = 16;
/// Images that lie side by side in an archive are read by one request, as far as they come to no more bytes, and no more lie between two.
const SIDE_BY_SIDE: u64 = 4 << 20;
const BETWEEN: u64 = 64 << 10;
/// The most bytes of an input.
const MOST_BYTES: u64 = 1 << 30;

/// What was read of an input: its bytes, or why there are none.
pub(crate) type Read = Result<Bytes, Failure>;

/// Reads inputs in their order and sends them on, until all are read or nobody takes them any more. No more than a few are read ahead of
/// whoever takes them.
///
/// # Errors
/// [`Error::Store`] where a store cannot be reached: that says nothing of an image. [`Error::Input`] where a table is not as it was.
pub(crate) fn pull(items: &[Item], send: &SyncSender<Read>) -> Result<(), Error> {
    let same = |a: &Item, b: &Item| match (&a.at, &b.at) {
        (At::Cell { table: a, column: c, .. }, At::Cell { table: b, column: d, .. }) => a == b && c == d,
        (At::Cell { .. }, _) | (_, At::Cell { .. }) => false,
        _ => true,
    };
    for part in items.chunk_by(same) {
        let goes_on = match part.first().map(|item| &item.at) {
            Some(At::Cell { table, column, .. }) => cells(table, column, part, send)?,
            _ => files(part, send)?,
        };
        if !goes_on {
            break;
        }
    }
    Ok(())
}

/// Reads files and members of archives; whether to go on.
fn files(items: &[Item], send: &SyncSender<Read>) -> Result<bool, Error> {
    runtime()?.block_on(async {
        // Each is read to its end by itself, whether or not somebody waits for it.
        let reads = side_by_side(items).map(|items| tokio::spawn(some(items.to_vec())));
        let mut reads = stream::iter(reads).buffered(AHEAD);
        while let Some(reads) = reads.next().await {
            let reads =
                reads.map_err(|error| Error::Store { place: "reading inputs".into(), what: error.to_string() })??;
            if reads.into_iter().any(|read| send.send(read).is_err()) {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

/// The inputs in groups that one request reads: those of one archive that lie side by side; files each alone.
fn side_by_side(items: &[Item]) -> impl Iterator<Item = &[Item]> {
    let mut rest = items;
    std::iter::from_fn(move || {
        let (mut count, mut range) = (1, member(rest.first()?));
        while let (Some((archive, start, end)), Some((next, from, to))) = (range, rest.get(count).and_then(member))
            && archive == next
            && (end..=end.saturating_add(BETWEEN)).contains(&from)
            && to - start <= SIDE_BY_SIDE
        {
            range = Some((archive, start, to));
            count += 1;
        }
        let (group, others) = rest.split_at(count);
        rest = others;
        Some(group)
    })
}

/// The archive that an input is in, where it begins and where it ends.
fn member(item: &Item) -> Option<(&str, u64, u64)> {
    match &item.at {
        At::Member { archive, offset, length, .. } => Some((archive, *offset, offset.checked_add(*length)?)),
        _ => None,
    }
}

/// Reads inputs by one request.
async fn some(items: Vec<Item>) -> Result<Vec<Read>, Error> {
    let ends = items.first().and_then(member).zip(items.last().and_then(member));
    let (Some(((_, start, _), (_, _, end))), [first, _, ..]) = (ends, items.as_slice()) else {
        let mut reads = Vec::new();
        for item in items {
            reads.push(one(item).await?);
        }
        return Ok(reads);
    };
    let At::Member { archive, whole, .. } = &first.at else { return Ok(Vec::new()) };
    let at = At::Member { archive: archive.clone(), offset: start, length: end - start, whole: *whole };
    let all = one(Item { uri: first.uri.clone(), at }).await?;
    let part = |item: &Item| {
        let (_, from, to) = member(item)?;
        let range = usize::try_from(from - start).ok()?..usize::try_from(to - start).ok()?;
        all.as_ref().ok().filter(|bytes| range.end <= bytes.len()).map(|bytes| bytes.slice(range))
    };
    let cut =
        || all.as_ref().map_or_else(Clone::clone, |_| Failure::new("file", "the archive ends before the image does"));
    Ok(items.iter().map(|item| part(item).ok_or_else(cut)).collect())
}

fn cells(table: &str, column: &str, items: &[Item], send: &SyncSender<Read>) -> Result<bool, Error> {
    let row = |item: &Item| match item.at {
        At::Cell { row, .. } => Some(row),
        _ => None,
    };
    let rows: Vec<u64> = items.iter().filter_map(row).collect();
    let (mut goes_on, mut stopped) = (true, None);
    let mut each = |cell: Result<Cell, Failure>| {
        let read = match cell {
            Ok(Cell::Image(bytes)) => within(bytes),
            Ok(Cell::Path(uri)) => {
                match runtime().and_then(|runtime| runtime.block_on(one(Item { uri, at: At::File { length: None } }))) {
                    Ok(read) => read,
                    Err(error) => {
                        stopped = Some(error);
                        return false;
                    }
                }
            }
            Err(failure) => Err(failure),
        };
        goes_on = send.send(read).is_ok();
        goes_on
    };
    table::cells(table, column, &rows, &mut each)?;
    stopped.map_or(Ok(goes_on), Err)
}

/// Reads one input.
async fn one(item: Item) -> Result<Read, Error> {
    // Where it lies, and how long the file was that it is or is in.
    let (uri, range, wanted) = match &item.at {
        At::File { length } => (item.uri.as_str(), None, *length),
        At::Member { archive, offset, length, whole } => (&**archive, Some(*offset..offset + length), Some(*whole)),
        At::Cell { .. } => return Ok(Err(Failure::new("argument", "the row has no image: it is null"))),
        At::Blank { .. } => return Ok(Err(Failure::new("argument", "the row of the table names no image"))),
    };
    let known = wanted.is_some();
    let length = range.as_ref().map(|range| range.end - range.start).or(wanted);
    if let Some(length) = length.filter(|length| *length > MOST_BYTES) {
        return Ok(Err(too_large(length)));
    }
    let (bytes, is) = match remote(uri) {
        Some(_) => match store::object(uri).map(|_| ()) {
            // What can be no place is what is wrong with this image.
            Err(Error::Argument(what)) => return Ok(Err(Failure::new("argument", what))),
            Err(error) => return Err(error),
            Ok(()) => match store::fetch(uri, range).await {
                Ok(read) => read,
                Err(object_store::Error::NotFound { .. }) => return Ok(Err(missing(known))),
                // To those who may not list a bucket, S3 says this of what is not there. Of what was listed it would say something of all.
                Err(object_store::Error::PermissionDenied { .. }) if !known => {
                    let what = "the store gives nothing of this name: there is no such object, or it may not be read";
                    return Ok(Err(Failure::new("missing-file", what)));
                }
                // Where a store is not reached, or does not know us, an image is not to blame.
                Err(error) => return Err(Error::of_store(uri, &error)),
            },
        },
        None => {
            let path = match store::local(uri) {
                Ok(path) => path,
                Err(error) => return Ok(Err(Failure::new("argument", error.to_string()))),
            };
            let read = tokio::task::spawn_blocking(move || of_file(&path, range)).await;
            match read.unwrap_or_else(|error| Err(io::Error::other(error.to_string()))) {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Err(missing(known))),
                Err(error) => return Ok(Err(Failure::new("file", error.to_string()))),
            }
        }
    };
    Ok(match wanted {
        Some(wanted) if is != wanted => {
            let file = if matches!(item.at, At::Member { .. }) { "its archive" } else { "it" };
            Err(Failure::new("changed", format!("{file} had {wanted} bytes when the job was planned, and has {is}")))
        }
        _ => within(bytes),
    })
}

/// Bytes of a file, and its length.
fn of_file(path: &Path, range: Option<Range<u64>>) -> io::Result<(Bytes, u64)> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let most = match range {
        Some(range) => {
            file.seek(SeekFrom::Start(range.start))?;
            range.end - range.start
        }
        None => MOST_BYTES + 1,
    };
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok((bytes.into(), length))
}

fn within(bytes: Bytes) -> Read {
    match bytes.len() as u64 > MOST_BYTES {
        true => Err(too_large(bytes.len() as u64)),
        false => Ok(bytes),
    }
}

fn too_large(length: u64) -> Failure {
    Failure::new("file", format!("it has {length} bytes, and no more than {MOST_BYTES} are read"))
}

fn missing(known: bool) -> Failure {
    let before = if known { ", though there was when the job was planned" } else { "" };
    Failure::new("missing-file", format!("there is no such file{before}"))
}
