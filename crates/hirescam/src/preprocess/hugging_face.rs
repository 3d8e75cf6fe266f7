//! Hugging Face's `preprocessor_config.json`, for the image processors whose steps are those of [`Preprocess`].

use serde_json::{Map, Value};

use super::{Channels, Filter, Preprocess, PreprocessError, Resize};

/// What an image processor makes of the fields.
struct Processor {
    /// Name without `ImageProcessor`, `ImageProcessorFast` or `FeatureExtractor`.
    name: &'static str,
    /// Whether a single number as `size` is the shorter side, not both sides.
    shorter: bool,
    /// The filter if `resample` is missing.
    filter: Filter,
}

/// Source: Hugging Face transformers, `src/transformers/models/*/image_processing_*.py`.
const PROCESSORS: &[Processor] = &[
    Processor { name: "ViT", shorter: false, filter: Filter::Bilinear },
    Processor { name: "DeiT", shorter: false, filter: Filter::Bicubic },
    Processor { name: "Beit", shorter: false, filter: Filter::Bicubic },
    Processor { name: "Bit", shorter: true, filter: Filter::Bicubic },
    Processor { name: "CLIP", shorter: true, filter: Filter::Bicubic },
    Processor { name: "ConvNext", shorter: true, filter: Filter::Bicubic },
    Processor { name: "MobileNetV1", shorter: true, filter: Filter::Bilinear },
    Processor { name: "MobileNetV2", shorter: true, filter: Filter::Bilinear },
    Processor { name: "MobileViT", shorter: true, filter: Filter::Bilinear },
];

/// Steps that change the pixels and do not exist here, if they are switched on.
const FOREIGN_STEPS: &[&str] =
    &["do_pad", "do_thumbnail", "do_align_long_axis", "do_color_quantize", "rescale_offset", "include_top"];

pub(super) fn read(json: &str) -> Result<Preprocess, PreprocessError> {
    let config: Map<String, Value> =
        serde_json::from_str(json).map_err(|e| PreprocessError::Syntax(format!("preprocessor_config.json: {e}")))?;
    let processor = processor(&config)?;
    if let Some(step) = FOREIGN_STEPS.iter().find(|step| config.get(**step) == Some(&Value::Bool(true))) {
        return Err(PreprocessError::Unsupported(format!(
            "preprocessor_config.json asks for `{step}`, which does not exist here: describe the preprocessing in TOML"
        )));
    }
    let mut out = Preprocess { filter: filter(&config, processor)?, ..Preprocess::default() };
    if flag(&config, "do_resize", true)? {
        out.resize = Some(resize(&config, processor)?);
        if processor.name == "ConvNext" {
            (out.resize, out.crop) = convnext(&config, out.resize)?;
        }
    }
    if flag(&config, "do_center_crop", config.contains_key("crop_size"))? {
        out.crop = match size(&config, "crop_size")? {
            Size::Number(n) => Some([n, n]),
            Size::Exact(h, w) => Some([h, w]),
            Size::Shorter(_) => {
                return Err(PreprocessError::invalid("crop_size", "needs a number, or height and width"));
            }
        };
    }
    // Feature extractors of old versions scaled by 1/255 without writing so.
    if flag(&config, "do_rescale", true)? {
        out.scale = match config.get("rescale_factor") {
            None => 1.0 / 255.0,
            Some(value) => value
                .as_f64()
                .ok_or_else(|| PreprocessError::invalid("rescale_factor", format!("{value} is no number")))?,
        };
    }
    // MobileViT's processor never normalises.
    if flag(&config, "do_normalize", processor.name != "MobileViT")? {
        out.mean = numbers(&config, "image_mean")?;
        out.std = numbers(&config, "image_std")?;
    }
    if flag(&config, "do_flip_channel_order", processor.name == "MobileViT")? {
        out.channels = Channels::Bgr;
        // The flip comes last there: mean and std are in RGB order.
        out.mean.reverse();
        out.std.reverse();
    }
    Ok(out)
}

fn processor(config: &Map<String, Value>) -> Result<&'static Processor, PreprocessError> {
    let kind = ["image_processor_type", "feature_extractor_type"]
        .iter()
        .find_map(|key| config.get(*key))
        .and_then(Value::as_str);
    let Some(kind) = kind else {
        return Err(PreprocessError::invalid(
            "image_processor_type",
            "is missing: it decides what the other fields mean",
        ));
    };
    let name = ["ImageProcessorFast", "ImageProcessor", "FeatureExtractor"]
        .iter()
        .find_map(|end| kind.strip_suffix(end))
        .unwrap_or(kind);
    PROCESSORS.iter().find(|p| p.name == name).ok_or_else(|| {
        let known: Vec<_> = PROCESSORS.iter().map(|p| p.name).collect();
        PreprocessError::Unsupported(format!(
            "the image processor `{kind}` is not known here (known: {}): describe the preprocessing in TOML",
            known.join(", ")
        ))
    })
}

/// The three ways a size is written.
enum Size {
    Number(u32),
    Shorter(u32),
    Exact(u32, u32),
}

fn size(config: &Map<String, Value>, field: &str) -> Result<Size, PreprocessError> {
    let bad =
        || PreprocessError::invalid(field, "needs a number, {\"shortest_edge\": n} or {\"height\": h, \"width\": w}");
    let pixels = |v: &Value| v.as_u64().and_then(|n| u32::try_from(n).ok()).ok_or_else(bad);
    match config.get(field) {
        Some(Value::Object(map)) => match (map.get("shortest_edge"), map.get("height"), map.get("width")) {
            // With a longest edge the result depends on the photo in another way.
            _ if map.contains_key("longest_edge") => {
                Err(PreprocessError::Unsupported(format!("`{field}` with `longest_edge` does not exist here")))
            }
            (Some(n), None, None) => Ok(Size::Shorter(pixels(n)?)),
            (None, Some(h), Some(w)) => Ok(Size::Exact(pixels(h)?, pixels(w)?)),
            _ => Err(bad()),
        },
        Some(value) => Ok(Size::Number(pixels(value)?)),
        None => Err(bad()),
    }
}

fn resize(config: &Map<String, Value>, processor: &Processor) -> Result<Resize, PreprocessError> {
    Ok(match size(config, "size")? {
        Size::Number(n) if processor.shorter => Resize::Shorter(n),
        Size::Number(n) => Resize::Exact([n, n]),
        Size::Shorter(n) => Resize::Shorter(n),
        Size::Exact(h, w) => Resize::Exact([h, w]),
    })
}

/// ConvNeXt: below 384 resize the shorter side to ⌊size / crop_pct⌋ and crop the size, from 384 stretch to it.
fn convnext(
    config: &Map<String, Value>,
    resize: Option<Resize>,
) -> Result<(Option<Resize>, Option<[u32; 2]>), PreprocessError> {
    let Some(Resize::Shorter(size)) = resize else {
        return Err(PreprocessError::invalid("size", "ConvNeXt's processor needs {\"shortest_edge\": n}"));
    };
    if size >= 384 {
        return Ok((Some(Resize::Exact([size, size])), None));
    }
    let part = match config.get("crop_pct") {
        None | Some(Value::Null) => 224.0 / 256.0,
        Some(value) => value
            .as_f64()
            .filter(|p| *p > 0.0 && *p <= 1.0)
            .ok_or_else(|| PreprocessError::invalid("crop_pct", format!("{value} is not between 0 and 1")))?,
    };
    Ok((Some(Resize::Shorter((f64::from(size) / part) as u32)), Some([size, size])))
}

/// Pillow's numbers of its filters.
fn filter(config: &Map<String, Value>, processor: &Processor) -> Result<Filter, PreprocessError> {
    match config.get("resample") {
        None | Some(Value::Null) => Ok(processor.filter),
        Some(value) => Ok(match value.as_u64() {
            Some(0) => Filter::Nearest,
            Some(1) => Filter::Lanczos,
            Some(2) => Filter::Bilinear,
            Some(3) => Filter::Bicubic,
            Some(4) => Filter::Box,
            Some(5) => Filter::Hamming,
            _ => {
                return Err(PreprocessError::invalid(
                    "resample",
                    format!("{value} is none of Pillow's filters 0 to 5"),
                ));
            }
        }),
    }
}

fn flag(config: &Map<String, Value>, field: &str, missing: bool) -> Result<bool, PreprocessError> {
    match config.get(field) {
        None | Some(Value::Null) => Ok(missing),
        Some(Value::Bool(on)) => Ok(*on),
        Some(value) => Err(PreprocessError::invalid(field, format!("{value} is neither true nor false"))),
    }
}

fn numbers(config: &Map<String, Value>, field: &str) -> Result<Vec<f64>, PreprocessError> {
    let numbers = match config.get(field) {
        Some(Value::Array(items)) => items.iter().map(Value::as_f64).collect(),
        Some(value) => value.as_f64().map(|n| vec![n]),
        None => None,
    };
    numbers.ok_or_else(|| PreprocessError::invalid(field, "needs a number or a list of them"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::preprocess::preset;

    #[test]
    fn resnet_and_convnext_at_224_are_imagenet() {
        // microsoft/resnet-50 and facebook/convnext-tiny-224, but for the filter.
        let resnet = r#"{"crop_pct": 0.875, "do_normalize": true, "do_resize": true, "feature_extractor_type": "ConvNextFeatureExtractor",
            "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "resample": 3, "size": 224}"#;
        assert_eq!(Preprocess::from_hugging_face(resnet).unwrap(), preset("imagenet-bicubic").unwrap());
        let modern = resnet
            .replace("\"size\": 224", r#""size": {"shortest_edge": 224}"#)
            .replace("ConvNextFeatureExtractor", "ConvNextImageProcessorFast");
        assert_eq!(Preprocess::from_hugging_face(&modern).unwrap(), preset("imagenet-bicubic").unwrap());
        let large = Preprocess::from_hugging_face(&resnet.replace("\"size\": 224", "\"size\": 384")).unwrap();
        assert_eq!((large.resize, large.crop), (Some(Resize::Exact([384, 384])), None));
    }

    #[test]
    fn vit_stretches_and_mobilenet_crops() {
        let vit = r#"{"do_normalize": true, "do_rescale": true, "do_resize": true, "image_mean": [0.5, 0.5, 0.5], "image_processor_type": "ViTImageProcessor",
            "image_std": [0.5, 0.5, 0.5], "resample": 2, "rescale_factor": 0.00392156862745098, "size": {"height": 224, "width": 224}}"#;
        let vit = Preprocess::from_hugging_face(vit).unwrap();
        assert_eq!((vit.resize, vit.crop, vit.filter), (Some(Resize::Exact([224, 224])), None, Filter::Bilinear));
        let mobilenet = r#"{"crop_size": {"height": 224, "width": 224}, "do_center_crop": true, "do_normalize": true, "do_rescale": true, "do_resize": true,
            "image_mean": [0.5, 0.5, 0.5], "image_processor_type": "MobileNetV2ImageProcessor", "image_std": [0.5, 0.5, 0.5], "resample": 2,
            "rescale_factor": 0.00392156862745098, "size": {"shortest_edge": 256}}"#;
        let mobilenet = Preprocess::from_hugging_face(mobilenet).unwrap();
        assert_eq!((mobilenet.resize, mobilenet.crop), (Some(Resize::Shorter(256)), Some([224, 224])));
        assert_eq!(mobilenet.scale, 1.0 / 255.0);
    }

    #[test]
    fn mobilevit_flips_and_does_not_normalise() {
        let text = r#"{"feature_extractor_type": "MobileViTFeatureExtractor", "crop_size": 256, "do_center_crop": true,
            "do_flip_channel_order": true, "do_resize": true, "resample": 2, "size": 288}"#;
        let got = Preprocess::from_hugging_face(text).unwrap();
        assert_eq!((got.channels, got.resize, got.crop), (Channels::Bgr, Some(Resize::Shorter(288)), Some([256, 256])));
        assert_eq!((got.mean, got.std), (vec![0.0], vec![1.0]));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let with = |fields: &str| {
            Preprocess::from_hugging_face(&format!("{{\"image_mean\": [0.5], \"image_std\": [0.5], {fields}}}"))
                .unwrap_err()
                .to_string()
        };
        for (fields, word) in [
            (r#""image_processor_type": "DetrImageProcessor", "size": 800"#, "DetrImageProcessor"),
            (r#""size": 224"#, "image_processor_type"),
            (
                r#""image_processor_type": "ViTImageProcessor", "size": {"longest_edge": 3, "shortest_edge": 2}"#,
                "longest_edge",
            ),
            (r#""image_processor_type": "ViTImageProcessor", "size": {"height": 3}"#, "size"),
            (r#""image_processor_type": "ViTImageProcessor", "size": -3"#, "size"),
            (r#""image_processor_type": "ViTImageProcessor""#, "size"),
            (r#""image_processor_type": "ViTImageProcessor", "size": 224, "resample": 9"#, "resample"),
            (r#""image_processor_type": "ViTImageProcessor", "size": 224, "do_rescale": 1"#, "do_rescale"),
            (r#""image_processor_type": "ViTImageProcessor", "size": 224, "do_pad": true"#, "do_pad"),
            (r#""image_processor_type": "ConvNextImageProcessor", "size": 224, "crop_pct": 0"#, "crop_pct"),
            (r#""image_processor_type": "ViTImageProcessor", "size": 224, "image_std": "x""#, "image_std"),
        ] {
            let error = with(fields);
            assert!(error.contains(word), "{fields}: {error}");
        }
        assert!(matches!(Preprocess::from_hugging_face("[]"), Err(PreprocessError::Syntax(_))));
    }
}
