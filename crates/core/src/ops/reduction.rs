//! Reductions over axes.

use super::{Card, Case, Kind, Layout, affine, case, fact, ints_in, ints_of, piecewise, tensor};
use crate::build::Value;
use crate::error::Fault;
use crate::graph::{Attributes, axis};
use crate::shape::{Dim, Fact};
use crate::tensor::{DataType, Tensor};
use ndarray::{ArrayD, Axis};

/// The cards of this family.
pub const CARDS: &[Card] = &[ARG_MAX, REDUCE_MAX, REDUCE_MEAN, REDUCE_MIN, REDUCE_PROD, REDUCE_SUM];

/// The axes to reduce, from the attribute or the second input: all when none are named, unless that means none.
fn chosen(a: &Attributes, axes: Option<Vec<i64>>, rank: usize) -> Result<Vec<usize>, Fault> {
    match axes {
        Some(axes) if !axes.is_empty() => {
            let mut axes = axes.iter().map(|&i| axis(i, rank)).collect::<Result<Vec<_>, _>>()?;
            axes.sort_unstable();
            axes.dedup();
            Ok(axes)
        }
        _ if a.int("noop_with_empty_axes", 0) != 0 => Ok(Vec::new()),
        _ => Ok((0..rank).collect()),
    }
}

fn reduced(shape: &[usize], axes: &[usize], keep: bool) -> Vec<usize> {
    let point = shape.iter().enumerate().map(|(i, &n)| if axes.contains(&i) { 1 } else { n });
    if keep {
        point.collect()
    } else {
        shape.iter().enumerate().filter(|(i, _)| !axes.contains(i)).map(|(_, &n)| n).collect()
    }
}

fn reduce_shape(a: &Attributes, x: &[Option<&Fact>]) -> Result<Vec<Fact>, Fault> {
    let input = fact(x, 0)?;
    let axes = chosen(a, ints_of(a, "axes", x, 1)?, input.shape.len())?;
    Ok(vec![Fact::new(input.dtype, reduced(&input.shape, &axes, a.int("keepdims", 1) != 0))])
}

fn reduce(a: &Attributes, x: &[Option<&Tensor>], start: f64, f: fn(f64, f64) -> f64) -> Result<(Tensor, usize), Fault> {
    let input = tensor(x, 0)?;
    let axes = chosen(a, ints_in(a, "axes", x, 1), input.shape().len())?;
    let count = axes.iter().map(|&i| input.shape()[i]).product();
    let mut data: ArrayD<f64> = input.data.clone();
    for &i in axes.iter().rev() {
        data = data.fold_axis(Axis(i), start, |&p, &q| f(p, q));
        if a.int("keepdims", 1) != 0 {
            data = data.insert_axis(Axis(i));
        }
    }
    Ok((Tensor { dtype: input.dtype, data }, count))
}

/// The reduced axes and the cotangent with them put back as axes of 1.
fn put_back<'g>(s: &super::Site<'g, '_>) -> Result<(Vec<usize>, Value<'g>), Fault> {
    let (x, y, dy) = (s.x(0)?, s.y()?, s.dy()?);
    let from_input = s.x.get(1).copied().flatten();
    let axes = match (s.attributes.ints("axes"), from_input) {
        (Some(axes), _) => Some(axes.to_vec()),
        (None, Some(v)) => {
            Some(v.known().ok_or_else(|| Fault::Unsupported("axes that are only known at run time".into()))?.to_ints())
        }
        (None, None) => None,
    };
    let axes = chosen(&s.attributes, axes, x.rank())?;
    if y.rank() == x.rank() {
        return Ok((axes, dy));
    }
    // What was an extent of 1 in dy stays one, so that a cotangent that is the same everywhere is not spread out.
    let mut kept = dy.with_rank(y.rank()).dims().into_iter();
    let dims: Vec<Dim> = (0..x.rank())
        .map(|i| if axes.contains(&i) { Dim::Fixed(1) } else { kept.next().unwrap_or(Dim::Fixed(1)) })
        .collect();
    Ok((axes, dy.reshape(&dims)))
}

const REDUCTION: Card =
    Card { shape: reduce_shape, layout: Layout::Other, kind: Kind::Pooling, cases: reductions, ..Card::BASE };

fn reductions() -> Vec<Case> {
    vec![
        case().x(&[2, 3, 4]).set("axes", [1]),
        case().x(&[2, 3, 4]).set("axes", [-1, -2]).set("keepdims", 0),
        case().x(&[2, 3, 4]),
        case().x(&[2, 3, 4]).list(&[2]).opset(18),
        case().x(&[2, 3, 4, 5]).list(&[2, 3]).set("keepdims", 0).opset(18),
    ]
}

const REDUCE_SUM: Card = Card {
    name: "ReduceSum",
    eval: |a, x| Ok(vec![reduce(a, x, 0.0, |p, q| p + q)?.0]),
    vjp: Some(|s| Ok(vec![Some(put_back(s)?.1), None])),
    linearity: affine,
    cases: || {
        let mut cases = reductions();
        cases.iter_mut().filter(|c| c.attributes.iter().any(|a| a.name() == "axes")).for_each(|c| c.opset = 11);
        cases
    },
    ..REDUCTION
};

const REDUCE_MEAN: Card = Card {
    name: "ReduceMean",
    eval: |a, x| {
        let (mut sum, count) = reduce(a, x, 0.0, |p, q| p + q)?;
        sum.data /= count.max(1) as f64;
        Ok(vec![sum])
    },
    vjp: Some(|s| {
        let (axes, d) = put_back(s)?;
        let sizes = s.x(0)?.sizes();
        let count: usize = axes.iter().filter_map(|&i| sizes.get(i)).product();
        Ok(vec![Some(d * (1.0 / count.max(1) as f64)), None])
    }),
    linearity: affine,
    ..REDUCTION
};

const REDUCE_MAX: Card = Card {
    name: "ReduceMax",
    eval: |a, x| Ok(vec![reduce(a, x, f64::NEG_INFINITY, f64::max)?.0]),
    linearity: piecewise,
    ..REDUCTION
};

const REDUCE_MIN: Card = Card {
    name: "ReduceMin",
    eval: |a, x| Ok(vec![reduce(a, x, f64::INFINITY, f64::min)?.0]),
    linearity: piecewise,
    ..REDUCTION
};

const REDUCE_PROD: Card =
    Card { name: "ReduceProd", eval: |a, x| Ok(vec![reduce(a, x, 1.0, |p, q| p * q)?.0]), ..REDUCTION };

/// The position of the largest value along an axis: the first, or with `select_last_index` the last.
const ARG_MAX: Card = Card {
    name: "ArgMax",
    shape: |a, x| {
        let input = fact(x, 0)?;
        let at = axis(a.int("axis", 0), input.shape.len())?;
        if input.shape[at] == 0 {
            return crate::error::invalid("the largest of no values");
        }
        Ok(vec![Fact::new(DataType::Int64, reduced(&input.shape, &[at], a.int("keepdims", 1) != 0))])
    },
    eval: |a, x| {
        let input = tensor(x, 0)?;
        let at = axis(a.int("axis", 0), input.shape().len())?;
        let last = a.int("select_last_index", 0) != 0;
        let mut data = input.data.map_axis(Axis(at), |lane| {
            let mut best = 0;
            for (i, v) in lane.iter().enumerate() {
                if *v > lane[best] || (last && *v == lane[best]) {
                    best = i;
                }
            }
            best as f64
        });
        if a.int("keepdims", 1) != 0 {
            data = data.insert_axis(Axis(at));
        }
        Ok(vec![Tensor { dtype: DataType::Int64, data }])
    },
    linearity: piecewise,
    layout: Layout::Other,
    cases: || vec![case().w(&[2, 3, 4]).set("axis", 1), case().w(&[2, 3]).set("axis", -1).set("keepdims", 0)],
    ..Card::BASE
};
