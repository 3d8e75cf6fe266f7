//! A study's arms made ready: each explains any class of any photo.

use crate::Error;
use crate::design::{Arm, Design};
use hirescam::engine::Array;
use hirescam::heatmap::Heatmap;
use hirescam::photo::Photo;
use hirescam::preprocess::Rect;
use hirescam::record::Provenance;
use hirescam::scorer::Scorer;
use hirescam::{Explainer, Network, Sample, Spec};
use hirescam_evaluate::classes::{ClassMap, How};
use ndarray::{Array2, ArrayD, Ix2, IxDyn};
use std::path::Path;

/// An arm made ready.
pub(super) struct Ready {
    pub(super) arm: Arm,
    pub(super) network: Network,
    /// As the arm's, with paths that can be opened from here, and one engine.
    pub(super) spec: Spec,
    pub(super) labels: Vec<String>,
    explainer: Explainer,
    /// What scores images of the shape that came last.
    scorer: Option<(Vec<usize>, Scorer)>,
    /// The network's classes that each class of the data set is; none for one that it does not have.
    of_data: Vec<Vec<usize>>,
    /// The network's classes that each class of the first arm's network is.
    of_first: Vec<Vec<usize>>,
}

/// What an arm made of a photo and a class.
pub(super) struct Made {
    pub(super) raw: Array2<f32>,
    pub(super) heatmap: Heatmap,
    pub(super) view: Rect,
    pub(super) verdict: String,
    pub(super) score: f64,
    pub(super) class: usize,
    pub(super) provenance: Provenance,
}

/// A class that a photo is explained for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Class {
    /// One of the data set's.
    Data(usize),
    /// One of the first arm's network.
    First(usize),
}

/// Makes all arms ready. Paths are seen from `base`.
pub(super) fn ready(design: &Design, data_classes: &[String], base: &Path) -> Result<Vec<Ready>, Error> {
    let mut all: Vec<Ready> = Vec::with_capacity(design.arms.len());
    for arm in &design.arms {
        let network = Network::open(base.join(&arm.model))?;
        let seen = arm.spec.clone().seen_from(base);
        let (engine, _) = seen.engine.clone().settled();
        let spec = Spec { engine, target: Some("class-input:1".into()), ..seen };
        let explainer = network.explainer(&spec)?;
        if !explainer.makes_one_map() {
            return Err(Error::Design(format!(
                "the arm {:?} makes several maps: an arm is one method at one layer",
                arm.name
            )));
        }
        let labels = network.class_labels(&spec)?;
        let of_data = match data_classes {
            [] => Vec::new(),
            classes => mapped(classes, &labels, &class_map(&design.items.class_map, base))?,
        };
        let of_first = match all.first() {
            // Of the same network the classes are the same, whatever they are called.
            Some(first) if first.network.sha256() != network.sha256() || first.labels != labels => {
                mapped(&first.labels, &labels, &How::Auto)?
            }
            _ => (0..labels.len()).map(|class| vec![class]).collect(),
        };
        all.push(Ready { arm: arm.clone(), network, spec, labels, explainer, scorer: None, of_data, of_first });
    }
    Ok(all)
}

/// A table is a file that lies beside the study's; one that is built in has no ending.
fn class_map(how: &How, base: &Path) -> How {
    match how {
        How::Table(name) if base.join(name).is_file() => How::Table(base.join(name).to_string_lossy().into_owned()),
        how => how.clone(),
    }
}

fn mapped(classes: &[String], labels: &[String], how: &How) -> Result<Vec<Vec<usize>>, Error> {
    let map = ClassMap::new(classes, labels, how)?;
    Ok((0..classes.len()).map(|class| map.network_classes(class).to_vec()).collect())
}

impl Ready {
    /// The network's classes that a class may be.
    pub(super) fn entries(&self, class: &Class) -> &[usize] {
        let found = match class {
            Class::Data(class) => self.of_data.get(*class),
            Class::First(class) => self.of_first.get(*class),
        };
        found.map_or(&[], Vec::as_slice)
    }

    /// The data set's class that one of the network's stands for.
    pub(super) fn data_class(&self, class: usize) -> Option<usize> {
        self.of_data.iter().position(|entries| entries.contains(&class))
    }

    /// The network's scores of a photo.
    pub(super) fn scores(&mut self, photo: &Photo) -> Result<Vec<f32>, Error> {
        let tensor = self.explainer.prepare(photo)?.tensor;
        if self.scorer.as_ref().is_none_or(|(shape, _)| shape != tensor.shape()) {
            let spec = Spec { shape: Some(tensor.shape().to_vec()), target: None, ..self.spec.clone() };
            self.scorer = Some((tensor.shape().to_vec(), self.network.scorer(&spec, None)?));
        }
        let missing = || hirescam::Error::Argument("the photo has no scores".into());
        let (_, scorer) = self.scorer.as_ref().ok_or_else(missing)?;
        let sample = Sample::new("", Array::from(tensor.clone()));
        Ok(scorer.logits(&sample, tensor.view())?.into_iter().collect())
    }

    /// The one of the network's classes that a class is in a photo: of several the one with the largest score.
    pub(super) fn entry(&mut self, class: &Class, photo: &Photo) -> Result<usize, Error> {
        match self.entries(class) {
            [] => {
                let why = format!("the network of the arm {:?} does not have the class", self.arm.name);
                Err(hirescam::Error::Argument(why).into())
            }
            [only] => Ok(*only),
            several => {
                let several = several.to_vec();
                let scores = self.scores(photo)?;
                Ok(largest(&scores, several.iter().copied()).unwrap_or_default())
            }
        }
    }

    /// The map of a class.
    pub(super) fn explain(&self, name: &str, photo: &Photo, class: usize) -> Result<Made, Error> {
        let number = ArrayD::from_elem(IxDyn(&[1]), i64::try_from(class).unwrap_or(i64::MAX));
        let sample = Sample::new(name, photo.clone()).with_input("class", Array::from(number));
        let explained = self.explainer.explain_one(sample)?;
        let no_map = || hirescam::Error::Argument("there is no map of it".into());
        let explanation = explained.first().ok_or_else(no_map)?;
        let (_, view) = explanation.seen().ok_or_else(no_map)?;
        let heatmap = explanation.heatmap()?;
        if !explanation.score.is_finite() {
            return Err(hirescam::Error::Argument(format!("its score is {}", explanation.score)).into());
        }
        // What it names, it names as the study's file does.
        let mut provenance = explanation.provenance().clone();
        provenance.model = self.arm.model.to_string_lossy().into_owned();
        provenance.spec = Spec { engine: self.spec.engine.clone(), ..self.arm.spec.clone() };
        provenance.spec.engine.library = self.arm.spec.engine.library.clone();
        Ok(Made {
            raw: explanation.map.clone().into_dimensionality::<Ix2>().map_err(|_| no_map())?,
            heatmap,
            view,
            verdict: explanation.certificate().verdict.to_string(),
            score: explanation.score,
            class,
            provenance,
        })
    }
}

/// Where the largest of some scores stands.
pub(super) fn largest(scores: &[f32], among: impl Iterator<Item = usize>) -> Option<usize> {
    let score = |at: &usize| scores.get(*at).copied().unwrap_or(f32::NEG_INFINITY);
    // Of equals the first.
    among.fold(None, |best: Option<usize>, at| best.filter(|best| score(best) >= score(&at)).or(Some(at)))
}
