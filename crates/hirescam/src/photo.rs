//! Image files to pixels: upright, 8 bits, RGB; and the levels of files with more bits.

mod pages;

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::same;
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Luma, RgbImage};

/// How large an image may be before it is refused, checked on the file's header before any pixel is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of the file itself.
    pub file_bytes: u64,
    /// Most pixels (width × height).
    pub pixels: u64,
    /// Most bytes that a decoder may allocate.
    pub memory_bytes: u64,
}

impl Default for Limits {
    /// 256 MiB of file, 178,956,970 pixels (Pillow's `MAX_IMAGE_PIXELS`), 2 GiB of memory.
    fn default() -> Self {
        Self { file_bytes: 256 << 20, pixels: 178_956_970, memory_bytes: 2 << 30 }
    }
}

/// Why an image could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PhotoError {
    /// The file could not be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The bytes are damaged, cut short or empty.
    #[error("the image is damaged: {0}")]
    Invalid(String),
    /// The bytes are no image of a kind that is read here.
    #[error("{0}; PNG, JPEG, WebP, TIFF, BMP and GIF are read")]
    Unsupported(String),
    /// The image exceeds [`Limits`].
    #[error("the image is too large: {0}")]
    TooLarge(String),
}

impl PhotoError {
    /// The same error once more.
    pub(crate) fn again(&self) -> Self {
        match self {
            PhotoError::Io { path, source } => PhotoError::Io { path: path.clone(), source: same(source) },
            PhotoError::Invalid(what) => PhotoError::Invalid(what.clone()),
            PhotoError::Unsupported(what) => PhotoError::Unsupported(what.clone()),
            PhotoError::TooLarge(what) => PhotoError::TooLarge(what.clone()),
        }
    }
}

/// A decoded image: RGB, 8 bits a channel, upright.
///
/// What the file held is brought to this form as Pillow's `convert("RGB")` does it: alpha is dropped (not composited),
/// palettes are looked up, grey is repeated; of an animation the first frame is taken, of several pages the first. 16-bit
/// channels are rounded to 8 bits; their own levels are kept beside, for preprocessing that says what their range is. The
/// EXIF orientation is applied. Colour profiles are ignored, as in every common training pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Photo {
    rgb: Arc<RgbImage>,
    deep: Option<Arc<Levels16>>,
    /// How many pages or frames the file holds, and what they are called.
    pages: Option<(usize, &'static str)>,
}

/// Levels of 16 bits.
#[derive(Debug, PartialEq, Eq)]
struct Levels16 {
    /// 1 or 3.
    channels: usize,
    /// By row, column and channel.
    levels: Vec<u16>,
    largest: u16,
}

impl Levels16 {
    fn of(image: &DynamicImage) -> Option<Self> {
        let (channels, levels) = match image {
            DynamicImage::ImageLuma16(levels) => (1, levels.as_raw().clone()),
            DynamicImage::ImageLumaA16(_) => (1, image.to_luma16().into_raw()),
            DynamicImage::ImageRgb16(levels) => (3, levels.as_raw().clone()),
            DynamicImage::ImageRgba16(_) => (3, image.to_rgb16().into_raw()),
            _ => return None,
        };
        let largest = levels.iter().copied().max().unwrap_or(0);
        Some(Levels16 { channels, levels, largest })
    }
}

impl Photo {
    /// Reads a file within the default [`Limits`]; its kind is told by its content, not by its name.
    ///
    /// # Errors
    /// [`PhotoError::Io`] if the file cannot be read, else as [`Photo::decode`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, PhotoError> {
        let path = path.as_ref();
        let limits = Limits::default();
        let io = |source| PhotoError::Io { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(io)?;
        // One byte more than allowed, so that `decode` sees the excess.
        file.take(limits.file_bytes + 1).read_to_end(&mut bytes).map_err(io)?;
        Self::decode(&bytes, limits)
    }

    /// Decodes the bytes of a PNG, JPEG, WebP, TIFF, BMP or GIF file.
    ///
    /// # Errors
    /// [`PhotoError::TooLarge`] over `limits`, [`PhotoError::Unsupported`] for other kinds of file,
    /// [`PhotoError::Invalid`] for damaged or truncated ones.
    pub fn decode(bytes: &[u8], limits: Limits) -> Result<Self, PhotoError> {
        Self::decode_guarded(bytes, limits, true)
    }

    /// The same without the EXIF orientation: pixels lie as they are stored, which is what boxes and masks of data sets go by.
    ///
    /// # Errors
    /// As [`Photo::decode`].
    pub fn decode_as_stored(bytes: &[u8], limits: Limits) -> Result<Self, PhotoError> {
        Self::decode_guarded(bytes, limits, false)
    }

    fn decode_guarded(bytes: &[u8], limits: Limits, upright: bool) -> Result<Self, PhotoError> {
        // A decoder that panics on damaged data has nothing that others could see half-made.
        let made = hirescam_engine::caught(|| Self::decode_unguarded(bytes, limits, upright));
        made.unwrap_or_else(|_| Err(PhotoError::Invalid("the decoder broke off".into())))
    }

    fn decode_unguarded(bytes: &[u8], limits: Limits, upright: bool) -> Result<Self, PhotoError> {
        if bytes.is_empty() {
            return Err(PhotoError::Invalid("the file is empty".into()));
        }
        if bytes.len() as u64 > limits.file_bytes {
            return Err(PhotoError::TooLarge(format!("more than {} bytes", limits.file_bytes)));
        }
        let mut reader = ImageReader::new(Cursor::new(bytes))
            .with_guessed_format()
            .map_err(|e| PhotoError::Invalid(e.to_string()))?;
        let format = reader.format();
        match format {
            None => {
                return Err(PhotoError::Unsupported("this is no image file that is known here".into()));
            }
            // The JPEG decoder fills what is missing with grey and says nothing.
            Some(ImageFormat::Jpeg) if !jpeg_has_end(bytes) => {
                return Err(PhotoError::Invalid("the JPEG data ends too early".into()));
            }
            // The PNG decoder panics on these.
            Some(ImageFormat::Png) if !png_palette_is_whole(bytes) => {
                return Err(PhotoError::Invalid("the palette of the PNG ends within a colour".into()));
            }
            Some(_) => {}
        }
        let mut memory = image::Limits::no_limits();
        memory.max_alloc = Some(limits.memory_bytes);
        reader.limits(memory);
        let mut decoder = reader.into_decoder().map_err(error)?;
        let (width, height) = decoder.dimensions();
        if u64::from(width) * u64::from(height) > limits.pixels || decoder.total_bytes() > limits.memory_bytes {
            return Err(PhotoError::TooLarge(format!(
                "{width}x{height} pixels, at most {} are allowed",
                limits.pixels
            )));
        }
        // A damaged EXIF block says nothing about the orientation.
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let mut image = DynamicImage::from_decoder(decoder).map_err(error)?;
        if upright {
            image.apply_orientation(orientation);
        }
        let pages = format.and_then(|format| pages::pages(bytes, format));
        Ok(Photo { pages, ..Self::from_image(image)? })
    }

    /// Width and height of the upright image in the bytes of a file, from its header alone: the rest of the file may be damaged.
    ///
    /// # Errors
    /// [`PhotoError::Unsupported`] and [`PhotoError::Invalid`] where there is no header that can be read.
    pub fn size(bytes: &[u8]) -> Result<(u32, u32), PhotoError> {
        let read = hirescam_engine::caught(|| {
            let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
            let mut decoder = reader.map_err(|e| PhotoError::Invalid(e.to_string()))?.into_decoder().map_err(error)?;
            let (width, height) = decoder.dimensions();
            Ok(match decoder.orientation().unwrap_or(Orientation::NoTransforms) {
                Orientation::Rotate90
                | Orientation::Rotate270
                | Orientation::Rotate90FlipH
                | Orientation::Rotate270FlipH => (height, width),
                _ => (width, height),
            })
        });
        read.unwrap_or_else(|_| Err(PhotoError::Invalid("the decoder broke off".into())))
    }

    /// Takes pixels as those of a file: alpha is dropped, grey repeated, and of 16 bits the levels are kept beside.
    ///
    /// # Errors
    /// [`PhotoError::Invalid`] if there are none.
    pub fn from_image(image: DynamicImage) -> Result<Self, PhotoError> {
        let deep = Levels16::of(&image).map(Arc::new);
        Ok(Photo { deep, ..Self::from_rgb(image.into_rgb8())? })
    }

    /// Takes pixels as they are.
    ///
    /// # Errors
    /// [`PhotoError::Invalid`] if there are none.
    pub fn from_rgb(rgb: RgbImage) -> Result<Self, PhotoError> {
        if rgb.width() == 0 || rgb.height() == 0 {
            return Err(PhotoError::Invalid("there are no pixels".into()));
        }
        Ok(Self { rgb: Arc::new(rgb), deep: None, pages: None })
    }

    /// Width in pixels, at least 1.
    pub fn width(&self) -> u32 {
        self.rgb.width()
    }

    /// Height in pixels, at least 1.
    pub fn height(&self) -> u32 {
        self.rgb.height()
    }

    /// The largest level that the file's kind can hold: 65,535 for channels of 16 bits, else 255.
    pub fn most(&self) -> u16 {
        if self.deep.is_some() { u16::MAX } else { u8::MAX.into() }
    }

    /// The levels of pixel number `i`, by rows, as the file holds them.
    fn levels(&self, i: usize) -> [u16; 3] {
        let of = |levels: &[u16], channels: usize| {
            let at = |k: usize| levels.get(i * channels + k % channels).copied().unwrap_or_default();
            [at(0), at(1), at(2)]
        };
        match &self.deep {
            Some(deep) => of(&deep.levels, deep.channels),
            None => {
                let raw = self.rgb.as_raw();
                std::array::from_fn(|k| raw.get(3 * i + k).copied().unwrap_or_default().into())
            }
        }
    }

    /// The pixels' levels in a window, by row, column and channel: (v − low) / (high − low) · 255, cut off at 0 and 255.
    pub(crate) fn windowed(&self, [low, high]: [f64; 2]) -> Vec<f32> {
        let pixels = self.width() as usize * self.height() as usize;
        let level = |v: u16| ((f64::from(v) - low) / (high - low) * 255.0).clamp(0.0, 255.0) as f32;
        (0..pixels).flat_map(|i| self.levels(i).map(level)).collect()
    }

    /// The photo as it looks in a window, in 8 bits.
    pub fn seen_through(&self, window: [f64; 2]) -> Self {
        let levels = self.windowed(window).into_iter().map(|v| (v + 0.5) as u8).collect();
        let rgb = RgbImage::from_raw(self.width(), self.height(), levels).map_or_else(|| self.rgb.clone(), Arc::new);
        Photo { rgb, deep: None, pages: self.pages }
    }

    /// What there is to beware of, a sentence each.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some((n, what)) = self.pages.filter(|(n, _)| *n > 1) {
            notes.push(format!("the file holds {n} {what}; only the first is explained"));
        }
        // Half of all levels or more, and it is a picture as any.
        if let Some(largest) = self.deep.as_ref().map(|d| d.largest).filter(|&n| n > 0 && n <= u16::MAX / 2) {
            let most = (1u32 << (16 - largest.leading_zeros())) - 1;
            notes.push(format!(
                "the file has 16 bits a channel and no level above {largest} of 65535, so that the network sees next to black: if {most} is white, `max = {most}` in the preprocessing says so"
            ));
        }
        notes
    }

    /// The pixels.
    pub fn rgb(&self) -> &RgbImage {
        &self.rgb
    }

    /// Luma, L = (19595 R + 38470 G + 7471 B + 32768) / 65536 rounded down: Pillow's `convert("L")` (ITU-R BT.601).
    pub fn to_gray(&self) -> GrayImage {
        let mut gray = GrayImage::new(self.width(), self.height());
        for (to, from) in gray.pixels_mut().zip(self.rgb.pixels()) {
            let [r, g, b] = from.0.map(u32::from);
            *to = Luma([((19595 * r + 38470 * g + 7471 * b + 0x8000) >> 16) as u8]);
        }
        gray
    }
}

/// Whether the palettes of a PNG file, if it has any, are lists of colours of three bytes.
fn png_palette_is_whole(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(8..).unwrap_or_default();
    while let Some((length, [k, i, n, d, ..])) = rest.split_first_chunk().map(|(l, r)| (u32::from_be_bytes(*l), r)) {
        if [*k, *i, *n, *d] == *b"PLTE" && length % 3 != 0 {
            return false;
        }
        // Length, kind and checksum are four bytes each.
        rest = usize::try_from(length).ok().and_then(|n| rest.get(n.checked_add(12)?..)).unwrap_or_default();
    }
    true
}

/// Whether an end-of-image marker follows the first start of scan: within coded data a 0xFF byte is never followed by 0xD9.
fn jpeg_has_end(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(2..).unwrap_or_default();
    // Marker segments before the scan carry their length; an embedded thumbnail with its own end lies inside one.
    while let [0xFF, marker, tail @ ..] = rest {
        rest = match (marker, tail) {
            (0xDA, tail) => return tail.windows(2).rev().any(|pair| pair == [0xFF, 0xD9]),
            (0xFF, _) => rest.get(1..).unwrap_or_default(),
            (_, [high, low, ..]) => tail.get(usize::from(u16::from_be_bytes([*high, *low]))..).unwrap_or_default(),
            _ => return false,
        };
    }
    // Not the structure of a JPEG file: the decoder says better what is wrong.
    !rest.is_empty()
}

fn error(error: ImageError) -> PhotoError {
    match error {
        ImageError::Limits(e) => PhotoError::TooLarge(e.to_string()),
        ImageError::Unsupported(e) => PhotoError::Unsupported(e.to_string()),
        e => PhotoError::Invalid(e.to_string()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use ndarray::Array3;

    const IMAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/images");

    /// The largest difference in levels from what Pillow makes of the same file.
    fn difference(name: &str) -> u8 {
        let pillow: Array3<u8> = ndarray_npy::read_npy(format!("{IMAGES}/{name}.npy")).unwrap();
        let photo = Photo::open(format!("{IMAGES}/{name}")).unwrap();
        assert_eq!(pillow.dim(), (photo.height() as usize, photo.width() as usize, 3), "{name}");
        photo.rgb().as_raw().iter().zip(&pillow).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
    }

    #[test]
    fn lossless_files_are_read_as_pillow_reads_them() {
        for name in
            ["rgb.png", "palette.png", "gray.png", "alpha.png", "photo.webp", "photo.bmp", "photo.tif", "animated.gif"]
        {
            assert_eq!(difference(name), 0, "{name}");
        }
        // Pillow keeps the high byte of 16-bit channels; both give v for 257 v.
        assert_eq!(difference("sixteen.png"), 0);
    }

    #[test]
    fn jpegs_are_read_as_pillow_reads_them_in_every_orientation() {
        for orientation in 1..=8 {
            let name = format!("orientation_{orientation}.jpg");
            assert!(difference(&name) <= 3, "{name}: {}", difference(&name));
        }
        assert!(difference("progressive.jpg") <= 3);
        assert!(difference("cmyk.jpg") <= 6, "{}", difference("cmyk.jpg"));
    }

    #[test]
    fn content_decides_the_kind() {
        let photo = Photo::open(format!("{IMAGES}/really_a_png.jpg")).unwrap();
        assert_eq!(photo, Photo::open(format!("{IMAGES}/rgb.png")).unwrap());
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        let open = |name: &str| Photo::open(format!("{IMAGES}/{name}")).unwrap_err();
        assert!(matches!(open("truncated.png"), PhotoError::Invalid(_)));
        assert!(matches!(open("truncated.jpg"), PhotoError::Invalid(_)));
        assert!(matches!(open("bomb.png"), PhotoError::TooLarge(_)));
        assert!(matches!(open("make.py"), PhotoError::Unsupported(_)));
        assert!(matches!(open("absent.png"), PhotoError::Io { .. }));
        assert!(matches!(Photo::decode(&[], Limits::default()), Err(PhotoError::Invalid(_))));
    }

    #[test]
    fn no_prefix_of_a_file_panics_and_hardly_any_passes() {
        for name in
            ["rgb.png", "orientation_6.jpg", "progressive.jpg", "photo.webp", "photo.bmp", "photo.tif", "animated.gif"]
        {
            let bytes = std::fs::read(format!("{IMAGES}/{name}")).unwrap();
            for end in 0..bytes.len() * 9 / 10 {
                let result = Photo::decode(&bytes[..end], Limits::default());
                // A GIF's first frame may be whole before the file is.
                assert!(result.is_err() || name.ends_with("gif"), "{name} cut to {end} bytes");
            }
        }
    }

    /// A PNG chunk with its checksum (CRC-32).
    fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let both = [&kind[..], body].concat();
        let step = |c: u32, _| if c & 1 == 1 { (c >> 1) ^ 0xEDB8_8320 } else { c >> 1 };
        let crc = !both.iter().fold(!0, |c, b| (0..8).fold(c ^ u32::from(*b), step));
        [&(body.len() as u32).to_be_bytes()[..], &both, &crc.to_be_bytes()].concat()
    }

    #[test]
    fn a_palette_that_ends_within_a_colour_is_damage() {
        let bytes = std::fs::read(format!("{IMAGES}/palette.png")).unwrap();
        let at = bytes.windows(4).position(|w| w == b"PLTE").unwrap();
        let length = u32::from_be_bytes(bytes[at - 4..at].try_into().unwrap()) as usize;
        let palette = |n: usize| {
            let body = &bytes[at + 4..at + 4 + n];
            [&bytes[..at - 4], &chunk(b"PLTE", body), &bytes[at + 8 + length..]].concat()
        };
        assert_eq!(palette(length), bytes);
        for cut in [1, 2] {
            let result = Photo::decode(&palette(length - cut), Limits::default());
            assert!(matches!(result, Err(PhotoError::Invalid(_))), "{result:?}");
        }
    }

    #[test]
    fn thin_images_are_images() {
        for (width, height) in [(1, 1), (1, 500), (500, 1)] {
            let pixels = RgbImage::from_fn(width, height, |x, y| image::Rgb([(x + y) as u8, 7, 9]));
            for kind in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP, ImageFormat::Gif] {
                let mut bytes = Cursor::new(Vec::new());
                pixels.write_to(&mut bytes, kind).unwrap();
                let photo = Photo::decode(bytes.get_ref(), Limits::default()).unwrap();
                assert_eq!((photo.width(), photo.height()), (width, height), "{kind:?}");
                assert!(kind == ImageFormat::Gif || *photo.rgb() == pixels, "{kind:?}");
            }
        }
    }

    #[test]
    fn levels_of_16_bits_are_kept_and_seen_through_windows() {
        let gray = image::ImageBuffer::<Luma<u16>, _>::from_fn(3, 2, |x, y| Luma([(1000 * x + 95 * y) as u16]));
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::ImageLuma16(gray).write_to(&mut bytes, ImageFormat::Png).unwrap();
        let photo = Photo::decode(bytes.get_ref(), Limits::default()).unwrap();
        assert_eq!((photo.most(), photo.levels(5)), (65_535, [2095; 3]));
        assert!(photo.notes()[0].contains("no level above 2095") && photo.notes()[0].contains("max = 4095"));
        let seen = photo.seen_through([1000.0, 2000.0]);
        let levels: Vec<u8> = seen.rgb().pixels().map(|p| p.0[0]).collect();
        assert_eq!(levels, [0, 0, 255, 0, 24, 255]);
        assert!(seen.notes().is_empty());
        let colours = Photo::open(format!("{IMAGES}/sixteen.png")).unwrap();
        assert_eq!(colours.levels(7), colours.rgb().pixels().nth(7).unwrap().0.map(|v| 257 * u16::from(v)));
        assert_eq!(colours.seen_through([0.0, 65_535.0]).rgb(), colours.rgb());
        let eight = Photo::open(format!("{IMAGES}/rgb.png")).unwrap();
        assert!(eight.notes().is_empty() && eight.seen_through([0.0, 255.0]).rgb() == eight.rgb());
        assert!(Photo::open(format!("{IMAGES}/animated.gif")).unwrap().notes()[0].contains("2 frames"));
    }

    #[test]
    fn limits_hold() {
        let bytes = std::fs::read(format!("{IMAGES}/rgb.png")).unwrap();
        let with = |limits| Photo::decode(&bytes, limits).unwrap_err();
        assert!(matches!(with(Limits { pixels: 24 * 16 - 1, ..Limits::default() }), PhotoError::TooLarge(_)));
        assert!(matches!(with(Limits { memory_bytes: 100, ..Limits::default() }), PhotoError::TooLarge(_)));
        assert!(matches!(with(Limits { file_bytes: 100, ..Limits::default() }), PhotoError::TooLarge(_)));
    }
}
