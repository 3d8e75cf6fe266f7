//! How many numbers and bytes a stored tensor holds.

use super::messages::TensorProto;
use super::messages::tensor_proto::DataType;
use crate::error::{Fault, invalid, unsupported};

/// Values of more elements than this are damage and no network: 256 GiB of float32. Whatever a card computes of extents
/// below it fits a `usize`.
pub const LARGEST: usize = 1 << 36;
/// The most axes a value has: twice NumPy's limit.
const MOST_AXES: usize = 64;

/// The number of elements of a value of the extents `shape`.
///
/// # Errors
/// [`Fault::Invalid`] when it has more than any network could hold, extents of 0 aside.
pub fn elements(shape: &[usize]) -> Result<usize, Fault> {
    let wide = shape.iter().filter(|&&n| n > 0).try_fold(1usize, |p, &n| p.checked_mul(n).filter(|&p| p <= LARGEST));
    match wide {
        _ if shape.len() > MOST_AXES => invalid(format!("a value with {} axes; {MOST_AXES} are possible", shape.len())),
        None => invalid(format!("a value of the shape {shape:?}: no network is so large")),
        Some(_) if shape.contains(&0) => Ok(0),
        Some(n) => Ok(n),
    }
}

/// How many bits an element takes in a file; nothing for strings.
pub(crate) fn bits(dtype: DataType) -> Option<u64> {
    use DataType::*;
    match dtype {
        Undefined | String => None,
        Uint2 | Int2 => Some(2),
        Uint4 | Int4 | Float4e2m1 => Some(4),
        Float6e2m3 | Float6e3m2 => Some(6),
        Uint8 | Int8 | Bool | Float8e4m3fn | Float8e4m3fnuz | Float8e5m2 | Float8e5m2fnuz | Float8e8m0 => Some(8),
        Uint16 | Int16 | Float16 | Bfloat16 => Some(16),
        Float | Int32 | Uint32 => Some(32),
        Double | Int64 | Uint64 | Complex64 => Some(64),
        Complex128 => Some(128),
    }
}

/// How many bytes the values of a tensor of the file take as raw data.
///
/// # Errors
/// [`Fault::Invalid`] for impossible shapes, [`Fault::Unsupported`] for element types that have no raw data.
pub fn raw_bytes(proto: &TensorProto) -> Result<u64, Fault> {
    let count = elements(&dims(proto)?)? as u64;
    match DataType::try_from(proto.data_type()).ok().and_then(bits) {
        Some(bits) => Ok((count * bits).div_ceil(8)),
        None => unsupported(format!("element type {}", proto.data_type())),
    }
}

/// The extents of a tensor of the file, checked.
pub fn dims(proto: &TensorProto) -> Result<Vec<usize>, Fault> {
    let mut count = 1usize;
    let mut shape = Vec::with_capacity(proto.dims.len());
    for &d in &proto.dims {
        let Ok(d) = usize::try_from(d) else { return invalid(format!("extent {d} is negative")) };
        let Some(product) = count.checked_mul(d).filter(|&p| p <= isize::MAX as usize / 8) else {
            return invalid(format!("the shape {:?} is too large", proto.dims));
        };
        count = product;
        shape.push(d);
    }
    Ok(shape)
}
