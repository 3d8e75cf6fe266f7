//! Files: none is lost, none is half written, and what is said and listed of many is what their records say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use common::{fails, fixture, hirescam, ok};
use ndarray::{ArrayD, Axis, concatenate};
use ndarray_npy::write_npy;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

fn records(stdout: &str) -> Vec<Value> {
    stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A folder with a network, photos of a seven and a three, and the seven as a tensor, alone and three times.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(fixture("digits-cnn.onnx"), folder.path().join("net.onnx")).unwrap();
    for name in ["seven.png", "three.png"] {
        fs::copy(fixture(&format!("photos/{name}")), folder.path().join(name)).unwrap();
    }
    for name in ["digits-cnn.toml", "digits-cnn.labels.txt"] {
        if let Ok(bytes) = fs::read(fixture(name)) {
            fs::write(folder.path().join(name.replace("digits-cnn", "net")), bytes).unwrap();
        }
    }
    let pixels = image::open(folder.path().join("seven.png")).unwrap().to_luma8();
    let values = pixels.iter().map(|&v| (f32::from(v) / 255.0 - 0.1307) / 0.3081).collect();
    let tensor = ArrayD::from_shape_vec(vec![1, 1, 28, 28], values).unwrap();
    write_npy(folder.path().join("scan.npy"), &tensor).unwrap();
    let three = concatenate(Axis(0), &[tensor.view(), tensor.view(), tensor.view()]).unwrap();
    write_npy(folder.path().join("batch.npy"), &three).unwrap();
    folder
}

/// All files below a folder with their bytes.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            all.extend(contents(&path).into_iter().map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
        } else {
            all.insert(name, fs::read(&path).unwrap());
        }
    }
    all
}

#[test]
fn an_output_is_never_an_input() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    ok(folder.path(), &["compile", "net.onnx", "-o", "explaining.onnx"]);
    fs::copy(at("seven.png"), at("config.png")).unwrap();
    fs::write(at("config.json"), r#"{"id2label": {}}"#.replace("{}", &labels())).unwrap();
    fs::create_dir(at("linked")).unwrap();
    fs::hard_link(at("scan.npy"), at("linked/scan.npy")).unwrap();
    fs::hard_link(at("net.onnx"), at("hard.onnx")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("net.onnx", at("soft.onnx")).unwrap();
    let before = contents(folder.path());
    let mut cases: Vec<&[&str]> = vec![
        &["explain", "net.onnx", "scan.npy", "--out", "."],
        &["explain", "net.onnx", "scan.npy", "--out", ".", "--overwrite"],
        &["explain", "net.onnx", "scan.npy", "--out", "linked", "--overwrite"],
        &["explain", "net.onnx", "seven.png", "three.png", "--out", "."],
        &["explain", "net.onnx", "config.png", "--out", ".", "--overwrite"],
        &["explain", "net.onnx", "seven.png", "--html", "net.onnx", "--overwrite"],
        &["explain", "net.onnx", "seven.png", "--csv", "./three.png", "--html", "three.png", "--overwrite"],
        &["explain", "net.onnx", "seven.png", "--csv", "seven.png", "--overwrite"],
        &["check", "net.onnx", "--html", "net.onnx", "--overwrite"],
        &["check", "net.onnx", "seven.png", "--html", "seven.png", "--overwrite"],
        &["compile", "net.onnx", "-o", "net.onnx", "--overwrite"],
        &["compile", "net.onnx", "-o", "hard.onnx", "--overwrite"],
        &["strip", "explaining.onnx", "-o", "explaining.onnx", "--overwrite"],
    ];
    if cfg!(unix) {
        cases.push(&["compile", "net.onnx", "-o", "soft.onnx", "--overwrite"]);
    }
    for arguments in cases {
        let (code, says) = fails(folder.path(), arguments);
        assert!(code == 2 && says.contains("must not be replaced"), "{arguments:?}: {code} {says}");
        // Nothing was begun, either.
        assert_eq!(contents(folder.path()), before, "{arguments:?}");
    }
    // A photo of another kind leaves room for its results.
    fs::write(at("photo.jpg"), fs::read(at("seven.png")).unwrap()).unwrap();
    ok(folder.path(), &["explain", "net.onnx", "photo.jpg", "--out", "."]);
}

fn labels() -> String {
    let all: Vec<String> = (0..10).map(|i| format!("\"{i}\": \"digit {i}\"")).collect();
    format!("{{{}}}", all.join(", "))
}

#[test]
fn results_of_one_call_have_names_of_their_own() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    for below in ["a", "b"] {
        fs::create_dir(at(below)).unwrap();
        fs::copy(at("seven.png"), at(below).join("x.png")).unwrap();
    }
    for copy in ["batch-0.png", "batch-1-1.png", "x.png", "x.jpg", "X.bmp", "x_2.png"] {
        fs::copy(at("three.png"), at(copy)).unwrap();
    }
    let mut files =
        ["batch.npy", "batch-0.png", "batch-1-1.png", "a/x.png", "b/x.png", "x.png", "x.jpg", "X.bmp", "x_2.png"];
    let layers = ["/conv_layers/conv_layers.7/Relu_output_0", "/conv_layers/conv_layers.4/Relu_output_0"].join(",");
    for (order, options) in
        [vec![&[][..], &["--top", "2"], &["--layer", &layers, "--fuse", "max"]], vec![&[][..]]].into_iter().enumerate()
    {
        for more in options {
            let out = format!("out{order}{}", more.len());
            let arguments = [&["explain", "net.onnx", "--json", "--out", &out], &files[..], more].concat();
            let made = records(&ok(folder.path(), &arguments));
            let classes = if more.contains(&"--top") { 2 } else { 1 };
            let each = if more.contains(&"--fuse") { 3 } else { classes };
            assert_eq!(made.len(), 11 * each);
            let maps: BTreeSet<String> = made.iter().map(|r| r["map"].as_str().unwrap().to_lowercase()).collect();
            assert_eq!(maps.len(), made.len(), "{maps:?}");
            for record in &made {
                let map = at(record["map"].as_str().unwrap());
                let beside: Value = serde_json::from_slice(&fs::read(map.with_extension("json")).unwrap()).unwrap();
                assert_eq!(&beside, record);
            }
            // The same again, whoever is done first.
            let before = contents(&at(&out));
            ok(folder.path(), &arguments);
            assert_eq!(contents(&at(&out)), before);
        }
        files.reverse();
    }
}

#[test]
fn a_later_run_replaces_what_it_makes_again_and_nothing_else() {
    let folder = folder();
    let names = || contents(&folder.path().join("out")).into_keys().collect::<Vec<_>>();
    let explain = |more: &[&str]| hirescam(folder.path(), &[&["explain", "net.onnx", "seven.png"], more].concat());
    assert!(explain(&[]).status.success());
    let first = contents(&folder.path().join("out"));
    // The same run is no trouble, and says what it did.
    let again = String::from_utf8(explain(&[]).stdout).unwrap();
    assert!(again.contains("replaced the same results of an earlier run: 1"), "{again}");
    assert_eq!(contents(&folder.path().join("out")), first);
    for other in [&["--top", "2"][..], &["--method", "gradcam"], &["--signed"], &["--class", "3"], &["--no-overlay"]] {
        let refused = explain(other);
        let says = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{other:?}: {says}");
        assert!(says.contains("out/seven.json") && says.contains("--overwrite"), "{other:?}: {says}");
        assert_eq!(contents(&folder.path().join("out")), first, "{other:?}");
    }
    // Replaced on request, with all that was there of the image.
    assert!(explain(&["--top", "3", "--overwrite"]).status.success());
    assert_eq!(names().len(), 9);
    assert!(explain(&["--no-overlay", "--overwrite"]).status.success());
    assert_eq!(names(), ["seven.json", "seven.npy"]);
    // Another image of that name is another image.
    fs::copy(folder.path().join("three.png"), folder.path().join("seven.png")).unwrap();
    assert_eq!(explain(&["--no-overlay"]).status.code(), Some(2));
    // What the labels are is part of the result.
    fs::write(folder.path().join("labels.txt"), "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n").unwrap();
    assert!(explain(&["--labels", "labels.txt", "--overwrite"]).status.success());
    assert!(explain(&["--labels", "labels.txt"]).status.success());
    fs::write(folder.path().join("labels.txt"), "0\nb\nc\nd\ne\nf\ng\nh\ni\nj\n").unwrap();
    assert_eq!(explain(&["--labels", "labels.txt"]).status.code(), Some(2));
    // A file that is no result is nobody's to replace.
    fs::create_dir(folder.path().join("mine")).unwrap();
    fs::write(folder.path().join("mine/three.npy"), "mine").unwrap();
    let (code, says) = fails(folder.path(), &["explain", "net.onnx", "three.png", "--out", "mine"]);
    assert!(code == 2 && says.contains("mine/three.npy"), "{says}");
    assert_eq!(contents(&folder.path().join("mine")).len(), 1);
    // compare and explain lie beside each other, and each knows its own.
    let compare = |more: &[&str]| hirescam(folder.path(), &[&["compare", "net.onnx", "three.png"], more].concat());
    assert!(compare(&["--methods", "hirescam"]).status.success());
    assert!(compare(&["--methods", "hirescam"]).status.success());
    assert_eq!(compare(&["--methods", "gradcam"]).status.code(), Some(2));
    assert!(compare(&["--methods", "gradcam", "--overwrite"]).status.success());
}

#[test]
fn files_that_are_named_are_replaced_where_they_were_made_here() {
    let folder = folder();
    let write = |name: &str| fs::write(folder.path().join(name), "mine").unwrap();
    ok(folder.path(), &["compile", "net.onnx", "-o", "explaining.onnx"]);
    ok(folder.path(), &["compile", "net.onnx", "-o", "explaining.onnx", "--top", "2"]);
    ok(folder.path(), &["strip", "explaining.onnx", "-o", "net.onnx"]);
    let html = ["check", "net.onnx", "--html", "page.html"];
    (0..2).for_each(|_| drop(ok(folder.path(), &html)));
    let lists = ["explain", "net.onnx", "seven.png", "--csv", "list.csv", "--html", "page.html"];
    (0..2).for_each(|_| drop(ok(folder.path(), &lists)));
    let triton = ["compile", "net.onnx", "--triton", "models"];
    (0..2).for_each(|_| drop(ok(folder.path(), &triton)));
    ["explaining.onnx", "page.html", "models/net/config.pbtxt"].into_iter().for_each(write);
    let strip = ["strip", "stripped.onnx", "-o", "explaining.onnx"];
    ok(folder.path(), &["compile", "net.onnx", "-o", "stripped.onnx"]);
    for (arguments, file) in [
        (&["compile", "net.onnx", "-o", "explaining.onnx"][..], "explaining.onnx"),
        (&strip, "explaining.onnx"),
        (&html, "page.html"),
        (&lists, "page.html"),
        (&triton, "config.pbtxt"),
    ] {
        let (code, says) = fails(folder.path(), arguments);
        assert!(code == 2 && says.contains(file) && says.contains("--overwrite"), "{arguments:?}: {says}");
        ok(folder.path(), &[arguments, &["--overwrite"]].concat());
        write(if file == "config.pbtxt" { "models/net/config.pbtxt" } else { file });
    }
}

#[test]
fn a_result_is_whole_or_not_there() {
    let folder = folder();
    // Where the record cannot be, there is no map and no picture either.
    fs::create_dir_all(folder.path().join("out/seven.json")).unwrap();
    let done = hirescam(folder.path(), &["explain", "net.onnx", "seven.png", "three.png", "--overwrite", "--json"]);
    assert_eq!(done.status.code(), Some(1));
    let names: Vec<String> = contents(&folder.path().join("out")).into_keys().collect();
    assert_eq!(names, ["three.json", "three.npy", "three.png"]);
    let made = records(&String::from_utf8(done.stdout).unwrap());
    assert_eq!((&made[0]["error"]["kind"], &made[1]["class"]), (&"file".into(), &3.into()));
    // Of a file with several images, the others are there and told.
    fs::create_dir_all(folder.path().join("some/batch-1.npy")).unwrap();
    let done = hirescam(folder.path(), &["explain", "net.onnx", "batch.npy", "--out", "some", "--overwrite", "--json"]);
    let made = records(&String::from_utf8(done.stdout).unwrap());
    assert_eq!((done.status.code(), made.len()), (Some(1), 3));
    for (index, record) in made.iter().enumerate() {
        assert_eq!((&record["image_index"], record["error"].is_object()), (&index.into(), index == 1), "{record}");
    }
    if cfg!(target_os = "linux") {
        // A device that is always full.
        let (code, says) = {
            let done = hirescam(folder.path(), &["explain", "net.onnx", "three.png", "--csv", "/dev/full"]);
            (done.status.code(), String::from_utf8(done.stderr).unwrap())
        };
        assert!(code == Some(3) && says.contains("/dev/full"), "{says}");
    }
}

#[cfg(unix)]
#[test]
fn names_need_not_be_text_and_control_nothing() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = folder();
    let photos = folder.path().join("photos");
    fs::create_dir(&photos).unwrap();
    let names: [&[u8]; 4] = [b"a\xff.png", b"a\xfe.png", b"e\x1b[31mv\nil\x07\x9b.png", "l\u{202e}gnp.png".as_bytes()];
    for name in names {
        fs::copy(folder.path().join("seven.png"), photos.join(OsStr::from_bytes(name))).unwrap();
    }
    let labels: String = (0..10).map(|i| format!("\u{1b}]0;{i}\u{7}\u{202e}\n")).collect();
    fs::write(folder.path().join("labels.txt"), labels).unwrap();
    let safe = |text: &str| {
        let bad = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
        assert!(!text.contains(bad), "{text:?}");
    };
    let all = ["explain", "net.onnx", "photos", "--labels", "labels.txt", "--html", "p.html", "--csv", "p.csv"];
    let done = hirescam(folder.path(), &all);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let (text, json) = (String::from_utf8(done.stdout).unwrap(), ok(folder.path(), &[&all[..], &["--json"]].concat()));
    safe(&text);
    safe(&json);
    let made = records(&json);
    let maps: BTreeSet<&str> = made.iter().map(|r| r["map"].as_str().unwrap()).collect();
    assert_eq!(maps.len(), names.len());
    assert!(made.iter().all(|r| r["label"] == "\u{1b}]0;7\u{7}\u{202e}"));
    let bytes: Vec<Vec<u8>> =
        made.iter().filter_map(|r| serde_json::from_value(r["image_bytes"].clone()).ok()).collect();
    assert_eq!(bytes, [&b"photos/a\xfe.png"[..], b"photos/a\xff.png", b"photos/e\x1b[31mv\nil\x07\x9b.png"]);
    for arguments in [
        &["compare", "net.onnx", "photos", "--labels", "labels.txt", "--methods", "hirescam"][..],
        &["check", "net.onnx", "photos", "--labels", "labels.txt", "--places", "1", "--no-randomisation"],
        &["explain", "net.onnx", "seven.png", "--layer", "\u{1b}[2Jx"],
        &["explain", "net.onnx", "\u{1b}[2Jx.png"],
        &["explain", "\u{1b}[2Jx.onnx", "seven.png"],
        &["explain", "net.onnx", "seven.png", "--class", "\u{1b}[2Jx"],
        &["explain", "net.onnx", "seven.png", "--method", "\u{1b}[2Jx"],
        &["explain", "net.onnx", "seven.png", "--fuse", "\u{1b}[2Jx"],
    ] {
        let done = hirescam(folder.path(), arguments);
        safe(&String::from_utf8(done.stdout).unwrap());
        safe(&String::from_utf8(done.stderr).unwrap());
    }
    // A network and a place for results of such names.
    let odd = folder.path().join(OsStr::from_bytes(b"d\xff"));
    fs::create_dir(&odd).unwrap();
    for name in ["net.onnx", "net.toml"] {
        fs::copy(folder.path().join(name), odd.join(name)).unwrap();
    }
    let run = std::process::Command::new(env!("CARGO_BIN_EXE_hirescam"))
        .current_dir(folder.path())
        .arg("explain")
        .args([odd.join("net.onnx"), "seven.png".into(), "--out".into(), odd.join("out")])
        .args(["--engine", "tract"])
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert!(odd.join("out/seven.json").is_file());
}

#[test]
fn many_images_get_a_line_each_and_a_summary_with_the_numbers_of_their_records() {
    let folder = folder();
    fs::create_dir_all(folder.path().join("photos/more/deep")).unwrap();
    let photo = |from: &str, to: &str| {
        fs::copy(folder.path().join(from), folder.path().join("photos").join(to)).map(drop).unwrap()
    };
    (0..5).for_each(|i| photo("seven.png", &format!("s{i}.png")));
    (0..3).for_each(|i| photo("three.png", &format!("t{i}.png")));
    photo("three.png", "more/t.png");
    photo("seven.png", "more/deep/s.png");
    photo("seven.png", ".hidden.png");
    for (name, text) in [("bad.png", "no photo"), ("notes.txt", ""), ("list.TXT", ""), ("README", "")] {
        fs::write(folder.path().join("photos").join(name), text).unwrap();
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink("..", folder.path().join("photos/more/loop")).unwrap();
    let explain = |more: &[&str]| {
        let done = hirescam(folder.path(), &[&["explain", "net.onnx", "photos"], more].concat());
        let [out, says] = [done.stdout, done.stderr].map(|text| String::from_utf8(text).unwrap());
        (done.status.code(), out, says)
    };
    let (code, out, says) = explain(&["-r", "--html", "page.html", "--csv", "list.csv"]);
    assert_eq!(code, Some(1), "{says}");
    let (code, json, _) = explain(&["-r", "--json"]);
    assert_eq!(code, Some(1));
    let all = records(&json);
    let (failed, made): (Vec<&Value>, Vec<&Value>) = all.iter().partition(|r| r["error"].is_object());
    assert_eq!((failed.len(), made.len()), (1, 10));
    assert_eq!((&failed[0]["image"], &failed[0]["error"]["kind"]), (&"photos/bad.png".into(), &"file".into()));
    let reason = failed[0]["error"]["text"].as_str().unwrap();
    assert!(says.contains(reason) && says.matches("bad.png").count() == 1, "{says}");
    assert!(says.contains(".txt 2") && says.contains("files without an ending 1"), "{says}");
    // A line each, in the order of the records.
    let lines: Vec<&str> = out.lines().collect();
    for (line, record) in lines.iter().zip(&made) {
        let (score, sum) = (record["score"].as_f64().unwrap(), record["sum"].as_f64().unwrap());
        let starts = format!(
            "{}: {} (score {score:.4}",
            record["image"].as_str().unwrap(),
            record["explained"].as_str().unwrap()
        );
        assert!(line.starts_with(&starts) && line.contains(&format!("Σ map {sum:.4}")), "{line} {record}");
    }
    assert!(lines.len() < made.len() + 14 && lines[10].is_empty(), "{out}");
    let count = |class: u64| made.iter().filter(|r| r["class"] == class).count();
    let name =
        |class: u64| made.iter().find(|r| r["class"] == class).unwrap()["explained"].as_str().unwrap().to_owned();
    assert_eq!((count(7), count(3)), (6, 4));
    for words in [
        "10 images explained, 1 file failed".to_owned(),
        format!("best classes: {}: 6; {}: 4", name(7), name(3)),
        format!("1 file failed: {reason}"),
    ] {
        assert!(out.contains(&words), "{words}: {out}");
    }
    assert_eq!(out.matches(made[0]["verdict"].as_str().unwrap()).count(), 1, "{out}");
    // The table has the same numbers, the page the same words, and both have what failed.
    let table = fs::read_to_string(folder.path().join("list.csv")).unwrap();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
    let column = |name: &str| rows[0].iter().position(|head| *head == name).unwrap();
    assert_eq!(rows.len(), 12);
    for record in &made {
        let row = rows.iter().find(|row| row[0] == record["image"].as_str().unwrap()).unwrap();
        for key in ["score", "sum", "residual", "class"] {
            assert_eq!(row[column(key)].parse::<f64>().ok(), record[key].as_f64(), "{key}");
        }
    }
    let page = fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert_eq!(page.matches("src=\"data:image/jpeg;base64,").count(), 10);
    assert_eq!((page.matches("loading=\"lazy\"").count(), page.matches("<figure>").count()), (10, 11));
    assert!(["http", "href", "url(", "<script"].iter().all(|outside| !page.contains(outside)));
    for record in &made {
        let (score, sum) = (record["score"].as_f64().unwrap(), record["sum"].as_f64().unwrap());
        assert!(page.contains(&format!("score {score:.4}")) && page.contains(&format!("Σ map {sum:.4}")));
    }
    // Without -r, the folders are said.
    let (_, out, says) = explain(&["--out", "flat"]);
    assert!(out.contains("8 images explained") && says.contains("folders 1") && says.contains("-r"), "{out} {says}");
    // Results among the photos are no photos.
    let (_, out, says) = explain(&["--out", "photos/results", "-r"]);
    assert!(out.contains("10 images explained"), "{out}");
    let (_, out, again) = explain(&["--out", "photos/results", "-r"]);
    assert!(out.contains("10 images explained") && again.contains("results of earlier runs"), "{out} {says} {again}");
}

#[test]
fn names_stand_in_pages_and_tables_as_they_are() {
    let folder = folder();
    let name = "a,\"b\" & <i>c.png";
    fs::copy(folder.path().join("seven.png"), folder.path().join(name)).unwrap();
    ok(folder.path(), &["explain", "net.onnx", name, "--html", "page.html", "--csv", "list.csv"]);
    let page = fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert!(page.contains("a,&quot;b&quot; &amp; &lt;i&gt;c.png") && !page.contains("<i>c"), "{page}");
    let table = fs::read_to_string(folder.path().join("list.csv")).unwrap();
    assert!(table.contains("\"a,\"\"b\"\" & <i>c.png\""), "{table}");
}

#[test]
fn what_has_no_picture_says_why() {
    let folder = folder();
    let text = ok(folder.path(), &["explain", "net.onnx", "scan.npy"]);
    assert!(text.contains("no picture: a tensor has no photo"), "{text}");
    let made = records(&ok(folder.path(), &["explain", "net.onnx", "scan.npy", "--json"]));
    assert!(made[0]["overlay"].is_null() && made[0]["no_overlay"].as_str().unwrap().contains("no photo"));
    let text = ok(folder.path(), &["explain", "net.onnx", "batch.npy"]);
    assert!(text.contains("3 without a picture: a tensor has no photo") && text.contains("batch.npy [2]: "), "{text}");
}

#[test]
fn files_of_other_programs_get_a_hint() {
    let folder = folder();
    for (name, bytes) in
        [("net.pt", &b"PK\x03\x04 a zip"[..]), ("net.h5", b"\x89HDF\r\n\x1a\n"), ("net.tflite", b"\0\0\0\0TFL3")]
    {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    for (arguments, words) in [
        (&["explain", "net.pt", "seven.png"][..], "torch.onnx.export"),
        (&["layers", "net.h5"], "tf2onnx"),
        (&["check", "net.tflite"], "--tflite"),
        (&["explain", "seven.png", "net.onnx"], "the network comes first"),
        (&["explain", "net.onnx", "net.onnx"], "the network comes first"),
        (&["compare", "scan.npy", "net.onnx"], "the network comes first"),
    ] {
        let (code, says) = fails(folder.path(), arguments);
        assert!(code == 3 && says.contains(words), "{arguments:?}: {code} {says}");
    }
}

#[test]
fn every_command_lists_its_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["explain", "compare", "check", "layers", "compile", "strip", "methods", "ops"] {
        for help in ["--help", "-h"] {
            let text = ok(folder.path(), &[command, help]);
            assert!(text.contains("Exit codes: 0 done"), "{command} {help}: {text}");
        }
    }
}

#[test]
fn lists_may_stand_between_commas() {
    let folder = folder();
    let classes = |arguments: &[&str]| -> Vec<Value> {
        let all = [&["explain", "net.onnx", "seven.png", "--json", "--overwrite"], arguments].concat();
        records(&ok(folder.path(), &all)).iter().map(|r| r["class"].clone()).collect()
    };
    assert_eq!(classes(&["--class", "3,7"]), [3, 7]);
    assert_eq!(classes(&["--class", "3", "--class", "7, 1"]), [3, 7, 1]);
    // A label with a comma is one label.
    let labels: Vec<String> = (0..10).map(|i| format!("digit {i}, number {i}")).collect();
    fs::write(folder.path().join("labels.txt"), labels.join("\n")).unwrap();
    assert_eq!(classes(&["--labels", "labels.txt", "--class", "digit 3, number 3"]), [3]);
    let (code, says) = fails(folder.path(), &["explain", "net.onnx", "seven.png", "--class", "3,12"]);
    assert!(code == 2 && says.contains("10 classes"), "{says}");
}

#[test]
fn several_images_are_compared_one_by_one() {
    let folder = folder();
    fs::write(folder.path().join("bad.png"), "no photo").unwrap();
    let all = ["compare", "net.onnx", "seven.png", "bad.png", "three.png", "--methods", "hirescam,gradcam"];
    let done = hirescam(folder.path(), &all);
    let text = String::from_utf8(done.stdout).unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert_eq!(text.lines().filter(|line| line.starts_with("  gradcam ")).count(), 2, "{text}");
    let made = records(&String::from_utf8(hirescam(folder.path(), &[&all[..], &["--json"]].concat()).stdout).unwrap());
    assert_eq!(made.iter().filter(|r| r["error"].is_object()).count(), 1);
    for record in made.iter().filter(|r| r["error"].is_null()) {
        assert!(text.contains(&format!("(score {:.4})", record["score"].as_f64().unwrap())), "{text}");
        assert!(folder.path().join(record["picture"].as_str().unwrap()).is_file());
    }
}

#[test]
fn a_check_of_nothing_fails_and_says_so() {
    let folder = folder();
    fs::write(folder.path().join("bad.png"), "no photo").unwrap();
    let done = hirescam(folder.path(), &["check", "net.onnx", "bad.png", "--json"]);
    assert_eq!(done.status.code(), Some(1));
    let report = &records(&String::from_utf8(done.stdout).unwrap())[0];
    let error = report["error"].as_str().unwrap();
    assert!(error.starts_with("nothing could be checked: "), "{error}");
    assert!(String::from_utf8(done.stderr).unwrap().contains(error));
    let report = &records(&ok(folder.path(), &["check", "net.onnx", "--json"]))[0];
    assert!(report["error"].is_null());
}

#[test]
fn what_was_explained_before_an_error_is_listed() {
    let folder = folder();
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    // Rows for another number of images are seen when all are explained.
    fs::copy(fixture("inputs/patient.onnx"), folder.path().join("patient.onnx")).unwrap();
    for (name, shape) in [("age", vec![3, 1]), ("dose", vec![3, 3]), ("one", vec![1, 2, 15, 13])] {
        write_npy(folder.path().join(format!("{name}.npy")), &ArrayD::from_elem(shape, 0.5f32)).unwrap();
    }
    let inputs = ["--input", "age=age.npy", "--input", "dose=dose.npy", "--input", "sex=1", "--image-input", "image"];
    let [csv, html] = ["rows.csv", "rows.html"];
    let explain = ["explain", "patient.onnx", "one.npy", "one.npy", "--csv", csv, "--html", html];
    let done = hirescam(folder.path(), &[&explain[..], &inputs].concat());
    let [out, says] = [done.stdout, done.stderr].map(|text| String::from_utf8(text).unwrap());
    assert_eq!(done.status.code(), Some(2), "{says}");
    assert!(says.contains("has 3 rows, and there are 2 images"), "{says}");
    assert_eq!((read(csv).lines().count(), read(html).matches("<figure>").count()), (3, 2));
    assert!(out.contains("2 images explained"), "{out}");
    // The one file that failed is listed, too.
    fs::write(folder.path().join("bad.png"), "no photo").unwrap();
    let [csv, html] = ["bad.csv", "bad.html"];
    fails(folder.path(), &["explain", "net.onnx", "bad.png", "--csv", csv, "--html", html]);
    assert_eq!((read(csv).lines().count(), read(html).matches("<figure>").count()), (2, 1));
    // Where nothing was begun, what is there stays.
    let before = [read(csv), read(html)];
    fs::create_dir(folder.path().join("mine")).unwrap();
    fs::write(folder.path().join("mine/seven.npy"), "mine").unwrap();
    fails(
        folder.path(),
        &["explain", "patient.onnx", "one.npy", "--csv", csv, "--html", html, "--image-input", "image"],
    );
    assert_eq!([read(csv), read(html)], before);
}

#[test]
fn images_that_fail_are_counted_as_images() {
    let folder = folder();
    let mut batch = ArrayD::from_elem(vec![4, 1, 28, 28], 0.5f32);
    [1, 3].into_iter().for_each(|i| batch[[i, 0, 0, 0]] = f32::NAN);
    write_npy(folder.path().join("some.npy"), &batch).unwrap();
    fs::write(folder.path().join("bad.png"), "no photo").unwrap();
    let explain = |files: &[&str]| {
        let done = hirescam(folder.path(), &[&["explain", "net.onnx"], files].concat());
        assert_eq!(done.status.code(), Some(1));
        String::from_utf8(done.stdout).unwrap()
    };
    let out = explain(&["some.npy"]);
    assert!(out.contains("2 images explained, 2 images failed") && !out.contains("file"), "{out}");
    let out = explain(&["some.npy", "bad.png"]);
    assert!(out.contains("2 images explained, 1 file and 2 images failed"), "{out}");
    assert!(out.contains("  2 images failed: ") && out.contains("  1 file failed: "), "{out}");
}
