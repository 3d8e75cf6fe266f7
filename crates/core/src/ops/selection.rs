//! Choosing values by condition, rank or place.

use super::gather::scatter_add;
use super::transposed::LARGEST;
use super::{
    Along, Card, Entries, Layout, affine, aligned, apart, case, degree_of_all, degree_of_first, fact, piecewise, tensor,
};
use crate::error::{Fault, invalid, unsupported};
use crate::graph::{Attributes, around, axis, with_extent};
use crate::shape::{Dim, Fact};
use crate::tensor::{DataType, Tensor};
use ndarray::{ArrayD, Axis, Dimension, Zip};

/// The cards of this family.
pub const CARDS: &[Card] = &[NON_ZERO, ONE_HOT, TOP_K, TRILU, WHERE];

/// y = a where the condition holds, else b.
const WHERE: Card = Card {
    name: "Where",
    shape: |_, x| {
        let (c, a, b) = (fact(x, 0)?, fact(x, 1)?, fact(x, 2)?);
        Ok(vec![Fact::new(a.dtype, super::arithmetic::broadcast(&[&c.shape, &a.shape, &b.shape])?)])
    },
    eval: |_, x| {
        let (c, a, b) = (tensor(x, 0)?, tensor(x, 1)?, tensor(x, 2)?);
        let shape = super::arithmetic::broadcast(&[c.shape(), a.shape(), b.shape()])?;
        let mut data = super::arithmetic::stretch(a, &shape)?;
        let (c, b) = (super::arithmetic::stretch(c, &shape)?, super::arithmetic::stretch(b, &shape)?);
        Zip::from(&mut data).and(&c).and(&b).for_each(|a, &c, &b| {
            if c == 0.0 {
                *a = b;
            }
        });
        Ok(vec![Tensor { dtype: tensor(x, 1)?.dtype, data }])
    },
    vjp: Some(|s| {
        let (c, dy) = (s.x(0)?, s.dy()?);
        let zero = dy.scalar(0.0);
        Ok(vec![None, Some(s.unbroadcast(c.select(dy, zero), 1)?), Some(s.unbroadcast(c.select(zero, dy), 2)?)])
    }),
    linearity: affine,
    degree: |a, x| match x {
        [Some(condition), chosen @ ..] if condition.degree == 0.0 => degree_of_all(a, chosen),
        _ => None,
    },
    along: aligned,
    cases: || {
        let mask =
            || Tensor { dtype: DataType::Bool, data: ndarray::arr2(&[[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]).into_dyn() };
        vec![
            case().fixed(mask()).x(&[2, 3]).x(&[2, 3]),
            case().fixed(mask()).x(&[3]).x(&[2, 1]),
            case().fixed(mask()).x(&[4, 1, 3]).x(&[]).opset(9),
        ]
    },
    ..Card::BASE
};

/// The k of a TopK: an attribute before operator set 10.
fn kept(a: &Attributes, given: Option<&Tensor>) -> Result<usize, Fault> {
    let k = given.map_or(Some(a.int("k", 0)), |t| t.scalar().map(|k| k as i64));
    k.and_then(|k| usize::try_from(k).ok()).ok_or_else(|| Fault::Invalid(format!("the k {k:?}")))
}

/// The k largest (or smallest) values along an axis, sorted, and their positions; of equal values the first comes
/// first. The cotangent of the values goes back to the positions.
const TOP_K: Card = Card {
    name: "TopK",
    entries: Entries::Sorted,
    takes_largest: true,
    shape: |a, x| {
        let input = fact(x, 0)?;
        let at = axis(a.int("axis", -1), input.shape.len())?;
        let k = match x.get(1).copied().flatten() {
            Some(Fact { value: None, .. }) => return unsupported("a k that is only known at run time"),
            k => kept(a, k.and_then(|k| k.value.as_deref()))?,
        };
        let (before, extent, after) = around(&input.shape, at)?;
        if k > extent {
            return invalid(format!("the {k} largest of {extent}"));
        }
        let shape = [before, &[k], after].concat();
        Ok(vec![Fact::new(input.dtype, shape.clone()), Fact::new(DataType::Int64, shape)])
    },
    eval: |a, x| {
        let input = tensor(x, 0)?;
        let at = axis(a.int("axis", -1), input.shape().len())?;
        let k = kept(a, x.get(1).copied().flatten())?;
        let sign = if a.int("largest", 1) != 0 { 1.0 } else { -1.0 };
        let mut values = ndarray::ArrayD::zeros(with_extent(input.shape(), at, k)?);
        let mut indices = values.clone();
        let lanes =
            input.data.lanes(Axis(at)).into_iter().zip(values.lanes_mut(Axis(at))).zip(indices.lanes_mut(Axis(at)));
        for ((lane, mut value), mut index) in lanes {
            let mut order: Vec<(usize, f64)> = lane.iter().copied().enumerate().collect();
            // Adding 0 makes −0 equal to 0.
            order.sort_by(|(_, p), (_, q)| (sign * q + 0.0).total_cmp(&(sign * p + 0.0)));
            for ((value, index), (i, v)) in value.iter_mut().zip(&mut index).zip(order) {
                (*value, *index) = (v, i as f64);
            }
        }
        Ok(vec![Tensor { dtype: input.dtype, data: values }, Tensor { dtype: DataType::Int64, data: indices }])
    },
    vjp: Some(|s| {
        let (x, Some(&indices)) = (s.x(0)?, s.y.get(1)) else {
            return invalid("it has no output for the indices");
        };
        if s.attributes.node.output.get(1).is_none_or(String::is_empty) {
            return unsupported("values without their indices");
        }
        let at = x.axis(s.attributes.int("axis", -1))?;
        if s.y()?.rank() != x.rank() || indices.rank() != x.rank() {
            return invalid(format!("{} axes for the largest of a value with {}", indices.rank(), x.rank()));
        }
        Ok(vec![Some(scatter_add(s.full_dy()?, indices, at, x, s.attributes.opset)?), None])
    }),
    layout: Layout::Other,
    along: |a, x, input, own| {
        apart(fact(x, 0).and_then(|x| Ok(vec![axis(a.int("axis", -1), x.shape.len())?])), input, own)
    },
    linearity: piecewise,
    degree: degree_of_first,
    cases: || {
        vec![
            case().x(&[2, 5]).list(&[3]).outputs(2),
            case().x(&[2, 5, 3]).list(&[2]).set("axis", 1).set("largest", 0).outputs(2),
            case().x(&[2, 700]).list(&[50]).set("axis", -1).outputs(2),
            case().x(&[2, 700]).list(&[50]).set("axis", -1).opset(10).outputs(2),
            case().x(&[4, 3]).set("k", 2).set("axis", 0).opset(9).outputs(2),
        ]
    },
    ..Card::BASE
};

/// A matrix of ones on and above the diagonal `k`, or on and below it, and of zeros elsewhere.
fn triangle(a: &Attributes, shape: &[usize], k: i64) -> Result<ArrayD<f64>, Fault> {
    let &[.., rows, columns] = shape else { return invalid(format!("a triangle of the shape {shape:?}")) };
    if rows.saturating_mul(columns) > LARGEST {
        return unsupported(format!("a triangle of {rows} by {columns}"));
    }
    let upper = a.int("upper", 1) != 0;
    let kept = |(i, j)| {
        let from_diagonal = (j as i64 - i as i64).saturating_sub(k);
        f64::from(u8::from(if upper { from_diagonal >= 0 } else { from_diagonal <= 0 }))
    };
    Ok(ndarray::Array2::from_shape_fn((rows, columns), kept).into_dyn())
}

/// The upper or lower triangle of matrices, the rest 0.
const TRILU: Card = Card {
    name: "Trilu",
    shape: |a, x| match fact(x, 0)?.shape.len() {
        0 | 1 => invalid(format!("a triangle of the shape {:?}", fact(x, 0)?.shape)),
        _ => super::like_first(a, x),
    },
    eval: |a, x| {
        let input = tensor(x, 0)?;
        let k = x.get(1).copied().flatten().and_then(Tensor::scalar).unwrap_or(0.0);
        let mask = triangle(a, input.shape(), k as i64)?;
        let mut data = input.data.clone();
        Zip::from(&mut data).and_broadcast(&mask).for_each(|v, &kept| *v = if kept == 0.0 { 0.0 } else { *v });
        Ok(vec![Tensor { dtype: input.dtype, data }])
    },
    vjp: Some(|s| {
        let (x, dy) = (s.x(0)?, s.dy()?);
        let k = match s.x.get(1).copied().flatten().map(|k| k.known().and_then(|k| k.scalar())) {
            Some(None) => return unsupported("a diagonal that is only known at run time"),
            k => k.flatten().unwrap_or(0.0),
        };
        if x.dims().iter().rev().take(2).any(|d| matches!(d, Dim::Batch(_))) {
            return unsupported("triangles over the batch axis");
        }
        Ok(vec![Some(dy * dy.tensor(triangle(&s.attributes, &x.sizes(), k as i64)?)), None])
    }),
    linearity: affine,
    degree: degree_of_first,
    // Which entries are kept goes by their places on the last two axes.
    along: |a, x, input, axis| match x.get(input).copied().flatten() {
        Some(own) if input == 0 && axis + 2 >= own.shape.len() => Along::Moved(axis),
        _ => aligned(a, x, input, axis),
    },
    cases: || {
        vec![
            case().x(&[2, 3, 4]).opset(14),
            case().x(&[3, 4]).grid(&[], &[-1]).set("upper", 0).opset(14),
            case().x(&[2, 4, 3]).grid(&[], &[1]),
        ]
    },
    ..Card::BASE
};

/// The number of classes of a OneHot, and the axis that counts them.
fn classes(a: &Attributes, rank: usize, depth: Option<&Tensor>) -> Result<(usize, usize), Fault> {
    let depth = depth.and_then(Tensor::scalar).filter(|d| (1.0..2e9).contains(d));
    match depth {
        Some(depth) => Ok((depth as usize, axis(a.int("axis", -1), rank + 1)?)),
        None => unsupported("a depth that is not positive or only known at run time"),
    }
}

/// Along a new axis `on` where the place is the index, else `off`.
const ONE_HOT: Card = Card {
    name: "OneHot",
    shape: |a, x| {
        let (indices, values) = (fact(x, 0)?, fact(x, 2)?);
        let (depth, at) = classes(a, indices.shape.len(), fact(x, 1)?.value.as_deref())?;
        if values.shape != [2] {
            return invalid(format!("values of the shape {:?}", values.shape));
        }
        let mut shape = indices.shape.clone();
        shape.insert(at, depth);
        Ok(vec![Fact::new(values.dtype, shape)])
    },
    eval: |a, x| {
        let (indices, values) = (tensor(x, 0)?, tensor(x, 2)?);
        let (depth, at) = classes(a, indices.shape().len(), Some(tensor(x, 1)?))?;
        let mut shape = indices.shape().to_vec();
        shape.insert(at, depth);
        let mut values_of = values.data.iter().copied();
        let (Some(off), Some(on)) = (values_of.next(), values_of.next()) else {
            return invalid("fewer than two values");
        };
        let mut data = ArrayD::from_elem(shape, off);
        for (class, mut hot) in data.axis_iter_mut(Axis(at)).enumerate() {
            hot.zip_mut_with(&indices.data, |value, &index| {
                if class as f64 == if index < 0.0 { index + depth as f64 } else { index } {
                    *value = on;
                }
            });
        }
        Ok(vec![Tensor { dtype: values.dtype, data }])
    },
    layout: Layout::Other,
    along: |a, x, input, own| match fact(x, 0).and_then(|x| axis(a.int("axis", -1), x.shape.len() + 1)) {
        Ok(at) if input == 0 => Along::To(own + usize::from(own >= at)),
        _ => Along::Unknown,
    },
    cases: || {
        let values = || Tensor::float(ndarray::arr1(&[-0.5, 2.0]).into_dyn());
        vec![
            case().list(&[0, 3, -1]).grid(&[], &[4]).fixed(values()).opset(11),
            case().grid(&[2, 2], &[0, 1, 5, 2]).list(&[3]).fixed(values()).set("axis", 1),
        ]
    },
    ..Card::BASE
};

/// The coordinates of what is not 0: an axis of coordinates, then one of finds.
const NON_ZERO: Card = Card {
    name: "NonZero",
    shape: |_, x| match &fact(x, 0)?.value {
        Some(value) => Ok(vec![Fact::constant(places_not_zero(value)?)]),
        None => unsupported("how much of its input is not 0 is only known at run time, and so is its shape"),
    },
    eval: |_, x| Ok(vec![places_not_zero(tensor(x, 0)?)?]),
    layout: Layout::Other,
    cases: || vec![case().grid(&[2, 3], &[0, 4, -1, 1, 0, 0]).opset(9), case().list(&[0, 0])],
    ..Card::BASE
};

fn places_not_zero(x: &Tensor) -> Result<Tensor, Fault> {
    let finds: Vec<ndarray::IxDyn> =
        x.data.indexed_iter().filter(|(_, v)| **v != 0.0).map(|(place, _)| place).collect();
    let places = finds.iter().flat_map(|place| place.slice().iter().map(|&at| at as f64)).collect();
    let by_find = Tensor::new(DataType::Int64, &[finds.len(), x.shape().len()], places)?;
    Ok(Tensor { data: by_find.data.reversed_axes().as_standard_layout().into_owned(), ..by_find })
}
