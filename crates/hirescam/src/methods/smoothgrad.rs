//! SmoothGrad.

use super::cut::{GradientUse, Setup, missing, output, rows_of, seed};
use super::{MethodMap, NOTHING, PreparedMethod, SeveralRunsMethod, Subject, one_run};
use crate::Error;
use crate::further_inputs::kind;
use crate::random::Random;
use hirescam_core::cam::list::MethodRow;
use hirescam_core::cam::{self, Explaining, Further, Request, Target};
use hirescam_core::onnx;
use hirescam_engine::{Array, Kind, Session};
use ndarray::{ArrayD, Axis, IxDyn};

/// The mean of another method's maps of x + noise, with normal noise of the standard deviation σ · (max x − min x).
/// Smilkov et al. 2017, arXiv:1706.03825.
///
/// Any method of one run can be smoothed, at its layer; without noise the map is that method's own.
///
/// # Differs from the paper
/// The paper averages the gradients of all colours and makes a picture of the mean. Here whole maps are averaged: for
/// saliency, of which the largest |gradient| of a place is taken, that comes before the mean.
pub(super) const METHOD: SeveralRunsMethod = SeveralRunsMethod {
    row: MethodRow {
        name: "smoothgrad",
        title: "SmoothGrad",
        formula: "the mean of another method's maps of x + noise, noise ~ N(0, (σ · (max x − min x))²)",
        cost: "1 + samples (50)",
        proven: NOTHING,
        source: "Smilkov et al. 2017, arXiv:1706.03825",
        scored: true,
        additive: true,
    },
    but: "shows the mean of maps of other, noisy images",
    at_image: |settings| Ok(one_run(&settings.base)?.at_image),
    sums: false,
    gradient: GradientUse::Nothing,
    prepare: |setup| Ok(Box::new(SmoothGrad::new(setup)?)),
};

/// Noisy images when no other number is asked for; the paper sees little change above it.
const SAMPLES: usize = 50;

struct SmoothGrad {
    base: &'static cam::Method,
    session: Box<dyn Session>,
    explaining: Explaining,
    input: String,
    /// The kind of the image's elements.
    image: Kind,
    /// The extents of one image's logits, and their kind.
    logits: Vec<usize>,
    kind: Kind,
}

impl SmoothGrad {
    fn new(setup: &Setup) -> Result<Self, Error> {
        let (analysis, options) = (setup.analysis, setup.options);
        let image = analysis.shapes.dtype(&analysis.image).and_then(kind).unwrap_or(Kind::F32);
        if !image.is_float() {
            return Err(Error::Argument(format!(
                "SmoothGrad adds noise to the image, and the network takes {image}, whole numbers: choose another method, or give SmoothGrad a network that takes floating-point numbers"
            )));
        }
        let base = one_run(&options.spec.settings.base)?;
        let layer = setup.layer.map(str::to_owned);
        let (channels, grid) = options.said_of_layer(base.at_image)?;
        let grid = grid.map(<[usize]>::to_vec);
        let request = Request { target: Target::Seed, layer, channels, grid, ..options.request(base) };
        let explaining = cam::attach_to(analysis, &request, &Further::default())?.swap_remove(0);
        let alone = explaining.for_maps()?;
        let session = setup.engine.prepare(&onnx::write(alone.as_ref().unwrap_or(&explaining.model)))?;
        Ok(SmoothGrad {
            base,
            session,
            input: explaining.input.clone().unwrap_or_default(),
            explaining,
            image,
            logits: analysis.score.dims.clone(),
            kind: analysis.shapes.dtype(&analysis.score.logits).and_then(kind).unwrap_or(Kind::F32),
        })
    }
}

impl PreparedMethod for SmoothGrad {
    fn layer(&self) -> Option<&str> {
        Some(&self.explaining.head.layer)
    }

    fn base(&self) -> Option<&'static cam::Method> {
        Some(self.base)
    }

    fn maps(&self, subject: &Subject, watch: &mut dyn FnMut(usize, usize)) -> Result<Vec<MethodMap>, Error> {
        let settings = subject.settings;
        let n = settings.samples.unwrap_or(SAMPLES);
        let image: ArrayD<f32> = subject.image.to_f32();
        let (low, high) = image.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), &v| (l.min(v), h.max(v)));
        let deviation = settings.noise * f64::from(high - low);
        let of = 1 + n * subject.picks.len();
        let mut made = Vec::new();
        for (p, pick) in subject.picks.iter().enumerate() {
            let mut mean: Option<ArrayD<f64>> = None;
            subject.cut.runs(n, |start, count, rows| {
                let mut images = rows_of(&image.index_axis(Axis(0), 0).to_owned(), rows);
                for (i, mut image) in images.axis_iter_mut(Axis(0)).take(count).enumerate() {
                    let mut random = Random::of_sample(settings.seed, start + i);
                    image.mapv_inplace(|v| (f64::from(v) + deviation * random.normal()) as f32);
                }
                let seed = seed(&pick.weights, &self.logits, rows)?;
                let kind = if self.kind == Kind::F16 { Kind::F32 } else { self.kind };
                let seed = Array::from_f32(kind, seed).ok_or_else(|| missing(&self.input))?;
                subject.state.stop.check()?;
                let mut inputs = subject.state.beside.rows(rows);
                inputs.push((
                    &self.explaining.image,
                    Array::from_f32(self.image, images).unwrap_or_else(|| subject.image.clone()),
                ));
                inputs.push((&self.input, seed));
                let out = self.session.run(&inputs.iter().map(|(name, array)| (*name, array)).collect::<Vec<_>>())?;
                let maps = output(&out, &self.explaining.outputs.map)?.to_f64();
                for map in maps.axis_iter(Axis(0)).take(count) {
                    *mean.get_or_insert_with(|| ArrayD::zeros(map.raw_dim())) += &map;
                }
                watch(1 + p * n + start + count, of);
                Ok(())
            })?;
            let mean = mean.unwrap_or_else(|| ArrayD::zeros(IxDyn(&[]))) / n as f64;
            let note = format!(
                "the mean of {n} maps by {} with noise of the deviation {deviation:.3}, {} of the image's range (seed {})",
                self.base.title, settings.noise, settings.seed
            );
            made.push(MethodMap::new(mean.mapv(|v| v as f32), vec![note]));
        }
        Ok(made)
    }
}
