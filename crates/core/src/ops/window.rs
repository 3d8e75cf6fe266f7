//! The geometry of a sliding window: kernel, strides, dilations, pads, as convolutions and pools share it.

use crate::error::{Fault, invalid, unsupported};
use crate::graph::Attributes;
use crate::onnx::attribute;
use crate::onnx::messages::AttributeProto;

/// A window over the spatial axes, with explicit pads.
#[derive(Clone, Debug)]
pub struct Window {
    /// Extents of the kernel.
    pub kernel: Vec<usize>,
    /// Step between windows.
    pub strides: Vec<usize>,
    /// Step between the places of one window.
    pub dilations: Vec<usize>,
    /// Padding before.
    pub begin: Vec<usize>,
    /// Padding after.
    pub end: Vec<usize>,
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
        let (mut begin, mut end) = (vec![0; rank], vec![0; rank]);
        match a.string("auto_pad", "NOTSET") {
            "NOTSET" | "" => {
                if let Some(pads) = a.ints("pads").filter(|p| !p.is_empty()) {
                    let sizes: Option<Vec<usize>> =
                        pads.iter().map(|&p| usize::try_from(p).ok().filter(|&p| p < 1 << 24)).collect();
                    match sizes {
                        Some(sizes) if sizes.len() == 2 * rank => {
                            begin = sizes[..rank].to_vec();
                            end = sizes[rank..].to_vec();
                        }
                        Some(_) => return invalid(format!("pads {pads:?} for {rank} spatial axes")),
                        None => return unsupported(format!("negative pads {pads:?}")),
                    }
                }
            }
            "VALID" => {}
            same @ ("SAME_UPPER" | "SAME_LOWER") => {
                for axis in 0..rank {
                    let windows = spatial[axis].div_ceil(strides[axis]);
                    let reach = windows.saturating_sub(1) * strides[axis] + (kernel[axis] - 1) * dilations[axis] + 1;
                    let total = reach.saturating_sub(spatial[axis]);
                    begin[axis] = if same == "SAME_UPPER" { total / 2 } else { total - total / 2 };
                    end[axis] = total - begin[axis];
                }
            }
            other => return invalid(format!("auto_pad {other:?}")),
        }
        Ok(Window { kernel: kernel.to_vec(), strides, dilations, begin, end, ceil: a.int("ceil_mode", 0) != 0 })
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

    /// How far one window reaches along `axis`.
    pub fn reach(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilations[axis] + 1
    }

    /// How many windows fit along each axis.
    ///
    /// # Errors
    /// [`Fault::Invalid`] when the padded input is smaller than one window.
    pub fn outputs(&self, spatial: &[usize]) -> Result<Vec<usize>, Fault> {
        let along = |axis: usize| {
            let padded = spatial[axis] + self.begin[axis] + self.end[axis];
            let Some(room) = padded.checked_sub(self.reach(axis)).filter(|_| spatial[axis] > 0) else {
                return invalid(format!("a window of {} over a padded extent of {padded}", self.reach(axis)));
            };
            let step = self.strides[axis];
            let mut windows = if self.ceil { room.div_ceil(step) } else { room / step } + 1;
            // A window that would start beyond the input and its leading pad is dropped.
            if self.ceil && (windows - 1) * step >= spatial[axis] + self.begin[axis] {
                windows -= 1;
            }
            if windows > 0 { Ok(windows) } else { invalid(format!("no window fits an extent of {}", spatial[axis])) }
        };
        (0..spatial.len()).map(along).collect()
    }

    /// The window of the input extents, as a transposed convolution from `outputs` back to `inputs` needs it.
    pub fn transposed(&self, inputs: &[usize], outputs: &[usize]) -> Vec<AttributeProto> {
        let rank = inputs.len();
        let (mut end, mut extra) = (vec![0i64; rank], vec![0i64; rank]);
        for axis in 0..rank {
            let reached = self.strides[axis] * outputs[axis].saturating_sub(1) + self.reach(axis);
            let over = reached as i64 - self.begin[axis] as i64 - inputs[axis] as i64;
            end[axis] = over.max(0);
            extra[axis] = (-over).max(0);
        }
        let begin: Vec<i64> = self.begin.iter().map(|&v| v as i64).collect();
        let mut attributes = self.geometry([begin, end].concat());
        if extra.iter().any(|&e| e > 0) {
            attributes.push(attribute("output_padding", extra));
        }
        attributes
    }

    /// How many places a window has.
    pub fn places(&self) -> usize {
        self.kernel.iter().product()
    }

    /// The attributes of a convolution with this window and other pads.
    pub fn geometry(&self, pads: Vec<i64>) -> Vec<AttributeProto> {
        let ints = |list: &[usize]| list.iter().map(|&v| v as i64).collect::<Vec<_>>();
        vec![
            attribute("strides", ints(&self.strides)),
            attribute("dilations", ints(&self.dilations)),
            attribute("pads", pads),
        ]
    }

    /// Every place of every window that lies on the input, in the order of outputs and then of the kernel.
    ///
    /// # Errors
    /// [`Fault::Unsupported`] when there are too many to list.
    pub fn taps(&self, inputs: &[usize], outputs: &[usize]) -> Result<Vec<Tap>, Fault> {
        if outputs.iter().fold(self.places(), |p, &n| p.saturating_mul(n)) > MOST_TAPS {
            return unsupported(format!("windows {:?} at {outputs:?} places, too many to list", self.kernel));
        }
        let mut taps = Vec::new();
        for (output, at) in ndarray::indices(outputs.to_vec()).into_iter().enumerate() {
            for (kernel, offset) in ndarray::indices(self.kernel.clone()).into_iter().enumerate() {
                let mut input = Some(0usize);
                for axis in 0..inputs.len() {
                    let place = at[axis] * self.strides[axis] + offset[axis] * self.dilations[axis];
                    let inside = place.checked_sub(self.begin[axis]).filter(|&p| p < inputs[axis]);
                    input = input.zip(inside).map(|(flat, p)| flat * inputs[axis] + p);
                }
                if let Some(input) = input {
                    taps.push(Tap { output, input, kernel });
                }
            }
        }
        Ok(taps)
    }

    /// Whether a single window covers the input, without pads: global pooling spelled as a pool.
    pub fn is_global(&self, spatial: &[usize]) -> bool {
        self.kernel == spatial
            && self.dilations.iter().all(|&d| d == 1)
            && self.begin.iter().chain(&self.end).all(|&p| p == 0)
    }

    /// Whether each window is a single place and none is skipped: a convolution that mixes channels only.
    pub fn is_pointwise(&self) -> bool {
        self.kernel.iter().chain(&self.strides).all(|&v| v == 1) && self.begin.iter().chain(&self.end).all(|&p| p == 0)
    }
}
