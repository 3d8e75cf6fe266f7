//! Pooling over windows and over all of space, for any number of spatial axes.

use super::along::{Row, unmultiply};
use super::window::Window;
use super::{Card, Kind, Layout, affine, case, fact, piecewise, size, tensor};
use crate::build::Value;
use crate::error::{Fault, invalid, unsupported};
use crate::graph::Attributes;
use crate::shape::{Dim, Fact};
use crate::tensor::{DataType, Tensor};
use ndarray::{Axis, IxDyn};

/// The cards of this family.
pub const CARDS: &[Card] = &[AVERAGE_POOL, GLOBAL_AVERAGE_POOL, GLOBAL_MAX_POOL, MAX_POOL];

const POOL: Card = Card {
    work: |a, x, y| {
        let kernel = a.ints("kernel_shape").unwrap_or(&[]).iter().map(|&k| usize::try_from(k).unwrap_or(1));
        let window = kernel.fold(1, usize::saturating_mul);
        let (from, to) = (x.iter().flatten().copied().map(size).sum::<usize>(), y.first().map_or(0, size));
        to.saturating_mul(window).saturating_add(from)
    },
    layout: Layout::ChannelsFirst,
    kind: Kind::Pooling,
    ..Card::BASE
};

fn spatial(shape: &[usize]) -> Result<&[usize], Fault> {
    match shape {
        [_, _, spatial @ ..] if !spatial.is_empty() => Ok(spatial),
        _ => invalid(format!("pooling over a value of the shape {shape:?}")),
    }
}

fn pooled(a: &Attributes, shape: &[usize]) -> Result<Vec<usize>, Fault> {
    let s = spatial(shape)?;
    Ok([&shape[..2], &Window::of_pool(a, s)?.outputs(s)?].concat())
}

/// Pools each plane of `x` with `f(taps of one window, values of the plane)`.
fn each_window(
    a: &Attributes,
    x: &Tensor,
    f: impl Fn(&Window, &[f64], &[usize], &[super::window::Tap]) -> f64,
) -> Result<Tensor, Fault> {
    let s = spatial(x.shape())?;
    let window = Window::of_pool(a, s)?;
    let out = window.outputs(s)?;
    let taps = window.taps(s, &out)?;
    let (from, to): (usize, usize) = (s.iter().product(), out.iter().product());
    let planes: usize = x.shape()[..2].iter().product();
    let values: Vec<f64> = x.data.iter().copied().collect();
    let mut y = Vec::with_capacity(planes * to);
    for plane in 0..planes {
        let plane = &values[plane * from..][..from];
        for group in taps.chunk_by(|a, b| a.output == b.output) {
            y.push(f(&window, plane, s, group));
        }
    }
    Tensor::new(x.dtype, &[&x.shape()[..2], out.as_slice()].concat(), y)
}

/// `x [N,C,…]` as `[N·C, 1, …]`, so that one kernel serves every channel.
fn planes<'g>(v: Value<'g>) -> Value<'g> {
    let dims = v.dims();
    let lead = match dims.as_slice() {
        [Dim::Batch(f), Dim::Fixed(c), ..] => Dim::Batch(f * c),
        [Dim::Fixed(n), Dim::Fixed(c), ..] => Dim::Fixed(n * c),
        _ => return v,
    };
    v.reshape(&[&[lead, Dim::Fixed(1)], dims.get(2..).unwrap_or(&[])].concat())
}

/// The derivative of MaxPool cuts one slice for each place of a window: no more than this.
const MOST_SLICES: usize = 4096;

/// y = max over each window; the cotangent goes to the first place that attains it, as in PyTorch.
///
/// Written as: the places of each window side by side (one strided Slice a place), the first largest among them by
/// ArgMax, and the cotangent put back there by a transposed convolution with a one-hot kernel. Slices move data only,
/// so ties stay ties on every engine.
const MAX_POOL: Card = Card {
    name: "MaxPool",
    shape: |a, x| {
        let input = fact(x, 0)?;
        let shape = pooled(a, &input.shape)?;
        let mut out = vec![Fact::new(input.dtype, shape.clone())];
        if a.node.output.len() > 1 {
            out.push(Fact::new(DataType::Int64, shape));
        }
        Ok(out)
    },
    eval: |a, x| {
        if a.node.output.len() > 1 {
            return unsupported("evaluating the Indices output");
        }
        let max = |_: &Window, plane: &[f64], _: &[usize], taps: &[super::window::Tap]| {
            taps.iter().map(|t| plane[t.input]).fold(f64::NEG_INFINITY, f64::max)
        };
        Ok(vec![each_window(a, tensor(x, 0)?, max)?])
    },
    vjp: Some(|s| {
        let (x, dy) = (s.x(0)?, s.full_dy()?);
        let sizes = x.sizes();
        let space = spatial(&sizes)?;
        let window = Window::of_pool(&s.attributes, space)?;
        let out = window.outputs(space)?;
        if window.places() > MOST_SLICES {
            return unsupported(format!("the largest of windows {:?}: {} places", window.kernel, window.places()));
        }
        let rank = space.len();
        // Padded so far that every place of every window exists.
        let (mut begin, mut end) = (vec![0i64; rank + 2], vec![0i64; rank + 2]);
        for axis in 0..rank {
            let reached = window.strides[axis] * (out[axis] - 1) + window.reach(axis);
            begin[axis + 2] = window.begin[axis] as i64;
            end[axis + 2] = (reached as i64 - window.begin[axis] as i64 - space[axis] as i64).max(0);
        }
        let padded = planes(x).pad(&begin, &end, lowest(x.dtype()));
        let axes: Vec<usize> = (2..rank + 2).collect();
        let steps: Vec<i64> = window.strides.iter().map(|&s| s as i64).collect();
        let place = |offset: IxDyn| {
            let starts: Vec<i64> = (0..rank).map(|a| (offset[a] * window.dilations[a]) as i64).collect();
            let ends: Vec<i64> = (0..rank).map(|a| starts[a] + steps[a] * (out[a] as i64 - 1) + 1).collect();
            padded.slices(&axes, &starts, &ends, &steps)
        };
        let places: Vec<Value> = ndarray::indices(window.kernel.clone()).into_iter().map(place).collect();
        let count = places.len();
        let places = Value::concat(&places, 1).unwrap_or(padded);
        let mut kernel_axis = vec![1; rank + 2];
        kernel_axis[1] = count;
        let numbers = ndarray::Array1::from_iter((0..count).map(|k| k as f64)).into_dyn();
        let numbers = numbers.into_shape_with_order(IxDyn(&kernel_axis)).map_err(|e| Fault::Invalid(e.to_string()))?;
        let numbers = x.graph().constant(Tensor { dtype: DataType::Int64, data: numbers });
        let first = places.arg_max(1).equal(numbers);
        let routed = first.select(planes(dy), dy.scalar(0.0));
        let one_hot = Tensor::new(x.dtype(), &[&[count, 1], window.kernel.as_slice()].concat(), identity(count))?;
        let back = routed.conv_transpose(x.graph().constant(one_hot), 1, window.transposed(space, &out));
        Ok(vec![Some(back.reshape(&x.dims()))])
    }),
    linearity: piecewise,
    cases: || {
        vec![
            case().x(&[2, 3, 6, 6]).set("kernel_shape", [2, 2]).set("strides", [2, 2]),
            case().x(&[2, 2, 7, 6]).set("kernel_shape", [3, 3]).set("strides", [2, 2]).set("pads", [1, 1, 1, 1]),
            case().x(&[1, 2, 5, 5]).set("kernel_shape", [3, 2]).set("strides", [1, 1]),
            case().x(&[1, 2, 7, 7]).set("kernel_shape", [2, 2]).set("strides", [3, 3]),
            case().x(&[1, 2, 6, 7]).set("kernel_shape", [3, 3]).set("strides", [2, 2]).set("ceil_mode", 1),
            case().x(&[1, 2, 7, 8]).set("kernel_shape", [2, 2]).set("dilations", [2, 3]),
            case().x(&[1, 2, 6, 5]).set("kernel_shape", [2, 3]).set("strides", [2, 2]).set("auto_pad", "SAME_UPPER"),
            case().x(&[2, 3, 9]).set("kernel_shape", [3]).set("strides", [2]).set("pads", [1, 0]),
            case()
                .x(&[1, 2, 4, 4, 6])
                .set("kernel_shape", [2, 2, 3])
                .set("strides", [2, 2, 2])
                .set("pads", [0, 0, 1, 0, 0, 1]),
        ]
    },
    ..POOL
};

/// The lowest finite number: what MaxPool pads with, finite so that no engine meets ∞·0.
fn lowest(dtype: DataType) -> f64 {
    match dtype {
        DataType::Float16 => -65504.0,
        DataType::Double => f64::MIN,
        _ => -3.0e38,
    }
}

fn identity(n: usize) -> Vec<f64> {
    (0..n * n).map(|i| f64::from(u8::from(i / n == i % n))).collect()
}

/// y = mean over each window; pads count as places with `count_include_pad`.
const AVERAGE_POOL: Card = Card {
    name: "AveragePool",
    shape: |a, x| {
        let input = fact(x, 0)?;
        Ok(vec![Fact::new(input.dtype, pooled(a, &input.shape)?)])
    },
    eval: |a, x| {
        let include = a.int("count_include_pad", 0) != 0;
        let mean = |window: &Window, plane: &[f64], space: &[usize], taps: &[super::window::Tap]| {
            let count = if include { padded_places(window, space, taps) } else { taps.len() };
            taps.iter().map(|t| plane[t.input]).sum::<f64>() / count as f64
        };
        Ok(vec![each_window(a, tensor(x, 0)?, mean)?])
    },
    vjp: Some(|s| {
        let (x, dy) = (s.x(0)?, s.dy()?);
        let sizes = x.sizes();
        let space = spatial(&sizes)?;
        let window = Window::of_pool(&s.attributes, space)?;
        if window.is_global(space) {
            return Ok(vec![Some(dy * (1.0 / space.iter().product::<usize>() as f64))]);
        }
        let out = window.outputs(space)?;
        let include = s.attributes.int("count_include_pad", 0) != 0;
        let mut back = dy.with_rank(sizes.len());
        for axis in 0..space.len() {
            let rows = shares(&window, axis, space[axis], out[axis], include);
            back = unmultiply(back, axis + 2, &rows, space[axis])?;
        }
        Ok(vec![Some(back)])
    }),
    linearity: affine,
    cases: || {
        let base = || case().x(&[2, 3, 6, 5]);
        vec![
            base().set("kernel_shape", [2, 2]).set("strides", [2, 2]),
            base().set("kernel_shape", [3, 3]).set("strides", [2, 2]).set("pads", [1, 1, 1, 1]),
            base()
                .set("kernel_shape", [3, 3])
                .set("strides", [2, 2])
                .set("pads", [1, 1, 1, 1])
                .set("count_include_pad", 1),
            base()
                .set("kernel_shape", [3, 2])
                .set("strides", [2, 2])
                .set("ceil_mode", 1)
                .set("pads", [1, 0, 1, 1])
                .set("count_include_pad", 1),
            base().set("kernel_shape", [3, 2]).set("strides", [2, 2]).set("ceil_mode", 1),
            base().set("kernel_shape", [6, 5]),
            base().set("kernel_shape", [3, 3]).set("auto_pad", "SAME_LOWER"),
            case().x(&[1, 2, 9]).set("kernel_shape", [3]).set("strides", [2]),
            case()
                .x(&[1, 2, 4, 5, 4])
                .set("kernel_shape", [2, 3, 2])
                .set("strides", [2, 1, 2])
                .set("pads", [0, 1, 0, 0, 1, 0]),
        ]
    },
    ..POOL
};

/// Along one axis, what each place of the input is worth in each output's mean: 1 / the window's places there. The mean
/// over a window is the mean along one axis after the other.
fn shares(window: &Window, axis: usize, inputs: usize, outputs: usize, include_pads: bool) -> Vec<Row> {
    let (begin, limit) = (window.begin[axis], window.begin[axis] + inputs + window.end[axis]);
    let row = |output: usize| {
        // Places that `ceil_mode` adds beyond the pads never count.
        let places = (0..window.kernel[axis]).map(|k| output * window.strides[axis] + k * window.dilations[axis]);
        let places: Vec<usize> = places.filter(|&p| p < limit).collect();
        let inside: Vec<usize> = places.iter().filter_map(|p| p.checked_sub(begin)).filter(|&p| p < inputs).collect();
        let count = if include_pads { places.len() } else { inside.len() };
        inside.into_iter().map(|place| (place, 1.0 / count as f64)).collect()
    };
    (0..outputs).map(row).collect()
}

/// How many places of a window count when pads do: all within the padded input; those that `ceil_mode` adds do not.
fn padded_places(window: &Window, space: &[usize], taps: &[super::window::Tap]) -> usize {
    let Some(first) = taps.first() else { return 1 };
    let (Ok(out), rank) = (window.outputs(space), space.len()) else { return 1 };
    let mut flat = first.output;
    let mut at = vec![0; rank];
    for axis in (0..rank).rev() {
        at[axis] = flat % out[axis];
        flat /= out[axis];
    }
    let along = |axis: usize| {
        let limit = window.begin[axis] + space[axis] + window.end[axis];
        (0..window.kernel[axis])
            .filter(|k| at[axis] * window.strides[axis] + k * window.dilations[axis] < limit)
            .count()
    };
    (0..rank).map(along).product()
}

fn to_points(_: &Attributes, x: &[Option<&Fact>]) -> Result<Vec<Fact>, Fault> {
    let input = fact(x, 0)?;
    let space = spatial(&input.shape)?;
    Ok(vec![Fact::new(input.dtype, [&input.shape[..2], vec![1; space.len()].as_slice()].concat())])
}

/// Folds all of space into one value a channel.
fn fold_space(x: &Tensor, f: impl Fn(ndarray::ArrayView1<f64>) -> f64) -> Result<Vec<Tensor>, Fault> {
    let places: usize = spatial(x.shape())?.iter().product();
    let (n, c) = (x.shape()[0], x.shape()[1]);
    let flat = x.data.to_shape((n * c, places)).map_err(|e| Fault::Invalid(e.to_string()))?;
    let values: Vec<f64> = flat.axis_iter(Axis(0)).map(f).collect();
    let shape = [&[n, c], vec![1; x.shape().len() - 2].as_slice()].concat();
    Ok(vec![Tensor::new(x.dtype, &shape, values)?])
}

/// y = mean over all of space. Lin et al. 2013, arXiv:1312.4400.
const GLOBAL_AVERAGE_POOL: Card = Card {
    name: "GlobalAveragePool",
    shape: to_points,
    eval: |_, x| fold_space(tensor(x, 0)?, |plane| plane.sum() / plane.len() as f64),
    vjp: Some(|s| {
        let places: usize = s.x(0)?.sizes().iter().skip(2).product();
        Ok(vec![Some(s.dy()? * (1.0 / places as f64))])
    }),
    linearity: affine,
    cases: || vec![case().x(&[2, 3, 4, 5]), case().x(&[2, 3, 4]), case().x(&[1, 2, 2, 3, 4])],
    ..POOL
};

/// y = max over all of space; the cotangent goes to the first place that attains it.
const GLOBAL_MAX_POOL: Card = Card {
    name: "GlobalMaxPool",
    shape: to_points,
    eval: |_, x| fold_space(tensor(x, 0)?, |plane| plane.fold(f64::NEG_INFINITY, |a, &b| a.max(b))),
    vjp: Some(|s| {
        let (x, dy) = (s.x(0)?, s.full_dy()?);
        let dims = x.dims();
        let places: usize = x.sizes().iter().skip(2).product();
        let (lead, one) = (dims.get(..2).unwrap_or(&[]), [Dim::Fixed(1)]);
        let flat = x.reshape(&[lead, &[Dim::Fixed(places)]].concat());
        let first = flat.arg_max(2).equal(x.iota(places));
        let routed = first.select(dy.reshape(&[lead, &one].concat()), dy.scalar(0.0));
        Ok(vec![Some(routed.reshape(&dims))])
    }),
    linearity: piecewise,
    cases: || vec![case().x(&[2, 3, 4, 5]), case().x(&[2, 3, 6]), case().x(&[1, 2, 2, 3, 4])],
    ..POOL
};
