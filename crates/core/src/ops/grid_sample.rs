//! Sampling an image at places that another value names.

use super::transposed::LARGEST;
use super::{Along, Card, Entries, Layout, affine_in_first, case, degree_of_first, fact, tensor};
use crate::build::Value;
use crate::error::{Fault, invalid, unsupported};
use crate::graph::Attributes;
use crate::shape::{Dim, Fact};
use crate::tensor::{DataType, Tensor};
use ndarray::{Array3, Axis};

/// The cards of this family.
pub const CARDS: &[Card] = &[GRID_SAMPLE];

/// What stands for places beyond the ends of an axis.
#[derive(Clone, Copy, PartialEq)]
enum Padding {
    Zeros,
    Border,
    Reflection,
}

/// One axis of the image: its extent, and where the coordinates −1 and 1 lie on it.
struct SampledAxis {
    extent: usize,
    low: f64,
    high: f64,
}

impl SampledAxis {
    fn of(a: &Attributes, extent: usize) -> Self {
        let edge = if a.int("align_corners", 0) != 0 { 0.0 } else { 0.5 };
        SampledAxis { extent, low: -edge, high: extent as f64 - 1.0 + edge }
    }

    fn length(&self) -> f64 {
        self.high - self.low
    }

    /// A coordinate beyond the ends, mirrored at them until it lies between.
    fn reflected(&self, at: f64) -> f64 {
        let length = self.length();
        if length == 0.0 {
            self.low
        } else {
            self.low + length - (length - (at - self.low).rem_euclid(2.0 * length)).abs()
        }
    }

    /// The places that make the value at the coordinate `at` (−1 … 1), and their weights.
    fn taps(&self, at: f64, padding: Padding, nearest: bool) -> Vec<(usize, f64)> {
        let last = self.extent as f64 - 1.0;
        let mut at = self.low + (at + 1.0) / 2.0 * self.length();
        if nearest {
            at = at.round_ties_even();
        }
        match padding {
            Padding::Zeros => {}
            Padding::Border => at = at.clamp(0.0, last),
            Padding::Reflection => at = self.reflected(at).clamp(0.0, last),
        }
        let (below, part) = (at.floor(), at - at.floor());
        let taps =
            if nearest { vec![(at.round_ties_even(), 1.0)] } else { vec![(below, 1.0 - part), (below + 1.0, part)] };
        taps.into_iter().filter(|(p, w)| *w > 0.0 && (0.0..=last).contains(p)).map(|(p, w)| (p as usize, w)).collect()
    }

    /// The weights of all places for the coordinates `at [N, O, 1]`: `[N, O, extent]`.
    fn weights<'g>(&self, at: Value<'g>, padding: Padding) -> Value<'g> {
        let (length, last) = (self.length(), self.extent as f64 - 1.0);
        let mut at = (at + 1.0) * (length / 2.0) + self.low;
        let whole = |v: Value<'g>| v.cast(DataType::Int64).cast(v.dtype());
        let size = |v: Value<'g>| v.lt(v.scalar(0.0)).select(-v, v);
        if padding == Padding::Reflection {
            if length == 0.0 {
                at = at * 0.0;
            } else {
                // How often the axis was left, and how far the coordinate then went.
                let far = size(at - self.low);
                let times = whole(far / length);
                let rest = far - times * length;
                let back = (times - whole(times / 2.0) * 2.0).gt(at.scalar(0.5));
                at = back.select(rest.scalar(length) - rest, rest) + self.low;
            }
        }
        if padding != Padding::Zeros {
            at = at.lt(at.scalar(0.0)).select(at.scalar(0.0), at);
            at = at.gt(at.scalar(last)).select(at.scalar(last), at);
        }
        let places = at.tensor(ndarray::Array1::from_iter((0..self.extent).map(|p| p as f64)).into_dyn());
        let weight = at.scalar(1.0) - size(at - places);
        weight.where_gt(0.0, weight)
    }
}

fn padding(a: &Attributes) -> Result<Padding, Fault> {
    Ok(match a.string("padding_mode", "zeros") {
        "zeros" => Padding::Zeros,
        "border" => Padding::Border,
        "reflection" => Padding::Reflection,
        other => return invalid(format!("padding_mode {other:?}")),
    })
}

/// The extents of space and of the places, for an image and coordinates of these shapes.
fn geometry<'s>(image: &'s [usize], grid: &'s [usize]) -> Result<(&'s [usize], &'s [usize]), Fault> {
    match (image, grid) {
        ([n, _, space @ ..], [images, places @ .., axes])
            if n == images
                && *axes == space.len()
                && places.len() == space.len()
                && !space.is_empty()
                && !space.contains(&0) =>
        {
            Ok((space, places))
        }
        _ => invalid(format!("an image of the shape {image:?} at places {grid:?}")),
    }
}

/// y[n, c, p] = x[n, c] at the coordinates grid[n, p], from −1 to 1, the last axis first; between places by
/// interpolation. Jaderberg et al. 2015, arXiv:1506.02025.
///
/// Linear interpolation is a product with the matrix of weights max(0, 1 − distance), one factor for each axis; the
/// cotangent is multiplied by the same matrix.
const GRID_SAMPLE: Card = Card {
    name: "GridSample",
    entries: Entries::Sampled,
    covers: |a| {
        padding(a)?;
        a.one_of("mode", "linear", &["linear", "bilinear", "nearest"])
    },
    shape: |_, x| {
        let (image, grid) = (fact(x, 0)?, fact(x, 1)?);
        let (_, places) = geometry(&image.shape, &grid.shape)?;
        let shape: Vec<usize> = image.shape.iter().take(2).chain(places).copied().collect();
        Ok(vec![Fact::new(image.dtype, shape)])
    },
    eval: |a, x| {
        let (image, grid) = (tensor(x, 0)?, tensor(x, 1)?);
        let nearest = a.string("mode", "linear") == "nearest";
        let (padding, (space, places)) = (padding(a)?, geometry(image.shape(), grid.shape())?);
        let spans: Vec<SampledAxis> = space.iter().map(|&n| SampledAxis::of(a, n)).collect();
        let (n, c) = (image.data.len_of(Axis(0)), image.data.len_of(Axis(1)));
        let (size, count) = (space.iter().product::<usize>(), places.iter().product::<usize>());
        let shape: Vec<usize> = image.shape().iter().take(2).chain(places).copied().collect();
        let wrong = |e: ndarray::ShapeError| Fault::Invalid(e.to_string());
        let pixels = image.data.to_shape((n, c, size)).map_err(wrong)?;
        let places = grid.data.to_shape((n, count, space.len())).map_err(wrong)?;
        let mut y = Array3::zeros((n, c, count));
        for ((pixels, places), mut y) in pixels.outer_iter().zip(places.outer_iter()).zip(y.outer_iter_mut()) {
            for (place, y) in places.outer_iter().zip(y.axis_iter_mut(Axis(1))) {
                let taps = spans.iter().zip(place.iter().rev()).fold(vec![(0, 1.0)], |all, (span, &at)| {
                    let next = span.taps(at, padding, nearest);
                    let with = |&(flat, weight): &(usize, f64)| {
                        next.iter().map(move |(p, w)| (flat * span.extent + p, weight * w)).collect::<Vec<_>>()
                    };
                    all.iter().flat_map(with).collect()
                });
                for (y, pixels) in y.into_iter().zip(pixels.outer_iter()) {
                    let met = taps.iter().map(|(flat, weight)| Some(pixels.get(*flat)? * weight));
                    *y = met.sum::<Option<f64>>().ok_or_else(|| Fault::Invalid("a place beyond the image".into()))?;
                }
            }
        }
        let data = y.into_shape_with_order(shape).map_err(wrong)?;
        Ok(vec![Tensor { dtype: image.dtype, data }])
    },
    vjp: Some(|s| {
        let (a, x, grid) = (&s.attributes, s.x(0)?, s.x(1)?);
        if a.string("mode", "linear") == "nearest" {
            return unsupported("the derivative of sampling the nearest place");
        }
        let (dims, sizes, axes) = (x.dims(), x.sizes(), x.rank().saturating_sub(2));
        let count: usize = s.y()?.sizes().iter().skip(2).product();
        if sizes.iter().skip(2).fold(count, |p, &n| p.saturating_mul(n)) > LARGEST {
            let space = sizes.get(2..).unwrap_or(&[]);
            return unsupported(format!("sampling {space:?} places at {count}: too many for a matrix"));
        }
        let (lead, count) = (dims.get(..1).unwrap_or(&[]), [Dim::Fixed(count)]);
        let at = grid.cast(x.dtype()).reshape(&[lead, &count, &[Dim::Fixed(axes)]].concat());
        let mut matrix = None;
        for (axis, &extent) in sizes.iter().skip(2).enumerate() {
            let last = (axes - 1 - axis) as i64;
            let weights = SampledAxis::of(a, extent).weights(at.slice(2, last, last + 1, 1), padding(a)?);
            matrix = Some(match matrix {
                None => weights,
                Some(all) => {
                    let all: Value = all;
                    let before: usize = all.sizes().iter().skip(2).product();
                    let (row, one) =
                        (all.reshape(&[lead, &count, &[Dim::Fixed(before), Dim::Fixed(1)]].concat()), [Dim::Fixed(1)]);
                    let product = row * weights.reshape(&[lead, &count, &one, &[Dim::Fixed(extent)]].concat());
                    product.reshape(&[lead, &count, &[Dim::Fixed(before * extent)]].concat())
                }
            });
        }
        let matrix = matrix.ok_or_else(|| Fault::Invalid("an image without axes of space".into()))?;
        let dy = s.full_dy()?.reshape(&[dims.get(..2).unwrap_or(&[]), &count].concat());
        Ok(vec![Some(dy.matmul(matrix).reshape(&dims)), None])
    }),
    linearity: affine_in_first,
    degree: degree_of_first,
    layout: Layout::ChannelsFirst,
    along: |_, _, input, axis| match (input, axis) {
        (0 | 1, 0) => Along::To(0),
        (0, 1) => Along::To(1),
        (0, axis) => Along::Moved(axis),
        _ => Along::Unknown,
    },
    limits: "by the image, with linear interpolation",
    cases: || {
        let mut all = Vec::new();
        for padding in ["zeros", "border", "reflection"] {
            for align in [0, 1] {
                let with = |c: super::Case| c.set("padding_mode", padding).set("align_corners", align);
                all.push(with(case().x(&[2, 3, 4, 5]).w_in(&[2, 3, 2, 2], -1.9, 1.9)));
                all.push(with(case().x(&[1, 2, 1, 3]).w_in(&[1, 2, 4, 2], -4.0, 4.0)));
            }
        }
        all.push(case().x(&[1, 2, 3, 2, 4]).w_in(&[1, 2, 2, 3, 3], -1.5, 1.5).set("mode", "linear").opset(20));
        all
    },
    ..Card::BASE
};
