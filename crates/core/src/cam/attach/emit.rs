//! The nodes behind the added outputs.

use super::{at_once, constant};
use crate::analysis::Analysis;
use crate::axes::Samples;
use crate::build::Value;
use crate::cam::methods::{Method, MethodInput, judge};
use crate::certify::{Certificate, Verdict, can_be_negative, certify};
use crate::grid::Grid;
use crate::head::Head;
use crate::shape::Dim;
use crate::target::{Logits, PickedValues, Target};
use crate::tensor::DataType;
use crate::{Error, grad, probe};
use std::cell::OnceCell;

/// More maps than this are not made one by one: engines would take long to prepare them.
const MOST_SWEEPS: usize = 64;

/// The values behind a map's outputs, and what is known of them.
pub(super) struct MapValues<'g> {
    pub(super) map: Value<'g>,
    pub(super) class: Value<'g>,
    pub(super) score: Value<'g>,
    pub(super) b: Value<'g>,
    pub(super) other_tokens: Option<Value<'g>>,
    pub(super) bias: Option<Vec<f64>>,
    pub(super) certificate: Certificate,
}

/// Emits classes, gradients, maps, scores and b of one layer: for each of `methods` its own map and b.
pub(super) fn emit<'g>(
    analysis: &Analysis,
    head: &Head,
    grid: Option<&Grid>,
    (target, methods): (&Target, &[&'static Method]),
    logits: &Logits<'g, '_>,
) -> Result<Vec<MapValues<'g>>, Error> {
    let n = analysis.shapes.count();
    let m = target.maps(&head.score);
    let activation = SamplesFirst::new(logits.raw.graph().value(&head.layer)?.wide(), head, n);
    let picked = logits.pick(target);
    let proven = proven(analysis, head, target);
    let affine = proven.verdict == Verdict::Exact;
    let gradients = Gradients::new(analysis, head, target, logits, &picked, (&activation, affine))?;
    let signed = can_be_negative(analysis, &head.layer);
    // Where h(0) cannot be evaluated here, b is computed with each map: it comes to the same.
    let at_zero = OnceCell::new();
    let at_zero = || at_zero.get_or_init(|| probe::bias(analysis, head).ok()).clone();
    // One map of each image is without the axis of maps.
    let squeeze = |v: Value<'g>| if m == 1 { v.reshape(&[n]) } else { v };
    let of_method = |method: &&'static Method| {
        let Maps { maps, uniform, places } = gradients.maps(method, &activation, m)?;
        let map = Value::concat(&maps, 1).unwrap_or(activation.value);
        let (map, lead) = match m {
            1 => (map.reshape(&[&[n], map.dims().get(2..).unwrap_or(&[])].concat()), 1),
            _ => (map, 2),
        };
        let classes = picked.classes.expand_as(picked.scores);
        let shown = picked.wanted.map_or(classes, |wanted| wanted.select(classes, classes.scalar(-1.0)));
        let class = squeeze(shown);
        let squeezed = PickedValues { scores: squeeze(picked.scores), classes: squeeze(classes), wanted: None };
        let certificate = judge(method, Certificate { uniform, ..proven.clone() }, signed, places)?;
        let bias = match certificate.verdict {
            Verdict::Exact | Verdict::SumOnly if affine => at_zero(),
            _ => None,
        };
        let b = match &bias {
            Some(bias) => logits.bias(target, &squeezed, bias)?,
            None => rest_of_score(squeezed.scores, (map, lead), certificate.scale),
        };
        let (map, other_tokens) = grid.map_or((map, None), |grid| grid.lay(map, lead + head.samples.lead() - 1));
        Ok(MapValues { map, class, score: squeezed.scores, b: squeeze(b), other_tokens, bias, certificate })
    };
    methods.iter().map(of_method).collect()
}

/// What is proven of the head and the target, uniformity aside.
fn proven(analysis: &Analysis, head: &Head, target: &Target) -> Certificate {
    let mut proven = Certificate { elsewhere: head.elsewhere(analysis), ..certify(analysis, head, false) };
    if matches!(target, Target::Cosine(_)) {
        proven.verdict = Verdict::GradientOnly;
        proven.reason = Some("cosine, which is not linear in the output".into());
    }
    if matches!(target, Target::Predicted(_)) && proven.verdict == Verdict::Exact {
        // The sum is linear in the scores as long as the places are the same.
        proven.verdict = Verdict::LocallyLinear;
        proven.reason = Some("choice of the places where the class is predicted".into());
    }
    proven
}

/// The activation of a head with the samples along the first axis, and its channels along an axis of their own.
struct SamplesFirst<'g> {
    value: Value<'g>,
    /// How many axes the network's own value has.
    rank: usize,
    samples: Samples,
    n: Dim,
    channels: usize,
    space: Vec<usize>,
    /// Whether the axis of channels is one of 1 that the network's own value lacks, as an image without channels.
    added: bool,
}

impl<'g> SamplesFirst<'g> {
    fn new(own: Value<'g>, head: &Head, n: Dim) -> Self {
        let samples = head.samples;
        let (channels, added) = head.channels.map_or((samples.lead(), true), |axis| (samples.moved(axis), false));
        let space = head.space.iter().map(|&axis| samples.moved(axis) + usize::from(added)).collect();
        let laid = SamplesFirst { value: own, rank: own.rank(), samples, n, channels, space, added };
        SamplesFirst { value: laid.lay(own), ..laid }
    }

    /// A value with the network's own axes, or a gradient by it, with those of the activation.
    fn lay(&self, v: Value<'g>) -> Value<'g> {
        let first = self.samples.first(v, self.n);
        let mut dims = first.dims();
        if self.added {
            dims.insert(self.channels.min(dims.len()), Dim::Fixed(1));
        }
        first.reshape(&dims)
    }

    /// Whether several classes at once can be laid along the batch: where that is the first axis.
    fn is_batched(&self) -> bool {
        self.samples == Samples::FIRST && !self.added
    }

    /// `v` with an axis of 1 for the classes behind that of the images.
    fn with_classes(&self, v: Value<'g>) -> Value<'g> {
        v.reshape(&[&[self.n, Dim::Fixed(1)], v.dims().get(1..).unwrap_or(&[])].concat())
    }
}

/// The gradients of all classes at a layer, which all methods see.
enum Gradients<'g> {
    /// Of all classes together, `[N, M, …]` or `[1, M, …]`.
    Together(Value<'g>),
    /// Of one class after the other.
    Each(Vec<Value<'g>>),
}

/// The maps of all classes, each `[N, M, …]`, and what is known of their gradients.
struct Maps<'g> {
    maps: Vec<Value<'g>>,
    /// Whether the gradient is the same at all places.
    uniform: bool,
    /// How many places there are.
    places: usize,
}

impl<'g> Gradients<'g> {
    /// Emits them: of all classes together where that can be, else of one after the other.
    fn new(
        analysis: &Analysis,
        head: &Head,
        target: &Target,
        logits: &Logits<'g, '_>,
        picked: &PickedValues<'g>,
        (own, affine): (&SamplesFirst<'g>, bool),
    ) -> Result<Self, Error> {
        let m = target.maps(&head.score);
        if let Some(gradient) = together(analysis, head, target, logits, picked, (own, affine))? {
            return Ok(Gradients::Together(gradient));
        }
        if m > MOST_SWEEPS {
            return Err(Error::Argument(format!(
                "{m} maps for each image are asked for, but at {:?} each takes a derivative of its own, and more than {MOST_SWEEPS} are not made at once: ask for the best classes (top:5) or for some (class:3,5){}",
                head.layer,
                if affine {
                    ""
                } else {
                    ", or explain a layer behind the last convolution, where all classes take one"
                }
            )));
        }
        let of_class = |i: usize| {
            let seed = (head.score.logits.as_str(), logits.seed(target, picked, i));
            let graph = logits.raw.graph();
            let gradient = grad::vjp(analysis.model(), graph, &head.path, &head.dependence, seed, &head.layer)?;
            Ok(own.lay(gradient.with_rank(own.rank)))
        };
        (0..m).map(of_class).collect::<Result<_, Error>>().map(Gradients::Each)
    }

    /// Emits a method's maps of `m` classes.
    fn maps(&self, method: &Method, own: &SamplesFirst<'g>, m: usize) -> Result<Maps<'g>, Error> {
        let mut made = Maps { maps: Vec::new(), uniform: false, places: 1 };
        let mut make = |activation: Value<'g>, gradient: Value<'g>, channels: usize, space: &[usize]| {
            let input = MethodInput { activation, gradient, channels, space };
            (made.uniform, made.places) = (input.is_uniform(gradient), input.places());
            Ok::<_, Error>(input.finish((method.map)(&input)?))
        };
        let maps = match self {
            Gradients::Together(gradient) => {
                let space: Vec<usize> = own.space.iter().map(|a| a + 1).collect();
                let map = make(own.with_classes(own.value), *gradient, own.channels + 1, &space)?;
                let every: Vec<i64> = (0..map.rank()).map(|a| if a == 1 { m as i64 } else { 1 }).collect();
                // A map that does not depend on the class is the same for all.
                vec![if map.dims().get(1) == Some(&Dim::Fixed(m)) { map } else { map.expand(&every) }]
            }
            Gradients::Each(gradients) => {
                let of_class =
                    |gradient: &Value<'g>| Ok(own.with_classes(make(own.value, *gradient, own.channels, &own.space)?));
                gradients.iter().map(of_class).collect::<Result<_, Error>>()?
            }
        };
        Ok(Maps { maps, ..made })
    }
}

/// The gradients of several classes at once, `[N, M, …]` or `[1, M, …]`, where they can be found together.
fn together<'g>(
    analysis: &Analysis,
    head: &Head,
    target: &Target,
    logits: &Logits<'g, '_>,
    picked: &PickedValues<'g>,
    (own, affine): (&SamplesFirst<'g>, bool),
) -> Result<Option<Value<'g>>, Error> {
    let m = target.maps(&head.score);
    if m < 2 || !own.is_batched() {
        return Ok(None);
    }
    let graph = logits.raw.graph();
    let classes: Option<Vec<usize>> = match target {
        Target::Classes(list) => Some(list.clone()),
        Target::All => Some((0..m).collect()),
        _ => None,
    };
    let classes = classes.filter(|_| affine);
    if let Some(gradients) = classes.and_then(|classes| constant::gradients(analysis, head, &classes)) {
        return Ok(Some(graph.constant(gradients).with_rank(own.value.rank() + 1)));
    }
    // What went wrong in vain there is forgotten, but not what went wrong before.
    graph.take_fault().map_or(Ok(()), Err)?;
    Ok(at_once::gradients(analysis, head, logits, picked))
}

/// score − Σ map of maps behind `lead` axes, whose cells add up to `scale` times the score.
fn rest_of_score<'g>(score: Value<'g>, (map, lead): (Value<'g>, usize), scale: usize) -> Value<'g> {
    let space: Vec<usize> = (lead..map.rank()).collect();
    let total = map.reduce_sum(&space, false);
    let total = if scale == 1 { total } else { total / scale as f64 };
    // Score and map can be of two types: the result has the wider.
    let dtype = if score.dtype() == DataType::Double { DataType::Double } else { total.dtype() };
    score.cast(dtype) - total.cast(dtype)
}
