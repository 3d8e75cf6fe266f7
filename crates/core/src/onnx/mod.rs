//! Reading and writing ONNX files without loss, on the protobuf messages themselves.

#[allow(missing_docs, clippy::all)]
#[rustfmt::skip]
mod messages;

pub use messages::*;

use crate::Error;
use bytes::Bytes;
use prost::Message;

/// Decodes an ONNX file. Weights stay in `bytes`, they are not copied.
///
/// # Errors
/// [`Error::Decode`] when the bytes are not an ONNX file, [`Error::Invalid`] when it holds no graph.
pub fn read(bytes: impl Into<Bytes>) -> Result<ModelProto, Error> {
    let model = ModelProto::decode(bytes.into())?;
    match &model.graph {
        Some(graph) if !graph.node.is_empty() => Ok(model),
        _ => Err(Error::Invalid {
            at: "the file".into(),
            what: "it holds no graph with nodes: this is no ONNX network".into(),
        }),
    }
}

/// Encodes a model as the bytes of an ONNX file.
pub fn write(model: &ModelProto) -> Vec<u8> {
    model.encode_to_vec()
}

/// Brings every externally stored tensor of the graph into the model, through `fetch(location, offset, length)`.
///
/// # Errors
/// Those of `fetch`, and [`Error::Invalid`] when an entry is malformed.
pub fn embed_external(
    model: &mut ModelProto,
    mut fetch: impl FnMut(&str, u64, Option<u64>) -> Result<Bytes, Error>,
) -> Result<(), Error> {
    let Some(graph) = &mut model.graph else { return Ok(()) };
    let attributes = graph.node.iter_mut().flat_map(|n| &mut n.attribute).filter_map(|a| a.t.as_mut());
    for tensor in graph.initializer.iter_mut().chain(attributes) {
        if tensor.data_location() != tensor_proto::DataLocation::External {
            continue;
        }
        let entry = |key: &str| tensor.external_data.iter().find(|e| e.key() == key).map(|e| e.value().to_owned());
        let bad = |what: String| Error::Invalid { at: format!("external tensor {:?}", tensor.name()), what };
        let number = |key: &str| match entry(key) {
            None => Ok(None),
            Some(text) => text.parse::<u64>().map(Some).map_err(|_| bad(format!("{key} {text:?} is not a number"))),
        };
        let location = entry("location").ok_or_else(|| bad("it has no location".into()))?;
        let raw = fetch(&location, number("offset")?.unwrap_or(0), number("length")?)?;
        tensor.raw_data = Some(raw);
        tensor.external_data.clear();
        tensor.data_location = None;
    }
    Ok(())
}

/// Whether any tensor of the graph is stored outside the file.
pub fn has_external(model: &ModelProto) -> bool {
    let Some(graph) = &model.graph else { return false };
    let attributes = graph.node.iter().flat_map(|n| &n.attribute).filter_map(|a| a.t.as_ref());
    graph.initializer.iter().chain(attributes).any(|t| t.data_location() == tensor_proto::DataLocation::External)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn writing_what_was_read_gives_the_same_bytes() {
        for file in ["efficientnet-lite0.onnx", "digits-cnn.onnx"] {
            let path = format!("{}/../../fixtures/{file}", env!("CARGO_MANIFEST_DIR"));
            let bytes = std::fs::read(path).unwrap();
            let model = read(bytes.clone()).unwrap();
            assert!(write(&model) == bytes, "{file} changed");
        }
    }

    #[test]
    fn what_is_no_onnx_file_is_refused() {
        assert!(read(&b""[..]).is_err());
        assert!(read(&b"\x89PNG\r\n\x1a\n and more"[..]).is_err());
    }
}
