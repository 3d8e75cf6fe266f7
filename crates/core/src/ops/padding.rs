//! Padding.

use super::movement::checked;
use super::{Card, affine, case, fact, ints_in, ints_of, tensor};
use crate::error::{Fault, invalid, unsupported};
use crate::graph::axis;
use crate::shape::{Dim, Fact};
use crate::tensor::Tensor;
use ndarray::{ArrayD, Axis, IxDyn, Slice as Cut};

/// The cards of this family.
pub const CARDS: &[Card] = &[PAD];

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
