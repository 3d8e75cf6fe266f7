//! What a network takes beside the image.

use crate::error::Error;
use hirescam_core::Model;
use hirescam_core::shape::show;
use hirescam_core::shape::{Dim, Shapes};
use hirescam_core::tensor::DataType;
use hirescam_engine::{Array, Kind};

/// The inputs beside the image, and what they are fed.
///
/// An input whose first axis follows the batch is fed one row, for all images, or a row for each image; any other input
/// the same array always. A scalar fills an input of any shape.
#[derive(Clone, Debug, Default)]
pub(crate) struct Others {
    ports: Vec<Port>,
    arrays: Vec<Array>,
}

/// An input beside the image.
#[derive(Clone, Debug)]
struct Port {
    name: String,
    kind: Kind,
    dims: Vec<Dim>,
}

impl Port {
    /// Whether each image has a row of its own.
    fn follows(&self) -> bool {
        matches!(self.dims.first(), Some(Dim::Batch(1)))
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

impl Others {
    /// The inputs of `model` beside `image`, fed with `given`.
    ///
    /// # Errors
    /// [`Error::Argument`] for an input that is given nothing, or what does not fit; [`hirescam_core::Error::NotFound`] for
    /// one that the network has not.
    pub(crate) fn new(model: &Model, shapes: &Shapes, image: &str, given: &[(String, Array)]) -> Result<Self, Error> {
        let mut ports = Vec::new();
        for info in model.inputs().filter(|i| i.name() != image) {
            let name = info.name().to_owned();
            let (Some(dims), Some(kind)) = (shapes.dims(&name), shapes.dtype(&name).and_then(kind)) else {
                let what = "takes what engines cannot be fed, or of no known shape";
                let why = shapes.fault.as_ref().map_or(format!("the input {name:?} {what}"), ToString::to_string);
                return Err(Error::Argument(why));
            };
            ports.push(Port { name, kind, dims });
        }
        let names = || ports.iter().map(|p: &Port| p.name.as_str());
        if let Some((name, _)) = given.iter().find(|(name, _)| names().all(|n| n != name)) {
            let near = hirescam_core::near(name, names());
            let kind = "input beside the image";
            return Err(hirescam_core::Error::NotFound { kind, name: name.clone(), near }.into());
        }
        let of = |port: &Port| match given.iter().rev().find(|(name, _)| *name == port.name) {
            Some((_, array)) => port.take(array),
            None => Err(Error::Argument(format!(
                "beside the image the network takes {:?}, {} {}: feed it (--input {}=FILE.npy, or =NUMBER)",
                port.name,
                port.kind,
                show(&port.dims),
                port.name
            ))),
        };
        let arrays = ports.iter().map(of).collect::<Result<_, _>>()?;
        Ok(Others { ports, arrays })
    }

    /// Whether there is a row for each of `images` images, or one for all.
    ///
    /// # Errors
    /// [`Error::Argument`] for an input that has another number.
    pub(crate) fn check_rows(&self, images: usize) -> Result<(), Error> {
        for (port, array) in self.ports.iter().zip(&self.arrays).filter(|(port, _)| port.follows()) {
            let rows = array.shape().first().copied().unwrap_or(1);
            if rows != 1 && rows != images {
                let what = format!("has {rows} rows, and there are {images} images");
                return Err(Error::Argument(format!("the input {:?} {what}", port.name)));
            }
        }
        Ok(())
    }

    /// What goes with a batch of the images of these numbers.
    ///
    /// # Errors
    /// [`Error::Argument`] when an input has several rows, but none for one of the images.
    pub(crate) fn of(&self, images: &[usize]) -> Result<Vec<(&str, Array)>, Error> {
        let mut all = Vec::new();
        for (port, array) in self.ports.iter().zip(&self.arrays) {
            if !port.follows() {
                all.push((port.name.as_str(), array.clone()));
                continue;
            }
            let rows = array.shape().first().copied().unwrap_or(1);
            let which: Vec<usize> = images.iter().map(|&i| if rows == 1 { 0 } else { i }).collect();
            let array = array.rows(&which).ok_or_else(|| {
                let wanted = images.iter().max().map_or(0, |i| i + 1);
                let what = format!("has {rows} rows, and there are {wanted} images or more");
                Error::Argument(format!("the input {:?} {what}", port.name))
            })?;
            all.push((port.name.as_str(), array));
        }
        Ok(all)
    }
}

/// The engines' kind of elements for ONNX's element type.
pub(crate) fn kind(dtype: DataType) -> Option<Kind> {
    Some(match dtype {
        DataType::Float16 => Kind::F16,
        DataType::Float => Kind::F32,
        DataType::Double => Kind::F64,
        DataType::Int8 => Kind::I8,
        DataType::Int16 => Kind::I16,
        DataType::Int32 => Kind::I32,
        DataType::Int64 => Kind::I64,
        DataType::Uint8 => Kind::U8,
        DataType::Uint16 => Kind::U16,
        DataType::Uint32 => Kind::U32,
        DataType::Uint64 => Kind::U64,
        DataType::Bool => Kind::Bool,
        _ => return None,
    })
}

impl Others {
    /// What goes with the image number `image`.
    pub(crate) fn beside(&self, image: usize) -> Beside<'_> {
        Beside { others: self, image }
    }
}

/// What goes with one image.
#[derive(Clone, Copy)]
pub(crate) struct Beside<'a> {
    others: &'a Others,
    image: usize,
}

impl<'a> Beside<'a> {
    /// For `n` copies of the image.
    ///
    /// # Errors
    /// As [`Others::of`].
    pub(crate) fn rows(self, n: usize) -> Result<Vec<(&'a str, Array)>, Error> {
        self.others.of(&vec![self.image; n])
    }
}
