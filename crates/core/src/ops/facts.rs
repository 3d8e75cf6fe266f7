//! What cards say of an operator beside its shapes, values and derivative.

use crate::graph::Attributes;
use crate::tensor::Tensor;

/// How a value depends on the target layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dependence {
    /// Not at all.
    None,
    /// Only by steps, through indices or comparisons.
    Discrete,
    /// With a derivative.
    Smooth,
}

/// What kind of function an operator is in the inputs that depend on the target layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Linearity {
    /// f(A) = L·A + c.
    Affine,
    /// Affine on each of finitely many regions.
    Piecewise,
    /// Anything else.
    Smooth,
}

/// Affine whichever inputs depend on the layer.
pub fn affine(_: &Attributes, _: &[Dependence]) -> Linearity {
    Linearity::Affine
}

/// Affine in the first input alone.
pub fn affine_in_first(_: &Attributes, inputs: &[Dependence]) -> Linearity {
    match inputs {
        [_, rest @ ..] if rest.contains(&Dependence::Smooth) => Linearity::Smooth,
        _ => Linearity::Affine,
    }
}

/// Piecewise affine.
pub fn piecewise(_: &Attributes, _: &[Dependence]) -> Linearity {
    Linearity::Piecewise
}

/// Not affine.
pub fn smooth(_: &Attributes, _: &[Dependence]) -> Linearity {
    Linearity::Smooth
}

/// A product: affine as long as one factor alone depends on the layer.
pub fn product(_: &Attributes, inputs: &[Dependence]) -> Linearity {
    match inputs.iter().filter(|&&d| d == Dependence::Smooth).count() {
        0 | 1 => Linearity::Affine,
        _ => Linearity::Smooth,
    }
}

/// How an input of a node scales with the layer.
#[derive(Clone, Copy, Debug)]
pub struct Scaling<'a> {
    /// With t times the layer, for t > 0, it is tᵏ times what it was: this is k. 0 where it stays the same.
    pub degree: f64,
    /// Its value, where that is stored.
    pub stored: Option<&'a Tensor>,
}

impl Scaling<'_> {
    /// Whether it is stored, and between 0 and `most`.
    pub(super) fn is_within(&self, most: f64) -> bool {
        self.stored.is_some_and(|t| t.data.iter().all(|v| (0.0..=most).contains(v)))
    }
}

/// From attributes and the inputs, at least one of them of another degree than 0 and `None` where one is left out, to the
/// degree of the first output; none where it scales otherwise. Where an operator gives its input in parts it is that of
/// all outputs.
pub type DegreeRule = fn(&Attributes, &[Option<Scaling>]) -> Option<f64>;

/// The largest ε of a normalisation: up to it, what is added to a value does not count for how that scales.
pub const EPSILON: f64 = 1e-3;

/// The degree that all inputs share. Zeros have any, and so has what is stored up to `most`.
fn shared_degree(inputs: &[Option<Scaling>], most: f64) -> Option<f64> {
    let mut degrees = inputs.iter().flatten().filter(|input| !input.is_within(most)).map(|input| input.degree);
    let first = degrees.next()?;
    degrees.all(|degree| degree == first).then_some(first)
}

/// Of inputs that stand side by side: the degree that they share.
pub fn degree_of_all(_: &Attributes, inputs: &[Option<Scaling>]) -> Option<f64> {
    shared_degree(inputs, 0.0)
}

/// Of a sum or a largest: the degree that the terms share, an ε left aside.
pub fn degree_of_terms(_: &Attributes, inputs: &[Option<Scaling>]) -> Option<f64> {
    shared_degree(inputs, EPSILON)
}

/// That of the first input, where no other changes.
pub fn degree_of_first(_: &Attributes, inputs: &[Option<Scaling>]) -> Option<f64> {
    let (first, rest) = inputs.split_first()?;
    let changes = rest.iter().flatten().any(|input| input.degree != 0.0);
    first.filter(|_| !changes).map(|input| input.degree)
}

/// Of a product of the first two inputs, to which a third is added where there is one.
pub fn degree_of_product(_: &Attributes, inputs: &[Option<Scaling>]) -> Option<f64> {
    let (factors, terms) = inputs.split_at_checked(2)?;
    let degree = factors.iter().flatten().map(|factor| factor.degree).sum();
    terms.iter().flatten().all(|term| term.degree == degree || term.is_within(0.0)).then_some(degree)
}

/// Of what divides its first input by a measure of its size: nothing is left, where no other input changes.
pub fn degree_of_normalised(a: &Attributes, inputs: &[Option<Scaling>]) -> Option<f64> {
    degree_of_first(a, inputs).filter(|_| a.float("epsilon", 0.0) <= EPSILON).map(|_| 0.0)
}

/// What an operator does with the axes of its first input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Leaves them as they are.
    Same,
    /// Takes and gives `[N, C, spatial…]`.
    ChannelsFirst,
    /// Takes and gives `[N, …, C]`.
    ChannelsLast,
    /// Permutes them by `perm`.
    Permuted,
    /// Keeps the elements in their order and takes other axes.
    Reshaped,
    /// Makes other axes.
    Other,
}

/// What becomes of an axis of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Along {
    /// What lies at an entry of it is read for the same entry of this axis of the outputs, and for no other.
    To(usize),
    /// It becomes this axis of the outputs, but entries change places, come together or go: windows, slices, joins.
    Moved(usize),
    /// It is no axis of the outputs: its entries are summed over, compared, chosen from.
    Across,
    /// The card does not say.
    Unknown,
}

/// What a person would call an operator when choosing a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It computes.
    Compute,
    /// It only moves, renames, repeats, takes out or interpolates values.
    Movement,
    /// It pools over space.
    Pooling,
    /// It brings branches together.
    Join,
}

/// Where the entries of the outputs come from, for what follows axes and places through a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entries {
    /// From where the layout says: entry by entry, of inputs that broadcast, where axes stay as they are.
    AsLaidOut,
    /// The inputs come one after the other along the attribute `axis`.
    Joined,
    /// A product over the last two axes of two inputs.
    MatrixProduct,
    /// A product of two matrices that may be transposed by attributes.
    GeneralProduct,
    /// Products and sums by an equation of letters.
    Equation,
    /// From windows of the first input, weighted by the second.
    Convolved,
    /// Ranges of the first input.
    Sliced,
    /// Parts of the first input along the attribute `axis`, one an output.
    Parted,
    /// The first input with entries around it.
    Padded,
    /// The first input several times.
    Repeated,
    /// The first input enlarged or made smaller.
    Resized,
    /// The first input along axes of 1 to a larger shape.
    Broadcast,
    /// What a list of indices names along the attribute `axis` of the first input.
    Indexed,
    /// What an index for each entry names along the attribute `axis` of the first input.
    IndexedEach,
    /// What lists of several indices name.
    IndexedByLists,
    /// The first input with updates put to places of it.
    Scattered,
    /// The first input in order of size along the attribute `axis`.
    Sorted,
    /// Where the largest or smallest lies along the attribute `axis`.
    PlaceOfBest,
    /// Something over axes of the first input: a sum, a mean, an extremum.
    Reduced,
    /// The first input at places that the second names.
    Sampled,
    /// The first input, shifted and scaled by statistics of it or stored.
    Normalised,
}

/// What stored numbers mean to an operator that reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// Anything: it has no weights.
    None,
    /// They may be infinite, to mask values, but are numbers.
    Numbers,
    /// They are finite.
    Finite,
}

/// What an operator at the end of a network makes of scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinalActivation {
    /// A probability of each score for itself.
    Each,
    /// Shares of all along an axis.
    Shares,
    /// The logarithms of such shares.
    LogShares,
}

/// From attributes and whether each input is never negative to whether the outputs are so.
pub type SignRule = fn(&Attributes, &[bool]) -> bool;

/// Never negative.
pub fn never(_: &Attributes, _: &[bool]) -> bool {
    true
}

/// Not negative where the first input is not.
pub fn where_first(_: &Attributes, inputs: &[bool]) -> bool {
    inputs.first() == Some(&true)
}

/// Not negative where no input is.
pub fn where_all(_: &Attributes, inputs: &[bool]) -> bool {
    inputs.iter().all(|&not_negative| not_negative)
}
