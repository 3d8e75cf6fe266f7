//! What the graph alone tells of a network: the image, all shapes, what the axes mean, the score.

use crate::cam::Request;
use crate::score::{self, Score};
use crate::shape::{self, Dim, Shapes};
use crate::{Error, Model, head, memory};

/// What the graph tells, as far as a request leaves it open.
#[derive(Debug)]
pub struct Analysis {
    /// The input that carries the image.
    pub image: String,
    /// The shapes of all values, and what their axes mean.
    pub shapes: Shapes,
    /// The scores.
    pub score: Score,
}

impl Analysis {
    /// Finds the image, the shapes and the score that `request` means.
    ///
    /// Where a node on the way to the score reads several images for one score, all images of a run are one sample: a bag,
    /// the frames of a clip. How many there are is then fixed, to the first extent of the request's image shape.
    ///
    /// # Errors
    /// Those of [`head::image_input`], [`Shapes::infer`], [`memory::check`] and [`score::read`]; [`Error::OpenSample`] for a sample of several
    /// images of which nothing says how many, [`Error::Argument`] for a channel axis that does not fit.
    pub fn of(model: &Model, request: &Request) -> Result<Self, Error> {
        let image = head::image_input(model, request.image.as_deref())?.name();
        let (shape, others) = (request.image_shape.as_deref(), request.other_shapes.as_slice());
        let find = |shapes: &Shapes| score::read(model, shapes, &request.reading());
        let mut shapes = Shapes::infer_beside(model, image, shape, others)?;
        memory::check(model, &shapes, request.memory)?;
        let mut score = find(&shapes)?;
        if let Some(why) = shapes.one_for_all(model, &score.logits) {
            if shapes.free_batch() {
                let Some(&n) = shape.and_then(<[usize]>::first) else {
                    let shape = shape::show(&shapes.dims(image).unwrap_or_default());
                    return Err(Error::OpenSample { image: image.to_owned(), shape, node: why });
                };
                shapes = Shapes::infer_of(model, image, (shape, others), n)?;
            }
            shapes.one_sample = Some(why);
            score = find(&shapes)?;
        }
        let shapes = shapes.with_image_channels(request.image_channels)?;
        Ok(Analysis { image: image.to_owned(), shapes, score })
    }
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
