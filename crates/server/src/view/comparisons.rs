//! Several methods side by side, with the numbers of each.

use crate::view::app::App;
use crate::view::events::{self, Progress, Teller, Told};
use crate::view::explanations::{ImagesQuestion, Read};
use crate::view::failure::{Asked, Failed, Failure, Problem};
use crate::view::images;
use crate::view::ready::Question;
use crate::view::work::Stop;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use hirescam::Sample;
use hirescam::comparison::Comparison;
use hirescam::record::{Mark, Origin, Record};
use serde::Serialize;
use std::sync::atomic::Ordering;
use utoipa::ToSchema;

/// What came of each image, in their order.
#[derive(Serialize, ToSchema)]
pub(crate) struct Comparisons {
    results: Vec<Compared>,
}

/// What came of an image.
#[derive(Serialize, ToSchema)]
pub(crate) struct Compared {
    /// The image's id.
    image: String,
    /// The name of its file.
    name: String,
    /// Why there is none, where there is none.
    error: Option<Problem>,
    /// All that is known: a record, as `hirescam compare` writes it.
    #[schema(value_type = Object)]
    record: Option<Record>,
    /// The methods, in the order in which they were asked for.
    table: Vec<ComparedMethod>,
    /// The same table as the command prints it, a line each, and which maps must be the same.
    words: Vec<String>,
}

/// A method among others.
#[derive(Serialize, ToSchema)]
struct ComparedMethod {
    method: String,
    title: String,
    layer: String,
    verdict: String,
    /// Σ map; null where the cells are not meant to add up.
    sum: Option<f64>,
    /// b.
    bias: Option<f64>,
    /// Where it is a test; null where b is made of it.
    residual: Option<f64>,
    /// The share of Σ |map| where HiResCAM is zero or negative.
    outside: Option<f64>,
    /// The share where HiResCAM is 0.
    unused: Option<f64>,
}

impl Compared {
    fn of(held: &images::Held, made: Result<(Comparison, &str), Failure>) -> Self {
        let (image, name) = (held.id.clone(), held.name.clone());
        let (comparison, sha256) = match made {
            Ok(made) => made,
            Err(Failure { problem, .. }) => {
                return Compared {
                    image,
                    name,
                    error: Some(problem),
                    record: None,
                    table: Vec::new(),
                    words: Vec::new(),
                };
            }
        };
        let origin = Origin::new(&held.path(), Some(sha256), Some(held.index));
        let row = |m: &hirescam::comparison::Compared| {
            let e = &m.explanation;
            ComparedMethod {
                method: e.method().name.to_owned(),
                title: e.method().title.to_owned(),
                layer: e.layer().to_owned(),
                verdict: e.certificate().verdict.to_string(),
                sum: e.residual.map(|_| e.sum),
                bias: e.bias,
                residual: e.tested(),
                outside: m.outside,
                unused: m.unused,
            }
        };
        Compared {
            image,
            name,
            error: None,
            table: comparison.methods.iter().map(row).collect(),
            words: comparison.in_words(),
            record: Some(Record::comparison(&comparison, origin, Err("none was asked for".into()), Mark::default())),
        }
    }
}

/// Compares a few images at a time; `each` is told what came of each.
fn compare_all(
    app: &App,
    question: &Question,
    held: &[images::Held],
    stop: &Stop,
    teller: Option<&Teller>,
    each: &mut dyn FnMut(Compared),
) -> Result<(), Failure> {
    let comparer = (*question.comparer(app)?).clone().stopped_by(stop.clone());
    let mut done = 0;
    for part in held.chunks(comparer.together()) {
        let read = app.read(part);
        let good = read.iter().filter_map(|Read { held, decoded }| Some((held, decoded.as_ref().ok()?)));
        let samples: Vec<Sample> =
            good.map(|(held, decoded)| Sample::new(held.name.clone(), held.input(decoded, false))).collect();
        let mut watch = |method: &str, p: hirescam::Progress| {
            let what = format!("image {} of {}: {method}", done + p.sample + 1, held.len());
            teller.iter().for_each(|teller| {
                teller.tell("progress", &Progress { done: p.done, total: p.of, what: what.clone() })
            });
        };
        let mut made = comparer.compare(&samples, &mut watch).into_iter();
        if stop.load(Ordering::Relaxed) {
            return Err(hirescam::Error::Cancelled.into());
        }
        for Read { held, decoded } in &read {
            let made = match decoded {
                Ok(decoded) => {
                    let made = made.next().unwrap_or(Err(hirescam::Error::Cancelled));
                    made.map(|made| (made, decoded.sha256.as_str())).map_err(Failure::from)
                }
                Err(failure) => Err(failure.clone()),
            };
            each(Compared::of(held, made));
        }
        done += part.len();
    }
    Ok(())
}

/// Compare methods (`compare` in the spec) on images. With `Accept: text/event-stream` the reply is told bit by bit, as explanations are.
#[utoipa::path(post, path = "/api/comparisons", request_body = ImagesQuestion,
    responses((status = 200, description = "What came of each image", content((Comparisons = "application/json"), (Told = "text/event-stream"))),
        (status = 404, description = "There is no such network or image", body = Failed), (status = 422, description = "The methods cannot be compared so", body = Failed),
        (status = 503, description = "Too many wait already", body = Failed), (status = 504, description = "It took too long", body = Failed)))]
pub(crate) async fn compare(
    State(app): State<App>,
    headers: HeaderMap,
    Asked(asked): Asked<ImagesQuestion>,
) -> Result<Response, Failure> {
    let question = Question::new(&app, &asked.model, &asked.spec)?;
    let (held, shared) = (app.held(&asked.images)?, app.clone());
    let work = move |stop: &Stop, teller: Option<&Teller>, each: &mut dyn FnMut(_)| {
        compare_all(&shared, &question, &held, stop, teller, each)
    };
    events::results(&app, &headers, work, |results| Comparisons { results }).await
}
