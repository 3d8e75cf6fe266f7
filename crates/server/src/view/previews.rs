//! What the network would see of an image.

use crate::view::app::App;
use crate::view::failure::{Asked, Failed, Failure};
use crate::view::ready::Question;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use hirescam::Input;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Of which image, for which network, prepared how.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreviewQuestion {
    /// The network's id.
    model: String,
    /// The image's id.
    image: String,
    /// What is explained and how; of it, the preprocessing counts.
    #[serde(default)]
    #[schema(value_type = Object)]
    spec: Map<String, Value>,
}

/// What the network would see of a photo, in colours that people see.
#[utoipa::path(post, path = "/api/previews", request_body = PreviewQuestion,
    responses((status = 200, description = "The picture", content_type = "image/png"), (status = 404, description = "There is no such network or image", body = Failed),
        (status = 422, description = "The photo cannot be prepared so", body = Failed)))]
pub(crate) async fn preview(State(app): State<App>, Asked(asked): Asked<PreviewQuestion>) -> Result<Response, Failure> {
    let question = Question::new(&app, &asked.model, &asked.spec)?;
    let (held, shared) = (app.images.get(&asked.image)?, app.clone());
    let draw = move |_: &_| {
        let decoded = shared.images.decoded(&held)?;
        let Input::Photo(photo) = &decoded.input else {
            return Err(Failure::argument("a tensor comes to the network as it is"));
        };
        let seen = question.model.network.seen(&question.spec, photo)?;
        Ok(hirescam::sink::png(&seen)?)
    };
    Ok(([(header::CONTENT_TYPE, "image/png")], app.quick.run(draw).await?).into_response())
}
