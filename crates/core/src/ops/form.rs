//! What ONNX lets a node have, and whether a card vouches for a node that has it.

use super::Card;
use super::versions::{NEWEST_OPSET, OPERATORS};
use crate::build::OLDEST_OPSET;
use crate::error::{Fault, invalid, short, unsupported};
use crate::graph::Attributes;
use crate::onnx::messages::{AttributeProto, attribute_proto::AttributeType};
use std::collections::HashMap;
use std::sync::LazyLock;

/// The inputs, outputs and attributes of an operator.
#[derive(Debug)]
pub struct Form {
    /// The operator set that brought it.
    pub since: i64,
    /// How many inputs a node has at least and at most; so many as at least may not be left out.
    pub inputs: (usize, usize),
    /// How many outputs a node has at least and at most.
    pub outputs: (usize, usize),
    /// The attributes by name, with their types and what they are where a node does not have them.
    pub attributes: &'static [(&'static str, AttributeType, Usual)],
}

impl Form {
    /// One input, one output and no attributes.
    pub const UNARY: Form = Form { since: 1, inputs: (1, 1), outputs: (1, 1), attributes: &[] };
}

/// What an attribute is where a node does not have it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Usual {
    /// An integer.
    Int(i64),
    /// A float.
    Float(f32),
    /// A string.
    Text(&'static str),
    /// Nothing that could be written down.
    Open,
}

/// Checks that `card` can be meant by a node: it has the inputs, outputs and attributes that ONNX gives the operator in
/// the model's operator set, and no others. For an operator of another domain the card itself says what it may have.
///
/// An attribute that the operator had or gets in another operator set is let pass where it says what is meant without it.
///
/// # Errors
/// [`Fault::Invalid`] for a node that ONNX forbids, [`Fault::Unsupported`] where nobody knows what it means.
pub(super) fn check(card: &Card, a: &Attributes) -> Result<(), Fault> {
    static OWN: LazyLock<HashMap<&str, &[Form]>> =
        LazyLock::new(|| OPERATORS.iter().map(|o| (o.name, o.forms)).collect());
    let forms = if card.domain.is_empty() { OWN.get(card.name).copied().unwrap_or(&[]) } else { card.forms };
    if card.domain.is_empty() && !(OLDEST_OPSET..=NEWEST_OPSET).contains(&a.opset) {
        let (set, oldest, newest) = (a.opset, OLDEST_OPSET, NEWEST_OPSET);
        return unsupported(format!("operator set {set}, where {oldest} to {newest} are known"));
    }
    // An operator that engines know before ONNX does is as ONNX first had it.
    let now = forms.iter().rev().find(|f| f.since <= a.opset || !card.domain.is_empty()).or(forms.first());
    let Some(now) = now else { return unsupported("no form of it is known") };
    count("inputs", &a.node.input, now.inputs, a.opset)?;
    count("outputs", &a.node.output, now.outputs, a.opset)?;
    for attribute in &a.node.attribute {
        if a.node.attribute.iter().filter(|other| other.name() == attribute.name()).count() > 1 {
            return invalid(format!("its attribute {:?} stands there twice", short(attribute.name())));
        }
        let own = |form: &&Form| form.attributes.iter().find(|(name, ..)| *name == attribute.name()).copied();
        match own(&now) {
            Some((name, kind, _)) if !is_of(attribute, kind) => {
                return invalid(format!("its attribute {name:?} is not of the type {}", kind.as_str_name()));
            }
            Some(_) => {}
            None if forms.iter().filter_map(|f| own(&f)).any(|(_, _, usual)| says(attribute, usual)) => {}
            None => {
                let name = short(attribute.name());
                return unsupported(format!("an attribute {name:?}, which the operator set {} does not have", a.opset));
            }
        }
    }
    Ok(())
}

/// Checks how many names a node has, those at the end that are left out not counted.
fn count(what: &str, names: &[String], (least, most): (usize, usize), opset: i64) -> Result<(), Fault> {
    let given = names.iter().rposition(|n| !n.is_empty()).map_or(0, |last| last + 1);
    if given > most {
        return unsupported(format!("{given} {what}, where operator set {opset} has {most}"));
    }
    match names.iter().take(least).filter(|n| !n.is_empty()).count() {
        all if all == least || what == "outputs" => Ok(()),
        _ => invalid(format!("of its {what} the first {least} are needed")),
    }
}

fn is_of(attribute: &AttributeProto, kind: AttributeType) -> bool {
    let a = attribute;
    match a.r#type() {
        AttributeType::Undefined => match kind {
            AttributeType::Int => a.i.is_some(),
            AttributeType::Float => a.f.is_some(),
            AttributeType::String => a.s.is_some(),
            AttributeType::Tensor => a.t.is_some(),
            _ => true,
        },
        given => given == kind,
    }
}

/// Whether an attribute is what it is taken for where a node does not have it.
fn says(attribute: &AttributeProto, usual: Usual) -> bool {
    match usual {
        Usual::Int(i) => is_of(attribute, AttributeType::Int) && attribute.i() == i,
        Usual::Float(f) => is_of(attribute, AttributeType::Float) && attribute.f() == f,
        Usual::Text(s) => is_of(attribute, AttributeType::String) && attribute.s() == s.as_bytes(),
        Usual::Open => false,
    }
}
