//! What the axes of an input are, as the operators tell that read them.

use super::reshape::stretches;
use crate::Model;
use crate::graph::Attributes;
use crate::ops::{Along, Card, Entries, Layout, shape_only};
use crate::shape::{Fact, Shapes, of_inputs};
use std::collections::HashMap;

/// What the axes of an input are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InputAxes {
    /// The axis that counts channels; none where there is no such axis.
    pub(super) channels: Option<usize>,
    /// The axes of frames: they are read like the samples, one frame apart from the others.
    pub(super) frames: Vec<usize>,
}

/// Of each axis of a value the axes of the image that are in it, and whether they are in it whole.
type Origins = Vec<Vec<(usize, bool)>>;

/// What the axes of the input `image` are, as the first operator reads it that tells channels from places. None where no
/// operator tells.
pub(super) fn input_axes(model: &Model, shapes: &Shapes, image: &str) -> Option<InputAxes> {
    let rank = shapes.dims(image)?.len();
    let facts = &shapes.probes.first()?.1;
    let mut origins: HashMap<&str, Origins> = HashMap::from([(image, (0..rank).map(|a| vec![(a, true)]).collect())]);
    let (mut product, mut hint) = (None, None);
    for (_, node) in model.order().filter(|(_, node)| !shape_only(node)) {
        let Some((input, own)) =
            node.input.iter().enumerate().find_map(|(i, n)| Some((i, origins.get(n.as_str())?.clone())))
        else {
            continue;
        };
        let (Some(card), Some(inputs)) = (model.card(node), of_inputs(facts, node)) else { continue };
        let a = model.attributes(node);
        match card.layout {
            Layout::ChannelsFirst if input == 0 && own.len() >= 3 => return told(rank, &own, 1),
            // A product with a matrix can be one along an axis of space, as long as no operator says more.
            Layout::ChannelsLast if input == 0 && own.len() >= 3 && product.is_none() => {
                product = told(rank, &own, own.len() - 1);
            }
            _ => {}
        }
        hint = hint.or_else(|| hinted(card, &a, &inputs, (input, &own), rank));
        for output in node.output.iter().filter(|o| !o.is_empty()) {
            let Some(to) = facts.get(output).map(|f| f.shape.as_slice()) else { continue };
            let made = match (card.layout, inputs.get(input).copied().flatten()) {
                (Layout::Reshaped, Some(from)) if input == 0 => regrouped(&own, &from.shape, to),
                _ => carried_along(card, &a, &inputs, (input, &own), to.len()),
            };
            if made.iter().any(|o| !o.is_empty()) {
                origins.insert(output, made);
            }
        }
    }
    product.or(hint.map(|axis| InputAxes { channels: Some(axis), frames: Vec::new() }))
}

/// What the axes of an image of `rank` axes are, where an operator reads the axis `read` of a value with these origins as
/// channels, those behind the first as places and the first as samples.
fn told(rank: usize, origins: &Origins, read: usize) -> Option<InputAxes> {
    let of = |axis: usize| origins.get(axis).into_iter().flatten().map(|(axis, _)| *axis).filter(|&axis| axis > 0);
    let places: Vec<usize> = (1..origins.len()).filter(|&a| a != read).flat_map(of).collect();
    let frames: Vec<usize> = of(0).filter(|a| !places.contains(a) && of(read).all(|own| own != *a)).collect();
    // Of several that are read as one, frames come before the channels of each.
    if let Some(last) = of(read).rfind(|a| !places.contains(a)) {
        return Some(InputAxes { channels: Some(last), frames });
    }
    // What is read as channels was made on the way: those of the image are the axis that is left.
    let mut left = (1..rank).filter(|a| !places.contains(a) && !frames.contains(a));
    match (left.next(), left.next()) {
        (channels, None) if !places.is_empty() => Some(InputAxes { channels, frames }),
        _ => None,
    }
}

/// Which axis of the image looks like channels to an operator that does not tell them from places: what has a constant for
/// each entry of one axis, what is normalised along the last, what is left by a resize, a pad or a reduction.
fn hinted(
    card: &Card,
    a: &Attributes,
    inputs: &[Option<&Fact>],
    (input, own): (usize, &Origins),
    rank: usize,
) -> Option<usize> {
    let single = |axis: usize| match own.get(axis)?.as_slice() {
        [(axis, true)] if *axis > 0 => Some(*axis),
        _ => None,
    };
    let kept = |input: usize, axis: usize| matches!((card.along)(a, inputs, input, axis), Along::To(_));
    let changed = || (0..own.len()).filter(|&axis| !kept(0, axis));
    match card.entries {
        Entries::AsLaidOut if card.layout == Layout::Same && inputs.len() == 2 => {
            let other = 1 - input.min(1);
            let shape = &inputs.get(other).copied().flatten()?.shape;
            let lead = own.len().checked_sub(shape.len())?;
            let mut wide = (0..shape.len()).filter(|&i| shape.get(i) != Some(&1));
            let axis = wide.next().filter(|&axis| wide.next().is_none() && kept(other, axis))?;
            single(axis + lead)
        }
        Entries::Normalised if input == 0 => match *changed().collect::<Vec<_>>() {
            [axis] if axis + 1 == own.len() => single(axis),
            _ => None,
        },
        Entries::Resized | Entries::Padded | Entries::Reduced if input == 0 => {
            let places: Vec<usize> = changed().filter_map(single).collect();
            let mut left = (1..rank).filter(|axis| !places.contains(axis));
            left.next().filter(|_| places.len() > 1 && left.next().is_none())
        }
        _ => None,
    }
}

/// The origins of the axes of an output of `rank` axes.
fn carried_along(
    card: &Card,
    a: &Attributes,
    inputs: &[Option<&Fact>],
    (input, own): (usize, &Origins),
    rank: usize,
) -> Origins {
    let mut made: Origins = vec![Vec::new(); rank];
    for (axis, origins) in own.iter().enumerate() {
        if let Along::To(to) | Along::Moved(to) = (card.along)(a, inputs, input, axis)
            && let Some(slot) = made.get_mut(to)
        {
            slot.extend(origins);
        }
    }
    made
}

/// The origins of the axes of a Reshape, each from those that it is made of.
fn regrouped(own: &Origins, from: &[usize], to: &[usize]) -> Origins {
    let mut made: Origins = vec![Vec::new(); to.len()];
    for (before, after) in stretches(from, to).unwrap_or_default() {
        // An axis that is taken apart is in none of its parts whole.
        let is_wide = |axis: &usize| to.get(*axis) != Some(&1);
        let wide: Vec<usize> = after.clone().filter(is_wide).collect();
        let origins = own.get(before).unwrap_or(&[]).iter().flatten();
        let origins: Vec<(usize, bool)> = origins.map(|(axis, whole)| (*axis, *whole && wide.len() <= 1)).collect();
        for axis in if wide.is_empty() { after.collect() } else { wide } {
            made.iter_mut().skip(axis).take(1).for_each(|slot| slot.clone_from(&origins));
        }
    }
    made
}
