//! What tract (0.23) computes for float32 only, spelled in nodes that it runs for other kinds of numbers.

use std::collections::HashSet;

use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto};
use tract_onnx::pb::{attribute_proto::AttributeType, tensor_proto::DataType, type_proto::Value as Type};

/// Operators that tract has no float64 for. They make the detour by float32.
const NO_FLOAT64: &[&str] = &["Elu", "Erf", "Gelu", "HardSwish", "LeakyRelu", "Round", "Sigmoid", "Swish"];

/// Respells nodes of a graph that has more kinds of numbers than float32.
pub(super) fn respell(graph: &mut GraphProto) {
    let [half, double] = [DataType::Float16, DataType::Double].map(|kind| has(graph, kind as i32));
    if !half && !double {
        return;
    }
    let float = |t: &&TensorProto| t.data_type == DataType::Float as i32;
    let known: HashSet<String> = graph.initializer.iter().filter(float).map(|t| t.name.clone()).collect();
    for node in std::mem::take(&mut graph.node) {
        let float = node.input.get(1).is_some_and(|b| known.contains(b));
        match node.op_type.as_str() {
            "Gemm" if !float => split_gemm(node, &mut graph.node),
            op if double && NO_FLOAT64.contains(&op) => by_float32(node, &mut graph.node),
            _ => graph.node.push(node),
        }
    }
}

/// Whether a graph holds numbers of a kind: stored, as an input, or made by a node.
fn has(graph: &GraphProto, kind: i32) -> bool {
    let inputs = graph.input.iter().any(|input| {
        let declared = input.r#type.as_ref().and_then(|t| t.value.as_ref());
        declared.is_some_and(|Type::TensorType(tensor)| tensor.elem_type == kind)
    });
    let made =
        |a: &AttributeProto| a.t.as_ref().map_or(a.name == "to" && a.i == i64::from(kind), |t| t.data_type == kind);
    inputs
        || graph.initializer.iter().any(|t| t.data_type == kind)
        || graph.node.iter().flat_map(|node| &node.attribute).any(made)
}

/// A node beside `of`, which makes one value.
fn beside(of: &NodeProto, op: &str, name: &str, input: &[&str], attribute: Vec<AttributeProto>) -> NodeProto {
    let output = of.output.first().map_or("", String::as_str);
    NodeProto {
        op_type: op.into(),
        // Nodes need no names of their own, but those that have one need another than all others.
        name: format!("{output}.{name}"),
        input: input.iter().map(|i| (*i).to_owned()).collect(),
        output: vec![format!("{output}.{name}")],
        attribute,
        ..Default::default()
    }
}

fn made(node: &NodeProto) -> String {
    node.output.first().cloned().unwrap_or_default()
}

/// x → Cast → op → Cast to what x was.
fn by_float32(node: NodeProto, nodes: &mut Vec<NodeProto>) {
    let Some(x) = node.input.first().cloned() else { return nodes.push(node) };
    let to = AttributeProto {
        name: "to".into(),
        r#type: AttributeType::Int as i32,
        i: DataType::Float as i64,
        ..Default::default()
    };
    let narrow = beside(&node, "Cast", "narrow", &[&x], vec![to]);
    let mut inner = beside(&node, &node.op_type, "float32", &[&made(&narrow)], node.attribute.clone());
    inner.domain = node.domain.clone();
    let wide = beside(&node, "CastLike", "wide", &[&made(&inner), &x], Vec::new());
    nodes.extend([narrow, inner, NodeProto { name: node.name, output: node.output, ..wide }]);
}

/// α · A · B + β · C in nodes of one operation each: tract multiplies with float32, whatever the matrices hold.
fn split_gemm(node: NodeProto, nodes: &mut Vec<NodeProto>) {
    let factor = |name: &str| node.attribute.iter().find(|a| a.name == name).map_or(1.0, |a| a.f);
    let (alpha, beta) = (factor("alpha"), factor("beta"));
    let c = node.input.get(2).filter(|c| !c.is_empty() && beta != 0.0).cloned();
    let [a, b, ..] = node.input.as_slice() else { return nodes.push(node) };
    if c.is_none() && alpha == 1.0 {
        return nodes.push(node);
    }
    let turned = node.attribute.iter().filter(|a| a.name.starts_with("trans")).cloned().collect();
    let product = beside(&node, "Gemm", "product", &[a, b], turned);
    let mut sum = made(&product);
    nodes.push(product);
    let times = |value: String, by: f32, name: &str, nodes: &mut Vec<NodeProto>| {
        if by == 1.0 {
            return value;
        }
        let tensor = TensorProto { data_type: DataType::Float as i32, float_data: vec![by], ..Default::default() };
        let attribute = AttributeProto {
            name: "value".into(),
            r#type: AttributeType::Tensor as i32,
            t: Some(tensor),
            ..Default::default()
        };
        let factor = beside(&node, "Constant", &format!("{name}.float32"), &[], vec![attribute]);
        let like = beside(&node, "CastLike", name, &[&made(&factor), a], Vec::new());
        let product = beside(&node, "Mul", &format!("{name}.product"), &[&value, &made(&like)], Vec::new());
        let value = made(&product);
        nodes.extend([factor, like, product]);
        value
    };
    sum = times(sum, alpha, "alpha", nodes);
    let last = match c {
        Some(c) => {
            let c = times(c, beta, "beta", nodes);
            beside(&node, "Add", "sum", &[&sum, &c], Vec::new())
        }
        None => beside(&node, "Identity", "sum", &[&sum], Vec::new()),
    };
    nodes.push(NodeProto { name: node.name.clone(), output: node.output.clone(), ..last });
}
