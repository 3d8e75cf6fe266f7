//! The owner's page: how far the study is, how good its answers are, stop and go, export. It is opened by a token that is printed at start.

pub(crate) mod page;
mod progress;

use crate::study::Error;
use crate::study::app::App;
use crate::study::guard::LOGIN;
use crate::study::pages::{Page, render};
use crate::study::token::{self, For, Signer};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum_extra::extract::cookie::{Cookie, Key, SignedCookieJar};
use serde_json::json;
use subtle::ConstantTimeEq;

/// The cookie's name. It is sent to the owner's pages only; raters never get it.
const COOKIE: &str = "owner";

/// What opens the owner's page. It is made at each start and nowhere stored: a restart ends all of the owner's sessions.
pub(crate) struct Access {
    token: String,
    key: Key,
    signer: Signer,
}

impl Access {
    pub(crate) fn new() -> Result<Self, Error> {
        let secret = token::secret()?;
        Ok(Access {
            token: format!("{}{}", token::random()?, token::random()?),
            key: Key::from(&secret),
            signer: Signer::new(&secret)?,
        })
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Whether somebody has the token, compared in constant time.
    fn is_token(&self, given: &str) -> bool {
        self.token.as_bytes().ct_eq(given.trim().as_bytes()).into()
    }

    /// What the page's forms carry.
    fn csrf(&self) -> String {
        self.signer.sign(For::Owner, "form")
    }

    fn is_csrf(&self, given: &str) -> bool {
        self.signer.open(For::Owner, given) == Some("form")
    }

    /// The cookie that stands for the token.
    fn cookie(&self, tls: bool, seconds: i64) -> Option<SignedCookieJar> {
        let secure = if tls { "; Secure" } else { "" };
        let text = format!("{COOKIE}=yes; Path=/owner; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
        Some(SignedCookieJar::new(self.key.clone()).add(Cookie::parse(text).ok()?))
    }

    fn has_cookie(&self, headers: &HeaderMap) -> bool {
        let jar: SignedCookieJar = SignedCookieJar::from_headers(headers, self.key.clone());
        jar.get(COOKIE).is_some()
    }
}

/// The owner, by header or by cookie. Others are asked for the token.
pub(crate) enum Owner {
    /// `Authorization: Bearer TOKEN`, which no foreign page can send.
    Header,
    /// The cookie: what changes something needs the form's own token, too.
    Cookie,
}

impl FromRequestParts<App> for Owner {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        if app.owner.has_cookie(&parts.headers) {
            return Ok(Owner::Cookie);
        }
        let given = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        match given.and_then(|value| value.strip_prefix("Bearer ")) {
            Some(given) if app.owner.is_token(given) => Ok(Owner::Header),
            Some(_) if !app.limits.allow("owner", LOGIN) => Err(Page::slow_down().into_response()),
            _ => Err(ask(None)),
        }
    }
}

/// Asks for the token.
fn ask(wrong: Option<&str>) -> Response {
    let content = json!({ "title": "The owner's page", "wrong": wrong});
    let mut response = render(StatusCode::UNAUTHORIZED, "login.html", content);
    response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
    response
}
