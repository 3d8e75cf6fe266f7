//! Images and masks of data sets, with what both have to agree on.

use super::files::{Files, broken};
use crate::Error;
use hirescam::engine::caught;
use hirescam::photo::{Limits, Photo};
use ndarray::Array2;
use png::{BitDepth, ColorType, Transformations};
use std::io::Cursor;

/// Names of image files end in one of these.
pub(crate) const IMAGES: &[&str] =
    &["jpg", "jpeg", "png", "JPEG", "JPG", "PNG", "bmp", "webp", "tif", "tiff", "gif", "BMP", "TIF", "TIFF"];

/// A name without its ending, if that is one of an image file.
pub(crate) fn stem(name: &str) -> Option<&str> {
    let (stem, ending) = name.rsplit_once('.')?;
    IMAGES.contains(&ending).then_some(stem)
}

/// The image in a file, as its pixels are stored.
pub(crate) fn photo(files: &Files, name: &str) -> Result<Photo, Error> {
    let bytes = files.read(name)?;
    let photo = Photo::decode_as_stored(&bytes, Limits::default());
    photo.or_else(|e| broken(files.path(name), e.to_string()))
}

/// The image in the file that is called so, but for its ending.
pub(crate) fn photo_of(files: &Files, stem: &str) -> Result<Photo, Error> {
    let name = IMAGES.iter().map(|ending| format!("{stem}.{ending}")).find(|name| files.has(name));
    match name {
        Some(name) => photo(files, &name),
        None => broken(files.path(stem), "there is no image of this name, with any of the usual endings"),
    }
}

/// Refuses more masks of an image than memory should be asked for.
pub(crate) fn affordable(masks: usize, photo: &Photo) -> Result<(), String> {
    let bytes = masks as u64 * u64::from(photo.width()) * u64::from(photo.height());
    if bytes > Limits::default().memory_bytes {
        return Err(format!("{masks} objects with masks are too many for an image of this size"));
    }
    Ok(())
}

/// What a PNG file stores for each pixel: indices of a palette or levels of grey, neither looked up nor scaled.
pub(crate) fn indices(files: &Files, name: &str) -> Result<Array2<u16>, Error> {
    let decoded = decode(&files.read(name)?).or_else(|because| broken(files.path(name), because))?;
    match decoded.channels {
        1 => Ok(decoded.samples),
        n => broken(
            files.path(name),
            format!(
                "the mask holds {n} channels of colour, and not one index a pixel: save it with a palette or in grey"
            ),
        ),
    }
}

/// Where a mask file is not zero: the index of a palette, the level of grey, or any of the colours. Opacity does not count.
pub(crate) fn nonzero(files: &Files, name: &str) -> Result<Array2<bool>, Error> {
    let bytes = files.read(name)?;
    if bytes.starts_with(b"\x89PNG") {
        let Decoded { samples, channels } = decode(&bytes).or_else(|because| broken(files.path(name), because))?;
        let colours = if channels % 2 == 0 { channels - 1 } else { channels };
        let (height, columns) = samples.dim();
        let any = |row: usize, column: usize| {
            (0..colours).any(|k| samples.get((row, column * channels + k)).is_some_and(|v| *v != 0))
        };
        return Ok(Array2::from_shape_fn((height, columns / channels), |(row, column)| any(row, column)));
    }
    if bytes.starts_with(b"\xff\xd8") {
        return broken(files.path(name), "a mask in JPEG has lost where it ends: save it as PNG");
    }
    let photo = Photo::decode_as_stored(&bytes, Limits::default());
    let photo = photo.or_else(|e| broken(files.path(name), e.to_string()))?;
    let (height, width) = (photo.height() as usize, photo.width() as usize);
    let inside = photo.rgb().pixels().map(|pixel| pixel.0 != [0; 3]).collect();
    Array2::from_shape_vec((height, width), inside).or_else(|e| broken(files.path(name), e.to_string()))
}

/// Refuses a mask that is not of its image's size.
pub(crate) fn same_size(files: &Files, name: &str, mask: (usize, usize), photo: &Photo) -> Result<(), Error> {
    let image = (photo.height() as usize, photo.width() as usize);
    if mask == image {
        return Ok(());
    }
    let ((height, width), (h, w)) = (mask, image);
    broken(files.path(name), format!("the mask has {width}×{height} pixels (width × height), its image {w}×{h}"))
}

struct Decoded {
    /// `[height, width · channels]`
    samples: Array2<u16>,
    channels: usize,
}

fn decode(bytes: &[u8]) -> Result<Decoded, String> {
    // A decoder that panics on damaged data has nothing that others could see half-made.
    caught(|| decode_unguarded(bytes)).unwrap_or_else(|_| Err("the decoder broke off".into()))
}

fn decode_unguarded(bytes: &[u8]) -> Result<Decoded, String> {
    if !bytes.starts_with(b"\x89PNG") {
        return Err("a mask has to be a PNG file".into());
    }
    let limits = Limits::default();
    let damaged = |e: png::DecodingError| format!("the PNG file is damaged: {e}");
    let memory = png::Limits { bytes: usize::try_from(limits.memory_bytes).unwrap_or(usize::MAX) };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), memory);
    decoder.set_transformations(Transformations::IDENTITY);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().map_err(damaged)?;
    let (width, height) = (reader.info().width, reader.info().height);
    if u64::from(width) * u64::from(height) > limits.pixels {
        return Err(format!("the mask is too large: {width}×{height} pixels, at most {} are allowed", limits.pixels));
    }
    let (colour, depth) = reader.output_color_type();
    let channels = match colour {
        ColorType::Grayscale | ColorType::Indexed => 1,
        ColorType::GrayscaleAlpha => 2,
        ColorType::Rgb => 3,
        ColorType::Rgba => 4,
    };
    let mut buffer = vec![0; reader.output_buffer_size().ok_or("the mask is too large")?];
    let line = reader.next_frame(&mut buffer).map_err(damaged)?.line_size;
    let columns = width as usize * channels;
    let mut samples = Vec::with_capacity(columns * height as usize);
    for row in buffer.chunks(line.max(1)).take(height as usize) {
        match depth {
            BitDepth::Sixteen => {
                samples.extend(
                    row.chunks_exact(2).take(columns).map(|pair| pair.iter().fold(0, |v, b| v << 8 | u16::from(*b))),
                );
            }
            BitDepth::Eight => samples.extend(row.iter().take(columns).map(|v| u16::from(*v))),
            // Several pixels a byte, the first in the highest bits.
            BitDepth::One | BitDepth::Two | BitDepth::Four => {
                let bits = depth as u8;
                let parts =
                    row.iter().flat_map(|byte| (1..=8 / bits).map(move |k| byte >> (8 - k * bits) & ((1 << bits) - 1)));
                samples.extend(parts.take(columns).map(u16::from));
            }
        }
    }
    let samples = Array2::from_shape_vec((height as usize, columns), samples).map_err(|e| e.to_string())?;
    Ok(Decoded { samples, channels })
}
