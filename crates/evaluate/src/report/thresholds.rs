//! Thresholds, chosen on other images than those that are reported.

use super::measured::{Group, Key, Measured, Value};
use super::summary::{Halves, Threshold, known};
use crate::metrics::{Better, THRESHOLDS, best_threshold};
use hirescam::random::Random;
use std::collections::{BTreeMap, BTreeSet};

/// The metric whose thresholds count for metrics that judge nothing.
const GUIDE: &str = "iou";
/// The threshold where there is nothing to choose by.
const MIDDLE: f64 = 0.5;

/// Chooses thresholds on one half of the images, for each method, layer, metric and class. What is left of the values are those of the
/// other half, at the threshold of their class.
///
/// The halves are drawn by the seed: the images in the order of a number drawn for each, the first half chosen on. A class of
/// which that half has no map takes the threshold of all classes together. Metrics that judge nothing take the thresholds of
/// [`GUIDE`], where it was measured, else [`MIDDLE`].
pub(super) fn choose(seed: u64, measured: &mut Measured<'_>) -> (Option<Halves>, Vec<Threshold>) {
    let open = |group: &Group<'_>| group.values.iter().any(|v| v.values.is_some());
    let images: BTreeSet<u64> =
        measured.groups.values().flat_map(|g| &g.values).filter(|v| v.values.is_some()).map(|v| v.index).collect();
    if images.is_empty() {
        return (None, Vec::new());
    }
    let mut drawn: Vec<(f64, u64)> = images.iter().map(|&i| (Random::of_sample(seed, i as usize).unit(), i)).collect();
    drawn.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let first: BTreeSet<u64> = drawn.iter().take(images.len() / 2).map(|d| d.1).collect();
    let halves = Halves { chosen_on: first.len(), reported_on: images.len() - first.len(), seed };
    let mut chosen: BTreeMap<Key<'_>, BTreeMap<&str, Choice>> = BTreeMap::new();
    for (key, group) in measured.groups.iter().filter(|(_, g)| open(g)) {
        if known(key.metric).is_none_or(|m| m.better == Better::Higher) {
            chosen.insert(*key, by_class(group, &first));
        }
    }
    let mut thresholds = Vec::new();
    for (key, group) in measured.groups.iter_mut().filter(|(_, g)| open(g)) {
        let own = chosen.get(key);
        let guide = chosen.get(&Key { metric: GUIDE, ..*key });
        let classes: BTreeSet<&str> = group.values.iter().map(|v| v.class).collect();
        let of = |class: &str| match (own, guide.and_then(|g| g.get(class))) {
            (Some(own), _) => own.get(class).cloned(),
            (None, Some(guide)) => Some(Choice { instead: Some(GUIDE), ..*guide }),
            (None, None) => {
                let at = THRESHOLDS.iter().position(|t| *t == MIDDLE)?;
                Some(Choice { at, maps: 0, instead: Some("nothing: it is the middle") })
            }
        };
        let choices: BTreeMap<&str, Choice> = classes.into_iter().filter_map(|c| Some((c, of(c)?))).collect();
        thresholds.extend(choices.iter().filter_map(|(class, choice)| {
            Some(Threshold {
                layer: key.layer.to_owned(),
                method: key.method.to_owned(),
                metric: key.metric.to_owned(),
                class: (*class).to_owned(),
                threshold: *THRESHOLDS.get(choice.at)?,
                maps: choice.maps,
                instead: choice.instead.map(str::to_owned),
            })
        }));
        let value = |value: Value<'_>| -> Option<f64> {
            let Some(values) = value.values else { return Some(value.value) };
            let at = choices.get(value.class)?.at;
            values.get(at).copied().filter(|_| !first.contains(&value.index))
        };
        group.values = std::mem::take(&mut group.values)
            .into_iter()
            .filter_map(|v| Some(Value { value: value(v)?, ..v }))
            .collect();
    }
    (Some(halves), thresholds)
}

#[derive(Clone, Copy)]
struct Choice {
    at: usize,
    maps: usize,
    instead: Option<&'static str>,
}

/// The best threshold of each class on the images of `first`.
fn by_class<'a>(group: &Group<'a>, first: &BTreeSet<u64>) -> BTreeMap<&'a str, Choice> {
    let mut rows: BTreeMap<&str, Vec<Vec<f64>>> = BTreeMap::new();
    for value in &group.values {
        let of = rows.entry(value.class).or_default();
        of.extend(value.values.filter(|_| first.contains(&value.index)).map(<[f64]>::to_vec));
    }
    let all: Vec<Vec<f64>> = rows.values().flatten().cloned().collect();
    let together = best_threshold(&all).ok();
    let choice = |(class, rows): (&'a str, Vec<Vec<f64>>)| {
        let own = best_threshold(&rows).ok().map(|at| Choice { at, maps: rows.len(), instead: None });
        let other = together.map(|at| Choice { at, maps: all.len(), instead: Some("all classes together") });
        Some((class, own.or(other)?))
    };
    rows.into_iter().filter_map(choice).collect()
}
