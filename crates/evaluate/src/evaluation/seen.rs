//! The part of an image that the network saw, and what is there.

use crate::Error;
use crate::data::{Example, Object, Region};
use crate::metrics::is_difficult;
use hirescam::heatmap::Heatmap;
use hirescam::preprocess::Rect;
use ndarray::{Array2, ArrayD};
use std::collections::BTreeSet;
use std::ops::Range;

/// The pixels of a data set's image that the network saw: those whose centres lie in the part that it was shown.
///
/// What lies beyond is not measured, neither maps nor objects.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    view: Rect,
    rows: Range<usize>,
    columns: Range<usize>,
}

/// What an image shows of a class.
#[derive(Clone, Debug)]
pub(super) struct Truth {
    /// The class, as the data set counts them.
    pub(super) class: usize,
    /// The share of the whole image that its objects take up, void pixels aside; none where no place is known.
    pub(super) share: Option<f64>,
    /// Whether the image is one of the class's difficult ones in the pointing game; none where no place is known.
    pub(super) difficult: Option<bool>,
    /// Whether all its objects bear the data set's own mark for difficult ones.
    pub(super) all_marked: bool,
    /// Where its objects lie among the pixels that the network saw; none where no place is known.
    pub(super) object: Option<ArrayD<bool>>,
    /// Pixels among these of which nothing is known.
    pub(super) void: Option<ArrayD<bool>>,
}

impl Seen {
    pub(super) fn new(view: Rect, [height, width]: [usize; 2]) -> Self {
        // The centre of the pixel i lies at i + ½.
        let within = |start: f64, length: f64, of: usize| {
            let first = (start - 0.5).ceil().max(0.0) as usize;
            let end = (start + length - 0.5).ceil().max(0.0) as usize;
            first.min(of)..end.min(of)
        };
        Seen { view, rows: within(view.y, view.height, height), columns: within(view.x, view.width, width) }
    }

    /// How many pixels there are along each axis.
    fn size(&self) -> [usize; 2] {
        [self.rows.len(), self.columns.len()]
    }

    /// A map on the pixels that the network saw, interpolated linearly between the centres of its cells.
    pub(super) fn map(&self, heatmap: &Heatmap) -> Result<ArrayD<f64>, Error> {
        let Rect { x, y, width, height } = self.view;
        // Where the pixels are evenly spaced over the whole view, resizing does the same, and faster.
        let [rows, columns] = self.size();
        let whole =
            |start: f64, length: f64, range: &Range<usize>| range.start as f64 == start && range.len() as f64 == length;
        if whole(y, height, &self.rows) && whole(x, width, &self.columns) {
            let resized = heatmap.clone().resize(rows, columns).map_err(hirescam::Error::from)?;
            return Ok(resized.into_values().mapv(f64::from).into_dyn());
        }
        let at = |(row, column): (usize, usize)| {
            let down = ((self.rows.start + row) as f64 + 0.5 - y) / height;
            let across = ((self.columns.start + column) as f64 + 0.5 - x) / width;
            f64::from(heatmap.at(down, across))
        };
        Ok(Array2::from_shape_fn((rows, columns), at).into_dyn())
    }

    /// What the image shows, class by class.
    ///
    /// Crowds, which were not told apart, are no objects: their pixels count for neither side, and a class of which there are only crowds
    /// has no place. Where some of a class's objects have a place, these are its places.
    pub(super) fn truths(&self, example: &Example, size: [usize; 2]) -> Vec<Truth> {
        let classes: BTreeSet<usize> = example.objects.iter().map(|object| object.class).collect();
        let crowds: Vec<&Region> =
            example.objects.iter().filter(|o| o.crowd).filter_map(|o| o.region.as_ref()).collect();
        let truth = |&class: &usize| {
            let own: Vec<&Object> = example.objects.iter().filter(|o| o.class == class && !o.crowd).collect();
            let regions: Vec<&Region> = own.iter().filter_map(|o| o.region.as_ref()).collect();
            let placed = !regions.is_empty();
            let whole = Array2::from_shape_fn((size[0], size[1]), |at| regions.iter().any(|r| r.holds(at)));
            let is_void = |at: (usize, usize)| {
                let void = example.void.as_ref().and_then(|void| void.get(at)).copied().unwrap_or(false);
                let object = whole.get(at).copied().unwrap_or(false);
                void || (!object && crowds.iter().any(|r| r.holds(at)))
            };
            let crop = |at: (usize, usize)| (at.0 + self.rows.start, at.1 + self.columns.start);
            let [rows, columns] = self.size();
            let has_void = example.void.is_some() || !crowds.is_empty();
            let void = has_void.then(|| Array2::from_shape_fn((rows, columns), |at| is_void(crop(at))).into_dyn());
            let pixels = whole.indexed_iter().filter(|(at, inside)| **inside && !is_void(*at)).count();
            let image = (size[0] * size[1]) as f64;
            let boxes: f64 = regions.iter().map(|r| r.box_area()).sum();
            Truth {
                class,
                share: placed.then(|| pixels as f64 / image),
                difficult: placed.then(|| is_difficult(boxes, image, classes.len().saturating_sub(1))),
                all_marked: !own.is_empty() && own.iter().all(|o| o.difficult),
                object: placed.then(|| {
                    let inside = |at| whole.get(crop(at)).copied().unwrap_or(false);
                    Array2::from_shape_fn((rows, columns), inside).into_dyn()
                }),
                void,
            }
        };
        classes.iter().map(truth).collect()
    }
}

impl Region {
    /// Whether the centre of a pixel lies within.
    pub(super) fn holds(&self, (row, column): (usize, usize)) -> bool {
        match self {
            Region::Rectangle { left, top, right, bottom } => {
                let (down, across) = (row as f64 + 0.5, column as f64 + 0.5);
                (*top..*bottom).contains(&down) && (*left..*right).contains(&across)
            }
            Region::Mask(mask) => mask.get((row, column)).copied().unwrap_or(false),
        }
    }

    /// The area of the smallest rectangle around it.
    fn box_area(&self) -> f64 {
        match self {
            Region::Rectangle { left, top, right, bottom } => (right - left).max(0.0) * (bottom - top).max(0.0),
            Region::Mask(mask) => {
                let inside = || mask.indexed_iter().filter(|(_, inside)| **inside).map(|(at, _)| at);
                let extent = |values: &mut dyn Iterator<Item = usize>| {
                    let found = values.fold(None, |range: Option<(usize, usize)>, v| {
                        Some(range.map_or((v, v), |(low, high)| (low.min(v), high.max(v))))
                    });
                    found.map_or(0, |(low, high)| high - low + 1)
                };
                (extent(&mut inside().map(|at| at.0)) * extent(&mut inside().map(|at| at.1))) as f64
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use hirescam::photo::Photo;
    use image::RgbImage;
    use ndarray::array;

    fn rect(x: f64, y: f64, width: f64, height: f64) -> Rect {
        Rect { x, y, width, height }
    }

    #[test]
    fn a_map_lies_on_what_the_network_saw_and_nowhere_else() {
        let heatmap = Heatmap::new(array![[1.0, 2.0], [3.0, 4.0]]).unwrap();
        // A crop in the middle of 4 × 6 pixels.
        let seen = Seen::new(rect(2.0, 1.0, 2.0, 2.0), [4, 6]);
        assert_eq!(seen.map(&heatmap).unwrap(), array![[1.0, 2.0], [3.0, 4.0]].into_dyn());
        // A view that is larger than the image, which lies in its lower right.
        let seen = Seen::new(rect(-2.0, -2.0, 4.0, 4.0), [2, 2]);
        assert_eq!(seen.map(&heatmap).unwrap(), array![[3.25, 3.5], [3.75, 4.0]].into_dyn());
        // Beside whole pixels, centres decide.
        let seen = Seen::new(rect(0.6, 0.4, 2.0, 2.0), [4, 6]);
        assert_eq!((seen.rows, seen.columns), (0..2, 1..3));
    }

    #[test]
    fn resizing_and_single_places_are_the_same() {
        let heatmap = Heatmap::new(array![[1.0, -2.0, 0.5], [3.0, 0.0, 7.0]]).unwrap();
        let whole = Seen::new(rect(0.0, 0.0, 9.0, 10.0), [10, 9]);
        // The same view by a hair, so that the other way is taken.
        let apart = Seen::new(rect(0.0, 0.0, 9.0 + 1e-9, 10.0), [10, 9]);
        let (a, b) = (whole.map(&heatmap).unwrap(), apart.map(&heatmap).unwrap());
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5));
    }

    fn object(class: usize, region: Option<Region>) -> Object {
        Object { class, region, difficult: false, truncated: false, crowd: false }
    }

    #[test]
    fn objects_are_what_is_seen_of_them_and_crowds_and_void_count_for_neither_side() {
        let rectangle = |left, top, right, bottom| Some(Region::Rectangle { left, top, right, bottom });
        let mut crowd = object(0, rectangle(0.0, 3.0, 6.0, 4.0));
        crowd.crowd = true;
        let mut void = Array2::from_elem((4, 6), false);
        void[(0, 0)] = true;
        let example = Example {
            photo: Photo::from_rgb(RgbImage::new(6, 4)).unwrap(),
            objects: vec![object(0, rectangle(0.0, 0.0, 3.0, 2.0)), object(2, None), crowd],
            void: Some(void),
        };
        let seen = Seen::new(rect(1.0, 0.0, 4.0, 4.0), [4, 6]);
        let truths = seen.truths(&example, [4, 6]);
        assert_eq!(truths.iter().map(|t| t.class).collect::<Vec<_>>(), [0, 2]);
        let (first, second) = (&truths[0], &truths[1]);
        // Six pixels less a void one; of these the columns 1 and 2 are seen.
        assert_eq!(first.share, Some(5.0 / 24.0));
        let inside = first.object.as_ref().unwrap();
        assert_eq!(inside.shape(), [4, 4]);
        assert_eq!(inside.iter().filter(|v| **v).count(), 4);
        assert_eq!(first.void.as_ref().unwrap().iter().filter(|v| **v).count(), 4);
        // A box of a quarter of the image is not less than that.
        assert_eq!(first.difficult, Some(false));
        assert!(second.object.is_none() && second.share.is_none() && second.difficult.is_none());
    }
}
