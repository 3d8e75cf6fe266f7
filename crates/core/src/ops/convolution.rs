//! Convolutions over any number of spatial axes: 1-D, 2-D, 3-D.

use super::window::{Side, Tap, Window, add_windows};
use super::{
    Along, Card, Entries, Layout, Weights, case, channels_first, degree_of_product, fact, product, products, size,
    tensor,
};
use crate::build::Value;
use crate::error::{Fault, invalid};
use crate::graph::{Attributes, with_extent};
use crate::shape::{Dim, Fact};
use crate::tensor::{DataType, Tensor};
use ndarray::{ArrayD, IxDyn};
use std::slice::ChunksExact;

/// The cards of this family.
pub const CARDS: &[Card] = &[CONV, CONV_TRANSPOSE];

/// The extents of a convolution, checked: batch, channels and spatial extents of the input, filters, group.
struct Extents<'a> {
    n: usize,
    c: usize,
    spatial: &'a [usize],
    /// First and second extent of the weights.
    weight: (usize, usize),
    kernel: &'a [usize],
    group: usize,
}

fn extents<'a>(a: &Attributes, x: &'a [usize], w: &'a [usize]) -> Result<Extents<'a>, Fault> {
    let ([n, c, spatial @ ..], [first, second, kernel @ ..]) = (x, w) else {
        return invalid(format!("an input of the shape {x:?} with weights {w:?}"));
    };
    let group = usize::try_from(a.int("group", 1)).unwrap_or(0);
    if group == 0 || group > *c || kernel.len() != spatial.len() || c % group != 0 || first % group != 0 {
        return invalid(format!("an input of the shape {x:?} with weights {w:?} in {group} groups"));
    }
    if a.ints("kernel_shape").is_some_and(|k| !k.iter().map(|&k| k as usize).eq(kernel.iter().copied())) {
        return invalid(format!("kernel_shape {:?} with weights {w:?}", a.ints("kernel_shape").unwrap_or(&[])));
    }
    Ok(Extents { n: *n, c: *c, spatial, weight: (*first, *second), kernel, group })
}

/// A list in parts of `n` numbers.
fn parts(list: &[f64], n: usize) -> ChunksExact<'_, f64> {
    list.chunks_exact(n.max(1))
}

fn bias_fits(inputs: &[Option<&Fact>], filters: usize) -> Result<(), Fault> {
    match inputs.get(2).copied().flatten() {
        Some(b) if b.shape != [filters] => invalid(format!("a bias of the shape {:?} for {filters} filters", b.shape)),
        _ => Ok(()),
    }
}

/// Channels of several groups need not be those of one image.
fn along(a: &Attributes, x: &[Option<&Fact>], input: usize, axis: usize) -> Along {
    if axis == 1 && a.int("group", 1) > 1 { Along::Unknown } else { channels_first(a, x, input, axis) }
}

/// y[n,m,p] = b[m] + Σ_{c,k} w[m,c,k] · x[n,c,p·stride + k·dilation − pad].
/// The cotangent of x is the transposed convolution of dy with the same weights. Where strides are 1, and where each
/// channel has weights of its own, that is written as a convolution with the weights turned round: engines are faster at
/// those, several times where channels are apart.
const CONV: Card = Card {
    name: "Conv",
    entries: Entries::Convolved,
    weights: Weights::Finite,
    covers: Window::covers,
    windows: |a, x, axis| {
        let e = extents(a, &fact(x, 0).ok()?.shape, &fact(x, 1).ok()?.shape).ok()?;
        let (window, along) = (Window::of(a, e.kernel, e.spatial).ok()?, axis.checked_sub(2)?);
        let outputs = *window.outputs(e.spatial).ok()?.get(along)?;
        window.ranges(along, *e.spatial.get(along)?, outputs)
    },
    shape: |a, x| {
        let (input, w) = (fact(x, 0)?, fact(x, 1)?);
        let e = extents(a, &input.shape, &w.shape)?;
        if e.weight.1 != e.c / e.group {
            return invalid(format!("{} channels in {} groups with weights {:?}", e.c, e.group, w.shape));
        }
        bias_fits(x, e.weight.0)?;
        let out = Window::of(a, e.kernel, e.spatial)?.outputs(e.spatial)?;
        Ok(vec![Fact::new(input.dtype, [vec![e.n, e.weight.0], out].concat())])
    },
    eval: |a, x| {
        let (input, w) = (tensor(x, 0)?, tensor(x, 1)?);
        let e = extents(a, input.shape(), w.shape())?;
        let window = Window::of(a, e.kernel, e.spatial)?;
        let out = window.outputs(e.spatial)?;
        let taps = window.taps(e.spatial, &out)?;
        let (per_group, filters) = (e.c / e.group, e.weight.0);
        let (from, to, k): (usize, usize, usize) =
            (e.spatial.iter().product(), out.iter().product(), e.kernel.iter().product());
        let (xs, ws): (Vec<f64>, Vec<f64>) = (input.data.iter().copied().collect(), w.data.iter().copied().collect());
        let bias = x.get(2).copied().flatten().map(|b| b.data.iter().copied().collect());
        let bias: Vec<f64> = bias.unwrap_or_else(|| vec![0.0; filters]);
        let mut y = vec![0.0; e.n * filters * to];
        for (image, y) in parts(&xs, e.c * from).zip(y.chunks_exact_mut((filters * to).max(1))) {
            for (m, ((row, weights), &bias)) in
                y.chunks_exact_mut(to).zip(parts(&ws, per_group * k)).zip(&bias).enumerate()
            {
                row.fill(bias);
                let group = m / (filters / e.group);
                for (plane, weights) in parts(image, from).skip(group * per_group).zip(parts(weights, k)) {
                    add_windows(&taps, weights, plane, row)?;
                }
            }
        }
        Ok(vec![Tensor::new(input.dtype, &[vec![e.n, filters], out].concat(), y)?])
    },
    work: |_, x, y| match (x, y) {
        ([_, Some(w), ..], [y]) => products(size(y), w, w.shape.first()),
        _ => 0,
    },
    vjp: Some(|s| {
        let (x, w, y) = (s.x(0)?, s.x(1)?, s.y()?);
        let (xs, ws, ys) = (x.sizes(), w.sizes(), y.sizes());
        let e = extents(&s.attributes, &xs, &ws)?;
        let window = Window::of(&s.attributes, e.kernel, e.spatial)?;
        let dy = s.dy()?;
        // A convolution that mixes channels only keeps a cotangent that is the same at all places so.
        let uniform = window.is_pointwise()
            && dy.dims().iter().skip(2).all(|d| *d == Dim::Fixed(1))
            && dy.dims().get(1) == y.dims().get(1);
        let dx = match uniform {
            true => dy.conv_transpose(w, e.group as i64, Vec::new()),
            false => {
                let (dy, out) = (s.full_dy()?, ys.get(2..).unwrap_or(&[]));
                let turned = turned_round(dy, w, &e, &window, out);
                turned.unwrap_or_else(|| dy.conv_transpose(w, e.group as i64, window.transposed(e.spatial, out)))
            }
        };
        Ok(vec![Some(dx), None, None])
    }),
    linearity: product,
    degree: degree_of_product,
    layout: Layout::ChannelsFirst,
    along,
    limits: "by the input, not by weights that depend on the layer",
    cases: || {
        vec![
            case().x(&[2, 3, 5, 6]).w(&[4, 3, 3, 3]).w(&[4]),
            case().x(&[1, 4, 7, 8]).w(&[6, 2, 3, 2]).set("group", 2).set("strides", [2, 3]).set("pads", [1, 0, 2, 1]),
            case().x(&[1, 3, 8, 9]).w(&[3, 1, 3, 3]).set("group", 3).set("dilations", [2, 3]).set("pads", [2, 2, 2, 2]),
            case().x(&[1, 2, 8, 7]).w(&[2, 2, 4, 4]).set("strides", [4, 4]),
            case().x(&[1, 2, 7, 6]).w(&[2, 2, 3, 3]).set("strides", [2, 2]).set("auto_pad", "SAME_UPPER"),
            case().x(&[1, 2, 7, 6]).w(&[2, 2, 2, 4]).set("strides", [2, 2]).set("auto_pad", "SAME_LOWER"),
            case().x(&[1, 2, 7, 6]).w(&[2, 2, 3, 3]).set("auto_pad", "VALID"),
            case().x(&[2, 3, 4, 4]).w(&[5, 3, 1, 1]),
            case().x(&[1, 4, 5, 6]).w(&[6, 2, 3, 2]).set("group", 2).set("pads", [1, 0, 0, 1]),
            case().x(&[2, 3, 8, 9]).w(&[3, 1, 3, 3]).set("group", 3).set("strides", [2, 2]).set("pads", [1, 1, 1, 1]),
            case().x(&[1, 2, 7, 8]).w(&[2, 1, 5, 1]).set("group", 2).set("strides", [3, 2]).set("pads", [2, 0, 1, 0]),
            case().x(&[2, 3, 9]).w(&[4, 3, 3]).w(&[4]).set("strides", [2]).set("pads", [1, 1]),
            case().x(&[1, 2, 4, 5, 4]).w(&[3, 2, 2, 3, 2]).set("strides", [1, 2, 2]).set("pads", [1, 1, 0, 0, 1, 1]),
        ]
    },
    ..Card::BASE
};

/// The transposed convolution of `dy` as a convolution with the weights turned round; none where that takes more work, or
/// pads that engines do not have.
fn turned_round<'g>(dy: Value<'g>, w: Value<'g>, e: &Extents, window: &Window, out: &[usize]) -> Option<Value<'g>> {
    let rank = out.len();
    let apart = e.group == e.c && e.weight.0 == e.c;
    let strided = window.sides.iter().any(|s| s.stride > 1);
    // Slices go backwards since operator set 10, and engines put zeros between places in two axes of float32.
    let spaced = apart && rank == 2 && dy.dtype() == DataType::Float && dy.graph().opset() >= 13;
    if dy.graph().opset() < 10 || (strided && !spaced) {
        return None;
    }
    let pads = |((side, &extent), n): ((&Side, &usize), &usize)| {
        let begin = (side.reach() - 1).checked_sub(side.begin)?;
        Some((begin as i64, (extent + side.begin).checked_sub(n * side.stride)? as i64))
    };
    let (begin, end): (Vec<i64>, Vec<i64>) =
        window.sides.iter().zip(e.spatial).zip(out).map(pads).collect::<Option<_>>()?;
    let dy = if strided { dy.dilate(&window.strides()) } else { dy };
    let wide = (2..).zip(e.kernel).filter(|(_, n)| **n > 1).map(|(axis, &n)| (axis, n as i64));
    let (axes, last): (Vec<usize>, Vec<i64>) = wide.unzip();
    let starts: Vec<i64> = last.iter().map(|n| n - 1).collect();
    let ends: Vec<i64> = last.iter().map(|n| -n - 1).collect();
    let mut w = if axes.is_empty() { w } else { w.slices(&axes, &starts, &ends, &vec![-1; axes.len()]) };
    if !apart {
        let [g, m, c] = [e.group, e.weight.0 / e.group, e.weight.1];
        let fixed = |lead: &[usize]| lead.iter().chain(e.kernel).map(|&n| Dim::Fixed(n)).collect::<Vec<_>>();
        let perm: Vec<usize> = [0, 2, 1].into_iter().chain(3..rank + 3).collect();
        w = w.reshape(&fixed(&[g, m, c])).transpose(&perm).reshape(&fixed(&[g * c, m]));
    }
    let mut plain = window.clone();
    plain.sides.iter_mut().for_each(|side| side.stride = 1);
    Some(dy.conv(w, e.group as i64, plain.geometry([begin, end].concat())))
}

/// y[n,m,p·stride + k·dilation − pad] += w[c,m,k] · x[n,c,p]: the transpose of [`CONV`].
const CONV_TRANSPOSE: Card = Card {
    name: "ConvTranspose",
    entries: Entries::Convolved,
    weights: Weights::Finite,
    covers: Window::covers,
    shape: |a, x| {
        let (input, w) = (fact(x, 0)?, fact(x, 1)?);
        let e = extents(a, &input.shape, &w.shape)?;
        if e.weight.0 != e.c {
            return invalid(format!("{} channels with weights {:?}", e.c, w.shape));
        }
        bias_fits(x, e.weight.1 * e.group)?;
        let (_, out) = transposed_window(a, &e)?;
        Ok(vec![Fact::new(input.dtype, [vec![e.n, e.weight.1 * e.group], out].concat())])
    },
    eval: |a, x| {
        let (input, w) = (tensor(x, 0)?, tensor(x, 1)?);
        let e = extents(a, input.shape(), w.shape())?;
        let (window, out) = transposed_window(a, &e)?;
        let (per_group, filters) = (e.weight.1, e.weight.1 * e.group);
        let (from, to, k): (usize, usize, usize) =
            (e.spatial.iter().product(), out.iter().product(), e.kernel.iter().product());
        // The forward window leads from the larger side (here the output) to the smaller (here the input).
        let taps = window.taps(&out, e.spatial)?.into_iter();
        let taps: Vec<Tap> = taps.map(|t| Tap { output: t.input, input: t.output, ..t }).collect();
        let (xs, ws): (Vec<f64>, Vec<f64>) = (input.data.iter().copied().collect(), w.data.iter().copied().collect());
        let mut y = vec![0.0; e.n * filters * to];
        for (image, y) in parts(&xs, e.c * from).zip(y.chunks_exact_mut((filters * to).max(1))) {
            for (c, (plane, weights)) in parts(image, from).zip(parts(&ws, per_group * k)).enumerate() {
                let rows = y.chunks_exact_mut(to).skip(c / (e.c / e.group) * per_group);
                for (row, weights) in rows.zip(parts(weights, k)) {
                    add_windows(&taps, weights, plane, row)?;
                }
            }
        }
        let mut data = Tensor::new(input.dtype, &[vec![e.n, filters], out].concat(), y)?;
        if let Some(bias) = x.get(2).copied().flatten() {
            let shape = with_extent(&vec![1; data.data.ndim()], 1, filters)?;
            let bias: ArrayD<f64> =
                bias.data.to_shape(IxDyn(&shape)).map_err(|e| Fault::Invalid(e.to_string()))?.to_owned();
            data.data += &bias;
        }
        Ok(vec![data])
    },
    work: |_, x, y| match (x, y) {
        ([Some(x), Some(w), ..], [y]) => products(size(x), w, w.shape.first()).saturating_add(size(y)),
        _ => 0,
    },
    vjp: Some(|s| {
        let (x, w, y) = (s.x(0)?, s.x(1)?, s.y()?);
        let (xs, ws) = (x.sizes(), w.sizes());
        let e = extents(&s.attributes, &xs, &ws)?;
        let (window, out) = transposed_window(&s.attributes, &e)?;
        let (mut dy, mut end) = (s.dy()?, vec![0; e.spatial.len()]);
        // As for a convolution, mixing channels only keeps a cotangent the same at all places.
        let uniform = window.is_pointwise()
            && dy.dims().iter().skip(2).all(|d| *d == Dim::Fixed(1))
            && dy.dims().get(1) == y.dims().get(1);
        if !uniform {
            dy = s.full_dy()?;
            let sides = window.sides.iter().zip(e.spatial).zip(&out).zip(&mut end);
            for (axis, (((side, &extent), &n), end)) in (2..).zip(sides) {
                let reached = side.stride * extent.saturating_sub(1) + side.reach();
                let over = reached as i64 - (n + side.begin) as i64;
                // Places that output_padding or output_shape put beyond the last window came from nowhere.
                dy = dy.slice(axis, 0, n as i64 + over.min(0), 1);
                *end = over.max(0);
            }
        }
        let pads = window.sides.iter().map(|side| side.begin as i64).chain(end).collect();
        Ok(vec![Some(dy.conv(w, e.group as i64, window.geometry(pads))), None, None])
    }),
    linearity: product,
    degree: degree_of_product,
    layout: Layout::ChannelsFirst,
    along,
    windows: |a, x, axis| {
        let e = extents(a, &fact(x, 0).ok()?.shape, &fact(x, 1).ok()?.shape).ok()?;
        let ((window, outputs), along) = (transposed_window(a, &e).ok()?, axis.checked_sub(2)?);
        window.ranges_transposed(along, *e.spatial.get(along)?, *outputs.get(along)?)
    },
    limits: "by the input, not by weights that depend on the layer",
    cases: || {
        vec![
            case()
                .x(&[2, 3, 4, 5])
                .w(&[3, 2, 3, 3])
                .set("strides", [2, 2])
                .set("pads", [1, 1, 1, 1])
                .set("output_padding", [1, 1]),
            case().x(&[2, 4, 3]).w(&[4, 2, 3]).set("group", 2).set("strides", [2]).set("output_padding", [1]),
            case().x(&[1, 2, 3, 3, 2]).w(&[2, 2, 2, 2, 2]).w(&[2]),
            case().x(&[2, 3, 4, 3]).w(&[3, 2, 1, 1]),
            case().x(&[1, 2, 4, 3]).w(&[2, 3, 2, 2]).set("strides", [3, 2]).set("dilations", [2, 1]),
            case().x(&[1, 2, 4, 3]).w(&[2, 1, 4, 3]).set("strides", [2, 2]).set("pads", [1, 0, 2, 1]),
            case().x(&[1, 2, 4, 3]).w(&[2, 1, 3, 4]).set("strides", [2, 3]).set("auto_pad", "SAME_UPPER"),
            case().x(&[1, 2, 4, 3]).w(&[2, 1, 3, 4]).set("strides", [2, 3]).set("auto_pad", "SAME_LOWER"),
            case().x(&[1, 2, 4, 3]).w(&[2, 1, 3, 4]).set("strides", [2, 3]).set("auto_pad", "VALID"),
            case().x(&[1, 2, 4, 3]).w(&[2, 1, 4, 4]).set("strides", [2, 2]).set("output_shape", [7, 7]),
            case()
                .x(&[1, 2, 4, 3])
                .w(&[2, 1, 3, 3])
                .set("strides", [2, 2])
                .set("output_shape", [8, 6])
                .set("auto_pad", "SAME_UPPER"),
        ]
    },
    ..Card::BASE
};

/// The window of a transposed convolution, and the extents of the output. Pads follow from these where `auto_pad` or
/// `output_shape` say so; of an odd number of pads SAME_UPPER puts one more to the end, all else to the beginning.
fn transposed_window(a: &Attributes, e: &Extents) -> Result<(Window, Vec<usize>), Fault> {
    let (mut window, rank) = (Window::of(a, e.kernel, e.spatial)?, e.spatial.len());
    let list = |name: &str| -> Result<Option<Vec<usize>>, Fault> {
        let Some(given) = a.ints(name).filter(|list| !list.is_empty()) else { return Ok(None) };
        let sizes: Option<Vec<usize>> = given.iter().map(|&n| usize::try_from(n).ok()).collect();
        match sizes {
            Some(sizes) if sizes.len() == rank => Ok(Some(sizes)),
            _ => invalid(format!("{name} {given:?} for {rank} axes of space")),
        }
    };
    let (extra, wanted) = (list("output_padding")?.unwrap_or(vec![0; rank]), list("output_shape")?);
    let wanted = wanted.map_or(vec![None; rank], |shape| shape.into_iter().map(Some).collect());
    let auto = a.string("auto_pad", "NOTSET");
    let mut out = Vec::with_capacity(rank);
    for (((side, &extent), &more), wanted) in window.sides.iter_mut().zip(e.spatial).zip(&extra).zip(wanted) {
        let reached = side.stride.checked_mul(extent.saturating_sub(1));
        let whole = reached.and_then(|n| n.checked_add(side.reach())?.checked_add(more));
        let Some(whole) = whole else { return invalid(format!("output_padding {extra:?}")) };
        let same = || auto.starts_with("SAME").then(|| extent.saturating_mul(side.stride).min(whole));
        let asked = wanted.or_else(same);
        if let Some(asked) = asked {
            side.pad(whole.saturating_sub(asked), auto == "SAME_UPPER");
        }
        match asked.or(whole.checked_sub(side.begin + side.end)).filter(|&n| n > 0) {
            Some(n) => out.push(n),
            None => return invalid(format!("an extent of {whole} without pads, which leave nothing of it")),
        }
    }
    Ok((window, out))
}
