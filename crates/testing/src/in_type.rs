//! Networks in another element type.

use hirescam_core::Tensor;
use hirescam_core::graph::standard;
use hirescam_core::onnx::messages::{ModelProto, TensorProto, TypeProto, type_proto};
use hirescam_core::tensor::DataType;
use std::collections::HashSet;

/// Operators that take their inputs behind the first in float32, whatever the type of that one.
const SCALED: &[&str] = &["Resize", "Upsample"];

/// The same network with all its float32 numbers of the type `dtype`.
pub fn in_type(proto: &ModelProto, dtype: DataType) -> ModelProto {
    let mut proto = proto.clone();
    let Some(graph) = &mut proto.graph else { return proto };
    let scaled = graph.node.iter().filter(|node| SCALED.contains(&standard(node)));
    let kept: HashSet<String> = scaled.flat_map(|node| node.input.iter().skip(1).cloned()).collect();
    let other = |tensor: &mut TensorProto| {
        if tensor.data_type() == DataType::Float as i32 {
            let name = tensor.name().to_owned();
            *tensor = Tensor { dtype, ..Tensor::from_proto(tensor).unwrap() }.to_proto(&name).unwrap();
        }
    };
    graph.initializer.iter_mut().filter(|tensor| !kept.contains(tensor.name())).for_each(other);
    for node in graph.node.iter_mut().filter(|node| !node.output.iter().any(|output| kept.contains(output))) {
        let casts = standard(node) == "Cast";
        for attribute in &mut node.attribute {
            attribute.t.iter_mut().for_each(other);
            if casts && attribute.i == Some(DataType::Float as i64) {
                attribute.i = Some(dtype as i64);
            }
        }
    }
    let declared = |of: &mut TypeProto| match &mut of.value {
        Some(type_proto::Value::TensorType(tensor)) if tensor.elem_type() == DataType::Float as i32 => {
            tensor.elem_type = Some(dtype as i32);
        }
        _ => {}
    };
    let infos = graph.value_info.iter_mut().filter(|info| !kept.contains(info.name()));
    infos.chain(&mut graph.input).chain(&mut graph.output).filter_map(|info| info.r#type.as_mut()).for_each(declared);
    proto
}
