//! A method of several runs, made ready for a network.

use super::cut::{BodyOutput, CutNetwork, Setup};
use super::{MethodMap, PreparedMethod, SeveralRunsMethod, Subject};
use crate::Error;
use crate::explanation::{FoundMap, ImageLogits};
use crate::further_inputs::FurtherArrays;
use crate::watch::Stop;
use hirescam_core::cam::list::MethodRow;
use hirescam_core::cam::{self, Target};
use hirescam_core::certify::{Certificate, Verdict};
use hirescam_core::{layers, score::Score};
use hirescam_engine::Array;
use std::sync::Arc;

/// A method of several runs, made ready for a network.
pub(crate) struct SeveralRuns {
    method: &'static SeveralRunsMethod,
    prepared: Box<dyn PreparedMethod>,
    cut: CutNetwork,
    score: Score,
    target: Target,
    settings: super::Settings,
}

/// What is given of a sample.
pub(crate) struct Given<'a> {
    /// Its image, with a batch axis of 1.
    pub(crate) image: &'a Array,
    /// What goes beside it.
    pub(crate) beside: &'a FurtherArrays,
    /// The classes that other methods explain of it, where there are such.
    pub(crate) classes: Option<Vec<usize>>,
}

impl Given<'_> {
    /// The classes to be explained of `count`, where they are known already: those that come with the image, else those that
    /// other methods chose by its scores.
    fn classes(&self, target: &Target, count: usize) -> Result<Option<Vec<usize>>, Error> {
        match target {
            Target::Top(_) | Target::Above(_) => Ok(self.classes.clone()),
            Target::Given(_) => {
                let given = self.beside.of_target().map(Array::to_i64);
                // Negative ones count from the end, as in the graph.
                let class = |&class: &i64| {
                    let known = if class < 0 { class.checked_add_unsigned(count as u64) } else { Some(class) };
                    let known = known.and_then(|class| usize::try_from(class).ok()).filter(|class| *class < count);
                    known.ok_or_else(|| Error::Argument(format!("there is no class {class}: there are {count}")))
                };
                given.map(|given| given.iter().map(class).collect()).transpose()
            }
            _ => Ok(None),
        }
    }
}

impl SeveralRuns {
    /// Makes `method` ready.
    ///
    /// # Errors
    /// [`Error::Argument`] for settings out of range; what cutting the network and preparing its parts gives.
    pub(crate) fn new(method: &'static SeveralRunsMethod, setup: &Setup) -> Result<Self, Error> {
        setup.settings().check()?;
        let at_image = (method.at_image)(setup.settings())?;
        let layer = match setup.layer {
            Some(layer) => layer.to_owned(),
            None if at_image => setup.analysis.real_image().to_owned(),
            None => layers::recommended(setup.analysis)?,
        };
        let said = setup.options.said_of_layer(at_image)?;
        Ok(SeveralRuns {
            method,
            prepared: (method.prepare)(setup)?,
            cut: CutNetwork::new(setup, &layer, said, method.gradient)?,
            score: setup.analysis.score.clone(),
            target: setup.options.target.on(&setup.analysis.score)?,
            settings: setup.settings().clone(),
        })
    }

    /// The layer that is explained.
    pub(crate) fn layer(&self) -> &str {
        self.prepared.layer().unwrap_or(&self.cut.layer)
    }

    /// What there is to say of the method.
    pub(crate) fn row(&self) -> MethodRow {
        let row = self.method.row.clone();
        match self.prepared.base().map(cam::Method::row) {
            Some(base) => MethodRow { scored: base.scored, additive: base.additive, ..row },
            None => row,
        }
    }

    /// What is proven of the maps.
    pub(crate) fn certificate(&self) -> Certificate {
        Certificate {
            verdict: if self.method.sums { Verdict::SumOnly } else { Verdict::Unproven },
            reason: None,
            bypass: self.cut.certificate.bypass.clone(),
            uniform: false,
            scale: 1,
            but: Some(format!("{} {}", self.method.row.title, self.method.but)),
            caution: None,
            elsewhere: self.cut.certificate.elsewhere.clone(),
        }
    }

    /// Explains one image.
    pub(crate) fn explain(
        &self,
        given: &Given,
        stop: Stop,
        watch: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<FoundMap>, Error> {
        let image = given.image;
        let state: BodyOutput = self.cut.state(image, given.beside, stop)?;
        let mut logits = Vec::new();
        self.cut.scores(&state, 1, |_, _| {}, |_, row| logits = row.to_vec())?;
        let picks = match given.classes(&self.target, self.score.classes)? {
            Some(classes) if classes.is_empty() => return Ok(Vec::new()),
            Some(classes) => Target::Classes(classes).picks(&self.score, &logits)?,
            None => self.target.picks(&self.score, &logits)?,
        };
        let scores: Vec<f64> = picks.iter().map(|p| p.score(&logits)).collect();
        let subject =
            Subject { cut: &self.cut, state: &state, image, picks: &picks, scores: &scores, settings: &self.settings };
        let made = self.prepared.maps(&subject, watch)?;
        let one_a_class = logits.iter().copied().filter(|_| !self.score.is_dense());
        let one_a_class = Arc::new(ImageLogits::new(one_a_class));
        let found = |(made, (pick, score)): (MethodMap, (&cam::Pick, &f64))| FoundMap {
            map: made.map,
            class: pick.class,
            score: *score,
            logits: one_a_class.clone(),
            bias: made.bias,
            other_tokens: made.other_tokens,
            integral: made.integral,
            notes: made.notes,
        };
        Ok(made.into_iter().zip(picks.iter().zip(&scores)).map(found).collect())
    }
}
