//! Other names for values.

use super::messages::GraphProto;
use std::collections::HashMap;

/// Gives values other names, in the graph and in the subgraphs of its nodes.
pub fn rename(graph: &mut GraphProto, names: &HashMap<String, String>) {
    let with = |name: &mut String| {
        if let Some(other) = names.get(name.as_str()) {
            name.clone_from(other);
        }
    };
    for node in &mut graph.node {
        node.input.iter_mut().chain(&mut node.output).for_each(with);
        for attribute in &mut node.attribute {
            attribute.g.iter_mut().chain(&mut attribute.graphs).for_each(|inner| rename(inner, names));
        }
    }
    let infos = graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info);
    infos.filter_map(|info| info.name.as_mut()).for_each(with);
    let sparse = graph.sparse_initializer.iter_mut().filter_map(|t| t.values.as_mut());
    graph.initializer.iter_mut().chain(sparse).filter_map(|t| t.name.as_mut()).for_each(with);
    for quantised in &mut graph.quantization_annotation {
        quantised.tensor_name.iter_mut().for_each(with);
        let parts = quantised.quant_parameter_tensor_names.iter_mut();
        parts.filter_map(|entry| entry.value.as_mut()).for_each(with);
    }
}
