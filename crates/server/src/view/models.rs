//! The networks that are held, and what there is to say of each.

use crate::view::app::App;
use crate::view::failure::{Failed, Failure, Query};
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use hirescam::labels::Labels;
use hirescam::preprocess::{AxisOrder, Preprocess};
use hirescam::{Network, Spec};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use utoipa::{IntoParams, ToSchema};

/// A network that is held.
#[derive(Clone)]
pub(crate) struct Held {
    /// SHA-256 of its file.
    pub(crate) id: String,
    /// The name of its file, for people.
    pub(crate) name: String,
    pub(crate) network: Network,
    /// What stands for its labels, where it was given some.
    pub(crate) labels: Option<String>,
    sent: bool,
}

impl Held {
    fn new(name: String, network: Network, sent: bool) -> Self {
        Held { id: network.sha256().to_owned(), name, network, labels: None, sent }
    }

    /// Stands for all of it.
    pub(crate) fn key(&self) -> String {
        format!("{} {}", self.id, self.labels.as_deref().unwrap_or_default())
    }

    /// The bytes of its weights, with the rest of its files.
    pub(crate) fn bytes(&self) -> u64 {
        let beside =
            self.network.weights().iter().filter_map(|file| self.network.path().with_file_name(file).metadata().ok());
        self.network.bytes().len() as u64 + beside.map(|file| file.len()).sum::<u64>()
    }

    /// Its name without what it ends in.
    pub(crate) fn stem(&self) -> &str {
        self.name.strip_suffix(".onnx").unwrap_or(&self.name)
    }
}

/// The networks, in the order in which they came.
#[derive(Default)]
pub(crate) struct Models(Mutex<Vec<Held>>);

impl Models {
    /// # Errors
    /// Those of [`Network::open`].
    pub(crate) fn open(paths: &[PathBuf]) -> Result<Self, hirescam::Error> {
        let models = Models::default();
        for path in paths {
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
            models.add(Held::new(name, Network::open(path)?, false));
        }
        Ok(models)
    }

    /// Holds one more; one that is held already stays as it is.
    fn add(&self, model: Held) -> Held {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = held.iter().find(|there| there.id == model.id) {
            return there.clone();
        }
        held.push(model.clone());
        model
    }

    pub(crate) fn all(&self) -> Vec<Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// # Errors
    /// A [`Failure`] where none is called so.
    pub(crate) fn get(&self, id: &str) -> Result<Held, Failure> {
        self.all().into_iter().find(|model| model.id == id).ok_or_else(|| Failure::not_found("model", id))
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Held)) -> Result<Held, Failure> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let model = held.iter_mut().find(|model| model.id == id).ok_or_else(|| Failure::not_found("model", id))?;
        change(model);
        Ok(model.clone())
    }

    fn remove(&self, id: &str) -> Result<Held, Failure> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = held.iter().position(|model| model.id == id).ok_or_else(|| Failure::not_found("model", id))?;
        Ok(held.remove(at))
    }

    /// The bytes of those that were sent.
    pub(crate) fn sent_bytes(&self) -> u64 {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().filter(|model| model.sent).map(|model| model.network.bytes().len() as u64).sum()
    }
}

/// A network.
#[derive(Serialize, ToSchema)]
pub(crate) struct Model {
    /// SHA-256 of its file.
    id: String,
    /// The name of its file.
    name: String,
    /// The file's bytes.
    bytes: usize,
    image: ModelImage,
    /// How many classes it tells apart; null where that is open, or its scores are no classes.
    classes: Option<usize>,
    labels: Option<ModelLabels>,
    preprocess: Option<ModelPreprocess>,
    /// What does not go with it: `labels`, `preprocess`.
    missing: Vec<&'static str>,
    /// Why its graph cannot be understood as it is, where it cannot: what is missing has to be said in the spec.
    problem: Option<crate::view::failure::Problem>,
    /// The files with weights beside it.
    files_needed: Vec<String>,
}

/// The input of a network that carries the image.
#[derive(Serialize, ToSchema)]
struct ModelImage {
    /// Its name.
    input: String,
    /// Its element type.
    kind: Option<String>,
    /// Its extents; null for those that are open.
    shape: Vec<Option<usize>>,
    /// The channels of photos; null where it takes none.
    channels: Option<usize>,
    height: Option<usize>,
    width: Option<usize>,
    /// The order of its axes: `NCHW` or `NHWC`; null where it takes no photos.
    layout: Option<&'static str>,
}

/// The labels of a network's classes.
#[derive(Serialize, ToSchema)]
struct ModelLabels {
    count: usize,
    /// Where they come from.
    from: String,
}

/// How photos are prepared for a network.
#[derive(Serialize, ToSchema)]
struct ModelPreprocess {
    /// Where that is said.
    from: String,
    /// What is done, a line each.
    lines: Vec<String>,
    /// The same as TOML.
    toml: String,
    /// The same as a spec has it.
    #[schema(value_type = Object)]
    steps: Preprocess,
}

impl Model {
    pub(crate) fn of(held: &Held, spec: &Spec) -> Self {
        let network = &held.network;
        let mut model = Model {
            id: held.id.clone(),
            name: held.name.clone(),
            bytes: network.bytes().len(),
            image: ModelImage {
                input: String::new(),
                kind: None,
                shape: Vec::new(),
                channels: None,
                height: None,
                width: None,
                layout: None,
            },
            classes: None,
            labels: None,
            preprocess: None,
            missing: Vec::new(),
            problem: None,
            files_needed: network.weights().to_vec(),
        };
        match network.about(spec) {
            Ok(about) => {
                let photos = about.photos;
                model.image = ModelImage {
                    kind: about.input.kind.map(|kind| kind.to_string()),
                    input: about.input.name,
                    shape: about.input.shape,
                    channels: photos.and_then(|image| image.channels),
                    height: photos.and_then(|image| image.height),
                    width: photos.and_then(|image| image.width),
                    layout: photos.map(|image| match image.layout {
                        AxisOrder::ChannelsFirst => "NCHW",
                        AxisOrder::ChannelsLast => "NHWC",
                    }),
                };
                model.classes = about.classes;
                model.missing.extend(about.labels.is_none().then_some("labels"));
                model.missing.extend((photos.is_some() && about.preprocess.is_none()).then_some("preprocess"));
                model.labels = about.labels.map(|(count, from)| ModelLabels { count, from });
                model.preprocess = about.preprocess.map(|(steps, from)| {
                    let lines = steps.lines();
                    ModelPreprocess { from, toml: lines.join("\n"), lines, steps }
                });
                model.problem = about.problem.map(|error| Failure::from(error).problem);
            }
            Err(error) => model.problem = Some(Failure::from(error).problem),
        }
        model
    }
}

/// What a file is called.
#[derive(Deserialize, IntoParams)]
pub(crate) struct Named {
    /// The file's name, for people: it is no path.
    name: Option<String>,
}

impl Named {
    /// The last part of what was given, in whichever system's way it is written, without what would control a terminal; `otherwise` where
    /// nothing is left.
    pub(crate) fn or(self, otherwise: &str) -> String {
        let name = self.name.unwrap_or_default();
        let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
        let kept: String = last.chars().filter(|c| !c.is_control()).take(255).collect();
        if kept.trim().is_empty() { otherwise.to_owned() } else { kept }
    }
}

/// The networks.
#[utoipa::path(get, operation_id = "list_models", path = "/api/models", responses((status = 200, description = "The networks", body = Vec<Model>)))]
pub(crate) async fn list(State(app): State<App>) -> Result<Json<Vec<Model>>, Failure> {
    let shared = app.clone();
    let list = move |_: &_| Ok(shared.models.all().iter().map(|held| Model::of(held, &shared.options.spec)).collect());
    Ok(Json(app.quick.run(list).await?))
}

/// Send a network: the bytes of its ONNX file. The same bytes have the same id.
#[utoipa::path(post, operation_id = "send_model", path = "/api/models", params(Named), request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, description = "The network", body = Model), (status = 413, description = "It is too large", body = Failed),
        (status = 422, description = "It is no network that can be used", body = Failed), (status = 507, description = "There is no room", body = Failed)))]
pub(crate) async fn upload(
    State(app): State<App>,
    Query(named): Query<Named>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Model>), Failure> {
    let (bytes, shared) = (bytes?, app.clone());
    let add = move |_: &_| {
        let room =
            shared.options.limits.held_bytes.saturating_sub(shared.models.sent_bytes() + shared.images.sent_bytes());
        if bytes.len() as u64 > room || shared.models.all().len() >= shared.options.limits.held {
            return Err(Failure::full("the server holds as much as it may already"));
        }
        let network = Network::from_bytes(bytes)?;
        let held = shared.models.add(Held::new(named.or("network.onnx"), network, true));
        Ok(Model::of(&held, &shared.options.spec))
    };
    Ok((StatusCode::CREATED, Json(app.quick.run(add).await?)))
}

/// A network.
#[utoipa::path(get, operation_id = "get_model", path = "/api/models/{id}", params(("id" = String, Path, description = "The network's id")),
    responses((status = 200, description = "The network", body = Model), (status = 404, description = "There is none", body = Failed)))]
pub(crate) async fn one(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Model>, Failure> {
    let (held, shared) = (app.models.get(&id)?, app.clone());
    Ok(Json(app.quick.run(move |_| Ok(Model::of(&held, &shared.options.spec))).await?))
}

/// Forget a network.
#[utoipa::path(delete, operation_id = "forget_model", path = "/api/models/{id}", params(("id" = String, Path, description = "The network's id")),
    responses((status = 204, description = "It is forgotten"), (status = 404, description = "There is none", body = Failed)))]
pub(crate) async fn remove(State(app): State<App>, Path(id): Path<String>) -> Result<StatusCode, Failure> {
    app.models.remove(&id)?;
    app.ready.forget(&id);
    app.served.forget(&id);
    Ok(StatusCode::NO_CONTENT)
}

/// Give a network labels: text with one a line, or JSON, as in files of labels.
#[utoipa::path(put, operation_id = "label_model", path = "/api/models/{id}/labels", params(("id" = String, Path, description = "The network's id")),
    request_body(content = String, content_type = "text/plain"),
    responses((status = 200, description = "The network", body = Model), (status = 404, description = "There is none", body = Failed),
        (status = 422, description = "These are no labels, or not those of its classes", body = Failed)))]
pub(crate) async fn label(
    State(app): State<App>,
    Path(id): Path<String>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Model>, Failure> {
    let (bytes, shared) = (bytes?, app.clone());
    let label = move |_: &_| {
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "labels", "labels are text in UTF-8"))?;
        let labels = read_labels(text)?;
        let spec = &shared.options.spec;
        let held = shared.models.get(&id)?;
        if let Some(classes) = held.network.about(spec)?.classes {
            labels.check(classes).map_err(hirescam::Error::from)?;
        }
        let held = shared.models.change(&id, |held| {
            held.network = held.network.clone().with_labels(labels);
            held.labels = Some(format!("{:016x}", hash(&bytes)));
        })?;
        Ok(Model::of(&held, spec))
    };
    Ok(Json(app.quick.run(label).await?))
}

/// As files of labels are read: JSON, or what Python writes, by what it begins with; else lines.
fn read_labels(text: &str) -> Result<Labels, hirescam::Error> {
    let begins = text.trim_start_matches('\u{feff}').trim_start().chars().next();
    let read = if matches!(begins, Some('{' | '[')) { Labels::parse(text) } else { Labels::lines(text) };
    Ok(read?)
}

/// What stands for bytes within this run of the server.
fn hash(bytes: &[u8]) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_paths() {
        let named = |name: &str| Named { name: Some(name.to_owned()) }.or("network.onnx");
        for (given, kept) in [
            ("a.onnx", "a.onnx"),
            ("../../etc/passwd", "passwd"),
            ("C:\\nets\\a.onnx", "a.onnx"),
            ("..", ".."),
            ("a\u{1b}[31m\n.onnx", "a[31m.onnx"),
            ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
            ("", "network.onnx"),
            ("/", "network.onnx"),
        ] {
            assert_eq!(named(given), kept, "{given:?}");
        }
        assert_eq!(named(&"x".repeat(1000)).len(), 255);
    }

    #[test]
    fn labels_are_read_as_from_files() {
        for text in ["cat\ndog\n", "[\"cat\", \"dog\"]", "{0: 'cat', 1: 'dog'}"] {
            assert_eq!(
                read_labels(text).map(|labels| labels.names().to_vec()).ok(),
                Some(vec!["cat".into(), "dog".into()])
            );
        }
        assert!(read_labels(" \n").is_err() && read_labels("{").is_err());
    }
}
