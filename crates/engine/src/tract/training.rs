//! Batch normalisation in training mode, which tract would run as if it were not.
//!
//! Networks with standardised weights (NFNet, BiT) normalise these so in every run.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto, tensor_proto::DataType};

/// Gives every batch normalisation in training mode the mean and variance of its input in place of the stored ones, as
/// long as its first output alone is used.
pub(super) fn write_out(graph: &mut GraphProto, opset: i64) {
    let used = |name: &String| {
        !name.is_empty()
            && (graph.output.iter().any(|o| o.name == *name) || graph.node.iter().any(|n| n.input.contains(name)))
    };
    let alone = |node: &NodeProto| in_training(node, opset) && !node.output.iter().skip(1).any(used);
    let known: Vec<bool> = graph.node.iter().map(alone).collect();
    let nodes = std::mem::take(&mut graph.node).into_iter().zip(known);
    graph.node = nodes.flat_map(|(node, known)| if known { written_out(node, opset) } else { vec![node] }).collect();
}

/// Whether a node is a batch normalisation in training mode: by its attribute, before operator set 14 by its further
/// outputs.
pub(super) fn in_training(node: &NodeProto, opset: i64) -> bool {
    let trains = match opset {
        14.. => node.attribute.iter().any(|a| a.name == "training_mode" && a.i != 0),
        _ => node.output.iter().skip(1).any(|o| !o.is_empty()),
    };
    trains && node.op_type == "BatchNormalization"
}

fn written_out(mut node: NodeProto, opset: i64) -> Vec<NodeProto> {
    let (Some(x), Some(y)) = (node.input.first().cloned(), node.output.first().cloned()) else { return vec![node] };
    let name = |what: &str| format!("{y}/{what}");
    let make = |op: &str, input: &[String], output: &str, attribute: Vec<AttributeProto>| NodeProto {
        op_type: op.to_owned(),
        name: name(output),
        input: input.to_vec(),
        output: vec![name(output)],
        attribute,
        ..Default::default()
    };
    let list = |output: &str, ints: &[i64]| {
        let (dims, data_type) = (vec![ints.len() as i64], DataType::Int64 as i32);
        let t = Some(TensorProto { dims, data_type, int64_data: ints.to_vec(), ..Default::default() });
        let r#type = AttributeType::Tensor as i32;
        make("Constant", &[], output, vec![AttributeProto { name: "value".into(), r#type, t, ..Default::default() }])
    };
    let keepdims = |i: i64| {
        let r#type = AttributeType::Int as i32;
        AttributeProto { name: "keepdims".into(), r#type, i, ..Default::default() }
    };
    let mean = |input: &str, output: &str, keep: i64| match opset {
        18.. => make("ReduceMean", &[name(input), name("axes")], output, vec![keepdims(keep)]),
        // The axes were an attribute.
        _ => {
            let (r#type, ints) = (AttributeType::Ints as i32, vec![0, 2]);
            let axes = AttributeProto { name: "axes".into(), r#type, ints, ..Default::default() };
            make("ReduceMean", &[name(input)], output, vec![axes, keepdims(keep)])
        }
    };
    let made = vec![
        list("extents", &[0, 0, -1]),
        list("axes", &[0, 2]),
        make("Reshape", &[x, name("extents")], "planes", vec![]),
        mean("planes", "mean", 0),
        mean("planes", "centre", 1),
        make("Sub", &[name("planes"), name("centre")], "centred", vec![]),
        make("Mul", &[name("centred"), name("centred")], "squares", vec![]),
        mean("squares", "var", 0),
    ];
    node.input.truncate(3);
    node.input.extend([name("mean"), name("var")]);
    node.output.truncate(1);
    node.attribute.retain(|a| a.name != "training_mode");
    made.into_iter().chain([node]).collect()
}
