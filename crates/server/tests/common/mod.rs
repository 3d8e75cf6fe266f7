//! What the tests share: small studies by hand, databases, and a browser without a screen.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

pub mod browser;
pub mod database;

use hirescam_server::study::{App, Options, Store, Study};
use hirescam_study::answer::{Choice, Given, Mark};
use hirescam_study::design::{Consent, Exclude, Finish, Raters};
use hirescam_study::kinds::{Locate, Prefer, Question, Rate, Reveal, Tool, Trust};
use hirescam_study::manifest::{Expected, Item, Manifest, Role};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::sync::LazyLock;

pub static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| tokio::runtime::Runtime::new().unwrap());

pub fn wait<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.block_on(future)
}

/// How large a study is.
#[derive(Clone, Copy)]
pub struct Size {
    pub items: usize,
    pub practice: usize,
    pub checks: usize,
    pub slots: usize,
}

pub const SMALL: Size = Size { items: 3, practice: 1, checks: 1, slots: 4 };

pub const KINDS: [&str; 8] = ["prefer", "rate", "trust", "point", "box", "brush", "reveal", "typed"];

pub fn question(kind: &str) -> Question {
    let locate = |tool| Question::Locate(Locate { tool, ..Locate::default() });
    match kind {
        "prefer" => Question::Prefer(Prefer::default()),
        "rate" => Question::Rate(Rate::default()),
        "trust" => Question::Trust(Trust::default()),
        "point" => locate(Tool::Point),
        "box" => locate(Tool::Box),
        "brush" => locate(Tool::Brush),
        "reveal" => Question::Reveal(Reveal { steps: 4, options: 3, ..Reveal::default() }),
        "typed" => Question::Reveal(Reveal { steps: 4, options: 0, ..Reveal::default() }),
        other => panic!("{other}"),
    }
}

/// What answers every trial of a kind.
pub fn given(kind: &str) -> Given {
    let locate = |mark| Given::Locate { mark };
    match kind {
        "prefer" => Given::Prefer { choice: Choice::Second },
        "rate" => Given::Rate { points: 4 },
        "trust" => Given::Trust { leaning: -2 },
        "point" => locate(Mark::Point { x: 0.25, y: 0.5 }),
        "box" => locate(Mark::Box { left: 0.25, top: 0.125, right: 0.5, bottom: 0.75 }),
        "brush" => locate(Mark::Brush { radius: 0.03, strokes: vec![vec![[0.1, 0.2], [0.3, 0.4]], vec![[0.5, 0.5]]] }),
        "reveal" => Given::Reveal { class: "cat".into(), steps: 2 },
        "typed" => Given::Reveal { class: "a tabby cat".into(), steps: 3 },
        other => panic!("{other}"),
    }
}

/// The fields that say so.
pub fn fields(kind: &str) -> Vec<(&'static str, String)> {
    let f = |name: &'static str, value: &str| (name, value.to_owned());
    match kind {
        "prefer" => vec![f("choice", "second")],
        "rate" => vec![f("points", "4")],
        "trust" => vec![f("leaning", "-2")],
        "point" => vec![f("x", "25"), f("y", "50")],
        "box" => vec![f("left", "25"), f("top", "12.5"), f("right", "50"), f("bottom", "75")],
        "brush" => vec![f("radius", "3"), f("strokes", "[[[0.1,0.2],[0.3,0.4]],[[0.5,0.5]]]")],
        "reveal" => vec![f("class", "cat"), f("steps", "2")],
        "typed" => vec![f("class", " a tabby cat "), f("steps", "3")],
        other => panic!("{other}"),
    }
}

/// A study by hand, in `folder`.
pub fn make(kind: &str, size: Size, folder: &Path) -> Manifest {
    std::fs::create_dir_all(folder.join("panels")).unwrap();
    let question = question(kind);
    let mut files = BTreeMap::new();
    let mut number = 0u32;
    let mut picture = |colours: [[u8; 3]; 2], share: f64| {
        number += 1;
        let name = format!("panels/{}.png", &hex(&Sha256::digest(number.to_string()))[..16]);
        let bytes = png(colours, share, number);
        files.insert(name.clone(), hex(&Sha256::digest(&bytes)));
        std::fs::write(folder.join(&name), bytes).unwrap();
        name
    };
    let arms = 2;
    let roles = std::iter::repeat_n(Role::Counts, size.items)
        .chain(std::iter::repeat_n(Role::Practice, size.practice))
        .chain(std::iter::repeat_n(Role::Check, size.checks));
    let items = roles.enumerate().map(|(at, role)| {
        let shade = |step: usize| (60 + at * step % 100) as u8;
        let (ground, thing) = ([90, shade(7), 90], [200, 160, shade(5)]);
        let photo = picture([ground, thing], 1.0);
        let pictures: Vec<Vec<String>> = match &question {
            Question::Locate(_) => Vec::new(),
            Question::Reveal(of) => (0..arms)
                .map(|_| {
                    (1..=of.steps).map(|step| picture([ground, thing], f64::from(step) / f64::from(of.steps))).collect()
                })
                .collect(),
            _ => vec![vec![picture([ground, [220, 60, 40]], 1.0)], vec![picture([ground, [40, 60, 220]], 1.0)]],
        };
        let uncovered = match &question {
            Question::Reveal(of) => vec![(1..=of.steps).map(|s| f64::from(s) / f64::from(of.steps)).collect(); arms],
            _ => Vec::new(),
        };
        let expected = (role == Role::Check).then(|| match &question {
            Question::Rate(_) => Expected::AtLeast(4),
            Question::Locate(_) => Expected::Within([0.0, 0.0, 1.0, 1.0]),
            Question::Reveal(_) => Expected::Class("cat".into()),
            _ => Expected::Picture(0),
        });
        Item {
            id: hex(&Sha256::digest(format!("item {at}")))[..8].to_owned(),
            role,
            class: "cat".into(),
            photo,
            size: [240, 180],
            pictures,
            uncovered,
            options: if kind == "reveal" { ["cat", "dog", "bus"].map(String::from).to_vec() } else { Vec::new() },
            expected,
        }
    });
    let items: Vec<Item> = items.collect();
    let conditions = match kind {
        "rate" | "reveal" | "typed" => arms,
        _ => 1,
    };
    assert_eq!(size.slots % conditions, 0);
    let manifest = Manifest {
        schema: 1,
        version: "0".into(),
        study: hex(&Sha256::digest(format!("{kind} {}", folder.display())))[..32].to_owned(),
        title: "Where did the program look?".into(),
        question,
        arms,
        items,
        seed: 7,
        raters: Raters { answers_per_item: size.slots / conditions, repeats: 1, ..Raters::default() },
        exclude: Exclude::default(),
        consent: Consent {
            contact: Some("study@example.org".into()),
            ethics: Some("Approved: 12/2026".into()),
            ..Consent::default()
        },
        finish: Finish {
            code: Some("CODE-1".into()),
            redirect: Some("https://app.prolific.com/submissions/complete?cc=GOOD".into()),
            redirect_failed: Some("https://app.prolific.com/submissions/complete?cc=FAILED".into()),
            ..Finish::default()
        },
        files,
        key: "0".repeat(64),
    };
    std::fs::write(folder.join(Manifest::FILE), serde_json::to_vec_pretty(&manifest).unwrap()).unwrap();
    manifest
}

/// A disc on a ground; of what lies outside of the uncovered share only grey is seen.
fn png(colours: [[u8; 3]; 2], share: f64, number: u32) -> Vec<u8> {
    let [width, height] = [240u32, 180];
    let mut pixels = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let (dx, dy) = (f64::from(x) - 100.0, f64::from(y) - 80.0);
            let inside = dx * dx + dy * dy < 2500.0;
            let shown = (dx * dx + dy * dy).sqrt() < share * 190.0;
            let mut colour = if !shown { [128; 3] } else { colours[usize::from(inside)] };
            // No two pictures are the same.
            if y == 0 && x < 32 {
                colour = [128 + u8::from(number >> x & 1 == 1); 3];
            }
            pixels.extend(colour);
        }
    }
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    bytes
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A study that is served in this process.
pub struct Site {
    pub folder: tempfile::TempDir,
    pub manifest: Manifest,
    pub store: Store,
    pub app: App,
}

pub fn site(kind: &str, options: Options) -> Site {
    let folder = tempfile::tempdir().unwrap();
    let address = hirescam_server::study::store::address_of(&folder.path().join("a b%.sqlite")).unwrap();
    let manifest = make(kind, SMALL, &folder.path().join("study"));
    site_in(folder, manifest, &address, options)
}

pub fn site_in(folder: tempfile::TempDir, manifest: Manifest, address: &str, options: Options) -> Site {
    let store = wait(Store::open(address, &manifest)).unwrap();
    let study = Study::open(&folder.path().join("study")).unwrap();
    let app = App::new(study, store.clone(), options).unwrap();
    Site { folder, manifest, store, app }
}
