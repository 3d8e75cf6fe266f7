//! Op cards: all that is known of an operator, in one place.
//!
//! A card says how an operator's shapes follow from its inputs, what it computes (in f64, the executable
//! specification), how a cotangent goes back through it, and whether it is affine. To add an operator or a rule,
//! write a card in the family's file; the row in that file's table is all the registration there is.

use crate::build::Value;
use crate::error::{Fault, short};
use crate::graph::Attributes;
use crate::onnx::messages::NodeProto;
use crate::shape::Fact;
use crate::tensor::Tensor;
use form::Form;
use std::ops::Range;

pub use case::{Case, CaseInput, case};
pub(crate) use common::{
    aligned, apart, channels_first, fact, ints_in, ints_of, known_ints, like_first, map, products, size, tensor,
};

pub use facts::{
    Along, DegreeRule, Dependence, EPSILON, Entries, FinalActivation, Layout, Linearity, Role, Scaling, SignRule,
    Weights, affine, affine_in_first, degree_of_all, degree_of_first, degree_of_normalised, degree_of_product,
    degree_of_terms, never, piecewise, product, smooth, where_all, where_first,
};
pub(crate) use no_card::{chooses_by, draws, extents_by_attribute, rounds};
pub use vjp::Vjp;

pub mod activation;
pub mod arithmetic;
mod case;
mod common;
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
mod no_card;
pub mod normalization;
pub mod padding;
pub mod pooling;
pub mod quantization;
pub mod reduction;
pub mod resize;
pub mod selection;
pub mod slicing;
pub mod softmax;
mod transposed;
mod versions;
mod vjp;
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
    /// With which power of the layer's scale the outputs grow.
    pub degree: DegreeRule,
    /// What the operator does with the axes of its first input.
    pub layout: Layout,
    /// What becomes of one axis of one input.
    pub along: AxisRule,
    /// Of an axis of the first input along which entries are moved: which of them each entry of the outputs reads.
    pub windows: WindowRule,
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
    /// Whether an output entry is the largest of several of its first input, or says where that lies.
    pub takes_largest: bool,
    /// Whether its integers stand for real numbers.
    pub quantises: bool,
    /// Whether it reads only the shape of its input, never its values.
    pub reads_shape: bool,
    /// Whether its outputs may have other axes, or say something else, where there is one image than where there are several:
    /// it drops all axes of 1, or compares extents.
    pub differs_for_one: fn(&Attributes) -> bool,
    /// Its last input, where that switches something on: stored as false, it is as if it were left out.
    pub switch: Option<usize>,
    /// What a person would call the operator when choosing a layer.
    pub role: Role,
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

/// From attributes, the facts of the inputs and an axis of the first input to the entries of it that each entry of the
/// outputs along that axis reads: all of them lie in the range, which is empty for an entry that reads none. `None` where
/// the card does not say.
pub type WindowRule = fn(&Attributes, &[Option<&Fact>], usize) -> Option<Vec<Range<usize>>>;

/// A derivative rule: emits, for each input, its cotangent (to be broadcast to the input's shape), `None` where the
/// operator cannot be differentiated by that input.
pub type Rule = for<'g> fn(&Vjp<'g, '_>) -> Result<Vec<Option<Value<'g>>>, Fault>;

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
        degree: |_, _| None,
        layout: Layout::Same,
        along: |_, _, _, _| Along::Unknown,
        windows: |_, _, _| None,
        entries: Entries::AsLaidOut,
        never_negative: |_, _| false,
        weights: Weights::None,
        final_activation: None,
        renames: false,
        takes_largest: false,
        quantises: false,
        reads_shape: false,
        differs_for_one: |_| false,
        switch: None,
        role: Role::Compute,
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

/// Whether a node reads only the shape of its input, never its values.
pub fn shape_only(node: &NodeProto) -> bool {
    named(node).is_some_and(|card| card.reads_shape)
}
