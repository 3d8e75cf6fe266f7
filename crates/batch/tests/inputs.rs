//! Inputs of all kinds: found, sorted, read, and failed where they are broken.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod common;

use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{ArrayRef, BinaryArray, RecordBatch, StringArray, StructArray};
use arrow_schema::{DataType, Field};
use common::{
    Room, batches, hashes, ndarray_npy, numbers, photo, plan, png, receipts, run, run_within, tar, texts, verify,
};
use hirescam::{Explainer, Network};
use hirescam_batch::inputs::InputFrom;
use hirescam_batch::{Error, Job, MaxErrors};
use parquet::arrow::ArrowWriter;
use std::path::Path;
use std::sync::Arc;

fn from(path: &str, column: Option<&str>) -> InputFrom {
    InputFrom { path: path.into(), column: column.map(str::to_owned) }
}

fn parquet(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    // Several row groups, so that rows are found in the right one.
    for start in (0..batch.num_rows()).step_by(4) {
        writer.write(&batch.slice(start, 4.min(batch.num_rows() - start))).unwrap();
        writer.flush().unwrap();
    }
    writer.close().unwrap();
}

/// The score of each photo, as the library has it.
fn scores(explainer: &Explainer, photos: &[usize]) -> Vec<Option<f64>> {
    let of = |number: &usize| {
        let photo = hirescam::source::decode(&png(*number)).unwrap();
        Some(explainer.explain_one(explainer.samples("", photo).unwrap().remove(0)).unwrap().maps()[0].score)
    };
    photos.iter().map(of).collect()
}

#[test]
fn images_are_found_wherever_they_lie_and_have_the_rows_that_the_library_gives() {
    let room = Room::new();
    for number in 0..4 {
        room.write(&format!("photos/class{}/{number}.png", number % 2), png(number));
    }
    room.write("photos/notes.txt", "no image");
    room.write("patterns/a-1.png", png(4));
    room.write("patterns/a-2.png", png(5));
    room.write("patterns/b-1.png", png(6));
    let long = format!("{}/7.png", "folder".repeat(30));
    tar(&room.path("s.tar"), &[("6.cls", b"3".to_vec()), (&long, png(7)), ("8.png", png(8))]);
    room.write("list/9.png", png(9));
    room.write("files.csv", "file,day\nlist/9.png,1\n\"photos/class0/0.png\",2\n");
    let images: Vec<Vec<u8>> = (10..20).map(png).collect();
    let bytes: ArrayRef = Arc::new(BinaryArray::from_iter_values(&images));
    let names: ArrayRef = Arc::new(StringArray::from_iter_values((0..10).map(|n| format!("name{n}"))));
    parquet(&room.path("bytes.parquet"), vec![("name", names.clone()), ("picture", bytes)]);
    // As the datasets of Hugging Face have them: bytes, or else a path.
    let (some, paths): (Vec<_>, Vec<_>) =
        (20..22).map(|n| if n == 20 { (Some(png(n)), None) } else { (None, Some("list/9.png")) }).unzip();
    let bytes: ArrayRef = Arc::new(BinaryArray::from_iter(some));
    let paths: ArrayRef = Arc::new(StringArray::from_iter(paths));
    let field = |name: &str, kind: DataType| Arc::new(Field::new(name, kind, true));
    let both =
        StructArray::from(vec![(field("bytes", DataType::Binary), bytes), (field("path", DataType::Utf8), paths)]);
    parquet(&room.path("faces.parquet"), vec![("image", Arc::new(both))]);
    let paths: ArrayRef = Arc::new(StringArray::from_iter_values(["patterns/b-1.png"]));
    parquet(&room.path("paths.parquet"), vec![("path", paths)]);
    let inputs = vec![
        from(&room.text("photos"), None),
        from(&room.text("patterns/a-*.png"), None),
        from(&room.text("s.tar"), None),
        from(&room.text("files.csv"), Some("file")),
        from(&room.text("bytes.parquet"), None),
        from(&room.text("faces.parquet"), Some("image")),
        from(&room.text("paths.parquet"), None),
    ];
    let job = Job { inputs, ..room.job("out") };
    let planned = plan(&job).unwrap();
    // 0.png is named by its folder and by the table.
    assert_eq!((planned.images, planned.doubles), (22, 1));
    assert_eq!(planned.passed_over.get(".txt"), Some(&1));
    assert_eq!(planned.passed_over.get(".cls"), Some(&1));
    let ran = run(&job.out).unwrap();
    assert_eq!((ran.images, ran.failed), (22, 0));
    assert!(verify(&job.out).is_whole());
    let rows = batches(&job.out);
    let root = room.text("");
    let uris: Vec<String> = texts(&rows, "uri").into_iter().map(|uri| uri.unwrap().replace(&root, "")).collect();
    let wanted: Vec<(String, usize)> = (0..10)
        .map(|n| (format!("bytes.parquet#{n}"), 10 + n))
        .chain([("faces.parquet#0".into(), 20), ("faces.parquet#1".into(), 9), ("list/9.png".into(), 9)])
        .chain([("patterns/a-1.png".into(), 4), ("patterns/a-2.png".into(), 5), ("patterns/b-1.png".into(), 6)])
        .chain([0, 2, 1, 3].map(|n| (format!("photos/class{}/{n}.png", n % 2), n)))
        .chain([(format!("s.tar#{long}"), 7), ("s.tar#8.png".into(), 8)])
        .collect();
    assert_eq!(uris, wanted.iter().map(|(uri, _)| uri.clone()).collect::<Vec<_>>());
    assert_eq!(numbers::<Int64Type>(&rows, "id"), (0..22).map(Some).collect::<Vec<_>>());
    let explainer = Network::open(room.path("digits-cnn.onnx")).unwrap().explainer(&common::spec()).unwrap();
    let photos: Vec<usize> = wanted.iter().map(|(_, n)| *n).collect();
    assert_eq!(numbers::<arrow_array::types::Float64Type>(&rows, "score"), scores(&explainer, &photos));
}

#[test]
fn a_plan_is_the_same_whoever_makes_it_and_in_whatever_order_inputs_are_named() {
    let room = Room::with(45);
    room.write("more/a.png", png(99));
    // A table names some, too, and knows not how long they are.
    room.write("list.csv", "path\nphotos/00003.png\nmore/a.png\n");
    let inputs =
        vec![from(&room.text("list.csv"), None), from(&room.text("photos"), None), from(&room.text("more"), None)];
    let first = plan(&Job { inputs: inputs.clone(), ..room.job("one") }).unwrap();
    let second = plan(&Job { inputs: inputs.into_iter().rev().collect(), ..room.job("two") }).unwrap();
    assert_eq!((&first.plan, &first.fingerprint), (&second.plan, &second.fingerprint));
    assert_eq!((first.images, first.doubles), (46, 2));
    let items = |shard| first.items(&room.store("one"), shard).unwrap();
    assert_eq!(first.shards, 5);
    assert!(items(0)[0].uri.ends_with("more/a.png"));
    assert!(items(4).last().unwrap().uri.ends_with("photos/00044.png"));
    assert!(matches!(first.items(&room.store("one"), 5), Err(Error::Argument(_))));
    // To plan again changes nothing.
    let before = std::fs::read(room.path("one/job.json")).unwrap();
    plan(&Job { inputs: first.inputs.clone(), ..room.job("one") }).unwrap();
    assert_eq!(std::fs::read(room.path("one/job.json")).unwrap(), before);
}

#[test]
fn what_is_broken_is_a_row_and_spoils_no_other() {
    let room = Room::with(12);
    let good = png(1);
    let npy = |values: &[f32]| {
        let mut bytes = Vec::new();
        let tensor = ndarray::Array4::from_shape_vec((values.len() / 784, 1, 28, 28), values.to_vec()).unwrap();
        ndarray_npy(&tensor, &mut bytes);
        bytes
    };
    let (mut nan, mut two) = (vec![0.5; 784], vec![0.25; 2 * 784]);
    nan[5] = f32::NAN;
    two[7] = 1.0;
    // A header that tells of 100,000 × 100,000 pixels of 24 bits, which are not there.
    let mut bomb = vec![0; 54];
    bomb[..2].copy_from_slice(b"BM");
    for (at, number) in [(10, 54u32), (14, 40), (18, 100_000), (22, 100_000), (26, 1 | 24 << 16)] {
        bomb[at..at + 4].copy_from_slice(&number.to_le_bytes());
    }
    for (name, bytes) in [
        ("empty.png", Vec::new()),
        ("cut.png", good[..good.len() / 2].to_vec()),
        ("text.jpg", b"<html>404 not found</html>".to_vec()),
        ("noise.gif", (0..999u32).map(|n| (n * 37 % 251) as u8).collect()),
        ("bomb.bmp", bomb),
        ("nan.npy", npy(&nan)),
        ("shape.npy", npy(&[0.5; 784])[..200].to_vec()),
        ("two.npy", npy(&two)),
    ] {
        room.write(&format!("photos/{name}"), bytes);
    }
    let gone = room.path("photos/gone.png");
    std::fs::write(&gone, &good).unwrap();
    room.write("photos/grown.png", &good);
    let job = room.job("out");
    let planned = plan(&job).unwrap();
    assert_eq!(planned.images, 22);
    std::fs::remove_file(gone).unwrap();
    room.write("photos/grown.png", png(300).repeat(2));
    let ran = run(&job.out).unwrap();
    assert_eq!((ran.images, ran.failed, ran.rows), (22, 9, 23));
    let found = verify(&job.out);
    assert!(found.is_whole(), "{found:?}");
    assert_eq!(found.failed, 9);
    let rows = batches(&job.out);
    let (uris, kinds, errors) = (texts(&rows, "uri"), texts(&rows, "error_kind"), texts(&rows, "error"));
    let of = |name: &str| {
        let at = uris.iter().position(|uri| uri.as_ref().unwrap().ends_with(name)).unwrap();
        (kinds[at].clone().unwrap_or_default(), errors[at].clone().unwrap_or_default())
    };
    for (name, kind, said) in [
        ("empty.png", "file", ""),
        ("cut.png", "file", "damaged"),
        ("text.jpg", "file", "are read"),
        ("noise.gif", "file", ""),
        ("bomb.bmp", "file", "large"),
        ("nan.npy", "not-finite", "NaN"),
        ("shape.npy", "argument", ""),
        ("gone.png", "missing-file", "no such file"),
        ("grown.png", "changed", "bytes when the job was planned"),
    ] {
        let (is, text) = of(name);
        assert_eq!(is, kind, "{name}: {text}");
        assert!(text.contains(said) && !text.is_empty(), "{name}: {text}");
    }
    assert_eq!(of("00003.png"), Default::default());
    // A tensor of two images has two.
    let at: Vec<usize> = (0..uris.len()).filter(|&at| uris[at].as_ref().unwrap().ends_with("two.npy")).collect();
    let index = numbers::<Int32Type>(&rows, "index");
    assert_eq!(at.iter().map(|&at| index[at]).collect::<Vec<_>>(), [Some(0), Some(1)]);
}

#[test]
fn images_of_an_archive_are_those_that_lie_there_however_many_are_read_at_once() {
    let room = Room::new();
    // Some lie side by side, some have much between them, and all of them are more than one request takes.
    let between = vec![0; 100_000];
    let mut members = Vec::new();
    for number in 0..300 {
        let name: &'static str = format!("{number:04}.png").leak();
        members.push((name, if number % 50 == 7 { vec![1; 900_000] } else { png(number) }));
        if number % 9 == 0 {
            members.push(("between.bin", between.clone()));
        }
    }
    tar(&room.path("s.tar"), &members);
    let job = Job { inputs: vec![from(&room.text("s.tar"), None)], shard_size: 1000, ..room.job("out") };
    assert_eq!(plan(&job).unwrap().images, 300);
    assert_eq!(run(&job.out).unwrap().failed, 6);
    let sha256 = texts(&batches(&job.out), "image_sha256");
    let wanted = members.iter().filter(|(name, _)| name.ends_with("png")).map(|(_, bytes)| {
        use sha2::Digest;
        Some(sha2::Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect::<String>())
    });
    assert_eq!(sha256, wanted.collect::<Vec<_>>());
}

#[test]
fn an_archive_that_was_packed_anew_fails_rather_than_giving_other_images() {
    let room = Room::new();
    tar(&room.path("s.tar"), &[("a.png", png(1)), ("b.png", png(2))]);
    let job = Job { inputs: vec![from(&room.text("s.tar"), None)], ..room.job("out") };
    plan(&job).unwrap();
    tar(&room.path("s.tar"), &[("b.png", png(2)), ("c.png", png(3)), ("a.png", png(1)), ("d.png", png(4))]);
    let mut file = std::fs::OpenOptions::new().append(true).open(room.path("s.tar")).unwrap();
    std::io::Write::write_all(&mut file, &[0; 10240]).unwrap();
    assert_eq!(run(&job.out).unwrap().failed, 2);
    assert_eq!(texts(&batches(&job.out), "error_kind"), [Some("changed".to_owned()), Some("changed".to_owned())]);
}

/// The same rows twenty times.
fn widened(input: hirescam::spec::FurtherInput) -> hirescam::spec::FurtherInput {
    let hirescam::spec::InputValue::Array(array) = &input.value else { return input };
    let rows = array.to_f64();
    let many: Vec<_> = (0..20).map(|_| rows.view()).collect();
    let many = ndarray::concatenate(ndarray::Axis(0), &many).unwrap();
    hirescam::spec::FurtherInput::new(input.name, many)
}

#[test]
fn what_comes_beside_images_goes_with_each_of_them_whatever_shard_it_is_in() {
    let fixtures = format!("{}/inputs", common::FIXTURES);
    let golden = std::fs::read_to_string(format!("{fixtures}/golden.json")).unwrap();
    let golden = &serde_json::from_str::<serde_json::Value>(&golden).unwrap()["patient.onnx"];
    let array = |value: &serde_json::Value| {
        let shape: Vec<usize> = serde_json::from_value(value["shape"].clone()).unwrap();
        ndarray::ArrayD::from_shape_vec(shape, serde_json::from_value::<Vec<f64>>(value["data"].clone()).unwrap())
            .unwrap()
    };
    let room = Room::new();
    let images = array(&golden["inputs"]["image"]).mapv(|value| value as f32);
    for (number, image) in images.outer_iter().enumerate() {
        let mut bytes = Vec::new();
        let image = image.to_owned().insert_axis(ndarray::Axis(0)).into_dimensionality().unwrap();
        ndarray_npy(&image, &mut bytes);
        room.write(&format!("photos/{number}.npy"), bytes);
    }
    let others = golden["inputs"].as_object().unwrap().iter().filter(|(name, _)| *name != "image");
    let spec = hirescam::Spec {
        layers: vec![golden["layer"].as_str().unwrap().into()],
        image_input: Some("image".into()),
        inputs: others.map(|(name, value)| hirescam::spec::FurtherInput::new(name, array(value))).collect(),
        target: Some("class:1".into()),
        ..common::spec()
    };
    let job = Job { model: format!("{fixtures}/patient.onnx"), spec, shard_size: 2, ..room.job("out") };
    let planned = plan(&job).unwrap();
    assert!(planned.shards > 1 && planned.images == images.shape()[0] as u64);
    // In each file of rows few numbers stand as they are, and many by their hash.
    let many = hirescam::Spec { inputs: job.spec.inputs.iter().cloned().map(widened).collect(), ..job.spec.clone() };
    for (spec, by_hash) in [(&job.spec, false), (&many, true)] {
        let network = hirescam::Network::open(&job.model).unwrap();
        let explainer = network.explainer(spec).unwrap();
        let decides = hirescam_batch::Fingerprint::of(&explainer, Default::default(), Default::default(), None);
        for input in decides.spec["input"].as_object().unwrap().values() {
            assert_eq!((input.get("sha256").is_some(), input.get("numbers").is_none()), (by_hash, by_hash), "{input}");
        }
    }
    assert_eq!(run(&job.out).unwrap().failed, 0);
    let is = numbers::<arrow_array::types::Float64Type>(&batches(&job.out), "score");
    let wanted = array(&golden["score"]);
    assert_eq!(is.len(), wanted.len());
    for (is, wanted) in is.into_iter().zip(&wanted) {
        assert!((is.unwrap() - wanted).abs() <= 1e-5 * wanted.abs().max(1.0), "{is:?} {wanted}");
    }
    // Which row is whose would be told by nothing where a table has an order of its own.
    let names: String = (0..images.shape()[0]).rev().map(|number| format!("photos/{number}.npy\n")).collect();
    room.write("list.csv", format!("path\n{names}"));
    let of_table = Job { inputs: vec![from(&room.text("list.csv"), None)], out: room.text("table"), ..job.clone() };
    let error = plan(&of_table).unwrap_err();
    assert!(matches!(error, Error::Argument(_)) && error.to_string().contains("order of their paths"), "{error:?}");
    // With an image more, somebody has no row.
    room.write("photos/more.npy", std::fs::read(room.path("photos/0.npy")).unwrap());
    let error = plan(&Job { out: room.text("other"), ..job }).unwrap_err();
    assert!(matches!(error, Error::Explain(hirescam::Error::Rows { .. })), "{error:?}");
}

#[test]
fn tables_are_read_as_others_compress_them_or_say_what_helps() {
    let room = Room::new();
    let table = |kind: &str| Job {
        inputs: vec![from(&format!("{}/batch/{kind}.parquet", common::FIXTURES), None)],
        ..room.job(kind)
    };
    let job = table("zstd");
    plan(&job).unwrap();
    assert_eq!((run(&job.out).unwrap().failed, verify(&job.out).is_whole()), (0, true));
    let job = table("gzip");
    // A table of images is opened when it is planned, and its pages when it is run.
    let error = plan(&job).and_then(|_| run(&job.out)).unwrap_err();
    assert!(
        matches!(error, Error::Input { .. }) && error.to_string().contains("write it again with Snappy"),
        "{error:?}"
    );
}

#[test]
fn rows_of_a_table_that_name_no_image_fail_and_stop_no_job() {
    let room = Room::with(2);
    let cells = [
        "photos/00000.png",
        "./photos/../photos/00001.png",
        "",
        "gone.png",
        "http://example.com/x.png",
        "s3:///x.png",
        "ftp://a/b.png",
    ];
    let list: String = cells.iter().map(|cell| format!("{cell},1\n")).collect();
    room.write("list.csv", format!("path,day\n{list}file://{},1\n", room.text("photos/00000.png")));
    let paths: ArrayRef = Arc::new(StringArray::from_iter([Some("photos/00001.png"), None]));
    parquet(&room.path("list.parquet"), vec![("path", paths)]);
    let inputs = vec![
        from(&room.text("list.csv"), None),
        from(&room.text("list.parquet"), None),
        from(&room.text("photos"), None),
    ];
    let job = Job { inputs, ..room.job("out") };
    let planned = plan(&job).unwrap();
    // However a file is spelled, it is one input.
    assert_eq!((planned.images, planned.doubles), (8, 4));
    assert_eq!(run(&job.out).unwrap().failed, 6);
    assert!(verify(&job.out).is_whole());
    let rows = batches(&job.out);
    let (uris, kinds) = (texts(&rows, "uri"), texts(&rows, "error_kind"));
    let of = |name: &str| kinds[uris.iter().position(|uri| uri.as_deref().unwrap().ends_with(name)).unwrap()].clone();
    for name in ["list.csv#2", "list.parquet#1", "http://example.com/x.png", "s3:///x.png", "ftp://a/b.png"] {
        assert_eq!(of(name).as_deref(), Some("argument"), "{name}");
    }
    assert_eq!(of("gone.png").as_deref(), Some("missing-file"));
    assert_eq!((of("photos/00000.png"), of("photos/00001.png")), (None, None));
}

#[test]
fn archives_and_tables_without_images_stop_no_job_that_has_others() {
    let room = Room::with(2);
    tar(&room.path("empty.tar"), &[("6.cls", b"3".to_vec())]);
    room.write("empty.csv", "path\n");
    std::os::unix::fs::symlink("nowhere.png", room.path("photos/link.png")).unwrap();
    let empty = vec![from(&room.text("empty.tar"), None), from(&room.text("empty.csv"), None)];
    let error = plan(&Job { inputs: empty.clone(), ..room.job("none") }).unwrap_err();
    assert!(error.to_string().contains("empty.tar, which holds no images"), "{error}");
    let inputs = empty.into_iter().chain([from(&room.text("photos"), None)]).collect();
    let planned = plan(&Job { inputs, ..room.job("out") }).unwrap();
    assert_eq!(planned.images, 2);
    assert_eq!(planned.passed_over.get("links that lead nowhere"), Some(&1));
    assert_eq!(planned.passed_over.len(), 4, "{:?}", planned.passed_over);
}

#[test]
fn photos_that_nothing_says_how_to_prepare_are_found_before_anything_is_planned() {
    let room = Room::with(2);
    std::fs::remove_file(room.path("digits-cnn.toml")).unwrap();
    let error = plan(&room.job("out")).unwrap_err();
    assert!(matches!(error, Error::Explain(hirescam::Error::NoPreprocess { .. })), "{error:?}");
    assert!(!room.path("out").exists());
}

#[test]
fn inputs_that_cannot_be_found_are_errors_that_name_them() {
    let room = Room::new();
    room.write("a.csv", "x,y\n1,2\n");
    room.write("cut.tar", {
        tar(&room.path("cut.tar"), &[("a.png", png(1)), ("b.png", vec![7; 5000])]);
        std::fs::read(room.path("cut.tar")).unwrap()[..3000].to_vec()
    });
    room.write("no.parquet", "PAR1 and no more");
    room.write("s.tar.gz", "x");
    room.write("texts/a.txt", "x");
    let words: ArrayRef = Arc::new(StringArray::from_iter_values(["a.png"]));
    parquet(&room.path("t.parquet"), vec![("a", words.clone()), ("b", words)]);
    for (path, column, said) in [
        ("none", None, "no such file"),
        ("none/*.png", None, "nothing is there"),
        ("photos", None, "no images"),
        ("texts", None, "no images"),
        ("a.csv", None, "which column"),
        ("a.csv", Some("z"), "no column \"z\" among x, y"),
        ("cut.tar", None, "damaged"),
        ("no.parquet", None, "no.parquet"),
        ("t.parquet", None, "which column"),
        ("t.parquet", Some("c"), "no column \"c\""),
        ("s.tar.gz", None, "unpack it"),
        ("texts/a.txt", Some("x"), "only tables have columns"),
    ] {
        let error = plan(&Job { inputs: vec![from(&room.text(path), column)], ..room.job("out") }).unwrap_err();
        assert!(matches!(error, Error::Input { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(said) && text.contains(path.split('/').next().unwrap()), "{path}: {text}");
    }
    assert!(!room.path("out").exists());
}

#[test]
fn a_table_or_an_archive_of_which_any_byte_is_another_breaks_nothing() {
    let room = Room::new();
    let images: ArrayRef = Arc::new(BinaryArray::from_iter_values((0..6).map(png)));
    parquet(&room.path("t.parquet"), vec![("image", images)]);
    tar(&room.path("t.tar"), &[("a.png", png(1)), ("b.png", png(2))]);
    for name in ["t.parquet", "t.tar"] {
        let whole = std::fs::read(room.path(name)).unwrap();
        let job = Job { inputs: vec![from(&room.text(name), None)], ..room.job(&format!("out-{name}")) };
        plan(&job).unwrap();
        for at in (0..whole.len()).step_by(307) {
            let mut bytes = whole.clone();
            bytes[at] = !bytes[at];
            room.write(name, bytes);
            // Found when it is planned or when it is run, as an error or as rows; or it is a byte that nobody reads.
            let other = Job { out: room.text(&format!("other-{name}")), ..job.clone() };
            match plan(&other).and_then(|_| run(&other.out)) {
                Ok(ran) => assert!(ran.images > 0),
                Err(error) => assert!(matches!(error, Error::Input { .. }), "{error:?}"),
            }
            drop(std::fs::remove_dir_all(&other.out));
        }
    }
}

#[test]
fn a_hopeless_job_stops_and_a_hopeful_one_does_not() {
    let room = Room::with(60);
    for number in (0..60).step_by(6) {
        room.write(&format!("photos/{number:05}.png"), "broken");
    }
    let job = room.job("out");
    plan(&job).unwrap();
    let error = run_within(&job.out, MaxErrors::Number(4)).unwrap_err();
    let Error::TooMany { failed, text, .. } = &error else { panic!("{error}") };
    // Those of a part are counted together.
    assert!((5..=6).contains(failed), "{failed}");
    assert!(!text.is_empty() && error.to_string().contains("--max-errors"), "{error}");
    let kept = receipts(&job.out).len();
    assert!((1..6).contains(&kept), "{kept}");
    assert!(matches!(run_within(&job.out, MaxErrors::Percent(5.0)), Err(Error::TooMany { .. })));
    let ran = run_within(&job.out, MaxErrors::Percent(40.0)).unwrap();
    assert_eq!(ran.before + ran.made, 6);
    let found = verify(&job.out);
    assert!(found.is_whole() && found.failed == 10, "{found:?}");
    let calm = room.job("calm");
    plan(&calm).unwrap();
    run(&calm.out).unwrap();
    assert_eq!(hashes(&job.out), hashes(&calm.out));
}

#[test]
fn photos_are_all_different() {
    // Or tests that compare rows show little.
    let mut all: Vec<Vec<u8>> = (0..400).map(|number| photo(number).into_raw()).collect();
    all.sort();
    all.dedup();
    assert!(all.len() > 390, "{}", all.len());
}

#[test]
fn a_key_of_an_input_that_is_none_is_named_and_a_pattern_of_folders_says_what_names_files() {
    let job = |input: &str| Job::from_toml(&format!("model = 'm'\nout = 'o'\ninputs = [{input}]"));
    let error = job("{ path = 'a.csv', colum = 'b' }").unwrap_err().to_string();
    assert!(error.contains("unknown field `colum`, expected `path` or `column`"), "{error}");
    assert!(job("7").unwrap_err().to_string().contains("expected a path, or a table with path and column"));
    let room = Room::with(1);
    let job = Job { inputs: vec![from(&room.text("photos/**"), None)], ..room.job("out") };
    let error = plan(&job).unwrap_err().to_string();
    assert!(error.contains("`**/*` for the files in them"), "{error}");
}

#[test]
fn one_input_alone_needs_no_list() {
    let job = |inputs: &str| Job::from_toml(&format!("model = 'm'\nout = 'o'\ninputs = {inputs}"));
    assert_eq!(job("'photos'").unwrap().inputs, [from("photos", None)]);
    assert_eq!(job("{ path = 'a.csv', column = 'b' }").unwrap().inputs, [from("a.csv", Some("b"))]);
    assert_eq!(job("[]").unwrap().inputs, []);
    for (inputs, said) in [
        ("7", "a list, or one alone: a path, or a table with path and column"),
        ("{ path = 'a.csv', colum = 'b' }", "unknown field `colum`"),
    ] {
        let error = job(inputs).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn a_folder_of_archives_says_how_they_are_named() {
    let room = Room::with(1);
    std::fs::create_dir(room.path("shards")).unwrap();
    std::fs::write(room.path("shards/0.tar"), []).unwrap();
    let error = plan(&Job { inputs: vec![from(&room.text("shards"), None)], ..room.job("out") }).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("no images") && error.contains("shards/**/*.tar"), "{error}");
}

#[test]
fn a_place_that_is_a_file_is_said_to_be_one() {
    let room = Room::with(1);
    let error = run(&room.text("photos/00000.png")).unwrap_err().to_string();
    assert!(error.contains("00000.png is a file, and a job lies in a folder"), "{error}");
}
