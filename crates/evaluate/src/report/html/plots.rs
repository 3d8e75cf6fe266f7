//! The page's plots, and whose their marks are.

use crate::metrics::Better;
use crate::report::elements::grid;
use crate::report::plot::{self, Dot, Dots};
use crate::report::summary::{Summary, known};
use crate::statistics::Estimate;
use hirescam::html::escape;

/// Which mark is whose.
fn legend(summary: &Summary) -> String {
    let methods = summary.methods.iter().enumerate();
    let signs = methods.filter_map(|(i, m)| Some(format!("<span>{} {}</span>", plot::sign(i, m)?, escape(m))));
    format!("<p class=\"legend\">{}</p>\n", signs.collect::<Vec<_>>().join(" "))
}

/// Plots whose dots are told by their marks.
pub(super) fn with_legend(summary: &Summary, plots: &[String]) -> String {
    match plots.is_empty() {
        true => String::new(),
        false => legend(summary) + &grid(plots),
    }
}

/// A plot of a metric's means; `what` says what they are of.
pub(super) fn plot(metric: &str, what: &str, lines: Vec<(String, Vec<Dot>)>) -> Option<String> {
    let axis = match known(metric).map(|m| m.better) {
        Some(Better::Higher) => format!("{metric} → better"),
        Some(Better::Lower) => format!("better ← {metric}"),
        _ => metric.to_owned(),
    };
    Dots { alt: format!("Means and intervals: {what}"), axis, reference: None, lines }.svg()
}

/// An estimate as the dot of a series.
pub(super) fn dot(series: usize, estimate: Estimate) -> Dot {
    Dot { series, mean: estimate.mean, interval: estimate.interval().map(|i| (i.low, i.high)) }
}
