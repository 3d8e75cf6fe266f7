//! Gradients themselves as outputs, for methods that take several runs and for callers that make their own of them.

use crate::build::{Graph, Value};
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

/// A model with the gradients by several values as further outputs.
#[derive(Debug)]
pub struct GradientsModel {
    /// The model: one more input, an output more for each gradient, and for each value that was none.
    pub model: ModelProto,
    /// The added input, as [`GradientModel::seed`].
    pub seed: String,
    /// The gradients by the values, in their order.
    pub gradients: Vec<String>,
}

/// Adds the gradient of ⟨seed, `scores`⟩ by `activation` to `model`, where `activation` is an input and `scores` an
/// output: a head as [`model`](super::model()) gives it.
///
/// # Errors
/// Those of [`Shapes::infer`] and [`grad::vjp`].
pub fn gradient(model: &Model, activation: &str, scores: &str) -> Result<GradientModel, Error> {
    let shapes = Shapes::infer(model, activation, None)?;
    let GradientsModel { model, seed, gradients } = self::gradients(model, &shapes, &[activation], scores)?;
    Ok(GradientModel { model, seed, gradient: gradients.into_iter().next().unwrap_or_default() })
}

/// Adds the gradients of ⟨seed, `scores`⟩ by each of `values` to `model`, and the values themselves where they are no inputs.
/// The sweeps share what they have in common.
///
/// # Errors
/// Those of [`grad::vjp`]; [`Error::Argument`] for a value that the scores do not depend on.
pub fn gradients(model: &Model, shapes: &Shapes, values: &[&str], scores: &str) -> Result<GradientsModel, Error> {
    let graph = Graph::new(model, shapes);
    let taken = model.names();
    let free = |name: String| {
        let mut name = name;
        while taken.contains(name.as_str()) {
            name = format!("hirescam_{name}");
        }
        name
    };
    let seed = free("seed".to_owned());
    let names: Vec<String> = match values {
        [_] => vec![free("gradient".to_owned())],
        _ => (0..values.len()).map(|i| free(format!("gradient_{i}"))).collect(),
    };
    let s = graph.value(scores)?.wide();
    let weights = graph.input(&seed, s.dtype(), &s.dims());
    let by = |value: &&str| -> Result<Value, Error> {
        let a = graph.value(value)?;
        let dependence = flow::dependence(model, shapes, value);
        if !dependence.contains_key(scores) {
            return Err(Error::Argument(format!("{value:?} does not lead to the score {scores:?}")));
        }
        let path = flow::path(model, &dependence, scores);
        let g = grad::vjp(model, &graph, &path, &dependence, (scores, weights), value)?;
        Ok(g.with_rank(a.rank()).expand_as(a))
    };
    let made = values.iter().map(by).collect::<Result<Vec<Value>, Error>>()?;
    let batch = model.inputs().find_map(batch_name);
    let declare = |name: &str, v: Value| value_info(name, v.dtype(), &v.dims(), batch.as_deref());
    let is_there = |value: &str| {
        let graph = model.graph();
        model.inputs().any(|i| i.name() == value) || graph.output.iter().any(|o| o.name() == value)
    };
    let mut outputs = Vec::new();
    for value in values.iter().filter(|value| !is_there(value)) {
        outputs.push(declare(value, graph.value(value)?));
    }
    outputs.extend(names.iter().zip(&made).map(|(name, g)| declare(name, *g)));
    let input = declare(&seed, weights);
    let added: Vec<(Value, &str)> = made.iter().zip(&names).map(|(g, name)| (*g, name.as_str())).collect();
    let nodes = graph.finish(&added, &taken)?;
    let mut proto = model.proto().clone();
    if let Some(graph) = &mut proto.graph {
        graph.node.extend(nodes);
        graph.input.push(input);
        graph.output.extend(outputs);
    }
    Ok(GradientsModel { model: proto, seed, gradients: names })
}
