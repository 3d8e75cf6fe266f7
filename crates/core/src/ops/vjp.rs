//! A node whose vjp is asked for, and what rules have in common.

use crate::build::Value;
use crate::error::{Fault, unsupported};
use crate::graph::Attributes;
use crate::shape::Dim;

/// A node whose vjp is asked for, as its rule sees it.
pub struct Vjp<'g, 'a> {
    /// The node's attributes.
    pub attributes: Attributes<'a>,
    /// The inputs.
    pub x: Vec<Option<Value<'g>>>,
    /// Whether each input depends smoothly on the layer, so that its cotangent is asked for.
    pub smooth: Vec<bool>,
    /// The outputs.
    pub y: Vec<Value<'g>>,
    /// The cotangents of the outputs, `None` where nothing depends on that output. Each broadcasts to its output: an
    /// extent of 1 stands for the same cotangent all along the axis.
    pub dy: Vec<Option<Value<'g>>>,
}

impl<'g> Vjp<'g, '_> {
    /// Input `i`.
    ///
    /// # Errors
    /// [`Fault::Invalid`] when the node does not have it.
    pub fn x(&self, i: usize) -> Result<Value<'g>, Fault> {
        self.x.get(i).copied().flatten().ok_or_else(|| Fault::Invalid(format!("input {i} is missing")))
    }

    /// The first output.
    ///
    /// # Errors
    /// [`Fault::Invalid`] when the node has none.
    pub fn y(&self) -> Result<Value<'g>, Fault> {
        self.y.first().copied().ok_or_else(|| Fault::Invalid("it has no output".into()))
    }

    /// The cotangent of the first output, possibly with extents of 1 that stand for the whole axis.
    ///
    /// # Errors
    /// [`Fault::Unsupported`] when only other outputs lead to the score.
    pub fn dy(&self) -> Result<Value<'g>, Fault> {
        self.dy
            .first()
            .copied()
            .flatten()
            .ok_or_else(|| Fault::Unsupported("the derivative by another output than its first".into()))
    }

    /// The cotangent of the first output in that output's whole shape.
    ///
    /// # Errors
    /// As [`Vjp::dy`].
    pub fn full_dy(&self) -> Result<Value<'g>, Fault> {
        Ok(self.dy()?.expand_as(self.y()?))
    }

    /// The cotangent of the first output in that output's rank, written out along `axes`. Along the others an extent of 1
    /// may stand for the whole axis.
    ///
    /// # Errors
    /// As [`Vjp::dy`].
    pub fn dy_along(&self, axes: &[usize]) -> Result<Value<'g>, Fault> {
        let (y, dims) = (self.y()?, self.y()?.dims());
        let dy = self.dy()?.with_rank(dims.len());
        let own = dy.dims();
        let wanted = |(axis, (whole, own)): (usize, (&Dim, &Dim))| match whole {
            _ if whole == own || !axes.contains(&axis) => Some(1),
            Dim::Fixed(n) => Some(*n as i64),
            Dim::Batch(_) => None,
        };
        let shape = dims.iter().zip(&own).enumerate().map(wanted).collect::<Option<Vec<_>>>();
        Ok(shape.map_or_else(|| dy.expand_as(y), |shape| dy.expand(&shape)))
    }

    /// The extents of the first input along `axes`, for a mean over them.
    ///
    /// # Errors
    /// [`Fault::Unsupported`] when the images of a batch would be mixed: their maps would not be their own.
    pub fn sizes_within_image(&self, axes: &[usize]) -> Result<Vec<usize>, Fault> {
        axes.iter().map(|&axis| self.size_within_image(axis)).collect()
    }

    /// The same along one axis.
    ///
    /// # Errors
    /// As [`Vjp::sizes_within_image`].
    pub fn size_within_image(&self, axis: usize) -> Result<usize, Fault> {
        match self.x(0)?.dims().get(axis) {
            Some(Dim::Fixed(n)) => Ok(*n),
            _ => unsupported("a mean over the images of a batch; a batch fixed to 1 in the file helps"),
        }
    }

    /// Sums `d`, which broadcasts to the output, over the axes along which input `i` was broadcast.
    ///
    /// # Errors
    /// [`Fault::Invalid`] when the node does not have the input.
    pub fn unbroadcast(&self, d: Value<'g>, i: usize) -> Result<Value<'g>, Fault> {
        let (x, y) = (self.x(i)?.dims(), self.y()?.dims());
        let lead = y.len().saturating_sub(x.len());
        let mut d = d.with_rank(y.len());
        let (mut sum, mut times) = (Vec::new(), 1.0);
        let broadcast = |axis: &usize| {
            let extent = y.get(*axis);
            *axis < lead || (x.get(*axis - lead) == Some(&Dim::Fixed(1)) && extent != Some(&Dim::Fixed(1)))
        };
        let axes: Vec<usize> = (0..y.len()).filter(broadcast).collect();
        // How often a number stands along the batch is not known beforehand.
        let own = d.dims();
        let short = |&a: &usize| own.get(a) == Some(&Dim::Fixed(1)) && matches!(y.get(a), Some(Dim::Batch(_)));
        if axes.iter().any(short) {
            d = d.expand_as(self.y()?);
        }
        for axis in axes {
            match (d.dims().get(axis), y.get(axis)) {
                (Some(Dim::Fixed(1)), Some(Dim::Fixed(n))) => times *= *n as f64,
                _ => sum.push(axis),
            }
        }
        if !sum.is_empty() {
            d = d.reduce_sum(&sum, true);
        }
        if times != 1.0 {
            d = d * times;
        }
        Ok(if lead > 0 { d.drop_leading(lead) } else { d })
    }
}
