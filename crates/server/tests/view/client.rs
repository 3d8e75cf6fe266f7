//! What the tests share: a server in this program, and somebody who asks it.

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use hirescam::Spec;
use hirescam_server::view::{App, Options};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::LazyLock;
use tower::ServiceExt;

pub static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| tokio::runtime::Runtime::new().unwrap());

pub fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures")).join(name)
}

/// A spec by the engine that is always there.
pub fn tract() -> Spec {
    Spec { engine: "tract".into(), ..Spec::default() }
}

#[derive(Clone)]
pub struct Client(pub App);

pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("{} {}", self.status, self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// What was answered, where the request did not fail.
    pub fn ok(self) -> Value {
        assert!(self.status.is_success(), "{} {}", self.status, self.text());
        self.json()
    }

    /// Kind, message and remedy of what went wrong.
    pub fn error(&self, status: u16) -> [String; 3] {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        let error = self.json()["error"].clone();
        ["kind", "message", "remedy"].map(|name| error[name].as_str().unwrap_or_default().to_owned())
    }

    /// What went wrong, as the Open Inference Protocol says it: kind and words.
    pub fn protocol_error(&self, status: u16) -> [String; 2] {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        let body = self.json();
        ["kind", "error"].map(|name| body[name].as_str().unwrap().to_owned())
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The events of a reply that is told bit by bit.
    pub fn events(&self) -> Vec<(String, Value)> {
        let text = self.text();
        let event = |lines: &str| {
            let field = |name: &str| {
                lines.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
            };
            Some((field("event:")?, serde_json::from_str(&field("data:")?).unwrap()))
        };
        text.split("\n\n").filter_map(event).collect()
    }
}

impl Client {
    pub fn new(options: Options) -> Self {
        Client(App::new(options).unwrap())
    }

    /// A server with the digits network and the photo of a seven.
    pub fn digits() -> Self {
        Client::with(&["digits-cnn.onnx"], &["photos/seven.png"])
    }

    pub fn with(models: &[&str], images: &[&str]) -> Self {
        Client::new(Options {
            spec: tract(),
            models: models.iter().map(|name| fixture(name)).collect(),
            images: images.iter().map(|name| fixture(name)).collect(),
            page: true,
            ..Options::default()
        })
    }

    pub async fn sent(&self, mut request: Request<Body>) -> Reply {
        request.headers_mut().entry("host").or_insert("127.0.0.1:8080".parse().unwrap());
        let reply = self.0.clone().router().oneshot(request).await.unwrap();
        let (status, headers) = (reply.status(), reply.headers().clone());
        let bytes = reply.into_body().collect().await.unwrap().to_bytes().to_vec();
        Reply { status, headers, bytes }
    }

    pub fn send(&self, request: Request<Body>) -> Reply {
        RUNTIME.block_on(self.sent(request))
    }

    pub fn get(&self, path: &str) -> Reply {
        self.send(Request::get(path).body(Body::empty()).unwrap())
    }

    pub fn delete(&self, path: &str) -> Reply {
        self.send(Request::delete(path).body(Body::empty()).unwrap())
    }

    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(question(path, body))
    }

    /// As [`Client::post`], told bit by bit.
    pub fn told(&self, path: &str, body: &Value) -> Reply {
        let mut request = question(path, body);
        request.headers_mut().insert("accept", "text/event-stream".parse().unwrap());
        self.send(request)
    }

    pub fn upload(&self, path: &str, bytes: impl Into<Body>) -> Reply {
        self.send(Request::post(path).header("content-type", "application/octet-stream").body(bytes.into()).unwrap())
    }

    /// The first network and the first image that are there.
    pub fn opened(&self) -> (String, String) {
        let opened = self.get("/api").ok()["opened"].clone();
        let first = |what: &str| opened[what][0].as_str().unwrap_or_default().to_owned();
        (first("models"), first("images"))
    }

    /// What is asked of these, with a spec.
    pub fn question(&self, spec: Value) -> Value {
        let (model, image) = self.opened();
        json!({ "model": model, "images": [image], "spec": spec })
    }
}

pub fn question(path: &str, body: &Value) -> Request<Body> {
    Request::post(path).header("content-type", "application/json").body(Body::from(body.to_string())).unwrap()
}
