//! Rows, sorted into what was measured.

use super::Manifest;
use crate::metrics::{METRICS, THRESHOLDS};
use crate::rows::Row;
use std::collections::{BTreeMap, BTreeSet};

/// A method at a layer, measured by a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key<'a> {
    pub layer: &'a str,
    pub method: &'a str,
    pub metric: &'a str,
}

/// One map's value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a> {
    pub index: u64,
    pub class_index: Option<u64>,
    pub class: &'a str,
    pub value: f64,
    /// The values at each threshold, of which one is chosen.
    pub values: Option<&'a [f64]>,
    pub object_share: Option<f64>,
    pub difficult: Option<bool>,
    pub verdict: Option<&'a str>,
}

impl<'a> Value<'a> {
    /// Which map it is of, of those of a method at a layer.
    pub fn place(&self) -> (u64, Option<u64>, &'a str) {
        (self.index, self.class_index, self.class)
    }
}

/// What a metric gave for the maps of a method at a layer.
#[derive(Clone, Debug, Default)]
pub(super) struct Group<'a> {
    /// By image, then by class: in the order of [`Value::place`].
    pub values: Vec<Value<'a>>,
    /// Maps for which the metric is not defined.
    pub undefined: usize,
    /// Maps that could not be measured for another reason.
    pub failed: usize,
}

/// All that was measured, in the order of the rows' meaning: it does not matter in which order they came, or whether one came twice.
pub(super) struct Measured<'a> {
    pub layers: Vec<&'a str>,
    pub methods: Vec<&'a str>,
    pub metrics: Vec<&'a str>,
    pub groups: BTreeMap<Key<'a>, Group<'a>>,
    /// The images' names.
    pub images: BTreeMap<u64, &'a str>,
    /// The images of which something was measured.
    pub seen: BTreeSet<u64>,
    /// The images that each class was explained in.
    pub classes: BTreeMap<&'a str, BTreeSet<u64>>,
    /// Maps: image, class, layer, method.
    pub maps: BTreeSet<(u64, &'a str, &'a str, &'a str)>,
    /// How many maps of a method at a layer have which verdict.
    pub verdicts: BTreeMap<(&'a str, &'a str, &'a str), usize>,
    /// Rows that stand for something that failed, each once.
    pub failures: Vec<&'a Row>,
}

/// What a value is called that is no finite number.
pub(super) const NOT_FINITE: &str = "not-finite";
/// The kind of error of a metric that has no value for a map.
pub(super) const UNDEFINED: &str = "undefined";
/// The kind of error of a class that the network does not know.
pub(super) const UNMAPPED: &str = "unmapped";

impl<'a> Measured<'a> {
    pub fn of(manifest: &'a Manifest, rows: &'a [Row]) -> Self {
        let mut rows: Vec<&Row> = rows.iter().collect();
        let place = |row: &&'a Row| {
            let text = |t: &'a Option<String>| t.as_deref();
            (row.index, row.class_index, text(&row.class), text(&row.layer), text(&row.method), text(&row.metric))
        };
        // A row that came twice is told by its place; of two that differ the one with a value counts.
        rows.sort_by(|a, b| {
            place(a).cmp(&place(b)).then_with(|| a.error.cmp(&b.error)).then_with(|| a.reason.cmp(&b.reason))
        });
        rows.dedup_by(|a, b| place(a) == place(b));
        let mut measured = Measured {
            layers: Vec::new(),
            methods: Vec::new(),
            metrics: Vec::new(),
            groups: BTreeMap::new(),
            images: BTreeMap::new(),
            seen: BTreeSet::new(),
            classes: BTreeMap::new(),
            maps: BTreeSet::new(),
            verdicts: BTreeMap::new(),
            failures: Vec::new(),
        };
        rows.into_iter().for_each(|row| measured.take(row));
        let keys = || measured.groups.keys();
        let maps = || measured.maps.iter();
        measured.layers = ordered(&manifest.layers, keys().map(|k| k.layer).chain(maps().map(|m| m.2)));
        measured.methods = ordered(&manifest.methods, keys().map(|k| k.method).chain(maps().map(|m| m.3)));
        let known: Vec<&str> = METRICS.iter().map(|m| m.name).collect();
        measured.metrics = ordered(&known, keys().map(|k| k.metric).chain(manifest.metrics.iter().map(String::as_str)));
        measured
    }

    /// What a metric gave for the maps of a method at a layer; none where it was not asked for.
    pub fn values(&self, layer: &'a str, method: &'a str, metric: &'a str) -> Option<&[Value<'a>]> {
        self.groups.get(&Key { layer, method, metric }).map(|group| group.values.as_slice())
    }

    fn take(&mut self, row: &'a Row) {
        self.images.insert(row.index, &row.image);
        let class = row.class.as_deref().unwrap_or_default();
        if row.error.as_deref().is_some_and(|e| e != UNDEFINED) {
            self.failures.push(row);
        }
        if row.error.as_deref() == Some(UNMAPPED) {
            return;
        }
        let (Some(layer), Some(method)) = (row.layer.as_deref(), row.method.as_deref()) else { return };
        let there = row.metric.is_some() || row.error.is_none();
        if there && self.maps.insert((row.index, class, layer, method)) {
            self.seen.insert(row.index);
            self.classes.entry(class).or_default().insert(row.index);
            if let Some(verdict) = &row.verdict {
                *self.verdicts.entry((layer, method, verdict)).or_default() += 1;
            }
        }
        let Some(metric) = row.metric.as_deref() else { return };
        let group = self.groups.entry(Key { layer, method, metric }).or_default();
        let values = row.values.as_deref().filter(|v| v.len() == THRESHOLDS.len() && v.iter().all(|v| v.is_finite()));
        let value = row.value.filter(|v| v.is_finite());
        match (row.error.as_deref(), value, values) {
            (Some(UNDEFINED), ..) => group.undefined += 1,
            (None, value, values) if value.is_some() || values.is_some() => group.values.push(Value {
                index: row.index,
                class_index: row.class_index,
                class,
                // Where a threshold is chosen, that gives the value.
                value: value.unwrap_or(0.0),
                values,
                object_share: row.object_share,
                difficult: row.difficult,
                verdict: row.verdict.as_deref(),
            }),
            _ => {
                group.failed += 1;
                if row.error.is_none() {
                    self.failures.push(row);
                }
            }
        }
    }
}

/// What is there, in the order of `first`, then by name.
fn ordered<'a>(first: &[impl AsRef<str>], there: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let there: BTreeSet<&str> = there.collect();
    let place = |name: &str| first.iter().position(|f| f.as_ref() == name).unwrap_or(usize::MAX);
    let mut names: Vec<&str> = there.into_iter().collect();
    names.sort_by_key(|name| place(name));
    names
}
