//! A tensor of the reference: any element kind, kept in f64.

use crate::error::{Fault, invalid, unsupported};
use crate::onnx::messages::{TensorProto, tensor_proto::DataLocation};
use crate::onnx::size::{bits, dims, elements, raw_bytes};
use half::{bf16, f16};
use ndarray::{ArrayD, IxDyn};

pub use crate::onnx::messages::tensor_proto::DataType;

/// Values in f64 with the element type they stand for, in row-major order of `shape`.
///
/// Integers are exact up to 2⁵³; i64's largest and smallest values, which ONNX uses for "to the end", survive as well.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The element type in the file or engine.
    pub dtype: DataType,
    /// The values.
    pub data: ArrayD<f64>,
}

/// Whether values of `dtype` can have a derivative.
pub fn is_float(dtype: DataType) -> bool {
    matches!(dtype, DataType::Float | DataType::Double | DataType::Float16 | DataType::Bfloat16)
}

/// Whether values of `dtype` are whole numbers.
pub fn is_integer(dtype: DataType) -> bool {
    use DataType::{Int4, Int8, Int16, Int32, Int64, Uint4, Uint8, Uint16, Uint32, Uint64};
    matches!(dtype, Int4 | Int8 | Int16 | Int32 | Int64 | Uint4 | Uint8 | Uint16 | Uint32 | Uint64)
}

/// The element type that sums and derivatives of values of `dtype` are computed in: float32 for the floating-point types of
/// 16 bits, else `dtype` itself.
pub fn wide(dtype: DataType) -> DataType {
    match dtype {
        DataType::Float16 | DataType::Bfloat16 => DataType::Float,
        other => other,
    }
}

impl Tensor {
    /// Whether both hold the same, NaN counted as the same as NaN.
    pub fn same(&self, other: &Tensor) -> bool {
        let alike = |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan());
        self.dtype == other.dtype && self.shape() == other.shape() && self.data.iter().zip(&other.data).all(alike)
    }

    /// A tensor of `shape`; `values` must have as many elements.
    ///
    /// # Errors
    /// [`Fault::Invalid`] when the number of values is not the product of the shape.
    pub fn new(dtype: DataType, shape: &[usize], values: Vec<f64>) -> Result<Self, Fault> {
        let count = values.len();
        match ArrayD::from_shape_vec(IxDyn(shape), values) {
            Ok(data) => Ok(Tensor { dtype, data }),
            Err(_) => invalid(format!("{count} values do not make the shape {shape:?}")),
        }
    }

    /// A float32 tensor of any rank.
    pub fn float(data: ArrayD<f64>) -> Self {
        Tensor { dtype: DataType::Float, data }
    }

    /// A one-dimensional int64 tensor.
    pub fn ints(values: &[i64]) -> Self {
        Tensor {
            dtype: DataType::Int64,
            data: values.iter().map(|&v| v as f64).collect::<ndarray::Array1<f64>>().into_dyn(),
        }
    }

    /// The extents.
    pub fn shape(&self) -> &[usize] {
        self.data.shape()
    }

    /// The values as int64 in row-major order.
    pub fn to_ints(&self) -> Vec<i64> {
        self.data.iter().map(|&v| v as i64).collect()
    }

    /// The first value, for tensors that hold one.
    pub fn scalar(&self) -> Option<f64> {
        if self.data.len() == 1 { self.data.iter().next().copied() } else { None }
    }

    /// Decodes a tensor of the file.
    ///
    /// # Errors
    /// [`Fault::Invalid`] when the data and the shape disagree, [`Fault::Unsupported`] for element types without numbers.
    pub fn from_proto(proto: &TensorProto) -> Result<Self, Fault> {
        if proto.data_location() == DataLocation::External {
            return unsupported("its values are stored outside the file and were not loaded");
        }
        let Ok(dtype) = DataType::try_from(proto.data_type()) else {
            return unsupported(format!("element type {}", proto.data_type()));
        };
        let shape = dims(proto)?;
        let values: Vec<f64> = match &proto.raw_data {
            Some(raw) if !raw.is_empty() => from_raw(dtype, raw)?,
            _ => from_fields(dtype, proto)?,
        };
        Tensor::new(dtype, &shape, values)
    }

    /// Encodes the tensor under `name`, rounding to its element type.
    ///
    /// # Errors
    /// [`Fault::Unsupported`] for element types that this crate never makes.
    pub fn to_proto(&self, name: &str) -> Result<TensorProto, Fault> {
        let values = self.data.iter().copied();
        let raw: Vec<u8> = match self.dtype {
            DataType::Float => values.flat_map(|v| (v as f32).to_le_bytes()).collect(),
            DataType::Double => values.flat_map(f64::to_le_bytes).collect(),
            DataType::Float16 => values.flat_map(|v| f16::from_f64(v).to_le_bytes()).collect(),
            DataType::Bfloat16 => values.flat_map(|v| bf16::from_f64(v).to_le_bytes()).collect(),
            DataType::Int64 => values.flat_map(|v| (v as i64).to_le_bytes()).collect(),
            DataType::Int32 => values.flat_map(|v| (v as i32).to_le_bytes()).collect(),
            DataType::Int16 => values.flat_map(|v| (v as i16).to_le_bytes()).collect(),
            DataType::Int8 => values.flat_map(|v| (v as i8).to_le_bytes()).collect(),
            DataType::Uint64 => values.flat_map(|v| (v as u64).to_le_bytes()).collect(),
            DataType::Uint32 => values.flat_map(|v| (v as u32).to_le_bytes()).collect(),
            DataType::Uint16 => values.flat_map(|v| (v as u16).to_le_bytes()).collect(),
            DataType::Uint8 => values.map(|v| v as u8).collect(),
            DataType::Bool => values.map(|v| u8::from(v != 0.0)).collect(),
            other => return unsupported(format!("writing element type {other:?}")),
        };
        Ok(TensorProto {
            name: Some(name.to_owned()),
            dims: self.shape().iter().map(|&d| d as i64).collect(),
            data_type: Some(self.dtype as i32),
            raw_data: Some(raw.into()),
            ..Default::default()
        })
    }
}

/// Whether a tensor holds as many values as its shape says, as far as its element type is known.
///
/// # Errors
/// [`Fault::Invalid`] if not.
pub fn check(proto: &TensorProto) -> Result<(), Fault> {
    let count = elements(&dims(proto)?)?;
    let raw = proto.raw_data.as_ref().map_or(0, |raw| raw.len());
    let Ok(dtype) = DataType::try_from(proto.data_type()) else { return Ok(()) };
    if proto.data_location() == DataLocation::External {
        return Ok(());
    }
    if raw > 0 {
        return match raw_bytes(proto) {
            Ok(needed) if needed == raw as u64 => Ok(()),
            Ok(needed) => invalid(format!("it holds {raw} bytes; its shape {:?} takes {needed}", proto.dims)),
            Err(_) => Ok(()),
        };
    }
    let held = match dtype {
        DataType::Float => proto.float_data.len(),
        DataType::Double => proto.double_data.len(),
        DataType::Int64 => proto.int64_data.len(),
        DataType::Uint64 | DataType::Uint32 => proto.uint64_data.len(),
        DataType::String => proto.string_data.len(),
        DataType::Undefined | DataType::Complex64 | DataType::Complex128 => return Ok(()),
        _ if bits(dtype).is_some_and(|bits| bits < 8) => return Ok(()),
        _ => proto.int32_data.len(),
    };
    if held == count { Ok(()) } else { invalid(format!("it holds {held} values; its shape is {:?}", proto.dims)) }
}

/// The first value of a float tensor of the file that is NaN or, unless only `nan` counts, an infinity.
pub(crate) fn first_not_finite(proto: &TensorProto, nan: bool) -> Option<f64> {
    fn raw<const N: usize>(raw: &[u8], value: impl Fn([u8; N]) -> f64) -> impl Iterator<Item = f64> {
        raw.as_chunks::<N>().0.iter().map(move |&c| value(c))
    }
    let bad = |v: &f64| if nan { v.is_nan() } else { !v.is_finite() };
    let bytes = proto.raw_data();
    let bits = || proto.int32_data.iter().map(|&v| v as u16);
    match DataType::try_from(proto.data_type()).ok()? {
        // Most weights are of this kind, and nothing is wrong with most of them: looking at many at once is fast.
        DataType::Float if proto.float_data.is_empty() && all_finite(bytes) => None,
        DataType::Float => {
            raw(bytes, |b| f32::from_le_bytes(b).into()).chain(proto.float_data.iter().map(|&v| v.into())).find(bad)
        }
        DataType::Double => raw(bytes, f64::from_le_bytes).chain(proto.double_data.iter().copied()).find(bad),
        DataType::Float16 => {
            raw(bytes, |b| f16::from_le_bytes(b).into()).chain(bits().map(|v| f16::from_bits(v).into())).find(bad)
        }
        DataType::Bfloat16 => {
            raw(bytes, |b| bf16::from_le_bytes(b).into()).chain(bits().map(|v| bf16::from_bits(v).into())).find(bad)
        }
        _ => None,
    }
}

/// Whether all float32 values in `raw` are numbers.
fn all_finite(raw: &[u8]) -> bool {
    let finite = |part: &[[u8; 4]]| part.iter().fold(true, |all, &b| all & f32::from_le_bytes(b).is_finite());
    raw.as_chunks().0.chunks(1024).all(finite)
}

fn from_raw(dtype: DataType, raw: &[u8]) -> Result<Vec<f64>, Fault> {
    fn each<const N: usize>(raw: &[u8], value: impl Fn([u8; N]) -> f64) -> Result<Vec<f64>, Fault> {
        let (chunks, rest) = raw.as_chunks::<N>();
        if rest.is_empty() {
            Ok(chunks.iter().map(|&c| value(c)).collect())
        } else {
            invalid(format!("{} bytes are no whole number of {N}-byte values", raw.len()))
        }
    }
    match dtype {
        DataType::Float => each(raw, |b| f32::from_le_bytes(b).into()),
        DataType::Double => each(raw, f64::from_le_bytes),
        DataType::Float16 => each(raw, |b| f16::from_le_bytes(b).into()),
        DataType::Bfloat16 => each(raw, |b| bf16::from_le_bytes(b).into()),
        DataType::Int64 => each(raw, |b| i64::from_le_bytes(b) as f64),
        DataType::Uint64 => each(raw, |b| u64::from_le_bytes(b) as f64),
        DataType::Int32 => each(raw, |b| i32::from_le_bytes(b).into()),
        DataType::Uint32 => each(raw, |b| u32::from_le_bytes(b).into()),
        DataType::Int16 => each(raw, |b| i16::from_le_bytes(b).into()),
        DataType::Uint16 => each(raw, |b| u16::from_le_bytes(b).into()),
        DataType::Int8 => each(raw, |[b]: [u8; 1]| f64::from(b as i8)),
        DataType::Uint8 => each(raw, |[b]: [u8; 1]| b.into()),
        DataType::Bool => each(raw, |[b]: [u8; 1]| f64::from(u8::from(b != 0))),
        other => unsupported(format!("element type {other:?}")),
    }
}

fn from_fields(dtype: DataType, proto: &TensorProto) -> Result<Vec<f64>, Fault> {
    Ok(match dtype {
        DataType::Float => proto.float_data.iter().map(|&v| v.into()).collect(),
        DataType::Double => proto.double_data.clone(),
        DataType::Int64 => proto.int64_data.iter().map(|&v| v as f64).collect(),
        DataType::Uint64 | DataType::Uint32 => proto.uint64_data.iter().map(|&v| v as f64).collect(),
        DataType::Float16 => proto.int32_data.iter().map(|&v| f16::from_bits(v as u16).into()).collect(),
        DataType::Bfloat16 => proto.int32_data.iter().map(|&v| bf16::from_bits(v as u16).into()).collect(),
        DataType::Int32 | DataType::Int16 | DataType::Int8 | DataType::Uint16 | DataType::Uint8 | DataType::Bool => {
            proto.int32_data.iter().map(|&v| v.into()).collect()
        }
        other => return unsupported(format!("element type {other:?}")),
    })
}
