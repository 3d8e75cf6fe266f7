//! Tensors from `.npy` files.

use hirescam_engine::Array;
use ndarray::ArrayD;
use ndarray_npy::{ReadNpyExt, ReadableElement};

/// How a `.npy` file begins.
const NUMPY: &[u8] = b"\x93NUMPY";
/// Where the header of a `.npy` file has ended.
const LONGEST_HEADER: usize = 4096;

/// Whether these bytes are those of a `.npy` file.
pub(super) fn is_npy(bytes: &[u8]) -> bool {
    bytes.starts_with(NUMPY)
}

/// The tensor in the bytes of a `.npy` file.
pub(super) fn tensor(bytes: &[u8]) -> Result<ArrayD<f32>, String> {
    check(bytes)?;
    ArrayD::<f32>::read_npy(bytes).map_err(|e| format!("not a float32 .npy tensor: {e}"))
}

/// The numbers of any kind in the bytes of a `.npy` file.
pub(super) fn array(bytes: &[u8]) -> Result<Array, String> {
    fn of<T: ReadableElement>(bytes: &[u8]) -> Option<Array>
    where
        Array: From<ArrayD<T>>,
    {
        ArrayD::<T>::read_npy(bytes).ok().map(Array::from)
    }
    let kinds = [
        of::<f32>, of::<f64>, of::<i64>, of::<i32>, of::<i16>, of::<i8>, of::<u8>, of::<u16>, of::<u32>, of::<u64>,
        of::<bool>,
    ];
    check(bytes)?;
    kinds.iter().find_map(|read| read(bytes)).ok_or_else(|| "not a .npy tensor of numbers".into())
}

fn check(bytes: &[u8]) -> Result<(), String> {
    match is_npy(bytes) && holds_its_shape(bytes) {
        true => Ok(()),
        false => Err("not a .npy tensor that holds what its header says".into()),
    }
}

/// Whether a `.npy` file is at least as long as its shape says: the reader would allocate what it promises. A header that
/// is longer than any, or nested as none is, does not get to the reader either.
fn holds_its_shape(bytes: &[u8]) -> bool {
    let longest = bytes.get(..LONGEST_HEADER.min(bytes.len())).unwrap_or(bytes);
    let header = longest.split(|&b| b == b'\n').next().unwrap_or(&[]);
    let text = String::from_utf8_lossy(header);
    let shape =
        text.split_once("'shape'").and_then(|(_, rest)| rest.split_once('(')).and_then(|(_, s)| s.split_once(')'));
    let extents = shape.map(|(list, _)| list.split(',').map(str::trim).filter(|n| !n.is_empty()));
    let count = extents.and_then(|mut e| e.try_fold(1usize, |p, n| p.checked_mul(n.parse().ok()?)));
    let flat = text.matches(['(', '[', '{']).count() < 8;
    flat && header.len() < longest.len() && count.is_some_and(|n| n <= bytes.len())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn npy(shape: &str, data: usize) -> Vec<u8> {
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
        let header = format!("{header:<117}\n");
        [NUMPY, &[1, 0], &(header.len() as u16).to_le_bytes(), header.as_bytes(), &vec![0; data]].concat()
    }

    #[test]
    fn tensors_that_lie_about_their_shape_are_refused() {
        assert_eq!(tensor(&npy("(2, 3)", 24)).unwrap().shape(), [2, 3]);
        assert!(tensor(&npy("()", 4)).is_ok() && tensor(&npy("(1,)", 4)).is_ok());
        for (shape, data) in
            [("(2, 3)", 20), ("(99999999999,)", 24), ("(4294967296, 4294967296)", 4), ("3", 12), ("(x,)", 4)]
        {
            assert!(tensor(&npy(shape, data)).is_err(), "{shape}");
        }
        let nested = [NUMPY, &[2, 0, 0, 0, 1, 0], "(".repeat(65_536).as_bytes()].concat();
        assert!(tensor(&nested).is_err());
    }
}
