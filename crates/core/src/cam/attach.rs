//! Attaching a map to a model.

use super::heatmap::{self, Size};
use super::pick::Logits;
use super::{Method, Site, Target, constant, hirescam, judge, strip};
use crate::build::{Graph, OLDEST_OPSET, Value};
use crate::certify::{self, Certificate, Verdict, can_be_negative, certify};
use crate::grid::{self, Grid};
use crate::head::{self, Head, Score};
use crate::layers::layers;
use crate::onnx::functions::Inlined;
use crate::onnx::{
    self, GraphProto, ModelProto, StringStringEntryProto, TensorShapeProto, TypeProto, ValueInfoProto,
    tensor_shape_proto, type_proto,
};
use crate::shape::{Dim, Shapes, batch_name};
use crate::tensor::DataType;
use crate::{Error, Model, grad};
use bytes::Bytes;
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
    /// The model's output to explain; the one that looks like class scores when none is named.
    pub output: Option<String>,
    /// Whether to explain the output itself and not the logits before its final activation.
    pub keep_activation: bool,
    /// The layer's channel axis, where the graph does not tell it.
    pub channels: Option<i64>,
    /// The input that carries the image; the one that looks like one when none is named.
    pub image: Option<String>,
    /// How the layer's tokens lie in the image, rows and columns, where the graph does not tell it.
    pub grid: Option<Vec<usize>>,
    /// The image's whole shape, where the file leaves extents open.
    pub image_shape: Option<Vec<usize>>,
    /// The shapes of inputs beside the image, where the file leaves extents open.
    pub other_shapes: Vec<(String, Vec<usize>)>,
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
            channels: None,
            image: None,
            grid: None,
            image_shape: None,
            other_shapes: Vec::new(),
            logits: false,
            heatmap: None,
        }
    }
}

/// The names of the outputs that were added.
#[derive(Clone, Debug)]
pub struct Outputs {
    /// The map, `[N, …]`, or `[N, M, …]` for M maps; tokens lie in it as they lie in the image.
    pub map: String,
    /// The class, int64 `[N]` or `[N, M]`: of a weighted sum that of the largest weight, of a part of a dense output the
    /// first.
    pub class: String,
    /// The score, `[N]` or `[N, M]`.
    pub score: String,
    /// What has to be added to Σ map to give the score, `[N]` or `[N, M]`.
    pub b: String,
    /// What the cells of those tokens add up to that are no places of the image, `[N]` or `[N, M]`; where there are such.
    pub other_tokens: Option<String>,
    /// The logits `[N, K]`, where they were asked for and are one a class.
    pub logits: Option<String>,
    /// The heatmap, 0…1, where it was asked for: `[N, …]` or `[N, M, …]`, with its own number of cells.
    pub heatmap: Option<String>,
}

/// A model with the map as one more output. Where it has the maps of several layers, [`attach_all`] gives one of these
/// for each layer, all of the same model.
#[derive(Debug)]
pub struct Explaining {
    /// The model: the original outputs first, then map, class, score, b, what else was asked for, and the same of further
    /// layers.
    pub model: Arc<ModelProto>,
    added: Arc<ModelProto>,
    inlined: Inlined,
    file: Option<Bytes>,
    /// The names of the added outputs.
    pub outputs: Outputs,
    /// The name of the added input, for targets that come with each image.
    pub input: Option<String>,
    /// What was cut.
    pub head: Head,
    /// How the layer's places lie in the image, where its axes of space do not say it.
    pub grid: Option<Grid>,
    /// What is proven.
    pub certificate: Certificate,
    /// The input that carries the image.
    pub image: String,
    /// The image's extents.
    pub image_dims: Vec<Dim>,
    /// Whether any number of images can be run at once.
    pub free_batch: bool,
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
    /// Those of [`strip`](super::strip()).
    pub fn added_to(&self, file: &[u8]) -> Result<Vec<u8>, Error> {
        let bare = strip::strip(file)?;
        Ok(self.append(bare.as_deref().unwrap_or(file)).unwrap_or_else(|| onnx::write(&self.model)))
    }

    fn append(&self, file: &[u8]) -> Option<Vec<u8>> {
        onnx::wire::append(file, &self.added, &self.model, &self.inlined)
    }

    /// The bytes of the explaining model for an engine, and those of the file as it was, which are a part of them where the
    /// file is only added to. Of `model` and `file`, which these were made from, the memory is used again, if nobody else
    /// holds it: no second copy of the weights is made. What is left in `layers` has no weights either.
    pub fn take_bytes(layers: &mut [Explaining], model: Model, file: Bytes) -> (Bytes, Bytes) {
        let Some(first) = layers.first() else { return (Bytes::new(), file) };
        let added = first.added.graph.clone();
        let same = |own: &Bytes| own.as_ptr() == file.as_ptr() && own.len() == file.len();
        if !first.file.as_ref().is_some_and(same) || !first.inlined.calls.is_empty() {
            return (first.to_bytes().into(), file);
        }
        for layer in layers {
            (layer.model, layer.added, layer.file) = Default::default();
        }
        drop(model);
        let length = file.len();
        let mut bytes = Vec::from(file);
        // A message that comes twice in a file is one, with the fields of both.
        bytes.extend(onnx::write(&ModelProto { graph: added, ..Default::default() }));
        let bytes = Bytes::from(bytes);
        (bytes.clone(), bytes.slice(..length))
    }

    /// b of a map of the class `class`, where it is the same for every image and could be evaluated beforehand.
    pub fn b(&self, class: usize) -> Option<f64> {
        self.target.bias(self.bias.as_deref()?, &self.head.score, class)
    }
}

/// Attaches the map that `request` asks for to `model`, in place of one that may be attached already.
///
/// # Errors
/// Those of [`Model::check_weights`], [`Shapes::infer`], [`head::score`], [`Target::check`], [`head::cut`], [`grid::grid`] and [`grad::vjp`];
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
    if model.opset() < OLDEST_OPSET {
        return Err(Error::Unsupported {
            at: format!("operator set {}", model.opset()),
            what: format!("derivatives are written for operator set {OLDEST_OPSET} and newer"),
            remedy: "Convert the file with onnx.version_converter.convert_version(model, 17)".into(),
        });
    }
    model.check_weights()?;
    let bare = strip::bare(model)?;
    let model = bare.as_ref().unwrap_or(model);
    let image = head::image_input(model, request.image.as_deref())?;
    let shapes = Shapes::infer_beside(model, image.name(), request.image_shape.as_deref(), &request.other_shapes)?;
    let score = head::score(model, &shapes, request.output.as_deref(), request.keep_activation)?;
    request.target.check(&score)?;
    let layer = match &request.layer {
        Some(layer) => layer.clone(),
        None if request.method.at_image => image.name().to_owned(),
        None => recommended(model, &shapes, &score, image.name())?,
    };
    let layers: Vec<&String> = [&layer].into_iter().chain(further).collect();
    if let Some(twice) = layers.iter().enumerate().find_map(|(i, l)| layers.iter().take(i).find(|other| other == &l)) {
        return Err(Error::Argument(format!("the layer {twice:?} is asked for twice")));
    }
    let cut = |layer: &&String| {
        let head = head::cut(model, &shapes, layer, &score, request.channels)?;
        let grid = grid::grid(model, &shapes, &head, request.grid.as_deref())?;
        Ok((head, grid))
    };
    let heads = layers.iter().map(cut).collect::<Result<Vec<(Head, Option<Grid>)>, Error>>()?;
    let graph = Graph::new(model, &shapes);
    let raw = graph.value(&score.logits)?;
    let batch = graph.value(&layer)?.dims().first().copied().unwrap_or(Dim::Fixed(1));
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
    let logits = Logits::new(raw, batch, &score, given);
    let mut made: Vec<(Emitted, Outputs)> = Vec::new();
    let mut wanted: Vec<(Value, String)> = Vec::new();
    let image_dims = shapes.dims(image.name()).unwrap_or_default();
    let channels = head::image_channels(&image_dims);
    let pixels = image_dims.iter().enumerate().filter(|(axis, _)| *axis != 0 && *axis != channels);
    let pixels: Vec<usize> = pixels.map(|(_, d)| d.per_image()).collect();
    let mut cells = Vec::new();
    for (i, (head, grid)) in heads.iter().enumerate() {
        let emitted = emit(model, &shapes, head, grid.as_ref(), request, &logits)?;
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
            wanted.push((heatmap::heatmap(emitted.map, &cells), name.clone()));
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
    let mut metadata = vec![
        ("hirescam.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("hirescam.method".to_owned(), request.method.name.to_owned()),
        ("hirescam.target".to_owned(), request.target.to_string()),
        ("hirescam.score".to_owned(), score.logits.clone()),
        ("hirescam.heatmap".to_owned(), heatmap::shown(&cells)),
        counts,
    ];
    metadata.extend(Some(calls).filter(|(_, calls)| !calls.is_empty()));
    for (i, ((emitted, _), (head, _))) in made.iter().zip(&heads).enumerate() {
        let (c, key) = (&emitted.certificate, |what: &str| match i {
            0 => format!("hirescam.{what}"),
            _ => format!("hirescam.{what}_{}", i + 1),
        });
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
    let entry = |(key, value): (String, String)| StringStringEntryProto { key: Some(key), value: Some(value) };
    let input_infos = given.into_iter().collect();
    let added = ModelProto {
        graph: Some(GraphProto { node: nodes, input: input_infos, output: infos, ..Default::default() }),
        metadata_props: metadata.into_iter().map(entry).collect(),
        ..Default::default()
    };
    let mut proto = model.proto().clone();
    if let (Some(graph), Some(new)) = (&mut proto.graph, &added.graph) {
        graph.node.extend_from_slice(&new.node);
        graph.input.extend_from_slice(&new.input);
        graph.output.extend_from_slice(&new.output);
    }
    proto.metadata_props.retain(|e| added.metadata_props.iter().all(|new| new.key() != e.key()));
    proto.metadata_props.extend_from_slice(&added.metadata_props);
    let (proto, added) = (Arc::new(proto), Arc::new(added));
    let of_layer = |((emitted, outputs), (head, grid)): ((Emitted, Outputs), (Head, Option<Grid>))| Explaining {
        model: proto.clone(),
        added: added.clone(),
        inlined: model.inlined().clone(),
        file: model.file().cloned(),
        outputs,
        certificate: emitted.certificate,
        image: image.name().to_owned(),
        image_dims: image_dims.clone(),
        free_batch: shapes.free_batch(),
        maps: request.target.maps(&score),
        target: request.target.clone(),
        input: input.as_ref().map(|(name, ..)| name.clone()),
        bias: emitted.bias,
        grid,
        head,
    };
    Ok(made.into_iter().zip(heads).map(of_layer).collect())
}

/// The layer to take when none is named.
///
/// # Errors
/// [`Error::Argument`] when no layer can be recommended.
pub fn recommended(model: &Model, shapes: &Shapes, score: &Score, image: &str) -> Result<String, Error> {
    let all = layers(model, shapes, score, image, false)?;
    if let Some(best) = all.iter().find(|l| l.recommended) {
        return Ok(best.name.clone());
    }
    let why = all.iter().rev().find_map(|l| l.certificate.as_ref().err().cloned());
    Err(Error::Argument(match why {
        Some(why) => format!("no layer can be recommended: {why}"),
        None => "no layer can be recommended: name one of those that `hirescam layers` lists".into(),
    }))
}

/// More maps than this are not made one by one: engines would take long to prepare them.
const MOST_SWEEPS: usize = 64;

struct Emitted<'g> {
    map: Value<'g>,
    class: Value<'g>,
    score: Value<'g>,
    b: Value<'g>,
    other_tokens: Option<Value<'g>>,
    bias: Option<Vec<f64>>,
    certificate: Certificate,
}

/// Emits classes, gradients, maps, scores and b.
fn emit<'g>(
    model: &Model,
    shapes: &Shapes,
    head: &Head,
    grid: Option<&Grid>,
    request: &Request,
    logits: &Logits<'g, '_>,
) -> Result<Emitted<'g>, Error> {
    let graph = logits.raw.graph();
    let activation = graph.value(&head.layer)?;
    let n = activation.dims().first().copied().unwrap_or(Dim::Fixed(1));
    let (target, method) = (&request.target, request.method);
    let m = target.maps(&head.score);
    let picked = logits.pick(target);
    let mut proven = certify(model, head, false);
    if matches!(target, Target::Cosine(_)) {
        proven.verdict = Verdict::GradientOnly;
        proven.reason = Some("cosine, which is not linear in the output".into());
    }
    let affine = proven.verdict == Verdict::Exact;
    let classes: Option<Vec<usize>> = match target {
        Target::Classes(list) => Some(list.clone()),
        Target::All => Some((0..m).collect()),
        _ => None,
    };
    let constant =
        classes.filter(|_| affine && m > 1).and_then(|classes| constant::gradients(model, shapes, head, &classes));
    let mut maps = Vec::new();
    let (mut uniform, mut places) = (false, 1);
    let mut make = |activation: Value<'g>, gradient: Value<'g>, channels: usize, space: &[usize]| {
        let site = Site { activation, gradient, channels, space };
        uniform = site.is_uniform(gradient);
        places = site.places();
        Ok::<_, Error>(site.finish((method.map)(&site)?))
    };
    let dims = activation.dims();
    let after_batch = |dims: &[Dim]| dims.get(1..).unwrap_or(&[]).to_vec();
    if let Some(gradients) = constant {
        // Images along the first axis, classes along the second.
        let images = activation.reshape(&[&[n, Dim::Fixed(1)], after_batch(&dims).as_slice()].concat());
        let gradient = graph.constant(gradients).with_rank(images.rank());
        let space: Vec<usize> = head.space.iter().map(|a| a + 1).collect();
        let map = make(images, gradient, head.channels + 1, &space)?;
        let every: Vec<i64> = (0..map.rank()).map(|a| if a == 1 { m as i64 } else { 1 }).collect();
        // A map that does not depend on the class is the same for all.
        maps.push(if map.dims().get(1) == Some(&Dim::Fixed(m)) { map } else { map.expand(&every) });
    } else if m > MOST_SWEEPS {
        return Err(Error::Argument(format!(
            "{m} maps for each image are asked for, but at {:?} each takes a derivative of its own, and more than {MOST_SWEEPS} are not made at once: ask for the best classes (top:5) or for some (class:3,5){}",
            head.layer,
            if affine { "" } else { ", or explain a layer with an exact map, where all classes take one" }
        )));
    } else {
        for i in 0..m {
            let seed = (head.score.logits.as_str(), logits.seed(target, &picked, i));
            let gradient = grad::vjp(model, graph, &head.path, &head.dependence, seed, &head.layer)?;
            let map = make(activation, gradient.with_rank(activation.rank()), head.channels, &head.space)?;
            // [N, 1, …]: the axis of classes.
            maps.push(map.reshape(&[&[n, Dim::Fixed(1)], after_batch(&map.dims()).as_slice()].concat()));
        }
    }
    let map = Value::concat(&maps, 1).unwrap_or(activation);
    let signed = can_be_negative(model, shapes, &head.layer);
    let certificate = judge(method, Certificate { uniform, ..proven }, signed, places)?;
    let bias = match certificate.verdict {
        // Where h(0) cannot be evaluated here, b is computed with each map: it comes to the same.
        Verdict::Exact | Verdict::SumOnly if affine => certify::bias(model, shapes, head).ok(),
        _ => None,
    };
    let b = match &bias {
        Some(bias) => logits.bias(target, &picked, bias)?,
        None => {
            let space: Vec<usize> = (2..map.rank()).collect();
            let total = map.reduce_sum(&space, false);
            picked.scores - if certificate.scale == 1 { total } else { total / certificate.scale as f64 }
        }
    };
    let (map, other_tokens) = grid.map_or((map, None), |grid| grid.lay(map, 2));
    let squeeze = |v: Value<'g>| if m == 1 { v.reshape(&[n]) } else { v };
    let dims = map.dims();
    let map = if m == 1 { map.reshape(&[&[n], dims.get(2..).unwrap_or(&[])].concat()) } else { map };
    let class = picked.classes.expand_as(picked.scores);
    Ok(Emitted {
        map,
        class: squeeze(class),
        score: squeeze(picked.scores),
        b: squeeze(b),
        other_tokens: other_tokens.map(squeeze),
        bias,
        certificate,
    })
}

/// The declaration of a value, whose batch axis is called `batch`.
pub(crate) fn value_info(name: &str, dtype: DataType, dims: &[Dim], batch: Option<&str>) -> ValueInfoProto {
    let dim = |d: &Dim| {
        use tensor_shape_proto::dimension::Value as Extent;
        let value = match d {
            Dim::Fixed(n) => Some(Extent::DimValue(*n as i64)),
            Dim::Batch(1) => batch.map(|b| Extent::DimParam(b.to_owned())),
            Dim::Batch(_) => None,
        };
        tensor_shape_proto::Dimension { value, ..Default::default() }
    };
    let shape = TensorShapeProto { dim: dims.iter().map(dim).collect() };
    let tensor = type_proto::Tensor { elem_type: Some(dtype as i32), shape: Some(shape) };
    let r#type = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    ValueInfoProto { name: Some(name.to_owned()), r#type: Some(r#type), ..Default::default() }
}
