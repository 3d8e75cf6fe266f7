//! Cutting a model at a layer and a score: which output is explained, and what lies between the two.

use crate::axes::Samples;
use crate::error::{near, short};
use crate::flow::{dependence, path};
use crate::graph::{reads, shape_only, standard};
use crate::grid::{Places, channel_axes};
use crate::onnx::{NodeProto, ValueInfoProto};
use crate::ops::Dependence;
use crate::score::Score;
use crate::shape::{Shapes, declared, show};
use crate::tensor::is_float;
use crate::{Error, Model};
use std::collections::HashMap;

mod gradient;
mod model;

pub use gradient::{Gradient, gradient};
pub use model::{body, model};

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

impl Head {
    /// The dependence of each input of `node` on the layer.
    pub fn inputs(&self, node: &NodeProto) -> Vec<Dependence> {
        node.input.iter().map(|i| self.dependence.get(i).copied().unwrap_or(Dependence::None)).collect()
    }
}
