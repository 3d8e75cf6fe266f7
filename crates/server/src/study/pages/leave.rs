//! Pausing, withdrawing, and the end.

use super::session::{self, Session, framed};
use super::{Page, paragraphs, render};
use crate::study::Error;
use crate::study::app::App;
use crate::study::store::Rater;
use crate::study::token::For;
use crate::study::ways::{Mturk, Way};
use axum::Form;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use hirescam_study::schedule;
use serde::Deserialize;
use serde_json::json;

/// The link by which the rater comes back.
#[utoipa::path(get, path = "/pause", responses((status = 200, description = "The link by which the rater comes back", content_type = "text/html"),
    (status = 303, description = "All is answered: there is nothing to come back to"), (status = 403, description = "No rater's session"),
    (status = 429, description = "Too fast"), (status = 503, description = "The database does not answer")))]
pub(crate) async fn pause(State(app): State<App>, Session(rater): Session, headers: axum::http::HeaderMap) -> Response {
    if rater.finished.is_some() {
        return framed(&rater, Redirect::to("/finish").into_response());
    }
    let host = headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    let base = app.options.url.clone().unwrap_or_else(|| format!("http://{host}"));
    let content = json!({
            "title": app.study.manifest.title,
            "link": format!("{}/resume/{}", base.trim_end_matches('/'), app.sign(For::Resume, &rater.name)),
            "minutes": app.options.hold.as_secs() / 60,
            "rater": true,
    });
    framed(&rater, render(StatusCode::OK, "pause.html", content))
}

/// Asks whether the rater means it.
#[utoipa::path(get, path = "/withdraw", responses((status = 200, description = "Asks whether the rater means it", content_type = "text/html"),
    (status = 403, description = "No rater's session"), (status = 429, description = "Too fast"), (status = 503, description = "The database does not answer")))]
pub(crate) async fn withdraw(State(app): State<App>, Session(rater): Session) -> Response {
    let content = json!({
            "title": app.study.manifest.title,
            "token": app.sign(For::Withdraw, &rater.name),
            "answered": rater.answered,
            "rater": true,
            "over": rater.finished.is_some(),
    });
    framed(&rater, render(StatusCode::OK, "withdraw.html", content))
}

/// What the page of withdrawal sends.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct Withdraw {
    /// From the page, signed.
    token: String,
}

/// Deletes a rater's answers.
#[utoipa::path(post, path = "/withdraw", request_body(content = Withdraw, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The answers are deleted", content_type = "text/html"), (status = 400, description = "No page of ours", content_type = "text/html"),
        (status = 403, description = "No rater's session, or the request came from another site"), (status = 413, description = "Too long"), (status = 415, description = "No form"),
        (status = 429, description = "Too fast"), (status = 503, description = "Nothing is deleted: the database does not answer")))]
pub(crate) async fn withdrawn(
    State(app): State<App>,
    Session(rater): Session,
    form: Result<Form<Withdraw>, FormRejection>,
) -> Response {
    let form = match form {
        Ok(Form(form)) => form,
        Err(rejection) => return framed(&rater, super::answer::no_form(&rejection)),
    };
    if app.signer.open(For::Withdraw, &form.token) != Some(&rater.name) {
        let page =
            Page::bad("This did not come from a page of yours, and nothing was deleted.").to("/withdraw", "Try again");
        return framed(&rater, page.into_response());
    }
    let response = match app.store.withdraw(&rater.name).await {
        Ok(()) => session::end(
            &app,
            rater.source == Way::MTURK,
            Page::new(
                StatusCode::OK,
                "Your answers are deleted",
                "Nothing of you is stored here any more. You can close this page.",
            ),
        ),
        Err(error) => {
            app.trouble(&error);
            Page::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "Nothing is deleted yet",
                "The study's database does not answer at the moment. Wait a minute and try again.",
            )
            .to("/withdraw", "Try again")
            .into_response()
        }
    };
    framed(&rater, response)
}

/// The end: thanks, and the way back to where the rater came from.
#[utoipa::path(get, path = "/finish", responses((status = 200, description = "Thanks, and the way back", content_type = "text/html"),
    (status = 303, description = "Not all questions are answered"), (status = 403, description = "No rater's session"),
    (status = 429, description = "Too fast"), (status = 503, description = "The database does not answer")))]
pub(crate) async fn finish(State(app): State<App>, Session(rater): Session) -> Response {
    if rater.finished.is_none() {
        return Redirect::to("/trial").into_response();
    }
    match page(&app, &rater).await {
        Ok(response) => response,
        Err(error) => {
            app.trouble(&error);
            framed(&rater, Page::from(&error).into_response())
        }
    }
}

async fn page(app: &App, rater: &Rater) -> Result<Response, Error> {
    let finish = &app.study.manifest.finish;
    let redirect = match &finish.redirect_failed {
        Some(other) if failed(app, rater).await? > app.study.manifest.exclude.failed_checks => Some(other),
        _ => finish.redirect.as_ref(),
    };
    // Another kind of address could be a script.
    let redirect = redirect.filter(|address| address.starts_with("https://"));
    let details = match rater.source == Way::MTURK {
        true => app.store.platform_details(&rater.name).await?,
        false => None,
    };
    let mturk: Option<Mturk> = details.and_then(|details| serde_json::from_str(&details).ok());
    let host = mturk.as_ref().and_then(Mturk::host);
    let content = json!({
            "title": app.study.manifest.title,
            "text": paragraphs(&finish.text),
            "code": finish.code,
            "redirect": redirect,
            "hand_in": host.zip(mturk.as_ref()).map(|(host, came)| json!({ "host": host, "assignment": came.assignment})),
            "finished": rater.name,
            "rater": true,
            "over": true,
    });
    let response = render(StatusCode::OK, "finish.html", content);
    Ok(match rater.source == Way::MTURK {
        true => session::in_frame(host, response),
        false => response,
    })
}

/// How many attention checks a rater failed.
async fn failed(app: &App, rater: &Rater) -> Result<usize, Error> {
    let said = app.store.said(&rater.name).await?;
    let trials = app.study.trials(rater.slot)?;
    let passed = |(at, given)| trials.get(at).and_then(|trial| schedule::passed(&app.study.manifest, trial, given));
    Ok(said.iter().filter_map(|(&at, given)| passed((at, given))).filter(|passed| !passed).count())
}
