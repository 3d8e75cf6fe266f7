//! Taking off again what [`attach`](super::attach()) added.

use crate::Error;
use crate::onnx::{ModelProto, StringStringEntryProto};

/// The metadata entry that says how many nodes, inputs and outputs were added, each at the end of its list.
const ADDED: &str = "hirescam.added";

/// The entry for so many added nodes, inputs and outputs.
pub(super) fn added(counts: [usize; 3]) -> (String, String) {
    (ADDED.to_owned(), counts.map(|n| n.to_string()).join(" "))
}

/// The model without map, class, score and b, as it was before; `None` for a model that has none of ours.
///
/// Its own metadata stays, and so does `hirescam.preprocess`, which belongs to the network.
///
/// # Errors
/// [`Error::Invalid`] when the model's metadata promise more than there is.
pub fn strip(model: &ModelProto) -> Result<Option<ModelProto>, Error> {
    let Some(text) = model.metadata_props.iter().find(|e| e.key() == ADDED).map(StringStringEntryProto::value) else {
        return Ok(None);
    };
    let wrong =
        || Error::Invalid { at: format!("metadata {ADDED:?}"), what: format!("{text:?} does not fit the graph") };
    let counts: Option<Vec<usize>> = text.split(' ').map(|n| n.parse().ok()).collect();
    let (Some([nodes, inputs, outputs]), Some(graph)) = (counts.as_deref(), &model.graph) else { return Err(wrong()) };
    let left = |have: usize, added: &usize| have.checked_sub(*added).ok_or_else(wrong);
    let (nodes, inputs, outputs) =
        (left(graph.node.len(), nodes)?, left(graph.input.len(), inputs)?, left(graph.output.len(), outputs)?);
    let mut bare = model.clone();
    if let Some(graph) = &mut bare.graph {
        graph.node.truncate(nodes);
        graph.input.truncate(inputs);
        graph.output.truncate(outputs);
    }
    bare.metadata_props.retain(|e| !e.key().starts_with("hirescam.") || e.key() == "hirescam.preprocess");
    Ok(Some(bare))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::cam::{Request, Target, attach};
    use crate::{Model, onnx};

    const DIGITS: &[u8] = include_bytes!("../../../../fixtures/digits-cnn.onnx");

    #[test]
    fn stripping_gives_the_file_back_byte_for_byte() {
        let model = Model::new(onnx::read(DIGITS.to_vec()).unwrap()).unwrap();
        for target in [Target::Top(3), Target::Given(1), Target::Seed] {
            let made = attach(&model, &Request { target, ..Request::default() }).unwrap();
            let bare = strip(&made.model).unwrap().unwrap();
            assert_eq!(onnx::write(&bare), onnx::write(model.proto()));
            assert!(strip(&bare).unwrap().is_none());
        }
    }

    #[test]
    fn attaching_again_replaces_what_was_attached() {
        let model = Model::new(onnx::read(DIGITS.to_vec()).unwrap()).unwrap();
        let once = attach(&model, &Request::default()).unwrap();
        let again = attach(&Model::new(ModelProto::clone(&once.model)).unwrap(), &Request::default()).unwrap();
        assert_eq!(again.model, once.model);
    }

    #[test]
    fn promises_that_do_not_hold_are_errors() {
        for text in ["", "1 2", "x 0 0", "1000000 0 4", "-1 0 0"] {
            let mut model = onnx::read(DIGITS.to_vec()).unwrap();
            model.metadata_props.push(StringStringEntryProto { key: Some(ADDED.into()), value: Some(text.into()) });
            assert!(matches!(strip(&model), Err(Error::Invalid { .. })), "{text:?}");
        }
    }
}
