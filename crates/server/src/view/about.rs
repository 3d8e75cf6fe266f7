//! What the server is, and what is there from the beginning.

use crate::view::app::App;
use crate::view::failure::Failure;
use axum::Json;
use axum::extract::State;
use hirescam::colormap::{COLORMAPS, ColormapKind};
use hirescam::methods::{self, AnyMethod};
use hirescam::preprocess::{PRESETS, Preprocess};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// What the server is.
#[derive(Serialize, ToSchema)]
pub(crate) struct About {
    version: &'static str,
    /// Stands for this run of the server: another one knows nothing of what was sent to this.
    instance: String,
    /// What runs networks.
    engine: String,
    limits: ServerLimits,
    methods: Vec<Method>,
    colormaps: Vec<Colormap>,
    /// Ways to prepare photos that have a name.
    presets: Vec<Preset>,
    opened: Opened,
}

/// How much the server takes.
#[derive(Serialize, ToSchema)]
struct ServerLimits {
    /// Bytes of a network.
    upload_bytes: usize,
    /// Bytes of an image.
    image_bytes: usize,
    /// Images of one request.
    images: usize,
}

/// A way to make maps.
#[derive(Serialize, ToSchema)]
struct Method {
    name: &'static str,
    title: &'static str,
    /// Whether one run of the network is enough, which it shares with others.
    one_run: bool,
    /// What is proven of its maps.
    what: String,
    /// The formula of the raw map.
    formula: &'static str,
    /// Forward passes for an image.
    cost: &'static str,
    /// Whether its maps are in units of the score, so that they can be compared.
    scored: bool,
    /// Author, year, where.
    source: &'static str,
}

/// Colours for values from 0 to 1.
#[derive(Serialize, ToSchema)]
struct Colormap {
    name: &'static str,
    /// `sequential` for rectified maps, `diverging` for signed ones.
    kind: &'static str,
    /// 256 of them, as `#rrggbb`.
    colours: Vec<String>,
}

/// A way to prepare photos.
#[derive(Serialize, ToSchema)]
struct Preset {
    name: &'static str,
    /// What is done, a line each.
    lines: Vec<String>,
    /// The same as a spec has it.
    #[schema(value_type = Object)]
    steps: Preprocess,
    /// Whose it is.
    source: &'static str,
}

/// What the command line gave.
#[derive(Serialize, ToSchema)]
struct Opened {
    /// Networks, by id.
    models: Vec<String>,
    /// Images, by id.
    images: Vec<String>,
    /// What every spec begins with, where it is not as when nothing is said.
    #[schema(value_type = Object)]
    spec: Map<String, Value>,
}

/// What the server is, and what is there from the beginning.
#[utoipa::path(get, path = "/api", responses((status = 200, description = "What the server is", body = About)))]
pub(crate) async fn about(State(app): State<App>) -> Result<Json<About>, Failure> {
    Ok(Json(About::of(&app)?))
}

impl About {
    /// Of this server.
    ///
    /// # Errors
    /// A [`Failure`] where the spec cannot be written.
    pub(crate) fn of(app: &App) -> Result<Self, Failure> {
        let (spec, limits) = (&app.options.spec, &app.options.limits);
        let nothing = hirescam::Spec::default().words()?;
        let method = |row: hirescam::core::cam::list::MethodRow| Method {
            one_run: methods::method(row.name).is_ok_and(|method| matches!(method, AnyMethod::OneRun(_))),
            name: row.name,
            title: row.title,
            what: row.proven.into_owned(),
            formula: row.formula,
            cost: row.cost,
            scored: row.scored,
            source: row.source,
        };
        let colormap = |map: &hirescam::colormap::Colormap| Colormap {
            name: map.name,
            kind: if map.kind == ColormapKind::Diverging { "diverging" } else { "sequential" },
            colours: (0..256u16)
                .map(|i| {
                    let [r, g, b] = map.color((f32::from(i) + 0.5) / 256.0);
                    format!("#{r:02x}{g:02x}{b:02x}")
                })
                .collect(),
        };
        Ok(About {
            version: env!("CARGO_PKG_VERSION"),
            instance: app.instance.clone(),
            engine: spec.engine.name.clone(),
            limits: ServerLimits {
                upload_bytes: limits.model_bytes,
                image_bytes: limits.image_bytes,
                images: limits.images,
            },
            methods: methods::rows().into_iter().map(method).collect(),
            colormaps: COLORMAPS.iter().map(colormap).collect(),
            presets: PRESETS
                .iter()
                .map(|p| Preset {
                    name: p.name,
                    lines: p.preprocess.lines(),
                    steps: p.preprocess.clone(),
                    source: p.source,
                })
                .collect(),
            opened: Opened {
                models: app.models.all().into_iter().map(|model| model.id).collect(),
                images: app.images.all().into_iter().map(|image| image.id).collect(),
                spec: spec.words()?.into_iter().filter(|(name, value)| nothing.get(name) != Some(value)).collect(),
            },
        })
    }
}

/// That the server answers.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// Stands for this run of the server.
    instance: String,
}

/// Whether the server answers.
#[utoipa::path(get, path = "/api/health", responses((status = 200, description = "It does", body = Health)))]
pub(crate) async fn health(State(app): State<App>) -> Json<Health> {
    Json(Health { instance: app.instance.clone() })
}
