//! Explaining models: the network's own file with the map as one more output.

use crate::Error;
use crate::labels::Labels;
use crate::methods;
use crate::network::Network;
use crate::spec::Spec;
use hirescam_core::cam::{self, Explaining, HeatmapSize, Request};
use hirescam_core::shape::show_open;

/// An explaining model.
#[derive(Debug)]
#[non_exhaustive]
pub struct ExplainingModel {
    /// Its file. Weights in files of their own lie where the network has them; [`Network::save`] copies them.
    pub bytes: Vec<u8>,
    /// The method's name.
    pub method: &'static str,
    /// What was added: the first layer's, which has class and score.
    pub first: Explaining,
    /// The same of further layers.
    pub further: Vec<Explaining>,
    /// The class labels, where there are any.
    pub labels: Option<Labels>,
}

impl Network {
    /// Makes the explaining model; with the map made for display, too, where a size is given for it.
    ///
    /// # Errors
    /// Those of reading what the spec names, and of [`cam::attach_to`]; [`Error::Argument`] for a method of several runs.
    pub fn explaining_model(&self, spec: &Spec, heatmap: Option<HeatmapSize>) -> Result<ExplainingModel, Error> {
        let resolved = spec.resolve(self)?;
        let method = methods::one_run(&spec.method)?;
        let request = Request { heatmap, ..resolved.request(method) };
        let analysis = self.analysis(&resolved)?;
        let mut layers = cam::attach_to(&analysis, &request, resolved.further_layers())?.into_iter();
        let first = layers.next().ok_or_else(|| Error::Argument("no layer is asked for".into()))?;
        let bytes = first.added_to(self.bytes())?;
        Ok(ExplainingModel { bytes, method: method.name, first, further: layers.collect(), labels: resolved.labels })
    }
}

impl ExplainingModel {
    /// What was added and what it asks for, a line each.
    pub fn in_words(&self) -> Vec<String> {
        let first = &self.first;
        let mut lines: Vec<String> = first.head.score.instead.clone().into_iter().collect();
        for e in [first].into_iter().chain(&self.further) {
            let (o, at, verdict) = (&e.outputs, &e.head.layer, e.certificate.verdict);
            let own: Vec<&str> =
                [Some(&o.map), Some(&o.b), o.heatmap.as_ref()].into_iter().flatten().map(String::as_str).collect();
            lines.push(format!("added at {at}, {verdict}: {}", own.join(", ")));
        }
        lines.push(format!("added outputs: {}, {}", first.outputs.class, first.outputs.score));
        lines.extend(first.input.as_ref().map(|input| format!("added input: {input}")));
        lines.extend(
            first
                .alone
                .as_ref()
                .map(|node| format!("it takes two images or more at once: the {node} gives a single image other axes")),
        );
        lines.extend(first.closed().map(|(name, extents)| {
            format!(
                "{name} takes {} only: the network takes any size there, a derivative holds for one",
                show_open(&extents)
            )
        }));
        lines
    }
}
