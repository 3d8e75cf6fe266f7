//! Who is asking: the one signed cookie of a rater.

use super::Page;
use crate::study::app::App;
use crate::study::guard::{self, RATER};
use crate::study::store::Rater;
use crate::study::ways::{Mturk, Open, Way};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum_extra::extract::cookie::{Cookie, SignedCookieJar};

/// The cookie's name.
const COOKIE: &str = "session";
/// How long a browser keeps it, in seconds: those who pause over a weekend come back to their place.
const KEPT_FOR: i64 = 7 * 24 * 3600;

/// The name of the rater who is asking, if it is one.
pub(crate) fn name(app: &App, headers: &HeaderMap) -> Option<String> {
    let jar: SignedCookieJar = SignedCookieJar::from_headers(headers, app.key.clone());
    jar.get(COOKIE).map(|cookie| cookie.value().to_owned())
}

/// The reply with the session in it. Shown in a frame of another site, browsers send the cookie only if it says so, and over TLS.
pub(crate) fn begin(app: &App, name: &str, framed: bool, reply: impl IntoResponse) -> Response {
    let jar: SignedCookieJar = SignedCookieJar::new(app.key.clone());
    match Cookie::parse(written(app, name, framed, KEPT_FOR)) {
        Ok(cookie) => (jar.add(cookie), reply).into_response(),
        Err(_) => Page::no_session().into_response(),
    }
}

/// The reply that ends the session.
pub(crate) fn end(app: &App, framed: bool, reply: impl IntoResponse) -> Response {
    ([(header::SET_COOKIE, written(app, "", framed, 0))], reply).into_response()
}

fn written(app: &App, value: &str, framed: bool, seconds: i64) -> String {
    let site = match (framed, app.is_tls()) {
        (true, _) => "SameSite=None; Secure; Partitioned",
        (false, true) => "SameSite=Lax; Secure",
        (false, false) => "SameSite=Lax",
    };
    format!("{COOKIE}={value}; Path=/; HttpOnly; Max-Age={seconds}; {site}")
}

/// The rater who is asking. Those who are none, or who ask too fast, are told so.
pub(crate) struct Session(pub Rater);

impl FromRequestParts<App> for Session {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let Some(name) = name(app, &parts.headers) else { return Err(unknown(app)) };
        if !app.limits.allow(&name, RATER) {
            return Err(Page::slow_down().into_response());
        }
        match app.store.rater(&name).await {
            Ok(Some(rater)) => Ok(Session(rater)),
            Ok(None) => Err(end(app, app.options.ways.contains(&Open::Mturk), unknown(app))),
            Err(error) => {
                app.trouble(&error);
                Err(maybe_framed(app, Page::from(&error).into_response()))
            }
        }
    }
}

/// Nobody whom we know.
fn unknown(app: &App) -> Response {
    maybe_framed(app, Page::no_session().into_response())
}

/// The reply to somebody of whom it is not known which way they came: maybe they sit in a frame, where browsers may keep no cookies.
pub(crate) fn maybe_framed(app: &App, response: Response) -> Response {
    if app.options.ways.contains(&Open::Mturk) { in_frame(None, response) } else { response }
}

/// What raters of Mechanical Turk see may stand in a frame there.
pub(crate) fn framed(rater: &Rater, response: Response) -> Response {
    match rater.source == Way::MTURK {
        true => in_frame(None, response),
        false => response,
    }
}

/// The reply, which may stand in a frame of Mechanical Turk, and hand in work there.
pub(crate) fn in_frame(hand_in: Option<&str>, mut response: Response) -> Response {
    if let Ok(policy) = HeaderValue::from_str(&guard::policy_in_frame(Mturk::FRAMES, hand_in)) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}
