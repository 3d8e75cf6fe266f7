//! What one takes along: pictures, numbers, the explaining model, the view itself, and the command that makes the same.

use crate::view::about::About;
use crate::view::app::App;
use crate::view::explanations::{OfImage, explained};
use crate::view::failure::{Asked, Failed, Failure};
use crate::view::images::{self, Image};
use crate::view::layers::Layer;
use crate::view::models::Model;
use crate::view::page;
use crate::view::ready::Question;
use crate::view::work::Stop;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use hirescam::overlay::Style;
use hirescam::record::{Files, Mark, Origin, Record};
use hirescam::spec::{CommandLine, quoted};
use hirescam::{Explanation, Input, Spec, Watch, html, sink};
use serde::{Deserialize, Serialize};
use serde_json::{Map as Fields, Value, json};
use std::fmt::Write;
use utoipa::ToSchema;

/// What is to be taken along.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// The picture with colour bar and caption.
    Png,
    /// The same in vectors.
    Svg,
    /// The raw map, for NumPy.
    Npy,
    /// All that is known of the map, as JSON.
    Record,
    /// The network with the map as one more output.
    Onnx,
    /// One file that shows this view without the server.
    Html,
    /// The command that makes the same.
    Command,
}

/// What is taken along, and of which map.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportQuestion {
    kind: Kind,
    /// The network's id.
    model: String,
    /// The image's id.
    image: String,
    /// What is explained and how.
    #[serde(default)]
    #[schema(value_type = Object)]
    spec: Fields<String, Value>,
    /// Which of the explained classes, from 0.
    #[serde(default)]
    rank: usize,
    /// The method; the first where none is named.
    method: Option<String>,
    /// The layer; the first where none is named.
    layer: Option<String>,
    /// How it looks. What is not known here is put into the offline page as it is.
    #[serde(default)]
    #[schema(value_type = Look)]
    look: Fields<String, Value>,
}

/// How it looks.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
pub(crate) struct Look {
    /// How much of the photo the strongest colours cover, from 0 to 1.
    opacity: Option<f32>,
    /// Whether negative evidence is shown, too.
    signed: Option<bool>,
    /// The colours, by name.
    colormap: Option<String>,
    /// Whether the map's cells are blended into one another.
    smooth: Option<bool>,
    /// Whether they are shown as they are; the other way to say it.
    cells: Option<bool>,
}

impl Look {
    /// The spec of pictures that look so.
    fn on(&self, spec: &Spec) -> Spec {
        let mut spec = spec.clone();
        let picture = &mut spec.picture;
        picture.opacity = self.opacity.unwrap_or(picture.opacity);
        picture.signed = self.signed.unwrap_or(picture.signed);
        picture.colormap = self.colormap.clone().or(picture.colormap.take());
        picture.sharp = self.cells.or(self.smooth.map(|smooth| !smooth)).unwrap_or(picture.sharp);
        spec
    }
}

/// What is taken along: the ending of its name, its kind, its bytes.
type Export = (&'static str, &'static str, Vec<u8>);

/// What one takes along: PNG, SVG, NPY, record, explaining model, offline page or command line.
#[utoipa::path(post, path = "/api/exports", request_body = ExportQuestion,
    responses((status = 200, description = "The file; its name stands in Content-Disposition", content((Vec<u8> = "application/octet-stream"), (Vec<u8> = "image/png"), (String = "image/svg+xml"),
            (Object = "application/json"), (String = "text/html"), (String = "text/plain"))),
        (status = 404, description = "There is no such network, image or map", body = Failed), (status = 422, description = "It cannot be made", body = Failed)))]
pub(crate) async fn export(State(app): State<App>, Asked(asked): Asked<ExportQuestion>) -> Result<Response, Failure> {
    let mut question = Question::new(&app, &asked.model, &asked.spec)?;
    let look: Look = serde_json::from_value(Value::Object(asked.look.clone()))
        .map_err(|error| Failure::argument(format!("`look`: {error}")))?;
    question.spec = look.on(&question.spec);
    let (held, shared) = (app.images.get(&asked.image)?, app.clone());
    let name = format!("{}-{}", stem(&held.name), question.model.stem());
    let make = move |stop: &Stop| make(&shared, &question, &held, &asked, stop);
    let (ending, kind, bytes) = app.work.run(make).await?;
    let disposition = format!("attachment; filename=\"{}.{ending}\"", plain(&name));
    let disposition = HeaderValue::from_str(&disposition).map_err(|_| Failure::broken())?;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(kind)), (header::CONTENT_DISPOSITION, disposition)], bytes)
        .into_response())
}

/// The name without what it ends in.
fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// A name that every system takes.
fn plain(name: &str) -> String {
    name.chars().take(120).map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect()
}

fn make(
    app: &App,
    question: &Question,
    held: &images::Held,
    asked: &ExportQuestion,
    stop: &Stop,
) -> Result<Export, Failure> {
    let text = |text: String| text.into_bytes();
    match asked.kind {
        Kind::Onnx => return Ok(("onnx", "application/octet-stream", explaining_model(question, asked)?)),
        Kind::Command => return Ok(("txt", "text/plain; charset=utf-8", text(command(question, held)?))),
        _ => {}
    }
    let read = app.read(std::slice::from_ref(held));
    let explainer = question.explainer(app)?;
    let made = explained(app, question, &explainer, &read, &mut Watch::default().stopped_by(stop)).pop();
    let explained = made.unwrap_or_else(|| Err(Failure::broken()))?;
    let decoded = app.images.decoded(held)?;
    if asked.kind == Kind::Html {
        let result = OfImage::of(held, &explained, &decoded.sha256);
        return Ok((
            "html",
            "text/html; charset=utf-8",
            text(offline(app, question, held, &decoded.input, &result, asked)?),
        ));
    }
    let e = chosen(explained.classes().nth(asked.rank).unwrap_or_default(), asked)?;
    let picture = &question.spec.picture;
    let style = || Ok::<_, Failure>(Style { title: e.unit(), caption: e.caption(), ..picture.style()? });
    Ok(match asked.kind {
        Kind::Png => ("png", "image/png", sink::png(&e.overlay(picture.signed, &style()?)?)?),
        Kind::Svg => ("svg", "image/svg+xml", text(e.svg(picture.signed, &style()?)?)),
        Kind::Npy => ("npy", "application/octet-stream", sink::npy(&e.map)?),
        _ => {
            let origin = Origin::new(&held.path(), Some(&decoded.sha256), Some(held.index));
            ("json", "application/json", Record::map(e, origin, Files::default(), Mark::default()).to_json()?)
        }
    })
}

/// The map of a class that is meant.
fn chosen<'e>(of_class: &'e [Explanation], asked: &ExportQuestion) -> Result<&'e Explanation, Failure> {
    let is_meant = |e: &&Explanation| {
        asked.method.as_ref().is_none_or(|method| e.method().name == method)
            && asked.layer.as_ref().is_none_or(|layer| e.layer() == layer)
    };
    of_class.iter().find(is_meant).ok_or_else(|| {
        Failure::new(
            axum::http::StatusCode::NOT_FOUND,
            "not-found",
            "no such map comes of this spec: of that rank, method and layer",
        )
    })
}

/// The explaining model, for the one method and layer that is meant.
fn explaining_model(question: &Question, asked: &ExportQuestion) -> Result<Vec<u8>, Failure> {
    let network = &question.model.network;
    if !network.weights().is_empty() {
        return Err(Failure::argument(
            "the network's weights lie in files of their own, which belong beside the explaining model",
        )
        .with("hirescam compile MODEL -o OUT.onnx copies them"));
    }
    let mut spec = question.spec.clone();
    if let Some(method) = &asked.method {
        spec.method = method.clone();
    }
    if let Some(layer) = &asked.layer {
        spec.layers = vec![layer.clone()];
    }
    Ok(network.explaining_model(&spec, None)?.bytes)
}

/// The command that makes the same maps and pictures, with the files that it needs.
fn command(question: &Question, held: &images::Held) -> Result<String, Failure> {
    let CommandLine { words, files, .. } = question.spec.command_line()?;
    let network = &question.model.network;
    let path = match network.path().as_os_str().is_empty() {
        true => question.model.name.clone(),
        false => network.path().to_string_lossy().into_owned(),
    };
    let mut files = files;
    let mut words = words;
    if question.model.labels.is_some()
        && question.spec.labels.is_none()
        && let Some(labels) = network.labels()?
    {
        files.push(("labels.json".into(), json!(labels.names()).to_string()));
        words.extend(["--labels".into(), "labels.json".into()]);
    }
    let mut text = String::new();
    for (name, content) in &files {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "printf '%s\\n' {} > {name}", quoted(content));
    }
    let places = [path, held.path().to_string_lossy().into_owned()];
    // A name that begins like an option is none behind `./`.
    let places = places.map(|path| if path.starts_with('-') { format!("./{path}") } else { path });
    let all = ["hirescam", "explain"].map(str::to_owned).into_iter().chain(places).chain(words);
    let line = all.map(|word| quoted(&word)).collect::<Vec<_>>().join(" ");
    let _ = writeln!(text, "{line}");
    Ok(text)
}

/// What the page shows without a server: what the API would answer.
#[derive(Serialize)]
struct Offline<'a> {
    api: About,
    model: Model,
    layers: Vec<Layer>,
    image: Image,
    /// The photo as an address that holds it.
    photo: Option<String>,
    results: [&'a OfImage; 1],
    spec: &'a Fields<String, Value>,
    look: &'a Fields<String, Value>,
    rank: usize,
    method: &'a Option<String>,
    layer: &'a Option<String>,
}

/// The page with all that it shows, in one file.
fn offline(
    app: &App,
    question: &Question,
    held: &images::Held,
    input: &Input,
    result: &OfImage,
    asked: &ExportQuestion,
) -> Result<String, Failure> {
    /// Pixels of the photo's longer side.
    const SIDE: u32 = 1440;
    let photo = match input {
        Input::Photo(photo) => {
            let (kind, bytes) = images::shown(photo, SIDE)?;
            Some(format!("data:{kind};base64,{}", html::base64(&bytes)))
        }
        _ => None,
    };
    let layers = question.model.network.layers(&question.spec, false)?;
    let data = Offline {
        api: About::of(app)?,
        model: Model::of(&question.model, &question.spec),
        layers: layers.rows.into_iter().map(Layer::from).collect(),
        image: Image::of(app, held),
        photo,
        results: [result],
        spec: &asked.spec,
        look: &asked.look,
        rank: asked.rank,
        method: &asked.method,
        layer: &asked.layer,
    };
    let data = serde_json::to_string(&data).map_err(|error| Failure::argument(error.to_string()))?;
    page::offline(&data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_hold_nothing_that_ends_a_header() {
        assert_eq!(plain("a \"b\"\r\nSet-Cookie: x/../é"), "a__b___Set-Cookie__x_..__");
        assert_eq!((stem("a.b.png"), stem("a")), ("a.b", "a"));
    }
}
