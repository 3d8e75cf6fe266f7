//! Emitting nodes: a [`Value`] is a copyable handle, its methods are the closed list of operators we may emit.
//!
//! An engine that runs the operators named here runs every explanation. Differences between operator sets
//! (an attribute that became an input) are settled here and nowhere else.

mod arithmetic;
mod peephole;
mod quirks;
mod value;

use crate::error::{Fault, short};
use crate::graph::{Attributes, standard};
use crate::onnx::messages::{AttributeProto, NodeProto};
use crate::onnx::{AttributeValue, attribute};
use crate::ops;
use crate::shape::{self, Dim, Fact, Shapes};
use crate::tensor::{DataType, Tensor, is_float};
use crate::{Error, Model};
use prost::Message;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Every operator that may be emitted. CumSum, Einsum and ReduceProd are emitted only in derivatives of themselves,
/// HardSigmoid in that of HardSwish, which is made of it: an engine without them loses nothing.
pub const EMITTED: &[&str] = &[
    "Add",
    "And",
    "ArgMax",
    "Cast",
    "Concat",
    "Constant",
    "Conv",
    "ConvTranspose",
    "Cos",
    "CumSum",
    "Div",
    "Einsum",
    "Equal",
    "Erf",
    "Exp",
    "Expand",
    "Gather",
    "GatherElements",
    "Gemm",
    "Greater",
    "HardSigmoid",
    "Identity",
    "Less",
    "MatMul",
    "Max",
    "Mul",
    "Neg",
    "Pad",
    "Pow",
    "ReduceProd",
    "ReduceSum",
    "Reshape",
    "Resize",
    "ScatterElements",
    "Shape",
    "Sin",
    "Slice",
    "Sqrt",
    "Sub",
    "Tanh",
    "TopK",
    "Transpose",
    "Where",
];

/// Whether the input number `i` of an emitted `op` has the element type of the others of which that is true.
fn alike(op: &str, i: usize) -> bool {
    match op {
        "Where" => i > 0,
        "Pad" => i == 0 || i == 2,
        "ScatterElements" => i != 1,
        "CumSum" | "Expand" | "Gather" | "GatherElements" | "ReduceProd" | "ReduceSum" | "Reshape" | "Resize"
        | "Slice" | "TopK" => i == 0,
        _ => true,
    }
}

/// Two element types of inputs of `node` that ONNX wants to be of one.
fn two_types(node: &NodeProto, inputs: &[Option<Value>]) -> Option<(DataType, DataType)> {
    let one = inputs.iter().enumerate().filter(|(i, _)| alike(node.op_type(), *i));
    let types: Vec<DataType> = one.filter_map(|(_, v)| v.map(Value::dtype)).collect();
    let first = *types.first()?;
    types.into_iter().find(|t| *t != first).map(|other| (first, other))
}

/// The oldest operator set that the emitted nodes are written for: the first whose arithmetic broadcasts as NumPy's.
pub const OLDEST_OPSET: i64 = 7;

/// Emitted operators that came after [`OLDEST_OPSET`], with the operator set that brought them.
const SINCE: &[(&str, i64)] = &[("Erf", 9), ("Expand", 8), ("Where", 9)];

/// The most nodes that are emitted, and the most numbers in all constants among them together.
const MOST_NODES: usize = 1 << 20;
const MOST_NUMBERS: usize = 1 << 26;
/// Constants of up to so many numbers are looked for among those that are there.
const SMALL: usize = 1024;
/// The most numbers of one list of indices.
const LONGEST_LIST: usize = 1 << 24;

/// Nodes to be appended to a model.
#[derive(Debug)]
pub struct Graph {
    opset: i64,
    batches: Vec<usize>,
    /// The operator and the inputs of the model's own nodes, by what they make.
    own: HashMap<usize, (String, Vec<usize>)>,
    /// Why the shapes of some of the model's values are not known.
    unknown: HashMap<String, Rc<Error>>,
    /// How many steps of evaluating constants are left.
    left: Cell<usize>,
    inner: RefCell<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    values: Vec<Entry>,
    known: HashMap<String, usize>,
    nodes: Vec<Emitted>,
    /// The outputs of each node by what it is: the same is never emitted twice.
    made: HashMap<Same, Vec<usize>>,
    /// Small constants by what they are.
    constants: HashMap<(DataType, Vec<usize>, Vec<u64>), usize>,
    numbers: usize,
    fault: Option<Error>,
}

impl Inner {
    /// The emitted node that makes the value `id`.
    fn maker(&self, id: usize) -> Option<&Emitted> {
        // Values are numbered in the order in which nodes are emitted.
        let at = self.nodes.partition_point(|n| n.outputs.iter().all(|&o| o < id));
        self.nodes.get(at).filter(|n| n.outputs.contains(&id))
    }
}

/// A value: its facts at each batch size, and its name where it is one of the model's own.
#[derive(Debug)]
struct Entry {
    facts: Option<Vec<Fact>>,
    name: Option<String>,
}

impl Entry {
    /// The value, where it is a small constant, the same for every batch.
    fn constant(&self) -> Option<&Tensor> {
        let (first, others) = self.facts.as_ref()?.split_first()?;
        let value = first.value.as_deref()?;
        others.iter().all(|f| f.value.as_deref().is_some_and(|v| v.same(value))).then_some(value)
    }
}

/// What makes two nodes one: operator, inputs, attributes as they are written, the number of outputs.
type Same = (&'static str, Vec<Option<usize>>, Vec<Vec<u8>>, usize);

#[derive(Debug)]
struct Emitted {
    op: &'static str,
    inputs: Vec<Option<usize>>,
    outputs: Vec<usize>,
    attributes: Vec<AttributeProto>,
}

/// A value of the model or of the emitted nodes.
#[derive(Clone, Copy)]
pub struct Value<'g> {
    graph: &'g Graph,
    id: usize,
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Value({} {:?})", self.id, self.dims())
    }
}

impl Graph {
    /// A graph of nodes to be appended to `model`, whose values have `shapes`.
    pub fn new(model: &Model, shapes: &Shapes) -> Self {
        let mut inner = Inner::default();
        for name in model.values().chain(model.given()) {
            let facts = shapes.probes.iter().map(|(_, f)| f.get(name).cloned()).collect();
            inner.known.entry(name.to_owned()).or_insert(inner.values.len());
            inner.values.push(Entry { facts, name: Some(name.to_owned()) });
        }
        let id = |name: &String| inner.known.get(name.as_str()).copied();
        let of = |n: &NodeProto| (standard(n).to_owned(), n.input.iter().filter_map(id).collect());
        let nodes = model.graph().node.iter().flat_map(|n| n.output.iter().filter_map(move |o| Some((id(o)?, of(n)))));
        Graph {
            own: nodes.collect(),
            unknown: shapes.causes(model).into_iter().map(|(name, cause)| (name.to_owned(), cause)).collect(),
            opset: model.opset(),
            batches: shapes.probes.iter().map(|(b, _)| *b).collect(),
            left: Cell::new(shape::FOLD_ALL),
            inner: RefCell::new(inner),
        }
    }

    /// The version of ONNX's operator set that nodes are emitted for.
    pub fn opset(&self) -> i64 {
        self.opset
    }

    /// The model's value `name`.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub fn value(&self, name: &str) -> Result<Value<'_>, Error> {
        let inner = self.inner.borrow();
        match inner.known.get(name) {
            Some(&id) => Ok(Value { graph: self, id }),
            None => Err(Error::NotFound { kind: "value", name: name.to_owned(), near: Vec::new() }),
        }
    }

    /// A constant.
    pub fn constant(&self, tensor: Tensor) -> Value<'_> {
        let mut inner = self.inner.borrow_mut();
        let bits = |t: &Tensor| (t.dtype, t.shape().to_vec(), t.data.iter().map(|v| v.to_bits()).collect());
        let same = (tensor.data.len() <= SMALL).then(|| bits(&tensor));
        if let Some(&id) = same.as_ref().and_then(|same| inner.constants.get(same)) {
            return Value { graph: self, id };
        }
        inner.numbers = inner.numbers.saturating_add(tensor.data.len());
        if inner.numbers > MOST_NUMBERS {
            inner.fault.get_or_insert_with(too_large);
        }
        inner.values.push(Entry { facts: Some(vec![Fact::constant(tensor); self.batches.len()]), name: None });
        let id = inner.values.len() - 1;
        inner.constants.extend(same.map(|same| (same, id)));
        Value { graph: self, id }
    }

    /// An input that is added to the model.
    pub fn input(&self, name: &str, dtype: DataType, dims: &[Dim]) -> Value<'_> {
        let at = |batch: &usize| {
            let extent = |d: &Dim| match d {
                Dim::Fixed(n) => *n,
                Dim::Batch(times) => times * batch,
            };
            Fact::new(dtype, dims.iter().map(extent).collect::<Vec<_>>())
        };
        let facts = Some(self.batches.iter().map(at).collect());
        let mut inner = self.inner.borrow_mut();
        inner.values.push(Entry { facts, name: Some(name.to_owned()) });
        Value { graph: self, id: inner.values.len() - 1 }
    }

    /// A list of int64.
    pub fn ints(&self, values: &[i64]) -> Value<'_> {
        self.constant(Tensor::ints(values))
    }

    /// What to say of a value whose shape is not known: what keeps it from being known, where that is one of the model's nodes.
    fn unknown_shape(&self, name: Option<&str>) -> Error {
        let cause = name.and_then(|name| self.unknown.get(name));
        cause.map(|cause| cause.as_ref().clone()).unwrap_or_else(|| Error::Unsupported {
            at: format!("the value {:?}", short(name.unwrap_or_default())),
            what: "its shape cannot be found out".into(),
            remedy: "Explain a later layer".into(),
        })
    }

    fn emit<'g>(
        &'g self,
        op: &'static str,
        inputs: &[Option<Value<'g>>],
        attributes: Vec<AttributeProto>,
        outputs: usize,
    ) -> Vec<Value<'g>> {
        let ids: Vec<Option<usize>> = inputs.iter().map(|v| v.map(|v| v.id)).collect();
        let same = (op, ids.clone(), attributes.iter().map(Message::encode_to_vec).collect(), outputs);
        let handles = |ids: &[usize]| ids.iter().map(|&id| Value { graph: self, id }).collect();
        if let Some(made) = self.inner.borrow().made.get(&same) {
            return handles(made);
        }
        // Names are given at the end; until then it counts which there are.
        let there = |v: &Option<Value>| v.map_or("", |_| "x").to_owned();
        let node = NodeProto {
            op_type: Some(op.into()),
            input: inputs.iter().map(there).collect(),
            output: vec!["y".into(); outputs],
            attribute: attributes,
            ..Default::default()
        };
        let mixed = |(a, b)| {
            Fault::Unsupported(format!("the derivative would mix the element types {a:?} and {b:?}")).at(&node)
        };
        let facts = two_types(&node, inputs).map_or_else(|| self.infer(&node, inputs), |types| Err(mixed(types)));
        let mut inner = self.inner.borrow_mut();
        let made: Vec<usize> = (0..outputs).map(|i| inner.values.len() + i).collect();
        match facts {
            Ok(mut facts) => {
                inner.made.insert(same, made.clone());
                for i in 0..outputs {
                    let one: Option<Vec<Fact>> = facts.iter_mut().map(|f| f.get(i).cloned()).collect();
                    inner.values.push(Entry { facts: one, name: None });
                }
            }
            Err(error) => {
                inner.fault.get_or_insert(error);
                // Something of about the right shape, so that a rule can go on: it does not count any more.
                let like = inputs.iter().flatten().next().and_then(|v| inner.values.get(v.id)?.facts.clone());
                inner.values.extend((0..outputs).map(|_| Entry { facts: like.clone(), name: None }));
            }
        }
        if inner.nodes.len() >= MOST_NODES {
            inner.fault.get_or_insert_with(too_large);
            return handles(&made);
        }
        inner.nodes.push(Emitted { op, inputs: ids, outputs: made.clone(), attributes: node.attribute });
        handles(&made)
    }

    /// Checks the inputs of a node by their types and by its card's shape rule, as derivative rules rely on it. A shape that the rule cannot
    /// find, so that it is the file's own, is no error.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the inputs do not fit.
    pub fn check(&self, node: &NodeProto, inputs: &[Option<Value>]) -> Result<(), Error> {
        // An exponent may be of another type than its base.
        let emitted = EMITTED.contains(&standard(node)) && standard(node) != "Pow";
        if let Some((a, b)) = two_types(node, inputs).filter(|_| emitted) {
            return Err(
                Fault::Invalid(format!("its inputs are {a:?} and {b:?}, and ONNX wants one element type")).at(node)
            );
        }
        match self.infer(node, inputs) {
            Err(Error::Unsupported { .. }) | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The facts of the node's outputs at each batch size.
    pub(crate) fn infer(&self, node: &NodeProto, inputs: &[Option<Value>]) -> Result<Vec<Vec<Fact>>, Error> {
        let inner = self.inner.borrow();
        let attributes = Attributes { node, opset: self.opset };
        if let Some((op, since)) = SINCE.iter().find(|(op, since)| *op == node.op_type() && self.opset < *since) {
            return Err(Error::Unsupported {
                at: format!("operator set {}", self.opset),
                what: format!("the derivative needs {op}, which came with operator set {since}"),
                remedy: "Convert the file with onnx.version_converter.convert_version(model, 17)".into(),
            });
        }
        let card = ops::find(&attributes).map_err(|fault| fault.at(node))?;
        let at = |probe: usize| {
            let facts: Result<Vec<Option<&Fact>>, Error> = inputs
                .iter()
                .map(|v| match v {
                    None => Ok(None),
                    Some(v) => {
                        let entry = inner.values.get(v.id);
                        let fact = entry.and_then(|e| e.facts.as_ref()).and_then(|f| f.get(probe));
                        fact.map(Some).ok_or_else(|| self.unknown_shape(entry.and_then(|e| e.name.as_deref())))
                    }
                })
                .collect();
            shape::outputs(card, &attributes, &facts?, &self.left).map_err(|f| f.at(node))
        };
        (0..self.batches.len()).map(at).collect()
    }

    fn one<'g>(&'g self, op: &'static str, inputs: &[Value<'g>], attributes: Vec<AttributeProto>) -> Value<'g> {
        let inputs: Vec<Option<Value>> = inputs.iter().copied().map(Some).collect();
        match self.emit(op, &inputs, attributes, 1).first() {
            Some(&v) => v,
            None => self.ints(&[]),
        }
    }

    /// The operator that makes `v`, and what it reads.
    fn maker(&self, v: Value) -> Option<(&str, Vec<Value<'_>>)> {
        let values = |ids: &mut dyn Iterator<Item = usize>| ids.map(|id| Value { graph: self, id }).collect();
        if let Some((op, inputs)) = self.own.get(&v.id) {
            return Some((op, values(&mut inputs.iter().copied())));
        }
        let inner = self.inner.borrow();
        let node = inner.maker(v.id)?;
        Some((node.op, values(&mut node.inputs.iter().copied().flatten())))
    }

    /// What `v` is the sum of, and over which axes, where an emitted ReduceSum makes it.
    fn summed(&self, v: Value) -> Option<(Value<'_>, Vec<usize>)> {
        let inner = self.inner.borrow();
        let node = inner.maker(v.id).filter(|n| n.op == "ReduceSum")?;
        let mut inputs = node.inputs.iter().copied().flatten();
        let x = Value { graph: self, id: inputs.next()? };
        let axes = match inputs.next() {
            Some(list) => inner.values.get(list)?.constant()?.to_ints(),
            None => node.attributes.iter().find(|a| a.name() == "axes")?.ints.clone(),
        };
        Some((x, axes.into_iter().filter_map(|a| usize::try_from(a).ok()).collect()))
    }

    /// What went wrong while emitting since this was last asked, if anything.
    pub fn take_fault(&self) -> Option<Error> {
        self.inner.borrow_mut().fault.take()
    }

    /// The nodes that `outputs` need, with each output under its name, in an order in which they can run.
    ///
    /// Constants are folded, what nobody needs is left out.
    ///
    /// # Errors
    /// The first error met while emitting.
    pub fn finish(&self, outputs: &[(Value<'_>, &str)], taken: &HashSet<&str>) -> Result<Vec<NodeProto>, Error> {
        let wanted: Vec<(usize, String)> = outputs.iter().map(|(v, n)| (v.id, (*n).to_owned())).collect();
        let wanted = wanted.as_slice();
        let mut inner = self.inner.borrow_mut();
        if let Some(fault) = inner.fault.take() {
            return Err(fault);
        }
        let inner = &*inner;
        let folded = |id: usize| {
            let entry = inner.values.get(id)?;
            entry.constant().filter(|_| entry.name.is_none())
        };
        let mut needed: HashSet<usize> = wanted.iter().map(|(id, _)| *id).collect();
        let mut kept: Vec<&Emitted> = Vec::new();
        for node in inner.nodes.iter().rev() {
            if node.outputs.iter().any(|o| needed.contains(o) && folded(*o).is_none()) {
                needed.extend(node.inputs.iter().flatten());
                kept.push(node);
            }
        }
        let mut prefix = "hirescam".to_owned();
        while taken.iter().any(|t| t.starts_with(&format!("{prefix}/"))) {
            prefix.push('_');
        }
        let mut names: HashMap<usize, String> = HashMap::new();
        let mut made = Vec::new();
        let emitted: HashSet<usize> = kept.iter().flat_map(|n| n.outputs.iter().copied()).collect();
        for (id, name) in wanted {
            if emitted.contains(id) && folded(*id).is_none() && !names.contains_key(id) {
                names.insert(*id, name.clone());
            }
        }
        let constants = needed.iter().copied().filter(|&id| folded(id).is_some());
        let mut constants: Vec<usize> = constants.collect();
        constants.sort_unstable();
        for id in constants {
            let Some(value) = folded(id) else { continue };
            let name = format!("{prefix}/constant_{id}");
            made.extend(self.constant_nodes(&name, value)?);
            names.insert(id, name);
        }
        let mut name_of = |id: usize, op: &str| -> String {
            if let Some(own) = inner.values.get(id).and_then(|e| e.name.clone()) {
                return own;
            }
            names.entry(id).or_insert_with(|| format!("{prefix}/{op}_{id}")).clone()
        };
        for node in kept.iter().rev() {
            let output: Vec<String> = node.outputs.iter().map(|&o| name_of(o, node.op)).collect();
            let input = node.inputs.iter().map(|i| i.map_or(String::new(), |i| name_of(i, ""))).collect();
            made.push(NodeProto {
                name: node.outputs.first().map(|o| format!("{prefix}/{}_{o}", node.op)),
                op_type: Some(node.op.into()),
                input,
                output,
                attribute: node.attributes.clone(),
                ..Default::default()
            });
        }
        for (id, name) in wanted {
            let own = name_of(*id, "");
            if own != *name {
                made.push(NodeProto {
                    name: Some(format!("{prefix}/{name}")),
                    op_type: Some("Identity".into()),
                    input: vec![own],
                    output: vec![name.clone()],
                    ..Default::default()
                });
            }
        }
        Ok(made)
    }

    /// The nodes of a constant that is called `name`. Before operator set 9 constants are floats.
    fn constant_nodes(&self, name: &str, value: &Tensor) -> Result<Vec<NodeProto>, Error> {
        let node = |op: &str, name: &str| NodeProto {
            op_type: Some(op.into()),
            name: Some(name.to_owned()),
            output: vec![name.to_owned()],
            ..Default::default()
        };
        let float = (self.opset < 9 && !is_float(value.dtype)).then(|| format!("{name}_float"));
        let dtype = if float.is_some() { DataType::Double } else { value.dtype };
        let stored = float.as_deref().unwrap_or(name);
        let mut constant = node("Constant", stored);
        let tensor = Tensor { dtype, data: value.data.clone() }.to_proto(stored).map_err(|f| f.at(&constant))?;
        constant.attribute = vec![attribute("value", AttributeValue::Tensor(Box::new(tensor)))];
        let cast = float.map(|float| {
            let to = vec![attribute("to", value.dtype as i64)];
            NodeProto { input: vec![float], attribute: to, ..node("Cast", name) }
        });
        Ok([constant].into_iter().chain(cast).collect())
    }
}

fn too_large() -> Error {
    Error::Unsupported {
        at: "the derivative".into(),
        what: format!("it takes more than {MOST_NODES} nodes, or constants of more than {MOST_NUMBERS} numbers"),
        remedy: "Choose a later layer".into(),
    }
}
