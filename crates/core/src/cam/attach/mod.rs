//! Attaching a map to a model.

mod at_once;
mod constant;
mod emit;
pub(super) mod explaining;
pub(super) mod heatmap;
mod metadata;
pub(super) mod outputs;
mod request;

pub use request::{Further, Request};

use crate::analysis::{Analysis, Hints, image_input};
use crate::build::{Graph, OLDEST_OPSET, Value};
use crate::cam::methods::Method;
use crate::grid::Grid;
use crate::head::{self, Head};
use crate::layers::recommended;
use crate::onnx::messages::{GraphProto, ModelProto, ValueInfoProto};
use crate::shape::{self, Dim, Shapes, batch_name, value_info};
use crate::target::{Logits, Target};
use crate::tensor::{DataType, wide};
use crate::{Error, Model, grad, strip};
use emit::{MapValues, emit};
use explaining::Explaining;
use outputs::{Names, Outputs};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Attaches the map that `request` asks for to `model`, in place of one that may be attached already. Where the file leaves
/// something open, [`attach_to`] takes what was found with [`Hints`](crate::analysis::Hints).
///
/// # Errors
/// Those of [`Analysis::of`] and [`attach_to`].
pub fn attach(model: &Model, request: &Request) -> Result<Explaining, Error> {
    attachable(model)?;
    let mut all = attach_to(&Analysis::of(model, &Hints::default())?, request, &Further::default())?;
    Ok(all.swap_remove(0))
}

/// Attaches the maps of the request's layer and method and of `further` ones to a network: one run makes them all, and what
/// they have in common is computed once, as the derivatives of a layer for all methods. Class and score are outputs once; gives
/// one [`Explaining`] a map: method after method, the request's first, and of each the layers.
///
/// A derivative holds for one size of the image. Where the file leaves that open, the axes are closed in the declared inputs,
/// so that runtimes refuse any other; [`strip`](crate::cam::strip()) opens them again.
///
/// # Errors
/// Those of [`Target::on`], [`head::cut`], [`Head::grid`] and [`vjp`](crate::grad::vjp); [`Error::Argument`] for too many
/// maps, a layer or a method that is asked for twice, or a method that the head is not for.
pub fn attach_to(analysis: &Analysis, request: &Request, further: &Further) -> Result<Vec<Explaining>, Error> {
    let Analysis { shapes, score, .. } = analysis;
    let model = analysis.model();
    attachable(model)?;
    let methods = methods(request, further)?;
    let asked = asked(analysis, request, &methods, &further.layers)?;
    let heads = heads(analysis, request, &asked)?;
    let target = request.target.on(score).map_err(|wrong| in_any_case(analysis, &heads).err().unwrap_or(wrong))?;
    let request = &Request { target, ..request.clone() };
    let graph = Graph::new(model, shapes);
    let raw = graph.value(&score.logits)?.wide();
    let raw = if shapes.alone.is_some() { raw.as_found() } else { raw };
    let mut names = Names::new(model);
    let input = target_input(analysis, &request.target);
    let given = input.as_ref().map(|TargetInput { name, dtype, dims }| graph.input(&names.free(name), *dtype, dims));
    let logits = Logits::new(raw, shapes.count(), score, given);
    let image_dims = shapes.dims(&analysis.image).unwrap_or_default();
    let pixels = shapes.image_places().into_iter().filter_map(|axis| image_dims.get(axis)).map(|d| d.per_image());
    let pixels: Vec<usize> = pixels.collect();
    let mut emitted = HashMap::new();
    for (head, grid) in &heads {
        let here = asked.iter().filter(|map| map.layer == head.layer).map(|map| map.method);
        let here: Vec<&'static Method> = here.collect();
        let made = emit(analysis, head, grid.as_ref(), (&request.target, &here), &logits)?;
        emitted.extend(here.iter().zip(made).map(|(method, made)| ((head.layer.as_str(), method.name), made)));
    }
    let first = asked.first().map_or("", |map| map.ending.as_str());
    let shared = Outputs::new(request, score, first, &mut names);
    let (mut maps, mut wanted, mut cells) = (Vec::new(), Vec::new(), Vec::new());
    for (i, map) in asked.iter().enumerate() {
        let of_layer = heads.iter().find(|(head, _)| head.layer == map.layer);
        let Some((head, grid)) = of_layer else { continue };
        let Some(emitted) = emitted.remove(&(map.layer.as_str(), map.method.name)) else { continue };
        let outputs = shared.of_map(i, &map.ending, &emitted, &mut names);
        let mut heat = None;
        if let Some(size) = &request.heatmap {
            cells = size.cells(grid.as_ref().map_or(head.space.len(), |g| g.sides.len()), &pixels)?;
            let lead = if request.target.maps(score) == 1 { 1 } else { 2 };
            heat = Some(heatmap::heatmap(emitted.map, lead, &cells));
        }
        wanted.extend(outputs.values(i, &emitted, (logits.flat, heat)));
        maps.push((map, head.clone(), grid.clone(), emitted, outputs));
    }
    let wanted: Vec<(Value, &str)> = wanted.iter().map(|(v, name)| (*v, name.as_str())).collect();
    let batch = batch_name(image_input(model, Some(&analysis.image))?);
    let info = |name: &str, dtype, dims: &[Dim]| value_info(name, dtype, dims, batch.as_deref());
    let added = GraphProto {
        node: graph.finish(&wanted, &names.taken)?,
        input: input.iter().map(|input| info(&input.name, input.dtype, &input.dims)).collect(),
        output: wanted.iter().map(|(v, name)| info(name, v.dtype(), &v.dims())).collect(),
        ..Default::default()
    };
    let closed = strip::closed(model, shapes);
    let as_written = strip::as_written(model, closed.iter().map(|(i, _)| *i));
    let of_maps = maps.iter().map(|(map, head, _, emitted, _)| (map.ending.as_str(), head, &emitted.certificate));
    let mut metadata = metadata::of_maps(&request.target, score, &methods, of_maps);
    metadata.push(("hirescam.heatmap".to_owned(), heatmap::shown(&cells)));
    metadata.push(("hirescam.image_shape".to_owned(), shape::show(&image_dims)));
    metadata.extend(metadata::of_addition(model, &added, &as_written));
    let added = ModelProto { graph: Some(added), metadata_props: metadata::entries(metadata), ..Default::default() };
    let proto = with_added(model, &added, closed);
    let alone = shapes.alone.clone().filter(|_| !fits_one(&proto, analysis, &wanted));
    let (proto, added) = (Arc::new(proto), Arc::new(added));
    let of_map = |(map, head, grid, emitted, outputs): (&Asked, Head, Option<Grid>, MapValues, Outputs)| Explaining {
        model: proto.clone(),
        added: added.clone(),
        inlined: model.inlined().clone(),
        closed: as_written.clone(),
        file: model.file().cloned(),
        outputs,
        method: map.method,
        certificate: emitted.certificate,
        image: analysis.image.clone(),
        image_dims: image_dims.clone(),
        image_channels: shapes.image_channels(&analysis.image),
        tells_channels: shapes.tells_channels(&analysis.image),
        free_batch: shapes.free_batch(),
        runs: shapes.runs(&score.logits),
        alone: alone.clone(),
        maps: request.target.maps(score),
        target: request.target.clone(),
        input: input.as_ref().map(|input| input.name.clone()),
        bias: emitted.bias,
        grid,
        head,
    };
    Ok(maps.into_iter().map(of_map).collect())
}

/// An input that a target needs, which comes with each image.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetInput {
    /// Its name in the explaining model.
    pub name: String,
    /// Its element type.
    pub dtype: DataType,
    /// Its extents, the images first.
    pub dims: Vec<Dim>,
}

/// The input that a target on a network needs which comes with each image; none for targets that need none.
pub fn target_input(analysis: &Analysis, target: &Target) -> Option<TargetInput> {
    let (score, batch) = (&analysis.score, analysis.shapes.count());
    let (name, dtype, extents) = match target {
        Target::Given(1) => ("class", DataType::Int64, Vec::new()),
        Target::Given(m) => ("class", DataType::Int64, vec![*m]),
        Target::Seed => ("seed", wide(analysis.shapes.dtype(&score.logits)?), score.dims.clone()),
        _ => return None,
    };
    let dims = [batch].into_iter().chain(extents.into_iter().map(Dim::Fixed)).collect();
    Some(TargetInput { name: Names::new(analysis.model()).free(name), dtype, dims })
}

/// A map that is asked for.
struct Asked {
    method: &'static Method,
    layer: String,
    /// What the names of its outputs end in.
    ending: String,
}

/// The request's method and the further ones.
fn methods(request: &Request, further: &Further) -> Result<Vec<&'static Method>, Error> {
    let methods: Vec<&'static Method> = [request.method].into_iter().chain(further.methods.iter().copied()).collect();
    match twice(methods.iter().map(|m| m.name)) {
        Some(name) => Err(Error::Argument(format!("the method {name} is asked for twice"))),
        None => Ok(methods),
    }
}

/// The maps that are asked for: of each method the layers.
fn asked(
    analysis: &Analysis,
    request: &Request,
    methods: &[&'static Method],
    further: &[String],
) -> Result<Vec<Asked>, Error> {
    let mut asked = Vec::new();
    let named = request.layer.as_ref();
    let recommended = match methods.iter().all(|method| method.at_image) || named.is_some() {
        true => String::new(),
        false => recommended(analysis)?,
    };
    for &method in methods {
        let own = if method.at_image { analysis.real_image() } else { &recommended };
        let first = named.map_or(own, String::as_str);
        let layers: Vec<&str> = [first].into_iter().chain(further.iter().map(String::as_str)).collect();
        if let Some(layer) = twice(layers.iter().copied()) {
            return Err(Error::Argument(format!("the layer {layer:?} is asked for twice")));
        }
        let several = (methods.len() > 1).then_some(method);
        asked.extend(layers.iter().enumerate().map(|(i, layer)| Asked {
            method,
            layer: (*layer).to_owned(),
            ending: outputs::ending(several, i),
        }));
    }
    Ok(asked)
}

/// A name that stands in a list twice.
fn twice<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = HashSet::new();
    names.find(|name| !seen.insert(*name))
}

/// The heads of the layers that are asked for, each once, and how their places lie in the image.
fn heads(analysis: &Analysis, request: &Request, asked: &[Asked]) -> Result<Vec<(Head, Option<Grid>)>, Error> {
    let mut seen = HashSet::new();
    let layers = asked.iter().map(|map| map.layer.as_str()).filter(|layer| seen.insert(*layer));
    // What is said of the layer does not hold for the image, where some methods work there and others at a layer.
    let apart = request.layer.is_none() && asked.iter().any(|map| !map.method.at_image);
    let cut = |layer: &str| {
        let said = !(apart && layer == analysis.real_image());
        let head = head::cut(analysis, layer, request.channels.filter(|_| said))?;
        let grid = head.grid(analysis, request.grid.as_deref().filter(|_| said))?;
        Ok((head, grid))
    };
    layers.map(cut).collect()
}

/// Whether the heads have derivatives, whatever is explained: what has none is a cause before a target that does not fit.
fn in_any_case(analysis: &Analysis, heads: &[(Head, Option<Grid>)]) -> Result<(), Error> {
    let graph = Graph::new(analysis.model(), &analysis.shapes);
    let logits = &analysis.score.logits;
    let seed = graph.value(logits)?.wide();
    heads.iter().try_for_each(|(head, _)| {
        grad::vjp(analysis.model(), &graph, &head.path, &head.dependence, (logits, seed), &head.layer).map(drop)
    })
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
fn fits_one(proto: &ModelProto, analysis: &Analysis, wanted: &[(Value, &str)]) -> bool {
    let Ok(model) = Model::new(proto.clone()) else { return false };
    let hints = analysis.hints();
    let given = (hints.image_shape.as_deref(), hints.other_shapes.as_slice());
    let Ok(one) = Shapes::infer_of(&model, &analysis.image, given, 1) else { return false };
    let alone = |d: &Dim| Dim::Fixed(d.per_image());
    let fits = |(v, name): &(Value, &str)| one.dims(name) == Some(v.dims().iter().map(alone).collect::<Vec<_>>());
    wanted.iter().all(fits)
}
