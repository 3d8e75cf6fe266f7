//! Renaming, rearranging, repeating and joining values.

use super::{
    Along, Card, Entries, Layout, Role, affine, apart, case, channels_first, degree_of_all, degree_of_first, fact,
    ints_in, ints_of, tensor, where_all, where_first,
};
use crate::build::Value;
use crate::error::{Fault, invalid, unsupported};
use crate::graph::{Attributes, around, axis, extent, extents, standard, with_extent};
use crate::onnx::elements;
use crate::onnx::messages::NodeProto;
use crate::shape::{Dim, Fact};
use crate::tensor::Tensor;
use ndarray::{Axis, IxDyn, Slice as Cut};
use std::ops::Range;

/// The cards of this family.
pub const CARDS: &[Card] =
    &[CONCAT, DEPTH_TO_SPACE, EXPAND, FLATTEN, RESHAPE, SPACE_TO_DEPTH, SPLIT, SQUEEZE, TILE, TRANSPOSE, UNSQUEEZE];

pub(super) fn checked(shape: &[i64]) -> Result<Vec<usize>, Fault> {
    let sizes: Option<Vec<usize>> = shape.iter().map(|&n| usize::try_from(n).ok()).collect();
    match sizes.filter(|s| elements(s).is_ok()) {
        Some(sizes) => Ok(sizes),
        None => invalid(format!("the shape {shape:?}")),
    }
}

fn reshaped(t: &Tensor, shape: &[usize]) -> Result<Tensor, Fault> {
    match t.data.to_shape(IxDyn(shape)) {
        Ok(data) => Ok(Tensor { dtype: t.dtype, data: data.to_owned() }),
        Err(_) => invalid(format!("the shape {:?} does not hold what {shape:?} does", t.shape())),
    }
}

/// The axes of two shapes of the same values, in runs from the left: those of one run hold the same entries, in the same order. Axes that do not
/// come out even make one run together.
fn runs(x: &[Dim], y: &[Dim]) -> Vec<(Range<usize>, Range<usize>)> {
    let whole = || vec![(0..x.len(), 0..y.len())];
    // How many entries the axes hold for one image, and how often the batch stands among them.
    let grown = |(n, batches): (usize, usize), dim: &Dim| match dim {
        Dim::Fixed(by) => Some((n.checked_mul(*by)?, batches)),
        Dim::Batch(by) => Some((n.checked_mul(*by)?, batches + 1)),
    };
    let (mut all, mut start, mut end) = (Vec::new(), (0, 0), (0, 0));
    let (mut of_x, mut of_y) = ((1, 0), (1, 0));
    loop {
        let at_start = end == start;
        if of_x == of_y && !at_start {
            all.push((start.0..end.0, start.1..end.1));
            (start, of_x, of_y) = (end, (1, 0), (1, 0));
        }
        let x_is_behind = of_x.1 < of_y.1 || of_x.1 == of_y.1 && of_x.0 <= of_y.0;
        let grow = match (x.get(end.0), y.get(end.1)) {
            (None, None) => break,
            (Some(dim), _) if x_is_behind || end.1 == y.len() => {
                grown(of_x, dim).map(|n| (of_x, end.0) = (n, end.0 + 1))
            }
            (_, Some(dim)) => grown(of_y, dim).map(|n| (of_y, end.1) = (n, end.1 + 1)),
            _ => None,
        };
        if grow.is_none() {
            return whole();
        }
    }
    if start == end { all } else { whole() }
}

/// A card whose values stay and whose shape changes: the rule is a Reshape back. Where a cotangent has an extent of 1 along all axes of a run, it has
/// so along those that the run comes from.
const RENAMING: Card = Card {
    vjp: Some(|s| {
        let (x, y) = (s.x(0)?.dims(), s.y()?.dims());
        let own = s.dy()?.with_rank(y.len()).dims();
        let (mut written, mut dims) = (Vec::new(), Vec::new());
        for (of_x, of_y) in runs(&x, &y) {
            if own.get(of_y.clone()).is_some_and(|own| own.iter().all(|n| *n == Dim::Fixed(1))) {
                dims.extend(of_x.map(|_| Dim::Fixed(1)));
            } else {
                written.extend(of_y);
                dims.extend_from_slice(x.get(of_x).unwrap_or(&[]));
            }
        }
        Ok(vec![Some(s.dy_along(&written)?.reshape(&dims)), None])
    }),
    linearity: affine,
    degree: degree_of_first,
    layout: Layout::Reshaped,
    role: Role::Movement,
    renames: true,
    never_negative: where_first,
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

/// What a Reshape takes: a value, and the extents that it gives to it.
pub(crate) fn reshape_inputs(node: &NodeProto) -> Option<[&str; 2]> {
    match node.input.as_slice() {
        [data, extents] if standard(node) == RESHAPE.name => Some([data, extents]),
        _ => None,
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
    let (before, after) = x.split_at_checked(at).unwrap_or((x, &[]));
    Ok([before.iter().product(), after.iter().product()])
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
        None => x.iter().enumerate().filter(|(_, n)| **n == 1).map(|(i, _)| i).collect(),
    };
    let (gone, kept): (Vec<_>, Vec<_>) = x.iter().enumerate().partition(|(i, _)| gone.contains(i));
    match gone.iter().find(|(_, n)| **n != 1) {
        Some((i, _)) => invalid(format!("axis {i} of {x:?} is not 1")),
        None => Ok(kept.into_iter().map(|(_, &n)| n).collect()),
    }
}

const SQUEEZE: Card = Card {
    name: "Squeeze",
    differs_for_one: |a| a.get("axes").is_none() && a.node.input.get(1).is_none_or(String::is_empty),
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
    let mut new = axes.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<_>, _>>()?;
    new.sort_unstable();
    let mut old = x.iter();
    let shape: Vec<usize> =
        (0..rank).map(|i| if new.binary_search(&i).is_ok() { 1 } else { old.next().copied().unwrap_or(1) }).collect();
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

/// The permutation that undoes `perm`.
fn inverse(perm: &[usize]) -> Vec<usize> {
    (0..perm.len()).filter_map(|from| perm.iter().position(|&p| p == from)).collect()
}

const TRANSPOSE: Card = Card {
    name: "Transpose",
    never_negative: where_first,
    shape: |a, x| {
        let input = fact(x, 0)?;
        let perm = permutation(a, input.shape.len())?;
        Ok(vec![Fact::new(input.dtype, extents(&input.shape, &perm)?)])
    },
    eval: |a, x| {
        let input = tensor(x, 0)?;
        let perm = permutation(a, input.shape().len())?;
        let data = input.data.clone().permuted_axes(IxDyn(&perm)).as_standard_layout().into_owned();
        Ok(vec![Tensor { dtype: input.dtype, data }])
    },
    vjp: Some(|s| {
        let perm = permutation(&s.attributes, s.x(0)?.rank())?;
        Ok(vec![Some(s.dy()?.with_rank(perm.len()).transpose(&inverse(&perm)))])
    }),
    linearity: affine,
    degree: degree_of_first,
    layout: Layout::Permuted,
    along: |a, x, input, axis| {
        let rank = x.first().copied().flatten().map_or(0, |x| x.shape.len());
        let to = match a.ints("perm") {
            Some(perm) => perm.iter().position(|&p| usize::try_from(p) == Ok(axis)),
            None => (rank.saturating_sub(1)).checked_sub(axis),
        };
        to.filter(|_| input == 0).map_or(Along::Unknown, Along::To)
    },
    role: Role::Movement,
    cases: || vec![case().x(&[2, 3, 4]).set("perm", [2, 0, 1]), case().x(&[2, 3, 4])],
    ..Card::BASE
};

const CONCAT: Card = Card {
    name: "Concat",
    entries: Entries::Joined,
    never_negative: where_all,
    shape: |a, x| {
        let first = fact(x, 0)?;
        let at = axis(a.int("axis", 1), first.shape.len())?;
        let (before, _, after) = around(&first.shape, at)?;
        let mut sum = 0;
        for part in x.iter().flatten() {
            match around(&part.shape, at) {
                Ok((b, n, a)) if b == before && a == after => sum += n,
                _ => {
                    return invalid(format!(
                        "the shapes {:?} and {:?} cannot be joined along axis {at}",
                        first.shape, part.shape
                    ));
                }
            }
        }
        Ok(vec![Fact::new(first.dtype, [before, &[sum], after].concat())])
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
    degree: degree_of_all,
    along: |a, x, input, own| {
        let rank = x.get(input).copied().flatten().map_or(0, |x| x.shape.len());
        match axis(a.int("axis", 1), rank) {
            Ok(at) if at == own => Along::Moved(own),
            Ok(_) => Along::To(own),
            Err(_) => Along::Unknown,
        }
    },
    role: Role::Join,
    cases: || {
        vec![case().x(&[2, 3, 4]).x(&[2, 2, 4]).set("axis", 1), case().x(&[2, 3]).w(&[2, 1]).x(&[2, 2]).set("axis", -1)]
    },
    ..Card::BASE
};

/// The extents of the parts of a Split.
fn parts(a: &Attributes, extent: usize, given: Option<Vec<i64>>) -> Result<Vec<usize>, Fault> {
    let count = a.node.output.len().max(1);
    let sizes: Vec<usize> = match given {
        Some(list) => list.iter().map(|&n| usize::try_from(n).unwrap_or(usize::MAX)).collect(),
        None => {
            let size = extent.div_ceil(count);
            (0..count).map(|i| size.min(extent.saturating_sub(i * size))).collect()
        }
    };
    let sum = sizes.iter().fold(0, |sum: usize, &n| sum.saturating_add(n));
    if sum == extent && sizes.len() == count {
        Ok(sizes)
    } else {
        invalid(format!("{extent} places in {count} parts of {sizes:?}"))
    }
}

const SPLIT: Card = Card {
    name: "Split",
    entries: Entries::Parted,
    never_negative: where_first,
    shape: |a, x| {
        let input = fact(x, 0)?;
        let at = axis(a.int("axis", 0), input.shape.len())?;
        let sizes = parts(a, extent(&input.shape, at)?, ints_of(a, "split", x, 1)?)?;
        let one = |n: usize| Ok(Fact::new(input.dtype, with_extent(&input.shape, at, n)?));
        sizes.into_iter().map(one).collect()
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
        Ok(parts(a, input.data.len_of(Axis(at)), ints_in(a, "split", x, 1))?.into_iter().map(one).collect())
    },
    vjp: Some(|s| {
        let at = s.x(0)?.axis(s.attributes.int("axis", 0))?;
        let Some(&given) = s.dy.iter().flatten().next() else { return Ok(Vec::new()) };
        let pieces: Vec<Value> =
            s.y.iter().zip(&s.dy).map(|(&y, dy)| dy.map_or_else(|| given.zeros_as(y), |dy| dy.expand_as(y))).collect();
        Ok(vec![Value::concat(&pieces, at), None])
    }),
    linearity: affine,
    degree: degree_of_first,
    along: |a, x, input, own| {
        apart(fact(x, 0).and_then(|x| Ok(vec![axis(a.int("axis", 0), x.shape.len())?])), input, own)
    },
    role: Role::Movement,
    cases: || {
        vec![
            case().x(&[2, 6]).set("axis", 1).outputs(2),
            case().x(&[2, 6]).list(&[1, 3, 2]).set("axis", -1).outputs(3),
            case().x(&[4, 3]).set("split", [1, 3]).opset(11).outputs(2),
        ]
    },
    ..Card::BASE
};

const EXPAND: Card = Card {
    name: "Expand",
    entries: Entries::Broadcast,
    never_negative: where_first,
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
    degree: degree_of_first,
    along: |a, x, input, axis| match (fact(x, 0), ints_of(a, "shape", x, 1)) {
        (Ok(x), Ok(Some(shape))) if input == 0 => Along::To(axis + shape.len().saturating_sub(x.shape.len())),
        _ => Along::Unknown,
    },
    role: Role::Movement,
    cases: || vec![case().x(&[2, 1, 4]).list(&[2, 3, 1]), case().x(&[3]).list(&[2, 3])],
    ..Card::BASE
};

const TILE: Card = Card {
    name: "Tile",
    entries: Entries::Repeated,
    never_negative: where_first,
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
    vjp: Some(|s| {
        let (x, y) = (s.x(0)?.dims(), s.y()?.dims());
        let mut d = s.dy()?.with_rank(y.len());
        for (at, (&from, &to)) in x.iter().zip(&y).enumerate().filter(|(_, (from, to))| from != to) {
            let times = match (from, to) {
                (Dim::Fixed(n), Dim::Fixed(m)) | (Dim::Batch(n), Dim::Batch(m)) if n > 0 => Dim::Fixed(m / n),
                (Dim::Fixed(n), Dim::Batch(m)) if n > 0 && m % n == 0 => Dim::Batch(m / n),
                _ => return unsupported(format!("repeating an axis of {from:?} to {to:?}")),
            };
            d = match (d.dims().get(at), times) {
                (Some(Dim::Fixed(1)), Dim::Fixed(times)) if to != Dim::Fixed(1) => d * times as f64,
                (own, _) => {
                    let whole = if own == Some(&to) { d } else { d.expand_as(s.y()?) };
                    let dims = whole.dims();
                    let (lead, tail) = (dims.get(..at).unwrap_or(&[]), dims.get(at + 1..).unwrap_or(&[]));
                    whole.reshape(&[lead, &[times, from], tail].concat()).reduce_sum(&[at], false)
                }
            };
        }
        Ok(vec![Some(d), None])
    }),
    linearity: affine,
    degree: degree_of_first,
    along: |a, x, input, axis| match ints_of(a, "repeats", x, 1) {
        Ok(Some(times)) if input == 0 && times.get(axis) == Some(&1) => Along::To(axis),
        _ if input == 0 => Along::Moved(axis),
        _ => Along::Unknown,
    },
    role: Role::Movement,
    cases: || {
        vec![
            case().x(&[2, 3]).list(&[1, 2]),
            case().x(&[2, 1, 4]).list(&[1, 3, 2]),
            case().x(&[1, 3, 2]).list(&[2, 2, 1]),
        ]
    },
    ..Card::BASE
};

/// A rearrangement of an image's places and channels: a Reshape to `split`, a Transpose by `perm`, a Reshape to `out`.
struct Blocks {
    split: [usize; 6],
    perm: [usize; 6],
    out: [usize; 4],
}

fn blocks(a: &Attributes, x: &[usize]) -> Result<Blocks, Fault> {
    let b = usize::try_from(a.int("blocksize", 0)).unwrap_or(0);
    let (&[n, c, h, w], Some(square @ 1..)) = (x, b.checked_mul(b)) else {
        return invalid(format!("blocks of {b} in a value of the shape {x:?}"));
    };
    let blocks = if a.node.op_type() == "SpaceToDepth" {
        let (h, w) = (h / b, w / b);
        let perm = match a.string("mode", "DCR") {
            "DCR" => [0, 3, 5, 1, 2, 4],
            "CRD" => [0, 1, 3, 5, 2, 4],
            other => return invalid(format!("the mode {other:?}")),
        };
        Blocks { split: [n, c, h, b, w, b], perm, out: [n, c.saturating_mul(square), h, w] }
    } else {
        let c = c / square;
        let (split, perm) = match a.string("mode", "DCR") {
            "DCR" => ([n, b, b, c, h, w], [0, 3, 4, 1, 5, 2]),
            "CRD" => ([n, c, b, b, h, w], [0, 1, 4, 2, 5, 3]),
            other => return invalid(format!("the mode {other:?}")),
        };
        Blocks { split, perm, out: [n, c, h.saturating_mul(b), w.saturating_mul(b)] }
    };
    let count = |shape: &[usize]| shape.iter().try_fold(1usize, |p, &n| p.checked_mul(n));
    if count(&blocks.split) == count(x) && count(&blocks.out) == count(x) {
        Ok(blocks)
    } else {
        invalid(format!("blocks of {b} in a value of the shape {x:?}"))
    }
}

const REARRANGING: Card = Card {
    covers: |a| a.one_of("mode", "DCR", &["DCR", "CRD"]),
    shape: |a, x| {
        let input = fact(x, 0)?;
        Ok(vec![Fact::new(input.dtype, blocks(a, &input.shape)?.out)])
    },
    eval: |a, x| {
        let input = tensor(x, 0)?;
        let Blocks { split, perm, out } = blocks(a, input.shape())?;
        let data = reshaped(input, &split)?.data.permuted_axes(IxDyn(&perm)).as_standard_layout().into_owned();
        Ok(vec![reshaped(&Tensor { dtype: input.dtype, data }, &out)?])
    },
    vjp: Some(|s| {
        let (x, dy) = (s.x(0)?, s.dy_along(&[1, 2, 3])?);
        let Blocks { split, perm, .. } = blocks(&s.attributes, &x.sizes())?;
        let first = dy.dims().into_iter().take(1);
        let apart = extents(&split, &perm)?.into_iter().skip(1).map(Dim::Fixed);
        let apart: Vec<Dim> = first.clone().chain(apart).collect();
        let joined: Vec<Dim> = first.chain(x.dims().into_iter().skip(1)).collect();
        Ok(vec![Some(dy.reshape(&apart).transpose(&inverse(&perm)).reshape(&joined))])
    }),
    linearity: affine,
    degree: degree_of_first,
    layout: Layout::ChannelsFirst,
    along: channels_first,
    windows: |a, x, axis| {
        let shape = &fact(x, 0).ok()?.shape;
        let (from, to) = (*shape.get(axis)?, *blocks(a, shape).ok()?.out.get(axis)?);
        let side = (from.max(to) / from.min(to).max(1)).max(1);
        let range = |k: usize| if to > from { k / side..k / side + 1 } else { k * side..(k + 1) * side };
        Some((0..to).map(range).collect())
    },
    role: Role::Movement,
    ..Card::BASE
};

/// Blocks of channels become blocks of places: y[n, c, h·b + i, w·b + j] = x[n, (i·b + j)·C + c, h, w] (DCR), or
/// x[n, c·b² + i·b + j, h, w] (CRD, PyTorch's PixelShuffle; Shi et al. 2016, arXiv:1609.05158).
const DEPTH_TO_SPACE: Card = Card {
    name: "DepthToSpace",
    cases: || {
        vec![
            case().x(&[2, 8, 2, 3]).set("blocksize", 2),
            case().x(&[1, 8, 3, 2]).set("blocksize", 2).set("mode", "CRD"),
            case().x(&[1, 9, 1, 2]).set("blocksize", 3).opset(10),
        ]
    },
    ..REARRANGING
};

/// Blocks of places become blocks of channels: the inverse of [`DEPTH_TO_SPACE`] in the same mode.
const SPACE_TO_DEPTH: Card = Card {
    name: "SpaceToDepth",
    cases: || {
        vec![
            case().x(&[2, 2, 4, 6]).set("blocksize", 2),
            case().x(&[1, 2, 4, 6]).set("blocksize", 2).set("mode", "CRD").opset(28),
            case().x(&[1, 1, 3, 6]).set("blocksize", 3).opset(10),
        ]
    },
    ..REARRANGING
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_matched_in_runs() {
        let (n, f) = (Dim::Batch, Dim::Fixed);
        let image = [n(1), f(6), f(5), f(5)];
        assert_eq!(runs(&image, &[n(1), f(6), f(25)]), [(0..1, 0..1), (1..2, 1..2), (2..4, 2..3)]);
        assert_eq!(runs(&image, &[n(1), f(150)]), [(0..1, 0..1), (1..4, 1..2)]);
        assert_eq!(runs(&image, &[n(6), f(25)]), [(0..2, 0..1), (2..4, 1..2)]);
        assert_eq!(runs(&[f(2), f(3), f(4)], &[f(4), f(3), f(2)]), [(0..3, 0..3)]);
        assert_eq!(runs(&[f(5), f(1)], &[f(5)]), [(0..1, 0..1), (1..2, 1..1)]);
        assert_eq!(runs(&[f(0), f(3)], &[f(0), f(5)]), [(0..2, 0..2)]);
        assert_eq!(runs(&[], &[]), []);
    }
}
