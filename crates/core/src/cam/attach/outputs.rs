//! The outputs that are added: their names, and the values behind them.

use super::Request;
use super::emit::MapValues;
use crate::Model;
use crate::build::Value;
use crate::cam::methods::Method;
use crate::score::Score;
use std::collections::HashSet;

/// The names of the outputs that were added.
#[derive(Clone, Debug)]
pub struct Outputs {
    /// The map, `[N, …]`, or `[N, M, …]` for M maps; tokens lie in it as they lie in the image.
    pub map: String,
    /// The class, int64 `[N]` or `[N, M]`: of a weighted sum that of the largest weight, of a part of a dense output the
    /// first. −1 for what is no class, or is not above the threshold.
    pub class: String,
    /// The score, `[N]` or `[N, M]`.
    pub score: String,
    /// What has to be added to Σ map to give the score, `[N]` or `[N, M]`.
    pub b: String,
    /// What the cells of those tokens add up to that are no places of the image, `[N]` or `[N, M]`; where there are such.
    pub other_tokens: Option<String>,
    /// The logits `[N, K]`, where they were asked for and are one a class.
    pub logits: Option<String>,
    /// The heatmap, 0…1, where it was asked for: `[N, …]` or `[N, M, …]`, with its own number of cells.
    pub heatmap: Option<String>,
}

impl Outputs {
    /// Those of the first map, with the ending of its names.
    pub(super) fn new(request: &Request, score: &Score, ending: &str, names: &mut Names) -> Self {
        Outputs {
            map: names.free(&format!("map{ending}")),
            class: names.free("class"),
            score: names.free("score"),
            b: names.free(&format!("b{ending}")),
            other_tokens: None,
            logits: (request.logits && !score.is_dense()).then(|| names.free("hirescam_logits")),
            heatmap: request.heatmap.as_ref().map(|_| names.free(&format!("heatmap{ending}"))),
        }
    }

    /// Those of the map number `i`: class, score and logits are the same for all.
    pub(super) fn of_map(&self, i: usize, ending: &str, emitted: &MapValues, names: &mut Names) -> Self {
        let mut own = |name: &str| names.free(&format!("{name}{ending}"));
        let mut outputs = self.clone();
        if i > 0 {
            (outputs.map, outputs.b) = (own("map"), own("b"));
            outputs.heatmap = outputs.heatmap.map(|_| own("heatmap"));
        }
        outputs.other_tokens = emitted.other_tokens.map(|_| own("other_tokens"));
        outputs
    }

    /// The values behind those of the map number `i`, in the order of the outputs; the first map has what all share.
    pub(super) fn values<'g>(
        &self,
        i: usize,
        emitted: &MapValues<'g>,
        (logits, heatmap): (Value<'g>, Option<Value<'g>>),
    ) -> Vec<(Value<'g>, String)> {
        let shared = |value: Value<'g>, name: Option<&String>| Some((value, name.filter(|_| i == 0)?.clone()));
        let own = |value: Option<Value<'g>>, name: Option<&String>| value.zip(name.cloned());
        let all = [
            own(Some(emitted.map), Some(&self.map)),
            shared(emitted.class, Some(&self.class)),
            shared(emitted.score, Some(&self.score)),
            own(Some(emitted.b), Some(&self.b)),
            own(emitted.other_tokens, self.other_tokens.as_ref()),
            shared(logits, self.logits.as_ref()),
            own(heatmap, self.heatmap.as_ref()),
        ];
        all.into_iter().flatten().collect()
    }
}

/// What the names of a map's own outputs end in: the method where there are several, and the number of the layer from the
/// second on. Metadata end in the same.
pub(super) fn ending(method: Option<&Method>, layer: usize) -> String {
    let of_method = method.map_or(String::new(), |m| format!("_{}", m.name.replace('+', "_plus").replace('-', "_")));
    let of_layer = if layer > 0 { format!("_{}", layer + 1) } else { String::new() };
    of_method + &of_layer
}

/// Names that neither the model nor what is added to it uses yet.
pub(super) struct Names<'m> {
    /// Those of the model.
    pub(super) taken: HashSet<&'m str>,
    added: HashSet<String>,
}

impl<'m> Names<'m> {
    pub(super) fn new(model: &'m Model) -> Self {
        Names { taken: model.names(), added: HashSet::new() }
    }

    /// `name`, or the next like it that is free.
    pub(super) fn free(&mut self, name: &str) -> String {
        let mut name = name.to_owned();
        while self.taken.contains(name.as_str()) || !self.added.insert(name.clone()) {
            name = format!("hirescam_{name}");
        }
        name
    }
}
