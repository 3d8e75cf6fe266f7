//! The routes as an OpenAPI document.

use crate::study::app::App;
use crate::study::{files, owner, pages};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

/// All routes.
#[derive(OpenApi)]
#[openapi(
    info(title = "hirescam study", description = "Pages and answers of a study with human raters"),
    modifiers(&Owner),
    paths(
        pages::enter::open, pages::enter::link, pages::enter::prolific, pages::enter::mturk, pages::enter::begin, pages::enter::resume,
        pages::trial::instructions, pages::trial::trial, pages::answer::answer,
        pages::leave::finish, pages::leave::pause, pages::leave::withdraw, pages::leave::withdrawn,
        files::of_study, files::of_program, health, document,
        owner::page::page, owner::page::login, owner::page::logout, owner::page::running, owner::page::forget, owner::page::export,
    )
)]
struct Routes;

struct Owner;

impl utoipa::Modify for Owner {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        document.components.get_or_insert_default().add_security_scheme("owner", SecurityScheme::Http(bearer));
    }
}

/// The routes of the server, as OpenAPI 3.1.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Routes::openapi()
}

/// Whether the server and its database answer.
#[utoipa::path(get, path = "/health", responses((status = 200, description = "Both answer"), (status = 503, description = "The database does not")))]
pub(crate) async fn health(State(app): State<App>) -> (StatusCode, &'static str) {
    match app.store.check().await {
        Ok(()) => (StatusCode::OK, "ok"),
        Err(error) => {
            app.trouble(&error);
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer")
        }
    }
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", responses((status = 200, description = "The routes", content_type = "application/json")))]
pub(crate) async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(openapi())
}
