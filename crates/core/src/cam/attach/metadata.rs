//! What an explaining model says of itself in its metadata.

use crate::Model;
use crate::cam::methods::Method;
use crate::certify::Certificate;
use crate::head::Head;
use crate::onnx::messages::{GraphProto, StringStringEntryProto};
use crate::onnx::wire::{self, Closed};
use crate::score::Score;
use crate::strip;
use crate::target::Target;

/// What the model says of its maps, each with the ending of its outputs' names.
pub(super) fn of_maps<'a>(
    target: &Target,
    score: &Score,
    methods: &[&Method],
    maps: impl Iterator<Item = (&'a str, &'a Head, &'a Certificate)>,
) -> Vec<(String, String)> {
    let mut metadata = vec![
        ("hirescam.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("hirescam.method".to_owned(), methods.iter().map(|m| m.name).collect::<Vec<_>>().join(",")),
        ("hirescam.target".to_owned(), target.to_string()),
        ("hirescam.score".to_owned(), score.logits.clone()),
    ];
    for (ending, head, c) in maps {
        let key = |what: &str| format!("hirescam.{what}{ending}");
        metadata.extend([
            (key("layer"), head.layer.clone()),
            (key("verdict"), c.verdict.to_string()),
            (key("reason"), c.reason.clone().unwrap_or_default()),
            (key("bypass"), c.bypass.clone().unwrap_or_default()),
            (key("uniform"), c.uniform.to_string()),
            (key("scale"), c.scale.to_string()),
            (key("elsewhere"), c.elsewhere.clone().unwrap_or_default()),
            (key("but"), c.but.clone().unwrap_or_default()),
            (key("caution"), c.caution.clone().unwrap_or_default()),
        ]);
    }
    metadata
}

/// What it takes to take off again what is added.
pub(super) fn of_addition(
    model: &Model,
    added: &GraphProto,
    closed: &Closed,
) -> impl Iterator<Item = (String, String)> + use<> {
    let closed = (!closed.is_empty()).then(|| (wire::CLOSED.to_owned(), wire::written(closed)));
    let [counts, calls] = strip::added([added.node.len(), added.input.len(), added.output.len()], model.inlined());
    closed.into_iter().chain([counts]).chain(Some(calls).filter(|(_, calls)| !calls.is_empty()))
}

/// Keys and values as entries of a file.
pub(super) fn entries(metadata: Vec<(String, String)>) -> Vec<StringStringEntryProto> {
    let entry = |(key, value)| StringStringEntryProto { key: Some(key), value: Some(value) };
    metadata.into_iter().map(entry).collect()
}
