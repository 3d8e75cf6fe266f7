//! Which layer is taken when none is named.

use super::{Candidate, Layer, Search};
use crate::blind::{ignores_scale, reads_one_place};
use crate::certify::{Certificate, Verdict};
use crate::graph::reads;
use crate::ops::{self, Entries, Layout, Role};
use crate::shape::Shapes;
use crate::{Model, flow, head, score};
use std::collections::{HashMap, HashSet};

/// How many layers on every path, and how many in branches, are tried for what their head ignores: each try may evaluate
/// much of the network.
const MOST_TRIES: usize = 12;
/// How many layers in branches come into question, the last ones: each has a head of its own.
const MOST_BRANCHES: usize = 64;

impl<'a> Search<'a> {
    /// Marks the layer to take when none is named. One that is not listed is put into its place.
    pub(super) fn recommend(&self, layers: &mut Vec<Layer>, candidates: &[Candidate<'a>], gates: &HashSet<&str>) {
        let path = flow::path(self.model, &self.from_image, &self.score.logits);
        let themselves = scores_themselves(self.model, self.shapes, &path, &self.score.logits);
        let mut tries = MOST_TRIES;
        for followed in [true, false] {
            let usable = |l: &Layer| l.on_every_path && l.followed == followed && !themselves.contains(l.name.as_str());
            if self.take_best(layers, usable, &mut tries) {
                return;
            }
        }
        let in_branches =
            |c: &&Candidate| !c.gate && !themselves.contains(c.value) && self.role(c.value) != Role::Movement;
        let mut last: Vec<&Candidate> = candidates.iter().filter(in_branches).rev().take(MOST_BRANCHES).collect();
        last.reverse();
        let Ok(mut branches) = self.judged(last.into_iter(), gates) else { return };
        tries = MOST_TRIES;
        for followed in [true, false] {
            if self.take_best(&mut branches, |l| l.followed == followed, &mut tries) {
                break;
            }
        }
        branches.into_iter().filter(|l| l.recommended).for_each(|layer| self.put(layers, layer));
    }

    /// Marks the best of the layers that are `usable`, if one is. `tries` is how many may still be tried.
    fn take_best(&self, layers: &mut Vec<Layer>, usable: impl Fn(&Layer) -> bool, tries: &mut usize) -> bool {
        let comes_into_question =
            |l: &Layer| l.certificate.is_ok() && self.role(&l.name) != Role::Movement && usable(l);
        let usable: Vec<usize> =
            (0..layers.len()).filter(|&i| layers.get(i).is_some_and(comes_into_question)).collect();
        // In a branch, what comes by the others is all that keeps the map of an affine head from being exact.
        let affine = |l: &Layer| {
            let of = |c: &Certificate| c.verdict == Verdict::Exact || (!l.on_every_path && c.reason == c.bypass);
            l.certificate.as_ref().is_ok_and(of)
        };
        let exact = usable.iter().copied().filter(|&i| layers.get(i).is_some_and(affine));
        let finest = exact.max_by_key(|&i| (layers.get(i).map_or(0, |l| self.count(&l.name, &l.dims)), i));
        let pooled = |&i: &usize| layers.get(i).is_none_or(|l| self.role(&l.name) == Role::Pooling);
        let mut fallback: Vec<usize> = usable.iter().copied().filter(|i| !pooled(i)).collect();
        if fallback.is_empty() {
            fallback = usable;
        }
        let (mut dead, mut alive) = (None, None);
        let rest = fallback.into_iter().rev().filter(|i| Some(*i) != finest);
        for i in finest.into_iter().chain(rest).take(*tries) {
            *tries -= 1;
            let Some(layer) = layers.get_mut(i) else { continue };
            let Ok(head) = head::cut(self.analysis, &layer.name, None) else { continue };
            let everywhere = layer.certificate.as_ref().is_ok_and(|c| c.uniform);
            layer.reads_one_place = !everywhere && reads_one_place(self.analysis, &head).unwrap_or(false);
            layer.ignores_scale = !layer.reads_one_place && ignores_scale(self.analysis, &head).unwrap_or(false);
            if !layer.ignores_scale && !layer.reads_one_place {
                alive = Some(i);
                break;
            }
            if layer.ignores_scale && (layer.grid.is_some() || !layer.followed) {
                dead.get_or_insert(i);
            }
        }
        // What is read of dead tokens comes after all that lies before them.
        if dead.is_some_and(|dead| self.take_normalised(layers, dead)) {
            return true;
        }
        let Some((i, layer)) = alive.and_then(|i| Some((i, layers.get_mut(i)?))) else { return false };
        layer.recommended = true;
        layer.why = match layer.on_every_path {
            true if finest == Some(i) => "the finest layer with an exact map",
            true => "the last block before space is lost",
            false => "a layer of one branch, as none that lies in the image is on every path",
        };
        true
    }

    /// Marks what a branch makes of the layer number `dead` by normalising it. The scores depend on more than one place of
    /// that layer, and not on its scale: so they depend on it through the normalisation.
    fn take_normalised(&self, layers: &mut Vec<Layer>, dead: usize) -> bool {
        let Some(value) = layers.get(dead).and_then(|l| normalised(self.model, self.shapes, &l.name)) else {
            return false;
        };
        let known = layers.iter().find(|l| l.name == value).cloned();
        let judged = || {
            let none = HashSet::new();
            let candidate = self.candidates(&none).into_iter().find(|c| c.value == value)?;
            self.judged([candidate].iter(), &none).ok()?.pop()
        };
        let Some(mut layer) = known.or_else(judged).filter(|l| l.certificate.is_ok()) else { return false };
        (layer.recommended, layer.why) = (true, "what is read of the tokens of the last block before space is lost");
        self.put(layers, layer);
        true
    }

    /// Puts a layer into its place in the order of the network.
    fn put(&self, layers: &mut Vec<Layer>, layer: Layer) {
        let order: HashMap<&str, usize> = self.model.values().enumerate().map(|(i, value)| (value, i)).collect();
        layers.retain(|l| l.name != layer.name);
        layers.push(layer);
        layers.sort_by_key(|l| order.get(l.name.as_str()).copied());
    }
}

/// What a normalisation, in one node or in many, makes of a value: the last that follows from it alone, entry by entry
/// and by means, has its extents and is read by what does more.
fn normalised<'m>(model: &'m Model, shapes: &Shapes, layer: &str) -> Option<&'m str> {
    let dims = shapes.dims(layer)?;
    let mut own: HashSet<&str> = HashSet::from([layer]);
    let mut last = None;
    for (_, node) in model.order() {
        let inputs = reads(node);
        if !inputs.iter().any(|i| own.contains(i)) {
            continue;
        }
        let alone =
            inputs.iter().all(|i| own.contains(i) || shapes.constant(i).is_some() || model.initializer(i).is_some());
        let card = model.card(node);
        let same = |c: &ops::Card| c.layout == ops::Layout::Same && c.role != Role::Movement;
        let of_entries = card.is_some_and(|c| same(c) || c.entries == Entries::Reduced);
        if alone && of_entries {
            own.extend(node.output.iter().map(String::as_str));
        } else {
            let read = inputs.into_iter().find(|i| *i != layer && own.contains(i));
            last = read.filter(|i| shapes.dims(i).as_ref() == Some(&dims)).or(last);
        }
    }
    last
}

/// The scores in another dress: the values that are only moved, enlarged, or changed entry by entry to become the logits.
/// Where the logits are a choice among the scores of several classes, these too. `path` leads from the image to the logits. A
/// value that is read otherwise too is more than that.
fn scores_themselves<'m>(model: &'m Model, shapes: &Shapes, path: &[usize], logits: &'m str) -> HashSet<&'m str> {
    let (mut dressed, mut more) = (HashSet::from([logits]), HashSet::new());
    let choice = score::chosen_from(model, shapes, logits);
    for node in path.iter().rev().filter_map(|&i| model.graph().node.get(i)) {
        let changes_entries =
            |c: &ops::Card| c.role == Role::Movement || c.layout == Layout::Same || c.entries == Entries::Normalised;
        let leads = node.output.iter().all(|o| !more.contains(o.as_str()));
        let chooses = choice.is_some() && node.input.first().map(String::as_str) == choice;
        let same = chooses || model.card(node).is_some_and(changes_entries);
        let on = if leads && same { &mut dressed } else { &mut more };
        on.extend(reads(node));
    }
    dressed.difference(&more).copied().collect()
}
