//! The layers of a network that one can explain at.

use crate::Error;
use crate::network::Network;
use crate::spec::Spec;
use hirescam_core::analysis::Analysis;
use hirescam_core::axes::Samples;
use hirescam_core::certify::Certificate;
use hirescam_core::grid::{self, Grid};
use hirescam_core::shape::Dim;
use hirescam_core::{layers, shape};
use serde::Serialize;

/// The layers of a network.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Layers {
    /// The layers, from the image to the score.
    pub rows: Vec<LayerRow>,
    /// What is explained instead of what stands in the file, where it is something else: a sentence.
    pub note: Option<String>,
}

/// A layer, and what is proven of maps there. As data, it is what `hirescam layers --json` writes.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct LayerRow {
    /// Its name.
    pub layer: String,
    /// The operator that makes it; none for the image itself.
    pub operator: Option<String>,
    /// Its extents; none for those that are open.
    pub shape: Vec<Option<usize>>,
    /// The extents of a map there.
    pub resolution: Vec<usize>,
    /// How its places lie in the image, where its axes of space do not say it.
    pub grid: Option<Vec<usize>>,
    /// Whether the graph tells that its places are those of the image.
    pub followed: bool,
    /// How many of its tokens are no places of the image.
    pub other_tokens: Option<usize>,
    /// What part of the image its cells are computed from, where that can be followed.
    pub receptive_field: Option<ReceptiveField>,
    /// Where it sits, in words.
    pub place: String,
    /// The verdict.
    pub verdict: Option<String>,
    /// The first node that keeps it from a better one.
    pub reason: Option<String>,
    /// Where a path goes around the layer.
    pub bypass: Option<String>,
    /// Whether the gradient is the same at all places.
    pub uniform: Option<bool>,
    /// Whether every path from the image to the score passes through it.
    pub on_every_path: bool,
    /// Whether the scores stay the same when the activation is scaled.
    pub ignores_scale: bool,
    /// Whether a single place decides the scores.
    pub reads_one_place: bool,
    /// Whether this is the layer taken when none is named.
    pub recommended: bool,
    /// Why it cannot be explained, where it cannot.
    pub error: Option<String>,
    #[serde(skip)]
    dims: String,
    #[serde(skip)]
    why: &'static str,
}

/// What part of the image the cells of a layer are computed from, by kernels, strides, dilations and pads: the theoretical
/// receptive field. What lies in it can move a cell, and need not.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ReceptiveField {
    /// Along each axis of the image, for each row of cells: the first pixel of the network's input that it sees, and the first
    /// behind the last. The cell of a row and a column sees the rectangle that both make.
    pub sides: Vec<Vec<[usize; 2]>>,
    /// The first node by which each cell also reads from far across, as an attention or a gate that is pooled over all of
    /// space; none where the cells see their rectangle alone.
    pub whole: Option<String>,
}

impl ReceptiveField {
    fn new(field: grid::ReceptiveField) -> Self {
        let side = |side: Vec<std::ops::Range<usize>>| side.into_iter().map(|r| [r.start, r.end]).collect();
        ReceptiveField { sides: field.sides.into_iter().map(side).collect(), whole: field.whole }
    }
}

impl Network {
    /// Lists the layers: those on every path from the image to the score, or with `all` every one.
    ///
    /// # Errors
    /// Those of reading what the spec names, of [`Analysis::of`](hirescam_core::analysis::Analysis::of) and [`layers::layers`].
    pub fn layers(&self, spec: &Spec, all: bool) -> Result<Layers, Error> {
        let analysis = self.analysis(&spec.resolve(self)?)?;
        let found = layers::layers(&analysis, all)?;
        let row = |layer: layers::Layer| {
            let operator = analysis.model().maker(&layer.name).map(|node| node.op_type().to_owned());
            LayerRow { operator, resolution: resolution(&analysis, spec.channel_axis, &layer), ..LayerRow::new(layer) }
        };
        Ok(Layers { rows: found.into_iter().map(row).collect(), note: analysis.score.instead.clone() })
    }
}

/// The extents of a layer's space. `channels` is the axis that is said to count channels.
pub(crate) fn resolution(analysis: &Analysis, channels: Option<i64>, layer: &layers::Layer) -> Vec<usize> {
    if let Some(grid) = &layer.grid {
        return grid.sides.clone();
    }
    let channels = match channels.and_then(|axis| hirescam_core::graph::axis(axis, layer.dims.len()).ok()) {
        Some(axis) => axis,
        None => analysis.channels(&layer.name),
    };
    let samples = analysis.shapes.samples(&layer.name).unwrap_or(Samples::FIRST);
    let space = samples.places(layer.dims.len(), Some(channels));
    space.into_iter().filter_map(|axis| layer.dims.get(axis)).map(|d| d.per_image()).collect()
}

impl LayerRow {
    fn new(layer: layers::Layer) -> Self {
        let certificate = layer.certificate.as_ref().ok();
        let extent = |dim: &Dim| if let Dim::Fixed(n) = dim { Some(*n) } else { None };
        LayerRow {
            shape: layer.dims.iter().map(extent).collect(),
            dims: shape::show(&layer.dims),
            operator: None,
            resolution: Vec::new(),
            other_tokens: layer.grid.as_ref().map(Grid::others),
            grid: layer.grid.as_ref().map(|grid| grid.sides.clone()),
            followed: layer.followed,
            receptive_field: layer.receptive_field.map(ReceptiveField::new),
            place: layer.place,
            verdict: certificate.map(|c| c.verdict.to_string()),
            reason: certificate.and_then(|c| c.reason.clone()),
            bypass: certificate.and_then(|c| c.bypass.clone()),
            uniform: certificate.map(|c: &Certificate| c.uniform),
            on_every_path: layer.on_every_path,
            ignores_scale: layer.ignores_scale,
            reads_one_place: layer.reads_one_place,
            recommended: layer.recommended,
            why: layer.why,
            error: layer.certificate.err().map(|e| e.to_string()),
            layer: layer.name,
        }
    }

    /// All that is said of it, in one line; its name is given `width` columns.
    pub fn in_words(&self, width: usize) -> String {
        let mark = if self.recommended { '*' } else { ' ' };
        let notes = self.notes().join("; ");
        format!("{mark} {:width$}  {:18} {:28} {notes}", self.layer, self.dims, self.place)
    }

    /// What is said of it beside its name, its extents and its place: a sentence each.
    pub fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.verdict.clone().into_iter().collect();
        let mut say = |holds: bool, what: &str| notes.extend(holds.then(|| what.to_owned()));
        say(self.uniform == Some(true), "uniform gradient (HiResCAM = Grad-CAM)");
        notes.extend(self.bypass.as_ref().map(|node| format!("bypassed at the {node}")));
        notes.extend(self.error.as_ref().map(|error| format!("cannot be explained: {error}")));
        notes.extend(self.grid.as_ref().map(|sides| laid_out(sides, self.other_tokens.unwrap_or(0))));
        let mut say = |holds: bool, what: &str| notes.extend(holds.then(|| what.to_owned()));
        say(self.ignores_scale, "its head hardly changes with its scale: the map sums to 0, or nearly");
        say(self.reads_one_place, "its head reads one place: the map has one cell, or none");
        say(!self.followed, "the graph does not tell where its places lie in the image");
        notes.extend(self.recommended.then(|| format!("recommended: {}", self.why)));
        notes
    }
}

/// `a grid 14×14 and 1 other token`.
fn laid_out(sides: &[usize], others: usize) -> String {
    let sides = sides.iter().map(usize::to_string).collect::<Vec<_>>().join("×");
    match others {
        0 => format!("a grid {sides}"),
        1 => format!("a grid {sides} and 1 other token"),
        n => format!("a grid {sides} and {n} other tokens"),
    }
}
