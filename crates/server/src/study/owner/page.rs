//! The page, and what its buttons do.

use super::{Owner, ask, progress::Progress};
use crate::study::app::{App, now};
use crate::study::guard::LOGIN;
use crate::study::pages::{Page, render};
use crate::study::{Error, export};
use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::{Value, json};

fn failed(app: &App, error: &Error) -> Response {
    app.trouble(error);
    Page::new(StatusCode::SERVICE_UNAVAILABLE, "That did not work", &error.to_string()).into_response()
}

/// How far the study is.
#[utoipa::path(get, path = "/owner", security(("owner" = [])), responses((status = 200, description = "How far the study is", content_type = "text/html"),
    (status = 401, description = "The token is asked for", content_type = "text/html"), (status = 429, description = "Too many attempts"), (status = 503, description = "The database does not answer")))]
pub(crate) async fn page(State(app): State<App>, _owner: Owner) -> Response {
    match content(&app).await {
        Ok(content) => render(StatusCode::OK, "owner.html", content),
        Err(error) => failed(&app, &error),
    }
}

async fn content(app: &App) -> Result<Value, Error> {
    let answers = app.store.export().await?;
    let events: Vec<(String, String)> =
        app.store.events().await?.into_iter().map(|event| (export::moment(event.at), event.what)).collect();
    Ok(json!({
            "title": app.study.manifest.title,
            "study": app.study.manifest.study,
            "running": app.store.running().await?,
            "progress": Progress::of(&app.study, &answers, app.away_since(now()))?,
            "platform_ids": app.store.platform_ids().await?,
            "events": events,
            "csrf": app.owner.csrf(),
    }))
}

/// What the form of the token sends.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct Login {
    /// The token that was printed at start.
    token: String,
}

/// The token, once: from then on a cookie stands for it.
#[utoipa::path(post, path = "/owner/login", request_body(content = Login, content_type = "application/x-www-form-urlencoded"),
    responses((status = 303, description = "To the owner's page"), (status = 400, description = "No form"), (status = 401, description = "The wrong token", content_type = "text/html"),
        (status = 403, description = "The request came from another site"), (status = 413, description = "Too long"), (status = 415, description = "No form"), (status = 429, description = "Too many attempts")))]
pub(crate) async fn login(State(app): State<App>, form: Result<Form<Login>, FormRejection>) -> Response {
    let form = match form {
        Ok(Form(form)) => form,
        Err(rejection) => return crate::study::pages::answer::no_form(&rejection),
    };
    if !app.limits.allow("owner", LOGIN) {
        return Page::slow_down().into_response();
    }
    match app.owner.is_token(&form.token) {
        true => (app.owner.cookie(app.is_tls(), 12 * 3600), Redirect::to("/owner")).into_response(),
        false => ask(Some("This is not the token that was printed when the server started.")),
    }
}

/// What a button sends.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct Button {
    /// From the page, signed; not needed with the token in a header.
    csrf: Option<String>,
    /// `stop` or `go`; of other buttons nothing.
    run: Option<String>,
    /// `yes` where what cannot be undone is meant; of other buttons nothing.
    sure: Option<String>,
}

/// Refuses a button that is not of our page.
fn pressed(app: &App, owner: &Owner, form: Result<Form<Button>, FormRejection>) -> Result<Button, Response> {
    let form = match form {
        Ok(Form(form)) => form,
        Err(rejection) => return Err(crate::study::pages::answer::no_form(&rejection)),
    };
    let ours = matches!(owner, Owner::Header) || form.csrf.as_deref().is_some_and(|csrf| app.owner.is_csrf(csrf));
    match ours {
        true => Ok(form),
        false => Err(Page::new(
            StatusCode::FORBIDDEN,
            "That did not work",
            "This came from no page of this server. Load the owner's page again.",
        )
        .into_response()),
    }
}

/// Leaves.
#[utoipa::path(post, path = "/owner/logout", security(("owner" = [])), request_body(content = Button, content_type = "application/x-www-form-urlencoded"),
    responses((status = 303, description = "The cookie is gone"), (status = 400, description = "No form"), (status = 401, description = "The token is asked for"),
        (status = 403, description = "No page of ours"), (status = 413, description = "Too long"), (status = 415, description = "No form"), (status = 429, description = "Too many attempts")))]
pub(crate) async fn logout(
    State(app): State<App>,
    owner: Owner,
    form: Result<Form<Button>, FormRejection>,
) -> Response {
    match pressed(&app, &owner, form) {
        Ok(_) => (app.owner.cookie(app.is_tls(), 0), Redirect::to("/owner")).into_response(),
        Err(refused) => refused,
    }
}

/// Lets new raters begin, or not; those who have begun go on.
#[utoipa::path(post, path = "/owner/running", security(("owner" = [])), request_body(content = Button, content_type = "application/x-www-form-urlencoded"),
    responses((status = 303, description = "Done"), (status = 400, description = "No form"), (status = 401, description = "The token is asked for"), (status = 403, description = "No page of ours"),
        (status = 413, description = "Too long"), (status = 415, description = "No form"), (status = 429, description = "Too many attempts"), (status = 503, description = "The database does not answer")))]
pub(crate) async fn running(
    State(app): State<App>,
    owner: Owner,
    form: Result<Form<Button>, FormRejection>,
) -> Response {
    let form = match pressed(&app, &owner, form) {
        Ok(form) => form,
        Err(refused) => return refused,
    };
    let running = match form.run.as_deref() {
        Some("go") => true,
        Some("stop") => false,
        _ => return Page::bad("run is stop or go.").into_response(),
    };
    match app.store.run(running, now()).await {
        Ok(()) => Redirect::to("/owner").into_response(),
        Err(error) => failed(&app, &error),
    }
}

/// Deletes the platforms' ids; the answers stay.
#[utoipa::path(post, path = "/owner/forget", security(("owner" = [])), request_body(content = Button, content_type = "application/x-www-form-urlencoded"),
    responses((status = 303, description = "Done"), (status = 400, description = "No form"), (status = 401, description = "The token is asked for"), (status = 403, description = "No page of ours"),
        (status = 413, description = "Too long"), (status = 415, description = "No form"), (status = 429, description = "Too many attempts"), (status = 503, description = "The database does not answer")))]
pub(crate) async fn forget(
    State(app): State<App>,
    owner: Owner,
    form: Result<Form<Button>, FormRejection>,
) -> Response {
    let form = match pressed(&app, &owner, form) {
        Ok(form) => form,
        Err(refused) => return refused,
    };
    if form.sure.as_deref() != Some("yes") {
        return Page::bad("Nothing was deleted: say that you are sure by the box above the button (sure=yes).")
            .to("/owner", "Back to the owner's page")
            .into_response();
    }
    match app.store.forget_platform_ids(now()).await {
        Ok(_) => Redirect::to("/owner").into_response(),
        Err(error) => failed(&app, &error),
    }
}

/// The answers so far, without any arm's name.
#[utoipa::path(get, path = "/owner/export/{file}", security(("owner" = [])), params(("file" = String, Path, description = "`answers.json`, `answers.csv`, `raters.csv` or `codebook.md`")),
    responses((status = 200, description = "The file"), (status = 401, description = "The token is asked for"), (status = 404, description = "No such file"),
        (status = 429, description = "Too many attempts"), (status = 503, description = "The database does not answer")))]
pub(crate) async fn export(State(app): State<App>, _owner: Owner, Path(file): Path<String>) -> Response {
    let Some((name, kind, write)) = export::FILES.iter().find(|(name, ..)| *name == file) else {
        return Page::not_there().into_response();
    };
    let written = match app.store.export().await {
        Ok(answers) => write(&app.study.manifest, &answers),
        Err(error) => Err(error),
    };
    match written {
        Ok(bytes) => {
            let saved = format!("attachment; filename=\"{name}\"");
            ([(header::CONTENT_TYPE, (*kind).to_owned()), (header::CONTENT_DISPOSITION, saved)], bytes).into_response()
        }
        Err(error) => failed(&app, &error),
    }
}
