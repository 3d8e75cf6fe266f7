//! From a photo to the network's input, every step explicit.
//!
//! window → channels → resize → centre crop → out = (x · scale − mean) / std, with x the pixel's level from 0 to 255.
//! Where a [`Preprocess`] comes from: a [`preset`], TOML ([`Preprocess::from_toml`]: a file beside the model, or its
//! metadata), or a Hugging Face `preprocessor_config.json` ([`Preprocess::from_hugging_face`]).

mod apply;
mod hugging_face;
mod presets;
pub(crate) mod resample;

use serde::{Deserialize, Serialize};
use std::fmt;

pub use apply::{AxisOrder, InputShape, PreparedPhoto, Rect};
pub use presets::{PRESETS, Preset, preset, table};

/// The largest side a photo may be resized to.
const MAX_SIDE: u32 = 16_384;
/// The most pixels of a resized photo: more than a photo may have.
const MOST_PIXELS: u64 = 1 << 28;

/// Why a photo cannot be preprocessed as described.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PreprocessError {
    /// A field holds nonsense.
    #[error("preprocessing field `{field}`: {reason}")]
    Invalid {
        /// The field's name.
        field: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// The text is not in the format.
    #[error("{0}")]
    Syntax(String),
    /// No preset has this name.
    #[error("there is no preset `{name}`; near: {}", near.join(", "))]
    NotFound {
        /// What was asked for.
        name: String,
        /// Names like it, nearest first.
        near: Vec<&'static str>,
    },
    /// The description asks for a step that does not exist here.
    #[error("{0}")]
    Unsupported(String),
    /// The network, the photo and the preprocessing do not fit together.
    #[error("{0}")]
    Mismatch(String),
}

impl PreprocessError {
    fn invalid(field: &str, reason: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), reason: reason.into() }
    }
}

/// How the photo's size is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resize {
    /// The shorter side to this many pixels, the longer one to ⌊n · longer / shorter⌋, as torchvision's `Resize(n)`.
    Shorter(u32),
    /// To exactly `[height, width]`, whatever that does to the proportions.
    Exact([u32; 2]),
}

/// The resampling filter, bit for bit Pillow's: widened when shrinking, so that every pixel counts (except `nearest`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// The nearest pixel.
    Nearest,
    /// The mean of the pixels covered.
    Box,
    /// A triangle: torchvision's default.
    #[default]
    Bilinear,
    /// Hamming window of one pixel.
    Hamming,
    /// Keys' cubic with a = −½.
    Bicubic,
    /// Lanczos window of three pixels.
    Lanczos,
}

/// Which channels the network takes, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// Red, green, blue.
    #[default]
    Rgb,
    /// Blue, green, red, as OpenCV and Caffe have them.
    Bgr,
    /// One channel of luma, made before resizing: Pillow's `convert("L")`.
    Gray,
}

impl Channels {
    /// 3, or 1 for grey.
    pub fn count(self) -> usize {
        if self == Self::Gray { 1 } else { 3 }
    }
}

/// How a photo becomes the network's input. Missing fields mean: no window, no resize, no crop, RGB, scale 1, mean 0, std 1.
/// [`KEYS`] has an example of each field as TOML.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Preprocess {
    /// The level of the file that is white, 255 after this step, as 4095 for 12 bits in a file of 16: the same as a `window` from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// The levels of the file that become 0 and 255; what is beyond is cut off. With it, or with `max`, the resize is done in
    /// floats, and nothing is rounded to 8 bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<[f64; 2]>,
    /// The change of size, before cropping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize: Option<Resize>,
    /// The filter of the resize.
    pub filter: Filter,
    /// `[height, width]` of the piece taken from the centre, at offset (side − crop) / 2 rounded half to even, as
    /// torchvision's `CenterCrop`. A crop larger than the picture is an error: the network would see an invented border.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<[u32; 2]>,
    /// Channels and their order.
    pub channels: Channels,
    /// Factor on the levels 0 to 255, so 1/255 gives 0 to 1.
    pub scale: f64,
    /// Subtracted after scaling, in the channels' order.
    pub mean: Vec<f64>,
    /// Divided by at last, in the channels' order.
    pub std: Vec<f64>,
}

/// A field of [`Preprocess`] as it is written in TOML.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The field.
    pub name: &'static str,
    /// What may stand for it.
    pub values: &'static str,
    /// What it does.
    pub what: &'static str,
    /// How it is written, a line each.
    pub examples: &'static [&'static str],
}

/// All fields, in the order of the steps.
pub const KEYS: &[Key] = &[
    Key {
        name: "max",
        values: "a number",
        what: "The level of the file that is white. For files that hold fewer bits than they could, as 12 bits in 16. The same as a window from 0.",
        examples: &["max = 4095"],
    },
    Key {
        name: "window",
        values: "two numbers, the lower first",
        what: "The levels of the file that become 0 and 255; what is beyond is cut off. 8-bit files have levels from 0 to 255, 16-bit files to 65535.",
        examples: &["window = [800, 2600]"],
    },
    Key {
        name: "channels",
        values: "`\"rgb\"`, `\"bgr\"`, `\"gray\"`",
        what: "The channels and their order; grey is luma, as Pillow's `convert(\"L\")`. Without it: rgb.",
        examples: &["channels = \"gray\""],
    },
    Key {
        name: "resize",
        values: "`{ shorter = n }` or `{ exact = [height, width] }`",
        what: "The size before the crop: the shorter side to n pixels, keeping the proportions, or exactly so many.",
        examples: &["resize = { shorter = 256 }", "resize = { exact = [224, 224] }"],
    },
    Key {
        name: "filter",
        values: "`\"nearest\"`, `\"box\"`, `\"bilinear\"`, `\"hamming\"`, `\"bicubic\"`, `\"lanczos\"`",
        what: "How the resize weighs pixels, as Pillow does it. Without it: bilinear.",
        examples: &["filter = \"bicubic\""],
    },
    Key {
        name: "crop",
        values: "`[height, width]`",
        what: "The piece that is taken from the centre.",
        examples: &["crop = [224, 224]"],
    },
    Key {
        name: "scale",
        values: "a number, not 0",
        what: "The factor on the levels from 0 to 255. Without it: 1.",
        examples: &["scale = 0.00392156862745098  # 1/255"],
    },
    Key {
        name: "mean",
        values: "a list of one number, or of one for each channel",
        what: "What is taken off after scaling. Without it: 0.",
        examples: &["mean = [0.485, 0.456, 0.406]", "mean = [0.5]"],
    },
    Key {
        name: "std",
        values: "a list of one number, or of one for each channel",
        what: "What is divided by at last. Without it: 1.",
        examples: &["std = [0.229, 0.224, 0.225]", "std = [0.5]"],
    },
];

impl Default for Preprocess {
    fn default() -> Self {
        Self {
            max: None,
            window: None,
            resize: None,
            filter: Filter::default(),
            crop: None,
            channels: Channels::default(),
            scale: 1.0,
            mean: vec![0.0],
            std: vec![1.0],
        }
    }
}

impl Preprocess {
    /// Reads TOML, as in the example above.
    ///
    /// # Errors
    /// [`PreprocessError::Syntax`] for what is not TOML, unknown fields and wrong types; else as [`Preprocess::validate`].
    pub fn from_toml(text: &str) -> Result<Self, PreprocessError> {
        let this: Self = toml::from_str(text).map_err(|e| PreprocessError::Syntax(format!("preprocessing: {e}")))?;
        this.validate()?;
        Ok(this)
    }

    /// As TOML, a line each; fields that are as when nothing is said are left out.
    pub fn lines(&self) -> Vec<String> {
        let pair = |[a, b]: [u32; 2]| format!("[{a}, {b}]");
        let list = |numbers: &[f64]| format!("{numbers:?}");
        let word = |value: &dyn fmt::Debug| format!("\"{}\"", format!("{value:?}").to_lowercase());
        let nothing = Preprocess::default();
        let mut lines = Vec::new();
        let mut put = |name: &str, value: Option<String>| lines.extend(value.map(|value| format!("{name} = {value}")));
        put("max", self.max.map(|max| format!("{max:?}")));
        put("window", self.window.map(|window| list(&window)));
        put("channels", (self.channels != nothing.channels).then(|| word(&self.channels)));
        put(
            "resize",
            self.resize.map(|resize| match resize {
                Resize::Shorter(n) => format!("{{ shorter = {n} }}"),
                Resize::Exact(size) => format!("{{ exact = {} }}", pair(size)),
            }),
        );
        put("filter", (self.filter != nothing.filter).then(|| word(&self.filter)));
        put("crop", self.crop.map(pair));
        put("scale", (self.scale != nothing.scale).then(|| format!("{:?}", self.scale)));
        put("mean", (self.mean != nothing.mean).then(|| list(&self.mean)));
        put("std", (self.std != nothing.std).then(|| list(&self.std)));
        lines
    }

    /// Reads a Hugging Face `preprocessor_config.json` of the common image processors.
    ///
    /// Sizes, filter and numbers mean what the named processor makes of them: for ConvNeXt a size below 384 is resized
    /// to size / `crop_pct` first. Processors with steps that do not exist here are refused by name. Where the crop's
    /// margin is odd, Hugging Face may start one pixel earlier than torchvision, whose rule is used.
    ///
    /// # Errors
    /// [`PreprocessError::Syntax`] for what is not such a file, [`PreprocessError::Unsupported`] for other processors;
    /// else as [`Preprocess::validate`].
    pub fn from_hugging_face(json: &str) -> Result<Self, PreprocessError> {
        let this = hugging_face::read(json)?;
        this.validate()?;
        Ok(this)
    }

    /// Checks every field: sizes from 1 to 16,384, finite numbers, no zero `scale` or `std`, as many numbers as channels (or one).
    ///
    /// # Errors
    /// [`PreprocessError::Invalid`] that names the field.
    pub fn validate(&self) -> Result<(), PreprocessError> {
        let sizes = match self.resize {
            None => vec![],
            Some(Resize::Shorter(n)) => vec![("resize", n)],
            Some(Resize::Exact([h, w])) => vec![("resize", h), ("resize", w)],
        };
        for (field, n) in sizes.into_iter().chain(self.crop.into_iter().flatten().map(|n| ("crop", n))) {
            if n == 0 || n > MAX_SIDE {
                return Err(PreprocessError::invalid(field, format!("{n} pixels; 1 to {MAX_SIDE} are possible")));
            }
        }
        if let (Some(Resize::Shorter(side)), Some([h, w])) = (self.resize, self.crop)
            && side < h.min(w)
        {
            let reason = format!(
                "{h}x{w} is larger than a square photo resized to {side}: crop at most {side}, or resize to more"
            );
            return Err(PreprocessError::invalid("crop", reason));
        }
        if let (Some(Resize::Exact([h, w])), Some([ch, cw])) = (self.resize, self.crop)
            && (ch > h || cw > w)
        {
            return Err(PreprocessError::invalid("crop", format!("{ch}x{cw} is larger than the {h}x{w} resized to")));
        }
        if let Some(max) = self.max.filter(|max| !(*max > 0.0 && max.is_finite())) {
            return Err(PreprocessError::invalid(
                "max",
                format!("{max} is no level that could be white; 4095 is, of 12 bits"),
            ));
        }
        if let Some([low, high]) = self.window.filter(|[low, high]| !(low < high && (high - low).is_finite())) {
            return Err(PreprocessError::invalid(
                "window",
                format!("{low} to {high}; needs two numbers, the lower first"),
            ));
        }
        if self.max.is_some() && self.window.is_some() {
            return Err(PreprocessError::invalid("max", "says the same as `window`: give one of them"));
        }
        if !self.scale.is_finite() || self.scale == 0.0 {
            return Err(PreprocessError::invalid("scale", format!("{} is no scale; 1/255 is common", self.scale)));
        }
        for (field, numbers) in [("mean", &self.mean), ("std", &self.std)] {
            if numbers.len() != 1 && numbers.len() != self.channels.count() {
                let reason =
                    format!("{} numbers for {} channels; give one, or one each", numbers.len(), self.channels.count());
                return Err(PreprocessError::invalid(field, reason));
            }
            if let Some(bad) = numbers.iter().find(|v| !v.is_finite() || (field == "std" && **v <= 0.0)) {
                return Err(PreprocessError::invalid(field, format!("{bad} is not possible")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn toml_there_and_back() {
        for preset in PRESETS.iter() {
            let text = toml::to_string(&preset.preprocess).unwrap();
            assert_eq!(Preprocess::from_toml(&text).unwrap(), preset.preprocess, "{text}");
            let lines = preset.preprocess.lines().join("\n");
            assert_eq!(Preprocess::from_toml(&lines).unwrap(), preset.preprocess, "{lines}");
        }
        assert_eq!(Preprocess::from_toml("").unwrap(), Preprocess::default());
    }

    #[test]
    fn every_field_is_a_key_with_examples_that_are_read() {
        let all =
            Preprocess { max: Some(1.0), window: Some([0.0, 1.0]), crop: Some([1, 1]), ..preset("imagenet").unwrap() };
        let fields = serde_json::to_value(&all).unwrap();
        let mut names: Vec<&str> = fields.as_object().unwrap().keys().map(String::as_str).collect();
        let mut keys: Vec<&str> = KEYS.iter().map(|k| k.name).collect();
        names.sort_unstable();
        keys.sort_unstable();
        assert_eq!(names, keys);
        for example in KEYS.iter().flat_map(|k| k.examples) {
            let read = Preprocess::from_toml(example).unwrap();
            assert_ne!(read, Preprocess::default(), "{example}");
        }
    }

    #[test]
    fn the_files_beside_the_models_are_the_presets() {
        for name in ["efficientnet-lite0", "digits-cnn"] {
            let path = format!("{}/../../fixtures/{name}.toml", env!("CARGO_MANIFEST_DIR"));
            let read = Preprocess::from_toml(&std::fs::read_to_string(path).unwrap()).unwrap();
            assert_eq!(read, preset(if name == "digits-cnn" { "mnist" } else { "efficientnet-lite" }).unwrap());
        }
    }

    #[test]
    fn nonsense_is_an_error_that_names_the_field() {
        for (text, field) in [
            ("resize = { shorter = 0 }", "resize"),
            ("resize = { exact = [224, 99999] }", "resize"),
            ("crop = [0, 1]", "crop"),
            ("resize = { shorter = 100 }\ncrop = [224, 224]", "crop"),
            ("resize = { exact = [100, 300] }\ncrop = [224, 224]", "crop"),
            ("max = 0", "max"),
            ("max = nan", "max"),
            ("max = 4095\nwindow = [0, 1]", "max"),
            ("window = [5, 5]", "window"),
            ("window = [-inf, 5]", "window"),
            ("scale = 0.0", "scale"),
            ("scale = nan", "scale"),
            ("mean = [1.0, 2.0]", "mean"),
            ("mean = []", "mean"),
            ("mean = [inf]", "mean"),
            ("std = [1.0, 0.0, 1.0]", "std"),
            ("std = [-1.0]", "std"),
            ("channels = \"gray\"\nmean = [1.0, 1.0, 1.0]", "mean"),
        ] {
            let error = Preprocess::from_toml(text).unwrap_err();
            assert!(matches!(&error, PreprocessError::Invalid { field: f, .. } if f == field), "{text}: {error}");
        }
        for text in [
            "sacle = 1",
            "filter = \"cubic\"",
            "resize = { longer = 3 }",
            "resize = { shorter = -1 }",
            "crop = [1]",
            "window = [1]",
            "= 3",
            "crop = 224",
        ] {
            assert!(matches!(Preprocess::from_toml(text), Err(PreprocessError::Syntax(_))), "{text}");
        }
    }
}
