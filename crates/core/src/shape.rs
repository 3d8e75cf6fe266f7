//! Shapes and small constants of every value, from the op cards at two batch sizes.
//!
//! No symbolic algebra: shapes are inferred with a batch of 2 and a batch of 3. An extent that differs follows the
//! batch. (2 and 3 and not 1 and 2, so that a batch is never mistaken for an extent of 1 that broadcasts.)

use crate::axes::Axes;
use crate::error::Fault;
use crate::graph::{Attributes, reads};
use crate::onnx::describe;
use crate::onnx::messages::{
    NodeProto, TensorShapeProto, TypeProto, ValueInfoProto, tensor_shape_proto, tensor_shape_proto::dimension,
    type_proto,
};
use crate::onnx::size::{dims, elements};
use crate::ops::{self, Along};
use crate::tensor::DataType;
use crate::{Error, Model, Tensor};
use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// What is known of a value at one batch size.
#[derive(Clone, Debug)]
pub struct Fact {
    /// Element type.
    pub dtype: DataType,
    /// Extents.
    pub shape: Vec<usize>,
    /// The values, where they are few and do not depend on the input.
    pub value: Option<Arc<Tensor>>,
}

impl Fact {
    /// A value that is not known beforehand.
    pub fn new(dtype: DataType, shape: impl Into<Vec<usize>>) -> Self {
        Fact { dtype, shape: shape.into(), value: None }
    }

    /// A known constant.
    pub fn constant(tensor: Tensor) -> Self {
        Fact { dtype: tensor.dtype, shape: tensor.shape().to_vec(), value: Some(Arc::new(tensor)) }
    }
}

/// The facts of a graph's values by name.
pub type Facts = HashMap<String, Fact>;

/// The facts of a node's inputs, `None` for an input that is left out. None at all where nothing is known of an input: that is
/// not as if it were left out.
pub(crate) fn of_inputs<'f>(facts: &'f Facts, node: &NodeProto) -> Option<Vec<Option<&'f Fact>>> {
    node.input.iter().map(|name| if name.is_empty() { Some(None) } else { facts.get(name).map(Some) }).collect()
}

/// One extent of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dim {
    /// The same for every batch.
    Fixed(usize),
    /// So many times the batch size.
    Batch(usize),
}

impl Dim {
    /// The extent for one image.
    pub fn per_image(self) -> usize {
        match self {
            Dim::Fixed(n) | Dim::Batch(n) => n,
        }
    }

    /// So many times this extent.
    pub fn times(self, n: usize) -> Self {
        match self {
            Dim::Fixed(own) => Dim::Fixed(own * n),
            Dim::Batch(own) => Dim::Batch(own * n),
        }
    }
}

/// Constants of up to so many elements are evaluated while shapes are inferred: enough for every shape chain and for
/// vectors over channels or classes, too little for weights.
const FOLD: usize = 65_536;
/// A node whose evaluation takes more steps than this is not a constant, whatever goes into it.
const FOLD_WORK: usize = 1 << 22;
/// How many steps all of a graph's constants may take together.
pub const FOLD_ALL: usize = 1 << 24;
/// The batch sizes at which the shapes of a network with a free batch are inferred.
const BATCHES: [usize; 2] = [2, 3];

/// The facts of a model at one or two batch sizes.
#[derive(Debug)]
pub struct Shapes {
    /// The input that carries the image.
    pub image: String,
    /// Facts with the batch size they hold for: two sizes where the batch is free, one where the file fixes it.
    pub probes: Vec<(usize, Facts)>,
    /// The first node that could not be followed, if any.
    pub fault: Option<Error>,
    /// What the axes of the values mean.
    pub(crate) axes: Axes,
    /// Why all of a run is one sample, where it is: the node that reads several images for one score.
    pub one_sample: Option<String>,
    /// The first node whose output has other axes for a single image than for several, as of a Squeeze of all axes.
    pub alone: Option<String>,
}

impl Shapes {
    /// Infers the shapes of all values of `model` whose input `image` has `shape` (`None` where the file says all).
    ///
    /// The first entry of `shape` is the batch; it counts only where the file fixes the batch.
    ///
    /// # Errors
    /// [`Error::Argument`] when the file leaves extents open and `shape` does not give them, or contradicts the file.
    pub fn infer(model: &Model, image: &str, shape: Option<&[usize]>) -> Result<Self, Error> {
        Self::infer_beside(model, image, shape, &[])
    }

    /// As [`Shapes::infer`] for a model that takes more than an image: `others` gives the shapes of other inputs, where the
    /// file leaves extents open. An open first extent is the batch.
    ///
    /// # Errors
    /// As [`Shapes::infer`].
    pub fn infer_beside(
        model: &Model,
        image: &str,
        shape: Option<&[usize]>,
        others: &[(String, Vec<usize>)],
    ) -> Result<Self, Error> {
        let info = model.inputs().find(|i| i.name() == image);
        let info = info.ok_or_else(|| Error::Argument(format!("the model has no input {image:?}")))?;
        let batch = declared(info).first().copied().flatten();
        Self::infer_at(model, info, (shape, others), batch)
    }

    /// As [`Shapes::infer_beside`], with `batch` images.
    ///
    /// # Errors
    /// As [`Shapes::infer`].
    pub(crate) fn infer_of(
        model: &Model,
        image: &str,
        given: (Option<&[usize]>, &[(String, Vec<usize>)]),
        batch: usize,
    ) -> Result<Self, Error> {
        let info = model.inputs().find(|i| i.name() == image);
        let info = info.ok_or_else(|| Error::Argument(format!("the model has no input {image:?}")))?;
        Self::infer_at(model, info, given, Some(batch))
    }

    fn infer_at(
        model: &Model,
        info: &ValueInfoProto,
        (shape, others): (Option<&[usize]>, &[(String, Vec<usize>)]),
        batch: Option<usize>,
    ) -> Result<Self, Error> {
        let image = info.name();
        let stored = stored(model);
        let at = |batch: usize| -> Result<(Facts, Option<Error>), Error> {
            let image_shape = image_shape(info, shape, batch)?;
            elements(&image_shape)?;
            Ok(facts(model, stored.clone(), (image, &image_shape), others, batch))
        };
        let known = |probes: Vec<(usize, Facts)>, fault: Option<Error>| {
            let image = image.to_owned();
            let mut shapes = Shapes { image, probes, fault, axes: Axes::default(), one_sample: None, alone: None };
            shapes.axes = Axes::follow(model, &shapes);
            Ok(shapes)
        };
        if let Some(batch) = batch {
            let (facts, fault) = at(batch)?;
            return known(vec![(batch, facts)], fault);
        }
        let [(two, fault), (three, _)] = [at(BATCHES[0])?, at(BATCHES[1])?];
        let both = vec![(BATCHES[0], two), (BATCHES[1], three)];
        if fault.is_none() {
            let mut shapes = known(both, fault)?;
            if model.order().any(|(_, node)| differs_for_one(&model.attributes(node))) {
                let (one, _) = at(1)?;
                let other = |node: &&NodeProto| {
                    node.output.iter().any(|o| shapes.at(o, 1) != one.get(o).map(|f| f.shape.clone()))
                };
                shapes.alone = model.order().map(|(_, node)| node).find(other).map(describe);
            }
            return Ok(shapes);
        }
        // Some files declare a free batch and yet have a batch of 1 baked into a Reshape.
        let (one, fault_at_one) = at(1)?;
        if fault_at_one.is_none() {
            return known(vec![(1, one)], None);
        }
        known(both, fault)
    }

    /// Whether the network takes any number of images at once.
    pub fn free_batch(&self) -> bool {
        self.probes.len() > 1
    }

    /// The extents of `value`.
    pub fn dims(&self, value: &str) -> Option<Vec<Dim>> {
        let shapes: Option<Vec<&[usize]>> =
            self.probes.iter().map(|(_, f)| f.get(value).map(|f| f.shape.as_slice())).collect();
        merge(&shapes?, &self.probes.iter().map(|(b, _)| *b).collect::<Vec<_>>())
    }

    /// The shape of `value` for a batch of `n`, as those for other batches let expect.
    fn at(&self, value: &str, n: usize) -> Option<Vec<usize>> {
        let one = |d: &Dim| match *d {
            Dim::Fixed(size) => size,
            Dim::Batch(times) => times * n,
        };
        Some(self.dims(value)?.iter().map(one).collect())
    }

    /// Why the shape of `value` is not known: the first node before it whose outputs could not be followed, or the input
    /// that has no shape. None where it is known.
    pub fn cause(&self, model: &Model, value: &str) -> Option<Error> {
        self.causes(model).remove(value).map(|cause| cause.as_ref().clone())
    }

    /// The same of all values.
    pub(crate) fn causes<'m>(&self, model: &'m Model) -> HashMap<&'m str, Rc<Error>> {
        let unknown = |name: &str| self.dims(name).is_none();
        let inputs = model.inputs().filter(|info| unknown(info.name()));
        let mut causes: HashMap<&str, Rc<Error>> = inputs.map(|i| (i.name(), Rc::new(open_input(i)))).collect();
        let left = Cell::new(FOLD_ALL);
        for (_, node) in model.order() {
            let lost: Vec<&str> =
                node.output.iter().map(String::as_str).filter(|o| !o.is_empty() && unknown(o)).collect();
            if lost.is_empty() {
                continue;
            }
            let before = reads(node).into_iter().find_map(|name| causes.get(name).cloned());
            let cause = before.unwrap_or_else(|| Rc::new(self.blame(model, node, &left)));
            causes.extend(lost.into_iter().map(|output| (output, cause.clone())));
        }
        causes
    }

    /// Why the shapes of a node's outputs are not known, where those of its inputs are.
    fn blame(&self, model: &Model, node: &NodeProto, left: &Cell<usize>) -> Error {
        let attributes = model.attributes(node);
        let card = match ops::find(&attributes) {
            Ok(card) => card,
            Err(fault) => return fault.at(node),
        };
        for (_, facts) in &self.probes {
            let Some(inputs) = of_inputs(facts, node) else { continue };
            if let Err(fault) = outputs(card, &attributes, &inputs, left) {
                return fault.at(node);
            }
        }
        Error::Unsupported {
            at: describe(node),
            what: "the shape of what it makes follows the batch in no simple way".into(),
            remedy: "Export the network with a fixed batch".into(),
        }
    }

    /// The element type of `value`.
    pub fn dtype(&self, value: &str) -> Option<DataType> {
        self.probes.first().and_then(|(_, f)| f.get(value)).map(|f| f.dtype)
    }

    /// What becomes of the axis `axis` of a node's first input, as the card says that vouches for the node.
    pub(crate) fn along(&self, model: &Model, node: &NodeProto, axis: usize) -> Along {
        let facts = self.probes.first().and_then(|(_, facts)| of_inputs(facts, node));
        let found = model.card(node).zip(facts);
        found.map_or(Along::Unknown, |(card, facts)| (card.along)(&model.attributes(node), &facts, 0, axis))
    }

    /// The value of a small constant.
    pub fn constant(&self, value: &str) -> Option<&Tensor> {
        self.probes.first().and_then(|(_, f)| f.get(value)).and_then(|f| f.value.as_deref())
    }
}

/// Whether the axes of a node's output can differ for a batch of 1.
fn differs_for_one(a: &Attributes) -> bool {
    ops::named(a.node).is_some_and(|card| (card.differs_for_one)(a))
}

/// The extents that hold at every batch size, from the shapes at each; none when they follow no simple rule.
pub fn merge(shapes: &[&[usize]], batches: &[usize]) -> Option<Vec<Dim>> {
    let first = shapes.first()?;
    let one = |axis: usize| {
        let sizes: Option<Vec<usize>> = shapes.iter().map(|s| s.get(axis).copied()).collect();
        let sizes = sizes?;
        if sizes.windows(2).all(|w| matches!(w, [a, b] if a == b)) {
            return sizes.first().map(|&n| Dim::Fixed(n));
        }
        let factor = sizes.first()?.checked_div(*batches.first()?)?;
        sizes.iter().zip(batches).all(|(&s, &b)| s == factor * b).then_some(Dim::Batch(factor))
    };
    if shapes.iter().any(|s| s.len() != first.len()) {
        return None;
    }
    (0..first.len()).map(one).collect()
}

/// The extents that the file declares for a value, `None` where it leaves them open.
pub fn declared(info: &ValueInfoProto) -> Vec<Option<usize>> {
    dimensions(info).map(|d| d.and_then(Result::ok)).collect()
}

/// The extents that the file declares for a value, to be changed.
pub(crate) fn dims_mut(info: &mut ValueInfoProto) -> impl Iterator<Item = &mut tensor_shape_proto::Dimension> {
    let tensor = match info.r#type.as_mut().and_then(|t| t.value.as_mut()) {
        Some(type_proto::Value::TensorType(tensor)) => tensor.shape.as_mut(),
        _ => None,
    };
    tensor.into_iter().flat_map(|s| &mut s.dim)
}

/// The name that the file gives to the batch axis of `info`, if any.
pub fn batch_name(info: &ValueInfoProto) -> Option<String> {
    dimensions(info).next().flatten().and_then(Result::err)
}

/// Each extent of a value as the file has it: a number, a name, or nothing.
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

/// `[N, 512, 7, 7]`.
pub fn show(dims: &[Dim]) -> String {
    let one = |d: &Dim| match d {
        Dim::Fixed(n) => n.to_string(),
        Dim::Batch(1) => "N".to_owned(),
        Dim::Batch(n) => format!("{n}N"),
    };
    format!("[{}]", dims.iter().map(one).collect::<Vec<_>>().join(", "))
}

fn dimensions(info: &ValueInfoProto) -> impl Iterator<Item = Option<Result<usize, String>>> + '_ {
    let tensor = info.r#type.as_ref().and_then(tensor_type);
    tensor.and_then(|t| t.shape.as_ref()).into_iter().flat_map(|s| &s.dim).map(|d| match &d.value {
        Some(dimension::Value::DimValue(n)) => usize::try_from(*n).ok().filter(|&n| n > 0).map(Ok),
        Some(dimension::Value::DimParam(name)) if !name.is_empty() => Some(Err(name.clone())),
        _ => None,
    })
}

fn tensor_type(t: &TypeProto) -> Option<&type_proto::Tensor> {
    match &t.value {
        Some(type_proto::Value::TensorType(tensor)) => Some(tensor),
        _ => None,
    }
}

/// The element type that the file declares for a value.
pub fn element_type(info: &ValueInfoProto) -> Option<DataType> {
    let tensor = info.r#type.as_ref().and_then(tensor_type)?;
    DataType::try_from(tensor.elem_type()).ok()
}

/// The image's whole shape with `batch` images: the file's extents, and the caller's where the file leaves them open.
fn image_shape(info: &ValueInfoProto, given: Option<&[usize]>, batch: usize) -> Result<Vec<usize>, Error> {
    let declared = declared(info);
    let name = info.name();
    if let Some(given) = given.filter(|g| g.len() != declared.len()) {
        let what =
            format!("the input {name:?} has {} axes, the shape given {} ({given:?})", declared.len(), given.len());
        return Err(Error::Argument(what));
    }
    let extent = |(axis, file): (usize, &Option<usize>)| match (axis, file, given.and_then(|g| g.get(axis))) {
        (0, None, _) => Ok(batch),
        (0, Some(n), _) => Ok(*n),
        (_, Some(n), Some(g)) if n != g => Err(Error::Argument(format!(
            "the input {name:?} has the shape {} and not {given:?}",
            show_open(&declared),
            given = given.unwrap_or(&[])
        ))),
        (_, Some(n), _) => Ok(*n),
        (_, None, Some(g)) => Ok(*g),
        (_, None, None) => Err(Error::OpenShape { input: name.to_owned(), shape: show_open(&declared), beside: false }),
    };
    declared.iter().enumerate().map(extent).collect()
}

/// What is wrong with an input beside the image whose extents nobody gives.
fn open_input(info: &ValueInfoProto) -> Error {
    Error::OpenShape { input: info.name().to_owned(), shape: show_open(&declared(info)), beside: true }
}

/// `[?, 3, 224, 224]`.
pub fn show_open(declared: &[Option<usize>]) -> String {
    let parts: Vec<String> = declared.iter().map(|d| d.map_or("?".into(), |n| n.to_string())).collect();
    format!("[{}]", parts.join(", "))
}

/// The facts of the stored tensors, with the values of small ones.
fn stored(model: &Model) -> Facts {
    let mut facts = Facts::new();
    for proto in &model.graph().initializer {
        if let (Ok(dtype), Ok(shape)) = (DataType::try_from(proto.data_type()), dims(proto))
            && let Ok(count) = elements(&shape)
        {
            let value = (count <= FOLD).then(|| Tensor::from_proto(proto).ok()).flatten().map(Arc::new);
            facts.insert(proto.name().to_owned(), Fact { dtype, shape, value });
        }
    }
    for sparse in &model.graph().sparse_initializer {
        let shape: Option<Vec<usize>> = sparse.dims.iter().map(|&d| usize::try_from(d).ok()).collect();
        if let (Some(values), Some(shape)) = (&sparse.values, shape.filter(|s| elements(s).is_ok()))
            && let Ok(dtype) = DataType::try_from(values.data_type())
        {
            facts.insert(values.name().to_owned(), Fact::new(dtype, shape));
        }
    }
    facts
}

/// The facts of all values, from those of the `stored` tensors and the inputs' shapes; and the first fault.
fn facts(
    model: &Model,
    stored: Facts,
    (image, image_shape): (&str, &[usize]),
    others: &[(String, Vec<usize>)],
    batch: usize,
) -> (Facts, Option<Error>) {
    let mut facts = stored;
    let left = Cell::new(FOLD_ALL);
    let (mut named, mut fault): (HashMap<String, usize>, Option<Error>) = (HashMap::new(), None);
    // The image comes first: it gives the names of extents their sizes.
    let is_image = |info: &&ValueInfoProto| info.name() == image;
    for info in model.inputs().filter(is_image).chain(model.inputs().filter(|i| !is_image(i))) {
        let given = others.iter().find(|(name, _)| name == info.name()).map(|(_, shape)| shape.as_slice());
        let sizes: Option<Vec<usize>> = if info.name() == image {
            Some(image_shape.to_vec())
        } else {
            let each = dimensions(info).enumerate().map(|(axis, d)| {
                let open = || if axis == 0 { Some(batch) } else { given.and_then(|g| g.get(axis)).copied() };
                match d {
                    Some(Ok(n)) => Some(n),
                    Some(Err(name)) => named.get(&name).copied().or_else(open),
                    None => open(),
                }
            });
            each.collect()
        };
        if sizes.is_none() {
            fault.get_or_insert_with(|| open_input(info));
        }
        if let (Some(sizes), Some(dtype)) = (sizes.filter(|s| elements(s).is_ok()), element_type(info)) {
            for (d, &size) in dimensions(info).zip(&sizes) {
                if let Some(Err(name)) = d {
                    named.entry(name).or_insert(size);
                }
            }
            facts.insert(info.name().to_owned(), Fact::new(dtype, sizes));
        }
    }
    let declared: HashMap<&str, &ValueInfoProto> =
        model.graph().value_info.iter().chain(&model.graph().output).map(|v| (v.name(), v)).collect();
    for (_, node) in model.order() {
        let known = of_inputs(&facts, node);
        let attributes = model.attributes(node);
        let card = ops::find(&attributes);
        let made = match (&card, known) {
            (Ok(card), Some(inputs)) => match outputs(card, &attributes, &inputs, &left) {
                Ok(made) => made,
                Err(f) => {
                    fault.get_or_insert(f.at(node));
                    Vec::new()
                }
            },
            _ => Vec::new(),
        };
        for (i, name) in node.output.iter().enumerate().filter(|(_, n)| !n.is_empty()) {
            let fact = made.get(i).cloned().or_else(|| {
                let info = declared.get(name.as_str())?;
                let sizes: Option<Vec<usize>> = dimensions(info)
                    .map(|d| match d? {
                        Ok(n) => Some(n),
                        Err(name) => named.get(&name).copied(),
                    })
                    .collect();
                Some(Fact::new(element_type(info)?, sizes.filter(|s| elements(s).is_ok())?))
            });
            match (fact, &card) {
                (Some(fact), _) => drop(facts.insert(name.clone(), fact)),
                // Where the file holds the shape instead, nothing is lost yet.
                (None, Err(f)) => drop(fault.get_or_insert_with(|| f.clone().at(node))),
                (None, Ok(_)) => {}
            }
        }
    }
    (facts, fault)
}

/// The facts of a node's outputs: by the card's shape rule, and by value where all inputs are small constants. `left`
/// is how many steps of evaluation the graph still has.
///
/// # Errors
/// The card's; [`Fault::Invalid`] for outputs that no network could hold.
pub fn outputs(
    card: &ops::Card,
    attributes: &Attributes,
    inputs: &[Option<&Fact>],
    left: &Cell<usize>,
) -> Result<Vec<Fact>, Fault> {
    let mut made = (card.shape)(attributes, inputs)?;
    let sizes = made.iter().map(|f| elements(&f.shape)).collect::<Result<Vec<_>, _>>()?;
    let spend = |work: usize| left.get().checked_sub(work).map(|rest| left.set(rest)).is_some();
    if made.iter().any(|f| f.value.is_some()) {
        // What the file itself holds costs nothing more.
        if !inputs.is_empty() && !spend(sizes.iter().sum()) {
            made.iter_mut().for_each(|f| f.value = None);
        }
        return Ok(made);
    }
    if sizes.iter().any(|&n| n > FOLD) {
        return Ok(made);
    }
    let values: Option<Vec<Option<&Tensor>>> = inputs
        .iter()
        .map(|i| match i {
            None => Some(None),
            Some(fact) => fact.value.as_deref().map(Some),
        })
        .collect();
    let Some(values) = values.filter(|v| !v.is_empty()) else { return Ok(made) };
    if sizes.iter().all(|&n| n == 0) {
        let empty = |f: Fact| Ok(Fact::constant(Tensor::new(f.dtype, &f.shape, Vec::new())?));
        return made.into_iter().map(empty).collect();
    }
    let work = (card.work)(attributes, inputs, &made);
    match work <= FOLD_WORK && spend(work) {
        true => Ok((card.eval)(attributes, &values)?.into_iter().map(Fact::constant).collect()),
        false => Ok(made),
    }
}
