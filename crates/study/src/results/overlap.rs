//! How raters' marks lie over maps.

use crate::answer::Mark;
use crate::manifest::{Key, KeyMap, Manifest};
use hirescam::heatmap::resize_linear;
use hirescam_evaluate::metrics::{energy_pointing_game, iou, pointing_game};
use ndarray::{Array2, ArrayD};
use std::ops::Range;

/// The longer side of the grid on which marks and maps meet, in cells.
const SIDE: f64 = 112.0;
/// A point stands for the disc about it of this radius, in shares of the longer side.
const POINT: f64 = 0.05;
/// Where a map counts as marked, as a share of its largest value.
const THRESHOLD: f64 = 0.5;

/// The maps of an item, ready for marks.
pub(super) struct Overlap {
    /// Rows and columns.
    size: [usize; 2],
    maps: Vec<Option<ArrayD<f64>>>,
}

impl Overlap {
    pub fn of(manifest: &Manifest, key: &Key, item: usize) -> Self {
        let [width, height] = manifest.items.get(item).map_or([1, 1], |item| item.size).map(f64::from);
        let scale = SIDE / width.max(height).max(1.0);
        let size = [height, width].map(|v| ((v * scale).round() as usize).max(1));
        let maps = key.items.get(item).map_or(&[][..], |item| &item.maps);
        Overlap { size, maps: maps.iter().map(|map| lay(map, size)).collect() }
    }

    /// For each arm energy, hit and IoU. None where nothing was marked, or an arm's map has no positive value.
    pub fn with(&self, mark: &Mark) -> Option<Vec<Vec<f64>>> {
        let mask = mask(mark, self.size)?.into_dyn();
        let of = |map: &Option<ArrayD<f64>>| {
            let map = map.as_ref()?.view();
            Some(vec![
                energy_pointing_game(map.view(), mask.view(), None).ok()?,
                f64::from(pointing_game(map.view(), mask.view(), 0.0).ok()?),
                iou(map, mask.view(), None, THRESHOLD).ok()?,
            ])
        };
        self.maps.iter().map(of).collect()
    }
}

/// A map over the photo: resized to the part that the network saw, 0 beside it. What the network saw beyond the photo's borders is left out.
fn lay(map: &KeyMap, [rows, columns]: [usize; 2]) -> Option<ArrayD<f64>> {
    let raw = Array2::from_shape_vec(map.shape, map.map.clone()).ok()?;
    let [left, top, right, bottom] = map.view;
    let at = |share: f64, of: usize| (share * of as f64).round() as i64;
    let ((x0, x1), (y0, y1)) = ((at(left, columns), at(right, columns)), (at(top, rows), at(bottom, rows)));
    let size = [usize::try_from(y1.saturating_sub(y0)).ok()?, usize::try_from(x1.saturating_sub(x0)).ok()?];
    let part = resize_linear(&raw, &size).ok()?;
    let mut whole = Array2::zeros((rows, columns));
    for ((y, x), value) in part.indexed_iter() {
        let at =
            usize::try_from(y0.saturating_add(y as i64)).ok().zip(usize::try_from(x0.saturating_add(x as i64)).ok());
        let cell = at.and_then(|at| whole.get_mut(at));
        cell.into_iter().for_each(|cell| *cell = f64::from(*value));
    }
    Some(whole.into_dyn())
}

/// The cells whose centres lie in a mark; none of "it is not there". A mark that is smaller than a cell has the one that it lies in.
pub(super) fn mask(mark: &Mark, [rows, columns]: [usize; 2]) -> Option<Array2<bool>> {
    let mut mask = Array2::from_elem((rows, columns), false);
    // In cells.
    let place = |[x, y]: [f64; 2]| [x * columns as f64, y * rows as f64];
    match mark {
        Mark::Nothing => return None,
        Mark::Point { x, y } => {
            let at = place([*x, *y]);
            paint(&mut mask, at, at, POINT * rows.max(columns) as f64);
        }
        Mark::Box { left, top, right, bottom } => {
            let ([x0, y0], [x1, y1]) = (place([*left, *top]), place([*right, *bottom]));
            let (across, down) = (cells(x0, x1, columns), cells(y0, y1, rows));
            mask.indexed_iter_mut().for_each(|((r, c), cell)| *cell = down.contains(&r) && across.contains(&c));
        }
        Mark::Brush { radius, strokes } => {
            for stroke in strokes {
                // A stroke of one point is the line from it to itself.
                let last = stroke.last();
                for (from, to) in stroke.iter().zip(stroke.iter().skip(1).chain(last)) {
                    paint(&mut mask, place(*from), place(*to), radius * columns as f64);
                }
            }
        }
    }
    Some(mask)
}

/// The cells whose centres lie between two places, the one in the middle if there is none.
fn cells(from: f64, to: f64, of: usize) -> Range<usize> {
    let at = |place: f64| (place.max(0.0) as usize).min(of);
    match (at(from.round()), at(to.round())) {
        (first, end) if first < end => first..end,
        _ => {
            let middle = at(f64::midpoint(from, to)).min(of.saturating_sub(1));
            middle..middle + 1
        }
    }
}

/// Marks the cells whose centres are as near as `radius` to the line between two places, or as near as any centre is to some place.
fn paint(mask: &mut Array2<bool>, from: [f64; 2], to: [f64; 2], radius: f64) {
    let radius = radius.max(std::f64::consts::FRAC_1_SQRT_2);
    let (rows, columns) = mask.dim();
    let around = |a: f64, b: f64, of: usize| {
        let at = |place: f64| (place.max(0.0) as usize).min(of);
        at(a.min(b) - radius)..at((a.max(b) + radius).ceil())
    };
    let [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    let length = dx * dx + dy * dy;
    for row in around(from[1], to[1], rows) {
        for column in around(from[0], to[0], columns) {
            let [x, y] = [column as f64 + 0.5 - from[0], row as f64 + 0.5 - from[1]];
            let along = if length > 0.0 { ((x * dx + y * dy) / length).clamp(0.0, 1.0) } else { 0.0 };
            if (x - along * dx).hypot(y - along * dy) <= radius {
                mask.get_mut((row, column)).into_iter().for_each(|cell| *cell = true);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn drawn(mark: &Mark, size: [usize; 2]) -> Vec<String> {
        let mask = mask(mark, size).unwrap();
        mask.rows().into_iter().map(|row| row.iter().map(|c| if *c { '#' } else { '.' }).collect()).collect()
    }

    #[test]
    fn marks_cover_the_cells_whose_centres_they_hold() {
        let size = [4, 8];
        let square = Mark::Box { left: 0.25, top: 0.25, right: 0.5, bottom: 1.0 };
        assert_eq!(drawn(&square, size), ["........", "..##....", "..##....", "..##...."]);
        // From the middle of the first row to the middle of the last column, one cell wide.
        let bent = vec![[1.0 / 16.0, 0.125], [15.0 / 16.0, 0.125], [15.0 / 16.0, 0.875]];
        let stroke = Mark::Brush { radius: 0.05, strokes: vec![bent] };
        assert_eq!(drawn(&stroke, size), ["########", ".......#", ".......#", ".......#"]);
        let dab = Mark::Brush { radius: 1.1 / 8.0, strokes: vec![vec![[9.0 / 16.0, 0.625]]] };
        assert_eq!(drawn(&dab, size), ["........", "....#...", "...###..", "....#..."]);
        assert!(mask(&Mark::Nothing, size).is_none());
    }

    #[test]
    fn the_smallest_mark_has_a_cell_wherever_it_lies() {
        for (x, y) in [(0.0, 0.0), (1.0, 1.0), (0.5, 0.3), (0.999, 0.001)] {
            let thin = Mark::Box { left: x * 0.999, top: y * 0.999, right: x * 0.999 + 1e-6, bottom: y * 0.999 + 1e-6 };
            let dab = Mark::Brush { radius: 1e-6, strokes: vec![vec![[x, y]]] };
            for mark in [Mark::Point { x, y }, thin, dab] {
                assert!(mask(&mark, [5, 3]).unwrap().iter().any(|c| *c), "{mark:?}");
            }
        }
    }
}
