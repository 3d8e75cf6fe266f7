//! Reading and writing ONNX files without loss, on the protobuf [messages] themselves.

mod attribute;
pub(crate) mod describe;
pub(crate) mod functions;
/// The messages that an ONNX file is made of, generated from ONNX's own schema, `proto/onnx-ml.proto`, which documents
/// their fields.
///
/// Here alone the types of [`prost`] show. [`read`] gives a [`ModelProto`], [`write()`] and [`Model::new`](crate::Model::new)
/// take one, and [`Model::proto`](crate::Model::proto) lends it; the nodes that are told of one by one are its
/// [`NodeProto`]s. All else of the crate speaks of names, numbers and bytes.
///
/// A field that a file leaves out is `None`, and the method of its name gives ONNX's default for it. Stored bytes are
/// shared with the file that was read.
///
/// [`ModelProto`]: messages::ModelProto
/// [`NodeProto`]: messages::NodeProto
#[allow(missing_docs, clippy::all)]
#[rustfmt::skip]
pub mod messages;
mod rename;
pub(crate) mod size;
pub(crate) mod wire;

pub use attribute::{AttributeValue, attribute};
pub use describe::describe;
pub use rename::rename;
pub use size::elements;

use crate::Error;
use crate::error::short;
use bytes::Bytes;
use messages::{GraphProto, ModelProto, NodeProto, TensorProto, tensor_proto};
use prost::Message;

/// Decodes an ONNX file. Weights stay in `bytes`, they are not copied.
///
/// # Errors
/// [`Error::Decode`] when the bytes are not an ONNX file, [`Error::Invalid`] when it holds no graph, or more than any
/// network.
pub fn read(bytes: impl Into<Bytes>) -> Result<ModelProto, Error> {
    let bytes = bytes.into();
    wire::check_memory(&bytes)?;
    let model = ModelProto::decode(bytes)?;
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

/// Longer paths are none on any system.
const LONGEST_PATH: usize = 4096;

/// Brings every externally stored tensor into the model, through `fetch(location, offset, length)`. Says whether there
/// was any.
///
/// # Errors
/// Those of `fetch`, and [`Error::Invalid`] when an entry is malformed, or tells of more or fewer bytes than the tensor's
/// shape and element type make.
pub fn embed_external(
    model: &mut ModelProto,
    mut fetch: impl FnMut(&str, u64, u64) -> Result<Bytes, Error>,
) -> Result<bool, Error> {
    let mut found = false;
    each_tensor(model, &mut |tensor| {
        if tensor.data_location() != tensor_proto::DataLocation::External {
            return Ok(());
        }
        let entry = |key: &str| tensor.external_data.iter().find(|e| e.key() == key).map(|e| e.value().to_owned());
        let bad = |what: String| Error::Invalid { at: format!("external tensor {:?}", short(tensor.name())), what };
        let number = |key: &str| match entry(key) {
            None => Ok(None),
            Some(text) => text.parse::<u64>().map(Some).map_err(|_| bad(format!("{key} {text:?} is not a number"))),
        };
        let location = entry("location").ok_or_else(|| bad("it has no location".into()))?;
        if location.len() > LONGEST_PATH {
            return Err(bad(format!("its location is {} bytes long", location.len())));
        }
        let needed = size::raw_bytes(tensor).map_err(|fault| bad(fault.to_string()))?;
        if let Some(length) = number("length")?.filter(|&length| length != needed) {
            return Err(bad(format!("it has {length} bytes; its shape {:?} takes {needed}", tensor.dims)));
        }
        tensor.raw_data = Some(fetch(&location, number("offset")?.unwrap_or(0), needed)?);
        tensor.external_data.clear();
        tensor.data_location = None;
        found = true;
        Ok(())
    })?;
    Ok(found)
}

/// Calls `visit` with every tensor that a model holds: stored ones, those in attributes, in subgraphs, in functions.
///
/// # Errors
/// The first that `visit` gives.
pub(crate) fn each_tensor(
    model: &mut ModelProto,
    visit: &mut impl FnMut(&mut TensorProto) -> Result<(), Error>,
) -> Result<(), Error> {
    let training = model.training_info.iter_mut().flat_map(|t| t.initialization.iter_mut().chain(&mut t.algorithm));
    for graph in model.graph.iter_mut().chain(training) {
        in_graph(graph, visit)?;
    }
    model.functions.iter_mut().try_for_each(|f| in_nodes(&mut f.node, visit))
}

fn in_graph(
    graph: &mut GraphProto,
    visit: &mut impl FnMut(&mut TensorProto) -> Result<(), Error>,
) -> Result<(), Error> {
    let sparse = graph.sparse_initializer.iter_mut().flat_map(|s| s.values.iter_mut().chain(&mut s.indices));
    graph.initializer.iter_mut().chain(sparse).try_for_each(&mut *visit)?;
    in_nodes(&mut graph.node, visit)
}

fn in_nodes(
    nodes: &mut [NodeProto],
    visit: &mut impl FnMut(&mut TensorProto) -> Result<(), Error>,
) -> Result<(), Error> {
    for a in nodes.iter_mut().flat_map(|n| &mut n.attribute) {
        let sparse = a.sparse_tensor.iter_mut().chain(&mut a.sparse_tensors);
        let sparse = sparse.flat_map(|s| s.values.iter_mut().chain(&mut s.indices));
        a.t.iter_mut().chain(&mut a.tensors).chain(sparse).try_for_each(&mut *visit)?;
        a.g.iter_mut().chain(&mut a.graphs).try_for_each(|g| in_graph(g, visit))?;
    }
    Ok(())
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
