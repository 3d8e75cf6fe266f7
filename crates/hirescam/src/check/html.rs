//! The report as a page of its own: no scripts, nothing from elsewhere.

use super::report::{ImageReport, LayerReport, PictureReport, Report};
use super::words::{self, TextTable};
use crate::html::{END, base64, escape, start};

impl Report {
    /// The report as one HTML page that holds all it shows.
    pub fn html(&self) -> String {
        let title = format!("Faithfulness of maps: {}", self.provenance.model);
        let mut body = format!("<h1>{}</h1>\n{}", escape(&title), list(&words::about(self)));
        body += &format!("<p class=\"small\">SHA-256 of the model: {}</p>\n", escape(&self.provenance.model_sha256));
        if !self.images.is_empty() {
            let shown: String = self.images.iter().map(image).collect();
            body += &format!("<section>\n<h2>Images</h2>\n<div class=\"pictures\">\n{shown}</div>\n</section>\n");
        }
        body += &self.layers.iter().map(|layer| section(layer, &self.images)).collect::<String>();
        if let Some(found) = &self.randomisation {
            body += &format!("<section>\n<h2>Randomised weights</h2>\n{}", list(&words::randomised(found)));
            if found.stages.iter().any(|s| s.error.is_none()) {
                body += &table(&words::correlations(found, false));
                body += &table(&words::correlations(found, true));
            }
            body += "</section>\n";
        }
        if self.layers.iter().any(|l| !l.methods.is_empty()) {
            let row = |(name, what): &(&str, &str)| format!("<dt>{}</dt><dd>{}</dd>\n", escape(name), escape(what));
            let rows: String = words::LEGEND.iter().map(row).collect();
            body += &format!("<section>\n<h2>What the columns are</h2>\n<dl>\n{rows}</dl>\n</section>\n");
        }
        body += &format!("<footer class=\"small\">hirescam {}</footer>\n", escape(&self.version));
        format!("{}{body}{END}", start(&title))
    }
}

fn image(image: &ImageReport) -> String {
    let picture = image.png.as_ref().map_or(String::new(), |png| img(png, &image.name));
    let said = match (&image.explained, image.score, &image.error) {
        (.., Some(error)) => format!("failed: {error}"),
        (Some(explained), Some(score), _) => format!("{explained} (score {score:.4})"),
        _ => String::new(),
    };
    figure(&picture, &[image.name.clone(), said])
}

fn section(layer: &LayerReport, images: &[ImageReport]) -> String {
    let verdict = layer.verdict.as_deref().unwrap_or("not explained");
    let recommended = if layer.recommended { ", recommended" } else { "" };
    let mut html = format!(
        "<section>\n<h2>{}<span class=\"verdict\">{}</span></h2>\n<p class=\"place\">{}, {} places, {}{recommended}</p>\n{}",
        escape(&layer.name),
        escape(verdict),
        escape(&layer.shape),
        escape(&words::resolution(layer)),
        escape(&layer.place),
        list(&words::proven(layer)),
    );
    if !layer.methods.is_empty() {
        html += &table(&words::methods(layer));
    }
    html += &list(&words::failures(layer));
    html += &layer.ablation.as_ref().map_or(String::new(), |a| list(&words::taken_out(layer, a)));
    for (i, image) in images.iter().enumerate() {
        let drawn = layer.methods.iter().flat_map(|m| m.pictures.iter().map(move |p| (m.title.as_str(), p)));
        let drawn: String = drawn.filter(|(_, p)| p.image == i).map(|(title, p)| over(title, p, &image.name)).collect();
        if !drawn.is_empty() {
            html += &format!("<div class=\"pictures\">\n{drawn}</div>\n");
        }
    }
    html + "</section>\n"
}

/// A map over its photo.
fn over(title: &str, picture: &PictureReport, image: &str) -> String {
    let scale = format!("blue to red: ∓{}", crate::overlay::number(picture.largest));
    figure(&img(&picture.png, &format!("{title} on {image}")), &[title.to_owned(), scale])
}

fn figure(picture: &str, lines: &[String]) -> String {
    // Long paths are broken at their folders.
    let broken = |line: &String| escape(line).replace('/', "/<wbr />");
    let lines: Vec<String> = lines.iter().filter(|l| !l.is_empty()).map(broken).collect();
    format!("<figure>{picture}<figcaption>{}</figcaption></figure>\n", lines.join("<br />"))
}

fn img(png: &[u8], alt: &str) -> String {
    format!("<img alt=\"{}\" src=\"data:image/png;base64,{}\" />", escape(alt), base64(png))
}

fn list(lines: &[String]) -> String {
    let items: String = lines.iter().map(|line| format!("<li>{}</li>\n", escape(line))).collect();
    if items.is_empty() { items } else { format!("<ul>\n{items}</ul>\n") }
}

fn table(table: &TextTable) -> String {
    let class = |i: usize| if i < table.words { " class=\"words\"" } else { "" };
    let groups: String = table
        .groups
        .iter()
        .map(|(text, columns)| {
            format!("<th class=\"group\" scope=\"colgroup\" colspan=\"{columns}\">{}</th>", escape(text))
        })
        .collect();
    let cells = |tag: &str, row: &[String]| -> String {
        let cells = row.iter().enumerate();
        cells.map(|(i, cell)| format!("<{tag}{}>{}</{tag}>", class(i), escape(cell))).collect()
    };
    let rows: String = table.rows.iter().map(|row| format!("<tr>{}</tr>\n", cells("td", row))).collect();
    format!(
        "<div class=\"wide\" tabindex=\"0\">\n<table>\n<thead>\n<tr>{groups}</tr>\n<tr>{}</tr>\n</thead>\n<tbody>\n{rows}</tbody>\n</table>\n</div>\n",
        cells("th", &table.head)
    )
}

#[cfg(test)]
mod tests {
    use crate::check::report::example;

    /// Goes through the tags of a page: each is closed where it was opened. Says what stands outside of tags.
    fn outside_of_tags(page: &str) -> String {
        let (mut open, mut text) = (Vec::new(), String::new());
        let (_, mut rest) = page.split_once("<!DOCTYPE html>").unwrap_or_default();
        while let Some((before, after)) = rest.split_once('<') {
            text += before;
            assert!(!before.contains('>'), "{before:?}");
            let (tag, after) = after.split_once('>').unwrap_or_default();
            let name = tag.trim_start_matches('/').split(' ').next().unwrap_or_default();
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric()) && !name.is_empty(), "{tag:?}");
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag:?}");
            match (tag.starts_with('/'), tag.ends_with('/')) {
                (true, _) => assert_eq!(open.pop(), Some(name), "{tag:?}"),
                (false, true) => assert!(["meta", "img", "br", "wbr"].contains(&name), "{tag:?}"),
                (false, false) => open.push(name),
            }
            rest = after;
        }
        assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} {rest:?}");
        text
    }

    #[test]
    fn a_page_is_well_formed_whatever_the_names() {
        let page = example().html();
        let text = outside_of_tags(&page);
        // The names of the example hold markup; it stands there as text.
        assert!(text.contains("&lt;script&gt;alert(&quot;ö&quot;)&lt;/script&gt;"), "{text}");
        assert!(!page.contains("<script") && !page.contains("onerror=x"));
        // Nothing comes from elsewhere.
        assert_eq!(page.matches("src=").count(), page.matches("src=\"data:image/png;base64,").count());
        assert!(["http", "href", "url(", "@import", "<link"].iter().all(|outside| !page.contains(outside)));
    }

    #[test]
    fn a_page_shows_the_numbers_of_the_text() {
        let (report, entities) = (example(), [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&amp;", "&")]);
        let page = report.html().replace("<wbr />", "");
        let page = entities.iter().fold(page, |page, (entity, c)| page.replace(entity, c));
        let mut cells = 0;
        for line in report.text().lines() {
            for cell in line
                .split("  ")
                .flat_map(|c| c.split(": "))
                .map(str::trim)
                .filter(|c| c.contains(|c: char| c.is_ascii_digit()))
            {
                assert!(page.contains(cell), "{cell:?} of {line:?}");
                cells += 1;
            }
        }
        assert!(cells > 50);
    }
}
