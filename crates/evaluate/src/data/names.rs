//! Names of classes.

use super::files::{Files, broken};
use super::short;
use crate::Error;
use hirescam::core::near;
use std::collections::HashMap;
use std::path::Path;

/// PASCAL VOC's classes; the mask's index of a class is its position here and 1.
pub(crate) const VOC: [&str; 20] = [
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
];

/// Names of classes, to be found by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    list: Vec<String>,
    found: HashMap<String, usize>,
}

impl Names {
    /// Takes the names; two that differ in nothing but case, spaces and signs are refused.
    pub fn new(list: Vec<String>) -> Result<Self, String> {
        let mut found: HashMap<String, usize> = HashMap::new();
        for (index, name) in list.iter().enumerate() {
            if let Some(other) = found.insert(folded(name), index).and_then(|other| list.get(other)) {
                return Err(format!("the classes {other:?} and {name:?} cannot be told apart"));
            }
        }
        Ok(Self { list, found })
    }

    /// The names.
    pub fn list(&self) -> &[String] {
        &self.list
    }

    /// The class of a name, be it written with other case, spaces or signs.
    pub fn find(&self, name: &str) -> Result<usize, String> {
        self.found.get(&folded(name)).copied().ok_or_else(|| {
            let near = near(name, self.list.iter().map(String::as_str));
            let hint = if near.is_empty() { String::new() } else { format!(", near: {}", near.join(", ")) };
            format!("there is no class {:?} among the {} of the data set{hint}", short(name), self.list.len())
        })
    }
}

/// The classes of a list, one a line. A list may begin with what is ignored and with the background, which are no classes.
pub(crate) fn listed(files: &Files, name: &str) -> Result<Names, Error> {
    let mut list = files.lines(name)?;
    for none in ["ignore", "background"] {
        if list.first().is_some_and(|line| folded(line) == none) {
            list.remove(0);
        }
    }
    if list.is_empty() {
        return broken(files.path(name), "the list names no class");
    }
    Names::new(list).or_else(|because| broken(files.path(name), because))
}

/// The classes of a list that is named.
pub(crate) fn listed_at(path: &Path) -> Result<Names, Error> {
    let files = Files::open(path)?;
    match &files.given {
        Some(name) => listed(&files, name),
        None => broken(path.to_owned(), "the names of the classes have to be in a file, one a line"),
    }
}

/// A name by its letters and digits alone: "tv/monitor" and "TV_monitor" are one.
pub(crate) fn folded(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
