//! Statistics of evaluations: intervals, paired tests, effect sizes, agreement of ranks. Each is a pure function in a file of its own,
//! with its formula, its source, and what it assumes.
//!
//! Where there is nothing to say (no values, or something among them that is no number) the answer is none, never NaN. What is drawn is
//! drawn by [`hirescam::random`]: the same everywhere. Spearman's correlation is [`hirescam::stats::spearman`].

mod bootstrap;
mod effect;
mod holm;
mod kendall;
mod mcnemar;
mod signed_rank;

pub use bootstrap::{Bootstrap, Estimate, Interval};
pub use effect::rank_biserial;
pub use hirescam::stats::spearman;
pub use holm::holm;
pub use kendall::kendall;
pub use mcnemar::mcnemar;
pub use signed_rank::{MOST_EXACT, SignedRank, signed_rank};

/// The ranks of values from 1, in their own order; equal values share the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    // Adding 0 makes the two zeros one value.
    let mut order: Vec<(f64, usize)> = values.iter().map(|v| v + 0.0).zip(0..).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut ranked = Vec::with_capacity(values.len());
    for ties in order.chunk_by(|a, b| a.0 == b.0) {
        let rank = ranked.len() as f64 + (ties.len() as f64 + 1.0) / 2.0;
        ranked.extend(ties.iter().map(|&(_, at)| (at, rank)));
    }
    ranked.sort_by_key(|&(at, _)| at);
    ranked.into_iter().map(|(_, rank)| rank).collect()
}

/// The mean; none of nothing.
pub(crate) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
