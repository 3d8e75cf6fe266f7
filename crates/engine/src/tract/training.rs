//! Batch normalisation in training mode, which tract would run as if it were not.
//!
//! Networks with standardised weights (NFNet, BiT) normalise these so in every run.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto, tensor_proto::DataType};

/// Writes every batch normalisation in training mode out, as long as its first output alone is used.
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

fn written_out(node: NodeProto, opset: i64) -> Vec<NodeProto> {
    let (Some([x, scale, bias]), Some(y)) = (node.input.first_chunk().cloned(), node.output.first().cloned()) else {
        return vec![node];
    };
    let name = |what: &str| format!("{y}/{what}");
    let make = |op: &str, input: &[String], output: &str, attribute: Vec<AttributeProto>| NodeProto {
        op_type: op.to_owned(),
        name: name(output),
        input: input.to_vec(),
        output: vec![name(output)],
        attribute,
        ..Default::default()
    };
    let constant = |output: &str, tensor: TensorProto| {
        let r#type = AttributeType::Tensor as i32;
        let value = AttributeProto { name: "value".into(), r#type, t: Some(tensor), ..Default::default() };
        make("Constant", &[], output, vec![value])
    };
    let list = |output: &str, ints: &[i64]| {
        let (dims, data_type) = (vec![ints.len() as i64], DataType::Int64 as i32);
        constant(output, TensorProto { dims, data_type, int64_data: ints.to_vec(), ..Default::default() })
    };
    let mean = |input: &str, output: &str| match opset {
        18.. => make("ReduceMean", &[name(input), name("axes")], output, vec![]),
        // The axes were an attribute.
        _ => {
            let (r#type, ints) = (AttributeType::Ints as i32, vec![0, 2]);
            let axes = AttributeProto { name: "axes".into(), r#type, ints, ..Default::default() };
            make("ReduceMean", &[name(input)], output, vec![axes])
        }
    };
    let epsilon = node.attribute.iter().find(|a| a.name == "epsilon").map_or(1e-5, |a| a.f);
    let epsilon = TensorProto { data_type: DataType::Float as i32, float_data: vec![epsilon], ..Default::default() };
    // No BatchNormalization in another mode: tract has it with constants only, and does not compute large ones beforehand.
    let made = vec![
        list("extents", &[0, 0, -1]),
        list("axes", &[0, 2]),
        list("column", &[-1, 1]),
        constant("float32", epsilon),
        make("CastLike", &[name("float32"), x.clone()], "epsilon", vec![]),
        make("Reshape", &[x.clone(), name("extents")], "planes", vec![]),
        mean("planes", "mean"),
        make("Sub", &[name("planes"), name("mean")], "centred", vec![]),
        make("Mul", &[name("centred"), name("centred")], "squares", vec![]),
        mean("squares", "var"),
        make("Add", &[name("var"), name("epsilon")], "above", vec![]),
        make("Sqrt", &[name("above")], "deviation", vec![]),
        make("Div", &[name("centred"), name("deviation")], "normal", vec![]),
        make("Reshape", &[scale, name("column")], "scale", vec![]),
        make("Mul", &[name("normal"), name("scale")], "scaled", vec![]),
        make("Reshape", &[bias, name("column")], "bias", vec![]),
        make("Add", &[name("scaled"), name("bias")], "shifted", vec![]),
        make("Shape", &[x], "shape", vec![]),
    ];
    let last = NodeProto {
        op_type: "Reshape".into(),
        name: node.name,
        input: vec![name("shifted"), name("shape")],
        output: vec![y],
        ..Default::default()
    };
    made.into_iter().chain([last]).collect()
}
