//! Cutting values out.

use super::{Card, Entries, Role, affine, apart, case, degree_of_first, fact, ints_in, ints_of, tensor, where_first};
use crate::build::Value;
use crate::error::{Fault, invalid, unsupported};
use crate::graph::{axis, extent, with_extent};
use crate::shape::{Dim, Fact};
use crate::tensor::Tensor;
use ndarray::Axis;
use std::collections::HashSet;

/// The cards of this family.
pub const CARDS: &[Card] = &[SLICE];

/// One axis of a Slice, with bounds inside the extent.
pub(crate) struct Range {
    pub(crate) axis: usize,
    pub(crate) start: i64,
    pub(crate) step: i64,
    pub(crate) count: usize,
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
    let mut seen = HashSet::new();
    let mut one = |(((&start, &end), &at), &step): (((&i64, &i64), &i64), &i64)| {
        let at = axis(at, shape.len())?;
        if step == 0 || !seen.insert(at) {
            return invalid(format!("axis {at} is cut twice, or with a step of 0"));
        }
        let extent = extent(shape, at)? as i64;
        let from_end = |v: i64| if v < 0 { v.saturating_add(extent) } else { v };
        let (low, high) = if step > 0 { (0, extent) } else { (-1, extent - 1) };
        let start = from_end(start).clamp(low.max(0), high.max(0));
        let end = from_end(end).clamp(low, high);
        let span = if step > 0 { end - start } else { start - end };
        let count = if extent == 0 || span <= 0 { 0 } else { (span as u64).div_ceil(step.unsigned_abs()) as usize };
        // Of one place or none the step is of no account, and may be beyond all measure.
        Ok(Range { axis: at, start, step: if count > 1 { step } else { 1 }, count })
    };
    starts.iter().zip(ends).zip(&axes).zip(&steps).map(&mut one).collect()
}

pub(crate) fn slice_ranges(
    shape: &[usize],
    list: impl Fn(usize, &str) -> Result<Option<Vec<i64>>, Fault>,
) -> Result<Vec<Range>, Fault> {
    let needed = |i: usize, name: &str| list(i, name)?.ok_or_else(|| Fault::Invalid(format!("{name} are missing")));
    ranges(shape, &needed(1, "starts")?, &needed(2, "ends")?, list(3, "axes")?, list(4, "steps")?)
}

const SLICE: Card = Card {
    name: "Slice",
    entries: Entries::Sliced,
    never_negative: where_first,
    shape: |a, x| {
        let input = fact(x, 0)?;
        let mut shape = input.shape.clone();
        for r in slice_ranges(&input.shape, |i, name| ints_of(a, name, x, i))? {
            shape = with_extent(&shape, r.axis, r.count)?;
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
            if r.count == 0 {
                return Ok(vec![Some(x.zeros_like())]);
            }
            d = unsliced(d, &r, extent(&sizes, r.axis)?);
        }
        Ok(vec![Some(d)])
    }),
    along: |a, x, input, axis| {
        let cut = |x0: &Fact| {
            let ranges = slice_ranges(&x0.shape, |i, name| ints_of(a, name, x, i))?;
            let all = |r: &Range| r.start == 0 && r.step == 1 && x0.shape.get(r.axis) == Some(&r.count);
            Ok(ranges.iter().filter(|r| !all(r)).map(|r| r.axis).collect())
        };
        apart(fact(x, 0).and_then(cut), input, axis)
    },
    windows: |a, x, axis| {
        let ranges = slice_ranges(&fact(x, 0).ok()?.shape, |i, name| ints_of(a, name, x, i)).ok()?;
        let own = ranges.iter().find(|r| r.axis == axis)?;
        let entry = |k: usize| usize::try_from(own.start + k as i64 * own.step).ok().map(|at| at..at + 1);
        (0..own.count).map(entry).collect()
    },
    linearity: affine,
    degree: degree_of_first,
    role: Role::Movement,
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
pub(super) fn unsliced<'g>(d: Value<'g>, r: &Range, extent: usize) -> Value<'g> {
    let (at, step) = (r.axis, r.step.unsigned_abs() as usize);
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
        let (lead, tail) = (dims.get(..at).unwrap_or(&[]), dims.get(at + 1..).unwrap_or(&[]));
        let spread = d.reshape(&[lead, &[Dim::Fixed(r.count), Dim::Fixed(1)], tail].concat());
        let joined = [lead, &[Dim::Fixed(r.count * step)], tail].concat();
        let spread = spread.pad_along(at + 1, 0, step as i64 - 1).reshape(&joined);
        covered = (r.count * step).min(extent - first as usize);
        d = spread.slice(at, 0, covered as i64, 1);
    }
    d.pad_along(at, first, extent as i64 - first - covered as i64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::graph::Attributes;
    use crate::onnx::messages::NodeProto;

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
