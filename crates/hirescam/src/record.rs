//! What is written down of an explanation, so that it can be read by machines and made again.

use crate::error::Error;
use crate::explainer::Explainer;
use crate::explanation::Explanation;
use crate::fusion::{Fuse, Fused};
use crate::spec::Spec;
use crate::summary::NOTHING;
use serde_json::{Map, Value, json};
use std::path::Path;

/// An image that was explained.
#[derive(Clone, Copy)]
pub struct Origin<'a> {
    /// The file it comes from.
    pub file: &'a Path,
    /// The file's SHA-256.
    pub sha256: &'a str,
    /// Which image of the file it is.
    pub index: usize,
}

/// A path as it stands in a record. Bytes that are no text are replaced; [`bytes()`] has them.
pub fn path(path: &Path) -> Value {
    path.to_string_lossy().into()
}

/// The bytes of a path that is no text; none for all others.
#[cfg(unix)]
pub fn bytes(path: &Path) -> Value {
    use std::os::unix::ffi::OsStrExt;
    if path.to_str().is_some() { Value::Null } else { path.as_os_str().as_bytes().into() }
}

/// The bytes of a path that is no text: there are none here.
#[cfg(not(unix))]
pub fn bytes(_: &Path) -> Value {
    Value::Null
}

/// The record of an explanation, without the files that were written.
pub fn record(e: &Explanation, explainer: &Explainer, of: Origin, spec: &Spec) -> Value {
    let c = &e.shared.certificate;
    let preprocess = explainer.preprocess().filter(|_| e.photo().is_some());
    json!({
        "model": path(&e.shared.model),
        "model_sha256": e.shared.model_sha256,
        "image": path(of.file),
        "image_bytes": bytes(of.file),
        "image_sha256": of.sha256,
        "image_index": of.index,
        "method": e.shared.method.name,
        "layer": e.shared.layer,
        "output": e.shared.score.output,
        "scores": e.shared.score.logits,
        "class_axis": e.shared.score.output_axis,
        "final_activation": e.shared.score.activation,
        "target": e.shared.target.to_string(),
        "explained": e.name(),
        "class": e.class,
        "entry": e.entry,
        "label": e.label(),
        "score": e.score,
        "probability": e.probability,
        "sum": e.sum,
        "other_tokens": e.other_tokens,
        "bias": e.bias,
        "bias_is_known": e.bias_is_known,
        "residual": e.residual,
        "residual_relative": e.residual.map(|r| r.abs() / e.score.abs().max(f64::MIN_POSITIVE)),
        "share_of_score": e.share(),
        "adds_up": e.adds_up(),
        "integral": e.integral,
        "verdict": c.verdict.to_string(),
        "reason": c.reason,
        "bypass": c.bypass,
        "uniform": c.uniform,
        "scale": c.scale,
        "caution": c.caution,
        "elsewhere": c.elsewhere,
        "certificate": e.in_words(),
        "note": "locality holds at the layer's resolution; resizing to the image spreads it, and receptive fields overlap",
        "map_shape": e.map.shape(),
        "engine": e.shared.engine,
        "engine_version": e.shared.engine_version,
        "version": env!("CARGO_PKG_VERSION"),
        "preprocess": preprocess,
        "spec": spec,
    })
}

/// The record of the maps of several layers in one.
pub fn fused(fused: &Fused, how: Fuse, first: &Explanation, of: Origin, spec: &Spec) -> Value {
    json!({
        "model": path(&first.shared.model),
        "image": path(of.file),
        "image_bytes": bytes(of.file),
        "image_sha256": of.sha256,
        "image_index": of.index,
        "fused": how.to_string(),
        "layers": fused.layers,
        "name": first.name(),
        "certificate": [fused.in_words()],
        "map_shape": fused.map.shape(),
        "version": env!("CARGO_PKG_VERSION"),
        "spec": spec,
    })
}

/// What stands in the place of records where an image has no map.
pub fn nothing(file: &Path, index: usize) -> Value {
    json!({
        "image": path(file),
        "image_bytes": bytes(file),
        "image_index": index,
        "nothing": NOTHING,
        "version": env!("CARGO_PKG_VERSION"),
    })
}

/// What stands in the place of a record where a file failed, or one of its images.
pub fn failure(file: &Path, index: Option<usize>, error: &Error) -> Value {
    json!({
        "image": path(file),
        "image_bytes": bytes(file),
        "image_index": index,
        "error": { "kind": error.kind(), "text": error.without(file) },
        "version": env!("CARGO_PKG_VERSION"),
    })
}

/// Adds fields to a record.
pub fn with<K: Into<String>, V: Into<Value>>(mut record: Value, fields: impl IntoIterator<Item = (K, V)>) -> Value {
    if let Value::Object(map) = &mut record {
        let fields: Map<String, Value> = fields.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        map.extend(fields);
    }
    record
}
