//! Every image has its rows once, whatever happens to those that make them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{GOES_ON, Room, hashes, names, ndarray_npy, plan, receipts, run, spec, verify};
use hirescam_batch::store::Store;
use hirescam_batch::{Error, Job, MaxErrors, RunOptions, Shards};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const OUT: &str = "HIRESCAM_TEST_OUT";

/// This is a worker: other tests start this program again with this test alone.
#[test]
#[ignore = "it is the worker that other tests start"]
fn works() {
    let out = std::env::var(OUT).unwrap();
    run(&out).unwrap();
}

fn worker(out: &str) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "works", "--test-threads=1"])
        .env(OUT, out)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The same job, undisturbed.
fn undisturbed(room: &Room) -> Vec<String> {
    let job = room.job("calm");
    plan(&job).unwrap();
    run(&job.out).unwrap();
    hashes(&job.out)
}

#[test]
fn workers_that_are_killed_leave_nothing_double_and_nothing_out() {
    let room = Room::with(400);
    let job = room.job("out");
    plan(&job).unwrap();
    let mut kills = 0;
    for round in 0.. {
        let mut child = worker(&job.out);
        // Each time at another moment: while it starts, in the middle of a shard, while it publishes.
        std::thread::sleep(Duration::from_millis(60 + 37 * (round % 17)));
        let ended = child.try_wait().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        // Whoever reads all files of the folder meets whole ones alone.
        assert!(names(&room.path("out/rows")).iter().all(|name| name.ends_with(".parquet")));
        match ended {
            Some(status) => {
                assert!(status.success());
                break;
            }
            None => kills += 1,
        }
        if kills >= 40 {
            assert!(worker(&job.out).wait().unwrap().success());
            break;
        }
    }
    assert!(kills >= 5, "{kills}");
    let found = verify(&job.out);
    assert!(found.is_whole(), "{found:?}");
    assert_eq!((found.images, found.rows), (400, 400));
    assert_eq!(hashes(&job.out), undisturbed(&room));
}

#[test]
fn of_workers_at_one_shard_one_counts() {
    let room = Room::with(10);
    let job = room.job("out");
    plan(&job).unwrap();
    let mine = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let worker =
                    hirescam_batch::Worker::open(&Store::open(&job.out).unwrap(), &RunOptions::default()).unwrap();
                let (receipt, won) = worker.run_shard(0, &GOES_ON, &mut |_| {}).unwrap();
                mine.fetch_add(usize::from(won), Ordering::Relaxed);
                assert_eq!(receipt, receipts(&job.out)[0]);
            });
        }
    });
    assert_eq!(mine.load(Ordering::Relaxed), 1);
    assert_eq!(names(&room.path("out/rows")).len(), 1);
    assert!(verify(&job.out).is_whole());
}

#[test]
fn workers_that_start_together_share_the_work() {
    let room = Room::with(400);
    let job = room.job("out");
    plan(&job).unwrap();
    let (made, lost) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let ran = run(&job.out).unwrap();
                made.fetch_add(ran.made, Ordering::Relaxed);
                lost.fetch_add(ran.lost, Ordering::Relaxed);
            });
        }
    });
    let (made, lost) = (made.load(Ordering::Relaxed), lost.load(Ordering::Relaxed));
    assert_eq!(made, 40);
    // They meet at the end, where few shards are left: in the same order it would be at two of three.
    assert!(lost <= 20, "{lost} shards were made in vain");
    assert!(verify(&job.out).is_whole());
    assert_eq!(hashes(&job.out), undisturbed(&room));
}

#[test]
fn the_rows_of_a_loser_that_came_out_otherwise_are_dropped() {
    let room = Room::with(10);
    let job = room.job("out");
    plan(&job).unwrap();
    let store = room.store("out");
    let worker = hirescam_batch::Worker::open(&store, &RunOptions::default()).unwrap();
    let (first, _) = worker.run_shard(0, &GOES_ON, &mut |_| {}).unwrap();
    // As if another machine had made other numbers, and was killed before its receipt; and another still publishes.
    let other = first.file.replace(&first.sha256[..16], "0123456789abcdef");
    store.put(&other, "other numbers").unwrap();
    let found = verify(&job.out);
    assert_eq!(found.problems.len(), 1, "{found:?}");
    assert!(found.problems[0].place.ends_with(&other), "{found:?}");
    let ran = run(&job.out).unwrap();
    assert_eq!((ran.before, ran.removed), (1, 1));
    assert!(verify(&job.out).is_whole());
    assert_eq!(receipts(&job.out), std::slice::from_ref(&first));
    assert_eq!(worker.receipt(0).unwrap(), Some(first.clone()));
    assert_eq!(worker.receipt(1).unwrap(), None);
    let (second, mine) = worker.run_shard(0, &GOES_ON, &mut |_| {}).unwrap();
    assert_eq!((second, mine), (first, false));
}

#[test]
fn array_jobs_make_the_same_rows_as_one_process() {
    let room = Room::with(73);
    let job = room.job("out");
    let planned = plan(&job).unwrap();
    assert_eq!((planned.shards, planned.images_of(7)), (8, 3));
    for index in 0..3 {
        let shards =
            Shards::from_environment(|name| (name == "SLURM_ARRAY_TASK_ID").then(|| index.to_string()), Some(3))
                .unwrap();
        hirescam_batch::run(&job.out, &RunOptions { shards, ..RunOptions::default() }, &GOES_ON, &mut |_| {}).unwrap();
    }
    assert!(verify(&job.out).is_whole());
    assert_eq!(hashes(&job.out), undisturbed(&room));
}

#[test]
fn numbers_of_array_jobs_come_from_their_environment() {
    let of = |name: &'static str, value: &'static str| move |asked: &str| (asked == name).then(|| value.to_owned());
    assert_eq!(Shards::from_environment(of("JOB_COMPLETION_INDEX", "7"), None).unwrap(), Shards::One(7));
    assert_eq!(Shards::from_environment(of("SGE_TASK_ID", "1"), Some(4)).unwrap(), Shards::Every { index: 0, of: 4 });
    for (name, value, workers) in [
        ("SGE_TASK_ID", "undefined", None),
        ("SGE_TASK_ID", "0", None),
        ("SLURM_ARRAY_TASK_ID", "x", None),
        ("JOB_COMPLETION_INDEX", "4", Some(4)),
    ] {
        assert!(
            matches!(Shards::from_environment(of(name, value), workers), Err(Error::Argument(_))),
            "{name} {value}"
        );
    }
    let room = Room::with(5);
    let job = room.job("out");
    plan(&job).unwrap();
    let beyond = RunOptions { shards: Shards::One(1), ..RunOptions::default() };
    assert!(matches!(hirescam_batch::run(&job.out, &beyond, &GOES_ON, &mut |_| {}), Err(Error::Argument(_))));
}

#[test]
fn a_run_that_is_stopped_keeps_whole_shards_and_leaves_no_other_file() {
    let room = Room::with(200);
    let job = room.job("out");
    plan(&job).unwrap();
    let stop = AtomicBool::new(false);
    let mut watch = |progress: hirescam_batch::RunProgress| stop.store(progress.images >= 45, Ordering::Relaxed);
    let stopped = hirescam_batch::run(&job.out, &RunOptions::default(), &stop, &mut watch);
    assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
    let done = receipts(&job.out).len();
    assert!((1..20).contains(&done), "{done}");
    assert_eq!(names(&room.path("out/rows")).len(), done);
    let ran = run(&job.out).unwrap();
    assert_eq!((ran.before, ran.made), (done, 20 - done));
    assert_eq!(hashes(&job.out), undisturbed(&room));
}

#[test]
fn what_failed_is_made_again_as_a_new_generation_that_counts() {
    let room = Room::with(25);
    let whole = std::fs::read(room.path("photos/00013.png")).unwrap();
    // As long, so that the list of inputs is that of the undisturbed job.
    room.write("photos/00013.png", vec![7; whole.len()]);
    let job = room.job("out");
    plan(&job).unwrap();
    assert_eq!(run(&job.out).unwrap().failed, 1);
    let before = receipts(&job.out);
    let retry = |out: &str| hirescam_batch::retry(out, &RunOptions::default(), &GOES_ON, &mut |_| {}).unwrap();
    let ran = retry(&job.out);
    assert_eq!((ran.shards, ran.made, ran.failed), (1, 1, 1));
    room.write("photos/00013.png", whole);
    let ran = retry(&job.out);
    assert_eq!((ran.shards, ran.made, ran.failed), (1, 1, 0));
    let after = receipts(&job.out);
    assert_eq!(after.iter().map(|receipt| receipt.generation).collect::<Vec<_>>(), [0, 2, 0]);
    assert_eq!((&after[0], &after[2]), (&before[0], &before[2]));
    // What readers of all files see is what receipts name.
    assert_eq!(names(&room.path("out/rows")).len(), 3);
    assert!(verify(&job.out).is_whole());
    assert_eq!(hashes(&job.out), undisturbed(&room));
    // A worker that was slow with the first attempt changes nothing.
    let worker = hirescam_batch::Worker::open(&room.store("out"), &RunOptions::default()).unwrap();
    let (_, mine) = worker.run_shard(1, &GOES_ON, &mut |_| {}).unwrap();
    assert!(!mine && worker.receipt(1).unwrap().unwrap().generation == 2);
    assert_eq!(names(&room.path("out/rows")).len(), 3);
    assert_eq!(receipts(&job.out), after);
    assert_eq!(retry(&job.out).shards, 0);
    assert!(verify(&job.out).is_whole());
}

#[test]
fn what_is_damaged_is_made_again() {
    let room = Room::with(25);
    let job = room.job("out");
    plan(&job).unwrap();
    run(&job.out).unwrap();
    let calm = undisturbed(&room);
    let retry = || hirescam_batch::retry(&job.out, &RunOptions::default(), &GOES_ON, &mut |_| {}).unwrap().made;
    assert_eq!(retry(), 0);
    let rows = |shard: usize| room.path("out").join(&receipts(&job.out)[shard].file);
    // Rows that are gone, rows of which a byte is another, a receipt that is cut.
    std::fs::remove_file(rows(0)).unwrap();
    let mut bytes = std::fs::read(rows(1)).unwrap();
    bytes[99] = !bytes[99];
    std::fs::write(rows(1), bytes).unwrap();
    assert!(hirescam_batch::merge(&job.out, &room.text("all.parquet")).unwrap_err().to_string().contains("retry"));
    room.write("out/receipts/shard-000002.g0.json", "{");
    let found = verify(&job.out);
    assert!(
        found.problems.iter().filter(|problem| problem.what.contains("hirescam batch retry")).count() == 3,
        "{found:?}"
    );
    assert_eq!(retry(), 3);
    let found = verify(&job.out);
    assert!(found.is_whole(), "{found:?}");
    assert_eq!(hashes(&job.out), calm);
    assert_eq!(names(&room.path("out/rows")).len(), 3);
    // One that has its network ready still makes nothing that is done, whatever became of the receipt before.
    let worker = hirescam_batch::Worker::open(&room.store("out"), &RunOptions::default()).unwrap();
    assert_eq!(worker.receipt(2).unwrap().unwrap().generation, 1);
}

#[test]
fn what_a_killed_worker_left_half_written_is_no_file_and_is_cleared_away_when_it_is_old() {
    let room = Room::with(10);
    let job = room.job("out");
    plan(&job).unwrap();
    let [old, new] = ["out/staged/0", "out/staged/1#1"];
    room.write(old, "half of it");
    room.write(new, "half of it");
    let file = std::fs::File::options().write(true).open(room.path(old)).unwrap();
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(3600)).unwrap();
    assert_eq!(run(&job.out).unwrap().made, 1);
    assert!(verify(&job.out).is_whole());
    // Another worker may be writing the new one.
    assert!(!room.path(old).exists() && room.path(new).exists());
    assert_eq!(names(&room.path("out/staged")), ["1#1"]);
    assert_eq!((names(&room.path("out/rows")).len(), names(&room.path("out/receipts")).len()), (1, 1));
}

#[test]
fn rows_of_a_killed_retry_are_cleared_away_when_they_are_old() {
    let room = Room::with(10);
    let job = room.job("out");
    plan(&job).unwrap();
    run(&job.out).unwrap();
    let left = receipts(&job.out)[0].file.replace(".g0-", ".g1-");
    std::fs::copy(room.path("out").join(&receipts(&job.out)[0].file), room.path("out").join(&left)).unwrap();
    // Another retry may be about to write its receipt.
    assert_eq!(run(&job.out).unwrap().removed, 0);
    let found = verify(&job.out);
    assert!(found.problems.len() == 1 && found.problems[0].what.contains("retry"), "{found:?}");
    let file = std::fs::File::options().write(true).open(room.path("out").join(&left)).unwrap();
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(4000)).unwrap();
    assert_eq!(run(&job.out).unwrap().removed, 1);
    assert!(verify(&job.out).is_whole());
}

#[test]
fn a_shard_by_itself_gives_up_where_the_job_says_so() {
    let room = Room::with(10);
    room.write("photos/00003.png", "no image");
    let job = Job { max_errors: Some(MaxErrors::Number(0)), ..room.job("out") };
    plan(&job).unwrap();
    assert!(matches!(hirescam_batch::run_shard(&job.out, 0), Err(Error::TooMany { failed: 1, .. })));
    let open = |most: u64| {
        let options = RunOptions { max_errors: Some(MaxErrors::Number(most)), ..RunOptions::default() };
        hirescam_batch::Worker::open(&room.store("out"), &options).unwrap()
    };
    assert!(open(0).run_shard(0, &GOES_ON, &mut |_| {}).is_err());
    assert!(receipts(&job.out).is_empty());
    assert_eq!(open(1).run_shard(0, &GOES_ON, &mut |_| {}).unwrap().0.failed, 1);
}

#[test]
fn nothing_in_the_rows_depends_on_threads() {
    let room = Room::with(90);
    // An input of several images, which share runs with others.
    let several = ndarray::Array4::<f32>::from_shape_fn((11, 1, 28, 28), |(n, _, y, x)| ((n * y + x) % 7) as f32);
    let mut bytes = Vec::new();
    ndarray_npy(&several, &mut bytes);
    room.write("photos/00020.npy", bytes);
    let made = |out: &str, threads: usize| {
        let job = room.job(out);
        plan(&job).unwrap();
        let options = RunOptions { threads: Some(threads), ..RunOptions::default() };
        hirescam_batch::run(&job.out, &options, &GOES_ON, &mut |_| {}).unwrap();
        hashes(&job.out)
    };
    let one = made("one", 1);
    assert_eq!(made("two", 2), one);
    assert_eq!(made("many", 4), one);
    let job = Job { spec: spec(), ..room.job("child") };
    plan(&job).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "works", "--test-threads=1"])
        .env(OUT, &job.out)
        .env("RAYON_NUM_THREADS", "5")
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(child.success());
    assert_eq!(hashes(&job.out), hashes(&room.text("one")));
}
