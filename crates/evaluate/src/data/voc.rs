//! PASCAL VOC as its development kit lays it out, and the Semantic Boundaries Dataset, which has more masks of its images.
//!
//! Everingham et al. 2010, "The PASCAL Visual Object Classes (VOC) Challenge", IJCV 88(2), and the documentation in the kit;
//! Hariharan et al. 2011, "Semantic Contours from Inverse Detectors", ICCV.

use super::annotation::{Annotated, Annotation, Corners};
use super::example::{Example, Object, Region};
use super::files::{Files, broken};
use super::names::{self, Names, VOC as VOC_NAMES};
use super::options::{Duplicates, Options, Present, Truth};
use super::{DataSet, Format, read};
use crate::Error;
use hirescam::photo::Photo;
use ndarray::{Array2, Zip};
use std::collections::{BTreeMap, BTreeSet, HashSet};

pub(super) const VOC: Format = Format {
    name: "voc",
    title: "PASCAL VOC",
    expects: "a development kit (a folder or its .tar, above it or within): ImageSets/Main or ImageSets/Segmentation with a list for each split, JPEGImages, Annotations, and for masks SegmentationClass",
    takes: &["split", "truth", "present", "class_names", "sbd", "sbd_split", "duplicates"],
    of_file: false,
    recognise: |files| roots(files).is_ok_and(|roots| !roots.is_empty()),
    open: open_voc,
};

pub(super) const SBD: Format = Format {
    name: "sbd",
    title: "Semantic Boundaries Dataset",
    expects: "benchmark_RELEASE/dataset: img, lists for the splits, and the masks as PNG files in cls_png (scripts/sbd_to_png.py makes them of cls)",
    takes: &["split", "class_names", "duplicates"],
    of_file: false,
    recognise: |files| sbd_root(files).is_some(),
    open: open_sbd,
};

/// The mask's index of what belongs to no class for certain.
const VOID: u16 = 255;

/// Images of one origin: names of folders, and which of them are listed.
#[derive(Debug)]
struct Part {
    files: Files,
    photos: &'static str,
    /// Masks of classes and of objects.
    masks: [String; 2],
    annotations: &'static str,
    /// What comes before the images' names.
    mark: &'static str,
    listed: Vec<String>,
}

#[derive(Debug)]
struct Voc {
    title: String,
    names: Names,
    parts: Vec<Part>,
    /// Positions of the part and of the name in it.
    images: Vec<(usize, usize)>,
    ids: Vec<String>,
    truth: Truth,
    present: Present,
    notes: Vec<String>,
}

/// Folders that are laid out as VOC's, here and in what its archives put around them.
fn roots(files: &Files) -> Result<Vec<String>, Error> {
    const AROUND: &[&str] = &["VOC", "TrainVal"];
    let mut found = Vec::new();
    let mut ahead = vec![(String::new(), 0)];
    while let Some((folder, depth)) = ahead.pop() {
        let here = files.within(&folder);
        let sub = |name: &str| here.has_folder(name);
        if sub("JPEGImages")
            && ["ImageSets", "Annotations", "SegmentationClass", "SegmentationClassPNG"].into_iter().any(sub)
        {
            found.push(folder);
        } else if depth < 3 {
            let inner = here.folders("")?.into_iter().filter(|name| AROUND.iter().any(|start| name.starts_with(start)));
            ahead.extend(
                inner.map(|name| (if folder.is_empty() { name } else { format!("{folder}/{name}") }, depth + 1)),
            );
        }
    }
    found.sort();
    Ok(found)
}

fn sbd_root(files: &Files) -> Option<Files> {
    let within = ["", "dataset", "benchmark_RELEASE/dataset"].map(|folder| files.within(folder));
    within.into_iter().find(|f| f.has_folder("img") && (f.has_folder("cls") || f.has_folder("cls_png")))
}

fn open_voc(files: &Files, options: &Options) -> Result<Box<dyn DataSet>, Error> {
    let found = roots(files)?;
    let root = match found.as_slice() {
        [root] => files.within(root),
        [] => return broken(files.path(""), format!("this is not laid out as PASCAL VOC: {}", VOC.expects)),
        several => {
            return broken(
                files.path(""),
                format!("there are several years here, open one of them: {}", several.join(", ")),
            );
        }
    };
    // labelme writes numpy's files into the one and images into the other.
    let folder = |of: &str| {
        let [plain, png] = [format!("Segmentation{of}"), format!("Segmentation{of}PNG")];
        let beside = root.has_folder(&png) && !root.list(&plain)?.iter().any(|name| name.ends_with(".png"));
        Ok::<_, Error>(if beside { png } else { plain })
    };
    let masks = [folder("Class")?, folder("Object")?];
    let [class_masks, _] = &masks;
    let segmentation =
        root.has_folder(class_masks) && (root.has_folder("ImageSets/Segmentation") || !root.has_folder("ImageSets"));
    let truth = options.truth.unwrap_or(if segmentation { Truth::Masks } else { Truth::Boxes });
    let present = match (truth, options.present) {
        (Truth::Boxes, Some(Present::Mask)) => {
            return Err(Error::Argument(
                "where boxes are the truth, annotations say which classes an image shows".into(),
            ));
        }
        (Truth::Boxes, _) => Present::Annotation,
        (Truth::Masks, present) => present.unwrap_or(Present::Mask),
    };
    let mut notes = Vec::new();
    let (split, listed) = if root.has_folder("ImageSets") {
        let lists = match truth {
            Truth::Masks => "ImageSets/Segmentation",
            Truth::Boxes => "ImageSets/Main",
        };
        let split = split(&root, lists, options.split.as_deref(), "val")?;
        let list = format!("{lists}/{split}.txt");
        let listed = first_words(&root, &list)?;
        (format!("split {split}"), listed)
    } else if options.split.is_some() {
        return broken(root.path("ImageSets"), "there are no lists of splits; leave the split open to take all images");
    } else {
        let folder = match truth {
            Truth::Masks => class_masks.as_str(),
            Truth::Boxes => "Annotations",
        };
        let listed: Vec<String> =
            root.list(folder)?.iter().filter_map(|name| Some(name.rsplit_once('.')?.0.to_owned())).collect();
        notes.push(format!(
            "There are no lists of splits (ImageSets): all {} images of {folder} are taken.",
            listed.len()
        ));
        ("all images".to_owned(), listed)
    };
    let names = class_names(&root, options)?;
    let title = format!("{}, {split}, {}, {}", VOC.title, truth.word(), root.path("").display());
    let mut parts =
        vec![Part { files: root, photos: "JPEGImages", masks, annotations: "Annotations", mark: "", listed }];
    if let Some(path) = &options.sbd {
        if truth == Truth::Boxes {
            return Err(Error::Argument("the Semantic Boundaries Dataset has masks and no boxes".into()));
        }
        if present == Present::Annotation {
            return Err(Error::Argument("the Semantic Boundaries Dataset has masks and no annotations".into()));
        }
        parts.push(sbd(&Files::open(path)?, options.sbd_split.as_deref())?.0);
    }
    Ok(Box::new(Voc::new(title, names, parts, truth, present, notes, options)))
}

fn open_sbd(files: &Files, options: &Options) -> Result<Box<dyn DataSet>, Error> {
    let (mut part, split) = sbd(files, options.split.as_deref())?;
    part.mark = "";
    let title = format!("{}, split {split}, masks, {}", SBD.title, part.files.path("").display());
    let names = class_names(&part.files, options)?;
    Ok(Box::new(Voc::new(title, names, vec![part], Truth::Masks, Present::Mask, Vec::new(), options)))
}

fn sbd(files: &Files, wanted: Option<&str>) -> Result<(Part, String), Error> {
    let Some(root) = sbd_root(files) else {
        return broken(files.path(""), format!("this is not laid out as the {}: {}", SBD.title, SBD.expects));
    };
    if !root.has_folder("cls_png") {
        return broken(
            root.path("cls"),
            "these masks are MATLAB files, which are not read here: `python scripts/sbd_to_png.py FOLDER`, with the folder in which cls lies, makes PNG files of them (it needs scipy)",
        );
    }
    let split = split(&root, "", wanted, "train_noval")?;
    let listed = first_words(&root, &format!("{split}.txt"))?;
    let masks = ["cls_png".to_owned(), "inst_png".to_owned()];
    Ok((Part { files: root, photos: "img", masks, annotations: "", mark: "sbd/", listed }, split))
}

/// The split that is asked for, or else the usual one, or the only one.
fn split(files: &Files, folder: &str, wanted: Option<&str>, usual: &str) -> Result<String, Error> {
    let all: Vec<String> =
        files.list(folder)?.iter().filter_map(|n| n.strip_suffix(".txt")).map(str::to_owned).collect();
    // Main has a list for each class beside those of the splits: cat_val beside val.
    let of_class = |name: &String| name.rsplit_once('_').is_some_and(|(_, end)| all.iter().any(|other| other == end));
    let lists: Vec<&String> = all.iter().filter(|name| !CLASS_LISTS.contains(&name.as_str())).collect();
    let splits: Vec<&str> =
        lists.iter().filter(|name| folder.is_empty() || !of_class(name)).map(|name| name.as_str()).collect();
    let wanted_or_usual = wanted.unwrap_or(usual);
    if all.iter().any(|name| name == wanted_or_usual) {
        return Ok(wanted_or_usual.to_owned());
    }
    match (wanted, splits.as_slice()) {
        (None, [only]) => Ok((*only).to_owned()),
        (_, []) => broken(files.path(folder), "there is no list of a split here"),
        (None, several) => {
            broken(files.path(folder), format!("which split is not said; there are: {}", several.join(", ")))
        }
        (Some(name), some) => {
            broken(files.path(folder), format!("there is no split {name:?}; there are: {}", some.join(", ")))
        }
    }
}

/// The first word of each line.
fn first_words(files: &Files, name: &str) -> Result<Vec<String>, Error> {
    let lines = files.lines(name)?;
    let words: Vec<String> =
        lines.iter().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    if words.is_empty() {
        return broken(files.path(name), "the split is empty: its list names no image");
    }
    Ok(words)
}

/// Files that may list the classes.
const CLASS_LISTS: &[&str] = &["class_names", "classes", "labels"];

/// The classes: of the list that is named or lies there, else those that Main has lists of, else VOC's.
fn class_names(root: &Files, options: &Options) -> Result<Names, Error> {
    if let Some(path) = &options.class_names {
        return names::listed_at(path);
    }
    if let Some(name) = CLASS_LISTS.iter().map(|name| format!("{name}.txt")).find(|name| root.has(name)) {
        return names::listed(root, &name);
    }
    let voc = || VOC_NAMES.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let lists: BTreeSet<String> =
        root.list("ImageSets/Main")?.iter().filter_map(|n| n.strip_suffix(".txt")).map(str::to_owned).collect();
    let of_classes: BTreeSet<&str> = lists
        .iter()
        .filter_map(|name| name.rsplit_once('_'))
        .filter(|(_, end)| lists.contains(*end))
        .map(|(class, _)| class)
        .collect();
    let list = if of_classes.iter().all(|class| VOC_NAMES.contains(class)) {
        voc()
    } else {
        of_classes.iter().map(|class| (*class).to_owned()).collect()
    };
    Names::new(list).or_else(|because| broken(root.path("ImageSets/Main"), because))
}

impl Voc {
    fn new(
        title: String,
        names: Names,
        parts: Vec<Part>,
        truth: Truth,
        present: Present,
        mut notes: Vec<String>,
        options: &Options,
    ) -> Self {
        let (mut images, mut ids, mut seen, mut again) = (Vec::new(), Vec::new(), HashSet::new(), 0);
        for (p, part) in parts.iter().enumerate() {
            for (i, name) in part.listed.iter().enumerate() {
                let first = seen.insert(name.clone());
                again += usize::from(!first);
                if first || options.duplicates != Some(Duplicates::Drop) {
                    images.push((p, i));
                    ids.push(format!("{}{name}", part.mark));
                }
            }
        }
        if again > 0 {
            let done = match options.duplicates {
                Some(Duplicates::Drop) => "were left out the second time",
                _ => "count twice (`duplicates` can drop them)",
            };
            notes.push(format!("{again} images come twice and {done}."));
        }
        Self { title, names, parts, images, ids, truth, present, notes }
    }

    fn boxes(&self, part: &Part, name: &str, photo: &Photo) -> Result<Vec<Object>, Error> {
        let file = format!("{}/{name}.xml", part.annotations);
        let annotation = Annotation::read(&part.files, &file)?;
        annotation.same_size(&part.files, &file, photo)?;
        let object = |of: &Annotated| of.object(self.names.find(&of.name)?, Corners::FromOne, photo);
        annotation
            .objects
            .iter()
            .map(object)
            .collect::<Result<_, _>>()
            .or_else(|because| broken(part.files.path(&file), because))
    }

    fn masks(&self, part: &Part, name: &str, photo: &Photo) -> Result<(Vec<Object>, Array2<bool>), Error> {
        let [classes, objects] = part.masks.each_ref().map(|folder| format!("{folder}/{name}.png"));
        let mask = |file: &str| {
            let mask = read::indices(&part.files, file)?;
            read::same_size(&part.files, file, mask.dim(), photo)?;
            Ok::<_, Error>(mask)
        };
        let class_of = mask(&classes)?;
        let known = self.names.list().len();
        if let Some(index) = class_of.iter().find(|i| **i != VOID && usize::from(**i) > known) {
            return broken(
                part.files.path(&classes),
                format!("the mask holds the index {index}, and there are {known} classes"),
            );
        }
        let object_of = if part.files.has(&objects) { mask(&objects)? } else { Array2::zeros(class_of.dim()) };
        let annotation = format!("{}/{name}.xml", part.annotations);
        let annotated =
            if self.present == Present::Annotation || (!part.annotations.is_empty() && part.files.has(&annotation)) {
                let read = Annotation::read(&part.files, &annotation)?;
                read.same_size(&part.files, &annotation, photo)?;
                let named = read.objects.into_iter().map(|o| Ok((self.names.find(&o.name)?, o)));
                named
                    .collect::<Result<Vec<_>, String>>()
                    .or_else(|because| broken(part.files.path(&annotation), because))?
            } else {
                Vec::new()
            };
        // Objects by class and number; number 0 is what the mask of objects leaves open.
        let mut regions: BTreeMap<(u16, u16), usize> = BTreeMap::new();
        Zip::from(&class_of).and(&object_of).for_each(|class, object| {
            if *class != 0 && *class != VOID {
                *regions.entry((*class, if *object == VOID { 0 } else { *object })).or_default() += 1;
            }
        });
        read::affordable(regions.len(), photo).or_else(|because| broken(part.files.path(&objects), because))?;
        let mut found: Vec<Object> = Vec::with_capacity(regions.len());
        for (class, number) in regions.into_keys() {
            let mut region = Array2::from_elem(class_of.dim(), false);
            Zip::from(&mut region).and(&class_of).and(&object_of).for_each(|inside, c, o| {
                *inside = *c == class && (if *o == VOID { 0 } else { *o }) == number;
            });
            let class = usize::from(class) - 1;
            // Objects are numbered as in the annotation; what is not numbered is marked as all of its class are.
            let numbered =
                usize::from(number).checked_sub(1).and_then(|i| annotated.get(i)).filter(|(c, _)| *c == class);
            let of_class = || annotated.iter().filter(|(c, _)| *c == class);
            let marked = |mark: fn(&Annotated) -> bool| match numbered {
                Some((_, object)) => mark(object),
                None => of_class().next().is_some() && of_class().all(|(_, object)| mark(object)),
            };
            found.push(Object {
                difficult: marked(|o| o.difficult),
                truncated: marked(|o| o.truncated),
                ..Object::new(class, Some(Region::Mask(region)))
            });
        }
        if self.present == Present::Annotation {
            let shown: BTreeSet<usize> = found.iter().map(|o| o.class).collect();
            let more = annotated.iter().filter(|(class, _)| !shown.contains(class));
            found.extend(more.map(|(class, o)| Object {
                difficult: o.difficult,
                truncated: o.truncated,
                ..Object::new(*class, None)
            }));
        }
        Ok((found, class_of.mapv(|index| index == VOID)))
    }
}

impl DataSet for Voc {
    fn title(&self) -> String {
        self.title.clone()
    }

    fn classes(&self) -> &[String] {
        self.names.list()
    }

    fn ids(&self) -> &[String] {
        &self.ids
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }

    fn read(&self, index: usize) -> Result<Example, Error> {
        let place = self.images.get(index).and_then(|(p, i)| self.parts.get(*p).map(|part| (part, *i)));
        let found = place.and_then(|(part, i)| Some((part, part.listed.get(i)?)));
        let Some((part, name)) = found else {
            return super::no_image(index, self.ids.len());
        };
        let photo = read::photo_of(&part.files, &format!("{}/{name}", part.photos))?;
        match self.truth {
            Truth::Boxes => Ok(Example { objects: self.boxes(part, name, &photo)?, photo, void: None }),
            Truth::Masks => {
                let (objects, void) = self.masks(part, name, &photo)?;
                Ok(Example { photo, objects, void: Some(void) })
            }
        }
    }
}
