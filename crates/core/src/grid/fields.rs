//! Receptive fields: which part of the image each place of a value is computed from.

use super::places::{places_of, sizes};
use super::steps::{Counts, MOST_AXES, line};
use super::{Placement, Places};
use crate::Model;
use crate::graph::{Attributes, reads};
use crate::onnx::describe;
use crate::ops::{Along, Card, Entries, Layout, shape_only};
use crate::shape::{Fact, Shapes, of_inputs};
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

/// Which part of the image the cells of a layer are computed from, as the graph tells: the theoretical receptive field, by
/// kernels, strides, dilations and pads. How much a cell is moved by each pixel in it the graph does not tell; pixels near
/// its middle count for most, as a rule (Luo et al. 2016, arXiv:1701.04128).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceptiveField {
    /// Along each axis of the image, for each row of cells: the pixels of the network's input, from the first to behind the
    /// last. The cell of a row and a column sees the rectangle that both make.
    pub sides: Vec<Vec<Range<usize>>>,
    /// The first node by which each cell also reads from far across, as an attention or a gate that is pooled over all of
    /// space: through it the cells may see all of the image. None where they see their rectangle alone.
    pub whole: Option<String>,
}

/// What the places of a value see.
#[derive(Clone, Debug)]
struct Seen {
    /// Along each axis of the image, for each place along it in its order.
    sides: [Arc<[Range<usize>]>; MOST_AXES],
    /// The node by which each reads from far across.
    whole: Option<usize>,
}

/// What the places of all values see, as far as that can be followed.
#[derive(Debug)]
pub(crate) struct Fields(HashMap<String, Seen>);

impl Fields {
    /// Follows what is seen from the image on.
    pub(crate) fn follow(model: &Model, shapes: &Shapes, places: &Places) -> Self {
        let mut seen = HashMap::new();
        let extents = sizes(shapes, &shapes.image).unwrap_or_default();
        let mut sides: [Arc<[Range<usize>]>; MOST_AXES] =
            std::array::from_fn(|_| Arc::from([Range { start: 0, end: 1 }]));
        for (side, axis) in sides.iter_mut().zip(shapes.image_places()) {
            *side = (0..extents.get(axis).copied().unwrap_or(1)).map(|k| k..k + 1).collect();
        }
        seen.insert(shapes.image.clone(), Seen { sides, whole: None });
        let Some((_, facts)) = shapes.probes.first() else { return Fields(seen) };
        let mut fields = Fields(seen);
        let mut from_image = HashSet::from([shapes.image.as_str()]);
        for (number, node) in model.order().filter(|(_, node)| !shape_only(node)) {
            if !reads(node).iter().any(|value| from_image.contains(value)) {
                continue;
            }
            from_image.extend(node.output.iter().map(String::as_str));
            let (Some(card), Some(facts)) = (model.card(node), of_inputs(facts, node)) else { continue };
            let step = Step { places, card, a: model.attributes(node), facts: &facts, number };
            for output in node.output.iter().filter(|o| !o.is_empty()) {
                if let Some(made) = step.made(&fields, &from_image, output) {
                    fields.0.insert(output.clone(), made);
                }
            }
        }
        fields
    }

    /// What the cells of a layer see that lies in the image as `placement` says, over the axes `space`.
    pub(crate) fn of(
        &self,
        model: &Model,
        shapes: &Shapes,
        (layer, space): (&str, &[usize]),
        placement: &Placement,
    ) -> Option<ReceptiveField> {
        let Seen { sides, whole } = self.0.get(layer)?;
        let extents = sizes(shapes, layer)?;
        let cells: Vec<usize> = match placement {
            Placement::As(grid) => grid.sides.clone(),
            Placement::AsIs => space.iter().map(|&axis| extents.get(axis).copied()).collect::<Option<_>>()?,
            Placement::Unknown | Placement::Elsewhere => return None,
        };
        let sides: Vec<Vec<Range<usize>>> = sides.iter().take(cells.len()).map(|side| side.to_vec()).collect();
        let fits = sides.iter().map(Vec::len).eq(cells);
        let whole = whole.and_then(|number| model.graph().node.get(number)).map(describe);
        fits.then_some(ReceptiveField { sides, whole })
    }
}

/// A node, for what goes through it.
struct Step<'a> {
    places: &'a Places,
    card: &'a Card,
    a: Attributes<'a>,
    facts: &'a [Option<&'a Fact>],
    number: usize,
}

impl Step<'_> {
    /// What the places of `output` see; none where it cannot be followed.
    fn made(&self, fields: &Fields, from_image: &HashSet<&str>, output: &str) -> Option<Seen> {
        let after = &self.places.of.get(output)?.axes;
        let mut all: Option<Seen> = None;
        // What is not made of the image sees nothing of it; what is, and was not followed, sees nobody knows what.
        let own = |(_, name): &(usize, &String)| from_image.contains(name.as_str());
        let mut axes: Option<Vec<Option<usize>>> = None;
        for (input, name) in self.a.node.input.iter().enumerate().filter(own) {
            let seen = self.through((input, name), fields.0.get(name)?.clone(), after)?;
            let kept = self.kept((input, name))?;
            let mut pairs = axes.get_or_insert_with(|| kept.clone()).iter().zip(&kept);
            // Places of one input are set against all of another, as in the weights of an attention.
            let crossed = pairs.any(|(a, b)| matches!((a, b), (Some(a), Some(b)) if a != b));
            all = Some(match all {
                Some(before) => self.together(before, seen)?,
                None => seen,
            });
            if let Some(all) = all.as_mut().filter(|_| crossed) {
                all.whole = all.whole.or(Some(self.number));
            }
        }
        all
    }

    /// Along each axis of the image: the first axis of the output in which an input's places lie, entry by entry.
    fn kept(&self, (input, name): (usize, &str)) -> Option<Vec<Option<usize>>> {
        let before = &self.places.of.get(name)?.axes;
        let to = |axis: usize| match (self.card.along)(&self.a, self.facts, input, axis) {
            Along::To(to) => Some(to),
            _ => None,
        };
        let along = |d: usize| {
            before.iter().enumerate().filter(|(_, counts)| lies_along(counts, d)).find_map(|(axis, _)| to(axis))
        };
        Some((0..MOST_AXES).map(along).collect())
    }

    /// What is left of what an input sees.
    fn through(&self, (input, name): (usize, &str), mut seen: Seen, after: &[Counts]) -> Option<Seen> {
        if matches!(self.card.layout, Layout::Reshaped | Layout::Permuted) {
            return Some(seen);
        }
        let before = &self.places.of.get(name)?.axes;
        if before.contains(&Counts::Lost) {
            return None;
        }
        for (axis, counts) in before.iter().enumerate().filter(|(_, counts)| places_of(counts)) {
            match (self.card.along)(&self.a, self.facts, input, axis) {
                Along::To(_) => {}
                Along::Across => self.across(&mut seen, counts, after),
                // A join of places with what is none, as class tokens: the places stay.
                Along::Moved(_) if self.card.entries == Entries::Joined => {
                    let alone = line_of(counts).is_some_and(|(_, n)| after.get(axis).map(entries) != Some(n));
                    if alone {
                        return None;
                    }
                }
                Along::Moved(to) => self.moved(&mut seen, (input, axis, counts), after.get(to))?,
                Along::Unknown => return None,
            }
        }
        Some(seen)
    }

    /// An axis of places is summed over: what is left sees what all of them saw; and so do others that stay.
    fn across(&self, seen: &mut Seen, counts: &Counts, after: &[Counts]) {
        for (along, side) in seen.sides.iter_mut().enumerate().filter(|(along, _)| lies_along(counts, *along)) {
            if after.iter().any(|counts| lies_along(counts, along)) {
                seen.whole = seen.whole.or(Some(self.number));
            } else {
                *side = Arc::from([union(side)]);
            }
        }
    }

    /// Entries along an axis of places are moved: windows, slices, pads, other sizes.
    fn moved(
        &self,
        seen: &mut Seen,
        (input, axis, counts): (usize, usize, &Counts),
        after: Option<&Counts>,
    ) -> Option<()> {
        let windows = || (self.card.windows)(&self.a, self.facts, axis).filter(|_| input == 0);
        match (line_of(counts), windows()) {
            (Some((along, n)), Some(windows)) => {
                let side = seen.sides.get_mut(along).filter(|side| side.len() == n)?;
                *side = windows.into_iter().map(|window| side.get(window).map(union)).collect::<Option<_>>()?;
                Some(())
            }
            // Tokens of both axes: others are taken from among them, but places stay.
            (None, Some(_)) => places(counts).eq(&places(after?)).then_some(()),
            // Each entry is set against all others and stays where it is.
            (_, None) if matches!(self.card.entries, Entries::AsLaidOut | Entries::Normalised) => {
                seen.whole = seen.whole.or(Some(self.number));
                Some(())
            }
            (_, None) => None,
        }
    }

    /// What two values see that are computed with, entry by entry.
    fn together(&self, a: Seen, b: Seen) -> Option<Seen> {
        let mut whole = match (a.whole, b.whole) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let mut sides = a.sides;
        for (side, other) in sides.iter_mut().zip(b.sides) {
            match (side.len(), other.len()) {
                (n, m) if n == m => {
                    *side = side.iter().zip(other.iter()).map(|(a, b)| union(&[a.clone(), b.clone()])).collect();
                }
                // One of them is the same everywhere, as a gate is.
                (_, 1) => whole = whole.or(Some(self.number)),
                (1, _) => {
                    *side = other;
                    whole = whole.or(Some(self.number));
                }
                _ => return None,
            }
        }
        Some(Seen { sides, whole })
    }
}

/// From the first to behind the last pixel of several windows. One without pixels has none.
fn union(windows: &[Range<usize>]) -> Range<usize> {
    let seen = || windows.iter().filter(|window| !window.is_empty());
    seen().map(|w| w.start).min().unwrap_or(0)..seen().map(|w| w.end).max().unwrap_or(0)
}

/// Whether an axis counts places that differ along the axis `along` of the image.
fn lies_along(counts: &Counts, along: usize) -> bool {
    let Counts::Places(steps) = counts else { return false };
    let mut own = steps.iter().flatten().filter_map(|step| step.get(along));
    own.next().is_some_and(|first| own.any(|other| other != first))
}

/// Which axis of the image an axis follows, and how many entries it has, where these are places one after the other.
fn line_of(counts: &Counts) -> Option<(usize, usize)> {
    let Counts::Places(steps) = counts else { return None };
    line(steps).map(|(along, ..)| (along, steps.len()))
}

fn entries(counts: &Counts) -> usize {
    if let Counts::Places(steps) = counts { steps.len() } else { 1 }
}

/// The places that an axis counts.
fn places(counts: &Counts) -> HashSet<[i64; MOST_AXES]> {
    if let Counts::Places(steps) = counts { steps.iter().flatten().copied().collect() } else { HashSet::new() }
}
