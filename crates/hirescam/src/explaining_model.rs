//! Explaining models: the network's own file with the map as one more output.

use crate::Error;
use crate::labels::Labels;
use crate::methods;
use crate::network::Network;
use crate::spec::Spec;
use hirescam_core::cam::{self, Explaining, Further, HeatmapSize, Request};
use hirescam_core::shape::show_open;

/// An explaining model.
#[derive(Debug)]
#[non_exhaustive]
pub struct ExplainingModel {
    /// Its file. Weights in files of their own lie where the network has them; [`Network::save`] copies them.
    pub bytes: Vec<u8>,
    /// What was added: of the first map, which has class and score.
    pub first: Explaining,
    /// The same of further maps: of one method after the other the layers.
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
        let mut methods = spec.methods().map(methods::one_run);
        let method = methods.next().unwrap_or_else(|| methods::one_run(&spec.method))?;
        let further =
            Further { layers: resolved.further_layers().to_vec(), methods: methods.collect::<Result<_, _>>()? };
        let request = Request { heatmap, ..resolved.request(method) };
        let analysis = self.analysis(&resolved)?;
        let mut maps = cam::attach_to(&analysis, &request, &further)?.into_iter();
        let first = maps.next().ok_or_else(|| Error::Argument("no layer is asked for".into()))?;
        let bytes = first.added_to(self.bytes())?;
        Ok(ExplainingModel { bytes, first, further: maps.collect(), labels: resolved.labels })
    }
}

impl ExplainingModel {
    /// What was added, of one map after the other.
    pub fn maps(&self) -> impl Iterator<Item = &Explaining> {
        [&self.first].into_iter().chain(&self.further)
    }

    /// The methods' names, between commas.
    pub fn methods(&self) -> String {
        let mut names: Vec<&str> = self.maps().map(|e| e.method.name).collect();
        names.dedup();
        names.join(", ")
    }

    /// What was added and what it asks for, a line each.
    pub fn in_words(&self) -> Vec<String> {
        let first = &self.first;
        let mut lines: Vec<String> = first.head.score.instead.clone().into_iter().collect();
        let several = self.further.iter().any(|e| e.method.name != first.method.name);
        for e in self.maps() {
            let (o, verdict) = (&e.outputs, e.certificate.verdict);
            let by = if several { format!(" by {}", e.method.title) } else { String::new() };
            let at = format!("{}{by}", e.head.layer);
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
