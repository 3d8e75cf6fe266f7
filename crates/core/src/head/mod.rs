//! Cutting a model at a layer and a score: which output is explained, and what lies between the two.

use crate::Error;
use crate::analysis::Analysis;
use crate::axes::Samples;
use crate::error::{near, short};
use crate::flow::{dependence, path};
use crate::grid::{self, Grid};
use crate::onnx::messages::NodeProto;
use crate::ops::Dependence;
use crate::score::Score;
use crate::shape::show;
use crate::tensor::is_float;
use std::collections::HashMap;

mod gradient;
mod model;

pub use gradient::{GradientModel, GradientsModel, gradient, gradients};
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

/// Cuts the network between `layer` and its score.
///
/// `channels` names A's channel axis where the graph does not tell it.
///
/// # Errors
/// [`Error::NotFound`] with near names for an unknown layer, [`Error::Layer`] for one without places, or one that the score
/// does not depend on, [`Error::Argument`] for a channel axis that is none.
pub fn cut(analysis: &Analysis, layer: &str, channels: Option<i64>) -> Result<Head, Error> {
    let Analysis { shapes, score, .. } = analysis;
    let model = analysis.model();
    if !model.has_value(layer) {
        return Err(Error::NotFound { kind: "layer", name: layer.to_owned(), near: near(layer, model.values()) });
    }
    let refuse = |why: String| Err(Error::Layer { name: short(layer).to_owned(), why });
    let Some(dims) = shapes.dims(layer) else {
        let cause = shapes.cause(model, layer).map_or(String::new(), |cause| format!(". The cause: {cause}"));
        return refuse(format!("has an unknown shape{cause}"));
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
    if samples.lead() > 1 && analysis.places().is_some_and(|places| places.counts_places(layer, own)) {
        return refuse(format!("has the shape {}: the axis {own} counts images and places in them", show(&dims)));
    }
    let channels = match channels {
        Some(axis) => match crate::graph::axis(axis, dims.len()) {
            Ok(axis) if axis == own => {
                let shape = show(&dims);
                return Err(Error::Argument(format!(
                    "the axis {axis} of {layer:?} {shape} counts images and no channels"
                )));
            }
            Ok(axis) => Some(axis),
            Err(_) => return Err(Error::Argument(format!("{layer:?} has no axis {axis}"))),
        },
        None if model.inputs().any(|i| i.name() == layer) && shapes.tells_channels(layer) => {
            shapes.image_channels(layer)
        }
        None => Some(analysis.channels(layer)),
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
    /// How the layer's places lie in the image; none where its axes of space are those of the image already, in their order,
    /// or where the graph does not tell.
    ///
    /// `given` are the extents of the grid for where the graph does not tell. Tokens that it leaves over are the first ones.
    ///
    /// # Errors
    /// [`Error::Argument`] when `given` does not fit the layer, or contradicts the graph.
    pub fn grid(&self, analysis: &Analysis, given: Option<&[usize]>) -> Result<Option<Grid>, Error> {
        grid::grid(&analysis.shapes, analysis.places(), (&self.layer, &self.space), given)
    }

    /// What to say of the layer where its places are not those of the image, as channels after a pooling, or where the graph
    /// does not tell; none where they are.
    pub fn elsewhere(&self, analysis: &Analysis) -> Option<String> {
        grid::elsewhere(&analysis.shapes, analysis.places(), &self.layer, &self.space)
    }

    /// The dependence of each input of `node` on the layer.
    pub fn inputs(&self, node: &NodeProto) -> Vec<Dependence> {
        node.input.iter().map(|i| self.dependence.get(i).copied().unwrap_or(Dependence::None)).collect()
    }
}
