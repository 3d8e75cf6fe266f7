//! The parts of a model on either side of a layer, as models of their own.

use super::Head;
use crate::analysis::Analysis;
use crate::flow::around;
use crate::graph::reads;
use crate::onnx::describe;
use crate::onnx::messages::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use crate::shape::{Dim, Shapes, batch_name, show, value_info};
use crate::{Error, Model, Tensor};
use std::collections::HashSet;

/// The head as a model: from the layer's activation to the logits.
///
/// Its inputs are the activation, and after it every value of the body that the head reads by a way around the layer; in
/// place of one that has its images along another axis than the first, those that it is made of.
/// Values that follow from shapes alone are constants in it, or follow the batch of the activation. The batch is free
/// where the model's is.
///
/// # Errors
/// [`Error::Unsupported`] for a value around the layer that cannot be handed over, or a shape that follows the batch in
/// no simple way.
pub fn model(analysis: &Analysis, head: &Head) -> Result<ModelProto, Error> {
    let (model, shapes) = (analysis.model(), &analysis.shapes);
    let around = around(model, |name| name == head.layer);
    let (mut part, mut batches) = (Submodel::default(), Batches::new(model, shapes, &head.layer));
    let (mut open, mut seen) = (vec![head.score.logits.as_str()], HashSet::from([head.layer.as_str()]));
    let mut carried = Vec::new();
    // What has its images along another axis is made again of what has not.
    let as_it_is = |value: &str| images_first(shapes, value) || model.maker(value).is_none();
    while let Some(value) = open.pop() {
        if !seen.insert(value) {
            continue;
        }
        if model.initializer(value).is_some() {
            part.stored.insert(value);
        } else if batches.give(value)? {
        } else if around.contains(value) && !head.dependence.contains_key(value) && as_it_is(value) {
            carried.push(value);
        } else {
            open.extend(part.make(model, value));
        }
    }
    carried.sort_by_key(|value| (model.maker_index(value), *value));
    let mut inputs = vec![declare(analysis, &head.layer)?];
    for value in carried {
        inputs.push(hand_over(analysis, value, head)?);
    }
    let outputs = vec![declare(analysis, &head.score.logits)?];
    Ok(part.finish(model, inputs, outputs, batches))
}

/// What comes before a layer as a model: from the network's inputs to `values`.
///
/// # Errors
/// [`Error::Unsupported`] for a value of unknown shape.
pub fn body(analysis: &Analysis, values: &[&str]) -> Result<ModelProto, Error> {
    let model = analysis.model();
    let (mut part, mut open, mut seen) = (Submodel::default(), values.to_vec(), HashSet::new());
    let mut inputs: Vec<ValueInfoProto> = Vec::new();
    while let Some(value) = open.pop() {
        if !seen.insert(value) {
            continue;
        }
        if model.initializer(value).is_some() {
            part.stored.insert(value);
        } else if let Some(input) = model.inputs().find(|i| i.name() == value) {
            inputs.push(input.clone());
        } else {
            open.extend(part.make(model, value));
        }
    }
    let outputs = values.iter().map(|value| declare(analysis, value)).collect::<Result<_, _>>()?;
    Ok(part.finish(model, inputs, outputs, Batches::default()))
}

/// A part of a model: which of its nodes and stored tensors.
#[derive(Default)]
struct Submodel<'m> {
    nodes: HashSet<usize>,
    stored: HashSet<&'m str>,
}

impl<'m> Submodel<'m> {
    /// Takes the node that makes `value`; gives what it reads.
    fn make(&mut self, model: &'m Model, value: &'m str) -> Vec<&'m str> {
        let Some((i, node)) = model.maker_index(value).zip(model.maker(value)) else {
            self.stored.insert(value);
            return Vec::new();
        };
        self.nodes.insert(i);
        reads(node)
    }

    fn finish(
        self,
        model: &Model,
        mut inputs: Vec<ValueInfoProto>,
        outputs: Vec<ValueInfoProto>,
        batches: Batches,
    ) -> ModelProto {
        let whole = model.graph();
        let has = |name: &str| self.stored.contains(name);
        let own = model.order().filter(|(i, _)| self.nodes.contains(i)).map(|(_, node)| node.clone());
        let node: Vec<NodeProto> = batches.nodes.into_iter().chain(own).collect();
        let made: HashSet<&str> = node.iter().flat_map(|n| n.output.iter().map(String::as_str)).collect();
        let is_output = |name: &str| outputs.iter().any(|o| o.name() == name);
        // Before version 4 of the format, stored tensors are declared as inputs too.
        inputs.extend(whole.input.iter().filter(|i| has(i.name())).cloned());
        if model.proto().ir_version() < 4 {
            inputs.extend(batches.declared);
        }
        let graph = GraphProto {
            name: whole.name.clone(),
            initializer: whole.initializer.iter().filter(|t| has(t.name())).cloned().chain(batches.constants).collect(),
            sparse_initializer: whole
                .sparse_initializer
                .iter()
                .filter(|t| t.values.as_ref().is_some_and(|v| has(v.name())))
                .cloned()
                .collect(),
            value_info: whole
                .value_info
                .iter()
                .chain(&whole.output)
                .filter(|v| made.contains(v.name()) && !is_output(v.name()))
                .cloned()
                .collect(),
            input: inputs,
            output: outputs.clone(),
            node,
            ..Default::default()
        };
        let proto = model.proto();
        ModelProto {
            ir_version: proto.ir_version,
            opset_import: proto.opset_import.clone(),
            graph: Some(graph),
            ..Default::default()
        }
    }
}

fn declare(analysis: &Analysis, value: &str) -> Result<ValueInfoProto, Error> {
    let (model, shapes) = (analysis.model(), &analysis.shapes);
    let (Some(dims), Some(dtype)) = (shapes.dims(value), shapes.dtype(value)) else {
        let cause = shapes.cause(model, value);
        return Err(
            cause.unwrap_or_else(|| Error::Argument(format!("the network has no value {value:?} to be cut at")))
        );
    };
    let batch = model.inputs().find_map(batch_name);
    Ok(value_info(value, dtype, &dims, batch.as_deref()))
}

/// Whether a value follows the batch along its first axis alone, or not at all.
fn images_first(shapes: &Shapes, value: &str) -> bool {
    let dims = shapes.dims(value).unwrap_or_default();
    let follows = dims.iter().filter(|d| matches!(d, Dim::Batch(_))).count();
    !shapes.free_batch() || follows == 0 || (follows == 1 && dims.first() == Some(&Dim::Batch(1)))
}

/// Declares a value of the body as an input of the head.
fn hand_over(analysis: &Analysis, value: &str, head: &Head) -> Result<ValueInfoProto, Error> {
    let (model, shapes) = (analysis.model(), &analysis.shapes);
    let refuse = |what: String| {
        let at = model.maker(value).map_or(format!("the input {value:?}"), describe);
        let remedy = "Choose a layer after the place where this joins".into();
        let what = format!("the head behind {:?} reads it by a way around the layer, and {what}", head.layer);
        Err(Error::Unsupported { at, what, remedy })
    };
    if !images_first(shapes, value) {
        let dims = shapes.dims(value).unwrap_or_default();
        return refuse(format!("its shape {} follows the batch elsewhere than along its first axis", show(&dims)));
    }
    declare(analysis, value)
}

/// Values that follow from shapes alone: stored where they are the same for every batch, else made of the batch of the
/// activation.
#[derive(Default)]
struct Batches<'a> {
    shapes: Option<&'a Shapes>,
    layer: &'a str,
    taken: HashSet<&'a str>,
    constants: Vec<TensorProto>,
    declared: Vec<ValueInfoProto>,
    nodes: Vec<NodeProto>,
    /// The value that counts images, once it is made.
    batch: Option<String>,
}

impl<'a> Batches<'a> {
    fn new(model: &'a Model, shapes: &'a Shapes, layer: &'a str) -> Self {
        Batches { shapes: Some(shapes), layer, taken: model.names(), ..Default::default() }
    }

    /// Makes `value` if its values are known beforehand.
    fn give(&mut self, value: &str) -> Result<bool, Error> {
        let probes = self.shapes.map_or(&[][..], |s| s.probes.as_slice());
        let known: Option<Vec<(usize, &Tensor)>> =
            probes.iter().map(|(batch, f)| Some((*batch, f.get(value)?.value.as_deref()?))).collect();
        let (first, other) = match known.as_deref() {
            Some([one]) => (*one, *one),
            Some([one, other]) if one.1.shape() == other.1.shape() => (*one, *other),
            _ => return Ok(false),
        };
        if first.1 == other.1 {
            self.store(value, first.1.clone())?;
            return Ok(true);
        }
        // Each entry is a number of its own, or a multiple of the batch.
        let entry = |(&a, &b): (&f64, &f64)| match a == b {
            true => Some((0.0, a)),
            false => {
                let times = a / first.0 as f64;
                (times * other.0 as f64 == b).then_some((times, 0.0))
            }
        };
        let entries: Option<Vec<(f64, f64)>> = first.1.data.iter().zip(&other.1.data).map(entry).collect();
        let follows = self.follows();
        let (Some(entries), Some((axis, times_batch))) = (entries, follows) else {
            return Err(Error::Unsupported {
                at: format!("the value {value:?}"),
                what: format!("it follows the batch in no simple way that could be told from {:?}", self.layer),
                remedy: "Export the network with a fixed batch".into(),
            });
        };
        let (times, plus): (Vec<f64>, Vec<f64>) = entries.into_iter().unzip();
        let batch = self.batch(axis, times_batch)?;
        let tensor = |values| Tensor::new(first.1.dtype, first.1.shape(), values);
        let [by, and, cast, product] = ["times", "plus", "batch", "product"].map(|what| self.free(value, what));
        self.store(&by, tensor(times)?)?;
        self.store(&and, tensor(plus)?)?;
        self.node("Cast", &[&batch], &cast);
        if let Some(node) = self.nodes.last_mut() {
            node.attribute = vec![crate::onnx::attribute("to", first.1.dtype as i64)];
        }
        self.node("Mul", &[&by, &cast], &product);
        self.node("Add", &[&product, &and], value);
        Ok(true)
    }

    /// The axis of the layer that follows the batch, and how many times the batch it is long.
    fn follows(&self) -> Option<(usize, usize)> {
        let dims = self.shapes?.dims(self.layer)?;
        let mut follow = dims.iter().enumerate().filter_map(|(axis, d)| match d {
            Dim::Batch(times) => Some((axis, *times)),
            Dim::Fixed(_) => None,
        });
        follow.next().filter(|_| follow.next().is_none())
    }

    /// The number of images, int64, from the layer's axis that is `times` times as long.
    fn batch(&mut self, axis: usize, times: usize) -> Result<String, Error> {
        if let Some(batch) = &self.batch {
            return Ok(batch.clone());
        }
        let [shape, first, long, by, batch] =
            ["shape", "first", "long", "by", "images"].map(|what| self.free(self.layer, what));
        let int = |n: usize| Tensor { dtype: crate::tensor::DataType::Int64, data: ndarray::arr0(n as f64).into_dyn() };
        self.store(&first, int(axis))?;
        self.node("Shape", &[self.layer], &shape);
        match times {
            1 => self.node("Gather", &[&shape, &first], &batch),
            _ => {
                self.store(&by, int(times))?;
                self.node("Gather", &[&shape, &first], &long);
                self.node("Div", &[&long, &by], &batch);
            }
        }
        self.batch = Some(batch.clone());
        Ok(batch)
    }

    fn free(&self, value: &str, what: &str) -> String {
        let mut name = format!("{value}/{what}");
        while self.taken.contains(name.as_str()) {
            name.push('_');
        }
        name
    }

    fn store(&mut self, name: &str, tensor: Tensor) -> Result<(), Error> {
        let dims: Vec<Dim> = tensor.shape().iter().map(|&n| Dim::Fixed(n)).collect();
        self.declared.push(value_info(name, tensor.dtype, &dims, None));
        self.constants.push(tensor.to_proto(name)?);
        Ok(())
    }

    fn node(&mut self, op: &str, inputs: &[&str], output: &str) {
        self.nodes.push(NodeProto {
            op_type: Some(op.into()),
            name: Some(output.to_owned()),
            input: inputs.iter().map(|&i| i.to_owned()).collect(),
            output: vec![output.to_owned()],
            ..Default::default()
        });
    }
}
