//! Moving, renaming, cutting and joining values, and the integer chains that exporters write around a Reshape.

use super::{Card, Kind, Layout, affine, case, fact, ints_in, ints_of, tensor};
use crate::build::Value;
use crate::error::{Fault, invalid, unsupported};
use crate::graph::{Attributes, axis};
use crate::shape::{Dim, Fact};
use crate::tensor::{DataType, Tensor};
use ndarray::{ArrayD, Axis, IxDyn, Slice as Cut};

/// The cards of this family.
pub const CARDS: &[Card] = &[
    CONCAT,
    CONSTANT,
    CONSTANT_OF_SHAPE,
    EXPAND,
    FLATTEN,
    PAD,
    RANGE,
    RESHAPE,
    SHAPE,
    SIZE,
    SLICE,
    SPLIT,
    SQUEEZE,
    TILE,
    TRANSPOSE,
    UNSQUEEZE,
];

/// A value of more elements than this is not made while shapes are inferred, whatever a file asks for.
const LARGEST: usize = 1 << 31;

fn checked(shape: &[i64]) -> Result<Vec<usize>, Fault> {
    let sizes: Option<Vec<usize>> = shape.iter().map(|&n| usize::try_from(n).ok()).collect();
    let count = sizes.as_ref().and_then(|s| s.iter().try_fold(1usize, |p, &n| p.checked_mul(n)));
    match (sizes, count) {
        (Some(sizes), Some(count)) if count <= LARGEST => Ok(sizes),
        _ => invalid(format!("the shape {shape:?}")),
    }
}

fn reshaped(t: &Tensor, shape: &[usize]) -> Result<Tensor, Fault> {
    match t.data.to_shape(IxDyn(shape)) {
        Ok(data) => Ok(Tensor { dtype: t.dtype, data: data.to_owned() }),
        Err(_) => invalid(format!("the shape {:?} does not hold what {shape:?} does", t.shape())),
    }
}

/// A card whose values stay and whose shape changes: the rule is a Reshape back.
const RENAMING: Card = Card {
    vjp: Some(|s| {
        let (x, y, dy) = (s.x(0)?.dims(), s.y()?, s.dy()?);
        // A cotangent of one row for the whole batch stays one row where the batch axis stays.
        let row = dy.dims().first() == Some(&Dim::Fixed(1)) && y.dims().first() != Some(&Dim::Fixed(1));
        if row && x.first() == y.dims().first() && dy.dims().get(1..) == y.dims().get(1..) {
            return Ok(vec![Some(dy.reshape(&[&[Dim::Fixed(1)], x.get(1..).unwrap_or(&[])].concat())), None]);
        }
        Ok(vec![Some(s.full_dy()?.reshape(&x)), None])
    }),
    linearity: affine,
    layout: Layout::Other,
    kind: Kind::Movement,
    ..Card::BASE
};

fn target(a: &Attributes, x: &[usize], shape: &[i64]) -> Result<Vec<usize>, Fault> {
    let count: usize = x.iter().product();
    let zero = a.int("allowzero", 0) != 0;
    let mut sizes = Vec::with_capacity(shape.len());
    for (i, &n) in shape.iter().enumerate() {
        sizes.push(match n {
            0 if !zero => match x.get(i) {
                Some(&n) => n as i64,
                None => return invalid(format!("a shape {shape:?} that copies axis {i} of {x:?}")),
            },
            n => n,
        });
    }
    let known: i64 = sizes.iter().filter(|&&n| n != -1).try_fold(1i64, |p, &n| p.checked_mul(n)).unwrap_or(-1);
    match sizes.iter().filter(|&&n| n == -1).count() {
        0 => {}
        1 if known > 0 && count as i64 % known == 0 => {
            sizes.iter_mut().filter(|n| **n == -1).for_each(|n| *n = count as i64 / known)
        }
        _ => return invalid(format!("the shape {x:?} cannot become {shape:?}")),
    }
    let sizes = checked(&sizes)?;
    if sizes.iter().product::<usize>() == count {
        Ok(sizes)
    } else {
        invalid(format!("the shape {x:?} cannot become {shape:?}"))
    }
}

const RESHAPE: Card = Card {
    name: "Reshape",
    shape: |a, x| {
        let input = fact(x, 0)?;
        let shape = ints_of(a, "shape", x, 1)?.ok_or_else(|| Fault::Invalid("no shape is given".into()))?;
        Ok(vec![Fact::new(input.dtype, target(a, &input.shape, &shape)?)])
    },
    eval: |a, x| {
        let input = tensor(x, 0)?;
        let shape = ints_in(a, "shape", x, 1).unwrap_or_default();
        Ok(vec![reshaped(input, &target(a, input.shape(), &shape)?)?])
    },
    cases: || {
        vec![
            case().x(&[2, 3, 4]).list(&[2, 12]),
            case().x(&[2, 3, 4]).list(&[0, -1]),
            case().x(&[2, 3, 4]).list(&[4, 3, 2]),
        ]
    },
    ..RENAMING
};

fn flattened(a: &Attributes, x: &[usize]) -> Result<[usize; 2], Fault> {
    let at = match a.int("axis", 1) {
        at if at == x.len() as i64 => x.len(),
        at => axis(at, x.len())?,
    };
    Ok([x[..at].iter().product(), x[at..].iter().product()])
}

const FLATTEN: Card = Card {
    name: "Flatten",
    shape: |a, x| {
        let input = fact(x, 0)?;
        Ok(vec![Fact::new(input.dtype, flattened(a, &input.shape)?)])
    },
    eval: |a, x| {
        let input = tensor(x, 0)?;
        Ok(vec![reshaped(input, &flattened(a, input.shape())?)?])
    },
    cases: || vec![case().x(&[2, 3, 4]), case().x(&[2, 3, 4]).set("axis", 2), case().x(&[2, 3]).set("axis", 0)],
    ..RENAMING
};

fn squeezed(x: &[usize], axes: Option<Vec<i64>>) -> Result<Vec<usize>, Fault> {
    let gone: Vec<usize> = match axes {
        Some(axes) => axes.iter().map(|&a| axis(a, x.len())).collect::<Result<_, _>>()?,
        None => (0..x.len()).filter(|&i| x[i] == 1).collect(),
    };
    match gone.iter().find(|&&i| x[i] != 1) {
        Some(i) => invalid(format!("axis {i} of {x:?} is not 1")),
        None => Ok((0..x.len()).filter(|i| !gone.contains(i)).map(|i| x[i]).collect()),
    }
}

const SQUEEZE: Card = Card {
    name: "Squeeze",
    shape: |a, x| {
        let input = fact(x, 0)?;
        Ok(vec![Fact::new(input.dtype, squeezed(&input.shape, ints_of(a, "axes", x, 1)?)?)])
    },
    eval: |a, x| {
        let input = tensor(x, 0)?;
        Ok(vec![reshaped(input, &squeezed(input.shape(), ints_in(a, "axes", x, 1))?)?])
    },
    cases: || {
        vec![
            case().x(&[2, 1, 4, 1]).list(&[1, -1]),
            case().x(&[2, 1, 4]),
            case().x(&[2, 1, 4]).set("axes", [1]).opset(11),
        ]
    },
    ..RENAMING
};

fn unsqueezed(x: &[usize], axes: &[i64]) -> Result<Vec<usize>, Fault> {
    let rank = x.len() + axes.len();
    let new = axes.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<_>, _>>()?;
    let mut old = x.iter();
    let shape: Vec<usize> =
        (0..rank).map(|i| if new.contains(&i) { 1 } else { old.next().copied().unwrap_or(1) }).collect();
    if old.next().is_some() { invalid(format!("the axes {axes:?} repeat")) } else { Ok(shape) }
}

const UNSQUEEZE: Card = Card {
    name: "Unsqueeze",
    shape: |a, x| {
        let input = fact(x, 0)?;
        let axes = ints_of(a, "axes", x, 1)?.ok_or_else(|| Fault::Invalid("no axes are given".into()))?;
        Ok(vec![Fact::new(input.dtype, unsqueezed(&input.shape, &axes)?)])
    },
    eval: |a, x| {
        let input = tensor(x, 0)?;
        Ok(vec![reshaped(input, &unsqueezed(input.shape(), &ints_in(a, "axes", x, 1).unwrap_or_default())?)?])
    },
    cases: || vec![case().x(&[2, 3]).list(&[0, -1]), case().x(&[2, 3]).set("axes", [1]).opset(11)],
    ..RENAMING
};

fn permutation(a: &Attributes, rank: usize) -> Result<Vec<usize>, Fault> {
    let Some(perm) = a.ints("perm") else { return Ok((0..rank).rev().collect()) };
    let perm: Vec<usize> = perm.iter().map(|&p| axis(p, rank)).collect::<Result<_, _>>()?;
    let mut sorted = perm.clone();
    sorted.sort_unstable();
    if sorted.iter().copied().eq(0..rank) { Ok(perm) } else { invalid(format!("perm {perm:?} for {rank} axes")) }
}

const TRANSPOSE: Card = Card {
    name: "Transpose",
    shape: |a, x| {
        let input = fact(x, 0)?;
        let shape: Vec<usize> = permutation(a, input.shape.len())?.iter().map(|&p| input.shape[p]).collect();
        Ok(vec![Fact::new(input.dtype, shape)])
    },
    eval: |a, x| {
        let input = tensor(x, 0)?;
        let perm = permutation(a, input.shape().len())?;
        let data = input.data.clone().permuted_axes(IxDyn(&perm)).as_standard_layout().into_owned();
        Ok(vec![Tensor { dtype: input.dtype, data }])
    },
    vjp: Some(|s| {
        let perm = permutation(&s.attributes, s.x(0)?.rank())?;
        let mut inverse = vec![0; perm.len()];
        perm.iter().enumerate().for_each(|(to, &from)| inverse[from] = to);
        Ok(vec![Some(s.dy()?.with_rank(perm.len()).transpose(&inverse))])
    }),
    linearity: affine,
    layout: Layout::Permuted,
    kind: Kind::Movement,
    cases: || vec![case().x(&[2, 3, 4]).set("perm", [2, 0, 1]), case().x(&[2, 3, 4])],
    ..Card::BASE
};

const CONCAT: Card = Card {
    name: "Concat",
    shape: |a, x| {
        let first = fact(x, 0)?;
        let at = axis(a.int("axis", 1), first.shape.len())?;
        let mut shape = first.shape.clone();
        shape[at] = 0;
        for part in x.iter().flatten() {
            let fits =
                part.shape.len() == shape.len() && (0..shape.len()).all(|i| i == at || part.shape[i] == shape[i]);
            if !fits {
                return invalid(format!(
                    "the shapes {:?} and {:?} cannot be joined along axis {at}",
                    first.shape, part.shape
                ));
            }
            shape[at] += part.shape[at];
        }
        Ok(vec![Fact::new(first.dtype, shape)])
    },
    eval: |a, x| {
        let first = tensor(x, 0)?;
        let at = axis(a.int("axis", 1), first.shape().len())?;
        let parts: Vec<_> = x.iter().flatten().map(|t| t.data.view()).collect();
        let data = ndarray::concatenate(Axis(at), &parts).map_err(|e| Fault::Invalid(e.to_string()))?;
        Ok(vec![Tensor { dtype: first.dtype, data }])
    },
    vjp: Some(|s| {
        let y = s.y()?;
        let at = y.axis(s.attributes.int("axis", 1))?;
        let dy = s.dy()?;
        let dy = if dy.dims().get(at) == y.dims().get(at) { dy } else { s.full_dy()? };
        let mut start = 0;
        let part = |v: &Option<Value>| {
            let Some(v) = v else { return Ok(None) };
            let Some(Dim::Fixed(n)) = v.dims().get(at).copied() else {
                return unsupported("joining along the batch axis");
            };
            let from = start as i64;
            start += n;
            Ok(Some((from, start as i64)))
        };
        let ranges: Vec<Option<(i64, i64)>> = s.x.iter().map(part).collect::<Result<_, _>>()?;
        Ok(ranges.into_iter().map(|r| r.map(|(from, to)| dy.slice(at, from, to, 1))).collect())
    }),
    linearity: affine,
    kind: Kind::Join,
    cases: || {
        vec![case().x(&[2, 3, 4]).x(&[2, 2, 4]).set("axis", 1), case().x(&[2, 3]).w(&[2, 1]).x(&[2, 2]).set("axis", -1)]
    },
    ..Card::BASE
};

/// The extents of the parts of a Split.
fn parts(a: &Attributes, extent: usize, given: Option<Vec<i64>>) -> Result<Vec<usize>, Fault> {
    let count = a.node.output.len().max(1);
    let sizes = match given {
        Some(list) => checked(&list)?,
        None => {
            let size = extent.div_ceil(count);
            (0..count).map(|i| size.min(extent.saturating_sub(i * size))).collect()
        }
    };
    if sizes.iter().sum::<usize>() == extent && sizes.len() == count {
        Ok(sizes)
    } else {
        invalid(format!("{extent} places in {count} parts of {sizes:?}"))
    }
}

const SPLIT: Card = Card {
    name: "Split",
    shape: |a, x| {
        let input = fact(x, 0)?;
        let at = axis(a.int("axis", 0), input.shape.len())?;
        let sizes = parts(a, input.shape[at], ints_of(a, "split", x, 1)?)?;
        let one = |n: usize| {
            let mut shape = input.shape.clone();
            shape[at] = n;
            Fact::new(input.dtype, shape)
        };
        Ok(sizes.into_iter().map(one).collect())
    },
    eval: |a, x| {
        let input = tensor(x, 0)?;
        let at = axis(a.int("axis", 0), input.shape().len())?;
        let mut start = 0;
        let one = |n: usize| {
            let data = input.data.slice_axis(Axis(at), Cut::from(start..start + n)).to_owned();
            start += n;
            Tensor { dtype: input.dtype, data }
        };
        Ok(parts(a, input.shape()[at], ints_in(a, "split", x, 1))?.into_iter().map(one).collect())
    },
    vjp: Some(|s| {
        let at = s.x(0)?.axis(s.attributes.int("axis", 0))?;
        let pieces: Vec<Value> =
            s.y.iter()
                .zip(&s.dy)
                .map(|(y, dy)| match dy {
                    Some(dy) => dy.expand_as(*y),
                    None => y.zeros_like(),
                })
                .collect();
        Ok(vec![Value::concat(&pieces, at), None])
    }),
    linearity: affine,
    cases: || {
        vec![
            case().x(&[2, 6]).set("axis", 1).outputs(2),
            case().x(&[2, 6]).list(&[1, 3, 2]).set("axis", -1).outputs(3),
            case().x(&[4, 3]).set("split", [1, 3]).opset(11).outputs(2),
        ]
    },
    ..Card::BASE
};

/// One axis of a Slice, with bounds inside the extent.
struct Range {
    axis: usize,
    start: i64,
    step: i64,
    count: usize,
}

fn ranges(
    shape: &[usize],
    starts: &[i64],
    ends: &[i64],
    axes: Option<Vec<i64>>,
    steps: Option<Vec<i64>>,
) -> Result<Vec<Range>, Fault> {
    let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
    if starts.len() != ends.len() || starts.len() != axes.len() || starts.len() != steps.len() {
        return invalid(format!(
            "{} starts, {} ends, {} axes, {} steps",
            starts.len(),
            ends.len(),
            axes.len(),
            steps.len()
        ));
    }
    let one = |i: usize| {
        let at = axis(axes[i], shape.len())?;
        let (extent, step) = (shape[at] as i64, steps[i]);
        if step == 0 {
            return invalid("a step of 0");
        }
        let from_end = |v: i64| if v < 0 { v.saturating_add(extent) } else { v };
        let (low, high) = if step > 0 { (0, extent) } else { (-1, extent - 1) };
        let start = from_end(starts[i]).clamp(low.max(0), high.max(0));
        let end = from_end(ends[i]).clamp(low, high);
        let span = if step > 0 { end - start } else { start - end };
        let count = if extent == 0 || span <= 0 { 0 } else { (span as u64).div_ceil(step.unsigned_abs()) as usize };
        Ok(Range { axis: at, start, step, count })
    };
    (0..starts.len()).map(one).collect()
}

fn slice_ranges(
    shape: &[usize],
    list: impl Fn(usize, &str) -> Result<Option<Vec<i64>>, Fault>,
) -> Result<Vec<Range>, Fault> {
    let needed = |i: usize, name: &str| list(i, name)?.ok_or_else(|| Fault::Invalid(format!("{name} are missing")));
    ranges(shape, &needed(1, "starts")?, &needed(2, "ends")?, list(3, "axes")?, list(4, "steps")?)
}

const SLICE: Card = Card {
    name: "Slice",
    shape: |a, x| {
        let input = fact(x, 0)?;
        let mut shape = input.shape.clone();
        for r in slice_ranges(&input.shape, |i, name| ints_of(a, name, x, i))? {
            shape[r.axis] = r.count;
        }
        Ok(vec![Fact::new(input.dtype, shape)])
    },
    eval: |a, x| {
        let input = tensor(x, 0)?;
        let mut data = input.data.clone();
        for r in slice_ranges(input.shape(), |i, name| Ok(ints_in(a, name, x, i)))? {
            let places: Vec<usize> = (0..r.count).map(|k| (r.start + k as i64 * r.step) as usize).collect();
            data = data.select(Axis(r.axis), &places);
        }
        Ok(vec![Tensor { dtype: input.dtype, data }])
    },
    vjp: Some(|s| {
        let x = s.x(0)?;
        let sizes = x.sizes();
        let list = |i: usize, name: &str| match (s.attributes.ints(name), s.x.get(i).copied().flatten()) {
            (Some(list), _) => Ok(Some(list.to_vec())),
            (None, None) => Ok(None),
            (None, Some(v)) => match v.known() {
                Some(t) => Ok(Some(t.to_ints())),
                None => unsupported(format!("{name} that are only known at run time")),
            },
        };
        let mut d = s.full_dy()?;
        for r in slice_ranges(&sizes, list)? {
            if matches!(x.dims().get(r.axis), Some(Dim::Batch(_))) {
                return unsupported("a Slice of the batch axis");
            }
            d = unsliced(d, &r, sizes[r.axis]);
        }
        Ok(vec![Some(d)])
    }),
    linearity: affine,
    cases: || {
        vec![
            case().x(&[2, 6, 5]).list(&[1]).list(&[4]).list(&[1]),
            case().x(&[2, 7, 5]).list(&[1, -4]).list(&[7, i64::MAX]).list(&[1, 2]).list(&[2, 3]),
            case().x(&[2, 7]).list(&[-1]).list(&[i64::MIN]).list(&[1]).list(&[-2]),
            case().x(&[4, 3]).set("starts", [1]).set("ends", [-1]).set("axes", [0]).opset(9),
        ]
    },
    ..Card::BASE
};

/// The transpose of a Slice along one axis of `extent` places: zeros between, before and after.
fn unsliced<'g>(d: Value<'g>, r: &Range, extent: usize) -> Value<'g> {
    let (at, rank, step) = (r.axis, d.rank(), r.step.unsigned_abs() as usize);
    let mut d = d;
    let mut first = r.start;
    if r.step < 0 {
        // Turned round, the slice starts at its last place and goes forward.
        d = d.slices(&[at], &[-1], &[i64::MIN], &[-1]);
        first = r.start + (r.count as i64 - 1) * r.step;
    }
    let mut covered = r.count;
    if step > 1 {
        let dims = d.dims();
        let (lead, tail) = (dims.get(..=at).unwrap_or(&[]), dims.get(at + 1..).unwrap_or(&[]));
        let spread = d.reshape(&[lead, &[Dim::Fixed(1)], tail].concat());
        let mut gap = vec![0; rank + 1];
        gap[at + 1] = step as i64 - 1;
        let mut joined = dims.clone();
        joined[at] = Dim::Fixed(r.count * step);
        let spread = spread.pad(&vec![0; rank + 1], &gap, 0.0).reshape(&joined);
        covered = (r.count * step).min(extent - first as usize);
        d = spread.slice(at, 0, covered as i64, 1);
    }
    let (mut begin, mut end) = (vec![0; rank], vec![0; rank]);
    begin[at] = first;
    end[at] = extent as i64 - first - covered as i64;
    d.pad(&begin, &end, 0.0)
}

/// The pads of each axis of a value of rank `rank`.
fn pad_sizes(rank: usize, pads: &[i64], axes: Option<Vec<i64>>) -> Result<Vec<(i64, i64)>, Fault> {
    let axes: Vec<usize> = match axes {
        Some(axes) => axes.iter().map(|&a| axis(a, rank)).collect::<Result<_, _>>()?,
        None => (0..rank).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return invalid(format!("{} pads for {} axes", pads.len(), axes.len()));
    }
    let mut sizes = vec![(0, 0); rank];
    axes.iter().enumerate().for_each(|(i, &a)| sizes[a] = (pads[i], pads[axes.len() + i]));
    Ok(sizes)
}

fn span(start: i64, end: i64) -> Cut {
    Cut::new(start as isize, Some(end as isize), 1)
}

const PAD: Card = Card {
    name: "Pad",
    shape: |a, x| {
        let input = fact(x, 0)?;
        let pads = ints_of(a, "pads", x, 1)?.ok_or_else(|| Fault::Invalid("no pads are given".into()))?;
        let sizes = pad_sizes(input.shape.len(), &pads, super::known_ints(x, 3)?)?;
        let fits =
            |(&n, &(b, e)): (&usize, &(i64, i64))| (n as i64).saturating_add(b.min(0)).saturating_add(e.min(0)) >= 0;
        if !input.shape.iter().zip(&sizes).all(fits) {
            return invalid(format!("pads {pads:?} cut away more than {:?} holds", input.shape));
        }
        let shape: Vec<i64> = input
            .shape
            .iter()
            .zip(&sizes)
            .map(|(&n, (b, e))| (n as i64).saturating_add(*b).saturating_add(*e))
            .collect();
        Ok(vec![Fact::new(input.dtype, checked(&shape)?)])
    },
    eval: |a, x| {
        if a.string("mode", "constant") != "constant" {
            return unsupported(format!("padding of mode {:?}", a.string("mode", "constant")));
        }
        let input = tensor(x, 0)?;
        let pads = ints_in(a, "pads", x, 1).unwrap_or_default();
        let value = x.get(2).copied().flatten().and_then(Tensor::scalar).unwrap_or(a.float("value", 0.0));
        let sizes = pad_sizes(input.shape().len(), &pads, x.get(3).copied().flatten().map(Tensor::to_ints))?;
        let shape: Vec<i64> = input.shape().iter().zip(&sizes).map(|(&n, (b, e))| n as i64 + b + e).collect();
        let mut data = ArrayD::from_elem(IxDyn(&checked(&shape)?), value);
        let mut from = input.data.view();
        let mut to = data.view_mut();
        for (i, &(b, e)) in sizes.iter().enumerate() {
            from.slice_axis_inplace(Axis(i), span((-b).max(0), input.shape()[i] as i64 - (-e).max(0)));
            to.slice_axis_inplace(Axis(i), span(b.max(0), shape[i] - e.max(0)));
        }
        to.assign(&from);
        Ok(vec![Tensor { dtype: input.dtype, data }])
    },
    vjp: Some(|s| {
        if s.attributes.string("mode", "constant") != "constant" {
            return unsupported(format!("padding of mode {:?}", s.attributes.string("mode", "constant")));
        }
        let x = s.x(0)?;
        let known = |i: usize| match s.x.get(i).copied().flatten() {
            None => Ok(None),
            Some(v) => v
                .known()
                .map(|t| Some(t.to_ints()))
                .ok_or_else(|| Fault::Unsupported("pads that are only known at run time".into())),
        };
        let pads = match s.attributes.ints("pads") {
            Some(pads) => pads.to_vec(),
            None => known(1)?.unwrap_or_default(),
        };
        let mut d = s.full_dy()?;
        let rank = x.rank();
        let sizes = pad_sizes(rank, &pads, known(3)?)?;
        for (at, &(b, e)) in sizes.iter().enumerate().filter(|(_, p)| **p != (0, 0)) {
            let Some(Dim::Fixed(extent)) = d.dims().get(at).copied() else {
                return unsupported("padding of the batch axis");
            };
            d = d.slice(at, b.max(0), extent as i64 - e.max(0), 1);
            // What a negative pad cut away gets no cotangent.
            let (mut begin, mut end) = (vec![0; rank], vec![0; rank]);
            (begin[at], end[at]) = ((-b).max(0), (-e).max(0));
            d = d.pad(&begin, &end, 0.0);
        }
        Ok(vec![Some(d)])
    }),
    linearity: affine,
    limits: "mode constant",
    cases: || {
        vec![
            case().x(&[2, 3, 4]).list(&[0, 1, 2, 0, 0, 1]).scalar(0.5),
            case().x(&[2, 3, 6]).list(&[0, 1, -2, 0, 0, -1]),
            case().x(&[2, 3, 4]).list(&[1, 2]).scalar(0.0).list(&[-1]).opset(18),
            case().x(&[2, 3]).set("pads", [0, 1, 0, 1]).set("value", 2.0f32).opset(10),
        ]
    },
    ..Card::BASE
};

const EXPAND: Card = Card {
    name: "Expand",
    shape: |a, x| {
        let input = fact(x, 0)?;
        let shape = ints_of(a, "shape", x, 1)?.ok_or_else(|| Fault::Invalid("no shape is given".into()))?;
        let out = super::arithmetic::broadcast(&[&input.shape, &checked(&shape)?])?;
        checked(&out.iter().map(|&n| n as i64).collect::<Vec<_>>())?;
        Ok(vec![Fact::new(input.dtype, out)])
    },
    eval: |_, x| {
        let input = tensor(x, 0)?;
        let shape = super::arithmetic::broadcast(&[input.shape(), &checked(&tensor(x, 1)?.to_ints())?])?;
        Ok(vec![Tensor { dtype: input.dtype, data: super::arithmetic::stretch(input, &shape)? }])
    },
    vjp: Some(|s| Ok(vec![Some(s.unbroadcast(s.dy()?, 0)?), None])),
    linearity: affine,
    kind: Kind::Movement,
    cases: || vec![case().x(&[2, 1, 4]).list(&[2, 3, 1]), case().x(&[3]).list(&[2, 3])],
    ..Card::BASE
};

const TILE: Card = Card {
    name: "Tile",
    shape: |a, x| {
        let input = fact(x, 0)?;
        let times = ints_of(a, "repeats", x, 1)?.unwrap_or_default();
        if times.len() != input.shape.len() {
            return invalid(format!("{} repeats for {} axes", times.len(), input.shape.len()));
        }
        let shape: Vec<i64> = input.shape.iter().zip(&times).map(|(&n, &t)| (n as i64).saturating_mul(t)).collect();
        Ok(vec![Fact::new(input.dtype, checked(&shape)?)])
    },
    eval: |a, x| {
        let input = tensor(x, 0)?;
        let mut data = input.data.clone();
        for (i, times) in ints_in(a, "repeats", x, 1).unwrap_or_default().into_iter().enumerate() {
            let places: Vec<usize> = (0..times.max(0)).flat_map(|_| 0..data.len_of(Axis(i))).collect();
            data = data.select(Axis(i), &places);
        }
        Ok(vec![Tensor { dtype: input.dtype, data }])
    },
    linearity: affine,
    cases: || vec![case().w(&[2, 3]).list(&[1, 2])],
    ..Card::BASE
};

/// The cards that make integers: evaluated while shapes are inferred, never differentiated.
const INTEGERS: Card = Card { linearity: affine, layout: Layout::Other, kind: Kind::Movement, ..Card::BASE };

/// The shape of a value, as far as `start` and `end` ask for it.
fn shape_of(a: &Attributes, shape: &[usize]) -> Tensor {
    let rank = shape.len() as i64;
    let clip = |v: i64| if v < 0 { v.saturating_add(rank) } else { v }.clamp(0, rank) as usize;
    let (start, end) = (clip(a.int("start", 0)), clip(a.int("end", rank)));
    Tensor::ints(&shape.get(start..end).unwrap_or(&[]).iter().map(|&n| n as i64).collect::<Vec<_>>())
}

const SHAPE: Card = Card {
    name: "Shape",
    shape: |a, x| Ok(vec![Fact::constant(shape_of(a, &fact(x, 0)?.shape))]),
    eval: |a, x| Ok(vec![shape_of(a, tensor(x, 0)?.shape())]),
    cases: || vec![case().w(&[2, 3, 4]), case().w(&[2, 3, 4]).set("start", 1)],
    ..INTEGERS
};

const SIZE: Card = Card {
    name: "Size",
    shape: |_, x| {
        Ok(vec![Fact::constant(Tensor {
            dtype: DataType::Int64,
            data: ndarray::arr0(fact(x, 0)?.shape.iter().product::<usize>() as f64).into_dyn(),
        })])
    },
    eval: |_, x| {
        Ok(vec![Tensor { dtype: DataType::Int64, data: ndarray::arr0(tensor(x, 0)?.data.len() as f64).into_dyn() }])
    },
    cases: || vec![case().w(&[2, 3, 4])],
    ..INTEGERS
};

fn constant_value(a: &Attributes) -> Result<Tensor, Fault> {
    if let Some(t) = a.tensor("value")? {
        return Ok(t);
    }
    let float = |v: Vec<f64>, shape: &[usize]| Tensor::new(DataType::Float, shape, v);
    if let Some(v) = a.get("value_float").and_then(|v| v.f) {
        return float(vec![v.into()], &[]);
    }
    if let Some(v) = a.get("value_floats") {
        return float(v.floats.iter().map(|&v| v.into()).collect(), &[v.floats.len()]);
    }
    if let Some(v) = a.get("value_int").and_then(|v| v.i) {
        return Tensor::new(DataType::Int64, &[], vec![v as f64]);
    }
    match a.ints("value_ints") {
        Some(v) => Ok(Tensor::ints(v)),
        None => unsupported("a constant of strings or of sparse values"),
    }
}

const CONSTANT: Card = Card {
    name: "Constant",
    shape: |a, _| {
        let value = constant_value(a)?;
        let small = value.data.len() <= 1 << 16;
        Ok(vec![if small { Fact::constant(value) } else { Fact::new(value.dtype, value.shape().to_vec()) }])
    },
    eval: |a, _| Ok(vec![constant_value(a)?]),
    ..INTEGERS
};

const CONSTANT_OF_SHAPE: Card = Card {
    name: "ConstantOfShape",
    shape: |a, x| {
        let shape = super::known_ints(x, 0)?.ok_or_else(|| Fault::Invalid("no shape is given".into()))?;
        let dtype = a.tensor("value")?.map_or(DataType::Float, |t| t.dtype);
        Ok(vec![Fact::new(dtype, checked(&shape)?)])
    },
    eval: |a, x| {
        let value = a.tensor("value")?;
        let shape = checked(&tensor(x, 0)?.to_ints())?;
        let fill = value.as_ref().and_then(Tensor::scalar).unwrap_or(0.0);
        Ok(vec![Tensor {
            dtype: value.map_or(DataType::Float, |t| t.dtype),
            data: ArrayD::from_elem(IxDyn(&shape), fill),
        }])
    },
    cases: || vec![case().list(&[2, 3])],
    ..INTEGERS
};

fn range_values(start: f64, limit: f64, step: f64) -> Result<Vec<f64>, Fault> {
    let count = ((limit - start) / step).ceil().max(0.0);
    if step == 0.0 || !count.is_finite() || count > 65_536.0 {
        return invalid(format!("the range from {start} to {limit} by {step}"));
    }
    Ok((0..count as usize).map(|i| start + i as f64 * step).collect())
}

const RANGE: Card = Card {
    name: "Range",
    shape: |_, x| {
        let value = |i: usize| {
            fact(x, i)?
                .value
                .as_deref()
                .and_then(Tensor::scalar)
                .ok_or_else(|| Fault::Unsupported("a range that is only known at run time".into()))
        };
        let values = range_values(value(0)?, value(1)?, value(2)?)?;
        Ok(vec![Fact::constant(Tensor::new(fact(x, 0)?.dtype, &[values.len()], values)?)])
    },
    eval: |_, x| {
        let value = |i: usize| tensor(x, i)?.scalar().ok_or_else(|| Fault::Invalid("a range needs scalars".into()));
        let values = range_values(value(0)?, value(1)?, value(2)?)?;
        Ok(vec![Tensor::new(tensor(x, 0)?.dtype, &[values.len()], values)?])
    },
    ..INTEGERS
};

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::onnx::NodeProto;

    fn sliced(n: i64, start: i64, end: i64, step: i64) -> Vec<i64> {
        let x = Tensor::ints(&(0..n).collect::<Vec<_>>());
        let lists = [&[start][..], &[end], &[0], &[step]].map(Tensor::ints);
        let inputs: Vec<Option<&Tensor>> = [&x].into_iter().chain(&lists).map(Some).collect();
        let node = NodeProto::default();
        (SLICE.eval)(&Attributes { node: &node, opset: 17 }, &inputs).unwrap()[0].to_ints()
    }

    #[test]
    fn slices_clamp_as_onnx_says() {
        assert_eq!(sliced(5, 1, i64::MAX, 2), [1, 3]);
        assert_eq!(sliced(5, -2, 100, 1), [3, 4]);
        assert_eq!(sliced(5, -1, i64::MIN, -2), [4, 2, 0]);
        assert_eq!(sliced(5, 3, 1, 1), [0i64; 0]);
        assert_eq!(sliced(5, 100, -100, -1), [4, 3, 2, 1, 0]);
    }
}
