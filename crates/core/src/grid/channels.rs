//! Which axis of each value counts channels.

use super::Places;
use crate::Model;
use crate::axes::Samples;
use crate::axes::reshape::carried;
use crate::ops::Layout;
use crate::shape::Shapes;
use std::collections::HashMap;

/// The axis of each value that counts channels, as far as the operators before it tell. Never the one that counts images.
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
            let counts_images = |&axis: &usize| axis == shapes.samples(output).map_or(0, Samples::axis);
            if let Some(axis) = axis.filter(|axis| !counts_images(axis)) {
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
