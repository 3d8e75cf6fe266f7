//! One image of a data set, read and prepared.

use super::failure::Failure;
use super::ready::Ready;
use super::seen::{Seen, Truth};
use hirescam::preprocess::AxisOrder;
use hirescam::{Sample, engine::Array};
use ndarray::ArrayD;

/// Which image is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    /// Where it comes in the evaluation.
    pub(super) index: u64,
    /// Where it stands in the data set.
    pub(super) position: usize,
}

/// What was read.
pub(super) struct Read {
    pub(super) index: u64,
    /// Its name in the data set.
    pub(super) id: String,
    pub(super) image: Result<Prepared, Failure>,
}

/// An image as the network takes it, and what is known of it.
pub(super) struct Prepared {
    /// The network's image, with a first axis of 1.
    pub(super) tensor: ArrayD<f32>,
    /// The same as a sample.
    pub(super) sample: Sample,
    /// Which of the tensor's axes counts channels, without the first.
    pub(super) channels: usize,
    pub(super) seen: Seen,
    /// The classes that it shows, in the order of the data set's.
    pub(super) truths: Vec<Truth>,
}

impl Ready<'_> {
    /// Reads an image and prepares it.
    pub(super) fn read(&self, job: Job) -> Read {
        let id = self.evaluation.data.ids().get(job.position).cloned().unwrap_or_default();
        Read { index: job.index, image: self.prepared(job, &id), id }
    }

    fn prepared(&self, job: Job, id: &str) -> Result<Prepared, Failure> {
        let example = self.evaluation.data.read(job.position)?;
        let explainer = self.methods.any();
        let image = explainer.prepare(&example.photo)?;
        let last = explainer.image().is_some_and(|image| image.layout == AxisOrder::ChannelsLast);
        let channels = if last { image.tensor.ndim().saturating_sub(2) } else { 0 };
        let size = [example.photo.height() as usize, example.photo.width() as usize];
        let seen = Seen::new(image.view, size);
        let truths = seen.truths(&example, size);
        let sample = Sample::new(id, Array::from(image.tensor.clone()));
        Ok(Prepared { tensor: image.tensor, sample, channels, seen, truths })
    }
}

impl Prepared {
    /// The shape of the network's image.
    pub(super) fn shape(&self) -> &[usize] {
        self.tensor.shape()
    }
}
