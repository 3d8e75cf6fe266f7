//! Attributes of nodes, made of plain values.

use super::messages::{AttributeProto, TensorProto, attribute_proto::AttributeType};

/// The value of an attribute.
pub enum AttributeValue {
    /// An integer.
    Int(i64),
    /// Integers.
    Ints(Vec<i64>),
    /// A float.
    Float(f32),
    /// Floats.
    Floats(Vec<f32>),
    /// A string.
    Text(String),
    /// A tensor.
    Tensor(Box<TensorProto>),
}

impl From<i64> for AttributeValue {
    fn from(v: i64) -> Self {
        AttributeValue::Int(v)
    }
}
impl From<Vec<i64>> for AttributeValue {
    fn from(v: Vec<i64>) -> Self {
        AttributeValue::Ints(v)
    }
}
impl<const N: usize> From<[i64; N]> for AttributeValue {
    fn from(v: [i64; N]) -> Self {
        AttributeValue::Ints(v.to_vec())
    }
}
impl From<f32> for AttributeValue {
    fn from(v: f32) -> Self {
        AttributeValue::Float(v)
    }
}
impl<const N: usize> From<[f32; N]> for AttributeValue {
    fn from(v: [f32; N]) -> Self {
        AttributeValue::Floats(v.to_vec())
    }
}
impl From<&str> for AttributeValue {
    fn from(v: &str) -> Self {
        AttributeValue::Text(v.to_owned())
    }
}

/// An attribute of a node.
pub fn attribute(name: &str, value: impl Into<AttributeValue>) -> AttributeProto {
    let mut a = AttributeProto { name: Some(name.to_owned()), ..Default::default() };
    let kind = match value.into() {
        AttributeValue::Int(i) => {
            a.i = Some(i);
            AttributeType::Int
        }
        AttributeValue::Ints(list) => {
            a.ints = list;
            AttributeType::Ints
        }
        AttributeValue::Float(f) => {
            a.f = Some(f);
            AttributeType::Float
        }
        AttributeValue::Floats(list) => {
            a.floats = list;
            AttributeType::Floats
        }
        AttributeValue::Text(s) => {
            a.s = Some(s.into_bytes().into());
            AttributeType::String
        }
        AttributeValue::Tensor(t) => {
            a.t = Some(*t);
            AttributeType::Tensor
        }
    };
    a.r#type = Some(kind as i32);
    a
}
