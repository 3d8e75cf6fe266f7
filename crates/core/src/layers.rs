//! Which layers can be picked, and which is best.

use crate::axes::Samples;
use crate::build::{Graph, Value};
use crate::certify::{self, Certificate, Judgement, Verdict, certify, ignores_scale, reads_one_place};
use crate::error::short;
use crate::grad;
use crate::graph::reads;
use crate::grid::{Grid, Places};
use crate::head::{self, Score, shape_only};
use crate::ops::{self, Dependence, Kind};
use crate::shape::{Dim, Shapes};
use crate::tensor::is_float;
use crate::{Error, Model, Tensor};
use std::collections::{HashMap, HashSet};

/// A tensor that one can explain at.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Its name.
    pub name: String,
    /// Its extents.
    pub dims: Vec<Dim>,
    /// How its places lie in the image, where its axes of space do not say it.
    pub grid: Option<Grid>,
    /// Where it sits, in words.
    pub place: String,
    /// What is proven of maps there; an error where a derivative rule is missing.
    pub certificate: Result<Certificate, String>,
    /// Whether every path from the image to the score passes through it.
    pub on_every_path: bool,
    /// Whether the scores stay the same when the activation is scaled; found out for those that come into question.
    pub ignores_scale: bool,
    /// Whether a single place decides the scores, as that of a class token; found out for those that come into question.
    pub reads_one_place: bool,
    /// Whether this is the layer taken when none is named.
    pub recommended: bool,
}

/// Lists the layers of a model: those on every path from the image to the score, or with `all` every one.
///
/// The recommended layer is the finest on every path whose head is affine, the last of equals; where there is none,
/// the last on every path that does not come out of a pooling. Never one whose head ignores its scale or reads one
/// place of it, never one without places of the image, and never the scores themselves before they are moved or enlarged. Where the head ignores the scale of
/// tokens because a branch normalises them, as before an attention, what comes out of that normalisation is taken.
///
/// # Errors
/// [`Error::Argument`] when no tensor has places.
pub fn layers(model: &Model, shapes: &Shapes, score: &Score, image: &str, all: bool) -> Result<Vec<Layer>, Error> {
    let gates = gates(model, image, &score.logits);
    let on_every_path: HashSet<&str> = gates.iter().map(String::as_str).collect();
    let axes = head::channel_axes(model, shapes);
    let from_image = head::dependence(model, shapes, image);
    let places = Places::follow(model, shapes);
    let mut candidates = Candidates { gates: Vec::new(), branches: Vec::new(), image, axes: &axes };
    for value in model
        .values()
        .filter(|v| *v != score.logits && from_image.contains_key(*v) && has_places(shapes, &axes, places.as_ref(), v))
    {
        let kind = model.maker(value).and_then(|n| model.card(n)).map_or(Kind::Compute, |c| c.kind);
        match on_every_path.contains(value) {
            true if all || kind != Kind::Movement => candidates.gates.push(value),
            false if all => candidates.branches.push(value),
            _ => {}
        }
    }
    let grid = |value: &str, dims: &[Dim]| {
        let space: Vec<usize> = space(&axes, value, dims.len()).collect();
        places.as_ref()?.grid(shapes, value, &space)
    };
    let mut judged = judge(model, shapes, score, &candidates)?;
    let mut found = Vec::new();
    for value in model.values() {
        let Some(certificate) = judged.remove(value) else { continue };
        let dims = shapes.dims(value).unwrap_or_default();
        found.push(Layer {
            name: value.to_owned(),
            grid: grid(value, &dims),
            dims,
            place: place(model, &on_every_path, value),
            certificate,
            on_every_path: on_every_path.contains(value),
            ignores_scale: false,
            reads_one_place: false,
            recommended: false,
        });
    }
    if let Some(last) = recommend(model, shapes, score, (&axes, places.as_ref()), &mut found) {
        recommend_normalised(model, shapes, score, (&axes, image), (last, &mut found));
    }
    match found.is_empty() {
        false => Ok(found),
        true => Err(Error::Argument(match &shapes.fault {
            Some(fault) => format!("no layer can be explained: {fault}"),
            None => {
                "no tensor between the image and the score has axes of space: this is no convolutional network".into()
            }
        })),
    }
}

fn has_places(shapes: &Shapes, axes: &HashMap<&str, usize>, image_places: Option<&Places>, value: &str) -> bool {
    let Some(dims) = shapes.dims(value) else { return false };
    let images = shapes.samples(value).is_some_and(|samples| match samples {
        Samples::Along { axis, outer, inner } => {
            outer * inner == 1 || !image_places.is_some_and(|p| p.counts_places(value, axis))
        }
        Samples::One => true,
    });
    dims.len() >= 3 && shapes.dtype(value).is_some_and(is_float) && images && places(axes, value, &dims) > 1
}

/// The axes of places of a layer.
fn space(axes: &HashMap<&str, usize>, name: &str, rank: usize) -> impl Iterator<Item = usize> {
    let channels = axes.get(name).copied().unwrap_or(1);
    (1..rank).filter(move |&a| a != channels)
}

fn places(axes: &HashMap<&str, usize>, name: &str, dims: &[Dim]) -> usize {
    space(axes, name, dims.len()).filter_map(|a| dims.get(a)).map(|d| d.per_image()).product()
}

/// How many layers are tried for what their head ignores: each try may evaluate much of the network.
const MOST_TRIES: usize = 12;

/// Marks the layer to take when none is named. Gives the last layer of tokens that was passed over because the head
/// ignores their scale.
fn recommend(
    model: &Model,
    shapes: &Shapes,
    score: &Score,
    (axes, image_places): (&HashMap<&str, usize>, Option<&Places>),
    layers: &mut [Layer],
) -> Option<usize> {
    let kind = |l: &Layer| model.maker(&l.name).and_then(|n| model.card(n)).map_or(Kind::Compute, |c| c.kind);
    let scores = scores_themselves(model, &score.logits);
    let comes_into_question = |l: &Layer| {
        let elsewhere = || image_places.is_some_and(|places| places.elsewhere(&l.name));
        let may = l.on_every_path && l.certificate.is_ok() && kind(l) != Kind::Movement;
        may && !scores.contains(l.name.as_str()) && !elsewhere()
    };
    let usable: Vec<usize> = (0..layers.len()).filter(|&i| layers.get(i).is_some_and(comes_into_question)).collect();
    let verdict = |i: usize| layers.get(i).and_then(|l| l.certificate.as_ref().ok()).map(|c| c.verdict);
    let exact = usable.iter().copied().filter(|&i| verdict(i) == Some(Verdict::Exact));
    let finest = exact.max_by_key(|&i| (layers.get(i).map_or(0, |l| places(axes, &l.name, &l.dims)), i));
    let mut fallback: Vec<usize> =
        usable.iter().copied().filter(|&i| layers.get(i).is_some_and(|l| kind(l) != Kind::Pooling)).collect();
    if fallback.is_empty() {
        fallback = usable;
    }
    let mut normalised = None;
    for i in finest.into_iter().chain(fallback.into_iter().rev()).take(MOST_TRIES) {
        let Some(layer) = layers.get_mut(i) else { continue };
        let Ok(head) = head::cut(model, shapes, &layer.name, score, None) else { continue };
        let everywhere = layer.certificate.as_ref().is_ok_and(|c| c.uniform);
        layer.reads_one_place = !everywhere && reads_one_place(model, shapes, &head).unwrap_or(false);
        layer.ignores_scale = !layer.reads_one_place && ignores_scale(model, shapes, &head).unwrap_or(false);
        if !layer.ignores_scale && !layer.reads_one_place {
            layer.recommended = true;
            return normalised;
        }
        if layer.ignores_scale && layer.grid.is_some() {
            normalised.get_or_insert(i);
        }
    }
    normalised
}

/// Recommends what a branch makes of the layer number `dead` by normalising it. The scores depend on more than one place
/// of that layer, and not on its scale: so they depend on it through the normalisation.
fn recommend_normalised(
    model: &Model,
    shapes: &Shapes,
    score: &Score,
    (axes, image): (&HashMap<&str, usize>, &str),
    (dead, layers): (usize, &mut Vec<Layer>),
) {
    let Some(value) = layers.get(dead).and_then(|l| normalised(model, shapes, &l.name)) else { return };
    let at = match layers.iter().position(|l| l.name == value) {
        Some(at) => at,
        None => {
            let candidates = Candidates { gates: Vec::new(), branches: vec![value], image, axes };
            let Ok(Some(Ok(certificate))) = judge(model, shapes, score, &candidates).map(|mut j| j.remove(value))
            else {
                return;
            };
            let Some(layer) = layers.get(dead).cloned() else { return };
            let place = place(model, &HashSet::new(), value);
            let layer = Layer {
                name: value.to_owned(),
                place,
                on_every_path: false,
                ignores_scale: false,
                certificate: Ok(certificate),
                ..layer
            };
            layers.insert(dead + 1, layer);
            dead + 1
        }
    };
    layers.iter_mut().enumerate().for_each(|(i, layer)| layer.recommended = i == at);
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
        let same = |c: &ops::Card| c.layout == ops::Layout::Same && c.kind != Kind::Movement;
        let of_entries = card.is_some_and(|c| same(c) || c.name.starts_with("Reduce"));
        if alone && of_entries {
            own.extend(node.output.iter().map(String::as_str));
        } else {
            let read = inputs.into_iter().find(|i| *i != layer && own.contains(i));
            last = read.filter(|i| shapes.dims(i).as_ref() == Some(&dims)).or(last);
        }
    }
    last
}

/// The values that are only moved or enlarged to become the logits, one after the other.
fn scores_themselves<'m>(model: &'m Model, logits: &'m str) -> HashSet<&'m str> {
    let moved = |value: &&'m str| {
        let node = model.maker(value).filter(|n| model.card(n).is_some_and(|c| c.kind == Kind::Movement))?;
        node.input.first().map(String::as_str)
    };
    std::iter::successors(Some(logits), moved).collect()
}

/// How many nodes may be gone through to judge layers that lie in branches.
const MOST_VISITS: usize = 1 << 24;

/// The layers among which a model's are judged.
struct Candidates<'m, 'a> {
    /// Values that every path from the image to the score passes through.
    gates: Vec<&'m str>,
    /// Other values between the two.
    branches: Vec<&'m str>,
    /// The input that carries the image.
    image: &'a str,
    /// The channel axes of all values.
    axes: &'a HashMap<&'m str, usize>,
}

type Judged<T> = HashMap<String, Result<T, String>>;

/// The certificates of the candidates that lead to the score.
///
/// What lies behind a value on every path is the same whether the head starts there or earlier. So one walk from the end
/// judges all of these; a value in a branch takes a walk of its own.
fn judge(model: &Model, shapes: &Shapes, score: &Score, c: &Candidates) -> Result<Judged<Certificate>, Error> {
    let mut judged = Judged::new();
    let dependence = head::dependence_on(model, shapes, &c.gates);
    let path = head::path(model, &dependence, &score.logits);
    let mut uniform = uniformity(model, shapes, score, &dependence, &path, (&c.gates, c.axes))?;
    let on_path: HashSet<usize> = path.into_iter().collect();
    let from_image = head::dependence(model, shapes, c.image);
    let around = certify::around(model, |name| name == c.image);
    let mut judgement = Judgement::default();
    for (i, node) in model.order().rev() {
        for output in &node.output {
            if let Some(uniform) = uniform.remove(output) {
                judged.insert(output.clone(), uniform.map(|u| judgement.certificate(u)));
            }
        }
        if on_path.contains(&i) {
            judgement.add(model.attributes(node), &dependence, |i| around.contains(i) && !from_image.contains_key(i));
        }
    }
    let dependence = head::dependence_on(model, shapes, &c.branches);
    let path = head::path(model, &dependence, &score.logits);
    let uniform = uniformity(model, shapes, score, &dependence, &path, (&c.branches, c.axes))?;
    let read = path.iter().filter_map(|&i| model.graph().node.get(i)).flat_map(reads);
    let leading: HashSet<&str> = read.collect();
    for (seen, value) in c.branches.iter().filter(|v| leading.contains(*v)).enumerate() {
        let certificate = match uniform.get(*value) {
            _ if seen.saturating_mul(model.order().len()) > MOST_VISITS => {
                Err("it was not judged: the network has too many layers in branches".into())
            }
            Some(Ok(uniform)) => {
                let channels = c.axes.get(*value).and_then(|&axis| i64::try_from(axis).ok());
                let head = head::cut(model, shapes, value, score, channels);
                head.map(|h| certify(model, &h, *uniform)).map_err(|e| e.to_string())
            }
            Some(Err(fault)) => Err(fault.clone()),
            None => continue,
        };
        judged.insert((*value).to_owned(), certificate);
    }
    Ok(judged)
}

/// Whether the gradient of every score is the same at all places of each of `layers`, whatever the image.
fn uniformity(
    model: &Model,
    shapes: &Shapes,
    score: &Score,
    dependence: &HashMap<String, Dependence>,
    path: &[usize],
    (layers, axes): (&[&str], &HashMap<&str, usize>),
) -> Result<Judged<bool>, Error> {
    let graph = Graph::new(model, shapes);
    let logits = graph.value(&score.logits)?;
    let mut seed = vec![1; logits.rank()];
    for (axis, (n, &entries)) in seed.iter_mut().zip(&logits.sizes()).enumerate() {
        *n = if Some(axis) == score.batch { 1 } else { entries };
    }
    let seed = graph.constant(Tensor { dtype: logits.dtype(), data: ndarray::ArrayD::ones(seed) });
    let sweep = grad::sweep(model, &graph, path, dependence, (&score.logits, seed));
    let uniform = |layer: &str| match sweep.bar.get(layer) {
        Some(Ok(gradient)) => {
            let rank = shapes.dims(layer).map_or(0, |d| d.len());
            Ok(is_uniform(*gradient, rank, space(axes, layer, rank)))
        }
        Some(Err(fault)) => Err(sweep.faults.get(*fault).map(Error::to_string).unwrap_or_default()),
        None => Err(format!("the score does not depend smoothly on {layer:?}: its gradient is zero everywhere")),
    };
    Ok(layers.iter().map(|&layer| (layer.to_owned(), uniform(layer))).collect())
}

/// Whether a gradient of a value of `rank` axes has shrunk to one number along the axes `space`.
fn is_uniform(gradient: Value, rank: usize, mut space: impl Iterator<Item = usize>) -> bool {
    let g = gradient.dims();
    let lead = rank.saturating_sub(g.len());
    space.all(|axis| axis.checked_sub(lead).is_none_or(|a| g.get(a) == Some(&Dim::Fixed(1))))
}

/// The values that every path from `image` to `goal` passes through, in order.
pub fn gates(model: &Model, image: &str, goal: &str) -> Vec<String> {
    let mut from_image: HashSet<&str> = HashSet::from([image]);
    for (_, node) in model.order() {
        if !shape_only(node) && reads(node).iter().any(|r| from_image.contains(r)) {
            from_image.extend(node.output.iter().map(String::as_str).filter(|o| !o.is_empty()));
        }
    }
    let mut to_goal: HashSet<&str> = HashSet::from([goal]);
    for (_, node) in model.order().rev() {
        if node.output.iter().any(|o| to_goal.contains(o.as_str())) && !shape_only(node) {
            to_goal.extend(reads(node));
        }
    }
    let on = |v: &str| from_image.contains(v) && to_goal.contains(v);
    // Going through the nodes, a value is a gate when it alone is made and still to be read.
    let mut readers: HashMap<&str, usize> = HashMap::new();
    let nodes: Vec<_> =
        model.order().map(|(_, n)| n).filter(|n| !shape_only(n) && n.output.iter().any(|o| on(o))).collect();
    for node in &nodes {
        for value in distinct(reads(node)).into_iter().filter(|v| on(v)) {
            *readers.entry(value).or_default() += 1;
        }
    }
    *readers.entry(goal).or_default() += 1;
    let mut open: HashSet<&str> = if on(image) { HashSet::from([image]) } else { HashSet::new() };
    let mut gates = Vec::new();
    for node in nodes {
        for value in distinct(reads(node)).into_iter().filter(|v| on(v)) {
            if let Some(left) = readers.get_mut(value) {
                *left -= 1;
                if *left == 0 {
                    open.remove(value);
                }
            }
        }
        open.extend(node.output.iter().map(String::as_str).filter(|o| on(o)));
        if let (1, Some(&only)) = (open.len(), open.iter().next()) {
            gates.push(only.to_owned());
        }
    }
    gates.dedup();
    gates
}

fn distinct(mut names: Vec<&str>) -> Vec<&str> {
    names.sort_unstable();
    names.dedup();
    names
}

/// Where a value sits, in words: what makes it, and whether branches come together just before.
fn place(model: &Model, gates: &HashSet<&str>, value: &str) -> String {
    let Some(node) = model.maker(value) else { return "input".into() };
    let made = format!("after {}", short(node.op_type()));
    let is_gate = |v: &str| gates.contains(v);
    if !is_gate(value) {
        return format!("{made}, inside a branch");
    }
    // Back over single-input steps to where branches meet.
    let mut at = node;
    for _ in 0..4 {
        let live: Vec<&String> = at.input.iter().filter(|i| model.maker(i).is_some()).collect();
        if live.len() > 1 && live.iter().any(|i| !is_gate(i)) {
            let join = short(at.op_type());
            return if at.output == node.output {
                format!("block end, {made}")
            } else {
                format!("block end, {made} of the {join}")
            };
        }
        match live.as_slice() {
            [one] => match model.maker(one) {
                Some(maker) if model.card(at).is_some_and(|c| c.layout == ops::Layout::Same) => at = maker,
                _ => break,
            },
            _ => break,
        }
    }
    made
}
