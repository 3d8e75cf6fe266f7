//! What decides the rows may not change behind a job's back.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{GOES_ON, Room, plan, png, receipts, run, verify};
use hirescam_batch::rows::{MapKind, RowOptions};
use hirescam_batch::{Error, Job, MaxErrors, Named, RunOptions, RunProgress, Worker};
use std::path::Path;

/// What the error says has changed.
fn changed<T: std::fmt::Debug>(made: Result<T, Error>) -> Vec<String> {
    match made {
        Err(Error::Changed { changes, .. }) => changes.into_iter().map(|change| change.what).collect(),
        other => panic!("{other:?}"),
    }
}

/// Turns a number of the network into another: it is still a network.
fn tamper(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_job_that_is_planned_otherwise_is_refused_and_says_what_is_other() {
    let room = Room::with(25);
    let job = room.job("out");
    plan(&job).unwrap();
    let top = Job { spec: hirescam::Spec { top: Some(2), ..job.spec.clone() }, ..job.clone() };
    assert_eq!(changed(plan(&top)), ["spec's top"]);
    let half = Job { rows: RowOptions { map: MapKind::F16, ..RowOptions::default() }, ..job.clone() };
    assert_eq!(changed(plan(&half)), ["rows' map"]);
    assert_eq!(changed(plan(&Job { shard_size: 7, ..job.clone() })), ["list of inputs"]);
    // Which of them is named.
    let said = |wanted: &str| {
        let error = plan(&job).unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
    };
    room.write("photos/new.png", png(99));
    assert_eq!(changed(plan(&job)), ["list of inputs"]);
    said("new.png is new");
    std::fs::remove_file(room.path("photos/new.png")).unwrap();
    room.write("photos/00013.png", "");
    said("00013.png had");
    std::fs::remove_file(room.path("photos/00013.png")).unwrap();
    said("00013.png is gone");
    room.write("photos/00013.png", png(13));
    let steps = std::fs::read_to_string(room.path("digits-cnn.toml")).unwrap();
    room.write("digits-cnn.toml", steps.replace("std = [0.3081]", "std = [0.5]"));
    let said = changed(plan(&job));
    assert_eq!(said, ["preprocessing's std"]);
    std::fs::copy(format!("{}/digits-cnn.toml", common::FIXTURES), room.path("digits-cnn.toml")).unwrap();
    // Threads decide no row.
    let mut threads = job.clone();
    threads.spec.engine.threads = 7;
    assert_eq!(plan(&threads).unwrap(), plan(&job).unwrap());
}

#[test]
fn a_worker_makes_no_rows_of_a_job_that_was_replaced_by_another() {
    let room = Room::with(25);
    let job = room.job("out");
    plan(&job).unwrap();
    let worker = Worker::open(&room.store("out"), &RunOptions::default()).unwrap();
    worker.run_shard(0, &GOES_ON, &mut |_| {}).unwrap();
    std::fs::remove_dir_all(room.path("out")).unwrap();
    plan(&Job { spec: hirescam::Spec { top: Some(2), ..job.spec.clone() }, ..job.clone() }).unwrap();
    assert_eq!(changed(worker.run_shard(1, &GOES_ON, &mut |_| {})), ["spec's top"]);
    assert!(receipts(&job.out).is_empty());
    // Also where that happens while it is at work on a shard.
    std::fs::remove_dir_all(room.path("out")).unwrap();
    plan(&job).unwrap();
    let mut replaced = false;
    let made = worker.run_shard(1, &GOES_ON, &mut |_| {
        if !std::mem::replace(&mut replaced, true) {
            std::fs::remove_dir_all(room.path("out")).unwrap();
            plan(&Job { shard_size: 5, ..job.clone() }).unwrap();
        }
    });
    assert_eq!(changed(made), ["list of inputs"]);
    assert!(receipts(&job.out).is_empty() && replaced);
    // Rows of a shard that there is not are said to be none.
    room.write("out/rows/shard-000099.g0-0123456789abcdef.parquet", "rows");
    assert!(verify(&job.out).problems.iter().any(|problem| problem.what.contains("move it away")));
    // The same one, planned again, is the same.
    std::fs::remove_dir_all(room.path("out")).unwrap();
    plan(&job).unwrap();
    worker.run_shard(1, &GOES_ON, &mut |_| {}).unwrap();
    assert_eq!(run(&job.out).unwrap().made, 2);
    assert!(verify(&job.out).is_whole());
}

#[test]
fn what_decides_no_row_is_as_the_file_says_by_now() {
    let room = Room::new();
    let write = |max_errors: &str| {
        let text = format!(
            "model = 'digits-cnn.onnx'\ninputs = ['photos']\nout = 'out'\nmax_errors = '{max_errors}'\n[spec.engine]\nthreads = 3\n"
        );
        room.write("job.toml", text);
        Named::open(&room.text("job.toml")).unwrap()
    };
    let named = write("10%");
    assert_eq!((named.out.clone(), named.place().unwrap()), (room.text("out"), room.text("out")));
    let options = named.options(RunOptions::default());
    assert_eq!((options.max_errors, options.threads), (Some(MaxErrors::Percent(10.0)), Some(3)));
    assert_eq!(options.model, Some(room.text("digits-cnn.onnx")));
    assert_eq!(write("7").options(RunOptions::default()).max_errors, Some(MaxErrors::Number(7)));
    // What is given goes before; a place says nothing.
    let given = RunOptions { max_errors: Some(MaxErrors::Number(1)), threads: Some(1), ..RunOptions::default() };
    let options = named.options(given.clone());
    assert_eq!((options.max_errors, options.threads), (given.max_errors, given.threads));
    let place = Named::open(&room.text("out")).unwrap();
    assert_eq!((place.options(given.clone()), place.job), (given, None));
    assert!(Named::open("somewhere").unwrap().place().unwrap().ends_with("/somewhere"));
    assert_eq!(Named::open("s3://bucket/maps").unwrap().place().unwrap(), "s3://bucket/maps");
}

#[test]
fn shards_without_a_size_are_refused_whoever_says_the_job() {
    let room = Room::with(1);
    for shard_size in [0, 1_000_001] {
        let error = plan(&Job { shard_size, ..room.job("out") }).unwrap_err();
        assert!(matches!(&error, Error::Argument(what) if what.contains("shard_size")), "{error}");
    }
    for side in [0, 4097] {
        let rows = RowOptions { thumbnails: Some(side), ..RowOptions::default() };
        let error = plan(&Job { rows, ..room.job("out") }).unwrap_err();
        assert!(matches!(&error, Error::Argument(what) if what.contains("thumbnails")), "{error}");
    }
}

#[test]
fn labels_and_preprocessing_are_those_that_were_planned() {
    let room = Room::with(5);
    let job = room.job("out");
    plan(&job).unwrap();
    // The job holds them: workers elsewhere have the network's file alone.
    std::fs::remove_file(room.path("digits-cnn.toml")).unwrap();
    std::fs::remove_file(room.path("digits-cnn.labels.txt")).unwrap();
    assert_eq!(run(&job.out).unwrap().failed, 0);
    assert!(common::texts(&common::batches(&job.out), "label").iter().all(Option::is_some));
}

#[test]
fn a_network_that_changes_half_way_stops_the_job_and_nothing_of_it_comes_into_the_rows() {
    let room = Room::with(60);
    let job = room.job("out");
    plan(&job).unwrap();
    let network = room.path("digits-cnn.onnx");
    let mut watch = |progress: RunProgress| {
        if progress.done == 2 && progress.images == 20 {
            tamper(&network);
        }
    };
    let stopped = hirescam_batch::run(&job.out, &RunOptions::default(), &GOES_ON, &mut watch);
    let text = stopped.as_ref().unwrap_err().to_string();
    assert_eq!(changed(stopped), ["model"]);
    assert!(text.contains("the model changed from SHA-256"), "{text}");
    assert_eq!(receipts(&job.out).len(), 2);
    // A worker that starts now does not even begin.
    assert_eq!(changed(run(&job.out)), ["model"]);
    let found = verify(&job.out);
    assert_eq!((found.missing, found.problems.len()), (4, 0));
    // The same bytes at another time are the same network.
    std::fs::copy(format!("{}/digits-cnn.onnx", common::FIXTURES), &network).unwrap();
    assert_eq!(run(&job.out).unwrap().made, 4);
    assert!(verify(&job.out).is_whole());
}

#[test]
fn the_network_may_lie_elsewhere() {
    let room = Room::with(5);
    let job = room.job("out");
    plan(&job).unwrap();
    std::fs::rename(room.path("digits-cnn.onnx"), room.path("moved.onnx")).unwrap();
    assert!(matches!(run(&job.out), Err(Error::Explain(_))));
    let options = RunOptions { model: Some(room.text("moved.onnx")), ..RunOptions::default() };
    assert_eq!(hirescam_batch::run(&job.out, &options, &GOES_ON, &mut |_| {}).unwrap().made, 1);
}

#[test]
fn what_is_no_job_is_an_error() {
    for (text, said) in [
        ("model = 'a'", "inputs"),
        ("model = 'a'\nout = 'b'\ninputs = ['c']\nshard_size = 0", "shard_size"),
        ("model = 'a'\nout = 'b'\ninputs = [3]", "a path"),
        ("model = 'a'\nout = 'b'\ninputs = ['c']\nmax_errors = 'some'", "5%"),
        ("model = 'a'\nout = 'b'\ninputs = ['c']\nworkers = 3", "workers"),
        ("model = 'a'\nout = 'b'\ninputs = ['c']\n[spec]\ntopp = 3", "topp"),
    ] {
        let error = Job::from_toml(text).unwrap_err().to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
    let room = Room::new();
    for out in [run(&room.text("none")).map(drop), hirescam_batch::status(&room.text("none")).map(drop)] {
        let error = out.unwrap_err();
        assert!(error.to_string().contains("no job is planned there"), "{error}");
    }
}
