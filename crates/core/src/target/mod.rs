//! Targets: what is explained.

mod graph;
mod parse;
mod weights;

pub(crate) use graph::{Logits, Picked};
pub use weights::Pick;

use crate::Error;
use crate::head::Score;

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
        Span { start: at, end: at.checked_add(1) }
    }

    fn is_single(self) -> bool {
        self == Span::at(self.start)
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
            Target::All => score.classes,
            Target::Weighted(_) | Target::Part(_) | Target::Dot(_) | Target::Cosine(_) | Target::Seed => 1,
        }
    }

    /// Whether each map explains the score of one class.
    pub fn is_class(&self) -> bool {
        matches!(self, Target::Top(_) | Target::Classes(_) | Target::All | Target::Given(_))
    }

    /// What a map is about, in words, from its class and the names of classes.
    pub fn describe(&self, class: usize, name: impl Fn(usize) -> String) -> String {
        match self {
            Target::Weighted(weights) => match weights.as_slice() {
                [(a, 1.0), (b, -1.0)] => format!("{} − {}", name(*a), name(*b)),
                weights => {
                    let terms: Vec<String> = weights.iter().map(|(c, w)| format!("{w} · {}", name(*c))).collect();
                    terms.join(" + ")
                }
            },
            Target::Part(_) => format!("{} ({self})", name(class)),
            Target::Seed => "weighted scores".into(),
            Target::Dot(_) | Target::Cosine(_) => self.to_string(),
            _ => name(class),
        }
    }

    /// Whether the network's output has what the target asks for.
    ///
    /// # Errors
    /// [`Error::Argument`] with what the output holds.
    pub fn check(&self, score: &Score) -> Result<(), Error> {
        let refuse = |what: String| Err(Error::Argument(what));
        let k = score.classes;
        let of = match k {
            1 => format!("the network has 1 class ({:?})", score.output),
            k => format!("the network has {k} classes ({:?})", score.output),
        };
        let known = |c: usize| match c < k {
            true => Ok(()),
            false => refuse(format!("there is no class {c}: {of}, counted from 0")),
        };
        if score.is_dense() && !matches!(self, Target::Part(_) | Target::Seed) {
            let (output, dims) = (&score.output, &score.dims);
            return refuse(format!(
                "the output {output:?} holds {dims:?} scores for each image and not one a class: say which of them, as element:{} or as a sum over a part, sum:{}",
                vec!["0"; dims.len()].join(","),
                (0..dims.len()).map(|a| if a == score.class_axis { "0" } else { ":" }).collect::<Vec<_>>().join(",")
            ));
        }
        match self {
            Target::Top(0) | Target::Given(0) => refuse("no class is asked for".into()),
            Target::Top(n) if *n > k => refuse(format!("the {n} best classes are asked for, but {of}")),
            Target::Classes(list) if list.is_empty() => refuse("no class is asked for".into()),
            Target::Weighted(list) if list.is_empty() => refuse("no class is asked for".into()),
            Target::Classes(list) => list.iter().try_for_each(|&c| known(c)),
            Target::Weighted(list) => list.iter().try_for_each(|&(c, _)| known(c)),
            Target::Part(spans) => {
                let fits = spans.len() == score.dims.len();
                let inside = fits && spans.iter().zip(&score.dims).all(|(s, &n)| s.on(n).is_some());
                match inside {
                    true => Ok(()),
                    false => refuse(format!(
                        "{self} is no part of the output {:?}, which has the extents {:?} after the batch, counted from 0",
                        score.output, score.dims
                    )),
                }
            }
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

    /// b of a map, from b of each logit in row-major order; none where it depends on the weights of an image.
    pub(crate) fn bias(&self, logits: &[f64], score: &Score, class: usize) -> Option<f64> {
        match self {
            Target::Weighted(weights) => weights.iter().map(|&(c, w)| Some(w * logits.get(c)?)).sum(),
            Target::Part(spans) => {
                let mut flat = vec![0];
                for (span, &n) in spans.iter().zip(&score.dims) {
                    let (start, end) = span.on(n)?;
                    flat = flat.iter().flat_map(|before| (start..end).map(move |i| before * n + i)).collect();
                }
                flat.iter().map(|&i| logits.get(i)).sum()
            }
            Target::Dot(r) => Some(r.values.iter().zip(logits).map(|(r, b)| r * b).sum()),
            Target::Cosine(_) | Target::Seed => None,
            _ => logits.get(class).copied(),
        }
    }
}
