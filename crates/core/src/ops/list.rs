//! The list of operators, for `hirescam ops` and `docs/operators.md`: what the cards say, and since when ONNX has each.

use super::form::Form;
use super::versions::OPERATORS;
use super::{Card, Dependence, Linearity, all};
use crate::graph::Attributes;
use crate::onnx::messages::NodeProto;
use std::fmt;

pub use super::versions::NEWEST_OPSET;

/// An operator of ONNX's own domain.
#[derive(Debug)]
pub struct Operator {
    /// ONNX's name.
    pub name: &'static str,
    /// The operator sets in which it came and changed.
    pub versions: &'static [i64],
    /// The operator set in which it went.
    pub retired: Option<i64>,
    /// Whether it takes floats and gives floats.
    pub floats: bool,
    /// What its nodes may have, since each operator set that changed that.
    pub forms: &'static [Form],
}

/// Whether ONNX has an operator of this name.
pub fn is_onnx(name: &str) -> bool {
    OPERATORS.iter().any(|o| o.name == name)
}

/// Whether hirescam can differentiate an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Derivative {
    /// It has a rule.
    Yes,
    /// It has none: no layer before it can be explained through it.
    No,
    /// There is nothing to differentiate: it takes or gives no floats.
    NotNeeded,
}

impl fmt::Display for Derivative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Derivative::Yes => "yes",
            Derivative::No => "no",
            Derivative::NotNeeded => "not needed",
        })
    }
}

/// A line of the list.
#[derive(Debug)]
pub struct OperatorRow {
    /// ONNX's name.
    pub operator: &'static str,
    /// The operator set's domain; empty for ONNX's own.
    pub domain: &'static str,
    /// The first operator set that has it; unknown for other domains.
    pub since: Option<i64>,
    /// The last operator set that has it, where ONNX has dropped it.
    pub until: Option<i64>,
    /// Whether it can be differentiated.
    pub derivative: Derivative,
    /// What kind of function it is; empty where no derivative is needed.
    pub function: &'static str,
    /// What the card does not cover.
    pub limits: &'static str,
}

impl OperatorRow {
    /// The operator with its domain before it, where it is not ONNX's own.
    pub fn full_name(&self) -> String {
        match self.domain {
            "" => self.operator.to_owned(),
            domain => format!("{domain}.{}", self.operator),
        }
    }
}

/// All operators that have a card, by name.
pub fn rows() -> Vec<OperatorRow> {
    let mut rows: Vec<OperatorRow> = all().map(row).collect();
    rows.sort_by_key(|r| (r.operator, r.domain));
    rows
}

/// ONNX's own operators without a card, by name.
pub fn without_card() -> impl Iterator<Item = &'static str> {
    OPERATORS.iter().map(|o| o.name).filter(|name| !all().any(|card| card.domain.is_empty() && card.name == *name))
}

fn row(card: &'static Card) -> OperatorRow {
    let operator = OPERATORS.iter().find(|o| card.domain.is_empty() && o.name == card.name);
    let floats = operator.is_none_or(|o| o.floats);
    OperatorRow {
        operator: card.name,
        domain: card.domain,
        since: operator.and_then(|o| o.versions.first().copied()),
        until: operator.and_then(|o| o.retired).map(|r| r - 1),
        derivative: match card.vjp {
            Some(_) => Derivative::Yes,
            None if floats => Derivative::No,
            None => Derivative::NotNeeded,
        },
        function: if floats { function(card) } else { "" },
        limits: card.limits,
    }
}

/// What kind of function a card claims, from its answers when one input or all depend on the layer.
fn function(card: &Card) -> &'static str {
    let count = (card.cases)().iter().map(|c| c.inputs.len()).max().unwrap_or(1);
    let node = NodeProto::default();
    let among = |which: &dyn Fn(usize) -> bool| {
        let on = |i| if which(i) { Dependence::Smooth } else { Dependence::None };
        (card.linearity)(&Attributes { node: &node, opset: NEWEST_OPSET }, &(0..count).map(on).collect::<Vec<_>>())
    };
    match (among(&|i| i == 0), among(&|_| true)) {
        (Linearity::Affine, Linearity::Affine) => "affine",
        (Linearity::Affine, _) if count > 1 && among(&|i| i == 1) == Linearity::Affine => "product",
        (Linearity::Affine, _) => "affine in its first input",
        (Linearity::Piecewise, _) => "piecewise affine",
        (Linearity::Smooth, _) => "smooth",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::build::OLDEST_OPSET;

    #[test]
    fn every_card_is_an_operator_of_onnx() {
        for card in all().filter(|c| c.domain.is_empty()) {
            assert!(OPERATORS.iter().any(|o| o.name == card.name), "ONNX has no {}", card.name);
        }
    }

    /// Attributes that cards need not read: they choose how numbers are rounded or drawn, or mean something for element
    /// types and operator sets alone that cards refuse.
    const NOT_READ: &[&str] =
        &["momentum", "num_outputs", "precision", "ratio", "round_mode", "saturate", "seed", "sorted", "stash_type"];

    #[test]
    fn cards_read_every_attribute_that_onnx_has() {
        let families = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/ops")).unwrap();
        let files = families.map(|f| f.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "rs"));
        let read = files.filter(|p| !p.ends_with("versions.rs") && !p.ends_with("list.rs"));
        let text: String = read.map(|p| std::fs::read_to_string(p).unwrap()).collect();
        for card in all().filter(|c| c.domain.is_empty()) {
            let operator = OPERATORS.iter().find(|o| o.name == card.name).unwrap();
            let last = operator.forms.iter().rposition(|f| f.since <= OLDEST_OPSET).unwrap_or(0);
            for (name, ..) in operator.forms[last..].iter().flat_map(|f| f.attributes) {
                assert!(text.contains(&format!("{name:?}")) || NOT_READ.contains(name), "{}: {name}", card.name);
            }
        }
    }

    #[test]
    fn functions_are_as_one_would_say() {
        let rows = rows();
        let of = |name: &str| rows.iter().find(|r| r.operator == name && r.domain.is_empty()).unwrap();
        for (name, function) in [
            ("Add", "affine"),
            ("MatMul", "product"),
            ("Conv", "product"),
            ("Div", "affine in its first input"),
            ("Relu", "piecewise affine"),
            ("Sigmoid", "smooth"),
            ("LayerNormalization", "smooth"),
            ("Greater", ""),
        ] {
            assert_eq!(of(name).function, function, "{name}");
        }
        assert_eq!((of("Gelu").since, of("Relu").since), (Some(20), Some(1)));
        assert_eq!(of("Shape").derivative, Derivative::NotNeeded);
    }
}
