//! Matrix products.

use super::arithmetic::{broadcast, stretch};
use super::{Along, Card, Entries, Layout, Weights, case, degree_of_product, fact, product, size, tensor};
use crate::error::{Fault, invalid};
use crate::graph::Attributes;
use crate::shape::{Dim, Fact};
use crate::tensor::Tensor;
use ndarray::{Array3, ArrayD, Axis, Ix2, IxDyn};

/// The cards of this family.
pub const CARDS: &[Card] = &[GEMM, MATMUL];

fn gemm_shape(a: &Attributes, x: &[usize], w: &[usize]) -> Result<[usize; 2], Fault> {
    let turned = |s: &[usize], on: bool| match *s {
        [r, c] if on => Ok((c, r)),
        [r, c] => Ok((r, c)),
        _ => invalid(format!("Gemm with a factor of the shape {s:?}")),
    };
    let (m, k) = turned(x, a.int("transA", 0) != 0)?;
    let (k2, n) = turned(w, a.int("transB", 0) != 0)?;
    if k == k2 { Ok([m, n]) } else { invalid(format!("the factors {x:?} and {w:?} do not fit")) }
}

/// Y = α·A(ᵀ)·B(ᵀ) + β·C.
const GEMM: Card = Card {
    name: "Gemm",
    entries: Entries::GeneralProduct,
    weights: Weights::Finite,
    shape: |a, x| {
        let (l, r) = (fact(x, 0)?, fact(x, 1)?);
        let out = gemm_shape(a, &l.shape, &r.shape)?;
        if let Some(c) = x.get(2).copied().flatten()
            && broadcast(&[&c.shape, &out])? != out
        {
            return invalid(format!("a third input of the shape {:?} for {out:?}", c.shape));
        }
        Ok(vec![Fact::new(l.dtype, out)])
    },
    eval: |a, x| {
        let (l, r) = (tensor(x, 0)?, tensor(x, 1)?);
        let out = gemm_shape(a, l.shape(), r.shape())?;
        let matrix = |t: &Tensor, on: bool| -> Result<ndarray::Array2<f64>, Fault> {
            let m = t.data.clone().into_dimensionality::<Ix2>().map_err(|e| Fault::Invalid(e.to_string()))?;
            Ok(if on { m.reversed_axes() } else { m })
        };
        let mut y =
            matrix(l, a.int("transA", 0) != 0)?.dot(&matrix(r, a.int("transB", 0) != 0)?) * a.float("alpha", 1.0);
        if let Some(c) = x.get(2).copied().flatten() {
            let c = stretch(c, &out)?.into_dimensionality::<Ix2>().map_err(|e| Fault::Invalid(e.to_string()))?;
            y += &(c * a.float("beta", 1.0));
        }
        Ok(vec![Tensor { dtype: l.dtype, data: y.into_dyn() }])
    },
    work: |a, x, y| match (x, y) {
        ([Some(l), Some(r), ..], [y]) => {
            let shared = l.shape.get(usize::from(a.int("transA", 0) == 0)).copied().unwrap_or(1);
            size(y).saturating_mul(shared).saturating_add(size(l)).saturating_add(size(r))
        }
        _ => 0,
    },
    vjp: Some(|s| {
        let (l, r, y) = (s.x(0)?, s.x(1)?, s.y()?);
        let (ta, tb, alpha) =
            (s.attributes.int("transA", 0) != 0, s.attributes.int("transB", 0) != 0, s.attributes.float("alpha", 1.0));
        // A cotangent that is the same for the whole batch stays one row: engines then fold it to a constant.
        let row = !ta && s.dy()?.dims().get(1) == y.dims().get(1);
        let dy = s.full_dy()?;
        let (left, weight) = if row { s.dy()? } else { dy }.unquantised(r);
        let da = if ta { weight.gemm(left, tb, true, alpha) } else { left.gemm(weight, false, !tb, alpha) };
        let db = if tb { dy.gemm(l, true, ta, alpha) } else { l.gemm(dy, !ta, false, alpha) };
        let dc = match s.x.get(2).copied().flatten() {
            Some(_) => Some(s.unbroadcast(dy * s.attributes.float("beta", 1.0), 2)?),
            None => None,
        };
        Ok(vec![Some(da), Some(db), dc])
    }),
    linearity: |a, inputs| product(a, inputs.get(..2).unwrap_or(inputs)),
    degree: degree_of_product,
    layout: Layout::ChannelsLast,
    along: |a, x, input, axis| {
        let turned = |name: &str| usize::from(a.int(name, 0) != 0);
        match input {
            0 if axis == turned("transA") => Along::To(0),
            1 if axis != turned("transB") => Along::To(1),
            0 | 1 => Along::Across,
            _ => x.get(2).copied().flatten().map_or(Along::Unknown, |c| Along::To(axis + 2 - c.shape.len().min(2))),
        }
    },
    cases: || {
        vec![
            case().x(&[2, 3]).x(&[3, 4]).x(&[4]),
            case().x(&[2, 3]).x(&[4, 3]).w(&[4]).set("transB", 1),
            case().x(&[3, 2]).x(&[3, 4]).x(&[2, 1]).set("transA", 1).set("alpha", 0.5f32).set("beta", 2.0f32),
            case().x(&[3, 2]).x(&[4, 3]).set("transA", 1).set("transB", 1),
        ]
    },
    ..Card::BASE
};

/// The shapes of two factors as stacks of matrices, and of their product.
fn matmul_shape(a: &[usize], b: &[usize]) -> Result<Vec<usize>, Fault> {
    let fault = || Fault::Invalid(format!("the factors {a:?} and {b:?} do not fit"));
    let wide = |s: &[usize], front: bool| match *s {
        [n] if front => vec![1, n],
        [n] => vec![n, 1],
        _ => s.to_vec(),
    };
    let (l, r) = (wide(a, true), wide(b, false));
    let ([lead @ .., m, k], [stack @ .., k2, n]) = (l.as_slice(), r.as_slice()) else { return Err(fault()) };
    if k != k2 {
        return Err(fault());
    }
    let mut out = broadcast(&[lead, stack])?;
    if a.len() > 1 {
        out.push(*m);
    }
    if b.len() > 1 {
        out.push(*n);
    }
    Ok(out)
}

/// The axes of a stack of matrices, and the extents of one.
fn stacked(shape: &[usize]) -> Result<(&[usize], [usize; 2]), Fault> {
    match shape {
        [lead @ .., rows, columns] => Ok((lead, [*rows, *columns])),
        _ => invalid(format!("a matrix of the shape {shape:?}")),
    }
}

/// Matrix product over the last two axes, broadcast over the others.
const MATMUL: Card = Card {
    name: "MatMul",
    entries: Entries::MatrixProduct,
    weights: Weights::Finite,
    shape: |_, x| {
        let (a, b) = (fact(x, 0)?, fact(x, 1)?);
        Ok(vec![Fact::new(a.dtype, matmul_shape(&a.shape, &b.shape)?)])
    },
    eval: |_, x| {
        let (a, b) = (tensor(x, 0)?, tensor(x, 1)?);
        let shape = matmul_shape(a.shape(), b.shape())?;
        let wide = |t: &Tensor, front: bool| {
            if t.shape().len() == 1 { t.data.clone().insert_axis(Axis(usize::from(!front))) } else { t.data.clone() }
        };
        let (l, r) = (wide(a, true), wide(b, false));
        let matrix = |d: &ArrayD<f64>, lead: &[usize]| -> Result<Array3<f64>, Fault> {
            let (_, last) = stacked(d.shape())?;
            let whole = [lead, &last].concat();
            let view = d.broadcast(IxDyn(&whole)).ok_or_else(|| Fault::Invalid("factors do not broadcast".into()))?;
            let [rows, columns] = last;
            let stack = view.to_shape((lead.iter().product::<usize>(), rows, columns));
            Ok(stack.map_err(|e| Fault::Invalid(e.to_string()))?.to_owned())
        };
        let lead = broadcast(&[stacked(l.shape())?.0, stacked(r.shape())?.0])?;
        let (l, r) = (matrix(&l, &lead)?, matrix(&r, &lead)?);
        let mut y = Vec::with_capacity(shape.iter().product());
        for (p, q) in l.outer_iter().zip(r.outer_iter()) {
            y.extend(p.dot(&q).iter());
        }
        Ok(vec![Tensor::new(a.dtype, &shape, y)?])
    },
    work: |_, x, y| match (x, y) {
        ([Some(l), Some(r), ..], [y]) => {
            let shared = l.shape.last().copied().unwrap_or(1);
            size(y).saturating_mul(shared).saturating_add(size(l)).saturating_add(size(r))
        }
        _ => 0,
    },
    vjp: Some(|s| {
        let (a, b, dy) = (s.x(0)?, s.x(1)?, s.full_dy()?);
        let one = [Dim::Fixed(1)];
        let (ad, bd, yd) = (a.dims(), b.dims(), dy.dims());
        // Vectors become matrices with an axis of 1, and so does their cotangent.
        let a2 = if ad.len() == 1 { a.reshape(&[&one, ad.as_slice()].concat()) } else { a };
        let b2 = if bd.len() == 1 { b.reshape(&[bd.as_slice(), &one].concat()) } else { b };
        let mut wide = yd.clone();
        if ad.len() == 1 {
            wide.insert(wide.len() - usize::from(bd.len() > 1), Dim::Fixed(1));
        }
        if bd.len() == 1 {
            wide.push(Dim::Fixed(1));
        }
        let dy2 = dy.reshape(&wide);
        let flat = a2.rank() == 2 && b2.rank() == 2;
        let (left, weight) = dy2.unquantised(b2);
        let da = if flat { left.gemm(weight, false, true, 1.0) } else { left.matmul(weight.swap_last()) };
        let db = if flat { a2.gemm(dy2, true, false, 1.0) } else { a2.swap_last().matmul(dy2) };
        let fit = |d: crate::build::Value<'_>, x: &[Dim]| {
            let lead = d.rank().saturating_sub(x.len().max(2));
            let dims = d.dims();
            let mut axes: Vec<usize> = (0..lead).collect();
            axes.extend(
                (lead..d.rank().saturating_sub(2))
                    .filter(|&i| x.get(i - lead) == Some(&Dim::Fixed(1)) && dims.get(i) != Some(&Dim::Fixed(1))),
            );
            axes
        };
        let (axes_a, axes_b) = (fit(da, &ad), fit(db, &bd));
        let da = if axes_a.is_empty() { da } else { da.reduce_sum(&axes_a, true) };
        let db = if axes_b.is_empty() { db } else { db.reduce_sum(&axes_b, true) };
        // One matrix for all rows: where rows share a cotangent, they share what comes of it.
        let (short, weight) = s.dy()?.with_rank(yd.len()).unquantised(b2);
        let da = match ad.len() {
            2.. if bd.len() != 2 || short.dims().last() != yd.last() => da.reshape(&ad),
            2 => short.gemm(weight, false, true, 1.0),
            3.. => short.matmul(weight.swap_last()),
            _ => da.reshape(&ad),
        };
        Ok(vec![Some(da), Some(db.reshape(&bd))])
    }),
    linearity: product,
    degree: degree_of_product,
    layout: Layout::ChannelsLast,
    along: |_, x, input, axis| {
        let (Ok(l), Ok(r)) = (fact(x, 0), fact(x, 1)) else { return Along::Unknown };
        let (l, r) = (l.shape.len(), r.shape.len());
        // A vector is a row on the left and a column on the right, and is no axis of the product.
        let lead = l.max(r).max(2) - 2;
        let rows = lead + usize::from(l > 1);
        match input {
            0 if axis + 1 == l => Along::Across,
            0 if axis + 2 == l => Along::To(lead),
            0 => Along::To(axis + lead + 2 - l),
            1 if axis + 2 == r.max(2) && (r > 1 || axis == 0) => Along::Across,
            1 if axis + 1 == r => Along::To(rows),
            _ => Along::To(axis + lead + 2 - r),
        }
    },
    cases: || {
        vec![
            case().x(&[2, 3]).x(&[3, 4]),
            case().x(&[2, 5, 3]).x(&[3, 4]),
            case().x(&[2, 2, 5, 3]).x(&[1, 2, 3, 4]),
            case().x(&[3]).x(&[3, 4]),
            case().x(&[2, 3]).x(&[3]),
            case().x(&[5, 3]).x(&[2, 3, 4]),
        ]
    },
    ..Card::BASE
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Dependence, Linearity};

    #[test]
    fn a_product_is_affine_in_one_factor_alone() {
        let (none, smooth) = (Dependence::None, Dependence::Smooth);
        let node = crate::onnx::messages::NodeProto::default();
        let a = Attributes { node: &node, opset: 17 };
        assert_eq!((MATMUL.linearity)(&a, &[smooth, none]), Linearity::Affine);
        assert_eq!((MATMUL.linearity)(&a, &[smooth, smooth]), Linearity::Smooth);
        assert_eq!((GEMM.linearity)(&a, &[smooth, none, smooth]), Linearity::Affine);
    }
}
