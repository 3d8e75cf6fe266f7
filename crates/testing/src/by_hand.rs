//! Networks and single nodes made by hand.

use crate::Random;
use hirescam_core::onnx::messages::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorShapeProto, TypeProto, ValueInfoProto,
    tensor_shape_proto::{Dimension, dimension},
    type_proto,
};
use hirescam_core::onnx::{AttributeValue, attribute};
use hirescam_core::ops::{Card, Case, CaseInput};
use hirescam_core::tensor::DataType;
use hirescam_core::{Model, Tensor};
use std::collections::HashMap;

/// A value's declaration.
pub fn info(name: &str, dtype: DataType, shape: &[usize]) -> ValueInfoProto {
    let dim = shape
        .iter()
        .map(|&n| Dimension { value: Some(dimension::Value::DimValue(n as i64)), ..Default::default() })
        .collect();
    let tensor = type_proto::Tensor { elem_type: Some(dtype as i32), shape: Some(TensorShapeProto { dim }) };
    let r#type = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    ValueInfoProto { name: Some(name.into()), r#type: Some(r#type), ..Default::default() }
}

/// A model of the given nodes.
pub fn model(
    opset: i64,
    nodes: Vec<NodeProto>,
    inputs: Vec<ValueInfoProto>,
    outputs: Vec<ValueInfoProto>,
    stored: &[(&str, Tensor)],
) -> ModelProto {
    let initializer = stored.iter().map(|(name, t)| t.to_proto(name).unwrap()).collect();
    ModelProto {
        ir_version: Some(8),
        opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(opset) }],
        graph: Some(GraphProto {
            name: Some("test".into()),
            node: nodes,
            input: inputs,
            output: outputs,
            initializer,
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// A model of one node under `case`: inputs `x0…`, outputs `y0…`, and values for its inputs. What is varied is an
/// input of the model, weights and constants are stored.
pub fn single_node(card: &Card, case: &Case, random: &mut Random) -> (Model, HashMap<String, Tensor>) {
    let (mut names, mut inputs, mut stored, mut values) = (Vec::new(), Vec::new(), Vec::new(), HashMap::new());
    for (i, given) in case.inputs.iter().enumerate() {
        let name = format!("x{i}");
        match given {
            CaseInput::Varied(shape, low, high) => {
                inputs.push(info(&name, DataType::Float, shape));
                values.insert(name.clone(), random.tensor(shape, *low, *high));
            }
            CaseInput::Weight(shape, low, high) => stored.push((name.clone(), random.tensor(shape, *low, *high))),
            CaseInput::Fixed(t) => stored.push((name.clone(), t.clone())),
            CaseInput::Absent => {
                names.push(String::new());
                continue;
            }
        }
        names.push(name);
    }
    if inputs.is_empty() {
        inputs.push(info("unused", DataType::Float, &[1]));
    }
    let node = NodeProto {
        op_type: Some(card.name.into()),
        domain: Some(card.domain.into()),
        input: names,
        output: (0..case.outputs).map(|i| format!("y{i}")).collect(),
        attribute: case.attributes.clone(),
        name: Some(format!("the {}", card.name)),
        ..Default::default()
    };
    let stored: Vec<(&str, Tensor)> = stored.iter().map(|(n, t)| (n.as_str(), t.clone())).collect();
    (Model::new(model(case.opset, vec![node], inputs, vec![], &stored)).unwrap(), values)
}

/// A node with one output.
pub fn node(op: &str, inputs: &[&str], output: &str, attributes: Vec<(&str, AttributeValue)>) -> NodeProto {
    NodeProto {
        op_type: Some(op.into()),
        name: Some(format!("make {output}")),
        input: inputs.iter().map(|i| (*i).to_owned()).collect(),
        output: vec![output.into()],
        attribute: attributes.into_iter().map(|(name, value)| attribute(name, value)).collect(),
        ..Default::default()
    }
}

/// The declaration of a float value; a leading 0 stands for a free batch.
pub fn free(name: &str, shape: &[usize]) -> ValueInfoProto {
    let mut info = info(name, DataType::Float, shape);
    if let (0, Some(type_proto::Value::TensorType(t))) = (shape[0], &mut info.r#type.as_mut().unwrap().value) {
        t.shape.as_mut().unwrap().dim[0].value = Some(dimension::Value::DimParam("N".into()));
    }
    info
}

/// A network of the image `x`; a leading 0 stands for a free batch.
pub fn network(
    nodes: Vec<NodeProto>,
    image: &[usize],
    outputs: &[(&str, &[usize])],
    stored: &[(&str, Tensor)],
) -> Model {
    let outputs = outputs.iter().map(|(name, shape)| free(name, shape)).collect();
    Model::new(model(17, nodes, vec![free("x", image)], outputs, stored)).unwrap()
}
