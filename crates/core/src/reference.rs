//! The executable specification: a naive f64 interpreter over the cards. For tests and for constants, never for maps.

use crate::error::describe;
use crate::graph::{Attributes, reads};
use crate::{Error, Model, Tensor, ops};
use std::collections::{HashMap, HashSet};

/// The values `wanted` of `model`, from the values `known` (inputs, or any values inside the graph).
///
/// # Errors
/// [`Error::Unsupported`] for a node without a card, [`Error::Invalid`] for one whose inputs do not fit,
/// [`Error::Argument`] when something needed is not known.
pub fn evaluate(model: &Model, known: HashMap<String, Tensor>, wanted: &[&str]) -> Result<Vec<Tensor>, Error> {
    let mut values = known;
    let mut needed: HashSet<&str> = wanted.iter().copied().filter(|w| !values.contains_key(*w)).collect();
    let mut plan = Vec::new();
    for (_, node) in model.order().rev() {
        if node.output.iter().any(|o| needed.contains(o.as_str())) {
            needed.extend(reads(node).into_iter().filter(|r| !values.contains_key(*r)));
            plan.push(node);
        }
    }
    for node in plan.iter().rev() {
        let card = ops::find(node).ok_or_else(|| Error::Unsupported {
            at: describe(node),
            what: format!("the reference does not know {}", node.op_type()),
            remedy: "Explain a layer after this node".into(),
        })?;
        for name in node.input.iter().filter(|n| !n.is_empty()) {
            if !values.contains_key(name) {
                let stored = model
                    .initializer(name)
                    .ok_or_else(|| Error::Argument(format!("the value {name:?} is not known")))?;
                values.insert(name.clone(), Tensor::from_proto(stored).map_err(|f| f.at(node))?);
            }
        }
        let inputs: Vec<Option<&Tensor>> = node.input.iter().map(|n| values.get(n)).collect();
        let attributes = Attributes { node, opset: model.opset() };
        let made = card_outputs(card, &attributes, &inputs).map_err(|f| f.at(node))?;
        values.extend(node.output.iter().cloned().zip(made));
    }
    let take = |name: &&str| match values.get(*name) {
        Some(t) => Ok(t.clone()),
        None => match model.initializer(name) {
            Some(stored) => Ok(Tensor::from_proto(stored)?),
            None => Err(Error::Argument(format!("the value {name:?} is not known"))),
        },
    };
    wanted.iter().map(take).collect()
}

/// Checks the inputs by the card's shape rule, then evaluates.
fn card_outputs(
    card: &ops::Card,
    attributes: &Attributes,
    inputs: &[Option<&Tensor>],
) -> Result<Vec<Tensor>, crate::error::Fault> {
    let facts: Vec<Option<crate::shape::Fact>> = inputs
        .iter()
        .map(|t| {
            t.map(|t| {
                // Shape rules read small values only.
                if t.data.len() <= 65_536 {
                    crate::shape::Fact::constant(t.clone())
                } else {
                    crate::shape::Fact::new(t.dtype, t.shape())
                }
            })
        })
        .collect();
    (card.shape)(attributes, &facts.iter().map(Option::as_ref).collect::<Vec<_>>())?;
    (card.eval)(attributes, inputs)
}
