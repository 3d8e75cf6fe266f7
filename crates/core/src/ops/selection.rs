//! Choosing values by condition, index or rank.

use super::{Card, Layout, affine, case, fact, known_ints, piecewise, tensor};
use crate::error::invalid;
use crate::graph::axis;
use crate::shape::Fact;
use crate::tensor::{DataType, Tensor};
use ndarray::{Axis, Zip};

/// The cards of this family.
pub const CARDS: &[Card] = &[GATHER, TOP_K, WHERE];

/// y = a where the condition holds, else b.
const WHERE: Card = Card {
    name: "Where",
    shape: |_, x| {
        let (c, a, b) = (fact(x, 0)?, fact(x, 1)?, fact(x, 2)?);
        Ok(vec![Fact::new(a.dtype, super::arithmetic::broadcast(&[&c.shape, &a.shape, &b.shape])?)])
    },
    eval: |_, x| {
        let (c, a, b) = (tensor(x, 0)?, tensor(x, 1)?, tensor(x, 2)?);
        let shape = super::arithmetic::broadcast(&[c.shape(), a.shape(), b.shape()])?;
        let mut data = super::arithmetic::stretch(a, &shape)?;
        let (c, b) = (super::arithmetic::stretch(c, &shape)?, super::arithmetic::stretch(b, &shape)?);
        Zip::from(&mut data).and(&c).and(&b).for_each(|a, &c, &b| {
            if c == 0.0 {
                *a = b;
            }
        });
        Ok(vec![Tensor { dtype: tensor(x, 1)?.dtype, data }])
    },
    vjp: Some(|s| {
        let (c, dy) = (s.x(0)?, s.dy()?);
        let zero = dy.scalar(0.0);
        Ok(vec![None, Some(s.unbroadcast(c.select(dy, zero), 1)?), Some(s.unbroadcast(c.select(zero, dy), 2)?)])
    }),
    linearity: affine,
    cases: || {
        let mask =
            || Tensor { dtype: DataType::Bool, data: ndarray::arr2(&[[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]).into_dyn() };
        vec![case().fixed(mask()).x(&[2, 3]).x(&[2, 3]), case().fixed(mask()).x(&[3]).x(&[2, 1])]
    },
    ..Card::BASE
};

/// y = x[indices] along an axis.
const GATHER: Card = Card {
    name: "Gather",
    shape: |a, x| {
        let (data, indices) = (fact(x, 0)?, fact(x, 1)?);
        let at = axis(a.int("axis", 0), data.shape.len())?;
        Ok(vec![Fact::new(data.dtype, [&data.shape[..at], indices.shape.as_slice(), &data.shape[at + 1..]].concat())])
    },
    eval: |a, x| {
        let (data, indices) = (tensor(x, 0)?, tensor(x, 1)?);
        let at = axis(a.int("axis", 0), data.shape().len())?;
        let extent = data.shape()[at];
        let places = indices.to_ints().into_iter().map(|i| axis(i, extent)).collect::<Result<Vec<_>, _>>()?;
        let chosen = data.data.select(Axis(at), &places);
        let shape = [&data.shape()[..at], indices.shape(), &data.shape()[at + 1..]].concat();
        Ok(vec![Tensor::new(data.dtype, &shape, chosen.iter().copied().collect())?])
    },
    layout: Layout::Other,
    linearity: affine,
    cases: || vec![case().w(&[4, 3]).list(&[2, 0]), case().w(&[2, 5]).list(&[-1]).set("axis", 1)],
    ..Card::BASE
};

/// The k largest values along an axis, sorted, and their positions; of equal values the first comes first.
const TOP_K: Card = Card {
    name: "TopK",
    shape: |a, x| {
        let input = fact(x, 0)?;
        let at = axis(a.int("axis", -1), input.shape.len())?;
        let k = match known_ints(x, 1)? {
            Some(k) => k.first().copied().unwrap_or(0),
            None => a.int("k", 0),
        };
        let Some(k) = usize::try_from(k).ok().filter(|&k| k <= input.shape[at]) else {
            return invalid(format!("the {k} largest of {}", input.shape[at]));
        };
        let mut shape = input.shape.clone();
        shape[at] = k;
        Ok(vec![Fact::new(input.dtype, shape.clone()), Fact::new(DataType::Int64, shape)])
    },
    eval: |a, x| {
        let input = tensor(x, 0)?;
        let at = axis(a.int("axis", -1), input.shape().len())?;
        let k = match x.get(1).copied().flatten() {
            Some(k) => k.scalar().unwrap_or(0.0) as usize,
            None => a.int("k", 0).max(0) as usize,
        };
        let sign = if a.int("largest", 1) != 0 { 1.0 } else { -1.0 };
        let mut shape = input.shape().to_vec();
        shape[at] = k;
        let mut values = ndarray::ArrayD::zeros(shape);
        let mut indices = values.clone();
        let lanes =
            input.data.lanes(Axis(at)).into_iter().zip(values.lanes_mut(Axis(at))).zip(indices.lanes_mut(Axis(at)));
        for ((lane, mut value), mut index) in lanes {
            let mut order: Vec<usize> = (0..lane.len()).collect();
            // Adding 0 makes −0 equal to 0.
            order.sort_by(|&p, &q| (sign * lane[q] + 0.0).total_cmp(&(sign * lane[p] + 0.0)));
            for (rank, &i) in order.iter().take(k).enumerate() {
                value[rank] = lane[i];
                index[rank] = i as f64;
            }
        }
        Ok(vec![Tensor { dtype: input.dtype, data: values }, Tensor { dtype: DataType::Int64, data: indices }])
    },
    layout: Layout::Other,
    linearity: piecewise,
    cases: || vec![case().w(&[2, 5]).list(&[3]).outputs(2), case().w(&[2, 5]).list(&[1]).outputs(2)],
    ..Card::BASE
};

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::error::Fault;
    use crate::graph::Attributes;

    #[test]
    fn an_index_out_of_range_is_an_error() -> Result<(), Fault> {
        let node = crate::onnx::NodeProto::default();
        let (data, indices) = (Tensor::ints(&[1, 2, 3]), Tensor::ints(&[3]));
        assert!((GATHER.eval)(&Attributes { node: &node, opset: 17 }, &[Some(&data), Some(&indices)]).is_err());
        Ok(())
    }
}
