//! A model with a map, and its bytes.

use super::outputs::Outputs;
use crate::axes::Runs;
use crate::cam::methods::Method;
use crate::certify::Certificate;
use crate::graph::reads;
use crate::grid::Grid;
use crate::head::Head;
use crate::onnx;
use crate::onnx::functions::Inlined;
use crate::onnx::messages::{ModelProto, ValueInfoProto, type_proto};
use crate::onnx::wire::Closed;
use crate::shape::{Dim, declared};
use crate::target::Target;
use crate::tensor::DataType;
use crate::{Error, Model, strip};
use bytes::Bytes;
use std::collections::HashSet;
use std::sync::Arc;

/// A model with the map as one more output. Where it has several, of layers or methods, [`attach_to`](super::super::attach_to)
/// gives one of these for each, all of the same model.
#[derive(Debug)]
pub struct Explaining {
    /// The model: the original outputs first, then map, class, score, b, what else was asked for, and the same of further
    /// maps.
    pub model: Arc<ModelProto>,
    pub(super) added: Arc<ModelProto>,
    pub(super) inlined: Inlined,
    pub(super) closed: Closed,
    pub(super) file: Option<Bytes>,
    /// The names of the added outputs.
    pub outputs: Outputs,
    /// The name of the added input, for targets that come with each image.
    pub input: Option<String>,
    /// What was cut.
    pub head: Head,
    /// How the layer's places lie in the image, where its axes of space do not say it.
    pub grid: Option<Grid>,
    /// The method that makes the map.
    pub method: &'static Method,
    /// What is proven.
    pub certificate: Certificate,
    /// The input that carries the image.
    pub image: String,
    /// The image's extents.
    pub image_dims: Vec<Dim>,
    /// The axis of the image that counts channels, none where all others are places.
    pub image_channels: Option<usize>,
    /// Whether the graph or the request tells that axis.
    pub tells_channels: bool,
    /// Whether any number of images can be run at once.
    pub free_batch: bool,
    /// How a run takes samples.
    pub runs: Runs,
    /// The node for which a run of this model has to take more than one image, where it has to.
    pub alone: Option<String>,
    /// How many maps each image gets.
    pub maps: usize,
    /// What is explained.
    pub target: Target,
    /// b of each logit, in row-major order, where it is the same for every image and could be evaluated beforehand.
    pub bias: Option<Vec<f64>>,
}

impl Explaining {
    /// The bytes of the explaining model's file. Where the original file is known, it is added to: all else stays as it is.
    pub fn to_bytes(&self) -> Vec<u8> {
        let added = self.file.as_ref().and_then(|file| self.append(file));
        added.unwrap_or_else(|| onnx::write(&self.model))
    }

    /// The bytes of the network's own `file` with what is added: weights that lie beside the file stay there. An explaining
    /// model's addition is replaced.
    ///
    /// # Errors
    /// Those of [`strip`](crate::cam::strip()).
    pub fn added_to(&self, file: &[u8]) -> Result<Vec<u8>, Error> {
        let bare = strip::strip(file)?;
        Ok(self.append(bare.as_deref().unwrap_or(file)).unwrap_or_else(|| onnx::write(&self.model)))
    }

    /// The model for an engine that runs it for what was added and nothing else: without the network's own outputs and what
    /// they alone need, where that holds what engines need not have: operators that are not known here, or an output that is
    /// no tensor of numbers. None where it can be run as it is.
    ///
    /// # Errors
    /// As [`Model::new`].
    pub fn for_maps(&self) -> Result<Option<ModelProto>, Error> {
        let numbers = |o: &ValueInfoProto| match o.r#type.as_ref().and_then(|t| t.value.as_ref()) {
            Some(type_proto::Value::TensorType(t)) => t.elem_type() != DataType::String as i32,
            other => other.is_none(),
        };
        let model = Model::new(self.model.as_ref().clone())?;
        let graph = model.graph();
        if graph.output.iter().all(numbers) && graph.node.iter().all(|node| model.card(node).is_some()) {
            return Ok(None);
        }
        let added: HashSet<&str> = self.added.graph.iter().flat_map(|g| &g.output).map(|o| o.name()).collect();
        let (mut open, mut needed): (Vec<&str>, _) = (added.iter().copied().collect(), HashSet::new());
        while let Some(value) = open.pop() {
            if let Some((_, node)) =
                model.maker_index(value).zip(model.maker(value)).filter(|&(at, _)| needed.insert(at))
            {
                open.extend(reads(node));
            }
        }
        let mut proto = model.proto().clone();
        if let Some(graph) = &mut proto.graph {
            let mut at = 0..;
            graph.node.retain(|_| at.next().is_some_and(|i| needed.contains(&i)));
            graph.output.retain(|o| added.contains(o.name()));
        }
        Ok(Some(proto))
    }

    fn append(&self, file: &[u8]) -> Option<Vec<u8>> {
        onnx::wire::append(file, &self.added, &self.model, &self.inlined, &self.closed)
    }

    /// The inputs whose open axes are closed in the explaining model, because the maps hold for these extents only: names and
    /// extents.
    pub fn closed(&self) -> impl Iterator<Item = (&str, Vec<Option<usize>>)> {
        let inputs = self.model.graph.iter().flat_map(|g| &g.input).enumerate();
        inputs.filter(|(i, _)| self.closed.contains_key(i)).map(|(_, info)| (info.name(), declared(info)))
    }

    /// The bytes of the explaining model for an engine, which leave open what the file leaves open, and those of the file as it was, which are a part of them where the
    /// file is only added to. Of `file`, which these were made from, the memory is used again, if nobody else
    /// holds it: no second copy of the weights is made. What is left in `maps` has no weights either.
    pub fn take_bytes(maps: &mut [Explaining], file: Bytes) -> (Bytes, Bytes) {
        let Some(first) = maps.first() else { return (Bytes::new(), file) };
        let added = first.added.graph.clone();
        let same = |own: &Bytes| own.as_ptr() == file.as_ptr() && own.len() == file.len();
        if !first.file.as_ref().is_some_and(same) || !first.inlined.calls.is_empty() {
            return (first.to_bytes().into(), file);
        }
        for map in maps {
            (map.model, map.added, map.file) = Default::default();
        }
        let length = file.len();
        let mut bytes = Vec::from(file);
        // A message that comes twice in a file is one, with the fields of both.
        bytes.extend(onnx::write(&ModelProto { graph: added, ..Default::default() }));
        let bytes = Bytes::from(bytes);
        (bytes.clone(), bytes.slice(..length))
    }

    /// The extents of one map, where they are the same for all images.
    pub fn map_shape(&self) -> Option<Vec<usize>> {
        let info = self.model.graph.iter().flat_map(|g| &g.output).find(|o| o.name() == self.outputs.map)?;
        let places = declared(info).into_iter().skip(1 + usize::from(self.maps > 1));
        places.collect::<Option<Vec<_>>>().filter(|shape| !shape.is_empty())
    }

    /// b of a map of the class `class`, where it is the same for every image and could be evaluated beforehand.
    pub fn b(&self, class: usize) -> Option<f64> {
        self.target.bias(self.bias.as_deref()?, &self.head.score, class)
    }
}
