//! The layers of a network that one can explain at.

use crate::view::app::App;
use crate::view::failure::{Asked, Failed, Failure};
use crate::view::ready::Question;
use axum::Json;
use axum::extract::{Path, State};
use hirescam::layers::LayerRow;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A layer, and what is proven of maps there.
#[derive(Serialize, ToSchema)]
pub(crate) struct Layer {
    /// The name of its tensor.
    name: String,
    /// The operator that makes it; null for the image itself.
    operator: Option<String>,
    /// Its extents; null for those that are open.
    shape: Vec<Option<usize>>,
    /// The rows and columns of a map there; null where a map is no picture.
    grid: Option<[usize; 2]>,
    /// What is proven: `exact`, `locally-linear` or `gradient-only`; null where it cannot be explained.
    verdict: Option<String>,
    /// Whether the gradient is the same at all places, so that HiResCAM and Grad-CAM are one map.
    uniform: Option<bool>,
    /// The node where a path around the layer joins.
    bypass: Option<String>,
    /// The node that keeps it from a better verdict.
    reason: Option<String>,
    /// Whether it is the layer that is taken when none is named.
    recommended: bool,
    /// Why it cannot be explained, where it cannot.
    why: Option<String>,
    /// What there is to say of it, a sentence each.
    words: Vec<String>,
    /// What part of the image its cells are computed from, where that can be followed.
    receptive_field: Option<ReceptiveField>,
}

/// The theoretical receptive field: what lies in it can move a cell, and need not. In pixels of the network's input.
#[derive(Serialize, ToSchema)]
struct ReceptiveField {
    /// Along each axis of the image, for each row of cells: the first pixel that it sees, and the first behind the last.
    sides: Vec<Vec<[usize; 2]>>,
    /// The node by which each cell also reads from far across; null where cells see their rectangle alone.
    whole: Option<String>,
}

impl From<LayerRow> for Layer {
    fn from(row: LayerRow) -> Self {
        Layer {
            words: row.notes(),
            receptive_field: row.receptive_field.map(|field| ReceptiveField { sides: field.sides, whole: field.whole }),
            grid: <[usize; 2]>::try_from(row.resolution).ok(),
            name: row.layer,
            operator: row.operator,
            shape: row.shape,
            verdict: row.verdict,
            uniform: row.uniform,
            bypass: row.bypass,
            reason: row.reason,
            recommended: row.recommended,
            why: row.error,
        }
    }
}

/// The layers on every path from the image to the score, in this order, for a spec.
#[utoipa::path(post, operation_id = "list_layers", path = "/api/models/{id}/layers", params(("id" = String, Path, description = "The network's id")),
    request_body(content = Object, description = "A spec: what is explained and how"),
    responses((status = 200, description = "The layers", body = Vec<Layer>), (status = 404, description = "There is no such network", body = Failed),
        (status = 422, description = "The spec does not fit", body = Failed)))]
pub(crate) async fn list(
    State(app): State<App>,
    Path(id): Path<String>,
    Asked(words): Asked<Map<String, Value>>,
) -> Result<Json<Vec<Layer>>, Failure> {
    let question = Question::new(&app, &id, &words)?;
    let list = move |_: &_| {
        let found = question.model.network.layers(&question.spec, false)?;
        Ok(found.rows.into_iter().map(Layer::from).collect())
    };
    Ok(Json(app.quick.run(list).await?))
}
