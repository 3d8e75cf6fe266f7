//! Tensors of the protocol, as JSON and as bytes.

use crate::view::failure::Failure;
use axum::body::Bytes;
use hirescam::core::onnx::messages::ValueInfoProto;
use hirescam::core::shape::{declared, element_type};
use hirescam::engine::{Array, Kind};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

/// An input or an output.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Tensor {
    pub(super) name: String,
    /// The type of its elements: FP32, INT64, …
    datatype: String,
    /// Its extents; -1 for those that are open.
    pub(super) shape: Vec<i64>,
}

impl Tensor {
    pub(super) fn of(info: &ValueInfoProto) -> Self {
        let kind = element_type(info).and_then(|element| Kind::of_onnx(element as i32));
        let extent = |n: Option<usize>| n.and_then(|n| i64::try_from(n).ok()).unwrap_or(-1);
        Tensor {
            name: info.name().to_owned(),
            datatype: kind.map_or("UNKNOWN", datatype).to_owned(),
            shape: declared(info).into_iter().map(extent).collect(),
        }
    }
}

/// The protocol's names for kinds of elements.
const DATATYPES: [(Kind, &str); 12] = [
    (Kind::Bool, "BOOL"),
    (Kind::U8, "UINT8"),
    (Kind::U16, "UINT16"),
    (Kind::U32, "UINT32"),
    (Kind::U64, "UINT64"),
    (Kind::I8, "INT8"),
    (Kind::I16, "INT16"),
    (Kind::I32, "INT32"),
    (Kind::I64, "INT64"),
    (Kind::F16, "FP16"),
    (Kind::F32, "FP32"),
    (Kind::F64, "FP64"),
];

/// The name of a kind of elements.
pub(super) fn datatype(kind: Kind) -> &'static str {
    DATATYPES.iter().find(|(own, _)| *own == kind).map_or("UNKNOWN", |(_, name)| name)
}

/// What is said beside a tensor.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct Parameters {
    /// Of an input: its bytes follow the JSON, so many of them.
    binary_data_size: Option<usize>,
    /// Of an output: its bytes are to follow the JSON.
    pub(super) binary_data: Option<bool>,
    /// Of all outputs.
    pub(super) binary_data_output: Option<bool>,
}

/// An input.
#[derive(Deserialize, ToSchema)]
pub(super) struct GivenTensor {
    pub(super) name: String,
    datatype: String,
    shape: Vec<usize>,
    #[serde(default)]
    parameters: Parameters,
    /// Its elements in row-major order, flat or nested.
    #[schema(value_type = Vec<Value>)]
    data: Option<Value>,
}

impl GivenTensor {
    /// Its elements, from JSON, or from the `bytes` that follow it, of which its own are taken.
    pub(super) fn array(&self, bytes: &mut Bytes) -> Result<Array, Failure> {
        let name = &self.name;
        let known = DATATYPES.iter().find(|(_, known)| *known == self.datatype);
        let (kind, _) = known.ok_or_else(|| {
            Failure::argument(format!("the input {name:?}: {:?} is no type of elements here", self.datatype))
        })?;
        let wrong = || {
            Failure::argument(format!(
                "the input {name:?}: there are more or fewer elements than the shape {:?} asks for",
                self.shape
            ))
        };
        match (self.parameters.binary_data_size, &self.data) {
            (Some(size), _) if size > bytes.len() => Err(Failure::argument(format!(
                "the input {name:?}: {size} bytes are announced, and {} follow",
                bytes.len()
            ))),
            (Some(size), _) => Array::from_le_bytes(*kind, &self.shape, &bytes.split_to(size)).ok_or_else(wrong),
            (None, Some(data)) => {
                let mut numbers = Vec::new();
                flatten(data, kind.is_float(), &mut numbers)
                    .map_err(|what| Failure::argument(format!("the input {name:?}: {what}")))?;
                let wide = if kind.is_float() { Kind::F64 } else { Kind::I64 };
                let array = Array::from_le_bytes(wide, &self.shape, &numbers).ok_or_else(wrong)?;
                array.to_kind(*kind).ok_or_else(|| {
                    Failure::argument(format!("the input {name:?}: a number is beyond {}", self.datatype))
                })
            }
            (None, None) => Err(Failure::argument(format!("the input {name:?} has no data"))),
        }
    }
}

/// The bytes of numbers in nested lists, as FP64 or INT64.
fn flatten(data: &Value, float: bool, numbers: &mut Vec<u8>) -> Result<(), String> {
    match data {
        Value::Array(each) => each.iter().try_for_each(|one| flatten(one, float, numbers)),
        Value::Bool(yes) if !float => {
            numbers.extend(i64::from(*yes).to_le_bytes());
            Ok(())
        }
        Value::Number(number) => {
            match (float, number.as_f64(), number.as_i64()) {
                (true, Some(number), _) => numbers.extend(number.to_le_bytes()),
                (false, _, Some(number)) => numbers.extend(number.to_le_bytes()),
                _ => return Err(format!("{number} is no whole number")),
            }
            Ok(())
        }
        other => Err(format!("{other} is no number")),
    }
}

/// The elements as a list of JSON.
pub(super) fn data(array: &Array) -> Result<Value, Failure> {
    if let Some(value) = array.not_finite() {
        return Err(Failure::argument(format!("an output holds {value}, which JSON cannot say"))
            .with("ask for bytes: parameters.binary_data_output = true"));
    }
    Ok(match array.kind() {
        Kind::Bool => json!(array.to_i64().iter().map(|&n| n != 0).collect::<Vec<_>>()),
        Kind::F64 => json!(array.to_f64().iter().collect::<Vec<_>>()),
        kind if kind.is_float() => json!(array.to_f32().iter().collect::<Vec<_>>()),
        _ => json!(array.to_i64().iter().collect::<Vec<_>>()),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn given(datatype: &str, shape: &[usize], data: Value) -> GivenTensor {
        GivenTensor {
            name: "x".into(),
            datatype: datatype.into(),
            shape: shape.to_vec(),
            parameters: Parameters::default(),
            data: Some(data),
        }
    }

    #[test]
    fn tensors_are_read_flat_and_nested() {
        let flat = given("FP32", &[2, 2], json!([0.1, 2, -3, 4e-3])).array(&mut Bytes::new()).unwrap();
        let nested = given("FP32", &[2, 2], json!([[0.1, 2], [-3, 4e-3]])).array(&mut Bytes::new()).unwrap();
        assert!(flat == nested && flat.kind() == Kind::F32);
        assert_eq!(flat.to_f32().iter().copied().collect::<Vec<_>>(), [0.1f32, 2.0, -3.0, 4e-3]);
        let whole = given("UINT8", &[3], json!([0, 7, 255])).array(&mut Bytes::new()).unwrap();
        assert_eq!(whole.to_le_bytes(), [0, 7, 255]);
        assert_eq!(
            data(&given("BOOL", &[2], json!([true, false])).array(&mut Bytes::new()).unwrap()).unwrap(),
            json!([true, false])
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (datatype, shape, data) in [
            ("FP32", vec![3], json!([1, 2])),
            ("FP32", vec![usize::MAX, usize::MAX], json!([1, 2])),
            ("UINT8", vec![1], json!([256])),
            ("INT64", vec![1], json!([0.5])),
            ("FP32", vec![1], json!(["1"])),
            ("BYTES", vec![1], json!(["1"])),
        ] {
            assert!(given(datatype, &shape, data).array(&mut Bytes::new()).is_err(), "{datatype} {shape:?}");
        }
        let announced = GivenTensor {
            parameters: Parameters { binary_data_size: Some(8), ..Parameters::default() },
            ..given("FP32", &[2], Value::Null)
        };
        assert!(announced.array(&mut Bytes::from_static(&[0; 4])).is_err());
        let mut bytes = Bytes::from_static(&[0, 0, 128, 63, 0, 0, 0, 64, 9]);
        assert_eq!(announced.array(&mut bytes).unwrap().to_f32().iter().copied().collect::<Vec<_>>(), [1.0f32, 2.0]);
        assert_eq!(bytes.len(), 1);
    }
}
