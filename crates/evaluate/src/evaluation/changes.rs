//! Metrics that run the network further: on changed images, on layers with places taken out, with random weights.

use super::failure::Failure;
use super::image::Prepared;
use super::methods::Maps;
use super::rows_of::{Asked, Measured, Subject, Value};
use crate::changed::{self, Change, Image, Metric, Request, measure};
use crate::metrics::{
    Adcc, AopcLerf, AopcMorf, Arcc, AverageDrop, AverageGain, ConfidenceIncrease, Curve, Deletion, Infidelity,
    Insertion, MuFidelity, Neighbours, Road, Taken, coherency, idle_share, max_sensitivity, mprt, unused_share,
};
use crate::rows::Row;
use crate::{Error, plan};
use hirescam::core::score::Activation;
use hirescam::engine::Array;
use hirescam::heatmap::Normalize;
use hirescam::{Explanation, Sample};
use ndarray::{Array2, ArrayD, ArrayViewD};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A score's change by less than this many roundings of float32 is none. What is rounded has the size of |score| + Σ |cell|.
const ROUNDINGS: f64 = 16.0;

/// Infidelity's patches are an eighth of the image along each axis.
const PATCHES_ALONG: usize = 8;

/// A map in the size of the network's image.
pub(super) struct Heatmaps {
    /// As it is.
    pub(super) raw: ArrayD<f64>,
    /// Rectified, over its largest value.
    pub(super) unit: ArrayD<f64>,
}

impl Heatmaps {
    pub(super) fn new(explanation: &Explanation, image: &Prepared) -> Result<Self, Failure> {
        let shape = image.tensor.shape().get(1..).unwrap_or_default();
        let places: Vec<usize> =
            shape.iter().enumerate().filter(|(axis, _)| *axis != image.channels).map(|(_, n)| *n).collect();
        let [height, width] = places[..] else {
            return Err(Failure::new("unsupported", "the network's image has other axes than height and width"));
        };
        let large = explanation.heatmap()?.resize(height, width).map_err(hirescam::Error::from)?;
        let raw = large.values().mapv(f64::from).into_dyn();
        let unit = large.rectify().normalize(Normalize::Max).map_err(hirescam::Error::from)?;
        Ok(Heatmaps { raw, unit: unit.into_values().mapv(f64::from).into_dyn() })
    }
}

/// A metric of a map, waiting for its scores.
struct Waiting {
    /// Which of the maps it is about.
    map: usize,
    measure: &'static str,
    metric: Box<dyn Metric>,
    /// Whether it takes the map within 0 and 1.
    unit: bool,
    column: usize,
}

impl Subject<'_> {
    /// The rows of metrics that run the network further.
    ///
    /// # Errors
    /// [`Error::Argument`] where the image is none. What fails otherwise is a row.
    pub(super) fn rows_of_runs(&self, asked: &[Asked], stop: &AtomicBool) -> Result<Vec<Row>, Error> {
        let measures: Vec<&'static str> =
            self.ready.measures().iter().copied().filter(|m| plan::takes_runs(m)).collect();
        let maps: Vec<Measured> = if measures.is_empty() { Vec::new() } else { self.measured(asked).collect() };
        if maps.is_empty() {
            return Ok(Vec::new());
        }
        let mut rows = self.ablated(&measures, asked, &maps);
        rows.extend(self.changed(&measures, asked, &maps, stop));
        if measures.contains(&"max-sensitivity") {
            rows.extend(self.sensitive(asked, &maps, stop));
        }
        if measures.contains(&"mprt") {
            rows.extend(self.randomised(asked, &maps, stop));
        }
        Ok(rows)
    }

    /// Metrics of what the score loses when single cells of the layer are set to 0.
    fn ablated(&self, measures: &[&'static str], asked: &[Asked], maps: &[Measured]) -> Vec<Row> {
        let measures: Vec<&str> = measures.iter().copied().filter(|m| m.ends_with(":ablation")).collect();
        if measures.is_empty() {
            return Vec::new();
        }
        let entries: Vec<usize> = asked.iter().map(|a| a.entry).collect();
        let mut known: HashMap<(String, Vec<usize>), Result<Vec<ArrayD<f64>>, Failure>> = HashMap::new();
        let mut rows = Vec::new();
        for measured in maps {
            let e = measured.explanation;
            let shape = e.map.shape().to_vec();
            let since = Instant::now();
            let found = known.entry((e.layer().to_owned(), shape.clone())).or_insert_with(|| {
                if e.layer() == self.ready.methods.image_input() {
                    return Err(Failure::new("unsupported", "single pixels are not taken out, only cells of a layer"));
                }
                let scorer = self.ready.scorer(Some(e.layer()), self.image.shape())?;
                Ok(scorer.contributions(&self.image.sample, &entries, &shape)?)
            });
            for measure in &measures {
                let value = || {
                    let of_classes = found.as_ref().map_err(Clone::clone)?;
                    let class = asked.iter().position(|a| a.entry == measured.asked.entry);
                    let lost = class.and_then(|i| of_classes.get(i));
                    let lost = lost.ok_or_else(|| Failure::new("argument", "the class has no score"))?;
                    let size = e.score.abs() + lost.iter().map(|v| v.abs()).sum::<f64>();
                    let rounding = ROUNDINGS * f64::from(f32::EPSILON) * size;
                    // What can be rounding is no contribution.
                    let lost = lost.mapv(|v| if v.abs() <= rounding { 0.0 } else { v });
                    let raw = e.map.mapv(f64::from);
                    Ok(Value::One(match *measure {
                        "unused-share:ablation" => unused_share(raw.view(), lost.view())?,
                        _ => idle_share(raw.view(), lost.view(), 0.0)?,
                    }))
                };
                rows.push(measured.with(measure, value(), since.elapsed().as_secs_f64()));
            }
        }
        rows
    }

    /// Metrics of scores of changed images: all that is asked of the image, with each changed image scored once.
    fn changed(&self, measures: &[&'static str], asked: &[Asked], maps: &[Measured], stop: &AtomicBool) -> Vec<Row> {
        let other = |m: &&'static str| m.ends_with(":ablation") || matches!(*m, "max-sensitivity" | "mprt");
        let measures: Vec<&'static str> = measures.iter().copied().filter(|m| !other(m)).collect();
        if measures.is_empty() {
            return Vec::new();
        }
        let since = Instant::now();
        let all_fail = |failure: &Failure| -> Vec<Row> {
            let of = |m: &Measured| -> Vec<Row> {
                measures.iter().map(|measure| m.with(measure, Err(failure.clone()), 0.0)).collect()
            };
            maps.iter().flat_map(of).collect()
        };
        let ready = || {
            let scorer = self.ready.scorer(None, self.image.shape())?;
            let image = Image::new(scorer.activation(&self.image.sample)?.view(), scorer.channels())?;
            Ok::<_, Failure>((scorer, image))
        };
        let (scorer, image) = match ready() {
            Ok(ready) => ready,
            Err(failure) => return all_fail(&failure),
        };
        let activation = scorer.score().probability;
        let heatmaps: Vec<Result<Heatmaps, Failure>> =
            maps.iter().map(|m| Heatmaps::new(m.explanation, self.image)).collect();
        let kept = match measures.iter().any(|m| matches!(*m, "coherency" | "adcc" | "arcc")) {
            true => self.of_kept(&image, maps, &heatmaps, stop),
            false => Vec::new(),
        };
        let (mut waiting, mut rows) = (Vec::new(), Vec::new());
        for (i, (measured, heatmaps)) in maps.iter().zip(&heatmaps).enumerate() {
            let class = asked.iter().position(|a| a.entry == measured.asked.entry).unwrap_or(0);
            for measure in &measures {
                let made = heatmaps.as_ref().map_err(Clone::clone).and_then(|heatmaps| {
                    let kept =
                        || kept.get(i).cloned().unwrap_or_else(|| Err(Failure::new("argument", "there is no map")));
                    if *measure == "coherency" {
                        return Ok(Err(coherency(heatmaps.unit.view(), kept()?.view())?));
                    }
                    self.metric(measure, activation, kept).map(Ok)
                });
                match made {
                    Ok(Ok((metric, unit, probability))) => waiting.push(Waiting {
                        map: i,
                        measure,
                        metric,
                        unit,
                        // Of each class the score, then the probability.
                        column: 2 * class + usize::from(probability),
                    }),
                    Ok(Err(value)) => rows.push(measured.with(measure, Ok(Value::One(value)), 0.0)),
                    Err(failure) => rows.push(measured.with(measure, Err(failure), 0.0)),
                }
            }
        }
        let requests: Vec<Request> = waiting
            .iter()
            .filter_map(|w| {
                let of_map = heatmaps.get(w.map)?.as_ref().ok()?;
                let map = if w.unit { of_map.unit.view() } else { of_map.raw.view() };
                Some(Request { metric: w.metric.as_ref(), map, column: w.column })
            })
            .collect();
        let entries: Vec<usize> = asked.iter().map(|a| a.entry).collect();
        let mut scores = |images: ArrayViewD<'_, f32>| {
            if stop.load(Ordering::Relaxed) {
                return Err(hirescam::Error::Cancelled.into());
            }
            let logits = scorer.logits(&self.image.sample, images)?;
            Ok(columns(&logits, &entries, activation))
        };
        let batch = self.ready.evaluation.spec.settings.batch;
        let values = match measure(&image, &requests, &mut scores, batch) {
            Ok(measured) => measured.values.into_iter().map(|v| v.map_err(Failure::from)).collect(),
            Err(error) => vec![Err(Failure::from(error)); requests.len()],
        };
        let seconds = since.elapsed().as_secs_f64() / requests.len().max(1) as f64;
        for (waiting, value) in waiting.iter().zip(values) {
            if let Some(measured) = maps.get(waiting.map) {
                rows.push(measured.with(waiting.measure, value.map(Value::One), seconds));
            }
        }
        rows
    }

    /// A metric, whether it takes the map within 0 and 1, and whether it reads the probability.
    fn metric(
        &self,
        measure: &str,
        activation: Activation,
        kept: impl Fn() -> Result<ArrayD<f64>, Failure>,
    ) -> Result<(Box<dyn Metric>, bool, bool), Failure> {
        let (plan, seed) = (self.ready.evaluation.plan, self.ready.evaluation.spec.settings.seed);
        let reads = self.ready.reads(activation);
        let probability = || match activation {
            Activation::None => Err(Failure::new("unsupported", "it is of probabilities, and the network makes none")),
            _ => Ok(true),
        };
        let curve = Curve { steps: plan.curve_steps, seed, fill: plan.fill.0, ..Curve::deletion() };
        let insertion = Curve { fill: plan.insertion_fill.0, ..curve };
        let (fill, samples) = (plan.fill.0, plan.draws);
        let metric: (Box<dyn Metric>, bool, bool) = match measure {
            "deletion" => (Box::new(Deletion(curve)), false, reads),
            "insertion" => (Box::new(Insertion(insertion)), false, reads),
            "aopc-morf" => (Box::new(AopcMorf(curve)), false, reads),
            "aopc-lerf" => (Box::new(AopcLerf(curve)), false, reads),
            "average-drop" => (Box::new(AverageDrop), true, probability()?),
            "confidence-increase" => (Box::new(ConfidenceIncrease), true, reads),
            "average-gain" => (Box::new(AverageGain), true, probability()?),
            "road" => (Box::new(Road { seed, ..Road::default() }), false, reads),
            "infidelity" => {
                let sides = self.image.tensor.shape().iter().skip(1).enumerate();
                let least = sides.filter(|(axis, _)| *axis != self.image.channels).map(|(_, n)| *n).min();
                let taken = Taken::Patch { size: (least.unwrap_or(1) / PATCHES_ALONG).max(1), fill };
                (Box::new(Infidelity { taken, samples, seed, scaled: true }), false, false)
            }
            "mufidelity" => (Box::new(MuFidelity { samples, fill, seed, ..MuFidelity::default() }), false, false),
            "adcc" => (Box::new(Adcc { of_kept: kept()? }), true, probability()?),
            "arcc" => {
                let arcc = Arcc::new(kept()?);
                let road = Road { seed, ..arcc.road.clone() };
                (Box::new(Arcc { road, ..arcc }), true, probability()?)
            }
            other => return Err(Failure::new("unsupported", format!("{other} is not measured on changed images"))),
        };
        Ok(metric)
    }

    /// Of each map the one of the image multiplied by it, of the same class and method and at the same layer: in the image's size, within 0
    /// and 1.
    fn of_kept(
        &self,
        image: &Image,
        maps: &[Measured],
        heatmaps: &[Result<Heatmaps, Failure>],
        stop: &AtomicBool,
    ) -> Vec<Result<ArrayD<f64>, Failure>> {
        let sample = |heatmaps: &Result<Heatmaps, Failure>| {
            let unit: Vec<f64> = heatmaps.as_ref().map_err(Clone::clone)?.unit.iter().copied().collect();
            self.with_image(changed::images(image, &[Change::multiplied(&unit)])?)
        };
        let samples: Vec<Result<Sample, Failure>> = heatmaps.iter().map(sample).collect();
        let mut all: Vec<Result<ArrayD<f64>, Failure>> =
            samples.iter().map(|s| Err(s.as_ref().err().cloned().unwrap_or(Failure::new("cancelled", "")))).collect();
        for method in &self.ready.evaluation.plan.methods {
            let own: Vec<(usize, &Measured)> = maps.iter().enumerate().filter(|(_, m)| m.method == method).collect();
            let classes: Vec<[usize; 1]> = own.iter().map(|(_, m)| [m.asked.entry]).collect();
            let asked: Vec<(usize, &Measured, &Sample, &[usize])> = own
                .iter()
                .zip(&classes)
                .filter_map(|((i, m), class)| Some((*i, *m, samples.get(*i)?.as_ref().ok()?, class.as_slice())))
                .collect();
            let pairs: Vec<(&Sample, &[usize])> = asked.iter().map(|(.., sample, class)| (*sample, *class)).collect();
            let made = self.ready.methods.explain(&[method], &pairs, stop).into_iter().flatten();
            for ((i, measured, ..), made) in asked.iter().zip(made) {
                let found = made.and_then(|classes| {
                    let layer = |e: &&Explanation| e.layer() == measured.explanation.layer();
                    let map = classes.iter().flatten().find(layer);
                    let map = map.ok_or_else(|| Failure::new("argument", "there is no map of the changed image"))?;
                    Ok(Heatmaps::new(map, self.image)?.unit)
                });
                all.iter_mut().skip(*i).take(1).for_each(|slot| *slot = found.clone());
            }
        }
        all
    }

    /// How far maps move when the image is hardly changed.
    fn sensitive(&self, asked: &[Asked], maps: &[Measured], stop: &AtomicBool) -> Vec<Row> {
        let plan = self.ready.evaluation.plan;
        let seed = self.ready.evaluation.spec.settings.seed;
        let neighbours = Neighbours { radius: plan.radius, samples: plan.neighbours, seed };
        let neighbours = neighbours.images(self.image.tensor.view());
        let samples: Vec<Sample> = match neighbours.into_iter().map(|image| self.with_image(image)).collect() {
            Ok(samples) => samples,
            Err(failure) => return maps.iter().map(|m| m.with("max-sensitivity", Err(failure.clone()), 0.0)).collect(),
        };
        let explain = |methods: &[&str], entries: &[usize]| {
            let asked: Vec<(&Sample, &[usize])> = samples.iter().map(|sample| (sample, entries)).collect();
            self.ready.methods.explain(methods, &asked, stop)
        };
        let value = |own: ArrayViewD<f64>, others: &[ArrayViewD<f64>]| Ok(max_sensitivity(own, others, true)?);
        self.held_against(asked, maps, "max-sensitivity", explain, value)
    }

    /// How much maps are like those of networks with random weights: the mean over these of the rank correlation.
    fn randomised(&self, asked: &[Asked], maps: &[Measured], stop: &AtomicBool) -> Vec<Row> {
        let networks = match self.ready.randomised(stop) {
            Ok(networks) => networks,
            Err(failure) => return maps.iter().map(|m| m.with("mprt", Err(failure.clone()), 0.0)).collect(),
        };
        let explain = |methods: &[&str], entries: &[usize]| {
            let mut all: Vec<Vec<Maps>> = methods.iter().map(|_| Vec::new()).collect();
            // One class at a time: what is made ready for several at once would hold the weights of each network again.
            let alone: Vec<(&Sample, &[usize])> = entries.chunks(1).map(|entry| (&self.image.sample, entry)).collect();
            for network in networks.iter() {
                let made = network.explain(methods, &alone, stop);
                let together = |of_classes: Vec<Maps>| -> Maps {
                    of_classes
                        .into_iter()
                        .collect::<Result<Vec<_>, _>>()
                        .map(|maps| maps.into_iter().flatten().collect())
                };
                all.iter_mut().zip(made).for_each(|(own, made)| own.push(together(made)));
            }
            all
        };
        let value = |own: ArrayViewD<f64>, others: &[ArrayViewD<f64>]| {
            let found: Vec<f64> = mprt(own, others, None)?.into_iter().flatten().collect();
            match found.len() {
                0 => {
                    let why = "the maps of all networks with random weights are the same everywhere";
                    Err(Failure::new("undefined", why))
                }
                n => Ok(found.iter().sum::<f64>() / n as f64),
            }
        };
        self.held_against(asked, maps, "mprt", explain, value)
    }

    /// Rows of a metric that holds each map against others of the same method, class and layer, which `explain` gives by method.
    fn held_against(
        &self,
        asked: &[Asked],
        maps: &[Measured],
        measure: &str,
        explain: impl Fn(&[&str], &[usize]) -> Vec<Vec<Maps>>,
        value: impl Fn(ArrayViewD<f64>, &[ArrayViewD<f64>]) -> Result<f64, Failure>,
    ) -> Vec<Row> {
        let entries: Vec<usize> = asked.iter().map(|a| a.entry).collect();
        let methods: Vec<&str> = self.ready.evaluation.plan.methods.iter().map(String::as_str).collect();
        let since = Instant::now();
        let others = explain(&methods, &entries);
        let explaining = since.elapsed().as_secs_f64() / maps.len().max(1) as f64;
        let row = |measured: &Measured| {
            let since = Instant::now();
            let of_method = methods.iter().position(|m| *m == measured.method).and_then(|at| others.get(at));
            let same = |maps: &Maps| {
                let maps = maps.as_ref().map_err(Clone::clone)?;
                let class = entries.iter().position(|e| *e == measured.asked.entry).and_then(|i| maps.get(i));
                let map = class.into_iter().flatten().find(|e| e.layer() == measured.explanation.layer());
                let map = map.ok_or_else(|| Failure::new("argument", "there is no map to hold it against"))?;
                Ok(map.map.mapv(f64::from))
            };
            let found: Result<Vec<ArrayD<f64>>, Failure> = of_method.into_iter().flatten().map(same).collect();
            let found = found.and_then(|others| {
                let views: Vec<ArrayViewD<f64>> = others.iter().map(|o| o.view()).collect();
                value(measured.explanation.map.mapv(f64::from).view(), &views)
            });
            measured.with(measure, found.map(Value::One), explaining + since.elapsed().as_secs_f64())
        };
        maps.iter().map(row).collect()
    }

    /// The image's sample with another image.
    fn with_image(&self, image: ArrayD<f32>) -> Result<Sample, Failure> {
        if !self.ready.methods.any().image_kind().is_float() {
            return Err(Failure::new("unsupported", "the network takes integers, which a changed image is not"));
        }
        let mut sample = self.image.sample.clone();
        sample.image = Array::from(image).into();
        Ok(sample)
    }
}

/// Of each of the classes the score, then its probability; the score twice where there is none.
fn columns(logits: &Array2<f32>, classes: &[usize], activation: Activation) -> Array2<f64> {
    let mut columns = Array2::zeros((logits.nrows(), 2 * classes.len()));
    for (row, mut out) in logits.rows().into_iter().zip(columns.rows_mut()) {
        let all: Vec<f64> = row.iter().map(|v| f64::from(*v)).collect();
        let of = |class: &usize| {
            let score = all.get(*class).copied().unwrap_or(f64::NAN);
            [score, activation.of(score, &all).unwrap_or(score)]
        };
        out.iter_mut().zip(classes.iter().flat_map(of)).for_each(|(cell, value)| *cell = value);
    }
    columns
}
