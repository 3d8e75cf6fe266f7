//! The pages that raters see. They work without scripts, but for the questions that are answered by brush or while a picture is uncovered.

pub(crate) mod answer;
pub(crate) mod enter;
pub(crate) mod leave;
pub(crate) mod session;
pub(crate) mod trial;

use crate::study::{Error, files};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value};
use serde::Serialize;
use serde_json::json;
use std::sync::LazyLock;

/// All pages. What is put into one whose name ends in `.html` is escaped.
const TEMPLATES: &[(&str, &str)] = &[
    ("base.html", include_str!("../templates/base.html")),
    ("message.html", include_str!("../templates/message.html")),
    ("consent.html", include_str!("../templates/consent.html")),
    ("instructions.html", include_str!("../templates/instructions.html")),
    ("trial.html", include_str!("../templates/trial.html")),
    ("trial/prefer.html", include_str!("../templates/trial/prefer.html")),
    ("trial/rate.html", include_str!("../templates/trial/rate.html")),
    ("trial/trust.html", include_str!("../templates/trial/trust.html")),
    ("trial/locate.html", include_str!("../templates/trial/locate.html")),
    ("trial/reveal.html", include_str!("../templates/trial/reveal.html")),
    ("finish.html", include_str!("../templates/finish.html")),
    ("pause.html", include_str!("../templates/pause.html")),
    ("withdraw.html", include_str!("../templates/withdraw.html")),
    ("again.html", include_str!("../templates/again.html")),
    ("login.html", include_str!("../templates/login.html")),
    ("owner.html", include_str!("../templates/owner.html")),
];

static PAGES: LazyLock<Result<Environment<'static>, minijinja::Error>> = LazyLock::new(|| {
    let mut pages = Environment::new();
    // A page takes what its question has, and leaves the rest away.
    pages.set_undefined_behavior(UndefinedBehavior::Chainable);
    for (name, template) in TEMPLATES {
        pages.add_template(name, template)?;
    }
    pages.add_global("files", format!("/static/{}", *files::VERSION));
    Ok(pages)
});

/// A page from its template.
pub(crate) fn render(status: StatusCode, template: &str, content: impl Serialize) -> Response {
    let pages = PAGES.as_ref().map_err(ToString::to_string);
    let text = pages.and_then(|pages| {
        pages
            .get_template(template)
            .and_then(|page| page.render(Value::from(Serde(&content))))
            .map_err(|error| error.to_string())
    });
    match text {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("the page {template} is damaged: {error}")).into_response()
        }
    }
}

/// A page that only says something.
#[derive(Debug)]
pub(crate) struct Page {
    status: StatusCode,
    title: String,
    text: String,
    /// Where one may go from here: path and words.
    next: Option<(&'static str, &'static str)>,
}

impl Page {
    pub(crate) fn new(status: StatusCode, title: &str, text: &str) -> Self {
        Page { status, title: title.into(), text: text.into(), next: None }
    }

    pub(crate) fn to(self, path: &'static str, words: &'static str) -> Self {
        Page { next: Some((path, words)), ..self }
    }

    pub(crate) fn not_there() -> Self {
        Page::new(StatusCode::NOT_FOUND, "There is no such page", "Check the address, or go back to the study.")
            .to("/trial", "Go to the study")
    }

    pub(crate) fn no_session() -> Self {
        Page::new(
            StatusCode::FORBIDDEN,
            "We do not know you here",
            "Open the study by the link that you were given. If you did just that, your browser keeps no cookies: the study needs one, to \
             tell your answers from those of others.",
        )
    }

    pub(crate) fn slow_down() -> Self {
        Page::new(StatusCode::TOO_MANY_REQUESTS, "That was too fast", "Wait a few seconds and go on; nothing is lost.")
            .to("/trial", "Go on")
    }

    pub(crate) fn bad(text: &str) -> Self {
        Page::new(StatusCode::BAD_REQUEST, "That did not work", text)
    }

    /// The rater's slot was given to somebody else.
    pub(crate) fn away() -> Self {
        Page::new(
            StatusCode::GONE,
            "Your place was given to somebody else",
            "You were away for longer than a place can be kept. What you answered before is stored; thank you for it. You can still have it \
             deleted.",
        )
        .to("/withdraw", "Delete my answers")
    }
}

impl From<&Error> for Page {
    fn from(error: &Error) -> Self {
        match error {
            Error::Database(_) => Page::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "The study cannot be reached at the moment",
                "Nothing that you answered is lost. Wait a minute, then load this page again.",
            ),
            _ => Page::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Something is wrong with the study",
                "Its owner has been told. Nothing that you answered is lost.",
            ),
        }
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let next = self.next.map(|(path, words)| json!({ "path": path, "words": words}));
        let content = json!({ "title": self.title, "text": self.text, "next": next});
        let mut response = render(self.status, "message.html", content);
        if matches!(self.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("30"));
        }
        response
    }
}

pub(crate) async fn not_there() -> Page {
    Page::not_there()
}

pub(crate) async fn not_allowed() -> Page {
    Page::new(StatusCode::METHOD_NOT_ALLOWED, "That is not possible here", "The page cannot be asked for in this way.")
}

/// Paragraphs, which stand between empty lines.
pub(crate) fn paragraphs(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let parts = lines.split(|line| line.is_empty()).map(|lines| lines.join(" "));
    parts.filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_stand_between_empty_lines() {
        assert_eq!(paragraphs("a\nb\n \n\nc\n"), ["a b", "c"]);
        assert!(paragraphs(" \n").is_empty());
    }

    #[test]
    fn what_is_put_into_a_page_is_escaped() {
        let page = render(StatusCode::OK, "message.html", json!({ "title": "<script>", "text": "a&b\""}));
        assert_eq!(page.status(), StatusCode::OK);
        let bytes =
            tokio::runtime::Runtime::new().unwrap().block_on(axum::body::to_bytes(page.into_body(), 1 << 20)).unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(
            text.contains("&lt;script&gt;") && text.contains("a&amp;b&quot;") && !text.contains("<script>"),
            "{text}"
        );
    }
}
