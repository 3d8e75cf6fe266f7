//! Occlusion.

use super::cut::GradientUse;
use super::{MethodMap, NOTHING, PreparedMethod, SeveralRunsMethod, Subject};
use crate::Error;
use hirescam_core::cam::list::MethodRow;
use ndarray::{ArrayD, Axis, Dimension, IxDyn, Slice};

/// What the score loses when a window about each cell of a grid is set to a constant: s(x) − s(x occluded), in units of
/// the score. Zeiler & Fergus 2014, arXiv:1311.2901, section 4.2.
///
/// The grid's cells are all of one size, as near as can be to [`Settings::stride`](super::Settings::stride); the window
/// lies about the middle of its cell and is cut at the image's border. Where windows overlap, a loss is shown in several
/// cells; nothing adds up. Where window and cell are the same and the network is affine, the cells are the contributions
/// of their pixels, relative to the constant.
///
/// # Differs from the paper
/// The paper shows the class's probability under the occluder; here it is what the score loses, so that what matters is
/// bright. The grey of the occluder is a number in the network's own input
/// ([`Settings::baseline`](super::Settings::baseline)).
pub(super) const METHOD: SeveralRunsMethod = SeveralRunsMethod {
    row: MethodRow {
        name: "occlusion",
        title: "Occlusion",
        formula: "at cell p: s(x) − s(x with a window about p set to a constant)",
        cost: "1 + 1 a cell (196)",
        proven: NOTHING,
        source: "Zeiler & Fergus 2014, arXiv:1311.2901, section 4.2",
        scored: true,
        additive: false,
    },
    but: "shows what the score loses when a window is covered, alone; the covered image is none that the network was trained for",
    at_image: |_| Ok(true),
    sums: false,
    gradient: GradientUse::Nothing,
    prepare: |_| Ok(Box::new(Occlusion)),
};

/// Cells along an axis when no stride is given.
const CELLS: usize = 14;

struct Occlusion;

/// The windows along an axis: first pixel and the one after the last.
fn windows(extent: usize, stride: Option<usize>, window: Option<usize>) -> Vec<(usize, usize)> {
    let stride = stride.unwrap_or(extent.div_ceil(CELLS)).min(extent).max(1);
    let window = window.unwrap_or(2 * stride);
    let cells = extent.div_ceil(stride);
    let of = |i: usize| {
        let middle = ((2 * i + 1) * extent) as f64 / (2 * cells) as f64;
        // Halves are rounded up.
        let first = (middle - window as f64 / 2.0 + 0.5).floor();
        (first.max(0.0) as usize, ((first + window as f64) as usize).min(extent))
    };
    (0..cells).map(of).collect()
}

impl PreparedMethod for Occlusion {
    fn maps(&self, subject: &Subject, watch: &mut dyn FnMut(usize, usize)) -> Result<Vec<MethodMap>, Error> {
        let settings = subject.settings;
        let along: Vec<Vec<(usize, usize)>> =
            subject.cut.neighbours()?.iter().map(|&n| windows(n, settings.stride, settings.window)).collect();
        let shape: Vec<usize> = along.iter().map(Vec::len).collect();
        let cells: Vec<IxDyn> = ndarray::indices(IxDyn(&shape)).into_iter().collect();
        let mut maps = vec![ArrayD::<f32>::zeros(IxDyn(&shape)); subject.picks.len()];
        subject.scores(
            cells.len(),
            |i, mut a| {
                let Some(cell) = cells.get(i) else { return };
                for ((&axis, windows), &at) in subject.cut.space.iter().zip(&along).zip(cell.slice()) {
                    if let Some(&(first, end)) = windows.get(at) {
                        a.slice_axis_inplace(Axis(axis), Slice::from(first..end));
                    }
                }
                a.fill(settings.baseline);
            },
            |i, occluded| {
                let Some(cell) = cells.get(i) else { return };
                for (map, (score, occluded)) in maps.iter_mut().zip(subject.scores.iter().zip(occluded)) {
                    map.get_mut(cell).into_iter().for_each(|v| *v = (score - occluded) as f32);
                }
            },
            watch,
        )?;
        let across: Vec<String> = along.iter().map(|w| widest(w).to_string()).collect();
        let note = format!(
            "{} windows of up to {} set to {} one after the other",
            cells.len(),
            across.join("×"),
            settings.baseline
        );
        Ok(maps.into_iter().map(|map| MethodMap::new(map, vec![note.clone()])).collect())
    }
}

fn widest(windows: &[(usize, usize)]) -> usize {
    windows.iter().map(|(first, end)| end - first).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_lie_about_the_middles_of_cells_and_cover_everything() {
        assert_eq!(windows(8, Some(2), Some(2)), [(0, 2), (2, 4), (4, 6), (6, 8)]);
        assert_eq!(windows(8, Some(4), Some(8)), [(0, 6), (2, 8)]);
        assert_eq!(windows(5, Some(100), None), [(0, 5)]);
        assert_eq!(windows(224, None, None).len(), CELLS);
        for (extent, stride, window) in [(7, 3, 3), (28, 5, 5), (100, 7, 9), (1, 1, 1)] {
            let made = windows(extent, Some(stride), Some(window));
            assert_eq!((made[0].0, made[made.len() - 1].1), (0, extent));
            assert!(made.iter().all(|(first, end)| first < end), "{made:?}");
            assert!(made.windows(2).all(|w| w[1].0 <= w[0].1), "{made:?}");
        }
    }
}
