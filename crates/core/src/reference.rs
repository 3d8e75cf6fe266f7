//! The executable specification: a naive f64 interpreter over the cards. For tests and for constants, never for maps.

use crate::error::Fault;
use crate::graph::{Attributes, reads};
use crate::onnx::elements;
use crate::shape::Fact;
use crate::{Error, Model, Tensor, ops};
use std::collections::{HashMap, HashSet};

/// How many steps one evaluation may take, and how many numbers it may hold: a few seconds, and 1 GiB.
const MOST_STEPS: usize = 1 << 31;
pub(crate) const MOST_NUMBERS: usize = 1 << 27;

/// The values `wanted` of `model`, from the values `known` (inputs, or any values inside the graph).
///
/// # Errors
/// [`Error::Unsupported`] for a node without a card and for graphs that are too large, [`Error::Invalid`] for one whose inputs do not fit,
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
    // Each value is let go of behind the last node that reads it.
    let mut last: HashMap<&str, usize> = HashMap::new();
    for (at, node) in plan.iter().rev().enumerate() {
        last.extend(reads(node).into_iter().map(|name| (name, at)));
    }
    let (mut steps, mut numbers) = (MOST_STEPS, MOST_NUMBERS);
    for (at, node) in plan.iter().rev().enumerate() {
        let attributes = model.attributes(node);
        let card = ops::find(&attributes).map_err(|f| f.at(node))?;
        for name in node.input.iter().filter(|n| !n.is_empty()) {
            if !values.contains_key(name) {
                let stored = model
                    .initializer(name)
                    .ok_or_else(|| Error::Argument(format!("the value {name:?} is not known")))?;
                values.insert(name.clone(), Tensor::from_proto(stored).map_err(|f| f.at(node))?);
            }
        }
        let inputs: Vec<Option<&Tensor>> = node.input.iter().map(|n| values.get(n)).collect();
        let made = card_outputs(card, &attributes, &inputs, &mut steps, &mut numbers).map_err(|f| f.at(node))?;
        values.extend(node.output.iter().cloned().zip(made));
        for name in reads(node).into_iter().filter(|name| last.get(name) == Some(&at) && !wanted.contains(name)) {
            values.remove(name);
        }
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

/// Checks the inputs by the card's shape rule and what is left of `steps` and `numbers`, then evaluates.
fn card_outputs(
    card: &ops::Card,
    attributes: &Attributes,
    inputs: &[Option<&Tensor>],
    steps: &mut usize,
    numbers: &mut usize,
) -> Result<Vec<Tensor>, Fault> {
    let facts: Vec<Option<Fact>> = inputs
        .iter()
        .map(|t| {
            t.map(|t| {
                // Shape rules read small values only.
                if t.data.len() <= 65_536 { Fact::constant(t.clone()) } else { Fact::new(t.dtype, t.shape()) }
            })
        })
        .collect();
    let facts: Vec<Option<&Fact>> = facts.iter().map(Option::as_ref).collect();
    let made = (card.shape)(attributes, &facts)?;
    for fact in &made {
        let left = numbers.checked_sub(elements(&fact.shape)?);
        *numbers = left.ok_or_else(|| Fault::Unsupported("the values up to here are too many to hold".into()))?;
    }
    if made.iter().all(|f| f.shape.contains(&0)) {
        return made.iter().map(|f| Tensor::new(f.dtype, &f.shape, Vec::new())).collect();
    }
    let left = steps.checked_sub((card.work)(attributes, &facts, &made));
    *steps = left.ok_or_else(|| Fault::Unsupported("evaluating it takes too long".into()))?;
    (card.eval)(attributes, inputs)
}
