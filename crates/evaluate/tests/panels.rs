//! Panels: nothing that raters see tells the arms, and the key does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam::overlay::Scales;
use hirescam::photo::Photo;
use hirescam::spec::Picture;
use hirescam::{Network, Spec};
use hirescam_evaluate::panels::{Arm, Key, Panels, Plan, make};
use std::path::{Path, PathBuf};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

fn spec(method: &str) -> Spec {
    // At the input Grad-CAM and HiResCAM differ, whatever the head.
    Spec { method: method.into(), engine: "tract".into(), layers: vec![layer()], ..Spec::default() }
}

fn network() -> Network {
    Network::open(format!("{FIXTURES}/digits-cnn.onnx")).unwrap()
}

/// The first layer that can be picked: far from the score the two methods differ.
fn layer() -> String {
    let layers = network().layers(&Spec::default(), true).unwrap();
    layers.rows.first().unwrap().layer.clone()
}

fn arms() -> [Arm; 2] {
    ["hirescam", "gradcam"].map(|name| Arm { name: name.into(), explainer: network().explainer(&spec(name)).unwrap() })
}

/// Copies of two photos, under names of their own.
fn files(folder: &Path, count: usize) -> Vec<PathBuf> {
    let of = |i: usize| {
        let file = folder.join(format!("image {i}.png"));
        let photo = if i.is_multiple_of(3) { "seven" } else { "three" };
        std::fs::copy(format!("{FIXTURES}/photos/{photo}.png"), &file).unwrap();
        file
    };
    (0..count).map(of).collect()
}

fn made(plan: &Plan, files: &[PathBuf], folder: &Path) -> (Panels, Key) {
    make(plan, &arms(), files, &folder.join("panels"), &folder.join("key.json"), &mut |_, _| {}).unwrap()
}

fn plan(seed: u64) -> Plan {
    Plan { seed, picture: Picture { side: Some(56), ..Picture::default() }, ..Plan::default() }
}

#[test]
fn what_raters_see_does_not_tell_the_arms() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path(), 7);
    let (panels, key) = made(&plan(3), &files, folder.path());
    assert_eq!((panels.panels.len(), key.panels.len()), (7, 7));
    let mut seen = Vec::new();
    for entry in std::fs::read_dir(folder.path().join("panels")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let bytes = std::fs::read(&path).unwrap();
        for telling in ["hirescam", "gradcam", "HiResCAM", "Grad-CAM", "exact", "unproven", "left"] {
            assert!(
                !bytes.windows(telling.len()).any(|w| w == telling.as_bytes()) && !name.contains(telling),
                "{name}: {telling}"
            );
        }
        if name.ends_with(".png") {
            // Header, pixels, end: no text, no time, no profile.
            let mut at = 8;
            while at < bytes.len() {
                let length = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
                assert!([b"IHDR", b"IDAT", b"IEND"].iter().any(|kind| **kind == bytes[at + 4..at + 8]), "{name}");
                at += 12 + length;
            }
            seen.push(image::open(&path).unwrap().to_rgb8().dimensions());
        }
    }
    assert_eq!(seen.len(), 7);
    assert!(seen.iter().all(|size| *size == seen[0]));
    // As often the one on the left as the other.
    let left = key.panels.iter().filter(|p| p.left == "hirescam").count();
    assert!(left == 3 || left == 4);
    assert!(key.panels.iter().all(|p| p.left != p.right && !p.same));
    // The list says what is asked about.
    let list = std::fs::read_to_string(folder.path().join("panels/panels.csv")).unwrap();
    assert!(list.starts_with("file,image,class\npanel-0001.png,image 0.png,"), "{list}");
}

#[test]
fn the_key_tells_whose_each_side_is() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path(), 4);
    let (_, key) = made(&plan(1), &files, folder.path());
    for (file, of) in files.iter().zip(&key.panels) {
        let panel = image::open(folder.path().join("panels").join(&of.file)).unwrap().to_rgb8();
        for (name, column) in [(&of.left, 1), (&of.right, 2)] {
            let explained = network().explainer(&spec(name)).unwrap().explain_one(Photo::open(file).unwrap()).unwrap();
            let map = explained.first().unwrap().thumbnail(false, &Picture::default().style().unwrap(), 56).unwrap();
            let (width, height) = map.dimensions();
            let side = image::imageops::crop_imm(&panel, column * (width + 3), 0, width, height).to_image();
            assert!(side == map, "{name}");
        }
    }
    let read: Key = serde_json::from_slice(&std::fs::read(folder.path().join("key.json")).unwrap()).unwrap();
    assert_eq!(read, key);
}

#[test]
fn the_same_seed_gives_the_same_sides_and_another_one_others() {
    let sides = |seed| {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path(), 10);
        let (_, key) = made(&plan(seed), &files, folder.path());
        assert_eq!(key.panels.iter().filter(|p| p.left == "hirescam").count(), 5);
        key.panels.iter().map(|p| p.left.clone()).collect::<Vec<_>>()
    };
    assert_eq!(sides(8), sides(8));
    assert_ne!(sides(8), sides(9));
}

#[test]
fn an_image_that_fails_spoils_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = files(folder.path(), 2);
    let broken = folder.path().join("broken.png");
    std::fs::write(&broken, "no picture").unwrap();
    files.insert(1, broken);
    let (panels, key) = made(&plan(0), &files, folder.path());
    assert_eq!((panels.panels.len(), key.failed.len(), key.failed[0].0.as_str()), (2, 1, "broken.png"));
    let none =
        make(&plan(0), &arms(), &files[1..2], &folder.path().join("x"), &folder.path().join("y"), &mut |_, _| {});
    assert!(none.unwrap_err().to_string().contains("broken.png"));
}

#[test]
fn what_would_tell_the_arms_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path(), 1);
    let out = folder.path().join("panels");
    let refused = |plan: &Plan, arms: &[Arm; 2], key: &Path| {
        make(plan, arms, &files, &out, key, &mut |_, _| {}).unwrap_err().to_string()
    };
    let key = folder.path().join("key.json");
    assert!(refused(&plan(0), &arms(), &out.join("key.json")).contains("within the panels' folder"));
    let [mut a, b] = arms();
    a.name = b.name.clone();
    assert!(refused(&plan(0), &[a, b], &key).contains("both arms"));
    assert!(refused(&Plan { scale: Scales::Both, ..plan(0) }, &arms(), &key).contains("one scale"));
    let [a, mut b] = arms();
    b.explainer = network().explainer(&spec("gradcam,hirescam")).unwrap();
    assert!(refused(&plan(0), &[a, b], &key).contains("one method at one layer"));
    assert!(!out.exists() && !key.exists());
}
