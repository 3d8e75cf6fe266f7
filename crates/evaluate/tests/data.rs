//! Data sets, read from composed scenes with known truth, and from what is broken.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use hirescam_evaluate::Error;
use hirescam_evaluate::data::{DataSet, Duplicates, Example, Options, Present, Region, Truth, open};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn scenes() -> PathBuf {
    fixtures().join("scenes")
}

fn split(name: &str) -> Options {
    Options { split: Some(name.into()), ..Options::default() }
}

/// A copy of the scenes that a test may break.
fn copy() -> tempfile::TempDir {
    fn into(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            if entry.path().is_dir() {
                into(&entry.path(), &to);
            } else {
                fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    into(&scenes().join("VOC2012"), &folder.path().join("VOCdevkit/VOC2012"));
    folder
}

fn because(result: Result<impl Sized, Error>) -> String {
    match result {
        Ok(_) => panic!("this was accepted"),
        Err(Error::Data { path, because }) => format!("{}: {because}", path.display()),
        Err(other) => panic!("{other:?}"),
    }
}

fn refused(path: &Path, options: &Options) -> String {
    because(open(path, options))
}

/// Every image reads and shows what the script drew.
fn shows_the_truth(data: &dyn DataSet, truth: Truth) {
    shows(data, truth, &scenes().join("truth.json"));
}

fn shows(data: &dyn DataSet, truth: Truth, told: &Path) {
    let known: BTreeMap<String, Value> = serde_json::from_slice(&fs::read(told).unwrap()).unwrap();
    for (i, id) in data.ids().iter().enumerate() {
        let example = data.read(i).unwrap();
        let mut found: Vec<(String, bool, bool, [f64; 4], usize)> = example
            .objects
            .iter()
            .map(|o| {
                let region = o.region.as_ref().unwrap();
                let pixels = match region {
                    Region::Mask(mask) => mask.iter().filter(|v| **v).count(),
                    Region::Rectangle { .. } => 0,
                };
                (data.classes()[o.class].clone(), o.difficult, o.truncated, region.corners().unwrap(), pixels)
            })
            .collect();
        let of = &known[id];
        let mut wanted: Vec<_> = of["objects"]
            .as_array()
            .unwrap()
            .iter()
            .map(|o| {
                let corners: Vec<f64> = serde_json::from_value(o["box"].clone()).unwrap();
                let pixels = if truth == Truth::Masks { o["pixels"].as_u64().unwrap() as usize } else { 0 };
                let flag = |name: &str| o[name].as_bool().unwrap();
                let class = o["class"].as_str().unwrap().to_owned();
                (class, flag("difficult"), flag("truncated"), <[f64; 4]>::try_from(corners).unwrap(), pixels)
            })
            .collect();
        if truth == Truth::Masks {
            // What is void belongs to no mask, so that boxes around masks are smaller.
            found.iter_mut().for_each(|o| o.3 = [0.0; 4]);
            wanted.iter_mut().for_each(|o| o.3 = [0.0; 4]);
            let void = example.void.unwrap().iter().filter(|v| **v).count();
            assert_eq!(void as u64, of["void"].as_u64().unwrap(), "{id}");
        }
        let order = |a: &(String, bool, bool, [f64; 4], usize), b: &(String, bool, bool, [f64; 4], usize)| {
            a.partial_cmp(b).unwrap()
        };
        found.sort_by(order);
        wanted.sort_by(order);
        assert_eq!(found, wanted, "{id}");
    }
}

#[test]
fn voc_shows_what_was_drawn() {
    for truth in [Truth::Masks, Truth::Boxes] {
        for (name, count) in [("train", 5), ("val", 5), ("trainval", 10)] {
            let data = open(&scenes().join("VOC2012"), &Options { truth: Some(truth), ..split(name) }).unwrap();
            assert_eq!(data.classes(), ["cross", "disc", "ring", "square", "star", "triangle"]);
            assert_eq!(data.ids().len(), count);
            shows_the_truth(&*data, truth);
        }
    }
    // Masks of the split val where nothing is said, from any of the folders around.
    let folder = copy();
    for path in [folder.path().to_owned(), folder.path().join("VOCdevkit"), folder.path().join("VOCdevkit/VOC2012")] {
        let data = open(&path, &Options::default()).unwrap();
        assert_eq!(data.ids().first().map(String::as_str), Some("2012_000005"));
        assert!(data.title().contains("val") && data.title().contains("masks"), "{}", data.title());
        assert!(data.notes().is_empty());
    }
}

#[test]
fn voc_reads_from_its_tar() {
    let folder = copy();
    let tar = folder.path().join("VOCtrainval.tar");
    let mut builder = tar::Builder::new(fs::File::create(&tar).unwrap());
    let root = folder.path().join("VOCdevkit/VOC2012");
    builder.append_dir_all("./VOCdevkit/VOC2012/ImageSets", root.join("ImageSets")).unwrap();
    for i in 0..10 {
        for kind in ["Annotations/*.xml", "SegmentationClass/*.png", "SegmentationObject/*.png", "JPEGImages/*.jpg"] {
            let name = kind.replace('*', &format!("2012_{i:06}"));
            builder.append_path_with_name(root.join(&name), format!("./VOCdevkit/VOC2012/{name}")).unwrap();
        }
    }
    builder.finish().unwrap();
    for truth in [Truth::Masks, Truth::Boxes] {
        let options = Options { truth: Some(truth), ..split("trainval") };
        shows_the_truth(&*open(&tar, &options).unwrap(), truth);
    }
    // An archive that was cut short loses what is missing, and nothing else.
    let bytes = fs::read(&tar).unwrap();
    let data = open(&tar, &split("trainval")).unwrap();
    fs::write(&tar, &bytes[..bytes.len() / 2]).unwrap();
    let (whole, lost): (Vec<_>, Vec<_>) = (0..data.ids().len()).map(|i| data.read(i)).partition(Result::is_ok);
    assert!(!whole.is_empty() && !lost.is_empty());
    assert!(lost.into_iter().map(because).all(|e| e.contains("the archive ends within this file")));
}

#[test]
fn what_is_broken_in_voc_is_an_error_of_its_image_alone() {
    let folder = copy();
    let root = folder.path().join("VOCdevkit/VOC2012");
    let options = split("trainval");
    let xml = root.join("Annotations/2012_000000.xml");
    let whole = fs::read_to_string(&xml).unwrap();
    fs::write(&xml, &whole[..whole.len() / 2]).unwrap();
    fs::remove_file(root.join("JPEGImages/2012_000001.jpg")).unwrap();
    fs::remove_file(root.join("SegmentationClass/2012_000002.png")).unwrap();
    image::GrayImage::new(64, 48).save(root.join("SegmentationClass/2012_000003.png")).unwrap();
    image::GrayImage::from_pixel(64, 64, image::Luma([7]))
        .save(root.join("SegmentationClass/2012_000004.png"))
        .unwrap();
    fs::write(root.join("JPEGImages/2012_000005.jpg"), b"no image").unwrap();
    image::RgbImage::new(64, 64).save(root.join("SegmentationClass/2012_000006.png")).unwrap();
    fs::write(root.join("Annotations/2012_000007.xml"), whole.replace("<width>64", "<width>46")).unwrap();
    fs::write(root.join("SegmentationObject/2012_000008.png"), b"\x89PNG\r\n\x1a\n").unwrap();
    let data = open(folder.path(), &options).unwrap();
    let expected = [
        ("Annotations/2012_000000.xml", "the annotation is broken"),
        ("JPEGImages/2012_000001", "there is no image"),
        ("SegmentationClass/2012_000002.png", "there is no such file"),
        ("SegmentationClass/2012_000003.png", "the mask has 64×48 pixels (width × height), its image 64×64"),
        ("SegmentationClass/2012_000004.png", "the mask holds the index 7, and there are 6 classes"),
        ("JPEGImages/2012_000005.jpg", "no image file"),
        ("SegmentationClass/2012_000006.png", "3 channels"),
        ("Annotations/2012_000007.xml", "46×64 pixels (width × height), its image has 64×64"),
        ("SegmentationObject/2012_000008.png", "the PNG file is damaged"),
    ];
    for (i, (path, why)) in expected.into_iter().enumerate() {
        let error = because(data.read(i));
        assert!(error.contains(path) && error.contains(why), "{error}");
    }
    assert!(data.read(9).is_ok());
    assert!(matches!(data.read(10), Err(Error::Argument(_))));
}

#[test]
fn annotations_that_are_broken_or_hostile_say_what_is_wrong() {
    let folder = copy();
    let path = folder.path().join("VOCdevkit/VOC2012/Annotations/2012_000005.xml");
    let data = open(folder.path(), &Options { truth: Some(Truth::Boxes), ..Options::default() }).unwrap();
    let of =
        |objects: &str| format!("<annotation><size><width>64</width><height>64</height></size>{objects}</annotation>");
    let object = |name: &str, box_: [&str; 4]| {
        let [l, t, r, b] = box_;
        of(&format!(
            "<object><name>{name}</name><difficult/><bndbox><xmin>{l}</xmin><ymin>{t}</ymin><xmax>{r}</xmax><ymax>{b}</ymax></bndbox></object>"
        ))
    };
    let deep = of(&("<a>".repeat(100_000) + &"</a>".repeat(100_000)));
    let laughs = r#"<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;">]><annotation><object><name>&lol2;</name></object></annotation>"#;
    let cases = [
        (String::new(), "there is no <annotation>"),
        ("nonsense".into(), "there is no <annotation>"),
        ("<html></html>".into(), "begins with <html>"),
        ("<annotation><object></annotation>".into(), "the annotation is broken"),
        ("<annotation><object>".into(), "ends within <object>"),
        (of("<object><bndbox/></object>"), "object 1 has no name"),
        (of("<object><name>disc</name></object>"), "object 1, disc, has no whole box"),
        (object("dics", ["1", "1", "9", "9"]), "no class \"dics\" among the 6 of the data set, near: disc"),
        (object("disc", ["1", "1", "nine", "9"]), "xmax is \"nine\" and no number"),
        (object("disc", ["1", "1", "NaN", "9"]), "xmax is \"NaN\" and no number"),
        (object("disc", ["9", "1", "2", "9"]), "holds no pixel"),
        (object("disc", ["80", "1", "90", "9"]), "outside of the image of 64×64"),
        (
            object("disc", ["1", "1", "9", "9"]).replace("<difficult/>", "<difficult>2</difficult>"),
            "difficult is \"2\"",
        ),
        (deep, "more than 32 elements within each other"),
        (laughs.into(), "the entity &lol2;, which is not followed"),
    ];
    for (text, why) in cases {
        fs::write(&path, &text).unwrap();
        let error = because(data.read(0));
        assert!(error.contains(why), "{error}");
    }
    fs::write(&path, b"<annotation>\xff</annotation>").unwrap();
    assert!(because(data.read(0)).contains("no text in UTF-8"));
    // Predefined entities, CDATA, comments, parts of objects and boxes beyond the border are read.
    let parts = object("&#100;is<![CDATA[c]]><!-- round -->", ["-3", "2.5", "70", "9"])
        .replace("</object>", "<part><name>hand</name><bndbox><xmin>1</xmin></bndbox></part></object>");
    fs::write(&path, format!("\u{feff}<?xml version='1.0'?>{parts}")).unwrap();
    let Example { objects, .. } = data.read(0).unwrap();
    assert_eq!(objects.len(), 1);
    assert_eq!(objects[0].region, Some(Region::Rectangle { left: 0.0, top: 1.5, right: 64.0, bottom: 9.0 }));
}

#[test]
fn splits_that_are_missing_or_empty_are_told() {
    let folder = copy();
    let root = folder.path().join("VOCdevkit/VOC2012");
    let error = refused(folder.path(), &split("test"));
    assert!(error.contains("no split \"test\"; there are: train, trainval, val"), "{error}");
    let boxes = Options { truth: Some(Truth::Boxes), ..split("test") };
    // Lists of classes are no splits.
    assert!(refused(folder.path(), &boxes).ends_with("there are: train, trainval, val"));
    fs::write(root.join("ImageSets/Segmentation/val.txt"), " \n\n").unwrap();
    assert!(refused(folder.path(), &split("val")).contains("val.txt: the split is empty"));
    fs::remove_dir_all(root.join("ImageSets")).unwrap();
    assert!(refused(folder.path(), &split("val")).contains("no lists of splits"));
    fs::write(root.join("classes.txt"), "_background_\ncross\ndisc\nring\nsquare\nstar\ntriangle\n").unwrap();
    let data = open(folder.path(), &Options::default()).unwrap();
    assert_eq!((data.ids().len(), data.notes().len()), (10, 1));
    shows_the_truth(&*data, Truth::Masks);
}

#[test]
fn an_annotation_adds_what_has_no_pixel_in_the_mask() {
    let folder = copy();
    let root = folder.path().join("VOCdevkit/VOC2012");
    image::GrayImage::new(64, 64).save(root.join("SegmentationClass/2012_000005.png")).unwrap();
    let by = |present| {
        let data = open(folder.path(), &Options { present: Some(present), ..split("val") }).unwrap();
        data.read(0).unwrap()
    };
    assert!(by(Present::Mask).objects.is_empty());
    let example = by(Present::Annotation);
    let class = *example.classes().first().unwrap();
    assert!(example.mask(class).is_none() && example.object_share(class).is_none());
    fs::remove_file(root.join("Annotations/2012_000005.xml")).unwrap();
    let data = open(folder.path(), &Options { present: Some(Present::Annotation), ..split("val") }).unwrap();
    assert!(because(data.read(0)).contains("2012_000005.xml: there is no such file"));
}

/// The scenes' masks once more as those of SBD: all of train but the first.
fn with_sbd(folder: &Path) -> PathBuf {
    let (root, sbd) = (folder.join("VOCdevkit/VOC2012"), folder.join("benchmark_RELEASE/dataset"));
    for inner in ["img", "cls_png", "cls"] {
        fs::create_dir_all(sbd.join(inner)).unwrap();
    }
    let names: Vec<String> = (1..5).map(|i| format!("2012_{i:06}")).collect();
    for name in &names {
        fs::copy(root.join(format!("JPEGImages/{name}.jpg")), sbd.join(format!("img/{name}.jpg"))).unwrap();
        fs::copy(root.join(format!("SegmentationClass/{name}.png")), sbd.join(format!("cls_png/{name}.png"))).unwrap();
    }
    fs::copy(root.join("JPEGImages/2012_000009.jpg"), sbd.join("img/2008_000009.jpg")).unwrap();
    fs::copy(root.join("SegmentationClass/2012_000009.png"), sbd.join("cls_png/2008_000009.png")).unwrap();
    fs::write(sbd.join("train_noval.txt"), names.join("\n") + "\n2008_000009\n").unwrap();
    sbd
}

#[test]
fn images_that_voc_and_sbd_share_are_counted() {
    let folder = copy();
    let sbd = with_sbd(folder.path());
    let voc = folder.path().join("VOCdevkit");
    let with = |duplicates| Options { sbd: Some(folder.path().to_owned()), duplicates, ..split("train") };
    for duplicates in [None, Some(Duplicates::Keep)] {
        let data = open(&voc, &with(duplicates)).unwrap();
        assert_eq!(data.ids().len(), 10);
        assert_eq!(data.ids()[5], "sbd/2012_000001");
        assert!(data.notes()[0].contains("4 images come twice and count twice"), "{:?}", data.notes());
        assert_eq!(data.read(1).unwrap().mask(0), data.read(5).unwrap().mask(0));
    }
    let data = open(&voc, &with(Some(Duplicates::Drop))).unwrap();
    assert_eq!(data.ids().len(), 6);
    assert_eq!(data.ids()[5], "sbd/2008_000009");
    assert!(data.notes()[0].contains("4 images come twice and were left out"), "{:?}", data.notes());
    // On its own.
    let names = folder.path().join("names.txt");
    fs::write(&names, "cross\ndisc\nring\nsquare\nstar\ntriangle\n").unwrap();
    let alone = Options { class_names: Some(names), ..Options::default() };
    let data = open(&sbd, &alone).unwrap();
    assert_eq!(data.ids()[0], "2012_000001");
    assert!(data.read(4).is_ok());
    // As it is published.
    fs::remove_dir_all(sbd.join("cls_png")).unwrap();
    let error = refused(&voc, &with(None));
    assert!(error.contains("MATLAB") && error.contains("sbd_to_png.py"), "{error}");
}

#[test]
fn what_no_format_knows_gets_a_list_of_what_they_expect() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("notes.txt"), "nothing").unwrap();
    let error = refused(folder.path(), &Options::default());
    for format in hirescam_evaluate::data::FORMATS {
        assert!(error.contains(&format!("\n  {}: ", format.name)), "{error}");
    }
    assert!(refused(&folder.path().join("none"), &Options::default()).contains("there is no such"));
    let unknown = open(folder.path(), &Options { format: Some("vok".into()), ..Options::default() }).err().unwrap();
    assert_eq!(unknown.to_string(), "there is no format of data \"vok\"; did you mean \"voc\"?");
    let images = Options { images: Some(folder.path().into()), ..Options::default() };
    let useless = open(&scenes().join("VOC2012"), &images).err().unwrap();
    assert!(useless.to_string().contains("`images` means nothing to data of the format voc"), "{useless}");
    // A file is no folder.
    let voc = copy();
    let list = voc.path().join("VOCdevkit/VOC2012/ImageSets/Main/val.txt");
    assert!(refused(&list, &Options::default()).contains("no data set was recognised"));
    let photo = voc.path().join("VOCdevkit/VOC2012/JPEGImages/2012_000000.jpg");
    assert!(refused(&photo, &Options::default()).contains("no data set was recognised"));
    fs::write(folder.path().join("data.tar.gz"), "").unwrap();
    assert!(refused(&folder.path().join("data.tar.gz"), &Options::default()).contains("compressed"));
}

/// Real photos, which are fetched by a script: see there.
#[test]
#[ignore = "needs the photos that fixtures/voc-real/fetch.sh fetches"]
fn photos_of_voc_show_persons_and_buses() {
    let root = fixtures().join("../target/voc-real");
    let read = |truth| {
        let data = open(&root, &Options { truth: Some(truth), ..Options::default() }).unwrap();
        assert_eq!(data.ids(), ["2011_000003", "2011_000006", "2011_000025"]);
        assert_eq!(data.classes().len(), 20);
        (0..3).map(|i| data.read(i).unwrap()).collect::<Vec<_>>()
    };
    let (masks, boxes) = (read(Truth::Masks), read(Truth::Boxes));
    // Pixels of each class as Pillow counts the indices.
    let pixels = |example: &Example, class| example.mask(class).unwrap().iter().filter(|v| **v).count();
    let [bottle, bus, car, chair, person, sofa] = [4, 5, 6, 8, 14, 17];
    assert_eq!((pixels(&masks[0], bottle), pixels(&masks[0], person)), (873, 32_880));
    assert_eq!(
        (pixels(&masks[1], chair), pixels(&masks[1], person), pixels(&masks[1], sofa)),
        (44_403, 34_817, 14_001)
    );
    assert_eq!((pixels(&masks[2], bus), pixels(&masks[2], car)), (118_231, 7_256));
    assert_eq!(masks[0].void.as_ref().unwrap().iter().filter(|v| **v).count(), 9_460);
    // Two persons and a bottle; objects as the mask of objects numbers them.
    assert_eq!(masks[0].objects.len(), 3);
    assert_eq!(boxes[0].boxes(person)[1], [364.0, 82.0, 500.0, 333.0]);
    // Every person's mask lies in a person's box, but for a few pixels of whoever drew them.
    let inside = boxes[0].mask(person).unwrap();
    let outside = masks[0].mask(person).unwrap().iter().zip(&inside).filter(|(m, b)| **m && !**b).count();
    assert!(outside * 20 < pixels(&masks[0], person), "{outside}");
}

/// Many scenes, which are made by a script: see there.
#[test]
#[ignore = "needs `python fixtures/scenes/make.py --scenes 200 --size 128 --sbd --out target/scenes`"]
fn two_hundred_scenes_show_what_was_drawn() {
    let root = fixtures().join("../target/scenes");
    for truth in [Truth::Masks, Truth::Boxes] {
        let data = open(&root.join("VOCdevkit"), &Options { truth: Some(truth), ..split("trainval") }).unwrap();
        assert_eq!(data.ids().len(), 200);
        shows(&*data, truth, &root.join("truth.json"));
    }
    let with = |duplicates| {
        let options = Options { sbd: Some(root.clone()), duplicates: Some(duplicates), ..split("train") };
        let data = open(&root.join("VOCdevkit"), &options).unwrap();
        (0..data.ids().len()).for_each(|i| drop(data.read(i).unwrap()));
        (data.ids().len(), data.notes().first().cloned().unwrap_or_default())
    };
    let (kept, note) = with(Duplicates::Keep);
    assert_eq!((kept, note.as_str()), (299, "99 images come twice and count twice (`duplicates` can drop them)."));
    assert_eq!(with(Duplicates::Drop).0, 200);
}
