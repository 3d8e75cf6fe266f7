//! What is written down of a result, so that it can be read by machines and made again.
//!
//! A record is one JSON object. [`SCHEMA`] counts the changes after which what was read before is read otherwise; the fields of this one
//! stand in `docs/record.schema.json`, made from these types.

use crate::check::Report;
use crate::comparison::{Compared, Comparison};
use crate::error::Error;
use crate::explanation::{Explanation, Integral};
use crate::fusion::{Fuse, Fused};
use crate::preprocess::Preprocess;
use crate::spec::Spec;
use crate::summary::NOTHING;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The version of these types.
pub const SCHEMA: u32 = 1;

/// What is written down of a result, or of what has none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "record", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Record {
    /// A map.
    Map(Box<MapRecord>),
    /// The maps of several layers in one.
    Fused(Box<FusedRecord>),
    /// Several methods side by side.
    Comparison(Box<ComparisonRecord>),
    /// What a check of a network found.
    Check(Box<Report>),
    /// An image for which there is no map.
    Nothing(NothingRecord),
    /// A file that failed, or one of its images.
    Failed(FailedRecord),
}

/// Where a result comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Origin {
    /// The version of the record's form.
    pub schema: u32,
    /// The version of the program.
    pub version: String,
    /// The image file. Bytes of its name that are no text are replaced.
    pub image: String,
    /// The bytes of its name, where that is no text.
    pub image_bytes: Option<Vec<u8>>,
    /// Its SHA-256; none in records that stand for a missing result, and where nobody gave it.
    pub image_sha256: Option<String>,
    /// Which image of the file it is, from 0; none where it is all of the file that failed.
    pub image_index: Option<usize>,
}

impl Origin {
    /// Of the image number `index` in `file`, whose SHA-256 is `sha256`.
    pub fn new(file: &Path, sha256: Option<&str>, index: Option<usize>) -> Self {
        Origin {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").into(),
            image: path(file),
            image_bytes: bytes(file),
            image_sha256: sha256.map(str::to_owned),
            image_index: index,
        }
    }
}

/// What made a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Provenance {
    /// The network's file; empty for a network of bytes.
    pub model: String,
    /// Its SHA-256.
    pub model_sha256: String,
    /// The engine that ran it.
    pub engine: String,
    /// The engine's version.
    pub engine_version: String,
    /// All that was asked for: read again as a spec, in the same folder, it repeats the run. What lies beside the network, as labels
    /// and preprocessing, and what is in the files that it names is not in it.
    #[cfg_attr(feature = "schema", schemars(with = "serde_json::Map<String, serde_json::Value>"))]
    pub spec: Spec,
}

/// Whose result it is, in a folder of results.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Mark {
    /// The command that wrote it.
    pub command: String,
    /// What the image is called in the folder.
    pub sample: String,
    /// Stands for all that decides the result but for the image: two runs of the same have the same results.
    pub run: String,
}

/// What is written down of every map, alone or among others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct MapNumbers {
    /// The method.
    pub method: String,
    /// The target layer.
    pub layer: String,
    /// The map's extents.
    pub map_shape: Vec<usize>,
    /// Σ map.
    pub sum: f64,
    /// b: what has to be added to give the score.
    pub bias: Option<f64>,
    /// score − (Σ map + other tokens) / scale − b, for methods whose cells are to add up.
    pub residual: Option<f64>,
    /// How an integral came out, for integrated gradients.
    pub integral: Option<Integral>,
    /// What is proven: exact, locally-linear, gradient-only, sum-only or unproven.
    pub verdict: String,
    /// All that is proven and found, in sentences.
    pub certificate: Vec<String>,
}

/// A map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct MapRecord {
    /// Where it comes from.
    #[serde(flatten)]
    pub origin: Origin,
    /// What made it.
    #[serde(flatten)]
    pub provenance: Provenance,
    /// The map, and what is proven of it.
    #[serde(flatten)]
    pub numbers: MapNumbers,
    /// The model's output that is explained.
    pub output: String,
    /// The tensor that holds the scores.
    pub scores: String,
    /// The axis of the output that counts classes, where that is known.
    pub class_axis: Option<usize>,
    /// The final activation that was walked back through.
    pub final_activation: Option<String>,
    /// What was asked for.
    pub target: String,
    /// What the map is about: the label, or the class or entry by its number.
    pub explained: String,
    /// The class, where the target is about a single one.
    pub class: Option<usize>,
    /// Which of a list of scores it is.
    pub entry: Option<usize>,
    /// The class's label.
    pub label: Option<String>,
    /// What the target makes of the scores.
    pub score: f64,
    /// The score's probability, where something makes one of it.
    pub probability: Option<f64>,
    /// What tokens that are no places of the image have.
    pub other_tokens: Option<f64>,
    /// Whether b was found apart from score and map, so that the residual is a test.
    pub bias_is_known: bool,
    /// |residual| / |score|.
    pub residual_relative: Option<f64>,
    /// What the map makes of the score, as a share of it.
    pub share_of_score: Option<f64>,
    /// Whether the residual is no more than rounding leaves.
    pub adds_up: Option<bool>,
    /// The node that decides the verdict.
    pub reason: Option<String>,
    /// The node where a path around the layer joins.
    pub bypass: Option<String>,
    /// Whether the gradient is the same at all places.
    pub uniform: bool,
    /// By how much the cells are more than contributions.
    pub scale: usize,
    /// What to beware of.
    pub caution: Option<String>,
    /// Where places of the layer do not lie as its axes say.
    pub elsewhere: Option<String>,
    /// What holds for every map.
    pub note: String,
    /// How the photo was prepared; none for a tensor.
    #[cfg_attr(feature = "schema", schemars(with = "Option<serde_json::Map<String, serde_json::Value>>"))]
    pub preprocess: Option<Preprocess>,
    /// The files that were written.
    #[serde(flatten)]
    pub files: Files,
    /// Whose it is.
    #[serde(flatten)]
    pub mark: Mark,
}

/// The files of a map.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Files {
    /// The raw map.
    pub map: String,
    /// The picture of it.
    pub overlay: Option<String>,
    /// Why there is none.
    pub no_overlay: Option<String>,
}

/// The maps of several layers in one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct FusedRecord {
    /// Where it comes from.
    #[serde(flatten)]
    pub origin: Origin,
    /// What made it.
    #[serde(flatten)]
    pub provenance: Provenance,
    /// What was taken of the maps at each place: mean or max.
    pub fused: String,
    /// The layers.
    pub layers: Vec<String>,
    /// What the maps are about.
    pub name: String,
    /// What it is, and what is lost.
    pub certificate: Vec<String>,
    /// The map's extents.
    pub map_shape: Vec<usize>,
    /// The files that were written.
    #[serde(flatten)]
    pub files: Files,
    /// Whose it is.
    #[serde(flatten)]
    pub mark: Mark,
}

/// Several methods side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ComparisonRecord {
    /// Where it comes from.
    #[serde(flatten)]
    pub origin: Origin,
    /// What made it.
    #[serde(flatten)]
    pub provenance: Provenance,
    /// The target layer.
    pub layer: String,
    /// The class, where the target is about a single one.
    pub class: Option<usize>,
    /// Its label.
    pub label: Option<String>,
    /// What the target makes of the scores.
    pub score: f64,
    /// Whether the gradient is the same at all places.
    pub uniform: bool,
    /// Which methods must give the same map, and why.
    pub equal: Option<String>,
    /// The methods, in the order in which they were asked for.
    pub methods: Vec<ComparedRecord>,
    /// The picture of all.
    pub picture: Option<String>,
    /// Why there is none.
    pub no_picture: Option<String>,
    /// Whose it is.
    #[serde(flatten)]
    pub mark: Mark,
}

/// One method among others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ComparedRecord {
    /// The map, and what is proven of it.
    #[serde(flatten)]
    pub numbers: MapNumbers,
    /// Whether the map is in units of the score.
    pub in_units_of_the_score: bool,
    /// The share of Σ |map| that lies where HiResCAM is 0.
    pub share_where_hirescam_is_zero: Option<f64>,
    /// The share of Σ |map| that lies where HiResCAM is zero or negative.
    pub share_where_hirescam_is_not_positive: Option<f64>,
}

/// An image for which there is no map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct NothingRecord {
    /// Where it comes from.
    #[serde(flatten)]
    pub origin: Origin,
    /// Why.
    pub nothing: String,
}

/// A file that failed, or one of its images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct FailedRecord {
    /// Where it comes from.
    #[serde(flatten)]
    pub origin: Origin,
    /// What went wrong.
    pub error: Failure,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Failure {
    /// The kind of error, in a word.
    pub kind: String,
    /// The error in words.
    pub text: String,
}

/// A path as it stands in a record. Bytes that are no text are replaced; [`Origin::image_bytes`] has those of images.
pub fn path(path: &Path) -> String {
    path.to_string_lossy().into()
}

/// The bytes of a path that is no text; none for all others.
#[cfg(unix)]
fn bytes(path: &Path) -> Option<Vec<u8>> {
    use std::os::unix::ffi::OsStrExt;
    path.to_str().is_none().then(|| path.as_os_str().as_bytes().to_vec())
}

/// The bytes of a path that is no text: there are none here.
#[cfg(not(unix))]
fn bytes(_: &Path) -> Option<Vec<u8>> {
    None
}

const NOTE: &str =
    "locality holds at the layer's resolution; resizing to the image spreads it, and receptive fields overlap";

impl Record {
    /// Of an explanation.
    pub fn map(e: &Explanation, origin: Origin, files: Files, mark: Mark) -> Self {
        let c = e.certificate();
        let relative = e.residual.map(|r| r.abs() / e.score.abs().max(f64::MIN_POSITIVE));
        Record::Map(Box::new(MapRecord {
            origin,
            provenance: e.provenance().clone(),
            numbers: MapNumbers::new(e),
            output: e.scores().output.clone(),
            scores: e.scores().logits.clone(),
            class_axis: e.scores().output_axis,
            final_activation: e.scores().activation.clone(),
            target: e.target().to_string(),
            explained: e.name(),
            class: e.class,
            entry: e.entry,
            label: e.label().map(str::to_owned),
            score: e.score,
            probability: e.probability.filter(|p| p.is_finite()),
            other_tokens: e.other_tokens,
            bias_is_known: e.bias_is_known,
            residual_relative: relative.filter(|r| r.is_finite()),
            share_of_score: e.share(),
            adds_up: e.adds_up(),
            reason: c.reason.clone(),
            bypass: c.bypass.clone(),
            uniform: c.uniform,
            scale: c.scale,
            caution: c.caution.clone(),
            elsewhere: c.elsewhere.clone(),
            note: NOTE.into(),
            preprocess: e.preprocess().cloned(),
            files,
            mark,
        }))
    }

    /// Of the maps of several layers in one, of which `first` is that of the first.
    pub fn fused((fused, how): (&Fused, Fuse), first: &Explanation, origin: Origin, files: Files, mark: Mark) -> Self {
        Record::Fused(Box::new(FusedRecord {
            origin,
            provenance: first.provenance().clone(),
            fused: how.to_string(),
            layers: fused.layers.clone(),
            name: first.name(),
            certificate: vec![fused.in_words()],
            map_shape: fused.map.shape().to_vec(),
            files,
            mark,
        }))
    }

    /// Of several methods side by side, and their picture or why there is none.
    pub fn comparison(compared: &Comparison, origin: Origin, picture: Result<&Path, String>, mark: Mark) -> Self {
        let e = &compared.hirescam;
        let (picture, no_picture) = match picture {
            Ok(file) => (Some(path(file)), None),
            Err(why) => (None, Some(why)),
        };
        Record::Comparison(Box::new(ComparisonRecord {
            origin,
            provenance: e.provenance().clone(),
            layer: e.layer().to_owned(),
            class: e.class,
            label: e.label().map(str::to_owned),
            score: e.score,
            uniform: e.certificate().uniform,
            equal: compared.why_equal(),
            methods: compared.methods.iter().map(ComparedRecord::new).collect(),
            picture,
            no_picture,
            mark,
        }))
    }

    /// What stands in the place of records where an image has no map.
    pub fn nothing(file: &Path, index: usize) -> Self {
        Record::Nothing(NothingRecord { origin: Origin::new(file, None, Some(index)), nothing: NOTHING.into() })
    }

    /// What stands in the place of a record where a file failed, or one of its images.
    pub fn failed(file: &Path, index: Option<usize>, error: &Error) -> Self {
        let error = Failure { kind: error.kind().into(), text: error.without(file) };
        Record::Failed(FailedRecord { origin: Origin::new(file, None, index), error })
    }

    /// The files of the map, where it is one.
    pub fn files(&self) -> Option<&Files> {
        match self {
            Record::Map(record) => Some(&record.files),
            Record::Fused(record) => Some(&record.files),
            Record::Comparison(_) | Record::Check(_) | Record::Nothing(_) | Record::Failed(_) => None,
        }
    }

    /// The record as a file.
    ///
    /// # Errors
    /// [`Error::Argument`] where it cannot be written as JSON.
    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        let text = serde_json::to_string_pretty(self).map_err(|error| Error::Argument(error.to_string()))?;
        Ok((text + "\n").into_bytes())
    }
}

impl MapNumbers {
    fn new(e: &Explanation) -> Self {
        MapNumbers {
            method: e.method().name.into(),
            layer: e.layer().to_owned(),
            map_shape: e.map.shape().to_vec(),
            sum: e.sum,
            bias: e.bias,
            residual: e.residual,
            integral: e.integral,
            verdict: e.certificate().verdict.to_string(),
            certificate: e.in_words(),
        }
    }
}

impl ComparedRecord {
    fn new(m: &Compared) -> Self {
        ComparedRecord {
            numbers: MapNumbers::new(&m.explanation),
            in_units_of_the_score: m.explanation.method().scored,
            share_where_hirescam_is_zero: m.unused,
            share_where_hirescam_is_not_positive: m.outside,
        }
    }
}
