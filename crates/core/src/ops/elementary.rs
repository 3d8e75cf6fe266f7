//! Functions of analysis: circular and hyperbolic functions and their inverses; and steps, whose derivative is 0.

use super::activation::ELEMENTWISE;
use super::{Card, case, like_first, map, piecewise};
use crate::error::Fault;
use crate::graph::Attributes;
use crate::shape::Fact;
use crate::tensor::{DataType, Tensor};
use ndarray::{ArrayD, IxDyn};

/// The cards of this family.
pub const CARDS: &[Card] =
    &[ACOS, ACOSH, ASIN, ASINH, ATAN, ATANH, CEIL, COS, COSH, FLOOR, IS_INF, IS_NAN, ROUND, SIGN, SIN, SINH, TAN];

const SIN: Card = Card {
    name: "Sin",
    eval: |_, x| map(x, f64::sin),
    vjp: Some(|s| Ok(vec![Some(s.dy()? * s.x(0)?.cos())])),
    ..ELEMENTWISE
};

const COS: Card = Card {
    name: "Cos",
    eval: |_, x| map(x, f64::cos),
    vjp: Some(|s| Ok(vec![Some(-(s.dy()? * s.x(0)?.sin()))])),
    ..ELEMENTWISE
};

const TAN: Card = Card {
    name: "Tan",
    eval: |_, x| map(x, f64::tan),
    vjp: Some(|s| {
        let y = s.y()?;
        Ok(vec![Some(s.dy()? * (y * y + 1.0))])
    }),
    cases: || vec![case().x_in(&[3, 5], -1.2, 1.2)],
    ..ELEMENTWISE
};

const SINH: Card = Card {
    name: "Sinh",
    eval: |_, x| map(x, f64::sinh),
    vjp: Some(|s| {
        let x = s.x(0)?;
        Ok(vec![Some(s.dy()? * (x.exp() + (-x).exp()) * 0.5)])
    }),
    ..ELEMENTWISE
};

const COSH: Card = Card {
    name: "Cosh",
    eval: |_, x| map(x, f64::cosh),
    vjp: Some(|s| Ok(vec![Some(s.dy()? * s.y()? * s.x(0)?.tanh())])),
    ..ELEMENTWISE
};

const ASIN: Card = Card {
    name: "Asin",
    eval: |_, x| map(x, f64::asin),
    vjp: Some(|s| {
        let x = s.x(0)?;
        Ok(vec![Some(s.dy()? / (x.scalar(1.0) - x * x).sqrt())])
    }),
    cases: inside_one,
    ..ELEMENTWISE
};

const ACOS: Card = Card {
    name: "Acos",
    eval: |_, x| map(x, f64::acos),
    vjp: Some(|s| {
        let x = s.x(0)?;
        Ok(vec![Some(-(s.dy()? / (x.scalar(1.0) - x * x).sqrt()))])
    }),
    cases: inside_one,
    ..ELEMENTWISE
};

const ATAN: Card = Card {
    name: "Atan",
    eval: |_, x| map(x, f64::atan),
    vjp: Some(|s| {
        let x = s.x(0)?;
        Ok(vec![Some(s.dy()? / (x * x + 1.0))])
    }),
    ..ELEMENTWISE
};

const ASINH: Card = Card {
    name: "Asinh",
    eval: |_, x| map(x, f64::asinh),
    vjp: Some(|s| {
        let x = s.x(0)?;
        Ok(vec![Some(s.dy()? / (x * x + 1.0).sqrt())])
    }),
    ..ELEMENTWISE
};

const ACOSH: Card = Card {
    name: "Acosh",
    eval: |_, x| map(x, f64::acosh),
    vjp: Some(|s| {
        let x = s.x(0)?;
        Ok(vec![Some(s.dy()? / (x * x - 1.0).sqrt())])
    }),
    cases: || vec![case().x_in(&[3, 5], 1.2, 3.0)],
    ..ELEMENTWISE
};

const ATANH: Card = Card {
    name: "Atanh",
    eval: |_, x| map(x, f64::atanh),
    vjp: Some(|s| {
        let x = s.x(0)?;
        Ok(vec![Some(s.dy()? / (x.scalar(1.0) - x * x))])
    }),
    cases: inside_one,
    ..ELEMENTWISE
};

fn inside_one() -> Vec<super::Case> {
    vec![case().x_in(&[3, 5], -0.9, 0.9)]
}

/// The base of cards that are constant between jumps: the derivative is 0, at the jumps as well.
pub(super) const STEP: Card = Card {
    vjp: Some(|s| {
        let x = s.x(0)?;
        Ok(vec![Some(x.tensor(ArrayD::zeros(IxDyn(&vec![1; x.rank()]))))])
    }),
    linearity: piecewise,
    ..ELEMENTWISE
};

const FLOOR: Card = Card { name: "Floor", eval: |_, x| map(x, f64::floor), ..STEP };
const CEIL: Card = Card { name: "Ceil", eval: |_, x| map(x, f64::ceil), ..STEP };

/// The nearest whole number; halves go to the even one.
const ROUND: Card = Card { name: "Round", eval: |_, x| map(x, f64::round_ties_even), ..STEP };

/// −1, 0 or 1.
const SIGN: Card = Card { name: "Sign", eval: |_, x| map(x, |v| if v == 0.0 { 0.0 } else { v.signum() }), ..STEP };

/// The base of cards that ask something of each number.
const QUESTION: Card =
    Card { shape: bool_like_first, linearity: piecewise, cases: || vec![case().w(&[2, 3])], ..ELEMENTWISE };

fn bool_like_first(a: &Attributes, x: &[Option<&Fact>]) -> Result<Vec<Fact>, Fault> {
    let mut out = like_first(a, x)?;
    out.iter_mut().for_each(|f| f.dtype = DataType::Bool);
    Ok(out)
}

fn ask(x: &[Option<&Tensor>], f: impl Fn(f64) -> bool) -> Result<Vec<Tensor>, Fault> {
    let mut out = map(x, |v| f64::from(u8::from(f(v))))?;
    out.iter_mut().for_each(|t| t.dtype = DataType::Bool);
    Ok(out)
}

const IS_NAN: Card = Card { name: "IsNaN", eval: |_, x| ask(x, f64::is_nan), ..QUESTION };

/// Whether x is infinite, with a sign that is asked for.
const IS_INF: Card = Card {
    name: "IsInf",
    eval: |a, x| {
        let (negative, positive) = (a.int("detect_negative", 1) != 0, a.int("detect_positive", 1) != 0);
        ask(x, |v| v.is_infinite() && if v > 0.0 { positive } else { negative })
    },
    ..QUESTION
};

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::onnx::messages::NodeProto;

    fn at(card: &Card, values: &[f64]) -> Vec<f64> {
        let x = Tensor::float(ndarray::arr1(values).into_dyn());
        let node = NodeProto::default();
        (card.eval)(&Attributes { node: &node, opset: 17 }, &[Some(&x)]).unwrap()[0].data.iter().copied().collect()
    }

    #[test]
    fn halves_are_rounded_to_even() {
        assert_eq!(at(&ROUND, &[-1.5, -0.5, 0.5, 1.5, 2.5]), [-2.0, -0.0, 0.0, 2.0, 2.0]);
    }

    #[test]
    fn infinities_of_both_signs_are_found() {
        let odd = [f64::NEG_INFINITY, f64::INFINITY, f64::NAN, 1.0];
        assert_eq!(at(&IS_INF, &odd), [1.0, 1.0, 0.0, 0.0]);
        assert_eq!(at(&IS_NAN, &odd), [0.0, 0.0, 1.0, 0.0]);
    }
}
