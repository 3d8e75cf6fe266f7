//! Writing on pictures with the bundled fonts (Roboto and, for what it lacks, DejaVu Sans: see `assets/`), or one that is
//! given.

use super::OverlayError;
use ab_glyph::{Font as _, FontArc, PxScale, ScaleFont, point};
use image::{Rgb, RgbImage};

/// A font that is given, for characters that the bundled ones lack.
#[derive(Debug, Clone)]
pub struct Font(FontArc);

impl Font {
    /// Reads a TrueType or OpenType font; of a collection the first.
    ///
    /// # Errors
    /// [`OverlayError::Font`] for anything else.
    pub fn read(bytes: Vec<u8>) -> Result<Self, OverlayError> {
        FontArc::try_from_vec(bytes).map(Font).map_err(|_| OverlayError::Font)
    }
}

/// Drawn for what no font has.
const BOX: char = '□';

/// Scripts that are written from right to left, or whose letters change with their neighbours: Hebrew to Syriac and the rest up
/// to Arabic Extended, those of India, Tibetan, Burmese, Khmer, and the presentation forms of Hebrew and Arabic. Set letter by
/// letter they would be other words.
const CANNOT_BE_SET: [(char, char); 5] = [
    ('\u{0590}', '\u{0DFF}'),
    ('\u{0F00}', '\u{109F}'),
    ('\u{1780}', '\u{17FF}'),
    ('\u{FB1D}', '\u{FDFF}'),
    ('\u{FE70}', '\u{FEFC}'),
];

/// The fonts at one size.
pub(super) struct Pen {
    /// The first that has a character writes it.
    fonts: Vec<FontArc>,
    /// Height of a line in pixels.
    pub(super) size: f32,
}

impl Pen {
    pub(super) fn new(size: f32, given: Option<&Font>) -> Result<Self, OverlayError> {
        let bundled: [&'static [u8]; 2] =
            [include_bytes!("../../assets/roboto-subset.ttf"), include_bytes!("../../assets/dejavu-subset.ttf")];
        let mut fonts = Vec::new();
        for bytes in bundled {
            fonts.push(FontArc::try_from_slice(bytes).map_err(|_| OverlayError::Font)?);
        }
        fonts.extend(given.map(|font| font.0.clone()));
        Ok(Self { fonts, size })
    }

    /// Whether a character can be written.
    pub(super) fn has(&self, c: char) -> bool {
        let set = !CANNOT_BE_SET.iter().any(|(first, last)| (*first..=*last).contains(&c));
        set && self.fonts.iter().any(|font| font.glyph_id(c).0 != 0)
    }

    /// The font that writes a character, and its glyph there; the box's where none does.
    fn glyph(&self, c: char) -> Option<(&FontArc, ab_glyph::GlyphId)> {
        let c = if self.has(c) || c.is_whitespace() { c } else { BOX };
        let found = self.fonts.iter().map(|font| (font, font.glyph_id(c))).find(|(_, glyph)| glyph.0 != 0);
        found.or_else(|| self.fonts.first().map(|font| (font, font.glyph_id(' '))))
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
        self.fonts.first().map_or(0.0, |font| font.as_scaled(PxScale::from(self.size)).ascent())
    }

    /// Width of one line of text in pixels.
    pub(super) fn width(&self, text: &str) -> f32 {
        self.place(text, |_, _, _| {})
    }

    /// Draws one line whose top left corner is at (x, y); what lies outside the picture is not drawn.
    pub(super) fn draw(&self, picture: &mut RgbImage, ink: [u8; 3], x: f32, y: f32, text: &str) {
        self.place(text, |font, glyph, advance| {
            let glyph = glyph.with_scale_and_position(self.size, point(x + advance, y + self.ascent()));
            let Some(outline) = font.outline_glyph(glyph) else {
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

    /// Calls `put` with each glyph, its font and its distance from the start, and gives the whole width.
    fn place(&self, text: &str, mut put: impl FnMut(&FontArc, ab_glyph::GlyphId, f32)) -> f32 {
        let mut advance = 0.0;
        for (font, glyph) in text.chars().filter_map(|c| self.glyph(c)) {
            put(font, glyph, advance);
            advance += font.as_scaled(PxScale::from(self.size)).h_advance(glyph);
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
        let pen = Pen::new(20.0, None).unwrap();
        for c in " ~0A−Σ·±×…∞≥≤éßłΩЖńệ□Հ".chars() {
            assert!(pen.has(c), "{c}");
        }
    }

    #[test]
    fn what_cannot_be_written_is_a_box_and_is_told() {
        let pen = Pen::new(20.0, None).unwrap();
        assert_eq!(pen.width("猫"), pen.width("□"));
        assert!(pen.width("□") > 5.0);
        // Hebrew has glyphs in many fonts, but is written from the right.
        assert_eq!(crate::overlay::Style::default().missing("cat 猫 猫 שלום\n").unwrap().chars().count(), 5);
        assert!(Font::read(b"no font".to_vec()).is_err());
        let given = Font::read(include_bytes!("../../assets/dejavu-subset.ttf").to_vec()).unwrap();
        assert!(Pen::new(20.0, Some(&given)).unwrap().has('Ж'));
    }

    #[test]
    fn long_texts_are_wrapped_and_shortened() {
        let pen = Pen::new(20.0, None).unwrap();
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
