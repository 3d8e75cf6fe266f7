//! Which axis of each value counts channels.

use super::Places;
use crate::Model;
use crate::ops::Layout;
use crate::shape::{Dim, Shapes};
use std::collections::HashMap;

/// The axis of each value that counts channels, as far as the operators before it tell. Never the first, which counts
/// images.
pub(crate) fn channel_axes(model: &Model, shapes: &Shapes, places: Option<&Places>) -> HashMap<String, usize> {
    let dims = |v: &str| shapes.dims(v).filter(|d| !d.is_empty());
    let images = model.inputs().filter_map(|i| Some((i.name(), shapes.image_channels(i.name())?)));
    let mut axes: HashMap<&str, usize> = images.collect();
    for (_, node) in model.order() {
        let layout = model.card(node).map_or(Layout::Other, |c| c.layout);
        let a = model.attributes(node);
        for output in node.output.iter().filter(|o| !o.is_empty()) {
            let Some(to) = dims(output) else { continue };
            // Of several inputs the first that is as wide and whose channels are known decides.
            let input = || {
                let known =
                    |i: &String| axes.get(i.as_str()).copied().filter(|_| dims(i).map(|d| d.len()) == Some(to.len()));
                node.input.iter().find_map(known)
            };
            let axis = match layout {
                Layout::ChannelsFirst => Some(1),
                Layout::ChannelsLast => Some(to.len() - 1),
                Layout::Same | Layout::Other => input(),
                Layout::Reshaped => {
                    let from = node.input.first();
                    from.and_then(|i| carried(&dims(i)?, axes.get(i.as_str()).copied()?, &to))
                }
                Layout::Permuted => input().and_then(|axis| match a.ints("perm") {
                    Some(perm) => perm.iter().position(|&p| usize::try_from(p) == Ok(axis)),
                    None => (to.len() - 1).checked_sub(axis),
                }),
            };
            if let Some(axis) = axis.filter(|&axis| axis > 0) {
                axes.insert(output, axis);
            }
        }
    }
    // Elsewhere channels are the axis that is left where all others make the places of the image.
    if let Some(places) = places {
        let unknown: Vec<&str> = model.values().filter(|v| !axes.contains_key(v)).collect();
        axes.extend(unknown.into_iter().filter_map(|v| Some((v, places.channels(shapes, v)?))));
    }
    axes.into_iter().map(|(value, axis)| (value.to_owned(), axis)).collect()
}

/// Where a Reshape leaves an axis whole: as long as before, with as many elements to each of its steps.
pub(crate) fn carried(from: &[Dim], axis: usize, to: &[Dim]) -> Option<usize> {
    let before = elements(&from[..axis])?;
    (0..to.len()).find(|&i| from.get(axis) == to.get(i) && elements(&to[..i]) == Some(before))
}

/// The axes longer than 1 that a Reshape makes of an axis alone.
pub(crate) fn split(from: &[Dim], axis: usize, to: &[Dim]) -> Vec<usize> {
    let first = (0..to.len()).find(|&i| elements(&from[..axis]) == elements(&to[..i]));
    let first = first.unwrap_or(to.len());
    let end = (first..to.len()).find(|&end| elements(&from[..=axis]) == elements(&to[..=end]));
    end.map_or_else(Vec::new, |end| (first..=end).filter(|&i| to[i] != Dim::Fixed(1)).collect())
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
