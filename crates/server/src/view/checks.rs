//! How far maps can be trusted on a network, and on images.

use crate::view::app::App;
use crate::view::events::{self, Progress, Told};
use crate::view::explanations::ImagesQuestion;
use crate::view::failure::{Asked, Failed, Failure};
use crate::view::images;
use crate::view::ready::Question;
use axum::extract::State;
use axum::response::Response;
use hirescam::check::Step;
use hirescam::record::Record;
use serde::Serialize;
use utoipa::ToSchema;

/// What was found.
#[derive(Serialize, ToSchema)]
pub(crate) struct Checked {
    /// All numbers: a record, as `hirescam check --json` prints it.
    #[schema(value_type = Object)]
    report: Record,
    /// The same as text, a line each.
    words: Vec<String>,
    /// The same as a page that holds all it shows.
    html: String,
}

/// Check a network on images (`check` in the spec); without any, only what is proven is reported. The reply is told bit by bit: events
/// `progress` (Progress), then `report` (Checked) and `end`, or `error` (Failed). Closing the connection stops the work.
#[utoipa::path(post, path = "/api/checks", request_body = ImagesQuestion,
    responses((status = 200, description = "How far it is, and the report", content((Told = "text/event-stream"))),
        (status = 404, description = "There is no such network or image", body = Failed), (status = 422, description = "The spec does not fit", body = Failed)))]
pub(crate) async fn check(State(app): State<App>, Asked(asked): Asked<ImagesQuestion>) -> Result<Response, Failure> {
    let question = Question::new(&app, &asked.model, &asked.spec)?;
    let held = if asked.images.is_empty() { Vec::new() } else { app.held(&asked.images)? };
    let shared = app.clone();
    Ok(events::told(&app, move |teller, stop| {
        let input = |held: &images::Held| {
            let read = shared.images.decoded(held).map_err(|error| error.to_string());
            (held.name.clone(), read.map(|decoded| held.input(&decoded, false)))
        };
        let mut watch = |step: Step| {
            teller.tell("progress", &Progress { done: step.done, total: step.of, what: step.what.to_owned() });
        };
        let report =
            question.model.network.check_until(&question.spec, &mut held.iter().map(input), &mut watch, stop)?;
        let (words, html) = (report.lines(), report.html());
        teller.tell("report", &Checked { report: Record::Check(Box::new(report)), words, html });
        Ok(())
    }))
}
