//! The inputs of a job: where images lie, found without reading them, and read when their turn comes.

mod archive;
mod list;
mod read;
mod table;

pub use list::{Listed, list};
pub(crate) use read::{Read, pull};

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::sync::Arc;

/// Where images come from, as a job's file says it: a path alone, or with the column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Given", into = "Given")]
pub struct InputFrom {
    /// A folder, which stands for the images in it and in its folders; a pattern; an image; a tar archive of images; a table of paths or
    /// of images, in CSV or Parquet. All of them here or in a store, by URL.
    pub path: String,
    /// The column of a table; found by its name or its type where nothing is said.
    pub column: Option<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Given {
    Path(String),
    Table(OfTable),
}

// Not derived, so that a key that is none is named.
impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(OfGiven)
    }
}

struct OfGiven;

impl<'de> Visitor<'de> for OfGiven {
    type Value = Given;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a path, or a table with path and column")
    }

    fn visit_str<E>(self, path: &str) -> Result<Given, E> {
        Ok(Given::Path(path.to_owned()))
    }

    fn visit_map<M: MapAccess<'de>>(self, table: M) -> Result<Given, M::Error> {
        OfTable::deserialize(MapAccessDeserializer::new(table)).map(Given::Table)
    }
}

/// Reads where the images of a job come from: a list, or one alone.
pub(crate) fn one_or_several<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<InputFrom>, D::Error> {
    struct OneOrSeveral;

    impl<'de> Visitor<'de> for OneOrSeveral {
        type Value = Vec<InputFrom>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a list, or one alone: ")?;
            OfGiven.expecting(f)
        }

        fn visit_str<E: de::Error>(self, path: &str) -> Result<Vec<InputFrom>, E> {
            Ok(vec![path.into()])
        }

        fn visit_map<M: MapAccess<'de>>(self, table: M) -> Result<Vec<InputFrom>, M::Error> {
            InputFrom::deserialize(MapAccessDeserializer::new(table)).map(|input| vec![input])
        }

        fn visit_seq<S: SeqAccess<'de>>(self, list: S) -> Result<Vec<InputFrom>, S::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(list))
        }
    }

    from.deserialize_any(OneOrSeveral)
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct OfTable {
    path: String,
    column: Option<String>,
}

impl From<Given> for InputFrom {
    fn from(given: Given) -> Self {
        match given {
            Given::Path(path) => InputFrom { path, column: None },
            Given::Table(OfTable { path, column }) => InputFrom { path, column },
        }
    }
}

impl From<InputFrom> for Given {
    fn from(from: InputFrom) -> Self {
        match from.column {
            None => Given::Path(from.path),
            column => Given::Table(OfTable { path: from.path, column }),
        }
    }
}

impl From<&str> for InputFrom {
    fn from(path: &str) -> Self {
        InputFrom { path: path.into(), column: None }
    }
}

/// One input: an image file, wherever it lies. A `.npy` file may hold several images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is called in the rows: the path or the URL of the file; of what lies inside another file that one's, `#`, and its name or
    /// number there.
    pub uri: String,
    /// Where it lies.
    pub at: At,
}

/// Where an input lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// In a file of its own, the one that the URI names.
    File {
        /// Its length, where listing it told that.
        length: Option<u64>,
    },
    /// In an archive, as these bytes.
    Member {
        /// The archive.
        archive: Arc<str>,
        /// Where it begins.
        offset: u64,
        /// Its length.
        length: u64,
        /// The length of the archive.
        whole: u64,
    },
    /// In a table.
    Cell {
        /// The table.
        table: Arc<str>,
        /// The column.
        column: Arc<str>,
        /// The row, from 0.
        row: u64,
    },
    /// Nowhere: a row of a table names none.
    Blank {
        /// The table.
        table: Arc<str>,
        /// The row, from 0.
        row: u64,
    },
}

impl Item {
    /// Its length, where listing it told that.
    pub(crate) fn length(&self) -> Option<u64> {
        match self.at {
            At::File { length } => length,
            At::Member { length, .. } => Some(length),
            At::Cell { .. } | At::Blank { .. } => None,
        }
    }

    /// What inputs are sorted by: their files, and where they lie in these.
    pub(crate) fn key(&self) -> (&str, u64, &str) {
        match &self.at {
            At::File { .. } => (&self.uri, 0, ""),
            At::Member { archive, offset, .. } => (archive, *offset, ""),
            At::Cell { table, column, row } => (table, *row, column),
            At::Blank { table, row } => (table, *row, ""),
        }
    }
}

/// What a file's name ends in, in small letters; nothing where there is none.
pub(crate) fn ending(uri: &str) -> String {
    let name = uri.rsplit('/').next().unwrap_or(uri);
    name.rsplit_once('.').map_or(String::new(), |(_, ending)| ending.to_lowercase())
}
