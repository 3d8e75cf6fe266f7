//! The scores that can be explained.

use super::{channel_axes, show};
use crate::error::{near, short};
use crate::graph::standard;
use crate::onnx::NodeProto;
use crate::ops::Layout;
use crate::shape::{Dim, Shapes};
use crate::tensor::is_float;
use crate::{Error, Model};

/// The scores that can be explained: the entries of `logits`.
#[derive(Clone, Debug)]
pub struct Score {
    /// The model's output that they belong to.
    pub output: String,
    /// The value whose entries are the scores: the output, or what went into its final activation.
    pub logits: String,
    /// The extents of one image's scores: `[classes]`, or all of a dense output, as `[classes, height, width]`.
    pub dims: Vec<usize>,
    /// Which of `dims` counts classes. Of dense outputs it is the axis of a final Softmax, else the channels.
    pub class_axis: usize,
    /// The number of classes.
    pub classes: usize,
    /// The final activation that was walked back through: its operator, if there was one.
    pub activation: Option<String>,
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
}

/// Operators at the end of a network that turn class scores into probabilities.
const FINAL: &[&str] = &["Softmax", "LogSoftmax", "Sigmoid"];
/// More renaming nodes than this do not come between a final activation and the output.
const MOST_RENAMINGS: usize = 100;
/// An output of more numbers an image than this is not explained.
const MOST_SCORES: usize = 1 << 24;

/// The scores of the output `output`, or of the one that looks most like class scores.
///
/// With `keep` the output is taken as it is; otherwise a final Softmax, LogSoftmax or Sigmoid is walked back through.
///
/// # Errors
/// [`Error::NotFound`] for an unknown output, [`Error::Argument`] when no output holds scores.
pub fn score(model: &Model, shapes: &Shapes, output: Option<&str>, keep: bool) -> Result<Score, Error> {
    let names: Vec<&str> = model.graph().output.iter().map(|o| o.name()).collect();
    let candidates: Vec<&str> = match output {
        Some(name) if names.contains(&name) => vec![name],
        Some(name) => {
            return Err(Error::NotFound {
                kind: "output",
                name: name.to_owned(),
                near: near(name, names.iter().copied()),
            });
        }
        None => names.clone(),
    };
    let scores: Vec<Score> = candidates.iter().filter_map(|name| score_of(model, shapes, name, keep)).collect();
    // Among several outputs, one score a class comes before dense scores, and what ends in a probability before what
    // does not. What has four numbers a row beside another table is a detector's boxes.
    let boxes = |s: &Score| s.is_dense() && s.dims.last() == Some(&4);
    let best = scores.into_iter().min_by_key(|s| (s.is_dense(), boxes(s), s.activation.is_none()));
    best.ok_or_else(|| {
        let shown = |name: &&str| {
            let shape = shapes.dims(name).map_or("of unknown shape".into(), |dims| show(&dims));
            format!("{:?} {shape}", short(name))
        };
        let unknown = candidates.iter().any(|name| shapes.dims(name).is_none());
        let why = shapes.fault.as_ref().filter(|_| unknown);
        Error::Argument(format!(
            "no output holds scores, that is, floating-point numbers for each image ([N, classes], [N, classes, height, width] …): {}{}",
            candidates.iter().take(8).map(shown).collect::<Vec<_>>().join(", "),
            why.map_or(String::new(), |fault| format!(", because of {fault}"))
        ))
    })
}

/// The extents of one image's scores in a value of the extents `dims`: `[K]` of `[N, K]`, `[N, K, 1, 1]` and `[N]`, all
/// after the batch of anything else.
fn extents(dims: &[Dim]) -> Option<Vec<usize>> {
    let (first, rest) = dims.split_first()?;
    let batch = matches!(first, Dim::Batch(1)) || (matches!(first, Dim::Fixed(_)) && !rest.is_empty());
    let fixed = |d: &Dim| if let Dim::Fixed(n) = d { Some(*n) } else { None };
    let sizes: Vec<usize> = rest.iter().map(fixed).collect::<Option<_>>()?;
    let count = sizes.iter().try_fold(1usize, |p, &n| p.checked_mul(n))?;
    if !(batch || *first == Dim::Fixed(1)) || !(1..=MOST_SCORES).contains(&count) {
        return None;
    }
    let list = sizes.iter().filter(|&&n| n != 1).count() <= 1;
    Some(if list { vec![count] } else { sizes })
}

fn score_of(model: &Model, shapes: &Shapes, output: &str, keep: bool) -> Option<Score> {
    let extents_of = |value: &str| extents(&shapes.dims(value)?);
    let dims = extents_of(output)?;
    if !is_float(shapes.dtype(output)?) {
        return None;
    }
    let score = |logits: &str, class_axis: usize, activation: Option<&str>| Score {
        output: output.to_owned(),
        logits: logits.to_owned(),
        class_axis,
        classes: dims.get(class_axis).copied().unwrap_or(1),
        activation: activation.map(str::to_owned),
        dims: dims.clone(),
    };
    let plain = score(output, class_axis(model, shapes, output, &dims), None);
    if keep {
        return Some(plain);
    }
    // Renaming nodes between the activation and the output are passed.
    let mut at = output;
    for _ in 0..MOST_RENAMINGS {
        let Some((node, input)) = model.maker(at).and_then(|n| Some((n, n.input.first()?))) else { break };
        let op = standard(node);
        let same = extents_of(input).as_ref() == Some(&dims);
        if FINAL.contains(&op) {
            let axis = match op {
                "Sigmoid" => Some(class_axis(model, shapes, input, &dims)),
                _ => normalised(model, shapes, node, input, &dims),
            };
            return Some(axis.filter(|_| same).map_or(plain, |axis| score(input, axis, Some(op))));
        }
        let renames = matches!(op, "Identity" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Cast" | "Dropout");
        if !renames || !same {
            break;
        }
        at = input;
    }
    Some(plain)
}

/// Which of the extents `dims` of one image's scores a softmax normalises, if it is one of them.
fn normalised(model: &Model, shapes: &Shapes, node: &NodeProto, input: &str, dims: &[usize]) -> Option<usize> {
    let all = shapes.dims(input)?;
    let a = model.attributes(node);
    let axis = crate::graph::axis(a.int("axis", if model.opset() >= 13 { -1 } else { 1 }), all.len()).ok()?;
    let sizes: Vec<usize> = all.iter().skip(axis).map(|d| d.per_image()).collect();
    // Up to operator set 12 all axes from this one on are normalised together.
    let together = if model.opset() < 13 { sizes.iter().product() } else { sizes.first().copied()? };
    match dims {
        [classes] => (axis > 0 && together == *classes).then_some(0),
        _ => axis.checked_sub(1).filter(|&a| dims.get(a) == Some(&together)),
    }
}

/// Which of the extents `dims` of one image's scores counts classes: the channels where that is known, of tables of
/// boxes the last.
fn class_axis(model: &Model, shapes: &Shapes, value: &str, dims: &[usize]) -> usize {
    let first = model.maker(value).and_then(|n| model.card(n)).is_some_and(|c| c.layout == Layout::ChannelsFirst);
    match dims.len() {
        0 | 1 => 0,
        2 if !first => 1,
        _ => channel_axes(model, shapes).get(value).map_or(0, |a| a.saturating_sub(1)),
    }
}
