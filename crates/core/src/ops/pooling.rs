//! Pooling over windows and over all of space, for any number of spatial axes.

use super::grids::Grids;
use super::transposed::{MatrixRow, unmultiply};
use super::window::{Side, Window};
use super::{Card, Layout, Role, affine, case, degree_of_first, fact, piecewise, size, tensor, where_first};
use crate::build::Value;
use crate::error::{Fault, invalid, unsupported};
use crate::graph::Attributes;
use crate::shape::{Dim, Fact};
use crate::tensor::{DataType, Tensor};
use ndarray::{ArrayD, Axis, IxDyn};

/// The cards of this family.
pub const CARDS: &[Card] = &[AVERAGE_POOL, GLOBAL_AVERAGE_POOL, GLOBAL_LP_POOL, GLOBAL_MAX_POOL, LP_POOL, MAX_POOL];

const POOL: Card = Card {
    covers: Window::covers,
    work: |a, x, y| {
        let kernel = a.ints("kernel_shape").unwrap_or(&[]).iter().map(|&k| usize::try_from(k).unwrap_or(1));
        let window = kernel.fold(1, usize::saturating_mul);
        let (from, to) = (x.iter().flatten().copied().map(size).sum::<usize>(), y.first().map_or(0, size));
        to.saturating_mul(window).saturating_add(from)
    },
    layout: Layout::ChannelsFirst,
    along: |_, x, input, axis| super::apart(fact(x, 0).map(|x| (2..x.shape.len()).collect()), input, axis),
    windows: |a, x, axis| {
        let (space, along) = (spatial(&fact(x, 0).ok()?.shape).ok()?, axis.checked_sub(2)?);
        let extent = *space.get(along)?;
        // Without a kernel it is pooled over all of space.
        if a.ints("kernel_shape").is_none() {
            return Some(std::iter::once(0..extent).collect());
        }
        let window = Window::of_pool(a, space).ok()?;
        window.ranges(along, extent, *window.outputs(space).ok()?.get(along)?)
    },
    role: Role::Pooling,
    degree: degree_of_first,
    ..Card::BASE
};

fn spatial(shape: &[usize]) -> Result<&[usize], Fault> {
    match shape {
        [_, _, spatial @ ..] if !spatial.is_empty() => Ok(spatial),
        _ => invalid(format!("pooling over a value of the shape {shape:?}")),
    }
}

/// The shape with other extents of space.
fn with_space(shape: &[usize], space: Vec<usize>) -> Vec<usize> {
    shape.iter().copied().take(2).chain(space).collect()
}

fn pooled(a: &Attributes, shape: &[usize]) -> Result<Vec<usize>, Fault> {
    let s = spatial(shape)?;
    Ok(with_space(shape, Window::of_pool(a, s)?.outputs(s)?))
}

/// A place of a plane that lies in a window, and its value.
type Met = (usize, f64);

/// Pools each plane of `x` with `f(number of the plane, what one window meets)`.
fn each_window(a: &Attributes, x: &Tensor, f: impl Fn(usize, &[Met]) -> f64) -> Result<Tensor, Fault> {
    let s = spatial(x.shape())?;
    let window = Window::of_pool(a, s)?;
    let out = window.outputs(s)?;
    let taps = window.taps(s, &out)?;
    let (from, to): (usize, usize) = (s.iter().product(), out.iter().product());
    let values: Vec<f64> = x.data.iter().copied().collect();
    let (mut y, mut met) = (Vec::with_capacity(values.len() / from.max(1) * to), Vec::with_capacity(window.places()));
    for (i, plane) in values.chunks_exact(from.max(1)).enumerate() {
        let mut taps = taps.iter().peekable();
        for output in 0..to {
            met.clear();
            while let Some(tap) = taps.next_if(|tap| tap.output == output) {
                let value = plane.get(tap.input).ok_or_else(|| Fault::Invalid("a window beyond its input".into()))?;
                met.push((tap.input, *value));
            }
            y.push(f(i, &met));
        }
    }
    Tensor::new(x.dtype, &with_space(x.shape(), out), y)
}

/// The cotangent of x from the cotangent `d`, by [`planes`], of the sums over windows.
fn spread<'g>(d: Value<'g>, x: Value<'g>, window: &Window) -> Result<Value<'g>, Fault> {
    let sizes = x.sizes();
    let space = spatial(&sizes)?;
    let ones = d.tensor(ArrayD::ones(IxDyn(&with_space(&[1, 1], window.kernel()))));
    Ok(d.conv_transpose(ones, 1, window.transposed(space, &window.outputs(space)?)).reshape(&x.dims()))
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
/// Written as: for each place of the kernel a Slice with that place of every window. In their order, the first that
/// is not less than the window's output takes the cotangent, and the others what is left of it: nothing. The last place
/// takes what nobody took. Slices and the pool move data only, so ties stay ties on every engine.
const MAX_POOL: Card = Card {
    name: "MaxPool",
    never_negative: where_first,
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
        let input = tensor(x, 0)?;
        let first = |met: &[Met]| met.iter().copied().reduce(|best, v| if v.1 <= best.1 { best } else { v });
        let max = |_: usize, met: &[Met]| first(met).map_or(f64::NEG_INFINITY, |(_, value)| value);
        let mut out = vec![each_window(a, input, max)?];
        if a.node.output.len() > 1 {
            let space = spatial(input.shape())?;
            let size: usize = space.iter().product();
            let by_columns = a.int("storage_order", 0) != 0;
            let position = |at: usize| if by_columns { column_major(at, space) } else { at };
            let index = |i: usize, met: &[Met]| (i * size + first(met).map_or(0, |(at, _)| position(at))) as f64;
            out.push(Tensor { dtype: DataType::Int64, ..each_window(a, input, index)? });
        }
        Ok(out)
    },
    vjp: Some(|s| {
        let dy = s.full_dy()?;
        let (x, y) = (s.x(0)?.cast(dy.dtype()), s.y()?.cast(dy.dtype()));
        let (sizes, dims) = (x.sizes(), x.dims());
        let space = spatial(&sizes)?;
        let window = Window::of_pool(&s.attributes, space)?;
        let out = window.outputs(space)?;
        if window.places() > MOST_SLICES {
            return unsupported(format!("the largest of windows {:?}: {} places", window.kernel(), window.places()));
        }
        let grids = Grids::of(&window, space, &out)?;
        let x = grids.split(planes(x), lowest(x.dtype()));
        let (y, mut left) = (planes(y), planes(dy));
        let mut offsets = grids.offsets();
        let last = offsets.pop();
        let take = |offset: IxDyn| {
            let others = grids.place(x, &offset).lt(y).cast(dy.dtype()) * left;
            let taken = left - others;
            left = others;
            taken
        };
        let mut routed: Vec<Value> = offsets.into_iter().map(take).collect();
        routed.extend(last.map(|_| left));
        Ok(vec![Some(grids.join(routed)?.reshape(&dims))])
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
            case().x(&[2, 2, 5, 4]).set("kernel_shape", [2, 3]).set("pads", [1, 1, 0, 1]).outputs(2),
            case().x(&[1, 2, 4, 5]).set("kernel_shape", [3, 2]).set("storage_order", 1).outputs(2),
            case()
                .x(&[1, 2, 4, 4, 6])
                .set("kernel_shape", [2, 2, 3])
                .set("strides", [2, 2, 2])
                .set("pads", [0, 0, 1, 0, 0, 1]),
        ]
    },
    ..POOL
};

/// The flat index with the first axis of space running fastest, from that with the last.
fn column_major(at: usize, space: &[usize]) -> usize {
    let size: usize = space.iter().product();
    space
        .iter()
        .fold((at, size, 0, 1), |(rest, size, sum, step), &n| {
            let size = size / n;
            (rest % size, size, sum + rest / size * step, step * n)
        })
        .2
}

/// The lowest finite number: what MaxPool pads with, finite so that no engine meets ∞·0.
fn lowest(dtype: DataType) -> f64 {
    match dtype {
        DataType::Float16 => -65504.0,
        DataType::Double => f64::MIN,
        _ => -3.0e38,
    }
}

/// y = mean over each window; pads count as places with `count_include_pad`.
const AVERAGE_POOL: Card = Card {
    name: "AveragePool",
    never_negative: where_first,
    shape: |a, x| {
        let input = fact(x, 0)?;
        Ok(vec![Fact::new(input.dtype, pooled(a, &input.shape)?)])
    },
    eval: |a, x| {
        let sum = |_: usize, met: &[Met]| met.iter().map(|(_, value)| value).sum();
        let mut y = each_window(a, tensor(x, 0)?, sum)?;
        y.data /= &places(a, spatial(tensor(x, 0)?.shape())?)?;
        Ok(vec![y])
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
        for (axis, ((side, &inputs), outputs)) in (2..).zip(window.sides.iter().zip(space).zip(out)) {
            back = unmultiply(back, axis, &shares(side, inputs, outputs, include), inputs)?;
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
            base().set("kernel_shape", [2, 3]).set("dilations", [3, 1]).set("pads", [1, 0, 1, 1]).opset(19),
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
fn shares(side: &Side, inputs: usize, outputs: usize, include_pads: bool) -> Vec<MatrixRow> {
    let (begin, limit) = (side.begin, side.begin + inputs + side.end);
    let row = |output: usize| {
        // Places that `ceil_mode` adds beyond the pads never count.
        let places = (0..side.kernel).map(|k| output * side.stride + k * side.dilation);
        let places: Vec<usize> = places.filter(|&p| p < limit).collect();
        let inside: Vec<usize> = places.iter().filter_map(|p| p.checked_sub(begin)).filter(|&p| p < inputs).collect();
        let count = if include_pads { places.len() } else { inside.len() };
        inside.into_iter().map(|place| (place, 1.0 / count as f64)).collect()
    };
    (0..outputs).map(row).collect()
}

/// How many places each window counts: those on the input; with `count_include_pad` those on pads too, but not those
/// that `ceil_mode` adds.
fn places(a: &Attributes, space: &[usize]) -> Result<ArrayD<f64>, Fault> {
    let window = Window::of_pool(a, space)?;
    let include = a.int("count_include_pad", 0) != 0;
    let mut counts = ArrayD::ones(IxDyn(&with_space(&[1, 1], window.outputs(space)?)));
    for (axis, (side, &extent)) in (2..).zip(window.sides.iter().zip(space)) {
        let (begin, end) = (side.begin, side.begin + extent);
        let (first, last) = if include { (0, end + side.end) } else { (begin, end) };
        for (at, mut windows) in counts.axis_iter_mut(Axis(axis)).enumerate() {
            // How many places of the kernel come before `limit`.
            let before = |limit: usize| limit.saturating_sub(at * side.stride).div_ceil(side.dilation).min(side.kernel);
            windows *= (before(last) - before(first)) as f64;
        }
    }
    Ok(counts)
}

fn to_points(_: &Attributes, x: &[Option<&Fact>]) -> Result<Vec<Fact>, Fault> {
    let input = fact(x, 0)?;
    let space = spatial(&input.shape)?;
    Ok(vec![Fact::new(input.dtype, with_space(&input.shape, vec![1; space.len()]))])
}

/// Folds all of space into one value a channel.
fn fold_space(x: &Tensor, f: impl Fn(ndarray::ArrayView1<f64>) -> f64) -> Result<Vec<Tensor>, Fault> {
    let space = spatial(x.shape())?;
    let (planes, places): (usize, usize) = (x.shape().iter().take(2).product(), space.iter().product());
    let flat = x.data.to_shape((planes, places)).map_err(|e| Fault::Invalid(e.to_string()))?;
    let values: Vec<f64> = flat.outer_iter().map(f).collect();
    Ok(vec![Tensor::new(x.dtype, &with_space(x.shape(), vec![1; space.len()]), values)?])
}

/// y = mean over all of space. Lin et al. 2013, arXiv:1312.4400.
const GLOBAL_AVERAGE_POOL: Card = Card {
    name: "GlobalAveragePool",
    never_negative: where_first,
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

fn power(a: &Attributes) -> Result<f64, Fault> {
    match a.int("p", 2) {
        p @ 1.. => Ok(p as f64),
        p => invalid(format!("the norm of the power {p}")),
    }
}

/// The cotangents of x and of Σ|x|ᵖ are joined by two factors, y¹⁻ᵖ and sign(x)·|x|ᵖ⁻¹, for y = (Σ|x|ᵖ)^(1/p): this is
/// the first times dy; where y is 0 it is 0.
fn by_norm<'g>(y: Value<'g>, dy: Value<'g>, p: f64) -> Value<'g> {
    if p == 1.0 { dy } else { y.where_gt(0.0, dy / raised(y, p - 1.0)) }
}

/// The second factor.
fn signed_power(x: Value<'_>, p: f64) -> Value<'_> {
    let (negative, zero) = (x.lt(x.scalar(0.0)), x.scalar(0.0));
    if p == 2.0 {
        return x;
    }
    let size = if p == 1.0 { x.scalar(1.0) } else { raised(negative.select(-x, x), p - 1.0) };
    negative.select(-size, x.gt(zero).select(size, zero))
}

fn raised(v: Value<'_>, p: f64) -> Value<'_> {
    if p == 1.0 { v } else { v.pow(v.scalar(p)) }
}

/// y = (Σ |x|ᵖ)^(1/p) over each window.
const LP_POOL: Card = Card {
    name: "LpPool",
    covers: |a| {
        power(a)?;
        Window::covers(a)
    },
    shape: AVERAGE_POOL.shape,
    eval: |a, x| {
        let p = power(a)?;
        let norm = |_: usize, met: &[Met]| met.iter().map(|(_, v)| v.abs().powf(p)).sum::<f64>().powf(1.0 / p);
        Ok(vec![each_window(a, tensor(x, 0)?, norm)?])
    },
    vjp: Some(|s| {
        let (x, p) = (s.x(0)?, power(&s.attributes)?);
        let sizes = x.sizes();
        let window = Window::of_pool(&s.attributes, spatial(&sizes)?)?;
        Ok(vec![Some(spread(planes(by_norm(s.y()?, s.full_dy()?, p)), x, &window)? * signed_power(x, p))])
    }),
    cases: || {
        let base = || case().x(&[2, 3, 6, 5]).set("kernel_shape", [2, 3]);
        vec![
            base().set("strides", [2, 2]).opset(11),
            base().set("p", 1).set("pads", [1, 1, 0, 1]),
            base().set("p", 3).set("auto_pad", "SAME_UPPER"),
            base().set("p", 4).set("ceil_mode", 1).set("strides", [2, 3]).set("dilations", [2, 1]).opset(18),
            case().x(&[1, 2, 9]).set("kernel_shape", [3]).set("strides", [2]),
        ]
    },
    ..POOL
};

/// y = (Σ |x|ᵖ)^(1/p) over all of space.
const GLOBAL_LP_POOL: Card = Card {
    name: "GlobalLpPool",
    covers: |a| power(a).map(drop),
    shape: to_points,
    eval: |a, x| {
        let p = power(a)?;
        fold_space(tensor(x, 0)?, |plane| plane.iter().map(|v| v.abs().powf(p)).sum::<f64>().powf(1.0 / p))
    },
    vjp: Some(|s| {
        let (x, p) = (s.x(0)?, power(&s.attributes)?);
        Ok(vec![Some(by_norm(s.y()?, s.dy()?, p) * signed_power(x, p))])
    }),
    cases: || vec![case().x(&[2, 3, 4, 5]), case().x(&[2, 3, 6]).set("p", 1), case().x(&[1, 2, 2, 3, 4]).set("p", 3)],
    ..POOL
};

/// y = max over all of space; the cotangent goes to the first place that attains it.
const GLOBAL_MAX_POOL: Card = Card {
    name: "GlobalMaxPool",
    never_negative: where_first,
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
