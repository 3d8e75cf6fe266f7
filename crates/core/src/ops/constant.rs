//! Constants, and the integer chains that exporters write around a Reshape.

use super::movement::checked;
use super::{Card, Layout, Role, affine, case, fact, tensor};
use crate::error::{Fault, invalid, unsupported};
use crate::graph::{Attributes, standard};
use crate::onnx::messages::{AttributeProto, NodeProto, TensorProto};
use crate::shape::Fact;
use crate::tensor::{DataType, Tensor};
use ndarray::{Array2, ArrayD, IxDyn};

/// The cards of this family.
pub const CARDS: &[Card] = &[CONSTANT, CONSTANT_OF_SHAPE, EYE_LIKE, RANGE, SHAPE, SIZE];

/// The cards that make integers: evaluated while shapes are inferred, never differentiated.
const INTEGERS: Card = Card { linearity: affine, layout: Layout::Other, role: Role::Movement, ..Card::BASE };

/// The shape of a value, as far as `start` and `end` ask for it.
fn shape_of(a: &Attributes, shape: &[usize]) -> Tensor {
    let rank = shape.len() as i64;
    let clip = |v: i64| if v < 0 { v.saturating_add(rank) } else { v }.clamp(0, rank) as usize;
    let (start, end) = (clip(a.int("start", 0)), clip(a.int("end", rank)));
    Tensor::ints(&shape.get(start..end).unwrap_or(&[]).iter().map(|&n| n as i64).collect::<Vec<_>>())
}

const SHAPE: Card = Card {
    name: "Shape",
    reads_shape: true,
    shape: |a, x| Ok(vec![Fact::constant(shape_of(a, &fact(x, 0)?.shape))]),
    eval: |a, x| Ok(vec![shape_of(a, tensor(x, 0)?.shape())]),
    cases: || vec![case().w(&[2, 3, 4]), case().w(&[2, 3, 4]).set("start", 1)],
    ..INTEGERS
};

const SIZE: Card = Card {
    name: "Size",
    reads_shape: true,
    shape: |_, x| {
        Ok(vec![Fact::constant(Tensor {
            dtype: DataType::Int64,
            data: ndarray::arr0(fact(x, 0)?.shape.iter().product::<usize>() as f64).into_dyn(),
        })])
    },
    eval: |_, x| {
        Ok(vec![Tensor { dtype: DataType::Int64, data: ndarray::arr0(tensor(x, 0)?.data.len() as f64).into_dyn() }])
    },
    cases: || vec![case().w(&[2, 3, 4])],
    ..INTEGERS
};

fn constant_value(a: &Attributes) -> Result<Tensor, Fault> {
    if let Some(t) = a.tensor("value")? {
        return Ok(t);
    }
    let float = |v: Vec<f64>, shape: &[usize]| Tensor::new(DataType::Float, shape, v);
    if let Some(v) = a.get("value_float").map(AttributeProto::f) {
        return float(vec![v.into()], &[]);
    }
    if let Some(v) = a.get("value_floats") {
        return float(v.floats.iter().map(|&v| v.into()).collect(), &[v.floats.len()]);
    }
    if let Some(v) = a.get("value_int").map(AttributeProto::i) {
        return Tensor::new(DataType::Int64, &[], vec![v as f64]);
    }
    match a.ints("value_ints") {
        Some(v) => Ok(Tensor::ints(v)),
        None => invalid("it has no value"),
    }
}

/// Whether a node is a Constant: what it gives stands in the file.
pub(crate) fn is_constant(node: &NodeProto) -> bool {
    standard(node) == CONSTANT.name
}

/// The tensor that a Constant holds.
pub(crate) fn stored(node: &NodeProto) -> Option<&TensorProto> {
    node.attribute.first().filter(|_| is_constant(node))?.t.as_ref()
}

const CONSTANT: Card = Card {
    name: "Constant",
    covers: |a| match ["sparse_value", "value_string", "value_strings"].into_iter().find(|name| a.get(name).is_some()) {
        Some(name) => unsupported(format!("a constant given as {name}")),
        None => Ok(()),
    },
    shape: |a, _| {
        let value = constant_value(a)?;
        let small = value.data.len() <= 1 << 16;
        Ok(vec![if small { Fact::constant(value) } else { Fact::new(value.dtype, value.shape().to_vec()) }])
    },
    eval: |a, _| Ok(vec![constant_value(a)?]),
    ..INTEGERS
};

const CONSTANT_OF_SHAPE: Card = Card {
    name: "ConstantOfShape",
    shape: |a, x| {
        let shape = super::known_ints(x, 0)?.ok_or_else(|| Fault::Invalid("no shape is given".into()))?;
        let dtype = a.tensor("value")?.map_or(DataType::Float, |t| t.dtype);
        Ok(vec![Fact::new(dtype, checked(&shape)?)])
    },
    eval: |a, x| {
        let value = a.tensor("value")?;
        let shape = checked(&tensor(x, 0)?.to_ints())?;
        let fill = value.as_ref().and_then(Tensor::scalar).unwrap_or(0.0);
        Ok(vec![Tensor {
            dtype: value.map_or(DataType::Float, |t| t.dtype),
            data: ArrayD::from_elem(IxDyn(&shape), fill),
        }])
    },
    cases: || vec![case().list(&[2, 3])],
    ..INTEGERS
};

/// Ones on the diagonal `k`, in the shape of the input; nothing of it but its shape is read.
const EYE_LIKE: Card = Card {
    name: "EyeLike",
    reads_shape: true,
    shape: |a, x| {
        let input = fact(x, 0)?;
        match input.shape.len() {
            2 => Ok(vec![Fact::new(eye_type(a, input.dtype)?, input.shape.clone())]),
            rank => invalid(format!("a diagonal of a value with {rank} axes")),
        }
    },
    eval: |a, x| {
        let (input, k) = (tensor(x, 0)?, a.int("k", 0));
        let &[rows, columns] = input.shape() else { return invalid("a diagonal of other than a matrix") };
        let one = |(i, j): (usize, usize)| f64::from(u8::from((j as i64).checked_sub(k) == Some(i as i64)));
        let data = Array2::from_shape_fn((rows, columns), one).into_dyn();
        Ok(vec![Tensor { dtype: eye_type(a, input.dtype)?, data }])
    },
    cases: || vec![case().w(&[3, 4]).set("k", 1), case().w(&[3, 3]).opset(9)],
    ..INTEGERS
};

fn eye_type(a: &Attributes, input: DataType) -> Result<DataType, Fault> {
    DataType::try_from(a.int("dtype", input as i64) as i32).or_else(|_| invalid("the element type of a diagonal"))
}

/// How many numbers a Range holds.
fn range_count(start: f64, limit: f64, step: f64) -> Result<usize, Fault> {
    let count = ((limit - start) / step).ceil().max(0.0);
    match checked(&[count as i64]).as_deref() {
        Ok(&[count]) if step != 0.0 => Ok(count),
        _ => invalid(format!("the range from {start} to {limit} by {step}")),
    }
}

fn range_values(start: f64, limit: f64, step: f64) -> Result<Vec<f64>, Fault> {
    Ok((0..range_count(start, limit, step)?).map(|i| start + i as f64 * step).collect())
}

const RANGE: Card = Card {
    name: "Range",
    shape: |_, x| {
        let value = |i: usize| {
            fact(x, i)?
                .value
                .as_deref()
                .and_then(Tensor::scalar)
                .ok_or_else(|| Fault::Unsupported("a range that is only known at run time".into()))
        };
        let (start, limit, step) = (value(0)?, value(1)?, value(2)?);
        let (count, dtype) = (range_count(start, limit, step)?, fact(x, 0)?.dtype);
        if count > 1 << 16 {
            return Ok(vec![Fact::new(dtype, [count])]);
        }
        Ok(vec![Fact::constant(Tensor::new(dtype, &[count], range_values(start, limit, step)?)?)])
    },
    eval: |_, x| {
        let value = |i: usize| tensor(x, i)?.scalar().ok_or_else(|| Fault::Invalid("a range needs scalars".into()));
        let values = range_values(value(0)?, value(1)?, value(2)?)?;
        Ok(vec![Tensor::new(tensor(x, 0)?.dtype, &[values.len()], values)?])
    },
    ..INTEGERS
};
