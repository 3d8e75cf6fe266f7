//! A folder for each class: images that are labelled, and no more is known.

use super::example::{Example, Object};
use super::files::{Files, broken};
use super::options::Options;
use super::{DataSet, Format, read};
use crate::Error;

pub(super) const FOLDERS: Format = Format {
    name: "folders",
    title: "a folder for each class",
    expects: "two folders of images or more, named after their class; around them, a folder for each split if there are several",
    takes: &["split"],
    of_file: false,
    // One folder of images is no classes.
    recognise: |files| root(files, None, 2).is_ok_and(|root| root.is_some()),
    open,
};

struct Folders {
    title: String,
    files: Files,
    classes: Vec<String>,
    ids: Vec<String>,
    class_of: Vec<usize>,
}

/// The folder that holds those of the classes, `least` of them or more.
fn root(files: &Files, split: Option<&str>, least: usize) -> Result<Option<Files>, Error> {
    // There may be thousands, and an empty class is one all the same.
    const TRIED: usize = 20;
    let within = match split {
        Some(split) => vec![split],
        None => vec!["", "val"],
    };
    for root in within.into_iter().map(|folder| files.within(folder)) {
        let mut found = 0;
        for folder in root.folders("")?.iter().take(TRIED) {
            found += usize::from(!images(&root, folder)?.is_empty());
        }
        if found >= least {
            return Ok(Some(root));
        }
    }
    Ok(None)
}

/// The images in a folder.
pub(super) fn images(files: &Files, folder: &str) -> Result<Vec<String>, Error> {
    Ok(files.list(folder)?.into_iter().filter(|name| read::stem(name).is_some()).collect())
}

fn open(files: &Files, options: &Options) -> Result<Box<dyn DataSet>, Error> {
    let Some(root) = root(files, options.split.as_deref(), 1)? else {
        return broken(
            files.path(options.split.as_deref().unwrap_or_default()),
            "there are no folders with images here",
        );
    };
    let classes = root.folders("")?;
    let (mut ids, mut class_of) = (Vec::new(), Vec::new());
    for (class, folder) in classes.iter().enumerate() {
        let images = images(&root, folder)?;
        class_of.extend(images.iter().map(|_| class));
        ids.extend(images.into_iter().map(|name| format!("{folder}/{name}")));
    }
    let title = format!("{}, {}", FOLDERS.title, root.path("").display());
    Ok(Box::new(Folders { title, files: root, classes, ids, class_of }))
}

impl DataSet for Folders {
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
        Ok(Example { photo: read::photo(&self.files, name)?, objects: vec![Object::new(*class, None)], void: None })
    }
}
