//! What decides the rows of a job, each part by its name, so that one can say which of them changed.

use crate::sha256;
use hirescam::{Explainer, Spec, source};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

/// All that decides what stands in the rows, but for the machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The version of this program.
    pub program: String,
    /// SHA-256 of the network's file and of the files with its weights, by name; the file's own name is empty.
    pub model: BTreeMap<String, String>,
    /// The spec. How many threads the engine has and where its library lies decides no row, and is not in it.
    pub spec: Value,
    /// How photos are prepared.
    pub preprocess: Value,
    /// SHA-256 of the labels; none where there are none.
    pub labels: Option<String>,
    /// SHA-256 of other files that the spec names.
    pub files: BTreeMap<String, String>,
    /// The form of the rows.
    pub rows: Value,
    /// How many inputs there are, in how large shards, and SHA-256 of their list. Where they are brought by somebody else, how they are read, if that is said.
    pub inputs: Option<String>,
}

/// What the list of inputs is called among what changed.
pub(crate) const LIST: &str = "list of inputs";

/// Something that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What changed.
    pub what: String,
    /// What it was.
    pub was: String,
    /// What it is.
    pub is: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "the {} changed from {} to {}", self.what, self.was, self.is)
    }
}

impl Fingerprint {
    /// Of what an explainer makes: rows of the form `rows`, of the inputs that `inputs` stands for.
    pub fn of(explainer: &Explainer, model: BTreeMap<String, String>, rows: Value, inputs: Option<String>) -> Self {
        Fingerprint {
            program: env!("CARGO_PKG_VERSION").into(),
            model,
            spec: spec_of(explainer.spec()),
            preprocess: json!(explainer.preprocess()),
            labels: explainer.labels().map(|labels| sha256(json!(labels.names()).to_string().as_bytes())),
            files: files(explainer.spec()),
            rows,
            inputs,
        }
    }

    /// All of it as one SHA-256.
    pub fn digest(&self) -> String {
        sha256(json!(self).to_string().as_bytes())
    }

    /// What all rows share that are made so, as it stands in their files.
    pub(crate) fn shared(&self, model: &str, [engine, engine_version]: [&str; 2]) -> Value {
        json!({
            "fingerprint": self.digest(),
            "version": self.program,
            "model": model,
            "model_sha256": self.model.get(""),
            "engine": engine,
            "engine_version": engine_version,
            "spec": self.spec,
            "preprocess": self.preprocess,
            "labels_sha256": self.labels,
        })
    }

    /// What is other in `is`.
    pub fn changed(&self, is: &Fingerprint) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut differ = |what: &str, was: &Value, is: &Value| {
            if was != is {
                changes.push(Change { what: what.into(), was: short(was), is: short(is) });
            }
        };
        differ("program's version", &json!(self.program), &json!(is.program));
        for name in self.model.keys().chain(is.model.keys()).collect::<BTreeSet<_>>() {
            let what = if name.is_empty() { "model".into() } else { format!("model's weights in {name}") };
            differ(&what, &json!(self.model.get(name)), &json!(is.model.get(name)));
        }
        for name in self.files.keys().chain(is.files.keys()).collect::<BTreeSet<_>>() {
            differ(&format!("file {name}"), &json!(self.files.get(name)), &json!(is.files.get(name)));
        }
        differ_in("spec's", &self.spec, &is.spec, &mut differ);
        differ_in("preprocessing's", &self.preprocess, &is.preprocess, &mut differ);
        differ("labels", &json!(self.labels), &json!(is.labels));
        differ_in("rows'", &self.rows, &is.rows, &mut differ);
        differ(LIST, &json!(self.inputs), &json!(is.inputs));
        changes
    }
}

/// So many numbers of an input beside the image stand in a fingerprint; of more, their hash.
const NUMBERS: usize = 16;

/// The spec without what decides no row; labels and preprocessing have places of their own. It stands in each file of rows, so that the numbers of
/// an input, which may be some for each image of the job, are there by their hash.
fn spec_of(spec: &Spec) -> Value {
    let mut spec = json!(spec);
    let Some(fields) = spec.as_object_mut() else { return spec };
    for name in ["labels", "preprocess", "compare", "check"] {
        fields.remove(name);
    }
    if let Some(engine) = fields.get_mut("engine").and_then(Value::as_object_mut) {
        for name in ["threads", "onnxruntime"] {
            engine.remove(name);
        }
    }
    let inputs = fields.get_mut("input").and_then(Value::as_object_mut);
    for input in inputs.into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
        if input.get("numbers").and_then(Value::as_array).is_some_and(|numbers| numbers.len() > NUMBERS)
            && let Some(numbers) = input.remove("numbers")
        {
            input.insert("sha256".into(), sha256(numbers.to_string().as_bytes()).into());
        }
    }
    spec
}

/// What stands for the files that a spec names, but for labels and preprocessing. One that cannot be read has no hash.
fn files(spec: &Spec) -> BTreeMap<String, String> {
    let others = Spec { labels: None, preprocess: None, ..spec.clone() };
    let hash = |path: &PathBuf| Some((path.to_string_lossy().into_owned(), source::hash(path).ok()?));
    others.files().iter().filter_map(hash).collect()
}

/// Names the fields that differ.
fn differ_in(of: &str, was: &Value, is: &Value, differ: &mut impl FnMut(&str, &Value, &Value)) {
    let (none, nothing) = (Map::new(), Value::Null);
    let (was, is) = (was.as_object().unwrap_or(&none), is.as_object().unwrap_or(&none));
    let names = was.keys().chain(is.keys().filter(|name| !was.contains_key(*name)));
    for name in names {
        differ(&format!("{of} {name}"), was.get(name).unwrap_or(&nothing), is.get(name).unwrap_or(&nothing));
    }
}

/// A value as it stands in a sentence.
fn short(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = match value {
        Value::Null => "none".to_owned(),
        Value::String(text) if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) => {
            format!("SHA-256 {}…", text.get(..12).unwrap_or(text))
        }
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    match text.chars().count() > LONGEST {
        true => text.chars().take(LONGEST).chain(['…']).collect(),
        false => text,
    }
}
