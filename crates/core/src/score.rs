//! The scores that can be explained: which tensor holds them, and what its axes count.

use crate::axes::Samples;
use crate::error::{near, short};
use crate::flow::dependence;
use crate::graph::{self, reads};
use crate::onnx::messages::{NodeProto, type_proto};
use crate::ops::{self, Along, Card, Entries, FinalActivation, Layout};
use crate::shape::{Dim, Shapes, show};
use crate::tensor::{is_float, is_integer};
use crate::{Error, Model};
use classes::{Trace, non_one};
use ndarray::{ArrayD, Axis};
use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

mod classes;
mod names;

pub use names::names;

/// The scores that can be explained: the entries of `logits`.
#[derive(Clone, Debug)]
pub struct Score {
    /// The tensor that they belong to: an output of the model, or one inside it.
    pub output: String,
    /// The value whose entries are the scores: the output, or what went into its final activation.
    pub logits: String,
    /// The axis of the logits that counts images. Absent where none does, as in the boxes of a single image.
    pub batch: Option<usize>,
    /// The extents of one image's scores: `[classes]`, or all of a dense output, as `[classes, height, width]`.
    pub dims: Vec<usize>,
    /// Which of `dims` counts classes; absent where neither the graph nor the labels tell it.
    pub class_axis: Option<usize>,
    /// The same axis among all of `output`, the one of images included.
    pub output_axis: Option<usize>,
    /// Where along that axis the classes begin: behind the numbers of a box, for example.
    pub first_class: usize,
    /// The number of classes; of a list whose axis of classes is open, of its entries.
    pub classes: usize,
    /// The final activation that was walked back through: its operator, if there was one.
    pub activation: Option<String>,
    /// What makes a probability of a score.
    pub probability: Activation,
    /// Why another tensor was taken than the model's outputs, in a sentence.
    pub instead: Option<String>,
}

/// What makes a probability of scores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// Nothing: the scores are no classes' logits, as in a regression.
    #[default]
    None,
    /// The share in Σ exp(score) over all classes.
    Softmax,
    /// 1 / (1 + exp(−score)), each class for itself.
    Sigmoid,
}

impl Activation {
    /// The probability that belongs to a score, which is one of `all`.
    pub fn of(self, score: f64, all: &[f64]) -> Option<f64> {
        match self {
            Activation::None => None,
            Activation::Sigmoid => Some(1.0 / (1.0 + (-score).exp())),
            Activation::Softmax => {
                let largest = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = all.iter().map(|s| (s - largest).exp()).sum();
                Some((score - largest).exp() / sum)
            }
        }
    }
}

impl FromStr for Activation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Activation::None, Activation::Softmax, Activation::Sigmoid];
        let found = all.into_iter().find(|a| a.to_string() == text);
        found.ok_or_else(|| "wanted is softmax, sigmoid or none".into())
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Activation::None => "none",
            Activation::Softmax => "softmax",
            Activation::Sigmoid => "sigmoid",
        })
    }
}

/// How the scores are to be read, where the model does not tell it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// The tensor that holds them: an output or a floating-point tensor inside; the output that looks like class scores
    /// when none is named.
    pub output: Option<String>,
    /// Whether the tensor itself is the score, and not the logits before its final activation.
    pub keep_activation: bool,
    /// The axis of that tensor that counts classes, from the end where negative.
    pub class_axis: Option<i64>,
    /// What makes a probability of a score; what the graph ends in when nothing is said.
    pub activation: Option<Activation>,
    /// How many labels there are.
    pub labels: Option<usize>,
}

impl Reading {
    /// What holds of any tensor: axis and activation are said of the one that is explained, which is not chosen by them.
    fn of_any(&self) -> Self {
        Reading { class_axis: None, activation: None, ..self.clone() }
    }
}

impl Score {
    /// Whether there are more scores than one a class.
    pub fn is_dense(&self) -> bool {
        self.dims.len() > 1
    }

    /// How many scores each image has.
    pub fn entries(&self) -> usize {
        self.dims.iter().product()
    }

    /// The class that the entry `at` of the axis of classes belongs to; none for what is no class, as the numbers of a box.
    pub fn class_at(&self, at: usize) -> Option<usize> {
        self.class_axis?;
        at.checked_sub(self.first_class).filter(|&class| class < self.classes)
    }

    /// Whether each class is predicted for itself, where its score is above 0: where a Sigmoid makes the probabilities, and
    /// where there is one class. Else the class of the largest score is.
    pub fn is_multi_label(&self) -> bool {
        self.probability == Activation::Sigmoid || self.classes == 1
    }

    /// Logits as the network gives them, with the images along the first axis.
    pub fn images_first<T: Clone>(&self, logits: ArrayD<T>) -> ArrayD<T> {
        match self.batch {
            Some(axis) if axis < logits.ndim() => {
                let order: Vec<usize> = [axis].into_iter().chain((0..logits.ndim()).filter(|&a| a != axis)).collect();
                logits.permuted_axes(order)
            }
            _ => logits.insert_axis(Axis(0)),
        }
    }

    /// The way back from [`Score::images_first`].
    pub fn images_back<T: Clone>(&self, first: ArrayD<T>) -> ArrayD<T> {
        match self.batch {
            Some(axis) if axis < first.ndim() => {
                let mut order: Vec<usize> = (1..first.ndim()).collect();
                order.insert(axis, 0);
                first.permuted_axes(order)
            }
            _ if first.ndim() > 0 && first.len_of(Axis(0)) == 1 => first.index_axis_move(Axis(0), 0),
            _ => first,
        }
    }
}

/// More renaming nodes than this do not come between a final activation and the output.
const MOST_RENAMINGS: usize = 100;
/// An output of more numbers an image than this is not explained.
const MOST_SCORES: usize = 1 << 24;
/// More tensors than this are not proposed.
const MOST_PROPOSED: usize = 8;

/// The scores that `reading` asks for. Where the outputs are no scores but what is made of them (the integers of an ArgMax,
/// the labels of a ZipMap, the values of a TopK), the tensor that this is made of is taken, if there is only one.
///
/// # Errors
/// [`Error::NotFound`] for an unknown tensor, [`Error::NoScores`] when there are none, or several tensors that the outputs
/// are made of, [`Error::Argument`] for an axis that is none.
pub fn read(model: &Model, shapes: &Shapes, reading: &Reading) -> Result<Score, Error> {
    let outputs: Vec<&str> = model.graph().output.iter().map(|o| o.name()).collect();
    if let Some(name) = reading.output.as_deref() {
        if !outputs.contains(&name) && !model.has_value(name) {
            let near = near(name, outputs.iter().copied().chain(model.values()));
            return Err(Error::NotFound { kind: "output", name: name.to_owned(), near });
        }
        return match of_value(model, shapes, name, reading)? {
            Some(score) => Ok(score),
            None => made_of(model, shapes, &[name], reading),
        };
    }
    let mut plain = Vec::new();
    for name in &outputs {
        let found = of_value(model, shapes, name, &reading.of_any())?;
        plain.extend(found.filter(|_| !is_chosen(model, shapes, name)));
    }
    // Among several outputs, one score a class comes before dense scores, and what ends in a probability before what
    // does not. What has four numbers a row beside another table is a detector's boxes.
    let boxes = |s: &Score| s.is_dense() && s.dims.last() == Some(&4);
    let best = plain.into_iter().min_by_key(|s| (s.is_dense(), boxes(s), s.activation.is_none()));
    match best {
        Some(best) => Ok(of_value(model, shapes, &best.output, reading)?.unwrap_or(best)),
        None => made_of(model, shapes, &outputs, reading),
    }
}

/// The scores that `outputs`, which hold none, are made of.
fn made_of(model: &Model, shapes: &Shapes, outputs: &[&str], reading: &Reading) -> Result<Score, Error> {
    let mut found: Vec<Score> = Vec::new();
    for name in sources(model, shapes, outputs) {
        let score = of_value(model, shapes, name, &reading.of_any())?;
        found.extend(score.filter(|s| found.iter().all(|f| f.logits != s.logits)));
    }
    let shown = |name: &&str| format!("{:?} ({})", short(name), kind_of(model, shapes, name));
    let listed = outputs.iter().take(MOST_PROPOSED).map(shown).collect::<Vec<_>>().join(", ");
    if let [one] = found.as_slice() {
        let name = one.output.clone();
        let instead = match outputs {
            [_] => format!("the output is {listed}: explained is the tensor {:?}, of which it is made", short(&name)),
            _ => {
                format!("the outputs are {listed}: explained is the tensor {:?}, of which they are made", short(&name))
            }
        };
        let score = of_value(model, shapes, &name, reading)?;
        return score.map(|score| Score { instead: Some(instead), ..score }).ok_or(Error::Argument(listed));
    }
    let tensor = |s: &Score| format!("{:?} ({})", short(&s.output), kind_of(model, shapes, &s.output));
    let unknown = outputs.iter().find(|name| shapes.dims(name).is_none());
    Err(Error::NoScores {
        outputs: listed,
        cause: unknown.and_then(|name| shapes.cause(model, name)).map(Box::new),
        tensors: found.iter().take(MOST_PROPOSED).map(tensor).collect(),
    })
}

/// The nearest tensors before `outputs` that hold scores.
fn sources<'m>(model: &'m Model, shapes: &Shapes, outputs: &[&'m str]) -> Vec<&'m str> {
    let from_image = dependence(model, shapes, &shapes.image);
    let (mut open, mut seen, mut found) = (outputs.to_vec(), HashSet::new(), Vec::new());
    open.reverse();
    while let Some(value) = open.pop() {
        if !seen.insert(value) || !from_image.contains_key(value) || value == shapes.image {
            continue;
        }
        if is_score(shapes, value) && !is_chosen(model, shapes, value) {
            found.push(value);
            continue;
        }
        // Behind an operator that is not known there may be anything: it is named as the cause.
        let Some(node) = model.maker(value) else { continue };
        let by = match model.card(node) {
            Some(_) => 0..usize::MAX,
            None => ops::chooses_by(node).unwrap_or(0..0),
        };
        let inputs: Vec<&str> = reads(node).into_iter().skip(by.start).take(by.len()).collect();
        open.extend(inputs.iter().rev());
    }
    found
}

/// Whether a value holds numbers of which one can be explained.
fn is_score(shapes: &Shapes, value: &str) -> bool {
    shapes.dtype(value).is_some_and(is_float) && ScoreAxes::of(shapes, value).is_some()
}

/// Whether a value is a choice among scores.
fn is_chosen(model: &Model, shapes: &Shapes, value: &str) -> bool {
    chosen_from(model, shapes, value).is_some()
}

/// The scores among which a value is the best of all classes, by a TopK or a ReduceMax over them.
pub(crate) fn chosen_from<'m>(model: &'m Model, shapes: &Shapes, value: &'m str) -> Option<&'m str> {
    let mut at = value;
    for _ in 0..MOST_RENAMINGS {
        let (node, input) = model.maker(at).and_then(|n| Some((n, n.input.first()?)))?;
        let card = model.card(node)?;
        match card.entries {
            Entries::Sorted => return Some(input),
            Entries::Reduced if card.takes_largest => {
                let Trace::Axis { axis, .. } = classes::trace(model, shapes, input) else { return None };
                return (shapes.along(model, node, axis) == Along::Across).then_some(input);
            }
            _ if card.renames => at = input,
            _ => return None,
        }
    }
    None
}

/// What a value is, for people: `float [N, 10]`, `integers, int64 [N]`, `a sequence`.
fn kind_of(model: &Model, shapes: &Shapes, value: &str) -> String {
    let declared = model.graph().output.iter().find(|o| o.name() == value);
    let kind = declared.and_then(|o| o.r#type.as_ref()).and_then(|t| t.value.as_ref());
    match kind {
        Some(type_proto::Value::SequenceType(_)) => return "a sequence".into(),
        Some(type_proto::Value::MapType(_)) => return "a map".into(),
        Some(type_proto::Value::OptionalType(_)) => return "an optional value".into(),
        _ => {}
    }
    let declared = match kind {
        Some(type_proto::Value::TensorType(t)) => crate::tensor::DataType::try_from(t.elem_type()).ok(),
        _ => None,
    };
    let dtype = shapes.dtype(value).or(declared);
    let shown = dtype.map_or("of unknown type".into(), |d| format!("{d:?}").to_lowercase());
    let dims = shapes.dims(value).map_or("of unknown shape".into(), |dims| show(&dims));
    let kind = if dtype.is_some_and(is_integer) { "integers, " } else { "" };
    format!("{kind}{shown} {dims}")
}

/// The axes of a value that holds scores.
struct ScoreAxes {
    batch: Option<usize>,
    /// The other axes.
    axes: Vec<usize>,
    /// Their extents.
    sizes: Vec<usize>,
}

impl ScoreAxes {
    /// None where an image has several rows of the batch, or too many numbers.
    fn of(shapes: &Shapes, value: &str) -> Option<Self> {
        let dims = shapes.dims(value)?;
        let batch = batch_axis(shapes, value, &dims)?;
        let axes: Vec<usize> = (0..dims.len()).filter(|&a| Some(a) != batch).collect();
        let sizes: Vec<usize> = axes.iter().filter_map(|&a| dims.get(a)).map(|d| d.per_image()).collect();
        let count = sizes.iter().try_fold(1usize, |p, &n| p.checked_mul(n))?;
        (1..=MOST_SCORES).contains(&count).then_some(ScoreAxes { batch, axes, sizes })
    }

    /// The place of an axis of the value among the extents of one image.
    fn place(&self, axis: usize) -> Option<usize> {
        self.axes.iter().position(|&a| a == axis)
    }
}

/// The axis that counts images, if one does. None where images share an axis with something else.
#[allow(clippy::option_option)]
fn batch_axis(shapes: &Shapes, value: &str, dims: &[Dim]) -> Option<Option<usize>> {
    match shapes.samples(value) {
        Some(Samples::Along { axis, outer: 1, inner: 1 }) => Some(Some(axis)),
        Some(Samples::Along { .. }) => None,
        Some(Samples::One) => Some(None),
        // All belongs to a single image, wherever its axis of 1 is.
        None if shapes.count() == Dim::Fixed(1) => Some(dims.iter().position(|d| *d == Dim::Fixed(1))),
        // What several images share has no axis for them.
        None => dims.iter().all(|d| matches!(d, Dim::Fixed(_))).then_some(None),
    }
}

/// The scores of a tensor; none where it holds none.
fn of_value(model: &Model, shapes: &Shapes, output: &str, reading: &Reading) -> Result<Option<Score>, Error> {
    if !is_score(shapes, output) {
        return Ok(None);
    }
    let Some(own) = ScoreAxes::of(shapes, output) else { return Ok(None) };
    let found = if reading.keep_activation { None } else { before_activation(model, shapes, output, &own) };
    let (logits, activation, normalised) = found.unwrap_or((output, None, None));
    let Some(score_axes) = ScoreAxes::of(shapes, logits) else { return Ok(None) };
    // An axis of the logits as one of the output: renaming nodes leave the extents above 1 in order.
    let at_output = |axis: usize| -> Option<usize> {
        let place = score_axes.place(axis)?;
        if score_axes.sizes == own.sizes {
            return Some(place);
        }
        let nth = non_one(&score_axes.sizes).position(|p| p == place)?;
        non_one(&own.sizes).nth(nth)
    };
    let given = match reading.class_axis {
        None => None,
        Some(axis) => {
            let rank = own.sizes.len() + usize::from(own.batch.is_some());
            let wrong = |what: &str| {
                Error::Argument(format!(
                    "the axis {axis} of {:?} ({}) {what}",
                    short(output),
                    kind_of(model, shapes, output)
                ))
            };
            let axis = graph::axis(axis, rank).map_err(|_| wrong("does not exist"))?;
            Some(own.place(axis).ok_or_else(|| wrong("counts images and no classes"))?)
        }
    };
    let trace = classes::trace(model, shapes, logits);
    let found = classes::find(&own.sizes, given, normalised.and_then(at_output), &trace.map(at_output), reading.labels);
    let list = non_one(&own.sizes).count() <= 1;
    let of_one = given.is_some_and(|axis| own.sizes.get(axis) == Some(&1)) && !own.sizes.iter().all(|&n| n == 1);
    let (dims, class_axis) = match found.axis {
        // A list has one axis, the one that is longer than 1.
        axis if list && !of_one => {
            let count: usize = own.sizes.iter().product();
            (vec![count], axis.filter(|&a| own.sizes.get(a) == Some(&count)).map(|_| 0))
        }
        axis => (own.sizes.clone(), axis),
    };
    let whole = class_axis.and_then(|a| dims.get(a).copied()).unwrap_or_else(|| dims.iter().product());
    let dense = dims.len() > 1;
    let probability = match (reading.activation, activation) {
        (Some(Activation::Softmax), _) if dense => {
            return Err(Error::Argument(format!(
                "{:?} has the extents {dims:?} for each image: a softmax makes probabilities of lists with one score a class",
                short(output)
            )));
        }
        (Some(given), _) => given,
        (None, Some(card)) if card.final_activation == Some(FinalActivation::Each) => Activation::Sigmoid,
        (None, Some(_)) if !dense => Activation::Softmax,
        (None, _) => Activation::None,
    };
    Ok(Some(Score {
        output: output.to_owned(),
        logits: logits.to_owned(),
        batch: score_axes.batch,
        first_class: if dense { found.first } else { 0 },
        classes: if dense { found.count.unwrap_or(whole) } else { whole },
        dims,
        class_axis,
        output_axis: class_axis.and(found.axis).and_then(|place| own.axes.get(place).copied()),
        activation: activation.map(|card| card.name.to_owned()),
        probability,
        instead: None,
    }))
}

/// What goes into the activation that makes `output`: that value, the operator, and which of the value's axes it normalises.
fn before_activation<'m>(
    model: &'m Model,
    shapes: &Shapes,
    output: &'m str,
    own: &ScoreAxes,
) -> Option<(&'m str, Option<&'static Card>, Option<usize>)> {
    let same = |value: &str| {
        ScoreAxes::of(shapes, value).is_some_and(|l| non_one_sizes(&l.sizes).eq(non_one_sizes(&own.sizes)))
    };
    let mut at = output;
    for _ in 0..MOST_RENAMINGS {
        let (node, input) = model.maker(at).and_then(|n| Some((n, n.input.first()?)))?;
        let card = model.card(node)?;
        if let Some(made) = card.final_activation {
            let each = made == FinalActivation::Each;
            let axis = if each { None } else { Some(normalised(model, shapes, node, input)?) };
            return same(input).then_some((input.as_str(), Some(card), axis));
        }
        let moved = || card.layout == Layout::Permuted && moves_images(model, shapes, node, input);
        let renames = card.renames || moved();
        if !renames || !same(input) {
            return None;
        }
        at = input;
    }
    None
}

fn non_one_sizes(sizes: &[usize]) -> impl Iterator<Item = usize> + '_ {
    sizes.iter().copied().filter(|&n| n != 1)
}

/// Whether a Transpose leaves the axes of one image in order and moves only the one that counts images.
fn moves_images(model: &Model, shapes: &Shapes, node: &NodeProto, input: &str) -> bool {
    let Some(score_axes) = ScoreAxes::of(shapes, input) else { return false };
    let a = model.attributes(node);
    let rank = score_axes.axes.len() + usize::from(score_axes.batch.is_some());
    let perm: Vec<i64> = a.ints("perm").map_or_else(|| (0..rank as i64).rev().collect(), |p| p.to_vec());
    let of_image = perm.iter().filter(|&&p| score_axes.batch.map(|b| b as i64) != Some(p));
    of_image.is_sorted()
}

/// The axis that a softmax normalises: the one that is longer than 1 where several are normalised together, as up to
/// operator set 12.
fn normalised(model: &Model, shapes: &Shapes, node: &NodeProto, input: &str) -> Option<usize> {
    let dims = shapes.dims(input)?;
    let a = model.attributes(node);
    let axis = graph::axis(a.int("axis", if model.opset() >= 13 { -1 } else { 1 }), dims.len()).ok()?;
    let longer = |a: &usize| dims.get(*a).is_some_and(|d| *d != Dim::Fixed(1));
    let last = if model.opset() >= 13 { axis + 1 } else { dims.len() };
    let together: Vec<usize> = (axis..last).filter(longer).collect();
    match together.as_slice() {
        // A softmax over a single number makes 1 of it, and no probability.
        [] => (0..dims.len()).filter(longer).all(|a| matches!(dims.get(a), Some(Dim::Batch(_)))).then_some(axis),
        [one] => Some(*one),
        _ => None,
    }
}
