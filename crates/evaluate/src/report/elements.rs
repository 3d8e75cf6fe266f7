//! What pages of reports are put together from. Text is escaped here, unless it is said to be HTML.

use hirescam::html::escape;

/// Lines, below one another; nothing of none.
pub fn list(lines: &[String]) -> String {
    let items: String = lines.iter().map(|line| format!("<li>{}</li>\n", escape(line))).collect();
    if items.is_empty() { items } else { format!("<ul>\n{items}</ul>\n") }
}

/// The head of a column, of `words` or of numbers.
pub fn th(text: &str, words: bool) -> String {
    let class = if words { " class=\"words\"" } else { "" };
    format!("<th{class} scope=\"col\">{}</th>", escape(text))
}

/// A table of a row of heads and of rows, both as HTML. It can be scrolled where it is wider than the page, by the keyboard, too.
pub fn table(head: &str, rows: &str) -> String {
    format!(
        "<div class=\"wide\" tabindex=\"0\">\n<table>\n<thead>\n<tr>{head}</tr>\n</thead>\n<tbody>\n{rows}</tbody>\n</table>\n</div>\n"
    )
}

/// What is shown when its title is clicked; `content` is HTML.
pub fn folded(title: &str, content: &str) -> String {
    format!("<details>\n<summary>{}</summary>\n{content}</details>\n", escape(title))
}

/// Plots beside one another; nothing of none.
pub fn grid(plots: &[String]) -> String {
    let plots: String = plots.iter().map(|svg| format!("<figure>{svg}</figure>\n")).collect();
    if plots.is_empty() { plots } else { format!("<div class=\"plots\">\n{plots}</div>\n") }
}

/// What stands in a cell without a number.
pub const NO_VALUE: &str = "<td class=\"none\">no value</td>";

/// Text in which names stand between backticks.
pub fn coded(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts.map(|(i, part)| if i % 2 == 1 { format!("<code>{}</code>", escape(part)) } else { escape(part) }).collect()
}

/// The text with a capital at its beginning.
pub fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

/// Sections with their titles, and links to them above; content is HTML, and a section without any is left out.
pub fn sections(mut sections: Vec<(String, String)>) -> String {
    sections.retain(|(_, content)| !content.is_empty());
    let links =
        sections.iter().enumerate().map(|(i, (title, _))| format!("<a href=\"#part-{i}\">{}</a>", escape(title)));
    let mut text = format!("<p class=\"small\">{}</p>\n", links.collect::<Vec<_>>().join(" · "));
    for (i, (title, content)) in sections.iter().enumerate() {
        text += &format!("<section id=\"part-{i}\">\n<h2>{}</h2>\n{content}</section>\n", escape(title));
    }
    text
}
