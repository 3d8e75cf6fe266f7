//! Normalisations.

use super::arithmetic::broadcast;
use super::{Along, Card, Entries, Layout, Linearity, Weights, apart, case, fact, tensor};
use crate::build::Value;
use crate::error::{Fault, invalid, unsupported};
use crate::graph::{Attributes, axis};
use crate::shape::{Dim, Fact};
use crate::tensor::Tensor;
use ndarray::{ArrayD, Axis};

/// The cards of this family.
pub const CARDS: &[Card] = &[
    BATCH_NORMALIZATION,
    GROUP_NORMALIZATION,
    INSTANCE_NORMALIZATION,
    LAYER_NORMALIZATION,
    LP_NORMALIZATION,
    LRN,
    MEAN_VARIANCE_NORMALIZATION,
    RMS_NORMALIZATION,
];

/// y = (x − mean) · scale / √(var + ε) with the stored mean and variance. Ioffe & Szegedy 2015, arXiv:1502.03167.
///
/// In training mode mean and variance are those of x over all axes but the channels', the images of a batch included.
/// That is what weights are standardised with. Engines disagree about it, and it has no derivative here.
const BATCH_NORMALIZATION: Card = Card {
    name: "BatchNormalization",
    entries: Entries::Normalised,
    weights: Weights::Finite,
    covers: |a| match a.int("spatial", 1) {
        1 => Ok(()),
        _ => unsupported("batch normalisation with a mean for each place"),
    },
    shape: |a, x| {
        let input = fact(x, 0)?;
        let Some(&c) = input.shape.get(1) else { return invalid("an input without channels") };
        for i in 1..5 {
            if fact(x, i)?.shape != [c] {
                return invalid(format!("input {i} has the shape {:?} for {c} channels", fact(x, i)?.shape));
            }
        }
        let mut out = vec![Fact::new(input.dtype, input.shape.clone())];
        out.extend((1..a.node.output.len()).map(|_| Fact::new(input.dtype, vec![c])));
        Ok(out)
    },
    eval: |a, x| {
        let input = tensor(x, 0)?;
        let vector = |i: usize| -> Result<Vec<f64>, Fault> { Ok(tensor(x, i)?.data.iter().copied().collect()) };
        let (scale, bias, stored_mean, stored_var) = (vector(1)?, vector(2)?, vector(3)?, vector(4)?);
        let [mean, var] =
            if in_training(a) { of_batch(&input.data) } else { [stored_mean.clone(), stored_var.clone()] };
        let epsilon = a.float("epsilon", 1e-5);
        let mut data = input.data.clone();
        let channels = mean.iter().zip(&var).zip(scale.iter().zip(&bias));
        for (mut plane, ((mean, var), (scale, bias))) in data.axis_iter_mut(Axis(1)).zip(channels) {
            let factor = scale / (var + epsilon).sqrt();
            plane.mapv_inplace(|v| (v - mean) * factor + bias);
        }
        // The means and variances to be stored, then before operator set 14 those of the batch.
        let momentum = a.float("momentum", 0.9);
        let kept = |old: &[f64], new: &[f64]| {
            old.iter().zip(new).map(|(old, new)| old * momentum + new * (1.0 - momentum)).collect::<Vec<f64>>()
        };
        let further = [kept(&stored_mean, &mean), kept(&stored_var, &var), mean, var];
        let further = further.into_iter().map(|v| ndarray::Array1::from_vec(v).into_dyn());
        let all = std::iter::once(data).chain(further).take(a.node.output.len().max(1));
        Ok(all.map(|data| Tensor { dtype: input.dtype, data }).collect())
    },
    vjp: Some(|s| {
        if in_training(&s.attributes) {
            return unsupported("the derivative of batch normalisation in training mode");
        }
        let (x, scale, var) = (s.x(0)?, s.x(1)?, s.x(4)?);
        let factor = scale / (var + s.attributes.float("epsilon", 1e-5)).sqrt();
        Ok(vec![Some(s.dy()? * along_channels(factor, x.rank())), None, None, None, None])
    }),
    linearity: |a, inputs| match in_training(a) {
        true => Linearity::Smooth,
        false => super::affine_in_first(a, inputs),
    },
    layout: Layout::ChannelsFirst,
    along: |a, x, input, axis| {
        let all = |x: &Fact| (0..x.shape.len()).filter(|&a| a != 1).collect();
        apart(fact(x, 0).map(|x| if in_training(a) { all(x) } else { Vec::new() }), input, axis)
    },
    limits: "not in training mode",
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

/// Whether a batch normalisation is in training mode: by its attribute, before operator set 14 by its further outputs.
fn in_training(a: &Attributes) -> bool {
    match a.opset {
        14.. => a.int("training_mode", 0) != 0,
        _ => a.node.output.iter().skip(1).any(|o| !o.is_empty()),
    }
}

/// Mean and variance of each channel over all other axes.
fn of_batch(data: &ArrayD<f64>) -> [Vec<f64>; 2] {
    let others: Vec<usize> = (0..data.ndim()).filter(|&i| i != 1).collect();
    let mean = mean_over(data, &others);
    let var = mean_over(&(data - &mean).mapv(|v| v * v), &others);
    [mean, var].map(|v| v.iter().copied().collect())
}

/// A vector over the channels, with axes of 1 so that it broadcasts to `[N, C, …]`.
fn along_channels(v: Value<'_>, rank: usize) -> Value<'_> {
    let dims = v.dims().into_iter().chain(vec![Dim::Fixed(1); rank.saturating_sub(2)]);
    v.reshape(&dims.collect::<Vec<_>>())
}

/// The mean over `axes`, kept as axes of 1.
fn mean_over(data: &ArrayD<f64>, axes: &[usize]) -> ArrayD<f64> {
    axes.iter().fold(data.clone(), |d, &a| {
        let n = d.len_of(Axis(a)).max(1) as f64;
        (d.sum_axis(Axis(a)) / n).insert_axis(Axis(a))
    })
}

/// (x − mean)/√(var + ε), mean and 1/√(var + ε), over `axes`.
fn standardized(data: &ArrayD<f64>, axes: &[usize], epsilon: f64) -> [ArrayD<f64>; 3] {
    let mean = mean_over(data, axes);
    let centred = data - &mean;
    let inverse = (mean_over(&(&centred * &centred), axes) + epsilon).mapv(|v| 1.0 / v.sqrt());
    [centred * &inverse, mean, inverse]
}

/// The cotangent of x from the cotangent `g` of (x − mean)/√(var + ε) over `axes`.
fn unstandardized<'g>(x: Value<'g>, g: Value<'g>, axes: &[usize], epsilon: f64) -> Value<'g> {
    let centred = x - x.mean(axes, true);
    let deviation = ((centred * centred).mean(axes, true) + epsilon).sqrt();
    let normal = centred / deviation;
    (g - g.mean(axes, true) - normal * (g * normal).mean(axes, true)) / deviation
}

/// The base of cards that divide by a measure of their input's size.
const NORMALIZATION: Card =
    Card { shape: super::like_first, degree: super::degree_of_normalised, limits: "by the input", ..Card::BASE };

fn normalized_axes(a: &Attributes, rank: usize) -> Result<Vec<usize>, Fault> {
    Ok((axis(a.int("axis", -1), rank)?..rank).collect())
}

fn scaled_axes(a: &Attributes, x: &[Option<&Fact>], input: usize, axis: usize) -> Along {
    apart(fact(x, 0).and_then(|x| normalized_axes(a, x.shape.len())), input, axis)
}

/// The shape rule where input 1 is a scale that broadcasts to the input; further outputs have one number for all of
/// the axes from `axis` on.
fn scaled_shape(a: &Attributes, x: &[Option<&Fact>]) -> Result<Vec<Fact>, Fault> {
    let input = fact(x, 0)?;
    let axes = normalized_axes(a, input.shape.len())?;
    for vector in [Some(fact(x, 1)?), x.get(2).copied().flatten()].into_iter().flatten() {
        if broadcast(&[&vector.shape, &input.shape])? != input.shape {
            return invalid(format!("a scale or bias of the shape {:?} for {:?}", vector.shape, input.shape));
        }
    }
    let lead = axes.first().copied().unwrap_or(input.shape.len());
    let point: Vec<usize> = (0..).zip(&input.shape).map(|(i, &n)| if i < lead { n } else { 1 }).collect();
    let mut out = vec![Fact::new(input.dtype, input.shape.clone())];
    out.extend((1..a.node.output.len()).map(|_| Fact::new(input.dtype, point.clone())));
    Ok(out)
}

/// y = (x − mean)/√(var + ε) · scale + bias, mean and variance over the axes from `axis` on.
/// Ba et al. 2016, arXiv:1607.06450.
const LAYER_NORMALIZATION: Card = Card {
    name: "LayerNormalization",
    entries: Entries::Normalised,
    weights: Weights::Finite,
    shape: scaled_shape,
    eval: |a, x| {
        let (input, scale) = (tensor(x, 0)?, tensor(x, 1)?);
        let axes = normalized_axes(a, input.shape().len())?;
        let [normal, mean, inverse] = standardized(&input.data, &axes, a.float("epsilon", 1e-5));
        let mut data = normal * &scale.data;
        if let Some(bias) = x.get(2).copied().flatten() {
            data += &bias.data;
        }
        let wanted = a.node.output.len().max(1);
        Ok([data, mean, inverse].into_iter().take(wanted).map(|data| Tensor { dtype: input.dtype, data }).collect())
    },
    vjp: Some(|s| {
        if s.dy.iter().skip(1).any(Option::is_some) {
            return unsupported("a score that uses the mean or the deviation");
        }
        let (x, scale) = (s.x(0)?, s.x(1)?);
        let axes = normalized_axes(&s.attributes, x.rank())?;
        s.sizes_within_image(&axes)?;
        let epsilon = s.attributes.float("epsilon", 1e-5);
        Ok(vec![Some(unstandardized(x, s.full_dy()? * scale, &axes, epsilon)), None, None])
    }),
    along: scaled_axes,
    limits: "by the input; only through the first output",
    cases: || {
        vec![
            case().x(&[2, 3, 5]).w(&[5]).w(&[5]),
            case().x(&[2, 3, 5]).w(&[3, 5]).set("axis", 1).set("epsilon", 0.01f32),
        ]
    },
    ..NORMALIZATION
};

/// y = x/√(mean x² + ε) · scale, the mean over the axes from `axis` on. Zhang & Sennrich 2019, arXiv:1910.07467.
const RMS_NORMALIZATION: Card = Card {
    name: "RMSNormalization",
    entries: Entries::Normalised,
    weights: Weights::Finite,
    shape: scaled_shape,
    eval: |a, x| {
        let (input, scale) = (tensor(x, 0)?, tensor(x, 1)?);
        let axes = normalized_axes(a, input.shape().len())?;
        let squares = mean_over(&(&input.data * &input.data), &axes) + a.float("epsilon", 1e-5);
        Ok(vec![Tensor { dtype: input.dtype, data: &input.data / squares.mapv(f64::sqrt) * &scale.data }])
    },
    vjp: Some(|s| {
        let (x, g) = (s.x(0)?, s.full_dy()? * s.x(1)?);
        let axes = normalized_axes(&s.attributes, x.rank())?;
        s.sizes_within_image(&axes)?;
        let root = ((x * x).mean(&axes, true) + s.attributes.float("epsilon", 1e-5)).sqrt();
        let normal = x / root;
        Ok(vec![Some((g - normal * (g * normal).mean(&axes, true)) / root), None])
    }),
    along: scaled_axes,
    cases: || {
        vec![
            case().x(&[2, 3, 5]).w(&[5]).opset(23),
            case().x(&[2, 3, 5]).w(&[3, 5]).set("axis", 1).set("epsilon", 0.01f32).opset(23),
        ]
    },
    ..NORMALIZATION
};

/// Scale and bias are vectors of `count`, and the input is `[N, C, …]`.
fn check_vectors(x: &[Option<&Fact>], count: usize) -> Result<(), Fault> {
    match (1..3).find(|&i| !fact(x, i).is_ok_and(|f| f.shape == [count])) {
        Some(i) => invalid(format!("input {i} has the shape {:?} instead of [{count}]", fact(x, i)?.shape)),
        None => Ok(()),
    }
}

/// Scales `data [N, C, …]` and adds a bias for each channel, both given for each of equally large groups of channels.
fn affine_channels(data: &mut ArrayD<f64>, x: &[Option<&Tensor>]) -> Result<(), Fault> {
    let vector = |i: usize| -> Result<Vec<f64>, Fault> { Ok(tensor(x, i)?.data.iter().copied().collect()) };
    let (scale, bias) = (vector(1)?, vector(2)?);
    let group = data.len_of(Axis(1)) / scale.len().max(1);
    let groups = scale.iter().zip(&bias).flat_map(|vectors| std::iter::repeat_n(vectors, group));
    for (mut plane, (scale, bias)) in data.axis_iter_mut(Axis(1)).zip(groups) {
        plane.mapv_inplace(|v| v * scale + bias);
    }
    Ok(())
}

/// y = (x − mean)/√(var + ε) · scale + bias, mean and variance over space for each channel of each image.
/// Ulyanov et al. 2016, arXiv:1607.08022.
const INSTANCE_NORMALIZATION: Card = Card {
    name: "InstanceNormalization",
    entries: Entries::Normalised,
    weights: Weights::Finite,
    shape: |a, x| {
        let &[_, c, _, ..] = fact(x, 0)?.shape.as_slice() else {
            return invalid("an input without channels and space");
        };
        check_vectors(x, c)?;
        super::like_first(a, x)
    },
    eval: |a, x| {
        let input = tensor(x, 0)?;
        let axes: Vec<usize> = (2..input.shape().len()).collect();
        let [mut data, ..] = standardized(&input.data, &axes, a.float("epsilon", 1e-5));
        affine_channels(&mut data, x)?;
        Ok(vec![Tensor { dtype: input.dtype, data }])
    },
    vjp: Some(|s| {
        let (x, scale) = (s.x(0)?, s.x(1)?);
        let axes: Vec<usize> = (2..x.rank()).collect();
        s.sizes_within_image(&axes)?;
        let g = s.full_dy()? * along_channels(scale, x.rank());
        Ok(vec![Some(unstandardized(x, g, &axes, s.attributes.float("epsilon", 1e-5))), None, None])
    }),
    layout: Layout::ChannelsFirst,
    along: |_, x, input, axis| apart(fact(x, 0).map(|x| (2..x.shape.len()).collect()), input, axis),
    cases: || {
        vec![
            case().x(&[2, 3, 2, 4]).w(&[3]).w(&[3]),
            case().x(&[2, 3, 5]).w(&[3]).w(&[3]).set("epsilon", 0.1f32),
            case().x(&[1, 2, 2, 2, 3]).w(&[2]).w(&[2]),
        ]
    },
    ..NORMALIZATION
};

/// The number of groups that `c` channels are in.
fn groups(a: &Attributes, c: usize) -> Result<usize, Fault> {
    match usize::try_from(a.int("num_groups", 0)) {
        Ok(n) if n > 0 && c.is_multiple_of(n) => Ok(n),
        _ => invalid(format!("{c} channels in {} groups", a.int("num_groups", 0))),
    }
}

/// y = (x − mean)/√(var + ε) · scale + bias, mean and variance over space and groups of channels; scale and bias for
/// each channel, before operator set 21 for each group. Wu & He 2018, arXiv:1803.08494.
const GROUP_NORMALIZATION: Card = Card {
    name: "GroupNormalization",
    entries: Entries::Normalised,
    weights: Weights::Finite,
    shape: |a, x| {
        let &[_, c, ..] = fact(x, 0)?.shape.as_slice() else { return invalid("an input without channels") };
        let groups = groups(a, c)?;
        check_vectors(x, if a.opset < 21 { groups } else { c })?;
        super::like_first(a, x)
    },
    eval: |a, x| {
        let input = tensor(x, 0)?;
        let [n, c, ..] = *input.shape() else { return invalid("an input without channels") };
        let groups = groups(a, c)?;
        let size = input.data.len() / (n * groups).max(1);
        let shaped = |d: &ArrayD<f64>, shape: &[usize]| match d.to_shape(shape) {
            Ok(d) => Ok(d.into_owned()),
            Err(e) => invalid(e.to_string()),
        };
        let [normal, ..] = standardized(&shaped(&input.data, &[n, groups, size])?, &[2], a.float("epsilon", 1e-5));
        let mut data = shaped(&normal, input.shape())?;
        affine_channels(&mut data, x)?;
        Ok(vec![Tensor { dtype: input.dtype, data }])
    },
    vjp: Some(|s| {
        let (x, scale) = (s.x(0)?, s.x(1)?);
        let dims = x.dims();
        let sizes = s.sizes_within_image(&(1..dims.len()).collect::<Vec<_>>())?;
        let (Some(&n), Some(&c)) = (dims.first(), sizes.first()) else { return invalid("an input without channels") };
        let groups = groups(&s.attributes, c)?;
        let grouped = [n, Dim::Fixed(groups), Dim::Fixed(sizes.iter().product::<usize>() / groups)];
        let g = if s.attributes.opset < 21 {
            s.full_dy()?.reshape(&grouped) * along_channels(scale, 3)
        } else {
            (s.full_dy()? * along_channels(scale, dims.len())).reshape(&grouped)
        };
        let dx = unstandardized(x.reshape(&grouped), g, &[2], s.attributes.float("epsilon", 1e-5));
        Ok(vec![Some(dx.reshape(&dims)), None, None])
    }),
    layout: Layout::ChannelsFirst,
    along: |_, x, input, axis| apart(fact(x, 0).map(|x| (1..x.shape.len()).collect()), input, axis),
    cases: || {
        let in_groups = |n: i64, shape: &[usize], w: usize| case().x(shape).w(&[w]).w(&[w]).set("num_groups", n);
        vec![
            in_groups(2, &[2, 4, 2, 3], 2).opset(18),
            in_groups(3, &[2, 6], 3).opset(18).set("epsilon", 0.1f32),
            in_groups(2, &[2, 4, 2, 3], 4).opset(21),
            in_groups(1, &[2, 3, 4], 3).opset(21),
        ]
    },
    ..NORMALIZATION
};

/// y = (x − mean)/(√var + 10⁻⁹), mean and variance over `axes`; where the variance is 0 so is the derivative of the
/// deviation.
const MEAN_VARIANCE_NORMALIZATION: Card = Card {
    name: "MeanVarianceNormalization",
    entries: Entries::Normalised,
    weights: Weights::Finite,
    shape: |a, x| {
        variance_axes(a, fact(x, 0)?.shape.len())?;
        super::like_first(a, x)
    },
    eval: |a, x| {
        let input = tensor(x, 0)?;
        let axes = variance_axes(a, input.shape().len())?;
        let centred = &input.data - &mean_over(&input.data, &axes);
        let deviation = mean_over(&(&centred * &centred), &axes).mapv(|v| v.sqrt() + VARIANCE_EPSILON);
        Ok(vec![Tensor { dtype: input.dtype, data: centred / deviation }])
    },
    vjp: Some(|s| {
        let (x, y, g) = (s.x(0)?, s.y()?, s.full_dy()?);
        let axes = variance_axes(&s.attributes, x.rank())?;
        s.sizes_within_image(&axes)?;
        let centred = x - x.mean(&axes, true);
        let deviation = (centred * centred).mean(&axes, true).sqrt();
        let direction = centred * deviation.where_gt(0.0, deviation.scalar(1.0) / deviation);
        let dx = g - g.mean(&axes, true) - direction * (g * y).mean(&axes, true);
        Ok(vec![Some(dx / (deviation + VARIANCE_EPSILON))])
    }),
    along: |a, x, input, axis| apart(fact(x, 0).and_then(|x| variance_axes(a, x.shape.len())), input, axis),
    limits: "by the input; not over the images of a batch",
    cases: || {
        vec![case().x(&[1, 2, 2, 3]), case().x(&[2, 3, 4]).set("axes", [-1]), case().x(&[2, 3, 4]).set("axes", [1, 2])]
    },
    ..NORMALIZATION
};

/// What ONNX adds to the deviation of a MeanVarianceNormalization.
const VARIANCE_EPSILON: f64 = 1e-9;

fn variance_axes(a: &Attributes, rank: usize) -> Result<Vec<usize>, Fault> {
    let mut axes =
        a.ints("axes").unwrap_or(&[0, 2, 3]).iter().map(|&i| axis(i, rank)).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    axes.dedup();
    Ok(axes)
}

/// y = x/‖x‖, the 1-norm or 2-norm along an axis; 0 where that is 0, and so is the derivative.
const LP_NORMALIZATION: Card = Card {
    name: "LpNormalization",
    entries: Entries::Normalised,
    weights: Weights::Finite,
    covers: |a| match a.int("p", 2) {
        1 | 2 => Ok(()),
        p => unsupported(format!("the {p}-norm")),
    },
    shape: |a, x| {
        axis(a.int("axis", -1), fact(x, 0)?.shape.len())?;
        super::like_first(a, x)
    },
    eval: |a, x| {
        let input = tensor(x, 0)?;
        let mut data = input.data.clone();
        for mut lane in data.lanes_mut(Axis(axis(a.int("axis", -1), input.shape().len())?)) {
            let norm = match a.int("p", 2) {
                1 => lane.mapv(f64::abs).sum(),
                _ => lane.mapv(|v| v * v).sum().sqrt(),
            };
            lane.mapv_inplace(|v| if norm > 0.0 { v / norm } else { 0.0 });
        }
        Ok(vec![Tensor { dtype: input.dtype, data }])
    },
    vjp: Some(|s| {
        let (x, y, dy) = (s.x(0)?, s.y()?, s.full_dy()?);
        let at = [x.axis(s.attributes.int("axis", -1))?];
        // d‖x‖/dx is the sign for the 1-norm, x/‖x‖ for the 2-norm.
        let (norm, slope) = match s.attributes.int("p", 2) {
            1 => (x.abs().reduce_sum(&at, true), x.by_sign(x.scalar(1.0), x.scalar(-1.0))),
            _ => ((x * x).reduce_sum(&at, true).sqrt(), y),
        };
        let inverse = norm.where_gt(0.0, norm.scalar(1.0) / norm);
        Ok(vec![Some((dy - slope * (dy * y).reduce_sum(&at, true)) * inverse)])
    }),
    along: |a, x, input, own| {
        apart(fact(x, 0).and_then(|x| Ok(vec![axis(a.int("axis", -1), x.shape.len())?])), input, own)
    },
    cases: || {
        let x = || case().x(&[2, 3, 4]);
        vec![x(), x().set("axis", 1), x().set("p", 1), x().set("p", 1).set("axis", 1).opset(22)]
    },
    ..NORMALIZATION
};

/// y = x/(bias + α/size · Σ x²)ᵝ, the sum over `size` neighbouring channels. Krizhevsky et al. 2012, NIPS.
const LRN: Card = Card {
    name: "LRN",
    shape: |a, x| {
        let &[_, c, ..] = fact(x, 0)?.shape.as_slice() else { return invalid("an input without channels") };
        neighbours(a, c)?;
        super::like_first(a, x)
    },
    eval: |a, x| {
        let input = tensor(x, 0)?;
        let [_, c, ..] = *input.shape() else { return invalid("an input without channels") };
        let (before, after) = neighbours(a, c)?;
        let [alpha, beta, bias] = response(a);
        let squares = &input.data * &input.data;
        let mut data = input.data.clone();
        for (i, mut plane) in data.axis_iter_mut(Axis(1)).enumerate() {
            let near = i.saturating_sub(before)..(i + after + 1).min(c);
            let sum = squares.slice_axis(Axis(1), near.into()).sum_axis(Axis(1));
            plane.zip_mut_with(&sum, |v, sum| *v *= (bias + alpha * sum).powf(-beta));
        }
        Ok(vec![Tensor { dtype: input.dtype, data }])
    },
    vjp: Some(|s| {
        let (x, dy) = (s.x(0)?, s.dy()?);
        let c = s.size_within_image(1)?;
        let (before, after) = neighbours(&s.attributes, c)?;
        if before + after >= WIDEST {
            return unsupported(format!("a window over {} channels", before + after + 1));
        }
        let [alpha, beta, bias] = response(&s.attributes);
        let base = channel_sums(x * x, c, before, after) * alpha + bias;
        let d = dy * base.pow(x.scalar(-beta));
        Ok(vec![Some(d - x * channel_sums(d * x / base, c, after, before) * (2.0 * alpha * beta))])
    }),
    layout: Layout::ChannelsFirst,
    along: |_, _, input, axis| apart(Ok(vec![1]), input, axis),
    limits: "by the input; windows of up to 256 channels",
    cases: || {
        let over = |size: i64| case().x(&[2, 5, 2, 2]).set("size", size).set("alpha", 0.5f32);
        vec![
            over(3),
            over(4).set("bias", 2.0f32),
            over(1),
            over(12).set("beta", 0.5f32),
            case().x(&[2, 3]).set("size", 2),
        ]
    },
    degree: |_, _| None,
    ..NORMALIZATION
};

/// The rule emits a few nodes for each channel of a window, of so many at most.
const WIDEST: usize = 256;

/// α/size, β and bias of an LRN.
fn response(a: &Attributes) -> [f64; 3] {
    [a.float("alpha", 1e-4) / a.int("size", 1).max(1) as f64, a.float("beta", 0.75), a.float("bias", 1.0)]
}

/// How many channels before and after its own an LRN sums over, of `c` in all.
fn neighbours(a: &Attributes, c: usize) -> Result<(usize, usize), Fault> {
    let size = a.int("size", 0);
    if size < 1 {
        return invalid(format!("a window over {size} channels"));
    }
    let reach = |n: i64| (n as usize).min(c.saturating_sub(1));
    Ok((reach((size - 1) / 2), reach(size / 2)))
}

/// For each of `c` channels the sum from so many before it to so many after it.
fn channel_sums(v: Value<'_>, c: usize, before: usize, after: usize) -> Value<'_> {
    let ends = |n: usize| (0..v.rank()).map(|i| if i == 1 { n as i64 } else { 0 }).collect::<Vec<_>>();
    let wide = v.pad(&ends(before), &ends(after), 0.0);
    let shifted = (0..=before + after).map(|k| wide.slice(1, k as i64, (k + c) as i64, 1));
    shifted.reduce(|sum, part| sum + part).unwrap_or(v)
}
