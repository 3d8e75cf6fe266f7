//! Reductions over axes, and running sums.

use super::{
    Along, Card, Case, Entries, Layout, Role, Vjp, affine, apart, case, degree_of_first, fact, ints_in, ints_of,
    piecewise, tensor, where_first,
};
use crate::build::Value;
use crate::error::{Fault, invalid, unsupported};
use crate::graph::{Attributes, axis, extent};
use crate::shape::{Dim, Fact};
use crate::tensor::{DataType, Tensor};
use ndarray::{ArrayD, Axis};

/// The cards of this family.
pub const CARDS: &[Card] = &[
    ARG_MAX,
    ARG_MIN,
    CUM_SUM,
    REDUCE_L1,
    REDUCE_L2,
    REDUCE_LOG_SUM,
    REDUCE_LOG_SUM_EXP,
    REDUCE_MAX,
    REDUCE_MEAN,
    REDUCE_MIN,
    REDUCE_PROD,
    REDUCE_SUM,
    REDUCE_SUM_SQUARE,
];

/// The axes to reduce, from the attribute or the second input: all when none are named, unless that means none.
pub(crate) fn chosen(a: &Attributes, axes: Option<Vec<i64>>, rank: usize) -> Result<Vec<usize>, Fault> {
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

/// What a reduction is applied to: the input, the axes, and whether they stay as axes of 1.
fn operands<'a>(a: &Attributes, x: &[Option<&'a Tensor>]) -> Result<(&'a Tensor, Vec<usize>, bool), Fault> {
    let input = tensor(x, 0)?;
    let axes = chosen(a, ints_in(a, "axes", x, 1), input.shape().len())?;
    Ok((input, axes, a.int("keepdims", 1) != 0))
}

fn fold(data: &ArrayD<f64>, axes: &[usize], keep: bool, start: f64, f: fn(f64, f64) -> f64) -> ArrayD<f64> {
    axes.iter().rev().fold(data.clone(), |d, &i| {
        let folded = d.fold_axis(Axis(i), start, |&p, &q| f(p, q));
        if keep { folded.insert_axis(Axis(i)) } else { folded }
    })
}

fn reduce(a: &Attributes, x: &[Option<&Tensor>], start: f64, f: fn(f64, f64) -> f64) -> Result<Vec<Tensor>, Fault> {
    let (input, axes, keep) = operands(a, x)?;
    Ok(vec![Tensor { dtype: input.dtype, data: fold(&input.data, &axes, keep, start, f) }])
}

/// whole(Σ term(x)).
fn sum(
    a: &Attributes,
    x: &[Option<&Tensor>],
    term: fn(f64) -> f64,
    whole: fn(f64) -> f64,
) -> Result<Vec<Tensor>, Fault> {
    let (input, axes, keep) = operands(a, x)?;
    let data = fold(&input.data.mapv(term), &axes, keep, 0.0, |p, q| p + q).mapv(whole);
    Ok(vec![Tensor { dtype: input.dtype, data }])
}

/// The reduced axes of the input.
fn axes_of(s: &Vjp) -> Result<Vec<usize>, Fault> {
    let from_input = s.x.get(1).copied().flatten();
    let axes = match (s.attributes.ints("axes"), from_input) {
        (Some(axes), _) => Some(axes.to_vec()),
        (None, Some(v)) => {
            Some(v.known().ok_or_else(|| Fault::Unsupported("axes that are only known at run time".into()))?.to_ints())
        }
        (None, None) => None,
    };
    chosen(&s.attributes, axes, s.x(0)?.rank())
}

/// `v`, which broadcasts to the output, with the reduced axes put back as axes of 1.
fn put_back<'g>(s: &Vjp<'g, '_>, axes: &[usize], v: Value<'g>) -> Result<Value<'g>, Fault> {
    let (rank, y) = (s.x(0)?.rank(), s.y()?);
    if y.rank() == rank {
        return Ok(v);
    }
    // What was an extent of 1 stays one, so that a cotangent that is the same everywhere is not spread out.
    let mut kept = v.with_rank(y.rank()).dims().into_iter();
    let dims: Vec<Dim> = (0..rank)
        .map(|i| if axes.contains(&i) { Dim::Fixed(1) } else { kept.next().unwrap_or(Dim::Fixed(1)) })
        .collect();
    Ok(v.reshape(&dims))
}

/// The reduced axes, and output and cotangent with these put back as axes of 1.
fn kept<'g>(s: &Vjp<'g, '_>) -> Result<(Vec<usize>, Value<'g>, Value<'g>), Fault> {
    let axes = axes_of(s)?;
    let (y, dy) = (put_back(s, &axes, s.y()?)?, put_back(s, &axes, s.dy()?)?);
    Ok((axes, y, dy))
}

const REDUCTION: Card = Card {
    shape: reduce_shape,
    layout: Layout::Other,
    along: |a, x, input, axis| {
        let axes = fact(x, 0).and_then(|f| chosen(a, ints_of(a, "axes", x, 1)?, f.shape.len()));
        dropped(a, axes, input, axis)
    },
    role: Role::Pooling,
    cases: reductions,
    entries: Entries::Reduced,
    ..Card::BASE
};

/// What becomes of an axis where `axes` are reduced.
fn dropped(a: &Attributes, axes: Result<Vec<usize>, Fault>, input: usize, axis: usize) -> Along {
    let Ok(axes) = axes else { return Along::Unknown };
    let before = axes.iter().filter(|&&at| at < axis).count();
    match input {
        0 if axes.contains(&axis) => Along::Across,
        0 if a.int("keepdims", 1) == 0 => Along::To(axis - before),
        0 => Along::To(axis),
        _ => Along::Unknown,
    }
}

fn reductions() -> Vec<Case> {
    reductions_in(-2.0, 2.0)
}

/// Axes as an attribute and as an input, kept and dropped, none named for all and none named for none.
fn reductions_in(low: f64, high: f64) -> Vec<Case> {
    let x = || case().x_in(&[2, 3, 4], low, high);
    vec![
        x().set("axes", [1]),
        x().set("axes", [-1, -2]).set("keepdims", 0),
        x(),
        x().set("keepdims", 0).opset(18),
        x().list(&[2]).opset(18),
        x().list(&[]).opset(18),
        x().list(&[]).set("noop_with_empty_axes", 1).opset(18),
        x().set("noop_with_empty_axes", 1).set("keepdims", 0).opset(18),
        case().x_in(&[2, 3, 2, 2], low, high).list(&[2, 3]).set("keepdims", 0).opset(18),
    ]
}

const REDUCE_SUM: Card = Card {
    name: "ReduceSum",
    never_negative: where_first,
    eval: |a, x| reduce(a, x, 0.0, |p, q| p + q),
    vjp: Some(|s| Ok(vec![Some(kept(s)?.2), None])),
    linearity: affine,
    degree: degree_of_first,
    cases: || {
        let mut cases = reductions();
        cases.iter_mut().filter(|c| c.attributes.iter().any(|a| a.name() == "axes")).for_each(|c| c.opset = 11);
        cases
    },
    ..REDUCTION
};

const REDUCE_MEAN: Card = Card {
    name: "ReduceMean",
    never_negative: where_first,
    eval: |a, x| {
        let (input, axes, keep) = operands(a, x)?;
        let count: usize = axes.iter().map(|&at| input.data.len_of(Axis(at))).product();
        let data = fold(&input.data, &axes, keep, 0.0, |p, q| p + q) / count.max(1) as f64;
        Ok(vec![Tensor { dtype: input.dtype, data }])
    },
    vjp: Some(|s| {
        let (axes, _, dy) = kept(s)?;
        let count: usize = s.sizes_within_image(&axes)?.iter().product();
        Ok(vec![Some(dy * (1.0 / count.max(1) as f64)), None])
    }),
    linearity: affine,
    degree: degree_of_first,
    limits: "not over the images of a batch",
    ..REDUCTION
};

/// The largest value. Those that tie share its cotangent evenly, as of PyTorch's `amax`; its `max` along one axis
/// takes the first instead.
const REDUCE_MAX: Card = Card {
    name: "ReduceMax",
    never_negative: where_first,
    takes_largest: true,
    eval: |a, x| reduce(a, x, f64::NEG_INFINITY, f64::max),
    vjp: Some(|s| share(s, |x, y| x.lt(y))),
    linearity: piecewise,
    degree: degree_of_first,
    ..REDUCTION
};

/// The smallest value; ties as of ReduceMax.
const REDUCE_MIN: Card = Card {
    name: "ReduceMin",
    never_negative: where_first,
    eval: |a, x| reduce(a, x, f64::INFINITY, f64::min),
    vjp: Some(|s| share(s, |x, y| x.gt(y))),
    linearity: piecewise,
    degree: degree_of_first,
    ..REDUCTION
};

/// The cotangent in even shares to all that are not `beaten` by the output.
fn share<'g>(s: &Vjp<'g, '_>, beaten: fn(Value<'g>, Value<'g>) -> Value<'g>) -> Result<Vec<Option<Value<'g>>>, Fault> {
    let (x, (axes, y, dy)) = (s.x(0)?, kept(s)?);
    let beaten = beaten(x, y);
    let sharers = beaten.select(x.scalar(0.0), x.scalar(1.0)).reduce_sum(&axes, true);
    Ok(vec![Some(beaten.select(dy.scalar(0.0), dy / sharers)), None])
}

/// y = Σ |x|; the derivative at 0 is 0.
const REDUCE_L1: Card = Card {
    name: "ReduceL1",
    eval: |a, x| sum(a, x, f64::abs, |s| s),
    vjp: Some(|s| {
        let dy = kept(s)?.2;
        Ok(vec![Some(s.x(0)?.by_sign(dy, -dy)), None])
    }),
    linearity: piecewise,
    degree: degree_of_first,
    ..REDUCTION
};

/// y = √Σ x²; the derivative at the zero vector is 0.
const REDUCE_L2: Card = Card {
    name: "ReduceL2",
    eval: |a, x| sum(a, x, |v| v * v, f64::sqrt),
    vjp: Some(|s| {
        let (_, y, dy) = kept(s)?;
        Ok(vec![Some(s.x(0)? * y.where_gt(0.0, dy / y)), None])
    }),
    degree: degree_of_first,
    ..REDUCTION
};

/// y = Σ x².
const REDUCE_SUM_SQUARE: Card = Card {
    name: "ReduceSumSquare",
    eval: |a, x| sum(a, x, |v| v * v, |s| s),
    vjp: Some(|s| Ok(vec![Some(s.x(0)? * (kept(s)?.2 * 2.0)), None])),
    degree: |a, x| degree_of_first(a, x).map(|degree| 2.0 * degree),
    ..REDUCTION
};

/// y = ln Σ x.
const REDUCE_LOG_SUM: Card = Card {
    name: "ReduceLogSum",
    eval: |a, x| sum(a, x, |v| v, f64::ln),
    vjp: Some(|s| {
        let (axes, _, dy) = kept(s)?;
        Ok(vec![Some(dy / s.x(0)?.reduce_sum(&axes, true)), None])
    }),
    cases: || reductions_in(0.5, 2.0),
    ..REDUCTION
};

/// y = ln Σ eˣ.
const REDUCE_LOG_SUM_EXP: Card = Card {
    name: "ReduceLogSumExp",
    eval: |a, x| {
        // With the largest exponent taken out nothing overflows.
        let (input, axes, keep) = operands(a, x)?;
        let finite = |v: f64| if v.is_finite() { v } else { 0.0 };
        let largest = |keep| fold(&input.data, &axes, keep, f64::NEG_INFINITY, f64::max).mapv(finite);
        let terms = (&input.data - &largest(true)).mapv(f64::exp);
        let data = fold(&terms, &axes, keep, 0.0, |p, q| p + q).mapv(f64::ln) + largest(keep);
        Ok(vec![Tensor { dtype: input.dtype, data }])
    },
    vjp: Some(|s| {
        let (_, y, dy) = kept(s)?;
        Ok(vec![Some((s.x(0)? - y).exp() * dy), None])
    }),
    ..REDUCTION
};

/// y = ∏ x, also where factors are 0.
const REDUCE_PROD: Card = Card {
    name: "ReduceProd",
    eval: |a, x| reduce(a, x, 1.0, |p, q| p * q),
    vjp: Some(|s| {
        // The product of the other factors: that of all but the zeros, without its own, if no other factor is 0.
        let (x, (axes, _, dy)) = (s.x(0)?, kept(s)?);
        let (zero, one) = (x.scalar(0.0), x.scalar(1.0));
        let nonzero = x.gt(zero).select(x, x.lt(zero).select(x, one));
        let is_zero = one - x.by_sign(one, one);
        let other_zeros = is_zero.reduce_sum(&axes, true) - is_zero;
        let others = nonzero.reduce_prod(&axes) / nonzero;
        Ok(vec![Some(other_zeros.gt(zero).select(dy.scalar(0.0), dy * others)), None])
    }),
    ..REDUCTION
};

/// The position of the best value along an axis: the first, or with `select_last_index` the last.
const ARG: Card = Card {
    shape: |a, x| {
        let input = fact(x, 0)?;
        let at = axis(a.int("axis", 0), input.shape.len())?;
        if extent(&input.shape, at)? == 0 {
            return invalid("the best of no values");
        }
        Ok(vec![Fact::new(DataType::Int64, reduced(&input.shape, &[at], a.int("keepdims", 1) != 0))])
    },
    linearity: piecewise,
    layout: Layout::Other,
    along: |a, x, input, own| {
        dropped(a, fact(x, 0).and_then(|x| Ok(vec![axis(a.int("axis", 0), x.shape.len())?])), input, own)
    },
    cases: || {
        vec![
            case().w(&[2, 3, 4]).set("axis", 1),
            case().w(&[2, 3]).set("axis", -1).set("keepdims", 0),
            case().w(&[2, 3]).set("select_last_index", 1),
        ]
    },
    entries: Entries::PlaceOfBest,
    ..Card::BASE
};

fn best(a: &Attributes, x: &[Option<&Tensor>], better: fn(f64, f64) -> bool) -> Result<Vec<Tensor>, Fault> {
    let input = tensor(x, 0)?;
    let at = axis(a.int("axis", 0), input.shape().len())?;
    let last = a.int("select_last_index", 0) != 0;
    let mut data = input.data.map_axis(Axis(at), |lane| {
        let mut places = lane.iter().copied().enumerate();
        let first = places.next().unwrap_or_default();
        let over = |best: (usize, f64), v: (usize, f64)| {
            if better(v.1, best.1) || (last && v.1 == best.1) { v } else { best }
        };
        places.fold(first, over).0 as f64
    });
    if a.int("keepdims", 1) != 0 {
        data = data.insert_axis(Axis(at));
    }
    Ok(vec![Tensor { dtype: DataType::Int64, data }])
}

const ARG_MAX: Card = Card { name: "ArgMax", takes_largest: true, eval: |a, x| best(a, x, |v, best| v > best), ..ARG };
const ARG_MIN: Card = Card { name: "ArgMin", eval: |a, x| best(a, x, |v, best| v < best), ..ARG };

fn one_axis(t: &Tensor) -> Result<i64, Fault> {
    match t.to_ints().as_slice() {
        &[at] => Ok(at),
        _ => invalid(format!("{} axes where one is needed", t.data.len())),
    }
}

/// Running sums along an axis, without the place itself where `exclusive`, from the end where `reverse`.
const CUM_SUM: Card = Card {
    name: "CumSum",
    shape: |a, x| {
        if let Some(at) = &fact(x, 1)?.value {
            axis(one_axis(at)?, fact(x, 0)?.shape.len())?;
        }
        super::like_first(a, x)
    },
    eval: |a, x| {
        let input = tensor(x, 0)?;
        let at = axis(one_axis(tensor(x, 1)?)?, input.shape().len())?;
        let (exclusive, reverse) = (a.int("exclusive", 0) != 0, a.int("reverse", 0) != 0);
        let mut data = input.data.clone();
        for mut lane in data.lanes_mut(Axis(at)) {
            if reverse {
                lane.invert_axis(Axis(0));
            }
            let mut sum = 0.0;
            for v in &mut lane {
                let before = sum;
                sum += *v;
                *v = if exclusive { before } else { sum };
            }
        }
        Ok(vec![Tensor { dtype: input.dtype, data }])
    },
    vjp: Some(|s| {
        let Some(at) = s.x(1)?.known() else { return unsupported("an axis that is only known at run time") };
        let (x, dy) = (s.x(0)?, s.dy()?);
        let at = x.axis(one_axis(&at)?)?;
        let whole = if dy.dims().get(at) == x.dims().get(at) { dy } else { s.full_dy()? };
        let (exclusive, reverse) = (s.attributes.int("exclusive", 0) != 0, s.attributes.int("reverse", 0) != 0);
        Ok(vec![Some(whole.cum_sum(at, exclusive, !reverse)), None])
    }),
    along: |_, x, input, own| {
        let at = || match &fact(x, 1)?.value {
            Some(at) => Ok(vec![axis(one_axis(at)?, fact(x, 0)?.shape.len())?]),
            None => unsupported("an axis that is only known at run time"),
        };
        apart(at(), input, own)
    },
    linearity: affine,
    degree: degree_of_first,
    cases: || {
        let at = |i: i64| Tensor { dtype: DataType::Int64, data: ndarray::arr0(i as f64).into_dyn() };
        let x = |i| case().x(&[2, 3, 4]).fixed(at(i));
        vec![
            x(1),
            x(-1).set("exclusive", 1),
            x(0).set("reverse", 1),
            x(2).set("exclusive", 1).set("reverse", 1).opset(11),
        ]
    },
    ..Card::BASE
};
