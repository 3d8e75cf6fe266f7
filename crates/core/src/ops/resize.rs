//! Resizing: along each axis a matrix R, y = (R₁ ⊗ R₂ ⊗ …)·x, and its transpose back.

use super::transposed::{self, LARGEST, MatrixRow};
use super::{Card, Dependence, Entries, Linearity, Role, apart, case, degree_of_first, fact, tensor};
use crate::error::{Fault, invalid, unsupported};
use crate::graph::{Attributes, axis, extent, extents, with_extent};
use crate::shape::{Dim, Fact};
use crate::tensor::Tensor;
use ndarray::Axis;
use std::collections::HashSet;

/// The cards of this family.
pub const CARDS: &[Card] = &[RESIZE, UPSAMPLE];

/// No axis with more places is resized here, for each has a row of its own.
const LONGEST: usize = 1 << 22;

/// How one axis is resized. Coordinates are in f32 as in the engines, so that ties fall alike.
#[derive(Clone, Copy, Debug)]
struct Sampling {
    axis: usize,
    input: usize,
    output: usize,
    scale: f32,
    /// The part of the input that is read, from 0 to 1, in the mode `tf_crop_and_resize`.
    region: Option<(f32, f32)>,
}

/// The tensors that say how much is resized: region, scales, sizes; empty where there are none.
struct ResizeInputs {
    roi: Vec<f64>,
    scales: Vec<f64>,
    sizes: Vec<f64>,
}

impl ResizeInputs {
    /// From the inputs, which `list` reads, and from the attribute that operator sets before 9 had.
    fn of(a: &Attributes, list: impl Fn(usize) -> Result<Vec<f64>, Fault>) -> Result<Self, Fault> {
        if let Some(scales) = a.get("scales") {
            let scales = scales.floats.iter().map(|&v| v.into()).collect();
            return Ok(ResizeInputs { roi: Vec::new(), scales, sizes: Vec::new() });
        }
        if a.node.op_type() == "Upsample" || a.opset < 11 {
            return Ok(ResizeInputs { roi: Vec::new(), scales: list(1)?, sizes: Vec::new() });
        }
        let roi = if is_crop(a) { list(1)? } else { Vec::new() };
        Ok(ResizeInputs { roi, scales: list(2)?, sizes: list(3)? })
    }
}

fn is_crop(a: &Attributes) -> bool {
    a.string("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize"
}

/// The axes that change, for an input of the shape `x`.
fn samplings(a: &Attributes, x: &[usize], wanted: &ResizeInputs) -> Result<Vec<Sampling>, Fault> {
    let axes: Vec<usize> = match a.ints("axes").filter(|axes| !axes.is_empty()) {
        Some(axes) => axes.iter().map(|&at| axis(at, x.len())).collect::<Result<_, _>>()?,
        None => (0..x.len()).collect(),
    };
    let ResizeInputs { roi, scales, sizes } = wanted;
    let by_size = scales.is_empty();
    let amounts = if by_size { sizes } else { scales };
    if amounts.len() != axes.len() || (is_crop(a) && roi.len() != 2 * axes.len()) {
        return invalid(format!(
            "{} scales, {} sizes, {} axes, a roi of {}",
            scales.len(),
            sizes.len(),
            axes.len(),
            roi.len()
        ));
    }
    let inputs = extents(x, &axes)?;
    let ratios = || inputs.iter().zip(sizes).map(|(&input, &size)| size as f32 / input as f32);
    let common = match a.string("keep_aspect_ratio_policy", "stretch") {
        _ if !by_size => None,
        "stretch" => None,
        "not_larger" => Some(ratios().fold(f32::INFINITY, f32::min)),
        "not_smaller" => Some(ratios().fold(0.0, f32::max)),
        other => return invalid(format!("keep_aspect_ratio_policy {other:?}")),
    };
    let (from, until) = roi.split_at(roi.len() / 2);
    let regions = from.iter().zip(until).map(|(&from, &until)| Some((from as f32, until as f32)));
    let regions = regions.chain(std::iter::repeat(None));
    let (mut all, mut seen) = (Vec::new(), HashSet::new());
    for (((axis, input), &amount), region) in axes.into_iter().zip(inputs).zip(amounts).zip(regions) {
        let (scale, output) = match common {
            Some(scale) => (scale, (scale * input as f32 + 0.5).floor()),
            None if by_size => (amount as f32 / input as f32, amount as f32),
            None => (amount as f32, (amount as f32 * input as f32).floor()),
        };
        let whole = scale.is_finite() && scale > 0.0 && (1.0..2e9).contains(&output);
        if !whole || input == 0 || region.is_some_and(|(from, to)| !from.is_finite() || !to.is_finite()) {
            return invalid(format!("an axis of {input} resized by {scale} to {output}"));
        }
        let output = output as usize;
        if !seen.insert(axis) {
            return invalid(format!("axis {axis} is resized twice"));
        }
        if scale != 1.0 || output != input || region.is_some_and(|r| r != (0.0, 1.0)) {
            all.push(Sampling { axis, input, output, scale, region });
        }
    }
    Ok(all)
}

/// The same, from the facts of the inputs.
fn known_samplings(a: &Attributes, x: &[Option<&Fact>]) -> Result<Vec<Sampling>, Fault> {
    let wanted = ResizeInputs::of(a, |i| match x.get(i).copied().flatten() {
        None => Ok(Vec::new()),
        Some(Fact { value: Some(value), .. }) => Ok(value.data.iter().copied().collect()),
        Some(_) => unsupported(format!("its input {i} is only known at run time")),
    })?;
    samplings(a, &fact(x, 0)?.shape, &wanted)
}

/// The ways from a place of the output to one of the input.
const COORDINATES: &[&str] = &[
    "half_pixel",
    "pytorch_half_pixel",
    "half_pixel_symmetric",
    "align_corners",
    "asymmetric",
    "tf_half_pixel_for_nn",
    "tf_crop_and_resize",
];

impl Sampling {
    /// Where the output place `to` lies on the input axis; none beyond its ends in the mode `tf_crop_and_resize`.
    fn coordinate(&self, mode: &str, to: usize) -> Result<Option<f32>, Fault> {
        let (input, output, to) = (self.input as f32, self.output as f32, to as f32);
        let half_pixel = (to + 0.5) / self.scale - 0.5;
        let at = match (mode, self.region) {
            ("half_pixel", _) => half_pixel,
            ("pytorch_half_pixel", _) => {
                if self.output > 1 {
                    half_pixel
                } else {
                    0.0
                }
            }
            ("half_pixel_symmetric", _) => input / 2.0 * (1.0 - output / (self.scale * input)) + half_pixel,
            ("align_corners", _) => {
                if self.output > 1 {
                    to * (input - 1.0) / (output - 1.0)
                } else {
                    0.0
                }
            }
            ("asymmetric", _) => to / self.scale,
            ("tf_half_pixel_for_nn", _) => (to + 0.5) / self.scale,
            ("tf_crop_and_resize", Some((from, until))) => {
                let at = if self.output > 1 {
                    from * (input - 1.0) + to * (until - from) * (input - 1.0) / (output - 1.0)
                } else {
                    0.5 * (from + until) * (input - 1.0)
                };
                return Ok((0.0..=input - 1.0).contains(&at).then_some(at));
            }
            (other, _) => return invalid(format!("coordinate_transformation_mode {other:?}")),
        };
        Ok(Some(at))
    }

    /// The rows of R; none where the output is the extrapolation value.
    fn rows(&self, a: &Attributes) -> Result<Vec<Option<MatrixRow>>, Fault> {
        if self.input.max(self.output) > LONGEST {
            return unsupported(format!("{} places resized to {}", self.input, self.output));
        }
        // Before operator set 11 there was one way.
        let old = a.node.op_type() == "Upsample" || a.opset < 11;
        let coordinates = if old { "asymmetric" } else { a.string("coordinate_transformation_mode", "half_pixel") };
        let row: &dyn Fn(f32) -> Result<MatrixRow, Fault> = match a.string("mode", "nearest") {
            "nearest" => &|at| {
                let mode = match old {
                    true if self.scale < 1.0 => "ceil",
                    true => "floor",
                    false => a.string("nearest_mode", "round_prefer_floor"),
                };
                Ok(vec![(nearest(mode, at)?.clamp(0.0, self.input as f64 - 1.0) as usize, 1.0)])
            },
            "linear" => &|at| self.taps(a, at, 1.0, |t| 1.0 - t),
            "cubic" => &|at| self.taps(a, at, 2.0, |t| keys(t, a.float("cubic_coeff_a", -0.75))),
            other => return invalid(format!("the mode {other:?}")),
        };
        (0..self.output).map(|to| self.coordinate(coordinates, to)?.map(row).transpose()).collect()
    }

    /// The places within `reach` of `at`, weighted by their distance. Beyond the ends the axis goes on as at its ends,
    /// or with `exclude_outside` there is nothing.
    fn taps(&self, a: &Attributes, at: f32, reach: f64, weight: impl Fn(f64) -> f64) -> Result<MatrixRow, Fault> {
        let (exclude, antialias) = (a.int("exclude_outside", 0) != 0, a.int("antialias", 0) != 0);
        // Antialiasing widens the kernel over what one output place stands for.
        let shrink = if antialias { f64::from(self.scale.min(1.0)) } else { 1.0 };
        let (at, reach, last) = (f64::from(at), reach / shrink, self.input as i64 - 1);
        if self.output as f64 * (2.0 * reach + 1.0) > LARGEST as f64 {
            return unsupported(format!("{} places resized to {}", self.input, self.output));
        }
        let mut row = MatrixRow::new();
        for i in (at - reach).ceil() as i64..=(at + reach).floor() as i64 {
            let (place, weight) = (i.clamp(0, last), weight((i as f64 - at).abs() * shrink));
            if weight == 0.0 || (exclude && place != i) {
                continue;
            }
            match row.last_mut() {
                Some((before, sum)) if *before == place as usize => *sum += weight,
                _ => row.push((place as usize, weight)),
            }
        }
        if exclude || antialias {
            let sum: f64 = row.iter().map(|(_, w)| w).sum();
            row.iter_mut().for_each(|(_, w)| *w /= sum);
        }
        Ok(row)
    }
}

/// The kernel of cubic convolution at the distance `t` ≤ 2. Keys 1981, doi:10.1109/TASSP.1981.1163711.
fn keys(t: f64, a: f64) -> f64 {
    if t <= 1.0 { ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0 } else { ((t - 5.0) * t + 8.0) * t * a - 4.0 * a }
}

fn nearest(mode: &str, at: f32) -> Result<f64, Fault> {
    let at = f64::from(at);
    Ok(match mode {
        "round_prefer_floor" => (at - 0.5).ceil(),
        "round_prefer_ceil" => (at + 0.5).floor(),
        "floor" => at.floor(),
        "ceil" => at.ceil(),
        other => return invalid(format!("nearest_mode {other:?}")),
    })
}

/// y = x at another size, by the nearest place, or by linear or cubic interpolation; linear in x in each mode.
const RESIZE: Card = Card {
    name: "Resize",
    entries: Entries::Resized,
    covers: |a| {
        a.one_of("mode", "nearest", &["nearest", "linear", "cubic"])?;
        a.one_of("nearest_mode", "round_prefer_floor", &["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])?;
        a.one_of("keep_aspect_ratio_policy", "stretch", &["stretch", "not_larger", "not_smaller"])?;
        a.one_of("coordinate_transformation_mode", "half_pixel", COORDINATES)
    },
    shape: |a, x| {
        let input = fact(x, 0)?;
        let mut shape = input.shape.clone();
        for s in known_samplings(a, x)? {
            shape = with_extent(&shape, s.axis, s.output)?;
        }
        Ok(vec![Fact::new(input.dtype, shape)])
    },
    eval: |a, x| {
        let input = tensor(x, 0)?;
        let mut data = input.data.clone();
        let mut outside = Vec::new();
        let list = |i: usize| Ok(x.get(i).copied().flatten().map_or(Vec::new(), |t| t.data.iter().copied().collect()));
        for s in samplings(a, input.shape(), &ResizeInputs::of(a, list)?)? {
            let rows = s.rows(a)?;
            outside.extend(rows.iter().enumerate().filter(|(_, row)| row.is_none()).map(|(to, _)| (s.axis, to)));
            let rows: Vec<MatrixRow> = rows.into_iter().map(Option::unwrap_or_default).collect();
            data = transposed::multiply(&data, s.axis, &rows)?;
        }
        for (axis, to) in outside {
            data.index_axis_mut(Axis(axis), to).fill(a.float("extrapolation_value", 0.0));
        }
        Ok(vec![Tensor { dtype: input.dtype, data }])
    },
    vjp: Some(|s| {
        let (a, x, y) = (&s.attributes, s.x(0)?, s.y()?);
        let stretched = a.string("keep_aspect_ratio_policy", "stretch") == "stretch";
        let wanted = ResizeInputs::of(a, |i| match s.x.get(i).copied().flatten().map(|v| v.known()) {
            None => Ok(Vec::new()),
            Some(Some(value)) => Ok(value.data.iter().copied().collect()),
            // Sizes that are made from the batch's are those of the output.
            Some(None) if i == 3 && stretched => {
                let axes = a.ints("axes").map_or((0..y.rank() as i64).collect(), <[i64]>::to_vec);
                axes.into_iter().map(|at| Ok(extent(&y.sizes(), y.axis(at)?)? as f64)).collect()
            }
            Some(None) => unsupported(format!("its input {i} is only known at run time")),
        })?;
        let samplings = samplings(a, &x.sizes(), &wanted)?;
        let (from, to) = (x.dims(), y.dims());
        let resized = |axis: usize| samplings.iter().any(|s| s.axis == axis);
        let fits = |(i, (from, to)): (usize, (&Dim, &Dim))| match resized(i) {
            true => matches!(from, Dim::Fixed(_)),
            false => from == to,
        };
        if from.len() != to.len() || !from.iter().zip(&to).enumerate().all(fits) {
            return unsupported("resizing the batch axis");
        }
        let mut d = s.dy()?.with_rank(y.rank());
        for sampling in samplings.iter().rev() {
            let rows: Vec<MatrixRow> = sampling.rows(a)?.into_iter().map(Option::unwrap_or_default).collect();
            d = transposed::unmultiply(d, sampling.axis, &rows, sampling.input)?;
        }
        Ok(vec![Some(d), None, None, None])
    }),
    // A region known at run time only is no linear matter.
    linearity: |_, inputs| match inputs {
        [_, rest @ ..] if rest.iter().any(|&d| d != Dependence::None) => Linearity::Smooth,
        _ => Linearity::Affine,
    },
    degree: |a, x| degree_of_first(a, x).filter(|_| a.float("extrapolation_value", 0.0) == 0.0),
    along: |a, x, input, axis| {
        let moved = || Ok(known_samplings(a, x)?.iter().map(|s| s.axis).collect());
        apart(moved(), input, axis)
    },
    windows: |a, x, axis| {
        let own = known_samplings(a, x).ok()?.into_iter().find(|s| s.axis == axis)?;
        let range = |row: Option<MatrixRow>| match row.unwrap_or_default().as_slice() {
            [(first, _), .., (last, _)] => *first..last + 1,
            [(only, _)] => *only..only + 1,
            [] => 0..0,
        };
        Some(own.rows(a).ok()?.into_iter().map(range).collect())
    },
    role: Role::Movement,
    cases,
    ..Card::BASE
};

/// Resize as it was before operator set 10.
const UPSAMPLE: Card = Card {
    name: "Upsample",
    entries: Entries::Resized,
    cases: || {
        let scales = || floats(&[1.0, 1.0, 2.0, 3.0]);
        vec![
            case().x(&[1, 2, 3, 2]).fixed(scales()).opset(9),
            case().x(&[1, 2, 3, 2]).fixed(scales()).set("mode", "linear").opset(9),
            case().x(&[1, 2, 3, 2]).set("scales", [1.0f32, 1.0, 2.0, 1.5]).opset(7),
        ]
    },
    ..RESIZE
};

fn floats(values: &[f64]) -> Tensor {
    Tensor::float(ndarray::arr1(values).into_dyn())
}

fn cases() -> Vec<super::Case> {
    let none = || floats(&[]);
    let scaled = |scales: &[f64]| case().x(&[1, 2, 4, 5]).absent().fixed(floats(scales));
    let sized = |h: i64, w: i64| case().x(&[1, 2, 4, 5]).absent().absent().list(&[1, 2, h, w]);
    let cropped = |from: f64, to: f64| {
        let region = floats(&[0.0, 0.0, from, 0.0, 1.0, 1.0, to, 1.0]);
        case().x(&[1, 2, 4, 5]).fixed(region).set("coordinate_transformation_mode", "tf_crop_and_resize")
    };
    let mut all = vec![
        case().x(&[2, 1, 2, 3]).fixed(floats(&[1.0, 1.0, 2.0, 2.0])).opset(10),
        case().x(&[1, 1, 6, 4]).fixed(floats(&[1.0, 1.0, 0.5, 2.0])).set("mode", "linear").opset(10),
        case().x(&[1, 2, 3, 4]).fixed(none()).fixed(none()).list(&[1, 2, 6, 8]).opset(11),
        case().x(&[2, 3, 4]).absent().fixed(floats(&[1.0, 1.0, 2.5])).set("mode", "linear"),
        case()
            .x(&[1, 2, 3, 4, 2])
            .absent()
            .fixed(floats(&[1.0, 1.0, 2.0, 0.5, 1.5]))
            .set("mode", "linear")
            .set("coordinate_transformation_mode", "align_corners"),
        sized(7, 3).set("mode", "cubic").set("cubic_coeff_a", -0.5f32).set("exclude_outside", 1),
        sized(3, 2).set("mode", "linear").set("antialias", 1).opset(18),
        sized(3, 7).set("mode", "cubic").set("antialias", 1).opset(18),
        sized(2, 3).set("mode", "cubic").set("antialias", 1).set("exclude_outside", 1).opset(19),
        case().x(&[1, 2, 4, 5]).absent().fixed(floats(&[2.0, 1.5])).set("axes", [3, -2]).opset(18),
        scaled(&[1.0, 1.0, 1.7, 1.3])
            .set("mode", "linear")
            .set("coordinate_transformation_mode", "half_pixel_symmetric")
            .opset(19),
        cropped(0.2, 1.1).absent().list(&[1, 2, 6, 8]).set("extrapolation_value", 3.0f32),
        cropped(0.1, 0.8).fixed(none()).list(&[1, 2, 3, 9]).set("mode", "linear").opset(11),
    ];
    for policy in ["not_larger", "not_smaller"] {
        let case = case().x(&[1, 1, 4, 6]).absent().absent().list(&[6, 12]).set("axes", [2, 3]).set("mode", "linear");
        all.push(case.set("keep_aspect_ratio_policy", policy).opset(18));
    }
    for coordinates in ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"] {
        for mode in ["linear", "cubic"] {
            let with = |case: super::Case| case.set("mode", mode).set("coordinate_transformation_mode", coordinates);
            all.extend([with(sized(7, 3)), with(scaled(&[1.0, 1.0, 1.5, 0.6]))]);
        }
        for nearest in ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"] {
            let with =
                |c: super::Case| c.set("coordinate_transformation_mode", coordinates).set("nearest_mode", nearest);
            all.extend([with(sized(8, 3)), with(scaled(&[1.0, 1.0, 2.0, 0.6]))]);
        }
    }
    all
}
