//! The steps themselves.

use super::{Channels, Preprocess, PreprocessError, Resize, resample};
use crate::photo::Photo;
use hirescam_core::shape::Dim;
use image::RgbImage;
use ndarray::ArrayD;
use std::ops::Range;

/// Order of the network's axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AxisOrder {
    /// `[N,C,H,W]`.
    ChannelsFirst,
    /// `[N,H,W,C]`.
    ChannelsLast,
}

/// What the network's input looks like; `None` where it takes any size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputShape {
    /// Order of the axes.
    pub layout: AxisOrder,
    /// Number of channels.
    pub channels: Option<usize>,
    /// Height in pixels.
    pub height: Option<usize>,
    /// Width in pixels.
    pub width: Option<usize>,
}

impl InputShape {
    /// As [`InputShape::from_shape`], for extents that are all known.
    ///
    /// # Errors
    /// As [`InputShape::from_shape`].
    pub(crate) fn from_dims(dims: &[Dim], channels: Option<usize>) -> Result<Self, PreprocessError> {
        Self::from_shape(&dims.iter().map(|d| Some(d.per_image())).collect::<Vec<_>>(), channels)
    }

    /// The input of a network that takes images of the extents `shape`, `None` for free axes, whose channels lie along the
    /// axis `channels`.
    ///
    /// # Errors
    /// [`PreprocessError::Unsupported`] if the input has not 4 axes, or channels that are neither 1 nor 3.
    pub fn from_shape(shape: &[Option<usize>], channels: Option<usize>) -> Result<Self, PreprocessError> {
        let few = |n: &Option<usize>| matches!(n, Some(1 | 3));
        match (shape, channels) {
            (&[_, channels, height, width], Some(1)) if few(&channels) => {
                Ok(Self { layout: AxisOrder::ChannelsFirst, channels, height, width })
            }
            (&[_, height, width, channels], Some(3)) if few(&channels) => {
                Ok(Self { layout: AxisOrder::ChannelsLast, channels, height, width })
            }
            _ => {
                let axes: Vec<_> = shape.iter().map(|n| n.map_or("?".into(), |n| n.to_string())).collect();
                Err(PreprocessError::Unsupported(format!(
                    "the network's input [{}] is no photo ([N,C,H,W] or [N,H,W,C] with 1 or 3 channels): give it as a ready tensor",
                    axes.join(",")
                )))
            }
        }
    }
}

/// A rectangle in pixels, (0, 0) the top left corner of the upright photo.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rect {
    /// Left edge.
    pub x: f64,
    /// Top edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

/// The network's input, and which part of the photo it shows.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PreparedPhoto {
    /// f32, `[1,C,H,W]` or `[1,H,W,C]`.
    pub tensor: ArrayD<f32>,
    /// The part of the upright photo that the network sees, in the photo's pixels.
    pub view: Rect,
}

impl Preprocess {
    /// The levels of a prepared image, `[1,C,H,W]` or `[1,H,W,C]`, in colours that people see: scaling and normalisation are taken back, and
    /// levels beyond 0 and 255 cut off.
    pub(crate) fn shown(&self, tensor: &ArrayD<f32>, layout: AxisOrder) -> RgbImage {
        let (height, width) = match (layout, tensor.shape()) {
            (AxisOrder::ChannelsFirst, &[_, _, height, width]) | (AxisOrder::ChannelsLast, &[_, height, width, _]) => {
                (height, width)
            }
            _ => (0, 0),
        };
        let of =
            |numbers: &[f64], channel: usize| numbers.get(channel).or(numbers.first()).copied().unwrap_or_default();
        let level = |y: usize, x: usize, channel: usize| {
            let at = match layout {
                AxisOrder::ChannelsFirst => [0, channel, y, x],
                AxisOrder::ChannelsLast => [0, y, x, channel],
            };
            let value = f64::from(tensor.get(at.as_slice()).copied().unwrap_or_default());
            // The cast cuts off.
            ((value * of(&self.std, channel) + of(&self.mean, channel)) / self.scale + 0.5) as u8
        };
        RgbImage::from_fn(width as u32, height as u32, |x, y| {
            let (x, y) = (x as usize, y as usize);
            image::Rgb(match self.channels {
                Channels::Rgb => [0, 1, 2].map(|channel| level(y, x, channel)),
                Channels::Bgr => [2, 1, 0].map(|channel| level(y, x, channel)),
                Channels::Gray => [level(y, x, 0); 3],
            })
        })
    }

    /// Makes the network's input of a photo.
    ///
    /// # Errors
    /// As [`Preprocess::validate`]; [`PreprocessError::Mismatch`] if the crop is larger than the photo, or the result
    /// does not fit the network's channels or size: the message says what to set.
    pub fn apply(&self, photo: &Photo, input: InputShape) -> Result<PreparedPhoto, PreprocessError> {
        self.validate()?;
        if let Some(channels) = input.channels
            && channels != self.channels.count()
        {
            let which = if channels == 1 { "`channels = \"gray\"`" } else { "`channels = \"rgb\"` or \"bgr\"" };
            return Err(PreprocessError::Mismatch(format!(
                "the network takes {channels} channels, the preprocessing makes {}: set {which}",
                self.channels.count()
            )));
        }
        let (photo_h, photo_w) = (photo.height(), photo.width());
        let [resized_h, resized_w] = self.resized(photo_h, photo_w)?;
        if u64::from(resized_h) * u64::from(resized_w) > super::MOST_PIXELS {
            return Err(PreprocessError::Mismatch(format!(
                "the photo would be {resized_h}x{resized_w} pixels large: set `resize = {{ exact = … }}`, or resize to less"
            )));
        }
        let [h, w] = self.crop.unwrap_or([resized_h, resized_w]);
        if h > resized_h || w > resized_w {
            return Err(PreprocessError::Mismatch(format!(
                "the crop of {h}x{w} is larger than the {resized_h}x{resized_w} picture: set `resize`, or a smaller `crop`"
            )));
        }
        let fits = |want: Option<usize>, have: u32| want.is_none_or(|n| n == have as usize);
        if !fits(input.height, h) || !fits(input.width, w) {
            let say = |n: Option<usize>| n.map_or("any".into(), |n| n.to_string());
            let takes = format!("{}x{}", say(input.height), say(input.width));
            // What is free can stay as it is.
            let (nh, nw) = (input.height.unwrap_or(h as usize), input.width.unwrap_or(w as usize));
            return Err(PreprocessError::Mismatch(format!(
                "the network takes {takes} pixels (height x width), the preprocessing gives {h}x{w}: set `crop = [{nh}, {nw}]` after `resize = {{ shorter = … }}`, or `resize = {{ exact = [{nh}, {nw}] }}`"
            )));
        }
        let (top, left) = (crop_offset(resized_h, h), crop_offset(resized_w, w));
        let (per_row, per_column) =
            (f64::from(photo_h) / f64::from(resized_h), f64::from(photo_w) / f64::from(resized_w));
        let view = Rect {
            x: f64::from(left) * per_column,
            y: f64::from(top) * per_row,
            width: f64::from(w) * per_column,
            height: f64::from(h) * per_row,
        };
        let size = [h as usize, w as usize];
        let tensor = match self.range(photo)? {
            Some(window) => {
                let levels = self.resample_levels(photo, window, [resized_h, resized_w]);
                let (left, top, row) = (left as usize, top as usize, 3 * resized_w as usize);
                let level = |pixel: usize, k| {
                    let (y, x) = (top + pixel / size[1], left + pixel % size[1]);
                    levels.get(y * row + 3 * x + k).copied().unwrap_or_default()
                };
                self.tensor(|pixel, k, from| self.normalised(level(pixel, from), k), size, input.layout)
            }
            None => {
                let part = [left..left + w, top..top + h];
                let picture = self.resample(photo, [resized_w, resized_h], part);
                // There are 256 levels, and more pixels.
                let of_channel = |k| std::array::from_fn(|level| self.normalised(level as f32, k));
                let tables: [[f32; 256]; 3] = std::array::from_fn(of_channel);
                let pixels = picture.as_raw().as_chunks::<3>().0;
                let value = |pixel: usize, k: usize, from: usize| tables[k][usize::from(pixels[pixel][from])];
                self.tensor(value, size, input.layout)
            }
        };
        Ok(PreparedPhoto { tensor, view })
    }

    /// `[height, width]` after the resize; the longer side is rounded down as torchvision does.
    fn resized(&self, h: u32, w: u32) -> Result<[u32; 2], PreprocessError> {
        match self.resize {
            None => Ok([h, w]),
            Some(Resize::Exact(size)) => Ok(size),
            Some(Resize::Shorter(n)) => {
                let longer = u64::from(n) * u64::from(h.max(w)) / u64::from(h.min(w));
                match u32::try_from(longer) {
                    Ok(longer) if longer <= 4 * super::MAX_SIDE => Ok(if w <= h { [longer, n] } else { [n, longer] }),
                    _ => Err(PreprocessError::Mismatch(format!(
                        "a {h}x{w} photo with its shorter side resized to {n} would be {longer} pixels long: set `resize = {{ exact = … }}`"
                    ))),
                }
            }
        }
    }

    /// Greys and resizes, and cuts out these columns and rows; grey is repeated over the three channels.
    fn resample(&self, photo: &Photo, size: [u32; 2], part: [Range<u32>; 2]) -> RgbImage {
        if self.channels != Channels::Gray {
            return resample::resize_part(photo.rgb(), size, part, self.filter);
        }
        let gray = photo.to_gray();
        let gray = RgbImage::from_fn(gray.width(), gray.height(), |x, y| image::Rgb([gray.get_pixel(x, y).0[0]; 3]));
        resample::resize_part(&gray, size, part, self.filter)
    }

    /// The levels that become 0 and 255, where they are given.
    fn range(&self, photo: &Photo) -> Result<Option<[f64; 2]>, PreprocessError> {
        let range = self.window.or(self.max.map(|max| [0.0, max]));
        match range {
            Some([low, high]) if high > photo.most().into() => Err(PreprocessError::Mismatch(format!(
                "levels from {low} to {high} are wanted, and the photo is a file of levels up to {}: `max` and `window` count in the file's own levels",
                photo.most()
            ))),
            range => Ok(range),
        }
    }

    /// The photo as the preprocessing takes it, for display: seen through the window, where there is one.
    pub fn seen(&self, photo: &Photo) -> Photo {
        match self.range(photo) {
            Ok(Some(window)) => photo.seen_through(window),
            _ => photo.clone(),
        }
    }

    /// The levels in the window, greyed and resized in floats: by row, column and channel, 0 to 255 but for a filter that
    /// overshoots.
    fn resample_levels(&self, photo: &Photo, window: [f64; 2], [h, w]: [u32; 2]) -> Vec<f32> {
        let mut levels = photo.windowed(window);
        if self.channels == Channels::Gray {
            for pixel in levels.chunks_exact_mut(3) {
                if let [r, g, b] = *pixel {
                    pixel.fill((19595.0 * r + 38470.0 * g + 7471.0 * b) / 65536.0);
                }
            }
        }
        resample::resize_levels(&levels, photo.rgb().dimensions(), (w, h), self.filter)
    }

    /// (x · scale − mean) / std of a channel of the network's, computed in f64.
    fn normalised(&self, level: f32, channel: usize) -> f32 {
        // One number stands for all channels.
        let each = |numbers: &[f64]| numbers.get(channel).or(numbers.first()).copied().unwrap_or_default();
        ((f64::from(level) * self.scale - each(&self.mean)) / each(&self.std)) as f32
    }

    /// The network's input; `value` gives its numbers by the pixel, the channel, and the channel of RGB that this one is.
    fn tensor(&self, value: impl Fn(usize, usize, usize) -> f32, [h, w]: [usize; 2], layout: AxisOrder) -> ArrayD<f32> {
        let c = self.channels.count();
        let from = |channel: usize| if self.channels == Channels::Bgr { 2 - channel } else { channel };
        let shape = match layout {
            AxisOrder::ChannelsFirst => [1, c, h, w],
            AxisOrder::ChannelsLast => [1, h, w, c],
        };
        let mut tensor = ArrayD::zeros(shape.as_slice());
        let numbers = tensor.as_slice_mut().unwrap_or_default();
        match layout {
            AxisOrder::ChannelsFirst => {
                for (k, plane) in numbers.chunks_exact_mut(h * w).enumerate() {
                    plane.iter_mut().enumerate().for_each(|(pixel, number)| *number = value(pixel, k, from(k)));
                }
            }
            AxisOrder::ChannelsLast => {
                for (pixel, channels) in numbers.chunks_exact_mut(c).enumerate() {
                    channels.iter_mut().enumerate().for_each(|(k, number)| *number = value(pixel, k, from(k)));
                }
            }
        }
        tensor
    }
}

/// (side − crop) / 2, halves to the even number: Python's `round`, as torchvision's `CenterCrop` has it.
fn crop_offset(side: u32, crop: u32) -> u32 {
    let margin = side - crop;
    let half = margin / 2;
    if margin % 2 == 1 && half % 2 == 1 { half + 1 } else { half }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use ndarray::{Array2, s};

    const GOLDENS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/preprocess");
    const ANY: InputShape = InputShape { layout: AxisOrder::ChannelsFirst, channels: None, height: None, width: None };

    fn photo() -> Photo {
        Photo::open(format!("{GOLDENS}/photo.png")).unwrap()
    }

    fn flat(width: u32, height: u32) -> Photo {
        Photo::from_rgb(RgbImage::new(width, height)).unwrap()
    }

    #[test]
    fn luma_is_pillows() {
        let pillow: Array2<u8> = ndarray_npy::read_npy(format!("{GOLDENS}/gray.npy")).unwrap();
        assert!(photo().to_gray().as_raw().iter().eq(&pillow));
    }

    #[test]
    fn pipelines_are_torchvisions() {
        let rgb = "resize = {shorter = 40}\ncrop = [27, 30]\nscale = 0.00392156862745098\nmean = [0.485, 0.456, 0.406]\nstd = [0.229, 0.224, 0.225]";
        let lite = "resize = {shorter = 32}\nfilter = \"bicubic\"\ncrop = [29, 29]\nmean = [127.0]\nstd = [128.0]";
        let gray = "resize = {exact = [28, 28]}\nchannels = \"gray\"\nscale = 0.00392156862745098\nmean = [0.1307]\nstd = [0.3081]";
        for (name, text) in [("rgb", rgb), ("lite", lite), ("gray", gray)] {
            let torchvision: ArrayD<f32> = ndarray_npy::read_npy(format!("{GOLDENS}/pipeline_{name}.npy")).unwrap();
            let preprocess = Preprocess::from_toml(text).unwrap();
            let first = preprocess.apply(&photo(), ANY).unwrap().tensor;
            assert_eq!(first.shape(), torchvision.shape());
            // torchvision normalises in f32: a few roundings at values up to 3.
            let worst = (&first - &torchvision).mapv(f32::abs).fold(0.0, |a: f32, b| a.max(*b));
            assert!(worst < 1e-6, "{name}: {worst}");
            let last =
                preprocess.apply(&photo(), InputShape { layout: AxisOrder::ChannelsLast, ..ANY }).unwrap().tensor;
            assert_eq!(last.permuted_axes(ndarray::IxDyn(&[0, 3, 1, 2])), first);
        }
    }

    #[test]
    fn sizes_and_offsets_are_torchvisions() {
        let goldens: serde_json::Value =
            serde_json::from_slice(&std::fs::read(format!("{GOLDENS}/rounding.json")).unwrap()).unwrap();
        let rows = |key: &str| -> Vec<Vec<u32>> { serde_json::from_value(goldens[key].clone()).unwrap() };
        for row in rows("shorter") {
            let preprocess = Preprocess { resize: Some(Resize::Shorter(row[2])), ..Preprocess::default() };
            match preprocess.resized(row[0], row[1]) {
                Ok(size) => assert_eq!(size, [row[3], row[4]], "{row:?}"),
                Err(_) => assert!(row[3].max(row[4]) > 4 * super::super::MAX_SIDE, "{row:?}"),
            }
        }
        for row in rows("offset") {
            assert_eq!(crop_offset(row[0], row[1]), row[2], "{row:?}");
        }
    }

    #[test]
    fn the_view_is_where_the_crop_lies_in_the_photo() {
        let preprocess = super::super::preset("imagenet").unwrap();
        let view = preprocess.apply(&flat(512, 1024), ANY).unwrap().view;
        assert_eq!(view, Rect { x: 32.0, y: 288.0, width: 448.0, height: 448.0 });
        let whole = Preprocess { resize: Some(Resize::Exact([8, 9])), ..Preprocess::default() };
        let view = whole.apply(&flat(33, 20), ANY).unwrap().view;
        assert_eq!(view, Rect { x: 0.0, y: 0.0, width: 33.0, height: 20.0 });
    }

    #[test]
    fn a_window_of_all_levels_changes_nothing_but_the_rounding() {
        let plain = "resize = {shorter = 40}\ncrop = [27, 30]\nchannels = \"CHANNELS\"";
        for (channels, filter) in [("rgb", "bilinear"), ("gray", "bicubic"), ("bgr", "nearest"), ("rgb", "box")] {
            let text = format!("filter = \"{filter}\"\n{}", plain.replace("CHANNELS", channels));
            let [a, b, c] = ["", "max = 255\n", "window = [0, 255]\n"].map(|range| {
                Preprocess::from_toml(&format!("{range}{text}")).unwrap().apply(&photo(), ANY).unwrap().tensor
            });
            assert_eq!(b, c);
            // Pillow rounds to 8 bits after each of two passes, and grey before.
            let worst = (&a - &b).mapv(f32::abs).fold(0.0, |a: f32, b| a.max(*b));
            assert!(worst <= 1.6 && (filter != "nearest" || worst == 0.0), "{channels} {filter}: {worst}");
        }
    }

    #[test]
    fn levels_of_12_bits_are_not_rounded_to_8() {
        let levels = image::ImageBuffer::<image::Luma<u16>, _>::from_fn(4, 1, |x, _| image::Luma([1000 + x as u16]));
        let mut bytes = std::io::Cursor::new(Vec::new());
        image::DynamicImage::ImageLuma16(levels).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        let photo = Photo::decode(bytes.get_ref(), crate::photo::Limits::default()).unwrap();
        let with = |text: &str| Preprocess::from_toml(&format!("channels = \"gray\"\n{text}")).unwrap();
        let tensor = with("max = 4095\nscale = 0.00392156862745098").apply(&photo, ANY).unwrap().tensor;
        for (x, v) in tensor.iter().enumerate() {
            assert!((f64::from(*v) - (1000 + x) as f64 / 4095.0).abs() < 1e-7);
        }
        let tensor = with("window = [1001, 1002]").apply(&photo, ANY).unwrap().tensor;
        assert_eq!(tensor.iter().copied().collect::<Vec<_>>(), [0.0, 0.0, 255.0, 255.0]);
        assert_eq!(with("window = [1001, 1002]").seen(&photo).rgb().get_pixel(3, 0).0, [255; 3]);
        // An 8-bit photo has no such levels.
        let error = with("max = 4095").apply(&flat(4, 4), ANY).unwrap_err().to_string();
        assert!(error.contains("up to 255"), "{error}");
    }

    #[test]
    fn channels_come_in_the_order_asked_for() {
        let photo = Photo::from_rgb(RgbImage::from_pixel(2, 2, image::Rgb([10, 20, 30]))).unwrap();
        let bgr = super::super::preset("caffe").unwrap().apply(&photo, ANY).unwrap().tensor;
        let expected = [30.0 - 103.939f32, 20.0 - 116.779, 10.0 - 123.68];
        for (k, want) in expected.into_iter().enumerate() {
            assert!((bgr[[0, k, 1, 1]] - want).abs() < 1e-5);
        }
        let gray = Preprocess { channels: Channels::Gray, ..Preprocess::default() };
        let tensor = gray.apply(&photo, ANY).unwrap().tensor;
        assert_eq!(tensor.shape(), [1, 1, 2, 2]);
        assert!(tensor.slice(s![0, 0, .., ..]).iter().all(|v| *v == 18.0));
    }

    #[test]
    fn what_does_not_fit_is_an_error_with_its_remedy() {
        let unit = super::super::preset("unit").unwrap();
        let fixed = InputShape { channels: Some(3), height: Some(224), width: Some(224), ..ANY };
        let error = unit.apply(&flat(300, 200), fixed).unwrap_err().to_string();
        assert!(error.contains("crop = [224, 224]"), "{error}");
        let error = unit.apply(&flat(28, 28), InputShape { channels: Some(1), ..ANY }).unwrap_err().to_string();
        assert!(error.contains("gray"), "{error}");
        let crop = Preprocess { crop: Some([30, 30]), ..Preprocess::default() };
        assert!(matches!(crop.apply(&flat(29, 40), ANY), Err(PreprocessError::Mismatch(_))));
        let shorter = super::super::preset("imagenet").unwrap();
        assert!(matches!(shorter.apply(&flat(1, 60_000), ANY), Err(PreprocessError::Mismatch(_))));
        let vast = Preprocess { resize: Some(Resize::Shorter(16_384)), ..Preprocess::default() };
        assert!(matches!(vast.apply(&flat(1, 4), ANY), Err(PreprocessError::Mismatch(_))));
        assert!(shorter.apply(&flat(1, 1), fixed).is_ok());
    }

    #[test]
    fn the_channel_axis_tells_the_layout() {
        let layout = |shape: &[usize], channels: usize| {
            InputShape::from_shape(&shape.iter().map(|n| (*n > 0).then_some(*n)).collect::<Vec<_>>(), Some(channels))
        };
        assert_eq!(layout(&[1, 3, 224, 224], 1).unwrap().layout, AxisOrder::ChannelsFirst);
        assert_eq!(layout(&[1, 3, 32, 3], 3).unwrap().layout, AxisOrder::ChannelsLast);
        let last = layout(&[0, 240, 0, 3], 3).unwrap();
        assert_eq!(
            last,
            InputShape { layout: AxisOrder::ChannelsLast, channels: Some(3), height: Some(240), width: None }
        );
        assert!(layout(&[1, 1, 64, 64, 64], 1).is_err());
        assert!(layout(&[1, 13, 32, 32], 1).is_err());
        assert!(layout(&[1, 16, 20, 3], 1).is_err());
    }
}
