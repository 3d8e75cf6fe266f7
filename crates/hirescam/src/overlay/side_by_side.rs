//! Several maps of one photo side by side.

use super::figure::{Bar, INK, ticks};
use super::text::Pen;
use super::{OverlayError, PAPER, Scale, Style, panel, scaled};
use crate::heatmap::Heatmap;
use crate::photo::Photo;
use crate::preprocess::Rect;
use image::{Rgb, RgbImage, imageops};

/// A map among others.
#[derive(Debug, Clone)]
pub struct Tile {
    /// The map: all rectified, or none.
    pub heatmap: Heatmap,
    /// What stands above the picture.
    pub title: String,
    /// What stands below it; long lines are broken.
    pub lines: Vec<String>,
    /// Whether it has a scale and a colour bar of its own, and does not count for the one that the others share.
    pub own_scale: bool,
}

/// The longer side of each picture.
const SIDE: u32 = 420;
/// Pictures beside each other at most.
const MOST_COLUMNS: usize = 4;
/// Lines below a picture, and below all.
const TILE_LINES: usize = 4;
const CAPTION_LINES: usize = 6;

/// Draws the photo, and each map on it, in rows. Maps share one colour scale, from the style's range or up to the
/// strongest of them, whose bar stands at the right; those with a scale of their own have their own bar.
///
/// # Errors
/// As [`overlay`](super::overlay()); [`OverlayError::Invalid`] for no tiles at all.
pub fn side_by_side(photo: &Photo, view: Rect, tiles: &[Tile], style: &Style) -> Result<RgbImage, OverlayError> {
    let pen = Pen::new(SIDE as f32 / 24.0).map_err(|_| OverlayError::Font)?;
    let px = |texts: f32| pen.px(texts);
    let shared = shared(tiles, style)?;
    let plain = scaled(photo, (SIDE, SIDE));
    let drawn = tiles.iter().map(|tile| {
        let scale = match &shared {
            Some((_, shared)) if !tile.own_scale => shared.clone(),
            _ => Scale::new(&tile.heatmap, style)?,
        };
        let picture = panel(photo, view, &tile.heatmap, &scale, (SIDE, SIDE));
        Ok((tile, scale, picture))
    });
    let drawn = drawn.collect::<Result<Vec<_>, OverlayError>>()?;

    let count = tiles.len() + 1;
    let rows = count.div_ceil(MOST_COLUMNS);
    let columns = count.div_ceil(rows);
    let bars: Vec<Option<Bar>> = drawn
        .iter()
        .map(|(tile, scale, _)| {
            let own = tile.own_scale || shared.is_none();
            own.then(|| Bar { scale, ticks: ticks(&tile.heatmap, scale), title: "own scale", pen: &pen })
        })
        .collect();
    let bar_width = bars.iter().flatten().map(Bar::width).max().map_or(0, |w| w + px(0.5));
    let (margin, gap) = (px(1.2), px(1.2));
    let (width, height) = plain.dimensions();
    // A flat photo still gets room for its colour bar, a narrow one for words.
    let height = height.max(px(5.0));
    let column = (width + bar_width).max(px(13.0));
    let lines: Vec<Vec<String>> = drawn.iter().map(|(tile, ..)| below(&pen, tile, column)).collect();
    let most_lines = lines.iter().map(Vec::len).max().unwrap_or(0);
    let row = px(1.5) + height + px(0.4) + px(1.25 * most_lines as f32) + gap;
    let shared_bar = shared.as_ref().map(|(widest, scale)| Bar {
        scale,
        ticks: ticks(widest, scale),
        title: &style.title,
        pen: &pen,
    });
    let beside = shared_bar.as_ref().map_or(0, |bar| 2 * gap + bar.width());
    let page = 2 * margin + columns as u32 * (column + gap) - gap + beside;
    let caption = pen.wrap(&style.caption, (page - 2 * margin) as f32, CAPTION_LINES);
    let caption_height = px(1.25 * caption.len() as f32);
    let mut paper = RgbImage::from_pixel(page, 2 * margin + rows as u32 * row + caption_height, Rgb(PAPER));

    let place = |i: usize| {
        let (x, y) = ((i % columns) as u32, (i / columns) as u32);
        (margin + x * (column + gap), margin + y * row)
    };
    let put = |paper: &mut RgbImage, i: usize, picture: &RgbImage, title: &str, lines: &[String]| {
        let (left, top) = place(i);
        pen.draw(paper, INK, left as f32, top as f32, &pen.shorten(title, column as f32));
        imageops::replace(paper, picture, i64::from(left), i64::from(top + px(1.5)));
        pen.lines(paper, INK, left, top + px(1.5) + height + px(0.4), lines);
    };
    put(&mut paper, 0, &plain, "the photo", &[]);
    for (i, (((tile, _, picture), lines), bar)) in drawn.iter().zip(&lines).zip(&bars).enumerate() {
        put(&mut paper, i + 1, picture, &tile.title, lines);
        if let Some(bar) = bar {
            let (left, top) = place(i + 1);
            bar.draw(&mut paper, left + width + px(0.5), top + px(1.5), height);
        }
    }
    if let Some(bar) = &shared_bar {
        let left = page - margin - bar.width();
        bar.draw(&mut paper, left, margin + px(1.5), height.max(px(12.5)).min(rows as u32 * row));
    }
    pen.lines(&mut paper, INK, margin, margin + rows as u32 * row, &caption);
    Ok(paper)
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

/// The lines below a picture, broken to its width.
fn below(pen: &Pen, tile: &Tile, width: u32) -> Vec<String> {
    pen.wrap(&tile.lines.join("\n"), width as f32, TILE_LINES)
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
        assert!(side_by_side(&photo, view, &[], &style).is_err());
        for n in 1..=9 {
            let tiles: Vec<Tile> = (0..n).map(|i| tile(i as f32, i % 3 == 2)).collect();
            let picture = side_by_side(&photo, view, &tiles, &style).unwrap();
            assert!(picture.width() > SIDE && picture.height() > 300, "{n}");
            assert_eq!(picture, side_by_side(&photo, view, &tiles, &style).unwrap());
        }
    }

    #[test]
    fn photos_of_any_shape_have_room() {
        let style = Style::default();
        for (w, h) in [(1, 1), (3, 900), (2000, 30)] {
            let photo = Photo::from_rgb(RgbImage::from_pixel(w, h, Rgb([90; 3]))).unwrap();
            let view = Rect { x: 0.0, y: 0.0, width: w.into(), height: h.into() };
            let heatmap = Heatmap::new(array![[-1.0, 2.0]]).unwrap();
            let tile = Tile { heatmap, title: "t".into(), lines: vec!["l".into()], own_scale: w > 1 };
            assert!(side_by_side(&photo, view, &[tile.clone(), tile], &style).is_ok(), "{w}×{h}");
        }
    }
}
