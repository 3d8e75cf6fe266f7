//! An image and what is known of it.

use crate::metrics;
use hirescam::photo::Photo;
use ndarray::Array2;
use std::collections::BTreeSet;

/// An image and what is known of it.
#[derive(Clone, Debug)]
pub struct Example {
    /// The image, as its file has it: truth is given in the pixels of the file, so that it is not turned upright.
    pub photo: Photo,
    /// What it shows.
    pub objects: Vec<Object>,
    /// Pixels of which nothing is known, `[height, width]`: VOC's boundaries. They count neither as object nor as background.
    pub void: Option<Array2<bool>>,
}

/// Something that an image shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Its class, as a position in [`DataSet::classes`](super::DataSet::classes).
    pub class: usize,
    /// Where it lies; none where only the image is labelled.
    pub region: Option<Region>,
    /// VOC's mark for objects that are hard to recognise.
    pub difficult: bool,
    /// Whether parts of it lie outside of the image.
    pub truncated: bool,
    /// Whether it stands for many objects that were not told apart: COCO's crowds.
    pub crowd: bool,
}

impl Object {
    /// An object without marks.
    pub fn new(class: usize, region: Option<Region>) -> Self {
        Self { class, region, difficult: false, truncated: false, crowd: false }
    }
}

/// The places that an object takes up.
#[derive(Clone, Debug, PartialEq)]
pub enum Region {
    /// A rectangle in pixels of the image, the first of which reaches from 0 to 1.
    Rectangle {
        /// Where the columns begin.
        left: f64,
        /// Where the rows begin.
        top: f64,
        /// Where the columns end.
        right: f64,
        /// Where the rows end.
        bottom: f64,
    },
    /// Pixels, `[height, width]` of the image.
    Mask(Array2<bool>),
}

impl Region {
    /// Whether a pixel belongs to it: of a rectangle, whether the pixel's centre lies within.
    pub fn contains(&self, row: usize, column: usize) -> bool {
        match self {
            Region::Rectangle { left, top, right, bottom } => {
                let (y, x) = (row as f64 + 0.5, column as f64 + 0.5);
                *top <= y && y < *bottom && *left <= x && x < *right
            }
            Region::Mask(mask) => mask.get((row, column)) == Some(&true),
        }
    }

    /// `[left, top, right, bottom]` of the rectangle, or of the one around the mask's pixels; none where the mask is empty.
    pub fn corners(&self) -> Option<[f64; 4]> {
        let mask = match self {
            Region::Rectangle { left, top, right, bottom } => return Some([*left, *top, *right, *bottom]),
            Region::Mask(mask) => mask,
        };
        let mut found: Option<[usize; 4]> = None;
        for ((row, column), _) in mask.indexed_iter().filter(|(_, inside)| **inside) {
            let [left, top, right, bottom] = found.unwrap_or([column, row, column, row]);
            found = Some([left.min(column), top.min(row), right.max(column), bottom.max(row)]);
        }
        found.map(|[left, top, right, bottom]| [left, top, right + 1, bottom + 1].map(|at| at as f64))
    }
}

impl Example {
    /// The classes that it shows, as positions in [`DataSet::classes`](super::DataSet::classes).
    pub fn classes(&self) -> BTreeSet<usize> {
        self.objects.iter().map(|o| o.class).collect()
    }

    fn of(&self, class: usize) -> impl Iterator<Item = &Object> {
        self.objects.iter().filter(move |o| o.class == class)
    }

    /// Height and width in pixels.
    pub fn shape(&self) -> (usize, usize) {
        (self.photo.height() as usize, self.photo.width() as usize)
    }

    /// The pixels that objects of the class take up, `[height, width]`: those of their masks, and those whose centre lies in one
    /// of their rectangles. Difficult objects and crowds count. None where it is not known of any of them where it lies.
    pub fn mask(&self, class: usize) -> Option<Array2<bool>> {
        let regions: Vec<&Region> = self.of(class).filter_map(|o| o.region.as_ref()).collect();
        let inside = |row: usize, column: usize| regions.iter().any(|region| region.contains(row, column));
        (!regions.is_empty()).then(|| Array2::from_shape_fn(self.shape(), |(row, column)| inside(row, column)))
    }

    /// `[left, top, right, bottom]` of each object of the class whose place is known, see [`Region::corners`].
    pub fn boxes(&self, class: usize) -> Vec<[f64; 4]> {
        self.of(class).filter_map(|o| o.region.as_ref()?.corners()).collect()
    }

    /// Whether the image counts to the class's *difficult subset* in the pointing game, see
    /// [`metrics::is_difficult`]. None where the class's objects have no regions.
    pub fn is_difficult(&self, class: usize) -> Option<bool> {
        let boxes = self.boxes(class);
        let area: f64 = boxes.iter().map(|[left, top, right, bottom]| (right - left) * (bottom - top)).sum();
        let (height, width) = self.shape();
        let others = self.classes().into_iter().filter(|c| *c != class).count();
        (!boxes.is_empty()).then(|| metrics::is_difficult(area, (height * width) as f64, others))
    }

    /// Whether all objects of the class are marked difficult (VOC's own mark, another thing than the difficult subset): such
    /// an image does not count in the pointing game.
    pub fn all_marked_difficult(&self, class: usize) -> bool {
        self.of(class).next().is_some() && self.of(class).all(|o| o.difficult)
    }

    /// The share of the image's pixels that objects of the class take up, 0 to 1, void pixels among the image's.
    pub fn object_share(&self, class: usize) -> Option<f64> {
        let mask = self.mask(class)?;
        (!mask.is_empty()).then(|| mask.iter().filter(|inside| **inside).count() as f64 / mask.len() as f64)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use hirescam::photo::Photo;
    use ndarray::array;

    fn example(objects: Vec<Object>) -> Example {
        // Four columns, two rows.
        let photo = Photo::from_rgb(image::RgbImage::new(4, 2)).unwrap();
        Example { photo, objects, void: None }
    }

    fn boxed(class: usize, [left, top, right, bottom]: [f64; 4]) -> Object {
        Object::new(class, Some(Region::Rectangle { left, top, right, bottom }))
    }

    #[test]
    fn a_pixel_belongs_to_a_rectangle_if_its_centre_does() {
        // From the middle of column 0 up to, and without, the middle of column 2.
        let mask = example(vec![boxed(0, [0.5, 0.0, 2.5, 1.0])]).mask(0).unwrap();
        assert_eq!(mask, array![[true, true, false, false], [false, false, false, false]]);
        let sliver = example(vec![boxed(0, [0.6, 0.0, 1.4, 2.0])]);
        assert_eq!(sliver.object_share(0), Some(0.0));
        assert_eq!(sliver.boxes(0), [[0.6, 0.0, 1.4, 2.0]]);
    }

    #[test]
    fn masks_and_boxes_of_a_class_are_united() {
        let part = Region::Mask(array![[false, false, false, true], [false, false, false, false]]);
        let objects = vec![boxed(1, [0.0, 0.0, 1.0, 2.0]), Object::new(1, Some(part)), Object::new(0, None)];
        let example = example(objects);
        assert_eq!(example.mask(1).unwrap(), array![[true, false, false, true], [true, false, false, false]]);
        assert_eq!(example.boxes(1), [[0.0, 0.0, 1.0, 2.0], [3.0, 0.0, 4.0, 1.0]]);
        assert_eq!(example.object_share(1), Some(3.0 / 8.0));
        assert_eq!((example.mask(0), example.object_share(0), example.is_difficult(0)), (None, None, None));
        assert_eq!(example.classes().into_iter().collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn the_difficult_subset_is_of_small_objects_beside_other_classes() {
        let small = boxed(0, [0.0, 0.0, 1.0, 1.0]);
        assert_eq!(example(vec![small.clone()]).is_difficult(0), Some(false));
        let beside = example(vec![small.clone(), Object::new(1, None)]);
        assert_eq!(beside.is_difficult(0), Some(true));
        // Two boxes that cover a quarter between them.
        let two = example(vec![small.clone(), small.clone(), Object::new(1, None)]);
        assert_eq!(two.is_difficult(0), Some(false));
    }

    #[test]
    fn only_a_class_whose_objects_are_all_marked_is_marked() {
        let marked = Object { difficult: true, ..boxed(0, [0.0, 0.0, 1.0, 1.0]) };
        assert!(example(vec![marked.clone()]).all_marked_difficult(0));
        assert!(!example(vec![marked.clone(), boxed(0, [0.0, 0.0, 1.0, 1.0])]).all_marked_difficult(0));
        assert!(!example(vec![marked]).all_marked_difficult(1));
    }
}
