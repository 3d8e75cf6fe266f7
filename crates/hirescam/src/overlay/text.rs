//! Writing on pictures with the one bundled font (Roboto, Apache-2.0: see `assets/`).

use ab_glyph::{Font, FontRef, InvalidFont, PxScale, ScaleFont, point};
use image::{Rgb, RgbImage};

/// The font at one size.
pub(super) struct Pen {
    font: FontRef<'static>,
    /// Height of a line in pixels.
    pub(super) size: f32,
}

impl Pen {
    pub(super) fn new(size: f32) -> Result<Self, InvalidFont> {
        let font = FontRef::try_from_slice(include_bytes!("../../assets/roboto-subset.ttf"))?;
        Ok(Self { font, size })
    }

    /// So many heights of a line, in whole pixels.
    pub(super) fn px(&self, texts: f32) -> u32 {
        (texts * self.size).round() as u32
    }

    /// Draws lines one below the other.
    pub(super) fn lines(&self, picture: &mut RgbImage, ink: [u8; 3], left: u32, top: u32, lines: &[String]) {
        for (i, line) in lines.iter().enumerate() {
            self.draw(picture, ink, left as f32, top as f32 + 1.25 * self.size * i as f32, line);
        }
    }

    /// Distance from the top of a line to its baseline.
    pub(super) fn ascent(&self) -> f32 {
        self.font.as_scaled(PxScale::from(self.size)).ascent()
    }

    /// Width of one line of text in pixels.
    pub(super) fn width(&self, text: &str) -> f32 {
        self.place(text, |_, _| {})
    }

    /// Draws one line whose top left corner is at (x, y); what lies outside the picture is not drawn.
    pub(super) fn draw(&self, picture: &mut RgbImage, ink: [u8; 3], x: f32, y: f32, text: &str) {
        self.place(text, |glyph, advance| {
            let glyph = glyph.with_scale_and_position(self.size, point(x + advance, y + self.ascent()));
            let Some(outline) = self.font.outline_glyph(glyph) else {
                return;
            };
            let corner = outline.px_bounds().min;
            outline.draw(|gx, gy, coverage| {
                let (px, py) = (corner.x as i64 + i64::from(gx), corner.y as i64 + i64::from(gy));
                let (Ok(px), Ok(py)) = (u32::try_from(px), u32::try_from(py)) else {
                    return;
                };
                if let Some(Rgb(pixel)) = picture.get_pixel_mut_checked(px, py) {
                    *pixel = super::mix(*pixel, ink, coverage.clamp(0.0, 1.0));
                }
            });
        });
    }

    /// Calls `put` with each glyph and its distance from the start, and gives the whole width.
    fn place(&self, text: &str, mut put: impl FnMut(ab_glyph::GlyphId, f32)) -> f32 {
        let scaled = self.font.as_scaled(PxScale::from(self.size));
        let mut advance = 0.0;
        for glyph in text.chars().map(|c| self.font.glyph_id(c)) {
            put(glyph, advance);
            advance += scaled.h_advance(glyph);
        }
        advance
    }

    /// The text if it fits, else as much of its beginning as fits with "…".
    pub(super) fn shorten(&self, text: &str, width: f32) -> String {
        if self.width(text) <= width {
            return text.into();
        }
        let mut short = String::new();
        for c in text.chars() {
            if self.width(&format!("{short}{c}…")) > width {
                break;
            }
            short.push(c);
        }
        format!("{}…", short.trim_end())
    }

    /// Breaks the text at spaces and new lines into at most `lines` lines, the last one shortened.
    pub(super) fn wrap(&self, text: &str, width: f32, lines: usize) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        for paragraph in text.lines() {
            let mut line = String::new();
            for word in paragraph.split_whitespace() {
                let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
                // The last line takes all that is left, to be shortened.
                if line.is_empty() || self.width(&longer) <= width || out.len() + 1 == lines {
                    line = longer;
                } else {
                    out.push(std::mem::replace(&mut line, word.to_owned()));
                }
            }
            out.push(line);
        }
        out.truncate(lines);
        out.iter().map(|line| self.shorten(line, width)).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn all_that_captions_need_is_in_the_font() {
        let pen = Pen::new(20.0).unwrap();
        for c in " ~0A−Σ·±×…∞≥≤éßłΩ".chars() {
            assert_ne!(pen.font.glyph_id(c).0, 0, "{c}");
        }
    }

    #[test]
    fn long_texts_are_wrapped_and_shortened() {
        let pen = Pen::new(20.0).unwrap();
        let text = "a caption of many words that goes on and on · and does not end";
        let lines = pen.wrap(text, 150.0, 3);
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| pen.width(line) <= 150.0));
        assert!(lines[2].ends_with('…'));
        assert_eq!(pen.wrap("short", 150.0, 3), ["short"]);
        assert_eq!(pen.wrap("", 150.0, 3), Vec::<String>::new());
        let word = pen.shorten(&"/very/long/layer/name".repeat(9), 80.0);
        assert!(word.ends_with('…') && pen.width(&word) <= 80.0);
    }
}
