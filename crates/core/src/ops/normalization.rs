//! Normalisations.

use super::{Card, Dependence, Layout, Linearity, case, fact, tensor};
use crate::build::Value;
use crate::error::{Fault, invalid, unsupported};
use crate::graph::{Attributes, axis};
use crate::shape::{Dim, Fact};
use crate::tensor::Tensor;
use ndarray::{ArrayD, Axis};

/// The cards of this family.
pub const CARDS: &[Card] = &[BATCH_NORMALIZATION, LAYER_NORMALIZATION, LOG_SOFTMAX, SOFTMAX];

/// y = (x − mean) · scale / √(var + ε) with the stored mean and variance. Ioffe & Szegedy 2015, arXiv:1502.03167.
const BATCH_NORMALIZATION: Card = Card {
    name: "BatchNormalization",
    shape: |a, x| {
        let input = fact(x, 0)?;
        if a.int("training_mode", 0) != 0 {
            return unsupported("batch normalisation in training mode");
        }
        let Some(&c) = input.shape.get(1) else { return invalid("an input without channels") };
        for i in 1..5 {
            if fact(x, i)?.shape != [c] {
                return invalid(format!("input {i} has the shape {:?} for {c} channels", fact(x, i)?.shape));
            }
        }
        Ok(vec![Fact::new(input.dtype, input.shape.clone())])
    },
    eval: |a, x| {
        let input = tensor(x, 0)?;
        let vector = |i: usize| -> Result<Vec<f64>, Fault> { Ok(tensor(x, i)?.data.iter().copied().collect()) };
        let (scale, bias, mean, var) = (vector(1)?, vector(2)?, vector(3)?, vector(4)?);
        let epsilon = a.float("epsilon", 1e-5);
        let mut data = input.data.clone();
        for (c, mut plane) in data.axis_iter_mut(Axis(1)).enumerate() {
            let factor = scale[c] / (var[c] + epsilon).sqrt();
            plane.mapv_inplace(|v| (v - mean[c]) * factor + bias[c]);
        }
        Ok(vec![Tensor { dtype: input.dtype, data }])
    },
    vjp: Some(|s| {
        let (x, scale, var) = (s.x(0)?, s.x(1)?, s.x(4)?);
        let factor = scale / (var + s.attributes.float("epsilon", 1e-5)).sqrt();
        let mut dims = vec![Dim::Fixed(1); x.rank()];
        if let (Some(to), Some(c)) = (dims.get_mut(1), factor.dims().first()) {
            *to = *c;
        }
        Ok(vec![Some(s.dy()? * factor.reshape(&dims)), None, None, None, None])
    }),
    linearity: |inputs| match inputs {
        [_, rest @ ..] if rest.contains(&Dependence::Smooth) => Linearity::Ratio,
        _ => Linearity::Affine,
    },
    layout: Layout::ChannelsFirst,
    limits: "inference only",
    cases: || {
        let weights = |c: super::Case| c.w(&[3]).w(&[3]).w(&[3]).w_in(&[3], 0.2, 2.0);
        vec![
            weights(case().x(&[2, 3, 4, 5])),
            weights(case().x(&[2, 3])),
            weights(case().x(&[2, 3, 4])).set("epsilon", 0.1f32),
        ]
    },
    ..Card::BASE
};

fn normalized_axes(a: &Attributes, shape: &[usize]) -> Result<Vec<usize>, Fault> {
    Ok((axis(a.int("axis", -1), shape.len())?..shape.len()).collect())
}

/// The mean over trailing axes, kept as axes of 1.
fn mean_over(data: &ArrayD<f64>, axes: &[usize]) -> ArrayD<f64> {
    axes.iter().fold(data.clone(), |d, &a| {
        let n = d.len_of(Axis(a)).max(1) as f64;
        (d.sum_axis(Axis(a)) / n).insert_axis(Axis(a))
    })
}

/// y = (x − mean) / √(var + ε) · scale + bias, mean and variance over the axes from `axis` on.
/// Ba et al. 2016, arXiv:1607.06450.
const LAYER_NORMALIZATION: Card = Card {
    name: "LayerNormalization",
    shape: |a, x| {
        let (input, scale) = (fact(x, 0)?, fact(x, 1)?);
        let axes = normalized_axes(a, &input.shape)?;
        if super::arithmetic::broadcast(&[&scale.shape, &input.shape])? != input.shape {
            return invalid(format!("a scale of the shape {:?} for {:?}", scale.shape, input.shape));
        }
        let mut point = input.shape.clone();
        axes.iter().for_each(|&i| point[i] = 1);
        let mut out = vec![Fact::new(input.dtype, input.shape.clone())];
        out.extend((1..a.node.output.len()).map(|_| Fact::new(input.dtype, point.clone())));
        Ok(out)
    },
    eval: |a, x| {
        let (input, scale) = (tensor(x, 0)?, tensor(x, 1)?);
        let axes = normalized_axes(a, input.shape())?;
        let mean = mean_over(&input.data, &axes);
        let centred = &input.data - &mean;
        let inverse = (mean_over(&(&centred * &centred), &axes) + a.float("epsilon", 1e-5)).mapv(|v| 1.0 / v.sqrt());
        let mut data = centred * &inverse * &scale.data;
        if let Some(bias) = x.get(2).copied().flatten() {
            data += &super::arithmetic::stretch(bias, input.shape())?;
        }
        let mut out = vec![Tensor { dtype: input.dtype, data }];
        out.extend(
            [mean, inverse]
                .into_iter()
                .take(a.node.output.len().saturating_sub(1))
                .map(|data| Tensor { dtype: input.dtype, data }),
        );
        Ok(out)
    },
    vjp: Some(|s| {
        let (x, scale) = (s.x(0)?, s.x(1)?);
        let axes: Vec<usize> = (x.axis(s.attributes.int("axis", -1))?..x.rank()).collect();
        let centred = x - x.mean(&axes, true);
        let deviation = ((centred * centred).mean(&axes, true) + s.attributes.float("epsilon", 1e-5)).sqrt();
        let normal = centred / deviation;
        let g = s.full_dy()? * scale;
        Ok(vec![Some((g - g.mean(&axes, true) - normal * (g * normal).mean(&axes, true)) / deviation), None, None])
    }),
    linearity: |_| Linearity::Ratio,
    limits: "by the input; only through the first output",
    cases: || {
        vec![
            case().x(&[2, 3, 5]).w(&[5]).w(&[5]),
            case().x(&[2, 3, 5]).w(&[3, 5]).set("axis", 1).set("epsilon", 0.01f32),
        ]
    },
    ..Card::BASE
};

/// The axes over which a softmax sums: one, or before operator set 13 all from `axis` on.
fn softmax_axes(a: &Attributes, rank: usize) -> Result<Vec<usize>, Fault> {
    if a.opset >= 13 {
        Ok(vec![axis(a.int("axis", -1), rank)?])
    } else {
        Ok((axis(a.int("axis", 1), rank)?..rank).collect())
    }
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

/// y = eˣ / Σ eˣ.
const SOFTMAX: Card = Card {
    name: "Softmax",
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
        let product = dy * y;
        let axes = softmax_axes(&s.attributes, y.rank())?;
        Ok(vec![Some(product - y * product.reduce_sum(&axes, true))])
    }),
    cases: || {
        vec![case().x(&[2, 3, 4]), case().x(&[2, 3, 4]).set("axis", 1), case().x(&[2, 3, 4]).set("axis", 1).opset(11)]
    },
    ..Card::BASE
};

/// y = x − ln Σ eˣ.
const LOG_SOFTMAX: Card = Card {
    name: "LogSoftmax",
    eval: |a, x| {
        let x = tensor(x, 0)?;
        let (sum, max) = exponentials(x, &softmax_axes(a, x.shape().len())?);
        Ok(vec![Tensor { dtype: x.dtype, data: &x.data - &max - sum.mapv(f64::ln) }])
    },
    vjp: Some(|s| {
        let (y, dy): (Value, Value) = (s.y()?, s.full_dy()?);
        let axes = softmax_axes(&s.attributes, y.rank())?;
        Ok(vec![Some(dy - y.exp() * dy.reduce_sum(&axes, true))])
    }),
    ..SOFTMAX
};

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use ndarray::IxDyn;

    #[test]
    fn a_softmax_sums_to_one_even_for_large_inputs() {
        let x = Tensor::float(ArrayD::from_shape_vec(IxDyn(&[1, 3]), vec![1000.0, 1001.0, -1000.0]).unwrap());
        let node = crate::onnx::NodeProto::default();
        let y = (SOFTMAX.eval)(&Attributes { node: &node, opset: 17 }, &[Some(&x)]).unwrap();
        assert!((y[0].data.sum() - 1.0).abs() < 1e-12);
    }
}
