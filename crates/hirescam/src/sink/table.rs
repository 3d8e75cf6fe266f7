//! A table of all images: CSV, a line for each result (RFC 4180).

use super::{Protected, Whole, claim, fields};
use crate::error::Error;
use crate::record::Record;
use serde_json::Value;
use std::io::Write;
use std::path::Path;

/// The columns, each the field of the record of the same name.
const COLUMNS: [&str; 20] = [
    "image",
    "image_index",
    "image_sha256",
    "class",
    "label",
    "score",
    "probability",
    "sum",
    "share_of_score",
    "other_tokens",
    "bias",
    "residual",
    "verdict",
    "method",
    "layer",
    "target",
    "fused",
    "map",
    "overlay",
    "error",
];

/// A CSV file with a line for each result and each file that failed.
pub struct Table(Whole);

impl Table {
    /// Begins the table at `path`.
    ///
    /// # Errors
    /// As [`claim`], and [`Error::File`] when it cannot be written.
    pub fn create(path: &Path, protected: &mut Protected, overwrite: bool) -> Result<Self, Error> {
        let head = line(COLUMNS.map(str::to_owned));
        claim(path, protected, overwrite, |there| there.starts_with(head.as_bytes()))?;
        let mut table = Table(Whole::create(path)?);
        table.put(&head)?;
        Ok(table)
    }

    /// Adds a record, that of a result or of a failure.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be written.
    pub fn add(&mut self, record: &Record) -> Result<(), Error> {
        let record = &fields(record)?;
        self.put(&line(COLUMNS.map(|column| match record.get(column) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            // Of a failure, the words.
            Some(Value::Object(fields)) => fields.get("text").and_then(Value::as_str).unwrap_or_default().to_owned(),
            Some(other) => other.to_string(),
        })))
    }

    /// Puts the table in its place.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be written.
    pub fn finish(self) -> Result<(), Error> {
        self.0.finish()
    }

    fn put(&mut self, line: &str) -> Result<(), Error> {
        let written = self.0.write_all(line.as_bytes());
        written.map_err(|error| Error::File { path: self.0.path().to_owned(), error })
    }
}

fn line(cells: [String; COLUMNS.len()]) -> String {
    let quoted = |cell: &String| match cell.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.clone(),
    };
    cells.iter().map(quoted).collect::<Vec<_>>().join(",") + "\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let mut cells = COLUMNS.map(|_| String::new());
        for (cell, text) in cells.iter_mut().zip(["a", "b,c", "d \"e\"", "f\ng"]) {
            *cell = text.to_owned();
        }
        assert!(line(cells).starts_with("a,\"b,c\",\"d \"\"e\"\"\",\"f\ng\",,"));
    }
}
