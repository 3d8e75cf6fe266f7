//! The images that are held.

use crate::view::app::App;
use crate::view::cache::Cache;
use crate::view::failure::{Failed, Failure, Query};
use crate::view::models::Named;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hirescam::engine::Array;
use hirescam::overlay;
use hirescam::photo::Photo;
use hirescam::{Input, source};
use image::codecs::jpeg::JpegEncoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use utoipa::{IntoParams, ToSchema};

/// The largest and the usual longer side of a photo on the page.
const MOST_SIDE: u32 = 4096;
const SIDE: u32 = 1440;
/// Kept by browsers: what it shows goes with its id.
const KEPT: &str = "private, max-age=86400, immutable";

/// An image that is held: a photo, or one row of a tensor.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) id: String,
    /// The name of its file, for people.
    pub(crate) name: String,
    /// Which image of the file it is.
    pub(crate) index: usize,
    content: Content,
    about: Arc<OnceLock<About>>,
}

#[derive(Clone)]
enum Content {
    /// It was named when the server was started.
    File(PathBuf),
    /// It was sent.
    Bytes(Bytes),
}

/// What is known of an image.
#[derive(Clone, Default)]
struct About {
    /// Width and height of a photo.
    size: Option<(u32, u32)>,
    /// The extents of a tensor.
    shape: Option<Vec<usize>>,
    notes: Vec<String>,
}

/// An image as it is explained.
pub(crate) struct Decoded {
    pub(crate) input: Input,
    /// SHA-256 of its file.
    pub(crate) sha256: String,
}

/// The images, in the order in which they came.
pub(crate) struct Images {
    held: Mutex<Vec<Held>>,
    decoded: Cache<Decoded>,
}

impl Images {
    /// # Errors
    /// [`hirescam::Error::File`] for tensors that cannot be read. Photos are read when they are looked at.
    pub(crate) fn open(paths: &[PathBuf], kept_bytes: u64) -> Result<Self, hirescam::Error> {
        let images = Images { held: Mutex::default(), decoded: Cache::new(kept_bytes) };
        for path in paths {
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
            // A file that is changed is another image.
            let about = path.metadata().map(|m| format!("{} {:?}", m.len(), m.modified().ok())).unwrap_or_default();
            let file = sha256(&[path.as_os_str().as_encoded_bytes(), about.as_bytes()]);
            let tensor = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy"));
            let rows = if tensor { rows(&Input::Tensor(source::array(path)?)) } else { 1 };
            images.add(Held::all(&file, &name, rows, &Content::File(path.clone())));
        }
        Ok(images)
    }

    fn add(&self, all: Vec<Held>) -> Vec<Held> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        for image in &all {
            if held.iter().all(|there| there.id != image.id) {
                held.push(image.clone());
            }
        }
        all
    }

    pub(crate) fn all(&self) -> Vec<Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// # Errors
    /// A [`Failure`] where none is called so.
    pub(crate) fn get(&self, id: &str) -> Result<Held, Failure> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().find(|image| image.id == id).cloned().ok_or_else(|| Failure::not_found("image", id))
    }

    fn remove(&self, id: &str) -> Result<(), Failure> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let at = held.iter().position(|image| image.id == id).ok_or_else(|| Failure::not_found("image", id))?;
        let file = held.remove(at).file().to_owned();
        self.decoded.forget(|key| key == file);
        Ok(())
    }

    /// The bytes of those that were sent.
    pub(crate) fn sent_bytes(&self) -> u64 {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        // Rows of one tensor share its bytes.
        let mut files = HashSet::new();
        let own = held.iter().filter(|image| files.insert(image.file()));
        own.map(|image| if let Content::Bytes(bytes) = &image.content { bytes.len() as u64 } else { 0 }).sum()
    }

    /// The file of an image, decoded.
    ///
    /// # Errors
    /// Those of [`source::read`].
    pub(crate) fn decoded(&self, image: &Held) -> Result<Arc<Decoded>, hirescam::Error> {
        self.decoded.get(image.file(), || {
            let (input, sha256) = match &image.content {
                Content::File(path) => source::read(path)?,
                Content::Bytes(bytes) => (source::decode(bytes)?, sha256(&[bytes])),
            };
            let bytes = bytes(&input);
            Ok((Decoded { input, sha256 }, bytes))
        })
    }

    /// What is known of an image; of a photo that nobody has looked at yet its size alone.
    fn about(&self, image: &Held) -> About {
        if let Some(about) = image.about.get() {
            return about.clone();
        }
        let looked_at = match &image.content {
            Content::File(path) if !path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy")) => {
                let read = std::fs::read(path).ok();
                About { size: read.and_then(|bytes| Photo::size(&bytes).ok()), ..About::default() }
            }
            _ => self.decoded(image).map(|decoded| About::of(&decoded.input)).unwrap_or_default(),
        };
        image.about.get_or_init(|| looked_at).clone()
    }
}

impl Held {
    /// The images of a file.
    fn all(file: &str, name: &str, rows: usize, content: &Content) -> Vec<Held> {
        let one = |index: usize| Held {
            id: if rows > 1 { format!("{file}-{index}") } else { file.to_owned() },
            name: name.to_owned(),
            index,
            content: content.clone(),
            about: Arc::default(),
        };
        (0..rows).map(one).collect()
    }

    /// What stands for its file.
    fn file(&self) -> &str {
        self.id.split('-').next().unwrap_or(&self.id)
    }

    /// What it is, of its file; all rows of a tensor together where they make one sample.
    pub(crate) fn input(&self, decoded: &Decoded, all_rows: bool) -> Input {
        match &decoded.input {
            Input::Tensor(tensor) if !all_rows && self.id.contains('-') => {
                tensor.part(self.index..self.index + 1).map_or_else(|| decoded.input.clone(), Input::Tensor)
            }
            input => input.clone(),
        }
    }

    /// The path of its file, or its name where it was sent.
    pub(crate) fn path(&self) -> PathBuf {
        match &self.content {
            Content::File(path) => path.clone(),
            Content::Bytes(_) => self.name.clone().into(),
        }
    }
}

impl About {
    fn of(input: &Input) -> Self {
        match input {
            Input::Photo(photo) => {
                About { size: Some((photo.width(), photo.height())), shape: None, notes: photo.notes() }
            }
            Input::Tensor(tensor) => About { shape: Some(tensor.shape().to_vec()), ..About::default() },
            _ => About::default(),
        }
    }
}

/// How many images a file holds: the rows of a tensor that has axes of space behind them.
fn rows(input: &Input) -> usize {
    match input {
        Input::Tensor(tensor) if tensor.shape().len() > 3 => tensor.shape().first().copied().unwrap_or(1).max(1),
        _ => 1,
    }
}

/// The bytes that it takes decoded.
fn bytes(input: &Input) -> u64 {
    let tensor = |tensor: &Array| 8 * tensor.len() as u64;
    match input {
        Input::Photo(photo) => {
            u64::from(photo.width()) * u64::from(photo.height()) * if photo.most() > 255 { 9 } else { 3 }
        }
        Input::Tensor(array) => tensor(array),
        _ => 0,
    }
}

fn sha256(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An image.
#[derive(Serialize, ToSchema)]
pub(crate) struct Image {
    id: String,
    /// The name of its file.
    name: String,
    /// Which image of the file it is.
    index: usize,
    /// Of a photo, upright, in pixels; null for a tensor, and for a file that cannot be read.
    width: Option<u32>,
    height: Option<u32>,
    /// The extents of a tensor; null for a photo.
    shape: Option<Vec<usize>>,
    /// What there is to beware of, a sentence each, once it was looked at.
    notes: Vec<String>,
}

impl Image {
    pub(crate) fn of(app: &App, held: &Held) -> Self {
        let About { size, shape, notes } = app.images.about(held);
        Image {
            id: held.id.clone(),
            name: held.name.clone(),
            index: held.index,
            width: size.map(|(width, _)| width),
            height: size.map(|(_, height)| height),
            shape,
            notes,
        }
    }
}

/// The images.
#[utoipa::path(get, operation_id = "list_images", path = "/api/images", responses((status = 200, description = "The images", body = Vec<Image>)))]
pub(crate) async fn list(State(app): State<App>) -> Result<Json<Vec<Image>>, Failure> {
    let shared = app.clone();
    let list = move |_: &_| Ok(shared.images.all().iter().map(|held| Image::of(&shared, held)).collect());
    Ok(Json(app.quick.run(list).await?))
}

/// Send an image: the bytes of a photo's file, or of a `.npy` file with a tensor, each row of which is an image.
#[utoipa::path(post, operation_id = "send_image", path = "/api/images", params(Named), request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, description = "The images of the file", body = Vec<Image>), (status = 413, description = "It is too large", body = Failed),
        (status = 422, description = "It is no image that can be read", body = Failed), (status = 507, description = "There is no room", body = Failed)))]
pub(crate) async fn upload(
    State(app): State<App>,
    Query(named): Query<Named>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Vec<Image>>), Failure> {
    let (bytes, shared) = (bytes?, app.clone());
    let add = move |_: &_| {
        let limits = &shared.options.limits;
        let room = limits.held_bytes.saturating_sub(shared.models.sent_bytes() + shared.images.sent_bytes());
        let full = || Failure::full("the server holds as much as it may already");
        if bytes.len() as u64 > room {
            return Err(full());
        }
        let decoded = Decoded { input: source::decode(&bytes)?, sha256: sha256(&[&bytes]) };
        let rows = rows(&decoded.input);
        if shared.images.all().len() + rows > limits.held {
            return Err(full());
        }
        let name = named.or("image");
        let file = sha256(&[name.as_bytes(), &bytes]);
        let all = Held::all(&file, &name, rows, &Content::Bytes(bytes));
        for image in &all {
            // All that there is to know is known by now.
            let _ = image.about.set(About::of(&decoded.input));
        }
        let size = self::bytes(&decoded.input);
        shared.images.decoded.get(&file, || Ok::<_, Failure>((decoded, size)))?;
        Ok(shared.images.add(all).iter().map(|held| Image::of(&shared, held)).collect())
    };
    Ok((StatusCode::CREATED, Json(app.quick.run(add).await?)))
}

/// Forget an image.
#[utoipa::path(delete, operation_id = "forget_image", path = "/api/images/{id}", params(("id" = String, Path, description = "The image's id")),
    responses((status = 204, description = "It is forgotten"), (status = 404, description = "There is none", body = Failed)))]
pub(crate) async fn remove(State(app): State<App>, Path(id): Path<String>) -> Result<StatusCode, Failure> {
    app.images.remove(&id)?;
    Ok(StatusCode::NO_CONTENT)
}

/// How large a photo is to be.
#[derive(Deserialize, IntoParams)]
pub(crate) struct Sized {
    /// The most pixels of its longer side; 1440 where nothing is said, 4096 at most.
    side: Option<u32>,
}

/// The photo, upright, as JPEG; small ones as PNG.
#[utoipa::path(get, operation_id = "get_photo", path = "/api/images/{id}/photo", params(("id" = String, Path, description = "The image's id"), Sized),
    responses((status = 200, description = "The photo", content((Vec<u8> = "image/jpeg"), (Vec<u8> = "image/png"))), (status = 404, description = "There is none", body = Failed),
        (status = 422, description = "It is no photo, or cannot be read", body = Failed)))]
pub(crate) async fn photo(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(sized): Query<Sized>,
) -> Result<Response, Failure> {
    let (held, shared) = (app.images.get(&id)?, app.clone());
    let draw = move |_: &_| {
        let decoded = shared.images.decoded(&held)?;
        match &decoded.input {
            Input::Photo(photo) => shown(photo, sized.side.unwrap_or(SIDE)),
            _ => Err(Failure::argument("a tensor has no photo")),
        }
    };
    let (kind, bytes) = app.quick.run(draw).await?;
    Ok(([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, KEPT)], bytes).into_response())
}

/// Small photos are written without loss: their pixels are meant to be seen.
const SMALL: u32 = 256;

/// A photo with a longer side of at most `side` pixels: its kind, and its bytes.
///
/// # Errors
/// A [`Failure`] for a side of none.
pub(crate) fn shown(photo: &Photo, side: u32) -> Result<(&'static str, Vec<u8>), Failure> {
    let side = side.clamp(1, MOST_SIDE);
    let longer = photo.width().max(photo.height());
    let scaled = if longer > side { Some(overlay::plain(photo, side).map_err(hirescam::Error::from)?) } else { None };
    let pixels = scaled.as_ref().unwrap_or(photo.rgb());
    if pixels.width().max(pixels.height()) <= SMALL {
        return Ok(("image/png", hirescam::sink::png(pixels)?));
    }
    let mut bytes = Vec::new();
    let written = JpegEncoder::new_with_quality(&mut bytes, 88).encode_image(pixels);
    written.map_err(|error| Failure::argument(format!("the photo cannot be shown: {error}")))?;
    Ok(("image/jpeg", bytes))
}
