//! What cards share: access to inputs, and the rules that many operators have in common.

use super::Along;
use crate::error::Fault;
use crate::graph::Attributes;
use crate::shape::Fact;
use crate::tensor::Tensor;

/// The number of elements of a value.
pub(crate) fn size(fact: &Fact) -> usize {
    fact.shape.iter().fold(1, |p, &n| p.saturating_mul(n))
}

/// The work of a product of two inputs: each element of `wide` meets every weight of its filter, where the weights
/// have `filters` filters.
pub(crate) fn products(wide: usize, weights: &Fact, filters: Option<&usize>) -> usize {
    wide.saturating_mul(size(weights) / filters.copied().unwrap_or(1).max(1))
}

/// Input `i` of a shape rule.
pub(crate) fn fact<'a>(inputs: &[Option<&'a Fact>], i: usize) -> Result<&'a Fact, Fault> {
    inputs.get(i).copied().flatten().ok_or_else(|| Fault::Invalid(format!("input {i} is missing")))
}

/// Input `i` of an evaluation.
pub(crate) fn tensor<'a>(inputs: &[Option<&'a Tensor>], i: usize) -> Result<&'a Tensor, Fault> {
    inputs.get(i).copied().flatten().ok_or_else(|| Fault::Invalid(format!("input {i} is missing")))
}

/// The known integers of input `i`, `None` when the input is absent.
pub(crate) fn known_ints(inputs: &[Option<&Fact>], i: usize) -> Result<Option<Vec<i64>>, Fault> {
    match inputs.get(i).copied().flatten() {
        None => Ok(None),
        Some(Fact { value: Some(value), .. }) => Ok(Some(value.to_ints())),
        Some(_) => Err(Fault::Unsupported(format!("its input {i} is only known at run time"))),
    }
}

/// Integers of the attribute `name`, or of input `i` where newer operator sets have moved them.
pub(crate) fn ints_of(
    a: &Attributes,
    name: &str,
    inputs: &[Option<&Fact>],
    i: usize,
) -> Result<Option<Vec<i64>>, Fault> {
    match a.ints(name) {
        Some(list) => Ok(Some(list.to_vec())),
        None => known_ints(inputs, i),
    }
}

/// The same for an evaluation.
pub(crate) fn ints_in(a: &Attributes, name: &str, inputs: &[Option<&Tensor>], i: usize) -> Option<Vec<i64>> {
    match a.ints(name) {
        Some(list) => Some(list.to_vec()),
        None => inputs.get(i).copied().flatten().map(Tensor::to_ints),
    }
}

/// The shape rule of operators whose output is like their first input.
pub(crate) fn like_first(_: &Attributes, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>, Fault> {
    let x = fact(inputs, 0)?;
    Ok(vec![Fact::new(x.dtype, x.shape.clone())])
}

/// Axes of operators that work entry by entry on inputs which broadcast: aligned at their end.
pub(crate) fn aligned(_: &Attributes, x: &[Option<&Fact>], input: usize, axis: usize) -> Along {
    let rank = x.iter().flatten().map(|f| f.shape.len()).max().unwrap_or(0);
    match x.get(input) {
        Some(Some(own)) => Along::To(axis + rank - own.shape.len()),
        _ => Along::Unknown,
    }
}

/// Axes of operators that read the first input across `axes`, and keep all others apart.
pub(crate) fn apart(axes: Result<Vec<usize>, Fault>, input: usize, axis: usize) -> Along {
    match axes {
        Ok(axes) if input == 0 => {
            if axes.contains(&axis) {
                Along::Moved(axis)
            } else {
                Along::To(axis)
            }
        }
        _ => Along::Unknown,
    }
}

/// Axes of operators that take all channels of a place together, and neighbouring places.
pub(crate) fn channels_first(_: &Attributes, _: &[Option<&Fact>], input: usize, axis: usize) -> Along {
    match (input, axis) {
        (0, 0) => Along::To(0),
        (0, 1) => Along::Across,
        (0, axis) => Along::Moved(axis),
        _ => Along::Unknown,
    }
}

/// Evaluates a function of one variable everywhere.
pub(crate) fn map(inputs: &[Option<&Tensor>], f: impl Fn(f64) -> f64) -> Result<Vec<Tensor>, Fault> {
    let x = tensor(inputs, 0)?;
    Ok(vec![Tensor { dtype: x.dtype, data: x.data.mapv(f) }])
}
