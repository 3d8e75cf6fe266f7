//! Scores of changed images, and of activations with places taken out: what is asked of a network to see whether a map is right.

use crate::error::Error;
use crate::explainer::with_setup;
use crate::further_inputs::{FurtherArrays, FurtherInputs};
use crate::methods::cut::{BodyOutput, CutNetwork, GradientUse, Setup, at_mut};
use crate::network::Network;
use crate::sample::{Input, Sample};
use crate::spec::Spec;
use crate::watch::Stop;
use hirescam_core::score::Score;
use ndarray::{Array2, ArrayD, ArrayViewD, Axis, IxDyn};

/// A network made ready to score changed versions of images of one shape.
///
/// It is cut at a layer, or at the image: what lies before runs once a sample, what lies behind once for each change, so many at
/// a time as the spec's settings say. The scores are the logits, one a class.
pub struct Scorer {
    cut: CutNetwork,
    score: Score,
    further: FurtherInputs,
}

impl Network {
    /// Makes the network ready to score changes at `layer`, or of the image where no layer is named. Where the file leaves the image's shape open, the spec
    /// has to say it.
    ///
    /// # Errors
    /// [`Error::Argument`] for a network with other scores than one a class, or that does not keep the images of a run apart;
    /// otherwise as [`Network::explainer`].
    pub fn scorer(&self, spec: &Spec, layer: Option<&str>) -> Result<Scorer, Error> {
        let options = spec.resolve(self)?;
        options.spec.settings.check()?;
        let engine = options.spec.engine.start()?;
        let analysis = self.analysis(&options)?;
        if analysis.score.is_dense() {
            return Err(Error::Argument(format!(
                "the output {:?} holds {:?} scores for each image and not one a class",
                analysis.score.output, analysis.score.dims
            )));
        }
        with_setup(&analysis, &options, engine.as_ref(), |setup: &Setup| {
            let layer = layer.unwrap_or(setup.analysis.real_image()).to_owned();
            // Only of the layer it is known what the spec says of one.
            let given = match layer == setup.analysis.real_image() {
                true => (None, None),
                false => (options.spec.channel_axis, options.grid()),
            };
            Ok(Scorer {
                cut: CutNetwork::new(setup, &layer, given, GradientUse::Nothing)?,
                score: setup.analysis.score.clone(),
                further: setup.further.clone(),
            })
        })
    }
}

impl Network {
    /// The label of each class of the scores, blank where none is known. Where the file leaves the image's shape open and the spec does not say it,
    /// there are as many classes as labels.
    ///
    /// # Errors
    /// As [`Network::explainer`].
    pub fn class_labels(&self, spec: &Spec) -> Result<Vec<String>, Error> {
        let options = spec.resolve(self)?;
        let score = match (self.analysis(&options), &options.labels) {
            (Err(Error::Core(hirescam_core::Error::OpenShape { .. })), Some(labels)) => {
                return Ok(labels.names().to_vec());
            }
            (analysis, _) => analysis?.score.clone(),
        };
        let labels = options.labels.as_ref().map(|labels| labels.of(&score)).transpose()?.flatten();
        let label = |class| labels.as_ref().and_then(|labels| labels.get(class)).unwrap_or_default().to_owned();
        Ok((0..score.classes).map(label).collect())
    }
}

impl Scorer {
    /// Where the scores stand in the network, and what is known of them.
    pub fn score(&self) -> &Score {
        &self.score
    }

    /// Where changes are made.
    pub fn layer(&self) -> &str {
        &self.cut.layer
    }

    /// The extents of what is changed, of one image.
    pub fn shape(&self) -> &[usize] {
        &self.cut.dims
    }

    /// Which of these axes counts channels.
    pub fn channels(&self) -> usize {
        self.cut.channels
    }

    /// What changes of a sample start from: its activation at the layer. Where no layer was named it is the image; of a network that takes
    /// integers what it makes floating-point numbers of, perhaps with axes moved before that.
    ///
    /// # Errors
    /// [`Error::Argument`] for a sample that is no tensor; [`Error::Engine`].
    pub fn activation(&self, sample: &Sample) -> Result<ArrayD<f32>, Error> {
        self.on(sample, |state| Ok(state.activation.clone()))
    }

    /// The logits, `[N, classes]`, of activations `[N, …]` that stand in the place of the sample's own: of images, where no layer was
    /// named. What the network takes beside the image is the sample's.
    ///
    /// # Errors
    /// [`Error::Argument`] for activations of another shape, or a sample that is no tensor; [`Error::Engine`].
    pub fn logits(&self, sample: &Sample, activations: ArrayViewD<'_, f32>) -> Result<Array2<f32>, Error> {
        if activations.shape().get(1..) != Some(self.cut.dims.as_slice()) {
            return Err(Error::Argument(format!(
                "{:?} has the shape {:?} for each image, and what is to be scored {:?}",
                self.cut.layer,
                self.cut.dims,
                activations.shape()
            )));
        }
        let n = activations.len_of(Axis(0));
        let mut logits = Vec::with_capacity(n * self.score.classes);
        let mut make = |start: usize, count: usize, rows: usize| {
            if rows == count {
                return activations.slice_axis(Axis(0), (start..start + count).into()).to_owned();
            }
            // Rows that a run needs beyond are copies of the last.
            let numbers: Vec<usize> = (0..rows).map(|i| start + i.min(count.saturating_sub(1))).collect();
            activations.select(Axis(0), &numbers)
        };
        self.on(sample, |state| self.cut.scores_of(state, n, &mut make, &mut |_, row| logits.extend_from_slice(row)))?;
        let classes = logits.len().checked_div(n).unwrap_or(0);
        Array2::from_shape_vec((n, classes), logits).map_err(|error| Error::Argument(error.to_string()))
    }

    /// What the score of each class loses when the layer is set to 0 at a single place: s − s(place set to 0), for each cell of a map of the
    /// shape `shape`, as maps at the layer have it.
    ///
    /// # Errors
    /// As [`Scorer::logits`]; [`Error::NotFinite`].
    pub fn contributions(
        &self,
        sample: &Sample,
        classes: &[usize],
        shape: &[usize],
    ) -> Result<Vec<ArrayD<f64>>, Error> {
        let cells: Vec<IxDyn> = ArrayD::from_elem(shape, ()).indexed_iter().map(|(at, ())| at).collect();
        let mut rows: Vec<Vec<f64>> = classes.iter().map(|_| Vec::with_capacity(cells.len() + 1)).collect();
        self.on(sample, |state| {
            let change = |i: usize, a: ndarray::ArrayViewMutD<'_, f32>| {
                // The first is left as it is, so that one session makes both sides of each difference.
                if let Some(cell) = i.checked_sub(1).and_then(|i| cells.get(i)) {
                    at_mut(a, &self.cut.space, &self.cut.place(cell)).fill(0.0);
                }
            };
            self.cut.scores(state, cells.len() + 1, change, |_, logits| {
                for (row, class) in rows.iter_mut().zip(classes) {
                    row.push(logits.get(*class).copied().map_or(f64::NAN, f64::from));
                }
            })
        })?;
        let lost = |row: Vec<f64>| {
            if let Some(&value) = row.iter().find(|s| !s.is_finite()) {
                return Err(Error::NotFinite { what: "score without a place", value });
            }
            let (whole, without) = row.split_first().unwrap_or((&f64::NAN, &[]));
            let changes = without.iter().map(|s| whole - s).collect();
            ArrayD::from_shape_vec(shape, changes).map_err(|error| Error::Argument(error.to_string()))
        };
        rows.into_iter().map(lost).collect()
    }

    /// Hands over what lies before the layer, of a sample.
    fn on<T>(&self, sample: &Sample, then: impl FnOnce(&BodyOutput<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let Input::Tensor(tensor) = &sample.image else {
            return Err(Error::Argument("what is scored is a tensor: prepare the photo first".into()));
        };
        let kind = self.cut.image_kind();
        let image = tensor.to_kind(kind).ok_or(Error::Kind { kind, given: tensor.kind(), value: f64::NAN })?;
        let beside: FurtherArrays = self.further.of(sample)?;
        then(&self.cut.state(&image, &beside, Stop::default())?)
    }
}
