//! Coming in: by which way, and consent.

use super::{Page, paragraphs, render, session};
use crate::study::app::{App, now};
use crate::study::guard::BEGIN;
use crate::study::store::Begun;
use crate::study::token::For;
use crate::study::ways::link::{self, Found};
use crate::study::ways::{Mturk, Open, Prolific, Way};
use axum::Form;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::json;

/// How long the page of consent may lie open, in milliseconds.
const TICKET: i64 = 24 * 3600 * 1000;

/// The study's address.
#[utoipa::path(get, path = "/", responses((status = 200, description = "What raters agree to", content_type = "text/html"),
    (status = 303, description = "Back to one's own session"), (status = 403, description = "The study is not open to everybody, or takes nobody"),
    (status = 410, description = "All places are taken"), (status = 503, description = "The database does not answer")))]
pub(crate) async fn open(State(app): State<App>, headers: HeaderMap) -> Response {
    if session::name(&app, &headers).is_some() {
        return Redirect::to("/trial").into_response();
    }
    match app.options.ways.contains(&Open::Address) {
        true => consent(&app, &Way::Open).await,
        false => Page::new(
            StatusCode::FORBIDDEN,
            "This study is not open to everybody",
            "Open it by the link that you were given.",
        )
        .into_response(),
    }
}

/// A single-use link.
#[utoipa::path(get, path = "/link/{link}", params(("link" = String, Path, description = "What `hirescam study links` wrote")),
    responses((status = 200, description = "What raters agree to", content_type = "text/html"), (status = 303, description = "Back to one's own session"),
        (status = 404, description = "No link of this study"), (status = 403, description = "The study takes nobody"),
        (status = 410, description = "It is too old, was used, or all places are taken"), (status = 503, description = "The database does not answer")))]
pub(crate) async fn link(State(app): State<App>, headers: HeaderMap, Path(link): Path<String>) -> Response {
    if session::name(&app, &headers).is_some() {
        return Redirect::to("/trial").into_response();
    }
    match link::read(&app.signer, &link, now()) {
        Found::Link(id) => consent(&app, &Way::Link { id }).await,
        Found::Expired => {
            Page::new(StatusCode::GONE, "This link is too old", "Ask whoever gave it to you for a new one.")
                .into_response()
        }
        Found::Forged => Page::not_there().into_response(),
    }
}

/// From Prolific.
#[utoipa::path(get, path = "/prolific", params(Prolific), responses((status = 200, description = "What raters agree to", content_type = "text/html"),
    (status = 303, description = "Back to one's own session"), (status = 400, description = "An id is missing"), (status = 403, description = "The study takes nobody"),
    (status = 404, description = "The study does not take raters from there"), (status = 410, description = "All places are taken"),
    (status = 503, description = "The database does not answer")))]
pub(crate) async fn prolific(State(app): State<App>, came: Result<Query<Prolific>, QueryRejection>) -> Response {
    if !app.options.ways.contains(&Open::Prolific) {
        return Page::not_there().into_response();
    }
    match came {
        Ok(Query(came)) if came.is_whole() => returning(&app, Way::Prolific(came)).await,
        _ => Page::bad("The address lacks PROLIFIC_PID, STUDY_ID or SESSION_ID. Open the study from Prolific again.")
            .into_response(),
    }
}

/// From Mechanical Turk.
#[utoipa::path(get, path = "/mturk", params(Mturk), responses((status = 200, description = "What raters agree to", content_type = "text/html"),
    (status = 303, description = "Back to one's own session"), (status = 400, description = "An id is missing"), (status = 403, description = "The study takes nobody"),
    (status = 404, description = "The study does not take raters from there"), (status = 410, description = "All places are taken"),
    (status = 503, description = "The database does not answer")))]
pub(crate) async fn mturk(State(app): State<App>, came: Result<Query<Mturk>, QueryRejection>) -> Response {
    if !app.options.ways.contains(&Open::Mturk) {
        return Page::not_there().into_response();
    }
    let response = match came {
        Ok(Query(came)) if came.is_preview() => page(&app, None),
        Ok(Query(came)) if came.is_whole() => returning(&app, Way::Mturk(came)).await,
        _ => Page::bad(
            "The address lacks assignmentId, hitId, workerId or turkSubmitTo, or work would not be handed in at Mechanical Turk. Open the \
             task there again.",
        )
        .into_response(),
    };
    session::in_frame(None, response)
}

/// Those who came before go on where they were.
async fn returning(app: &App, way: Way) -> Response {
    match app.store.returning(&way).await {
        Ok(Some(name)) => session::begin(app, &name, matches!(way, Way::Mturk(_)), Redirect::to("/trial")),
        Ok(None) => consent(app, &way).await,
        Err(error) => {
            app.trouble(&error);
            Page::from(&error).into_response()
        }
    }
}

async fn consent(app: &App, way: &Way) -> Response {
    // Nobody reads and agrees for nothing.
    match app.store.refusal(way, app.away_since(now())).await {
        Ok(None) => page(app, Some(way)),
        Ok(Some(begun)) => begun_as(app, way, &begun),
        Err(error) => {
            app.trouble(&error);
            Page::from(&error).into_response()
        }
    }
}

/// What raters agree to. Nothing is stored of somebody before that: by which way they came lies in the page, signed.
fn page(app: &App, way: Option<&Way>) -> Response {
    let ticket = way.map(|way| {
        let way = serde_json::to_vec(way).unwrap_or_default();
        app.sign(For::Ticket, &format!("{}.{}", URL_SAFE_NO_PAD.encode(way), now()))
    });
    let consent = &app.study.manifest.consent;
    let trials = app.study.trials(0).map_or(0, <[_]>::len);
    let seconds = app.study.manifest.raters.seconds_per_answer * trials as f64;
    let content = json!({
            "title": app.study.manifest.title,
            "text": paragraphs(&consent.text),
            "contact": consent.contact,
            "ethics": consent.ethics,
            "minutes": (seconds / 60.0).ceil().max(1.0) as u64,
            "trials": trials,
            "ticket": ticket,
    });
    render(StatusCode::OK, "consent.html", content)
}

/// The reply to somebody who wants to begin.
fn begun_as(app: &App, way: &Way, begun: &Begun) -> Response {
    let page = match begun {
        Begun::Rater(name) => {
            return session::begin(app, name, matches!(way, Way::Mturk(_)), Redirect::to("/instructions"));
        }
        Begun::Stopped => Page::new(
            StatusCode::FORBIDDEN,
            "The study takes nobody at the moment",
            "Thank you for your interest. It may go on later.",
        ),
        Begun::Used => Page::new(
            StatusCode::GONE,
            "This link was used before",
            "It works once. If that was you, come back by the link of the page \"Pause\", or in the browser that you began with.",
        ),
        Begun::Full => Page::new(
            StatusCode::GONE,
            "All places are taken",
            "Thank you for your interest: the study has as many raters as it needs.",
        ),
    };
    page.into_response()
}

/// What the page of consent sends.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct Begin {
    /// By which way somebody came, signed.
    ticket: String,
    /// `yes` for consent.
    agree: Option<String>,
}

/// Consent: the rater is given a slot.
#[utoipa::path(post, path = "/begin", request_body(content = Begin, content_type = "application/x-www-form-urlencoded"),
    responses((status = 303, description = "The study begins"), (status = 400, description = "No consent, or no page of ours", content_type = "text/html"),
        (status = 403, description = "The study takes nobody, or the request came from another site"), (status = 410, description = "The link was used, or all places are taken"),
        (status = 413, description = "Too long"), (status = 415, description = "No form"),
        (status = 429, description = "Too many begin at once"), (status = 503, description = "The database does not answer")))]
pub(crate) async fn begin(State(app): State<App>, form: Result<Form<Begin>, FormRejection>) -> Response {
    let form = match form {
        Ok(Form(form)) => form,
        Err(rejection) => return super::answer::no_form(&rejection),
    };
    let Some(way) = ticket(&app, &form.ticket) else {
        return Page::bad("The page was open for too long. Open the study again by the link that you were given.")
            .into_response();
    };
    let framed = matches!(way, Way::Mturk(_));
    let frame = |response: Response| if framed { session::in_frame(None, response) } else { response };
    if form.agree.as_deref() != Some("yes") {
        return frame(
            Page::bad("Without your consent the study cannot begin. Go back if you want to give it.").into_response(),
        );
    }
    if !app.limits.allow("begin", BEGIN) {
        return frame(Page::slow_down().into_response());
    }
    let now = now();
    frame(match app.store.begin(&way, now, app.away_since(now)).await {
        Ok(begun) => begun_as(&app, &way, &begun),
        Err(error) => {
            app.trouble(&error);
            Page::from(&error).into_response()
        }
    })
}

fn ticket(app: &App, ticket: &str) -> Option<Way> {
    let (way, made) = app.signer.open(For::Ticket, ticket)?.split_once('.')?;
    let made: i64 = made.parse().ok()?;
    if now().saturating_sub(made) > TICKET {
        return None;
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(way).ok()?).ok()
}

/// Coming back, in another browser too.
#[utoipa::path(get, path = "/resume/{token}", params(("token" = String, Path, description = "From the page \"Pause\"")),
    responses((status = 303, description = "To the study"), (status = 404, description = "No link of this study")))]
pub(crate) async fn resume(State(app): State<App>, Path(token): Path<String>) -> Response {
    match app.signer.open(For::Resume, &token) {
        Some(name) => session::begin(&app, name, false, Redirect::to("/trial")),
        None => Page::not_there().into_response(),
    }
}
