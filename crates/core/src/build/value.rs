//! The methods of a [`Value`]: one for each operator that may be emitted.

use super::{Entry, Graph, LONGEST_LIST, Value, too_large};
use crate::Error;
use crate::error::Fault;
use crate::graph::axis;
use crate::onnx::attribute;
use crate::onnx::messages::{AttributeProto, NodeProto};
use crate::shape::{self, Dim, Fact, show};
use crate::tensor::{DataType, Tensor, wide};
use ndarray::{ArrayD, Dimension, IxDyn};

impl<'g> Value<'g> {
    fn with_facts<T>(self, read: impl FnOnce(&[Fact]) -> T) -> Option<T> {
        let inner = self.graph.inner.borrow();
        inner.values.get(self.id).and_then(|e| e.facts.as_deref()).map(read)
    }

    /// The graph that the value belongs to.
    pub fn graph(self) -> &'g Graph {
        self.graph
    }

    /// The extents; empty where they are unknown, which [`Graph::finish`] reports.
    pub fn dims(self) -> Vec<Dim> {
        let dims = self.with_facts(|facts| {
            let shapes: Vec<&[usize]> = facts.iter().map(|f| f.shape.as_slice()).collect();
            shape::merge(&shapes, &self.graph.batches)
        });
        match dims.flatten() {
            Some(dims) => dims,
            None => {
                let mut inner = self.graph.inner.borrow_mut();
                let name = inner.values.get(self.id).and_then(|e| e.name.clone());
                inner.fault.get_or_insert_with(|| self.graph.unknown_shape(name.as_deref()));
                Vec::new()
            }
        }
    }

    /// The value itself, if its extents are known.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where they are not, or follow the batch in no simple way.
    pub fn shaped(self) -> Result<Self, Error> {
        let inner = self.graph.inner.borrow();
        let entry = inner.values.get(self.id);
        let facts = entry.and_then(|e| e.facts.as_deref()).unwrap_or_default();
        let shapes: Vec<&[usize]> = facts.iter().map(|f| f.shape.as_slice()).collect();
        match shape::merge(&shapes, &self.graph.batches) {
            Some(_) => Ok(self),
            None => Err(self.graph.unknown_shape(entry.and_then(|e| e.name.as_deref()))),
        }
    }

    /// The number of axes.
    pub fn rank(self) -> usize {
        self.dims().len()
    }

    /// The extents for one image.
    pub fn sizes(self) -> Vec<usize> {
        self.dims().into_iter().map(Dim::per_image).collect()
    }

    /// The element type.
    pub fn dtype(self) -> DataType {
        self.with_facts(|f| f.first().map(|f| f.dtype)).flatten().unwrap_or(DataType::Float)
    }

    /// The value, where it is a small constant, the same for every batch.
    pub fn known(self) -> Option<Tensor> {
        self.graph.inner.borrow().values.get(self.id).and_then(|e| e.constant().cloned())
    }

    /// A scalar of this value's element type.
    pub fn scalar(self, v: f64) -> Value<'g> {
        self.graph.constant(Tensor { dtype: self.dtype(), data: ndarray::arr0(v).into_dyn() })
    }

    /// A constant of this value's element type.
    pub fn tensor(self, data: ArrayD<f64>) -> Value<'g> {
        self.graph.constant(Tensor { dtype: self.dtype(), data })
    }

    pub(super) fn unary(self, op: &'static str) -> Value<'g> {
        self.graph.one(op, &[self], vec![])
    }

    pub(super) fn binary(self, op: &'static str, other: Value<'g>) -> Value<'g> {
        self.graph.one(op, &[self, other], vec![])
    }

    /// √x.
    pub fn sqrt(self) -> Value<'g> {
        self.unary("Sqrt")
    }
    /// eˣ.
    pub fn exp(self) -> Value<'g> {
        self.unary("Exp")
    }
    /// The error function.
    pub fn erf(self) -> Value<'g> {
        self.unary("Erf")
    }
    /// The hyperbolic tangent.
    pub fn tanh(self) -> Value<'g> {
        self.unary("Tanh")
    }
    /// The sine.
    pub fn sin(self) -> Value<'g> {
        self.unary("Sin")
    }
    /// The cosine.
    pub fn cos(self) -> Value<'g> {
        self.unary("Cos")
    }
    /// |x|.
    pub fn abs(self) -> Value<'g> {
        self.gt(self.scalar(0.0)).select(self, -self)
    }
    /// x to the power of `p`.
    pub fn pow(self, p: Value<'g>) -> Value<'g> {
        self.binary("Pow", p)
    }
    /// x > `other`, as bool.
    pub fn gt(self, other: Value<'g>) -> Value<'g> {
        self.binary("Greater", other)
    }
    /// x < `other`, as bool.
    pub fn lt(self, other: Value<'g>) -> Value<'g> {
        self.binary("Less", other)
    }
    /// x = `other`, as bool; for integers (floats only since operator set 11).
    pub fn equal(self, other: Value<'g>) -> Value<'g> {
        self.binary("Equal", other)
    }
    /// Both, for bool.
    pub fn and(self, other: Value<'g>) -> Value<'g> {
        self.binary("And", other)
    }
    /// `a` where this bool value is true, else `b`.
    pub fn select(self, a: Value<'g>, b: Value<'g>) -> Value<'g> {
        // Before operator set 9 there is no Where; of finite values one times 1 and the other times 0 is the same.
        if self.graph.opset < 9 {
            let zero = |v: Value| v.known().and_then(|t| t.scalar()) == Some(0.0);
            let chosen = self.cast(a.dtype());
            let other = a.scalar(1.0) - chosen;
            return match (zero(a), zero(b)) {
                (_, true) => chosen * a,
                (true, _) => other * b,
                _ => chosen * a + other * b,
            };
        }
        self.graph.one("Where", &[self, a, b], vec![])
    }
    /// Whether this is what the operator `op` makes of `x` alone.
    pub fn is_of(self, op: &str, x: Value<'g>) -> bool {
        self.graph.maker(self).is_some_and(|(own, inputs)| own == op && inputs.iter().map(|v| v.id).eq([x.id]))
    }
    /// Whether this is known to be 0 everywhere.
    pub fn is_zero(self) -> bool {
        self.known().is_some_and(|t| t.data.iter().all(|&v| v == 0.0))
    }
    /// 1 where this bool value is true or this number is not 0, else 0, as the element type `dtype`.
    pub fn mask(self, dtype: DataType) -> Value<'g> {
        self.cast(DataType::Bool).cast(dtype)
    }
    /// The larger of both; of different shapes since operator set 8.
    pub fn max(self, other: Value<'g>) -> Value<'g> {
        self.binary("Max", other)
    }
    /// max(0, min(1, αx + β)).
    pub fn hard_sigmoid(self, alpha: f64, beta: f64) -> Value<'g> {
        let setting = vec![attribute("alpha", alpha as f32), attribute("beta", beta as f32)];
        self.graph.one("HardSigmoid", &[self], setting)
    }
    /// The cotangent `dy` where x > `low`, else 0.
    pub fn where_gt(self, low: f64, dy: Value<'g>) -> Value<'g> {
        self.gt(self.scalar(low)).select(dy, dy.scalar(0.0))
    }
    /// `positive` where x > 0, `negative` where x < 0, else 0.
    pub fn by_sign(self, positive: Value<'g>, negative: Value<'g>) -> Value<'g> {
        let zero = self.scalar(0.0);
        self.gt(zero).select(positive, self.lt(zero).select(negative, negative.scalar(0.0)))
    }
    /// The value as another element type.
    pub fn cast(self, dtype: DataType) -> Value<'g> {
        if self.dtype() == dtype { self } else { self.graph.one("Cast", &[self], vec![attribute("to", dtype as i64)]) }
    }
    /// The value as float32 where it is of a floating-point type of 16 bits.
    pub fn wide(self) -> Value<'g> {
        self.cast(wide(self.dtype()))
    }

    /// Matrix product over the last two axes.
    pub fn matmul(self, other: Value<'g>) -> Value<'g> {
        self.rows_named(other, false).unwrap_or_else(|| self.binary("MatMul", other))
    }

    /// α · A(ᵀ) · B(ᵀ) for matrices.
    pub fn gemm(self, other: Value<'g>, trans_a: bool, trans_b: bool, alpha: f64) -> Value<'g> {
        if let Some(rows) = self.rows_named(other, trans_b).filter(|_| !trans_a && alpha == 1.0) {
            return rows;
        }
        // The third input can be left out only since operator set 11, and engines take one in float32 only.
        if self.graph.opset < 11 {
            let turned = |v: Value<'g>, on: bool| if on { v.swap_last() } else { v };
            let product = turned(self, trans_a).matmul(turned(other, trans_b));
            return if alpha == 1.0 { product } else { product * alpha };
        }
        let mut attributes = Vec::new();
        for (name, on) in [("transA", trans_a), ("transB", trans_b)] {
            if on {
                attributes.push(attribute(name, 1));
            }
        }
        if alpha != 1.0 {
            attributes.push(attribute("alpha", alpha as f32));
        }
        self.graph.one("Gemm", &[self, other], attributes)
    }

    /// The convolution of `self [N,C,…]` with `weight [M,C/group,…]`.
    pub fn conv(self, weight: Value<'g>, group: i64, geometry: Vec<AttributeProto>) -> Value<'g> {
        self.convolved("Conv", weight, group, geometry)
    }

    /// The transposed convolution of `self [N,C,…]` with `weight [C,M/group,…]`.
    pub fn conv_transpose(self, weight: Value<'g>, group: i64, geometry: Vec<AttributeProto>) -> Value<'g> {
        self.convolved("ConvTranspose", weight, group, geometry)
    }

    fn convolved(self, op: &'static str, weight: Value<'g>, group: i64, geometry: Vec<AttributeProto>) -> Value<'g> {
        let (input, weight) = self.with_own_layout(weight, group);
        let mut attributes = geometry;
        if group != 1 {
            attributes.push(attribute("group", group));
        }
        self.graph.one(op, &[input, weight], attributes)
    }

    /// `self [N,C,height,width]` with zeros between its places, so that they are `strides` apart; since operator set 13.
    pub fn dilate(self, strides: &[usize]) -> Value<'g> {
        let sizes: Vec<usize> = self.sizes().into_iter().skip(2).zip(strides).map(|(n, s)| n * s).collect();
        let scales = [&[1, 1], strides].concat().into_iter().map(|s| s as f64).collect();
        let Ok(scales) = Tensor::new(DataType::Float, &[strides.len() + 2], scales) else { return self };
        let setting = [
            attribute("mode", "nearest"),
            attribute("coordinate_transformation_mode", "asymmetric"),
            attribute("nearest_mode", "floor"),
        ];
        let inputs = [Some(self), None, Some(self.graph.constant(scales))];
        let Some(&repeated) = self.graph.emit("Resize", &inputs, setting.to_vec(), 1).first() else { return self };
        let is_first = |at: IxDyn| at.slice().iter().zip(strides).all(|(at, s)| at % s == 0);
        let first = ArrayD::from_shape_fn(sizes, |at| f64::from(u8::from(is_first(at))));
        repeated * self.tensor(first)
    }

    /// The axes in the order `perm`.
    pub fn transpose(self, perm: &[usize]) -> Value<'g> {
        if perm.iter().enumerate().all(|(i, &p)| i == p) {
            return self;
        }
        let perm: Vec<i64> = perm.iter().map(|&p| p as i64).collect();
        self.graph.one("Transpose", &[self], vec![attribute("perm", perm)])
    }

    /// The last two axes exchanged.
    pub fn swap_last(self) -> Value<'g> {
        let rank = self.rank();
        let mut perm: Vec<usize> = (0..rank).collect();
        if rank >= 2 {
            perm.swap(rank - 1, rank - 2);
        }
        self.transpose(&perm)
    }

    /// The same values in another shape.
    pub fn reshape(self, dims: &[Dim]) -> Value<'g> {
        if self.dims() == dims {
            return self;
        }
        let follows = dims.iter().filter(|d| matches!(d, Dim::Batch(_))).count();
        let whole: Vec<i64> = dims
            .iter()
            .map(|d| match d {
                Dim::Fixed(n) => *n as i64,
                // At most one axis of a network's values follows the batch, so its extent is what remains.
                Dim::Batch(_) => -1,
            })
            .collect();
        if follows > 1 {
            let error = Fault::Unsupported(format!("a shape with {follows} axes that follow the batch"))
                .at(&NodeProto { op_type: Some("Reshape".into()), ..Default::default() });
            self.graph.inner.borrow_mut().fault.get_or_insert(error);
        }
        // What was reshaped before is reshaped once.
        let source = match self.graph.maker(self) {
            Some(("Reshape", parts)) => parts.first().copied().unwrap_or(self),
            _ => self,
        };
        if source.dims() == dims {
            return source;
        }
        // What a sum leaves as axes of 1 it need not have left, and the other way round.
        if let Some((x, axes)) = self.graph.summed(source) {
            let kept = |(i, d): (usize, Dim)| if axes.contains(&i) { None } else { Some(d) };
            let short: Vec<Dim> = x.dims().into_iter().enumerate().filter_map(kept).collect();
            let long = |(i, d): (usize, Dim)| if axes.contains(&i) { Dim::Fixed(1) } else { d };
            if short == dims || x.dims().into_iter().enumerate().map(long).eq(dims.iter().copied()) {
                return x.reduce_sum(&axes, short != dims);
            }
        }
        self.graph.one("Reshape", &[source, self.graph.ints(&whole)], vec![]).checked(dims)
    }

    /// The same value through a Reshape to the shape that it has already: for values that a runtime takes for one of another
    /// rank, or that are one for a batch of 1.
    pub fn as_found(self) -> Value<'g> {
        let dims = self.dims();
        let whole: Vec<i64> = dims.iter().map(|d| if let Dim::Fixed(n) = d { *n as i64 } else { -1 }).collect();
        self.graph.one("Reshape", &[self, self.graph.ints(&whole)], vec![]).checked(&dims)
    }

    /// This value if it has these extents. If not, that is the graph's fault, and what is emitted from here on does not
    /// count; it has the extents all the same, so that a rule can go on.
    fn checked(self, dims: &[Dim]) -> Value<'g> {
        let own = self.dims();
        if own == dims {
            return self;
        }
        let fact = |batch: &usize| {
            let extent = |d: &Dim| if let Dim::Batch(n) = d { n.saturating_mul(*batch) } else { d.per_image() };
            Fact::new(self.dtype(), dims.iter().map(extent).collect::<Vec<_>>())
        };
        let facts = self.graph.batches.iter().map(fact).collect();
        let mut inner = self.graph.inner.borrow_mut();
        inner.fault.get_or_insert_with(|| {
            Error::Argument(format!("the derivative needs a value of the shape {}, not {}", show(dims), show(&own)))
        });
        inner.values.push(Entry { facts: Some(facts), name: None });
        Value { graph: self.graph, id: inner.values.len() - 1 }
    }

    /// Leading axes of 1 until there are `rank`.
    pub fn with_rank(self, rank: usize) -> Value<'g> {
        let dims = self.dims();
        let lead = rank.saturating_sub(dims.len());
        self.reshape(&[vec![Dim::Fixed(1); lead], dims].concat())
    }

    /// Without the first `n` axes, which have the extent 1.
    pub fn drop_leading(self, n: usize) -> Value<'g> {
        let dims = self.dims();
        self.reshape(dims.get(n..).unwrap_or(&[]))
    }

    /// Repeated along axes of 1 to the shape of `other`.
    pub fn expand_as(self, other: Value<'g>) -> Value<'g> {
        let target = other.dims();
        if self.dims() == target { self } else { self.spread_over(other).checked(&target) }
    }

    /// Repeated along axes of 1 to the extents that it and `other` broadcast to.
    pub fn spread_over(self, other: Value<'g>) -> Value<'g> {
        let (own, target) = (self.dims(), other.dims());
        // Before operator set 8 there is no Expand; 0 in the other's shape does it, made so that no NaN gets in.
        if self.graph.opset < 8 {
            return self + other.gt(other).cast(self.dtype());
        }
        let lead = target.len().saturating_sub(own.len());
        let shape: Option<Vec<i64>> = (target.iter().enumerate())
            .map(|(i, t)| match (i.checked_sub(lead).and_then(|i| own.get(i)), t) {
                (Some(o), t) if o == t => Some(1),
                (_, Dim::Fixed(n)) => Some(*n as i64),
                (_, Dim::Batch(_)) => None,
            })
            .collect();
        let shape = match shape {
            Some(shape) => self.graph.ints(&shape),
            None => other.unary("Shape"),
        };
        self.binary("Expand", shape)
    }

    /// Repeated along axes of 1 to the extents in `shape`, one for each axis; 1 leaves the axis as it is.
    pub fn expand(self, shape: &[i64]) -> Value<'g> {
        if shape.iter().all(|&n| n == 1) { self } else { self.binary("Expand", self.graph.ints(shape)) }
    }

    /// Σ over `axes`.
    pub fn reduce_sum(self, axes: &[usize], keep: bool) -> Value<'g> {
        // To ONNX no axes are all axes.
        if axes.is_empty() {
            return self;
        }
        let axes: Vec<i64> = axes.iter().map(|&a| a as i64).collect();
        let keep = attribute("keepdims", i64::from(keep));
        if self.graph.opset < 13 {
            return self.graph.one("ReduceSum", &[self], vec![attribute("axes", axes), keep]);
        }
        self.graph.one("ReduceSum", &[self, self.graph.ints(&axes)], vec![keep])
    }

    /// ∏ over `axes`, which stay as axes of 1.
    pub fn reduce_prod(self, axes: &[usize]) -> Value<'g> {
        if axes.is_empty() {
            return self;
        }
        let axes: Vec<i64> = axes.iter().map(|&a| a as i64).collect();
        if self.graph.opset < 18 {
            return self.graph.one("ReduceProd", &[self], vec![attribute("axes", axes)]);
        }
        self.graph.one("ReduceProd", &[self, self.graph.ints(&axes)], vec![])
    }

    /// Running sums along `axis`, without the place itself where `exclusive`, from the end where `reverse`.
    pub fn cum_sum(self, axis: usize, exclusive: bool, reverse: bool) -> Value<'g> {
        let at = Tensor { dtype: DataType::Int64, data: ndarray::arr0(axis as f64).into_dyn() };
        let attributes =
            [("exclusive", exclusive), ("reverse", reverse)].map(|(name, on)| attribute(name, i64::from(on)));
        self.graph.one("CumSum", &[self, self.graph.constant(at)], attributes.to_vec())
    }

    /// The Einstein sum of two values by an equation.
    pub fn einsum(self, other: Value<'g>, equation: &str) -> Value<'g> {
        self.graph.one("Einsum", &[self, other], vec![attribute("equation", equation)])
    }

    /// The mean over `axes`. The sum is divided by how many they are, not multiplied by 1/n: a normalisation takes means away
    /// from what is nearly alike and divides by what is left, and with it what the rounding of 1/n would leave.
    pub fn mean(self, axes: &[usize], keep: bool) -> Value<'g> {
        let sizes = self.sizes();
        let count: usize = axes.iter().filter_map(|&a| sizes.get(a)).product();
        let sum = self.reduce_sum(axes, keep);
        if count == 1 { sum } else { sum / sum.scalar(count as f64) }
    }

    /// `self[start : end : step]` along `axis`, with `start`, `end` ≥ 0 for a positive step.
    pub fn slice(self, axis: usize, start: i64, end: i64, step: i64) -> Value<'g> {
        self.slices(&[axis], &[start], &[end], &[step])
    }

    /// The same along several axes at once.
    pub fn slices(self, axes: &[usize], starts: &[i64], ends: &[i64], steps: &[i64]) -> Value<'g> {
        let sizes = self.dims();
        let mut cuts = axes.iter().zip(starts).zip(ends).zip(steps);
        let whole = |(((&axis, &start), &end), &step): (((&usize, &i64), &i64), &i64)| {
            sizes.get(axis) == Some(&Dim::Fixed(end.max(0) as usize)) && start == 0 && step == 1
        };
        if cuts.all(whole) {
            return self;
        }
        let g = self.graph;
        if g.opset < 10 {
            return self.slices_without_steps(axes, starts, ends, steps);
        }
        let axes: Vec<i64> = axes.iter().map(|&a| a as i64).collect();
        let mut inputs = vec![self, g.ints(starts), g.ints(ends), g.ints(&axes)];
        if steps.iter().any(|&s| s != 1) {
            inputs.push(g.ints(steps));
        }
        g.one("Slice", &inputs, vec![])
    }

    /// Before operator set 10 Slice has no steps: the places along a stepped axis are gathered.
    fn slices_without_steps(self, axes: &[usize], starts: &[i64], ends: &[i64], steps: &[i64]) -> Value<'g> {
        let cuts = axes
            .iter()
            .zip(starts)
            .zip(ends)
            .zip(steps)
            .map(|(((&axis, &start), &end), &step)| (axis, start, end, step));
        let (plain, stepped): (Vec<_>, Vec<_>) = cuts.partition(|&(.., step)| step == 1);
        let bounds = vec![
            attribute("starts", plain.iter().map(|&(_, start, ..)| start).collect::<Vec<_>>()),
            attribute("ends", plain.iter().map(|&(_, _, end, _)| end).collect::<Vec<_>>()),
            attribute("axes", plain.iter().map(|&(axis, ..)| axis as i64).collect::<Vec<_>>()),
        ];
        let sliced = if plain.is_empty() { self } else { self.graph.one("Slice", &[self], bounds) };
        stepped.into_iter().fold(sliced, |v, (axis, start, end, step)| {
            let Some(Dim::Fixed(n)) = v.dims().get(axis).copied().filter(|d| d.per_image() <= LONGEST_LIST) else {
                self.graph.inner.borrow_mut().fault.get_or_insert_with(too_large);
                return v;
            };
            let n = n as i64;
            let bound = |at: i64| if at < 0 { at.saturating_add(n).max(-1) } else { at.min(n) };
            let (start, end) = (bound(start).min(if step < 0 { n - 1 } else { n }), bound(end));
            let places = std::iter::successors(Some(start), |p| p.checked_add(step));
            let places: Vec<i64> = places.take_while(|&p| if step < 0 { p > end } else { p < end }).collect();
            v.gather(self.graph.ints(&places), axis)
        })
    }

    /// Padded with `value` by `begin` and `end` (each ≥ 0) along each axis.
    pub fn pad(self, begin: &[i64], end: &[i64], value: f64) -> Value<'g> {
        if begin.iter().chain(end).all(|&p| p == 0) {
            return self;
        }
        let pads = [begin, end].concat();
        if self.graph.opset < 11 {
            let narrow = value.clamp(f32::MIN.into(), f32::MAX.into()) as f32;
            return self.graph.one("Pad", &[self], vec![attribute("pads", pads), attribute("value", narrow)]);
        }
        self.graph.one("Pad", &[self, self.graph.ints(&pads), self.scalar(value)], vec![])
    }

    /// Padded with zeros by `begin` and `end` (each ≥ 0) along `axis`.
    pub fn pad_along(self, axis: usize, begin: i64, end: i64) -> Value<'g> {
        let only = |n: i64| (0..self.rank()).map(|i| if i == axis { n } else { 0 }).collect::<Vec<_>>();
        self.pad(&only(begin), &only(end), 0.0)
    }

    /// Values one after the other along `axis`.
    pub fn concat(values: &[Value<'g>], axis: usize) -> Option<Value<'g>> {
        match values {
            [] => None,
            [one] => Some(*one),
            [first, ..] => Some(first.graph.one("Concat", values, vec![attribute("axis", axis as i64)])),
        }
    }

    /// The position of the first largest value along `axis`, kept as an axis of 1.
    pub fn arg_max(self, axis: usize) -> Value<'g> {
        self.graph.one("ArgMax", &[self], vec![attribute("axis", axis as i64), attribute("keepdims", 1)])
    }

    /// The `k` largest values along the last axis and their positions.
    pub fn top_k(self, k: usize) -> (Value<'g>, Value<'g>) {
        if self.graph.opset < 10 {
            return self.largest_one_by_one(k);
        }
        let inputs = [Some(self), Some(self.graph.ints(&[k as i64]))];
        match self.graph.emit("TopK", &inputs, vec![attribute("axis", -1)], 2).as_slice() {
            [values, indices] => (*values, *indices),
            _ => (self, self),
        }
    }

    /// `self[indices]` along `axis`.
    pub fn gather(self, indices: Value<'g>, axis: usize) -> Value<'g> {
        self.graph.one("Gather", &[self, indices], vec![attribute("axis", axis as i64)])
    }

    /// Along `axis` the entries that `indices`, in the shape of the result, name; since operator set 11.
    pub fn gather_elements(self, indices: Value<'g>, axis: usize) -> Value<'g> {
        self.graph.one("GatherElements", &[self, indices], vec![attribute("axis", axis as i64)])
    }

    /// This value, with `updates` put to the places that `indices`, in their shape, name along `axis`; since operator set
    /// 11. With `add`, since 16, they are added to what is there.
    pub fn scatter_elements(self, indices: Value<'g>, updates: Value<'g>, axis: usize, add: bool) -> Value<'g> {
        let mut attributes = vec![attribute("axis", axis as i64)];
        if add {
            attributes.push(attribute("reduction", "add"));
        }
        self.graph.one("ScatterElements", &[self, indices, updates], attributes)
    }

    /// 0, 1, 2 … n−1 as int64.
    pub fn iota(self, n: usize) -> Value<'g> {
        if n > LONGEST_LIST {
            self.graph.inner.borrow_mut().fault.get_or_insert_with(too_large);
            return self.graph.ints(&[]);
        }
        self.graph.ints(&(0..n as i64).collect::<Vec<_>>())
    }

    /// Zeros in the shape of this value.
    pub fn zeros_like(self) -> Value<'g> {
        self.zeros_as(self)
    }

    /// Zeros of this value's element type in the shape of `like`.
    pub fn zeros_as(self, like: Value<'g>) -> Value<'g> {
        self.tensor(ArrayD::zeros(vec![1; like.rank()])).expand_as(like)
    }

    /// The axis `axis`, counted from the end where negative.
    ///
    /// # Errors
    /// [`Fault::Invalid`] when it lies outside.
    pub fn axis(self, at: i64) -> Result<usize, Fault> {
        axis(at, self.rank())
    }
}
