//! Which axes of a Reshape hold the same elements before and after it.

use crate::shape::Dim;
use std::ops::Range;

/// The shortest stretches of the axes `from`, and of the axes `to` that are made of them, with as many elements. None where
/// the extents do not go up, or hold nothing.
pub(crate) fn stretches(from: &[usize], to: &[usize]) -> Option<Vec<(Range<usize>, Range<usize>)>> {
    let mut found = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < from.len() || j < to.len() {
        let (first, second) = (i, j);
        let (mut before, mut after) = (1usize, 1usize);
        while before != after || (i, j) == (first, second) {
            let (count, list, at) = match before <= after && i < from.len() {
                true => (&mut before, from, &mut i),
                false => (&mut after, to, &mut j),
            };
            *count = count.checked_mul(*list.get(*at)?).filter(|&n| n > 0)?;
            *at += 1;
        }
        found.push((first..i, second..j));
    }
    Some(found)
}

/// Where a Reshape leaves an axis whole: as long as before, with as many elements to each of its steps.
pub(crate) fn carried(from: &[Dim], axis: usize, to: &[Dim]) -> Option<usize> {
    let before = elements(from.get(..axis)?)?;
    (0..to.len()).find(|&i| from.get(axis) == to.get(i) && to.get(..i).and_then(elements) == Some(before))
}

/// The axes longer than 1 that a Reshape makes of an axis alone.
pub(crate) fn split(from: &[Dim], axis: usize, to: &[Dim]) -> Vec<usize> {
    let ahead = |dims: &[Dim], end: usize| dims.get(..end).and_then(elements);
    let first = (0..to.len()).find(|&i| ahead(from, axis) == ahead(to, i)).unwrap_or(to.len());
    let end = (first + 1..=to.len()).find(|&end| ahead(from, axis + 1) == ahead(to, end)).unwrap_or(first);
    (first..end).filter(|&i| to.get(i) != Some(&Dim::Fixed(1))).collect()
}

/// How many of some extents follow the batch, and how many elements they have for one image.
fn elements(dims: &[Dim]) -> Option<(usize, usize)> {
    let batches = dims.iter().filter(|d| matches!(d, Dim::Batch(_))).count();
    Some((batches, dims.iter().try_fold(1usize, |n, d| n.checked_mul(d.per_image()))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_is_followed_through_a_reshape_that_leaves_it_whole() {
        let (n, dim) = (Dim::Batch(1), Dim::Fixed);
        let image = [n, dim(96), dim(14), dim(14)];
        assert_eq!(carried(&image, 1, &[n, dim(96), dim(196)]), Some(1));
        assert_eq!(carried(&[n, dim(196), dim(96)], 2, &[n, dim(14), dim(14), dim(96)]), Some(3));
        assert_eq!(carried(&[Dim::Batch(196), dim(96)], 1, &[dim(196), n, dim(96)]), Some(2));
        assert_eq!(carried(&image, 1, &[n, dim(2), dim(48), dim(14), dim(14)]), None);
        assert_eq!(carried(&image, 1, &[n, dim(96 * 196)]), None);
    }

    #[test]
    fn an_axis_is_split_by_a_reshape_of_it_alone() {
        let (n, dim) = (Dim::Batch(1), Dim::Fixed);
        let image = [n, dim(96), dim(14), dim(14)];
        assert_eq!(split(&image, 1, &[n, dim(2), dim(48), dim(14), dim(14)]), [1, 2]);
        assert_eq!(split(&image, 1, &[n, dim(2), dim(1), dim(48), dim(196)]), [1, 3]);
        assert!(split(&image, 1, &[n, dim(192), dim(7), dim(14)]).is_empty());
        assert!(split(&image, 1, &[n, dim(96 * 196)]).is_empty());
    }
}
