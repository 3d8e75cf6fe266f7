//! What decides the rows may not change behind a job's back.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{GOES_ON, Room, plan, png, receipts, run, verify};
use hirescam_batch::rows::{MapKind, RowOptions};
use hirescam_batch::{Error, Job, RunOptions, RunProgress};
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
    room.write("photos/new.png", png(99));
    assert_eq!(changed(plan(&job)), ["list of inputs"]);
    std::fs::remove_file(room.path("photos/new.png")).unwrap();
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
