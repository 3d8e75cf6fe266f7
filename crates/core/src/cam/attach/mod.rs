//! Attaching a map to a model.

mod at_once;
mod constant;
mod emit;
pub(super) mod explaining;
pub(super) mod heatmap;

use super::methods::{Method, hirescam};
use crate::analysis::{Analysis, Hints, image_input};
use crate::build::{Graph, OLDEST_OPSET, Value};
use crate::certify::Certificate;
use crate::grid::Grid;
use crate::head::{self, Head};
use crate::layers::recommended;
use crate::onnx::messages::{GraphProto, ModelProto, StringStringEntryProto, ValueInfoProto};
use crate::onnx::wire;
use crate::score::{Activation, Reading, Score};
use crate::shape::{self, Dim, Shapes, batch_name, value_info};
use crate::target::Logits;
use crate::target::Target;
use crate::tensor::DataType;
use crate::{Error, Model, memory, strip};
use emit::{Emitted, emit};
use explaining::{Explaining, Outputs};
use heatmap::Size;
use std::collections::HashSet;
use std::sync::Arc;

/// What to attach.
#[derive(Clone, Debug)]
pub struct Request {
    /// The target layer; the recommended one when none is named.
    pub layer: Option<String>,
    /// What is explained.
    pub target: Target,
    /// The method.
    pub method: &'static Method,
    /// The tensor to explain, an output of the model or one inside; the output that looks like class scores when none is named.
    pub output: Option<String>,
    /// Whether to explain the output itself and not the logits before its final activation.
    pub keep_activation: bool,
    /// The axis of the explained output that counts classes, where neither the graph nor the labels tell it.
    pub class_axis: Option<i64>,
    /// What makes a probability of a score; what the graph ends in when nothing is said.
    pub activation: Option<Activation>,
    /// How many labels there are.
    pub labels: Option<usize>,
    /// The layer's channel axis, where the graph does not tell it.
    pub channels: Option<i64>,
    /// The input that carries the image; the one that looks like one when none is named.
    pub image: Option<String>,
    /// The image's channel axis, where the graph does not tell it.
    pub image_channels: Option<i64>,
    /// How the layer's tokens lie in the image, rows and columns, where the graph does not tell it.
    pub grid: Option<Vec<usize>>,
    /// The image's whole shape, where the file leaves extents open.
    pub image_shape: Option<Vec<usize>>,
    /// The shapes of inputs beside the image, where the file leaves extents open.
    pub other_shapes: Vec<(String, Vec<usize>)>,
    /// How many bytes the network's values may take beside what goes with its image and its weights; see [`memory`].
    pub memory: u64,
    /// Whether the logits become an output too, where they are one a class.
    pub logits: bool,
    /// Whether the map made for display becomes an output too, and of what size.
    pub heatmap: Option<Size>,
}

impl Default for Request {
    fn default() -> Self {
        Request {
            layer: None,
            target: Target::Top(1),
            method: &hirescam::METHOD,
            output: None,
            keep_activation: false,
            class_axis: None,
            activation: None,
            labels: None,
            channels: None,
            image: None,
            image_channels: None,
            grid: None,
            image_shape: None,
            other_shapes: Vec::new(),
            memory: memory::SPARE,
            logits: false,
            heatmap: None,
        }
    }
}

impl Request {
    /// What is said of the network.
    pub fn hints(&self) -> Hints<'_> {
        Hints {
            image: self.image.as_deref(),
            image_shape: self.image_shape.as_deref(),
            image_channels: self.image_channels,
            other_shapes: &self.other_shapes,
            memory: self.memory,
            scores: Reading {
                output: self.output.as_deref(),
                keep_activation: self.keep_activation,
                class_axis: self.class_axis,
                activation: self.activation,
                labels: self.labels,
            },
        }
    }
}

/// Attaches the map that `request` asks for to `model`, in place of one that may be attached already.
///
/// A derivative holds for one size of the image. Where the file leaves that open, the axes are closed in the declared inputs,
/// so that runtimes refuse any other; [`strip`](crate::cam::strip()) opens them again.
///
/// # Errors
/// Those of [`Analysis::of`], [`Target::on`], [`head::cut`], [`Head::grid`] and [`vjp`](crate::grad::vjp);
/// [`Error::Argument`] for too many maps.
pub fn attach(model: &Model, request: &Request) -> Result<Explaining, Error> {
    let mut all = attach_all(model, request, &[])?;
    Ok(all.swap_remove(0))
}

/// Attaches the maps of the request's layer and of `further` ones to `model`: one run makes them all, and what their
/// derivatives have in common is computed once. Class and score are outputs once; gives one [`Explaining`] a layer, the
/// request's first.
///
/// # Errors
/// As [`attach`]; [`Error::Argument`] for a layer that is asked for twice.
pub fn attach_all(model: &Model, request: &Request, further: &[String]) -> Result<Vec<Explaining>, Error> {
    attachable(model)?;
    attach_to(&Analysis::of(model, &request.hints())?, request, further)
}

/// As [`attach_all`], to a network that is analysed already, by [`Request::hints`].
///
/// # Errors
/// As [`attach_all`].
pub fn attach_to(analysis: &Analysis, request: &Request, further: &[String]) -> Result<Vec<Explaining>, Error> {
    let Analysis { image, shapes, score, .. } = analysis;
    let model = analysis.model();
    attachable(model)?;
    let image = image_input(model, Some(image))?;
    let request = &Request { target: request.target.on(score)?, ..request.clone() };
    let heads = heads(analysis, request, further)?;
    let graph = Graph::new(model, shapes);
    let raw = graph.value(&score.logits)?.wide();
    let raw = if shapes.alone.is_some() { raw.as_found() } else { raw };
    let batch = shapes.count();
    // Names that neither the model nor what is added to it uses yet.
    let (taken, mut added) = (model.names(), HashSet::new());
    let mut free = |name: &str| {
        let mut name = name.to_owned();
        while taken.contains(name.as_str()) || !added.insert(name.clone()) {
            name = format!("hirescam_{name}");
        }
        name
    };
    let after_batch =
        |extents: &[usize]| -> Vec<Dim> { [batch].into_iter().chain(extents.iter().map(|&n| Dim::Fixed(n))).collect() };
    let input = match &request.target {
        Target::Given(1) => Some((free("class"), DataType::Int64, vec![batch])),
        Target::Given(m) => Some((free("class"), DataType::Int64, after_batch(&[*m]))),
        Target::Seed => Some((free("seed"), raw.dtype(), after_batch(&score.dims))),
        _ => None,
    };
    let shared = Outputs {
        map: free("map"),
        class: free("class"),
        score: free("score"),
        b: free("b"),
        other_tokens: None,
        logits: (request.logits && !score.is_dense()).then(|| free("hirescam_logits")),
        heatmap: request.heatmap.as_ref().map(|_| free("heatmap")),
    };
    let given = input.as_ref().map(|(name, dtype, dims)| graph.input(name, *dtype, dims));
    let logits = Logits::new(raw, batch, score, given);
    let mut made: Vec<(Emitted, Outputs)> = Vec::new();
    let mut wanted: Vec<(Value, String)> = Vec::new();
    let image_dims = shapes.dims(image.name()).unwrap_or_default();
    let pixels = shapes.image_places().into_iter().filter_map(|axis| image_dims.get(axis)).map(|d| d.per_image());
    let pixels: Vec<usize> = pixels.collect();
    let mut cells = Vec::new();
    for (i, (head, grid)) in heads.iter().enumerate() {
        let emitted = emit(analysis, head, grid.as_ref(), request, &logits)?;
        let mut own = |name: &str| if i == 0 { free(name) } else { free(&format!("{name}_{}", i + 1)) };
        let mut outputs = shared.clone();
        if i > 0 {
            (outputs.map, outputs.b) = (own("map"), own("b"));
            outputs.heatmap = outputs.heatmap.map(|_| own("heatmap"));
        }
        outputs.other_tokens = emitted.other_tokens.map(|_| own("other_tokens"));
        wanted.push((emitted.map, outputs.map.clone()));
        if i == 0 {
            wanted.push((emitted.class, outputs.class.clone()));
            wanted.push((emitted.score, outputs.score.clone()));
        }
        wanted.push((emitted.b, outputs.b.clone()));
        wanted.extend(emitted.other_tokens.zip(outputs.other_tokens.clone()));
        if i == 0 {
            wanted.extend(outputs.logits.iter().map(|name| (logits.flat, name.clone())));
        }
        if let (Some(size), Some(name)) = (&request.heatmap, &outputs.heatmap) {
            cells = size.cells(grid.as_ref().map_or(head.space.len(), |g| g.sides.len()), &pixels)?;
            let lead = if request.target.maps(score) == 1 { 1 } else { 2 };
            wanted.push((heatmap::heatmap(emitted.map, lead, &cells), name.clone()));
        }
        made.push((emitted, outputs));
    }
    let wanted: Vec<(Value, &str)> = wanted.iter().map(|(v, name)| (*v, name.as_str())).collect();
    let batch = batch_name(image);
    let infos: Vec<ValueInfoProto> =
        wanted.iter().map(|(v, name)| value_info(name, v.dtype(), &v.dims(), batch.as_deref())).collect();
    let given = input.as_ref().map(|(name, dtype, dims)| value_info(name, *dtype, dims, batch.as_deref()));
    let nodes = graph.finish(&wanted, &taken)?;
    let [counts, calls] = strip::added([nodes.len(), usize::from(given.is_some()), infos.len()], model.inlined());
    let layers = made.iter().zip(&heads).map(|((emitted, _), (head, _))| (head, &emitted.certificate));
    let mut metadata = metadata(request, score, layers);
    metadata.push(("hirescam.heatmap".to_owned(), heatmap::shown(&cells)));
    metadata.push(("hirescam.image_shape".to_owned(), shape::show(&image_dims)));
    let closed = strip::closed(model, shapes);
    let as_written = strip::as_written(model, closed.iter().map(|(i, _)| *i));
    if !closed.is_empty() {
        metadata.push((wire::CLOSED.to_owned(), wire::written(&as_written)));
    }
    metadata.push(counts);
    metadata.extend(Some(calls).filter(|(_, calls)| !calls.is_empty()));
    let entry = |(key, value): (String, String)| StringStringEntryProto { key: Some(key), value: Some(value) };
    let input_infos = given.into_iter().collect();
    let added = ModelProto {
        graph: Some(GraphProto { node: nodes, input: input_infos, output: infos, ..Default::default() }),
        metadata_props: metadata.into_iter().map(entry).collect(),
        ..Default::default()
    };
    let proto = with_added(model, &added, closed);
    let alone = shapes.alone.clone().filter(|_| !fits_one(&proto, image.name(), request, &wanted));
    let (proto, added) = (Arc::new(proto), Arc::new(added));
    let of_layer = |((emitted, outputs), (head, grid)): ((Emitted, Outputs), (Head, Option<Grid>))| Explaining {
        model: proto.clone(),
        added: added.clone(),
        inlined: model.inlined().clone(),
        closed: as_written.clone(),
        file: model.file().cloned(),
        outputs,
        certificate: emitted.certificate,
        image: image.name().to_owned(),
        image_dims: image_dims.clone(),
        image_channels: shapes.image_channels(image.name()),
        tells_channels: shapes.tells_channels(image.name()),
        free_batch: shapes.free_batch(),
        runs: shapes.runs(&score.logits),
        alone: alone.clone(),
        maps: request.target.maps(score),
        target: request.target.clone(),
        input: input.as_ref().map(|(name, ..)| name.clone()),
        bias: emitted.bias,
        grid,
        head,
    };
    Ok(made.into_iter().zip(heads).map(of_layer).collect())
}

/// The heads of the request's layer and of `further` ones, and how their places lie in the image.
fn heads(analysis: &Analysis, request: &Request, further: &[String]) -> Result<Vec<(Head, Option<Grid>)>, Error> {
    let layer = match &request.layer {
        Some(layer) => layer.clone(),
        None if request.method.at_image => analysis.real_image().to_owned(),
        None => recommended(analysis)?,
    };
    let layers: Vec<&String> = [&layer].into_iter().chain(further).collect();
    if let Some(twice) = layers.iter().enumerate().find_map(|(i, l)| layers.iter().take(i).find(|other| other == &l)) {
        return Err(Error::Argument(format!("the layer {twice:?} is asked for twice")));
    }
    let cut = |layer: &&String| {
        let head = head::cut(analysis, layer, request.channels)?;
        let grid = head.grid(analysis, request.grid.as_deref())?;
        Ok((head, grid))
    };
    layers.iter().map(cut).collect()
}

/// The model with what is added, and with open axes closed that it takes only one extent of.
fn with_added(model: &Model, added: &ModelProto, closed: Vec<(usize, ValueInfoProto)>) -> ModelProto {
    let mut proto = model.proto().clone();
    if let (Some(graph), Some(new)) = (&mut proto.graph, &added.graph) {
        graph.node.extend_from_slice(&new.node);
        for (i, info) in closed {
            graph.input.iter_mut().skip(i).take(1).for_each(|own| *own = info.clone());
        }
        graph.input.extend_from_slice(&new.input);
        graph.output.extend_from_slice(&new.output);
    }
    proto.metadata_props.retain(|e| added.metadata_props.iter().all(|new| new.key() != e.key()));
    proto.metadata_props.extend_from_slice(&added.metadata_props);
    proto
}

/// Refuses networks of an operator set that no derivative is written for.
fn attachable(model: &Model) -> Result<(), Error> {
    if model.opset() >= OLDEST_OPSET {
        return Ok(());
    }
    Err(Error::Unsupported {
        at: format!("operator set {}", model.opset()),
        what: format!("derivatives are written for operator set {OLDEST_OPSET} and newer"),
        remedy: "Convert the file with onnx.version_converter.convert_version(model, 17)".into(),
    })
}

/// Whether a model with these outputs added gives them in their shapes for a single image, too.
fn fits_one(proto: &ModelProto, image: &str, request: &Request, wanted: &[(Value, &str)]) -> bool {
    let Ok(model) = Model::new(proto.clone()) else { return false };
    let given = (request.image_shape.as_deref(), request.other_shapes.as_slice());
    let Ok(one) = Shapes::infer_of(&model, image, given, 1) else { return false };
    let alone = |d: &Dim| Dim::Fixed(d.per_image());
    let fits = |(v, name): &(Value, &str)| one.dims(name) == Some(v.dims().iter().map(alone).collect::<Vec<_>>());
    wanted.iter().all(fits)
}

/// What the model says of its maps; the keys of further layers end in `_2`, `_3` ….
fn metadata<'a>(
    request: &Request,
    score: &Score,
    layers: impl Iterator<Item = (&'a Head, &'a Certificate)>,
) -> Vec<(String, String)> {
    let mut metadata = vec![
        ("hirescam.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("hirescam.method".to_owned(), request.method.name.to_owned()),
        ("hirescam.target".to_owned(), request.target.to_string()),
        ("hirescam.score".to_owned(), score.logits.clone()),
    ];
    for (i, (head, c)) in layers.enumerate() {
        let key = |what: &str| match i {
            0 => format!("hirescam.{what}"),
            _ => format!("hirescam.{what}_{}", i + 1),
        };
        metadata.extend([
            (key("layer"), head.layer.clone()),
            (key("verdict"), c.verdict.to_string()),
            (key("reason"), c.reason.clone().unwrap_or_default()),
            (key("bypass"), c.bypass.clone().unwrap_or_default()),
            (key("uniform"), c.uniform.to_string()),
            (key("scale"), c.scale.to_string()),
            (key("but"), c.but.clone().unwrap_or_default()),
            (key("caution"), c.caution.clone().unwrap_or_default()),
        ]);
    }
    metadata
}
