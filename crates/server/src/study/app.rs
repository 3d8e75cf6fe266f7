//! What all requests share, and the table of routes.

use crate::listen::ListenError;
use crate::study::folder::Study;
use crate::study::guard::{self, Limits};
use crate::study::store::Store;
use crate::study::token::{For, Signer};
use crate::study::ways::Open;
use crate::study::{Error, api, files, owner, pages};
use axum::extract::{DefaultBodyLimit, FromRef};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, get, post};
use axum::{Router, http::StatusCode};
use axum_extra::extract::cookie::Key;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tower::limit::GlobalConcurrencyLimitLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

/// More than any answer takes: what is painted by brush is the longest.
const LONGEST_BODY: usize = 1 << 20;
/// How long a request may take, the reading of its body included.
const LONGEST_REQUEST: Duration = Duration::from_secs(20);
/// For how long the same trouble is not said again.
const QUIET: Duration = Duration::from_secs(10);
/// How many requests are worked on at once; others wait.
const AT_ONCE: usize = 256;

/// How a study is served.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where raters may come from, beside single-use links.
    pub ways: Vec<Open>,
    /// How long a slot is kept for a rater of whom nothing is heard.
    pub hold: Duration,
    /// The address by which raters reach the server where that is not the one it listens on: `https://study.example.org`.
    pub url: Option<String>,
    /// Is told what goes wrong, in a sentence.
    pub trouble: fn(&str),
}

impl Default for Options {
    fn default() -> Self {
        Options { ways: vec![Open::Address], hold: Duration::from_secs(3600), url: None, trouble: |_| {} }
    }
}

impl Options {
    /// The name and port in the public address.
    fn authority(&self) -> Result<Option<&str>, Error> {
        self.url.as_deref().map(authority).transpose()
    }
}

/// The name and port in the address by which raters reach a server.
///
/// # Errors
/// [`ListenError::Url`] for what is no such address: `http://` or `https://` with a name, without a path.
pub fn authority(url: &str) -> Result<&str, Error> {
    Ok(crate::guard::authority(url).ok_or_else(|| ListenError::Url(url.to_owned()))?)
}

/// What all requests share.
#[derive(Clone)]
pub struct App(pub(crate) Arc<Shared>);

/// What lies behind it.
pub struct Shared {
    pub(crate) study: Study,
    pub(crate) store: Store,
    pub(crate) options: Options,
    /// Signs pages and links of raters.
    pub(crate) signer: Signer,
    /// Signs the cookie of raters.
    pub(crate) key: Key,
    /// What the owner's page needs, made anew at each start.
    pub(crate) owner: owner::Access,
    pub(crate) limits: Limits,
    /// What was last said to have gone wrong, and when.
    pub(crate) said: Mutex<Option<(String, Instant)>>,
    /// The name and port in the public address.
    pub(crate) authority: Option<String>,
}

impl std::ops::Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl FromRef<App> for Key {
    fn from_ref(app: &App) -> Key {
        app.key.clone()
    }
}

impl App {
    /// A study with its answers, to be served.
    ///
    /// # Errors
    /// [`Error::Listen`] for a public address that is none.
    pub fn new(study: Study, store: Store, options: Options) -> Result<Self, Error> {
        let secret = store.secret();
        Ok(App(Arc::new(Shared {
            signer: Signer::new(secret)?,
            key: Key::from(secret),
            owner: owner::Access::new()?,
            limits: Limits::default(),
            said: Mutex::default(),
            authority: options.authority()?.map(str::to_owned),
            study,
            store,
            options,
        })))
    }

    /// What opens the owner's page.
    pub fn owner_token(&self) -> &str {
        self.owner.token()
    }

    /// Whether raters reach the server over TLS.
    pub(crate) fn is_tls(&self) -> bool {
        self.options.url.as_deref().is_some_and(|url| url.starts_with("https://"))
    }

    /// Says what went wrong to whoever watches the server; the same not more often than every few seconds.
    pub(crate) fn trouble(&self, error: &Error) {
        let text = error.to_string();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.as_ref().is_none_or(|(last, at)| *last != text || at.elapsed() > QUIET) {
            (self.options.trouble)(&text);
            *said = Some((text, Instant::now()));
        }
    }

    /// Until when nothing may have been heard of a rater whose slot is given to somebody else.
    pub(crate) fn away_since(&self, now: i64) -> i64 {
        now.saturating_sub(i64::try_from(self.options.hold.as_millis()).unwrap_or(i64::MAX))
    }

    /// A signed text, as pages carry it.
    pub(crate) fn sign(&self, purpose: For, text: &str) -> String {
        self.signer.sign(purpose, text)
    }

    /// The server as a service.
    pub fn router(self) -> Router {
        let mut router = Router::new();
        for (path, method) in routes() {
            router = router.route(path, method);
        }
        router
            .fallback(pages::not_there)
            .method_not_allowed_fallback(pages::not_allowed)
            .layer(DefaultBodyLimit::max(LONGEST_BODY))
            .layer(from_fn_with_state(self.clone(), guard::ours))
            .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, LONGEST_REQUEST))
            .layer(GlobalConcurrencyLimitLayer::new(AT_ONCE))
            .layer(CatchPanicLayer::new())
            .layer(from_fn(guard::headers))
            .with_state(self)
    }
}

/// All routes.
pub(crate) fn routes() -> Vec<(&'static str, MethodRouter<App>)> {
    vec![
        ("/", get(pages::enter::open)),
        ("/link/{link}", get(pages::enter::link)),
        ("/prolific", get(pages::enter::prolific)),
        ("/mturk", get(pages::enter::mturk)),
        ("/begin", post(pages::enter::begin)),
        ("/resume/{token}", get(pages::enter::resume)),
        ("/instructions", get(pages::trial::instructions)),
        ("/trial", get(pages::trial::trial)),
        ("/answer", post(pages::answer::answer)),
        ("/finish", get(pages::leave::finish)),
        ("/pause", get(pages::leave::pause)),
        ("/withdraw", get(pages::leave::withdraw).post(pages::leave::withdrawn)),
        ("/files/{*file}", get(files::of_study)),
        ("/static/{version}/{file}", get(files::of_program)),
        ("/health", get(api::health)),
        ("/openapi.json", get(api::document)),
        ("/owner", get(owner::page::page)),
        ("/owner/login", post(owner::page::login)),
        ("/owner/logout", post(owner::page::logout)),
        ("/owner/running", post(owner::page::running)),
        ("/owner/forget", post(owner::page::forget)),
        ("/owner/export/{file}", get(owner::page::export)),
    ]
}

/// The paths of all routes.
pub fn route_paths() -> std::collections::BTreeSet<String> {
    // OpenAPI has no sign for a rest of a path.
    routes().into_iter().map(|(path, _)| path.replace("{*", "{")).collect()
}

/// The moment, in milliseconds since 1970 UTC.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
