//! Jobs over small photos and the network of digits.
#![allow(dead_code, missing_docs)]

use hirescam::Spec;
use hirescam::spec::EngineChoice;
use hirescam_batch::store::Store;
use hirescam_batch::{Error, Job, MaxErrors, Planned, Ran, Receipt, Receipts, RunOptions, Verified, rows::RowOptions};
use image::{GrayImage, Luma};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use tempfile::TempDir;

pub const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

pub static GOES_ON: AtomicBool = AtomicBool::new(false);

/// A folder for a test, with a copy of the network, which may be changed.
pub struct Room {
    pub folder: TempDir,
}

impl Room {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["digits-cnn.onnx", "digits-cnn.toml", "digits-cnn.labels.txt"] {
            std::fs::copy(format!("{FIXTURES}/{name}"), folder.path().join(name)).unwrap();
        }
        std::fs::create_dir(folder.path().join("photos")).unwrap();
        Room { folder }
    }

    /// With so many photos.
    pub fn with(photos: usize) -> Self {
        let room = Room::new();
        for number in 0..photos {
            room.write(&format!("photos/{number:05}.png"), png(number));
        }
        room
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// A job over the photos, in shards of ten.
    pub fn job(&self, out: &str) -> Job {
        Job {
            model: self.text("digits-cnn.onnx"),
            inputs: vec![self.text("photos").as_str().into()],
            out: self.text(out),
            shard_size: 10,
            rows: RowOptions::default(),
            max_errors: None,
            spec: spec(),
        }
    }

    pub fn store(&self, out: &str) -> Store {
        Store::open(&self.text(out)).unwrap()
    }
}

/// One thread, and an engine that is always there.
pub fn spec() -> Spec {
    Spec { engine: EngineChoice { threads: 1, ..EngineChoice::from("tract") }, ..Spec::default() }
}

/// A photo of its own for each number.
pub fn photo(number: usize) -> GrayImage {
    GrayImage::from_fn(28, 28, |x, y| {
        let (x, y, n) = (x as usize, y as usize, number + 3);
        Luma([u8::try_from((x * n + y * y * 7 + (x * y) % n * 11) % 256).unwrap()])
    })
}

pub fn png(number: usize) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    photo(number).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A tensor as a `.npy` file.
pub fn ndarray_npy(tensor: &ndarray::Array4<f32>, bytes: &mut Vec<u8>) {
    // NPY format 1.0: a header of a multiple of 64 bytes, then the numbers.
    let shape: Vec<String> = tensor.shape().iter().map(ToString::to_string).collect();
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", shape.join(", "));
    header += &" ".repeat(63 - (10 + header.len()) % 64);
    header.push('\n');
    bytes.extend(b"\x93NUMPY\x01\x00");
    bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(tensor.iter().flat_map(|value| value.to_le_bytes()));
}

/// An archive, as WebDataset has them.
pub fn tar(path: &Path, members: &[(&str, Vec<u8>)]) {
    let mut archive = tar::Builder::new(File::create(path).unwrap());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    archive.finish().unwrap();
}

pub fn plan(job: &Job) -> Result<Planned, Error> {
    hirescam_batch::plan(job, &GOES_ON)
}

pub fn run(out: &str) -> Result<Ran, Error> {
    hirescam_batch::run(out, &RunOptions::default(), &GOES_ON, &mut |_| {})
}

pub fn run_within(out: &str, most: MaxErrors) -> Result<Ran, Error> {
    hirescam_batch::run(out, &RunOptions { max_errors: Some(most), ..RunOptions::default() }, &GOES_ON, &mut |_| {})
}

pub fn verify(out: &str) -> Verified {
    hirescam_batch::verify(out, &GOES_ON, &|| {}).unwrap()
}

/// The receipts that count.
pub fn receipts(out: &str) -> Vec<Receipt> {
    let store = Store::open(out).unwrap();
    let planned = Planned::open(&store).unwrap();
    Receipts::list(&store, &planned).unwrap().read(&store).unwrap()
}

/// The bytes of all rows, by shard: two jobs of which they are the same have the same rows.
pub fn hashes(out: &str) -> Vec<String> {
    receipts(out).into_iter().map(|receipt| receipt.sha256).collect()
}

/// All names in a folder of a job, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let all = std::fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> = all.map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// The rows of a job, by receipts, as batches.
pub fn batches(out: &str) -> Vec<arrow_array::RecordBatch> {
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    let store = Store::open(out).unwrap();
    let mut all = Vec::new();
    for receipt in receipts(out) {
        let bytes = store.get(&receipt.file).unwrap();
        let read = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
        all.extend(read.map(Result::unwrap));
    }
    all
}

/// A column of text of all rows.
pub fn texts(batches: &[arrow_array::RecordBatch], name: &str) -> Vec<Option<String>> {
    use arrow_array::cast::AsArray;
    let of = |batch: &arrow_array::RecordBatch| {
        batch
            .column_by_name(name)
            .unwrap()
            .as_string::<i32>()
            .iter()
            .map(|text| text.map(str::to_owned))
            .collect::<Vec<_>>()
    };
    batches.iter().flat_map(of).collect()
}

/// A column of numbers of all rows.
pub fn numbers<T: arrow_array::types::ArrowPrimitiveType>(
    batches: &[arrow_array::RecordBatch],
    name: &str,
) -> Vec<Option<T::Native>> {
    use arrow_array::cast::AsArray;
    batches
        .iter()
        .flat_map(|batch| batch.column_by_name(name).unwrap().as_primitive::<T>().iter().collect::<Vec<_>>())
        .collect()
}
