//! Several maps of one photo side by side.

use super::figure::{Bar, INK, number, ticks};
use super::text::Pen;
use super::{OverlayError, PAPER, Scale, Style, panel, scaled};
use crate::colormap::ColormapKind;
use crate::heatmap::Heatmap;
use crate::photo::Photo;
use crate::preprocess::Rect;
use image::{Rgb, RgbImage, imageops};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A map among others.
#[derive(Debug, Clone)]
pub struct Tile {
    /// The map: all rectified, or none.
    pub heatmap: Heatmap,
    /// What stands above the picture.
    pub title: String,
    /// What stands below it; long lines are broken.
    pub lines: Vec<String>,
    /// Whether it has a scale of its own everywhere, and does not count for the one that the others share.
    pub own_scale: bool,
}

/// Which scales the colours of maps side by side have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scales {
    /// One for all: colours can be compared, and weak maps look weak.
    Shared,
    /// Each its own, up to its largest cell: patterns can be compared.
    Own,
    /// Two rows: the one, and below it the other.
    #[default]
    Both,
}

impl fmt::Display for Scales {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scales::Shared => "shared",
            Scales::Own => "own",
            Scales::Both => "both",
        })
    }
}

impl FromStr for Scales {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Scales::Shared, Scales::Own, Scales::Both];
        let found = all.into_iter().find(|scales| scales.to_string() == text);
        found.ok_or_else(|| "wanted is shared, own or both".into())
    }
}

/// The longer side of each picture where the style does not say it.
const SIDE: u32 = 360;
/// Pictures beside each other at most.
const MOST_COLUMNS: usize = 4;
/// Lines below a picture, and below all.
const TILE_LINES: usize = 5;
const CAPTION_LINES: usize = 8;

/// One row of the page: the photo or nothing in front, and maps with one kind of scale.
struct TileRow<'a> {
    own: bool,
    tiles: &'a [Tile],
    /// Whether the photo stands in front.
    photo: bool,
    /// Whether titles stand above.
    titles: bool,
}

/// Draws the photo, and each map on it, as a grid: all pictures have one size, and each row has its colour bar at the right
/// edge. Maps share one colour scale, from the style's range or up to the strongest of them, or each has its own, up to its
/// own strongest cell; or both, in two rows. A tile that cannot share the scale of others has its own there too, and says so.
///
/// # Errors
/// As [`overlay`](super::overlay()); [`OverlayError::Invalid`] for no tiles at all.
pub fn side_by_side(
    photo: &Photo,
    view: Rect,
    tiles: &[Tile],
    scales: Scales,
    style: &Style,
) -> Result<RgbImage, OverlayError> {
    let sides = style.sides((SIDE, SIDE))?;
    let pen = Pen::new(sides.0 as f32 / 20.0, style.font.as_ref())?;
    let px = |texts: f32| pen.px(texts);
    let shared = shared(tiles, style)?;
    let plain = scaled(photo, sides);
    let (width, height) = plain.dimensions();
    // A flat photo still gets room for its colour bar, a narrow one for words.
    let (column, tall) = (width.max(px(13.0)), height.max(px(9.5)));
    let (margin, gap) = (px(1.2), px(1.2));

    let bands = (tiles.len() + 1).div_ceil(MOST_COLUMNS);
    let columns = (tiles.len() + 1).div_ceil(bands);
    let rows = rows(tiles, columns, scales, shared.is_some());
    let bars: Vec<Bar> =
        rows.iter().map(|row| bar(row, tiles, shared.as_ref(), style, &pen)).collect::<Result<_, _>>()?;
    let lines: Vec<Vec<Vec<String>>> = rows
        .iter()
        .map(|row| {
            row.tiles.iter().map(|tile| below(&pen, tile, (row, scales), style, column)).collect::<Result<_, _>>()
        })
        .collect::<Result<_, OverlayError>>()?;

    let bars_width = bars.iter().map(Bar::width).max().unwrap_or(0);
    let page = 2 * margin + columns as u32 * (column + gap) + bars_width;
    let caption = pen.wrap(&style.caption, (page - 2 * margin) as f32, CAPTION_LINES);
    let row_height = |row: &TileRow, lines: &[Vec<String>]| {
        let most = lines.iter().map(Vec::len).max().unwrap_or(0);
        (if row.titles { px(1.5) } else { 0 }) + tall + px(0.4 + 1.25 * most as f32) + gap
    };
    let all: u32 = rows.iter().zip(&lines).map(|(row, lines)| row_height(row, lines)).sum();
    let mut paper = RgbImage::from_pixel(page, 2 * margin + all + px(1.25 * caption.len() as f32), Rgb(PAPER));

    let mut top = margin;
    for ((row, lines), bar) in rows.iter().zip(&lines).zip(&bars) {
        let picture = top + if row.titles { px(1.5) } else { 0 };
        let left = |i: usize| margin + i as u32 * (column + gap);
        let mut put = |i: usize, picture_of: &RgbImage, title: &str, lines: &[String]| {
            if row.titles {
                pen.draw(&mut paper, INK, left(i) as f32, top as f32, &pen.shorten(title, column as f32));
            }
            let at = (left(i) + (column - width) / 2, picture + (tall - height) / 2);
            imageops::replace(&mut paper, picture_of, i64::from(at.0), i64::from(at.1));
            pen.lines(&mut paper, INK, left(i), picture + tall + px(0.4), lines);
        };
        if row.photo {
            put(0, &plain, "the photo", &[]);
        }
        for (i, (tile, lines)) in row.tiles.iter().zip(lines).enumerate() {
            let scale = scale(tile, row.own, shared.as_ref(), style)?;
            let drawn = panel(photo, view, &tile.heatmap, &scale, sides);
            put(i + usize::from(row.photo), &drawn, &tile.title, lines);
        }
        bar.draw(&mut paper, page - margin - bars_width, picture, tall);
        top += row_height(row, lines);
    }
    pen.lines(&mut paper, INK, margin, top, &caption);
    Ok(paper)
}

/// The rows, from above: the photo stands before the first maps.
fn rows(tiles: &[Tile], columns: usize, scales: Scales, shared: bool) -> Vec<TileRow<'_>> {
    let kinds = match scales {
        _ if !shared => &[true][..],
        Scales::Shared => &[false],
        Scales::Own => &[true],
        Scales::Both => &[false, true],
    };
    let (first, rest) = tiles.split_at(columns.saturating_sub(1).min(tiles.len()));
    let bands = std::iter::once((first, true)).chain(rest.chunks(columns.max(1)).map(|tiles| (tiles, false)));
    let of_band =
        |(tiles, photo)| kinds.iter().enumerate().map(move |(i, &own)| TileRow { own, tiles, photo, titles: i == 0 });
    bands.flat_map(of_band).collect()
}

/// The scale of a tile in a row.
fn scale(tile: &Tile, own: bool, shared: Option<&(Heatmap, Scale)>, style: &Style) -> Result<Scale, OverlayError> {
    match shared {
        Some((_, shared)) if !own && !tile.own_scale => Ok(shared.clone()),
        _ => Scale::new(&tile.heatmap, &Style { range: None, ..style.clone() }),
    }
}

/// The colour bar of a row: with the numbers that maps share, or with shares of each map's own.
fn bar<'a>(
    row: &TileRow,
    tiles: &[Tile],
    shared: Option<&'a (Heatmap, Scale)>,
    style: &'a Style,
    pen: &'a Pen,
) -> Result<Bar<'a>, OverlayError> {
    if let (false, Some((widest, scale))) = (row.own, shared) {
        return Ok(Bar { scale: scale.clone(), ticks: ticks(widest, scale), title: &style.title, pen });
    }
    let rectified = tiles.iter().all(|tile| tile.heatmap.is_rectified());
    let map = Heatmap::new(ndarray::array![[if rectified { 0.0 } else { -1.0 }, 1.0]]);
    let map = map.map_err(|e| OverlayError::Invalid { field: "tiles", reason: e.to_string() })?;
    let map = if rectified { map.rectify() } else { map };
    let scale = Scale::new(&map, &Style { range: None, clip: None, ..style.clone() })?;
    let ticks = match (rectified, scale.colors.kind) {
        (true, _) => vec![(0.0, "0".into()), (1.0, "max".into())],
        (false, ColormapKind::Diverging) => vec![(0.0, "−max".into()), (0.5, "0".into()), (1.0, "max".into())],
        (false, ColormapKind::Sequential) => vec![(0.0, "min".into()), (1.0, "max".into())],
    };
    Ok(Bar { scale, ticks, title: "each its own scale", pen })
}

/// The scale of the tiles that share one, and the map that sets it; none where all have their own.
fn shared(tiles: &[Tile], style: &Style) -> Result<Option<(Heatmap, Scale)>, OverlayError> {
    if tiles.is_empty() {
        return Err(OverlayError::Invalid { field: "tiles", reason: "there are none".into() });
    }
    let strength = |tile: &&Tile| tile.heatmap.max().max(-tile.heatmap.min());
    let among = tiles.iter().filter(|t| !t.own_scale);
    let Some(strongest) = among.max_by(|a, b| strength(a).total_cmp(&strength(b))) else { return Ok(None) };
    Ok(Some((strongest.heatmap.clone(), Scale::new(&strongest.heatmap, style)?)))
}

/// The lines below a picture, broken to its width: in the first row of a method what is said of it, and where the scale is its
/// own how far that goes.
fn below(
    pen: &Pen,
    tile: &Tile,
    (row, scales): (&TileRow, Scales),
    style: &Style,
    width: u32,
) -> Result<Vec<String>, OverlayError> {
    let mut lines = if row.titles { tile.lines.clone() } else { Vec::new() };
    if row.own || tile.own_scale {
        let scale = scale(tile, true, None, style)?;
        let end = number(scale.high.max(-scale.low));
        let more = if style.clip.is_some() { " and more" } else { "" };
        // In a row that shares its scale this one does not.
        let own = if row.own || scales == Scales::Own { "" } else { "own scale, " };
        lines.push(match tile.heatmap.is_rectified() {
            true => format!("{own}max = {end}{more}"),
            false => format!("{own}max |cell| = {end}{more}"),
        });
    }
    Ok(pen.wrap(&lines.join("\n"), width as f32, TILE_LINES))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn tiles_share_a_scale_or_have_their_own() {
        let photo = Photo::from_rgb(RgbImage::from_pixel(40, 30, Rgb([90; 3]))).unwrap();
        let view = Rect { x: 0.0, y: 0.0, width: 40.0, height: 30.0 };
        let tile = |high: f32, own_scale: bool| Tile {
            heatmap: Heatmap::new(array![[0.0, high]]).unwrap().rectify(),
            title: "a method".into(),
            lines: vec!["Σ 3.00".into(), "a sentence that is too long for its picture ".repeat(9)],
            own_scale,
        };
        let style = Style { title: "contribution".into(), caption: "words ".repeat(200), ..Style::default() };
        let tiles = [tile(1.0, false), tile(4.0, false), tile(100.0, true)];
        assert_eq!(shared(&tiles, &style).unwrap().unwrap().1.high, 4.0);
        assert!(shared(&[tile(1.0, true)], &style).unwrap().is_none());
        assert!(side_by_side(&photo, view, &[], Scales::Both, &style).is_err());
        for n in [1, 3, 4, 9] {
            let tiles: Vec<Tile> = (0..n).map(|i| tile(i as f32, i % 3 == 2)).collect();
            for scales in [Scales::Shared, Scales::Own, Scales::Both] {
                let picture = side_by_side(&photo, view, &tiles, scales, &style).unwrap();
                assert!(picture.width() > SIDE && picture.height() > 270, "{n}");
                assert_eq!(scales.to_string().parse(), Ok(scales));
            }
        }
    }

    #[test]
    fn rows_hold_all_tiles_once_for_each_kind_of_scale() {
        let heatmap = Heatmap::new(array![[0.0, 1.0]]).unwrap();
        let tiles: Vec<Tile> = (0..6)
            .map(|i| Tile { heatmap: heatmap.clone(), title: i.to_string(), lines: vec![], own_scale: false })
            .collect();
        let made = |scales, shared| -> Vec<(bool, usize, bool, bool)> {
            let rows = rows(&tiles, 4, scales, shared);
            rows.iter().map(|r| (r.own, r.tiles.len(), r.photo, r.titles)).collect()
        };
        assert_eq!(made(Scales::Shared, true), [(false, 3, true, true), (false, 3, false, true)]);
        assert_eq!(made(Scales::Own, true), made(Scales::Both, false));
        let both = [(false, 3, true, true), (true, 3, true, false), (false, 3, false, true), (true, 3, false, false)];
        assert_eq!(made(Scales::Both, true), both);
    }

    #[test]
    fn a_weak_map_has_its_colours_on_its_own_scale() {
        let photo = Photo::from_rgb(RgbImage::from_pixel(360, 360, Rgb([90; 3]))).unwrap();
        let view = Rect { x: 0.0, y: 0.0, width: 360.0, height: 360.0 };
        let tile = |high: f32| Tile {
            heatmap: Heatmap::new(array![[0.0, high]]).unwrap().rectify(),
            title: String::new(),
            lines: Vec::new(),
            own_scale: false,
        };
        let (tiles, style) = ([tile(1.0), tile(30.0)], Style::default());
        let colourful = |picture: &RgbImage, x: std::ops::Range<u32>| {
            let hue = |Rgb([r, g, b]): &Rgb<u8>| r.max(g).max(b) - r.min(g).min(b) > 60;
            picture.enumerate_pixels().filter(|(at, _, p)| x.contains(at) && hue(p)).count()
        };
        // Photo, weak map, strong map, bar.
        let [shared, own] =
            [Scales::Shared, Scales::Own].map(|scales| side_by_side(&photo, view, &tiles, scales, &style).unwrap());
        let (weak, strong) = (400..770, 780..1150);
        assert!(colourful(&shared, weak.clone()) * 10 < colourful(&shared, strong.clone()));
        let (weak, strong) = (colourful(&own, weak), colourful(&own, strong));
        assert!(weak > 10_000 && weak == strong, "{weak} {strong}");
    }

    #[test]
    fn photos_of_any_shape_have_room() {
        let style = Style::default();
        for (w, h) in [(1, 1), (3, 900), (2000, 30)] {
            let photo = Photo::from_rgb(RgbImage::from_pixel(w, h, Rgb([90; 3]))).unwrap();
            let view = Rect { x: 0.0, y: 0.0, width: w.into(), height: h.into() };
            let heatmap = Heatmap::new(array![[-1.0, 2.0]]).unwrap();
            let tile = Tile { heatmap, title: "t".into(), lines: vec!["l".into()], own_scale: w > 1 };
            assert!(side_by_side(&photo, view, &[tile.clone(), tile], Scales::Both, &style).is_ok(), "{w}×{h}");
        }
    }
}
