//! Answers as forms send them.

use super::session::{Session, framed, maybe_framed};
use super::{Page, render, trial};
use crate::study::app::{App, now};
use crate::study::store::{Kept, Rater, Said};
use axum::Form;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use hirescam_study::answer::{Choice, Given, Mark};
use hirescam_study::kinds::{Question, Tool};
use hirescam_study::manifest::Item;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What a trial's page sends: what is said of the page and of the window, and the answer's own fields by kind of question.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct AnswerForm {
    /// The page that is answered, signed: rater, trial, and when it was sent.
    pub page: String,
    /// Milliseconds since all pictures of the page were there; a script says so.
    pub ms: Option<String>,
    /// The window's width in CSS pixels; a script says so.
    pub width: Option<String>,
    /// The window's height in CSS pixels; a script says so.
    pub height: Option<String>,
    /// `prefer`: `first`, `second` or `neither`.
    pub choice: Option<String>,
    /// `rate`: the step, from 1.
    pub points: Option<String>,
    /// `trust`: from -2 to 2.
    pub leaning: Option<String>,
    /// `reveal`: the class; empty where the rater gave up.
    pub class: Option<String>,
    /// `reveal`: how many steps were uncovered.
    pub steps: Option<String>,
    /// `locate`: anything where the object is not there.
    pub nothing: Option<String>,
    /// `locate` by point: from the left, in per cent of the width.
    pub x: Option<String>,
    /// `locate` by point: from above, in per cent of the height.
    pub y: Option<String>,
    /// `locate` by box: its left border, in per cent of the width.
    pub left: Option<String>,
    /// `locate` by box: its upper border, in per cent of the height.
    pub top: Option<String>,
    /// `locate` by box: its right border, in per cent of the width.
    pub right: Option<String>,
    /// `locate` by box: its lower border, in per cent of the height.
    pub bottom: Option<String>,
    /// `locate` without scripts: where the photo was clicked, in its pixels from the left.
    #[serde(rename = "at.x")]
    pub at_x: Option<String>,
    /// `locate` without scripts: where the photo was clicked, in its pixels from above.
    #[serde(rename = "at.y")]
    pub at_y: Option<String>,
    /// `locate` by brush: its radius, in per cent of the width.
    pub radius: Option<String>,
    /// `locate` by brush: strokes as JSON, in shares of width and height.
    pub strokes: Option<String>,
}

/// What a form says.
#[derive(Debug, PartialEq)]
enum Read {
    /// An answer.
    Given(Given),
    /// The first corner of a box, in per cent: the second is still to come.
    Corner(f64, f64),
}

/// A reply to a trial. What comes again changes nothing, and is answered alike.
#[utoipa::path(post, path = "/answer", request_body(content = AnswerForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The first corner of a box is there: the page asks for the second", content_type = "text/html"),
        (status = 303, description = "The trial has an answer, on the disk; what comes next"), (status = 400, description = "No page of ours", content_type = "text/html"),
        (status = 403, description = "No rater's session, or the request came from another site"), (status = 410, description = "The place was given to somebody else"),
        (status = 413, description = "Too long"), (status = 415, description = "No form"),
        (status = 422, description = "No answer to the question", content_type = "text/html"), (status = 429, description = "Too fast"),
        (status = 503, description = "It is not certain that the answer is kept: the page sends it again", content_type = "text/html")))]
pub(crate) async fn answer(
    State(app): State<App>,
    session: Result<Session, Response>,
    form: Result<Form<AnswerForm>, FormRejection>,
) -> Response {
    let rater = match (session, &form) {
        (Ok(Session(rater)), _) => rater,
        // Where the database does not answer it cannot be asked who this is either: the answer stays in the page.
        (Err(refused), Ok(Form(form))) if refused.status() == StatusCode::SERVICE_UNAVAILABLE => {
            return maybe_framed(&app, again(&app, form));
        }
        (Err(refused), _) => return refused,
    };
    let form = match form {
        Ok(Form(form)) => form,
        Err(rejection) => return framed(&rater, no_form(&rejection)),
    };
    let now = now();
    let sent = trial::sent(&app, &form.page).filter(|(name, ..)| *name == rater.name);
    let Some((_, number, sent)) = sent else {
        let page = Page::bad("The answer did not come from a page of yours. Look at the question again.");
        return framed(&rater, page.to("/trial", "Go to the question").into_response());
    };
    let found = trial::at(&app, &rater, number);
    let (item, trials) = match found {
        Ok((_, item, trials)) => (item, trials),
        Err(error) => {
            app.trouble(&error);
            return framed(&rater, Page::from(&error).into_response());
        }
    };
    let question = &app.study.manifest.question;
    let read = read(question, item, &form).and_then(|read| match &read {
        Read::Given(given) => question.accepts(item, given).map(|()| read).map_err(|error| error.to_string()),
        Read::Corner(..) => Ok(read),
    });
    let given = match read {
        Ok(Read::Given(given)) => given,
        Ok(Read::Corner(left, top)) if number == rater.answered => {
            return framed(&rater, second_corner(&app, &rater, &form, left, top));
        }
        // The trial has its answer.
        Ok(Read::Corner(..)) => return framed(&rater, Redirect::to("/trial").into_response()),
        Err(because) => {
            let page = Page::new(StatusCode::UNPROCESSABLE_ENTITY, "Something is missing", &format!("{because}."));
            return framed(&rater, page.to("/trial", "Back to the question").into_response());
        }
    };
    let ms = took(&form, sent, now);
    let side = |field: &Option<String>| {
        number_of(field).filter(|side| (1.0..=100_000.0).contains(side)).map(|side| side as u32)
    };
    let window = side(&form.width).zip(side(&form.height)).map(|(width, height)| [width, height]);
    let said = Said { trial: number, given, ms, window };
    let response = match app.store.keep(&rater.name, &said, trials, now).await {
        Ok(Kept::Yes) if number + 1 == trials => Redirect::to("/finish").into_response(),
        Ok(Kept::Yes | Kept::Early) => Redirect::to("/trial").into_response(),
        Ok(Kept::Away) => Page::away().into_response(),
        Ok(Kept::Gone) => Page::no_session().into_response(),
        Err(error) => {
            app.trouble(&error);
            again(&app, &form)
        }
    };
    framed(&rater, response)
}

/// What is said to a body that is no form.
pub(crate) fn no_form(rejection: &FormRejection) -> Response {
    let page = Page::bad("What your browser sent cannot be read. Go back and try again.");
    let mut response = page.into_response();
    *response.status_mut() = match rejection.status() {
        status @ (StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNSUPPORTED_MEDIA_TYPE) => status,
        _ => StatusCode::BAD_REQUEST,
    };
    response
}

fn number_of(field: &Option<String>) -> Option<f64> {
    field.as_deref().and_then(|text| text.parse().ok())
}

/// How long the answer took, in milliseconds. Longer than the page has been out it cannot have been looked at.
fn took(form: &AnswerForm, sent: i64, now: i64) -> u64 {
    let longest = u64::try_from(now.saturating_sub(sent)).unwrap_or(0);
    number_of(&form.ms).filter(|ms| *ms >= 0.0).map_or(longest, |ms| (ms.round() as u64).min(longest))
}

/// The page that sends an answer again.
fn again(app: &App, form: &AnswerForm) -> Response {
    // The time is that of the first attempt.
    let ms = trial::sent(app, &form.page).map(|(.., sent)| took(form, sent, now()).to_string());
    let form = AnswerForm { ms, ..form.clone() };
    let mut response = render(
        StatusCode::SERVICE_UNAVAILABLE,
        "again.html",
        json!({ "title": "Not stored yet", "form": form, "rater": true}),
    );
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("30"));
    response
}

/// The page on which the second corner of a box is clicked, without scripts: the same page, with the first corner in it.
fn second_corner(app: &App, rater: &Rater, form: &AnswerForm, left: f64, top: f64) -> Response {
    match trial::page(app, rater) {
        Ok(mut content) => {
            content["page"] = json!(form.page);
            content["corner"] = json!({ "left": left, "top": top });
            render(StatusCode::OK, "trial/locate.html", content)
        }
        Err(error) => {
            app.trouble(&error);
            Page::from(&error).into_response()
        }
    }
}

/// What a form says, by kind of question.
///
/// # Errors
/// In a sentence, what is missing.
fn read(question: &Question, item: &Item, form: &AnswerForm) -> Result<Read, String> {
    let given = match question {
        Question::Prefer(_) => Given::Prefer {
            choice: match text(&form.choice) {
                Some("first") => Choice::First,
                Some("second") => Choice::Second,
                Some("neither") => Choice::Neither,
                _ => return Err("Choose one of the answers".into()),
            },
        },
        Question::Rate(_) => Given::Rate { points: whole(&form.points)? },
        Question::Trust(_) => Given::Trust { leaning: whole(&form.leaning)? },
        Question::Reveal(_) => Given::Reveal {
            class: form.class.as_deref().ok_or("Choose one of the answers")?.trim().to_owned(),
            steps: whole(&form.steps)?,
        },
        Question::Locate(of) => return locate(of.tool, item, form),
    };
    Ok(Read::Given(given))
}

fn locate(tool: Tool, item: &Item, form: &AnswerForm) -> Result<Read, String> {
    let mark = |mark| Ok(Read::Given(Given::Locate { mark }));
    if form.nothing.is_some() {
        return mark(Mark::Nothing);
    }
    // Where the photo was clicked, in shares. A button that is pressed by key says 0, 0.
    let clicked = || -> Option<(f64, f64)> {
        let (x, y) = (share(&form.at_x).ok()? * 100.0, share(&form.at_y).ok()? * 100.0);
        let [width, height] = item.size.map(f64::from);
        (x > 0.0 || y > 0.0).then(|| ((x / width).min(1.0), (y / height).min(1.0)))
    };
    match tool {
        Tool::Point => match (share(&form.x), share(&form.y)) {
            (Ok(x), Ok(y)) => mark(Mark::Point { x, y }),
            (missing, _) => match clicked() {
                Some((x, y)) => mark(Mark::Point { x, y }),
                None => Err(missing.err().unwrap_or_else(|| "Mark a place in the photo".into())),
            },
        },
        Tool::Box => {
            let first = share(&form.left).and_then(|left| Ok((left, share(&form.top)?)));
            let second = share(&form.right).and_then(|right| Ok((right, share(&form.bottom)?)));
            let (x0, y0, x1, y1) = match (first, second, clicked()) {
                (Ok((left, top)), Ok((right, bottom)), _) => (left, top, right, bottom),
                (Ok((left, top)), Err(_), Some((x, y))) => (left, top, x, y),
                (Err(_), _, Some((x, y))) => return Ok(Read::Corner(x * 100.0, y * 100.0)),
                (Err(missing), ..) | (_, Err(missing), _) => return Err(missing),
            };
            mark(Mark::Box { left: x0.min(x1), top: y0.min(y1), right: x0.max(x1), bottom: y0.max(y1) })
        }
        Tool::Brush => {
            let strokes = text(&form.strokes).ok_or("Paint over the object")?;
            let strokes = serde_json::from_str(strokes).map_err(|_| "What was painted cannot be read")?;
            mark(Mark::Brush { radius: share(&form.radius)?, strokes })
        }
    }
}

/// A field that is not empty.
fn text(field: &Option<String>) -> Option<&str> {
    field.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

fn whole<T: std::str::FromStr>(field: &Option<String>) -> Result<T, String> {
    let text = text(field).ok_or("Choose one of the answers")?;
    text.parse().map_err(|_| "The answer is none of those to choose from".into())
}

/// A number in per cent, as a share.
fn share(field: &Option<String>) -> Result<f64, String> {
    let text = text(field).ok_or("Mark the place in the photo, or fill in all of the numbers")?;
    let number = text.replace(',', ".").parse::<f64>().ok().filter(|number| number.is_finite());
    number
        .map(|number| number / 100.0)
        .ok_or_else(|| format!("{} is no number", text.chars().take(20).collect::<String>()))
}
