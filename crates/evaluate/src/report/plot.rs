//! Plots: means as dots with their intervals, as SVG that stands in a page.
//!
//! Colours that change with the page (ink and lines) are those of the page: `currentColor`, `var(--line)`.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// A plot: one line of dots below the other.
pub(super) struct Dots<'a> {
    /// What it shows, for those who cannot see it.
    pub alt: String,
    /// What the axis counts.
    pub axis: String,
    /// The lines, each with its dots: which series, the mean, its interval.
    pub lines: Vec<(String, Vec<Dot>)>,
    /// The names of the series, told by colour and shape; none are explained where there is one.
    pub series: &'a [String],
}

/// A mean with its interval.
pub(super) struct Dot {
    pub series: usize,
    pub mean: f64,
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
const WIDTH: i32 = 460;
const CHARACTER: i32 = 7;
const LONGEST: usize = 24;
const DOT: i32 = 9;
const GAP: i32 = 9;
const ABOVE: i32 = 8;
const BELOW: i32 = 42;
const LEGEND_LINE: i32 = 18;
const TEXT: (&str, i32) = ("sans-serif", 12);

type Area<'b> = DrawingArea<SVGBackend<'b>, Shift>;

impl Dots<'_> {
    /// The plot as SVG; none where there is no dot, or one is no number.
    pub fn svg(&self) -> Option<String> {
        let dots = || self.lines.iter().flat_map(|(_, dots)| dots);
        let ends =
            || dots().flat_map(|d| [d.mean, d.interval.map_or(d.mean, |i| i.0), d.interval.map_or(d.mean, |i| i.1)]);
        if dots().next().is_none() || ends().any(|v| !v.is_finite()) {
            return None;
        }
        let (low, high) = ends().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        // Bars of equal length stand for equal numbers only from 0: it is shown where it is near.
        let low = if low > 0.0 && low < high / 2.0 { 0.0 } else { low };
        let room = if high > low { (high - low) * 0.04 } else { low.abs().max(1.0) * 0.1 };
        let range = low - room..high + room;
        let legend: Vec<usize> = (0..self.series.len()).filter(|s| dots().any(|d| d.series == *s)).collect();
        let legend = if legend.len() > 1 { legend } else { Vec::new() };
        let longest = self.lines.iter().map(|(name, _)| cut(name).chars().count()).max().unwrap_or(0);
        let left = longest as i32 * CHARACTER + 10;
        let columns = 3;
        let legend_height = legend.len().div_ceil(columns) as i32 * LEGEND_LINE;
        let heights: Vec<i32> = self.lines.iter().map(|(_, dots)| dots.len().max(1) as i32 * DOT + GAP).collect();
        let height = ABOVE + heights.iter().sum::<i32>() + BELOW + legend_height;
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, (WIDTH as u32, height as u32)).into_drawing_area();
            self.draw(&area, range, left, &heights, height - BELOW - legend_height).ok()?;
            self.legend(&area, &legend, columns, height - legend_height).ok()?;
            area.present().ok()?;
        }
        Some(self.for_page(&svg))
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
        let mut top = ABOVE;
        for ((name, dots), height) in self.lines.iter().zip(heights) {
            area.draw(&Text::new(cut(name), (left - 4, top + height / 2), text(HPos::Right, VPos::Center)))?;
            let first = top + height / 2 - (dots.len() as i32 - 1) * DOT / 2;
            for (dot, y) in dots.iter().zip((0..).map(|i| first + i * DOT)) {
                let colour = COLOURS.get(dot.series % COLOURS.len()).copied().unwrap_or(INK);
                if let Some((low, high)) = dot.interval {
                    area.draw(&PathElement::new(vec![(x(low), y), (x(high), y)], colour.stroke_width(2)))?;
                }
                mark(area, dot.series, (x(dot.mean), y), colour)?;
            }
            top += height;
        }
        Ok(())
    }

    fn legend(
        &self,
        area: &Area<'_>,
        shown: &[usize],
        columns: usize,
        top: i32,
    ) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
        for (i, series) in shown.iter().enumerate() {
            let column = (i % columns) as i32 * (WIDTH / columns as i32);
            let (x, y) = (column + 10, top + (i / columns) as i32 * LEGEND_LINE + LEGEND_LINE / 2);
            let colour = COLOURS.get(series % COLOURS.len()).copied().unwrap_or(INK);
            mark(area, *series, (x, y), colour)?;
            let style = TEXT.into_text_style(area).color(&INK).pos(Pos::new(HPos::Left, VPos::Center));
            let name = self.series.get(*series).map_or("", String::as_str);
            area.draw(&Text::new(cut(name), (x + 9, y), style))?;
        }
        Ok(())
    }

    /// The drawing as a part of a page.
    fn for_page(&self, svg: &str) -> String {
        let hex = |c: RGBColor| format!("\"#{:02X}{:02X}{:02X}\"", c.0, c.1, c.2);
        let body = svg.split_once('>').map_or(svg, |(_, body)| body);
        let size = svg.split("viewBox=\"").nth(1).and_then(|s| s.split('"').next()).unwrap_or_default();
        let body = body.replace(&hex(INK), "\"currentColor\"").replace(&hex(LINE), "\"var(--line)\"");
        let alt = hirescam::html::escape(&self.alt);
        format!(
            "<svg role=\"img\" aria-label=\"{alt}\" viewBox=\"{size}\">\n{}\n</svg>",
            body.trim().trim_end_matches("</svg>").trim_end()
        )
    }
}

/// A series' mark: its shape and colour.
fn mark(
    area: &Area<'_>,
    series: usize,
    (x, y): (i32, i32),
    colour: RGBColor,
) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
    match series % 5 {
        0 => area.draw(&Circle::new((x, y), 4, colour.filled())),
        1 => area.draw(&Rectangle::new([(x - 3, y - 3), (x + 3, y + 3)], colour.filled())),
        2 => area.draw(&Polygon::new(vec![(x - 4, y + 3), (x + 4, y + 3), (x, y - 4)], colour)),
        3 => area.draw(&Polygon::new(vec![(x - 4, y), (x, y - 4), (x + 4, y), (x, y + 4)], colour)),
        _ => area.draw(&Polygon::new(vec![(x - 4, y - 3), (x + 4, y - 3), (x, y + 4)], colour)),
    }
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
