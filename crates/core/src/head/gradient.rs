//! The gradient itself as an output, for methods that take several runs.

use crate::build::Graph;
use crate::onnx::messages::ModelProto;
use crate::shape::{Shapes, batch_name, value_info};
use crate::{Error, Model, flow, grad};

/// A model with the gradient of a weighted sum of its scores as one more output.
#[derive(Debug)]
pub struct GradientModel {
    /// The model: one more input, one more output.
    pub model: ModelProto,
    /// The added input: what each score counts for, in the shape of the scores and of
    /// the element type [`wide`](crate::tensor::wide) makes of theirs.
    pub seed: String,
    /// The added output: ∂⟨seed, scores⟩/∂activation, in the shape of the activation.
    pub gradient: String,
}

/// Adds the gradient of ⟨seed, `scores`⟩ by `activation` to `model`, where `activation` is an input and `scores` an
/// output: a head as [`model`](super::model()) gives it.
///
/// # Errors
/// Those of [`Shapes::infer`] and [`grad::vjp`].
pub fn gradient(model: &Model, activation: &str, scores: &str) -> Result<GradientModel, Error> {
    let shapes = Shapes::infer(model, activation, None)?;
    let graph = Graph::new(model, &shapes);
    let (taken, mut names) = (model.names(), ["seed", "gradient"].map(str::to_owned));
    for name in &mut names {
        while taken.contains(name.as_str()) {
            *name = format!("hirescam_{name}");
        }
    }
    let [seed, gradient] = names;
    let (a, s) = (graph.value(activation)?, graph.value(scores)?.wide());
    let weights = graph.input(&seed, s.dtype(), &s.dims());
    let dependence = flow::dependence(model, &shapes, activation);
    let path = flow::path(model, &dependence, scores);
    let g = grad::vjp(model, &graph, &path, &dependence, (scores, weights), activation)?;
    let g = g.with_rank(a.rank()).expand_as(a);
    let batch = model.inputs().find_map(batch_name);
    let declare = |name: &str, v: crate::build::Value| value_info(name, v.dtype(), &v.dims(), batch.as_deref());
    let (input, output) = (declare(&seed, weights), declare(&gradient, g));
    let nodes = graph.finish(&[(g, &gradient)], &taken)?;
    let mut proto = model.proto().clone();
    if let Some(graph) = &mut proto.graph {
        graph.node.extend(nodes);
        graph.input.push(input);
        graph.output.push(output);
    }
    Ok(GradientModel { model: proto, seed, gradient })
}
