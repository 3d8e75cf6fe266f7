//! Op cards: all that is known of an operator, in one place.
//!
//! A card says how an operator's shapes follow from its inputs, what it computes (in f64, the executable
//! specification), how a cotangent goes back through it, and whether it is affine. To add an operator or a rule,
//! write a card in the family's file; the row in that file's table is all the registration there is.

use crate::build::Value;
use crate::error::{Fault, short};
use crate::graph::{Attributes, standard};
use crate::onnx::{AttributeProto, NodeProto, attribute_proto::AttributeType};
use crate::shape::{Dim, Fact};
use crate::tensor::{DataType, Tensor};
use form::Form;

pub use facts::{
    Along, Dependence, Entries, FinalActivation, Kind, Layout, Linearity, SignRule, Weights, affine, affine_in_first,
    never, piecewise, product, smooth, where_all, where_first,
};

pub mod activation;
mod along;
pub mod arithmetic;
pub mod constant;
pub mod convolution;
pub mod einsum;
pub mod elementary;
mod facts;
pub mod form;
pub mod gather;
pub mod grid_sample;
mod grids;
pub mod linear;
pub mod list;
pub mod movement;
pub mod normalization;
pub mod padding;
pub mod pooling;
pub mod quantization;
pub mod reduction;
pub mod resize;
pub mod selection;
pub mod slicing;
pub mod softmax;
mod versions;
pub mod window;

/// What is known of one operator.
#[derive(Debug)]
pub struct Card {
    /// ONNX's name.
    pub name: &'static str,
    /// The operator set's domain; empty for ONNX's own.
    pub domain: &'static str,
    /// What nodes may have, for an operator of another domain than ONNX's own.
    pub forms: &'static [Form],
    /// Refuses nodes that are right, but mean something else than the card says: of forms that ONNX has and the card has
    /// not.
    pub covers: fn(&Attributes) -> Result<(), Fault>,
    /// Element types and shapes of the outputs. Everything `eval` relies on is checked here.
    pub shape: ShapeRule,
    /// The outputs in f64.
    pub eval: Evaluation,
    /// About how many steps `eval` takes, of inputs and outputs of these facts. Needed where it is more than a few for
    /// each element.
    pub work: fn(&Attributes, &[Option<&Fact>], &[Fact]) -> usize,
    /// The cotangents of the inputs, from the cotangents of the outputs; `None` where there is no rule.
    pub vjp: Option<Rule>,
    /// Whether the operator is affine in the inputs that depend on the target layer.
    pub linearity: fn(&Attributes, &[Dependence]) -> Linearity,
    /// What the operator does with the axes of its first input.
    pub layout: Layout,
    /// What becomes of one axis of one input.
    pub along: AxisRule,
    /// Where the entries of the outputs come from.
    pub entries: Entries,
    /// Whether the outputs are never negative.
    pub never_negative: SignRule,
    /// What stored numbers mean to it.
    pub weights: Weights,
    /// What it makes of scores at the end of a network.
    pub final_activation: Option<FinalActivation>,
    /// Whether it gives the numbers of its first input again, in their order, under other axes or as another type.
    pub renames: bool,
    /// Whether an output entry is the largest of several of its first input.
    pub takes_largest: bool,
    /// Whether its integers stand for real numbers.
    pub quantises: bool,
    /// Whether it reads only the shape of its input, never its values.
    pub reads_shape: bool,
    /// Its last input, where that switches something on: stored as false, it is as if it were left out.
    pub switch: Option<usize>,
    /// What a person would call the operator when choosing a layer.
    pub kind: Kind,
    /// What the card does not cover, for the list of operators.
    pub limits: &'static str,
    /// Settings under which the tests try the card.
    pub cases: fn() -> Vec<Case>,
}

/// From attributes and the facts of the inputs to those of the outputs; `None` for an input left out.
pub type ShapeRule = fn(&Attributes, &[Option<&Fact>]) -> Result<Vec<Fact>, Fault>;

/// From attributes and inputs to outputs, in f64.
pub type Evaluation = fn(&Attributes, &[Option<&Tensor>]) -> Result<Vec<Tensor>, Fault>;

/// From attributes, the facts of the inputs, an input and one of its axes to what becomes of that axis in the outputs.
pub type AxisRule = fn(&Attributes, &[Option<&Fact>], usize, usize) -> Along;

/// A derivative rule: emits, for each input, its cotangent (to be broadcast to the input's shape), `None` where the
/// operator cannot be differentiated by that input.
pub type Rule = for<'g> fn(&Site<'g, '_>) -> Result<Vec<Option<Value<'g>>>, Fault>;

/// The place where a rule is applied.
pub struct Site<'g, 'a> {
    /// The node's attributes.
    pub attributes: Attributes<'a>,
    /// The inputs.
    pub x: Vec<Option<Value<'g>>>,
    /// Whether each input depends smoothly on the layer, so that its cotangent is asked for.
    pub smooth: Vec<bool>,
    /// The outputs.
    pub y: Vec<Value<'g>>,
    /// The cotangents of the outputs, `None` where nothing depends on that output. Each broadcasts to its output: an
    /// extent of 1 stands for the same cotangent all along the axis.
    pub dy: Vec<Option<Value<'g>>>,
}

impl<'g> Site<'g, '_> {
    /// Input `i`.
    ///
    /// # Errors
    /// [`Fault::Invalid`] when the node does not have it.
    pub fn x(&self, i: usize) -> Result<Value<'g>, Fault> {
        self.x.get(i).copied().flatten().ok_or_else(|| Fault::Invalid(format!("input {i} is missing")))
    }

    /// The first output.
    ///
    /// # Errors
    /// [`Fault::Invalid`] when the node has none.
    pub fn y(&self) -> Result<Value<'g>, Fault> {
        self.y.first().copied().ok_or_else(|| Fault::Invalid("it has no output".into()))
    }

    /// The cotangent of the first output, possibly with extents of 1 that stand for the whole axis.
    ///
    /// # Errors
    /// [`Fault::Unsupported`] when only other outputs lead to the score.
    pub fn dy(&self) -> Result<Value<'g>, Fault> {
        self.dy
            .first()
            .copied()
            .flatten()
            .ok_or_else(|| Fault::Unsupported("the derivative by another output than its first".into()))
    }

    /// The cotangent of the first output in that output's whole shape.
    ///
    /// # Errors
    /// As [`Site::dy`].
    pub fn full_dy(&self) -> Result<Value<'g>, Fault> {
        Ok(self.dy()?.expand_as(self.y()?))
    }

    /// The cotangent of the first output in that output's rank, written out along `axes`. Along the others an extent of 1
    /// may stand for the whole axis.
    ///
    /// # Errors
    /// As [`Site::dy`].
    pub fn dy_along(&self, axes: &[usize]) -> Result<Value<'g>, Fault> {
        let (y, dims) = (self.y()?, self.y()?.dims());
        let dy = self.dy()?.with_rank(dims.len());
        let own = dy.dims();
        let mut shape = vec![1; dims.len()];
        for &axis in axes.iter().filter(|&&axis| own.get(axis) != dims.get(axis)) {
            match dims.get(axis) {
                Some(Dim::Fixed(n)) => shape[axis] = *n as i64,
                _ => return Ok(dy.expand_as(y)),
            }
        }
        Ok(dy.expand(&shape))
    }

    /// The extents of the first input along `axes`, for a mean over them.
    ///
    /// # Errors
    /// [`Fault::Unsupported`] when the images of a batch would be mixed: their maps would not be their own.
    pub fn sizes_within_image(&self, axes: &[usize]) -> Result<Vec<usize>, Fault> {
        let dims = self.x(0)?.dims();
        let size = |&a: &usize| match dims.get(a) {
            Some(Dim::Fixed(n)) => Ok(*n),
            _ => Err(Fault::Unsupported(
                "a mean over the images of a batch; a batch fixed to 1 in the file helps".into(),
            )),
        };
        axes.iter().map(size).collect()
    }

    /// Sums `d`, which broadcasts to the output, over the axes along which input `i` was broadcast.
    ///
    /// # Errors
    /// [`Fault::Invalid`] when the node does not have the input.
    pub fn unbroadcast(&self, d: Value<'g>, i: usize) -> Result<Value<'g>, Fault> {
        let (x, y) = (self.x(i)?.dims(), self.y()?.dims());
        let lead = y.len().saturating_sub(x.len());
        let mut d = d.with_rank(y.len());
        let (mut sum, mut times) = (Vec::new(), 1.0);
        let broadcast = |axis: &usize| {
            let extent = y.get(*axis);
            *axis < lead || (x.get(*axis - lead) == Some(&Dim::Fixed(1)) && extent != Some(&Dim::Fixed(1)))
        };
        let axes: Vec<usize> = (0..y.len()).filter(broadcast).collect();
        // How often a number stands along the batch is not known beforehand.
        let own = d.dims();
        let short = |&a: &usize| own.get(a) == Some(&Dim::Fixed(1)) && matches!(y.get(a), Some(Dim::Batch(_)));
        if axes.iter().any(short) {
            d = d.expand_as(self.y()?);
        }
        for axis in axes {
            match (d.dims().get(axis), y.get(axis)) {
                (Some(Dim::Fixed(1)), Some(Dim::Fixed(n))) => times *= *n as f64,
                _ => sum.push(axis),
            }
        }
        if !sum.is_empty() {
            d = d.reduce_sum(&sum, true);
        }
        if times != 1.0 {
            d = d * times;
        }
        Ok(if lead > 0 { d.drop_leading(lead) } else { d })
    }
}

impl Card {
    /// A card without derivative that keeps axes and computes: the base that cards are written from.
    pub const BASE: Card = Card {
        name: "",
        domain: "",
        forms: &[],
        covers: |_| Ok(()),
        shape: |_, _| Err(Fault::Unsupported("no shape rule".into())),
        eval: |_, _| Err(Fault::Unsupported("no evaluation".into())),
        work: |_, x, y| x.iter().flatten().copied().chain(y).map(size).fold(0, usize::saturating_add),
        vjp: None,
        linearity: smooth,
        layout: Layout::Same,
        along: |_, _, _, _| Along::Unknown,
        entries: Entries::AsLaidOut,
        never_negative: |_, _| false,
        weights: Weights::None,
        final_activation: None,
        renames: false,
        takes_largest: false,
        quantises: false,
        reads_shape: false,
        switch: None,
        kind: Kind::Compute,
        limits: "",
        cases: Vec::new,
    };
}

/// All cards, by family.
pub fn all() -> impl Iterator<Item = &'static Card> {
    FAMILIES.iter().flat_map(|f| f.iter())
}

const FAMILIES: &[&[Card]] = &[
    activation::CARDS,
    arithmetic::CARDS,
    constant::CARDS,
    convolution::CARDS,
    gather::CARDS,
    einsum::CARDS,
    elementary::CARDS,
    grid_sample::CARDS,
    linear::CARDS,
    movement::CARDS,
    normalization::CARDS,
    padding::CARDS,
    pooling::CARDS,
    quantization::CARDS,
    reduction::CARDS,
    resize::CARDS,
    selection::CARDS,
    slicing::CARDS,
    softmax::CARDS,
];

/// The card for a node, if it vouches for it. Whatever is said of a node anywhere (its shapes, values, derivative,
/// linearity, axes) comes from the card that this gives, so that nothing is said of a node that means something else.
///
/// # Errors
/// [`Fault::Unsupported`] for an operator without a card and for a node that the card does not cover, [`Fault::Invalid`]
/// for one that ONNX forbids.
pub fn find(a: &Attributes) -> Result<&'static Card, Fault> {
    let card = named(a.node).ok_or_else(|| unknown(a.node))?;
    form::check(card, a)?;
    (card.covers)(a)?;
    Ok(card)
}

/// What to say of an operator without a card: whose it is, and where it does no harm.
fn unknown(node: &NodeProto) -> Fault {
    let (op, domain) = (short(node.op_type()), short(node.domain()));
    let whose = match domain {
        "" | "ai.onnx" if list::is_onnx(op) => format!("ONNX's operator {op} has no rules here"),
        "" | "ai.onnx" => format!("neither ONNX nor hirescam knows the operator {op}"),
        _ => format!("the operator {domain}.{op} is none of ONNX's own, and has no rules here"),
    };
    Fault::Unsupported(format!("{whose}; before the layer it may stand if the file tells the shapes behind it"))
}

/// The card for a node's operator, whether or not it covers the node.
pub fn named(node: &NodeProto) -> Option<&'static Card> {
    use std::{collections::HashMap, sync::LazyLock};
    static INDEX: LazyLock<HashMap<(&str, &str), &Card>> =
        LazyLock::new(|| all().map(|c| ((c.domain, c.name), c)).collect());
    let domain = if node.domain() == "ai.onnx" { "" } else { node.domain() };
    INDEX.get(&(domain, node.op_type())).copied()
}

/// Operators without a card that draw numbers: what they give differs from run to run as an input does.
const DRAWING: &[&str] =
    &["Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"];

/// Operators without a card that choose among their inputs, or bundle them, and the inputs that they choose by.
const CHOOSING: &[(&str, std::ops::Range<usize>)] =
    &[("NonMaxSuppression", 1..2), ("SequenceConstruct", 0..usize::MAX), ("ZipMap", 0..usize::MAX)];

/// Whether a node draws numbers.
pub(crate) fn draws(node: &NodeProto) -> bool {
    DRAWING.contains(&standard(node))
}

/// The inputs by which a node without a card chooses; none of one of which nothing is known.
pub(crate) fn chooses_by(node: &NodeProto) -> Option<std::ops::Range<usize>> {
    CHOOSING.iter().find(|(op, _)| *op == node.op_type()).map(|(_, inputs)| inputs.clone())
}

/// Whether a node reads only the shape of its input, never its values.
pub fn shape_only(node: &NodeProto) -> bool {
    named(node).is_some_and(|card| card.reads_shape)
}

// ---- what cards share ------------------------------------------------------------------------------------------

/// The number of elements of a value.
pub(crate) fn size(fact: &Fact) -> usize {
    fact.shape.iter().fold(1, |p, &n| p.saturating_mul(n))
}

/// The work of a product of two inputs: each element of `wide` meets every weight of its filter, where the weights
/// have `filters` filters.
pub(crate) fn products(wide: usize, weights: &Fact, filters: Option<&usize>) -> usize {
    wide.saturating_mul(size(weights) / filters.copied().unwrap_or(1).max(1))
}

/// Input `i` of a shape rule.
pub(crate) fn fact<'a>(inputs: &[Option<&'a Fact>], i: usize) -> Result<&'a Fact, Fault> {
    inputs.get(i).copied().flatten().ok_or_else(|| Fault::Invalid(format!("input {i} is missing")))
}

/// Input `i` of an evaluation.
pub(crate) fn tensor<'a>(inputs: &[Option<&'a Tensor>], i: usize) -> Result<&'a Tensor, Fault> {
    inputs.get(i).copied().flatten().ok_or_else(|| Fault::Invalid(format!("input {i} is missing")))
}

/// The known integers of input `i`, `None` when the input is absent.
pub(crate) fn known_ints(inputs: &[Option<&Fact>], i: usize) -> Result<Option<Vec<i64>>, Fault> {
    match inputs.get(i).copied().flatten() {
        None => Ok(None),
        Some(Fact { value: Some(value), .. }) => Ok(Some(value.to_ints())),
        Some(_) => Err(Fault::Unsupported(format!("its input {i} is only known at run time"))),
    }
}

/// Integers of the attribute `name`, or of input `i` where newer operator sets have moved them.
pub(crate) fn ints_of(
    a: &Attributes,
    name: &str,
    inputs: &[Option<&Fact>],
    i: usize,
) -> Result<Option<Vec<i64>>, Fault> {
    match a.ints(name) {
        Some(list) => Ok(Some(list.to_vec())),
        None => known_ints(inputs, i),
    }
}

/// The same for an evaluation.
pub(crate) fn ints_in(a: &Attributes, name: &str, inputs: &[Option<&Tensor>], i: usize) -> Option<Vec<i64>> {
    match a.ints(name) {
        Some(list) => Some(list.to_vec()),
        None => inputs.get(i).copied().flatten().map(Tensor::to_ints),
    }
}

/// The shape rule of operators whose output is like their first input.
pub(crate) fn like_first(_: &Attributes, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>, Fault> {
    let x = fact(inputs, 0)?;
    Ok(vec![Fact::new(x.dtype, x.shape.clone())])
}

/// Axes of operators that work entry by entry on inputs which broadcast: aligned at their end.
pub(crate) fn aligned(_: &Attributes, x: &[Option<&Fact>], input: usize, axis: usize) -> Along {
    let rank = x.iter().flatten().map(|f| f.shape.len()).max().unwrap_or(0);
    match x.get(input) {
        Some(Some(own)) => Along::To(axis + rank - own.shape.len()),
        _ => Along::Unknown,
    }
}

/// Axes of operators that read the first input across `axes`, and keep all others apart.
pub(crate) fn apart(axes: Result<Vec<usize>, Fault>, input: usize, axis: usize) -> Along {
    match axes {
        Ok(axes) if input == 0 => {
            if axes.contains(&axis) {
                Along::Moved(axis)
            } else {
                Along::To(axis)
            }
        }
        _ => Along::Unknown,
    }
}

/// Axes of operators that take all channels of a place together, and neighbouring places.
pub(crate) fn channels_first(_: &Attributes, _: &[Option<&Fact>], input: usize, axis: usize) -> Along {
    match (input, axis) {
        (0, 0) => Along::To(0),
        (0, 1) => Along::Across,
        (0, axis) => Along::Moved(axis),
        _ => Along::Unknown,
    }
}

/// Evaluates a function of one variable everywhere.
pub(crate) fn map(inputs: &[Option<&Tensor>], f: impl Fn(f64) -> f64) -> Result<Vec<Tensor>, Fault> {
    let x = tensor(inputs, 0)?;
    Ok(vec![Tensor { dtype: x.dtype, data: x.data.mapv(f) }])
}

// ---- cases for the tests ---------------------------------------------------------------------------------------

/// One setting under which the tests try a card: attributes and inputs.
#[derive(Clone, Debug)]
pub struct Case {
    /// The attributes.
    pub attributes: Vec<AttributeProto>,
    /// The inputs.
    pub inputs: Vec<Given>,
    /// The operator set's version.
    pub opset: i64,
    /// How many outputs the node has.
    pub outputs: usize,
}

/// An input of a [`Case`].
#[derive(Clone, Debug)]
pub enum Given {
    /// Random floats of a shape within a range; the derivative by it is checked.
    Varied(Vec<usize>, f64, f64),
    /// Random floats of a shape within a range; nothing is differentiated by it.
    Weight(Vec<usize>, f64, f64),
    /// A constant.
    Fixed(Tensor),
    /// Left out.
    Absent,
}

/// An empty case at operator set 17.
pub fn case() -> Case {
    Case { attributes: Vec::new(), inputs: Vec::new(), opset: 17, outputs: 1 }
}

impl Case {
    /// Adds an input to differentiate by, within ±2.
    pub fn x(self, shape: &[usize]) -> Self {
        self.x_in(shape, -2.0, 2.0)
    }
    /// Adds an input to differentiate by, within a range.
    pub fn x_in(mut self, shape: &[usize], low: f64, high: f64) -> Self {
        self.inputs.push(Given::Varied(shape.to_vec(), low, high));
        self
    }
    /// Adds random weights.
    pub fn w(self, shape: &[usize]) -> Self {
        self.w_in(shape, -1.0, 1.0)
    }
    /// Adds random weights within a range.
    pub fn w_in(mut self, shape: &[usize], low: f64, high: f64) -> Self {
        self.inputs.push(Given::Weight(shape.to_vec(), low, high));
        self
    }
    /// Adds a constant.
    pub fn fixed(mut self, tensor: Tensor) -> Self {
        self.inputs.push(Given::Fixed(tensor));
        self
    }
    /// Adds a float scalar.
    pub fn scalar(self, v: f64) -> Self {
        self.fixed(Tensor::float(ndarray::arr0(v).into_dyn()))
    }
    /// Adds a list of integers as an input.
    pub fn list(self, v: &[i64]) -> Self {
        self.fixed(Tensor::ints(v))
    }
    /// Adds integers of a shape as an input.
    pub fn grid(self, shape: &[usize], v: &[i64]) -> Self {
        let data = Tensor::ints(v).data.into_shape_with_order(shape).unwrap_or_default();
        self.fixed(Tensor { dtype: DataType::Int64, data })
    }
    /// Leaves an input out.
    pub fn absent(mut self) -> Self {
        self.inputs.push(Given::Absent);
        self
    }
    /// Sets an attribute.
    pub fn set(mut self, name: &str, value: impl Into<Setting>) -> Self {
        self.attributes.push(attribute(name, value));
        self
    }
    /// Sets the operator set's version.
    pub fn opset(mut self, version: i64) -> Self {
        self.opset = version;
        self
    }
    /// Sets the number of outputs.
    pub fn outputs(mut self, n: usize) -> Self {
        self.outputs = n;
        self
    }
}

/// The value of an attribute.
pub enum Setting {
    /// An integer.
    Int(i64),
    /// Integers.
    Ints(Vec<i64>),
    /// A float.
    Float(f32),
    /// Floats.
    Floats(Vec<f32>),
    /// A string.
    Text(String),
    /// A tensor.
    Tensor(Box<crate::onnx::TensorProto>),
}

impl From<i64> for Setting {
    fn from(v: i64) -> Self {
        Setting::Int(v)
    }
}
impl From<Vec<i64>> for Setting {
    fn from(v: Vec<i64>) -> Self {
        Setting::Ints(v)
    }
}
impl<const N: usize> From<[i64; N]> for Setting {
    fn from(v: [i64; N]) -> Self {
        Setting::Ints(v.to_vec())
    }
}
impl From<f32> for Setting {
    fn from(v: f32) -> Self {
        Setting::Float(v)
    }
}
impl<const N: usize> From<[f32; N]> for Setting {
    fn from(v: [f32; N]) -> Self {
        Setting::Floats(v.to_vec())
    }
}
impl From<&str> for Setting {
    fn from(v: &str) -> Self {
        Setting::Text(v.to_owned())
    }
}

/// An attribute of a node.
pub fn attribute(name: &str, value: impl Into<Setting>) -> AttributeProto {
    let mut a = AttributeProto { name: Some(name.to_owned()), ..Default::default() };
    let kind = match value.into() {
        Setting::Int(i) => {
            a.i = Some(i);
            AttributeType::Int
        }
        Setting::Ints(list) => {
            a.ints = list;
            AttributeType::Ints
        }
        Setting::Float(f) => {
            a.f = Some(f);
            AttributeType::Float
        }
        Setting::Floats(list) => {
            a.floats = list;
            AttributeType::Floats
        }
        Setting::Text(s) => {
            a.s = Some(s.into_bytes().into());
            AttributeType::String
        }
        Setting::Tensor(t) => {
            a.t = Some(*t);
            AttributeType::Tensor
        }
    };
    a.r#type = Some(kind as i32);
    a
}
