//! What one run of the explaining model makes of samples.

use super::Error;
use super::ready::{Fed, Ready};
use crate::explanation::{FoundMap, ImageLogits};
use crate::further_inputs::FurtherArrays;
use crate::watch::Stop;
use hirescam_core::cam::{Explaining, Target};
use hirescam_core::shape::Dim;
use hirescam_engine::{Array, Session};
use ndarray::{ArrayViewD, Axis};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// Of each map the classes.
pub(super) type OfSample = Result<Vec<Vec<FoundMap>>, Error>;

/// What a run is given: its inputs by name, and what is said of its maps.
struct Run<'a> {
    inputs: Vec<(&'a str, Cow<'a, Array>)>,
    notes: Vec<String>,
}

impl Ready {
    /// Runs the explaining model on samples: as many at once as the engine likes, up to `most` of different tensors, or as the file asks for. Where a run of several
    /// fails, these are run one by one.
    pub(super) fn run_once(
        &self,
        session: &dyn Session,
        maps: &[Explaining],
        (samples, most): (&[Fed], usize),
        stop: Stop,
    ) -> Vec<OfSample> {
        let mut all: Vec<OfSample> = samples.iter().map(|_| Err(Error::Cancelled)).collect();
        let at_once = 2 * rayon::current_num_threads();
        let mut waiting = self.parts(session, samples, most);
        while !waiting.is_empty() && stop.check().is_ok() {
            let rest = waiting.split_off(at_once.min(waiting.len()));
            let parts = std::mem::replace(&mut waiting, rest);
            let mut runs = Vec::new();
            for part in parts {
                match self.list(&part, samples) {
                    Ok(run) => runs.push((part, run)),
                    Err(error) => give(&mut all, part, Err(error)),
                }
            }
            let lists: Vec<Vec<(&str, &Array)>> = runs
                .iter()
                .map(|(_, run)| run.inputs.iter().map(|(name, array)| (*name, array.as_ref())).collect())
                .collect();
            for (made, (part, run)) in session.run_all(&lists).into_iter().zip(&runs) {
                match made.map_err(Error::from).and_then(|made| of_samples(maps, &made, &run.notes)) {
                    Err(_) if part.len() > 1 && (self.runs.apart || self.runs.least() <= 1) => {
                        waiting.extend(part.clone().map(|i| i..i + 1));
                    }
                    found => give(&mut all, part.clone(), found),
                }
            }
        }
        all
    }

    /// Which samples make a run together: those of one tensor, and up to `most` others.
    fn parts(&self, session: &dyn Session, samples: &[Fed], most: usize) -> Vec<Range<usize>> {
        let (mut parts, mut start) = (Vec::new(), 0);
        let any = most > 1 && self.runs.apart && matches!(self.runs.count, Dim::Batch(_));
        for of_tensor in samples.chunk_by(|a, b| any || a.sample.is_beside(b.sample)) {
            let size = match self.runs.count {
                _ if self.runs.one_sample.is_some() => 1,
                Dim::Batch(_) if session.is_slow_at_batches() => 1,
                Dim::Batch(_) if any => most,
                Dim::Batch(_) => of_tensor.len(),
                Dim::Fixed(size) => size.max(1),
            };
            let end = start + of_tensor.len();
            parts.extend((start..end).step_by(size).map(|first| first..(first + size).min(end)));
            start = end;
        }
        parts
    }

    /// What a run of these samples is given: copies of the first fill it.
    ///
    /// # Errors
    /// [`Error::Argument`] where samples are missing, and it is not proven that the network keeps them apart.
    fn list<'a>(&'a self, part: &Range<usize>, samples: &'a [Fed]) -> Result<Run<'a>, Error> {
        let least = if self.runs.one_sample.is_some() { 1 } else { self.runs.least() };
        let missing = least.saturating_sub(part.len());
        if missing > 0 && !self.runs.apart {
            return Err(Error::Argument(format!(
                "the network takes {least} images at once, and {} are given: that it keeps them apart is not proven, so no copies can stand for those that are missing",
                part.len()
            )));
        }
        let own = samples.get(part.clone()).unwrap_or_default();
        let all: Vec<&Fed> = own.iter().chain(own.iter().take(1).cycle().take(missing)).collect();
        let image = match all.as_slice() {
            [one] => Cow::Borrowed(&one.array),
            all => {
                Cow::Owned(together(all).ok_or_else(|| Error::Argument("images of several shapes make no run".into()))?)
            }
        };
        let beside = FurtherArrays::of_all(&all.iter().map(|fed| &fed.beside).collect::<Vec<_>>());
        let mut inputs: Vec<(&str, Cow<Array>)> =
            beside.into_iter().map(|(name, array)| (name, Cow::Owned(array))).collect();
        inputs.push((&self.image, image));
        let filled = || match &self.runs.alone {
            Some(node) => {
                format!("the {node} gives a single image other axes than several: it was run beside a copy of itself")
            }
            None => format!("the network takes {least} images at once: copies filled the run"),
        };
        Ok(Run { inputs, notes: (missing > 0).then(filled).into_iter().collect() })
    }
}

/// The images of samples as one array, without a copy where they lie one after the other in the tensor that they came in.
fn together(samples: &[&Fed]) -> Option<Array> {
    let as_they_lie = || {
        let (tensor, first) = samples.first()?.sample.tensor.as_ref()?;
        let part = tensor.part(*first..first + samples.len())?;
        let is_row = |(i, fed): (usize, &&Fed)| part.part(i..i + 1).is_some_and(|row| row.is_same(&fed.array));
        samples.iter().enumerate().all(is_row).then_some(part)
    };
    as_they_lie().or_else(|| Array::concatenate(&samples.iter().map(|fed| &fed.array).collect::<Vec<_>>()))
}

/// Gives each sample of a run what came of it.
fn give(all: &mut [OfSample], part: Range<usize>, found: Result<Vec<Vec<Vec<FoundMap>>>, Error>) {
    let of_part = all.iter_mut().skip(part.start).take(part.len());
    match found {
        Ok(found) => of_part.zip(found).for_each(|(one, found)| *one = Ok(found)),
        Err(error) => of_part.for_each(|one| *one = Err(error.again())),
    }
}

/// What a run made: of each sample the maps, of each of these the classes.
fn of_samples(
    maps: &[Explaining],
    made: &[(String, Array)],
    notes: &[String],
) -> Result<Vec<Vec<Vec<FoundMap>>>, Error> {
    let mut all: Vec<Vec<Vec<FoundMap>>> = Vec::new();
    for explaining in maps {
        let found = of_map(explaining, made)?;
        all.resize_with(found.len(), Vec::new);
        for (of_sample, mut found) in all.iter_mut().zip(found) {
            found.iter_mut().for_each(|found| found.notes.extend(notes.iter().cloned()));
            of_sample.push(found);
        }
    }
    Ok(all)
}

/// One map of each image and class.
fn of_map(explaining: &Explaining, made: &[(String, Array)]) -> Result<Vec<Vec<FoundMap>>, Error> {
    let names = &explaining.outputs;
    let find = |name: &str| {
        let found = made.iter().find(|(n, _)| n == name).map(|(_, a)| a);
        found.ok_or_else(|| Error::Argument(format!("the engine gave no output {name:?}")))
    };
    let (map, class, score) = (find(&names.map)?.to_f32(), find(&names.class)?.to_i64(), find(&names.score)?.to_f64());
    let other_tokens = names.other_tokens.as_deref().map(find).transpose()?.map(Array::to_f32);
    let logits = names.logits.as_deref().map(find).transpose()?.map(Array::to_f32);
    let m = explaining.maps;
    let (mut classes, mut scores) = (class.iter(), score.iter());
    let mut rows = logits.as_ref().map(|l| l.axis_iter(Axis(0)));
    let mut others = other_tokens.as_ref().map(|o| o.iter());
    let mut of_image = |image_map: ArrayViewD<f32>| {
        let row = rows.as_mut().and_then(Iterator::next);
        let logits = Arc::new(ImageLogits::new(row.iter().flatten().copied()));
        let one = |i: usize| {
            let map = if m == 1 { image_map.to_owned() } else { image_map.index_axis(Axis(0), i).to_owned() };
            let class = classes.next().and_then(|&c| usize::try_from(c).ok());
            let score = scores.next().copied().unwrap_or(f64::NAN);
            let other_tokens = others.as_mut().and_then(Iterator::next).copied().map(f64::from);
            let (logits, bias) = (logits.clone(), explaining.b(class.unwrap_or(0)));
            FoundMap { map, class, score, logits, bias, other_tokens, integral: None, notes: Vec::new() }
        };
        let all = (0..m).map(one);
        // What is not above the threshold has no class.
        let is_wanted = |found: &FoundMap| found.class.is_some() || !matches!(explaining.target, Target::Above(_));
        all.filter(is_wanted).collect()
    };
    Ok(map.axis_iter(Axis(0)).map(&mut of_image).collect())
}
