//! Every claim of the certificate, held against random networks: the reference evaluates them in f64, and slopes are
//! taken by differences, so that no derivative rule takes part. `PROPTEST_CASES` says how many networks are tried,
//! `PROPTEST_RNG_SEED` the number of the first.
//!
//! A network that breaks a claim is written to a folder, whose name the failure says. It belongs into
//! `fixtures/certificate`, which is gone through first.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::analysis::{Analysis, Hints};
use hirescam_core::axes::Samples;
use hirescam_core::cam::{self, Request, Target};
use hirescam_core::certify::{self, Verdict};
use hirescam_core::graph::standard;
use hirescam_core::onnx;
use hirescam_core::onnx::attribute;
use hirescam_core::onnx::messages::ModelProto;
use hirescam_core::ops::{self, CaseInput};
use hirescam_core::score::Reading;
use hirescam_core::score::Score;
use hirescam_core::shape::declared;
use hirescam_core::tensor::DataType;
use hirescam_core::{Model, Tensor, blind, layers, reference};
use hirescam_testing::{Random, by_chance, in_type};
use ndarray::{ArrayD, Axis};
use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many networks without a word from outside: half a minute on one core.
const USUAL: usize = 2000;
/// So many networks are kept that once broke a claim, at least.
const KEPT: usize = 36;
/// So many images are tried before a claim counts as broken: one may lie on a corner.
const IMAGES: usize = 3;
/// A step that stays on the linear region, and far above the rounding of f64.
const STEP: f64 = 1e-6;
/// How far a slope by differences may be from the true one, of the largest number in the comparison.
const SLOPE: f64 = 1e-5;
/// An ε that does not count beside the variance of anything, rounding included.
const NEXT_TO_NOTHING: f32 = 1e-37;
/// No value of a network is to be larger than this: what goes by steps would go through many in one of [`STEP`].
const LARGEST: f64 = 1e4;

/// How far two sums of the same numbers may be apart. Constants are stored in the network's element type, as 1/n of a mean:
/// in float32 each is up to 6e-8 off, and there are several one after the other.
fn rounding(dtype: DataType) -> f64 {
    if dtype == DataType::Double { 1e-6 } else { 1e-5 }
}

/// How much of the largest number a cell may be whose place has no influence. Where contributions cancel, as in the mean of
/// what was normalised, their rounding is left, and of float32 that of the constants, times slopes above 1.
fn silence(dtype: DataType) -> f64 {
    if dtype == DataType::Double { 1e-9 } else { 1e-6 }
}

/// What a cell and the sum are. Not on an edge between pieces, where each node chooses one for itself: see [`Trial::on_edge`].
const SUM_SLOPE: &str = "the sum is the slope along the activation";
const CELL_SLOPE: &str = "a cell is the slope along its place";
/// The one claim that the rounding of constants to float32 can break by itself: see [`guarded`].
const SILENCE: &str = "a place without influence has nothing";

/// What a network's layer is tried with.
struct Trial<'a> {
    truth: &'a Model,
    /// The same with normalisations that divide by nothing but the deviation: only without their ε a scale is ignored.
    without_epsilon: &'a Model,
    explaining: Model,
    made: &'a cam::Explaining,
    logits: &'a Score,
    class: usize,
    /// Whether a staircase lies between, whose cotangent is no slope.
    quantised: bool,
    scale_free: bool,
    one_place: bool,
    never_negative: bool,
    /// How many slopes were not there, and how many were asked for.
    corners: Cell<(usize, usize)>,
}

/// One image's numbers, or those of several.
struct Run {
    image: Tensor,
    activation: Tensor,
    map: ArrayD<f64>,
    /// Σ of all cells, those of tokens that are no places included.
    sums: Vec<f64>,
    scores: Vec<f64>,
    b: Vec<f64>,
}

impl Trial<'_> {
    fn run(&self, image: &Tensor) -> Option<Run> {
        let (layer, outputs) = (&self.made.head.layer, &self.made.outputs);
        let mut wanted = vec![layer.as_str(), &outputs.map, &outputs.score, &outputs.b];
        wanted.extend(outputs.other_tokens.as_deref());
        let own = wanted.len();
        let nodes = self.made.head.path.iter().map(|&i| &self.explaining.graph().node[i]);
        wanted.extend(nodes.flat_map(|n| &n.output).filter(|o| !o.is_empty()).map(String::as_str));
        let known = HashMap::from([("x".to_owned(), image.clone())]);
        let mut values = reference::evaluate(&self.explaining, known, &wanted).ok()?;
        if !values.iter().all(|t| t.data.iter().all(|v| v.abs() < LARGEST)) {
            return None;
        }
        values.truncate(own);
        let mut values = values.into_iter();
        let mut next = || values.next().map(|t| t.data);
        let (activation, map, scores, b) = (next()?, next()?, next()?, next()?);
        let list = |d: &ArrayD<f64>| d.iter().copied().collect::<Vec<f64>>();
        let mut sums: Vec<f64> = map.axis_iter(Axis(0)).map(|m| m.sum()).collect();
        if let Some(others) = next() {
            sums.iter_mut().zip(&others).for_each(|(sum, other)| *sum += other);
        }
        let activation = Tensor { dtype: image.dtype, data: activation };
        Some(Run { image: image.clone(), activation, map, sums, scores: list(&scores), b: list(&b) })
    }

    /// The score of each image, with `activation` at the layer.
    fn scores(&self, activation: ArrayD<f64>, image: &Tensor) -> Option<Vec<f64>> {
        self.scores_of(self.truth, activation, image)
    }

    fn scores_of(&self, network: &Model, activation: ArrayD<f64>, image: &Tensor) -> Option<Vec<f64>> {
        let activation = Tensor { dtype: image.dtype, data: activation };
        let known = HashMap::from([("x".to_owned(), image.clone()), (self.made.head.layer.clone(), activation)]);
        let logits = reference::evaluate(network, known, &[&self.logits.logits]).ok()?.remove(0).data;
        let entries = self.logits.entries();
        let scores: Vec<f64> = logits.iter().skip(self.class).step_by(entries).copied().collect();
        scores.iter().all(|s| s.abs() < 1e6).then_some(scores)
    }

    /// The slope of each image's score along `direction`; none at a corner or a jump, where it depends on the side and on
    /// the step.
    fn slopes(&self, run: &Run, direction: &ArrayD<f64>, size: f64) -> Option<Vec<Option<f64>>> {
        let at = |t: f64| self.scores(&run.activation.data + &(direction * t), &run.image);
        let middle = at(0.0)?;
        // To both sides by h: the slope, and how much it changes from the one side to the other.
        let by = |h: f64| -> Option<Vec<[f64; 2]>> {
            let sides = at(h)?.into_iter().zip(at(-h)?).zip(&middle);
            Some(sides.map(|((up, down), s)| [(up - down) / (2.0 * h), (up + down - 2.0 * s) / h]).collect())
        };
        // By half a step, and by one so small that it does not cross the steps of a staircase one after the other.
        let (whole, half, small) = (by(STEP)?, by(STEP / 2.0)?, by(STEP / 100.0)?);
        let agreed =
            |(([slope, bend], [half_slope, half_bend]), [small_slope, _]): (([f64; 2], [f64; 2]), [f64; 2])| {
                let apart = [slope - half_slope, half_slope - small_slope, bend - 2.0 * half_bend];
                apart.iter().all(|d| d.abs() <= SLOPE * size).then_some(half_slope)
            };
        let slopes: Vec<Option<f64>> = whole.into_iter().zip(half).zip(small).map(agreed).collect();
        let (corners, all) = self.corners.get();
        self.corners.set((corners + slopes.iter().filter(|s| s.is_none()).count(), all + slopes.len()));
        Some(slopes)
    }

    /// Whether a value between the layer and the score bends where the activation moves along `direction`, even if the score
    /// does not: as the smallest of some values at a bound that the largest of all goes by.
    fn on_edge(&self, run: &Run, direction: &ArrayD<f64>) -> Option<bool> {
        let nodes = self.made.head.path.iter().map(|&i| &self.truth.graph().node[i]);
        let wanted: Vec<&str> = nodes.flat_map(|n| &n.output).filter(|o| !o.is_empty()).map(String::as_str).collect();
        let at = |t: f64| -> Option<Vec<f64>> {
            let activation = Tensor { dtype: run.image.dtype, data: &run.activation.data + &(direction * t) };
            let known =
                HashMap::from([("x".to_owned(), run.image.clone()), (self.made.head.layer.clone(), activation)]);
            let values = reference::evaluate(self.truth, known, &wanted).ok()?;
            Some(values.iter().flat_map(|v| v.data.iter().copied()).collect())
        };
        let middle = at(0.0)?;
        let bends = |h: f64| -> Option<Vec<f64>> {
            Some(
                at(h)?
                    .iter()
                    .zip(at(-h)?)
                    .zip(&middle)
                    .map(|((up, down), v)| ((up + down - 2.0 * v) / h).abs())
                    .collect(),
            )
        };
        // What is smooth bends half as much by half the step.
        let kinked = |(whole, half): (&f64, f64)| half > 1e-4 && half > 0.75 * whole;
        Some(bends(STEP)?.iter().zip(bends(STEP / 2.0)?).any(kinked))
    }

    /// The claims that do not hold for these images, by name; `None` where the network cannot be evaluated there.
    fn broken(&self, image: &Tensor, other: &Tensor, random: &mut Random) -> Option<BTreeSet<&'static str>> {
        let run = self.run(image)?;
        let (certificate, data) = (&self.made.certificate, &run.activation.data);
        let (exact, local) = (certificate.verdict == Verdict::Exact, certificate.verdict <= Verdict::LocallyLinear);
        let numbers = run.map.iter().chain(&run.scores).chain(&run.b);
        let size = numbers.chain(data).fold(1e-3f64, |m, v| m.max(v.abs()));
        let (sum, silence) = (rounding(image.dtype), silence(image.dtype));
        let near = |a: f64, b: f64, tolerance: f64| (a - b).abs() <= tolerance * size;
        let all = |a: &[f64], b: &[f64], tolerance: f64| a.iter().zip(b).all(|(a, b)| near(*a, *b, tolerance));
        let mut broken = BTreeSet::new();
        let mut claim = |name: &'static str, holds: bool| {
            if !holds {
                broken.insert(name);
            }
        };

        let plain = self.scores(data.clone(), image)?;
        claim("the score is the network's", all(&plain, &run.scores, sum));
        let sums: Vec<f64> = run.sums.iter().zip(&run.b).map(|(sum, b)| sum + b).collect();
        claim("the sum and b make the score", all(&sums, &run.scores, sum));
        if self.never_negative {
            claim("the activation is never negative", data.iter().all(|&v| v >= 0.0));
        }

        // Each image's map is its own.
        if let Samples::Along { axis, outer: 1, inner: 1 } = self.made.head.samples
            && data.len_of(Axis(axis)) > 1
        {
            let mut changed = data.clone();
            let mut first = changed.index_axis_mut(Axis(axis), 0);
            let noise = random.tensor(first.shape(), -1.0, 1.0).data;
            first += &noise;
            claim("images are apart", all(&self.scores(changed, image)?[1..], &plain[1..], sum));
        }

        if certificate.bypass.is_none() {
            claim("nothing goes around the layer", all(&self.scores(data.clone(), other)?, &plain, sum));
        }
        let direction = random.tensor(data.shape(), -1.0, 1.0).data;
        if exact {
            let at = |t: f64| self.scores(data + &(&direction * t), image);
            for t in [1.0, 30.0] {
                let middle: Vec<f64> = at(t)?.iter().zip(at(-t)?).map(|(a, b)| (a + b) / 2.0).collect();
                claim("the head is affine", all(&middle, &plain, sum));
            }
            claim("b is the score of nothing", all(&self.scores(data * 0.0, image)?, &run.b, sum));
            claim("b is the same for every image", all(&self.run(other)?.b, &run.b, sum));
        }
        if self.scale_free {
            let [once, twice] = [1.0, 2.0].map(|t| self.scores_of(self.without_epsilon, data * t, image));
            let (once, twice) = (once?, twice?);
            let spread = once.iter().fold(1e-3f64, |m, v| m.max(v.abs()));
            claim("the scale is ignored", twice.iter().zip(&once).all(|(a, b)| (a - b).abs() < 1e-3 * spread));
        }
        if self.quantised {
            return Some(broken);
        }
        if local {
            // Not where the image happens to lie, for that may be a corner, as where what was repeated is compared. What is
            // curved is so at all points nearby; where hundreds of values are put in order, two change places at some.
            let mut curved = true;
            for _ in 0..3 {
                let aside = random.tensor(data.shape(), -1e-2, 1e-2).data;
                let at = |t: f64| self.scores(data + &aside + &(&direction * t), image);
                let middle = at(0.0)?;
                let bent = |step: f64, most: f64| -> Option<Vec<bool>> {
                    let sides = at(step)?.into_iter().zip(at(-step)?).zip(&middle);
                    Some(sides.map(|((up, down), s)| !near((up + down - 2.0 * s) / step, 0.0, most)).collect())
                };
                curved &= bent(1e-5, 1e-7)?.into_iter().zip(bent(1e-7, 1e-8)?).any(|(far, soon)| far && soon);
                if !curved {
                    break;
                }
            }
            claim("the head is affine nearby", !curved);
        }
        // Where values tie that are not 0, no single place changes the score, and each does together with others.
        let mut inside = vec![true; plain.len()];
        for _ in 0..2 {
            let apart = random.tensor(data.shape(), -1.0, 1.0).data;
            let slopes = self.slopes(&run, &(data * &apart), size)?;
            inside.iter_mut().zip(slopes).for_each(|(inside, slope)| *inside &= slope.is_some());
        }
        let kept = |slopes: Vec<Option<f64>>| -> Vec<Option<f64>> {
            slopes.into_iter().zip(&inside).map(|(slope, inside)| slope.filter(|_| *inside)).collect()
        };
        let fits = |slopes: &[Option<f64>], given: &[f64]| {
            slopes.iter().zip(given).all(|(slope, given)| slope.is_none_or(|slope| near(slope, *given, SLOPE)))
        };
        claim(SUM_SLOPE, fits(&kept(self.slopes(&run, data, size)?), &run.sums));

        let space = &self.made.head.space;
        let extents: Vec<usize> = space.iter().map(|&a| data.shape()[a]).collect();
        // Maps may be laid out in another way where tokens have a grid.
        let cells = self.made.grid.is_none() && run.map.shape()[1..] == extents;
        let whole = ArrayD::<f64>::ones(data.raw_dim());
        let one_place = |place: &[usize]| {
            let mut mask = whole.clone();
            for ((&axis, &at), n) in space.iter().zip(place).zip(&extents) {
                for i in (0..*n).filter(|i| *i != at) {
                    mask.index_axis_mut(Axis(axis), i).fill(0.0);
                }
            }
            mask
        };
        let mut steps: Vec<Vec<Option<f64>>> = Vec::new();
        for _ in 0..3 {
            let place: Vec<usize> = extents.iter().map(|&n| (random.unit() * n as f64) as usize).collect();
            let mask = one_place(&place);
            if cells {
                let cell: Vec<f64> = run.map.axis_iter(Axis(0)).map(|m| m[place.as_slice()]).collect();
                let slopes = kept(self.slopes(&run, &(data * &mask), size)?);
                claim(CELL_SLOPE, fits(&slopes, &cell));
                let silent = |(s, cell): (&Option<f64>, &f64)| *s != Some(0.0) || cell.abs() <= silence * size;
                claim(SILENCE, slopes.iter().zip(&cell).all(silent));
                if exact {
                    let without = self.scores(data * &(&whole - &mask), image)?;
                    let given: Vec<f64> = plain.iter().zip(&without).map(|(s, w)| s - w).collect();
                    claim("a cell is what its place gives", all(&given, &cell, sum));
                }
            }
            // The same step of all channels at each place.
            let mut step = mask;
            for (i, mut plane) in step.axis_iter_mut(Axis(self.made.head.channels.unwrap())).enumerate() {
                plane *= 0.3 + i as f64;
            }
            steps.push(self.slopes(&run, &step, size)?);
        }
        if certificate.uniform {
            let apart = |a: &Option<f64>, b: &Option<f64>| a.zip(*b).is_some_and(|(a, b)| !near(a, b, SLOPE));
            let same = |s: &Vec<Option<f64>>| !s.iter().zip(&steps[0]).any(|(a, b)| apart(a, b));
            claim("the gradient is the same everywhere", steps.iter().all(same));
        }
        if self.one_place {
            let lit = |m: ndarray::ArrayViewD<f64>| m.iter().filter(|v| **v != 0.0).count() <= 1;
            claim("one place decides", run.map.axis_iter(Axis(0)).all(lit));
        }
        let of_slopes = [SUM_SLOPE, CELL_SLOPE, SILENCE];
        let random = random.tensor(data.shape(), -1.0, 1.0).data;
        if broken.iter().any(|claim| of_slopes.contains(claim)) && self.on_edge(&run, &(data * &random))? {
            broken.retain(|claim| !of_slopes.contains(claim));
        }
        Some(broken)
    }
}

/// What came of a network's layers.
#[derive(Default)]
struct Seen {
    /// How many layers have a map, by verdict.
    verdicts: [usize; 3],
    /// How many of them could be evaluated.
    evaluated: usize,
    /// As of a [`Trial`].
    corners: (usize, usize),
}

/// Tries every layer of a network.
fn try_network(proto: &ModelProto, seed: u64) -> Result<Seen, String> {
    let mut random = Random::new(seed ^ 0x5eed);
    let mut seen = Seen::default();
    let model = Model::new(proto.clone()).map_err(|e| format!("the network is refused: {e}"))?;
    let truth = Model::new(by_chance::truth(proto)).unwrap();
    let mut proto_without = truth.proto().clone();
    for node in proto_without.graph.as_mut().unwrap().node.iter_mut().filter(|n| n.op_type().ends_with("Normalization"))
    {
        node.attribute.retain(|a| a.name() != "epsilon");
        // Those without one refuse it.
        if !["LpNormalization", "MeanVarianceNormalization"].contains(&node.op_type()) {
            node.attribute.push(attribute("epsilon", NEXT_TO_NOTHING));
        }
    }
    let without_epsilon = Model::new(proto_without).unwrap();
    let input = model.inputs().next().unwrap().clone();
    let shape: Vec<usize> = declared(&input).iter().map(|n| n.unwrap_or(2)).collect();
    for output in &proto.graph.as_ref().unwrap().output {
        let scores = Reading { output: Some(output.name().to_owned()), ..Reading::default() };
        let Ok(analysis) = Analysis::of(&model, &Hints { scores, ..Hints::default() }) else { continue };
        let Analysis { shapes, score, .. } = &analysis;
        // Scores that lie otherwise have tests of their own.
        if score.is_dense() || score.batch != Some(0) {
            continue;
        }
        let listed = layers::layers(&analysis, true).unwrap_or_default();
        let mut images = || Tensor { dtype: shapes.dtype("x").unwrap(), ..random.tensor(&shape, -2.0, 2.0) };
        let images: Vec<Tensor> = (0..2 * IMAGES).map(|_| images()).collect();
        let class = (seed % score.entries() as u64) as usize;
        for layer in &listed {
            let request =
                Request { layer: Some(layer.name.clone()), target: Target::Classes(vec![class]), ..Request::default() };
            let Some(made) =
                cam::attach_to(&analysis, &request, &cam::Further::default()).ok().and_then(|mut all| all.pop())
            else {
                continue;
            };
            if let Ok(c) = &layer.certificate {
                let own = &made.certificate;
                // The list speaks of every score, the map of one: that may be one whose weights are all 0.
                if (own.verdict, &own.bypass) != (c.verdict, &c.bypass) || (c.uniform && !own.uniform) {
                    return Err(format!("{:?}: layers says {c:?} and the map {own:?}", layer.name));
                }
            }
            seen.verdicts[made.certificate.verdict as usize] += 1;
            let nodes = made.head.path.iter().map(|&i| &model.graph().node[i]);
            let trial = Trial {
                truth: &truth,
                without_epsilon: &without_epsilon,
                explaining: Model::new(by_chance::truth(&made.model)).unwrap(),
                made: &made,
                logits: score,
                class,
                quantised: nodes.clone().any(|n| standard(n) == "QuantizeLinear"),
                scale_free: blind::ignores_scale(&analysis, &made.head).unwrap_or(false),
                one_place: blind::reads_one_place(&analysis, &made.head).unwrap_or(false),
                never_negative: !certify::can_be_negative(&analysis, &layer.name),
                corners: Cell::new((0, 0)),
            };
            let mut broken: Option<BTreeSet<&str>> = None;
            for pair in images.chunks(2) {
                let Some(now) = trial.broken(&pair[0], &pair[1], &mut random) else { break };
                let still: BTreeSet<&str> = broken.map_or(now.clone(), |before| &before & &now);
                broken = Some(still);
                if broken.as_ref().is_some_and(BTreeSet::is_empty) {
                    break;
                }
            }
            seen.evaluated += usize::from(broken.is_some());
            let (corners, all) = trial.corners.get();
            seen.corners = (seen.corners.0 + corners, seen.corners.1 + all);
            if let Some(broken) = broken.filter(|b| !b.is_empty()) {
                let c = &made.certificate;
                return Err(format!(
                    "at {:?} {} (reason {:?}, bypass {:?}, uniform {}), but not: {}",
                    layer.name,
                    c.verdict,
                    c.reason,
                    c.bypass,
                    c.uniform,
                    broken.into_iter().collect::<Vec<_>>().join(", ")
                ));
            }
        }
    }
    Ok(seen)
}

/// Where contributions cancel and a normalisation divides what is left by the √ε of nearly nothing, the rounding of a constant
/// to float32 is what remains. Then the same network has to keep the claim in float64.
fn guarded(proto: &ModelProto, seed: u64) -> Result<Seen, String> {
    let tried = |proto: &ModelProto| {
        std::panic::catch_unwind(|| try_network(proto, seed)).unwrap_or_else(|_| Err("a panic".into()))
    };
    match tried(proto) {
        Err(what) if what.ends_with(&format!("but not: {SILENCE}")) => tried(&in_type(proto, DataType::Double)),
        tried => tried,
    }
}

#[test]
fn networks_that_once_broke_a_claim_keep_it() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/certificate");
    let files = std::fs::read_dir(&kept).unwrap().map(|f| f.unwrap().path());
    let files: Vec<PathBuf> = files.filter(|p| p.extension().is_some_and(|e| e == "onnx")).collect();
    assert!(files.len() >= KEPT, "{} networks in {}", files.len(), kept.display());
    let mut wrong = Vec::new();
    for path in files {
        let proto = onnx::read(std::fs::read(&path).unwrap()).unwrap();
        let found = (0..8).find_map(|seed| guarded(&proto, seed).err());
        wrong.extend(found.map(|what| format!("{}: {what}", path.display())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_certificate_is_false() {
    let number = |name| std::env::var(name).ok().and_then(|n| n.parse().ok());
    let (first, count) = (number("PROPTEST_RNG_SEED").unwrap_or(0), number("PROPTEST_CASES").unwrap_or(USUAL));
    let folder: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join("certificate");
    let (next, failures, all) = (AtomicUsize::new(0), Mutex::new(Vec::new()), Mutex::new(Seen::default()));
    let work = || {
        loop {
            let seed = first + next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count || failures.lock().unwrap().len() >= 20 {
                return;
            }
            let proto = by_chance::network(seed as u64);
            match guarded(&proto, seed as u64) {
                Ok(seen) => {
                    let mut all = all.lock().unwrap();
                    all.evaluated += seen.evaluated;
                    all.corners = (all.corners.0 + seen.corners.0, all.corners.1 + seen.corners.1);
                    all.verdicts.iter_mut().zip(seen.verdicts).for_each(|(sum, n)| *sum += n);
                }
                Err(what) => {
                    std::fs::create_dir_all(&folder).unwrap();
                    std::fs::write(folder.join(format!("{seed}.onnx")), onnx::write(&proto)).unwrap();
                    failures.lock().unwrap().push(format!("{seed}: {what}"));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        (0..std::thread::available_parallelism().map_or(1, usize::from)).for_each(|_| drop(scope.spawn(work)));
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "networks in {}:\n{}", folder.display(), failures.join("\n"));
    // Each kind of certificate has to come up, or nothing was shown.
    let all = all.into_inner().unwrap();
    let maps: usize = all.verdicts.iter().sum();
    let (corners, slopes) = all.corners;
    println!(
        "{count} networks: {maps} layers with a map, {} tried, {:?} by verdict; {corners} of {slopes} slopes at corners",
        all.evaluated, all.verdicts
    );
    assert!(count < 100 || corners * 10 < slopes);
    assert!(count < 100 || (maps > count / 2 && all.evaluated > maps / 2));
    assert!(count < 100 || all.verdicts.iter().all(|n| n * 20 > maps), "{:?}", all.verdicts);
}

/// So many networks suffice for everything to come up; of each operator there are fifty at least.
const MANY: u64 = 30_000;

#[test]
fn every_setting_of_every_card_comes_up() {
    let mut found: BTreeSet<(String, String)> = BTreeSet::new();
    let mut nodes: HashMap<String, usize> = HashMap::new();
    for seed in 0..MANY {
        for node in by_chance::network(seed).graph.unwrap().node {
            *nodes.entry(node.op_type().to_owned()).or_default() += 1;
            found.extend(node.attribute.iter().map(|a| (node.op_type().to_owned(), a.name().to_owned())));
        }
    }
    // What makes something of nothing has no place behind an image.
    let follows = |given: &CaseInput| matches!(given, CaseInput::Varied(..));
    let mut missing = Vec::new();
    for card in ops::all() {
        let cases: Vec<_> =
            (card.cases)().into_iter().filter(|case| case.inputs.first().is_some_and(follows)).collect();
        if !cases.is_empty() && nodes.get(card.name).is_none_or(|n| *n < 50) {
            missing.push(format!("{}: {:?}", card.name, nodes.get(card.name)));
        }
        for attribute in cases.iter().flat_map(|case| &case.attributes) {
            if !found.contains(&(card.name.to_owned(), attribute.name().to_owned())) {
                missing.push(format!("{} with {}", card.name, attribute.name()));
            }
        }
    }
    missing.sort();
    missing.dedup();
    assert!(missing.is_empty(), "{missing:#?}");
}
