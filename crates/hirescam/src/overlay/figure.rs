//! The page: panel, colour bar with its numbers, caption.

use image::{Rgb, RgbImage, imageops};

use super::text::Pen;
use super::{OverlayError, PAPER, Scale, Style};
use crate::heatmap::Heatmap;

/// Lines of caption at most.
const CAPTION_LINES: usize = 3;
pub(super) const INK: [u8; 3] = [38; 3];

/// Panels of one size beside each other, colour bar and caption on paper.
pub(super) fn figure(
    panels: &[RgbImage],
    heatmap: &Heatmap,
    scale: &Scale,
    style: &Style,
) -> Result<RgbImage, OverlayError> {
    let (width, height) = panels.first().map_or((1, 1), RgbImage::dimensions);
    let pen = Pen::new(width.max(height) as f32 / 36.0, style.font.as_ref())?;
    let px = |texts: f32| pen.px(texts);
    let (margin, gap) = (px(0.8), px(0.7));
    let bar = Bar { scale: scale.clone(), ticks: ticks(heatmap, scale), title: &style.title, pen: &pen };
    // A flat picture still gets a bar of some height, a narrow one paper for its caption.
    let bar_height = height.max(px(12.5));
    let all = (width + gap) * panels.len() as u32 - gap;
    let room = all.max(px(14.0));

    let page = margin + room + gap + bar.width() + margin;
    let words: Vec<String> = [Some(style.caption.clone()), style.clipped()].into_iter().flatten().collect();
    let words: Vec<String> = words.into_iter().filter(|w| !w.is_empty()).collect();
    let caption = pen.wrap(&words.join(" · "), (page - 2 * margin) as f32, CAPTION_LINES);
    let caption_height = if caption.is_empty() { 0 } else { px(0.5 + 1.25 * caption.len() as f32) };
    let mut paper = RgbImage::from_pixel(page, margin + bar_height + caption_height + margin, Rgb(PAPER));

    let (mut left, top) = (margin + (room - all) / 2, margin + (bar_height - height) / 2);
    for panel in panels {
        imageops::replace(&mut paper, panel, i64::from(left), i64::from(top));
        left += width + gap;
    }
    bar.draw(&mut paper, margin + room + gap, margin, bar_height);
    pen.lines(&mut paper, INK, margin, margin + bar_height + px(0.5), &caption);
    Ok(paper)
}

/// The colour bar with its numbers and its title.
pub(super) struct Bar<'a> {
    pub(super) scale: Scale,
    /// Places from 0 to 1, and what stands there.
    pub(super) ticks: Vec<(f32, String)>,
    /// What the numbers are.
    pub(super) title: &'a str,
    pub(super) pen: &'a Pen,
}

impl Bar<'_> {
    fn label_width(&self) -> u32 {
        self.ticks.iter().map(|(_, label)| self.pen.width(label)).fold(0.0, f32::max).ceil() as u32
    }

    /// The room it takes, with all its words.
    pub(super) fn width(&self) -> u32 {
        let title = if self.title.is_empty() { 0 } else { self.pen.px(1.5) };
        self.pen.px(1.0) + self.pen.px(0.45) + self.label_width() + title
    }

    pub(super) fn draw(&self, paper: &mut RgbImage, bar_left: u32, top: u32, height: u32) {
        let (scale, pen, text) = (&self.scale, self.pen, self.pen.size);
        let px = |texts: f32| pen.px(texts);
        let width = px(1.0);
        for y in 0..height {
            let place = 1.0 - (y as f32 + 0.5) / height as f32;
            for x in 0..width {
                // On a ground from dark to light, as photos have it.
                let ground = 40.0 + 190.0 * x as f32 / width as f32;
                let color = if scale.high > scale.low {
                    scale.paint(place, [ground as u8; 3])
                } else {
                    scale.paint(scale.place(0.0), [ground as u8; 3])
                };
                paper.put_pixel(bar_left + x, top + y, Rgb(color));
            }
        }
        let line = (text / 14.0).round().max(1.0) as u32;
        frame(paper, bar_left, top, width, height, line);
        for (place, label) in &self.ticks {
            let y = top as f32 + (1.0 - place) * (height - line) as f32;
            for (dx, dy) in (0..px(0.25)).flat_map(|dx| (0..line).map(move |dy| (dx, dy))) {
                put(paper, bar_left + width + dx, y as u32 + dy);
            }
            // Labels at the ends stay within the bar's height.
            let at = (y - 0.53 * text).clamp(top as f32 - 0.12 * text, (top + height) as f32 - 0.92 * text);
            pen.draw(paper, INK, (bar_left + width + px(0.45)) as f32, at, label);
        }
        if !self.title.is_empty() {
            let title = pen.shorten(self.title, height as f32);
            let mut strip = RgbImage::from_pixel(height, px(1.2), Rgb(PAPER));
            pen.draw(&mut strip, INK, (height as f32 - pen.width(&title)) / 2.0, 0.0, &title);
            let x = bar_left + width + px(0.45) + self.label_width() + px(0.3);
            imageops::replace(paper, &imageops::rotate270(&strip), i64::from(x), i64::from(top));
        }
    }
}

/// Places and labels: both ends, and the zero if it lies between them, else the middle. "≤" and "≥" where values go beyond.
pub(super) fn ticks(heatmap: &Heatmap, scale: &Scale) -> Vec<(f32, String)> {
    if scale.high <= scale.low {
        return vec![(0.5, number(scale.low))];
    }
    let below = if heatmap.min() < scale.low { "≤ " } else { "" };
    let above = if heatmap.max() > scale.high { "≥ " } else { "" };
    let middle = if scale.low < 0.0 && scale.high > 0.0 { 0.0 } else { (scale.low + scale.high) / 2.0 };
    let mut ticks =
        vec![(0.0, format!("{below}{}", number(scale.low))), (1.0, format!("{above}{}", number(scale.high)))];
    let place = scale.place(middle);
    // Not where it would run into an end's label.
    if (0.15..=0.85).contains(&place) {
        ticks.push((place, number(middle)));
    }
    ticks
}

/// Three significant digits, with a real minus.
pub(crate) fn number(value: f32) -> String {
    let size = value.abs();
    let text = if size == 0.0 {
        "0".into()
    } else if !(1e-3..1e5).contains(&size) {
        format!("{size:.2e}")
    } else {
        let digits = (2.0 - size.log10().floor()).clamp(0.0, 5.0) as usize;
        format!("{size:.digits$}")
    };
    if value < 0.0 { format!("−{}", text.replace('-', "−")) } else { text.replace('-', "−") }
}

fn frame(paper: &mut RgbImage, left: u32, top: u32, width: u32, height: u32, line: u32) {
    for x in 0..width {
        (0..line).for_each(|d| put(paper, left + x, top + d));
        (0..line).for_each(|d| put(paper, left + x, top + height - 1 - d));
    }
    for y in 0..height {
        (0..line).for_each(|d| put(paper, left + d, top + y));
        (0..line).for_each(|d| put(paper, left + width - 1 - d, top + y));
    }
}

fn put(paper: &mut RgbImage, x: u32, y: u32) {
    if let Some(pixel) = paper.get_pixel_mut_checked(x, y) {
        pixel.0 = INK;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (9.1234, "9.12"),
            (-12.34, "−12.3"),
            (1234.5, "1234"),
            (0.001234, "0.00123"),
            (1.5e-7, "1.50e−7"),
            (-2e9, "−2.00e9"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
