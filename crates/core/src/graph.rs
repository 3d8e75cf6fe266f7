//! A model over the protobuf messages, with an index of who makes and who uses a value.

use crate::error::{Fault, invalid, short, unsupported};
use crate::onnx;
use crate::onnx::describe;
use crate::onnx::functions::Inlined;
use crate::onnx::messages::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use crate::ops::{self, Card};
use crate::{Error, Tensor, tensor};
use bytes::Bytes;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// An ONNX model and the index of its main graph. The messages stay as they were read.
#[derive(Clone, Debug)]
pub struct Model {
    proto: ModelProto,
    order: Vec<usize>,
    maker: HashMap<String, usize>,
    initializers: HashMap<String, usize>,
    opset: i64,
    /// What nodes are read as whose switch is stored as off: the same without it. By their first outputs.
    switched_off: HashMap<String, NodeProto>,
    inlined: Inlined,
    file: Option<Bytes>,
}

impl Model {
    /// Indexes a model; calls of its own functions are replaced by their bodies.
    ///
    /// # Errors
    /// [`Error::Invalid`] when a value is made twice, used but never made, or depends on itself, and when a tensor holds
    /// other than its shape says.
    pub fn new(mut proto: ModelProto) -> Result<Self, Error> {
        onnx::each_tensor(&mut proto, &mut |t| {
            let at = || format!("the tensor {:?}", short(t.name()));
            tensor::check(t).map_err(|fault| Error::Invalid { at: at(), what: fault.to_string() })
        })?;
        let inlined = onnx::functions::inline(&mut proto)?;
        let bad = |at: String, what: String| Err(Error::Invalid { at, what });
        let Some(graph) = &proto.graph else { return bad("the file".into(), "it holds no graph".into()) };
        let opset = proto.opset_import.iter().find(|o| matches!(o.domain(), "" | "ai.onnx")).map_or(1, |o| o.version());
        let mut initializers: HashMap<String, usize> = HashMap::new();
        for (i, tensor) in graph.initializer.iter().enumerate() {
            let first = initializers.insert(tensor.name().to_owned(), i);
            if first.and_then(|first| graph.initializer.get(first)).is_some_and(|first| first != tensor) {
                return bad(format!("the tensor {:?}", short(tensor.name())), "it is stored twice, differently".into());
            }
        }
        let mut given: HashSet<&str> = HashSet::new();
        if let Some(twice) = graph.input.iter().find(|v| !given.insert(v.name())) {
            return bad(format!("the input {:?}", short(twice.name())), "it is declared twice".into());
        }
        given.extend(initializers.keys().map(String::as_str));
        given.extend(graph.sparse_initializer.iter().filter_map(|t| t.values.as_ref()).map(|t| t.name()));
        let mut maker = HashMap::new();
        for (i, node) in graph.node.iter().enumerate() {
            if let Some(a) = node.attribute.iter().find(|a| !a.ref_attr_name().is_empty()) {
                let what = format!("its attribute {:?} refers to a function's, and it is in none", short(a.name()));
                return bad(describe(node), what);
            }
            for output in node.output.iter().filter(|o| !o.is_empty()) {
                if given.contains(output.as_str()) || maker.insert(output.clone(), i).is_some() {
                    return bad(describe(node), format!("the value {:?} is made a second time", short(output)));
                }
            }
        }
        let order = topological(graph, &maker, &given)?;
        for output in &graph.output {
            if !given.contains(output.name()) && !maker.contains_key(output.name()) {
                return bad(format!("the output {:?}", short(output.name())), "no node makes it".into());
            }
        }
        let switched_off = HashMap::new();
        let mut model = Model { order, maker, initializers, opset, switched_off, inlined, file: None, proto };
        model.switched_off = model.order().filter_map(|(_, node)| model.without_switch(node)).collect();
        Ok(model)
    }

    /// Reads a model from the bytes of an ONNX file.
    ///
    /// # Errors
    /// Those of [`crate::onnx::read`] and [`Model::new`].
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Result<Self, Error> {
        let bytes = bytes.into();
        Ok(Self::new(onnx::read(bytes.clone())?)?.with_file(bytes))
    }

    /// Keeps the file that the model was read from, to which explaining models then add instead of writing all anew: what
    /// the file holds beyond the ONNX of today stays in it. Only for messages that were not changed since.
    pub fn with_file(self, file: Bytes) -> Self {
        Model { file: Some(file), ..self }
    }

    /// The file, where it is known and holds just these messages, but for calls of the model's own functions.
    pub fn file(&self) -> Option<&Bytes> {
        self.file.as_ref()
    }

    /// What replaced those calls.
    pub(crate) fn inlined(&self) -> &Inlined {
        &self.inlined
    }

    /// The messages: as read, but for calls of the model's own functions.
    pub fn proto(&self) -> &ModelProto {
        &self.proto
    }

    /// The main graph.
    pub fn graph(&self) -> &GraphProto {
        static EMPTY: std::sync::LazyLock<GraphProto> = std::sync::LazyLock::new(GraphProto::default);
        self.proto.graph.as_ref().unwrap_or(&EMPTY)
    }

    /// The attributes of one of the model's nodes.
    pub fn attributes<'a>(&'a self, node: &'a NodeProto) -> Attributes<'a> {
        let off = node.output.first().and_then(|made| self.switched_off.get(made));
        Attributes { node: off.unwrap_or(node), opset: self.opset }
    }

    /// A node whose switch is stored as off, without that input.
    fn without_switch(&self, node: &NodeProto) -> Option<(String, NodeProto)> {
        let at = ops::named(node)?.switch?;
        let name = node.input.get(at)?;
        let stored = self.initializer(name).or_else(|| ops::constant::stored(self.maker(name)?))?;
        let off = Tensor::from_proto(stored).ok()?.scalar() == Some(0.0);
        let input = node.input.iter().take(at).cloned().collect();
        off.then_some((node.output.first()?.clone(), NodeProto { input, ..node.clone() }))
    }

    /// The card that vouches for one of the model's nodes, if there is one: [`ops::find`] says why not.
    pub fn card(&self, node: &NodeProto) -> Option<&'static Card> {
        ops::find(&self.attributes(node)).ok()
    }

    /// The version of ONNX's own operator set that the model imports.
    pub fn opset(&self) -> i64 {
        self.opset
    }

    /// The nodes so that each comes after those it depends on.
    pub fn order(&self) -> impl DoubleEndedIterator<Item = (usize, &NodeProto)> {
        self.order.iter().filter_map(|&i| Some((i, self.graph().node.get(i)?)))
    }

    /// The node that makes `value`; none for inputs and initialisers.
    pub fn maker(&self, value: &str) -> Option<&NodeProto> {
        self.maker_index(value).and_then(|i| self.graph().node.get(i))
    }

    /// The index of the node that makes `value`.
    pub fn maker_index(&self, value: &str) -> Option<usize> {
        self.maker.get(value).copied()
    }

    /// The stored tensor called `name`.
    pub fn initializer(&self, name: &str) -> Option<&TensorProto> {
        self.initializers.get(name).and_then(|&i| self.graph().initializer.get(i))
    }

    /// The inputs that a caller feeds: those that are not initialisers as well.
    pub fn inputs(&self) -> impl Iterator<Item = &ValueInfoProto> {
        self.graph().input.iter().filter(|i| self.initializer(i.name()).is_none())
    }

    /// Whether some value of the main graph is called `name`.
    pub fn has_value(&self, name: &str) -> bool {
        self.maker.contains_key(name) || self.initializer(name).is_some() || self.given().any(|n| n == name)
    }

    /// The values that no node makes: inputs and stored tensors.
    pub fn given(&self) -> impl Iterator<Item = &str> {
        let graph = self.graph();
        let sparse = graph.sparse_initializer.iter().filter_map(|t| t.values.as_ref());
        graph.input.iter().map(|v| v.name()).chain(graph.initializer.iter().chain(sparse).map(|t| t.name()))
    }

    /// Every name of a value in the graph and in the subgraphs of its nodes.
    pub fn names(&self) -> HashSet<&str> {
        let mut names = HashSet::new();
        onnx::functions::names(self.graph(), &mut |name| {
            names.insert(name);
        });
        names
    }

    /// All values that nodes make, in the order of the nodes.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.order().flat_map(|(_, n)| n.output.iter()).map(String::as_str).filter(|o| !o.is_empty())
    }

    /// The metadata entry `key` of the file.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.proto.metadata_props.iter().find(|e| e.key() == key).map(|e| e.value())
    }
}

impl<'m> From<&'m Model> for Cow<'m, Model> {
    fn from(model: &'m Model) -> Self {
        Cow::Borrowed(model)
    }
}

impl From<Model> for Cow<'_, Model> {
    fn from(model: Model) -> Self {
        Cow::Owned(model)
    }
}

/// A node's operator, where it is one of ONNX's own; else nothing.
pub fn standard(node: &NodeProto) -> &str {
    if matches!(node.domain(), "" | "ai.onnx") { node.op_type() } else { "" }
}

/// Every value that a node reads, those that its subgraphs take from around them included.
pub fn reads(node: &NodeProto) -> Vec<&str> {
    let mut names: Vec<&str> = node.input.iter().map(String::as_str).filter(|n| !n.is_empty()).collect();
    for graph in node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs)) {
        captured(graph, &mut names);
    }
    names
}

fn captured<'a>(graph: &'a GraphProto, names: &mut Vec<&'a str>) {
    let own: HashSet<&str> = (graph.input.iter().map(|v| v.name()))
        .chain(graph.initializer.iter().map(|t| t.name()))
        .chain(graph.sparse_initializer.iter().filter_map(|t| t.values.as_ref()).map(|t| t.name()))
        .chain(graph.node.iter().flat_map(|n| n.output.iter().map(String::as_str)))
        .collect();
    let inner = graph.node.iter().flat_map(reads).chain(graph.output.iter().map(|o| o.name()));
    names.extend(inner.filter(|n| !own.contains(n)));
}

fn topological(graph: &GraphProto, maker: &HashMap<String, usize>, given: &HashSet<&str>) -> Result<Vec<usize>, Error> {
    let mut waits = Vec::with_capacity(graph.node.len());
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); graph.node.len()];
    for (i, node) in graph.node.iter().enumerate() {
        let mut wait = 0usize;
        for name in reads(node) {
            match maker.get(name) {
                Some(&m) => {
                    if let Some(users) = users.get_mut(m) {
                        users.push(i);
                    }
                    wait += 1;
                }
                None if given.contains(name) => {}
                None => {
                    let what = format!("it reads {:?}, which nothing makes", short(name));
                    return Err(Error::Invalid { at: describe(node), what });
                }
            }
        }
        waits.push(wait);
    }
    // Among nodes that are ready, the earliest in the file goes first: a sorted file keeps its order.
    let mut ready: std::collections::BTreeSet<usize> =
        waits.iter().enumerate().filter(|(_, w)| **w == 0).map(|(i, _)| i).collect();
    let mut order = Vec::with_capacity(waits.len());
    while let Some(i) = ready.pop_first() {
        order.push(i);
        for &user in users.get(i).into_iter().flatten() {
            if let Some(wait) = waits.get_mut(user) {
                *wait -= 1;
                if *wait == 0 {
                    ready.insert(user);
                }
            }
        }
    }
    match graph.node.iter().zip(&waits).find(|(_, wait)| **wait > 0) {
        Some((node, _)) => Err(Error::Invalid { at: describe(node), what: "it depends on its own output".into() }),
        None => Ok(order),
    }
}

/// The attributes of a node by name and type, and the operator set they are to be read by.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    /// The node.
    pub node: &'a NodeProto,
    /// The version of ONNX's operator set.
    pub opset: i64,
}

impl<'a> Attributes<'a> {
    /// The attribute `name`, if present.
    pub fn get(&self, name: &str) -> Option<&'a AttributeProto> {
        self.node.attribute.iter().find(|a| a.name() == name)
    }

    /// An integer, or `default`. Writers by the rules of proto3 leave out the number of an attribute that is 0.
    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.get(name).map_or(default, AttributeProto::i)
    }

    /// A float, or `default`.
    pub fn float(&self, name: &str, default: f32) -> f64 {
        self.get(name).map_or(default, AttributeProto::f).into()
    }

    /// A list of integers.
    pub fn ints(&self, name: &str) -> Option<&'a [i64]> {
        self.get(name).map(|a| a.ints.as_slice())
    }

    /// A string, or `default`.
    pub fn string(&self, name: &str, default: &'static str) -> &'a str {
        self.get(name).map_or(default, |a| std::str::from_utf8(a.s()).unwrap_or_default())
    }

    /// Checks that a string, which is `default` where it is not given, is one of `known`.
    ///
    /// # Errors
    /// [`Fault::Unsupported`] when it is another.
    pub fn one_of(&self, name: &str, default: &'static str, known: &[&str]) -> Result<(), Fault> {
        match self.string(name, default) {
            given if known.contains(&given) => Ok(()),
            given => unsupported(format!("{name} {:?}", short(given))),
        }
    }

    /// A tensor.
    ///
    /// # Errors
    /// Those of [`Tensor::from_proto`].
    pub fn tensor(&self, name: &str) -> Result<Option<Tensor>, Fault> {
        self.get(name).and_then(|a| a.t.as_ref()).map(Tensor::from_proto).transpose()
    }
}

/// The axis `axis` of a value of rank `rank`, counted from the end where negative.
///
/// # Errors
/// [`Fault::Invalid`] when it lies outside.
pub fn axis(axis: i64, rank: usize) -> Result<usize, Fault> {
    let at = if axis < 0 { axis.checked_add(rank as i64).unwrap_or(-1) } else { axis };
    match usize::try_from(at) {
        Ok(a) if a < rank => Ok(a),
        _ => invalid(format!("axis {axis} of a value with {rank} axes")),
    }
}

/// The extents before the axis `at` of a shape, its own, and those after it.
///
/// # Errors
/// [`Fault::Invalid`] when there is no such axis.
pub fn around<T: Copy>(shape: &[T], at: usize) -> Result<(&[T], T, &[T]), Fault> {
    match shape.split_at_checked(at) {
        Some((before, [own, after @ ..])) => Ok((before, *own, after)),
        _ => invalid(format!("axis {at} of a value with {} axes", shape.len())),
    }
}

/// The extent of the axis `at` of a shape.
///
/// # Errors
/// As [`around`].
pub fn extent<T: Copy>(shape: &[T], at: usize) -> Result<T, Fault> {
    around(shape, at).map(|(_, own, _)| own)
}

/// The shape with the extent `n` along the axis `at`.
///
/// # Errors
/// As [`around`].
pub fn with_extent<T: Copy>(shape: &[T], at: usize, n: T) -> Result<Vec<T>, Fault> {
    let (before, _, after) = around(shape, at)?;
    Ok([before, &[n], after].concat())
}

/// The extents along `axes`, in that order.
///
/// # Errors
/// As [`around`].
pub fn extents<T: Copy>(shape: &[T], axes: &[usize]) -> Result<Vec<T>, Fault> {
    axes.iter().map(|&at| extent(shape, at)).collect()
}
