//! Quantisation to small integers and back.
//!
//! QuantizeLinear is a staircase: its derivative is 0 wherever there is one. What is emitted for it is the
//! straight-through estimator (Bengio et al. 2013, arXiv:1308.3432), the derivative of the same line without steps,
//! 0 where it saturates; so it is with PyTorch's fake quantisation. A map through such a node is a gradient's at best,
//! and its `linearity` says so. The cotangent of the integers between the two operators is a float as all others are.

use super::{Card, apart, case, fact, product, tensor};
use crate::build::Value;
use crate::error::{Fault, invalid, unsupported};
use crate::graph::{Attributes, axis, extent, with_extent};
use crate::shape::{Dim, Fact};
use crate::tensor::{DataType, Tensor};
use ndarray::{ArrayD, Axis, IxDyn};

/// The cards of this family.
pub const CARDS: &[Card] = &[DEQUANTIZE_LINEAR, QUANTIZE_LINEAR];

/// What one scale stands for.
enum Grain {
    /// The whole value.
    All,
    /// A place of this axis.
    Axis(usize),
    /// So many places of this axis.
    Blocks(usize, usize),
}

impl Grain {
    fn of(a: &Attributes, x: &[usize], scale: &[usize]) -> Result<Self, Fault> {
        let (at, size) = (|| axis(a.int("axis", 1), x.len()), usize::try_from(a.int("block_size", 0)).unwrap_or(0));
        let wrong = || invalid(format!("a scale of the shape {scale:?} in blocks of {size} for {x:?}"));
        match scale {
            [] | [1] => Ok(Grain::All),
            [n] if x.get(at()?) == Some(n) => Ok(Grain::Axis(at()?)),
            _ if size > 0 && scale.len() == x.len() => {
                let at = at()?;
                let fits = |(i, (&n, &scales)): (usize, (&usize, &usize))| {
                    scales == if i == at { n.div_ceil(size) } else { n }
                };
                if x.iter().zip(scale).enumerate().all(fits) { Ok(Grain::Blocks(at, size)) } else { wrong() }
            }
            _ => wrong(),
        }
    }

    /// The scales or zero points `t`, in a shape that broadcasts to `x`.
    fn laid_out(&self, t: &Tensor, x: &[usize]) -> Result<ArrayD<f64>, Fault> {
        let shape = match *self {
            Grain::All => vec![],
            Grain::Axis(at) => with_extent(&vec![1; x.len()], at, extent(x, at)?)?,
            Grain::Blocks(at, size) => {
                let blocks: Vec<usize> = (0..extent(x, at)?).map(|i| i / size).collect();
                return Ok(t.data.select(Axis(at), &blocks));
            }
        };
        Ok(t.data.to_shape(IxDyn(&shape)).map_err(|e| Fault::Invalid(e.to_string()))?.to_owned())
    }

    /// The same for emitted nodes, in the element type of `like`.
    fn value<'g>(&self, v: Value<'g>, x: Value<'g>, like: Value<'g>) -> Result<Value<'g>, Fault> {
        if let Some(t) = v.known() {
            return Ok(like.tensor(self.laid_out(&t, &x.sizes())?));
        }
        let v = v.cast(like.dtype());
        Ok(match *self {
            Grain::All => v.reshape(&[]),
            Grain::Axis(at) => {
                let dims = x.dims();
                v.reshape(&with_extent(&vec![Dim::Fixed(1); dims.len()], at, extent(&dims, at)?)?)
            }
            Grain::Blocks(at, size) => {
                let places: Vec<i64> = (0..extent(&x.sizes(), at)?).map(|i| (i / size) as i64).collect();
                v.gather(v.graph().ints(&places), at)
            }
        })
    }
}

/// Checks scale and zero point; what one scale stands for.
fn grain(a: &Attributes, x: &[Option<&Fact>]) -> Result<Grain, Fault> {
    let scale = fact(x, 1)?;
    match x.get(2).copied().flatten() {
        Some(zero)
            if zero.shape != scale.shape
                && [&zero.shape, &scale.shape].iter().any(|s| !matches!(s.as_slice(), [] | [1])) =>
        {
            invalid(format!("a zero point of the shape {:?} for scales {:?}", zero.shape, scale.shape))
        }
        _ => Grain::of(a, &fact(x, 0)?.shape, &scale.shape),
    }
}

/// Scale and zero point of an evaluation, in shapes that broadcast to `x`.
fn parameters(a: &Attributes, x: &[Option<&Tensor>]) -> Result<(ArrayD<f64>, ArrayD<f64>), Fault> {
    let (shape, scale) = (tensor(x, 0)?.shape(), tensor(x, 1)?);
    let grain = Grain::of(a, shape, scale.shape())?;
    let zero = match x.get(2).copied().flatten() {
        Some(zero) => grain.laid_out(zero, shape)?,
        None => ArrayD::zeros(IxDyn(&[])),
    };
    Ok((grain.laid_out(scale, shape)?, zero))
}

fn output_type(a: &Attributes, otherwise: DataType) -> Result<DataType, Fault> {
    match a.int("output_dtype", 0) {
        0 => Ok(otherwise),
        given => DataType::try_from(given as i32).or_else(|_| invalid(format!("output_dtype {given}"))),
    }
}

/// The least and greatest number of an integer type.
fn range(dtype: DataType) -> Result<(f64, f64), Fault> {
    Ok(match dtype {
        DataType::Int8 => (-128.0, 127.0),
        DataType::Uint8 => (0.0, 255.0),
        DataType::Int16 => (-32768.0, 32767.0),
        DataType::Uint16 => (0.0, 65535.0),
        DataType::Int4 => (-8.0, 7.0),
        DataType::Uint4 => (0.0, 15.0),
        other => return unsupported(format!("quantising to {other:?}")),
    })
}

/// y = clip(round(x / scale) + zero, range of the type); the cotangent goes through as if nothing were rounded.
const QUANTIZE_LINEAR: Card = Card {
    name: "QuantizeLinear",
    quantises: true,
    shape: |a, x| {
        grain(a, x)?;
        let zero = x.get(2).copied().flatten().map(|zero| zero.dtype);
        let dtype = output_type(a, zero.unwrap_or(DataType::Uint8))?;
        Ok(vec![Fact::new(dtype, fact(x, 0)?.shape.clone())])
    },
    eval: |a, x| {
        let (input, (scale, zero)) = (tensor(x, 0)?, parameters(a, x)?);
        let dtype = output_type(a, x.get(2).copied().flatten().map_or(DataType::Uint8, |zero| zero.dtype))?;
        let (least, greatest) = range(dtype)?;
        let steps = (&input.data / &scale).mapv(f64::round_ties_even) + zero;
        Ok(vec![Tensor { dtype, data: steps.mapv(|v| v.clamp(least, greatest)) }])
    },
    vjp: Some(|s| {
        let (x, scale, dy) = (s.x(0)?, s.x(1)?, s.dy()?);
        let (least, greatest) = range(s.y()?.dtype())?;
        let grain = Grain::of(&s.attributes, &x.sizes(), &scale.sizes())?;
        let scale = grain.value(scale, x, dy)?;
        let steps = x.cast(dy.dtype()) / scale;
        let steps = match s.x.get(2).copied().flatten() {
            Some(zero) => steps + grain.value(zero, x, dy)?,
            None => steps,
        };
        // What rounds to a number of the range has been kept.
        let kept = steps.gt(steps.scalar(least - 0.5)).and(steps.lt(steps.scalar(greatest + 0.5)));
        Ok(vec![Some(kept.select(dy / scale, dy.scalar(0.0))), None, None])
    }),
    along: |_, _, input, axis| apart(Ok(Vec::new()), input, axis),
    limits: "to integers; the derivative is the straight-through estimator",
    cases: || {
        let scales = || Tensor::float(ndarray::arr1(&[0.03, 0.01, 0.02]).into_dyn());
        let zeros = |dtype: DataType, values: &[f64]| Tensor { dtype, data: ndarray::arr1(values).into_dyn() };
        let zero = |dtype: DataType, value: f64| Tensor { dtype, data: ndarray::arr0(value).into_dyn() };
        vec![
            case().x(&[2, 3, 4]).scalar(0.01).opset(10),
            case().x(&[2, 3, 4]).scalar(0.02).fixed(zero(DataType::Int8, -5.0)).opset(10),
            case().x(&[2, 3, 4]).fixed(scales()).fixed(zeros(DataType::Uint8, &[128.0, 100.0, 7.0])).opset(13),
            case().x(&[3, 4]).fixed(scales()).fixed(zeros(DataType::Int8, &[0.0; 3])).set("axis", -2).opset(19),
        ]
    },
    ..Card::BASE
};

/// y = (x − zero) · scale.
const DEQUANTIZE_LINEAR: Card = Card {
    name: "DequantizeLinear",
    shape: |a, x| {
        grain(a, x)?;
        Ok(vec![Fact::new(output_type(a, fact(x, 1)?.dtype)?, fact(x, 0)?.shape.clone())])
    },
    eval: |a, x| {
        let (scale, zero) = parameters(a, x)?;
        Ok(vec![Tensor { dtype: output_type(a, tensor(x, 1)?.dtype)?, data: (&tensor(x, 0)?.data - &zero) * scale }])
    },
    vjp: Some(|s| {
        let (x, scale, dy) = (s.x(0)?, s.x(1)?, s.dy()?);
        let grain = Grain::of(&s.attributes, &x.sizes(), &scale.sizes())?;
        let by_scale = match grain {
            Grain::Blocks(..) => None,
            Grain::All | Grain::Axis(_) => {
                let mut steps = x.cast(dy.dtype());
                if let Some(zero) = s.x.get(2).copied().flatten() {
                    steps = steps - grain.value(zero, x, dy)?;
                }
                let others: Vec<usize> =
                    (0..x.rank()).filter(|&i| !matches!(grain, Grain::Axis(at) if at == i)).collect();
                Some((s.full_dy()? * steps).reduce_sum(&others, false).reshape(&scale.dims()))
            }
        };
        Ok(vec![Some(dy * grain.value(scale, x, dy)?), by_scale, None])
    }),
    linearity: product,
    along: |_, _, input, axis| apart(Ok(Vec::new()), input, axis),
    cases: || {
        let steps = |shape: &[usize], values: &[f64]| Tensor {
            dtype: DataType::Int8,
            data: ArrayD::from_shape_vec(shape, values.to_vec()).unwrap_or_default(),
        };
        vec![
            case().fixed(steps(&[2, 3], &[1.0, -128.0, 3.0, 4.0, 127.0, 6.0])).x(&[]),
            case().fixed(steps(&[2, 2], &[1.0, -7.0, 0.0, 9.0])).x(&[2]).fixed(steps(&[2], &[3.0, -1.0])),
        ]
    },
    ..Card::BASE
};
