//! Replies that say how far the work is: server-sent events.

use crate::view::app::App;
use crate::view::failure::{Failed, Failure};
use crate::view::work::Stop;
use axum::Json;
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;
use utoipa::ToSchema;

/// How often something is said where there is nothing to say, so that nobody takes the connection for dead.
const ALIVE: Duration = Duration::from_secs(10);

/// How far the work is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Progress {
    /// How many steps are done.
    pub(crate) done: usize,
    /// How many there are, as far as it is known.
    pub(crate) total: usize,
    /// What is done.
    pub(crate) what: String,
}

/// An event of a reply that is told bit by bit.
#[derive(ToSchema)]
#[allow(dead_code)] // It describes what is sent.
pub(crate) struct Told {
    /// What it tells: `progress`, `result`, `report`, `end` or `error`.
    event: String,
    /// The data, as JSON.
    data: String,
}

/// Tells whoever listens what there is.
pub(crate) struct Teller {
    events: mpsc::Sender<Event>,
    stop: Stop,
}

impl Teller {
    /// An event with its data as JSON. Where nobody listens any more, the work is stopped.
    pub(crate) fn tell(&self, name: &str, data: &impl Serialize) {
        let event = Event::default().event(name).json_data(data);
        if event.ok().is_none_or(|event| self.events.blocking_send(event).is_err()) {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

/// The reply of work that gives one result after the other: told bit by bit where that is wanted, else `whole`.
pub(crate) async fn results<T: Serialize + Send + 'static, R: Serialize>(
    app: &App,
    headers: &HeaderMap,
    work: impl FnOnce(&Stop, Option<&Teller>, &mut dyn FnMut(T)) -> Result<(), Failure> + Send + 'static,
    whole: fn(Vec<T>) -> R,
) -> Result<Response, Failure> {
    if are_wanted(headers) {
        return Ok(told(app, move |teller, stop| {
            work(stop, Some(teller), &mut |result| teller.tell("result", &result))
        }));
    }
    let all = move |stop: &Stop| {
        let mut results = Vec::new();
        work(stop, None, &mut |result| results.push(result))?;
        Ok(results)
    };
    Ok(Json(whole(app.work.run(all).await?)).into_response())
}

/// Whether the reply is to be told bit by bit.
fn are_wanted(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accept.split(',').any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == "text/event-stream"))
}

/// Ends the work when it is dropped.
struct Ends(tokio::task::AbortHandle);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What `work` tells, then `error` with what went wrong, or `end`.
pub(crate) fn told(app: &App, work: impl FnOnce(&Teller, &Stop) -> Result<(), Failure> + Send + 'static) -> Response {
    let (events, heard) = mpsc::channel(16);
    let last = events.clone();
    let done = app.work.run_told(move |stop| work(&Teller { events, stop: stop.clone() }, stop));
    let task = tokio::spawn(async move {
        let event = match done.await {
            Ok(()) => Event::default().event("end").data("{}"),
            Err(failure) => {
                let event = Event::default().event("error");
                event.json_data(Failed::from(failure)).unwrap_or_default()
            }
        };
        // Where nobody listens any more there is nobody to tell.
        let _ = last.send(event).await;
    });
    let ends = Ends(task.abort_handle());
    let events = stream::unfold((heard, ends), |(mut heard, ends)| async move {
        let event = heard.recv().await?;
        Some((Ok::<_, Infallible>(event), (heard, ends)))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE)).into_response()
}
