//! The reverse sweep: from the score back to the target layer, node by node, emitting what each card's rule says.

use crate::build::{Graph, Value};
use crate::error::describe;
use crate::graph::Attributes;
use crate::ops::{self, Dependence, Site};
use crate::{Error, Model};
use std::collections::HashMap;

/// ∂⟨`dy`, `y`⟩/∂`x`: the cotangent of the value `x` from the cotangent `dy` of the value `y`.
///
/// `path` holds the nodes between `x` and `y` in the order in which they run, `dependence` says of each value how it
/// depends on `x`. The result broadcasts to the shape of `x`: an extent of 1 means that the gradient is the same all
/// along that axis, for every image.
///
/// # Errors
/// [`Error::Unsupported`] with the node that has no derivative rule.
pub fn vjp<'g>(
    model: &Model,
    graph: &'g Graph,
    path: &[usize],
    dependence: &HashMap<String, Dependence>,
    (y, dy): (&str, Value<'g>),
    x: &str,
) -> Result<Value<'g>, Error> {
    let smooth = |name: &str| dependence.get(name) == Some(&Dependence::Smooth);
    let mut bar: HashMap<&str, Value<'g>> = HashMap::from([(y, dy)]);
    for node in path.iter().rev().filter_map(|&i| model.graph().node.get(i)) {
        let dy: Vec<Option<Value>> = node.output.iter().map(|o| bar.get(o.as_str()).copied()).collect();
        if dy.iter().all(Option::is_none) || !node.input.iter().any(|i| smooth(i)) {
            continue;
        }
        let value = |name: &String| if name.is_empty() { Ok(None) } else { graph.value(name).map(Some) };
        let made = |name: &String| graph.value(if name.is_empty() { y } else { name });
        let site = Site {
            attributes: Attributes { node, opset: model.opset() },
            x: node.input.iter().map(value).collect::<Result<_, _>>()?,
            y: node.output.iter().map(made).collect::<Result<_, _>>()?,
            dy,
        };
        let rule = ops::find(node).and_then(|card| card.vjp).ok_or_else(|| no_rule(node, None))?;
        let dx = rule(&site).map_err(|fault| fault.at(node))?;
        for (i, input) in node.input.iter().enumerate().filter(|(_, name)| smooth(name)) {
            let Some(d) = dx.get(i).copied().flatten() else { return Err(no_rule(node, Some(i))) };
            let sum = match bar.get(input.as_str()) {
                Some(&sum) => sum + d,
                None => d,
            };
            bar.insert(input, sum);
        }
    }
    match bar.get(x) {
        Some(&g) => Ok(g),
        None => Err(Error::Argument(format!(
            "the score does not depend smoothly on {x:?}: its gradient is zero everywhere"
        ))),
    }
}

fn no_rule(node: &crate::onnx::NodeProto, input: Option<usize>) -> Error {
    let by = input.map_or(String::new(), |i| format!(" by its input {i}"));
    Error::Unsupported {
        at: describe(node),
        what: format!("hirescam has no derivative rule for {}{by}", node.op_type()),
        remedy: "Choose a layer after this node (`hirescam layers` lists them), or export the network with other operators there".into(),
    }
}
