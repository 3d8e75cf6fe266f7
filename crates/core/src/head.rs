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

mod classes;
mod model;
mod score;

pub use model::{body, model};
pub(crate) use score::chosen_from;
pub use score::{Activation, Reading, Score, read, score};

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
    /// The axis of A that counts channels; none of an image that has no such axis.
    pub channels: Option<usize>,
    /// The axes of A that count places.
    pub space: Vec<usize>,
}

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

/// `[N, 512, 7, 7]`.
pub fn show(dims: &[Dim]) -> String {
    let one = |d: &Dim| match d {
        Dim::Fixed(n) => n.to_string(),
        Dim::Batch(1) => "N".to_owned(),
        Dim::Batch(n) => format!("{n}N"),
    };
    format!("[{}]", dims.iter().map(one).collect::<Vec<_>>().join(", "))
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
        let cause = shapes.cause(model, layer).map_or(String::new(), |cause| format!(". The cause: {cause}"));
        let layer = short(layer);
        return Err(Error::Argument(format!("the layer {layer:?} has an unknown shape{cause}")));
    };
    if !shapes.dtype(layer).is_some_and(is_float) {
        return refuse("does not hold floating-point numbers".into());
    }
    let Some(samples) = shapes.samples(layer) else {
        return refuse(match shapes.mixing(model, layer) {
            Some(node) => format!("holds nothing of one image alone: {node} reads several"),
            None => format!("has the shape {}: it is not known which of its axes counts the images", show(&dims)),
        });
    };
    let own = samples.axis();
    if samples.lead() > 1 && Places::follow(model, shapes).is_some_and(|places| places.counts_places(layer, own)) {
        return refuse(format!("has the shape {}: the axis {own} counts images and places in them", show(&dims)));
    }
    let channels = match channels {
        Some(axis) => crate::graph::axis(axis, dims.len())
            .map(Some)
            .map_err(|_| Error::Argument(format!("{layer:?} has no axis {axis}")))?,
        None if model.inputs().any(|i| i.name() == layer) && shapes.tells_channels(layer) => {
            shapes.image_channels(layer)
        }
        None => Some(channel_axes(model, shapes).get(layer).copied().unwrap_or(1)),
    };
    let space = samples.places(dims.len(), channels);
    if space.is_empty() || (dims.len() < 3 && channels.is_some()) {
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
