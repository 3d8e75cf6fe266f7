//! Cutting a model at a layer and a score: which output is explained, and what lies between the two.

use crate::axes::Samples;
use crate::error::{Fault, near, short};
use crate::graph::{reads, standard};
use crate::grid::Places;
use crate::onnx::{NodeProto, ValueInfoProto};
use crate::ops::{Dependence, Layout};
use crate::shape::{Dim, Shapes, declared};
use crate::tensor::is_float;
use crate::{Error, Model};
use std::collections::{HashMap, HashSet};

mod model;

pub use model::{body, model};

/// The scores that can be explained: the entries of `logits`.
#[derive(Clone, Debug)]
pub struct Score {
    /// The model's output that they belong to.
    pub output: String,
    /// The value whose entries are the scores: the output, or what went into its final activation.
    pub logits: String,
    /// The extents of one image's scores: `[classes]`, or all of a dense output, as `[classes, height, width]`.
    pub dims: Vec<usize>,
    /// Which of `dims` counts classes. Of dense outputs it is the axis of a final Softmax, else the channels.
    pub class_axis: usize,
    /// The number of classes.
    pub classes: usize,
    /// The final activation that was walked back through: its operator, if there was one.
    pub activation: Option<String>,
}

impl Score {
    /// Whether there are more scores than one a class.
    pub fn is_dense(&self) -> bool {
        self.dims.len() > 1
    }

    /// How many scores each image has.
    pub fn entries(&self) -> usize {
        self.dims.iter().product()
    }
}

/// What lies between a target layer and the score.
#[derive(Clone, Debug)]
pub struct Head {
    /// The target layer's activation A.
    pub layer: String,
    /// The score.
    pub score: Score,
    /// The nodes through which A reaches the logits, in the order in which they run.
    pub path: Vec<usize>,
    /// How each value depends on A; values that do not are left out.
    pub dependence: HashMap<String, Dependence>,
    /// How the samples lie in A.
    pub samples: Samples,
    /// The axis of A that counts channels.
    pub channels: usize,
    /// The axes of A that count places.
    pub space: Vec<usize>,
}

/// Operators at the end of a network that turn class scores into probabilities.
const FINAL: &[&str] = &["Softmax", "LogSoftmax", "Sigmoid"];
/// More renaming nodes than this do not come between a final activation and the output.
const MOST_RENAMINGS: usize = 100;
/// An output of more numbers an image than this is not explained.
const MOST_SCORES: usize = 1 << 24;

/// The input that carries the image: the one called `name`; without a name the first of rank 3 or more, else the first.
///
/// # Errors
/// [`Error::NotFound`] for an unknown name, [`Error::Invalid`] for a model without inputs.
pub fn image_input<'m>(model: &'m Model, name: Option<&str>) -> Result<&'m ValueInfoProto, Error> {
    if let Some(name) = name {
        let missing = || Error::NotFound {
            kind: "input",
            name: name.to_owned(),
            near: near(name, model.inputs().map(|i| i.name())),
        };
        return model.inputs().find(|i| i.name() == name).ok_or_else(missing);
    }
    let wide = model.inputs().find(|i| declared(i).len() >= 3);
    wide.or_else(|| model.inputs().next())
        .ok_or_else(|| Error::Invalid { at: "the file".into(), what: "the network has no input".into() })
}

/// Where the image is first a floating-point tensor: the input `image` itself, or what a Cast makes of integers, perhaps with
/// axes moved before it. There methods that are made at the image can differentiate. The input where there is no such value.
pub fn real_image<'m>(model: &'m Model, shapes: &Shapes, image: &'m str) -> &'m str {
    let real = |value: &str| shapes.dtype(value).is_some_and(is_float);
    let mut at = image;
    while !real(at) {
        let mut readers = model.order().map(|(_, n)| n).filter(|n| !shape_only(n) && reads(n).contains(&at));
        let (Some(node), None) = (readers.next(), readers.next()) else { return image };
        let moved = matches!(standard(node), "Cast" | "Transpose" | "Identity" | "Reshape" | "Squeeze" | "Unsqueeze");
        match node.output.first().filter(|_| moved && node.input.first().is_some_and(|i| i == at)) {
            Some(output) => at = output,
            None => return image,
        }
    }
    at
}

/// The scores of the output `output`, or of the one that looks most like class scores.
///
/// With `keep` the output is taken as it is; otherwise a final Softmax, LogSoftmax or Sigmoid is walked back through.
///
/// # Errors
/// [`Error::NotFound`] for an unknown output, [`Error::Argument`] when no output holds scores.
pub fn score(model: &Model, shapes: &Shapes, output: Option<&str>, keep: bool) -> Result<Score, Error> {
    let names: Vec<&str> = model.graph().output.iter().map(|o| o.name()).collect();
    let candidates: Vec<&str> = match output {
        Some(name) if names.contains(&name) => vec![name],
        Some(name) => {
            return Err(Error::NotFound {
                kind: "output",
                name: name.to_owned(),
                near: near(name, names.iter().copied()),
            });
        }
        None => names.clone(),
    };
    let scores: Vec<Score> = candidates.iter().filter_map(|name| score_of(model, shapes, name, keep)).collect();
    // Among several outputs, one score a class comes before dense scores, and what ends in a probability before what
    // does not. What has four numbers a row beside another table is a detector's boxes.
    let boxes = |s: &Score| s.is_dense() && s.dims.last() == Some(&4);
    let best = scores.into_iter().min_by_key(|s| (s.is_dense(), boxes(s), s.activation.is_none()));
    best.ok_or_else(|| {
        let shown = |name: &&str| {
            let shape = shapes.dims(name).map_or("of unknown shape".into(), |dims| show(&dims));
            format!("{:?} {shape}", short(name))
        };
        let unknown = candidates.iter().any(|name| shapes.dims(name).is_none());
        let why = shapes.fault.as_ref().filter(|_| unknown);
        Error::Argument(format!(
            "no output holds scores, that is, floating-point numbers for each image ([N, classes], [N, classes, height, width] …): {}{}",
            candidates.iter().take(8).map(shown).collect::<Vec<_>>().join(", "),
            why.map_or(String::new(), |fault| format!(", because of {fault}"))
        ))
    })
}

/// `[N, 512, 7, 7]`.
pub fn show(dims: &[Dim]) -> String {
    let one = |d: &Dim| match d {
        Dim::Fixed(n) => n.to_string(),
        Dim::Batch(1) => "N".to_owned(),
        Dim::Batch(n) => format!("{n}N"),
    };
    format!("[{}]", dims.iter().map(one).collect::<Vec<_>>().join(", "))
}

/// The extents of one image's scores in a value of the extents `dims`: `[K]` of `[N, K]`, `[N, K, 1, 1]` and `[N]`, all
/// after the batch of anything else.
fn extents(dims: &[Dim]) -> Option<Vec<usize>> {
    let (first, rest) = dims.split_first()?;
    let batch = matches!(first, Dim::Batch(1)) || (matches!(first, Dim::Fixed(_)) && !rest.is_empty());
    let fixed = |d: &Dim| if let Dim::Fixed(n) = d { Some(*n) } else { None };
    let sizes: Vec<usize> = rest.iter().map(fixed).collect::<Option<_>>()?;
    let count = sizes.iter().try_fold(1usize, |p, &n| p.checked_mul(n))?;
    if !(batch || *first == Dim::Fixed(1)) || !(1..=MOST_SCORES).contains(&count) {
        return None;
    }
    let list = sizes.iter().filter(|&&n| n != 1).count() <= 1;
    Some(if list { vec![count] } else { sizes })
}

fn score_of(model: &Model, shapes: &Shapes, output: &str, keep: bool) -> Option<Score> {
    let extents_of = |value: &str| extents(&shapes.dims(value)?);
    let dims = extents_of(output)?;
    if !is_float(shapes.dtype(output)?) {
        return None;
    }
    let score = |logits: &str, class_axis: usize, activation: Option<&str>| Score {
        output: output.to_owned(),
        logits: logits.to_owned(),
        class_axis,
        classes: dims.get(class_axis).copied().unwrap_or(1),
        activation: activation.map(str::to_owned),
        dims: dims.clone(),
    };
    let plain = score(output, class_axis(model, shapes, output, &dims), None);
    if keep {
        return Some(plain);
    }
    // Renaming nodes between the activation and the output are passed.
    let mut at = output;
    for _ in 0..MOST_RENAMINGS {
        let Some((node, input)) = model.maker(at).and_then(|n| Some((n, n.input.first()?))) else { break };
        let op = standard(node);
        let same = extents_of(input).as_ref() == Some(&dims);
        if FINAL.contains(&op) {
            let axis = match op {
                "Sigmoid" => Some(class_axis(model, shapes, input, &dims)),
                _ => normalised(model, shapes, node, input, &dims),
            };
            return Some(axis.filter(|_| same).map_or(plain, |axis| score(input, axis, Some(op))));
        }
        let renames = matches!(op, "Identity" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Cast" | "Dropout");
        if !renames || !same {
            break;
        }
        at = input;
    }
    Some(plain)
}

/// Which of the extents `dims` of one image's scores a softmax normalises, if it is one of them.
fn normalised(model: &Model, shapes: &Shapes, node: &NodeProto, input: &str, dims: &[usize]) -> Option<usize> {
    let all = shapes.dims(input)?;
    let a = model.attributes(node);
    let axis = crate::graph::axis(a.int("axis", if model.opset() >= 13 { -1 } else { 1 }), all.len()).ok()?;
    let sizes: Vec<usize> = all.iter().skip(axis).map(|d| d.per_image()).collect();
    // Up to operator set 12 all axes from this one on are normalised together.
    let together = if model.opset() < 13 { sizes.iter().product() } else { sizes.first().copied()? };
    match dims {
        [classes] => (axis > 0 && together == *classes).then_some(0),
        _ => axis.checked_sub(1).filter(|&a| dims.get(a) == Some(&together)),
    }
}

/// Which of the extents `dims` of one image's scores counts classes: the channels where that is known, of tables of
/// boxes the last.
fn class_axis(model: &Model, shapes: &Shapes, value: &str, dims: &[usize]) -> usize {
    let first = model.maker(value).and_then(|n| model.card(n)).is_some_and(|c| c.layout == Layout::ChannelsFirst);
    match dims.len() {
        0 | 1 => 0,
        2 if !first => 1,
        _ => channel_axes(model, shapes).get(value).map_or(0, |a| a.saturating_sub(1)),
    }
}

/// Cuts the model between `layer` and `score`.
///
/// `channels` names A's channel axis where the graph does not tell it.
///
/// # Errors
/// [`Error::NotFound`] with near names for an unknown layer, [`Error::Argument`] for one without places, or one that
/// the score does not depend on.
pub fn cut(model: &Model, shapes: &Shapes, layer: &str, score: &Score, channels: Option<i64>) -> Result<Head, Error> {
    if !model.has_value(layer) {
        return Err(Error::NotFound { kind: "layer", name: layer.to_owned(), near: near(layer, model.values()) });
    }
    let refuse = |what: String| {
        let layer = short(layer);
        Err(Error::Argument(format!("the layer {layer:?} {what}; `hirescam layers` lists those that can be explained")))
    };
    let Some(dims) = shapes.dims(layer) else {
        return match &shapes.fault {
            Some(fault) => refuse(format!("has an unknown shape, because of {fault}")),
            None => refuse(
                "has an unknown shape: an operator before it is unknown and the file holds no shape information".into(),
            ),
        };
    };
    if !shapes.dtype(layer).is_some_and(is_float) {
        return refuse("does not hold floating-point numbers".into());
    }
    if dims.len() < 3 {
        return refuse(format!("has the shape {}: no axes of space", show(&dims)));
    }
    let Some(samples) = shapes.samples(layer) else {
        return refuse(match shapes.mixing(model, layer) {
            Some(node) => format!("holds nothing of one image alone: {node} reads several"),
            None => format!("has the shape {}: it is not known which of its axes counts the images", show(&dims)),
        });
    };
    if let Samples::Along { axis, outer, inner } = samples
        && outer * inner > 1
        && Places::follow(model, shapes).is_some_and(|places| places.counts_places(layer, axis))
    {
        return refuse(format!("has the shape {}: the axis {axis} counts images and places in them", show(&dims)));
    }
    let channels = match channels {
        Some(axis) => crate::graph::axis(axis, dims.len())
            .map_err(|_| Error::Argument(format!("{layer:?} has no axis {axis}")))?,
        None => channel_axes(model, shapes).get(layer).copied().unwrap_or(1),
    };
    let space = samples.places(dims.len(), channels);
    if space.is_empty() {
        return refuse(format!("has the shape {}: no axes of space", show(&dims)));
    }
    let dependence = dependence(model, shapes, layer);
    let path = path(model, &dependence, &score.logits);
    if !dependence.contains_key(&score.logits) || layer == score.logits {
        return refuse(format!("does not lead to the score {:?}", score.logits));
    }
    Ok(Head { layer: layer.to_owned(), score: score.clone(), path, dependence, samples, channels, space })
}

/// How each value depends on `start`.
pub fn dependence(model: &Model, shapes: &Shapes, start: &str) -> HashMap<String, Dependence> {
    dependence_on(model, shapes, &[start])
}

/// How each value depends on the values `starts`; each of these on itself.
pub(crate) fn dependence_on(model: &Model, shapes: &Shapes, starts: &[&str]) -> HashMap<String, Dependence> {
    let starts: HashSet<&str> = starts.iter().copied().collect();
    let mut dependence: HashMap<_, _> = starts.iter().map(|&s| (s.to_owned(), Dependence::Smooth)).collect();
    for (_, node) in model.order() {
        let on = reads(node).iter().filter_map(|r| dependence.get(*r)).max().copied();
        let Some(on) = on.filter(|_| !shape_only(node)) else { continue };
        for output in node.output.iter().filter(|o| !o.is_empty() && !starts.contains(o.as_str())) {
            let smooth = |i: &String| dependence.get(i) == Some(&Dependence::Smooth);
            let real = shapes.dtype(output).is_none_or(|dtype| {
                // The integers of QuantizeLinear stand for real numbers, as long as their type is kept.
                let kept = node.input.iter().any(|i| smooth(i) && shapes.dtype(i) == Some(dtype));
                is_float(dtype) || standard(node) == "QuantizeLinear" || kept
            });
            dependence.insert(output.clone(), if real { on } else { Dependence::Discrete });
        }
    }
    dependence
}

/// Whether a node reads only the shape of its input, never its values.
pub fn shape_only(node: &NodeProto) -> bool {
    matches!(standard(node), "Shape" | "Size" | "EyeLike")
}

/// The nodes that depend on the layer and that `goal` needs.
pub(crate) fn path(model: &Model, dependence: &HashMap<String, Dependence>, goal: &str) -> Vec<usize> {
    let mut needed: HashSet<&str> = HashSet::from([goal]);
    let mut path = Vec::new();
    for (i, node) in model.order().rev() {
        let reaches = node.output.iter().any(|o| needed.contains(o.as_str()) && dependence.contains_key(o));
        if reaches && !shape_only(node) && reads(node).iter().any(|r| dependence.contains_key(*r)) {
            needed.extend(reads(node));
            path.push(i);
        }
    }
    path.reverse();
    path
}

/// The axis of each value that counts channels, as far as the operators before it tell. Never the first, which counts
/// images.
pub fn channel_axes<'m>(model: &'m Model, shapes: &Shapes) -> HashMap<&'m str, usize> {
    let dims = |v: &str| shapes.dims(v).filter(|d| !d.is_empty());
    let images = model.inputs().filter_map(|i| Some((i.name(), shapes.image_channels(i.name())?)));
    let mut axes: HashMap<&str, usize> = images.collect();
    for (_, node) in model.order() {
        let layout = model.card(node).map_or(Layout::Other, |c| c.layout);
        let a = model.attributes(node);
        for output in node.output.iter().filter(|o| !o.is_empty()) {
            let Some(to) = dims(output) else { continue };
            // Of several inputs the first that is as wide and whose channels are known decides.
            let input = || {
                let known =
                    |i: &String| axes.get(i.as_str()).copied().filter(|_| dims(i).map(|d| d.len()) == Some(to.len()));
                node.input.iter().find_map(known)
            };
            let axis = match layout {
                Layout::ChannelsFirst => Some(1),
                Layout::ChannelsLast => Some(to.len() - 1),
                Layout::Same | Layout::Other => input(),
                Layout::Reshaped => {
                    let from = node.input.first();
                    from.and_then(|i| carried(&dims(i)?, axes.get(i.as_str()).copied()?, &to))
                }
                Layout::Permuted => input().and_then(|axis| match a.ints("perm") {
                    Some(perm) => perm.iter().position(|&p| usize::try_from(p) == Ok(axis)),
                    None => (to.len() - 1).checked_sub(axis),
                }),
            };
            if let Some(axis) = axis.filter(|&axis| axis > 0) {
                axes.insert(output, axis);
            }
        }
    }
    // Elsewhere channels are the axis that is left where all others make the places of the image.
    if let Some(places) = Places::follow(model, shapes) {
        let unknown: Vec<&str> = model.values().filter(|v| !axes.contains_key(v)).collect();
        axes.extend(unknown.into_iter().filter_map(|v| Some((v, places.channels(shapes, v)?))));
    }
    axes
}

/// Where a Reshape leaves an axis whole: as long as before, with as many elements to each of its steps.
fn carried(from: &[Dim], axis: usize, to: &[Dim]) -> Option<usize> {
    let elements = |dims: &[Dim]| {
        let batches = dims.iter().filter(|d| matches!(d, Dim::Batch(_))).count();
        Some((batches, dims.iter().try_fold(1usize, |n, d| n.checked_mul(d.per_image()))?))
    };
    let before = elements(&from[..axis])?;
    (0..to.len()).find(|&i| from.get(axis) == to.get(i) && elements(&to[..i]) == Some(before))
}

impl Head {
    /// The dependence of each input of `node` on the layer.
    pub fn inputs(&self, node: &NodeProto) -> Vec<Dependence> {
        node.input.iter().map(|i| self.dependence.get(i).copied().unwrap_or(Dependence::None)).collect()
    }
}

/// Keeps a fault's words when no node is at hand.
impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Invalid(what) | Fault::Unsupported(what) => Error::Argument(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_is_followed_through_a_reshape_that_leaves_it_whole() {
        let (n, dim) = (Dim::Batch(1), Dim::Fixed);
        let image = [n, dim(96), dim(14), dim(14)];
        assert_eq!(carried(&image, 1, &[n, dim(96), dim(196)]), Some(1));
        assert_eq!(carried(&[n, dim(196), dim(96)], 2, &[n, dim(14), dim(14), dim(96)]), Some(3));
        assert_eq!(carried(&[Dim::Batch(196), dim(96)], 1, &[dim(196), n, dim(96)]), Some(2));
        assert_eq!(carried(&image, 1, &[n, dim(2), dim(48), dim(14), dim(14)]), None);
        assert_eq!(carried(&image, 1, &[n, dim(96 * 196)]), None);
    }
}
