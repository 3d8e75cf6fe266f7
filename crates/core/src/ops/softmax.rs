//! Softmax and what belongs to it.

use super::elementary::STEP;
use super::{Along, Card, FinalActivation, apart, case, fact, never, tensor};
use crate::build::Value;
use crate::error::Fault;
use crate::graph::{Attributes, axis};
use crate::shape::Fact;
use crate::tensor::Tensor;
use ndarray::{Array3, ArrayD, Axis};

/// The cards of this family.
pub const CARDS: &[Card] = &[HARDMAX, LOG_SOFTMAX, SOFTMAX];

/// The axes over which a softmax sums: one, or before operator set 13 all from `axis` on.
fn softmax_axes(a: &Attributes, rank: usize) -> Result<Vec<usize>, Fault> {
    if a.opset >= 13 {
        Ok(vec![axis(a.int("axis", -1), rank)?])
    } else {
        Ok((axis(a.int("axis", 1), rank)?..rank).collect())
    }
}

fn normalised(a: &Attributes, x: &[Option<&Fact>], input: usize, axis: usize) -> Along {
    apart(fact(x, 0).and_then(|x| softmax_axes(a, x.shape.len())), input, axis)
}

/// Per-group (Σ over `axes` of eˣ⁻ᵐ) and m = max, both kept as axes of 1.
fn exponentials(x: &Tensor, axes: &[usize]) -> (ArrayD<f64>, ArrayD<f64>) {
    let fold = |d: ArrayD<f64>, f: fn(f64, f64) -> f64, start: f64| {
        axes.iter().fold(d, |d, &a| d.fold_axis(Axis(a), start, |&p, &q| f(p, q)).insert_axis(Axis(a)))
    };
    let max = fold(x.data.clone(), f64::max, f64::NEG_INFINITY);
    let sum = fold((&x.data - &max).mapv(f64::exp), |p, q| p + q, 0.0);
    (sum, max)
}

/// `d`, whose sum over `axes` has to be 0, without what rounding made of that sum, in the shares `p`. Where one share is
/// nearly all, d there is a difference 1 − p that has lost its digits: so it becomes the sum of the others.
fn without_sum<'g>(d: Value<'g>, p: Value<'g>, axes: &[usize]) -> Value<'g> {
    d - p * d.reduce_sum(axes, true)
}

/// y = eˣ / Σ eˣ.
const SOFTMAX: Card = Card {
    name: "Softmax",
    never_negative: never,
    final_activation: Some(FinalActivation::Shares),
    shape: |a, x| {
        softmax_axes(a, fact(x, 0)?.shape.len())?;
        super::like_first(a, x)
    },
    eval: |a, x| {
        let x = tensor(x, 0)?;
        let (sum, max) = exponentials(x, &softmax_axes(a, x.shape().len())?);
        Ok(vec![Tensor { dtype: x.dtype, data: (&x.data - &max).mapv(f64::exp) / sum }])
    },
    vjp: Some(|s| {
        let (y, dy) = (s.y()?, s.full_dy()?);
        let axes = softmax_axes(&s.attributes, y.rank())?;
        let about_mean = dy - (dy * y).reduce_sum(&axes, true);
        Ok(vec![Some(without_sum(about_mean * y, y, &axes))])
    }),
    cases: || {
        vec![case().x(&[2, 3, 4]), case().x(&[2, 3, 4]).set("axis", 1), case().x(&[2, 3, 4]).set("axis", 1).opset(11)]
    },
    along: normalised,
    ..Card::BASE
};

/// y = x − ln Σ eˣ.
const LOG_SOFTMAX: Card = Card {
    name: "LogSoftmax",
    never_negative: |_, _| false,
    final_activation: Some(FinalActivation::LogShares),
    eval: |a, x| {
        let x = tensor(x, 0)?;
        let (sum, max) = exponentials(x, &softmax_axes(a, x.shape().len())?);
        Ok(vec![Tensor { dtype: x.dtype, data: &x.data - &max - sum.mapv(f64::ln) }])
    },
    vjp: Some(|s| {
        let (y, dy): (Value, Value) = (s.y()?, s.full_dy()?);
        let axes = softmax_axes(&s.attributes, y.rank())?;
        let p = y.exp();
        Ok(vec![Some(without_sum(dy - p * dy.reduce_sum(&axes, true), p, &axes))])
    }),
    ..SOFTMAX
};

/// y = 1 at the first of the largest values, else 0.
const HARDMAX: Card = Card {
    name: "Hardmax",
    shape: SOFTMAX.shape,
    eval: |a, x| {
        let x = tensor(x, 0)?;
        let axes = softmax_axes(a, x.shape().len())?;
        // The axes lie together: `n` places, `step` apart.
        let n: usize = axes.iter().map(|&at| x.data.len_of(Axis(at))).product();
        let step: usize = x.shape().iter().skip(axes.last().map_or(0, |at| at + 1)).product();
        let wrong = |e: ndarray::ShapeError| Fault::Invalid(e.to_string());
        let apart = x.data.to_shape((x.data.len() / (n * step).max(1), n, step)).map_err(wrong)?;
        let mut y = Array3::zeros(apart.raw_dim());
        for (lane, mut hot) in apart.lanes(Axis(1)).into_iter().zip(y.lanes_mut(Axis(1))) {
            let first = lane.iter().enumerate().reduce(|best, v| if v.1 > best.1 { v } else { best });
            if let Some(hot) = first.and_then(|(at, _)| hot.get_mut(at)) {
                *hot = 1.0;
            }
        }
        Ok(vec![Tensor { dtype: x.dtype, data: y.into_shape_with_order(x.shape()).map_err(wrong)? }])
    },
    along: normalised,
    cases: SOFTMAX.cases,
    ..STEP
};

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use ndarray::IxDyn;

    #[test]
    fn a_softmax_sums_to_one_even_for_large_inputs() {
        let x = Tensor::float(ArrayD::from_shape_vec(IxDyn(&[1, 3]), vec![1000.0, 1001.0, -1000.0]).unwrap());
        let node = crate::onnx::messages::NodeProto::default();
        let y = (SOFTMAX.eval)(&Attributes { node: &node, opset: 17 }, &[Some(&x)]).unwrap();
        assert!((y[0].data.sum() - 1.0).abs() < 1e-12);
    }
}
