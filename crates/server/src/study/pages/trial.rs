//! What is asked: one trial a page.

use super::session::{Session, framed};
use super::{Page, render};
use crate::study::Error;
use crate::study::app::{App, now};
use crate::study::store::Rater;
use crate::study::token::For;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use hirescam_study::kinds::{Question, Tool};
use hirescam_study::manifest::Item;
use hirescam_study::schedule::Trial;
use serde_json::{Value, json};

/// What raters are to do.
#[utoipa::path(get, path = "/instructions", responses((status = 200, description = "What raters are to do", content_type = "text/html"),
    (status = 403, description = "No rater's session"), (status = 429, description = "Too fast"), (status = 503, description = "The database does not answer")))]
pub(crate) async fn instructions(State(app): State<App>, Session(rater): Session) -> Response {
    let manifest = &app.study.manifest;
    let trials = app.study.trials(rater.slot).map_or(0, <[_]>::len);
    let content = json!({
            "title": manifest.title,
            "question": question(&manifest.question),
            "practice": app.study.practice(),
            "trials": trials - app.study.practice().min(trials),
            "rater": true,
    });
    framed(&rater, render(StatusCode::OK, "instructions.html", content))
}

/// The trial that comes next.
#[utoipa::path(get, path = "/trial", responses((status = 200, description = "The question that comes next", content_type = "text/html"),
    (status = 303, description = "There is none left"), (status = 403, description = "No rater's session"),
    (status = 410, description = "The place was given to somebody else"), (status = 429, description = "Too fast"),
    (status = 500, description = "The study is damaged"), (status = 503, description = "The database does not answer")))]
pub(crate) async fn trial(State(app): State<App>, Session(rater): Session) -> Response {
    if rater.finished.is_some() {
        return Redirect::to("/finish").into_response();
    }
    if !rater.holds {
        return framed(&rater, Page::away().into_response());
    }
    match page(&app, &rater) {
        Ok(content) => {
            let template = format!("trial/{}.html", app.study.manifest.question.word());
            framed(&rater, render(StatusCode::OK, &template, content))
        }
        Err(error) => {
            app.trouble(&error);
            framed(&rater, Page::from(&error).into_response())
        }
    }
}

/// What the page of the next trial shows.
pub(super) fn page(app: &App, rater: &Rater) -> Result<Value, Error> {
    let trials = app.study.trials(rater.slot)?;
    let practice = app.study.practice();
    let at = rater.answered;
    let missing = || Error::Invalid(format!("slot {} has no trial {at}", rater.slot));
    let trial = trials.get(at).ok_or_else(missing)?;
    let item = app.study.item(trial)?;
    let manifest = &app.study.manifest;
    let pictures: Vec<&[String]> = app.study.pictures(trial).collect();
    let (number, of) = if at < practice { (at + 1, practice) } else { (at + 1 - practice, trials.len() - practice) };
    Ok(json!({
            "title": manifest.title,
            "kind": manifest.question.word(),
            "question": question(&manifest.question),
            "text": manifest.question.text().replace("{class}", &item.class),
            "practising": at < practice,
            "practice_over": at == practice && practice > 0,
            "number": number,
            "of": of,
            "photo": item.photo,
            "width": item.size[0],
            "height": item.size[1],
            "pictures": pictures,
            "options": item.options,
            "page": app.sign(For::Page, &format!("{}.{at}.{}", rater.name, now())),
            "trial": format!("{}.{at}", rater.name),
            "next": trials.get(at + 1).map(|next| app.study.shown(next).collect::<Vec<_>>()),
            "rater": true,
    }))
}

/// What templates need to know of the question.
fn question(question: &Question) -> Value {
    match question {
        Question::Prefer(of) => json!({ "kind": "prefer", "neither": of.neither}),
        Question::Rate(of) => {
            json!({ "kind": "rate", "steps": of.steps, "lowest": of.lowest, "highest": of.highest})
        }
        Question::Locate(of) => {
            let tool = match of.tool {
                Tool::Point => "point",
                Tool::Box => "box",
                Tool::Brush => "brush",
            };
            json!({ "kind": "locate", "tool": tool, "nothing": of.nothing})
        }
        Question::Reveal(of) => json!({ "kind": "reveal", "steps": of.steps}),
        Question::Trust(_) => json!({ "kind": "trust"}),
    }
}

/// The page of a trial that was answered: who, which trial, and when it was sent.
pub(super) fn sent<'a>(app: &App, page: &'a str) -> Option<(&'a str, usize, i64)> {
    let mut parts = app.signer.open(For::Page, page)?.splitn(3, '.');
    Some((parts.next()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The trial at a position of a rater's row.
pub(super) fn at<'a>(app: &'a App, rater: &Rater, trial: usize) -> Result<(&'a Trial, &'a Item, usize), Error> {
    let trials = app.study.trials(rater.slot)?;
    let missing = || Error::Invalid(format!("slot {} has no trial {trial}", rater.slot));
    let found = trials.get(trial).ok_or_else(missing)?;
    Ok((found, app.study.item(found)?, trials.len()))
}
