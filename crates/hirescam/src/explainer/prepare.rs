//! Making methods ready: what is asked of a model, and the sessions that answer.

use super::{Error, Input};
use crate::further_inputs::{FurtherInputs, kind};
use crate::labels::Labels;
use crate::methods::cut::Setup;
use crate::methods::{self, SeveralRuns};
use crate::network::Network;
use crate::preprocess::{AxisOrder, InputShape, Resize};
use crate::spec::{Resolved, ScoreFrom};
use hirescam_core::analysis::{Analysis, Hints};
use hirescam_core::axes::Runs;
use hirescam_core::cam::list::MethodRow;
use hirescam_core::cam::{self, Explaining, Further, Request, Target};
use hirescam_core::certify::Certificate;
use hirescam_core::score::{Reading, Score};
use hirescam_core::shape::{Dim, declared, element_type};
use hirescam_core::{Model, analysis, onnx};
use hirescam_engine::{Engine, Kind, Session};
use std::sync::Arc;

/// What is known of methods made ready.
pub(super) struct Preparation {
    pub(super) score: Score,
    /// What is explained, in the output's own entries.
    pub(super) target: Target,
    /// What there is to say of each map: of one method after the other the layers.
    pub(super) maps: Vec<AboutMap>,
    /// The extents of a map, where all are known to have the same.
    pub(super) map_shape: Option<Vec<usize>>,
    pub(super) image_dims: Vec<Dim>,
    pub(super) image_kind: Kind,
    pub(super) image_channels: Option<usize>,
    pub(super) tells_channels: bool,
    pub(super) runs: Runs,
    pub(super) further: FurtherInputs,
}

/// A map, whatever the image: the method, the layer and what is proven.
pub(super) type AboutMap = (MethodRow, String, Certificate);

/// The explaining model in an engine: what makes the maps of methods of one run.
pub(super) type OneRun = (Box<dyn Session>, Vec<Explaining>);

/// The explaining model with the maps of `method` and `further` ones, in an engine. Meanwhile the file's SHA-256 is found.
pub(super) fn one_run(
    file: Network,
    options: &Resolved,
    (method, further): (&'static cam::Method, &[&'static cam::Method]),
    engine: &dyn Engine,
) -> Result<(Preparation, OneRun), Error> {
    let at_image = [&method].into_iter().chain(further).all(|method| method.at_image);
    let (channels, grid) = options.said_of_layer(at_image)?;
    let grid = grid.map(<[usize]>::to_vec);
    let request = Request { logits: true, channels, grid, ..options.request(method) };
    let analysis = file.analysis(options)?;
    let further = Further { layers: options.further_layers().to_vec(), methods: further.to_vec() };
    let mut maps = cam::attach_to(&analysis, &request, &further)?;
    let Some(first) = maps.first() else { return Err(Error::Argument("no layer is asked for".into())) };
    let parts = Preparation {
        further: FurtherInputs::new(&analysis, &options.target, &options.inputs)?,
        score: first.head.score.clone(),
        target: first.target.clone(),
        maps: maps.iter().map(|e| (e.method.row(), e.head.layer.clone(), e.certificate.clone())).collect(),
        map_shape: first.map_shape().filter(|_| maps.iter().all(|e| e.map_shape() == first.map_shape())),
        image_dims: first.image_dims.clone(),
        image_kind: image_kind(file.model(), options)?,
        image_channels: first.image_channels,
        tells_channels: first.tells_channels,
        runs: first.runs.clone(),
    };
    let alone = first.for_maps()?;
    let hash = file.sha256_once();
    // The weights are held once where nobody else has the network.
    let file = file.into_bytes();
    drop(analysis);
    let (bytes, file) = match alone {
        Some(model) => (onnx::write(&model).into(), file),
        None => Explaining::take_bytes(&mut maps, file),
    };
    let session = beside(
        || {
            hash.of(&file);
        },
        || engine.prepare(&bytes),
    );
    Ok((parts, (session?, maps)))
}

/// The kind of elements that the network's image has.
///
/// # Errors
/// [`hirescam_core::Error::Unsupported`] for one that engines are not fed.
pub(crate) fn image_kind(model: &Model, options: &Resolved) -> Result<Kind, Error> {
    let info = analysis::image_input(model, options.spec.image_input.as_deref())?;
    let dtype = element_type(info);
    dtype.and_then(kind).ok_or_else(|| {
        let dtype = dtype.map_or("no element type".into(), |dtype| format!("{dtype:?}"));
        let fault = hirescam_core::Error::Unsupported {
            at: format!("the input {:?}", info.name()),
            what: format!("it takes {dtype}, which the engines are not fed"),
            remedy: "Export the network with an input of float32, float16, float64 or integers, and a Cast behind it"
                .into(),
        };
        fault.into()
    })
}

/// What `work` gives, while a hash is found: engines read a model on one core.
fn beside<T>(hash: impl FnOnce() + Send, work: impl FnOnce() -> T) -> T {
    std::thread::scope(|scope| {
        scope.spawn(hash);
        work()
    })
}

/// Methods of several runs. Meanwhile the file's SHA-256 is found.
pub(super) fn several_runs(
    file: &Network,
    options: &Resolved,
    methods: &[&'static methods::SeveralRunsMethod],
    engine: &dyn Engine,
) -> Result<(Preparation, Vec<SeveralRuns>), Error> {
    let make = |setup: &Setup| {
        let mut maps = Vec::new();
        for method in methods {
            maps.push(SeveralRuns::new(method, setup)?);
            for layer in options.further_layers() {
                maps.push(SeveralRuns::new(method, &Setup { layer: Some(layer), ..*setup })?);
            }
        }
        let Analysis { image, shapes, score, .. } = setup.analysis;
        let parts = Preparation {
            maps: maps.iter().map(|s| (s.row(), s.layer().to_owned(), s.certificate())).collect(),
            map_shape: None,
            image_channels: shapes.image_channels(image),
            tells_channels: shapes.tells_channels(image),
            image_dims: shapes.dims(image).unwrap_or_default(),
            image_kind: image_kind(file.model(), options)?,
            runs: shapes.runs(&score.logits),
            score: score.clone(),
            target: setup.options.target.on(score)?,
            further: setup.further.clone(),
        };
        Ok((parts, maps))
    };
    beside(
        || {
            file.sha256();
        },
        || with_setup(&*file.analysis(options)?, options, engine, make),
    )
}

/// Hands over what a network is cut from.
pub(crate) fn with_setup<T>(
    analysis: &Analysis,
    options: &Resolved,
    engine: &dyn Engine,
    then: impl FnOnce(&Setup) -> Result<T, Error>,
) -> Result<T, Error> {
    let further = &FurtherInputs::new(analysis, &options.target, &options.inputs)?;
    then(&Setup { analysis, layer: options.layer().map(String::as_str), further, engine, options })
}

impl Network {
    /// What the graph tells, with what the spec says of it; found once, whoever asks.
    ///
    /// # Errors
    /// Those of [`Analysis::of`] and [`image_shape`].
    pub(crate) fn analysis(&self, options: &Resolved) -> Result<Arc<Analysis<'static>>, Error> {
        self.analyses().of(self.model(), &hints(self, options)?)
    }
}

/// What a spec says of a network, with the shape of its image where the file leaves it open.
///
/// # Errors
/// As [`image_shape`].
fn hints(file: &Network, options: &Resolved) -> Result<Hints, Error> {
    let spec = &options.spec;
    Ok(Hints {
        image: spec.image_input.clone(),
        image_shape: image_shape(file, options)?,
        image_channels: spec.image_channels,
        other_shapes: options.inputs.iter().map(|(name, array)| (name.clone(), array.shape().to_vec())).collect(),
        memory: spec.memory.saturating_mul(1 << 20),
        scores: Reading {
            output: spec.output.clone(),
            keep_activation: spec.score == ScoreFrom::Output,
            class_axis: spec.class_axis,
            activation: spec.activation,
            labels: options.labels.as_ref().map(Labels::len),
        },
    })
}

/// The input's shape: as given, else with the size that the preprocessing makes.
///
/// # Errors
/// [`Error::Core`] for a model without inputs, or without the one that is named.
pub(crate) fn image_shape(file: &Network, options: &Resolved) -> Result<Option<Vec<usize>>, Error> {
    if options.spec.shape.is_some() {
        return Ok(options.spec.shape.clone());
    }
    let declared = declared(analysis::image_input(file.model(), options.spec.image_input.as_deref())?);
    let size = options.preprocess.as_ref().and_then(|p| match (p.crop, &p.resize) {
        (Some(crop), _) => Some(crop),
        (None, Some(Resize::Exact(size))) => Some(*size),
        _ => None,
    });
    let open = declared.iter().skip(1).any(Option::is_none);
    let Some([height, width]) = size.filter(|_| open) else { return Ok(None) };
    let Some(image) = photos(file, options)? else { return Ok(None) };
    let height = image.height.unwrap_or(height as usize);
    let (width, channels) = (image.width.unwrap_or(width as usize), image.channels.unwrap_or(3));
    Ok(Some(match image.layout {
        AxisOrder::ChannelsFirst => vec![1, channels, height, width],
        AxisOrder::ChannelsLast => vec![1, height, width, channels],
    }))
}

/// How photos come into the network, where the file leaves extents of its image open beside the batch; `None` where it does
/// not.
///
/// # Errors
/// [`Error::Core`] for a model without inputs, or without the one that is named.
pub(crate) fn open_image(file: &Network, options: &Resolved) -> Result<Option<Option<InputShape>>, Error> {
    let declared = declared(analysis::image_input(file.model(), options.spec.image_input.as_deref())?);
    declared.iter().skip(1).any(Option::is_none).then(|| photos(file, options)).transpose()
}

/// Whether several images make one sample, and nothing says yet how many: the first axis of each tensor does.
///
/// # Errors
/// As [`Analysis::of`].
pub(super) fn open_sample(file: &Network, options: &Resolved) -> Result<bool, Error> {
    let free =
        declared(analysis::image_input(file.model(), options.spec.image_input.as_deref())?).first() == Some(&None);
    if !free || options.spec.shape.is_some() {
        return Ok(false);
    }
    Ok(image_shape(file, options)?.is_none()
        && matches!(file.analysis(options), Err(Error::Core(hirescam_core::Error::OpenSample { .. }))))
}

/// The shape that `input` has as the network's image, where the file leaves that open.
///
/// # Errors
/// As [`image_shape`]; [`Error::Preprocess`] for a photo that does not fit.
pub(crate) fn shape_of(file: &Network, options: &Resolved, input: &Input) -> Result<Option<Vec<usize>>, Error> {
    let Some(image) = open_image(file, options)? else { return Ok(None) };
    Ok(match (input, &options.preprocess, image) {
        (Input::Tensor(tensor), ..) => Some(tensor.shape().to_vec()),
        (Input::Photo(photo), Some(preprocess), Some(image)) => {
            Some(preprocess.apply(photo, image)?.tensor.shape().to_vec())
        }
        (Input::Photo(_), ..) => None,
    })
}

/// The order of the axes of the image, and the extents that the file declares; none where it takes no photos.
///
/// Of the two ways in which the axes can lie it is the one that the network reads, with a made-up size where that is open;
/// where it tells nothing, channels come last if that axis alone is short.
pub(crate) fn photos(file: &Network, options: &Resolved) -> Result<Option<InputShape>, Error> {
    let info = analysis::image_input(file.model(), options.spec.image_input.as_deref())?;
    let Ok([_, a, b, c]) = <[Option<usize>; 4]>::try_from(declared(info)) else { return Ok(None) };
    let colours = || Some(options.preprocess.as_ref().map_or(3, |p| p.channels.count()));
    let first = InputShape { layout: AxisOrder::ChannelsFirst, channels: a.or_else(colours), height: b, width: c };
    let last = InputShape { layout: AxisOrder::ChannelsLast, channels: c.or_else(colours), height: a, width: b };
    let read = |image: &InputShape, axis: usize| {
        let [channels, height, width] = [image.channels, image.height, image.width].map(|n| n.unwrap_or(MADE_UP));
        let shape = if axis == 1 { [1, channels, height, width] } else { [1, height, width, channels] };
        file.analyses().told_channels(file.model(), info.name(), &shape) == Some(axis)
    };
    let is_last = match options.spec.image_channels {
        Some(axis) => matches!(axis, 3 | -1),
        None if read(&first, 1) => false,
        None => read(&last, 3) || (c.is_some_and(|n| n <= 4) && a.is_none_or(|n| n > 4)),
    };
    Ok(Some(if is_last { last } else { first }))
}

/// A size of images for which shapes can be found: large enough for most networks.
const MADE_UP: usize = 224;
