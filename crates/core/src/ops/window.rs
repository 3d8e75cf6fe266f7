//! The geometry of a sliding window: kernel, strides, dilations, pads, as convolutions and pools share it.

use crate::error::{Fault, invalid, unsupported};
use crate::graph::Attributes;
use crate::onnx::attribute;
use crate::onnx::messages::AttributeProto;
use ndarray::Dimension;
use std::ops::Range;

/// A window along one axis.
#[derive(Clone, Copy, Debug)]
pub struct Side {
    /// Extent of the kernel.
    pub kernel: usize,
    /// Step between windows.
    pub stride: usize,
    /// Step between the places of one window.
    pub dilation: usize,
    /// Padding before.
    pub begin: usize,
    /// Padding after.
    pub end: usize,
}

impl Side {
    /// How far one window reaches.
    pub fn reach(&self) -> usize {
        (self.kernel - 1) * self.dilation + 1
    }

    /// Parts the pads in two halves; of an odd number there is one more `behind`, else before.
    pub fn pad(&mut self, pads: usize, behind: bool) {
        self.begin = if behind { pads / 2 } else { pads - pads / 2 };
        self.end = pads - self.begin;
    }

    /// How many windows fit into `extent` places, where a last, incomplete one counts with `ceil`.
    fn outputs(&self, extent: usize, ceil: bool) -> Result<usize, Fault> {
        let padded = extent + self.begin + self.end;
        let Some(room) = padded.checked_sub(self.reach()).filter(|_| extent > 0) else {
            return invalid(format!("a window of {} over a padded extent of {padded}", self.reach()));
        };
        let mut windows = if ceil { room.div_ceil(self.stride) } else { room / self.stride } + 1;
        // A window that would start beyond the input and its leading pad is dropped.
        if ceil && (windows - 1) * self.stride >= extent + self.begin {
            windows -= 1;
        }
        if windows > 0 { Ok(windows) } else { invalid(format!("no window fits an extent of {extent}")) }
    }
}

/// A window over the spatial axes, with explicit pads.
#[derive(Clone, Debug)]
pub struct Window {
    /// What it is along each axis.
    pub sides: Vec<Side>,
    /// Whether a last, incomplete window counts.
    ceil: bool,
}

/// The most places of windows that are listed: 800 MB of them.
const MOST_TAPS: usize = 1 << 25;

/// One place of one window: which output it belongs to, which input it reads, which place of the kernel it is; all
/// flat indices over the spatial axes.
#[derive(Clone, Copy, Debug)]
pub struct Tap {
    /// Flat index of the output.
    pub output: usize,
    /// Flat index of the input.
    pub input: usize,
    /// Flat index into the kernel.
    pub kernel: usize,
}

impl Window {
    /// Checks that the pads are given in a way that is known: what a card of windows covers.
    ///
    /// # Errors
    /// [`Fault::Unsupported`] for another `auto_pad`.
    pub fn covers(a: &Attributes) -> Result<(), Fault> {
        a.one_of("auto_pad", "NOTSET", &["NOTSET", "", "VALID", "SAME_UPPER", "SAME_LOWER"])
    }

    /// The window of a node whose kernel has the extents `kernel`, over inputs of the extents `spatial`.
    ///
    /// # Errors
    /// [`Fault::Invalid`] for extents of 0 or lists of the wrong length, [`Fault::Unsupported`] for negative pads.
    pub fn of(a: &Attributes, kernel: &[usize], spatial: &[usize]) -> Result<Self, Fault> {
        let rank = spatial.len();
        let list = |name: &str, default: usize| -> Result<Vec<usize>, Fault> {
            let Some(given) = a.ints(name).filter(|l| !l.is_empty()) else { return Ok(vec![default; rank]) };
            if given.len() != rank {
                return invalid(format!("{name} {given:?} for {rank} spatial axes"));
            }
            let sizes: Option<Vec<usize>> =
                given.iter().map(|&v| usize::try_from(v).ok().filter(|v| (1..1 << 24).contains(v))).collect();
            sizes.ok_or_else(|| Fault::Invalid(format!("{name} {given:?} must be positive")))
        };
        let (strides, dilations) = (list("strides", 1)?, list("dilations", 1)?);
        let places = kernel.iter().try_fold(1usize, |p, &k| p.checked_mul(k).filter(|&p| p < 1 << 24));
        if kernel.len() != rank || places.is_none_or(|p| p == 0) {
            return invalid(format!("a kernel {kernel:?} for {rank} spatial axes"));
        }
        let lists = kernel.iter().zip(strides).zip(dilations);
        let side = |((&kernel, stride), dilation)| Side { kernel, stride, dilation, begin: 0, end: 0 };
        let mut sides: Vec<Side> = lists.map(side).collect();
        match a.string("auto_pad", "NOTSET") {
            "NOTSET" | "" => {
                if let Some(pads) = a.ints("pads").filter(|p| !p.is_empty()) {
                    let sizes: Option<Vec<usize>> =
                        pads.iter().map(|&p| usize::try_from(p).ok().filter(|&p| p < 1 << 24)).collect();
                    let Some(sizes) = sizes else { return unsupported(format!("negative pads {pads:?}")) };
                    let Some((begin, end)) = sizes.split_at_checked(rank).filter(|(_, end)| end.len() == rank) else {
                        return invalid(format!("pads {pads:?} for {rank} spatial axes"));
                    };
                    for (side, (&begin, &end)) in sides.iter_mut().zip(begin.iter().zip(end)) {
                        (side.begin, side.end) = (begin, end);
                    }
                }
            }
            "VALID" => {}
            same @ ("SAME_UPPER" | "SAME_LOWER") => {
                for (side, &extent) in sides.iter_mut().zip(spatial) {
                    let windows = extent.div_ceil(side.stride);
                    let reach = windows.saturating_sub(1) * side.stride + side.reach();
                    side.pad(reach.saturating_sub(extent), same == "SAME_UPPER");
                }
            }
            other => return invalid(format!("auto_pad {other:?}")),
        }
        Ok(Window { sides, ceil: a.int("ceil_mode", 0) != 0 })
    }

    /// The window of a pooling node, whose kernel is an attribute.
    ///
    /// # Errors
    /// As [`Window::of`].
    pub fn of_pool(a: &Attributes, spatial: &[usize]) -> Result<Self, Fault> {
        let kernel: Option<Vec<usize>> =
            a.ints("kernel_shape").and_then(|k| k.iter().map(|&k| usize::try_from(k).ok()).collect());
        match kernel {
            Some(kernel) => Self::of(a, &kernel, spatial),
            None => invalid("kernel_shape is missing or negative"),
        }
    }

    /// Extents of the kernel.
    pub fn kernel(&self) -> Vec<usize> {
        self.sides.iter().map(|s| s.kernel).collect()
    }

    /// Steps between windows.
    pub fn strides(&self) -> Vec<usize> {
        self.sides.iter().map(|s| s.stride).collect()
    }

    /// The places that each of `outputs` windows reads along the axis number `along` of extent `extent`.
    pub fn ranges(&self, along: usize, extent: usize, outputs: usize) -> Option<Vec<Range<usize>>> {
        let side = self.sides.get(along)?;
        let range = |k: usize| {
            let from = k * side.stride;
            from.saturating_sub(side.begin).min(extent)..(from + side.reach()).saturating_sub(side.begin).min(extent)
        };
        Some((0..outputs).map(range).collect())
    }

    /// The places along the axis number `along` whose windows, spread as in a transposed convolution, reach each of `outputs`
    /// places.
    pub fn ranges_transposed(&self, along: usize, extent: usize, outputs: usize) -> Option<Vec<Range<usize>>> {
        let side = self.sides.get(along)?;
        let range = |k: usize| {
            let last = (k + side.begin) / side.stride + 1;
            (k + side.begin + 1).saturating_sub(side.reach()).div_ceil(side.stride).min(extent)..last.min(extent)
        };
        Some((0..outputs).map(range).collect())
    }

    /// How many windows fit along each axis.
    ///
    /// # Errors
    /// [`Fault::Invalid`] when the padded input is smaller than one window.
    pub fn outputs(&self, spatial: &[usize]) -> Result<Vec<usize>, Fault> {
        self.sides.iter().zip(spatial).map(|(side, &extent)| side.outputs(extent, self.ceil)).collect()
    }

    /// The window of the input extents, as a transposed convolution from `outputs` back to `inputs` needs it.
    pub fn transposed(&self, inputs: &[usize], outputs: &[usize]) -> Vec<AttributeProto> {
        let over = |((side, &input), &output): ((&Side, &usize), &usize)| {
            let reached = side.stride * output.saturating_sub(1) + side.reach();
            reached as i64 - side.begin as i64 - input as i64
        };
        let over: Vec<i64> = self.sides.iter().zip(inputs).zip(outputs).map(over).collect();
        let begin = self.sides.iter().map(|s| s.begin as i64);
        let mut attributes = self.geometry(begin.chain(over.iter().map(|&n| n.max(0))).collect());
        if over.iter().any(|&n| n < 0) {
            attributes.push(attribute("output_padding", over.iter().map(|&n| (-n).max(0)).collect::<Vec<_>>()));
        }
        attributes
    }

    /// How many places a window has.
    pub fn places(&self) -> usize {
        self.sides.iter().map(|s| s.kernel).product()
    }

    /// The attributes of a convolution with this window and other pads.
    pub fn geometry(&self, pads: Vec<i64>) -> Vec<AttributeProto> {
        let ints = |of: fn(&Side) -> usize| self.sides.iter().map(|s| of(s) as i64).collect::<Vec<_>>();
        vec![
            attribute("strides", ints(|s| s.stride)),
            attribute("dilations", ints(|s| s.dilation)),
            attribute("pads", pads),
        ]
    }

    /// Every place of every window that lies on the input, in the order of outputs and then of the kernel.
    ///
    /// # Errors
    /// [`Fault::Unsupported`] when there are too many to list.
    pub fn taps(&self, inputs: &[usize], outputs: &[usize]) -> Result<Vec<Tap>, Fault> {
        if outputs.iter().fold(self.places(), |p, &n| p.saturating_mul(n)) > MOST_TAPS {
            return unsupported(format!("windows {:?} at {outputs:?} places, too many to list", self.kernel()));
        }
        let mut taps = Vec::new();
        for (output, at) in ndarray::indices(outputs.to_vec()).into_iter().enumerate() {
            for (kernel, offset) in ndarray::indices(self.kernel()).into_iter().enumerate() {
                let mut along = self.sides.iter().zip(inputs).zip(at.slice().iter().zip(offset.slice()));
                let input = along.try_fold(0, |flat, ((side, &extent), (&at, &offset))| {
                    let place = (at * side.stride + offset * side.dilation).checked_sub(side.begin)?;
                    (place < extent).then_some(flat * extent + place)
                });
                if let Some(input) = input {
                    taps.push(Tap { output, input, kernel });
                }
            }
        }
        Ok(taps)
    }

    /// Whether a single window covers the input, without pads: global pooling spelled as a pool.
    pub fn is_global(&self, spatial: &[usize]) -> bool {
        self.kernel() == spatial && self.sides.iter().all(|s| s.dilation == 1 && s.begin == 0 && s.end == 0)
    }

    /// Whether each window is a single place and none is skipped: a convolution that mixes channels only.
    pub fn is_pointwise(&self) -> bool {
        self.sides.iter().all(|s| s.kernel == 1 && s.stride == 1 && s.begin == 0 && s.end == 0)
    }
}

/// Adds to each output what its window gives: Σ weight · input.
///
/// # Errors
/// [`Fault::Invalid`] for taps of a window over other extents.
pub fn add_windows(taps: &[Tap], weights: &[f64], inputs: &[f64], outputs: &mut [f64]) -> Result<(), Fault> {
    for t in taps {
        let (Some(sum), Some(weight), Some(value)) =
            (outputs.get_mut(t.output), weights.get(t.kernel), inputs.get(t.input))
        else {
            return invalid("a window beyond its input");
        };
        *sum += weight * value;
    }
    Ok(())
}
