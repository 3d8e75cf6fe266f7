//! The program as a user meets it: files in, files and words out, exit codes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use common::{fails, fixture, hirescam, ok};
use ndarray::ArrayD;
use ndarray_npy::{read_npy, write_npy};
use serde_json::Value;
use std::path::Path;

fn records(stdout: &str) -> Vec<Value> {
    stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn several_layers_give_files_each_and_one_fused() {
    let folder = tempfile::tempdir().unwrap();
    let model = fixture("efficientnet-lite0.onnx");
    let layers = ["--layer", "/_swish_1/Clip_output_0", "--layer", "/_blocks.10/Add_output_0"];
    let photo = fixture("photos/coffee.png");
    let all = [&["explain", &model, &photo, "--json", "--fuse", "max", "--top", "2"], &layers[..]].concat();
    let made = records(&ok(folder.path(), &all));
    let shapes: Vec<String> = made.iter().map(|r| r["map_shape"].to_string()).collect();
    assert_eq!(shapes, ["[7,7]", "[14,14]", "[14,14]", "[7,7]", "[14,14]", "[14,14]"]);
    assert!(made[2]["certificate"][0].as_str().unwrap().contains("nothing adds up"));
    for name in ["coffee-1-layer1", "coffee-1-layer2", "coffee-1-fused", "coffee-2-layer2"] {
        for suffix in ["png", "npy", "json"] {
            assert!(folder.path().join(format!("out/{name}.{suffix}")).is_file(), "{name}.{suffix}");
        }
    }
    let (code, says) = fails(folder.path(), &["explain", &model, &photo, "--fuse", "max"]);
    assert!(code == 2 && says.contains("--layer"), "{says}");
}

#[test]
fn several_methods_give_files_each_and_one_file_compiled() {
    let folder = tempfile::tempdir().unwrap();
    let (model, photo) = (fixture("digits-cnn.onnx"), fixture("photos/seven.png"));
    let explain = |out: &str, more: &[&str]| {
        let csv = format!("{out}.csv");
        let all = [&["explain", &model, &photo, "--json", "--top", "2", "--out", out, "--csv", &csv], more].concat();
        records(&ok(folder.path(), &all))
    };
    let methods = |made: &[Value]| made.iter().map(|r| r["method"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let made = explain("out", &["--method", "gradcam++,hirescam,reciprocam"]);
    assert_eq!(methods(&made), ["gradcam++", "hirescam", "reciprocam", "gradcam++", "hirescam", "reciprocam"]);
    for (rank, of_class) in made.chunks(3).enumerate() {
        for record in of_class {
            assert_eq!((&record["class"], &record["score"]), (&of_class[0]["class"], &of_class[0]["score"]));
            let name = format!("out/seven-{}-{}.npy", rank + 1, record["method"].as_str().unwrap());
            assert_eq!(record["map"], name.as_str());
            assert!(folder.path().join(name).is_file());
        }
    }
    let table = std::fs::read_to_string(folder.path().join("out.csv")).unwrap();
    assert_eq!(table.lines().filter(|line| line.contains(",hirescam,")).count(), 2);
    // The record says it all.
    std::fs::write(folder.path().join("one.json"), made[0].to_string()).unwrap();
    let again = explain("again", &["--spec", "one.json"]);
    assert_eq!((methods(&again), &again[0]["spec"]), (methods(&made), &made[0]["spec"]));
    std::fs::write(folder.path().join("list.toml"), "method = ['gradcam++', 'hirescam', 'reciprocam']").unwrap();
    assert_eq!(explain("list", &["--spec", "list.toml"])[0]["spec"]["method"], made[0]["spec"]["method"]);
    let line = ok(folder.path(), &["explain", &model, &photo, &photo, "--out", "b", "--method", "hirescam,xgradcam"]);
    let (first, summary) = (line.lines().next().unwrap(), line.lines().skip(2).collect::<String>());
    assert!(
        first.matches("score").count() == 3 && first.contains(" by HiResCAM") && first.contains(" by XGrad-CAM"),
        "{first}"
    );
    assert!(summary.contains("HiResCAM at") && summary.contains("XGrad-CAM at"), "{summary}");
    ok(folder.path(), &["compile", &model, "-o", "both.onnx", "--method", "hirescam,gradcam++"]);
    let both = hirescam::Network::open(folder.path().join("both.onnx")).unwrap().model().clone();
    let names: Vec<&str> = both.graph().output.iter().map(|o| o.name()).collect();
    let own = ["map_hirescam", "class", "score", "b_hirescam", "map_gradcam_plus_plus", "b_gradcam_plus_plus"];
    assert_eq!(names, [&["logits"], &own[..]].concat());
    ok(folder.path(), &["strip", "both.onnx", "-o", "stripped.onnx"]);
    assert_eq!(std::fs::read(folder.path().join("stripped.onnx")).unwrap(), std::fs::read(&model).unwrap());
    let (code, says) = fails(folder.path(), &["compile", &model, "-o", "no.onnx", "--method", "hirescam,rise"]);
    assert!(code == 2 && says.contains("several runs"), "{says}");
    let (code, says) = fails(folder.path(), &["explain", &model, &photo, "--method", "hirescam,gradcan"]);
    assert!(code == 2 && says.contains("gradcam"), "{says}");
}

#[test]
fn classes_that_come_with_each_image_are_given_as_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let (model, photos) =
        (fixture("digits-cnn.onnx"), ["seven", "three"].map(|name| fixture(&format!("photos/{name}.png"))));
    write_npy(folder.path().join("classes.npy"), &ndarray::arr1(&[4i64, 9])).unwrap();
    let with = ["--json", "--target", "class-input", "--input", "class=classes.npy"];
    let made = records(&ok(folder.path(), &[&["explain", &model, &photos[0], &photos[1]], &with[..]].concat()));
    assert_eq!(made.iter().map(|r| r["class"].as_u64().unwrap()).collect::<Vec<_>>(), [4, 9]);
    let (code, says) = fails(folder.path(), &["explain", &model, &photos[0], "--target", "class-input"]);
    assert!(code == 2 && says.contains("--input class="), "{says}");
}

#[test]
fn a_photo_of_a_cat_is_explained_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let model = fixture("efficientnet-lite0.onnx");
    let made = records(&ok(folder.path(), &["explain", &model, &fixture("photos/chelsea.png"), "--json"]));
    let [record] = made.as_slice() else { panic!("{made:?}") };
    assert_eq!(record["label"], "tiger cat");
    assert_eq!(
        (&record["verdict"], &record["uniform"], &record["bypass"]),
        (&"exact".into(), &true.into(), &Value::Null)
    );
    let number = |key: &str| record[key].as_f64().unwrap();
    let map: ArrayD<f32> = read_npy(folder.path().join(record["map"].as_str().unwrap())).unwrap();
    assert_eq!(map.shape(), [7, 7]);
    let sum: f64 = map.iter().copied().map(f64::from).sum();
    assert!((sum - number("sum")).abs() < 1e-9);
    assert!((sum + number("bias") - number("score")).abs() <= 1e-4 * number("score"));
    assert!(number("residual").abs() <= 1e-4 * number("score"));
    // The file ends in the scores, and nothing makes them into probabilities.
    assert!(record["probability"].is_null());
    // The cat's face fills the middle of the photo.
    let best = map.indexed_iter().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
    assert!((1..6).contains(&best[0]) && (1..6).contains(&best[1]), "{best:?}");
    let overlay = image::open(folder.path().join(record["overlay"].as_str().unwrap())).unwrap();
    assert!(overlay.width() > 300 && overlay.height() > 200);
    let written: Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("out/chelsea.json")).unwrap()).unwrap();
    assert_eq!(&written, record);
}

#[test]
fn several_photos_folders_patterns_and_tensors_go_in() {
    let folder = tempfile::tempdir().unwrap();
    let model = fixture("digits-cnn.onnx");
    let photos = folder.path().join("photos");
    std::fs::create_dir(&photos).unwrap();
    for name in ["seven.png", "three.png"] {
        std::fs::copy(fixture(&format!("photos/{name}")), photos.join(name)).unwrap();
    }
    let from_folder = records(&ok(folder.path(), &["explain", &model, "photos", "--json", "--out", "a"]));
    let from_pattern = records(&ok(folder.path(), &["explain", &model, "photos/*.png", "--json", "--out", "b"]));
    for made in [&from_folder, &from_pattern] {
        let classes: Vec<&Value> = made.iter().map(|r| &r["class"]).collect();
        assert_eq!(classes, [7, 3]);
        assert!(made.iter().all(|r| r["verdict"] == "locally-linear"));
    }
    // The same as a ready tensor: (x/255 − 0.1307) / 0.3081.
    let pixels = image::open(photos.join("seven.png")).unwrap().to_luma8();
    let values = pixels.iter().map(|&v| (f32::from(v) / 255.0 - 0.1307) / 0.3081).collect();
    let tensor = ArrayD::from_shape_vec(vec![1, 1, 28, 28], values).unwrap();
    write_npy(folder.path().join("seven.npy"), &tensor).unwrap();
    let made = records(&ok(folder.path(), &["explain", &model, "seven.npy", "--json", "--out", "c"]));
    assert_eq!(made[0]["class"], 7);
    let [a, c] = [&from_folder[0], &made[0]]
        .map(|r| read_npy::<_, ArrayD<f32>>(folder.path().join(r["map"].as_str().unwrap())).unwrap());
    assert!((&a - &c).iter().all(|d| d.abs() < 1e-4));
    assert_eq!(made[0]["overlay"], Value::Null);
}

#[test]
fn classes_are_chosen_by_rank_number_or_label() {
    let folder = tempfile::tempdir().unwrap();
    let (model, photo) = (fixture("digits-cnn.onnx"), fixture("photos/seven.png"));
    let top = records(&ok(folder.path(), &["explain", &model, &photo, "--top", "3", "--json"]));
    assert_eq!(top.len(), 3);
    assert_eq!(top[0]["class"], 7);
    assert!(top.windows(2).all(|w| w[0]["score"].as_f64() >= w[1]["score"].as_f64()));
    let second = top[1]["class"].as_u64().unwrap().to_string();
    let named = records(&ok(folder.path(), &["explain", &model, &photo, "--class", &second, "--json", "--out", "b"]));
    assert_eq!(named[0]["score"], top[1]["score"]);
    let files: std::collections::HashSet<&str> = top.iter().map(|r| r["map"].as_str().unwrap()).collect();
    assert_eq!(files.len(), 3);
    let model = fixture("efficientnet-lite0.onnx");
    let cat = records(&ok(
        folder.path(),
        &["explain", &model, &fixture("photos/coffee.png"), "--class", "Tiger cat", "--json"],
    ));
    assert_eq!((cat[0]["class"].clone(), cat[0]["label"].clone()), (282.into(), "tiger cat".into()));
}

#[test]
fn the_same_input_gives_the_same_files_whatever_the_threads() {
    let folder = tempfile::tempdir().unwrap();
    let (model, photo) = (fixture("digits-cnn.onnx"), fixture("photos/seven.png"));
    for (out, threads) in [("a", "1"), ("b", "2")] {
        ok(folder.path(), &["explain", &model, &photo, "--threads", threads, "--out", out]);
    }
    for file in ["seven.npy", "seven.png"] {
        let [a, b] = ["a", "b"].map(|out| std::fs::read(folder.path().join(out).join(file)).unwrap());
        assert_eq!(a, b, "{file}");
    }
}

#[test]
fn layers_are_listed_with_one_recommended() {
    let folder = tempfile::tempdir().unwrap();
    for (model, recommended, verdict) in [
        ("efficientnet-lite0.onnx", "/_swish_1/Clip_output_0", "exact"),
        ("digits-cnn.onnx", "/conv_layers/conv_layers.7/Relu_output_0", "locally-linear"),
    ] {
        let listed = records(&ok(folder.path(), &["layers", &fixture(model), "--json"]));
        let best: Vec<&Value> = listed.iter().filter(|l| l["recommended"] == true).collect();
        let [best] = best.as_slice() else { panic!("{best:?}") };
        assert_eq!((&best["layer"], &best["verdict"]), (&recommended.into(), &verdict.into()));
        let text = ok(folder.path(), &["layers", &fixture(model)]);
        assert!(
            text.lines().any(|l| l.starts_with('*') && l.contains(recommended) && l.contains("recommended")),
            "{text}"
        );
        assert_eq!(text.lines().count(), listed.len());
    }
}

#[test]
fn an_explaining_model_has_the_original_outputs_first_and_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let model = fixture("digits-cnn.onnx");
    ok(folder.path(), &["compile", &model, "-o", "explaining.onnx"]);
    let read = |path: &Path| hirescam::Network::open(path).unwrap().model().clone();
    let (before, after) = (read(Path::new(&model)), read(&folder.path().join("explaining.onnx")));
    let names: Vec<&str> = after.graph().output.iter().map(|o| o.name()).collect();
    assert_eq!(names, ["logits", "map", "class", "score", "b"]);
    assert_eq!(after.graph().node[..before.graph().node.len()], before.graph().node);
    assert_eq!(after.metadata("hirescam.layer"), Some("/conv_layers/conv_layers.7/Relu_output_0"));
    assert_eq!(after.metadata("hirescam.method"), Some("hirescam"));
    assert_eq!(after.metadata("hirescam.verdict"), Some("locally-linear"));
    ok(folder.path(), &["strip", "explaining.onnx", "-o", "stripped.onnx"]);
    assert_eq!(std::fs::read(folder.path().join("stripped.onnx")).unwrap(), std::fs::read(&model).unwrap());
    assert_eq!(fails(folder.path(), &["strip", "stripped.onnx", "-o", "again.onnx"]).0, 2);
}

#[test]
fn wrong_arguments_get_words_that_help_and_their_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let (model, photo) = (fixture("digits-cnn.onnx"), fixture("photos/seven.png"));
    std::fs::write(folder.path().join("not.onnx"), "no network").unwrap();
    std::fs::write(folder.path().join("not.png"), "no photo").unwrap();
    write_npy(folder.path().join("small.npy"), &ArrayD::<f32>::zeros(vec![1, 1, 27, 28])).unwrap();
    let cases: &[(&[&str], i32, &str)] = &[
        (
            &["explain", &model, &photo, "--layer", "/conv_layers/conv_layers.7/Relu_output"],
            2,
            "/conv_layers/conv_layers.7/Relu_output_0",
        ),
        (&["explain", &model, &photo, "--class", "10"], 2, "10 classes"),
        (&["explain", &fixture("efficientnet-lite0.onnx"), &photo, "--class", "tiger cot"], 2, "tiger cat"),
        (&["explain", &model, &photo, "--method", "grad-cam"], 2, "gradcam"),
        (&["explain", &model, &photo, "--engine", "tracts"], 5, "tract"),
        (&["explain", &model, &photo, "--device", "cuda"], 5, "tract does not support the device cuda:0"),
        (&["explain", &model, &photo, "--device", "gpu"], 2, "cuda:1"),
        (&["explain", &model, "small.npy"], 2, "[1, 1, 28, 28]"),
        (&["explain", &model, "missing.png"], 3, "missing.png"),
        (&["explain", &model, "not.png"], 3, "not.png"),
        (&["explain", "not.onnx", &photo], 3, "not.onnx"),
        (&["explain", "missing.onnx", &photo], 3, "missing.onnx"),
        (&["layers", "missing.onnx"], 3, "missing.onnx"),
        (&["explain", &model, &photo, "--labels", "missing.txt"], 3, "missing.txt"),
        (&["explain", &model, &photo, "--preprocess", "missing.toml"], 3, "missing.toml"),
        (&["explain", &model, &photo, "--spec", "missing.toml"], 3, "missing.toml"),
        (&["explain", &model, &photo, "--input", "beside=missing.npy"], 3, "missing.npy"),
        (&["compile", &model, "-o", "no/such/folder/x.onnx"], 3, "no/such/folder/x.onnx"),
        (&["explain", &model, &photo, "--top", "11"], 2, "10 classes"),
    ];
    for (arguments, code, words) in cases {
        let (got, said) = fails(folder.path(), arguments);
        assert!(said.contains(words), "{arguments:?}: {said}");
        assert_eq!(got, *code, "{arguments:?}: {said}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_hirescam"))
        .args(["layers", &fixture("efficientnet-lite0.onnx")])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success() && done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn one_bad_photo_among_several_is_named_and_the_others_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bad.png"), "no photo").unwrap();
    let done = hirescam(
        folder.path(),
        &["explain", &fixture("digits-cnn.onnx"), "bad.png", &fixture("photos/seven.png"), "--json"],
    );
    assert_eq!(done.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&done.stderr).contains("bad.png"));
    let made = records(&String::from_utf8(done.stdout).unwrap());
    assert_eq!((&made[0]["image"], &made[0]["error"]["kind"]), (&"bad.png".into(), &"file".into()));
    assert_eq!(made[1..].iter().map(|r| &r["class"]).collect::<Vec<_>>(), [7]);
}

#[test]
fn methods_of_one_run_and_of_several_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let listed = records(&ok(folder.path(), &["methods", "--json"]));
    let row = |name: &str| listed.iter().find(|r| r["method"] == name).unwrap();
    assert_eq!(row("hirescam")["forward_passes"], "1");
    assert!(row("rise")["forward_passes"].as_str().unwrap().contains("4000"));
    assert_eq!(
        (&row("gradcam")["in_units_of_the_score"], &row("scorecam")["proven"]),
        (&true.into(), &"nothing".into())
    );
    let text = ok(folder.path(), &["methods"]);
    assert!(listed.iter().all(|r| text.contains(r["formula"].as_str().unwrap())));
}

#[test]
fn methods_of_several_runs_explain_as_the_others_do() {
    let folder = tempfile::tempdir().unwrap();
    let (model, photo) = (fixture("digits-cnn.onnx"), fixture("photos/seven.png"));
    for (method, shape) in [("reciprocam", vec![7, 7]), ("rise", vec![28, 28]), ("occlusion", vec![14, 14])] {
        let explain = |out: &str, seed: &str| {
            let arguments = ["explain", &model, &photo, "--method", method, "--samples", "20", "--seed", seed];
            let out = format!("{method}-{out}");
            let made = records(&ok(folder.path(), &[&arguments[..], &["--json", "--out", &out]].concat()));
            let map: ArrayD<f32> = read_npy(folder.path().join(made[0]["map"].as_str().unwrap())).unwrap();
            (made[0].clone(), map)
        };
        let ((record, map), (_, again), (_, other)) = (explain("a", "1"), explain("b", "1"), explain("c", "2"));
        assert_eq!((map.shape(), &record["class"]), (shape.as_slice(), &7.into()));
        assert_eq!((&record["verdict"], &record["spec"]["settings"]["seed"]), (&"unproven".into(), &1.into()));
        assert!(record["overlay"].is_string());
        assert_eq!(map, again);
        assert_eq!(map != other, method == "rise");
    }
    let (code, error) = fails(folder.path(), &["explain", &model, &photo, "--method", "scorcam"]);
    assert!(code == 2 && error.contains("scorecam"), "{error}");
    let (code, error) = fails(folder.path(), &["compile", &model, "--method", "rise", "-o", "x.onnx"]);
    assert!(code == 2 && error.contains("several runs"), "{error}");
}

#[test]
fn methods_are_compared_in_one_picture_with_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let model = fixture("efficientnet-lite0.onnx");
    let arguments = ["compare", &model, &fixture("photos/chelsea.png")];
    let chosen = ["--methods", "hirescam,gradcam,cam,layercam,eigencam", "--json"];
    let made = records(&ok(folder.path(), &[&arguments[..], &chosen].concat()));
    let [record] = made.as_slice() else { panic!("{made:?}") };
    let methods = record["methods"].as_array().unwrap();
    let number = |i: usize, key: &str| methods[i][key].as_f64().unwrap();
    assert_eq!(methods.len(), 5);
    assert!((number(0, "sum") - number(1, "sum")).abs() < 1e-4 && number(0, "residual").abs() < 1e-3);
    assert!((number(2, "sum") / 49.0 - number(0, "sum")).abs() < 1e-3);
    assert!((0..5).all(|i| (0.0..=1.0).contains(&number(i, "share_where_hirescam_is_not_positive"))));
    let why = record["equal"].as_str().unwrap();
    assert!(why.contains("HiResCAM and Grad-CAM must be the same map") && why.contains("49"), "{why}");
    let picture = image::open(folder.path().join(record["picture"].as_str().unwrap())).unwrap();
    assert!(picture.width() > 1000 && picture.height() > 500);
    let written: Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("out/chelsea-compared.json")).unwrap()).unwrap();
    assert_eq!(&written, record);
    // Behind a head that is not affine, nothing must be equal.
    let (model, photo) = (fixture("digits-cnn.onnx"), fixture("photos/seven.png"));
    let text = ok(folder.path(), &["compare", &model, &photo, "--own-scale", "--signed"]);
    assert!(text.contains("xgradcam") && !text.contains("must be the same"), "{text}");
    let (code, error) = fails(folder.path(), &["compare", &model, &photo, "--top", "2", "--out", "two"]);
    assert!(code == 2 && error.contains("one class"), "{error}");
    let (code, error) = fails(folder.path(), &["compare", &model, &photo, "--methods", "gradkam", "--out", "none"]);
    assert!(code == 2 && error.contains("gradcam"), "{error}");
}

#[test]
fn a_check_gives_the_same_numbers_as_text_page_and_json() {
    let folder = tempfile::tempdir().unwrap();
    let (model, photo) = (fixture("digits-cnn.onnx"), fixture("photos/seven.png"));
    let arguments = ["check", &model, &photo, "--layer", "/conv_layers/conv_layers.7/Relu_output_0", "--sample", "1"];
    let text = ok(folder.path(), &[&arguments[..], &["--html", "pages/report.html"]].concat());
    let page = std::fs::read_to_string(folder.path().join("pages/report.html")).unwrap();
    let made = records(&ok(folder.path(), &[&arguments[..], &["--json"]].concat()));
    let [record] = made.as_slice() else { panic!("{made:?}") };
    let method = |i: usize| &record["layers"][0]["methods"][i];
    assert_eq!(method(0)["share_where_hirescam_is_zero"]["worst"], 0.0);
    let share = format!("{:.1} %", 100.0 * method(1)["share_where_hirescam_is_zero"]["mean"].as_f64().unwrap());
    let rank = format!("{:.2}", method(1)["correlation_with_ablation"]["mean"].as_f64().unwrap()).replace('-', "−");
    for shown in [&text, &page] {
        assert!(shown.contains(&share) && shown.contains(&rank), "{share} {rank}: {text}");
    }
    assert_eq!(record["randomisation"]["stages"].as_array().unwrap().len(), 4);
    // The photo, and a map for each of six methods.
    assert_eq!(page.matches("data:image/png;base64,").count(), 7);
    // Verdicts alone, of several layers by name.
    let [a, b] = [4, 1].map(|i| format!("/conv_layers/conv_layers.{i}/Relu_output_0"));
    let text = ok(folder.path(), &["check", &model, "--layer", &a, "--layer", &b]);
    assert!(text.contains("2 of 9 layers. No images") && text.matches("locally-linear because").count() == 2, "{text}");
    let all = records(&ok(folder.path(), &["check", &model, "--all-layers", "--json"]));
    assert_eq!(all[0]["layers"].as_array().unwrap().len(), 9);
}

#[test]
fn a_check_names_what_failed_and_has_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let (model, photo) = (fixture("digits-cnn.onnx"), fixture("photos/seven.png"));
    std::fs::write(folder.path().join("bad.png"), "no photo").unwrap();
    let few = ["--places", "4", "--no-randomisation"];
    let done = hirescam(folder.path(), &[&["check", &model, "bad.png", &photo][..], &few].concat());
    let text = String::from_utf8(done.stdout).unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert!(
        text.contains("bad.png: failed") && text.contains("seven.png: 7") && !text.contains("Randomised"),
        "{text}"
    );
    let cases: &[(&[&str], i32, &str)] = &[
        (&["check", "missing.onnx"], 3, "missing.onnx"),
        (&["check", &model, "missing.png"], 3, "missing.png"),
        (&["check", &model, &photo, "--top", "2"], 2, "one map"),
        (&["check", &model, &photo, "--layer", "/conv_layers/conv_layers.7/Relu"], 2, "Relu_output_0"),
        (&["check", &model, &photo, "--method", "gradcam"], 2, "--methods gradcam"),
        (&["check", &model, &photo, "--methods", "scorecam"], 2, "several runs"),
        (&["check", &model, "--engine", "tracts"], 5, "tract"),
        (&["check", &model, "--html", "bad.png/x.html"], 3, "bad.png"),
    ];
    for (arguments, code, words) in cases {
        let (got, said) = fails(folder.path(), arguments);
        assert!(said.contains(words) && got == *code, "{arguments:?}: {got} {said}");
    }
}
