//! What was asked of an evaluation, beside its rows: what has to be the same for rows to belong together.

use super::Evaluation;
use super::ready::Ready;
use crate::error::damaged;
use crate::plan::Plan;
use crate::statistics::Bootstrap;
use crate::{Error, report, rows};
use hirescam::sink;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::Path;

/// The name of the file.
pub const MANIFEST: &str = "evaluation.json";

/// What was asked, of what, and by what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Manifest {
    /// The version of the rows.
    pub schema: u32,
    /// The version of the program.
    pub version: String,
    /// The engine.
    pub engine: String,
    /// The engine's version.
    pub engine_version: String,
    /// The command line, word by word.
    pub command: Vec<String>,
    /// The network's file.
    pub model: String,
    /// The SHA-256 of its content.
    pub model_sha256: String,
    /// The data set, in words.
    pub data: String,
    /// The SHA-256 of the names of its images and classes.
    pub data_sha256: String,
    /// How many images the data set has.
    pub data_images: usize,
    /// How many of them are evaluated.
    pub images: usize,
    /// The SHA-256 of their positions in the data set, in the order in which they are evaluated.
    pub order_sha256: String,
    /// The network's classes that each of the data set's is.
    pub classes: Vec<(String, Vec<usize>)>,
    /// The metrics, groups spelled out.
    pub metrics: Vec<String>,
    /// The plan.
    pub plan: Plan,
    /// The spec.
    pub spec: Value,
}

impl Manifest {
    pub(super) fn new(evaluation: &Evaluation, order: &[usize], ready: &Ready) -> Result<Self, Error> {
        let Evaluation { network, spec, data, classes, plan } = evaluation;
        let names = data.classes().iter().cloned().zip(classes.iter().cloned());
        let positions: Vec<String> = order.iter().map(ToString::to_string).collect();
        let engine = spec.engine.start().map_err(hirescam::Error::from)?;
        Ok(Manifest {
            schema: rows::SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            engine: engine.name().to_owned(),
            engine_version: engine.version(),
            command: std::env::args().collect(),
            model: network.path().display().to_string(),
            model_sha256: network.sha256().to_owned(),
            data: data.title(),
            data_sha256: hash(data.ids().iter().chain(data.classes())),
            data_images: data.ids().len(),
            images: order.len(),
            order_sha256: hash(positions.iter()),
            classes: names.collect(),
            metrics: ready.measures().iter().map(|m| (*m).to_owned()).collect(),
            plan: (*plan).clone(),
            spec: serde_json::to_value(spec).map_err(|e| Error::Argument(e.to_string()))?,
        })
    }

    /// Reads the manifest of an evaluation.
    ///
    /// # Errors
    /// [`Error::Data`] where there is none, or it cannot be read.
    pub fn open(out: &Path) -> Result<Self, Error> {
        let path = out.join(MANIFEST);
        let text = std::fs::read(&path).map_err(|e| damaged(&path, e.to_string()))?;
        serde_json::from_slice(&text).map_err(|e| damaged(&path, e.to_string()))
    }

    /// Takes a folder for this evaluation: writes the manifest, or finds that the one that is there asks for the same rows.
    ///
    /// # Errors
    /// [`Error::Differs`] where it does not.
    pub(super) fn claim(&self, out: &Path) -> Result<(), Error> {
        let path = out.join(MANIFEST);
        if path.exists() {
            let differences = differences(&Manifest::open(out)?.of_rows()?, &self.of_rows()?);
            if !differences.is_empty() {
                return Err(Error::Differs { path, differences });
            }
        }
        let text = serde_json::to_vec_pretty(self).map_err(|e| Error::Argument(e.to_string()))?;
        Ok(sink::write(&path, &text)?)
    }

    /// The same for a report.
    pub fn for_report(&self) -> report::Manifest {
        let plan = serde_json::to_value(&self.plan).unwrap_or_default();
        let options = [("plan".to_owned(), plan), ("spec".to_owned(), self.spec.clone())].into_iter().collect();
        report::Manifest {
            version: self.version.clone(),
            command: self.command.clone(),
            model: self.model.clone(),
            model_sha256: self.model_sha256.clone(),
            engine: self.engine.clone(),
            engine_version: self.engine_version.clone(),
            data: self.data.clone(),
            data_sha256: Some(self.data_sha256.clone()),
            images: self.data_images as u64,
            limit: self.plan.limit.map(|limit| limit as u64),
            explained: self.plan.classes.word().to_owned(),
            unmapped: self.classes.iter().filter(|(_, of)| of.is_empty()).map(|(name, _)| name.clone()).collect(),
            layers: Vec::new(),
            methods: self.plan.methods.clone(),
            metrics: self.metrics.clone(),
            seed: self.plan.report.report_seed,
            bootstrap: Bootstrap {
                resamples: self.plan.report.resamples,
                level: self.plan.report.confidence,
                seed: self.plan.report.report_seed,
            },
            options,
            certificates: Vec::new(),
        }
    }

    /// What rows depend on.
    fn of_rows(&self) -> Result<Value, Error> {
        let mut value = serde_json::to_value(self).map_err(|e| Error::Argument(e.to_string()))?;
        // Where files lie is nothing that their contents do not say, and what a report is made with changes no row.
        for (within, names) in [
            ("", &["command", "model", "data"][..]),
            ("plan", &["report", "data", "class_map"]),
            ("spec", &["picture", "compare", "check"]),
        ] {
            let object = if within.is_empty() { Some(&mut value) } else { value.get_mut(within) };
            if let Some(object) = object.and_then(Value::as_object_mut) {
                object.retain(|name, _| !names.contains(&name.as_str()));
            }
        }
        if let Some(engine) =
            value.get_mut("spec").and_then(|spec| spec.get_mut("engine")).and_then(Value::as_object_mut)
        {
            engine.retain(|name, _| name == "device");
        }
        Ok(value)
    }
}

/// Where two values differ, a sentence each.
fn differences(was: &Value, is: &Value) -> Vec<String> {
    fn find(at: &str, was: Option<&Value>, is: Option<&Value>, found: &mut Vec<String>) {
        if was == is {
            return;
        }
        match (was, is) {
            (Some(Value::Object(a)), Some(Value::Object(b))) => {
                let only_b = b.keys().filter(|key| !a.contains_key(*key));
                for key in a.keys().chain(only_b) {
                    let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                    find(&at, a.get(key), b.get(key), found);
                }
            }
            (was, is) => {
                let show = |value: Option<&Value>| {
                    let text = value.map_or("nothing".to_owned(), Value::to_string);
                    if text.chars().count() > 100 { text.chars().take(100).chain(['…']).collect() } else { text }
                };
                found.push(format!("{at} was {} and is {}", show(was), show(is)));
            }
        }
    }
    let mut found = Vec::new();
    find("", Some(was), Some(is), &mut found);
    found
}

/// The SHA-256 of texts, one after the other.
fn hash<'a>(texts: impl Iterator<Item = &'a String>) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        // With its length, so that no two lists are the same.
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_differs_is_named() {
        let was = json!({"plan": {"limit": 3, "methods": ["a"]}, "model_sha256": "x"});
        let is = json!({"plan": {"limit": 4, "methods": ["a"], "draws": 1}, "model_sha256": "x"});
        assert_eq!(differences(&was, &is), ["plan.limit was 3 and is 4", "plan.draws was nothing and is 1"]);
        assert!(differences(&was, &was).is_empty());
    }

    #[test]
    fn lists_of_the_same_letters_differ() {
        let of = |texts: [&str; 2]| hash(texts.map(str::to_owned).iter());
        assert_ne!(of(["ab", "c"]), of(["a", "bc"]));
    }
}
