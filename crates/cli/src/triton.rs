//! An entry of a model repository of Triton Inference Server.
//!
//! Facts: `ModelConfig` in triton-inference-server/common, `protobuf/model_config.proto`, and the server's "Model
//! Configuration" guide.

use crate::error::Error;
use hirescam::Network;
use hirescam::core::cam::{self, Explaining};
use hirescam::core::onnx::messages::{ValueInfoProto, tensor_shape_proto::dimension, type_proto};
use hirescam::core::shape::Dim;
use hirescam::core::tensor::DataType;
use hirescam::explaining_model::ExplainingModel;
use hirescam::sink::{self, Protected};
use std::fs;
use std::path::{Path, PathBuf};

/// The most images that the server puts into one batch, where the network takes any number. To be edited in the file.
const BATCH: usize = 8;
const LABELS: &str = "labels.txt";

/// Writes `folder/NAME/config.pbtxt`, `folder/NAME/1/model.onnx` and, where labels are known, `folder/NAME/labels.txt`. The
/// path of the model.
///
/// # Errors
/// [`Error::File`] when a file cannot be written, [`Error::Explain`] where another is there, [`Error::Argument`] for an input or output that the server cannot have.
pub fn write(folder: &Path, file: &Network, explaining: &ExplainingModel, overwrite: bool) -> Result<PathBuf, Error> {
    let name = file.path().file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let made = &explaining.first;
    let labels =
        explaining.labels.as_ref().filter(|_| !made.head.score.is_dense()).map(|labels| labels.of(&made.head.score));
    let labels = labels.transpose().map_err(hirescam::Error::from)?.flatten();
    let config = config(&name, made, labels.is_some())?;
    let entry = folder.join(name);
    let model = entry.join("1").join("model.onnx");
    let mut texts = vec![(entry.join("config.pbtxt"), config)];
    if let Some(labels) = labels {
        let lines = labels.names().iter().map(|label| format!("{label}\n")).collect();
        texts.push((entry.join(LABELS), lines));
    }
    let mut protected = Protected::new(file.files());
    for (path, text) in &texts {
        // The configuration may have been edited.
        sink::claim(path, &mut protected, overwrite, |there| there == text.as_bytes())?;
    }
    sink::claim(&model, &mut protected, overwrite, is_explaining)?;
    let folder = model.parent().unwrap_or(&entry);
    fs::create_dir_all(folder).map_err(|e| Error::File { path: folder.to_owned(), what: e.to_string() })?;
    texts.iter().try_for_each(|(path, text)| sink::write(path, text.as_bytes()))?;
    file.save(&model, &explaining.bytes)?;
    Ok(model)
}

/// Whether a file is an explaining model, which can be made again.
pub fn is_explaining(file: &[u8]) -> bool {
    cam::strip(file).is_ok_and(|bare| bare.is_some())
}

/// The model's configuration, as text.
fn config(name: &str, made: &Explaining, labels: bool) -> Result<String, Error> {
    let Some(graph) = &made.model.graph else { return Ok(String::new()) };
    // Tensors stored in the file need not be given.
    let stored = |i: &&ValueInfoProto| !graph.initializer.iter().any(|t| t.name() == i.name());
    let inputs: Vec<&ValueInfoProto> = graph.input.iter().filter(stored).collect();
    // The server batches only where each input and output has a free first axis.
    let batched = made.free_batch
        && inputs.iter().copied().chain(&graph.output).all(|v| matches!(dims(v).as_deref(), Some([-1, ..])));
    let mut text = format!(
        "name: {}\nplatform: \"onnxruntime_onnx\"\nmax_batch_size: {}\n",
        quoted(name),
        if batched { BATCH } else { 0 }
    );
    if batched {
        // Without it the server batches only what one request brings together.
        text += "dynamic_batching { }\n";
    }
    for (kind, values) in [("input", inputs), ("output", graph.output.iter().collect())] {
        for value in values {
            let shape = match dims(value) {
                // The map belongs to images of one size.
                _ if value.name() == made.image => {
                    made.image_dims.iter().map(|d| if let Dim::Fixed(n) = d { *n as i64 } else { -1 }).collect()
                }
                Some(shape) => shape,
                None => return Err(refused(value, "has no shape: declare it with onnx.shape_inference.infer_shapes")),
            };
            let shape = shape.get(usize::from(batched)..).unwrap_or(&[]);
            let shown = shape.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
            // Without axes of its own a tensor counts as one of a single number.
            let (dims, reshape) =
                if shape.is_empty() { ("1", "\n  reshape: { shape: [ ] }") } else { (shown.as_str(), "") };
            text += &format!(
                "{kind} {{\n  name: {}\n  data_type: {}\n  dims: [ {dims} ]{reshape}\n",
                quoted(value.name()),
                data_type(value)?
            );
            if kind == "output" && labels && value.name() == made.head.score.output {
                text += &format!("  label_filename: {}\n", quoted(LABELS));
            }
            text += "}\n";
        }
    }
    Ok(text)
}

/// The extents that the file declares, -1 for open ones; none where it declares no shape.
fn dims(value: &ValueInfoProto) -> Option<Vec<i64>> {
    let shape = tensor(value)?.shape.as_ref()?;
    let extent = |d: &dimension::Value| if let dimension::Value::DimValue(n) = d { *n } else { -1 };
    Some(shape.dim.iter().map(|d| d.value.as_ref().map_or(-1, extent)).collect())
}

fn tensor(value: &ValueInfoProto) -> Option<&type_proto::Tensor> {
    match value.r#type.as_ref()?.value.as_ref()? {
        type_proto::Value::TensorType(tensor) => Some(tensor),
        _ => None,
    }
}

/// The server's name for a value's element type.
fn data_type(value: &ValueInfoProto) -> Result<&'static str, Error> {
    let dtype = tensor(value).and_then(|t| DataType::try_from(t.elem_type()).ok());
    Ok(match dtype {
        Some(DataType::Bool) => "TYPE_BOOL",
        Some(DataType::Uint8) => "TYPE_UINT8",
        Some(DataType::Uint16) => "TYPE_UINT16",
        Some(DataType::Uint32) => "TYPE_UINT32",
        Some(DataType::Uint64) => "TYPE_UINT64",
        Some(DataType::Int8) => "TYPE_INT8",
        Some(DataType::Int16) => "TYPE_INT16",
        Some(DataType::Int32) => "TYPE_INT32",
        Some(DataType::Int64) => "TYPE_INT64",
        Some(DataType::Float16) => "TYPE_FP16",
        Some(DataType::Float) => "TYPE_FP32",
        Some(DataType::Double) => "TYPE_FP64",
        Some(DataType::Bfloat16) => "TYPE_BF16",
        Some(DataType::String) => "TYPE_STRING",
        _ => return Err(refused(value, "is of an element type that Triton does not have")),
    })
}

fn refused(value: &ValueInfoProto, what: &str) -> Error {
    Error::Argument(format!("no Triton configuration can be written: {:?} {what}", value.name()))
}

/// A string of protobuf's text format.
fn quoted(text: &str) -> String {
    let escape = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_ascii_control() => format!("\\{:03o}", u32::from(c)),
        c => c.to_string(),
    };
    format!("\"{}\"", text.chars().map(escape).collect::<String>())
}
