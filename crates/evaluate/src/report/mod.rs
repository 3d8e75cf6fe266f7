//! Reports: what the rows of an evaluation come to, as a page, as tables, and as data.
//!
//! [`write()`] takes rows and what was asked for, and nothing else. [`Summary`] holds every number once; the page, CSV, JSON and LaTeX show
//! them. The same rows give the same bytes, in whatever order they are.

mod agreement;
mod compare;
pub mod elements;
mod examples;
mod html;
mod manifest;
mod measured;
pub mod plot;
mod summary;
mod tables;
mod thresholds;
mod words;

pub use manifest::{Certificate, Manifest};
pub use summary::*;

use crate::Error;
use crate::rows::Row;
use hirescam::sink;
use std::path::{Path, PathBuf};

/// A picture that a report wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// The image's position in the order in which they are evaluated.
    pub index: u64,
    /// Its name.
    pub image: &'a str,
    /// The class, as in the rows.
    pub class: &'a str,
    /// Its number among the network's, where the rows have it.
    pub class_index: Option<u64>,
    /// The method.
    pub method: &'a str,
    /// The layer.
    pub layer: &'a str,
}

/// Draws the few maps that a report shows, as PNG; none where one cannot be drawn.
pub type Pictures<'a> = dyn Fn(&Wanted<'_>) -> Option<Vec<u8>> + 'a;

/// Writes the report into a folder, which is made if need be: `report.html`, `summary.json`, `summary.csv`, `tests.csv`, `agreement.csv`,
/// `thresholds.csv` and `tables.tex`. What is there of these names is replaced. Without `pictures` the page names the maps to look at, and
/// shows none.
///
/// # Errors
/// [`Error::Output`] where a file cannot be written.
pub fn write(
    folder: &Path,
    manifest: &Manifest,
    rows: &[Row],
    pictures: Option<&Pictures<'_>>,
) -> Result<Summary, Error> {
    let summary = Summary::of(manifest, rows);
    let fail = |path: PathBuf, because: String| Error::Output { path, because };
    std::fs::create_dir_all(folder).map_err(|e| fail(folder.to_owned(), e.to_string()))?;
    let mut json = serde_json::to_vec_pretty(&summary).map_err(|e| fail(folder.join("summary.json"), e.to_string()))?;
    json.push(b'\n');
    let csv = |table: Result<Vec<u8>, csv::Error>| table.map_err(|e| fail(folder.to_owned(), e.to_string()));
    let files = [
        ("report.html", page(&summary, pictures).into_bytes()),
        ("summary.json", json),
        ("summary.csv", csv(tables::summary_csv(&summary))?),
        ("tests.csv", csv(tables::tests_csv(&summary))?),
        ("agreement.csv", csv(tables::agreement_csv(&summary))?),
        ("thresholds.csv", csv(tables::thresholds_csv(&summary))?),
        ("tables.tex", latex(&summary).into_bytes()),
    ];
    for (name, bytes) in files {
        let path = folder.join(name);
        sink::write(&path, &bytes).map_err(|e| fail(path.clone(), e.to_string()))?;
    }
    Ok(summary)
}

/// The report as one HTML page that holds all it shows.
pub fn page(summary: &Summary, pictures: Option<&Pictures<'_>>) -> String {
    html::page(summary, pictures)
}

/// The tables of means and tests in LaTeX, with booktabs.
pub fn latex(summary: &Summary) -> String {
    tables::latex(summary)
}
