//! The report as text.

use super::report::{ImageReport, LayerReport, Report};
use super::words::{self, TextTable};

impl Report {
    /// The report as text.
    pub fn text(&self) -> String {
        self.lines().join("\n") + "\n"
    }

    /// The lines of the report as text.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.provenance.model.clone()];
        lines.extend(words::about(self).iter().map(|l| format!("  {l}")));
        lines.extend(self.images.iter().map(image));
        for layer in &self.layers {
            lines.push(String::new());
            lines.extend(section(layer));
        }
        if let Some(found) = &self.randomisation {
            lines.extend([String::new(), "Randomised weights".into()]);
            lines.extend(words::randomised(found).iter().map(|l| format!("  {l}")));
            if found.stages.iter().any(|s| s.error.is_none()) {
                lines.extend(table(&words::correlations(found, false)));
                lines.extend(table(&words::correlations(found, true)));
            }
        }
        if self.layers.iter().any(|l| !l.methods.is_empty()) {
            lines.push(String::new());
            lines.extend(words::LEGEND.iter().map(|(name, what)| format!("{name}: {what}")));
        }
        lines
    }
}

fn image(image: &ImageReport) -> String {
    match (&image.explained, image.score, &image.error) {
        (.., Some(error)) => format!("  {}: failed: {error}", image.name),
        (Some(explained), Some(score), _) => format!("  {}: {explained} (score {score:.4})", image.name),
        _ => format!("  {}", image.name),
    }
}

fn section(layer: &LayerReport) -> Vec<String> {
    let (mark, recommended) = if layer.recommended { ("*", ", recommended") } else { (" ", "") };
    let mut lines = vec![format!("{mark} {}  {}  {}{recommended}", layer.name, layer.shape, layer.place)];
    lines.extend(words::proven(layer).iter().map(|l| format!("  {l}")));
    if !layer.methods.is_empty() {
        lines.extend(table(&words::methods(layer)));
    }
    lines.extend(words::failures(layer).iter().map(|l| format!("  {l}")));
    lines.extend(layer.ablation.iter().flat_map(|a| words::taken_out(layer, a)).map(|l| format!("  {l}")));
    lines
}

/// Words to the left, numbers to the right.
fn table(table: &TextTable) -> Vec<String> {
    let length = |text: &str| text.chars().count();
    let rows = || std::iter::once(&table.head).chain(&table.rows);
    let mut widths: Vec<usize> = table.head.iter().map(|h| length(h)).collect();
    for row in rows() {
        widths.iter_mut().zip(row).for_each(|(width, cell)| *width = (*width).max(length(cell)));
    }
    // A group's heading must fit over its columns.
    let mut at = 0;
    for (group, columns) in &table.groups {
        let have = widths.iter().skip(at).take(*columns).map(|w| w + 2).sum::<usize>().saturating_sub(2);
        let missing = length(group).saturating_sub(have);
        widths.iter_mut().skip(at + columns.saturating_sub(1)).take(1).for_each(|w| *w += missing);
        at += columns;
    }
    let mut lines = Vec::new();
    let (mut heading, mut at) = (String::new(), 0);
    for (group, columns) in &table.groups {
        let width = widths.iter().skip(at).take(*columns).map(|w| w + 2).sum::<usize>();
        heading += &if at == 0 {
            format!("  {group:<width$}", width = width.saturating_sub(2))
        } else {
            format!("{group:>width$}")
        };
        at += columns;
    }
    lines.push(heading);
    for row in rows() {
        let cells = row.iter().zip(&widths).enumerate().map(|(i, (cell, &width))| match i < table.words {
            true => format!("  {cell:<width$}"),
            false => format!("  {cell:>width$}"),
        });
        lines.push(cells.collect::<String>().trim_end().to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use crate::check::report::example;

    #[test]
    fn the_text_is_as_it_was() {
        let (made, kept) = (example().text(), include_str!("text.txt"));
        for (made, kept) in made.lines().zip(kept.lines()) {
            assert_eq!(made, kept);
        }
        assert_eq!(made, kept, "if it is meant to be so, this goes into check/text.txt:\n{made}");
    }
}
