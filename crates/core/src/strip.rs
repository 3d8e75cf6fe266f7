//! Taking off again what [`attach`](crate::cam::attach()) added.

use crate::error::short;
use crate::onnx;
use crate::onnx::functions::{Call, Inlined};
use crate::onnx::messages::{GraphProto, NodeProto, ValueInfoProto, tensor_shape_proto};
use crate::onnx::wire::{self, Added, Closed, from_hexadecimal, hexadecimal};
use crate::shape::{Dim, Shapes, declared, dims_mut};
use crate::{Error, Model};
use prost::Message;

/// The metadata entry that says how many nodes, inputs and outputs were added, each at the end of its list.
const ADDED: &str = "hirescam.added";
/// The one that says how many declarations and imports, and which calls of local functions were replaced: for each the
/// first node in its place, how many there are, and the call as hexadecimal bytes.
const CALLS: &str = "hirescam.calls";

/// The entries for so many added nodes, inputs and outputs, and for replaced calls.
pub(crate) fn added(counts: [usize; 3], inlined: &Inlined) -> [(String, String); 2] {
    let mut calls = String::new();
    if !inlined.calls.is_empty() {
        calls = format!("{} {}", inlined.infos, inlined.imports);
    }
    for call in &inlined.calls {
        calls += &format!(" {} {} {}", call.at, call.count, hexadecimal(&call.node.encode_to_vec()));
    }
    [(ADDED.to_owned(), counts.map(|n| n.to_string()).join(" ")), (CALLS.to_owned(), calls)]
}

/// The declarations of inputs that leave axes open of which what is added takes only one extent, with these axes closed, by
/// the numbers of the inputs.
pub(crate) fn closed(model: &Model, shapes: &Shapes) -> Vec<(usize, ValueInfoProto)> {
    let close = |info: &ValueInfoProto| {
        let taken = shapes.dims(info.name()).filter(|_| model.inputs().any(|i| i.name() == info.name()))?;
        let mut info = info.clone();
        let open = declared(&info).iter().map(Option::is_none).collect::<Vec<_>>();
        let mut any = false;
        for ((dim, open), taken) in dims_mut(&mut info).zip(open).zip(taken) {
            if let (true, Dim::Fixed(n)) = (open, taken) {
                dim.value = Some(tensor_shape_proto::dimension::Value::DimValue(n as i64));
                any = true;
            }
        }
        any.then_some(info)
    };
    model.graph().input.iter().enumerate().filter_map(|(i, info)| Some((i, close(info)?))).collect()
}

/// The declarations that a model has for the inputs of these numbers, as its file is written.
pub(crate) fn as_written(model: &Model, inputs: impl Iterator<Item = usize>) -> Closed {
    let field = |i: usize| {
        let input = vec![model.graph().input.get(i)?.clone()];
        Some((i, GraphProto { input, ..Default::default() }.encode_to_vec()))
    };
    inputs.filter_map(field).collect()
}

/// The bytes of the explaining model `file` without what was added, as they were before; `None` for a file to which nothing
/// was.
///
/// The file's own metadata stay, and so does `hirescam.preprocess`, which belongs to the network.
///
/// # Errors
/// [`Error::Invalid`] when the metadata promise more than there is.
pub fn strip(file: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let find = |key: &str| wire::metadata(file).find(|e| e.key() == key).map(|e| e.value().to_owned());
    let Some(counts) = find(ADDED) else { return Ok(None) };
    let [calls, closed] = [CALLS, wire::CLOSED].map(|key| find(key).unwrap_or_default());
    let ours = |key: &str| key.starts_with("hirescam.") && key != "hirescam.preprocess";
    let bare = parse(&counts, &calls, &closed).and_then(|added| wire::remove(file, &added, ours));
    bare.map(Some).ok_or_else(|| Error::Invalid {
        at: format!("metadata {ADDED:?}"),
        what: format!("{:?} does not fit the graph", short(&counts)),
    })
}

/// The model without what was added, as [`strip`]; `None` for one to which nothing was.
///
/// # Errors
/// As [`strip`].
pub fn bare(model: &Model) -> Result<Option<Model>, Error> {
    let strip = |file: &[u8]| strip(file).map(Option::unwrap_or_default);
    if model.metadata(ADDED).is_none() {
        return Ok(None);
    }
    // The file may lack weights that the messages have.
    let bare = Model::new(onnx::read(strip(&onnx::write(model.proto()))?)?)?;
    Ok(Some(match model.file() {
        Some(file) => bare.with_file(strip(file)?.into()),
        None => bare,
    }))
}

fn parse(counts: &str, calls: &str, closed: &str) -> Option<Added> {
    let counts: Option<Vec<usize>> = counts.split(' ').map(|n| n.parse().ok()).collect();
    let &[nodes, inputs, outputs] = counts?.as_slice() else { return None };
    let mut inlined = Inlined::default();
    let mut words = calls.split(' ').filter(|w| !w.is_empty());
    if let Some(infos) = words.next() {
        (inlined.infos, inlined.imports) = (infos.parse().ok()?, words.next()?.parse().ok()?);
    }
    while let Some(at) = words.next() {
        let (at, count, bytes) = (at.parse().ok()?, words.next()?.parse().ok()?, from_hexadecimal(words.next()?)?);
        inlined.calls.push(Call { node: NodeProto::decode(bytes.as_slice()).ok()?, at, count });
    }
    let mut words = closed.split(' ').filter(|w| !w.is_empty());
    let mut closed = Closed::new();
    while let Some(at) = words.next() {
        closed.insert(at.parse().ok()?, from_hexadecimal(words.next()?)?);
    }
    Some(Added { nodes, inputs, outputs, inlined, closed })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::cam::{HeatmapSize, Request, Target, attach};
    use crate::onnx::messages::StringStringEntryProto;

    const DIGITS: &[u8] = include_bytes!("../../../fixtures/digits-cnn.onnx");

    #[test]
    fn stripping_gives_the_file_back_byte_for_byte() {
        let model = Model::from_bytes(DIGITS).unwrap();
        for target in [Target::Top(3), Target::Given(1), Target::Seed] {
            let made =
                attach(&model, &Request { target, heatmap: Some(HeatmapSize::Image), ..Request::default() }).unwrap();
            let bare = strip(&made.to_bytes()).unwrap().unwrap();
            assert!(bare == DIGITS);
            assert!(strip(&bare).unwrap().is_none());
        }
    }

    #[test]
    fn attaching_again_replaces_what_was_attached() {
        let once = attach(&Model::from_bytes(DIGITS).unwrap(), &Request::default()).unwrap();
        for heatmap in [Some(HeatmapSize::Cells(vec![3, 5])), None] {
            let explaining = Model::from_bytes(once.to_bytes()).unwrap();
            let other = attach(&explaining, &Request { heatmap, ..Request::default() }).unwrap();
            let again = attach(&Model::from_bytes(other.to_bytes()).unwrap(), &Request::default()).unwrap();
            assert_eq!(again.model, once.model);
            assert!(again.to_bytes() == once.to_bytes());
        }
    }

    #[test]
    fn promises_that_do_not_hold_are_errors() {
        let entry =
            |key: &str, value: &str| StringStringEntryProto { key: Some(key.into()), value: Some(value.into()) };
        let with = |entries: &[(&str, &str)]| {
            let mut model = onnx::read(DIGITS).unwrap();
            model.metadata_props.extend(entries.iter().map(|(key, value)| entry(key, value)));
            strip(&onnx::write(&model))
        };
        for text in ["", "1 2", "x 0 0", "1000000 0 4", "-1 0 0"] {
            assert!(matches!(with(&[(ADDED, text)]), Err(Error::Invalid { .. })), "{text:?}");
        }
        assert!(with(&[(ADDED, "1 0 0"), (CALLS, "")]).is_ok());
        for text in [
            "0",
            "0 9",
            "0 0 0 1",
            "0 0 0 1 0",
            "0 0 0 1 xx",
            "0 0 0 99 ",
            "0 0 0 99 2200",
            "0 0 99 1 2200",
            "0 0 0 18446744073709551615 2200",
        ] {
            assert!(matches!(with(&[(ADDED, "1 0 0"), (CALLS, text)]), Err(Error::Invalid { .. })), "{text:?}");
        }
    }
}
