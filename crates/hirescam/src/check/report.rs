//! What a check finds: the numbers that text, JSON and page show.

use crate::record::Provenance;
use hirescam_core::certify::Certificate;
use serde::{Deserialize, Serialize};

/// How far maps can be trusted on a network, and on the images that were tried. As data, it is a [record](crate::record).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Report {
    /// The version of the report's form.
    pub schema: u32,
    /// The version of the program.
    pub version: String,
    /// What made it.
    #[serde(flatten)]
    pub provenance: Provenance,
    /// The model's output.
    pub output: String,
    /// The final activation that was walked back through.
    pub final_activation: Option<String>,
    /// What is explained.
    pub target: String,
    /// Why nothing could be checked; none where something was.
    pub error: Option<String>,
    /// The images, those that failed too.
    pub images: Vec<ImageReport>,
    /// How many layers could have been checked.
    pub candidates: usize,
    /// The layers that were, in the order of the network.
    pub layers: Vec<LayerReport>,
    /// What becomes of the maps when the weights are randomised; none without images.
    pub randomisation: Option<Randomisation>,
}

impl Report {
    /// With the reason why nothing could be checked, where that is so: no layer can be explained, or of those given no image
    /// was usable or no method gave a map.
    pub(super) fn with_error(mut self) -> Self {
        fn all<'a>(errors: impl Iterator<Item = Option<&'a String>>) -> Option<&'a String> {
            errors.collect::<Option<Vec<_>>>()?.into_iter().next()
        }
        let methods = || self.layers.iter().flat_map(|l| &l.methods);
        let layers = all(self.layers.iter().map(|l| l.error.as_ref()));
        let images = all(self.images.iter().map(|i| i.error.as_ref()));
        let why =
            layers.or(images).or_else(|| all(methods().map(|m| m.error.as_ref().filter(|_| m.images.is_empty()))));
        self.error = why.map(|why| format!("nothing could be checked: {why}"));
        self
    }

    /// Whether something that was to be checked failed: all, an image, or a method.
    pub fn has_failures(&self) -> bool {
        let methods = self.layers.iter().flat_map(|l| &l.methods);
        self.error.is_some()
            || self.images.iter().any(|i| i.error.is_some())
            || methods.into_iter().any(|m| m.error.is_some())
    }
}

/// An image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ImageReport {
    /// Its name.
    pub name: String,
    /// What was explained of it: the class's label, or `class 3`.
    pub explained: Option<String>,
    /// The score of that.
    pub score: Option<f64>,
    /// Why it could not be explained.
    pub error: Option<String>,
    /// The photo as a PNG file, where it is to be shown.
    #[serde(skip)]
    pub png: Option<Vec<u8>>,
}

/// A layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct LayerReport {
    /// Its name.
    pub name: String,
    /// Its extents, as `[N, 512, 7, 7]`.
    pub shape: String,
    /// The extents of its space.
    pub resolution: Vec<usize>,
    /// Where it sits, in words.
    pub place: String,
    /// Whether it is the layer taken when none is named.
    pub recommended: bool,
    /// What is proven of HiResCAM's maps there.
    pub verdict: Option<String>,
    /// The node that decides the verdict.
    pub reason: Option<String>,
    /// The node where a path around the layer joins.
    pub bypass: Option<String>,
    /// Whether the gradient is the same at all places.
    pub uniform: Option<bool>,
    /// Whether the scores stay the same when the activation is scaled.
    pub ignores_scale: bool,
    /// Whether a single place decides the scores.
    pub reads_one_place: bool,
    /// Why it cannot be explained.
    pub error: Option<String>,
    /// Which methods must give the same map there, and why.
    pub equal: Option<String>,
    /// The methods on the images, HiResCAM first; none without images.
    pub methods: Vec<MethodReport>,
    /// What taking places out does to the score.
    pub ablation: Option<Ablation>,
}

impl LayerReport {
    pub(super) fn new(found: &hirescam_core::layers::Layer, shape: String, resolution: Vec<usize>) -> Self {
        let certificate = found.certificate.as_ref().ok();
        let of = |field: fn(&Certificate) -> Option<String>| certificate.and_then(field);
        LayerReport {
            name: found.name.clone(),
            shape,
            resolution,
            place: found.place.clone(),
            recommended: found.recommended,
            verdict: of(|c| Some(c.verdict.to_string())),
            reason: of(|c| c.reason.clone()),
            bypass: of(|c| c.bypass.clone()),
            uniform: certificate.map(|c| c.uniform),
            ignores_scale: found.ignores_scale,
            reads_one_place: found.reads_one_place,
            error: found.certificate.as_ref().err().map(ToString::to_string),
            equal: None,
            methods: Vec::new(),
            ablation: None,
        }
    }
}

/// A method at a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct MethodReport {
    /// Its name.
    pub method: String,
    /// Its name in prose.
    pub title: String,
    /// What is proven of its maps.
    pub verdict: Option<String>,
    /// Whether they are in units of the score. Where they are not, nothing is to add up.
    pub in_units_of_the_score: bool,
    /// Why it, or its map of some image, could not be made.
    pub error: Option<String>,
    /// |score − Σ map / scale − b|, b as far as one is proven.
    pub residual: Option<Spread>,
    /// The same over |score|.
    pub residual_relative: Option<Spread>,
    /// The share of Σ |map| that lies where HiResCAM is 0.
    #[serde(rename = "share_where_hirescam_is_zero")]
    pub unused: Option<Spread>,
    /// The share of Σ |map| that lies where HiResCAM is zero or negative.
    #[serde(rename = "share_where_hirescam_is_not_positive")]
    pub outside: Option<Spread>,
    /// The share of Σ |map|, over the places that were taken out, that lies where this left the score as it was.
    #[serde(rename = "share_where_ablation_changes_nothing")]
    pub idle: Option<Spread>,
    /// The rank correlation of the cells with what the score loses without their places.
    #[serde(rename = "correlation_with_ablation")]
    pub agreement: Option<Spread>,
    /// The numbers of each image.
    pub images: Vec<Numbers>,
    /// The first maps over their photos.
    #[serde(skip)]
    pub pictures: Vec<PictureReport>,
}

/// A method's numbers for one image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Numbers {
    /// Which, counted from 0.
    pub image: usize,
    /// The score.
    pub score: f64,
    /// Σ map.
    pub sum: f64,
    /// b, where one is proven.
    pub bias: Option<f64>,
    /// score − Σ map / scale − b.
    pub residual: Option<f64>,
    /// As [`MethodReport::unused`].
    #[serde(rename = "share_where_hirescam_is_zero")]
    pub unused: Option<f64>,
    /// As [`MethodReport::outside`].
    #[serde(rename = "share_where_hirescam_is_not_positive")]
    pub outside: Option<f64>,
}

/// Some numbers in short.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Spread {
    /// Their mean.
    pub mean: f64,
    /// Their median; of an even number the mean of the middle two.
    pub median: f64,
    /// The worst: the largest of errors and shares, the smallest of correlations.
    pub worst: f64,
}

impl Spread {
    /// Of errors and shares.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (half, n) = (sorted.len() / 2, sorted.len());
        let middle = sorted.get((n.saturating_sub(1)) / 2..=half)?;
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        Some(Spread { mean: mean(&sorted), median: mean(middle), worst: *sorted.last()? })
    }

    /// Of correlations.
    pub(super) fn of_correlations(values: &[f64]) -> Option<Self> {
        let worst = values.iter().copied().reduce(f64::min)?;
        Self::of(values).map(|spread| Spread { worst, ..spread })
    }
}

/// A map over its photo, as a PNG file.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PictureReport {
    /// Which image, counted from 0.
    pub image: usize,
    /// The largest |value|, which has the strongest colour.
    pub largest: f32,
    /// The file.
    pub png: Vec<u8>,
}

/// What became of the score when the activation was set to 0 at single places, and how that agrees with HiResCAM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Ablation {
    /// How many images were tried.
    pub images: usize,
    /// How many places of each.
    pub places: usize,
    /// The largest |change − cell| of any place, in units of the score.
    pub deviation: f64,
    /// The largest |change − cell| over the largest |cell| of its image.
    pub deviation_relative: f64,
    /// The largest change of the score that can be rounding: sixteen roundings in float32 of |score| + Σ |cell|, in the image
    /// where that is least.
    pub rounding: f64,
    /// At how many of the places HiResCAM was 0.
    pub zeros: usize,
    /// The largest |change| at one of those, over the largest |cell| of its image.
    pub change_at_zeros: Option<f64>,
    /// Why it failed.
    pub error: Option<String>,
}

/// What becomes of the maps when the weights are randomised, from the score downwards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Randomisation {
    /// The layer.
    pub layer: String,
    /// How many images were tried.
    pub images: usize,
    /// How many weight tensors the network has.
    pub weights: usize,
    /// More and more of them randomised.
    pub stages: Vec<Stage>,
    /// Why it failed.
    pub error: Option<String>,
}

/// A randomised network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Stage {
    /// How many weight tensors were randomised, counted from the score.
    pub randomised: usize,
    /// The last of them.
    pub down_to: String,
    /// The methods.
    pub methods: Vec<Correlation>,
    /// Why it failed.
    pub error: Option<String>,
}

/// How much a method's maps of a randomised network are like those of the original: the mean over images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Correlation {
    /// The method.
    pub method: String,
    /// Its name in prose.
    pub title: String,
    /// Spearman's rank correlation of the maps; none where one of them is the same everywhere.
    pub signed: Option<f64>,
    /// The same of |map|.
    pub absolute: Option<f64>,
}

/// A made-up report with all that can be in one, and with names that are markup.
#[cfg(test)]
pub(super) fn example() -> Report {
    use crate::Spec;
    use crate::methods::Settings;
    let spread = |mean, worst| Some(Spread { mean, median: mean, worst });
    let method = |method: &str, title: &str, verdict: &str, scored| MethodReport {
        method: method.into(),
        title: title.into(),
        verdict: Some(verdict.into()),
        in_units_of_the_score: scored,
        error: None,
        residual: spread(1.5e-6, 2e-6).filter(|_| scored),
        residual_relative: spread(1e-7, 2e-7).filter(|_| scored),
        unused: spread(0.0, 0.0),
        outside: spread(0.125, 0.25),
        idle: spread(0.0004, 0.001),
        agreement: spread(-0.5, -1.0),
        images: vec![],
        pictures: vec![PictureReport { image: 0, largest: 0.5, png: vec![1, 2, 3] }],
    };
    let layer = |name: &str, verdict: Option<&str>| LayerReport {
        name: name.into(),
        shape: "[N, 8, 4, 5]".into(),
        resolution: vec![4, 5],
        place: "after Relu".into(),
        recommended: false,
        verdict: verdict.map(str::to_owned),
        reason: None,
        bypass: None,
        uniform: verdict.map(|_| false),
        ignores_scale: false,
        reads_one_place: false,
        error: None,
        equal: None,
        methods: Vec::new(),
        ablation: None,
    };
    let ablation = Ablation {
        images: 2,
        places: 7,
        deviation: 2e-6,
        deviation_relative: 4e-6,
        rounding: 3e-5,
        zeros: 3,
        change_at_zeros: Some(0.0),
        error: None,
    };
    let image = |name: &str, explained: Option<&str>, error: Option<&str>| ImageReport {
        name: name.into(),
        explained: explained.map(str::to_owned),
        score: explained.map(|_| 9.25),
        error: error.map(str::to_owned),
        png: Some(vec![7]),
    };
    let correlation = |method: &str, title: &str, signed: Option<f64>| Correlation {
        method: method.into(),
        title: title.into(),
        signed,
        absolute: signed.map(f64::abs),
    };
    let stage = |randomised, signed| Stage {
        randomised,
        down_to: format!("w{randomised}"),
        methods: vec![correlation("hirescam", "HiResCAM", signed), correlation("eigencam", "Eigen-CAM", Some(1.0))],
        error: None,
    };
    Report {
        schema: crate::record::SCHEMA,
        version: "0.0.0".into(),
        provenance: Provenance {
            model: "nets/<b>.onnx".into(),
            model_sha256: "00ff".into(),
            engine: "tract".into(),
            engine_version: "1".into(),
            spec: Spec { settings: Settings { seed: 3, ..Settings::default() }, ..Spec::default() },
        },
        output: "logits".into(),
        final_activation: Some("Softmax".into()),
        target: "top:1".into(),
        error: None,
        images: vec![
            image("a/<script>alert(\"ö\")</script>", Some("cat & dog"), None),
            image("b.png", None, Some("the image is damaged")),
            image("\" onerror=\"x", Some("tench"), None),
        ],
        candidates: 9,
        layers: vec![
            LayerReport { error: Some("no rule for Foo".into()), ..layer("conv", None) },
            LayerReport {
                recommended: true,
                uniform: Some(true),
                equal: Some("HiResCAM and Grad-CAM must be the same map".into()),
                methods: vec![
                    method("hirescam", "HiResCAM", "exact", true),
                    MethodReport {
                        error: Some("b.png: the map holds NaN".into()),
                        ..method("eigencam", "Eigen-CAM", "unproven", false)
                    },
                ],
                ablation: Some(ablation.clone()),
                ..layer("relu", Some("exact"))
            },
            LayerReport {
                reason: Some("MaxPool node \"p\"".into()),
                bypass: Some("Add node \"a\"".into()),
                ignores_scale: true,
                reads_one_place: true,
                methods: vec![method("hirescam", "HiResCAM", "locally-linear", true)],
                ablation: Some(Ablation {
                    images: 1,
                    deviation: 0.2,
                    deviation_relative: 0.4,
                    change_at_zeros: Some(0.02),
                    ..ablation
                }),
                ..layer("late", Some("locally-linear"))
            },
        ],
        randomisation: Some(Randomisation {
            layer: "relu".into(),
            images: 2,
            weights: 5,
            stages: vec![
                stage(1, Some(-0.25)),
                Stage { methods: Vec::new(), error: Some("it overflows".into()), ..stage(2, None) },
                stage(5, None),
            ],
            error: None,
        }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_nothing_has_an_error() {
        let error = |report: Report| report.with_error().error;
        assert_eq!(error(example()), None);
        assert!(example().has_failures());
        let failed = |i: usize| Some(format!("cause {i}"));
        let mut report = example();
        report.layers.iter_mut().enumerate().for_each(|(i, l)| l.error = failed(i));
        assert_eq!(error(report), Some("nothing could be checked: cause 0".into()));
        let mut report = example();
        report.images.iter_mut().enumerate().for_each(|(i, image)| image.error = failed(i));
        assert_eq!(error(report), Some("nothing could be checked: cause 0".into()));
        let mut report = example();
        for (i, method) in report.layers.iter_mut().flat_map(|l| &mut l.methods).enumerate() {
            (method.error, method.images) = (failed(i), Vec::new());
        }
        assert_eq!(error(report), Some("nothing could be checked: cause 0".into()));
    }

    #[test]
    fn spreads_are_mean_median_and_worst() {
        let spread = |mean, median, worst| Some(Spread { mean, median, worst });
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(Spread::of(&[2.0]), spread(2.0, 2.0, 2.0));
        assert_eq!(Spread::of(&[5.0, 1.0, 0.0]), spread(2.0, 1.0, 5.0));
        assert_eq!(Spread::of(&[8.0, 1.0, 3.0, 0.0]), spread(3.0, 2.0, 8.0));
        assert_eq!(Spread::of_correlations(&[1.0, -1.0, 0.0]), spread(0.0, 0.0, -1.0));
    }
}
