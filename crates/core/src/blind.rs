//! What a head is blind to, proven from the cards: the scale of the layer, or all of its places but one.

use crate::analysis::Analysis;
use crate::graph::{Attributes, reads};
use crate::head::{self, Head};
use crate::onnx::elements;
use crate::onnx::messages::NodeProto;
use crate::ops::{Along, Card, Entries, Layout, Scaling};
use crate::shape::{Fact, Facts, of_inputs};
use crate::tensor::DataType;
use crate::{Error, Model, Tensor, reference};
use ndarray::{ArrayD, Axis, Dimension, IxDyn};
use std::collections::{BTreeSet, HashMap};

/// Whether the scores stay the same when the activation is scaled by a positive number, as with a LayerNorm right after the
/// layer: then Σ g⊙A = 0 by Euler's theorem, whatever the score. Of tokens, those are scaled that are places of the image:
/// a class token goes around the LayerNorm.
///
/// The cards tell with which power of that number each value grows; where one does not, nothing is claimed. It holds up to
/// the ε of normalisations, of [`EPSILON`](crate::ops::EPSILON) at most, which counts where the layer is near 0.
///
/// # Errors
/// Those of [`Head::grid`].
pub fn ignores_scale(analysis: &Analysis, head: &Head) -> Result<bool, Error> {
    let (model, shapes) = (analysis.model(), &analysis.shapes);
    // Where some tokens keep their size, each place has a factor of its own.
    let own_factors = head.grid(analysis, None)?.is_some_and(|grid| grid.others() > 0);
    let places: &[usize] = if own_factors { &head.space } else { &[] };
    let Some((_, facts)) = shapes.probes.first() else { return Ok(false) };
    let mut known = HashMap::from([(head.layer.as_str(), Scaled { degree: 1.0, places: places.to_vec() })]);
    for node in head.path.iter().filter_map(|&i| model.graph().node.get(i)) {
        let all = || scaled(model, facts, head, node, &known);
        let Some(made) = all().or_else(|| scaled_beside_places(analysis, facts, head, node, &known)) else {
            return Ok(false);
        };
        // Of several outputs a card speaks of the first, but where it hands out its input in parts. What is made of values
        // that stay the same does so too.
        let parts = model.card(node).is_some_and(|card| card.entries == Entries::Parted);
        let changes = reads(node).iter().any(|name| known.get(name).is_some_and(|read| read.degree != 0.0));
        let spoken_of = if parts || !changes { node.output.len() } else { 1 };
        known.extend(node.output.iter().take(spoken_of).map(|output| (output.as_str(), made.clone())));
    }
    Ok(known.get(head.score.logits.as_str()).is_some_and(|logits| logits.degree == 0.0))
}

/// How a value scales with the layer.
#[derive(Clone)]
struct Scaled {
    degree: f64,
    /// The axes along which each entry scales with its own place of the layer alone.
    places: Vec<usize>,
}

/// How the outputs of a node scale.
fn scaled(
    model: &Model,
    facts: &Facts,
    head: &Head,
    node: &NodeProto,
    known: &HashMap<&str, Scaled>,
) -> Option<Scaled> {
    let grown = |name: &str| match (known.get(name), head.dependence.contains_key(name)) {
        (None, true) => None,
        (scaled, _) => Some(scaled.map_or(0.0, |scaled| scaled.degree)),
    };
    let all: Vec<f64> = reads(node).into_iter().map(grown).collect::<Option<_>>()?;
    // What is made of values that stay the same does so too, whatever makes it.
    if all.iter().all(|&degree| degree == 0.0) {
        return Some(Scaled { degree: 0.0, places: Vec::new() });
    }
    let (a, card) = (model.attributes(node), model.card(node)?);
    // The degrees of all that is read are known: what has none is left out.
    let scaling = |name: &String| {
        let stored = facts.get(name).and_then(|fact| fact.value.as_deref());
        grown(name).filter(|_| !name.is_empty()).map(|degree| Scaling { degree, stored })
    };
    let inputs: Vec<Option<Scaling>> = node.input.iter().map(scaling).collect();
    let degree = (card.degree)(&a, &inputs)?;
    let (of_inputs, to) = (of_inputs(facts, node)?, facts.get(node.output.first()?)?);
    let mut places = None;
    for (i, name) in node.input.iter().enumerate() {
        let Some(own) = known.get(name.as_str()).filter(|own| own.degree != 0.0) else { continue };
        let goes = |&axis: &usize| follow(card, &a, &of_inputs, to, (i, axis));
        let led: Vec<usize> = own.places.iter().map(goes).collect::<Option<_>>()?;
        if places.get_or_insert_with(|| led.clone()) != &led {
            return None;
        }
    }
    Some(Scaled { degree, places: places.unwrap_or_default() })
}

/// How the tokens of a node's output that are no places of the image scale, where of that output the scores read no others.
/// These tokens of the layer keep their size, and so do those of what has a factor of its own for each place.
fn scaled_beside_places(
    analysis: &Analysis,
    facts: &Facts,
    head: &Head,
    node: &NodeProto,
    known: &HashMap<&str, Scaled>,
) -> Option<Scaled> {
    let [output] = node.output.as_slice() else { return None };
    let model = analysis.model();
    let (a, card, to) = (model.attributes(node), model.card(node)?, facts.get(output)?);
    let of_inputs = of_inputs(facts, node)?;
    let mut beside = known.clone();
    for (i, name) in node.input.iter().enumerate() {
        let Some(own) = known.get(name.as_str()).filter(|own| !own.places.is_empty()) else { continue };
        own.places.iter().map(|&axis| follow(card, &a, &of_inputs, to, (i, axis))).collect::<Option<Vec<_>>>()?;
        beside.insert(name, Scaled { degree: 0.0, places: Vec::new() });
    }
    let made = scaled(model, facts, head, node, &beside)?;
    let rest = head::cut(analysis, output, None).ok()?;
    (places_read(analysis, &rest).ok()? == Some(0)).then_some(made)
}

/// The axis of an output of the shape of `to` that has an entry for each of the axis `axis` of input `i`, made of nothing
/// else along it.
fn follow(card: &Card, a: &Attributes, facts: &[Option<&Fact>], to: &Fact, (i, axis): (usize, usize)) -> Option<usize> {
    let own = &facts.get(i).copied().flatten()?.shape;
    let before = |shape: &[usize], axis: usize| shape.iter().take(axis).product::<usize>();
    let led = match card.layout {
        Layout::Reshaped if i == 0 => {
            (0..to.shape.len()).find(|&b| to.shape.get(b) == own.get(axis) && before(&to.shape, b) == before(own, axis))
        }
        _ => match (card.along)(a, facts, i, axis) {
            Along::To(b) => Some(b),
            _ => None,
        },
    };
    led.filter(|&b| to.shape.get(b) == own.get(axis))
}

/// Whether the scores read a single place of the image, or none: behind the last attention of a transformer, the class token
/// that alone is classified. Then a map has at most one cell.
///
/// An axis of space is followed as the cards say: to what takes some of its entries, and no further than to what reads
/// several for one.
///
/// # Errors
/// Those of [`Head::grid`].
pub fn reads_one_place(analysis: &Analysis, head: &Head) -> Result<bool, Error> {
    Ok(places_read(analysis, head)?.is_some_and(|places| places <= 1))
}

/// How many places of the image the scores read, where they are few: no more than there are tokens beside them, and one.
fn places_read(analysis: &Analysis, head: &Head) -> Result<Option<usize>, Error> {
    let (model, shapes) = (analysis.model(), &analysis.shapes);
    let Some((_, facts)) = shapes.probes.first() else { return Ok(None) };
    let Some(layer) = facts.get(&head.layer) else { return Ok(None) };
    let extent = |axis: usize| layer.shape.get(axis).copied().unwrap_or(1);
    let whole = head.space.iter().map(|&axis| Read::Along(axis, (0..extent(axis)).collect())).collect();
    let mut known: HashMap<&str, Vec<Read>> = HashMap::from([(head.layer.as_str(), whole)]);
    for node in head.path.iter().filter_map(|&i| model.graph().node.get(i)) {
        for (number, output) in node.output.iter().enumerate() {
            let made = read(model, facts, node, number, &known);
            known.insert(output, made);
        }
    }
    let Some(reads) = known.get(head.score.logits.as_str()) else { return Ok(None) };
    // The places as numbers among all of the layer.
    let mut places = vec![0];
    let grid = head.grid(analysis, None)?;
    let most = 1 + grid.as_ref().map_or(0, |grid| grid.others());
    for (read, &axis) in reads.iter().zip(&head.space) {
        let entries = read.entries();
        if entries.len().saturating_mul(places.len()) > most {
            return Ok(None);
        }
        places =
            places.iter().flat_map(|place| entries.iter().map(move |entry| place * extent(axis) + entry)).collect();
    }
    Ok(Some(places.iter().filter(|&&place| grid.as_ref().is_none_or(|grid| grid.holds(place))).count()))
}

/// What is read of one axis of space.
#[derive(Clone, PartialEq)]
enum Read {
    /// For each entry of this axis of the value one entry of the layer's.
    Along(usize, Vec<usize>),
    /// All of these for each entry.
    All(BTreeSet<usize>),
}

impl Read {
    fn entries(&self) -> BTreeSet<usize> {
        match self {
            Read::Along(_, entries) => entries.iter().copied().collect(),
            Read::All(entries) => entries.clone(),
        }
    }
}

/// What the output number `number` of a node reads of each axis of space.
fn read(model: &Model, facts: &Facts, node: &NodeProto, number: usize, known: &HashMap<&str, Vec<Read>>) -> Vec<Read> {
    let (of_inputs, to) = (of_inputs(facts, node), node.output.get(number).and_then(|name| facts.get(name)));
    let (a, card) = (model.attributes(node), model.card(node));
    let through = |i: usize, read: &Read| {
        let Read::Along(axis, entries) = read else { return read.clone() };
        let found = card.zip(to).zip(of_inputs.as_deref()).and_then(|((card, to), of_inputs)| {
            let kept = follow(card, &a, of_inputs, to, (i, *axis)).map(|b| Read::Along(b, entries.clone()));
            let takes = i == 0 && TAKING.contains(&card.entries);
            kept.or_else(|| taken(card, &a, of_inputs, number, (*axis, entries)).filter(|_| takes))
        });
        found.unwrap_or_else(|| Read::All(read.entries()))
    };
    // What subgraphs take from around them comes after the inputs.
    let given = node.input.iter().filter(|name| !name.is_empty()).count();
    let inputs = node.input.iter().enumerate().map(|(i, name)| (Some(i), name.as_str()));
    let mut made: Vec<Read> = Vec::new();
    for (i, name) in inputs.chain(reads(node).into_iter().skip(given).map(|name| (None, name))) {
        for (number, read) in known.get(name).into_iter().flatten().enumerate() {
            let led = i.map_or_else(|| Read::All(read.entries()), |i| through(i, read));
            match made.get_mut(number) {
                None => made.push(led),
                Some(before) if *before != led => *before = Read::All(&before.entries() | &led.entries()),
                Some(_) => {}
            }
        }
    }
    made
}

/// What takes some of the places out of many.
const TAKING: &[Entries] = &[Entries::Indexed, Entries::IndexedByLists, Entries::Sliced, Entries::Parted];

/// What a node that only takes entries of its first input takes along the axis `axis`, whose entries are `entries` of the
/// layer's: found by having it take the numbers of these.
fn taken(
    card: &Card,
    a: &Attributes,
    facts: &[Option<&Fact>],
    number: usize,
    (axis, entries): (usize, &[usize]),
) -> Option<Read> {
    let (first, rest) = facts.split_first()?;
    let shape = &(*first)?.shape;
    if elements(shape).ok()? > reference::MOST_NUMBERS {
        return None;
    }
    let entry = |at: IxDyn| at.as_array_view().get(axis).and_then(|&at| entries.get(at)).map_or(0.0, |&e| e as f64);
    let numbers = Tensor { dtype: DataType::Double, data: ArrayD::from_shape_fn(shape.as_slice(), entry) };
    let others: Vec<Option<&Tensor>> = rest.iter().map(|fact| fact.and_then(|f| f.value.as_deref())).collect();
    if rest.iter().zip(&others).any(|(fact, value)| fact.is_some() && value.is_none()) {
        return None;
    }
    let inputs: Vec<Option<&Tensor>> = std::iter::once(Some(&numbers)).chain(others).collect();
    let made = (card.eval)(a, &inputs).ok()?.into_iter().nth(number)?.data;
    let along = |axis: usize| -> Option<Read> {
        let lanes: Vec<BTreeSet<usize>> =
            made.axis_iter(Axis(axis)).map(|lane| lane.iter().map(|&v| v as usize).collect()).collect();
        let one = |lane: &BTreeSet<usize>| lane.first().copied().filter(|_| lane.len() == 1);
        Some(Read::Along(axis, lanes.iter().map(one).collect::<Option<_>>()?))
    };
    (0..made.ndim()).find_map(along).or_else(|| Some(Read::All(made.iter().map(|&v| v as usize).collect())))
}
