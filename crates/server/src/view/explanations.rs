//! Explanations of images.

use crate::view::app::App;
use crate::view::events::{self, Progress, Teller, Told};
use crate::view::failure::{Asked, Failed, Failure, Problem};
use crate::view::images::{self, Decoded};
use crate::view::ready::Question;
use crate::view::work::Stop;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use hirescam::preprocess::Rect;
use hirescam::record::{Files, Mark, Origin, Record};
use hirescam::{Explained, Explainer, Explanation, Sample, Watch};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map as Fields, Value};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use utoipa::ToSchema;

/// How many of the best classes are told of each image.
const BEST: usize = 10;

/// More numbers than this no reply tells of an image.
const MOST_CELLS: usize = 1 << 24;

/// Which images are explained, by which network, and how.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImagesQuestion {
    /// The network's id.
    pub(crate) model: String,
    /// The images' ids.
    pub(crate) images: Vec<String>,
    /// What is explained and how. What is left out is as the server was started with.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub(crate) spec: Fields<String, Value>,
}

/// What came of each image, in their order.
#[derive(Serialize, ToSchema)]
pub(crate) struct Results {
    results: Vec<OfImage>,
}

/// What came of an image.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct OfImage {
    /// The image's id.
    image: String,
    /// The name of its file.
    name: String,
    /// Why there are no maps, where there are none.
    error: Option<Problem>,
    /// The best classes, the best first; empty where the scores are not one a class.
    classes: Vec<Class>,
    /// The maps: classes by rank, of each the methods, of each of these the layers.
    maps: Vec<Map>,
}

/// The score of a class.
#[derive(Clone, Serialize, ToSchema)]
struct Class {
    class: usize,
    label: Option<String>,
    score: f64,
    probability: Option<f64>,
}

/// A map.
#[derive(Clone, Serialize, ToSchema)]
struct Map {
    /// All that is known of it: a record, as `hirescam explain` writes it.
    #[schema(value_type = Object)]
    record: Record,
    /// Its extents.
    shape: Vec<usize>,
    /// Its values by rows: signed, in units of the score.
    values: Vec<f32>,
    /// The rows and columns of the image as it came to the network; null where that is no picture.
    image: Option<[usize; 2]>,
    /// Which part of the upright photo the network saw; null for a tensor. The cells cover it evenly.
    view: Option<View>,
    region: Region,
    /// What is proven and found, a sentence each.
    words: Vec<String>,
    /// What the values are: the title of a colour bar.
    unit: String,
}

/// What may be said of the sum of some cells.
#[derive(Clone, Serialize, ToSchema)]
struct Region {
    /// A sentence with {cells}, {sum}, {score} and {share} to be filled in; the sum of the cells is divided by the record's `scale`.
    template: String,
    /// Whether the sum is what these places contribute to the score.
    exact: bool,
}

/// A rectangle on the upright photo, in its pixels.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct View {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

impl From<Rect> for View {
    fn from(Rect { x, y, width, height }: Rect) -> Self {
        View { x, y, width, height }
    }
}

impl Map {
    fn of(e: &Explanation, held: &images::Held, sha256: &str) -> Self {
        let origin = Origin::new(&held.path(), Some(sha256), Some(held.index));
        Map {
            record: Record::map(e, origin, Files::default(), Mark::default()),
            shape: e.map.shape().to_vec(),
            values: e.map.iter().copied().collect(),
            image: e.image_sides(),
            view: e.seen().map(|(_, view)| view.into()),
            region: Region { template: e.region_in_words(), exact: e.is_exact() },
            words: e.in_words(),
            unit: e.unit(),
        }
    }
}

impl OfImage {
    /// Of what was explained.
    pub(crate) fn of(held: &images::Held, explained: &Explained, sha256: &str) -> Self {
        let maps = explained.maps();
        let cells: usize = maps.iter().map(|e| e.map.len()).sum();
        if cells > MOST_CELLS {
            let many =
                format!("its {} maps hold {cells} numbers, and a reply holds {MOST_CELLS} of an image", maps.len());
            return OfImage::failed(
                held,
                Failure::argument(many).with("ask for fewer classes, methods or layers at once"),
            );
        }
        let class = |of: hirescam::explanation::ClassScore| Class {
            class: of.class,
            label: of.label,
            score: of.score,
            probability: of.probability,
        };
        OfImage {
            image: held.id.clone(),
            name: held.name.clone(),
            error: None,
            classes: explained.first().map_or(Vec::new(), |e| e.best(BEST).into_iter().map(class).collect()),
            maps: maps.iter().map(|e| Map::of(e, held, sha256)).collect(),
        }
    }

    fn failed(held: &images::Held, failure: Failure) -> Self {
        OfImage {
            image: held.id.clone(),
            name: held.name.clone(),
            error: Some(failure.problem),
            classes: Vec::new(),
            maps: Vec::new(),
        }
    }
}

/// An image that was asked for, and what of it was read.
pub(crate) struct Read {
    pub(crate) held: images::Held,
    pub(crate) decoded: Result<Arc<Decoded>, Failure>,
}

impl App {
    /// The images by their ids.
    ///
    /// # Errors
    /// A [`Failure`] for one that is not there, for too many, and for none.
    pub(crate) fn held(&self, ids: &[String]) -> Result<Vec<images::Held>, Failure> {
        let most = self.options.limits.images;
        match ids.len() {
            0 => Err(Failure::argument("no image is asked for")),
            n if n > most => {
                Err(Failure::argument(format!("{n} images are asked for, and {most} are explained at once")))
            }
            _ => ids.iter().map(|id| self.images.get(id)).collect(),
        }
    }

    /// What is in the images' files, read on all cores.
    pub(crate) fn read(&self, held: &[images::Held]) -> Vec<Read> {
        let read = |held: &images::Held| Read {
            held: held.clone(),
            decoded: self.images.decoded(held).map_err(Failure::from),
        };
        held.par_iter().map(read).collect()
    }
}

/// What is explained of images by one question: kept, where it was explained before.
pub(crate) fn explained(
    app: &App,
    question: &Question,
    explainer: &Explainer,
    read: &[Read],
    watch: &mut Watch,
) -> Vec<Result<Arc<Explained>, Failure>> {
    let key = |held: &images::Held| format!("{} {}", question.key, held.id);
    let before: Vec<_> = read.iter().map(|read| app.ready.explained.peek(&key(&read.held))).collect();
    let mut samples = Vec::new();
    for (Read { held, decoded }, before) in read.iter().zip(&before) {
        if let (Ok(decoded), None) = (decoded, before) {
            samples.push(Sample::new(held.name.clone(), held.input(decoded, explainer.takes_all_rows())));
        }
    }
    let mut made = explainer.explain(&samples, watch).into_iter();
    let one = |(Read { held, decoded }, before): (&Read, Option<Arc<Explained>>)| match (decoded, before) {
        (Err(failure), _) => Err(failure.clone()),
        (Ok(_), Some(before)) => Ok(before),
        (Ok(_), None) => {
            let explained = made.next().unwrap_or(Err(hirescam::Error::Cancelled))?;
            let bytes = bytes(&explained);
            app.ready.explained.get(&key(held), || Ok((explained, bytes)))
        }
    };
    read.iter().zip(before).map(one).collect()
}

/// What is kept of an image that was explained: its maps, and the photo.
fn bytes(explained: &Explained) -> u64 {
    let photo = explained
        .first()
        .and_then(|e| e.photo())
        .map_or(0, |photo| 3 * u64::from(photo.width()) * u64::from(photo.height()));
    photo + explained.maps().iter().map(|e| 4 * e.map.len() as u64).sum::<u64>()
}

/// Explains images a few at a time; `each` is told what came of each.
fn explain_all(
    app: &App,
    question: &Question,
    held: &[images::Held],
    stop: &Stop,
    teller: Option<&Teller>,
    each: &mut dyn FnMut(OfImage),
) -> Result<(), Failure> {
    let tell = |done: usize, total: usize, what: String| {
        teller.iter().for_each(|teller| teller.tell("progress", &Progress { done, total, what: what.clone() }));
    };
    tell(0, held.len(), "getting the network ready".into());
    let explainer = question.explainer(app)?;
    let several = explainer.takes_several_runs();
    let mut done = 0;
    for part in held.chunks(explainer.together()) {
        let read = app.read(part);
        let mut told = 0;
        let progress = |p: hirescam::Progress| {
            // Hundreds of passes a second need not all be told.
            let step = p.of.div_ceil(100).max(1);
            if several && (p.done / step != told || p.done == p.of) {
                told = p.done / step;
                tell(p.done, p.of, format!("image {} of {}: forward passes", done + 1, held.len()));
            }
        };
        let made = explained(app, question, &explainer, &read, &mut Watch::new(progress).stopped_by(stop));
        if stop.load(Ordering::Relaxed) {
            return Err(hirescam::Error::Cancelled.into());
        }
        for (Read { held, decoded }, made) in read.iter().zip(made) {
            let both = made.and_then(|explained| Ok((explained, decoded.clone()?)));
            each(match both {
                Ok((explained, decoded)) => OfImage::of(held, &explained, &decoded.sha256),
                Err(failure) => OfImage::failed(held, failure),
            });
        }
        done += part.len();
        tell(done, held.len(), "images explained".into());
    }
    Ok(())
}

/// Explain images. With `Accept: text/event-stream` the reply is told bit by bit: events `progress` (Progress), `result` (OfImage) for each
/// image, then `end`, or `error` (Failed). Closing the connection stops the work.
#[utoipa::path(post, path = "/api/explanations", request_body = ImagesQuestion,
    responses((status = 200, description = "What came of each image", content((Results = "application/json"), (Told = "text/event-stream"))),
        (status = 404, description = "There is no such network or image", body = Failed), (status = 422, description = "The network cannot be explained so", body = Failed),
        (status = 503, description = "Too many wait already", body = Failed), (status = 504, description = "It took too long", body = Failed)))]
pub(crate) async fn explain(
    State(app): State<App>,
    headers: HeaderMap,
    Asked(asked): Asked<ImagesQuestion>,
) -> Result<Response, Failure> {
    let question = Question::new(&app, &asked.model, &asked.spec)?;
    let (held, shared) = (app.held(&asked.images)?, app.clone());
    let work = move |stop: &Stop, teller: Option<&Teller>, each: &mut dyn FnMut(_)| {
        explain_all(&shared, &question, &held, stop, teller, each)
    };
    events::results(&app, &headers, work, |results| Results { results }).await
}
