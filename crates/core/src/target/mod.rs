//! Targets: what is explained.

mod graph;
mod parse;
mod weights;

pub(crate) use graph::{Logits, PickedValues};
pub use weights::Pick;

use crate::Error;
use crate::score::{Activation, Score};

/// What is explained: a function of the logits. But for [`Target::Cosine`] it is a linear one, so that the map of a sum is
/// the sum of the maps, and so it is with b.
///
/// In writing, a target is a kind and what belongs to it: `top:3`, `class:3,5`, `contrast:3,5`, `sum:1,10:20,:`. The
/// page `docs/targets.md` lists them all. [`Target::parse`] reads it, [`Display`](std::fmt::Display) writes it.
///
/// ```
/// use hirescam_core::cam::Target;
///
/// let target: Target = "contrast:3,5".parse()?;
/// assert_eq!(target, Target::Weighted(vec![(3, 1.0), (5, -1.0)]));
/// # Ok::<(), hirescam_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// The `k` best classes of each image, chosen inside the graph; a map each.
    Top(usize),
    /// These classes; a map each.
    Classes(Vec<usize>),
    /// Every class; a map each.
    All,
    /// Every class whose probability, or where scores are not made into one, whose score lies above a threshold; a map each,
    /// the best first. The graph makes the maps of all classes, and gives the number −1 to those that are not above it.
    Above(f64),
    /// The sum of a class's scores over the places where it is predicted, of a dense output: where it has the largest of all
    /// classes' scores, or where a Sigmoid makes the probabilities, a score above 0; one map. The places are chosen for each image. As long as they stay the same it is a sum like any other.
    Predicted(usize),
    /// Σ weight · score of some classes, in one map. A contrast of two classes is one with the weights 1 and −1.
    Weighted(Vec<(usize, f64)>),
    /// The sum of a part of the output, in one map: a span for each axis after the batch.
    Part(Vec<Span>),
    /// So many classes that come with each image, as the int64 input `class`, `[N]`, or `[N, M]` for M of them; a map
    /// each.
    Given(usize),
    /// The scalar product of an embedding with a reference: Σ r · e, in one map.
    Dot(Vector),
    /// The cosine of the angle between an embedding and a reference: Σ r · e / (|r| |e|), in one map. Where e is scaled with
    /// the activation, as behind linear layers without bias, it stays the same, and Σ map is 0.
    Cosine(Vector),
    /// Σ weight · logit with weights that come with each image, as the float input `seed` in the logits' shape; one map.
    Seed,
}

/// A reference that an embedding is compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Vector {
    /// How it was written: numbers, or the name of a file.
    pub name: String,
    /// One number for each entry of the output.
    pub values: Vec<f64>,
}

/// Some consecutive entries along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub start: usize,
    /// The one after the last; the axis's end when absent.
    pub end: Option<usize>,
    /// Whether it is a class, written as a label. [`Target::on`] makes an entry of it: on some outputs other numbers lie
    /// before the classes.
    pub class: bool,
}

impl Vector {
    /// √Σ r².
    pub(super) fn length(&self) -> f64 {
        self.values.iter().map(|r| r * r).sum::<f64>().sqrt()
    }
}

impl Span {
    /// The single entry `at`.
    pub fn at(at: usize) -> Self {
        Span { start: at, end: at.checked_add(1), class: false }
    }

    /// The class `class`.
    pub fn class(class: usize) -> Self {
        Span { class: true, ..Span::at(class) }
    }

    fn is_single(self) -> bool {
        self.end == self.start.checked_add(1)
    }

    /// First and one after the last on an axis of `n` entries; none where the span reaches outside or is empty.
    pub(super) fn on(self, n: usize) -> Option<(usize, usize)> {
        let end = self.end.unwrap_or(n);
        (self.start < end && end <= n).then_some((self.start, end))
    }
}

impl Target {
    /// How many maps each image gets.
    pub fn maps(&self, score: &Score) -> usize {
        match self {
            Target::Top(n) | Target::Given(n) => *n,
            Target::Classes(classes) => classes.len(),
            Target::All | Target::Above(_) => score.classes,
            Target::Weighted(_)
            | Target::Part(_)
            | Target::Predicted(_)
            | Target::Dot(_)
            | Target::Cosine(_)
            | Target::Seed => 1,
        }
    }

    /// Whether each image gets one map, whatever the network.
    pub fn is_one_map(&self) -> bool {
        match self {
            Target::Top(n) | Target::Given(n) => *n == 1,
            Target::Classes(classes) => classes.len() == 1,
            Target::All | Target::Above(_) => false,
            Target::Predicted(_) | Target::Weighted(_) | Target::Part(_) => true,
            Target::Dot(_) | Target::Cosine(_) | Target::Seed => true,
        }
    }

    /// Whether each map explains the score of one class.
    pub fn is_class(&self) -> bool {
        matches!(self, Target::Top(_) | Target::Classes(_) | Target::All | Target::Above(_) | Target::Given(_))
    }

    /// Whether each map explains a single score.
    pub fn is_single(&self) -> bool {
        match self {
            Target::Part(spans) => spans.iter().all(|s| s.is_single()),
            other => other.is_class(),
        }
    }

    /// Whether a map is about one class, or about one more than about others.
    pub fn names_class(&self, score: &Score) -> bool {
        match self {
            Target::Part(spans) => score.class_axis.and_then(|a| spans.get(a)).is_some_and(|s| s.is_single()),
            Target::Dot(_) | Target::Cosine(_) | Target::Seed => false,
            _ => true,
        }
    }

    /// What a map is about, in words, from its class, or its entry in a list, and their names.
    pub fn describe(&self, class: Option<usize>, name: impl Fn(usize) -> String) -> String {
        match (self, class) {
            (Target::Weighted(weights), _) => match weights.as_slice() {
                [(a, 1.0), (b, -1.0)] => format!("{} − {}", name(*a), name(*b)),
                weights => {
                    let terms: Vec<String> = weights.iter().map(|(c, w)| format!("{w} · {}", name(*c))).collect();
                    terms.join(" + ")
                }
            },
            (Target::Part(_), Some(class)) => format!("{} ({self})", name(class)),
            (Target::Predicted(class), _) => format!("{} where it is predicted", name(*class)),
            (Target::Seed, _) => "weighted scores".into(),
            (Target::Part(_) | Target::Dot(_) | Target::Cosine(_), _) | (_, None) => self.to_string(),
            (_, Some(class)) => name(class),
        }
    }

    /// The target on these scores: checked, and with the entries of the output in place of labelled classes.
    ///
    /// # Errors
    /// [`Error::Argument`] with what the output holds.
    pub fn on(&self, score: &Score) -> Result<Target, Error> {
        let target = match self {
            Target::Part(spans) => {
                let entry = |(axis, span): (usize, &Span)| match span.class {
                    false => Ok(*span),
                    true if score.class_axis == Some(axis) && span.start < score.classes => {
                        Ok(Span::at(score.first_class + span.start))
                    }
                    true => Err(match score.class_axis {
                        Some(own) => Error::Argument(format!(
                            "{self}: the class {} stands at the place of the axis {axis} of {:?}, and classes are counted along the axis {own} ({:?} after the batch)",
                            span.start, score.output, score.dims
                        )),
                        None => no_class_axis(score),
                    }),
                };
                Target::Part(spans.iter().enumerate().map(entry).collect::<Result<_, _>>()?)
            }
            other => other.clone(),
        };
        target.check(score)?;
        Ok(target)
    }

    /// Whether the network's output has what the target asks for.
    ///
    /// # Errors
    /// [`Error::Argument`] with what the output holds.
    pub fn check(&self, score: &Score) -> Result<(), Error> {
        let refuse = |what: String| Err(Error::Argument(what));
        let k = score.classes;
        let (one, many) = if score.class_axis.is_some() { ("class", "classes") } else { ("score", "scores") };
        let of = match k {
            1 => format!("the network has 1 {one} ({:?})", score.output),
            k => format!("the network has {k} {many} ({:?})", score.output),
        };
        let known = |c: usize| match c < k {
            true => Ok(()),
            false => refuse(format!("there is no {one} {c}: {of}, counted from 0")),
        };
        if score.is_dense() && !matches!(self, Target::Part(_) | Target::Seed | Target::Predicted(_)) {
            let (output, dims, class) = (&score.output, &score.dims, score.first_class.to_string());
            let one = |a: usize| if Some(a) == score.class_axis { class.as_str() } else { "0" };
            let all = |a: usize| if score.class_axis.unwrap_or(0) == a { class.as_str() } else { ":" };
            let classes =
                score.class_axis.map_or(String::new(), |axis| format!(", classes along the axis {axis} of these,"));
            let instead = score.instead.as_ref().map_or(String::new(), |why| format!("{why}; "));
            return refuse(format!(
                "{instead}the output {output:?} holds {dims:?} scores for each image{classes} and not one a class: say which of them, as element:{} or as a sum over a part, sum:{}",
                (0..dims.len()).map(one).collect::<Vec<_>>().join(","),
                (0..dims.len()).map(all).collect::<Vec<_>>().join(",")
            ));
        }
        match self {
            Target::Top(0) | Target::Given(0) => refuse("no class is asked for".into()),
            Target::Top(n) if *n > k => refuse(format!("the {n} best classes are asked for, but {of}")),
            Target::Classes(list) if list.is_empty() => refuse("no class is asked for".into()),
            Target::Weighted(list) if list.is_empty() => refuse("no class is asked for".into()),
            Target::Classes(list) => list.iter().try_for_each(|&c| known(c)),
            Target::Weighted(list) => list.iter().try_for_each(|&(c, _)| known(c)),
            Target::Above(t) if score.probability != Activation::None && !(*t > 0.0 && *t < 1.0) => {
                refuse(format!("{self}: the scores are made into probabilities, so the threshold lies between 0 and 1"))
            }
            Target::Predicted(_) if !score.is_dense() => refuse(format!(
                "{self} is for outputs with places, as those of a segmentation; {of}: ask for the class itself"
            )),
            Target::Predicted(_) if score.class_axis.is_none() => Err(no_class_axis(score)),
            Target::Predicted(class) => known(*class),
            Target::Part(spans) => match entries(spans, &score.dims) {
                Some(_) => Ok(()),
                None => refuse(format!(
                    "{self} is no part of the output {:?}, which has the extents {:?} after the batch, counted from 0",
                    score.output, score.dims
                )),
            },
            Target::Dot(r) | Target::Cosine(r) if r.values.len() != score.entries() => refuse(format!(
                "the reference {:?} has {} numbers, the output {:?} {}",
                r.name,
                r.values.len(),
                score.output,
                score.entries()
            )),
            Target::Dot(r) | Target::Cosine(r) if !r.length().is_normal() => {
                refuse(format!("the reference {:?} has the length {}", r.name, r.length()))
            }
            _ => Ok(()),
        }
    }

    /// b of a map, from b of each logit in row-major order; none where it depends on the image.
    pub(crate) fn bias(&self, logits: &[f64], score: &Score, class: usize) -> Option<f64> {
        match self {
            Target::Weighted(weights) => weights.iter().map(|&(c, w)| Some(w * logits.get(c)?)).sum(),
            Target::Part(spans) => entries(spans, &score.dims)?.iter().map(|&i| logits.get(i)).sum(),
            Target::Dot(r) => Some(r.values.iter().zip(logits).map(|(r, b)| r * b).sum()),
            Target::Predicted(_) | Target::Cosine(_) | Target::Seed => None,
            _ => logits.get(class).copied(),
        }
    }
}

/// The entries of a part of an output, in row-major order; none where a span does not fit its axis.
fn entries(spans: &[Span], dims: &[usize]) -> Option<Vec<usize>> {
    let mut flat = vec![0];
    for (span, &n) in spans.iter().zip(dims) {
        let (start, end) = span.on(n)?;
        flat = flat.iter().flat_map(|before| (start..end).map(move |i| before * n + i)).collect();
    }
    (spans.len() == dims.len()).then_some(flat)
}

/// The class of a part: the first in it, or the entry of a list whose axis of classes is open. None for what is no class.
fn class_of(spans: &[Span], score: &Score) -> Option<usize> {
    match score.is_dense() {
        false => spans.first().map(|s| s.start),
        true => score.class_at(spans.get(score.class_axis?)?.start),
    }
}

/// The class of the largest weight, the first of equals.
fn heaviest(weights: &[(usize, f64)]) -> usize {
    weights.iter().rev().max_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(class, _)| *class)
}

fn no_class_axis(score: &Score) -> Error {
    Error::OpenClasses { output: score.output.clone(), dims: score.dims.clone() }
}
