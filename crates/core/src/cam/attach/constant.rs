//! Gradients that are the same for every image, found beforehand. One product with the activation then makes any
//! number of maps.

use crate::analysis::Analysis;
use crate::build::Graph;
use crate::graph::reads;
use crate::head::Head;
use crate::onnx::messages::{GraphProto, ModelProto};
use crate::ops::movement::reshape_inputs;
use crate::shape::value_info;
use crate::shape::{Dim, Shapes};
use crate::{Model, Tensor, flow, grad, probe, reference};
use ndarray::{Array2, ArrayD, Axis, IxDyn, Zip};
use std::collections::HashSet;

/// More numbers than this (256 MiB of float32) are not put into a model.
pub(super) const MOST_NUMBERS: usize = 1 << 26;

/// ∂s/∂A of each of `classes`, `[M, …]` with A's axes, at a head that is affine; an extent of 1 stands for the whole axis,
/// along all axes of space or along none. None where this cannot be found beforehand.
///
/// The gradient of an affine head needs no activation. So one sweep with the classes along the batch finds all.
pub(super) fn gradients(analysis: &Analysis, head: &Head, classes: &[usize]) -> Option<Tensor> {
    let (m, k) = (classes.len(), head.score.classes);
    if head.score.batch != Some(0) || m.checked_mul(k)? > MOST_NUMBERS {
        return None;
    }
    let wide = head_model(analysis, head, m)?;
    let (layer, logits) = (head.layer.as_str(), head.score.logits.as_str());
    let shapes_at_m = Shapes::infer(&wide, layer, None).ok()?;
    let graph = Graph::new(&wide, &shapes_at_m);
    let (raw, activation) = (graph.value(logits).ok()?, graph.value(layer).ok()?);
    let dims = raw.dims();
    if dims.first() != Some(&Dim::Fixed(m)) || raw.sizes().iter().product::<usize>() != m * k {
        return None;
    }
    let hot = Array2::from_shape_fn((m, k), |(i, class)| f64::from(u8::from(classes.get(i) == Some(&class))));
    let seed = raw.tensor(hot.into_dyn()).reshape(&dims);
    let dependence = flow::dependence(&wide, &shapes_at_m, layer);
    let path = flow::path(&wide, &dependence, logits);
    let gradient = grad::vjp(&wide, &graph, &path, &dependence, (logits, seed), layer).ok()?;
    let gradient = gradient.with_rank(activation.rank());
    let (mut shape, whole) = (gradient.sizes(), activation.sizes());
    let uniform = head.space.iter().all(|&a| shape.get(a) == Some(&1));
    for (axis, n) in shape.iter_mut().enumerate() {
        if axis == 0 || (!uniform && head.space.contains(&axis)) {
            *n = *whole.get(axis)?;
        }
    }
    if shape.iter().try_fold(1usize, |p, &n| p.checked_mul(n))? > MOST_NUMBERS {
        return None;
    }
    let nodes = graph.finish(&[(gradient, GRADIENT)], &wide.names()).ok()?;
    let mut proto = wide.proto().clone();
    proto.graph.as_mut()?.node.extend(nodes);
    // What depends on the activation cannot be evaluated without one.
    let made = reference::evaluate(&Model::new(proto).ok()?, Default::default(), &[GRADIENT]).ok()?.pop()?;
    let data = made.data.broadcast(IxDyn(&shape))?.to_owned();
    explains(analysis, head, classes, &data)?.then_some(Tensor { dtype: made.dtype, data })
}

const GRADIENT: &str = "hirescam_gradient";

/// The head as a model of its own, whose input is the layer with a batch of `m`.
///
/// Files with a fixed batch often have it baked into the shapes of their Reshape nodes; there it is replaced.
fn head_model(analysis: &Analysis, head: &Head, m: usize) -> Option<Model> {
    let (model, shapes) = (analysis.model(), &analysis.shapes);
    let mut dims = shapes.dims(&head.layer)?;
    let batch = std::mem::replace(dims.first_mut()?, Dim::Fixed(m));
    let mut needed: HashSet<&str> = HashSet::from([head.score.logits.as_str()]);
    let mut nodes = Vec::new();
    for (_, node) in model.order().rev() {
        if node.output.iter().any(|o| needed.contains(o.as_str()) && *o != head.layer) {
            needed.extend(reads(node));
            nodes.push(node.clone());
        }
    }
    nodes.reverse();
    let stored = model.graph().initializer.iter().filter(|t| needed.contains(t.name()));
    let mut initializer: Vec<_> = stored.cloned().collect();
    for (i, node) in nodes.iter_mut().enumerate() {
        let Some([data, shape]) = reshape_inputs(node) else { continue };
        let stored = shapes.constant(shape).filter(|_| head.dependence.contains_key(data));
        let Some(mut to) = stored.map(Tensor::to_ints) else { continue };
        if let (Dim::Fixed(batch), Some(first)) = (batch, to.first_mut())
            && *first == batch as i64
        {
            *first = m as i64;
            let name = format!("hirescam_shape_{i}");
            initializer.push(Tensor::ints(&to).to_proto(&name).ok()?);
            *node.input.last_mut()? = name;
        }
    }
    let graph = GraphProto {
        node: nodes,
        initializer,
        input: vec![value_info(&head.layer, shapes.dtype(&head.layer)?, &dims, None)],
        ..Default::default()
    };
    let opset_import = model.proto().opset_import.clone();
    Model::new(ModelProto { opset_import, graph: Some(graph), ..Default::default() }).ok()
}

/// Whether Σ g⊙A + h(0) = h(A) for each class and a made-up activation A, as it must be if g is the gradient.
fn explains(analysis: &Analysis, head: &Head, classes: &[usize], g: &ArrayD<f64>) -> Option<bool> {
    let activation = probe::made_up(&analysis.shapes, &head.layer).ok()?;
    let first = activation.data.index_axis(Axis(0), 0).to_owned();
    let scores = probe::scores(analysis, head, activation).ok()?;
    let bias = probe::bias(analysis, head).ok()?;
    let near = |(g, &class): (ndarray::ArrayViewD<f64>, &usize)| {
        let (mut sum, mut size) = (0.0, 0.0);
        Zip::from(&first).and(g.broadcast(first.raw_dim())?).for_each(|a, g| {
            sum += a * g;
            size += (a * g).abs();
        });
        // The graph's constants are rounded to float32.
        Some((sum + bias.get(class)? - scores.get(class)?).abs() <= 1e-5 * size)
    };
    Some(g.axis_iter(Axis(0)).zip(classes).all(|pair| near(pair) == Some(true)))
}
