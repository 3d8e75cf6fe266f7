//! What goes wrong, as the API says it.

use axum::Json;
use axum::extract::rejection::{BytesRejection, JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use hirescam::core::Error as Core;
use hirescam::labels::LabelsError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

/// A request that failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    pub(crate) problem: Problem,
}

/// What went wrong.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// The kind of error, in a word.
    kind: String,
    /// The error in words.
    message: String,
    /// What helps.
    remedy: Option<String>,
}

/// A request that failed, as its reply has it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Failed {
    error: Problem,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, kind: &str, message: impl Into<String>) -> Self {
        Failure { status, problem: Problem { kind: kind.to_owned(), message: message.into(), remedy: None } }
    }

    /// The same with what helps.
    pub(crate) fn with(mut self, remedy: impl Into<String>) -> Self {
        self.problem.remedy = Some(remedy.into());
        self
    }

    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "argument", message)
    }

    pub(crate) fn not_found(what: &str, id: &str) -> Self {
        Failure::new(StatusCode::NOT_FOUND, "not-found", format!("there is no {what} {id:?} here"))
            .with("send it again: a server that was started anew knows nothing of what was sent before")
    }

    /// More bytes than are taken at an address.
    pub(crate) fn too_large(most: usize) -> Self {
        let message = format!("the request is longer than the {most} bytes that are taken here");
        let failure = Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", message);
        failure.with("what is too large to be sent is opened by naming it when the server is started")
    }

    /// More than the server holds.
    pub(crate) fn full(message: impl Into<String>) -> Self {
        Failure::new(StatusCode::INSUFFICIENT_STORAGE, "full", message).with("delete what is not needed")
    }

    pub(crate) fn busy() -> Self {
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "too many requests wait already")
            .with("ask again in a few seconds")
    }

    pub(crate) fn late() -> Self {
        Failure::new(
            StatusCode::GATEWAY_TIMEOUT,
            "timeout",
            "the request took longer than this server allows, and was stopped",
        )
        .with("ask for fewer images, or for a method of fewer runs")
    }

    pub(crate) fn broken() -> Self {
        Failure::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the server broke on this request; that deserves a report",
        )
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Failed { error: failure.problem }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let retry = (self.status == StatusCode::SERVICE_UNAVAILABLE).then_some([("retry-after", "2")]);
        let mut response = (self.status, Json(Failed { error: self.problem.clone() })).into_response();
        for (name, value) in retry.into_iter().flatten() {
            response.headers_mut().insert(name, axum::http::HeaderValue::from_static(value));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// A request that failed, as the Open Inference Protocol has it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProtocolFailed {
    /// The error in words.
    error: String,
    /// The kind of error, in a word.
    kind: String,
}

/// The same reply, where it is a failure, in the form of the Open Inference Protocol.
pub(crate) fn by_protocol(mut response: Response) -> Response {
    let Some(Failure { problem, .. }) = response.extensions_mut().remove::<Failure>() else { return response };
    let own = Json(ProtocolFailed { error: problem.message, kind: problem.kind }).into_response();
    let (mut head, _) = response.into_parts();
    head.headers.remove(axum::http::header::CONTENT_LENGTH);
    Response::from_parts(head, own.into_body())
}

impl From<hirescam::Error> for Failure {
    fn from(error: hirescam::Error) -> Self {
        use hirescam::Error as E;
        let status = match error {
            E::Engine(_) => StatusCode::INTERNAL_SERVER_ERROR,
            E::Cancelled => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let failure = Failure::new(status, error.kind(), error.to_string());
        match remedy(&error) {
            Some(remedy) => failure.with(remedy),
            None => failure,
        }
    }
}

/// What helps, in the words of the API.
fn remedy(error: &hirescam::Error) -> Option<String> {
    use hirescam::Error as E;
    Some(
        match error {
            E::MissingInput { input, .. } => {
                return Some(format!("feed it: \"input\": {{{input:?}: NUMBER}} in the spec"));
            }
            E::NoPreprocess { .. } => {
                "say it in the spec: \"preprocess\" with a preset's name, or with the steps themselves"
            }
            E::NoLabels { .. } | E::Labels(LabelsError::Count { .. } | LabelsError::Invalid(_)) => {
                "send labels: PUT /api/models/{id}/labels"
            }
            E::Core(Core::Layer { .. } | Core::NotFound { kind: "layer", .. }) => {
                "POST /api/models/{id}/layers lists those that can be explained"
            }
            E::Core(Core::OpenShape { beside: false, .. }) => "say it in the spec: \"shape\": [1, 3, 224, 224]",
            E::Core(Core::OpenShape { beside: true, .. }) => "feed the input: \"input\": {NAME: …} in the spec",
            E::Core(Core::OpenSample { .. }) => {
                "say the whole shape of one sample in the spec: \"shape\": [6, 3, 224, 224]"
            }
            E::Core(Core::NoScores { .. }) => "name it in the spec: \"output\"",
            E::Core(Core::OpenClasses { .. }) => "name it in the spec: \"class_axis\"",
            E::Core(Core::Memory { .. }) => {
                "start the server with more of it (--memory MIB), where the network is to be trusted"
            }
            E::Core(Core::Invalid { at, .. }) if at.starts_with("external data") => {
                "a network whose weights lie in files of their own is opened by naming it when the server is started"
            }
            _ => return None,
        }
        .to_owned(),
    )
}

impl From<JsonRejection> for Failure {
    fn from(error: JsonRejection) -> Self {
        Failure::new(error.status(), "argument", error.body_text())
    }
}

impl From<BytesRejection> for Failure {
    fn from(error: BytesRejection) -> Self {
        Failure::new(error.status(), "argument", error.body_text())
    }
}

impl From<QueryRejection> for Failure {
    fn from(error: QueryRejection) -> Self {
        Failure::new(error.status(), "argument", error.body_text())
    }
}

/// What is asked, as JSON.
pub(crate) struct Asked<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Asked<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let Json(asked) = Json::<T>::from_request(request, state).await?;
        Ok(Asked(asked))
    }
}

/// What stands behind the question mark.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let axum::extract::Query(asked) = axum::extract::Query::<T>::from_request_parts(parts, state).await?;
        Ok(Query(asked))
    }
}
