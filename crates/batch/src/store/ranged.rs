//! Files in stores that are read a part at a time.

use super::{object, wait};
use crate::error::Error;
use bytes::{Buf, Bytes};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

/// A file in a store that is read a part at a time.
#[derive(Clone, Debug)]
pub struct Ranged {
    store: Arc<dyn ObjectStore>,
    path: Path,
    name: String,
    length: u64,
}

impl Ranged {
    pub(crate) fn open(store: Arc<dyn ObjectStore>, path: Path, name: String) -> Result<Self, Error> {
        let found = wait(async { store.head(&path).await.map_err(|error| Error::of_store(&name, &error)) })?;
        Ok(Ranged { store, path, name, length: found.size })
    }

    /// What lies behind a URI.
    pub(crate) fn of_uri(uri: &str) -> Result<Self, Error> {
        let (store, path) = object(uri)?;
        Ranged::open(store, path, uri.to_owned())
    }

    /// Its length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Some of its bytes.
    pub(crate) fn range(&self, range: Range<u64>) -> Result<Bytes, Error> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        wait(async {
            self.store.get_range(&self.path, range).await.map_err(|error| Error::of_store(&self.name, &error))
        })
    }
}

/// Reads a [`Ranged`] from some place on. What is read on end comes in larger and larger parts.
#[derive(Debug)]
pub struct Reader {
    file: Ranged,
    position: u64,
    /// What is here of the file already, and where it begins.
    window: Bytes,
    start: u64,
    size: u64,
}

/// The least and the most bytes that a [`Reader`] asks for.
const WINDOW: [u64; 2] = [1 << 16, 1 << 22];

impl Reader {
    pub(crate) fn new(file: Ranged, position: u64) -> Self {
        Reader { file, position, window: Bytes::new(), start: 0, size: WINDOW[0] }
    }
}

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let here = |reader: &Self| {
            let at = usize::try_from(reader.position.checked_sub(reader.start)?).ok()?;
            Some(reader.window.slice(at.min(reader.window.len())..)).filter(|here| !here.is_empty())
        };
        if here(self).is_none() {
            let on_end = self.position == self.start + self.window.len() as u64 && !self.window.is_empty();
            self.size = if on_end { (2 * self.size).min(WINDOW[1]) } else { WINDOW[0] };
            let end = self.file.length.min(self.position.saturating_add(self.size.max(into.len() as u64)));
            self.start = self.position;
            self.window = self.file.range(self.position..end.max(self.position)).map_err(std::io::Error::other)?;
        }
        let count = here(self).map_or(Ok(0), |here| here.reader().read(into))?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.file.length.checked_add_signed(by),
        };
        self.position = position.ok_or(std::io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

impl Length for Ranged {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Ranged {
    type T = Reader;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Reader> {
        Ok(Reader::new(self.clone(), start))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let end = start.saturating_add(length as u64);
        if end > self.length {
            return Err(ParquetError::EOF(format!("it ends at {}, before {end}", self.length)));
        }
        self.range(start..end).map_err(|error| ParquetError::External(Box::new(error)))
    }
}
