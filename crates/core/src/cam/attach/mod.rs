//! Attaching a map to a model.

mod at_once;
mod constant;
mod emit;
pub(super) mod explaining;
pub(super) mod heatmap;
mod metadata;
pub(super) mod outputs;
mod request;

pub use request::Request;

use crate::analysis::{Analysis, Hints, image_input};
use crate::build::{Graph, OLDEST_OPSET, Value};
use crate::grid::Grid;
use crate::head::{self, Head};
use crate::layers::recommended;
use crate::onnx::messages::{GraphProto, ModelProto, ValueInfoProto};
use crate::score::Score;
use crate::shape::{self, Dim, Shapes, batch_name, value_info};
use crate::target::{Logits, Target};
use crate::tensor::DataType;
use crate::{Error, Model, grad, strip};
use emit::{LayerValues, emit};
use explaining::Explaining;
use outputs::{Names, Outputs};
use std::sync::Arc;

/// Attaches the map that `request` asks for to `model`, in place of one that may be attached already. Where the file leaves
/// something open, [`attach_to`] takes what was found with [`Hints`](crate::analysis::Hints).
///
/// # Errors
/// Those of [`Analysis::of`] and [`attach_to`].
pub fn attach(model: &Model, request: &Request) -> Result<Explaining, Error> {
    attachable(model)?;
    let mut all = attach_to(&Analysis::of(model, &Hints::default())?, request, &[])?;
    Ok(all.swap_remove(0))
}

/// Attaches the maps of the request's layer and of `further` ones to a network: one run makes them all, and what their
/// derivatives have in common is computed once. Class and score are outputs once; gives one [`Explaining`] a layer, the
/// request's first.
///
/// A derivative holds for one size of the image. Where the file leaves that open, the axes are closed in the declared inputs,
/// so that runtimes refuse any other; [`strip`](crate::cam::strip()) opens them again.
///
/// # Errors
/// Those of [`Target::on`], [`head::cut`], [`Head::grid`] and [`vjp`](crate::grad::vjp); [`Error::Argument`] for too many
/// maps, or a layer that is asked for twice.
pub fn attach_to(analysis: &Analysis, request: &Request, further: &[String]) -> Result<Vec<Explaining>, Error> {
    let Analysis { shapes, score, .. } = analysis;
    let model = analysis.model();
    attachable(model)?;
    let heads = heads(analysis, request, further)?;
    let target = request.target.on(score).map_err(|wrong| in_any_case(analysis, &heads).err().unwrap_or(wrong))?;
    let request = &Request { target, ..request.clone() };
    let graph = Graph::new(model, shapes);
    let raw = graph.value(&score.logits)?.wide();
    let raw = if shapes.alone.is_some() { raw.as_found() } else { raw };
    let mut names = Names::new(model);
    let input = target_input(request, score, (raw.dtype(), shapes.count()), &mut names);
    let given = input.as_ref().map(|(name, dtype, dims)| graph.input(name, *dtype, dims));
    let logits = Logits::new(raw, shapes.count(), score, given);
    let shared = Outputs::new(request, score, &mut names);
    let image_dims = shapes.dims(&analysis.image).unwrap_or_default();
    let pixels = shapes.image_places().into_iter().filter_map(|axis| image_dims.get(axis)).map(|d| d.per_image());
    let pixels: Vec<usize> = pixels.collect();
    let (mut layers, mut wanted, mut cells) = (Vec::new(), Vec::new(), Vec::new());
    for (i, (head, grid)) in heads.into_iter().enumerate() {
        let emitted = emit(analysis, &head, grid.as_ref(), request, &logits)?;
        let outputs = shared.of_layer(i, &emitted, &mut names);
        let mut heat = None;
        if let Some(size) = &request.heatmap {
            cells = size.cells(grid.as_ref().map_or(head.space.len(), |g| g.sides.len()), &pixels)?;
            let lead = if request.target.maps(score) == 1 { 1 } else { 2 };
            heat = Some(heatmap::heatmap(emitted.map, lead, &cells));
        }
        wanted.extend(outputs.values(i, &emitted, (logits.flat, heat)));
        layers.push((head, grid, emitted, outputs));
    }
    let wanted: Vec<(Value, &str)> = wanted.iter().map(|(v, name)| (*v, name.as_str())).collect();
    let batch = batch_name(image_input(model, Some(&analysis.image))?);
    let info = |name: &str, dtype, dims: &[Dim]| value_info(name, dtype, dims, batch.as_deref());
    let added = GraphProto {
        node: graph.finish(&wanted, &names.taken)?,
        input: input.iter().map(|(name, dtype, dims)| info(name, *dtype, dims)).collect(),
        output: wanted.iter().map(|(v, name)| info(name, v.dtype(), &v.dims())).collect(),
        ..Default::default()
    };
    let closed = strip::closed(model, shapes);
    let as_written = strip::as_written(model, closed.iter().map(|(i, _)| *i));
    let of_layers = layers.iter().map(|(head, _, emitted, _)| (head, &emitted.certificate));
    let mut metadata = metadata::of_maps(request, score, of_layers);
    metadata.push(("hirescam.heatmap".to_owned(), heatmap::shown(&cells)));
    metadata.push(("hirescam.image_shape".to_owned(), shape::show(&image_dims)));
    metadata.extend(metadata::of_addition(model, &added, &as_written));
    let added = ModelProto { graph: Some(added), metadata_props: metadata::entries(metadata), ..Default::default() };
    let proto = with_added(model, &added, closed);
    let alone = shapes.alone.clone().filter(|_| !fits_one(&proto, analysis, &wanted));
    let (proto, added) = (Arc::new(proto), Arc::new(added));
    let of_layer = |(head, grid, emitted, outputs): (Head, Option<Grid>, LayerValues, Outputs)| Explaining {
        model: proto.clone(),
        added: added.clone(),
        inlined: model.inlined().clone(),
        closed: as_written.clone(),
        file: model.file().cloned(),
        outputs,
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
        input: input.as_ref().map(|(name, ..)| name.clone()),
        bias: emitted.bias,
        grid,
        head,
    };
    Ok(layers.into_iter().map(of_layer).collect())
}

/// The input that a target needs which comes with each image: its name, element type and extents.
fn target_input(
    request: &Request,
    score: &Score,
    (dtype, batch): (DataType, Dim),
    names: &mut Names,
) -> Option<(String, DataType, Vec<Dim>)> {
    let after_batch =
        |extents: &[usize]| -> Vec<Dim> { [batch].into_iter().chain(extents.iter().map(|&n| Dim::Fixed(n))).collect() };
    match &request.target {
        Target::Given(1) => Some((names.free("class"), DataType::Int64, vec![batch])),
        Target::Given(m) => Some((names.free("class"), DataType::Int64, after_batch(&[*m]))),
        Target::Seed => Some((names.free("seed"), dtype, after_batch(&score.dims))),
        _ => None,
    }
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
