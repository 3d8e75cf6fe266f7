//! The nodes behind the added outputs.

use super::{Request, at_once, constant};
use crate::analysis::Analysis;
use crate::axes::Samples;
use crate::build::Value;
use crate::cam::methods::{Site, judge};
use crate::certify::{Certificate, Verdict, can_be_negative, certify};
use crate::grid::Grid;
use crate::head::Head;
use crate::shape::Dim;
use crate::target::{Logits, Picked, Target};
use crate::tensor::DataType;
use crate::{Error, grad, probe};

/// More maps than this are not made one by one: engines would take long to prepare them.
const MOST_SWEEPS: usize = 64;

/// The values behind the added outputs, and what is known of them.
pub(super) struct Emitted<'g> {
    pub(super) map: Value<'g>,
    pub(super) class: Value<'g>,
    pub(super) score: Value<'g>,
    pub(super) b: Value<'g>,
    pub(super) other_tokens: Option<Value<'g>>,
    pub(super) bias: Option<Vec<f64>>,
    pub(super) certificate: Certificate,
}

/// Emits classes, gradients, maps, scores and b.
pub(super) fn emit<'g>(
    analysis: &Analysis,
    head: &Head,
    grid: Option<&Grid>,
    request: &Request,
    logits: &Logits<'g, '_>,
) -> Result<Emitted<'g>, Error> {
    let (model, shapes) = (analysis.model(), &analysis.shapes);
    let graph = logits.raw.graph();
    let own = graph.value(&head.layer)?.wide();
    let (samples, n) = (head.samples, shapes.count());
    // An image without channels gets an axis of one.
    let (channels, more) = head.channels.map_or((samples.lead(), 1), |axis| (samples.moved(axis), 0));
    let laid = |v: Value<'g>| {
        let first = samples.first(v, n);
        let mut dims = first.dims();
        (0..more).for_each(|_| dims.insert(channels.min(dims.len()), Dim::Fixed(1)));
        first.reshape(&dims)
    };
    let activation = laid(own);
    let space: Vec<usize> = head.space.iter().map(|&axis| samples.moved(axis) + more).collect();
    // Several classes at once are laid along the batch, where that is the first axis.
    let batched = samples == Samples::FIRST && more == 0;
    let (target, method) = (&request.target, request.method);
    let m = target.maps(&head.score);
    let picked = logits.pick(target);
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
    let affine = proven.verdict == Verdict::Exact;
    let classes: Option<Vec<usize>> = match target {
        Target::Classes(list) => Some(list.clone()),
        Target::All => Some((0..m).collect()),
        _ => None,
    };
    let constant = classes
        .filter(|_| affine && m > 1 && batched)
        .and_then(|classes| constant::gradients(analysis, head, &classes));
    let together = match constant {
        Some(gradients) => {
            let gradients = graph.constant(gradients);
            Some(gradients.with_rank(activation.rank() + 1))
        }
        None if m > 1 && batched => {
            // What went wrong in vain there is forgotten, but not what went wrong before.
            graph.take_fault().map_or(Ok(()), Err)?;
            at_once::gradients(analysis, head, logits, &picked)
        }
        _ => None,
    };
    let mut maps = Vec::new();
    let (mut uniform, mut places) = (false, 1);
    let mut make = |activation: Value<'g>, gradient: Value<'g>, channels: usize, space: &[usize]| {
        let site = Site { activation, gradient, channels, space };
        uniform = site.is_uniform(gradient);
        places = site.places();
        Ok::<_, Error>(site.finish((method.map)(&site)?))
    };
    let dims = activation.dims();
    let after_batch = |dims: &[Dim]| dims.get(1..).unwrap_or(&[]).to_vec();
    if let Some(gradient) = together {
        // Images along the first axis, classes along the second.
        let images = activation.reshape(&[&[n, Dim::Fixed(1)], after_batch(&dims).as_slice()].concat());
        let space: Vec<usize> = space.iter().map(|a| a + 1).collect();
        let map = make(images, gradient, channels + 1, &space)?;
        let every: Vec<i64> = (0..map.rank()).map(|a| if a == 1 { m as i64 } else { 1 }).collect();
        // A map that does not depend on the class is the same for all.
        maps.push(if map.dims().get(1) == Some(&Dim::Fixed(m)) { map } else { map.expand(&every) });
    } else if m > MOST_SWEEPS {
        return Err(Error::Argument(format!(
            "{m} maps for each image are asked for, but at {:?} each takes a derivative of its own, and more than {MOST_SWEEPS} are not made at once: ask for the best classes (top:5) or for some (class:3,5){}",
            head.layer,
            if affine { "" } else { ", or explain a layer behind the last convolution, where all classes take one" }
        )));
    } else {
        for i in 0..m {
            let seed = (head.score.logits.as_str(), logits.seed(target, &picked, i));
            let gradient = grad::vjp(model, graph, &head.path, &head.dependence, seed, &head.layer)?;
            let map = make(activation, laid(gradient.with_rank(own.rank())), channels, &space)?;
            // [N, 1, …]: the axis of classes.
            maps.push(map.reshape(&[&[n, Dim::Fixed(1)], after_batch(&map.dims()).as_slice()].concat()));
        }
    }
    let map = Value::concat(&maps, 1).unwrap_or(activation);
    // One map of each image is without the axis of maps.
    let squeeze = |v: Value<'g>| if m == 1 { v.reshape(&[n]) } else { v };
    let (map, lead) = match m {
        1 => (map.reshape(&[&[n], map.dims().get(2..).unwrap_or(&[])].concat()), 1),
        _ => (map, 2),
    };
    let classes = picked.classes.expand_as(picked.scores);
    let shown = picked.wanted.map_or(classes, |wanted| wanted.select(classes, classes.scalar(-1.0)));
    let class = squeeze(shown);
    let picked = Picked { scores: squeeze(picked.scores), classes: squeeze(classes), wanted: None };
    let signed = can_be_negative(analysis, &head.layer);
    let certificate = judge(method, Certificate { uniform, ..proven }, signed, places)?;
    let bias = match certificate.verdict {
        // Where h(0) cannot be evaluated here, b is computed with each map: it comes to the same.
        Verdict::Exact | Verdict::SumOnly if affine => probe::bias(analysis, head).ok(),
        _ => None,
    };
    let b = match &bias {
        Some(bias) => logits.bias(target, &picked, bias)?,
        None => {
            let space: Vec<usize> = (lead..map.rank()).collect();
            let total = map.reduce_sum(&space, false);
            let total = if certificate.scale == 1 { total } else { total / certificate.scale as f64 };
            // Score and map can be of two types: the result has the wider.
            let dtype = if picked.scores.dtype() == DataType::Double { DataType::Double } else { total.dtype() };
            picked.scores.cast(dtype) - total.cast(dtype)
        }
    };
    let (map, other_tokens) = grid.map_or((map, None), |grid| grid.lay(map, lead + samples.lead() - 1));
    Ok(Emitted { map, class, score: picked.scores, b: squeeze(b), other_tokens, bias, certificate })
}
