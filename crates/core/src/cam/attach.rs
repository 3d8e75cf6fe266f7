//! Attaching a map to a model.

use super::{Method, Site, hirescam, judge};
use crate::build::{Graph, OLDEST_OPSET, Value};
use crate::certify::{self, Certificate, Verdict, can_be_negative, certify};
use crate::head::{self, Head, Score};
use crate::layers::layers;
use crate::onnx::{
    ModelProto, StringStringEntryProto, TensorShapeProto, TypeProto, ValueInfoProto, tensor_shape_proto, type_proto,
};
use crate::shape::{Dim, Shapes, batch_name};
use crate::tensor::DataType;
use crate::{Error, Model, Tensor, grad};
use std::collections::HashSet;

/// Which classes to explain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The `k` best classes of each image, chosen inside the graph.
    Top(usize),
    /// These classes.
    Classes(Vec<usize>),
}

impl Target {
    /// How many maps each image gets.
    pub fn count(&self) -> usize {
        match self {
            Target::Top(k) => *k,
            Target::Classes(classes) => classes.len(),
        }
    }
}

/// What to attach.
#[derive(Clone, Debug)]
pub struct Request {
    /// The target layer; the recommended one when none is named.
    pub layer: Option<String>,
    /// The classes.
    pub target: Target,
    /// The method.
    pub method: &'static Method,
    /// The model's output to explain; the one that looks like class scores when none is named.
    pub output: Option<String>,
    /// Whether to explain the output itself and not the logits before its final activation.
    pub keep_activation: bool,
    /// The layer's channel axis, where the graph does not tell it.
    pub channels: Option<i64>,
    /// The image's whole shape, where the file leaves extents open.
    pub image_shape: Option<Vec<usize>>,
    /// Whether the logits become an output too.
    pub logits: bool,
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
            image_shape: None,
            logits: false,
        }
    }
}

/// The names of the outputs that were added.
#[derive(Clone, Debug)]
pub struct Outputs {
    /// The map, `[N, …]`, or `[N, M, …]` for M classes.
    pub map: String,
    /// The class, int64 `[N]` or `[N, M]`.
    pub class: String,
    /// The score, `[N]` or `[N, M]`.
    pub score: String,
    /// What has to be added to Σ map to give the score, `[N]` or `[N, M]`.
    pub b: String,
    /// The logits `[N, K]`, where they were asked for.
    pub logits: Option<String>,
}

/// A model with the map as one more output.
#[derive(Debug)]
pub struct Explaining {
    /// The model: the original outputs first, then map, class, score, b.
    pub model: ModelProto,
    /// The names of the added outputs.
    pub outputs: Outputs,
    /// What was cut.
    pub head: Head,
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
    /// b of each class, where it is the same for every image and could be evaluated beforehand.
    pub bias: Option<Vec<f64>>,
}

/// Attaches the map that `request` asks for to `model`.
///
/// # Errors
/// Those of [`Shapes::infer`], [`head::score`], [`head::cut`] and [`grad::vjp`]; [`Error::Argument`] for classes that
/// do not exist.
pub fn attach(model: &Model, request: &Request) -> Result<Explaining, Error> {
    if model.opset() < OLDEST_OPSET {
        return Err(Error::Unsupported {
            at: format!("operator set {}", model.opset()),
            what: format!("derivatives are written for operator set {OLDEST_OPSET} and newer"),
            remedy: "Convert the file with onnx.version_converter.convert_version(model, 17)".into(),
        });
    }
    let image = head::image_input(model)?;
    let shapes = Shapes::infer(model, image.name(), request.image_shape.as_deref())?;
    let score = head::score(model, &shapes, request.output.as_deref(), request.keep_activation)?;
    check_target(&request.target, &score)?;
    let layer = match &request.layer {
        Some(layer) => layer.clone(),
        None if request.method.at_image => image.name().to_owned(),
        None => recommended(model, &shapes, &score, image.name())?,
    };
    let head = head::cut(model, &shapes, &layer, &score, request.channels)?;
    let graph = Graph::new(model, &shapes);
    let emitted = emit(model, &shapes, &graph, &head, request)?;
    let certificate = emitted.certificate;
    let taken = model.names();
    let outputs = names(&taken, request.logits);
    let mut wanted: Vec<(Value, &str)> = vec![
        (emitted.map, &outputs.map),
        (emitted.class, &outputs.class),
        (emitted.score, &outputs.score),
        (emitted.b, &outputs.b),
    ];
    if let Some(logits) = &outputs.logits {
        wanted.push((emitted.logits, logits));
    }
    let batch = batch_name(image);
    let infos: Vec<ValueInfoProto> =
        wanted.iter().map(|(v, name)| value_info(name, v.dtype(), &v.dims(), batch.as_deref())).collect();
    let maps = request.target.count();
    let nodes = graph.finish(&wanted, &taken)?;
    let mut proto = model.proto().clone();
    if let Some(graph) = &mut proto.graph {
        graph.node.extend(nodes);
        graph.output.extend(infos);
    }
    for (key, value) in [
        ("hirescam.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("hirescam.method", request.method.name.to_owned()),
        ("hirescam.layer", head.layer.clone()),
        ("hirescam.score", head.score.logits.clone()),
        ("hirescam.verdict", certificate.verdict.to_string()),
        ("hirescam.reason", certificate.reason.clone().unwrap_or_default()),
        ("hirescam.bypass", certificate.bypass.clone().unwrap_or_default()),
        ("hirescam.uniform", certificate.uniform.to_string()),
        ("hirescam.scale", certificate.scale.to_string()),
        ("hirescam.but", certificate.but.clone().unwrap_or_default()),
        ("hirescam.caution", certificate.caution.clone().unwrap_or_default()),
    ] {
        proto.metadata_props.retain(|e| e.key() != key);
        proto.metadata_props.push(StringStringEntryProto { key: Some(key.to_owned()), value: Some(value) });
    }
    Ok(Explaining {
        model: proto,
        outputs,
        certificate,
        image: image.name().to_owned(),
        image_dims: shapes.dims(image.name()).unwrap_or_default(),
        free_batch: shapes.free_batch(),
        maps,
        bias: emitted.bias,
        head,
    })
}

fn check_target(target: &Target, score: &Score) -> Result<(), Error> {
    let of = format!("the network has {} ({:?})", plural(score.classes, "class", "classes"), score.output);
    match target {
        Target::Top(0) => Err(Error::Argument("no class is asked for".into())),
        Target::Top(k) if *k > score.classes => {
            Err(Error::Argument(format!("the {k} best classes are asked for, but {of}")))
        }
        Target::Classes(list) if list.is_empty() => Err(Error::Argument("no class is asked for".into())),
        Target::Classes(list) => match list.iter().find(|&&c| c >= score.classes) {
            Some(c) => Err(Error::Argument(format!("there is no class {c}: {of}, counted from 0"))),
            None => Ok(()),
        },
        Target::Top(_) => Ok(()),
    }
}

fn plural(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

/// The layer to take when none is named.
fn recommended(model: &Model, shapes: &Shapes, score: &Score, image: &str) -> Result<String, Error> {
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

struct Emitted<'g> {
    map: Value<'g>,
    class: Value<'g>,
    score: Value<'g>,
    b: Value<'g>,
    logits: Value<'g>,
    bias: Option<Vec<f64>>,
    certificate: Certificate,
}

/// Emits class choice, gradient, map, score and b.
fn emit<'g>(
    model: &Model,
    shapes: &Shapes,
    graph: &'g Graph,
    head: &Head,
    request: &Request,
) -> Result<Emitted<'g>, Error> {
    let raw = graph.value(&head.score.logits)?;
    let activation = graph.value(&head.layer)?;
    let n = activation.dims().first().copied().unwrap_or(Dim::Fixed(1));
    let k = head.score.classes;
    let logits = raw.reshape(&[n, Dim::Fixed(k)]);
    let m = request.target.count();
    let (scores, classes) = match &request.target {
        Target::Top(k) => logits.top_k(*k),
        Target::Classes(list) => {
            let list: Vec<i64> = list.iter().map(|&c| c as i64).collect();
            let classes = graph.ints(&list);
            let row = classes.reshape(&[Dim::Fixed(1), Dim::Fixed(m)]);
            (logits.gather(classes, 1), row)
        }
    };
    let mut maps = Vec::with_capacity(m);
    let (mut uniform, mut places) = (false, 1);
    for i in 0..m {
        let class = classes.slice(1, i as i64, i as i64 + 1, 1);
        let seed = class.equal(class.iota(k)).cast(raw.dtype());
        // Where the class is fixed, the seed is one row for the whole batch.
        let lead = seed.dims().first().copied().unwrap_or(Dim::Fixed(1));
        let shape = [&[lead], raw.dims().get(1..).unwrap_or(&[])].concat();
        let seed = seed.reshape(&shape);
        let gradient = grad::vjp(model, graph, &head.path, &head.dependence, (&head.score.logits, seed), &head.layer)?;
        let gradient = gradient.with_rank(activation.rank());
        let site = Site { activation, gradient, channels: head.channels, space: &head.space };
        uniform = site.is_uniform(gradient);
        let map = site.finish((request.method.map)(&site)?);
        // [N, 1, …]: the axis of classes.
        let dims = map.dims();
        maps.push(map.reshape(&[&[n, Dim::Fixed(1)], dims.get(1..).unwrap_or(&[])].concat()));
        places = site.places();
    }
    let map = Value::concat(&maps, 1).unwrap_or(activation);
    let proven = certify(model, head, uniform);
    let affine = proven.verdict == Verdict::Exact;
    let signed = can_be_negative(model, shapes, &head.layer);
    let certificate = judge(request.method, proven, signed, places)?;
    let bias = match certificate.verdict {
        // Where h(0) cannot be evaluated here, b is computed with each map: it comes to the same.
        Verdict::Exact | Verdict::SumOnly if affine => certify::bias(model, shapes, head).ok(),
        _ => None,
    };
    let per_image = [n, Dim::Fixed(m)];
    let classes = classes.expand_as(scores);
    let b = match &bias {
        Some(bias) => {
            let bias = raw.graph().constant(Tensor::new(raw.dtype(), &[k], bias.clone())?);
            bias.gather(classes, 0)
        }
        None => {
            let space: Vec<usize> = (2..map.rank()).collect();
            let total = map.reduce_sum(&space, false);
            scores - if certificate.scale == 1 { total } else { total / certificate.scale as f64 }
        }
    };
    let squeeze = |v: Value<'g>| if m == 1 { v.reshape(&per_image[..1]) } else { v };
    let map_dims = map.dims();
    let map = if m == 1 { map.reshape(&[&[n], map_dims.get(2..).unwrap_or(&[])].concat()) } else { map };
    Ok(Emitted { map, class: squeeze(classes), score: squeeze(scores), b: squeeze(b), logits, bias, certificate })
}

/// Names for the added outputs that the model does not use itself.
fn names(taken: &HashSet<&str>, logits: bool) -> Outputs {
    let free = |name: &str| {
        let mut name = name.to_owned();
        while taken.contains(name.as_str()) {
            name = format!("hirescam_{name}");
        }
        name
    };
    Outputs {
        map: free("map"),
        class: free("class"),
        score: free("score"),
        b: free("b"),
        logits: logits.then(|| free("hirescam_logits")),
    }
}

/// The declaration of a value, whose batch axis is called `batch`.
pub(super) fn value_info(name: &str, dtype: DataType, dims: &[Dim], batch: Option<&str>) -> ValueInfoProto {
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
