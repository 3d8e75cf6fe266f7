//! What an evaluation writes down: a row for each image, class, method, layer and metric, in files of Parquet.
//!
//! Rows are added in parts, `part-00000.parquet` and so on, each of which is whole or not there and holds all rows of its images. What
//! order images come in does not matter: [`read`] sorts.

use crate::Error;
use crate::error::damaged;
use arrow_array::builder::{Float64Builder, ListBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, UInt64Array};
use arrow_schema::{DataType, Field, Schema};
use hirescam::sink::Whole;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The version of the columns. It grows when one changes its meaning or goes; new ones may come without.
pub const SCHEMA: u32 = 1;

/// Where the version stands in a file.
const SCHEMA_KEY: &str = "hirescam.evaluation";

/// A measured value, or why there is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// The image's position in the order in which they are evaluated.
    pub index: u64,
    /// The image's name in the data set.
    pub image: String,
    /// The class's name in the data set, of a class that is explained for being predicted where it has none the network's label;
    /// none where the image failed.
    pub class: Option<String>,
    /// The network's class that is explained.
    pub class_index: Option<u64>,
    /// Whether the image shows the class.
    pub present: Option<bool>,
    /// Whether the network predicts the class.
    pub predicted: Option<bool>,
    /// Whether the image is one of the class's difficult ones in the pointing game.
    pub difficult: Option<bool>,
    /// The share of the image that the class's objects take up.
    pub object_share: Option<f64>,
    /// The class's score.
    pub score: Option<f64>,
    /// The class's probability, where it has one.
    pub probability: Option<f64>,
    /// The method; none where all methods failed alike.
    pub method: Option<String>,
    /// The layer.
    pub layer: Option<String>,
    /// The certificate's verdict on the map.
    pub verdict: Option<String>,
    /// The metric, perhaps with a variant after a colon (`unused-share:ablation`); none where there is no map to measure.
    pub metric: Option<String>,
    /// The value.
    pub value: Option<f64>,
    /// The values at each of [`THRESHOLDS`](crate::metrics::THRESHOLDS), of metrics whose threshold is chosen afterwards.
    pub values: Option<Vec<f64>>,
    /// Of what kind the error is that stands for the value: `data`, `undefined`, `unmapped`, …
    pub error: Option<String>,
    /// The error as a sentence.
    pub reason: Option<String>,
    /// How long explaining (a map's first row) or measuring took.
    pub seconds: Option<f64>,
}

/// What all is done with for each column, in the order of the files.
macro_rules! each_column {
    ($do:ident) => {
        $do!(
            index,
            image,
            class,
            class_index,
            present,
            predicted,
            difficult,
            object_share,
            score,
            probability,
            method,
            layer,
            verdict,
            metric,
            value,
            values,
            error,
            reason,
            seconds
        )
    };
}

/// A kind of column.
trait Cell: Sized {
    const NULLABLE: bool;
    fn kind() -> DataType;
    fn array<'a>(cells: impl Iterator<Item = &'a Self>) -> ArrayRef
    where
        Self: 'a;
    /// The cells of an array that has this kind.
    fn cells(array: &ArrayRef) -> Vec<Self>;
}

impl Cell for u64 {
    const NULLABLE: bool = false;
    fn kind() -> DataType {
        DataType::UInt64
    }
    fn array<'a>(cells: impl Iterator<Item = &'a Self>) -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(cells.copied()))
    }
    fn cells(array: &ArrayRef) -> Vec<Self> {
        array.as_primitive::<UInt64Type>().iter().map(Option::unwrap_or_default).collect()
    }
}

impl Cell for String {
    const NULLABLE: bool = false;
    fn kind() -> DataType {
        DataType::Utf8
    }
    fn array<'a>(cells: impl Iterator<Item = &'a Self>) -> ArrayRef {
        Arc::new(StringArray::from_iter_values(cells))
    }
    fn cells(array: &ArrayRef) -> Vec<Self> {
        array.as_string::<i32>().iter().map(|cell| cell.unwrap_or_default().to_owned()).collect()
    }
}

impl Cell for Option<u64> {
    const NULLABLE: bool = true;
    fn kind() -> DataType {
        DataType::UInt64
    }
    fn array<'a>(cells: impl Iterator<Item = &'a Self>) -> ArrayRef {
        Arc::new(UInt64Array::from_iter(cells.copied()))
    }
    fn cells(array: &ArrayRef) -> Vec<Self> {
        array.as_primitive::<UInt64Type>().iter().collect()
    }
}

impl Cell for Option<String> {
    const NULLABLE: bool = true;
    fn kind() -> DataType {
        DataType::Utf8
    }
    fn array<'a>(cells: impl Iterator<Item = &'a Self>) -> ArrayRef {
        Arc::new(StringArray::from_iter(cells.map(Option::as_deref)))
    }
    fn cells(array: &ArrayRef) -> Vec<Self> {
        array.as_string::<i32>().iter().map(|cell| cell.map(str::to_owned)).collect()
    }
}

impl Cell for Option<bool> {
    const NULLABLE: bool = true;
    fn kind() -> DataType {
        DataType::Boolean
    }
    fn array<'a>(cells: impl Iterator<Item = &'a Self>) -> ArrayRef {
        Arc::new(BooleanArray::from_iter(cells.copied()))
    }
    fn cells(array: &ArrayRef) -> Vec<Self> {
        array.as_boolean().iter().collect()
    }
}

impl Cell for Option<f64> {
    const NULLABLE: bool = true;
    fn kind() -> DataType {
        DataType::Float64
    }
    fn array<'a>(cells: impl Iterator<Item = &'a Self>) -> ArrayRef {
        Arc::new(Float64Array::from_iter(cells.copied()))
    }
    fn cells(array: &ArrayRef) -> Vec<Self> {
        array.as_primitive::<Float64Type>().iter().collect()
    }
}

impl Cell for Option<Vec<f64>> {
    const NULLABLE: bool = true;
    fn kind() -> DataType {
        DataType::List(Arc::new(Field::new("item", DataType::Float64, true)))
    }
    fn array<'a>(cells: impl Iterator<Item = &'a Self>) -> ArrayRef {
        let mut lists = ListBuilder::new(Float64Builder::new());
        for cell in cells {
            cell.iter().flatten().for_each(|v| lists.values().append_value(*v));
            lists.append(cell.is_some());
        }
        Arc::new(lists.finish())
    }
    fn cells(array: &ArrayRef) -> Vec<Self> {
        let values =
            |list: ArrayRef| list.as_primitive::<Float64Type>().iter().map(Option::unwrap_or_default).collect();
        array.as_list::<i32>().iter().map(|list| list.map(values)).collect()
    }
}

fn field<T: Cell>(name: &str, _: fn(&Row) -> &T) -> Field {
    Field::new(name, T::kind(), T::NULLABLE)
}

fn column<T: Cell>(rows: &[Row], of: fn(&Row) -> &T) -> ArrayRef {
    T::array(rows.iter().map(of))
}

/// Puts a column into rows.
fn fill<T: Cell>(rows: &mut [Row], array: &ArrayRef, of: fn(&mut Row) -> &mut T) -> Result<(), String> {
    if array.data_type() != &T::kind() {
        return Err(format!("it holds {} where {} is expected", array.data_type(), T::kind()));
    }
    rows.iter_mut().zip(T::cells(array)).for_each(|(row, cell)| *of(row) = cell);
    Ok(())
}

/// The columns, their kinds, and the version of both.
pub fn schema() -> Schema {
    macro_rules! fields {
        ($($name:ident),*) => { vec![$(field(stringify!($name), |row| &row.$name)),*] };
    }
    let version = HashMap::from([(SCHEMA_KEY.to_owned(), SCHEMA.to_string())]);
    Schema::new(each_column!(fields)).with_metadata(version)
}

/// Rows as a batch of Arrow.
///
/// # Errors
/// [`Error::Argument`] where they make none, which no rows do.
pub fn batch(rows: &[Row]) -> Result<RecordBatch, Error> {
    macro_rules! arrays {
        ($($name:ident),*) => { vec![$(column(rows, |row| &row.$name)),*] };
    }
    RecordBatch::try_new(Arc::new(schema()), each_column!(arrays)).map_err(|e| Error::Argument(e.to_string()))
}

fn rows_of(batch: &RecordBatch) -> Result<Vec<Row>, String> {
    let mut rows = vec![Row::default(); batch.num_rows()];
    macro_rules! fill_all {
        ($($name:ident),*) => {
            $(
                let name = stringify!($name);
                let array = batch.column_by_name(name).ok_or_else(|| format!("there is no column {name:?}"))?;
                fill(&mut rows, array, |row| &mut row.$name).map_err(|e| format!("the column {name:?}: {e}"))?;
            )*
        };
    }
    each_column!(fill_all);
    Ok(rows)
}

impl Row {
    /// What rows are sorted by: image, class, method, layer, metric.
    fn key(&self) -> impl Ord + '_ {
        (self.index, &self.class, self.class_index, &self.method, &self.layer, &self.metric)
    }
}

/// Sorts rows by image, class, method, layer and metric.
pub fn sort(rows: &mut [Row]) {
    rows.sort_by(|a, b| a.key().cmp(&b.key()));
}

/// A folder of parts.
#[derive(Debug)]
pub struct Parts {
    folder: PathBuf,
    /// The number of the next one.
    next: usize,
}

impl Parts {
    /// Opens a folder, and makes it where it is not there. What a process that was killed left unfinished goes.
    ///
    /// # Errors
    /// [`Error::Data`] where it cannot be read or made.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let fail = |e: std::io::Error| damaged(folder, e.to_string());
        std::fs::create_dir_all(folder).map_err(fail)?;
        for entry in std::fs::read_dir(folder).map_err(fail)? {
            let name = entry.map_err(fail)?.file_name();
            if name.to_string_lossy().starts_with(".hirescam-") {
                // One that cannot be removed does no harm.
                let _ = std::fs::remove_file(folder.join(name));
            }
        }
        let next = parts(folder)?.last().map_or(0, |(number, _)| number + 1);
        Ok(Parts { folder: folder.to_owned(), next })
    }

    /// The images that all rows are there of.
    ///
    /// # Errors
    /// [`Error::Data`] for a part that cannot be read.
    pub fn done(&self) -> Result<BTreeSet<u64>, Error> {
        Ok(self.rows()?.into_iter().map(|row| row.index).collect())
    }

    /// All rows, in their order.
    ///
    /// # Errors
    /// [`Error::Data`] for a part that cannot be read.
    pub fn rows(&self) -> Result<Vec<Row>, Error> {
        read(&self.folder)
    }

    /// Adds a part.
    ///
    /// # Errors
    /// [`Error::Explain`] where it cannot be written.
    pub fn add(&mut self, rows: &[Row]) -> Result<(), Error> {
        write(&self.folder.join(format!("part-{:05}.parquet", self.next)), rows)?;
        self.next += 1;
        Ok(())
    }
}

/// Writes rows to a file, whole or not at all.
///
/// # Errors
/// [`Error::Explain`] where it cannot be written.
pub fn write(path: &Path, rows: &[Row]) -> Result<(), Error> {
    let mut file = Whole::create(path)?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let fail = |e: parquet::errors::ParquetError| damaged(path, e.to_string());
    let mut writer = ArrowWriter::try_new(&mut file, Arc::new(schema()), Some(properties)).map_err(fail)?;
    writer.write(&batch(rows)?).map_err(fail)?;
    writer.close().map_err(fail)?;
    Ok(file.finish()?)
}

/// The rows of all parts in a folder, sorted by image, class, method, layer and metric.
///
/// # Errors
/// [`Error::Data`] for a part that cannot be read, or was written by another version.
pub fn read(folder: &Path) -> Result<Vec<Row>, Error> {
    let mut all = Vec::new();
    for (_, path) in parts(folder)? {
        all.extend(read_file(&path)?);
    }
    sort(&mut all);
    Ok(all)
}

/// The rows of one file, in its order.
///
/// # Errors
/// As [`read`].
pub fn read_file(path: &Path) -> Result<Vec<Row>, Error> {
    let fail = |what: String| damaged(path, format!("{what}; without the file, its rows are made again"));
    let file = File::open(path).map_err(|e| damaged(path, e.to_string()))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| fail(e.to_string()))?;
    match reader.schema().metadata().get(SCHEMA_KEY).map(String::as_str) {
        Some(version) if version == SCHEMA.to_string() => {}
        Some(other) => return Err(fail(format!("its columns are those of the version {other}, and not {SCHEMA}"))),
        None => return Err(fail("it holds no rows of an evaluation".into())),
    }
    let mut rows = Vec::new();
    for batch in reader.build().map_err(|e| fail(e.to_string()))? {
        let batch = batch.map_err(|e| fail(e.to_string()))?;
        rows.extend(rows_of(&batch).map_err(fail)?);
    }
    Ok(rows)
}

/// The parts in a folder, by their numbers.
fn parts(folder: &Path) -> Result<Vec<(usize, PathBuf)>, Error> {
    let fail = |e: std::io::Error| damaged(folder, e.to_string());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.strip_prefix("part-").and_then(|rest| rest.strip_suffix(".parquet")?.parse().ok());
        found.extend(number.map(|number| (number, path)));
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn some() -> Vec<Row> {
        let full = Row {
            index: 7,
            image: "2007_000027".into(),
            class: Some("person".into()),
            class_index: Some(14),
            present: Some(true),
            predicted: Some(false),
            difficult: Some(true),
            object_share: Some(0.25),
            score: Some(-1.5),
            probability: Some(0.125),
            method: Some("hirescam".into()),
            layer: Some("features".into()),
            verdict: Some("exact".into()),
            metric: Some("iou".into()),
            value: None,
            values: Some(vec![0.5, 0.25]),
            error: None,
            reason: None,
            seconds: Some(0.01),
        };
        let empty = Row { index: 3, image: "a".into(), error: Some("data".into()), ..Row::default() };
        let none = Row { index: 3, image: "a".into(), values: Some(Vec::new()), ..Row::default() };
        vec![full, empty, none]
    }

    #[test]
    fn rows_come_back_from_parts_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut parts = Parts::open(folder.path()).unwrap();
        let rows = some();
        parts.add(&rows[..1]).unwrap();
        std::fs::write(folder.path().join(".hirescam-1-0"), "half").unwrap();
        let mut parts = Parts::open(folder.path()).unwrap();
        parts.add(&rows[1..]).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        assert_eq!(parts.done().unwrap().into_iter().collect::<Vec<_>>(), [3, 7]);
        assert_eq!(read(folder.path()).unwrap(), [rows[1].clone(), rows[2].clone(), rows[0].clone()]);
    }

    #[test]
    fn a_part_that_is_cut_or_of_another_version_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part-00000.parquet");
        write(&path, &some()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(read(folder.path()).unwrap_err().to_string().contains("part-00000.parquet"));
    }

    /// What readers elsewhere count on.
    #[test]
    fn the_columns_stay_what_they_are() {
        let columns: Vec<String> = schema()
            .fields()
            .iter()
            .map(|f| format!("{} {}{}", f.name(), f.data_type(), if f.is_nullable() { "?" } else { "" }))
            .collect();
        let wanted = "index UInt64, image Utf8, class Utf8?, class_index UInt64?, present Boolean?, predicted Boolean?, \
                      difficult Boolean?, object_share Float64?, score Float64?, probability Float64?, method Utf8?, \
                      layer Utf8?, verdict Utf8?, metric Utf8?, value Float64?, values List(Float64)?, error Utf8?, \
                      reason Utf8?, seconds Float64?";
        assert_eq!(columns.join(", "), wanted);
        assert_eq!(SCHEMA, 1);
    }
}
