//! The API as an OpenAPI document.

use crate::view::events::Progress;
use crate::view::failure::{Failed, ProtocolFailed};
use crate::view::{about, checks, comparisons, explanations, exports, images, infer, layers, models, previews};
use axum::Json;
use utoipa::OpenApi;
use utoipa::openapi::{ContentBuilder, PathItem, Ref, ResponseBuilder};

/// All that can be asked.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "hirescam",
        description = "Explanations of convolutional networks: which places of an image they used, and what is proven of that"
    ),
    paths(
        about::about,
        about::health,
        document,
        models::list,
        models::upload,
        models::one,
        models::remove,
        models::label,
        layers::list,
        images::list,
        images::upload,
        images::remove,
        images::photo,
        previews::preview,
        explanations::explain,
        comparisons::compare,
        checks::check,
        exports::export,
        infer::server,
        infer::live,
        infer::ready,
        infer::model,
        infer::infer,
    ),
    modifiers(&Refusals),
    components(schemas(Failed, ProtocolFailed, Progress, explanations::OfImage, comparisons::Compared, checks::Checked))
)]
struct Api;

/// What any request can be told.
const OF_ANY: &[(&str, &str)] = &[
    ("400", "It cannot be read"),
    ("403", "It was made for another server, or by another site's page"),
    ("503", "Too many wait already"),
    ("504", "It took too long"),
];
/// What those can be told, too, that bring something.
const OF_QUESTIONS: &[(&str, &str)] =
    &[("413", "It is too long"), ("415", "It is of another kind than JSON"), ("422", "What it asks for does not fit")];

/// Says of every request how it can be refused.
struct Refusals;

impl utoipa::Modify for Refusals {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let refusal = |form: &str, description: &str| {
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(form))).build();
            ResponseBuilder::new().description(description).content("application/json", content).build()
        };
        for (name, path) in &mut document.paths.paths {
            let form = if name.starts_with("/v2") { "ProtocolFailed" } else { "Failed" };
            let PathItem { get, put, post, delete, .. } = path;
            for operation in [get, put, post, delete].into_iter().flatten() {
                let of_question = operation.request_body.is_some();
                for (status, what) in OF_ANY.iter().chain(OF_QUESTIONS.iter().filter(|_| of_question)) {
                    operation
                        .responses
                        .responses
                        .entry((*status).to_owned())
                        .or_insert_with(|| refusal(form, what).into());
                }
            }
        }
    }
}

/// The API, as OpenAPI 3.1.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}

/// This document.
#[utoipa::path(get, path = "/api/openapi.json", responses((status = 200, description = "All that can be asked", content_type = "application/json")))]
pub(crate) async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(openapi())
}
