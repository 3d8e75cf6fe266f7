//! Plots: means as dots with their intervals, as SVG that stands in a page.
//!
//! Colours that change with the page (ink and lines) are those of the page: `currentColor`, `var(--line)`.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// A plot: one line of dots below the other.
pub struct Dots {
    /// What it shows, for those who cannot see it.
    pub alt: String,
    /// What the axis counts.
    pub axis: String,
    /// A value that all are held against: a line down the plot.
    pub reference: Option<f64>,
    /// The lines, each with its dots: which series, the mean, its interval.
    pub lines: Vec<(String, Vec<Dot>)>,
}

/// A mean with its interval.
pub struct Dot {
    /// Which series it belongs to: its shape and colour.
    pub series: usize,
    /// The mean.
    pub mean: f64,
    /// From where to where its interval reaches.
    pub interval: Option<(f64, f64)>,
}

/// Stands for the page's ink, and for its lines.
const INK: RGBColor = RGBColor(1, 2, 3);
const LINE: RGBColor = RGBColor(4, 5, 6);

/// Colours that are told apart by people with any colour vision, on light and dark paper (Okabe & Ito 2008, without yellow and black,
/// and three of ColorBrewer's Dark2).
const COLOURS: [RGBColor; 9] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(117, 112, 179),
    RGBColor(166, 118, 29),
    RGBColor(128, 128, 128),
];

/// Widths and heights in pixels.
const WIDTH: i32 = 340;
const LONGEST: usize = 20;
const DOT: i32 = 10;
const GAP: i32 = 12;
const ABOVE: i32 = 8;
const BELOW: i32 = 44;
const TEXT: (&str, i32) = ("sans-serif", 14);

type Area<'b> = DrawingArea<SVGBackend<'b>, Shift>;

impl Dots {
    /// The plot as SVG; none where there is no dot, or one is no number.
    pub fn svg(&self) -> Option<String> {
        let dots = || self.lines.iter().flat_map(|(_, dots)| dots);
        let ends =
            || dots().flat_map(|d| [d.mean, d.interval.map_or(d.mean, |i| i.0), d.interval.map_or(d.mean, |i| i.1)]);
        let all = || ends().chain(self.reference);
        if dots().next().is_none() || all().any(|v| !v.is_finite()) {
            return None;
        }
        let (low, high) = all().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        // Bars of equal length stand for equal numbers only from 0: it is shown where it is near.
        let low = if low > 0.0 && low < high / 2.0 { 0.0 } else { low };
        let room = if high > low { (high - low) * 0.04 } else { low.abs().max(1.0) * 0.1 };
        let range = low - room..high + room;
        let left = self.lines.iter().map(|(name, _)| width(&cut(name))).max().unwrap_or(0) + 10;
        let heights: Vec<i32> = self.lines.iter().map(|(_, dots)| dots.len().max(1) as i32 * DOT + GAP).collect();
        let height = ABOVE + heights.iter().sum::<i32>() + BELOW;
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, (WIDTH as u32, height as u32)).into_drawing_area();
            self.draw(&area, range, left, &heights, height - BELOW).ok()?;
            area.present().ok()?;
        }
        Some(for_page(&svg, &self.alt))
    }

    fn draw(
        &self,
        area: &Area<'_>,
        range: std::ops::Range<f64>,
        left: i32,
        heights: &[i32],
        bottom: i32,
    ) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
        let text = |h, v| TEXT.into_text_style(area).color(&INK).pos(Pos::new(h, v));
        let (from, width) = (left + 4, WIDTH - left - 24);
        let x =
            |value: f64| from + ((value - range.start) / (range.end - range.start) * f64::from(width)).round() as i32;
        for tick in ticks(&range) {
            area.draw(&PathElement::new(vec![(x(tick.at), ABOVE), (x(tick.at), bottom)], LINE))?;
            area.draw(&Text::new(tick.text, (x(tick.at), bottom + 5), text(HPos::Center, VPos::Top)))?;
        }
        area.draw(&Text::new(self.axis.clone(), (from + width / 2, bottom + 22), text(HPos::Center, VPos::Top)))?;
        if let Some(at) = self.reference.map(x) {
            area.draw(&PathElement::new(vec![(at, ABOVE), (at, bottom)], INK))?;
        }
        let mut top = ABOVE;
        for ((name, dots), height) in self.lines.iter().zip(heights) {
            area.draw(&Text::new(cut(name), (left - 4, top + height / 2), text(HPos::Right, VPos::Center)))?;
            let first = top + height / 2 - (dots.len() as i32 - 1) * DOT / 2;
            for (dot, y) in dots.iter().zip((0..).map(|i| first + i * DOT)) {
                if let Some((low, high)) = dot.interval {
                    area.draw(&PathElement::new(vec![(x(low), y), (x(high), y)], colour(dot.series).stroke_width(2)))?;
                }
                mark(area, dot.series, (x(dot.mean), y))?;
            }
            top += height;
        }
        Ok(())
    }
}

/// A drawing as a part of a page.
fn for_page(svg: &str, alt: &str) -> String {
    let hex = |c: RGBColor| format!("\"#{:02X}{:02X}{:02X}\"", c.0, c.1, c.2);
    let body = svg.split_once('>').map_or(svg, |(_, body)| body);
    let size = svg.split("viewBox=\"").nth(1).and_then(|s| s.split('"').next()).unwrap_or_default();
    let body = body.replace(&hex(INK), "\"currentColor\"").replace(&hex(LINE), "\"var(--line)\"");
    let body = body.trim().trim_end_matches("</svg>").trim_end();
    format!("<svg role=\"img\" aria-label=\"{}\" viewBox=\"{size}\">\n{body}\n</svg>", hirescam::html::escape(alt))
}

/// The mark of a series by itself, to explain it.
pub fn sign(series: usize, name: &str) -> Option<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (12, 12)).into_drawing_area();
        mark(&area, series, (6, 6)).ok()?;
        area.present().ok()?;
    }
    Some(for_page(&svg, &format!("mark of {name}")))
}

fn colour(series: usize) -> RGBColor {
    COLOURS.get(series % COLOURS.len()).copied().unwrap_or(INK)
}

/// A series' mark: its shape and colour.
fn mark(area: &Area<'_>, series: usize, (x, y): (i32, i32)) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
    let colour = colour(series);
    match series % 5 {
        0 => area.draw(&Circle::new((x, y), 4, colour.filled())),
        1 => area.draw(&Rectangle::new([(x - 3, y - 3), (x + 3, y + 3)], colour.filled())),
        2 => area.draw(&Polygon::new(vec![(x - 4, y + 3), (x + 4, y + 3), (x, y - 4)], colour)),
        3 => area.draw(&Polygon::new(vec![(x - 4, y), (x, y - 4), (x + 4, y), (x, y + 4)], colour)),
        _ => area.draw(&Polygon::new(vec![(x - 4, y - 3), (x + 4, y - 3), (x, y + 4)], colour)),
    }
}

/// About how wide a text is, in pixels: its fonts are those of the reader.
fn width(text: &str) -> i32 {
    let of = |c: char| match c {
        'i' | 'j' | 'l' | 't' | 'f' | 'r' | '.' | ',' | ':' | '-' | ' ' => 5,
        'm' | 'w' | 'M' | 'W' => 12,
        c if c.is_uppercase() || !c.is_ascii() => 10,
        _ => 8,
    };
    text.chars().map(of).sum()
}

fn cut(name: &str) -> String {
    match name.char_indices().nth(LONGEST) {
        Some(_) => name.chars().take(LONGEST - 1).chain(['…']).collect(),
        None => name.to_owned(),
    }
}

struct Tick {
    at: f64,
    text: String,
}

/// About five round numbers within a range.
fn ticks(range: &std::ops::Range<f64>) -> Vec<Tick> {
    let span = range.end - range.start;
    let power = 10f64.powf((span / 5.0).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|s| s * power).into_iter().find(|s| span / s <= 5.5).unwrap_or(span);
    let digits = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
    let first = (range.start / step).ceil() as i64;
    let last = (range.end / step).floor() as i64;
    let text = |at: f64| {
        if at != 0.0 && !(1e-4..1e6).contains(&step) { format!("{at:.1e}") } else { format!("{at:.digits$}") }
    };
    // Neither end can be further away than a few steps.
    (first..=last).take(20).map(|i| i as f64 * step).map(|at| Tick { at, text: text(at + 0.0) }).collect()
}
