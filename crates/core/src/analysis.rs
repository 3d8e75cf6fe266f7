//! What the graph alone tells of a network: the image, all shapes, what the axes mean, the score. It is found once and passed
//! as one thing.

use crate::axes::Samples;
use crate::error::near;
use crate::graph::reads;
use crate::grid::{Fields, Placement, Places, ReceptiveField, channel_axes};
use crate::onnx::messages::ValueInfoProto;
use crate::ops::{Layout, shape_only};
use crate::score::{self, Reading, Score};
use crate::shape::{self, Dim, Shapes, declared};
use crate::tensor::is_float;
use crate::{Error, Model, memory, strip, weights};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::OnceLock;

/// What a caller says of a network, where its file leaves it open.
#[derive(Clone, Debug, PartialEq)]
pub struct Hints {
    /// The input that carries the image; the one that looks like one when none is named.
    pub image: Option<String>,
    /// The image's whole shape.
    pub image_shape: Option<Vec<usize>>,
    /// The image's channel axis.
    pub image_channels: Option<i64>,
    /// The shapes of inputs beside the image.
    pub other_shapes: Vec<(String, Vec<usize>)>,
    /// How many bytes the network's values may take beside what goes with its image and its weights; see [`memory`].
    pub memory: u64,
    /// How the scores are to be read.
    pub scores: Reading,
}

impl Default for Hints {
    fn default() -> Self {
        Hints {
            image: None,
            image_shape: None,
            image_channels: None,
            other_shapes: Vec::new(),
            memory: memory::SPARE,
            scores: Reading::default(),
        }
    }
}

/// What the graph alone tells of a network.
#[derive(Debug)]
pub struct Analysis<'m> {
    model: Cow<'m, Model>,
    hints: Hints,
    /// The input that carries the image.
    pub image: String,
    /// The shapes of all values, and what their axes mean.
    pub shapes: Shapes,
    /// The scores.
    pub score: Score,
    /// Found when they are first asked for: few heads need both.
    places: OnceLock<Option<Places>>,
    fields: OnceLock<Option<Fields>>,
    channels: OnceLock<HashMap<String, usize>>,
}

impl<'m> Analysis<'m> {
    /// Finds what the graph of `model` tells, of the network without a map that may be attached to it.
    ///
    /// Where a node on the way to the score reads several images for one score, all images of a run are one sample: a bag,
    /// the frames of a clip. How many there are is then fixed, to the first extent of the image shape that is given.
    ///
    /// # Errors
    /// Those of [`weights::check`], [`strip::bare`], [`image_input`], [`Shapes::infer`], [`memory::check`] and
    /// [`score::read`]; [`Error::OpenSample`] for a sample of several images of which nothing says how many,
    /// [`Error::Argument`] for a channel axis that does not fit.
    pub fn of(model: impl Into<Cow<'m, Model>>, hints: &Hints) -> Result<Self, Error> {
        let mut model = model.into();
        weights::check(&model)?;
        if let Some(bare) = strip::bare(&model)? {
            model = Cow::Owned(bare);
        }
        let input = image_input(&model, hints.image.as_deref())?;
        let open = declared(input).iter().skip(1).any(Option::is_none);
        let image = input.name().to_owned();
        let (shape, others) = (hints.image_shape.as_deref(), hints.other_shapes.as_slice());
        let mut shapes = Shapes::infer_beside(&model, &image, shape, others)?;
        if let (Some(Error::Invalid { at, what }), Some(shape), true) = (&shapes.fault, shape, open) {
            // It is the size that does not fit, and not the network that is wrong.
            return Err(Error::Argument(format!("the network does not take {image:?} as {shape:?}: {at}: {what}")));
        }
        memory::check(&model, &shapes, hints.memory)?;
        let mut score = score::read(&model, &shapes, &hints.scores)?;
        if let Some(why) = shapes.one_for_all(&model, &score.logits) {
            if shapes.free_batch() {
                let Some(&n) = shape.and_then(<[usize]>::first) else {
                    let shape = shape::show(&shapes.dims(&image).unwrap_or_default());
                    return Err(Error::OpenSample { image, shape, node: why });
                };
                shapes = Shapes::infer_of(&model, &image, (shape, others), n)?;
            }
            shapes.one_sample = Some(why);
            score = score::read(&model, &shapes, &hints.scores)?;
        }
        let shapes = shapes.with_image_channels(hints.image_channels)?;
        let hints = hints.clone();
        Ok(Analysis {
            model,
            hints,
            image,
            shapes,
            score,
            places: OnceLock::new(),
            fields: OnceLock::new(),
            channels: OnceLock::new(),
        })
    }

    /// The network, bare of attached maps.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What was said of the network.
    pub fn hints(&self) -> &Hints {
        &self.hints
    }

    /// Which axis of each value counts channels, as far as the operators before it tell.
    pub fn channel_axes(&self) -> &HashMap<String, usize> {
        self.channels.get_or_init(|| channel_axes(self.model(), &self.shapes, self.places()))
    }

    /// The axis of `value` that is taken to count channels: where the operators before it do not tell, the first behind the
    /// first that does not count images.
    pub fn channels(&self, value: &str) -> usize {
        let images = self.shapes.samples(value).map_or(0, Samples::axis);
        self.channel_axes().get(value).copied().unwrap_or(if images == 1 { 2 } else { 1 })
    }

    /// Where the elements of all values lie in the image; none where that cannot be followed.
    pub(crate) fn places(&self) -> Option<&Places> {
        self.places.get_or_init(|| Places::follow(self.model(), &self.shapes)).as_ref()
    }

    /// What each cell of a layer is computed from, whose axes of space are `space` and lie in the image as `placement` says;
    /// none where that cannot be followed.
    pub(crate) fn receptive_field(
        &self,
        (layer, space): (&str, &[usize]),
        placement: &Placement,
    ) -> Option<ReceptiveField> {
        let follow = || self.places().map(|places| Fields::follow(self.model(), &self.shapes, places));
        let fields = self.fields.get_or_init(follow).as_ref()?;
        fields.of(self.model(), &self.shapes, (layer, space), placement)
    }

    /// Where the image is first a floating-point tensor: the image input itself, or what a Cast makes of integers, perhaps with
    /// axes moved before it. There methods that are made at the image can differentiate. The input where there is no such value.
    pub fn real_image(&self) -> &str {
        let (model, shapes, image) = (self.model(), &self.shapes, self.image.as_str());
        let real = |value: &str| shapes.dtype(value).is_some_and(is_float);
        let mut at = image;
        while !real(at) {
            let mut readers = model.order().map(|(_, n)| n).filter(|n| !shape_only(n) && reads(n).contains(&at));
            let (Some(node), None) = (readers.next(), readers.next()) else { return image };
            let moved = model.card(node).is_some_and(|card| card.renames || card.layout == Layout::Permuted);
            match node.output.first().filter(|_| moved && node.input.first().is_some_and(|i| i == at)) {
                Some(output) => at = output,
                None => return image,
            }
        }
        at
    }
}

/// The input that carries the image: the one called `name`; without a name the first of rank 3 or more, else the first.
///
/// # Errors
/// [`Error::NotFound`] for an unknown name, [`Error::Invalid`] for a model without inputs.
pub fn image_input<'m>(model: &'m Model, name: Option<&str>) -> Result<&'m ValueInfoProto, Error> {
    if let Some(name) = name {
        let missing = || Error::NotFound {
            kind: "input",
            name: name.to_owned(),
            near: near(name, model.inputs().map(|i| i.name())),
        };
        return model.inputs().find(|i| i.name() == name).ok_or_else(missing);
    }
    let wide = model.inputs().find(|i| declared(i).len() >= 3);
    wide.or_else(|| model.inputs().next())
        .ok_or_else(|| Error::Invalid { at: "the file".into(), what: "the network has no input".into() })
}

impl Shapes {
    /// The node, in words, that makes all images of a run one sample, where one does: the entries of `logits` belong to no
    /// image alone.
    fn one_for_all(&self, model: &Model, logits: &str) -> Option<String> {
        if self.count() == Dim::Fixed(1) {
            return None;
        }
        let unknown = || (self.samples(logits).is_none()).then(|| "a node that is not known".to_owned());
        self.mixing(model, logits).or_else(unknown)
    }
}
