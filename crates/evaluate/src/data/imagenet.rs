//! ImageNet as its challenge lays it out: a folder for each WordNet id, or a flat one with a list; boxes where there are any.
//!
//! Russakovsky et al. 2015, "ImageNet Large Scale Visual Recognition Challenge", IJCV 115(3).

use super::annotation::{Annotated, Annotation, Corners};
use super::example::{Example, Object};
use super::files::{Files, broken};
use super::folders::images;
use super::options::Options;
use super::{DataSet, Format, read, short};
use crate::Error;
use crate::classes::{self, Synset};
use std::collections::{BTreeMap, BTreeSet, HashMap};

pub(super) const IMAGENET: Format = Format {
    name: "imagenet",
    title: "ImageNet",
    expects: "folders named after WordNet ids (n01440764, …), or images with a list beside them (val.txt with `file id` or `file index`, LOC_val_solution.csv); also within Data/CLS-LOC/SPLIT; boxes in Annotations/CLS-LOC/SPLIT or Annotations; names of ids in LOC_synset_mapping.txt or synset_words.txt",
    takes: &["split"],
    of_file: false,
    recognise: |files| layout(files, None).is_ok_and(|found| found.is_some()),
    open,
};

/// Where the images lie, and how one knows what they show.
enum Layout {
    /// In folders of their class.
    Folders(Files),
    /// In one folder, with a list in a file.
    Flat(Files, String),
}

struct ImageNet {
    title: String,
    files: Files,
    photos: Files,
    classes: Vec<String>,
    class_of_id: HashMap<String, usize>,
    ids: Vec<String>,
    class_of: Vec<usize>,
    annotations: Option<String>,
}

fn is_id(name: &str) -> bool {
    classes::wordnet_id(name) == Some(name)
}

fn layout(files: &Files, split: Option<&str>) -> Result<Option<Layout>, Error> {
    let named = split.unwrap_or("val");
    let mut within = vec![format!("ILSVRC/Data/CLS-LOC/{named}"), format!("Data/CLS-LOC/{named}")];
    within.extend([format!("ILSVRC2012_img_{named}"), named.to_owned()]);
    if split.is_none() {
        within.push(String::new());
    }
    for folder in within {
        let photos = files.within(&folder);
        if photos.folders("")?.iter().any(|name| is_id(name)) {
            return Ok(Some(Layout::Folders(photos)));
        }
        if images(&photos, "")?.is_empty() {
            continue;
        }
        let lists = [&format!("LOC_{named}_solution.csv"), &format!("{named}.txt"), &format!("{named}_labels.txt")];
        let devkit = ["ILSVRC2012_validation_ground_truth.txt", "data/ILSVRC2012_validation_ground_truth.txt"];
        let mut lists = lists.into_iter().map(String::as_str).chain(devkit);
        if let Some(list) = lists.find(|list| files.has(list)) {
            return Ok(Some(Layout::Flat(photos, list.to_owned())));
        }
    }
    Ok(None)
}

fn open(files: &Files, options: &Options) -> Result<Box<dyn DataSet>, Error> {
    let split = options.split.as_deref();
    let mut found: Vec<(String, String)> = Vec::new();
    let photos = match layout(files, split)? {
        Some(Layout::Folders(photos)) => {
            for id in photos.folders("")?.into_iter().filter(|name| is_id(name)) {
                found.extend(images(&photos, &id)?.into_iter().map(|name| (format!("{id}/{name}"), id.clone())));
            }
            photos
        }
        Some(Layout::Flat(photos, list)) => {
            found = listed(files, &list, &photos)?;
            photos
        }
        None => {
            return broken(
                files.path(split.unwrap_or_default()),
                format!("this is not laid out as ImageNet: {}", IMAGENET.expects),
            );
        }
    };
    let ids: BTreeSet<String> = found.iter().map(|(_, id)| id.clone()).collect();
    let names = names(files)?;
    let classes = ids.iter().map(|id| names.get(id).map_or(id.clone(), |name| format!("{id} {name}"))).collect();
    let class_of_id: HashMap<String, usize> = ids.into_iter().enumerate().map(|(i, id)| (id, i)).collect();
    let split = split.unwrap_or("val");
    let annotations = ["ILSVRC/Annotations/CLS-LOC", "Annotations/CLS-LOC", "Annotations"];
    let mut annotations = annotations.into_iter().flat_map(|folder| [format!("{folder}/{split}"), folder.to_owned()]);
    let annotations = annotations.find(|folder| files.has_folder(folder));
    let boxes = if annotations.is_some() { "boxes" } else { "no boxes" };
    Ok(Box::new(ImageNet {
        title: format!("{}, {boxes}, {}", IMAGENET.title, photos.path("").display()),
        files: files.clone(),
        photos,
        classes,
        class_of: found.iter().map(|(_, id)| class_of_id.get(id).copied().unwrap_or_default()).collect(),
        class_of_id,
        ids: found.into_iter().map(|(name, _)| name).collect(),
        annotations,
    }))
}

/// Names of WordNet ids: of a file that lies there, and of the challenge's thousand.
fn names(files: &Files) -> Result<BTreeMap<String, String>, Error> {
    let known = classes::imagenet().iter().map(|Synset { id, names }| ((*id).to_owned(), (*names).to_owned()));
    let mut names: BTreeMap<String, String> = known.collect();
    if let Some(list) =
        ["LOC_synset_mapping.txt", "synset_words.txt", "words.txt"].into_iter().find(|list| files.has(list))
    {
        for line in files.lines(list)? {
            if let Some((id, name)) = line.split_once(char::is_whitespace).filter(|(id, _)| is_id(id)) {
                names.insert(id.to_owned(), name.trim().to_owned());
            }
        }
    }
    Ok(names)
}

/// Images and their WordNet ids from a list: `file id`, `file index` (the index among the challenge's ids in order, as Caffe's and
/// Keras's lists count), or as in Kaggle's LOC_val_solution.csv.
fn listed(files: &Files, list: &str, photos: &Files) -> Result<Vec<(String, String)>, Error> {
    let present: BTreeMap<String, String> =
        images(photos, "")?.into_iter().map(|name| (read::stem(&name).unwrap_or(&name).to_owned(), name)).collect();
    let mut found = Vec::new();
    for (i, line) in files.lines(list)?.iter().enumerate() {
        let mut words = line.split([',', ' ', '\t']).filter(|word| !word.is_empty());
        let (Some(name), Some(class)) = (words.next(), words.next()) else {
            return broken(
                files.path(list),
                "each line has to name a file and its class; the development kit's list of lone numbers counts classes in an order of its own, which only its meta.mat tells",
            );
        };
        let id = match class.parse::<usize>() {
            Ok(index) => classes::imagenet().get(index).map(|synset| synset.id),
            Err(_) => Some(class).filter(|class| is_id(class)),
        };
        let name = name.rsplit('/').next().unwrap_or(name);
        match id {
            Some(id) => {
                let stem = read::stem(name).unwrap_or(name);
                // A missing image keeps its name, and is missed when it is read.
                found.push((present.get(stem).cloned().unwrap_or_else(|| name.to_owned()), id.to_owned()));
            }
            // The header of a CSV.
            None if i == 0 && list.ends_with(".csv") => {}
            None => {
                return broken(
                    files.path(list),
                    format!("line {} says {:?}, which is no class of ImageNet", i + 1, short(class)),
                );
            }
        }
    }
    Ok(found)
}

impl ImageNet {
    fn boxes(&self, name: &str, class: usize, photo: &hirescam::photo::Photo) -> Result<Vec<Object>, Error> {
        let stem = read::stem(name).unwrap_or(name);
        let flat = stem.rsplit('/').next().unwrap_or(stem);
        let mut found =
            self.annotations.iter().flat_map(|folder| [format!("{folder}/{stem}.xml"), format!("{folder}/{flat}.xml")]);
        let Some(file) = found.find(|file| self.files.has(file)) else { return Ok(Vec::new()) };
        let annotation = Annotation::read(&self.files, &file)?;
        annotation.same_size(&self.files, &file, photo)?;
        let object = |of: &Annotated| {
            let class = self
                .class_of_id
                .get(&of.name)
                .ok_or_else(|| format!("it names {:?}, of which there are no images", short(&of.name)))?;
            of.object(*class, Corners::FromZero, photo)
        };
        let objects: Result<Vec<Object>, String> = annotation.objects.iter().map(object).collect();
        let objects = objects.or_else(|because| broken(self.files.path(&file), because))?;
        if objects.is_empty() || objects.iter().any(|o| o.class == class) {
            return Ok(objects);
        }
        let class = self.classes.get(class).map_or("", String::as_str);
        broken(self.files.path(&file), format!("the image is of the class {class}, and no box is"))
    }
}

impl DataSet for ImageNet {
    fn title(&self) -> String {
        self.title.clone()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn ids(&self) -> &[String] {
        &self.ids
    }

    fn read(&self, index: usize) -> Result<Example, Error> {
        let Some((name, class)) = self.ids.get(index).zip(self.class_of.get(index)) else {
            return super::no_image(index, self.ids.len());
        };
        let photo = read::photo(&self.photos, name)?;
        let mut objects = self.boxes(name, *class, &photo)?;
        if objects.is_empty() {
            objects.push(Object::new(*class, None));
        }
        Ok(Example { photo, objects, void: None })
    }
}
