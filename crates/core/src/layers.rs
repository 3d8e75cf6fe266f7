//! Which layers can be picked, and which is best.

use crate::build::Graph;
use crate::certify::{Certificate, Verdict, certify, ignores_scale};
use crate::grad;
use crate::graph::reads;
use crate::head::{self, Score, shape_only};
use crate::ops::{self, Kind};
use crate::shape::{Dim, Shapes};
use crate::tensor::is_float;
use crate::{Error, Model, Tensor};
use std::collections::HashSet;

/// A tensor that one can explain at.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Its name.
    pub name: String,
    /// Its extents.
    pub dims: Vec<Dim>,
    /// Where it sits, in words.
    pub place: String,
    /// What is proven of maps there; an error where a derivative rule is missing.
    pub certificate: Result<Certificate, String>,
    /// Whether every path from the image to the score passes through it.
    pub on_every_path: bool,
    /// Whether the scores stay the same when the activation is scaled.
    pub ignores_scale: bool,
    /// Whether this is the layer taken when none is named.
    pub recommended: bool,
}

/// Lists the layers of a model: those on every path from the image to the score, or with `all` every one.
///
/// The recommended layer is the finest on every path whose head is affine, the last of equals; where there is none,
/// the last on every path that does not come out of a pooling. Never one whose head ignores its scale.
///
/// # Errors
/// [`Error::Argument`] when no tensor has places.
pub fn layers(model: &Model, shapes: &Shapes, score: &Score, image: &str, all: bool) -> Result<Vec<Layer>, Error> {
    let gates = gates(model, image, &score.logits);
    let mut found = Vec::new();
    for value in model.values() {
        let gate = gates.iter().any(|g| g == value);
        if !(gate || all) || !has_places(model, shapes, value) {
            continue;
        }
        let Some(node) = model.maker(value) else { continue };
        let kind = ops::find(node).map_or(Kind::Compute, |c| c.kind);
        if kind == Kind::Movement && !all {
            continue;
        }
        let Ok(head) = head::cut(model, shapes, value, score, None) else { continue };
        let certificate = gradient_is_uniform(model, shapes, &head).map(|uniform| certify(model, &head, uniform));
        found.push(Layer {
            name: value.to_owned(),
            dims: shapes.dims(value).unwrap_or_default(),
            place: place(model, &gates, value),
            certificate: certificate.map_err(|e| e.to_string()),
            on_every_path: gate,
            ignores_scale: false,
            recommended: false,
        });
    }
    recommend(model, shapes, score, &mut found);
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

fn has_places(model: &Model, shapes: &Shapes, value: &str) -> bool {
    let Some(dims) = shapes.dims(value) else { return false };
    let follows = dims.iter().filter(|d| matches!(d, Dim::Batch(_))).count();
    let alone = !shapes.free_batch() || (follows == 1 && dims.first() == Some(&Dim::Batch(1)));
    dims.len() >= 3 && shapes.dtype(value).is_some_and(is_float) && alone && places(model, shapes, value, &dims) > 1
}

/// How many places a value of the extents `dims` has.
fn places(model: &Model, shapes: &Shapes, value: &str, dims: &[Dim]) -> usize {
    let channels = head::channel_axis(model, shapes, value).unwrap_or(1);
    dims.iter().enumerate().filter(|(a, _)| *a != 0 && *a != channels).map(|(_, d)| d.per_image()).product()
}

/// Marks the layer to take when none is named.
fn recommend(model: &Model, shapes: &Shapes, score: &Score, layers: &mut [Layer]) {
    let kind = |l: &Layer| model.maker(&l.name).and_then(ops::find).map_or(Kind::Compute, |c| c.kind);
    let usable: Vec<usize> = (0..layers.len())
        .filter(|&i| {
            layers.get(i).is_some_and(|l| l.on_every_path && l.certificate.is_ok() && kind(l) != Kind::Movement)
        })
        .collect();
    let verdict = |i: usize| layers.get(i).and_then(|l| l.certificate.as_ref().ok()).map(|c| c.verdict);
    let exact = usable.iter().copied().filter(|&i| verdict(i) == Some(Verdict::Exact));
    let finest = exact.max_by_key(|&i| (layers.get(i).map_or(0, |l| places(model, shapes, &l.name, &l.dims)), i));
    let mut fallback: Vec<usize> =
        usable.iter().copied().filter(|&i| layers.get(i).is_some_and(|l| kind(l) != Kind::Pooling)).collect();
    if fallback.is_empty() {
        fallback = usable;
    }
    for i in finest.into_iter().chain(fallback.into_iter().rev()) {
        let Some(layer) = layers.get_mut(i) else { continue };
        let blind = head::cut(model, shapes, &layer.name, score, None).and_then(|h| ignores_scale(model, shapes, &h));
        layer.ignores_scale = blind.unwrap_or(false);
        if !layer.ignores_scale {
            layer.recommended = true;
            return;
        }
    }
}

/// Whether the gradient of every score is the same at all places of the layer, whatever the image.
fn gradient_is_uniform(model: &Model, shapes: &Shapes, head: &head::Head) -> Result<bool, Error> {
    let graph = Graph::new(model, shapes);
    let logits = graph.value(&head.score.logits)?;
    let mut seed = vec![1; logits.rank()];
    let classes = logits.sizes();
    for (axis, n) in seed.iter_mut().enumerate().skip(1) {
        *n = classes.get(axis).copied().unwrap_or(1);
    }
    let seed = logits.graph().constant(Tensor { dtype: logits.dtype(), data: ndarray::ArrayD::ones(seed) });
    let g = grad::vjp(model, &graph, &head.path, &head.dependence, (&head.score.logits, seed), &head.layer)?;
    let uniform = is_uniform(g, head);
    graph.finish(&[], &HashSet::new())?;
    Ok(uniform)
}

/// Whether a gradient has shrunk to one value a channel.
pub fn is_uniform(gradient: crate::build::Value, head: &head::Head) -> bool {
    let Ok(a) = gradient.graph().value(&head.layer) else { return false };
    let g = gradient.with_rank(a.rank()).dims();
    head.space.iter().all(|&axis| g.get(axis) == Some(&Dim::Fixed(1)))
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
    let mut readers: std::collections::HashMap<&str, usize> = std::collections::HashMap::new();
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
fn place(model: &Model, gates: &[String], value: &str) -> String {
    let Some(node) = model.maker(value) else { return "input".into() };
    let made = format!("after {}", node.op_type());
    let is_gate = |v: &str| gates.iter().any(|g| g == v);
    if !is_gate(value) {
        return format!("{made}, inside a branch");
    }
    // Back over single-input steps to where branches meet.
    let mut at = node;
    for _ in 0..4 {
        let live: Vec<&String> = at.input.iter().filter(|i| model.maker(i).is_some()).collect();
        if live.len() > 1 && live.iter().any(|i| !is_gate(i)) {
            let join = at.op_type();
            return if at.output == node.output {
                format!("block end, {made}")
            } else {
                format!("block end, {made} of the {join}")
            };
        }
        match live.as_slice() {
            [one] => match model.maker(one) {
                Some(maker) if ops::find(at).is_some_and(|c| c.layout == ops::Layout::Same) => at = maker,
                _ => break,
            },
            _ => break,
        }
    }
    made
}
