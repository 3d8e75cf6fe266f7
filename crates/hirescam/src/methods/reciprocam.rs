//! ReciproCAM.

use super::cut::{GradientUse, Setup, at_mut};
use super::{MethodMap, NOTHING, PreparedMethod, SeveralRunsMethod, Subject};
use crate::Error;
use hirescam_core::cam::list::MethodRow;
use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn};

/// At each place the score of an activation that is 0 everywhere else. Byun & Lee 2022, arXiv:2209.14074 (with masks of
/// one place).
///
/// Behind global average pooling and a linear layer with bias b, a cell is its place's contribution and b; so the map is
/// HiResCAM + b, and CAM / places + b.
///
/// # Differs from the paper
/// The score is the logit, not the class's probability, unless the output itself is explained. The map is not brought to
/// 0…1. The paper's other masks, Gaussian ones of 3×3, are left out.
pub(super) const METHOD: SeveralRunsMethod = SeveralRunsMethod {
    row: MethodRow {
        name: "reciprocam",
        title: "ReciproCAM",
        formula: "at place p: the score of A with all other places set to 0",
        cost: "1, then the head once a place",
        proven: NOTHING,
        source: "Byun & Lee 2022, arXiv:2209.14074",
        scored: true,
        additive: false,
    },
    but: "asks what the head would say to an activation that is 0 everywhere but at one place, which is none that it was trained for",
    at_image: |_| Ok(false),
    sums: false,
    gradient: GradientUse::Nothing,
    prepare: |_: &Setup| Ok(Box::new(ReciproCam)),
};

struct ReciproCam;

impl PreparedMethod for ReciproCam {
    fn maps(&self, subject: &Subject, watch: &mut dyn FnMut(usize, usize)) -> Result<Vec<MethodMap>, Error> {
        let (space, shape) = (&subject.cut.space, subject.cut.places());
        let mut maps = vec![ArrayD::<f32>::zeros(IxDyn(&shape)); subject.picks.len()];
        let places: Vec<IxDyn> = ndarray::indices(IxDyn(&shape)).into_iter().collect();
        subject.scores(
            places.len(),
            |i, mut a| {
                let Some(place) = places.get(i) else { return };
                a.fill(0.0);
                at_mut(a, space, place).assign(&at(subject.state.activation.view(), space, place));
            },
            |i, scores| {
                let Some(place) = places.get(i) else { return };
                for (cell, score) in maps.iter_mut().filter_map(|m| m.get_mut(place)).zip(scores) {
                    *cell = *score as f32;
                }
            },
            watch,
        )?;
        Ok(maps.into_iter().map(|map| MethodMap::at_layer(subject, map, Vec::new())).collect())
    }
}

/// The channels at one place.
fn at<'a>(a: ArrayViewD<'a, f32>, space: &[usize], place: &IxDyn) -> ArrayViewD<'a, f32> {
    // From the last axis on, so that those before keep their numbers.
    let axes = space.iter().zip(ndarray::Dimension::slice(place)).rev();
    axes.fold(a, |a, (&axis, &i)| a.index_axis_move(Axis(axis), i))
}
