//! An evaluation made ready: what explains, scores and measures any of its images.

use super::Evaluation;
use super::failure::Failure;
use super::image::{Prepared, Read};
use super::methods::Methods;
use super::rows_of::{Asked, ImageMaps, Subject};
use crate::Error;
use crate::plan::{Classes, Reads};
use crate::rows::Row;
use hirescam::core::score::Activation;
use hirescam::labels::Labels;
use hirescam::scorer::Scorer;
use hirescam::{Network, Spec, source};
use ndarray::{ArrayD, Axis};
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// How many scorers are kept: each holds the network's weights.
const SCORERS_KEPT: usize = 8;

/// A scorer, or why there is none.
type AnyScorer = Result<Arc<Scorer>, Failure>;

/// An evaluation made ready.
pub(super) struct Ready<'a> {
    pub(super) evaluation: &'a Evaluation<'a>,
    pub(super) methods: Methods,
    measures: Vec<&'static str>,
    labels: Option<Labels>,
    /// The places that a score cannot depend on, where they are given.
    dead_zone: Option<ArrayD<bool>>,
    /// By layer, none for the image, and the image's shape.
    scorers: Mutex<Vec<((Option<String>, Vec<usize>), AnyScorer)>>,
    /// The scores of all classes where nothing is left of a layer, by layer and image's shape.
    baselines: Mutex<HashMap<(String, Vec<usize>), Arc<Vec<f32>>>>,
    /// Networks whose weights were randomised, with their methods.
    randomised: Mutex<Option<Result<Arc<Vec<Methods>>, Failure>>>,
}

impl<'a> Ready<'a> {
    pub(super) fn new(evaluation: &'a Evaluation<'a>) -> Result<Self, Error> {
        let Evaluation { network, spec, plan, .. } = evaluation;
        let measures = plan.measures()?;
        let held_against_hirescam = measures.iter().any(|m| matches!(*m, "unused-share" | "idle-share"));
        let mut names = plan.methods.clone();
        if held_against_hirescam && !names.iter().any(|name| name == "hirescam") {
            names.push("hirescam".into());
        }
        let methods = Methods::new(network, spec, &names)?;
        let dead_zone = match &plan.dead_zone {
            Some(path) => Some(source::array(path)?.to_f64().mapv(|v| v != 0.0)),
            None => None,
        };
        let labels = methods.any().labels().cloned();
        Ok(Ready {
            evaluation,
            measures,
            labels,
            dead_zone,
            scorers: Mutex::default(),
            baselines: Mutex::default(),
            randomised: Mutex::default(),
            methods,
        })
    }

    /// What is measured.
    pub(super) fn measures(&self) -> &[&'static str] {
        &self.measures
    }

    /// Whether metrics that change the image read probabilities, where `activation` makes them.
    pub(super) fn reads(&self, activation: Activation) -> bool {
        self.evaluation.plan.reads == Reads::Probability && activation != Activation::None
    }

    pub(super) fn dead_zone(&self) -> Option<&ArrayD<bool>> {
        self.dead_zone.as_ref()
    }

    /// How many images are explained together.
    pub(super) fn together(&self) -> usize {
        self.methods.any().together()
    }

    /// What keeps methods from being had on this network.
    pub(super) fn notes(&self) -> Vec<String> {
        self.methods.failures()
    }

    /// What scores changes at a layer, or of the image, for images of a shape.
    pub(super) fn scorer(&self, layer: Option<&str>, shape: &[usize]) -> AnyScorer {
        let key = (layer.map(str::to_owned), shape.to_vec());
        let kept = || self.scorers.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept().iter().find(|(k, _)| *k == key).map(|(_, scorer)| scorer.clone());
        if let Some(found) = found {
            return found;
        }
        let spec = Spec {
            shape: Some(shape.to_vec()),
            target: None,
            classes: Vec::new(),
            top: None,
            ..self.evaluation.spec.clone()
        };
        let made = self.evaluation.network.scorer(&spec, layer).map(Arc::new).map_err(Failure::from);
        let mut kept = kept();
        kept.insert(0, (key, made.clone()));
        kept.truncate(SCORERS_KEPT);
        made
    }

    /// The logits of all classes where the layer is 0 everywhere. They are found once where nothing goes around the layer.
    pub(super) fn baseline(&self, image: &Prepared, layer: &str, around: bool) -> Result<Arc<Vec<f32>>, Failure> {
        let shape = image.shape();
        let key = (layer.to_owned(), shape.to_vec());
        let known = self.baselines.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(known) = known.filter(|_| !around) {
            return Ok(known);
        }
        let scorer = self.scorer(Some(layer), shape)?;
        let zeros = ArrayD::zeros([&[1], scorer.shape()].concat());
        let logits = scorer.logits(&image.sample, zeros.view())?;
        let made = Arc::new(logits.iter().copied().collect::<Vec<f32>>());
        if !around {
            self.baselines.lock().unwrap_or_else(PoisonError::into_inner).insert(key, made.clone());
        }
        Ok(made)
    }

    /// The methods on networks whose weights were randomised, 1, 2, 4 … tensors from the score downwards and at last all.
    pub(super) fn randomised(&self, stop: &AtomicBool) -> Result<Arc<Vec<Methods>>, Failure> {
        let mut kept = self.randomised.lock().unwrap_or_else(PoisonError::into_inner);
        let made = kept.get_or_insert_with(|| {
            let Evaluation { network, spec, plan, .. } = self.evaluation;
            let networks: Vec<Network> = network.randomised(spec)?;
            if networks.is_empty() {
                return Err(Failure::new("unsupported", "the network stores no weights with two axes or more"));
            }
            let methods = |network: &Network| match stop.load(Ordering::Relaxed) {
                true => Err(hirescam::Error::Cancelled.into()),
                false => Methods::new(network, spec, &plan.methods),
            };
            Ok(Arc::new(networks.iter().map(methods).collect::<Result<Vec<_>, Error>>()?))
        });
        made.clone()
    }

    /// The rows of images that were read; none where the work was stopped before all are there.
    pub(super) fn rows(&self, images: Vec<Read>, stop: &AtomicBool) -> Result<Option<Vec<Row>>, Error> {
        // Networks run outside of rayon's threads: an engine that waits for its own would take up another run in the midst of one.
        let logits: Vec<Result<(Vec<f32>, bool), Failure>> = images.iter().map(|read| self.logits(read)).collect();
        let mut rows = Vec::new();
        let mut subjects: Vec<(&Read, &Prepared, Vec<Asked>)> = Vec::new();
        for (read, logits) in images.iter().zip(logits) {
            let base = Row { index: read.index, image: read.id.clone(), ..Row::default() };
            match (&read.image, logits) {
                (Ok(image), Ok((logits, multi_label))) => {
                    let asked = self.asked(image, (&logits, multi_label), &base, &mut rows);
                    if asked.is_empty() && !rows.iter().any(|row| row.index == read.index) {
                        let nothing = Failure::new("no-object", "the image shows nothing of any class");
                        rows.push(failed(&base, nothing));
                    }
                    subjects.push((read, image, asked));
                }
                (Err(failure), _) => rows.push(failed(&base, failure.clone())),
                (Ok(_), Err(failure)) => rows.push(failed(&base, failure)),
            }
        }
        subjects.retain(|(_, _, asked)| !asked.is_empty());
        let maps = self.maps(&subjects, stop);
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let subjects: Vec<(Subject, Vec<Asked>)> = subjects
            .into_iter()
            .zip(maps)
            .map(|((read, image, asked), maps)| (Subject::new(self, read, image, maps), asked))
            .collect();
        // What needs no further run is measured on all cores; what does runs them itself.
        let measured: Vec<Vec<Row>> = subjects.par_iter().map(|(subject, asked)| subject.rows(asked)).collect();
        rows.extend(measured.into_iter().flatten());
        for (subject, asked) in &subjects {
            rows.extend(subject.rows_of_runs(asked, stop)?);
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
        }
        Ok(Some(rows))
    }

    /// What each method makes of each image.
    fn maps(&self, subjects: &[(&Read, &Prepared, Vec<Asked>)], stop: &AtomicBool) -> Vec<ImageMaps> {
        let classes: Vec<Vec<usize>> =
            subjects.iter().map(|(_, _, asked)| asked.iter().map(|a| a.entry).collect()).collect();
        let samples: Vec<_> =
            subjects.iter().zip(&classes).map(|((_, image, _), classes)| (&image.sample, classes.as_slice())).collect();
        let mut all: Vec<ImageMaps> = subjects.iter().map(|_| Vec::new()).collect();
        let names: Vec<&str> = self.methods.names().iter().map(String::as_str).collect();
        let since = Instant::now();
        let made = self.methods.explain(&names, &samples, stop);
        // Methods share runs, and share their time alike.
        let seconds = since.elapsed().as_secs_f64() / (samples.len() * names.len()).max(1) as f64;
        for (name, of_images) in names.into_iter().zip(made) {
            for (of_image, maps) in all.iter_mut().zip(of_images) {
                of_image.push((name.to_owned(), seconds, maps));
            }
        }
        all
    }

    /// The scores of all classes of an image, and whether each class is predicted for itself.
    fn logits(&self, read: &Read) -> Result<(Vec<f32>, bool), Failure> {
        let image = read.image.as_ref().map_err(Clone::clone)?;
        let scorer = self.scorer(None, image.shape())?;
        let own = scorer.activation(&image.sample)?.insert_axis(Axis(0));
        let logits = scorer.logits(&image.sample, own.view())?;
        Ok((logits.iter().copied().collect(), scorer.score().is_multi_label()))
    }

    /// The classes that are explained of an image. Those that it shows and the network does not have are rows.
    fn asked(
        &self,
        image: &Prepared,
        (logits, multi_label): (&[f32], bool),
        base: &Row,
        rows: &mut Vec<Row>,
    ) -> Vec<Asked> {
        let Evaluation { data, classes, plan, .. } = self.evaluation;
        let name = |class: usize| data.classes().get(class).cloned();
        let score = |entry: usize| logits.get(entry).copied().unwrap_or(f32::NAN);
        // Of equal ones the first.
        let best = |entries: &mut dyn Iterator<Item = usize>| {
            entries.fold(None, |best: Option<usize>, e| match best {
                Some(b) if score(b) >= score(e) => Some(b),
                _ => Some(e),
            })
        };
        let top = best(&mut (0..logits.len()));
        let is_predicted = |entry: usize| match multi_label {
            true => score(entry) > 0.0,
            false => top == Some(entry),
        };
        let mut asked: Vec<Asked> = Vec::new();
        for (number, truth) in image.truths.iter().enumerate() {
            let entries = classes.get(truth.class).map(Vec::as_slice).unwrap_or_default();
            let predicted = entries.iter().any(|e| is_predicted(*e));
            match best(&mut entries.iter().copied().filter(|e| *e < logits.len())) {
                Some(entry) => asked.push(Asked {
                    entry,
                    name: name(truth.class).unwrap_or_default(),
                    truth: Some(number),
                    predicted,
                }),
                None if plan.classes.present() => rows.push(Row {
                    class: name(truth.class),
                    present: Some(true),
                    error: Some("unmapped".into()),
                    reason: Some("the network does not have the class".into()),
                    ..base.clone()
                }),
                None => {}
            }
        }
        if plan.classes == Classes::Predicted {
            asked.retain(|a| Some(a.entry) == top);
        }
        if let Some(top) = top.filter(|_| plan.classes.predicted())
            && asked.iter().all(|a| a.entry != top)
        {
            let of_data = (0..classes.len()).find(|c| classes.get(*c).is_some_and(|entries| entries.contains(&top)));
            // Another of the network's classes may stand for what the image shows; this one is that too.
            let truth = of_data.and_then(|class| image.truths.iter().position(|t| t.class == class));
            let label = || self.labels.as_ref().and_then(|l| l.get(top)).map_or(format!("class {top}"), str::to_owned);
            asked.push(Asked {
                entry: top,
                name: of_data.and_then(name).unwrap_or_else(label),
                truth,
                predicted: true,
            });
        }
        asked
    }
}

/// The row of an image that failed.
fn failed(base: &Row, failure: Failure) -> Row {
    Row { error: Some(failure.kind.into()), reason: Some(failure.reason), ..base.clone() }
}
