//! A sample: one thing to explain.

use crate::photo::Photo;
use hirescam_engine::Array;
use std::sync::Arc;

/// One thing to explain: an image, and what the network takes beside it.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What it is called; empty where nobody says.
    pub id: String,
    /// The image: one, but where the network makes one score of several.
    pub image: Input,
    /// What inputs beside the image are fed with this one, by name. What is not here is fed as the explainer's options say.
    pub inputs: Vec<(String, Arc<Array>)>,
    /// What is explained of this one, where the explainer's target comes with each image: the classes of `class-input`, the weights of
    /// `seed-input`. It is the same as an input of the name that the explaining model has for it, which depends on the network's own names.
    pub target: Option<Arc<Array>>,
    /// Which row is its own, of inputs that have one for each sample.
    pub row: Option<usize>,
    /// The tensor that it came in with others, and its row there: where the network takes several at once, these are run together, as
    /// they lie there.
    pub(crate) tensor: Option<(Array, usize)>,
}

impl Sample {
    /// A sample of an image alone.
    pub fn new(id: impl Into<String>, image: impl Into<Input>) -> Self {
        Sample { id: id.into(), image: image.into(), inputs: Vec::new(), target: None, row: None, tensor: None }
    }

    /// The same sample, whose row of inputs that have one for each sample is this one.
    pub fn with_row(self, row: usize) -> Self {
        Sample { row: Some(row), ..self }
    }

    /// The same sample, with an input that is fed this.
    pub fn with_input(mut self, name: impl Into<String>, array: impl Into<Arc<Array>>) -> Self {
        self.inputs.push((name.into(), array.into()));
        self
    }

    /// The same sample, of which this is explained.
    pub fn with_target(self, array: impl Into<Arc<Array>>) -> Self {
        Sample { target: Some(array.into()), ..self }
    }

    /// Whether it comes from the same tensor as another.
    pub(crate) fn is_beside(&self, other: &Sample) -> bool {
        matches!((&self.tensor, &other.tensor), (Some((a, _)), Some((b, _))) if a.is_same(b))
    }
}

impl<T: Into<Input>> From<T> for Sample {
    fn from(image: T) -> Self {
        Sample::new("", image)
    }
}

/// The image of a sample.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Input {
    /// A photo, to be preprocessed.
    Photo(Photo),
    /// A tensor in the network's own shape, of numbers of any kind: they are fed as the network's, and none may change by
    /// that but for floating-point numbers that are rounded. Its first axis may hold several images where the network's batch
    /// is free.
    Tensor(Array),
}

impl Input {
    /// The photo, where it is one.
    pub(crate) fn photo(&self) -> Option<&Photo> {
        match self {
            Input::Photo(photo) => Some(photo),
            Input::Tensor(_) => None,
        }
    }
}

impl From<Photo> for Input {
    fn from(photo: Photo) -> Self {
        Input::Photo(photo)
    }
}

impl From<Array> for Input {
    fn from(tensor: Array) -> Self {
        Input::Tensor(tensor)
    }
}
