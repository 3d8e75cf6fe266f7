//! The network cut at a layer: the body runs once an image, the head as often as a method wants, so many activations at a
//! time.

use super::Settings;
use crate::Error;
use crate::further_inputs::{FurtherArrays, FurtherInputs, kind};
use crate::spec::Resolved;
use crate::watch::Stop;
use hirescam_core::analysis::Analysis;
use hirescam_core::axes::{Runs, Samples};
use hirescam_core::certify::{Certificate, Verdict, certify};
use hirescam_core::grid::Grid;
use hirescam_core::head::GradientModel;
use hirescam_core::shape::{Dim, Shapes};
use hirescam_core::{Model, onnx};
use hirescam_core::{head, score::Score};
use hirescam_engine::{Array, Engine, Kind, Session};
use ndarray::{ArrayD, ArrayViewD, ArrayViewMutD, Axis, Dimension, IxDyn};

/// What methods are made ready from.
#[derive(Clone, Copy)]
pub(crate) struct Setup<'a> {
    pub(crate) analysis: &'a Analysis<'a>,
    /// The layer, where one is named.
    pub(crate) layer: Option<&'a str>,
    /// What comes beside the image.
    pub(crate) further: &'a FurtherInputs,
    pub(crate) engine: &'a dyn Engine,
    pub(crate) options: &'a Resolved,
}

/// What a method needs to know of gradients.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum GradientUse {
    Nothing,
    WhereAffine,
    Always,
}

/// One changed activation, without a batch axis; it starts as the image's own.
pub(crate) type Changed<'a> = ArrayViewMutD<'a, f32>;

/// The network cut at a layer.
pub(crate) struct CutNetwork {
    /// The layer.
    pub(crate) layer: String,
    /// The activation's extents, its channel axis and its axes of space, without the batch.
    pub(crate) dims: Vec<usize>,
    pub(crate) channels: usize,
    pub(crate) space: Vec<usize>,
    /// How the places lie in the image, where the axes of space do not say it.
    pub(crate) grid: Option<Grid>,
    /// What is proven of HiResCAM at the layer, uniformity aside.
    pub(crate) certificate: Certificate,
    image: String,
    image_kind: Kind,
    /// What makes the activation of an image, with the inputs that it takes; none at the image itself.
    body: Option<(Box<dyn Session>, Vec<String>)>,
    head: Box<dyn Session>,
    gradient: Option<(Box<dyn Session>, GradientModel)>,
    /// What the body hands to the head.
    values: Vec<CutValue>,
    /// The scores, and the extents of one image's.
    score: Score,
    logits: CutValue,
    of_image: Vec<usize>,
    /// How many images a run has: as asked for, or what the file fixes.
    batch: usize,
    /// The fewest rows of a run.
    least: usize,
    /// How many rows are handed over at once where each is a run of its own.
    together: usize,
    /// Whether the file takes one row at a time, and no more.
    one_by_one: bool,
}

/// A value between sessions.
struct CutValue {
    name: String,
    kind: Kind,
    /// The extents for one image, where its first axis is the batch.
    per_image: Option<Vec<usize>>,
}

impl CutValue {
    /// The value `name` of a network that is cut at `layer`.
    fn new(shapes: &Shapes, layer: &str, name: &str) -> Result<Self, Error> {
        let dims = shapes.dims(name).unwrap_or_default();
        let dtype = shapes.dtype(name);
        let kind = dtype.and_then(kind).ok_or_else(|| {
            Error::Argument(format!("the network cannot be cut at {layer:?}: {name:?} has the element type {dtype:?}"))
        })?;
        let follows = !shapes.free_batch() || dims.first() == Some(&Dim::Batch(1));
        let rest = dims.iter().skip(1).map(|d| d.per_image()).collect();
        Ok(CutValue { name: name.to_owned(), kind, per_image: follows.then_some(rest) })
    }
}

/// What the body makes of an image.
pub(crate) struct BodyOutput<'a> {
    /// The activation, without a batch axis.
    pub(crate) activation: ArrayD<f32>,
    /// What goes around the layer: a row for the image, or as it is where it has no batch axis.
    carried: Vec<Array>,
    /// What the network takes beside the image.
    pub(super) beside: &'a FurtherArrays,
    /// What stops the work between two runs.
    pub(super) stop: Stop<'a>,
}

impl CutNetwork {
    /// Cuts the network at `layer` and makes its parts ready to run. `channels` and `given` are the layer's channel axis and
    /// the grid of its places where the graph does not tell them.
    pub(crate) fn new(
        setup: &Setup,
        layer: &str,
        (channels, given): (Option<i64>, Option<&[usize]>),
        wanted: GradientUse,
    ) -> Result<Self, Error> {
        let Analysis { shapes, score, .. } = setup.analysis;
        let (analysis, model) = (setup.analysis, setup.analysis.model());
        let cut = head::cut(analysis, layer, channels)?;
        let runs = shapes.runs(&score.logits);
        image_by_image(&runs, layer, cut.samples)?;
        let channels = cut.channels.and_then(|axis| axis.checked_sub(1)).ok_or_else(|| {
            Error::Argument(format!(
                "{layer:?} has no axis of channels, along which the method changes images or adds up"
            ))
        })?;
        let grid = cut.grid(analysis, given)?;
        let part = Model::new(head::model(analysis, &cut)?)?;
        let names: Vec<&str> = part.inputs().map(|i| i.name()).collect();
        let values = names.iter().map(|name| CutValue::new(shapes, layer, name)).collect::<Result<Vec<_>, _>>()?;
        let dims = values.first().and_then(|v| v.per_image.clone());
        let dims = dims.ok_or_else(|| Error::Argument(format!("the first axis of {layer:?} is not the batch")))?;
        let prepare = |proto: &onnx::messages::ModelProto| setup.engine.prepare(&onnx::write(proto));
        // What is an input already takes no body.
        let inputs: Vec<&str> = model.inputs().map(|i| i.name()).collect();
        let made: Vec<&str> = names.iter().copied().filter(|name| !inputs.contains(name)).collect();
        let body = match made.as_slice() {
            [] => None,
            made => {
                let body = head::body(analysis, made)?;
                let takes = body.graph.iter().flat_map(|g| &g.input).map(|i| i.name().to_owned()).collect();
                Some((prepare(&body)?, takes))
            }
        };
        let certificate = Certificate { elsewhere: cut.elsewhere(analysis), ..certify(analysis, &cut, false) };
        let gradient = match wanted {
            GradientUse::Always => true,
            GradientUse::WhereAffine => certificate.verdict == Verdict::Exact,
            GradientUse::Nothing => false,
        };
        let gradient = gradient.then(|| head::gradient(&part, layer, &score.logits)).transpose()?;
        let gradient = gradient.map(|g| Ok::<_, Error>((prepare(&g.model)?, g))).transpose()?;
        Ok(CutNetwork {
            layer: layer.to_owned(),
            dims,
            channels,
            space: cut.space.iter().map(|a| a - 1).collect(),
            grid,
            certificate,
            image: analysis.image.clone(),
            image_kind: CutValue::new(shapes, layer, &analysis.image)?.kind,
            body,
            head: prepare(part.proto())?,
            gradient,
            values,
            logits: CutValue::new(shapes, layer, &score.logits)?,
            of_image: {
                let dims = shapes.dims(&score.logits).unwrap_or_default();
                let axes = dims.iter().enumerate().filter(|(axis, _)| Some(*axis) != score.batch);
                axes.map(|(_, d)| d.per_image()).collect()
            },
            score: score.clone(),
            batch: if shapes.free_batch() { setup.options.spec.settings.batch.max(runs.least()) } else { runs.least() },
            together: setup.options.spec.settings.batch,
            least: runs.least(),
            one_by_one: !shapes.free_batch() && runs.least() <= 1,
        })
    }

    /// The kind of elements that the network's image has.
    pub(crate) fn image_kind(&self) -> Kind {
        self.image_kind
    }

    /// The extents of space.
    pub(crate) fn places(&self) -> Vec<usize> {
        self.space.iter().filter_map(|&a| self.dims.get(a).copied()).collect()
    }

    /// Where in space the cell `cell` of a map lies.
    pub(crate) fn place(&self, cell: &IxDyn) -> IxDyn {
        let Some(mut number) = self.grid.as_ref().and_then(|grid| grid.place(cell.slice())) else {
            return cell.clone();
        };
        let extents = self.places();
        let mut place = IxDyn::zeros(extents.len());
        for (at, n) in place.slice_mut().iter_mut().zip(&extents).rev() {
            (*at, number) = (number % n, number / n);
        }
        place
    }

    /// The extents of space, for methods that change places next to one another.
    ///
    /// # Errors
    /// [`Error::Argument`] where the places of the image are in a row, as tokens.
    pub(super) fn neighbours(&self) -> Result<Vec<usize>, Error> {
        match &self.grid {
            None => Ok(self.places()),
            Some(grid) => Err(Error::Argument(format!(
                "the method changes places next to one another, and those of {:?} lie in a row and not as {:?}: name no layer to work at the image",
                self.layer, grid.sides
            ))),
        }
    }

    /// Whether gradients were asked for, and the head is such that they are needed.
    pub(crate) fn has_gradient(&self) -> bool {
        self.gradient.is_some()
    }

    /// Runs the body on one image, given with a batch axis of 1.
    pub(crate) fn state<'a>(
        &self,
        image: &Array,
        beside: &'a FurtherArrays,
        stop: Stop<'a>,
    ) -> Result<BodyOutput<'a>, Error> {
        stop.check()?;
        let rows = self.least;
        let mut known = beside.rows(rows);
        known.push((&self.image, image.rows(&vec![0; rows]).ok_or_else(|| missing(&self.image))?));
        let made = match &self.body {
            Some((body, takes)) => {
                let inputs = known.iter().filter(|(name, _)| takes.iter().any(|t| t == name));
                body.run(&inputs.map(|(name, array)| (*name, array)).collect::<Vec<_>>())?
            }
            None => Vec::new(),
        };
        let value = |port: &CutValue| {
            let given = known.iter().find(|(name, _)| *name == port.name).map(|(_, array)| array);
            let whole = given.map_or_else(|| output(&made, &port.name), Ok)?;
            let first = port.per_image.as_ref().and_then(|_| whole.rows(&[0]));
            Ok(first.unwrap_or_else(|| whole.clone()))
        };
        let mut values = self.values.iter().map(value);
        let activation = values.next().unwrap_or_else(|| Err(missing(&self.layer)))?.into_f32();
        let activation = activation.axis_iter(Axis(0)).next().map(|a| a.to_owned());
        let activation = activation.ok_or_else(|| missing(&self.layer))?;
        Ok(BodyOutput { activation, carried: values.collect::<Result<_, Error>>()?, beside, stop })
    }

    /// The logits of `n` changed activations: `change` makes them one by one, `each` is given the number and the logits.
    pub(crate) fn scores(
        &self,
        state: &BodyOutput,
        n: usize,
        mut change: impl FnMut(usize, Changed),
        mut each: impl FnMut(usize, &[f32]),
    ) -> Result<(), Error> {
        self.scores_of(state, n, &mut |start, count, rows| changed(state, (start, count, rows), &mut change), &mut each)
    }

    /// As [`Self::scores`], of activations that `make` gives for a run: from which on, how many there are, and how many rows the run needs.
    pub(crate) fn scores_of(
        &self,
        state: &BodyOutput,
        n: usize,
        make: &mut dyn FnMut(usize, usize, usize) -> ArrayD<f32>,
        each: &mut dyn FnMut(usize, &[f32]),
    ) -> Result<(), Error> {
        self.chunks(state, n, make, &mut |start, count, inputs| {
            let made = self.made(self.head.as_ref(), &inputs, &self.logits.name)?;
            let made = made.into_iter().map(|part| self.score.images_first(part));
            let logits: Vec<f32> = made.flat_map(|part| part.iter().copied().collect::<Vec<_>>()).collect();
            let of_row = (logits.len() / inputs.rows.max(1)).max(1);
            logits.chunks(of_row).take(count).enumerate().for_each(|(i, row)| each(start + i, row));
            Ok(())
        })
    }

    /// The gradients of Σ weight · logit for `n` changed activations, in the activation's shape.
    pub(crate) fn gradients(
        &self,
        state: &BodyOutput,
        n: usize,
        mut change: impl FnMut(usize, Changed),
        weights: &[(usize, f64)],
        mut each: impl FnMut(usize, ArrayViewD<f32>),
    ) -> Result<(), Error> {
        let Some((session, names)) = &self.gradient else { return Err(missing("gradient")) };
        let mut make = |start, count, rows| changed(state, (start, count, rows), &mut change);
        self.chunks(state, n, &mut make, &mut |start, count, mut inputs| {
            // Rows that are run one by one all have the same seed.
            let seed = self.seed(weights, if self.runs_apart(session.as_ref()) { 1 } else { inputs.rows })?;
            inputs.arrays.push((names.seed.clone(), seed, false));
            let made = self.made(session.as_ref(), &inputs, &names.gradient)?;
            let gradients = made.iter().flat_map(|part| part.axis_iter(Axis(0)));
            gradients.take(count).enumerate().for_each(|(i, row)| each(start + i, row));
            Ok(())
        })
    }

    /// What each logit counts for, the same for `rows` images, as the head has its logits.
    fn seed(&self, weights: &[(usize, f64)], rows: usize) -> Result<Array, Error> {
        let seed = self.score.images_back(seed(weights, &self.of_image, rows)?);
        // Derivatives of logits of 16 bits are float32.
        let kind = if self.logits.kind == Kind::F16 { Kind::F32 } else { self.logits.kind };
        Array::from_f32(kind, seed.as_standard_layout().into_owned()).ok_or_else(|| missing("seed"))
    }

    /// Whether rows are run one by one.
    fn runs_apart(&self, session: &dyn Session) -> bool {
        self.one_by_one || (self.least <= 1 && session.is_slow_at_batches())
    }

    /// The output `name` for all rows, in one part or in several: engines that are slow at batches, and networks that take no
    /// others, get row by row.
    fn made(&self, session: &dyn Session, inputs: &Inputs, name: &str) -> Result<Vec<ArrayD<f32>>, Error> {
        if !self.runs_apart(session) {
            return Ok(vec![output(&session.run(&inputs.list())?, name)?.to_f32()]);
        }
        let apart: Vec<Inputs> = (0..inputs.rows).map(|i| inputs.row(i)).collect();
        let made = session.run_all(&apart.iter().map(Inputs::list).collect::<Vec<_>>());
        made.into_iter().map(|made| Ok(output(&made?, name)?.to_f32())).collect()
    }

    /// Fills one run after the other with changed activations.
    fn chunks(
        &self,
        state: &BodyOutput,
        n: usize,
        make: &mut dyn FnMut(usize, usize, usize) -> ArrayD<f32>,
        run: &mut dyn FnMut(usize, usize, Inputs) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let at_once = if self.one_by_one { self.together } else { self.batch };
        self.split(n, at_once, |start, count, rows| {
            state.stop.check()?;
            let activations = make(start, count, rows);
            let mut arrays = Vec::new();
            for (port, value) in self.values.iter().skip(1).zip(&state.carried) {
                let repeated = port.per_image.as_ref().and_then(|_| value.rows(&vec![0; rows]));
                let follows = repeated.is_some();
                arrays.push((port.name.clone(), repeated.unwrap_or_else(|| value.clone()), follows));
            }
            if let Some(port) = self.values.first() {
                let array = Array::from_f32(port.kind, activations).ok_or_else(|| missing(&port.name))?;
                arrays.push((port.name.clone(), array, true));
            }
            run(start, count, Inputs { rows, arrays })
        })
    }

    /// Splits `n` changed images into runs: `run` is given the first, how many there are, and how many rows the run needs.
    pub(crate) fn runs(
        &self,
        n: usize,
        run: impl FnMut(usize, usize, usize) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.split(n, self.batch, run)
    }

    /// As [`Self::runs`], with `at_once` images together.
    fn split(
        &self,
        n: usize,
        at_once: usize,
        mut run: impl FnMut(usize, usize, usize) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for start in (0..n).step_by(at_once) {
            let count = at_once.min(n - start);
            run(start, count, count.max(self.least))?;
        }
        Ok(())
    }
}

/// Activations of a run, each changed: from which on, how many, and how many rows, of which those beyond are as they are.
fn changed(
    state: &BodyOutput,
    (start, count, rows): (usize, usize, usize),
    change: &mut dyn FnMut(usize, Changed),
) -> ArrayD<f32> {
    let mut activations = rows_of(&state.activation, rows);
    for (i, row) in activations.axis_iter_mut(Axis(0)).take(count).enumerate() {
        change(start + i, row);
    }
    activations
}

/// Whether a method can change images one by one: not where all images of a run are one sample, or may be mixed.
fn image_by_image(runs: &Runs, layer: &str, samples: Samples) -> Result<(), Error> {
    let refuse = |why: String| {
        Err(Error::Argument(format!(
            "the method runs many changed images at once, and {why}; methods of one run are no such"
        )))
    };
    match runs {
        Runs { one_sample: Some(node), .. } => {
            refuse(format!("here all images of a run are one sample, which {node} reads together"))
        }
        Runs { count: Dim::Fixed(2..), apart: false, .. } => {
            refuse("it is not proven that this network keeps the images of a run apart".into())
        }
        _ if samples != Samples::FIRST => refuse(format!("the first axis of {layer:?} does not count images alone")),
        _ => Ok(()),
    }
}

/// What one run is given.
struct Inputs {
    rows: usize,
    /// By name, and whether it has a row for each changed activation.
    arrays: Vec<(String, Array, bool)>,
}

impl Inputs {
    fn list(&self) -> Vec<(&str, &Array)> {
        self.arrays.iter().map(|(name, array, _)| (name.as_str(), array)).collect()
    }

    /// One row of them.
    fn row(&self, i: usize) -> Inputs {
        let one = |(name, array, follows): &(String, Array, bool)| {
            let row = follows.then(|| array.rows(&[i])).flatten();
            (name.clone(), row.unwrap_or_else(|| array.clone()), *follows)
        };
        Inputs { rows: 1, arrays: self.arrays.iter().map(one).collect() }
    }
}

/// The same array `rows` times along a new first axis.
pub(crate) fn rows_of(one: &ArrayD<f32>, rows: usize) -> ArrayD<f32> {
    let mut all = ArrayD::zeros(IxDyn(&[&[rows], one.shape()].concat()));
    all.axis_iter_mut(Axis(0)).for_each(|mut row| row.assign(one));
    all
}

/// The channels at one place of an activation whose axes of space are `space`.
pub(crate) fn at_mut<'a>(a: Changed<'a>, space: &[usize], place: &IxDyn) -> Changed<'a> {
    // From the last axis on, so that those before keep their numbers.
    let axes = space.iter().zip(ndarray::Dimension::slice(place)).rev();
    axes.fold(a, |a, (&axis, &i)| a.index_axis_move(Axis(axis), i))
}

/// What each score counts for, the same for `rows` images; `shape` is that of one image's scores.
pub(crate) fn seed(weights: &[(usize, f64)], shape: &[usize], rows: usize) -> Result<ArrayD<f32>, Error> {
    let mut one = vec![0.0f32; shape.iter().product()];
    for &(entry, weight) in weights {
        one.iter_mut().skip(entry).take(1).for_each(|w| *w += weight as f32);
    }
    let one = ArrayD::from_shape_vec(shape, one).map_err(|_| missing("seed"))?;
    Ok(rows_of(&one, rows))
}

/// The output called `name`.
pub(crate) fn output<'a>(made: &'a [(String, Array)], name: &str) -> Result<&'a Array, Error> {
    made.iter().find(|(n, _)| n == name).map(|(_, array)| array).ok_or_else(|| missing(name))
}

pub(crate) fn missing(name: &str) -> Error {
    Error::Argument(format!("the engine gave no output {name:?}"))
}

impl Setup<'_> {
    /// How methods of several runs work.
    pub(crate) fn settings(&self) -> &Settings {
        &self.options.spec.settings
    }
}
