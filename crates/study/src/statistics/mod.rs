//! Statistics of studies: each is a pure function in a file of its own, with its formula, its source, and what it assumes.
//!
//! Where there is nothing to say (no values, or something among them that is no number) the answer is none, never NaN. What is drawn is
//! drawn by [`hirescam::random`]: the same everywhere. What evaluations need, too, stands in [`hirescam_evaluate::statistics`]: Wilcoxon's
//! test, Holm's correction, correlations of ranks; its [`mcnemar`](hirescam_evaluate::statistics::mcnemar()) is the exact two-sided sign test.

mod alpha;
mod binomial;
mod bradley_terry;
mod correlation;
mod crossed;
mod effect;
mod pigeonhole;

pub use alpha::{Alpha, Level, krippendorff};
pub use binomial::{clopper_pearson, wilson};
pub use bradley_terry::{BradleyTerry, Match, bradley_terry};
pub use correlation::{Correlation, spearman};
pub use crossed::{Crossed, Observed, crossed};
pub use effect::{Graded, effect};
pub use pigeonhole::pigeonhole;
