//! Pictures as a user asks for them, and photos that need a word on the way into the network.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use common::{fails, fixture, hirescam, ok};
use image::{ImageBuffer, Luma};
use serde_json::Value;
use std::path::Path;

fn record(text: &str) -> Value {
    serde_json::from_str(text.lines().next().unwrap()).unwrap()
}

fn size(folder: &Path, record: &Value, key: &str) -> (u32, u32) {
    image::image_dimensions(folder.join(record[key].as_str().unwrap())).unwrap()
}

#[test]
fn pictures_are_drawn_as_asked_for_and_the_record_says_how() {
    let folder = tempfile::tempdir().unwrap();
    let (model, photo) = (fixture("efficientnet-lite0.onnx"), fixture("photos/coffee.png"));
    let explain = |out: &str, more: &[&str]| {
        record(&ok(folder.path(), &[&["explain", &model, &photo, "--json", "--out", out], more].concat()))
    };
    let plain = explain("a", &["--plain", "--opacity", "0.5", "--colormap", "viridis", "--clip", "95"]);
    assert_eq!(size(folder.path(), &plain, "overlay"), (600, 400));
    let look = &plain["spec"]["picture"];
    assert_eq!((&look["colormap"], &look["opacity"], &look["clip"]), (&"viridis".into(), &0.5.into(), &95.0.into()));
    let [figure, beside] = [("b", vec![]), ("c", vec!["--beside"])]
        .map(|(out, more)| size(folder.path(), &explain(out, &more), "overlay"));
    assert!(beside.0 > figure.0 + 600 && beside.1 == figure.1, "{figure:?} {beside:?}");
    for (wrong, word) in [
        (["--colormap", "virdis"], "viridis"),
        (["--opacity", "2"], "opacity"),
        (["--clip", "0"], "percentile"),
        (["--font", &model], "font"),
    ] {
        let (code, says) = fails(folder.path(), &[&["explain", &model, &photo, "--out", "d"], &wrong[..]].concat());
        assert!(matches!(code, 2 | 3) && says.contains(word), "{wrong:?}: {code} {says}");
    }
}

#[test]
fn comparisons_have_one_scale_each_its_own_or_both() {
    let folder = tempfile::tempdir().unwrap();
    let (model, photo) = (fixture("digits-cnn.onnx"), fixture("photos/seven.png"));
    let compare = |out: &str, more: &[&str]| {
        let all = ["compare", &model, &photo, "--methods", "hirescam,gradcam", "--json", "--out", out];
        let made = record(&ok(folder.path(), &[&all[..], more].concat()));
        (size(folder.path(), &made, "picture"), made["spec"]["picture"]["scale"].clone())
    };
    let (both, named) = compare("a", &[]);
    assert_eq!(named, "both");
    let (shared, _) = compare("b", &["--scale", "shared"]);
    let (own, named) = compare("c", &["--own-scale"]);
    assert_eq!(named, "own");
    assert!(both.1 > shared.1 + 300 && both.1 > own.1 + 300, "{both:?} {shared:?} {own:?}");
    // What is no residual is none: LayerCAM leaves some of the score, HiResCAM's b is the rest, Eigen-CAM does not add up.
    let all = ["compare", &model, &photo, "--methods", "hirescam,layercam,eigencam", "--out", "d"];
    let text = ok(folder.path(), &all);
    let cells = |method: &str| -> Vec<String> {
        let line = text.lines().find(|line| line.trim_start().starts_with(method)).unwrap();
        line.split_whitespace().skip(1).take(3).map(str::to_owned).collect()
    };
    let [hirescam, layercam, eigencam] = ["hirescam", "layercam", "eigencam"].map(cells);
    assert!(hirescam[0] != "-" && hirescam[1] != "-" && hirescam[2] == "-", "{text}");
    assert!(layercam[0] != "-" && layercam[1] == "-" && layercam[2] != "-", "{text}");
    assert_eq!(eigencam, ["-", "-", "-"]);
}

#[test]
fn twelve_bits_in_a_file_of_sixteen_are_told_and_read_with_max() {
    let folder = tempfile::tempdir().unwrap();
    let model = fixture("digits-cnn.onnx");
    let seven = image::open(fixture("photos/seven.png")).unwrap().to_luma8();
    let deep = ImageBuffer::from_fn(28, 28, |x, y| Luma([u16::from(seven.get_pixel(x, y).0[0]) * 16]));
    image::DynamicImage::ImageLuma16(deep).save(folder.path().join("deep.png")).unwrap();
    let text = ok(folder.path(), &["explain", &model, "deep.png"]);
    assert!(text.contains("no level above 4080 of 65535") && text.contains("max = 4095"), "{text}");
    let mnist = "channels = \"gray\"\nscale = 0.00392156862745098\nmean = [0.1307]\nstd = [0.3081]\n";
    let score = |range: &str, image: &str, out: &str| {
        std::fs::write(folder.path().join("p.toml"), format!("{range}{mnist}")).unwrap();
        let all = ["explain", &model, image, "--preprocess", "p.toml", "--json", "--out", out];
        let made = record(&ok(folder.path(), &all));
        assert!(!made["certificate"].to_string().contains("65535"), "{made}");
        (made["class"].clone(), made["score"].as_f64().unwrap())
    };
    let (class, plain) = score("", &fixture("photos/seven.png"), "a");
    for (i, range) in ["max = 4080\n", "window = [0, 4080]\n"].iter().enumerate() {
        let (deep, value) = score(range, "deep.png", &format!("b{i}"));
        assert!(deep == class && (value - plain).abs() < 1e-3, "{range} {value} {plain}");
    }
    let (code, says) =
        fails(folder.path(), &["explain", &model, &fixture("photos/seven.png"), "--preprocess", "p.toml"]);
    assert!(code == 2 && says.contains("levels up to 255"), "{says}");
}

#[test]
fn presets_are_listed_and_can_be_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let text = ok(folder.path(), &["presets"]);
    assert!(["imagenet", "imagenet-gray", "mnist", "xrv", "tf-gray"].iter().all(|name| text.contains(name)), "{text}");
    let listed = ok(folder.path(), &["presets", "--json"]);
    let gray = listed.lines().map(record).find(|r| r["preset"] == "imagenet-gray").unwrap();
    assert_eq!((&gray["preprocess"]["channels"], &gray["preprocess"]["mean"][0]), (&"gray".into(), &0.449.into()));
    // The lines of one in a file are the preset.
    let lines: Vec<&str> =
        text.lines().skip_while(|line| *line != "mnist").skip(1).take_while(|line| line.starts_with(' ')).collect();
    std::fs::write(folder.path().join("p.toml"), lines.join("\n")).unwrap();
    let (model, photo) = (fixture("digits-cnn.onnx"), fixture("photos/seven.png"));
    let with = |preprocess: &str, out: &str| {
        record(&ok(folder.path(), &["explain", &model, &photo, "--json", "--preprocess", preprocess, "--out", out]))
    };
    assert_eq!(with("p.toml", "a")["preprocess"], with("mnist", "b")["preprocess"]);
}

#[test]
fn labels_are_written_or_it_is_told_that_they_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let (model, photo) = (fixture("digits-cnn.onnx"), fixture("photos/seven.png"));
    let explain = |seven: &str, out: &str| {
        let labels = format!("0\n1\n2\n3\n4\n5\n6\n{seven}\n8\n9\n");
        std::fs::write(folder.path().join("labels.txt"), labels).unwrap();
        let done = hirescam(folder.path(), &["explain", &model, &photo, "--labels", "labels.txt", "--out", out]);
        assert!(done.status.success());
        (String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap())
    };
    let (says, note) = explain("семь", "a");
    assert!(says.contains("семь") && note.is_empty(), "{note}");
    let (says, note) = explain("七", "b");
    assert!(says.contains("七") && note.contains("boxes for 七") && note.contains("--font"), "{note}");
    let (says, note) = explain("", "c");
    assert!(says.contains("class 7 (score") && note.is_empty(), "{says} {note}");
}
