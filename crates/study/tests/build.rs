//! Studies of every kind, built and read again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_study::answer::{Choice, Given, Mark};
use hirescam_study::build::build;
use hirescam_study::kinds::Question;
use hirescam_study::manifest::{Expected, Item, Role};
use hirescam_study::plan::Plan;
use hirescam_study::schedule::{Schedule, passed};
use hirescam_study::{Design, Error, Key, Manifest};
use image::RgbImage;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const KINDS: [&str; 5] = ["prefer", "rate", "locate", "reveal", "trust"];

/// A small study on composed scenes. `trust` compares two networks: the second is the same in a file of its own.
fn design(kind: &str) -> Design {
    let second = if kind == "trust" { "again.onnx" } else { "fixtures/scenes/network.onnx" };
    let repeats = usize::from(kind != "reveal");
    let text = format!(
        "title = 'A study'
        seed = 5
        metrics = []
        question = {{ kind = '{kind}' }}
        picture = {{ side = 96 }}
        [[arms]]
        name = 'hirescam'
        model = 'fixtures/scenes/network.onnx'
        spec = {{ engine = {{ name = 'tract' }} }}
        [[arms]]
        name = 'gradcam'
        model = '{second}'
        spec = {{ method = 'gradcam', engine = {{ name = 'tract' }} }}
        [items]
        data = 'fixtures/scenes/VOC2012'
        options = {{ split = 'trainval' }}
        limit = 3
        practice = 1
        checks = 2
        [raters]
        repeats = {repeats}"
    );
    toml::from_str(&text).unwrap()
}

/// The folder that paths are seen from.
fn base(kind: &str, room: &TempDir) -> PathBuf {
    if kind != "trust" {
        return ROOT.into();
    }
    let base = room.path().join("base");
    let scenes = base.join("fixtures/scenes");
    copy(&Path::new(ROOT).join("fixtures/scenes"), &scenes);
    for ending in ["onnx", "toml", "labels.txt"] {
        fs::copy(scenes.join(format!("network.{ending}")), base.join(format!("again.{ending}"))).unwrap();
    }
    base
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        match entry.path() {
            folder if folder.is_dir() => copy(&folder, &to),
            file => drop(fs::copy(file, to).unwrap()),
        }
    }
}

struct Built {
    room: TempDir,
    manifest: Manifest,
    key: Key,
}

impl Built {
    fn of(kind: &str, design: &Design) -> Self {
        let room = tempfile::tempdir().unwrap();
        let base = base(kind, &room);
        let (manifest, key) =
            build(design, &base, &room.path().join("study"), &room.path().join("key.json"), &mut |_| ()).unwrap();
        Built { room, manifest, key }
    }

    fn folder(&self) -> PathBuf {
        self.room.path().join("study")
    }

    fn key_file(&self) -> PathBuf {
        self.room.path().join("key.json")
    }

    fn bytes(&self, file: &str) -> Vec<u8> {
        fs::read(self.folder().join(file)).unwrap()
    }

    fn picture(&self, file: &str) -> RgbImage {
        image::load_from_memory(&self.bytes(file)).unwrap().into_rgb8()
    }

    fn items(&self, role: Role) -> impl Iterator<Item = &Item> {
        self.manifest.items.iter().filter(move |item| item.role == role)
    }
}

/// Types and sizes of a PNG file's chunks.
fn chunks(bytes: &[u8]) -> Vec<(String, usize)> {
    let (mut at, mut found) = (8, Vec::new());
    while at < bytes.len() {
        let length = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        found.push((String::from_utf8(bytes[at + 4..at + 8].to_vec()).unwrap(), length));
        at += 12 + length;
    }
    found
}

#[test]
fn every_kind_is_built_and_opens_again() {
    for kind in KINDS {
        let built = Built::of(kind, &design(kind));
        assert_eq!(Manifest::open(&built.folder()).unwrap(), built.manifest, "{kind}");
        assert_eq!(Key::open(&built.key_file(), &built.manifest).unwrap(), built.key, "{kind}");
        let count = |role| built.items(role).count();
        assert_eq!((count(Role::Counts), count(Role::Practice), count(Role::Check)), (3, 1, 2), "{kind}");
        for item in &built.manifest.items {
            let pictures = match (kind, item.role) {
                ("locate", _) => vec![],
                ("reveal", Role::Check) => vec![20],
                ("reveal", _) => vec![20, 20],
                ("rate", Role::Check) => vec![1],
                _ => vec![1, 1],
            };
            assert_eq!(item.pictures.iter().map(Vec::len).collect::<Vec<_>>(), pictures, "{kind} {:?}", item.role);
            for file in item.pictures.iter().flatten().chain([&item.photo]) {
                assert_eq!(<[u32; 2]>::from(built.picture(file).dimensions()), item.size, "{kind}");
            }
        }
        let shown: BTreeSet<&String> = built.manifest.shown().collect();
        assert!(shown.into_iter().eq(built.manifest.files.keys()), "{kind}");
        // All that lies in the folder is named: its pictures, the manifest and the pre-registration.
        let panels = fs::read_dir(built.folder().join("panels")).unwrap().count();
        assert_eq!((panels, fs::read_dir(built.folder()).unwrap().count()), (built.manifest.files.len(), 3), "{kind}");
        assert!(Schedule::of(&built.manifest).slots() > 0);
        for (item, of_key) in built.manifest.items.iter().zip(&built.key.items) {
            assert_eq!(item.id, of_key.id);
            assert_eq!(of_key.maps.len(), if item.role == Role::Check { 0 } else { 2 }, "{kind}");
        }
    }
}

#[test]
fn files_tell_nothing_but_their_pixels() {
    for kind in ["prefer", "reveal"] {
        let built = Built::of(kind, &design(kind));
        let mut lengths = BTreeSet::new();
        let mut times = BTreeSet::new();
        for file in built.manifest.files.keys() {
            let bytes = built.bytes(file);
            lengths.insert(bytes.len());
            times.insert(fs::metadata(built.folder().join(file)).unwrap().modified().unwrap());
            let mut names: Vec<String> = chunks(&bytes).into_iter().map(|(name, _)| name).collect();
            names.dedup();
            assert_eq!(names, ["IHDR", "IDAT", "paDd", "IEND"]);
            // Nothing that compresses on the way tells a file's own length: what fills it up is noise.
            let (_, filled) = chunks(&bytes).into_iter().find(|(name, _)| name == "paDd").unwrap();
            let noise: BTreeSet<u8> = bytes[bytes.len() - 16 - filled..bytes.len() - 16].iter().copied().collect();
            assert!(noise.len() >= (filled / 8).min(200), "{} kinds of {filled} bytes", noise.len());
            let name = Path::new(file).file_stem().unwrap().to_str().unwrap();
            assert!(name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit()));
        }
        for file in ["manifest.json", Manifest::PREREGISTRATION] {
            times.insert(fs::metadata(built.folder().join(file)).unwrap().modified().unwrap());
        }
        assert_eq!((lengths.len(), times.len()), (1, 1), "{kind}");
        let text = String::from_utf8(built.bytes("manifest.json")).unwrap().to_lowercase();
        assert!(!["hirescam\"", "gradcam", "scenes", "2012_"].iter().any(|word| text.contains(word)));
    }
}

#[test]
fn names_and_places_do_not_depend_on_the_arms() {
    let one = design("prefer");
    let mut other = one.clone();
    other.arms.reverse();
    let (one, other) = (Built::of("prefer", &one), Built::of("prefer", &other));
    let shown = |built: &Built| built.manifest.items.clone();
    assert_eq!(shown(&one), shown(&other));
    assert_eq!(one.manifest.seed, other.manifest.seed);
    let names = |built: &Built| built.key.arms.iter().map(|arm| arm.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&one), names(&other).into_iter().rev().collect::<Vec<_>>());
    for item in one.items(Role::Counts) {
        let [first, second] = [0, 1].map(|arm| item.pictures[arm][0].as_str());
        assert_eq!(one.picture(first), other.picture(second));
        assert_eq!(one.picture(second), other.picture(first));
    }
}

#[test]
fn which_arm_comes_first_is_drawn_by_the_seed() {
    let first = |seed| {
        let mut design = design("locate");
        (design.seed, design.items.limit, design.items.practice, design.items.checks) = (seed, Some(1), 0, 0);
        Built::of("locate", &design).key.arms[0].name.clone()
    };
    let firsts: BTreeSet<String> = (0..8).map(first).collect();
    assert_eq!(firsts.len(), 2);
}

#[test]
fn the_pre_registration_holds_the_hashes_and_does_not_tell_which_arm_is_which() {
    let text_of = |seed: u64| {
        let mut design = design("locate");
        (design.seed, design.hypothesis) = (seed, Some("We expect no difference.".into()));
        let built = Built::of("locate", &design);
        let text = String::from_utf8(built.bytes(Manifest::PREREGISTRATION)).unwrap();
        let sha256 = hirescam::source::hash(&built.folder().join("manifest.json")).unwrap();
        for held in
            [&sha256, &built.manifest.key, &built.manifest.study, "We expect no difference.", "> Mark the {class}."]
        {
            assert!(text.contains(held), "{held}: {text}");
        }
        assert!(!text.contains(&seed.to_string()));
        let arms = text.split("## Arms").nth(1).unwrap().split("## Items").next().unwrap().to_owned();
        (built.key.arms[0].name.clone(), arms)
    };
    let texts: Vec<(String, String)> = (987_654_321..987_654_329).map(text_of).collect();
    assert!(texts.iter().any(|(first, _)| *first != texts[0].0));
    assert!(texts.iter().all(|(_, arms)| *arms == texts[0].1) && texts[0].1.contains("**gradcam**"));
}

#[test]
fn the_same_design_gives_the_same_bytes_but_for_the_studys_name() {
    let [one, other] = [0, 1].map(|_| Built::of("reveal", &design("reveal")));
    assert_ne!(one.manifest.study, other.manifest.study);
    assert_eq!(one.manifest.files, other.manifest.files);
    let bare = |built: &Built, file: PathBuf| {
        let text = fs::read_to_string(file).unwrap();
        text.replace(&built.manifest.study, "STUDY").replace(&built.manifest.key, "KEY")
    };
    for file in [|b: &Built| b.folder().join("manifest.json"), |b: &Built| b.key_file()] {
        assert_eq!(bare(&one, file(&one)), bare(&other, file(&other)));
    }
}

#[test]
fn what_was_changed_or_belongs_elsewhere_is_refused() {
    let built = Built::of("prefer", &design("prefer"));
    let file = built.manifest.files.keys().next().unwrap().clone();
    let path = built.folder().join(&file);
    let bytes = fs::read(&path).unwrap();
    let mut changed = bytes.clone();
    *changed.last_mut().unwrap() ^= 1;
    fs::write(&path, changed).unwrap();
    let said = Manifest::open(&built.folder()).unwrap_err().to_string();
    assert!(said.contains(&file) && said.contains("was changed after the study was built"), "{said}");
    fs::remove_file(&path).unwrap();
    assert!(matches!(Manifest::open(&built.folder()), Err(Error::Damaged { path, .. }) if path.ends_with(&file)));
    fs::write(&path, bytes).unwrap();
    Manifest::open(&built.folder()).unwrap();

    let other = Built::of("prefer", &design("prefer"));
    assert!(matches!(Key::open(&other.key_file(), &built.manifest), Err(Error::WrongKey { .. })));
    let text = fs::read_to_string(built.key_file()).unwrap();
    fs::write(built.key_file(), text.replace("\"same\":false", "\"same\":true")).unwrap();
    let said = Key::open(&built.key_file(), &built.manifest).unwrap_err().to_string();
    assert!(said.contains("was changed after the study was built"), "{said}");

    let manifest = built.folder().join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace(&file, "../key.json")).unwrap();
    assert!(Manifest::open(&built.folder()).unwrap_err().to_string().contains("preregistration.md"));
    fs::remove_file(built.folder().join("preregistration.md")).unwrap();
    assert!(Manifest::open(&built.folder()).unwrap_err().to_string().contains("outside"));
    fs::write(&manifest, &text[..text.len() / 2]).unwrap();
    assert!(matches!(Manifest::open(&built.folder()), Err(Error::Damaged { .. })));
}

#[test]
fn nothing_is_replaced_and_nothing_is_left_of_what_failed() {
    let room = tempfile::tempdir().unwrap();
    let (folder, key) = (room.path().join("study"), room.path().join("key.json"));
    let there = || fs::read_dir(room.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    let built = |design: &Design, folder: &Path, key: &Path| build(design, Path::new(ROOT), folder, key, &mut |_| ());

    let within = built(&design("prefer"), &folder, &folder.join("key.json")).unwrap_err();
    assert!(within.to_string().contains("within the study's folder"), "{within}");
    fs::write(&key, "another key").unwrap();
    let error = built(&design("prefer"), &folder, &key).unwrap_err();
    assert!(matches!(&error, Error::Output { path, .. } if *path == key), "{error}");
    assert_eq!((fs::read_to_string(&key).unwrap().as_str(), there().len()), ("another key", 1));
    fs::remove_file(&key).unwrap();
    fs::create_dir(&folder).unwrap();
    assert!(matches!(built(&design("prefer"), &folder, &key), Err(Error::Output { path, .. }) if path == folder));
    fs::remove_dir(&folder).unwrap();

    let mut few = design("prefer");
    (few.items.practice, few.items.checks) = (60, 0);
    let said = built(&few, &folder, &key).unwrap_err().to_string();
    assert!(said.contains("items.practice and items.checks take 60"), "{said}");
    let mut unknown = design("prefer");
    unknown.arms[1].spec.method = "gradcan".into();
    assert!(built(&unknown, &folder, &key).unwrap_err().to_string().contains("gradcam"));
    assert!(there().is_empty(), "{:?}", there());
}

#[test]
fn an_image_that_is_broken_is_listed_with_the_reason_and_the_others_are_built() {
    let room = tempfile::tempdir().unwrap();
    let photos = room.path().join("photos");
    fs::create_dir(&photos).unwrap();
    for name in ["three", "seven"] {
        fs::copy(format!("{ROOT}/fixtures/photos/{name}.png"), photos.join(format!("{name}.png"))).unwrap();
    }
    fs::write(photos.join("cut.png"), &fs::read(photos.join("seven.png")).unwrap()[..60]).unwrap();
    for file in ["digits-cnn.onnx", "digits-cnn.toml", "digits-cnn.labels.txt"] {
        fs::copy(format!("{ROOT}/fixtures/{file}"), room.path().join(file)).unwrap();
    }
    let mut design = design("rate");
    design.arms.iter_mut().for_each(|arm| arm.model = "digits-cnn.onnx".into());
    design.items = hirescam_study::design::Items { images: vec!["photos".into()], ..Default::default() };
    let (folder, key) = (room.path().join("study"), room.path().join("key.json"));
    let (manifest, made) = build(&design, room.path(), &folder, &key, &mut |_| ()).unwrap();
    let mut shown: Vec<(String, String)> = manifest
        .items
        .iter()
        .zip(&made.items)
        .map(|(i, k)| (i.class.clone(), k.image.to_string_lossy().into_owned()))
        .collect();
    shown.sort();
    assert_eq!(shown, [("3".into(), "photos/three.png".into()), ("7".into(), "photos/seven.png".into())]);
    let [(image, why)] = made.failed.as_slice() else { panic!("{:?}", made.failed) };
    assert!(image == "photos/cut.png" && !why.contains("cut.png"), "{image}: {why}");

    design.items.images = vec!["photos/cut.png".into()];
    let said = build(&design, room.path(), &room.path().join("b"), &room.path().join("b.json"), &mut |_| ())
        .unwrap_err()
        .to_string();
    assert!(said.contains("there is no item") && said.contains("photos/cut.png: "), "{said}");
}

#[test]
fn the_study_of_the_experiment_has_twelve_items_on_which_the_arms_differ() {
    let folder = Path::new(ROOT).join("experiments/study");
    let mut design = Design::open(&folder.join("study.toml")).unwrap();
    design.metrics.clear();
    let room = tempfile::tempdir().unwrap();
    let (manifest, key) =
        build(&design, &folder, &room.path().join("study"), &room.path().join("key.json"), &mut |_| ()).unwrap();
    let counts = |role: Role| manifest.items.iter().filter(|item| item.role == role).count();
    assert_eq!((counts(Role::Counts), counts(Role::Practice), counts(Role::Check)), (12, 2, 2));
    assert!(key.failed.is_empty() && key.items.iter().all(|item| !item.same));
    // The page tells a newcomer how many questions there are.
    let page = fs::read_to_string(format!("{ROOT}/docs/study.md")).unwrap();
    let questions = Schedule::of(&manifest).trials(0).unwrap().len();
    assert!(page.contains(&format!("answer {questions} questions")));
}

#[test]
fn an_image_comes_again_only_when_all_others_have_come() {
    let mut design = design("locate");
    (design.items.limit, design.items.practice, design.items.checks) = (Some(14), 0, 0);
    let built = Built::of("locate", &design);
    let images: Vec<&Path> = built.key.items.iter().map(|item| item.image.as_path()).collect();
    let distinct = images.iter().collect::<BTreeSet<_>>().len();
    assert!(images.len() == 14 && images[..distinct].iter().collect::<BTreeSet<_>>().len() == distinct, "{images:?}");
    let asked: BTreeSet<(&Path, &str)> =
        images.iter().copied().zip(built.manifest.items.iter().map(|item| item.class.as_str())).collect();
    assert_eq!(asked.len(), 14);

    let mut uncovered = self::design("reveal");
    (uncovered.items.limit, uncovered.items.practice, uncovered.items.checks) = (None, 0, 0);
    let built = Built::of("reveal", &uncovered);
    assert_eq!(built.key.items.len(), built.key.items.iter().map(|item| &item.image).collect::<BTreeSet<_>>().len());
}

#[test]
fn classes_that_a_network_lacks_are_passed_over_and_an_image_without_others_is_listed() {
    let mut few = design("locate");
    // Two of the six classes have another name in both networks.
    let labels = ["cross", "plate", "ring", "tile", "star", "triangle"].map(str::to_owned).to_vec();
    few.arms.iter_mut().for_each(|arm| arm.spec.labels = Some(hirescam::spec::LabelsFrom::Names(labels.clone())));
    (few.items.limit, few.items.practice, few.items.checks) = (None, 0, 0);
    let built = Built::of("locate", &few);
    assert!(built.manifest.items.iter().all(|item| !["disc", "square"].contains(&item.class.as_str())));
    let truth: serde_json::Value =
        serde_json::from_slice(&fs::read(format!("{ROOT}/fixtures/scenes/truth.json")).unwrap()).unwrap();
    let lacks = |objects: &serde_json::Value| {
        let mut classes = objects["objects"].as_array().unwrap().iter().map(|object| object["class"].as_str().unwrap());
        classes.all(|class| ["disc", "square"].contains(&class))
    };
    let mut without: Vec<&String> =
        truth.as_object().unwrap().iter().filter(|(_, o)| lacks(o)).map(|(id, _)| id).collect();
    let mut listed: Vec<&String> = built.key.failed.iter().map(|(image, _)| image).collect();
    without.sort();
    listed.sort();
    assert_eq!(listed, without);
}

#[test]
fn a_study_of_which_all_maps_look_alike_is_refused_and_leaves_nothing() {
    for kind in ["prefer", "locate"] {
        let mut twice = design(kind);
        twice.arms[1].spec.method = "hirescam".into();
        let room = tempfile::tempdir().unwrap();
        let (out, key) = (room.path().join("study"), room.path().join("key.json"));
        let refused = build(&twice, Path::new(ROOT), &out, &key, &mut |_| ()).unwrap_err();
        assert!(matches!(&refused, Error::Design(why) if why.contains("there is nothing to compare")), "{refused}");
        assert_eq!(fs::read_dir(room.path()).unwrap().count(), 0);
    }
    let apart = Built::of("prefer", &design("prefer"));
    assert!(apart.key.items.iter().any(|item| !item.same && !item.maps.is_empty()));
    let mut one = design("locate");
    one.arms.truncate(1);
    assert!(Built::of("locate", &one).key.items.iter().all(|item| !item.same));
}

#[test]
fn names_stay_names_in_the_pre_registration() {
    let mut odd = design("locate");
    odd.title = "A\n# study".into();
    odd.hypothesis = Some("<b>None</b> [here](x)".into());
    odd.arms[0].name = "a*b".into();
    let built = Built::of("locate", &odd);
    let registered = String::from_utf8(built.bytes(Manifest::PREREGISTRATION)).unwrap();
    for text in [r"# Pre-registration: A \# study", r"\<b\>None\</b\> \[here\](x)", r"**a\*b**", "says the same: 1."] {
        assert!(registered.contains(text), "{text}\n{registered}");
    }
}

#[test]
fn plan_and_pre_registration_state_one_effect() {
    for kind in KINDS {
        let mut of_kind = design(kind);
        of_kind.assume.simulations = 1;
        of_kind.test.effect = 0.7;
        let built = Built::of(kind, &of_kind);
        let registered = String::from_utf8(built.bytes(Manifest::PREREGISTRATION)).unwrap();
        let planned = Plan::with(&of_kind, 3).unwrap().in_words().join("\n");
        let said =
            planned.lines().find_map(|line| line.strip_prefix("If ")?.split_once(", the study finds")).unwrap().0;
        let said = said.replace("hirescam", "the better arm").replace("gradcam", "the other");
        assert!(registered.contains(&said), "{said}\n{registered}");
    }
}

#[test]
fn uncovering_begins_at_the_maps_largest_cells_and_ends_with_the_whole_photo() {
    let built = Built::of("reveal", &design("reveal"));
    for (item, of_key) in built.manifest.items.iter().zip(&built.key.items).filter(|(item, _)| item.role != Role::Check)
    {
        let photo = built.picture(&item.photo);
        for ((files, shares), map) in item.pictures.iter().zip(&item.uncovered).zip(&of_key.maps) {
            let frames: Vec<RgbImage> = files.iter().map(|file| built.picture(file)).collect();
            assert_eq!((frames.last(), shares.last()), (Some(&photo), Some(&1.0)));
            let cells = map.map.len();
            let mut ranked: Vec<(f32, usize)> = map.map.iter().copied().zip(0..).collect();
            ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
            for (k, (frame, share)) in frames.iter().zip(shares).enumerate().take(frames.len() - 1) {
                let open = ((k + 1) * cells).div_ceil(frames.len());
                // Scenes are square and seen whole: every cell has as many pixels.
                assert!((share - open as f64 / cells as f64).abs() < 1e-9);
                let least = ranked[open - 1].0;
                let [rows, columns] = map.shape;
                for (x, y, pixel) in frame.enumerate_pixels() {
                    let cell = y as usize * rows / frame.height() as usize * columns
                        + x as usize * columns / frame.width() as usize;
                    match map.map[cell] {
                        value if value > least => assert_eq!(pixel, photo.get_pixel(x, y)),
                        value if value < least => assert_eq!(pixel.0, [128; 3]),
                        _ => assert!(pixel == photo.get_pixel(x, y) || pixel.0 == [128; 3]),
                    }
                }
            }
        }
    }
}

#[test]
fn classes_to_choose_from_hold_the_right_one_once_and_none_that_the_image_shows_beside() {
    let built = Built::of("reveal", &design("reveal"));
    let truth: serde_json::Value =
        serde_json::from_slice(&fs::read(format!("{ROOT}/fixtures/scenes/truth.json")).unwrap()).unwrap();
    let mut places = BTreeSet::new();
    for (item, of_key) in built.manifest.items.iter().zip(&built.key.items) {
        assert_eq!(item.options.iter().filter(|option| **option == item.class).count(), 1);
        assert_eq!(item.options.iter().collect::<BTreeSet<_>>().len(), item.options.len());
        places.insert(item.options.iter().position(|option| *option == item.class));
        let shown = truth[of_key.image.to_str().unwrap()]["objects"].as_array().unwrap();
        let shown: BTreeSet<&str> = shown.iter().map(|object| object["class"].as_str().unwrap()).collect();
        assert!(shown.contains(item.class.as_str()));
        assert_eq!(item.options.len(), (6 - shown.len() + 1).min(5));
        assert!(item.options.iter().all(|option| *option == item.class || !shown.contains(option.as_str())));
    }
    assert!(places.len() > 1);
}

#[test]
fn an_attentive_rater_passes_every_check_and_a_careless_one_does_not() {
    for kind in KINDS {
        let built = Built::of(kind, &design(kind));
        let row = Schedule::of(&built.manifest).trials(0).unwrap().to_vec();
        let checks = row.iter().filter(|trial| built.manifest.items[trial.item].role == Role::Check);
        let mut wrong_passes = 0;
        for trial in checks {
            let item = &built.manifest.items[trial.item];
            let first = trial.arms.first() == Some(&0);
            let (right, careless) = match (&built.manifest.question, item.expected.as_ref().unwrap()) {
                (Question::Prefer(_), Expected::Picture(0)) => {
                    let (right, wrong) =
                        if first { (Choice::First, Choice::Second) } else { (Choice::Second, Choice::First) };
                    (Given::Prefer { choice: right }, Given::Prefer { choice: wrong })
                }
                (Question::Trust(_), Expected::Picture(0)) => {
                    let leaning = if first { -2 } else { 2 };
                    (Given::Trust { leaning }, Given::Trust { leaning: -leaning })
                }
                (Question::Rate(_), Expected::AtLeast(5)) => (Given::Rate { points: 5 }, Given::Rate { points: 1 }),
                (Question::Rate(_), Expected::AtMost(1)) => (Given::Rate { points: 1 }, Given::Rate { points: 5 }),
                (Question::Reveal(_), Expected::Class(class)) => {
                    let other = item.options.iter().find(|option| *option != class).unwrap();
                    let given = |class: &String| Given::Reveal { class: class.clone(), steps: 1 };
                    (given(class), given(other))
                }
                (Question::Locate(_), Expected::Within([left, top, right, bottom])) => {
                    let mark = Mark::Box { left: *left, top: *top, right: *right, bottom: *bottom };
                    // The square is white within a dark rim, and nothing else was drawn.
                    let photo = built.picture(&item.photo);
                    let at = |share: f64, of: u32| ((share * f64::from(of)) as u32).min(of - 1);
                    let middle = photo
                        .get_pixel(at((left + right) / 2.0, photo.width()), at((top + bottom) / 2.0, photo.height()));
                    assert_eq!((middle.0, item.class.as_str()), ([255; 3], "white square"));
                    (Given::Locate { mark }, Given::Locate { mark: Mark::Nothing })
                }
                (_, expected) => panic!("{kind}: {expected:?}"),
            };
            for given in [&right, &careless] {
                built.manifest.question.accepts(item, given).unwrap();
            }
            assert_eq!(passed(&built.manifest, trial, &right), Some(true), "{kind}");
            wrong_passes += usize::from(passed(&built.manifest, trial, &careless) == Some(true));
        }
        assert_eq!(wrong_passes, 0, "{kind}");
    }
}

#[test]
fn metrics_of_every_arms_map_stand_in_the_key() {
    let mut with = design("prefer");
    with.metrics = vec!["deletion".into(), "energy-pointing-game".into(), "entropy".into()];
    let built = Built::of("prefer", &with);
    for (item, of_key) in built.manifest.items.iter().zip(&built.key.items) {
        assert_eq!(of_key.metrics.len(), if item.role == Role::Counts { 2 } else { 0 });
        for metrics in &of_key.metrics {
            let names: Vec<&str> = metrics.keys().map(String::as_str).collect();
            assert_eq!(names, ["deletion", "energy-pointing-game", "entropy"]);
        }
    }
}

#[test]
fn a_class_is_the_same_class_in_every_arms_network_whatever_its_number_there() {
    let room = tempfile::tempdir().unwrap();
    let mut turned = design("rate");
    // The same network under labels in another order: what it calls a star is what the first calls a cross or so.
    turned.arms[1].spec.method = "hirescam".into();
    let labels = ["triangle", "star", "square", "ring", "disc", "cross"];
    turned.arms[1].spec.labels = Some(hirescam::spec::LabelsFrom::Names(labels.map(str::to_owned).to_vec()));
    let (_, key) =
        build(&turned, Path::new(ROOT), &room.path().join("study"), &room.path().join("key.json"), &mut |_| ())
            .unwrap();
    let network = hirescam::Network::open(format!("{ROOT}/fixtures/scenes/network.onnx")).unwrap();
    let second = key.arms.iter().position(|arm| arm.name == "gradcam").unwrap();
    let data = hirescam_evaluate::data::open(
        Path::new(&format!("{ROOT}/fixtures/scenes/VOC2012")),
        &hirescam_evaluate::data::Options { split: Some("trainval".into()), ..Default::default() },
    )
    .unwrap();
    for item in key.items.iter().filter(|item| !item.maps.is_empty()) {
        let at = data.ids().iter().position(|id| Path::new(id) == item.image).unwrap();
        let class = |number: usize| hirescam::Spec {
            classes: vec![number.to_string()],
            engine: "tract".into(),
            ..Default::default()
        };
        let score = |number| {
            network
                .explainer(&class(number))
                .unwrap()
                .explain_one(data.read(at).unwrap().photo)
                .unwrap()
                .first()
                .unwrap()
                .score
        };
        assert!((item.maps[1 - second].score - score(item.class)).abs() < 1e-6);
        assert!((item.maps[second].score - score(5 - item.class)).abs() < 1e-6);
    }
}
