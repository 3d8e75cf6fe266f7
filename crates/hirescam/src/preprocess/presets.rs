//! Preprocessing under the names people know, each with its source.

use std::fmt::Write;
use std::sync::LazyLock;

use super::{Channels, Filter, Preprocess, PreprocessError, Resize};

/// A named preprocessing.
#[derive(Debug)]
pub struct Preset {
    /// The name.
    pub name: &'static str,
    /// Where the numbers are from.
    pub source: &'static str,
    /// The steps.
    pub preprocess: Preprocess,
}

/// 1/255, which brings the levels to 0 … 1.
const UNIT: f64 = 1.0 / 255.0;
const IMAGENET_MEAN: [f64; 3] = [0.485, 0.456, 0.406];
const IMAGENET_STD: [f64; 3] = [0.229, 0.224, 0.225];

/// All presets.
pub static PRESETS: LazyLock<Vec<Preset>> = LazyLock::new(|| {
    let imagenet = Preprocess {
        resize: Some(Resize::Shorter(256)),
        filter: Filter::Bilinear,
        crop: Some([224, 224]),
        channels: Channels::Rgb,
        scale: UNIT,
        mean: IMAGENET_MEAN.to_vec(),
        std: IMAGENET_STD.to_vec(),
        ..Preprocess::default()
    };
    let plain = |channels, scale, mean: &[f64], std: &[f64]| Preprocess {
        channels,
        scale,
        mean: mean.to_vec(),
        std: std.to_vec(),
        ..Preprocess::default()
    };
    vec![
        Preset {
            name: "imagenet",
            source: "torchvision references/classification/presets.py; ImageNet weights V1 of ResNet, VGG, DenseNet, …",
            preprocess: imagenet.clone(),
        },
        Preset {
            name: "imagenet-v2",
            source: "torchvision ResNet*_Weights.IMAGENET1K_V2: resize_size=232",
            preprocess: Preprocess { resize: Some(Resize::Shorter(232)), ..imagenet.clone() },
        },
        Preset {
            name: "imagenet-bicubic",
            source: "timm data/config.py: crop_pct 0.875, bicubic, IMAGENET_DEFAULT_MEAN and _STD",
            preprocess: Preprocess { filter: Filter::Bicubic, ..imagenet.clone() },
        },
        Preset {
            name: "imagenet-gray",
            source: "imagenet for one channel: the means of its three means and of its three deviations, as timm makes one channel of three",
            preprocess: Preprocess {
                channels: Channels::Gray,
                mean: vec![0.449],
                std: vec![0.226],
                ..imagenet.clone()
            },
        },
        Preset {
            name: "efficientnet-lite",
            source: "TensorFlow TPU models/official/efficientnet/lite: bicubic, MEAN_RGB = 127, STDDEV_RGB = 128; here shorter side 256, crop 224 (lite0)",
            preprocess: Preprocess {
                filter: Filter::Bicubic,
                scale: 1.0,
                mean: vec![127.0],
                std: vec![128.0],
                ..imagenet.clone()
            },
        },
        Preset {
            name: "inception",
            source: "timm IMAGENET_INCEPTION_MEAN and _STD = 0.5, tf_keras preprocess_input mode \"tf\"; 299 pixels at crop_pct 0.875",
            preprocess: Preprocess {
                resize: Some(Resize::Shorter(341)),
                filter: Filter::Bicubic,
                crop: Some([299, 299]),
                mean: vec![0.5],
                std: vec![0.5],
                ..imagenet.clone()
            },
        },
        Preset {
            name: "xrv",
            source: "torchxrayvision datasets.normalize, XRayCenterCrop, XRayResizer(224): grey, −1024 to 1024; resized bilinearly here",
            preprocess: Preprocess {
                resize: Some(Resize::Shorter(224)),
                channels: Channels::Gray,
                scale: 2048.0 / 255.0,
                mean: vec![1024.0],
                std: vec![1.0],
                ..imagenet
            },
        },
        Preset {
            name: "tf",
            source: "Keras imagenet_utils.preprocess_input mode \"tf\": x / 127.5 - 1; no resize",
            preprocess: plain(Channels::Rgb, 1.0, &[127.5], &[127.5]),
        },
        Preset {
            name: "torch",
            source: "Keras imagenet_utils.preprocess_input mode \"torch\", torchvision Normalize; no resize",
            preprocess: plain(Channels::Rgb, UNIT, &IMAGENET_MEAN, &IMAGENET_STD),
        },
        Preset {
            name: "tf-gray",
            source: "mode \"tf\" of a grey image: x / 127.5 - 1, torchvision Normalize((0.5,), (0.5,)); no resize",
            preprocess: plain(Channels::Gray, 1.0, &[127.5], &[127.5]),
        },
        Preset {
            name: "caffe",
            source: "Keras imagenet_utils.preprocess_input mode \"caffe\": BGR, minus 103.939, 116.779, 123.68; no resize",
            preprocess: plain(Channels::Bgr, 1.0, &[103.939, 116.779, 123.68], &[1.0]),
        },
        Preset {
            name: "unit",
            source: "torchvision ToTensor, Keras Rescaling(1/255): x / 255; no resize",
            preprocess: plain(Channels::Rgb, UNIT, &[0.0], &[1.0]),
        },
        Preset {
            name: "unit-gray",
            source: "torchvision ToTensor of a grey image: x / 255; no resize",
            preprocess: plain(Channels::Gray, UNIT, &[0.0], &[1.0]),
        },
        Preset {
            name: "mnist",
            source: "PyTorch examples/mnist/main.py: Normalize((0.1307,), (0.3081,)), white on black; no resize",
            preprocess: plain(Channels::Gray, UNIT, &[0.1307], &[0.3081]),
        },
        Preset {
            name: "fashion-mnist",
            source: "the mean and deviation of Fashion-MNIST's training images, 0.2860 and 0.3530; no resize",
            preprocess: plain(Channels::Gray, UNIT, &[0.286], &[0.353]),
        },
        Preset { name: "raw", source: "the levels 0 to 255 as they are; no resize", preprocess: Preprocess::default() },
    ]
});

/// The preset of this name.
///
/// # Errors
/// [`PreprocessError::NotFound`] with the three nearest names.
pub fn preset(name: &str) -> Result<Preprocess, PreprocessError> {
    if let Some(found) = PRESETS.iter().find(|p| p.name.eq_ignore_ascii_case(name)) {
        return Ok(found.preprocess.clone());
    }
    let mut near: Vec<_> = PRESETS.iter().map(|p| p.name).collect();
    near.sort_by(|a, b| strsim::jaro_winkler(b, name).total_cmp(&strsim::jaro_winkler(a, name)));
    near.truncate(3);
    Err(PreprocessError::NotFound { name: name.into(), near })
}

/// The presets as the table of `docs/preprocessing.md`.
pub fn table() -> String {
    let mut text = "| preset | as TOML | from |\n|---|---|---|\n".to_owned();
    for preset in PRESETS.iter() {
        let mut lines: Vec<String> = preset.preprocess.lines().iter().map(|line| format!("`{line}`")).collect();
        if lines.is_empty() {
            lines.push("nothing".into());
        }
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| `{}` | {} | {} |", preset.name, lines.join("<br>"), preset.source);
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_valid_and_found_by_name() {
        for p in PRESETS.iter() {
            p.preprocess.validate().unwrap();
            assert_eq!(preset(p.name).unwrap(), p.preprocess);
        }
        let PreprocessError::NotFound { near, .. } = preset("imagnet").unwrap_err() else { panic!() };
        assert_eq!(near[0], "imagenet");
    }
}
