//! Gathering values by indices and scattering them; each is the other's transpose.

use super::transposed::{LARGEST, ungather};
use super::{Along, Card, Entries, Layout, Linearity, Role, affine, case, degree_of_first, fact, tensor, where_first};
use crate::build::Value;
use crate::error::{Fault, invalid, unsupported};
use crate::graph::{Attributes, around, axis, extent, with_extent};
use crate::shape::{Dim, Fact};
use crate::tensor::{DataType, Tensor};
use ndarray::{Axis, Dimension, IxDyn};

/// The cards of this family.
pub const CARDS: &[Card] = &[GATHER, GATHER_ELEMENTS, GATHER_ND, SCATTER_ELEMENTS, SCATTER_ND];

/// Up to so many entries a matrix of zeros and ones is cheaper than a scatter, and every engine has it.
const SMALL: usize = 1 << 16;

/// Indices of an axis as int64, counted from its start. On the batch axis negative ones stay so.
fn from_start<'g>(indices: Value<'g>, extent: Dim) -> Value<'g> {
    let indices = indices.cast(DataType::Int64);
    match extent {
        Dim::Fixed(n) => indices.lt(indices.scalar(0.0)).select(indices + n as f64, indices),
        Dim::Batch(_) => indices,
    }
}

/// A number of elements, which follows the batch if one of the extents does.
fn product(dims: &[Dim]) -> Dim {
    dims.iter().fold(Dim::Fixed(1), |all, &dim| match (all, dim) {
        (Dim::Fixed(a), Dim::Fixed(b)) => Dim::Fixed(a.saturating_mul(b)),
        (a, b) => Dim::Batch(a.per_image().saturating_mul(b.per_image())),
    })
}

/// Adds each entry of `d` to zeros in the shape of `like`, at the place that `indices` name along `axis`.
///
/// `indices` are int64 and have the rank of `d`, with extents of 1 along axes where they are the same.
///
/// # Errors
/// [`Fault::Unsupported`] where only a scatter with addition would do, which operator sets before 16 do not have.
pub(super) fn scatter_add<'g>(
    d: Value<'g>,
    indices: Value<'g>,
    axis: usize,
    like: Value<'g>,
    opset: i64,
) -> Result<Value<'g>, Fault> {
    let entries = |extent| indices.sizes().iter().fold(extent, |p: usize, &n| p.saturating_mul(n));
    let limit = if opset >= 16 { SMALL } else { LARGEST };
    match like.dims().get(axis) {
        Some(&Dim::Fixed(n)) if entries(n) <= limit => Ok(add_by_matrix(d, indices, axis, like, n)),
        _ if opset >= 16 => Ok(d.zeros_as(like).scatter_elements(indices.expand_as(d), d, axis, true)),
        Some(&Dim::Fixed(n)) => unsupported(format!(
            "so large a choice by indices from {n} places, before operator set 16: convert the network to a newer one"
        )),
        _ => unsupported("indices of the batch axis before operator set 16: convert the network to a newer one"),
    }
}

/// The same as a product with the matrix that has 1 where an index meets its place.
fn add_by_matrix<'g>(d: Value<'g>, indices: Value<'g>, axis: usize, like: Value<'g>, extent: usize) -> Value<'g> {
    let (own, rank) = (indices.dims(), d.rank());
    if own.iter().skip(axis + 1).any(|n| *n != Dim::Fixed(1)) {
        let mut perm: Vec<usize> = (0..rank).collect();
        perm.swap(axis, rank - 1);
        let [d, indices, like] = [d, indices, like].map(|v| v.transpose(&perm));
        return add_by_matrix(d, indices, rank - 1, like, extent).transpose(&perm);
    }
    let dims = d.dims();
    let (Some((lead, [n, tail @ ..])), Some(first)) = (dims.split_at_checked(axis), own.get(..axis)) else { return d };
    let row = indices.reshape(&[first, &[Dim::Fixed(1), *n]].concat());
    let places = d.iota(extent).reshape(&[Dim::Fixed(extent), Dim::Fixed(1)]);
    let sum = row.equal(places).cast(d.dtype()).matmul(d.reshape(&[lead, &[*n, product(tail)]].concat()));
    let sum = sum.reshape(&[lead, &[Dim::Fixed(extent)], tail].concat());
    // Indices may leave out the end of the other axes.
    let (got, wanted) = (sum.sizes(), like.sizes());
    let end: Vec<i64> = got.iter().zip(&wanted).map(|(&g, &w)| w.saturating_sub(g) as i64).collect();
    sum.pad(&vec![0; rank], &end, 0.0)
}

/// y = x[indices] along an axis.
const GATHER: Card = Card {
    name: "Gather",
    entries: Entries::Indexed,
    never_negative: where_first,
    shape: |a, x| {
        let (data, indices) = (fact(x, 0)?, fact(x, 1)?);
        let at = axis(a.int("axis", 0), data.shape.len())?;
        let known = indices.value.as_deref().map(Tensor::to_ints).unwrap_or_default();
        let (before, extent, after) = around(&data.shape, at)?;
        if let Some(i) = known.into_iter().find(|&i| axis(i, extent).is_err()) {
            return invalid(format!("it reads the entry {i} of an axis of {extent}"));
        }
        Ok(vec![Fact::new(data.dtype, [before, &indices.shape, after].concat())])
    },
    eval: |a, x| {
        let (data, indices) = (tensor(x, 0)?, tensor(x, 1)?);
        let at = axis(a.int("axis", 0), data.shape().len())?;
        let (before, extent, after) = around(data.shape(), at)?;
        let places = indices.to_ints().into_iter().map(|i| axis(i, extent)).collect::<Result<Vec<_>, _>>()?;
        let chosen = data.data.select(Axis(at), &places);
        let shape = [before, indices.shape(), after].concat();
        Ok(vec![Tensor::new(data.dtype, &shape, chosen.iter().copied().collect())?])
    },
    vjp: Some(|s| {
        let (x, indices) = (s.x(0)?, s.x(1)?);
        let (dims, at) = (x.dims(), x.axis(s.attributes.int("axis", 0))?);
        let (lead, extent, tail) = around(&dims, at)?;
        if let (Some(indices), Dim::Fixed(n)) = (indices.known(), extent) {
            let rank = indices.shape().len();
            let places = indices.to_ints().into_iter().map(|i| axis(i, n)).collect::<Result<Vec<_>, _>>()?;
            let dy = s.dy_along(&(at..at + rank).collect::<Vec<_>>())?;
            let own = dy.dims();
            let (before, after) = (own.iter().take(at), own.iter().skip(at + rank));
            let joined: Vec<Dim> = before.chain(&[Dim::Fixed(places.len())]).chain(after).copied().collect();
            return Ok(vec![Some(ungather(dy.reshape(&joined), at, &places, n)?), None]);
        }
        let n = product(&indices.dims());
        let d = s.full_dy()?.reshape(&[lead, &[n], tail].concat());
        let one = |dims: &[Dim]| vec![Dim::Fixed(1); dims.len()];
        let places = from_start(indices, extent).reshape(&[one(lead), vec![n], one(tail)].concat());
        Ok(vec![Some(scatter_add(d, places, at, x, s.attributes.opset)?), None])
    }),
    layout: Layout::Other,
    along: |a, x, input, own| {
        let (Ok(data), Ok(indices)) = (fact(x, 0), fact(x, 1)) else { return Along::Unknown };
        match (input, axis(a.int("axis", 0), data.shape.len()), indices.shape.len()) {
            (0, Ok(at), n) if own != at => Along::To(if own < at { own } else { own + n - 1 }),
            (0, Ok(_), 1) => Along::Moved(own),
            (0, Ok(_), _) => Along::Across,
            (1, Ok(at), _) => Along::To(own + at),
            _ => Along::Unknown,
        }
    },
    linearity: affine,
    degree: degree_of_first,
    role: Role::Movement,
    cases: || {
        vec![
            case().x(&[4, 3]).list(&[2, 0]),
            case().x(&[2, 5]).list(&[-1]).set("axis", 1),
            case().x(&[2, 5, 3]).grid(&[], &[1]).set("axis", 1),
            case().x(&[2, 7]).list(&[6, 4, 2]).set("axis", -1).opset(11),
            case().x(&[2, 4, 3]).grid(&[2, 3], &[0, 3, 0, -2, 0, 3]).set("axis", 1),
            case().x(&[2, 3, 4]).list(&[0, 0, 1, 1, 2, 2, 3, 3]).set("axis", 2).opset(10),
        ]
    },
    ..Card::BASE
};

/// The places of `data` that GatherElements and ScatterElements name: for each index its coordinates.
fn element_places(indices: &Tensor, at: usize, data: &[usize]) -> Result<Vec<IxDyn>, Fault> {
    let extent = extent(data, at)?;
    let place = |(coordinates, &index): (IxDyn, &f64)| {
        Ok(IxDyn(&with_extent(coordinates.slice(), at, axis(index as i64, extent)?)?))
    };
    indices.data.indexed_iter().map(place).collect()
}

/// What is said of an index that names no element, where its own shape was not checked.
fn outside() -> Fault {
    Fault::Invalid("its indices name elements that its data does not have".into())
}

/// Whether `indices` name elements of `data` along the axis `at`: no other axis is longer.
fn fits(data: &[usize], indices: &[usize], at: usize) -> Result<(), Fault> {
    let mut extents = indices.iter().zip(data).enumerate();
    let within = data.len() == indices.len() && extents.all(|(i, (index, n))| i == at || index <= n);
    if within { Ok(()) } else { invalid(format!("indices of the shape {indices:?} into {data:?}")) }
}

/// y[i, j, k] = x[indices[i, j, k], j, k], for axis 0 of three.
const GATHER_ELEMENTS: Card = Card {
    name: "GatherElements",
    entries: Entries::IndexedEach,
    shape: |a, x| {
        let (data, indices) = (fact(x, 0)?, fact(x, 1)?);
        fits(&data.shape, &indices.shape, axis(a.int("axis", 0), data.shape.len())?)?;
        Ok(vec![Fact::new(data.dtype, indices.shape.clone())])
    },
    eval: |a, x| {
        let (data, indices) = (tensor(x, 0)?, tensor(x, 1)?);
        let at = axis(a.int("axis", 0), data.shape().len())?;
        let values = element_places(indices, at, data.shape())?.into_iter().map(|p| data.data.get(p).copied());
        let values = values.collect::<Option<_>>().ok_or_else(outside)?;
        Ok(vec![Tensor::new(data.dtype, indices.shape(), values)?])
    },
    vjp: Some(|s| {
        let x = s.x(0)?;
        let at = x.axis(s.attributes.int("axis", 0))?;
        let places = from_start(s.x(1)?, extent(&x.dims(), at)?);
        Ok(vec![Some(scatter_add(s.full_dy()?, places, at, x, s.attributes.opset)?), None])
    }),
    linearity: affine,
    degree: degree_of_first,
    role: Role::Movement,
    layout: Layout::Other,
    along: |a, x, input, own| match fact(x, 0).and_then(|x| axis(a.int("axis", 0), x.shape.len())) {
        Ok(at) if input == 0 && own == at => Along::Across,
        Ok(_) => Along::To(own),
        Err(_) => Along::Unknown,
    },
    cases: || {
        vec![
            case().x(&[3, 2]).grid(&[2, 2], &[2, 0, -1, 0]),
            case().x(&[2, 3, 4]).grid(&[2, 2, 3], &[0, 2, 1, 1, 1, -3, 0, 0, 0, 2, 1, 2]).set("axis", 1),
            case().x(&[2, 3]).grid(&[2, 4], &[0, 2, 1, 1, 1, -3, 0, 0]).set("axis", -1).opset(11),
            case()
                .x(&[1, 3, 5000])
                .grid(&[1, 2, 10], &[1999, 0, 4999, -1, 7, 8, 9, 8, 7, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
                .set("axis", 2),
        ]
    },
    ..Card::BASE
};

/// How GatherND and ScatterND read a value: `batch` axes that go along with the indices', `depth` axes that one tuple
/// of indices chooses from, and the rest, which is moved in one piece.
struct Tuples {
    batch: usize,
    depth: usize,
}

impl Tuples {
    fn of(a: &Attributes, data: &[usize], indices: &[usize]) -> Result<Self, Fault> {
        let batch = usize::try_from(a.int("batch_dims", 0)).unwrap_or(usize::MAX);
        let depth = indices.last().copied().unwrap_or(0);
        let fits = depth > 0
            && batch < indices.len()
            && batch.checked_add(depth).is_some_and(|n| n <= data.len())
            && data.get(..batch) == indices.get(..batch);
        if fits {
            Ok(Tuples { batch, depth })
        } else {
            invalid(format!("indices of the shape {indices:?} into {data:?}"))
        }
    }

    /// The extents of a value: those that go along, those that are chosen from, those that are moved.
    fn split<'s, T>(&self, shape: &'s [T]) -> (&'s [T], &'s [T], &'s [T]) {
        let (batch, rest) = shape.split_at_checked(self.batch).unwrap_or((shape, &[]));
        let (chosen, piece) = rest.split_at_checked(self.depth).unwrap_or((rest, &[]));
        (batch, chosen, piece)
    }

    /// The shape of what the indices choose.
    fn chosen(&self, data: &[usize], indices: &[usize]) -> Vec<usize> {
        let tuples = indices.split_last().map_or(&[][..], |(_, tuples)| tuples);
        [tuples, self.split(data).2].concat()
    }

    /// Where each chosen piece starts among the data's elements, and how long it is.
    fn starts(&self, data: &[usize], indices: &Tensor) -> Result<(Vec<usize>, usize), Fault> {
        let (batch, extents, rest) = self.split(data);
        let (images, piece): (usize, usize) = (batch.iter().product(), rest.iter().product());
        let tuples = indices.to_ints();
        let each = (tuples.len() / self.depth).checked_div(images).unwrap_or(0).max(1);
        let start = |(i, tuple): (usize, &[i64])| {
            let place = tuple.iter().zip(extents).try_fold(i / each, |p, (&i, &n)| Ok(p * n + axis(i, n)?))?;
            Ok(place * piece)
        };
        Ok((tuples.chunks_exact(self.depth).enumerate().map(start).collect::<Result<_, _>>()?, piece))
    }

    /// `x` as `[images, places, piece]`.
    fn flat<'g>(&self, x: Value<'g>) -> Value<'g> {
        let dims = x.dims();
        let (lead, places, piece) = self.split(&dims);
        x.reshape(&[product(lead), product(places), product(piece)])
    }

    /// The place that each tuple names, as `[images, tuples, 1]`.
    fn places<'g>(&self, x: Value<'g>, indices: Value<'g>) -> Result<Value<'g>, Fault> {
        let (dims, own) = (x.dims(), indices.dims());
        let (_, extents, _) = self.split(&dims);
        if extents.iter().skip(1).any(|d| matches!(d, Dim::Batch(_))) {
            return unsupported("tuples of indices with the batch axis not in front");
        }
        let inner = |i: usize| product(extents.get(i..).unwrap_or(&[])).per_image() as i64;
        let strides: Vec<i64> = (1..=self.depth).map(inner).collect();
        // Where the foremost axis is the batch, negative indices of it stay so and count from the end of all places.
        let sizes: Vec<i64> = extents.iter().map(|d| if let Dim::Fixed(n) = d { *n as i64 } else { 0 }).collect();
        let indices = indices.cast(DataType::Int64);
        let graph = indices.graph();
        let positive = indices.lt(indices.scalar(0.0)).select(indices + graph.ints(&sizes), indices);
        let place = if self.depth == 1 {
            positive
        } else {
            (positive * graph.ints(&strides)).reduce_sum(&[own.len().saturating_sub(1)], false)
        };
        let tuples = own.split_last().map_or(&[][..], |(_, tuples)| tuples);
        let (lead, tuples) = tuples.split_at_checked(self.batch).unwrap_or((tuples, &[]));
        Ok(place.reshape(&[product(lead), product(tuples), Dim::Fixed(1)]))
    }
}

/// y[b, i…] = x[b, indices[b, i…, :], …]: tuples of indices that choose pieces.
const GATHER_ND: Card = Card {
    name: "GatherND",
    entries: Entries::IndexedByLists,
    shape: |a, x| {
        let (data, indices) = (fact(x, 0)?, fact(x, 1)?);
        let tuples = Tuples::of(a, &data.shape, &indices.shape)?;
        Ok(vec![Fact::new(data.dtype, tuples.chosen(&data.shape, &indices.shape))])
    },
    eval: |a, x| {
        let (data, indices) = (tensor(x, 0)?, tensor(x, 1)?);
        let tuples = Tuples::of(a, data.shape(), indices.shape())?;
        let (starts, piece) = tuples.starts(data.shape(), indices)?;
        let from: Vec<f64> = data.data.iter().copied().collect();
        let pieces = starts.into_iter().map(|at| from.get(at..at + piece)).collect::<Option<Vec<_>>>();
        let values = pieces.ok_or_else(outside)?.concat();
        Ok(vec![Tensor::new(data.dtype, &tuples.chosen(data.shape(), indices.shape()), values)?])
    },
    vjp: Some(|s| {
        let (x, indices) = (s.x(0)?, s.x(1)?);
        let tuples = Tuples::of(&s.attributes, &x.sizes(), &indices.sizes())?;
        let (like, places) = (tuples.flat(x), tuples.places(x, indices)?);
        let pieces: Vec<Dim> = places.dims().into_iter().take(2).chain(like.dims().into_iter().skip(2)).collect();
        let sum = scatter_add(s.full_dy()?.reshape(&pieces), places, 1, like, s.attributes.opset)?;
        Ok(vec![Some(sum.reshape(&x.dims())), None])
    }),
    linearity: affine,
    degree: degree_of_first,
    role: Role::Movement,
    layout: Layout::Other,
    along: |a, x, input, own| {
        let (Ok(data), Ok(indices)) = (fact(x, 0), fact(x, 1)) else { return Along::Unknown };
        let Ok(Tuples { batch, depth }) = Tuples::of(a, &data.shape, &indices.shape) else { return Along::Unknown };
        let tuples = indices.shape.len().saturating_sub(1);
        match input {
            0 if own < batch => Along::To(own),
            0 if own >= batch + depth => Along::To(own - batch - depth + tuples),
            1 if own < tuples => Along::To(own),
            _ => Along::Unknown,
        }
    },
    cases: || {
        vec![
            case().x(&[3, 2]).grid(&[3, 2], &[2, 0, 2, -1, 2, 0]),
            case().x(&[3, 2, 4]).grid(&[2, 2, 2], &[2, 0, 0, 1, -1, 0, 1, 1]).opset(11),
            case().x(&[2, 3, 4]).grid(&[2, 2, 1], &[2, 0, -1, -1]).set("batch_dims", 1),
            case().x(&[2, 3, 2, 2]).grid(&[2, 1, 2], &[-3, 1, 2, 0]).set("batch_dims", 1).opset(12),
            case().x(&[5, 3]).grid(&[2, 1], &[4, -4]),
        ]
    },
    ..Card::BASE
};

/// How ScatterElements and ScatterND join what is there with what comes.
fn reduction(a: &Attributes) -> Result<fn(f64, f64) -> f64, Fault> {
    Ok(match a.string("reduction", "none") {
        "none" => |_, update| update,
        "add" => |old, update| old + update,
        "mul" => |old, update| old * update,
        "min" => f64::min,
        "max" => f64::max,
        other => return invalid(format!("the reduction {other:?}")),
    })
}

/// Whether a scatter adds; the only other reduction with a derivative rule is none.
fn adds(a: &Attributes) -> Result<bool, Fault> {
    match a.string("reduction", "none") {
        "none" => Ok(false),
        "add" => Ok(true),
        other => unsupported(format!("the derivative of a scatter with the reduction {other:?}")),
    }
}

const SCATTERING: Card = Card {
    covers: |a| reduction(a).map(drop),
    linearity: |a, inputs| match a.string("reduction", "none") {
        "mul" => Linearity::Smooth,
        "min" | "max" => Linearity::Piecewise,
        _ => affine(a, inputs),
    },
    limits: "derivative for the reductions none (indices that do not repeat) and add",
    entries: Entries::Scattered,
    ..Card::BASE
};

/// y = x, but y[indices[i, j, k], j, k] = updates[i, j, k] or is joined with it, for axis 0 of three.
const SCATTER_ELEMENTS: Card = Card {
    name: "ScatterElements",
    shape: |a, x| {
        let (data, indices, updates) = (fact(x, 0)?, fact(x, 1)?, fact(x, 2)?);
        fits(&data.shape, &indices.shape, axis(a.int("axis", 0), data.shape.len())?)?;
        if indices.shape != updates.shape {
            return invalid(format!("indices of the shape {:?} for updates {:?}", indices.shape, updates.shape));
        }
        super::like_first(a, x)
    },
    eval: |a, x| {
        let (data, indices, updates) = (tensor(x, 0)?, tensor(x, 1)?, tensor(x, 2)?);
        let (at, join) = (axis(a.int("axis", 0), data.shape().len())?, reduction(a)?);
        let mut out = data.clone();
        for (place, &update) in element_places(indices, at, data.shape())?.into_iter().zip(&updates.data) {
            let old = out.data.get_mut(place).ok_or_else(outside)?;
            *old = join(*old, update);
        }
        Ok(vec![out])
    },
    vjp: Some(|s| {
        let (x, updates, dy) = (s.x(0)?, s.x(2)?, s.full_dy()?);
        let at = x.axis(s.attributes.int("axis", 0))?;
        let places = from_start(s.x(1)?, extent(&x.dims(), at)?);
        let dx = match adds(&s.attributes)? {
            true => dy,
            false => dy.scatter_elements(places, dy.zeros_as(updates), at, false),
        };
        Ok(vec![Some(dx), None, Some(dy.gather_elements(places, at))])
    }),
    // Along the axis that indices name, and where they are fewer than entries, it goes by an entry's place what becomes of it.
    along: |a, x, input, own| {
        let (Ok(data), Ok(indices)) = (fact(x, 0), fact(x, 1)) else { return Along::Unknown };
        match axis(a.int("axis", 0), data.shape.len()) {
            Ok(at) if own != at && data.shape.get(own) == indices.shape.get(own) => Along::To(own),
            Ok(_) if input == 0 => Along::Moved(own),
            _ => Along::Unknown,
        }
    },
    cases: || {
        vec![
            case().x(&[4, 3]).grid(&[2, 2], &[2, 0, -1, 1]).x(&[2, 2]),
            case().x(&[2, 4]).grid(&[2, 2], &[2, 0, -1, 1]).x(&[2, 2]).set("axis", 1).opset(11),
            case().x(&[2, 4]).grid(&[2, 3], &[2, 2, -1, 1, 0, 1]).x(&[2, 3]).set("axis", -1).set("reduction", "add"),
        ]
    },
    ..SCATTERING
};

/// Whether tuples of `depth` indices put the same into each entry of the axis `own` of what they scatter into.
fn all_alike(x: &[Option<&Fact>], depth: usize, own: usize) -> bool {
    let value = |i: usize| fact(x, i).ok().and_then(|fact| fact.value.as_deref());
    let (Ok(data), Some(indices), Some(updates)) = (fact(x, 0), value(1), value(2)) else { return false };
    let (tuples, updates) = (indices.to_ints(), updates.data.iter().copied().collect::<Vec<f64>>());
    let piece = updates.len().checked_div(tuples.len() / depth).unwrap_or(0).max(1);
    // For each entry what is put where, in its order.
    let mut entries = vec![Vec::new(); data.shape.get(own).copied().unwrap_or(0)];
    for (tuple, update) in tuples.chunks_exact(depth).zip(updates.chunks_exact(piece)) {
        let place = tuple.iter().zip(&data.shape).map(|(&i, &n)| axis(i, n)).collect::<Result<Vec<_>, _>>();
        let Ok(mut place) = place else { return false };
        let of = place.get_mut(own).map(std::mem::take).unwrap_or_default();
        entries.iter_mut().skip(of).take(1).for_each(|entry| entry.push((place.clone(), update)));
    }
    entries.windows(2).all(|pair| pair.first() == pair.last())
}

/// y = x, but the pieces y[indices[i…, :], …] are updates[i…, …] or are joined with them.
const SCATTER_ND: Card = Card {
    name: "ScatterND",
    shape: |a, x| {
        let (data, indices, updates) = (fact(x, 0)?, fact(x, 1)?, fact(x, 2)?);
        let tuples = Tuples::of(a, &data.shape, &indices.shape)?;
        if tuples.chosen(&data.shape, &indices.shape) != updates.shape {
            let (data, indices, updates) = (&data.shape, &indices.shape, &updates.shape);
            return invalid(format!("updates of the shape {updates:?} for indices {indices:?} into {data:?}"));
        }
        super::like_first(a, x)
    },
    eval: |a, x| {
        let (data, indices, updates) = (tensor(x, 0)?, tensor(x, 1)?, tensor(x, 2)?);
        let (starts, piece) = Tuples::of(a, data.shape(), indices.shape())?.starts(data.shape(), indices)?;
        let (join, mut out): (_, Vec<f64>) = (reduction(a)?, data.data.iter().copied().collect());
        let places = starts.into_iter().flat_map(|at| at..at + piece);
        for (at, &update) in places.zip(&updates.data) {
            let old = out.get_mut(at).ok_or_else(outside)?;
            *old = join(*old, update);
        }
        Ok(vec![Tensor::new(data.dtype, data.shape(), out)?])
    },
    vjp: Some(|s| {
        let (x, indices, updates, dy) = (s.x(0)?, s.x(1)?, s.x(2)?, s.full_dy()?);
        let tuples = Tuples::of(&s.attributes, &x.sizes(), &indices.sizes())?;
        let drop = |v: Value<'_>| v.dims().get(1..).map(<[Dim]>::to_vec).unwrap_or_default();
        let (flat, places) = (tuples.flat(dy), tuples.places(x, indices)?);
        let (flat, places) = (flat.reshape(&drop(flat)), places.reshape(&drop(places)));
        let list: Vec<Dim> = places.dims().into_iter().take(1).collect();
        let chosen = flat.gather(places.reshape(&list), 0);
        let dx = match adds(&s.attributes)? {
            true => dy,
            false => flat.scatter_elements(places.expand_as(chosen), dy.zeros_as(chosen), 0, false).reshape(&x.dims()),
        };
        Ok(vec![Some(dx), None, Some(chosen.reshape(&updates.dims()))])
    }),
    along: |a, x, input, own| {
        let (Ok(data), Ok(indices)) = (fact(x, 0), fact(x, 1)) else { return Along::Unknown };
        let Ok(Tuples { depth, .. }) = Tuples::of(a, &data.shape, &indices.shape) else { return Along::Unknown };
        let tuples = indices.shape.len().saturating_sub(1);
        match input {
            0 if own >= depth || all_alike(x, depth, own) => Along::To(own),
            0 => Along::Moved(own),
            2 if own >= tuples => Along::To(own - tuples + depth),
            _ => Along::Unknown,
        }
    },
    cases: || {
        vec![
            case().x(&[4, 3]).grid(&[2, 1], &[2, -4]).x(&[2, 3]),
            case().x(&[4, 3]).grid(&[2, 2], &[2, 0, 3, -1]).x(&[2]).opset(11),
            case().x(&[2, 3, 2]).grid(&[1, 2, 2], &[1, 0, 0, -1]).x(&[1, 2, 2]),
            case().x(&[4, 3]).grid(&[3, 1], &[2, -4, 2]).x(&[3, 3]).set("reduction", "add"),
            case().x(&[2, 3, 2]).grid(&[2, 2, 2], &[0, 0, 1, 0, 0, -1, 1, -1]).x(&[2, 2, 2]).set("reduction", "add"),
        ]
    },
    ..SCATTERING
};

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_index_out_of_range_is_an_error() {
        let node = crate::onnx::messages::NodeProto::default();
        let (data, indices) = (Tensor::ints(&[1, 2, 3]), Tensor::ints(&[3]));
        let a = Attributes { node: &node, opset: 17 };
        for card in [GATHER, GATHER_ELEMENTS, GATHER_ND] {
            assert!((card.eval)(&a, &[Some(&data), Some(&indices)]).is_err(), "{}", card.name);
        }
    }
}
