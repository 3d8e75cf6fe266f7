//! Padding.

use super::movement::checked;
use super::transposed::{LARGEST, ungather};
use super::{Card, Entries, Role, affine, apart, case, degree_of_first, fact, ints_in, ints_of, tensor};
use crate::error::{Fault, invalid, unsupported};
use crate::graph::axis;
use crate::shape::{Dim, Fact};
use crate::tensor::Tensor;
use ndarray::{ArrayD, Axis, IxDyn, Slice as Cut};
use std::collections::HashMap;

/// The cards of this family.
pub const CARDS: &[Card] = &[PAD];

/// The pads of each axis of a value of rank `rank`.
pub(crate) fn pad_sizes(rank: usize, pads: &[i64], axes: Option<Vec<i64>>) -> Result<Vec<(i64, i64)>, Fault> {
    let axes: Vec<usize> = match axes {
        Some(axes) => axes.iter().map(|&a| axis(a, rank)).collect::<Result<_, _>>()?,
        None => (0..rank).collect(),
    };
    let Some((begin, end)) = pads.split_at_checked(axes.len()).filter(|(begin, end)| begin.len() == end.len()) else {
        return invalid(format!("{} pads for {} axes", pads.len(), axes.len()));
    };
    // Of an axis that is named twice the last counts.
    let pads: HashMap<usize, (i64, i64)> =
        axes.into_iter().zip(begin.iter().copied().zip(end.iter().copied())).collect();
    Ok((0..rank).map(|at| pads.get(&at).copied().unwrap_or((0, 0))).collect())
}

fn span(start: i64, end: i64) -> Cut {
    Cut::new(start as isize, Some(end as isize), 1)
}

/// Where along an axis of `extent` places each place of the padded axis comes from, in the modes that repeat places.
fn sources(mode: &str, extent: usize, (begin, end): (i64, i64)) -> Result<Vec<usize>, Fault> {
    let (first, last) = ((-begin).max(0), extent as i64 - (-end).max(0));
    let (n, out) = (last - first, extent as i64 + begin + end);
    if n <= 0 || out > LARGEST as i64 {
        return unsupported(format!("padding {n} places to {out} by mode {mode:?}"));
    }
    let place = |k: i64| match mode {
        "edge" => Ok(k.clamp(0, n - 1)),
        "wrap" => Ok(k.rem_euclid(n)),
        // There and back again, without repeating the ends.
        "reflect" => Ok((n - 1) - ((n - 1) - k.rem_euclid((2 * n - 2).max(1))).abs()),
        other => invalid(format!("the mode {other:?}")),
    };
    (0..out).map(|k| Ok((first + place(k - begin.max(0))?) as usize)).collect()
}

/// y = x with places added before and after, or with negative pads taken away: a constant, or places of x.
const PAD: Card = Card {
    name: "Pad",
    entries: Entries::Padded,
    covers: |a| a.one_of("mode", "constant", &["constant", "reflect", "edge", "wrap"]),
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
        let input = tensor(x, 0)?;
        let pads = ints_in(a, "pads", x, 1).unwrap_or_default();
        let sizes = pad_sizes(input.shape().len(), &pads, x.get(3).copied().flatten().map(Tensor::to_ints))?;
        let mode = a.string("mode", "constant");
        if mode != "constant" {
            let mut data = input.data.clone();
            for (i, &pads) in sizes.iter().enumerate().filter(|(_, p)| **p != (0, 0)) {
                data = data.select(Axis(i), &sources(mode, data.len_of(Axis(i)), pads)?);
            }
            return Ok(vec![Tensor { dtype: input.dtype, data }]);
        }
        let value = x.get(2).copied().flatten().and_then(Tensor::scalar).unwrap_or(a.float("value", 0.0));
        let shape: Vec<i64> = input.shape().iter().zip(&sizes).map(|(&n, (b, e))| n as i64 + b + e).collect();
        let mut data = ArrayD::from_elem(IxDyn(&checked(&shape)?), value);
        let mut from = input.data.view();
        let mut to = data.view_mut();
        for (i, ((&(b, e), &extent), &padded)) in sizes.iter().zip(input.shape()).zip(&shape).enumerate() {
            from.slice_axis_inplace(Axis(i), span((-b).max(0), extent as i64 - (-e).max(0)));
            to.slice_axis_inplace(Axis(i), span(b.max(0), padded - e.max(0)));
        }
        to.assign(&from);
        Ok(vec![Tensor { dtype: input.dtype, data }])
    },
    vjp: Some(|s| {
        let (x, mode) = (s.x(0)?, s.attributes.string("mode", "constant"));
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
        let sizes = pad_sizes(x.rank(), &pads, known(3)?)?;
        let padded = || sizes.iter().copied().enumerate().filter(|(_, pads)| *pads != (0, 0));
        let mut d = s.dy_along(&padded().map(|(at, _)| at).collect::<Vec<_>>())?;
        for (at, (b, e)) in padded() {
            let Some(Dim::Fixed(n)) = x.dims().get(at).copied() else {
                return unsupported("padding of the batch axis");
            };
            if mode != "constant" {
                d = ungather(d, at, &sources(mode, n, (b, e))?, n)?;
                continue;
            }
            d = d.slice(at, b.max(0), n as i64 + b - (-e).max(0), 1);
            // What a negative pad cut away gets no cotangent.
            d = d.pad_along(at, (-b).max(0), (-e).max(0));
        }
        Ok(vec![Some(d)])
    }),
    along: |a, x, input, axis| {
        let moved = || {
            let pads = ints_of(a, "pads", x, 1)?.unwrap_or_default();
            let sizes = pad_sizes(fact(x, 0)?.shape.len(), &pads, super::known_ints(x, 3)?)?;
            Ok(sizes.iter().enumerate().filter(|(_, pads)| **pads != (0, 0)).map(|(at, _)| at).collect())
        };
        apart(moved(), input, axis)
    },
    windows: |a, x, axis| {
        let shape = &fact(x, 0).ok()?.shape;
        let pads = ints_of(a, "pads", x, 1).ok()?.unwrap_or_default();
        let sizes = pad_sizes(shape.len(), &pads, super::known_ints(x, 3).ok()?).ok()?;
        let (&extent, &(begin, end)) = (shape.get(axis)?, sizes.get(axis)?);
        match a.string("mode", "constant") {
            "constant" => {
                let entry = |k: i64| usize::try_from(k).ok().filter(|&k| k < extent).map_or(0..0, |k| k..k + 1);
                Some((-begin..(extent as i64).checked_add(end)?).map(entry).collect())
            }
            mode => Some(sources(mode, extent, (begin, end)).ok()?.into_iter().map(|k| k..k + 1).collect()),
        }
    },
    linearity: affine,
    degree: |a, x| {
        let zeros = x.get(2).copied().flatten().is_none_or(|v| v.is_within(0.0)) && a.float("value", 0.0) == 0.0;
        degree_of_first(a, x).filter(|_| zeros || a.string("mode", "constant") != "constant")
    },
    role: Role::Movement,
    cases: || {
        let moded = |mode: &str| case().x(&[2, 3, 4]).set("mode", mode);
        vec![
            case().x(&[2, 3, 4]).list(&[0, 1, 2, 0, 0, 1]).scalar(0.5),
            case().x(&[2, 3, 6]).list(&[0, 1, -2, 0, 0, -1]),
            case().x(&[2, 3, 6]).list(&[0, 2, -3, 0, -1, 2]).scalar(1.0),
            case().x(&[2, 3, 4]).list(&[1, 2]).scalar(0.0).list(&[-1]).opset(18),
            case().x(&[2, 3]).set("pads", [0, 1, 0, 1]).set("value", 2.0f32).opset(10),
            moded("reflect").list(&[0, 0, 3, 0, 2, 1]),
            moded("reflect").set("pads", [0, 1, 1, 0, 1, 1]).opset(10),
            moded("edge").list(&[0, 1, 3, 0, 0, 2]).opset(13),
            moded("edge").list(&[2, -1, 0, 1]).absent().list(&[1, -1]).opset(18),
            moded("wrap").list(&[0, 0, 3, 0, 2, 1]).opset(19),
        ]
    },
    ..Card::BASE
};
