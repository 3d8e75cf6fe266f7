//! Resizing as Pillow does it, bit for bit: training pipelines did it so, and a level more or less moves the score.
//! (Newer Pillows take the columns first for some changes of proportion: there they differ from older ones, and from
//! this, by one level at most.)
//!
//! Source: Pillow, `src/libImaging/Resample.c`: two passes, first along the rows, each rounded to 8 bits, with
//! weights in fixed point of 22 bits; `Geometry.c` for the nearest pixel.

use super::Filter;
use image::RgbImage;
use std::ops::Range;

/// Bits after the point of a weight: 32, less 8 for the level and 2 for sign and overshoot.
const PRECISION: u32 = 32 - 8 - 2;

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
    let (across, down) = (taps(from_width, width, &columns, filter), taps(from_height, height, &rows, filter));
    // The rows that those of the part are made of.
    let first = down.first().map_or(0, |taps| taps.first);
    let end = down.last().map_or(0, |taps| taps.first + taps.fixed.len());
    let mut narrow = RgbImage::new(size(&columns), (end - first) as u32);
    let row = 3 * size(&columns) as usize;
    let from = picture.as_raw().chunks_exact(3 * from_width as usize).skip(first);
    for (from, to) in from.zip(narrow.chunks_exact_mut(row)) {
        for (taps, pixel) in across.iter().zip(to.chunks_exact_mut(3)) {
            let mut sums = [1 << (PRECISION - 1); 3];
            for (weight, levels) in taps.fixed.iter().zip(from[3 * taps.first..].as_chunks::<3>().0) {
                for (sum, level) in sums.iter_mut().zip(levels) {
                    *sum += weight * i32::from(*level);
                }
            }
            pixel.copy_from_slice(&sums.map(level));
        }
    }
    let mut part = RgbImage::new(size(&columns), size(&rows));
    let mut sums = vec![0; row];
    for (taps, to) in down.iter().zip(part.chunks_exact_mut(row)) {
        sums.fill(1 << (PRECISION - 1));
        for (weight, levels) in taps.fixed.iter().zip(narrow.chunks_exact(row).skip(taps.first - first)) {
            for (sum, level) in sums.iter_mut().zip(levels) {
                *sum += weight * i32::from(*level);
            }
        }
        for (to, sum) in to.iter_mut().zip(&sums) {
            *to = level(*sum);
        }
    }
    part
}

/// What the pixels of a part of an axis are made of. Where the axis keeps its length, each is itself.
fn taps(from: u32, to: u32, part: &Range<u32>, filter: Filter) -> Vec<Taps> {
    if from == to {
        let itself = |i: u32| Taps { first: i as usize, weights: vec![1.0], fixed: vec![1 << PRECISION] };
        return part.clone().map(itself).collect();
    }
    windows(from, to, filter).into_iter().skip(part.start as usize).take((part.end - part.start) as usize).collect()
}

/// The same of levels in floats, by row, column and channel, three of these: nothing is rounded.
pub(crate) fn resize_levels(levels: &[f32], from: (u32, u32), to: (u32, u32), filter: Filter) -> Vec<f32> {
    let ((from_width, from_height), (width, height)) = (from, to);
    let along = |from: u32, to: u32| match filter {
        Filter::Nearest => {
            (0..to).map(|i| Taps { first: nearest(i, from, to) as usize, weights: vec![1.0], fixed: vec![] }).collect()
        }
        _ => windows(from, to, filter),
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

/// The pixels that make up one output pixel: from `first` on, with these weights, and the same in fixed point.
struct Taps {
    first: usize,
    weights: Vec<f64>,
    fixed: Vec<i32>,
}

/// A window for each of `to` pixels along an axis of `from`; widened by from / to when shrinking.
fn windows(from: u32, to: u32, filter: Filter) -> Vec<Taps> {
    let scale = f64::from(from) / f64::from(to);
    let widening = scale.max(1.0);
    let support = support(filter) * widening;
    let window = |i: u32| {
        let center = (f64::from(i) + 0.5) * scale;
        // The casts cut towards zero, as in C.
        let first = ((center - support + 0.5) as i64).max(0);
        let end = ((center + support + 0.5) as i64).min(i64::from(from));
        let weights: Vec<f64> = (first..end).map(|x| weight(filter, (x as f64 - center + 0.5) / widening)).collect();
        let sum: f64 = weights.iter().sum();
        let weights: Vec<f64> = weights.iter().map(|w| w / sum).collect();
        let fixed = weights.iter().map(|w| (w * f64::from(1 << PRECISION)).round() as i32).collect();
        Taps { first: first as usize, weights, fixed }
    };
    (0..to).map(window).collect()
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
