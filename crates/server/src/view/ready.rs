//! Networks made ready, and what requests ask of them.

use crate::view::app::{App, Limits};
use crate::view::cache::Cache;
use crate::view::failure::Failure;
use crate::view::models;
use hirescam::comparison::Comparer;
use hirescam::{Explained, Explainer, Spec};
use serde_json::{Map, Value};
use std::sync::Arc;

/// No more changed images are run at once than this, or than the server was started with: the memory goes with them.
const MOST_BATCH: usize = 256;
/// No more numbers has the shape that a spec says for the network's input.
const MOST_NUMBERS: usize = 1 << 26;

/// What every network takes beside its weights when it is made ready, about.
const BESIDE: u64 = 8 << 20;

/// Networks made ready to explain, by network and spec, and what was explained.
pub(crate) struct Ready {
    explainers: Cache<Explainer>,
    comparers: Cache<Comparer>,
    pub(crate) explained: Cache<Explained>,
}

impl Ready {
    pub(crate) fn new(limits: &Limits) -> Self {
        Ready {
            explainers: Cache::new(limits.ready_bytes / 2),
            comparers: Cache::new(limits.ready_bytes / 2),
            explained: Cache::new(limits.kept_bytes / 2),
        }
    }

    /// Gives up what was made of a network.
    pub(crate) fn forget(&self, model: &str) {
        let of_model = |key: &str| key.starts_with(model);
        self.explainers.forget(of_model);
        self.comparers.forget(of_model);
        self.explained.forget(of_model);
    }
}

/// What is asked: a network and a spec for it.
pub(crate) struct Question {
    pub(crate) model: models::Held,
    pub(crate) spec: Spec,
    /// The spec without what is no matter of explaining: how pictures look, what is compared and checked.
    explained: Spec,
    /// Stands for the network and that.
    pub(crate) key: String,
}

impl Question {
    /// A question about the network `model`, with a spec by its words: what they leave open is as the server was started with.
    ///
    /// # Errors
    /// A [`Failure`] for a network that is not there, and for a spec that is none, names files of this machine, or asks for another engine or
    /// more memory than the server was started with, or for more at once than machines have.
    pub(crate) fn new(app: &App, model: &str, words: &Map<String, Value>) -> Result<Self, Failure> {
        let model = app.models.get(model)?;
        let own = &app.options.spec;
        let spec = own.with(words.clone())?;
        // What the server itself was told may name files.
        let asked = Spec::default().with(words.clone())?;
        asked.self_contained()?;
        if spec.engine != own.engine || spec.memory != own.memory {
            return Err(Failure::argument("the engine and its memory are those that the server was started with")
                .with("leave `engine` and `memory` out of the spec"));
        }
        let batch = own.settings.batch.max(MOST_BATCH);
        if spec.settings.batch > batch {
            return Err(Failure::argument(format!(
                "the batch is {}, and at most {batch} are run at once here",
                spec.settings.batch
            )));
        }
        let numbers = |shape: &Vec<usize>| shape.iter().try_fold(1usize, |n, &extent| n.checked_mul(extent));
        if spec.shape != own.shape
            && spec.shape.as_ref().is_some_and(|shape| numbers(shape).is_none_or(|n| n > MOST_NUMBERS))
        {
            return Err(Failure::argument(format!(
                "the shape of the network's input holds more than {MOST_NUMBERS} numbers"
            )));
        }
        let explained = Spec {
            picture: own.picture.clone(),
            compare: own.compare.clone(),
            check: own.check.clone(),
            ..spec.clone()
        };
        let text = serde_json::to_string(&explained).map_err(|error| Failure::argument(error.to_string()))?;
        let key = format!("{} {text}", model.key());
        Ok(Question { model, spec, explained, key })
    }

    /// The bytes that an engine takes for the network, about: its weights, and a copy laid out for computing.
    fn bytes(&self, copies: u64) -> u64 {
        BESIDE + copies * self.model.bytes()
    }

    /// The network made ready to explain.
    ///
    /// # Errors
    /// Those of [`hirescam::Network::explainer`].
    pub(crate) fn explainer(&self, app: &App) -> Result<Arc<Explainer>, Failure> {
        let make = || Ok((self.model.network.explainer(&self.explained)?, self.bytes(2)));
        app.ready.explainers.get(&self.key, make)
    }

    /// The network made ready for the methods that are compared.
    ///
    /// # Errors
    /// Those of [`hirescam::Network::comparer`].
    pub(crate) fn comparer(&self, app: &App) -> Result<Arc<Comparer>, Failure> {
        let methods = self.spec.compare.methods.join(",");
        let spec = Spec { compare: self.spec.compare.clone(), ..self.explained.clone() };
        let make = || Ok((self.model.network.comparer(&spec)?, self.bytes(2 + spec.compare.methods.len() as u64)));
        app.ready.comparers.get(&format!("{} {methods}", self.key), make)
    }
}
