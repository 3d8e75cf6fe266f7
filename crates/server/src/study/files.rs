//! Pictures of the study, and the program's own scripts and style.

use crate::study::app::App;
use crate::study::pages::{Page, session};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// Scripts and style: file, kind, content.
const STATIC: &[(&str, &str, &str)] = &[
    ("style.css", "text/css; charset=utf-8", include_str!("static/style.css")),
    ("icon.svg", "image/svg+xml", include_str!("static/icon.svg")),
    ("trial.js", "text/javascript; charset=utf-8", include_str!("static/trial.js")),
    ("keys.js", "text/javascript; charset=utf-8", include_str!("static/keys.js")),
    ("mark.js", "text/javascript; charset=utf-8", include_str!("static/mark.js")),
    ("reveal.js", "text/javascript; charset=utf-8", include_str!("static/reveal.js")),
];

/// Stands in the path of scripts and style, so that browsers may keep them: it changes with them.
pub(crate) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut all = Sha256::new();
    for (name, _, content) in STATIC {
        all.update(name);
        all.update(content);
    }
    crate::study::token::hex(&all.finalize()[..8])
});

const KEPT: &str = "private, max-age=86400, immutable";

/// A picture of the study: only what the manifest names, only for raters, and all in the same way.
#[utoipa::path(get, path = "/files/{file}", params(("file" = String, Path, description = "A file of the manifest")),
    responses((status = 200, description = "The picture", content_type = "image/png"), (status = 403, description = "No rater's session"),
        (status = 404, description = "No file of the study"), (status = 500, description = "The file was changed since the study was built")))]
pub(crate) async fn of_study(State(app): State<App>, headers: HeaderMap, Path(file): Path<String>) -> Response {
    if session::name(&app, &headers).is_none() {
        return Page::no_session().into_response();
    }
    match app.study.file(&file).await {
        Ok(Some(bytes)) => {
            ([(header::CONTENT_TYPE, "image/png"), (header::CACHE_CONTROL, KEPT)], bytes).into_response()
        }
        Ok(None) => Page::not_there().into_response(),
        Err(error) => {
            app.trouble(&error);
            Page::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "A picture is missing",
                "The owner of the study has been told.",
            )
            .into_response()
        }
    }
}

/// A script or the style.
#[utoipa::path(get, path = "/static/{version}/{file}",
    params(("version" = String, Path, description = "Changes with the files"), ("file" = String, Path, description = "A file's name")),
    responses((status = 200, description = "The file", content_type = "text/javascript"), (status = 404, description = "No such file")))]
pub(crate) async fn of_program(Path((version, file)): Path<(String, String)>) -> Response {
    let found = STATIC.iter().find(|(name, ..)| *name == file && version == *VERSION);
    match found {
        Some((_, kind, content)) => {
            ([(header::CONTENT_TYPE, *kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")], *content)
                .into_response()
        }
        None => Page::not_there().into_response(),
    }
}
