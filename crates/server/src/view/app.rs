//! What all requests share, and the table of routes.

use crate::guard::{add_headers, authority, foreign};
use crate::listen::ListenError;
use crate::view::failure::{Failure, by_protocol};
use crate::view::images::Images;
use crate::view::models::Models;
use crate::view::ready::Ready;
use crate::view::work::Work;
use crate::view::{
    about, checks, comparisons, explanations, exports, images, infer, layers, models, openapi, page, previews,
};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post, put};
use hirescam::Spec;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tower_http::catch_panic::CatchPanicLayer;

/// The most bytes of a request that is no file.
const LONGEST_QUESTION: usize = 16 << 20;

/// How many networks and images are looked at at once.
const QUICK_AT_ONCE: usize = 4;

/// What is served, and how.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What every request's spec begins with. Its engine, its memory and the files that it names are this server's own: no request can
    /// change them.
    pub spec: Spec,
    /// The networks that are there from the beginning.
    pub models: Vec<PathBuf>,
    /// The images that are.
    pub images: Vec<PathBuf>,
    /// The address by which others than this machine reach the server: `https://explain.example.org`.
    pub url: Option<String>,
    /// Whether the page is served, or the API alone.
    pub page: bool,
    /// How much is held and done.
    pub limits: Limits,
}

/// How much a server holds and does.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a network that is sent.
    pub model_bytes: usize,
    /// Bytes of an image that is sent.
    pub image_bytes: usize,
    /// Bytes of all that was sent.
    pub held_bytes: u64,
    /// How many networks, and how many images, are held.
    pub held: usize,
    /// Bytes, as far as they can be estimated, of networks made ready to explain; those that were not used for longest are given up first.
    pub ready_bytes: u64,
    /// Bytes of decoded images and of maps that are kept; as above.
    pub kept_bytes: u64,
    /// How many requests make maps at once.
    pub at_once: usize,
    /// How many wait for their turn.
    pub waiting: usize,
    /// How many images one request explains.
    pub images: usize,
    /// How long a request may take: waiting and computing.
    pub longest: Duration,
    /// The same of one that says how far it is.
    pub longest_told: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            model_bytes: (1 << 31) - 1,
            image_bytes: 256 << 20,
            held_bytes: 4 << 30,
            held: 10_000,
            ready_bytes: 2 << 30,
            kept_bytes: 1 << 30,
            at_once: 2,
            waiting: 64,
            images: 1000,
            longest: Duration::from_secs(300),
            longest_told: Duration::from_secs(3600),
        }
    }
}

/// What all requests share.
#[derive(Clone)]
pub struct App(Arc<Shared>);

/// What lies behind it.
pub struct Shared {
    pub(crate) options: Options,
    /// Stands for this run of the server.
    pub(crate) instance: String,
    pub(crate) models: Models,
    pub(crate) images: Images,
    pub(crate) ready: Ready,
    pub(crate) served: infer::Served,
    /// Where maps are made.
    pub(crate) work: Work,
    /// Where networks and images are looked at: that need not wait for maps.
    pub(crate) quick: Work,
    authority: Option<String>,
}

impl std::ops::Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// Why a server cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A network or an image that cannot be read.
    #[error(transparent)]
    Explain(#[from] hirescam::Error),
    /// A public address that is none, or an address that cannot be had.
    #[error(transparent)]
    Listen(#[from] ListenError),
}

impl App {
    /// A server with its networks read.
    ///
    /// # Errors
    /// [`Error::Explain`] for a network or a tensor that cannot be read and for an engine that is not there, [`Error::Listen`] for a public address that is none.
    pub fn new(options: Options) -> Result<Self, Error> {
        let url = options.url.as_deref();
        let authority = url.map(|url| authority(url).ok_or_else(|| ListenError::Url(url.to_owned()))).transpose()?;
        let models = Models::open(&options.models)?;
        // An engine that is not there is said before anybody asks for a map.
        options.spec.engine.start().map_err(hirescam::Error::from)?;
        let limits = &options.limits;
        Ok(App(Arc::new(Shared {
            instance: format!("{:016x}", RandomState::new().hash_one(std::process::id())),
            models,
            images: Images::open(&options.images, limits.kept_bytes / 2)?,
            ready: Ready::new(limits),
            served: infer::Served::new(limits.ready_bytes),
            work: Work::new(limits.at_once, limits),
            quick: Work::new(QUICK_AT_ONCE, limits),
            authority: authority.map(str::to_owned),
            options,
        })))
    }

    /// The server as a service.
    pub fn router(self) -> Router {
        let mut router = Router::new();
        for (path, method) in routes(self.options.page) {
            router = router.route(path, bounded(method, LONGEST_QUESTION));
        }
        let limits = &self.options.limits;
        for (path, method, most) in [
            ("/api/models", get(models::list).post(models::upload), limits.model_bytes),
            ("/api/images", get(images::list).post(images::upload), limits.image_bytes),
            ("/v2/models/{name}/infer", post(infer::infer), limits.image_bytes),
        ] {
            router = router.route(path, bounded(method, most));
        }
        router
            .fallback(not_there)
            .method_not_allowed_fallback(not_allowed)
            .layer(from_fn_with_state(self.clone(), ours))
            .layer(CatchPanicLayer::custom(|_| Failure::broken().into_response()))
            .layer(from_fn(headers))
            .with_state(self)
    }
}

/// Takes requests of at most so many bytes: longer ones are refused by the length that they announce, or while they come.
fn bounded(method: MethodRouter<App>, most: usize) -> MethodRouter<App> {
    method.layer(DefaultBodyLimit::max(most)).layer(from_fn(move |request: Request, next: Next| async move {
        let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        if announced.is_some_and(|length| length.parse().is_ok_and(|length: u64| length > most as u64)) {
            return Failure::too_large(most).into_response();
        }
        let response = next.run(request).await;
        match response.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Failure::too_large(most).into_response(),
            _ => response,
        }
    }))
}

/// All routes but those that take more than questions.
fn routes(page: bool) -> Vec<(&'static str, MethodRouter<App>)> {
    let mut routes = vec![
        ("/api", get(about::about)),
        ("/api/health", get(about::health)),
        ("/api/openapi.json", get(openapi::document)),
        ("/api/models/{id}", get(models::one).delete(models::remove)),
        ("/api/models/{id}/labels", put(models::label)),
        ("/api/models/{id}/layers", post(layers::list)),
        ("/api/images/{id}", axum::routing::delete(images::remove)),
        ("/api/images/{id}/photo", get(images::photo)),
        ("/api/previews", post(previews::preview)),
        ("/api/explanations", post(explanations::explain)),
        ("/api/comparisons", post(comparisons::compare)),
        ("/api/checks", post(checks::check)),
        ("/api/exports", post(exports::export)),
        ("/v2", get(infer::server)),
        ("/v2/health/live", get(infer::live)),
        ("/v2/health/ready", get(infer::live)),
        ("/v2/models/{name}", get(infer::model)),
        ("/v2/models/{name}/ready", get(infer::ready)),
    ];
    if page {
        routes.extend([("/", get(page::index)), ("/{*file}", get(page::file))]);
    }
    routes
}

/// What pages may load: from here alone.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Adds what every reply has, in the form that its readers know.
async fn headers(request: Request, next: Next) -> Response {
    let protocol = request.uri().path().starts_with("/v2");
    let response = next.run(request).await;
    add_headers(if protocol { by_protocol(response) } else { response }, POLICY)
}

/// Answers requests only that were sent to this server. Whether it is alive it says to anybody: those who ask know machines by number.
async fn ours(State(app): State<App>, request: Request, next: Next) -> Response {
    match foreign(&request, app.authority.as_deref()) {
        Some(because) if !request.uri().path().starts_with("/v2/health/") => {
            Failure::new(StatusCode::FORBIDDEN, "foreign", because).into_response()
        }
        _ => next.run(request).await,
    }
}

async fn not_there() -> Failure {
    Failure::new(StatusCode::NOT_FOUND, "not-found", "there is nothing at this address")
        .with("GET /api/openapi.json lists what there is")
}

async fn not_allowed() -> Failure {
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, "argument", "this address cannot be asked for in this way")
        .with("GET /api/openapi.json lists what there is")
}
