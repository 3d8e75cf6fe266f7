//! Arithmetic on two or more values, with broadcasting.

use super::{
    Card, Dependence, Linearity, Role, Vjp, Weights, affine, aligned, case, degree_of_all, degree_of_first,
    degree_of_product, degree_of_terms, fact, piecewise, product, tensor, where_all, where_first,
};
use crate::build::Value;
use crate::error::{Fault, invalid};
use crate::graph::Attributes;
use crate::shape::Fact;
use crate::tensor::{DataType, Tensor, is_float};
use ndarray::{ArrayD, IxDyn, Zip};

/// The cards of this family.
pub const CARDS: &[Card] = &[
    ADD,
    AND,
    BITWISE_AND,
    BITWISE_OR,
    BITWISE_XOR,
    DIV,
    EQUAL,
    GREATER,
    GREATER_OR_EQUAL,
    LESS,
    LESS_OR_EQUAL,
    MAX,
    MEAN,
    MIN,
    MOD,
    MUL,
    OR,
    POW,
    PRELU,
    SUB,
    SUM,
    XOR,
];

/// The shape of values of the shapes `all` broadcast against each other, by NumPy's rule.
///
/// # Errors
/// [`Fault::Invalid`] when they do not fit.
pub fn broadcast(all: &[&[usize]]) -> Result<Vec<usize>, Fault> {
    let rank = all.iter().map(|s| s.len()).max().unwrap_or(0);
    let mut shape = vec![1; rank];
    for s in all {
        for (out, &n) in shape.iter_mut().skip(rank - s.len()).zip(*s) {
            match (*out, n) {
                (a, b) if a == b || b == 1 => {}
                (1, b) => *out = b,
                _ => return invalid(format!("the shapes {all:?} do not broadcast")),
            }
        }
    }
    Ok(shape)
}

/// `t` repeated to `shape`.
pub(super) fn stretch(t: &Tensor, shape: &[usize]) -> Result<ArrayD<f64>, Fault> {
    match t.data.broadcast(IxDyn(shape)) {
        Some(view) => Ok(view.to_owned()),
        None => invalid(format!("the shape {:?} does not broadcast to {shape:?}", t.shape())),
    }
}

fn pairwise(x: &[Option<&Tensor>], f: impl Fn(f64, f64) -> f64) -> Result<Tensor, Fault> {
    let (a, b) = (tensor(x, 0)?, tensor(x, 1)?);
    let shape = broadcast(&[a.shape(), b.shape()])?;
    let (mut data, other) = (stretch(a, &shape)?, stretch(b, &shape)?);
    Zip::from(&mut data).and(&other).for_each(|a, &b| *a = f(*a, b));
    Ok(Tensor { dtype: a.dtype, data })
}

/// Folds `f` over any number of inputs.
fn nary(x: &[Option<&Tensor>], f: impl Fn(f64, f64) -> f64) -> Result<Tensor, Fault> {
    let first = tensor(x, 0)?;
    let shapes: Vec<&[usize]> = x.iter().flatten().map(|t| t.shape()).collect();
    let shape = broadcast(&shapes)?;
    let mut data = stretch(first, &shape)?;
    for t in x.iter().skip(1).flatten() {
        Zip::from(&mut data).and(&stretch(t, &shape)?).for_each(|a, &b| *a = f(*a, b));
    }
    Ok(Tensor { dtype: first.dtype, data })
}

fn compare(x: &[Option<&Tensor>], f: impl Fn(f64, f64) -> bool) -> Result<Vec<Tensor>, Fault> {
    let data = pairwise(x, |a, b| f64::from(u8::from(f(a, b))))?.data;
    Ok(vec![Tensor { dtype: DataType::Bool, data }])
}

fn broadcast_shape(_: &Attributes, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>, Fault> {
    let shapes: Vec<&[usize]> = inputs.iter().flatten().map(|f| f.shape.as_slice()).collect();
    Ok(vec![Fact::new(fact(inputs, 0)?.dtype, broadcast(&shapes)?)])
}

fn broadcast_bool(a: &Attributes, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>, Fault> {
    let mut out = broadcast_shape(a, inputs)?;
    out.iter_mut().for_each(|f| f.dtype = DataType::Bool);
    Ok(out)
}

const PAIR: Card = Card { shape: broadcast_shape, along: aligned, cases: pairs, ..Card::BASE };
const COMPARISON: Card =
    Card { shape: broadcast_bool, along: aligned, linearity: piecewise, cases: Vec::new, ..Card::BASE };

fn pairs() -> Vec<super::Case> {
    vec![
        case().x(&[2, 3, 4]).x(&[2, 3, 4]),
        case().x(&[2, 3, 4]).x(&[3, 1]),
        case().x(&[4]).x(&[2, 3, 4]),
        case().x(&[2, 1, 4]).x(&[2, 3, 1]),
        case().x(&[2, 3, 4]).w(&[1]),
    ]
}

const ADD: Card = Card {
    name: "Add",
    never_negative: where_all,
    weights: Weights::Numbers,
    eval: |_, x| Ok(vec![pairwise(x, |a, b| a + b)?]),
    vjp: Some(|s| {
        let dy = s.dy()?;
        Ok(vec![Some(s.unbroadcast(dy, 0)?), Some(s.unbroadcast(dy, 1)?)])
    }),
    linearity: affine,
    degree: degree_of_terms,
    role: Role::Join,
    ..PAIR
};

const SUB: Card = Card {
    name: "Sub",
    weights: Weights::Numbers,
    eval: |_, x| Ok(vec![pairwise(x, |a, b| a - b)?]),
    vjp: Some(|s| {
        let dy = s.dy()?;
        Ok(vec![Some(s.unbroadcast(dy, 0)?), Some(s.unbroadcast(-dy, 1)?)])
    }),
    linearity: affine,
    degree: degree_of_terms,
    role: Role::Join,
    ..PAIR
};

const MUL: Card = Card {
    name: "Mul",
    never_negative: where_all,
    weights: Weights::Numbers,
    eval: |_, x| Ok(vec![pairwise(x, |a, b| a * b)?]),
    vjp: Some(|s| {
        let (a, b, dy) = (s.x(0)?, s.x(1)?, s.dy()?);
        let nothing = Some(a.tensor(ArrayD::zeros(vec![1; a.rank()])));
        if let Some(dx) = silu(s, 0, 1)? {
            return Ok(vec![Some(dx), nothing]);
        }
        if let Some(dx) = silu(s, 1, 0)? {
            return Ok(vec![nothing, Some(dx)]);
        }
        Ok(vec![Some(s.unbroadcast(dy * b, 0)?), Some(s.unbroadcast(dy * a, 1)?)])
    }),
    linearity: product,
    degree: degree_of_product,
    ..PAIR
};

/// Where the product is the SiLU y = x·σ(x), the cotangent of x by both ways: dy·(σ + y(1 − σ)), in fewer operators than
/// one way after the other.
fn silu<'g>(s: &Vjp<'g, '_>, x: usize, sigma: usize) -> Result<Option<Value<'g>>, Fault> {
    let wanted = s.smooth.get(x) == Some(&true);
    let (x, sigma, y) = (s.x(x)?, s.x(sigma)?, s.y()?);
    if !wanted || !sigma.is_of("Sigmoid", x) {
        return Ok(None);
    }
    Ok(Some(s.dy()? * (sigma + y * (sigma.scalar(1.0) - sigma))))
}

const DIV: Card = Card {
    name: "Div",
    never_negative: where_all,
    weights: Weights::Numbers,
    eval: |_, x| {
        let integer = !is_float(tensor(x, 0)?.dtype);
        if integer && tensor(x, 1)?.data.iter().any(|&v| v == 0.0) {
            return invalid("an integer is divided by 0");
        }
        Ok(vec![pairwise(x, |a, b| if integer { (a / b).trunc() } else { a / b })?])
    },
    vjp: Some(|s| {
        let (b, y, dy) = (s.x(1)?, s.y()?, s.dy()?);
        Ok(vec![Some(s.unbroadcast(dy / b, 0)?), Some(s.unbroadcast(-(dy * y / b), 1)?)])
    }),
    linearity: |_, inputs| match inputs {
        [_, Dependence::Smooth, ..] => Linearity::Smooth,
        _ => Linearity::Affine,
    },
    degree: |_, x| match x {
        [Some(over), Some(under)] => Some(over.degree - under.degree),
        _ => None,
    },
    cases: || vec![case().x(&[2, 3, 4]).x_in(&[2, 3, 4], 0.5, 2.0), case().x(&[2, 3, 4]).x_in(&[3, 1], -2.0, -0.5)],
    ..PAIR
};

/// y = aᵇ; by its base only. With b = 0 the derivative is 0 everywhere.
const POW: Card = Card {
    name: "Pow",
    never_negative: where_first,
    eval: |_, x| Ok(vec![pairwise(x, f64::powf)?]),
    vjp: Some(|s| {
        let (a, b, dy) = (s.x(0)?, s.x(1)?, s.dy()?);
        let d = match b.known().and_then(|b| b.scalar()) {
            // a⁻¹ is infinite at 0, where the derivative of a⁰ still is 0.
            Some(0.0) => dy * 0.0,
            Some(1.0) => dy,
            Some(2.0) => dy * a * 2.0,
            Some(p) => dy * a.pow(a.scalar(p - 1.0)) * p,
            None => {
                let b = b.cast(a.dtype());
                let d = dy * a.pow(b - b.scalar(1.0)) * b;
                // 0 to the power of −1 is infinite, its 0-fold nothing.
                b.by_sign(d, d)
            }
        };
        Ok(vec![Some(s.unbroadcast(d, 0)?), None])
    }),
    limits: "by the base, not by the exponent",
    cases: || {
        vec![
            case().x(&[2, 3]).scalar(0.0),
            case().x(&[2, 3]).scalar(1.0),
            case().x(&[2, 3]).scalar(2.0),
            case().x(&[2, 3]).scalar(3.0),
            case().x_in(&[2, 3], 0.3, 2.0).scalar(0.5),
            case().x_in(&[2, 3], 0.3, 2.0).w(&[3]),
            case().x(&[2, 3]).scalar(0.0),
        ]
    },
    degree: |a, x| {
        let mut powers = x.get(1).copied().flatten()?.stored?.data.iter();
        let first = powers.next().filter(|first| powers.all(|power| power == *first))?;
        degree_of_first(a, x).map(|degree| degree * first)
    },
    ..PAIR
};

/// y = x for x > 0, else slope·x. He et al. 2015, arXiv:1502.01852.
const PRELU: Card = Card {
    name: "PRelu",
    weights: Weights::Numbers,
    shape: |_, x| {
        let (x, slope) = (fact(x, 0)?, fact(x, 1)?);
        if broadcast(&[&x.shape, &slope.shape])? != x.shape {
            return invalid(format!("slopes of the shape {:?} for {:?}", slope.shape, x.shape));
        }
        Ok(vec![Fact::new(x.dtype, x.shape.clone())])
    },
    eval: |_, x| Ok(vec![pairwise(x, |v, slope| if v > 0.0 { v } else { slope * v })?]),
    vjp: Some(|s| {
        let (x, slope, dy) = (s.x(0)?, s.x(1)?, s.dy()?);
        let positive = x.gt(x.scalar(0.0));
        let by_slope = s.unbroadcast(positive.select(dy.scalar(0.0), dy * x), 1)?;
        Ok(vec![Some(positive.select(dy, dy * slope)), Some(by_slope)])
    }),
    linearity: |_, inputs| match inputs {
        [_, Dependence::None] => Linearity::Piecewise,
        _ => Linearity::Smooth,
    },
    degree: degree_of_first,
    along: aligned,
    cases: || vec![case().x(&[2, 3, 4]).x(&[3, 1]), case().x(&[2, 3]).w(&[1])],
    ..Card::BASE
};

const SUM: Card = Card {
    name: "Sum",
    never_negative: where_all,
    eval: |_, x| Ok(vec![nary(x, |a, b| a + b)?]),
    vjp: Some(|s| (0..s.x.len()).map(|i| Ok(Some(s.unbroadcast(s.dy()?, i)?))).collect()),
    linearity: affine,
    degree: degree_of_terms,
    role: Role::Join,
    cases: several,
    ..PAIR
};

fn several() -> Vec<super::Case> {
    vec![case().x(&[2, 3]).x(&[3]).x(&[2, 1]), case().x(&[3]).x(&[2, 3]), case().x(&[2, 3])]
}

const MEAN: Card = Card {
    name: "Mean",
    never_negative: where_all,
    eval: |_, x| {
        let mut sum = nary(x, |a, b| a + b)?;
        sum.data /= x.len() as f64;
        Ok(vec![sum])
    },
    vjp: Some(|s| {
        let d = s.dy()? * (1.0 / s.x.len() as f64);
        (0..s.x.len()).map(|i| Ok(Some(s.unbroadcast(d, i)?))).collect()
    }),
    ..SUM
};

/// The largest of the inputs. As PyTorch's `maximum`, taken pair by pair: of two that tie each gets half.
const MAX: Card = Card {
    name: "Max",
    never_negative: where_all,
    eval: |_, x| Ok(vec![nary(x, f64::max)?]),
    vjp: Some(|s| outermost(s, |a, b| a.gt(b))),
    linearity: piecewise,
    ..SUM
};

/// The smallest of the inputs; ties as of Max.
const MIN: Card = Card {
    name: "Min",
    never_negative: where_all,
    eval: |_, x| Ok(vec![nary(x, f64::min)?]),
    vjp: Some(|s| outermost(s, |a, b| a.lt(b))),
    linearity: piecewise,
    degree: degree_of_all,
    ..SUM
};

/// The rule of Max and Min: `beats` says where its first argument is the one taken.
fn outermost<'g>(
    s: &Vjp<'g, '_>,
    beats: fn(Value<'g>, Value<'g>) -> Value<'g>,
) -> Result<Vec<Option<Value<'g>>>, Fault> {
    let x = (0..s.x.len()).map(|i| s.x(i)).collect::<Result<Vec<_>, _>>()?;
    // The best of the inputs before each one.
    let mut before = Vec::with_capacity(x.len());
    let mut best: Option<Value> = None;
    for &x in &x {
        before.push(best);
        best = Some(best.map_or(x, |b| beats(x, b).select(x, b)));
    }
    let mut d = s.dy()?;
    let mut dx = Vec::with_capacity(x.len());
    for (i, (&x, before)) in x.iter().zip(before).enumerate().rev() {
        let Some(before) = before else {
            dx.push(Some(s.unbroadcast(d, i)?));
            break;
        };
        let (wins, loses, zero, half) = (beats(x, before), beats(before, x), d.scalar(0.0), d * 0.5);
        dx.push(Some(s.unbroadcast(wins.select(d, loses.select(zero, half)), i)?));
        d = wins.select(zero, loses.select(d, half));
    }
    dx.reverse();
    Ok(dx)
}

const MOD: Card = Card {
    name: "Mod",
    eval: |a, x| {
        let floor = a.int("fmod", 0) == 0;
        if !is_float(tensor(x, 0)?.dtype) && tensor(x, 1)?.data.iter().any(|&v| v == 0.0) {
            return invalid("an integer is divided by 0");
        }
        let modulo = |a: f64, b: f64| {
            let rest = a % b; // has the sign of a
            if floor && rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }
        };
        Ok(vec![pairwise(x, modulo)?])
    },
    linearity: piecewise,
    cases: Vec::new,
    ..PAIR
};

const AND: Card = Card { name: "And", eval: |_, x| compare(x, |a, b| a != 0.0 && b != 0.0), ..COMPARISON };
const XOR: Card = Card { name: "Xor", eval: |_, x| compare(x, |a, b| (a != 0.0) != (b != 0.0)), ..COMPARISON };
const OR: Card = Card { name: "Or", eval: |_, x| compare(x, |a, b| a != 0.0 || b != 0.0), ..COMPARISON };
const EQUAL: Card =
    Card { name: "Equal", eval: |_, x| compare(x, |a, b| a == b), differs_for_one: |_| true, ..COMPARISON };
const GREATER: Card = Card { name: "Greater", eval: |_, x| compare(x, |a, b| a > b), ..COMPARISON };
const GREATER_OR_EQUAL: Card = Card { name: "GreaterOrEqual", eval: |_, x| compare(x, |a, b| a >= b), ..COMPARISON };
const LESS: Card = Card { name: "Less", eval: |_, x| compare(x, |a, b| a < b), ..COMPARISON };
const LESS_OR_EQUAL: Card = Card { name: "LessOrEqual", eval: |_, x| compare(x, |a, b| a <= b), ..COMPARISON };

const BITWISE: Card = Card { linearity: piecewise, cases: Vec::new, ..PAIR };

fn bitwise(x: &[Option<&Tensor>], f: impl Fn(i64, i64) -> i64) -> Result<Vec<Tensor>, Fault> {
    Ok(vec![pairwise(x, |a, b| f(a as i64, b as i64) as f64)?])
}

const BITWISE_AND: Card = Card { name: "BitwiseAnd", eval: |_, x| bitwise(x, |a, b| a & b), ..BITWISE };
const BITWISE_OR: Card = Card { name: "BitwiseOr", eval: |_, x| bitwise(x, |a, b| a | b), ..BITWISE };
const BITWISE_XOR: Card = Card { name: "BitwiseXor", eval: |_, x| bitwise(x, |a, b| a ^ b), ..BITWISE };
