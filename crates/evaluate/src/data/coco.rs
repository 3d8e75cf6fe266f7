//! COCO's instances: one JSON file for all images.
//!
//! Lin et al. 2014, "Microsoft COCO: Common Objects in Context", ECCV, and the format at cocodataset.org.

use super::annotation::rectangle;
use super::example::{Example, Object, Region};
use super::files::{Files, broken};
use super::options::{Options, Truth};
use super::{DataSet, Format, polygon, read, rle};
use crate::Error;
use hirescam::photo::Photo;
use ndarray::Array2;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::HashMap;
use std::path::Path;

pub(super) const COCO: Format = Format {
    name: "coco",
    title: "COCO",
    expects: "an instances file (annotations/instances_SPLIT.json, or the file itself), and the images in SPLIT, images/SPLIT or images",
    takes: &["split", "truth", "images"],
    of_file: true,
    recognise: |files| instances(files).is_ok_and(|found| !found.is_empty()),
    open,
};

#[derive(Deserialize)]
struct Instances {
    images: Vec<Image>,
    #[serde(default)]
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(untagged)]
enum Id {
    Number(i64),
    Text(String),
}

#[derive(Deserialize)]
struct Image {
    id: Id,
    file_name: String,
    width: Option<u32>,
    height: Option<u32>,
}

#[derive(Deserialize)]
struct Category {
    id: i64,
    name: String,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: Id,
    category_id: i64,
    #[serde(default)]
    bbox: Corner,
    #[serde(default)]
    segmentation: Segmentation,
    #[serde(default)]
    iscrowd: Flag,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Flag {
    Number(f64),
    Is(bool),
    None(()),
}

impl Default for Flag {
    fn default() -> Self {
        Flag::None(())
    }
}

/// `[x, y, width, height]`. What is something else is an error of its image, and not of the whole file.
#[derive(Deserialize)]
#[serde(untagged)]
enum Corner {
    Given([f64; 4]),
    None(()),
    Other(IgnoredAny),
}

impl Default for Corner {
    fn default() -> Self {
        Corner::None(())
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Segmentation {
    Polygons(Vec<Vec<f64>>),
    Rle { size: [usize; 2], counts: Counts },
    None(()),
    Other(IgnoredAny),
}

impl Default for Segmentation {
    fn default() -> Self {
        Segmentation::None(())
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Counts {
    List(Vec<u64>),
    Text(String),
}

struct Coco {
    title: String,
    instances: Files,
    instances_name: String,
    photos: Files,
    classes: Vec<String>,
    class_of: HashMap<i64, usize>,
    ids: Vec<String>,
    images: Vec<Image>,
    /// By image.
    annotations: Vec<Vec<Annotation>>,
    truth: Truth,
    notes: Vec<String>,
}

/// Instances files: name, and the split that they are of.
fn instances(files: &Files) -> Result<Vec<(String, String)>, Error> {
    if let Some(given) = &files.given {
        let json = Path::new(given).extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
        return Ok(if json { vec![(given.clone(), given.clone())] } else { Vec::new() });
    }
    let mut found = Vec::new();
    for folder in ["annotations", ""] {
        for name in files.list(folder)? {
            let Some(split) = name.strip_suffix(".json").and_then(|stem| stem.strip_prefix("instances")) else {
                continue;
            };
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            found.push((path, split.trim_start_matches('_').to_owned()));
        }
    }
    let whole = ["annotations.json", "_annotations.coco.json"].map(str::to_owned);
    found.extend(whole.into_iter().filter(|name| files.has(name)).map(|name| (name.clone(), name)));
    if found.is_empty() {
        // As Roboflow exports: a folder for each split, with its file inside.
        let folders = files.folders("")?.into_iter().map(|split| (format!("{split}/_annotations.coco.json"), split));
        found.extend(folders.filter(|(path, _)| files.has(path)));
    }
    Ok(found)
}

fn open(files: &Files, options: &Options) -> Result<Box<dyn DataSet>, Error> {
    let all = instances(files)?;
    let name = choose(files, &all, options.split.as_deref())?;
    let path = files.path(&name);
    let parsed: Result<Instances, _> = serde_json::from_reader(files.reader(&name)?);
    let Instances { mut images, annotations, categories } =
        parsed.or_else(|e| broken(path.clone(), format!("this is no instances file of COCO: {e}")))?;

    let mut categories: Vec<(i64, String)> = categories.into_iter().map(|c| (c.id, c.name)).collect();
    categories.sort();
    let class_of: HashMap<i64, usize> = categories.iter().enumerate().map(|(i, (id, _))| (*id, i)).collect();
    if class_of.len() < categories.len() {
        return broken(path, "two categories have the same id");
    }
    let classes = categories.into_iter().map(|(_, name)| name).collect();
    images.sort_by(|a, b| a.file_name.cmp(&b.file_name));
    let image_of: HashMap<Id, usize> = images.iter().enumerate().map(|(i, image)| (image.id.clone(), i)).collect();
    if image_of.len() < images.len() {
        return broken(path, "two images have the same id");
    }
    let mut by_image: Vec<Vec<Annotation>> = images.iter().map(|_| Vec::new()).collect();
    let mut astray = 0;
    for annotation in annotations {
        match image_of.get(&annotation.image_id).and_then(|i| by_image.get_mut(*i)) {
            Some(list) => list.push(annotation),
            None => astray += 1,
        }
    }
    let notes = if astray > 0 {
        vec![format!("{astray} annotations are of images that the file does not list, and are left out.")]
    } else {
        Vec::new()
    };
    let truth = options.truth.unwrap_or(Truth::Masks);
    let title = format!("{}, {}, {}", COCO.title, truth.word(), path.display());
    let photos = photos(files, &name, &images, options)?;
    Ok(Box::new(Coco {
        title,
        instances: files.clone(),
        instances_name: name,
        photos,
        classes,
        class_of,
        ids: images.iter().map(|image| image.file_name.clone()).collect(),
        images,
        annotations: by_image,
        truth,
        notes,
    }))
}

fn choose(files: &Files, all: &[(String, String)], split: Option<&str>) -> Result<String, Error> {
    let same = |found: &str, wanted: &str| {
        // val stands for val2017, too.
        found.strip_prefix(wanted).is_some_and(|year| year.chars().all(|c| c.is_ascii_digit()))
    };
    let of =
        |wanted: &str| all.iter().filter(|(_, found)| same(found, wanted)).map(|(name, _)| name).collect::<Vec<_>>();
    let splits = || all.iter().map(|(_, split)| split.as_str()).collect::<Vec<_>>().join(", ");
    match (split.map(of), all) {
        (_, []) => broken(files.path(""), format!("this is not laid out as COCO: {}", COCO.expects)),
        (Some(found), _) => match (found.as_slice(), split) {
            ([name], _) => Ok((*name).clone()),
            ([], wanted) => broken(
                files.path(""),
                format!("there is no split {:?}; there are: {}", wanted.unwrap_or_default(), splits()),
            ),
            (_, wanted) => {
                broken(files.path(""), format!("{:?} can be several splits: {}", wanted.unwrap_or_default(), splits()))
            }
        },
        (None, [(only, _)]) => Ok(only.clone()),
        (None, _) => match of("val").as_slice() {
            [name] => Ok((*name).clone()),
            _ => broken(files.path(""), format!("which split is not said; there are: {}", splits())),
        },
    }
}

/// Where the images lie: tried with the first of them, for some may be missing.
fn photos(files: &Files, instances: &str, images: &[Image], options: &Options) -> Result<Files, Error> {
    const TRIED: usize = 100;
    if let Some(folder) = &options.images {
        return Files::open(folder);
    }
    let stem = Path::new(instances).file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let split = stem.strip_prefix("instances_").unwrap_or(&stem).to_owned();
    let beside = Path::new(instances).parent().map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
    let mut roots = vec![files.clone()];
    // The file itself was named: its folder, and the one above.
    if files.given.is_some() && !files.in_tar() {
        roots.extend(std::fs::canonicalize(files.path("")).ok().and_then(|f| Files::open(f.parent()?).ok()));
    }
    let within = [format!("images/{split}"), split, "images".to_owned(), String::new(), beside];
    for root in &roots {
        for folder in within.iter().map(|folder| root.within(folder)) {
            if images.iter().take(TRIED).any(|image| folder.has(&image.file_name)) {
                return Ok(folder);
            }
        }
    }
    let tried: Vec<String> = within.iter().map(|folder| format!("{folder:?}")).collect();
    match images.first() {
        Some(image) => broken(
            files.path(instances),
            format!("the images are not there: {} was looked for in the folders {}", image.file_name, tried.join(", ")),
        ),
        None => broken(files.path(instances), "the file lists no images"),
    }
}

impl Coco {
    fn object(&self, annotation: &Annotation, photo: &Photo) -> Result<Object, String> {
        let class = self.class_of.get(&annotation.category_id).copied();
        let class = class.ok_or_else(|| format!("there is no category {}", annotation.category_id))?;
        let (height, width) = (photo.height() as usize, photo.width() as usize);
        let mask = match (&annotation.segmentation, self.truth) {
            (_, Truth::Boxes) | (Segmentation::None(()), _) => None,
            (Segmentation::Polygons(polygons), _) if polygons.is_empty() => None,
            (Segmentation::Polygons(polygons), _) => {
                let mut mask = Array2::from_elem((height, width), false);
                polygons.iter().try_for_each(|corners| polygon::fill(corners, &mut mask))?;
                Some(mask)
            }
            (Segmentation::Rle { size, .. }, _) if *size != [height, width] => {
                let [h, w] = size;
                return Err(format!("a mask has {w}×{h} pixels (width × height), its image {width}×{height}"));
            }
            (Segmentation::Rle { counts: Counts::List(counts), .. }, _) => Some(rle::mask(counts, height, width)?),
            (Segmentation::Rle { counts: Counts::Text(text), .. }, _) => {
                Some(rle::mask(&rle::counts(text)?, height, width)?)
            }
            (Segmentation::Other(_), _) => return Err("a segmentation is neither polygons nor run lengths".into()),
        };
        let region = match (mask, &annotation.bbox) {
            (Some(mask), _) => Some(Region::Mask(mask)),
            (None, Corner::Given([x, y, w, h])) => Some(rectangle([*x, *y, x + w, y + h], photo)?),
            (None, Corner::None(())) => None,
            (None, Corner::Other(_)) => return Err("a box is not [x, y, width, height]".into()),
        };
        let crowd = match annotation.iscrowd {
            Flag::Number(number) => number != 0.0,
            Flag::Is(crowd) => crowd,
            Flag::None(()) => false,
        };
        Ok(Object { crowd, ..Object::new(class, region) })
    }
}

impl DataSet for Coco {
    fn title(&self) -> String {
        self.title.clone()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn ids(&self) -> &[String] {
        &self.ids
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }

    fn read(&self, index: usize) -> Result<Example, Error> {
        let Some((image, annotations)) = self.images.get(index).zip(self.annotations.get(index)) else {
            return super::no_image(index, self.ids.len());
        };
        let photo = read::photo(&self.photos, &image.file_name)?;
        let of_image = |because: String| Error::Data {
            path: self.instances.path(&self.instances_name),
            because: format!("image {}: {because}", image.file_name),
        };
        if let (Some(w), Some(h)) = (image.width, image.height)
            && (w, h) != (photo.width(), photo.height())
        {
            let (width, height) = (photo.width(), photo.height());
            return Err(of_image(format!(
                "it is listed with {w}×{h} pixels (width × height), and its file has {width}×{height}"
            )));
        }
        read::affordable(annotations.len(), &photo).map_err(of_image)?;
        let objects = annotations.iter().map(|a| self.object(a, &photo)).collect::<Result<_, _>>().map_err(of_image)?;
        Ok(Example { photo, objects, void: None })
    }
}
