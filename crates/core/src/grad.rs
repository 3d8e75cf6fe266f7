//! The reverse sweep: from the score back to the target layer, node by node, emitting what each card's rule says.

use crate::build::{Graph, Value};
use crate::graph::reads;
use crate::onnx::describe;
use crate::onnx::messages::NodeProto;
use crate::ops::{self, Dependence, Entries, Vjp};
use crate::shape::{Dim, show};
use crate::{Error, Model};
use ndarray::ArrayD;
use std::collections::HashMap;

/// ∂⟨`dy`, `y`⟩/∂`x`: the cotangent of the value `x` from the cotangent `dy` of the value `y`.
///
/// `path` holds the nodes between `x` and `y` in the order in which they run, `dependence` says of each value how it
/// depends on `x`. The result broadcasts to the shape of `x`: an extent of 1 means that the gradient is the same all
/// along that axis, for every image.
///
/// Values of 16 bits are read as float32, and so is the result: the derivative of a mean over 7×7 places is below what
/// float16 has digits for.
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
    sweep(model, graph, path, dependence, (y, dy)).gradient(x)
}

/// As [`vjp`], of values that `values` gives in place of the model's own.
pub(crate) fn vjp_of<'m, 'g>(
    model: &'m Model,
    path: &[usize],
    dependence: &HashMap<String, Dependence>,
    (y, dy): (&'m str, Value<'g>),
    x: &str,
    values: &dyn Fn(&str) -> Result<Value<'g>, Error>,
) -> Result<Value<'g>, Error> {
    sweep_of(model, dy.graph(), path, dependence, (y, dy), values).gradient(x)
}

/// A cotangent, or the place among the faults of what keeps it from being known.
pub type Cotangent<'g> = Result<Value<'g>, usize>;

/// What one reverse sweep finds.
#[derive(Debug)]
pub struct Sweep<'m, 'g> {
    /// The cotangents by value, or the place in `faults` of what keeps one from being known.
    pub cotangents: HashMap<&'m str, Cotangent<'g>>,
    /// What went wrong, at the nodes nearest to the score first.
    pub faults: Vec<Error>,
}

/// The cotangents of all values on `path` that `y` depends on smoothly; as [`vjp`], but a node without a rule spoils only
/// what comes before it.
pub fn sweep<'m, 'g>(
    model: &'m Model,
    graph: &'g Graph,
    path: &[usize],
    dependence: &HashMap<String, Dependence>,
    (y, dy): (&'m str, Value<'g>),
) -> Sweep<'m, 'g> {
    sweep_of(model, graph, path, dependence, (y, dy), &|name| graph.value(name))
}

fn sweep_of<'m, 'g>(
    model: &'m Model,
    graph: &'g Graph,
    path: &[usize],
    dependence: &HashMap<String, Dependence>,
    (y, dy): (&'m str, Value<'g>),
    values: &dyn Fn(&str) -> Result<Value<'g>, Error>,
) -> Sweep<'m, 'g> {
    let smooth = |name: &str| dependence.get(name) == Some(&Dependence::Smooth);
    let values = &|name: &str| values(name).map(Value::wide);
    let mut sweep = Sweep { cotangents: HashMap::from([(y, Ok(dy.wide()))]), faults: Vec::new() };
    let chained = chained(model, path);
    // What comes back to a join through later joins that start or end with all that it joins.
    let mut through_joins: HashMap<&str, Cotangent<'g>> = HashMap::new();
    // What went wrong before spoils all.
    if let Some(fault) = graph.take_fault() {
        let fault = sweep.fail(fault);
        sweep.cotangents.insert(y, Err(fault));
    }
    for (at, node) in path.iter().rev().filter_map(|&i| Some((i, model.graph().node.get(i)?))) {
        let reads: Vec<&str> = reads(node).into_iter().filter(|r| smooth(r)).collect();
        let mut dy: Vec<_> = node.output.iter().map(|o| sweep.cotangents.get(o.as_str()).copied()).collect();
        if let (Some(later), [own]) = (node.output.first().and_then(|o| through_joins.remove(o.as_str())), &mut *dy) {
            *own = Some(sweep.sum(*own, later));
        }
        let join = chained.get(&at);
        let inputs = join.map_or_else(|| node.input.iter().map(String::as_str).collect(), |join| join.inputs.clone());
        let node = join.map_or(node, |join| &join.node);
        if dy.iter().all(Option::is_none) || reads.is_empty() {
            continue;
        }
        let dx = match dy.iter().flatten().find_map(|d| d.err()) {
            Some(fault) => Err(fault),
            None => {
                let dy = dy.into_iter().map(|d| d.and_then(Result::ok)).collect();
                let made = through(model, graph, node, smooth, (y, dy), values);
                // What was emitted in vain must not spoil what else is emitted.
                made.and_then(|dx| graph.take_fault().map_or(Ok(dx), Err)).map_err(|fault| sweep.fail(fault))
            }
        };
        for (i, &input) in inputs.iter().enumerate().filter(|(_, name)| smooth(name)) {
            let d = match &dx {
                Ok(dx) => {
                    let d = dx.get(i).copied().flatten().ok_or_else(|| no_rule(node, Some(i)));
                    d.and_then(|d| fitting(node, d, values(input)?)).map_err(|fault| sweep.fail(fault))
                }
                Err(fault) => Err(*fault),
            };
            match join.filter(|join| join.earlier == i) {
                Some(_) => {
                    let sum = sweep.sum(through_joins.get(input).copied(), d);
                    through_joins.insert(input, sum);
                }
                None => sweep.add(input, d),
            }
        }
        // What a subgraph takes from around it is differentiated by no rule.
        for name in reads.into_iter().filter(|r| join.is_none() && !inputs.contains(r)) {
            let fault = sweep.fail(no_rule(node, None));
            sweep.add(name, Err(fault));
        }
    }
    if let Some(fault) = graph.take_fault() {
        let fault = sweep.fail(fault);
        sweep.cotangents.values_mut().for_each(|d| *d = Err(fault));
    }
    sweep
}

/// The cotangents of a node's inputs from those of its outputs, as its card says.
fn through<'g>(
    model: &Model,
    graph: &'g Graph,
    node: &NodeProto,
    smooth: impl Fn(&str) -> bool,
    (y, dy): (&str, Vec<Option<Value<'g>>>),
    values: &dyn Fn(&str) -> Result<Value<'g>, Error>,
) -> Result<Vec<Option<Value<'g>>>, Error> {
    // Rules rely on the shapes of the outputs and of what is differentiated.
    let value = |name: &String| match name.as_str() {
        "" => Ok(None),
        name if smooth(name) => values(name)?.shaped().map(Some),
        name => values(name).map(Some),
    };
    let made = |(name, dy): (&String, &Option<Value<'g>>)| match (name.as_str(), dy) {
        ("", _) => values(y),
        (name, Some(_)) => values(name)?.shaped(),
        (name, None) => values(name),
    };
    let vjp = Vjp {
        attributes: model.attributes(node),
        x: node.input.iter().map(value).collect::<Result<_, _>>()?,
        smooth: node.input.iter().map(|x| smooth(x)).collect(),
        y: node.output.iter().zip(&dy).map(made).collect::<Result<_, _>>()?,
        dy,
    };
    if vjp.dy.iter().flatten().all(|d| d.is_zero()) {
        return Ok(vjp.x.iter().map(|x| x.map(|x| x.tensor(ArrayD::zeros(vec![1; x.rank()])))).collect());
    }
    let rule = match ops::find(&vjp.attributes) {
        Ok(card) => card.vjp.ok_or_else(|| no_rule(node, None))?,
        Err(fault) if ops::named(node).is_some() => return Err(fault.at(node)),
        Err(_) => return Err(no_rule(node, None)),
    };
    let own = |name: &String| if name.is_empty() { Ok(None) } else { graph.value(name).map(Some) };
    graph.check(node, &node.input.iter().map(own).collect::<Result<Vec<_>, _>>()?)?;
    let empty = |(y, dy): (&Value, &Option<Value>)| dy.is_none() || y.sizes().contains(&0);
    match vjp.dy.iter().flatten().next() {
        // Nothing comes back from outputs without elements; rules need not think of them.
        Some(d) if vjp.y.iter().zip(&vjp.dy).all(empty) => Ok(vjp.x.iter().map(|x| x.map(|x| d.zeros_as(x))).collect()),
        _ => rule(&vjp).map_err(|fault| fault.at(node)),
    }
}

/// A cotangent `d`, if it broadcasts to the shape of the input `x`.
fn fitting<'g>(node: &NodeProto, d: Value<'g>, x: Value<'g>) -> Result<Value<'g>, Error> {
    let (own, wanted) = (d.dims(), x.dims());
    let ends = own.iter().rev().zip(wanted.iter().rev());
    if own.len() <= wanted.len() && ends.into_iter().all(|(d, x)| d == x || *d == Dim::Fixed(1)) {
        return Ok(d);
    }
    Err(Error::Unsupported {
        at: describe(node),
        what: format!("its derivative by a value of the shape {} came out as {}", show(&wanted), show(&own)),
        remedy: "Choose a layer after this node, and report it with the file".into(),
    })
}

impl<'m, 'g> Sweep<'m, 'g> {
    /// The gradient by `x`.
    ///
    /// # Errors
    /// What keeps it from being known; [`Error::Argument`] where it is zero everywhere.
    pub fn gradient(&self, x: &str) -> Result<Value<'g>, Error> {
        let zero = || format!("the score does not depend smoothly on {x:?}: its gradient is zero everywhere");
        match self.cotangents.get(x) {
            Some(Ok(gradient)) => Ok(*gradient),
            Some(Err(fault)) => Err(self.faults.get(*fault).cloned().unwrap_or_else(|| Error::Argument(zero()))),
            None => Err(Error::Argument(zero())),
        }
    }

    fn fail(&mut self, fault: Error) -> usize {
        self.faults.push(fault);
        self.faults.len() - 1
    }

    fn add(&mut self, name: &'m str, d: Cotangent<'g>) {
        let sum = self.sum(self.cotangents.get(name).copied(), d);
        self.cotangents.insert(name, sum);
    }

    /// The sum of what came back before and `d`.
    fn sum(&mut self, before: Option<Cotangent<'g>>, d: Cotangent<'g>) -> Cotangent<'g> {
        match (before, d) {
            (Some(Ok(sum)), Ok(d)) if d.is_zero() => Ok(sum),
            (Some(Ok(sum)), Ok(d)) if !sum.is_zero() => {
                let sum = sum + d;
                sum.graph().take_fault().map_or(Ok(sum), |fault| Err(self.fail(fault)))
            }
            (Some(Err(fault)), _) => Err(fault),
            (_, d) => d,
        }
    }
}

/// A join that starts or ends with all that an earlier one joins: `[a, b, c]` is `[[a, b], c]`.
struct Chained<'m> {
    /// The node that joins the earlier join and what is left.
    node: NodeProto,
    inputs: Vec<&'m str>,
    /// Which of the inputs is the earlier join.
    earlier: usize,
}

/// The joins on `path` that go on with earlier ones. In a dense block each joins all that came before; of every join
/// taken by itself the cotangents would be as many as the square of its layers, of each as a part of the next they are
/// two a layer.
fn chained<'m>(model: &'m Model, path: &[usize]) -> HashMap<usize, Chained<'m>> {
    // The lists of what is joined, read from their start and from their end, as paths in a tree.
    let mut steps: HashMap<(usize, &str), usize> = HashMap::new();
    let mut roots: HashMap<(bool, i64), usize> = HashMap::new();
    let mut whole: HashMap<usize, &str> = HashMap::new();
    let mut count = 0;
    let mut fresh = || {
        count += 1;
        count
    };
    let mut found = HashMap::new();
    for &i in path {
        let Some(node) = model.graph().node.get(i).filter(|n| is_join(n)) else { continue };
        let Some(output) = node.output.first() else { continue };
        let axis = model.attributes(node).int("axis", 1);
        let mut longest: Option<(usize, bool, &str)> = None;
        for backward in [false, true] {
            let mut at = *roots.entry((backward, axis)).or_insert_with(&mut fresh);
            for length in 1..=node.input.len() {
                let input =
                    if backward { node.input.get(node.input.len() - length) } else { node.input.get(length - 1) };
                let Some(input) = input else { break };
                at = *steps.entry((at, input)).or_insert_with(&mut fresh);
                if let Some(earlier) = whole.get(&at).filter(|_| longest.is_none_or(|(before, ..)| length > before)) {
                    longest = Some((length, backward, earlier));
                }
            }
            whole.entry(at).or_insert(output);
        }
        let Some((length, backward, earlier)) = longest.filter(|(length, ..)| *length > 1) else { continue };
        let mut inputs: Vec<&str> = node.input.iter().map(String::as_str).collect();
        let (start, end) = if backward { (inputs.len() - length, inputs.len()) } else { (0, length) };
        inputs.splice(start..end, [earlier]);
        let node = NodeProto { input: inputs.iter().map(|&i| i.to_owned()).collect(), ..node.clone() };
        found.insert(i, Chained { node, inputs, earlier: start });
    }
    found
}

fn is_join(node: &NodeProto) -> bool {
    ops::named(node).is_some_and(|card| card.entries == Entries::Joined)
}

fn no_rule(node: &NodeProto, input: Option<usize>) -> Error {
    let by = input.map_or(String::new(), |i| format!(" by its input {i}"));
    Error::Unsupported {
        at: describe(node),
        what: format!("hirescam has no derivative rule for {}{by}", node.op_type()),
        remedy: "Choose a layer after this node, or export the network with other operators there".into(),
    }
}
