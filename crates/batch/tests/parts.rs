//! What engines bring: parts, of whatever cut, and each image counted once.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{GOES_ON, Room, batches, names, plan, png, run, spec, texts, verify};
use hirescam::Network;
use hirescam_batch::parts::{self, Brought, Counted, Done, Parts, Published};
use hirescam_batch::rows::{MapKind, RowOptions};
use hirescam_batch::{Error, Failure, MaxErrors};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::BTreeSet;
use std::ops::Range;

fn open(room: &Room, done: Done) -> Parts {
    let network = Network::open(room.path("digits-cnn.onnx")).unwrap();
    Parts::open(&room.text("out"), network, &spec(), &RowOptions::default(), done, None).unwrap()
}

fn uri(number: usize) -> String {
    format!("image-{number:04}")
}

/// Brings images by their numbers; 13 is broken.
fn bring(parts: &Parts, numbers: impl IntoIterator<Item = usize>) -> Result<Published, Error> {
    let numbers: Vec<usize> = numbers.into_iter().collect();
    let uris: Vec<String> = numbers.iter().map(|&number| uri(number)).collect();
    let files: Vec<Vec<u8>> = numbers.iter().map(|&n| if n == 13 { b"no image".to_vec() } else { png(n) }).collect();
    parts.publish(&uris, &|number| Ok(Brought::File(&files[number])), &GOES_ON, &mut |_| {})
}

fn commit(room: &Room) -> Counted {
    parts::commit(&room.text("out")).unwrap()
}

/// All that counts, by uri: the columns that a map has but for those that name it.
fn rows(room: &Room) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for file in hirescam_batch::files(&room.text("out")).unwrap() {
        let read =
            ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(file).unwrap()).unwrap().build().unwrap();
        for batch in read.map(Result::unwrap) {
            all.extend(of_batch(&batch));
        }
    }
    all.sort();
    all
}

fn of_batch(batch: &arrow_array::RecordBatch) -> Vec<(String, String)> {
    let uris = texts(std::slice::from_ref(batch), "uri");
    let columns = ["image_sha256", "class", "score", "residual", "verdict", "map", "error_kind", "error"];
    let of_row =
        |row: usize| columns.map(|name| format!("{:?}", batch.column_by_name(name).unwrap().slice(row, 1))).join("\n");
    uris.into_iter().enumerate().map(|(row, uri)| (uri.unwrap(), of_row(row))).collect()
}

fn all(numbers: Range<usize>) -> Vec<String> {
    numbers.map(uri).collect()
}

fn uris(room: &Room) -> Vec<String> {
    rows(room).into_iter().map(|(uri, _)| uri).collect()
}

#[test]
fn rows_are_those_of_a_job() {
    let room = Room::with(20);
    let parts = open(&room, Done::default());
    room.write("photos/00013.png", b"no image");
    bring(&parts, 0..9).unwrap();
    bring(&parts, (9..20).rev()).unwrap();
    assert_eq!(commit(&room), Counted { parts: 2, images: 20, failed: 1, rows: 20, left: 0 });
    plan(&room.job("job")).unwrap();
    run(&room.text("job")).unwrap();
    let mut job: Vec<(String, String)> = batches(&room.text("job")).iter().flat_map(of_batch).collect();
    for (number, (uri, _)) in job.iter_mut().enumerate() {
        *uri = self::uri(number);
    }
    assert_eq!(rows(&room), job);
    assert!(verify(&room.text("out")).is_whole());
}

#[test]
fn a_batch_that_comes_again_is_dropped_in_whatever_order() {
    let room = Room::new();
    let parts = open(&room, Done::default());
    assert!(bring(&parts, 0..5).unwrap().first);
    assert!(!bring(&parts, (0..5).rev()).unwrap().first);
    assert!(!bring(&open(&room, Done::default()), 0..5).unwrap().first);
    assert_eq!(commit(&room).images, 5);
    assert_eq!((names(&room.path("out/rows")).len(), names(&room.path("out/commits")).len()), (1, 1));
    assert_eq!(commit(&room).images, 5);
    assert_eq!(names(&room.path("out/commits")).len(), 1, "there was nothing to add");
    assert!(!bring(&parts, Vec::new()).unwrap().first);
}

#[test]
fn what_is_done_is_left_out_however_it_is_cut() {
    let room = Room::new();
    bring(&open(&room, Done::default()), 0..6).unwrap();
    assert!(parts::done(&room.text("out")).unwrap().is_empty(), "nothing counts yet");
    commit(&room);
    let done = parts::done(&room.text("out")).unwrap();
    assert_eq!((done.len(), Done::from_bytes(&done.to_bytes())), (6, done.clone()));
    let parts = open(&room, done);
    assert_eq!(parts.left(&all(4..9)).unwrap(), [2, 3, 4]);
    assert!(matches!(parts.left(&[uri(1), uri(8), uri(1)]), Err(Error::Argument(what)) if what.contains("image-0001")));
    bring(&parts, 6..9).unwrap();
    assert_eq!((commit(&room).images, uris(&room)), (9, all(0..9)));
}

#[test]
fn of_parts_that_share_an_image_one_counts_and_the_rest_is_said_to_be_left() {
    let room = Room::new();
    let parts = open(&room, Done::default());
    bring(&parts, 0..5).unwrap();
    commit(&room);
    // Another caller cut otherwise, and knew nothing of the first.
    bring(&parts, 3..8).unwrap();
    bring(&parts, 10..12).unwrap();
    assert_eq!(commit(&room), Counted { parts: 2, images: 7, failed: 0, rows: 7, left: 3 });
    assert_eq!(commit(&room).left, 3, "it is said as long as it is so");
    let again = open(&room, parts::done(&room.text("out")).unwrap());
    let left: Vec<usize> = again.left(&all(0..12)).unwrap();
    assert_eq!(left, [5, 6, 7, 8, 9]);
    bring(&again, left).unwrap();
    assert_eq!(commit(&room), Counted { parts: 3, images: 12, failed: 0, rows: 12, left: 0 });
    assert_eq!(uris(&room), all(0..12));
    // Nor does a file of rows lie there that does not count.
    assert!(verify(&room.text("out")).is_whole());
}

#[test]
fn what_killed_workers_left_is_named_and_cleared_away() {
    let room = Room::new();
    let parts = open(&room, Done::default());
    bring(&parts, 0..3).unwrap();
    let said = |room: &Room| -> Vec<String> {
        verify(&room.text("out")).problems.into_iter().map(|problem| problem.what).collect()
    };
    assert!(matches!(said(&room).as_slice(), [one] if one.contains("not counted yet")), "{:?}", said(&room));
    commit(&room);
    let counted = names(&room.path("out/rows")).remove(0);
    // Of a second attempt, killed before it looked whether it was the first; and of a part whose receipt was never written.
    let (part, _) = counted.rsplit_once('-').unwrap();
    let second = format!("out/rows/{part}-0123456789abcdef.parquet");
    let unnamed = "out/rows/part-fedcba9876543210-0123456789abcdef.parquet";
    room.write(&second, "rows");
    room.write(unnamed, "rows");
    room.write("out/staged/0", "half of it");
    let problems = said(&room);
    assert!(problems.len() == 2 && problems.iter().any(|what| what.contains("count elsewhere")), "{problems:?}");
    commit(&room);
    // Somebody may be about to write its receipt.
    assert!(!room.path(&second).exists() && room.path(unnamed).exists());
    assert!(matches!(said(&room).as_slice(), [one] if one.contains("an hour old")), "{:?}", said(&room));
    for name in [unnamed, "out/staged/0"] {
        let file = std::fs::File::options().write(true).open(room.path(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(4000)).unwrap();
    }
    commit(&room);
    assert_eq!((names(&room.path("out/rows")), names(&room.path("out/staged"))), (vec![counted], vec![]));
    assert!(verify(&room.text("out")).is_whole());
    assert_eq!(uris(&room), all(0..3));
}

#[test]
fn callers_that_bring_and_commit_at_the_same_time_count_each_image_once() {
    let room = Room::new();
    let parts = open(&room, Done::default());
    std::thread::scope(|scope| {
        for caller in 0..4 {
            let (parts, room) = (&parts, &room);
            scope.spawn(move || {
                for part in 0..5 {
                    // They overlap, each with the next.
                    let start = 4 * part + caller;
                    bring(parts, start..start + 4).unwrap();
                    commit(room);
                }
            });
        }
    });
    let counted = commit(&room);
    let uris = uris(&room);
    assert_eq!(uris.len() as u64, counted.images);
    assert_eq!(uris.iter().collect::<BTreeSet<_>>().len(), uris.len());
    let again = open(&room, parts::done(&room.text("out")).unwrap());
    let left = again.left(&all(0..23)).unwrap();
    assert_eq!(left.len() as u64, counted.left);
    bring(&again, left).unwrap();
    assert_eq!((commit(&room).left, self::uris(&room)), (0, all(0..23)));
    assert!(verify(&room.text("out")).is_whole());
}

#[test]
fn what_decides_the_rows_stays() {
    let room = Room::with(1);
    open(&room, Done::default());
    let network = Network::open(room.path("digits-cnn.onnx")).unwrap();
    let opened = |spec: &hirescam::Spec, rows: RowOptions, out: &str| {
        Parts::open(&room.text(out), network.clone(), spec, &rows, Done::default(), None).map(drop)
    };
    assert!(opened(&spec(), RowOptions::default(), "out").is_ok());
    let gradcam = hirescam::Spec { method: "gradcam".into(), ..spec() };
    let halves = RowOptions { map: MapKind::F16, ..RowOptions::default() };
    for (spec, rows, what) in [(&gradcam, RowOptions::default(), "spec's method"), (&spec(), halves, "rows' map")] {
        let Err(Error::Changed { changes, .. }) = opened(spec, rows, "out") else { panic!("{what}") };
        assert_eq!(changes.iter().map(|change| change.what.as_str()).collect::<Vec<_>>(), [what]);
    }
    // Nor are arrays that were read otherwise.
    let read =
        Parts::open(&room.text("out"), network.clone(), &spec(), &RowOptions::default(), Done::default(), Some("CHW"));
    assert!(matches!(read.map(drop), Err(Error::Changed { changes, .. }) if changes[0].is.contains("CHW")));
    plan(&room.job("job")).unwrap();
    assert!(
        matches!(opened(&spec(), RowOptions::default(), "job"), Err(Error::Argument(what)) if what.contains("job is planned"))
    );
}

#[test]
fn a_network_that_changes_half_way_publishes_nothing_more() {
    let room = Room::new();
    let parts = open(&room, Done::default());
    bring(&parts, 0..2).unwrap();
    let mut bytes = std::fs::read(room.path("digits-cnn.onnx")).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    room.write("digits-cnn.onnx", bytes);
    assert!(matches!(bring(&parts, 2..4), Err(Error::Changed { changes, .. }) if changes[0].what == "model"));
    assert_eq!(commit(&room).images, 2);
}

#[test]
fn what_fails_is_a_row_with_the_reason_that_was_given() {
    let room = Room::new();
    let parts = open(&room, Done::default());
    let why = Failure { kind: "argument".into(), text: "the row has no image".into() };
    let made = parts.publish(
        &all(0..2),
        &|n| if n == 0 { Err(why.clone()) } else { Ok(Brought::File(b"none")) },
        &GOES_ON,
        &mut |_| {},
    );
    assert_eq!(made.unwrap(), Published { images: 2, failed: 2, rows: 2, first: true });
    commit(&room);
    assert!(rows(&room)[0].1.contains("the row has no image") && rows(&room)[1].1.contains("no image file"));
}

#[test]
fn what_happens_to_parts_is_found() {
    let found = |harm: &dyn Fn(&Room), wanted: &str| {
        let room = Room::new();
        let parts = open(&room, Done::default());
        bring(&parts, 0..3).unwrap();
        bring(&parts, 3..6).unwrap();
        commit(&room);
        assert!(verify(&room.text("out")).is_whole());
        harm(&room);
        let problems = verify(&room.text("out")).problems;
        assert!(problems.iter().any(|problem| problem.what.contains(wanted)), "{wanted}: {problems:?}");
    };
    let file = |room: &Room, folder: &str, n: usize| {
        room.path(&format!("out/{folder}/{}", names(&room.path(&format!("out/{folder}")))[n]))
    };
    let rows = |room: &Room, n: usize| file(room, "rows", n);
    found(&|room| std::fs::remove_file(rows(room, 0)).unwrap(), "missing");
    found(&|room| std::fs::remove_file(file(room, "receipts", 0)).unwrap(), "missing");
    found(&|room| std::fs::write(file(room, "receipts", 1), "{").unwrap(), "EOF");
    found(&|room| _ = std::fs::copy(rows(room, 0), rows(room, 1)).unwrap(), "another than its receipt says");
    found(&|room| _ = std::fs::copy(rows(room, 0), room.path("out/rows/other.parquet")).unwrap(), "move it away");
    let edited = |room: &Room, from: &str, to: &str| {
        let path = file(room, "receipts", 0);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(path, text.replace(from, to)).unwrap();
    };
    found(&|room| edited(room, "\"rows\":3", "\"rows\":4"), "other images");
    found(&|room| edited(room, "\"fingerprint\":\"", "\"fingerprint\":\"0"), "something else");
}

#[test]
fn more_failures_than_may_be_end_it_and_publish_nothing() {
    let room = Room::new();
    let parts = open(&room, Done::default()).allowing(MaxErrors::Number(0), commit(&room));
    assert_eq!(bring(&parts, 0..10).unwrap().failed, 0);
    assert!(matches!(bring(&parts, 10..20), Err(Error::TooMany { failed: 1, .. })));
    assert_eq!(commit(&room).images, 10);
    // One may fail; then none more, whoever brings it.
    let parts = open(&room, Done::default()).allowing(MaxErrors::Number(1), commit(&room));
    assert_eq!(bring(&parts, 10..20).unwrap().failed, 1);
    assert!(matches!(bring(&parts, [13, 20]), Err(Error::TooMany { failed: 2, .. })));
    let parts = open(&room, Done::default()).allowing(MaxErrors::Percent(5.0), commit(&room));
    assert!(matches!(bring(&parts, [13]), Err(Error::TooMany { failed: 2, .. })));
}
