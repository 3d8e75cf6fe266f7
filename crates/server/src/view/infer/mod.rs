//! Explaining models as the Open Inference Protocol has models, version 2: tensors in, tensors out, as JSON or as bytes.
//!
//! Facts: kserve/open-inference-protocol, `specification/protocol/inference_rest.md`, and Triton's extension "binary tensor data".

mod explaining;
mod tensor;

pub(crate) use explaining::Served;

use crate::view::app::App;
use crate::view::failure::{Failure, ProtocolFailed};
use crate::view::models::Held;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::future::{Either, select};
use hirescam::engine::Array;
use serde::{Deserialize, Serialize};
use serde_json::{Map as Fields, Value, json};
use tensor::{GivenTensor, Parameters, Tensor};
use utoipa::ToSchema;

/// Says how many bytes of a message are JSON, where bytes of tensors follow.
const LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// The network that is called so: by its file's name without `.onnx`, or by its id.
fn named(app: &App, name: &str) -> Result<Held, Failure> {
    let mut models = app.models.all().into_iter();
    models.find(|model| model.stem() == name || model.id == name).ok_or_else(|| Failure::not_found("model", name))
}

/// The server.
#[derive(Serialize, ToSchema)]
pub(crate) struct ServerMetadata {
    name: &'static str,
    version: &'static str,
    /// What it does beyond the protocol.
    extensions: Vec<&'static str>,
}

/// The server, as the Open Inference Protocol asks for it.
#[utoipa::path(get, operation_id = "v2_server", path = "/v2", responses((status = 200, description = "The server", body = ServerMetadata)))]
pub(crate) async fn server() -> Json<ServerMetadata> {
    Json(ServerMetadata {
        name: "hirescam",
        version: env!("CARGO_PKG_VERSION"),
        extensions: vec!["binary_tensor_data"],
    })
}

/// Whether the server answers.
#[utoipa::path(get, operation_id = "v2_live", path = "/v2/health/live", responses((status = 200, description = "It does")))]
pub(crate) async fn live() -> Json<Value> {
    Json(json!({ "live": true, "ready": true }))
}

/// Whether a network can be asked.
#[utoipa::path(get, operation_id = "v2_model_ready", path = "/v2/models/{name}/ready", params(("name" = String, Path, description = "The network's name")),
    responses((status = 200, description = "It can"), (status = 404, description = "There is none", body = ProtocolFailed)))]
pub(crate) async fn ready(State(app): State<App>, Path(name): Path<String>) -> Result<Json<Value>, Failure> {
    let model = named(&app, &name)?;
    Ok(Json(json!({ "name": model.stem(), "ready": true })))
}

/// An explaining model.
#[derive(Serialize, ToSchema)]
pub(crate) struct ModelMetadata {
    name: String,
    versions: Vec<&'static str>,
    platform: &'static str,
    inputs: Vec<Tensor>,
    /// The network's own, then the map with class, score and b.
    outputs: Vec<Tensor>,
}

/// The inputs and outputs of a network's explaining model.
#[utoipa::path(get, operation_id = "v2_model", path = "/v2/models/{name}", params(("name" = String, Path, description = "The network's name")),
    responses((status = 200, description = "Its inputs and outputs", body = ModelMetadata), (status = 404, description = "There is none", body = ProtocolFailed),
        (status = 422, description = "It cannot be explained as the server was started", body = ProtocolFailed)))]
pub(crate) async fn model(State(app): State<App>, Path(name): Path<String>) -> Result<Json<ModelMetadata>, Failure> {
    let (model, shared) = (named(&app, &name)?, app.clone());
    let describe = move |_: &_| {
        let explaining = shared.served.get(&model, &shared.options.spec)?;
        Ok(ModelMetadata {
            name: model.stem().to_owned(),
            versions: vec!["1"],
            platform: "onnx",
            inputs: explaining.inputs.clone(),
            outputs: explaining.outputs.clone(),
        })
    };
    Ok(Json(app.work.run(describe).await?))
}

/// A request for inference. What is not known here is passed over, as the protocol wants it.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Inference {
    id: Option<String>,
    #[serde(default)]
    parameters: Parameters,
    inputs: Vec<GivenTensor>,
    /// Which outputs are wanted; those that make the explanation where none is named.
    #[serde(default)]
    outputs: Vec<WantedTensor>,
}

/// An output that is wanted.
#[derive(Deserialize, ToSchema)]
struct WantedTensor {
    name: String,
    #[serde(default)]
    parameters: Parameters,
}

/// Ask a network's explaining model: an image as the network takes it in, and what the explaining model gives out: the network's own outputs and
/// `map`, `class`, `score`, `b`. As JSON, or with the binary tensor data extension.
#[utoipa::path(post, operation_id = "v2_infer", path = "/v2/models/{name}/infer", params(("name" = String, Path, description = "The network's name")), request_body = Inference,
    responses((status = 200, description = "The outputs", body = Object), (status = 404, description = "There is no such network", body = ProtocolFailed),
        (status = 422, description = "The inputs do not fit", body = ProtocolFailed), (status = 503, description = "Too many wait already", body = ProtocolFailed)))]
pub(crate) async fn infer(
    State(app): State<App>,
    Path(name): Path<String>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    let (model, mut bytes) = (named(&app, &name)?, bytes?);
    let length = match headers.get(&LENGTH) {
        Some(length) => {
            length.to_str().ok().and_then(|text| text.parse().ok()).filter(|&length: &usize| length <= bytes.len())
        }
        None => Some(bytes.len()),
    };
    let length = length
        .ok_or_else(|| Failure::argument("Inference-Header-Content-Length is no number of bytes that are there"))?;
    let explaining = match app.served.peek(&model) {
        Some(ready) => ready,
        None => {
            let (shared, model) = (app.clone(), model.clone());
            app.work.run(move |_| shared.served.get(&model, &shared.options.spec)).await?
        }
    };
    let known = explaining.clone();
    let read = move |_: &_| {
        let head = bytes.split_to(length);
        let asked: Inference = serde_json::from_slice(&head)
            .map_err(|error| Failure::argument(format!("it is no request for inference: {error}")))?;
        let inputs = asked.inputs.iter().map(|input| Ok((input.name.clone(), input.array(&mut bytes)?)));
        let inputs = inputs.collect::<Result<Vec<_>, Failure>>()?;
        if let Some(unknown) = asked.outputs.iter().find(|wanted| known.outputs.iter().all(|o| o.name != wanted.name)) {
            let names: Vec<&str> = known.outputs.iter().map(|own| own.name.as_str()).collect();
            let names = names.join(", ");
            return Err(Failure::argument(format!("there is no output {:?}; there are {names}", unknown.name)));
        }
        Ok((asked, inputs))
    };
    let (asked, inputs) = app.quick.run(read).await?;
    // Whoever has the next turn runs all that wait by then.
    let waiting = explaining.wait(inputs);
    let runs = explaining.clone();
    let turn = app.work.run(move |stop| {
        runs.run(stop);
        Ok(())
    });
    let made = match select(waiting, Box::pin(turn)).await {
        Either::Left((made, _)) => made,
        Either::Right((turn, waiting)) => {
            turn?;
            waiting.await
        }
    };
    let made = made.unwrap_or_else(|_| Err(Failure::broken()))?;
    app.quick.run(move |_| reply(model.stem(), &asked, &explaining.added, &made)).await
}

/// The outputs that are wanted, as JSON, or as bytes that follow it.
fn reply(model: &str, asked: &Inference, added: &[String], made: &[(String, Array)]) -> Result<Response, Failure> {
    let all = asked.parameters.binary_data_output.unwrap_or(false);
    let of = |name: &String| (name.clone(), all);
    let wanted: Vec<(String, bool)> = match asked.outputs.is_empty() {
        true => added.iter().map(of).collect(),
        false => asked.outputs.iter().map(|w| (w.name.clone(), w.parameters.binary_data.unwrap_or(all))).collect(),
    };
    let (mut outputs, mut following, mut binary) = (Vec::new(), Vec::new(), false);
    for (name, as_bytes) in &wanted {
        let Some((_, array)) = made.iter().find(|(own, _)| own == name) else { return Err(Failure::broken()) };
        let mut output = Fields::new();
        output.insert("name".into(), json!(name));
        output.insert("datatype".into(), json!(tensor::datatype(array.kind())));
        output.insert("shape".into(), json!(array.shape()));
        if *as_bytes {
            let bytes = array.to_le_bytes();
            output.insert("parameters".into(), json!({ "binary_data_size": bytes.len() }));
            following.extend(bytes);
            binary = true;
        } else {
            output.insert("data".into(), tensor::data(array)?);
        }
        outputs.push(Value::Object(output));
    }
    let mut head = json!({ "model_name": model, "model_version": "1", "outputs": outputs });
    if let (Some(id), Some(fields)) = (&asked.id, head.as_object_mut()) {
        fields.insert("id".into(), json!(id));
    }
    if !binary {
        return Ok(Json(head).into_response());
    }
    let mut message = head.to_string().into_bytes();
    let length = HeaderValue::from(message.len());
    message.extend(following);
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")), (LENGTH, length)];
    Ok((headers, message).into_response())
}
