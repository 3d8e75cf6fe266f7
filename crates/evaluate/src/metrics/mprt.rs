//! The model parameter randomisation test.

use super::{Attention, Better, Row, attention, beside, cells};
use crate::Error;
use crate::error::undefined;
use hirescam::stats::spearman;
use ndarray::ArrayViewD;

/// [`mprt`] for people.
pub const ROW: Row = Row {
    name: "mprt",
    what: "Whether the map depends on what the network learnt: its rank correlation with maps of networks with random weights.",
    formula: "Spearman(h, h of the network with randomised layers), one value for each network",
    range: "−1 to 1",
    better: Better::Lower,
    source: "Adebayo et al. 2018, arXiv:1810.03292, section 3.1",
    needs: "maps of networks with weights randomised from the score downwards",
    blind: "whether the map is right: noise passes; at last layers the activation carries over what the network's body learnt",
};

/// The rank correlation of a map with each map of a network whose weights were randomised, from the score downwards: near 0 where the
/// map depends on what was learnt, near 1 where it is made of the image alone. Adebayo et al. 2018, arXiv:1810.03292, section
/// 3.1. `which` says whether signs count: None correlates the values, `Absolute` their sizes, `Positive` what is rectified.
///
/// None stands for a network whose map is the same everywhere: nothing correlates with that.
///
/// # Errors
/// [`Error::Undefined`] where the map itself is the same everywhere; [`Error::Argument`] for maps of another shape.
pub fn mprt(
    map: ArrayViewD<'_, f64>,
    randomised: &[ArrayViewD<'_, f64>],
    which: Option<Attention>,
) -> Result<Vec<Option<f64>>, Error> {
    let values = |map: &ArrayViewD<'_, f64>| match which {
        Some(which) => attention(map, which),
        None => cells("map", map),
    };
    let own = values(&map)?;
    if own.iter().all(|v| own.first() == Some(v)) {
        return undefined(ROW.name, "the map is the same everywhere");
    }
    let correlation = |other: &ArrayViewD<'_, f64>| {
        beside(&map, "map of a randomised network", other)?;
        Ok(spearman(&own, &values(other)?))
    };
    randomised.iter().map(correlation).collect()
}
