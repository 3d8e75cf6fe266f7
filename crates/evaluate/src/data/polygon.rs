//! Polygons to masks, by COCO's rule.
//!
//! The boundary is drawn on a grid five times as fine as the pixels. Wherever it passes the middle of a column of pixels, it
//! turns outside into inside, or back, from the next row on. This is what `pycocotools` gives, pixel by pixel; it differs from
//! the rule "a pixel belongs to the polygon if its centre does" along the boundary only.

use ndarray::Array2;

/// How much finer the grid of boundaries is.
const FINE: f64 = 5.0;

/// Further from the image than any corner of a polygon can sensibly lie, in pixels: what is beyond is damage.
const FARTHEST: f64 = 1e6;

/// Adds the inside of a polygon to a mask: x₀, y₀, x₁, y₁, … of its corners, in pixels.
pub(crate) fn fill(corners: &[f64], mask: &mut Array2<bool>) -> Result<(), String> {
    if !corners.len().is_multiple_of(2) {
        return Err(format!("a polygon has {} numbers, which is not two for each corner", corners.len()));
    }
    if let Some(far) = corners.iter().find(|v| v.is_nan() || v.abs() > FARTHEST) {
        return Err(format!("a polygon reaches as far as {far:e}"));
    }
    let (height, width) = mask.dim();
    // Rounded towards zero after adding a half, also below zero.
    let fine: Vec<[i64; 2]> = corners
        .chunks_exact(2)
        .filter_map(|pair| match pair {
            [x, y] => Some([x, y].map(|v| (FINE * v + 0.5) as i64)),
            _ => None,
        })
        .collect();
    // The rows at which each column turns.
    let mut turns: Vec<Vec<usize>> = vec![Vec::new(); width];
    for (from, to) in fine.iter().zip(fine.iter().cycle().skip(1)) {
        Edge::new(*from, *to).crossings(width, height, |column, row| {
            if let Some(turns) = turns.get_mut(column) {
                turns.push(row);
            }
        });
    }
    for (column, mut rows) in turns.into_iter().enumerate() {
        rows.sort_unstable();
        for pair in rows.chunks_exact(2) {
            if let [start, end] = *pair {
                (start..end.min(height)).for_each(|row| {
                    if let Some(inside) = mask.get_mut((row, column)) {
                        *inside = true;
                    }
                });
            }
        }
    }
    Ok(())
}

/// An edge on the fine grid: its points are numbered from 0 to `steps` along its longer extent, in rising order of that.
struct Edge {
    start: [i64; 2],
    steps: i64,
    /// How much the other coordinate changes a step.
    slope: f64,
    /// Whether the longer extent is that of x.
    flat: bool,
    /// Whether x rises with the number.
    rising: bool,
}

impl Edge {
    fn new(from: [i64; 2], to: [i64; 2]) -> Self {
        let [dx, dy] = [0, 1].map(|k| (to[k] - from[k]).abs());
        let flat = dx >= dy;
        let along = usize::from(!flat);
        let (start, end) = if from[along] > to[along] { (to, from) } else { (from, to) };
        let steps = dx.max(dy);
        // An edge of one point has no slope, and crosses nothing.
        let slope = if steps == 0 { 0.0 } else { (end[1 - along] - start[1 - along]) as f64 / steps as f64 };
        Self { start, steps, slope, flat, rising: end[0] >= start[0] }
    }

    /// The point number `t`.
    fn point(&self, t: i64) -> [i64; 2] {
        let [x, y] = self.start;
        let other = |from: i64| (from as f64 + self.slope * t as f64 + 0.5) as i64;
        if self.flat { [x + t, other(y)] } else { [other(x), y + t] }
    }

    /// Calls `turn` with each column of pixels whose middle the edge passes, and the row from which on it turns.
    fn crossings(&self, width: usize, height: usize, mut turn: impl FnMut(usize, usize)) {
        let (first, last) = (self.point(0)[0], self.point(self.steps)[0]);
        let (low, high) = (first.min(last), first.max(last));
        // The middle of column c lies between the fine columns 5c + 2 and 5c + 3.
        let columns = (low + 2).div_euclid(5).max(0)..=(high - 3).div_euclid(5).min(width as i64 - 1);
        for column in columns {
            let middle = column * 5 + 2;
            // x does not fall (or does not rise) with t: the first point beyond the middle is found by halving.
            let (mut before, mut beyond) = (0, self.steps);
            let passed = |t: i64| if self.rising { self.point(t)[0] > middle } else { self.point(t)[0] <= middle };
            while beyond - before > 1 {
                let t = before + (beyond - before) / 2;
                if passed(t) { beyond = t } else { before = t }
            }
            let row = self.point(before)[1].min(self.point(beyond)[1]);
            let row = ((row as f64 + 0.5) / FINE - 0.5).clamp(0.0, height as f64).ceil();
            turn(column as usize, row as usize);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::data::rle;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Case {
        height: usize,
        width: usize,
        polygons: Vec<Vec<f64>>,
        counts: Vec<u64>,
        text: String,
    }

    fn cases() -> Vec<Case> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/coco/golden.json");
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    #[test]
    fn polygons_are_filled_as_by_pycocotools() {
        for (i, Case { height, width, polygons, counts, .. }) in cases().into_iter().enumerate() {
            let mut mask = Array2::from_elem((height, width), false);
            polygons.iter().for_each(|corners| fill(corners, &mut mask).unwrap());
            let wanted = rle::mask(&counts, height, width).unwrap();
            let differ = mask.iter().zip(&wanted).filter(|(a, b)| a != b).count();
            assert_eq!(differ, 0, "case {i}: {differ} pixels differ");
        }
    }

    #[test]
    fn compressed_run_lengths_are_those_of_pycocotools() {
        for Case { counts, text, .. } in cases() {
            assert_eq!(rle::counts(&text).unwrap(), counts);
        }
    }

    #[test]
    fn run_lengths_that_are_none_are_refused() {
        for text in ["é", "!", "P", "oooooooooooooooo1", "OO"] {
            assert!(rle::counts(text).is_err(), "{text}");
        }
        for counts in [&[3, 4][..], &[], &[u64::MAX, 2], &[6, 1]] {
            assert!(rle::mask(counts, 2, 3).is_err(), "{counts:?}");
        }
        assert_eq!(rle::mask(&[1, 2, 3], 2, 3).unwrap(), ndarray::array![[false, true, false], [true, false, false]]);
    }

    #[test]
    fn a_polygon_far_beyond_the_image_costs_no_more() {
        let mut mask = Array2::from_elem((2, 2), false);
        fill(&[-1e6, -1e6, 1e6, -1e6, 1e6, 1e6, -1e6, 1e6], &mut mask).unwrap();
        assert!(mask.iter().all(|inside| *inside));
        assert!(fill(&[1e300, 0.0, 1.0, 1.0, 2.0, 2.0], &mut mask).unwrap_err().contains("1e300"));
        assert!(fill(&[1.0, 2.0, 3.0], &mut mask).is_err());
    }
}
