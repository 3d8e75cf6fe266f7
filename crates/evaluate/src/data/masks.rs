//! A folder of images beside a folder of masks.

use super::example::{Example, Object, Region};
use super::files::{Files, broken};
use super::folders::images;
use super::names;
use super::options::Options;
use super::{DataSet, Format, read};
use crate::Error;
use hirescam::photo::Photo;
use ndarray::Array2;
use std::collections::BTreeSet;

pub(super) const MASKS: Format = Format {
    name: "masks",
    title: "images and masks",
    expects: "images and masks, two folders; a mask is called as its image (NAME.png), or lies in masks/CLASS. With classes.txt a mask holds indices of classes, without it what is not zero is the object",
    takes: &["split", "class_names"],
    of_file: false,
    recognise: |files| files.has_folder("images") && files.has_folder("masks"),
    open,
};

/// The index of what belongs to no class for certain, where no class has it.
const VOID: u16 = 255;

struct Masks {
    title: String,
    files: Files,
    classes: Vec<String>,
    kind: Kind,
    images: String,
    masks: String,
    names: Vec<String>,
    ids: Vec<String>,
    notes: Vec<String>,
}

enum Kind {
    /// What is not zero is the one class.
    Binary,
    /// Each mask holds indices; the first class has 1.
    Indices,
    /// A folder of binary masks for each class.
    Folders,
}

fn open(files: &Files, options: &Options) -> Result<Box<dyn DataSet>, Error> {
    let [images_at, masks_at] = ["images", "masks"].map(|folder| match &options.split {
        Some(split) => format!("{folder}/{split}"),
        None => folder.to_owned(),
    });
    for folder in [&images_at, &masks_at] {
        if !files.has_folder(folder) {
            return broken(files.path(folder), "there is no such folder");
        }
    }
    let of_classes = files.folders(&masks_at)?;
    let list = match &options.class_names {
        Some(path) => Some(names::listed_at(path)?),
        None => {
            let lists = ["classes.txt", "class_names.txt"].into_iter().find(|name| files.has(name));
            lists.map(|name| names::listed(files, name)).transpose()?
        }
    };
    let mut notes = Vec::new();
    let (classes, kind) = if !of_classes.is_empty() {
        (of_classes, Kind::Folders)
    } else if let Some(names) = list {
        (names.list().to_vec(), Kind::Indices)
    } else {
        notes.push("There is no classes.txt: what is not zero in a mask is the one class, object.".to_owned());
        (vec!["object".to_owned()], Kind::Binary)
    };
    let names = images(files, &images_at)?;
    let title = format!("{}, {}", MASKS.title, files.path("").display());
    let ids = names.iter().map(|name| read::stem(name).unwrap_or(name).to_owned()).collect();
    Ok(Box::new(Masks {
        title,
        files: files.clone(),
        classes,
        kind,
        images: images_at,
        masks: masks_at,
        names,
        ids,
        notes,
    }))
}

impl Masks {
    /// The file of a mask in a folder.
    fn find(&self, folder: &str, id: &str) -> Option<String> {
        read::IMAGES.iter().map(|ending| format!("{folder}/{id}.{ending}")).find(|name| self.files.has(name))
    }

    fn binary(&self, name: &str, class: usize, photo: &Photo) -> Result<Option<Object>, Error> {
        let mask = read::nonzero(&self.files, name)?;
        read::same_size(&self.files, name, mask.dim(), photo)?;
        let shown = mask.iter().any(|inside| *inside);
        Ok(shown.then(|| Object::new(class, Some(Region::Mask(mask)))))
    }

    fn indices(&self, name: &str, photo: &Photo) -> Result<(Vec<Object>, Array2<bool>), Error> {
        let mask = read::indices(&self.files, name)?;
        read::same_size(&self.files, name, mask.dim(), photo)?;
        let class_of = |index: u16| usize::from(index).checked_sub(1).filter(|c| *c < self.classes.len());
        let mut found: BTreeSet<u16> = mask.iter().copied().filter(|index| *index != 0).collect();
        let void = class_of(VOID).is_none() && found.remove(&VOID);
        read::affordable(found.len(), photo).or_else(|because| broken(self.files.path(name), because))?;
        let mut objects = Vec::with_capacity(found.len());
        for index in found {
            let Some(class) = class_of(index) else {
                let known = self.classes.len();
                return broken(
                    self.files.path(name),
                    format!("the mask holds the index {index}, and there are {known} classes"),
                );
            };
            objects.push(Object::new(class, Some(Region::Mask(mask.mapv(|i| i == index)))));
        }
        Ok((objects, mask.mapv(|index| void && index == VOID)))
    }
}

impl DataSet for Masks {
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
        let Some((name, id)) = self.names.get(index).zip(self.ids.get(index)) else {
            return super::no_image(index, self.ids.len());
        };
        let photo = read::photo(&self.files, &format!("{}/{name}", self.images))?;
        if let Kind::Folders = self.kind {
            let mut objects = Vec::new();
            for (class, folder) in self.classes.iter().enumerate() {
                if let Some(name) = self.find(&format!("{}/{folder}", self.masks), id) {
                    objects.extend(self.binary(&name, class, &photo)?);
                }
            }
            return Ok(Example { photo, objects, void: None });
        }
        let Some(name) = self.find(&self.masks, id) else {
            return broken(self.files.path(&format!("{}/{id}.png", self.masks)), "there is no mask for this image");
        };
        match self.kind {
            Kind::Indices => {
                let (objects, void) = self.indices(&name, &photo)?;
                Ok(Example { photo, objects, void: Some(void) })
            }
            _ => Ok(Example { objects: self.binary(&name, 0, &photo)?.into_iter().collect(), photo, void: None }),
        }
    }
}
