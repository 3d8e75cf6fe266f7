//! Whatever happens to a job's files, it is found.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{GOES_ON, Room, names, plan, receipts, run, verify};
use hirescam_batch::Error;
use std::path::{Path, PathBuf};

/// A job of three shards, done.
fn done() -> (Room, String) {
    let room = Room::with(25);
    let job = room.job("out");
    plan(&job).unwrap();
    run(&job.out).unwrap();
    assert!(verify(&job.out).is_whole());
    (room, job.out)
}

/// What is said of the job after something happened to the file.
fn after(name: impl Fn(&Room) -> PathBuf, happens: impl Fn(&Path)) -> (usize, String) {
    let (room, out) = done();
    happens(&name(&room));
    let found = verify(&out);
    assert!(!found.is_whole());
    (
        found.missing,
        found
            .problems
            .iter()
            .map(|problem| format!("{}: {}", problem.place, problem.what))
            .collect::<Vec<_>>()
            .join("\n"),
    )
}

fn rows_of(shard: usize) -> impl Fn(&Room) -> PathBuf {
    move |room| room.path("out").join(&receipts(&room.text("out"))[shard].file)
}

fn receipt(shard: usize) -> impl Fn(&Room) -> PathBuf {
    move |room| room.path(&format!("out/receipts/shard-{shard:06}.g0.json"))
}

fn replaced(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}

fn remove(path: &Path) {
    std::fs::remove_file(path).unwrap();
}

#[test]
fn what_happens_to_rows_is_found() {
    let flip = |path: &Path| {
        let mut bytes = std::fs::read(path).unwrap();
        let at = bytes.len() / 3;
        bytes[at] ^= 4;
        std::fs::write(path, bytes).unwrap();
    };
    assert!(after(rows_of(1), flip).1.contains("its content is another"));
    let cut = |path: &Path| std::fs::write(path, &std::fs::read(path).unwrap()[..500]).unwrap();
    assert!(after(rows_of(2), cut).1.contains("its content is another"));
    assert!(after(rows_of(0), remove).1.contains("the rows are missing"));
    let copy =
        |path: &Path| assert!(std::fs::copy(path, path.with_file_name("shard-000001.g0-copy.parquet")).unwrap() > 0);
    assert!(after(rows_of(1), copy).1.contains("no receipt names this file"));
}

#[test]
fn whatever_byte_of_rows_or_plan_is_another_is_found_and_breaks_nothing() {
    let (room, out) = done();
    let rows = rows_of(1)(&room);
    let part = room.path("out/plan").join(&names(&room.path("out/plan"))[0]);
    for (path, step) in [(rows, 331), (part, 73)] {
        let whole = std::fs::read(&path).unwrap();
        for at in (0..whole.len()).step_by(step) {
            let mut bytes = whole.clone();
            bytes[at] = !bytes[at];
            std::fs::write(&path, bytes).unwrap();
            assert!(!verify(&out).is_whole(), "{} {at}", path.display());
        }
        std::fs::write(&path, whole).unwrap();
    }
    assert!(verify(&out).is_whole());
}

#[test]
fn what_happens_to_receipts_is_found() {
    assert_eq!(after(receipt(1), remove), (1, String::new()));
    assert!(after(receipt(1), |path| std::fs::write(path, "{").unwrap()).1.contains("EOF"));
    assert!(after(receipt(1), |path| replaced(path, "\"rows\": 10", "\"rows\": 11")).1.contains("10 rows"));
    assert!(
        after(receipt(1), |path| replaced(path, "\"images\": 10", "\"images\": 9")).1.contains("tells of 9 images")
    );
    assert!(
        after(receipt(1), |path| replaced(path, "\"fingerprint\": \"", "\"fingerprint\": \"0"))
            .1
            .contains("fingerprint")
    );
    // The receipt of one shard in the place of another's.
    let swapped = |path: &Path| assert!(std::fs::copy(path, path.with_file_name("shard-000002.g0.json")).unwrap() > 0);
    assert!(after(receipt(1), swapped).1.contains("that of the shard 1"));
    // A receipt of another shard's rows, in all else right.
    let theirs = |path: &Path| {
        let other = std::fs::read_to_string(path.with_file_name("shard-000000.g0.json")).unwrap();
        std::fs::write(path, other.replacen("\"shard\": 0", "\"shard\": 1", 1)).unwrap();
    };
    let (_, said) = after(receipt(1), theirs);
    assert!(said.contains("stands where that of 10 is to be"), "{said}");
}

#[test]
fn what_happens_to_the_plan_is_found() {
    let part = |room: &Room| room.path("out/plan").join(&names(&room.path("out/plan"))[0]);
    assert!(after(part, remove).1.contains("a part of the plan is missing"));
    assert!(after(part, |path| std::fs::write(path, "PAR1").unwrap()).1.contains("another than was planned"));
    let (room, out) = done();
    for (from, to) in [("\"shards\": 3", "\"shards\": 3000000000"), ("\"shard_size\": 10", "\"shard_size\": 0")] {
        replaced(&room.path("out/job.json"), from, to);
        assert!(matches!(hirescam_batch::verify(&out, &GOES_ON, &|| {}), Err(Error::Damaged { .. })));
        replaced(&room.path("out/job.json"), to, from);
    }
    replaced(&room.path("out/job.json"), "\"program\": \"", "\"program\": \"9");
    assert!(matches!(hirescam_batch::verify(&out, &GOES_ON, &|| {}), Err(Error::Damaged { .. })));
    replaced(&room.path("out/job.json"), "\"job\": 1", "\"job\": 2");
    let error = hirescam_batch::verify(&out, &GOES_ON, &|| {}).unwrap_err().to_string();
    assert!(error.contains("reads 1"), "{error}");
}

#[test]
fn a_merged_file_has_all_rows_in_their_order() {
    let (room, out) = done();
    let merged = hirescam_batch::merge(&out, &room.text("all.parquet")).unwrap();
    assert_eq!((merged.shards, merged.rows, merged.missing), (3, 25, 0));
    let file = std::fs::File::open(room.path("all.parquet")).unwrap();
    let read = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let keys: Vec<String> =
        read.metadata().file_metadata().key_value_metadata().unwrap().iter().map(|pair| pair.key.clone()).collect();
    for key in ["hirescam.rows", "hirescam.job", "hirescam.maps"] {
        assert!(keys.iter().any(|is| is == key), "{keys:?}");
    }
    let all: Vec<_> = read.build().unwrap().map(Result::unwrap).collect();
    let ids = common::numbers::<arrow_array::types::Int64Type>(&all, "id");
    assert_eq!(ids, (0..25).map(Some).collect::<Vec<_>>());
    assert_eq!(common::texts(&all, "uri"), common::texts(&common::batches(&out), "uri"));
    remove(&room.path("out/receipts/shard-000001.g0.json"));
    assert_eq!(hirescam_batch::merge(&out, &room.text("all.parquet")).unwrap().missing, 1);
}

#[test]
fn status_tells_how_far_a_job_is() {
    let (room, out) = done();
    let status = hirescam_batch::status(&out).unwrap();
    assert_eq!(
        (status.shards, status.done, status.images, status.images_done, status.failed, status.rows),
        (3, 3, 25, 25, 0, 25)
    );
    assert!(status.rate.is_some_and(|rate| rate > 0.0) && status.seconds_left.is_none());
    remove(&room.path("out/receipts/shard-000001.g0.json"));
    let status = hirescam_batch::status(&out).unwrap();
    assert_eq!((status.done, status.images_done), (2, 15));
    assert!(status.seconds_left.is_some_and(|left| left > 0.0));
}
