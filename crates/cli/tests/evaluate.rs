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
