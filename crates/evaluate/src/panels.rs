//! Panels for human raters: a photo and two maps of it side by side, so that nobody can tell which is whose.
//!
//! What a rater sees ([`Panel`]s, in `panels.csv` and `panels.json`) is apart from what would tell the arms ([`Key`], in a file of its own
//! that lies outside of the folder). Both arms are drawn by the same rule: colours, size and scale. Which is left is drawn by a
//! seed, over all panels as often the one as the other. Pictures are numbered; they hold no words and no metadata.

use hirescam::explanation::Explanation;
use hirescam::heatmap::Heatmap;
use hirescam::overlay::{Scales, Style, bare, plain};
use hirescam::photo::Photo;
use hirescam::preprocess::Rect;
use hirescam::random::Random;
use hirescam::record::Provenance;
use hirescam::sample::Input;
use hirescam::sink::{png, write};
use hirescam::spec::Picture;
use hirescam::{Error, Explainer, Sample, source};
use image::{Rgb, RgbImage, imageops};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The version of the manifest and the key.
pub const SCHEMA: u32 = 1;

/// The longer side of each picture where nothing is said, in pixels.
const SIDE: u32 = 360;

/// How panels are made.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Draws which arm is left. Whoever has it can tell the arms: it stands in the key alone.
    pub seed: u64,
    /// Whether the two maps of a panel share one scale, or each goes up to its own largest cell. [`Scales::Both`] is refused.
    pub scale: Scales,
    /// What both look like: colours, signed or not, and the longer side of each of the three pictures, which is 360 pixels where nothing
    /// is said. What stands beside a picture of one map is left out.
    pub picture: Picture,
}

impl Default for Plan {
    fn default() -> Self {
        Plan { seed: 0, scale: Scales::Own, picture: Picture::default() }
    }
}

/// One of the two that are rated.
pub struct Arm {
    /// What it is called in the key.
    pub name: String,
    /// What makes its maps.
    pub explainer: Explainer,
}

/// What raters may know of a panel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Panel {
    /// The picture's file: photo, left map, right map.
    pub file: String,
    /// The image's name.
    pub image: String,
    /// The class that both maps explain.
    pub class: String,
}

/// All panels, as raters may know them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Panels {
    /// The version of this form.
    pub schema: u32,
    /// The panels, in the order in which they are numbered.
    pub panels: Vec<Panel>,
}

/// What tells the arms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Key {
    /// The version of this form.
    pub schema: u32,
    /// The version of the program.
    pub version: String,
    /// The seed that drew the sides.
    pub seed: u64,
    /// How colours were scaled.
    pub scale: Scales,
    /// The arms.
    pub arms: Vec<KeyArm>,
    /// The panels, in the order of the manifest.
    pub panels: Vec<KeyPanel>,
    /// Images of which there is no panel, with the reason.
    pub failed: Vec<(String, String)>,
}

/// An arm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KeyArm {
    /// What it is called.
    pub name: String,
    /// What made its maps; none where there are none.
    pub provenance: Option<Provenance>,
}

/// The sides of a panel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KeyPanel {
    /// The picture's file.
    pub file: String,
    /// The image's file.
    pub image: PathBuf,
    /// The arm on the left.
    pub left: String,
    /// The arm on the right.
    pub right: String,
    /// What is proven of the left map.
    pub left_verdict: String,
    /// What is proven of the right map.
    pub right_verdict: String,
    /// Whether the two maps are the same: such a panel says nothing of the arms.
    pub same: bool,
}

/// What is kept of an image until all sides are drawn: photos are read again, for there may be more than fit into memory.
struct Kept {
    file: PathBuf,
    class: String,
    arms: [Drawn; 2],
}

/// A map as it is drawn.
struct Drawn {
    heatmap: Heatmap,
    view: Rect,
    verdict: String,
}

/// Makes the panels of images and writes them into `folder`, which is made if need be: `panel-0001.png` and so on, `panels.csv` and
/// `panels.json`; and what tells the arms to `key`. An image that fails has no panel, and stands in the key with the
/// reason. `each` is told when an image has been explained.
///
/// # Errors
/// [`Error::Argument`] for a plan that cannot be followed, a key within the folder, arms of one name, and where no image has a panel;
/// [`Error::File`] where something cannot be written.
pub fn make(
    plan: &Plan,
    arms: &[Arm; 2],
    files: &[PathBuf],
    folder: &Path,
    key: &Path,
    each: &mut dyn FnMut(&Path, Option<&Error>),
) -> Result<(Panels, Key), Error> {
    check(plan, arms, folder, key)?;
    let (mut kept, mut failed, mut provenance) = (Vec::new(), Vec::new(), [None, None]);
    for file in files {
        match explained(plan, arms, file, &mut provenance) {
            Ok(of_image) => {
                kept.extend(of_image);
                each(file, None);
            }
            Err(error) => {
                failed.push((name(file), error.without(file)));
                each(file, Some(&error));
            }
        }
    }
    if kept.is_empty() {
        return Err(Error::Argument(match failed.first() {
            Some((image, why)) => format!("no image has a panel; the first, {image}: {why}"),
            None => "there are no images to make panels of".into(),
        }));
    }
    let made = |e: std::io::Error| Error::File { path: folder.to_owned(), error: e };
    std::fs::create_dir_all(folder).map_err(made)?;
    let turned = sides(plan.seed, kept.len());
    let digits = kept.len().to_string().len().max(4);
    let (mut panels, mut keys) = (Vec::new(), Vec::new());
    for (i, (kept, turned)) in kept.iter().zip(turned).enumerate() {
        let file = format!("panel-{:0digits$}.png", i + 1);
        write(&folder.join(&file), &png(&drawn(plan, kept, turned)?)?)?;
        let [a, b] = &kept.arms;
        let [first, second] = arms;
        let (left, right) = if turned { ((second, b), (first, a)) } else { ((first, a), (second, b)) };
        keys.push(KeyPanel {
            file: file.clone(),
            image: kept.file.clone(),
            left: left.0.name.clone(),
            right: right.0.name.clone(),
            left_verdict: left.1.verdict.clone(),
            right_verdict: right.1.verdict.clone(),
            same: a.heatmap.values() == b.heatmap.values(),
        });
        panels.push(Panel { file, image: name(&kept.file), class: kept.class.clone() });
    }
    let panels = Panels { schema: SCHEMA, panels };
    let names = arms.iter().zip(provenance);
    let key_content = Key {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION").into(),
        seed: plan.seed,
        scale: plan.scale,
        arms: names.map(|(arm, provenance)| KeyArm { name: arm.name.clone(), provenance }).collect(),
        panels: keys,
        failed,
    };
    write(&folder.join("panels.csv"), &csv_of(&panels)?)?;
    write(&folder.join("panels.json"), &json(&panels)?)?;
    write(key, &json(&key_content)?)?;
    Ok((panels, key_content))
}

fn check(plan: &Plan, arms: &[Arm; 2], folder: &Path, key: &Path) -> Result<(), Error> {
    let [a, b] = arms;
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let why = if plan.scale == Scales::Both {
        "panels have one scale: own or shared".to_owned()
    } else if a.name == b.name {
        format!("both arms are called {:?}: they could not be told apart in the key", a.name)
    } else if absolute(key).starts_with(absolute(folder)) {
        format!("the key {} would lie within the panels' folder, where raters find it", key.display())
    } else {
        return Ok(());
    };
    Err(Error::Argument(why))
}

/// The maps of an image by both arms: a panel for each class.
fn explained(
    plan: &Plan,
    arms: &[Arm; 2],
    file: &Path,
    provenance: &mut [Option<Provenance>; 2],
) -> Result<Vec<Kept>, Error> {
    let (input, _) = source::read(file)?;
    let sample = Sample::new(file.to_string_lossy(), input);
    let [a, b] = arms;
    let (a, b) = (a.explainer.explain_one(sample.clone())?, b.explainer.explain_one(sample)?);
    for (slot, maps) in provenance.iter_mut().zip([&a, &b]) {
        if slot.is_none() {
            *slot = maps.first().map(|map| map.provenance().clone());
        }
    }
    if [&a, &b].iter().any(|explained| explained.methods() * explained.layers() > 1) {
        return Err(Error::Argument("an arm is one method at one layer".into()));
    }
    let (a, b) = (a.maps(), b.maps());
    if a.len() != b.len() || a.iter().zip(b).any(|(a, b)| a.class != b.class) {
        return Err(Error::Argument("the two arms explain other classes of it: name the class".into()));
    }
    let one = |(a, b): (&Explanation, &Explanation)| {
        Ok(Kept { file: file.to_owned(), class: a.name(), arms: [map(plan, a)?, map(plan, b)?] })
    };
    a.iter().zip(b).map(one).collect()
}

fn map(plan: &Plan, explanation: &Explanation) -> Result<Drawn, Error> {
    let (_, view) = explanation.seen().ok_or_else(|| Error::Argument("a tensor has no photo to draw on".into()))?;
    let heatmap = explanation.heatmap()?;
    let heatmap = if plan.picture.signed { heatmap } else { heatmap.rectify() };
    Ok(Drawn { heatmap, view, verdict: explanation.certificate().verdict.to_string() })
}

/// Whether the second arm is left, of each panel: of an even number of panels of exactly half, in an order drawn by the seed (Fisher
/// & Yates 1938). Of an odd number the seed also draws which arm is left once more.
fn sides(seed: u64, panels: usize) -> Vec<bool> {
    let mut random = Random::of_sample(seed, 0);
    let more = random.below(2);
    let mut turned: Vec<bool> = (0..panels).map(|i| (i + more) % 2 == 1).collect();
    for i in (1..panels).rev() {
        turned.swap(i, random.below(i + 1));
    }
    turned
}

/// Pictures of maps of one photo, all drawn by one rule: colours, opacity, `side` pixels on the longer side, and a scale of their own or shared.
/// [`Scales::Both`] stands for scales of their own.
///
/// # Errors
/// Those of [`bare`].
pub fn alike(
    photo: &Photo,
    maps: &[(&Heatmap, Rect)],
    scale: Scales,
    style: &Style,
    side: u32,
) -> Result<Vec<RgbImage>, Error> {
    let largest = maps.iter().map(|(map, _)| map.max().max(-map.min())).fold(0.0, f32::max);
    let rectified = maps.iter().all(|(map, _)| map.is_rectified());
    let range = match scale {
        Scales::Shared if largest > 0.0 => Some((if rectified { 0.0 } else { -largest }, largest)),
        _ => None,
    };
    let style = Style { range, ..style.clone() };
    maps.iter().map(|(map, view)| Ok(bare(photo, *view, map, &style, side)?)).collect()
}

/// Photo, left map, right map.
fn drawn(plan: &Plan, kept: &Kept, turned: bool) -> Result<RgbImage, Error> {
    let (Input::Photo(photo), _) = source::read(&kept.file)? else {
        return Err(Error::Argument("a tensor has no photo to draw on".into()));
    };
    let side = plan.picture.side.unwrap_or(SIDE);
    let maps = kept.arms.each_ref().map(|arm| (&arm.heatmap, arm.view));
    let mut pictures = alike(&photo, &maps, plan.scale, &plan.picture.style()?, side)?;
    if turned {
        pictures.reverse();
    }
    pictures.insert(0, plain(&photo, side)?);
    let (width, height) = pictures.first().map_or((0, 0), RgbImage::dimensions);
    let gap = side.div_ceil(20);
    let mut paper = RgbImage::from_pixel(3 * width + 2 * gap, height, Rgb([255; 3]));
    for (i, picture) in (0..).zip(&pictures) {
        imageops::replace(&mut paper, picture, i64::from(i * (width + gap)), 0);
    }
    Ok(paper)
}

/// A file's name without its folders, which may say what raters shall not know.
fn name(file: &Path) -> String {
    file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned()
}

fn json(content: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut bytes = serde_json::to_vec_pretty(content).map_err(|e| Error::Argument(e.to_string()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn csv_of(panels: &Panels) -> Result<Vec<u8>, Error> {
    let fail = |e: csv::Error| Error::Argument(e.to_string());
    let mut writer = csv::Writer::from_writer(Vec::new());
    panels.panels.iter().try_for_each(|panel| writer.serialize(panel)).map_err(fail)?;
    writer.into_inner().map_err(|e| Error::Argument(e.to_string()))
}
