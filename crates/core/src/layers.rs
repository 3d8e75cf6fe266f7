//! Which layers can be picked, and which is best.

use crate::analysis::Analysis;
use crate::axes::Samples;
use crate::build::{Graph, Value};
use crate::certify::{Certificate, Judgement, certify};
use crate::error::short;
use crate::graph::reads;
use crate::grid::{Grid, Placement, ReceptiveField};
use crate::ops::{Dependence, Layout, Role, shape_only};
use crate::score::Score;
use crate::shape::{Dim, Shapes};
use crate::tensor::is_float;
use crate::{Error, Model, Tensor, flow, grad, head};
use std::collections::{HashMap, HashSet};

mod recommend;

/// A tensor that one can explain at.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Its name.
    pub name: String,
    /// Its extents.
    pub dims: Vec<Dim>,
    /// How its places lie in the image, where its axes of space do not say it.
    pub grid: Option<Grid>,
    /// Whether the graph tells that its places are those of the image.
    pub followed: bool,
    /// What its cells are computed from, where that can be followed.
    pub receptive_field: Option<ReceptiveField>,
    /// Where it sits, in words.
    pub place: String,
    /// What is proven of maps there; an error where a derivative rule is missing.
    pub certificate: Result<Certificate, Error>,
    /// Whether every path from the image to the score passes through it.
    pub on_every_path: bool,
    /// Whether the scores stay the same when the activation is scaled; found out for those that come into question.
    pub ignores_scale: bool,
    /// Whether a single place decides the scores, as that of a class token; found out for those that come into question.
    pub reads_one_place: bool,
    /// Whether this is the layer taken when none is named.
    pub recommended: bool,
    /// Why it is, in words.
    pub why: &'static str,
}

/// Lists the layers of a model: those on every path from the image to the score, or with `all` every one. A value of which
/// the graph tells that it does not lie in the image is none.
///
/// The recommended layer is the finest on every path whose head is affine, the last of equals; where there is none,
/// the last on every path that does not come out of a pooling. Never one whose head ignores its scale or reads one
/// place of it, and never the scores themselves before they are moved, enlarged or changed one by one. Where the head
/// ignores the scale of tokens because a branch normalises them, as before an attention, what comes out of that
/// normalisation is taken. Layers of which the graph does not tell where their places lie come after all others, and layers
/// in branches after those on every path.
///
/// # Errors
/// [`Error::Argument`] when no tensor has places, [`Error::Unsupported`] where an operator that is not known hides them.
pub fn layers(analysis: &Analysis, all: bool) -> Result<Vec<Layer>, Error> {
    let gates = gates(analysis.model(), &analysis.image, &analysis.score.logits);
    let gates: HashSet<&str> = gates.iter().map(String::as_str).collect();
    let search = Search::new(analysis);
    let candidates = search.candidates(&gates);
    let listed = |c: &&Candidate| all || (c.gate && search.role(c.value) != Role::Movement);
    let mut found = search.judged(candidates.iter().filter(listed), &gates)?;
    search.recommend(&mut found, &candidates, &gates);
    match found.is_empty() {
        false => Ok(found),
        true => Err(search.nothing()),
    }
}

/// The layer to take when none is named.
///
/// # Errors
/// What keeps a map from being made at the last layer, or [`Error::Argument`], when no layer can be recommended.
pub fn recommended(analysis: &Analysis) -> Result<String, Error> {
    let all = layers(analysis, false)?;
    if let Some(best) = all.iter().find(|l| l.recommended) {
        return Ok(best.name.clone());
    }
    let why = all.iter().rev().find_map(|l| l.certificate.as_ref().err().cloned());
    let none = || Error::Argument("no layer can be recommended, but one that is listed can be named".into());
    Err(why.unwrap_or_else(none))
}

/// What layers are looked for in.
struct Search<'a> {
    analysis: &'a Analysis<'a>,
    model: &'a Model,
    shapes: &'a Shapes,
    score: &'a Score,
    /// How values depend on the image.
    from_image: HashMap<String, Dependence>,
}

/// A value that has places, as far as the graph tells.
struct Candidate<'a> {
    value: &'a str,
    placement: Placement,
    /// Whether every path from the image to the score passes through it.
    gate: bool,
}

type Judged<T> = HashMap<String, Result<T, Error>>;

impl<'a> Search<'a> {
    fn new(analysis: &'a Analysis<'a>) -> Self {
        let Analysis { shapes, score, image, .. } = analysis;
        let model = analysis.model();
        Search { analysis, model, shapes, score, from_image: flow::dependence(model, shapes, image) }
    }

    fn role(&self, value: &str) -> Role {
        self.model.maker(value).and_then(|n| self.model.card(n)).map_or(Role::Compute, |c| c.role)
    }

    /// The values between image and score that may lie in the image.
    fn candidates(&self, gates: &HashSet<&str>) -> Vec<Candidate<'a>> {
        let between = |v: &&str| *v != self.score.logits && self.from_image.contains_key(*v);
        let candidate = |value: &'a str| {
            let dims = self.shapes.dims(value)?;
            let floats = self.shapes.dtype(value).is_some_and(is_float);
            let samples = self.shapes.samples(value)?;
            let placed = || self.analysis.places().is_some_and(|p| p.counts_places(value, samples.axis()));
            let one_image = samples.lead() == 1 || !placed();
            if dims.len() < 3 || !floats || !one_image || self.count(value, &dims) < 2 {
                return None;
            }
            let space = self.space(value, dims.len());
            let placement = self
                .analysis
                .places()
                .map_or(Placement::Unknown, |places| places.placement(self.shapes, value, &space));
            (placement != Placement::Elsewhere).then(|| Candidate { value, placement, gate: gates.contains(value) })
        };
        self.model.values().filter(between).filter_map(candidate).collect()
    }

    /// The axes of places of a layer.
    fn space(&self, value: &str, rank: usize) -> Vec<usize> {
        let channels = self.analysis.channels(value);
        self.shapes.samples(value).unwrap_or(Samples::FIRST).places(rank, Some(channels))
    }

    /// How many places a layer has.
    fn count(&self, value: &str, dims: &[Dim]) -> usize {
        self.space(value, dims.len()).iter().filter_map(|&a| dims.get(a)).map(|d| d.per_image()).product()
    }

    /// The layers among `candidates` that lead to the score.
    fn judged<'c>(
        &self,
        candidates: impl Iterator<Item = &'c Candidate<'a>> + Clone,
        gates: &HashSet<&str>,
    ) -> Result<Vec<Layer>, Error>
    where
        'a: 'c,
    {
        let names = |gate: bool| candidates.clone().filter(|c| c.gate == gate).map(|c| c.value).collect::<Vec<_>>();
        let mut judged = self.judge(&names(true), &names(false))?;
        let layer = |c: &Candidate| {
            let dims = self.shapes.dims(c.value)?;
            let space = self.space(c.value, dims.len());
            Some(Layer {
                name: c.value.to_owned(),
                receptive_field: self.analysis.receptive_field((c.value, &space), &c.placement),
                grid: if let Placement::As(grid) = &c.placement { Some(grid.clone()) } else { None },
                followed: c.placement != Placement::Unknown,
                dims,
                place: place(self.model, gates, c.value),
                certificate: judged.remove(c.value)?,
                on_every_path: c.gate,
                ignores_scale: false,
                reads_one_place: false,
                recommended: false,
                why: "",
            })
        };
        Ok(candidates.filter_map(layer).collect())
    }

    /// What to say where no layer is found.
    fn nothing(&self) -> Error {
        let unknown = |value: &&str| self.from_image.contains_key(*value) && self.shapes.dims(value).is_none();
        if let Some(cause) = self.model.values().find(unknown).and_then(|value| self.shapes.cause(self.model, value)) {
            return cause;
        }
        Error::Argument(
            "no tensor between the image and the score lies in the image: all have lost its axes of space, so there is no place to explain".into(),
        )
    }

    /// The certificates of the layers that lead to the score: of values that every path passes through, and of others.
    ///
    /// What lies behind a value on every path is the same whether the head starts there or earlier. So one walk from the end
    /// judges all of these; a value in a branch takes a walk of its own.
    fn judge(&self, gates: &[&str], branches: &[&str]) -> Result<Judged<Certificate>, Error> {
        let Search { analysis, model, shapes, score, .. } = *self;
        let mut judged = Judged::new();
        let dependence = flow::dependence_on(model, shapes, gates);
        let path = flow::path(model, &dependence, &score.logits);
        let mut uniform = self.uniformity(&dependence, &path, gates)?;
        let on_path: HashSet<usize> = path.into_iter().collect();
        let around = flow::around(model, |name| name == analysis.image);
        let mut judgement = Judgement::default();
        for (i, node) in model.order().rev() {
            for output in &node.output {
                if let Some(uniform) = uniform.remove(output) {
                    judged.insert(output.clone(), uniform.map(|u| judgement.certificate(u)));
                }
            }
            if on_path.contains(&i) {
                judgement.add(shapes, model.attributes(node), &dependence, |i| {
                    around.contains(i) && !self.from_image.contains_key(i)
                });
            }
        }
        let dependence = flow::dependence_on(model, shapes, branches);
        let path = flow::path(model, &dependence, &score.logits);
        let uniform = self.uniformity(&dependence, &path, branches)?;
        let read = path.iter().filter_map(|&i| model.graph().node.get(i)).flat_map(reads);
        let leading: HashSet<&str> = read.collect();
        for (seen, value) in branches.iter().filter(|v| leading.contains(*v)).enumerate() {
            let certificate = match uniform.get(*value) {
                _ if seen.saturating_mul(model.graph().node.len()) > MOST_VISITS => {
                    Err(Error::Argument("it was not judged: the network has too many layers in branches".into()))
                }
                Some(Ok(uniform)) => head::cut(analysis, value, None).map(|head| certify(analysis, &head, *uniform)),
                Some(Err(fault)) => Err(fault.clone()),
                None => continue,
            };
            judged.insert((*value).to_owned(), certificate);
        }
        Ok(judged)
    }

    /// Whether the gradient of every score is the same at all places of each of `layers`, whatever the image.
    fn uniformity(
        &self,
        dependence: &HashMap<String, Dependence>,
        path: &[usize],
        layers: &[&str],
    ) -> Result<Judged<bool>, Error> {
        let Search { model, shapes, score, .. } = *self;
        let graph = Graph::new(model, shapes);
        let logits = graph.value(&score.logits)?;
        let mut seed = vec![1; logits.rank()];
        for (axis, (n, &entries)) in seed.iter_mut().zip(&logits.sizes()).enumerate() {
            *n = if Some(axis) == score.batch { 1 } else { entries };
        }
        let seed = graph.constant(Tensor { dtype: logits.dtype(), data: ndarray::ArrayD::ones(seed) });
        let sweep = grad::sweep(model, &graph, path, dependence, (&score.logits, seed));
        let uniform = |layer: &str| {
            let rank = shapes.dims(layer).map_or(0, |d| d.len());
            sweep.gradient(layer).map(|gradient| is_uniform(gradient, rank, self.space(layer, rank)))
        };
        Ok(layers.iter().map(|&layer| (layer.to_owned(), uniform(layer))).collect())
    }
}

/// How many nodes may be gone through to judge layers that lie in branches.
const MOST_VISITS: usize = 1 << 24;

/// Whether a gradient of a value of `rank` axes has shrunk to one number along the axes `space`.
fn is_uniform(gradient: Value, rank: usize, space: Vec<usize>) -> bool {
    let g = gradient.dims();
    let lead = rank.saturating_sub(g.len());
    space.iter().all(|axis| axis.checked_sub(lead).is_none_or(|a| g.get(a) == Some(&Dim::Fixed(1))))
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
                Some(maker) if model.card(at).is_some_and(|c| c.layout == Layout::Same) => at = maker,
                _ => break,
            },
            _ => break,
        }
    }
    made
}
