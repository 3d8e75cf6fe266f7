//! How values depend on others, and which nodes lie between the two.

use crate::Model;
use crate::graph::reads;
use crate::ops::{self, Dependence, shape_only};
use crate::shape::Shapes;
use crate::tensor::is_float;
use std::collections::{HashMap, HashSet};

/// How each value depends on `start`.
pub fn dependence(model: &Model, shapes: &Shapes, start: &str) -> HashMap<String, Dependence> {
    dependence_on(model, shapes, &[start])
}

/// How each value depends on the values `starts`; each of these on itself.
pub(crate) fn dependence_on(model: &Model, shapes: &Shapes, starts: &[&str]) -> HashMap<String, Dependence> {
    let starts: HashSet<&str> = starts.iter().copied().collect();
    let mut dependence: HashMap<_, _> = starts.iter().map(|&s| (s.to_owned(), Dependence::Smooth)).collect();
    for (_, node) in model.order() {
        let on = reads(node).iter().filter_map(|r| dependence.get(*r)).max().copied();
        let Some(on) = on.filter(|_| !shape_only(node)) else { continue };
        for output in node.output.iter().filter(|o| !o.is_empty() && !starts.contains(o.as_str())) {
            let smooth = |i: &String| dependence.get(i) == Some(&Dependence::Smooth);
            let real = shapes.dtype(output).is_none_or(|dtype| {
                // The integers of QuantizeLinear stand for real numbers, as long as their type is kept.
                let kept = node.input.iter().any(|i| smooth(i) && shapes.dtype(i) == Some(dtype));
                is_float(dtype) || ops::named(node).is_some_and(|card| card.quantises) || kept
            });
            dependence.insert(output.clone(), if real { on } else { Dependence::Discrete });
        }
    }
    dependence
}

/// The nodes that depend on the layer and that `goal` needs.
pub(crate) fn path(model: &Model, dependence: &HashMap<String, Dependence>, goal: &str) -> Vec<usize> {
    let mut needed: HashSet<&str> = HashSet::from([goal]);
    let mut path = Vec::new();
    for (i, node) in model.order().rev() {
        let reaches = node.output.iter().any(|o| needed.contains(o.as_str()) && dependence.contains_key(o));
        if reaches && !shape_only(node) && reads(node).iter().any(|r| dependence.contains_key(*r)) {
            needed.extend(reads(node));
            path.push(i);
        }
    }
    path.reverse();
    path
}

/// The values that paths from an input which avoid the values `layer` lead to.
pub(crate) fn around(model: &Model, layer: impl Fn(&str) -> bool) -> HashSet<&str> {
    let mut around: HashSet<&str> = model.inputs().map(|i| i.name()).filter(|n| !layer(n)).collect();
    for (_, node) in model.order() {
        let drawn = ops::draws(node);
        if drawn || (!shape_only(node) && reads(node).iter().any(|r| around.contains(r))) {
            around.extend(node.output.iter().map(String::as_str).filter(|o| !layer(o)));
        }
    }
    around
}
