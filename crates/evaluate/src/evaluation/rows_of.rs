//! The rows of one image.

use super::changes::Heatmaps;
use super::failure::Failure;
use super::image::{Prepared, Read};
use super::methods::Maps;
use super::ready::Ready;
use super::seen::Truth;
use crate::metrics::{
    Perfect, area_over_threshold, completeness_error, completeness_residual, complexity, dead_zone_ratio,
    energy_pointing_game, entropy, idle_share, ious, organ_ious, pointing_game, relevance_mass, relevance_rank,
    sparseness, total_variation, unused_share,
};
use crate::rows::Row;
use hirescam::Explanation;
use ndarray::ArrayD;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// A class that is explained of an image.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// The network's class.
    pub(super) entry: usize,
    /// The data set's name for it, else the network's.
    pub(super) name: String,
    /// Which of the image's truths is about it; none where the image does not show it.
    pub(super) truth: Option<usize>,
    /// Whether the network predicts it.
    pub(super) predicted: bool,
}

/// What each method made of an image, with the seconds that it took.
pub(super) type ImageMaps = Vec<(String, f64, Maps)>;

/// An image with its maps.
pub(super) struct Subject<'a> {
    pub(super) ready: &'a Ready<'a>,
    pub(super) read: &'a Read,
    pub(super) image: &'a Prepared,
    pub(super) maps: ImageMaps,
    /// By layer the scores of all classes where nothing is left of it, where completeness is measured.
    baselines: HashMap<String, Result<Arc<Vec<f32>>, Failure>>,
}

/// A map of an image, and what its rows begin with.
pub(super) struct Measured<'a> {
    pub(super) method: &'a str,
    pub(super) asked: &'a Asked,
    pub(super) explanation: &'a Explanation,
    pub(super) row: Row,
}

/// What was measured.
pub(super) enum Value {
    One(f64),
    /// At each of the thresholds.
    Many(Vec<f64>),
}

impl<'a> Subject<'a> {
    pub(super) fn new(ready: &'a Ready<'a>, read: &'a Read, image: &'a Prepared, maps: ImageMaps) -> Self {
        let mut baselines = HashMap::new();
        if ready.measures().iter().any(|m| m.starts_with("completeness")) {
            for e in maps.iter().filter_map(|(_, _, maps)| maps.as_ref().ok()).flatten().flatten() {
                if !e.bias_is_known && !baselines.contains_key(e.layer()) {
                    let around = e.certificate().bypass.is_some();
                    baselines.insert(e.layer().to_owned(), ready.baseline(image, e.layer(), around));
                }
            }
        }
        Subject { ready, read, image, maps, baselines }
    }
}

impl Subject<'_> {
    /// What the rows of a class begin with.
    fn base(&self, asked: &Asked) -> Row {
        let truth = self.truth(asked);
        Row {
            index: self.read.index,
            image: self.read.id.clone(),
            class: Some(asked.name.clone()),
            class_index: Some(asked.entry as u64),
            present: Some(truth.is_some()),
            predicted: Some(asked.predicted),
            difficult: truth.and_then(|t| t.difficult),
            object_share: truth.and_then(|t| t.share),
            ..Row::default()
        }
    }

    fn truth(&self, asked: &Asked) -> Option<&Truth> {
        self.image.truths.get(asked.truth?)
    }

    /// The maps of the plan's methods.
    pub(super) fn measured<'s>(&'s self, asked: &'s [Asked]) -> impl Iterator<Item = Measured<'s>> {
        let planned = self.maps.iter().take(self.ready.evaluation.plan.methods.len());
        planned.flat_map(move |(method, seconds, maps)| {
            let of_class = move |(asked, layers): (&'s Asked, &'s Vec<Explanation>)| {
                layers.iter().map(move |explanation| Measured {
                    method,
                    asked,
                    explanation,
                    row: Row {
                        score: Some(explanation.score),
                        probability: explanation.probability,
                        method: Some(method.clone()),
                        layer: Some(explanation.layer().to_owned()),
                        verdict: Some(explanation.certificate().verdict.to_string()),
                        seconds: Some(*seconds),
                        ..self.base(asked)
                    },
                })
            };
            asked.iter().zip(maps.iter().flatten()).flat_map(of_class)
        })
    }

    /// The rows of methods that failed, and of metrics that need no further run.
    pub(super) fn rows(&self, asked: &[Asked]) -> Vec<Row> {
        let mut rows = Vec::new();
        for (method, _, maps) in self.maps.iter().take(self.ready.evaluation.plan.methods.len()) {
            let Err(failure) = maps else { continue };
            rows.extend(asked.iter().map(|asked| Row {
                method: Some(method.clone()),
                error: Some(failure.kind.into()),
                reason: Some(failure.reason.clone()),
                ..self.base(asked)
            }));
        }
        let measures: Vec<&'static str> =
            self.ready.measures().iter().copied().filter(|m| !crate::plan::takes_runs(m)).collect();
        for measured in self.measured(asked) {
            let mut on_image = None;
            for (i, measure) in measures.iter().enumerate() {
                let since = Instant::now();
                let value = self.value(measure, &measured, &mut on_image);
                let explaining = if i == 0 { measured.row.seconds.unwrap_or(0.0) } else { 0.0 };
                rows.push(measured.with(measure, value, explaining + since.elapsed().as_secs_f64()));
            }
        }
        rows
    }

    /// The value of a metric that needs no further run.
    fn value(
        &self,
        measure: &str,
        measured: &Measured,
        on_image: &mut Option<Result<ArrayD<f64>, Failure>>,
    ) -> Result<Value, Failure> {
        let e = measured.explanation;
        let plan = self.ready.evaluation.plan;
        let raw = || e.map.mapv(f64::from);
        let one = |value: Result<f64, crate::Error>| Ok(Value::One(value?));
        match measure {
            "completeness-residual" | "completeness-error" => {
                let (raw, score, bias) = self.completeness(measured)?;
                one(match measure {
                    "completeness-residual" => completeness_residual(raw.view(), score, bias),
                    _ => completeness_error(raw.view(), score, bias),
                })
            }
            "unused-share" => one(unused_share(raw().view(), self.hirescam(measured)?.view())),
            "idle-share" => one(idle_share(raw().view(), self.hirescam(measured)?.view(), 0.0)),
            "dead-zone-ratio" => match self.ready.dead_zone() {
                Some(dead) => one(dead_zone_ratio(raw().view(), dead.view())),
                None => Err(Failure::new(
                    "unsupported",
                    "no places are said to be such that the score cannot depend on them",
                )),
            },
            "area-over-threshold" => one(area_over_threshold(raw().view(), plan.area_threshold)),
            "total-variation" => one(total_variation(raw().view())),
            "sparseness" => one(sparseness(raw().view())),
            "entropy" => one(entropy(raw().view())),
            "complexity" => one(complexity(Heatmaps::new(e, self.image)?.unit.view())),
            measure => self.overlap(measure, measured, on_image),
        }
    }

    /// The value of a metric of what the image shows.
    fn overlap(
        &self,
        measure: &str,
        measured: &Measured,
        on_image: &mut Option<Result<ArrayD<f64>, Failure>>,
    ) -> Result<Value, Failure> {
        let truth =
            self.truth(measured.asked).ok_or_else(|| Failure::new("absent", "the image does not show the class"))?;
        let object = truth
            .object
            .as_ref()
            .ok_or_else(|| Failure::new("no-region", "the data set does not say where the class's objects lie"))?;
        if !object.iter().any(|inside| *inside) {
            return Err(Failure::new("unseen", "the network does not see what the image shows of the class"));
        }
        if measure == "pointing-game" && truth.all_marked {
            return Err(Failure::new(
                "difficult",
                "all objects of the class are marked as difficult, which the pointing game does not count",
            ));
        }
        let map = on_image.get_or_insert_with(|| {
            let heatmap = measured.explanation.heatmap()?;
            Ok(self.image.seen.map(&heatmap)?)
        });
        let map = map.as_ref().map_err(Clone::clone)?.view();
        let (object, void) = (object.view(), truth.void.as_ref().map(|void| void.view()));
        Ok(match measure {
            "pointing-game" => {
                let hit = pointing_game(map, object, self.ready.evaluation.plan.tolerance_pixels)?;
                Value::One(f64::from(u8::from(hit)))
            }
            "energy-pointing-game" => Value::One(energy_pointing_game(map, object, void)?),
            "relevance-mass" => Value::One(relevance_mass(map, object, void)?),
            "relevance-rank" => Value::One(relevance_rank(map, object, void)?),
            "iou" => Value::Many(ious(map, object, void)?),
            "organ-iou" => Value::Many(organ_ious(map, object, void, Perfect::One)?),
            "organ-iou:zero" => Value::Many(organ_ious(map, object, void, Perfect::Zero)?),
            other => return Err(Failure::new("unsupported", format!("{other} is not measured on images"))),
        })
    }

    /// The cells, the score and b such that they should add up: the certificate's scale and other tokens are taken off. b is what the
    /// explanation found apart from the map, else the score where nothing is left of the layer.
    fn completeness(&self, measured: &Measured) -> Result<(ArrayD<f64>, f64, f64), Failure> {
        let e = measured.explanation;
        let bias = match e.bias.filter(|_| e.bias_is_known) {
            Some(bias) => bias,
            None => {
                let nothing = || Err(Failure::new("argument", "the score without the layer was not found"));
                let baseline = self.baselines.get(e.layer()).cloned().unwrap_or_else(nothing)?;
                let logit = baseline.get(measured.asked.entry).copied();
                logit.map(f64::from).ok_or_else(|| Failure::new("argument", "the class has no score"))?
            }
        };
        let scale = e.certificate().scale as f64;
        let others = e.other_tokens.unwrap_or(0.0) / scale;
        Ok((e.map.mapv(|v| f64::from(v) / scale), e.score - others, bias))
    }

    /// HiResCAM's map of the same class at the same layer.
    fn hirescam(&self, measured: &Measured) -> Result<ArrayD<f64>, Failure> {
        let (_, _, maps) = self
            .maps
            .iter()
            .find(|(name, ..)| name == "hirescam")
            .ok_or_else(|| Failure::new("argument", "HiResCAM was not made"))?;
        let maps = maps.as_ref().map_err(|failure| {
            Failure::new(failure.kind, format!("it is held against HiResCAM: {}", failure.reason))
        })?;
        let own = |e: &&Explanation| e.layer() == measured.explanation.layer() && e.entry == measured.explanation.entry;
        let found = maps.iter().flatten().find(own);
        let found = found.filter(|e| e.map.shape() == measured.explanation.map.shape());
        found.map(|e| e.map.mapv(f64::from)).ok_or_else(|| {
            Failure::new(
                "unsupported",
                format!(
                    "it is held against HiResCAM at the same layer, and was made at {:?}, where there is none",
                    measured.explanation.layer()
                ),
            )
        })
    }
}

impl Measured<'_> {
    /// The row of a metric.
    pub(super) fn with(&self, measure: &str, value: Result<Value, Failure>, seconds: f64) -> Row {
        let row = Row { metric: Some(measure.to_owned()), seconds: Some(seconds), ..self.row.clone() };
        match value {
            // Adding 0 makes a −0, which the sum of nothing is, a 0.
            Ok(Value::One(value)) => Row { value: Some(value + 0.0), ..row },
            Ok(Value::Many(values)) => Row { values: Some(values), ..row },
            Err(Failure { kind, reason }) => Row { error: Some(kind.into()), reason: Some(reason), ..row },
        }
    }
}
