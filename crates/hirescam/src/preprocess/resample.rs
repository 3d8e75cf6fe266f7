//! Resizing as Pillow does it, bit for bit: training pipelines did it so, and a level more or less moves the score.
//! (Newer Pillows take the columns first for some changes of proportion: there they differ from older ones, and from
//! this, by one level at most.)
//!
//! Source: Pillow, `src/libImaging/Resample.c`: two passes, first along the rows, each rounded to 8 bits, with
//! weights in fixed point of 22 bits; `Geometry.c` for the nearest pixel.

use super::Filter;
use image::RgbImage;
use multiversion::multiversion;
use std::iter::repeat;
use std::ops::Range;

/// Bits after the point of a weight: 32, less 8 for the level and 2 for sign and overshoot.
const PRECISION: u32 = 32 - 8 - 2;
/// Half a level, so that what is cut off is rounded.
const HALF: i32 = 1 << (PRECISION - 1);

/// The picture in `width` × `height` pixels, both at least 1.
pub(crate) fn resize(picture: &RgbImage, width: u32, height: u32, filter: Filter) -> RgbImage {
    resize_part(picture, [width, height], [0..width, 0..height], filter)
}

/// These columns and rows of the picture in `width` × `height` pixels: what cutting them out of the whole gives, without the rest.
pub(crate) fn resize_part(
    picture: &RgbImage,
    [width, height]: [u32; 2],
    [columns, rows]: [Range<u32>; 2],
    filter: Filter,
) -> RgbImage {
    let (from_width, from_height) = picture.dimensions();
    let size = |range: &Range<u32>| range.end - range.start;
    if filter == Filter::Nearest || picture.dimensions() == (width, height) {
        return RgbImage::from_fn(size(&columns), size(&rows), |x, y| {
            let (x, y) = (x + columns.start, y + rows.start);
            *picture.get_pixel(nearest(x, from_width, width), nearest(y, from_height, height))
        });
    }
    let (across, down) = (Taps::of(from_width, width, &columns, filter), Taps::of(from_height, height, &rows, filter));
    let pixels = picture.as_raw().as_chunks::<3>().0;
    let from_width = from_width as usize;
    let needed = &pixels[down.range.start * from_width..down.range.end * from_width];
    let narrow = resize_rows(needed, from_width, &across);
    let mut part = RgbImage::new(size(&columns), size(&rows));
    resize_columns(&narrow, across.first.len(), &down, &mut part);
    part
}

/// So many rows are resized together: a weight serves all of them.
const ROWS: usize = 4;

/// Rows of `from_width` pixels, each of them resized, with a fourth level that fills a vector.
#[multiversion(targets("x86_64+avx2"))]
fn resize_rows(pixels: &[[u8; 3]], from_width: usize, taps: &Taps) -> Vec<[u8; 4]> {
    let width = taps.first.len();
    let mut resized = vec![[0; 4]; pixels.len() / from_width * width];
    let mut read = vec![[[0; 4]; ROWS]; taps.range.len() + taps.count];
    for (from, to) in pixels.chunks(ROWS * from_width).zip(resized.chunks_mut(ROWS * width)) {
        for (k, row) in from.chunks_exact(from_width).enumerate() {
            for (pixels, &[r, g, b]) in read.iter_mut().zip(&row[taps.range.clone()]) {
                pixels[k] = [r.into(), g.into(), b.into(), 0];
            }
        }
        for (x, (first, weights)) in taps.iter().enumerate() {
            let mut sums = [[HALF; 4]; ROWS];
            for (weight, pixels) in weights.iter().zip(&read[first..]) {
                for (sums, levels) in sums.iter_mut().zip(pixels) {
                    for (sum, level) in sums.iter_mut().zip(levels) {
                        *sum += weight * level;
                    }
                }
            }
            for (row, sums) in to.chunks_exact_mut(width).zip(sums) {
                row[x] = sums.map(level);
            }
        }
    }
    resized
}

/// Columns of rows of `width` pixels, each of them resized, without the fourth level.
#[multiversion(targets("x86_64+avx2"))]
fn resize_columns(pixels: &[[u8; 4]], width: usize, taps: &Taps, resized: &mut [u8]) {
    let (mut sums, mut row) = (vec![0; 4 * width], vec![[0; 4]; width]);
    for ((first, weights), to) in taps.iter().zip(resized.chunks_exact_mut(3 * width)) {
        sums.fill(HALF);
        for (weight, pixels) in weights.iter().zip(pixels.chunks_exact(width).skip(first)) {
            for (sum, level) in sums.iter_mut().zip(pixels.as_flattened()) {
                *sum += weight * i32::from(*level);
            }
        }
        for (to, sum) in row.as_flattened_mut().iter_mut().zip(&sums) {
            *to = level(*sum);
        }
        for (to, &[r, g, b, _]) in to.as_chunks_mut::<3>().0.iter_mut().zip(&row) {
            *to = [r, g, b];
        }
    }
}

/// The same of levels in floats, by row, column and channel, three of these: nothing is rounded.
pub(crate) fn resize_levels(levels: &[f32], from: (u32, u32), to: (u32, u32), filter: Filter) -> Vec<f32> {
    let ((from_width, from_height), (width, height)) = (from, to);
    let along = |from: u32, to: u32| match filter {
        Filter::Nearest => {
            (0..to).map(|i| Window { first: nearest(i, from, to) as usize, weights: vec![1.0] }).collect()
        }
        _ => windows(from, to, &(0..to), filter),
    };
    let mut rows = levels.to_vec();
    if width != from_width {
        let windows = along(from_width, width);
        rows = Vec::with_capacity(3 * width as usize * from_height as usize);
        for row in levels.chunks_exact(3 * from_width as usize) {
            for window in &windows {
                let pixels = row.chunks_exact(3).skip(window.first);
                let sums = window.weights.iter().zip(pixels).fold([0.0; 3], |sums: [f64; 3], (weight, pixel)| {
                    std::array::from_fn(|k| sums[k] + weight * f64::from(pixel[k]))
                });
                rows.extend(sums.map(|s| s as f32));
            }
        }
    }
    if height == from_height {
        return rows;
    }
    let row = 3 * width as usize;
    let mut out = Vec::with_capacity(row * height as usize);
    for window in along(from_height, height) {
        let mut sums = vec![0.0f64; row];
        for (weight, levels) in window.weights.iter().zip(rows.chunks_exact(row).skip(window.first)) {
            sums.iter_mut().zip(levels).for_each(|(sum, level)| *sum += weight * f64::from(*level));
        }
        out.extend(sums.iter().map(|s| *s as f32));
    }
    out
}

/// The nearest pixel out of `from` to pixel i out of `to`.
fn nearest(i: u32, from: u32, to: u32) -> u32 {
    (((f64::from(i) + 0.5) * f64::from(from) / f64::from(to)) as u32).min(from - 1)
}

fn level(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// What the pixels of a part of an axis are made of, in fixed point: of each so many weights, with zeros where it needs fewer.
struct Taps {
    /// The pixels that are needed.
    range: Range<usize>,
    /// Of each pixel the first that it is made of, counted within the range.
    first: Vec<usize>,
    /// How many weights each has.
    count: usize,
    weights: Vec<i32>,
}

impl Taps {
    fn of(from: u32, to: u32, part: &Range<u32>, filter: Filter) -> Self {
        let windows = match from == to {
            // Where an axis keeps its length, each pixel is itself.
            true => part.clone().map(|i| Window { first: i as usize, weights: vec![1.0] }).collect(),
            false => windows(from, to, part, filter),
        };
        let start = windows.first().map_or(0, |window| window.first);
        let end = windows.last().map_or(0, |window| window.first + window.weights.len());
        let count = windows.iter().map(|window| window.weights.len()).max().unwrap_or(0);
        let fixed = |weight: &f64| (weight * f64::from(1 << PRECISION)).round() as i32;
        let padded =
            |window: &Window| window.weights.iter().map(fixed).chain(repeat(0)).take(count).collect::<Vec<_>>();
        Taps {
            range: start..end,
            first: windows.iter().map(|window| window.first - start).collect(),
            count,
            weights: windows.iter().flat_map(padded).collect(),
        }
    }

    /// Of each pixel the first that it is made of, and the weights from there on.
    fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        self.first.iter().copied().zip(self.weights.chunks_exact(self.count))
    }
}

/// The pixels that make up one output pixel: from `first` on, with these weights.
struct Window {
    first: usize,
    weights: Vec<f64>,
}

/// The windows of a part of `to` pixels along an axis of `from`; widened by from / to when shrinking.
fn windows(from: u32, to: u32, part: &Range<u32>, filter: Filter) -> Vec<Window> {
    let scale = f64::from(from) / f64::from(to);
    let widening = scale.max(1.0);
    let support = support(filter) * widening;
    let window = |i: u32| {
        let center = (f64::from(i) + 0.5) * scale;
        // The casts cut towards zero, as in C.
        let first = ((center - support + 0.5) as i64).max(0);
        let end = ((center + support + 0.5) as i64).min(i64::from(from));
        let mut weights: Vec<f64> =
            (first..end).map(|x| weight(filter, (x as f64 - center + 0.5) / widening)).collect();
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
        Window { first: first as usize, weights }
    };
    part.clone().map(window).collect()
}

fn support(filter: Filter) -> f64 {
    match filter {
        Filter::Nearest | Filter::Box => 0.5,
        Filter::Bilinear | Filter::Hamming => 1.0,
        Filter::Bicubic => 2.0,
        Filter::Lanczos => 3.0,
    }
}

fn weight(filter: Filter, at: f64) -> f64 {
    let x = at.abs();
    let sinc = |x: f64| {
        if x == 0.0 { 1.0 } else { (x * std::f64::consts::PI).sin() / (x * std::f64::consts::PI) }
    };
    match filter {
        // Half open, so that a border between two pixels counts once.
        Filter::Nearest | Filter::Box => f64::from(u8::from(at > -0.5 && at <= 0.5)),
        Filter::Bilinear => (1.0 - x).max(0.0),
        Filter::Hamming if x < 1.0 => sinc(x) * (0.54 + 0.46 * (x * std::f64::consts::PI).cos()),
        Filter::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
        Filter::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5,
        Filter::Lanczos if x < 3.0 => sinc(x) * sinc(x / 3.0),
        _ => 0.0,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use ndarray::Array3;

    const GOLDENS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/preprocess");

    #[test]
    fn every_level_is_pillows() {
        let photo = image::open(format!("{GOLDENS}/photo.png")).unwrap().into_rgb8();
        let filters = [
            ("nearest", Filter::Nearest),
            ("box", Filter::Box),
            ("bilinear", Filter::Bilinear),
            ("hamming", Filter::Hamming),
            ("bicubic", Filter::Bicubic),
            ("lanczos", Filter::Lanczos),
        ];
        for (name, filter) in filters {
            // Where one side shrinks and the other grows, Pillow 13 does the columns first, older ones never: a level at most.
            for (h, w, allowed) in [(17, 23, 0), (60, 70, 0), (33, 80, 1)] {
                let pillow: Array3<u8> = ndarray_npy::read_npy(format!("{GOLDENS}/resize_{name}_{h}x{w}.npy")).unwrap();
                let ours = resize(&photo, w, h, filter);
                let worst = ours.iter().zip(&pillow).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
                assert!(worst <= allowed, "{name} {h}x{w}: {worst}");
            }
        }
    }

    #[test]
    fn a_part_is_cut_out_of_the_whole() {
        let photo = image::open(format!("{GOLDENS}/photo.png")).unwrap().into_rgb8();
        let (from_width, from_height) = photo.dimensions();
        for filter in
            [Filter::Nearest, Filter::Box, Filter::Bilinear, Filter::Hamming, Filter::Bicubic, Filter::Lanczos]
        {
            for [w, h] in [[23, 17], [70, 60], [80, 33], [from_width, 20], [20, from_height], [from_width, from_height]]
            {
                let whole = resize(&photo, w, h, filter);
                for [columns, rows] in [[0..w, 0..h], [1..w - 2, 3..h], [w - 1..w, 0..1], [w / 3..w / 2, h / 2..h - 1]]
                {
                    let cut = image::imageops::crop_imm(
                        &whole,
                        columns.start,
                        rows.start,
                        columns.end - columns.start,
                        rows.end - rows.start,
                    );
                    let cut = cut.to_image();
                    assert_eq!(resize_part(&photo, [w, h], [columns, rows], filter), cut, "{filter:?} {w}x{h}");
                }
            }
        }
    }

    #[test]
    fn constants_stay_and_single_pixels_fill() {
        for filter in
            [Filter::Nearest, Filter::Box, Filter::Bilinear, Filter::Hamming, Filter::Bicubic, Filter::Lanczos]
        {
            for (from, to) in [((1, 1), (7, 9)), ((50, 3), (1, 1)), ((2, 1000), (3, 10))] {
                for level in [0, 131, 255] {
                    let flat = RgbImage::from_pixel(from.0, from.1, image::Rgb([level; 3]));
                    assert!(
                        resize(&flat, to.0, to.1, filter).iter().all(|v| *v == level),
                        "{filter:?} {from:?} {to:?}"
                    );
                }
            }
        }
    }
}
