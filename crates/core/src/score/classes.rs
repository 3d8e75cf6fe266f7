//! Which axis of the scores counts classes: from a final softmax, from the operators that made the scores, from the number
//! of labels.

use crate::Model;
use crate::axes::reshape::{carried, split};
use crate::graph;
use crate::onnx::messages::NodeProto;
use crate::ops::{Along, Entries, FinalActivation, Layout};
use crate::shape::{Dim, Shapes};

/// What the graph tells of the axis that counts classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trace {
    /// Nothing.
    Nothing,
    /// There is no such axis any more: it was reduced, left out, or laid together with others.
    Gone,
    /// It was split into these axes, as anchors and classes: which of them counts classes is open.
    Split(Vec<usize>),
    /// The axis that the last operator with weights made, or along which probabilities lie beside other numbers.
    Axis {
        /// The axis.
        axis: usize,
        /// What lies along it one after the other, where that is not all of one kind.
        pieces: Vec<Piece>,
    },
}

/// A piece of the axis of classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// How many entries it has.
    width: usize,
    /// Whether a Sigmoid or Softmax made it.
    activated: bool,
}

impl Trace {
    /// The same with another number for the axis; gone where there is none.
    pub(super) fn map(self, axis_of: impl Fn(usize) -> Option<usize>) -> Trace {
        match self {
            Trace::Axis { axis, pieces } => axis_of(axis).map_or(Trace::Gone, |axis| Trace::Axis { axis, pieces }),
            Trace::Split(axes) => {
                axes.into_iter().map(axis_of).collect::<Option<_>>().map_or(Trace::Gone, Trace::Split)
            }
            other => other,
        }
    }

    /// The same behind a Reshape. Where one of the axes that it was split into is laid together with places, it counted
    /// anchors, and the classes are left alone.
    fn reshaped(self, from: &[Dim], to: &[Dim]) -> Trace {
        match self {
            Trace::Axis { axis, .. } if split(from, axis, to).len() > 1 => Trace::Split(split(from, axis, to)),
            Trace::Split(axes) => match *axes.iter().filter_map(|&axis| carried(from, axis, to)).collect::<Vec<_>>() {
                [] => Trace::Gone,
                [axis] => Trace::Axis { axis, pieces: Vec::new() },
                ref axes => Trace::Split(axes.to_vec()),
            },
            trace => trace.map(|axis| carried(from, axis, to)),
        }
    }
}

/// The axis of classes of one image's scores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ClassAxis {
    /// Which of the extents counts classes.
    pub(super) axis: Option<usize>,
    /// Where along it the classes begin.
    pub(super) first: usize,
    /// How many there are, where it is not all of the axis.
    pub(super) count: Option<usize>,
}

/// The numbers of a box, without and with the one that says whether there is an object. They come before the classes.
const BESIDE_CLASSES: [usize; 2] = [4, 5];
/// How many nodes are gone back through.
const MOST_STEPS: usize = 200;

/// The places of the extents that are longer than 1.
pub(super) fn non_one(sizes: &[usize]) -> impl Iterator<Item = usize> + '_ {
    sizes.iter().enumerate().filter(|(_, n)| **n != 1).map(|(place, _)| place)
}

/// Which of the extents `sizes` of one image's scores counts classes: the one that is `given`, the one that a final softmax
/// normalises, the one that the graph tells where the labels do not speak against it, the one that has as many entries as
/// there are labels.
pub(super) fn find(
    sizes: &[usize],
    given: Option<usize>,
    softmax: Option<usize>,
    trace: &Trace,
    labels: Option<usize>,
) -> ClassAxis {
    let pieces = |axis: usize| match trace {
        Trace::Axis { axis: own, pieces } if *own == axis => pieces.as_slice(),
        _ => &[],
    };
    let at = |axis: usize| {
        let (first, count) = sizes.get(axis).and_then(|&n| aligned(n, pieces(axis), labels)).unwrap_or((0, None));
        ClassAxis { axis: Some(axis), first, count }
    };
    let fits = |axis: &usize| {
        sizes.get(*axis).is_some_and(|&n| labels.is_none_or(|l| labelled(n, pieces(*axis), l).is_some()))
    };
    let only = |fit: &dyn Fn(usize, usize) -> bool| {
        let mut all = labels
            .into_iter()
            .flat_map(|l| (0..sizes.len()).filter(move |&a| sizes.get(a).is_some_and(|&n| fit(n, l))));
        all.next().filter(|_| all.next().is_none())
    };
    let exactly = || only(&|n, l| n == l);
    if let Some(axis) = given.or(softmax) {
        return at(axis);
    }
    match trace {
        Trace::Axis { axis, pieces } if !pieces.is_empty() || fits(axis) => at(*axis),
        Trace::Axis { axis, .. } => exactly().map_or_else(|| at(*axis), at),
        Trace::Gone | Trace::Split(_) => exactly().map_or_else(ClassAxis::default, at),
        Trace::Nothing => {
            let beside = || only(&|n, l| BESIDE_CLASSES.iter().any(|more| n == l + more));
            // A list whose making nothing is known of is one of classes.
            let list = || non_one(sizes).next().filter(|_| sizes.len() == 1).or((sizes.len() == 1).then_some(0));
            exactly().or_else(beside).or_else(list).map_or_else(ClassAxis::default, at)
        }
    }
}

/// Where the classes lie along an axis of `n` entries that is made of `pieces`: the first, and how many.
fn aligned(n: usize, pieces: &[Piece], labels: Option<usize>) -> Option<(usize, Option<usize>)> {
    if let Some(first) = labels.and_then(|labels| labelled(n, pieces, labels)) {
        return Some((first, labels));
    }
    // Probabilities beside other numbers are those of the classes; a single one beside them is that of an object.
    let (at, piece) =
        only_piece(pieces, |p| p.activated && p.width > 1).or_else(|| only_piece(pieces, |p| p.activated))?;
    Some((before(pieces, at), Some(piece.width)))
}

/// The entry of the first of so many labelled classes.
fn labelled(n: usize, pieces: &[Piece], labels: usize) -> Option<usize> {
    if n == labels {
        return Some(0);
    }
    if let Some((at, _)) = only_piece(pieces, |p| p.width == labels) {
        return Some(before(pieces, at));
    }
    let beside = n.checked_sub(labels).filter(|more| BESIDE_CLASSES.contains(more))?;
    // Where the parts are known, the classes are the end of the last.
    let last = pieces.last().is_none_or(|p| p.width > labels);
    last.then_some(beside)
}

fn only_piece(pieces: &[Piece], which: impl Fn(&Piece) -> bool) -> Option<(usize, &Piece)> {
    let mut found = pieces.iter().enumerate().filter(|(_, p)| which(p));
    found.next().filter(|_| found.next().is_none())
}

fn before(pieces: &[Piece], at: usize) -> usize {
    pieces.iter().take(at).map(|p| p.width).sum()
}

/// What the operators that made `value` tell of its axis of classes.
pub(super) fn trace(model: &Model, shapes: &Shapes, value: &str) -> Trace {
    Walk { model, shapes, left: MOST_STEPS }.trace(value)
}

struct Walk<'a> {
    model: &'a Model,
    shapes: &'a Shapes,
    left: usize,
}

impl Walk<'_> {
    fn dims(&self, value: &str) -> Option<Vec<Dim>> {
        self.shapes.dims(value)
    }

    fn trace(&mut self, value: &str) -> Trace {
        let Some(left) = self.left.checked_sub(1) else { return Trace::Nothing };
        self.left = left;
        let model = self.model;
        let (Some(node), Some(to)) = (model.maker(value), self.dims(value)) else { return Trace::Nothing };
        let a = model.attributes(node);
        let plain = |axis: Option<usize>| axis.map_or(Trace::Nothing, |axis| Trace::Axis { axis, pieces: Vec::new() });
        let Some(input) = node.input.first() else { return Trace::Nothing };
        let Some(from) = self.dims(input) else { return Trace::Nothing };
        let Some(card) = model.card(node) else { return Trace::Nothing };
        match (card.entries, card.layout) {
            (Entries::Joined, _) => self.concat(node, &to),
            // A stored matrix from the left makes rows.
            (Entries::MatrixProduct, _) if model.initializer(input).is_some() => plain(to.len().checked_sub(2)),
            (_, Layout::ChannelsFirst) => plain((to.len() > 1).then_some(1)),
            (_, Layout::ChannelsLast) => plain(to.len().checked_sub(1)),
            (_, Layout::Permuted) => self.trace(input).map(|axis| match a.ints("perm") {
                Some(perm) => perm.iter().position(|&p| usize::try_from(p) == Ok(axis)),
                None => (to.len() - 1).checked_sub(axis),
            }),
            (_, Layout::Reshaped) => self.trace(input).reshaped(&from, &to),
            (Entries::Reduced | Entries::PlaceOfBest, _) => {
                let along = |axis: usize| self.shapes.along(model, node, axis);
                if (0..from.len()).any(|axis| along(axis) == Along::Unknown) {
                    return Trace::Nothing;
                }
                self.trace(input).map(|axis| match along(axis) {
                    Along::To(axis) => Some(axis),
                    _ => None,
                })
            }
            // One entry is taken along an axis, which is gone.
            (Entries::Indexed, _) if to.len() + 1 == from.len() => {
                let Ok(taken) = graph::axis(a.int("axis", 0), from.len()) else { return Trace::Nothing };
                self.trace(input).map(|axis| match axis.cmp(&taken) {
                    std::cmp::Ordering::Less => Some(axis),
                    std::cmp::Ordering::Equal => None,
                    std::cmp::Ordering::Greater => Some(axis - 1),
                })
            }
            (_, Layout::Same) => {
                let mut trace = Trace::Nothing;
                for input in node.input.iter().filter(|i| model.maker(i).is_some()) {
                    let Some(from) = self.dims(input) else { continue };
                    // Fewer axes are aligned at the end.
                    let lead = to.len().saturating_sub(from.len());
                    let here = self.trace(input).map(|axis| Some(axis + lead).filter(|&a| to.get(a) == from.get(axis)));
                    match here {
                        Trace::Axis { .. } => return here,
                        Trace::Gone | Trace::Split(_) => trace = here,
                        Trace::Nothing => {}
                    }
                }
                trace
            }
            (
                Entries::Parted
                | Entries::Sliced
                | Entries::Indexed
                | Entries::Padded
                | Entries::Resized
                | Entries::Broadcast
                | Entries::IndexedEach
                | Entries::Sorted,
                _,
            ) if to.len() == from.len() => self.trace(input).map(Some).without_pieces(),
            _ => Trace::Nothing,
        }
    }

    /// Values one after the other: along the axis of classes, where some are probabilities and others are not.
    fn concat(&mut self, node: &NodeProto, to: &[Dim]) -> Trace {
        let a = self.model.attributes(node);
        let Ok(axis) = graph::axis(a.int("axis", 1), to.len()) else { return Trace::Nothing };
        let width = |input: &String| self.dims(input)?.get(axis).map(|d| d.per_image());
        let piece = |input: &String| Some(Piece { width: width(input)?, activated: self.is_activated(input) });
        let pieces: Option<Vec<Piece>> = node.input.iter().map(piece).collect();
        let mixed = |pieces: &Vec<Piece>| pieces.iter().any(|p| p.activated) && pieces.iter().any(|p| !p.activated);
        if let Some(pieces) = pieces.filter(mixed) {
            return Trace::Axis { axis, pieces };
        }
        let mut trace = Trace::Nothing;
        for input in &node.input {
            match self.trace(input) {
                // Along its own axis the parts are no longer the whole.
                Trace::Axis { axis: own, .. } if own == axis => {
                    return Trace::Axis { axis, pieces: Vec::new() };
                }
                found @ Trace::Axis { .. } => return found,
                found @ (Trace::Gone | Trace::Split(_)) => trace = found,
                Trace::Nothing => {}
            }
        }
        trace
    }

    /// Whether a value is a probability: made by a Sigmoid or Softmax, and then only moved.
    fn is_activated(&self, value: &str) -> bool {
        let mut at = value;
        for _ in 0..MOST_STEPS {
            let Some((node, input)) = self.model.maker(at).and_then(|n| Some((n, n.input.first()?))) else {
                return false;
            };
            let Some(card) = self.model.card(node) else { return false };
            match card.final_activation {
                Some(FinalActivation::Each | FinalActivation::Shares) => return true,
                _ if card.renames || card.layout == Layout::Permuted => at = input,
                _ => return false,
            }
        }
        false
    }
}

impl Trace {
    fn without_pieces(self) -> Trace {
        match self {
            Trace::Axis { axis, .. } => Trace::Axis { axis, pieces: Vec::new() },
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(width: usize, activated: bool) -> Piece {
        Piece { width, activated }
    }

    #[test]
    fn classes_are_found_beside_the_numbers_of_a_box() {
        // Boxes and classes; and an angle behind them; a box, an object and classes.
        let (plain, turned) = ([piece(4, false), piece(3, true)], [piece(4, false), piece(3, true), piece(1, true)]);
        let object = [piece(4, false), piece(1, true), piece(3, true)];
        assert_eq!(aligned(7, &plain, Some(3)), Some((4, Some(3))));
        assert_eq!(aligned(7, &plain, None), Some((4, Some(3))));
        assert_eq!(aligned(8, &turned, Some(3)), Some((4, Some(3))));
        assert_eq!(aligned(8, &turned, None), Some((4, Some(3))));
        assert_eq!(aligned(8, &object, Some(3)), Some((5, Some(3))));
        assert_eq!(aligned(8, &object, None), Some((5, Some(3))));
        // Two, two and an object with its classes: where the labels are known, they are the end.
        let together = [piece(2, false), piece(2, false), piece(4, true)];
        assert_eq!(aligned(8, &together, Some(3)), Some((5, Some(3))));
        assert_eq!(aligned(8, &[], Some(3)), Some((5, Some(3))));
        assert_eq!(aligned(8, &[], Some(8)), Some((0, Some(8))));
        assert_eq!(aligned(7, &plain, Some(6)), Some((4, Some(3))));
        assert_eq!(aligned(8, &[], None), None);
    }

    #[test]
    fn the_axis_is_given_or_normalised_or_told_or_labelled() {
        let trace = |axis| Trace::Axis { axis, pieces: Vec::new() };
        let axis =
            |sizes: &[usize], given, softmax, trace: &Trace, labels| find(sizes, given, softmax, trace, labels).axis;
        let sizes = [16, 11];
        assert_eq!(axis(&sizes, None, None, &trace(1), None), Some(1));
        assert_eq!(axis(&sizes, None, Some(0), &trace(1), Some(11)), Some(0));
        assert_eq!(axis(&sizes, Some(0), Some(1), &trace(1), Some(11)), Some(0));
        assert_eq!(axis(&sizes, None, None, &trace(1), Some(16)), Some(0));
        assert_eq!(axis(&sizes, None, None, &Trace::Nothing, Some(11)), Some(1));
        assert_eq!(axis(&sizes, None, None, &Trace::Nothing, Some(7)), Some(1));
        assert_eq!(axis(&sizes, None, None, &Trace::Nothing, None), None);
        assert_eq!(axis(&[11, 11], None, None, &Trace::Gone, Some(11)), None);
        // A list is one of classes, unless the graph says that its classes are gone.
        assert_eq!(axis(&[10], None, None, &Trace::Nothing, None), Some(0));
        assert_eq!(axis(&[7500], None, None, &Trace::Gone, None), None);
        assert_eq!(axis(&[7500], None, None, &Trace::Gone, Some(7500)), Some(0));
    }
}
