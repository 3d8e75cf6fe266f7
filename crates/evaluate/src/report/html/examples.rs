//! The maps to look at.

use crate::report::elements::{capital, list};
use crate::report::summary::{Example, Summary, Why};
use crate::report::words::number;
use crate::report::{Pictures, Wanted};
use hirescam::html::{base64, escape};

pub(super) fn examples(summary: &Summary, pictures: Option<&Pictures<'_>>) -> String {
    let (mut html, mut drawn_any) = (String::new(), false);
    let baseline = summary.baseline.as_deref().unwrap_or_default();
    let groups: [(Why, &str); 3] = [
        (Why::Best, "where {baseline} is best by {metric}"),
        (Why::Worst, "where {baseline} is worst by {metric}"),
        (Why::Disagreement, "where {baseline} and another method differ most in {metric}"),
    ];
    for (why, title) in groups {
        let of: Vec<&Example> = summary.examples.iter().filter(|e| e.why == why).collect();
        let Some(first) = of.first() else { continue };
        let title = title.replace("{baseline}", baseline).replace("{metric}", &first.metric);
        html += &format!("<h3>{}</h3>\n", escape(&capital(&title)));
        let (mut figures, mut lines) = (String::new(), Vec::new());
        for example in of {
            let arms = [
                Some((&example.method, Some(example.value))),
                example.other.as_ref().map(|o| (o, example.other_value)),
            ];
            let mut drawn = 0;
            for (method, value) in arms.into_iter().flatten() {
                let wanted = Wanted {
                    index: example.index,
                    image: &example.image,
                    class: &example.class,
                    class_index: example.class_index,
                    method,
                    layer: &example.layer,
                };
                let value = value.map_or(String::new(), |v| format!("{} {}", example.metric, number(v)));
                if let Some(png) = pictures.and_then(|draw| draw(&wanted)) {
                    drawn += 1;
                    let lines = [method.clone(), format!("{}, {}", example.image, example.class), value];
                    figures += &figure(&png, &format!("{method} for {} on {}", example.class, example.image), &lines);
                }
            }
            if drawn == 0 {
                let against = match (&example.other, example.other_value) {
                    (Some(other), Some(value)) => format!(", {other} {}", number(value)),
                    _ => String::new(),
                };
                lines.push(format!(
                    "{}, {}: {} {}{against}",
                    example.image,
                    example.class,
                    example.method,
                    number(example.value)
                ));
            }
        }
        drawn_any |= !figures.is_empty();
        if !figures.is_empty() {
            html += &format!("<div class=\"pictures wider\">\n{figures}</div>\n");
        }
        html += &list(&lines);
    }
    if drawn_any {
        html += "<p class=\"small\">Colours go up to each map's own largest cell. Outlined is what the data set says to be there of the class; what is pale the network does not see.</p>\n";
    }
    let Some(layer) = summary.examples.first().map(|e| e.layer.as_str()) else { return html };
    html + &format!(
        "<p class=\"small\">Chosen by rule from the rows at {}, never by hand: the three best, the three worst, and for each other method the two images and classes with the largest difference; of equal ones the first images.</p>\n",
        escape(layer)
    )
}

fn figure(png: &[u8], alt: &str, lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().filter(|l| !l.is_empty()).map(|l| escape(l)).collect();
    format!(
        "<figure><img alt=\"{}\" src=\"data:image/png;base64,{}\" /><figcaption>{}</figcaption></figure>\n",
        escape(alt),
        base64(png),
        lines.join("<br />")
    )
}
