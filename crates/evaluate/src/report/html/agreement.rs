//! How far the metrics agree.

use crate::metrics::Better;
use crate::report::elements::{table, th};
use crate::report::summary::{Agreement, Summary, known};
use crate::report::words::count;
use hirescam::html::escape;

pub(super) fn agreement(summary: &Summary, layer: &str) -> String {
    let of: Vec<&Agreement> = summary.agreements.iter().filter(|a| a.layer == layer).collect();
    if !of.iter().any(|a| a.over_images.is_some() || a.over_methods.is_some()) {
        return match summary.metrics.len() {
            0 | 1 => String::new(),
            _ => "<h3>Do the metrics agree?</h3>\n<p>Fewer than three images and three methods have values of two metrics: their order says nothing.</p>\n".into(),
        };
    }
    let find = |a: &str, b: &str| of.iter().find(|x| (x.a == a && x.b == b) || (x.a == b && x.b == a));
    let matrix = |value: &dyn Fn(&Agreement) -> Option<f64>| {
        let shown: Vec<&String> = summary
            .metrics
            .iter()
            .filter(|m| of.iter().any(|x| (x.a == **m || x.b == **m) && value(x).is_some()))
            .collect();
        let head: String = [th("", true), th("mean", false)]
            .into_iter()
            .chain(shown.iter().map(|m| format!("<th class=\"turned\" scope=\"col\"><span>{}</span></th>", escape(m))))
            .collect();
        let rows: String = shown
            .iter()
            .map(|a| {
                let judges = |m: &str| known(m).is_some_and(|m| m.better != Better::Neither);
                let others = shown.iter().filter(|b| judges(a) && judges(b));
                let values: Vec<f64> = others.filter_map(|b| value(find(a, b)?)).collect();
                let mean = crate::statistics::mean(&values).map_or(String::new(), |m| format!("{m:.2}"));
                let cells: String = shown
                    .iter()
                    .map(|b| match (a == b, find(a, b).and_then(|x| value(x))) {
                        (true, _) => "<td class=\"none\">·</td>".into(),
                        (false, Some(r)) => shaded(r),
                        (false, None) => "<td></td>".to_owned(),
                    })
                    .collect();
                format!("<tr><th class=\"words\" scope=\"row\">{}</th><td>{mean}</td>{cells}</tr>\n", escape(a))
            })
            .collect();
        if shown.is_empty() { None } else { Some(table(&head, &rows)) }
    };
    let mut text = "<h3>Do the metrics agree?</h3>\n<p class=\"small\">Spearman's rank correlation of two metrics, turned so that 1 means that both find the same maps good. A metric that agrees with no other of its kind measures something else, or little. Metrics without a better direction are taken as they are, and count in no mean.</p>\n".to_owned();
    if let Some(matrix) = matrix(&|a| a.over_images) {
        text += &format!(
            "<h4>Over images: do they find the same images' maps good?</h4>\n<p class=\"small\">The mean over methods.</p>\n{matrix}"
        );
    }
    text + &match matrix(&|a| a.over_methods) {
        Some(matrix) => format!(
            "<h4>Over methods: do they put the methods in the same order?</h4>\n<p class=\"small\">Of {}: few, so that large numbers come easily.</p>\n{matrix}",
            count(summary.methods.len(), "method")
        ),
        None => {
            "<p class=\"small\">Fewer than three methods, or methods with equal means, have no order to agree on.</p>\n"
                .into()
        }
    }
}

/// A correlation in a cell that is tinted by it.
fn shaded(r: f64) -> String {
    let colour = if r < 0.0 { "213, 94, 0" } else { "0, 114, 178" };
    format!("<td style=\"background: rgba({colour}, {:.2})\">{r:.2}</td>", 0.55 * r.abs())
}
