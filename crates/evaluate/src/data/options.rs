//! How a data set is read.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How a data set is read. What means nothing to its format is refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The format of the data, where what lies there does not tell it: voc, coco, imagenet, …; docs/datasets.md lists them
    #[cfg_attr(feature = "clap", arg(long = "data-format", value_name = "FORMAT"))]
    pub format: Option<String>,
    /// Which part of the data: train, val, trainval, …; val where nothing is said and there is one
    #[cfg_attr(feature = "clap", arg(long, value_name = "SPLIT"))]
    pub split: Option<String>,
    /// What says where objects lie, where the data have both: masks (VOC's lists of Segmentation) or boxes (of Main)
    #[cfg_attr(feature = "clap", arg(long, value_enum, value_name = "masks|boxes"))]
    pub truth: Option<Truth>,
    /// What says which classes an image shows: its mask, or its annotation too, which knows of objects that have no pixel in
    /// the mask
    #[cfg_attr(feature = "clap", arg(long, value_enum, value_name = "mask|annotation"))]
    pub present: Option<Present>,
    /// Names of the classes, one a line, where the data have no such list of their own
    #[cfg_attr(feature = "clap", arg(long, value_name = "FILE"))]
    pub class_names: Option<PathBuf>,
    /// The folder of the images, where they do not lie beside what names them
    #[cfg_attr(feature = "clap", arg(long, value_name = "FOLDER"))]
    pub images: Option<PathBuf>,
    /// The Semantic Boundaries Dataset, whose images come after VOC's own; its masks have to be PNG files
    /// (scripts/sbd_to_png.py makes them)
    #[cfg_attr(feature = "clap", arg(long, value_name = "FOLDER"))]
    pub sbd: Option<PathBuf>,
    /// Which part of the Semantic Boundaries Dataset; train_noval where nothing is said and there is one
    #[cfg_attr(feature = "clap", arg(long, value_name = "SPLIT", requires = "sbd"))]
    pub sbd_split: Option<String>,
    /// What becomes of images that come twice, as when VOC and the Semantic Boundaries Dataset both have them: keep (where nothing
    /// is said) or drop
    #[cfg_attr(feature = "clap", arg(long, value_enum, value_name = "keep|drop"))]
    pub duplicates: Option<Duplicates>,
}

impl Options {
    /// The names of the fields that are given, but for `format`.
    pub(super) fn given(&self) -> Vec<&'static str> {
        let Options { format: _, split, truth, present, class_names, images, sbd, sbd_split, duplicates } = self;
        let fields = [
            ("split", split.is_some()),
            ("truth", truth.is_some()),
            ("present", present.is_some()),
            ("class_names", class_names.is_some()),
            ("images", images.is_some()),
            ("sbd", sbd.is_some()),
            ("sbd_split", sbd_split.is_some()),
            ("duplicates", duplicates.is_some()),
        ];
        fields.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
    }
}

/// What says where objects lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Truth {
    /// Masks.
    #[cfg_attr(feature = "clap", value(alias = "segmentation"))]
    #[serde(alias = "segmentation")]
    Masks,
    /// Boxes.
    #[cfg_attr(feature = "clap", value(alias = "main"))]
    #[serde(alias = "main")]
    Boxes,
}

impl Truth {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Truth::Masks => "masks",
            Truth::Boxes => "boxes",
        }
    }
}

/// What says which classes an image shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Present {
    /// The indices in its mask.
    Mask,
    /// Its annotation beside the mask.
    Annotation,
}

/// What becomes of images that come twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Duplicates {
    /// They count twice, as with the HiResCAM author's training data.
    Keep,
    /// Only the first counts.
    Drop,
}
