//! Networks made by hand.

use super::{info, model};
use hirescam_core::onnx::{NodeProto, ValueInfoProto, tensor_shape_proto::dimension, type_proto};
use hirescam_core::ops::{Setting, attribute};
use hirescam_core::tensor::DataType;
use hirescam_core::{Model, Tensor};

pub fn node(op: &str, inputs: &[&str], output: &str, attributes: Vec<(&str, Setting)>) -> NodeProto {
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
