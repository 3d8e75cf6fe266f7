//! `hirescam evaluate`.
#![allow(clippy::unwrap_used)]

mod common;

use common::{fails, fixture};
use std::path::Path;

#[cfg(not(feature = "evaluate"))]
#[test]
fn a_program_without_it_says_how_to_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = fails(folder.path(), &["evaluate", &fixture("digits-cnn.onnx"), "data", "--methods", "gradcam"]);
    assert_eq!(code, 2);
    assert!(said.contains("--features evaluate"), "{said}");
}

#[cfg(feature = "evaluate")]
mod with {
    use super::*;
    use common::{hirescam, ok};

    /// A table of digits, of which one is broken, one missing and one of no class of the network.
    fn data(folder: &Path) {
        for (name, from) in [("a.png", "seven"), ("b.png", "three")] {
            std::fs::copy(fixture(&format!("photos/{from}.png")), folder.join(name)).unwrap();
        }
        std::fs::write(folder.join("broken.png"), "no image").unwrap();
        let rows = "image,class,left,top,right,bottom\n\
                    a.png,7,4,4,24,24\nb.png,3,4,4,24,24\nbroken.png,7,0,0,9,9\nmissing.png,7,0,0,9,9\na.png,letter,0,0,5,5\n";
        std::fs::write(folder.join("truth.csv"), rows).unwrap();
    }

    #[test]
    fn methods_are_evaluated_on_a_data_set_and_failures_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        data(folder.path());
        let arguments = [
            "evaluate",
            &fixture("digits-cnn.onnx"),
            "truth.csv",
            "--methods",
            "hirescam,gradcam",
            "--metrics",
            "iou,pointing-game,deletion",
            "--curve-steps",
            "8",
            "-o",
            "out",
        ];
        let done = hirescam(folder.path(), &arguments);
        let (said, noted) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert_eq!(done.status.code(), Some(1), "{said}\n{noted}");
        for part in [
            "4 of 4 images",
            "without images: 2 (data; broken.png, missing.png)",
            "letter (1)",
            "deletion",
            "iou*",
            "gradcam",
        ] {
            assert!(said.contains(part), "{part:?} in {said}\n{noted}");
        }
        assert!(noted.contains("letter"), "{noted}");
        assert!(folder.path().join("out/evaluation.json").is_file());
        assert!(folder.path().join("out/rows/part-00000.parquet").is_file());
        // Once more: nothing is left to do.
        let again = String::from_utf8(hirescam(folder.path(), &arguments).stdout).unwrap();
        assert!(again.contains("4 of them from an earlier run"), "{again}");
        // Something else.
        let mut other = arguments;
        other[6] = "iou";
        let (code, said) = {
            let done = hirescam(folder.path(), &other);
            (done.status.code(), String::from_utf8(done.stderr).unwrap())
        };
        assert!(code == Some(2) && said.contains("plan.metrics"), "{code:?} {said}");
    }

    /// Many images of a network on an engine that is slow enough to be interrupted.
    #[cfg(unix)]
    fn interrupted(folder: &Path, again: bool) -> (Option<i32>, String) {
        use std::process::{Command, Stdio};
        use std::time::{Duration, Instant};
        std::fs::copy(fixture("photos/coffee.png"), folder.join("coffee.png")).unwrap();
        let rows: String = (0..60).map(|i| format!("{i}.png,coffee mug,20,20,120,120\n")).collect();
        for i in 0..60 {
            std::fs::hard_link(folder.join("coffee.png"), folder.join(format!("{i}.png"))).unwrap();
        }
        std::fs::write(folder.join("truth.csv"), format!("image,class,left,top,right,bottom\n{rows}")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_hirescam"));
        command.args(["evaluate", &fixture("efficientnet-lite0.onnx"), "truth.csv"]);
        command.args(["--metrics", "entropy,deletion", "--curve-steps", "32", "--engine", "tract", "-o", "out"]);
        command.current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let part = folder.join("out/rows/part-00000.parquet");
        let since = Instant::now();
        while !part.exists() && child.try_wait().unwrap().is_none() && since.elapsed() < Duration::from_secs(120) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let process = child.id().to_string();
        let interrupt = || Command::new("kill").args(["-INT", &process]).stderr(Stdio::null()).status().unwrap();
        assert!(interrupt().success());
        // Signals that come before one was looked at count once: it is told again and again.
        while again && child.try_wait().unwrap().is_none() {
            interrupt();
            std::thread::sleep(Duration::from_millis(5));
        }
        let done = child.wait_with_output().unwrap();
        (done.status.code(), String::from_utf8(done.stdout).unwrap())
    }

    #[cfg(unix)]
    #[test]
    fn an_interrupted_evaluation_keeps_what_is_done_and_says_how_to_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let (code, said) = interrupted(folder.path(), false);
        assert_eq!(code, Some(130), "{said}");
        assert!(said.contains("stopped before the end: the same command goes on"), "{said}");
        let page = std::fs::read_to_string(folder.path().join("out/report.html")).unwrap();
        assert!(page.contains("were explained"), "{page}");
    }

    #[cfg(unix)]
    #[test]
    fn a_second_interrupt_ends_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let (code, said) = interrupted(folder.path(), true);
        assert_eq!((code, said.as_str()), (Some(130), ""));
        assert!(!folder.path().join("out/report.html").exists());
    }

    #[test]
    fn what_does_not_fit_is_said_before_the_work() {
        let folder = tempfile::tempdir().unwrap();
        data(folder.path());
        let of = |more: &[&str]| {
            let network = fixture("digits-cnn.onnx");
            let (code, said) = fails(folder.path(), &[&["evaluate", &network, "truth.csv"], more].concat());
            assert_eq!(code, 2, "{said}");
            said
        };
        assert!(of(&["--metrics", "deletoin"]).contains("deletion"));
        assert!(of(&["--methods", "hirescan"]).contains("hirescam"));
        assert!(of(&["--top", "3"]).contains("--classes"));
        assert!(of(&["--method", "gradcam"]).contains("--methods"));
        let help = ok(folder.path(), &["evaluate", "--help"]);
        for option in ["--classes", "--class ", "--seed", "--sample-seed", "--split", "--class-map", "--resamples"] {
            assert!(help.contains(option), "{option}");
        }
    }
}
