//! The same picture in vectors: the frame and its numbers, and the cells as they are.

use super::figure::ticks;
use super::{Arrangement, OverlayError, Scale, Style, gray, painted, scaled};
use crate::heatmap::Heatmap;
use crate::html::{base64, escape};
use crate::photo::Photo;
use crate::preprocess::Rect;
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use std::fmt::Write;

/// More cells are drawn as a picture of pixels: a file of one rectangle for each would be slow to open.
const MOST_CELLS: usize = 1 << 14;
/// The steps of the colour bar.
const STEPS: u32 = 64;
/// How pale the photo is where the network did not see it, as in pictures of pixels.
const PALE: f32 = 0.72;
/// Characters of a line of caption, for each text size of the picture's width.
const CHARACTERS: f64 = 1.9;

/// Draws as [`overlay`](super::overlay) does, as an SVG file that holds all it shows. With the style's `sharp`, each cell is a rectangle that
/// says its value when pointed at.
///
/// # Errors
/// As [`overlay`](super::overlay).
pub fn svg(photo: &Photo, view: Rect, heatmap: &Heatmap, style: &Style) -> Result<String, OverlayError> {
    let scale = Scale::new(heatmap, style)?;
    let ground = scaled(photo, style.sides((super::LEAST_SIDE, super::MOST_SIDE))?);
    let (width, height) = ground.dimensions();
    let cells = heatmap.values();
    let vectors = style.sharp && cells.len() <= MOST_CELLS;
    let mut body = String::new();
    // Writing to a string cannot fail.
    if vectors {
        let mut grey = ground;
        grey.pixels_mut().for_each(|pixel| pixel.0 = gray(pixel.0));
        body += &picture(&grey, 0);
        let (per_x, per_y) =
            (f64::from(width) / f64::from(photo.width()), f64::from(height) / f64::from(photo.height()));
        let seen = [view.x * per_x, view.y * per_y, view.width * per_x, view.height * per_y];
        body += &cells_as_rectangles(heatmap, &scale, seen, (width, height));
    } else {
        body += &picture(&painted(ground, photo, view, heatmap, &scale), 0);
    }
    if style.layout == Arrangement::Plain {
        return Ok(file((f64::from(width), f64::from(height)), &body));
    }
    let text = f64::from(width.max(height)) / 36.0;
    let mut left = 0.0;
    if style.layout == Arrangement::Beside {
        left = f64::from(width) + text;
        let beside = scaled(photo, style.sides((super::LEAST_SIDE, super::MOST_SIDE))?);
        body = format!("{}<g transform=\"translate({left} 0)\">{body}</g>", picture(&beside, 0));
    }
    let bar = left + f64::from(width) + text;
    body += &colour_bar(heatmap, &scale, style, (bar, f64::from(height), text));
    let words: Vec<String> = [Some(style.caption.clone()), style.clipped()].into_iter().flatten().collect();
    let words = words.into_iter().filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" · ");
    let across = bar + 8.0 * text;
    let lines = wrapped(&words, (CHARACTERS * across / text) as usize);
    for (i, line) in lines.iter().enumerate() {
        let y = f64::from(height) + text * (1.4 + 1.25 * i as f64);
        let _ = writeln!(body, "<text x=\"0\" y=\"{y:.1}\">{}</text>", escape(line));
    }
    let below = if lines.is_empty() { 0.0 } else { text * (0.8 + 1.25 * lines.len() as f64) };
    let framed = format!(
        "<g font-family=\"sans-serif\" font-size=\"{text:.1}\" fill=\"#262626\" transform=\"translate({text:.1} {text:.1})\">\n{body}</g>\n"
    );
    Ok(file((across + 2.0 * text, f64::from(height) + below + 2.0 * text), &framed))
}

fn file((width, height): (f64, f64), body: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.1} {height:.1}\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{body}</svg>\n"
    )
}

/// A picture of pixels.
fn picture(pixels: &RgbImage, x: u32) -> String {
    let (width, height) = pixels.dimensions();
    let mut jpeg = Vec::new();
    // What cannot be written as JPEG is left out: it is larger than any picture here.
    let _ = JpegEncoder::new_with_quality(&mut jpeg, 90).encode_image(pixels);
    format!(
        "<image x=\"{x}\" y=\"0\" width=\"{width}\" height=\"{height}\" href=\"data:image/jpeg;base64,{}\"/>\n",
        base64(&jpeg)
    )
}

/// Each cell where it lies, over what the network saw; the rest of the photo is paled.
fn cells_as_rectangles(heatmap: &Heatmap, scale: &Scale, [x, y, width, height]: [f64; 4], photo: (u32, u32)) -> String {
    let (rows, columns) = heatmap.values().dim();
    let (cell_width, cell_height) = (width / columns as f64, height / rows as f64);
    let mut body = format!(
        "<path fill=\"#fff\" fill-opacity=\"{PALE}\" fill-rule=\"evenodd\" d=\"M0 0H{}V{}H0ZM{x:.3} {y:.3}h{width:.3}v{height:.3}h{:.3}Z\"/>\n\
         <g shape-rendering=\"crispEdges\">\n",
        photo.0, photo.1, -width
    );
    for ((row, column), &value) in heatmap.values().indexed_iter() {
        let (colour, cover) = scale.colour(scale.place(value));
        let _ = writeln!(
            body,
            "<rect x=\"{:.3}\" y=\"{:.3}\" width=\"{cell_width:.3}\" height=\"{cell_height:.3}\" fill=\"{}\" fill-opacity=\"{cover:.3}\"><title>{value}</title></rect>",
            x + column as f64 * cell_width,
            y + row as f64 * cell_height,
            hex(colour),
        );
    }
    body + "</g>\n"
}

/// The colours from the largest value to the smallest, on a ground of middle grey, with numbers and title.
fn colour_bar(heatmap: &Heatmap, scale: &Scale, style: &Style, (left, height, text): (f64, f64, f64)) -> String {
    let mut body = String::new();
    let step = height / f64::from(STEPS);
    for i in 0..STEPS {
        let place = 1.0 - (i as f32 + 0.5) / STEPS as f32;
        let place = if scale.high > scale.low { place } else { scale.place(0.0) };
        let _ = writeln!(
            body,
            "<rect x=\"{left:.1}\" y=\"{:.2}\" width=\"{text:.1}\" height=\"{:.2}\" fill=\"{}\"/>",
            f64::from(i) * step,
            step + 0.5,
            hex(scale.paint(place, [135; 3])),
        );
    }
    let _ = writeln!(
        body,
        "<rect x=\"{left:.1}\" y=\"0\" width=\"{text:.1}\" height=\"{height:.1}\" fill=\"none\" stroke=\"#262626\"/>"
    );
    for (place, label) in ticks(heatmap, scale) {
        let y = (1.0 - f64::from(place)) * height;
        let _ = writeln!(
            body,
            "<path stroke=\"#262626\" d=\"M{:.1} {y:.1}h{:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            left + text,
            0.25 * text,
            left + 1.45 * text,
            (y + 0.35 * text).clamp(0.8 * text, height),
            escape(&label),
        );
    }
    let (x, y) = (left + 6.5 * text, height / 2.0);
    let _ = writeln!(
        body,
        "<text text-anchor=\"middle\" transform=\"translate({x:.1} {y:.1}) rotate(-90)\">{}</text>",
        escape(&style.title)
    );
    body
}

/// Words in lines of so many characters.
fn wrapped(words: &str, characters: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < characters => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn hex([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::overlay::figure::number;
    use image::Rgb;
    use ndarray::array;

    #[test]
    fn every_cell_lies_where_the_network_saw_it_and_says_its_value() {
        let photo = Photo::from_rgb(RgbImage::from_pixel(1000, 800, Rgb([200, 30, 60]))).unwrap();
        let view = Rect { x: 100.0, y: 0.0, width: 800.0, height: 800.0 };
        let map = Heatmap::new(array![[1.0, -2.5], [0.0, 0.125]]).unwrap();
        let style = Style { sharp: true, title: "a <title>".into(), caption: "a & b".into(), ..Style::default() };
        let drawn = svg(&photo, view, &map, &style).unwrap();
        for value in ["1", "-2.5", "0", "0.125"] {
            assert_eq!(drawn.matches(&format!("<title>{value}</title>")).count(), 1, "{value}");
        }
        assert!(drawn.contains("<rect x=\"500.000\" y=\"400.000\" width=\"400.000\" height=\"400.000\""), "{drawn}");
        assert!(drawn.contains("a &lt;title&gt;") && drawn.contains("a &amp; b") && !drawn.contains("<title>a"));
        assert!(drawn.contains(&number(2.5)) && drawn.contains(&number(-2.5)));
        let plain = svg(&photo, view, &map, &Style { layout: Arrangement::Plain, ..style }).unwrap();
        assert!(!plain.contains("<text") && plain.contains("<title>-2.5</title>"));
    }

    #[test]
    fn blended_and_fine_maps_are_pictures_within_the_frame() {
        let photo = Photo::from_rgb(RgbImage::from_pixel(100, 100, Rgb([9, 9, 9]))).unwrap();
        let view = Rect { x: 0.0, y: 0.0, width: 100.0, height: 100.0 };
        let fine = Heatmap::new(ndarray::Array2::from_shape_fn((200, 200), |(y, x)| (x + y) as f32)).unwrap();
        for (map, sharp) in [(fine, true), (Heatmap::new(array![[1.0, 2.0]]).unwrap(), false)] {
            let drawn = svg(&photo, view, &map, &Style { sharp, ..Style::default() }).unwrap();
            assert!(!drawn.contains("<title>") && drawn.contains("data:image/jpeg;base64,") && drawn.contains("<text"));
        }
    }

    #[test]
    fn lines_hold_all_words() {
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert!(wrapped(" ", 8).is_empty());
    }
}
