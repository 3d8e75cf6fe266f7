//! An evaluation whose process is killed again and again has the rows of one that is not.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use hirescam::photo::Photo;
use hirescam::{Network, Spec};
use hirescam_evaluate::data::{DataSet, Example, Object, Region};
use hirescam_evaluate::evaluation::{self, Evaluation};
use hirescam_evaluate::rows::Row;
use hirescam_evaluate::{Error, Plan};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::thread::sleep;
use std::time::{Duration, Instant};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

/// Where the child writes to.
const INTO: &str = "HIRESCAM_TEST_EVALUATE_INTO";

/// Enough for several parts.
const IMAGES: usize = 150;

/// The same two digits again and again, shifted a little, and some that are broken.
struct Digits {
    classes: Vec<String>,
    ids: Vec<String>,
    pause: Duration,
}

impl DataSet for Digits {
    fn title(&self) -> String {
        "digits".into()
    }
    fn classes(&self) -> &[String] {
        &self.classes
    }
    fn ids(&self) -> &[String] {
        &self.ids
    }
    fn read(&self, index: usize) -> Result<Example, Error> {
        sleep(self.pause);
        if index % 11 == 3 {
            return Err(Error::Data { path: format!("{index}.png").into(), because: "it is cut".into() });
        }
        let name = if index % 2 == 1 { "seven" } else { "three" };
        let photo = Photo::open(format!("{FIXTURES}/photos/{name}.png")).unwrap();
        let region = Region::Rectangle { left: (index % 9) as f64, top: 5.0, right: 20.0, bottom: 22.0 };
        let object =
            Object { class: index % 2, region: Some(region), difficult: false, truncated: false, crowd: false };
        Ok(Example { photo, objects: vec![object], void: None })
    }
}

fn evaluate(out: &Path, pause: Duration) {
    let network = Network::open(format!("{FIXTURES}/digits-cnn.onnx")).unwrap();
    let spec = Spec { engine: "tract".into(), ..Spec::default() };
    let data = Digits {
        classes: ["three", "seven"].map(str::to_owned).to_vec(),
        ids: (0..IMAGES).map(|i| format!("{i:03}")).collect(),
        pause,
    };
    let plan = Plan {
        metrics: ["iou", "pointing-game", "entropy", "average-drop"].map(str::to_owned).to_vec(),
        sample_seed: Some(5),
        ..Plan::default()
    };
    let classes = [vec![3], vec![7]];
    let evaluation = Evaluation { network: &network, spec: &spec, data: &data, classes: &classes, plan: &plan };
    let outcome = evaluation.run(out, &mut |_| {}, &AtomicBool::new(false)).unwrap();
    assert!(!outcome.stopped && outcome.done == IMAGES);
}

/// What the test below runs in a process of its own.
#[test]
fn child() {
    if let Some(out) = std::env::var_os(INTO) {
        evaluate(Path::new(&out), Duration::from_millis(15));
    }
}

fn parts(out: &Path) -> usize {
    let there = std::fs::read_dir(out.join(evaluation::ROWS)).into_iter().flatten().flatten();
    there.filter(|entry| entry.file_name().to_string_lossy().starts_with("part-")).count()
}

#[test]
fn a_process_that_is_killed_again_and_again_leaves_the_rows_of_one_that_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (killed, whole) = (folder.path().join("killed"), folder.path().join("whole"));
    let mut kills = 0;
    loop {
        let before = parts(&killed);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact"])
            .env(INTO, &killed)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let since = Instant::now();
        let ended = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            // Now before anything is there, now once a part is, now some time after that.
            let early = kills == 0 && since.elapsed() > Duration::from_millis(30);
            if early || parts(&killed) > before {
                sleep(Duration::from_millis(37 * kills % 150));
                break None;
            }
            assert!(since.elapsed() < Duration::from_secs(300), "nothing comes of it");
            sleep(Duration::from_millis(3));
        };
        match ended {
            Some(status) => {
                assert!(status.success());
                break;
            }
            None => {
                // SIGKILL, on Unix.
                child.kill().unwrap();
                child.wait().unwrap();
                kills += 1;
            }
        }
    }
    assert!(kills >= 3, "{kills}");
    evaluate(&whole, Duration::ZERO);
    let rows = |out: &Path| -> Vec<Row> {
        let mut rows = evaluation::rows(out).unwrap();
        rows.iter_mut().for_each(|row| row.seconds = None);
        rows
    };
    let (killed, whole) = (rows(&killed), rows(&whole));
    assert_eq!(killed.len(), whole.len());
    for (a, b) in killed.iter().zip(&whole) {
        assert_eq!(a, b);
    }
}
