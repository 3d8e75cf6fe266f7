//! ROAD.

use super::{Better, Row, cells, descending};
use crate::Error;
use crate::changed::{Change, Fill, Image, Metric, Places, Plan};
use crate::error::argument;
use ndarray::ArrayViewD;

/// [`Road`] for people.
pub const ROW: Row = Row {
    name: "road",
    what: "How much more the strongest places are missed than the weakest, when they are replaced by what lies around them.",
    formula: "mean over shares of (s without the weakest − s without the strongest) / 2",
    range: "of the scores: −½ to ½ for probabilities",
    better: Better::Higher,
    source: "Rong et al. 2022, arXiv:2202.00449; the combination is that of pytorch-grad-cam",
    needs: "scores of 2 images for each share; an image with two axes of places",
    blind: "how strong places are, beyond their order; smooth maps leave holes that are hard to fill, and are favoured (arXiv:2304.13836)",
};

/// Which places are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// The strongest: the mean of s(x without them) − s(x). Lower is better.
    Strongest,
    /// The weakest: the mean of s(x without them) − s(x). Higher is better.
    Weakest,
    /// Both: half the difference of the two.
    Both,
}

/// Remove and debias: shares of the places are replaced by noisy means of what lies around them, which gives away less of the
/// holes' shape than a constant. Rong et al. 2022, arXiv:2202.00449.
///
/// # Differs from pytorch-grad-cam
/// It cuts the map at a percentile, and removes nothing where the cut falls on the many zeros of a rectified map, or
/// everything. Here exactly as many places go as the share says; of those with the same value, the order is drawn from the
/// seed. Without ties and without noise both are the same, up to a place.
///
/// # Differs from Quantus
/// It gives whether the class is still the first, share by share, and sorts channels of a pixel as if they were pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Road {
    /// The shares of places that are removed, each between 0 and 1.
    pub shares: Vec<f64>,
    /// The noise's deviation, in units of the image as the network takes it.
    pub noise: f64,
    /// The seed of the noise and of ties.
    pub seed: u64,
    /// Which places are removed.
    pub removed: Removed,
}

impl Default for Road {
    /// A tenth, two tenths … nine tenths, with a noise of 0.01, of both.
    fn default() -> Self {
        Self { shares: (1..10).map(|i| f64::from(i) / 10.0).collect(), noise: 0.01, seed: 0, removed: Removed::Both }
    }
}

impl Metric for Road {
    fn plan(&self, image: &Image, map: ArrayViewD<'_, f64>) -> Result<Plan, Error> {
        image.check_map(&map)?;
        let order = descending(&cells("map", &map)?, self.seed);
        let n = order.len();
        let fill = Fill::Imputed { noise: self.noise, seed: self.seed };
        if self.shares.is_empty() {
            return argument("there are no shares to be removed");
        }
        let (mut strongest, mut weakest) = (Vec::new(), Vec::new());
        for share in &self.shares {
            let count = (share * n as f64).round();
            if !(share.is_finite() && count >= 0.0 && count < n as f64) {
                return argument(format!(
                    "a share of {share} of {n} places cannot be removed: something has to be left"
                ));
            }
            let count = count as usize;
            strongest.push(Change::filled(Places::new(n, order.iter().take(count).copied()), fill));
            weakest.push(Change::filled(Places::new(n, order.iter().rev().take(count).copied()), fill));
        }
        let shares = self.shares.len();
        let mean =
            move |scores: &[f64], from: usize| scores.iter().skip(from).take(shares).sum::<f64>() / shares as f64;
        Ok(match self.removed {
            Removed::Both => Plan {
                changes: strongest.into_iter().chain(weakest).collect(),
                value: Box::new(move |scores| Ok((mean(scores, shares) - mean(scores, 0)) / 2.0)),
            },
            one => Plan {
                changes: std::iter::once(Change::None)
                    .chain(if one == Removed::Strongest { strongest } else { weakest })
                    .collect(),
                value: Box::new(move |scores| Ok(mean(scores, 1) - scores.first().copied().unwrap_or(0.0))),
            },
        })
    }
}
