//! The picture that people look at: a heatmap on its photo, with a colour bar that shows the numbers.

mod figure;
mod side_by_side;
mod svg;
mod text;

pub(crate) use figure::number;
pub use side_by_side::{Scales, Tile, side_by_side};
pub use svg::svg;
pub use text::Font;

use image::{Rgb, RgbImage};
use serde::{Deserialize, Serialize};

use crate::colormap::{Colormap, ColormapKind, colormap};
use crate::heatmap::Heatmap;
use crate::photo::Photo;
use crate::preprocess::{Filter, Rect, resample};
use figure::figure;
use text::Pen;

/// What a picture consists of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arrangement {
    /// The overlay with colour bar and caption, of a size to look at.
    #[default]
    Figure,
    /// The same, with the photo as it is to the left of it.
    Beside,
    /// The overlay alone, in the photo's own pixels.
    Plain,
}

/// How an overlay looks.
#[derive(Debug, Clone)]
pub struct Style {
    /// The colours; without any, `inferno` for rectified maps and `glow` for signed ones.
    pub colormap: Option<&'static Colormap>,
    /// The values at the ends of the colour bar; without any, 0 to max for rectified maps and −max |v| to max |v| for
    /// signed ones. Values beyond get the colour of the end.
    pub range: Option<(f32, f32)>,
    /// A percentile of the sizes |v| of all cells that are not 0, which takes the place of the largest |v| at the ends of the
    /// colour bar: maps of pixels have few large values, and are hardly seen beside them. It is stated in the caption.
    pub clip: Option<f32>,
    /// How much of the photo the strongest colours cover, 0 to 1.
    pub opacity: f32,
    /// Whether weak values cover less of the photo, so that places without evidence show it untouched. The colour bar is
    /// drawn in the same way, on a ground from dark to light.
    pub fade: bool,
    /// Whether the map's cells are shown as they are, and not blended into one another.
    pub sharp: bool,
    /// What the numbers at the colour bar are, for example "contribution to the score".
    pub title: String,
    /// Text below the picture; broken into at most three lines.
    pub caption: String,
    /// What the picture consists of.
    pub layout: Arrangement,
    /// What words are written with, where the bundled fonts do not have it all.
    pub font: Option<Font>,
    /// The longer side of each photo in pixels, up to 4096; without it, one that suits the layout.
    pub side: Option<u32>,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            colormap: None,
            range: None,
            clip: None,
            opacity: 0.85,
            fade: true,
            sharp: false,
            title: String::new(),
            caption: String::new(),
            layout: Arrangement::default(),
            font: None,
            side: None,
        }
    }
}

impl Style {
    /// The characters of a text that no font here has, or that cannot be set letter by letter from left to right; a box is
    /// drawn for each.
    ///
    /// # Errors
    /// [`OverlayError::Font`].
    pub fn missing(&self, text: &str) -> Result<String, OverlayError> {
        let pen = Pen::new(1.0, self.font.as_ref())?;
        let mut missing: Vec<char> = text.chars().filter(|&c| !c.is_whitespace() && !pen.has(c)).collect();
        missing.sort_unstable();
        missing.dedup();
        Ok(missing.into_iter().collect())
    }

    /// The least and the most pixels of a photo's longer side, which are `otherwise` where the style does not say it.
    fn sides(&self, otherwise: (u32, u32)) -> Result<(u32, u32), OverlayError> {
        match self.side {
            None => Ok(otherwise),
            Some(side @ 1..=LARGEST_SIDE) => Ok((side, side)),
            Some(side) => {
                let reason = format!("{side} pixels; needs 1 to {LARGEST_SIDE}");
                Err(OverlayError::Invalid { field: "side", reason })
            }
        }
    }

    /// Where the colours end, when that is not at the largest value.
    pub(crate) fn clipped(&self) -> Option<String> {
        self.clip.filter(|_| self.range.is_none()).map(|p| format!("colours end at percentile {p} of the cells"))
    }
}

/// Why an overlay cannot be drawn.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OverlayError {
    /// A field of the style, or the view, holds nonsense.
    #[error("overlay `{field}`: {reason}")]
    Invalid {
        /// The field's name.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The default colour map is missing.
    #[error(transparent)]
    Colormap(#[from] crate::colormap::UnknownColormap),
    /// A font cannot be read.
    #[error("the font cannot be read: it is damaged, or no TrueType or OpenType font")]
    Font,
}

/// Small pictures are enlarged until their longer side has this many pixels, so that text fits beside them.
const LEAST_SIDE: u32 = 720;
/// Large pictures are shrunk to this many pixels on their longer side.
const MOST_SIDE: u32 = 1440;
/// No photo is enlarged further than this.
const LARGEST_SIDE: u32 = 4096;
/// Pictures up to this size are enlarged pixel by pixel: theirs are meant to be seen.
const PIXEL_ART: u32 = 96;
const PAPER: [u8; 3] = [255; 3];

/// Draws a heatmap where it belongs on the upright photo: stretched bilinearly over `view`, the part the network saw
/// (see [`PreparedPhoto`](crate::preprocess::PreparedPhoto)); the rest is paled.
///
/// What else the picture holds is the style's [`Arrangement`]. Under the colours the photo is grey, so that every hue in the picture is a value of the map. The map is taken as it is: rectify it
/// before if only evidence for the class is to be seen, but do not normalise it, for the bar's numbers are its values.
///
/// # Errors
/// [`OverlayError::Invalid`] if the range, the percentile, the opacity or the view is none.
pub fn overlay(photo: &Photo, view: Rect, heatmap: &Heatmap, style: &Style) -> Result<RgbImage, OverlayError> {
    let scale = Scale::new(heatmap, style)?;
    let finite = view.x.is_finite() && view.y.is_finite();
    if !(finite && view.width > 0.0 && view.height > 0.0) {
        return Err(OverlayError::Invalid { field: "view", reason: format!("{view:?} is no rectangle") });
    }
    let sides = style.sides((LEAST_SIDE, MOST_SIDE))?;
    if style.layout == Arrangement::Plain {
        let ground = if style.side.is_some() { scaled(photo, sides) } else { photo.rgb().clone() };
        return Ok(painted(ground, photo, view, heatmap, &scale));
    }
    let beside = (style.layout == Arrangement::Beside).then(|| scaled(photo, sides));
    let panels: Vec<RgbImage> = beside.into_iter().chain([panel(photo, view, heatmap, &scale, sides)]).collect();
    figure(&panels, heatmap, &scale, style)
}

/// The same without colour bar and words, its longer side `side` pixels: for pages that bring their own.
///
/// # Errors
/// As [`overlay`].
pub fn bare(photo: &Photo, view: Rect, heatmap: &Heatmap, style: &Style, side: u32) -> Result<RgbImage, OverlayError> {
    Ok(panel(photo, view, heatmap, &Scale::new(heatmap, style)?, (side, side)))
}

/// The photo alone, in the size that [`bare`] has.
///
/// # Errors
/// [`OverlayError::Invalid`] for a side of 0, or beyond 4096.
pub fn plain(photo: &Photo, side: u32) -> Result<RgbImage, OverlayError> {
    let sides = Style { side: Some(side), ..Style::default() }.sides((side, side))?;
    Ok(scaled(photo, sides))
}

/// Writes into the middle of a picture: dark words on a pale ground, in at most four lines, as large as fits; what does not fit at all ends in "…".
///
/// # Errors
/// [`OverlayError::Font`].
pub fn inscribe(picture: &mut RgbImage, words: &str, font: Option<&Font>) -> Result<(), OverlayError> {
    const LINES: usize = 4;
    const LEAST: f32 = 8.0;
    let (width, height) = picture.dimensions();
    let mut pen = Pen::new((width.min(height) as f32 / 12.0).max(LEAST), font)?;
    let fits = |pen: &Pen| {
        let lines = pen.wrap(words, 0.85 * width as f32, usize::MAX);
        lines.len() <= LINES && !lines.iter().any(|line| line.ends_with('…'))
    };
    while pen.size > LEAST && !fits(&pen) {
        pen = Pen::new((0.85 * pen.size).max(LEAST), font)?;
    }
    let lines = pen.wrap(words, 0.85 * width as f32, LINES);
    let widest = lines.iter().map(|line| pen.width(line)).fold(0.0, f32::max);
    let (wide, high) = (widest.ceil() as u32 + pen.px(1.0), pen.px(1.25 * lines.len() as f32 + 0.75));
    let (left, top) = (width.saturating_sub(wide) / 2, height.saturating_sub(high) / 2);
    for y in top..(top + high).min(height) {
        for x in left..(left + wide).min(width) {
            picture.put_pixel(x, y, Rgb([245; 3]));
        }
    }
    for (i, line) in lines.iter().enumerate() {
        let x = (width as f32 - pen.width(line)) / 2.0;
        pen.draw(picture, [20; 3], x, top as f32 + (0.5 + 1.25 * i as f32) * pen.size, line);
    }
    Ok(())
}

/// From values to colours, the same on the photo and on the bar.
#[derive(Clone)]
struct Scale {
    colors: &'static Colormap,
    low: f32,
    high: f32,
    opacity: f32,
    fade: bool,
    sharp: bool,
}

impl Scale {
    fn new(heatmap: &Heatmap, style: &Style) -> Result<Self, OverlayError> {
        let colors = match style.colormap {
            Some(colors) => colors,
            None => colormap(if heatmap.is_rectified() { "inferno" } else { "glow" })?,
        };
        let strongest = match style.clip {
            None => heatmap.max().max(-heatmap.min()),
            Some(p) if p > 0.0 && p <= 100.0 => percentile(heatmap, p),
            Some(p) => {
                let reason = format!("{p}; needs a percentile above 0 and up to 100");
                return Err(OverlayError::Invalid { field: "clip", reason });
            }
        };
        let (low, high) = match style.range {
            Some((low, high)) if low < high && low.is_finite() && high.is_finite() => (low, high),
            Some((low, high)) => {
                return Err(OverlayError::Invalid {
                    field: "range",
                    reason: format!("{low} to {high}; needs two numbers, the lower first"),
                });
            }
            None if heatmap.is_rectified() => (0.0, strongest),
            None if colors.kind == ColormapKind::Diverging => (-strongest, strongest),
            None => (heatmap.min().max(-strongest), heatmap.max().min(strongest)),
        };
        if !(0.0..=1.0).contains(&style.opacity) {
            return Err(OverlayError::Invalid { field: "opacity", reason: format!("{}; needs 0 to 1", style.opacity) });
        }
        Ok(Self { colors, low, high, opacity: style.opacity, fade: style.fade, sharp: style.sharp })
    }

    /// Where a value lies between the ends, 0 to 1.
    fn place(&self, value: f32) -> f32 {
        let (low, high, value) = (f64::from(self.low), f64::from(self.high), f64::from(value));
        match self.colors.kind {
            // A map of zeros: no evidence.
            _ if high > low => ((value - low) / (high - low)).clamp(0.0, 1.0) as f32,
            ColormapKind::Sequential => 0.0,
            ColormapKind::Diverging => 0.5,
        }
    }

    /// The colour at a place of the scale over a ground.
    fn paint(&self, place: f32, ground: [u8; 3]) -> [u8; 3] {
        let (colour, cover) = self.colour(place);
        mix(ground, colour, cover)
    }

    /// The colour at a place of the scale, and how much of the ground it covers.
    fn colour(&self, place: f32) -> ([u8; 3], f32) {
        let cover = match self.colors.kind {
            _ if !self.fade => 1.0,
            // Rises fast and levels off: colours can be told apart from a third of the range on.
            ColormapKind::Sequential => 1.0 - (1.0 - place).powi(3),
            // Rises slowly from the zero, whose pale colour would lie on a dark photo like fog.
            ColormapKind::Diverging => {
                let strength = (2.0 * place - 1.0).abs().powf(0.75);
                strength * strength * (3.0 - 2.0 * strength)
            }
        };
        (self.colors.color(place), self.opacity * cover)
    }
}

/// A percentile of the sizes of the cells that are not 0, between two of them linearly; 0 where all are 0.
fn percentile(heatmap: &Heatmap, percent: f32) -> f32 {
    let mut sizes: Vec<f32> = heatmap.values().iter().map(|v| v.abs()).filter(|v| *v > 0.0).collect();
    sizes.sort_by(f32::total_cmp);
    let at = f64::from(percent) / 100.0 * sizes.len().saturating_sub(1) as f64;
    let size = |i: usize| sizes.get(i).copied().map(f64::from);
    let (Some(low), part) = (size(at as usize), at.fract()) else { return 0.0 };
    let high = size(at as usize + 1).unwrap_or(low);
    (low + part * (high - low)) as f32
}

/// The photo with a longer side between `least` and `most` pixels.
pub(crate) fn scaled(photo: &Photo, (least, most): (u32, u32)) -> RgbImage {
    let longer = photo.width().max(photo.height());
    let side = if longer <= PIXEL_ART { least.div_ceil(longer) * longer } else { longer.clamp(least, most) };
    let scaled = |n: u32| ((u64::from(n) * u64::from(side)) / u64::from(longer)).max(1) as u32;
    let filter = if longer <= PIXEL_ART { Filter::Nearest } else { Filter::Bicubic };
    resample::resize(photo.rgb(), scaled(photo.width()), scaled(photo.height()), filter)
}

/// The photo, scaled for display, with the colours on it.
fn panel(photo: &Photo, view: Rect, heatmap: &Heatmap, scale: &Scale, sides: (u32, u32)) -> RgbImage {
    painted(scaled(photo, sides), photo, view, heatmap, scale)
}

/// The colours on a picture of the whole photo.
fn painted(mut picture: RgbImage, photo: &Photo, view: Rect, heatmap: &Heatmap, scale: &Scale) -> RgbImage {
    let per_x = f64::from(photo.width()) / f64::from(picture.width());
    let per_y = f64::from(photo.height()) / f64::from(picture.height());
    for (x, y, Rgb(pixel)) in picture.enumerate_pixels_mut() {
        let across = ((f64::from(x) + 0.5) * per_x - view.x) / view.width;
        let down = ((f64::from(y) + 0.5) * per_y - view.y) / view.height;
        let luma = gray(*pixel);
        *pixel = if (0.0..=1.0).contains(&across) && (0.0..=1.0).contains(&down) {
            let value = if scale.sharp { heatmap.cell(down, across) } else { heatmap.at(down, across) };
            scale.paint(scale.place(value), luma)
        } else {
            mix(luma, PAPER, 0.72)
        };
    }
    picture
}

fn gray([r, g, b]: [u8; 3]) -> [u8; 3] {
    [((19595 * u32::from(r) + 38470 * u32::from(g) + 7471 * u32::from(b) + 0x8000) >> 16) as u8; 3]
}

/// (1 − t) · a + t · b, rounded.
fn mix(a: [u8; 3], b: [u8; 3], t: f32) -> [u8; 3] {
    // A cast cuts off; rounding itself would be a call for each number.
    std::array::from_fn(|k| (f32::from(a[k]) + (f32::from(b[k]) - f32::from(a[k])) * t + 0.5) as u8)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::figure::ticks;
    use super::*;
    use ndarray::{Array2, array};

    fn photo(width: u32, height: u32) -> Photo {
        Photo::from_rgb(RgbImage::from_pixel(width, height, Rgb([200, 30, 60]))).unwrap()
    }

    fn whole(photo: &Photo) -> Rect {
        Rect { x: 0.0, y: 0.0, width: photo.width().into(), height: photo.height().into() }
    }

    fn hue(Rgb([r, g, b]): Rgb<u8>) -> u8 {
        r.max(g).max(b) - r.min(g).min(b)
    }

    #[test]
    fn a_place_without_evidence_is_the_grey_photo_and_the_peak_has_the_top_colour() {
        let photo = photo(720, 720);
        let map = Heatmap::new(Array2::from_shape_fn((9, 9), |at| if at == (4, 4) { 3.0 } else { 0.0 })).unwrap();
        for map in [map.clone(), map.rectify()] {
            let scale = Scale::new(&map, &Style::default()).unwrap();
            let panel = panel(&photo, whole(&photo), &map, &scale, (LEAST_SIDE, MOST_SIDE));
            let ground = gray([200, 30, 60]);
            assert_eq!(panel.get_pixel(10, 10).0, ground);
            // The middle cell spans 320..400, its centre is at 360.
            assert_eq!(
                panel.get_pixel(360, 360).0,
                scale.paint(scale.place(map.at(360.5 / 720.0, 360.5 / 720.0)), ground)
            );
            assert!(hue(*panel.get_pixel(360, 360)) > 60);
        }
    }

    #[test]
    fn sharp_cells_have_one_colour_each_and_blended_ones_have_not() {
        let photo = photo(720, 720);
        let map = Heatmap::new(array![[1.0, -3.0], [0.5, 2.0]]).unwrap();
        let colours = |sharp: bool| {
            let style = Style { sharp, layout: Arrangement::Plain, ..Style::default() };
            let drawn = overlay(&photo, whole(&photo), &map, &style).unwrap();
            drawn.pixels().map(|pixel| pixel.0).collect::<std::collections::BTreeSet<_>>().len()
        };
        assert_eq!(colours(true), 4);
        assert!(colours(false) > 50);
        let at = |y: f64, x: f64| map.cell(y, x);
        assert_eq!((at(0.0, 0.0), at(0.49, 0.51), at(1.0, 0.0), at(1.0, 1.0)), (1.0, -3.0, 0.5, 2.0));
    }

    #[test]
    fn outside_the_view_nothing_is_coloured() {
        let photo = photo(1000, 800);
        let view = Rect { x: 200.0, y: 100.0, width: 500.0, height: 500.0 };
        let map = Heatmap::new(array![[1.0]]).unwrap();
        let scale = Scale::new(&map, &Style::default()).unwrap();
        let panel = panel(&photo, view, &map, &scale, (LEAST_SIDE, MOST_SIDE));
        assert_eq!(panel.dimensions(), (1000, 800));
        for (x, y, pixel) in panel.enumerate_pixels() {
            let inside = (200..700).contains(&x) && (100..600).contains(&y);
            assert_eq!(hue(*pixel) > 20, inside, "{x} {y}");
        }
    }

    #[test]
    fn scales_start_at_zero_or_are_symmetric_about_it() {
        let map = Heatmap::new(array![[-4.0, 1.0]]).unwrap();
        let ends = |map: &Heatmap, style: &Style| Scale::new(map, style).map(|s| (s.low, s.high));
        assert_eq!(ends(&map, &Style::default()).unwrap(), (-4.0, 4.0));
        assert_eq!(ends(&map.clone().rectify(), &Style::default()).unwrap(), (0.0, 1.0));
        let signed_in_viridis = Style { colormap: Some(colormap("viridis").unwrap()), ..Style::default() };
        assert_eq!(ends(&map, &signed_in_viridis).unwrap(), (-4.0, 1.0));
        let fixed = Style { range: Some((-1.0, 2.0)), ..Style::default() };
        let labels = ticks(&map, &Scale::new(&map, &fixed).unwrap()).into_iter().map(|t| t.1).collect::<Vec<_>>();
        assert_eq!(labels, ["≤ −1.00", "2.00", "0"]);
        for style in
            [Style { range: Some((1.0, 1.0)), ..Style::default() }, Style { opacity: f32::NAN, ..Style::default() }]
        {
            assert!(ends(&map, &style).is_err());
        }
        // All negative, rectified: one colour and the number 0.
        let zeros = Heatmap::new(array![[-4.0, -1.0]]).unwrap().rectify();
        let zeros_scale = Scale::new(&zeros, &Style::default()).unwrap();
        assert_eq!(ticks(&zeros, &zeros_scale), [(0.5, "0".to_owned())]);
        assert_eq!(zeros_scale.paint(zeros_scale.place(0.0), [100; 3]), [100; 3]);
    }

    #[test]
    fn colours_end_at_a_percentile_of_the_cells_that_are_not_0() {
        let map = Heatmap::new(array![[0.0, 0.0, -1.0, 2.0], [0.0, 3.0, 4.0, 100.0]]).unwrap();
        let ends = |clip: f32, map: &Heatmap| {
            Scale::new(map, &Style { clip: Some(clip), ..Style::default() }).map(|s| (s.low, s.high))
        };
        assert_eq!(ends(50.0, &map).unwrap(), (-3.0, 3.0));
        assert_eq!(ends(25.0, &map.clone().rectify()).unwrap(), (0.0, 2.75));
        assert_eq!(ends(100.0, &map).unwrap(), (-100.0, 100.0));
        assert_eq!(ends(50.0, &Heatmap::new(array![[0.0]]).unwrap()).unwrap(), (0.0, 0.0));
        for nonsense in [0.0, -1.0, 101.0, f32::NAN] {
            assert!(ends(nonsense, &map).is_err());
        }
    }

    #[test]
    fn photos_are_as_large_as_asked_for() {
        let map = Heatmap::new(array![[0.0, 2.0]]).unwrap().rectify();
        for (w, h, side) in [(30, 20, 300), (2000, 900, 500), (97, 31, 64), (3, 2, 40)] {
            let photo = photo(w, h);
            let of = |layout| {
                let style = Style { layout, side: Some(side), ..Style::default() };
                overlay(&photo, whole(&photo), &map, &style).unwrap().dimensions()
            };
            let [figure, beside, plain] = [Arrangement::Figure, Arrangement::Beside, Arrangement::Plain].map(of);
            let longer = plain.0.max(plain.1);
            // Small ones are enlarged by whole numbers.
            assert!(if w > PIXEL_ART { longer == side } else { longer >= side && longer % w == 0 }, "{plain:?}");
            assert!(figure.0 > plain.0 && figure.1 > plain.1 && beside.0 >= figure.0 && beside.0 > 2 * plain.0);
        }
        for side in [0, LARGEST_SIDE + 1, u32::MAX] {
            let style = Style { side: Some(side), ..Style::default() };
            assert!(overlay(&photo(5, 5), whole(&photo(5, 5)), &map, &style).is_err());
        }
    }

    #[test]
    fn plain_pictures_have_the_photos_pixels_and_others_a_frame() {
        let map = Heatmap::new(array![[0.0, 2.0]]).unwrap().rectify();
        for (w, h) in [(1, 1), (30, 20), (2000, 900)] {
            let photo = photo(w, h);
            let of = |layout| {
                overlay(&photo, whole(&photo), &map, &Style { layout, ..Style::default() }).unwrap().dimensions()
            };
            let [figure, beside, plain] = [Arrangement::Figure, Arrangement::Beside, Arrangement::Plain].map(of);
            assert_eq!(plain, (w, h));
            assert!(beside.0 > figure.0 && beside.1 == figure.1, "{beside:?} {figure:?}");
        }
    }

    #[test]
    fn signed_colours_stand_out_from_dark_and_from_light_photos() {
        let map = Heatmap::new(array![[-1.0, 1.0]]).unwrap();
        let scale = Scale::new(&map, &Style::default()).unwrap();
        for (ground, place) in [0, 20, 128, 235, 255].into_iter().flat_map(|g| [(g, 0.0), (g, 0.2), (g, 0.8), (g, 1.0)])
        {
            let color = scale.paint(place, [ground; 3]);
            let apart = color.iter().map(|c| c.abs_diff(ground)).max().unwrap();
            assert!(apart > 70 && hue(Rgb(color)) > 60, "{place} on {ground}: {color:?}");
        }
    }

    #[test]
    fn pictures_of_any_shape_are_drawn() {
        let map = Heatmap::new(array![[-1.0, 2.0], [0.5, 0.0]]).unwrap();
        let style = Style {
            title: "contribution to the score".repeat(9),
            caption: "tiger cat 9.12 · HiResCAM ".repeat(40),
            ..Style::default()
        };
        for (w, h) in [(1, 1), (28, 28), (3, 2000), (5000, 40), (64, 64), (97, 31)] {
            let photo = photo(w, h);
            let picture = overlay(&photo, whole(&photo), &map, &style).unwrap();
            assert!(picture.width() >= 250 && picture.height() >= 250, "{w}x{h}");
            assert!(picture.width() <= 2200 && picture.height() <= 2200, "{w}x{h}");
            assert_eq!(picture, overlay(&photo, whole(&photo), &map, &style).unwrap());
        }
        let nowhere = Rect { x: 0.0, y: f64::NAN, width: 1.0, height: 1.0 };
        assert!(overlay(&photo(5, 5), nowhere, &map, &style).is_err());
    }

    #[test]
    fn the_photo_alone_has_the_size_of_a_bare_picture() {
        let map = Heatmap::new(array![[1.0]]).unwrap().rectify();
        for (width, height, side) in [(28, 20, 360), (1000, 800, 360), (97, 300, 64)] {
            let photo = photo(width, height);
            let drawn = bare(&photo, whole(&photo), &map, &Style::default(), side).unwrap();
            let alone = plain(&photo, side).unwrap();
            assert_eq!(alone.dimensions(), drawn.dimensions());
            assert!(alone.pixels().all(|pixel| pixel.0 == [200, 30, 60]));
        }
        assert!(plain(&photo(8, 8), 0).is_err() && plain(&photo(8, 8), 5000).is_err());
    }

    #[test]
    fn words_stand_in_the_middle_on_their_own_ground_and_leave_the_rest_as_it_is() {
        let long = "Answer: ".to_owned() + &"tabby cat, ".repeat(12);
        for (width, height, words) in [
            (360, 240, "Choose this picture."),
            (64, 200, "Do not choose this picture."),
            (90, 90, "W"),
            (360, 240, &long),
        ] {
            let ground = RgbImage::from_pixel(width, height, Rgb([120, 200, 160]));
            let mut picture = ground.clone();
            inscribe(&mut picture, words, None).unwrap();
            let changed: Vec<(u32, u32)> = picture
                .enumerate_pixels()
                .filter(|(x, y, pixel)| ground.get_pixel(*x, *y) != *pixel)
                .map(|(x, y, _)| (x, y))
                .collect();
            let ends = |of: fn(&(u32, u32)) -> u32| {
                (changed.iter().map(of).min().unwrap(), changed.iter().map(of).max().unwrap())
            };
            let ((left, right), (top, bottom)) = (ends(|at| at.0), ends(|at| at.1));
            // As far from the one border as from the other, within a pixel, and something of the ground is left.
            assert!(left.abs_diff(width - 1 - right) <= 1 && top.abs_diff(height - 1 - bottom) <= 1);
            assert!(changed.len() < (width * height) as usize);
            // Dark words on a pale ground.
            let dark = picture.pixels().filter(|pixel| pixel.0.iter().all(|v| *v < 150)).count();
            let pale = picture.pixels().filter(|pixel| pixel.0 == [245; 3]).count();
            assert!(dark > 4 && pale > 2 * dark, "{words}: {dark} {pale}");
        }
    }
}
