//! Formats of data other than VOC's, each laid out here as small as it can be.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use hirescam::random::Random;
use hirescam_evaluate::Error;
use hirescam_evaluate::data::{DataSet, Duplicates, Options, Region, Truth, open};
use image::{GrayImage, Luma, Rgb, RgbImage};
use ndarray::{Array2, array};
use serde_json::json;
use std::fs;
use std::path::Path;

/// A photo of four columns and three rows.
fn photo(path: impl AsRef<Path>) {
    fs::create_dir_all(path.as_ref().parent().unwrap()).unwrap();
    RgbImage::from_pixel(4, 3, Rgb([9, 99, 199])).save(path).unwrap();
}

fn mask(path: impl AsRef<Path>, rows: Array2<u8>) {
    fs::create_dir_all(path.as_ref().parent().unwrap()).unwrap();
    let (height, width) = rows.dim();
    GrayImage::from_fn(width as u32, height as u32, |x, y| Luma([rows[[y as usize, x as usize]]])).save(path).unwrap();
}

/// A file with a palette, of so many bits a pixel.
fn palette(path: impl AsRef<Path>, bits: png::BitDepth, width: u32, rows: &[&[u8]]) {
    fs::create_dir_all(path.as_ref().parent().unwrap()).unwrap();
    let mut encoder = png::Encoder::new(fs::File::create(path).unwrap(), width, rows.len() as u32);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(bits);
    // Colours that say nothing of the indices.
    encoder.set_palette(vec![200; 3 * (1 << bits as usize)]);
    encoder.write_header().unwrap().write_image_data(&rows.concat()).unwrap();
}

fn write(path: impl AsRef<Path>, text: &str) {
    fs::create_dir_all(path.as_ref().parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn because(result: Result<impl Sized, Error>) -> String {
    match result {
        Ok(_) => panic!("this was accepted"),
        Err(error) => error.to_string(),
    }
}

fn opened(path: &Path) -> Box<dyn DataSet> {
    open(path, &Options::default()).unwrap()
}

fn corners(data: &dyn DataSet, index: usize) -> Vec<(String, [f64; 4])> {
    let of = data.read(index).unwrap().objects.into_iter();
    of.map(|o| (data.classes()[o.class].clone(), o.region.unwrap().corners().unwrap())).collect()
}

/// Three images, two of them with objects, in the layout of COCO's own archives.
fn coco() -> (tempfile::TempDir, serde_json::Value) {
    let folder = tempfile::tempdir().unwrap();
    for name in ["1.png", "2.png", "3.png"] {
        photo(folder.path().join("val2017").join(name));
    }
    let image = |id: u32| json!({"id": id, "file_name": format!("{id}.png"), "width": 4, "height": 3, "license": 1});
    let instances = json!({
        "info": {"year": 2017},
        "images": [image(3), image(1), image(2)],
        "categories": [{"id": 90, "name": "toothbrush"}, {"id": 1, "name": "person"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "bbox": [1, 0, 2, 3], "area": 4,
             "segmentation": [[1, 0, 3, 0, 3, 2, 1, 2]]},
            {"id": 2, "image_id": 1, "category_id": 90, "iscrowd": 1, "bbox": [0, 0, 1, 3],
             "segmentation": {"size": [3, 4], "counts": [0, 3, 9]}},
            {"id": 3, "image_id": 2, "category_id": 90, "bbox": [0.5, 0.5, 2, 2]},
            {"id": 4, "image_id": 77, "category_id": 90, "bbox": [0.5, 0.5, 2, 2]}
        ]
    });
    write(folder.path().join("annotations/instances_val2017.json"), &instances.to_string());
    (folder, instances)
}

#[test]
fn coco_has_polygons_crowds_and_boxes() {
    let (folder, _) = coco();
    let json = folder.path().join("annotations/instances_val2017.json");
    for path in [folder.path(), &json] {
        let data = opened(path);
        assert_eq!(data.classes(), ["person", "toothbrush"]);
        assert_eq!(data.ids(), ["1.png", "2.png", "3.png"]);
        assert!(data.notes()[0].starts_with("1 annotations are of images that the file does not list"));
        let first = data.read(0).unwrap();
        let inside = array![[false, true, true, false], [false, true, true, false], [false, false, false, false]];
        assert_eq!(first.mask(0).unwrap(), inside);
        assert_eq!(first.boxes(1), [[0.0, 0.0, 1.0, 3.0]]);
        assert_eq!(first.objects.iter().map(|o| o.crowd).collect::<Vec<_>>(), [false, true]);
        assert_eq!(corners(&*data, 1), [("toothbrush".to_owned(), [0.5, 0.5, 2.5, 2.5])]);
        assert!(data.read(2).unwrap().objects.is_empty());
    }
    let boxes =
        open(folder.path(), &Options { truth: Some(Truth::Boxes), split: Some("val".into()), ..Options::default() });
    let wanted = [("person".to_owned(), [1.0, 0.0, 3.0, 3.0]), ("toothbrush".to_owned(), [0.0, 0.0, 1.0, 3.0])];
    assert_eq!(corners(&*boxes.unwrap(), 0), wanted);
    let test = Options { split: Some("test".into()), ..Options::default() };
    assert!(because(open(folder.path(), &test)).ends_with("there is no split \"test\"; there are: val2017"));
}

#[test]
fn what_is_broken_in_coco_is_an_error_of_its_image_alone() {
    let (folder, instances) = coco();
    let json = folder.path().join("annotations/instances_val2017.json");
    let with = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut changed = instances.clone();
        change(&mut changed);
        write(&json, &changed.to_string());
        opened(folder.path())
    };
    let cases: [(&dyn Fn(&mut serde_json::Value), &str); 9] = [
        (&|v| v["annotations"][0]["category_id"] = 5.into(), "image 1.png: there is no category 5"),
        (&|v| v["annotations"][0]["segmentation"] = "polygon".into(), "neither polygons nor run lengths"),
        (&|v| v["annotations"][0]["segmentation"] = json!([[1, 2, 3]]), "a polygon has 3 numbers"),
        (
            &|v| v["annotations"][1]["segmentation"]["size"] = json!([4, 3]),
            "a mask has 3×4 pixels (width × height), its image 4×3",
        ),
        (&|v| v["annotations"][1]["segmentation"]["counts"] = json!([0, 3]), "the run lengths are of 3 pixels"),
        (&|v| v["annotations"][1]["segmentation"]["counts"] = json!([0, -3]), "neither polygons nor run lengths"),
        (&|v| v["annotations"][1]["segmentation"]["counts"] = "\u{1}".into(), "no text of compressed run lengths"),
        (&|v| v["images"][1]["width"] = 5.into(), "listed with 5×3 pixels (width × height), and its file has 4×3"),
        (&|v| v["images"][1]["file_name"] = "0.png".into(), "0.png: there is no such file"),
    ];
    for (change, why) in cases {
        let data = with(change);
        let error = because(data.read(0));
        assert!(error.contains(why), "{error}");
        assert!(data.read(1).is_ok());
    }
    let data = with(&|v| v["annotations"][2]["bbox"] = json!([1, 2]));
    assert!(because(data.read(1)).contains("a box is not [x, y, width, height]"));
    // The file itself.
    write(&json, "{\"images\": [");
    assert!(because(open(folder.path(), &Options::default())).contains("this is no instances file of COCO"));
    write(&json, &json!({"images": [], "annotations": [], "categories": []}).to_string());
    assert!(because(open(folder.path(), &Options::default())).contains("lists no images"));
    fs::remove_dir_all(folder.path().join("val2017")).unwrap();
    write(&json, &instances.to_string());
    assert!(
        because(open(folder.path(), &Options::default())).contains("the images are not there: 1.png was looked for")
    );
}

#[test]
fn coco_reads_from_a_tar() {
    let (folder, _) = coco();
    let tar = folder.path().join("coco.tar");
    let mut builder = tar::Builder::new(fs::File::create(&tar).unwrap());
    for inner in ["annotations", "val2017"] {
        builder.append_dir_all(inner, folder.path().join(inner)).unwrap();
    }
    builder.finish().unwrap();
    let wanted = corners(&*opened(folder.path()), 1);
    assert_eq!(corners(&*opened(&tar), 1), wanted);
    // With a folder around everything.
    let mut builder = tar::Builder::new(fs::File::create(&tar).unwrap());
    for inner in ["annotations", "val2017"] {
        builder.append_dir_all(format!("./data/{inner}"), folder.path().join(inner)).unwrap();
    }
    builder.finish().unwrap();
    assert_eq!(corners(&*opened(&tar), 1), wanted);
}

fn box_of(id: &str) -> String {
    format!(
        "<annotation><size><width>4</width><height>3</height></size><object><name>{id}</name><bndbox><xmin>1</xmin><ymin>0</ymin><xmax>3</xmax><ymax>1</ymax></bndbox></object></annotation>"
    )
}

#[test]
fn imagenet_has_ids_names_and_boxes() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("ILSVRC");
    for name in ["n01440764/a.JPEG", "n02123045/b.JPEG", "n02123045/c.JPEG", "n99999999/d.JPEG"] {
        let path = root.join("Data/CLS-LOC/val").join(name);
        photo(path.with_extension("png"));
        fs::rename(path.with_extension("png"), path).unwrap();
    }
    write(root.join("Annotations/CLS-LOC/val/b.xml"), &box_of("n02123045"));
    write(root.join("Annotations/CLS-LOC/val/n02123045/c.xml"), &box_of("n01440764"));
    write(folder.path().join("LOC_synset_mapping.txt"), "n99999999 unicorn, one-horned horse\n");
    let data = opened(folder.path());
    let classes = ["n01440764 tench, Tinca tinca", "n02123045 tabby, tabby cat", "n99999999 unicorn, one-horned horse"];
    assert_eq!(data.classes(), classes);
    assert_eq!(data.ids(), ["n01440764/a.JPEG", "n02123045/b.JPEG", "n02123045/c.JPEG", "n99999999/d.JPEG"]);
    assert_eq!(data.read(0).unwrap().objects[0].region, None);
    assert_eq!(corners(&*data, 1), [("n02123045 tabby, tabby cat".to_owned(), [1.0, 0.0, 4.0, 2.0])]);
    assert!(
        because(data.read(2)).contains("c.xml: the image is of the class n02123045 tabby, tabby cat, and no box is")
    );
    assert_eq!(data.read(3).unwrap().objects[0].class, 2);
}

#[test]
fn a_flat_imagenet_needs_a_list() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["val/ILSVRC2012_val_00000001.png", "val/ILSVRC2012_val_00000002.png"] {
        photo(folder.path().join(name));
    }
    let list = folder.path().join("val.txt");
    write(&list, "ILSVRC2012_val_00000001.JPEG 65\nILSVRC2012_val_00000002.JPEG 0\nILSVRC2012_val_00000003.JPEG 0\n");
    let data = opened(folder.path());
    assert_eq!(data.ids()[1], "ILSVRC2012_val_00000002.png");
    let shown = |data: &dyn DataSet, index| data.classes()[data.read(index).unwrap().objects[0].class].clone();
    assert!(shown(&*data, 0).starts_with("n01751748 sea snake"));
    assert!(shown(&*data, 1).starts_with("n01440764 tench"));
    assert!(because(data.read(2)).contains("ILSVRC2012_val_00000003.JPEG: there is no such file"));
    write(
        folder.path().join("LOC_val_solution.csv"),
        "ImageId,PredictionString\nILSVRC2012_val_00000001,n02123045 1 1 3 3 \n",
    );
    assert!(shown(&*opened(folder.path()), 0).starts_with("n02123045 tabby"));
    fs::remove_file(folder.path().join("LOC_val_solution.csv")).unwrap();
    write(&list, "a 1000\nb 1000\n");
    let options = Options { format: Some("imagenet".into()), ..Options::default() };
    assert!(because(open(folder.path(), &options)).contains("line 1 says \"1000\", which is no class of ImageNet"));
    fs::remove_file(&list).unwrap();
    write(folder.path().join("ILSVRC2012_validation_ground_truth.txt"), "490\n361\n");
    assert!(because(open(folder.path(), &options)).contains("in an order of its own"));
}

#[test]
fn masks_hold_one_object_or_indices_of_classes() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in ["a", "b", "c"] {
        photo(root.join(format!("images/{name}.png")));
    }
    mask(root.join("masks/a.png"), array![[0, 1, 255, 0], [0, 0, 2, 0], [0, 0, 0, 0]]);
    // Two bits a pixel: 0 1 2 3, and so on.
    palette(root.join("masks/b.png"), png::BitDepth::Two, 4, &[&[0b00_01_10_11], &[0b11_00_00_00], &[0]]);
    mask(root.join("masks/c.png"), array![[0, 1], [0, 0]]);
    let data = opened(root);
    assert_eq!((data.classes(), data.notes().len()), (&["object".to_owned()][..], 1));
    assert_eq!(corners(&*data, 0), [("object".to_owned(), [1.0, 0.0, 3.0, 2.0])]);
    assert_eq!(data.read(1).unwrap().object_share(0), Some(4.0 / 12.0));
    assert!(because(data.read(2)).contains("the mask has 2×2 pixels (width × height), its image 4×3"));

    write(root.join("classes.txt"), "background\ncat\ndog\n");
    let data = opened(root);
    assert_eq!(data.classes(), ["cat", "dog"]);
    let a = data.read(0).unwrap();
    assert_eq!(a.boxes(1), [[2.0, 1.0, 3.0, 2.0]]);
    assert_eq!(a.void.unwrap().iter().filter(|v| **v).count(), 1);
    assert!(because(data.read(1)).contains("b.png: the mask holds the index 3, and there are 2 classes"));
    fs::remove_file(root.join("masks/a.png")).unwrap();
    assert!(because(data.read(0)).contains("a.png: there is no mask for this image"));
    RgbImage::new(4, 3).save(root.join("masks/a.png")).unwrap();
    assert!(because(data.read(0)).contains("3 channels of colour"));
}

#[test]
fn masks_may_lie_in_a_folder_for_each_class() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in ["a", "b"] {
        photo(root.join(format!("images/{name}.png")));
    }
    mask(root.join("masks/cat/a.png"), array![[0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]);
    // Opacity alone is no object.
    image::RgbaImage::from_pixel(4, 3, image::Rgba([0, 0, 0, 255])).save(root.join("masks/cat/b.png")).unwrap();
    let mut red = RgbImage::new(4, 3);
    red.put_pixel(3, 2, Rgb([1, 0, 0]));
    fs::create_dir_all(root.join("masks/dog")).unwrap();
    red.save(root.join("masks/dog/b.bmp")).unwrap();
    let data = opened(root);
    assert_eq!(corners(&*data, 0), [("cat".to_owned(), [1.0, 0.0, 2.0, 1.0])]);
    assert_eq!(corners(&*data, 1), [("dog".to_owned(), [3.0, 2.0, 4.0, 3.0])]);
    RgbImage::new(4, 3).save(root.join("masks/dog/a.jpg")).unwrap();
    assert!(because(data.read(0)).contains("JPEG"));
}

#[test]
fn folders_are_classes() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["cats/1.png", "cats/2.png", "dogs/1.png"] {
        photo(folder.path().join("test").join(name));
    }
    fs::write(folder.path().join("test/dogs/notes.txt"), "").unwrap();
    let data = opened(&folder.path().join("test"));
    assert_eq!(
        (data.classes().to_vec(), data.ids().to_vec()),
        (
            vec!["cats".to_owned(), "dogs".into()],
            vec!["cats/1.png".to_owned(), "cats/2.png".into(), "dogs/1.png".into()]
        )
    );
    assert_eq!(data.read(2).unwrap().objects[0].class, 1);
    assert!(data.read(2).unwrap().mask(1).is_none());
    let test = Options { split: Some("test".into()), format: Some("folders".into()), ..Options::default() };
    assert_eq!(open(folder.path(), &test).unwrap().ids().len(), 3);
}

#[test]
fn tables_have_a_row_for_each_object() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("truth.csv");
    for name in ["a.png", "sub/b.png", "c.png"] {
        photo(folder.path().join(name));
    }
    mask(folder.path().join("m.png"), array![[0, 0, 0, 7], [0, 0, 0, 0], [0, 0, 0, 0]]);
    let rows = "image,class,left,top,right,bottom,mask,rle,difficult\n\
        a.png,dog,0,1,2.5,9,,,1\n\
        a.png,cat,,,,,m.png,,\n\
        sub/b.png,cat,,,,,,0 3 9,0\n\
        c.png,,,,,,,,\n";
    write(&table, rows);
    let data = opened(&table);
    assert_eq!(data.classes(), ["cat", "dog"]);
    assert_eq!(data.ids(), ["a.png", "sub/b.png", "c.png"]);
    let wanted = [("dog".to_owned(), [0.0, 1.0, 2.5, 3.0]), ("cat".to_owned(), [3.0, 0.0, 4.0, 1.0])];
    assert_eq!(corners(&*data, 0), wanted);
    assert_eq!(corners(&*data, 1), [("cat".to_owned(), [0.0, 0.0, 1.0, 3.0])]);
    assert!(data.read(0).unwrap().all_marked_difficult(1));
    assert!(data.read(2).unwrap().objects.is_empty());
    // Other separators, and COCO's compressed text.
    write(&table, "Image;Class;rle\nsub/b.png;cat;039\n");
    assert_eq!(corners(&*opened(&table), 0), [("cat".to_owned(), [0.0, 0.0, 1.0, 3.0])]);
}

#[test]
fn what_is_broken_in_a_table_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("truth.csv");
    for name in ["a.png", "b.png"] {
        photo(folder.path().join(name));
    }
    let heads = [
        ("image,clas\n", "no column \"clas\"; did you mean class?"),
        ("image,zzz\n", "no column \"zzz\"; there are: image, class"),
        ("class,mask\n", "no column image"),
        ("image,class,left\n", "all four of left, top, right and bottom"),
        ("image,class,class\n", "comes twice"),
        ("image,class\n", "there are no images"),
        ("image,class\n,cat\n", "line 2 names no image"),
    ];
    for (text, why) in heads {
        write(&table, text);
        let error = because(open(&table, &Options::default()));
        assert!(error.contains(why), "{error}");
    }
    let rows = [
        ("a.png,cat,1,1,2\n", "line 3: it has 5 cells, the table 8 columns"),
        ("a.png,cat,1,1,x,2,,\n", "line 3: right is \"x\" and no number"),
        ("a.png,cat,1,1,,2,,\n", "line 3: right is \"\" and no number"),
        ("a.png,cat,3,1,2,2,,\n", "holds no pixel"),
        ("a.png,cat,1,1,2,2,m.png,\n", "in several ways"),
        ("a.png,,1,1,2,2,,\n", "and not of which class"),
        ("a.png,cat,,,,,m.png,\n", "m.png: there is no such file"),
        ("a.png,cat,,,,,,1 2\n", "the run lengths are of 3 pixels"),
        ("c.png,cat,,,,,,\n", "c.png: there is no such file"),
    ];
    for (row, why) in rows {
        write(&table, &format!("image,class,left,top,right,bottom,mask,rle\nb.png,cat,,,,,,\n{row}"));
        let data = opened(&table);
        let error = because(data.read(1));
        assert!(error.contains(why), "{error}");
        assert!(data.read(0).is_ok());
    }
}

#[test]
fn pixels_lie_as_the_file_has_them() {
    // The same picture in eight orientations: truth goes by the stored pixels.
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/images/orientation_6.jpg");
    fs::create_dir_all(folder.path().join("cats")).unwrap();
    fs::copy(&source, folder.path().join("cats/turned.jpg")).unwrap();
    let stored = image::open(&source).unwrap();
    // A folder of images alone is not taken for a class.
    assert!(because(open(folder.path(), &Options::default())).contains("no data set was recognised"));
    let options = Options { format: Some("folders".into()), ..Options::default() };
    let photo = open(folder.path(), &options).unwrap().read(0).unwrap().photo;
    assert_eq!((photo.width(), photo.height()), (stored.width(), stored.height()));
    assert_ne!(photo.width(), photo.height());
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Some bytes of a file changed, taken out or doubled.
fn damaged(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut damaged = bytes.to_vec();
    for _ in 0..1 + (random.unit() * 4.0) as usize {
        let at = (random.unit() * damaged.len() as f64) as usize;
        match (random.unit() * 4.0) as usize {
            0 => damaged.truncate(at),
            1 => damaged = [&damaged[..at], &damaged[at / 2..]].concat(),
            2 if at < damaged.len() => drop(damaged.remove(at)),
            _ if at < damaged.len() => damaged[at] ^= 1 << (random.unit() * 8.0) as u32,
            _ => {}
        }
    }
    damaged
}

#[test]
fn whatever_is_damaged_nothing_panics() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/scenes/VOC2012");
    let voc = tempfile::tempdir().unwrap();
    for file in files(&root) {
        let to = voc.path().join(file.strip_prefix(&root).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(file, to).unwrap();
    }
    let (coco, _) = coco();
    let table = tempfile::tempdir().unwrap();
    photo(table.path().join("a.png"));
    mask(table.path().join("m.png"), array![[0, 0, 0, 7], [0, 0, 0, 0], [0, 0, 0, 0]]);
    write(
        table.path().join("t.csv"),
        "image,class,left,top,right,bottom,mask\na.png,dog,0,1,2,3,\na.png,cat,,,,,m.png\n",
    );
    let tar = tempfile::tempdir().unwrap();
    let mut builder = tar::Builder::new(fs::File::create(tar.path().join("voc.tar")).unwrap());
    builder.append_dir_all("VOC2012", voc.path()).unwrap();
    builder.finish().unwrap();
    let cases = [
        (voc.path(), "", 150),
        (coco.path(), "", 150),
        (table.path(), "t.csv", 100),
        // Archives of many headers: damage seldom hits one.
        (tar.path(), "voc.tar", 40),
    ];
    let mut random = Random::of_sample(7, 0);
    let (mut refused, mut spoilt, mut whole) = (0, 0, 0);
    for (folder, name, rounds) in cases {
        let files = files(folder);
        for _ in 0..rounds {
            let file = &files[(random.unit() * files.len() as f64) as usize];
            let bytes = fs::read(file).unwrap();
            fs::write(file, damaged(&bytes, &mut random)).unwrap();
            let truth = if random.unit() < 0.5 { Truth::Masks } else { Truth::Boxes };
            let truth = Some(truth).filter(|_| name != "t.csv");
            match open(&folder.join(name), &Options { truth, ..Options::default() }) {
                Ok(data) => (0..data.ids().len()).for_each(|i| match data.read(i) {
                    Ok(_) => whole += 1,
                    Err(_) => spoilt += 1,
                }),
                Err(_) => refused += 1,
            }
            fs::write(file, bytes).unwrap();
        }
    }
    // All three happen, and most images are not the damaged one.
    assert!(refused > 20 && spoilt > 50 && whole > 2 * spoilt, "{refused} {spoilt} {whole}");
}

#[test]
fn archives_have_long_names_and_links() {
    let folder = tempfile::tempdir().unwrap();
    photo(folder.path().join("a.png"));
    let tar = folder.path().join("data.tar");
    let mut builder = tar::Builder::new(fs::File::create(&tar).unwrap());
    let around = "long".repeat(40);
    builder.append_path_with_name(folder.path().join("a.png"), format!("{around}/cats/a.png")).unwrap();
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Link);
    link.set_size(0);
    builder.append_link(&mut link, format!("{around}/dogs/b.png"), format!("{around}/cats/a.png")).unwrap();
    // What leads out of the archive is not there.
    let mut header = tar::Header::new_gnu();
    header.set_size(0);
    header.as_mut_bytes()[..12].copy_from_slice(b"../../up.png");
    header.set_cksum();
    builder.append(&header, std::io::empty()).unwrap();
    builder.finish().unwrap();
    let data = opened(&tar);
    assert_eq!(data.ids(), ["cats/a.png", "dogs/b.png"]);
    assert_eq!(data.read(0).unwrap().photo, data.read(1).unwrap().photo);
    fs::write(&tar, b"").unwrap();
    assert!(because(open(&tar, &Options::default())).contains("the archive holds no files"));
}

#[test]
fn options_are_read_from_toml() {
    let options: Options =
        toml::from_str("format = 'voc'\nsplit = 'val'\ntruth = 'segmentation'\nduplicates = 'drop'").unwrap();
    let wanted = Options {
        format: Some("voc".into()),
        split: Some("val".into()),
        truth: Some(Truth::Masks),
        duplicates: Some(Duplicates::Drop),
        ..Options::default()
    };
    assert_eq!(options, wanted);
    assert!(toml::from_str::<Options>("splits = 'val'").is_err());
}

#[test]
fn objects_with_masks_beyond_all_memory_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("truth.csv");
    GrayImage::new(3000, 3000).save(folder.path().join("a.png")).unwrap();
    write(&table, &format!("image,class,rle\n{}", "a.png,cat,9000000 0\n".repeat(300)));
    assert!(because(opened(&table).read(0)).contains("300 objects with masks are too many"));
    assert!(matches!(Region::Mask(array![[true]]).corners(), Some([0.0, 0.0, 1.0, 1.0])));
}
