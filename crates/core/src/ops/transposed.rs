//! Linear maps along one axis, and their transposes, as derivative rules emit them.

use super::slicing::{Range, unsliced};
use crate::build::Value;
use crate::error::{Fault, unsupported};
use crate::graph::with_extent;
use crate::shape::Dim;
use ndarray::{Array1, Array2, ArrayD, ArrayViewMut1, Axis};

/// Stored tables and matrices may have so many entries, and what is made of indices while a network runs, for one image.
pub const LARGEST: usize = 1 << 24;

/// The transpose of y = x[places] along `axis`, where x has `extent` places: each gets the sum of what it gave.
///
/// A regular choice is a Slice and its transpose a Pad. Any other is looked up: row p of a table names the entries of
/// `d` that place p gave, and as many zeros as make all rows equally long.
///
/// # Errors
/// [`Fault::Unsupported`] when the table would have more than [`LARGEST`] entries.
pub fn ungather<'g>(d: Value<'g>, axis: usize, places: &[usize], extent: usize) -> Result<Value<'g>, Fault> {
    if let Some(range) = progression(axis, places) {
        return Ok(unsliced(d, &range, extent));
    }
    if extent > LARGEST {
        return unsupported(format!("{} places chosen from {extent}", places.len()));
    }
    let mut given: Vec<Vec<i64>> = vec![Vec::new(); extent];
    for (entry, &place) in places.iter().enumerate() {
        match given.get_mut(place) {
            Some(row) => row.push(entry as i64),
            None => return unsupported(format!("place {place} of {extent}")),
        }
    }
    let longest = given.iter().map(Vec::len).max().unwrap_or(0);
    if extent.saturating_mul(longest) > LARGEST {
        return unsupported(format!("{} places chosen from {extent}, one of them {longest} times", places.len()));
    }
    let zero = places.len() as i64;
    given.iter_mut().for_each(|row| row.resize(longest, zero));
    let table = given.concat();
    let mut d = d;
    if table.contains(&zero) {
        d = d.pad_along(axis, 0, 1);
    }
    if !table.iter().copied().eq(0..zero) {
        d = d.gather(d.graph().ints(&table), axis);
    }
    let dims = d.dims();
    let (lead, tail) = (dims.get(..axis).unwrap_or(&[]), dims.get(axis + 1..).unwrap_or(&[]));
    let rows = [Dim::Fixed(extent), Dim::Fixed(longest)];
    Ok(if longest == 1 { d } else { d.reshape(&[lead, &rows, tail].concat()).reduce_sum(&[axis + 1], false) })
}

/// `places` as a Slice, where they are equally far apart.
fn progression(axis: usize, places: &[usize]) -> Option<Range> {
    let start = *places.first()? as i64;
    let step = places.get(1).map_or(1, |&p| p as i64 - start);
    let regular = places.windows(2).all(|w| matches!(w, &[a, b] if b as i64 - a as i64 == step));
    (regular && step != 0).then_some(Range { axis, start, step, count: places.len() })
}

/// A row of a matrix: its entries that are not 0, by column.
pub type MatrixRow = Vec<(usize, f64)>;

/// R·x along `axis`.
///
/// # Errors
/// [`Fault::Invalid`] when there is no such axis.
pub fn multiply(x: &ArrayD<f64>, axis: usize, rows: &[MatrixRow]) -> Result<ArrayD<f64>, Fault> {
    let mut y = ArrayD::zeros(with_extent(x.shape(), axis, rows.len())?);
    for (row, mut to) in rows.iter().zip(y.axis_iter_mut(Axis(axis))) {
        row.iter().for_each(|&(place, weight)| to.scaled_add(weight, &x.index_axis(Axis(axis), place)));
    }
    Ok(y)
}

/// Adds a row's entries to all entries of it, `whole`.
fn add(row: &MatrixRow, mut whole: ArrayViewMut1<f64>) -> Result<(), Fault> {
    let extent = whole.len();
    for &(place, weight) in row {
        let sum = whole.get_mut(place).ok_or_else(|| Fault::Unsupported(format!("place {place} of {extent}")))?;
        *sum += weight;
    }
    Ok(())
}

/// The transpose of y = R·x along `axis`, where x has `extent` places: Rᵀ·d. An extent of 1 of `d` may stand for all
/// rows of R.
///
/// # Errors
/// [`Fault::Unsupported`] when R would have more than [`LARGEST`] entries.
pub fn unmultiply<'g>(d: Value<'g>, axis: usize, rows: &[MatrixRow], extent: usize) -> Result<Value<'g>, Fault> {
    let rank = d.rank();
    if d.dims().get(axis) == Some(&Dim::Fixed(1)) {
        let mut sums = Array1::zeros(extent);
        rows.iter().try_for_each(|row| add(row, sums.view_mut()))?;
        let shape = with_extent(&vec![1; rank], axis, extent)?;
        return Ok(d * d.tensor(sums.into_shape_with_order(shape).unwrap_or_default()));
    }
    let single = |row: &MatrixRow| if let &[(place, 1.0)] = row.as_slice() { Some(place) } else { None };
    if let Some(places) = rows.iter().map(single).collect::<Option<Vec<usize>>>() {
        return ungather(d, axis, &places, extent);
    }
    if rows.len().saturating_mul(extent) > LARGEST {
        return unsupported(format!("a matrix of {} by {extent}", rows.len()));
    }
    let mut r = Array2::zeros((rows.len(), extent));
    rows.iter().zip(r.outer_iter_mut()).try_for_each(|(row, whole)| add(row, whole))?;
    if axis + 2 == rank {
        return Ok(d.tensor(r.reversed_axes().into_dyn()).matmul(d));
    }
    let mut perm: Vec<usize> = (0..rank).collect();
    perm.swap(axis, rank - 1);
    Ok(d.transpose(&perm).matmul(d.tensor(r.into_dyn())).transpose(&perm))
}
