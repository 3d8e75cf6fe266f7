//! The inputs that a network takes beside the image, and the one that a target takes with each image.

use crate::error::Error;
use crate::sample::Sample;
use hirescam_core::analysis::Analysis;
use hirescam_core::cam::{self, Target, TargetInput};
use hirescam_core::shape::{Dim, show};
use hirescam_core::tensor::DataType;
use hirescam_engine::{Array, Kind};
use std::sync::Arc;

/// The inputs beside the image, and what they are fed where a sample does not say it.
///
/// An input whose first axis follows the batch is fed one row, for all samples, or a row for each sample; any other input
/// the same array always. A scalar fills an input of any shape.
#[derive(Clone, Debug, Default)]
pub(crate) struct FurtherInputs {
    ports: Vec<FurtherPort>,
    arrays: Vec<Option<Array>>,
    /// The one that is no input of the network's, but of what is explained.
    target: Option<String>,
}

/// An input beside the image.
#[derive(Clone, Debug)]
struct FurtherPort {
    name: String,
    kind: Kind,
    dims: Vec<Dim>,
}

impl FurtherPort {
    /// Whether each image has a row of its own.
    fn follows(&self) -> bool {
        matches!(self.dims.first(), Some(Dim::Batch(1)))
    }

    fn missing(&self) -> Error {
        Error::MissingInput { input: self.name.clone(), kind: self.kind, shape: show(&self.dims) }
    }

    /// The array that `given` stands for.
    fn take(&self, given: &Array) -> Result<Array, Error> {
        let fail = |what: String| Err(Error::Argument(format!("the input {:?}: {what}", self.name)));
        let Some(array) = given.to_kind(self.kind) else {
            return fail(format!("it takes {}, and not all of the {} given are that", self.kind, given.kind()));
        };
        if array.to_f64().iter().any(|v| !v.is_finite()) {
            return fail("it is fed NaN or an infinity".into());
        }
        if array.shape().is_empty() && !self.dims.is_empty() {
            let one: Vec<usize> = self.dims.iter().map(|d| d.per_image()).collect();
            return Ok(array.broadcast(&one).unwrap_or(array));
        }
        let fits = array.shape().len() == self.dims.len()
            && array.shape().iter().zip(&self.dims).enumerate().all(|(axis, (&n, dim))| match dim {
                Dim::Batch(1) if axis == 0 => n > 0,
                dim => n == dim.per_image(),
            });
        if fits { Ok(array) } else { fail(format!("it takes {}, not {:?}", show(&self.dims), array.shape())) }
    }
}

impl FurtherInputs {
    /// The inputs of a network beside its image and the one of `target`, fed with `given`.
    ///
    /// # Errors
    /// [`Error::Argument`] for what does not fit; [`hirescam_core::Error::NotFound`] for one that there is not.
    pub(crate) fn new(analysis: &Analysis, target: &Target, given: &[(String, Array)]) -> Result<Self, Error> {
        let (model, Analysis { shapes, image, .. }) = (analysis.model(), analysis);
        let mut ports = Vec::new();
        for info in model.inputs().filter(|i| i.name() != *image) {
            let name = info.name().to_owned();
            let (Some(dims), Some(kind)) = (shapes.dims(&name), shapes.dtype(&name).and_then(kind)) else {
                let what = "takes what engines cannot be fed, or of no known shape";
                let why = shapes.fault.as_ref().map_or(format!("the input {name:?} {what}"), ToString::to_string);
                return Err(Error::Argument(why));
            };
            ports.push(FurtherPort { name, kind, dims });
        }
        let of_target = cam::target_input(analysis, target);
        let target = of_target.as_ref().map(|input| input.name.clone());
        // Each sample has a row, where the file fixes how many there are as well.
        let of_target = of_target.and_then(|TargetInput { name, dtype, mut dims }| {
            dims.iter_mut().take(1).for_each(|first| *first = Dim::Batch(1));
            Some(FurtherPort { name, kind: kind(dtype)?, dims })
        });
        ports.extend(of_target);
        let mut inputs = FurtherInputs { arrays: Vec::new(), ports, target };
        inputs.are_known(given.iter().map(|(name, _)| name.as_str()))?;
        let of = |port: &FurtherPort| last(given, &port.name).map(|array| port.take(array)).transpose();
        inputs.arrays = inputs.ports.iter().map(of).collect::<Result<_, _>>()?;
        Ok(inputs)
    }

    fn are_known<'a>(&self, mut given: impl Iterator<Item = &'a str>) -> Result<(), Error> {
        let names = || self.ports.iter().map(|p| p.name.as_str());
        match given.find(|name| names().all(|n| n != *name)) {
            Some(name) => {
                let near = hirescam_core::near(name, names());
                let kind = "input beside the image";
                Err(hirescam_core::Error::NotFound { kind, name: name.to_owned(), near }.into())
            }
            None => Ok(()),
        }
    }

    /// Whether what there is, with `own` in its place, serves so many samples.
    ///
    /// # Errors
    /// [`Error::Rows`] for an input with a row for each of another number.
    pub(crate) fn serve(&self, own: &[(String, Arc<Array>)], samples: usize) -> Result<(), Error> {
        for (port, array) in self.ports.iter().zip(&self.arrays).filter(|(port, _)| port.follows()) {
            let rows = last(own, &port.name).map(Arc::as_ref).or(array.as_ref()).map_or(1, rows);
            if rows != 1 && rows != samples {
                return Err(Error::Rows { input: port.name.clone(), rows, samples });
            }
        }
        Ok(())
    }

    /// Whether something is fed to each input, where samples bring nothing of their own.
    ///
    /// # Errors
    /// [`Error::MissingInput`] where not.
    pub(crate) fn are_fed(&self) -> Result<(), Error> {
        let mut all = self.ports.iter().zip(&self.arrays);
        all.find(|(_, array)| array.is_none()).map_or(Ok(()), |(port, _)| Err(port.missing()))
    }

    /// What goes with a sample.
    ///
    /// # Errors
    /// [`Error::Argument`] for an input that is given nothing, what does not fit, no row for this sample, or a target of its own where the
    /// explainer's comes not with each image; [`hirescam_core::Error::NotFound`] for an input that the network has not.
    pub(crate) fn of(&self, sample: &Sample) -> Result<FurtherArrays, Error> {
        self.are_known(sample.inputs.iter().map(|(name, _)| name.as_str()))?;
        if sample.target.is_some() && self.target.is_none() {
            let why = "the sample says what is explained of it, and the target is the same for all: wanted is class-input or seed-input";
            return Err(Error::Argument(why.into()));
        }
        let of = |(port, array): (&FurtherPort, &Option<Array>)| {
            let fail = |what: String| Error::Argument(format!("the input {:?} {what}", port.name));
            let its_row = |array: &Array| {
                let n = rows(array);
                if !port.follows() || n == 1 {
                    return Ok(array.clone());
                }
                let row =
                    sample.row.ok_or_else(|| fail(format!("has {n} rows, and none is said to be this sample's")))?;
                let rows = array.rows(&[row]);
                rows.ok_or_else(|| fail(format!("has {n} rows, and there are {} samples or more", row + 1)))
            };
            let of_target = self.target.as_ref() == Some(&port.name);
            let own = sample.target.as_ref().filter(|_| of_target).or(last(&sample.inputs, &port.name));
            let array = match (own, array) {
                (Some(own), _) => port.take(&its_row(own)?)?,
                (None, Some(array)) => its_row(array)?,
                (None, None) => return Err(port.missing()),
            };
            Ok(FedInput { name: port.name.clone(), array, follows: port.follows(), of_target })
        };
        self.ports.iter().zip(&self.arrays).map(of).collect::<Result<_, _>>().map(FurtherArrays)
    }
}

/// What goes with one sample.
#[derive(Clone, Debug, Default)]
pub(crate) struct FurtherArrays(Vec<FedInput>);

/// What an input is fed.
#[derive(Clone, Debug)]
struct FedInput {
    name: String,
    array: Array,
    /// Whether it has a row for each sample.
    follows: bool,
    /// Whether it is no input of the network's, but of what is explained.
    of_target: bool,
}

impl FurtherArrays {
    /// What the network takes for `n` copies of the sample.
    pub(crate) fn rows(&self, n: usize) -> Vec<(&str, Array)> {
        let own = |fed: &&FedInput| !fed.of_target;
        let of = |fed: &'_ FedInput| fed.together(&vec![&fed.array; n]);
        self.0.iter().filter(own).map(|fed| (fed.name.as_str(), of(fed))).collect()
    }

    /// What the explaining model takes for these samples in one run.
    pub(crate) fn of_all<'a>(samples: &[&'a FurtherArrays]) -> Vec<(&'a str, Array)> {
        let Some(FurtherArrays(first)) = samples.first() else { return Vec::new() };
        let of = |(i, fed): (usize, &'a FedInput)| {
            let all: Vec<&Array> = samples.iter().filter_map(|beside| Some(&beside.0.get(i)?.array)).collect();
            (fed.name.as_str(), fed.together(&all))
        };
        first.iter().enumerate().map(of).collect()
    }

    /// What the target takes with the sample.
    pub(crate) fn of_target(&self) -> Option<&Array> {
        self.0.iter().find(|fed| fed.of_target).map(|fed| &fed.array)
    }
}

impl FedInput {
    /// These arrays of several samples as one.
    fn together(&self, all: &[&Array]) -> Array {
        let together = if self.follows && all.len() > 1 { Array::concatenate(all) } else { None };
        together.unwrap_or_else(|| self.array.clone())
    }
}

/// What is given for `name`; of several the last.
fn last<'a, T>(given: &'a [(String, T)], name: &str) -> Option<&'a T> {
    given.iter().rev().find(|(n, _)| n == name).map(|(_, array)| array)
}

fn rows(array: &Array) -> usize {
    array.shape().first().copied().unwrap_or(1)
}

/// The engines' kind of elements for ONNX's element type.
pub(crate) fn kind(dtype: DataType) -> Option<Kind> {
    Kind::of_onnx(dtype as i32)
}
