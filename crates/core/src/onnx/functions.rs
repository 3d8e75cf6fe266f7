//! Calls of a model's own functions, replaced by the functions' bodies.
//!
//! Exporters wrap whole layers in functions (`pkg.torch`, `local_functions`); a derivative needs to see inside.

use super::messages::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, ValueInfoProto,
};
use crate::Error;
use crate::error::short;
use crate::onnx::describe;
use prost::Message;
use std::collections::{HashMap, HashSet};

/// What all inlined bodies may come to: functions that call functions grow exponentially.
const MOST_NODES: usize = 1 << 18;
const MOST_BYTES: usize = 1 << 30;
/// How deep functions may call each other.
const MOST_CALLS: usize = 64;

type Id<'a> = (&'a str, &'a str, &'a str);

/// What replaced a model's calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inlined {
    pub calls: Vec<Call>,
    /// How many declarations of values and imports of operator sets were put after the model's own.
    pub infos: usize,
    pub imports: usize,
}

/// A call, and the nodes in its place: `count` from the node `at` on.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub node: NodeProto,
    pub at: usize,
    pub count: usize,
}

/// Replaces each call in the main graph, and says what by. The functions stay in the model, for calls inside of subgraphs
/// and for those whose body is written for other operator sets than the model's.
///
/// # Errors
/// [`Error::Invalid`] when a function calls itself, [`Error::Unsupported`] when the bodies come to more than any network.
pub(crate) fn inline(model: &mut ModelProto) -> Result<Inlined, Error> {
    let functions: HashMap<Id, &FunctionProto> =
        model.functions.iter().map(|f| ((plain(f.domain()), f.name(), f.overload()), f)).collect();
    let mut inlined = Inlined::default();
    let Some(graph) = &mut model.graph else { return Ok(inlined) };
    if !graph.node.iter().any(|n| functions.contains_key(&called(n))) {
        return Ok(inlined);
    }
    let mut versions: HashMap<String, i64> =
        model.opset_import.iter().map(|o| (plain(o.domain()).to_owned(), o.version())).collect();
    let before = versions.len();
    let mut taken = HashSet::new();
    names(graph, &mut |name| {
        taken.insert(name.to_owned());
    });
    let mut inliner = Inliner {
        functions,
        versions: &mut versions,
        taken,
        renamed: 0,
        nodes: 0,
        bytes: 0,
        made: Vec::new(),
        infos: Vec::new(),
    };
    for node in std::mem::take(&mut graph.node) {
        let (at, call) = (inliner.made.len(), inliner.functions.contains_key(&called(&node)).then(|| node.clone()));
        inliner.add(node, 0)?;
        inlined.calls.extend(call.map(|node| Call { node, at, count: inliner.made.len() - at }));
    }
    let (made, infos) = (inliner.made, inliner.infos);
    inlined.infos = infos.len();
    graph.node = made;
    graph.value_info.extend(infos);
    // Domains that only the functions used so far.
    if versions.len() > before {
        let known: HashSet<String> = model.opset_import.iter().map(|o| plain(o.domain()).to_owned()).collect();
        let mut new: Vec<_> = versions.into_iter().filter(|(domain, _)| !known.contains(domain)).collect();
        new.sort_unstable();
        inlined.imports = new.len();
        model.opset_import.extend(
            new.into_iter()
                .map(|(domain, version)| OperatorSetIdProto { domain: Some(domain), version: Some(version) }),
        );
    }
    Ok(inlined)
}

fn plain(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}

fn called(node: &NodeProto) -> Id<'_> {
    (plain(node.domain()), node.op_type(), node.overload())
}

struct Inliner<'a> {
    functions: HashMap<Id<'a>, &'a FunctionProto>,
    versions: &'a mut HashMap<String, i64>,
    taken: HashSet<String>,
    renamed: usize,
    nodes: usize,
    bytes: usize,
    made: Vec<NodeProto>,
    infos: Vec<ValueInfoProto>,
}

impl Inliner<'_> {
    /// Adds a node, or what it stands for.
    fn add(&mut self, node: NodeProto, depth: usize) -> Result<(), Error> {
        let function = self.functions.get(&called(&node)).copied().filter(|f| self.fits(f));
        let Some(function) = function else {
            self.made.push(node);
            return Ok(());
        };
        if depth == MOST_CALLS {
            let what = "the function calls itself, or functions call each other too deeply".into();
            return Err(Error::Invalid { at: describe(&node), what });
        }
        self.bytes = self.bytes.saturating_add(function.encoded_len());
        self.nodes += function.node.len().max(1);
        if self.bytes > MOST_BYTES || self.nodes > MOST_NODES {
            return Err(Error::Unsupported {
                at: describe(&node),
                what: format!("the functions called come to more than {MOST_NODES} nodes or {MOST_BYTES} bytes"),
                remedy: "Inline them with onnx.inliner.inline_local_functions".into(),
            });
        }
        let mut body = Body::new(self, function, &node);
        let nodes: Vec<NodeProto> = function.node.iter().map(|n| body.node(n)).collect();
        let infos = function.value_info.iter().filter(|i| !function.input.iter().any(|name| name == i.name()));
        let infos: Vec<_> = infos.map(|i| ValueInfoProto { name: Some(body.name(i.name())), ..i.clone() }).collect();
        let passed: Vec<NodeProto> = body.passed.drain(..).collect();
        self.infos.extend(infos);
        nodes.into_iter().chain(passed).try_for_each(|n| self.add(n, depth + 1))
    }

    /// Whether the model imports the operator sets that the function is written for; those it lacks are added.
    fn fits(&mut self, function: &FunctionProto) -> bool {
        let imports = function.opset_import.iter().map(|o| (plain(o.domain()), o.version()));
        let fits = imports.clone().all(|(domain, version)| self.versions.get(domain).is_none_or(|&v| v == version));
        if fits {
            self.versions.extend(imports.map(|(domain, version)| (domain.to_owned(), version)));
        }
        fits
    }
}

/// One call: what the names and attributes of the body stand for.
struct Body<'a> {
    names: HashMap<&'a str, String>,
    attributes: HashMap<&'a str, &'a AttributeProto>,
    taken: &'a mut HashSet<String>,
    renamed: &'a mut usize,
    prefix: String,
    /// Identity nodes for outputs that are inputs.
    passed: Vec<NodeProto>,
}

impl<'a> Body<'a> {
    fn new(inliner: &'a mut Inliner, function: &'a FunctionProto, call: &'a NodeProto) -> Self {
        let prefix = match call.name() {
            "" => call.output.first().map_or("", String::as_str),
            name => name,
        };
        let prefix = short(prefix).to_owned();
        let actual = |list: &'a [String], i: usize| list.get(i).cloned().unwrap_or_default();
        let mut names: HashMap<&str, String> =
            function.input.iter().enumerate().map(|(i, name)| (name.as_str(), actual(&call.input, i))).collect();
        let mut passed = Vec::new();
        for (i, name) in function.output.iter().enumerate() {
            let output = actual(&call.output, i);
            match names.get(name.as_str()) {
                _ if output.is_empty() => {}
                Some(input) => passed.push(NodeProto {
                    op_type: Some("Identity".into()),
                    input: vec![input.clone()],
                    output: vec![output],
                    ..Default::default()
                }),
                None => {
                    names.insert(name, output);
                }
            }
        }
        let defaults = function.attribute_proto.iter().map(|a| (a.name(), a));
        let given = call.attribute.iter().map(|a| (a.name(), a));
        let attributes = defaults.chain(given).collect();
        Body { names, attributes, taken: &mut inliner.taken, renamed: &mut inliner.renamed, prefix, passed }
    }

    /// The name in the main graph for `name` in the body.
    fn name(&mut self, name: &'a str) -> String {
        if name.is_empty() {
            return String::new();
        }
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        let mut free = format!("{}/{name}", self.prefix);
        while !self.taken.insert(free.clone()) {
            *self.renamed += 1;
            free = format!("{}/{name}_{}", self.prefix, self.renamed);
        }
        self.names.insert(name, free.clone());
        free
    }

    fn node(&mut self, node: &'a NodeProto) -> NodeProto {
        NodeProto {
            name: node.name.as_ref().filter(|n| !n.is_empty()).map(|n| format!("{}/{n}", self.prefix)),
            input: node.input.iter().map(|n| self.name(n)).collect(),
            output: node.output.iter().map(|n| self.name(n)).collect(),
            attribute: node.attribute.iter().filter_map(|a| self.attribute(a)).collect(),
            ..node.clone()
        }
    }

    /// The attribute, or what the call gives for it; nothing where it leaves it out.
    fn attribute(&mut self, a: &'a AttributeProto) -> Option<AttributeProto> {
        if !a.ref_attr_name().is_empty() {
            let given = self.attributes.get(a.ref_attr_name())?;
            return Some(AttributeProto { name: a.name.clone(), ..(*given).clone() });
        }
        Some(AttributeProto {
            g: a.g.as_ref().map(|g| self.graph(g)),
            graphs: a.graphs.iter().map(|g| self.graph(g)).collect(),
            ..a.clone()
        })
    }

    fn graph(&mut self, graph: &'a GraphProto) -> GraphProto {
        let mut copy = graph.clone();
        copy.node = graph.node.iter().map(|n| self.node(n)).collect();
        let infos = [
            (&mut copy.input, &graph.input),
            (&mut copy.output, &graph.output),
            (&mut copy.value_info, &graph.value_info),
        ];
        for (copy, own) in infos {
            copy.iter_mut().zip(own).for_each(|(copy, own)| copy.name = Some(self.name(own.name())));
        }
        let sparse = copy.sparse_initializer.iter_mut().filter_map(|t| t.values.as_mut());
        let own = graph.sparse_initializer.iter().filter_map(|t| t.values.as_ref());
        for (copy, own) in copy.initializer.iter_mut().zip(&graph.initializer).chain(sparse.zip(own)) {
            copy.name = Some(self.name(own.name()));
        }
        copy
    }
}

/// Calls `visit` with every name of a value in `graph` and its subgraphs.
pub(crate) fn names<'a>(graph: &'a GraphProto, visit: &mut impl FnMut(&'a str)) {
    let infos = graph.input.iter().chain(&graph.output).map(|v| v.name());
    let sparse = graph.sparse_initializer.iter().filter_map(|t| t.values.as_ref());
    let tensors = graph.initializer.iter().chain(sparse).map(|t| t.name());
    let values = graph.node.iter().flat_map(|n| n.input.iter().chain(&n.output)).map(String::as_str);
    infos.chain(tensors).chain(values).filter(|n| !n.is_empty()).for_each(&mut *visit);
    for inner in graph.node.iter().flat_map(|n| &n.attribute).flat_map(|a| a.g.iter().chain(&a.graphs)) {
        names(inner, visit);
    }
}
