//! NumPy's arrays as the library's.

use crate::error;
use hirescam::engine::Array;
use ndarray::ArrayD;
use numpy::{Element, PyReadonlyArrayDyn, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;

/// The numbers of a NumPy array, by rows: a copy.
pub fn from_numpy(array: &Bound<PyAny>) -> PyResult<Array> {
    fn of<T: Element + Clone>(array: &Bound<PyAny>) -> Option<Array>
    where
        Array: From<ArrayD<T>>,
    {
        let array: PyReadonlyArrayDyn<T> = array.extract().ok()?;
        Some(array.as_array().as_standard_layout().into_owned().into())
    }
    let kinds: [fn(&Bound<PyAny>) -> Option<Array>; 12] = [
        of::<f32>,
        of::<f64>,
        of::<u8>,
        of::<i64>,
        of::<half::f16>,
        of::<i32>,
        of::<bool>,
        of::<u16>,
        of::<i16>,
        of::<i8>,
        of::<u32>,
        of::<u64>,
    ];
    kinds.iter().find_map(|of| of(array)).ok_or_else(|| {
        let dtype = array.cast::<PyUntypedArray>().map_or("no array".into(), |a| a.dtype().to_string());
        let text =
            format!("an array of {dtype}: float16, float32, float64, whole numbers of 8 to 64 bits and bool are read");
        error::argument(array.py(), &text)
    })
}
