//! Where a study's images come from, in the order in which the seed draws them.

use super::blind::shuffle;
use crate::Error;
use crate::design::Items;
use hirescam::photo::Photo;
use hirescam::random::Random;
use hirescam::sample::Input;
use hirescam::source;
use hirescam_evaluate::data::{self, DataSet, Example, Object};
use ndarray::Array2;
use std::path::{Path, PathBuf};

/// Images, with what is known of them.
pub(super) enum Images {
    /// Files of which nothing else is known.
    Files(Vec<PathBuf>),
    /// A data set.
    Data(Box<dyn DataSet>),
}

/// An image.
pub(super) struct Image {
    pub(super) photo: Photo,
    /// What it shows, as far as that is known.
    pub(super) objects: Vec<Object>,
    pub(super) void: Option<Array2<bool>>,
}

impl Images {
    pub(super) fn open(items: &Items, base: &Path) -> Result<Self, Error> {
        let beside = |path: &PathBuf| base.join(path);
        let Some(data) = &items.data else {
            let named: Vec<PathBuf> = items.images.iter().map(beside).collect();
            return Ok(Images::Files(source::files(&named, false)?.files));
        };
        let given = &items.options;
        let options = data::Options {
            class_names: given.class_names.as_ref().map(beside),
            images: given.images.as_ref().map(beside),
            sbd: given.sbd.as_ref().map(beside),
            ..given.clone()
        };
        Ok(Images::Data(data::open(&base.join(data), &options)?))
    }

    /// The positions of all images, in an order drawn by chance.
    pub(super) fn drawn(&self, random: &mut Random) -> Vec<usize> {
        let count = match self {
            Images::Files(files) => files.len(),
            Images::Data(data) => data.ids().len(),
        };
        let mut order: Vec<usize> = (0..count).collect();
        shuffle(&mut order, random);
        order
    }

    /// The names of a data set's classes.
    pub(super) fn classes(&self) -> &[String] {
        match self {
            Images::Files(_) => &[],
            Images::Data(data) => data.classes(),
        }
    }

    /// What the key calls an image: its file as seen from the study's, or its name in the data set.
    pub(super) fn name(&self, at: usize, base: &Path) -> PathBuf {
        match self {
            Images::Files(files) => {
                let file = files.get(at).cloned().unwrap_or_default();
                file.strip_prefix(base).map(Path::to_owned).unwrap_or(file)
            }
            Images::Data(data) => data.ids().get(at).cloned().unwrap_or_default().into(),
        }
    }

    /// Reads an image.
    pub(super) fn read(&self, at: usize) -> Result<Image, Error> {
        match self {
            Images::Files(files) => match source::read(files.get(at).map_or(Path::new(""), PathBuf::as_path))?.0 {
                Input::Photo(photo) => Ok(Image { photo, objects: Vec::new(), void: None }),
                _ => Err(hirescam::Error::Argument("a tensor is no photo that raters could see".into()).into()),
            },
            Images::Data(data) => {
                let Example { photo, objects, void } = data.read(at)?;
                Ok(Image { photo, objects, void })
            }
        }
    }
}
