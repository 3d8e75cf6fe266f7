//! A target in the graph: which scores it picks, which classes these are, and the seeds of the reverse sweeps.

use super::{Span, Target, Vector, class_of, heaviest};
use crate::Tensor;
use crate::build::Value;
use crate::score::{Activation, Score};
use crate::shape::Dim;
use ndarray::{ArrayD, Dimension, IxDyn};

/// The logits in the graph.
pub(crate) struct Logits<'g, 'a> {
    /// As the model has them, but for [`Value::wide`].
    pub raw: Value<'g>,
    /// `[N, entries]`.
    pub flat: Value<'g>,
    /// What they are.
    pub score: &'a Score,
    /// The input that brings classes or weights with each image, where the target needs one.
    pub input: Option<Value<'g>>,
}

/// Scores and classes, one for each map.
pub(crate) struct PickedValues<'g> {
    /// `[N, M]`.
    pub scores: Value<'g>,
    /// `[N, M]`, or `[1, M]` where they are the same for every image; int64. For sums of several classes, that of the
    /// largest weight; for a part of the output, the first, and −1 for what is no class.
    pub classes: Value<'g>,
    /// Which of them are asked for, as bool in the shape of the scores, where that depends on the image.
    pub wanted: Option<Value<'g>>,
}

impl<'g> PickedValues<'g> {
    fn new(scores: Value<'g>, classes: Value<'g>) -> Self {
        PickedValues { scores, classes, wanted: None }
    }
}

/// The axes of a value of `rank` axes with `axis` as the first.
fn order(axis: usize, rank: usize) -> Vec<usize> {
    [axis].into_iter().chain((0..rank).filter(|&a| a != axis)).collect()
}

impl<'g> Logits<'g, '_> {
    /// The logits `[N, entries]` of `raw`.
    pub fn new<'a>(raw: Value<'g>, batch: Dim, score: &'a Score, input: Option<Value<'g>>) -> Logits<'g, 'a> {
        let (images, front) = match score.batch {
            Some(axis) => (batch, raw.transpose(&order(axis, raw.rank()))),
            None => (Dim::Fixed(1), raw),
        };
        Logits { raw, flat: front.reshape(&[images, Dim::Fixed(score.entries())]), score, input }
    }

    /// `v`, with one axis for the images and then those of the scores, as the model has its logits. An extent of 1 may stand
    /// for a whole axis.
    fn back(&self, v: Value<'g>) -> Value<'g> {
        let (own, raw) = (v.dims(), self.raw.dims());
        let lead = own.first().copied().unwrap_or(Dim::Fixed(1));
        // Renaming nodes add and leave out axes of 1.
        let mut longer = own.iter().skip(1).zip(&self.score.dims).filter(|(_, n)| **n != 1).map(|(d, _)| *d);
        let of_image = |(axis, d): (usize, &Dim)| match (Some(axis) == self.score.batch, d.per_image()) {
            (true, _) => None,
            (false, 1) => Some(Dim::Fixed(1)),
            (false, _) => Some(longer.next().unwrap_or(Dim::Fixed(1))),
        };
        let of_image: Vec<Dim> = raw.iter().enumerate().filter_map(of_image).collect();
        match self.score.batch {
            None => v.reshape(&of_image),
            Some(axis) => {
                let mut back: Vec<usize> = (1..raw.len()).collect();
                back.insert(axis.min(back.len()), 0);
                v.reshape(&[&[lead], of_image.as_slice()].concat()).transpose(&back)
            }
        }
    }

    /// The scores with their own axes, `[N, …]`.
    fn whole(&self) -> Value<'g> {
        let dims = self.score.dims.iter().map(|&d| Dim::Fixed(d));
        self.flat.reshape(&[self.batch()].into_iter().chain(dims).collect::<Vec<_>>())
    }

    /// Where a class is predicted, 1, else 0, `[N, …]` with an extent of 1 along the classes; and its scores.
    fn predicted(&self, class: usize) -> (Value<'g>, Value<'g>) {
        let (axis, first) = (self.score.class_axis.map_or(1, |a| a + 1), self.score.first_class as i64);
        let all = self.whole().slice(axis, first, first + self.score.classes as i64, 1);
        let own = all.slice(axis, class as i64, class as i64 + 1, 1);
        let there = match self.score.is_multi_label() {
            true => own.gt(own.scalar(0.0)),
            false => all.arg_max(axis).equal(all.graph().ints(&[class as i64])),
        };
        (there.cast(all.dtype()), own)
    }

    fn batch(&self) -> Dim {
        self.flat.dims().first().copied().unwrap_or(Dim::Fixed(1))
    }

    /// Classes that are the same for all images, `[1, M]`.
    fn row(&self, classes: &[usize]) -> Value<'g> {
        let list: Vec<i64> = classes.iter().map(|&c| c as i64).collect();
        self.flat.graph().ints(&list).reshape(&[Dim::Fixed(1), Dim::Fixed(classes.len())])
    }

    /// Their scores, `[N, M]`.
    fn scores_of(&self, classes: &[usize]) -> Value<'g> {
        let list: Vec<i64> = classes.iter().map(|&c| c as i64).collect();
        self.flat.gather(self.flat.graph().ints(&list), 1)
    }

    /// The reference over `by`, `[1, K]`.
    fn reference(&self, r: &Vector, by: f64) -> Value<'g> {
        self.flat.tensor(r.values.iter().map(|v| v / by).collect::<ndarray::Array1<f64>>().into_dyn()).with_rank(2)
    }

    /// Σ r · e / `by` of each image, `[N, 1]`.
    fn along(&self, r: &Vector, by: f64) -> Value<'g> {
        self.flat.matmul(self.reference(r, by).swap_last())
    }

    /// |e| of each image, `[N, 1]`.
    fn length(&self) -> Value<'g> {
        (self.flat * self.flat).reduce_sum(&[1], true).sqrt()
    }

    /// The scores and classes that `target` picks.
    pub fn pick(&self, target: &Target) -> PickedValues<'g> {
        let (flat, n, k) = (self.flat, self.batch(), self.score.classes);
        match target {
            Target::Top(count) => {
                let (scores, classes) = flat.top_k(*count);
                PickedValues::new(scores, classes)
            }
            Target::Above(threshold) => {
                let (scores, classes) = flat.top_k(k);
                let (measure, threshold) = match self.score.probability {
                    Activation::None => (scores, *threshold),
                    Activation::Sigmoid => (scores, (threshold / (1.0 - threshold)).ln()),
                    Activation::Softmax => {
                        let shares = (scores - scores.slice(1, 0, 1, 1)).exp();
                        (shares / shares.reduce_sum(&[1], true), *threshold)
                    }
                };
                let wanted = Some(measure.gt(measure.scalar(threshold)));
                PickedValues { wanted, ..PickedValues::new(scores, classes) }
            }
            Target::Classes(list) => PickedValues::new(self.scores_of(list), self.row(list)),
            Target::All => PickedValues::new(flat, self.row(&(0..k).collect::<Vec<_>>())),
            Target::Weighted(list) => {
                let (classes, weights): (Vec<usize>, Vec<f64>) = list.iter().copied().unzip();
                let weights = flat.tensor(ndarray::Array1::from(weights).into_dyn());
                let scores = (self.scores_of(&classes) * weights).reduce_sum(&[1], true);
                PickedValues::new(scores, self.row(&[heaviest(list)]))
            }
            Target::Part(spans) => {
                let dims = &self.score.dims;
                let bounds: Vec<(usize, usize)> = spans.iter().zip(dims).filter_map(|(s, &d)| s.on(d)).collect();
                let axes: Vec<usize> = (1..=bounds.len()).collect();
                let starts: Vec<i64> = bounds.iter().map(|b| b.0 as i64).collect();
                let ends: Vec<i64> = bounds.iter().map(|b| b.1 as i64).collect();
                let part = self.whole().slices(&axes, &starts, &ends, &vec![1; axes.len()]);
                let scores = part.reduce_sum(&axes, false).reshape(&[n, Dim::Fixed(1)]);
                let class = class_of(spans, self.score).map_or(-1, |class| class as i64);
                PickedValues::new(scores, flat.graph().ints(&[class]).with_rank(2))
            }
            Target::Predicted(class) => {
                let (mask, own) = self.predicted(*class);
                let axes: Vec<usize> = (1..mask.rank()).collect();
                let scores = (mask * own).reduce_sum(&axes, false).reshape(&[n, Dim::Fixed(1)]);
                PickedValues::new(scores, self.row(&[*class]))
            }
            Target::Dot(r) => PickedValues::new(self.along(r, 1.0), self.row(&[0])),
            Target::Cosine(r) => PickedValues::new(self.along(r, r.length()) / self.length(), self.row(&[0])),
            Target::Given(count) => {
                let input = self.input.unwrap_or(flat);
                // Looking the class up in a list of all makes engines refuse one that does not exist.
                let classes = flat.iota(k).gather(input, 0).reshape(&[n, Dim::Fixed(*count)]);
                let hot = classes.reshape(&[n, Dim::Fixed(*count), Dim::Fixed(1)]).equal(flat.iota(k));
                let scores = hot.select(flat.reshape(&[n, Dim::Fixed(1), Dim::Fixed(k)]), flat.scalar(0.0));
                PickedValues::new(scores.reduce_sum(&[2], false), classes)
            }
            Target::Seed => {
                let weights = self.input.unwrap_or(flat);
                let scores = (weights.reshape(&flat.dims()) * flat).reduce_sum(&[1], true);
                if !self.score.is_dense() {
                    return PickedValues::new(scores, weights.reshape(&flat.dims()).arg_max(1));
                }
                let Some(axis) = self.score.class_axis else {
                    return PickedValues::new(scores, flat.graph().ints(&[-1]).with_rank(2));
                };
                let first = self.score.first_class as i64;
                let weights = weights.slice(axis + 1, first, first + k as i64, 1);
                let others: Vec<usize> = (1..weights.rank()).filter(|&a| a != axis + 1).collect();
                PickedValues::new(scores, weights.reduce_sum(&others, false).arg_max(1))
            }
        }
    }

    /// The seed of map `i`: what each logit counts for, to be broadcast to the logits' shape.
    pub fn seed(&self, target: &Target, picked: &PickedValues<'g>, i: usize) -> Value<'g> {
        let k = self.score.classes;
        let seed = match target {
            Target::Weighted(list) => {
                let mut row = vec![0.0; k];
                for &(class, weight) in list {
                    row.iter_mut().skip(class).take(1).for_each(|w| *w += weight);
                }
                self.flat.tensor(ndarray::Array1::from(row).into_dyn()).with_rank(2)
            }
            Target::Part(spans) => {
                let rank = spans.len() + 1;
                let along = |(axis, (span, &n)): (usize, (&Span, &usize))| {
                    let (start, end) = span.on(n)?;
                    // All along an axis a dense seed keeps the extent 1, which stands for the whole axis.
                    if end - start == n && self.score.is_dense() {
                        return None;
                    }
                    let mut shape = vec![1; rank];
                    if let Some(extent) = shape.get_mut(axis + 1) {
                        *extent = n;
                    }
                    let inside = (0..n).map(|i| f64::from(u8::from((start..end).contains(&i)))).collect();
                    Some(self.raw.tensor(ArrayD::from_shape_vec(IxDyn(&shape), inside).ok()?))
                };
                let one = self.raw.tensor(ArrayD::ones(vec![1; rank]));
                let along = spans.iter().zip(&self.score.dims).enumerate().filter_map(along);
                along.reduce(|a, b| a * b).unwrap_or(one)
            }
            Target::Predicted(class) => {
                let axis = self.score.class_axis.map_or(0, |a| a + 1);
                let mut shape = vec![1; self.score.dims.len() + 1];
                let along = self.score.dims.get(axis.saturating_sub(1)).copied().unwrap_or(1);
                shape.iter_mut().skip(axis).take(1).for_each(|extent| *extent = along);
                let at = self.score.first_class + class;
                let own = |place: IxDyn| f64::from(u8::from(place.slice().get(axis) == Some(&at)));
                let hot = ArrayD::from_shape_fn(IxDyn(&shape), own);
                self.predicted(*class).0 * self.raw.tensor(hot)
            }
            Target::Dot(r) => self.reference(r, 1.0),
            Target::Cosine(r) => {
                // ∂/∂e of r̂·e / |e|, with the cosine for the product.
                let length = self.length();
                (self.reference(r, r.length()) - picked.scores * self.flat / length) / length
            }
            Target::Seed => self.input.unwrap_or(self.flat),
            _ => {
                let class = picked.classes.slice(1, i as i64, i as i64 + 1, 1);
                class.equal(class.iota(k)).cast(self.raw.dtype())
            }
        };
        self.back(seed)
    }

    /// The seeds of several classes' maps, one after the other along the batch, those of an image together: `[N·M, …]`.
    pub fn seeds(&self, picked: &PickedValues<'g>) -> Value<'g> {
        let classes = picked.classes.expand_as(picked.scores);
        let all = self.batch().times(classes.sizes().get(1).copied().unwrap_or(1));
        let classes = classes.reshape(&[all, Dim::Fixed(1)]);
        let hot = classes.equal(classes.iota(self.score.classes)).cast(self.raw.dtype());
        self.back(hot)
    }

    /// b of each map, in the shape of the scores or with axes of 1 behind, from b of each logit in row-major order.
    pub fn bias(&self, target: &Target, picked: &PickedValues<'g>, bias: &[f64]) -> Result<Value<'g>, crate::Error> {
        let constant = |shape: &[usize], values: Vec<f64>| {
            Ok::<_, crate::Error>(self.flat.graph().constant(Tensor::new(self.flat.dtype(), shape, values)?))
        };
        let all = || constant(&[bias.len()], bias.to_vec());
        Ok(match target {
            Target::Weighted(_) | Target::Part(_) | Target::Dot(_) => {
                let b = target.bias(bias, self.score, 0).unwrap_or(0.0);
                constant(&vec![1; picked.scores.rank()], vec![b])?.expand_as(picked.scores)
            }
            Target::Seed => {
                let weights = self.input.unwrap_or(self.flat).reshape(&self.flat.dims());
                (weights * all()?).reduce_sum(&[1], true)
            }
            _ => all()?.gather(picked.classes.expand_as(picked.scores), 0),
        })
    }
}
