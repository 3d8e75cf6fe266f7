//! What several tests of the core share.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

pub mod network;

use hirescam_core::onnx::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorShapeProto, TypeProto, ValueInfoProto,
    tensor_shape_proto::{Dimension, dimension},
    type_proto,
};
use hirescam_core::ops::{Card, Case, Given};
use hirescam_core::tensor::DataType;
use hirescam_core::{Model, Tensor};
use std::collections::HashMap;

/// Pseudo-random numbers that are the same in every run (splitmix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }
    pub fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
    /// A float tensor of values that f32 can hold, within a range.
    pub fn tensor(&mut self, shape: &[usize], low: f64, high: f64) -> Tensor {
        let values =
            (0..shape.iter().product()).map(|_| f64::from((low + (high - low) * self.unit()) as f32)).collect();
        Tensor::new(DataType::Float, shape, values).unwrap()
    }
}

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
            Given::Varied(shape, low, high) => {
                inputs.push(info(&name, DataType::Float, shape));
                values.insert(name.clone(), random.tensor(shape, *low, *high));
            }
            Given::Weight(shape, low, high) => stored.push((name.clone(), random.tensor(shape, *low, *high))),
            Given::Fixed(t) => stored.push((name.clone(), t.clone())),
            Given::Absent => {
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
