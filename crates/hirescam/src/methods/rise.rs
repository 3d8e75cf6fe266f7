//! RISE.

use super::cut::GradientUse;
use super::{MethodMap, NOTHING, PreparedMethod, SeveralRunsMethod, Subject};
use crate::Error;
use crate::heatmap::resize_linear;
use crate::random::Random;
use hirescam_core::cam::list::MethodRow;
use ndarray::{ArrayD, Axis, Dimension, IxDyn, Slice, Zip};

/// Σ_i s(x ⊙ M_i) · M_i / (samples · p) with random masks M_i. Petsiuk et al. 2018, arXiv:1806.07421, eq. 6.
///
/// A mask is a grid of h cells along each axis, each kept with probability p, resized linearly to h + 1 cells' width
/// and cut to the image at a random place, as in section 3.2. The map is in units of the score, at the image's own
/// resolution, and differs from seed to seed: its error goes with 1/√samples. It has no zero of its own: a place that does
/// not matter gets the mean score of masked images.
///
/// # Differs from the paper
/// The score is the logit, not the class's probability, unless the output itself is explained. A cell's width is
/// ⌈extent / h⌉ and not ⌊extent / h⌋, as in the authors' code, so that the masks are never too small.
pub(super) const METHOD: SeveralRunsMethod = SeveralRunsMethod {
    row: MethodRow {
        name: "rise",
        title: "RISE",
        formula: "Σ_i s(x ⊙ M_i) · M_i / (samples · p), M_i random masks that keep a share p",
        cost: "1 + samples (4000)",
        proven: NOTHING,
        source: "Petsiuk et al. 2018, arXiv:1806.07421, eq. 6",
        scored: true,
        additive: false,
    },
    but: "is a mean over random masks: it differs from seed to seed, and masked images are none that the network was trained for",
    at_image: |_| Ok(true),
    sums: false,
    gradient: GradientUse::Nothing,
    prepare: |_| Ok(Box::new(Rise)),
};

/// Masks when no other number is asked for: what the paper takes for VGG16.
const SAMPLES: usize = 4000;

/// The most cells of a mask: more than pixels of most images.
const MOST_CELLS: usize = 1 << 20;

struct Rise;

impl PreparedMethod for Rise {
    fn maps(&self, subject: &Subject, watch: &mut dyn FnMut(usize, usize)) -> Result<Vec<MethodMap>, Error> {
        let (settings, shape) = (subject.settings, subject.cut.neighbours()?);
        let n = settings.samples.unwrap_or(SAMPLES);
        // Checked once: the sizes of all masks are the same.
        mask(settings, &shape, 0)?;
        let mask = |i: usize| mask(settings, &shape, i).unwrap_or_else(|_| ArrayD::zeros(IxDyn(&shape)));
        let mut maps = vec![ArrayD::<f64>::zeros(IxDyn(&shape)); subject.picks.len()];
        subject.scores(
            n,
            |i, mut x| {
                let mask = mask(i);
                x.axis_iter_mut(Axis(subject.cut.channels)).for_each(|mut colour| colour *= &mask);
            },
            |i, scores| {
                let mask = mask(i);
                for (map, score) in maps.iter_mut().zip(scores) {
                    Zip::from(map).and(&mask).for_each(|v, &m| *v += score * f64::from(m));
                }
            },
            watch,
        )?;
        let share = n as f64 * settings.keep;
        let note = format!(
            "{n} random masks of {} cells along each axis, {} of them kept (seed {})",
            settings.cells, settings.keep, settings.seed
        );
        Ok(maps.into_iter().map(|m| MethodMap::new(m.mapv(|v| (v / share) as f32), vec![note.clone()])).collect())
    }
}

/// The mask number `i` for an image of the extents `shape`.
fn mask(settings: &super::Settings, shape: &[usize], i: usize) -> Result<ArrayD<f32>, Error> {
    let (h, mut random) = (settings.cells, Random::of_sample(settings.seed, i));
    if h.checked_pow(shape.len() as u32).is_none_or(|cells| cells > MOST_CELLS) {
        let axes = shape.len();
        return Err(Error::Argument(format!("masks of {h} cells along each of {axes} axes are too fine")));
    }
    let grid = ArrayD::from_shape_simple_fn(IxDyn(&vec![h; shape.len()]), || {
        if random.unit() < settings.keep { 1.0 } else { 0.0 }
    });
    let widths: Vec<usize> = shape.iter().map(|n| n.div_ceil(h)).collect();
    let mut mask = resize_linear(&grid, &widths.iter().map(|w| (h + 1) * w).collect::<Vec<_>>())?;
    for ((axis, &n), &width) in shape.iter().enumerate().zip(&widths) {
        let first = random.below(width);
        mask.slice_axis_inplace(Axis(axis), Slice::from(first..first + n));
    }
    debug_assert_eq!(mask.raw_dim().slice(), shape);
    Ok(mask)
}
